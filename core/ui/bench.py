"""Arms of an experiment on screen: what they are called there, and their colours."""

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import streamlit as st

from core.evaluation import grid
from core.ui import components, theme


def labels(arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What each arm is called in the language of this visit, by its name (:func:`core.evaluation.grid.labels`)."""
    return grid.labels(arms, components.arm_label)


def colors(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """The arms' fixed colours for the theme that is on."""
    shades = theme.arm_colors()
    return [shades[grid.cell(arm)] for arm in arms]


def findings(told: Iterable[tuple[Mapping[str, Any], Sequence[str]]]) -> None:
    """A line for each arm: its name behind its colour, and what there is to say of it; on a phone in a stack."""
    lines = []
    for arm, parts in told:
        cells = "".join(f"<span>{html.escape(part)}</span>" for part in parts)
        lines.append(f'<div><span class="chip {grid.cell(arm)}">{html.escape(arm["name"])}</span>{cells}</div>')
    st.html(f'<div class="findings">{"".join(lines)}</div>')
