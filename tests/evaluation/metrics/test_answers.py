"""Exact match and token F1 by hand and against SQuAD's rule; plain forms; refusals in the shipped sets and others."""

import json
import re
import string
from collections import Counter

import pytest

from core.evaluation.metrics.answers import exact, token_f1
from core.evaluation.metrics.normal import normalise
from core.evaluation.metrics.refusal import refused
from core.evaluation.metrics.tokens import TOKENIZERS
from core.settings import ROOT


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("The Fox!", "fox"),
        ("A", "a"),
        ("Ｌｌａｍａ　２。", "llama 2"),
        ("二〇二三年", "2023 年"),
        ("一万二千三百", "12300"),
        ("一亿三千万", "130000000"),
        ("一百零五", "105"),
        ("十", "10"),
        ("三", "3"),
        ("第一名", "第一名"),
        ("千万要小心", "千万要小心"),
        ("万一", "万一"),
        ("1,000.50", "1000.5"),
        ("1.5亿", "150000000"),
        ("10.0", "10"),
        ("百分之十二点五", "12.5%"),
        ("100 %", "100%"),
        ("-5", "-5"),
        ("2020-2021", "2020 2021"),
        ("3.14.", "3.14"),
        ("……", ""),
    ],
)
def test_the_plain_form_of_a_text(text: str, plain: str) -> None:
    assert normalise(text) == plain
    assert normalise(plain) == plain


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("《红楼梦》", "红楼梦"),
        ("1952 年。", "1952年"),
        ("二十三", "23"),
        ("the  Eiffel tower", "Eiffel Tower."),
        ("£660,000", "660000"),
        ("３０％", "30%"),
    ],
)
def test_answers_that_are_the_same(answer: str, reference: str) -> None:
    assert exact(answer, ["something else", reference]) == 1.0
    assert token_f1(answer, ["something else", reference]) == 1.0


@pytest.mark.parametrize(
    ("answer", "reference"), [("1952", "1953"), ("-5", "5"), ("5", "5%"), ("广州", "广东"), ("", "x")]
)
def test_answers_that_are_not(answer: str, reference: str) -> None:
    assert exact(answer, [reference]) == 0.0


def squad_f1(answer: str, reference: str) -> float:
    """As the SQuAD paper describes it."""
    bags = []
    for text in (answer, reference):
        kept = "".join(sign for sign in text.lower() if sign not in string.punctuation)
        bags.append(Counter(re.sub(r"\b(a|an|the)\b", " ", kept).split()))
    shared = sum(min(bags[0][word], bags[1][word]) for word in bags[0])
    if not shared:
        return 0.0
    precision, recall = shared / sum(bags[0].values()), shared / sum(bags[1].values())
    return 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize(
    ("answer", "reference"),
    [
        ("It is in the old town of Penwick.", "the old town"),
        ("because of poor hearing", "poor hearing"),
        ("Paris", "London"),
        ("to be or not to be", "not to be"),
    ],
)
def test_token_f1_on_english_is_squads(answer: str, reference: str) -> None:
    assert token_f1(answer, [reference]) == pytest.approx(squad_f1(answer, reference))


def test_token_f1_on_chinese_by_hand() -> None:
    assert token_f1("广州大学", ["广州"]) == pytest.approx(2 * 2 / (4 + 2))
    assert token_f1("位于广州大学", ["在广州大学"], "jieba") == pytest.approx(2 * 1 / (2 + 2))
    assert token_f1("2023年9月", ["二〇二三年"]) == pytest.approx(2 * 2 / (4 + 2))


@pytest.mark.parametrize("tokenizer", TOKENIZERS)
def test_the_same_chinese_is_one_and_what_shares_nothing_zero(tokenizer: str) -> None:
    assert token_f1("广州大学位于广州", ["广州大学位于广州"], tokenizer) == 1.0
    assert token_f1("广州大学位于广州", ["今天天气好"], tokenizer) == 0.0


def test_english_words_are_stemmed_where_that_was_chosen() -> None:
    assert token_f1("he runs", ["he running"]) == 0.5
    assert token_f1("he runs", ["he running"], "english") == 1.0


@pytest.mark.parametrize("name", ["rag-qa-en", "rag-qa-zh"])
def test_refusals_of_the_shipped_sets_are_known_and_no_answer_is_taken_for_one(name: str) -> None:
    rows = [json.loads(line) for line in (ROOT / "assets" / "datasets" / name / "test.jsonl").open(encoding="utf-8")]
    assert [row for row in rows if refused(row["answer"]) == row["answerable"]] == []


@pytest.mark.parametrize(
    "text",
    [
        "根据提供的资料，无法确定他的出生年份。",
        "抱歉，文中并没有提到这一点。",
        "我不知道。",
        "根据资料无法确定。",
        "从这段文字中难以判断他的年龄。",
        "背景信息中未提及校训。",
        "没有相关信息。",
        "对不起，我无法回答这个问题。",
        "上文没有说明原因。",
        "The passage doesn’t mention who built it.",
        "I'm sorry, but I don't know.",
        "There is no information about the price in the text.",
        "It is not stated in the passage.",
        "The background does not provide any details on this.",
        "This cannot be determined from the text.",
        "Not mentioned.",
        "Unanswerable",
    ],
)
def test_usual_refusals(text: str) -> None:
    assert refused(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "1952",
        "文中没有提到具体日期，但他在1952年当选。",
        "他不知道自己的身世，由养父带大。",
        "该馆不提供餐饮。",
        "内容不得外传，他说。",
        "医生说他无法回答警察的问题。",
        "根据规定，成员不能提供餐饮。",
        "广州大学没有附属医院。",
        "The passage does not say when, but it was before 1952.",
        "It is not far from the station.",
        "She could not find her keys.",
        "They do not provide breakfast.",
        "No.",
        "The bridge was not built until 1903.",
    ],
)
def test_answers_are_no_refusals(text: str) -> None:
    assert not refused(text)
