"""A data set → plotly figures."""

from typing import Any

from core.charts.frame import GRID, figure_of


def lengths(found: dict[str, Any], limit: int, labels: dict[str, str], colors: dict[str, str], ink: str) -> Any:
    """How long the examples of a data set are, and where they are cut off.

    Args:
        found: "edges" and "counts" of :func:`core.training.data.preview.histogram`.
        limit: tokens kept of an example; a dashed line.
        labels: texts under "title", "subtitle", "x", "y", "kept", "cut" and "limit".
        colors: "kept" and "cut": of a bar by its first length; the bar that the line crosses counts as kept.
        ink: colour of the line and its text.
    """
    figure = figure_of(labels, 330)
    edges, counts = found["edges"], found["counts"]
    for key, pattern in (("kept", ""), ("cut", "/")):
        bars = [place for place in range(len(counts)) if (edges[place] > limit) == (key == "cut")]
        figure.add_bar(
            x=[(edges[place] + edges[place + 1]) / 2 for place in bars],
            y=[counts[place] for place in bars],
            width=[edges[place + 1] - edges[place] for place in bars],
            name=labels[key],
            marker={"color": colors[key], "pattern": {"shape": pattern}},
            customdata=[f"{edges[place]}–{edges[place + 1] - 1}" for place in bars],
            hovertemplate="%{customdata}: %{y}",
        )
    if limit <= edges[-1] * 2:  # a line far beyond the bars would squeeze them
        figure.add_vline(limit, line={"color": ink, "dash": "dash", "width": 1.5})
        figure.add_annotation(
            x=limit, y=1, yref="paper", yanchor="bottom", text=labels["limit"], showarrow=False, font={"color": ink}
        )
    figure.update_layout(bargap=0.06, hovermode="closest")
    figure.update_xaxes(title=labels["x"], rangemode="tozero", fixedrange=True)
    figure.update_yaxes(title=labels["y"], rangemode="tozero", gridcolor=GRID, fixedrange=True)
    return figure
