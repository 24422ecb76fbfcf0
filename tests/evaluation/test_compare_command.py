"""``python -m core compare`` over a whole grid: JSON, files, a stop and its resumption."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from core import cli, files, jobs
from core.errors import UserError
from core.evaluation import experiments
from core.models.cards import ModelCard
from core.rag import knowledge
from tests.helpers import training
from tests.helpers.experiments import fake_run, work_here
from tests.test_cli import quick


@pytest.fixture
def grid(
    tiny_card: ModelCard,
    tiny_embedder: ModelCard,
    tiny_adapters: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> list[str]:
    """The words of a command over 2 × 2 × 2 arms."""
    path = training.dataset_file(tmp_path, 40)
    asked = [json.loads(line)["input"] for line in path.read_text("utf-8").splitlines()]
    (tmp_path / "notes.md").write_text("\n\n".join(f"# {n}\n\n{text}" for n, text in enumerate(asked)), "utf-8")
    knowledge.build("notes", [tmp_path / "notes.md"])
    fake_run("run-a", tiny_adapters[0])
    work_here(monkeypatch)
    words = ["--dataset", str(path), "--models", "base,run-a", "--kb", "notes", "--rag", "off,on"]
    return ["compare", *words, "--strategy", "zero-shot,few-shot", "--limit", "2", "--tokenizer", "jieba"]


def test_a_whole_grid(grid: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    report = quick(*grid, "--out", str(out))
    names = [f"{adapter}{kb}{how}" for adapter in ("base", "run-a") for kb in ("", "+kb") for how in ("", "+few-shot")]
    assert [arm["name"] for arm in report["arms"]] == names
    assert (report["rows"], report["tokenizer"]) == (2, "jieba")
    assert all("faithfulness" in arm["scores"] for arm in report["arms"])
    assert report["retrieved"] == 2
    assert {one["strategy"] for one in report["interactions"]} == {"zero-shot", "few-shot"}
    assert {one["where"] for one in report["overlap"]} == {"knowledge"}, "the questions themselves stand in the base"
    assert report["command"] == "python -m core " + " ".join([*grid, "--model", "tiny"])
    answers = json.loads((out / "answers.json").read_text("utf-8"))
    assert all(set(row["answers"]) == set(names) for row in answers)
    assert "run-a+kb+few-shot" in (out / "report.html").read_text("utf-8")

    folder = experiments.folder(report["experiment"])
    lines = list(files.read_jsonl(folder / "answers.jsonl"))
    (folder / "answers.jsonl").unlink()
    for line in lines[:3]:
        files.append_jsonl(folder / "answers.jsonl", line)
    files.write_json(folder / "state.json", {**files.read_json(folder / "state.json"), "status": jobs.STOPPED})
    again = quick("compare", "--resume", report["experiment"])
    for arm, before in zip(again["arms"], report["arms"], strict=True):
        timed = ("latency", "speed")
        assert {n: s for n, s in arm["scores"].items() if n not in timed} == {
            n: s for n, s in before["scores"].items() if n not in timed
        }
    assert "few-shot against" in text("compare", "--resume", report["experiment"], folder=folder)


def test_a_worker_that_is_killed_is_told_with_the_way_on(
    tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def killed(module: str, folder: Path) -> int:
        for status in (jobs.STARTING, jobs.RUNNING):  # by nobody who is alive
            jobs.update(folder, status=status)
        return 0

    monkeypatch.setattr(jobs, "launch", killed)
    monkeypatch.setattr(jobs, "LAUNCHING", 0.0)
    result = CliRunner().invoke(cli.app, ["compare", "--dataset", str(training.dataset_file(tmp_path)), "--limit", "1"])
    assert result.exit_code == 1
    assert "The worker process ended without a word" in result.stderr and "fault" not in result.stderr
    [experiment] = experiments.listing()
    assert f"compare --resume {experiment['id']}" in result.stderr
    [listed] = quick("comparisons")["experiments"]
    assert (listed["id"], listed["status"], listed["model"]) == (experiment["id"], "interrupted", "tiny")
    with pytest.raises(UserError, match="not running"):
        CliRunner().invoke(cli.app, ["comparisons", "--stop", experiment["id"]], catch_exceptions=False)


def text(*words: str, folder: Path) -> str:
    """What a person sees of an experiment that was stopped at its very end."""
    files.write_json(folder / "state.json", {**files.read_json(folder / "state.json"), "status": jobs.STOPPED})
    result: Result = CliRunner().invoke(cli.app, [*words], catch_exceptions=False)
    return result.stdout
