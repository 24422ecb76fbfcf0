"""One typed config for a fine-tuning run; the form, a TOML file, the command line and the worker all use it."""

import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal

import tomli_w
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from core import files
from core.errors import UserError
from core.models import cards, store

RECIPES = Path(__file__).with_name("recipes")
ADAPTERS = ("lora", "rslora", "dora", "qlora-4bit", "qlora-8bit")
"""Methods that train an adapter beside the model."""
BASES = {"causal": ("generate",), "seq2seq": ("seq2seq",), "classify": ("classify", "embed")}
"""Tasks of the model cards that can learn a task."""
Weight = Annotated[float, Field(gt=0, le=100)]
SEPARATORS = {"target_modules": ",", "mixture": ",", "prompts": "|"}
"""What stands between the parts of a field in ``--set``."""


class TrainConfig(BaseModel):
    """A fine-tuning run: what the form shows, a TOML file says, the command line sets and the worker reads."""

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    name: str = Field("my-run", min_length=1, max_length=60, description="What the run is called in lists.")
    model: str = Field("", description="Base model by its catalog name; empty: the one that answers by default.")
    dataset: str = Field(description="Shipped data set, uploaded data set, or path of a file.")
    mixture: dict[str, Weight] = Field(
        default_factory=dict, description="Further data sets: rows of each for one row of the data set above."
    )
    task: Literal["", "causal", "seq2seq", "classify"] = Field(
        "",
        description="What is learned: writing on, answering by encoder and decoder, labels; empty: as data and card.",
    )
    learn: Literal["answers", "last", "all"] = Field(
        "answers", description="Learned of a row: every answer, the last answer, or all of its text."
    )
    method: Literal["lora", "rslora", "dora", "qlora-4bit", "qlora-8bit", "full", "freeze", "top", "gradual"] = Field(
        "lora", description="What is trained: an adapter (the first five), all weights, or those of upper layers."
    )
    rank: int = Field(8, ge=1, le=256, description="LoRA rank r: how much the adapter can learn.")
    alpha: int = Field(32, ge=1, le=1024, description="LoRA alpha: the update is scaled by alpha / r.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Share of the adapter's input dropped while training.")
    target_modules: list[str] = Field(
        default_factory=list, description="Names of the adapted layers; empty: the model card's, else all linear ones."
    )
    frozen_layers: int = Field(0, ge=0, le=200, description="freeze: layers left alone from the bottom; 0: half.")
    learning_rate: float = Field(2e-4, gt=0, le=0.1, description="Peak learning rate.")
    scheduler: Literal["cosine", "linear", "constant"] = Field(
        "cosine", description="How the rate falls after its peak: as a cosine, in a line, or not at all."
    )
    warmup: float = Field(0.1, ge=0, le=0.9, description="Share of the steps over which the rate rises.")
    optimizer: Literal["adamw", "paged-adamw-8bit", "adafactor"] = Field(
        "adamw", description="Update rule; the paged one needs a GPU and is adamw without one."
    )
    weight_decay: float = Field(0.0, ge=0, le=1, description="Pull of the trained weights towards zero.")
    epochs: float = Field(1.0, gt=0, le=100, description="Passes over the training rows (when max_steps is 0).")
    max_steps: int = Field(0, ge=0, le=1_000_000, description="Optimizer steps; 0: as many as the epochs need.")
    batch_size: int = Field(4, ge=1, le=512, description="Rows per forward pass.")
    accumulation: int = Field(1, ge=1, le=1024, description="Passes whose gradients are added up to one step.")
    max_length: int = Field(512, ge=16, le=32768, description="Longest row in tokens; longer prompts lose their head.")
    group_by_length: bool = Field(True, description="Rows of like length share a batch: less padding, more rows/s.")
    precision: Literal["auto", "float32", "bfloat16"] = Field(
        "auto", description="Arithmetic of the passes; auto: bfloat16 where the machine is faster with it."
    )
    checkpointing: bool = Field(False, description="Activations are made again in the backward pass: less memory.")
    seed: int = Field(7, ge=0, le=2**31 - 1, description="Same seed, data and machine: same run.")
    eval_rows: int = Field(16, ge=0, le=10_000, description="Test rows whose loss is measured on the way; 0: none.")
    eval_steps: int = Field(20, ge=1, le=1_000_000, description="Steps between two measurements (and checkpoints).")
    prompts: list[str] = Field(
        default_factory=list, max_length=3, description="Answered at every measurement; empty: three test rows."
    )
    beams: int = Field(1, ge=1, le=16, description="Beams of an encoder-decoder's answers; 1: greedy.")
    early_stopping: int = Field(0, ge=0, le=100, description="Measurements without a gain that end the run; 0: none.")
    keep_best: bool = Field(False, description="The run ends with the weights of its lowest test loss.")
    keep_checkpoints: int = Field(1, ge=1, le=100, description="Newest checkpoints kept; the best one besides.")
    merge_at_end: str = Field(
        "", max_length=60, description="Name of the catalog model it is merged into; empty: none."
    )
    report_to: Literal["", "tensorboard", "swanlab", "trackio"] = Field(
        "", description="Also report to this program, where it is installed."
    )

    @property
    def adapts(self) -> bool:
        """Whether an adapter is trained, not weights of the model itself."""
        return self.method in ADAPTERS

    def resolved(self, kind: str = "chat") -> "TrainConfig":
        """With the empty fields filled in: the base model, the task, and the layers its card names.

        Args:
            kind: of the data set's rows: "chat", "text" or "label".

        Raises:
            UserError: no such model, or one that cannot learn this task.
        """
        card = cards.card(self.model or (store.default_embedder if kind == "label" else store.default_generator)().name)
        task = self.task or ("classify" if kind == "label" else "seq2seq" if card.task == "seq2seq" else "causal")
        if card.task not in BASES[task] or (task == "classify") != (kind == "label"):
            raise UserError(
                "{title} cannot be fine-tuned here on such data ({task}, {kind}).",
                "Choose a generating model for answers and texts, an encoder for labels.",
                title=card.title,
                task=task,
                kind=kind,
            )
        targets = self.target_modules or (card.lora_targets if task != "classify" else [])
        return self.model_copy(update={"model": card.name, "task": task, "target_modules": targets})


def named(name: Any) -> Any:
    """A run's name without spaces around it; what is no text is left to the config's own check.

    Raises:
        UserError: nothing is left.
    """
    if not isinstance(name, str):
        return name
    if not name.strip():
        raise UserError("A run needs a name.", "Type at least one character.")
    return name.strip()


def make(values: dict[str, Any]) -> TrainConfig:
    """A config from plain values.

    Raises:
        UserError: names the field, what was given and what is allowed.
    """
    if "name" in values:
        values = {**values, "name": named(values["name"])}
    try:
        return TrainConfig(**values)
    except ValidationError as error:
        first = error.errors()[0]
        if first["type"] == "extra_forbidden":
            raise UserError(
                "There is no field “{field}”.",
                "Fields: {known}.",
                field=first["loc"][0],
                known=", ".join(TrainConfig.model_fields),
            ) from error
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
    return parse(path.read_bytes(), str(path), overrides)


def parse(data: bytes, path: str, overrides: dict[str, Any] | None = None) -> TrainConfig:
    """The config that a TOML file says, some fields replaced.

    Args:
        path: what the file is called in messages.

    Raises:
        UserError: not TOML, or a value out of range.
    """
    try:
        values = tomllib.loads(data.decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UserError("{path} is not a TOML file: {why}", "Mend it and start again.", path=path, why=error) from error
    return make({**values, **(overrides or {})})


def parse_overrides(pairs: list[str]) -> dict[str, Any]:
    """``key=value`` pairs → values for :func:`make` (which converts and checks them).

    ``target_modules=q_proj,v_proj``, ``mixture=rag-qa-en=0.5,chat-text=1``, ``prompts=Who?|Why?``.

    Raises:
        UserError: something that is not ``key=value``.
    """
    values: dict[str, Any] = {}
    for pair in pairs:
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not sign:
            raise UserError("--set {pair} is not key=value.", "For example: --set rank=16", pair=pair)
        parts = [part.strip() for part in value.split(SEPARATORS.get(key, ",")) if part.strip()]
        if key == "mixture":
            if alone := next((part for part in parts if "=" not in part), None):
                raise UserError(
                    "--set mixture: {part} is not NAME=WEIGHT.", "For example: --set mixture=rag-qa-en=0.5", part=alone
                )
            values[key] = {name: weight for name, _, weight in (part.rpartition("=") for part in parts)}
        else:
            values[key] = parts if key in SEPARATORS else value
    return values


def spoken(field: str, value: Any) -> str:
    """A field's value as :func:`parse_overrides` reads it."""
    if isinstance(value, dict):
        return SEPARATORS[field].join(f"{name}={weight}" for name, weight in value.items())
    return SEPARATORS[field].join(map(str, value)) if isinstance(value, list) else str(value)


def spell(config: TrainConfig) -> str:
    """The config as TOML."""
    return tomli_w.dumps(config.model_dump())


def save(config: TrainConfig, path: Path) -> None:
    """Write the config as TOML."""
    files.write_text(path, spell(config))
