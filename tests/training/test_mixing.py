"""Data sets mixed by weight: how many rows of each, and none lost or doubled before its time."""

import json
from collections import Counter
from pathlib import Path

import pytest

from core.errors import UserError
from core.training import mixing
from core.training.data import datasets


def put(folder: Path, name: str, rows: list[dict[str, str]]) -> str:
    path = folder / f"{name}.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    return str(path)


def chats(folder: Path, name: str, count: int) -> str:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    rows = [
        {"input": f"{name} {words[n % 10]} {words[n // 10]} {n * n}?", "output": f"{name} {n}"} for n in range(count)
    ]
    return put(folder, name, rows)


def test_each_further_set_gives_its_weight_in_rows(tmp_path: Path) -> None:
    first, second, third = (chats(tmp_path, name, count) for name, count in (("a", 40), ("b", 60), ("c", 10)))
    alone = {name: datasets.load(path) for name, path in (("a", first), ("b", second), ("c", third))}
    mixed = mixing.load(first, {second: 0.5, third: 2}, seed=7)
    counts = Counter(row["output"].split()[0] for row in mixed.train)
    own = len(alone["a"].train)
    assert counts == {"a": own, "b": round(0.5 * own), "c": 2 * own}
    times = Counter(row["output"] for row in mixed.train)
    assert {times[row["output"]] for row in alone["a"].train} == {1}
    repeated = {times[row["output"]] for row in alone["c"].train}
    assert max(repeated) - min(repeated) <= 1  # none again before all were there
    assert max(Counter(row["output"] for row in mixed.test).values()) == 1
    assert not {row["output"] for row in mixed.test} & set(times)


def test_the_same_seed_mixes_the_same_rows(tmp_path: Path) -> None:
    first, second = chats(tmp_path, "a", 20), chats(tmp_path, "b", 60)
    assert mixing.load(first, {second: 0.5}, 7) == mixing.load(first, {second: 0.5}, 7)
    assert mixing.load(first, {second: 0.5}, 7).train != mixing.load(first, {second: 0.5}, 8).train


def test_labels_mix_with_labels_only(tmp_path: Path) -> None:
    rows = [{"text": f"review number {n} {n * n}", "label": "good" if n % 2 else "bad"} for n in range(20)]
    more = [{"text": f"another {n} opinion {n * n}", "label": "good" if n % 2 else "so-so"} for n in range(20)]
    first, second = put(tmp_path, "a", rows), put(tmp_path, "b", more)
    assert mixing.load(first, {second: 1}, 7).labels == ["bad", "good", "so-so"]
    with pytest.raises(UserError, match="cannot be mixed"):
        mixing.load(first, {chats(tmp_path, "c", 20): 1}, 7)
