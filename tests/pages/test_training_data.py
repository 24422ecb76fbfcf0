"""The New run and Data parts of Fine-tune, run by Streamlit's own test harness."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import jobs
from core.charts import data_charts
from core.errors import UserError
from core.models import memory
from core.models.cards import ModelCard
from core.rag import embedding
from core.training import config, runs
from core.training.data import checks, datasets, intake, preview
from core.ui import resources
from core.ui.i18n import in_words
from core.ui.training import data_intake_view, data_view, new_run_view
from tests.helpers.stub_hub import StubHub
from tests.helpers.waiting import eventually
from tests.pages.test_pages import opened

PHI = "dialogue-summary-phi2"


def table(app: AppTest, column: str) -> Any:
    """The table on screen that has a column."""
    return next(element.value for element in app.dataframe if column in element.value.columns)


def test_the_address_says_which_part_is_on_screen(tiny_card: ModelCard) -> None:
    assert opened("finetune").selectbox(key="train_recipe").value == new_run_view.EXAMPLE
    assert set(table(opened("finetune", view="data"), "Layout")["Name"]) >= {"resume-extraction", "rag-qa-zh"}
    assert not opened("finetune", "zh", view="data").exception


def test_a_recipe_fills_the_form_and_is_made_small_where_its_model_is_not(tiny_card: ModelCard) -> None:
    app = opened("finetune")
    app.selectbox(key="train_recipe").set_value(PHI).run()
    recipe = config.load(PHI)
    assert (app.number_input(key="train_rank").value, app.selectbox(key="train_method").value) == (32, "qlora-4bit")
    assert app.session_state["train_model"] == recipe.model and app.button(key="train_start").disabled
    assert config.parse(app.code[1].value.encode(), "shown") == recipe

    app.button(key="train_small").click().run()
    assert app.session_state["train_model"] == "tiny" and not app.button(key="train_start").disabled
    shown = config.parse(app.code[1].value.encode(), "shown")
    assert shown == recipe.model_copy(update=new_run_view.small(recipe))


def test_fields_without_a_meaning_are_not_asked_for(tiny_card: ModelCard) -> None:
    app = opened("finetune")
    app.selectbox(key="train_method").set_value("freeze").run()
    assert app.number_input(key="train_frozen_layers").value == 0
    assert "train_rank" not in {element.key for element in app.number_input}
    app.multiselect(key="train_mixture").set_value(["rag-qa-zh"]).run()
    app.number_input(key="train_mixture_weight_rag-qa-zh").set_value(0.5)
    app.text_area(key="train_prompts_1").set_value("Who?").run()
    shown = config.parse(app.code[1].value.encode(), "shown")
    assert (shown.mixture, shown.prompts) == ({"rag-qa-zh": 0.5}, ["Who?"])


def test_what_does_not_fit_is_told_with_settings_that_do(tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    from core.training import estimate, footprint

    app = opened("finetune")
    app.number_input(key="train_batch_size").set_value(16).run()
    shown = config.parse(app.code[1].value.encode(), "shown").resolved()
    one = footprint.need(shown.model_copy(update={"batch_size": 1})).total
    monkeypatch.setattr(memory, "free", lambda where: one)
    monkeypatch.setattr("core.ui.resources.held", lambda: 0)  # whatever an earlier test had the engine load
    expected = estimate.estimate(shown)
    app.run()
    assert expected.proposal and app.warning
    app.button(key="train_proposal").click().run()
    after = config.parse(app.code[1].value.encode(), "shown")
    assert {name: getattr(after, name) for name in expected.proposal} == expected.proposal
    assert after.batch_size * after.accumulation == 16 and not app.warning


def test_models_that_the_app_holds_are_unloaded_with_one_click(
    tiny_card: ModelCard, tiny_embedder: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = resources.engine()
    engine.load("tiny").result()
    embedding.embed(["warm"], "query")
    answers = engine.loaded().memory
    assert resources.held() == answers + embedding.loaded().memory > answers > 0
    monkeypatch.setattr(memory, "free", lambda where: 10**6)
    app = opened("finetune")
    app.button(key="train_unload").click().run()
    assert resources.held() == 0
    assert "train_unload" not in {button.key for button in app.button}


def test_a_hubs_data_set_is_taken_in_while_the_page_lives_and_found_again_after_a_refresh(
    stub_hub: StubHub,
) -> None:
    rows = "".join(json.dumps({"instruction": f"What is {n}?", "output": f"It is {n}."}) + "\n" for n in range(200))
    stub_hub.datasets["o/d"] = {"train.jsonl": rows.encode()}
    stub_hub.hold["train.jsonl"] = len(rows) // 2

    def reached(name: str, status: str) -> None:
        eventually(lambda: (now := intake.progress(name)) and now.status == status)

    app = opened("finetune", view="data")
    app.text_input(key="data_address_0").set_value("hf:o/d").run()
    app.button(key="data_read").click().run()
    assert not app.exception
    name = app.query_params["intake"]
    eventually(lambda: intake.progress(name).total == len(rows))
    again = opened("finetune", view="data", intake=name)  # another session, as after a refresh
    assert again.button(key="data_job_stop") and again.button(key="data_read").disabled
    again.button(key="data_job_stop").click().run()
    reached(name, jobs.STOPPED)
    stub_hub.release()
    app.run()
    app.button(key="data_job_again").click().run()
    reached(name, jobs.FINISHED)
    app.run()
    assert not app.exception and app.query_params["intake"] == name
    assert app.session_state["data_intake"]["found"]["train"].report.rows == 200
    app.selectbox(key="data_field_1_alpaca_input").set_value("output").run()  # checked again, by the worker
    reached(name, jobs.FINISHED)
    app.run()
    assert app.session_state["data_intake"]["found"]["train"].mapping.columns["input"] == "output"
    app.button(key="data_keep").click().run()
    eventually(lambda: intake.progress(name).kept)
    app.run()
    kept = app.query_params["data"]
    assert not app.exception and "intake" not in app.query_params and intake.progress(name) is None
    assert len(datasets.load(kept).train) + len(datasets.load(kept).test) == 200

    app.text_input(key="data_address_1").set_value("hf:o/none").run()
    app.button(key="data_read").click().run()
    reached(app.query_params["intake"], jobs.FAILED)
    app.run()
    assert "o/none" in app.error[0].value
    app.button(key="data_job_leave").click().run()
    assert not app.error and "intake" not in app.query_params


def test_the_first_visitor_has_one_button(tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[config.TrainConfig] = []
    monkeypatch.setattr(runs, "start", lambda asked: started.append(asked) or "20260102-030405-x-abcd")
    app = opened("finetune")
    app.button(key="train_example").click().run()
    assert [asked.dataset for asked in started] == ["resume-extraction"]
    assert app.query_params["run"] == "20260102-030405-x-abcd"


def test_only_models_that_can_learn_the_rows_are_offered() -> None:
    labels, chats = config.make({"dataset": "sentiment-en"}), config.make({"dataset": "resume-extraction"})
    assert "bert-base-chinese" in new_run_view.models_for(labels, "label")
    assert not set(new_run_view.models_for(labels, "label")) & set(new_run_view.models_for(chats, "chat"))
    assert "t5-small" in new_run_view.models_for(chats, "chat")


def test_a_file_that_names_a_model_which_is_not_there_is_not_filled_in_with_another() -> None:
    assert new_run_view.filling(config.make({"dataset": "sentiment-en", "model": "t5-small"}))["model"] == "t5-small"
    with pytest.raises(UserError, match="nope"):
        new_run_view.filling(config.make({"dataset": "sentiment-en", "model": "nope"}))


def test_broken_rows_are_named_left_out_and_the_rest_is_kept(tiny_card: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    rows = "".join(f"what is {number} times seven,{7 * number}\n" for number in range(20))
    path.write_text("ask,tell\n" + rows + "and this,\n", "utf-8")
    app = opened("finetune", view="data")
    app.text_input(key="data_address_0").set_value(str(path)).run()
    app.button(key="data_read").click().run()
    app.selectbox(key="data_layout_1").set_value("pair").run()
    app.selectbox(key="data_field_1_pair_input").set_value("ask").run()
    app.selectbox(key="data_field_1_pair_output").set_value("tell").run()
    assert not app.exception
    [problem] = [row for row in table(app, "Reason").to_dict("records") if row["Severity"] == "must be fixed"]
    assert (problem["Row"], problem["Field"], problem["Reason"]) == (21, "tell", "empty")
    assert "data_keep" not in {button.key for button in app.button}  # stops at such a row unless told to skip it
    assert "Row 21" in app.error[0].value and "leave them out" in app.error[0].value
    app.radio(key="data_must_1").set_value("skip").run()
    app.text_input(key="data_label_1").set_value("问与答").run()
    app.number_input(key="data_share_1").set_value(20).run()
    for view in ("runs", "data"):  # a look elsewhere, and back
        app.segmented_control(key="train_view").set_value(view).run()
    assert (app.text_input(key="data_label_1").value, app.number_input(key="data_share_1").value) == ("问与答", 20)
    app.button(key="data_keep").click().run()
    assert not app.exception and not app.error
    [name] = [about["name"] for about in datasets.catalog() if not about["shipped"]]
    kept = datasets.load(name)
    assert len(kept.train) + len(kept.test) == 20
    assert table(app, "Layout")["From"][0] != table(app, "Layout")["From"][1], "one's own stands first"
    app.button(key="data_use").click().run()
    assert app.selectbox(key="train_dataset").value == kept.name


def test_what_is_wrong_with_a_whole_file_is_said_in_full(
    tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "bare.csv"
    path.write_text("ask,tell\n", "utf-8")
    app = opened("finetune", view="data")
    app.text_input(key="data_address_0").set_value(str(path)).run()
    app.button(key="data_read").click().run()
    assert app.error[0].value == "there are no rows" and not any("Reason" in one.value for one in app.dataframe)
    [problem] = checks.inspect("bare.csv", b"\xff\x81\xfe" * 99).report.problems
    monkeypatch.setattr("core.ui.i18n.language", lambda: "zh")
    told = data_intake_view.words(problem)
    assert told.startswith("文件无法读取：") and "Save it" not in told and "UTF-8" in told
    monkeypatch.setattr("core.ui.i18n.language", lambda: "en")
    words = {"message": "{hub} broke off: {why}", "hint": "Start again.", "values": {"hub": "It", "why": "no route"}}
    assert in_words(words) == "It broke off: no route. Start again."


def test_test_rows_that_stand_in_the_train_rows_are_listed(tiny_card: ModelCard) -> None:
    rows = [{"input": f"the question number {number} about {'abcdefgh'[number]}", "output": "x"} for number in range(8)]
    name = datasets.add("leaky", rows, [rows[3], {"input": "something else entirely", "output": "y"}])
    app = opened("finetune", view="data", data=name)
    assert any("1 of 2" in warning.value for warning in app.warning)
    [leak] = table(app, "Train row").to_dict("records")
    assert (leak["Test row"], leak["Train row"], leak["Alike"]) == (1, 4, 1.0)


def test_tokens_are_marked_and_never_rendered() -> None:
    shown = data_view.marked([("<img src=x>", False), ('"&', True)])
    assert shown == "<i>&lt;img src=x&gt;</i><i class=learned>&quot;&amp;</i>"


def test_the_chart_of_lengths_has_every_example_once() -> None:
    tokens = [3, 5, 5, 8, 13, 21, 34, 55]
    found = preview.histogram(tokens, 20, bins=8)
    words = dict.fromkeys(("title", "subtitle", "x", "y", "kept", "cut", "limit"), "w")
    figure = data_charts.lengths(found, 20, words, {"kept": "#64748B", "cut": "#B45309"}, "#111827")
    kept, cut = figure.data
    width = kept.width[0]
    assert sum(kept.y) + sum(cut.y) == len(tokens)
    assert sum(cut.y) == sum(length >= width * -(-21 // width) for length in tokens)  # bars wholly beyond the line
    assert figure.layout.shapes[0].x0 == 20
    json.loads(figure.to_json())
