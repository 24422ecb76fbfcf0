"""A person's own cards: what a directory is, is told from its files; what is wrong with one, in words."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from core import jobs
from core.errors import UserError
from core.models import cards, downloads, loading, own, store
from core.models.cards import ModelCard
from core.settings import settings
from tests.helpers import checkpoints, tiny
from tests.helpers.yuan import make_yuan

MAKERS: dict[str, Callable[[Path], Path]] = {
    "llama": lambda folder: checkpoints.causal(folder, "llama"),
    "qwen2": lambda folder: checkpoints.causal(folder, "qwen2"),
    "phi": lambda folder: checkpoints.causal(folder, "phi"),
    "t5": checkpoints.t5,
    "classifier": checkpoints.bert_classifier,
    "masked": checkpoints.bert_masked,
    "encoder": checkpoints.bert_embedder,
    "sentence": tiny.make_embedder,
    "reranker": checkpoints.reranker,
}


@pytest.mark.parametrize(
    ("kind", "task", "targets"),
    [
        ("llama", "generate", ["q_proj", "v_proj"]),
        ("qwen2", "generate", ["q_proj", "v_proj"]),
        ("phi", "generate", ["q_proj", "v_proj", "fc1", "fc2"]),
        ("t5", "seq2seq", ["q", "v"]),
        ("classifier", "classify", ["query", "value"]),
        ("masked", "classify", ["query", "value"]),
        ("encoder", "embed", []),
        ("sentence", "embed", []),
        ("reranker", "rerank", []),
    ],
)
def test_a_directory_tells_what_it_is(kind: str, task: str, targets: list[str], tmp_path: Path) -> None:
    folder = MAKERS[kind](tmp_path / "model")
    card = own.from_directory(folder, "mine")
    assert (card.name, card.title, card.task, card.lora_targets) == ("mine", "model", task, targets)
    assert card.parameters == sum(t.numel() for t in load_file(folder / "model.safetensors").values())
    assert card.size == sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    own.add(card)
    assert cards.card("mine") == card
    assert store.is_usable(card)
    assert store.directory(card) == folder
    door = {"classify": loading.load_classifier, "embed": loading.load_embedder, "rerank": loading.load_reranker}
    assert door.get(task, loading.load_generator)(card)


def test_a_classifiers_labels_are_those_of_its_files(tmp_path: Path) -> None:
    named = checkpoints.bert_classifier(tmp_path / "named", ("b", "a", "c"))
    assert own.from_directory(named).labels == ["b", "a", "c"]
    assert (
        own.from_directory(checkpoints.bert_classifier(tmp_path / "un", ("LABEL_0", "LABEL_1", "LABEL_2"))).labels == []
    )


def test_a_saved_cross_encoder_is_a_reranker(tmp_path: Path) -> None:
    from sentence_transformers import CrossEncoder

    CrossEncoder(str(checkpoints.reranker(tmp_path / "plain"))).save_pretrained(str(tmp_path / "saved"))
    assert own.from_directory(tmp_path / "saved").task == "rerank"


def test_a_family_peft_does_not_know_is_adapted_in_the_linear_layers_of_its_blocks(tmp_path: Path) -> None:
    from transformers import Lfm2Config, Lfm2ForCausalLM

    config = Lfm2Config(
        **checkpoints.SMALL, vocab_size=64, num_key_value_heads=2, layer_types=["full_attention", "conv"]
    )
    Lfm2ForCausalLM(config).save_pretrained(tmp_path / "lfm2")
    targets = own.from_directory(tmp_path / "lfm2").lora_targets
    assert {"q_proj", "k_proj", "v_proj", "out_proj", "w1"} <= set(targets)
    assert not {"embed_tokens", "lm_head", "conv", "operator_norm"} & set(targets)


@pytest.mark.parametrize(
    ("architecture", "task"), [("YuanForCausalLM", "generate"), ("YuanForSequenceClassification", "classify")]
)
def test_yuan_gets_its_architecture_template_and_layers(architecture: str, task: str, tmp_path: Path) -> None:
    folder = checkpoints.causal(tmp_path / "yuan", "llama")
    config = json.loads((folder / "config.json").read_text("utf-8"))
    config |= {"model_type": "yuan", "architectures": [architecture]}
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    card, shipped = own.from_directory(folder), cards.card("Yuan2-2B-Mars")
    assert (card.task, card.register_module) == (task, "core.yuan2")
    assert (card.chat_template, card.lora_targets) == (shipped.chat_template, shipped.lora_targets)


def test_a_copy_of_a_known_model_keeps_what_no_file_tells(tmp_path: Path) -> None:
    """The name is the one ModelScope gives the folder."""
    card = own.from_directory(checkpoints.bert_embedder(tmp_path / "bge-small-zh-v1___5"))
    shipped = cards.card("bge-small-zh-v1.5")
    assert (card.pooling, card.prompts, card.license) == ("cls", shipped.prompts, "MIT")
    assert not card.note


def test_licence_and_languages_are_read_from_the_readme(tmp_path: Path) -> None:
    folder = checkpoints.bert_embedder(tmp_path / "model")
    (folder / "README.md").write_text("---\nlicense: apache-2.0\nlanguage:\n- zh\n- en\n---\nText.\n", "utf-8")
    card = own.from_directory(folder)
    assert (card.license, card.languages) == ("apache-2.0", ["zh", "en"])
    (folder / "README.md").write_text("---\nlicense: [\n---\n", "utf-8")
    assert own.from_directory(folder).license == ""


def spoil(folder: Path, how: str) -> Path:
    if how == "gone":
        shutil.rmtree(folder)
    elif how == "no config":
        (folder / "config.json").unlink()
    elif how == "no weights":
        (folder / "model.safetensors").unlink()
    elif how == "damaged":
        (folder / "model.safetensors").write_bytes(b"not that")
    else:
        config = {"model_type": how, "architectures": [f"{how.title()}ForImages"]}
        (folder / "config.json").write_text(json.dumps(config), "utf-8")
    return folder


@pytest.mark.parametrize(
    ("how", "message"),
    [
        ("gone", "There is no model directory"),
        ("no config", r"has no config\.json"),
        ("no weights", r"has no \.safetensors files"),
        ("damaged", "not a whole safetensors file"),
        ("vit", "architecture VitForImages .* is not known"),
        ("unheard-of", "is not known"),
    ],
)
def test_a_directory_that_is_no_model_is_refused_in_words(how: str, message: str, tmp_path: Path) -> None:
    folder = spoil(checkpoints.causal(tmp_path / "model", "llama"), how)
    with pytest.raises(UserError, match=message):
        own.from_directory(folder)


def test_what_a_person_types_is_a_directory_or_a_hubs_id(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    checkpoints.causal(tmp_path / "here" / "model", "llama")
    assert own.describe("here/model").sources[0].kind == "path"
    for source, hub, kind in (("a/b-1.5", "", "modelscope"), ("a/b-1.5", "huggingface", "huggingface")):
        card = own.describe(source, hub)
        assert (card.name, card.sources[0].kind, card.sources[0].id) == ("b-1.5", kind, "a/b-1.5")
        assert card.parameters == card.size == 0
    assert own.describe("here/model", "huggingface").sources[0].kind == "huggingface"
    with pytest.raises(UserError, match="no model directory"):
        own.describe("nowhere")
    with pytest.raises(UserError, match="is not a hub's model id"):
        own.describe("a/b/c", "modelscope")


@pytest.mark.parametrize("name", ["../elsewhere", "a/b", ".hidden", "SmolLM2-135M-Instruct", "folder"])
def test_a_name_that_is_taken_or_no_folders_name_is_refused(name: str, tiny_model_dir: Path) -> None:
    (settings().models_dir / "folder").mkdir(parents=True)
    with pytest.raises(UserError, match="is taken or not usable"):
        own.add(own.from_directory(tiny_model_dir, name))
    assert not own.own()


def test_a_merged_model_can_be_added_where_it_lies(tiny_model_dir: Path) -> None:
    folder = shutil.copytree(tiny_model_dir, settings().models_dir / "merged")
    card = own.add(own.from_directory(folder))
    assert store.directory(card) == folder
    own.remove_own("merged")
    assert folder.exists(), "a directory of one's own is not deleted"


def test_cards_are_added_and_removed_one_by_one(tiny_model_dir: Path) -> None:
    first = own.add(own.from_directory(tiny_model_dir, "first"))
    second = own.add(own.describe("someone/second"))
    with pytest.raises(UserError, match="is taken"):
        own.add(second)
    assert own.own() == {"first": first, "second": second}
    own.remove_own("first")
    assert list(own.own()) == ["second"]
    with pytest.raises(UserError, match="not a card of your own"):
        own.remove_own("first")
    with pytest.raises(UserError, match="not a card of your own"):
        own.remove_own("SmolLM2-135M-Instruct")


def test_a_card_keeps_every_field_in_its_file(tiny_model_dir: Path) -> None:
    shipped = cards.card("t5-small")
    card = ModelCard.model_validate({**shipped.model_dump(), "name": "copy", "prompts": {"query": '引号"\n换行'}})
    own.add(card)
    assert cards.card("copy") == card


def test_removing_a_card_removes_what_was_downloaded_for_it(tiny_model_dir: Path) -> None:
    card = own.add(own.describe("someone/model"))
    downloaded(card, tiny_model_dir)
    own.remove_own("model")
    assert not store.directory(card).exists()


def downloaded(card: ModelCard, folder: Path) -> None:
    """Put a model where its download would, with the manifest that makes it whole."""
    target = shutil.copytree(folder, settings().models_dir / card.name)
    sizes = {path.name: path.stat().st_size for path in target.iterdir()}
    (target / store.MANIFEST).write_text(json.dumps({"files": sizes}), "utf-8")


def test_a_hubs_model_is_described_once_it_is_here(tmp_path: Path) -> None:
    card = own.add(own.describe("someone/reranker"))
    assert own.complete(card) == card, "nothing is known before it is here"
    downloaded(card, checkpoints.reranker(tmp_path / "reranker"))
    full = own.complete(card)
    assert (full.task, full.sources) == ("rerank", card.sources)
    assert full.parameters > 0 < full.size
    assert cards.card("reranker") == full
    assert loading.load_reranker(full)


def test_a_hubs_model_of_an_unknown_kind_keeps_its_card(tmp_path: Path) -> None:
    card = own.add(own.describe("someone/odd"))
    downloaded(card, spoil(checkpoints.causal(tmp_path / "odd", "llama"), "vit"))
    assert own.complete(card) == card == cards.card("odd")


def test_a_directory_of_pickles_is_converted_once_and_stays_as_it_is(tmp_path: Path) -> None:
    folder = make_yuan(tmp_path / "Yuan2-published", weights="bin")
    (folder / "yuan_hf_model.py").write_text("raise SystemExit('run')")
    before = tiny.fingerprint(folder)
    card = own.add(own.describe(str(folder)))
    assert (card.task, card.register_module, card.lora_targets[0]) == ("generate", "core.yuan2", "q_proj")
    assert downloads.state(card).kind == downloads.ABSENT
    downloads.start(card)
    assert downloads.wait(card).status == jobs.FINISHED
    card = cards.card(card.name)
    assert card.parameters == sum(weight.numel() for weight in loading.load_generator(card)[0].parameters())
    here = {path.name for path in store.directory(card).iterdir()}
    assert "model.safetensors" in here
    assert here.isdisjoint({"pytorch_model.bin", "yuan_hf_model.py"})
    own.remove_own(card.name)
    assert not store.directory(card).exists()
    assert tiny.fingerprint(folder) == before
