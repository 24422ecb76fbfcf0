"""Work that outlives the browser, the app and the terminal: one folder, one detached process.

A job folder holds ``state.json`` (written by the worker alone), ``process.json`` (who the worker is),
``stop`` (present once somebody asked it to stop) and ``log.txt``. Whether the worker lives is read from the
operating system, never believed from a file: identity of a process is pid + create time.
"""

import errno
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
from filelock import FileLock, Timeout

from core import files
from core.errors import UserError
from core.settings import ROOT, settings

QUEUED, STARTING, RUNNING, STOPPING = "queued", "starting", "running", "stopping"
STOPPED, FINISHED, FAILED, INTERRUPTED = "stopped", "finished", "failed", "interrupted"
LIVE = frozenset({QUEUED, STARTING, RUNNING, STOPPING})
MISSING = UserError("The state file of this job is missing or damaged.", "Delete the job and start it again.")


def create(folder: Path, **state: Any) -> None:
    """Give a job folder its first state."""
    files.write_json(folder / "state.json", {"status": STARTING, "created": time.time(), **state})


def launch(module: str, folder: Path) -> int:
    """Start ``python -m module folder`` in a session of its own, output to ``log.txt``; returns the pid.

    The worker belongs to nobody: closing the browser, the app or the shell leaves it running.
    """
    (folder / "stop").unlink(missing_ok=True)
    environment = {**os.environ, "YUAN_DATA_DIR": str(settings().data_dir), "PYTHONUNBUFFERED": "1"}
    with (folder / "log.txt").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, str(folder)],
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    _sign(folder, process.pid)
    # Collects the exit status, so that a worker that dies while the app lives leaves no zombie behind.
    threading.Thread(target=process.wait, daemon=True, name=f"reap-{process.pid}").start()
    return process.pid


def _sign(folder: Path, pid: int) -> None:
    try:
        created = psutil.Process(pid).create_time()
    except psutil.NoSuchProcess:
        created = 0.0
    files.write_json(folder / "process.json", {"pid": pid, "create_time": created})


def process(folder: Path) -> psutil.Process | None:
    """The worker's process while it lives, else None (also for a pid that another program has since got)."""
    signed = files.read_json(folder / "process.json")
    if not signed:
        return None
    try:
        found = psutil.Process(signed["pid"])
        if abs(found.create_time() - signed["create_time"]) > 1 or found.status() == psutil.STATUS_ZOMBIE:
            return None
        return found
    except psutil.NoSuchProcess:
        return None


def state(folder: Path) -> dict[str, Any]:
    """The job's state as it truly is: what the worker wrote, corrected by whether the worker lives.

    A worker that vanished without a last word is ``stopped`` when a stop was asked for, ``interrupted`` when the
    machine was started after it, else ``failed`` with the reason in words and ``vanished`` set.
    """
    current = _read(folder)
    if current["status"] not in LIVE:
        return current
    if process(folder) is not None:
        return {**current, "status": STOPPING} if stop_asked(folder) else current
    # The worker may have finished between the two readings: its own last word counts.
    current = _read(folder)
    if current["status"] not in LIVE:
        return current
    signed = files.read_json(folder / "process.json")
    if signed is None and time.time() - current.get("created", 0) < 10:
        return current  # just created, not yet launched
    if stop_asked(folder):
        return {**current, "status": STOPPED}
    if signed and signed["create_time"] < psutil.boot_time():
        error = UserError("The machine was restarted while this was running.", "Start it again.")
        return {**current, "status": INTERRUPTED, "error": error.as_dict()}
    return {**current, "status": FAILED, "vanished": True, "error": _vanished(folder).as_dict()}


def _read(folder: Path) -> dict[str, Any]:
    found = files.read_json(folder / "state.json")
    whole = isinstance(found, dict) and "status" in found
    return found if whole else {"status": FAILED, "error": MISSING.as_dict()}


def _vanished(folder: Path) -> UserError:
    return UserError(
        "The worker process ended without a word, most often because it was killed or memory ran out.",
        "Try a smaller batch or a shorter max length. Last line of its log: {log}",
        log=files.tail(folder / "log.txt", 1).strip() or "–",
    )


def update(folder: Path, **changes: Any) -> dict[str, Any]:
    """Change some fields of the state (the worker's right alone once it is launched)."""
    current = {**(files.read_json(folder / "state.json") or {}), **changes}
    files.write_json(folder / "state.json", current)
    return current


def stop(folder: Path) -> None:
    """Ask the worker to finish its step, keep what it has and end.

    Raises:
        UserError: when it is not running any more.
    """
    if state(folder)["status"] not in LIVE:
        raise UserError("This is not running any more.", "Nothing needs to be stopped.")
    (folder / "stop").touch()


def stop_asked(folder: Path) -> bool:
    """Whether somebody asked for a stop."""
    return (folder / "stop").exists()


def wait(folder: Path, tick: Callable[[dict[str, Any]], None] | None = None) -> dict[str, Any]:
    """Follow a job to its end, calling ``tick(state)`` about twice a second; returns the last state."""
    while (current := state(folder))["status"] in LIVE:
        if tick:
            tick(current)
        time.sleep(0.5)
    return current


class Stopped(Exception):
    """Raised inside a worker to unwind after a stop was asked for."""


@contextmanager
def device(folder: Path, name: str = "cpu") -> Iterator[None]:
    """Hold the device for this job; waits as ``queued`` behind jobs that were created earlier.

    The lock is the operating system's and dies with its holder, so a killed worker never blocks the next one.

    Raises:
        Stopped: when a stop is asked for while waiting.
    """
    lock_path = settings().data_dir / "locks" / f"{name.replace(':', '-')}.lock"
    lock_path.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(lock_path)
    while True:
        if stop_asked(folder):
            raise Stopped
        if not _waiting_before(folder):
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                pass
        update(folder, status=QUEUED)
        time.sleep(0.5)
    try:
        yield
    finally:
        lock.release()


def _waiting_before(folder: Path) -> bool:
    mine = files.read_json(folder / "state.json", {}).get("created", 0)
    for root in (settings().runs_dir, settings().experiments_dir):
        for other in root.glob("*/state.json"):
            seen = files.read_json(other, {})
            waiting = seen.get("status") == QUEUED and seen.get("created", 0) < mine
            if waiting and other.parent != folder and process(other.parent) is not None:
                return True
    return False


@contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """Wrap a worker's whole work: signs in, and turns every way out into a state a person can read."""
    import logging

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    _sign(folder, os.getpid())
    try:
        yield
    except Stopped:
        update(folder, status=STOPPED, finished=time.time())
    except UserError as error:
        logging.getLogger("yuan").error("%s", error)
        update(folder, status=FAILED, finished=time.time(), error=error.as_dict())
        sys.exit(2)
    except BaseException as error:
        logging.getLogger("yuan").exception("The worker failed")
        update(folder, status=FAILED, finished=time.time(), error=_in_words(error).as_dict())
        sys.exit(1)


def _in_words(error: BaseException) -> UserError:
    text = f"{type(error).__name__}: {error}"[:300]
    if isinstance(error, MemoryError) or "out of memory" in text.lower():
        return UserError("Memory ran out: {text}", "Use a smaller batch or a shorter max length.", text=text)
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:
        return UserError("The disk is full.", "Free some space and start again.")
    return UserError("This is our fault, not yours: {text}", "The log has the details.", text=text)
