"""A file's bytes → rows as they stand in it, with a marked place for every row that cannot be read."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from core import encodings
from core.errors import UserError

SUFFIXES = (".json", ".jsonl", ".csv", ".parquet")
_LOST = "\ufffd"  # stands where bytes were no character


@dataclass(frozen=True)
class Broken:
    """A row that could not be read: a reason of :mod:`core.training.data.checks`, and what is known about it."""

    reason: str
    why: str = ""


@dataclass(frozen=True)
class Table:
    """The rows of a file, counted from 1 in messages.

    Attributes:
        rows: objects by column name, or whatever else stands in a row's place.
        names: column → names of its numbers, where the file says them.
        encoding: empty for a format that has its own.
    """

    rows: list[Any]
    names: dict[str, list[str]] = field(default_factory=dict)
    encoding: str = ""

    @property
    def columns(self) -> list[str]:
        """Names of the columns, in the order of their first appearance."""
        return list(dict.fromkeys(str(key) for row in self.rows if isinstance(row, dict) for key in row))


def read(filename: str, data: bytes) -> Table:
    """The rows of a JSON, JSONL, CSV or Parquet file; text in UTF-8, UTF-16, GB18030 or Big5.

    A row that is no JSON, or has too many cells, becomes a :class:`Broken`; only a file without any row to point at
    is refused.

    Raises:
        UserError: not one of the formats, or nothing in it can be read.
    """
    kind = Path(filename).suffix.lower()
    if kind not in SUFFIXES:
        raise UserError(
            "{file} is not a format read here.", "Formats: {known}", file=filename, known=", ".join(SUFFIXES)
        )
    if kind == ".parquet":
        return _parquet(filename, data)
    text, encoding = _decode(filename, data)
    readers: dict[str, Callable[[str, str], list[Any]]] = {".json": _json, ".jsonl": _jsonl, ".csv": _csv}
    return Table(readers[kind](filename, text), encoding=encoding)


def read_path(path: Path) -> Table:
    """The rows of a file on this machine.

    Raises:
        UserError: like :func:`read`, or the file cannot be opened.
    """
    try:
        return read(path.name, path.read_bytes())
    except OSError as error:
        raise UserError(
            "{file} cannot be opened: {why}", "Check the path and its permissions.", file=path, why=error.strerror
        ) from error


def _decode(filename: str, data: bytes) -> tuple[str, str]:
    try:
        return data.decode("utf-8-sig"), "utf-8"
    except UnicodeDecodeError:
        pass
    # A few bad bytes in a UTF-8 file are the fault of their rows; another encoding spoils nearly every sign.
    text = data.decode("utf-8-sig", "replace")
    good = sum(character > "\x7f" for character in text) - text.count(_LOST)
    if b"\0" not in data and text.count(_LOST) * 10 <= good:
        return text, "utf-8"
    try:
        text, encoding = encodings.decode(data)
    except encodings.Undecodable as error:
        raise UserError("{file} is in no encoding read here.", "Save it as UTF-8 and try again.", file=filename) from (
            error
        )
    return text.removeprefix("\ufeff"), encoding


def _json(filename: str, text: str) -> list[Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError(
            "{file} is not JSON: {why}", "Mend that place and try again.", file=filename, why=error
        ) from error
    if isinstance(value, dict):  # {"data": [...]}: one list inside is the rows
        lists = [inner for inner in value.values() if isinstance(inner, list)]
        value = lists[0] if len(lists) == 1 else value
    if isinstance(value, list) and value and all(isinstance(row, dict) and "paragraphs" in row for row in value):
        return _squad(value)
    if not isinstance(value, list):
        raise UserError("{file} must hold a list of rows.", "Put the rows in square brackets.", file=filename)
    return value


def _squad(articles: list[dict[str, Any]]) -> list[Any]:
    """SQuAD's articles of paragraphs of questions, one row per question."""
    rows: list[Any] = []
    for article in articles:
        paragraphs = article["paragraphs"]
        for paragraph in paragraphs if isinstance(paragraphs, list) else [paragraphs]:
            asked = paragraph.get("qas") if isinstance(paragraph, dict) else None
            if not isinstance(asked, list):
                rows.append(paragraph)
                continue
            rows += [{"context": paragraph.get("context"), **qa} if isinstance(qa, dict) else qa for qa in asked]
    return rows


def _jsonl(filename: str, text: str) -> list[Any]:
    rows: list[Any] = []
    for line in text.split("\n"):  # not splitlines: a text may hold other line separators as they are
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            rows.append(Broken("not_json", str(error)))
    return rows


def _csv(filename: str, text: str) -> list[Any]:
    csv.field_size_limit(2**31 - 1)
    lines = csv.reader(io.StringIO(text, newline=""), strict=True)
    head: list[str] = []
    rows: list[Any] = []
    try:
        head = next(lines, [])
        for cells in lines:
            if not cells:
                continue
            if len(cells) > len(head):
                rows.append(Broken("cells", f"{len(cells)} > {len(head)}"))
            else:
                rows.append(dict(zip(head, cells, strict=False)))
    except csv.Error as error:
        rows.append(Broken("not_csv", str(error)))
    if not head:
        raise UserError("{file} has no column names.", "Its first line must name the columns.", file=filename)
    return rows


def _parquet(filename: str, data: bytes) -> Table:
    import pyarrow
    import pyarrow.parquet

    try:
        table = pyarrow.parquet.read_table(io.BytesIO(data))
        rows = table.to_pylist()
    except (pyarrow.ArrowException, UnicodeDecodeError) as error:
        why = str(error).splitlines()[0].split(". ")[0]
        raise UserError(
            "{file} is not Parquet: {why}", "Write it again and try again.", file=filename, why=why
        ) from error
    return Table(rows, _class_names(table.schema.metadata or {}))


def _class_names(metadata: dict[bytes, bytes]) -> dict[str, list[str]]:
    """What Hugging Face's ``datasets`` writes about columns that hold numbers of classes."""
    try:
        features = json.loads(metadata[b"huggingface"])["info"]["features"]
        return {name: list(about["names"]) for name, about in features.items() if "names" in about}
    except (KeyError, ValueError, TypeError):
        return {}
