"""Run folders as a worker leaves them, without any training."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from core import files, jobs
from core.settings import settings
from core.training import config as configs
from tests.helpers import training


def make(
    run_id: str = "20260101-000000-a-0001",
    status: str = jobs.FINISHED,
    dataset: Path | str = "animals.jsonl",
    **changes: Any,
) -> Path:
    """A run that has ended so, with its config; ``changes`` are of the config."""
    folder = settings().runs_dir / run_id
    configs.save(training.config(Path(dataset), **changes), folder / "config.toml")
    files.write_json(folder / "state.json", {"status": status, "created": 1.0, "step": 40, "steps": 40})
    return folder


def log(folder: Path, points: Iterable[dict[str, Any]]) -> None:
    """Append points to the run's metrics, as fast as a test wants them."""
    with (folder / "metrics.jsonl").open("a") as file:
        file.writelines(json.dumps(point) + "\n" for point in points)


def checkpoint(folder: Path, step: int, adapter: bool = True) -> Path:
    """A checkpoint that was written to its end."""
    path = folder / "checkpoints" / f"checkpoint-{step}"
    path.mkdir(parents=True)
    if adapter:
        (path / "adapter_model.safetensors").write_bytes(b"weights")
    files.write_json(path / "trainer_state.json", {"global_step": step})
    return path
