"""Watching a worker at work: how far it is goes into its job's state, and a stop ends its process at once.

For work that may be killed at any moment and gone on with. Where a step must be whole first, as in training or a batch
of answers, the work itself asks :func:`core.jobs.stop_asked`.
"""

import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from core import jobs
from core.errors import UserError

TICK = 0.5  # seconds between two readings
LOOKS = 5  # for a stop, in a tick


@contextmanager
def watching(
    folder: Path, reading: Callable[[], dict[str, Any]], at_stop: Callable[[], None] = lambda: None, **at_rest: Any
) -> Iterator[None]:
    """Watch what is done inside; while this is entered, it alone writes the job's state.

    Args:
        reading: the state's fields as they are now; called in another thread, and once more at the end.
        at_stop: called before a stop ends the process.
        at_rest: the fields that are otherwise than read once it was stopped, as a speed.
    """
    over = threading.Event()

    def look() -> None:
        while True:
            with suppress(UserError):  # a full disk is the work's to tell
                jobs.update(folder, status=jobs.RUNNING, **reading())
            # A stop is heard at once even in the middle of a long scan or where the network is silent.
            for _ in range(LOOKS):
                if jobs.stop_asked(folder):
                    at_stop()
                    with suppress(UserError):
                        last = {**reading(), **at_rest}
                        jobs.update(folder, status=jobs.STOPPED, **last, finished=time.time())
                    os._exit(0)
                if over.wait(TICK / LOOKS):
                    return

    thread = threading.Thread(target=look, daemon=True, name="watch")
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        with suppress(UserError):
            jobs.update(folder, **reading())
