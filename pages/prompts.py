"""Prompts: one input put with several strategies, their prompts and their answers side by side."""

import streamlit as st

from core.errors import UserError
from core.generation import templates, turns
from core.ui import resources, shell
from core.ui.i18n import show_error, t
from core.ui.prompts import editor_view
from core.ui.prompts import prompts_view as view

shell.enter("prompts")
chat = view.current()
turn = turns.live(chat["id"])
resources.warm()
view.exercises()
asked, place = view.form()
try:
    how = view.ready(asked)
except UserError as error:
    how = []
    edited = st.session_state.get("prompts_edited")
    if not (edited in asked.strategies and editor_view.fault(edited)):  # else it is said where it can be mended
        show_error(error)
pressed = place.button(
    t("prompts.run"), type="primary", icon=":material/play_arrow:", key="prompts_run", disabled=bool(turn) or not how
)
if pressed:
    try:
        view.run(resources.engine(), chat, asked, how)
        st.rerun()
    except Exception as error:
        show_error(error)
if how and asked.text.strip():
    try:
        with st.spinner(t("prompts.counting")):
            view.costs(asked, how, view.read(asked, how))
    except UserError as error:
        show_error(error)
answers = st.container()  # filled last: watching answers grow holds the script up

st.subheader(t("prompts.templates"))
names = list(templates.listing())
if st.session_state.get("prompts_edited") not in names:
    st.session_state["prompts_edited"] = names[0]
edited = st.segmented_control(
    t("prompts.templates"),
    names,
    key="prompts_edited",
    required=True,
    label_visibility="collapsed",
    persist_state="session",
)
editor_view.show(edited or names[0])

with answers:
    view.answers(chat, turn)
