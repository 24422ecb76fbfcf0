"""Answers that name a class: which one, and the tables and figures over many."""

import re
from collections.abc import Sequence

import numpy as np

from core.evaluation.metrics.normal import normalise

NONE = "none"
"""Stands in tables for an answer that names no class, or several."""


def class_of(answer: str, labels: Sequence[str]) -> str | None:
    """The class an answer is, or else the only one it names; None: it names none, or more than one.

    A name within a longer one does not count ("positive" in "very positive", where both are classes), nor within a
    Latin word. What is said about the name is not understood: "not positive" names positive.
    """
    plain = normalise(answer)
    names = {normalise(label): label for label in labels}
    if plain in names:
        return names[plain]
    found = set()
    for name in sorted(filter(None, names), key=len, reverse=True):
        pattern = re.compile(rf"(?<![a-z0-9]){re.escape(name)}(?![a-z0-9])" if name.isascii() else re.escape(name))
        plain, times = pattern.subn("\0", plain)
        if times:
            found.add(names[name])
    return found.pop() if len(found) == 1 else None


def confusion(wanted: Sequence[str], chosen: Sequence[str | None], labels: Sequence[str]) -> np.ndarray:
    """How often which class was answered for which: shape (labels, labels + 1), int; the last column is none."""
    places = {label: place for place, label in enumerate(labels)}
    table = np.zeros((len(labels), len(labels) + 1), int)
    for right, said in zip(wanted, chosen, strict=True):
        table[places[right], len(labels) if said is None else places[said]] += 1
    return table


def counts(wanted: str, chosen: str | None, labels: Sequence[str]) -> tuple[float, ...]:
    """One row's part in :func:`macro_f1`: per class whether it was met, expected and chosen, each 0.0 or 1.0."""
    hits = (float(label == wanted == chosen) for label in labels)
    return (*hits, *(float(label == wanted) for label in labels), *(float(label == chosen) for label in labels))


def macro_f1(sums: np.ndarray, rows: int) -> np.ndarray:
    """Mean F1 of the classes that occur or were chosen, from added :func:`counts`: shape (…, 3·labels) → (…)."""
    hits, wanted, chosen = np.split(sums, 3, axis=-1)
    seen = wanted + chosen > 0
    scores = np.where(seen, 2 * hits / np.where(seen, wanted + chosen, 1), 0)
    return scores.sum(-1) / np.maximum(seen.sum(-1), 1)
