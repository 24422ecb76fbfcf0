"""What a metric is computed from: what was expected of a row, and what an arm put out."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.evaluation.metrics.refusal import refused

CLASS, EXTRACTION, SUMMARY, ANSWER, OPEN = "class", "extraction", "summary", "answer", "open"
KINDS = (CLASS, EXTRACTION, SUMMARY, ANSWER, OPEN)
_SHORT = 60  # characters: a reference that can be expected word by word
_CLASSES, _LABEL = 20, 30  # most classes of a set, and characters of a class's name


@dataclass(frozen=True)
class Expected:
    """What a row expects.

    Attributes:
        kind: class (one of ``labels``), extraction (JSON), summary, answer (short, to be met exactly) or open.
        references: right answers; the best match counts.
        labels: names of the classes, of the kind class.
        answerable: whether the passages hold the answer; None: nobody says.
        sources: names of the documents that hold it, where they are known.
    """

    kind: str
    references: tuple[str, ...]
    labels: tuple[str, ...] = ()
    answerable: bool | None = None
    sources: tuple[str, ...] = ()


@dataclass(frozen=True)
class Output:
    """What an arm put out for a row.

    Attributes:
        text: the answer, without reasoning before it.
        tokens: written, the reasoning's included.
        seconds: from the request to the last token; in a batch, the batch's.
        supported: per sentence of the answer whether a passage supports it (``cited.passage is not None`` of
            core.rag.citations); None: no passages were read.
        sources: names of the documents that the passages came from; None: no passages were read.
        log_probabilities: natural logarithms, of each token of the first reference given what stands before it; None:
            not measured.
    """

    text: str
    tokens: int = 0
    seconds: float = 0.0
    supported: Sequence[bool] | None = None
    sources: Sequence[str] | None = None
    log_probabilities: Sequence[float] | None = None


def expected(row: Mapping[str, Any], labels: Sequence[str] = ()) -> Expected:
    """What a row of a data set expects.

    Args:
        row: with "references" (several), "output", "reference" or "label", and perhaps "answerable" and "source".
        labels: names of the classes, see :func:`class_names`; empty: no classes.
    """
    found = next((row[name] for name in ("references", "output", "reference", "label") if row.get(name)), "")
    references = (found,) if isinstance(found, str) else tuple(found)
    answerable = row.get("answerable")
    kind = _kind(row, references, labels)
    if kind == ANSWER and answerable is None and all(map(refused, references)):
        answerable = False
    sources = row.get("sources") or row.get("source") or ()
    return Expected(
        kind,
        references,
        tuple(labels) if kind == CLASS else (),
        answerable,
        (sources,) if isinstance(sources, str) else tuple(sources),
    )


def class_names(rows: Sequence[Mapping[str, Any]]) -> tuple[str, ...]:
    """The classes of a set whose every output is one of a few short names that come again and again; else none."""
    names = {row.get("label") or row.get("output") or row.get("reference") or "" for row in rows}
    few = 1 < len(names) <= min(_CLASSES, len(rows) / 5)
    return tuple(sorted(names)) if few and all(name and len(name) <= _LABEL for name in names) else ()


def _kind(row: Mapping[str, Any], references: Sequence[str], labels: Sequence[str]) -> str:
    if labels and all(reference in labels for reference in references):
        return CLASS
    if references and all(map(_is_json, references)):
        return EXTRACTION
    if "dialogue" in row:
        return SUMMARY
    short = references and all(len(reference) <= _SHORT for reference in references)
    return ANSWER if "answerable" in row or short else OPEN


def _is_json(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict | list)
    except (ValueError, RecursionError):
        return False
