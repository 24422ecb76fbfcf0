"""Vectors of the tiny embedder: what is cached, in which order, and that company does not change them."""

import os
import sqlite3
from typing import Any

import numpy as np
import pytest

from core.models.cards import ModelCard
from core.rag import embedding, vector_cache
from core.settings import settings

TEXTS = ["A llama carries loads.", "珠江流过广州。", "fox", "The quick brown fox jumps over the lazy dog. " * 3]


@pytest.fixture(autouse=True)
def embedder(tiny_embedder: ModelCard) -> ModelCard:
    return tiny_embedder


@pytest.fixture
def encoded(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that really went through the model, in that order (fillers not counted)."""
    seen: list[str] = []
    real = embedding._encode

    def counting(encoder: Any, texts: list[str], *rest: Any) -> np.ndarray:
        seen.extend(texts)
        return real(encoder, texts, *rest)

    monkeypatch.setattr(embedding, "_encode", counting)
    return seen


def test_vectors_are_the_models_own_in_the_order_of_the_texts(embedder: ModelCard) -> None:
    from core.models import loading

    model = loading.load_embedder(embedder)
    for kind in ("query", "passage"):
        vectors = embedding.embed(TEXTS, kind)
        expected = model.encode(TEXTS, prompt_name=kind, normalize_embeddings=True)
        assert vectors.dtype == np.float32
        assert (vectors * expected).sum(1).min() > 0.999
        assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(len(TEXTS)), abs=1e-5)


def test_what_was_embedded_is_not_embedded_again(encoded: list[str]) -> None:
    first = embedding.embed(TEXTS, "passage")
    assert sorted(encoded) == sorted(TEXTS)
    told: list[tuple[int, int]] = []
    again = embedding.embed(TEXTS[::-1], "passage", "", lambda done, total: told.append((done, total)))
    assert len(encoded) == len(TEXTS)
    assert told == [(4, 4)]
    assert np.array_equal(again[::-1], first)
    told.clear()
    embedding.embed([*TEXTS, "new", "new"], "passage", "", lambda done, total: told.append((done, total)))
    assert encoded[len(TEXTS) :] == ["new"]
    assert told[-1] == (6, 6)


def test_another_side_or_other_weights_share_nothing(embedder: ModelCard) -> None:
    ways = [("passage", "float32"), ("query", "float32"), ("passage", "bfloat16")]
    one, *others = (vector_cache.keys(embedder.name, kind, ["x"], way) for kind, way in ways)
    assert one not in others
    from core.models import store

    weights = next(store.directory(embedder).glob("*.safetensors"))
    about = weights.stat()
    os.utime(weights, ns=(about.st_atime_ns, about.st_mtime_ns + 1))  # as after another download
    assert vector_cache.keys(embedder.name, "passage", ["x"], "float32") != one


@pytest.mark.parametrize("length", [1, 3, 9])
def test_company_changes_nothing(length: int) -> None:
    texts = [f"{text} {i}" for i, text in enumerate(TEXTS * 3)]
    together = embedding.embed(texts, "passage")
    settings().kb_dir.joinpath("vectors.db").unlink()
    parts = [embedding.embed(texts[i : i + length], "passage") for i in range(0, len(texts), length)]
    assert np.abs(np.concatenate(parts) - together).max() <= 1e-5


def test_a_stop_keeps_what_was_done(encoded: list[str]) -> None:
    def stop(done: int, total: int) -> None:
        raise KeyboardInterrupt

    texts = [f"{text} {i}" for i, text in enumerate(TEXTS * 5)]
    with pytest.raises(KeyboardInterrupt):
        embedding.embed(texts, "passage", "", stop)
    done = list(encoded)
    assert 0 < len(done) < len(texts)
    embedding.embed(texts, "passage")
    assert sorted(encoded) == sorted(texts), "something was embedded twice"


def test_a_spoilt_cache_costs_time_only(encoded: list[str]) -> None:
    settings().kb_dir.mkdir(parents=True, exist_ok=True)
    (settings().kb_dir / "vectors.db").write_bytes(b"no database at all" * 100)
    assert embedding.embed(TEXTS, "passage").shape[0] == len(TEXTS)
    assert len(encoded) == len(TEXTS)


def test_the_oldest_leave_first(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(vector_cache, "LIMIT", 3)
    keys = [bytes([i]) * 32 for i in range(5)]
    for key in keys:
        vector_cache.put({key: np.ones(2, np.float32)})
    assert set(vector_cache.get(keys)) == set(keys[2:])
    with sqlite3.connect(settings().kb_dir / "vectors.db") as database:
        assert database.execute("SELECT count(*) FROM vectors").fetchone() == (3,)


def test_no_texts_no_rows() -> None:
    assert embedding.embed([], "passage").shape == (0, embedding.embed(["x"], "query").shape[1])


def test_tokens_are_counted_without_special_ones(embedder: ModelCard) -> None:
    count = embedding.counter()
    assert count("") == 0
    assert count("llama llama") > count("llama") > 0
    model = embedding._embedder(embedder.name)
    assert count("A llama.") == len(model.tokenizer("A llama.", add_special_tokens=False)["input_ids"])


def test_its_memory_is_counted_and_given_back_until_it_is_needed_again(embedder: ModelCard) -> None:
    first = embedding.embed(["A llama."], "query")
    model = embedding._embedder(embedder.name)
    held = embedding.loaded()
    assert held and held.name == embedder.name
    assert held.memory == sum(p.numel() * p.element_size() for p in model.parameters()) > 0
    embedding.unload()
    assert embedding.loaded() is None
    assert np.array_equal(embedding.embed(["A llama."], "query"), first) and embedding.loaded() == held
