"""Texts that say the same as an earlier one, chunks of documents or rows of data: exactly, or almost.

Near duplicates: Jaccard similarity of character shingles (Broder, 1997, "On the resemblance and containment of
documents"). A text is remembered by its smallest shingle hashes alone (its bottom-k sketch); texts that share some of
them are compared in full. Among 100,000 texts of 250 characters, a twentieth of them repeated, this takes 4 seconds of
one core and 70 MB once their sketches are there (a tenth of a millisecond each), whatever lies in the texts.
"""

import hashlib
import re
import unicodedata
from collections.abc import Callable, Container, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

SHINGLE = 5  # characters
SKETCH = 12  # smallest hashes of a text: of four million pairs alike to 0.85, one shares less than a quarter of them
SIMILAR = 0.85
_CROWD = 100  # texts at most that one hash leads to, so that boilerplate costs no quadratic time
_NEAREST = 8  # candidates compared in full: those that share most
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

    Texts whose numbers differ are never duplicates: two years' reports may differ in nothing else.
    """
    if not chunks:
        return []
    return repeated(np.stack([sketch(chunk.text) for chunk in chunks]), lambda place: chunks[place].text, similar)


def sketch(text: str) -> np.ndarray:
    """What is remembered of a text, shape (1 + SKETCH,), uint64: a hash of all of it, then its smallest shingle hashes.

    A text of few shingles has zeros at the end. All hashes depend on the text's numbers as well, so that texts with
    others have nothing in common.
    """
    normal, figures = _normal(text)
    smallest = _shingles(normal)[:SKETCH]
    found = np.zeros(1 + SKETCH, np.uint64)
    found[0] = _hash(f"{normal}\0{figures}")
    found[1 : 1 + len(smallest)] = (smallest ^ _hash(figures)) * _ODD | np.uint64(1)
    return found


def repeated(sketches: np.ndarray, text: Callable[[int], str], similar: float = SIMILAR) -> list[Duplicate]:
    """The same as :func:`duplicates`, from sketches, shape (n, 1 + SKETCH).

    Args:
        text: gives the text at a place; asked for the few that are compared in full.
    """
    _, first, kind = np.unique(sketches[:, 0], return_index=True, return_inverse=True)
    originals = np.sort(first)
    near: dict[int, Duplicate] = {}  # by place, of those that are nobody's exact copy
    for index, earlier in _candidates(sketches[:, 1:], originals, near):
        own = shingles(text(index))
        likeness = [_jaccard(own, shingles(text(other))) for other in earlier]
        best = max(range(len(earlier)), key=lambda i: (likeness[i], -earlier[i]))
        if likeness[best] >= similar:
            near[index] = Duplicate(index, earlier[best], round(likeness[best], 4))
    found = []
    for index, original in enumerate(first[kind].tolist()):
        if like := near.get(original):
            found.append(Duplicate(index, like.of, like.similarity))
        elif original != index:
            found.append(Duplicate(index, original, 1.0))
    return found


def _candidates(hashes: np.ndarray, places: np.ndarray, left_out: Container[int]) -> Iterator[tuple[int, list[int]]]:
    """Each text of ``places`` with the earlier ones that share most hashes with it; ``left_out`` grows meanwhile."""
    hashes, width = hashes[places], hashes.shape[1]
    order = np.argsort(hashes, axis=None, kind="stable")  # texts of one hash lie together, the earlier first
    ranked = hashes.ravel()[order]
    new = np.concatenate([[True], ranked[1:] != ranked[:-1]])
    begins = np.flatnonzero(new)[np.cumsum(new) - 1].astype(np.int32)  # where the run of its hash begins
    texts = (order // width).astype(np.int32)
    at = np.flatnonzero((begins != np.arange(len(order))) & (ranked != 0))
    at = at[np.argsort(texts[at], kind="stable")]
    starts = np.flatnonzero(np.diff(texts[at], prepend=-1))
    for start, end in zip(starts, np.append(starts, len(at))[1:], strict=True):
        runs = [texts[begins[i] : min(i, begins[i] + _CROWD)] for i in at[start:end]]
        others, counts = np.unique(np.concatenate(runs), return_counts=True)
        enough = counts * 4 >= np.count_nonzero(hashes[texts[at[start]]])
        best = sorted(zip(-counts[enough], places[others[enough]].tolist(), strict=True))
        if earlier := [other for _, other in best if other not in left_out][:_NEAREST]:
            yield int(places[texts[at[start]]]), earlier


def shingles(text: str) -> np.ndarray:
    """Hashes, uint64, of the runs of ``SHINGLE`` characters among a text's letters and digits: sorted, each once."""
    return _shingles(_normal(text)[0])


def similarity(a: str, b: str) -> float:
    """Jaccard similarity of two texts' shingles, 0 to 1."""
    return _jaccard(shingles(a), shingles(b))


def _hash(text: str) -> np.uint64:
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return np.frombuffer(digest, np.uint64)[0]


def _normal(text: str) -> tuple[str, str]:
    """Letters and digits only, in one case and width (the text itself where it has none); and its numbers."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return re.sub(r"[\W_]+", "", folded) or folded.strip(), " ".join(re.findall(r"\d+", folded))


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
