"""The worker process of one measuring job: ``python -m core.evaluation.sweep_worker DIR``."""

import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.evaluation import questions, retrieval, sweep
from core.evaluation.statistics import interval
from core.generation import ask
from core.generation.engine import Engine
from core.models import cards
from core.rag import bases, indexing, knowledge
from core.rag.indexing import Request, Step

TICK = 0.5  # seconds between two reports
INDEXING = 0.5  # share of a point that has to be indexed first


class Told:
    """Writes how far the job is, a few times a second at most, and ends it where a stop was asked for."""

    def __init__(self, folder: Path, points: int = 1, done: int = 0) -> None:
        self.folder, self.points, self.done = folder, points, done
        self._began, self._first, self._last = time.monotonic(), done, 0.0

    def __call__(self, stage: str, part: float, **more: Any) -> None:
        """``part``: how much of the point at hand is done, 0 to 1.

        Raises:
            jobs.Stopped: a stop was asked for.
        """
        if jobs.stop_asked(self.folder):
            raise jobs.Stopped
        now = time.monotonic()
        if now - self._last < TICK:
            return
        self._last = now
        elapsed, mine = now - self._began, self.done + part - self._first
        left = self.points - self.done - part
        eta = elapsed / mine * left if mine > 0.02 else None
        share = (self.done + part) / self.points
        point = self.done + 1
        jobs.update(
            self.folder, status=jobs.RUNNING, stage=stage, share=share, point=point, elapsed=elapsed, eta=eta, **more
        )


def main(folder: Path) -> None:
    """Do what the folder's inputs ask for; every way out ends up in the folder's state."""
    with jobs.reporting(folder):
        inputs = files.read_json(folder / "inputs.json")
        with queue.device(folder) if inputs.get("model") else nullcontext():
            jobs.update(folder, status=jobs.RUNNING, stage="load", started=time.time())
            (make_questions if inputs["kind"] == sweep.QUESTIONS else run)(folder, inputs)
        jobs.update(folder, status=jobs.FINISHED, finished=time.time(), share=1.0, eta=None)


def run(folder: Path, inputs: dict[str, Any]) -> None:
    """Measure each point that is not measured yet.

    Raises:
        UserError: the base is gone, or another than when this was begun.
        jobs.Stopped: a stop was asked for.
    """
    name, rows = inputs["kb"], [retrieval.Question(**row) for row in inputs["rows"]]
    sweep.drop_scratch(name, inputs, folder.name)
    done = {_place(point) for point in files.read_jsonl(folder / "points.jsonl")}
    told = Told(folder, len(inputs["points"]), len(done))
    for point in (point for point in inputs["points"] if _place(point) not in done):
        seen = knowledge.view(name, lambda part, of: told("index", INDEXING * part / of, size=0))
        _check_same(folder, seen.version)
        with _base(name, folder.name, point, seen.embedder, told) as base:
            begin = INDEXING if point["size"] else 0.0

            def asked(number: int, of: int, begin: float = begin, size: int = point["size"]) -> None:
                told("ask", begin + (1 - begin) * number / of, size=size)

            result = _measure(base, rows, inputs["top_k"], asked)
        files.append_jsonl(folder / "points.jsonl", {**point, **result})
        told.done += 1


def _place(point: dict[str, Any]) -> tuple[int, int]:
    return point["size"], point["overlap"]


def _check_same(folder: Path, version: str) -> None:
    """Points of one job are of one version of the base."""
    begun = files.read_json(folder / "state.json", {}).get("version", version)
    if begun != version:
        raise UserError("The knowledge base has changed since this was begun.", "Delete this and start a new one.")
    jobs.update(folder, version=version)


@contextmanager
def _base(name: str, job_id: str, point: dict[str, int], embedder: str, told: Told) -> Iterator[str]:
    """The base to ask: its own documents indexed apart with the point's chunks, for as long as this is entered."""
    if not point["size"]:
        yield name
        return
    base = sweep.scratch(name, job_id, point)

    def tick(step: Step) -> None:
        told("chunk", INDEXING * step.files / max(1, step.of), size=point["size"])

    try:
        indexing.run(
            Request(base, "rebuild", size=point["size"], overlap=point["overlap"], embedder=embedder, origin=name), tick
        )
        yield base
    finally:
        if bases.exists(base):
            bases.remove(base)


def _measure(
    base: str, rows: list[retrieval.Question], top_k: list[int], asked: Callable[[int, int], None]
) -> dict[str, Any]:
    found = retrieval.measure(base, rows, top_k, asked)
    hits = sorted({*retrieval.HITS, *top_k})
    return {
        "chunks": len(knowledge.rows(base)),
        "n": len(rows),
        "reranker": found.reranker,
        "stages": {stage: retrieval.scores(ranks, hits) for stage, ranks in found.ranks.items()},
        "tokens": {str(k): retrieval.rounded(interval(tokens)) for k, tokens in found.tokens.items()},
        "ms": round(1000 * statistics.median(found.seconds), 1),
    }


def make_questions(folder: Path, inputs: dict[str, Any]) -> None:
    """Make the questions that are wanted, each kept as soon as it is there; gone on with, it begins anew.

    Raises:
        UserError: nothing can be asked about this base, or the model cannot be loaded.
        jobs.Stopped: a stop was asked for.
    """
    name, count, model = inputs["kb"], inputs["n"], inputs["model"]
    told = Told(folder)
    knowledge.view(name, lambda part, of: told("index", 0.0))
    (folder / "qa.jsonl").unlink(missing_ok=True)

    def ask_all(**by: Any) -> None:
        made = questions.generate(name, count, inputs["seed"], tick=lambda n: told("questions", n / count), **by)
        for row in made:
            files.append_jsonl(folder / "qa.jsonl", row)

    if model:
        ask_all(write=ask.writer(Engine(), model), languages=cards.card(model).languages)
    else:
        ask_all()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
