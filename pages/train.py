"""Fine-tune: the runs there are, the form of a new one, and the data; which of them is on screen, the address says."""

import streamlit as st

from core.training import runs
from core.ui import components, shell
from core.ui.i18n import t
from core.ui.training import data_view, new_run_view, runs_view

VIEWS = {"runs": runs_view.page, "new": new_run_view.page, "data": data_view.page}

shell.enter("finetune")
# The runs are read only where the address leaves it open.
new = st.query_params.get("view") not in VIEWS and "run" not in st.query_params and not runs.listing()
view = components.view(
    VIEWS, "view", "train_view", t("finetune.view"), "finetune.views", first="new" if new else "runs"
)
VIEWS[view]()
