"""A document → chunks: by heading, then paragraph, then sentence, each chunk knowing where it came from."""

import re
from dataclasses import dataclass
from pathlib import Path

from core.errors import UserError

SUFFIXES = {".md", ".txt"}
MAX_CHARACTERS = {"zh": 320, "en": 900}  # well under the embedder's 512 tokens in either script
_HEADING = re.compile(r"^(#{1,6})\s+(.+?)\s*$")
_SENTENCE_END = re.compile(r"(?<=[。！？；…])|(?<=[.!?;])\s+")


@dataclass(frozen=True)
class Chunk:
    """A piece of a document: its text, the file it came from, and the headings above it."""

    text: str
    source: str
    heading: str = ""


def read(path: Path) -> str:
    """The text of a document.

    Raises:
        UserError: a format that is not read yet, or bytes that are not UTF-8 text.
    """
    if path.suffix.lower() not in SUFFIXES:
        known = ", ".join(sorted(SUFFIXES))
        raise UserError("{name} cannot be read.", "Formats: {known}.", name=path.name, known=known)
    try:
        return path.read_text("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError("{name} is not UTF-8 text.", "Save it as UTF-8 and add it again.", name=path.name) from error


def split(text: str, source: str) -> list[Chunk]:
    """Split a Markdown or plain text document into chunks of whole paragraphs, or of sentences where one is long."""
    chunks: list[Chunk] = []
    headings: list[tuple[int, str]] = []
    for block in re.split(r"\n\s*\n", text):
        lines = []
        for line in block.strip().splitlines():
            if match := _HEADING.match(line):
                level = len(match[1])
                headings = [*(h for h in headings if h[0] < level), (level, match[2])]
            else:
                lines.append(line.strip())
        if paragraph := " ".join(lines).strip():
            path = " › ".join(title for _, title in headings)
            chunks += [Chunk(part, source, path) for part in _fit(paragraph)]
    return chunks


def _fit(paragraph: str) -> list[str]:
    wide = sum(ord(character) > 0x2E80 for character in paragraph)
    limit = MAX_CHARACTERS["zh" if wide > len(paragraph) / 4 else "en"]
    parts = [""]
    for sentence in filter(None, _SENTENCE_END.split(paragraph)):
        joint = "" if not parts[-1] or ord(parts[-1][-1]) > 0x2E80 else " "
        if parts[-1] and len(parts[-1] + joint + sentence) > limit:
            parts.append("")
            joint = ""
        parts[-1] += joint + sentence
    # A "sentence" longer than the limit (a table row, text without punctuation) is cut where it must be.
    return [part[i : i + limit] for part in parts for i in range(0, len(part), limit)]
