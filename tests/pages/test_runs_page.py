"""The Runs part of Fine-tune, run by Streamlit's own test harness: listed, opened, watched, moved and deleted."""

import json
import os
import time
from pathlib import Path
from shutil import copytree
from typing import Any

import psutil
import pytest
from streamlit.testing.v1 import AppTest

from core import files, jobs, queue
from core.models import cards
from core.models.cards import ModelCard
from core.settings import settings
from core.training import predict, runs
from core.training.data import datasets
from core.ui import i18n, resources
from core.ui.training import run_list_view, run_take_view
from tests.helpers import runs as stored
from tests.helpers.waiting import eventually
from tests.pages.test_pages import opened as app_opened
from tests.pages.test_pages import words

PART = """
import streamlit as st
from core.ui.training import runs_view
st.session_state["language"] = "{language}"
runs_view.page()
"""
A, B, C = (f"20260101-00000{number}-{name}-0001" for number, name in enumerate("abc"))


@pytest.fixture(autouse=True)
def no_work_of_another_test() -> None:
    resources.works.clear()


def opened(language: str = "en", **query: str) -> AppTest:
    app = AppTest.from_string(PART.format(language=language), default_timeout=60)
    for key, value in query.items():
        app.query_params[key] = value
    app.run()
    assert not app.exception, app.exception
    return app


def pressed(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def html(app: AppTest) -> str:
    return " ".join(element.proto.body for element in app.get("html"))


def captions(app: AppTest) -> str:
    return " ".join(caption.value for caption in app.caption)


def charts(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def logged(run_id: str, rate: float = 1.0, **changes: Any) -> Path:
    """A finished run with a curve of 30 steps and two measurements."""
    folder = stored.make(run_id, name=run_id[16:17] + " run", **changes)
    points = [{"step": n, "loss": 3 - rate * n / 30, "learning_rate": 1e-4, "grad_norm": 1.0} for n in range(1, 31)]
    stored.log(folder, [*points, {"step": 15, "eval_loss": 2.5}, {"step": 30, "eval_loss": 2.25}])
    return folder


def test_the_newest_run_is_on_screen_unless_the_address_names_another_one() -> None:
    logged(A), logged(B)
    assert opened().subheader[0].value == "b run"
    assert opened(run=A).subheader[0].value == "a run"
    assert opened(run="../../etc").subheader[0].value == "b run"
    stored.make(C, status=jobs.RUNNING)
    jobs.create(runs.folder(C), jobs.STARTING)
    assert opened().subheader[0].value == "tiny", "one that is at work comes before the newest"


@pytest.mark.parametrize(("language", "said"), [("en", "Preparing…"), ("zh", "准备中…")])
def test_a_run_that_does_not_know_its_steps_yet_says_that_it_is_prepared(language: str, said: str) -> None:
    folder = stored.make(status=jobs.RUNNING)
    created = psutil.Process().create_time()
    files.write_json(folder / "process.json", {"pid": os.getpid(), "create_time": created})
    jobs.update(folder, step=0, steps=0)
    page = html(opened(language))
    assert said in page and "?" not in page
    jobs.update(folder, steps=40)
    page = html(opened(language))
    assert "0 / 40" in page and said not in page
    jobs.update(folder, status=jobs.FAILED, steps=0)
    assert said not in html(opened(language)), "nothing is prepared any more"


def test_the_list_is_searched_and_filtered() -> None:
    logged(A), logged(B, method="dora")
    runs.annotate(A, tags=["Wide one"])
    stored.make(C, status=jobs.FAILED)
    app = opened(run=A)
    assert list(app.dataframe[0].value["Name"]) == ["tiny", "b run", "a run"]
    for text, found in (("wide", ["a run"]), ("DORA run", ["b run"]), ("nothing", None)):
        app.text_input(key="runs_search").set_value(text).run()
        names = [list(table.value["Name"]) for table in app.dataframe if "Name" in table.value]
        assert names == ([found] if found else [])
        assert app.subheader[0].value == "a run", "what is open stays open"
    app.text_input(key="runs_search").set_value("").run()
    app.multiselect(key="runs_status").set_value([jobs.FAILED]).run()
    assert list(app.dataframe[0].value["Name"]) == ["tiny"]


def test_ones_own_data_set_is_called_as_its_owner_called_it() -> None:
    name = datasets.add("简历", [{"input": f"{n}?", "output": f"{n}!"} for n in range(4)])
    stored.make(dataset=name)
    app = opened()
    assert list(app.dataframe[0].value["Data set"]) == ["简历"] and "简历" in captions(app)
    app.text_input(key="runs_search").set_value("简历").run()
    assert list(app.dataframe[0].value["Data set"]) == ["简历"]
    assert datasets.called("/home/some/animals.jsonl") == "animals.jsonl"
    assert datasets.called("gone") == "gone"


def test_hundreds_of_runs_are_listed_in_a_blink() -> None:
    first = stored.make(A)
    for number in range(299):
        copytree(first, first.with_name(f"20260101-000000-b-{number:04}"))
    rows = runs.listing()
    began = time.perf_counter()
    assert len([row for row in runs.listing() if run_list_view.matches(row, "tiny animals", [])]) == len(rows) == 300
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_run_is_watched_with_its_curves_answers_and_alerts(language: str) -> None:
    folder = logged(A)
    for step, text in ((0, "x"), (15, "<script>alert(1)</script>"), (30, "a llama")):
        files.append_jsonl(folder / "samples.jsonl", {"step": step, "prompt": "Who <b>is</b> it?", "text": text})
    alerts = [
        {"code": "loss_not_falling", "steps": 40, "first": 3.0, "last": 3.1},
        {"code": "eval_rising", "best": 2.0, "last": 2.5, "count": 2},
    ]
    files.write_json(
        folder / "state.json", {"status": jobs.FINISHED, "step": 30, "eval_loss": 2.25, "steps": 30, "alerts": alerts}
    )
    app = opened(language, run=A)
    loss, rate, norm = charts(app)
    assert [trace.get("name", "") for trace in loss["data"]][1:] == [
        words(language)["runs"]["chart"][name] for name in ("train", "test")
    ]
    assert [chart["layout"]["title"]["text"] for chart in (rate, norm)] == [
        words(language)["runs"]["chart"][name] for name in ("learning_rate", "grad_norm")
    ]
    shown = html(app)
    assert "<script>" not in shown and "&lt;script&gt;" in shown and "Who &lt;b&gt;is&lt;/b&gt; it?" in shown
    assert shown.index("a llama") < shown.index("&lt;script&gt;"), "the newest answer stands on top"
    assert [("3.1" in warning.value, "2.5" in warning.value) for warning in app.warning] == [
        (True, False),
        (False, True),
    ]
    assert "<b>30 / 30</b>" in shown and "<b>2.250</b>" in shown


def test_several_runs_lie_over_one_another_and_their_settings_side_by_side() -> None:
    logged(A, learning_rate=1e-3), logged(B, rate=2.0, learning_rate=2e-3)
    app = opened(run=f"{A},{B}")
    [chart] = charts(app)
    names = [trace["name"] for trace in chart["data"] if trace.get("name")]
    assert names == ["a run", "b run"]
    dashes = {(trace["line"]["color"], trace["line"].get("dash")) for trace in chart["data"] if trace.get("name")}
    assert len(dashes) == 2
    [table] = [table.value for table in app.dataframe if "Learning rate" in table.value.index]
    assert table.loc["Learning rate"].to_dict() == {"a run": "0.001", "b run": "0.002"}
    assert list(table.index) == ["Learning rate"]
    [results] = [table.value for table in app.dataframe if "Status" in table.value.index]
    assert results.loc["Steps"].to_dict() == {"a run": "40 / 40", "b run": "40 / 40"}


def test_the_queue_is_shown_reordered_and_left() -> None:
    logged(A)
    waiting = []
    for run_id in (B, C):
        waiting.append(stored.make(run_id))
        jobs.create(waiting[-1], jobs.QUEUED)
        queue.enter(waiting[-1])
    app = opened(run=A)
    assert [mark.value for mark in app.markdown if "waits" in mark.value] == ["1. waits · tiny", "2. waits · tiny"]
    assert app.button(key=f"up-{B}").disabled and app.button(key=f"down-{C}").disabled
    pressed(app, f"first-{C}")
    assert [ticket.job.name for ticket in queue.line()] == [C, B]
    pressed(app, f"down-{C}")
    assert [ticket.job.name for ticket in queue.line()] == [B, C]
    assert "Waits for the device: 1 ahead of it." in " ".join(caption.value for caption in opened(run=C).caption)
    pressed(app, f"cancel-{C}")
    assert jobs.stop_asked(waiting[1]) and not jobs.stop_asked(waiting[0])


def test_a_run_gets_a_name_tags_and_notes() -> None:
    logged(A)
    app = opened()
    app.text_input(key=f"about_name_{A}").set_value("The *first*").run()
    app.text_area(key=f"about_notes_{A}").set_value("with <b>care</b>").run()
    pressed(app, f"about_keep_{A}")
    assert (runs.show(A)["name"], runs.show(A)["notes"]) == ("The *first*", "with <b>care</b>")
    assert app.subheader[0].value == r"The \*first\*"
    app.text_input(key=f"about_name_{A}").set_value(" ").run()
    assert pressed(app, f"about_keep_{A}").error


def test_deleting_asks_and_says_what_would_miss_the_run() -> None:
    logged(A), logged(B)
    answer = {"adapter": f"{A}@20", "text": "yes"}
    files.write_json(settings().chats_dir / "c1.json", {"title": "On *plums*", "turns": [{"answers": [answer]}]})
    files.write_json(settings().experiments_dir / "e1" / "inputs.json", {"arms": [{"adapter": A}], "rows": []})
    app = pressed(opened(run=A), f"run_delete_{A}")
    said = " ".join(mark.value for mark in app.markdown)
    assert r"On \*plums\*" in said and "e1" in said
    pressed(app, f"run_delete_not_{A}")
    assert {run["id"] for run in runs.listing()} == {A, B}
    pressed(app, f"run_delete_{A}"), pressed(app, f"run_delete_do_{A}")
    assert [run["id"] for run in runs.listing()] == [B]
    assert app.subheader[0].value == "b run"


def test_what_is_pressed_beside_a_run_that_is_gone_does_not_meet_another_one() -> None:
    logged(A), logged(B)
    app = opened(run=A)
    runs.delete(A)  # in another tab
    pressed(app, f"run_delete_{A}")
    assert app.subheader[0].value == "b run"
    assert f"run_delete_do_{B}" not in {button.key for button in app.button}


def test_what_ended_early_can_go_on_and_what_failed_before_a_checkpoint_cannot() -> None:
    for run_id, status in ((A, jobs.STOPPED), (B, jobs.FAILED), (C, jobs.FAILED)):
        stored.make(run_id, status)
    stored.checkpoint(runs.folder(C), 10)
    offered = {
        run_id: f"run_resume_{run_id}" in {button.key for button in opened(run=run_id).button} for run_id in (A, B, C)
    }
    assert offered == {A: True, B: False, C: True}


def test_how_a_run_is_made_again_can_be_copied() -> None:
    logged(A)
    codes = [code.value for code in opened().code]
    assert any(code.startswith("python -m core train") for code in codes)
    assert (runs.folder(A) / "config.toml").read_text("utf-8").strip() in codes


def test_a_checkpoint_leads_to_compare(tiny_card: ModelCard) -> None:
    folder = logged(A)
    files.write_json(folder / "state.json", {"status": jobs.FINISHED, "adapter": True})
    (folder / "adapter").mkdir()
    for step in (15, 30):
        stored.checkpoint(folder, step)
    app = app_opened("finetune", run=A)
    kept = next(table.value for table in app.dataframe if "Best" in table.value)
    assert kept.to_dict("list") == {"Step": [15, 30], "Test loss": [2.5, 2.25], "Best": ["", "★"]}
    app.button(key=f"to_compare_{A}@30").click().run()
    assert app.session_state["compare_run"] == f"{A}@30" and not app.exception
    chat = app_opened("chat", adapter=f"{A}@15")
    assert (chat.selectbox(key="chat_model").value, chat.selectbox(key="chat_adapter").value) == ("tiny", f"{A}@15")


def test_a_run_is_merged_into_a_model_and_the_check_is_shown(tiny_card: ModelCard, tiny_adapters: list[Path]) -> None:
    folder = logged(A)
    files.write_json(folder / "state.json", {"status": jobs.FINISHED, "adapter": True})
    copytree(tiny_adapters[0], folder / "adapter")
    app = app_opened("finetune", run=A)
    app.text_input(key=f"merge_name_{A}").set_value("merged").run()
    pressed(app, "merge_do")
    eventually(lambda: resources.works()[A].done, 60)
    app.run()
    assert "merged" in cards.catalog() and not app.error
    count = resources.works()[A].result.verification.prompts
    assert f"{count} of {count} answers the same" in app.success[0].value


def test_a_classifier_is_asked_for_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    """The screen alone: what the classifier says is tested in tests/training."""
    folder = logged(A, task="classify")
    files.write_json(folder / "state.json", {"status": jobs.FINISHED, "model": True})
    asked: list[str] = []
    monkeypatch.setattr(predict, "load", lambda run_id: run_id)

    def said(model: str, texts: list[str]) -> list[dict[str, Any]]:
        asked.extend(texts)
        return [{"text": "good", "scores": {"bad": 0.25, "good": 0.75}}] * len(texts)

    monkeypatch.setattr(predict, "predict", said)
    app = opened()
    assert app.button(key="predict_do").disabled
    app.text_area(key=f"predict_{A}").set_value("Fine.\n\n Not bad. ").run()
    pressed(app, "predict_do")
    assert asked == ["Fine.", "Not bad."]
    table = next(table.value for table in app.dataframe if "Label" in table.value)
    assert table.to_dict("list") == {
        "Text": ["Fine.", "Not bad."], "Label": ["good", "good"], "bad": [0.25, 0.25], "good": [0.75, 0.75],
    }  # fmt: skip


def test_an_exported_run_is_taken_in_again(tiny_card: ModelCard, tiny_adapters: list[Path]) -> None:
    folder = logged(A)
    files.write_json(folder / "state.json", {"status": jobs.FINISHED, "adapter": True})
    copytree(tiny_adapters[0], folder / "adapter")
    packed = run_take_view.zipped(A)
    runs.delete(A)
    logged(B)
    app = opened()
    app.file_uploader[0].upload("run.zip", packed, "application/zip").run()
    pressed(app, "runs_import_do")
    assert app.subheader[0].value == "a run" and runs.show(A)["imported"]
    assert app.file_uploader[0].value is None, "the file must not be taken in once more"


def test_every_alert_and_status_has_its_words() -> None:
    from core import lifecycle
    from core.training import callbacks

    rising = callbacks.alerts([3.0] * 40, [1.0, 2.0, 2.0])
    codes = {alert["code"] for alert in rising}
    assert codes == {"loss_not_falling", "eval_rising"}
    for language in i18n.LANGUAGES:
        table = words(language)["runs"]
        assert all(code in table["alerts"] and f"{code}_hint" in table["alerts"] for code in codes)
        assert set(table["is"]) == {*lifecycle.LIVE, *lifecycle.RESUMABLE, jobs.FINISHED, "imported", "anew"}


@pytest.mark.parametrize("status", [jobs.STOPPED, jobs.INTERRUPTED])
def test_a_run_that_ended_before_its_first_checkpoint_begins_anew(status: str) -> None:
    folder = stored.make(status=status)
    app = opened()
    assert app.button(key=f"run_resume_{folder.name}").label == "Begin anew"
    assert "nothing is kept" in captions(app) and "had learned is kept" not in captions(app)
    stored.checkpoint(folder, 10)
    app = opened()
    assert app.button(key=f"run_resume_{folder.name}").label == "Go on from the last checkpoint"
    assert "nothing is kept" not in captions(app)


def test_thousands_of_steps_have_a_cell_they_fit_into() -> None:
    folder = stored.make()
    assert 'class="cells"' in html(opened())
    jobs.update(folder, step=1611, steps=4000)
    assert 'class="cells wide"' in html(opened())
