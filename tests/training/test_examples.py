"""Labels mask exactly the prompt, batches pad on the left, and the cheap loss is the model's own."""

from pathlib import Path
from typing import Any

import pytest

from core.generation.prompts import conversation, encode
from core.training.examples import (
    IGNORE,
    Collator,
    Example,
    answer_loss,
    examples,
    label_example,
    marked,
    seq2seq_example,
)

ROWS = [
    {"input": "What is a llama?", "output": "An animal of the Andes."},
    {"input": "广州大学在哪里？请回答。", "output": "广州"},
    {"input": "Hi", "output": "The quick brown fox jumps over the lazy dog while the band plays on."},
]


@pytest.fixture(scope="module")
def model(tiny_model_dir: Path) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model_dir).eval()


def example(tokenizer: Any, row: dict[str, Any], max_length: int, learn: str = "answers") -> Example:
    (only,) = examples(tokenizer, row, max_length, learn)
    return only


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


TURNS = [
    {"role": "system", "content": "Be kind."},
    {"role": "user", "content": "What is a llama?"},
    {"role": "assistant", "content": "An animal."},
    {"role": "user", "content": "在哪里？"},
    {"role": "assistant", "content": "安第斯山。"},
]
TALK = {"messages": TURNS, "input": TURNS[3]["content"], "output": TURNS[4]["content"]}


def spans(made: Example) -> list[tuple[int, int]]:
    """Where runs of learned tokens begin and end."""
    learned = [False, *(label != IGNORE for label in made["labels"]), False]
    edges = [i for i in range(1, len(learned)) if learned[i] != learned[i - 1]]
    return [(begin - 1, end - 1) for begin, end in zip(edges[::2], edges[1::2], strict=True)]


def test_every_answer_of_a_conversation_is_learned_after_the_prompt_the_engine_would_send(tokenizer: Any) -> None:
    made = example(tokenizer, TALK, 512)
    found = spans(made)
    for (begin, end), place in zip(found, (2, 4), strict=True):
        assert made["input_ids"][:begin] == encode(tokenizer, TURNS[:place])
        assert tokenizer.decode(made["labels"][begin:end]) == TURNS[place]["content"] + tokenizer.eos_token
    last = example(tokenizer, TALK, 512, "last")
    assert spans(last) == found[1:] and last["input_ids"] == made["input_ids"]
    whole = example(tokenizer, TALK, 512, "all")
    assert whole["labels"] == whole["input_ids"] == made["input_ids"]


def test_an_answer_that_the_template_rewrites_later_becomes_a_row_of_its_own(tiny_model_dir: Path) -> None:
    """Templates that end a question otherwise once it is answered, as Yuan's, or drop what was thought."""
    from transformers import AutoTokenizer

    other = AutoTokenizer.from_pretrained(tiny_model_dir)
    other.chat_template = "{{ messages | map(attribute='content') | join('\n') }}{{ '<|im_start|>' }}"
    made = examples(other, TALK, 512)
    assert len(made) == 2
    for row, place in zip(made, (2, 4), strict=True):
        ((begin, end),) = spans(row)
        assert row["input_ids"][:begin] == encode(other, TURNS[:place])
        assert other.decode(row["input_ids"][begin:end]) == TURNS[place]["content"] + other.eos_token
    assert len(examples(other, TALK, 512, "last")) == 1


def test_a_long_conversation_keeps_its_end(tokenizer: Any) -> None:
    whole, cut = example(tokenizer, TALK, 512), example(tokenizer, TALK, 50)
    assert cut == {key: values[-50:] for key, values in whole.items()}


TEXT = "### Human: Hi there.\n### Assistant: Hello.\n### Human: And now?\n### Assistant: Bye. "


def test_of_a_text_with_markers_the_answers_are_learned(tokenizer: Any) -> None:
    made = example(tokenizer, {"text": TEXT}, 512)
    learned = [tokenizer.decode(made["labels"][begin:end]) for begin, end in spans(made)]
    assert learned == ["Hello.\n", "Bye." + tokenizer.eos_token]
    assert tokenizer.decode(made["input_ids"]) == TEXT.rstrip() + tokenizer.eos_token
    last = example(tokenizer, {"text": TEXT}, 512, "last")
    assert [tokenizer.decode(last["labels"][b:e]) for b, e in spans(last)] == ["Bye." + tokenizer.eos_token]
    assert example(tokenizer, {"text": TEXT}, 24)["input_ids"] == made["input_ids"][-24:]


def test_of_a_plain_text_everything_is_learned_and_the_end_is_lost(tokenizer: Any) -> None:
    for row, learn in (({"text": "The quick brown fox."}, "answers"), ({"text": TEXT}, "all")):
        made = example(tokenizer, row, 512, learn)
        assert made["labels"] == made["input_ids"]
        assert tokenizer.decode(made["input_ids"]) == row["text"] + tokenizer.eos_token
        assert example(tokenizer, row, 4, learn)["input_ids"] == made["input_ids"][:4]


@pytest.mark.parametrize("text", [TEXT, "no marker", "### Assistant:", "Before. ###Human: x ### assistant : y", ""])
def test_the_parts_of_a_text_are_the_text(text: str) -> None:
    assert "".join(part for part, _ in marked(text)) == text


def test_an_encoder_decoder_reads_the_prompt_and_learns_the_answer(tokenizer: Any) -> None:
    made = seq2seq_example(tokenizer, ROWS[0], 512)
    assert made["input_ids"] == encode(tokenizer, conversation(ROWS[0]["input"]))
    assert tokenizer.decode(made["labels"]) == ROWS[0]["output"] + tokenizer.eos_token
    cut = seq2seq_example(tokenizer, ROWS[0], 5)
    assert cut == {"input_ids": made["input_ids"][-5:], "labels": made["labels"][:5]}


def test_a_label_is_its_place_among_the_labels(tokenizer: Any) -> None:
    made = label_example(tokenizer, {"text": "The fox.", "label": "good"}, ["bad", "good"], 3)
    assert made == {"input_ids": tokenizer("The fox.")["input_ids"][:3], "labels": 1}


def test_a_batch_is_padded_on_the_left_with_positions_from_zero(tokenizer: Any) -> None:
    batch = Collator(tokenizer.pad_token_id)(
        [{"input_ids": [5, 6, 7], "labels": [IGNORE, 6, 7]}, {"input_ids": [8, 9], "labels": [8, 9]}]
    )
    pad = tokenizer.pad_token_id
    assert batch["input_ids"].tolist() == [[pad] * 5 + [5, 6, 7], [pad] * 6 + [8, 9]]
    assert batch["attention_mask"].tolist() == [[0] * 5 + [1, 1, 1], [0] * 6 + [1, 1]]
    assert batch["position_ids"].tolist() == [[0] * 5 + [0, 1, 2], [0] * 6 + [0, 1]]
    assert batch["labels"].tolist() == [[IGNORE] * 6 + [6, 7], [IGNORE] * 7 + [9]]  # what is first is told from nothing


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
