"""The Compare page, run by Streamlit's own test harness: the form and its plan, what is kept, its tabs and charts."""

from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core.evaluation import experiments
from core.evaluation.freezing import Plan
from core.models.cards import ModelCard
from tests.helpers.experiments import RIGHT, fake_run, keep, made, square
from tests.pages.test_pages import opened, server_that_has_been_visited, words  # noqa: F401

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
    kinds = ("selectbox", "number_input", "multiselect", "segmented_control")
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
    widgets(app)["compare_rag"].set_value([True, False]).run()
    assert "12 arms × 30 rows = 360 answers" in " ".join(element.value for element in app.markdown)
    app.button(key="compare_start").click().run()
    assert [asdict(plan) for plan in started] == [
        asdict(
            Plan(
                "rag-qa-en", ["base", B, A], "llama2", [False, True], ["zero-shot", "cot"], 30, 3, "tiny", "english", 7
            )
        )
    ]
    assert app.query_params["experiment"] == "x" and "run" not in app.query_params


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
    keep(kept)
    app = opened("comparison")
    app.button(key="compare_duplicate").click().run()
    app.number_input(key="compare_limit").set_value(40).run()
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
