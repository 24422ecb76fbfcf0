"""Twelve data sets, each broken in its own way, and what the report on each must name: row, field, reason."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

Found = tuple[int, str, str]


def jsonl(rows: Iterable[Any]) -> bytes:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows).encode("utf-8", "surrogatepass")


def pairs(count: int = 4) -> list[dict[str, Any]]:
    return [{"input": f"What is number {n}?", "output": f"The number {n}."} for n in range(count)]


def with_row(row: Any, at: int = 2) -> bytes:
    rows: list[Any] = pairs()
    rows.insert(at - 1, row)
    return jsonl(rows)


def turn(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


BROKEN: dict[str, tuple[bytes, list[Found]]] = {
    "missing.jsonl": (with_row({"input": "What is it?"}), [(2, "output", "missing")]),
    "empty.csv": (b"question,answer\nWhat?,That.\nWho?,She.\nWhere?, \n", [(3, "answer", "empty")]),
    "type.json": (
        json.dumps([*pairs(2), {"input": ["a"], "output": 7}]).encode(),
        [(3, "input", "wrong_type"), (3, "output", "wrong_type")],
    ),
    "bytes.jsonl": (
        jsonl([{"input": f"问题{n}是什么？", "output": "这是一个很长的回答。"} for n in range(4)])[:-6] + b'\xff"}\n',
        [(4, "output", "undecodable")],
    ),
    "half.jsonl": (jsonl(pairs()) + b'{"input": "Hm?", "output": "\\ud83d"}\n', [(5, "output", "half_character")]),
    "syntax.jsonl": (jsonl(pairs()) + b'{"input": "x", "output"\n', [(5, "", "not_json")]),
    "cells.csv": (b"input,output\nWhat?,That.\nOne, two?,Three.\n", [(2, "", "cells")]),
    "object.json": (json.dumps([*pairs(), "just a text"]).encode(), [(5, "", "not_object")]),
    "roles.jsonl": (
        jsonl(
            [
                {"messages": [turn("user", "Hi."), turn("assistant", "Hello.")]},
                {"messages": [turn("user", "Hi."), turn("user", "Anybody there?")]},
                {"messages": [turn("user", "Bye."), turn("assistant", " ")]},
            ]
        ),
        [(2, "messages[1].role", "role_order"), (3, "messages[1].content", "empty")],
    ),
    "context.jsonl": (
        jsonl(
            [
                {"context": "The shop opens at nine.", "question": "When does it open?", "answer": "At nine."},
                {"context": None, "question": "When does it close?", "answer": "At five."},
            ]
        ),
        [(2, "context", "missing")],
    ),
    "table.parquet": (b"PAR1 but no more", [(0, "", "unreadable")]),
    "columns.csv": (b"a,b\n1,2\n3,4\n", [(0, "", "layout")]),
}


def write(folder: Path) -> Path:
    """The twelve files in a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    for name, (data, _) in BROKEN.items():
        (folder / name).write_bytes(data)
    return folder
