"""The adapters that come with the app: whole, small, of a model of the catalog, and made of what they say."""

import hashlib
import importlib.util
import json
import tomllib
from pathlib import Path

import pytest

from core.models import adapters, cards
from core.training import config

LIMIT = 12_000_000  # bytes of weights


@pytest.mark.parametrize("name", adapters.shipped())
def test_a_shipped_adapter_is_whole_and_small(name: str) -> None:
    from safetensors import safe_open

    own = adapters.shipped()[name]
    assert own.folder.name == name
    assert own.note.keys() == {"en", "zh"}
    made = tomllib.loads((own.folder / "config.toml").read_text("utf-8"))
    peft = json.loads((own.folder / "adapter_config.json").read_text("utf-8"))
    assert cards.card(own.model).name == config.make(made).model == peft["base_model_name_or_path"]
    assert (peft["r"], peft["lora_alpha"], peft["target_modules"]) == (
        made["rank"],
        made["alpha"],
        sorted(made["target_modules"]),
    )
    weights = own.folder / "adapter_model.safetensors"
    assert weights.stat().st_size <= LIMIT
    with safe_open(weights, "pt") as tensors:
        adapted = {key.split(".lora_")[0].rpartition(".")[2] for key in tensors.keys()}  # noqa: SIM118
    assert adapted == set(made["target_modules"])
    assert not list(own.folder.glob("*.bin")) + list(own.folder.glob("*.pt"))


def test_it_is_for_its_model_and_language_only() -> None:
    own = adapters.reader("SmolLM2-135M-Instruct", "zh")
    assert own is not None and own.name == "rag-qa-zh"
    assert adapters.reader("SmolLM2-135M-Instruct", "en") is None
    assert adapters.reader("Yuan2-2B-Mars", "zh") is None


def test_the_conversations_it_learned_are_made_again(tmp_path: Path) -> None:
    folder = adapters.shipped()["rag-qa-zh"].folder
    spec = importlib.util.spec_from_file_location("conversations", folder / "conversations.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.main(tmp_path)
    found = hashlib.sha256((tmp_path / "train.jsonl").read_bytes()).hexdigest()
    assert found[:12] in (folder / "README.md").read_text("utf-8")
    losses = [json.loads(line) for line in (folder / "metrics.jsonl").read_text("utf-8").splitlines()]
    assert f"{[row['eval_loss'] for row in losses if 'eval_loss' in row][-1]:.3f}" in (folder / "README.md").read_text(
        "utf-8"
    )
