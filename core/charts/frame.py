"""What all charts have in common: the frame around the data, and whiskers for intervals. Plain dictionaries."""

from collections.abc import Mapping, Sequence
from typing import Any

GRID = "rgba(128,128,128,0.22)"


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
