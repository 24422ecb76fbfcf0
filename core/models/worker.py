"""The worker process of one download: ``python -m core.models.worker DIR``, where DIR is named like the card.

Everything here may be killed at any moment and gone on with, so a stop is simply the end of the process.
"""

import sys
import time
from collections import deque
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil

from core import jobs
from core.models import cards, downloads, hub, preparing, store
from core.models.cards import ModelCard, Source
from core.models.downloads import Failure
from core.models.hub import FileProgress
from core.models.preparing import Attempt
from core.watch import watching

WINDOW = 10.0  # seconds over which the speed is taken


class Meter:
    """How far a download is: what the work tells, and what lies on the disk."""

    def __init__(self, card: ModelCard) -> None:
        self.card, self.attempts = card, list[Attempt]()
        self.stage, self.share, self.began = "", 0.0, time.time()
        self._readings: deque[tuple[float, int]] = deque()
        self._known: list[FileProgress] = []
        self._tried = 0

    def __call__(self, stage: str, share: float) -> None:
        """The work's progress callback."""
        self.stage, self.share = stage, share

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
        meter = Meter(card)
        with watching(folder, meter.reading, at_stop=_end_children, speed=0.0, eta=None):
            preparing.prepare(card, meter, meter.attempts)
        jobs.update(folder, status=jobs.FINISHED, finished=time.time(), file="", speed=0.0, eta=None)


def _end_children() -> None:
    for child in psutil.Process().children(recursive=True):  # pip, for a wheel
        child.kill()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
