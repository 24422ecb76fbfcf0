"""A data set and a config small enough for a worker that trains in a second."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from core import files, jobs
from core.settings import settings
from core.training import config as configs
from core.training import mixing, worker
from core.training.config import TrainConfig
from core.training.data import datasets

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


def prepared(config: TrainConfig) -> Path:
    """The folder of a run that is ready for its worker, which a test then calls in its own process."""
    dataset = mixing.load(config.dataset, config.mixture, config.seed)
    config = config.resolved(dataset.kind)
    folder = settings().runs_dir / files.new_id(config.name)
    datasets.write(folder / "data", dataset)
    configs.save(config, folder / "config.toml")
    jobs.create(folder, jobs.RUNNING)
    return folder


def train(folder: Path) -> dict[str, Any]:
    """What the worker does once the device is its own."""
    return worker.train(folder, configs.load(str(folder / "config.toml")))


def losses(folder: Path, key: str = "loss") -> list[float]:
    return [point[key] for point in files.read_jsonl(folder / "metrics.jsonl") if key in point]


def samples(folder: Path) -> list[dict[str, Any]]:
    return list(files.read_jsonl(folder / "samples.jsonl"))


def kept(folder: Path) -> dict[str, Any]:
    """The weights a run ended with."""
    from safetensors.torch import load_file

    adapter, model = folder / "adapter" / "adapter_model.safetensors", folder / "model" / "model.safetensors"
    return load_file(adapter if adapter.exists() else model)


class Killed(BaseException):
    """Raised in a worker's place of being killed: nothing after it is written."""


def train_until(folder: Path, step: int, monkeypatch: Any) -> None:
    """Train in this process, and be gone once ``step`` is made, as after kill -9."""
    real = jobs.stop_asked

    def ended(where: Path) -> bool:
        if losses(folder, "step")[-1] >= step:
            raise Killed
        return real(where)

    with monkeypatch.context() as patch, suppress(Killed):
        patch.setattr(jobs, "stop_asked", ended)
        train(folder)
        raise AssertionError("the run came to its end")
