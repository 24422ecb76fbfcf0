"""Overview: what this is, the three things to do, what it runs on."""

import streamlit as st

from core.ui import overview_view as view
from core.ui import shell
from core.ui.i18n import t

shell.enter("overview")
left, right = st.columns([3, 2], gap="large", vertical_alignment="center")
with left:
    st.markdown(t("overview.what"))
    if st.button(t("overview.ask"), type="primary", icon=":material/forum:", key="go_chat"):
        shell.go("chat", {})
with right:
    view.bench()

st.subheader(t("overview.three"))
view.three_things()
below_left, below_right = st.columns(2, gap="large")
with below_left:
    view.machine()
with below_right:
    view.recent_runs()
