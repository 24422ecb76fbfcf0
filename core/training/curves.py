"""The curves of runs for display: read on from where the last look ended, smoothed, then thinned."""

import threading
from array import array
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import files
from core.settings import settings

KEPT = 64
"""Files whose points stay in memory."""


@dataclass(frozen=True)
class Curve:
    """One quantity of a run over its steps.

    Attributes:
        steps, values: the points shown, at most as many as asked for.
        smoothed: the exponential moving average at the same steps, taken over all points before thinning.
        count: points there are in all.
    """

    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    smoothed: list[float] = field(default_factory=list)
    count: int = 0


def curve(run_id: str, key: str, points: int = 1000, smoothing: float = 0.0) -> Curve:
    """One quantity of a run: "loss", "eval_loss", "learning_rate", "grad_norm", … by step.

    Args:
        points: at most so many come back; of each stretch the smallest and the largest are kept, and the very last.
        smoothing: weight of the past in the moving average, 0 (none) to below 1.
    """
    return _reader(_path(run_id)).curve(key, points, smoothing)


def overlay(run_ids: Sequence[str], key: str, points: int = 1000, smoothing: float = 0.0) -> dict[str, Curve]:
    """The same quantity of several runs, by their ids."""
    return {run_id: curve(run_id, key, points, smoothing) for run_id in run_ids}


def speed(run_id: str, points: int = 200) -> Curve:
    """Tokens per second between one of at most ``points`` steps and the next, from the two running totals."""
    import numpy as np

    tokens, spent = curve(run_id, "tokens", points), curve(run_id, "seconds", points)
    if len(tokens.steps) < 2 or not spent.steps:
        return Curve()
    seconds = np.diff(np.interp(tokens.steps, spent.steps, spent.values))
    passed = seconds > 0
    values = (np.diff(tokens.values)[passed] / seconds[passed]).tolist()
    steps = np.asarray(tokens.steps[1:])[passed].tolist()
    return Curve(steps, values, values, tokens.count)


def keys(run_id: str) -> list[str]:
    """The quantities a run has points of."""
    return _reader(_path(run_id)).keys()


def _path(run_id: str) -> Path:
    return settings().runs_dir / run_id / "metrics.jsonl"


def thin(values: Sequence[float], points: int) -> Any:
    """Which of the values to draw: numbers of at most ``points`` of them, ascending, the first and the last included.

    Each bucket of neighbours gives its smallest and its largest, so that no spike is lost (a mean would hide it).
    """
    import numpy as np

    count = len(values)
    if count <= max(4, points):
        return np.arange(count)
    inner = np.nan_to_num(np.asarray(values[1:-1]), nan=0.0)
    buckets = max(1, (points - 2) // 2)
    size = -(-len(inner) // buckets)
    full = len(inner) // size * size
    table = inner[:full].reshape(-1, size)
    starts = np.arange(len(table)) * size
    kept = [starts + table.argmin(axis=1), starts + table.argmax(axis=1)]
    if full < len(inner):
        kept.append(np.array([full + inner[full:].argmin(), full + inner[full:].argmax()]))
    return np.concatenate([[0], np.unique(np.concatenate(kept)) + 1, [count - 1]])


class _Column:
    """The points of one quantity, with the moving averages asked for so far."""

    def __init__(self) -> None:
        self.steps, self.values = array("q"), array("d")
        self._averages: dict[float, tuple[array[float], float]] = {}

    def average(self, weight: float) -> "array[float]":
        """Exponential moving average without the bias of its start, continued by the points that are new."""
        done, running = self._averages.get(weight, (array("d"), 0.0))
        for number in range(len(done), len(self.values)):
            running = weight * running + (1 - weight) * self.values[number]
            done.append(running / (1 - weight ** (number + 1)))
        self._averages[weight] = (done, running)
        return done


class _Reader:
    """The points of one file, read on at each look."""

    def __init__(self, path: Path) -> None:
        self._points = files.Growing(path)
        self._lock = threading.Lock()
        self._columns: dict[str, _Column] = {}

    def curve(self, key: str, points: int, smoothing: float) -> Curve:
        with self._lock:
            self._catch_up()
            column = self._columns.get(key)
            if column is None:
                return Curve()
            kept = [int(number) for number in thin(column.values, points)]
            average = column.average(smoothing) if smoothing else column.values
            steps = [column.steps[number] for number in kept]
            values, smoothed = ([series[number] for number in kept] for series in (column.values, average))
            return Curve(steps, values, smoothed, len(column.values))

    def keys(self) -> list[str]:
        with self._lock:
            self._catch_up()
            return [key for key in self._columns if key not in ("step", "time")]

    def _catch_up(self) -> None:
        void, new = self._points.look()
        if void:
            self._columns = {}
        for point in new:
            self._add(point)

    def _add(self, point: dict[str, Any]) -> None:
        step = point.get("step", 0)
        for key, value in point.items():
            if type(value) in (int, float):
                if key not in self._columns:
                    self._columns[key] = _Column()
                self._columns[key].steps.append(step)
                self._columns[key].values.append(value)


_readers: OrderedDict[Path, _Reader] = OrderedDict()
_readers_lock = threading.Lock()


def _reader(path: Path) -> _Reader:
    with _readers_lock:
        if path not in _readers:
            _readers[path] = _Reader(path)
        _readers.move_to_end(path)
        while len(_readers) > KEPT:
            _readers.popitem(last=False)
        return _readers[path]
