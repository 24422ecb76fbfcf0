"""The worker process of one run: ``python -m core.training.worker RUN_DIR``. It outlives whoever started it."""

import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from core import jobs, queue
from core.errors import UserError
from core.models import IMPORTING, cards, placement
from core.training import callbacks, estimate, merge, methods, runs, tasks, throughput, trainer
from core.training import config as configs
from core.training.config import TrainConfig
from core.training.data import datasets
from core.training.tasks import Task

PROMPTS = 3
"""Test rows that are answered at every measurement when the config names no prompts."""


def main(folder: Path) -> None:
    """Train the run in ``folder`` and leave its weights, metrics and state there."""
    with jobs.reporting(folder):
        config = configs.load(str(folder / "config.toml"))
        with queue.device(folder):
            jobs.update(folder, status=jobs.RUNNING, stage="load", started=time.time())
            result = train(folder, config)
            stopped = jobs.stop_asked(folder)
            if config.merge_at_end and not stopped:
                _stage(folder, "merge", 0.0)
                merge.merge(folder.name, config.merge_at_end)
        jobs.update(folder, status=jobs.STOPPED if stopped else jobs.FINISHED, finished=time.time(), **result)


def train(folder: Path, config: TrainConfig) -> dict[str, Any]:
    """Fine-tune as the config says; goes on from the last checkpoint where there is one.

    Returns:
        {"train_loss": mean of the run's last tenth, "eval_loss" (for labels also "eval_accuracy", "eval_f1"), "step",
        "steps", "adapter" or "model": True, which of them the run's folder has now}.

    Raises:
        UserError: something of the config does not fit the model or this machine; the loss is not a number any more.
    """
    with IMPORTING:
        import transformers

    if config.merge_at_end and config.merge_at_end in cards.catalog():
        raise UserError("The name {name} is taken or not usable.", "Choose another one.", name=config.merge_at_end)
    data = datasets.read(folder / "data")
    transformers.set_seed(config.seed)
    task = tasks.load(config, data.labels, methods.bits(config), lambda step, share: _stage(folder, step, share))
    transformers.set_seed(config.seed)  # what loading drew depends on the machine; what an adapter begins with must not
    task.model = methods.apply(task.model, config)
    tested = random.Random(config.seed).sample(data.test, min(config.eval_rows, len(data.test)))
    rows, test = ([made for row in part for made in task.encode(row)] for part in (data.train, tested))
    estimate.require(config, throughput.of(rows))
    # A question in a longer conversation says nothing without what was said before.
    alone = [row for row in tested if "messages" not in row] or tested
    asked = config.prompts or [task.question(row) for row in alone[:PROMPTS]]
    jobs.update(folder, measured=len(test))
    checkpoint = runs.last_checkpoint(folder)
    if checkpoint:
        callbacks.rewind(folder, int(checkpoint.name.rpartition("-")[2]))
    loop = trainer.make(folder, config, task, rows, test, asked)
    if test and not checkpoint:
        _stage(folder, "measure", 0.0)
        loop.evaluate()  # where the curve starts
    trainer.go(loop, checkpoint, config.keep_best)
    _stage(folder, "save", 0.0)
    result = {**loop.reporter.result(), _save(folder, task): True}
    del loop, task
    placement.release()
    return result


def _stage(folder: Path, step: str, share: float) -> None:
    jobs.update(folder, stage=step, share=round(share or 0.0, 2))


def _save(folder: Path, task: Task) -> str:
    """Put the trained weights into the run's folder: ``adapter``, or ``model``, a whole one.

    A classifier is kept whole although an adapter was trained: its classifying layer is new.
    """
    kind = "adapter" if task.config.adapts and task.config.task != "classify" else "model"
    aside, old, place = (folder / name for name in (f".{kind}", f".{kind}-old", kind))
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model = task.model
    if kind == "model" and task.config.adapts:
        model = model.merge_and_unload(safe_merge=True)
    model.save_pretrained(aside)
    if kind == "model":
        task.tokenizer.save_pretrained(aside)
    if place.exists():  # a run that was stopped and resumed
        place.rename(old)
    aside.rename(place)
    shutil.rmtree(old, ignore_errors=True)
    return kind


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
