"""A tiny random Yuan 2.0 in the published layout: its SentencePiece vocabulary, config.json and weights.

Written from the format alone, without the implementation under test. ``AutoTokenizer``, ``AutoModelForCausalLM`` and
``generate`` work on the directory once ``core.yuan2`` is imported; answers are text that depends on the prompt.
"""

import io
import json
from pathlib import Path
from typing import Any

from tests.helpers.tiny import CORPUS

TEXTS = [
    *CORPUS,
    "介绍一下广州大学。源大模型是浪潮信息发布的语言模型，中国的大学在北京、上海和广州。",
    "你好，我是源大模型，请问有什么可以帮您？张三，汉族，金融学硕士，毕业于清华大学。",
    "背景：广州大学（Guangzhou University），简称广大。问题：介绍一下广州大学。请基于背景，回答问题。",
    "def f(x):\n    if x > 0:\n        return x ** 2  # 平方\n    return [a, b, c]\n",
    '{"姓名": ["张三"], "国籍": ["中国"], "year": 2024, "pi": 3.14159, "list": [0, 1, 2, 5, 6, 7, 8]}',
    "The answer to the question is in the text; the text is the answer to a question about the world.",
]
PIECES = 560
APPENDED = ["<eod>", "<n>", "<sep>", "<pad>"]  # as ordinary pieces, in this order
NOT_IN_THE_MODEL = 13  # of the fifteen tokens that the tokenizer adds
UNUSED_ROWS = 16


def make_tokenizer_model(folder: Path) -> Path:
    """Train ``folder/tokenizer.model``: a BPE with the published model's options, and its appended pieces."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2

    written = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(TEXTS),
        model_writer=written,
        model_type="bpe",
        vocab_size=PIECES,
        hard_vocab_limit=False,
        byte_fallback=True,
        character_coverage=0.98,  # so that some characters take the fallback
        normalization_rule_name="identity",
        add_dummy_prefix=True,
        remove_extra_whitespaces=False,
        split_digits=True,
        allow_whitespace_only_pieces=True,
        num_threads=1,
        minloglevel=2,
    )
    model = sentencepiece_model_pb2.ModelProto.FromString(written.getvalue())
    for piece in APPENDED:
        model.pieces.add(piece=piece, score=0.0, type=sentencepiece_model_pb2.ModelProto.SentencePiece.NORMAL)
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "tokenizer.model"
    path.write_bytes(model.SerializeToString())
    return path


def make_yuan(folder: Path, seed: int = 7, weights: str = "safetensors", **changes: Any) -> Path:
    """Write a directory as the published ones are.

    Args:
        seed: of the weights; the tokenizer is always the same.
        weights: "safetensors", or "bin" for a pickle with what old checkpoints carry besides.
        changes: fields of config.json that differ from the default.
    """
    import torch
    from safetensors.torch import save_file

    model = make_tokenizer_model(folder)
    settings = {**config(model), **changes}
    (folder / "config.json").write_text(json.dumps(settings, indent=2), "utf-8")
    _write_tokenizer_files(folder)
    tensors = random_weights(settings, seed, quiet=_quiet(model))
    dtype = getattr(torch, settings["torch_dtype"])
    tensors = {name: tensor.to(dtype) for name, tensor in tensors.items()}
    if weights == "safetensors":
        save_file(tensors, folder / "model.safetensors", {"format": "pt"})
    else:
        tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"]
        half = settings["hidden_size"] // settings["num_attention_heads"] // 2
        for layer in range(settings["num_hidden_layers"]):
            tensors[f"model.layers.{layer}.self_attn.rotary_emb.inv_freq"] = 10000.0 ** -(torch.arange(half) / half)
        torch.save(tensors, folder / "pytorch_model.bin")
    return folder


def config(tokenizer_model: Path) -> dict[str, Any]:
    """The published config.json, with small sizes and this vocabulary's ids."""
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer_model))
    end, separator = pieces.piece_to_id("<eod>"), pieces.piece_to_id("<sep>")
    return {
        "architectures": ["YuanForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_yuan.YuanConfig",
            "AutoModelForCausalLM": "yuan_hf_model.YuanForCausalLM",
        },
        "hidden_act": "silu",
        "hidden_size": 64,
        "initializer_range": 0.25,  # wide enough for greedy answers that depend on the prompt
        "intermediate_size": 192,  # whole blocks for 4 bit
        "max_position_embeddings": 8192,
        "model_type": "yuan",
        "num_attention_heads": 4,
        "num_hidden_layers": 2,
        "rms_norm_eps": 1e-06,
        "dropout": 0.1,
        "tie_word_embeddings": True,
        "torch_dtype": "float32",
        "transformers_version": "4.30.0.dev0",
        "use_cache": False,
        "causal_mask": True,
        "use_flash_attention": False,
        "reset_attention_mask": True,
        "reset_position_ids": True,
        "use_loss_mask": False,
        "eod_token": end,
        "sep_token": separator,
        "eod_token_id": end,
        "sep_token_id": end,
        "pad_token_id": end,
        "bos_token_id": end,
        "eos_token_id": end,
        "mask_token_id": end,
        "vocab_size": pieces.get_piece_size() + NOT_IN_THE_MODEL + UNUSED_ROWS,
    }


def random_weights(config: dict[str, Any], seed: int, quiet: list[int] | None = None) -> dict[str, Any]:
    """A state dict by the published names, float32.

    Args:
        quiet: ids whose logits stay near zero, so that they are hardly ever the answer.
    """
    import torch

    generator = torch.Generator().manual_seed(seed)
    width, inner, spread = config["hidden_size"], config["intermediate_size"], config["initializer_range"]

    def draw(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator) * spread

    def norm() -> torch.Tensor:
        return 1 + torch.randn(width, generator=generator) * 0.1

    tensors = {"model.embed_tokens.weight": draw(config["vocab_size"], width), "model.norm.weight": norm()}
    tensors["model.embed_tokens.weight"][quiet or []] *= 0.02
    for layer in range(config["num_hidden_layers"]):
        parts = {
            "input_layernorm.weight": norm(),
            "post_attention_layernorm.weight": norm(),
            "mlp.up_proj.weight": draw(inner, width),
            "mlp.gate_proj.weight": draw(inner, width),
            "mlp.down_proj.weight": draw(width, inner),
            "self_attn.v_proj.weight": draw(width, width),
            "self_attn.o_proj.weight": draw(width, width),
        }
        if config.get("use_shareqk"):
            parts |= {
                "self_attn.qk_proj.weight": draw(width, width),
                "self_attn.qk_weight": 1 + draw(2, width),
                "self_attn.qk_bias": draw(2, width),
            }
        else:
            parts |= {
                "self_attn.q_proj.weight": draw(width, width),
                "self_attn.k_proj.weight": draw(width, width),
                "self_attn.lf_gate.conv1.weight": draw(width // 2, width, 2, 1),
                "self_attn.lf_gate.conv1.bias": draw(width // 2),
                "self_attn.lf_gate.conv2.weight": draw(width, width // 2, 2, 1),
                "self_attn.lf_gate.conv2.bias": draw(width),
                "self_attn.lf_gate.output_layernorm.weight": norm(),
            }
        tensors |= {f"model.layers.{layer}.{name}": tensor for name, tensor in parts.items()}
    return tensors


def _quiet(tokenizer_model: Path) -> list[int]:
    """Ids that are no readable text by themselves: bytes, control pieces, and all rows after the pieces."""
    import sentencepiece

    pieces = sentencepiece.SentencePieceProcessor(model_file=str(tokenizer_model))
    size = pieces.get_piece_size()
    unreadable = [i for i in range(size) if pieces.is_byte(i) or pieces.is_control(i) or pieces.is_unknown(i)]
    return [*unreadable, *range(size, size + NOT_IN_THE_MODEL + UNUSED_ROWS)]


def _write_tokenizer_files(folder: Path) -> None:
    """What names the Llama tokenizer beside the published model, with ``</s>`` as its end."""
    named = {
        name: {"content": content, "lstrip": False, "normalized": True, "rstrip": False, "single_word": False}
        for name, content in (("bos_token", "<s>"), ("eos_token", "</s>"), ("unk_token", "<unk>"))
    }
    settings: dict[str, Any] = {name: {"__type": "AddedToken", **token} for name, token in named.items()}
    settings |= {
        "add_bos_token": False,
        "add_eos_token": False,
        "clean_up_tokenization_spaces": False,
        "model_max_length": 10**30,
        "pad_token": None,
        "sp_model_kwargs": {},
        "tokenizer_class": "LlamaTokenizer",
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2), "utf-8")
    (folder / "special_tokens_map.json").write_text(json.dumps(named, indent=2), "utf-8")


def row(length: int, seed: int) -> Any:
    """Random ids of a row, (length,), none of them special."""
    import torch

    return torch.randint(3, PIECES, (length,), generator=torch.Generator().manual_seed(seed))


def padded(rows: list[Any], fill: int, side: str = "left") -> tuple[Any, Any]:
    """Ids and mask, (rows, longest) each, of rows with ``fill`` on one side."""
    import torch

    width = max(len(row) for row in rows)
    ids = torch.full((len(rows), width), fill)
    mask = torch.zeros_like(ids)
    for index, row in enumerate(rows):
        place = slice(width - len(row), width) if side == "left" else slice(len(row))
        ids[index, place], mask[index, place] = row, 1
    return ids, mask
