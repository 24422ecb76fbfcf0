"""Where models are put, and in which type their weights are kept there."""

import gc
import sys

from core.models.cards import ModelCard
from core.settings import settings

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


def device() -> str:
    """The torch device models are put on: the setting's, else the first GPU, else the CPU."""
    import torch

    if settings().device != "auto":
        return settings().device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def dtype(card: ModelCard, where: str) -> str:
    """Name of the type this card's weights have on ``where``: float32, bfloat16 or float16."""
    if card.dtype != "auto":
        return card.dtype
    if where == "cpu":
        return "float32"
    import torch

    # Cards before Ampere only imitate bfloat16, slower than they compute in float32.
    native = not where.startswith("cuda") or torch.cuda.is_bf16_supported(including_emulation=False)
    return "bfloat16" if native else "float16"


def multiplies_bfloat16(where: str) -> bool:
    """Whether a device multiplies bfloat16 itself: one that only imitates it is slower than in float32.

    Not measured but asked, so that a job gone on with after a kill is computed as it was begun, however busy the
    machine is.
    """
    import torch

    if where.startswith("cuda"):
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    able = torch.cpu.get_capabilities() if where == "cpu" else {}
    return bool(able.get("amx_bf16") or able.get("avx512_bf16"))


def release() -> None:
    """Give the memory of models nobody holds any more back to the machine, the GPU's included."""
    gc.collect()
    if (torch := sys.modules.get("torch")) and torch.cuda.is_available():
        torch.cuda.empty_cache()
