"""Layouts: recognised by their columns, mapped by hand, and what becomes of a row of each."""

from typing import Any

import pytest

from core.errors import UserError
from core.evaluation.metrics import Output, expected, registry
from core.generation.prompts import with_context
from core.training.data import columns
from core.training.data.checks import build, inspect_table
from core.training.data.columns import Mapping, guess, make
from core.training.data.formats import Table

USER, ASSISTANT = {"role": "user", "content": "Hi."}, {"role": "assistant", "content": "Hello."}
MORE = [USER, ASSISTANT, {"role": "user", "content": "And now?"}, {"role": "assistant", "content": "Bye."}]
SHAREGPT = [
    {"from": "human", "value": "Hi."},
    {"from": "gpt", "value": "Hello."},
    {"from": "human", "value": "And now?"},
    {"from": "gpt", "value": "Bye."},
]
PAIR = {"input": "Hi.", "output": "Hello."}
TALK = {"messages": MORE, "input": "And now?", "output": "Bye."}
ASKED = {"context": "书在桌上。", "question": "书在哪里？", "answer": "桌上"}
PROMPT = with_context("书在哪里？", ["书在桌上。"])


@pytest.mark.parametrize(
    ("row", "layout", "expected"),
    [
        (PAIR, "pair", PAIR),
        ({"prompt": "Hi.", "completion": "Hello.", "id": 3}, "pair", PAIR),
        ({"问题": "Hi.", "答案": "Hello."}, "pair", PAIR),
        ({"Question": "Hi.", "Answer": "Hello."}, "pair", PAIR),
        ({"instruction": "Hi.", "input": "", "output": "Hello."}, "alpaca", PAIR),
        (
            {"instruction": "Translate.", "input": "Hi.", "output": "Hello."},
            "alpaca",
            PAIR | {"input": "Translate.\nHi."},
        ),
        (
            {"instruction": "And now?", "output": "Bye.", "history": [["Hi.", "Hello."]]},
            "alpaca",
            TALK,
        ),
        (
            {"instruction": "Hi.", "output": "Hello.", "system": "Be kind."},
            "alpaca",
            {"messages": [{"role": "system", "content": "Be kind."}, USER, ASSISTANT], **PAIR},
        ),
        ({"messages": [USER, ASSISTANT]}, "messages", PAIR),
        ({"messages": MORE}, "messages", TALK),
        ({"conversations": SHAREGPT}, "messages", TALK),
        (ASKED, "context", {**ASKED, "input": PROMPT, "output": "桌上"}),
        (
            {
                "id": "1",
                "title": "",
                **ASKED,
                "answers": {"text": ["桌上", "桌"], "answer_start": [2, 2]},
                "answer": None,
            },
            "context",
            None,
        ),
        ({"dialogue": "A: Hi.\nB: Bye.", "summary": "They met.", "topic": "x"}, "dialogue", None),
        ({"text": "Good.", "label": "yes"}, "label", {"text": "Good.", "label": "yes"}),
        ({"sentence": "Good.", "label": 1}, "label", {"text": "Good.", "label": "1"}),
        ({"text": "### Human: a\n### Assistant: b"}, "text", {"text": "### Human: a\n### Assistant: b"}),
        ({"anything": "One column of text."}, "text", {"text": "One column of text."}),
    ],
)
def test_a_layout_is_recognised_and_mapped(row: dict[str, Any], layout: str, expected: dict[str, Any] | None) -> None:
    mapping = guess(Table([row]))
    assert mapping and mapping.layout == layout
    if expected is not None:
        assert build(mapping, row, ()) == expected


@pytest.mark.parametrize(
    "answers", [{"text": ["one", "two"], "answer_start": [0, 1]}, [{"text": "one"}, {"text": "two"}], ["one"], "one"]
)
def test_answers_of_squad_are_their_first_and_all_of_them_are_kept(answers: Any) -> None:
    row = {"context": "c", "question": "q", "answers": answers}
    mapping = guess(Table([row]))
    assert mapping
    made = build(mapping, row, ())
    assert made["output"] == "one"
    assert made.get("references") == (None if answers in (["one"], "one") else ["one", "two"])


@pytest.mark.parametrize(
    ("row", "answerable"),
    [
        ({"answers": [], "is_impossible": True, "plausible_answers": [{"text": "no"}]}, False),
        ({"answers": {"text": [], "answer_start": []}}, False),
        ({"answer": "", "is_impossible": "True"}, False),
        ({"answers": ["never right"], "is_impossible": 1}, False),
        ({"answers": [{"text": "desk"}, {"text": "a desk"}], "is_impossible": False}, True),
        ({"answer": "desk", "answerable": True}, True),
    ],
)
def test_a_question_without_an_answer_is_one_as_in_squad_2(row: dict[str, Any], answerable: bool) -> None:
    for question, words in (("Where is it?", "The passage does not say."), ("书在哪里？", "文中没有提到。")):
        found = inspect_table(Table([{"context": "It is there.", "question": question, **row}]))
        assert not found.report.must_fix
        [made] = found.rows()
        assert made["answerable"] is answerable
        assert made["output"] == made["answer"] == ("desk" if answerable else words)
        assert made.get("references") == (
            ["desk", "a desk"] if isinstance(row.get("answers"), list) and answerable else None
        )
        wanted, refusal, invented = expected(made), Output(words), Output("On the desk.")
        scored = {name: one for name, one in registry().items() if one.applies(wanted)}
        name = "false_refusal" if answerable else "refusal"
        assert [scored[name].compute(wanted, out) for out in (refusal, invented)] == [(1.0,), (0.0,)]
        assert scored["exact"].compute(wanted, refusal) == (float(not answerable),)
        assert columns.canonical(columns.layout_of(made), made) == made


def test_an_answer_that_was_left_empty_is_a_fault_and_no_refusal() -> None:
    found = inspect_table(Table([{"context": "c", "question": "q", "answer": ""}, ASKED]))
    assert [problem.reason for problem in found.report.must_fix] == ["empty"]
    found = inspect_table(Table([{"context": "c", "question": "q", "answers": [], "is_impossible": False}]))
    assert [problem.reason for problem in found.report.must_fix] == ["empty"], "the file contradicts itself"


def test_what_a_comparison_asks_for_is_kept_and_an_input_called_source_stays_one() -> None:
    row = {"question": "Where?", "answer": "here", "references": ["there", "here", 3], "source": "a.md"}
    mapping = guess(Table([row]))
    assert mapping and mapping.columns["sources"] == "source"
    assert build(mapping, row, ()) == {"input": "Where?", "output": "here", "sources": ["a.md"]}, "3 is no text"
    row |= {"references": ["there", "here"], "answerable": True}
    mapping = guess(Table([row]))
    assert mapping
    made = build(mapping, row, ())
    assert made["references"] == ["here", "there"]
    assert made["answerable"] is True
    assert columns.canonical(columns.layout_of(made), made) == made
    translated = {"source": "Hallo.", "target": "Hello."}
    mapping = guess(Table([translated]))
    assert mapping and build(mapping, translated, ()) == {"input": "Hallo.", "output": "Hello."}


def test_a_dialogue_is_asked_for_its_summary_in_its_language() -> None:
    for dialogue, word in (("甲：你好。\n乙：再见。", "概括"), ("A: Hi.\nB: Bye.", "summarize")):
        made = columns.canonical("dialogue", {"dialogue": dialogue, "summary": "s"})
        assert dialogue in made["input"] and word in made["input"]
        assert (made["dialogue"], made["summary"], made["output"]) == (dialogue, "s", "s")


def test_labels_by_number_get_their_names() -> None:
    table = Table([{"text": "x", "label": 1}, {"text": "y", "label": "0"}], {"label": ["bad", "good"]})
    mapping = guess(table)
    assert mapping and [build(mapping, row, ())["label"] for row in table.rows] == ["good", "bad"]


@pytest.mark.parametrize("rows", [[{"a": 1, "b": 2}], [], [{"messages": "not a list"}, {"x": 1}], [3]])
def test_what_fits_nothing_is_not_guessed(rows: list[Any]) -> None:
    assert guess(Table(rows)) is None


def test_a_person_says_what_was_not_recognised_or_was_meant_otherwise() -> None:
    table = Table([{"q": "Hi.", "a": "Hello.", "text": "x"}])
    made = make(table, "pair", {"input": "q", "output": "a"})
    assert made == Mapping("pair", {"input": "q", "output": "a"})
    assert build(made, table.rows[0], ()) == PAIR
    assert make(table).layout == "text"


@pytest.mark.parametrize(
    ("layout", "chosen", "words"),
    [
        ("", {}, r"columns q, a hold was not recognised.*messages, context, dialogue, alpaca, pair, label, text"),
        ("pairs", {}, "no layout “pairs”"),
        ("pair", {"input": "q"}, r"pair needs a column for “output”.*Columns: q, a"),
        ("pair", {"input": "x", "output": "a"}, "no column “x”"),
        ("pair", {"inputs": "q"}, r"no field “inputs”.*input, output"),
    ],
)
def test_a_mapping_that_cannot_be_is_refused(layout: str, chosen: dict[str, str], words: str) -> None:
    with pytest.raises(UserError, match=words):
        make(Table([{"q": "Hi.", "a": "Hello."}]), layout, chosen)


@pytest.mark.parametrize("row", [PAIR, TALK, {**ASKED, "input": PROMPT, "output": "桌上"}, {"text": "x", "label": "y"}])
def test_a_row_that_is_kept_is_read_again_as_it_was(row: dict[str, Any]) -> None:
    assert columns.canonical(columns.layout_of(row), row) == row


def test_languages_are_those_of_a_tenth_of_the_rows() -> None:
    zh, en = {"text": "书在桌上。"}, {"text": "The book."}
    assert columns.languages([zh] * 9 + [en] * 2) == ["zh", "en"]
    assert columns.languages([en] * 30 + [zh]) == ["en"]
