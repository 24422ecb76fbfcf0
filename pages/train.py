"""Fine-tune: the runs there are, the form of a new one, and the data; which of them is on screen, the address says."""

import streamlit as st

from core.training import runs
from core.ui import shell
from core.ui.i18n import t
from core.ui.training import data_view, new_run_view, runs_view

VIEWS = {"runs": runs_view.page, "new": new_run_view.page, "data": data_view.page}

shell.enter("finetune")
view = st.query_params.get("view", "")
if view not in VIEWS:
    view = "runs" if "run" in st.query_params or runs.listing() else "new"
st.session_state["train_view"] = view


def choose() -> None:
    """Into the address; the control cannot be emptied, so a second click on the chosen view changes nothing."""
    st.query_params["view"] = st.session_state["train_view"] or view


st.segmented_control(
    t("finetune.view"),
    list(VIEWS),
    format_func=lambda name: t(f"finetune.views.{name}"),
    key="train_view",
    on_change=choose,
    label_visibility="collapsed",
)
VIEWS[view]()
