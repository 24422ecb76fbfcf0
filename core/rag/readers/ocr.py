"""Text in pictures, by RapidOCR (its Chinese and English models come with its wheel)."""

import logging
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from threading import Lock
from typing import Any

import numpy as np

SURE = 0.5  # below this the recogniser mostly sees letters in pictures
COLUMN = 4  # lines on either side that make a page one of two columns
_LOCK = Lock()
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Line:
    """One line of text and its box in pixels, y downwards."""

    text: str
    x0: float
    y0: float
    x1: float
    y1: float


def available() -> bool:
    """Whether pictures can be read here: there is no wheel for Python 3.13, and OpenCV needs libGL and GLib."""
    return _engine() is not None


def lines(picture: np.ndarray) -> list[Line]:
    """The lines in ``picture`` (height, width, 3; uint8), in reading order."""
    engine = _engine()
    if engine is None:
        return []
    with _LOCK:
        found, _ = engine(picture)
    result = []
    for box, text, score in found or []:
        xs, ys = zip(*box, strict=True)
        if float(score) >= SURE and text.strip():
            result.append(Line(text.strip(), min(xs), min(ys), max(xs), max(ys)))
    return in_order(result)


def in_order(found: list[Line]) -> list[Line]:
    """Lines in reading order: row by row, and where a page has two columns the left one before the right one.

    A line across both columns (a title, a figure's caption) ends what stands above it.
    """
    left, right = min((line.x0 for line in found), default=0), max((line.x1 for line in found), default=0)
    span, middle = right - left, (left + right) / 2
    sides = [
        [line for line in found if line.x1 < middle + 0.03 * span and line.x1 - line.x0 > 0.3 * span],
        [line for line in found if line.x0 > middle - 0.03 * span and line.x1 - line.x0 > 0.3 * span],
    ]
    if min(map(len, sides)) < COLUMN:
        return _in_rows(found)
    across = sorted(
        (x for x in found if x.x0 < middle - 0.05 * span and x.x1 > middle + 0.05 * span), key=lambda x: x.y0
    )
    ordered: list[Line] = []
    for above, below in pairwise([None, *across, None]):
        top, bottom = above.y0 if above else float("-inf"), below.y0 if below else float("inf")
        part = [line for line in found if line not in across and top <= line.y0 < bottom]
        ordered += [above] if above else []
        ordered += _in_rows([line for line in part if line.x0 + line.x1 < 2 * middle])
        ordered += _in_rows([line for line in part if line.x0 + line.x1 >= 2 * middle])
    return ordered


def _in_rows(found: list[Line]) -> list[Line]:
    """Boxes side by side become one line, so that a row of a form stays together."""
    rows: list[list[Line]] = []
    for line in sorted(found, key=lambda line: (line.y0 + line.y1) / 2):
        middle = (line.y0 + line.y1) / 2
        if rows and rows[-1][0].y0 < middle < rows[-1][0].y1:
            rows[-1].append(line)
        else:
            rows.append([line])
    joined = []
    for row in rows:
        row.sort(key=lambda line: line.x0)
        text = " ".join(line.text for line in row)
        joined.append(Line(text, row[0].x0, min(x.y0 for x in row), max(x.x1 for x in row), max(x.y1 for x in row)))
    return joined


@lru_cache(maxsize=1)
def _engine() -> Any:
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError:
        log.info("scanned pages cannot be read", exc_info=True)
        return None
    # Wider boxes than its default: with 1.6 it leaves out lines, and spaces between Latin words, of closely set pages.
    return RapidOCR(det_unclip_ratio=2.0)
