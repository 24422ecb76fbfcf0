"""A model directory → a model in memory, on the right device. Code that came with a model is never run."""

import importlib
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models import Progress, silence, store
from core.models.cards import ModelCard
from core.settings import settings

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer


# transformers fills its namespace as names are first asked for, which two threads at once break now and then.
_LOADING = threading.RLock()


def device() -> str:
    """The torch device models are put on: the setting's, else the first GPU, else the CPU."""
    import torch

    if settings().device != "auto":
        return settings().device
    if torch.cuda.is_available():
        return "cuda"
    return "mps" if torch.backends.mps.is_available() else "cpu"


def load_generator(card: ModelCard, progress: Progress = lambda step, share: None) -> tuple[Any, Any]:
    """Load a causal language model and its tokenizer, fetching them first where the card is an embedded one.

    Returns:
        (model in eval mode, float32 on a CPU and bfloat16 on a GPU; tokenizer with left padding and a pad token).

    Raises:
        UserError: not downloaded, or an architecture this version does not know.
    """
    _require(card)
    folder = store.prepare(card, progress)
    progress("load", 0.0)
    with _LOADING:
        return _load(folder, card)


def _require(card: ModelCard) -> None:
    if card.task != "generate":
        raise UserError("{title} does not generate text.", "Choose another model.", title=card.title)
    if not card.embedded and not store.is_ready(card):
        raise UserError(
            "{title} is not downloaded yet.",
            "Download it first: python -m core models download {name}",
            title=card.title,
            name=card.name,
        )
    if card.embedded or store.is_usable(card):
        return
    raise UserError(
        "{title} is on disk, but this version of the app cannot run its architecture yet.",
        "Choose another model.",
        title=card.title,
    )


def _load(folder: Path, card: ModelCard) -> tuple[Any, Any]:
    import torch
    from transformers import AutoModelForCausalLM

    silence()
    where = device()
    dtype = torch.float32 if where == "cpu" else torch.bfloat16
    tokenizer = load_tokenizer(folder, card)
    try:
        model = AutoModelForCausalLM.from_pretrained(
            folder, dtype=dtype, device_map=where, trust_remote_code=False, use_safetensors=True, local_files_only=True
        )
    except (OSError, ValueError) as error:
        logging.getLogger("yuan").exception("Loading %s failed", folder)
        raise UserError(
            "{title} could not be loaded: {why}",
            "Remove it and download it again.",
            title=card.title,
            why=str(error).splitlines()[0][:200],
        ) from error
    return model.eval(), tokenizer


def load_tokenizer(folder: Path, card: ModelCard) -> Any:
    """The tokenizer alone, padding on the left, with the card's chat template where it has one."""
    from transformers import AutoTokenizer

    if card.register_module:
        importlib.import_module(card.register_module)
    tokenizer = AutoTokenizer.from_pretrained(
        folder, padding_side="left", trust_remote_code=False, local_files_only=True
    )
    if card.chat_template:
        tokenizer.chat_template = card.chat_template
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_embedder(card: ModelCard, progress: Progress = lambda step, share: None) -> "SentenceTransformer":
    """Load a sentence-transformers model, fetching it first where it is not here."""
    folder = store.prepare(card, progress)
    progress("load", 0.0)
    with _LOADING:
        from sentence_transformers import SentenceTransformer

        silence()
        return SentenceTransformer(str(folder), device=device(), trust_remote_code=False, local_files_only=True)
