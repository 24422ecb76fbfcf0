"""What a search found, and how well a knowledge base is searched → plotly figures."""

from collections.abc import Sequence
from typing import Any

from core.charts.frame import GRID, UNDER_WHISKERS, figure_of, lying_bars, paler, whiskers


def evidence(
    points: Sequence[tuple[float, str]], threshold: float, labels: dict[str, str], colors: tuple[str, str], ink: str
) -> Any:
    """Scores by rank as points, and the line that the best must reach.

    Scores of this kind have no meaningful zero, so that points on a cut axis are honest where bars would not be.

    Args:
        points: (score, text on hover), best first.
        labels: texts under "title", "subtitle", "rank", "score".
        colors: of points at or above the threshold, and below it (hollow).
        ink: colour of the line.
    """
    figure = figure_of(labels, 320)
    reached = [score >= threshold for score, _ in points]
    figure.add_scatter(
        x=list(range(1, len(points) + 1)),
        y=[score for score, _ in points],
        text=[text for _, text in points],
        mode="markers",
        marker={
            "size": 11,
            "color": [colors[0] if above else colors[1] for above in reached],
            "symbol": ["circle" if above else "circle-open" for above in reached],
            "line": {"width": 2},
        },
        hovertemplate="%{text}<br>%{y:.3f}<extra></extra>",
        cliponaxis=False,
        showlegend=False,
    )
    figure.add_hline(y=threshold, line={"color": ink, "width": 1.5, "dash": "dash"})
    figure.update_layout(hovermode="closest", margin={"l": 56, "r": 16, "t": 86, "b": 50})
    figure.update_xaxes(title=labels["rank"], dtick=1, range=[0.5, len(points) + 0.5], showgrid=False, fixedrange=True)
    figure.update_yaxes(title=labels["score"], gridcolor=GRID, fixedrange=True)
    return figure


def ranks(
    candidates: Sequence[dict[str, Any]], stages: Sequence[str], labels: dict[str, str], colors: tuple[str, str]
) -> Any:
    """How each stage of retrieval moved each passage: one line per passage, rank 1 on top.

    Args:
        candidates: each with "label", "ranks" {stage: rank or None}, "scores" {stage: score}, and "used" (bool).
        stages: in the order they are run.
        labels: texts under "title", "subtitle", "rank", and one per stage.
        colors: of passages that are used, and of the others.
    """
    figure = figure_of(labels, 420)
    worst = max((rank for row in candidates for rank in row["ranks"].values() if rank), default=1)
    for row in candidates:
        places = [row["ranks"].get(stage) for stage in stages]
        scores = [row["scores"].get(stage) for stage in stages]
        figure.add_scatter(
            x=[labels[stage] for stage in stages],
            y=places,
            name=row["label"],
            mode="lines+markers",
            connectgaps=True,
            line={"color": colors[0] if row["used"] else colors[1], "width": 3 if row["used"] else 1.4},
            marker={"size": 10 if row["used"] else 6},
            opacity=1 if row["used"] else 0.65,
            customdata=["–" if score is None else f"{score:.3f}" for score in scores],
            hovertemplate="%{fullData.name}<br>%{x}: %{y} (%{customdata})<extra></extra>",
            showlegend=False,
        )
    figure.update_layout(hovermode="closest", margin={"b": 40})
    figure.update_xaxes(fixedrange=True, gridcolor=GRID)
    figure.update_yaxes(
        title=labels["rank"],
        range=[worst + 0.6, 0.4],
        tick0=1,
        dtick=max(1, worst // 6),
        gridcolor=GRID,
        fixedrange=True,
        zeroline=False,
    )
    return figure


def stage_scores(
    stages: dict[str, dict[str, dict[str, float]]],
    metrics: Sequence[str],
    labels: dict[str, str],
    colors: Sequence[str],
    ink: str,
) -> Any:
    """Retrieval measures per stage with their 95 % intervals, as bars with their figures beside them.

    Args:
        stages: {stage: {metric: {"mean", "low", "high"}}}, values from 0 to 1.
        labels: texts under "title", "subtitle", "score", and one per stage and per metric.
        colors: of the stages, in their order.
        ink: colour of the whiskers and figures.
    """
    import plotly.graph_objects as go

    shown = [labels[metric] for metric in metrics]
    bars = [[scores[metric] for metric in metrics] for scores in stages.values()]
    figure = go.Figure(layout=lying_bars(labels, bars, shown, ink))
    for stage, found, color in zip(stages, bars, colors, strict=True):
        figure.add_bar(
            orientation="h",
            y=shown,
            x=[score["mean"] for score in found],
            name=labels[stage],
            marker={"color": paler(color, UNDER_WHISKERS), "line": {"color": color, "width": 1.4}, "cornerradius": 4},
            error_x=whiskers(found, "mean", ink),
            customdata=[[score["low"], score["high"]] for score in found],
            hovertemplate="%{x:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]",
        )
    return figure


def sweep(
    points: Sequence[dict[str, Any]], metrics: Sequence[str], labels: dict[str, str], color: str, ink: str
) -> Any:
    """Retrieval measures against the size of chunks, with their 95 % intervals as whiskers.

    Args:
        points: each with "size" (tokens) and "figures": {metric: {"mean", "low", "high"}}, values from 0 to 1.
        metrics: the last one is drawn in ``ink``, the others in ``color``, told apart by marker and dash.
        labels: texts under "title", "subtitle", "size", "score", and one per metric.
    """
    figure = figure_of(labels, 420)
    sizes = [point["size"] for point in points]
    span = max(sizes) - min(sizes) or 100
    step = 0.012 * span  # whiskers stand side by side
    looks = [("circle", "solid"), ("square", "dash"), ("diamond", "dot"), ("triangle-up", "dashdot")]
    for number, metric in enumerate(metrics):
        figures = [point["figures"][metric] for point in points]
        symbol, dash = ("x", "solid") if number == len(metrics) - 1 else looks[number % len(looks)]
        shade = ink if number == len(metrics) - 1 else color
        figure.add_scatter(
            x=[size + step * (number - (len(metrics) - 1) / 2) for size in sizes],
            y=[found["mean"] for found in figures],
            name=labels[metric],
            mode="lines+markers",
            line={"color": shade, "width": 2, "dash": dash},
            marker={"symbol": symbol, "size": 10},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [found["high"] - found["mean"] for found in figures],
                "arrayminus": [found["mean"] - found["low"] for found in figures],
                "thickness": 1.4,
                "width": 5,
                "color": shade,
            },
            customdata=[[size, found["low"], found["high"]] for size, found in zip(sizes, figures, strict=True)],
            hovertemplate="%{customdata[0]}: %{y:.3f} [%{customdata[1]:.3f}, %{customdata[2]:.3f}]"
            "<extra>%{fullData.name}</extra>",
            cliponaxis=False,
        )
    figure.update_layout(hovermode="closest")
    ends = [min(sizes) - 0.1 * span, max(sizes) + 0.1 * span]
    figure.update_xaxes(title=labels["size"], tickvals=sizes, range=ends, gridcolor=GRID, fixedrange=True)
    figure.update_yaxes(title=labels["score"], range=[0, 1.04], gridcolor=GRID, fixedrange=True)
    return figure


def chunk_map(points: Sequence[dict[str, Any]], query: tuple[float, float] | None, labels: dict[str, str]) -> Any:
    """Chunks as points of a plane, near ones alike in meaning; the question among them as a star.

    Args:
        points: each with "x", "y", "source" and "text" (shown on hover).
        query: place of the question, or None.
        labels: texts under "title", "subtitle", "query".
    """
    figure = figure_of(labels, 520)
    for source in dict.fromkeys(point["source"] for point in points):
        mine = [point for point in points if point["source"] == source]
        figure.add_scatter(
            x=[point["x"] for point in mine],
            y=[point["y"] for point in mine],
            name=source,
            mode="markers",
            marker={"size": 9, "opacity": 0.85, "line": {"width": 1, "color": "#64748B"}},  # pale ones are seen, too
            text=[point["text"] for point in mine],
            hovertemplate="%{text}<extra>%{fullData.name}</extra>",
        )
    if query:
        star = {"symbol": "star", "size": 18, "color": "#DC2626"}
        figure.add_scatter(
            x=[query[0]], y=[query[1]], name=labels["query"], mode="markers", marker=star, hoverinfo="name"
        )
    figure.update_layout(hovermode="closest")
    figure.update_xaxes(visible=False, fixedrange=True)
    figure.update_yaxes(visible=False, fixedrange=True)
    return figure
