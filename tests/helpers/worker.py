"""``python -m tests.helpers.worker FOLDER``: a worker process that does what the file ``mode`` in its folder says."""

import sys
import threading
import time
from pathlib import Path

from core import jobs, queue
from core.errors import UserError
from core.watch import watching


def main(folder: Path) -> None:
    mode = (folder / "mode").read_text("utf-8")
    with jobs.reporting(folder):
        if mode == "silent":
            return
        if mode == "user-error":
            raise UserError("Row {row} is bad.", "Mend it.", row=3)
        if mode == "memory":
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        if mode == "crash":
            raise ValueError("a {brace} and nothing else")
        if mode == "watched":
            with watching(folder, lambda: {"at": time.time(), "speed": 7.0}, (folder / "heard").touch, speed=0.0):
                threading.Event().wait()  # until it is stopped from outside
        with queue.device(folder):
            print("at work", flush=True)  # before anybody who waits for it to run may end it
            jobs.update(folder, status=jobs.RUNNING, began=time.time())
            while mode == "until-told" and not (folder / "go").exists():
                if jobs.stop_asked(folder):
                    while not (folder / "may-stop").exists():
                        time.sleep(0.02)
                    raise jobs.Stopped
                time.sleep(0.02)
            ended = time.time()
        jobs.update(folder, status=jobs.FINISHED, ended=ended)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
