"""Data → plotly figure. Pure functions: no Streamlit, no files; labels and colours come from the caller."""

from collections.abc import Sequence
from typing import Any

GRID = "rgba(128,128,128,0.22)"


def _figure(title: str, subtitle: str, height: int) -> Any:
    import plotly.graph_objects as go

    figure = go.Figure()
    figure.update_layout(
        title={"text": title, "subtitle": {"text": subtitle}, "x": 0, "xanchor": "left", "font": {"size": 15}},
        height=height,
        margin={"l": 56, "r": 16, "t": 86, "b": 90},
        hovermode="x unified",
        legend={"orientation": "h", "y": -0.24, "x": 0, "yanchor": "top"},
        dragmode=False,
    )
    return figure


def loss(points: Sequence[dict[str, Any]], labels: dict[str, str], colors: dict[str, str], steps: int = 0) -> Any:
    """Training and test loss over the steps of a run.

    Args:
        points: rows of ``metrics.jsonl``: {"step", "loss"} and {"step", "eval_loss"}.
        labels: texts under "title", "subtitle", "step", "loss", "train", "eval".
        colors: "train" and "eval".
        steps: length of the step axis; 0: as far as there are points.
    """
    figure = _figure(labels["title"], labels["subtitle"], 380)
    for key, name, marker in (("loss", "train", "circle"), ("eval_loss", "eval", "diamond")):
        rows = [point for point in points if key in point]
        figure.add_scatter(
            x=[row["step"] for row in rows],
            y=[row[key] for row in rows],
            name=labels[name],
            mode="lines+markers",
            line={"color": colors[name], "width": 2.5 if name == "eval" else 1.8},
            marker={"symbol": marker, "size": 9 if name == "eval" else 4},
            hovertemplate="%{y:.4f}",
            cliponaxis=False,
        )
    figure.update_xaxes(title=labels["step"], range=[0, steps] if steps else None, gridcolor=GRID, fixedrange=True)
    figure.update_yaxes(title=labels["loss"], rangemode="tozero", gridcolor=GRID, fixedrange=True)
    return figure


def learning_rate(points: Sequence[dict[str, Any]], labels: dict[str, str], color: str, steps: int = 0) -> Any:
    """Learning rate over the steps of a run; arguments as for :func:`loss`, labels "title", "subtitle", "step"."""
    rows = [point for point in points if "learning_rate" in point]
    figure = _figure(labels["title"], labels["subtitle"], 220)
    figure.add_scatter(
        x=[row["step"] for row in rows],
        y=[row["learning_rate"] for row in rows],
        mode="lines",
        line={"color": color, "width": 2},
        hovertemplate="%{y:.2e}",
    )
    figure.update_xaxes(title=labels["step"], range=[0, steps] if steps else None, gridcolor=GRID, fixedrange=True)
    figure.update_yaxes(rangemode="tozero", exponentformat="e", gridcolor=GRID, fixedrange=True)
    return figure


def score_bars(
    arms: Sequence[dict[str, Any]],
    metrics: Sequence[str],
    names: Sequence[str],
    labels: dict[str, str],
    colors: Sequence[str],
    ink: str,
) -> Any:
    """Grouped bars of scores with their 95 % intervals as whiskers.

    Args:
        arms: each with ``scores``: {metric: {"mean", "low", "high"}}, values from 0 to 1.
        names: an arm's name as shown, and ``colors`` its colour, in the same order.
        ink: colour of the whiskers.
        labels: texts under "title", "subtitle", "score".
    """
    figure = _figure(labels["title"], labels["subtitle"], 420)
    for arm, name, color in zip(arms, names, colors, strict=True):
        scores = [arm["scores"][metric] for metric in metrics]
        means = [score["mean"] for score in scores]
        figure.add_bar(
            x=[metric.replace("rouge", "ROUGE-") for metric in metrics],
            y=means,
            name=name,
            marker={"color": color, "cornerradius": 4},
            error_y={
                "type": "data",
                "symmetric": False,
                "array": [score["high"] - score["mean"] for score in scores],
                "arrayminus": [score["mean"] - score["low"] for score in scores],
                "thickness": 1.8,
                "width": 6,
                "color": ink,
            },
            text=[f"{mean:.2f}" for mean in means],
            textposition="inside",
            insidetextanchor="start",
            customdata=[[score["low"], score["high"]] for score in scores],
            hovertemplate="%{y:.3f} [%{customdata[0]:.3f}, %{customdata[1]:.3f}]",
        )
    figure.update_layout(barmode="group", bargap=0.28, bargroupgap=0.08)
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(title=labels["score"], range=[0, 1.04], gridcolor=GRID, fixedrange=True)
    return figure
