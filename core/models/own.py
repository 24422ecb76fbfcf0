"""A person's own cards: described from a directory or a hub's id, written to ``var/models/cards.toml``."""

import logging
import re
import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from filelock import FileLock
from pydantic import ValidationError

from core import files
from core.errors import UserError
from core.models import cards, description, downloads, store
from core.models.cards import ModelCard, Source
from core.settings import settings

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def own() -> dict[str, ModelCard]:
    """The person's own cards by name."""
    path = cards.own_path()
    return {card.name: card for card in cards.read(path)} if path.is_file() else {}


def from_directory(path: str | Path, name: str = "") -> ModelCard:
    """A card for a model directory of the person's own, which is used in place; see :func:`add`.

    One with PyTorch pickles for weights counts as absent until it is fetched: converted into a directory of ours.

    Args:
        name: the card's; empty: the directory's.

    Raises:
        UserError: it is not there, has no configuration or no safetensors, or is of an architecture not known here.
    """
    folder = Path(path).expanduser().resolve()
    card = _minimal(name or folder.name, folder.name, Source(kind="path", id=str(folder)))
    if not store.is_pickled(folder) and (fault := store.fault(card)):
        raise fault
    return description.described(card, folder)


def describe(source: str, hub: str = "", name: str = "") -> ModelCard:
    """A card for whatever a person typed: a directory, or a hub's model id (OWNER/NAME).

    Of a hub's model nothing is known before it is here: its task is taken to be generating, its size 0, until
    :func:`complete` reads its configuration.

    Args:
        hub: "modelscope" or "huggingface"; empty: ModelScope, unless ``source`` is a directory here.
        name: the card's; empty: the directory's or the model's.

    Raises:
        UserError: neither a model directory nor a model id, or a name of spaces alone.
    """
    if not source.strip() or (name and not name.strip()):
        raise UserError("A model needs a directory or an id, and its name a character.", "Give both, or no name.")
    if not hub and (Path(source).expanduser().is_dir() or not _HUB_ID.fullmatch(source)):
        return from_directory(source, name)
    if not _HUB_ID.fullmatch(source):
        raise UserError("“{source}” is not a hub's model id.", "It reads OWNER/NAME.", source=source)
    title = source.partition("/")[2]
    return _minimal(name or title, title, Source.model_validate({"kind": hub or "modelscope", "id": source}))


def add(card: ModelCard) -> ModelCard:
    """Put a card into the catalog.

    Raises:
        UserError: its name is taken, by another card or by a model's folder.
    """
    settings().models_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings().models_dir / ".cards.lock"):
        folder = settings().models_dir / card.name
        if card.name in cards.catalog() or (folder.exists() and store.directory(card) != folder.resolve()):
            raise _bad_name(card.name)
        _write([*own().values(), card])
    return card


def complete(card: ModelCard) -> ModelCard:
    """Fill in what a hub's model turned out to be, once it is here; any other card comes back as it is.

    A model of an unknown architecture stays as it is described: loading it says what is wrong.
    """
    if card.parameters or not store.is_ready(card):
        return card
    try:
        card = description.described(card, store.directory(card))
    except UserError:
        logging.getLogger("yuan").exception("%s could not be described", card.name)
        return card
    with FileLock(settings().models_dir / ".cards.lock"):
        mine = own()
        if card.name in mine:
            _write(list({**mine, card.name: card}.values()))
    return card


def remove_own(name: str) -> None:
    """Take a card out of the catalog again, with what was downloaded for it; a directory of one's own stays.

    Raises:
        UserError: there is no such card of the person's own.
    """
    if not (card := own().get(name)):
        raise UserError("“{name}” is not a card of your own.", "Choose one that you added.", name=name)
    there = store.directory(card).exists() or store.workspace(card).exists() or downloads.is_live(card)
    if there and not store.is_own(card):
        downloads.remove(card)
    with FileLock(settings().models_dir / ".cards.lock"):
        _write([other for other in own().values() if other.name != name])


def _minimal(name: str, title: str, source: Source) -> ModelCard:
    try:
        card = ModelCard(
            name=name, title=title, task="generate", parameters=0, size=0, languages=[], license="", note={},
            sources=[source],
        )  # fmt: skip
    except ValidationError as error:
        raise _bad_name(name) from error
    return description.with_twin(card)


def _bad_name(name: str) -> UserError:
    return UserError("The name {name} is taken or not usable.", "Choose another one.", name=name)


def _write(mine: list[ModelCard]) -> None:
    """Replace the person's catalog; a card's file says only what differs from the defaults."""
    entries: list[dict[str, Any]] = [
        card.model_dump(by_alias=True, exclude_defaults=True, mode="json") for card in mine
    ]
    text = "# Your own model cards, in the format of the catalog that comes with the app.\n\n"
    text += tomli_w.dumps({"model": entries})
    tomllib.loads(text)
    files.write_text(cards.own_path(), text)
