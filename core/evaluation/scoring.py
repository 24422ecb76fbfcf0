"""An answer of an experiment by every metric that its row has something to be measured with."""

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from core.evaluation.lengths import TOO_LONG
from core.evaluation.metrics import Expected, Metric, Output, registry
from core.evaluation.metrics.registry import Parts
from core.evaluation.metrics.tokens import CHARACTER


@lru_cache(maxsize=3)
def metrics(tokenizer: str = CHARACTER) -> dict[str, Metric]:
    """All metrics by name, in the order of tables."""
    return registry(tokenizer)


def expected(row: Mapping[str, Any]) -> Expected:
    """What a frozen row expects."""
    about = row["expected"]
    return Expected(
        about["kind"],
        tuple(about["references"]),
        tuple(about["labels"]),
        about["answerable"],
        tuple(about["sources"]),
    )


def measure(row: Mapping[str, Any], answer: Mapping[str, Any], tokenizer: str = CHARACTER) -> dict[str, Parts]:
    """What an answer adds to each metric's sums; metrics for which it has no value are left out.

    Args:
        row: of the frozen inputs.
        answer: a line of ``answers.jsonl``: "text", "tokens", "seconds", perhaps "supported", "sources" and
            "log_probabilities".
    """
    return _measured(metrics(tokenizer), row, answer)


def measure_anew(row: Mapping[str, Any], answer: Mapping[str, Any], tokenizer: str) -> dict[str, Parts]:
    """What an answer that was measured before adds to each metric's sums under another tokenizer.

    Args:
        row, answer: as in :func:`measure`; only metrics that count tokens are worked out again.
    """
    counting = {name: one for name, one in metrics(tokenizer).items() if one.tokenized}
    return {**parts(answer), **_measured(counting, row, answer)}


def parts(answer: Mapping[str, Any]) -> dict[str, Parts]:
    """What a kept answer adds to each metric's sums; the first versions kept its scores alone."""
    if "parts" in answer:
        return {name: tuple(value) for name, value in answer["parts"].items()}
    return {name: (score,) for name, score in answer["scores"].items()}


def _measured(known: Mapping[str, Metric], row: Mapping[str, Any], answer: Mapping[str, Any]) -> dict[str, Parts]:
    wanted = expected(row)
    out = Output(
        answer["text"],
        answer["tokens"],
        answer["seconds"],
        supported=answer.get("supported"),
        sources=answer.get("sources"),
        log_probabilities=answer.get("log_probabilities"),
    )
    if answer.get("finish") == TOO_LONG:  # an answer that was not asked for is wrong, but took no time
        known = {name: one for name, one in known.items() if one.unit == "share"}
    made = {name: one.compute(wanted, out) for name, one in known.items() if one.applies(wanted)}
    return {name: tuple(map(float, parts)) for name, parts in made.items() if parts is not None}


def figures(found: Mapping[str, Parts]) -> dict[str, float]:
    """A row's own figure of each metric."""
    return {name: metrics()[name].row(value) for name, value in found.items()}
