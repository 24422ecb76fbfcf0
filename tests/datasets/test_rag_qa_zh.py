"""The Chinese question-answering set: what is on disk is what make.py makes, and what its README promises holds."""

import importlib.util
import json
import re
import sys
from collections import Counter
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

FOLDER = Path(__file__).parents[2] / "assets" / "datasets" / "rag-qa-zh"
HELD_OUT_QUESTIONS = Path(__file__).parents[3] / "shared" / "datasets" / "cmrc2018.trial.json"
RUN = 13  # characters in a row that no row may share with the questions the adapter is judged on
Row = dict[str, Any]


@pytest.fixture(scope="module")
def make() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rag_qa_zh_make", FOLDER / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, spec.name, module)
        spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def splits() -> dict[str, list[Row]]:
    texts = {name: (FOLDER / f"{name}.jsonl").read_text(encoding="utf-8") for name in ("train", "test")}
    return {name: [json.loads(line) for line in text.splitlines()] for name, text in texts.items()}


@pytest.fixture(scope="module")
def rows(splits: dict[str, list[Row]]) -> list[Row]:
    return splits["train"] + splits["test"]


def test_the_files_are_what_the_script_makes(make: ModuleType, splits: dict[str, list[Row]]) -> None:
    train, test = make.build()
    assert splits == {"train": train, "test": test}
    assert (len(train), len(test)) == (6500, 300)


def test_an_answer_is_one_span_of_the_passage_or_the_refusal(make: ModuleType, rows: list[Row]) -> None:
    for row in rows:
        if row["answerable"]:
            assert row["context"].count(row["answer"]) == 1, row
        else:
            assert row["answer"] == make.REFUSAL
        assert "{" not in row["context"] + row["question"] and "}" not in row["context"] + row["question"]


def test_about_a_tenth_cannot_be_answered(splits: dict[str, list[Row]]) -> None:
    for rows in splits.values():
        assert 0.08 < sum(not row["answerable"] for row in rows) / len(rows) < 0.13


def test_passages_fit_and_have_at_most_three_questions(rows: list[Row]) -> None:
    assert max(len(row["context"]) for row in rows) <= 400
    assert max(Counter(row["context"] for row in rows).values()) <= 3


def test_no_frame_no_passage_and_no_sentence_of_one_is_in_both_splits(
    make: ModuleType, splits: dict[str, list[Row]]
) -> None:
    frames = make.read_frames(FOLDER / "frames")
    names = {f"{frame.domain}/{frame.name}" for frame in frames}
    assert len(names) == len(frames)
    train, test = ({row["frame"] for row in splits[name]} for name in ("train", "test"))
    assert not train & test and train | test == names
    assert not {row["context"] for row in splits["train"]} & {row["context"] for row in splits["test"]}
    patterns = [
        {text for frame in frames if frame.test == held for text, _ in frame.sentences} for held in (True, False)
    ]
    assert not patterns[0] & patterns[1]


def test_the_domains_are_many(make: ModuleType) -> None:
    frames = make.read_frames(FOLDER / "frames")
    assert len(frames) >= 100
    assert len({frame.domain for frame in frames}) >= 20


def figures(rows: list[Row]) -> str:
    """The row of the README's table on these rows."""
    lengths = {
        "context": [len(row["context"]) for row in rows],
        "answer": [len(row["answer"]) for row in rows if row["answerable"]],
    }
    spread = [f"{sum(n) / len(n):.0f} ({min(n)}–{max(n)})" for n in lengths.values()]
    refused = sum(not row["answerable"] for row in rows) / len(rows)
    counts = [len(rows), len({row["context"] for row in rows}), len({row["frame"] for row in rows})]
    return " | ".join([*map(str, counts), *spread, f"{refused:.0%}"])


def test_the_readme_says_what_is_there(splits: dict[str, list[Row]]) -> None:
    readme = (FOLDER / "README.md").read_text(encoding="utf-8")
    for name, rows in splits.items():
        assert f"| {name}.jsonl | {figures(rows)} |" in readme


@pytest.mark.skipif(not HELD_OUT_QUESTIONS.exists(), reason="the questions the adapter is judged on are not here")
def test_nothing_is_taken_from_the_questions_it_is_judged_on(rows: list[Row]) -> None:
    def runs(text: str) -> set[str]:
        return {text[i : i + RUN] for i in range(len(text) - RUN + 1)}

    judged: set[str] = set()
    for article in json.loads(HELD_OUT_QUESTIONS.read_text(encoding="utf-8"))["data"]:
        for paragraph in article["paragraphs"]:
            judged |= runs(paragraph["context"])
            for question in paragraph["qas"]:
                judged |= runs(question["question"])
    common = {run for key in ("context", "question", "answer") for row in rows for run in runs(row[key]) & judged}
    assert not {
        run for run in common if len(re.sub(r"[\d年月日至—，。（）]", "", run)) > 5
    }  # a date is nobody's sentence
