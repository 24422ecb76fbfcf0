"""What a run's model says to texts of a person's own: a classifier's labels, or answers (with the config's beams)."""

from collections.abc import Sequence
from typing import Any

from core.errors import UserError
from core.models import IMPORTING, cards, loading
from core.models.cards import Source
from core.training import config as configs
from core.training import runs, tasks
from core.training.tasks import Task

BATCH = 32
LONGEST = 256
"""Tokens of an answer."""


def load(run_id: str) -> Task:
    """What a run has trained, in memory: a classifier, or base model and adapter.

    Args:
        run_id: RUN, or RUN@STEP for one of its checkpoints (an adapter's).

    Raises:
        UserError: no such run, or one that has not ended yet.
    """
    folder = runs.folder(runs.split(run_id)[0])
    config = configs.load(str(folder / "config.toml"))
    whole = folder / "model"
    card = cards.card(config.model)
    if whole.is_dir():
        card = card.model_copy(update={"sources": [Source(kind="path", id=str(whole))], "embedded": False})
    if config.task == "classify":
        if not whole.is_dir():
            raise UserError(
                "Run {run} has no classifier.", "Choose a finished run that has learned labels.", run=run_id
            )
        model, tokenizer = loading.load_classifier(card.model_copy(update={"task": "classify", "labels": []}))
        return tasks.Classify(config, model, tokenizer, [model.config.id2label[n] for n in range(model.num_labels)])
    adapter = None if whole.is_dir() else runs.adapter(run_id)
    model, tokenizer = loading.load_generator(card)
    if adapter:
        with IMPORTING:
            from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(adapter)).eval()
    return (tasks.Seq2Seq if config.task == "seq2seq" else tasks.Causal)(config, model, tokenizer)


def predict(task: Task, texts: Sequence[str]) -> list[dict[str, Any]]:
    """The label of each text and the probability of every label, {"text": label, "scores": {label: probability}}; of
    a model that writes its answer, {"text"}."""
    import torch

    with torch.inference_mode():
        return [
            answer
            for first in range(0, len(texts), BATCH)
            for answer in task.answers(texts[first : first + BATCH], LONGEST)
        ]
