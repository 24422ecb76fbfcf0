"""What a run's classifier says to texts of a person's own."""

from collections.abc import Sequence
from typing import Any

from core.errors import UserError
from core.models import cards, loading
from core.models.cards import Source
from core.training import config as configs
from core.training import runs
from core.training.tasks import Classify

BATCH = 32


def load(run_id: str) -> Classify:
    """The classifier a run has trained, in memory.

    Raises:
        UserError: no such run, one that trains no classifier, or one that has not ended yet.
    """
    folder = runs.folder(run_id)
    config = configs.load(str(folder / "config.toml"))
    if config.task != "classify" or not (folder / "model").is_dir():
        raise UserError(
            "Run {run} has no classifier.", "Choose a finished run that has learned labels.", run=run_id
        )  # fmt: skip
    source = Source(kind="path", id=str(folder / "model"))
    card = cards.card(config.model).model_copy(update={"task": "classify", "sources": [source], "embedded": False})
    model, tokenizer = loading.load_classifier(card)
    return Classify(config, model, tokenizer, [model.config.id2label[n] for n in range(model.config.num_labels)])


def predict(classifier: Classify, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The label of each text and the probability of every label: {"text": label, "scores": {label: probability}}."""
    import torch

    with torch.inference_mode():
        return [
            answer
            for first in range(0, len(texts), BATCH)
            for answer in classifier.answers(texts[first : first + BATCH])
        ]
