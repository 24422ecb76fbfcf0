"""What is told of a run on the way: alerts from figures made up for them, progress that goes on, and reports."""

import sys
from contextvars import ContextVar
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from core import files, jobs
from core.errors import UserError
from core.models.cards import ModelCard
from core.training import callbacks, reporting, trainer
from tests.helpers import runs, training


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return training.dataset_file(tmp_path, 20)


def test_a_loss_that_falls_alarms_nobody() -> None:
    assert callbacks.alerts([3 - 0.05 * n for n in range(50)], [3.0, 2.0, 1.0]) == []
    assert callbacks.alerts([3.0] * 39, []) == []  # too early to say


def test_a_loss_that_stays_where_it_was_is_told_with_its_figures() -> None:
    (alert,) = callbacks.alerts([3.0, 2.0] * 30, [])
    assert alert == {"code": "loss_not_falling", "steps": 60, "first": 2.5, "last": 2.5}


def test_a_rising_eval_loss_is_told_after_two_measurements_above_the_lowest() -> None:
    assert callbacks.alerts([], [3.0, 2.0, 2.2]) == []
    assert callbacks.alerts([], [3.0, 2.0, 2.2, 2.05]) == []
    (alert,) = callbacks.alerts([], [3.0, 2.0, 2.2, 2.4])
    assert alert == {"code": "eval_rising", "best": 2.0, "last": 2.4, "count": 2}


def test_alerts_stand_in_the_state_of_a_run_that_learns_nothing(tiny_card: ModelCard, dataset: Path) -> None:
    folder = training.prepared(training.config(dataset, learning_rate=1e-9, max_steps=42, eval_steps=21))
    training.train(folder)
    assert [alert["code"] for alert in jobs.state(folder)["alerts"]] == ["loss_not_falling"]


def test_every_step_has_its_figures(tiny_card: ModelCard, dataset: Path) -> None:
    folder = training.prepared(training.config(dataset, max_steps=6, eval_steps=3, accumulation=2))
    training.train(folder)
    steps = [point for point in files.read_jsonl(folder / "metrics.jsonl") if "loss" in point]
    wanted = {"step", "time", "loss", "learning_rate", "grad_norm", "epoch", "tokens", "seconds", "memory"}
    assert all(set(point) == wanted for point in steps)
    assert all(point["memory"] > 50e6 for point in steps)
    epochs = [4 / 18, 8 / 18, 12 / 18, 16 / 18, 1.0, 1 + 4 / 18]  # 18 rows by fours: the fifth step is a short one
    assert [point["epoch"] for point in steps] == pytest.approx(epochs)
    state = jobs.state(folder)
    assert (state["step"], state["steps"], state["eta"], state["alerts"]) == (6, 6, 0, [])


def test_the_tokens_counted_are_those_of_the_rows(tiny_card: ModelCard, dataset: Path) -> None:
    """Over one epoch every row's tokens once, padding not among them."""
    from core.models import loading
    from core.training.data import datasets
    from core.training.examples import examples

    folder = training.prepared(training.config(dataset, max_steps=0, epochs=1.0, eval_rows=0))
    training.train(folder)
    tokenizer = loading.load_generator(tiny_card)[1]
    rows = datasets.read(folder / "data").train
    expected = sum(len(made["input_ids"]) for row in rows for made in examples(tokenizer, row, 64))
    assert training.losses(folder, "tokens")[-1] == expected


def test_the_prompts_of_the_config_are_answered_at_every_measurement(tiny_card: ModelCard, dataset: Path) -> None:
    prompts = ["Who are you?", "你是谁？"]
    folder = training.prepared(training.config(dataset, max_steps=4, eval_steps=2, prompts=prompts))
    training.train(folder)
    found = [(row["step"], row["prompt"]) for row in training.samples(folder)]
    assert found == [(step, prompt) for step in (0, 2, 4) for prompt in prompts]


def test_rewinding_drops_what_will_come_again(own_data_dir: Path) -> None:
    folder = runs.make()
    runs.log(folder, [{"step": step, "loss": 1.0} for step in range(1, 8)])
    for step in (0, 4, 8):
        callbacks.sample(folder, step, ["问？"], [{"text": "答"}])
    callbacks.rewind(folder, 4)
    assert training.losses(folder, "step") == [1, 2, 3, 4]
    assert training.samples(folder) == [{"step": step, "prompt": "问？", "text": "答"} for step in (0, 4)]


def test_a_report_needs_its_package(tiny_card: ModelCard, dataset: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reporting, "_installed", lambda name: False)
    folder = training.prepared(training.config(dataset, report_to="swanlab"))
    with pytest.raises(UserError, match="The package swanlab is not installed"):
        training.train(folder)


def test_tensorboard_gets_the_figures_where_it_is_installed(
    tiny_card: ModelCard, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the package, put where transformers looks for it."""
    written: list[tuple[str, int]] = []

    class SummaryWriter:
        def __init__(self, log_dir: str = "", **_: Any) -> None:
            assert Path(log_dir).is_relative_to(folder)

        def add_scalar(self, name: str, value: float, step: int) -> None:
            written.append((name, step))

        def __getattr__(self, name: str) -> Any:
            return lambda *_, **__: None

    package = ModuleType("torch.utils.tensorboard")
    package.SummaryWriter = SummaryWriter  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", package)
    monkeypatch.setattr("transformers.integrations.integration_utils.is_tensorboard_available", lambda: True)
    monkeypatch.setattr(reporting, "_installed", lambda name: name == "tensorboard")
    folder = training.prepared(training.config(dataset, max_steps=2, eval_rows=0, report_to="tensorboard"))
    training.train(folder)
    assert {("train/loss", 1), ("train/loss", 2)} <= set(written)


def test_swanlab_is_told_by_its_own_callback_and_keeps_its_files_in_the_run(
    dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the package: the Trainer's own callback does not work with SwanLab of today."""
    asked: list[dict[str, Any]] = []
    package = ModuleType("swanlab.integration.transformers")
    package.SwanLabCallback = lambda **given: asked.append(given)  # type: ignore[attr-defined]
    for name in ("swanlab", "swanlab.integration", package.__name__):
        monkeypatch.setitem(sys.modules, name, package)
    monkeypatch.setattr(reporting, "_installed", lambda name: name == "swanlab")
    monkeypatch.delenv("SWANLAB_MODE", raising=False)
    config, folder = training.config(dataset, report_to="swanlab"), dataset.parent / "run"
    assert len(reporting.callbacks(folder, config)) == 1
    assert trainer.arguments(folder, config, False).report_to == []
    [given] = asked
    assert (given["mode"], given["experiment_name"]) == ("local", "tiny")
    assert Path(given["log_dir"]).is_relative_to(folder)


def test_trackio_gets_the_figures_and_sends_none_elsewhere(
    tiny_card: ModelCard, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A stand-in for the package, put where transformers looks for it."""
    asked: list[dict[str, Any]] = []
    told: list[dict[str, Any]] = []
    ended: list[bool] = []
    package = ModuleType("trackio")
    package.__spec__ = ModuleSpec("trackio", None)
    parts = {
        "init": lambda **given: asked.append(given),
        "log": told.append,
        "finish": lambda: ended.append(True),
        "config": {},
        "context_vars": SimpleNamespace(current_space_id=ContextVar("space", default=None)),
    }
    for name, part in parts.items():
        setattr(package, name, part)
    monkeypatch.setitem(sys.modules, "trackio", package)
    config = training.config(dataset, max_steps=2, eval_steps=2, report_to="trackio")
    folder = training.prepared(config)
    training.train(folder)
    [given] = asked
    assert (given["project"], given["name"], given["space_id"], ended) == (reporting.PROJECT, "tiny", None, [True])
    losses = {point["train/global_step"]: point["train/loss"] for point in told if "train/loss" in point}
    kept = training.losses(folder)
    assert losses == dict(enumerate(kept, 1)) and len(kept) == 2
    assert [point["train/global_step"] for point in told if "eval/loss" in point] == [0, 2]


def test_the_paged_optimizer_gives_way_without_a_gpu(
    tiny_card: ModelCard, dataset: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = training.config(dataset, optimizer="paged-adamw-8bit").resolved()
    assert trainer.arguments(Path("run"), config, False).optim == "adamw_torch_fused"
    assert "paged-adamw-8bit needs an NVIDIA GPU: adamw is used instead." in caplog.text


@pytest.mark.parametrize(("able", "precision"), [(True, "auto"), (False, "auto"), (False, "bfloat16")])
def test_bfloat16_where_the_machine_multiplies_it(
    dataset: Path, monkeypatch: pytest.MonkeyPatch, able: bool, precision: str
) -> None:
    monkeypatch.setattr("core.models.placement.multiplies_bfloat16", lambda where: able)
    config = training.config(dataset, precision=precision)
    assert trainer.in_bfloat16(config) == (able or precision == "bfloat16")
    assert not trainer.in_bfloat16(config.model_copy(update={"precision": "float32"}))


def test_rows_of_like_length_share_a_step_and_every_row_comes_once() -> None:
    import random

    lengths = [random.Random(n).randrange(20, 400) for n in range(203)]
    order = list(trainer.Order(lengths, 8, 7, lambda: 0))
    assert sorted(order) == list(range(203))

    def padding(rows: list[int]) -> int:
        steps = [[lengths[row] for row in rows[at : at + 8]] for at in range(0, len(rows), 8)]
        return sum(max(step) * len(step) - sum(step) for step in steps)

    assert padding(order) < 0.35 * padding(list(trainer.Order(lengths, 1, 7, lambda: 0)))
    firsts = [lengths[row] for row in order[:200:8]]
    assert firsts != sorted(firsts)  # the steps are shuffled
    assert order == list(trainer.Order(lengths, 8, 7, lambda: 0)) != list(trainer.Order(lengths, 8, 7, lambda: 1))
