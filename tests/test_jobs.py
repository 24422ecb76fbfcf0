"""Detached workers: what their state says is what the operating system says."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from core import files, jobs
from core.errors import UserError, sentence
from core.settings import ROOT, settings
from tests.helpers.waiting import eventually

WORKER = "tests.helpers.worker"


class Jobs:
    """Makes job folders where the queue looks for them, and ends every worker after the test."""

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def make(self, mode: str, root: str = "runs") -> Path:
        folder = settings().data_dir / root / f"{len(self.folders)}-{mode}"
        folder.mkdir(parents=True)
        (folder / "mode").write_text(mode, "utf-8")
        jobs.create(folder)
        self.folders.append(folder)
        return folder

    def launch(self, mode: str, root: str = "runs") -> Path:
        folder = self.make(mode, root)
        jobs.launch(WORKER, folder)
        return folder

    def end(self) -> None:
        for folder in self.folders:
            process = jobs.process(folder)
            if process is not None and process.pid != os.getpid():
                process.kill()


@pytest.fixture
def workers() -> Iterator[Jobs]:
    made = Jobs()
    yield made
    made.end()


def status(folder: Path) -> str:
    return jobs.state(folder)["status"]


def until(folder: Path, wanted: str) -> None:
    eventually(lambda: status(folder) == wanted)


def test_a_worker_runs_and_finishes(workers: Jobs) -> None:
    folder = workers.launch("until-told")
    assert status(folder) in (jobs.STARTING, jobs.RUNNING)
    until(folder, jobs.RUNNING)
    ticks: list[str] = []

    def tick(state: dict[str, object]) -> None:
        ticks.append(str(state["status"]))
        (folder / "go").touch()

    assert jobs.wait(folder, tick)["status"] == jobs.FINISHED
    assert ticks[0] == jobs.RUNNING
    assert files.tail(folder / "log.txt").endswith("at work")
    assert eventually(lambda: jobs.process(folder) is None)


def test_a_persons_mistake_is_kept_in_words(workers: Jobs) -> None:
    state = jobs.wait(workers.launch("user-error"))
    assert state["status"] == jobs.FAILED
    assert state["error"] == {"message": "Row {row} is bad.", "hint": "Mend it.", "values": {"row": 3}}


def test_an_exception_is_our_fault_and_the_log_has_it(workers: Jobs) -> None:
    folder = workers.launch("crash")
    state = jobs.wait(folder)
    assert state["status"] == jobs.FAILED
    assert sentence(state["error"]) == (
        "This is our fault, not yours: ValueError: a {brace} and nothing else The log has the details."
    )
    assert "Traceback" in files.tail(folder / "log.txt", 40)


def test_running_out_of_memory_is_said_as_such(workers: Jobs) -> None:
    assert sentence(jobs.wait(workers.launch("memory"))["error"]).startswith("Memory ran out:")


def test_killed_it_has_failed_with_a_reason_and_its_last_words(workers: Jobs) -> None:
    folder = workers.launch("until-told")
    until(folder, jobs.RUNNING)
    process = jobs.process(folder)
    assert process is not None
    process.kill()
    state = jobs.wait(folder)
    assert state["status"] == jobs.FAILED
    assert "killed or memory ran out" in sentence(state["error"])
    assert sentence(state["error"]).endswith("at work")
    assert files.read_json(folder / "state.json")["status"] == jobs.RUNNING, "the reader corrects, it does not write"


def test_ended_without_a_word_it_has_failed(workers: Jobs) -> None:
    assert jobs.wait(workers.launch("silent"))["status"] == jobs.FAILED


def test_a_stop_goes_through_stopping_to_stopped(workers: Jobs) -> None:
    folder = workers.launch("until-told")
    until(folder, jobs.RUNNING)
    jobs.stop(folder)
    assert status(folder) == jobs.STOPPING
    (folder / "may-stop").touch()
    assert jobs.wait(folder)["status"] == jobs.STOPPED
    with pytest.raises(UserError, match="not running any more"):
        jobs.stop(folder)


def test_killed_after_a_stop_was_asked_for_it_is_stopped(workers: Jobs) -> None:
    folder = workers.launch("until-told")
    until(folder, jobs.RUNNING)
    jobs.stop(folder)
    process = jobs.process(folder)
    assert process is not None
    process.kill()
    assert jobs.wait(folder)["status"] == jobs.STOPPED


def test_one_device_serves_in_the_order_of_creation(workers: Jobs) -> None:
    """A run and a comparison wait for the same device; the one created first goes first, whenever it was launched."""
    first = workers.launch("until-told")
    until(first, jobs.RUNNING)
    second, third = workers.make("until-told", "experiments"), workers.make("until-told")
    jobs.launch(WORKER, third)
    until(third, jobs.QUEUED)
    jobs.launch(WORKER, second)
    until(second, jobs.QUEUED)
    assert status(first) == jobs.RUNNING
    (first / "go").touch()
    until(second, jobs.RUNNING)
    assert status(third) == jobs.QUEUED
    (second / "go").touch()
    until(third, jobs.RUNNING)
    (third / "go").touch()
    ends = [jobs.wait(folder) for folder in (first, second, third)]
    assert [state["status"] for state in ends] == [jobs.FINISHED] * 3
    assert ends[0]["ended"] <= ends[1]["began"]
    assert ends[1]["ended"] <= ends[2]["began"]


def test_a_killed_holder_frees_the_device(workers: Jobs) -> None:
    first = workers.launch("until-told")
    until(first, jobs.RUNNING)
    second = workers.launch("until-told")
    until(second, jobs.QUEUED)
    process = jobs.process(first)
    assert process is not None
    process.kill()
    until(second, jobs.RUNNING)


def test_a_stop_reaches_a_job_that_is_queued(workers: Jobs) -> None:
    first = workers.launch("until-told")
    until(first, jobs.RUNNING)
    second = workers.launch("until-told")
    until(second, jobs.QUEUED)
    jobs.stop(second)
    assert jobs.wait(second)["status"] == jobs.STOPPED
    assert "began" not in jobs.state(second)
    assert status(first) == jobs.RUNNING


def test_a_reused_pid_is_not_believed(workers: Jobs) -> None:
    """This very process lives, but it was not created when the job's worker was."""
    folder = workers.make("silent")
    jobs.update(folder, status=jobs.RUNNING)
    own = psutil.Process()
    files.write_json(folder / "process.json", {"pid": own.pid, "create_time": own.create_time() - 100})
    assert jobs.process(folder) is None
    assert status(folder) == jobs.FAILED
    files.write_json(folder / "process.json", {"pid": own.pid, "create_time": own.create_time()})
    assert jobs.process(folder) is not None
    assert status(folder) == jobs.RUNNING


def test_a_worker_from_before_the_machine_was_started_is_interrupted(workers: Jobs) -> None:
    folder = workers.make("silent")
    jobs.update(folder, status=jobs.RUNNING)
    files.write_json(folder / "process.json", {"pid": os.getpid(), "create_time": psutil.boot_time() - 1000})
    state = jobs.state(folder)
    assert state["status"] == jobs.INTERRUPTED
    assert "restarted" in sentence(state["error"])


def test_a_job_created_but_never_launched_fails_after_a_while(workers: Jobs) -> None:
    folder = workers.make("silent")
    assert status(folder) == jobs.STARTING
    jobs.update(folder, created=time.time() - 60)
    assert status(folder) == jobs.FAILED


@pytest.mark.parametrize("content", [None, "", "{", "[]", '{"step": 1}'])
def test_a_damaged_state_file_is_said_as_such(workers: Jobs, content: str | None) -> None:
    folder = workers.make("silent")
    (folder / "state.json").unlink()
    if content is not None:
        (folder / "state.json").write_text(content, "utf-8")
    state = jobs.state(folder)
    assert state["status"] == jobs.FAILED
    assert "missing or damaged" in sentence(state["error"])


def test_a_worker_outlives_its_launcher(workers: Jobs) -> None:
    """Launched by another process that is killed with its whole process group, as a closing terminal does."""
    folder = workers.make("until-told")
    code = (
        "import sys, time; from pathlib import Path; from core import jobs\n"
        f"jobs.launch({WORKER!r}, Path(sys.argv[1])); print('launched', flush=True); time.sleep(600)"
    )
    launcher = subprocess.Popen(
        [sys.executable, "-c", code, str(folder)], cwd=ROOT, stdout=subprocess.PIPE, start_new_session=True, text=True
    )
    assert launcher.stdout is not None
    assert launcher.stdout.readline() == "launched\n"
    until(folder, jobs.RUNNING)
    os.killpg(launcher.pid, 9)
    launcher.wait()
    launcher.stdout.close()
    assert status(folder) == jobs.RUNNING
    (folder / "go").touch()
    assert jobs.wait(folder)["status"] == jobs.FINISHED


def test_the_state_a_worker_writes_is_never_half_there(workers: Jobs) -> None:
    """Read as fast as possible while it is written."""
    folder = workers.make("silent")
    files.write_json(folder / "process.json", {"pid": os.getpid(), "create_time": psutil.Process().create_time()})
    code = (
        "import sys; from pathlib import Path; from core import jobs\n"
        "for i in range(300): jobs.update(Path(sys.argv[1]), status='running', step=i, text='x' * 5000)"
    )
    writer = subprocess.Popen([sys.executable, "-c", code, str(folder)], cwd=ROOT)
    steps = []
    while writer.poll() is None:
        steps.append(json.loads((folder / "state.json").read_text("utf-8")).get("step", -1))
    assert writer.returncode == 0
    assert steps == sorted(steps)
    assert len(set(steps)) > 5
