"""The rows a run is trained on: its data set, and further ones mixed in by weight."""

import itertools
import random
from collections.abc import Mapping, Sequence

from core.errors import UserError
from core.training.data import datasets
from core.training.data.columns import Row
from core.training.data.datasets import Dataset


def load(name: str, mixture: Mapping[str, float], seed: int) -> Dataset:
    """A data set with others mixed in.

    An epoch has every training row of the first set once, and of each further set as many rows as its weight times
    those: drawn without repeating until the set is used up, then from its beginning. Test rows are mixed alike, each
    once at most.

    Args:
        mixture: name or path of a further set → rows of it for one row of the first.

    Raises:
        UserError: no such data set, or one of another kind (chats and texts mix, labels stay among themselves).
    """
    first = datasets.load(name)
    train, test, labels = list(first.train), list(first.test), set(first.labels)
    for other, weight in mixture.items():
        more = datasets.load(other)
        if (more.kind == "label") != (first.kind == "label"):
            raise UserError(
                "{other} ({kind}) cannot be mixed into {name} ({own}).",
                "Mix data sets of one kind.",
                other=other,
                kind=more.kind,
                name=name,
                own=first.kind,
            )
        draw = random.Random(f"{seed} {other}")
        train += _take(more.train, round(weight * len(first.train)), draw)
        test += _take(more.test, min(len(more.test), round(weight * len(first.test))), draw)
        labels |= set(more.labels)
    return Dataset(first.name, train, test, first.labels if labels == set(first.labels) else sorted(labels))


def _take(rows: Sequence[Row], count: int, draw: random.Random) -> list[Row]:
    return list(itertools.islice(itertools.cycle(draw.sample(rows, len(rows))), count))
