"""Forms made from a typed config: a field exists once, with its range, default and words."""

from typing import Any, get_args

import streamlit as st

from core.training.config import TrainConfig, parse_overrides, spoken
from core.ui.i18n import t

AT_HAND = ("method", "rank", "learning_rate", "max_steps", "batch_size")
FOLDED = (
    *("task", "learn", "mixture"),
    *("alpha", "dropout", "target_modules", "frozen_layers"),
    *("scheduler", "warmup", "optimizer", "weight_decay"),
    *("epochs", "accumulation", "max_length", "group_by_length", "precision", "checkpointing", "seed"),
    *("eval_rows", "eval_steps", "prompts", "beams"),
    *("early_stopping", "keep_best", "keep_checkpoints", "merge_at_end", "report_to"),
)


def train_fields(
    fields: tuple[str, ...], defaults: TrainConfig, suggestions: list[str], per_row: int = 3
) -> dict[str, Any]:
    """Widgets for some fields of the training config; returns their values by name."""
    values: dict[str, Any] = {}
    for first in range(0, len(fields), per_row):
        for column, name in zip(st.columns(per_row), fields[first : first + per_row], strict=False):
            with column:
                values[name] = _widget(name, getattr(defaults, name), suggestions)
    return values


def _widget(name: str, default: Any, suggestions: list[str]) -> Any:
    label, help_text, key = t(f"fields.{name}.label"), t(f"fields.{name}.help"), f"train_{name}"
    if choices := get_args(TrainConfig.model_fields[name].annotation) if isinstance(default, str) else ():
        return st.selectbox(
            label, choices, choices.index(default), format_func=lambda word: word or "–", help=help_text, key=key
        )
    if isinstance(default, dict):
        written = st.text_input(label, spoken(name, default), help=help_text, key=key)
        return parse_overrides([f"{name}={written}"])[name]
    if isinstance(default, bool):
        return st.checkbox(label, default, help=help_text, key=key)
    if isinstance(default, list):
        suggestions = suggestions if name == "target_modules" else []
        chosen = default or suggestions
        options = list(dict.fromkeys([*suggestions, *chosen]))
        return st.multiselect(label, options, default=chosen, help=help_text, key=key, accept_new_options=True)
    if isinstance(default, str):
        return st.text_input(label, default, help=help_text, key=key)
    low, high = limits(name)
    if isinstance(default, int):
        return st.number_input(label, int(low), int(high), default, 1, help=help_text, key=key)
    small = name == "learning_rate"
    step, shape = (1e-4, "%.1e") if small else (0.05, "%.2f")
    return st.number_input(label, float(low), float(high), float(default), step, format=shape, help=help_text, key=key)


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
