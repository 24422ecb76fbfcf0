"""Texts → vectors, by the embedding model of the catalog; one model in memory, one caller at a time."""

import threading
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from core.models import cards, loading, store

if TYPE_CHECKING:
    import numpy as np

_LOCK = threading.Lock()


@lru_cache(maxsize=1)
def _embedder(name: str) -> Any:
    return loading.load_embedder(cards.card(name))


def embed(
    texts: list[str], kind: str, model: str = "", progress: Callable[[int, int], None] | None = None, batch: int = 16
) -> "np.ndarray":
    """Vectors of ``texts``, shape (n, dimensions), float32, of length 1.

    Args:
        kind: "query" or "passage": the prompt the model was trained with for that side.
        model: catalog name; empty: the default embedder.
        progress: called with (done, total) after each batch.
    """
    import numpy as np

    parts = []
    with _LOCK:
        encoder = _embedder(model or store.default_embedder().name)
        for i in range(0, len(texts), batch):
            parts.append(
                encoder.encode(
                    texts[i : i + batch], prompt_name=kind, normalize_embeddings=True, show_progress_bar=False
                )
            )
            if progress:
                progress(min(i + batch, len(texts)), len(texts))
    return np.concatenate(parts).astype(np.float32)
