"""A form made from the training config's types: a field exists once, with its range, default and words.

What the form says is kept in the session under one key for each field, so that it outlives a look at another page; a
recipe, a file or a proposal fills it by writing there.
"""

from collections.abc import Mapping, Sequence
from typing import Any, get_args

import streamlit as st

from core.training.config import TrainConfig
from core.ui.i18n import t

HEAD = ("name", "dataset", "model")
"""Fields that the page draws itself, since what there is to choose from depends on what is on this machine."""
AT_HAND = ("method", "rank", "frozen_layers", "learning_rate", "epochs", "max_steps", "batch_size")
GROUPS = {
    "rows": ("mixture", "task", "learn", "max_length", "group_by_length", "seed"),
    "lora": ("alpha", "dropout", "target_modules"),
    "schedule": ("scheduler", "warmup", "optimizer", "weight_decay"),
    "memory": ("accumulation", "precision", "checkpointing"),
    "measuring": ("eval_rows", "eval_steps", "beams", "early_stopping", "keep_best"),
    "after": ("keep_checkpoints", "merge_at_end", "report_to"),
}
PROMPTS = ("prompts",)
_ADAPTERS_ONLY = {"rank", *GROUPS["lora"]}


def key(name: str) -> str:
    """Where the session keeps a field."""
    return f"train_{name}"


def applies(name: str, method: str) -> bool:
    """Whether a field says anything under a method."""
    if name in _ADAPTERS_ONLY:
        return TrainConfig(dataset="-", method=method).adapts
    return name != "frozen_layers" or method == "freeze"


def fill(values: dict[str, Any]) -> None:
    """Put values of fields into the form, in place of what it says."""
    for name, value in values.items():
        if isinstance(value, dict):
            st.session_state[key(name)] = list(value)
            for part, weight in value.items():
                st.session_state[_weight(name, part)] = float(weight)
        elif most := _most(name):
            for place in range(most):
                st.session_state[f"{key(name)}_{place}"] = value[place] if place < len(value) else ""
        else:
            st.session_state[key(name)] = value


def values() -> dict[str, Any]:
    """What the form says, field by field; for :func:`core.training.config.make`."""
    return {name: _value(name) for name in TrainConfig.model_fields}


def _value(name: str) -> Any:
    if most := _most(name):
        texts = (st.session_state[f"{key(name)}_{place}"].strip() for place in range(most))
        return [text for text in texts if text]
    value = st.session_state[key(name)]
    if _type(name) is dict:
        return {part: st.session_state.get(_weight(name, part), 1.0) for part in value}
    return value


def fields(names: Sequence[str], options: Mapping[str, Sequence[str]], per_row: int = 3) -> None:
    """Draw the widgets of some fields that the form has been filled with.

    Args:
        options: of lists and mixtures, what there is to choose from.
    """
    for first in range(0, len(names), per_row):
        for column, name in zip(st.columns(per_row), names[first : first + per_row], strict=False):
            with column:
                _widget(name, options.get(name, ()))


def _widget(name: str, options: Sequence[str]) -> None:
    label = t(f"fields.{name}.label")
    how: dict[str, Any] = {"help": t(f"fields.{name}.help"), "key": key(name), "persist_state": "session"}
    kind = _type(name)
    if choices := get_args(TrainConfig.model_fields[name].annotation) if kind not in (dict, list) else ():
        st.selectbox(label, choices, format_func=lambda word: t(f"choices.{name}.{word}"), **how)
    elif kind is dict:
        _mixture(name, label, options, how)
    elif kind is bool:
        st.toggle(label, **how)
    elif most := _most(name):
        for place in range(most):
            own = {**how, "key": f"{key(name)}_{place}", "help": how["help"] if place == 0 else None}
            st.text_area(f"{label} {place + 1}", height=68, **own)
    elif kind is list:
        known = list(dict.fromkeys([*options, *st.session_state[key(name)]]))
        st.multiselect(label, known, accept_new_options=True, placeholder=t("form.by_card"), wrap=True, **how)
    elif kind is str:
        st.text_input(label, max_chars=most_characters(name), **how)
    else:
        _number(name, label, kind, how)


def _number(name: str, label: str, kind: type, how: dict[str, Any]) -> None:
    low, high = limits(name)
    if kind is int:
        st.number_input(label, int(low), int(high), step=1, **how)
        return
    st.session_state[key(name)] = float(st.session_state[key(name)])
    step, shape = (1e-4, "%.1e") if name == "learning_rate" else (0.05, "%.2f")
    st.number_input(label, float(low), float(high), step=step, format=shape, **how)


def _mixture(name: str, label: str, options: Sequence[str], how: dict[str, Any]) -> None:
    """Sets to choose, and under them the weight of each."""
    known = list(dict.fromkeys([*options, *st.session_state[key(name)]]))
    for part in st.multiselect(label, known, wrap=True, **how):
        st.session_state.setdefault(_weight(name, part), 1.0)
        st.number_input(
            t("form.weight", name=part), 0.01, 100.0, step=0.1, key=_weight(name, part), persist_state="session"
        )


def _weight(name: str, part: str) -> str:
    return f"{key(name)}_weight_{part}"


def _type(name: str) -> type:
    return type(TrainConfig(dataset="-").model_dump()[name])


def _most(name: str) -> int:
    """How many texts a field holds at most; 0: it is no list, or one without an end."""
    rules = TrainConfig.model_fields[name].metadata if _type(name) is list else ()
    return next((rule.max_length for rule in rules if hasattr(rule, "max_length")), 0)


def most_characters(name: str) -> int | None:
    """How long a field's text may be; None: as long as one likes."""
    return next(
        (rule.max_length for rule in TrainConfig.model_fields[name].metadata if hasattr(rule, "max_length")), None
    )


def limits(name: str) -> tuple[float, float]:
    """The range a field's type allows (an open end is moved in by a hair)."""
    low, high = -1e9, 1e9
    for rule in TrainConfig.model_fields[name].metadata:
        low = getattr(rule, "ge", low) if getattr(rule, "ge", None) is not None else low
        high = getattr(rule, "le", high) if getattr(rule, "le", None) is not None else high
        if getattr(rule, "gt", None) is not None:
            low = rule.gt + 1e-7
        if getattr(rule, "lt", None) is not None:
            high = rule.lt - 1e-7
    return low, high
