"""``python -m tests.helpers.build NAME PATH``: another process that builds a knowledge base with the tiny embedder."""

import sys
from pathlib import Path

from core.models import cards, store
from core.rag import knowledge

if __name__ == "__main__":
    card = cards.card("tiny-embedder")
    store.default_embedder = lambda: card
    knowledge.build(sys.argv[1], [Path(sys.argv[2])])
