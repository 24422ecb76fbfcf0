"""Sets by name, path and upload: kept, listed, read again, and asked."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from core import files
from core.errors import UserError
from core.settings import settings
from core.training.data import datasets, splitting
from core.training.data.columns import Mapping
from tests.helpers.broken_data import jsonl, pairs


def numbered(count: int) -> list[dict[str, str]]:
    return [{"input": str(n), "output": "x"} for n in range(count)]


def test_an_upload_is_kept_listed_and_loaded_again() -> None:
    rows = [{"input": f"问 {i}\u2028", "output": "答"} for i in range(20)]
    name = datasets.add("我的 data.csv", rows)
    assert datasets.listing()[name] == "我的 data.csv (20)"
    loaded = datasets.load(name)
    assert (loaded.train, loaded.test) == splitting.split(rows)
    assert loaded.name == name
    datasets.remove(name)
    assert name not in datasets.listing()


def test_no_list_shows_a_set_that_is_half_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    monkeypatch.setattr(splitting, "leaks", lambda train, test: seen.append(list(datasets.listing())) or [])
    name = datasets.add("mine", numbered(20))
    assert seen and name not in seen[0] and name in datasets.listing()


def test_what_a_kill_left_half_kept_is_deleted_a_day_later() -> None:
    old, young = (settings().uploads_dir / ".new" / name for name in ("old", "young"))
    for half in (old, young):
        half.mkdir(parents=True)
    os.utime(old, (0, 0))
    datasets.add("mine", numbered(20))
    assert young.is_dir() and not old.exists()


def test_an_upload_of_an_earlier_version_is_still_read() -> None:
    folder = settings().uploads_dir / "20260101-000000-old-0000"
    folder.mkdir(parents=True)
    (folder / "train.jsonl").write_bytes(jsonl(pairs(3)))
    (folder / "test.jsonl").write_bytes(jsonl(pairs(1)))
    files.write_json(folder / "about.json", {"label": "old", "rows": 4})
    loaded = datasets.load(folder.name)
    assert (loaded.train, loaded.test, loaded.kind, loaded.labels) == (pairs(3), pairs(1), "chat", [])
    assert datasets.listing()[folder.name] == "old (4)"


def test_shipped_data_sets_come_first_in_the_list() -> None:
    mine = datasets.add("mine", numbered(2))
    names = list(datasets.listing())
    assert names[-1] == mine and "resume-extraction" in names
    assert len(datasets.load("resume-extraction").train) == 480


def test_the_catalog_says_what_a_set_is() -> None:
    mapping = Mapping("label", {"text": "sentence", "label": "y"}, ["bad", "good"])
    rows = [{"text": f"The {n} of them.", "label": ["good", "bad"][n % 2]} for n in range(20)]
    name = datasets.add("mine", rows, mapping=mapping)
    about = next(about for about in datasets.catalog() if about["name"] == name)
    assert about == {
        "name": name,
        "label": "mine (20)",
        "kind": "label",
        "layout": "label",
        "train": 18,
        "test": 2,
        "languages": ["en"],
        "shipped": False,
    }
    assert datasets.load(name).labels == ["bad", "good"]
    assert files.read_json(settings().uploads_dir / name / "about.json")["mapping"]["columns"]["text"] == "sentence"


def test_every_shipped_set_is_sound() -> None:
    for about in datasets.catalog():
        folder = settings().datasets_dir / about["name"]
        for part in ("train", "test"):
            report = datasets.inspect(str(folder / f"{part}.jsonl"), near=False)["train"].report
            assert not report.must_fix, (about["name"], part, report.must_fix[:3])


def test_a_file_by_its_path_is_checked_and_split(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(jsonl(numbered(10)))
    loaded = datasets.load(str(path))
    assert (loaded.name, len(loaded.train), len(loaded.test)) == ("mine", 9, 1)


def test_a_folder_by_its_path_has_the_splits_that_its_files_are_named_after(tmp_path: Path) -> None:
    (tmp_path / "notes.md").write_text("# About", "utf-8")
    with pytest.raises(UserError, match="holds no data files"):
        datasets.load(str(tmp_path))
    (tmp_path / "my_train.jsonl").write_bytes(jsonl(numbered(30)))
    alone = datasets.load(str(tmp_path))
    assert len(alone.train) == 27 and len(alone.test) == 3
    (tmp_path / "my_test.jsonl").write_bytes(jsonl(numbered(5)))
    both = datasets.load(str(tmp_path))
    assert (both.train, both.test) == (numbered(30), numbered(5))
    kept = datasets.load(datasets.keep("mine", datasets.inspect(str(tmp_path), near=False)))
    assert (kept.train, kept.test) == (both.train, both.test)


def test_a_file_by_its_path_is_taken_as_it_is_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(jsonl([*numbered(4), {"input": " 5 ", "output": "y"}, {"input": "6", "output": 7}]))
    with pytest.raises(UserError, match=r"Row 6, output: number, not text \(1 to be fixed"):
        datasets.load(str(path))
    path.write_bytes(jsonl([*numbered(4), {"input": " 5 ", "output": "y"}]))
    loaded = datasets.load(str(path))
    assert {"input": " 5 ", "output": "y"} in loaded.train + loaded.test


@pytest.mark.parametrize("name", ["nowhere", "", "../uploads"])
def test_an_unknown_data_set_names_the_known_ones(name: str) -> None:
    with pytest.raises(UserError, match=r"no data set or file.*resume-extraction"):
        datasets.load(name)


@pytest.mark.parametrize("name", [".", ".."])
def test_where_one_stands_is_no_name_of_a_set(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "a" / "b")
    with pytest.raises(UserError, match="no data files"):
        datasets.load(name)


def test_a_run_keeps_its_rows_and_labels(tmp_path: Path) -> None:
    rows = [{"text": str(n), "label": "bad"} for n in range(4)]
    datasets.write(tmp_path / "data", datasets.Dataset("x", rows[:3], rows[3:], ["good", "bad"]))
    read = datasets.read(tmp_path / "data", "x")
    assert (read.train, read.test, read.labels) == (rows[:3], rows[3:], ["good", "bad"])


def questions(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return datasets.Dataset("x", rows, rows).questions()


def test_what_is_asked_of_each_kind() -> None:
    assert questions(pairs(2)) == pairs(2)
    with pytest.raises(UserError, match="x holds texts, not questions"):
        questions([{"text": "a"}])


def test_a_model_that_writes_is_told_the_classes_in_the_texts_language() -> None:
    rows = [{"text": "很好吃。", "label": "good"}, {"text": "Too salty, {text}.", "label": "bad"}]
    zh, en = questions(rows)
    asked = "文字：很好吃。\n这段文字属于哪一类：bad、good？只回答类别的名称。"
    assert zh == {**rows[0], "output": "good", "input": asked}
    assert en["input"].startswith("Text: Too salty, {text}.\nWhich class") and "bad, good?" in en["input"]
    assert datasets.Dataset("x", rows, rows[:1]).examples()[1] == en


def test_a_passage_is_asked_about_in_the_words_of_today(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    row = {"context": "The book is red.", "question": "What is red?", "answer": "The book."}
    (tmp_path / "train.jsonl").write_text(json.dumps(row | {"input": "old words", "output": "The book."}) + "\n")
    (tmp_path / "test.jsonl").write_text(json.dumps(row) + "\n")
    monkeypatch.setitem(datasets.columns.with_context.__globals__["CONTEXT_PROMPTS"], "en", "{context}|{question}")
    loaded = datasets.read(tmp_path)
    assert loaded.train[0]["input"] == loaded.test[0]["input"] == "The book is red.|What is red?"
