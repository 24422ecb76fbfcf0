"""Fine-tune: a form, a worker of its own, a live chart."""

import streamlit as st

from core.ui import shell
from core.ui import train_view as view
from core.ui.i18n import t

shell.enter("finetune")
run_id = view.run_choice(st.query_params.get("run", ""))

if run_id:
    view.actions(run_id)
    view.monitor(run_id)
    st.subheader(t("finetune.new"))
else:
    st.markdown(t("finetune.empty"))
view.form()
