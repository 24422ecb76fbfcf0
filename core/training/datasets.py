"""Rows of input and output: read from what people have, checked row by row, split, and kept."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import Any

from core import files
from core.errors import UserError
from core.settings import settings

COLUMNS = ("input", "output")
Row = dict[str, str]
"""{"input": what the model reads, "output": what it should answer}."""


@dataclass(frozen=True)
class Dataset:
    """A data set with its two splits."""

    name: str
    train: list[Row]
    test: list[Row]


def parse(filename: str, data: bytes) -> list[Row]:
    """The rows of a JSON, JSONL or CSV file with columns ``input`` and ``output``.

    Raises:
        UserError: names the row and the column of the first thing that is wrong.
    """
    kind = Path(filename).suffix.lower()
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UserError(
            "{file} is not UTF-8 text (byte {at}).", "Save it as UTF-8 and try again.", file=filename, at=error.start
        ) from error
    readers = {".json": _json, ".jsonl": _jsonl, ".csv": _csv}
    if kind not in readers:
        raise UserError("{file} is not a format read here.", "Formats: .json, .jsonl, .csv", file=filename)
    return check(readers[kind](text), filename)


def _json(text: str) -> list[Any]:
    try:
        rows = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UserError("The file is not JSON: {why}", "Mend that place and try again.", why=error) from error
    if not isinstance(rows, list):
        raise UserError("The file must hold a list of rows.", 'Wrap them: [{"input": …, "output": …}, …]')
    return rows


def _jsonl(text: str) -> list[Any]:
    rows: list[Any] = []
    for line in text.split("\n"):  # not splitlines: a text may hold other line separators as they are
        if not line.strip():
            continue
        try:
            rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise UserError(
                "Row {row} is not JSON: {why}", "Each line must be one object.", row=len(rows) + 1, why=error
            ) from error
    return rows


def _csv(text: str) -> list[Any]:
    import pandas as pd

    try:
        table = pd.read_csv(StringIO(text), dtype=str, keep_default_na=False)
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise UserError("The file is not CSV: {why}", "Mend that place and try again.", why=error) from error
    return table.to_dict("records")


def check(rows: Sequence[Any], where: str) -> list[Row]:
    """The rows reduced to input and output, each a text that is not empty.

    Raises:
        UserError: names row (counted from 1) and column; too many rows; no row at all.
    """
    checked = []
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise UserError(
                "{file}, row {row}: not an object.", "Each row needs input and output.", file=where, row=number
            )
        for column in COLUMNS:
            _check_cell(row.get(column), {"file": where, "row": number, "column": column})
        checked.append({column: row[column] for column in COLUMNS})
    if not checked:
        raise UserError("{file} has no rows.", "Add rows with input and output.", file=where)
    if len(checked) > settings().max_upload_rows:
        raise UserError(
            "{file} has {count} rows; at most {limit} are read.",
            "Use fewer rows, or raise YUAN_MAX_UPLOAD_ROWS.",
            file=where,
            count=len(checked),
            limit=settings().max_upload_rows,
        )
    return checked


def _check_cell(value: Any, place: dict[str, Any]) -> None:
    hint = "Every row needs a text in the columns input and output."
    if value is None:
        raise UserError("{file}, row {row}: the column “{column}” is missing.", hint, **place)
    if not isinstance(value, str):
        kind = type(value).__name__
        raise UserError("{file}, row {row}: the column “{column}” is {kind}, not text.", hint, kind=kind, **place)
    if not value.strip():
        raise UserError("{file}, row {row}: the column “{column}” is empty.", hint, **place)
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise UserError("{file}, row {row}: the column “{column}” holds half a character.", hint, **place)


def split(rows: Sequence[Row], seed: int = 7) -> tuple[list[Row], list[Row]]:
    """Train and test rows: a tenth for the test (at least one, at most 200), rows of one input on one side.

    Raises:
        UserError: fewer than two different inputs.
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row["input"].strip(), []).append(row)
    if len(groups) < 2:
        raise UserError("At least two different inputs are needed.", "One is kept aside to test on.")
    order = list(groups.values())
    random.Random(seed).shuffle(order)
    test_groups = max(1, min(200, len(order) // 10))
    flat = [[row for group in part for row in group] for part in (order[test_groups:], order[:test_groups])]
    return flat[0], flat[1]


def add(label: str, rows: Sequence[Row], seed: int = 7) -> str:
    """Keep an uploaded data set under ``var/uploads``, split; returns its name."""
    train, test = split(rows, seed)
    name = files.new_id(label)
    write(settings().uploads_dir / name, Dataset(name, train, test))
    files.write_json(settings().uploads_dir / name / "about.json", {"label": label, "rows": len(rows)})
    return name


def write(folder: Path, dataset: Dataset) -> None:
    """Write both splits as JSON lines."""
    for part, rows in (("train", dataset.train), ("test", dataset.test)):
        lines = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
        files.write_text(folder / f"{part}.jsonl", lines)


def read(folder: Path, name: str = "") -> Dataset:
    """The data set kept in a folder."""
    parts = {part: list(files.read_jsonl(folder / f"{part}.jsonl")) for part in ("train", "test")}
    return Dataset(name or folder.name, **parts)


def listing() -> dict[str, str]:
    """Data sets to choose from: name → label."""
    shipped = {path.parent.name: path.parent.name for path in sorted(settings().datasets_dir.glob("*/train.jsonl"))}
    uploaded = {}
    for path in sorted(settings().uploads_dir.glob("*/about.json"), reverse=True):
        about = files.read_json(path, {})
        uploaded[path.parent.name] = f"{about.get('label', path.parent.name)} ({about.get('rows', '?')})"
    return {**shipped, **uploaded}


def load(name: str) -> Dataset:
    """A shipped or uploaded data set by name, or a file by path (split here).

    Raises:
        UserError: no such data set or file, or something wrong in a row.
    """
    for root in (settings().datasets_dir, settings().uploads_dir):
        if name and name == Path(name).name and (root / name / "train.jsonl").is_file():
            return read(root / name)
    path = Path(name)
    if not path.is_file():
        raise UserError(
            "There is no data set or file “{name}”.", "Data sets: {known}.", name=name, known=", ".join(listing())
        )
    train, test = split(parse(path.name, path.read_bytes()))
    return Dataset(path.stem, train, test)
