"""Fine-tuning end to end on a tiny model, in real worker processes that are stopped, killed and resumed."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core import jobs
from core.errors import UserError, sentence
from core.generation.engine import Engine, Options, Request
from core.generation.prompts import conversation
from core.models import cards, store
from core.models.cards import ModelCard
from core.settings import ROOT, settings
from core.training import config as configs
from core.training import runs, tasks, worker
from core.training.examples import IGNORE
from tests.helpers import training
from tests.helpers.isolation import add_card, data_dir
from tests.helpers.waiting import eventually

STEPS = 40
FLOAT32 = {"precision": "float32", "dropout": 0.1}
"""Arithmetic that is the same on every machine, and something drawn at random in every step."""


@pytest.fixture(scope="module")
def finished_run(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of a run that was left alone until it had finished."""
    root = tmp_path_factory.mktemp("finished")
    with data_dir(root):
        add_card("tiny", "generate", tiny_model_dir)
        run_id = runs.start(training.config(training.dataset_file(root), **FLOAT32))
        state = jobs.wait(runs.folder(run_id))
        assert state["status"] == jobs.FINISHED, runs.log_tail(run_id, 40)
        folder = runs.folder(run_id)
    yield folder


@pytest.fixture
def run_id(finished_run: Path, tiny_card: ModelCard) -> str:
    """That run, in this test's own data directory."""
    copytree(finished_run, settings().runs_dir / finished_run.name)
    return finished_run.name


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return training.dataset_file(tmp_path)


def ask(text: str, adapter: Path | None = None, model: str = "tiny") -> str:
    options = Options(max_new_tokens=16, min_new_tokens=16)
    return Engine().submit(model, [Request(conversation(text), adapter)], options).result()[0].text


def command(*words: str) -> Any:
    """What ``python -m core`` prints as JSON in a process of its own."""
    done = subprocess.run([sys.executable, "-m", "core", *words, "--json"], cwd=ROOT, capture_output=True, check=True)
    return json.loads(done.stdout)


def adapter_weights(folder: Path) -> dict[str, Any]:
    from safetensors.torch import load_file

    return load_file(folder / "adapter" / "adapter_model.safetensors")


def train_steps(run: str) -> list[int]:
    return [point["step"] for point in runs.metrics(run) if "loss" in point]


def test_a_run_ends_finished_with_its_figures(run_id: str) -> None:
    run = runs.show(run_id)
    assert (run["status"], run["step"], run["steps"]) == (jobs.FINISHED, STEPS, STEPS)
    assert run["adapter"] is True
    assert run["train_loss"] < runs.metrics(run_id)[1]["loss"] / 2
    assert run["started"] <= run["finished"]
    assert run["config"]["target_modules"] == cards.card("tiny").lora_targets


def test_the_metrics_have_every_step_and_the_measurements_on_the_way(run_id: str) -> None:
    points = runs.metrics(run_id)
    evaluated = {point["step"]: point["eval_loss"] for point in points if "eval_loss" in point}
    assert train_steps(run_id) == list(range(1, STEPS + 1))
    assert sorted(evaluated) == [0, 10, 20, 30, 40]
    assert evaluated[40] < evaluated[0]
    assert runs.show(run_id)["eval_loss"] == evaluated[40]


def test_the_learning_rate_rises_then_falls(run_id: str) -> None:
    rates = [point["learning_rate"] for point in runs.metrics(run_id) if "loss" in point]
    warmup = int(0.1 * STEPS)
    assert max(rates) == pytest.approx(5e-3)
    assert rates.index(max(rates)) == pytest.approx(warmup, abs=1)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup + 1 :] == sorted(rates[warmup + 1 :], reverse=True)
    assert rates[-1] < 1e-4


def test_the_adapter_changes_the_answers(run_id: str) -> None:
    question = training.rows()[1]["input"]
    assert ask(question, runs.adapter(run_id)) != ask(question)


def test_no_prompt_token_is_learned(run_id: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What reaches the loss: the labels of a real run's batches are answers only."""
    seen: list[Any] = []
    real = tasks.answer_loss
    monkeypatch.setattr(
        tasks, "answer_loss", lambda m, inputs, items=None: seen.append(inputs) or real(m, inputs, items)
    )
    folder = runs.folder(run_id)
    for old in ("checkpoints", "adapter"):
        (folder / old).rename(folder / f"old-{old}")
    worker.train(folder, training.config(Path("unused"), max_steps=2, eval_rows=0).resolved())
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(store.directory(cards.card("tiny")))
    outputs = {row["output"] + tokenizer.eos_token for row in training.rows()}
    learned = [
        tokenizer.decode([t for t in row.tolist() if t != IGNORE]) for inputs in seen for row in inputs["labels"]
    ]
    assert len(learned) == 4
    assert set(learned) <= outputs


def test_stopped_mid_run_leaves_an_adapter_and_can_go_on_to_the_end(tiny_card: ModelCard, dataset: Path) -> None:
    run = runs.start(training.config(dataset, max_steps=60))
    eventually(lambda: runs.show(run)["step"] >= 3)
    with pytest.raises(UserError, match="still running"):
        runs.delete(run)
    with pytest.raises(UserError, match="Only a run that ended early"):
        runs.resume(run)
    runs.stop(run)
    state = jobs.wait(runs.folder(run))
    assert state["status"] == jobs.STOPPED, runs.log_tail(run, 40)
    reached = state["step"]
    assert 3 <= reached < 60
    first = adapter_weights(runs.folder(run))
    assert any(weight.abs().sum() > 0 for name, weight in first.items() if "lora_B" in name)

    runs.resume(run)
    state = jobs.wait(runs.folder(run))
    assert state["status"] == jobs.FINISHED, sentence(state.get("error"))
    assert state["error"] is None
    assert train_steps(run) == list(range(1, 61))
    assert any(not weight.equal(first[name]) for name, weight in adapter_weights(runs.folder(run)).items())
    runs.delete(run)
    assert runs.listing() == []


def test_killed_half_way_and_resumed_the_curve_is_that_of_the_run_left_alone(
    tiny_card: ModelCard, dataset: Path, finished_run: Path
) -> None:
    """Nothing but command lines and kill -9: every loss, rate and norm, and the weights, come out as if nothing had
    been."""
    configs.save(training.config(dataset, **FLOAT32), dataset.with_name("run.toml"))
    run = command("train", str(dataset.with_name("run.toml")))["run"]
    folder = runs.folder(run)
    checkpoint = folder / "checkpoints" / f"checkpoint-{STEPS // 4}" / "trainer_state.json"
    reached = eventually(lambda: checkpoint.exists() and [at for at in train_steps(run) if at > STEPS // 3])[-1]
    process = jobs.process(folder)
    assert process is not None
    process.kill()
    state = jobs.wait(folder)
    assert state["status"] == jobs.INTERRUPTED
    assert "killed or memory ran out" in sentence(state["error"])
    assert STEPS // 3 < reached <= train_steps(run)[-1] < STEPS
    assert not (folder / "adapter").exists()
    # Killed while it wrote a checkpoint, it leaves half of one behind.
    (folder / "checkpoints" / "checkpoint-39").mkdir()

    assert command("runs", "resume", run)["status"] in jobs.LIVE
    state = jobs.wait(folder)
    assert state["status"] == jobs.FINISHED, runs.log_tail(run, 40)
    for key in ("step", "loss", "eval_loss", "learning_rate", "grad_norm", "tokens"):
        assert training.losses(folder, key) == pytest.approx(training.losses(finished_run, key), abs=1e-4), key
    assert train_steps(run) == list(range(1, STEPS + 1))
    import torch

    torch.testing.assert_close(adapter_weights(folder), adapter_weights(finished_run), atol=1e-5, rtol=1e-4)


def test_a_loss_that_is_not_a_number_ends_the_run_in_words(tiny_card: ModelCard, tmp_path: Path, dataset: Path) -> None:
    from safetensors.torch import load_file, save_file

    broken = copytree(store.directory(cards.card("tiny")), tmp_path / "broken")
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    add_card("broken", "generate", broken)
    run = runs.start(training.config(dataset, model="broken", eval_rows=0))
    state = jobs.wait(runs.folder(run))
    assert state["status"] == jobs.FAILED
    assert sentence(state["error"]) == (
        "The loss is not a number any more: the training diverged. Use a lower learning rate."
    )
    with pytest.raises(UserError, match="no checkpoint"):
        runs.resume(run)


def test_layers_the_model_does_not_have_are_a_persons_mistake(tiny_card: ModelCard, run_id: str) -> None:
    config = training.config(Path("unused"), target_modules=["no_such_layer"]).resolved()
    with pytest.raises(UserError, match="no_such_layer"):
        worker.train(runs.folder(run_id), config)


def test_a_run_needs_a_model_and_data_before_anything_is_written(tiny_card: ModelCard, dataset: Path) -> None:
    with pytest.raises(UserError, match="no model"):
        runs.start(training.config(dataset, model="nowhere"))
    with pytest.raises(UserError, match="no data set"):
        runs.start(training.config(dataset.with_name("gone.jsonl")))
    assert runs.listing() == []


def test_a_run_of_an_embedding_model_is_refused(tiny_card: ModelCard, tiny_embedder: ModelCard, dataset: Path) -> None:
    with pytest.raises(UserError, match="cannot be fine-tuned"):
        runs.start(training.config(dataset, model="tiny-embedder"))


def test_adapters_are_listed_for_their_base_model_only(run_id: str) -> None:
    assert list(runs.adapters("tiny")) == [run_id]
    assert runs.adapters("other") == {}


def test_an_adapter_that_is_not_there_yet(run_id: str) -> None:
    folder = settings().runs_dir / "fresh"
    folder.mkdir()
    with pytest.raises(UserError, match=r"has no adapter.*ended before it had one"):
        runs.adapter("fresh")
    (folder / "model").mkdir()
    with pytest.raises(UserError, match=r"has no adapter.*trained a whole model"):
        runs.adapter("fresh")


@pytest.mark.parametrize("name", ["..", ".", "", "nowhere", "../runs", "/"])
def test_no_run_lies_outside_the_runs(run_id: str, name: str) -> None:
    for act in (runs.show, runs.delete, runs.stop, runs.resume, runs.adapter):
        with pytest.raises(UserError, match="There is no"):
            act(name)
    assert runs.show(run_id)["status"] == jobs.FINISHED
