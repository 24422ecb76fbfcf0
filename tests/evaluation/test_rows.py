"""Rows of an experiment one by one, galleries of those that were hurt or helped, and answers marked word by word."""

import html
import random
import re
from html.parser import HTMLParser
from time import perf_counter
from typing import Any

import numpy as np
import pytest

from core.evaluation import grid, rows
from core.evaluation.differences import ADDED, MISSING, SAME, compare, marked, nearest, pieces
from core.evaluation.results import results
from core.evaluation.scoring import metrics
from tests.helpers.experiments import EVIL, RIGHT, made, square


@pytest.fixture(scope="module")
def experiment() -> dict[str, Any]:
    return made(square(), RIGHT)


def test_counts_are_those_of_the_contrasts_whatever_the_metric(experiment: dict[str, Any]) -> None:
    chance = random.Random(0)
    for row in experiment["answers"]:
        for answer in row["answers"].values():
            answer["scores"]["latency"] = 2 + chance.choice([-1, -0.04, 0, 0.04, 1])
            answer["parts"]["latency"] = (answer["scores"]["latency"],)
    report = results(experiment)
    for one in report["contrasts"]:
        found = rows.table(experiment, one["metric"], one["a"], one["b"])
        assert rows.counts(found) == {effect: one[effect] for effect in rows.EFFECTS}, one
        assert found["delta"].mean() == pytest.approx(one["delta"]) or one["metric"] == "speed"


def test_rows_that_gained_most_come_first_and_less_is_a_gain_where_lower_is_better(experiment: dict[str, Any]) -> None:
    found = rows.table(experiment, "exact", "base", "base+kb")
    assert list(found.columns) == [*rows.COLUMNS, "base", "base+kb", "run-a", "run-a+kb"]
    assert list(found["row"]) == [*range(2, 13), *range(13, 25), 1]
    assert (found["effect"].iloc[0], found["delta"].iloc[0], found["effect"].iloc[-1]) == ("helped", 1.0, "hurt")
    latency = metrics()["latency"]
    assert [rows.effect(latency, 2.0, b) for b in (1.0, 2.04, 3.0, None)] == ["helped", "unchanged", "hurt", ""]


def test_a_row_without_an_answer_is_left_out_and_one_without_a_score_comes_last() -> None:
    half = made(square()[:2], {"base": {1}, "base+kb": {0, 2}}, 3)
    del half["answers"][0]["answers"]["base+kb"], half["answers"][1]["answers"]["base"]["scores"]["exact"]
    found = rows.table(half, "exact", "base", "base+kb")
    assert list(found["row"]) == [3, 2] and np.isnan(found["delta"].iloc[1])
    assert list(found["effect"]) == ["helped", ""]
    assert len(rows.table({**half, "answers": []}, "exact", "base", "base+kb")) == 0


def test_rows_are_found_by_effect_and_by_words_of_question_reference_or_answer(experiment: dict[str, Any]) -> None:
    found = rows.table(experiment, "exact", "base", "run-a+kb")

    def numbers(**how: str) -> list[int]:
        return list(rows.select(found, experiment, **how)["row"])

    assert numbers() == list(found["row"]) and numbers(wanted="hurt") == []
    assert numbers(wanted="unchanged") == [1, 23, 24]
    assert numbers(words="QUESTION 7") == [8, 18], "every word counts, case does not"
    assert numbers(wanted="unchanged", words="answer 22 row") == [23]
    against = rows.table(experiment, "exact", "run-a+kb", "base")
    assert list(rows.select(against, experiment, "hurt")["row"])[:2] == [22, 21]
    assert list(rows.select(against, experiment, "hurt").index) == list(range(21))


def test_galleries_hold_the_rows_that_one_factor_alone_moved(experiment: dict[str, Any]) -> None:
    arms = experiment["arms"]
    assert rows.switched_on(arms, "rag") == [("base", "base+kb"), ("run-a", "run-a+kb")]
    assert rows.switched_on(results(experiment)["arms"], "adapter") == [("base", "run-a"), ("base+kb", "run-a+kb")]
    assert rows.switched_on(arms, "strategy") == []
    cases = rows.gallery(experiment, "exact", "rag")
    assert [(case.row, case.a, case.b, case.gain) for case in cases] == [(0, "base", "base+kb", -1.0)]
    helped = rows.gallery(experiment, "exact", "rag", rows.HELPED)
    assert len(helped) == 11 + 13 and {case.gain for case in helped} == {1.0}
    told = [{**arms[0], "strategy": strategy} for strategy in ("zero-shot", "cot", "few-shot")]
    assert rows.switched_on(told, "strategy") == [("base", "base+cot"), ("base", "base+few-shot")]


def test_a_thousand_rows_of_eight_arms_are_a_table_at_once() -> None:
    arms = [{**arm, "strategy": strategy} for strategy in ("zero-shot", "cot") for arm in square()]
    names = [grid.name(arm) for arm in arms]
    one = made(arms, {name: {0} for name in names}, 2)
    many = {**one, "answers": [one["answers"][number % 2] for number in range(1000)]}

    def taken() -> float:
        began = perf_counter()
        rows.select(rows.table(many, "rougeL", names[0], names[-1]), many, words="answer")
        return perf_counter() - began

    assert min(taken() for _ in range(3)) < 0.1


@pytest.mark.parametrize(
    "text", ["", "  ", "The cat's  1,000.5 hats\n", "北京（Beijing）是 首都。\n\n人口2000万_x・カタカナ々", EVIL]
)
def test_pieces_joined_are_the_text(text: str) -> None:
    assert "".join(pieces(text)) == text


def test_words_missing_and_added_are_told_apart() -> None:
    assert compare("The cat sat on the mat.", "the cat  slept on\nthe mat") == [
        (SAME, "the cat  "),
        (MISSING, "sat "),
        (ADDED, "slept "),
        (SAME, "on\nthe mat"),
        (MISSING, "."),
    ]
    told = compare("北京是中国的首都。", "上海是中国的城市。")
    assert [text for kind, text in told if kind == SAME] == ["是中国的"]
    assert (MISSING, "北京") in told and (ADDED, "上海") in told
    assert compare("by the river Tay", "under the bridge") == [
        (MISSING, "by the river Tay"),
        (ADDED, "under the bridge"),
    ]
    assert compare("１９５２Ａ", "1952a") == [(SAME, "1952a")], "width and case do not count"
    assert compare("x", "") == [(MISSING, "x")] and compare("", "") == []


@pytest.mark.parametrize("seed", range(5))
def test_what_is_not_missing_is_the_answer_and_what_was_not_added_the_reference(seed: int) -> None:
    chance = random.Random(seed)
    reference, answer = (" ".join(chance.choices(["狐狸", "fox", "跑", "1", ",", "is"], k=30)) for _ in range(2))
    parts = compare(reference, answer)
    assert "".join(text for kind, text in parts if kind != MISSING) == answer
    kept = "".join(text for kind, text in parts if kind != ADDED)
    assert kept.replace(" ", "") == reference.replace(" ", ""), "but for blanks"


def test_marks_carry_a_sign_and_nothing_of_the_text_is_live() -> None:
    body = marked(compare(f"plum {EVIL}", f"pear {EVIL}<b>"))
    assert body.startswith("<del><b>−</b>plum</del> <ins><b>+</b>pear</ins> ")
    seen: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: Any) -> None:
            seen.append(tag)

    Tags().feed(body)
    assert set(seen) == {"del", "ins", "b"} and len(seen) == 6
    assert html.unescape(re.sub(r"<del>.*?</del>\s?|</?ins>|<b>\+</b>", "", body)) == f"pear {EVIL}<b>"


def test_of_several_references_the_nearest_is_shown() -> None:
    assert nearest(["in Paris", "the city of Lyon"], "the city of Paris") == "the city of Lyon"
    assert nearest(["a b", "b c"], "b") == "a b"
