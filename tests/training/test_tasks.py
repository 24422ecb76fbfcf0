"""What is learned, measured and predicted: each figure against one made in another way."""

import random
from pathlib import Path
from typing import Any

import pytest

from core.training import config as configs
from core.training import tasks
from core.training.examples import IGNORE, MULTIPLE
from core.training.tasks import Task
from tests.helpers import architectures, training

CHAT = [{"input": f"What is animal {n}?", "output": f"{name} {n} {'is it ' * (n % 4)}".strip()} for n, name in
        enumerate(training.ANIMALS)]  # fmt: skip
LABELS = ["bad", "good", "so-so"]
REVIEWS = [{"text": f"{'very ' * (n % 5)}{word}", "label": LABELS[n % 3]} for n, word in enumerate(training.ANIMALS)]


def load(kind: str, folder: Path, **changes: Any) -> Task:
    make = {"causal": architectures.llama, "seq2seq": architectures.t5, "classify": architectures.bert}[kind]
    architectures.card(make, folder / kind, f"tiny-{kind}")
    values = {"dataset": "d", "model": f"tiny-{kind}", "task": kind, "max_length": 64, **changes}
    return tasks.load(configs.make(values), LABELS if kind == "classify" else [], 0, lambda *_: None)


def rows(kind: str) -> list[dict[str, str]]:
    return REVIEWS if kind == "classify" else CHAT


@pytest.mark.parametrize("kind", ["causal", "seq2seq", "classify"])
def test_the_loss_of_a_batch_is_the_models_own_and_that_of_its_rows(kind: str, tmp_path: Path) -> None:
    import torch

    task = load(kind, tmp_path)
    examples = [made for row in rows(kind)[:5] for made in task.encode(row)]
    batch = task.collator()(examples)
    assert {tensor.shape[1] % MULTIPLE for tensor in batch.values() if tensor.dim() == 2} == {0}  # few lengths to meet
    with torch.no_grad():
        loss = task.loss(batch).item()
        assert loss == pytest.approx(task.model(**batch).loss.item(), abs=1e-5)
        singles = [(task.loss(task.collator()([example]), 1).item(), example) for example in examples]
    counts = [sum(t != IGNORE for t in e["labels"]) if kind != "classify" else 1 for _, e in singles]
    if kind == "causal":
        counts = [count - (example["labels"][0] != IGNORE) for count, (_, example) in zip(counts, singles, strict=True)]
    total = sum(loss for loss, _ in singles)
    assert loss == pytest.approx(total / sum(counts), abs=1e-5)
    assert task.loss(batch, 7).item() == pytest.approx(total / 7, abs=1e-4)


@pytest.mark.parametrize("kind", ["causal", "seq2seq", "classify"])
def test_the_eval_loss_does_not_depend_on_how_rows_are_batched(kind: str, tmp_path: Path) -> None:
    import torch

    task = load(kind, tmp_path)
    examples = [made for row in rows(kind) for made in task.encode(row)]
    collate = task.collator()
    with torch.no_grad():
        one, several = (
            task.measure([collate(examples[at : at + size]) for at in range(0, len(examples), size)])["eval_loss"]
            for size in (len(examples), 3)
        )
    assert one == pytest.approx(several, abs=1e-5)


def test_an_encoder_decoder_is_told_the_prompt_and_learns_the_answer(tmp_path: Path) -> None:
    task = load("seq2seq", tmp_path)
    (example,) = task.encode(CHAT[3])
    told, learned = task.tokenizer.decode(example["input_ids"]), task.tokenizer.decode(example["labels"])
    assert CHAT[3]["input"] in told
    assert CHAT[3]["output"] not in told
    assert learned == CHAT[3]["output"] + task.tokenizer.eos_token
    batch = task.collator()([example])
    assert batch["decoder_input_ids"][0, 0] == task.model.config.decoder_start_token_id
    assert batch["decoder_input_ids"][0, 1 : len(example["labels"])].tolist() == example["labels"][:-1]


def test_beams_are_those_of_the_config(tmp_path: Path) -> None:
    import torch

    task = load("seq2seq", tmp_path, beams=4)
    prompt = torch.tensor([task.encode(CHAT[0])[0]["input_ids"]])
    expected = task.model.generate(input_ids=prompt, num_beams=4, do_sample=False, max_new_tokens=tasks.ANSWER_TOKENS)
    said = task.tokenizer.decode(expected[0], skip_special_tokens=True).strip()
    assert task.answers([CHAT[0]["input"]]) == [{"text": said}]


@pytest.mark.parametrize("kind", ["causal", "seq2seq", "classify"])
def test_one_text_or_several_get_the_same_answers(kind: str, tmp_path: Path) -> None:
    task = load(kind, tmp_path)
    texts = [task.question(row) for row in rows(kind)[:4]]
    together = task.answers(texts)
    for text, answer in zip(texts, together, strict=True):
        (alone,) = task.answers([text])
        assert alone["text"] == answer["text"]
        if kind == "classify":
            assert answer["scores"] == pytest.approx(alone["scores"], abs=1e-5)
            assert list(answer["scores"]) == LABELS
            assert sum(answer["scores"].values()) == pytest.approx(1)
            assert answer["text"] == max(answer["scores"], key=answer["scores"].__getitem__)


def test_a_classifiers_measurement_counts_what_it_predicts(tmp_path: Path) -> None:
    import torch

    task = load("classify", tmp_path)
    collate = task.collator()
    with torch.no_grad():
        figures = task.measure([collate([made for row in REVIEWS for made in task.encode(row)])])
    chosen = [answer["text"] for answer in task.answers([row["text"] for row in REVIEWS])]
    right = [row["label"] for row in REVIEWS]
    assert figures["eval_accuracy"] == pytest.approx(sum(map(str.__eq__, chosen, right)) / len(right))


def test_accuracy_and_macro_f1_are_scikit_learns() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = random.Random(0)
    for classes in (2, 3, 6):
        right = [draw.randrange(classes) for _ in range(40)]
        chosen = [r if draw.random() < 0.6 else draw.randrange(classes) for r in right]
        assert tasks.accuracy(right, chosen) == pytest.approx(metrics.accuracy_score(right, chosen))
        assert tasks.macro_f1(right, chosen) == pytest.approx(metrics.f1_score(right, chosen, average="macro"))
    right, chosen = [0, 0, 1, 1], [0, 2, 1, 1]  # a class that never occurs, and one that is missed once
    assert tasks.macro_f1(right, chosen) == pytest.approx((2 / 3 + 1 + 0) / 3)
    assert tasks.macro_f1(right, chosen) == pytest.approx(metrics.f1_score(right, chosen, average="macro"))


def test_what_is_asked_of_a_row_holds_nothing_of_its_answer(tmp_path: Path) -> None:
    task = load("causal", tmp_path)
    text = "### Human: Who are you?### Assistant: A llama.### Human: Where from?### Assistant: The Andes."
    assert task.question({"text": text}) == text.removesuffix(" The Andes.")
    assert task.question({"text": "word " * 100}) == ("word " * 100)[: tasks.BEGINNING]
    assert task.question(CHAT[0]) == CHAT[0]["input"]
