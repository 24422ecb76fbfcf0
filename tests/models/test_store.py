"""Models on disk: whole or not there, fetched once, and the one that answers by default."""

import json
import shutil
from pathlib import Path

import pytest

from core.errors import UserError, sentence
from core.models import cards, downloads, loading, preparing, store
from core.models.cards import ModelCard
from core.settings import settings
from tests.helpers.isolation import add_card


def test_a_directory_of_the_persons_own_is_used_in_place(tiny_card: ModelCard, tiny_model_dir: Path) -> None:
    assert store.directory(tiny_card) == tiny_model_dir
    assert store.is_ready(tiny_card)
    assert store.is_usable(tiny_card)
    assert not (settings().models_dir / "tiny").exists()
    assert downloads.state(tiny_card).kind == downloads.READY
    assert downloads.state(tiny_card).size == sum(path.stat().st_size for path in tiny_model_dir.iterdir())
    model, tokenizer = loading.load_generator(tiny_card)
    assert not model.training
    assert tokenizer.padding_side == "left"


def test_a_directory_of_the_persons_own_is_never_deleted(tiny_card: ModelCard, tiny_model_dir: Path) -> None:
    with pytest.raises(UserError, match="a directory of your own"):
        store.remove(tiny_card)
    with pytest.raises(UserError, match="a directory of your own"):
        downloads.remove(tiny_card)
    assert (tiny_model_dir / "config.json").is_file()


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("config.json", "has no config.json"),
        ("model.safetensors", "has no .safetensors files"),
        ("", "There is no model directory"),
    ],
)
def test_what_a_directory_of_the_persons_own_lacks_is_named(
    tiny_model_dir: Path, tmp_path: Path, missing: str, said: str
) -> None:
    folder = shutil.copytree(tiny_model_dir, tmp_path / "own")
    card = add_card("own", "generate", folder)
    (folder / missing).unlink() if missing else shutil.rmtree(folder)
    assert not store.is_ready(card)
    state = downloads.state(card)
    assert state.kind == downloads.BROKEN
    assert said in sentence(state.error)
    with pytest.raises(UserError, match=said):
        preparing.prepare(card)


def test_a_shard_that_an_index_names_must_be_there(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_dir, tmp_path / "own")
    index = {"weight_map": {"a": "model.safetensors", "b": "model-00002-of-00002.safetensors"}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index), "utf-8")
    with pytest.raises(UserError, match="lacks its file model-00002-of-00002"):
        add_card("own", "generate", folder)


def test_a_merged_model_can_be_a_card_and_is_not_deleted(tiny_model_dir: Path) -> None:
    """It lies among the fetched ones, and is the person's own all the same."""
    folder = shutil.copytree(tiny_model_dir, settings().models_dir / "merged")
    card = add_card("mine", "generate", folder)
    assert store.is_ready(card)
    with pytest.raises(UserError, match="a directory of your own"):
        store.remove(card)


def test_a_source_that_is_not_there_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no model directory"):
        add_card("gone", "generate", tmp_path / "gone")
    assert not [p for p in settings().models_dir.iterdir() if p.is_dir()]
    assert not store.is_ready(cards.card("gone"))


def test_the_next_source_is_tried(tmp_path: Path, tiny_model_dir: Path) -> None:
    second = f'[[model.sources]]\nkind = "path"\nid = "{tmp_path / "gone"}"\n'
    card = add_card("tiny", "generate", tiny_model_dir, extra=second)
    assert [source.id for source in card.sources] == [str(tmp_path / "gone"), str(tiny_model_dir)]
    assert store.is_ready(card)


def test_the_setting_decides_which_model_answers(tiny_card: ModelCard) -> None:
    assert store.default_generator().name == "tiny"


def test_without_a_gpu_the_embedded_model_answers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "is_usable", lambda card: True)
    monkeypatch.setattr(store, "has_gpu", lambda: False)
    assert store.default_generator().name == "SmolLM2-135M-Instruct"
    assert store.default_embedder().name == "multilingual-e5-small"


@pytest.mark.parametrize(("usable", "expected"), [(True, "Yuan2-2B-Mars"), (False, "SmolLM2-135M-Instruct")])
def test_with_a_gpu_yuan_answers_once_it_is_usable(
    monkeypatch: pytest.MonkeyPatch, usable: bool, expected: str
) -> None:
    monkeypatch.setattr(store, "has_gpu", lambda: True)
    monkeypatch.setattr(store, "is_usable", lambda card: usable)
    assert store.default_generator().name == expected


def test_has_gpu_asks_the_driver_and_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    from core import hardware

    monkeypatch.setattr(hardware, "gpus", lambda: (("Test GPU", 8 * 2**30),))
    assert not hardware.has_gpu(), "the setting of the tests says cpu"
    monkeypatch.setenv("YUAN_DEVICE", "auto")
    settings.cache_clear()
    assert hardware.has_gpu()
    monkeypatch.setattr(hardware, "gpus", lambda: ())
    assert not hardware.has_gpu()


@pytest.mark.parametrize("module", ["core.no_such_module", "no_such_package.module"])
def test_an_architecture_this_version_does_not_know(tiny_model_dir: Path, module: str) -> None:
    card = add_card("odd", "generate", tiny_model_dir, extra=f'register = "{module}"\n')
    assert store.is_ready(card)
    assert not store.is_usable(card)
    with pytest.raises(UserError, match="cannot run its architecture"):
        loading.load_generator(card)


def test_a_directory_that_does_not_load_is_said_in_words(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_dir, tmp_path / "odd")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "unheard-of"}), "utf-8")
    card = add_card("odd", "generate", folder)
    with pytest.raises(UserError, match="could not be loaded"):
        loading.load_generator(card)


def test_code_that_came_with_a_model_is_not_run(tiny_model_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_model_dir, tmp_path / "evil")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    auto = {"AutoConfig": "evil.EvilConfig", "AutoModelForCausalLM": "evil.Evil"}
    (folder / "config.json").write_text(json.dumps({**config, "model_type": "evil", "auto_map": auto}), "utf-8")
    witness = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(witness)!r}, 'w')\nclass EvilConfig: ...\nclass Evil: ...\n", "utf-8")
    card = add_card("evil", "generate", folder)
    with pytest.raises(UserError):
        loading.load_generator(card)
    assert not witness.exists()
