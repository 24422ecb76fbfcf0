"""Vectors of passages by model, kind, arithmetic and text: ``var/kb/vectors.db``; the oldest leave first.

It only saves work: whatever is wrong with it is logged, and the vectors are computed again.
"""

import hashlib
import logging
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from core.models import cards, store
from core.settings import settings

if TYPE_CHECKING:
    import numpy as np

LIMIT = 300_000  # vectors; half a gigabyte of 384 dimensions
_MANY = 500  # keys in one query


def keys(model: str, kind: str, texts: Iterable[str], arithmetic: str) -> list[bytes]:
    """What vectors are kept under; another set of weights under the same name has other keys.

    Args:
        arithmetic: what this machine computes in: moved to another one, ``var/`` yields what that one would compute.
    """
    weights = sorted(store.directory(cards.card(model)).glob("*.safetensors"))
    about = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in weights]
    head = hashlib.sha256(f"{model} {about} {kind} {arithmetic}".encode()).digest()
    return [hashlib.sha256(head + text.encode("utf-8", "surrogatepass")).digest() for text in texts]


@contextmanager
def _opened() -> Iterator[sqlite3.Connection]:
    path = settings().kb_dir / "vectors.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path, timeout=10, isolation_level=None)) as database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        database.execute(
            "CREATE TABLE IF NOT EXISTS vectors (place INTEGER PRIMARY KEY, key BLOB UNIQUE NOT NULL, vector BLOB)"
        )
        yield database


def get(keys: Iterable[bytes]) -> "dict[bytes, np.ndarray]":
    """The vectors that are kept, each of shape (dimensions,), float32."""
    import numpy as np

    wanted, found = list(dict.fromkeys(keys)), {}
    try:
        with _opened() as database:
            for start in range(0, len(wanted), _MANY):
                some = wanted[start : start + _MANY]
                marks = ",".join("?" * len(some))
                rows = database.execute(f"SELECT key, vector FROM vectors WHERE key IN ({marks})", some)
                found.update({bytes(name): np.frombuffer(vector, "<f4") for name, vector in rows})
    except (sqlite3.Error, OSError, ValueError):
        logging.getLogger("yuan").exception("The cache of vectors cannot be read")
    return found


def put(vectors: "Mapping[bytes, np.ndarray]") -> None:
    """Keep vectors, all of them or (killed on the way) none."""
    if not vectors:
        return
    try:
        with _opened() as database:
            database.execute("BEGIN IMMEDIATE")
            rows = [(name, vector.astype("<f4").tobytes()) for name, vector in vectors.items()]
            database.executemany("INSERT OR IGNORE INTO vectors (key, vector) VALUES (?, ?)", rows)
            (last,) = database.execute("SELECT max(place) FROM vectors").fetchone()
            database.execute("DELETE FROM vectors WHERE place <= ?", (last - LIMIT,))
            database.execute("COMMIT")
    except (sqlite3.Error, OSError):
        logging.getLogger("yuan").exception("The cache of vectors cannot be written")
