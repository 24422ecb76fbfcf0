"""A passage: a piece of a document, ranked for a question, as it is given to a model and shown to a person."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass(frozen=True)
class Passage:
    """A passage for an answer: its text and place in its document, its cosine to the question, its rank per stage."""

    text: str
    source: str
    score: float
    heading: str = ""
    ranks: dict[str, int | None] = field(default_factory=dict)
    id: str = ""
    page: int = 0
    start: int = 0
    end: int = 0

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)
