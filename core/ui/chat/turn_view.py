"""A turn on screen: the question, and one column per arm with its answer, growing or kept."""

import html
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.evaluation import grid
from core.generation.templates import ZERO_SHOT
from core.generation.turns import Turn
from core.models import adapters, cards
from core.ui import bench, components
from core.ui.i18n import language, seconds, show_kept_error, t

REDRAW = 0.05  # seconds between two looks at a growing answer
ABREAST = 4  # most columns on a line
PATTERNS = ("solid", "hatched", "dotted", "double")  # of strategies, in their order


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
    if left_out := answer.get("left_out"):
        line += " · " + t("chat.examples", used=answer["examples"], of=answer["examples"] + left_out)
    if cited := answer.get("cited"):
        supported = sum(sentence["passage"] is not None for sentence in cited)
        line += f" · {t('chat.supported', count=supported, of=len(cited))}"
    return f"{name} · {line}" + (
        f" · {t('chat.finish.' + answer['finish'])}" if answer["finish"] in ("length", "stopped") else ""
    )


def question(text: str) -> None:
    """A question as it was typed."""
    st.html(f'<div class="question">{html.escape(text)}</div>')


def labels(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """What each arm is called: its cell, its adapter where there are several, its strategy where that is not plain."""
    cells, ways = {grid.cell(arm) for arm in arms}, dict.fromkeys(map(_strategy, arms))
    if len(cells) == 1 and len(ways) == len(arms) > 1:
        return list(ways)
    called = bench.labels(arms)
    named = [called[grid.name(dict(arm))] for arm in arms]
    if len(ways) == 1:
        return named
    return [
        f"{name} · {ZERO_SHOT}" if _strategy(arm) == ZERO_SHOT else name for name, arm in zip(named, arms, strict=True)
    ]


def columns(arms: Sequence[Mapping[str, Any]], key: str) -> list[Any]:
    """One bordered column per arm under its name, in its cell's colour and its strategy's pattern.

    An adapter has a line to itself, so that base and adapter, without and with the knowledge base make the 2×2 bench;
    one with more than four columns has a line for each strategy.
    """
    ways = list(dict.fromkeys(map(_strategy, arms)))
    abreast = sum(arm["adapter"] == arms[0]["adapter"] for arm in arms)
    if len({arm["adapter"] for arm in arms}) > 1 and abreast == 1:
        abreast = len(arms)  # a reader beside the base model
    if abreast > ABREAST:
        abreast = 2 if len({arm["rag"] for arm in arms}) > 1 else ABREAST
    made, named = [], labels(arms)
    for first in range(0, len(arms), abreast):
        cells = st.columns(abreast)
        for place, cell in zip(range(first, min(first + abreast, len(arms))), cells, strict=False):
            arm = arms[place]
            colour, pattern = grid.cell(arm), PATTERNS[ways.index(_strategy(arm)) % len(PATTERNS)]
            with cell:
                made.append(st.container(border=True, key=f"arm-{colour}-{pattern}-{key}-{place}"))
            with made[-1]:
                components.chip(f"{colour} {pattern}", named[place])
    return made


def _strategy(arm: Mapping[str, Any]) -> str:
    return grid.strategy(dict(arm))


def kept_turn(turn: dict[str, Any], key: str, judge: Callable[[str], None] | None = None) -> None:
    """A finished turn: the question and its answers with figures and passages.

    Args:
        judge: writes beneath an answer whether it is right.
    """
    question(turn["question"])
    searched(turn)
    if "error" in turn:
        show_kept_error(turn["error"])
    if not turn["answers"]:
        st.caption(t("chat.unanswered"))
        return
    read: list[dict[str, Any]] = next((answer["passages"] for answer in turn["answers"] if answer["passages"]), [])
    for answer, box in zip(turn["answers"], columns(turn["answers"], key), strict=True):
        with box:
            _kept_answer(turn, answer, read)
            if judge:
                judge(answer["text"])


def _kept_answer(turn: dict[str, Any], answer: dict[str, Any], read: list[dict[str, Any]]) -> None:
    if answer["rag"] and not answer["passages"]:
        nothing_found()
    if answer["rag"] and (own := adapters.shipped().get(answer["adapter"] or "")):
        st.caption(t("chat.read_with", name=own.name), help=own.note[language()])
    if answer.get("reasoning"):
        with st.expander(t("rows.reasoning"), icon=":material/psychology:"):
            st.markdown(components.model_text(answer["reasoning"]))
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
    """Draw a turn under way until it is finished; all columns grow together."""
    asked = turn.question
    with st.container(horizontal=True, horizontal_alignment="distribute", wrap=False):
        question(asked.text)
        st.button(t("chat.stop"), icon=":material/stop_circle:", key="stop", on_click=turn.stop, type="primary")
    places: list[tuple[Any, Any]] = []
    marks: list[Any] = []
    shown_as = [{"adapter": arm.adapter, "rag": arm.rag, "strategy": arm.strategy.template.name} for arm in asked.arms]
    for arm, box in zip(asked.arms, columns(shown_as, key), strict=True):
        with box:
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
    st.rerun()


def _waiting(turn: Turn) -> str:
    stage, share = turn.waiting_for()
    return t(f"stage.{stage}") + (f" {share:.0%}" if share else " …")
