"""The preview against the tokenizer itself, and the plan against the Trainer's own arithmetic."""

from pathlib import Path
from typing import Any

import pytest

from core.generation.prompts import conversation, encode
from core.training.data import preview
from core.training.examples import Collator, examples

ROWS = [
    {"input": "广州大学在哪里？😀", "output": "在广东省🏫。"},
    {"input": "What is a llama?", "output": "An animal."},
]


@pytest.mark.parametrize("row", ROWS)
def test_pieces_are_the_prompt_and_the_answer(tokenizer: Any, row: dict[str, str]) -> None:
    (pieces,) = preview.shown(tokenizer, [row], 512)
    assert "".join(text for text, learned in pieces if learned) == row["output"] + "<|im_end|>"
    prompt = tokenizer.decode(encode(tokenizer, conversation(row["input"])))
    assert "".join(text for text, learned in pieces if not learned) == prompt
    assert not any("\ufffd" in text for text, _ in pieces)


def test_an_encoder_decoders_answer_and_a_label_stand_behind_what_is_read(tokenizer: Any) -> None:
    (pieces,) = preview.shown(tokenizer, ROWS[1:], 512, task="seq2seq")
    asked = tokenizer.decode(encode(tokenizer, conversation(ROWS[1]["input"])))
    assert "".join(text for text, learned in pieces if not learned) == asked
    assert "".join(text for text, learned in pieces if learned) == "An animal.<|im_end|>"
    row = {"text": "The 😀 fox.", "label": "good"}
    (pieces,) = preview.shown(tokenizer, [row], 512, task="classify", labels=["bad", "good"])
    assert ("".join(text for text, _ in pieces[:-1]), pieces[-1]) == ("The 😀 fox.", ("good", True))
    assert not any(learned for _, learned in pieces[:-1])
    assert preview.lengths(tokenizer, [row], task="classify", labels=["good"]) == [
        len(tokenizer("The 😀 fox.")["input_ids"])
    ]


def test_pieces_of_a_row_cut_inside_a_character(tokenizer: Any) -> None:
    for limit in range(16, 40):
        (pieces,) = preview.shown(tokenizer, [{"input": "😀" * 9, "output": "🏫" * 9}], limit)
        assert sum(learned for _, learned in pieces) > 0


def test_the_histogram_counts_every_length_once() -> None:
    tokens = [3, 10, 10, 57, 99, 100, 230]
    made = preview.histogram(tokens, 99, bins=10)
    assert len(made["edges"]) == len(made["counts"]) + 1
    for low, high, count in zip(made["edges"][:-1], made["edges"][1:], made["counts"], strict=True):
        assert count == sum(low <= length < high for length in tokens)
    assert sum(made["counts"]) == 7
    assert (made["beyond"], made["median"], made["longest"]) == (2, 57, 230)
    assert made["share"] == pytest.approx(2 / 7)


def test_lengths_are_those_of_the_examples_uncut(tokenizer: Any) -> None:
    row = ROWS[0]
    whole = len(encode(tokenizer, conversation(row["input"]))) + len(tokenizer(row["output"])["input_ids"]) + 1
    assert preview.lengths(tokenizer, [row]) == [whole]
    rows = [{**row, "input": "a" * number} for number in range(10)]
    every = preview.lengths(tokenizer, rows)
    assert len(set(every)) == 10 and preview.lengths(tokenizer, rows, 4) == [
        every[n] for n in (0, 0, 2, 2, 2, 5, 5, 7, 7, 7)
    ]
    assert preview.lengths(tokenizer, rows, 99) == every and preview.lengths(tokenizer, []) == []


@pytest.mark.parametrize(
    ("rows", "batch", "accumulation", "epochs", "max_steps"),
    [
        (10, 4, 1, 1.0, 0),
        (10, 4, 2, 3.0, 0),
        (10, 3, 3, 1.5, 0),
        (2, 4, 4, 1.0, 0),
        (11, 2, 1, 0.3, 0),
        (10, 4, 1, 1, 7),
    ],
)
def test_steps_are_those_the_trainer_counts(
    tokenizer: Any,
    tiny_model_dir: Path,
    tmp_path: Path,
    rows: int,
    batch: int,
    accumulation: int,
    epochs: float,
    max_steps: int,
) -> None:
    from transformers import AutoModelForCausalLM, Trainer, TrainingArguments

    made = [examples(tokenizer, {"input": "a" * n, "output": "b"}, 12)[0] for n in range(rows)]
    arguments = TrainingArguments(
        output_dir=str(tmp_path),
        per_device_train_batch_size=batch,
        gradient_accumulation_steps=accumulation,
        num_train_epochs=epochs,
        max_steps=max_steps or -1,
        use_cpu=True,
        report_to=[],
    )
    model = AutoModelForCausalLM.from_pretrained(tiny_model_dir)
    trainer = Trainer(model, arguments, train_dataset=made, data_collator=Collator(tokenizer.pad_token_id))
    counted = trainer.set_initial_training_values(arguments, trainer.get_train_dataloader())
    tokens = preview.lengths(tokenizer, [{"input": "a" * n, "output": "b"} for n in range(rows)])
    plan = preview.plan(tokens, 12, batch, accumulation, epochs, max_steps)
    assert (plan["epoch_steps"], plan["steps"]) == (counted[1], counted[-1])
    assert plan["epoch_tokens"] == sum(len(example["input_ids"]) for example in made)
