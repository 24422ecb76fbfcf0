"""BM25 against the formula written out, and what counts as a term."""

import math
from pathlib import Path

import pytest

from core.rag.lexical import K1, B, Lexical, asked, terms

TEXTS = ["the fox jumps over the dog", "the dog sleeps", "广州塔在广州", "", "珠江流过广州 the river"]


def plain(query: str, text: str, texts: list[str]) -> float:
    """Lucene's BM25, term by term, from its definition."""
    score = 0.0
    lengths = [len(terms(t)) for t in texts]
    average = sum(lengths) / len(texts)
    for term in terms(query):
        holding = sum(term in terms(t) for t in texts)
        count = terms(text).count(term)
        idf = math.log(1 + (len(texts) - holding + 0.5) / (holding + 0.5))
        score += idf * count / (count + K1 * (1 - B + B * len(terms(text)) / average))
    return score


@pytest.mark.parametrize(
    ("query", "counted"),
    [
        ("the dog", "dog"),
        ("dog dog fox", "dog dog fox"),
        ("广州", "广州"),
        ("广州塔 the", "广州塔"),
        ("the", "the"),
        ("nothing here", "nothing here"),
        ("", ""),
        ("？！", ""),
    ],
)
def test_scores_are_those_of_the_formula(query: str, counted: str) -> None:
    index = Lexical.build(TEXTS)
    expected = [plain(counted, text, TEXTS) for text in TEXTS]
    assert index.scores(query).tolist() == pytest.approx(expected, abs=1e-5)
    best = sorted((i for i, score in enumerate(expected) if score > 0), key=lambda i: (-expected[i], i))
    assert [row for row, _ in index.search(query, 10)] == best


def test_the_best_k_are_the_first_of_all_and_equals_go_by_row() -> None:
    index = Lexical.build(["llama", "fox", "llama", "llama fox", "llama"])
    every = index.search("llama", 10)
    assert [row for row, _ in every] == [0, 2, 4, 3]
    assert index.search("llama", 2) == every[:2]
    assert index.search("llama", 0) == []


def test_terms_of_both_scripts() -> None:
    assert terms("GPT-4 很强大，ＡＢＣ１！") == ["gpt", "4", "很强", "强大", "abc1"]
    assert terms("塔 カタカナ 한국어") == ["塔", "カタ", "タカ", "カナ", "한국", "국어"]
    assert terms("snake_case naïve Straße") == ["snake", "case", "naïve", "straße"]
    assert terms("，。!?") == []


def test_what_only_makes_a_question_of_it_is_not_looked_up() -> None:
    assert asked("广州塔有多高？") == ["广州", "州塔", "多高"]
    assert asked("When was the tower opened, and by whom?") == ["tower", "opened"]
    assert asked("Theory of isomorphism") == ["theory", "isomorphism"]  # no parts of words
    assert asked("是什么") == terms("是什么")  # nothing else is left to look up


def test_a_share_is_between_nothing_and_all() -> None:
    index = Lexical.build([*TEXTS, *(f"filler number {i}" for i in range(20))])
    shares = index.shares("广州塔在广州")
    assert shares.argmax() == 2
    assert 0.4 < shares[2] < 1
    assert shares[0] == 0
    # What no text has lowers the share: it was asked for and is not there.
    assert index.shares("广州塔在广州 zebra").max() < shares.max()


def test_saved_and_loaded_it_answers_the_same(tmp_path: Path) -> None:
    index = Lexical.build(TEXTS)
    index.save(tmp_path / "index")
    again = Lexical.load(tmp_path / "index")
    assert len(again) == len(TEXTS)
    assert again.search("广州 dog", 5) == index.search("广州 dog", 5)
    (tmp_path / "index" / "terms.txt").write_text("only", "utf-8")
    with pytest.raises(ValueError, match="terms for"):
        Lexical.load(tmp_path / "index")


@pytest.mark.parametrize("texts", [[], [""], ["，。"]])
def test_nothing_to_index_finds_nothing(texts: list[str], tmp_path: Path) -> None:
    index = Lexical.build(texts)
    assert index.search("llama", 3) == []
    assert index.shares("llama").tolist() == [0.0] * len(texts)
    index.save(tmp_path / "index")
    assert len(Lexical.load(tmp_path / "index")) == len(texts)
