"""Models on disk: where each lies, which are here and whole, removing one, and which one answers by default."""

import importlib.util
import os
import shutil
from pathlib import Path

from core import files
from core.errors import UserError
from core.hardware import has_gpu
from core.models import cards
from core.models.cards import ModelCard, Source
from core.settings import settings

MANIFEST = "yuan-lab.json"


def directory(card: ModelCard) -> Path:
    """Where this model lies once it is here: a standard transformers or sentence-transformers directory."""
    return _own_directory(card) or settings().models_dir / card.name


def is_own(card: ModelCard) -> bool:
    """Whether the model is a directory of the person's own, used in place."""
    return _own_directory(card) is not None


def _own_directory(card: ModelCard) -> Path | None:
    """The person's own directory (source kind ``path``) that is used in place; None: the model is fetched."""
    own = [Path(source.id).expanduser() for source in card.sources if source.kind == "path"]
    if whole := next((path for path in own if fault_of_own(path) is None), None):
        return whole
    if any(is_pickled(path) for path in own):  # converted once, into a directory of ours
        return None
    return own[0] if own and len(own) == len(card.sources) else None


def is_pickled(folder: Path) -> bool:
    """Whether a person's own directory holds PyTorch pickles and no safetensors, as Yuan 2.0's published one does."""
    weights = list(folder.rglob("*.safetensors"))
    return (folder / "config.json").is_file() and not weights and any(folder.rglob("pytorch_model*.bin"))


def workspace(card: ModelCard, source: Source | None = None) -> Path:
    """Where a model is put together before it counts: a folder for each source, so that none spoils another's."""
    root = settings().models_dir / f".{card.name}.partial"
    return root / f"{source.kind}-{source.id}-{source.revision}".replace("/", "--") if source else root


def is_ready(card: ModelCard) -> bool:
    """Whether the model is on disk, whole."""
    return directory(card).is_dir() and fault(card) is None


def fault(card: ModelCard) -> UserError | None:
    """What is wrong with the model's directory, in words; None: nothing.

    Our own directories have a manifest, written last, that names every file and its size. A person's own must have
    a configuration and weights, with every shard that an index names.
    """
    if own := _own_directory(card):
        return fault_of_own(own)
    folder = directory(card)
    manifest = files.read_json(folder / MANIFEST)
    if not manifest:
        return UserError("{folder} was not finished.", "Download the model again.", folder=folder)
    for name, size in manifest["files"].items():
        if (found := _size(folder / name)) != size:
            return UserError(
                "The file {file} in {folder} is missing or damaged ({found} of {size} bytes).",
                "Download the model again.",
                file=name,
                folder=folder,
                found=max(0, found),
                size=size,
            )
    return None


def fault_of_own(folder: Path) -> UserError | None:
    """What a directory of the person's own lacks to be used in place, in words; None: nothing."""
    if not folder.is_dir():
        return UserError("There is no model directory {path}.", "Check the card's source.", path=folder)
    if not any((folder / name).is_file() for name in ("config.json", "modules.json")):
        return UserError("{path} has no config.json: it is not a model.", "Check the card's source.", path=folder)
    named: set[str] = set()
    for index in folder.glob("*.safetensors.index.json"):
        named |= set(files.read_json(index, {}).get("weight_map", {}).values())
    if missing := sorted(name for name in named if not (folder / name).is_file()):
        return UserError("{path} lacks its file {file}.", "Copy it there again.", path=folder, file=missing[0])
    if not any(folder.glob("*.safetensors")) and not any(folder.glob("*/*.safetensors")):
        return UserError(
            "{path} has no .safetensors files.", "Save the model as safetensors; pickles are not loaded.", path=folder
        )
    return None


def is_usable(card: ModelCard) -> bool:
    """Whether it is on disk and this version of the app knows its architecture."""
    return is_ready(card) and (not card.register_module or _importable(card.register_module))


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # not there, or moved away a moment ago
        return -1


def disk_use(card: ModelCard) -> int:
    """Bytes this model takes on disk, what is left of an unfinished download included."""
    walks = (os.walk(folder) for folder in (directory(card), workspace(card)))
    return sum(max(0, _size(Path(place, name))) for walk in walks for place, _, names in walk for name in names)


def default_generator() -> ModelCard:
    """The model that answers when nobody chose: the setting's, a big one if there is a GPU, else the embedded one."""
    if settings().model:
        return cards.card(settings().model)
    generators = [card for card in cards.catalog().values() if card.task == "generate"]
    if has_gpu():
        for card in generators:
            if card.preferred_on_gpu and is_usable(card):
                return card
    return next(card for card in generators if card.embedded)


def default_embedder() -> ModelCard:
    """The embedding model of new knowledge bases."""
    return next(card for card in cards.catalog().values() if card.task == "embed")


def remove(card: ModelCard) -> None:
    """Delete the model from disk, and what is left of an unfinished download. A person's own directory is left alone.

    Raises:
        UserError: when it is not here, or is a directory of the person's own.
    """
    if is_own(card):
        raise UserError(
            "{title} lies in a directory of your own, {folder}, which is not deleted here.",
            "Delete it yourself, or take its card out of cards.toml.",
            title=card.title,
            folder=directory(card),
        )
    found = [folder for folder in (directory(card), workspace(card)) if folder.exists()]
    if not found:
        raise UserError("{title} is not on this disk.", "Nothing needs to be removed.", title=card.title)
    for folder in found:
        shutil.rmtree(folder)
