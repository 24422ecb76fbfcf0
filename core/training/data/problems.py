"""What can be wrong with a data set, in words: reason, place, severity, and the fix where one is safe."""

import csv
import dataclasses
import io
from collections import Counter
from dataclasses import dataclass
from typing import Any

from core.errors import fill

MUST, MAY = "must fix", "may skip"
STRIP, TO_TEXT, DROP = "strip", "number to text", "drop"
FIXES = (STRIP, TO_TEXT, DROP)

# Reason → severity and words. "must fix": the row cannot be learned from as it is.
REASONS = {
    "unreadable": (MUST, "the file cannot be read: {why}"),
    "no_rows": (MUST, "there are no rows"),
    "too_many": (MUST, "{count} {count:row|rows}; at most {limit} are read (YUAN_MAX_UPLOAD_ROWS)"),
    "layout": (MUST, "what the columns {columns} hold was not recognised"),
    "not_json": (MUST, "not JSON: {why}"),
    "not_csv": (MUST, "not CSV: {why}"),
    "cells": (MUST, "more cells than columns: {why}"),
    "not_object": (MUST, "{kind}, not an object with columns"),
    "missing": (MUST, "missing"),
    "empty": (MUST, "empty"),
    "wrong_type": (MUST, "{kind}, not {expected}"),
    "undecodable": (MUST, "holds bytes that are no characters"),
    "half_character": (MUST, "holds half a character"),
    "role_order": (MUST, "{role}, where {expected} was to come"),
    "unknown_label": (MUST, "the label {label} is not one of {known}"),
    "rare_label": (MAY, "the label {label} has one row, so it cannot be both trained and tested"),
    "spaces": (MAY, "begins or ends with white space"),
    "duplicate": (MAY, "the same as row {of}"),
    "near_duplicate": (MAY, "nearly the same as row {of} ({similarity} alike)"),
    "too_long": (MAY, "{tokens} {tokens:token|tokens}; {limit} fit, the rest is cut off"),
}


@dataclass(frozen=True)
class Problem:
    """Something about a row.

    Attributes:
        row: counted from 1; 0: the file as a whole.
        field: the file's name of the column, with the place inside it; empty: the row as a whole.
        reason: one of :data:`REASONS`.
        fix: one of :data:`FIXES`, or empty where nothing safe can be done.
        values: fill the reason's words.
    """

    row: int
    field: str
    reason: str
    fix: str = ""
    values: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def severity(self) -> str:
        return REASONS[self.reason][0]

    @property
    def words(self) -> str:
        return fill(REASONS[self.reason][1], self.values)

    def as_dict(self) -> dict[str, Any]:
        """For a table or a file: {"row", "field", "reason", "severity", "fix", "words"}."""
        shown = {name: getattr(self, name) for name in ("row", "field", "reason", "severity", "fix", "words")}
        return {name: printable(value) if isinstance(value, str) else value for name, value in shown.items()}


@dataclass(frozen=True)
class Report:
    """What :mod:`core.training.data.checks` found in ``rows`` rows, in the order of the rows."""

    rows: int
    problems: list[Problem]

    @property
    def must_fix(self) -> list[Problem]:
        return [problem for problem in self.problems if problem.severity == MUST]

    @property
    def counts(self) -> dict[str, int]:
        """Reason → how often, the most frequent first."""
        return dict(Counter(problem.reason for problem in self.problems).most_common())

    @property
    def usable(self) -> bool:
        """Whether the file could be read at all."""
        return not any(problem.row == 0 for problem in self.must_fix)

    def as_csv(self) -> str:
        """One line per problem, under column names."""
        out = io.StringIO()
        writer = csv.DictWriter(out, ["row", "field", "reason", "severity", "fix", "words"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(problem.as_dict() for problem in self.problems)
        return out.getvalue()


def printable(text: str) -> str:
    """The text without halves of characters, which no file and no screen takes."""
    return text.encode("utf-8", "replace").decode()
