"""One typed config for a fine-tuning run; the form, a TOML file, the command line and the worker all use it."""

import tomllib
from pathlib import Path
from typing import Any

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import files
from core.errors import UserError
from core.models import cards, store

RECIPES = Path(__file__).with_name("recipes")


class TrainConfig(BaseModel):
    """A fine-tuning run. ``group`` says where the form shows a field: at hand, or folded away."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: str = Field("my-run", min_length=1, max_length=60, description="What the run is called in lists.")
    model: str = Field("", description="Base model by its catalog name; empty: the one that answers by default.")
    dataset: str = Field(description="Shipped data set, uploaded data set, or path of a file.")
    rank: int = Field(8, ge=1, le=256, description="LoRA rank r: how much the adapter can learn.")
    alpha: int = Field(32, ge=1, le=1024, description="LoRA alpha: the update is scaled by alpha / r.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's input dropped while training.")
    target_modules: list[str] = Field(
        default_factory=list, description="Names of the adapted layers; empty: the model card's."
    )
    learning_rate: float = Field(2e-4, gt=0, le=0.1, description="Peak learning rate.")
    epochs: float = Field(1.0, gt=0, le=100, description="Passes over the training rows (when max_steps is 0).")
    max_steps: int = Field(0, ge=0, le=1_000_000, description="Optimizer steps; 0: as many as the epochs need.")
    batch_size: int = Field(4, ge=1, le=512, description="Rows per forward pass.")
    accumulation: int = Field(1, ge=1, le=1024, description="Passes whose gradients are added up to one step.")
    max_length: int = Field(512, ge=16, le=32768, description="Longest row in tokens; longer prompts lose their head.")
    warmup: float = Field(0.1, ge=0, le=0.9, description="Share of the steps over which the rate rises.")
    seed: int = Field(7, ge=0, le=2**31 - 1, description="Same seed, data and machine: same run.")
    eval_rows: int = Field(16, ge=0, le=10_000, description="Test rows whose loss is measured on the way; 0: none.")
    eval_steps: int = Field(20, ge=1, le=1_000_000, description="Steps between two measurements (and checkpoints).")

    def resolved(self) -> "TrainConfig":
        """With the empty fields filled in: the base model, and the layers its card names.

        Raises:
            UserError: no such model, or one that cannot generate.
        """
        card = cards.card(self.model or store.default_generator().name)
        if card.task != "generate":
            raise UserError("{title} cannot be fine-tuned here.", "Choose a generating model.", title=card.title)
        return self.model_copy(update={"model": card.name, "target_modules": self.target_modules or card.lora_targets})


def make(values: dict[str, Any]) -> TrainConfig:
    """A config from plain values.

    Raises:
        UserError: names the field, what was given and what is allowed.
    """
    try:
        return TrainConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        raise UserError(
            "{field} = {value}: {why}.",
            "Change this field and start again.",
            field=".".join(map(str, first["loc"])) or "config",
            value=first["input"] if first["type"] != "missing" else "–",
            why=first["msg"],
        ) from error


def recipes() -> list[str]:
    """Names of the recipes that come with the app."""
    return sorted(path.stem for path in RECIPES.glob("*.toml"))


def load(name_or_file: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """The config of a recipe or of a TOML file, some fields replaced.

    Raises:
        UserError: no such recipe or file, not TOML, or a value out of range.
    """
    path = RECIPES / f"{name_or_file}.toml"
    if name_or_file not in recipes():
        path = Path(name_or_file)
        if not path.is_file():
            raise UserError(
                "There is no recipe or file “{name}”.",
                "Recipes: {known}.",
                name=name_or_file,
                known=", ".join(recipes()),
            )
    try:
        values = tomllib.loads(path.read_text("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError("{path} is not a TOML file: {why}", "Mend it and start again.", path=path, why=error) from error
    return make({**values, **(overrides or {})})


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """``["rank=16", "target_modules=q_proj,v_proj"]`` → values for :func:`make` (which converts and checks them).

    Raises:
        UserError: something that is not ``key=value``.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        if not sign:
            raise UserError("--set {pair} is not key=value.", "For example: --set rank=16", pair=pair)
        if key.strip() == "target_modules":
            values["target_modules"] = [name.strip() for name in value.split(",") if name.strip()]
        else:
            values[key.strip()] = value.strip()
    return values


def save(config: TrainConfig, path: Path) -> None:
    """Write the config as TOML."""
    files.write_text(path, tomli_w.dumps(config.model_dump()))
