"""The sentiment sets: balanced, of five domains, the test's clauses and patterns never seen in training."""

import re
import tomllib

import pytest

from tests.helpers.written_sets import DATASETS, load_make, read

each_language = pytest.mark.parametrize("name", ["sentiment-en", "sentiment-zh"])


def opinions(name: str) -> dict:
    return tomllib.loads((DATASETS / name / "opinions.toml").read_text(encoding="utf-8"))


def lines(name: str, kind: str) -> list[tuple[str, bool]]:
    """Clauses of that kind over all domains, each with whether it is held out."""
    texts = [domain[kind].strip().splitlines() for domain in opinions(name)["domain"].values()]
    return [(line.removeprefix("!"), line.startswith("!")) for text in texts for line in text]


@each_language
def test_labels_are_balanced(name: str) -> None:
    for split in ("train", "test"):
        labels = [row["label"] for row in read(name, split)]
        assert labels.count("positive") == labels.count("negative") == len(labels) // 2


@each_language
def test_no_clause_of_the_test_is_seen_in_training(name: str) -> None:
    texts = {split: " ".join(row["text"].lower() for row in read(name, split)) for split in ("train", "test")}
    for kind in ("good", "bad"):
        for clause, held in lines(name, kind):
            here, there = ("test", "train") if held else ("train", "test")
            assert clause.lower() in texts[here], clause
            assert clause.lower() not in texts[there], clause


@each_language
def test_no_pattern_of_the_test_is_seen_in_training(name: str) -> None:
    for patterns in opinions(name)["patterns"].values():
        for line in patterns.strip().splitlines():
            shape = re.sub(r"\\{\w+\\}", ".+", re.escape(line.lstrip("!+- ")))
            if not re.search(r"\w", shape.replace(r"\ and\ ", "")):
                continue  # clauses only, which any other pattern may hold
            there = "train" if line.startswith("!") else "test"
            assert not any(re.fullmatch(shape, row["text"]) for row in read(name, there)), line


@each_language
def test_a_plain_review_says_what_its_label_says(name: str) -> None:
    make = load_make(name)
    kinds = {kind: [c.lower() for c, _ in lines(name, kind)] for kind in ("good", "bad")}
    assert not set(kinds["good"]) & set(kinds["bad"])
    reviewer = make.opinions.Reviewer(make.opinions.Random(1), opinions(name), "train")
    for domain in opinions(name)["domain"]:
        for label, wrong in (("positive", "bad"), ("negative", "good")):
            for _ in range(40):
                text = reviewer.write(domain, label, hard=False).lower()
                assert not [clause for clause in kinds[wrong] if clause in text], text


@each_language
def test_hard_ones_are_a_seventh_and_mislead_by_their_words(name: str) -> None:
    """About 15 % come from the hard patterns, most of which carry a clause of the other side or none at all."""
    hard = opinions(name)["patterns"]["hard"].strip().splitlines()
    shapes = [re.sub(r"\\{\w+\\}", ".+", re.escape(line.lstrip("!+- "))) for line in hard]
    for split in ("train", "test"):
        rows = read(name, split)
        found = sum(any(re.fullmatch(shape, row["text"]) for shape in shapes) for row in rows)
        assert 0.13 <= found / len(rows) <= 0.18
    misleading = [line for line in hard if ("bad" in line.lower()) == ("+" in line[:2]) or "{" not in line]
    assert len(misleading) >= len(hard) / 3
