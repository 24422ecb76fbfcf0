"""Whose turn it is on a device: real waiting processes, no app and no server."""

import subprocess
import sys
from pathlib import Path

import pytest

from core import files, hardware, jobs, queue
from core.errors import UserError
from core.settings import ROOT
from tests.helpers.jobs import WORKER, Jobs, kill, status, until
from tests.helpers.waiting import eventually


def order() -> list[str]:
    return [found.job.name for found in queue.line()]


def holds(folder: Path) -> None:
    until(folder, jobs.RUNNING)
    assert queue.position(folder) == 0


def test_three_started_at_once_run_in_order_and_a_killed_one_makes_way_with_no_app_running(workers: Jobs) -> None:
    """Launched by a process that is gone before the first of them is killed; runs and experiments in one line."""
    folders = [workers.make("until-told", root) for root in ("runs", "experiments", "runs")]
    code = (
        "import sys; from pathlib import Path; from core import queue\n"
        f"for name in sys.argv[1:]: queue.submit({WORKER!r}, Path(name))"
    )
    subprocess.run([sys.executable, "-c", code, *map(str, folders)], cwd=ROOT, check=True)
    first, second, third = folders
    holds(first)
    assert [queue.position(folder) for folder in folders] == [0, 1, 2]
    assert [status(second), status(third)] == [jobs.QUEUED, jobs.QUEUED]
    assert [found.holds for found in queue.line()] == [True, False, False]

    kill(first)
    holds(second)
    assert status(first) == jobs.INTERRUPTED
    assert [queue.position(folder) for folder in folders] == [None, 0, 1]
    assert status(third) == jobs.QUEUED
    (second / "go").touch()
    holds(third)
    (third / "go").touch()
    ends = [jobs.wait(folder) for folder in (second, third)]
    assert [state["status"] for state in ends] == [jobs.FINISHED] * 2
    assert ends[0]["ended"] <= ends[1]["began"]
    assert queue.line() == []


def test_who_came_first_goes_first_even_if_its_worker_was_launched_later(workers: Jobs) -> None:
    early, late = workers.make("until-told"), workers.make("until-told")
    for folder in (early, late):
        jobs.create(folder, jobs.QUEUED)
        queue.enter(folder)
    jobs.launch(WORKER, late)
    eventually(lambda: "pid" in files.read_json(late / "process.json", {}))
    assert order() == [early.name, late.name]
    jobs.launch(WORKER, early)
    holds(early)
    assert status(late) == jobs.QUEUED


def test_a_person_changes_the_order_and_the_waiting_obey(workers: Jobs) -> None:
    first = workers.launch("until-told")
    holds(first)
    second, third, fourth = (workers.launch("until-told") for _ in range(3))
    names = [folder.name for folder in (first, second, third, fourth)]
    assert order() == names
    queue.move(fourth, "first")
    assert order() == [names[0], names[3], names[1], names[2]]
    queue.move(fourth, "down")
    assert order() == [names[0], names[1], names[3], names[2]]
    queue.move(third, "up")
    queue.move(third, "up")
    queue.move(third, "up")  # nothing is above it but the one that runs
    assert order() == [names[0], names[2], names[1], names[3]]
    queue.move(third, "last")
    queue.move(third, "down")
    assert order() == [names[0], names[1], names[3], names[2]]
    with pytest.raises(UserError, match="is not waiting"):
        queue.move(first, "up")
    queue.move(fourth, "first")
    (first / "go").touch()
    holds(fourth)
    assert [status(second), status(third)] == [jobs.QUEUED] * 2


def test_cancelled_while_it_waits_it_never_begins(workers: Jobs) -> None:
    first = workers.launch("until-told")
    holds(first)
    second, third = workers.launch("until-told"), workers.launch("until-told")
    jobs.stop(second)
    assert status(second) == jobs.STOPPING
    assert jobs.wait(second)["status"] == jobs.STOPPED
    assert "began" not in jobs.state(second)
    assert order() == [first.name, third.name]
    with pytest.raises(UserError, match="is not waiting"):
        queue.move(second, "first")


def test_a_resumed_job_goes_to_the_end_of_the_line(workers: Jobs) -> None:
    first = workers.launch("until-told")
    holds(first)
    kill(first)
    second = workers.launch("until-told")
    holds(second)
    third = workers.launch("until-told")
    queue.resubmit(WORKER, first)
    assert order() == [second.name, third.name, first.name]
    with pytest.raises(jobs.IllegalTransition):
        queue.resubmit(WORKER, first)
    (second / "go").touch()
    holds(third)
    assert status(first) == jobs.QUEUED


def test_a_waiting_job_that_was_killed_holds_nobody_up(workers: Jobs) -> None:
    first = workers.launch("until-told")
    holds(first)
    second, third = workers.launch("until-told"), workers.launch("until-told")
    eventually(lambda: jobs.process(second))
    kill(second)
    assert order() == [first.name, third.name]
    (first / "go").touch()
    holds(third)


def test_one_device_has_one_name_however_it_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    for chosen, name in (("cpu", "cpu"), ("cuda", "cuda:0"), ("cuda:0", "cuda:0"), ("cuda:1", "cuda:1")):
        monkeypatch.setattr("core.hardware.settings", lambda chosen=chosen: type("S", (), {"device": chosen}))
        assert hardware.device() == name
    monkeypatch.setattr("core.hardware.settings", lambda: type("S", (), {"device": "auto"}))
    monkeypatch.setattr("core.hardware.gpus", lambda: (("a card", 1),))
    assert hardware.device() == "cuda:0"
