"""What a worker tells about its run while it trains: figures, progress, answers on the way, and alerts.

``metrics.jsonl`` has one line per step {"step", "time", "loss", "learning_rate", "grad_norm", "epoch", "tokens" (so
far), "seconds" (of training so far), "memory" (bytes)} and one per measurement {"step", "time", "eval_loss", for
labels also "eval_accuracy", "eval_f1"}; ``samples.jsonl`` one per answer {"step", "prompt", "text", for labels also
"scores"}. Both go on where a resumed run's checkpoint was.
"""

import json
import logging
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from core import files, jobs
from core.errors import UserError
from core.models import IMPORTING, placement

WINDOW = 20
"""Steps over which a loss is averaged before it is called falling or not."""
FALLING = 0.98
RISING = 1.05
LOOK = 0.5  # seconds between two writings of the state: a tiny model makes a hundred steps meanwhile
MEASURED = ("eval_loss", "eval_accuracy", "eval_f1")
Alert = dict[str, Any]


def alerts(losses: Sequence[float], measured: Sequence[float]) -> list[Alert]:
    """What a person should look at now, as codes with values.

    Args:
        losses: of every step so far.
        measured: eval losses so far.

    Returns:
        {"code": "loss_not_falling", "steps", "first", "last"}: the mean of the last 20 steps is no lower than that of
        the first 20; {"code": "eval_rising", "best", "last", "count"}: the last two or more measurements are above
        the lowest one, the last by 5 %.
    """
    found: list[Alert] = []
    if len(losses) >= 2 * WINDOW:
        first, last = sum(losses[:WINDOW]) / WINDOW, sum(losses[-WINDOW:]) / WINDOW
        if last > FALLING * first:
            values = {"steps": len(losses), "first": round(first, 4), "last": round(last, 4)}
            found.append({"code": "loss_not_falling", **values})
    if measured:
        best = min(measured)
        since = len(measured) - 1 - measured.index(best)
        if since >= 2 and measured[-1] > RISING * best:
            values = {"best": round(best, 4), "last": round(measured[-1], 4), "count": since}
            found.append({"code": "eval_rising", **values})
    return found


def rewind(folder: Path, step: int) -> None:
    """Drop what was logged after ``step``: a resumed run makes those steps again."""
    for name in ("metrics.jsonl", "samples.jsonl"):
        kept = [point for point in files.read_jsonl(folder / name) if point["step"] <= step]
        files.write_text(folder / name, "".join(json.dumps(point, ensure_ascii=False) + "\n" for point in kept))


def memory_used() -> int:
    """Bytes this process holds on its device."""
    if placement.device().startswith("cuda"):
        import torch

        return int(torch.cuda.memory_reserved())
    return int(psutil.Process().memory_info().rss)


def reporter(folder: Path) -> Any:
    """A Trainer callback that keeps ``metrics.jsonl`` and ``state.json`` current and obeys a stop.

    The trainer adds the tokens of each pass to its ``tokens``.
    """
    with IMPORTING:
        from transformers import TrainerCallback

    class Reporter(TrainerCallback):
        def __init__(self) -> None:
            points = files.read_jsonl(folder / "metrics.jsonl")
            steps = [point for point in points if "loss" in point]
            self.losses: list[float] = [point["loss"] for point in steps]
            self.measured: list[float] = [point["eval_loss"] for point in points if "eval_loss" in point]
            self.earlier = steps[-1].get("seconds", 0.0) if steps else 0.0
            self.tokens = self.tokens_before = steps[-1]["tokens"] if steps else 0
            figures = [point for point in points if "eval_loss" in point][-1:]
            self.last: dict[str, Any] = {k: v for point in figures for k, v in point.items() if k in MEASURED}
            self.written = 0.0

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.began, self.first = time.perf_counter(), state.global_step
            # The train loss is of the run's end: what it was at an earlier stop says nothing any more.
            jobs.update(folder, stage="train", step=state.global_step, steps=state.max_steps, train_loss=None)

        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **_: Any) -> None:
            point: dict[str, Any] = {"step": state.global_step, "time": round(time.time(), 2)}
            if "eval_loss" in logs:
                point |= {key: logs[key] for key in MEASURED if key in logs}
                self.measured.append(logs["eval_loss"])
                self.last |= {key: point[key] for key in MEASURED if key in point}
            elif "loss" in logs:
                if logs["loss"] != logs["loss"]:
                    raise UserError(
                        "The loss is not a number any more: the training diverged.", "Use a lower learning rate."
                    )
                self.losses.append(logs["loss"])
                point |= {key: logs[key] for key in ("loss", "learning_rate", "grad_norm", "epoch") if key in logs}
                point |= {"tokens": self.tokens, "seconds": round(self.seconds(), 3), "memory": memory_used()}
            else:
                return
            files.append_jsonl(folder / "metrics.jsonl", point)
            logging.getLogger("yuan").info("%s", {k: v for k, v in point.items() if k != "time"})

        def seconds(self) -> float:
            """Of training so far, before a resumption too."""
            return self.earlier + time.perf_counter() - self.began

        def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            self.last |= {"step": state.global_step, "steps": state.max_steps}
            if stop := jobs.stop_asked(folder):
                control.should_save = control.should_training_stop = True
            now = time.perf_counter()
            if stop or now - self.written >= LOOK:
                self.written = now
                jobs.update(folder, **self.progress())

        def on_train_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            jobs.update(folder, **self.progress())

        def progress(self) -> dict[str, Any]:
            """Where the run is; speed and what remains are by this worker's own steps."""
            elapsed = time.perf_counter() - self.began
            done = self.last.get("step", 0) - self.first
            return {
                **self.last,
                "elapsed": round(self.seconds(), 1),
                "eta": round(elapsed / done * (self.last["steps"] - self.last["step"]), 1) if done else None,
                "tokens_per_second": round((self.tokens - self.tokens_before) / elapsed, 1),
                "alerts": alerts(self.losses, self.measured),
            }

        def result(self) -> dict[str, Any]:
            """The last figures; the train loss is the mean of the run's last tenth."""
            last = self.losses[-max(1, len(self.losses) // 10) :]
            return {**self.last, "train_loss": round(sum(last) / len(last), 4) if last else None}

    return Reporter()


def keeping(count: int) -> Any:
    """A Trainer callback that keeps the newest ``count`` checkpoints, and the best one besides.

    The Trainer's own limit counts the best one in, and at a limit of 1 deletes the last one in the end, from which a
    stopped run goes on.
    """
    with IMPORTING:
        from transformers import TrainerCallback

    class Keeping(TrainerCallback):
        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            found = {int(path.name.rpartition("-")[2]): path for path in Path(args.output_dir).glob("checkpoint-*")}
            whole = [step for step, path in sorted(found.items()) if (path / "trainer_state.json").is_file()]
            best = Path(state.best_model_checkpoint or "").name
            for step, path in found.items():
                if step not in whole[-count:] and path.name != best:
                    shutil.rmtree(path, ignore_errors=True)

    return Keeping()


def sample(folder: Path, step: int, prompts: Sequence[str], answers: Sequence[dict[str, Any]]) -> None:
    """Append what the model answers to the prompts at this step."""
    for prompt, answer in zip(prompts, answers, strict=True):
        files.append_jsonl(folder / "samples.jsonl", {"step": step, "prompt": prompt, **answer})
