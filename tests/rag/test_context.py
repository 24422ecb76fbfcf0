"""What a model is given: neighbours joined, the room kept, the order of the best."""

from typing import Any

import pytest

from core.rag import context, knowledge
from core.rag.context import Room
from core.rag.passages import Passage

TEXT = "First part. Second part. Third part."
SECOND = TEXT.index("Second")
THIRD = TEXT.index("Third")


@pytest.fixture(autouse=True)
def document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(knowledge, "document_text", lambda base, name: TEXT)


def passage(start: int, end: int, source: str = "a.md", score: float = 0.5, heading: str = "") -> Passage:
    return Passage(TEXT[start:end].strip(), source, score, heading, start=start, end=end)


def ten(passage: dict[str, Any]) -> int:
    return 10


def letters(passage: dict[str, Any]) -> int:
    return len(passage["text"])


def test_neighbours_are_joined_whatever_their_order() -> None:
    best, other = passage(SECOND, THIRD - 1, score=0.9), passage(0, SECOND - 1, score=0.8)
    [joined] = context.build("kb", [best, other])
    assert (joined.text, joined.score) == (TEXT[: THIRD - 1], 0.9)
    assert (joined.start, joined.end) == (0, THIRD - 1)


def test_what_does_not_touch_stays_apart_and_the_best_stays_first() -> None:
    apart = [passage(THIRD, len(TEXT)), passage(0, 5)]
    assert context.build("kb", apart) == apart
    others = [passage(0, SECOND - 1), passage(SECOND, THIRD - 1, source="b.md")]
    assert context.build("kb", others) == others
    chapters = [passage(0, SECOND - 1, heading="one"), passage(SECOND, THIRD - 1, heading="two")]
    assert context.build("kb", chapters) == chapters


def test_the_room_is_kept_but_the_best_is_always_given() -> None:
    rows = [passage(0, 5, source=f"{i}.md") for i in range(4)]
    assert context.build("kb", rows, Room(25, ten)) == rows[:2]
    assert context.build("kb", rows, Room(1, ten)) == rows[:1]
    assert len(context.build("kb", rows, Room(10**6, lambda passage: context.BUDGET // 2))) == 2
    assert context.build("kb", []) == []


def test_a_best_passage_without_room_is_cut_after_a_sentence() -> None:
    """And still knows where its text stands in the document."""
    [cut] = context.build("kb", [passage(SECOND, len(TEXT))], Room(len("Second part. Third"), letters))
    assert cut.text == TEXT[cut.start : cut.end] == "Second part."
    [least] = context.build("kb", [passage(0, len(TEXT))], Room(1, letters))
    assert least.text == "First part."
    whole = passage(0, len(TEXT))
    assert context.build("kb", [whole], Room(len(TEXT), letters)) == [whole]
