"""Measuring a knowledge base as detached jobs: evaluations, chunk-size sweeps, and sets of questions made for them.

An evaluation is a sweep of one point, the base as it is. Each job is a folder ``evaluations/<id>/`` of the base it is
about and goes with it: ``inputs.json`` (the questions too, frozen), ``points.jsonl`` (a line as soon as a point is
done) or ``qa.jsonl`` (a line a question made), and what :mod:`core.jobs` keeps.
"""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.evaluation import questions, retrieval
from core.models import store
from core.rag import bases, knowledge

WORKER = "core.evaluation.sweep_worker"
EVALUATION, SWEEP, QUESTIONS = "evaluation", "sweep", "questions"
SIZES, TOP_K = (110, 220, 330), (1, 3, 5)
SMALLEST, LARGEST, MOST = 16, 450, 50  # tokens of a chunk that an embedder of 512 surely reads; passages
INTERRUPTED = UserError(
    "This was interrupted: its process was killed, or the machine was restarted.",
    "Go on with it: what is done already is not done again.",
)
Job = dict[str, Any]


def start(
    name: str, qa: Path, sizes: Sequence[int] = (), overlap: int = 0, top_k: Sequence[int] = TOP_K, label: str = ""
) -> str:
    """Begin to evaluate a base; returns the job's id.

    Args:
        qa: see :func:`core.evaluation.retrieval.read`.
        sizes: of chunks, in tokens, for each of which the base's own documents are indexed apart; none: the base as
            it is.
        overlap: of the chunks, in tokens.
        label: how the set of questions is called in lists; empty: the file's name.

    Raises:
        UserError: no such file or base, a row that is none, or a size or number of passages out of range.
    """
    _check_known(name)
    rows = [retrieval.as_dict(row) for row in retrieval.read(qa)]
    if any(not SMALLEST <= size <= LARGEST for size in sizes):
        raise UserError("Chunks have {low} to {high} tokens.", "Correct the sizes.", low=SMALLEST, high=LARGEST)
    if not top_k or any(not 1 <= k <= MOST for k in top_k):
        raise UserError("A model reads 1 to {high} passages.", "Correct the numbers of passages.", high=MOST)
    points = [{"size": size, "overlap": overlap} for size in sorted(set(sizes))] or [{"size": 0, "overlap": 0}]
    kind = SWEEP if sizes else EVALUATION
    about = {"qa": label or qa.name, "n": len(rows), "points": points, "top_k": sorted(set(top_k))}
    return _begin(name, kind, {**about, "rows": rows})


def start_questions(name: str, count: int = questions.COUNT, seed: int = 0, with_model: bool = True) -> str:
    """Begin to make questions from a base (:func:`core.evaluation.questions.generate`); returns the job's id.

    Raises:
        UserError: no such base.
    """
    _check_known(name)
    model = store.default_generator().name if with_model else ""
    return _begin(name, QUESTIONS, {"n": count, "seed": seed, "model": model})


def _check_known(name: str) -> None:
    if name not in knowledge.shipped():
        bases.view(name)


def _begin(name: str, kind: str, inputs: dict[str, Any]) -> str:
    job_id = files.new_id(kind)
    where = bases.folder(name) / "evaluations" / job_id
    files.write_json(where / "inputs.json", {"kind": kind, "kb": name, **inputs})
    if inputs.get("model"):
        queue.submit(WORKER, where)
    else:
        jobs.create(where)
        jobs.launch(WORKER, where)
    return job_id


def folder(name: str, job_id: str) -> Path:
    """The job's folder.

    Raises:
        UserError: no such job.
    """
    return files.inside(bases.folder(name) / "evaluations", job_id)


def listing(name: str) -> list[Job]:
    """All jobs of a base, the newest first: {"id", **inputs without rows, **the job's state}."""
    found = (bases.folder(name) / "evaluations").glob("*/inputs.json")
    return [_summary(path.parent) for path in sorted(found, reverse=True)]


def _summary(where: Path) -> Job:
    inputs = files.read_json(where / "inputs.json", {})
    inputs.pop("rows", None)
    state = jobs.state(where)
    if state["status"] == jobs.INTERRUPTED:
        state["error"] = INTERRUPTED.as_dict()
    return {"id": where.name, **inputs, **state}


def show(name: str, job_id: str) -> Job:
    """The summary, and what came of it so far: ``results`` (a dict per point), or ``rows`` of questions.

    A point: {"size", "overlap" (tokens; size 0: the base as it is), "chunks", "n", "reranker", "stages": as of
    :func:`core.evaluation.retrieval.evaluate` with a hit@k for each top-k, "tokens": {k: {"mean", "low", "high", "n"}}
    of context, "ms": median of a question}.
    """
    where = folder(name, job_id)
    results = sorted(files.read_jsonl(where / "points.jsonl"), key=lambda point: (point["size"], point["overlap"]))
    return {**_summary(where), "results": results, "rows": list(files.read_jsonl(where / "qa.jsonl"))}


def last_stage(point: dict[str, Any]) -> dict[str, dict[str, float]]:
    """The figures of what a model is given in the end: of the last stage that was on."""
    return dict(list(point["stages"].values())[-1])


def stop(name: str, job_id: str) -> None:
    """Ask the worker to end; points and questions done so far stay.

    Raises:
        UserError: when it is not running any more.
    """
    jobs.stop(folder(name, job_id))


def resume(name: str, job_id: str) -> None:
    """Go on with a job that ended early: what is done is not done again.

    Raises:
        UserError: it is running, or it has finished.
    """
    where = folder(name, job_id)
    try:
        if _summary(where).get("model"):
            queue.resubmit(WORKER, where)
        else:
            jobs.restart(WORKER, where)
    except jobs.IllegalTransition as error:
        raise UserError("There is nothing to go on with here.", "Start a new one.") from error


def wait(name: str, job_id: str, tick: Callable[[Job], None] | None = None) -> Job:
    """Follow a job to its end, calling ``tick(state)`` about twice a second; returns what :func:`show` does."""
    jobs.wait(folder(name, job_id), tick)
    return show(name, job_id)


def delete(name: str, job_id: str) -> None:
    """Remove a job with its results.

    Raises:
        UserError: while it is running.
    """
    where = folder(name, job_id)
    if jobs.state(where)["status"] in jobs.LIVE:
        raise UserError("This evaluation is still running.", "Stop it first.")
    drop_scratch(name, files.read_json(where / "inputs.json", {}), job_id)
    shutil.rmtree(where)


def scratch(name: str, job_id: str, point: dict[str, int]) -> str:
    """The base that a point of a sweep is measured on."""
    return bases.scratch(name, f"{job_id}/{point['size']}-{point['overlap']}")


def drop_scratch(name: str, inputs: dict[str, Any], job_id: str) -> None:
    """Remove what a killed worker may have left of its scratch bases."""
    for point in inputs.get("points", []):
        if point["size"]:
            shutil.rmtree(bases.folder(scratch(name, job_id, point)), ignore_errors=True)
