"""Yuan 2.0: how exact, and how fast, from one run.

    python -m benchmarks.yuan2 --parity DIR      largest deviation per case from a reference checkpoint's own outputs
    python -m benchmarks.yuan2 --tokenizer DIR   differences from the ids of the tokenizer used in training
    python -m benchmarks.yuan2 --speed           ratios at real size with random weights (about 10 GB of memory)

``--speed`` compares with two things of the same run: the time it takes merely to read all weights once (what a
decoding step can at best be), and the published way of computing the model. The published code itself does not run
on current transformers; here stands the same arithmetic in its operations (written-out attention, convolutions over
the sequence), on the same weights.
"""

import argparse
import json
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import nn

from core.yuan2 import YuanConfig, YuanForCausalLM, YuanTokenizer

PROMPT, UNCACHED, STEPS = 128, 136, 16
BOUNDS = {"logits": 1e-4, "relative": 1e-5}


def parity(folder: Path) -> dict[str, float]:
    """Largest absolute deviation of the logits, relative ones of loss and gradients, by case and path.

    Args:
        folder: a checkpoint with ``reference.safetensors``: ``plain``, ``documents``, ``cached`` logits, ``loss``,
            ``grad.*``, ``greedy.*`` and ``beam3.*`` outputs of the published implementation.
    """
    from safetensors.torch import load_file

    reference = load_file(folder / "reference.safetensors")
    report: dict[str, float] = {}
    for attention in ("eager", "sdpa"):
        model = YuanForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=attention).eval()
        with torch.inference_mode():
            for case in ("plain", "documents"):
                for path, logits in _paths(model, reference[f"{case}.input_ids"]):
                    report[f"{attention} {case} {path}"] = _largest(logits, reference[f"{case}.logits"])
            steps = dict(_paths(model, reference["plain.input_ids"][:1]))["token by token"]
            report[f"{attention} cached"] = _largest(steps, reference["cached.logits"])
            report |= _generations(model, attention, reference)
        model.train()
        loss = model(reference["loss.input_ids"], labels=reference["loss.labels"]).loss
        loss.backward()
        report[f"{attention} loss (relative)"] = _relative(loss, reference["loss.value"])
        for name, weight in model.named_parameters():
            if f"grad.{name}" in reference:
                report[f"{attention} gradient {name} (relative)"] = _relative(weight.grad, reference[f"grad.{name}"])
    return report


def _paths(model: Any, ids: torch.Tensor) -> list[tuple[str, torch.Tensor]]:
    from transformers import StaticCache

    def parts(size: int, cache: Any = None) -> torch.Tensor:
        logits = []
        for part in ids.split(size, dim=1):
            out = model(part, past_key_values=cache, use_cache=True)
            cache = out.past_key_values
            logits.append(out.logits)
        return torch.cat(logits, dim=1)

    def static(size: int) -> torch.Tensor:
        return parts(size, StaticCache(config=model.config, max_cache_len=ids.shape[1] + 3))

    return [
        ("uncached", model(ids, use_cache=False).logits),
        ("cached", parts(ids.shape[1])),
        ("token by token", parts(1)),
        ("chunks of 5", parts(5)),
        ("static", static(ids.shape[1])),
        ("static, token by token", static(1)),
    ]


def _generations(model: Any, attention: str, reference: dict[str, torch.Tensor]) -> dict[str, float]:
    """Tokens that differ from the reference's outputs, 0 where they are the same."""
    report = {}
    for index in range(3):
        prompt = reference[f"greedy.{index}.prompt"]
        for kind, beams in (("greedy", 1), ("beam3", 3)):
            wanted = reference[f"{kind}.{index}.output"]
            out = model.generate(prompt, max_length=wanted.shape[1], do_sample=False, num_beams=beams)
            same = out.shape == wanted.shape
            report[f"{attention} {kind} {index} (tokens)"] = float((out != wanted).sum()) if same else float("inf")
    return report


def _largest(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found - wanted).abs().max())


def _relative(found: torch.Tensor, wanted: torch.Tensor) -> float:
    return float((found.detach() - wanted).norm() / wanted.norm())


def tokenizer(folder: Path) -> dict[str, Any]:
    """Texts of ``ids.json`` whose ids differ, and the speed on short texts."""
    rows = json.loads((folder / "ids.json").read_text("utf-8"))
    encode = YuanTokenizer.from_pretrained(folder)
    different = [row["text"] for row in rows if encode(row["text"])["input_ids"] != row["ids"]]
    texts = [row["text"] for row in rows if row["text"]] * 100
    began = time.perf_counter()
    encode(texts)
    speed = len(texts) / (time.perf_counter() - began)
    return {"texts": len(rows), "different": len(different), "which": different, "texts_per_second": round(speed)}


def speed() -> dict[str, Any]:
    """Ratios at the size of Yuan2-2B in float32; what is compared takes turns, and medians count."""
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as name:
        # Made by another process, so that the peak measured here is that of loading and running.
        subprocess.run([sys.executable, "-m", "benchmarks.yuan2", "--make", name], check=True)
        began = time.perf_counter()
        model = YuanForCausalLM.from_pretrained(name, dtype=torch.float32).eval()
        loaded = time.perf_counter() - began
        copied = _memory("RssAnon")
        with torch.inference_mode():
            report = _measure(model)
        weights = sum(weight.numel() * 4 for weight in model.parameters())
        return {
            "parameters": weights // 4,
            "load_seconds": round(loaded, 2),
            "copied_while_loading": round(copied / weights, 3),
            **report,
            "peak_memory_to_weights": round(_memory("VmHWM") / weights, 3),
        }


def _measure(model: Any) -> dict[str, Any]:
    weights = list(model.parameters())
    gigabytes = sum(weight.numel() * 4 for weight in weights) / 1e9
    ids = torch.randint(0, 70000, (4, UNCACHED))
    ours, theirs = nullcontext(), PublishedWay(model)
    floor, single, batch, their_step = _in_turns(
        [
            (ours, lambda: [weight.sum() for weight in weights]),
            (ours, _decoder(model, ids[:1, :PROMPT])),
            (ours, _decoder(model, ids[:, :PROMPT])),
            (theirs, _decoder(model, ids[:1, :PROMPT])),
        ],
        STEPS,
    )
    prefill, their_prefill, their_uncached = _in_turns(
        [
            (ours, lambda: model(ids[:1, :PROMPT], logits_to_keep=1)),
            (theirs, lambda: model(ids[:1, :PROMPT])),
            (theirs, lambda: model(ids[:1], use_cache=False)),
        ],
        3,
    )
    return {
        "weight_streaming_gb_per_second": round(gigabytes / floor, 1),
        "tokens_per_second": round(1 / single, 2),
        "decode_to_floor": round(floor / single, 3),
        "decode_to_published_cached": round(their_step / single, 3),
        "decode_to_published_uncached": round(their_uncached / single, 2),
        "prefill_seconds": round(prefill, 2),
        "prefill_to_published": round(prefill / their_prefill, 3),
        "batch_of_4_to_one": round(4 * single / batch, 2),
    }


def _decoder(model: Any, ids: torch.Tensor) -> Callable[[], Any]:
    """A function that decodes one more token for each row."""
    state = {"cache": model(ids).past_key_values, "next": ids[:, -1:]}

    def step() -> None:
        logits = model(state["next"], past_key_values=state["cache"]).logits
        state["next"] = logits[:, -1:].argmax(-1)

    return step


def _in_turns(works: list[tuple[AbstractContextManager[Any], Callable[[], Any]]], rounds: int) -> list[float]:
    """Median of each one's seconds; they take turns, so that a slow spell of the machine hits all of them."""
    times: list[list[float]] = [[] for _ in works]
    for round_ in range(rounds + 1):
        for (way, work), seconds in zip(works, times, strict=True):
            with way:
                began = time.perf_counter()
                work()
                if round_:  # the first warms up
                    seconds.append(time.perf_counter() - began)
    return [statistics.median(seconds) for seconds in times]


class PublishedWay:
    """Computes the model with the published code's operations while it is entered; same weights, same results."""

    def __init__(self, model: Any) -> None:
        self.model = model

    def __enter__(self) -> None:
        self.attention = self.model.config._attn_implementation
        self.model.set_attn_implementation("eager")
        for module in self.model.modules():
            name = type(module).__name__
            if name == "PairConv":
                module.forward = lambda pairs, conv=module: nn.functional.conv2d(
                    pairs, conv.weight, conv.bias, stride=conv.stride
                )
            elif name == "StreamedLinear":
                module.forward = lambda x, linear=module: nn.functional.linear(x, linear.weight)

    def __exit__(self, *error: object) -> None:
        self.model.set_attn_implementation(self.attention)
        for module in self.model.modules():
            module.__dict__.pop("forward", None)


def make(folder: Path) -> None:
    """Write a random checkpoint of the real size, a layer at a time."""
    from safetensors.torch import save_file

    config = YuanConfig(dtype="float32")
    config.save_pretrained(folder)
    with torch.device("meta"):
        shapes = {name: weight.shape for name, weight in YuanForCausalLM(config).named_parameters()}
    parts: dict[str, dict[str, torch.Tensor]] = {}
    index = {}
    for name, shape in shapes.items():
        part = "-".join(name.split(".")[1:3])
        index[name] = f"model-{part}.safetensors"
        parts.setdefault(index[name], {})[name] = torch.Size(shape)  # type: ignore[assignment]
    for file, wanted in parts.items():
        tensors = {name: torch.empty(shape).normal_(std=0.02) for name, shape in wanted.items()}
        tensors |= {name: torch.ones_like(tensor) for name, tensor in tensors.items() if "norm" in name}
        save_file(tensors, folder / file, {"format": "pt"})
    (folder / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))


def _memory(field: str) -> int:
    """Bytes of a field of this process's status; the peak also where there is no such file (macOS)."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    line = next(line for line in status.read_text().splitlines() if line.startswith(field + ":"))
    return int(line.split()[1]) * 1024


def main() -> None:
    """Run what was asked for and print it as JSON; exit 1 when a parity bound is broken."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--parity", type=Path, metavar="DIR")
    parser.add_argument("--tokenizer", type=Path, metavar="DIR")
    parser.add_argument("--speed", action="store_true")
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    from transformers.utils import logging

    logging.set_verbosity_error()
    logging.disable_progress_bar()
    wrong = False
    if asked.make:
        make(asked.make)
    if asked.parity:
        report = parity(asked.parity)
        bound = lambda case: 0 if "(tokens)" in case else BOUNDS["relative" if "(relative)" in case else "logits"]  # noqa: E731
        wrong = any(value > bound(case) for case, value in report.items())
        print(json.dumps({case: float(f"{value:.3g}") for case, value in report.items()}, indent=1))
        print("all within bounds" if not wrong else "OUT OF BOUNDS")
    if asked.tokenizer:
        found = tokenizer(asked.tokenizer)
        wrong = wrong or found["different"] > 0
        print(json.dumps(found, ensure_ascii=False, indent=1))
    if asked.speed:
        print(json.dumps(speed(), indent=1))
    sys.exit(wrong)


if __name__ == "__main__":
    main()
