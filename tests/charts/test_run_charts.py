"""The charts of runs: what plotly is given, and that runs are told apart in both themes."""

import itertools
from typing import Any

import plotly.graph_objects as go
import pytest

from core.charts import run_charts
from core.charts.run_charts import Line
from core.ui import theme

LABELS = {"title": "Loss", "subtitle": "n = 2", "step": "step", "value": "nats"}


def test_plotly_takes_the_figure_and_its_points() -> None:
    lines = [Line("", [1, 2], [4.0, 2.0], "#111111", faint=True), Line("a", [1, 2], [3.0, 2.5], "#222222")]
    figure = go.Figure(run_charts.curves(lines, LABELS, 300, steps=10))
    assert [list(trace.y) for trace in figure.data] == [[4.0, 2.0], [3.0, 2.5]]
    assert (figure.layout.height, tuple(figure.layout.xaxis.range)) == (300, (0, 10))
    assert not figure.layout.showlegend  # one name needs none
    assert go.Figure(run_charts.curves([], LABELS, 300)).layout.title.text == "Loss"


def test_before_the_first_point_no_number_is_invented_and_a_lone_point_is_seen() -> None:
    empty = go.Figure(run_charts.curves([Line("a", [], [], "#111111")], LABELS, 300)).layout
    assert not empty.yaxis.showticklabels and not empty.xaxis.showticklabels and empty.xaxis.range[0] == 0
    assert go.Figure(run_charts.curves([Line("a", [1], [2.0], "#111111")], LABELS, 300)).data[0].mode == "lines+markers"


def test_names_stand_at_the_ends_of_their_lines_and_never_on_one_another() -> None:
    lines = [Line(f"run {n}", [1, 9], [3.0, 1.0 + n // 2 / 1000], "#111111") for n in range(6)]
    figure = run_charts.curves(lines, LABELS, 420, direct=True)
    low, high = figure["layout"]["yaxis"]["range"]
    pixels = 420 - run_charts.TOP - run_charts.BOTTOM
    places = [pixels * (note["y"] - low) / (high - low) + note["yshift"] for note in figure["layout"]["annotations"]]
    assert [note["text"].split()[-1] for note in figure["layout"]["annotations"]] == list("012345")
    assert all(b - a >= run_charts.LINE_HEIGHT - 1e-6 for a, b in itertools.pairwise(places))
    assert max(places) <= pixels + 1e-6


def test_a_loss_that_is_no_number_does_not_break_the_axis() -> None:
    figure = run_charts.curves([Line("a", [1, 2], [3.0, float("nan")], "#111111")], LABELS, 300, direct=True)
    low, high = figure["layout"]["yaxis"]["range"]
    assert low < high


def luminance(color: str) -> float:
    parts = [int(color[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
    return sum(weight * part for weight, part in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def contrast(a: str, b: str) -> float:
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize(("number", "ground"), [(0, "#FBFBFD"), (1, "#0E1117")])
def test_runs_are_legible_and_no_two_look_alike(number: int, ground: str) -> None:
    colors = [pair[number] for pair in theme.RUNS]
    assert all(contrast(color, ground) >= 4.5 for color in colors)  # their names are written in them
    assert not set(colors) & {pair[number] for pair in theme.ARMS.values()}
    looks: list[Any] = [run_charts.look(run, colors) for run in range(16)]
    assert len(set(looks)) == 16
    assert all(a[0] != b[0] and a[1] != b[1] for a, b in itertools.pairwise(looks))
