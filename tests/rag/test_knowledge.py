"""Knowledge bases on a tiny embedder: built, searched, replaced and removed, also from two processes."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.models.cards import ModelCard
from core.rag import knowledge, staging, store
from core.settings import ROOT, Settings, settings
from tests.helpers.searching import near, passages

TEXTS = {
    "animals.md": "# Animals\n\nA llama carries loads over the Andes.\n\n## Fox\n\nThe quick brown fox jumps.",
    "cities.md": "# 城市\n\n广州塔位于广州市。\n\n## 河流\n\n珠江流过广州。",
}


@pytest.fixture(autouse=True)
def embedder(tiny_embedder: ModelCard) -> ModelCard:
    return tiny_embedder


@pytest.fixture
def documents(tmp_path: Path) -> Path:
    folder = tmp_path / "documents"
    (folder / "deep").mkdir(parents=True)
    (folder / "animals.md").write_text(TEXTS["animals.md"], "utf-8")
    (folder / "deep" / "cities.md").write_text(TEXTS["cities.md"], "utf-8")
    (folder / "picture.png").write_bytes(b"\x89PNG")
    return folder


@pytest.fixture
def shipped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a shipped knowledge base "demo" that the test may change."""
    folder = tmp_path / "knowledge" / "demo"
    folder.mkdir(parents=True)
    (folder / "a.md").write_text("A llama carries loads.", "utf-8")
    monkeypatch.setattr(Settings, "knowledge_dir", property(lambda self: tmp_path / "knowledge"))
    return folder


def collections() -> list[str]:
    return [collection.name for collection in store.client().list_collections()]


def test_built_it_says_what_it_holds_and_is_listed(documents: Path, embedder: ModelCard) -> None:
    seen: list[tuple[int, int]] = []
    report = knowledge.build("我的库", [documents], lambda done, total: seen.append((done, total)))
    assert (report.name, report.documents, report.chunks) == ("我的库", 2, 4)
    assert seen[-1] == (4, 4)
    row = next(row for row in knowledge.listing() if row["name"] == "我的库")
    assert row["version"] == knowledge.version("我的库")
    assert {key: row[key] for key in ("shipped", "ready", "documents", "chunks", "embedder", "outdated")} == {
        "shipped": False,
        "ready": True,
        "documents": 2,
        "chunks": 4,
        "embedder": embedder.name,
        "outdated": False,
    }


def test_the_same_text_is_found_first_with_its_source_and_heading(documents: Path) -> None:
    """Asked exactly a chunk's text, it must come first with similarity 1, and bring its headings along."""
    knowledge.build("kb", [documents])
    for asked, text, source, heading in (
        ("A llama carries loads over the Andes.", "A llama carries loads over the Andes.", "animals.md", "Animals"),
        ("珠江流过广州。", "珠江流过广州。", "deep/cities.md", "城市 › 河流"),
    ):
        found = near("kb", asked, 4)
        row, score = found[0]
        assert (row.text, row.source, row.heading) == (text, source, heading)
        assert score == pytest.approx(1.0, abs=1e-3)
        assert [score for _, score in found] == sorted((score for _, score in found), reverse=True)
        assert passages("kb", asked)[0].text == text


def test_the_ranking_is_that_of_the_vectors_themselves(documents: Path) -> None:
    from core.rag import embedding

    knowledge.build("kb", [documents])
    question = "where does the fox jump?"
    found = near("kb", question, 10)
    scores = embedding.embed([row.text for row, _ in found], "passage") @ embedding.embed([question], "query")[0]
    assert len(found) == 4
    assert [score for _, score in found] == pytest.approx(scores.tolist(), abs=1e-3)


def test_top_k_passages_are_given(documents: Path) -> None:
    knowledge.build("kb", [documents])
    assert len(passages("kb", "llama", 2)) == 2
    assert len(passages("kb", "llama", 100)) == 4


def test_rebuilding_replaces(documents: Path) -> None:
    knowledge.build("kb", [documents])
    (documents / "animals.md").write_text("# Animals\n\nAn owl sees at night.", "utf-8")
    knowledge.build("kb", [documents])
    texts = {p.text for p in passages("kb", "llama", 100)}
    assert "An owl sees at night." in texts
    assert "A llama carries loads over the Andes." not in texts
    assert len(collections()) == 1


def test_a_build_that_breaks_leaves_the_old_one_answering(documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge.build("kb", [documents])
    before = [p.text for p in passages("kb", "llama", 100)]
    (documents / "animals.md").write_text("An owl sees at night.", "utf-8")

    def broken(*_: object) -> None:
        raise RuntimeError("killed half way")

    with monkeypatch.context() as patch:
        patch.setattr(staging, "commit", broken)
        with pytest.raises(RuntimeError, match="killed half way"):
            knowledge.build("kb", [documents])
    assert [p.text for p in passages("kb", "llama", 100)] == before
    knowledge.build("kb", [documents])
    assert "An owl sees at night." in [p.text for p in passages("kb", "owl", 100)]


def test_several_stand_side_by_side_and_one_is_removed(documents: Path) -> None:
    knowledge.build("one", [documents / "animals.md"])
    knowledge.build("two", [documents / "deep"])
    assert {p.source for p in passages("one", "广州", 10)} == {"animals.md"}
    assert {p.source for p in passages("two", "llama", 10)} == {"cities.md"}
    knowledge.remove("one")
    assert len(collections()) == 1
    with pytest.raises(UserError, match=r"no knowledge base “one”.*two"):
        passages("one", "llama")
    with pytest.raises(UserError, match="no index of “one”"):
        knowledge.remove("one")
    assert passages("two", "llama")


def test_what_cannot_be_built_is_refused_and_changes_nothing(documents: Path, tmp_path: Path) -> None:
    (tmp_path / "empty.md").write_text(" \n", "utf-8")
    (tmp_path / "hollow").mkdir()
    cases = [
        ("", [documents], "needs a name"),
        ("kb", [tmp_path / "gone"], "no file or folder"),
        ("kb", [documents / "picture.png"], r"picture\.png cannot be read"),
        ("kb", [tmp_path / "hollow"], "no document to index"),
        ("kb", [tmp_path / "empty.md"], "is empty"),
    ]
    for name, paths, words in cases:
        with pytest.raises(UserError, match=words):
            knowledge.build(name, paths)
    assert not [row for row in knowledge.listing() if not row["shipped"]]


def test_an_empty_question_is_refused(documents: Path) -> None:
    knowledge.build("kb", [documents])
    with pytest.raises(UserError, match="question is empty"):
        passages("kb", " \n")


def test_a_shipped_one_is_indexed_on_its_first_use_and_again_when_it_changed(shipped: Path) -> None:
    assert knowledge.listing()[0]["name"] == "demo"
    assert not knowledge.listing()[0]["ready"]
    assert [p.text for p in passages("demo", "llama")] == ["A llama carries loads."]
    built = knowledge.listing()[0]["built"]
    passages("demo", "llama")
    assert knowledge.listing()[0]["built"] == built, "indexed again without a reason"
    (shipped / "b.md").write_text("An owl sees at night.", "utf-8")
    assert {p.source for p in passages("demo", "llama")} == {"a.md", "b.md"}
    (shipped / "b.md").unlink()
    assert {p.source for p in passages("demo", "llama")} == {"a.md"}


def test_a_removed_shipped_one_comes_back(shipped: Path) -> None:
    passages("demo", "llama")
    knowledge.remove("demo")
    assert not knowledge.listing()[0]["ready"]
    assert passages("demo", "llama")


def test_the_projects_own_are_the_shipped_ones() -> None:
    assert knowledge.shipped() == ["guangzhou", "llama2"]
    assert settings().knowledge_dir == ROOT / "knowledge"


def test_what_another_process_rebuilt_is_seen_by_the_next_search(documents: Path) -> None:
    """Chroma itself does not show one process what another added to a collection."""
    knowledge.build("kb", [documents])
    assert len(passages("kb", "llama", 100)) == 4
    (documents / "animals.md").write_text("An owl sees at night.", "utf-8")
    command = [sys.executable, "-m", "tests.helpers.build", "kb", str(documents)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = passages("kb", "An owl sees at night.", 100)
    assert found[0].text == "An owl sees at night."
    assert len(found) == 3


def test_a_rebuild_in_the_middle_of_a_search_is_not_noticed(documents: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rebuilt after the search has read which collection to ask, while it embeds the question."""
    from core.rag import embedding

    knowledge.build("kb", [documents])
    real, rebuilt = embedding.embed, []

    def slow(texts: list[str], kind: str, *rest: Any) -> Any:
        if kind == "query" and not rebuilt:
            rebuilt.append(knowledge.build("kb", [documents]))
        return real(texts, kind, *rest)

    monkeypatch.setattr(embedding, "embed", slow)
    assert len(passages("kb", "llama", 100)) == 4
    assert rebuilt


def test_a_shipped_name_is_not_taken_over(documents: Path) -> None:
    with pytest.raises(UserError, match="comes with the app"):
        knowledge.build("llama2", [documents])
