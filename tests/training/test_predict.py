"""A run's classifier asked from outside: the probabilities are the saved model's own."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.training import predict
from tests.helpers import architectures, training
from tests.helpers import runs as stored

RUN = "20260101-000000-a-0001"
TEXTS = [f"{'very ' * n}{word}" for n, word in enumerate(training.ANIMALS[:5])]


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run that has ended with a classifier of three labels (its weights random: only the way to them matters)."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    architectures.card(architectures.bert, tmp_path / "bert", "tiny-bert")
    folder = stored.make(RUN, model="tiny-bert", task="classify")
    labels = {"id2label": {0: "bad", 1: "good", 2: "so-so"}, "label2id": {"bad": 0, "good": 1, "so-so": 2}}
    model = AutoModelForSequenceClassification.from_pretrained(tmp_path / "bert", **labels)
    model.save_pretrained(folder / "model")
    AutoTokenizer.from_pretrained(tmp_path / "bert").save_pretrained(folder / "model")
    return folder


def test_labels_and_probabilities_are_the_saved_models(run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    monkeypatch.setattr(predict, "BATCH", 2)  # rows of several batches stay in their order
    found = predict.predict(predict.load(RUN), TEXTS)
    model = AutoModelForSequenceClassification.from_pretrained(run / "model")
    tokenizer = AutoTokenizer.from_pretrained(run / "model")
    for text, answer in zip(TEXTS, found, strict=True):
        with torch.no_grad():
            shares = model(**tokenizer(text, return_tensors="pt")).logits[0].softmax(-1)
        assert list(answer["scores"]) == ["bad", "good", "so-so"]
        assert list(answer["scores"].values()) == pytest.approx(shares.tolist(), abs=1e-5)
        assert answer["text"] == ["bad", "good", "so-so"][int(shares.argmax())]


def test_a_run_without_a_classifier_says_so() -> None:
    stored.make(RUN, model="bert-base-uncased", task="classify")
    with pytest.raises(UserError, match="has no classifier"):
        predict.load(RUN)
