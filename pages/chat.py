"""Chat: one question, answered without and with the knowledge base, side by side."""

import streamlit as st

from core.errors import UserError
from core.generation import chats, turns
from core.models import cards
from core.rag import knowledge
from core.ui import resources, shell
from core.ui.chat import chat_view as view
from core.ui.chat import live_grid_view, turn_view
from core.ui.i18n import show_error, t

shell.enter("chat")
chat_id = view.current_chat()
turn = turns.live(chat_id)  # before the file is read: a turn that ends in between has written it
try:
    chat = chats.load(chat_id) if chat_id else chats.new()
except UserError as error:
    show_error(error)
    chat, chat_id = chats.new(), ""
view.conversations(chat_id)

resources.warm()
with st.container(horizontal=True, vertical_alignment="center"):
    mode = st.segmented_control(
        t("chat.mode"),
        view.MODES,
        default="both",
        required=True,
        format_func=lambda m: t(f"chat.modes.{m}"),
        key="chat_mode",
        label_visibility="collapsed",
    )
    bases = [row["name"] for row in knowledge.listing()]
    kb = view.choose_kb(bases, chat)
    chosen = view.settings_popover(mode)
    if chat["turns"]:
        view.manage(chat)

if mode == view.GRID:
    chosen |= live_grid_view.choose(chosen["model"])
card = cards.card(chosen["model"])
st.caption(t("common.embedded_answers" if card.embedded else "common.model_answers", title=card.title))

place = st.empty()  # emptied, not left to fade, once there is a turn
for number, kept in enumerate(chat["turns"][:-1] if turn else chat["turns"]):
    turn_view.kept_turn(kept, f"{chat['id']}-{number}")

if failed := st.session_state.pop("chat_error", None):
    show_error(failed)

typed = st.chat_input(t("chat.placeholder"), disabled=turn is not None, key="chat_input")
example = "" if chat["turns"] else view.empty_state(bases, place)

if asked := typed or example:
    try:
        view.ask(resources.engine(), chat, asked, mode, view.EXAMPLES.get(example, kb), chosen)
        st.query_params["chat"] = chat["id"]
        st.rerun()
    except Exception as error:
        st.session_state["chat_error"] = error  # shown by the next run too, should this one end in a rerun
        show_error(error)

if turn:
    turn_view.watch(turn, f"{chat['id']}-{len(chat['turns']) - 1}")
