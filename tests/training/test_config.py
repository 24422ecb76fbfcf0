"""The training config: every value out of range is named, and what is written is what is read."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.models.cards import ModelCard
from core.training import config as configs
from core.training.config import TrainConfig
from core.training.data import datasets

OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("name", "x" * 61),
    ("rank", 0),
    ("rank", 257),
    ("alpha", 0),
    ("alpha", 1025),
    ("dropout", -0.1),
    ("dropout", 1.0),
    ("learning_rate", 0),
    ("learning_rate", 0.2),
    ("learning_rate", float("nan")),
    ("learning_rate", "fast"),
    ("epochs", 0),
    ("epochs", 101),
    ("max_steps", -1),
    ("max_steps", 1_000_001),
    ("batch_size", 0),
    ("batch_size", 513),
    ("batch_size", 1.5),
    ("accumulation", 0),
    ("accumulation", 1025),
    ("max_length", 15),
    ("max_length", 32769),
    ("warmup", -0.1),
    ("warmup", 0.95),
    ("seed", -1),
    ("seed", 2**31),
    ("eval_rows", -1),
    ("eval_rows", 10_001),
    ("eval_steps", 0),
    ("eval_steps", 1_000_001),
    ("target_modules", "q_proj"),
    ("mixture", "d"),
    ("task", "translate"),
    ("learn", "prompts"),
    ("method", "loha"),
    ("frozen_layers", -1),
    ("frozen_layers", 201),
    ("scheduler", "step"),
    ("optimizer", "sgd"),
    ("weight_decay", -0.1),
    ("weight_decay", 1.1),
    ("group_by_length", "perhaps"),
    ("precision", "float16"),
    ("checkpointing", "perhaps"),
    ("prompts", ["a", "b", "c", "d"]),
    ("beams", 0),
    ("beams", 17),
    ("early_stopping", -1),
    ("early_stopping", 101),
    ("keep_best", "perhaps"),
    ("keep_checkpoints", 0),
    ("keep_checkpoints", 101),
    ("merge_at_end", "x" * 61),
    ("report_to", "wandb"),
    ("dataset", 7),
    ("model", 7),
]


@pytest.mark.parametrize(("field", "value"), OUT_OF_RANGE, ids=str)
def test_a_value_out_of_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        configs.make({"dataset": "d", field: value})
    assert caught.value.message.startswith(f"{field} = {value}: ")


@pytest.mark.parametrize("name", ["", "  "])
def test_a_run_without_a_name_is_refused_in_words(name: str) -> None:
    with pytest.raises(UserError, match="A run needs a name"):
        configs.make({"dataset": "d", "name": name})


def test_every_field_has_a_bad_value_above() -> None:
    assert {field for field, _ in OUT_OF_RANGE} == set(TrainConfig.model_fields)


def test_every_field_is_described() -> None:
    assert all(field.description for field in TrainConfig.model_fields.values())


@pytest.mark.parametrize("weight", [0, -1, 101, "much"])
def test_a_weight_out_of_range_names_its_data_set(weight: Any) -> None:
    with pytest.raises(UserError, match=rf"mixture\.other = {weight}: "):
        configs.make({"dataset": "d", "mixture": {"other": weight}})


def test_a_missing_data_set_and_an_unknown_field_are_named() -> None:
    with pytest.raises(UserError, match="dataset = –: Field required"):
        configs.make({})
    with pytest.raises(UserError, match=r"no field “rnak”.*rank, alpha"):
        configs.make({"dataset": "d", "rnak": 8})


def test_an_assignment_is_checked_too() -> None:
    config = configs.make({"dataset": "d"})
    with pytest.raises(ValueError, match="less than or equal to 256"):
        config.rank = 1000


def test_overrides_are_converted_and_checked() -> None:
    pairs = ["rank=16", "learning_rate=1e-3", " name = my = run ", "target_modules=q_proj, v_proj"]
    config = configs.make({"dataset": "d", **configs.parse_overrides(pairs)})
    assert (config.rank, config.learning_rate, config.name) == (16, 1e-3, "my = run")
    assert config.target_modules == ["q_proj", "v_proj"]
    assert configs.parse_overrides(["target_modules="]) == {"target_modules": []}
    pairs = ["mixture=rag-qa-en=0.5, C:/a=b.csv=2", "prompts=Who, and why? | 你是谁？", "group_by_length=false"]
    config = configs.make({"dataset": "d", **configs.parse_overrides(pairs)})
    assert config.mixture == {"rag-qa-en": 0.5, "C:/a=b.csv": 2.0}
    assert config.prompts == ["Who, and why?", "你是谁？"]
    assert config.group_by_length is False
    with pytest.raises(UserError, match="--set rank is not key=value"):
        configs.parse_overrides(["rank"])


def test_what_is_spoken_is_what_is_read() -> None:
    values = {"mixture": {"a": 0.5, "b": 2.0}, "prompts": ["a, b", "c"], "target_modules": ["q", "v"], "dropout": 0.1}
    config = configs.make({"dataset": "d", **values})
    pairs = [f"{name}={configs.spoken(name, value)}" for name, value in config.model_dump().items()]
    assert configs.make(configs.parse_overrides(pairs)) == config


def test_a_config_survives_its_file(tmp_path: Path) -> None:
    config = configs.make(
        {
            "dataset": 'C:\\data\\"名".csv',
            "name": "名字 {x}",
            "target_modules": ["q_proj"],
            "dropout": 0.05,
            "seed": 3,
            "mixture": {"set.x": 0.5},
            "prompts": ['"?"\n'],
        }
    )
    configs.save(config, tmp_path / "config.toml")
    assert configs.load(str(tmp_path / "config.toml")) == config
    assert configs.load(str(tmp_path / "config.toml"), {"seed": 4}) == config.model_copy(update={"seed": 4})


@pytest.mark.parametrize("name", configs.recipes())
def test_every_recipe_loads_and_its_data_is_here(name: str) -> None:
    config = configs.load(name)
    assert config.name
    data = datasets.load(config.dataset)
    assert data.train
    assert data.test
    assert config.resolved(data.kind).task


def test_there_is_a_recipe() -> None:
    assert "resume-extraction" in configs.recipes()


def test_an_unknown_recipe_names_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"no recipe or file “nowhere”.*resume-extraction"):
        configs.load("nowhere")


@pytest.mark.parametrize("data", [b"rank = ", b"\xff\xfe"])
def test_a_file_that_is_not_toml(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "broken.toml").write_bytes(data)
    with pytest.raises(UserError, match=r"broken\.toml is not a TOML file"):
        configs.load(str(tmp_path / "broken.toml"))


def test_empty_fields_are_filled_from_the_card(tiny_card: ModelCard) -> None:
    config = configs.make({"dataset": "d"}).resolved()
    assert (config.model, config.target_modules) == ("tiny", tiny_card.lora_targets)
    mine = configs.make({"dataset": "d", "target_modules": ["q_proj"], "model": "SmolLM2-135M-Instruct"}).resolved()
    assert (mine.model, mine.target_modules) == ("SmolLM2-135M-Instruct", ["q_proj"])


def test_the_task_follows_from_card_and_data(own_data_dir: Path) -> None:
    def task(model: str, kind: str) -> str:
        return configs.make({"dataset": "d", "model": model}).resolved(kind).task

    assert task("SmolLM2-135M-Instruct", "chat") == task("SmolLM2-135M-Instruct", "text") == "causal"
    assert task("t5-small", "chat") == "seq2seq"
    assert task("bert-base-uncased", "label") == task("multilingual-e5-small", "label") == "classify"
    assert configs.make({"dataset": "d"}).resolved("label").model == "multilingual-e5-small"


@pytest.mark.parametrize(
    ("model", "kind", "task"),
    [
        ("multilingual-e5-small", "chat", ""),
        ("SmolLM2-135M-Instruct", "label", ""),
        ("SmolLM2-135M-Instruct", "chat", "seq2seq"),
        ("bert-base-uncased", "chat", "classify"),
    ],
)
def test_a_model_that_cannot_learn_the_task_is_refused(model: str, kind: str, task: str) -> None:
    with pytest.raises(UserError, match="cannot be fine-tuned"):
        configs.make({"dataset": "d", "model": model, "task": task}).resolved(kind)
