"""Entry point: page config, language, access gate, navigation. The pages do the rest."""

import streamlit as st

from core.settings import ROOT
from core.ui import shell

st.set_page_config(
    page_title="Yuan Lab 源实验室",
    page_icon=str(ROOT / "assets" / "logo.svg"),
    layout="wide",
    initial_sidebar_state="auto",
)
shell.open_visit()
st.navigation(shell.pages()).run()
