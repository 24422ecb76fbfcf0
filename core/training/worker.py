"""The worker process of one run: ``python -m core.training.worker RUN_DIR``. It outlives whoever started it."""

import json
import logging
import random
import shutil
import sys
import time
from pathlib import Path
from typing import Any

from core import files, jobs, queue
from core.errors import UserError
from core.models import cards, loading
from core.training import config as configs
from core.training import runs
from core.training.config import TrainConfig
from core.training.data import datasets
from core.training.examples import Collator, answer_loss, examples


def main(folder: Path) -> None:
    """Train the run in ``folder`` and leave its adapter, metrics and state there."""
    with jobs.reporting(folder):
        config = configs.load(str(folder / "config.toml"))
        with queue.device(folder):
            jobs.update(folder, status=jobs.RUNNING, stage="load", started=time.time())
            result = train(folder, config)
        stopped = jobs.stop_asked(folder)
        jobs.update(folder, status=jobs.STOPPED if stopped else jobs.FINISHED, finished=time.time(), **result)


def train(folder: Path, config: TrainConfig) -> dict[str, Any]:
    """Fine-tune as the config says.

    Returns:
        {"train_loss": mean of the run's last tenth, "eval_loss", "step", "steps", "adapter": bool}.
    """
    import torch
    import transformers
    from peft import get_peft_model
    from transformers import PrinterCallback

    transformers.set_seed(config.seed)
    card = cards.card(config.model)
    model, tokenizer = loading.load_generator(card, lambda step, share: _stage(folder, step, share))
    data = datasets.read(folder / "data")
    sample = random.Random(config.seed).sample(data.test, min(config.eval_rows, len(data.test)))
    train_rows, eval_rows = (
        [made for row in part for made in examples(tokenizer, row, config.max_length)] for part in (data.train, sample)
    )
    jobs.update(folder, measured=len(eval_rows))
    model.requires_grad_(False)
    model = get_peft_model(model, _lora(config, model))
    model.print_trainable_parameters()
    checkpoint = _rewind(folder)
    reporter = _reporter(folder)
    trainer = _trainer_class(reporter)(
        model=model,
        args=_arguments(folder, config, torch.cuda.is_available(), bool(eval_rows)),
        train_dataset=train_rows,
        eval_dataset=eval_rows or None,
        data_collator=Collator(tokenizer.pad_token_id),
        processing_class=tokenizer,
        callbacks=[reporter],
    )
    trainer.remove_callback(PrinterCallback)  # the reporter writes the log
    if eval_rows and not checkpoint:
        _stage(folder, "measure", 0.0)
        trainer.evaluate()  # where the curve starts
    trainer.train(resume_from_checkpoint=checkpoint)
    _stage(folder, "save", 0.0)
    _save_adapter(model, folder)
    return {**reporter.result(), "adapter": True}


def _stage(folder: Path, step: str, share: float) -> None:
    jobs.update(folder, stage=step, share=round(share, 2))


def _rewind(folder: Path) -> str | None:
    """The checkpoint to go on from, if any; the points logged after it are dropped, for they will come again."""
    checkpoint = runs.last_checkpoint(folder)
    if checkpoint is None:
        return None
    reached = int(checkpoint.name.rpartition("-")[2])
    kept = [point for point in files.read_jsonl(folder / "metrics.jsonl") if point["step"] <= reached]
    files.write_text(folder / "metrics.jsonl", "".join(json.dumps(point) + "\n" for point in kept))
    return str(checkpoint)


def _lora(config: TrainConfig, model: Any) -> Any:
    import torch
    from peft import LoraConfig

    names = [name for name, module in model.named_modules() if isinstance(module, torch.nn.Linear)]
    unknown = [t for t in config.target_modules if not any(f".{name}".endswith(f".{t}") for name in names)]
    if unknown:
        raise UserError(
            "{model} has no layers named {unknown}.",
            "Choose among: {known}.",
            model=config.model,
            unknown=", ".join(unknown),
            known=", ".join(dict.fromkeys(name.rpartition(".")[2] for name in names)),
        )
    return LoraConfig(
        r=config.rank,
        lora_alpha=config.alpha,
        lora_dropout=config.dropout,
        target_modules=config.target_modules,
        task_type="CAUSAL_LM",
    )


def _arguments(folder: Path, config: TrainConfig, gpu: bool, evaluating: bool) -> Any:
    from transformers import TrainingArguments

    return TrainingArguments(
        output_dir=str(folder / "checkpoints"),
        per_device_train_batch_size=config.batch_size,
        per_device_eval_batch_size=config.batch_size,
        gradient_accumulation_steps=config.accumulation,
        learning_rate=config.learning_rate,
        num_train_epochs=config.epochs,
        max_steps=config.max_steps or -1,
        lr_scheduler_type="cosine",
        warmup_steps=config.warmup,
        weight_decay=0.0,
        max_grad_norm=1.0,
        logging_steps=1,
        logging_nan_inf_filter=False,
        eval_strategy="steps" if evaluating else "no",
        eval_steps=config.eval_steps,
        save_strategy="steps",
        save_steps=config.eval_steps,
        save_total_limit=1,
        seed=config.seed,
        bf16=gpu,
        use_cpu=loading.device() == "cpu",
        remove_unused_columns=False,
        label_names=["labels"],
        report_to=[],
        disable_tqdm=True,
    )


def _trainer_class(reporter: Any) -> Any:
    from transformers import Trainer

    class AnswerTrainer(Trainer):
        model_accepts_loss_kwargs = True  # gradients accumulated over passes weigh every answer token the same

        def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, num_items_in_batch: Any = None):
            if model.training:
                reporter.tokens += int(inputs["attention_mask"].sum())
            loss = answer_loss(model, inputs, num_items_in_batch if model.training else None)
            return (loss, {}) if return_outputs else loss

        def prediction_step(self, model: Any, inputs: Any, *_: Any, **__: Any) -> Any:
            import torch

            with torch.no_grad():
                loss = self.compute_loss(model, self._prepare_inputs(inputs))
            return loss.detach(), None, None

    return AnswerTrainer


def _reporter(folder: Path) -> Any:
    """A Trainer callback that keeps ``metrics.jsonl`` and ``state.json`` current and obeys a stop."""
    from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def __init__(self) -> None:
            self.tokens = 0
            self.losses: list[float] = [
                row["loss"] for row in files.read_jsonl(folder / "metrics.jsonl") if "loss" in row
            ]
            self.last: dict[str, Any] = {}

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began, self.first = time.time(), state.global_step
            jobs.update(folder, stage="train", step=state.global_step, steps=state.max_steps)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            point: dict[str, Any] = {"step": state.global_step, "time": round(time.time(), 2)}
            if "eval_loss" in logs:
                self.last["eval_loss"] = point["eval_loss"] = logs["eval_loss"]
            elif "loss" in logs:
                if logs["loss"] != logs["loss"]:
                    raise _diverged()
                self.losses.append(logs["loss"])
                point |= {key: logs[key] for key in ("loss", "learning_rate", "grad_norm", "epoch") if key in logs}
                point["tokens"] = self.tokens
            else:
                return
            files.append_jsonl(folder / "metrics.jsonl", point)
            logging.getLogger("yuan").info("%s", {k: v for k, v in point.items() if k != "time"})

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            elapsed, done = time.time() - self.began, state.global_step - self.first
            self.last |= {"step": state.global_step, "steps": state.max_steps}
            jobs.update(
                folder,
                **self.last,
                elapsed=round(elapsed, 1),
                eta=round(elapsed / done * (state.max_steps - state.global_step), 1),
                tokens_per_second=round(self.tokens / elapsed, 1),
            )
            if jobs.stop_asked(folder):
                control.should_save = control.should_training_stop = True

        def result(self) -> dict[str, Any]:
            last = self.losses[-max(1, len(self.losses) // 10) :]
            return {**self.last, "train_loss": round(sum(last) / len(last), 4) if last else None}

    return Reporter()


def _diverged() -> UserError:
    return UserError("The loss is not a number any more: the training diverged.", "Use a lower learning rate.")


def _save_adapter(model: Any, folder: Path) -> None:
    aside, old = folder / ".adapter", folder / ".adapter-old"
    for leftover in (aside, old):
        shutil.rmtree(leftover, ignore_errors=True)
    model.save_pretrained(aside)
    if (folder / "adapter").exists():  # a run that was stopped and resumed
        (folder / "adapter").rename(old)
    aside.rename(folder / "adapter")
    shutil.rmtree(old, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve())
