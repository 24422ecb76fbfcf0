"""The problems of one row: cells that are missing, empty, not text or no characters, and turns out of order."""

import re
from collections.abc import Iterator
from typing import Any

from core.training.data import columns
from core.training.data.columns import LAYOUTS, Mapping
from core.training.data.formats import Broken
from core.training.data.problems import STRIP, TO_TEXT, Problem

_HALF = re.compile(r"[\ud800-\udfff]")
TEXTS = {
    *("context", "question", "answer", "dialogue", "summary", "instruction", "input", "output", "system"),
    *("text", "label"),
}


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def problems(number: int, row: Any, mapping: Mapping) -> Iterator[Problem]:
    """Everything about row ``number`` that can be seen without the others."""
    if isinstance(row, Broken):
        yield Problem(number, "", row.reason, values={"why": row.why})
        return
    if not isinstance(row, dict):
        yield Problem(number, "", "not_object", values={"kind": _kind(row)})
        return
    required = LAYOUTS[mapping.layout].required
    for name, value in columns.fields(mapping, row).items():
        column = mapping.columns.get(name, name)  # several answers in one cell are references, too
        if name == "messages":
            yield from _messages(number, column, value)
        elif name == "history":
            yield from _history(number, column, value)
        elif name in TEXTS:
            yield from _text(number, column, value, name in required)
            if name == "label" and mapping.labels and value not in (None, "", *mapping.labels):
                known = ", ".join(mapping.labels)
                yield Problem(number, column, "unknown_label", values={"label": value, "known": known})


def _text(number: int, place: str, value: Any, needed: bool = True) -> Iterator[Problem]:
    if value is None:
        if needed:
            yield Problem(number, place, "missing")
    elif is_number(value):
        yield Problem(number, place, "wrong_type", TO_TEXT, {"kind": _kind(value), "expected": "text"})
    elif not isinstance(value, str):
        yield Problem(number, place, "wrong_type", values={"kind": _kind(value), "expected": "text"})
    elif not value.strip():
        if needed:
            yield Problem(number, place, "empty")
    else:
        if "\ufffd" in value:
            yield Problem(number, place, "undecodable")
        if _HALF.search(value):
            yield Problem(number, place, "half_character")
        if value[0].isspace() or value[-1].isspace():
            yield Problem(number, place, "spaces", STRIP)


def _messages(number: int, place: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list) or not value:
        reason = "missing" if value is None else "empty" if value in ([], "") else "wrong_type"
        yield Problem(number, place, reason, values={"kind": _kind(value), "expected": "list of messages"})
        return
    expected = "user"
    for at, turn in enumerate(columns.turns(value)):
        inside = f"{place}[{at}]"
        if not isinstance(turn, dict):
            yield Problem(number, inside, "wrong_type", values={"kind": _kind(turn), "expected": "message"})
            return
        for problem in _text(number, f"{inside}.content", turn["content"]):
            # Safe in itself, but a fix of a place inside a cell would have to find it again.
            if problem.reason != "spaces":
                yield Problem(number, problem.field, problem.reason, "", problem.values)
        if turn["role"] == "system" and at == 0:
            continue
        if turn["role"] != expected:
            values = {"role": turn["role"] or "nothing", "expected": expected}
            yield Problem(number, f"{inside}.role", "role_order", values=values)
            return
        expected = "assistant" if expected == "user" else "user"
    if expected == "assistant" or len(value) < 2:
        yield Problem(number, place, "role_order", values={"role": "end", "expected": expected})


def _history(number: int, place: str, value: Any) -> Iterator[Problem]:
    if not isinstance(value, list):
        values = {"kind": _kind(value), "expected": "list of pairs"}
        yield Problem(number, place, "wrong_type", values=values)
        return
    for at, pair in enumerate(value):
        if not isinstance(pair, list | tuple) or len(pair) != 2:
            values = {"kind": _kind(pair), "expected": "pair"}
            yield Problem(number, f"{place}[{at}]", "wrong_type", values=values)
            continue
        for side, text in enumerate(pair):
            for problem in _text(number, f"{place}[{at}][{side}]", text):
                if problem.reason != "spaces":
                    yield Problem(number, problem.field, problem.reason, "", problem.values)


def _kind(value: Any) -> str:
    names = {type(None): "nothing", bool: "boolean", int: "number", float: "number", str: "text"}
    return names.get(type(value), "object" if isinstance(value, dict) else "list")
