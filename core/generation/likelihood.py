"""How likely a model finds given answers: the log-probability of each of their tokens after a prompt.

One forward pass over a batch, without sampling. Rows are padded on the model's own side, as for generation.
"""

import inspect
from collections.abc import Iterator, Sequence
from typing import Any

from core.generation.prompts import Message, encode, longest_prompt

CELLS = 2**26
"""Logits held at once: a quarter of a gigabyte in float32 (500 tokens of an answer by Yuan's vocabulary of 135,040)."""
Row = tuple[list[int], list[int]]
"""Token ids of a prompt, and of the answer after it."""


def row(tokenizer: Any, config: Any, messages: list[Message], answer: str) -> Row | None:
    """A conversation and the answer to it in tokens, the answer's end left aside.

    Args:
        config: the model's.

    Returns:
        None where the answer has no token, or no room behind its prompt.
    """
    ids = tokenizer(answer, add_special_tokens=False)["input_ids"]
    prompt = encode(tokenizer, messages)
    return (prompt, ids) if ids and len(prompt) <= longest_prompt(config, len(ids)) else None


def log_probabilities(
    model: Any, tokenizer: Any, rows: Sequence[Row], adapters: Sequence[str] | None = None
) -> list[list[float]]:
    """Natural logarithms of the probability of each token of each answer, given the prompt and the tokens before it.

    Args:
        model: causal, or an encoder with a decoder; in eval mode.
        tokenizer: pads on the side that the model needs.
        rows: with at least one token each in prompt and answer.
        adapters: PEFT's name for each row; None: all rows go through the model as it is.
    """
    import torch

    run = _decoded if model.config.is_encoder_decoder else _continued
    found: list[list[float]] = [[] for _ in rows]
    for places in _batches(rows, model.config.vocab_size):
        part = [rows[place] for place in places]
        names = {} if adapters is None else {"adapter_names": [adapters[place] for place in places]}
        with torch.inference_mode():
            logits = run(model, tokenizer, part, names)
            for place, own in zip(places, logits, strict=True):
                own, ids = own.float(), torch.tensor(rows[place][1], device=own.device)
                found[place] = (own.gather(1, ids[:, None])[:, 0] - own.logsumexp(-1)).tolist()
    return found


def _batches(rows: Sequence[Row], vocabulary: int) -> Iterator[list[int]]:
    """Places of rows of like length, as many together as ``CELLS`` allow, one at least."""
    places: list[int] = []
    longest = 0
    for place in sorted(range(len(rows)), key=lambda place: sum(map(len, rows[place]))):
        wider = max(longest, len(rows[place][1]) + 1)
        if places and (len(places) + 1) * wider * vocabulary > CELLS:
            yield places
            places, wider = [], len(rows[place][1]) + 1
        places.append(place)
        longest = wider
    if places:
        yield places


def _continued(model: Any, tokenizer: Any, rows: Sequence[Row], names: dict[str, Any]) -> Iterator[Any]:
    """Logits at the place before each token of the answer, row by row: (tokens, vocabulary)."""
    batch = tokenizer.pad({"input_ids": [prompt + answer for prompt, answer in rows]}, return_tensors="pt")
    batch = batch.to(model.device)
    longest = max(len(answer) for _, answer in rows)
    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    known = inspect.signature(whole.forward).parameters
    more: dict[str, Any] = {}
    if "position_ids" in known:
        more["position_ids"] = (batch["attention_mask"].cumsum(1) - 1).clamp(min=0)
    if "logits_to_keep" in known:  # the head over the whole prompt is a good part of the work
        more["logits_to_keep"] = longest + 1
    ids = {name: batch[name] for name in ("input_ids", "attention_mask")}
    logits = model(**ids, **more, **names, use_cache=False).logits[:, -longest - 1 : -1]
    return (logits[number, longest - len(answer) :] for number, (_, answer) in enumerate(rows))


def _decoded(model: Any, tokenizer: Any, rows: Sequence[Row], names: dict[str, Any]) -> Iterator[Any]:
    """The same of a decoder that has read the prompt; it begins with a token of its own."""
    import torch

    batch = tokenizer.pad({"input_ids": [prompt for prompt, _ in rows]}, return_tensors="pt").to(model.device)
    longest = max(len(answer) for _, answer in rows)
    labels = torch.tensor([answer + [-100] * (longest - len(answer)) for _, answer in rows], device=model.device)
    ids = {name: batch[name] for name in ("input_ids", "attention_mask")}
    logits = model(**ids, labels=labels, **names, use_cache=False).logits
    return (logits[number, : len(answer)] for number, (_, answer) in enumerate(rows))
