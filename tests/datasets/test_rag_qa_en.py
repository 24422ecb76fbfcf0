"""English questions on passages: answers stand in the passage, refusals are told apart, test frames are new."""

import re

import pytest

from tests.helpers.written_sets import DATASETS, load_make, read

NAME = "rag-qa-en"
REFUSAL = "The passage does not say."


@pytest.mark.parametrize("split", ["train", "test"])
def test_an_answer_stands_in_its_passage_and_a_refusal_is_fixed(split: str) -> None:
    rows = read(NAME, split)
    for row in rows:
        assert row["answerable"] == (row["answer"] != REFUSAL), row
        assert not row["answerable"] or row["answer"] in row["context"], row
        assert row["question"].endswith("?"), row
    assert 0.08 <= sum(not row["answerable"] for row in rows) / len(rows) <= 0.14


@pytest.mark.parametrize("split", ["train", "test"])
def test_texts_are_clean_and_short(split: str) -> None:
    for row in read(NAME, split):
        for value in (row["context"], row["question"], row["answer"]):
            assert not re.search(r"  |\.\.|\n| ,|\ba (?!one)[aeio]\w", value), value
        assert 60 <= len(row["context"]) <= 700
        assert len(row["answer"].split()) <= 20


def test_no_question_is_answered_two_ways_on_one_passage() -> None:
    answers: dict[tuple[str, str], set[str]] = {}
    for row in read(NAME, "train") + read(NAME, "test"):
        answers.setdefault((row["context"], row["question"]), set()).add(row["answer"])
    assert all(len(found) == 1 for found in answers.values())


def longest_plain(sentence: str) -> str:
    """The longest piece of a frame's sentence that stands outside its slots."""
    while "{" in sentence:
        sentence = re.sub(r"\{[^{}]*\}", "\0", sentence)
    return max(sentence.split("\0"), key=len).strip()


def test_frames_of_the_test_are_only_in_the_test() -> None:
    make = load_make(NAME)
    frames = make.read_frames(DATASETS / NAME / "frames")
    assert len({frame.name for frame in frames}) == len(frames) >= 36
    assert 8 <= sum(frame.test for frame in frames) <= len(frames) / 4
    contexts = {split: " ".join({row["context"] for row in read(NAME, split)}) for split in ("train", "test")}
    for frame in frames:
        here, there = ("test", "train") if frame.test else ("train", "test")
        pieces = [piece for text, _ in frame.sentences if len(piece := longest_plain(text)) >= 8]
        assert any(piece in contexts[here] for piece in pieces), frame.name
        assert not [piece for piece in pieces if piece in contexts[there]], frame.name


def test_many_kinds_of_questions() -> None:
    frames = load_make(NAME).read_frames(DATASETS / NAME / "frames")
    phrasings = [
        p for frame in frames for _, asked in frame.sentences for question in asked for p in question.phrasings
    ]
    assert len(set(phrasings)) >= 600
    openings = {row["question"].split()[0] for row in read(NAME, "train")}
    assert openings >= {"Who", "What", "When", "Where", "Why", "How", "Which"}


def test_a_frame_whose_answer_is_not_in_its_sentence_is_refused() -> None:
    make = load_make(NAME)
    frame = make.read_frames(DATASETS / NAME / "frames")[0]
    text, (question, *_) = frame.sentences[0]
    wrong = type(question)(question.phrasings, "nowhere in it")
    broken = type(frame)(frame.domain, frame.name, False, False, ((text, (wrong,)),))
    lists = make.lexicon(make.tomllib.loads((DATASETS / NAME / "lexicon.toml").read_text(encoding="utf-8")))
    writer = make.Writer(lambda rng: make.Words(rng, lists), REFUSAL, " ", (100, 300, 200))
    with pytest.raises(ValueError, match="nowhere in it"):
        writer.fill(make.Random(1), broken)
