"""What every reader makes of a document."""

from dataclasses import dataclass
from typing import Literal


class Unreadable(Exception):
    """A reader's own word on bytes that it cannot read: documents.py has the sentence for it."""


@dataclass(frozen=True)
class Block:
    """A paragraph, heading or table of a document.

    Attributes:
        text: lines as they stand in the document; a table is Markdown with pipes.
        page: the page or slide it begins on, from 1; 0 where the format has none.
        level: 1 to 6 for a heading, else 0.
        ocr: it was recognised in a picture.
        edge: it stands in the margin at the top or bottom of its page, where page furniture is.
    """

    text: str
    page: int = 0
    level: int = 0
    kind: Literal["text", "table"] = "text"
    ocr: bool = False
    edge: bool = False


def table(rows: list[list[str]]) -> str:
    """Rows of cells as a Markdown table; the first row is the header. Empty rows and columns at the end are dropped."""
    rows = [[" ".join(cell.split()).replace("|", "\\|") for cell in row] for row in rows if any(c.strip() for c in row)]
    width = max((i + 1 for row in rows for i, cell in enumerate(row) if cell), default=0)
    if not width:
        return ""
    lines = ["| " + " | ".join([*row, *[""] * width][:width]) + " |" for row in rows]
    return "\n".join([lines[0], "| " + " | ".join(["---"] * width) + " |", *lines[1:]])
