"""Changes to a knowledge base: documents staged group by group, going live all at once, and leaving again."""

import hashlib
import json
import sqlite3
import time
from array import array
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from core.duplicates import repeated, sketch
from core.errors import UserError
from core.rag.bases import Row, exists, folder, put, reading, writing

if TYPE_CHECKING:
    import numpy as np


Keep = Callable[[str, str, bool], bool]


@dataclass(frozen=True)
class Staged:
    """A document that was read and split, on its way in.

    Attributes:
        key: what it was made of: name, content, chunking and embedder (:class:`core.rag.rows.Making`).
        text: the cleaned text that the rows' spans point into.
        suffix: of the kept copy ``files/<sha256><suffix>``.
    """

    key: str
    name: str
    sha256: str
    size: int
    kind: str
    pages: int
    notes: tuple[str, ...]
    suffix: str
    text: str
    rows: tuple[Row, ...]


def row_id(name: str, position: int, row: Row) -> str:
    """A row's identity, from its content and place alone: indexed again, the same row has the same id."""
    parts = [name, position, row.text, row.heading, row.page, row.start, row.end, row.kind]
    return hashlib.sha256(json.dumps(parts, ensure_ascii=False).encode()).hexdigest()[:32]


def stage(name: str, group: Sequence[Staged], vectors: "np.ndarray") -> None:
    """Put documents in without letting them be found yet: all of the group, or none.

    Args:
        vectors: of all rows of the group in order, shape (rows, dimensions), float32.
    """
    at = 0
    with writing(name) as db:
        for new in group:
            db.execute("DELETE FROM documents WHERE key = ? AND NOT live", (new.key,))
            number = _insert(
                db, "documents", key=new.key, name=new.name, sha256=new.sha256, size=new.size, kind=new.kind,
                pages=new.pages, notes=json.dumps(new.notes), suffix=new.suffix, text=new.text,
            )  # fmt: skip
            for position, row in enumerate(new.rows):
                place = {"document": number, "position": position, "id": row_id(new.name, position, row)}
                where = {"heading": row.heading, "page": row.page, "start": row.start, "end": row.end}
                inserted = _insert(db, "rows", **place, text=row.text, **where, kind=row.kind)
                _insert(db, "vectors", number=inserted, vector=vectors[at + position].tobytes())
                _insert(db, "sketches", number=inserted, sketch=sketch(row.text).tobytes())
            at += len(new.rows)


def _insert(db: sqlite3.Connection, table: str, **values: Any) -> int:
    columns, marks = ", ".join(f'"{column}"' for column in values), ", ".join("?" * len(values))
    return db.execute(f"INSERT INTO {table} ({columns}) VALUES ({marks})", list(values.values())).lastrowid or 0


def keys(name: str) -> dict[str, bool]:
    """The keys of the documents that are in, staged ones included, and whether each is live."""
    if not exists(name):
        return {}
    with reading(name) as db:
        return {key: bool(live) for key, live in db.execute("SELECT key, live FROM documents")}


def commit(name: str, keep: Keep, made: dict[str, Any], rejected: Iterable[dict[str, Any]]) -> None:
    """Let staged documents take the place of live ones of the same name, in one step.

    Args:
        keep: told name, key and whether it is live, says whether that document stays or, a staged one, goes live.
        made: how the rows were made: {"embedder", …}, for :func:`core.rag.bases.meta`.
        rejected: files that could not be read, {"name", "message", "hint", "values"}: remembered for the listing.
    """
    with writing(name) as db:
        found = db.execute("SELECT id, name, key, live FROM documents").fetchall()
        coming = {known for _, known, key, live in found if not live and keep(known, key, False)}
        for number, known, key, live in found:
            if not keep(known, key, bool(live)) or (live and known in coming):
                db.execute("DELETE FROM documents WHERE id = ?", (number,))
        db.execute("UPDATE documents SET live = 1")
        put(db, **made, built=time.time())
        db.execute("DELETE FROM rejected WHERE name IN (SELECT name FROM documents)")
        for (known,) in db.execute("SELECT name FROM rejected").fetchall():
            if not keep(known, "", True):
                db.execute("DELETE FROM rejected WHERE name = ?", (known,))
        _remember(db, rejected)
        _settle(db)


def remember(name: str, rejected: Iterable[dict[str, Any]]) -> None:
    """Keep which files could not be read, and why, for the listing."""
    with writing(name) as db:
        _remember(db, rejected)


def _remember(db: sqlite3.Connection, rejected: Iterable[dict[str, Any]]) -> None:
    rows = [(error["name"], json.dumps(error, ensure_ascii=False)) for error in rejected]
    db.executemany("INSERT OR REPLACE INTO rejected VALUES (?, ?)", rows)


def delete_document(name: str, document: str) -> None:
    """Take a document out; no search that starts after this returns finds it.

    Raises:
        UserError: no such base, or no such document in it.
    """
    if not exists(name):
        raise UserError("There is no index of “{name}”.", "Look at the list for the names that exist.", name=name)
    with writing(name) as db:
        taken = db.execute("DELETE FROM rejected WHERE name = ?", (document,)).rowcount
        files = db.execute("SELECT sha256, suffix FROM documents WHERE name = ? AND live", (document,)).fetchall()
        query = (
            "SELECT 1 FROM rows WHERE same_as != '' AND same_as IN (SELECT r.id FROM rows r"
            " JOIN documents d ON d.id = r.document WHERE d.name = ? AND d.live) LIMIT 1"
        )
        missed = db.execute(query, (document,)).fetchone()
        taken += db.execute("DELETE FROM documents WHERE name = ? AND live", (document,)).rowcount
        if not taken:
            raise no_document(name, document)
        # Rows that no other one repeats go without a word to the others.
        (_settle if missed else _version)(db)
        unused = [f for f in files if not db.execute("SELECT 1 FROM documents WHERE sha256 = ?", (f[0],)).fetchone()]
    for sha256, suffix in unused:
        (folder(name) / "files" / f"{sha256}{suffix}").unlink(missing_ok=True)


def check_document(name: str, document: str) -> None:
    """Whether a base holds a document, be it one that could not be read.

    Raises:
        UserError: no such base, or no such document in it.
    """
    query = "SELECT name FROM documents WHERE live AND name = ? UNION SELECT name FROM rejected WHERE name = ?"
    with reading(name) as db:
        if not db.execute(query, (document, document)).fetchone():
            raise no_document(name, document)


def unrecognise(name: str, document: str) -> None:
    """Have a document read and embedded again when it is next given, though its file is the same.

    Raises:
        UserError: no such base, or no such document in it.
    """
    check_document(name, document)
    with writing(name) as db:
        query = "UPDATE documents SET key = 'again ' || key WHERE live AND name = ? AND key NOT LIKE 'again %'"
        db.execute(query, (document,))


def no_document(name: str, document: str) -> UserError:
    """The error for a document that a base does not hold."""
    return UserError(
        "There is no document “{document}” in “{name}”.",
        "Look at the list for the names that exist.",
        document=document,
        name=name,
    )


_LIVE_ROWS = "FROM rows r JOIN documents d ON d.id = r.document WHERE d.live"


def _settle(db: sqlite3.Connection) -> None:
    """Say anew which live rows repeat others: the same whatever order the documents came in.

    All rows are looked at, by their sketches: what that costs says :mod:`core.duplicates`.
    """
    import numpy as np

    bare = "SELECT number, text FROM rows WHERE number NOT IN (SELECT number FROM sketches)"  # of an earlier edition
    made = ((number, sketch(text).tobytes()) for number, text in db.execute(bare).fetchall())
    db.executemany("INSERT INTO sketches VALUES (?, ?)", made)
    db.execute("UPDATE rows SET same_as = '' WHERE same_as != ''")
    query = f"SELECT r.number, s.sketch {_LIVE_ROWS} ORDER BY d.name, r.position"
    numbers, sketches = array("q"), bytearray()
    for number, known in db.execute(query.replace("WHERE", "JOIN sketches s ON s.number = r.number WHERE")):
        numbers.append(number)
        sketches += known

    def text(place: int) -> str:
        return str(db.execute("SELECT text FROM rows WHERE number = ?", (numbers[place],)).fetchone()[0])

    found = repeated(np.frombuffer(sketches, np.uint64).reshape(len(numbers), -1), text) if numbers else []
    pairs = [(numbers[same.of], numbers[same.index]) for same in found]
    db.executemany("UPDATE rows SET same_as = (SELECT id FROM rows WHERE number = ?) WHERE number = ?", pairs)
    _version(db)


def _version(db: sqlite3.Connection) -> None:
    version = hashlib.sha256(dict(db.execute("SELECT key, value FROM meta"))["embedder"].encode())
    for (row,) in db.execute(f"SELECT r.id {_LIVE_ROWS} AND r.same_as = '' ORDER BY d.name, r.position"):
        version.update(row.encode())
    put(db, version=version.hexdigest()[:32])


def documents(name: str) -> list[dict[str, Any]]:
    """The documents of a base by name, and the files that could not be read.

    Returns:
        {"name", "sha256", "size" (bytes), "kind", "pages", "notes", "chunks", "duplicates" (chunks left out),
        "status": "ready" or "rejected", "error": why the file (or its newest edition) could not be read, or None}
    """
    query = (
        "SELECT d.name, d.sha256, d.size, d.kind, d.pages, d.notes, COUNT(r.number) AS n, SUM(r.same_as != '')"
        " FROM documents d JOIN rows r ON r.document = d.id WHERE d.live GROUP BY d.id ORDER BY d.name"
    )
    with reading(name) as db:
        found = db.execute(query).fetchall()
        errors = {known: json.loads(error) for known, error in db.execute("SELECT name, error FROM rejected")}
    names = ("name", "sha256", "size", "kind", "pages", "notes", "chunks", "duplicates")
    rows = []
    for values in found:
        row = dict(zip(names, values, strict=True))
        kept, left_out = row["chunks"] - row["duplicates"], row["duplicates"]
        row |= {"notes": json.loads(row["notes"]), "chunks": kept, "duplicates": left_out}
        rows.append({**row, "status": "ready", "error": errors.pop(row["name"], None)})
    empty = {"sha256": "", "size": 0, "kind": "", "pages": 0, "notes": [], "chunks": 0, "duplicates": 0}
    rows += [{"name": known, **empty, "status": "rejected", "error": errors[known]} for known in sorted(errors)]
    return rows


def kept_files(name: str) -> set[str]:
    """The names of the originals that documents of the base still need."""
    with reading(name) as db:
        return {sha256 + suffix for sha256, suffix in db.execute("SELECT sha256, suffix FROM documents")}
