"""A data set and a config small enough for a worker that trains in a second."""

import json
from pathlib import Path
from typing import Any

from core.training import config as configs
from core.training.config import TrainConfig

ANIMALS = [
    "llama",
    "fox",
    "dog",
    "cat",
    "cow",
    "hen",
    "owl",
    "ant",
    "bee",
    "emu",
    "yak",
    "ape",
    "bat",
    "eel",
    "gnu",
    "ram",
]


def rows(count: int = 32) -> list[dict[str, str]]:
    return [
        {"input": f"What is animal {number}? 请回答。", "output": f"{ANIMALS[number % len(ANIMALS)]} {number}"}
        for number in range(count)
    ]


def dataset_file(folder: Path, count: int = 32) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "animals.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows(count)), "utf-8")
    return path


def config(dataset: Path, **changes: Any) -> TrainConfig:
    values = {
        "name": "tiny",
        "model": "tiny",
        "dataset": str(dataset),
        "rank": 4,
        "alpha": 16,
        "learning_rate": 5e-3,
        "max_steps": 40,
        "batch_size": 2,
        "max_length": 64,
        "eval_rows": 2,
        "eval_steps": 10,
    }
    return configs.make({**values, **changes})
