"""Indexing as a detached job, one folder ``var/kb/<hash>/job/`` per base: it outlives the browser and the app."""

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import files, jobs
from core.errors import UserError
from core.rag import bases, staging
from core.rag.indexing import Mode, Request, busy, making
from core.settings import settings

WORKER = "core.rag.worker"
INTERRUPTED = UserError(
    "The indexing was interrupted: its process was killed, or the machine was restarted.",
    "Go on with it: what is done already is not done again.",
)


@dataclass(frozen=True)
class Progress:
    """How far an indexing job is.

    Attributes:
        status: one of ``jobs``' words (starting, running, stopping, stopped, finished, failed, interrupted).
        stage: collect, read, embed or commit; empty before the first.
        file: the document at hand.
        files, of: documents done, documents to do (0: not known yet).
        rows, rows_of: rows embedded by this process, rows it has read so far.
        share: of the whole, 0 to 1.
        speed: rows per second.
        eta, elapsed: seconds; eta None: not known.
        report: what came of it (:class:`core.rag.indexing.Report` as a dict), once finished.
        error: why it ended, as kept in state files; None while it goes well.
    """

    status: str = jobs.STARTING
    stage: str = ""
    file: str = ""
    files: int = 0
    of: int = 0
    rows: int = 0
    rows_of: int = 0
    share: float = 0.0
    speed: float = 0.0
    eta: float | None = None
    elapsed: float = 0.0
    report: dict[str, Any] | None = None
    error: dict[str, Any] | None = None

    @property
    def live(self) -> bool:
        """Whether its worker is at it."""
        return self.status in jobs.LIVE

    @property
    def unfinished(self) -> bool:
        """Whether it ended early and can be gone on with."""
        return not self.live and self.status != jobs.FINISHED

    def as_dict(self) -> dict[str, Any]:
        """For a state file and for ``--json``."""
        return asdict(self)


def folder(name: str) -> Path:
    """The job folder of a knowledge base."""
    return bases.folder(name) / "job"


def save_uploads(uploads: Sequence[tuple[str, bytes]]) -> Path:
    """Keep what a browser sent, as files of a new folder under ``var/uploads/`` that :func:`start` takes.

    Whatever an upload calls itself, it stays inside; of two with one name the second gets a number.
    """
    where = settings().uploads_dir / files.new_id("kb")
    where.mkdir(parents=True)
    for name, data in uploads:
        safe = name.replace("\\", "/").rsplit("/", 1)[-1].replace("\0", "").lstrip(".") or "document"
        path, number = where / safe, 2
        while path.exists():
            path = where / f"{Path(safe).stem} ({number}){Path(safe).suffix}"
            number += 1
        path.write_bytes(data)
    return where


def start(name: str, paths: Sequence[Path] = (), mode: Mode = "add", **more: Any) -> None:
    """Start indexing in a process of its own; returns at once.

    Args:
        paths: files and folders; they are read again when the job is gone on with.
        more: the other fields of :class:`core.rag.indexing.Request`.

    Raises:
        UserError: a job of this base is running, its name, document or embedding model are not to be used.
    """
    request = Request(name, mode, [path.resolve() for path in paths], **more)
    bases.check_name(name, paths)
    making(request)
    if request.document:
        staging.check_document(name, request.document)
    where = folder(name)
    where.mkdir(parents=True, exist_ok=True)
    with FileLock(bases.folder(name) / ".job.lock"):
        if is_live(name):
            raise busy(name)
        with bases.writing(name):
            pass  # listed from now on
        asked = {**asdict(request), **asdict(making(request)), "paths": [str(path) for path in request.paths]}
        files.write_json(where / "request.json", asked)
        _launch(where)


def _launch(where: Path) -> None:
    jobs.create(where, **Progress().as_dict())
    jobs.launch(WORKER, where)


def is_live(name: str) -> bool:
    """Whether an indexing job of this base is running."""
    return (folder(name) / "state.json").exists() and jobs.state(folder(name))["status"] in jobs.LIVE


def progress(name: str) -> Progress | None:
    """How far the running or last indexing job of this base is; None: there was none."""
    if not (folder(name) / "state.json").exists():
        return None
    found = jobs.state(folder(name))
    if found["status"] == jobs.INTERRUPTED:
        found = {**found, "error": INTERRUPTED.as_dict()}
    return Progress(**{field: found[field] for field in Progress.__dataclass_fields__ if field in found})


def stop(name: str) -> None:
    """Ask the job to end; what is done is kept and gone on with by :func:`resume`. The base answers as before.

    Raises:
        UserError: when it is not running any more.
    """
    jobs.stop(folder(name))


def resume(name: str) -> None:
    """Go on with a job that ended early.

    Raises:
        UserError: there is none, or it is running or has finished.
    """
    if not (folder(name) / "request.json").is_file():
        raise _nothing(name)
    with FileLock(bases.folder(name) / ".job.lock"):
        last = progress(name)
        if last is None or not last.unfinished:
            raise _nothing(name)
        _launch(folder(name))


def _nothing(name: str) -> UserError:
    return UserError("There is nothing to go on with in “{name}”.", "Add documents to it instead.", name=name)


def wait(name: str, tick: Callable[[Progress], None] | None = None) -> Progress:
    """Follow a job to its end, calling ``tick(progress)`` about twice a second; returns the last progress."""
    return jobs.follow(folder(name), lambda: progress(name), tick)


def end(name: str) -> None:
    """Stop all jobs in the folder of a base, indexing or measuring, and wait until they have ended."""
    found = [path.parent for path in bases.folder(name).glob("**/state.json")]
    live = [where for where in found if jobs.state(where)["status"] in jobs.LIVE]
    for where in live:
        jobs.stop(where)
    for where in live:
        jobs.wait(where)
    deadline = time.monotonic() + 10
    while any(jobs.process(where) for where in found) and time.monotonic() < deadline:
        time.sleep(0.05)
