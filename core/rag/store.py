"""Chroma, embedded: one client per process behind one lock; cosine space; whole collections only.

A knowledge base is rebuilt into a collection of a new name, and its manifest points there once it is complete:
a killed build leaves the old index answering, and another process that has the store open finds the new one.
"""

import contextlib
import threading
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.settings import settings

if TYPE_CHECKING:
    import numpy as np

_LOCK = threading.RLock()
# Chroma's defaults lose one in six of the true neighbours on hard vectors; these find all of them.
_INDEX = {"space": "cosine", "ef_construction": 200, "ef_search": 400, "max_neighbors": 32}


@lru_cache(maxsize=2)
def _client(folder: Path) -> Any:
    import chromadb

    folder.mkdir(parents=True, exist_ok=True)
    return chromadb.PersistentClient(str(folder), settings=chromadb.Settings(anonymized_telemetry=False))


def client() -> Any:
    """The process's client (constructing two at once fails, so it is made under the lock)."""
    with _LOCK:
        return _client(settings().kb_dir / "chroma")


def create(collection: str) -> None:
    """An empty collection with cosine distance; an unfinished one of the same name is dropped first."""
    drop(collection)
    with _LOCK:
        client().create_collection(collection, configuration={"hnsw": _INDEX}, embedding_function=None)


def drop(collection: str) -> None:
    """Delete a collection; nothing happens when there is none."""
    from chromadb.errors import NotFoundError

    with _LOCK, contextlib.suppress(NotFoundError):
        client().delete_collection(collection)


def add(collection: str, ids: list[str], vectors: "np.ndarray", texts: list[str], metadatas: list[dict]) -> None:
    """Add rows (vectors: (n, dimensions) float32, normalised), in batches of the size Chroma accepts."""
    with _LOCK:
        target, size = client().get_collection(collection, embedding_function=None), client().get_max_batch_size()
        for i in range(0, len(ids), size):
            rows = slice(i, i + size)
            target.upsert(ids=ids[rows], embeddings=vectors[rows], documents=texts[rows], metadatas=metadatas[rows])


def query(collection: str, vector: "np.ndarray", count: int) -> list[tuple[str, str, dict, float]]:
    """The nearest ``count`` rows as (id, text, metadata, cosine similarity), nearest first."""
    with _LOCK:
        target = client().get_collection(collection, embedding_function=None)
        found = target.query(query_embeddings=[vector], n_results=count)
    rows = zip(found["ids"][0], found["documents"][0], found["metadatas"][0], found["distances"][0], strict=True)
    return [(row_id, text, metadata, 1 - distance) for row_id, text, metadata, distance in rows]
