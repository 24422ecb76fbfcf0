"""The Chat page's parts: an answer's column, a turn, the settings popover, the list of conversations."""

import html
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import streamlit as st

from core.errors import UserError
from core.generation import ask as generation
from core.generation import chats, turns
from core.generation.ask import Arm
from core.generation.engine import Engine, Options
from core.generation.turns import Turn
from core.models import adapters, cards, store
from core.rag import citations, context, retrieval
from core.training import runs
from core.ui import components
from core.ui.i18n import language, seconds, t

MODES = ("both", "without", "with")
EXAMPLES = {"What is Llama 2?": "llama2", "介绍一下广州大学": "guangzhou"}  # question → knowledge base
QUERIES = 3  # ways to ask, with multi-query
REDRAW = 0.05  # seconds between two looks at a growing answer


def ask(engine: Engine, chat: chats.Chat, text: str, mode: str, kb: str, chosen: dict[str, Any]) -> None:
    """Start to answer a question in a conversation, as the mode and the settings say."""
    model, adapter = chosen["model"], chosen["adapter"]
    path = runs.adapter(adapter, model) if adapter else None
    uses = {"both": (False, True), "without": (False,), "with": (True,)}[mode]

    before, history = [turn["question"] for turn in chat["turns"]], chats.history(chat, rag=True)
    search = retrieval.Settings(rewrite=chosen["rewrite"], queries=chosen["queries"])
    write = generation.writer(engine, model) if chosen["rewrite"] or chosen["queries"] > 1 else None

    def retrieve(progress: Any) -> turns.Found:
        found = retrieval.retrieve(kb, text, chosen["top_k"], search, progress, before, write)
        room = generation.room(model, text, history, chosen["max_new_tokens"])
        read = context.build(kb, found.passages, context.Room(*room) if room else None)
        return turns.Found([passage.as_dict() for passage in read], found.queries)

    question = turns.Question(
        text,
        model,
        generation.arms(model, text, uses, adapter, path, chosen["reads"]),
        retrieve if any(uses) else None,
        kb if any(uses) else "",
        Options.of(cards.card(model), max_new_tokens=chosen["max_new_tokens"], temperature=chosen["temperature"]),
        _cite,
    )
    turns.start(engine, chat, question)


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


def settings_popover() -> dict[str, Any]:
    """Model, adapter, passages and generation settings, out of the way; returns what is set."""
    with st.popover(t("chat.settings"), icon=":material/tune:"):
        usable = [c for c in cards.catalog().values() if c.generates and (c.embedded or store.is_usable(c))]
        names = [card.name for card in usable]
        wanted = st.query_params.get("adapter", "")
        first = next((base for base in (_base(wanted), store.default_generator().name) if base in names), names[0])
        model = st.selectbox(t("chat.model"), names, index=names.index(first), key="chat_model")
        labels = {"": t("chat.no_adapter"), **runs.adapters(model, checkpoints_too=True)}
        adapter = st.selectbox(
            t("chat.adapter"),
            list(labels),
            index=list(labels).index(wanted) if wanted in labels else 0,
            format_func=lambda key: labels.get(key, key),
            key="chat_adapter",
        )
        reads = True
        if not adapter and any(own.model == model for own in adapters.shipped().values()):
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


def _base(adapter_id: str) -> str:
    """The base model of the run in the address; empty: there is none."""
    try:
        return str(runs.show(adapter_id)["config"]["model"])
    except UserError:
        return ""


def figures(answer: dict[str, Any]) -> str:
    """Which model (and adapter) answered, first-token time, tokens and speed, in one line of HTML."""
    model = answer["model"]
    name = cards.catalog()[model].title if model in cards.catalog() else model
    name = html.escape(name + (f" + {answer['adapter']}" if answer["adapter"] else ""))
    if answer["first_token_seconds"] is None:
        return f"{name} · {t('chat.no_tokens')}" if answer["finish"] else name
    span = answer["seconds"] - answer["first_token_seconds"]
    speed = (answer["tokens"] - 1) / span if answer["tokens"] > 1 and span > 0 else 0
    line = t(
        "chat.figures", first=seconds(answer["first_token_seconds"]), tokens=answer["tokens"], speed=f"{speed:.1f}"
    )
    if cited := answer.get("cited"):
        supported = sum(sentence["passage"] is not None for sentence in cited)
        line += f" · {t('chat.supported', count=supported, of=len(cited))}"
    return f"{name} · {line}" + (
        f" · {t('chat.finish.' + answer['finish'])}" if answer["finish"] in ("length", "stopped") else ""
    )


def arm_of(answer: dict[str, Any]) -> str:
    """The cell an answer belongs to."""
    return Arm(answer["rag"], answer["adapter"] or "").key


def question(text: str) -> None:
    """A question as it was typed."""
    st.html(f'<div class="question">{html.escape(text)}</div>')


def columns(arms: list[str], key: str) -> list[Any]:
    """One bordered column per arm, in its colour."""
    cells = st.columns(len(arms))
    made = []
    for cell, arm in zip(cells, arms, strict=True):
        with cell:
            made.append(st.container(border=True, key=f"arm-{arm}-{key}"))
    return made


def kept_turn(turn: dict[str, Any], key: str) -> None:
    """A finished turn: the question and its answers with figures and passages."""
    question(turn["question"])
    searched(turn)
    if not turn["answers"]:
        st.caption(t("chat.unanswered"))
        return
    read: list[dict[str, Any]] = next((answer["passages"] for answer in turn["answers"] if answer["passages"]), [])
    for answer, box in zip(turn["answers"], columns([arm_of(a) for a in turn["answers"]], key), strict=True):
        with box:
            components.chip(arm_of(answer), components.arm_label(arm_of(answer)))
            if answer["rag"] and not answer["passages"]:
                nothing_found()
            if own := adapters.shipped().get(answer["adapter"] or ""):
                st.caption(t("chat.read_with", name=own.name), help=own.note[language()])
            marked = components.cited_text(answer["text"], answer.get("cited", []), read, turn.get("kb", ""))
            st.markdown(marked or "…")
            st.html(f'<div class="figures">{figures(answer)}</div>')
            components.passages(answer["passages"], turn.get("kb", ""))


def searched(turn: dict[str, Any]) -> None:
    """What was really searched for, where that is not the question as it was typed."""
    if (queries := turn.get("queries", [])) and queries != [turn["question"]]:
        st.caption(t("chat.searched", queries=components.plain(" · ".join(queries))))


def nothing_found() -> None:
    """The mark of an answer whose search found nothing, so that it comes from the model alone."""
    st.info(t("chat.nothing_found"), icon=":material/search_off:")


def watch(turn: Turn, key: str) -> None:
    """Draw a turn under way until it is finished; both columns grow together."""
    asked = turn.question
    with st.container(horizontal=True, horizontal_alignment="distribute", wrap=False):
        question(asked.text)
        st.button(t("chat.stop"), icon=":material/stop_circle:", key="stop", on_click=turn.stop, type="primary")
    places: list[tuple[Any, Any]] = []
    marks: list[Any] = []
    for arm, box in zip(asked.arms, columns([arm.key for arm in asked.arms], key), strict=True):
        with box:
            components.chip(arm.key, components.arm_label(arm.key))
            mark = st.empty()
            places.append((st.empty(), st.empty()))
            if arm.rag:
                marks.append(mark)
    shown: list[str] = [""] * len(places)
    while not turn.wait(REDRAW):
        answers = turn.answers
        if turn.found and not turn.passages:
            for mark in marks:
                with mark:
                    nothing_found()
            marks = []
        for i, (text, line) in enumerate(places):
            answer = answers[i] if answers else None
            if answer and answer["text"]:
                if answer["text"] != shown[i]:
                    shown[i] = answer["text"]
                    text.markdown(components.model_text(answer["text"]) + ("" if answer["finish"] else " ▍"))
                    line.html(f'<div class="figures">{figures(answer)}</div>')
            else:
                text.html(f'<div class="waiting">{_waiting(turn)}</div>')
    if turn.error:
        st.session_state["chat_error"] = turn.error
    st.rerun()


def _waiting(turn: Turn) -> str:
    stage, share = turn.waiting_for()
    return t(f"stage.{stage}") + (f" {share:.0%}" if share else " …")


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
