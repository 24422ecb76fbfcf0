"""The experiment store: rows × arms, frozen at the start, one folder each."""

import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, fields
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.evaluation import forgetting, freezing, grid, stability
from core.evaluation.freezing import Plan
from core.evaluation.metrics import expected
from core.settings import settings

WORKER = "core.evaluation.worker"
Experiment = dict[str, Any]


def start(plan: Plan, progress: Callable[[int, int], None] | None = None) -> str:
    """Freeze rows, arms, prompts and retrieved passages, and start the worker; returns the experiment's id.

    Raises:
        UserError: see :func:`core.evaluation.freezing.freeze`.
    """
    inputs = freezing.freeze(plan, progress)
    experiment_id = files.new_id(Path(plan.dataset).stem)
    folder = settings().experiments_dir / experiment_id
    files.write_json(folder / "inputs.json", inputs)
    parts = [inputs, *([forgetting.inputs(inputs)] if inputs["general"] else [])]
    total = sum(len(part["rows"]) * len(part["arms"]) * len(stability.seeds(part)) for part in parts)
    queue.submit(WORKER, folder, done=0, total=total)
    return experiment_id


def plan(experiment: Mapping[str, Any]) -> Plan:
    """What a kept experiment was asked for, to ask it again with a change; arguments as of :func:`summary`."""
    arms = experiment["arms"]
    kept = {field.name: experiment[field.name] for field in fields(Plan) if field.name in experiment}
    kept["models"] = list(dict.fromkeys(arm["adapter"] or "base" for arm in arms))
    kept["rag"] = list(dict.fromkeys(arm["rag"] for arm in arms))
    kept["strategies"] = list(dict.fromkeys(grid.strategy(arm) for arm in arms))
    return Plan(**kept)


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
    inputs = where / "inputs.json"
    return {"id": experiment_id, **_about(inputs, inputs.stat().st_mtime_ns), **jobs.state(where)}


@lru_cache(maxsize=256)
def _about(path: Path, changed: int) -> dict[str, Any]:
    """The inputs with the "count" of their rows instead of these, which are megabytes: they never change."""
    inputs = files.read_json(path)
    return {**{part: value for part, value in inputs.items() if part != "rows"}, "count": len(inputs["rows"])}


def show(experiment_id: str) -> Experiment:
    """The summary with ``answers``: one row per input with its reference and, per arm, text, scores and seconds.

    Of an arm that answers with several seeds, see :func:`core.evaluation.stability.together`, once all are there. The
    questions of the forgetting check are "general", where it was asked for.
    """
    where = folder(experiment_id)
    inputs = files.read_json(where / "inputs.json")
    answers = _answered(inputs["rows"], where / "answers.jsonl", len(stability.seeds(inputs)))
    general = _answered(inputs.get("general", ()), where / "general.jsonl", 1)
    return {**summary(experiment_id), "answers": answers, "general": general}


def _answered(rows: Sequence[dict[str, Any]], path: Path, seeds: int) -> list[dict[str, Any]]:
    """Rows with what a file has of each arm, where all seeds are there."""
    lines: defaultdict[tuple[int, str], list[dict[str, Any]]] = defaultdict(list)
    for line in files.read_jsonl(path):
        lines[line["row"], line["arm"]].append(line)
    answers: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for (row, arm), found in lines.items():
        if len(found) == seeds:
            answers[row][arm] = stability.together(sorted(found, key=lambda line: line.get("seed", 0)))
    return [{**_measurable(row), "answers": answers[number]} for number, row in enumerate(rows)]


def _measurable(row: dict[str, Any]) -> dict[str, Any]:
    """A row with what it expects, also one frozen by the first versions, which kept the one reference alone."""
    return row if "expected" in row else {**row, "expected": asdict(expected({"output": row["reference"]}))}


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
