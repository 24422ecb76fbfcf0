"""Rows as people have them: read alike from three formats, every error with its row and column."""

import json
from pathlib import Path

import pytest

from core.errors import UserError
from core.settings import settings
from core.training import datasets

ROWS = [
    {"input": "问：一,二", "output": "答\n“好”"},
    {"input": "two", "output": "NA"},
    {"input": " 3 ", "output": "007"},
]


def jsonl(rows: list[object]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def csv(rows: list[dict[str, str]]) -> bytes:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = ["output,input,other", *(f"{quoted(r['output'])},{quoted(r['input'])},x" for r in rows)]
    return "\n".join(lines).encode()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", json.dumps(ROWS).encode()),
        ("a.JSON", json.dumps([{**row, "extra": 1} for row in ROWS]).encode()),
        ("a.jsonl", jsonl(ROWS) + b"\n\n"),
        ("a.csv", csv(ROWS)),
        ("a.jsonl", b"\xef\xbb\xbf" + jsonl(ROWS)),
        ("a.csv", b"\xef\xbb\xbf" + csv(ROWS)),
        ("a.jsonl", jsonl(ROWS).replace(b"\n", b"\r\n")),
    ],
)
def test_three_formats_hold_the_same_rows(name: str, data: bytes) -> None:
    assert datasets.parse(name, data) == ROWS


def test_line_separators_inside_a_text_do_not_end_a_row() -> None:
    """JSON lets U+2028 and U+0085 stand as they are; only a newline ends a line of JSONL."""
    rows = [{"input": "one\u2028two\u0085three", "output": "x"}]
    assert datasets.parse("a.jsonl", jsonl(rows)) == rows


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.jsonl", jsonl([ROWS[0], {"input": "x"}]), "a.jsonl, row 2: the column “output” is missing."),
        ("a.jsonl", jsonl([ROWS[0], {"input": "  ", "output": "y"}]), "a.jsonl, row 2: the column “input” is empty."),
        ("a.json", json.dumps([{"input": 3, "output": "y"}]).encode(), "row 1: the column “input” is int, not text."),
        ("a.json", json.dumps([{"input": "x", "output": ["y"]}]).encode(), "column “output” is list, not text."),
        ("a.json", json.dumps([ROWS[0], None]).encode(), "a.json, row 2: not an object."),
        ("a.csv", b"input,output\nx,y\nz,\n", "a.csv, row 2: the column “output” is empty."),
        ("a.csv", b"input,output\nx,y\nz\n", "a.csv, row 2: the column “output” is empty."),
        ("a.csv", b"input,answer\nx,y\n", "a.csv, row 1: the column “output” is missing."),
        ("a.jsonl", b'{"input": "x", "output": "y"}\n\n{"input"\n', "Row 2 is not JSON"),
        ("a.jsonl", b'\n{"input": "x"}\n', "a.jsonl, row 1: the column “output” is missing."),
        ("a.json", b"[{]", "not JSON"),
        ("a.json", b'{"rows": []}', "must hold a list"),
        ("a.json", b"[]", "a.json has no rows."),
        ("a.jsonl", b"\n", "a.jsonl has no rows."),
        ("a.csv", b"", "not CSV"),
        ("a.csv", b'input,output\n"x,y\n', "not CSV"),
        ("a.csv", b"input,output\n", "a.csv has no rows."),
        ("a.txt", b"x", "a.txt is not a format read here. Formats: .json, .jsonl, .csv"),
        ("a.csv", "输入,输出".encode("gbk"), "a.csv is not UTF-8 text (byte 0)."),
    ],
)
def test_an_error_names_the_place(name: str, data: bytes, words: str) -> None:
    with pytest.raises(UserError) as caught:
        datasets.parse(name, data)
    assert words in str(caught.value)


def test_too_many_rows_are_refused_with_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUAN_MAX_UPLOAD_ROWS", "2")
    settings.cache_clear()
    assert len(datasets.parse("a.json", json.dumps(ROWS[:2]).encode())) == 2
    with pytest.raises(UserError, match="has 3 rows; at most 2 are read"):
        datasets.parse("a.json", json.dumps(ROWS).encode())


@pytest.mark.parametrize("count", [2, 5, 40, 3000])
def test_no_input_is_on_both_sides_of_a_split(count: int) -> None:
    rows = [{"input": f" question {i % count}" + " " * (i % 3), "output": str(i)} for i in range(3 * count)]
    train, test = datasets.split(rows)
    assert sorted(map(str, train + test)) == sorted(map(str, rows))
    assert {r["input"].strip() for r in train}.isdisjoint(r["input"].strip() for r in test)
    assert len({r["input"].strip() for r in test}) == max(1, min(200, count // 10))


def test_a_split_repeats_with_its_seed_and_changes_with_another() -> None:
    rows = [{"input": str(i), "output": "x"} for i in range(100)]
    assert datasets.split(rows, 1) == datasets.split(rows, 1) != datasets.split(rows, 2)


def test_one_input_alone_cannot_be_split() -> None:
    with pytest.raises(UserError, match="two different inputs"):
        datasets.split([{"input": "x", "output": "1"}, {"input": "x ", "output": "2"}])


def test_an_upload_is_kept_listed_and_loaded_again() -> None:
    rows = [{"input": f"问 {i}\u2028", "output": "答"} for i in range(20)]
    name = datasets.add("我的 data.csv", rows)
    assert datasets.listing()[name] == "我的 data.csv (20)"
    loaded = datasets.load(name)
    assert (loaded.train, loaded.test) == datasets.split(rows)
    assert loaded.name == name


def test_shipped_data_sets_come_first_in_the_list() -> None:
    datasets.add("mine", [{"input": str(i), "output": "x"} for i in range(2)])
    assert next(iter(datasets.listing())) == "resume-extraction"
    assert len(datasets.load("resume-extraction").train) == 480


def test_a_file_by_its_path_is_checked_and_split(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    path.write_bytes(jsonl([{"input": str(i), "output": "x"} for i in range(10)]))
    loaded = datasets.load(str(path))
    assert (loaded.name, len(loaded.train), len(loaded.test)) == ("mine", 9, 1)


@pytest.mark.parametrize("name", ["nowhere", "", "..", "../uploads", "."])
def test_an_unknown_data_set_names_the_known_ones(name: str) -> None:
    with pytest.raises(UserError, match=r"no data set or file.*resume-extraction"):
        datasets.load(name)


def test_half_a_character_is_named_not_a_crash() -> None:
    data = b'{"input": "a", "output": "\\ud800"}\n'
    with pytest.raises(UserError, match="row 1: the column “output” holds half a character"):
        datasets.parse("rows.jsonl", data)


def test_absurdly_deep_json_is_not_a_crash() -> None:
    with pytest.raises(UserError, match="not JSON"):
        datasets.parse("rows.json", b"[" * 200_000)
