"""The form of a comparison: what is asked of whom, and the start of its worker."""

import streamlit as st

from core.evaluation import experiments
from core.evaluation.freezing import Plan
from core.generation import templates
from core.rag import knowledge
from core.training import runs
from core.training.data import datasets
from core.ui import components
from core.ui.i18n import show_error, t

DEFAULT_ROWS = 24


def form() -> None:
    """Base against a run's adapter on test rows, with or without a knowledge base; starts the worker."""
    finished = _adapters()
    wanted = st.query_params.get("run", "")
    with st.container(border=True):
        left, middle, right = st.columns([2, 2, 1])
        ids = list(finished)
        run_id = left.selectbox(
            t("comparison.run"),
            ids,
            index=ids.index(wanted) if wanted in ids else 0,
            format_func=finished.__getitem__,
            key="compare_run",
        )
        names = list(datasets.listing())
        trained_on = runs.show(run_id)["config"]["dataset"]
        dataset = middle.selectbox(
            t("comparison.dataset"),
            names,
            index=names.index(trained_on) if trained_on in names else 0,
            key=f"compare_dataset_{run_id}",
        )
        rows = len(datasets.load(dataset).test)
        limit = right.number_input(
            t("comparison.rows"), 1, rows, min(DEFAULT_ROWS, rows), key="compare_rows", help=t("comparison.rows_help")
        )
        bases = ["", *(row["name"] for row in knowledge.listing())]
        with st.expander(t("comparison.more"), icon=":material/settings:"):
            kb = st.selectbox(
                t("comparison.kb"), bases, format_func=lambda name: name or t("comparison.no_kb"), key="compare_kb"
            )
            strategies = st.multiselect(
                t("comparison.strategies"),
                list(templates.listing()),
                [templates.ZERO_SHOT],
                key="compare_strategies",
                help=t("comparison.strategies_help"),
            )
        if st.button(t("comparison.start"), type="primary", icon=":material/play_arrow:", key="compare_start"):
            uses = [False, True] if kb else [False]
            _start(Plan(dataset, ["base", run_id], kb, uses, strategies or [templates.ZERO_SHOT], int(limit)))


def _adapters() -> dict[str, str]:
    """What can be compared with its base model: id → label, each run with an adapter and the checkpoints it kept."""
    found = {}
    for run in runs.listing():
        if run.get("adapter"):
            found[run["id"]] = components.job_label(run["id"], run["name"])
            for at in runs.checkpoints(run["id"]):
                found[at["id"]] = f"{found[run['id']]} · {t('runs.take.at', step=at['step'])}"
    return found


def _start(plan: Plan) -> None:
    try:
        with st.spinner(t("comparison.starting")):
            started = experiments.start(plan)
    except Exception as error:
        show_error(error)
    else:
        st.query_params["experiment"] = started
        st.rerun(scope="app")
