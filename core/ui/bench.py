"""Arms of an experiment on screen: their cell of the bench, their colour, and what they are called there."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation import grid
from core.generation.ask import Arm
from core.generation.templates import ZERO_SHOT
from core.ui import components, theme


def cell(arm: Mapping[str, Any]) -> str:
    """The arm's cell of the 2×2 bench: base, base_rag, tuned or tuned_rag."""
    return Arm(arm["rag"], arm["adapter"] or "").key


def labels(arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What each arm is called, by its name: its cell, its adapter where there are several, and its prompt strategy
    where that is another one than zero-shot."""
    adapters = dict.fromkeys(arm["adapter"] for arm in arms if arm["adapter"])
    called = {adapter: _short(adapter) for adapter in adapters}
    if len(set(called.values())) < len(called):
        called = {adapter: adapter for adapter in adapters}
    found = {}
    for arm in arms:
        parts = [components.arm_label(cell(arm))]
        if arm["adapter"] and len(adapters) > 1:
            parts.append(called[arm["adapter"]])
        if (how := grid.strategy(dict(arm))) != ZERO_SHOT:
            parts.append(how)
        found[grid.name(dict(arm))] = " · ".join(parts)
    return found


def colors(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """The arms' fixed colours for the theme that is on."""
    shades = theme.arm_colors()
    return [shades[cell(arm)] for arm in arms]


def _short(adapter: str) -> str:
    """A run's id without its time and its random digits."""
    return re.sub(r"^\d{8}-\d{6}-(.+)-[0-9a-f]{4}(@\d+)?$", r"\1\2", adapter)
