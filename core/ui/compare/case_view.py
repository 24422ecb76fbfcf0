"""One row of a comparison on screen: what was asked, the arms' answers in their colours, and what they had read."""

import html
from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from core.evaluation import differences, grid, rows, scoring, stability
from core.evaluation.lengths import TOO_LONG
from core.ui import bench, components
from core.ui.i18n import t

_ABREAST = 2  # answers side by side, as on the bench: without and with the knowledge base


def show(experiment: Mapping[str, Any], place: int, metric: str, names: Sequence[str], marked: bool = True) -> None:
    """The row as a whole.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`.
        place: the row's, from 0.
        metric: whose scores stand beside the arms' names.
        names: the arms to show; those that have not answered are left out.
        marked: each answer with what its reference has and it has not, and the other way round.
    """
    row = experiment["answers"][place]
    asked(row)
    references(row)
    answers(experiment, place, metric, names, marked)
    read(experiment, row, names)


def asked(row: Mapping[str, Any]) -> None:
    """The question."""
    st.html(f'<div class="question">{html.escape(row["input"])}</div>')


def references(row: Mapping[str, Any]) -> None:
    """Every right answer that is known."""
    told = "\n".join(row["expected"]["references"])
    st.html(
        f'<div class="figures">{html.escape(t("rows.reference"))}</div><div class="source">{html.escape(told)}</div>'
    )


def said(text: str) -> None:
    """Somebody's text as it stands: nothing in it is rendered."""
    st.html(f'<div class="source">{html.escape(text.strip()) or "…"}</div>')


def answers(experiment: Mapping[str, Any], place: int, metric: str, names: Sequence[str], marked: bool) -> None:
    """The arms' answers with their scores, two abreast."""
    row, labels = experiment["answers"][place], bench.labels(experiment["arms"])
    arms = {grid.name(arm): arm for arm in experiment["arms"]}
    there = [name for name in names if name in row["answers"]]
    places = {name: list(arms).index(name) for name in there}
    together = "-".join(map(str, places.values()))  # a gallery may show an arm's answer twice, beside another arm's
    for first in range(0, len(there), _ABREAST):
        for name, column in zip(there[first : first + _ABREAST], st.columns(_ABREAST), strict=False):
            cell = grid.cell(arms[name])
            with column, st.container(border=True, key=f"arm-{cell}-{place}-{together}-{places[name]}"):
                score = rows.score(row, name, metric)
                components.chip(cell, f"{labels[name]} · {t(f'metrics.{metric}.label')} {figure(metric, score)}")
                _answer(row, row["answers"][name], metric, marked)


def read(experiment: Mapping[str, Any], row: Mapping[str, Any], names: Sequence[str]) -> None:
    """What the arms had before them, folded: few-shot examples, passages, the whole prompts."""
    arms = [arm for arm in experiment["arms"] if grid.name(arm) in names]
    for strategy, shown in row.get("examples", {}).items():
        if shown and any(grid.strategy(arm) == strategy for arm in arms):
            with st.expander(t("rows.examples", count=len(shown), strategy=strategy), icon=":material/lists:"):
                for number, example in enumerate(shown, 1):
                    said(f"[{number}] {example['question']}\n→ {example['answer']}")
    if any(arm["rag"] for arm in arms):
        components.passages(row.get("passages", []), experiment.get("kb", ""))
    if row.get("context"):
        with st.expander(t("rows.context"), icon=":material/menu_book:"):
            said(row["context"])
    asked_with = {grid.condition(arm): None for arm in arms if grid.condition(arm) in row.get("prompts", {})}
    if asked_with:
        with st.expander(t("rows.prompt"), icon=":material/terminal:"):
            for condition in asked_with:
                st.caption(components.plain(condition))
                st.code(row["prompts"][condition], language=None, wrap_lines=True)


def figure(metric: str, score: float | None) -> str:
    """A score with its unit."""
    if score is None:
        return "–"
    unit = scoring.metrics()[metric].unit
    shape = {"tokens": ".0f", "seconds": ".1f", "tokens/s": ".1f"}.get(unit, ".3f")
    return f"{score:{shape}}" + {"tokens": " tokens", "seconds": " s", "tokens/s": " tokens/s"}.get(unit, "")


def _answer(row: Mapping[str, Any], answer: Mapping[str, Any], metric: str, marked: bool) -> None:
    text = answer["text"]
    if answer["finish"] == TOO_LONG:
        st.caption(t("rows.too_long"))
        return
    if marked:
        parts = differences.compare(differences.nearest(row["expected"]["references"], text), text)
        st.html(f'<div class="source">{differences.marked(parts) or "…"}</div>')
    else:
        said(text)
    others = [name for name in answer["scores"] if name != metric]
    line = " · ".join(f"{t(f'metrics.{name}.label')} {figure(name, answer['scores'][name])}" for name in others)
    ended = t("chat.finish.length") + " · " if answer["finish"] == "length" else ""
    st.html(f'<div class="figures">{html.escape(ended + line)}</div>')
    if answer.get("reasoning"):
        with st.expander(t("rows.reasoning"), icon=":material/psychology:"):
            said(answer["reasoning"])
    if draws := stability.each(answer)[1:]:
        with st.expander(t("rows.draws", count=len(draws)), icon=":material/casino:"):
            for draw in draws:
                said(draw["text"])
                score = draw["scores"].get(metric)
                st.html(f'<div class="figures">{t(f"metrics.{metric}.label")} {figure(metric, score)}</div>')
