"""How far a comparison's figures go: what fine-tuning has cost elsewhere, and whether other draws say the same."""

from collections.abc import Mapping
from typing import Any

import pandas as pd
import streamlit as st

from core.evaluation.forgetting import METRICS
from core.evaluation.stability import drawn
from core.ui import bench
from core.ui.compare import wording
from core.ui.components import plain
from core.ui.i18n import t


def show(report: Mapping[str, Any], metric: str) -> None:
    """What of it was asked for.

    Args:
        report: of :func:`core.evaluation.results.named`, its arms as they are called on screen.
    """
    if report["stability"]:
        _stability(report, metric)
    if report["forgetting"]:
        _forgetting(report["forgetting"])


def _stability(report: Mapping[str, Any], metric: str) -> None:
    """What each seed alone would have said of the metric."""
    found = report["stability"]
    st.subheader(t("report.stability"))
    st.caption(t("report.stability_help", **drawn(found)))
    lines = []
    for arm in report["arms"]:
        if of := found["arms"][arm["name"]]["metrics"].get(metric):
            *means, sd = (wording.figure(metric, value) for value in (*of["means"], of["sd"]))
            same = t("comparison.drawn_same", share=f"{found['arms'][arm['name']]['same']:.0%}")
            lines.append((arm, [" · ".join(means), f"{t('comparison.drawn_sd', sd=sd)} · {same}"]))
    bench.findings(lines)


def _forgetting(found: Mapping[str, Any]) -> None:
    """General questions: the verdict on each adapter, the figures it rests on, and every answer."""
    st.subheader(t("report.forgetting"))
    st.caption(t("report.forgetting_help", n=found["rows"]))
    for one in found["contrasts"]:
        if one["metric"] == METRICS[0]:
            verdict = t(f"report.forgetting_{one['verdict']}", b=plain(one["b"]), n=one["n"])
            same = t("report.forgetting_same", share=f"{found['same'][one['b']]:.0%}")
            told = wording.contrast(one)
            st.markdown(f"- {verdict}  \n  :small[{told[0].upper()}{plain(told[1:])}. {same}]")
    called = {found["contrasts"][0]["a"]: t("comparison.base_alone")}
    figures = {
        called.get(name, name): {
            t(f"metrics.{metric}.label"): wording.interval(of[metric], "mean", metric) for metric in METRICS
        }
        for name, of in found["scores"].items()
    }
    st.dataframe(pd.DataFrame.from_dict(figures, "index"))
    with st.expander(t("report.forgetting_answers", n=found["rows"]), icon=":material/table_rows:"):
        head = {"input": t("report.question"), "reference": t("report.reference")}
        answers = [
            {
                **{said: row[part] for part, said in head.items()},
                **{called.get(name, name): a["text"] for name, a in row["answers"].items()},
            }
            for row in found["answers"]
        ]
        st.dataframe(pd.DataFrame(answers), hide_index=True)
