"""The grid of an experiment: its arms, what they are called, and which of them are held against each other."""

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from core.generation import ask
from core.generation.templates import ZERO_SHOT

Arm = dict[str, Any]
"""{"adapter": id or "", "path": its weights or "", "rag": bool, "strategy": name of a prompt strategy}."""
FACTORS = ("adapter", "rag", "strategy")


def strategy(arm: Arm) -> str:
    """The arm's prompt strategy."""
    return str(arm.get("strategy", ZERO_SHOT))


def name(arm: Arm) -> str:
    """How an arm is called in tables and JSON: "base", a run's id, each with "+kb" when it reads the knowledge base,
    and with its prompt strategy where that is another one than zero-shot."""
    return (arm["adapter"] or "base") + _condition(arm)


def condition(arm: Arm) -> str:
    """What an arm's prompt depends on, which the adapter is not."""
    return strategy(arm) + ("+kb" if arm["rag"] else "")


def cell(arm: Mapping[str, Any]) -> str:
    """The arm's cell of the 2×2 bench: base, base_rag, tuned or tuned_rag."""
    return ask.Arm(arm["rag"], arm["adapter"] or "").key


def labels(arms: Sequence[Mapping[str, Any]], words: Callable[[str], str]) -> dict[str, str]:
    """What people are told each arm is, by its name: its cell, its adapter where there are several, and its prompt
    strategy where that is another one than zero-shot.

    Args:
        words: what a cell is called, in the reader's language.
    """
    called = adapters(arms)
    found = {}
    for arm in map(dict, arms):
        parts = [words(cell(arm))]
        if arm["adapter"] and len(called) > 1:
            parts.append(called[arm["adapter"]])
        if strategy(arm) != ZERO_SHOT:
            parts.append(strategy(arm))
        found[name(arm)] = " · ".join(parts)
    return found


def adapters(arms: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """What the adapters among the arms are called, by id: without time and random digits where that tells them
    apart."""
    called = {arm["adapter"]: _short(arm["adapter"]) for arm in arms if arm["adapter"]}
    return called if len(set(called.values())) == len(called) else {adapter: adapter for adapter in called}


def _short(adapter: str) -> str:
    """A run's id without its time and its random digits."""
    return re.sub(r"^\d{8}-\d{6}-(.+)-[0-9a-f]{4}(@\d+)?$", r"\1\2", adapter)


def _condition(arm: Arm) -> str:
    return ("+kb" if arm["rag"] else "") + ("" if strategy(arm) == ZERO_SHOT else f"+{strategy(arm)}")


def pairs(arms: Sequence[Arm]) -> list[tuple[str, str]]:
    """The contrasts: every arm against the first, then those that differ in one thing alone, the later against the
    earlier."""
    first = [(0, place) for place in range(1, len(arms))]
    close = [(a, b) for a, b in combinations(range(len(arms)), 2) if len(differ(arms[a], arms[b])) == 1]
    return [(name(arms[a]), name(arms[b])) for a, b in dict.fromkeys([*first, *close])]


def differ(a: Arm, b: Arm) -> list[str]:
    """The factors in which two arms differ."""
    said = ((a["adapter"], b["adapter"]), (a["rag"], b["rag"]), (strategy(a), strategy(b)))
    return [factor for factor, (mine, other) in zip(FACTORS, said, strict=True) if mine != other]


def squares(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """Every 2×2 within the grid: {"adapter", "strategy", "cells": names of base, adapter, base+kb, adapter+kb}."""
    found = []
    for arm in arms:
        if arm["rag"] or not arm["adapter"]:
            continue
        wanted = [{**arm, "adapter": adapter, "rag": rag} for rag in (False, True) for adapter in ("", arm["adapter"])]
        cells = [name(cell) for cell in wanted]
        if set(cells) <= {name(other) for other in arms}:
            found.append({"adapter": arm["adapter"], "strategy": strategy(arm), "cells": cells})
    return found
