"""The overview of a comparison: what differs for sure in words, each arm's scores, and every difference with its
interval."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.charts import comparison_charts
from core.evaluation import grid, results, scoring
from core.evaluation.statistics import TOO_FEW
from core.ui import bench, components, theme
from core.ui.compare import plots_view, trust_view, wording
from core.ui.i18n import language, t

HEADLINE = (
    *("accuracy", "macro_f1", "field_f1", "valid_json", "exact", "token_f1", "rougeL", "faithfulness"),
    *("rouge1", "rouge2", "rougeLsum"),
)
"""Which bars are drawn first, where the rows have them."""
BARS = 4
MANY = 8
"""Contrasts that are read at a glance."""


def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Words first, then the figures they rest on.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    named = results.named(report, bench.labels(report["arms"]))
    _warnings(named)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        metric = _metric(report)
        bars = _bars_shown(report)
        _definitions(report, metric)
    _words(named, metric)
    _bars(named, bars)
    _forest(named, metric)
    plots_view.show(experiment, named, metric)
    trust_view.show(named, metric)
    _figures(named)


def _warnings(report: Mapping[str, Any]) -> None:
    """What speaks against trusting the figures."""
    for line in wording.doubts(report):
        st.warning(line, icon=":material/warning:")
    for line in wording.notes(report):
        st.caption(line)


def _metric(report: Mapping[str, Any]) -> str:
    """Of which metric differences, points and words are."""
    names = sorted(report["metrics"], key=lambda name: name != report["primary"])
    return str(
        st.selectbox(
            t("comparison.metric"),
            names,
            format_func=lambda name: t(f"metrics.{name}.label"),
            key=f"overview_metric_{language()}_{report['experiment']}",
            persist_state="page",
            width=300,
        )
    )


def _bars_shown(report: Mapping[str, Any]) -> list[str]:
    """Which metrics have bars: those from 0 to 1 can stand side by side."""
    shares = [name for name in report["metrics"] if scoring.metrics()[name].unit == "share"]
    first = sorted(shares, key=lambda name: HEADLINE.index(name) if name in HEADLINE else len(HEADLINE))[:BARS]
    with st.popover(t("comparison.bars"), icon=":material/bar_chart:"):
        return st.pills(
            t("comparison.bars"),
            shares,
            selection_mode="multi",
            default=first,
            format_func=lambda name: t(f"metrics.{name}.label"),
            key=f"overview_bars_{language()}_{report['experiment']}",
            persist_state="page",
        )


def _definitions(report: Mapping[str, Any], metric: str) -> None:
    with st.popover(t("report.measures"), icon=":material/help:"):
        for name in sorted(report["metrics"], key=lambda name: name != metric):
            about = {part: t(f"metrics.{name}.{part}") for part in ("label", "definition", "range", "better")}
            st.markdown(
                f"**{about['label']}**  \n{about['definition']}  \n:small[{about['range']} · {about['better']}]"
            )
        st.caption(f"ROUGE, F1: {t('metrics.tokenizers.' + report['tokenizer'])}")


def _words(report: Mapping[str, Any], metric: str) -> None:
    """Each arm's figure, what it differs from the first by, and whether fine-tuning still helps with the knowledge
    base."""
    first = report["arms"][0]["name"]
    told = {one["b"]: one for one in report["contrasts"] if one["metric"] == metric and one["a"] == first}
    lines = []
    for arm in report["arms"]:
        score = arm["scores"].get(metric)
        parts = [f"{wording.interval(score, 'mean', metric)} · n\u00a0=\u00a0{score['n']}" if score else "–"]
        if arm["name"] == first:
            parts.append(t("comparison.baseline"))
        elif one := told.get(arm["name"]):
            parts.append(wording.contrast(one))
        lines.append((arm, parts))
    bench.findings(lines)
    if told and all(one["verdict"] == TOO_FEW for one in told.values()):
        st.info(t("metrics.verdicts.too_few", n=max(one["n"] for one in told.values())), icon=":material/info:")
    elif told:
        st.caption(t("comparison.reading", first=components.plain(first)))
    squares = [one for one in report["interactions"] if one["metric"] == metric]
    if squares and scoring.metrics()[metric].better:
        said = "\n".join(f"- {wording.interaction(one, report)}" for one in squares)
        st.markdown(f"**{t('report.interactions')}**\n{said}")


def _bars(report: Mapping[str, Any], metrics: list[str]) -> None:
    labels = {key: t(f"comparison.chart.{key}") for key in ("title", "score")}
    labels["subtitle"] = t("comparison.chart.subtitle", n=report["rows"])
    figure = comparison_charts.overview(
        report["arms"],
        {metric: t(f"metrics.{metric}.label") for metric in report["metrics"] if metric in metrics},
        bench.colors(report["arms"]),
        labels,
        theme.ink(),
    )

    def data() -> pd.DataFrame:
        return pd.DataFrame(
            {"arm": arm["name"], "metric": metric, **score}
            for arm in report["arms"]
            for metric, score in arm["scores"].items()
        )

    components.chart(figure, data, f"scores-{report['experiment']}")


@st.fragment
def _forest(report: Mapping[str, Any], metric: str) -> None:
    """The contrasts of the metric, as a figure and as a table; of many, first those against the first arm."""
    told = [one for one in report["contrasts"] if one["metric"] == metric]
    if not told:
        return
    if len(told) > MANY:
        told = _some(told, report)
    labels = {
        "title": t("report.contrasts"),
        "subtitle": t("report.intervals", n=report["rows"]),
        "delta": t("report.delta", metric=t(f"metrics.{metric}.label")),
        "against": t("report.against"),
    }
    colors = dict(zip((arm["name"] for arm in report["arms"]), bench.colors(report["arms"]), strict=True))
    figure = comparison_charts.forest(told, labels, colors, theme.ink())
    components.chart(figure, lambda: pd.DataFrame(told), f"contrasts-{report['experiment']}")
    with st.expander(t("comparison.all_contrasts"), icon=":material/table_rows:"):
        st.dataframe(pd.DataFrame([wording.line(one) for one in told]), hide_index=True)


def _some(told: list[dict[str, Any]], report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Those of one kind: against the first arm, or what one factor alone does."""
    arms = {arm["key"]: {**arm, "adapter": arm["adapter"] or ""} for arm in report["arms"]}
    kinds = {"first": [one for one in told if one["keys"][0] == next(iter(arms))]}
    for factor in grid.FACTORS:
        kinds[factor] = [one for one in told if grid.differ(*(arms[key] for key in one["keys"])) == [factor]]
    kinds["all"] = told
    kind = st.segmented_control(
        t("report.contrasts"),
        [kind for kind, found in kinds.items() if found],
        default="first",
        required=True,
        format_func=lambda kind: f"{t(f'comparison.kinds.{kind}')} ({len(kinds[kind])})",
        key=f"overview_kind_{language()}_{report['experiment']}",
        persist_state="page",
        label_visibility="collapsed",
    )
    return kinds[kind or "first"]


def _figures(report: Mapping[str, Any]) -> None:
    """Every metric of every arm."""
    with st.expander(t("comparison.all_figures"), icon=":material/table_rows:"):
        table = {
            arm["name"]: {
                t(f"metrics.{metric}.label"): wording.interval(arm["scores"].get(metric), "mean", metric)
                for metric in report["metrics"]
            }
            for arm in report["arms"]
        }
        st.dataframe(pd.DataFrame(table))
