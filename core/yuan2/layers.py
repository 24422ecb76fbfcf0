"""The parts of a Yuan 2.0 layer that know nothing of attention: norm, rotary positions, localized filtering."""

from typing import Any

import torch
from torch import nn
from transformers import Cache
from transformers.modeling_rope_utils import ROPE_INIT_FUNCTIONS, dynamic_rope_update

from core.yuan2.configuration import YuanConfig
from core.yuan2.linear import linear


class YuanRMSNorm(nn.Module):
    """Scales each vector to unit root mean square, in float32 whatever the input."""

    def __init__(self, hidden_size: int, eps: float = 1e-6) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(hidden_size))
        self.eps = eps

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        wide = x.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(x.dtype)


class YuanRotaryEmbedding(nn.Module):
    """Cosines and sines of the rotary positions, (batch, time, head_dim) each."""

    inv_freq: torch.Tensor

    def __init__(self, config: YuanConfig) -> None:
        super().__init__()
        self.config = config
        assert config.rope_parameters is not None  # completed by the base class when the config is made
        self.rope_type = config.rope_parameters["rope_type"]
        compute = self.compute_default_rope_parameters
        if self.rope_type != "default":
            compute = ROPE_INIT_FUNCTIONS[self.rope_type]
        inv_freq, self.attention_scaling = compute(config)
        self.inv_freq = nn.Buffer(inv_freq, persistent=False)
        self.original_inv_freq = nn.Buffer(inv_freq.clone(), persistent=False)

    @staticmethod
    def compute_default_rope_parameters(config: YuanConfig, **kwargs: Any) -> tuple[torch.Tensor, float]:
        """Turning speed of each pair of channels, and the factor on the result (none)."""
        exponent = torch.arange(0, config.head_dim, 2, dtype=torch.float) / config.head_dim
        assert config.rope_parameters is not None
        return config.rope_parameters["rope_theta"] ** -exponent, 1.0

    @torch.no_grad()
    @dynamic_rope_update
    def forward(self, x: torch.Tensor, position_ids: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        angles = position_ids[..., None].float() * self.inv_freq.to(x.device, torch.float)
        angles = torch.cat((angles, angles), dim=-1)
        return (angles.cos() * self.attention_scaling).to(x.dtype), (angles.sin() * self.attention_scaling).to(x.dtype)


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """Turn each pair (channel i, channel i + head_dim / 2) of (batch, heads, time, head_dim) by its position."""
    first, second = x.chunk(2, dim=-1)
    return x * cos.unsqueeze(1) + torch.cat((-second, first), dim=-1) * sin.unsqueeze(1)


class PairConv(nn.Conv2d):
    """A causal convolution of width 2 along time, given its (previous, current) pairs instead of a sequence.

    Pairs let every token say for itself whether it has a predecessor (padding, borders of documents), and turn the
    convolution into one matrix product, which a CPU streams at full speed also for a single token. It stays a
    ``Conv2d`` with the published weight's shape and signature, so that LoRA can adapt it (and builds its two halves
    from it, the second of width 1).
    """

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """(batch, in channels, width · time, 1), a group per token → (batch, out channels, time, 1)."""
        batch, channels, length, _ = x.shape
        width = self.kernel_size[0]
        groups = x.reshape(batch, channels, length // width, width).transpose(1, 2).flatten(2)
        return linear(groups, self.weight.flatten(1), self.bias).transpose(1, 2).unsqueeze(-1)


class LocalizedFiltering(nn.Module):
    """Mixes each token with the two before it: two causal convolutions of width 2, residual, RMSNorm.

    Before the first token there is nothing: zeros at the input of either convolution (a zero fed *through* the first
    would carry its bias into the second). What is remembered for the next call is therefore both inputs' last column.
    """

    def __init__(self, hidden_size: int, eps: float) -> None:
        super().__init__()
        self.conv1 = PairConv(hidden_size, hidden_size // 2, kernel_size=(2, 1), stride=(2, 1))
        self.conv2 = PairConv(hidden_size // 2, hidden_size, kernel_size=(2, 1), stride=(2, 1))
        self.output_layernorm = YuanRMSNorm(hidden_size, eps)

    def forward(
        self, x: torch.Tensor, has_previous: torch.Tensor | None, cache: Cache | None, layer_idx: int
    ) -> torch.Tensor:
        """Filter (batch, time, hidden).

        Args:
            has_previous: (batch, time), False where the token before is padding or of another document; None: all
                have one (the first of a sequence has zeros).
            cache: holds what the last call remembered, (batch, hidden · 3 / 2, 1); updated.
        """
        state = None if cache is None else cache.get_conv_state(layer_idx)
        before_x = before_y = None
        if state is not None:
            before_x, before_y = state[..., -1].split((x.shape[-1], x.shape[-1] // 2), dim=-1)
        y = self._convolve(self.conv1, x, before_x, has_previous)
        z = self._convolve(self.conv2, y, before_y, has_previous)
        if cache is not None:
            remembered = torch.cat((x, y), dim=-1).transpose(1, 2)
            cache.update_conv_state(remembered, layer_idx, conv_kernel_size=1)
        return self.output_layernorm(z + x)

    @staticmethod
    def _convolve(
        conv: nn.Module, x: torch.Tensor, before: torch.Tensor | None, has_previous: torch.Tensor | None
    ) -> torch.Tensor:
        first = torch.zeros_like(x[:, :1]) if before is None else before.unsqueeze(1)
        previous = torch.cat((first, x[:, :-1]), dim=1)
        if has_previous is not None:
            previous = previous.masked_fill(~has_previous.unsqueeze(-1), 0)
        batch, time, channels = x.shape
        pairs = torch.stack((previous, x), dim=2).permute(0, 3, 1, 2).reshape(batch, channels, 2 * time, 1)
        return conv(pairs).squeeze(-1).transpose(1, 2)
