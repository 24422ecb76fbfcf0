"""Adapters that come with the app: a folder of ``assets/adapters`` each, with a card, weights and how it was made."""

import tomllib
from functools import lru_cache
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field

from core.settings import settings


class ShippedAdapter(BaseModel):
    """What the app knows of an adapter of its own.

    Attributes:
        folder: where its weights lie.
    """

    model_config = ConfigDict(extra="forbid")

    name: str = Field(description="Unique name, also the folder's.")
    model: str = Field(description="Base model by its catalog name.")
    language: str = Field(description="Language of the questions it answers from passages.")
    license: str = Field(description="Its licence.")
    note: dict[str, str] = Field(description="One or two sentences per screen language.")
    folder: Path


@lru_cache(maxsize=2)
def _read(root: Path) -> dict[str, ShippedAdapter]:
    cards = [path for path in sorted(root.glob("*/card.toml")) if (path.parent / "adapter_model.safetensors").is_file()]
    found = [ShippedAdapter(**tomllib.loads(path.read_text("utf-8")), folder=path.parent) for path in cards]
    return {card.name: card for card in found}


def shipped() -> dict[str, ShippedAdapter]:
    """All of them by name."""
    return _read(settings().adapters_dir)


def reader(model: str, language: str) -> ShippedAdapter | None:
    """The adapter with which a model answers questions in a language from passages; None: it needs none, or has none.

    Args:
        language: "zh" or "en".
    """
    fitting = (card for card in shipped().values() if card.model == model and card.language == language)
    return next(fitting, None)
