"""``python -m core runs …`` as others script against it."""

import json
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from typer.testing import CliRunner

from core import cli, files, jobs
from core.errors import UserError
from core.models.cards import ModelCard
from core.settings import settings
from core.training import runs
from tests.helpers import runs as stored
from tests.helpers import training
from tests.helpers.jobs import Jobs, until

RUN = "20260101-000000-a-0001"


def text(*arguments: str) -> str:
    result = CliRunner().invoke(cli.app, ["runs", *arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


def quick(*arguments: str) -> Any:
    return json.loads(text(*arguments, "--json"))


def refused(*arguments: str) -> UserError:
    result = CliRunner().invoke(cli.app, ["runs", *arguments])
    assert isinstance(result.exception, UserError)
    return result.exception


@pytest.fixture
def run(tiny_card: ModelCard, tiny_adapters: list[Path]) -> Path:
    folder = stored.make(RUN)
    copytree(tiny_adapters[0], folder / "adapter")
    return folder


def test_the_queue_is_seen_changed_and_left(workers: Jobs) -> None:
    first, second, third = (workers.launch("until-told") for _ in range(3))
    for number, folder in enumerate((first, second, third)):
        files.write_text(folder / "config.toml", f'dataset = "x"\nname = "run {number}"\n')
    until(first, jobs.RUNNING)
    places = {row["id"]: row.get("position") for row in quick("list")["runs"]}
    assert places == {first.name: None, second.name: 1, third.name: 2}
    assert quick("move", third.name, "first") == {"run": third.name, "status": "queued", "position": 1}
    table = {line.split()[0]: line.split() for line in text("list").splitlines()}
    assert table[second.name][3:5] == ["queued", "2"]
    assert "is not waiting" in str(refused("cancel", first.name))
    assert quick("cancel", second.name)["status"] == "stopping"
    assert jobs.wait(second)["status"] == "stopped"
    assert text("stop", first.name) == ""
    (first / "may-stop").touch()
    assert jobs.wait(first)["status"] == "stopped"
    until(third, jobs.RUNNING)
    assert "is running" in str(refused("resume", third.name))


def test_show_names_the_checkpoints_and_says_what_went_wrong(run: Path) -> None:
    stored.checkpoint(run, 20)
    error = {"message": "Row {row} is bad.", "hint": "Mend it.", "values": {"row": 3}}
    files.write_json(run / "state.json", {"status": "failed", "error": error})
    report = quick("show", RUN)
    assert [kept["id"] for kept in report["checkpoints"]] == [f"{RUN}@20"]
    assert (report["status"], report["metrics"]) == ("failed", [])
    assert "Row 3 is bad. Mend it." in text("show", RUN)


def test_what_something_depends_on_is_deleted_only_with_yes(run: Path) -> None:
    files.write_json(settings().experiments_dir / "exp" / "inputs.json", {"arms": [{"adapter": RUN}]})
    error = refused("delete", RUN)
    assert error.message == f"Run {RUN} is part of: exp."
    assert "--yes" in error.hint
    assert run.is_dir()
    assert quick("delete", RUN, "--yes")["dependents"]["experiments"] == ["exp"]
    assert not run.exists()
    other = stored.make("20260102-000000-b-0002").name
    assert text("delete", other) == ""
    assert runs.listing() == []


def test_out_and_in_again(run: Path, tmp_path: Path) -> None:
    path = quick("export", RUN, str(tmp_path / "mine.zip"))["path"]
    assert text("export", RUN, str(tmp_path / "mine.zip")) == f"{path}\n"
    taken = quick("import", path)["run"]
    assert runs.show(taken)["imported"]


def test_merge_prints_how_it_was_verified(run: Path) -> None:
    report = quick("merge", RUN, "mine")
    assert (report["model"], report["path"]) == ("mine", str(settings().models_dir / "mine"))
    checked = report["verification"]
    assert checked["passed"] is True
    assert checked["same"] == checked["prompts"] > 0
    assert set(checked) == {"prompts", "same", "tokens", "difference", "tolerance", "dtype", "passed"}


def test_differences_and_reproduction(run: Path) -> None:
    stored.make("20260102-000000-b-0002", rank=16)
    (row,) = quick("diff", RUN, "20260102-000000-b-0002")["differences"]
    assert row == {"field": "rank", RUN: 4, "20260102-000000-b-0002": 16}
    assert text("diff", RUN, "20260102-000000-b-0002").splitlines()[1].split() == ["rank", "4", "16"]
    told = quick("reproduce", RUN)
    assert told["command"].startswith("python -m core train ")
    assert told["toml"] == (run / "config.toml").read_text("utf-8")


def test_an_estimate_says_what_is_needed_and_what_would_fit(
    tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(f'dataset = "{training.dataset_file(tmp_path)}"\nmax_length = 64\n', "utf-8")
    report = quick("estimate", str(recipe), "--set", "batch_size=2")
    assert report["fits"] is True
    assert report["memory"]["total"] == sum(size for name, size in report["memory"].items() if name != "total")
    assert report["steps"] > 0
    monkeypatch.setattr("core.models.memory.free", lambda where: report["memory"]["total"] - 1000)
    told = text("estimate", str(recipe), "--set", "batch_size=2")
    assert "does not fit; with --set batch_size=1 --set accumulation=2 it does" in told


def test_a_checkpoint_answers_on_the_command_line(run: Path, tiny_adapters: list[Path]) -> None:
    kept = stored.checkpoint(run, 20)
    for file in tiny_adapters[1].iterdir():
        (kept / file.name).write_bytes(file.read_bytes())

    def answer(adapter: str) -> dict[str, Any]:
        words = ["ask", "What is a llama?", "--adapter", adapter, "--max-new-tokens", "8", "--json"]
        result = CliRunner().invoke(cli.app, words, catch_exceptions=False)
        return json.loads(result.stdout)["answers"][0]

    assert answer(f"{RUN}@20")["adapter"] == f"{RUN}@20"
    assert answer(f"{RUN}@20")["text"] != answer(RUN)["text"]
