"""Texts → vectors, by an embedding model of the catalog; one model in memory, one caller at a time.

A passage's vector depends on the passage and the model alone, not on what is embedded beside it, so that an index
built in two sittings is the one built at once: on a CPU every batch of passages has one of a few shapes (sorted
by length, padded to a multiple of 32 tokens, as many texts as make 256), because rounding changes with the shape.
Passages are looked up by their hash first: what was embedded once is not embedded again.
"""

import copy
import threading
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.models import IMPORTING, cards, loading, placement, preparing, store
from core.models.kept import Kept, Loaded
from core.rag import vector_cache

if TYPE_CHECKING:
    import numpy as np

BATCH = 64  # texts at once on a GPU
TOKENS = 256  # at once on a CPU: more are no faster, and with fewer texts in a batch fewer rows only fill it up
STEP = 32  # tokens
APART = 16  # tokens of a passage for its prompt and the special ones
COSINE = 0.995  # to float32: what a faster way of computing must keep
SAMPLES = [
    "Retrieval finds the passages that an answer may rest on, before a word of it is written.",
    "广州塔位于广州市海珠区，塔身主体高四百五十四米，二〇一〇年九月建成。",
]
KEEP = 200  # batches between two writes to the cache: about ten seconds of work that a kill can cost
_LOCK = threading.Lock()


@Kept
def _embedder(name: str) -> Any:
    model = loading.load_embedder(cards.card(name))
    return _in_bfloat16(model) if model.device.type == "cpu" and placement.multiplies_bfloat16("cpu") else model


def _in_bfloat16(model: Any) -> Any:
    """The model in bfloat16, twice (AVX-512) to four times (AMX) as fast, unless it embeds the samples elsewhere then.

    int8 linears with one scale per tensor are no way: multilingual-e5-small has a few activations far larger than the
    rest and stays at a cosine of 0.98 to float32 with them, against 0.9999 (benchmarks/embedding.py).
    """
    import torch

    def run(model: Any) -> Any:
        vectors = model.encode(SAMPLES, prompt_name="passage", convert_to_tensor=True, show_progress_bar=False)
        return torch.nn.functional.normalize(vectors.float(), dim=1)

    fast = copy.deepcopy(model).bfloat16()
    return fast if float((run(model) * run(fast)).sum(1).min()) >= COSINE else model


def loaded() -> Loaded | None:
    """The embedder in memory; None: there is none."""
    return _embedder.loaded()


def unload() -> None:
    """Give the embedder's memory back, after the batch it is at; it is loaded again when it is next needed."""
    with _LOCK:
        _embedder.cache_clear()


@lru_cache(maxsize=2)
def _tokenizer(folder: Path) -> Any:
    with IMPORTING:
        from transformers import AutoTokenizer

        return AutoTokenizer.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def reach(model: str) -> int:
    """Tokens that the model surely reads of a passage, as :func:`counter` counts them; the rest would be cut off.

    Raises:
        UserError: there is no such model, or it cannot be fetched.
    """
    tokenizer = _tokenizer(preparing.prepare(cards.card(model)))
    return int(min(512, tokenizer.model_max_length)) - APART


def counter(model: str = "") -> Callable[[str], int]:
    """A function that counts the tokens of a text as the model reads it, special ones aside.

    Raises:
        UserError: there is no such model, or it cannot be fetched.
    """
    card = cards.card(model) if model else store.default_embedder()
    loading.check_loadable(card, "embed")
    tokenizer = _tokenizer(preparing.prepare(card))
    return lambda text: len(tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])


def embed(
    texts: Sequence[str], kind: str, model: str = "", progress: Callable[[int, int], None] | None = None
) -> "np.ndarray":
    """Vectors of ``texts``, shape (n, dimensions), float32, of length 1.

    Args:
        kind: "query" or "passage": the prompt the model was trained with for that side.
        model: catalog name; empty: the default embedder.
        progress: called with (done, total) after each batch.

    Raises:
        UserError: there is no such model, or it cannot be loaded.
    """
    import numpy as np

    name = model or store.default_embedder().name
    if not texts:
        with _LOCK:
            return np.zeros((0, _embedder(name).get_embedding_dimension()), np.float32)
    if kind != "passage":
        return _fresh(texts, kind, name, progress)
    keys = vector_cache.keys(name, kind, texts, "bfloat16" if placement.multiplies_bfloat16("cpu") else "float32")
    known = vector_cache.get(keys)
    # Every new text once, however often it is among them.
    new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
    if progress and not new:
        progress(len(texts), len(texts))

    def told(done: int, total: int) -> None:
        if progress:
            progress(len(texts) - total + done, len(texts))

    if new:
        rows = _fresh(list(new.values()), kind, name, told, lambda found: vector_cache.put(_by_key(found, list(new))))
        known |= dict(zip(new, rows, strict=True))
    return np.stack([known[key] for key in keys])


def _by_key(found: dict[int, Any], keys: list[bytes]) -> dict[bytes, Any]:
    return {keys[place]: vector for place, vector in found.items()}


def _fresh(
    texts: Sequence[str],
    kind: str,
    name: str,
    progress: Callable[[int, int], None] | None,
    keep: Callable[[dict[int, Any]], None] = lambda found: None,
) -> "np.ndarray":
    import numpy as np

    rows: dict[int, Any] = {}
    unkept: dict[int, Any] = {}
    with _LOCK:
        batches = list(_batches(texts, kind, _embedder(name)))
    try:
        for number, (places, length, size) in enumerate(batches, 1):
            with _LOCK:  # anew for each batch, so that a question waits for one batch of an index being built
                vectors = _encode(_embedder(name), [texts[place] for place in places], kind, length, size)
            unkept |= dict(zip(places, vectors, strict=True))
            rows |= {place: unkept[place] for place in places}
            if number % KEEP == 0:
                keep(unkept)
                unkept = {}
            if progress:
                progress(len(rows), len(texts))
    finally:  # also when somebody stops it from within ``progress``
        keep(unkept)
    return np.stack([rows[place] for place in range(len(texts))])


def _batches(texts: Sequence[str], kind: str, encoder: Any) -> Iterator[tuple[list[int], int, int]]:
    """(places of the texts, tokens to pad to, rows to fill up to), texts of like length together."""
    prompt = encoder.prompts.get(kind) or ""
    limit = encoder.max_seq_length or 512
    ids = encoder.tokenizer([prompt + text for text in texts], truncation=True, max_length=limit)["input_ids"]
    lengths = [min(limit, -(-len(row) // STEP) * STEP) for row in ids]
    on_cpu = encoder.device.type == "cpu"
    order = sorted(range(len(texts)), key=lambda place: (-lengths[place], place))
    start = 0
    while start < len(order):
        length = lengths[order[start]]
        size = max(1, TOKENS // length) if on_cpu else BATCH
        places = [place for place in order[start : start + size] if lengths[place] == length]
        yield places, length, size if on_cpu and kind == "passage" else 0
        start += len(places)


def _encode(encoder: Any, texts: list[str], kind: str, length: int, fill: int) -> "np.ndarray":
    import numpy as np

    filled = texts + [texts[-1]] * (fill - len(texts))
    vectors = encoder.encode(
        filled,
        prompt_name=kind,
        batch_size=len(filled),
        convert_to_tensor=True,
        show_progress_bar=False,
        processing_kwargs={"text": {"padding": "max_length", "truncation": True, "max_length": length}},
    )
    found = vectors[: len(texts)].float().cpu().numpy()
    return (found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-12)).astype(np.float32)
