"""The live grid: every chosen arm answers one question at once. Which adapters, strategies and examples take part."""

from typing import Any

import streamlit as st

from core.evaluation import shots
from core.generation import ask, templates
from core.generation.ask import Arm
from core.generation.templates import FEW_SHOT, ZERO_SHOT
from core.training import runs
from core.training.data import datasets
from core.training.data.columns import TEXT
from core.ui.i18n import t

AUTOMATIC = ""


def choose(model: str) -> dict[str, Any]:
    """The grid's factors in one line, and how many answers they make; returns what is chosen."""
    with st.container(border=True):
        left, right = st.columns(2)
        labels = runs.adapters(model, checkpoints_too=True)
        _propose("adapters", [one for one in (st.query_params.get("adapter"), *labels) if one in labels][:1], labels)
        names = templates.listing()
        _propose("strategies", [ZERO_SHOT], names)
        adapters = left.multiselect(
            t("live.adapters"), list(labels), format_func=lambda key: labels.get(key, key), **_kept("adapters"),
            placeholder=t("live.no_adapter"), wrap=True,
        )  # fmt: skip
        strategies = right.multiselect(t("live.strategies"), list(names), **_kept("strategies"), wrap=True)
        dataset = AUTOMATIC
        if any(names[name].kind == FEW_SHOT for name in strategies):
            dataset = examples_from("live")
        arms = 2 * (1 + len(adapters)) * len(strategies)
        st.caption(t("live.size", adapters=len(adapters), strategies=len(strategies), arms=arms, most=ask.MOST_ARMS))
    return {"adapters": adapters, "strategies": strategies, "dataset": dataset}


def examples_from(page: str) -> str:
    """The data set that few-shot examples come from; :data:`AUTOMATIC`: the one that suits the question."""
    found = [AUTOMATIC, *(about["name"] for about in datasets.catalog() if about["kind"] != TEXT)]
    labels = {AUTOMATIC: t("live.automatic"), **datasets.listing()}
    key = f"{page}_dataset"
    if st.session_state.get(key) not in found:
        st.session_state[key] = AUTOMATIC
    return st.selectbox(
        t("live.dataset"), found, format_func=labels.__getitem__, key=key, help=t("live.dataset_help"),
        persist_state="session",
    )  # fmt: skip


def arms(question: str, chosen: dict[str, Any]) -> list[Arm]:
    """The arms of a question.

    Raises:
        UserError: too many, no strategy, an adapter or a data set that is not there any more.
    """
    paths = {one: runs.adapter(one, chosen["model"]) for one in chosen["adapters"]}
    known = [templates.load(name) for name in chosen["strategies"]]
    adapter = chosen["adapters"][0] if chosen["adapters"] else ""
    return ask.grid(paths, shots.prepared(known, question, chosen["dataset"], adapter))


def _propose(name: str, proposal: list[str], known: Any) -> None:
    """Fill a field that nobody has touched, and leave out what is not there any more."""
    key = f"live_{name}"
    st.session_state[key] = [one for one in st.session_state.get(key, proposal) if one in known]


def _kept(name: str) -> dict[str, Any]:
    return {"key": f"live_{name}", "persist_state": "session"}
