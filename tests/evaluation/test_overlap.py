"""Planted leaks are found and named; a set that was split well has none."""

import random

import pytest

from core.evaluation import overlap
from core.training.data import datasets
from core.training.data.splitting import question


@pytest.mark.parametrize("name", ["rag-qa-en", "dialogue-summary", "sentiment-en"])
def test_ten_test_rows_copied_into_train_are_found_and_named(name: str) -> None:
    data = datasets.load(name)
    chance = random.Random(name)
    assert overlap.find(data.test, data.train) == []
    planted = chance.sample(range(len(data.test)), 10)
    train = list(data.train)
    for row in planted:
        train.insert(chance.randrange(len(train)), data.test[row])
    places = {row: train.index(data.test[row]) for row in planted}
    found = {one.row: one for one in overlap.find(data.test, train)}
    for row in planted:
        assert (found[row].where, found[row].share) == ("train", 1.0)
        assert question(train[found[row].place]) == question(data.test[row])
    # Others are met only because they ask about a planted row's passage, or nearly the same as one.
    assert {one.place for one in found.values()} <= set(places.values())


def test_a_question_that_stands_in_the_knowledge_base_is_found_but_not_a_passage() -> None:
    passage = "广州大学位于广州，创办于一九二七年，是一所综合性大学。"
    test = [
        {
            "context": passage,
            "question": "广州大学的校训是什么，由谁题写？",
            "answer": "x",
            "input": "…",
            "output": "x",
        },
        {
            "context": passage,
            "question": "广州大学创办于哪一年？",
            "answer": "1927年",
            "input": "…",
            "output": "1927年",
        },
    ]
    texts = [passage, "常见问题：广州大学的校训是什么，由谁题写？答：博学笃行。", "别的文章。"]
    found = overlap.find(test, texts=texts, sources=["about.md", "faq.md", "other.md"])
    assert found == [overlap.Overlap(0, "knowledge", 1, "faq.md", 1.0, "广州大学的校训是什么，由谁题写？")]


def test_a_row_with_a_word_changed_is_still_found() -> None:
    long = "The council of Penwick decided on Monday to buy back the waterworks from its owners for 80,000 pounds."
    found = overlap.find(
        [{"text": long, "label": "a"}], [{"text": "Other things."}, {"text": long.replace("Mon", "Sun")}]
    )
    assert [(one.row, one.place) for one in found] == [(0, 1)]
    assert 0.8 <= found[0].share < 1.0
    assert found[0].text == long[:79] + "…"


def test_nothing_to_look_in_is_no_overlap() -> None:
    assert overlap.find([{"text": "x"}]) == []
    assert overlap.find([], [{"text": "x"}], ["x"]) == []
