"""Tiny random models of the architectures the recipes are meant for, each as a card of the person's own."""

from pathlib import Path
from typing import Any

from core.models import own
from core.models.cards import ModelCard
from tests.helpers import tiny


def t5(folder: Path) -> Path:
    from transformers import T5Config, T5ForConditionalGeneration

    ends = {"decoder_start_token_id": 0, "pad_token_id": 0, "eos_token_id": 2}
    size = {"d_model": 32, "d_kv": 8, "d_ff": 64, "num_layers": 2, "num_decoder_layers": 2, "num_heads": 4}
    return _save(folder, T5ForConditionalGeneration, T5Config, **size, **ends)


def phi(folder: Path) -> Path:
    from transformers import PhiConfig, PhiForCausalLM

    return _save(folder, PhiForCausalLM, PhiConfig, bos_token_id=None, eos_token_id=2, pad_token_id=0, **_sizes(64))


def llama(folder: Path) -> Path:
    return tiny.make_generator(folder)


def bert(folder: Path, layers: int = 4) -> Path:
    from transformers import BertConfig, BertForMaskedLM

    return _save(folder, BertForMaskedLM, BertConfig, **{**_sizes(32), "num_hidden_layers": layers}, pad_token_id=0)


def yuan(folder: Path) -> Path:
    from tests.helpers.yuan import make_yuan

    make_yuan(folder)
    return folder


def card(make: Any, folder: Path, name: str = "", **changes: Any) -> ModelCard:
    """Make the model and put its card into the catalog, as somebody with a directory of their own does."""
    described = own.from_directory(make(folder), name or folder.name)
    return own.add(described.model_copy(update=changes))


def _sizes(hidden: int) -> dict[str, Any]:
    return {
        "hidden_size": hidden,
        "intermediate_size": 2 * hidden,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "max_position_embeddings": 512,
        "initializer_range": 0.2,  # wide enough for an adapter beside random weights to learn something
    }


def _save(folder: Path, model: Any, config: Any, **values: Any) -> Path:
    import torch

    tokenizer = tiny.make_tokenizer()
    torch.manual_seed(3)
    model(config(vocab_size=len(tokenizer), **values)).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
