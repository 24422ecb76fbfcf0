"""The figures of a comparison → plotly figures, as plain dictionaries: pure functions, no Streamlit, no files.

Colour says base or adapter, without or with a knowledge base; pattern and marker say the prompt strategy; of several
adapters each is paler than the one before, in an outline of the full colour.
"""

from collections.abc import Mapping, Sequence
from html import escape
from math import cos, sin, sqrt
from typing import Any

from core.charts.frame import GRID, UNDER_WHISKERS, frame, lying_bars, paler, whiskers

MUTED = "#808894"
"""Of points that say nothing for or against: 3:1 on both backgrounds."""
PATTERNS = ("", "/", ".", "x", "+")
SYMBOLS = ("circle", "square", "diamond", "triangle-up", "star")
SHADES = (1.0, 0.45, 0.15)
_LINE_HEIGHT = 66  # pixels of a contrast with its two lines of text
_MORE_TEXT = 26  # pixels for each further line of it
_HOVER = 80  # characters
_LEGEND = 40  # widths of a letter, of which a Chinese character takes two
_GOLDEN = 2.399963229728653  # radians; points set apart by it never fall on one another
_APART = 0.009  # of an axis: points that are the same are fanned out by this much

Arms = Sequence[Mapping[str, Any]]
"""Of :func:`core.evaluation.results.results`."""
Labels = Mapping[str, str]


def looks(arms: Arms, colors: Sequence[str], strength: float = 1.0) -> list[dict[str, str]]:
    """How each arm is drawn: {"color", "line": of its outline, "pattern": of its bars, "symbol": of its points}.

    Args:
        strength: of the colours inside the outlines, from 0 to 1.
    """
    strategies = list(dict.fromkeys(arm["strategy"] for arm in arms))
    adapters = list(dict.fromkeys(arm["adapter"] for arm in arms if arm["adapter"]))
    found = []
    for arm, color in zip(arms, colors, strict=True):
        how = strategies.index(arm["strategy"])
        rank = adapters.index(arm["adapter"]) if arm["adapter"] else 0
        found.append(
            {
                "color": paler(color, strength * SHADES[min(rank, len(SHADES) - 1)]),
                "line": color,
                "pattern": PATTERNS[how % len(PATTERNS)],
                "symbol": SYMBOLS[how % len(SYMBOLS)],
            }
        )
    return found


def overview(arms: Arms, metrics: Labels, colors: Sequence[str], labels: Labels, ink: str) -> dict[str, Any]:
    """Grouped bars of the scores from 0 to 1, their figures beside them, with their 95 % intervals as whiskers.

    Args:
        metrics: name → label, in the order shown; those an arm has no score of are left out of its bars.
        colors: of the arms, in their order.
        labels: texts under "title", "subtitle", "score".
        ink: colour of the whiskers and figures.
    """
    metrics = {name: label for name, label in metrics.items() if any(name in arm["scores"] for arm in arms)}
    traces = []
    for arm, look in zip(arms, looks(arms, colors, UNDER_WHISKERS), strict=True):
        there = {label: arm["scores"][name] for name, label in metrics.items() if name in arm["scores"]}
        scores = list(there.values())
        pattern = {"shape": look["pattern"], "fgcolor": look["line"], "bgcolor": paler(look["line"], 0.12)}
        traces.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": _folded(arm["name"]),
                "y": list(there),
                "x": [score["mean"] for score in scores],
                "marker": {
                    "color": look["color"],
                    "line": {"color": look["line"], "width": 1.4},
                    "cornerradius": 3,
                    "pattern": pattern if look["pattern"] else {"shape": ""},
                },
                "error_x": whiskers(scores, "mean", ink),
                "customdata": [[score["low"], score["high"], score["n"]] for score in scores],
                "hovertemplate": "%{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}], n = %{customdata[2]}",
            }
        )
    found = [[arm["scores"].get(name) for name in metrics] for arm in arms]
    layout = lying_bars(labels, found, list(metrics.values()), ink)
    layout["height"] += 16 * sum(_folded(arm["name"]).count("<br>") for arm in arms)
    return {"data": traces, "layout": layout}


def forest(
    contrasts: Sequence[Mapping[str, Any]], labels: Labels, colors: Mapping[str, str], ink: str
) -> dict[str, Any]:
    """Differences of one metric with their 95 % intervals, one line each, the first on top; a line at no difference.

    Args:
        contrasts: of :func:`core.evaluation.results.results`.
        labels: texts under "title", "subtitle", "delta", "against".
        colors: of the later arm of each contrast, by name.
    """
    places = list(range(len(contrasts)))
    trace = {
        "type": "scatter",
        "mode": "markers",
        "x": [one["delta"] for one in contrasts],
        "y": places,
        "marker": {"size": 11, "color": [colors[one["b"]] for one in contrasts]},
        "error_x": whiskers(contrasts, "delta", ink),
        "customdata": [[one["low"], one["high"], one["p_holm"], one["n"], one["b"], one["a"]] for one in contrasts],
        "hovertemplate": f"%{{customdata[4]}}<br>{labels['against']} %{{customdata[5]}}<br>"
        "%{x:+.3f} [%{customdata[0]:+.3f}, %{customdata[1]:+.3f}]<br>"
        "p (Holm) = %{customdata[2]:.4f}, n = %{customdata[3]}<extra></extra>",
        "showlegend": False,
        "cliponaxis": False,
    }
    texts = [f"{_folded(one['b'])}<br><i>{labels['against']} {_folded(one['a'])}</i>" for one in contrasts]
    more = max((text.count("<br>") for text in texts), default=1) - 1
    height = _LINE_HEIGHT + _MORE_TEXT * more
    layout = frame(labels, 150 + height * len(contrasts))
    layout["hovermode"], layout["margin"] = "closest", {"l": 8, "r": 20, "t": 78, "b": 52}
    # The line at no difference leaves out the names, so that both can be read.
    ends = [{"y0": place - 6 / height, "y1": place + 20 / height} for place in places]
    layout["shapes"] = [
        {"type": "line", "x0": 0, "x1": 0, **end, "line": {"color": ink, "dash": "dot"}} for end in ends
    ]
    # Names stand above their line, not left of it: on a phone they would leave no room for what they name.
    layout["annotations"] = [
        {
            "text": text,
            **{"x": 0, "xref": "paper", "xanchor": "left", "align": "left", "font": {"size": 12}},
            **{"y": place, "yref": "y", "yanchor": "bottom", "yshift": 7, "showarrow": False},
        }
        for place, text in zip(places, texts, strict=True)
    ]
    layout["xaxis"] = {"title": {"text": labels["delta"]}, "gridcolor": GRID, "zeroline": False, "fixedrange": True}
    layout["yaxis"] = {"range": [len(contrasts) - 0.65, -0.85], "visible": False, "fixedrange": True}
    return {"data": [trace], "layout": layout}


def scatter(
    points: Sequence[Mapping[str, Any]], labels: Labels, colors: Mapping[str, str], ink: str, span: tuple[float, float]
) -> dict[str, Any]:
    """One point for each row, an arm's score across and another's upwards; on the diagonal they are the same.

    Points that are the same are fanned out around their place, so that each can be seen and chosen.

    Args:
        points: {"row": from 1, "a", "b": scores, "effect": helped, hurt or unchanged, "text": what was asked}.
        labels: texts under "title", "subtitle", "a", "b" (of the axes), "row", and one per effect.
        colors: by effect.
        span: both axes' ends.
    """
    symbols = {"helped": "triangle-up", "hurt": "triangle-down", "unchanged": "circle"}
    apart, seen = _APART * (span[1] - span[0]), dict[tuple[float, float], int]()
    placed: dict[str, list[tuple[float, float, Mapping[str, Any]]]] = {effect: [] for effect in symbols}
    for point in points:
        turn = seen[point["a"], point["b"]] = seen.get((point["a"], point["b"]), -1) + 1
        far, angle = apart * sqrt(turn), turn * _GOLDEN
        placed[point["effect"]].append((point["a"] + far * cos(angle), point["b"] + far * sin(angle), point))
    traces = [
        {
            "type": "scatter",
            "mode": "markers",
            "name": f"{labels[effect]} ({len(mine)})",
            "x": [x for x, _, _ in mine],
            "y": [y for _, y, _ in mine],
            "marker": {"size": 10, "symbol": symbols[effect], "color": colors[effect], "opacity": 0.8},
            "customdata": [[point["row"], point["a"], point["b"], _excerpt(point["text"])] for _, _, point in mine],
            "hovertemplate": f"{labels['row']} %{{customdata[0]}}: %{{customdata[3]}}<br>"
            "%{customdata[1]:.3f} → %{customdata[2]:.3f}<extra></extra>",
            "cliponaxis": False,
        }
        for effect, mine in placed.items()
    ]
    across = _folded(labels["a"])
    more = across.count("<br>")
    layout = frame(labels, 520 + 18 * more)
    layout["hovermode"] = "closest"
    ends = {"x0": span[0], "y0": span[0], "x1": span[1], "y1": span[1]}
    layout["shapes"] = [{"type": "line", **ends, "line": {"color": ink, "dash": "dash", "width": 1}}]
    margin = 0.05 * (span[1] - span[0])
    axis = {"range": [span[0] - margin, span[1] + margin], "gridcolor": GRID, "zeroline": False, "fixedrange": True}
    layout["xaxis"] = {**axis, "title": {"text": across}}
    layout["yaxis"] = {**axis, "title": {"text": labels["b"].replace(" · ", "<br>")}, "automargin": True}
    layout["legend"]["y"] = -0.2 - 0.06 * more
    return {"data": traces, "layout": layout}


def cost(
    arms: Arms, metric: str, colors: Sequence[str], labels: Labels, ink: str, top: float | None = None
) -> dict[str, Any]:
    """What an answer is worth and what it takes: each arm's mean of a metric over its mean latency, with intervals.

    Args:
        metric: up the side; arms without it, or without a latency, are left out.
        labels: texts under "title", "subtitle", "seconds", "score".
        top: end of the metric's axis; None: as the figures need.
    """
    traces = []
    for arm, look in zip(arms, looks(arms, colors), strict=True):
        worth, time = arm["scores"].get(metric), arm["scores"].get("latency")
        if not worth or not time:
            continue
        traces.append(
            {
                "type": "scatter",
                "mode": "markers",
                "name": _folded(arm["name"]),
                "x": [time["mean"]],
                "y": [worth["mean"]],
                "marker": {
                    "size": 13,
                    "symbol": look["symbol"],
                    "color": look["color"],
                    "line": {"color": look["line"], "width": 2},
                },
                "error_x": whiskers([time], "mean", ink),
                "error_y": whiskers([worth], "mean", ink),
                "customdata": [[time["low"], time["high"], worth["low"], worth["high"], worth["n"]]],
                "hovertemplate": "%{fullData.name}<br>%{y:.3f} [%{customdata[2]:.3f}, %{customdata[3]:.3f}]<br>"
                "%{x:.2f} s [%{customdata[0]:.2f}, %{customdata[1]:.2f}], n = %{customdata[4]}<extra></extra>",
                "cliponaxis": False,
            }
        )
    layout = frame(labels, 440 + _legend(arms))
    layout["hovermode"] = "closest"
    axis = {"gridcolor": GRID, "fixedrange": True, "rangemode": "tozero"}
    layout["xaxis"] = {**axis, "title": {"text": labels["seconds"]}}
    layout["yaxis"] = {**axis, "title": {"text": labels["score"]}, **({"range": [0, top * 1.04]} if top else {})}
    return {"data": traces, "layout": layout}


def confusion(
    counts: Sequence[Sequence[int]], classes: Sequence[str], labels: Labels, color: str, ink: str
) -> dict[str, Any]:
    """Which class was answered for which, as numbers in a table, the darker the more.

    Args:
        counts: a row for each class that was right, a column for each that was answered, the last for none of them.
        classes: names of the columns; the rows' are the same without the last.
        labels: texts under "title", "subtitle", "right", "answered".
    """
    trace = {
        "type": "heatmap",
        "z": [list(row) for row in counts],
        "x": list(classes),
        "y": list(classes[: len(counts)]),
        "colorscale": [[0, paler(color, 0.04)], [1, paler(color, 0.55)]],
        "showscale": False,
        "xgap": 2,
        "ygap": 2,
        "texttemplate": "%{z}",
        "textfont": {"color": ink, "size": 15},
        "hovertemplate": f"{labels['right']}: %{{y}}<br>{labels['answered']}: %{{x}}<br>%{{z}}<extra></extra>",
    }
    layout = frame(labels, 190 + 46 * len(counts))
    layout["hovermode"], layout["margin"]["b"] = "closest", 56
    axis = {"type": "category", "fixedrange": True, "showgrid": False, "automargin": True}
    layout["xaxis"] = {**axis, "title": {"text": labels["answered"]}}
    layout["yaxis"] = {**axis, "title": {"text": labels["right"]}, "autorange": "reversed"}
    return {"data": [trace], "layout": layout}


def _excerpt(said: str) -> str:
    """The beginning of somebody's text, for a place where marks of HTML would be obeyed."""
    plain = " ".join(said.split())
    return escape(plain if len(plain) <= _HOVER else plain[: _HOVER - 1] + "…")


def _folded(name: str) -> str:
    """A name that is wider than a legend on a phone goes on in another line, at one of its dots."""
    lines = [""]
    for part in name.split(" · "):
        longer = f"{lines[-1]} · {part}" if lines[-1] else part
        if lines[-1] and sum(1 + (letter > "\u2e80") for letter in longer) > _LEGEND:
            lines.append(part)
        else:
            lines[-1] = longer
    return "<br>".join(lines)


def _legend(arms: Arms) -> int:
    """Pixels that the names of many arms take, one below the other as on a phone."""
    return 20 * max(0, len(arms) - 4) + 16 * sum(_folded(arm["name"]).count("<br>") for arm in arms)
