"""Arms of an experiment on screen: what they are called there, and their colours."""

from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation import grid
from core.ui import components, theme


def labels(arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What each arm is called in the language of this visit, by its name (:func:`core.evaluation.grid.labels`)."""
    return grid.labels(arms, components.arm_label)


def colors(arms: Sequence[Mapping[str, Any]]) -> list[str]:
    """The arms' fixed colours for the theme that is on."""
    shades = theme.arm_colors()
    return [shades[grid.cell(arm)] for arm in arms]
