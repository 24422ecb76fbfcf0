"""The rows of an experiment, one by one: what changed from one arm to another, found, filtered and in order.

What counts as helped, hurt or unchanged is the metric's own (:attr:`Metric.better`, :attr:`Metric.tie`), so that the
counts are those of the contrast.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.evaluation import grid, scoring, stability
from core.evaluation.metrics import Metric
from core.generation.templates import ZERO_SHOT

if TYPE_CHECKING:
    import pandas as pd

HELPED, HURT, UNCHANGED, UNKNOWN = "helped", "hurt", "unchanged", ""
EFFECTS = (HELPED, HURT, UNCHANGED)
OFF = {"adapter": "", "rag": False, "strategy": ZERO_SHOT}
"""Each factor of the grid, switched off."""
MOST = 12
"""Cases of a gallery that are shown."""
COLUMNS = ("row", "input", "reference", "effect", "delta")
"""Of :func:`table`, before the arms' scores; no arm is called so."""


@dataclass(frozen=True)
class Case:
    """A row on which arm b did better or worse than arm a.

    Attributes:
        row: its place among the experiment's answers, from 0.
        a, b: names of the arms.
        gain: b's score minus a's where higher is better, else a's minus b's.
    """

    row: int
    a: str
    b: str
    gain: float


def score(row: Mapping[str, Any], arm: str, metric: str) -> float | None:
    """An arm's figure on a row; None: not answered, or not measured by this metric."""
    found = row["answers"].get(arm, {}).get("scores", {}).get(metric)
    return None if found is None else float(found)


def gain(metric: Metric, a: float, b: float) -> float:
    """By how much b is better than a."""
    return a - b if metric.better == "lower" else b - a


def effect(metric: Metric, a: float | None, b: float | None) -> str:
    """What going from score a to score b did to the row; UNKNOWN where one of them is missing."""
    if a is None or b is None:
        return UNKNOWN
    moved = gain(metric, a, b)
    return HELPED if moved > metric.tie else HURT if moved < -metric.tie else UNCHANGED


def table(experiment: Mapping[str, Any], metric: str, a: str, b: str) -> "pd.DataFrame":
    """The rows that both arms have answered, those that gained most first, those without a score last.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`.
        metric: its name.
        a, b: names of the arms held against each other.

    Returns:
        Columns :data:`COLUMNS` ("row" counted from 1, "delta": b's score minus a's, NaN where one is missing) and each
        arm's score under its name.
    """
    import pandas as pd

    about, names = scoring.metrics()[metric], [grid.name(arm) for arm in experiment["arms"]]
    found = []
    for number, row in enumerate(experiment["answers"], 1):
        if a not in row["answers"] or b not in row["answers"]:
            continue
        scores = {name: score(row, name, metric) for name in names}
        first, second = scores[a], scores[b]
        moved = None if first is None or second is None else second - first
        told = (number, row["input"], row["reference"], effect(about, first, second), moved)
        found.append((*told, *scores.values()))
    made = pd.DataFrame(found, columns=[*COLUMNS, *names])
    made = made.astype(dict.fromkeys(["delta", *names], float))
    # A stable sort: rows that gained the same stay in their order.
    return made.sort_values("delta", ascending=about.better == "lower", kind="stable", ignore_index=True)


def select(found: "pd.DataFrame", experiment: Mapping[str, Any], wanted: str = "", words: str = "") -> "pd.DataFrame":
    """The rows of a :func:`table` with one effect, that contain all the words.

    Args:
        wanted: one of :data:`EFFECTS`, or empty: all. Rows that were hurt come with the greatest loss first.
        words: parted by blanks, looked for in question, reference and answers; case does not matter.
    """
    if wanted:
        found = found[found["effect"] == wanted]
        found = found[::-1] if wanted == HURT else found
    if terms := words.casefold().split():
        answers = experiment["answers"]
        there = [_contains(answers[number - 1], terms) for number in found["row"]]
        found = found[there]
    return found.reset_index(drop=True)


def counts(found: "pd.DataFrame") -> dict[str, int]:
    """How many rows of a :func:`table` had each effect."""
    seen = found["effect"].value_counts()
    return {name: int(seen.get(name, 0)) for name in EFFECTS}


def points(experiment: Mapping[str, Any], metric: str, a: str, b: str) -> list[dict[str, Any]]:
    """The rows that both arms have a score of: {"row": from 1, "a", "b": scores, "effect", "text": what was asked}."""
    about, found = scoring.metrics()[metric], []
    for number, row in enumerate(experiment["answers"], 1):
        first, second = score(row, a, metric), score(row, b, metric)
        if first is not None and second is not None:
            told = {"a": first, "b": second, "effect": effect(about, first, second)}
            found.append({"row": number, **told, "text": row["input"]})
    return found


def span(found: Sequence[Mapping[str, Any]], metric: str) -> tuple[float, float]:
    """From where to where the scores of some :func:`points` can lie."""
    if scoring.metrics()[metric].unit == "share":
        return 0.0, 1.0
    return 0.0, max(max(point["a"], point["b"]) for point in found) or 1.0


def switched_on(arms: Sequence[Mapping[str, Any]], factor: str) -> list[tuple[str, str]]:
    """(a, b) by name: the arms of which b is a with this one factor switched on.

    Args:
        arms: of the experiment or its results.
        factor: one of :data:`core.evaluation.grid.FACTORS`.
    """
    close = [(dict(a), dict(b)) for a in arms for b in arms]
    return [(grid.name(a), grid.name(b)) for a, b in close if _off(a, factor) and grid.differ(a, b) == [factor]]


def gallery(experiment: Mapping[str, Any], metric: str, factor: str, wanted: str = HURT) -> list[Case]:
    """The rows that a factor switched on alone hurt (or helped), the strongest effect first."""
    about, found = scoring.metrics()[metric], []
    pairs = switched_on(experiment["arms"], factor)
    for number, row in enumerate(experiment["answers"]):
        for a, b in pairs:
            first, second = score(row, a, metric), score(row, b, metric)
            if first is not None and second is not None and effect(about, first, second) == wanted:
                found.append(Case(number, a, b, gain(about, first, second)))
    return sorted(found, key=lambda case: -abs(case.gain))


def _off(arm: Mapping[str, Any], factor: str) -> bool:
    """Whether the factor is switched off; results say None for no adapter."""
    return (arm.get(factor) or OFF[factor]) == OFF[factor]


def _contains(row: Mapping[str, Any], terms: Sequence[str]) -> bool:
    said = (one["text"] for answer in row["answers"].values() for one in stability.each(answer))
    text = "\n".join((row["input"], row["reference"], *said)).casefold()
    return all(term in text for term in terms)
