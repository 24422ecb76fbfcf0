"""The Compare page, run by Streamlit's own test harness: the form and its plan, what is kept, its tabs and charts."""

import json
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import files, jobs
from core.evaluation import experiments, measured
from core.evaluation.freezing import Plan
from core.evaluation.metrics import expected
from core.evaluation.results import KEPT, results
from core.models.cards import ModelCard
from tests.helpers.experiments import RIGHT, answer, fake_run, keep, made, square
from tests.pages.test_pages import opened, words

A, B = "20260101-000001-mine-aaaa", "20260101-000002-yours-bbbb"


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """The plans that would have been started; what is then on screen is the experiment "x"."""
    plans: list[Plan] = []

    def start(plan: Plan, progress: Any = None) -> str:
        plans.append(plan)
        return "x"

    monkeypatch.setattr(experiments, "start", start)
    return plans


def widgets(app: AppTest) -> dict[str, Any]:
    kinds = ("selectbox", "number_input", "multiselect", "toggle", "segmented_control")
    found = [element for kind in kinds for element in app.get("button_group" if kind == "segmented_control" else kind)]
    keyed = [element.key for element in found if element.key]
    assert len(keyed) == len(set(keyed))
    return {element.key: element for element in found if element.key}


def test_a_visitor_without_a_run_compares_prompts_of_the_base_model(tiny_card: ModelCard, started: list[Plan]) -> None:
    app = opened("comparison")
    app.button(key="compare_start").click().run()
    assert not app.exception and not app.error
    [plan] = started
    assert (plan.models, plan.rag, plan.model) == (["base"], [False], "tiny")
    assert plan.strategies == ["zero-shot", "few-shot"]


def test_the_form_says_a_whole_plan_and_how_much_it_asks(
    tiny_card: ModelCard, tiny_adapters: list[Path], started: list[Plan]
) -> None:
    for run_id, adapter in zip((A, B), tiny_adapters, strict=True):
        fake_run(run_id, adapter)
    app = opened("comparison", run=A)
    assert app.multiselect(key="compare_models").value == ["base", A]
    app.multiselect(key="compare_models").set_value([B, A, "base"])
    app.selectbox(key="compare_dataset").set_value("rag-qa-en")
    app.selectbox(key="compare_kb").set_value("llama2").run()
    assert {f"compare_{field.name}" for field in fields(Plan)} == widgets(app).keys() & {
        f"compare_{field.name}" for field in fields(Plan)
    }, "every field of a plan has its widget"
    app.multiselect(key="compare_strategies").set_value(["zero-shot", "cot"])
    app.selectbox(key="compare_tokenizer").set_value("english")
    app.number_input(key="compare_limit").set_value(30)
    app.number_input(key="compare_top_k").set_value(3)
    app.number_input(key="compare_seed").set_value(7).run()
    assert widgets(app)["compare_rag"].value == [False, True]  # who chooses a knowledge base wants it asked with
    widgets(app)["compare_rag"].set_value([True, False]).run()
    app.toggle(key="compare_forgetting").set_value(True)
    assert app.number_input(key="compare_top_p").value == 0.9 and app.number_input(key="compare_top_p").disabled
    app.number_input(key="compare_temperature").set_value(0.5).run()
    app.number_input(key="compare_top_p").set_value(0.6).run()
    app.number_input(key="compare_repeats").set_value(2).run()
    assert "12 arms × 30 rows × 2 seeds = 720 answers" in " ".join(element.value for element in app.markdown)
    app.button(key="compare_start").click().run()
    models, strategies = ["base", B, A], ["zero-shot", "cot"]
    how = {"temperature": 0.5, "top_p": 0.6, "repeats": 2, "forgetting": True}
    assert started == [
        Plan("rag-qa-en", models, "llama2", [False, True], strategies, 30, 3, "tiny", "english", 7, **how)
    ]
    assert app.query_params["experiment"] == "x" and "run" not in app.query_params


def test_a_switch_of_the_language_leaves_the_form_and_the_overview_as_they_are(
    tiny_card: ModelCard, started: list[Plan]
) -> None:
    app = opened("comparison")
    app.multiselect(key="compare_strategies").set_value(["zero-shot", "cot"])
    app.selectbox(key="compare_tokenizer").set_value("jieba").run()
    app.segmented_control(key="language_choice").set_value("zh").run()
    app.number_input(key="compare_limit").set_value(9).run()
    app.button(key="compare_start").click().run()
    assert not app.exception
    [plan] = started
    assert (plan.models, plan.kb, plan.strategies) == (["base"], "", ["zero-shot", "cot"])
    assert (plan.tokenizer, plan.limit) == ("jieba", 9)
    keep(made(square(), RIGHT))
    for tab in ("overview", "rows", "galleries", "vote"):
        app = opened("comparison", tab=tab)
        app.segmented_control(key="language_choice").set_value("zh").run()
        app.run()
        assert not app.exception, tab


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_field_of_a_plan_has_its_words(language: str) -> None:
    assert set(words(language)["comparison"]["fields"]) == {field.name for field in fields(Plan)}


def test_a_kept_comparison_is_asked_again_with_a_change(
    tiny_card: ModelCard, tiny_adapters: list[Path], started: list[Plan]
) -> None:
    fake_run("run-a", tiny_adapters[0])
    kept = {
        **made(square(), RIGHT),
        "dataset": "rag-qa-en",
        "kb": "llama2",
        "top_k": 2,
        "seed": 5,
        "tokenizer": "jieba",
    }
    jobs.update(keep(kept), elapsed=48.0)  # for 96 answers
    app = opened("comparison")
    app.button(key="compare_duplicate").click().run()
    app.number_input(key="compare_limit").set_value(40).run()
    assert "160 answers" in (said := " ".join(element.value for element in app.markdown)) and "80 s" in said
    app.button(key="compare_start").click().run()
    assert [asdict(plan) for plan in started] == [asdict(experiments.plan(kept)) | {"limit": 40}]
    assert asdict(experiments.plan(kept)) == asdict(
        Plan("rag-qa-en", ["base", "run-a"], "llama2", [False, True], ["zero-shot"], 24, 2, "tiny", "jieba", 5)
    )


def test_what_is_gone_is_named_and_left_out(tiny_card: ModelCard, started: list[Plan]) -> None:
    keep(made(square(), RIGHT))
    app = opened("comparison")
    app.button(key="compare_duplicate").click().run()
    said = " ".join(element.value for element in app.caption).replace("\\", "")
    assert "run-a" in said and "notes" in said
    app.button(key="compare_start").click().run()
    assert started[0].models == ["base"] and started[0].kb == ""


def charts(app: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in app.get("plotly_chart")]


def said(app: AppTest) -> str:
    boxes = [*app.markdown, *app.caption, *app.info, *app.warning]
    return " ".join([*(element.value for element in boxes), *(one.proto.body for one in app.get("html"))])


def test_the_overview_shows_what_was_found() -> None:
    """Every chart's figures are those of the results."""
    kept = made(square(), RIGHT)
    keep({**kept, "overlap": [{"row": 3, "adapter": None, "where": "kb", "place": 0, "source": "a", "share": 1.0,
                               "text": "x"}]})  # fmt: skip
    report = results(kept)
    app = opened("comparison")
    bars, forest, points, cost = charts(app)
    label = words("en")["metrics"]["rougeL"]["label"]
    assert len(bars["data"]) == 4 and len(bars["data"][0]["y"]) == 4
    for trace, arm in zip(bars["data"], report["arms"], strict=True):
        at = trace["y"].index(label)
        score = arm["scores"]["rougeL"]
        assert trace["x"][at] == score["mean"] and trace["customdata"][at] == [score["low"], score["high"], score["n"]]
    told = [one for one in report["contrasts"] if one["metric"] == "rougeL"]
    assert forest["data"][0]["x"] == [one["delta"] for one in told]
    assert {int(row[0]) for trace in points["data"] for row in trace["customdata"]} == set(range(1, 25))
    assert "<img" not in str(points["data"]) and "&lt;img" in str(points["data"])
    helped, hurt, unchanged = ([row[0] for row in trace["customdata"]] for trace in points["data"])
    last = next(one for one in told if (one["a"], one["b"]) == ("base", "run-a+kb"))
    assert (len(helped), len(hurt), len(unchanged)) == (last["helped"], last["hurt"], last["unchanged"])
    assert [(trace["x"][0], trace["y"][0]) for trace in cost["data"]] == [
        (arm["scores"]["latency"]["mean"], arm["scores"]["rougeL"]["mean"]) for arm in report["arms"]
    ]
    text = said(app)
    assert f"{last['delta']:+.3f}" in text and words("en")["comparison"]["square"]["better"] in text
    assert "before, in training rows or the knowledge base: 4." in text


def test_too_few_rows_are_said_in_words() -> None:
    keep(made(square()[::2], RIGHT, rows=3))
    app = opened("comparison")
    assert "at least 20 are needed, 3 were compared" in app.info[0].value
    assert "higher" not in " ".join(one.proto.body for one in app.get("html"))


def test_what_the_figures_are_worth_is_told_where_it_was_asked_for() -> None:
    folder = keep(made(square(), RIGHT))
    report = files.read_json(folder / KEPT)
    score = {"mean": 4.0, "low": 3.0, "high": 5.0, "n": 24}
    run = "20261101-101112-reader-1a2b"  # as runs are called; people read “reader”
    scores = {name: {"perplexity": score, "rougeL": score} for name in ("base", run)}
    worse = {"a": "base", "b": run, "metric": "perplexity", "delta": 1.5, "low": 1.0, "high": 2.0, "p_holm": 0.001,
             "n": 24, "verdict": "higher"}  # fmt: skip
    answers = [{"input": "2 + 2?", "reference": "4", "answers": {name: {"text": "five"} for name in scores}}]
    report["forgetting"] = {
        "rows": 24,
        "scores": scores,
        "contrasts": [worse],
        "same": {run: 0.25},
        "answers": answers,
    }
    spread = {"same": 0.5, "metrics": {"rougeL": {"means": [0.41, 0.43], "sd": 0.0141}}}
    report["stability"] = {"temperature": 0.7, "top_p": 0.8, "seeds": [0, 1]}
    report["stability"]["arms"] = {arm["name"]: spread for arm in report["arms"]}
    files.write_json(folder / KEPT, report)
    app = opened("comparison")
    text = said(app).replace("\\", "")
    assert "temperature 0.7 and top-p 0.8" in text
    assert (
        "reader is more surprised" in text
        and run not in text
        and "Higher (worse): +1.500 [+1.000, +2.000], p = 0.001" in text
    )
    tables = [table.value for table in app.dataframe]
    assert "0.410 · 0.430" in text and "SD 0.014 · 50% of rows the same each time" in text
    [forgotten] = [table for table in tables if "reader" in table.index]
    assert list(forgotten.index) == ["Base model alone", "reader"] and "4.000 [3.000, 5.000]" in forgotten.to_string()
    assert any("five" in table.to_string() for table in tables)


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_tab_opens_in_both_languages(language: str) -> None:
    keep(made(square(), RIGHT))
    for tab in ("overview", "rows", "galleries", "vote", "report"):
        app = opened("comparison", language, tab=tab)
        assert app.segmented_control(key="compare_tab").value == tab
        assert app.query_params["tab"] == tab


def test_another_tokenizer_is_chosen_afterwards_and_stays_in_the_address() -> None:
    kept = made(square()[:2], {"base": set(), "base+kb": set()}, 24)
    for row in kept["answers"]:
        row["answers"]["base+kb"] = answer(row, "answered and rowing", square()[1])  # stemmed: answer, row
    folder = keep(kept)
    app, wanted = opened("comparison"), words("en")["metrics"]["tokenizers"]
    assert wanted["english"] not in said(app)
    before = app.selectbox(key=f"compare_tokenizer_en_{folder.name}")
    before.set_value("english").run()
    assert app.query_params["tokenizer"] == "english" and not app.exception
    again = opened("comparison", tokenizer="english")  # as after a refresh
    report = measured.read(folder.name, "english")[1]
    told = [one["delta"] for one in report["contrasts"] if one["metric"] == "rougeL"]
    assert told != [one["delta"] for one in results(kept)["contrasts"] if one["metric"] == "rougeL"]
    for page in (app, again):
        assert charts(page)[1]["data"][0]["x"] == told
        assert f"measured here with “{wanted['english']}”" in said(page)
    rows = opened("comparison", tokenizer="english", tab="rows").dataframe[0].value
    assert rows["base+kb"].mean() == pytest.approx(report["arms"][1]["scores"]["rougeL"]["mean"])


def test_a_tab_is_kept_in_the_address() -> None:
    keep(made(square(), RIGHT))
    app = opened("comparison")
    app.segmented_control(key="compare_tab").set_value("rows").run()
    assert app.query_params["tab"] == "rows" and not app.exception


def test_a_duplicate_asks_with_the_tokenizer_on_screen() -> None:
    keep(made(square(), RIGHT))
    app = opened("comparison", tokenizer="english")
    app.button(key="compare_duplicate").click().run()
    assert app.session_state["compare_tokenizer"] == "english" and not app.exception


def test_classes_are_a_table_of_right_and_answered() -> None:
    arms = square()[:1]
    rows = []
    for right, answered in [("good", "good"), ("good", "bad"), ("bad", "hm")]:
        about = asdict(expected({"output": right}, ["bad", "good"]))
        rows.append({"input": "?", "reference": right, "expected": about})
        rows[-1]["answers"] = {"base": answer(rows[-1], answered, arms[0])}
    keep({**made(arms, {"base": set()}, 0), "answers": rows})
    table = charts(opened("comparison"))[-1]["data"][0]
    assert table["z"] == [[0, 0, 1], [1, 1, 0]] and table["y"] == ["bad", "good"]
