"""A comparison to take away: the report, its figures and answers, and the command that repeats it."""

import json
from typing import Any

import streamlit as st

from core.evaluation import export
from core.evaluation.report import page
from core.ui.i18n import language, t


def show(experiment: dict[str, Any], report: dict[str, Any]) -> None:
    """Downloads, made when they are asked for.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`; shared by all visits, to be read only.
        report: of :func:`core.evaluation.results.results`; read only too.
    """
    name, spoken = experiment["id"], language()
    if "tokenizer_frozen" in experiment:
        name += f"-{report['tokenizer']}"
    files = {
        "report": (lambda: page(experiment, report, spoken), f"{name}.html", "text/html"),
        "figures": (lambda: json.dumps(report, ensure_ascii=False, indent=1), f"{name}.json", "application/json"),
        "answers_csv": (lambda: export.answers_csv(experiment, report), f"{name}-answers.csv", "text/csv"),
        "answers_json": (
            lambda: json.dumps(experiment["answers"], ensure_ascii=False, indent=1),
            f"{name}-answers.json",
            "application/json",
        ),
    }
    st.markdown(t("comparison.take.about"))
    with st.container(horizontal=True):
        for kind, (make, file, mime) in files.items():
            st.download_button(
                t(f"comparison.take.{kind}"),
                make,
                file,
                mime,
                icon=":material/download:",
                type="primary" if kind == "report" else "secondary",
                key=f"experiment_{kind}",
                on_click="ignore",
            )
    st.markdown(f"**{t('report.repeat')}**")
    st.code(report["command"], language="bash", wrap_lines=True)
    with st.expander(t("report.made_of"), icon=":material/inventory_2:"):
        st.json(report["about"])
