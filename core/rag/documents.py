"""Files → documents: what a file is by its content, what it says, and one clear line for each that cannot be read."""

import hashlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from core import encodings
from core.errors import UserError
from core.rag.readers import archives, markdown
from core.rag.readers.blocks import Block, Unreadable
from core.settings import settings

__all__ = ["SUFFIXES", "Block", "Document", "Found", "Rejected", "collect", "from_text", "read", "read_all"]

TEXT_SUFFIXES = frozenset({".md", ".markdown", ".txt", ".csv", ".html", ".htm", ""})
SUFFIXES = frozenset({".pdf", ".docx", ".pptx", ".xlsx", ".zip"}) | TEXT_SUFFIXES - {""}
UNPACKED = 10  # times max_document_mb: what a zip may hold altogether
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Document:
    """A document's blocks in order.

    Attributes:
        name: as a person sees it and as passages cite it.
        sha256: of the file's bytes, to recognise it unchanged.
        kind: pdf, docx, pptx, xlsx, html, md, txt or csv, by content.
        notes: how it was read, as codes: "ocr: 1, 3" and "no ocr: 2" (pages), "encoding: big5", "content: docx" (not
            what its name says).
        cleaned: ``cleaning.clean`` has been here.
    """

    name: str
    blocks: tuple[Block, ...]
    sha256: str
    kind: str
    notes: tuple[str, ...] = ()
    cleaned: bool = False

    @cached_property
    def text(self) -> str:
        """The blocks joined by empty lines; spans of chunks count its characters."""
        return "\n\n".join(block.text for block in self.blocks)


@dataclass(frozen=True)
class Found:
    """A file to read, and the name under which it is known."""

    name: str
    path: Path


@dataclass(frozen=True)
class Rejected:
    """A file that was left out, and why (``UserError.as_dict()``)."""

    name: str
    error: dict[str, Any]


def read(path: Path, name: str = "") -> Document:
    """The document in one file; its kind is what its content says, not its name.

    Raises:
        UserError: one line: not there, empty, too large, encrypted, damaged, an archive, or a format not read here.
    """
    name = name or path.name
    return _read(_bytes(path, name), name)


def from_text(name: str, text: str) -> Document:
    """A document of pasted text (Markdown counts).

    Raises:
        UserError: when there is nothing in it.
    """
    return _finish(name, text.encode("utf-8", "replace"), "md", markdown.blocks(text), [])


def read_all(paths: Sequence[Path]) -> tuple[list[Document], list[Rejected]]:
    """Every document in files, folders and zips, and every file left out; one bad file stops nothing.

    Raises:
        UserError: when one of ``paths`` does not exist.
    """
    documents = []
    with tempfile.TemporaryDirectory() as workspace:
        found, rejected = collect(paths, Path(workspace))
        for file in found:
            try:
                documents.append(read(file.path, file.name))
            except UserError as error:
                rejected.append(Rejected(file.name, error.as_dict()))
    return documents, rejected


def collect(paths: Sequence[Path], workspace: Path) -> tuple[list[Found], list[Rejected]]:
    """The files to read among ``paths``, without reading them: folders walked, zips unpacked into ``workspace``.

    A name is relative to the folder or zip that was given, unique in the call, and in the same order each time. No
    member of a zip decides where it is written.

    Raises:
        UserError: when one of ``paths`` does not exist.
    """
    found: list[Found] = []
    rejected: list[Rejected] = []
    taken: set[str] = set()
    for path in paths:
        if not path.exists():
            raise UserError("There is no file or folder {path}.", "Check the path.", path=path)
        for file, name in _walk(path):
            try:
                inner = _unpack(file, name, workspace, rejected, "" if file == path else f"{name}/")
            except UserError as error:
                rejected.append(Rejected(name, error.as_dict()))
                continue
            for one in inner:
                unique = _unique(one.name, path, taken)
                taken.add(unique)
                found.append(Found(unique, one.path))
    return found, rejected


def _walk(path: Path) -> Iterator[tuple[Path, str]]:
    if path.is_file():
        yield path, path.name
        return
    for file in sorted(path.rglob("*")):
        relative = file.relative_to(path)
        if file.is_file() and not any(archives.unseen(part) for part in relative.parts):
            yield file, relative.as_posix()


def _unique(name: str, given: Path, taken: set[str]) -> str:
    if name not in taken:
        return name
    name = f"{given.resolve().parent.name if given.is_file() and given.name == name else given.name}/{name}"
    number = 2
    while name in taken:
        name = f"{name.removesuffix(f' ({number - 1})')} ({number})"
        number += 1
    return name


def _unpack(file: Path, name: str, workspace: Path, rejected: list[Rejected], prefix: str) -> list[Found]:
    """The file itself, or where it is a zip of documents its members, written under names of our own."""
    with file.open("rb") as stream:
        packed = stream.read(4).startswith(b"PK")
    if not packed:
        return [Found(name, file)]
    data = _bytes(file, name)
    try:
        if _kind(data, name) != "zip":
            return [Found(name, file)]
        archive = archives.open_zip(data, UNPACKED * settings().max_document_mb * 1_000_000)
    except Unreadable as problem:
        raise _error(str(problem), name) from problem
    folder = workspace / hashlib.sha256(str(file.resolve()).encode()).hexdigest()[:16]
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for number, (member, content) in enumerate(archives.members(archive, settings().max_document_mb * 1_000_000)):
        if isinstance(content, Unreadable):
            rejected.append(Rejected(prefix + member, _error(str(content), prefix + member).as_dict()))
            continue
        path = folder / f"{number:05}"
        path.write_bytes(content)
        found.append(Found(prefix + member, path))
    if not found and not rejected:
        raise UserError("{name} is empty.", "Check the file.", name=name)
    return found


def _bytes(path: Path, name: str) -> bytes:
    limit = settings().max_document_mb
    try:
        if path.stat().st_size > limit * 1_000_000:
            raise _error("large", name)
        return path.read_bytes()
    except OSError as error:
        raise UserError("{name} cannot be opened: {why}.", "Check the file.", name=name, why=error.strerror) from error


def _error(problem: str, name: str) -> UserError:
    """A reader's word as the sentence that a person is shown."""
    unpack = "Unpack it yourself and add the documents."
    known = ", ".join(sorted(SUFFIXES))
    return {
        "encrypted": UserError(
            "{name} is protected by a password.", "Save it without one and add it again.", name=name
        ),
        "damaged": UserError(
            "{name} is damaged or incomplete.", "Save it anew in its own program and add it again.", name=name
        ),
        "bomb": UserError("{name} unpacks to far more than its size: it is not opened.", unpack, name=name),
        "large": UserError(
            "{name} is larger than {limit} MB.",
            "Divide it, or raise YUAN_MAX_DOCUMENT_MB.",
            name=name,
            limit=settings().max_document_mb,
        ),
        "legacy": UserError(
            "{name} is in the old format of Office.", "Save it as .docx, .pptx or .xlsx and add it again.", name=name
        ),
        "encoding": UserError(
            "The encoding of {name} cannot be told.", "Save it as UTF-8 and add it again.", name=name
        ),
        "scan": UserError(
            "{name} is a scan, and pictures cannot be read here.",
            "Use Python 3.11 or 3.12 and install the libraries libgl1 and libglib2.0-0.",
            name=name,
        ),
        "outside": UserError("{name} points outside its archive: it is not opened.", unpack, name=name),
        "nested": UserError("{name} is an archive within an archive.", unpack, name=name),
        "format": UserError("{name} cannot be read.", "Formats: {known}.", name=name, known=known),
    }[problem]


def _kind(data: bytes, name: str) -> str:
    """What the bytes are; text is what its name says (Markdown, CSV …) unless it is plainly HTML."""
    head = data[:1024]
    if b"%PDF-" in head:
        return "pdf"
    if head.startswith(b"PK\x03\x04") or head.startswith(b"PK\x05\x06"):
        from core.rag.readers import office

        limit = UNPACKED * settings().max_document_mb * 1_000_000
        return office.kind_of_zip(archives.open_zip(data, limit).namelist())
    if head.startswith(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"):  # OLE: old Office, or new Office under a password
        raise Unreadable("encrypted" if "EncryptedPackage".encode("utf-16-le") in data else "legacy")
    suffix = Path(name).suffix.lower()
    if suffix not in SUFFIXES | {""} or _binary(head):
        raise Unreadable("format")
    if suffix in (".html", ".htm") or head.lstrip(b"\xef\xbb\xbf \t\r\n")[:15].lower().startswith(
        (b"<!doctype html", b"<html")
    ):
        return "html"
    return {".md": "md", ".markdown": "md", ".csv": "csv"}.get(suffix, "txt")


def _binary(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return False
    control = sum(byte < 32 and byte not in b"\t\n\r\f\x1b\0" for byte in head)
    zeros = head.count(0)
    sided = abs(head[::2].count(0) - head[1::2].count(0)) == zeros  # UTF-16: the zeros are all on one side
    return control > 0.02 * len(head) or (zeros > 0 and not sided)


def _read(data: bytes, name: str) -> Document:
    if not data.strip(b"\0 \t\r\n"):
        raise UserError("{name} is empty.", "Check the file.", name=name)
    kind = ""
    try:
        kind = _kind(data, name)
        if kind == "zip":
            raise Unreadable("nested")
        blocks, notes = _blocks(data, kind)
    except (Unreadable, encodings.Undecodable) as problem:
        raise _error(str(problem), name) from problem
    except Exception as error:  # whatever a format's library stumbles over is this file's fault; the log has it
        log.info("could not read %s as %s", name, kind, exc_info=True)
        raise _error("damaged", name) from error
    expected = {"htm": "html", "markdown": "md", "": kind}
    suffix = Path(name).suffix.lower().lstrip(".")
    if expected.get(suffix, suffix) != kind:
        notes.append(f"content: {kind}")
    return _finish(name, data, kind, blocks, notes)


def _blocks(data: bytes, kind: str) -> tuple[list[Block], list[str]]:
    from core.rag.readers import office, pdf

    if kind == "pdf":
        return pdf.read(data)
    if kind in ("docx", "pptx", "xlsx"):
        return {"docx": office.docx, "pptx": office.pptx, "xlsx": office.xlsx}[kind](data), []
    if kind == "html":
        blocks, encoding = office.html(data)
    else:
        text, encoding = encodings.decode(data)
        blocks = markdown.csv_table(text) if kind == "csv" else markdown.blocks(text)
    return blocks, [] if encoding.startswith("utf-8") else [f"encoding: {encoding}"]


def _finish(name: str, data: bytes, kind: str, blocks: list[Block], notes: list[str]) -> Document:
    if not any(block.text.strip() for block in blocks):
        raise UserError("{name} holds no text.", "Check the file.", name=name)
    return Document(name, tuple(blocks), hashlib.sha256(data).hexdigest(), kind, tuple(notes))
