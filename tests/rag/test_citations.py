"""Sentences find the passage they come from; invented ones find none."""

from pathlib import Path

import pytest

from core.rag import citations
from core.rag.chunks import sentences

LLAMA = (
    "Llama 2 is a family of large language models that Meta, together with Microsoft, announced on 18 July 2023. "
    "The family comes in three sizes, with 7, 13 and 70 billion parameters."
)
OTHER = "The llama is a domesticated animal of the Andes. It carries loads and is kept for its wool."
GUANGZHOU = "广州大学位于广东省广州市，是一所综合性大学。学校实行广东省和广州市共建、以广州市为主的管理体制。"
CASES = [
    ("Meta announced it in July 2023 with Microsoft.", 0),
    ("Llama 2 comes in sizes of 7B, 13B and 70B.", None),  # "7B" is not a word of the passage: no false claim either
    ("The family has sizes with 7, 13 and 70 billion parameters.", 0),
    ("It has 180 billion parameters.", None),
    ("Llama 2 is a game-show mascot created by the creators of the TV show The Sims 2.", None),
    ("Llamas carry loads and are kept for wool.", 1),
    ("I hope this helps!", None),
    ("广州大学是位于广东省广州市的综合性大学。", 2),
    ("广州大学成立于1895年，位于北京。", None),
    ("它是世界上最大的游乐园。", None),
]


@pytest.mark.parametrize(
    "text",
    ["One. Two! 三。四？“五。”六", "Pi is 3.14. So it is.", "- a\n- b\n\nc", "", "no end", "第一句；第二句……第三句"],
)
def test_sentences_cover_the_text(text: str) -> None:
    spans = sentences(text)
    assert "".join(text[a:b] for a, b in spans) == text


def test_sentences_end_where_people_end_them() -> None:
    text = "Pi is 3.14. So it is! “五。”六；七"
    assert [text[a:b].strip() for a, b in sentences(text)] == ["Pi is 3.14.", "So it is!", "“五。”", "六；", "七"]


@pytest.mark.embedded
def test_each_sentence_finds_its_passage(embedded: Path) -> None:
    right = 0
    for sentence, expected in CASES:
        [found] = citations.cite(sentence, [LLAMA, OTHER, GUANGZHOU])
        assert (found.start, found.end) == (0, len(sentence))
        right += found.passage == expected
    assert right >= len(CASES) - 1


@pytest.mark.embedded
def test_an_invented_number_is_never_supported(embedded: Path) -> None:
    true = LLAMA.split(". ")[0] + "."
    assert citations.cite(true, [LLAMA])[0].passage == 0
    assert citations.cite(true.replace("2023", "2019"), [LLAMA])[0].passage is None


def test_without_passages_nothing_is_supported() -> None:
    assert [sentence.passage for sentence in citations.cite("One. Two.", [])] == [None, None]
    assert citations.cite("", ["a"]) == [] == citations.cite(" \n ...", ["a"])


@pytest.mark.embedded
def test_a_chinese_answer_is_held_against_the_passages_sentence_by_sentence(embedded: Path) -> None:
    answer = "广州大学是位于广东省广州市的综合性大学。它成立于1895年，位于北京！\n学校实行广东省和广州市共建的体制；"
    found = citations.cite(answer, [LLAMA, GUANGZHOU])
    assert [answer[cited.start : cited.end].strip() for cited in found] == [
        "广州大学是位于广东省广州市的综合性大学。",
        "它成立于1895年，位于北京！",
        "学校实行广东省和广州市共建的体制；",
    ]
    assert [cited.passage for cited in found] == [1, None, 1]
