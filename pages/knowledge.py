"""Knowledge: the bases and their documents, retrieval stage by stage, its quality, and a map."""

import streamlit as st

from core.errors import UserError
from core.ui import shell
from core.ui.i18n import show_error, t
from core.ui.knowledge import knowledge_view as view
from core.ui.knowledge import lab_view as lab
from core.ui.knowledge import quality_view as quality

shell.enter("knowledge")
base = view.choose_base()
if document := st.query_params.get("document"):
    view.document(base, document, st.query_params.get("at", ""))
    st.stop()

TABS = {
    "manage": lambda: view.manage(base),
    "lab": lambda: lab.lab(base),
    "evaluation": lambda: quality.evaluate(base),
    "map": lambda: lab.chunk_map(base),
}
# Set before the widget is made: afterwards its choice cannot be changed any more.
if "kb_tab" not in st.session_state or "kb_tab_next" in st.session_state:
    st.session_state["kb_tab"] = st.session_state.pop("kb_tab_next", "manage")
tab = st.segmented_control(
    t("knowledge.title"),
    list(TABS),
    format_func=lambda name: t(f"knowledge.tabs.{name}"),
    key="kb_tab",
    required=True,
    label_visibility="collapsed",
)
try:
    TABS[tab or "manage"]()
except UserError as error:
    show_error(error)
