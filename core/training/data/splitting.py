"""Train and test rows: by a seed, labels in proportion, what is alike on one side; and what leaked all the same."""

import random
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.duplicates import duplicates, shingles
from core.errors import UserError
from core.training.data.columns import Row

CONTAINED = 0.8
_MOST = 200  # test rows where nobody says how many


@dataclass(frozen=True)
class Leak:
    """A test row whose question stands in a train row: ``share`` of its n-grams (both counted from 0)."""

    test: int
    train: int
    share: float


@dataclass(frozen=True)
class _Text:
    text: str


def question(row: Row) -> str:
    """What must not be on both sides: the passage or dialogue a row is about, else what is asked, else its text."""
    if "messages" in row:
        return "\n".join(message["content"] for message in row["messages"] if message["role"] == "user")
    return next(row[name] for name in ("context", "dialogue", "text", "input") if name in row)


def split(rows: Sequence[Row], seed: int = 7, share: float = 0.0) -> tuple[list[Row], list[Row]]:
    """Train and test rows.

    Rows that ask the same, or nearly the same, are on one side. Each label gives its share to the test.

    Args:
        share: of the rows for the test; 0: a tenth, at most 200.

    Raises:
        UserError: fewer than two different rows.
    """
    groups = _groups([question(row) for row in rows], near=True)
    if len(groups) < 2:  # a set of one pattern: only what is wholly the same is kept together
        groups = _groups([question(row) for row in rows], near=False)
    if len(groups) < 2:
        raise UserError("At least two different inputs are needed.", "One is kept aside to test on.")
    strata: defaultdict[Any, list[list[int]]] = defaultdict(list)
    for group in groups:
        strata[rows[group[0]].get("label")].append(group)
    wanted = share or min(0.1, _MOST / len(rows))
    test: set[int] = set()
    for label in sorted(strata, key=str):
        order = strata[label]
        random.Random(f"{seed} {label}").shuffle(order)
        test.update(_fill(order, wanted))
    if not test:
        smallest: list[int] = min(groups, key=len)
        test.update(smallest)
    return [row for i, row in enumerate(rows) if i not in test], [rows[i] for i in sorted(test)]


def _fill(order: list[list[int]], share: float) -> list[int]:
    """Rows of whole groups, as many as ``share`` allows; at least one group where there are two."""
    room = share * sum(map(len, order))
    chosen: list[int] = []
    taken = 0
    for group in order:
        if len(chosen) + len(group) <= room and taken < len(order) - 1:
            chosen += group
            taken += 1
    return chosen or (min(order, key=lambda group: len(group)) if len(order) > 1 else [])


def _groups(texts: Sequence[str], near: bool) -> list[list[int]]:
    """Indices of rows that belong together, each group in the order of the rows."""
    first: dict[str, int] = {}
    leader = [first.setdefault(text.strip(), number) for number, text in enumerate(texts)]
    if near:
        heads = sorted(set(leader))
        # The first of a kind was kept, so a leader is never somebody's follower itself.
        follows = {heads[pair.index]: heads[pair.of] for pair in duplicates([_Text(texts[head]) for head in heads])}
        leader = [follows.get(head, head) for head in leader]
    groups: defaultdict[int, list[int]] = defaultdict(list)
    for number, head in enumerate(leader):
        groups[head].append(number)
    return list(groups.values())


def leaks(train: Sequence[Row], test: Sequence[Row], contained: float = CONTAINED) -> list[Leak]:
    """Test rows whose question stands in a train row, whole or nearly: the best match of each.

    n-grams that many test rows share (a prompt around every question) count for nothing. Time grows with the
    characters of both sides, not with their product.
    """
    if not test:
        return []
    hashes = [shingles(question(row)) for row in test]
    grams, owners = np.concatenate(hashes), np.repeat(np.arange(len(test)), [len(found) for found in hashes])
    _, places, everywhere = np.unique(grams, return_inverse=True, return_counts=True)
    telling = everywhere[places] <= max(10, len(test) // 20)
    order = np.argsort(grams[telling], kind="stable")
    owners = owners[telling][order]
    known, starts, counts = np.unique(grams[telling][order], return_index=True, return_counts=True)
    sizes = np.bincount(owners, minlength=len(test))
    first = {question(row).strip(): place for place, row in reversed(list(enumerate(train)))}
    asked = {number: question(row).strip() for number, row in enumerate(test)}
    best = {number: Leak(number, first[text], 1.0) for number, text in asked.items() if text in first}
    for place, row in enumerate(train if len(known) else ()):
        own = shingles(question(row))
        hits = np.searchsorted(known, own)
        hits = hits[known[np.minimum(hits, len(known) - 1)] == own]
        runs = [owners[starts[hit] : starts[hit] + counts[hit]] for hit in hits]
        for number, met in zip(*np.unique(np.concatenate(runs or [owners[:0]]), return_counts=True), strict=True):
            leak = Leak(int(number), place, round(float(met / sizes[number]), 4))
            if leak.share >= contained and (leak.test not in best or leak.share > best[leak.test].share):
                best[leak.test] = leak
    return [best[number] for number in sorted(best)]
