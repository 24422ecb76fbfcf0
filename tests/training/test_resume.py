"""A run that was killed goes on as if nothing had been: the same losses, weights, best checkpoint and counters."""

import shutil
from pathlib import Path
from typing import Any

import pytest

from core import files, jobs
from core.models.cards import ModelCard
from core.settings import settings
from core.training import callbacks
from tests.helpers import runs, training

STEPS, KILLED = 14, 9


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return training.dataset_file(tmp_path, 20)


def both(dataset: Path, monkeypatch: pytest.MonkeyPatch, **changes: Any) -> tuple[Path, Path]:
    """Two runs of one config: one left alone, one killed after its ninth step and gone on with."""
    config = training.config(dataset, **{"max_steps": STEPS, "eval_steps": 4, "precision": "float32", **changes})
    alone, killed = training.prepared(config), training.prepared(config)
    training.train(alone)
    training.train_until(killed, KILLED, monkeypatch)
    training.train(killed)
    return alone, killed


@pytest.mark.parametrize(
    "changes",
    [
        {"dropout": 0.3, "accumulation": 2, "group_by_length": True},
        {"dropout": 0.3, "group_by_length": False, "batch_size": 3},
        {"method": "gradual", "optimizer": "adafactor", "learning_rate": 1e-3},
        {"method": "full", "checkpointing": True, "weight_decay": 0.1, "learning_rate": 1e-3},
    ],
    ids=["lora", "ungrouped", "gradual", "full"],
)
def test_killed_and_resumed_the_curve_is_that_of_the_run_left_alone(
    tiny_card: ModelCard, dataset: Path, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any]
) -> None:
    alone, killed = both(dataset, monkeypatch, **changes)
    import torch

    assert training.losses(killed, "step") == training.losses(alone, "step")
    for key in ("loss", "eval_loss", "learning_rate", "grad_norm", "tokens", "epoch"):
        assert training.losses(killed, key) == pytest.approx(training.losses(alone, key), abs=1e-4), key
    torch.testing.assert_close(training.kept(killed), training.kept(alone), atol=1e-5, rtol=1e-4)
    assert training.samples(killed) == training.samples(alone) != []
    seconds = training.losses(killed, "seconds")
    assert seconds == sorted(seconds)  # the clock goes on, too


def test_measuring_on_the_way_changes_nothing_of_what_is_learned(tiny_card: ModelCard, dataset: Path) -> None:
    """The random numbers of dropout and order go on as if no test row had been measured and no prompt answered."""
    changes: dict[str, Any] = {"dropout": 0.3, "max_steps": 9, "prompts": ["Who?"]}
    often, never = (
        training.prepared(training.config(dataset, **changes, eval_rows=rows, eval_steps=2)) for rows in (2, 0)
    )
    training.train(often)
    training.train(never)
    assert training.losses(often) == training.losses(never)
    assert [row["step"] for row in training.samples(often)] == [0, 2, 4, 6, 8, 9]


def test_a_run_killed_after_its_last_step_makes_none_more(tiny_card: ModelCard, dataset: Path) -> None:
    folder = training.prepared(training.config(dataset, max_steps=6, eval_steps=3))
    training.train(folder)
    first = training.kept(folder)
    shutil.rmtree(folder / "adapter")
    result = training.train(folder)
    assert (result["step"], result["steps"]) == (6, 6)
    assert len(training.losses(folder)) == 6
    assert all(weight.equal(first[name]) for name, weight in training.kept(folder).items())


def test_early_stopping_and_the_best_checkpoint_survive_a_resumption(
    tiny_card: ModelCard, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A learning rate that spoils the model: the lowest test loss comes early, and the run ends by itself."""
    patience, every = 3, 4
    config = training.config(
        dataset, max_steps=60, eval_steps=every, learning_rate=0.03, alpha=256, scheduler="constant", warmup=0.0,
        early_stopping=patience, keep_best=True, precision="float32",
    )  # fmt: skip
    alone, killed = training.prepared(config), training.prepared(config)
    training.train(alone)
    measured = {p["step"]: p["eval_loss"] for p in files.read_jsonl(alone / "metrics.jsonl") if "eval_loss" in p}
    best = min((step for step in measured if step), key=measured.__getitem__)
    last = max(measured)
    assert last == best + patience * every < 60
    training.train_until(killed, last - every + 1, monkeypatch)  # two measurements without a gain lie behind it
    training.train(killed)
    assert training.losses(killed, "step") == training.losses(alone, "step")
    shutil.rmtree(killed / "adapter")  # killed once more, between the end and the saving of its weights
    result = training.train(killed)
    assert (result["step"], result["steps"]) == (last, 60)
    assert training.losses(killed, "step") == training.losses(alone, "step")
    for folder in (alone, killed):
        kept = sorted(int(path.name.rpartition("-")[2]) for path in folder.glob("checkpoints/checkpoint-*"))
        assert kept == [best, last]
        from safetensors.torch import load_file

        at_best = load_file(folder / "checkpoints" / f"checkpoint-{best}" / "adapter_model.safetensors")
        assert all(weight.equal(at_best[name]) for name, weight in training.kept(folder).items())


def test_so_many_of_the_newest_checkpoints_are_kept_and_the_best_one(tiny_card: ModelCard, dataset: Path) -> None:
    folder = training.prepared(training.config(dataset, max_steps=10, eval_steps=2, keep_checkpoints=3))
    training.train(folder)
    kept = sorted(int(path.name.rpartition("-")[2]) for path in folder.glob("checkpoints/checkpoint-*"))
    measured = {p["step"]: p["eval_loss"] for p in files.read_jsonl(folder / "metrics.jsonl") if "eval_loss" in p}
    assert kept == sorted({6, 8, 10, min((2, 4, 6, 8, 10), key=measured.__getitem__)})


def test_the_best_checkpoint_stays_when_it_is_old(tiny_card: ModelCard, dataset: Path) -> None:
    from core.training import callbacks

    folder = settings().runs_dir / "a"
    state = type("State", (), {"best_model_checkpoint": str(folder / "checkpoints" / "checkpoint-2")})()
    args = type("Args", (), {"output_dir": str(folder / "checkpoints")})()
    for step in (2, 4, 6, 8, 10, 100):
        made = runs.checkpoint(folder, step)
    (made / "trainer_state.json").unlink()  # half of one, as a killed worker leaves it behind
    callbacks.keeping(2).on_save(args, state, None)
    assert {path.name for path in made.parent.iterdir()} == {"checkpoint-2", "checkpoint-8", "checkpoint-10"}


def test_the_train_loss_of_an_earlier_stop_is_not_told_of_a_run_that_goes_on(
    tiny_card: ModelCard, dataset: Path
) -> None:
    from types import SimpleNamespace

    folder = training.prepared(training.config(dataset))
    jobs.update(folder, train_loss=9.9)
    callbacks.reporter(folder).on_train_begin(None, SimpleNamespace(global_step=4, max_steps=8), None)
    assert files.read_json(folder / "state.json")["train_loss"] is None
