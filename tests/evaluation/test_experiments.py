"""Comparisons end to end on a tiny model: frozen inputs, a worker that does not repeat itself, results as promised."""

import json
from collections.abc import Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core import files, jobs
from core.errors import UserError, sentence
from core.evaluation import experiments
from core.evaluation.metrics import ROUGE, rouge_row
from core.evaluation.statistics import contrast, interval
from core.models.cards import ModelCard
from core.settings import settings
from core.training import config as configs
from core.training.config import TrainConfig
from core.training.data import datasets
from tests.helpers import training
from tests.helpers.isolation import add_card, data_dir

ROWS = 4


def fake_run(run_id: str, adapter: Path, model: str = "tiny") -> None:
    """A finished run with a ready adapter, as the run store keeps it."""
    folder = settings().runs_dir / run_id
    copytree(adapter, folder / "adapter")
    configs.save(TrainConfig(dataset="d", model=model), folder / "config.toml")
    jobs.create(folder, step=1, steps=1)
    jobs.update(folder, status=jobs.FINISHED)


def dataset(folder: Path) -> Path:
    return training.dataset_file(folder, 10 * ROWS)


@pytest.fixture(scope="module")
def finished(
    tiny_model_dir: Path, tiny_adapters: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """A comparison of base and one adapter that ran to its end, as ``show`` gives it, with its folder."""
    root = tmp_path_factory.mktemp("experiment")
    with data_dir(root):
        add_card("tiny", "generate", tiny_model_dir)
        fake_run("run-a", tiny_adapters[0])
        found = experiments.start(str(dataset(root)), ["base", "run-a"])
        state = jobs.wait(experiments.folder(found))
        assert state["status"] == jobs.FINISHED, files.tail(experiments.folder(found) / "log.txt", 40)
        shown = {**experiments.show(found), "folder": experiments.folder(found)}
    yield shown


def test_every_row_is_answered_by_every_arm(finished: dict[str, Any], tmp_path: Path) -> None:
    test_rows = datasets.load(str(dataset(tmp_path))).test
    assert finished["count"] == len(test_rows) == ROWS
    assert [(row["input"], row["reference"]) for row in finished["answers"]] == [
        (row["input"], row["output"]) for row in test_rows
    ]
    assert all(set(row["answers"]) == {"base", "run-a"} for row in finished["answers"])
    assert (finished["done"], finished["total"]) == (2 * ROWS, 2 * ROWS)


def test_the_arms_answer_as_they_would_alone(
    finished: dict[str, Any], tiny_card: ModelCard, tiny_adapters: list[Path]
) -> None:
    from core.generation.engine import Engine, Options, Request
    from core.generation.prompts import conversation

    row = finished["answers"][1]
    for name, adapter in (("base", None), ("run-a", tiny_adapters[0])):
        options = Options(max_new_tokens=32)
        request = Request(conversation(row["input"]), adapter)
        assert Engine().submit("tiny", [request], options).result()[0].text == row["answers"][name]["text"]
    assert row["answers"]["base"]["text"] != row["answers"]["run-a"]["text"]


def test_each_answer_is_scored_against_its_reference(finished: dict[str, Any]) -> None:
    for row in finished["answers"]:
        for answer in row["answers"].values():
            assert answer["scores"] == pytest.approx(rouge_row(answer["text"], row["reference"]))


def test_results_have_the_shape_the_command_line_promises(finished: dict[str, Any]) -> None:
    report = experiments.results(finished)
    assert set(report) == {"experiment", "rows", "arms", "contrasts"}
    assert (report["experiment"], report["rows"]) == (finished["id"], ROWS)
    assert [arm["name"] for arm in report["arms"]] == ["base", "run-a"]
    for arm in report["arms"]:
        assert set(arm) == {"name", "model", "adapter", "rag", "strategy", "scores", "seconds"}
        assert set(arm["scores"]) == set(ROUGE)
        assert all({"mean", "low", "high"} <= set(score) for score in arm["scores"].values())
        assert (arm["model"], arm["rag"], arm["strategy"]) == ("tiny", False, "zero-shot")
        assert arm["seconds"] > 0
    assert [arm["adapter"] for arm in report["arms"]] == [None, "run-a"]
    assert [(c["a"], c["b"], c["metric"]) for c in report["contrasts"]] == [("base", "run-a", m) for m in ROUGE]
    for difference in report["contrasts"]:
        counted = {"helped", "hurt", "unchanged"}
        assert set(difference) == {"a", "b", "metric", "delta", "low", "high", "p", "n"} | counted


def made_up(scores: dict[str, list[float | None]]) -> dict[str, Any]:
    """An experiment as ``show`` gives it; None: not answered yet."""
    count = len(next(iter(scores.values())))
    rows: list[dict[str, Any]] = [{"answers": {}} for _ in range(count)]
    for name, values in scores.items():
        for row, value in zip(rows, values, strict=True):
            if value is not None:
                row["answers"][name] = {"scores": dict.fromkeys(ROUGE, value), "seconds": 2.0}
    arms = [{"adapter": "" if name == "base" else name, "rag": False, "path": ""} for name in scores]
    return {"id": "x", "model": "tiny", "arms": arms, "answers": rows}


def test_results_are_the_means_and_paired_differences_of_the_scores() -> None:
    base, better = [0.1, 0.2, 0.3, 0.4], [0.3, 0.5, 0.4, 0.6]
    report = experiments.results(made_up({"base": base, "b": better}))
    assert report["arms"][1]["scores"]["rougeL"] == interval(better)
    assert report["contrasts"][2] == {"a": "base", "b": "b", "metric": "rougeL", **contrast(base, better)}
    assert report["arms"][0]["seconds"] == 2.0


def test_a_row_that_one_arm_has_not_answered_counts_for_none() -> None:
    """Else an arm that was asked the easy rows only would win."""
    report = experiments.results(made_up({"base": [0.1, 0.9, 0.2], "b": [0.1, None, 0.2]}))
    assert report["rows"] == 2
    assert report["arms"][0]["scores"]["rougeL"]["mean"] == pytest.approx(0.15)


def test_before_the_first_answer_there_are_no_scores() -> None:
    report = experiments.results(made_up({"base": [None], "b": [None]}))
    assert report["contrasts"] == []
    assert [(arm["scores"], arm["seconds"]) for arm in report["arms"]] == [({}, None)] * 2


def test_one_row_alone_can_be_compared() -> None:
    report = experiments.results(made_up({"base": [0.1], "b": [0.5]}))
    assert report["contrasts"][0]["p"] == 1.0


def test_a_worker_started_again_asks_only_what_is_missing(finished: dict[str, Any], tiny_card: ModelCard) -> None:
    """One row whole, one with an arm missing, the others not asked: the first is kept, the others asked."""
    folder = copytree(finished["folder"], settings().experiments_dir / finished["folder"].name)
    lines = list(files.read_jsonl(folder / "answers.jsonl"))
    whole, half = lines[0]["row"], next(line["row"] for line in lines if line["row"] != lines[0]["row"])
    kept = [line for line in lines if line["row"] == whole] + [line for line in lines if line["row"] == half][:1]
    (folder / "answers.jsonl").unlink()
    for line in kept:
        files.append_jsonl(folder / "answers.jsonl", {**line, "text": "kept"} if line["row"] == whole else line)
    adapters = files.read_json(folder / "inputs.json")
    copytree(adapters["arms"][1]["path"], settings().runs_dir / "run-a" / "adapter")
    files.write_json(folder / "state.json", {**files.read_json(folder / "state.json"), "status": jobs.INTERRUPTED})
    experiments.resume(folder.name)
    state = jobs.wait(folder)
    assert state["status"] == jobs.FINISHED, sentence(state.get("error"))
    shown = experiments.show(folder.name)
    assert all(set(row["answers"]) == {"base", "run-a"} for row in shown["answers"])
    assert [answer["text"] for answer in shown["answers"][whole]["answers"].values()] == ["kept", "kept"]
    for mine, before in zip(shown["answers"], finished["answers"], strict=True):
        if mine is not shown["answers"][whole]:
            assert {n: a["text"] for n, a in mine["answers"].items()} == {
                n: a["text"] for n, a in before["answers"].items()
            }
    again = sum(line["row"] == whole for line in files.read_jsonl(folder / "answers.jsonl"))
    assert again == 2, "the whole row was asked a second time"


def test_the_summary_is_without_rows_and_the_list_newest_first(finished: dict[str, Any]) -> None:
    for name in ("20260101-000000-a-0000", "20260102-000000-a-0000"):
        copytree(finished["folder"], settings().experiments_dir / name)
    assert [row["id"] for row in experiments.listing()] == ["20260102-000000-a-0000", "20260101-000000-a-0000"]
    assert "rows" not in experiments.listing()[0]
    experiments.delete("20260101-000000-a-0000")
    assert len(experiments.listing()) == 1
    with pytest.raises(UserError, match="There is no"):
        experiments.delete("..")


def test_runs_of_different_base_models_are_not_compared(
    tiny_card: ModelCard, tiny_model_dir: Path, tiny_adapters: list[Path], tmp_path: Path
) -> None:
    add_card("other", "generate", tiny_model_dir)
    fake_run("run-a", tiny_adapters[0])
    fake_run("run-b", tiny_adapters[1], "other")
    for models, model in ((["run-a", "run-b"], ""), (["base", "run-b"], "tiny")):
        with pytest.raises(UserError, match="different base models"):
            experiments.start(str(dataset(tmp_path)), models, model=model)
    assert experiments.listing() == []


def test_what_cannot_be_compared_is_refused_before_anything_is_written(tiny_card: ModelCard, tmp_path: Path) -> None:
    path = str(dataset(tmp_path))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"dataset": path, "models": []}, "nothing to compare"),
        ({"dataset": path, "models": ["no-such-run"]}, "There is no"),
        ({"dataset": path, "rag": [True]}, "No knowledge base was named"),
        ({"dataset": path, "rag": [True], "kb": "nowhere"}, "no knowledge base “nowhere”"),
        ({"dataset": "nowhere"}, "no data set"),
    ]
    for arguments, words in cases:
        with pytest.raises(UserError, match=words):
            experiments.start(**arguments)
    assert experiments.listing() == []


def test_passages_are_retrieved_first_and_read_by_the_arms_with_a_knowledge_base(
    tiny_card: ModelCard, tiny_embedder: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.evaluation import worker
    from core.rag import knowledge

    (tmp_path / "docs").mkdir()
    asked = [json.loads(line)["input"] for line in dataset(tmp_path).read_text("utf-8").splitlines()]
    text = "\n\n".join(f"# {number}\n\n{question}" for number, question in enumerate(asked))
    (tmp_path / "docs" / "a.md").write_text(text, "utf-8")
    knowledge.build("animals", [tmp_path / "docs"])
    launched: list[Path] = []
    monkeypatch.setattr(jobs, "launch", lambda module, folder: launched.append(folder))
    found = experiments.start(str(dataset(tmp_path)), ["base"], "animals", [False, True], limit=2)
    inputs = files.read_json(launched[0] / "inputs.json")
    assert launched == [experiments.folder(found)]
    assert [experiments.arm_name(arm) for arm in inputs["arms"]] == ["base", "base+kb"]
    assert len(inputs["rows"]) == 2
    assert all(len(row["passages"]) == tiny_card.passages for row in inputs["rows"])
    for tags in (False, True):  # as the model's card has it, like in Chat
        without, with_kb = (
            worker._request(inputs["rows"][0], arm, tags).messages[0]["content"] for arm in inputs["arms"]
        )
        assert without == inputs["rows"][0]["input"]
        assert all(passage["text"] in with_kb for passage in inputs["rows"][0]["passages"])
        assert ("【1】a.md" in with_kb) is tags
