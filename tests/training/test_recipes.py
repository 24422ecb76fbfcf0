"""Every recipe learns: the command itself, on a tiny random model of the architecture the recipe is meant for."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from core import files, jobs, queue
from core.errors import sentence
from core.models import cards, own
from core.training import config as configs
from core.training import predict, runs
from tests.helpers import architectures, training

QUICK = {
    **{"max_steps": 16, "learning_rate": 0.03, "alpha": 32, "rank": 16},
    **{"eval_rows": 4, "eval_steps": 8, "batch_size": 4, "accumulation": 1, "max_length": 128},
}
LABELS = {"learning_rate": 2e-3, "batch_size": 16, "max_steps": 60, "warmup": 0.2, "eval_rows": 40}
TINY: dict[str, tuple[Any, dict[str, Any]]] = {
    "resume-extraction": (architectures.llama, {}),
    "resume-extraction-yuan2": (architectures.yuan, {}),
    "rag-qa-t5": (architectures.t5, {}),
    "dialogue-summary-phi2": (architectures.phi, {}),
    "guanaco-llama2": (architectures.llama, {}),
    "sentiment-bert": (architectures.bert, LABELS),
    "rag-qa-en": (architectures.llama, {}),
    "rag-qa-zh": (architectures.llama, {}),
}


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """The worker's whole work in this process: a new one for each recipe would spend its time on imports."""
    from core.training import worker

    def submit(module: str, job: Path, **state: Any) -> int:
        jobs.create(job, jobs.QUEUED, **state)
        worker.main(job)
        return 0

    monkeypatch.setattr(queue, "submit", submit)


def run(recipe: str, **changes: Any) -> dict[str, Any]:
    from core.cli import app

    pairs = [part for key, value in changes.items() for part in ("--set", f"{key}={value}")]
    result = CliRunner().invoke(app, ["train", recipe, *pairs, "--wait", "--json"])
    assert result.exit_code == 0, result.output + str(result.exception)
    return dict(json.loads(result.stdout))


def test_every_recipe_is_tried_here() -> None:
    assert set(configs.recipes()) == set(TINY)


@pytest.mark.parametrize("recipe", TINY)
def test_the_command_ends_with_a_lower_loss(recipe: str, here: None, tmp_path: Path) -> None:
    make, changes = TINY[recipe]
    architectures.card(make, tmp_path / "tiny-base")
    report = run(recipe, model="tiny-base", **{**QUICK, **changes})
    folder = runs.folder(report["run"])
    assert report["status"] == jobs.FINISHED
    assert report["steps"] == {**QUICK, **changes}["max_steps"]
    losses, measured = training.losses(folder), training.losses(folder, "eval_loss")
    assert sum(losses[-4:]) < 0.98 * sum(losses[:4])
    assert measured[-1] < measured[0]
    assert len(training.samples(folder)) == 3 * len(measured)
    kept = "model" if configs.load(recipe).resolved("label" if recipe == "sentiment-bert" else "chat").task == (
        "classify"
    ) else "adapter"  # fmt: skip
    assert (folder / kept).is_dir()


def test_guanacos_adapter_is_merged_into_a_model_of_the_catalog(here: None, tmp_path: Path) -> None:
    """Also says that a name that is taken is refused before anything is trained."""
    architectures.card(architectures.llama, tmp_path / "tiny-base")
    report = run("guanaco-llama2", model="tiny-base", **QUICK)
    assert cards.card("guanaco-llama2").sources[0].id == report["run"]
    with pytest.raises(AssertionError):
        run("guanaco-llama2", model="tiny-base", **QUICK)
    assert "guanaco-llama2 is taken" in sentence(runs.listing()[0]["error"])


def test_yuan2s_recipe_is_the_exercises() -> None:
    config = configs.load("resume-extraction-yuan2")
    assert (config.rank, config.alpha, config.dropout, config.learning_rate) == (8, 32, 0.1, 5e-5)
    assert (config.batch_size, config.epochs, config.max_length) == (12, 3, 384)
    assert (config.precision, config.checkpointing) == ("bfloat16", True)
    assert len(config.target_modules) == 7


@pytest.mark.parametrize("method", ["full", "freeze", "top", "gradual", "lora"])
def test_sentiment_in_every_mode(method: str, here: None, tmp_path: Path) -> None:
    architectures.card(architectures.bert, tmp_path / "tiny-base")
    report = run("sentiment-bert", model="tiny-base", method=method, **{**QUICK, **LABELS})
    folder = runs.folder(report["run"])
    measured = training.losses(folder, "eval_loss")
    assert min(measured) < measured[0]
    assert all(
        0 <= score <= 1 for score in training.losses(folder, "eval_f1") + training.losses(folder, "eval_accuracy")
    )
    assert len(list((folder / "model").glob("*.safetensors"))) == 1
    # What the whole model kept says is what the model said at the end of the run, or at its best measurement.
    asked = training.samples(folder)[-3:]
    at = {row["step"]: row for row in training.samples(folder) if row["prompt"] == asked[0]["prompt"]}
    steps = [point["step"] for point in files.read_jsonl(folder / "metrics.jsonl") if "eval_loss" in point]
    best = min(steps[1:], key=lambda step: measured[steps.index(step)])
    (said,) = predict.predict(predict.load(report["run"]), [asked[0]["prompt"]])
    assert said["text"] == at[best]["text"]
    assert said["scores"] == pytest.approx(at[best]["scores"], abs=0.02)  # bfloat16 on the way, float32 here


def test_predictions_by_command_for_one_text_or_several(here: None, tmp_path: Path) -> None:
    from core.cli import app

    architectures.card(architectures.t5, tmp_path / "tiny-base")
    report = run("rag-qa-t5", model="tiny-base", **{**QUICK, "max_steps": 2})
    task = predict.load(report["run"])
    assert task.config.beams == 4
    for texts in (["Who?"], ["Who?", "Why not?"]):
        result = CliRunner().invoke(app, ["runs", "predict", report["run"], *texts, "--json"])
        said = json.loads(result.stdout)["predictions"]
        assert [row["input"] for row in said] == texts
        assert [row["text"] for row in said] == [answer["text"] for answer in predict.predict(task, texts)]


@pytest.mark.embedded
def test_sentiment_on_a_real_encoder_is_learned(minilm: Path, here: None) -> None:
    own.add(own.describe(str(minilm), "", "minilm"))
    report = run("sentiment-bert", model="minilm", max_steps=16, learning_rate=5e-4, eval_steps=16, eval_rows=60)
    folder = runs.folder(report["run"])
    measured, accuracy = training.losses(folder, "eval_loss"), training.losses(folder, "eval_accuracy")
    assert measured[-1] < 0.9 * measured[0]
    assert accuracy[-1] > 0.65
    assert training.losses(folder, "eval_f1")[-1] > 0.65
