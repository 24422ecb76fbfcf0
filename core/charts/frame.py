"""What all charts have in common: the frame around the data, and whiskers for intervals. Plain dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Any

GRID = "rgba(128,128,128,0.22)"
UNDER_WHISKERS = 0.6
"""Strength of a bar's colour: on a full one the whisker would be lost, in the dark more than anywhere."""


def frame(labels: Mapping[str, str], height: int) -> dict[str, Any]:
    """A plotly layout: the finding as a title with its subtitle, the legend below, transparent ground.

    Args:
        labels: texts under "title" and "subtitle".
        height: in pixels.
    """
    return {
        "title": {
            "text": labels["title"],
            "subtitle": {"text": labels["subtitle"]},
            "x": 0,
            "xanchor": "left",
            "font": {"size": 15},
        },
        "height": height,
        "margin": {"l": 56, "r": 20, "t": 86, "b": 90},
        "hovermode": "x unified",
        "legend": {"orientation": "h", "y": -0.24, "x": 0, "yanchor": "top", "maxheight": 0.6},
        "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }


def paler(color: str, share: float) -> str:
    """A colour with so much of its strength, as what lies behind it shows through."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (1, 3, 5))
    return color if share == 1 else f"rgba({red},{green},{blue},{share})"


def whiskers(found: Sequence[Mapping[str, Any]], name: str, ink: str) -> dict[str, Any]:
    """Error bars from each figure's "low" to its "high".

    Args:
        name: under which the figure itself stands ("mean", "delta").
        ink: colour of the lines.
    """
    return {
        "type": "data",
        "symmetric": False,
        "array": [one["high"] - one[name] for one in found],
        "arrayminus": [one[name] - one["low"] for one in found],
        "thickness": 1.6,
        "width": 5,
        "color": ink,
    }


def figure_of(labels: Mapping[str, str], height: int) -> Any:
    """An empty plotly figure in the frame, for charts that are not drawn again every second."""
    import plotly.graph_objects as go

    return go.Figure(layout=frame(labels, height))


def lying_bars(
    labels: Mapping[str, str], found: Sequence[Sequence[Mapping[str, Any] | None]], groups: Sequence[str], ink: str
) -> dict[str, Any]:
    """A layout for groups of bars to the right, from 0 to 1, with their figures in a column beside them.

    Upright bars have no room for figures on a phone, and many of them none for themselves.

    Args:
        labels: texts under "title", "subtitle", "score".
        found: per trace and group {"mean"}, or None where there is no bar.
        groups: their names, the first on top.
        ink: colour of the figures.
    """
    count, gap = len(found), 0.24
    line = 20 if count <= 5 else 16
    layout = frame(labels, 170 + len(groups) * round(line * count / (1 - gap)) + 20 * count)
    layout |= {"barmode": "group", "bargap": gap, "bargroupgap": 0.08, "hovermode": "y unified"}
    layout["margin"] |= {"l": 8, "r": 42, "b": 60}
    layout["legend"] = {"orientation": "h", "yref": "container", "y": 0, "yanchor": "bottom", "x": 0, "maxheight": 0.6}
    layout["xaxis"] = {"title": {"text": labels["score"]}, "range": [0, 1.04], "fixedrange": True}
    layout["xaxis"] |= {"showgrid": True, "gridcolor": GRID, "automargin": True}
    layout["yaxis"] = {"automargin": True, "fixedrange": True, "range": [len(groups) - 0.5, -0.5], "type": "category"}
    layout["yaxis"] |= {"categoryorder": "array", "categoryarray": list(groups), "ticklabelstandoff": 5}
    layout["annotations"] = [
        {
            "text": f"{bar['mean']:.2f}",
            **{"x": 1, "xref": "paper", "xanchor": "left", "showarrow": False, "font": {"size": 12, "color": ink}},
            "y": place + ((number + 0.5) / count - 0.5) * (1 - gap),
        }
        for number, bars in enumerate(found)
        for place, bar in enumerate(bars)
        if bar
    ]
    return layout
