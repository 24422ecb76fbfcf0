"""The Compare page: the form of a new comparison, or a kept one: its progress, then the tabs of what it found."""

from dataclasses import replace
from typing import Any

import streamlit as st

from core import jobs
from core.errors import UserError
from core.evaluation import experiments, measured
from core.evaluation.metrics import TOKENIZERS
from core.evaluation.metrics.tokens import CHARACTER
from core.evaluation.scoring import metrics
from core.ui import components
from core.ui.compare import form_view, gallery_view, overview_view, report_view, rows_view, vote_view
from core.ui.i18n import language, show_error, t

TABS = {
    "overview": overview_view.show,
    "rows": rows_view.show,
    "galleries": gallery_view.show,
    "vote": vote_view.show,
    "report": report_view.show,
}


def page() -> None:
    """The form of a new comparison, or a kept one: the address's, else the newest."""
    found = {item["id"]: item for item in experiments.listing()}
    if not found or st.query_params.get("view") == "new" or "run" in st.query_params:
        if found and st.button(t("comparison.back"), icon=":material/arrow_back:", type="tertiary", key="compare_back"):
            _open(st.query_params.get("experiment", ""))
        if started := form_view.show():
            _open(started)
        if not found:
            st.caption(t("comparison.first"))
        return
    wanted = st.query_params.get("experiment", "")
    current = wanted if wanted in found else next(iter(found))
    with st.container(horizontal=True, vertical_alignment="bottom"):
        picked = _choice(found, current)
        if st.button(
            t("comparison.duplicate"), icon=":material/content_copy:", key="compare_duplicate",
            help=t("comparison.duplicate_help"),
        ):  # fmt: skip
            form_view.fill(replace(experiments.plan(found[current]), tokenizer=_tokenizer(found[current])))
            _open_form()
        if st.button(t("comparison.new"), icon=":material/add:", type="primary", key="compare_new"):
            _open_form()
    if picked != current:
        _open(picked)
    _show(current)


def _open(experiment_id: str) -> None:
    """Put a kept experiment on screen, in the address too; empty: the newest."""
    for name in ("view", "run", "experiment", "tokenizer"):
        st.query_params.pop(name, None)
    if experiment_id:
        st.query_params["experiment"] = experiment_id
    st.rerun(scope="app")


def _open_form() -> None:
    st.query_params["view"] = "new"
    st.rerun(scope="app")


def _choice(found: dict[str, Any], current: str) -> str:
    labels = {
        key: components.job_label(
            key,
            item["dataset"],
            item["status"],
            t("comparison.shape", arms=len(item["arms"]), rows=item["count"]),
        )
        for key, item in found.items()
    }
    return components.job_choice(t("comparison.earlier"), labels, current, "experiment_choice")


def _show(experiment_id: str) -> None:
    """An experiment: its progress while it runs, then what it found."""
    summary = experiments.summary(experiment_id)
    status = summary["status"]
    if status in jobs.LIVE:
        _follow(experiment_id, status)
        return
    components.status_badge(status)
    components.job_error(summary)
    if status in jobs.RESUMABLE and st.button(
        t("comparison.resume"), icon=":material/play_arrow:", key="experiment_resume"
    ):
        try:
            experiments.resume(experiment_id)
        except UserError as error:
            show_error(error)
        else:
            st.rerun(scope="app")
    head = st.container(horizontal=True, vertical_alignment="bottom")
    wanted = _tokenizer(summary)
    changed = (experiments.folder(experiment_id) / "state.json").stat().st_mtime_ns
    with st.spinner(t("comparison.measuring")):
        experiment, report = _found(experiment_id, wanted, changed)
    if not report["rows"]:
        st.info(t("comparison.nothing"))
    else:
        with head:
            tab = components.view(TABS, "tab", "compare_tab", t("comparison.tab"), "comparison.tabs")
            if any(metrics()[name].tokenized for name in report["metrics"]):
                _choose_tokenizer(wanted, summary)
        if report["tokenizer"] != (frozen := summary.get("tokenizer", CHARACTER)):
            st.caption(t("comparison.measured_anew", **_called(now=report["tokenizer"], then=frozen)))
        TABS[tab](experiment, report)
    with st.popover(t("comparison.delete"), icon=":material/delete:"):
        st.caption(t("comparison.delete_help"))
        if st.button(t("comparison.delete"), key="experiment_delete"):
            experiments.delete(experiment_id)
            _open("")


def _tokenizer(summary: dict[str, Any]) -> str:
    """Of ROUGE and token F1: the address's, else the one the experiment was started with."""
    wanted = st.query_params.get("tokenizer", "")
    return wanted if wanted in TOKENIZERS else str(summary.get("tokenizer", CHARACTER))


def _choose_tokenizer(current: str, summary: dict[str, Any]) -> None:
    """The choice of another one, kept in the address."""
    key = f"compare_tokenizer_{language()}_{summary['id']}"
    st.session_state[key] = current
    labels = _called(**{name: name for name in TOKENIZERS})

    def choose() -> None:
        st.query_params["tokenizer"] = st.session_state[key]

    st.selectbox(
        t("comparison.fields.tokenizer.label"),
        TOKENIZERS,
        format_func=labels.__getitem__,
        key=key,
        on_change=choose,
        help=t("comparison.tokenizer_help"),
        width=260,
    )


def _called(**tokenizers: str) -> dict[str, str]:
    return {place: t(f"metrics.tokenizers.{name}") for place, name in tokenizers.items()}


@st.cache_resource(max_entries=4, show_spinner=False)
def _found(experiment_id: str, tokenizer: str, changed: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """The experiment and what it found, shared by all visits (to copy it takes longer than to draw a tab of it).

    Args:
        changed: when its state did; then all is read again.
    """
    return measured.read(experiment_id, tokenizer)


@st.fragment(run_every=1.0)
def _follow(experiment_id: str, status: str) -> None:
    summary = experiments.summary(experiment_id)
    if summary["status"] != status:
        st.rerun(scope="app")
    components.status_badge(status)
    if status == jobs.QUEUED:
        st.caption(t("finetune.queued"))
    components.progress(summary, summary.get("done", 0), summary.get("total", 0))
    if st.button(t("comparison.stop"), icon=":material/stop_circle:", key="experiment_stop"):
        experiments.stop(experiment_id)
