"""The Evaluation tab, run by Streamlit's own test harness: questions chosen, jobs begun, and what came of them."""

from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from core import files, jobs
from core.charts import retrieval_charts as figures
from core.errors import fill
from core.evaluation import sweep, sweep_worker
from core.models.cards import ModelCard
from core.rag import bases, knowledge
from core.ui import i18n

TAB = """
import streamlit as st
from core.ui.knowledge import quality_view
st.session_state["language"] = "{language}"
quality_view.evaluate("kb")
"""


@pytest.fixture(autouse=True)
def base(tiny_embedder: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for animal in ("llama", "owl"):
        text = " ".join(f"Note {i} on the {animal} says that it was seen by the river in week {i}." for i in range(8))
        (tmp_path / f"{animal}.md").write_text(text, "utf-8")
    knowledge.build("kb", [tmp_path / "llama.md", tmp_path / "owl.md"])
    monkeypatch.setattr(jobs, "launch", lambda module, folder: sweep_worker.main(folder) or 0)


def opened(language: str = "en") -> AppTest:
    app = AppTest.from_string(TAB.format(language=language), default_timeout=60).run()
    assert not app.exception, app.exception
    return app


def pressed(app: AppTest, key: str) -> AppTest:
    app.button(key=key).click().run()
    assert not app.exception, app.exception
    return app


def charts(app: AppTest) -> list[Any]:
    return app.get("plotly_chart")


@pytest.mark.parametrize("language", ["en", "zh"])
def test_from_no_questions_to_a_kept_sweep(language: str) -> None:
    words = i18n.table(language)["quality"]
    app = opened(language)
    assert [info.value for info in app.info] == [words["empty"]]
    assert app.button(key="quality_evaluate").disabled, "there is nothing to ask yet"
    app.number_input(key="quality_count").set_value(2)
    app.toggle(key="quality_with_model").set_value(False)
    pressed(app, "quality_make")
    assert fill(words["made"], {"n": 2, "model": 0, "words": 2}) in [caption.value for caption in app.caption]
    assert list(app.dataframe[-1].value[words["columns"]["made"]]) == [words["by"]["words"]] * 2
    pressed(app, "quality_evaluate")
    assert len(charts(app)) == 1 and len(app.dataframe[-1].value) == 4
    app = opened(language)
    app.button_group(key="quality_sizes").set_value([60, 110])
    pressed(app, "quality_sweep")
    table = app.dataframe[-1].value
    assert list(table[words["columns"]["size"]]) == [60, 110]
    [newest, *_] = sweep.listing("kb")
    for shown, point in zip(table["MRR"], sweep.show("kb", newest["id"])["results"], strict=True):
        mrr = sweep.last_stage(point)["mrr"]
        assert shown == f"{mrr['mean']:.3f} [{mrr['low']:.3f}, {mrr['high']:.3f}]"
    assert (newest["kind"], newest["n"]) == ("sweep", 2)
    assert app.get("plotly_chart"), "kept results are drawn"
    pressed(app, "quality_delete")
    assert newest["id"] not in {job["id"] for job in sweep.listing("kb")}


def test_a_job_that_was_interrupted_can_be_gone_on_with() -> None:
    app = opened()
    app.toggle(key="quality_with_model").set_value(False)
    pressed(app, "quality_make")
    [made] = sweep.listing("kb")
    state = bases.folder("kb") / "evaluations" / made["id"] / "state.json"
    files.write_json(state, {**files.read_json(state), "status": jobs.STOPPED})
    app = opened()
    pressed(app, "quality_resume")
    assert sweep.listing("kb")[0]["status"] == jobs.FINISHED


def test_the_sweeps_chart_has_each_figure_with_its_whiskers_side_by_side() -> None:
    def point(size: int, mean: float) -> dict[str, Any]:
        return {"size": size, "figures": {m: {"mean": mean, "low": mean - 0.2, "high": mean + 0.1} for m in metrics}}

    metrics = ["hit@1", "hit@3", "mrr"]
    labels = {key: key for key in ("title", "subtitle", "size", "score", *metrics)}
    drawn = figures.sweep([point(110, 0.5), point(220, 0.75)], metrics, labels, "#2563EB", "#111827")
    assert [line.name for line in drawn.data] == metrics
    for line in drawn.data:
        assert list(line.y) == [0.5, 0.75]
        assert [*line.error_y.array, *line.error_y.arrayminus] == pytest.approx([0.1, 0.1, 0.2, 0.2])
    assert len({line.x[0] for line in drawn.data}) == 3 and drawn.data[1].x[0] == 110
    assert len({(line.marker.symbol, line.line.dash) for line in drawn.data}) == 3
    alone = figures.sweep([point(60, 1.0)], metrics, labels, "#2563EB", "#111827")
    assert alone.layout.xaxis.range[0] < 60 < alone.layout.xaxis.range[1]
