"""Weights in a compact format → a standard directory that loads in about a second, once."""

from collections.abc import Callable
from pathlib import Path

from core.models import Progress, e5, silence


def gguf(weights: Path, target: Path, progress: Progress) -> None:
    """A GGUF file → a transformers directory in float32 safetensors.

    Args:
        weights: the .gguf file, with architecture, tokenizer and chat template inside.
        target: an existing empty folder.
    """
    silence()
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    progress("convert", 0.0)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent, gguf_file=weights.name)
    progress("convert", 0.3)
    model = AutoModelForCausalLM.from_pretrained(weights.parent, gguf_file=weights.name, dtype=torch.float32)
    progress("convert", 0.8)
    # The weights are plain float32 now, yet transformers still takes the model for a quantised one and refuses to save.
    model.hf_quantizer = None
    model.is_quantized = False
    del model.config.quantization_config
    model.config.name_or_path = ""
    model.save_pretrained(target)
    tokenizer.save_pretrained(target)
    progress("convert", 1.0)


CONVERTERS: dict[str, Callable[[Path, Path, Progress], None]] = {"gguf": gguf, "e5s1": e5.convert}
