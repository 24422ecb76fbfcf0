"""Weights in a compact format or a pickle → a standard directory that loads in about a second, once."""

import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from core.errors import UserError
from core.models import Progress, e5, silence

if TYPE_CHECKING:
    import torch

SHARD = 2_000_000_000  # bytes of one safetensors file


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


def pickles(folder: Path, progress: Progress) -> list[Path]:
    """Write a PyTorch checkpoint (``pytorch_model*.bin``, also in several files) as safetensors beside it.

    The pickles are read with ``weights_only``, which runs no code of theirs, and mapped into memory rather than
    loaded. Tensors that share memory are written once each: tied or not is the model's business, not the file's.

    Args:
        folder: a model directory; subfolders of a sentence-transformers model are converted, too.

    Returns:
        The files that are not needed any more, to be deleted by the caller once all is safe.

    Raises:
        UserError: a file contains code, or is not a checkpoint.
    """
    obsolete: list[Path] = []
    for place in sorted({path.parent for path in folder.rglob("pytorch_model*.bin")}):
        found = sorted(place.glob("pytorch_model*.bin"))
        obsolete += [*found, *place.glob("pytorch_model*.bin.index.json")]
        progress("convert", 0.0)
        tensors = {name: tensor for path in found for name, tensor in _unpickle(path).items()}
        _write_shards(tensors, place, progress)
    return obsolete


def _unpickle(path: Path) -> dict[str, "torch.Tensor"]:
    import torch

    try:
        # Only the format of torch 1.6 and later can be mapped.
        loaded = torch.load(path, map_location="cpu", weights_only=True, mmap=zipfile.is_zipfile(path))
    except pickle.UnpicklingError as error:
        raise UserError(
            "The checkpoint {file} contains code, or is damaged; it is not opened.",
            "Choose a release of the model in the safetensors format.",
            file=path.name,
        ) from error
    except (RuntimeError, EOFError, ValueError, KeyError) as error:
        why = str(error).splitlines()[0][:200] if str(error) else type(error).__name__
        raise UserError(
            "The checkpoint {file} cannot be read: {why}", "Remove the model and download it again.",
            file=path.name, why=why,
        ) from error  # fmt: skip
    named = loaded if isinstance(loaded, dict) else {}
    tensors = {name: value for name, value in named.items() if isinstance(value, torch.Tensor)}
    if not tensors:
        raise UserError(
            "The checkpoint {file} holds no weights by name.",
            "Choose a release of the model in the safetensors format.",
            file=path.name,
        )
    return tensors


def _write_shards(tensors: dict[str, "torch.Tensor"], place: Path, progress: Progress) -> None:
    from safetensors.torch import save_file

    shards: list[list[str]] = [[]]
    room = SHARD
    for name, tensor in tensors.items():
        if tensor.nbytes > room and shards[-1]:
            shards.append([])
            room = SHARD
        shards[-1].append(name)
        room -= tensor.nbytes
    count, where = len(shards), dict[str, str]()
    for number, names in enumerate(shards, start=1):
        file = "model.safetensors" if count == 1 else f"model-{number:05}-of-{count:05}.safetensors"
        save_file(_alone({name: tensors[name] for name in names}), place / file, metadata={"format": "pt"})
        where |= dict.fromkeys(names, file)
        progress("convert", number / count)
    if count > 1:
        index = {"metadata": {"total_size": sum(t.nbytes for t in tensors.values())}, "weight_map": where}
        (place / "model.safetensors.index.json").write_text(json.dumps(index, indent=1), "utf-8")


def _alone(tensors: dict[str, "torch.Tensor"]) -> dict[str, "torch.Tensor"]:
    """The same tensors, each contiguous and in memory of its own, which the format asks for; copied only if need be."""
    seen: set[int] = set()
    result = {}
    for name, tensor in tensors.items():
        memory = tensor.untyped_storage().data_ptr()
        result[name] = tensor.clone() if memory in seen else tensor
        result[name] = result[name].contiguous()
        seen.add(memory)
    return result


CONVERTERS: dict[str, Callable[[Path, Path, Progress], None]] = {"gguf": gguf, "e5s1": e5.convert}
