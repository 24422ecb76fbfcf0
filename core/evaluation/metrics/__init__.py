"""How good an answer is: every metric by name (:func:`registry`), and what they are computed from."""

from core.evaluation.metrics.cases import Expected, Output, class_names, expected
from core.evaluation.metrics.ngrams import ROUGE, rouge, rouge_row, sentences
from core.evaluation.metrics.registry import Metric, registry
from core.evaluation.metrics.tokens import TOKENIZERS, MixedTokenizer

__all__ = [
    "ROUGE",
    "TOKENIZERS",
    "Expected",
    "Metric",
    "MixedTokenizer",
    "Output",
    "class_names",
    "expected",
    "registry",
    "rouge",
    "rouge_row",
    "sentences",
]
