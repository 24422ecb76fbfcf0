"""Detached workers: what their state says is what the operating system says. The queue has tests of its own."""

import errno
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from core import files, jobs
from core.errors import UserError, sentence
from core.settings import ROOT
from tests.helpers.jobs import WORKER, Jobs, kill, status, until
from tests.helpers.waiting import eventually


def test_a_worker_runs_and_finishes(workers: Jobs) -> None:
    folder = workers.launch("until-told")
    assert status(folder) in (jobs.QUEUED, jobs.STARTING, jobs.RUNNING)
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
        "This is our fault, not yours: ValueError: a {brace} and nothing else. The log has the details."
    )
    assert "Traceback" in files.tail(folder / "log.txt", 40)


def test_running_out_of_memory_is_said_as_such(workers: Jobs) -> None:
    assert sentence(jobs.wait(workers.launch("memory"))["error"]).startswith("Memory ran out:")


def test_killed_it_is_interrupted_with_a_reason_and_its_last_words(workers: Jobs) -> None:
    folder = workers.launch("until-told")
    until(folder, jobs.RUNNING)
    kill(folder)
    state = jobs.wait(folder)
    assert state["status"] == jobs.INTERRUPTED
    assert "killed or memory ran out" in sentence(state["error"])
    assert sentence(state["error"]).endswith("at work")
    assert files.read_json(folder / "state.json")["status"] == jobs.RUNNING, "the reader corrects, it does not write"


def test_ended_without_a_word_it_is_interrupted(workers: Jobs) -> None:
    assert jobs.wait(workers.launch("silent"))["status"] == jobs.INTERRUPTED


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
    kill(folder)
    assert jobs.wait(folder)["status"] == jobs.STOPPED


def test_a_reused_pid_is_not_believed(workers: Jobs) -> None:
    """This very process lives, but it was not created when the job's worker was."""
    folder = workers.make("silent")
    jobs.update(folder, status=jobs.RUNNING)
    own = psutil.Process()
    files.write_json(folder / "process.json", {"pid": own.pid, "create_time": own.create_time() - 100})
    assert jobs.process(folder) is None
    assert status(folder) == jobs.INTERRUPTED
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


def test_a_job_created_but_never_launched_is_interrupted_after_a_while(workers: Jobs) -> None:
    folder = workers.make("silent")
    assert status(folder) == jobs.STARTING
    jobs.update(folder, created=time.time() - 60)
    assert status(folder) == jobs.INTERRUPTED


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


def test_a_stop_is_seen_in_every_live_state_before_the_worker_hears_it(workers: Jobs) -> None:
    folder = workers.make("silent")
    files.write_json(folder / "process.json", {"pid": os.getpid(), "create_time": psutil.Process().create_time()})
    for live in (jobs.QUEUED, jobs.STARTING, jobs.RUNNING):
        files.write_json(folder / "state.json", {"status": live, "created": time.time()})
        (folder / "stop").unlink(missing_ok=True)
        assert status(folder) == live
        jobs.stop(folder)
        assert status(folder) == jobs.STOPPING


def test_what_cannot_follow_is_refused_and_leaves_the_state_as_it_was(workers: Jobs) -> None:
    folder = workers.make("silent")
    for status_, wanted in [
        (jobs.FINISHED, jobs.RUNNING),
        (jobs.STOPPED, jobs.FAILED),
        (jobs.QUEUED, jobs.FINISHED),
        (jobs.RUNNING, jobs.STOPPED),  # nobody asked for it
    ]:
        files.write_json(folder / "state.json", {"status": status_, "step": 1})
        with pytest.raises(jobs.IllegalTransition):
            jobs.update(folder, status=wanted, step=2)
        assert files.read_json(folder / "state.json") == {"status": status_, "step": 1}
    (folder / "stop").touch()
    assert jobs.update(folder, status=jobs.STOPPED)["status"] == jobs.STOPPED


def test_a_dying_worker_cannot_write_over_what_came_after_it(workers: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """This process is the old worker: it has said its last word, the job was resumed, and a late write comes."""
    folder = workers.make("until-told")
    monkeypatch.setattr(jobs, "_mine", set())
    with pytest.raises(SystemExit), jobs.reporting(folder):
        jobs.update(folder, status=jobs.RUNNING, step=5)
        raise RuntimeError("gone wrong")
    assert status(folder) == jobs.FAILED
    with pytest.raises(jobs.IllegalTransition):
        jobs.update(folder, status=jobs.RUNNING, step=6)

    jobs.restart(WORKER, folder)
    until(folder, jobs.RUNNING)
    for late in ({"status": jobs.RUNNING, "step": 6}, {"status": jobs.FINISHED}, {"step": 7}):
        with pytest.raises(jobs.IllegalTransition, match="another worker"):
            jobs.update(folder, **late)
    state = jobs.state(folder)
    assert (state["status"], state["step"], state["error"]) == (jobs.RUNNING, 5, None)


def test_only_one_of_two_who_resume_gets_a_worker(workers: Jobs) -> None:
    folder = workers.launch("silent")
    assert jobs.wait(folder)["status"] == jobs.INTERRUPTED
    (folder / "mode").write_text("until-told", "utf-8")
    pid = jobs.restart(WORKER, folder)
    with pytest.raises(jobs.IllegalTransition):
        jobs.restart(WORKER, folder)
    process = jobs.process(folder)
    assert process is not None
    assert process.pid == pid


def test_a_full_disk_still_takes_the_last_word(workers: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    """As on a disk whose last room is what the worker kept free: nothing can be written before it is given back."""
    folder = workers.make("silent")
    real = files.write_text

    def full(path: Path, text: str) -> None:
        if (folder / ".reserve").exists():
            raise OSError(errno.ENOSPC, "No space left on device")
        real(path, text)

    monkeypatch.setattr(jobs, "_mine", set())
    with pytest.raises(SystemExit), jobs.reporting(folder):
        monkeypatch.setattr(files, "write_text", full)
        jobs.update(folder, status=jobs.RUNNING)
    state = jobs.state(folder)
    assert state["status"] == jobs.FAILED
    assert sentence(state["error"]) == "The disk is full. Free some space and start again."
    assert not (folder / ".reserve").exists()


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "Memory ran out"),
        (RuntimeError("DefaultCPUAllocator: not enough memory: you tried to allocate 8 bytes"), "Memory ran out"),
        (RuntimeError("PytorchStreamWriter failed: No space left on device"), "The disk is full."),
        (FileNotFoundError(errno.ENOENT, "No such file", "data/train.jsonl"), "The file data/train.jsonl is gone"),
        (ZeroDivisionError("x"), "This is our fault, not yours: ZeroDivisionError: x"),
    ],
)
def test_reasons_are_told_in_words(error: Exception, words: str) -> None:
    assert sentence(jobs.in_words(error).as_dict()).startswith(words)


def test_a_job_created_again_knows_nothing_of_an_earlier_stop_or_worker(workers: Jobs) -> None:
    folder = workers.make("silent")
    jobs.stop(folder)
    assert status(folder) == jobs.STOPPING
    files.write_json(folder / "process.json", {"pid": 2**22 + 1, "create_time": 4e9})
    jobs.create(folder)
    assert status(folder) == jobs.STARTING
