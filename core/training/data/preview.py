"""A data set as the model will see it: tokens masked or learned, lengths, and what an epoch and a run come to."""

import math
from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import Any

from core.training.data.columns import Row
from core.training.examples import IGNORE, Example, examples

Piece = tuple[str, bool]
"""Text of one token (or of the few that make up one character), and whether it is learned."""


def pieces(tokenizer: Any, example: Example) -> list[Piece]:
    """An example's tokens in order; joined, they are what the tokenizer makes of the whole."""
    found: list[Piece] = []
    pairs = zip(example["input_ids"], example["labels"], strict=True)
    for learned, run in groupby(pairs, key=lambda pair: pair[1] != IGNORE):
        waiting: list[int] = []
        for token, _ in run:
            waiting.append(token)
            text = tokenizer.decode(waiting, skip_special_tokens=False, clean_up_tokenization_spaces=False)
            if not text.endswith("\ufffd"):  # else the token is the beginning of a character
                found.append((text, learned))
                waiting = []
        if waiting:
            found.append((tokenizer.decode(waiting, clean_up_tokenization_spaces=False), learned))
    return found


def shown(tokenizer: Any, rows: Sequence[Row], max_length: int, learn: str = "answers") -> list[list[Piece]]:
    """The rows' examples, template applied and cut to ``max_length``, as pieces."""
    return [pieces(tokenizer, made) for row in rows for made in examples(tokenizer, row, max_length, learn)]


def lengths(tokenizer: Any, rows: Iterable[Row], learn: str = "answers") -> list[int]:
    """Tokens of every example the rows make, before anything is cut off."""
    return [len(made["input_ids"]) for row in rows for made in examples(tokenizer, row, 10**9, learn)]


def histogram(tokens: Sequence[int], max_length: int, bins: int = 40) -> dict[str, Any]:
    """How long the examples are.

    Returns:
        {"edges": bins + 1 whole numbers of tokens, "counts": examples from one edge to before the next, "beyond":
        how many are longer than ``max_length``, "share": the same as a part of 1, "median", "longest"}.
    """
    width = max(1, math.ceil((max(tokens) + 1) / bins))
    counts = [0] * math.ceil((max(tokens) + 1) / width)
    for length in tokens:
        counts[length // width] += 1
    beyond = sum(length > max_length for length in tokens)
    return {
        "edges": [width * place for place in range(len(counts) + 1)],
        "counts": counts,
        "beyond": beyond,
        "share": beyond / len(tokens),
        "median": sorted(tokens)[len(tokens) // 2],
        "longest": max(tokens),
    }


def plan(
    tokens: Sequence[int],
    max_length: int,
    batch_size: int,
    accumulation: int = 1,
    epochs: float = 1,
    max_steps: int = 0,
) -> dict[str, int]:
    """What a run over examples of these lengths comes to, on one device.

    Args:
        max_steps: goes before the epochs; 0: as many as they need.

    Returns:
        {"epoch_tokens": after cutting, padding not counted, "epoch_steps": optimizer steps, "steps": of the run}.
    """
    passes = math.ceil(len(tokens) / batch_size)
    epoch_steps = max(1, math.ceil(passes / accumulation))
    return {
        "epoch_tokens": sum(min(length, max_length) for length in tokens),
        "epoch_steps": epoch_steps,
        "steps": max_steps or math.ceil(epochs * epoch_steps),
    }
