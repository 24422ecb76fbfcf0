"""Several processes: one owns the embedded store and the others still answer rightly; a server serves all of them."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import UserError
from core.models.cards import ModelCard
from core.rag import dense, knowledge, store
from core.settings import ROOT, settings
from tests.helpers import chroma
from tests.helpers.searching import passages

LLAMA, FOX, OWL = "A llama carries loads.", "The quick fox jumps.", "An owl sees at night."
BUSY = "Another process of the app has the vector store open."


@pytest.fixture(autouse=True)
def embedder(tiny_embedder: ModelCard) -> ModelCard:
    return tiny_embedder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "documents"
    made.mkdir()
    for name, text in (("a.md", LLAMA), ("b.md", FOX)):
        (made / name).write_text(text, "utf-8")
    return made


Ask = Callable[..., dict[str, Any]]


@pytest.fixture
def other() -> Iterator[tuple[subprocess.Popen[str], Ask]]:
    """Another process of the app, and a function to ask it."""
    command = [sys.executable, "-m", "tests.helpers.searcher", "kb"]
    process = subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert process.stdin and process.stdout
    stdin, stdout = process.stdin, process.stdout

    def ask(**asked: Any) -> dict[str, Any]:
        stdin.write(json.dumps(asked) + "\n")
        stdin.flush()
        return dict(json.loads(stdout.readline()))

    yield process, ask
    process.kill()
    process.wait()


def found() -> set[str]:
    return {passage.text for passage in passages("kb", LLAMA, 100)}


def test_a_second_process_gets_a_sentence_and_answers_exactly(
    folder: Path, other: tuple[subprocess.Popen[str], Ask], caplog: pytest.LogCaptureFixture
) -> None:
    process, ask = other
    knowledge.build("kb", [folder])
    assert ask(own=True) == {}
    with pytest.raises(UserError, match=BUSY):
        store.client()
    assert found() == {LLAMA, FOX}
    assert BUSY in caplog.text
    # What one process changes, the other one's next answer knows, in both directions.
    (folder / "c.md").write_text(OWL, "utf-8")
    knowledge.add("kb", [folder / "c.md"])
    answer = ask(search=LLAMA)
    assert (set(answer["texts"]), answer["log"]) == ({LLAMA, FOX, OWL}, [])
    knowledge.delete_document("kb", "a.md")
    assert set(ask(search=LLAMA)["texts"]) == {FOX, OWL}
    ask(delete="b.md")
    assert found() == {OWL}
    # The lock dies with its holder, and the store is whole.
    process.kill()
    process.wait()
    store.client()
    assert found() == {OWL}
    assert store.ids(dense.collection(knowledge.view("kb"))) == {row.id for row in knowledge.rows("kb")}


def test_a_server_is_shared(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    with chroma.server(tmp_path / "server") as address:
        monkeypatch.setenv("YUAN_CHROMA_URL", address)
        settings.cache_clear()
        _, ask = request.getfixturevalue("other")  # started with this environment
        knowledge.build("kb", [folder])
        assert found() == {LLAMA, FOX}
        assert store.ids(dense.collection(knowledge.view("kb"))) == {row.id for row in knowledge.rows("kb")}
        (folder / "c.md").write_text(OWL, "utf-8")
        ask(add=str(folder / "c.md"))
        for answer in (ask(search=LLAMA), {"texts": list(found()), "log": []}):
            assert (set(answer["texts"]), answer["log"]) == ({LLAMA, FOX, OWL}, [])
        knowledge.delete_document("kb", "a.md")
        assert set(ask(search=LLAMA)["texts"]) == found() == {FOX, OWL}
        knowledge.remove("kb")
        assert store.names("kb-") == []
        assert "no knowledge base “kb”" in ask(search=LLAMA)["error"]
        assert not (settings().kb_dir / "chroma").exists(), "the embedded store was used"


def test_a_server_that_is_gone_is_named_and_searched_without(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    port = chroma.free_port()
    monkeypatch.setenv("YUAN_CHROMA_URL", f"http://127.0.0.1:{port}")
    settings.cache_clear()
    knowledge.build("kb", [folder])
    assert found() == {LLAMA, FOX}
    assert f"The Chroma server http://127.0.0.1:{port} does not answer." in caplog.text
    caplog.clear()
    with chroma.server(tmp_path / "server", port):
        assert found() == {LLAMA, FOX}
        assert not caplog.records
    assert found() == {LLAMA, FOX}  # it died in the middle of things
    assert "does not answer" in caplog.text
    with chroma.server(tmp_path / "another", port):  # an empty one in its place
        caplog.clear()
        assert found() == {LLAMA, FOX}
        assert not caplog.records


def test_exact_and_approximate_agree(folder: Path) -> None:
    texts = [f"# {i}\n\n{LLAMA} {i} {'fox ' * (i % 7)}" for i in range(60)]
    (folder / "many.md").write_text("\n\n".join(texts), "utf-8")
    knowledge.build("kb", [folder])
    seen = knowledge.view("kb")
    from core.rag import embedding

    vector = embedding.embed(["quick llama"], "query")[0]
    near, exact = dense.nearest(seen, vector, 20), dense.exact(seen, vector, 20)
    assert [score for _, score in near] == pytest.approx([score for _, score in exact], abs=1e-4)
