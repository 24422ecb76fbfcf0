"""A comparison to take away: the report, its figures and answers, and the command that repeats it."""

from typing import Any

import streamlit as st

from core.evaluation.report import page
from core.ui.i18n import language, t


def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Downloads, made when they are asked for.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    st.download_button(
        t("comparison.report"),
        lambda: page(experiment, report, language()),
        f"{experiment['id']}.html",
        "text/html",
        icon=":material/description:",
        key="experiment_report",
        on_click="ignore",
    )
    st.code(report["command"], language="bash", wrap_lines=True)
