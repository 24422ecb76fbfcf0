"""Knowledge bases: build from documents, list, remove, search."""

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import files
from core.errors import UserError
from core.models.store import default_embedder
from core.rag import chunks, embedding, store
from core.settings import settings

FORMAT = 2  # raise it when chunking changes, and shipped knowledge bases are rebuilt on their next use
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Passage:
    """A retrieved chunk: text, source file, cosine similarity, and its rank per stage of retrieval (1 is best)."""

    text: str
    source: str
    score: float
    heading: str = ""
    ranks: dict[str, int | None] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


def _manifest_path(name: str) -> Path:
    # The folder's name is a hash, so that a knowledge base may be called anything in any script.
    return settings().kb_dir / "manifests" / f"{hashlib.sha256(name.encode()).hexdigest()[:16]}.json"


def shipped() -> list[str]:
    """Names of the knowledge bases that come with the app."""
    return sorted(path.name for path in settings().knowledge_dir.iterdir() if path.is_dir())


def listing() -> list[dict[str, Any]]:
    """All knowledge bases: {"name", "shipped", "ready", "documents", "chunks", "embedder", "built"}."""
    built = {m["name"]: m for p in (settings().kb_dir / "manifests").glob("*.json") if (m := files.read_json(p))}
    rows = []
    for name in [*shipped(), *sorted(built.keys() - set(shipped()))]:
        manifest = built.get(name) or {}
        row = {"name": name, "shipped": name in shipped(), "ready": bool(manifest)}
        rows.append({**row, **{key: manifest.get(key) for key in ("documents", "chunks", "embedder", "built")}})
    return rows


def _documents(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(p for p in path.rglob("*") if p.is_file() and p.suffix.lower() in chunks.SUFFIXES)
        elif path.is_file():
            found.append(path)
        else:
            raise UserError("There is no file or folder {path}.", "Check the path.", path=path)
    if not found:
        raise UserError("There is no document to index.", "Give .md or .txt files, or a folder of them.")
    return found


def _fingerprint(documents: Sequence[Path], embedder: str) -> str:
    digest = hashlib.sha256(f"{FORMAT}:{embedder}".encode())
    for path in documents:
        digest.update(path.name.encode() + b"\0" + path.read_bytes() + b"\0")
    return digest.hexdigest()


def build(name: str, paths: Sequence[Path], progress: Progress | None = None) -> dict[str, Any]:
    """Index documents under ``name``, replacing what was there once the new index is complete.

    Args:
        paths: files or folders.
        progress: called with (chunks done, chunks in all).

    Returns:
        The manifest: {"name", "documents", "chunks", "embedder", "built", "collection", "fingerprint"}.

    Raises:
        UserError: nothing to index, a document that cannot be read, or the name of a shipped one.
    """
    if not name.strip():
        raise UserError("A knowledge base needs a name.", "Type at least one character.")
    documents = _documents(paths)
    home = settings().knowledge_dir / name
    if name in shipped() and any(home not in path.resolve().parents for path in documents):
        raise UserError("The knowledge base “{name}” comes with the app.", "Choose another name.", name=name)
    pieces = [chunk for path in documents for chunk in chunks.split(chunks.read(path), path.name)]
    if not pieces:
        raise UserError("The documents hold no text.", "Check the files.")
    embedder = default_embedder().name
    settings().kb_dir.mkdir(parents=True, exist_ok=True)
    with FileLock(settings().kb_dir / ".build.lock"):
        previous = files.read_json(_manifest_path(name))
        # Headings are kept for the reader only: with them before the text, MRR over the shipped English questions
        # fell from 0.967 to 0.942.
        vectors = embedding.embed([piece.text for piece in pieces], "passage", embedder, progress)
        collection = f"kb-{_manifest_path(name).stem}-{time.time_ns():x}"
        store.create(collection)
        metadatas = [{"source": piece.source, "heading": piece.heading or "-"} for piece in pieces]
        store.add(collection, [str(i) for i in range(len(pieces))], vectors, [p.text for p in pieces], metadatas)
        manifest = {
            "name": name,
            "documents": len(documents),
            "chunks": len(pieces),
            "embedder": embedder,
            "built": time.time(),
            "collection": collection,
            "fingerprint": _fingerprint(documents, embedder),
        }
        files.write_json(_manifest_path(name), manifest)
        if previous:
            store.drop(previous["collection"])
    return manifest


def ensure(name: str, progress: Progress | None = None) -> dict[str, Any]:
    """The manifest of a knowledge base, indexing a shipped one first where that is missing or out of date.

    Raises:
        UserError: when there is no knowledge base of that name.
    """
    manifest = files.read_json(_manifest_path(name))
    if name not in shipped():
        if manifest is None:
            known = ", ".join(row["name"] for row in listing())
            raise UserError(
                "There is no knowledge base “{name}”.", "Known ones: {known}.", name=name, known=known or "–"
            )
        return manifest
    documents = _documents([settings().knowledge_dir / name])
    if manifest and manifest["fingerprint"] == _fingerprint(documents, default_embedder().name):
        return manifest
    return build(name, documents, progress)


def search(name: str, query: str, top_k: int = 3, progress: Progress | None = None) -> list[Passage]:
    """The passages nearest to ``query``, best first.

    Raises:
        UserError: no such knowledge base, or an empty question.
    """
    if not query.strip():
        raise UserError("The question is empty.", "Type a question.")
    from chromadb.errors import NotFoundError

    manifest = ensure(name, progress)
    vector = embedding.embed([query], "query", manifest["embedder"])[0]
    try:
        found = store.query(manifest["collection"], vector, top_k)
    except NotFoundError:  # rebuilt since its manifest was read
        found = store.query(ensure(name, progress)["collection"], vector, top_k)
    passages = []
    for rank, (_, text, metadata, score) in enumerate(found, 1):
        heading = "" if metadata["heading"] == "-" else metadata["heading"]
        ranks = {"dense": rank, "lexical": None, "fused": None, "rerank": None}
        passages.append(Passage(text, metadata["source"], round(score, 4), heading, ranks))
    return passages


def remove(name: str) -> None:
    """Delete a knowledge base's index (the documents it was built from are not touched).

    Raises:
        UserError: when there is no index of that name.
    """
    manifest = files.read_json(_manifest_path(name))
    if manifest is None:
        raise UserError("There is no index of “{name}”.", "Look at the list for the names that exist.", name=name)
    _manifest_path(name).unlink()
    store.drop(manifest["collection"])
