"""BM25 over character bigrams of Chinese, Japanese and Korean, and over words of everything else.

Character bigrams need no dictionary and beat the words of a segmenter here: on the CMRC trial, MRR 0.97 against 0.96
(benchmarks/retrieval.py prints ours). The scores of every (term, text) pair are worked out once and kept as a sparse
matrix, so that a query only adds up a few of its columns.
"""

import math
import re
import unicodedata
from array import array
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

K1, B = 1.2, 0.75  # Lucene's defaults
# Han, kana and Hangul: written without spaces between words, or with too few of them.
_WIDE = "\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{_WIDE}]+|[^\W_{_WIDE}]+")
_IS_WIDE = re.compile(rf"[{_WIDE}]")
FUNCTION = re.compile(
    r"请问|请|介绍一下|介绍|说说|告诉我|什么时候|为什么|什么|怎么样|怎么|怎样|如何|多少|哪[些里个年座家位所]?|谁|几"
    r"|吗|呢|吧|啊|是不是|有没有|是|有|在|的|了|和|与|及|还|又|也"
    r"|\b(?:what|when|where|which|who|whom|whose|why|how|is|are|was|were|do|does|did|the|an?|of|in|on|at|to|for|and|or"
    r"|by|with|tell|me|about|please|can|could|you|i|many|much|it|its|they|them|this|that)\b",
    re.IGNORECASE,
)
"""Words that make a sentence of a question and say nothing of its subject."""


def terms(text: str) -> list[str]:
    """What a text is looked up by: lower-cased words, and the overlapping pairs of a run of wide characters.

    A wide character that stands alone is a term of its own; full-width letters and digits count as plain ones.

    Example:
        >>> terms("GPT-4 很强大")
        ['gpt', '4', '很强', '强大']
    """
    found: list[str] = []
    for run in _RUN.findall(unicodedata.normalize("NFKC", text).lower()):
        if len(run) > 1 and _IS_WIDE.match(run):
            found += [run[i : i + 2] for i in range(len(run) - 1)]
        else:
            found.append(run)
    return found


def asked(query: str) -> list[str]:
    """What a question looks up: its terms without the words that only make it a question.

    In a small base such words are rare in the texts and would weigh as much as names. On the CMRC trial in chunks this
    lifts the lexical MRR from 0.979 to 0.988, on the shipped English questions from 0.864 to 0.917.

    Example:
        >>> asked("广州大学的校训是什么？")
        ['广州', '州大', '大学', '校训']
    """
    return terms(FUNCTION.sub(" ", query)) or terms(query)


def is_wide(text: str) -> bool:
    """Whether a text is written in Chinese, Japanese or Korean, judged by its beginning."""
    start = text[:200]
    return 4 * len(_IS_WIDE.findall(start)) > len(start)


class Lexical:
    """A BM25 index of texts; a text's row is its place in the order they were given.

    The formula is Lucene's (always positive idf): Robertson and Zaragoza, "The Probabilistic Relevance Framework: BM25
    and Beyond", 2009; Kamphuis et al., "Which BM25 Do You Mean?", 2020.
    """

    def __init__(self, vocabulary: dict[str, int], scores: Any) -> None:
        """``scores``: scipy CSC matrix (texts, terms), float32: what a text gains from one occurrence in the query."""
        self._vocabulary = vocabulary
        self._scores = scores

    def __len__(self) -> int:
        return int(self._scores.shape[0])

    @classmethod
    def build(cls, texts: Iterable[str]) -> "Lexical":
        """Index ``texts`` (any iterable; only term numbers and counts are kept in memory)."""
        import numpy as np
        from scipy import sparse

        vocabulary: dict[str, int] = {}
        columns, counts, starts = array("i"), array("i"), array("q", [0])
        for text in texts:
            for term, count in Counter(terms(text)).items():
                columns.append(vocabulary.setdefault(term, len(vocabulary)))
                counts.append(count)
            starts.append(len(columns))
        shape = (len(starts) - 1, len(vocabulary))
        indices, indptr = np.frombuffer(columns, np.int32), np.frombuffer(starts, np.int64)
        frequency = np.frombuffer(counts, np.int32).astype(np.float32)
        matrix = sparse.csr_matrix((frequency, indices, indptr), shape=shape)
        lengths = np.asarray(matrix.sum(axis=1)).ravel()
        texts_with = np.bincount(indices, minlength=shape[1])
        idf = np.log1p((shape[0] - texts_with + 0.5) / (texts_with + 0.5)).astype(np.float32)
        relative = (K1 * (1 - B + B * lengths / max(lengths.mean(), 1e-9))).astype(np.float32) if shape[0] else lengths
        matrix.data = idf[indices] * frequency / (frequency + np.repeat(relative, np.diff(indptr)))
        return cls(vocabulary, matrix.tocsc())

    def scores(self, query: str) -> Any:
        """The BM25 score of every text, shape (texts,), 0 where nothing is shared with the query."""
        import numpy as np

        known = [(self._vocabulary[term], n) for term, n in Counter(asked(query)).items() if term in self._vocabulary]
        if not known:
            return np.zeros(len(self), np.float64)
        spans = [(slice(*self._scores.indptr[column : column + 2]), n) for column, n in known]
        rows = np.concatenate([self._scores.indices[span] for span, _ in spans])
        gains = np.concatenate([self._scores.data[span] * n for span, n in spans])
        return np.bincount(rows, gains, minlength=len(self))

    def weight(self, term: str) -> float:
        """The term's idf: the rarer, the more it says; a term that no text has weighs most."""
        return math.log1p((len(self) - (n := self._texts_with(term)) + 0.5) / (n + 0.5))

    def _texts_with(self, term: str) -> int:
        column = self._vocabulary.get(term)
        return 0 if column is None else int(self._scores.indptr[column + 1] - self._scores.indptr[column])

    def shares(self, query: str) -> Any:
        """The scores as a share of what a text of nothing but the query's terms could reach: 0 to 1, shape (texts,)."""
        return self.scores(query) / (sum(map(self.weight, asked(query))) or 1.0)

    def search(self, query: str, k: int) -> list[tuple[int, float]]:
        """At most ``k`` texts that share a term with the query, as (row, score), best first; equals by row."""
        import numpy as np

        scores = self.scores(query)
        found = np.flatnonzero(scores)
        if 0 < k < len(found):
            found = found[scores[found] >= np.partition(scores[found], -k)[-k]]
        order = found[np.lexsort((found, -scores[found]))][: max(k, 0)]
        return [(int(row), float(scores[row])) for row in order]

    def save(self, folder: Path) -> None:
        """Write the index into a folder (made if need be); whoever calls puts it in place once it is whole."""
        from scipy import sparse

        folder.mkdir(parents=True, exist_ok=True)
        sparse.save_npz(folder / "scores.npz", self._scores, compressed=False)
        (folder / "terms.txt").write_text("\n".join(self._vocabulary), "utf-8")

    @classmethod
    def load(cls, folder: Path) -> "Lexical":
        """Read what :meth:`save` wrote.

        Raises:
            OSError, ValueError: nothing is there, or not all of it.
        """
        from scipy import sparse

        scores = sparse.load_npz(folder / "scores.npz")
        names = (folder / "terms.txt").read_text("utf-8").split("\n")
        vocabulary = {term: i for i, term in enumerate(names) if term}
        if len(vocabulary) != scores.shape[1]:
            raise ValueError(f"{folder}: {len(vocabulary)} terms for {scores.shape[1]} columns")
        return cls(vocabulary, scores)
