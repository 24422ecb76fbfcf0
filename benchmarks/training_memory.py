"""The memory estimate of fine-tuning against measured peaks: each point is trained in a process of its own.

Rows are full: every one has the batch's length, and its last ``answer`` tokens are learned. The peak is the highest
resident set of that process (on a GPU: of torch's allocator). The claim: estimate within 20 % of the peak.

With ``--growth``, what a run's memory does over 120 steps of one row, of 24 to 151 tokens in no order, padded as a run
pads them and not at all. The claim: from step 30 on it grows by at most 5 %.
Run: python -m benchmarks.training_memory [--growth]
"""

import json
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from core.models import cards, store
from core.training import config as configs
from core.training import footprint

STEPS = 120
POINTS: list[dict[str, Any]] = [
    {"batch_size": 1, "max_length": 128, "answer": 32},
    {"batch_size": 2, "max_length": 256},
    {"batch_size": 4, "max_length": 256, "answer": 32},
    {"batch_size": 2, "max_length": 256, "answer": 32, "dropout": 0.1},
    {"batch_size": 2, "max_length": 256, "answer": 32, "rank": 64},
    {"batch_size": 2, "max_length": 256, "answer": 32, "target_modules": ["q_proj", "v_proj"]},
    {"batch_size": 2, "max_length": 256, "answer": 32, "checkpointing": True},
    {"batch_size": 2, "max_length": 256, "answer": 32, "precision": "float32"},
    {"batch_size": 2, "max_length": 128, "answer": 32, "method": "full"},
]
"""Settings of each point; "answer" is the number of learned tokens (default: all of the row)."""


def train(config: configs.TrainConfig, answer: int) -> dict[str, float]:
    """A small step and a full one in this very process; returns the bytes of its peak, and the full step's seconds."""
    import time

    import torch

    from core.training.examples import IGNORE

    step = _steps(config)
    ids = torch.randint(100, 1000, (config.batch_size, config.max_length))
    labels = ids.clone()
    labels[:, :-answer] = IGNORE
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    step({name: tensor[:1, -8:] for name, tensor in inputs.items()})  # makes the optimizer's state
    began = time.perf_counter()
    step(inputs)
    # Not ru_maxrss: a process starts with that of whoever started it.
    return {"peak": float(_resident("VmHWM")), "seconds": time.perf_counter() - began}


def grow(padded: bool) -> dict[str, Any]:
    """Gigabytes of this process after every 30 steps of changing lengths, and the seconds of all."""
    import random
    import time

    from core.training import examples

    if not padded:
        examples.MULTIPLE = 1
    draw, collate = random.Random(3), examples.Collator(0)
    step, held = _steps(configs.make({"dataset": "none", "model": store.default_generator().name}).resolved()), []
    began = time.process_time()
    for number in range(1, STEPS + 1):
        length = draw.randrange(24, 152)
        ids = [draw.randrange(100, 1000) for _ in range(length)]
        step(collate([{"input_ids": ids, "labels": [examples.IGNORE] * (length - 12) + ids[-12:]}]))
        held += [round(_resident("VmRSS") / 1e9, 3)] if number % 30 == 0 else []
    return {"gigabytes": held, "processor_seconds": round(time.process_time() - began, 1)}


def _steps(config: configs.TrainConfig) -> Callable[[dict[str, Any]], None]:
    """The model in memory, and what makes a step of a batch."""
    import torch
    from peft import LoraConfig, get_peft_model

    from core.models import loading
    from core.training import trainer
    from core.training.examples import answer_loss

    model, _ = loading.load_generator(cards.card(config.model))
    if config.method == "full":
        model.requires_grad_(True)
    else:
        model = get_peft_model(
            model,
            LoraConfig(
                r=config.rank,
                lora_dropout=config.dropout,
                target_modules=config.target_modules,
                task_type="CAUSAL_LM",
            ),
        )
    if config.checkpointing:
        model.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
        model.enable_input_require_grads()
    model.train()
    optimizer = torch.optim.AdamW([weight for weight in model.parameters() if weight.requires_grad], lr=1e-4)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=trainer.in_bfloat16(config))

    def step(inputs: dict[str, Any]) -> None:
        with autocast:
            loss = answer_loss(model, inputs)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()

    return step


def _resident(which: str) -> int:
    """Bytes of this process's resident set, now (VmRSS) or at its highest (VmHWM)."""
    return 1024 * int(re.findall(rf"{which}:\s+(\d+) kB", Path("/proc/self/status").read_text("utf-8"))[0])


def measure(point: dict[str, Any], model: str) -> dict[str, float]:
    """:func:`train` in a process of its own."""
    found: dict[str, float] = _apart(json.dumps(point), model)
    return found


def _apart(*asked: str) -> Any:
    command = [sys.executable, "-m", "benchmarks.training_memory", *asked]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout.splitlines()[-1])


def settings_of(point: dict[str, Any], model: str) -> tuple[configs.TrainConfig, int]:
    """The config of a point, and its number of learned tokens a row."""
    values = {key: value for key, value in point.items() if key != "answer"}
    config = configs.make({"dataset": "none", "model": model, "dropout": 0.0, **values}).resolved()
    return config, point.get("answer", config.max_length)


def main() -> None:
    """Print one line of JSON for each point, and a closing one with the worst ratio."""
    model = store.default_generator().name
    worst = 1.0
    for point in POINTS:
        config, answer = settings_of(point, model)
        told, peak = footprint.need(config, answer=answer).total, measure(point, model)["peak"]
        worst = max(worst, told / peak, peak / told)
        print(json.dumps({**point, "estimate": told, "peak": int(peak), "ratio": round(told / peak, 3)}), flush=True)
    print(json.dumps({"model": model, "worst": round(worst, 3), "claim": 1.2}))


def growth() -> None:
    """Print both ways as JSON, and by how much a run grows."""
    ways = {name: _apart("--grow", name) for name in ("padded", "as-they-are")}
    first, *_, last = ways["padded"]["gigabytes"]
    print(json.dumps({**ways, "growth": round(last / first, 3), "claim": 1.05}))


if __name__ == "__main__":
    if sys.argv[1:] == ["--growth"]:
        growth()
    elif sys.argv[1:2] == ["--grow"]:
        print(json.dumps(grow(sys.argv[2] == "padded")))
    elif len(sys.argv) > 1:
        print(json.dumps(train(*settings_of(json.loads(sys.argv[1]), sys.argv[2]))))
    else:
        main()
