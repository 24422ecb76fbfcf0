"""One device, one job at a time: first come first served unless a person moves somebody up.

A job that wants a device has a ticket, ``var/queue/DEVICE/JOB.json``. Each waiting worker looks for itself whether
its ticket is the first and then takes the operating system's lock, which dies with its holder: nobody has to run for
the next one to start, and two apps on one machine share the queue by sharing the folder. A ticket whose job is not
live any more counts as absent.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock, Timeout

from core import files, hardware, jobs
from core.errors import UserError
from core.settings import settings

LOOK = 0.5  # seconds between two looks of a waiting worker
Direction = Literal["first", "up", "down", "last"]


@dataclass(frozen=True)
class Ticket:
    """A job's place in line.

    Attributes:
        job: its folder.
        device: the device it waits for, or holds.
        place: smaller is earlier; the time it came, until somebody moves it.
        attempt: which launch of the job it is for: a resumed one needs a new ticket.
        holds: whether it has the device.
    """

    job: Path
    device: str
    place: float
    attempt: float
    holds: bool = False


def submit(module: str, job: Path, **state: Any) -> int:
    """Put a new job in line and launch its worker, which waits for its turn; returns the worker's pid."""
    jobs.create(job, jobs.QUEUED, **state)
    enter(job)
    return jobs.launch(module, job)


def resubmit(module: str, job: Path) -> int:
    """Put a job that ended early at the end of the line and launch a new worker for it.

    Raises:
        jobs.IllegalTransition: it is live or has finished.
    """
    pid = jobs.restart(module, job, jobs.QUEUED)
    enter(job)
    return pid


def enter(job: Path) -> None:
    """Give a job its ticket for this machine's device, behind all who have one, unless it has got it already."""
    device = hardware.device()
    with _lock():
        tickets = _tickets(device)
        for old in [old for old in tickets if not _live(old)]:
            _path(old.job, device).unlink(missing_ok=True)
        if not any(_is(found, job) and _live(found) for found in tickets):
            _write(Ticket(job.resolve(), device, time.time(), jobs.attempt(job)))


def line(device: str = "") -> list[Ticket]:
    """Who holds the device and who waits for it, in their order.

    Args:
        device: like "cpu" or "cuda:0"; empty: the one of this machine.
    """
    return [ticket for ticket in _tickets(device or hardware.device()) if _live(ticket)]


def ticket(job: Path) -> Ticket | None:
    """The job's ticket; None: it neither waits nor holds a device."""
    return next((found for found in line() if _is(found, job)), None)


def position(job: Path) -> int | None:
    """Jobs ahead of this one, the running one included; 0: it has the device. None: it is not in line."""
    return next((number for number, found in enumerate(line()) if _is(found, job)), None)


def move(job: Path, direction: Direction) -> None:
    """Change a waiting job's place among those that wait.

    Raises:
        UserError: it is not waiting.
    """
    with _lock():
        waiting = [found for found in line() if not found.holds]
        now = next((number for number, found in enumerate(waiting) if _is(found, job)), None)
        if now is None:
            raise UserError("{job} is not waiting.", "Only what waits for the device can be moved.", job=job.name)
        places = [found.place for found in waiting]
        then = {"first": 0, "up": max(0, now - 1), "down": now + 1, "last": len(waiting)}[direction]
        waiting.insert(then, waiting.pop(now))
        for place, moved in zip(places, waiting, strict=True):
            _write(replace(moved, place=place))


@contextmanager
def device(job: Path) -> Iterator[str]:
    """Hold this machine's device for a worker's job, once its turn has come; the job is ``starting`` then.

    Nothing heavy is loaded while it waits.

    Yields:
        The device's name.

    Raises:
        jobs.Stopped: when a stop is asked for while waiting.
    """
    name = hardware.device()
    place = settings().data_dir / "locks"
    place.mkdir(parents=True, exist_ok=True)
    lock = FileLock(place / f"{name.replace(':', '-')}.lock")
    enter(job)
    try:
        while not _turn(job, lock):
            if jobs.stop_asked(job):
                raise jobs.Stopped
            time.sleep(LOOK)
            enter(job)  # somebody may have cleared the folder of tickets away
        jobs.update(job, status=jobs.STARTING)
        yield name
    finally:
        _path(job, name).unlink(missing_ok=True)
        lock.release()


def _turn(job: Path, lock: FileLock) -> bool:
    """Take the device if it is this job's turn. Under the queue's lock: nobody is moved meanwhile."""
    if jobs.stop_asked(job) or not _first(job):
        return False
    with _lock():
        if not _first(job):
            return False
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return False
        _write(replace(line()[0], holds=True))
        return True


def _first(job: Path) -> bool:
    now = line()
    return bool(now) and _is(now[0], job)


def _is(ticket: Ticket, job: Path) -> bool:
    return ticket.job == job.resolve()


def _lock() -> FileLock:
    root = settings().data_dir / "queue"
    root.mkdir(parents=True, exist_ok=True)
    return FileLock(root / ".lock")


def _folder(device: str) -> Path:
    return settings().data_dir / "queue" / device.replace(":", "-")


def _path(job: Path, device: str) -> Path:
    job = job.resolve()
    return _folder(device) / f"{job.parent.name}.{job.name}.json"


def _tickets(device: str) -> list[Ticket]:
    read = [files.read_json(path) for path in _folder(device).glob("*.json")]
    found = [Ticket(**{**entry, "job": Path(entry["job"]), "device": device}) for entry in read if entry]
    return sorted(found, key=lambda ticket: (not ticket.holds, ticket.place, ticket.job))


def _write(ticket: Ticket) -> None:
    entry = {"job": str(ticket.job), "place": ticket.place, "attempt": ticket.attempt, "holds": ticket.holds}
    files.write_json(_path(ticket.job, ticket.device), entry)


def _live(ticket: Ticket) -> bool:
    if not ticket.job.is_dir() or jobs.attempt(ticket.job) != ticket.attempt:
        return False
    return jobs.state(ticket.job)["status"] in jobs.LIVE
