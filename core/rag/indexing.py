"""Documents → rows and vectors of a knowledge base, file by file: what is in already is neither read nor embedded."""

import hashlib
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock, Timeout

from core.errors import UserError
from core.models import cards, loading
from core.models import store as models
from core.rag import bases, chunks, documents, embedding, staging
from core.rag.bases import Row
from core.rag.rows import Making, Source, read
from core.rag.staging import Staged

if TYPE_CHECKING:
    import numpy as np

GROUP = 256  # rows embedded and put in together: what a killed job loses at most, and what it holds in memory
Mode = Literal["add", "build", "rebuild", "reindex"]


@dataclass(frozen=True)
class Step:
    """How far indexing is.

    Attributes:
        stage: collect, read or embed (of the group at hand), or commit.
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
class Request:
    """What is to be done to a base.

    Attributes:
        mode: "add" keeps the other documents, "build" ends with exactly these, "rebuild" takes the base's own copies
            again, "reindex" that of one ``document``; a document of the same name is replaced.
        paths: files and folders.
        document: for "add": whose place the one file of ``paths`` takes; empty: that of its own name.
        size, overlap: of the chunks, in tokens; size 0: for "build" the default, else as the base has it.
        embedder: of the vectors; empty: for "add" and "reindex" what the base has already, else the default.
        origin: the base whose copies "rebuild" takes; empty: its own.
    """

    name: str
    mode: Mode
    paths: Sequence[Path] = ()
    document: str = ""
    size: int = 0
    overlap: int = 0
    embedder: str = ""
    origin: str = ""

    @property
    def partial(self) -> bool:
        """Whether the base's other documents stay as they are."""
        return self.mode in ("add", "reindex")


class NothingRead(UserError):
    """Not one of the files could be read; ``rejected`` says why, file by file."""

    rejected: Sequence[dict[str, Any]] = ()


def making(request: Request) -> Making:
    """What a request leaves open, filled in.

    Raises:
        UserError: no such embedding model, or another one than that of the documents that stay.
    """
    known = bases.meta(request.name) if bases.exists(request.name) else {}
    embedder = known.get("embedder", "") if request.partial else ""
    if request.embedder:
        loading.check_loadable(cards.card(request.embedder), "embed")
        if embedder not in ("", request.embedder):
            raise UserError(
                "“{name}” holds vectors of {known}, and those of {wanted} cannot be compared with them.",
                "Rebuild it with the other embedding model first.",
                name=request.name,
                known=embedder,
                wanted=request.embedder,
            )
    size, overlap = request.size, request.overlap
    if not size and request.mode != "build" and "size" in known:
        size, overlap = int(known["size"]), int(known["overlap"])
    return Making(request.embedder or embedder or models.default_embedder().name, size or chunks.SIZE, overlap)


def collect(paths: Sequence[Path], workspace: Path) -> tuple[list[Source], list[dict[str, Any]]]:
    """The files among ``paths`` with the hashes of their bytes, in a fixed order; and those that cannot be opened.

    Args:
        workspace: where zips are unpacked.

    Raises:
        UserError: no such path, or nothing to index.
    """
    found, rejected = documents.collect(paths, workspace)
    if not found and not rejected:
        known = ", ".join(sorted(documents.SUFFIXES))
        raise UserError("There is no document to index.", "Give files or folders of these: {known}.", known=known)
    sources, refused = [], [{"name": file.name, **file.error} for file in rejected]
    for file in found:
        try:
            with file.path.open("rb") as stream:
                sources.append(Source(file.name, file.path, hashlib.file_digest(stream, "sha256").hexdigest()))
        except OSError as error:
            why = UserError("{name} cannot be opened: {why}.", "Check the file.", name=file.name, why=error.strerror)
            refused.append({"name": file.name, **why.as_dict()})
    return sources, refused


def originals(name: str) -> list[Source]:
    """The kept copies of a base's documents.

    Raises:
        UserError: there is no knowledge base of that name.
    """
    with bases.reading(name) as db:
        found = db.execute("SELECT name, sha256, suffix FROM documents WHERE live ORDER BY name").fetchall()
    folder = bases.folder(name) / "files"
    return [Source(document, folder / f"{sha256}{suffix}", sha256) for document, sha256, suffix in found]


def run(request: Request, tick: Callable[[Step], None], patience: float = 0) -> Report:
    """Bring documents into a base; they can be found once all of them are in.

    Args:
        tick: told every step; may raise to stop. What was done until then is gone on with by the next call.
        patience: seconds to wait for another process that indexes into this base; negative: as long as it takes.

    Raises:
        UserError: nothing of it could be indexed, the name is not to be used, or the base is being indexed already.
    """
    bases.check_name(request.name, request.paths)
    where = bases.folder(request.name)
    for path in request.paths:  # before anything is made
        if not path.exists():
            raise UserError("There is no file or folder {path}.", "Check the path.", path=path)
    where.mkdir(parents=True, exist_ok=True)
    lock = FileLock(where / ".indexing.lock")
    try:
        lock.acquire(timeout=patience)
    except Timeout as error:
        raise busy(request.name) from error
    try:
        tick(Step("collect"))
        return _index(request, making(request), *_sources(request, where / "unpacked"), tick)
    finally:
        shutil.rmtree(where / "unpacked", ignore_errors=True)
        if not bases.exists(request.name):  # nothing came of a new one
            shutil.rmtree(where, ignore_errors=True)
        lock.release()


def _sources(request: Request, workspace: Path) -> tuple[list[Source], list[dict[str, Any]]]:
    if request.mode == "rebuild":
        return originals(request.origin or request.name), []
    if request.mode == "reindex":
        staging.unrecognise(request.name, request.document)
        return [source for source in originals(request.name) if source.name == request.document], []
    shutil.rmtree(workspace, ignore_errors=True)
    sources, refused = collect(request.paths, workspace)
    if request.document:
        staging.check_document(request.name, request.document)
        if len(sources) + len(refused) != 1:
            raise UserError("One file takes the place of a document, not several.", "Give a single file, no zip.")
        sources = [replace(source, name=request.document) for source in sources]
        refused = [{**error, "name": request.document} for error in refused]
    return sources, refused


def busy(name: str) -> UserError:
    """The error for a base that a job is at work on."""
    return UserError("“{name}” is being indexed already.", "Wait until it is done, or stop it.", name=name)


def _index(
    request: Request,
    made: Making,
    sources: Sequence[Source],
    refused: list[dict[str, Any]],
    tick: Callable[[Step], None],
) -> Report:
    name, known = request.name, staging.keys(request.name)
    wanted = {made.key(source): source for source in sources}
    todo = [source for key, source in wanted.items() if key not in known]
    raised: dict[str, UserError] = {}
    for group in _groups(bases.folder(name) / "files", todo, made, tick, raised):
        staging.stage(name, *group)
    if len(raised) == len(sources) == 1 and not refused:
        raise raised[sources[0].name]
    tick(Step("commit", files=len(todo), of=len(todo)))
    refused += [{"name": failed, **error.as_dict()} for failed, error in raised.items()]
    _commit(request, wanted, made, refused)
    added = [source.name for key, source in wanted.items() if not known.get(key) and source.name not in raised]
    unchanged = [source.name for key, source in wanted.items() if known.get(key)]
    return _report(name, added, unchanged, refused)


def _groups(
    folder: Path, todo: Sequence[Source], made: Making, tick: Callable[[Step], None], raised: dict[str, UserError]
) -> Iterator[tuple[list[Staged], "np.ndarray"]]:
    """Documents read, split and embedded, with their vectors, about ``GROUP`` rows at a time.

    Where the groups are cut depends on the documents alone: gone on with after a kill, a group is made as it was.
    """
    group: list[Staged] = []
    done = 0
    for number, source in enumerate(todo, 1):
        rows = _rows(group)
        tick(Step("read", source.name, number - 1 - len(group), len(todo), done, done + len(rows)))
        try:
            group.append(read(source, folder, made))
        except UserError as error:
            raised[source.name] = error
        rows = _rows(group)
        if rows and (len(rows) >= GROUP or number == len(todo)):
            step = Step("embed", source.name, number - len(group), len(todo), done, done + len(rows))
            yield group, _embed([row.text for row in rows], made.embedder, step, len(group), tick)
            group, done = [], done + len(rows)


def _rows(group: Sequence[Staged]) -> list[Row]:
    return [row for document in group for row in document.rows]


def _embed(texts: list[str], embedder: str, step: Step, documents: int, tick: Callable[[Step], None]) -> "np.ndarray":
    """Vectors of a group's rows, told by the batch; a document of many rows takes several calls."""
    import numpy as np

    def told(part: int) -> None:
        tick(replace(step, files=step.files + documents * part // len(texts), rows=step.rows + part))

    parts: list[np.ndarray] = []
    for at in range(0, len(texts), GROUP):
        told(at)
        parts.append(embedding.embed(texts[at : at + GROUP], "passage", embedder, partial(_counted, told, at)))
    return np.concatenate(parts)


def _counted(told: Callable[[int], None], before: int, done: int, _: int) -> None:
    told(before + done)


def _commit(request: Request, wanted: dict[str, Source], made: Making, refused: list[dict[str, Any]]) -> None:
    name = request.name
    names, failed = {source.name for source in wanted.values()}, {error["name"] for error in refused}

    def stays(document: str, key: str, live: bool) -> bool:
        # What cannot be read now stays as it was read before; what another job left half done never comes in.
        return key in wanted or (live and (document in failed or (request.partial and document not in names)))

    if not any(stays(*document) for document in _present(name)):
        if bases.exists(name):
            staging.remember(name, refused)
        error = NothingRead("None of the {count} files could be read.", "Check the files.", count=len(refused))
        error.rejected = refused
        raise error
    # The default of now is remembered too: only a base made before it changed is to be offered the new one.
    default = bases.meta(name).get("default") if request.partial else None
    staging.commit(name, stays, {**asdict(made), "default": default or models.default_embedder().name}, refused)
    used = staging.kept_files(name)
    for path in (bases.folder(name) / "files").glob("*"):
        if path.name not in used:
            path.unlink(missing_ok=True)


def _present(name: str) -> list[tuple[str, str, bool]]:
    if not bases.exists(name):
        return []
    with bases.reading(name) as db:
        return [(known, key, bool(live)) for known, key, live in db.execute("SELECT name, key, live FROM documents")]


def _report(name: str, added: list[str], unchanged: list[str], refused: list[dict[str, Any]]) -> Report:
    found = [document for document in staging.documents(name) if document["status"] == "ready"]
    rows, same = (sum(document[part] for document in found) for part in ("chunks", "duplicates"))
    return Report(name, len(found), rows, same, bases.meta(name)["embedder"], added, unchanged, refused)
