"""Every problem of a data set before a model is loaded: row, field, reason, and what can safely be done about it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np

from core.duplicates import repeated, similarity, sketch
from core.errors import UserError
from core.generation.prompts import encode
from core.models import Progress
from core.training.data import cells, columns, formats
from core.training.data.columns import Mapping, Row
from core.training.data.formats import Table
from core.training.data.problems import DROP, FIXES, MAY, MUST, STRIP, TO_TEXT, Problem, Report
from core.training.examples import examples_for

_ALIKE = 0.7  # of every part of two rows, for them to be near duplicates
_T = TypeVar("_T")


@dataclass(frozen=True)
class Inspection:
    """A file as it was read and mapped, as far as that went, and the report.

    Attributes:
        table: its rows; None where it could not be read, or was read by another process.
        columns, names: of its table, wherever that is.
    """

    table: Table | None
    mapping: Mapping | None
    report: Report
    columns: list[str] = field(default_factory=list)
    names: dict[str, list[str]] = field(default_factory=dict)

    def left(self, fixes: Collection[str] = FIXES, skip: Collection[str] = (MUST,)) -> list[int]:
        """Numbers of the rows that :meth:`rows` has, with the same refusals; the report alone tells them."""
        return left(self.report, fixes, skip)

    def rows(self, fixes: Collection[str] = FIXES, skip: Collection[str] = (MUST,)) -> list[Row]:
        """The rows to train on: :func:`clean`, and the same refusals; also of a file that could not be read."""
        if self.table is None or self.mapping is None or not self.report.usable:
            raise _refusal(self.report)
        return clean(self.table, self.mapping, self.report, fixes, skip)


def inspect(filename: str, data: bytes, mapping: Mapping | None = None, **how: Any) -> Inspection:
    """Read a file, guess its mapping unless one is given, and check it; nothing about it raises.

    Args:
        how: of :func:`check`.
    """
    try:
        table = formats.read(filename, data)
    except UserError as error:
        return unreadable(error)
    return inspect_table(table, mapping, **how)


def unreadable(error: UserError) -> Inspection:
    """What is to be said of a file that cannot be read at all."""
    values = {"why": str(error), "error": error.as_dict()}
    return Inspection(None, None, Report(0, [Problem(0, "", "unreadable", values=values)]))


def inspect_table(table: Table, mapping: Mapping | None = None, **how: Any) -> Inspection:
    """The same for a table that is read already."""
    mapping, names = mapping or columns.guess(table), table.columns
    if names and mapping is None:
        report = Report(len(table.rows), [Problem(0, "", "layout", values={"columns": ", ".join(names)})])
    else:
        report = check(table, mapping or Mapping("pair", {}), **how)
    return Inspection(table, mapping, report, names, table.names)


def check(
    table: Table,
    mapping: Mapping,
    tokenizer: Any = None,
    max_length: int = 0,
    learn: str = "answers",
    near: bool = True,
    progress: Progress = lambda step, share: None,
) -> Report:
    """Every problem of every row.

    Args:
        tokenizer: of the model to be trained; with ``max_length`` (tokens), rows that are longer are found.
        near: whether to look for near duplicates, too.
        progress: told ``check``, ``alike`` and ``lengths``.
    """
    from core.settings import settings

    if not table.rows:
        return Report(0, [Problem(0, "", "no_rows")])
    if len(table.rows) > (limit := settings().max_upload_rows):
        values = {"count": len(table.rows), "limit": limit}
        return Report(len(table.rows), [Problem(0, "", "too_many", values=values)])
    problems: list[Problem] = []
    good: dict[int, Row] = {}
    for number, row in _told(list(enumerate(table.rows, 1)), "check", progress):
        found = list(cells.problems(number, row, mapping))
        problems += found
        if all(problem.severity == MAY or problem.fix for problem in found):
            good[number] = build(mapping, row, FIXES)
    problems += _duplicates(good, near, progress)
    problems += _rare_labels(good, mapping) if mapping.kind == columns.LABEL else []
    if tokenizer is not None and max_length:
        problems += _too_long(good, tokenizer, max_length, learn, progress)
    return Report(len(table.rows), sorted(problems, key=lambda problem: problem.row))


def _told(items: Sequence[_T], step: str, progress: Progress) -> Iterator[_T]:
    """The items, telling at every hundredth of them how far it is."""
    every = max(1, len(items) // 100)
    for place, item in enumerate(items):
        if place % every == 0:
            progress(step, place / len(items))
        yield item


def clean(
    table: Table, mapping: Mapping, report: Report, fixes: Collection[str] = FIXES, skip: Collection[str] = (MUST,)
) -> list[Row]:
    """The rows to train on.

    Args:
        fixes: which fixes to apply; a problem without one of them counts as it is.
        skip: severities and reasons whose rows are left out; a row that must be fixed and may not be skipped stops.

    Raises:
        UserError: such a row, or no row left.
    """
    return [build(mapping, table.rows[number - 1], fixes) for number in left(report, fixes, skip)]


def left(report: Report, fixes: Collection[str] = FIXES, skip: Collection[str] = (MUST,)) -> list[int]:
    """Numbers, from 1, of the rows that :func:`clean` takes, with the same refusals."""
    if not report.usable:
        raise _refusal(report)
    by_row: defaultdict[int, list[Problem]] = defaultdict(list)
    for problem in report.problems:
        by_row[problem.row].append(problem)
    out = set()
    for number, found in sorted(by_row.items()):
        unfixed = [problem for problem in found if problem.fix not in fixes]
        dropped = any(problem.fix == DROP and DROP in fixes for problem in found)
        if dropped or any({problem.severity, problem.reason} & set(skip) for problem in unfixed):
            out.add(number)
        elif bad := next((problem for problem in unfixed if problem.severity == MUST), None):
            raise _refusal(report, bad)
    numbers = [number for number in range(1, report.rows + 1) if number not in out]
    if not numbers:
        raise _refusal(report)
    return numbers


def _refusal(report: Report, first: Problem | None = None) -> UserError:
    first = first or next(iter(report.must_fix), None)
    if first is None:
        return UserError("No row is left to train on.", "Leave fewer rows out, or add some.")
    if first.row == 0:
        return UserError("This data set cannot be used: {words}.", words=first.words.rstrip("."))
    return UserError(
        "Row {row}, {field}: {words} ({count} to be fixed in all).",
        "Fix them or leave them out; `python -m core data check` lists them.",
        row=first.row,
        field=first.field or "–",
        words=first.words,
        count=len(report.must_fix),
    )


def build(mapping: Mapping, row: dict[str, Any], fixes: Collection[str]) -> Row:
    """The row in its kind, cells repaired where ``fixes`` allow."""
    found = columns.fields(mapping, row)
    for name, value in found.items():
        if TO_TEXT in fixes and cells.is_number(value) and name in cells.TEXTS:
            value = str(value)
        if STRIP in fixes and isinstance(value, str):
            value = value.strip()
        found[name] = value
    return columns.canonical(mapping.layout, found)


def parts(row: Row) -> list[str]:
    """What a row says, part by part: the asking ones first, what is learned last."""
    if "messages" in row:
        return [message["content"] for message in row["messages"]]
    layout = columns.LAYOUTS[columns.layout_of(row)]
    return [row[name] for name in layout.required]


def _duplicates(good: dict[int, Row], near: bool, progress: Progress) -> Iterator[Problem]:
    first: dict[tuple[str, ...], int] = {}
    for number, row in good.items():
        said = tuple(parts(row))
        if said in first:
            yield Problem(number, "", "duplicate", DROP, {"of": first[said]})
        else:
            first[said] = number
    if not near or not first:
        return
    rows = list(first.items())
    # Many questions about one passage share most of their characters: the passage counts as a part, not here.
    texts = ["\n".join(said[1:] if "context" in good[number] else said) for said, number in rows]
    sketches = np.stack([sketch(text) for text in _told(texts, "alike", progress)])
    for pair in repeated(sketches, texts.__getitem__):
        (said, number), (other, of) = rows[pair.index], rows[pair.of]
        alike = [similarity(a, b) for a, b in zip(said, other, strict=False)]
        if len(said) == len(other) and min(alike) >= _ALIKE:
            share = f"{min(alike):.0%}"
            yield Problem(number, "", "near_duplicate", DROP, {"of": of, "similarity": share})


def _rare_labels(good: dict[int, Row], mapping: Mapping) -> Iterator[Problem]:
    counts = Counter(row["label"] for row in good.values())
    for number, row in good.items():
        if counts[row["label"]] == 1:
            yield Problem(number, mapping.columns["label"], "rare_label", values={"label": row["label"]})


def _too_long(
    good: dict[int, Row], tokenizer: Any, max_length: int, learn: str, progress: Progress
) -> Iterator[Problem]:
    task = "classify" if any("label" in row for row in good.values()) else "causal"
    # Tokens that a template puts about a turn, or a tokenizer about a text.
    around = 8 + (len(encode(tokenizer, [{"role": "user", "content": "x"}])) if task == "causal" else 0)
    for number, row in _told(list(good.items()), "lengths", progress):
        said = parts(row)
        # A token is a byte at least, so most rows need not be tokenized to be known to fit.
        if sum(len(part.encode()) + around for part in said) <= max_length:
            continue
        made = examples_for(task, tokenizer, row, 10**9, learn, [row.get("label", "")])
        tokens = max(len(one["input_ids"]) for one in made)
        if tokens > max_length:
            yield Problem(number, "", "too_long", values={"tokens": tokens, "limit": max_length})
