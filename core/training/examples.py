"""Rows → tokens with labels, and batches: what the model is to say is learned, what it is told is masked."""

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from core.generation.prompts import Message, encode
from core.training.data.columns import messages

IGNORE = -100
LEARN = ("answers", "last", "all")
"""What is learned of a row: every answer in it, the last answer only, or all of it."""
MARKER = re.compile(r"### ?(Human|User|Assistant)\s*:[ \t]*", re.IGNORECASE)
Example = dict[str, list[int]]
"""{"input_ids", "labels"}, both of the same length; a masked token has the label ``IGNORE``."""


def examples(tokenizer: Any, row: dict[str, Any], max_length: int, learn: str = "answers") -> list[Example]:
    """A chat or text row as what a causal model is trained on, each at most ``max_length`` tokens.

    The prompt is what the engine would send, and an answer ends with the end-of-text token so that the model learns
    to stop. A row that is too long loses the head of its prompt first and the end of its answer last; a text without
    markers loses its end.

    Of several answers in a conversation, those are learned in one pass that the chat template leaves as they were
    when they were given; where it writes an earlier turn in another way, that answer becomes an example of its own.
    """
    if "text" in row:
        return [_text(tokenizer, row["text"], max_length, learn)]
    return _conversation(tokenizer, messages(row), max_length, learn)


def _conversation(tokenizer: Any, turns: list[Message], max_length: int, learn: str) -> list[Example]:
    prompt, answer = _prompt_and_answer(tokenizer, turns)
    labels, alone = [IGNORE] * len(prompt), []
    if learn == "all":
        labels = list(prompt)
    earlier = [at for at, turn in enumerate(turns[:-1]) if turn["role"] == "assistant"] if learn == "answers" else []
    for at in earlier:
        before, said = _prompt_and_answer(tokenizer, turns[: at + 1])
        span = slice(len(before), len(before) + len(said))
        if prompt[: span.start] == before and prompt[span] == said:
            labels[span] = said
        else:
            alone.append(_cut(before, [IGNORE] * len(before), said, max_length))
    return [*alone, _cut(prompt, labels, answer, max_length)]


def _prompt_and_answer(tokenizer: Any, turns: Sequence[Message]) -> tuple[list[int], list[int]]:
    return encode(tokenizer, list(turns[:-1])), _answer(tokenizer, turns[-1]["content"])


def _answer(tokenizer: Any, text: str) -> list[int]:
    return [*tokenizer(text, add_special_tokens=False)["input_ids"], tokenizer.eos_token_id]


def _cut(prompt: list[int], labels: list[int], answer: list[int], max_length: int) -> Example:
    answer = answer[: max_length - 1]
    kept = max_length - len(answer)
    return {"input_ids": prompt[-kept:] + answer, "labels": labels[-kept:] + answer}


def _text(tokenizer: Any, text: str, max_length: int, learn: str) -> Example:
    parts = [] if learn == "all" else list(marked(text))
    if not any(learned for _, learned in parts):
        ids = tokenizer(text)["input_ids"]
        ids = ids if ids[-1:] == [tokenizer.eos_token_id] else [*ids, tokenizer.eos_token_id]
        return {"input_ids": ids[:max_length], "labels": ids[:max_length]}
    last = max(number for number, (_, learned) in enumerate(parts) if learned)
    prompt: list[int] = []
    labels: list[int] = []
    for part, learned in parts[:last]:
        ids = tokenizer(part, add_special_tokens=False)["input_ids"]
        prompt += ids
        labels += ids if learned and learn == "answers" else [IGNORE] * len(ids)
    return _cut(prompt, labels, _answer(tokenizer, parts[last][0].rstrip()), max_length)


def marked(text: str) -> Iterator[tuple[str, bool]]:
    """A text's parts, and whether each is an answer: what follows ``### Assistant:`` up to the next marker."""
    at, assistant = 0, False
    for marker in MARKER.finditer(text):
        if marker.start() > at:
            yield text[at : marker.start()], assistant
        yield marker[0], False
        at, assistant = marker.end(), marker[1].lower() == "assistant"
    if at < len(text):
        yield text[at:], assistant


def examples_for(
    task: str, tokenizer: Any, row: dict[str, Any], max_length: int, learn: str = "answers", labels: Sequence[str] = ()
) -> list[dict[str, Any]]:
    """A row as what a model is trained on that learns ``task``: "causal", "seq2seq" or "classify"."""
    if task == "classify":
        return [label_example(tokenizer, row, labels, max_length)]
    if task == "seq2seq":
        return [seq2seq_example(tokenizer, row, max_length)]
    return [*examples(tokenizer, row, max_length, learn)]


def seq2seq_example(tokenizer: Any, row: dict[str, Any], max_length: int) -> Example:
    """A chat row for an encoder-decoder: ``input_ids`` is the prompt, ``labels`` the last answer with its end.

    Each at most ``max_length`` tokens: a long prompt loses its head, a long answer its end.
    """
    prompt, answer = _prompt_and_answer(tokenizer, messages(row))
    return {"input_ids": prompt[-max_length:], "labels": answer[:max_length]}


def label_example(tokenizer: Any, row: dict[str, Any], labels: Sequence[str], max_length: int) -> dict[str, Any]:
    """A label row for sequence classification: {"input_ids", "labels": place of the row's label among ``labels``}."""
    ids = tokenizer(row["text"], truncation=True, max_length=max_length)["input_ids"]
    return {"input_ids": ids, "labels": labels.index(row["label"])}


MULTIPLE = 8
"""Batches are as long as a multiple of it. For each length it has not met, oneDNN compiles every product of the model
anew and keeps what it compiled: over 120 steps of lengths from 24 to 151 a run grew to 2.4 GB (SmolLM2 in bfloat16),
and stays at 1.76 GB with this in the same time (benchmarks/training_memory.py). A GPU multiplies such lengths faster.
"""


class Collator:
    """Pads a batch on the left, so that the answers stand together at the right end."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
        """Returns ``input_ids``, ``attention_mask``, ``position_ids`` and ``labels``, each (rows, tokens) int64.

        Tokens are those of the longest row, up to the next :data:`MULTIPLE`.
        """
        import torch

        longest = -(-max(len(row["input_ids"]) for row in rows) // MULTIPLE) * MULTIPLE

        def pad(parts: Iterable[list[int]], fill: int) -> Any:
            return torch.tensor([[fill] * (longest - len(part)) + part for part in parts])

        mask = pad(([1] * len(row["input_ids"]) for row in rows), 0)
        return {
            "input_ids": pad((row["input_ids"] for row in rows), self.pad_id),
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
            # Nothing stands before a row's first token that it could be told from; padding is no such thing.
            "labels": pad(([IGNORE, *row["labels"][1:]] for row in rows), IGNORE),
        }


def answer_loss(model: Any, inputs: dict[str, Any], items: Any = None) -> Any:
    """Cross entropy over the answers' tokens, the same figure the model gives with ``labels``.

    Logits are made for the batch's right end only, where the answers are: on a small model with a large vocabulary
    the head over the whole prompt is a good part of the work.

    Args:
        items: number of answer tokens of the whole step when gradients are accumulated; None: of this batch.
    """
    import torch.nn.functional as functional

    labels = inputs["labels"]
    keep = int((labels != IGNORE).any(0).long().flip(0).cumsum(0).argmax()) + 2  # and the position before the first
    logits = model(**{k: v for k, v in inputs.items() if k != "labels"}, logits_to_keep=keep, use_cache=False).logits
    targets = labels[:, -keep:][:, 1:]
    loss = functional.cross_entropy(
        logits[:, :-1].float().reshape(-1, logits.shape[-1]),
        targets.reshape(-1),
        ignore_index=IGNORE,
        reduction="sum" if items is not None else "mean",
    )
    return loss / items if items is not None else loss
