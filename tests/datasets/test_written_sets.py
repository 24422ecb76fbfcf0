"""What holds for each of the small data sets written for the recipes: made by its script, split, small, described."""

import json

import pytest

from core.training.data import checks
from tests.helpers.written_sets import DATASETS, load_make, read

SETS = {  # rows of train and test, and the columns
    "chat-text": (300, 40, ["text"]),
    "dialogue-summary": (400, 80, ["dialogue", "summary"]),
    "dialogue-summary-zh": (200, 40, ["dialogue", "summary"]),
    "rag-qa-en": (800, 120, ["context", "question", "answer", "answerable"]),
    "odd-numbers": (60, 40, ["input", "output"]),
    "sentiment-en": (600, 150, ["text", "label"]),
    "sentiment-zh": (600, 150, ["text", "label"]),
}
each_set = pytest.mark.parametrize("name", SETS)


@each_set
def test_the_files_are_what_the_script_makes(name: str) -> None:
    for split, rows in zip(("train", "test"), load_make(name).build(), strict=True):
        text = (DATASETS / name / f"{split}.jsonl").read_text(encoding="utf-8")
        assert text == "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


@each_set
def test_the_seed_is_the_only_source_of_chance(name: str) -> None:
    make = load_make(name)
    assert make.build(seed=7, train=30, test=10) == load_make(name).build(seed=7, train=30, test=10)
    assert make.build(seed=7, train=30, test=10) != make.build(seed=8, train=30, test=10)


@each_set
def test_sizes_and_columns(name: str) -> None:
    *sizes, columns = SETS[name]
    assert [len(read(name, split)) for split in ("train", "test")] == sizes
    for row in read(name, "train") + read(name, "test"):
        assert list(row) == columns
        for value in row.values():
            assert isinstance(value, bool) or (value and value == value.strip()), row
            assert not set("{}") & set(str(value)), row


@each_set
def test_no_row_comes_twice(name: str) -> None:
    rows = [json.dumps(row) for row in read(name, "train") + read(name, "test")]
    assert len(set(rows)) == len(rows)


@each_set
def test_it_is_small_and_described_in_both_languages(name: str) -> None:
    folder = DATASETS / name
    assert sum(path.stat().st_size for path in folder.iterdir() if path.is_file()) < 500_000
    about = (folder / "README.md").read_text(encoding="utf-8")
    assert "Apache-2.0" in about and "## 中文" in about and "python make.py" in about


@each_set
def test_the_reader_knows_its_layout_and_finds_nothing_wrong(name: str) -> None:
    layouts = {"input": "pair", "text": "label" if "label" in SETS[name][2] else "text"}
    first, *_ = SETS[name][2]
    for split in ("train", "test"):
        found = checks.inspect(f"{split}.jsonl", (DATASETS / name / f"{split}.jsonl").read_bytes(), near=False)
        assert found.mapping is not None and found.mapping.layout == layouts.get(first, first)
        assert not found.report.problems, found.report.counts
