"""Tokens of mixed text, the one visible choice behind ROUGE and token F1."""

import re
import unicodedata
from functools import lru_cache
from types import SimpleNamespace
from typing import Any

CHARACTER, JIEBA, ENGLISH = "character", "jieba", "english"
TOKENIZERS = (CHARACTER, JIEBA, ENGLISH)
"""Chinese by characters, or by words of jieba's dictionary; Latin runs as rouge_score splits them, stemmed in english.

No choice drops anything: in each of them Chinese within English, and English within Chinese, still counts.
"""
# Han, kana and Hangul: written without spaces between words, or with too few of them.
WIDE = "\u3005\u3007\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
_RUN = re.compile(rf"[{WIDE}]+|[^{WIDE}]+")
_IS_WIDE = re.compile(rf"[{WIDE}]")


class MixedTokenizer:
    """Tokens for rouge_score, whose own tokenizer keeps a-z and 0-9 only.

    With that one two identical Chinese strings score 0, and any two with the same Latin word 1. Full-width letters and
    digits count as plain ones here.
    """

    def __init__(self, choice: str = CHARACTER) -> None:
        self._stemmer = _stemmer() if choice == ENGLISH else None
        self._choice = choice

    def tokenize(self, text: str) -> list[str]:
        from rouge_score.tokenize import tokenize

        found: list[str] = []
        for run in _RUN.findall(unicodedata.normalize("NFKC", text)):
            found += words(run, self._choice) if _IS_WIDE.match(run) else tokenize(run, self._stemmer)
        return found


def words(run: str, choice: str) -> list[str]:
    """The tokens of a run of Chinese."""
    return list(_segmenter().cut(run)) if choice == JIEBA else list(run)


def pieces(normal: str, choice: str) -> list[str]:
    """The tokens of an answer that :func:`core.evaluation.metrics.normal.normalise` has made plain: a number is one."""
    found: list[str] = []
    for piece in normal.split():
        found += words(piece, choice) if _IS_WIDE.match(piece) else [piece]
    if choice != ENGLISH:
        return found
    return [_stemmer().stem(piece) if len(piece) > 3 and piece.isascii() else piece for piece in found]


@lru_cache(maxsize=1)
def _segmenter() -> Any:
    import rjieba  # jieba's dictionary and algorithm in Rust; jieba itself has had no release since 2020

    return rjieba.Jieba()


@lru_cache(maxsize=1)
def _stemmer() -> Any:
    from nltk.stem.porter import PorterStemmer

    return SimpleNamespace(stem=lru_cache(maxsize=20_000)(PorterStemmer().stem))
