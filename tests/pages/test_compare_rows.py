"""Rows, galleries and the blind vote of a comparison, run by Streamlit's own test harness."""

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import files
from core.evaluation import experiments, votes
from core.evaluation.metrics import ROUGE
from core.evaluation.votes import SAME, A, B, Poll
from core.ui import i18n
from tests.helpers.experiments import EVIL, RIGHT, keep, made, square

VIEW = """
import streamlit as st
from core.evaluation import experiments
from core.evaluation.results import kept
from core.ui.compare import {view}
st.session_state["language"] = "{language}"
name = "{name}"
experiment = experiments.show(name)
{view}.show(experiment, kept(experiments.folder(name), experiment))
"""
PASSAGE = {
    "text": f"The passage says so {EVIL}",
    "source": "a.md",
    "score": 0.5,
}  # no place in a document: nothing to link to


@pytest.fixture
def folder(own_data_dir: Path) -> Path:
    experiment = made(square(), RIGHT)
    row = experiment["answers"][0]
    row |= {"passages": [PASSAGE], "examples": {"zero-shot": [{"question": "shown?", "answer": "yes"}]}}
    row["prompts"] = {"zero-shot": f"Say it. {EVIL}", "zero-shot+kb": "Read, then say it."}
    row["answers"]["run-a"]["reasoning"] = f"First, {EVIL}"
    drawn = row["answers"]["run-a+kb"]
    drawn["repeats"] = [dict(drawn), {**drawn, "text": f"drawn again {EVIL}"}]
    return keep(experiment)


def opened(folder: Path, view: str, language: str = "en", **query: str) -> AppTest:
    app = AppTest.from_string(VIEW.format(view=view, language=language, name=folder.name), default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    app.run()
    assert not app.exception, app.exception
    return app


def bodies(app: AppTest) -> list[str]:
    return [element.proto.body for element in app.get("html")]


def numbers(app: AppTest) -> list[int]:
    return list(app.dataframe[0].value["row"])


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_first_arm_is_held_against_the_last_those_that_gained_most_first(folder: Path, language: str) -> None:
    words = i18n.table(language)["rows"]
    app = opened(folder, "rows_view", language)
    assert numbers(app)[:2] == [2, 3] and len(numbers(app)) == 24
    assert set(app.dataframe[0].value["effect"]) == {f"▲ {words['helped']}", f"= {words['unchanged']}"}
    assert app.subheader[0].value == words["number"].format(row=2)


def test_rows_are_filtered_and_searched(folder: Path) -> None:
    app, key = opened(folder, "rows_view"), folder.name
    app.selectbox(key=f"rows_metric_{key}").set_value("exact")
    app.selectbox(key=f"rows_b_{key}").set_value("base+kb").run()
    app.segmented_control(key=f"rows_effect_{key}").set_value("hurt").run()
    assert numbers(app) == [1] and list(app.dataframe[0].value["delta"]) == [-1.0]
    assert app.subheader[0].value == "Row 1"
    app.segmented_control(key=f"rows_effect_{key}").set_value("").run()
    app.text_input(key=f"rows_words_{key}").set_value("question 17").run()
    assert numbers(app) == [18] and app.query_params["row"] == "18"
    app.text_input(key=f"rows_words_{key}").set_value("nobody said this").run()
    assert [info.value for info in app.info] == [i18n.table("en")["rows"]["nothing"]]


def test_a_row_opens_by_its_address_with_all_that_was_read_and_nothing_live(folder: Path) -> None:
    app = opened(folder, "rows_view", row="1")
    assert app.subheader[0].value == "Row 1"
    shown = bodies(app)
    chips = [body for body in shown if 'class="chip ' in body]
    assert [body.split('"')[1] for body in chips] == ["chip base", "chip base_rag", "chip tuned", "chip tuned_rag"]
    assert "ROUGE-L 1.000" in chips[0] and "ROUGE-L 0.000" in chips[1]
    assert any("<del><b>−</b>answer 0 of the row</del><ins><b>+</b>–</ins>" in body for body in shown)
    assert "<img" not in "".join(shown) and "alert" in "".join(shown)
    labels = [expander.label for expander in app.expander]
    assert any(body.startswith('<div class="source">drawn again &lt;') for body in shown)
    assert {"Reasoning", "1 example shown (zero-shot)", "Whole prompt"} <= set(labels)
    assert any("The passage says so" in body for body in shown)
    assert {code.value for code in app.code} == {f"Say it. {EVIL}", "Read, then say it."}
    app.toggle(key="rows_marks").set_value(False).run()
    assert not any("<del>" in body for body in bodies(app)), "answers as they stand"
    assert opened(folder, "rows_view", row="999").subheader[0].value == "Row 2", "no such row: the first shown"


def test_a_row_out_of_sight_that_the_address_names_stands_first_until_there_is_another_table(folder: Path) -> None:
    app, key = opened(folder, "rows_view", row="1"), folder.name  # the one that was hurt, so the last
    assert numbers(app)[:3] == [1, 2, 3] and len(numbers(app)) == 24
    assert "Row 1, which was asked for, stands first." in app.caption[0].value
    app.query_params["row"] = "20"
    app.selectbox(key=f"rows_metric_{key}").set_value("exact").run()
    assert numbers(app)[:3] == [20, 2, 3] and app.subheader[0].value == "Row 20"
    assert numbers(opened(folder, "rows_view", row="5"))[:3] == [2, 3, 4], "this one is in sight"


def test_galleries_show_the_rows_that_one_thing_moved_a_few_at_a_time(folder: Path) -> None:
    app = opened(folder, "gallery_view")
    kind, metric = f"gallery_kind_{folder.name}", f"gallery_metric_{folder.name}"
    labels = app.segmented_control(key=kind).options
    assert labels == ["Fine-tuning hurt (0)", "RAG hurt (1)", "Fine-tuning helped (19)", "RAG helped (24)"]
    assert app.segmented_control(key=kind).value == "rag_hurt", "the first that has a row"
    assert app.caption[0].value.startswith("Row 1 · ROUGE-L −1.000")
    assert sum('class="chip ' in body for body in bodies(app)) == 2
    app.segmented_control(key=kind).set_value("adapter_hurt").run()
    assert "Fine-tuning hurt" in app.info[0].value
    app.selectbox(key=metric).set_value("exact").run()
    app.segmented_control(key=kind).set_value("rag_helped").run()
    assert app.caption[0].value == "The 12 strongest of 24."
    opens = [button.key for button in app.button if button.key.startswith("gallery_open_")]
    assert [int(key.split("_")[2]) for key in opens] == [1, 2, 3], "places of rows, three cases on the first page"
    app.button(key=opens[0]).click().run()
    assert (app.query_params["tab"], app.query_params["row"]) == ("rows", "2")


def test_arms_that_differ_in_nothing_alone_have_no_gallery(own_data_dir: Path) -> None:
    apart = [square()[0], square()[3]]
    app = opened(keep(made(apart, RIGHT, 3)), "gallery_view")
    assert [info.value for info in app.info] == [i18n.table("en")["galleries"]["none"]]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_a_vote_is_blind_kept_and_gone_on_with(folder: Path, language: str) -> None:
    words = i18n.table(language)["vote"]
    poll = Poll("base", "run-a+kb", "me")
    ballots = votes.ballots(experiments.show(folder.name), poll)
    app = opened(folder, "vote_view", language, voter="me")

    def question() -> str:
        return next(body for body in bodies(app) if 'class="question"' in body)

    assert f"Question {ballots[0].row} " in question()
    page: Any = " ".join([*bodies(app), *(caption.value for caption in app.caption)])
    assert "run-a" not in page and "chip" not in page and "<img" not in page, "neither names nor colours"
    headings = [told.value.strip("*") for told in app.markdown if told.value.strip("*") in words.values()]
    buttons = [app.button(key=f"vote_cast_{side}").label for side in ("left", "right")]
    assert [said[-1] for said in headings] == [said[0] for said in buttons] == ["A", "B"], "true stacked, too"
    app.button(key="vote_cast_left").click().run()
    assert f"Question {ballots[1].row} " in question()
    app.button(key="vote_cast_same").click().run()
    app.button(key="vote_cast_bad").click().run()
    app.button(key="vote_undo").click().run()
    assert votes.votes(folder, poll) == {ballots[0].row: ballots[0].left, ballots[1].row: SAME}
    assert not app.metric, "no result before it is asked for"
    app = opened(folder, "vote_view", language, voter="me")
    assert f"Question {ballots[2].row} " in question(), "after a refresh it goes on"
    app.toggle[0].set_value(True).run()
    found = votes.outcome(experiments.show(folder.name), "rougeL", poll, votes.votes(folder, poll))
    assert [metric.value for metric in app.metric][1] == f"{found['p']:.3f}"
    assert app.metric[2].value == f"{found['agreement']['mean']:.0%}"
    assert words["too_few"].format(least=20, n=1) in [caption.value for caption in app.caption]


def test_the_result_is_shown_when_all_rows_are_voted_and_alike_ones_are_not_asked(folder: Path) -> None:
    poll = Poll("base", "run-a+kb")
    for ballot in votes.ballots(experiments.show(folder.name), poll):
        votes.cast(folder, poll, ballot, B if ballot.row != 4 else A)
    app = opened(folder, "vote_view")
    assert app.metric[0].value == "95%" and "95 % interval 77% to 99%, n = 21" in [one.value for one in app.caption]
    assert not [button for button in app.button if button.key.startswith("vote_cast")]
    assert "is preferred" in " ".join(caption.value for caption in app.caption)
    app.selectbox(key="vote_b").set_value("base").run()
    assert app.info, "an arm against itself is no vote"


def test_a_comparison_of_the_first_versions_opens(folder: Path) -> None:
    """They kept a row's question and reference, and of an answer its text, length, ROUGE and time."""
    inputs = files.read_json(folder / "inputs.json")
    early = [{part: row[part] for part in ("input", "reference")} for row in inputs["rows"]]
    files.write_json(folder / "inputs.json", {**inputs, "rows": early})
    lines = [
        {part: line[part] for part in ("row", "arm", "text", "tokens", "seconds", "finish")}
        | {"scores": {metric: line["scores"][metric] for metric in ROUGE}}
        for line in files.read_jsonl(folder / "answers.jsonl")
    ]
    files.write_text(folder / "answers.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    (folder / "results.json").unlink()
    app = opened(folder, "rows_view", row="1")
    assert any("answer 0 of the row" in body for body in bodies(app))
    for view in ("overview_view", "gallery_view", "vote_view"):
        opened(folder, view)
