"""Models on disk: whole or not there, fetched once, and the one that answers by default."""

import json
import shutil
from pathlib import Path

import pytest

from core.errors import UserError
from core.models import cards, loading, store
from core.models.cards import ModelCard
from core.settings import settings
from tests.helpers import tiny
from tests.helpers.isolation import add_card


def test_prepared_from_a_directory_it_is_ready_and_loads(tiny_card: ModelCard, tiny_model_dir: Path) -> None:
    assert store.is_ready(tiny_card)
    assert store.is_usable(tiny_card)
    manifest = json.loads((store.directory(tiny_card) / store.MANIFEST).read_text("utf-8"))
    assert set(manifest["files"]) == {path.name for path in tiny_model_dir.iterdir()}
    model, tokenizer = loading.load_generator(tiny_card)
    assert not model.training
    assert tokenizer.padding_side == "left"


@pytest.mark.parametrize("damage", ["missing", "truncated", "grown", "no manifest"])
def test_a_damaged_model_is_not_ready_and_is_prepared_again(tiny_card: ModelCard, damage: str) -> None:
    weights = store.directory(tiny_card) / "model.safetensors"
    whole = weights.read_bytes()
    if damage == "missing":
        weights.unlink()
    elif damage == "no manifest":
        (store.directory(tiny_card) / store.MANIFEST).unlink()
    else:
        weights.write_bytes(whole[:-1] if damage == "truncated" else whole + b"x")
    assert not store.is_ready(tiny_card)
    with pytest.raises(UserError, match="is not downloaded yet"):
        loading.load_generator(tiny_card)
    store.prepare(tiny_card)
    assert store.is_ready(tiny_card)
    assert weights.read_bytes() == whole


def test_a_model_that_is_here_is_not_fetched_again(tiny_card: ModelCard) -> None:
    before = (store.directory(tiny_card) / store.MANIFEST).read_bytes()
    store.prepare(tiny_card)
    assert (store.directory(tiny_card) / store.MANIFEST).read_bytes() == before


def test_a_model_another_installation_prepared_can_be_a_source(tiny_card: ModelCard, tmp_path: Path) -> None:
    """Such a directory has a manifest of its own in it."""
    theirs = shutil.copytree(store.directory(tiny_card), tmp_path / "theirs")
    assert store.is_ready(add_card("second", "generate", theirs))


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


def test_a_full_disk_is_seen_before_anything_is_fetched(tiny_model_dir: Path) -> None:
    text = tiny.card_toml("huge", "generate", tiny_model_dir).replace("size = 1000000\n", f"size = {10**18}\n")
    settings().models_dir.mkdir(parents=True)
    (settings().models_dir / "cards.toml").write_text(text, "utf-8")
    with pytest.raises(UserError, match="of disk while it is prepared"):
        store.prepare(cards.card("huge"))


def test_removed_it_is_gone(tiny_card: ModelCard) -> None:
    store.remove(tiny_card)
    assert not store.is_ready(tiny_card)
    with pytest.raises(UserError, match="is not on this disk"):
        store.remove(tiny_card)


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
