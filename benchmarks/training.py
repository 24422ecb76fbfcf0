"""What the training engine costs and saves, in ratios from one run on résumé data with the embedded model.

Claims: the worker makes at least 0.97 of the steps a second of a bare transformers Trainer on the same rows; against
padding every row to a fixed 384 tokens without grouping at least 1.8 times the rows a second, at an equal final loss;
a resumption costs less than two steps beyond loading; where precision "auto" means bfloat16, at least 1.3 times the
steps a second of float32. Arms alternate; the same steps are held against each other, and the median counts.
Run: python -m benchmarks.training
"""

import json
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

from core import files, jobs
from core.models import loading
from core.settings import settings
from core.training import config as configs
from core.training import mixing, tasks, trainer, worker
from core.training.config import TrainConfig
from core.training.data import datasets

STEPS, LONG, ROUNDS, FIXED = 12, 40, 4, 384


def config(**changes: Any) -> TrainConfig:
    """The résumé recipe, measuring nothing on the way."""
    values = {"max_steps": STEPS, "eval_rows": 0, "eval_steps": 1000, "max_length": FIXED}
    return configs.load("resume-extraction", {**values, **changes}).resolved()


def prepared(wanted: TrainConfig) -> Path:
    """A run's folder, ready for its worker."""
    folder = settings().runs_dir / files.new_id(wanted.name)
    datasets.write(folder / "data", mixing.load(wanted.dataset, wanted.mixture, wanted.seed))
    configs.save(wanted, folder / "config.toml")
    jobs.create(folder, jobs.RUNNING)
    return folder


class Clock:
    """Times at which steps begin, in every Trainer made while it is watched."""

    def __init__(self) -> None:
        self.began: list[float] = []

    def callback(self) -> Any:
        from transformers import TrainerCallback

        clock = self

        class Watch(TrainerCallback):
            def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                clock.began.append(time.perf_counter())

            def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
                clock.began.append(time.perf_counter())

        return Watch()

    @property
    def steps(self) -> list[float]:
        """Seconds of each step but the first, which warms up."""
        return [after - before for before, after in zip(self.began[1:], self.began[2:], strict=False)]


def work(folder: Path, **patches: Any) -> tuple[Clock, dict[str, Any], float]:
    """Train a prepared run in this process; its clock, its result, and when it was called."""
    clock, real = Clock(), trainer.make

    def watched(*given: Any) -> Any:
        made = real(*given)
        made.add_callback(clock.callback())
        for name, value in patches.items():
            setattr(made, name, value(made))
        return made

    with patch.object(trainer, "make", watched):
        called = time.perf_counter()
        return clock, worker.train(folder, configs.load(str(folder / "config.toml"))), called


def bare(wanted: TrainConfig) -> Clock:
    """The same rows in the same order through transformers' Trainer alone: it logs and saves nothing."""
    import transformers

    from core.training import methods

    transformers.set_seed(wanted.seed)
    task = tasks.load(wanted, [], 0, lambda *_: None)
    task.model = methods.apply(task.model, wanted)
    rows = [made for row in datasets.load(wanted.dataset).train for made in task.encode(row)]
    with tempfile.TemporaryDirectory() as place:
        arguments = trainer.arguments(Path(place), wanted, False)
        arguments.logging_steps, arguments.save_strategy = 10_000, "no"

        class Bare(transformers.Trainer):
            model_accepts_loss_kwargs = True

            def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = 0):
                return task.loss(inputs, num_items_in_batch)

            def _get_train_sampler(self, train_dataset: Any = None) -> Any:
                lengths = [len(row["input_ids"]) for row in rows]
                return trainer.Order(lengths, wanted.batch_size, wanted.seed, lambda: 0)

        loop = Bare(model=task.model, args=arguments, train_dataset=rows, data_collator=task.collator())
        clock = Clock()
        loop.add_callback(clock.callback())
        loop.train()
    return clock


def padded(made: Any) -> Any:
    """The run's collator, every batch filled up to a fixed length on the left."""
    import torch.nn.functional as functional

    real, fills = made.data_collator, {"input_ids": made.processing_class.pad_token_id, "labels": -100}

    def collate(rows: Any) -> dict[str, Any]:
        batch = real(rows)
        return {
            name: functional.pad(value, (FIXED - value.shape[1], 0), value=fills.get(name, 0))
            for name, value in batch.items()
        }

    return collate


def against_bare() -> dict[str, Any]:
    """Steps a second of the worker, as a share of the bare loop's; the same for float32 against "auto".

    All arms make the same steps on the same rows: the ratio is the median over pairs of one step, and the order of the
    arms is turned around from round to round.
    """
    arms = {
        "worker": lambda: work(prepared(config()))[0].steps,
        "bare": lambda: bare(config()).steps,
        "float32": lambda: work(prepared(config(precision="float32")))[0].steps,
    }
    taken: dict[str, list[float]] = {name: [] for name in arms}
    for number in range(ROUNDS):
        for name in list(arms)[:: -1 if number % 2 else 1]:
            taken[name] += arms[name]()

    def ratio(slow: str) -> float:
        pairs = zip(taken[slow], taken["worker"], strict=True)
        return statistics.median(theirs / ours for theirs, ours in pairs)

    return {
        "step_seconds": {name: round(statistics.median(steps), 3) for name, steps in taken.items()},
        "worker_to_bare": round(ratio("bare"), 3),
        "auto_is_bfloat16": trainer.in_bfloat16(config()),
        "auto_to_float32": round(ratio("float32"), 2),
    }


def against_fixed_padding() -> dict[str, Any]:
    """Rows a second against fixed padding without grouping, and the test loss both end with."""
    longer = {"max_steps": LONG, "eval_rows": 24, "eval_steps": LONG}
    ours, ended, _ = work(prepared(config(**longer)))
    fixed, fixed_ended, _ = work(prepared(config(**longer, group_by_length=False)), data_collator=padded)
    return {
        "rows_ratio": round(sum(fixed.steps) / sum(ours.steps), 2),
        "eval_loss": [round(ended["eval_loss"], 4), round(fixed_ended["eval_loss"], 4)],
    }


def resuming() -> dict[str, Any]:
    """What a resumption takes from its call to its first step beyond what a fresh start takes, in steps."""
    folder = prepared(config(max_steps=STEPS, eval_steps=STEPS // 2))
    fresh, _, called = work(folder)
    for path in (folder / "checkpoints").iterdir():
        state = files.read_json(path / "trainer_state.json")
        files.write_json(path / "trainer_state.json", {**state, "max_steps": STEPS + 4})
    configs.save(config(max_steps=STEPS + 4), folder / "config.toml")
    again, _, recalled = work(folder)
    beyond = (again.began[0] - recalled) - (fresh.began[0] - called)
    return {"resume_steps": round(beyond / statistics.median(fresh.steps), 2)}


def main() -> None:
    """Print the ratios with what is claimed of them as JSON."""
    models = settings().models_dir
    with tempfile.TemporaryDirectory() as place:
        (Path(place) / "models").symlink_to(models, target_is_directory=True)
        os.environ["YUAN_DATA_DIR"] = place
        settings.cache_clear()
        report = {"device": loading.device(), **against_bare(), **against_fixed_padding(), **resuming()}
    claims = {"worker_to_bare": 0.97, "rows_ratio": 1.8, "resume_steps": 2, "auto_to_float32": 1.3}
    print(json.dumps({**report, "claims": claims}, indent=1))


if __name__ == "__main__":
    main()
