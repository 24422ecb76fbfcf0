"""What files would become in a knowledge base, before anything is indexed: read, cut and compared as indexing does."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.duplicates import duplicates
from core.rag import documents, embedding
from core.rag.chunks import Chunk
from core.rag.cleaning import clean
from core.rag.documents import Document
from core.rag.rows import Making, split


@dataclass(frozen=True)
class Piece:
    """A chunk to be.

    Attributes:
        tokens: as the embedding model counts them, without special ones.
        same_as: the earlier chunk that says the same, for which this one is left out; None: it is not.
    """

    chunk: Chunk
    tokens: int
    same_as: Chunk | None


def read(paths: Sequence[Path]) -> tuple[list[Document], list[dict[str, Any]]]:
    """The documents in files, folders and zips, cleaned, by name; and the files left out, as errors are kept.

    Raises:
        UserError: when one of ``paths`` does not exist.
    """
    found, rejected = documents.read_all(paths)
    cleaned = sorted((clean(document) for document in found), key=lambda document: document.name)
    return cleaned, [{"name": file.name, **file.error} for file in rejected]


def read_one(path: Path, name: str) -> list[Document]:
    """One document under a name of its own, cleaned.

    Raises:
        UserError: it cannot be read.
    """
    return [clean(documents.read(path, name))]


def pieces(given: Sequence[Document], made: Making) -> list[Piece]:
    """The chunks of cleaned documents, in their order.

    Raises:
        UserError: no such embedding model.
    """
    count = embedding.counter(made.embedder)
    chunks = [chunk for document in given for chunk in split(document, made)]
    repeats = {same.index: chunks[same.of] for same in duplicates(chunks)}
    return [Piece(chunk, count(chunk.text), repeats.get(place)) for place, chunk in enumerate(chunks)]
