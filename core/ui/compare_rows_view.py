"""The rows of a comparison, one by one."""

from typing import Any

import pandas as pd
import streamlit as st

from core.evaluation import grid
from core.ui import compare_arms, components
from core.ui.i18n import t


def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Every row with each arm's answer.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    _table(experiment, report)


def galleries(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """The rows on which a factor hurt; arguments as of :func:`show`."""


def _table(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    primary = report["primary"]
    label = t(f"metrics.{primary}.label")
    names = [grid.name(arm) for arm in experiment["arms"]]
    rows = []
    for row in experiment["answers"]:
        if not all(name in row["answers"] for name in names):
            continue
        scores = {name: row["answers"][name]["scores"].get(primary, 0.0) for name in names}
        line = {t("comparison.columns.input"): row["input"], t("comparison.columns.reference"): row["reference"]}
        line[t("comparison.columns.gain")] = round(scores[names[-1]] - scores[names[0]], 4)
        for name in names:
            answer = row["answers"][name]
            line |= {name: answer["text"], f"{label} {name}": round(scores[name], 4), f"s {name}": answer["seconds"]}
        rows.append(line)
    table = pd.DataFrame(rows).sort_values(t("comparison.columns.gain"), ascending=False, ignore_index=True)
    st.subheader(t("comparison.table"))
    st.caption(t("comparison.table_help", metric=label))
    event = st.dataframe(
        table,
        hide_index=True,
        height=300,
        on_select="rerun",
        selection_mode="single-row",
        key=f"rows-{experiment['id']}",
    )
    picked = event.selection.rows[0] if event.selection.rows else 0
    _details(table.iloc[picked], experiment, names, label)
    data = table.to_csv(index=False).encode("utf-8-sig")
    st.download_button(t("common.csv"), data, f"answers-{experiment['id']}.csv", "text/csv", icon=":material/download:")


def _details(line: Any, experiment: dict[str, Any], names: list[str], label: str) -> None:
    st.text(line[t("comparison.columns.input")])
    st.caption(t("comparison.columns.reference"))
    st.code(line[t("comparison.columns.reference")], language=None, wrap_lines=True)
    called = compare_arms.labels(experiment["arms"])
    for arm, name, column in zip(experiment["arms"], names, st.columns(len(names)), strict=True):
        cell = compare_arms.cell(arm)
        with column, st.container(border=True, key=f"arm-{cell}-detail"):
            components.chip(cell, f"{called[name]} · {label} {line[f'{label} {name}']:.3f}")
            st.code(line[name] or "…", language=None, wrap_lines=True)
