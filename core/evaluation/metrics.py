"""ROUGE that can be trusted on Chinese, in the shape of an ``evaluate`` metric, without a network."""

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
_HAN = re.compile(r"[㐀-鿿豈-﫿]")
_SENTENCE_END = re.compile(r"(?<=[。！？；!?;])|(?<=\.)\s+")


class MixedTokenizer:
    """Tokens of mixed text for rouge_score: each Chinese character one token, Latin runs as rouge_score splits them.

    rouge_score's own tokenizer keeps a-z and 0-9 only: two identical Chinese strings would score 0, and any two with
    the same Latin word 1.
    """

    def __init__(self) -> None:
        from rouge_score.tokenizers import DefaultTokenizer

        self._latin = DefaultTokenizer(use_stemmer=False)

    def tokenize(self, text: str) -> list[str]:
        return self._latin.tokenize(_HAN.sub(lambda m: f" u{ord(m[0]):x} ", text))


def sentences(text: str) -> str:
    """The text with one sentence a line, which is how rougeLsum tells sentences apart (Chinese marks too)."""
    return "\n".join(part.strip() for part in _SENTENCE_END.split(text) if part.strip())


@lru_cache(maxsize=1)
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(list(ROUGE), tokenizer=MixedTokenizer())


def rouge_row(prediction: str, reference: str) -> dict[str, float]:
    """ROUGE-1, -2, -L and -Lsum F1 of one prediction, each from 0 to 1."""
    scored = _scorer().score(sentences(reference), sentences(prediction))
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
