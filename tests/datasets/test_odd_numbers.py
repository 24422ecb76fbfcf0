"""The odd-numbers exercise: every verdict is what the arithmetic says."""

import re

from tests.helpers.written_sets import read

CLAIM = re.compile(r"The odd numbers in this group add up to an even number: (\d+(?:, \d+)+)\.")


def numbers(row: dict[str, str]) -> list[int]:
    found = CLAIM.fullmatch(row["input"])
    assert found, row
    return [int(n) for n in found[1].split(", ")]


def test_every_verdict_is_right_and_half_are_true() -> None:
    for split in ("train", "test"):
        rows = read("odd-numbers", split)
        for row in rows:
            odd = [n for n in numbers(row) if n % 2 == 1]
            assert len(odd) >= 2, row
            assert row["output"] == str(sum(odd) % 2 == 0), row
        assert sum(row["output"] == "True" for row in rows) * 2 == len(rows)


def test_neither_length_nor_order_gives_an_answer_away() -> None:
    by_length: dict[int, list[str]] = {}
    groups = set()
    rows = read("odd-numbers", "train") + read("odd-numbers", "test")
    for row in rows:
        by_length.setdefault(len(numbers(row)), []).append(row["output"])
        groups.add(frozenset(numbers(row)))
    assert len(groups) == len(rows)
    assert set(by_length) == {5, 6, 7, 8, 9}
    for outputs in by_length.values():
        assert outputs.count("True") * 2 == len(outputs)
