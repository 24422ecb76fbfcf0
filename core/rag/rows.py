"""A document → the rows it has in a knowledge base: read, cleaned and split; and all that they depend on."""

import hashlib
import shutil
from dataclasses import dataclass
from pathlib import Path

from core import files
from core.errors import UserError
from core.rag import chunks, documents, embedding
from core.rag.bases import Row
from core.rag.cleaning import clean
from core.rag.staging import Staged

FORMAT = 4  # raise it when reading or chunking changes: documents given again are then indexed anew


@dataclass(frozen=True)
class Source:
    """A file to index under a name; ``sha256`` of its bytes."""

    name: str
    path: Path
    sha256: str


@dataclass(frozen=True)
class Making:
    """How rows are made of documents: the embedder, and the chunks' size and overlap in its tokens."""

    embedder: str
    size: int = chunks.SIZE
    overlap: int = 0

    def key(self, source: Source) -> str:
        """What a document's rows and vectors depend on, as one word."""
        made_of = f"{FORMAT}\0{source.name}\0{source.sha256}\0{self.embedder}\0{self.size}\0{self.overlap}"
        return hashlib.sha256(made_of.encode()).hexdigest()


def read(source: Source, folder: Path, made: Making) -> Staged:
    """A document read, cleaned and split, its original kept in ``folder``.

    Raises:
        UserError: it cannot be read, or holds no text.
    """
    document = clean(documents.read(source.path, source.name))
    pieces = split(document, made)
    if not pieces:
        raise UserError("{name} holds no text.", "Check the file.", name=source.name)
    suffix = Path(source.name).suffix.lower()
    _keep(source, folder / f"{source.sha256}{suffix}")
    return Staged(
        key=made.key(source),
        name=source.name,
        sha256=source.sha256,
        size=source.path.stat().st_size,
        kind=document.kind,
        pages=max(block.page for block in document.blocks),
        notes=document.notes,
        suffix=suffix,
        text=document.text,
        rows=tuple(Row("", p.text, p.source, p.heading, p.page, p.start, p.end, p.kind) for p in pieces),
    )


def split(document: documents.Document, made: Making) -> list[chunks.Chunk]:
    """A cleaned document's chunks, counted in the embedder's own tokens and no longer than it reads."""
    most, count = embedding.reach(made.embedder), embedding.counter(made.embedder)
    return chunks.split(document, min(made.size, most), made.overlap, count, min(chunks.LIMIT, most))


def _keep(source: Source, path: Path) -> None:
    """Copy an original into the base, unless it is there."""
    if path.is_file():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f".{path.name}.{files.new_id()}")
    shutil.copyfile(source.path, aside)
    aside.replace(path)
