"""Taking a data set in by a worker: the same findings and the same rows as in this process, told on the way."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core import files, jobs
from core.errors import sentence
from core.models.cards import ModelCard
from core.settings import settings
from core.training.data import datasets, intake
from core.training.data.problems import FIXES, MUST

ROWS: list[Any] = [
    *({"q": f"What is {n} and {n * n}? " * (1 + 9 * (n == 5)), "a": f"It is {n}."} for n in range(40)),
    {"q": "half \ud800 a character", "a": "x"},
    {"q": "", "a": "empty"},
    {"q": "What is 3 and 9? ", "a": "It is 3."},
    "no row",
]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The worker's work is done in this process, at once; the stages it tells."""
    told: list[str] = []

    def launch(module: str, folder: Path) -> int:
        assert module == intake.WORKER
        intake.main(folder)
        return 0

    def noted(act: Any) -> Any:
        def with_note(job: Path, asked: Any, progress: Any) -> Any:
            def tell(stage: str, share: float) -> None:
                assert 0 <= share <= 1
                told.extend([] if told[-1:] == [stage] else [stage])
                progress(stage, share)

            return act(job, asked, tell)

        return with_note

    monkeypatch.setattr(jobs, "launch", launch)
    for name in ("_inspect", "_keep"):
        monkeypatch.setattr(intake, name, noted(getattr(intake, name)))
    return told


def written(path: Path) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in ROWS))
    return path


def test_a_worker_finds_and_keeps_what_this_process_would(
    tiny_card: ModelCard, tmp_path: Path, here: list[str]
) -> None:
    from core.models import loading, store

    path = written(tmp_path / "mine.jsonl")
    name = intake.start(path.name, path.read_bytes(), model="tiny", max_length=64)
    tokenizer = loading.load_tokenizer(store.directory(tiny_card), tiny_card)
    unmapped = datasets.inspect(str(path), tokenizer=tokenizer, max_length=64)["train"]
    assert intake.found(name) == {"train": replace(unmapped, table=None)} and unmapped.mapping is None

    told = {"layout": "pair", "columns": {"input": "q", "output": "a"}, "labels": []}
    intake.again(name, mapping=told)
    assert here == ["read", "check", "alike", "lengths"]
    mapped = datasets.inspect(str(path), "pair", told["columns"], tokenizer=tokenizer, max_length=64)["train"]
    found = intake.found(name)["train"]
    assert found == replace(mapped, table=None)
    assert {"too_long", "empty", "duplicate", "half_character", "not_object"} <= found.report.counts.keys()
    assert len(found.left()) == len(mapped.rows())

    intake.keep(name, "Mine", FIXES, [MUST], seed=3, share=0.2)
    done = intake.progress(name)
    assert done and (done.status, done.keeping, done.label) == (jobs.FINISHED, True, "mine") and here[-1] == "split"
    again = datasets.load(datasets.keep("Mine", {"train": mapped}, FIXES, [MUST], seed=3, share=0.2))
    kept = datasets.load(done.kept)
    assert (kept.train, kept.test) == (again.train, again.test) and len(kept.test) > 1
    assert files.read_json(settings().uploads_dir / done.kept / "about.json")["source"] == "mine.jsonl"
    intake.leave(name)
    assert intake.progress(name) is None


def test_a_file_that_has_changed_since_is_not_kept(tmp_path: Path, here: list[str]) -> None:
    path = tmp_path / "mine.jsonl"
    rows = [{"input": f"What is {n}?", "output": "x"} for n in range(9)]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    name = intake.start(str(path))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:4]))
    with pytest.raises(SystemExit):
        intake.keep(name, "Mine", FIXES, [MUST], seed=3, share=0.2)
    failed = intake.progress(name)
    assert failed and failed.status == jobs.FAILED and "has changed since" in sentence(failed.error)
    assert intake.found(name)["train"].report.rows == 9 and not datasets.catalog()[-1]["name"].endswith("mine")
