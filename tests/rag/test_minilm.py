"""A real sentence-transformers model that did not come from this project: all-MiniLM-L6-v2 out of a PyPI wheel."""

from pathlib import Path

import pytest

from core.models import own
from core.rag import embedding

pytestmark = pytest.mark.embedded


def test_it_is_added_to_the_catalog_and_embeds_by_meaning(minilm: Path) -> None:
    card = own.add(own.describe(str(minilm), "", "minilm"))
    assert card.task == "embed"
    texts = ["How old are you?", "What is your age?", "The weather is nice."]
    vectors = embedding.embed(texts, "passage", "minilm")
    assert vectors.shape == (3, 384)
    assert vectors[0] @ vectors[1] > 0.7 > 0.3 > vectors[0] @ vectors[2]
    # No prompt on either side: query and passage are the same.
    assert abs(embedding.embed(texts, "query", "minilm") - vectors).max() < 1e-2
