"""The worker process of one download: ``python -m core.models.worker DIR``, where DIR is named like the card.

Everything here may be killed at any moment and gone on with, so a stop is simply the end of the process.
"""

import contextlib
import os
import sys
import threading
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from core import jobs
from core.errors import UserError
from core.models import cards, downloads, hub, preparing, store
from core.models.cards import ModelCard, Source
from core.models.downloads import Failure
from core.models.hub import FileProgress

TICK = 0.5  # seconds between two readings
WINDOW = 10.0  # seconds over which the speed is taken


class Watch:
    """Reads how far a download is, writes it into the job's state, and ends the process once a stop is asked for.

    A context manager around the work; while it is entered, it alone writes the state.
    """

    def __init__(self, folder: Path, card: ModelCard) -> None:
        self.folder, self.card = folder, card
        self.attempts: list[preparing.Attempt] = []
        self.stage, self.share, self.began = "", 0.0, time.time()
        self._readings: deque[tuple[float, int]] = deque()
        self._known: list[FileProgress] = []
        self._tried = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True, name="watch")

    def __call__(self, stage: str, share: float) -> None:
        """The work's progress callback."""
        self.stage, self.share = stage, share

    def __enter__(self) -> "Watch":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()
        with contextlib.suppress(UserError):
            jobs.update(self.folder, **self.reading())

    def _run(self) -> None:
        while True:
            with contextlib.suppress(UserError):  # a full disk is the work's to tell
                jobs.update(self.folder, status=jobs.RUNNING, **self.reading())
            # A stop is heard at once even where the network is silent.
            for _ in range(5):
                if jobs.stop_asked(self.folder):
                    self._stop()
                if self._over.wait(TICK / 5):
                    return

    def _stop(self) -> None:
        for child in psutil.Process().children(recursive=True):  # pip, for a wheel
            child.kill()
        with contextlib.suppress(UserError):
            last = {"status": jobs.STOPPED, "finished": time.time(), "speed": 0.0, "eta": None}
            jobs.update(self.folder, **{**self.reading(), **last})
        os._exit(0)

    def reading(self) -> dict[str, Any]:
        """The fields of :class:`core.models.downloads.Download` as they are now."""
        if not self.attempts:
            return {"elapsed": time.time() - self.began}
        if len(self.attempts) != self._tried:  # another source
            self._readings.clear()
            self._known, self._tried = [], len(self.attempts)
        source = self.attempts[-1].source
        files = self._files(source)
        total = sum(file.size for file in files) or source.size
        done = sum(file.done for file in files)
        if source.kind == "wheel":
            done = int(total * {"": 0.0, downloads.DOWNLOAD: self.share}.get(self.stage, 1.0))
        speed = self._speed(done)
        failures = [vars(Failure(tried.source.label, tried.error.as_dict())) for tried in self.attempts if tried.error]
        return {
            "stage": self.stage,
            "share": self.share,
            "source": source.label,
            "file": next((file.name for file in files if file.done < file.size), ""),
            "files": [vars(file) for file in files],
            "done": done,
            "total": total,
            "speed": speed,
            "eta": (total - done) / speed if speed > 0 and total else None,
            "elapsed": time.time() - self.began,
            "failures": failures,
        }

    def _files(self, source: Source) -> list[FileProgress]:
        workspace = store.workspace(self.card, source)
        if found := hub.report(workspace):
            self._known = found
        if self._known and not (workspace / "files").is_dir():  # all has arrived, and was moved to its place
            return [replace(file, done=file.size) for file in self._known]
        return found

    def _speed(self, done: int) -> float:
        now = time.monotonic()
        if self._readings and done < self._readings[-1][1]:  # a wrong file is fetched again
            self._readings.clear()
        self._readings.append((now, done))
        while now - self._readings[0][0] > WINDOW:
            self._readings.popleft()
        since, before = self._readings[0]
        return (done - before) / (now - since) if now > since else 0.0


def main(folder: Path) -> None:
    """Fetch the model the folder is named after; every way out ends up in the folder's state."""
    with jobs.reporting(folder):
        card = cards.card(folder.name)
        with Watch(folder, card) as watch:
            preparing.prepare(card, watch, watch.attempts)
        jobs.update(folder, status=jobs.FINISHED, finished=time.time(), file="", speed=0.0, eta=None)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
