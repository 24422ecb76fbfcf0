"""The rows nearest to a vector: by Chroma, brought up to date first; or exactly, where there is no store to be had."""

import hashlib
import logging
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from filelock import FileLock

from core.rag import bases, store
from core.rag.bases import View

if TYPE_CHECKING:
    import numpy as np

_TOLD: set[str] = set()  # why there is no store, as long as there is none
KEPT_IN_MEMORY = 20_000  # rows; of larger bases an exact search reads the vectors each time


def nearest(seen: View, vector: "np.ndarray", count: int) -> list[tuple[int, float]]:
    """The ``count`` rows nearest to ``vector`` (dimensions,), as (number of the row in the view, cosine), best first.

    Rows that the view does not hold are never among them, whatever the store still has.
    """
    count = min(count, len(seen.rows))
    if not count:
        return []
    if bases.is_scratch(seen.name):
        return exact(seen, vector, count)
    try:
        found = _by_store(seen, vector, count)
        _TOLD.clear()
        return found
    except store.Unavailable as error:
        if error.message not in _TOLD:  # once, not with every question
            _TOLD.add(error.message)
            logging.getLogger("yuan").warning("%s Searched without it.", error.message)
        return exact(seen, vector, count)


def _by_store(seen: View, vector: "np.ndarray", count: int) -> list[tuple[int, float]]:
    from chromadb.errors import NotFoundError

    _bring_up(seen.name)
    name, wanted = collection(seen), count
    while True:
        try:
            found = store.query(name, vector, wanted)
        except NotFoundError:  # the store was emptied by somebody
            _bring_up(seen.name, again=True)
            found = store.query(name, vector, wanted)
        known = [(seen.number[row], score) for row, score in found if row in seen.number][:count]
        # Rows that came since the view was taken push some of its own out.
        if len(known) == count or len(found) < wanted or wanted > 2 * len(seen.rows):
            return known
        wanted *= 2


def collection(seen: View) -> str:
    """The collection of a base: vectors of another embedder never meet in it."""
    return f"kb-{seen.uid}-{hashlib.sha256(seen.embedder.encode()).hexdigest()[:8]}"


def _is_current(name: str) -> bool:
    known = bases.meta(name)
    return known.get(f"indexed in {store.where()}") == known["version"]


def _bring_up(name: str, again: bool = False) -> None:
    """Make the store's collection hold exactly the base's rows; one process at a time, and always the newest."""
    if _is_current(name) and not again:
        return
    store.client()
    with FileLock(bases.folder(name) / ".store.lock"):
        if not _is_current(name) or again:
            sync(bases.view(name))


def sync(seen: View, progress: Callable[[int, int], None] | None = None) -> None:
    """Bring the store to what a view holds: ids come from content, so a difference of ids is all the difference.

    Vectors are passed on in blocks of ``bases.BLOCK``; may be killed at any moment, the next search goes on with it.
    """
    target = collection(seen)
    have = store.ids(target)
    if have is None:
        store.create(target)
        have = set()
    if gone := [row for row in have if row not in seen.number]:
        store.delete(target, gone)
    new = [row.id for row in seen.rows if row.id not in have]
    done = 0
    for rows, vectors in bases.vector_blocks(seen, new):
        store.add(target, rows, vectors)
        done += len(rows)
        if progress:
            progress(done, len(new))
    _sweep(seen)
    with bases.writing(seen.name) as db:
        bases.put(db, **{f"indexed in {store.where()}": seen.version})


def _sweep(seen: View) -> None:
    """Drop the collections of this base's earlier embedders, and in a store of our own those of removed bases."""
    alive = {known.get("uid") for known in bases.all_meta()}
    embedded = store.where() == "embedded"
    for name in store.names("kb-" if embedded else f"kb-{seen.uid}-"):
        if name != collection(seen) and (name.split("-")[1] == seen.uid or name.split("-")[1] not in alive):
            store.drop(name)


def forget(uid: str) -> None:
    """Drop what the store holds of a removed base; where that cannot be had, its owner does it later."""
    try:
        for name in store.names(f"kb-{uid}-"):
            store.drop(name)
    except store.Unavailable as error:
        logging.getLogger("yuan").info("%s", error.message)


def exact(seen: View, vector: "np.ndarray", count: int) -> list[tuple[int, float]]:
    """The same as :func:`nearest` by plain arithmetic over all vectors, block by block."""
    import numpy as np

    if len(seen.rows) <= KEPT_IN_MEMORY:
        scores = _matrix(seen) @ vector
    else:
        blocks = bases.vector_blocks(seen, [row.id for row in seen.rows])
        scores = np.concatenate([vectors @ vector for _, vectors in blocks])
    best = np.argsort(-scores, kind="stable")[:count]
    return [(int(number), float(scores[number])) for number in best]


@lru_cache(maxsize=2)
def _matrix(seen: View) -> "np.ndarray":
    return bases.vectors(seen)
