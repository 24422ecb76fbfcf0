"""Documents of a knowledge base come and go one by one, and nothing but the new ones is embedded."""

import shutil
import sqlite3
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from core.errors import UserError
from core.models import store as models
from core.models.cards import ModelCard
from core.rag import bases, dense, embedding, knowledge, staging, store
from core.settings import settings
from tests.helpers.isolation import add_card
from tests.helpers.searching import passages

LLAMA, FOX, OWL = "A llama carries loads.", "The quick fox jumps.", "An owl sees at night."


@pytest.fixture(autouse=True)
def embedder(tiny_embedder: ModelCard) -> ModelCard:
    return tiny_embedder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    (made / "a.md").write_text(LLAMA, "utf-8")
    (made / "b.md").write_text(FOX, "utf-8")
    return made


@pytest.fixture
def embedded_texts(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every passage that is given to the embedder from now on."""
    texts: list[str] = []
    real = embedding.embed

    def counted(given: list[str], kind: str, *rest: Any) -> np.ndarray:
        texts.extend(given if kind == "passage" else [])
        return real(given, kind, *rest)

    monkeypatch.setattr(embedding, "embed", counted)
    return texts


def texts(name: str) -> list[str]:
    return [row.text for row in knowledge.rows(name)]


def found(name: str, question: str = LLAMA) -> set[str]:
    return {passage.text for passage in passages(name, question, 100)}


def names(name: str) -> list[str]:
    return [document["name"] for document in knowledge.documents(name)]


def test_what_is_unchanged_is_neither_embedded_nor_written(folder: Path, embedded_texts: list[str]) -> None:
    first = knowledge.build("kb", [folder])
    assert (first.added, first.unchanged) == (["a.md", "b.md"], [])
    assert sorted(embedded_texts) == sorted([LLAMA, FOX])
    with sqlite3.connect(bases.folder("kb") / "base.db") as db:
        before = db.execute("SELECT number FROM rows ORDER BY number").fetchall()
    version = knowledge.version("kb")
    (folder / "a.md").touch()
    again = knowledge.build("kb", [folder])
    assert (again.added, again.unchanged) == ([], ["a.md", "b.md"])
    assert len(embedded_texts) == 2
    with sqlite3.connect(bases.folder("kb") / "base.db") as db:
        assert db.execute("SELECT number FROM rows ORDER BY number").fetchall() == before
    assert knowledge.version("kb") == version


def test_a_document_is_added_replaced_and_deleted_alone(folder: Path, embedded_texts: list[str]) -> None:
    knowledge.build("kb", [folder])
    assert found("kb") == {LLAMA, FOX}
    embedded_texts.clear()
    (folder / "c.md").write_text("Another one.", "utf-8")
    assert knowledge.add("kb", [folder / "c.md"]).documents == 3
    assert found("kb") == {LLAMA, FOX, "Another one."}
    (folder / "c.md").write_text(OWL, "utf-8")
    assert knowledge.add("kb", [folder / "c.md"]).added == ["c.md"]
    assert found("kb") == {LLAMA, FOX, OWL}
    assert embedded_texts == ["Another one.", OWL]
    knowledge.delete_document("kb", "a.md")
    assert found("kb") == {FOX, OWL}
    assert names("kb") == ["b.md", "c.md"]
    assert embedded_texts == ["Another one.", OWL]
    with pytest.raises(UserError, match=r"no document “a\.md” in “kb”"):
        knowledge.delete_document("kb", "a.md")


def test_a_document_is_replaced_by_a_file_of_any_name(folder: Path, tmp_path: Path) -> None:
    knowledge.build("kb", [folder])
    (tmp_path / "draft-7.md").write_text(OWL, "utf-8")
    knowledge.replace("kb", "a.md", tmp_path / "draft-7.md")
    assert names("kb") == ["a.md", "b.md"]
    assert found("kb") == {OWL, FOX}


def test_a_document_is_replaced_by_one_readable_file_or_stays(folder: Path, tmp_path: Path) -> None:
    knowledge.build("kb", [folder])
    with pytest.raises(UserError, match=r"no document “z\.md”"):
        knowledge.replace("kb", "z.md", folder / "a.md")
    with pytest.raises(UserError, match="not several"):
        knowledge.replace("kb", "a.md", folder)
    (tmp_path / "cut.pdf").write_bytes(b"%PDF-1.4 cut off")
    with pytest.raises(UserError, match=r"a\.md is damaged"):
        knowledge.replace("kb", "a.md", tmp_path / "cut.pdf")
    assert found("kb") == {LLAMA, FOX}


def test_a_file_that_could_not_be_read_is_replaced_by_one_that_can(folder: Path, tmp_path: Path) -> None:
    (folder / "cut.pdf").write_bytes(b"%PDF-1.4 cut off")
    knowledge.build("kb", [folder])
    (tmp_path / "whole.md").write_text(OWL, "utf-8")
    knowledge.replace("kb", "cut.pdf", tmp_path / "whole.md")
    status = {row["name"]: (row["status"], row["error"]) for row in knowledge.documents("kb")}
    assert status["cut.pdf"] == ("ready", None)
    assert found("kb") == {LLAMA, FOX, OWL}


def test_one_document_is_indexed_again_alone(folder: Path, embedded_texts: list[str]) -> None:
    knowledge.build("kb", [folder])
    ids, vectors = knowledge.vectors("kb")
    embedded_texts.clear()
    shutil.rmtree(folder)
    report = knowledge.reindex("kb", "a.md")
    assert (report.added, embedded_texts) == (["a.md"], [LLAMA])
    again, same = knowledge.vectors("kb")
    assert again == ids
    assert np.array_equal(same, vectors)
    assert knowledge.reindex("kb", "a.md").added == ["a.md"]
    with pytest.raises(UserError, match=r"no document “z\.md”"):
        knowledge.reindex("kb", "z.md")


def test_built_again_it_holds_exactly_what_was_given(folder: Path) -> None:
    knowledge.build("kb", [folder])
    (folder / "a.md").unlink()
    (folder / "c.md").write_text(OWL, "utf-8")
    report = knowledge.build("kb", [folder])
    assert (report.added, report.unchanged, report.documents) == (["c.md"], ["b.md"], 2)
    assert found("kb") == {FOX, OWL}


def test_however_it_came_about_the_same_content_is_the_same_index(folder: Path) -> None:
    knowledge.build("at once", [folder])
    knowledge.add("bit by bit", [folder / "b.md"])
    (folder / "c.md").write_text(OWL, "utf-8")
    knowledge.add("bit by bit", [folder / "c.md"])
    knowledge.add("bit by bit", [folder / "a.md"])
    assert knowledge.version("at once") != knowledge.version("bit by bit")
    knowledge.delete_document("bit by bit", "c.md")
    assert knowledge.version("at once") == knowledge.version("bit by bit")
    (one_ids, one), (two_ids, two) = knowledge.vectors("at once"), knowledge.vectors("bit by bit")
    assert one_ids == two_ids == sorted(one_ids, key=[row.id for row in knowledge.rows("at once")].index)
    assert np.array_equal(one, two)


def test_what_repeats_is_left_out_and_comes_back_when_the_other_goes(folder: Path) -> None:
    (folder / "b.md").write_text(f"# Beasts\n\n{LLAMA}\n\n# More\n\n{FOX}", "utf-8")
    report = knowledge.build("kb", [folder])
    assert (report.chunks, report.duplicates) == (2, 1)
    assert texts("kb") == [LLAMA, FOX]
    assert [row["duplicates"] for row in knowledge.documents("kb")] == [0, 1]
    knowledge.delete_document("kb", "a.md")
    assert texts("kb") == [LLAMA, FOX]
    assert {row.source for row in knowledge.rows("kb")} == {"b.md"}
    assert passages("kb", LLAMA, 1)[0].heading == "Beasts"


def test_a_base_of_an_edition_without_sketches_is_gone_on_with(folder: Path) -> None:
    knowledge.build("kb", [folder])
    with sqlite3.connect(bases.folder("kb") / "base.db") as db:
        db.execute("DROP TABLE sketches")
    (folder / "c.md").write_text("An addition. " + LLAMA.upper(), "utf-8")
    (folder / "d.md").write_text(LLAMA.upper(), "utf-8")
    knowledge.build("kb", [folder])
    assert {row.source for row in knowledge.rows("kb")} == {"a.md", "b.md", "c.md"}


def test_a_file_that_cannot_be_read_is_reported_and_the_rest_goes_in(folder: Path) -> None:
    (folder / "z.pdf").write_bytes(b"%PDF-1.4 cut off")
    (folder / "y.md").write_bytes(b"")
    report = knowledge.build("kb", [folder])
    assert (report.documents, {error["name"] for error in report.rejected}) == (2, {"z.pdf", "y.md"})
    assert found("kb") == {LLAMA, FOX}
    states = {row["name"]: (row["status"], bool(row["error"])) for row in knowledge.documents("kb")}
    assert states["a.md"] == ("ready", False)
    assert states["z.pdf"] == states["y.md"] == ("rejected", True)
    (folder / "z.pdf").unlink()
    (folder / "y.md").write_text(OWL, "utf-8")
    assert knowledge.build("kb", [folder]).rejected == []
    assert names("kb") == ["a.md", "b.md", "y.md"]


def test_a_new_edition_that_cannot_be_read_leaves_the_old_one_in(folder: Path) -> None:
    knowledge.build("kb", [folder])
    (folder / "a.md").write_bytes(b"")
    report = knowledge.build("kb", [folder])
    assert [error["name"] for error in report.rejected] == ["a.md"]
    assert found("kb") == {LLAMA, FOX}
    row = knowledge.documents("kb")[0]
    assert (row["name"], row["status"], row["error"]["message"]) == ("a.md", "ready", "{name} is empty.")


def test_nothing_that_can_be_read_makes_no_base(folder: Path) -> None:
    for path in folder.iterdir():
        path.write_bytes(b"")
    with pytest.raises(UserError, match="None of the 2 files") as caught:
        knowledge.build("kb", [folder])
    assert {error["name"] for error in caught.value.rejected} == {"a.md", "b.md"}  # type: ignore[attr-defined]
    assert not bases.folder("kb").exists()


@pytest.mark.parametrize(
    "name", ["知识库", "базы знаний", "قاعدة", "a/../b", "..", "C:\\kb", "🦙 'x\" ; --", "x" * 500]
)
def test_a_base_may_be_called_anything(name: str, folder: Path) -> None:
    knowledge.build(name, [folder])
    assert name in {row["name"] for row in knowledge.listing()}
    assert found(name) == {LLAMA, FOX}
    assert bases.folder(name).parent == settings().kb_dir
    knowledge.remove(name)
    assert name not in {row["name"] for row in knowledge.listing()}


def test_originals_are_kept_and_go_with_their_document(folder: Path) -> None:
    knowledge.build("kb", [folder])
    shutil.rmtree(folder)
    kept = knowledge.original("kb", "a.md")
    assert kept and kept.read_text("utf-8") == LLAMA
    assert knowledge.document_text("kb", "a.md") == LLAMA
    row = knowledge.rows("kb")[0]
    assert knowledge.document_text("kb", row.source)[row.start : row.end] == row.text
    knowledge.delete_document("kb", "a.md")
    assert not kept.exists()
    assert knowledge.original("kb", "a.md") is None
    with pytest.raises(UserError, match="no document"):
        knowledge.document_text("kb", "a.md")


def test_another_embedder_offers_a_rebuild(
    folder: Path, tmp_path: Path, tiny_embedder_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def outdated() -> bool:
        return next(bool(row["outdated"]) for row in knowledge.listing() if row["name"] == "kb")

    knowledge.build("kb", [folder])
    assert not outdated()
    other = add_card("other-embedder", "embed", tiny_embedder_dir)
    monkeypatch.setattr(models, "default_embedder", lambda: other)
    assert outdated()
    (folder / "c.md").write_text(OWL, "utf-8")
    knowledge.add("kb", [folder / "c.md"])  # a base holds vectors of one embedder only
    assert knowledge.view("kb").embedder == "tiny-embedder"
    assert found("kb") == {LLAMA, FOX, OWL}
    before = dense.collection(knowledge.view("kb"))
    shutil.rmtree(folder)
    assert knowledge.rebuild("kb").documents == 3
    assert not outdated()
    assert knowledge.view("kb").embedder == "other-embedder"
    assert found("kb") == {LLAMA, FOX, OWL}
    assert store.names("kb-") == [dense.collection(knowledge.view("kb"))] != [before]


def test_the_embedder_is_chosen_and_stays(
    folder: Path, tmp_path: Path, embedder: ModelCard, tiny_embedder_dir: Path, tiny_card: ModelCard
) -> None:
    add_card("other-embedder", "embed", tiny_embedder_dir)
    assert next(card.name for card in knowledge.embedders()) == embedder.name
    assert "other-embedder" in {card.name for card in knowledge.embedders()}
    assert knowledge.build("kb", [folder], embedder="other-embedder").embedder == "other-embedder"
    assert not knowledge.listing()[-1]["outdated"], "it was chosen"
    (tmp_path / "c.md").write_text(OWL, "utf-8")
    assert knowledge.add("kb", [tmp_path / "c.md"]).embedder == "other-embedder"
    with pytest.raises(UserError, match="cannot be compared"):
        knowledge.add("kb", [tmp_path / "c.md"], embedder=embedder.name)
    with pytest.raises(UserError, match="another task"):
        knowledge.rebuild("kb", embedder=tiny_card.name)
    assert found("kb") == {LLAMA, FOX, OWL}
    assert knowledge.rebuild("kb", embedder=embedder.name).embedder == embedder.name


def test_other_chunks_by_a_rebuild(tmp_path: Path) -> None:
    sentences = [f"This is sentence number {i} of the whole." for i in range(60)]
    (tmp_path / "a.txt").write_text(" ".join(sentences), "utf-8")
    large = knowledge.build("kb", [tmp_path / "a.txt"]).chunks
    small = knowledge.rebuild("kb", size=40).chunks
    assert small > 2 * large
    row = next(row for row in knowledge.listing() if row["name"] == "kb")
    assert (row["chunk_size"], row["overlap"]) == (40, 0)
    (tmp_path / "b.txt").write_text(" ".join(sentences).replace("whole", "other"), "utf-8")
    assert knowledge.add("kb", [tmp_path / "b.txt"]).chunks == 2 * small, "added ones are cut as the base is"


def test_a_stale_view_never_answers_with_what_was_deleted(folder: Path) -> None:
    knowledge.build("kb", [folder])
    seen = knowledge.view("kb")
    vector = embedding.embed([LLAMA], "query")[0]
    assert {seen.rows[n].text for n, _ in knowledge.nearest(seen, vector, 10)} == {LLAMA, FOX}
    knowledge.delete_document("kb", "a.md")
    assert {seen.rows[n].text for n, _ in knowledge.nearest(seen, vector, 10)} == {FOX}
    (folder / "c.md").write_text(LLAMA + " Twice.", "utf-8")
    knowledge.add("kb", [folder / "c.md"])
    assert {seen.rows[n].text for n, _ in knowledge.nearest(seen, vector, 1)} == {FOX}, "pushed out by a newer row"
    assert knowledge.nearest(knowledge.view("kb"), vector, 0) == []


def test_the_store_can_be_thrown_away(folder: Path) -> None:
    knowledge.build("kb", [folder])
    assert found("kb") == {LLAMA, FOX}
    for name in store.names("kb-"):
        store.drop(name)
    assert found("kb") == {LLAMA, FOX}


def test_a_sync_that_was_killed_is_gone_on_with(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    knowledge.build("kb", [folder])
    real = store.add

    def broken(collection: str, ids: list[str], vectors: np.ndarray) -> None:
        real(collection, ids[:1], vectors[:1])
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(store, "add", broken)
        with pytest.raises(KeyboardInterrupt):
            passages("kb", LLAMA)
    assert store.ids(dense.collection(knowledge.view("kb"))) == {knowledge.rows("kb")[0].id}
    assert found("kb") == {LLAMA, FOX}


def test_a_damaged_base_is_named_and_can_be_removed(folder: Path) -> None:
    knowledge.build("kb", [folder])
    (bases.folder("kb") / "base.db").write_bytes(b"not a database at all" * 50)
    row = next(row for row in knowledge.listing() if row["name"] == "kb")
    assert (row["ready"], "cannot be read" in row["error"]["message"]) == (False, True)
    with pytest.raises(UserError, match="cannot be read"):
        passages("kb", LLAMA)
    knowledge.remove("kb")
    assert "kb" not in {row["name"] for row in knowledge.listing()}


def test_staging_is_all_of_a_group_or_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = staging._insert
    calls: list[str] = []

    def broken(db: sqlite3.Connection, table: str, **values: Any) -> int:
        calls.append(table)
        if len(calls) == 5:
            raise RuntimeError("killed half way")
        return real(db, table, **values)

    with monkeypatch.context() as patch:
        patch.setattr(staging, "_insert", broken)
        with pytest.raises(RuntimeError, match="half way"):
            knowledge.build("kb", [folder])
    assert staging.keys("kb") == {}
    knowledge.build("kb", [folder])
    assert found("kb") == {LLAMA, FOX}
