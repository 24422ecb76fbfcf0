"""The same few prompts answered at every measurement: what a run says on its way, prompt by prompt."""

import threading
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

from core import files
from core.settings import settings
from core.training.data import datasets

KEPT = 64
"""Runs whose answers stay in memory."""


@dataclass
class Said:
    """An answer, and the first and last step of those in a row at which it was given.

    ``scores`` are a classifier's probabilities by label at the last of them.
    """

    text: str
    first: int
    last: int
    scores: dict[str, float] = field(default_factory=dict)


@dataclass
class Prompt:
    """A prompt, the answer its test row holds (empty: it is not of a test row), and what was said, newest first."""

    text: str
    expected: str
    said: list[Said]


def prompts(run_id: str) -> list[Prompt]:
    """What a run's model has answered so far; read on from where the last look ended."""
    folder = settings().runs_dir / run_id
    expected = _expected(folder / "data")
    return [Prompt(text, expected.get(text, ""), said[::-1]) for text, said in _reader(folder / "samples.jsonl").said()]


@lru_cache(maxsize=KEPT)
def _expected(folder: Path) -> dict[str, str]:
    """The right answers of a run's test rows, which do not change."""
    if not (folder / "test.jsonl").is_file():  # an imported run
        return {}
    return {
        str(row.get("input", row.get("text", ""))): str(row.get("output", row.get("label", "")))
        for row in datasets.read(folder).test
    }


class _Reader:
    """The answers in one file, those that did not change from step to step taken together."""

    def __init__(self, path: Path) -> None:
        self._rows = files.Growing(path)
        self._lock = threading.Lock()
        self._said: dict[str, list[Said]] = {}

    def said(self) -> list[tuple[str, list[Said]]]:
        with self._lock:
            void, new = self._rows.look()
            if void:
                self._said = {}
            for row in new:
                self._add(row)
            return [(prompt, list(said)) for prompt, said in self._said.items()]

    def _add(self, row: dict[str, Any]) -> None:
        said = self._said.setdefault(row["prompt"], [])
        scores = row.get("scores", {})
        if said and said[-1].text == row["text"]:
            said[-1] = Said(row["text"], said[-1].first, row["step"], scores)
        else:
            said.append(Said(row["text"], row["step"], row["step"], scores))


@lru_cache(maxsize=KEPT)
def _reader(path: Path) -> _Reader:
    return _Reader(path)
