"""What the preview shows is what is indexed: the same chunks, counted by the base's own embedding model."""

from pathlib import Path

import pytest

from core.models.cards import ModelCard
from core.rag import embedding, knowledge, preview
from core.rag.rows import Making, split

SENTENCES = [f"Sentence number {i} tells of a llama." for i in range(60)]


@pytest.fixture(autouse=True)
def embedder(tiny_embedder: ModelCard) -> ModelCard:
    return tiny_embedder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "b.md").write_text("# Llamas\n\n" + " ".join(SENTENCES), "utf-8")
    (made / "a.md").write_text("A fox.\n\n## More\n\nAn owl sees at night.", "utf-8")
    (made / "c.md").write_text("An owl sees at night!", "utf-8")
    (made / "broken.pdf").write_bytes(b"%PDF-1.4 cut off")
    return made


@pytest.mark.parametrize(("size", "overlap"), [(40, 0), (60, 20), (220, 0)])
def test_what_is_shown_is_what_is_indexed(folder: Path, size: int, overlap: int) -> None:
    read, rejected = preview.read([folder])
    assert [error["name"] for error in rejected] == ["broken.pdf"]
    shown = preview.pieces(read, Making("tiny-embedder", size, overlap))
    knowledge.build("kb", [folder], size=size, overlap=overlap)
    indexed = [(row.text, row.source, row.start) for row in knowledge.rows("kb")]
    assert [(p.chunk.text, p.chunk.source, p.chunk.start) for p in shown if not p.same_as] == indexed
    [left_out] = [piece for piece in shown if piece.same_as]
    assert left_out.same_as and (left_out.chunk.source, left_out.same_as.source) == ("c.md", "a.md")
    count = embedding.counter("tiny-embedder")
    assert [piece.tokens for piece in shown] == [count(piece.chunk.text) for piece in shown]


def test_no_chunk_is_longer_than_the_model_reads(folder: Path) -> None:
    longest = embedding.reach("tiny-embedder")
    assert longest < 256
    [document] = preview.read_one(folder / "b.md", "b.md")
    pieces = preview.pieces([document], Making("tiny-embedder", 5000))
    assert len(pieces) > 1
    assert max(piece.tokens for piece in pieces) <= longest
    assert [piece.chunk for piece in pieces] == split(document, Making("tiny-embedder", longest))
