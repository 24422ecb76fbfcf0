"""What each method trains, on every architecture: counted by hand, and learned by steps that change just that."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.models import cards
from core.models.cards import ModelCard
from core.training import config as configs
from core.training import methods, tasks
from tests.helpers import architectures, training

MAKERS = {"t5": architectures.t5, "phi": architectures.phi, "llama": architectures.llama, "bert": architectures.bert}


@pytest.fixture(scope="module", params=MAKERS)
def built(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Any:
    import transformers

    auto = {"t5": transformers.AutoModelForSeq2SeqLM, "bert": transformers.AutoModelForSequenceClassification}
    folder = MAKERS[request.param](tmp_path_factory.mktemp("methods") / request.param)
    return request.param, auto.get(request.param, transformers.AutoModelForCausalLM).from_pretrained(folder)


def config(method: str, **changes: Any) -> configs.TrainConfig:
    return configs.make({"dataset": "d", "model": "m", "task": "causal", "method": method, **changes})


def trained(model: Any) -> set[str]:
    return {name for name, weight in model.named_parameters() if weight.requires_grad}


STACKS = {
    "t5": ["encoder.block.0.", "encoder.block.1.", "decoder.block.0.", "decoder.block.1."],
    "phi": ["model.layers.0.", "model.layers.1."],
    "llama": ["model.layers.0.", "model.layers.1."],
    "bert": [f"bert.encoder.layer.{number}." for number in range(4)],
}
ABOVE = {
    "t5": {"decoder.final_layer_norm.weight"},
    "phi": {"model.final_layernorm.weight", "model.final_layernorm.bias", "lm_head.weight", "lm_head.bias"},
    "llama": {"model.norm.weight", "lm_head.weight"},
    "bert": {"bert.pooler.dense.weight", "bert.pooler.dense.bias", "classifier.weight", "classifier.bias"},
}


def within(model: Any, prefixes: list[str]) -> set[str]:
    return {name for name, _ in model.named_parameters() if name.startswith(tuple(prefixes))}


def test_a_models_parts_from_the_bottom_to_the_top(built: Any) -> None:
    name, model = built
    names = {id(weight): found for found, weight in model.named_parameters()}
    parts = [{names[id(weight)] for weight in part} for part in methods.layers(model)]
    assert len(parts) == len(STACKS[name]) + 2
    for part, prefix in zip(parts[1:-1], STACKS[name], strict=True):
        assert within(model, [prefix]) <= part
    assert parts[-1] == ABOVE[name]
    assert set.union(*parts) == set(names.values())
    assert sum(map(len, parts)) == len(names)  # none in two parts
    assert all("embed" in weight or "shared" in weight for weight in parts[0])


def test_full_top_and_freeze_leave_the_right_weights_to_learn(built: Any) -> None:
    name, model = built
    everything = {found for found, _ in model.named_parameters()}
    assert trained(methods.apply(model, config("full"))) == everything
    assert trained(methods.apply(model, config("top"))) == within(model, STACKS[name][-1:]) | ABOVE[name]
    upper = STACKS[name][len(STACKS[name]) // 2 :]
    assert trained(methods.apply(model, config("freeze"))) == within(model, upper) | ABOVE[name]
    one = trained(methods.apply(model, config("freeze", frozen_layers=1)))
    assert one >= within(model, STACKS[name][1:]) | ABOVE[name]
    assert not one & within(model, STACKS[name][:1])
    with pytest.raises(UserError, match="cannot stay frozen"):
        methods.apply(model, config("freeze", frozen_layers=len(STACKS[name])))


def test_gradual_opens_one_layer_more_per_equal_share_of_the_steps(built: Any) -> None:
    name, model = built
    opening = methods.unfreezing(methods.apply(model, config("gradual")), config("gradual"))
    count = len(STACKS[name])
    steps = 10 * count

    def at(step: int) -> set[str]:
        state = type("State", (), {"global_step": step, "max_steps": steps})()
        opening.on_step_begin(None, state, None)
        return trained(model)

    assert at(0) == at(9) == within(model, STACKS[name][-1:]) | ABOVE[name]
    assert at(10) >= within(model, STACKS[name][-2:])
    assert at(steps - 11) & within(model, STACKS[name][:1]) == set()
    assert at(steps - 1) == {found for found, _ in model.named_parameters()}
    assert at(0) == at(9)  # by the step alone: a resumed run is in its share at once


@pytest.mark.parametrize("method", ["lora", "rslora", "dora"])
def test_an_adapter_of_the_wanted_kind_is_put_in(tiny_card: ModelCard, method: str) -> None:
    values = {"rank": 4, "alpha": 16, "dropout": 0.1, "target_modules": ["q_proj", "down_proj"]}
    wanted = config(method, **{**values, "model": "tiny"})
    model = methods.apply(tasks.load(wanted, [], 0, lambda *_: None).model, wanted)
    found = model.peft_config["default"]
    assert (found.r, found.lora_alpha, found.lora_dropout) == (4, 16, 0.1)
    assert (found.use_rslora, found.use_dora) == (method == "rslora", method == "dora")
    scaling = 16 / 2 if method == "rslora" else 16 / 4
    layer = model.base_model.model.model.layers[0].self_attn.q_proj
    assert layer.scaling["default"] == scaling
    adapted = {name.split(".lora_")[0].rpartition(".")[2] for name in trained(model)}
    assert adapted == {"q_proj", "down_proj"}
    assert all("lora_" in name for name in trained(model))


def test_layers_the_model_does_not_have_are_named(tiny_card: ModelCard) -> None:
    wanted = config("lora", model="tiny", target_modules=["q_proj", "query_key_value"])
    model = tasks.load(wanted, [], 0, lambda *_: None).model
    with pytest.raises(UserError, match=r"no layers named query_key_value.*down_proj"):
        methods.apply(model, wanted)


@pytest.mark.parametrize("method", ["qlora-4bit", "qlora-8bit"])
def test_a_quantized_base_goes_on_learning_after_it_was_measured(
    tiny_card: ModelCard, tmp_path: Path, method: str
) -> None:
    """A 4-bit layer that was repacked for inference passes no gradient on: the loss would stay where it was."""
    wanted = training.config(
        training.dataset_file(tmp_path), method=method, max_steps=24, eval_steps=4, batch_size=4, checkpointing=True
    )
    folder = training.prepared(wanted)
    training.train(folder)
    losses, measured = training.losses(folder), training.losses(folder, "eval_loss")
    assert sum(losses[-4:]) < 0.7 * sum(losses[4:8])  # the first measurement was before the first step
    assert measured[-1] < measured[2] < measured[0]
    assert min(training.losses(folder, "grad_norm")) > 0
    assert cards.card("tiny").lora_targets == configs.load(str(folder / "config.toml")).target_modules
