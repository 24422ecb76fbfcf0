"""The Chat page's parts: asking, the settings popover, the list of conversations."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from core.errors import UserError
from core.evaluation.lengths import REASONING
from core.generation import ask as generation
from core.generation import chats, turns
from core.generation.ask import Arm
from core.generation.engine import Engine, Options
from core.generation.templates import COT
from core.models import adapters, cards, store
from core.rag import citations, context, retrieval
from core.training import runs
from core.ui import components
from core.ui.chat import live_grid_view
from core.ui.i18n import t

GRID = "grid"
MODES = ("both", "without", "with", GRID)
EXAMPLES = {"What is Llama 2?": "llama2", "介绍一下广州大学": "guangzhou"}  # question → knowledge base
QUERIES = 3  # ways to ask, with multi-query


def ask(engine: Engine, chat: chats.Chat, text: str, mode: str, kb: str, chosen: dict[str, Any]) -> None:
    """Start to answer a question in a conversation, as the mode and the settings say."""
    model, length = chosen["model"], chosen["max_new_tokens"]
    arms = live_grid_view.arms(text, chosen) if mode == GRID else _columns(text, mode, chosen)
    rag = any(arm.rag for arm in arms)
    if any(arm.strategy.template.kind == COT for arm in arms):
        length += REASONING
    longest = max((arm.strategy.bare(text) for arm in arms), key=len)

    before, history = [turn["question"] for turn in chat["turns"]], chats.history(chat, rag=True)
    search = retrieval.Settings(rewrite=chosen["rewrite"], queries=chosen["queries"])
    write = generation.writer(engine, model) if chosen["rewrite"] or chosen["queries"] > 1 else None

    def retrieve(progress: Any) -> turns.Found:
        found = retrieval.retrieve(kb, text, chosen["top_k"], search, progress, before, write)
        room = generation.room(model, longest, history, length)
        read = context.build(kb, found.passages, context.Room(*room) if room else None)
        return turns.Found([passage.as_dict() for passage in read], found.queries)

    question = turns.Question(
        text,
        model,
        arms,
        retrieve if rag else None,
        kb if rag else "",
        Options.of(cards.card(model), max_new_tokens=length, temperature=chosen["temperature"]),
        _cite,
        chosen.get("dataset", ""),
    )
    turns.start(engine, chat, question)


def _columns(text: str, mode: str, chosen: dict[str, Any]) -> list[Arm]:
    """The arms of a mode other than the grid: without, with the knowledge base, or both."""
    model, adapter = chosen["model"], chosen["adapter"]
    path = runs.adapter(adapter, model) if adapter else None
    uses = {"both": (False, True), "without": (False,), "with": (True,)}[mode]
    return generation.arms(model, text, uses, adapter, path, chosen["reads"])


def _cite(answer: str, texts: Sequence[str]) -> list[dict[str, Any]]:
    return [asdict(sentence) for sentence in citations.cite(answer, texts)]


def choose_kb(bases: list[str], chat: chats.Chat) -> str:
    """The knowledge base to ask with: the one this conversation used last, until another is chosen."""
    used = [turn["kb"] for turn in chat["turns"] if turn.get("kb") in bases]
    return st.selectbox(
        t("chat.kb"),
        bases,
        index=bases.index(used[-1] if used else "llama2" if "llama2" in bases else bases[0]),
        format_func=lambda name: t("chat.kb_named", name=name),
        key=f"chat_kb_{chat['id'] if chat['turns'] else 'new'}",
        width=240,
        label_visibility="collapsed",
    )


def empty_state(bases: list[str], place: Any) -> str:
    """What to try first, in ``place``; returns the example question that was pressed, or nothing."""
    with place.container(border=True):
        st.markdown(t("chat.empty"))
        for text, kb in EXAMPLES.items():
            if kb in bases and st.button(text, icon=":material/arrow_forward:", key=f"example-{kb}"):
                return text
    return ""


def settings_popover(mode: str) -> dict[str, Any]:
    """Model, adapter, passages and generation settings, out of the way; returns what is set.

    The grid has its adapters elsewhere.
    """
    with st.popover(t("chat.settings"), icon=":material/tune:"):
        usable = [c for c in cards.catalog().values() if c.generates and (c.embedded or store.is_usable(c))]
        names = [card.name for card in usable]
        wanted = st.query_params.get("adapter", "")
        first = next((base for base in (_base(wanted), store.default_generator().name) if base in names), names[0])
        model = st.selectbox(t("chat.model"), names, index=names.index(first), key="chat_model")
        adapter = "" if mode == GRID else _adapter(model, wanted)
        reads = True
        if mode != GRID and not adapter and any(own.model == model for own in adapters.shipped().values()):
            reads = st.toggle(t("chat.reads"), True, key="chat_reads", help=t("chat.reads_help"))
        top_k = st.slider(
            t("chat.top_k"), 1, 8, cards.card(model).passages, key="chat_top_k", help=t("chat.top_k_help")
        )
        with st.expander(t("chat.search"), icon=":material/manage_search:"):
            rewrite = st.toggle(t("chat.rewrite"), key="chat_rewrite", help=t("chat.rewrite_help"))
            several = st.toggle(t("chat.multi_query"), key="chat_multi_query", help=t("chat.multi_query_help"))
        temperature = st.slider(
            t("chat.temperature"), 0.0, 1.5, 0.0, 0.1, key="chat_temperature", help=t("chat.temperature_help")
        )
        length = st.slider(t("chat.length"), 16, 512, 160, 16, key="chat_length")
    return {
        "model": model,
        "adapter": adapter,
        "reads": reads,
        "top_k": top_k,
        "rewrite": rewrite,
        "queries": QUERIES if several else 1,
        "temperature": temperature,
        "max_new_tokens": length,
    }


def _adapter(model: str, wanted: str) -> str:
    labels = {"": t("chat.no_adapter"), **runs.adapters(model, checkpoints_too=True)}
    return st.selectbox(
        t("chat.adapter"),
        list(labels),
        index=list(labels).index(wanted) if wanted in labels else 0,
        format_func=lambda key: labels.get(key, key),
        key="chat_adapter",
    )


def _base(adapter_id: str) -> str:
    """The base model of the run in the address; empty: there is none."""
    try:
        return str(runs.show(adapter_id)["config"]["model"])
    except UserError:
        return ""


def conversations(current: str) -> None:
    """The list of kept conversations in the sidebar; the current one can be renamed, exported and deleted."""
    with st.sidebar:
        if st.button(t("chat.new"), icon=":material/add:", width="stretch", key="new_chat"):
            _open("")
        for chat in chats.listing(30):
            chosen = chat["id"] == current
            kind = "secondary" if chosen else "tertiary"
            if (
                st.button(components.plain(chat["title"]), key=f"open-{chat['id']}", type=kind, width="stretch")
                and not chosen
            ):
                _open(chat["id"])


def current_chat() -> str:
    """The conversation on screen: the address's, or after a visit to another page the one that was open here."""
    if "chat" not in st.query_params and st.session_state.get("open_chat"):
        st.query_params["chat"] = st.session_state["open_chat"]
    st.session_state["open_chat"] = st.query_params.get("chat", "")
    return st.session_state["open_chat"]


def _open(chat_id: str) -> None:
    st.session_state["open_chat"] = chat_id
    st.query_params.from_dict({k: v for k, v in st.query_params.items() if k == "lang"})
    if chat_id:
        st.query_params["chat"] = chat_id
    st.session_state.pop("chat_error", None)
    st.rerun()


def _rename(chat_id: str, key: str) -> None:
    try:
        chats.rename(chat_id, st.session_state[key])
    except UserError as error:
        st.session_state["chat_error"] = error


def manage(chat: chats.Chat) -> None:
    """Rename, export, delete the conversation on screen."""
    with st.popover(t("chat.manage"), icon=":material/more_horiz:"):
        key = f"title-{chat['id']}"
        st.text_input(t("chat.rename"), chat["title"], key=key, on_change=_rename, args=(chat["id"], key))
        name = f"yuan-lab-{chat['id']}"
        st.download_button(
            t("chat.markdown"), chats.as_markdown(chat), f"{name}.md", "text/markdown", icon=":material/download:"
        )
        st.download_button(
            t("chat.json"), chats.as_json(chat), f"{name}.json", "application/json", icon=":material/download:"
        )
        if st.button(t("chat.delete"), icon=":material/delete:", key="delete_chat"):
            if turn := turns.live(chat["id"]):
                turn.stop()
            chats.delete(chat["id"])
            _open("")
