"""The Prompts page's parts: one input, the strategies it is put with, what they cost in tokens, and their answers."""

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pandas as pd
import streamlit as st

from core.errors import UserError
from core.evaluation import shots
from core.evaluation.metrics import Expected, class_names, expected
from core.evaluation.metrics.answers import exact
from core.evaluation.metrics.cases import ANSWER, CLASS
from core.evaluation.metrics.classes import class_of
from core.generation import ask, chats, prompts, strategies, templates, turns
from core.generation.engine import Engine, Options
from core.generation.strategies import Preview, Strategy
from core.generation.templates import KINDS, Template
from core.models import cards, store
from core.rag import context, knowledge, retrieval
from core.training.data import datasets
from core.training.data.columns import LABEL
from core.ui import components
from core.ui.chat import live_grid_view, turn_view
from core.ui.i18n import language, t
from core.ui.prompts import editor_view

EXERCISES = {
    "sentiment": {"zh": "sentiment-zh", "en": "sentiment-en"},
    "odd": dict.fromkeys(("zh", "en"), "odd-numbers"),
}
PARTS = ("template", "examples", "context", "question", "frame")


@dataclass(frozen=True)
class Form:
    """What is to be asked."""

    text: str
    strategies: list[str]
    dataset: str
    kb: str
    model: str
    max_new_tokens: int


def current() -> chats.Chat:
    """The conversation that this visit's answers are kept in, found again after a refresh."""
    asked = st.query_params.get("chat") or st.session_state.get("prompts_chat", "")
    with suppress(UserError):
        if asked:
            chat = chats.load(asked)
            st.session_state["prompts_chat"] = st.query_params["chat"] = asked
            _restore(chat)
            return chat
    return chats.new()


def _restore(chat: chats.Chat) -> None:
    """Put what was asked last into a form that nobody has filled, as it is after a refresh."""
    if "prompts_text" not in st.session_state and chat["turns"]:
        last = chat["turns"][-1]
        st.session_state["prompts_text"] = last["question"]
        st.session_state["prompts_dataset"] = last.get("dataset", "")
        st.session_state["prompts_kb"] = last.get("kb", "")
        if told := last["answers"]:
            ways = (answer["strategy"].removesuffix(editor_view.EDITED) for answer in told)
            st.session_state["prompts_strategies"] = list(dict.fromkeys(ways))
            st.session_state["prompts_model"] = told[0]["model"]


def exercises() -> None:
    """The examples that fill the form with one press."""
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(t("prompts.try"))
        for name, sets in EXERCISES.items():
            st.button(
                t(f"prompts.exercises.{name}"), icon=":material/exercise:", key=f"exercise-{name}", on_click=_exercise,
                args=(sets[language()],),
            )  # fmt: skip


def form() -> tuple[Form, Any]:
    """Input and strategies, the rest beside and in the settings; returns what is said, and the place for the button."""
    names = templates.listing()
    chosen = st.session_state.get("prompts_strategies", list(KINDS))
    st.session_state["prompts_strategies"] = [name for name in chosen if name in names]
    left, right = st.columns(2)
    with left:
        text = st.text_area(
            t("prompts.input"), height=136, key="prompts_text", placeholder=t("chat.placeholder"),
            persist_state="session",
        )  # fmt: skip
    with right:
        ways = st.multiselect(
            t("live.strategies"), list(names), key="prompts_strategies", persist_state="session", wrap=True
        )
        dataset = live_grid_view.examples_from("prompts")
    bar = st.container(horizontal=True)
    place = bar.container(width="content")
    if dataset:
        bar.button(t("prompts.next"), icon=":material/skip_next:", key="prompts_next", on_click=_next, args=(dataset,))
    with bar.popover(t("chat.settings"), icon=":material/tune:"):
        here = [
            card for card in cards.catalog().values() if card.generates and (card.embedded or store.is_usable(card))
        ]
        labels = {card.name: card.title for card in here}
        model = _select("model", labels, store.default_generator().name)
        bases = {"": t("comparison.no_kb"), **{found["name"]: found["name"] for found in knowledge.listing()}}
        kb = _select("kb", bases, "")
        st.session_state.setdefault("prompts_length", 256)
        length = st.slider(t("chat.length"), 16, 512, step=16, key="prompts_length", persist_state="session")
    return Form(text, ways, dataset, kb, model, length), place


def _select(name: str, labels: Mapping[str, str], proposal: str) -> str:
    key = f"prompts_{name}"
    if st.session_state.get(key) not in labels:
        st.session_state[key] = proposal if proposal in labels else next(iter(labels))
    options = list(labels)
    return st.selectbox(
        t(f"chat.{name}"), options, format_func=labels.__getitem__, key=key, persist_state="session"
    )  # fmt: skip


def _exercise(dataset: str) -> None:
    """Its first test question, its train rows as examples, and the three strategies beside one's own."""
    own = [name for name in st.session_state["prompts_strategies"] if name not in KINDS]
    st.session_state["prompts_strategies"] = [*KINDS, *own]
    st.session_state["prompts_dataset"] = dataset
    _next(dataset, first=True)


def _next(dataset: str, first: bool = False) -> None:
    """The next test question of a data set."""
    rows = datasets.load(dataset).questions()
    if rows:
        row = 0 if first else (st.session_state.get("prompts_row", -1) + 1) % len(rows)
        st.session_state["prompts_row"], st.session_state["prompts_text"] = row, rows[row]["input"]


def ready(asked: Form) -> list[Strategy]:
    """The chosen strategies as their drafts say, with their examples.

    Raises:
        UserError: a draft that cannot be asked with, or a data set without answers.
    """
    drafts: list[Template] = [editor_view.draft(name) for name in asked.strategies]
    return shots.prepared(drafts, asked.text, asked.dataset)


def read(asked: Form, how: Sequence[Strategy]) -> list[dict[str, Any]]:
    """What is read of the knowledge base: as much as fits beside the longest of the prompts.

    Raises:
        UserError: no such knowledge base.
    """
    if not (asked.kb and asked.text.strip()):
        return []
    longest = max((one.bare(asked.text) for one in how), key=len, default=asked.text)
    return _found(asked.kb, asked.text, asked.model, longest, asked.max_new_tokens)


@st.cache_data(ttl=60, max_entries=32, show_spinner=False)
def _found(kb: str, text: str, model: str, longest: str, length: int) -> list[dict[str, Any]]:
    found = retrieval.retrieve(kb, text, cards.card(model).passages).passages
    room = ask.room(model, longest, (), length)
    return [passage.as_dict() for passage in context.build(kb, found, context.Room(*room) if room else None)]


def costs(asked: Form, how: Sequence[Strategy], passages: Sequence[dict[str, Any]]) -> None:
    """The tokens of each prompt and of its parts as the model counts them, and the whole prompts, folded."""
    card = cards.card(asked.model)
    if not store.is_ready(card):
        st.caption(t("prompts.no_tokenizer", model=card.title))
        return
    tokenizer, config = ask.tokenizer_and_config(card.name, store.directory(card))
    arms = [ask.Arm(bool(asked.kb), strategy=one) for one in how]
    how = [arm.strategy for arm in ask.fitting(card.name, asked.text, arms, passages, asked.max_new_tokens)]
    texts = prompts.reading(asked.text, passages, card.source_tags)
    seen = {
        one.template.name: strategies.preview(
            one.template, asked.text, lambda text: prompts.count(tokenizer, text), texts, one.examples
        )
        for one in how
    }
    whole = {name: len(prompts.encode(tokenizer, prompts.conversation(one.text))) for name, one in seen.items()}
    limit = prompts.longest_prompt(config, asked.max_new_tokens)
    for name in [name for name, tokens in whole.items() if tokens > limit]:
        said = t("prompts.too_long", name=components.plain(name), tokens=whole[name], limit=limit)
        st.warning(said, icon=":material/warning:")
    for given in how:
        if given.left_out:
            used = len(given.examples)
            told = t("chat.examples", used=used, of=used + given.left_out)
            st.caption(f"{components.plain(given.template.name)} · {told}")
    with st.expander(
        t("prompts.preview", tokens=" · ".join(f"{components.plain(name)} {tokens}" for name, tokens in whole.items())),
        icon=":material/terminal:",
    ):
        rows = [[name, whole[name], *parts(one, whole[name]).values()] for name, one in seen.items()]
        head = [t(f"prompts.parts.{name}") for name in ("strategy", "whole", *PARTS)]
        st.dataframe(pd.DataFrame(rows, columns=head), hide_index=True)
        for name, one in seen.items():
            st.caption(components.plain(name))
            st.code(one.text, language=None, wrap_lines=True)


def parts(seen: Preview, whole: int) -> dict[str, int]:
    """The tokens of each of :data:`PARTS`, which add up to the whole prompt's; the frame is the chat format's."""
    return {name: seen.parts[name] for name in PARTS[:-1]} | {"frame": whole - seen.tokens}


def run(engine: Engine, chat: chats.Chat, asked: Form, how: Sequence[Strategy]) -> None:
    """Put the input with all chosen strategies at once."""
    passages = read(asked, how)
    question = turns.Question(
        asked.text,
        asked.model,
        ask.grid({}, how, [bool(asked.kb)]),
        (lambda progress: turns.Found(passages, [asked.text])) if asked.kb else None,
        asked.kb,
        Options.of(cards.card(asked.model), max_new_tokens=asked.max_new_tokens),
        dataset=asked.dataset,
        alone=True,
    )
    turns.start(engine, chat, question)
    st.session_state["prompts_chat"] = st.query_params["chat"] = chat["id"]


def answers(chat: chats.Chat, turn: turns.Turn | None) -> None:
    """What was answered last, or is being answered, and the way to what was answered before."""
    if not chat["turns"]:
        return
    number = len(chat["turns"]) - 1
    if number:
        st.page_link(
            "pages/chat.py", label=t("prompts.earlier", count=number), icon=":material/history:",
            query_params={"chat": chat["id"]},
        )  # fmt: skip
    key = f"{chat['id']}-{number}"
    if turn:
        turn_view.watch(turn, key)
        return
    kept = chat["turns"][-1]
    wanted = right_answer(kept.get("dataset", ""), kept["question"])
    if wanted:
        st.caption(t("prompts.wanted", answer=components.plain(wanted.references[0])))
    turn_view.kept_turn(kept, key, (lambda text: _verdict(wanted, text)) if wanted else None)


def right_answer(dataset: str, question: str) -> Expected | None:
    """What a data set says is the answer to a question of its own, where an answer is right or wrong."""
    try:
        data = datasets.load(dataset)
        rows = [*data.questions(), *data.examples()]
    except UserError:
        return None
    labels = data.labels if data.kind == LABEL else class_names(rows)
    row = next((row for row in rows if row["input"].strip() == question.strip()), None)
    wanted = expected(row, labels) if row else None
    return wanted if wanted and wanted.kind in (CLASS, ANSWER) else None


def is_right(wanted: Expected, text: str) -> bool:
    """Whether an answer names the right class, or is the right answer word by word."""
    if wanted.kind == CLASS:
        return class_of(text, wanted.labels) in wanted.references
    return exact(text, wanted.references) == 1.0


def _verdict(wanted: Expected, text: str) -> None:
    right = is_right(wanted, text)
    if right:
        st.badge(t("prompts.right"), icon=":material/check:", color="green")
    else:
        st.badge(t("prompts.wrong"), icon=":material/close:", color="orange")
