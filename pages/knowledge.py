"""Knowledge: the bases and their documents, retrieval stage by stage, its quality, and a map."""

import streamlit as st

from core.errors import UserError
from core.ui import components, shell
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
tab = components.view(TABS, "tab", "kb_tab", t("knowledge.title"), "knowledge.tabs")
try:
    TABS[tab]()
except UserError as error:
    show_error(error)
