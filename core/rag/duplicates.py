"""Chunks that say the same as an earlier one, in whatever document: exactly, or almost.

Near duplicates: Jaccard similarity of character shingles (Broder, 1997, "On the resemblance and containment of
documents"). Candidates come from an inverted index over each text's smallest shingle hashes (its bottom-k sketch), and
only they are compared in full.
"""

import re
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

SHINGLE = 5  # characters
SKETCH = 24  # smallest hashes of a text that lead to it
SIMILAR = 0.85
_CROWD = 100  # texts at most that one hash leads to, so that boilerplate costs no quadratic time
_ODD = np.uint64(0x9E3779B97F4A7C15)


class HasText(Protocol):
    """Anything with a text: a chunk, a stored row."""

    @property
    def text(self) -> str: ...


@dataclass(frozen=True)
class Duplicate:
    """``chunks[index]`` repeats the earlier ``chunks[of]``; similarity 1.0 is the same but for case and punctuation."""

    index: int
    of: int
    similarity: float


def duplicates(chunks: Sequence[HasText], similar: float = SIMILAR) -> list[Duplicate]:
    """What to leave out: each chunk that repeats an earlier one, once, with the first of its kind.

    Texts whose numbers differ are never near duplicates: two years' reports may differ in nothing else.
    """
    exact: dict[str, int] = {}
    index: defaultdict[int, list[int]] = defaultdict(list)
    kept: dict[int, tuple[np.ndarray, list[str]]] = {}
    found = []
    for number, chunk in enumerate(chunks):
        text = _normal(chunk.text)
        if text in exact:
            found.append(Duplicate(number, exact[text], 1.0))
            continue
        shingles, figures = _shingles(text), re.findall(r"\d+", chunk.text)
        sketch = shingles[:SKETCH].tolist()
        shared = Counter(earlier for key in sketch for earlier in index[key])
        best = max(
            ((_jaccard(shingles, kept[i][0]), -i) for i, n in shared.most_common(8) if kept[i][1] == figures),
            default=(0.0, 0),
        )
        if best[0] >= similar:
            found.append(Duplicate(number, -best[1], round(best[0], 4)))
            continue
        exact[text] = number
        kept[number] = shingles, figures
        for key in sketch:
            if len(index[key]) < _CROWD:
                index[key].append(number)
    return found


def _normal(text: str) -> str:
    """Letters and digits only, in one case and width; the text itself where it has none."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", "", folded) or folded.strip()


def _shingles(text: str) -> np.ndarray:
    """Hashes of the runs of ``SHINGLE`` characters, sorted, each once."""
    codes = np.frombuffer(text.encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.uint64)
    if len(codes) < SHINGLE:
        codes = np.concatenate([codes, np.zeros(SHINGLE - len(codes), np.uint64)])
    count = len(codes) - SHINGLE + 1
    hashes = np.zeros(count, np.uint64)
    for offset in range(SHINGLE):
        hashes = (hashes ^ codes[offset : offset + count]) * _ODD
        hashes ^= hashes >> np.uint64(29)
    return np.unique(hashes)


def _jaccard(a: np.ndarray, b: np.ndarray) -> float:
    common = len(np.intersect1d(a, b, assume_unique=True))
    return common / (len(a) + len(b) - common)
