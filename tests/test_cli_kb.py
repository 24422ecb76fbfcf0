"""``python -m core kb``: documents come and go by commands, and each file that cannot be read gets its line."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from core import cli, jobs
from core.errors import UserError
from core.evaluation import sweep_worker
from core.models.cards import ModelCard
from core.rag import knowledge
from tests.helpers.isolation import add_card


@pytest.fixture(autouse=True)
def embedder(tiny_embedder: ModelCard) -> ModelCard:
    return tiny_embedder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "a.md").write_text("A llama carries loads.", "utf-8")
    (made / "cut.pdf").write_bytes(b"%PDF-1.4 cut off")
    (made / "empty.docx").write_bytes(b"")
    (made / "program.exe").write_bytes(b"MZ\x00\x01")
    return made


def run(*words: str) -> Result:
    return CliRunner().invoke(cli.app, ["kb", *words])


def answer(*words: str) -> Any:
    done = run(*words, "--json")
    assert done.exit_code == 0, done.output
    return json.loads(done.stdout)


@pytest.mark.parametrize("command", ["build", "add"])
def test_an_empty_path_is_not_the_folder_one_stands_in(command: str) -> None:
    with pytest.raises(UserError, match="path is empty"):
        CliRunner().invoke(cli.app, ["kb", command, "x", ""], catch_exceptions=False)


def test_a_folder_with_broken_files_is_indexed_with_a_line_for_each(folder: Path) -> None:
    report = answer("build", "库", str(folder))
    assert (report["documents"], report["chunks"], report["added"]) == (1, 1, ["a.md"])
    assert {error["name"] for error in report["rejected"]} == {"cut.pdf", "empty.docx", "program.exe"}
    for error in report["rejected"]:
        assert error["name"] in error["message"] and error["hint"] and "{" not in error["message"] + error["hint"]
    done = run("build", "库", str(folder))
    assert done.stdout == "库: 1 document, 1 chunk (1 unchanged, 3 left out)\n"
    assert len([line for line in done.stderr.splitlines() if line.startswith("left out: ")]) == 3
    rows = {row["name"]: row["status"] for row in answer("documents", "库")["documents"]}
    assert rows == {"a.md": "ready", "cut.pdf": "rejected", "empty.docx": "rejected", "program.exe": "rejected"}
    assert "Traceback" not in done.output


def test_nothing_but_broken_files_is_an_error_with_a_line_for_each(folder: Path) -> None:
    (folder / "a.md").unlink()
    done = run("build", "kb", str(folder), "--json")
    assert isinstance(done.exception, UserError)
    assert len(json.loads(done.stdout)["rejected"]) == 3
    assert "kb" not in {row["name"] for row in answer("list")["knowledge_bases"]}


def test_the_embedding_model_is_chosen(folder: Path, tiny_embedder_dir: Path) -> None:
    add_card("other-embedder", "embed", tiny_embedder_dir)
    assert answer("build", "kb", str(folder), "--embedder", "other-embedder")["embedder"] == "other-embedder"
    refused = run("add", "kb", str(folder), "--embedder", "tiny-embedder")
    assert "cannot be compared" in str(refused.exception)
    assert answer("rebuild", "kb", "--embedder", "tiny-embedder")["embedder"] == "tiny-embedder"


def test_documents_are_added_deleted_and_cut_anew(folder: Path, tmp_path: Path) -> None:
    answer("build", "kb", str(folder))
    (tmp_path / "b.txt").write_text(" ".join(f"Sentence number {i} is here." for i in range(80)), "utf-8")
    added = answer("add", "kb", str(tmp_path / "b.txt"))
    assert (added["documents"], added["added"]) == (2, ["b.txt"])
    smaller = answer("rebuild", "kb", "--size", "60")
    assert smaller["chunks"] > added["chunks"]
    (tmp_path / "new edition.txt").write_text("A llama carries two loads.", "utf-8")
    assert answer("replace", "kb", "a.md", str(tmp_path / "new edition.txt"))["added"] == ["a.md"]
    assert "A llama carries two loads." in {row.text for row in knowledge.rows("kb")}
    assert answer("reindex", "kb", "a.md")["added"] == ["a.md"]
    assert run("delete", "kb", "a.md").exit_code == 0
    assert {row.source for row in knowledge.rows("kb")} == {"b.txt"}
    assert "no document “a.md”" in str(run("delete", "kb", "a.md").exception)
    assert run("remove", "kb").exit_code == 0
    assert "no knowledge base “kb”" in str(run("documents", "kb").exception)


def test_questions_are_made_evaluated_and_swept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for animal in ("llama", "owl"):
        text = " ".join(f"Note {i} on the {animal} says that it was seen by the river in week {i}." for i in range(8))
        (tmp_path / f"{animal}.md").write_text(text, "utf-8")
    answer("build", "kb", str(tmp_path / "llama.md"), str(tmp_path / "owl.md"))
    qa = tmp_path / "qa.jsonl"
    made = answer("questions", "kb", str(qa), "--count", "2", "--without-model")
    assert made == {
        "kb": "kb", "out": str(qa), "generator": None, "n": 2, "model": 0, "words": 2, "refused": {},
    }  # fmt: skip
    rows = [json.loads(line) for line in qa.read_text("utf-8").splitlines()]
    assert {row["source"] for row in rows} == {"llama.md", "owl.md"}
    for row in rows:
        assert knowledge.document_text("kb", row["source"])[row["start"] : row["end"]].startswith("Note")
    assert answer("eval", "kb", str(qa))["n"] == 2

    monkeypatch.setattr(jobs, "launch", lambda module, folder: sweep_worker.main(folder) or 0)
    done = answer("sweep", "kb", str(qa), "--sizes", "60,30", "--top-k", "1,2", "--wait")
    assert (done["status"], done["n"], [point["size"] for point in done["results"]]) == ("finished", 2, [30, 60])
    for point in done["results"]:
        assert {"hit@1", "hit@2", "mrr", "ndcg@10"} <= set(point["stages"]["rerank"])
        assert set(point["tokens"]) == {"1", "2"}
    shown = run("sweep", "kb", str(qa), "--sizes", "60", "--wait").stdout
    assert "tokens@3" in shown and "mrr" in shown
    assert "no list of numbers" in str(run("sweep", "kb", str(qa), "--sizes", "60;30").exception)
    assert {row["name"] for row in answer("list")["knowledge_bases"] if not row["shipped"]} == {"kb"}
