"""The figures of a comparison → plotly figures, as plain dictionaries: pure functions, no Streamlit, no files."""

from collections.abc import Mapping, Sequence
from typing import Any

GRID = "rgba(128,128,128,0.22)"
PATTERNS = ("", "/", ".", "x", "+")
"""Of bars, by prompt strategy: colour is for base or adapter, without or with a knowledge base."""
_LINE_HEIGHT = 46  # pixels of a contrast with its two lines of text


def overview(
    arms: Sequence[Mapping[str, Any]],
    metrics: Mapping[str, str],
    colors: Sequence[str],
    labels: Mapping[str, str],
    ink: str,
) -> dict[str, Any]:
    """Grouped bars of the scores from 0 to 1, with their 95 % intervals as whiskers.

    Args:
        arms: of :func:`core.evaluation.results.results`.
        metrics: name → label, in the order shown; those an arm has no score of are left out of its bars.
        colors: of the arms, in their order.
        labels: texts under "title", "subtitle", "score".
        ink: colour of the whiskers.
    """
    strategies = list(dict.fromkeys(arm["strategy"] for arm in arms))
    traces = []
    for arm, color in zip(arms, colors, strict=True):
        there = {label: arm["scores"][name] for name, label in metrics.items() if name in arm["scores"]}
        scores = list(there.values())
        traces.append(
            {
                "type": "bar",
                "name": arm["name"],
                "x": list(there),
                "y": [score["mean"] for score in scores],
                "marker": {
                    "color": color,
                    "cornerradius": 3,
                    "pattern": {"shape": PATTERNS[strategies.index(arm["strategy"]) % len(PATTERNS)]},
                },
                "error_y": _whiskers(scores, "mean", ink),
                "customdata": [[score["low"], score["high"], score["n"]] for score in scores],
                "hovertemplate": "%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], n = %{customdata[2]}",
            }
        )
    layout = _layout(labels, 440)
    layout["barmode"], layout["bargap"], layout["bargroupgap"] = "group", 0.25, 0.06
    layout["xaxis"] = {"fixedrange": True, "automargin": True}
    layout["yaxis"] = {"title": {"text": labels["score"]}, "range": [0, 1.04], "gridcolor": GRID, "fixedrange": True}
    return {"data": traces, "layout": layout}


def forest(
    contrasts: Sequence[Mapping[str, Any]], labels: Mapping[str, str], colors: Mapping[str, str], ink: str
) -> dict[str, Any]:
    """Differences of one metric with their 95 % intervals, one line each, the first on top; a line at no difference.

    Args:
        contrasts: of :func:`core.evaluation.results.results`.
        labels: texts under "title", "subtitle", "delta", "against".
        colors: of the later arm of each contrast, by name.
    """
    lines = [f"{one['b']}<br><i>{labels['against']} {one['a']}</i>" for one in contrasts]
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [one["delta"] for one in contrasts],
        "y": lines,
        "marker": {"size": 11, "color": [colors[one["b"]] for one in contrasts]},
        "error_x": _whiskers(contrasts, "delta", ink),
        "customdata": [[one["low"], one["high"], one["p_holm"], one["n"]] for one in contrasts],
        "hovertemplate": "%{x:+.3f} [%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]<br>"
        "p (Holm) = %{customdata[2]:.4f}, n = %{customdata[3]}<extra></extra>",
        "showlegend": False,
        "cliponaxis": False,
    }
    layout = _layout(labels, 150 + _LINE_HEIGHT * len(contrasts))
    layout["hovermode"] = "closest"
    layout["shapes"] = [
        {"type": "line", "x0": 0, "x1": 0, "y0": 0, "y1": 1, "yref": "paper", "line": {"color": ink, "dash": "dash"}}
    ]
    layout["xaxis"] = {"title": {"text": labels["delta"]}, "gridcolor": GRID, "zeroline": False, "fixedrange": True}
    layout["yaxis"] = {"autorange": "reversed", "automargin": True, "fixedrange": True, "gridcolor": GRID}
    return {"data": [trace], "layout": layout}


def _whiskers(found: Sequence[Mapping[str, Any]], name: str, ink: str) -> dict[str, Any]:
    return {
        "type": "data",
        "symmetric": False,
        "array": [one["high"] - one[name] for one in found],
        "arrayminus": [one[name] - one["low"] for one in found],
        "thickness": 1.6,
        "width": 5,
        "color": ink,
    }


def _layout(labels: Mapping[str, str], height: int) -> dict[str, Any]:
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
        "legend": {"orientation": "h", "y": -0.24, "x": 0, "yanchor": "top"},
        "dragmode": False,
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "rgba(0,0,0,0)",
    }
