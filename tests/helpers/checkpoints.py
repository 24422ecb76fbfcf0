"""Tiny random checkpoints of every other architecture in the catalog, in the layout their hubs publish them in."""

from pathlib import Path
from typing import Any

from tests.helpers import tiny

SMALL = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "initializer_range": 0.3,
}


def causal(folder: Path, family: str, chat_template: bool = True) -> Path:
    """A causal language model of the family "llama", "qwen2" or "phi"."""
    import transformers

    classes = {"llama": "Llama", "qwen2": "Qwen2", "phi": "Phi"}
    tokenizer = tiny.make_tokenizer()
    if not chat_template:
        tokenizer.chat_template = None
    config = getattr(transformers, f"{classes[family]}Config")(
        **SMALL,
        vocab_size=len(tokenizer),
        num_key_value_heads=2,
        max_position_embeddings=256,
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _save(folder, getattr(transformers, f"{classes[family]}ForCausalLM"), config, tokenizer)


def t5(folder: Path) -> Path:
    """An encoder with a decoder whose tokenizer ends every text with ``</s>`` and that has no chat template."""
    from transformers import T5Config, T5ForConditionalGeneration

    tokenizer = _framed("$A </s>", "$A </s> $B </s>", eos_token="</s>", pad_token="<pad>")
    config = T5Config(
        vocab_size=len(tokenizer),
        d_model=32,
        d_kv=8,
        d_ff=64,
        num_layers=2,
        num_heads=4,
        n_positions=128,
        initializer_factor=8.0,
        decoder_start_token_id=tokenizer.pad_token_id,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    return _save(folder, T5ForConditionalGeneration, config, tokenizer)


def bert_classifier(folder: Path, labels: tuple[str, ...] = ("negative", "positive")) -> Path:
    """A fine-tuned classifier: its classes are named in its configuration."""
    from transformers import BertForSequenceClassification

    return _bert(folder, BertForSequenceClassification, id2label=dict(enumerate(labels)), num_labels=len(labels))


def bert_masked(folder: Path) -> Path:
    """A pretrained BERT as published: a masked language model without a classifying layer."""
    from transformers import BertForMaskedLM

    return _bert(folder, BertForMaskedLM)


def bert_embedder(folder: Path) -> Path:
    """A plain BERT encoder without sentence-transformers' files, as a hand-made copy of bge is."""
    from transformers import BertModel

    return _bert(folder, BertModel)


def reranker(folder: Path) -> Path:
    """An XLM-RoBERTa that gives a pair of texts one score."""
    from transformers import XLMRobertaConfig, XLMRobertaForSequenceClassification

    tokenizer = _framed(
        "<s> $A </s>", "<s> $A </s> </s> $B </s>", bos_token="<s>", cls_token="<s>", eos_token="</s>",
        sep_token="</s>", pad_token="<|pad|>",
    )  # fmt: skip
    config = XLMRobertaConfig(
        **SMALL,
        vocab_size=len(tokenizer),
        max_position_embeddings=130,
        type_vocab_size=1,
        num_labels=1,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return _save(folder, XLMRobertaForSequenceClassification, config, tokenizer)


def _bert(folder: Path, architecture: Any, **more: Any) -> Path:
    from transformers import BertConfig

    tokenizer = _framed(
        "[CLS] $A [SEP]", "[CLS] $A [SEP] $B [SEP]", cls_token="[CLS]", sep_token="[SEP]", pad_token="[PAD]"
    )
    config = BertConfig(
        **SMALL,
        vocab_size=len(tokenizer),
        max_position_embeddings=128,
        pad_token_id=tokenizer.pad_token_id,
        **more,
    )
    return _save(folder, architecture, config, tokenizer)


def _framed(single: str, pair: str, **special: str) -> Any:
    """The tiny tokenizer's vocabulary with special tokens around a text, added by the tokenizer itself."""
    from tokenizers import processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = tiny.make_tokenizer().backend_tokenizer
    tokenizer.add_special_tokens(sorted(set(special.values())))
    ids = [(token, tokenizer.token_to_id(token)) for token in sorted(set(special.values()))]
    tokenizer.post_processor = processors.TemplateProcessing(single=single, pair=pair, special_tokens=ids)
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=128, **special)


def _save(folder: Path, architecture: Any, config: Any, tokenizer: Any) -> Path:
    import torch

    torch.manual_seed(3)
    architecture(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
