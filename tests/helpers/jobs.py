"""Job folders with a stub worker: real processes, no heavy library."""

import os
from pathlib import Path

from core import jobs, queue
from core.settings import settings
from tests.helpers.waiting import eventually

WORKER = "tests.helpers.worker"


class Jobs:
    """Makes job folders where runs or experiments lie, and ends every worker after the test."""

    def __init__(self) -> None:
        self.folders: list[Path] = []

    def make(self, mode: str, root: str = "runs") -> Path:
        """A job that no worker has been launched for."""
        folder = settings().data_dir / root / f"{len(self.folders)}-{mode}"
        folder.mkdir(parents=True)
        (folder / "mode").write_text(mode, "utf-8")
        jobs.create(folder)
        self.folders.append(folder)
        return folder

    def launch(self, mode: str, root: str = "runs") -> Path:
        """A job in line for the device, with its worker."""
        folder = self.make(mode, root)
        queue.submit(WORKER, folder)
        return folder

    def end(self) -> None:
        for folder in self.folders:
            kill(folder)


def kill(folder: Path) -> None:
    """kill -9 for the job's worker, if it has one that is not this process."""
    process = jobs.process(folder)
    if process is not None and process.pid != os.getpid():
        process.kill()
        process.wait()


def status(folder: Path) -> str:
    return str(jobs.state(folder)["status"])


def until(folder: Path, wanted: str) -> None:
    eventually(lambda: status(folder) == wanted)
