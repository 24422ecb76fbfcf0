"""What a model directory holds, read from its configuration and its safetensors headers: no weight is loaded."""

from pathlib import Path
from typing import Any, NamedTuple

from core import files
from core.errors import UserError

_STORED = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}
PACKED = {4: 0.53, 8: 1.01}
"""Bytes of a weight that bitsandbytes has quantised to so many bits, its scales included."""


class Tensor(NamedTuple):
    """One tensor as stored: its shape, and its type as safetensors calls it ("F32", "BF16", …)."""

    shape: tuple[int, ...]
    stored: str

    @property
    def elements(self) -> int:
        count = 1
        for length in self.shape:
            count *= length
        return count

    def bytes_as(self, width: int) -> int:
        """Bytes in memory when floating-point weights take ``width`` bytes; packed integers stay as they are."""
        return self.elements * (width if self.stored in ("F64", "F32", "F16", "BF16") else _STORED.get(self.stored, 1))


def tensors(folder: Path) -> dict[str, Tensor]:
    """Name → tensor of the weights in ``folder``: those its index names, else ``model.safetensors``, else all there.

    Raises:
        UserError: a file is not safetensors, or only a part of one.
    """
    from safetensors import SafetensorError, safe_open

    found = {}
    for path in _weight_files(folder):
        try:
            with safe_open(path, framework="np") as file:
                for name in file.keys():  # noqa: SIM118 - it is no dict
                    part = file.get_slice(name)
                    found[name] = Tensor(tuple(part.get_shape()), part.get_dtype())
        except (SafetensorError, OSError) as error:
            raise UserError(
                "{path} is not a whole safetensors file: {why}",
                "Copy or download the model again.",
                path=path,
                why=str(error).splitlines()[0][:200],
            ) from error
    return found


def loaded(config: dict[str, Any], found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Those of a file's tensors that a loaded model keeps: not a tied head, nor tables that are computed."""
    tied = {"lm_head.weight"} if config.get("tie_word_embeddings") else set()
    return {name: tensor for name, tensor in found.items() if name not in tied and not name.endswith("inv_freq")}


def size(found: dict[str, Tensor], width: int, bits: int = 0) -> int:
    """Bytes of a model's tensors in memory: ``width`` for a weight; quantised, less for the matrices of its layers.

    Args:
        bits: 4 or 8; 0: not quantised.
    """

    def bytes_of(name: str, tensor: Tensor) -> float:
        packed = bits and len(tensor.shape) == 2 and in_layer(name)
        return tensor.elements * PACKED[bits] if packed else tensor.bytes_as(width)

    return int(sum(bytes_of(name, tensor) for name, tensor in found.items()))


def in_layer(name: str) -> bool:
    """Whether a tensor belongs to one of the model's layers, which are numbered."""
    return any(part.isdecimal() for part in name.split("."))


def _weight_files(folder: Path) -> list[Path]:
    index = files.read_json(folder / "model.safetensors.index.json", {}).get("weight_map", {})
    whole = folder / "model.safetensors"
    if index:
        return [folder / name for name in sorted(set(index.values()))]
    return [whole] if whole.is_file() else sorted(folder.glob("*.safetensors"))


def configuration(folder: Path) -> dict[str, Any]:
    """The directory's ``config.json``, empty where there is none."""
    found = files.read_json(folder / "config.json", {})
    return found if isinstance(found, dict) else {}


def first(config: dict[str, Any], *names: str, default: int = 0) -> int:
    """The value of the first of ``names`` the configuration has: architectures call the same number differently."""
    text = config.get("text_config") or config  # of a model that sees, too
    return next((text[name] for name in names if isinstance(text.get(name), int) and text[name]), default)
