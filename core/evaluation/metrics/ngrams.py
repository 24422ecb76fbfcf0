"""ROUGE that can be trusted on Chinese, also in the shape of an ``evaluate`` metric, without a network.

The figures are rouge_score's, worked out many times faster, so that the kept answers of a whole experiment can
be measured anew while somebody waits.
"""

import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, pairwise
from typing import Any

from core.evaluation.metrics.tokens import CHARACTER, MixedTokenizer

ROUGE = ("rouge1", "rouge2", "rougeL", "rougeLsum")
Sentences = tuple[tuple[str, ...], ...]
"""A text's tokens, sentence by sentence."""
_SENTENCE_END = re.compile(r"(?<=[。！？；!?;])|(?<=\.)\s+")


def sentences(text: str) -> str:
    """The text with one sentence a line, which is how rougeLsum tells sentences apart (Chinese marks too)."""
    return "\n".join(part.strip() for part in _SENTENCE_END.split(text) if part.strip())


def rouge_row(prediction: str, references: str | Sequence[str], tokenizer: str = CHARACTER) -> dict[str, float]:
    """ROUGE-1, -2, -L and -Lsum F1 of one prediction, each from 0 to 1 and each against its best reference.

    Args:
        tokenizer: see :data:`core.evaluation.metrics.tokens.TOKENIZERS`.
    """
    given = (references,) if isinstance(references, str) else tuple(references)
    return dict(_rouge(prediction, given, tokenizer))


@lru_cache(maxsize=64)  # the four figures of an answer are asked for one by one
def _rouge(prediction: str, references: tuple[str, ...], tokenizer: str) -> dict[str, float]:
    said = _tokens(prediction, tokenizer)
    found = [_score(_tokens(reference, tokenizer), said) for reference in references]
    return {name: max(one[name] for one in found) for name in ROUGE}


@lru_cache(maxsize=4096)  # a reference is held against the answer of every arm
def _tokens(text: str, tokenizer: str) -> Sentences:
    """Sentence by sentence; those without a token are left out."""
    mixed = _tokenizer(tokenizer)
    found = (tuple(mixed.tokenize(sentence)) for sentence in sentences(text).split("\n"))
    return tuple(sentence for sentence in found if sentence)


@lru_cache(maxsize=3)
def _tokenizer(choice: str) -> MixedTokenizer:
    return MixedTokenizer(choice)


def _score(reference: Sentences, answer: Sentences) -> dict[str, float]:
    whole, said = tuple(chain(*reference)), tuple(chain(*answer))
    return {
        "rouge1": _f1((Counter(whole) & Counter(said)).total(), len(whole), len(said)),
        "rouge2": _f1((_pairs(whole) & _pairs(said)).total(), len(whole) - 1, len(said) - 1),
        "rougeL": _f1(len(subsequence(whole, said)), len(whole), len(said)),
        "rougeLsum": _f1(_union(reference, answer), len(whole), len(said)),
    }


def _f1(shared: int, expected: int, given: int) -> float:
    return 2 * shared / (expected + given) if shared else 0.0


def _pairs(tokens: Sequence[str]) -> Counter[tuple[str, str]]:
    return Counter(pairwise(tokens))


def _union(reference: Sentences, answer: Sentences) -> int:
    """Tokens of the reference's sentences that some sentence of the answer has in their order; none counts more often
    than both texts have it."""
    union: Counter[str] = Counter()
    for sentence in reference:
        union.update(sentence[place] for place in {at for other in answer for at in subsequence(sentence, other)})
    return (union & Counter(chain(*reference)) & Counter(chain(*answer))).total()


def subsequence(reference: Sequence[str], answer: Sequence[str]) -> list[int]:
    """Places in the reference of a longest common subsequence, the last first; of several the one rouge_score takes.

    A row of its table is one number, in which a bit that is not set marks a step up (Hyyrö, 2004, Bit-parallel
    LCS-length computation revisited).
    """
    bits: dict[str, int] = {}
    for place, token in enumerate(answer):
        bits[token] = bits.get(token, 0) | 1 << place
    full = row = (1 << len(answer)) - 1
    rows = [row]
    for token in reference:
        met = row & bits.get(token, 0)
        row = ((row + met) | (row - met)) & full
        rows.append(row)

    def longest(i: int, j: int) -> int:
        return j - (rows[i] & ((1 << j) - 1)).bit_count()

    found, i, j = [], len(reference), len(answer)
    while i and j:
        if reference[i - 1] == answer[j - 1]:
            found.append(i - 1)
            i, j = i - 1, j - 1
        elif longest(i, j - 1) > longest(i - 1, j):
            j -= 1
        else:
            i -= 1
    return found


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
