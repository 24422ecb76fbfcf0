"""Memory and time before the start: the parts against what torch and peft really make, the verdict, the proposals."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core import files, jobs
from core.errors import UserError
from core.models import cards, store
from core.models.cards import ModelCard
from core.settings import ROOT, settings
from core.training import config as configs
from core.training import estimate, footprint, throughput
from core.training.config import TrainConfig
from core.training.throughput import Rows
from tests.helpers import runs as stored
from tests.helpers import training

ROWS = Rows(count=100, longest=64, mean=32.0, answer=16)


@pytest.fixture
def config(tiny_card: ModelCard, tmp_path: Path) -> TrainConfig:
    made = training.config(training.dataset_file(tmp_path), max_steps=0, precision="float32")
    return made.resolved()


def changed(config: TrainConfig, **changes: Any) -> TrainConfig:
    return config.model_copy(update=changes)


def model_of(config: TrainConfig) -> Any:
    """The adapted tiny model, as the worker makes it."""
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(settings().data_dir.parent / "copy")
    lora = LoraConfig(
        r=config.rank, lora_dropout=config.dropout, target_modules=config.target_modules, task_type="CAUSAL_LM"
    )
    return get_peft_model(base.requires_grad_(False), lora).train()


@pytest.fixture
def copied(tiny_model_dir: Path) -> None:
    (settings().data_dir.parent / "copy").symlink_to(tiny_model_dir, target_is_directory=True)


def tensors() -> dict[str, Any]:
    folder = settings().data_dir.parent / "copy"
    from core.models import weights

    return weights.loaded(weights.configuration(folder), weights.tensors(folder))


@pytest.mark.parametrize("changes", [{"rank": 4}, {"rank": 16, "target_modules": ["q_proj", "v_proj"]}])
def test_the_trained_weights_are_those_peft_makes(config: TrainConfig, copied: None, changes: dict[str, Any]) -> None:
    config = changed(config, **changes)
    made = sum(weight.numel() for weight in model_of(config).parameters() if weight.requires_grad)
    assert footprint.trained_weights(config, tensors()) == made


def test_all_or_a_part_of_the_layers_learns(config: TrainConfig, copied: None) -> None:
    everything = sum(tensor.elements for tensor in tensors().values())
    assert footprint.trained_weights(changed(config, method="full"), tensors()) == everything
    assert footprint.trained_weights(changed(config, method="gradual"), tensors()) == everything
    assert footprint.trained_weights(changed(config, method="freeze", frozen_layers=1), tensors()) == everything // 2
    assert footprint.trained_weights(changed(config, method="top"), tensors()) == 0


@pytest.mark.parametrize(
    ("dropout", "precision", "share"), [(0.0, "float32", 0.08), (0.1, "float32", 0.15), (0.0, "bfloat16", 0.1)]
)
def test_the_activations_are_those_autograd_keeps(
    config: TrainConfig, copied: None, dropout: float, precision: str, share: float, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from core.training.examples import answer_loss

    config = changed(config, dropout=dropout, precision=precision, batch_size=2)
    half = precision == "bfloat16"
    model, kept = model_of(config), {}
    known = {weight.untyped_storage().data_ptr() for weight in model.parameters()}

    def keep(tensor: Any) -> Any:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in known:
            kept[storage.data_ptr()] = storage.nbytes()
        return tensor

    ids = torch.randint(3, 300, (2, 64))
    inputs = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids}
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=half)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor), autocast:
        loss = answer_loss(model, inputs)
    vocabulary = model.config.vocab_size
    activations = sum(kept.values()) - 2 * 63 * vocabulary * 4  # the logarithms of the probabilities
    monkeypatch.setattr(footprint, "HOLES", {"cpu": 0.0})
    told = footprint.need(config, 64)
    assert told.activations == pytest.approx(activations, rel=share)
    assert told.logits == 2 * 64 * vocabulary * (2 + 4 + 4 if half else 3 * 4)
    assert loss.item() > 0


def test_the_parts_follow_the_settings(config: TrainConfig) -> None:
    base = footprint.need(config)
    twice = footprint.need(changed(config, batch_size=2 * config.batch_size))
    assert twice.activations == pytest.approx(2 * base.activations, abs=2)
    assert twice.logits == pytest.approx(2 * base.logits)
    assert (twice.weights, twice.trained) == (base.weights, base.trained)
    assert base.weights == pytest.approx(4 * sum(t.elements for t in all_tensors()))
    assert footprint.need(config, answer=10).logits < base.logits
    assert footprint.need(changed(config, checkpointing=True)).activations < base.activations
    assert footprint.need(changed(config, method="qlora-4bit")).weights < base.weights
    assert footprint.need(changed(config, method="full")).trained > 10 * base.trained
    assert footprint.need(changed(config, optimizer="adafactor")).trained < base.trained
    assert base.total == sum(vars(base).values())


def all_tensors() -> list[Any]:
    from core.models import weights

    folder = store.directory(cards.card("tiny"))
    return list(weights.loaded(weights.configuration(folder), weights.tensors(folder)).values())


def test_what_does_not_fit_gets_the_mildest_proposal_at_the_same_effective_batch(config: TrainConfig) -> None:
    config = changed(config, batch_size=12, accumulation=2)

    def needs(**changes: Any) -> int:
        return footprint.need(changed(config, **changes)).total

    six = footprint.propose(config, needs(batch_size=6))
    assert six == {"batch_size": 6, "accumulation": 4}
    one = footprint.propose(config, needs(batch_size=1))
    assert one == {"batch_size": 1, "accumulation": 24}
    made_again = footprint.propose(config, needs(batch_size=1) - 1)
    assert made_again["checkpointing"] is True
    assert made_again["batch_size"] * made_again["accumulation"] == 24
    assert footprint.need(changed(config, **made_again)).total < needs(batch_size=1)
    packed = footprint.propose(config, needs(batch_size=1, checkpointing=True) - 1)
    assert packed["method"] == "qlora-4bit"
    assert footprint.propose(config, 1) == {}
    full = changed(config, method="full")
    lora = footprint.propose(full, footprint.need(changed(full, batch_size=1, checkpointing=True)).total - 1)
    assert lora["method"] == "lora"


def test_the_verdict_counts_what_the_app_could_unload(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = footprint.need(config, ROWS.longest, ROWS.answer).total
    monkeypatch.setattr("core.models.memory.free", lambda where: needed)
    told = estimate.estimate(config, ROWS)
    assert (told.fits, told.fits_unloaded, told.proposal, told.device) == (True, True, {}, "cpu")
    monkeypatch.setattr("core.models.memory.free", lambda where: needed - 100)
    told = estimate.estimate(config, ROWS, held=100)
    assert (told.fits, told.fits_unloaded, told.proposal) == (False, True, {})
    told = estimate.estimate(config, ROWS, held=99)
    assert (told.fits, told.fits_unloaded) == (False, False)
    assert told.proposal == {"batch_size": 1, "accumulation": 2}
    json.dumps(told.as_dict())


def test_a_worker_refuses_before_its_first_step(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    needed = footprint.need(config, ROWS.longest, ROWS.answer)
    beside = needed.total - needed.runtime - needed.weights
    monkeypatch.setattr("core.models.memory.free", lambda where: beside)
    estimate.require(config, ROWS)
    monkeypatch.setattr("core.models.memory.free", lambda where: beside - 1)
    with pytest.raises(UserError, match="Start it with batch_size = 1, accumulation = 2"):
        estimate.require(config, ROWS)
    monkeypatch.setattr("core.models.memory.free", lambda where: 0)
    with pytest.raises(UserError, match=r"beside the model, and 0\.0 GB are free"):
        estimate.require(config, ROWS)


def test_the_rows_are_counted_as_the_model_reads_them(config: TrainConfig) -> None:
    from core.models import loading
    from core.training.examples import examples

    tokenizer = loading.load_tokenizer(store.directory(cards.card("tiny")), cards.card("tiny"))
    made = [example for row in training.rows() for example in examples(tokenizer, row, config.max_length)]
    assert throughput.of(made).longest == max(len(example["input_ids"]) for example in made)
    resolved, told = throughput.read(training.config(Path(config.dataset), max_steps=0, precision="float32"))
    assert resolved == config
    assert 0 < told.count < len(made), "the test rows are not trained on"
    assert told.longest <= max(len(example["input_ids"]) for example in made)
    assert told.answer <= max(sum(label != -100 for label in example["labels"]) for example in made)
    assert 0 < told.answer < told.mean <= told.longest <= config.max_length


def test_a_classifier_makes_no_logits_and_its_texts_are_counted(tiny_embedder: ModelCard, tmp_path: Path) -> None:
    rows = [{"text": "a quick brown fox " * (1 + number % 3), "label": "ab"[number % 2]} for number in range(40)]
    path = tmp_path / "labels.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), "utf-8")
    values = {"dataset": str(path), "model": tiny_embedder.name, "method": "full", "precision": "float32"}
    resolved, told = throughput.read(configs.make({**values, "max_length": 64}))
    assert resolved.task == "classify"
    assert told.answer == 1
    assert 3 < told.mean < told.longest <= 64
    needed = footprint.need(resolved, told.longest, told.answer)
    assert needed.logits == 0
    assert needed.trained == 3 * needed.weights, "a gradient and two moments for each weight"


def test_a_model_that_is_not_here_is_told_by_its_size(config: TrainConfig) -> None:
    """Llama 2 7B: 32 layers of 4096; by its parameters alone the estimate comes near, and nothing is fetched."""
    card = next(card for card in cards.catalog().values() if card.title == "Llama 2 7B Chat")
    llama = changed(config, model=card.name, target_modules=["q_proj", "v_proj"], rank=8, batch_size=1, max_length=512)
    told = footprint.need(llama)
    assert told.weights == 4 * card.parameters
    assert footprint.need(changed(llama, method="qlora-4bit")).weights == pytest.approx(0.53 * card.parameters, abs=2)
    assert footprint.trained_weights(llama, footprint.parts(llama)[1]) == pytest.approx(32 * 2 * 8 * 2 * 4096, rel=0.3)
    kept = 6 * 4096 + 2 * 4096 + 4 * 11008  # numbers a token of its own shape
    lost = footprint.HOLES["cpu"] * 2 * 4096
    assert told.activations == pytest.approx(512 * 32 * (kept + lost) * 4, rel=0.3)


def test_steps_and_time_follow_what_this_machine_has_done(config: TrainConfig) -> None:
    assert throughput.steps(config, ROWS) == 50
    assert throughput.steps(changed(config, batch_size=3, accumulation=2, epochs=2), ROWS) == 34
    assert throughput.steps(changed(config, max_steps=7), ROWS) == 7
    assert throughput.known(config) == 0.0
    assert throughput.seconds(config, ROWS) == 0.0
    for number, speed in enumerate((100.0, 200.0, 400.0)):
        folder = stored.make(f"20260101-00000{number}-a-0001", model="tiny", target_modules=config.target_modules)
        files.write_json(folder / "state.json", {"status": jobs.FINISHED, "tokens_per_second": speed})
    # 50 steps of 2 rows of 32 tokens each, at the 200 tokens a second of the run in the middle
    assert throughput.seconds(config, ROWS) == pytest.approx(50 * 2 * 32 / 200)
    assert throughput.seconds(changed(config, checkpointing=True), ROWS) > 16.0
    assert throughput.seconds(changed(config, batch_size=512, max_steps=7), ROWS) == pytest.approx(7 * 100 * 32 / 200)


def test_a_machine_without_runs_is_timed(config: TrainConfig) -> None:
    speed = throughput.calibrate()
    assert 1e8 < speed < 1e16
    assert throughput.known(config) == pytest.approx(speed * throughput.EFFICIENCY)
    assert throughput.seconds(config, ROWS) > 0


def test_runs_of_a_far_lighter_model_tell_nothing(config: TrainConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their time goes into all but arithmetic: a model a thousand times heavier would be told hours for minutes."""
    folder = stored.make(model="tiny", target_modules=config.target_modules)
    files.write_json(folder / "state.json", {"status": jobs.FINISHED, "tokens_per_second": 100.0})
    assert throughput.known(config) == pytest.approx(100.0 * throughput.work(config))
    told = throughput.work
    monkeypatch.setattr(throughput, "work", lambda asked: told(asked) * (1000 if asked is config else 1))
    assert throughput.known(config) == 0.0


@pytest.mark.embedded
def test_the_estimate_is_within_a_fifth_of_a_measured_peak(embedded: Path) -> None:
    """One point of ``benchmarks/training_memory.py``: the real model, in a process of its own."""
    from benchmarks import training_memory

    point = {"batch_size": 2, "max_length": 96, "answer": 32}
    config, answer = training_memory.settings_of(point, store.default_generator().name)
    peak = training_memory.measure(point, config.model)["peak"]
    assert footprint.need(config, answer=answer).total == pytest.approx(peak, rel=0.2)


def test_a_config_is_judged_without_loading_torch(config: TrainConfig) -> None:
    code = (
        "import sys\nfrom core.training import config, estimate\nfrom core.training.throughput import Rows\n"
        "made = config.make({'dataset': 'x', 'model': 'tiny', 'precision': 'float32'}).resolved()\n"
        "estimate.estimate(made, Rows(10, 64, 32.0, 16))\n"
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
