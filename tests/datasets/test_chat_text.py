"""Conversations as one text: the marks in turn, both languages, sums that are right, topics of the test kept apart."""

import re
import tomllib
from datetime import date, datetime, timedelta

import pytest

from tests.helpers.written_sets import DATASETS, read

NAME = "chat-text"
TURN = re.compile(r"### Human: (.+?)### Assistant: (.+?)(?=### Human: |\Z)", re.DOTALL)
WEEKDAYS = "一二三四五六日"


def turns(row: dict[str, str]) -> list[tuple[str, str]]:
    """What is asked and answered, in order."""
    found = TURN.findall(row["text"])
    assert "".join(f"### Human: {asked}### Assistant: {answer}" for asked, answer in found) == row["text"], row
    return found


def all_turns(split: str) -> list[tuple[str, str]]:
    return [turn for row in read(NAME, split) for turn in turns(row)]


@pytest.mark.parametrize("split", ["train", "test"])
def test_human_and_assistant_take_turns(split: str) -> None:
    lengths = [len(turns(row)) for row in read(NAME, split)]
    assert set(lengths) <= {1, 2, 3}
    assert sum(length > 1 for length in lengths) / len(lengths) >= 0.55
    for asked, answer in all_turns(split):
        assert asked == asked.strip() and answer == answer.strip() and "#" not in asked + answer
        assert len(answer) <= 300, answer


@pytest.mark.parametrize("split", ["train", "test"])
def test_both_languages_are_there_and_answers_keep_to_the_language_asked(split: str) -> None:
    chinese = sum(bool(re.search("[一-鿿]", row["text"])) for row in read(NAME, split))
    assert 0.4 <= chinese / len(read(NAME, split)) <= 0.6
    for row in read(NAME, split):
        first, *_ = turns(row)
        assert bool(re.search("[一-鿿]", first[0])) == bool(re.search("[一-鿿]", row["text"])), row


def test_no_question_of_the_test_was_trained_on() -> None:
    def opening(split: str) -> set[str]:
        return {turns(row)[0][0] for row in read(NAME, split)}

    assert not opening("train") & opening("test")
    topics = tomllib.loads((DATASETS / NAME / "topics.toml").read_text(encoding="utf-8"))
    texts = {split: "".join(row["text"] for row in read(NAME, split)) for split in ("train", "test")}
    for language in topics.values():
        for split, there in (("train", "test"), ("test", "train")):
            for topic in language[split].strip().split("\n\n"):
                answer = topic.splitlines()[1].removeprefix("A: ")
                assert answer in texts[split], answer
                assert answer not in texts[there], answer


def test_every_sum_is_right() -> None:
    """Shares, remainders, products, orders, dates and temperatures, worked out anew from the questions."""
    seen = set()
    for split in ("train", "test"):
        for row in read(NAME, split):
            (asked, answer), *rest = turns(row)
            numbers = [int(n) for n in re.findall(r"-?\d+", asked)]
            if "percent of" in asked or "% of" in asked:
                part = numbers[0] * numbers[1] / 100
                assert answer.endswith(f"= {part:g}.")
                assert all(told == f"{numbers[1]} - {part:g} = {numbers[1] - part:g}." for _, told in rest)
                seen.add("share")
            elif "公里" in asked and "小时" in asked:
                assert answer.endswith(f"一共{numbers[0] * numbers[1]}公里。")
                assert all(told.endswith(f"{2 * numbers[0] * numbers[1]}公里。") for _, told in rest)
                seen.add("trip")
            elif "付100元" in asked:
                cost = numbers[0] * numbers[1]
                assert answer.endswith(f"={100 - cost}元。") and cost <= 100
                assert all(told.endswith(f"找回{100 - cost * 8 / 10:g}元。") for _, told in rest)
                seen.add("shopping")
            elif re.match("Sort|Put .*ascending", asked):
                assert answer == ", ".join(map(str, sorted(numbers))) + "."
                assert all(told == f"{sum(numbers)}." for _, told in rest)
                seen.add("order")
            elif "Fahrenheit" in asked:
                assert answer.endswith(f"it is {numbers[0] * 1.8 + 32:g} °F.")
                seen.add("temperature")
            elif "再过" in asked:
                then = date(*numbers[:3]) + timedelta(days=numbers[3])
                assert f"星期{WEEKDAYS[date(*numbers[:3]).weekday()]}，" in asked
                assert answer.endswith(f"{then.month}月{then.day}日，星期{WEEKDAYS[then.weekday()]}。")
                seen.add("calendar")
            elif "days later" in asked:
                day = datetime.strptime(asked.split(" is a ")[0], "%d %B %Y")
                assert f"is a {day:%A}." in asked and answer.endswith(f"it is a {day + timedelta(numbers[-1]):%A}.")
                seen.add("weekday")
    assert seen == {"share", "trip", "shopping", "order", "temperature", "calendar", "weekday"}


def test_facts_are_told_as_they_stand_in_the_table() -> None:
    tables = tomllib.loads((DATASETS / NAME / "facts.toml").read_text(encoding="utf-8"))["table"]
    answers = {split: {answer for _, answer in all_turns(split)} for split in ("train", "test")}
    for table in tables:
        known = {table["answer"].format(key=key, value=value) for key, value in table["facts"].items()}
        here, there = ("test", "train") if table.get("split") == "test" else ("train", "test")
        assert known & answers[here] and not known & answers[there]
