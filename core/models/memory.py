"""How much memory a model takes, how much there is, and a refusal in words before the system kills the process."""

import os
from dataclasses import dataclass
from typing import Any

import psutil

from core import hardware
from core.errors import UserError
from core.models import placement, store, weights
from core.models.cards import ModelCard
from core.settings import settings

CONTEXT = 2048
"""Tokens of prompt and answer the estimate makes room for, where the model reads that many."""
RESERVE = 256 * 2**20
"""Bytes left for what is not counted: buffers, the libraries' workspaces, the interpreter."""


@dataclass(frozen=True)
class Estimate:
    """Bytes a loaded model takes: its weights, and what one conversation adds (key-value cache and activations)."""

    weights: int
    context: int

    @property
    def total(self) -> int:
        return self.weights + self.context + RESERVE


@dataclass(frozen=True)
class Usage:
    """Memory right now, in bytes: this process's, the machine's (a container's own where it has a limit), the GPUs'.

    ``gpus`` holds (name, used, total) of each.
    """

    process: int
    used: int
    total: int
    gpus: tuple[tuple[str, int, int], ...]


def usage() -> Usage:
    """What is used now; cheap enough to be shown on every rerun, and it does not load torch."""
    available, total = hardware.memory()
    return Usage(psutil.Process(os.getpid()).memory_info().rss, total - available, total, hardware.gpu_memory())


def estimate(card: ModelCard, context: int = CONTEXT, rows: int = 1, where: str = "", bits: int = 0) -> Estimate:
    """Memory the card's model needs on ``where`` (empty: where it would be put).

    Read from the weights' headers once they are here, else from the card's number of parameters.

    Args:
        context: tokens of prompt and answer, at most as many as the model reads.
        rows: conversations answered in one batch.
        bits: 4 or 8 where the model is quantised as it is loaded.
    """
    width = placement.BYTES[placement.dtype(card, where or placement.device())]
    folder = store.directory(card)
    config = weights.configuration(folder)
    found = weights.loaded(config, weights.tensors(folder))
    size = weights.size(found, width, bits) if found else int(card.parameters * weights.PACKED.get(bits, width))
    positions = weights.first(config, "max_position_embeddings", "n_positions", default=context)
    return Estimate(size, _per_token(config, card, width) * min(context, positions) * rows)


def _per_token(config: dict[str, Any], card: ModelCard, width: int) -> int:
    """Bytes of cache and activations per token of context; attention itself is computed in blocks and adds nothing."""
    hidden = weights.first(config, "hidden_size", "d_model", "n_embd")
    heads = weights.first(config, "num_attention_heads", "num_heads", "n_head", default=1)
    layers = weights.first(config, "num_hidden_layers", "num_layers", "n_layer")
    inner = weights.first(config, "intermediate_size", "d_ff", default=4 * hidden)
    groups = weights.first(config, "num_key_value_heads", default=heads)
    head = weights.first(config, "head_dim", "d_kv", default=hidden // heads)
    cache = 2 * layers * groups * head if card.generates else 0
    return (cache + 4 * hidden + 3 * inner) * width


def free(where: str) -> int:
    """Bytes free on a torch device ("cpu", "cuda", "cuda:1", "mps")."""
    if where.startswith("cuda"):
        import torch

        return int(torch.cuda.mem_get_info(torch.device(where))[0])
    return hardware.memory()[0]  # Apple's GPU shares the machine's memory


def _everywhere() -> int:
    """Bytes free on all GPUs and the machine together, for a model that accelerate spreads over them."""
    import torch

    return sum(free(f"cuda:{index}") for index in range(torch.cuda.device_count())) + free("cpu")


def place(card: ModelCard, freed: int = 0, context: int = CONTEXT, rows: int = 1, bits: int = 0) -> str:
    """Where the model fits, as transformers' ``device_map``: the device, or "auto" to spread it over several.

    Args:
        freed: bytes that a model in memory gives back before this one is loaded.
        bits: 4 or 8 where it is quantised; such a model is not spread, it could not be trained.

    Raises:
        UserError: it does not fit; with what it needs and what is free.
    """
    where = placement.device()
    needed, there = estimate(card, context, rows, where, bits).total, free(where) + freed
    if needed <= there:
        return where
    if where == "cuda" and settings().device == "auto" and not bits:
        there = _everywhere() + freed
        if needed <= there:
            return "auto"
    raise UserError(
        "{title} needs {needed} GB of memory on {where}, and {free} GB are free.",
        "Choose a smaller model, or stop other programs and try again.",
        title=card.title,
        needed=f"{needed / 1e9:.1f}",
        free=f"{there / 1e9:.1f}",
        where=where,
    )
