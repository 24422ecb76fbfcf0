"""``python -m core data``: a line per problem, the model's view of a row, and sets that are kept."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core import cli
from core.errors import UserError
from core.models.cards import ModelCard
from core.training.data import datasets
from tests.helpers import broken_data
from tests.helpers.broken_data import jsonl, pairs


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["data", *words])


def answer(*words: str) -> Any:
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


def test_twelve_broken_sets_are_twelve_reports_naming_row_and_field(tmp_path: Path) -> None:
    folder = broken_data.write(tmp_path / "broken")
    done = run("check", str(folder), "--report", str(tmp_path / "all.csv"))
    assert done.exit_code == 2
    blocks: dict[str, list[str]] = {}
    for line in done.stdout.splitlines():
        if not line.startswith(" "):
            blocks[name := line.partition(":")[0]] = []
        else:
            blocks[name].append(line)
    assert len(blocks) == 12 and blocks.keys() == broken_data.BROKEN.keys()
    written = list(csv.DictReader((tmp_path / "all.csv").open(encoding="utf-8")))
    for name, (_, expected) in broken_data.BROKEN.items():
        must = [line for line in blocks[name] if "[must fix" in line]
        for line, (row, field, _) in zip(must, expected, strict=True):
            assert line.startswith(f"  {f'row {row}' if row else 'file'}, {field or '–'}: ")
        rows = [(int(r["row"]), r["field"], r["reason"]) for r in written if r["file"] == name]
        assert set(expected) <= set(rows)


def test_a_sound_file_passes_and_json_says_the_same(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl(pairs(5)))
    assert run("check", str(path)).exit_code == 0
    assert answer("check", str(path))["files"]["a.jsonl"] == {
        "rows": 5,
        "layout": "pair",
        "columns": {"input": "input", "output": "output"},
        "must_fix": 0,
        "problems": [],
    }


def test_many_problems_of_one_kind_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl([{"input": f"number {n}"} for n in range(70)] + pairs(1)))
    done = run("check", str(path))
    assert done.exit_code == 2 and done.stdout.count("output: missing") == 50
    assert "… and 20 more: missing" in done.stdout


def test_columns_are_named_and_the_set_is_kept_and_removed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    lines = [f"What is {n}?,This is {n}.\n" for n in range(20)]
    path.write_text("".join(["frage,antwort\n", *lines, "What is 3?,\n", lines[4]]), "utf-8")
    said = ("--layout", "pair", "--column", "input=frage", "--column", "output=antwort")
    with pytest.raises(UserError, match="Row 21, antwort: empty"):
        CliRunner().invoke(cli.app, ["data", "add", str(path), *said], catch_exceptions=False)
    added = answer("add", str(path), *said, "--skip", "--name", "mine", "--share", "0.25")
    assert (added["train"], added["test"], added["leaks"]) == (15, 5, 0)
    listed = {row["name"]: row for row in answer("list")["datasets"]}
    assert listed[added["dataset"]]["label"] == "mine (20)" and "resume-extraction" in listed
    assert datasets.load(added["dataset"]).kind == "chat"
    assert run("remove", added["dataset"]).exit_code == 0
    assert added["dataset"] not in {row["name"] for row in answer("list")["datasets"]}


def test_a_row_is_shown_as_the_model_reads_it(tiny_card: ModelCard, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_bytes(jsonl(pairs(12)))
    shown = answer("preview", str(path), "--model", "tiny", "--rows", "1")
    row = datasets.load(str(path)).train[0]
    assert "".join(p["text"] for p in shown["rows"][0] if p["learned"]) == row["output"] + "<|im_end|>"
    assert shown["plan"]["epoch_steps"] == 3 and sum(shown["lengths"]["counts"]) == 11
    done = run("preview", str(path), "--model", "tiny")
    assert done.exit_code == 0 and "»«<|im_end|>»" in done.stdout and "an epoch: " in done.stdout


def test_files_of_one_name_are_told_by_their_folder_and_each_one_counts(tmp_path: Path) -> None:
    for folder, text in (("a", '{"input": "", "output": "x"}\n'), ("b", jsonl(pairs(5)).decode())):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "train.jsonl").write_text(text, "utf-8")
    done = run("check", str(tmp_path / "a"), str(tmp_path / "b" / "train.jsonl"), "--json")
    assert done.exit_code == 2  # the broken one is not hidden behind the sound one
    assert {name: one["rows"] for name, one in json.loads(done.stdout)["files"].items()} == {
        "train.jsonl": 1,
        str(tmp_path / "b" / "train.jsonl"): 5,
    }


@pytest.mark.parametrize("source", ["", "folder", "sentiment-en"])
def test_nothing_checked_is_not_everything_sound(source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder" / "x.jsonl").mkdir(parents=True)
    with pytest.raises(UserError, match=r"no data files|no data set|already"):
        CliRunner().invoke(cli.app, ["data", "check", source], catch_exceptions=False)


def test_a_folders_sides_are_of_one_kind_and_a_refusal_names_the_side(tmp_path: Path) -> None:
    (tmp_path / "train.jsonl").write_bytes(jsonl(pairs(5)))
    (tmp_path / "test.jsonl").write_bytes(jsonl([{"text": "good", "label": "a"}, {"text": "bad", "label": "b"}]))
    with pytest.raises(UserError, match="train rows are of the kind chat, the test rows of the kind label"):
        datasets.load(str(tmp_path))
    (tmp_path / "test.jsonl").write_text("", "utf-8")
    with pytest.raises(UserError, match=r"split “test”: .*no rows"):
        datasets.load(str(tmp_path))
