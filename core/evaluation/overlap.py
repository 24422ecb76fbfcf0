"""Whether a test can be trusted: its rows that stand in the training data or in the knowledge base, by number."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from core.training.data import splitting
from core.training.data.columns import Row

REPEATED = 0.95
"""Share of a question's n-grams from which a text of the knowledge base repeats it.

A question takes words from the passage that answers it: of 1,002 real Chinese ones 27 have 0.8 of their n-grams there,
and none this much.
"""
_EXCERPT = 80  # characters


@dataclass(frozen=True)
class Overlap:
    """A test row that was met elsewhere.

    Attributes:
        row: its number, from 0.
        where: in a train row, or in a text of the knowledge base.
        place: number of that row or text, from 0; of several the one that holds most of it.
        source: name of the text's document; empty for a train row.
        share: of the test row's character n-grams that stand there, 0 to 1.
        text: the beginning of what the test row asks.
    """

    row: int
    where: Literal["train", "knowledge"]
    place: int
    source: str
    share: float
    text: str


def find(
    test: Sequence[Row],
    train: Sequence[Row] = (),
    texts: Sequence[str] = (),
    sources: Sequence[str] = (),
    contained: float = splitting.CONTAINED,
) -> list[Overlap]:
    """Test rows whose passage, dialogue, text or question stands in a train row, or their question in a text.

    A passage of a test row may well stand in the knowledge base: that is what the base is for. So there the question
    alone is looked for, where a row has one, and nearly all of it.

    Args:
        texts: chunks or documents of the knowledge base; what goes over the end of one is not found.
        sources: the texts' documents by name.
        contained: share of the n-grams from which a row counts as met in a train row.
    """
    found = [
        Overlap(leak.test, "train", leak.train, "", leak.share, _excerpt(splitting.question(test[leak.test])))
        for leak in splitting.leaks(train, test, contained)
    ]
    asked = [str(row.get("question") or splitting.question(row)) for row in test]
    told = splitting.leaks([{"text": text} for text in texts], [{"text": text} for text in asked], REPEATED)
    for leak in told:
        source = sources[leak.train] if sources else ""
        found.append(Overlap(leak.test, "knowledge", leak.train, source, leak.share, _excerpt(asked[leak.test])))
    return found


def _excerpt(text: str) -> str:
    plain = " ".join(text.split())
    return plain if len(plain) <= _EXCERPT else plain[: _EXCERPT - 1] + "…"
