"""The transformers Trainer for a task: its loss, batches of like length, and measuring that disturbs nothing."""

import logging
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from core import files
from core.models import IMPORTING, loading, placement
from core.training import callbacks, methods, reporting
from core.training.config import TrainConfig
from core.training.examples import Example
from core.training.tasks import Task

OPTIMIZERS = {"adamw": "adamw_torch_fused", "paged-adamw-8bit": "paged_adamw_8bit", "adafactor": "adafactor"}
SCHEDULES = {"cosine": "cosine", "linear": "linear", "constant": "constant_with_warmup"}


def make(
    folder: Path, config: TrainConfig, task: Task, train: Sequence[Example], test: Sequence[Example], asked: list[str]
) -> Any:
    """A Trainer for the task, with the callbacks the config asks for; ``trainer.reporter`` has the run's figures.

    Args:
        test: what is measured on the way; empty: nothing is.
        asked: the prompts answered at every measurement.

    Raises:
        UserError: a program to report to that is not installed.
    """
    with IMPORTING:
        from transformers import EarlyStoppingCallback, PrinterCallback

    extra = [callbacks.keeping(config.keep_checkpoints)]
    if config.method == "gradual":
        extra.append(methods.unfreezing(task.model, config))
    if config.early_stopping and test:
        extra.append(EarlyStoppingCallback(config.early_stopping))
    args = arguments(folder, config, bool(test))
    trainer = _class(folder, task, list(test), asked)(
        model=task.model,
        args=args,
        train_dataset=list(train),
        eval_dataset=list(test) or None,
        data_collator=task.collator(),
        processing_class=task.tokenizer,
        callbacks=[*extra, *reporting.callbacks(folder, config)],
    )
    trainer.reporter = callbacks.reporter(folder)
    trainer.add_callback(trainer.reporter)
    trainer.remove_callback(PrinterCallback)  # the reporter writes the log
    return trainer


def go(trainer: Any, checkpoint: Path | None, best: bool = False) -> None:
    """Train to the end, from the checkpoint on where there is one.

    Args:
        best: end with the weights of the lowest test loss. (The Trainer's own way to this deletes the last checkpoint,
            which a stopped run needs to go on.)
    """
    reached = files.read_json(checkpoint / "trainer_state.json") if checkpoint else None
    if checkpoint and reached and (reached["global_step"] >= reached["max_steps"] or _given_up(trainer, reached)):
        # Given the checkpoint of its last step, the Trainer would make one more.
        trainer.state = trainer.state.load_from_json(str(checkpoint / "trainer_state.json"))
        trainer.reporter.last |= {"step": reached["global_step"], "steps": reached["max_steps"]}
        trainer._load_from_checkpoint(str(checkpoint))
    else:
        trainer.train(resume_from_checkpoint=str(checkpoint) if checkpoint else None)
    if best and trainer.state.best_model_checkpoint:
        trainer._load_from_checkpoint(trainer.state.best_model_checkpoint)


def _given_up(trainer: Any, reached: dict[str, Any]) -> bool:
    """Whether early stopping had ended the run at its checkpoint; if not, it counts on from there.

    (The Trainer's own way to this restores a person's stop, too.)
    """
    from transformers import EarlyStoppingCallback

    for callback in trainer.callback_handler.callbacks:
        if isinstance(callback, EarlyStoppingCallback):
            kept = reached["stateful_callbacks"]["EarlyStoppingCallback"]["attributes"]
            callback.early_stopping_patience_counter = kept["early_stopping_patience_counter"]
            return callback.early_stopping_patience_counter >= callback.early_stopping_patience
    return False


def arguments(folder: Path, config: TrainConfig, measuring: bool) -> Any:
    """The config in the Trainer's words."""
    with IMPORTING:
        from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        lr_scheduler_type=SCHEDULES[config.scheduler],
        warmup_steps=config.warmup,
        optim=_optimizer(config),
        weight_decay=config.weight_decay,
        max_grad_norm=1.0,
        gradient_checkpointing=config.checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if config.checkpointing else None,
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if measuring else "no",
        eval_steps=config.eval_steps,
        save_strategy="steps",
        save_steps=config.eval_steps,
        metric_for_best_model="eval_loss" if measuring else None,
        greater_is_better=False if measuring else None,
        seed=config.seed,
        bf16=in_bfloat16(config),
        use_cpu=loading.device() == "cpu",
        remove_unused_columns=False,
        label_names=["labels"],
        **reporting.known_to_the_trainer(folder, config),
        run_name=config.name,
        disable_tqdm=True,
    )


def in_bfloat16(config: TrainConfig) -> bool:
    """Whether passes are computed in bfloat16 (autocast; trained weights stay float32).

    "auto" takes it where the device multiplies it itself: on a CPU with AVX-512's, SmolLM2's steps take 0.63 of their
    time in float32 at the same loss.
    """
    return config.precision == "bfloat16" or (
        config.precision == "auto" and placement.multiplies_bfloat16(loading.device())
    )


def _optimizer(config: TrainConfig) -> str:
    if config.optimizer == "paged-adamw-8bit" and not loading.device().startswith("cuda"):
        logging.getLogger("yuan").warning("paged-adamw-8bit needs an NVIDIA GPU: adamw is used instead.")
        return OPTIMIZERS["adamw"]
    return OPTIMIZERS[config.optimizer]


@contextmanager
def undisturbed(model: Any) -> Iterator[None]:
    """Eval mode and no gradients inside; afterwards the random numbers go on as if nothing had been."""
    import numpy as np
    import torch

    states = random.getstate(), np.random.get_state()
    training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(), torch.no_grad():
            yield
    finally:
        model.train(training)
        random.setstate(states[0])
        np.random.set_state(states[1])


def _class(folder: Path, task: Task, test: list[Example], asked: list[str]) -> Any:
    with IMPORTING:
        from transformers import Trainer

    class TaskTrainer(Trainer):
        model_accepts_loss_kwargs = True  # gradients accumulated over passes weigh every answer token the same
        reporter: Any
        control: Any

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None):
            self.reporter.tokens += int(inputs["attention_mask"].sum())
            return task.loss(inputs, num_items_in_batch)

        def evaluate(self, *_: Any, **__: Any) -> dict[str, float]:
            with undisturbed(self.model):
                batches = [self._prepare_inputs(batch) for batch in self._test_batches()]
                with self.compute_loss_context_manager():
                    figures = task.measure(batches)
                if asked:  # without autocast, which would convert all weights again for every token
                    callbacks.sample(folder, self.state.global_step, asked, task.answers(asked))
            self.log(dict(figures))
            self.control = self.callback_handler.on_evaluate(self.args, self.state, self.control, figures)
            return figures

        def _test_batches(self) -> list[dict[str, Any]]:
            rows = sorted(test, key=lambda row: len(row["input_ids"]))
            size = self.args.per_device_eval_batch_size
            return [self.data_collator(rows[at : at + size]) for at in range(0, len(rows), size)]

        def _get_train_sampler(self, train_dataset: Any = None) -> Any:
            lengths = [len(row["input_ids"]) for row in self.train_dataset]
            size = self.args.train_batch_size * self.args.gradient_accumulation_steps
            steps = -(-len(lengths) // size)
            return Order(
                lengths,
                size if task.config.group_by_length else 1,
                task.config.seed,
                lambda: self.state.global_step // steps,
            )

    return TaskTrainer


class Order:
    """The order of the rows in an epoch, by seed and epoch alone: a resumed run finds the place it was at.

    Rows are shuffled; where ``size`` is above 1, those of up to 50 steps are then sorted by length, so that a step's
    rows need little padding, and the steps shuffled again, so that no run of steps sees only long rows.

    Args:
        lengths: tokens of each row.
        size: rows of a step.
        epoch: tells the number of the epoch that begins.
    """

    def __init__(self, lengths: Sequence[int], size: int, seed: int, epoch: Any) -> None:
        self.lengths, self.size, self.seed, self.epoch = lengths, size, seed, epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        draw = random.Random(f"{self.seed} {self.epoch()}")
        rows = draw.sample(range(len(self.lengths)), len(self.lengths))
        if self.size == 1:
            return iter(rows)
        stretch = self.size * min(50, max(1, len(rows) // (4 * self.size)))
        steps: list[list[int]] = []
        for at in range(0, len(rows), stretch):
            near = sorted(rows[at : at + stretch], key=lambda row: self.lengths[row])
            steps += [near[first : first + self.size] for first in range(0, len(near), self.size)]
        # The last step of an epoch may be short, and the Trainer expects it at the end.
        short = [step for step in steps if len(step) < self.size]
        whole = [step for step in steps if len(step) == self.size]
        draw.shuffle(whole)
        return iter([row for step in (*whole, *short) for row in step])
