"""Work that outlives the browser, the app and the terminal: one folder, one detached process.

A job folder holds ``state.json`` (written by the worker alone), ``process.json`` (who the worker is),
``stop`` (present once somebody asked it to stop) and ``log.txt``. Whether the worker lives is read from the
operating system, never believed from a file: identity of a process is pid + create time. What can follow what is
in :mod:`core.lifecycle`, whose turn it is on a device in :mod:`core.queue`.
"""

import errno
import logging
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import psutil
from filelock import FileLock

from core import files
from core.errors import UserError
from core.lifecycle import (
    FAILED,
    FINISHED,
    INTERRUPTED,
    LIVE,
    QUEUED,
    RESUMABLE,
    RUNNING,
    STARTING,
    STOP,
    STOPPED,
    STOPPING,
    VANISH,
    IllegalTransition,
    after,
    leads,
)
from core.settings import ROOT, settings

__all__ = ["FAILED", "FINISHED", "INTERRUPTED", "LIVE", "QUEUED", "RESUMABLE", "RUNNING", "STARTING", "STOPPED"]
__all__ += ["STOPPING", "IllegalTransition"]

MISSING = UserError("The state file of this job is missing or damaged.", "Delete the job and start it again.")
LAUNCHING = 10.0
"""Seconds a job may be without a worker after it was created or resumed."""
_RESERVE = ".reserve"
_T = TypeVar("_T")
_mine: set[Path] = set()
"""Job folders this process is, or was, the worker of."""


def create(folder: Path, status: str = STARTING, **state: Any) -> None:
    """Give a job folder its first state: starting, or queued where it waits for a device.

    What an earlier worker left there would be taken for the new one's until that has started, so it goes.
    """
    for name in ("stop", "process.json", "log.txt"):
        (folder / name).unlink(missing_ok=True)
    files.write_json(folder / "state.json", {"status": status, "created": time.time(), **state})


def restart(module: str, folder: Path, status: str = STARTING) -> int:
    """Launch a new worker for a job that ended early; of two who ask at once, one is refused.

    Raises:
        IllegalTransition: it is live or has finished.
    """
    with FileLock(folder / ".restart.lock"):
        current = state(folder)
        if current["status"] not in RESUMABLE or not leads(current["status"], status):
            raise IllegalTransition(f"a job that is {current['status']!r} cannot become {status!r}")
        (folder / "process.json").unlink(missing_ok=True)
        (folder / "stop").unlink(missing_ok=True)
        kept = {name: value for name, value in current.items() if name not in ("error", "finished")}
        files.write_json(folder / "state.json", {**kept, "status": status, "resumed": time.time(), "error": None})
        return launch(module, folder)


def launch(module: str, folder: Path) -> int:
    """Start ``python -m module folder`` in a session of its own, output to ``log.txt``; returns the pid.

    The worker belongs to nobody: closing the browser, the app or the shell leaves it running.
    """
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

    A worker that vanished without a last word is ``stopped`` when a stop was asked for, else ``interrupted``, with
    the reason in words: the machine was started after it, or it was killed.
    """
    current = _read(folder)
    if current["status"] not in LIVE:
        return current
    if process(folder) is not None:
        return {**current, "status": _status(folder, current)}
    # The worker may have finished between the two readings: its own last word counts.
    current = _read(folder)
    if current["status"] not in LIVE:
        return current
    signed = files.read_json(folder / "process.json")
    if signed is None and time.time() - _since(current) < LAUNCHING:
        return {**current, "status": _status(folder, current)}
    status = after(_status(folder, current), VANISH)
    error = None if status == STOPPED else _vanished(folder, signed).as_dict()
    return {**current, "status": status, **({"error": error} if error else {})}


def attempt(folder: Path) -> float:
    """When the job was created or last resumed: tells its launches apart."""
    return _since(_read(folder))


def _since(current: dict[str, Any]) -> float:
    return float(current.get("resumed") or current.get("created") or 0.0)


def _status(folder: Path, current: dict[str, Any]) -> str:
    """Where a live job is, a stop that its worker has not heard yet included."""
    status = str(current["status"])
    return after(status, STOP) if status != STOPPING and stop_asked(folder) else status


def _read(folder: Path) -> dict[str, Any]:
    found = files.read_json(folder / "state.json")
    whole = isinstance(found, dict) and "status" in found
    return found if whole else {"status": FAILED, "error": MISSING.as_dict()}


def _vanished(folder: Path, signed: dict[str, Any] | None) -> UserError:
    if signed and signed["create_time"] < psutil.boot_time():
        return UserError("The machine was restarted while this was running.", "Go on with it, or start it again.")
    return UserError(
        "The worker process ended without a word, most often because it was killed or memory ran out.",
        "Go on with it; if it happens again, take a smaller model, or in training a smaller batch or a shorter max "
        "length. Last line of its log: {log}",
        log=files.tail(folder / "log.txt", 1).strip() or "–",
    )


def update(folder: Path, **changes: Any) -> dict[str, Any]:
    """Change some fields of the state (the worker's right alone once it is launched).

    Raises:
        IllegalTransition: a ``status`` that cannot follow on the present one, or a worker that speaks although
            another one has taken its job over: nothing is written.
    """
    current = files.read_json(folder / "state.json") or {}
    if folder in _mine and not _is_worker(folder):
        raise IllegalTransition("another worker has this job now")
    before, wanted = current.get("status"), changes.get("status")
    if before and wanted and not leads(before, wanted):
        asked = before in LIVE and stop_asked(folder)
        if not (asked and leads(STOPPING, wanted)):
            raise IllegalTransition(f"a job that is {before!r} cannot become {wanted!r}")
    files.write_json(folder / "state.json", {**current, **changes})
    return {**current, **changes}


def _is_worker(folder: Path) -> bool:
    signed = files.read_json(folder / "process.json") or {}
    return signed.get("pid") == os.getpid()


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


def follow(folder: Path, progress: Callable[[], _T | None], tick: Callable[[_T], None] | None = None) -> _T:
    """The same for a job whose state is read as more than a dict: ``tick`` and the caller get ``progress()``."""

    def look(_: dict[str, Any]) -> None:
        if tick and (seen := progress()):
            tick(seen)

    wait(folder, look)
    last = progress()
    assert last is not None
    return last


class Stopped(Exception):
    """Raised inside a worker to unwind after a stop was asked for."""


@contextmanager
def reporting(folder: Path) -> Iterator[None]:
    """Wrap a worker's whole work: signs in, and turns every way out into a state a person can read."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s", datefmt="%H:%M:%S")
    _sign(folder, os.getpid())
    _mine.add(folder)
    log = logging.getLogger("yuan")
    with suppress(OSError):
        (folder / _RESERVE).write_bytes(bytes(1 << 16))
    try:
        yield
    except Stopped:
        _last_word(folder, STOPPED)
    except IllegalTransition as error:  # the job is another worker's, or has ended: nothing is left to tell
        log.error("%s", error)
        sys.exit(1)
    except UserError as error:
        log.error("%s", error)
        _last_word(folder, FAILED, error=error.as_dict())
        sys.exit(2)
    except BaseException as error:
        log.exception("The worker failed")
        _last_word(folder, FAILED, error=in_words(error).as_dict())
        sys.exit(1)
    finally:
        (folder / _RESERVE).unlink(missing_ok=True)


def _last_word(folder: Path, status: str, **more: Any) -> None:
    """Written even to a full disk: into the room that was kept free for it."""
    (folder / _RESERVE).unlink(missing_ok=True)
    try:
        update(folder, status=status, finished=time.time(), **more)
    except IllegalTransition as error:
        logging.getLogger("yuan").error("%s", error)


def in_words(error: BaseException) -> UserError:
    """What went wrong in a worker, as a person may be told it: out of memory, full disk, lost file, else our fault."""
    text = f"{type(error).__name__}: {error}"[:300]
    if isinstance(error, MemoryError) or any(words in text.lower() for words in ("out of memory", "not enough memory")):
        return UserError(
            "Memory ran out: {text}",
            "Take a smaller model, or in training a smaller batch or a shorter max length.",
            text=text,
        )
    if getattr(error, "errno", None) == errno.ENOSPC or "no space left" in text.lower():
        return UserError("The disk is full.", "Free some space and start again.")
    if isinstance(error, FileNotFoundError) and error.filename:
        return UserError(
            "The file {path} is gone, and the work needs it.", "Put it back, or start anew.", path=error.filename
        )
    return UserError("This is our fault, not yours: {text}", "The log has the details.", text=text)
