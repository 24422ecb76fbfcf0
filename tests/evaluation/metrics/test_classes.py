"""Classes named by answers; accuracy, macro-F1 and the table of confusions against scikit-learn."""

import random

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, confusion_matrix, f1_score

from core.evaluation.metrics import Output, expected, registry
from core.evaluation.metrics.classes import class_of, confusion, counts, macro_f1

LABELS = ("negative", "neutral", "positive")


@pytest.mark.parametrize(
    ("answer", "label"),
    [
        ("positive", "positive"),
        (" Positive. ", "positive"),
        ("The sentiment is positive, clearly positive.", "positive"),
        ("positive or negative", None),
        ("nonnegative", None),
        ("I cannot tell", None),
        ("", None),
        ("not positive", "positive"),
    ],
)
def test_the_class_an_answer_names(answer: str, label: str | None) -> None:
    assert class_of(answer, LABELS) == label


def test_a_name_within_a_longer_one_does_not_count() -> None:
    assert class_of("I'd say very positive", ("positive", "very positive")) == "very positive"
    assert class_of("这是非常负面的评论", ("负面", "非常负面", "正面")) == "非常负面"
    assert class_of("属于正面", ("负面", "正面")) == "正面"
    assert class_of("属于正面而不是负面", ("负面", "正面")) is None


@pytest.mark.parametrize("seed", range(5))
def test_figures_are_scikit_learns(seed: int) -> None:
    chance = random.Random(seed)
    wanted = [chance.choice(LABELS[: 2 + seed % 2]) for _ in range(40)]
    said = [right if chance.random() < 0.5 else chance.choice([*LABELS, "none of it"]) for right in wanted]
    chosen = [text if text in LABELS else "none" for text in said]
    metrics = registry()
    rows = [expected({"text": "?", "label": right}, LABELS) for right in wanted]
    outputs = [Output(text) for text in said]
    summary = {
        name: metrics[name].summary([metrics[name].compute(*pair) for pair in zip(rows, outputs, strict=True)])
        for name in ("accuracy", "macro_f1")
    }
    assert summary["accuracy"]["mean"] == pytest.approx(accuracy_score(wanted, chosen))
    there = sorted({*wanted, *chosen} - {"none"})
    assert summary["macro_f1"]["mean"] == pytest.approx(f1_score(wanted, chosen, labels=there, average="macro"))
    assert summary["macro_f1"]["low"] < summary["macro_f1"]["mean"] < summary["macro_f1"]["high"]
    table = confusion(wanted, [None if label == "none" else label for label in chosen], LABELS)
    np.testing.assert_array_equal(table, confusion_matrix(wanted, chosen, labels=[*LABELS, "none"])[:3])


def test_a_row_of_macro_f1_is_right_or_wrong() -> None:
    assert macro_f1(np.array(counts("positive", "positive", LABELS)), 1) == 1.0
    assert macro_f1(np.array(counts("positive", "negative", LABELS)), 1) == 0.0
    assert macro_f1(np.array(counts("positive", None, LABELS)), 1) == 0.0
