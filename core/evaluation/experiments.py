"""The experiment store: rows × arms, frozen at the start, one folder each."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.evaluation.metrics import ROUGE
from core.evaluation.statistics import contrast, interval
from core.generation.ask import Arm
from core.models import cards, store
from core.rag import retrieval
from core.settings import settings
from core.training import runs
from core.training.data import datasets

WORKER = "core.evaluation.worker"
Experiment = dict[str, Any]


def arm_name(arm: dict[str, Any]) -> str:
    """How an arm is called in tables and JSON: "base", a run's id, each with "+kb" when it reads the knowledge base."""
    return (arm["adapter"] or "base") + ("+kb" if arm["rag"] else "")


def start(
    dataset: str,
    models: Sequence[str] = ("base",),
    kb: str = "",
    rag: Sequence[bool] = (False,),
    limit: int = 0,
    top_k: int = 0,
    model: str = "",
    progress: Callable[[int, int], None] | None = None,
) -> str:
    """Freeze rows, arms and retrieved passages, and start the worker; returns the experiment's id.

    Args:
        dataset: data set name or file; its test rows are asked.
        models: "base" and ids of runs or the app's own adapters, all of one base model.
        kb: knowledge base for the arms that use one.
        rag: which of without / with knowledge base to ask.
        limit: at most so many rows, from the start of the test split; 0: all.
        model: base model; empty: that of the runs, else the one that answers by default.

    Raises:
        UserError: unknown data set, run or knowledge base; runs of different base models; no arm.
    """
    bases = {runs.base(name) for name in models if name != "base"} | ({model} if model else set())
    if len(bases) > 1:
        raise UserError("These runs adapt different base models: {names}.", "Compare one at a time.", names=bases)
    card = cards.card(bases.pop() if bases else store.default_generator().name)
    if any(rag) and not kb:
        raise UserError("No knowledge base was named.", "Choose one, or compare without.")
    arms = [
        {
            "adapter": "" if name == "base" else name,
            "path": "" if name == "base" else str(runs.adapter(name)),
            "rag": use,
        }
        for name in dict.fromkeys(models)
        for use in dict.fromkeys(rag)
    ]
    if not arms:
        raise UserError("There is nothing to compare.", "Choose at least one model.")
    asked = datasets.load(dataset).questions()[: limit or None]
    rows: list[dict[str, Any]] = [{"input": row["input"], "reference": row["output"]} for row in asked]
    if any(rag):
        count = top_k or card.passages
        for done, row in enumerate(rows):
            row["passages"] = [p.as_dict() for p in retrieval.search(kb, row["input"], count)]
            if progress:
                progress(done + 1, len(rows))
    experiment_id = files.new_id(Path(dataset).stem)
    folder = settings().experiments_dir / experiment_id
    inputs = {"dataset": dataset, "model": card.name, "kb": kb, "arms": arms, "rows": rows}
    files.write_json(folder / "inputs.json", inputs)
    queue.submit(WORKER, folder, done=0, total=len(rows) * len(arms))
    return experiment_id


def folder(experiment_id: str) -> Path:
    """The experiment's folder.

    Raises:
        UserError: no such experiment.
    """
    return files.inside(settings().experiments_dir, experiment_id)


def listing() -> list[Experiment]:
    """All experiments, the newest first, without their rows."""
    found = sorted(settings().experiments_dir.glob("*/inputs.json"), reverse=True)
    return [summary(path.parent.name) for path in found]


def summary(experiment_id: str) -> Experiment:
    """{"id", "dataset", "model", "kb", "arms", "count", **the job's state}."""
    where = folder(experiment_id)
    inputs = files.read_json(where / "inputs.json")
    count = len(inputs.pop("rows"))
    return {"id": experiment_id, **inputs, "count": count, **jobs.state(where)}


def show(experiment_id: str) -> Experiment:
    """The summary with ``answers``: one row per input with its reference and, per arm, text, scores and seconds."""
    where = folder(experiment_id)
    inputs = files.read_json(where / "inputs.json")
    answers: dict[int, dict[str, Any]] = {}
    for line in files.read_jsonl(where / "answers.jsonl"):
        answers.setdefault(line["row"], {})[line["arm"]] = line
    rows = [{**row, "answers": answers.get(number, {})} for number, row in enumerate(inputs["rows"])]
    return {**summary(experiment_id), "answers": rows}


def stop(experiment_id: str) -> None:
    """Ask the worker to end after its batch; the rows done so far stay."""
    jobs.stop(folder(experiment_id))


def resume(experiment_id: str) -> None:
    """Go on with a comparison that ended early, at the end of the queue: only what is missing is asked.

    Raises:
        UserError: it is running, or finished.
    """
    try:
        queue.resubmit(WORKER, folder(experiment_id))
    except jobs.IllegalTransition:
        raise UserError("This comparison has not ended early.", "Only one that did can go on.") from None


def delete(experiment_id: str) -> None:
    """Remove an experiment from disk.

    Raises:
        UserError: while it is running.
    """
    where = folder(experiment_id)
    if jobs.state(where)["status"] in jobs.LIVE:
        raise UserError("This comparison is still running.", "Stop it first.")
    shutil.rmtree(where)


def results(experiment: Experiment) -> dict[str, Any]:
    """Scores per arm and the contrasts of every other arm against the first, over the rows all arms have answered.

    Returns:
        {"experiment", "rows": n, "arms": [{"name", "model", "adapter", "rag", "strategy", "scores": {metric:
        {"mean", "low", "high", "n"}}, "seconds": mean seconds per answer}], "contrasts": [{"a", "b", "metric",
        "delta", "low", "high", "p", "n"}]}.
    """
    names = [arm_name(arm) for arm in experiment["arms"]]
    complete = [row["answers"] for row in experiment["answers"] if all(name in row["answers"] for name in names)]
    arms, contrasts = [], []
    for arm, name in zip(experiment["arms"], names, strict=True):
        values = {metric: [answers[name]["scores"][metric] for answers in complete] for metric in ROUGE}
        seconds = [answers[name]["seconds"] for answers in complete]
        arms.append(
            {
                "name": name,
                "model": experiment["model"],
                "adapter": arm["adapter"] or None,
                "rag": arm["rag"],
                "strategy": "zero-shot",
                "scores": {metric: interval(values[metric]) for metric in ROUGE} if complete else {},
                "seconds": sum(seconds) / len(seconds) if seconds else None,
            }
        )
        if complete and name != names[0]:
            for metric in ROUGE:
                base = [answers[names[0]]["scores"][metric] for answers in complete]
                contrasts.append({"a": names[0], "b": name, "metric": metric, **contrast(base, values[metric])})
    return {"experiment": experiment["id"], "rows": len(complete), "arms": arms, "contrasts": contrasts}


def as_arm(arm: dict[str, Any]) -> Arm:
    """An arm of the frozen inputs as the engine's callers know it."""
    return Arm(arm["rag"], arm["adapter"], Path(arm["path"]) if arm["path"] else None)
