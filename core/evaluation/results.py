"""What an experiment found: figures with intervals, paired contrasts, interactions, and how far they can be trusted."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from core import files, jobs
from core.evaluation import forgetting, grid, scoring, stability, statistics
from core.evaluation.lengths import TOO_LONG
from core.evaluation.metrics import Metric
from core.evaluation.metrics.cases import CLASS
from core.evaluation.metrics.classes import NONE, class_of, confusion
from core.evaluation.metrics.registry import Parts
from core.evaluation.metrics.tokens import CHARACTER

PRIMARY = ("accuracy", "field_f1", "rougeL")
"""The metric that stands for the others where one must: the first that the rows have."""
KEPT = "results.json"
Values = dict[str, list[Parts | None]]
"""Arm → what each complete row adds to a metric's sums."""


def results(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """Scores per arm, paired contrasts and interactions, over the rows all arms have answered.

    Args:
        experiment: as :func:`core.evaluation.experiments.show` gives it, or measured anew
            (:mod:`core.evaluation.measured`).

    Returns:
        {"experiment", "rows": complete ones, "metrics": names, "primary": the one that stands for them, "tokenizer"
        of ROUGE and token F1, "arms": [{"name", "model", "adapter" or None, "rag", "strategy", "scores": {metric:
        {"mean", "low", "high", "n"}}, "seconds": mean per answer}], "contrasts": [{"a", "b", "metric", "delta": b - a,
        "low", "high", "p", "p_holm": adjusted over the contrasts of its metric, "n", "helped", "hurt", "unchanged",
        "verdict"}],
        "interactions": [{"adapter", "strategy", "cells", "metric", "delta", …}], "confusion": {arm: {"labels",
        "counts"}}, "stability" and "forgetting" (``results`` of those modules), "too_long":
        {arm: numbers of the rows, from 0, whose prompt did not fit into the model and which count as wrong},
        "retrieved": rows for which passages were found (None: no knowledge base), "overlap", "overlap_unknown",
        "about": what it was made of, "command": repeats it}; scores by the metric's name.
    """
    arms = experiment["arms"]
    names = [grid.name(arm) for arm in arms]
    complete = [row for row in experiment["answers"] if all(name in row["answers"] for name in names)]
    tokenizer = experiment.get("tokenizer", CHARACTER)
    measured = {name: [_parts(row, name) for row in complete] for name in names}
    means = {name: [stability.mean(row) for row in of] for name, of in measured.items()}
    known = scoring.metrics(tokenizer)
    values = {metric: {name: [row.get(metric) for row in means[name]] for name in names} for metric in known}
    there = {metric: of for metric, of in values.items() if any(v is not None for row in of.values() for v in row)}
    seed = experiment.get("seed", 0)
    return {
        "experiment": experiment["id"],
        "rows": len(complete),
        "metrics": list(there),
        "primary": next((metric for metric in PRIMARY if metric in there), next(iter(there), "")),
        "tokenizer": tokenizer,
        "arms": [
            {
                "name": name,
                "model": experiment["model"],
                "adapter": arm["adapter"] or None,
                "rag": arm["rag"],
                "strategy": grid.strategy(arm),
                "scores": _scores(known, there, name, seed),
                "seconds": _mean([row["answers"][name]["seconds"] for row in complete]),
            }
            for arm, name in zip(arms, names, strict=True)
        ],
        "contrasts": [
            one for metric, of in there.items() for one in known[metric].contrasts(dict(of), grid.pairs(arms), seed)
        ],
        "interactions": [one for square in grid.squares(arms) for one in _interactions(square, known, there, seed)],
        "confusion": {name: found for name in names if (found := _confusion(complete, name))},
        "stability": stability.results(experiment, complete, measured, known),
        "forgetting": forgetting.results(experiment),
        "too_long": {name: numbers for name in names if (numbers := _too_long(experiment["answers"], name))},
        "retrieved": sum(bool(row.get("passages")) for row in complete) if any(arm["rag"] for arm in arms) else None,
        "overlap": experiment.get("overlap", []),
        "overlap_unknown": experiment.get("overlap_unknown", []),
        "about": {part: experiment.get(part) for part in ("dataset", "kb", "seed", "files", "versions")},
        "command": command(experiment),
    }


def kept(folder: Path, experiment: Mapping[str, Any]) -> dict[str, Any]:
    """The results as the worker reckoned them at its end (1,000 rows of 8 arms take seconds); before it, as they are.

    Args:
        folder: of the experiment.
    """
    found: dict[str, Any] = files.read_json(folder / KEPT, {}) if experiment["status"] == jobs.FINISHED else {}
    return found if is_whole(found) else results(experiment)


def is_whole(found: Mapping[str, Any]) -> bool:
    """Whether kept results say all that is said now; earlier versions reckoned less."""
    return "forgetting" in found


def named(report: Mapping[str, Any], called: Mapping[str, str]) -> dict[str, Any]:
    """Results with what people call the arms in place of their names.

    Args:
        called: by name (:func:`core.evaluation.grid.labels`).

    Returns:
        "arms", "contrasts", "interactions", "confusion", "stability", "forgetting" and "too_long" are said so;
        each arm keeps its name as "key", each contrast those of its arms as "keys".
    """
    stable = report["stability"]
    return {
        **report,
        "arms": [{**arm, "key": arm["name"], "name": called[arm["name"]]} for arm in report["arms"]],
        "contrasts": [
            {**one, "keys": (one["a"], one["b"]), "a": called[one["a"]], "b": called[one["b"]]}
            for one in report["contrasts"]
        ],
        "interactions": [{**one, "cells": [called[name] for name in one["cells"]]} for one in report["interactions"]],
        "confusion": {called[name]: found for name, found in report["confusion"].items()},
        "stability": stable and {**stable, "arms": {called[name]: found for name, found in stable["arms"].items()}},
        "forgetting": report["forgetting"] and forgetting.named(report["forgetting"]),
        "too_long": {called[name]: found for name, found in report["too_long"].items()},
    }


def command(experiment: Mapping[str, Any]) -> str:
    """The command line that asks the same again."""
    arms = experiment["arms"]
    said = {
        "dataset": experiment.get("dataset", ""),
        "models": ",".join(dict.fromkeys(arm["adapter"] or "base" for arm in arms)),
        "kb": experiment.get("kb", ""),
        "rag": ",".join(dict.fromkeys("on" if arm["rag"] else "off" for arm in arms)),
        "strategy": ",".join(dict.fromkeys(grid.strategy(arm) for arm in arms)),
        "limit": str(experiment.get("limit") or ""),
        "top-k": str(experiment.get("top_k") or ""),
        "tokenizer": experiment.get("tokenizer", "").removesuffix("acter"),  # the command line says char
        "seed": str(experiment.get("seed") or ""),
        "temperature": str(experiment.get("temperature") or ""),
        "top-p": str(experiment.get("top_p", "")) if experiment.get("temperature") else "",
        "repeats": str(experiment["repeats"]) if experiment.get("temperature") else "",
        "model": experiment.get("model", ""),
    }
    options = [f"--{name} {shlex.quote(value)}" for name, value in said.items() if value]
    options += ["--forgetting"] if experiment.get("forgetting") else []
    return " ".join(["python -m core compare", *options])


def _parts(row: Mapping[str, Any], arm: str) -> list[dict[str, Parts]]:
    """What each of an arm's answers to a row adds to each metric's sums."""
    return [scoring.parts(answer) for answer in stability.each(row["answers"][arm])]


def _too_long(rows: Sequence[Mapping[str, Any]], arm: str) -> list[int]:
    return [number for number, row in enumerate(rows) if row["answers"].get(arm, {}).get("finish") == TOO_LONG]


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _scores(known: Mapping[str, Metric], values: Mapping[str, Values], arm: str, seed: int) -> dict[str, Any]:
    found = {metric: known[metric].summary(of[arm], seed) for metric, of in values.items()}
    return {metric: score for metric, score in found.items() if score}


def _interactions(
    square: Mapping[str, Any], known: Mapping[str, Metric], values: Mapping[str, Values], seed: int
) -> list[dict[str, Any]]:
    found = []
    for metric, of in values.items():
        one = statistics.interaction([of[cell] for cell in square["cells"]], seed, known[metric].aggregate)
        if one:
            found.append({**square, "metric": metric, **one})
    return found


def _confusion(rows: Sequence[Mapping[str, Any]], arm: str) -> dict[str, Any] | None:
    """Which class was answered for which, the last column for answers that name none; None: rows have no classes."""
    classed = [row for row in rows if row.get("expected", {}).get("kind") == CLASS]
    if not classed:
        return None
    labels = classed[0]["expected"]["labels"]
    told = [
        (row["expected"]["references"][0], one["text"])
        for row in classed
        for one in stability.each(row["answers"][arm])
    ]
    wanted, chosen = [right for right, _ in told], [class_of(text, labels) for _, text in told]
    return {"labels": [*labels, NONE], "counts": confusion(wanted, chosen, labels).tolist()}
