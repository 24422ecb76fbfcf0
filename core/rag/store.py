"""The vector store: Chroma, embedded in one process or on a server (``YUAN_CHROMA_URL``); ids and vectors only.

One process owns the embedded store, by an operating system's lock that dies with it: what a second one wrote would
not be seen by the first one's queries. The store is an index that can be made again from the bases' own files.
"""

import contextlib
import socket
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from filelock import FileLock, Timeout

from core.errors import UserError
from core.settings import settings

if TYPE_CHECKING:
    import numpy as np

_LOCK = threading.RLock()
PATIENCE = 5.0  # seconds for a server to take a connection
# Chroma's defaults lose one in six of the true neighbours on hard vectors; these find all of them.
_INDEX = {"space": "cosine", "ef_construction": 200, "ef_search": 400, "max_neighbors": 32}


class Unavailable(UserError):
    """There is no store to be had now: another process owns it, or the server does not answer."""


@lru_cache(maxsize=2)
def _client(folder: Path, url: str) -> tuple[Any, FileLock | None]:
    import chromadb

    options = chromadb.Settings(anonymized_telemetry=False)
    if url:
        parts = urlsplit(url)
        secure = parts.scheme == "https"
        port = parts.port or (443 if secure else 8000)
        # The client itself would wait for a silent host as long as the system does.
        socket.create_connection((parts.hostname or "localhost", port), PATIENCE).close()
        return chromadb.HttpClient(parts.hostname or "localhost", port, ssl=secure, settings=options), None
    folder.mkdir(parents=True, exist_ok=True)
    owner = FileLock(folder / ".owner.lock")
    try:
        owner.acquire(timeout=0)
    except Timeout as error:
        raise Unavailable(
            "Another process of the app has the vector store open.",
            "Stop it, or let both use a Chroma server (YUAN_CHROMA_URL).",
        ) from error
    return chromadb.PersistentClient(str(folder), settings=options), owner


@contextlib.contextmanager
def _answering() -> Iterator[None]:
    """Turn what a server's silence raises into a sentence."""
    import httpx

    try:
        yield
    except (httpx.TransportError, OSError) as error:
        if not settings().chroma_url:
            raise
        raise _silent() from error


def _silent() -> Unavailable:
    url = settings().chroma_url
    return Unavailable("The Chroma server {url} does not answer.", "Start it, or correct YUAN_CHROMA_URL.", url=url)


def where() -> str:
    """Which store this process uses: the server's address, or "embedded"."""
    return settings().chroma_url or "embedded"


def client() -> Any:
    """The process's client (constructing two at once fails, so it is made under a lock).

    Raises:
        Unavailable: another process owns the embedded store, or the server does not answer.
    """
    with _LOCK, _answering():
        try:
            return _client(settings().kb_dir / "chroma", settings().chroma_url)[0]
        except ValueError as error:  # how chromadb says that it cannot connect
            if not settings().chroma_url:
                raise
            raise _silent() from error


def names(prefix: str) -> list[str]:
    """The collections whose names begin so."""
    target = client()
    with _answering():
        return [found.name for found in target.list_collections() if found.name.startswith(prefix)]


def drop(collection: str) -> None:
    """Delete a collection; nothing happens when there is none."""
    from chromadb.errors import NotFoundError

    target = client()
    with _answering(), contextlib.suppress(NotFoundError):
        target.delete_collection(collection)


def ids(collection: str) -> set[str] | None:
    """The ids in a collection; None when there is no such collection."""
    from chromadb.errors import NotFoundError

    target = client()
    with _answering():
        try:
            return set(target.get_collection(collection, embedding_function=None).get(include=[])["ids"])
        except NotFoundError:
            return None


def create(collection: str) -> None:
    """An empty collection with cosine distance; one of the same name is dropped first."""
    drop(collection)
    target = client()
    with _answering():
        target.create_collection(collection, configuration={"hnsw": _INDEX}, embedding_function=None)


def add(collection: str, ids: Sequence[str], vectors: "np.ndarray") -> None:
    """Add rows (vectors: (n, dimensions) float32, normalised), in batches of the size Chroma accepts."""
    target = client()
    with _answering():
        rows, size = target.get_collection(collection, embedding_function=None), target.get_max_batch_size()
        for i in range(0, len(ids), size):
            rows.upsert(ids=list(ids[i : i + size]), embeddings=vectors[i : i + size])


def delete(collection: str, ids: Sequence[str]) -> None:
    """Take rows out of a collection."""
    target = client()
    with _answering():
        rows, size = target.get_collection(collection, embedding_function=None), target.get_max_batch_size()
        for i in range(0, len(ids), size):
            rows.delete(ids=list(ids[i : i + size]))


def query(collection: str, vector: "np.ndarray", count: int) -> list[tuple[str, float]]:
    """The nearest ``count`` rows as (id, cosine similarity), nearest first.

    Raises:
        chromadb.errors.NotFoundError: there is no such collection.
    """
    target = client()
    with _answering():
        rows = target.get_collection(collection, embedding_function=None)
        found = rows.query(query_embeddings=[vector], n_results=count, include=["distances"])
    return [(row, 1 - distance) for row, distance in zip(found["ids"][0], found["distances"][0], strict=True)]
