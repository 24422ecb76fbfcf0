"""Splits: repeatable, in proportion, what is alike on one side; leaks counted as a plain search counts them."""

import random
from collections import Counter
from typing import Any

import pytest

from core.errors import UserError
from core.training.data.splitting import leaks, split

WORDS = [f"{a}{b}" for a in ("ba", "du", "ko", "mi", "re", "so") for b in ("lon", "mar", "tis", "vek", "zun", "pra")]


def sentences(count: int, seed: int, words: int = 14) -> list[str]:
    rng = random.Random(seed)
    return [" ".join(rng.choices(WORDS, k=words)) for _ in range(count)]


@pytest.mark.parametrize("count", [2, 5, 40, 3000])
def test_no_input_is_on_both_sides_of_a_split(count: int) -> None:
    rows = [{"input": f" question {i % count}" + " " * (i % 3), "output": str(i)} for i in range(3 * count)]
    train, test = split(rows)
    assert sorted(map(str, train + test)) == sorted(map(str, rows))
    assert {r["input"].strip() for r in train}.isdisjoint(r["input"].strip() for r in test)
    assert len(test) == max(3, min(198, 3 * count // 10 // 3 * 3))


def test_a_split_repeats_with_its_seed_and_changes_with_another() -> None:
    rows = [{"input": str(i), "output": "x"} for i in range(100)]
    assert split(rows, 1) == split(rows, 1) != split(rows, 2)
    assert len(split(rows, share=0.3)[1]) == 30


def test_one_input_alone_cannot_be_split() -> None:
    with pytest.raises(UserError, match="two different inputs"):
        split([{"input": "x", "output": "1"}, {"input": "x ", "output": "2"}])


def test_labels_keep_their_proportion() -> None:
    rows: list[dict[str, Any]] = [
        {"text": text, "label": label}
        for label, count in (("a", 200), ("b", 50), ("c", 10))
        for text in sentences(count, len(label) + count)
    ]
    train, test = split(rows, share=0.2)
    assert Counter(row["label"] for row in test) == {"a": 40, "b": 10, "c": 2}
    assert Counter(row["label"] for row in train) == {"a": 160, "b": 40, "c": 8}


def test_what_is_nearly_the_same_is_on_one_side() -> None:
    rows = [
        {"input": f"{text} {end}", "output": "x"}
        for text in sentences(60, 3)
        for end in ("please", "please!", "Please…")
    ]
    _, test = split(rows, share=0.25)
    assert 0 < len(test) <= 45
    seen = Counter(" ".join(row["input"].split()[:14]) for row in test)
    assert set(seen.values()) == {3}


def test_a_passage_is_on_one_side_with_all_its_questions() -> None:
    passages = sentences(30, 5, 40)
    rows = [
        {"context": p, "question": f"q{n} {n}", "answer": "a", "input": f"{p} q{n}", "output": "a"}
        for p in passages
        for n in range(4)
    ]
    train, test = split(rows)
    assert test and {row["context"] for row in train}.isdisjoint(row["context"] for row in test)


def test_a_set_of_one_pattern_can_still_be_split() -> None:
    """All nearly the same: only what is wholly the same is kept together."""
    rows = [{"input": "the very same words over and over again and " + "x" * n, "output": "y"} for n in range(1, 5)]
    train, test = split(rows)
    assert (len(train), len(test)) == (3, 1)


def grams(text: str) -> set[str]:
    letters = "".join(character for character in text.lower() if character.isalnum())
    return {letters[i : i + 5] for i in range(len(letters) - 4)}


def test_leaks_are_what_a_plain_search_finds() -> None:
    train, test = sentences(80, 11), sentences(30, 12)
    test[3] = train[10]
    test[7] = " ".join(train[20].split()[:9])
    test[8] = train[5].upper().replace(" ", ", ")
    train[40] = "and so " + test[12] + " it went on"
    rows = [[{"input": text, "output": "x"} for text in part] for part in (train, test)]
    found = leaks(*rows, contained=0.8)
    assert [(leak.test, leak.train) for leak in found] == [(3, 10), (7, 20), (8, 5), (12, 40)]
    counts = Counter(gram for text in test for gram in grams(text))
    telling = [{gram for gram in grams(text) if counts[gram] <= 10} for text in test]
    for leak in found:
        best = max(len(telling[leak.test] & grams(text)) / len(telling[leak.test]) for text in train)
        assert leak.share == pytest.approx(best, abs=1e-4)


def test_a_prompt_around_every_question_is_no_leak() -> None:
    frame = "Please read this carefully and answer in one short sentence: "
    rows = [{"input": frame + text, "output": "x"} for text in sentences(100, 21, 8)]
    assert leaks(rows[:50], rows[50:]) == []
    short = [{"input": "你好", "output": str(n)} for n in range(40)]
    assert [(leak.test, leak.train, leak.share) for leak in leaks(short[:3], short)] == [(n, 0, 1.0) for n in range(40)]
    assert leaks([], rows) == leaks(rows, []) == []
