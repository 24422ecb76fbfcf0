"""The overview of a comparison: each arm's scores, what differs for sure, and how far it can be trusted."""

from typing import Any

import pandas as pd
import streamlit as st

from core import comparison_charts
from core.evaluation import scoring
from core.evaluation.metrics import ROUGE
from core.ui import compare_arms, components, theme
from core.ui.i18n import t


def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Scores and differences.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    _chart(report)
    _finding(report)


def _shown(report: dict[str, Any]) -> list[str]:
    """The metrics of the chart: ROUGE, or where the rows are no texts all that go from 0 to 1."""
    rouge = [metric for metric in ROUGE if metric in report["metrics"]]
    return rouge or [metric for metric in report["metrics"] if scoring.metrics()[metric].unit == "share"]


def _chart(report: dict[str, Any]) -> None:
    named, shown = compare_arms.labels(report["arms"]), _shown(report)
    colors = compare_arms.colors(report["arms"])
    labels = {key: t(f"comparison.chart.{key}") for key in ("title", "score")}
    labels["subtitle"] = t("comparison.chart.subtitle", n=report["rows"])
    figure = comparison_charts.overview(
        [{**arm, "name": named[arm["name"]]} for arm in report["arms"]],
        {metric: t(f"metrics.{metric}.label") for metric in shown},
        list(colors.values()),
        labels,
        theme.ink(),
    )
    rows = [
        {"arm": arm["name"], "metric": metric, **score}
        for arm in report["arms"]
        for metric, score in arm["scores"].items()
    ]
    components.chart(figure, pd.DataFrame(rows), f"scores-{report['experiment']}")


def _finding(report: dict[str, Any]) -> None:
    primary = report["primary"]
    label = t(f"metrics.{primary}.label")
    named = compare_arms.labels(report["arms"])
    for arm in report["arms"]:
        score = arm["scores"][primary]
        figures = {part: f"{score[part]:.3f}" for part in ("mean", "low", "high")}
        line = t("comparison.arm_line", metric=label, **figures, seconds=f"{arm['seconds']:.1f}")
        components.chip(compare_arms.cell(arm), f"{named[arm['name']]}: {line}")
    for item in report["contrasts"]:
        if item["metric"] == primary:
            figures = {part: f"{item[part]:+.3f}" for part in ("delta", "low", "high")}
            p = f"{item['p_holm']:.3f}" if item["p_holm"] >= 0.001 else "< 0.001"
            names = {"a": item["a"], "b": item["b"]}
            told = t("comparison.contrast", metric=label, **names, **figures, p=p)
            st.markdown(f"{told} {t('metrics.verdicts.' + item['verdict'], n=item['n'], **names)}")
    if report["overlap"]:
        rows = ", ".join(dict.fromkeys(str(one["row"] + 1) for one in report["overlap"]))
        st.warning(t("comparison.overlap", rows=rows), icon=":material/content_copy:")
