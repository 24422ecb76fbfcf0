"""Markdown and plain text → blocks. Also what markitdown makes of the office formats."""

import csv
import io
import re

from core.rag.readers.blocks import Block, table

_HEADING = re.compile(r"^ {0,3}(#{1,6})\s+(\S.*)")
_RULE = re.compile(r"^\|?\s*:?-+:?\s*(\|\s*:?-+:?\s*)*\|?$")
_FENCE = re.compile(r"^\s*(```|~~~)")
_SLIDE = re.compile(r"^<!-- Slide number: (\d+) -->$")
_ACTIVE = re.compile(r"^[ \t]*+<(script|style|iframe|object)\b|<!--(?! Slide)", re.I | re.M)
_LINK = re.compile(r"(!?)\[([^\[\]\n]*)\]\((?:[^()\s]|\([^()\s]*\))*(?:\s+\"[^\"\n]*\")?\)")


def blocks(text: str) -> list[Block]:
    """Headings, tables, fenced code and paragraphs in order. Lines stay lines: joining them is cleaning's work."""
    found: list[Block] = []
    lines: list[str] = []
    page = 0

    def flush() -> None:
        if body := "\n".join(lines).strip():
            found.append(Block(body, page))
        lines.clear()

    rows = _without_active(text).splitlines()
    at = 0
    while at < len(rows):
        line = rows[at]
        if _FENCE.match(line):
            flush()
            end = next((i for i in range(at + 1, len(rows)) if rows[i].strip() == line.strip()[:3]), len(rows) - 1)
            found.append(Block("\n".join(rows[at : end + 1]), page))
            at = end
        elif match := _SLIDE.match(line):
            flush()
            page = int(match[1])
        elif match := _HEADING.match(line.rstrip()):
            flush()
            found.append(Block(match[2], page, len(match[1])))
        elif "|" in line and at + 1 < len(rows) and "|" in rows[at + 1] and _RULE.match(rows[at + 1].strip()):
            flush()
            end = next((i for i in range(at + 2, len(rows)) if "|" not in rows[i]), len(rows))
            found.append(Block(_table(rows[at:end]), page, kind="table"))
            at = end - 1
        elif len(lines) == 1 and re.match(r"^(=+|-{3,})\s*$", line):
            found.append(Block(lines.pop().strip(), page, 1 if line[0] == "=" else 2))
        elif line.strip():
            lines.append(line)
        else:
            flush()
        at += 1
    flush()
    return [block for block in found if block.text]


def unlink(text: str) -> str:
    """Markdown without the targets of links and pictures, and without the escapes that markitdown adds."""
    for _ in range(2):  # a picture may be the text of a link
        text = _LINK.sub(lambda match: match[2], text)
    return re.sub(r"\\([\\`*_{}\[\]()#+\-.!<>])", r"\1", text)


def _without_active(text: str) -> str:
    """Scripts, styles, frames and comments dropped, except inside fenced code, where they are text."""
    if "<" not in text:
        return text
    parts = re.split(r"(^[ \t]*(?:```|~~~).*?(?:^[ \t]*(?:```|~~~)[ \t]*$|\Z))", text, flags=re.S | re.M)
    return "".join(part if i % 2 else _stripped(part) for i, part in enumerate(parts))


def _stripped(text: str) -> str:
    kept, at, lowered = [], 0, text.lower()
    endless: set[str] = set()  # what is opened and never closed stays, and is not looked for again and again
    for match in _ACTIVE.finditer(text):
        end = f"</{match[1].lower()}" if match[1] else "-->"
        close = -1 if match.start() < at or end in endless else lowered.find(end, match.end())
        if close >= 0:
            kept.append(text[at : match.start()])
            at = close + 3 if end == "-->" else (text.find(">", close) + 1 or len(text))
        elif match.start() >= at:
            endless.add(end)
    return "".join([*kept, text[at:]])


def _table(rows: list[str]) -> str:
    inner = [row.strip().removeprefix("|").removesuffix("|") for row in rows]
    cells = [[cell.replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", row)] for row in inner]
    return table([cells[0], *cells[2:]])  # an empty header row (Word has none) falls away and the first row is it


def csv_table(text: str) -> list[Block]:
    """A CSV file (comma, semicolon or tab) as one table."""
    first = text.lstrip("\ufeff").split("\n", 1)[0]
    delimiter = max(",;\t", key=first.count)
    try:
        rows = list(csv.reader(io.StringIO(text.lstrip("\ufeff"), newline=""), delimiter=delimiter))
    except csv.Error:  # a field without end
        return blocks(text)
    found = table(rows)
    return [Block(found, kind="table")] if found else []
