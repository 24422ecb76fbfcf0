"""Every page, run by Streamlit's own test harness: what it shows first, in both languages, and its main button."""

import json
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import files, jobs
from core.errors import UserError
from core.generation import chats
from core.models import cards
from core.models.cards import ModelCard
from core.models.kept import Loaded
from core.rag import embedding, knowledge
from core.settings import ROOT, settings
from core.training import config, runs
from core.training.data import datasets
from core.ui import i18n, resources
from tests.helpers.waiting import eventually

PAGES = {
    "overview": None,
    "chat": "pages/chat.py",
    "prompts": "pages/prompts.py",
    "finetune": "pages/train.py",
    "comparison": "pages/compare.py",
    "models": "pages/models.py",
    "knowledge": "pages/knowledge.py",
}


def words(language: str) -> dict:
    return tomllib.loads((ROOT / "assets" / "locales" / f"{language}.toml").read_text("utf-8"))


def opened(page: str, language: str = "en", **query: str) -> AppTest:
    """The app with a page on screen."""
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60)
    app.query_params["lang"] = language
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    if PAGES[page]:
        app.switch_page(PAGES[page])
        for key, value in query.items():
            app.query_params[key] = value
        app.run()
    assert not app.exception, app.exception
    return app


@pytest.mark.parametrize("language", ["en", "zh"])
@pytest.mark.parametrize("page", list(PAGES))
def test_a_page_opens_with_its_title(page: str, language: str) -> None:
    app = opened(page, language)
    assert app.title[0].value == words(language)[page]["title"]


def test_the_language_is_switched_live_and_kept() -> None:
    app = opened("overview", "zh")
    app.segmented_control(key="language_choice").set_value("en").run()
    assert app.title[0].value == words("en")["overview"]["title"]
    assert app.query_params["lang"] == "en"


def test_the_password_hides_everything_until_it_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUAN_PASSWORD", "plum")
    settings.cache_clear()
    app = AppTest.from_file(str(ROOT / "streamlit_app.py"), default_timeout=60).run()
    assert len(app.title) == 1 and not app.button
    app.text_input(key="gate").set_value("pear").run()
    assert app.error and not app.button
    app.text_input(key="gate").set_value("plum").run()
    assert not app.exception and app.button(key="go_chat")


def test_the_overview_shows_models_and_runs(tiny_card: ModelCard, own_data_dir: Path) -> None:
    folder = own_data_dir / "runs" / "20260102-030405-mine-abcd"
    config.save(config.make({"dataset": "resume-extraction", "name": "mine"}), folder / "config.toml")
    jobs.create(folder)
    jobs.update(folder, status=jobs.FINISHED)
    app = opened("overview")
    shown = " ".join(element.value for element in app.markdown)
    assert "Tiny tiny" in shown and words("en")["overview"]["answers"] in shown
    assert "Phi-2" not in shown  # it is not here


def test_the_models_page_shows_every_card_and_what_it_can_do(tiny_card: ModelCard) -> None:
    app = opened("models")
    shown = " ".join(element.value for element in app.markdown)
    assert all(card.title.split()[0] in shown.replace("\\", "") for card in cards.catalog().values())
    buttons = {button.key for button in app.button}
    assert {"load-tiny", "test-tiny", "download-Yuan2-2B-Mars"} <= buttons
    assert "load-Yuan2-2B-Mars" not in buttons
    app.button(key="test-tiny").click().run()

    def tested() -> bool:
        app.run()
        return "tokens/s" in " ".join(element.proto.body for element in app.get("html"))

    eventually(tested, 60)
    assert "in memory" in " ".join(element.value for element in app.markdown)


def test_every_model_in_memory_is_shown_and_given_back_one_by_one_or_all(
    tiny_card: ModelCard, tiny_embedder: ModelCard
) -> None:
    def fill() -> None:
        resources.engine().load("tiny").result()
        embedding.embed(["warm"], "query")

    fill()
    app = opened("models")
    lines = [element.value for element in app.markdown if element.value.startswith("In memory")]
    assert [size in line for line, size in zip(lines, map(_weights, resources.loaded()), strict=True)] == [True, True]
    app.button(key=f"unload-{tiny_embedder.name}").click().run()
    assert [one.name for one in resources.loaded()] == ["tiny"] and "unload" not in {b.key for b in app.button}
    fill()
    app.run()
    app.button(key="unload").click().run()
    assert resources.loaded() == [] and not app.exception


def _weights(one: Loaded) -> str:
    return f"{i18n.size(one.memory)} of weights ({one.dtype}, CPU)"


def test_a_model_of_ones_own_is_added_and_taken_out_again(tiny_model_dir: Path) -> None:
    app = opened("models")
    app.text_input(key="add_source").input(str(tiny_model_dir)).run()
    app.text_input(key="add_name").input("mine").run()
    app.button(key="add_do").click().run()
    assert "mine" in cards.catalog()
    app.button(key="remove-mine").click().run()
    assert "mine" not in cards.catalog() and (tiny_model_dir / "config.json").is_file()


def test_a_bad_directory_is_refused_in_words(tmp_path: Path) -> None:
    app = opened("models", "zh")
    app.text_input(key="add_source").input(str(tmp_path / "nowhere")).run()
    app.button(key="add_do").click().run()
    assert str(tmp_path / "nowhere") in app.error[0].value
    assert not app.exception


def test_a_kept_conversation_is_shown_again() -> None:
    chat = chats.new()
    answer = {"rag": False, "model": "tiny", "adapter": None, "text": "It is a plum.", "tokens": 5, "seconds": 1.0}
    answer |= {"first_token_seconds": 0.5, "finish": "end", "passages": []}
    chat["turns"] = [{"question": "What is it?", "asked": 0.0, "answers": [answer]}]
    chats.save(chat)
    app = opened("chat", chat=chat["id"])
    assert "It is a plum." in [element.value for element in app.markdown]


def test_an_unknown_conversation_is_a_sentence_not_a_crash() -> None:
    app = opened("chat", chat="../../etc/passwd")
    assert app.error and not app.exception


def test_the_form_refuses_what_the_config_refuses(tiny_card: ModelCard) -> None:
    app = opened("finetune")
    app.text_input(key="train_name").set_value(" " * 6).run()
    assert [said.value for said in app.error] == ["A run needs a name. Type at least one character."]
    assert app.button(key="train_start").disabled
    assert app.text_input(key="train_name").proto.max_chars == 60


def test_the_form_without_a_name_is_no_crash_where_the_model_is_not_here() -> None:
    app = opened("finetune")
    app.selectbox(key="train_recipe").set_value("resume-extraction-yuan2").run()
    app.text_input(key="train_name").set_value("").run()
    assert app.error and app.warning and not app.exception


def test_the_form_starts_a_run_that_finishes(tiny_card: ModelCard) -> None:
    rows = [{"input": f"say {i}", "output": str(i)} for i in range(12)]
    name = datasets.add("numbers", rows)
    app = opened("finetune")
    app.selectbox(key="train_dataset").set_value(name)
    app.selectbox(key="train_model").set_value("tiny").run()
    app.number_input(key="train_max_steps").set_value(2)
    app.button(key="train_start").click().run()
    assert not app.exception and not app.error
    [run] = runs.listing()
    assert app.query_params["run"] == run["id"]
    assert jobs.wait(runs.folder(run["id"]))["status"] == jobs.FINISHED
    app.run()
    assert app.button(key=f"to_chat_{run['id']}") and app.button(key=f"to_compare_{run['id']}")


def test_a_failed_run_says_why_in_the_language_of_the_screen(own_data_dir: Path) -> None:
    folder = own_data_dir / "runs" / "20260102-030405-mine-abcd"
    config.save(config.make({"dataset": "resume-extraction", "name": "mine"}), folder / "config.toml")
    files.write_json(folder / "state.json", {"status": jobs.RUNNING, "created": 0.0})
    files.write_json(folder / "process.json", {"pid": 2**22 + 1, "create_time": 4e9})
    app = opened("finetune", "zh", run=folder.name)
    assert "工作进程突然结束" in app.error[0].value


def test_a_base_is_looked_into_and_a_source_is_shown_at_its_place(
    tiny_embedder: ModelCard, own_data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "plums.md").write_text("# Plums\n\nPlums are <b>blue</b>.\n\n## Pears\n\nPears are green.", "utf-8")
    knowledge.build("fruit", [tmp_path / "plums.md"])
    app = opened("knowledge", kb="fruit")
    assert [metric.value for metric in app.metric][:2] == ["1", str(len(knowledge.rows("fruit")))]
    app.segmented_control(key="kb_tab").set_value("lab").run()
    assert app.query_params["tab"] == "lab", "after a refresh it would be the first again"
    app.text_input(key="lab_query").input("What colour are pears?").run()
    assert not app.exception and any("Pears are green" in str(table.value) for table in app.dataframe)
    row = next(row for row in knowledge.rows("fruit") if "Pears" in row.text)
    shown = opened("knowledge", kb="fruit", document="plums.md", at=str(row.start))
    [source] = [element.proto.body for element in shown.get("html") if 'class="source"' in element.proto.body][:1]
    assert "<mark>" in source and "&lt;b&gt;blue" in source, "a document's HTML must be shown, not rendered"


def test_an_empty_lab_offers_the_first_question_of_a_base_that_has_some(tiny_embedder: ModelCard) -> None:
    app = opened("knowledge", kb="llama2")
    app.segmented_control(key="kb_tab").set_value("lab").run()
    assert app.button(key="lab_example").label == "What is Llama 2?"
    app.button(key="lab_example").click().run()
    assert not app.exception and app.text_input(key="lab_query").value == "What is Llama 2?"
    assert app.dataframe and "lab_example" not in {button.key for button in app.button}


def test_chunks_are_seen_before_they_are_indexed_as_they_are_seen(
    tiny_embedder: ModelCard, own_data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[Any] = []
    monkeypatch.setattr(knowledge, "start", lambda name, paths=(), **more: started.append((name, list(paths), more)))
    app = opened("knowledge", kb="guangzhou", task="new")
    app.text_input(key="kb_name").input("fruit").run()
    assert app.button(key="kb_add").disabled, "there is nothing to add yet"
    app.text_area(key="kb_paste_").input(" ".join(f"Plum number {i} is blue." for i in range(60))).run()
    large = app.dataframe[0].value
    [size] = [slider for slider in app.slider if slider.key.startswith("kb_size")]
    size.set_value(40).run()
    small = app.dataframe[0].value
    assert len(small) > 2 * len(large) and max(small["Tokens"]) <= 40
    app.button(key="kb_add").click().run()
    [(name, [folder], more)] = started
    assert (name, more) == ("fruit", {"mode": "add", "size": 40, "overlap": 0, "embedder": tiny_embedder.name})
    knowledge.build(name, [folder], size=40)
    assert [row.text for row in knowledge.rows(name)] == list(small["Text"])
    tried = opened("knowledge", kb="fruit", task="rebuild")
    assert list(tried.dataframe[0].value["Text"]) == list(small["Text"])


def test_a_file_that_could_not_be_read_is_a_row_that_can_be_deleted(
    tiny_embedder: ModelCard, own_data_dir: Path, tmp_path: Path
) -> None:
    (tmp_path / "plums.md").write_text("Plums are blue.", "utf-8")
    (tmp_path / "cut.pdf").write_bytes(b"%PDF-1.4 cut off")
    knowledge.build("fruit", [tmp_path / "plums.md", tmp_path / "cut.pdf"])
    app = opened("knowledge", kb="fruit")
    assert dict(zip(app.dataframe[0].value["Document"], app.dataframe[0].value["Status"], strict=True)) == {
        "plums.md": "indexed",
        "cut.pdf": "could not be read",
    }
    assert "damaged" in str(list(app.dataframe[0].value["Why"]))
    assert "could not be read: 1." in app.warning[0].value
    knowledge.delete_document("fruit", "cut.pdf")
    assert not opened("knowledge", kb="fruit").warning


def test_a_base_that_is_not_there_leads_to_one_that_is() -> None:
    assert not opened("knowledge", kb="../../etc").error


@pytest.mark.parametrize("page", ["overview", "models"])
def test_the_page_loads_no_model_library(page: str) -> None:
    """In a process of its own, since other tests have loaded them all."""
    script = f"""
import sys, json
from streamlit.testing.v1 import AppTest
import streamlit_app
from streamlit.runtime.pages_manager import PagesManager
create = PagesManager.__init__
PagesManager.__init__ = lambda self, *given, **named: (
    setattr(PagesManager, "uses_pages_directory", False), create(self, *given, **named))[1]
app = AppTest.from_file({str(ROOT / "streamlit_app.py")!r}, default_timeout=60).run()
if {PAGES[page]!r}:
    app = app.switch_page({PAGES[page]!r}).run()
assert app.title[0].value == {words("en")[page]["title"]!r}, app.title
assert app.title and not app.exception, app.exception
print(json.dumps([name for name in ("torch", "transformers", "chromadb", "peft") if name in sys.modules]))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout.splitlines()[-1]) == []


def test_both_languages_have_the_same_words() -> None:
    def keys(table: dict, path: str = "") -> set[str]:
        found = set()
        for key, value in table.items():
            found |= keys(value, f"{path}{key}.") if isinstance(value, dict) else {path + key}
        return found

    english, chinese = words("en"), words("zh")
    assert "errors" not in english  # core speaks English itself
    chinese.pop("errors")
    assert keys(english) == keys(chinese)


def test_placeholders_agree_between_the_languages() -> None:
    import re

    def holes(table: dict, path: str = "") -> dict[str, set[str]]:
        found: dict[str, set[str]] = {}
        for key, value in table.items():
            if isinstance(value, dict):
                found |= holes(value, f"{path}{key}.")
            else:
                found[path + key] = set(re.findall(r"{(\w+)}", value))
        return found

    chinese = words("zh")
    for english, translated in chinese.pop("errors").items():
        assert set(re.findall(r"{(\w+)}", english)) == set(re.findall(r"{(\w+)}", translated)), english
    assert holes(words("en")) == holes(chinese)


def test_every_field_of_the_training_config_has_its_words_and_its_place() -> None:
    from core.ui import forms

    fields = set(config.TrainConfig.model_fields)
    placed = [*forms.HEAD, *forms.AT_HAND, *forms.PROMPTS, *(name for group in forms.GROUPS.values() for name in group)]
    assert sorted(placed) == sorted(fields)
    for language in ("en", "zh"):
        assert fields == set(words(language)["fields"])


def test_a_turn_is_found_again_while_it_is_answered(tiny_card: ModelCard) -> None:
    """The page of a second visit shows the kept answer of a question asked on another one."""
    from core.generation import turns
    from core.generation.ask import Arm
    from core.generation.engine import Engine, Options

    chat = chats.new()
    question = turns.Question("hello", "tiny", [Arm(False)], options=Options(max_new_tokens=8))
    turns.start(Engine(), chat, question)
    eventually(lambda: turns.live(chat["id"]) is None)
    app = opened("chat", chat=chat["id"])
    assert any("tokens/s" in element.body for element in app.get("html"))


@pytest.mark.parametrize(
    ("error", "said"),
    [(UserError("It is {what}.", "Ask less.", what="too long"), "It is too long. Ask less."), (None, "our side")],
)
def test_why_a_question_was_not_answered_is_still_said_after_a_refresh(error: UserError | None, said: str) -> None:
    chat = chats.new()
    told = error.as_dict() if error else {}
    chat["turns"] = [{"question": "Why?", "asked": 0.0, "kb": "", "answers": [], "error": told}]
    chats.save(chat)
    [shown] = opened("chat", chat=chat["id"]).error
    assert said in shown.value


def test_a_title_is_shown_as_it_is_and_loads_nothing() -> None:
    chat = chats.new()
    chat["turns"] = [{"question": "![i](http://a.b/c.png) **b** $x$", "asked": 0.0, "kb": "", "answers": []}]
    chats.save(chat)
    app = opened("chat")
    [label] = [button.label for button in app.button if button.key == f"open-{chat['id']}"]
    assert label.startswith(r"\!\[i\]\(http\:")
