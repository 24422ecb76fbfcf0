"""The training config: every value out of range is named, and what is written is what is read."""

from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.models import cards
from core.models.cards import ModelCard
from core.training import config as configs
from core.training import datasets
from core.training.config import TrainConfig

OUT_OF_RANGE: list[tuple[str, Any]] = [
    ("name", ""),
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
    ("dataset", 7),
    ("model", 7),
]


@pytest.mark.parametrize(("field", "value"), OUT_OF_RANGE, ids=str)
def test_a_value_out_of_range_is_named(field: str, value: Any) -> None:
    with pytest.raises(UserError) as caught:
        configs.make({"dataset": "d", field: value})
    assert caught.value.message.startswith(f"{field} = {value}: ")


def test_every_field_has_a_bad_value_above() -> None:
    assert {field for field, _ in OUT_OF_RANGE} == set(TrainConfig.model_fields)


def test_every_field_is_described() -> None:
    assert all(field.description for field in TrainConfig.model_fields.values())


def test_a_missing_data_set_and_an_unknown_field_are_named() -> None:
    with pytest.raises(UserError, match="dataset = –: Field required"):
        configs.make({})
    with pytest.raises(UserError, match="rnak = 8: "):
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
    with pytest.raises(UserError, match="--set rank is not key=value"):
        configs.parse_overrides(["rank"])


def test_a_config_survives_its_file(tmp_path: Path) -> None:
    config = configs.make(
        {"dataset": 'C:\\data\\"名".csv', "name": "名字 {x}", "target_modules": ["q_proj"], "dropout": 0.05, "seed": 3}
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
    assert config.resolved().target_modules


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


def test_a_model_that_cannot_generate_is_refused() -> None:
    embedder = next(card for card in cards.catalog().values() if card.task == "embed")
    with pytest.raises(UserError, match="cannot be fine-tuned"):
        configs.make({"dataset": "d", "model": embedder.name}).resolved()
