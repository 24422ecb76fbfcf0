"""What fine-tuning has cost: a fixed set of general questions asked of each compared adapter and of its base model.

They have nothing to do with the experiment's own rows: no knowledge base, no examples, greedy answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from core import files
from core.errors import UserError
from core.evaluation import grid, scoring
from core.evaluation.grid import Arm
from core.evaluation.metrics import expected
from core.generation import strategies, templates
from core.generation.templates import ZERO_SHOT
from core.settings import settings

METRICS = ("perplexity", "rougeL")
"""How likely the right answers are, and how like them the given ones."""


def freeze(arms: Sequence[Arm]) -> list[dict[str, Any]]:
    """The questions as rows of an experiment.

    Raises:
        UserError: none of the arms has an adapter.
    """
    if not any(arm["adapter"] for arm in arms):
        raise UserError(
            "Nothing was fine-tuned here, so nothing can be forgotten.", "Compare an adapter, or leave the check out."
        )
    found = []
    for row in files.read_jsonl(settings().datasets_dir / "general" / "items.jsonl"):
        asked = strategies.prompt(templates.builtin()[ZERO_SHOT], row["input"])
        about = {"input": row["input"], "reference": row["output"], "expected": asdict(expected(row))}
        found.append({**about, "prompts": {ZERO_SHOT: asked}})
    return found


def inputs(experiment: Mapping[str, Any]) -> dict[str, Any]:
    """The check as an experiment of its own: the base model and each adapter, without anything else."""
    adapters = {arm["adapter"]: arm for arm in experiment["arms"] if arm["adapter"]}
    base = {"adapter": "", "path": "", "rag": False, "strategy": ZERO_SHOT}
    return {
        **experiment,
        "rows": experiment["general"],
        "arms": [base, *({**arm, "rag": False, "strategy": ZERO_SHOT} for arm in adapters.values())],
        "strategies": {ZERO_SHOT: asdict(templates.builtin()[ZERO_SHOT])},
        "embedder": "",
        "temperature": 0.0,
    }


def results(experiment: Mapping[str, Any]) -> dict[str, Any] | None:
    """What each adapter has forgotten; None: nothing was asked, or not everything is answered.

    Args:
        experiment: of :func:`core.evaluation.experiments.show`, with the answered questions as "general".

    Returns:
        {"rows", "scores": {arm: {metric: {"mean", "low", "high", "n"}}}, "contrasts": an adapter (b) against its base
        model (a) by metric, as in :func:`core.evaluation.results.results`, "same": {adapter: share of the questions
        that it answers word by word like the base model}, "answers": [{"input", "reference", "answers": {arm: {"text",
        "perplexity"}}}]}.
    """
    if not experiment.get("general"):
        return None
    names = [grid.name(arm) for arm in inputs(experiment)["arms"]]
    rows, seed = experiment["general"], experiment.get("seed", 0)
    if not all(set(names) <= row["answers"].keys() for row in rows):
        return None
    known = scoring.metrics()
    values = {
        metric: {name: [_parts(row["answers"][name], metric) for row in rows] for name in names} for metric in METRICS
    }
    pairs = [(names[0], name) for name in names[1:]]
    return {
        "rows": len(rows),
        "scores": {
            name: {metric: known[metric].summary(of[name], seed) for metric, of in values.items()} for name in names
        },
        "contrasts": [one for metric, of in values.items() for one in known[metric].contrasts(dict(of), pairs, seed)],
        "same": {name: _same(rows, names[0], name) for name in names[1:]},
        "answers": [
            {"input": row["input"], "reference": row["reference"], "answers": _told(row, names)} for row in rows
        ],
    }


def named(found: Mapping[str, Any]) -> dict[str, Any]:
    """Results of the check with what people call the adapters in place of their ids."""
    called = grid.adapters([{"adapter": name} for name in found["same"]])

    def renamed(parts: Mapping[str, Any]) -> dict[str, Any]:
        return {called.get(name, name): of for name, of in parts.items()}

    return {
        **found,
        "scores": renamed(found["scores"]),
        "contrasts": [{**one, "b": called[one["b"]]} for one in found["contrasts"]],
        "same": renamed(found["same"]),
        "answers": [{**row, "answers": renamed(row["answers"])} for row in found["answers"]],
    }


def _parts(answer: Mapping[str, Any], metric: str) -> tuple[float, ...] | None:
    return tuple(answer["parts"][metric]) if metric in answer["parts"] else None


def _same(rows: Sequence[Mapping[str, Any]], a: str, b: str) -> float:
    return sum(row["answers"][a]["text"] == row["answers"][b]["text"] for row in rows) / len(rows)


def _told(row: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    answers = {name: row["answers"][name] for name in names}
    return {name: {"text": one["text"], "perplexity": one["scores"].get("perplexity")} for name, one in answers.items()}
