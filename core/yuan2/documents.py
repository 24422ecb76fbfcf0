"""Who may look at whom: padding, documents that an <eod> ends, and documents packed into one row.

Attention and localized filtering each need to know it, in every way of running the model: all at once, in chunks,
token by token, with a growing or a fixed cache.
"""

from dataclasses import dataclass
from typing import Any

import torch
from transformers import Cache
from transformers.masking_utils import create_causal_mask, find_packed_sequence_indices
from transformers.utils.import_utils import is_tracing

from core.yuan2.configuration import YuanConfig


def positions(
    x: torch.Tensor,
    attention_mask: torch.Tensor | dict[str, torch.Tensor] | None,
    cache: Cache | None,
    borders: torch.Tensor | None = None,
) -> torch.Tensor:
    """Position ids (batch or 1, time) for the input ``x`` (batch, time, hidden).

    Counted along a two-dimensional mask, so that a left-padded row has those it has alone; from zero in each document
    between ``borders`` (cumulated lengths, as FlashAttention's ``cu_seq_lens``); else from the cache's length on.
    """
    time = x.shape[1]
    if isinstance(attention_mask, torch.Tensor) and attention_mask.ndim == 2:
        counted = attention_mask.long().cumsum(-1) - 1
        return counted.clamp(min=0)[:, -time:]
    index = torch.arange(time, device=x.device)
    if borders is not None:
        document = torch.bucketize(index, borders[1:].to(index), right=True)
        return (index - borders.to(index)[document]).unsqueeze(0)
    return (index + (0 if cache is None else cache.get_seq_length())).unsqueeze(0)


def has_previous(
    x: torch.Tensor,
    attention_mask: torch.Tensor | None,
    cache: Cache | None,
    position_ids: torch.Tensor,
) -> torch.Tensor | None:
    """Which tokens of ``x`` (batch, time, hidden) have a predecessor for the localized filtering.

    Returns:
        (batch, time), False after padding and at the first token of a packed document; None: all have one.
    """
    time = x.shape[1]
    if attention_mask is None and cache is None:
        packed = find_packed_sequence_indices(position_ids)
        if packed is None:
            return None
        return torch.nn.functional.pad(packed[:, 1:] == packed[:, :-1], (1, 0), value=True)
    if attention_mask is None or attention_mask.ndim != 2:
        return None
    # The mask reaches back over what is cached, so the token before a chunk is seen, too. A row's first token has
    # no predecessor anyway.
    seen = torch.nn.functional.pad(attention_mask.bool(), (1, 0), value=True)[:, -time - 1 : -1]
    # One look per prefill spares every layer the masking; a decoding step does not wait for the device.
    if time > 1 and not is_tracing(seen) and bool(seen.all()):
        return None
    return seen


def causal_mask(
    config: YuanConfig,
    x: torch.Tensor,
    attention_mask: torch.Tensor | None,
    cache: Cache | None,
    position_ids: torch.Tensor | None,
    began: torch.Tensor | None,
) -> torch.Tensor | None:
    """The mask of the attention in use: past, not padding, same packed document, and not before ``began``.

    Args:
        began: (batch, time), the first index of each token's document, counted in the cache; None: no documents.

    Returns:
        (batch, 1, time, keys), boolean for sdpa, additive for eager; None: plainly causal.
    """
    mask = create_causal_mask(
        config, x, attention_mask, cache, position_ids=position_ids, allow_is_causal_skip=began is None
    )
    if began is None or mask is None:
        return mask
    visible = torch.arange(mask.shape[-1], device=mask.device) >= began[:, None, :, None]
    if mask.dtype == torch.bool:
        return mask & visible
    return mask.masked_fill(~visible, torch.finfo(mask.dtype).min)


@dataclass
class Began:
    """Where documents begin: an ``<eod>`` ends one, and the token after it sees nothing up to and including it.

    Attributes:
        visible: (batch, time), for each token the first index it may attend to; None: none of them ends anywhere.
        after: (batch, time), the same for a token that would follow it; remembered by the cache.
    """

    visible: torch.Tensor | None
    after: torch.Tensor
    state: int

    @classmethod
    def read(cls, config: YuanConfig, input_ids: torch.Tensor | None, cache: Cache | None) -> "Began | None":
        """Find the borders in (batch, time) ids that continue what ``cache`` holds; None where nothing resets."""
        if input_ids is None or not config.reset_attention_mask:
            return None
        past = 0 if cache is None else cache.get_seq_length()
        next_index = torch.arange(1, input_ids.shape[1] + 1, device=input_ids.device) + past
        after = torch.where(input_ids == config.eod_token, next_index, 0).cummax(-1).values
        before = cls.recall(config, cache)
        before = torch.zeros_like(after[:, :1]) if before is None else before.to(after.device)
        after = torch.maximum(after, before)
        visible = torch.cat((before, after[:, :-1]), dim=-1)
        # One look per prefill keeps the plain causal kernel; a decoding step does not wait for the device.
        none = input_ids.shape[1] > 1 and not is_tracing(visible) and not bool(visible.any())
        return cls(None if none else visible, after, config.conv_states.index("document"))

    @staticmethod
    def recall(config: YuanConfig, cache: Cache | None) -> torch.Tensor | None:
        """What the cache remembers: (batch, 1), the first index that the next token may attend to."""
        if cache is None or not config.reset_attention_mask:
            return None
        state = cache.get_conv_state(0, config.conv_states.index("document"))
        return None if state is None else state[:, 0, -1:]

    def remember(self, cache: Cache) -> None:
        """Leave it in the cache: in every layer, since a crop of the cache visits every layer's states."""
        for index, layer in enumerate(cache.layers):
            cache.update_conv_state(self.after.unsqueeze(1).to(layer.device), index, self.state, conv_kernel_size=1)

    @staticmethod
    def move(config: YuanConfig, layer: Any, by: int) -> None:
        """Count it from ``by`` tokens further left: the layer's keys have been padded by so many."""
        if config.reset_attention_mask:
            layer.conv_states[config.conv_states.index("document")] += by
