"""Looking into a knowledge base, whatever its threshold says."""

from core.rag import embedding, knowledge
from core.rag.bases import Row
from core.rag.passages import Passage
from core.rag.retrieval import Settings, retrieve


def passages(name: str, question: str, count: int = 100) -> list[Passage]:
    """The passages that all stages together bring, best first."""
    return retrieve(name, question, count, Settings(threshold=False)).passages


def near(name: str, question: str, count: int = 100) -> list[tuple[Row, float]]:
    """The rows nearest to a question by their vectors alone, with their cosines."""
    seen = knowledge.view(name)
    vector = embedding.embed([question], "query", seen.embedder)[0]
    return [(seen.rows[number], score) for number, score in knowledge.nearest(seen, vector, count)]
