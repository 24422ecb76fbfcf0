"""What a refresh of a run's live screen costs the server: cells, six charts, answers and log of 100,000 steps.

A metrics file is written as a worker would have, 200 measurements with three answers each included; then one step is
added before each refresh, as while it trains. The time is that of the script between two refreshes, figures checked
and packed for the browser, without the network. The claim: at most 30 ms.
Run: python -m benchmarks.run_charts
"""

import json
import math
import random
import statistics
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from core import files, jobs
from core.settings import settings
from core.training import config as configs

STEPS, MEASURED, REFRESHES, CLAIM = 100_000, 500, 40, 30.0


def points(first: int, last: int) -> Iterator[dict[str, Any]]:
    """Lines of ``metrics.jsonl`` for the steps from ``first`` to ``last``."""
    for step in range(first, last + 1):
        loss = 2 + 3 * math.exp(-step / 20_000) + random.Random(step).gauss(0, 0.3)
        rate = 2e-4 * (1 + math.cos(math.pi * step / STEPS)) / 2
        yield {"step": step, "time": 1.7e9 + step, "loss": loss, "learning_rate": rate, "grad_norm": 1 + loss / 9,
               "epoch": step / 900, "tokens": 640 * step, "seconds": 0.8 * step, "memory": 1.4e9}  # fmt: skip
        if step % MEASURED == 0:
            yield {"step": step, "time": 1.7e9 + step, "eval_loss": loss + 0.2}


def prepare(folder: Path) -> None:
    """A run that is at work at its last steps."""
    wanted = configs.make({"name": "long", "model": "SmolLM2-135M-Instruct", "dataset": "d", "max_steps": STEPS})
    configs.save(wanted, folder / "config.toml")
    with (folder / "metrics.jsonl").open("w") as file:
        file.writelines(json.dumps(point) + "\n" for point in points(1, STEPS - REFRESHES - 1))
    with (folder / "samples.jsonl").open("w") as file:
        for step in range(0, STEPS, MEASURED):
            for prompt in range(3):
                said = {"step": step, "prompt": f"Question {prompt}: " + "why " * 40, "text": f"{step} because " * 20}
                file.write(json.dumps(said) + "\n")
    (folder / "log.txt").write_text("a step and its figures\n" * STEPS, "utf-8")
    me = psutil.Process()
    files.write_json(folder / "process.json", {"pid": me.pid, "create_time": me.create_time()})
    jobs.create(folder, jobs.RUNNING, step=STEPS - REFRESHES, steps=STEPS, elapsed=8e4, eta=30.0, eval_loss=2.3)


def screen() -> None:
    """The script of the page: nothing but the live screen, and what it took."""
    import time

    import streamlit as st

    from core.training import runs
    from core.ui.training import run_monitor_view

    began, worked = time.perf_counter(), time.thread_time()
    run_monitor_view.show(runs.show("long"))
    st.session_state["spent"] = (time.perf_counter() - began, time.thread_time() - worked)


def refreshes() -> dict[str, float]:
    """Milliseconds of the first look, and of those that follow on it: median, 95th percentile, and the processor's
    time in the median, which other work on the machine does not stretch."""
    from streamlit.testing.v1 import AppTest

    with tempfile.TemporaryDirectory() as root:
        settings().data_dir = Path(root)
        folder = settings().runs_dir / "long"
        prepare(folder)
        app = AppTest.from_function(screen, default_timeout=120).run()
        assert not app.exception, app.exception
        spent = [app.session_state["spent"]]
        for step in range(STEPS - REFRESHES, STEPS):
            for point in points(step, step):
                files.append_jsonl(folder / "metrics.jsonl", point)
            spent.append(app.run().session_state["spent"])
        settings.cache_clear()
    first, *later = spent
    wall, processor = (sorted(1000 * each[part] for each in later) for part in (0, 1))
    return {
        "first_ms": 1000 * first[0],
        "median_ms": statistics.median(wall),
        "p95_ms": wall[int(0.95 * len(wall))],
        "processor_ms": statistics.median(processor),
    }


def main() -> None:
    """Print {"steps", "refreshes", "first_ms", "median_ms", "p95_ms", "processor_ms", "claim_ms"} as JSON."""
    found = {name: round(value, 1) for name, value in refreshes().items()}
    print(json.dumps({"steps": STEPS, "refreshes": REFRESHES, **found, "claim_ms": CLAIM}, indent=1))


if __name__ == "__main__":
    main()
