"""Reading a batch's prompts on a CPU: those of like length together, so that no short one is padded to a long one.

A question without its passages beside the same with them is the common batch here, and a CPU computes the padding like
any other token. What each group has left in its cache becomes one cache for the whole batch, as if it had been read at
once. A GPU hardly notices the padding.
"""

import inspect
from collections.abc import Sequence
from typing import Any

from core.models import IMPORTING

PASS = 64
"""Tokens that could be read while a further pass over the weights is made."""


def groups(lengths: Sequence[int]) -> list[list[int]]:
    """Places of the rows that are read together, so that padding and passes cost as few tokens as possible.

    Args:
        lengths: tokens of each row.
    """
    order = sorted(range(len(lengths)), key=lengths.__getitem__)
    best: list[tuple[int, int]] = [(0, 0)]  # cost of the first n rows of the order, and where their last group begins
    for end in range(1, len(order) + 1):
        longest = lengths[order[end - 1]]
        best.append(min((best[begin][0] + (end - begin) * longest + PASS, begin) for begin in range(end)))
    found: list[list[int]] = []
    end = len(order)
    while end:
        begin = best[end][1]
        found.append(order[begin:end])
        end = begin
    return found


def read(model: Any, batch: Any, adapters: Sequence[str] | None = None) -> Any:
    """A cache with all but the last token of each prompt, to generate on from.

    Args:
        batch: ``input_ids`` and ``attention_mask`` of shape (rows, longest prompt), padded on the left.
        adapters: PEFT's name for each row; None: all rows go through the model as it is.

    Returns:
        None where reading all at once is as good, or where the model's cache cannot be put together.
    """
    import torch

    with IMPORTING:
        from transformers import DynamicCache

    whole = model.get_base_model() if hasattr(model, "get_base_model") else model
    if model.device.type != "cpu" or model.config.is_encoder_decoder:
        return None
    ids, mask = batch["input_ids"][:, :-1], batch["attention_mask"][:, :-1]
    lengths = mask.sum(1).tolist()
    parts, move = groups(lengths), _move(whole)
    if len(parts) == 1 or not min(lengths) or move is None:
        return None
    known = inspect.signature(whole.forward).parameters
    caches = []
    for places in parts:
        width = max(lengths[place] for place in places)
        own = mask[places, -width:]
        more: dict[str, Any] = {"logits_to_keep": 1} if "logits_to_keep" in known else {}
        if "position_ids" in known:
            more["position_ids"] = (own.cumsum(1) - 1).clamp(min=0)
        if adapters is not None:
            more["adapter_names"] = [adapters[place] for place in places]
        cache = DynamicCache(config=whole.config)
        with torch.inference_mode():
            model(ids[places, -width:], attention_mask=own, past_key_values=cache, use_cache=True, **more)
            move(cache, ids.shape[1] - width)
        caches.append(cache)
    order = [place for places in parts for place in places]
    return _joined(caches, torch.tensor(order).argsort())


def _move(model: Any) -> Any:
    """What moves a cache of this model to the right by some tokens of padding; None: its kind is not known here."""
    with IMPORTING:
        from transformers import DynamicCache
        from transformers.cache_utils import DynamicLayer

    plain = all(type(layer) is DynamicLayer for layer in DynamicCache(config=model.config).layers)
    return getattr(model, "move_cache", _move_plain if plain else None)


def _move_plain(cache: Any, by: int) -> None:
    from torch.nn.functional import pad

    for layer in cache.layers:
        layer.keys, layer.values = (pad(states, (0, 0, by, 0)) for states in (layer.keys, layer.values))


def _joined(caches: Sequence[Any], order: Any) -> Any:
    """One cache of the rows of all, layer by layer, so that little of them is in memory twice."""
    import torch

    first = caches[0]
    for index, layer in enumerate(first.layers):
        same = [cache.layers[index] for cache in caches]
        layer.keys, layer.values = (
            torch.cat([getattr(other, name) for other in same])[order] for name in ("keys", "values")
        )
        for state in getattr(layer, "conv_states", {}):
            layer.conv_states[state] = torch.cat([other.conv_states[state] for other in same])[order]
        for other in same[1:]:
            other.keys = other.values = None
    return first
