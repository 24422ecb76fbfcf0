"""The Prompts page: one input with several strategies, templates edited, versions kept; and Chat's grid."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.evaluation import shots
from core.generation import ask, chats, prompts, templates, turns
from core.generation.engine import Engine
from core.generation.strategies import Example, Strategy
from core.models import store
from core.models.cards import ModelCard
from core.rag import knowledge
from core.training.data import datasets
from core.ui import resources
from tests.helpers.experiments import fake_run
from tests.helpers.waiting import eventually
from tests.pages.test_pages import PAGES, opened, words


@pytest.fixture(autouse=True)
def engine(tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> Iterator[Engine]:
    made = Engine()
    monkeypatch.setattr(resources, "engine", lambda: made)
    yield made


def shown(app: AppTest) -> str:
    everything = [*app.markdown, *app.caption, *app.code, *app.success]
    told = [*(str(element.value) for element in everything), *(element.body for element in app.get("html"))]
    return " ".join(told).replace("\\", "")


def press(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def answered(app: AppTest) -> dict[str, Any]:
    """The turn on screen, once it is kept."""
    eventually(lambda: turns.live(kept(app)) is None)
    app.run()
    assert not app.exception, app.exception
    return chats.load(kept(app))["turns"][-1]


def kept(app: AppTest) -> str:
    """The conversation in the address."""
    found: Any = app.query_params["chat"]
    return str(found if isinstance(found, str) else found[0])


def test_an_exercise_is_answered_with_all_strategies_at_once(tiny_card: ModelCard) -> None:
    app = opened("prompts")
    press(app, "exercise-odd")
    row = datasets.load("odd-numbers").questions()[0]
    assert app.text_area(key="prompts_text").value == row["input"]
    app.slider(key="prompts_length").set_value(16)
    turn = answered(press(app, "prompts_run"))
    assert (turn["question"], turn["dataset"]) == (row["input"], "odd-numbers")
    assert [answer["strategy"] for answer in turn["answers"]] == ["zero-shot", "few-shot", "cot"]
    assert f"The right answer: **{row['output']}**" in shown(app)
    assert "wrong" in shown(app)  # a random model is
    # The same page in a visit of its own, as after a refresh.
    again = opened("prompts", chat=kept(app))
    assert row["input"] in shown(again) and "few-shot" in shown(again)
    assert again.text_area(key="prompts_text").value == row["input"]
    assert again.selectbox(key="prompts_dataset").value == "odd-numbers"


def test_the_whole_prompts_are_shown_with_the_tokens_the_model_counts(tiny_card: ModelCard) -> None:
    app = press(opened("prompts"), "exercise-odd")
    app.slider(key="prompts_length").set_value(16).run()  # so that all examples have room
    tokenizer, _ = ask.tokenizer_and_config("tiny", store.directory(tiny_card))
    table = app.dataframe[0].value
    assert list(table["Strategy"]) == ["zero-shot", "few-shot", "cot"]
    for (_, line), code in zip(table.iterrows(), app.code, strict=True):
        whole = len(prompts.encode(tokenizer, prompts.conversation(code.value)))
        assert line["Tokens"] == whole == line[["Template", "Examples", "Passages", "Input", "Chat format"]].sum()
    assert app.code[1].value.count("Answer:") == 3


def test_an_answer_is_held_against_the_data_sets_own() -> None:
    from core.ui.prompts.prompts_view import is_right, right_answer

    row = datasets.load("odd-numbers").questions()[0]
    wanted = right_answer("odd-numbers", row["input"])
    assert wanted and wanted.references == (row["output"],)
    assert is_right(wanted, f"That is {row['output'].lower()}.")
    assert not is_right(wanted, "True or False")
    review = datasets.load("sentiment-zh").questions()[3]
    told = right_answer("sentiment-zh", review["input"])
    assert told and is_right(told, review["output"])
    assert right_answer("odd-numbers", "Who?") is None and right_answer("", "Who?") is None


def test_a_template_is_edited_tried_saved_taken_back_and_deleted() -> None:
    app = press(opened("prompts"), "exercise-odd")
    app.segmented_control(key="prompts_edited").set_value("cot").run()
    app.text_area(key="prompt/cot/text-en").set_value("First thoughts: {question}").run()
    assert "First thoughts: The odd numbers" in shown(app) and "cot*" in shown(app)  # tried before it is saved
    press(app, "save-cot")
    assert "has no name" in app.error[0].value
    app.text_input(key="prompt/cot/name").set_value("mine").run()
    press(app, "save-cot")
    assert templates.load("mine").text["en"] == "First thoughts: {question}"
    assert app.multiselect(key="prompts_strategies").value == ["zero-shot", "few-shot", "cot", "mine"]
    assert "cot*" not in shown(app)

    app.text_area(key="prompt/mine/text-en").set_value("Second thoughts: {question}").run()
    press(app, "save-mine")
    both = templates.versions("mine")
    assert [one.text["en"].split()[0] for one in both] == ["Second", "First"]
    app.selectbox(key=f"prompt/mine/version-{both[0].version}").set_value(both[1].version).run()
    assert app.text_area(key="prompt/mine/text-en").value.startswith("First")
    press(app, "save-mine")
    assert templates.load("mine").version == both[1].version and len(templates.versions("mine")) == 2
    press(app, "delete-mine")
    assert "mine" not in templates.listing()
    assert app.multiselect(key="prompts_strategies").value == ["zero-shot", "few-shot", "cot"]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_template_without_its_question_is_refused_in_words_and_kept_in_the_field(language: str) -> None:
    app = press(opened("prompts", language), "exercise-odd")
    app.segmented_control(key="prompts_edited").set_value("few-shot").run()
    app.text_area(key="prompt/few-shot/text-en").set_value("No place at all, {examples}").run()
    press(app, "save-few-shot")
    assert len(app.error) == 1, "said once, where it can be mended"
    assert "{question}" in app.error[0].value and app.button(key="prompts_run").disabled
    app.segmented_control(key="prompts_edited").set_value("cot").run()
    assert len(app.error) == 1 and "{question}" in app.error[0].value, "while another one is in the editor, too"
    app.segmented_control(key="prompts_edited").set_value("few-shot").run()
    app.switch_page("pages/overview.py").run()
    app.switch_page(PAGES["prompts"]).run()
    assert app.text_area(key="prompt/few-shot/text-en").value == "No place at all, {examples}"
    assert app.text_area(key="prompts_text").value.startswith("The odd numbers")
    press(app, "reset-few-shot")
    assert not app.error and not app.button(key="prompts_run").disabled


def test_the_grid_answers_with_every_arm_at_once(
    tiny_card: ModelCard, tiny_embedder: ModelCard, tiny_adapters: list[Path], tmp_path: Path
) -> None:
    notes = tmp_path / "a.md"
    notes.write_text("A llama carries loads.", "utf-8")
    knowledge.build("notes", [notes])
    fake_run("run-a", tiny_adapters[0])
    app = opened("chat")
    app.segmented_control(key="chat_mode").set_value("grid").run()
    app.selectbox(key="chat_kb_new").set_value("notes")
    app.multiselect(key="live_strategies").set_value(["zero-shot", "few-shot"])
    app.slider(key="chat_length").set_value(16).run()
    assert "8 answers at once" in shown(app)
    app.selectbox(key="live_dataset").set_value("odd-numbers")
    app.chat_input(key="chat_input").set_value("A llama carries loads.").run()
    turn = answered(app)
    arms = [(answer["adapter"], answer["strategy"], answer["rag"]) for answer in turn["answers"]]
    assert arms == [(a, s, r) for a in (None, "run-a") for s in ("zero-shot", "few-shot") for r in (False, True)]
    assert all(answer["text"] and answer["finish"] for answer in turn["answers"])
    assert [bool(answer["passages"]) for answer in turn["answers"]] == [False, True] * 4
    app.multiselect(key="live_strategies").set_value(["zero-shot", "few-shot", "cot"]).run()
    app.chat_input(key="chat_input").set_value("And an owl?").run()
    assert "12" in app.error[0].value and not app.exception


def test_how_many_examples_had_room_is_said_beside_the_preview_and_under_the_answer(
    tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tuple(Example(f"What is animal {number}?", f"{number} legs. " * 9) for number in range(9))
    monkeypatch.setattr(shots, "prepared", lambda chosen, *rest: [Strategy(one, long) for one in chosen])
    app = opened("prompts")
    app.multiselect(key="prompts_strategies").set_value(["few-shot"])
    app.text_area(key="prompts_text").set_value("What is a llama?")
    app.slider(key="prompts_length").set_value(16).run()
    preview = shown(app)
    [answer] = answered(press(app, "prompts_run"))["answers"]
    assert answer["text"] and answer["left_out"] > 0
    told = f"{answer['examples']} of 9 examples had room"
    assert f"few-shot · {told}" in preview and f" · {told}" in shown(app)
    assert not app.warning, "the prompt fits now"
    again = opened("prompts", chat=kept(app))  # as after a refresh
    assert again.multiselect(key="prompts_strategies").value == ["few-shot"]
    assert again.selectbox(key="prompts_model").value == answer["model"]


def test_a_data_set_that_fits_is_proposed_for_examples(tiny_card: ModelCard, tiny_adapters: list[Path]) -> None:
    assert shots.default("", "羊驼是什么？") == "rag-qa-zh"
    assert shots.default("", "What?") == "rag-qa-en"
    assert shots.default("nowhere", "What?") == "rag-qa-en"
    row = datasets.load("odd-numbers").examples()[0]
    [few] = shots.prepared([templates.load("few-shot")], row["input"], "odd-numbers")
    assert len(few.examples) == 3 and row["input"] not in [one.question for one in few.examples]
    similar = replace(templates.load("few-shot"), pick="similar", shots=2)
    [near] = shots.prepared([similar], "Add 25, 8, 29, 15, 12, 5, 7", "odd-numbers")
    assert len(near.examples) == 2
    assert shots.prepared([templates.load("cot")], "Why?", "no such set")[0].examples == ()


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_kind_of_strategy_has_its_words(language: str) -> None:
    assert set(words(language)["prompts"]["kinds"]) == set(templates.KINDS)
