"""Rows as people have them: read alike from every format and encoding; a bad row costs itself, not the file."""

import io
import json
from typing import Any

import pytest

from core.errors import UserError
from core.training.data.formats import Broken, read

ROWS = [
    {"input": "问：一,二", "output": "答\n“好”"},
    {"input": "two", "output": "NA"},
    {"input": " 3 ", "output": "007"},
]


def jsonl(rows: list[Any]) -> bytes:
    return "\n".join(json.dumps(row, ensure_ascii=False) for row in rows).encode()


def csv(rows: list[dict[str, str]]) -> bytes:
    def quoted(text: str) -> str:
        return '"' + text.replace('"', '""') + '"'

    lines = ["output,input", *(f"{quoted(r['output'])},{quoted(r['input'])}" for r in rows)]
    return "\n".join(lines).encode()


def parquet(rows: list[dict[str, Any]], metadata: dict[str, Any] | None = None) -> bytes:
    import pyarrow
    import pyarrow.parquet

    table = pyarrow.Table.from_pylist(rows)
    if metadata:
        table = table.replace_schema_metadata({"huggingface": json.dumps(metadata)})
    out = io.BytesIO()
    pyarrow.parquet.write_table(table, out)
    return out.getvalue()


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("a.json", json.dumps(ROWS).encode()),
        ("a.JSON", json.dumps({"version": 1, "data": ROWS}).encode()),
        ("a.jsonl", jsonl(ROWS) + b"\n\n"),
        ("a.csv", csv(ROWS)),
        ("a.csv", csv(ROWS) + b"\n\n"),
        ("a.parquet", parquet(ROWS)),
        ("a.jsonl", b"\xef\xbb\xbf" + jsonl(ROWS)),
        ("a.csv", b"\xef\xbb\xbf" + csv(ROWS)),
        ("a.csv", csv(ROWS).decode().encode("gb18030")),
        ("a.jsonl", jsonl(ROWS).decode().encode("gb18030")),
        ("a.csv", csv(ROWS).decode().encode("utf-16")),
        ("a.jsonl", jsonl(ROWS).replace(b"\n", b"\r\n")),
    ],
)
def test_every_format_and_encoding_holds_the_same_rows(name: str, data: bytes) -> None:
    table = read(name, data)
    assert table.rows == ROWS
    assert set(table.columns) == {"input", "output"}


def test_line_separators_inside_a_text_do_not_end_a_row() -> None:
    """JSON lets U+2028 and U+0085 stand as they are; only a newline ends a line of JSONL."""
    rows = [{"input": "one\u2028two\u0085three", "output": "x"}]
    assert read("a.jsonl", jsonl(rows)).rows == rows


def test_a_bad_line_is_marked_at_its_place() -> None:
    table = read("a.jsonl", jsonl(ROWS[:1]) + b'\n\n{"input"\n' + jsonl(ROWS[1:2]))
    assert isinstance(table.rows[1], Broken) and table.rows[1].reason == "not_json"
    assert [table.rows[0], table.rows[2]] == ROWS[:2]
    cells = read("a.csv", b"input,output\na,b,c\nd,e\nf\n").rows
    assert cells == [Broken("cells", "3 > 2"), {"input": "d", "output": "e"}, {"input": "f"}]
    assert isinstance(read("a.csv", b'input,output\nx,y\n"z,w\n').rows[-1], Broken)


def test_squads_articles_are_a_row_per_question() -> None:
    asked = [{"question": f"q{n}", "answers": [{"text": f"a{n}", "answer_start": n}]} for n in range(3)]
    articles = [
        {"title": "t", "paragraphs": [{"context": "c1", "qas": asked[:2]}, {"context": "c2", "qas": asked[2:]}]}
    ]
    table = read("a.json", json.dumps({"version": "1", "data": articles}).encode())
    assert table.rows == [{"context": c, **qa} for c, qa in zip(("c1", "c1", "c2"), asked, strict=True)]
    broken = read("a.json", json.dumps([{"paragraphs": [7, {"context": "c"}, {"context": "c", "qas": [8]}]}]).encode())
    assert broken.rows == [7, {"context": "c"}, 8]


def test_bad_bytes_spoil_their_row_only() -> None:
    data = "".join(f'{{"input": "第{n}个问题", "output": "第{n}个回答"}}\n' for n in range(20)).encode()
    table = read("a.jsonl", data.replace("第7个回答".encode(), b"\xff\xfe\xff"))
    assert [n for n, row in enumerate(table.rows) if "\ufffd" in row["output"]] == [7]


def test_parquet_names_the_classes_of_its_numbers() -> None:
    about = {"info": {"features": {"label": {"names": ["bad", "good"], "_type": "ClassLabel"}, "text": {}}}}
    table = read("a.parquet", parquet([{"text": "x", "label": 1}], about))
    assert table.names == {"label": ["bad", "good"]}


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("a.json", b"[{]", "a.json is not JSON"),
        ("a.json", b'{"rows": 1}', "must hold a list"),
        ("a.json", b"[" * 200_000, "not JSON"),
        ("a.csv", b"", "a.csv has no column names"),
        ("a.txt", b"x", "a.txt is not a format read here. Formats: .json, .jsonl, .csv, .parquet"),
        ("a.csv", bytes(range(128, 256)) * 4, "in no encoding read here"),
        ("a.parquet", b"PAR1", "a.parquet is not Parquet"),
    ],
)
def test_a_file_without_any_row_is_refused_in_words(name: str, data: bytes, words: str) -> None:
    with pytest.raises(UserError) as caught:
        read(name, data)
    assert words in str(caught.value)
