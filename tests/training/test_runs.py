"""The run store: what is listed, shown, changed and deleted, and how fast with hundreds of runs."""

import shlex
import time
from pathlib import Path

import pytest

from core import files, jobs, queue
from core.errors import UserError
from core.settings import settings
from core.training import config as configs
from core.training import dependents, provenance, runs
from core.training.dependents import ORIGIN, Dependents
from tests.helpers import runs as stored
from tests.helpers.jobs import WORKER, Jobs, status, until

RUN = "20260101-000000-a-0001"


def test_three_hundred_runs_are_listed_in_a_blink() -> None:
    for number in range(300):
        folder = stored.make(f"20260101-{number:06d}-run-0000", rank=1 + number % 8)
        files.write_json(folder / "about.json", {"tags": [str(number)]})
    first = runs.listing()
    began = time.perf_counter()
    again = runs.listing()
    seconds = time.perf_counter() - began
    assert again == first
    assert [run["id"] for run in again] == sorted((run["id"] for run in again), reverse=True)
    assert len(again) == 300
    assert again[0]["tags"] == ["299"]
    assert seconds < 0.25, "nothing that has ended is parsed twice"


def test_a_change_of_one_run_is_seen_at_once() -> None:
    folder = stored.make(RUN)
    assert runs.listing()[0]["status"] == jobs.FINISHED
    files.write_json(folder / "state.json", {"status": jobs.FAILED, "step": 3})
    assert (runs.listing()[0]["status"], runs.show(RUN)["step"]) == (jobs.FAILED, 3)
    runs.listing()[0]["config"]["rank"] = 99
    assert runs.show(RUN)["config"]["rank"] == 4, "a caller's change stays the caller's"


def test_a_damaged_run_does_not_hide_the_others() -> None:
    stored.make(RUN)
    (stored.make("20260102-000000-b-0002") / "config.toml").write_text("rank = = 3", "utf-8")
    assert [run["id"] for run in runs.listing()] == ["20260102-000000-b-0002", RUN]
    assert runs.listing()[0]["name"] == "20260102-000000-b-0002"


def test_a_vanished_worker_is_seen_in_the_list() -> None:
    stored.make(RUN, jobs.RUNNING)
    (run,) = runs.listing()
    assert run["status"] == jobs.INTERRUPTED
    assert run["error"]["message"].startswith("The worker process ended without a word")


def test_name_tags_and_notes() -> None:
    stored.make(RUN)
    assert (runs.show(RUN)["name"], runs.show(RUN)["tags"], runs.show(RUN)["notes"]) == ("tiny", [], "")
    runs.rename(RUN, "  better ")
    runs.annotate(RUN, tags=["keep", " keep ", "", "zh"])
    runs.annotate(RUN, notes="lower rate helped\n")
    run = runs.show(RUN)
    assert (run["name"], run["tags"], run["notes"]) == ("better", ["keep", "zh"], "lower rate helped")
    assert run["config"]["name"] == "tiny"
    with pytest.raises(UserError, match="needs a name"):
        runs.rename(RUN, " ")


def test_checkpoints_are_choices() -> None:
    folder = stored.make(RUN)
    losses = {10: 2.0, 20: 1.0, 30: 1.5}
    stored.log(folder, [{"step": step, "eval_loss": loss} for step, loss in losses.items()])
    for step in losses:
        stored.checkpoint(folder, step)
    (folder / "checkpoints" / "checkpoint-40").mkdir()  # killed while it wrote this one
    stored.checkpoint(folder, 50, adapter=False)
    assert runs.checkpoints(RUN) == [
        {"id": f"{RUN}@10", "step": 10, "eval_loss": 2.0, "best": False},
        {"id": f"{RUN}@20", "step": 20, "eval_loss": 1.0, "best": True},
        {"id": f"{RUN}@30", "step": 30, "eval_loss": 1.5, "best": False},
    ]
    (folder / "adapter").mkdir()
    path = folder / "checkpoints" / "checkpoint-20"
    assert runs.adapter(f"{RUN}@20") == runs.adapter(RUN, "tiny", checkpoint=20) == path
    assert runs.adapter(RUN) == folder / "adapter"
    assert list(runs.adapters("tiny")) == [RUN]
    assert list(runs.adapters("tiny", checkpoints_too=True)) == [RUN, f"{RUN}@10", f"{RUN}@20", f"{RUN}@30"]
    assert runs.show(f"{RUN}@20")["id"] == RUN
    with pytest.raises(UserError, match="has no checkpoint 40"):
        runs.adapter(f"{RUN}@40")
    with pytest.raises(UserError, match="is not a checkpoint"):
        runs.adapter(f"{RUN}@../adapter")
    with pytest.raises(UserError, match="adapts tiny, not other"):
        runs.adapter(f"{RUN}@20", "other")
    with pytest.raises(UserError, match="There is no"):
        runs.delete(f"{RUN}@20")
    assert folder.is_dir()


@pytest.mark.parametrize("state", [jobs.STOPPED, jobs.INTERRUPTED, jobs.FAILED])
def test_a_run_that_ended_early_goes_on_at_the_end_of_the_queue(
    workers: Jobs, monkeypatch: pytest.MonkeyPatch, state: str
) -> None:
    monkeypatch.setattr(runs, "WORKER", WORKER)
    busy = workers.launch("until-told")
    until(busy, jobs.RUNNING)
    folder = stored.make(RUN, state)
    (folder / "mode").write_text("until-told", "utf-8")
    workers.folders.append(folder)
    stored.log(folder, [{"step": 1, "loss": 3.0}])
    stored.checkpoint(folder, 10)
    runs.resume(RUN)
    run = runs.show(RUN)
    assert (run["status"], run["position"], run["step"]) == (jobs.QUEUED, 1, 40)
    assert runs.metrics(RUN) == [{"step": 1, "loss": 3.0}]
    with pytest.raises(UserError, match="is queued"):
        runs.resume(RUN)
    with pytest.raises(UserError, match="still running"):
        runs.delete(RUN)
    runs.stop(RUN)
    assert jobs.wait(folder)["status"] == jobs.STOPPED
    assert status(busy) == jobs.RUNNING
    runs.delete(RUN)
    assert not folder.exists()


def test_interrupted_before_its_first_checkpoint_it_begins_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[Path] = []
    monkeypatch.setattr(queue, "resubmit", lambda module, folder: asked.append(folder))
    folder = stored.make(RUN, jobs.INTERRUPTED)
    stored.log(folder, [{"step": 1, "loss": 3.0}])
    runs.resume(RUN)
    assert asked == [folder]
    assert runs.metrics(RUN) == []
    failed = stored.make("20260102-000000-b-0002", jobs.FAILED)
    with pytest.raises(UserError, match="no checkpoint to go on from"):
        runs.resume(failed.name)
    finished = stored.make("20260103-000000-c-0003")
    with pytest.raises(UserError, match="is finished"):
        runs.resume(finished.name)


def test_what_depends_on_a_run_is_told() -> None:
    stored.make(RUN)
    assert not dependents.dependents(RUN)
    arms = [{"adapter": "", "rag": False}, {"adapter": f"{RUN}@20", "rag": False}]
    files.write_json(settings().experiments_dir / "exp" / "inputs.json", {"arms": arms})
    files.write_json(settings().experiments_dir / "other" / "inputs.json", {"arms": arms[:1]})
    turns = [{"question": "?", "answers": [{"adapter": RUN, "text": "!"}]}]
    files.write_json(settings().chats_dir / "chat.json", {"id": "chat", "title": "Llamas", "turns": turns})
    files.write_json(settings().chats_dir / "plain.json", {"id": "plain", "title": "x", "turns": []})
    card = '[[model]]\nname = "mine"\ntitle = "mine"\ntask = "generate"\nparameters = 1\nsize = 1\nlanguages = []\n'
    card += 'license = ""\nnote = {}\nsources = []\n'
    (settings().models_dir / "mine").mkdir(parents=True)
    (settings().models_dir / "cards.toml").write_text(card, "utf-8")
    files.write_json(settings().models_dir / "mine" / ORIGIN, {"run": RUN})
    assert dependents.dependents(RUN) == Dependents(["exp"], ["mine"], [("chat", "Llamas")])
    with pytest.raises(UserError, match="There is no"):
        dependents.dependents("nowhere")


def test_the_settings_in_which_runs_differ() -> None:
    stored.make("a", rank=4, name="one")
    stored.make("b", rank=16, name="two")
    stored.make("c", rank=4, learning_rate=1e-3, name="three")
    assert provenance.differences(["a", "b"]) == [{"field": "rank", "a": 4, "b": 16}]
    fields = {row["field"]: row for row in provenance.differences(["a", "b", "c"])}
    assert set(fields) == {"rank", "learning_rate"}
    assert fields["learning_rate"] == {"field": "learning_rate", "a": 5e-3, "b": 5e-3, "c": 1e-3}
    assert provenance.differences(["a"]) == []


@pytest.mark.parametrize("changes", [{}, {"name": "it's 我的 run", "target_modules": ["q_proj", "v_proj"]}])
def test_the_command_line_of_a_run_makes_the_same_config(changes: dict[str, object]) -> None:
    stored.make(RUN, **changes)
    told = provenance.reproduce(RUN)
    words = shlex.split(told["command"])
    assert words[:4] == ["python", "-m", "core", "train"]
    pairs = [word for word in words[5:] if word != "--set"]
    wanted = configs.load(str(runs.folder(RUN) / "config.toml"))
    assert configs.load(words[4], configs.parse_overrides(pairs)) == wanted
    assert told["toml"] == (runs.folder(RUN) / "config.toml").read_text("utf-8")
