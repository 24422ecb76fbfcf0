"""Both hubs' real clients against a hub on loopback: what is fetched, gone on with, refused, and said."""

import random
from pathlib import Path

import pytest

from core.errors import UserError
from core.models import hub, preparing, store
from core.models.cards import Source
from core.models.clients import RemoteFile
from core.settings import settings
from tests.helpers.isolation import add_hub_card
from tests.helpers.stub_hub import COMMIT, StubHub

KINDS = ["modelscope", "huggingface"]
WEIGHTS = random.Random(7).randbytes(1_500_000)
MODEL = {
    "config.json": b"{}",
    "empty.txt": b"",
    "README.md": b"# it",
    "1_Pooling/config.json": b'{"a": 1}',
    "model.safetensors": WEIGHTS,
}
UNWANTED = {
    "modeling_yuan.py": b"import os",
    "pytorch_model.bin": b"pickle",
    "logo.png": b"png",
    "onnx/model.onnx": b"onnx",
    "model-q4.gguf": b"gguf",
    "tf_model.h5": b"h5",
    ".gitattributes": b"x",
    "docs/notes.md": b"notes",
}


@pytest.fixture
def model(stub_hub: StubHub) -> StubHub:
    stub_hub.models["o/m"] = {**MODEL, **UNWANTED}
    return stub_hub


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """Between two attempts, in our loop and in the clients'."""
    monkeypatch.setattr("time.sleep", lambda seconds: None)


def fetch(kind: str, folder: Path, **more: str) -> Path:
    return hub.fetch(Source(kind=kind, id="o/m", **more), folder, lambda stage, share: None)


def contents(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_is_fetched_without_what_is_not_wanted(model: StubHub, tmp_path: Path, kind: str) -> None:
    assert contents(fetch(kind, tmp_path)) == MODEL
    assert not model.sent().keys() - MODEL.keys()
    assert model.sent()["model.safetensors"] == len(WEIGHTS)


def test_pickles_are_fetched_where_there_is_nothing_else() -> None:
    names = ["config.json", "pytorch_model.bin", "training_args.bin", "flax_model.msgpack", "sub/pytorch_model.bin"]
    listed = [RemoteFile(name, 1) for name in names]
    assert {f.path for f in hub.wanted(listed)} == {"config.json", "pytorch_model.bin", "sub/pytorch_model.bin"}
    safe = hub.wanted([*listed, RemoteFile("model.safetensors", 1), RemoteFile("pytorch_model.bin.index.json", 1)])
    assert {f.path for f in safe} == {"config.json", "model.safetensors", "sub/pytorch_model.bin"}


@pytest.mark.parametrize(
    "path", ["../evil.json", "/etc/evil.json", "a/../../evil.json", "..\\evil.json", "a/.x/y.json"]
)
def test_a_file_outside_the_models_folder_is_not_wanted(path: str) -> None:
    assert hub.wanted([RemoteFile(path, 1)]) == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_breaks_is_gone_on_with(model: StubHub, tmp_path: Path, kind: str) -> None:
    model.drop["model.safetensors"] = [600_000, 1_100_000]
    assert contents(fetch(kind, tmp_path)) == MODEL
    asked = model.of("model.safetensors")
    assert [request.start > 0 for request in asked] == [False, True, True]
    assert model.sent()["model.safetensors"] < len(WEIGHTS) + 2 * 256 * 1024


@pytest.mark.parametrize("kind", KINDS)
def test_a_hub_without_ranges_sends_it_all_again(model: StubHub, tmp_path: Path, kind: str) -> None:
    model.ranges = False
    model.drop["model.safetensors"] = [600_000]
    assert contents(fetch(kind, tmp_path)) == MODEL
    assert [request.start for request in model.of("model.safetensors")] == [0, 0]


@pytest.mark.parametrize("kind", KINDS)
def test_a_connection_that_always_breaks_is_given_up(model: StubHub, tmp_path: Path, kind: str) -> None:
    model.drop["model.safetensors"] = [0] * 100
    with pytest.raises(UserError, match="cannot be reached, or broke off"):
        fetch(kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_wrong_file_is_fetched_once_more(model: StubHub, tmp_path: Path, kind: str) -> None:
    model.wrong["model.safetensors"] = 1
    assert contents(fetch(kind, tmp_path)) == MODEL
    assert len(model.of("model.safetensors")) == 2


@pytest.mark.parametrize("kind", KINDS)
def test_a_file_that_stays_wrong_is_named_and_not_kept(model: StubHub, tmp_path: Path, kind: str) -> None:
    model.wrong["model.safetensors"] = 100
    with pytest.raises(UserError, match=r"model\.safetensors of o/m does not have the size or checksum"):
        fetch(kind, tmp_path)
    assert len(model.of("model.safetensors")) == 2
    assert not any("safetensors" in name for name in contents(tmp_path))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_whole_is_not_asked_for_again(model: StubHub, tmp_path: Path, kind: str) -> None:
    fetch(kind, tmp_path)
    model.requests.clear()
    assert contents(fetch(kind, tmp_path)) == MODEL
    assert model.sent() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_or_revision_that_is_not_there(model: StubHub, tmp_path: Path, kind: str) -> None:
    with pytest.raises(UserError, match=r"There is no model o/m on .*, or not in the revision v9"):
        fetch(kind, tmp_path, revision="v9")
    del model.models["o/m"]
    with pytest.raises(UserError, match="There is no model o/m on "):
        fetch(kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_revision_can_be_named(model: StubHub, tmp_path: Path, kind: str) -> None:
    assert contents(fetch(kind, tmp_path, revision=COMMIT)) == MODEL


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("status", [401, 403])
@pytest.mark.parametrize("where", ["list", "model.safetensors"])
def test_a_model_that_needs_access(model: StubHub, tmp_path: Path, kind: str, status: int, where: str) -> None:
    model.status[where] = status
    with pytest.raises(UserError, match="does not let us have o/m") as caught:
        fetch(kind, tmp_path)
    assert f"YUAN_{'HF' if kind == 'huggingface' else 'MODELSCOPE'}_TOKEN" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_weights_we_read(model: StubHub, tmp_path: Path, kind: str) -> None:
    model.models["o/m"] = {"config.json": b"{}", "model-q4.gguf": b"gguf"}
    with pytest.raises(UserError, match="no weights in a format this app reads"):
        fetch(kind, tmp_path)


@pytest.mark.parametrize("kind", KINDS)
def test_a_hub_out_of_reach(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("YUAN_HF_ENDPOINT", "YUAN_MODELSCOPE_ENDPOINT"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    settings.cache_clear()
    with pytest.raises(UserError, match="cannot be reached") as caught:
        fetch(kind, tmp_path)
    assert "mirror" in caught.value.hint


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_sent_and_shown_nowhere(
    model: StubHub, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    secret = "secret-3141592653"
    for name in ("YUAN_HF_TOKEN", "YUAN_MODELSCOPE_TOKEN"):
        monkeypatch.setenv(name, secret)
    settings.cache_clear()
    model.token = secret
    assert contents(fetch(kind, tmp_path / "a")) == MODEL
    model.status["model.safetensors"] = 418
    with pytest.raises(UserError, match="could not be downloaded") as caught:
        fetch(kind, tmp_path / "b")
    assert secret not in str(caught.value) + caplog.text
    assert not [name for name, data in contents(tmp_path).items() if secret.encode() in data]


@pytest.mark.parametrize("kind", KINDS)
def test_without_a_token_of_ours_none_is_sent(
    model: StubHub, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MODELSCOPE_API_TOKEN", "of-another-program")
    monkeypatch.setenv("HF_TOKEN", "of-another-program")
    fetch(kind, tmp_path)
    assert not [r for r in model.requests if "of-another-program" in str(r.headers)]


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_too_small_is_seen_before_a_file_is_asked_for(
    model: StubHub, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "_ROOM", 10**18)
    with pytest.raises(UserError, match=r"o/m needs .* GB more of disk, and .* GB are free"):
        fetch(kind, tmp_path)
    assert model.sent() == {}


@pytest.mark.parametrize("kind", KINDS)
def test_a_disk_that_fills_up_is_said_as_such(
    model: StubHub, tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(hub.CLIENTS[kind], "receive", full)
    with pytest.raises(UserError, match="The disk is full"):
        fetch(kind, tmp_path)


def test_the_other_hub_is_tried_and_the_first_ones_failure_kept(
    model: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUAN_MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    settings.cache_clear()
    card = add_hub_card("m", "o/m", "modelscope", "huggingface")
    attempts: list[preparing.Attempt] = []
    assert (preparing.prepare(card, attempts=attempts) / "model.safetensors").read_bytes() == WEIGHTS
    assert [(a.source.kind, a.error is None) for a in attempts] == [("modelscope", False), ("huggingface", True)]
    assert "ModelScope cannot be reached" in str(attempts[0].error)
    assert not store.workspace(card).exists()


def test_when_no_source_works_each_has_its_reason(model: StubHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUAN_MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    settings.cache_clear()
    model.models.clear()
    card = add_hub_card("m", "o/m", "modelscope", "huggingface")
    with pytest.raises(UserError, match=r"from any of its 2 sources.*There is no model o/m on Hugging Face"):
        preparing.prepare(card)


def test_offline_is_said_in_words(model: StubHub, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YUAN_OFFLINE", "1")
    settings.cache_clear()
    with pytest.raises(UserError, match="YUAN_OFFLINE says that nothing is downloaded"):
        preparing.prepare(add_hub_card("m", "o/m", "modelscope", "huggingface"))
    assert model.requests == []


def test_the_signature_of_an_address_is_not_shown() -> None:
    assert hub._without_secrets("GET https://cdn/a?Signature=abc&x=1 failed") == "GET https://cdn/a?… failed"
