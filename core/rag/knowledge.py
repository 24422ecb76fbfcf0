"""Knowledge bases as the app, the command line and retrieval see them: made, changed, listed, looked into, removed."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from filelock import FileLock

from core.models import cards
from core.models import store as models
from core.models.cards import ModelCard
from core.rag import background, bases, dense, indexing, staging
from core.rag.background import progress, resume, save_uploads, start, stop, wait
from core.rag.bases import Row, View, shipped
from core.rag.dense import nearest
from core.rag.indexing import Report, Step
from core.rag.rows import Making
from core.rag.staging import delete_document
from core.settings import settings

if TYPE_CHECKING:
    import numpy as np

__all__ = [
    "Report",
    "Row",
    "View",
    "delete_document",
    "nearest",
    "progress",
    "resume",
    "save_uploads",
    "shipped",
    "start",
    "stop",
    "wait",
]

Progress = Callable[[int, int], None]


def listing() -> list[dict[str, Any]]:
    """All knowledge bases, the shipped ones first.

    Returns:
        {"name", "shipped", "ready", "documents", "chunks", "duplicates", "size" (bytes of the originals), "rejected",
        "embedder", "chunk_size", "overlap" (tokens), "outdated" (another embedder is the default since
        then: a rebuild is offered), "built", "version", "error", "job" (:class:`core.rag.background.Progress`; None:
        there was none)}
    """
    built = {known["name"]: known for known in bases.all_meta()}
    default = models.default_embedder().name
    rows = []
    for name in [*shipped(), *sorted(built.keys() - set(shipped()))]:
        known = built.get(name, {})
        ready = bool(known.get("version"))
        found = staging.documents(name) if ready else []
        rows.append(
            {
                "name": name,
                "shipped": name in shipped(),
                "ready": ready,
                "documents": sum(row["status"] == "ready" for row in found) if ready else None,
                "chunks": sum(row["chunks"] for row in found) if ready else None,
                "duplicates": sum(row["duplicates"] for row in found),
                "size": sum(row["size"] for row in found),
                "rejected": sum(row["status"] == "rejected" for row in found),
                "embedder": known.get("embedder"),
                "chunk_size": int(known["size"]) if ready else None,
                "overlap": int(known["overlap"]) if ready else None,
                "outdated": ready and default not in (known["embedder"], known.get("default")),
                "built": float(known["built"]) if ready else None,
                "version": known.get("version"),
                "error": known.get("error"),
                "job": job.as_dict() if (job := progress(name)) else None,
            }
        )
    return rows


def documents(name: str) -> list[dict[str, Any]]:
    """See :func:`core.rag.staging.documents`; of a shipped base that is not indexed yet: none.

    Raises:
        UserError: there is no knowledge base of that name.
    """
    return [] if name in shipped() and not bases.exists(name) else staging.documents(name)


def _run(
    name: str, mode: indexing.Mode, paths: Sequence[Path], progress: Progress | None, patience: float = 0, **more: Any
) -> Report:
    def tick(step: Step) -> None:
        if progress and step.rows_of:
            progress(step.rows, step.rows_of)

    return indexing.run(indexing.Request(name, mode, paths, **more), tick, patience)


def build(
    name: str,
    paths: Sequence[Path],
    progress: Progress | None = None,
    size: int = 0,
    overlap: int = 0,
    embedder: str = "",
) -> Report:
    """Index files and folders under a name; afterwards the base holds exactly these documents.

    Until all of it is in, what was there before goes on answering.

    Args:
        progress: called with (chunks done, chunks read so far).
        size, overlap: of the chunks, in tokens; size 0: for :func:`build` the default, else the base's own.
        embedder: a model of the catalog; empty: for :func:`add` the base's own, else the default.

    Raises:
        UserError: nothing to index, nothing that can be read, the name of a shipped base, or no such embedding model.
    """
    return _run(name, "build", paths, progress, size=size, overlap=overlap, embedder=embedder)


def add(
    name: str,
    paths: Sequence[Path],
    progress: Progress | None = None,
    size: int = 0,
    overlap: int = 0,
    embedder: str = "",
) -> Report:
    """The same, keeping the other documents of the base; a document of the same name is replaced."""
    return _run(name, "add", paths, progress, size=size, overlap=overlap, embedder=embedder)


def replace(name: str, document: str, path: Path, progress: Progress | None = None) -> Report:
    """Put a file in the place of the document of that name, whatever the file is called."""
    return _run(name, "add", [path], progress, document=document)


def reindex(name: str, document: str, progress: Progress | None = None) -> Report:
    """Read, cut and embed the kept copy of one document again."""
    return _run(name, "reindex", [], progress, document=document)


def rebuild(name: str, progress: Progress | None = None, size: int = 0, overlap: int = 0, embedder: str = "") -> Report:
    """Index a base's own documents again, with another embedder (empty: the default of now) or other chunks."""
    return _run(name, "rebuild", [], progress, size=size, overlap=overlap, embedder=embedder)


def embedders() -> list[ModelCard]:
    """The embedding models that a base can be made with here, the default one first."""
    default = models.default_embedder()
    others = [card for card in cards.catalog().values() if card.task == "embed" and models.is_usable(card)]
    return [default, *(card for card in others if card.name != default.name)]


def original(name: str, document: str) -> Path | None:
    """The kept copy of a document; None: it is not there."""
    found = [source.path for source in indexing.originals(name) if source.name == document and source.path.is_file()]
    return found[0] if found else None


def document_text(name: str, document: str) -> str:
    """The text of a document that its rows' spans point into.

    Raises:
        UserError: no such knowledge base, or no such document in it.
    """
    with bases.reading(name) as db:
        found = db.execute("SELECT text FROM documents WHERE live AND name = ?", (document,)).fetchone()
    if not found:
        raise staging.no_document(name, document)
    return str(found[0])


def ensure(name: str, progress: Progress | None = None) -> None:
    """Index a shipped knowledge base first, where that is missing or out of date.

    Raises:
        UserError: when there is no knowledge base of that name.
    """
    if name not in shipped():
        bases.view(name)
        return
    home = settings().knowledge_dir / name
    if not _is_fresh(name, home):
        with FileLock(settings().kb_dir / ".shipped.lock"):
            if not _is_fresh(name, home):  # somebody else may have done it meanwhile
                _run(name, "build", [home], progress, patience=-1)


def _is_fresh(name: str, home: Path) -> bool:
    made = Making(models.default_embedder().name)
    live = {key for key, is_live in staging.keys(name).items() if is_live}
    return live == {made.key(source) for source in indexing.collect([home], home)[0]}


def view(name: str, progress: Progress | None = None) -> View:
    """A knowledge base as it is now (a shipped one is indexed first, if need be).

    Raises:
        UserError: when there is no knowledge base of that name.
    """
    ensure(name, progress)
    return bases.view(name)


def rows(name: str) -> tuple[Row, ...]:
    """All rows, by document name, then place in it; duplicates left out."""
    return view(name).rows


def version(name: str) -> str:
    """A word that changes with the rows and the embedder, and only with them."""
    return view(name).version


def vectors(name: str) -> tuple[list[str], "np.ndarray"]:
    """Row ids and their vectors, (n, dimensions) float32, in the order of :func:`rows`."""
    seen = view(name)
    return [row.id for row in seen.rows], bases.vectors(seen)


def row_vectors(seen: View, numbers: Sequence[int]) -> "np.ndarray":
    """Vectors of some rows of a view, (n, dimensions) float32."""
    return bases.vectors(seen, numbers)


def cache_dir(name: str) -> Path:
    """A folder for what can be computed from a base again; it goes with the base."""
    path = bases.folder(name) / "cache"
    path.mkdir(parents=True, exist_ok=True)
    return path


def remove(name: str) -> None:
    """Delete a knowledge base with its copies (the files it was built from are not touched).

    Raises:
        UserError: when there is none of that name.
    """
    uid = next((known.get("uid") for known in bases.all_meta() if known["name"] == name), None)
    if bases.exists(name):
        background.end(name)
    bases.remove(name)
    if uid:
        dense.forget(uid)
