"""Every problem of a data set before a model is loaded: row, field, reason, and what can safely be done about it."""

from collections import Counter, defaultdict
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from core.duplicates import duplicates, similarity
from core.errors import UserError
from core.generation.prompts import encode
from core.training.data import cells, columns, formats
from core.training.data.columns import Mapping, Row
from core.training.data.formats import Table
from core.training.data.problems import DROP, FIXES, MAY, MUST, STRIP, TO_TEXT, Problem, Report
from core.training.examples import examples_for

_ALIKE = 0.7  # of every part of two rows, for them to be near duplicates


@dataclass(frozen=True)
class Inspection:
    """A file as it was read and mapped, as far as that went, and the report."""

    table: Table | None
    mapping: Mapping | None
    report: Report

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
    return Inspection(None, None, Report(0, [Problem(0, "", "unreadable", values={"why": str(error)})]))


def inspect_table(table: Table, mapping: Mapping | None = None, **how: Any) -> Inspection:
    """The same for a table that is read already."""
    mapping = mapping or columns.guess(table)
    if table.columns and mapping is None:
        names = ", ".join(table.columns)
        problem = Problem(0, "", "layout", values={"columns": names})
        return Inspection(table, None, Report(len(table.rows), [problem]))
    return Inspection(table, mapping, check(table, mapping or Mapping("pair", {}), **how))


def check(
    table: Table,
    mapping: Mapping,
    tokenizer: Any = None,
    max_length: int = 0,
    learn: str = "answers",
    near: bool = True,
) -> Report:
    """Every problem of every row.

    Args:
        tokenizer: of the model to be trained; with ``max_length`` (tokens), rows that are longer are found.
        near: whether to look for near duplicates, too.
    """
    from core.settings import settings

    if not table.rows:
        return Report(0, [Problem(0, "", "no_rows")])
    if len(table.rows) > (limit := settings().max_upload_rows):
        values = {"count": len(table.rows), "limit": limit}
        return Report(len(table.rows), [Problem(0, "", "too_many", values=values)])
    problems: list[Problem] = []
    good: dict[int, Row] = {}
    for number, row in enumerate(table.rows, 1):
        found = list(cells.problems(number, row, mapping))
        problems += found
        if all(problem.severity == MAY or problem.fix for problem in found):
            good[number] = build(mapping, row, FIXES)
    problems += _duplicates(good, near)
    problems += _rare_labels(good, mapping) if mapping.kind == columns.LABEL else []
    if tokenizer is not None and max_length:
        problems += _too_long(good, tokenizer, max_length, learn)
    return Report(len(table.rows), sorted(problems, key=lambda problem: problem.row))


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
    if not report.usable:
        raise _refusal(report)
    by_row: defaultdict[int, list[Problem]] = defaultdict(list)
    for problem in report.problems:
        by_row[problem.row].append(problem)
    rows = []
    for number, row in enumerate(table.rows, 1):
        left = [problem for problem in by_row[number] if problem.fix not in fixes]
        dropped = any(problem.fix == DROP and DROP in fixes for problem in by_row[number])
        if dropped or any({problem.severity, problem.reason} & set(skip) for problem in left):
            continue
        if bad := next((problem for problem in left if problem.severity == MUST), None):
            raise _refusal(report, bad)
        rows.append(build(mapping, row, fixes))
    if not rows:
        raise _refusal(report)
    return rows


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


@dataclass(frozen=True)
class _Text:
    text: str


def parts(row: Row) -> list[str]:
    """What a row says, part by part: the asking ones first, what is learned last."""
    if "messages" in row:
        return [message["content"] for message in row["messages"]]
    layout = columns.LAYOUTS[columns.layout_of(row)]
    return [row[name] for name in layout.required]


def _duplicates(good: dict[int, Row], near: bool) -> Iterator[Problem]:
    first: dict[tuple[str, ...], int] = {}
    for number, row in good.items():
        said = tuple(parts(row))
        if said in first:
            yield Problem(number, "", "duplicate", DROP, {"of": first[said]})
        else:
            first[said] = number
    if not near:
        return
    rows = list(first.items())
    # Many questions about one passage share most of their characters: the passage counts as a part, not here.
    texts = [_Text("\n".join(said[1:] if "context" in good[number] else said)) for said, number in rows]
    for pair in duplicates(texts):
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


def _too_long(good: dict[int, Row], tokenizer: Any, max_length: int, learn: str) -> Iterator[Problem]:
    task = "classify" if any("label" in row for row in good.values()) else "causal"
    # Tokens that a template puts about a turn, or a tokenizer about a text.
    around = 8 + (len(encode(tokenizer, [{"role": "user", "content": "x"}])) if task == "causal" else 0)
    for number, row in good.items():
        said = parts(row)
        # A token is a byte at least, so most rows need not be tokenized to be known to fit.
        if sum(len(part.encode()) + around for part in said) <= max_length:
            continue
        made = examples_for(task, tokenizer, row, 10**9, learn, [row.get("label", "")])
        tokens = max(len(one["input_ids"]) for one in made)
        if tokens > max_length:
            yield Problem(number, "", "too_long", values={"tokens": tokens, "limit": max_length})
