"""The memory estimate of fine-tuning against measured peaks: each point is trained in a process of its own.

Rows are full: every one has the batch's length, and its last ``answer`` tokens are learned. The peak is the highest
resident set of that process (on a GPU: of torch's allocator). The claim: estimate within 20 % of the peak.
Run: python -m benchmarks.training_memory
"""

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

from core.models import cards, store
from core.training import config as configs
from core.training import footprint

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
    from peft import LoraConfig, get_peft_model

    from core.models import loading
    from core.training import trainer
    from core.training.examples import IGNORE, answer_loss

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
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-4)
    ids = torch.randint(100, 1000, (config.batch_size, config.max_length))
    labels = ids.clone()
    labels[:, :-answer] = IGNORE
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": labels}
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=trainer.in_bfloat16(config))
    few = {name: tensor[:1, -8:] for name, tensor in inputs.items()}
    for batch in (few, inputs):  # the first makes the optimizer's state, the second the peak
        began = time.perf_counter()
        with autocast:
            loss = answer_loss(model, batch)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    # Not ru_maxrss: a process starts with that of whoever started it.
    status = Path("/proc/self/status").read_text("utf-8")
    peak = 1024 * int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0])
    return {"peak": float(peak), "seconds": time.perf_counter() - began}


def measure(point: dict[str, Any], model: str) -> dict[str, float]:
    """:func:`train` in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.training_memory", json.dumps(point), model]
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


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(train(*settings_of(json.loads(sys.argv[1]), sys.argv[2]))))
    else:
        main()
