"""Ranked passages → what a model is given to read: neighbours joined, within a budget of tokens."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from core.rag.chunks import estimate

if TYPE_CHECKING:
    from core.rag.retrieval import Passage

BUDGET = 2000
"""Tokens of passages, far below what every model of the catalog reads."""
TOUCHING = 2  # characters between neighbours: a blank line


def build(
    passages: Sequence["Passage"],
    text_of: Callable[[str], str],
    budget: int = BUDGET,
    count: Callable[[str], int] = estimate,
) -> list["Passage"]:
    """Join passages that follow each other in a document, and stop where the budget is spent.

    Args:
        passages: best first; the first one is always given.
        text_of: a document's whole text, by its name; the spans of passages refer to it.
        count: tokens of a text.

    Returns:
        Passages in the order of their best part, with its score and ranks.
    """
    joined: list[Passage] = []
    for passage in passages:
        place = next((i for i, other in enumerate(joined) if _touch(other, passage)), None)
        if place is None:
            joined.append(passage)
            continue
        other = joined[place]
        start, end = min(other.start, passage.start), max(other.end, passage.end)
        joined[place] = replace(other, start=start, end=end, text=text_of(other.source)[start:end])
    given: list[Passage] = []
    spent = 0
    for passage in joined:
        spent += count(passage.text)
        if given and spent > budget:
            break
        given.append(passage)
    return given


def _touch(a: "Passage", b: "Passage") -> bool:
    same = a.source == b.source and a.heading == b.heading and a.end > 0 and b.end > 0
    return same and max(a.start, b.start) - min(a.end, b.end) <= TOUCHING
