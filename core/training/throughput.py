"""How long a run will take: its arithmetic, by what this machine has done in earlier runs or in a second of trying."""

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from core import files, hardware, jobs
from core.models import cards, loading, store
from core.settings import settings
from core.training import footprint, mixing, runs
from core.training.config import TrainConfig
from core.training.data import preview
from core.training.examples import IGNORE, examples, label_example, seq2seq_example

SAMPLE = 256
"""Rows that are tokenised to know how long they are."""
EARLIER = 5
"""Runs of this machine that are looked at, the newest ones."""
LIGHTER = 100
"""A run with so many times less arithmetic for a token tells nothing: its time went into all but arithmetic."""
EFFICIENCY = 0.5
"""Part of a matrix product's speed that training reaches, until a run has told better."""


@dataclass(frozen=True)
class Rows:
    """The rows of a run as far as they matter here.

    Attributes:
        count: training examples.
        longest: tokens of the longest, cut to the config's max length.
        mean: tokens of an average one.
        answer: learned tokens of the longest answer: logits are made for these only.
    """

    count: int
    longest: int
    mean: float
    answer: int


def read(config: TrainConfig) -> tuple[TrainConfig, Rows]:
    """The config resolved for its data, and the data counted; how long its rows are is told by a sample.

    Of a model that is not here, which has no tokenizer yet, every row is taken to be as long as allowed.

    Raises:
        UserError: no such model or data set.
    """
    data = mixing.load(config.dataset, config.mixture, config.seed)
    config = config.resolved(data.kind)
    limit, card = config.max_length, cards.card(config.model)
    if not store.is_ready(card):
        return config, Rows(len(data.train), limit, limit, 1 if config.task == "classify" else limit)
    tokenizer = loading.load_tokenizer(store.directory(card), card)
    sample = data.train[:: max(1, len(data.train) // SAMPLE)]
    if config.task == "classify":
        made: list[dict[str, Any]] = [label_example(tokenizer, row, data.labels, limit) for row in sample]
    elif config.task == "seq2seq":
        made = [seq2seq_example(tokenizer, row, limit) for row in sample]
    else:
        made = [example for row in sample for example in examples(tokenizer, row, limit, config.learn)]
    return config, replace(of(made), count=round(len(data.train) * len(made) / len(sample)))


def of(made: Sequence[dict[str, Any]]) -> Rows:
    """Examples as a task makes them, counted; a class for a label counts as an answer of one token."""
    lengths = [len(example["input_ids"]) for example in made]
    answers = [_span(example["labels"]) if isinstance(example["labels"], list) else 1 for example in made]
    return Rows(len(made), max(lengths), sum(lengths) / len(lengths), max(answers))


def _span(labels: list[int]) -> int:
    """Tokens from the first learned one to the end."""
    return len(labels) - next((at for at, label in enumerate(labels) if label != IGNORE), len(labels))


def steps(config: TrainConfig, rows: Rows) -> int:
    """Optimizer steps of the whole run."""
    return preview.plan([1] * rows.count, 1, config.batch_size, config.accumulation, config.epochs, config.max_steps)[
        "steps"
    ]


def work(config: TrainConfig) -> float:
    """Floating-point operations for a token: two for each weight forward, two back, and two more where it learns."""
    tensors = footprint.parts(config)[1]
    # The embedding is looked up, not multiplied, but a tied one is the head that makes the logits.
    base = cards.card(config.model).parameters or sum(tensor.elements for tensor in tensors.values())
    return base * (4 + (2 if config.checkpointing else 0)) + 2.0 * footprint.trained_weights(config, tensors)


def seconds(config: TrainConfig, rows: Rows) -> float:
    """Time of the whole run without loading and measuring; 0 when nothing is known of this machine yet."""
    speed = known(config)
    a_step = min(config.batch_size * config.accumulation, rows.count)  # a step does not reach beyond its epoch
    tokens = steps(config, rows) * a_step * rows.mean
    return tokens * work(config) / speed if speed else 0.0


def known(config: TrainConfig) -> float:
    """Operations a second in training on this machine: of its newest runs that tell something about one of ``config``.

    Without any, as :func:`calibrate` left it; 0: nothing is known yet.
    """
    found, least = [], work(config) / LIGHTER
    for run in runs.listing():
        told = run.get("tokens_per_second")
        if not told or run["imported"] or run["status"] in jobs.LIVE or run["config"]["model"] not in cards.catalog():
            continue
        if (done := work(TrainConfig(**run["config"]))) < least:
            continue
        found.append(told * done)
        if len(found) == EARLIER:
            break
    if found:
        return float(sorted(found)[len(found) // 2])
    kept = files.read_json(settings().data_dir / "machine.json", {})
    return float(kept.get(hardware.device(), 0.0)) * EFFICIENCY


def calibrate() -> float:
    """Time a matrix product on the device, a second at most, and keep it; returns operations a second."""
    import torch

    where = torch.device(hardware.device())
    size = 1024
    matrix = torch.randn(size, size, device=where)
    times: list[float] = []
    while sum(times) < 0.5 or len(times) < 5:
        began = time.perf_counter()
        matrix = torch.tanh(matrix @ matrix)
        float(matrix[0, 0])  # waits for the device
        times.append(time.perf_counter() - began)
    speed = 2 * size**3 / min(times)  # the best one: the others were disturbed
    path = settings().data_dir / "machine.json"
    files.write_json(path, {**files.read_json(path, {}), str(hardware.device()): speed})
    return speed
