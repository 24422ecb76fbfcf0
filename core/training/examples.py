"""Rows → tokens with labels, and batches: only the answer is learned, the prompt is masked."""

from collections.abc import Sequence
from typing import Any

from core.generation.prompts import conversation, encode

IGNORE = -100


def example(tokenizer: Any, row: dict[str, str], max_length: int) -> dict[str, list[int]]:
    """One row as {"input_ids", "labels"}, both of the same length, at most ``max_length`` tokens.

    The prompt is what the engine would send; the answer ends with the end-of-text token so that the model learns
    to stop. A row that is too long loses the head of its prompt first and the end of its answer last.
    """
    prompt = encode(tokenizer, conversation(row["input"]))
    answer = tokenizer(row["output"], add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    answer = answer[: max_length - 1]
    prompt = prompt[-(max_length - len(answer)) :]
    return {"input_ids": prompt + answer, "labels": [IGNORE] * len(prompt) + answer}


class Collator:
    """Pads a batch on the left, so that the answers stand together at the right end."""

    def __init__(self, pad_id: int) -> None:
        self.pad_id = pad_id

    def __call__(self, rows: Sequence[dict[str, list[int]]]) -> dict[str, Any]:
        """Returns ``input_ids``, ``attention_mask``, ``position_ids`` and ``labels``, each (rows, longest) int64."""
        import torch

        longest = max(len(row["input_ids"]) for row in rows)

        def pad(key: str, fill: int) -> Any:
            return torch.tensor([[fill] * (longest - len(row[key])) + row[key] for row in rows])

        mask = torch.tensor([[0] * (longest - len(row["input_ids"])) + [1] * len(row["input_ids"]) for row in rows])
        return {
            "input_ids": pad("input_ids", self.pad_id),
            "attention_mask": mask,
            "position_ids": (mask.cumsum(1) - 1).clamp(min=0),
            "labels": pad("labels", IGNORE),
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
