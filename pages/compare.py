"""Compare: base against fine-tuned, on the same test rows, with the uncertainty shown."""

import streamlit as st

from core.training import runs
from core.ui import compare_form_view as form_view
from core.ui import compare_view as view
from core.ui import shell
from core.ui.i18n import t

shell.enter("comparison")
if not any(run.get("adapter") for run in runs.listing()):
    with st.container(border=True):
        st.markdown(t("comparison.empty"))
        shell.page_link("finetune", t("comparison.to_train"))
else:
    form_view.form()

if experiment_id := view.choice(st.query_params.get("experiment", "")):
    view.show(experiment_id)
