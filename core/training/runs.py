"""The run store: one folder per fine-tuning run, readable while the worker writes."""

import shutil
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.models.adapters import shipped
from core.settings import settings
from core.training import config as configs
from core.training import mixing
from core.training.config import TrainConfig
from core.training.data import datasets

WORKER = "core.training.worker"
Run = dict[str, Any]
"""{"id", "name", "tags", "notes", "imported", "config": values of TrainConfig, "position": jobs ahead of a queued
one, **the job's state (status, step, steps, train_loss, …)}."""


def start(config: TrainConfig) -> str:
    """Check a config, freeze its data, and put the run in line for the device; returns its id at once.

    Raises:
        UserError: unknown model or data set, or something wrong in a row.
    """
    dataset = mixing.load(config.dataset, config.mixture, config.seed)
    config = config.resolved(dataset.kind)
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


def split(adapter_id: str) -> tuple[str, int | None]:
    """An adapter's id, RUN or RUN@STEP, as the run's and the checkpoint's step (None: what the run ended with).

    Raises:
        UserError: what follows the @ is not a step.
    """
    run_id, sign, step = adapter_id.partition("@")
    if sign and not step.isdecimal():
        raise UserError("“{name}” is not a checkpoint.", "It reads RUN@STEP.", name=adapter_id)
    return run_id, int(step) if sign else None


def show(run_id: str) -> Run:
    """One run as it is now; of a checkpoint (RUN@STEP), its run."""
    return _show(folder(split(run_id)[0]), queue.line())


def listing() -> list[Run]:
    """All runs, the newest first. What cannot change is not read twice, so that hundreds can be listed every second."""
    found = sorted(settings().runs_dir.glob("*/config.toml"), reverse=True)
    line = queue.line()
    return [_show(path.parent, line) for path in found]


def _show(where: Path, line: Sequence[queue.Ticket]) -> Run:
    config, about = _config(where), _read(where / "about.json")
    run = {
        "id": where.name,
        "name": about.get("name") or config["name"],
        "tags": list(about.get("tags", [])),
        "notes": about.get("notes", ""),
        "imported": bool(about.get("imported")),
        "config": config,
        **_state(where),
    }
    if run["status"] == jobs.QUEUED:
        place = where.resolve()
        run["position"] = next((number for number, ticket in enumerate(line) if ticket.job == place), None)
    return run


def _config(where: Path) -> dict[str, Any]:
    return dict(_parsed(where / "config.toml", _version(where / "config.toml")))


@lru_cache(maxsize=4096)
def _parsed(path: Path, version: tuple[int, ...]) -> dict[str, Any]:
    try:
        return configs.load(str(path)).model_dump()
    except UserError:  # damaged, or written by another version: one run must not hide the others
        return TrainConfig.model_construct(name=path.parent.name, dataset="–").model_dump()


def _state(where: Path) -> dict[str, Any]:
    """A job's state; once it has ended for good, the processes need not be asked."""
    written = _read(where / "state.json")
    return dict(written) if written.get("status", jobs.RUNNING) not in jobs.LIVE else jobs.state(where)


def _read(path: Path) -> dict[str, Any]:
    return _json(path, _version(path))


@lru_cache(maxsize=8192)
def _json(path: Path, version: tuple[int, ...]) -> dict[str, Any]:
    found = files.read_json(path)
    return found if isinstance(found, dict) else {}


def _version(path: Path) -> tuple[int, ...]:
    """Changes whenever the file does: it is always replaced as a whole."""
    try:
        about = path.stat()
    except OSError:
        return ()
    return about.st_ino, about.st_mtime_ns, about.st_size


def metrics(run_id: str) -> list[dict[str, Any]]:
    """The points logged so far: {"step", "loss", "learning_rate", …} and {"step", "eval_loss"}.

    For display, :mod:`core.training.curves` reads on from its last look and thins.
    """
    return list(files.read_jsonl(folder(run_id) / "metrics.jsonl"))


def log_tail(run_id: str, lines: int = 12) -> str:
    """The last lines of the worker's log."""
    return files.tail(folder(run_id) / "log.txt", lines)


def rename(run_id: str, name: str) -> None:
    """Call a run something else in lists; its id stays.

    Raises:
        UserError: an empty name.
    """
    _note(run_id, name=configs.named(name)[:60])


def annotate(run_id: str, tags: Sequence[str] | None = None, notes: str | None = None) -> None:
    """Replace a run's tags (without doubles, in the order given) or notes; None leaves them as they are."""
    if tags is not None:
        _note(run_id, tags=list(dict.fromkeys(tag.strip() for tag in tags if tag.strip())))
    if notes is not None:
        _note(run_id, notes=notes.strip())


def _note(run_id: str, **changes: Any) -> None:
    path = folder(run_id) / "about.json"
    files.write_json(path, {**files.read_json(path, {}), **changes})


def adapter(run_id: str, model: str = "", checkpoint: int | None = None) -> Path:
    """Directory of a run's adapter weights.

    Args:
        run_id: RUN, RUN@STEP for one of its checkpoints, or the name of an adapter that comes with the app.
        model: the base model it is to be used on; empty: not checked.
        checkpoint: the step of one of :func:`checkpoints`; None: the one named by the id, else what the run ended with.

    Raises:
        UserError: the run has none (yet), has no such checkpoint, or adapts another base model.
    """
    _check_base(run_id, model)
    if run_id in shipped():
        return shipped()[run_id].folder
    run_id, step = split(run_id)
    step = checkpoint if checkpoint is not None else step
    path = folder(run_id) / "adapter"
    if step is not None:
        path = folder(run_id) / "checkpoints" / f"checkpoint-{step}"
        if step not in [found["step"] for found in checkpoints(run_id)]:
            raise UserError("Run {run} has no checkpoint {step}.", "Choose one that it kept.", run=run_id, step=step)
    elif not path.is_dir():
        raise _without_adapter(run_id)
    return path


def _without_adapter(run_id: str) -> UserError:
    where = folder(run_id)
    if (where / "model").is_dir():
        return UserError(
            "Run {run} has no adapter.",
            "It trained a whole model: make it one of the catalog with python -m core runs merge.",
            run=run_id,
        )
    live = jobs.state(where)["status"] in jobs.LIVE
    return UserError(
        "Run {run} has no adapter.",
        "Wait until it is finished."
        if live
        else "It ended before it had one: resume it, or take a checkpoint (RUN@STEP).",
        run=run_id,
    )


def base(adapter_id: str) -> str:
    """The base model of an adapter, by its catalog name; ids as in :func:`adapter`.

    Raises:
        UserError: there is no such run.
    """
    if adapter_id in shipped():
        return shipped()[adapter_id].model
    return str(show(split(adapter_id)[0])["config"]["model"])


def _check_base(adapter_id: str, model: str) -> None:
    if model and (found := base(adapter_id)) != model:
        raise UserError(
            "Run {run} adapts {base}, not {model}.", "Choose that model.", run=adapter_id, base=found, model=model
        )


def adapters(model: str, checkpoints_too: bool = False) -> dict[str, str]:
    """Adapters that fit a base model: id → label, the newest run first, those that come with the app last.

    Args:
        checkpoints_too: after each run also the checkpoints it kept, as RUN@STEP.
    """
    found = {}
    for run in listing():
        if run["config"]["model"] != model:
            continue
        label = f"{run['name']} · {run['id'][4:13]}"
        if (settings().runs_dir / run["id"] / "adapter").is_dir():
            found[run["id"]] = label
        if checkpoints_too:
            kept = checkpoints(run["id"])
            found |= {at["id"]: f"{label} · {at['step']}{' ★' if at['best'] else ''}" for at in kept}
    return found | {name: name for name, own in shipped().items() if own.model == model}


def checkpoints(run_id: str) -> list[dict[str, Any]]:
    """The adapters a run kept on its way: {"id": RUN@STEP, "step", "eval_loss" or None, "best": lowest eval loss}."""
    where = folder(run_id)
    steps = sorted(
        int(path.parent.name.rpartition("-")[2])
        for path in where.glob("checkpoints/checkpoint-*/trainer_state.json")
        if (path.parent / "adapter_model.safetensors").is_file()
    )
    if not steps:
        return []
    losses = {point["step"]: point["eval_loss"] for point in metrics(run_id) if "eval_loss" in point}
    best = min((step for step in steps if step in losses), key=lambda step: losses[step], default=None)
    return [
        {"id": f"{run_id}@{step}", "step": step, "eval_loss": losses.get(step), "best": step == best} for step in steps
    ]


def stop(run_id: str) -> None:
    """Ask a run to end after its step, or to leave the queue; what it has learned so far is kept as its adapter."""
    jobs.stop(folder(run_id))


def cancel(run_id: str) -> None:
    """Take a run that waits for the device out of the queue.

    Raises:
        UserError: it does not wait.
    """
    if jobs.state(folder(run_id))["status"] != jobs.QUEUED:
        raise UserError("{job} is not waiting.", "A run that is at work can be stopped.", job=run_id)
    stop(run_id)


def move(run_id: str, direction: queue.Direction) -> None:
    """Change a waiting run's place in the queue.

    Raises:
        UserError: it is not waiting.
    """
    queue.move(folder(run_id), direction)


def resume(run_id: str) -> None:
    """Go on from the last checkpoint of a run that ended early, at the end of the queue.

    One that was interrupted or stopped before its first checkpoint begins anew.

    Raises:
        UserError: it is running, it is finished, or it failed before it came to a checkpoint.
    """
    where = folder(run_id)
    status = jobs.state(where)["status"]
    if status not in jobs.RESUMABLE:
        raise UserError("Run {run} is {status}.", "Only a run that ended early can go on.", run=run_id, status=status)
    if last_checkpoint(where) is None:
        if status == jobs.FAILED:
            raise UserError("Run {run} has no checkpoint to go on from.", "Start it anew.", run=run_id)
        for written in ("metrics.jsonl", "samples.jsonl"):
            (where / written).unlink(missing_ok=True)
    try:
        queue.resubmit(WORKER, where)
    except jobs.IllegalTransition:  # somebody else was a moment earlier
        raise UserError("Run {run} is {status}.", "Only a run that ended early can go on.", run=run_id,
                        status=jobs.state(where)["status"]) from None  # fmt: skip


def last_checkpoint(where: Path) -> Path | None:
    """The newest checkpoint in a run's folder that was written to its end (``trainer_state.json`` comes last)."""
    whole = [path.parent for path in where.glob("checkpoints/checkpoint-*/trainer_state.json")]
    return max(whole, key=lambda path: int(path.name.rpartition("-")[2]), default=None)


def delete(run_id: str) -> None:
    """Remove a run and its adapter from disk; :mod:`core.training.dependents` tells what would miss it.

    Raises:
        UserError: while it is running.
    """
    where = folder(run_id)
    if jobs.state(where)["status"] in jobs.LIVE:
        raise UserError("Run {run} is still running.", "Stop it first.", run=run_id)
    shutil.rmtree(where)
