"""Answers drawn more than once: the seeds of an experiment, a row's mean over them, and how far they agree."""

import statistics
from collections.abc import Mapping, Sequence
from typing import Any

from core.evaluation import scoring
from core.evaluation.metrics import Metric
from core.evaluation.metrics.registry import Parts
from core.evaluation.statistics import table
from core.generation.engine import Options


def seeds(experiment: Mapping[str, Any]) -> list[int]:
    """The seeds with which every row is asked: one where answers are greedy, which repeat exactly."""
    first, count = experiment.get("seed", 0), experiment.get("repeats", 1) if experiment.get("temperature") else 1
    return [first + number for number in range(count)]


def together(lines: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """One answer out of a row's answers by seed: the first one's words, mean figures, and all of them: "repeats"."""
    if len(lines) == 1:
        return lines[0]
    parts = mean([line["parts"] for line in lines])
    seconds = statistics.fmean(line["seconds"] for line in lines)
    return {**lines[0], "seconds": seconds, "parts": parts, "scores": scoring.figures(parts), "repeats": list(lines)}


def each(answer: Mapping[str, Any]) -> Sequence[Mapping[str, Any]]:
    """A row's answers by seed."""
    return answer.get("repeats") or [answer]


def mean(found: Sequence[Mapping[str, Parts]]) -> dict[str, Parts]:
    """What a row adds to each metric's sums: the mean over those of its answers that have a value."""
    names = dict.fromkeys(name for one in found for name in one)
    there = {name: [one[name] for one in found if name in one] for name in names}
    return {name: tuple(statistics.fmean(of) for of in zip(*parts, strict=True)) for name, parts in there.items()}


def results(
    experiment: Mapping[str, Any],
    rows: Sequence[Mapping[str, Any]],
    measured: Mapping[str, Sequence[Sequence[Mapping[str, Parts]]]],
    known: Mapping[str, Metric],
) -> dict[str, Any] | None:
    """How much of an arm's figures is the luck of the draw; None where answers are greedy, or no row is complete.

    Args:
        rows: the complete ones.
        measured: arm → per row and seed, what the answer adds to each metric's sums.

    Returns:
        {"temperature", "top_p", "seeds", "arms": {arm: {"same": share of the rows whose answer is the same with every
        seed, "metrics": {metric: {"means": figure of each seed, "sd": their standard deviation}}}}}; a metric that some
        seed has no value of is left out.
    """
    chosen = seeds(experiment)
    if len(chosen) < 2 or not rows:
        return None
    arms = {}
    for arm, of in measured.items():
        texts = [{answer["text"] for answer in each(row["answers"][arm])} for row in rows]
        figures: dict[str, Any] = {}
        for name, metric in known.items():
            by_seed = [[row[place][name] for row in of if name in row[place]] for place in range(len(chosen))]
            if all(by_seed):
                means = [float(metric.aggregate(table(values).sum(0), len(values))) for values in by_seed]
                figures[name] = {"means": means, "sd": statistics.stdev(means)}
        arms[arm] = {"same": sum(len(one) == 1 for one in texts) / len(rows), "metrics": figures}
    how = {part: experiment[part] for part in ("temperature", "top_p") if part in experiment}
    return {**how, "seeds": chosen, "arms": arms}


def drawn(found: Mapping[str, Any]) -> dict[str, Any]:
    """How answers were drawn, for a sentence about :func:`results`: "temperature", "top_p" and "seeds"."""
    top_p = found.get("top_p", Options.top_p)  # the first versions had no other
    return {"temperature": found["temperature"], "top_p": top_p, "seeds": ", ".join(map(str, found["seeds"]))}
