"""Indexing as a detached job: killed, stopped, gone on with; what comes of it is what an undisturbed one makes."""

import sqlite3
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core import jobs
from core.errors import UserError
from core.models.cards import ModelCard
from core.rag import background, bases, knowledge, vector_cache, worker
from core.settings import settings
from tests.helpers.searching import passages
from tests.helpers.waiting import eventually

WORDS = ["llama", "fox", "owl", "river", "tower", "loads", "jumps", "sees", "flows", "stands", "广州", "珠江"]


@pytest.fixture(autouse=True)
def embedder(tiny_embedder: ModelCard) -> ModelCard:
    return tiny_embedder


def write(folder: Path, files: int, parts: int, seed: int = 0) -> Path:
    """Documents of ``parts`` chunks each, of random words."""
    chance = np.random.default_rng(seed)
    folder.mkdir(parents=True, exist_ok=True)
    for number in range(files):
        texts = [" ".join(chance.choice(WORDS, 40)) for _ in range(parts)]
        lines = [f"## Part {i}\n\n{text} {number}-{i}." for i, text in enumerate(texts)]
        (folder / f"{number:03}.md").write_text("\n\n".join(lines), "utf-8")
    return folder


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's work is done in this process, at once: for what is not about the process."""

    def launch(module: str, folder: Path) -> int:
        assert module == background.WORKER
        worker.main(folder)
        return 0

    monkeypatch.setattr(jobs, "launch", launch)


def staged(name: str) -> int:
    with sqlite3.connect(bases.folder(name) / "base.db", timeout=30) as db:
        return int(db.execute("SELECT COUNT(*) FROM documents").fetchone()[0])


def test_killed_and_gone_on_with_it_is_the_same_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    documents = write(tmp_path / "documents", files=40, parts=8)
    knowledge.start("kb", [documents])
    eventually(lambda: staged("kb") >= 1)
    process = jobs.process(background.folder("kb"))
    assert process
    process.kill()
    last: Any = eventually(lambda: (seen := knowledge.progress("kb")) and not seen.live and seen)
    assert last.status == jobs.INTERRUPTED
    assert "killed" in last.error["message"]
    assert 0 < staged("kb") < 40, "it was over before it was killed"
    with pytest.raises(UserError, match="is not indexed yet"):
        passages("kb", "llama")  # nothing half in
    knowledge.resume("kb")
    last = knowledge.wait("kb")
    assert (last.status, last.error, last.share) == (jobs.FINISHED, None, 1.0)
    monkeypatch.setattr(vector_cache, "get", lambda keys: {})
    knowledge.build("undisturbed", [documents])
    (ids, vectors), (expected_ids, expected) = knowledge.vectors("kb"), knowledge.vectors("undisturbed")
    assert ids == expected_ids
    assert len(ids) == 40 * 8
    assert np.abs(vectors - expected).max() <= 1e-6
    assert knowledge.version("kb") == knowledge.version("undisturbed")
    with pytest.raises(UserError, match="nothing to go on with"):
        knowledge.resume("kb")


def test_stopped_it_ends_at_once_and_the_base_answers_as_before(tmp_path: Path) -> None:
    knowledge.build("kb", [write(tmp_path / "few", files=1, parts=2)])
    before = knowledge.version("kb")
    knowledge.start("kb", [write(tmp_path / "many", files=60, parts=20, seed=1)], mode="build")
    with pytest.raises(UserError, match="is being indexed already"):
        knowledge.start("kb", [tmp_path / "few"])
    eventually(lambda: (seen := knowledge.progress("kb")) and seen.rows > 0)
    knowledge.stop("kb")
    last = knowledge.wait("kb")
    assert (last.status, last.unfinished) == (jobs.STOPPED, True)
    assert knowledge.version("kb") == before
    with pytest.raises(UserError, match="not running any more"):
        knowledge.stop("kb")
    # Something else is added instead: what was left half done never comes in.
    knowledge.add("kb", [write(tmp_path / "other", files=3, parts=1, seed=2)])
    assert [row["name"] for row in knowledge.documents("kb")] == ["000.md", "001.md", "002.md"]
    assert staged("kb") == 3


def test_searches_go_on_while_documents_come_in(tmp_path: Path) -> None:
    """Each answer is wholly of the base before or wholly of the base after."""
    knowledge.build("kb", [write(tmp_path / "old", files=2, parts=10)])
    old = {row.text for row in knowledge.rows("kb")}
    knowledge.start("kb", [write(tmp_path / "new", files=20, parts=10, seed=3)], mode="build")
    answers: list[set[str]] = []
    failures: list[Exception] = []
    over = threading.Event()

    def search() -> None:
        while not over.is_set():
            try:
                answers.append({passage.text for passage in passages("kb", "llama fox", 10)})
            except Exception as error:
                failures.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    last = knowledge.wait("kb")
    count = len(answers)
    eventually(lambda: len(answers) > count + 6)
    over.set()
    for thread in threads:
        thread.join()
    new = {row.text for row in knowledge.rows("kb")}
    assert not failures
    assert last.report and last.report["documents"] == 20
    assert all(answer <= old or answer <= new for answer in answers)
    assert answers[0] <= old
    assert answers[-1] <= new and len(answers[-1]) == 10


def test_uploads_stay_inside_their_folder_and_leave_it_when_they_are_in(here: None, tmp_path: Path) -> None:
    uploads = [
        ("../../evil.md", b"An owl."),
        ("C:\\x\\evil.md", b"A fox."),
        ("..", b""),
        ("名字.md", "广州。".encode()),
    ]
    folder = knowledge.save_uploads(uploads)
    assert folder.parent == settings().uploads_dir
    assert sorted(path.name for path in folder.iterdir()) == ["document", "evil (2).md", "evil.md", "名字.md"]
    knowledge.start("kb", [folder])
    report = knowledge.wait("kb").report
    assert report and report["documents"] == 3
    assert [error["name"] for error in report["rejected"]] == ["document"]
    row = next(row for row in knowledge.listing() if row["name"] == "kb")
    assert (row["job"]["status"], row["rejected"]) == (jobs.FINISHED, 1)
    assert not folder.exists()
    assert {row.text for row in knowledge.rows("kb")} == {"An owl.", "A fox.", "广州。"}
    kept = knowledge.original("kb", "evil.md")
    assert kept and kept.read_bytes() == b"An owl."
    assert bases.folder("kb") in kept.parents


def test_one_document_is_replaced_and_indexed_again_by_a_job(here: None, tmp_path: Path) -> None:
    knowledge.build("kb", [write(tmp_path / "few", files=2, parts=1)])
    with pytest.raises(UserError, match=r"no document “z\.md”"):
        knowledge.start("kb", document="z.md")
    with pytest.raises(UserError, match="no model"):
        knowledge.start("kb", mode="rebuild", embedder="nobody's")
    knowledge.start("kb", [knowledge.save_uploads([("edition 2.md", b"An owl.")])], document="000.md")
    last = knowledge.wait("kb")
    assert last.report and last.report["added"] == ["000.md"]
    assert [row["name"] for row in knowledge.documents("kb")] == ["000.md", "001.md"]
    assert knowledge.rows("kb")[0].text == "An owl."
    knowledge.start("kb", mode="reindex", document="001.md")
    last = knowledge.wait("kb")
    assert last.report and (last.report["added"], last.report["documents"]) == (["001.md"], 2)


def test_removing_a_base_ends_its_job(tmp_path: Path) -> None:
    knowledge.start("kb", [write(tmp_path / "many", files=60, parts=20)])
    eventually(lambda: (seen := knowledge.progress("kb")) and seen.rows > 0)
    process = jobs.process(background.folder("kb"))
    knowledge.remove("kb")
    assert process and not process.is_running()
    assert not bases.folder("kb").exists()
    assert "kb" not in {row["name"] for row in knowledge.listing()}


def test_nothing_to_index_is_said_by_the_job(tmp_path: Path) -> None:
    (tmp_path / "hollow").mkdir()
    knowledge.start("kb", [tmp_path / "hollow"])
    last: Any = knowledge.wait("kb")
    assert last.status == jobs.FAILED
    assert "no document to index" in last.error["message"]
    with pytest.raises(UserError, match="nothing to go on with"):
        knowledge.resume("nowhere")
