"""Comparisons that run here and now, and some made up: each arm knows the answers to some rows and nothing else."""

import json
from dataclasses import asdict
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core import files, jobs
from core.evaluation import experiments, grid, scoring, worker
from core.evaluation.metrics import expected
from core.evaluation.results import KEPT, results
from core.settings import settings
from core.training import config as configs
from core.training.config import TrainConfig

EVIL = "<img src=x onerror=alert(1)></script>"
RIGHT = {"base": {0}, "base+kb": set(range(1, 12)), "run-a": set(range(9)), "run-a+kb": set(range(22))}


def fake_run(run_id: str, adapter: Path, model: str = "tiny") -> None:
    """A finished run with a ready adapter, as the run store keeps it."""
    folder = settings().runs_dir / run_id
    copytree(adapter, folder / "adapter")
    configs.save(TrainConfig(dataset="d", model=model), folder / "config.toml")
    jobs.create(folder, step=1, steps=1)
    jobs.update(folder, status=jobs.FINISHED)


def work_here(patch: pytest.MonkeyPatch) -> None:
    """The worker's work is done in this process, at once."""

    def launch(module: str, folder: Path) -> int:
        assert module == experiments.WORKER
        worker.main(folder)
        return 0

    patch.setattr(jobs, "launch", launch)


def row(number: int, output: str = "") -> dict[str, Any]:
    about = asdict(expected({"output": output or f"answer {number} of the row"}))
    reference = about["references"][0]
    return {"input": f"Question {number} {EVIL}", "reference": reference, "expected": about, "answers": {}}


def answer(row: dict[str, Any], text: str, arm: dict[str, Any]) -> dict[str, Any]:
    kept = {"text": text, "reasoning": "", "tokens": len(text), "seconds": 2.0, "finish": "end", "supported": None,
            "sources": ["a.md"] if arm["rag"] else None}  # fmt: skip
    parts = scoring.measure(row, kept)
    return {**kept, "parts": parts, "scores": scoring.figures(parts)}


def square() -> list[dict[str, Any]]:
    return [
        {"adapter": adapter, "path": "", "rag": rag, "strategy": "zero-shot"}
        for adapter in ("", "run-a")
        for rag in (False, True)
    ]


def made(arms: list[dict[str, Any]], right: dict[str, set[int]], rows: int = 24) -> dict[str, Any]:
    """An experiment as ``show`` gives it, in which each arm knows the answer to some rows and says nothing else."""
    told = [row(number) for number in range(rows)]
    for number, one in enumerate(told):
        for arm in arms:
            name = grid.name(arm)
            one["answers"][name] = answer(one, one["reference"] if number in right[name] else "–", arm)
    return {"id": "x", "dataset": "d", "model": "tiny", "kb": "notes", "limit": rows, "seed": 0,
            "tokenizer": "character", "arms": arms, "answers": told}  # fmt: skip


def keep(experiment: dict[str, Any], experiment_id: str = "20260102-030405-d-abcd") -> Path:
    """An experiment that was made, as the finished work of a worker in the store; returns its folder."""
    folder = settings().experiments_dir / experiment_id
    told = [{part: value for part, value in row.items() if part != "answers"} for row in experiment["answers"]]
    about = {part: value for part, value in experiment.items() if part not in ("id", "answers")}
    files.write_json(folder / "inputs.json", {**about, "rows": told})
    total = len(told) * len(experiment["arms"])
    jobs.create(folder, done=total, total=total)
    jobs.update(folder, status=jobs.FINISHED)
    answers = [
        {"row": number, "arm": arm, **answer}
        for number, row in enumerate(experiment["answers"])
        for arm, answer in row["answers"].items()
    ]
    (folder / "answers.jsonl").write_text("".join(json.dumps(line) + "\n" for line in answers), "utf-8")
    files.write_json(folder / KEPT, results({**experiment, "id": experiment_id}))
    return folder
