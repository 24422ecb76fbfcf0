"""A watched worker: its state follows what it does, and a stop is the end of its process."""

from itertools import count

import pytest

from core import jobs
from core.watch import watching
from tests.helpers.jobs import WORKER, Jobs
from tests.helpers.waiting import eventually


def test_a_stop_ends_the_process_with_a_last_word(workers: Jobs) -> None:
    folder = workers.make("watched")
    jobs.launch(WORKER, folder)
    first = eventually(lambda: jobs.state(folder).get("at"))
    assert (jobs.state(folder)["status"], jobs.state(folder)["speed"]) == (jobs.RUNNING, 7.0)
    assert eventually(lambda: jobs.state(folder)["at"] > first), "read again and again"
    assert not (folder / "heard").exists()
    jobs.stop(folder)
    state = jobs.wait(folder)
    assert (state["status"], state["speed"], state.get("error")) == (jobs.STOPPED, 0.0, None)
    assert first < state["at"] <= state["finished"]
    assert (folder / "heard").exists()
    assert eventually(lambda: jobs.process(folder) is None)


def test_whatever_ends_the_work_the_last_reading_counts(workers: Jobs) -> None:
    folder, numbers = workers.make("none"), count()
    with pytest.raises(ValueError, match="an end"), watching(folder, lambda: {"number": next(numbers)}):
        eventually(lambda: jobs.state(folder).get("number") == 0)
        raise ValueError("an end")
    assert jobs.state(folder)["number"] == next(numbers) - 1 > 0
