"""A model directory → a model in memory, on the right device: one door for every task of the catalog.

Code that came with a model is never run, and weights are read from safetensors only.
"""

import importlib
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.models import IMPORTING, Progress, memory, placement, preparing, silence, store
from core.models.cards import ModelCard

if TYPE_CHECKING:
    from sentence_transformers import CrossEncoder, SentenceTransformer

GENERATORS = ("generate", "seq2seq")
_LOCAL = {"trust_remote_code": False, "local_files_only": True}

device = placement.device


def load_generator(card: ModelCard, progress: Progress = lambda step, share: None, bits: int = 0) -> tuple[Any, Any]:
    """Load a model that writes (causal, or an encoder with a decoder) and its tokenizer.

    An embedded model is fetched first where it is not here.

    Args:
        bits: 4 or 8: its linear layers are quantized to so many by bitsandbytes, for training an adapter (QLoRA).

    Returns:
        (model in eval mode; tokenizer with a chat template and a pad token, padding on the side the model needs).

    Raises:
        UserError: not downloaded, too large for the memory there is, or an architecture this version does not know.
    """
    folder = _prepared(card, GENERATORS, progress)
    with _said_in_words(card):
        import transformers

        auto = transformers.AutoModelForSeq2SeqLM if card.task == "seq2seq" else transformers.AutoModelForCausalLM
        tokenizer = load_tokenizer(folder, card)
        return _model(auto, folder, card, bits, **_quantized(bits)), tokenizer


def load_classifier(card: ModelCard, progress: Progress = lambda step, share: None) -> tuple[Any, Any]:
    """Load a sequence classifier and its tokenizer.

    A checkpoint without a classifying layer gets a new one with the card's labels; its weights are random.

    Returns:
        (model in eval mode, whose ``config.id2label`` names the classes; tokenizer).

    Raises:
        UserError: like :func:`load_generator`.
    """
    folder = _prepared(card, ("classify",), progress)
    with _said_in_words(card):
        from transformers import AutoModelForSequenceClassification, AutoTokenizer

        labels: dict[str, Any] = {}
        if card.labels:
            labels = {"id2label": dict(enumerate(card.labels)), "label2id": {v: k for k, v in enumerate(card.labels)}}
            labels["ignore_mismatched_sizes"] = True  # a checkpoint's layer for other labels gives way to a new one
        tokenizer = AutoTokenizer.from_pretrained(folder, **_LOCAL)
        return _model(AutoModelForSequenceClassification, folder, card, **labels), tokenizer


def load_embedder(card: ModelCard, progress: Progress = lambda step, share: None) -> "SentenceTransformer":
    """Load a sentence-transformers model; its prompts always have the names "query" and "passage".

    A directory without ``modules.json`` would silently become mean pooling without normalising: there the card's
    pooling counts.

    Raises:
        UserError: like :func:`load_generator`.
    """
    folder = _prepared(card, ("embed",), progress)
    with _said_in_words(card):
        from sentence_transformers import SentenceTransformer

        where, options = _small(card)
        if (folder / "modules.json").exists():
            model = SentenceTransformer(str(folder), device=where, model_kwargs=options, **_LOCAL)
        else:
            model = SentenceTransformer(modules=_modules(folder, card, options), device=where)
        own = {name: prompt for name, prompt in model.prompts.items() if prompt}
        model.prompts = {"query": "", "passage": own.get("document", ""), **own, **card.prompts}
        return model.eval()


def load_reranker(card: ModelCard, progress: Progress = lambda step, share: None) -> "CrossEncoder":
    """Load a cross-encoder; ``predict([(question, passage), …])`` gives one score a pair, higher fits better.

    Raises:
        UserError: like :func:`load_generator`.
    """
    folder = _prepared(card, ("rerank",), progress)
    with _said_in_words(card):
        from sentence_transformers import CrossEncoder

        where, options = _small(card)
        return CrossEncoder(str(folder), device=where, model_kwargs=options, **_LOCAL).eval()


def load_tokenizer(folder: Path, card: ModelCard) -> Any:
    """The tokenizer of a model that writes: padding side, pad token and chat template as generation needs them."""
    with IMPORTING:
        from transformers import AutoTokenizer

    _register(card)
    # An answer grows at the right end of a causal model's row; an encoder's positions count from the left.
    side = "right" if card.task == "seq2seq" else "left"
    tokenizer = AutoTokenizer.from_pretrained(folder, padding_side=side, **_LOCAL)
    if tokenizer.pad_token is None:
        tokenizer.pad_token = tokenizer.eos_token
    tokenizer.chat_template = card.chat_template or tokenizer.chat_template or _plain_template(tokenizer, card)
    return tokenizer


def _plain_template(tokenizer: Any, card: ModelCard) -> str:
    """For a model without a chat format: the messages line by line, with the ends its tokenizer puts to a text."""
    ids = tokenizer("a")["input_ids"]
    begin = "{{ bos_token }}" if tokenizer.bos_token and ids[0] == tokenizer.bos_token_id else ""
    end = "{{ eos_token }}" if card.task == "seq2seq" and ids[-1] == tokenizer.eos_token_id else "{{ '\n' }}"
    return begin + "{{ messages | map(attribute='content') | join('\n') }}" + end


def check_loadable(card: ModelCard, *tasks: str) -> None:
    """See to it that the model is for one of ``tasks``, here (or embedded: fetched when loaded), and of a known kind.

    Raises:
        UserError: it is not.
    """
    if card.task not in tasks:
        raise UserError(
            "{title} is for another task ({task}) than this one ({wanted}).",
            "Choose another model.",
            title=card.title,
            task=card.task,
            wanted=tasks[0],
        )
    if not card.embedded and not store.is_ready(card):
        raise UserError(
            "{title} is not downloaded yet.",
            "Download it first: python -m core models download {name}",
            title=card.title,
            name=card.name,
        )
    if not card.embedded and not store.is_usable(card):
        raise UserError(
            "{title} is on disk, but this version of the app cannot run its architecture yet.",
            "Choose another model.",
            title=card.title,
        )


def _prepared(card: ModelCard, tasks: tuple[str, ...], progress: Progress) -> Path:
    check_loadable(card, *tasks)
    folder = preparing.prepare(card, progress)
    progress("load", 0.0)
    return folder


def _register(card: ModelCard) -> None:
    if card.register_module:
        importlib.import_module(card.register_module)


def _dtype(card: ModelCard, where: str) -> Any:
    import torch

    return getattr(torch, placement.dtype(card, where))


def _model(auto: Any, folder: Path, card: ModelCard, bits: int = 0, **more: Any) -> Any:
    """Weights are mapped from the file and go to their device one by one: no second copy in main memory."""
    from core.yuan2.linear import stream_linears

    _register(card)
    # A quantised model is trained, not talked to: what its passes take is asked for by the worker itself.
    where = memory.place(card, context=0 if bits else memory.CONTEXT, bits=bits)
    dtype = _dtype(card, placement.device())
    model = auto.from_pretrained(folder, dtype=dtype, device_map=where, use_safetensors=True, **_LOCAL, **more)
    stream_linears(model)
    return model.eval()


def _quantized(bits: int) -> dict[str, Any]:
    import torch

    if not bits:
        return {}
    from transformers import BitsAndBytesConfig

    compute = torch.bfloat16 if placement.device().startswith("cuda") else torch.float32
    four = {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True}
    return {
        "quantization_config": BitsAndBytesConfig(**four, bnb_4bit_compute_dtype=compute)
        if bits == 4
        else BitsAndBytesConfig(load_in_8bit=True)
    }


def _small(card: ModelCard) -> tuple[str, dict[str, Any]]:
    """Device and model options of an encoder, which always goes whole to one device."""
    memory.place(card, context=512)
    where = placement.device()
    return where, {"dtype": _dtype(card, where), "use_safetensors": True}


def _modules(folder: Path, card: ModelCard, options: dict[str, Any]) -> list[Any]:
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer

    encoder = Transformer(str(folder), model_kwargs={**options, **_LOCAL})
    return [encoder, Pooling(encoder.get_embedding_dimension(), pooling_mode=card.pooling or "mean"), Normalize()]


@contextmanager
def _said_in_words(card: ModelCard) -> Iterator[None]:
    """One thread loads at a time; what a library raises over a directory becomes a sentence, the log has the rest."""
    with IMPORTING:
        silence()
        try:
            yield
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            logging.getLogger("yuan").exception("Loading %s failed", card.name)
            if "out of memory" in str(error).lower():
                raise UserError(
                    "There is not enough memory left for {title}.",
                    "Choose a smaller model, or stop other programs and try again.",
                    title=card.title,
                ) from error
            raise UserError(
                "{title} could not be loaded: {why}",
                "Remove it and download it again.",
                title=card.title,
                why=(str(error).splitlines() or [type(error).__name__])[0][:200],
            ) from error
