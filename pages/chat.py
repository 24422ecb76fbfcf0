"""Chat: one question, answered without and with the knowledge base, side by side."""

import streamlit as st

from core.errors import UserError
from core.generation import chats, turns
from core.generation.engine import Options
from core.models import cards
from core.rag import knowledge
from core.ui import chat_view as view
from core.ui import resources, shell
from core.ui.i18n import show_error, t

shell.enter("chat")
chat_id = st.query_params.get("chat", "")
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
        format_func=lambda m: t(f"chat.modes.{m}"),
        key="chat_mode",
        label_visibility="collapsed",
    )
    bases = [row["name"] for row in knowledge.listing()]
    kb = st.selectbox(
        t("chat.kb"),
        bases,
        index=bases.index("llama2") if "llama2" in bases else 0,
        format_func=lambda name: t("chat.kb_named", name=name),
        key="chat_kb",
        width=240,
        label_visibility="collapsed",
    )
    chosen = view.settings_popover()
    if chat["turns"]:
        view.manage(chat)

mode = mode or "both"
card = cards.card(chosen["model"])
st.caption(t("common.embedded_answers" if card.embedded else "common.model_answers", title=card.title))

for number, kept in enumerate(chat["turns"][:-1] if turn else chat["turns"]):
    view.kept_turn(kept, f"{chat['id']}-{number}")

if failed := st.session_state.pop("chat_error", None):
    show_error(failed)

typed = st.chat_input(t("chat.placeholder"), disabled=turn is not None, key="chat_input")
example = ""
if not chat["turns"]:
    with st.container(border=True, key="chat_empty"):
        st.markdown(t("chat.empty"))
        for name, text in (("llama2", t("chat.examples.llama2")), ("guangzhou", t("chat.examples.guangzhou"))):
            if name in bases and st.button(text, icon=":material/arrow_forward:", key=f"example-{name}"):
                example, kb = text, name

if asked := typed or example:
    try:
        arms = view.mode_arms(mode, chosen["adapter"], chosen["model"])
        retrieve = view.retriever(kb, chosen["top_k"], asked) if mode != "without" else None
        options = Options(max_new_tokens=chosen["max_new_tokens"], temperature=chosen["temperature"])
        turns.start(resources.engine(), chat, turns.Question(asked, chosen["model"], arms, retrieve, options))
        st.query_params["chat"] = chat["id"]
        st.rerun()
    except Exception as error:
        show_error(error)

if turn:
    view.watch(turn, f"{chat['id']}-{len(chat['turns']) - 1}")
