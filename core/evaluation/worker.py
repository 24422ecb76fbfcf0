"""The worker process of one experiment: ``python -m core.evaluation.worker DIR``. It reads no vector store."""

import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.evaluation import experiments, forgetting, freezing, grid, lengths, scoring, stability
from core.evaluation.grid import Arm
from core.evaluation.lengths import TOO_LONG, Lengths
from core.evaluation.results import KEPT, results
from core.generation import prompts, strategies
from core.generation.engine import Engine, Options, Request
from core.generation.strategies import Extracted
from core.generation.templates import COT, Template
from core.generation.watching import Answer, Generation
from core.models import cards, preparing

BATCH = 32  # answers generated together at most, of whatever rows and arms
ROOM = 4096  # tokens of a batch at most: their keys and values take 190 MB of SmolLM2, 800 MB of Yuan2-2B in 16 bits


@dataclass(frozen=True)
class Ask:
    """One row of one arm with one seed: its number, the arm, the whole prompt, and the new tokens it may take."""

    row: int
    arm: Arm
    prompt: str
    tokens: int
    seed: int = 0

    @property
    def key(self) -> tuple[int, str, int]:
        return self.row, grid.name(self.arm), self.seed

    @property
    def effort(self) -> int:
        """Roughly what it costs: reading is cheap, writing is not."""
        return len(self.prompt) + 20 * self.tokens


def main(folder: Path) -> None:
    """Ask every row of every arm, prompts of like length together, and keep each answer as soon as it is there."""
    with jobs.reporting(folder):
        inputs = files.read_json(folder / "inputs.json")
        with queue.device(folder):
            jobs.update(folder, status=jobs.RUNNING, stage="load", started=time.time())
            run(folder, inputs)
        files.write_json(folder / KEPT, results(experiments.show(folder.name)))
        jobs.update(folder, status=jobs.FINISHED, finished=time.time())


def run(folder: Path, inputs: dict[str, Any]) -> None:
    """The work itself; what is answered already is kept.

    Batches do not depend on what is answered, so that an answer is the same whether or not the worker was killed.

    Raises:
        UserError: an adapter is not the one that was frozen.
        jobs.Stopped: between two batches, when a stop was asked for.
    """
    for arm in inputs["arms"]:
        _check_weights(arm)
    preparing.prepare(cards.card(inputs["model"]))
    parts = [Part(folder / "answers.jsonl", inputs)]
    if inputs.get("general"):
        parts.append(Part(folder / "general.jsonl", forgetting.inputs(inputs)))
    left = [(part, place, batch) for part in parts for place, batch in part.left()]
    engine, began = Engine(), time.time()
    efforts = [sum(ask.effort for ask in batch) for _, _, batch in left]
    for number, (part, place, batch) in enumerate(left):
        requests = [request(ask) for ask in batch]
        generation = engine.submit(inputs["model"], requests, _options(part.inputs, place, batch[0]))
        part.keep(batch, _finish(folder, generation), likelihoods(engine, part.inputs, batch))
        elapsed, done = time.time() - began, sum(len(part.done) for part in parts)
        eta = elapsed / sum(efforts[: number + 1]) * sum(efforts[number + 1 :])
        jobs.update(folder, stage="write", done=done, elapsed=round(elapsed, 1), eta=round(eta, 1))


class Part:
    """The rows and arms whose answers are kept in one file.

    Attributes:
        plan: all batches, whether they are answered or not.
        done: keys of what is answered.
    """

    def __init__(self, path: Path, inputs: dict[str, Any]) -> None:
        self.path, self.inputs = path, inputs
        fit = lengths.of(cards.card(inputs["model"]), inputs["rows"])
        assert fit, "the model is on disk"
        first = stability.seeds(inputs)[0]
        self.done = {(line["row"], line["arm"], line.get("seed", first)) for line in files.read_jsonl(path)}
        self.plan, too_long = batches(inputs, fit)
        self.keep(too_long, [Answer(finish=TOO_LONG)] * len(too_long), [None] * len(too_long))

    def left(self) -> list[tuple[int, list[Ask]]]:
        """Batches with something to ask in them, and their places."""
        return [(n, batch) for n, batch in enumerate(self.plan) if any(ask.key not in self.done for ask in batch)]

    def keep(self, asks: Sequence[Ask], answers: Sequence[Answer], expected: Sequence[Sequence[float] | None]) -> None:
        """Write down the answers that are not there yet."""
        for ask, answer, likely in zip(asks, answers, expected, strict=True):
            if ask.key not in self.done:
                files.append_jsonl(self.path, line(self.inputs, ask, answer, likely))
                self.done.add(ask.key)


def batches(inputs: dict[str, Any], fit: Lengths) -> tuple[list[list[Ask]], list[Ask]]:
    """All that is to be asked, prompts of like length together, those of a chain of thought by themselves; and what
    cannot be asked, since it does not fit into the model."""
    asks = [
        Ask(number, arm, row["prompts"][grid.condition(arm)], fit.new_tokens(_kind(inputs, arm)), seed)
        for seed in stability.seeds(inputs)
        for number, row in enumerate(inputs["rows"])
        for arm in inputs["arms"]
    ]
    fitting = [fit.fits(ask.prompt, _kind(inputs, ask.arm)) for ask in asks]
    long = {text: fit.tokens(text) for text in dict.fromkeys(ask.prompt for ask in compress(asks, fitting))}
    found: list[list[Ask]] = []
    for ask in sorted(compress(asks, fitting), key=lambda ask: (ask.tokens, ask.seed, long[ask.prompt])):
        last = found[-1] if found else []
        full = len(last) == BATCH or (len(last) + 1) * (long[ask.prompt] + ask.tokens) > ROOM  # padded to the longest
        if not last or full or (last[0].tokens, last[0].seed) != (ask.tokens, ask.seed):
            found.append([])
        found[-1].append(ask)
    return found, [ask for ask, fits in zip(asks, fitting, strict=True) if not fits]


def line(inputs: dict[str, Any], ask: Ask, answer: Answer, expected: Sequence[float] | None = None) -> dict[str, Any]:
    """An answer as it is kept: apart from its reasoning, with the sentences that the passages support, and measured.

    Args:
        expected: the log-probability of each token of the reference.
    """
    row = inputs["rows"][ask.row]
    said = _extracted(inputs, ask.arm, answer.text)
    passages = row.get("passages", [])
    evidence = [passage["text"] for passage in passages] or [text for text in [row.get("context")] if text]
    kept: dict[str, Any] = {
        "row": ask.row,
        "arm": grid.name(ask.arm),
        "seed": ask.seed,
        "text": said.answer,
        "reasoning": said.reasoning,
        "tokens": answer.tokens,
        "seconds": round(answer.seconds, 3),
        "finish": answer.finish,
        "supported": _supported(said.answer, evidence, inputs["embedder"]),
        "sources": [passage["source"] for passage in passages] if ask.arm["rag"] else None,
        "log_probabilities": expected and [round(one, 4) for one in expected],
    }
    parts = scoring.measure(row, kept, inputs["tokenizer"])
    return {**kept, "parts": parts, "scores": scoring.figures(parts)}


def likelihoods(engine: Engine, inputs: dict[str, Any], batch: Sequence[Ask]) -> list[list[float] | None]:
    """How likely each ask's first reference is right after its prompt: one forward pass over what was just asked.

    A chain of thought has none: there the reference stands behind a reasoning, not behind the prompt. With several
    seeds it is asked once, since it does not depend on what is drawn.
    """
    if _kind(inputs, batch[0].arm) == COT or batch[0].seed != stability.seeds(inputs)[0]:
        return [None] * len(batch)
    references = [inputs["rows"][ask.row]["expected"]["references"][0] for ask in batch]
    return engine.score(inputs["model"], [request(ask) for ask in batch], references)


def _check_weights(arm: Arm) -> None:
    if not arm["path"]:
        return
    path = freezing.weights(arm)
    if not path.is_file() or freezing.sha256(path) != arm["sha256"]:
        raise UserError(
            "The adapter {name} is not what it was when this comparison began.",
            "Start the comparison anew.",
            name=arm["adapter"],
        )


def _finish(folder: Path, generation: Generation) -> list[Answer]:
    while not generation.wait(0.5):
        if jobs.stop_asked(folder):
            generation.stop()
            generation.wait()
            raise jobs.Stopped
    return generation.result()


def _options(inputs: dict[str, Any], place: int, ask: Ask) -> Options:
    """How a batch is written. What is drawn depends on all of its rows, so each batch has a seed of its own."""
    seed = zlib.crc32(f"{ask.seed}/{place}".encode())
    how = {name: inputs[name] for name in ("temperature", "top_p") if name in inputs}  # else of an earlier version
    return Options(max_new_tokens=ask.tokens, seed=seed, **how)


def request(ask: Ask) -> Request:
    return Request(prompts.conversation(ask.prompt), Path(ask.arm["path"]) if ask.arm["path"] else None)


def _kind(inputs: dict[str, Any], arm: Arm) -> str:
    return str(inputs["strategies"][arm["strategy"]]["kind"])


def _extracted(inputs: dict[str, Any], arm: Arm, text: str) -> Extracted:
    about = {name: value for name, value in inputs["strategies"][arm["strategy"]].items() if name != "version"}
    return strategies.extract(Template(**about), text)


def _supported(text: str, evidence: Sequence[str], embedder: str) -> list[bool] | None:
    """Per sentence of an answer whether a passage supports it, read by this arm or not; None: nothing to hold it to."""
    if not evidence or not embedder:
        return None
    from core.rag import citations

    return [cited.passage is not None for cited in citations.cite(text, evidence, embedder)]


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
