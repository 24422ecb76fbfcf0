"""Which passage an answer's sentence comes from, found after it is written: a small model does not cite by itself."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.rag import embedding
from core.rag.chunks import sentences

SUPPORTED = 0.6
"""Score from which a sentence counts as supported; set on the shipped documents, see the test."""
NEAR, SAME = 0.78, 0.95  # e5's cosine of two unrelated sentences of one language, and of two that say the same
_HAN, _WORD = re.compile(r"[㐀-鿿豈-﫿]+"), re.compile(r"[^\W_]+(?:[.\-][^\W_]+)*")
_NUMBER = re.compile(r"\d+(?:[.,]\d+)*")


@dataclass(frozen=True)
class Cited:
    """A sentence of an answer.

    Attributes:
        start, end: its place in the answer.
        passage: index of the passage that supports it best; None: none does.
        score: how well, 0 to 1.
    """

    start: int
    end: int
    passage: int | None
    score: float


def cite(answer: str, passages: Sequence[str], model: str = "") -> list[Cited]:
    """Find the passage behind each sentence of an answer.

    A passage supports a sentence that says what one of the passage's own sentences says (cosine of their embeddings)
    in words that the passage has (share of the sentence's words and Chinese character pairs). A number that the
    passage does not have speaks against it whatever the rest.

    Args:
        model: catalog name of the embedding model; empty: the default one.
    """
    spans = [span for span in sentences(answer) if _features(answer[slice(*span)])]
    parts = [(i, text[a:b]) for i, text in enumerate(passages) for a, b in sentences(text)]
    if not spans or not parts:
        return [Cited(*span, None, 0.0) for span in spans]
    said = [answer[slice(*span)] for span in spans]
    vectors = embedding.embed([*said, *(part for _, part in parts)], "passage", model)
    near = vectors[: len(said)] @ vectors[len(said) :].T
    words, numbers = [_features(text) for text in passages], [set(_NUMBER.findall(text)) for text in passages]
    found = []
    for row, (span, sentence) in enumerate(zip(spans, said, strict=True)):
        mine, scores = _features(sentence), []
        for index in range(len(passages)):
            cosine = max((near[row, i] for i, (owner, _) in enumerate(parts) if owner == index), default=0.0)
            meaning = min(1.0, max(0.0, (float(cosine) - NEAR) / (SAME - NEAR)))
            shared = len(mine & words[index]) / len(mine)
            known = set(_NUMBER.findall(sentence)) <= numbers[index]
            scores.append((meaning + shared) / 2 if known else 0.0)
        best = max(range(len(scores)), key=scores.__getitem__)
        supported = scores[best] >= SUPPORTED
        found.append(Cited(*span, best if supported else None, round(scores[best], 3)))
    return found


def _features(text: str) -> set[str]:
    """Lowercased words, and pairs of neighbouring Chinese characters."""
    runs = _HAN.findall(text)
    pairs = {run[i : i + 2] for run in runs for i in range(max(1, len(run) - 1))}
    return pairs | {word.lower() for word in _WORD.findall(_HAN.sub(" ", text))}
