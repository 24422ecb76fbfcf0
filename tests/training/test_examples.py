"""Labels mask exactly the prompt, batches pad on the left, and the cheap loss is the model's own."""

from pathlib import Path
from typing import Any

import pytest

from core.generation.prompts import conversation, encode
from core.training.examples import IGNORE, Collator, answer_loss, example

ROWS = [
    {"input": "What is a llama?", "output": "An animal of the Andes."},
    {"input": "广州大学在哪里？请回答。", "output": "广州"},
    {"input": "Hi", "output": "The quick brown fox jumps over the lazy dog while the band plays on."},
]


@pytest.fixture(scope="module")
def tokenizer(tiny_model_dir: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(tiny_model_dir)


@pytest.fixture(scope="module")
def model(tiny_model_dir: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval()


@pytest.mark.parametrize("row", ROWS)
def test_the_prompt_is_masked_and_nothing_else(tokenizer: Any, row: dict[str, str]) -> None:
    made = example(tokenizer, row, 512)
    prompt = encode(tokenizer, conversation(row["input"]))
    learned = [token for token in made["labels"] if token != IGNORE]
    assert made["labels"][: len(prompt)] == [IGNORE] * len(prompt)
    assert made["input_ids"][: len(prompt)] == prompt
    assert tokenizer.decode(learned) == row["output"] + tokenizer.eos_token
    assert made["input_ids"][len(prompt) :] == made["labels"][len(prompt) :] == learned


def test_a_long_prompt_loses_its_head_and_no_answer(tokenizer: Any) -> None:
    row = {"input": "llama " * 100 + "END", "output": "fox"}
    whole, cut = example(tokenizer, row, 4096), example(tokenizer, row, 40)
    assert len(cut["input_ids"]) == len(cut["labels"]) == 40
    assert cut["input_ids"] == whole["input_ids"][-40:]
    assert cut["labels"] == whole["labels"][-40:]


def test_a_long_answer_is_cut_at_its_end_with_one_prompt_token_left(tokenizer: Any) -> None:
    """Without a token before it the first token of the answer could not be predicted."""
    row = {"input": "Hi", "output": "llama " * 100}
    cut = example(tokenizer, row, 32)
    assert len(cut["input_ids"]) == 32
    assert [label == IGNORE for label in cut["labels"]] == [True] + [False] * 31
    assert tokenizer.decode(cut["input_ids"][1:]) == tokenizer.decode(
        example(tokenizer, row, 4096)["labels"][-len(tokenizer(row["output"])["input_ids"]) - 1 :][:31]
    )


def test_a_batch_is_padded_on_the_left_with_positions_from_zero(tokenizer: Any) -> None:
    batch = Collator(tokenizer.pad_token_id)(
        [{"input_ids": [5, 6, 7], "labels": [IGNORE, 6, 7]}, {"input_ids": [8], "labels": [8]}]
    )
    assert batch["input_ids"].tolist() == [[5, 6, 7], [tokenizer.pad_token_id] * 2 + [8]]
    assert batch["attention_mask"].tolist() == [[1, 1, 1], [0, 0, 1]]
    assert batch["position_ids"].tolist() == [[0, 1, 2], [0, 0, 0]]
    assert batch["labels"].tolist() == [[IGNORE, 6, 7], [IGNORE, IGNORE, 8]]


def full_loss(model: Any, batch: dict[str, Any]) -> Any:
    """The model's own loss, from labels and the logits of every position."""
    import torch

    with torch.no_grad():
        return model(**batch).loss


@pytest.mark.parametrize(
    "rows", [ROWS[:1], ROWS[:2], ROWS, [ROWS[2], ROWS[1]]], ids=["one", "two", "three", "long first"]
)
def test_answer_loss_is_the_models_own_loss_with_left_padding(
    model: Any, tokenizer: Any, rows: list[dict[str, str]]
) -> None:
    import torch

    batch = Collator(tokenizer.pad_token_id)([example(tokenizer, row, 512) for row in rows])
    with torch.no_grad():
        loss = answer_loss(model, batch)
    assert loss.item() == pytest.approx(full_loss(model, batch).item(), abs=1e-5)


def test_left_padding_does_not_change_the_loss(model: Any, tokenizer: Any) -> None:
    """The batch's loss is the mean over answer tokens of what the rows have alone."""
    import torch

    made = [example(tokenizer, row, 512) for row in ROWS]
    collate = Collator(tokenizer.pad_token_id)
    counts = [sum(label != IGNORE for label in row["labels"]) for row in made]
    with torch.no_grad():
        alone = [answer_loss(model, collate([row])).item() for row in made]
        together = answer_loss(model, collate(made)).item()
    expected = sum(loss * count for loss, count in zip(alone, counts, strict=True)) / sum(counts)
    assert together == pytest.approx(expected, abs=1e-5)


def test_answer_loss_over_the_items_of_an_accumulated_step(model: Any, tokenizer: Any) -> None:
    """Passes of one step add up to the loss of one big batch, however the answers' lengths differ."""
    import torch

    collate = Collator(tokenizer.pad_token_id)
    made = [example(tokenizer, row, 512) for row in ROWS]
    items = sum(label != IGNORE for row in made for label in row["labels"])
    with torch.no_grad():
        parts = sum(answer_loss(model, collate([row]), items).item() for row in made)
    assert parts == pytest.approx(full_loss(model, collate(made)).item(), abs=1e-5)


def test_answer_loss_where_labels_reach_the_first_column(model: Any) -> None:
    """A row cut to its answer: the very first token has nothing before it and is not counted, as in the model's own."""
    import torch

    ids = torch.tensor([[30, 31, 32, 33]])
    batch = {"input_ids": ids, "attention_mask": torch.ones_like(ids), "labels": ids.clone()}
    with torch.no_grad():
        assert answer_loss(model, batch).item() == pytest.approx(full_loss(model, batch).item(), abs=1e-5)


def test_answer_loss_gives_the_same_gradients(tiny_model_dir: Path, tokenizer: Any) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    batch = Collator(tokenizer.pad_token_id)([example(tokenizer, row, 512) for row in ROWS])
    gradients = []
    for loss_of in (answer_loss, lambda model, batch: model(**batch).loss):
        model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
        loss_of(model, batch).backward()
        gradients.append(model.model.layers[0].self_attn.q_proj.weight.grad)
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-6, rtol=1e-4)
