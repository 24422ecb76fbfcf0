"""Every architecture of the catalog goes through the one door, and gives what its library gives without us."""

import re
import shutil
from pathlib import Path

import pytest

from core.errors import UserError
from core.models import cards, loading
from tests.helpers import checkpoints
from tests.helpers.isolation import add_card

TEXTS = ["广州大学在哪里？", "What is a llama?", "The quick brown fox jumps over the lazy dog."]
PREFIX = "为这个句子生成表示以用于检索相关文章："


@pytest.mark.parametrize("family", ["llama", "qwen2", "phi"])
def test_a_causal_model_loads_and_batches_like_single(family: str, tmp_path: Path) -> None:
    import torch

    card = add_card(family, "generate", checkpoints.causal(tmp_path / family, family))
    model, tokenizer = loading.load_generator(card)
    assert not model.training
    assert next(model.parameters()).dtype == torch.float32
    assert tokenizer.padding_side == "left"
    batch = tokenizer(TEXTS, padding=True, return_tensors="pt")
    with torch.inference_mode():
        together = model.generate(**batch, max_new_tokens=6, min_new_tokens=6, do_sample=False)[:, -6:]
        alone = [
            model.generate(**tokenizer(t, return_tensors="pt"), max_new_tokens=6, min_new_tokens=6, do_sample=False)
            for t in TEXTS
        ]
    assert together.tolist() == [row[0, -6:].tolist() for row in alone]


def test_an_encoder_with_a_decoder_loads_with_its_end_token_and_right_padding(tmp_path: Path) -> None:
    card = add_card("t5", "seq2seq", checkpoints.t5(tmp_path / "t5"))
    model, tokenizer = loading.load_generator(card)
    assert model.config.is_encoder_decoder
    assert tokenizer.padding_side == "right"
    asked = tokenizer.apply_chat_template([{"role": "user", "content": "summarize: fox"}], tokenize=False)
    assert asked == "summarize: fox</s>"
    assert tokenizer(asked, add_special_tokens=False)["input_ids"] == tokenizer("summarize: fox")["input_ids"]


def test_a_model_without_a_chat_format_reads_the_messages_line_by_line(tmp_path: Path) -> None:
    card = add_card("phi", "generate", checkpoints.causal(tmp_path / "phi", "phi", chat_template=False))
    _, tokenizer = loading.load_generator(card)
    messages = [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]
    assert tokenizer.apply_chat_template(messages, tokenize=False) == "a\nb\n"


def test_a_card_can_name_the_type_of_the_weights(tmp_path: Path) -> None:
    import torch

    card = add_card("half", "generate", checkpoints.causal(tmp_path / "m", "llama"), 'dtype = "bfloat16"\n')
    assert next(loading.load_generator(card)[0].parameters()).dtype == torch.bfloat16


def test_a_classifier_keeps_the_labels_of_its_files(tmp_path: Path) -> None:
    card = add_card("bert", "classify", checkpoints.bert_classifier(tmp_path / "bert", ("差", "好", "极好")))
    model, _ = loading.load_classifier(card)
    assert model.config.id2label == {0: "差", 1: "好", 2: "极好"}


def test_a_pretrained_bert_gets_a_classifying_layer_with_the_cards_labels(tmp_path: Path) -> None:
    import torch

    folder = checkpoints.bert_masked(tmp_path / "bert")
    card = add_card("bert", "classify", folder, 'labels = ["a", "b", "c"]\n')
    model, tokenizer = loading.load_classifier(card)
    assert model.config.label2id == {"a": 0, "b": 1, "c": 2}
    with torch.inference_mode():
        assert model(**tokenizer(TEXTS, padding=True, return_tensors="pt")).logits.shape == (3, 3)


def test_bge_pools_the_first_token_and_prefixes_queries_only(tmp_path: Path) -> None:
    """The copy has no modules.json, which sentence-transformers alone would silently pool by the mean."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = checkpoints.bert_embedder(tmp_path / "bge")
    card = add_card("bge", "embed", folder, f'pooling = "cls"\nprompts = {{ query = "{PREFIX}" }}\n')
    embedder = loading.load_embedder(card)
    tokenizer, bert = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)

    def expected(text: str) -> torch.Tensor:
        with torch.inference_mode():
            first = bert(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 0]
        return first / first.norm()

    queries = embedder.encode(TEXTS, prompt_name="query", convert_to_tensor=True)
    passages = embedder.encode(TEXTS, prompt_name="passage", convert_to_tensor=True)
    for row, text in enumerate(TEXTS):
        torch.testing.assert_close(queries[row], expected(PREFIX + text), atol=1e-5, rtol=1e-4)
        torch.testing.assert_close(passages[row], expected(text), atol=1e-5, rtol=1e-4)


def test_the_shipped_bge_card_says_so() -> None:
    card = cards.card("bge-small-zh-v1.5")
    assert (card.pooling, card.prompts) == ("cls", {"query": PREFIX})


def test_an_embedder_with_files_of_its_own_keeps_their_pooling_and_prompts(tiny_embedder_dir: Path) -> None:
    card = add_card("st", "embed", tiny_embedder_dir, 'pooling = "cls"\n')
    embedder = loading.load_embedder(card)
    assert embedder[1].pooling_mode == "mean"
    assert embedder.prompts["query"] == embedder.prompts["passage"] == "text: "


def test_code_that_came_with_an_embedder_is_not_run(tiny_embedder_dir: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tiny_embedder_dir, tmp_path / "evil")
    modules = (folder / "modules.json").read_text("utf-8")
    (folder / "modules.json").write_text(
        re.sub(r'"sentence_transformers\.[^"]*Normalize"', '"evil.Evil"', modules), "utf-8"
    )
    witness = tmp_path / "ran"
    (folder / "evil.py").write_text(f"open({str(witness)!r}, 'w')\nclass Evil: ...\n", "utf-8")
    with pytest.raises(UserError, match="could not be loaded"):
        loading.load_embedder(add_card("evil", "embed", folder))
    assert not witness.exists()


def test_a_reranker_scores_pairs_as_its_model_does(tmp_path: Path) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    folder = checkpoints.reranker(tmp_path / "reranker")
    reranker = loading.load_reranker(add_card("reranker", "rerank", folder))
    pairs = [("Where?", text) for text in TEXTS]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder).eval()
    with torch.inference_mode():
        logits = [model(**tokenizer(*pair, return_tensors="pt")).logits[0, 0].item() for pair in pairs]
    scores = reranker.predict(pairs)
    assert scores.shape == (3,)
    torch.testing.assert_close(torch.from_numpy(scores), torch.tensor(logits).sigmoid(), atol=1e-5, rtol=1e-4)
    assert len(set(scores.tolist())) == 3


@pytest.mark.parametrize("task", ["generate", "classify", "embed", "rerank"])
def test_a_pickle_is_refused(task: str, tmp_path: Path) -> None:
    """Also where some other safetensors file makes the directory look right."""
    import torch
    from safetensors.torch import load_file, save_file

    make = {
        "generate": lambda folder: checkpoints.causal(folder, "llama"),
        "classify": checkpoints.bert_classifier,
        "embed": checkpoints.bert_embedder,
        "rerank": checkpoints.reranker,
    }
    folder = make[task](tmp_path / "pickled")
    torch.save(load_file(folder / "model.safetensors"), folder / "pytorch_model.bin")
    (folder / "model.safetensors").unlink()
    save_file({"x": torch.zeros(1)}, folder / "decoy.safetensors")
    card = add_card("pickled", task, folder)
    door = {
        "generate": loading.load_generator,
        "classify": loading.load_classifier,
        "embed": loading.load_embedder,
        "rerank": loading.load_reranker,
    }[task]
    with pytest.raises(UserError, match="could not be loaded"):
        door(card)


def test_each_door_refuses_another_doors_model(tmp_path: Path) -> None:
    card = add_card("reranker", "rerank", checkpoints.reranker(tmp_path / "reranker"))
    for door in (loading.load_generator, loading.load_classifier, loading.load_embedder):
        with pytest.raises(UserError, match="for another task"):
            door(card)


def test_a_damaged_file_is_said_in_words(tmp_path: Path) -> None:
    folder = checkpoints.causal(tmp_path / "m", "llama")
    shutil.copy(folder / "config.json", folder / "model.safetensors")
    with pytest.raises(UserError, match="not a whole safetensors file"):
        loading.load_generator(add_card("damaged", "generate", folder))
