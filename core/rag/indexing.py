"""Documents → rows and vectors of a knowledge base, file by file: what is in already is neither read nor embedded."""

import hashlib
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from core import files
from core.errors import UserError
from core.models import store as models
from core.rag import bases, chunks, embedding, staging
from core.rag.bases import Row
from core.rag.staging import Staged

FORMAT = 3  # raise it when reading or chunking changes: documents given again are then indexed anew
GROUP = 256  # rows embedded and put in together: what a killed job loses at most, and what it holds in memory
Mode = Literal["add", "build", "rebuild"]


@dataclass(frozen=True)
class Step:
    """How far indexing is.

    Attributes:
        stage: read or embed (of the group at hand), or commit.
        file: the document being read.
        files, of: documents done, documents to do.
        rows, rows_of: rows embedded, rows read so far.
    """

    stage: str = "read"
    file: str = ""
    files: int = 0
    of: int = 0
    rows: int = 0
    rows_of: int = 0


@dataclass(frozen=True)
class Report:
    """What came of it.

    Attributes:
        documents, chunks: the base now holds; ``duplicates``: rows left out because others say the same.
        added: documents indexed now; ``unchanged``: those that were in already.
        rejected: files that could not be read, {"name", "message", "hint", "values"}.
    """

    name: str
    documents: int
    chunks: int
    duplicates: int
    embedder: str
    added: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    rejected: list[dict[str, Any]] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For a state file and for ``--json``."""
        return asdict(self)


@dataclass(frozen=True)
class Source:
    """A file to index under a name; ``sha256`` of its bytes."""

    name: str
    path: Path
    sha256: str


def key(source: Source, embedder: str) -> str:
    """What a document's rows and vectors depend on, as one word."""
    made_of = f"{FORMAT}\0{source.name}\0{source.sha256}\0{embedder}"
    return hashlib.sha256(made_of.encode()).hexdigest()


def hashed(name: str, path: Path) -> Source:
    """A file with the hash of its bytes, read in pieces."""
    with path.open("rb") as file:
        return Source(name, path, hashlib.file_digest(file, "sha256").hexdigest())


def collect(paths: Sequence[Path]) -> list[Source]:
    """The files that paths name, folders walked, in a fixed order and under names that differ.

    Raises:
        UserError: no such path, or nothing to index.
    """
    found: dict[str, Path] = {}
    for path in paths:
        if path.is_dir():
            inside = [p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in chunks.SUFFIXES]
            found |= {p.relative_to(path).as_posix(): p for p in sorted(inside)}
        elif path.is_file():
            found[path.name] = path
        else:
            raise UserError("There is no file or folder {path}.", "Check the path.", path=path)
    if not found:
        raise UserError("There is no document to index.", "Give .md or .txt files, or a folder of them.")
    return [hashed(name, path) for name, path in found.items()]


def index(
    name: str,
    sources: Sequence[Source],
    mode: Mode,
    tick: Callable[[Step], None],
    rejected: Sequence[dict[str, Any]] = (),
) -> Report:
    """Bring documents into a base; they can be found once all of them are in.

    Args:
        mode: "add" keeps the other documents, "build" and "rebuild" end with exactly these; a document of the same
            name is replaced. "add" embeds as the base does already, the others with the default embedder.
        tick: told every step; may raise to stop. What was done until then is gone on with by the next call.
        rejected: files that could not even be collected.

    Raises:
        UserError: nothing of it could be indexed, or the disk is full.
    """
    where = bases.folder(name)
    where.mkdir(parents=True, exist_ok=True)
    with FileLock(where / ".indexing.lock"):
        known = staging.keys(name)
        embedder = models.default_embedder().name
        if mode == "add" and any(known.values()):
            embedder = bases.meta(name)["embedder"]
        wanted = {key(source, embedder): source for source in sources}
        raised: dict[str, UserError] = {}
        todo = [source for made, source in wanted.items() if made not in known]
        for group in _groups(where / "files", todo, embedder, tick, raised):
            staging.stage(name, *group)
        if len(raised) == len(sources) == 1 and not rejected:
            raise raised[sources[0].name]
        refused = [*rejected, *({"name": failed, **error.as_dict()} for failed, error in raised.items())]
        _commit(name, mode, wanted, embedder, refused)
        refused_names = {error["name"] for error in refused}
        added = [s.name for made, s in wanted.items() if not known.get(made) and s.name not in refused_names]
        unchanged = [s.name for made, s in wanted.items() if known.get(made)]
        return _report(name, added, unchanged, refused)


def _groups(
    folder: Path, todo: Sequence[Source], embedder: str, tick: Callable[[Step], None], raised: dict[str, UserError]
) -> Any:
    """Documents read, split and embedded, (documents, vectors) of about ``GROUP`` rows at a time."""
    import numpy as np

    group: list[Staged] = []
    done = 0
    for number, source in enumerate(todo, 1):
        tick(Step("read", source.name, number - 1, len(todo), done, done + _rows(group)))
        try:
            group.append(read(source, folder, embedder))
        except UserError as error:
            raised[source.name] = error
        if _rows(group) < GROUP and number < len(todo):
            continue
        texts = [row.text for document in group for row in document.rows]
        parts = []
        for at in range(0, len(texts), GROUP):
            tick(Step("embed", source.name, number - len(group), len(todo), done + at, done + len(texts)))
            parts.append(embedding.embed(texts[at : at + GROUP], "passage", embedder))
        done += len(texts)
        if group:
            yield group, np.concatenate(parts)
        tick(Step("embed", source.name, number, len(todo), done, done))
        group = []


def _rows(group: Sequence[Staged]) -> int:
    return sum(len(document.rows) for document in group)


def read(source: Source, folder: Path, embedder: str) -> Staged:
    """A document read and split, its original kept in ``folder``.

    Raises:
        UserError: it cannot be read, or holds no text.
    """
    text = chunks.read(source.path)
    rows = tuple(Row("", piece.text, source.name, piece.heading) for piece in chunks.split(text, source.name))
    if not rows:
        raise UserError("{name} holds no text.", "Check the file.", name=source.name)
    suffix = source.path.suffix.lower()
    keep(source, folder / f"{source.sha256}{suffix}")
    size = source.path.stat().st_size
    made = key(source, embedder)
    return Staged(made, source.name, source.sha256, size, suffix[1:], 0, (), suffix, text, rows)


def keep(source: Source, path: Path) -> None:
    """Copy an original into the base, unless it is there."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{files.new_id()}")
    shutil.copyfile(source.path, aside)
    aside.replace(path)


def _commit(name: str, mode: Mode, wanted: dict[str, Source], embedder: str, refused: list[dict[str, Any]]) -> None:
    names = {source.name for source in wanted.values()}
    failed = {error["name"] for error in refused}

    def stays(document: str, made: str) -> bool:
        # What cannot be read now stays as it was read before.
        return made in wanted or (mode == "add" and document not in names) or document in failed

    if not any(stays(document, made) for document, made in _present(name)):
        raise UserError("None of the {count} files could be read.", "Check the files.", count=len(refused))
    staging.commit(name, stays, embedder, refused)
    used = staging.kept_files(name)
    for path in (bases.folder(name) / "files").glob("*"):
        if path.name not in used:
            path.unlink(missing_ok=True)


def _present(name: str) -> list[tuple[str, str]]:
    if not bases.exists(name):
        return []
    with bases.reading(name) as db:
        return db.execute("SELECT name, key FROM documents").fetchall()


def _report(name: str, added: list[str], unchanged: list[str], refused: list[dict[str, Any]]) -> Report:
    documents = [document for document in staging.documents(name) if document["status"] == "ready"]
    rows, same = (sum(document[part] for document in documents) for part in ("chunks", "duplicates"))
    return Report(name, len(documents), rows, same, bases.meta(name)["embedder"], added, unchanged, refused)
