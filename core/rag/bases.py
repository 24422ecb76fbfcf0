"""Knowledge bases on disk: one SQLite file each holds documents, rows and vectors, and is the truth about them.

``var/kb/<hash of the name>/`` holds ``base.db``, ``files/`` (a copy of every document, named by its hash), ``cache/``
(what can be computed again) and ``job/``. Documents are staged while they are indexed and go live all at once, in
one transaction, so that a killed job leaves nothing half in. The vector index is made from this file, never before.
"""

import contextlib
import hashlib
import secrets
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from core.errors import UserError
from core.settings import settings

if TYPE_CHECKING:
    import numpy as np

BLOCK = 4096  # rows whose vectors are in memory at once
_INSIDE = "\x1f"  # the unit separator: nobody types it
PATIENCE = 600.0  # seconds to wait for another writer's transaction
SCHEMA = """
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS documents (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, live INTEGER NOT NULL DEFAULT 0, name TEXT NOT NULL,
    sha256 TEXT NOT NULL, size INTEGER NOT NULL, kind TEXT NOT NULL, pages INTEGER NOT NULL, notes TEXT NOT NULL,
    suffix TEXT NOT NULL, text TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS rows (
    number INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents ON DELETE CASCADE,
    position INTEGER NOT NULL, id TEXT NOT NULL, text TEXT NOT NULL, heading TEXT NOT NULL, page INTEGER NOT NULL,
    start INTEGER NOT NULL, "end" INTEGER NOT NULL, kind TEXT NOT NULL, same_as TEXT NOT NULL DEFAULT '',
    UNIQUE (document, position));
CREATE INDEX IF NOT EXISTS rows_by_id ON rows (id);
CREATE INDEX IF NOT EXISTS repeated_rows ON rows (same_as) WHERE same_as != '';
CREATE TABLE IF NOT EXISTS vectors (
    number INTEGER PRIMARY KEY REFERENCES rows ON DELETE CASCADE, vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS sketches (
    number INTEGER PRIMARY KEY REFERENCES rows ON DELETE CASCADE, sketch BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS rejected (name TEXT PRIMARY KEY, error TEXT NOT NULL);
"""


@dataclass(frozen=True, slots=True)
class Row:
    """A chunk as it is searched: its document's name, headings above it, page (1-based, 0: none) and span there."""

    id: str
    text: str
    source: str
    heading: str = ""
    page: int = 0
    start: int = 0
    end: int = 0
    kind: str = "text"


@dataclass(frozen=True, eq=False)
class View:
    """A knowledge base at one moment: rows by document name, then position; duplicates left out.

    Attributes:
        uid: of this base; another one of the same name, made after it was removed, has another.
        version: changes with the rows and the embedder, and only with them.
        number: row id → place in ``rows``.
    """

    name: str
    uid: str
    version: str
    embedder: str
    rows: tuple[Row, ...]
    number: dict[str, int] = field(repr=False)


def folder(name: str) -> Path:
    """Where a knowledge base lies; named by a hash, so that it may be called anything in any script."""
    owner, inside, place = name.partition(_INSIDE)
    where = settings().kb_dir / hashlib.sha256(owner.encode()).hexdigest()[:16]
    return where / "scratch" / hashlib.sha256(place.encode()).hexdigest()[:16] if inside else where


def scratch(owner: str, place: str) -> str:
    """The name of a base inside another one's folder, for a trial: in no listing, in no store, gone with its owner."""
    return f"{owner}{_INSIDE}{place}"


def is_scratch(name: str) -> bool:
    """Whether a name is one of :func:`scratch`'s."""
    return _INSIDE in name


def shipped() -> list[str]:
    """Names of the knowledge bases that come with the app."""
    return sorted(path.name for path in settings().knowledge_dir.iterdir() if path.is_dir())


def check_name(name: str, paths: Sequence[Path]) -> None:
    """Whether something may be indexed under this name.

    Raises:
        UserError: it is empty, or that of a base that comes with the app.
    """
    if not name.strip():
        raise UserError("A knowledge base needs a name.", "Type at least one character.")
    home = settings().knowledge_dir / name
    if name in shipped() and any(home not in [path.resolve(), *path.resolve().parents] for path in paths):
        raise UserError("The knowledge base “{name}” comes with the app.", "Choose another name.", name=name)


def exists(name: str) -> bool:
    """Whether something was ever indexed under this name, wholly or not."""
    return (folder(name) / "base.db").is_file()


def missing(name: str) -> UserError:
    """The error for a name that nothing is indexed under."""
    known = ", ".join(meta["name"] for meta in all_meta() if meta.get("version"))
    return UserError("There is no knowledge base “{name}”.", "Known ones: {known}.", name=name, known=known or "–")


@contextmanager
def _opened(path: Path, mode: str = "rw") -> Iterator[sqlite3.Connection]:
    """A connection for one piece of work; rolled back unless it commits.

    Raises:
        UserError: the file is damaged, or the disk is full.
    """
    try:
        address = f"{path.as_uri()}?mode={mode}"
        with closing(sqlite3.connect(address, timeout=PATIENCE, isolation_level=None, uri=True)) as db:
            db.execute("PRAGMA foreign_keys = ON")
            yield db
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorname", "") == "SQLITE_FULL"
        if full:
            raise UserError("The disk is full.", "Free some space and start again.") from error
        if isinstance(error, sqlite3.OperationalError) and not path.is_file():
            raise UserError("The knowledge base was removed meanwhile.", "Look at the list again.") from error
        if isinstance(error, sqlite3.IntegrityError | sqlite3.ProgrammingError):
            raise
        raise UserError(
            "The knowledge base's file {path} cannot be read: {why}.",
            "Remove the knowledge base and build it again.",
            path=path,
            why=error,
        ) from error


@contextmanager
def reading(name: str) -> Iterator[sqlite3.Connection]:
    """One consistent look at a knowledge base, whatever others write meanwhile.

    Raises:
        UserError: there is none of that name.
    """
    path = folder(name) / "base.db"
    if not path.is_file():
        raise missing(name)
    with _opened(path) as db:
        db.execute("BEGIN")
        yield db


@contextmanager
def writing(name: str) -> Iterator[sqlite3.Connection]:
    """One change to a knowledge base, wholly made or not at all; makes the file where there is none."""
    path = folder(name) / "base.db"
    path.parent.mkdir(parents=True, exist_ok=True)
    with _opened(path, "rwc") as db:
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'sketches'").fetchone():
            db.execute("PRAGMA page_size = 8192")
            db.execute("PRAGMA journal_mode = WAL")  # readers go on while somebody writes
            db.executescript(SCHEMA)
        db.execute("BEGIN IMMEDIATE")
        if not _meta(db):
            (path.parent / "name.txt").write_text(name, "utf-8")  # to be told where the file is damaged
            put(db, name=name, uid=secrets.token_hex(8))
        yield db
        db.execute("COMMIT")


def _meta(db: sqlite3.Connection) -> dict[str, Any]:
    return dict(db.execute("SELECT key, value FROM meta"))


def put(db: sqlite3.Connection, **values: Any) -> None:
    """Set some of what :func:`meta` gives."""
    db.executemany("INSERT OR REPLACE INTO meta VALUES (?, ?)", [(key, str(value)) for key, value in values.items()])


def meta(name: str) -> dict[str, Any]:
    """What is known of a base as a whole: name, uid, version, embedder, built, … (version: once it can be searched).

    Raises:
        UserError: there is none of that name.
    """
    with reading(name) as db:
        return _meta(db)


def all_meta() -> list[dict[str, Any]]:
    """The same of all bases, those still being built for the first time and damaged ones (no version) included."""
    found = []
    for path in sorted(settings().kb_dir.glob("*/base.db")):
        try:
            with _opened(path) as db:
                found.append(_meta(db))
        except UserError as error:
            name = path.with_name("name.txt")
            found.append({"name": name.read_text("utf-8") if name.is_file() else "", "error": error.as_dict()})
    return [known for known in found if known.get("name")]


_ROWS = (
    'SELECT r.id, r.text, d.name, r.heading, r.page, r.start, r."end", r.kind FROM rows r JOIN documents d'
    " ON d.id = r.document WHERE d.live AND r.same_as = '' ORDER BY d.name, r.position"
)


class _Changed(Exception):
    """The base got another version between two looks."""


@lru_cache(maxsize=8)
def _view(name: str, base: Path, uid: str, version: str) -> View:
    with reading(name) as db:
        known = _meta(db)
        if (known["uid"], known["version"]) != (uid, version):
            raise _Changed
        rows = tuple(Row(*values) for values in db.execute(_ROWS))
    number = {row.id: place for place, row in enumerate(rows)}
    return View(name, uid, version, known["embedder"], rows, number)


def view(name: str) -> View:
    """The base as it is now; read from disk once per version.

    Raises:
        UserError: there is none of that name, or nothing of it is indexed yet.
    """
    while True:
        known = meta(name)
        if not known.get("version"):
            raise UserError(
                "“{name}” is not indexed yet.", "Wait until it is, or go on with it on the Knowledge page.", name=name
            )
        with contextlib.suppress(_Changed):
            return _view(name, folder(name), known["uid"], known["version"])


def vectors(seen: View, rows: Sequence[int] | None = None) -> "np.ndarray":
    """Vectors of a view's rows (all of them, or those of the given numbers), shape (n, dimensions), float32.

    Raises:
        UserError: the base has changed since, and such a row is gone.
    """
    import numpy as np

    wanted = [seen.rows[number].id for number in (range(len(seen.rows)) if rows is None else rows)]
    parts = [block for _, block in vector_blocks(seen, wanted)]
    return np.concatenate(parts) if parts else np.zeros((0, 0), np.float32)


def vector_blocks(seen: View, ids: Sequence[str]) -> Iterator[tuple[list[str], "np.ndarray"]]:
    """The same in blocks of at most ``BLOCK`` rows, by row id; memory stays bounded whatever the base's size."""
    import numpy as np

    query = (
        "SELECT v.vector FROM rows r JOIN documents d ON d.id = r.document JOIN vectors v ON v.number = r.number"
        " WHERE r.id = ? AND d.live"
    )
    with reading(seen.name) as db:
        for at in range(0, len(ids), BLOCK):
            block = list(ids[at : at + BLOCK])
            found = [db.execute(query, (row,)).fetchone() for row in block]
            if None in found:
                raise UserError("The knowledge base has changed meanwhile.", "Try again.")
            yield block, np.frombuffer(b"".join(vector for (vector,) in found), np.float32).reshape(len(block), -1)


def remove(name: str) -> None:
    """Delete a base with everything in it.

    Raises:
        UserError: there is none of that name.
    """
    if not exists(name):
        raise UserError("There is no index of “{name}”.", "Look at the list for the names that exist.", name=name)
    # Moved aside first: a half-removed base is no base, and its write-ahead log never meets a new file.
    aside = folder(name).with_name(f".removed-{secrets.token_hex(8)}")
    folder(name).rename(aside)
    shutil.rmtree(aside, ignore_errors=True)
