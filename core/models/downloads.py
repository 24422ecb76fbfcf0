"""Downloads as detached jobs, one folder ``var/downloads/<card>/`` each, and the state of every model.

The worker writes stage, speed and source into ``state.json``; how many bytes are here is read from the disk.
"""

from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import jobs
from core.errors import UserError
from core.models import hub, store
from core.models.cards import ModelCard
from core.models.hub import FileProgress
from core.settings import settings

WORKER = "core.models.worker"
ABSENT, DOWNLOADING, PARTIAL, READY, BROKEN = "absent", "downloading", "partial", "ready", "broken"
LIST, DOWNLOAD, VERIFY, CONVERT = "list", "download", "verify", "convert"
INTERRUPTED = UserError(
    "The download was interrupted: its process was killed, or the machine was restarted.",
    "Start it again: what is here already is not fetched again.",
)


@dataclass(frozen=True)
class Failure:
    """A source that was tried in vain: ``kind:id``, and why (message and hint as templates, and their values)."""

    source: str
    error: dict[str, Any]


@dataclass(frozen=True)
class Download:
    """How far a download is.

    Attributes:
        status: one of ``jobs``' words (starting, running, stopping, stopped, finished, failed, interrupted).
        stage: list, download, verify or convert; empty before the first.
        share: of the stage, 0 to 1, where it is not told in bytes (convert).
        source: ``kind:id`` of the source being tried; empty before the first.
        file: the one on its way; empty between files and where the source is not a hub.
        files: each file with its bytes; empty before the hub's list is here.
        done, total: bytes here, bytes in all (0: not known yet).
        speed: bytes per second over the last ten seconds.
        eta: seconds to go for what is left to receive; None: not known.
        elapsed: seconds since the start.
        failures: the sources that failed so far.
        error: why it ended, as kept in state files; None while it goes well.
    """

    status: str = jobs.STARTING
    stage: str = ""
    share: float = 0.0
    source: str = ""
    file: str = ""
    files: list[FileProgress] = field(default_factory=list)
    done: int = 0
    total: int = 0
    speed: float = 0.0
    eta: float | None = None
    elapsed: float = 0.0
    failures: list[Failure] = field(default_factory=list)
    error: dict[str, Any] | None = None

    @property
    def live(self) -> bool:
        """Whether its worker is at it."""
        return self.status in jobs.LIVE

    def as_dict(self) -> dict[str, Any]:
        """For a state file and for ``--json``."""
        return asdict(self)


@dataclass(frozen=True)
class State:
    """What there is of a model.

    Attributes:
        kind: absent, downloading, partial (can be gone on with), ready, or broken.
        size: bytes on disk, what an unfinished download has left included.
        download: the running or last one that did not end well; None: there is none.
        error: for ``broken``, which file is missing or damaged; for ``partial`` and ``absent``, why the last
            download ended early; as kept in state files. None: nothing is wrong.
    """

    kind: str
    size: int
    download: Download | None = None
    error: dict[str, Any] | None = None


def folder(card: ModelCard) -> Path:
    """The job folder of this model's download."""
    return settings().downloads_dir / card.name


def start(card: ModelCard) -> None:
    """Start fetching a model in a process of its own, or go on with what is there; returns at once.

    There is one download per model: when it is running already, or the model is here, nothing happens.
    """
    where = folder(card)
    where.mkdir(parents=True, exist_ok=True)
    with FileLock(where.with_name(f".{card.name}.lock")):
        if store.is_ready(card) or is_live(card):
            return
        jobs.create(where, **{**Download().as_dict(), "total": sum(s.size for s in card.sources[:1])})
        jobs.launch(WORKER, where)


def is_live(card: ModelCard) -> bool:
    """Whether a download of this model is running."""
    return (folder(card) / "state.json").exists() and jobs.state(folder(card))["status"] in jobs.LIVE


def stop(card: ModelCard) -> None:
    """Ask the download to end; what has arrived is kept and gone on with at the next start.

    Raises:
        UserError: when it is not running any more.
    """
    jobs.stop(folder(card))


def progress(card: ModelCard) -> Download | None:
    """How far the running or last download of this model is; None: there was none."""
    if not (folder(card) / "state.json").exists():
        return None
    found = jobs.state(folder(card))
    if found["status"] == jobs.INTERRUPTED:
        found = {**found, "error": INTERRUPTED.as_dict()}
    known = {name: found[name] for name in Download.__dataclass_fields__ if name in found}
    known["files"] = [FileProgress(**entry) for entry in known.get("files", [])]
    if found["status"] not in jobs.LIVE:  # its last word may be older than the last bytes
        known |= _on_disk(card, known.get("source", ""))
    known["failures"] = [Failure(**entry) for entry in known.get("failures", [])]
    return Download(**known)


def _on_disk(card: ModelCard, label: str) -> dict[str, Any]:
    tried = next((source for source in card.sources if source.label == label), None)
    found = hub.report(store.workspace(card, tried)) if tried else []
    return {"files": found, "done": sum(file.done for file in found)} if found else {}


def wait(card: ModelCard, tick: Callable[[Download], None] | None = None) -> Download:
    """Follow a download to its end, calling ``tick(progress)`` about twice a second; returns the last progress."""
    return jobs.follow(folder(card), lambda: progress(card), tick)


def state(card: ModelCard) -> State:
    """What there is of this model, as the disk and the operating system say."""
    size, last = store.disk_use(card), progress(card)
    if last and last.live:
        return State(DOWNLOADING, size, last)
    if store.is_ready(card):
        return State(READY, size)
    error = last.error if last else None
    if store.workspace(card).exists():
        return State(PARTIAL, size, last, error)
    fault = store.fault(card)
    if fault and (size or store.is_own(card)):
        return State(BROKEN, size, last, fault.as_dict())
    return State(ABSENT, size, last, error)


def remove(card: ModelCard) -> None:
    """Delete a model that is here, or what is left of its download; a running download is stopped first.

    Raises:
        UserError: when nothing is here, or it is a directory of the person's own.
    """
    if is_live(card):
        stop(card)
        jobs.wait(folder(card))
    store.remove(card)
    for path in folder(card).glob("*"):
        path.unlink(missing_ok=True)
