"""The curves of runs → plotly figures, as plain dictionaries: pure functions, no Streamlit, no files.

They are drawn again every second, so they are built of few points and as arrays, which plotly checks and packs several
times faster than its own objects and lists.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from core.charts.frame import GRID, frame

DASHES = ("solid", "dash", "dot", "dashdot")
STROKES = {"solid": "━━", "dash": "╺╸╺", "dot": "┈┈", "dashdot": "━·"}
TOP, UNTOLD, BOTTOM = 88, 50, 44  # above the lines, with a subtitle and without; below them
LINE_HEIGHT = 17  # pixels of a label at the right edge
LONGEST = 14  # characters of it


@dataclass(frozen=True)
class Line:
    """One line of a chart.

    Attributes:
        steps, values: its points.
        faint: a background for another line: thin, pale, without a name of its own.
        marks: its points are drawn, too: few of them, measured now and then.
    """

    name: str
    steps: Sequence[int]
    values: Sequence[float]
    color: str
    dash: str = "solid"
    faint: bool = False
    marks: bool = False


def look(number: int, colors: Sequence[str]) -> tuple[str, str]:
    """Colour and dash of the n-th run: neighbours differ in both, and only the 17th of four colours looks like one
    before it."""
    return colors[number % len(colors)], DASHES[(number + number // len(colors)) % len(DASHES)]


def curves(
    lines: Sequence[Line],
    labels: dict[str, str],
    height: int,
    steps: int = 0,
    shape: str = ".4f",
    from_zero: bool = True,
    direct: bool = False,
) -> dict[str, Any]:
    """Lines over the steps of one run, or of several.

    Args:
        labels: texts under "title", "subtitle", "step", "value" (an axis' title; empty: none).
        steps: length of the step axis; 0: as far as there are points.
        shape: format of a value on hover.
        from_zero: whether the value axis begins at 0.
        direct: names stand at the right edge, at the height where their lines end, instead of in a legend.
    """
    named = [line for line in lines if not line.faint]
    layout = _layout(labels, height, steps, from_zero)
    if not any(len(line.steps) for line in lines):  # plotly would invent numbers
        layout["yaxis"]["showticklabels"] = False
        layout["xaxis"] |= {"range": [0, steps or 1], "showticklabels": bool(steps)}
    if shape.endswith("e"):  # plotly would write 200 µ
        layout["yaxis"]["tickformat"] = ".1e"
    if direct:
        low, high = _span(lines, from_zero)
        layout["yaxis"] |= {"range": [low, high], "autorange": False}
        layout["annotations"] = _names(named, low, high, height - layout["margin"]["t"] - BOTTOM)
        layout["margin"]["r"] = 20 + 7 * max((min(LONGEST, len(line.name)) + 3 for line in named), default=0)
    layout["showlegend"] = not direct and len(named) > 1
    if layout["showlegend"]:
        layout["margin"]["b"] = BOTTOM + 28
    return {"data": [_trace(line, shape) for line in lines] or [{"type": "scatter", "x": [], "y": []}],
            "layout": layout}  # fmt: skip


def _trace(line: Line, shape: str) -> dict[str, Any]:
    import numpy as np

    trace: dict[str, Any] = {
        "type": "scatter",
        "x": np.asarray(line.steps, dtype=np.int32),
        "y": np.asarray(line.values, dtype=np.float32),
        "name": line.name,
        "mode": "lines+markers" if line.marks or len(line.steps) == 1 else "lines",
        "line": {"color": line.color, "dash": line.dash, "width": 1 if line.faint else 2.2},
        "hovertemplate": f"%{{y:{shape}}}",
        "cliponaxis": False,
    }
    if line.faint:
        trace |= {"opacity": 0.26, "showlegend": False, "hoverinfo": "skip", "hovertemplate": None}
    if line.marks:
        trace["marker"] = {"symbol": "diamond", "size": 8 if len(line.steps) <= 40 else 4}
    return trace


def _layout(labels: dict[str, str], height: int, steps: int, from_zero: bool) -> dict[str, Any]:
    axis = {"gridcolor": GRID, "fixedrange": True}
    return {
        **frame(labels, height),
        "template": {"layout": {"autotypenumbers": "strict"}},  # checking plotly's own takes longer than the rest
        "margin": {"l": 56, "r": 16, "t": TOP if labels["subtitle"] else UNTOLD, "b": BOTTOM},
        "legend": {"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "x": 0},
        "xaxis": {**axis, "title": {"text": labels["step"]}, **({"range": [0, steps]} if steps else {})},
        "yaxis": {
            **axis,
            "title": {"text": labels.get("value", "")},
            "rangemode": "tozero" if from_zero else "normal",
            "exponentformat": "SI",
        },
    }


def _span(lines: Sequence[Line], from_zero: bool) -> tuple[float, float]:
    """Both ends of the value axis: of all finite values, with some room."""
    import numpy as np

    values = np.concatenate([np.asarray(line.values, dtype=float) for line in lines] or [np.zeros(1)])
    values = values[np.isfinite(values)]
    if not len(values):
        return 0.0, 1.0
    low, high = (0.0 if from_zero else float(values.min())), float(values.max())
    room = 0.04 * (high - low) or abs(high) or 1.0
    return low - (0.0 if from_zero else room), high + room


def _names(lines: Sequence[Line], low: float, high: float, pixels: int) -> list[dict[str, Any]]:
    """The lines' names at the right edge, pushed apart where lines end close to one another."""
    finite = [(line, [value for value in line.values if math.isfinite(value)]) for line in lines]
    ends = sorted(((values[-1], line) for line, values in finite if values), key=lambda end: end[0])
    wanted = [pixels * (value - low) / (high - low) for value, _ in ends]
    return [
        {
            "xref": "paper",
            "x": 1,
            "xanchor": "left",
            "xshift": 6,
            "y": value,
            "yshift": place - want,
            "text": f"{STROKES[line.dash]} {_short(line.name)}",
            "font": {"color": line.color, "size": 12},
            "showarrow": False,
        }
        for (value, line), want, place in zip(ends, wanted, _apart(wanted, pixels), strict=True)
    ]


def _apart(places: Sequence[float], pixels: int) -> list[float]:
    """Ascending places moved as little as needed to stand a line's height apart, within the chart where they fit."""
    moved: list[float] = []
    for place in places:
        moved.append(max(place, moved[-1] + LINE_HEIGHT) if moved else place)
    top = float(pixels)
    for number in range(len(moved) - 1, -1, -1):
        moved[number] = min(moved[number], top)
        top = moved[number] - LINE_HEIGHT
    return moved


def _short(name: str) -> str:
    return name if len(name) <= LONGEST else name[: LONGEST - 1] + "…"
