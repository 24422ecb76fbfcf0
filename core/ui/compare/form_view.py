"""The form of a comparison: every field of its plan once, filled with a proposal or a kept comparison's settings."""

from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from typing import Any

import streamlit as st

from core import jobs
from core.errors import UserError
from core.evaluation import experiments
from core.evaluation.freezing import Plan
from core.evaluation.metrics.tokens import TOKENIZERS
from core.generation import templates
from core.models import cards, store
from core.rag import knowledge
from core.training import runs
from core.training.data import datasets
from core.training.data.columns import TEXT
from core.ui import components
from core.ui.i18n import language, seconds, show_error, t

BASE = "base"
ROWS = 24
"""Proposed: enough for a verdict, and answered in a minute or two by a small model."""


def show() -> str:
    """The form; returns the id of the experiment that was started, or nothing."""
    _ready()
    with st.container(border=True):
        _asked()
        _arms()
        with st.expander(t("comparison.more"), icon=":material/settings:"):
            _details()
        said = {name: st.session_state[key(name)] for name in asdict(Plan(""))}
        st.session_state["compare_said"] = language(), said
        plan = _plan(said)
        arms = len(plan.models) * len(plan.rag) * len(plan.strategies)
        with st.container(horizontal=True, vertical_alignment="center"):
            pressed = st.button(
                t("comparison.start"), type="primary", icon=":material/play_arrow:", key="compare_start",
                disabled=not arms,
            )  # fmt: skip
            st.markdown(_size(arms, plan))
    return _start(plan) if pressed else ""


def _size(arms: int, plan: Plan) -> str:
    """How much is asked, and how long the same model took lately for as much."""
    if not arms:
        return t("comparison.no_arm")
    seeds = plan.repeats if plan.temperature else 1
    answers = arms * plan.limit * seeds
    word = "size" if seeds == 1 else "size_drawn"
    said = [t(f"comparison.{word}", arms=arms, rows=plan.limit, seeds=seeds, answers=answers)]
    if pace := _pace(plan.model):
        said.append(t("comparison.takes", time=seconds(pace * answers)))
    if arms == 1:
        said.append(t("comparison.alone"))
    return " ".join(said)


def _pace(model: str) -> float:
    """Seconds an answer took in the newest finished comparison of a model; 0: there is none."""
    finished = (one for one in experiments.listing() if one["status"] == jobs.FINISHED and one["model"] == model)
    timed = (one["elapsed"] / one["done"] for one in finished if one.get("elapsed") and one.get("done"))
    return float(next(timed, 0.0))


def fill(plan: Plan) -> None:
    """Put a plan into the form, in place of what it says."""
    for name, value in asdict(plan).items():
        st.session_state[key(name)] = list(value) if isinstance(value, tuple) else value


def key(name: str) -> str:
    """Where the session keeps a field."""
    return f"compare_{name}"


def _ready() -> None:
    """Fill the form, unless it says something already; anew when the address names another run."""
    wanted = st.query_params.get("run", "")
    if key("dataset") not in st.session_state or (wanted and wanted != st.session_state.get("compare_run")):
        fill(_proposal(wanted))
        st.session_state["compare_run"] = wanted
    # The browser knows a choice by its text alone, which a switch of the language has changed.
    spoken, said = st.session_state.get("compare_said", ("", {}))
    if said and spoken != language():
        fill(Plan(**said))


def _proposal(adapter: str) -> Plan:
    """The base model against an adapter (the one named, else the newest) on unseen rows of what it was trained on;
    where there is no adapter, two prompt strategies of the base model."""
    base = store.default_generator().name
    adapter = adapter or next(iter(runs.adapters(base)), "")
    known = [found["name"] for found in _sets()]
    try:
        base, models = (runs.base(adapter), [BASE, adapter]) if adapter else (base, [BASE])
        trained_on = adapter if adapter in known else runs.show(adapter)["config"]["dataset"]
    except UserError:
        trained_on = ""
    dataset = trained_on if trained_on in known else known[0]
    if adapter:
        return Plan(dataset, models, model=base, limit=ROWS)
    return Plan(dataset, [BASE], strategies=[templates.ZERO_SHOT, templates.FEW_SHOT], model=base, limit=ROWS)


def _sets() -> list[dict[str, Any]]:
    """Data sets that ask something."""
    return [found for found in datasets.catalog() if found["kind"] != TEXT and found["test"]]


def _asked() -> None:
    """Which rows are asked."""
    left, right = st.columns([3, 1])
    sizes = {found["name"]: found["test"] for found in _sets()}
    labels = {found["name"]: found["label"] for found in _sets()}
    chosen = st.session_state[key("dataset")]
    if chosen not in sizes:  # a file that the command line was given, while it is there
        with suppress(UserError):
            sizes[chosen], labels[chosen] = len(datasets.load(chosen).test), chosen
    dataset = _select(left, "dataset", labels)
    rows = sizes[dataset]
    st.session_state[key("limit")] = min(st.session_state[key("limit")] or rows, rows)
    right.number_input(_label("limit"), 1, rows, **_how("limit"))


def _arms() -> None:
    """Which arms answer: models × without, with knowledge base × prompt strategies."""
    left, right = st.columns([1, 2])
    here = [card for card in cards.catalog().values() if card.generates and (card.embedded or store.is_usable(card))]
    model = _select(left, "model", {card.name: card.title for card in here})
    _choose(right, "models", _told_apart({BASE: t("comparison.base_alone"), **runs.adapters(model, True)}))
    left, middle, right = st.columns([3, 2, 2])
    bases = [found["name"] for found in knowledge.listing()]
    _choose(left, "strategies", {name: name for name in templates.listing()})
    kb = _select(middle, "kb", {"": t("comparison.no_kb"), **{name: name for name in bases}}, on_change=_use)
    if kb:
        uses = {use: t(f"comparison.uses.{'with' if use else 'without'}") for use in (False, True)}
        right.segmented_control(
            _label("rag"), list(uses), selection_mode="multi", format_func=uses.__getitem__, **_how("rag")
        )


def _use() -> None:
    """Who chooses a knowledge base wants it asked with."""
    if st.session_state[key("kb")] and True not in st.session_state[key("rag")]:
        st.session_state[key("rag")] = [False, True]


def _details() -> None:
    """What most people never touch."""
    left, middle, right = st.columns(3)
    _select(left, "tokenizer", {name: t(f"metrics.tokenizers.{name}") for name in TOKENIZERS})
    middle.number_input(_label("top_k"), 0, 8, **_how("top_k"))
    right.number_input(_label("seed"), 0, 9999, **_how("seed"))
    left, middle, right = st.columns(3)
    drawn = left.number_input(_label("temperature"), 0.0, 2.0, step=0.1, format="%.1f", **_how("temperature"))
    middle.number_input(_label("top_p"), 0.01, 1.0, step=0.05, format="%.2f", disabled=not drawn, **_how("top_p"))
    right.number_input(_label("repeats"), 1, 20, disabled=not drawn, **_how("repeats"))
    st.toggle(_label("forgetting"), **_how("forgetting"))


def _plan(said: Mapping[str, Any]) -> Plan:
    """What the form says, arms in their usual order."""
    uses = sorted(said["rag"]) if said["kb"] else [False]
    return Plan(**{**said, "rag": uses, "models": sorted(said["models"], key=lambda name: name != BASE)})


def _select(place: Any, name: str, labels: Mapping[str, str], **how: Any) -> str:
    """One of several; the first in place of one that is not there any more, which is named."""
    if (chosen := st.session_state[key(name)]) not in labels:
        _gone(place, [chosen])
        st.session_state[key(name)] = next(iter(labels))
    return str(place.selectbox(_label(name), list(labels), format_func=labels.__getitem__, **_how(name), **how))


def _choose(place: Any, name: str, labels: Mapping[str, str]) -> None:
    """Some of several; what is not there any more is named and left out."""
    chosen: Sequence[str] = st.session_state[key(name)]
    if gone := [one for one in chosen if one not in labels]:
        _gone(place, gone)
        st.session_state[key(name)] = [one for one in chosen if one in labels]
    place.multiselect(_label(name), list(labels), format_func=labels.__getitem__, wrap=True, **_how(name))


def _gone(place: Any, names: Sequence[str]) -> None:
    place.caption(t("comparison.gone", names=components.plain(", ".join(names))))


def _told_apart(labels: dict[str, str]) -> dict[str, str]:
    """With the id behind a label that another one has as well: the browser knows a choice by its text alone."""
    count = Counter(labels.values())
    return {one: label if count[label] == 1 else f"{label} · {one}" for one, label in labels.items()}


def _label(name: str) -> str:
    return t(f"comparison.fields.{name}.label")


def _how(name: str) -> dict[str, Any]:
    return {"key": key(name), "help": t(f"comparison.fields.{name}.help"), "persist_state": "session"}


def _start(plan: Plan) -> str:
    bar = st.progress(0.0, t("comparison.starting"))

    def progress(done: int, total: int) -> None:
        bar.progress(done / total, f"{t('comparison.starting')} {done}/{total}")

    try:
        return experiments.start(plan, progress)
    except Exception as error:
        show_error(error)
        return ""
    finally:
        bar.empty()
