"""The last stage: the best few candidates, looked at once more and more closely."""

import re
from collections.abc import Sequence
from functools import lru_cache
from threading import Lock
from typing import Any

from core.models import cards, loading, store
from core.models.cards import ModelCard
from core.rag.lexical import Lexical, terms

_SENTENCE = re.compile(r"[^。！？；…!?;\n]+[。！？；…!?;]*")
_LOCK = Lock()


def card() -> ModelCard | None:
    """The cross-encoder that reranks: the first of the catalog that is on disk; None: there is none."""
    return next((c for c in cards.catalog().values() if c.task == "rerank" and store.is_ready(c)), None)


@lru_cache(maxsize=1)
def _reranker(name: str) -> Any:
    return loading.load_reranker(cards.card(name))


def by_model(name: str, query: str, texts: Sequence[str]) -> list[float]:
    """Scores of a cross-encoder (catalog name) for each text, higher fits better.

    Raises:
        UserError: it cannot be loaded.
    """
    with _LOCK:
        return [float(score) for score in _reranker(name).predict([(query, text) for text in texts])]


def by_sentence(index: Lexical, query: str, texts: Sequence[str]) -> list[float]:
    """The largest share of the query, from 0 to 1, that a single sentence of each text has in its words.

    A passage about the question's subject has its words all over; the one that answers has them in one sentence.
    Words count by their rarity (idf). On the CMRC trial cut into chunks this lifts MRR from 0.939 to 0.943.
    """
    asked = {term: index.weight(term) for term in terms(query)}
    whole = sum(asked.values()) or 1.0

    def covered(sentence: str) -> float:
        return sum(asked[term] for term in asked.keys() & set(terms(sentence))) / whole

    return [max(map(covered, _SENTENCE.findall(text)), default=0.0) for text in texts]
