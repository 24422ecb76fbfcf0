"""A hub's data set fetched while its page comes and goes: by ``python -m core.training.data.fetching DIR``.

Everything here may be killed at any moment and gone on with, so a stop is simply the end of the process.
"""

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from filelock import FileLock

from core import files, jobs
from core.models import hub
from core.models.downloads import INTERRUPTED
from core.training.data import remote
from core.watch import watching

WORKER = "core.training.data.fetching"


@dataclass(frozen=True)
class Fetch:
    """How far a fetch is.

    Attributes:
        status: one of ``jobs``' words.
        stage: list, download or verify; empty before the first.
        done, total: bytes here, bytes in all (0: not known yet).
        elapsed: seconds since the start, or in all.
        found: once finished, split → files.
        error: why it ended, as kept in state files; None while it goes well.
    """

    status: str
    stage: str
    done: int
    total: int
    elapsed: float
    found: dict[str, list[Path]] = field(default_factory=dict)
    error: dict[str, Any] | None = None

    @property
    def live(self) -> bool:
        """Whether its worker is at it."""
        return self.status in jobs.LIVE


def start(address: str) -> None:
    """Start fetching in a process of its own, or go on with what is there; one that is at it already is left alone.

    Raises:
        UserError: no address.
    """
    job = _job(address)
    job.mkdir(parents=True, exist_ok=True)
    with FileLock(job.with_name(".job.lock")):
        if (found := progress(address)) and found.live:
            return
        jobs.create(job, address=address)
        jobs.launch(WORKER, job)


def progress(address: str) -> Fetch | None:
    """How far the running or last fetch is; None: there was none, or it is no address."""
    if remote.address(address) is None or not (_job(address) / "state.json").exists():
        return None
    state = jobs.state(_job(address))
    arriving = hub.report(_job(address).parent)
    return Fetch(
        state["status"],
        state.get("stage", ""),
        sum(file.done for file in arriving),
        sum(file.size for file in arriving),
        state.get("finished", time.time()) - state["created"],
        {split: [Path(path) for path in paths] for split, paths in state.get("found", {}).items()},
        INTERRUPTED.as_dict() if state["status"] == jobs.INTERRUPTED else state.get("error"),
    )


def stop(address: str) -> None:
    """End it; what has arrived is kept and gone on with at the next start.

    Raises:
        UserError: no address, or it is not running any more.
    """
    jobs.stop(_job(address))


def _job(address: str) -> Path:
    return remote.folder(address) / "job"


def main(job: Path) -> None:
    """Fetch what the job's state names; its last word has the files by split."""
    at = {"stage": ""}
    with jobs.reporting(job):
        address = files.read_json(job / "state.json")["address"]
        with watching(job, lambda: at):
            found = remote.fetch(address, lambda stage, share: at.update(stage=stage))
        kept = {split: [str(path) for path in paths] for split, paths in found.items()}
        jobs.update(job, status=jobs.FINISHED, finished=time.time(), found=kept)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
