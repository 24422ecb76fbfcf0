"""Several runs over one another: the same curve of each, what they came to, and in which settings they differ."""

import html
from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core import jobs
from core.charts import run_charts
from core.charts.run_charts import Line
from core.training import curves, provenance, runs
from core.ui import components, theme
from core.ui.i18n import seconds, t
from core.ui.training.run_monitor_view import series, steps

MOST = 16
"""Runs that colours and dashes still tell apart."""
POINTS = 300
SHAPES = {
    "loss": ".4f",
    "eval_loss": ".4f",
    "eval_accuracy": ".3f",
    "eval_f1": ".3f",
    "learning_rate": ".2e",
    "grad_norm": ".3f",
    "speed": ".0f",
    "memory": ".2f",
}
"""The quantities that can be compared, and how their values are written."""
MEASURED = ("eval_loss", "eval_accuracy", "eval_f1")


def overlay(run_ids: Sequence[str]) -> None:
    """The chosen runs' curves in one chart, their results, and the difference of their configs."""
    if len(run_ids) > MOST:
        st.caption(t("runs.overlay.most", count=MOST))
    shown = list(run_ids)[:MOST]
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = _quantity(shown)
        smoothing = st.slider(
            t("runs.overlay.smoothing"), 0.0, 0.99, 0.9, 0.01, key="overlay_smoothing", width=220,
            disabled=key in MEASURED, help=t("runs.overlay.smoothing_help"),
        )  # fmt: skip
    live = any(runs.show(run_id)["status"] in jobs.LIVE for run_id in shown)

    @st.fragment(run_every=2.0 if live else None)
    def look() -> None:
        found = [runs.show(run_id) for run_id in shown]
        _chart(found, key, 0.0 if key in MEASURED else smoothing)
        _results(found)

    look()
    _differences([runs.show(run_id) for run_id in shown])


def _quantity(run_ids: Sequence[str]) -> str:
    there = {key for run_id in run_ids for key in curves.keys(run_id)}
    there |= {"speed"} if {"tokens", "seconds"} <= there else set()
    options = [key for key in SHAPES if key in there] or ["loss"]
    picked = st.pills(
        t("runs.overlay.quantity"), options, default=options[0], format_func=lambda key: t(f"runs.chart.{key}"),
        key=f"overlay_quantity_{len(options)}", required=True, wrap=True,
    )  # fmt: skip
    return picked or options[0]


def names(found: Sequence[dict[str, Any]]) -> dict[str, str]:
    """What the runs are called beside one another: their names, with the end of the id where two are called alike."""
    called = [run["name"] for run in found]
    return {
        run["id"]: run["name"] if called.count(run["name"]) == 1 else f"{run['name']} {run['id'][-4:]}" for run in found
    }


def _chart(found: Sequence[dict[str, Any]], key: str, smoothing: float) -> None:
    lines: list[Line] = []
    called, colors = names(found), theme.run_colors()
    for number, run in enumerate(found):
        curve = series(run["id"], key, POINTS, smoothing)
        color, dash = run_charts.look(number, colors)
        if smoothing and curve.smoothed != curve.values:
            lines.append(Line("", curve.steps, curve.values, color, faint=True))
        name = html.escape(called[run["id"]])
        lines.append(Line(name, curve.steps, curve.smoothed, color, dash, marks=key in MEASURED))
    labels = {
        "title": t(f"runs.chart.{key}"),
        "subtitle": t("runs.overlay.subtitle", count=len(found)),
        "step": t("finetune.chart.step"),
    }
    figure = run_charts.curves(lines, labels, 420, shape=SHAPES[key], from_zero=False, direct=True)

    def data() -> pd.DataFrame:
        parts = {run["id"]: series(run["id"], key, 1_000_000, smoothing) for run in found}
        return pd.concat(
            pd.DataFrame({"run": run_id, "step": part.steps, key: part.values, "smoothed": part.smoothed})
            for run_id, part in parts.items()
        )

    components.chart(figure, data, f"overlay-{key}")


def _results(found: Sequence[dict[str, Any]]) -> None:
    called = names(found)
    rows = {
        called[run["id"]]: {
            t("runs.columns.status"): t(f"status.{run['status']}"),
            t("runs.columns.steps"): steps(run),
            t("finetune.cells.train"): _number(run.get("train_loss")),
            t("finetune.cells.eval"): _number(run.get("eval_loss")),
            t("finetune.cells.accuracy"): _number(run.get("eval_accuracy")),
            t("finetune.cells.f1"): _number(run.get("eval_f1")),
            t("finetune.cells.elapsed"): seconds(run.get("elapsed")),
        }
        for run in found
    }
    table = pd.DataFrame(rows)
    st.dataframe(table[(table != "–").any(axis=1)])


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def _differences(found: Sequence[dict[str, Any]]) -> None:
    called = names(found)
    rows = provenance.differences([run["id"] for run in found])
    st.markdown(f"**{t('runs.overlay.differences')}**")
    if not rows:
        st.caption(t("runs.overlay.alike"))
        return
    table = pd.DataFrame(
        {
            t(f"fields.{row['field']}.label"): {called[run["id"]]: _value(row[run["id"]]) for run in found}
            for row in rows
        }
    )
    st.dataframe(table.T)


def _value(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name}={weight}" for name, weight in value.items()) or "–"
    return (", ".join(map(str, value)) if isinstance(value, list) else str(value)) or "–"
