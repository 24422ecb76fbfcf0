"""The worker process of one experiment: ``python -m core.evaluation.worker DIR``. It reads no vector store."""

import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.evaluation.experiments import arm_name, as_arm
from core.evaluation.metrics import rouge_row
from core.generation import prompts
from core.generation.engine import Answer, Engine, Generation, Options, Request
from core.models import cards, loading, store

BATCH = 32  # answers generated together: rows × arms


def main(folder: Path) -> None:
    """Ask every row of every arm, rows of like length together, and keep each answer as soon as it is there."""
    with jobs.reporting(folder):
        inputs = files.read_json(folder / "inputs.json")
        with queue.device(folder):
            jobs.update(folder, status=jobs.RUNNING, stage="load", started=time.time())
            run(folder, inputs)
        jobs.update(folder, status=jobs.FINISHED, finished=time.time())


def run(folder: Path, inputs: dict[str, Any]) -> None:
    """The work itself; rows already answered are not asked again.

    Raises:
        jobs.Stopped: between two batches, when a stop was asked for.
    """
    arms, rows = inputs["arms"], inputs["rows"]
    asked_before = Counter(row for row, _ in {(a["row"], a["arm"]) for a in files.read_jsonl(folder / "answers.jsonl")})
    done = {row for row, count in asked_before.items() if count == len(arms)}
    order = sorted(set(range(len(rows))) - done, key=lambda number: len(rows[number]["input"]))
    engine, options = Engine(), Options(max_new_tokens=_answer_length(inputs))
    tags = cards.card(inputs["model"]).source_tags
    per_batch = max(1, BATCH // len(arms))
    began = time.time()
    for first in range(0, len(order), per_batch):
        numbers = order[first : first + per_batch]
        requests = [_request(rows[number], arm, tags) for number in numbers for arm in arms]
        generation = engine.submit(inputs["model"], requests, options)
        answers = _finish(folder, generation)
        pairs = [(number, arm) for number in numbers for arm in arms]
        for (number, arm), answer in zip(pairs, answers, strict=True):
            files.append_jsonl(folder / "answers.jsonl", _line(number, arm, answer, rows[number]["reference"]))
        asked, left = first + len(numbers), len(order) - first - len(numbers)
        jobs.update(
            folder,
            stage="write",
            done=(len(done) + asked) * len(arms),
            elapsed=round(time.time() - began, 1),
            eta=round((time.time() - began) / asked * left, 1),
        )


def _finish(folder: Path, generation: Generation) -> list[Answer]:
    while not generation.wait(0.5):
        if jobs.stop_asked(folder):
            generation.stop()
            generation.wait()
            raise jobs.Stopped
    return generation.result()


def _answer_length(inputs: dict[str, Any]) -> int:
    """New tokens allowed: a quarter more than the longest reference has, and never fewer than 32."""
    card = cards.card(inputs["model"])
    tokenizer = loading.load_tokenizer(store.prepare(card), card)
    references = [row["reference"] for row in inputs["rows"]]
    longest = max(len(ids) for ids in tokenizer(references, add_special_tokens=False)["input_ids"])
    return max(32, min(1024, longest * 5 // 4))


def _request(row: dict[str, Any], arm: dict[str, Any], tags: bool) -> Request:
    """The row as Chat would ask it of this arm."""
    passages = row.get("passages", []) if arm["rag"] else []
    asked = prompts.with_context(row["input"], prompts.reading(row["input"], passages, tags))
    return Request(prompts.conversation(asked), as_arm(arm).adapter_path)


def _line(number: int, arm: dict[str, Any], answer: Answer, reference: str) -> dict[str, Any]:
    return {
        "row": number,
        "arm": arm_name(arm),
        "text": answer.text,
        "tokens": answer.tokens,
        "seconds": round(answer.seconds, 3),
        "finish": answer.finish,
        "scores": rouge_row(answer.text, reference),
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
