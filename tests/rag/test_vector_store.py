"""The vector store finds what plain arithmetic finds, and takes more rows than one batch."""

import threading

import numpy as np
import pytest

from core.rag import store


def vectors(count: int, dimensions: int = 24, seed: int = 0) -> np.ndarray:
    made = np.random.default_rng(seed).normal(size=(count, dimensions)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def fill(name: str, data: np.ndarray) -> None:
    store.create(name)
    ids = [str(i) for i in range(len(data))]
    store.add(name, ids, data)


def test_it_finds_the_true_neighbours_with_their_cosine() -> None:
    data, queries = vectors(1500), vectors(20, seed=1)
    fill("kb-a", data)
    for query in queries:
        cosines = data @ query
        best = np.argsort(-cosines)[:10]
        found = store.query("kb-a", query, 10)
        assert [row[0] for row in found] == [str(i) for i in best]
        assert [row[1] for row in found] == pytest.approx(cosines[best].tolist(), abs=1e-5)


def test_more_rows_than_one_batch_are_all_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.client(), "get_max_batch_size", lambda: 7)
    fill("kb-a", vectors(40))
    assert len(store.query("kb-a", vectors(1)[0], 100)) == 40


def test_a_collection_made_again_is_empty() -> None:
    fill("kb-a", vectors(3))
    store.create("kb-a")
    assert store.query("kb-a", vectors(1)[0], 3) == []


def test_dropping_what_is_not_there_is_no_mistake() -> None:
    store.drop("kb-nowhere")


def test_threads_share_one_client() -> None:
    found: list[object] = []
    threads = [threading.Thread(target=lambda: found.append(store.client())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 8
    assert len(set(map(id, found))) == 1
