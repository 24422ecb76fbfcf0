"""The overview's points: row against row with the row that is clicked, what quality takes in time, and the classes."""

from collections.abc import Mapping, Sequence
from typing import Any

import pandas as pd
import streamlit as st

from core.charts import comparison_charts
from core.evaluation import grid, rows, scoring
from core.ui import bench, components, theme
from core.ui.compare import case_view
from core.ui.i18n import language, t


def show(experiment: dict[str, Any], report: dict[str, Any], metric: str) -> None:
    """All of them, where the rows have them.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; read only.
        report: of :func:`core.evaluation.results.named`, its arms as they are called on screen.
    """
    if len(report["arms"]) > 1:
        _rows(experiment, report, metric)
    _cost(report, metric)
    if report["confusion"]:
        _confusion(report)


@st.fragment
def _rows(experiment: dict[str, Any], report: dict[str, Any], metric: str) -> None:
    """Two arms' scores of every row; a click shows the row."""
    st.subheader(t("comparison.points.heading"))
    called = {arm["key"]: arm["name"] for arm in report["arms"]}
    a, b = _pair(called, report["experiment"])
    points = rows.points(experiment, metric, a, b)
    if not points:
        st.caption(t("comparison.points.none"))
        return
    figure = _scatter(points, report, metric, a, b)
    table = pd.DataFrame(points)
    key = f"points-{metric}-{report['tokenizer']}-{report['experiment']}"
    event = components.chart(figure, table, key, on_select="rerun", selection_mode="points")
    chosen = _chosen(figure, event)
    if chosen is None:
        st.caption(t("comparison.points.click"))
        return
    st.markdown(f"**{t('rows.number', row=chosen)}**")
    case_view.show(experiment, chosen - 1, metric, list(dict.fromkeys([a, b, *called])))


def _pair(called: Mapping[str, str], experiment_id: str) -> tuple[str, str]:
    """The arm across, and the one upwards."""
    names, found = list(called), []
    for side, column, place in zip("ab", st.columns(2), (0, len(names) - 1), strict=True):
        found.append(
            column.selectbox(
                t(f"rows.{side}"), names, place, format_func=called.__getitem__,
                key=f"points_{side}_{language()}_{experiment_id}", persist_state="page",
            )
        )  # fmt: skip
    return found[0], found[1]


def _scatter(
    points: Sequence[Mapping[str, Any]], report: Mapping[str, Any], metric: str, a: str, b: str
) -> dict[str, Any]:
    arms = {arm["key"]: arm for arm in report["arms"]}
    labels = {effect: t(f"rows.{effect}") for effect in rows.EFFECTS} | {"row": t("rows.row")}
    labels |= {"a": arms[a]["name"], "b": arms[b]["name"]}
    labels["title"] = t("comparison.points.title", metric=t(f"metrics.{metric}.label"))
    labels["subtitle"] = t("comparison.points.subtitle", n=len(points))
    shades = [*bench.colors([arms[b], arms[a]]), comparison_charts.MUTED]
    colors = dict(zip(rows.EFFECTS, shades, strict=True))
    return comparison_charts.scatter(points, labels, colors, theme.ink(), rows.span(points, metric))


def _chosen(figure: Mapping[str, Any], event: Any) -> int | None:
    """The row of the point that was clicked, counted from 1."""
    for point in event.selection.points:
        told = figure["data"][point["curve_number"]]["customdata"]
        if point["point_index"] < len(told):
            return int(told[point["point_index"]][0])
    return None


def _cost(report: Mapping[str, Any], metric: str) -> None:
    """Quality over time."""
    there = [arm for arm in report["arms"] if {metric, "latency"} <= arm["scores"].keys()]
    if metric == "latency" or not there:
        return
    labels = {
        "title": t("comparison.cost.title"),
        "subtitle": t("comparison.cost.subtitle", n=report["rows"]),
        "seconds": t("comparison.cost.seconds"),
        "score": t(f"metrics.{metric}.label"),
    }
    top = 1.0 if scoring.metrics()[metric].unit == "share" else None
    figure = comparison_charts.cost(there, metric, bench.colors(there), labels, theme.ink(), top)

    def data() -> pd.DataFrame:
        return pd.DataFrame(
            {"arm": arm["name"], **{f"{name} {part}": value for name in (metric, "latency")
             for part, value in arm["scores"][name].items()}}
            for arm in there
        )  # fmt: skip

    components.chart(figure, data, f"cost-{report['experiment']}")


@st.fragment
def _confusion(report: Mapping[str, Any]) -> None:
    """Which class was answered for which, arm by arm."""
    st.subheader(t("comparison.confusion.heading"))
    arm = st.selectbox(
        t("comparison.confusion.arm"), list(report["confusion"]), key=f"confusion_{language()}_{report['experiment']}",
        persist_state="page",
    )  # fmt: skip
    found = report["confusion"][arm]
    [cell] = [grid.cell(one) for one in report["arms"] if one["name"] == arm]
    total = sum(map(sum, found["counts"]))
    right = sum(row[place] for place, row in enumerate(found["counts"]))
    labels = {key: t(f"comparison.confusion.{key}") for key in ("right", "answered")}
    labels |= {"title": arm, "subtitle": t("comparison.confusion.subtitle", right=right, n=total)}
    classes = [*found["labels"][:-1], t("comparison.confusion.none")]
    figure = comparison_charts.confusion(found["counts"], classes, labels, theme.arm_colors()[cell], theme.ink())
    table = pd.DataFrame(found["counts"], classes[:-1], classes).reset_index(names=labels["right"])
    components.chart(figure, table, f"confusion-{report['experiment']}")
