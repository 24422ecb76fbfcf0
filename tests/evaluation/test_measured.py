"""A kept experiment under another tokenizer: the figures of one that was started with it, without asking again."""

import json
from pathlib import Path
from typing import Any

import pytest

from core import files, jobs
from core.evaluation import measured
from core.evaluation.metrics import ROUGE
from core.evaluation.results import results
from core.models.cards import ModelCard
from tests.helpers import training
from tests.helpers.experiments import RIGHT, answer, fake_run, keep, made, row, square, work_here
from tests.test_cli import quick

TIMED = ("latency", "speed", "seconds")


def untimed(found: Any) -> Any:
    """The figures without those of the clock, which no two runs share, and without what names the experiment."""
    if isinstance(found, dict):
        kept = {key: value for key, value in found.items() if key not in (*TIMED, "experiment", "command")}
        return {key: untimed(value) for key, value in kept.items()}
    if isinstance(found, list):
        return [untimed(one) for one in found if not (isinstance(one, dict) and one.get("metric") in TIMED)]
    return found


def test_figures_are_those_of_an_experiment_started_with_that_tokenizer(
    tiny_card: ModelCard, tiny_adapters: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_run("run-a", tiny_adapters[0])
    work_here(monkeypatch)
    how = ["--dataset", str(training.dataset_file(tmp_path, 40)), "--models", "base,run-a", "--limit", "2"]
    how += ["--temperature", "0.8", "--repeats", "2", "--forgetting"]
    first, wanted = quick("compare", *how), quick("compare", *how, "--tokenizer", "jieba")
    monkeypatch.setattr(jobs, "launch", None)  # nothing can be asked any more
    found = quick("compare", "--show", first["experiment"], "--tokenizer", "jieba", "--out", str(tmp_path / "out"))
    assert untimed(found) == untimed(wanted) != untimed(first)
    shown, _ = measured.read(wanted["experiment"])
    answers = json.loads((tmp_path / "out" / "answers.json").read_text("utf-8"))
    assert untimed(answers) == untimed(json.loads(json.dumps(shown["answers"]))), "down to every answer and draw"
    assert "anew from the kept answers" in (tmp_path / "out" / "report.html").read_text("utf-8")
    assert quick("compare", "--show", first["experiment"]) == first, "the experiment itself stays as it was"


def test_what_was_measured_is_kept_until_there_are_more_answers() -> None:
    arms = square()[:1]
    one = made(arms, {"base": set()}, 2)
    one["answers"] = [row(0, "the foxes are running"), row(1)]
    one["answers"][0]["answers"] = {"base": answer(one["answers"][0], "the fox is run", arms[0])}
    folder = keep(one)
    for tokenizer, mean in (("", 1 / 4), ("english", 3 / 4)):
        experiment, found = measured.read(folder.name, tokenizer)
        assert found["arms"][0]["scores"]["rouge1"]["mean"] == pytest.approx(mean)
        assert experiment["answers"][0]["answers"]["base"]["scores"]["rouge1"] == pytest.approx(mean)
        assert results(experiment) == found
    kept = folder / "measured" / "english.json"
    files.write_json(kept, {**files.read_json(kept), "results": {"forgetting": None, "rows": "as kept"}})
    assert measured.read(folder.name, "english")[1]["rows"] == "as kept"
    line = {"row": 1, "arm": "base", **answer(one["answers"][1], "–", arms[0])}
    files.append_jsonl(folder / "answers.jsonl", line)
    assert measured.read(folder.name, "english")[1]["rows"] == 2


def test_a_comparison_of_the_first_versions_is_measured_anew() -> None:
    """They kept of an answer's figures its ROUGE scores alone. In English there is nothing that jieba takes apart."""
    folder = keep(made(square()[:2], RIGHT, 3))
    lines = [
        {**{part: value for part, value in line.items() if part != "parts"}, "scores": dict.fromkeys(ROUGE, 0.5)}
        for line in files.read_jsonl(folder / "answers.jsonl")
    ]
    files.write_text(folder / "answers.jsonl", "".join(json.dumps(line) + "\n" for line in lines))
    found = measured.read(folder.name, "jieba")[1]
    wanted = results({**made(square()[:2], RIGHT, 3), "id": folder.name})
    assert [arm["scores"]["rougeL"] for arm in found["arms"]] == [arm["scores"]["rougeL"] for arm in wanted["arms"]]
