"""Every problem with its row, field and reason; what is fixed, what is left out, and what stops."""

import csv
import io
import json
import time
import tomllib
from typing import Any

import pytest

from core.errors import UserError
from core.settings import ROOT, settings
from core.training.data import problems
from core.training.data.checks import inspect, inspect_table
from core.training.data.columns import Mapping
from core.training.data.formats import Table
from core.training.data.problems import MAY, MUST
from core.training.examples import examples
from tests.helpers.broken_data import BROKEN, jsonl, pairs

LOCALES = ROOT / "assets" / "locales"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_reported_by_row_field_and_reason(name: str) -> None:
    data, expected = BROKEN[name]
    report = inspect(name, data).report
    assert [(p.row, p.field, p.reason) for p in report.must_fix] == expected
    for problem in report.problems:
        assert problem.words and "{" not in problem.words


def found(rows: list[Any], mapping: Mapping | None = None, **how: Any) -> list[tuple[int, str, str, str]]:
    return [(p.row, p.field, p.reason, p.fix) for p in inspect_table(Table(rows), mapping, **how).report.problems]


def test_a_sound_set_has_no_problems() -> None:
    assert found(pairs(50)) == []


def test_what_can_safely_be_done_is_said() -> None:
    rows = [{"input": " a question ", "output": "one"}, {"input": "another question", "output": 7}]
    assert found(rows) == [(1, "input", "spaces", "strip"), (2, "output", "wrong_type", "number to text")]


def test_duplicates_are_told_apart_from_what_only_looks_alike() -> None:
    long = "The committee meets on the first Monday of every month in the large hall beside the old library"
    rows = [
        {"input": f"{long}.", "output": "On Mondays, in the hall."},
        {"input": f"{long}.", "output": "On Mondays, in the hall."},
        {"input": f"{long}!", "output": "on mondays, in the hall"},
        {"input": f"{long}.", "output": "Nobody knows."},
        {"input": f"{long} 12.", "output": "On Mondays, in the hall."},
    ]
    assert found(rows) == [(2, "", "duplicate", "drop"), (3, "", "near_duplicate", "drop")]
    assert found(rows, near=False) == [(2, "", "duplicate", "drop")]


def test_questions_about_one_passage_and_opposite_labels_are_no_duplicates() -> None:
    passage = "The shop opens at nine and closes at five; on Sundays it stays closed." * 5
    asked = [{"context": passage, "question": q, "answer": a} for q, a in (("When open?", "Nine"), ("Sundays?", "No"))]
    assert found(asked) == []
    text = "I went there with my whole family last weekend and we all thought the food was really good"
    judged = [{"text": text, "label": "yes"}, {"text": f"{text}.", "label": "no"}] + [
        {"text": f"number {n} of a few", "label": label} for n, label in enumerate(["yes", "no"])
    ]
    assert found(judged) == []


def test_labels_must_be_known_and_frequent_enough() -> None:
    rows = [{"text": f"number {n}", "label": n % 2} for n in range(6)] + [{"text": "odd one", "label": 2}]
    assert found(rows) == [(7, "label", "rare_label", "")]
    named = Mapping("label", {"text": "text", "label": "label"}, ["bad", "good"])
    assert found(rows, named) == [(7, "label", "unknown_label", "")]


def test_too_long_rows_are_those_whose_tokens_do_not_fit(tokenizer: Any) -> None:
    rows = [{"input": "问" * n, "output": "x"} for n in range(1, 60, 3)]
    limit = 70
    lengths = [len(examples(tokenizer, row, 10**6)[0]["input_ids"]) for row in rows]
    expected = [n for n, length in enumerate(lengths, 1) if length > limit]
    assert 0 < len(expected) < len(rows)
    problems = inspect_table(Table(rows), tokenizer=tokenizer, max_length=limit).report.problems
    assert [p.row for p in problems if p.reason == "too_long"] == expected
    assert all(p.severity == MAY for p in problems)
    assert f"{lengths[-1]} tokens; {limit} fit" in problems[-1].words
    labelled = [{"text": row["input"], "label": "ab"[n % 2]} for n, row in enumerate(rows)]
    lengths = [len(tokenizer(row["text"])["input_ids"]) for row in labelled]
    problems = inspect_table(Table(labelled), tokenizer=tokenizer, max_length=limit).report.problems
    expected = [n for n, length in enumerate(lengths, 1) if length > limit]
    assert [p.row for p in problems if p.reason == "too_long"] == expected != []


def test_bad_rows_are_left_out_or_stop() -> None:
    rows: list[Any] = [*pairs(3), {"input": "x"}, {"input": 5, "output": " five "}, pairs(3)[0]]
    inspection = inspect_table(Table(rows))
    assert inspection.rows() == [*pairs(3), {"input": "5", "output": "five"}]
    assert inspection.rows(fixes=()) == [*pairs(3), pairs(3)[0]]
    with pytest.raises(UserError, match=r"Row 4, output: missing \(2 to be fixed in all\)"):
        inspection.rows(skip=())
    fixable_first = [{"input": 5, "output": "five"}, *pairs(2), {"input": "x"}]
    with pytest.raises(UserError, match="Row 4, output: missing"):
        inspect_table(Table(fixable_first)).rows(skip=())
    with pytest.raises(UserError, match="Row 1, output: missing"):
        inspect_table(Table([{"input": "x", "output": None}])).rows()
    assert inspection.rows(skip=(MUST, "wrong_type")) == [*pairs(3), {"input": "5", "output": "five"}]


def test_rows_of_any_reason_can_be_left_out() -> None:
    rows = [{"text": "one", "label": "a"}, {"text": "two", "label": "b"}, {"text": "three", "label": "b"}]
    assert inspect_table(Table(rows)).rows(skip=("rare_label",)) == rows[1:]


def test_a_file_that_cannot_be_read_is_one_clear_entry() -> None:
    inspection = inspect("a.json", b"{")
    assert [(p.row, p.field, p.reason) for p in inspection.report.problems] == [(0, "", "unreadable")]
    with pytest.raises(UserError, match=r"cannot be used: the file cannot be read: a.json is not JSON"):
        inspection.rows()
    with pytest.raises(UserError, match="columns a, b hold was not recognised"):
        inspect("a.csv", b"a,b\n1,2\n").rows()


@pytest.mark.parametrize(("name", "data"), [("a.jsonl", b"\n"), ("a.json", b"[]"), ("a.csv", b"input,output\n")])
def test_no_rows_is_a_problem_of_the_file(name: str, data: bytes) -> None:
    assert [p.reason for p in inspect(name, data).report.problems] == ["no_rows"]


def test_too_many_rows_are_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUAN_MAX_UPLOAD_ROWS", "2")
    settings.cache_clear()
    assert len(inspect("a.jsonl", jsonl(pairs(2))).rows()) == 2
    with pytest.raises(UserError, match="3 rows; at most 2 are read"):
        inspect("a.jsonl", jsonl(pairs(3))).rows()


def test_the_report_is_a_table() -> None:
    report = inspect("half.jsonl", b'{"in\\ud800put": "x", "input": "a,b", "output": "\\ud83d"}\n').report
    text = report.as_csv()
    text.encode()
    rows = list(csv.DictReader(io.StringIO(text)))
    assert [(row["row"], row["field"], row["reason"], row["severity"]) for row in rows] == [
        ("1", "output", "half_character", "must fix")
    ]
    assert report.counts == {"half_character": 1}


def test_every_reason_has_its_words_on_screen() -> None:
    words = {name: tomllib.loads((LOCALES / f"{name}.toml").read_text("utf-8"))["problems"] for name in ("en", "zh")}
    assert words["en"] == {reason: said for reason, (_, said) in problems.REASONS.items()}
    assert words["zh"].keys() == words["en"].keys()


def test_thousands_of_rows_are_a_matter_of_a_second(tokenizer: Any) -> None:
    """50,000 took six seconds; here a tenth of them, with room for a busy machine."""
    rows = [{"input": f"What is {n} and who said so in {n % 97}?", "output": f"Answer {n}."} for n in range(5_000)]
    data = "".join(json.dumps(row) + "\n" for row in rows).encode()
    began = time.process_time()
    assert inspect("a.jsonl", data, tokenizer=tokenizer, max_length=128).report.problems == []
    assert time.process_time() - began < 3
