"""Evaluations and sweeps as jobs: figures, a base that is left alone, kill and resume, stop, results that are kept."""

import json
from pathlib import Path
from typing import Any

import pytest

from core import files, jobs
from core.errors import UserError
from core.evaluation import retrieval, sweep, sweep_worker
from core.models.cards import ModelCard
from core.rag import bases, embedding, knowledge
from core.rag.retrieval import Settings, retrieve
from tests.helpers.tiny import fingerprint
from tests.helpers.waiting import eventually

ANIMALS = ["llama", "owl", "fox", "otter"]


def sentence(animal: str, number: int) -> str:
    return f"Note {number} on the {animal} says that it was seen {number} times by the river in week {number}."


@pytest.fixture
def base(tiny_embedder: ModelCard, tmp_path: Path) -> str:
    """Four documents, each a paragraph of ten sentences."""
    folder = tmp_path / "documents"
    folder.mkdir()
    for animal in ANIMALS:
        text = " ".join(sentence(animal, number) for number in range(10))
        (folder / f"{animal}.md").write_text(text + "\n", "utf-8")
    knowledge.build("kb", [folder])
    return "kb"


@pytest.fixture
def qa(base: str, tmp_path: Path) -> Path:
    """One question on each document, with the place of its answer."""
    path = tmp_path / "qa.jsonl"
    lines = []
    for number, animal in enumerate(ANIMALS):
        answer = sentence(animal, number)
        start = knowledge.document_text(base, f"{animal}.md").index(answer)
        row = {"question": answer[:-1] + "?", "source": f"{animal}.md", "start": start, "end": start + len(answer)}
        lines.append(json.dumps(row))
    path.write_text("\n".join(lines), "utf-8")
    return path


def work_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's work is done in this process, at once."""

    def launch(module: str, folder: Path) -> int:
        assert module == sweep.WORKER
        (folder / "stop").unlink(missing_ok=True)
        sweep_worker.main(folder)
        return 0

    monkeypatch.setattr(jobs, "launch", launch)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    work_here(monkeypatch)


def untouched(name: str) -> str:
    """A checksum of what makes up a base: its documents, rows and vectors."""
    seen = bases.view(name)
    return f"{seen.uid} {seen.version} {bases.vectors(seen).tobytes()!r} {fingerprint(bases.folder(name) / 'files')}"


def test_a_sweeps_figures_are_those_of_bases_built_with_these_chunks(
    here: None, base: str, qa: Path, tmp_path: Path
) -> None:
    before, rows = untouched(base), [json.loads(line) for line in qa.read_text("utf-8").splitlines()]
    done = sweep.show(base, sweep.start(base, qa, sizes=[120, 40], top_k=[1, 3]))
    assert (done["kind"], done["n"], done["status"], done["share"]) == ("sweep", 4, jobs.FINISHED, 1.0)
    assert [point["size"] for point in done["results"]] == [40, 120]
    count = embedding.counter(knowledge.view(base).embedder)
    for point in done["results"]:
        name = f"by hand {point['size']}"
        knowledge.build(name, [tmp_path / "documents"], size=point["size"])
        mine = knowledge.rows(name)
        assert point["chunks"] == len(mine)
        hits, tokens = {1: 0, 3: 0}, {1: 0, 3: 0}
        for row in rows:
            found = retrieve(name, row["question"], 3, Settings(width=100, reranked=100, threshold=False))
            for k in hits:
                given = [mine[c.row] for c in found.candidates[:k]]
                half = (row["end"] - row["start"]) / 2
                held = [
                    min(c.end, row["end"]) - max(c.start, row["start"]) >= half
                    for c in given
                    if c.source == row["source"]
                ]
                hits[k] += any(held)
                tokens[k] += sum(count(c.text) for c in given)
        for k in hits:
            figure = point["stages"]["rerank"][f"hit@{k}"]
            assert figure["mean"] == pytest.approx(hits[k] / 4) and figure["low"] <= figure["mean"] <= figure["high"]
            # Neighbours are joined, which may save or cost a token or two at the seams.
            assert point["tokens"][str(k)]["mean"] == pytest.approx(tokens[k] / 4, rel=0.05)
        assert point["ms"] > 0
    small, large = done["results"]
    assert small["chunks"] > large["chunks"] and small["tokens"]["1"]["mean"] < large["tokens"]["1"]["mean"]
    assert untouched(base) == before
    assert not list((bases.folder(base) / "scratch").glob("*"))
    assert [row["name"] for row in knowledge.listing() if not row["shipped"]] == ["by hand 120", "by hand 40", "kb"]


def test_an_evaluation_is_the_sweep_of_the_base_as_it_is(here: None, base: str, qa: Path) -> None:
    expected = retrieval.evaluate(base, qa)
    done = sweep.show(base, sweep.start(base, qa))
    [point] = done["results"]
    assert (done["kind"], point["size"], point["chunks"]) == ("evaluation", 0, len(knowledge.rows(base)))
    assert point["stages"] == expected["stages"]
    assert list(point["tokens"]) == ["1", "3", "5"]


def test_killed_and_gone_on_with_no_size_is_done_twice(base: str, qa: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = untouched(base)
    job = sweep.start(base, qa, sizes=[30, 40, 60])
    path = sweep.folder(base, job) / "points.jsonl"
    eventually(lambda: path.exists() and path.read_text("utf-8").count("\n") >= 1)
    worker = jobs.process(sweep.folder(base, job))
    assert worker
    worker.kill()
    last = eventually(lambda: (seen := sweep.show(base, job))["status"] not in jobs.LIVE and seen)
    assert last["status"] == jobs.INTERRUPTED and "killed" in last["error"]["message"]
    assert untouched(base) == before
    assert [row["name"] for row in knowledge.listing() if not row["shipped"]] == ["kb"]
    kept = path.read_text("utf-8")
    work_here(monkeypatch)
    sweep.resume(base, job)
    done = sweep.wait(base, job)
    assert (done["status"], done["error"]) == (jobs.FINISHED, None)
    assert path.read_text("utf-8").startswith(kept)
    assert [point["size"] for point in done["results"]] == [30, 40, 60]
    assert untouched(base) == before and not list((bases.folder(base) / "scratch").glob("*"))
    with pytest.raises(UserError, match="nothing to go on with"):
        sweep.resume(base, job)


def test_stopped_it_leaves_nothing_behind_and_keeps_what_is_done(
    here: None, base: str, qa: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sweep_worker, "TICK", 0.0)
    measure, asked = sweep_worker._measure, []

    def stop_in_the_second(base: str, *rest: Any) -> dict[str, Any]:
        asked.append(base)
        if len(asked) == 2:
            (sweep.folder("kb", sweep.listing("kb")[0]["id"]) / "stop").touch()
        return measure(base, *rest)

    monkeypatch.setattr(sweep_worker, "_measure", stop_in_the_second)
    job = sweep.start(base, qa, sizes=[40, 60])
    stopped = sweep.show(base, job)
    assert (stopped["status"], [point["size"] for point in stopped["results"]]) == (jobs.STOPPED, [40])
    assert not list((bases.folder(base) / "scratch").glob("*"))
    sweep.resume(base, job)
    done = sweep.show(base, job)
    assert (done["status"], [point["size"] for point in done["results"]]) == (jobs.FINISHED, [40, 60])
    sweep.delete(base, job)
    assert sweep.listing(base) == []


def test_a_base_that_changed_meanwhile_is_not_mixed_with_what_it_was(
    here: None, base: str, qa: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    measure = sweep_worker._measure

    def change(base: str, *rest: Any) -> dict[str, Any]:
        knowledge.delete_document("kb", "otter.md") if len(knowledge.documents("kb")) == 4 else None
        return measure(base, *rest)

    monkeypatch.setattr(sweep_worker, "_measure", change)
    with pytest.raises(SystemExit):
        sweep.start(base, qa, sizes=[40, 60])
    [failed] = sweep.listing(base)
    assert failed["status"] == jobs.FAILED and "has changed" in failed["error"]["message"]


def test_questions_are_made_by_a_job_and_evaluated(here: None, base: str) -> None:
    job = sweep.start_questions(base, count=3, with_model=False)
    made = sweep.show(base, job)
    assert (made["kind"], made["status"], len(made["rows"])) == ("questions", jobs.FINISHED, 3)
    done = sweep.show(base, sweep.start(base, sweep.folder(base, job) / "qa.jsonl", label="mine"))
    assert (done["qa"], done["n"]) == ("mine", 3)
    assert [row["kind"] for row in sweep.listing(base)] == ["questions", "evaluation"][:: 1 if job > done["id"] else -1]


def test_the_model_asks_in_the_queue_of_the_device(here: None, base: str, tiny_card: ModelCard) -> None:
    job = sweep.start_questions(base, count=2)
    made = sweep.show(base, job)
    assert (made["model"], made["status"], len(made["rows"])) == ("tiny", jobs.FINISHED, 2)
    assert all(row["made"] == "model" or row["refused"] for row in made["rows"])


def test_removing_a_base_ends_and_removes_its_jobs(base: str, qa: Path) -> None:
    job = sweep.start(base, qa, sizes=[30, 40, 60])
    worker = jobs.process(sweep.folder(base, job))
    knowledge.remove(base)
    assert worker and not worker.is_running()
    assert not bases.folder(base).exists()


@pytest.mark.parametrize(
    ("wanted", "why"),
    [({"sizes": [5]}, "Chunks have"), ({"top_k": [0]}, "A model reads"), ({"top_k": []}, "A model reads")],
)
def test_a_setting_out_of_range_is_said_before_anything_is_made(
    base: str, qa: Path, wanted: dict[str, Any], why: str
) -> None:
    with pytest.raises(UserError, match=why):
        sweep.start(base, qa, **wanted)
    with pytest.raises(UserError, match="no knowledge base"):
        sweep.start("nowhere", qa)
    assert sweep.listing(base) == []
    assert files.read_json(bases.folder(base) / "evaluations") is None
