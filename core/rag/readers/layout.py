"""Characters with their places → lines → paragraphs and headings. Knows nothing of PDF files or pictures."""

import re
from collections import Counter
from collections.abc import Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

EDGE = 0.09  # of the page's height at its top and bottom: where headers, footers and page numbers stand
HEADING = 1.15  # times the size of the body
TABLE = -1.0  # the "size" of a finished table among the characters
_LEADERS = re.compile(r"(\.\s?){5}|…{2}|·{5}")
_SURROGATES = re.compile(r"[\ud800-\udfff]+")


class Glyph(NamedTuple):
    """A character or a line of them: text, left, right, baseline and font size (0 unknown); points, y upwards."""

    text: str
    x0: float
    x1: float
    y: float
    size: float


def lines(glyphs: Sequence[Glyph]) -> list[Glyph]:
    """Characters in reading order, with their line ends, as lines."""
    found: list[Glyph] = []
    row: list[Glyph] = []

    def flush() -> None:
        if seen := [glyph for glyph in row if not glyph.text.isspace()]:
            text = "".join(glyph.text for glyph in row).strip()
            text = _SURROGATES.sub(lambda m: m[0].encode("utf-16", "surrogatepass").decode("utf-16", "replace"), text)
            y, size = median(g.y for g in seen), median(g.size for g in seen)
            found.append(Glyph(text, seen[0].x0, max(g.x1 for g in seen), y, size))
        row.clear()

    for glyph in glyphs:
        if glyph.size == TABLE:
            flush()
            found.append(glyph)
        elif glyph.text in "\r\n":
            flush()
        elif glyph.text in "\x02\ufffe":  # pdfium's signs for a hyphen at the end of a line
            row.append(glyph._replace(text="-"))
            flush()
        else:
            row.append(glyph)
    flush()
    return found


def paragraphs(found: Sequence[Glyph], bottom: float, top: float, tolerance: float = 0.05) -> list[list[Glyph]]:
    """Lines as paragraphs: a change of size, a gap, an indent, a jump upwards or the page's margin begins a new one.

    Args:
        bottom, top: the page's ends.
        tolerance: how much the size may vary within a paragraph.
    """
    steps = [(a.size, a.y - b.y) for a, b in pairwise(found) if a.y > b.y and a.size == b.size]
    usual = {size: median(step for s, step in steps if s == size) for size, _ in steps}
    groups: list[list[Glyph]] = []
    for line in found:
        if (
            not groups
            or _begins(groups[-1], line, usual, tolerance)
            or {is_edge(line, bottom, top)} != {is_edge(groups[-1][-1], bottom, top)}
        ):
            groups.append([line])
        else:
            groups[-1].append(line)
    return groups


def _begins(group: list[Glyph], line: Glyph, usual: dict[float, float], tolerance: float) -> bool:
    last = group[-1]
    if TABLE in (last.size, line.size) or abs(last.size - line.size) > tolerance * max(last.size, line.size):
        return True
    step = last.y - line.y
    pitch = group[-2].y - last.y if len(group) > 1 else usual.get(line.size, step)
    if step < -0.5 * line.size or step > 1.3 * max(pitch, line.size):
        return True
    return line.x0 > max(group[-1].x0, group[0].x0 if len(group) == 1 else 0) + 0.8 * (line.size or 10)


def is_edge(line: Glyph, bottom: float, top: float) -> bool:
    """Whether a line stands in the page's upper or lower margin."""
    margin = EDGE * (top - bottom)
    return line.size != TABLE and not bottom + margin <= line.y <= top - margin


def heading_levels(found: Sequence[Glyph]) -> dict[float, int]:
    """Font size → level (1 is the largest) of the sizes well above the body's, which most characters have."""
    weights: Counter[float] = Counter()
    for line in found:
        if line.size > 0:
            weights[round(line.size, 1)] += len(line.text)
    if not weights:
        return {}
    body = weights.most_common(1)[0][0]
    larger = sorted((size for size in weights if size >= HEADING * body), reverse=True)
    return {size: min(i + 1, 6) for i, size in enumerate(larger)}


def level(group: Sequence[Glyph], levels: dict[float, int]) -> int:
    """A paragraph's heading level by its size; 0 for one too long, without a letter, or of a table of contents."""
    text = " ".join(line.text for line in group)
    if _LEADERS.search(text):
        return 0
    if len(group) > 3 or len(text) > 100 or text.endswith(tuple("。；，,;：:")) or not any(map(str.isalpha, text)):
        return 0
    return levels.get(round(group[0].size, 1), 0)
