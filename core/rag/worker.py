"""The worker process of one indexing job: ``python -m core.rag.worker DIR``, where ``DIR/request.json`` says what.

A base's documents go in by transactions, so this process may be killed at any moment; a stop is simply its end.
"""

import shutil
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core import files, jobs
from core.rag import calibration, indexing, knowledge
from core.rag.indexing import Request, Step
from core.settings import settings
from core.watch import watching


class Meter:
    """How far indexing is, how fast, and how long it will take."""

    def __init__(self) -> None:
        self.step, self.began = Step("collect"), time.monotonic()
        self._embedding = 0.0  # when the first rows were embedded

    def __call__(self, step: Step) -> None:
        """The work's progress callback."""
        if step.stage == "embed" and not self._embedding:
            self._embedding = time.monotonic()
        self.step = step

    def reading(self) -> dict[str, Any]:
        """The fields of :class:`core.rag.background.Progress` as they are now."""
        step, elapsed = self.step, time.monotonic() - self.began
        # Rows of the group at hand count as parts of its files.
        share = step.files / step.of if step.of else 0.0
        speed = step.rows / max(1e-3, time.monotonic() - self._embedding) if self._embedding else 0.0
        eta = elapsed * (1 - share) / share if 0.02 < share < 1 else None
        return {**asdict(step), "share": share, "speed": speed, "eta": eta, "elapsed": elapsed}


def main(folder: Path) -> None:
    """Do what the folder's request asks for; every way out ends up in the folder's state."""
    with jobs.reporting(folder):
        asked = files.read_json(folder / "request.json")
        paths = [Path(path) for path in asked["paths"]]
        meter = Meter()
        with watching(folder, meter.reading, eta=None):
            report = indexing.run(Request(**{**asked, "paths": paths}), meter, patience=-1)
            calibration.prepared(knowledge.view(asked["name"]))  # so that the first question need not wait for it
        last = {"stage": "", "file": "", "share": 1.0, "eta": None, "report": report.as_dict()}
        jobs.update(folder, status=jobs.FINISHED, finished=time.time(), **last)
        for path in paths:  # the base has its own copies now
            if path.parent == settings().uploads_dir:
                shutil.rmtree(path, ignore_errors=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
