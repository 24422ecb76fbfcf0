"""What is learned: writing on (causal), answering by encoder and decoder (seq2seq), or labels (classify).

A task loads its model, turns rows into examples and batches, and has its loss, its measurement and its prediction.
It knows nothing of methods, optimizers and runs.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.generation.prompts import conversation, encode
from core.models import IMPORTING, Progress, cards, loading
from core.training.config import TrainConfig
from core.training.data.columns import Row
from core.training.examples import (
    IGNORE,
    MULTIPLE,
    Collator,
    Example,
    answer_loss,
    examples,
    label_example,
    marked,
    seq2seq_example,
)

ANSWER_TOKENS = 64
"""Longest answer to a prompt on the way."""
BEGINNING = 80
"""Characters of a text without markers that the model is asked to go on with."""


@dataclass
class Task:
    """A loaded model and its tokenizer with what the config's task does with them.

    ``model`` may be replaced by the same one with an adapter. ``labels`` are those of a classifier, in their order.
    """

    config: TrainConfig
    model: Any
    tokenizer: Any
    labels: list[str] = field(default_factory=list)

    def encode(self, row: Row) -> list[Example]:
        """A row's examples: {"input_ids", "labels"}, each at most ``max_length`` tokens."""
        raise NotImplementedError

    def collator(self) -> Callable[[Sequence[Example]], dict[str, Any]]:
        """Makes a batch of examples: padded int64 tensors (rows, longest)."""
        raise NotImplementedError

    def loss(self, inputs: dict[str, Any], items: Any = None) -> Any:
        """Mean cross entropy over what is learned of a batch.

        Args:
            items: what it is divided by instead of the batch's own count: that of a whole step.
        """
        raise NotImplementedError

    def question(self, row: Row) -> str:
        """What of a row is put to the model on the way."""
        return str(row["text"])

    def answers(self, texts: Sequence[str], tokens: int = ANSWER_TOKENS) -> list[dict[str, Any]]:
        """What the model says to each text: {"text"} of at most ``tokens``.

        Of a classifier the likeliest label, with {"scores": label → probability}.
        """
        raise NotImplementedError

    def measure(self, batches: Sequence[dict[str, Any]]) -> dict[str, float]:
        """ "eval_loss" over all that is to be learned of the batches (a mean of tokens, not of batches)."""
        sums = [(float(self.loss(batch, 1)), _learned(batch)) for batch in batches]
        return {"eval_loss": sum(loss for loss, _ in sums) / max(1, sum(count for _, count in sums))}


def load(config: TrainConfig, labels: Sequence[str], bits: int, progress: Progress) -> Task:
    """The task of a resolved config with its model in memory.

    Args:
        labels: of the data, for a classifier.
        bits: 4 or 8: the base model's linear layers in so many bits; 0: as its card says.

    Raises:
        UserError: the model is not here, cannot be loaded, or does not fit.
    """
    card = cards.card(config.model)
    if config.task == "classify":
        card = card.model_copy(update={"task": "classify", "labels": list(labels)})
        return Classify(config, *loading.load_classifier(card, progress), list(labels))
    model, tokenizer = loading.load_generator(card, progress, bits)
    return (Seq2Seq if config.task == "seq2seq" else Causal)(config, model, tokenizer)


def _learned(batch: dict[str, Any]) -> int:
    return int((batch["labels"] != IGNORE).sum())


def _cross_entropy(logits: Any, labels: Any, items: Any) -> Any:
    import torch.nn.functional as functional

    loss = functional.cross_entropy(
        logits.float().reshape(-1, logits.shape[-1]),
        labels.reshape(-1),
        ignore_index=IGNORE,
        reduction="mean" if items is None else "sum",
    )
    return loss if items is None else loss / items


class _Writer(Task):
    """What causal models and encoder-decoders have in common: they write answers."""

    def question(self, row: Row) -> str:
        """Of a chat what is asked last; of a text what stands before its last answer, else its beginning."""
        if "input" in row:
            return str(row["input"])
        parts = list(marked(row["text"]))
        last = max((number for number, (_, learned) in enumerate(parts) if learned), default=0)
        return "".join(part for part, _ in parts[:last]).strip() or str(row["text"])[:BEGINNING]

    def answers(self, texts: Sequence[str], tokens: int = ANSWER_TOKENS) -> list[dict[str, Any]]:
        prompts = [encode(self.tokenizer, conversation(text))[-self.config.max_length :] for text in texts]
        batch = self.tokenizer.pad({"input_ids": prompts}, padding=True, return_tensors="pt").to(self.model.device)
        made = self.model.generate(
            **batch,
            do_sample=False,
            num_beams=self.config.beams if self.config.task == "seq2seq" else 1,
            repetition_penalty=1.0,
            max_new_tokens=tokens,
            pad_token_id=self.tokenizer.pad_token_id,
            use_cache=True,
        )
        said = made if self.config.task == "seq2seq" else made[:, batch["input_ids"].shape[1] :]
        return [{"text": text.strip()} for text in self.tokenizer.batch_decode(said, skip_special_tokens=True)]


class Causal(_Writer):
    """A causal model that learns answers, or texts."""

    def encode(self, row: Row) -> list[Example]:
        return examples(self.tokenizer, row, self.config.max_length, self.config.learn)

    def collator(self) -> Callable[[Sequence[Example]], dict[str, Any]]:
        return Collator(self.tokenizer.pad_token_id)

    def loss(self, inputs: dict[str, Any], items: Any = None) -> Any:
        return answer_loss(self.model, inputs, items)


class Seq2Seq(_Writer):
    """An encoder-decoder: the prompt goes into the one, the answer is learned by the other."""

    def encode(self, row: Row) -> list[Example]:
        return [seq2seq_example(self.tokenizer, row, self.config.max_length)]

    def collator(self) -> Callable[[Sequence[Example]], dict[str, Any]]:
        with IMPORTING:
            from transformers import DataCollatorForSeq2Seq

        # Given the model it also makes the decoder's input out of the labels, as generating does.
        how = {"label_pad_token_id": IGNORE, "pad_to_multiple_of": MULTIPLE}
        return DataCollatorForSeq2Seq(self.tokenizer, self.model, **how)

    def loss(self, inputs: dict[str, Any], items: Any = None) -> Any:
        logits = self.model(**{k: v for k, v in inputs.items() if k != "labels"}, use_cache=False).logits
        return _cross_entropy(logits, inputs["labels"], items)


class Classify(Task):
    """A sequence classifier."""

    def encode(self, row: Row) -> list[Example]:
        return [label_example(self.tokenizer, row, self.labels, self.config.max_length)]

    def collator(self) -> Callable[[Sequence[Example]], dict[str, Any]]:
        with IMPORTING:
            from transformers import DataCollatorWithPadding

        return DataCollatorWithPadding(self.tokenizer, pad_to_multiple_of=MULTIPLE)

    def loss(self, inputs: dict[str, Any], items: Any = None) -> Any:
        return _cross_entropy(self._logits(inputs), inputs["labels"], items)

    def _logits(self, inputs: dict[str, Any]) -> Any:
        return self.model(**{k: v for k, v in inputs.items() if k != "labels"}).logits

    def answers(self, texts: Sequence[str], tokens: int = ANSWER_TOKENS) -> list[dict[str, Any]]:
        batch = self.tokenizer(
            list(texts), truncation=True, max_length=self.config.max_length, padding=True, return_tensors="pt"
        )
        shares = self._logits(batch.to(self.model.device)).float().softmax(-1).tolist()
        scores = [dict(zip(self.labels, row, strict=True)) for row in shares]
        return [{"text": max(row, key=row.__getitem__), "scores": row} for row in scores]

    def measure(self, batches: Sequence[dict[str, Any]]) -> dict[str, float]:
        """ "eval_loss", "eval_accuracy" and "eval_f1": F1 of each class that occurs or is predicted, and their mean."""
        loss, chosen, right = 0.0, list[int](), list[int]()
        for batch in batches:
            logits = self._logits(batch)
            loss += float(_cross_entropy(logits, batch["labels"], 1))
            chosen += logits.argmax(-1).tolist()
            right += batch["labels"].tolist()
        count = max(1, len(right))
        return {"eval_loss": loss / count, "eval_accuracy": accuracy(right, chosen), "eval_f1": macro_f1(right, chosen)}


def accuracy(right: Sequence[int], chosen: Sequence[int]) -> float:
    """Share of rows whose class was chosen rightly."""
    return sum(r == c for r, c in zip(right, chosen, strict=True)) / max(1, len(right))


def macro_f1(right: Sequence[int], chosen: Sequence[int]) -> float:
    """Mean over the classes that occur or were chosen of 2·hits / (occurrences + choices)."""
    pairs = list(zip(right, chosen, strict=True))
    scores = [
        2 * sum(r == c == name for r, c in pairs) / sum((r == name) + (c == name) for r, c in pairs)
        for name in {*right, *chosen}
    ]
    return sum(scores) / max(1, len(scores))
