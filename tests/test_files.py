"""Files are never half there, and no name leads out of its folder."""

import os
from pathlib import Path

import pytest

from core import files
from core.errors import UserError


def names(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def test_a_write_replaces_the_whole_file(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.json"
    files.write_json(path, {"a": 1, "名": "值"})
    files.write_json(path, {"b": 2})
    assert files.read_json(path) == {"b": 2}
    assert names(path.parent) == ["state.json"]


def test_a_write_that_fails_midway_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "state.json"
    files.write_text(path, "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(UserError, match="No space left on device"):
        files.write_text(path, "new")
    assert path.read_text("utf-8") == "old"
    assert names(tmp_path) == ["state.json"]


def test_a_place_where_no_file_can_be_is_a_persons_mistake(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept", "utf-8")
    for path in (tmp_path / "file" / "a.csv", tmp_path):
        with pytest.raises(UserError, match=r"Could not write .*Choose another place\."):
            files.write_text(path, "new")
    assert names(tmp_path) == ["file"]


def test_text_that_cannot_be_encoded_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "state.json"
    files.write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        files.write_text(path, "new \ud800")
    assert path.read_text("utf-8") == "old"
    assert names(tmp_path) == ["state.json"]


@pytest.mark.parametrize("content", [None, b"", b'{"a": ', b"\xff\xfe"])
def test_json_that_is_missing_or_broken_reads_as_the_default(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "x.json"
    if content is not None:
        path.write_bytes(content)
    assert files.read_json(path, "default") == "default"


def test_a_line_still_being_written_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    assert list(files.read_jsonl(path)) == []
    files.append_jsonl(path, {"step": 1, "text": "一\u2028二"})
    files.append_jsonl(path, {"step": 2})
    with path.open("a", encoding="utf-8") as file:
        file.write('{"step": 3')
    assert [row["step"] for row in files.read_jsonl(path)] == [1, 2]
    with path.open("ab") as binary:
        binary.write(', "text": "半'.encode()[:-1])
    assert [row["step"] for row in files.read_jsonl(path)] == [1, 2]


def test_a_row_after_a_half_written_one_is_whole(tmp_path: Path) -> None:
    """A worker killed in the middle of a line is started again and appends to the same file."""
    path = tmp_path / "answers.jsonl"
    files.append_jsonl(path, {"row": 1})
    with path.open("ab") as file:
        file.write('{"row": 2, "text": "半'.encode()[:-1])
    files.append_jsonl(path, {"row": 3})
    assert [row["row"] for row in files.read_jsonl(path)] == [1, 3]


def test_the_tail_of_a_log(tmp_path: Path) -> None:
    path = tmp_path / "log.txt"
    assert files.tail(path) == ""
    path.write_text("".join(f"line {i}\n" for i in range(100)), "utf-8")
    assert files.tail(path, 2) == "line 98\nline 99"
    path.write_text("start\n 10%\r 50%\r100%\nend\n", "utf-8")
    assert files.tail(path, 2) == "100%\nend"
    path.write_text("x" * 1000 + "\n末行\n", "utf-8")
    assert files.tail(path, 1, limit=8) == "末行"
    assert files.tail(path, 1, limit=6).endswith("行"), "a limit inside a character must not break the reading"


def test_an_id_is_a_safe_folder_name_and_sorts_by_time() -> None:
    for label in ("", "résumé extraction!", "../../etc", "简历", "x" * 200):
        name = files.new_id(label)
        assert name == Path(name).name
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
        assert len(name) < 60
    assert files.new_id("a") != files.new_id("a")


def test_inside_gives_the_folder_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "runs" / "one").mkdir(parents=True)
    assert files.inside(tmp_path / "runs", "one") == tmp_path / "runs" / "one"


@pytest.mark.parametrize(
    "name", ["", ".", "..", "../runs", "one/..", "one/two", "/etc", "file", "gone", "a\0b", "one/"]
)
def test_inside_refuses_every_other_name(tmp_path: Path, name: str) -> None:
    (tmp_path / "runs" / "one" / "two").mkdir(parents=True)
    (tmp_path / "runs" / "file").touch()
    with pytest.raises(UserError, match="There is no"):
        files.inside(tmp_path / "runs", name)
