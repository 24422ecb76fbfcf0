"""The run store: one folder per fine-tuning run, readable while the worker writes."""

import shutil
import zipfile
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.settings import settings
from core.training import config as configs
from core.training.config import TrainConfig
from core.training.data import datasets

WORKER = "core.training.worker"
Run = dict[str, Any]
"""{"id", "config": values of TrainConfig, **the job's state (status, step, steps, train_loss, …)}."""


def start(config: TrainConfig) -> str:
    """Check a config, freeze its data, and start the worker; returns the run's id at once.

    Raises:
        UserError: unknown model or data set, or something wrong in a row.
    """
    config = config.resolved()
    dataset = datasets.load(config.dataset)
    run_id = files.new_id(config.name)
    folder = settings().runs_dir / run_id
    datasets.write(folder / "data", dataset)
    configs.save(config, folder / "config.toml")
    queue.submit(WORKER, folder, step=0, steps=0)
    return run_id


def folder(run_id: str) -> Path:
    """The run's folder.

    Raises:
        UserError: no such run.
    """
    return files.inside(settings().runs_dir, run_id)


def show(run_id: str) -> Run:
    """One run as it is now."""
    where = folder(run_id)
    return {"id": run_id, "config": configs.load(str(where / "config.toml")).model_dump(), **jobs.state(where)}


def listing() -> list[Run]:
    """All runs, the newest first."""
    found = sorted(settings().runs_dir.glob("*/config.toml"), reverse=True)
    return [show(path.parent.name) for path in found]


def metrics(run_id: str) -> list[dict[str, Any]]:
    """The points logged so far: {"step", "loss", "learning_rate", …} and {"step", "eval_loss"}."""
    return list(files.read_jsonl(folder(run_id) / "metrics.jsonl"))


def log_tail(run_id: str, lines: int = 12) -> str:
    """The last lines of the worker's log."""
    return files.tail(folder(run_id) / "log.txt", lines)


def adapter(run_id: str, model: str = "") -> Path:
    """Directory of the run's adapter weights.

    Args:
        model: the base model it is to be used on; empty: not checked.

    Raises:
        UserError: the run has none (yet), or adapts another base model.
    """
    path = folder(run_id) / "adapter"
    if not path.is_dir():
        raise UserError("Run {run} has no adapter yet.", "Wait until it is finished.", run=run_id)
    base = show(run_id)["config"]["model"]
    if model and base != model:
        raise UserError(
            "Run {run} adapts {base}, not {model}.", "Choose that model.", run=run_id, base=base, model=model
        )
    return path


def adapters(model: str) -> dict[str, str]:
    """Runs whose adapter fits a base model: id → label, the newest first."""
    found = [run for run in listing() if run["config"]["model"] == model]
    return {
        r["id"]: f"{r['config']['name']} · {r['id'][4:13]}" for r in found if (folder(r["id"]) / "adapter").is_dir()
    }


def stop(run_id: str) -> None:
    """Ask a run to end after its step; what it has learned so far is kept as its adapter."""
    jobs.stop(folder(run_id))


def resume(run_id: str) -> None:
    """Go on from the last checkpoint of a run that ended early.

    Raises:
        UserError: it is running, it is finished, or it never came to a checkpoint.
    """
    where = folder(run_id)
    status = jobs.state(where)["status"]
    if status in jobs.LIVE or status == jobs.FINISHED:
        raise UserError("Run {run} is {status}.", "Only a run that ended early can go on.", run=run_id, status=status)
    if last_checkpoint(where) is None:
        raise UserError("Run {run} has no checkpoint to go on from.", "Start it anew.", run=run_id)
    queue.resubmit(WORKER, where)


def last_checkpoint(where: Path) -> Path | None:
    """The newest checkpoint in a run's folder that was written to its end (``trainer_state.json`` comes last)."""
    whole = [path.parent for path in where.glob("checkpoints/checkpoint-*/trainer_state.json")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def delete(run_id: str) -> None:
    """Remove a run and its adapter from disk.

    Raises:
        UserError: while it is running.
    """
    where = folder(run_id)
    if jobs.state(where)["status"] in jobs.LIVE:
        raise UserError("Run {run} is still running.", "Stop it first.", run=run_id)
    shutil.rmtree(where)


def export(run_id: str, target: Path) -> Path:
    """Write adapter, config and metrics of a run into a zip file; returns its path."""
    where, weights = folder(run_id), adapter(run_id)
    target = target / f"{run_id}.zip" if target.is_dir() else target
    with zipfile.ZipFile(target, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in [*sorted(weights.rglob("*")), where / "config.toml", where / "metrics.jsonl"]:
            if path.is_file():
                archive.write(path, path.relative_to(where))
    return target
