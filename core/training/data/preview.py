"""A data set as the model will see it: tokens masked or learned, lengths, and what an epoch and a run come to."""

import math
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby, pairwise
from typing import Any

from core.training.data.columns import Row
from core.training.examples import IGNORE, examples_for

Piece = tuple[str, bool]
"""Text of one token (or of the few that make up one character), and whether it is learned."""


def shown(tokenizer: Any, rows: Iterable[Row], max_length: int, **how: Any) -> list[list[Piece]]:
    """The rows' examples, template applied and cut to ``max_length``, as pieces.

    What an encoder-decoder writes stands behind what it reads, and a label by its name behind its text.

    Args:
        how: ``task``, ``learn`` and ``labels`` of :func:`core.training.examples.examples_for`.
    """
    task = how.pop("task", "causal")
    found = []
    for row in rows:
        for made in examples_for(task, tokenizer, row, max_length, **how):
            if task == "causal":
                runs = groupby(zip(made["input_ids"], made["labels"], strict=True), lambda pair: pair[1] != IGNORE)
                parts = [([token for token, _ in run], learned) for learned, run in runs]
            else:
                parts = [(made["input_ids"], False)] + ([(made["labels"], True)] if task == "seq2seq" else [])
            pieces = [(text, learned) for ids, learned in parts for text in _texts(tokenizer, ids)]
            found.append([*pieces, (row["label"], True)] if task == "classify" else pieces)
    return found


def _texts(tokenizer: Any, ids: Sequence[int]) -> Iterator[str]:
    """The tokens' texts; those that make up one character together."""
    waiting: list[int] = []
    for token in ids:
        waiting.append(token)
        text = tokenizer.decode(waiting, clean_up_tokenization_spaces=False)
        if not text.endswith("\ufffd"):  # else the token is the beginning of a character
            yield text
            waiting = []
    if waiting:
        yield tokenizer.decode(waiting, clean_up_tokenization_spaces=False)


def lengths(tokenizer: Any, rows: Sequence[Row], most: int = 0, **how: Any) -> list[int]:
    """Tokens of every example the rows make, before anything is cut off; of an encoder-decoder the longer side.

    Args:
        most: rows that are tokenized, drawn evenly, each standing for those up to the next one; 0: all.
        how: as of :func:`shown`.
    """
    task = how.pop("task", "causal")
    drawn = min(most or len(rows), len(rows))
    places = [number * len(rows) // drawn for number in range(drawn + 1)] if drawn else []
    found: list[int] = []
    for place, following in pairwise(places):
        made = examples_for(task, tokenizer, rows[place], 10**9, **how)
        longest = [max(len(one["input_ids"]), len(one["labels"]) if task == "seq2seq" else 0) for one in made]
        found += longest * (following - place)
    return found


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
