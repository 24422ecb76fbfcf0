"""Tiny random models in the standard formats: the real architectures, a real tokenizer, and weights from a seed."""

import hashlib
from pathlib import Path
from typing import Any

CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
CORPUS = [
    "The quick brown fox jumps over the lazy dog while the band plays on.",
    "What is a llama? A llama is an animal of the Andes that carries loads.",
    "user assistant system Background Question Please answer the question based on the background.",
    "广州大学是一所位于广东省广州市的大学。",
    "从简历中提取信息，输出JSON。我叫方平，毕业于北京师范大学，所学专业是汉语言文学。",
    "背景：请基于背景，回答问题。",
]
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def make_tokenizer() -> Any:
    """A byte-level BPE of about 400 tokens with a ChatML template; every text survives a round trip."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|pad|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|pad|>", chat_template=CHAT_TEMPLATE
    )


def make_generator(folder: Path, seed: int = 11) -> Path:
    """A Llama of 2 layers and 64 dimensions, saved as safetensors with its tokenizer."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=512,
        initializer_range=0.25,  # wide enough for greedy answers that depend on the prompt
        bos_token_id=None,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def make_adapter(folder: Path, model_dir: Path, seed: int, **kind: bool) -> Path:
    """A LoRA adapter for the tiny generator whose B weights are not zero, so that it changes every logit.

    Args:
        kind: of LoRA, such as ``use_dora=True``.
    """
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    base = AutoModelForCausalLM.from_pretrained(model_dir)
    lora = LoraConfig(r=4, lora_alpha=16, target_modules=TARGETS, task_type="CAUSAL_LM", **kind)
    model = get_peft_model(base, lora)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.normal_(std=0.2)
    model.save_pretrained(folder)
    return folder


def make_embedder(folder: Path, seed: int = 5) -> Path:
    """A sentence-transformers directory around a BERT of 1 layer and 32 dimensions, with the prompts e5 has."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer
    from transformers import BertConfig, BertModel

    tokenizer = make_tokenizer()
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=64,
        max_position_embeddings=512,
        initializer_range=0.5,
        pad_token_id=tokenizer.pad_token_id,
    )
    bert = folder.with_name(f"{folder.name}-bert")
    BertModel(config).save_pretrained(bert)
    tokenizer.save_pretrained(bert)
    modules = [Transformer(str(bert), max_seq_length=256), Pooling(32, pooling_mode="mean"), Normalize()]
    # The same prompt on both sides: with random weights only the exact same text is sure to be nearest.
    prompts = {"query": "text: ", "passage": "text: "}
    SentenceTransformer(modules=modules, prompts=prompts, device="cpu").save(str(folder))
    return folder


def card_toml(name: str, task: str, source: Path, extra: str = "") -> str:
    """A card for ``cards.toml`` whose model is a directory on this machine."""
    targets = f"lora_targets = {TARGETS!r}\n" if task == "generate" else ""
    return (
        f'[[model]]\nname = "{name}"\ntitle = "Tiny {name}"\ntask = "{task}"\nparameters = 1000\nsize = 1000000\n'
        f'languages = ["en"]\nlicense = "none"\nnote = {{ en = "For tests.", zh = "测试用。" }}\n'
        f"passages = 2\n{targets}{extra}"
        f'[[model.sources]]\nkind = "path"\nid = "{source.as_posix()}"\n\n'
    )


def fingerprint(folder: Path) -> str:
    """A checksum of all files in a folder."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        digest.update(path.relative_to(folder).as_posix().encode() + path.read_bytes())
    return digest.hexdigest()
