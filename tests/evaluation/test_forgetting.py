"""The forgetting check: general questions beside a comparison, their figures, a stop in the middle, and the report."""

import math
from pathlib import Path

import pytest

from core import files, jobs
from core.errors import UserError
from core.evaluation import experiments, forgetting
from core.evaluation.freezing import Plan
from core.evaluation.report import page
from core.evaluation.results import results
from core.models.cards import ModelCard
from tests.helpers import training
from tests.helpers.experiments import fake_run, work_here
from tests.helpers.likelihood import alone


def test_general_questions_are_asked_of_adapter_and_base_model(
    tiny_card: ModelCard,
    tiny_model_dir: Path,
    tiny_adapters: list[Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fake_run("run-a", tiny_adapters[0])
    work_here(monkeypatch)
    plan = Plan(str(training.dataset_file(tmp_path)), ["base", "run-a"], limit=1, forgetting=True)
    started = experiments.start(plan)
    shown = experiments.show(started)
    report = results(shown)
    found = report["forgetting"]
    assert (shown["done"], shown["total"], report["rows"], found["rows"]) == (50, 50, 1, 24)
    assert report["arms"][0]["scores"]["perplexity"]["n"] == 1, "they are not among the experiment's own rows"

    losses: dict[str, list[list[float]]] = {"base": [], "run-a": []}
    for row in found["answers"][:3]:
        for name, adapter in (("base", None), ("run-a", tiny_adapters[0])):
            losses[name].append(alone(tiny_model_dir, row["input"], row["reference"], adapter))
            wanted = math.exp(-sum(losses[name][-1]) / len(losses[name][-1]))
            assert row["answers"][name]["perplexity"] == pytest.approx(wanted, rel=1e-2)
    kept = [[row["answers"][name]["log_probabilities"] for row in shown["general"]] for name in ("base", "run-a")]
    base, tuned = (math.exp(-sum(map(sum, of)) / sum(map(len, of))) for of in kept)
    [contrast] = [one for one in found["contrasts"] if one["metric"] == "perplexity"]
    assert (contrast["a"], contrast["b"], contrast["n"]) == ("base", "run-a", 24)
    assert contrast["delta"] == pytest.approx(tuned - base)
    assert found["scores"]["base"]["perplexity"]["mean"] == pytest.approx(base)
    assert contrast["verdict"] in ("higher", "lower", "unclear")
    assert found["same"]["run-a"] < 1
    made = page(shown, report)
    assert "What has fine-tuning cost?" in made and "微调付出了什么代价？" in made
    assert "--forgetting" in report["command"]

    folder = experiments.folder(started)
    lines = list(files.read_jsonl(folder / "general.jsonl"))
    (folder / "general.jsonl").unlink()
    for line in lines[:40]:
        files.append_jsonl(folder / "general.jsonl", line)
    assert results(experiments.show(started))["forgetting"] is None, "not everything is answered"
    files.write_json(folder / "state.json", {**files.read_json(folder / "state.json"), "status": jobs.STOPPED})
    experiments.resume(started)
    again = results(experiments.show(started))["forgetting"]
    assert again == found


def test_without_an_adapter_there_is_nothing_to_forget(tiny_card: ModelCard, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="nothing can be forgotten"):
        experiments.start(Plan(str(training.dataset_file(tmp_path)), forgetting=True))


def test_the_questions_are_for_measuring_and_not_offered_for_training() -> None:
    from core.training.data import datasets

    rows = forgetting.freeze([{"adapter": "x"}])
    assert len({row["input"] for row in rows}) == 24
    assert "general" not in datasets.listing()
