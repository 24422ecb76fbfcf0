"""Curves for display: thinned without losing a spike, smoothed before, read on, and quick at 100,000 points."""

import math
import statistics
import time
from pathlib import Path

import numpy as np
import pytest

from core.training import curves
from tests.helpers import runs as stored

RUN = "20260101-000000-a-0001"


@pytest.fixture
def folder() -> Path:
    return stored.make(RUN)


def points(first: int, last: int) -> list[dict[str, float]]:
    return [
        {"step": step, "time": 1.0, "loss": 3 / (1 + step / 500) + math.sin(step) / 9} for step in range(first, last)
    ]


def test_a_short_curve_is_shown_whole(folder: Path) -> None:
    stored.log(folder, [*points(1, 50), {"step": 49, "eval_loss": 1.25}])
    loss = curves.curve(RUN, "loss")
    assert loss.steps == list(range(1, 50))
    assert loss.values == [point["loss"] for point in points(1, 50)]
    assert loss.smoothed == loss.values
    assert curves.curve(RUN, "eval_loss").values == [1.25]
    assert curves.curve(RUN, "nothing") == curves.Curve()
    assert curves.keys(RUN) == ["loss", "eval_loss"]
    assert curves.curve("20990101-none", "loss") == curves.Curve()


def test_thinned_it_keeps_both_ends_and_every_spike(folder: Path) -> None:
    values = points(1, 20_001)
    for step, spike in ((777, 50.0), (13_579, -40.0)):
        values[step - 1]["loss"] = spike
    stored.log(folder, values)
    loss = curves.curve(RUN, "loss", points=500)
    assert 250 < len(loss.steps) <= 500
    assert loss.count == 20_000
    assert (loss.steps[0], loss.steps[-1]) == (1, 20_000)
    assert loss.steps == sorted(set(loss.steps))
    shown = dict(zip(loss.steps, loss.values, strict=True))
    assert (shown[777], shown[13_579]) == (50.0, -40.0)
    assert all(values[step - 1]["loss"] == value for step, value in shown.items())


@pytest.mark.parametrize("count", [5, 999, 1000, 1001, 1003, 4321])
def test_never_more_points_than_asked_for(count: int) -> None:
    for wanted in (4, 10, 333, 1000):
        kept = curves.thin(np.random.default_rng(0).normal(size=count), wanted)
        assert len(kept) <= max(4, wanted)
        assert (kept[0], kept[-1]) == (0, count - 1)
        assert (np.diff(kept) > 0).all()


def test_the_moving_average_is_taken_over_all_points_and_has_no_bias_at_its_start(folder: Path) -> None:
    values = points(1, 5001)
    stored.log(folder, values)
    weight, running, expected = 0.9, 0.0, []
    for number, point in enumerate(values):
        running = weight * running + (1 - weight) * point["loss"]
        expected.append(running / (1 - weight ** (number + 1)))
    loss = curves.curve(RUN, "loss", points=100, smoothing=weight)
    assert loss.smoothed == pytest.approx([expected[step - 1] for step in loss.steps])
    assert loss.smoothed[0] == pytest.approx(loss.values[0])


def test_it_is_read_on_and_begins_anew_when_a_resumed_run_rewrites_it(folder: Path) -> None:
    path = folder / "metrics.jsonl"
    stored.log(folder, points(1, 11))
    assert curves.curve(RUN, "loss", smoothing=0.5).count == 10
    with path.open("a") as file:
        file.write('{"step": 11, "lo')  # half a line
    assert curves.curve(RUN, "loss").count == 10
    with path.open("a") as file:
        file.write('ss": 0.5}\n')
    assert curves.curve(RUN, "loss", smoothing=0.5).values[-1] == 0.5
    kept = path.read_text("utf-8").splitlines(keepends=True)[:4]
    path.with_name("aside").write_text("".join(kept), "utf-8")
    path.with_name("aside").replace(path)
    stored.log(folder, points(5, 30))
    loss = curves.curve(RUN, "loss", smoothing=0.5)
    assert loss.steps == list(range(1, 30))
    assert loss.values == [point["loss"] for point in points(1, 30)]


def test_several_runs_over_one_another() -> None:
    for name, last in (("a", 10), ("b", 20)):
        stored.log(stored.make(name), points(1, last))
    found = curves.overlay(["a", "b"], "loss")
    assert {name: curve.count for name, curve in found.items()} == {"a": 9, "b": 19}


def test_a_hundred_thousand_points_refresh_in_a_blink(folder: Path) -> None:
    """The claim is 30 ms; a busy machine is forgiven twice that in the median of several refreshes."""
    stored.log(folder, points(1, 100_001))
    curves.curve(RUN, "loss", smoothing=0.9)
    seconds = []
    for step in range(100_001, 100_006):
        stored.log(folder, points(step, step + 1))
        began = time.perf_counter()
        assert curves.curve(RUN, "loss", smoothing=0.9).count == step
        seconds.append(time.perf_counter() - began)
    assert statistics.median(seconds) < 0.06


def test_speed_is_tokens_by_seconds_between_the_steps_drawn(folder: Path) -> None:
    totals = [(1, 100, 1.0), (2, 300, 2.0), (3, 350, 2.5), (4, 350, 2.5), (5, 650, 4.5)]
    stored.log(folder, [{"step": s, "loss": 1.0, "tokens": n, "seconds": t} for s, n, t in totals])
    speed = curves.speed(RUN)
    assert (speed.steps, speed.values) == ([2, 3, 5], [200.0, 100.0, 150.0])
    assert curves.speed("20990101-none") == curves.Curve()


def test_speed_over_a_thinned_curve_is_the_same_total(folder: Path) -> None:
    stored.log(folder, [{"step": s, "tokens": s * s, "seconds": s / 10} for s in range(1, 5001)])
    speed = curves.speed(RUN, 100)
    assert len(speed.steps) <= 100
    edges = [1, *speed.steps]
    spent = [value * (b - a) / 10 for value, a, b in zip(speed.values, edges, edges[1:], strict=False)]
    assert sum(spent) == pytest.approx(5000**2 - 1)
