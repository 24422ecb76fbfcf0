"""What a model is given: neighbours joined, the budget kept, the order of the best."""

from core.rag import context
from core.rag.retrieval import Passage

TEXT = "First part. Second part. Third part."
SECOND = TEXT.index("Second")
THIRD = TEXT.index("Third")


def passage(start: int, end: int, source: str = "a.md", score: float = 0.5, heading: str = "") -> Passage:
    return Passage(TEXT[start:end].strip(), source, score, heading, start=start, end=end)


def test_neighbours_are_joined_whatever_their_order() -> None:
    best, other = passage(SECOND, THIRD - 1, score=0.9), passage(0, SECOND - 1, score=0.8)
    [joined] = context.build([best, other], lambda name: TEXT)
    assert (joined.text, joined.score) == (TEXT[: THIRD - 1], 0.9)
    assert (joined.start, joined.end) == (0, THIRD - 1)


def test_what_does_not_touch_stays_apart() -> None:
    apart = [passage(0, 5), passage(THIRD, len(TEXT))]
    assert context.build(apart, lambda name: TEXT) == apart
    others = [passage(0, SECOND - 1), passage(SECOND, THIRD - 1, source="b.md")]
    assert context.build(others, lambda name: TEXT) == others
    chapters = [passage(0, SECOND - 1, heading="one"), passage(SECOND, THIRD - 1, heading="two")]
    assert context.build(chapters, lambda name: TEXT) == chapters


def test_the_budget_is_kept_but_the_best_is_always_given() -> None:
    rows = [passage(0, 5, source=f"{i}.md") for i in range(4)]
    assert len(context.build(rows, lambda name: TEXT, budget=25, count=lambda text: 10)) == 2
    assert len(context.build(rows, lambda name: TEXT, budget=1, count=lambda text: 10)) == 1
