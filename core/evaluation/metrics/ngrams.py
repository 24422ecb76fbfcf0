"""ROUGE that can be trusted on Chinese, also in the shape of an ``evaluate`` metric, without a network."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from core.evaluation.metrics.tokens import CHARACTER, MixedTokenizer

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_SENTENCE_END = re.compile(r"(?<=[。！？；!?;])|(?<=\.)\s+")


def sentences(text: str) -> str:
    """The text with one sentence a line, which is how rougeLsum tells sentences apart (Chinese marks too)."""
    return "\n".join(part.strip() for part in _SENTENCE_END.split(text) if part.strip())


@lru_cache(maxsize=3)
def _scorer(tokenizer: str) -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(ROUGE), tokenizer=MixedTokenizer(tokenizer))


def rouge_row(prediction: str, references: str | Sequence[str], tokenizer: str = CHARACTER) -> dict[str, float]:
    """ROUGE-1, -2, -L and -Lsum F1 of one prediction, each from 0 to 1 and each against its best reference.

    Args:
        tokenizer: see :data:`core.evaluation.metrics.tokens.TOKENIZERS`.
    """
    given = (references,) if isinstance(references, str) else tuple(references)
    return dict(_rouge(prediction, given, tokenizer))


@lru_cache(maxsize=64)  # the four figures of an answer are asked for one by one
def _rouge(prediction: str, references: tuple[str, ...], tokenizer: str) -> dict[str, float]:
    lines = [sentences(reference) for reference in references]
    scored = _scorer(tokenizer).score_multi(lines, sentences(prediction))
    return {name: scored[name].fmeasure for name in ROUGE}


def rouge() -> Any:
    """The same as an ``evaluate.Metric``: ``rouge().compute(predictions=…, references=…)`` gives the means."""
    import datasets
    import evaluate

    class Rouge(evaluate.Metric):
        def _info(self) -> Any:
            return evaluate.MetricInfo(
                description="ROUGE F1 with Chinese characters as tokens",
                citation="Lin 2004, ROUGE: A Package for Automatic Evaluation of Summaries",
                inputs_description="predictions and references: lists of texts",
                features=datasets.Features(
                    {"predictions": datasets.Value("string"), "references": datasets.Value("string")}
                ),
            )

        def _compute(self, predictions: Sequence[str], references: Sequence[str]) -> dict[str, float]:
            rows = [rouge_row(p, r) for p, r in zip(predictions, references, strict=True)]
            return {name: sum(row[name] for row in rows) / len(rows) for name in ROUGE}

    return Rouge(keep_in_memory=True)
