"""Runs and comparisons that wait for their turn: real workers, which load nothing heavy before it comes."""

import sys
from pathlib import Path

import pytest

from core import files, jobs, queue
from core.errors import UserError
from core.evaluation import experiments
from core.models.cards import ModelCard
from core.settings import settings
from core.training import runs
from tests.helpers import training
from tests.helpers.jobs import WORKER, Jobs, status, until
from tests.helpers.waiting import eventually


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_a_waiting_run_is_light_and_can_be_moved_and_cancelled(
    workers: Jobs, tiny_card: ModelCard, tmp_path: Path
) -> None:
    busy = workers.launch("until-told")
    until(busy, jobs.RUNNING)
    ids = [runs.start(training.config(training.dataset_file(tmp_path))) for _ in range(2)]
    folders = [runs.folder(run_id) for run_id in ids]
    workers.folders += folders
    eventually(lambda: all((folder / ".reserve").exists() for folder in folders))  # both have signed in
    assert [runs.show(run_id)["status"] for run_id in ids] == [jobs.QUEUED] * 2
    assert [runs.show(run_id)["position"] for run_id in ids] == [1, 2]
    runs.move(ids[1], "first")
    assert [row["position"] for row in sorted(runs.listing(), key=lambda row: ids.index(row["id"]))] == [2, 1]
    for folder in folders:
        process = jobs.process(folder)
        assert process is not None
        mapped = Path(f"/proc/{process.pid}/maps").read_text()
        assert "libtorch" not in mapped
        assert "tokenizers" not in mapped
        assert process.memory_info().rss < 250 * 2**20
    for run_id in ids:
        runs.cancel(run_id)
    assert [jobs.wait(folder)["status"] for folder in folders] == [jobs.STOPPED] * 2
    assert status(busy) == jobs.RUNNING
    with pytest.raises(UserError, match="is not waiting"):
        runs.cancel(ids[0])


def test_a_comparison_that_was_interrupted_goes_on_at_the_end_of_the_line(
    workers: Jobs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(experiments, "WORKER", WORKER)
    busy = workers.launch("until-told")
    until(busy, jobs.RUNNING)
    folder = settings().experiments_dir / "exp"
    files.write_json(folder / "inputs.json", {"rows": []})
    (folder / "mode").write_text("until-told", "utf-8")
    files.write_json(folder / "state.json", {"status": jobs.RUNNING, "created": 1.0, "done": 3})
    assert experiments.summary("exp")["status"] == jobs.INTERRUPTED
    workers.folders.append(folder)
    experiments.resume("exp")
    assert (experiments.summary("exp")["status"], experiments.summary("exp")["done"]) == (jobs.QUEUED, 3)
    assert queue.position(folder) == 1
    with pytest.raises(UserError, match="has not ended early"):
        experiments.resume("exp")
