"""Comparisons end to end on a tiny model: frozen inputs, a worker that does not repeat itself, nothing asked twice."""

import json
import math
from collections.abc import Iterable, Iterator
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core import files, jobs
from core.errors import UserError, sentence
from core.evaluation import experiments, grid, lengths, worker
from core.evaluation.freezing import Plan
from core.evaluation.metrics import rouge_row
from core.evaluation.results import results
from core.generation import strategies, templates
from core.models import cards
from core.models.cards import ModelCard
from core.settings import settings
from core.training.data import datasets
from tests.helpers import training
from tests.helpers.experiments import fake_run, work_here
from tests.helpers.isolation import add_card, data_dir
from tests.helpers.jobs import kill
from tests.helpers.likelihood import alone
from tests.helpers.waiting import eventually

ROWS = 4
STRATEGIES = ("zero-shot", "few-shot", "cot")
ARMS = [adapter + how for adapter in ("base", "run-a") for how in ("", "+few-shot", "+cot")]


def dataset(folder: Path) -> Path:
    return training.dataset_file(folder, 10 * ROWS)


@pytest.fixture(scope="module")
def finished(
    tiny_model_dir: Path, tiny_adapters: list[Path], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[dict[str, Any]]:
    """A comparison of base and one adapter under three strategies that ran to its end, as ``show`` gives it."""
    root = tmp_path_factory.mktemp("experiment")
    with data_dir(root), pytest.MonkeyPatch.context() as patch:
        work_here(patch)
        add_card("tiny", "generate", tiny_model_dir)
        fake_run("run-a", tiny_adapters[0])
        found = experiments.start(Plan(str(dataset(root)), ["base", "run-a"], strategies=STRATEGIES))
        folder = experiments.folder(found)
        assert jobs.state(folder)["status"] == jobs.FINISHED
        shown = {**experiments.show(found), "folder": folder, "inputs": files.read_json(folder / "inputs.json")}
    yield shown


def test_every_row_is_answered_by_every_arm(finished: dict[str, Any], tmp_path: Path) -> None:
    test_rows = datasets.load(str(dataset(tmp_path))).test
    assert finished["count"] == len(test_rows) == ROWS
    assert [(row["input"], row["reference"]) for row in finished["answers"]] == [
        (row["input"], row["output"]) for row in test_rows
    ]
    assert all(set(row["answers"]) == set(ARMS) for row in finished["answers"])
    assert (finished["done"], finished["total"]) == (6 * ROWS, 6 * ROWS)
    assert finished["eta"] == 0
    assert files.read_json(finished["folder"] / "results.json") == results(finished)


def test_the_arms_answer_as_they_would_alone(
    finished: dict[str, Any], tiny_card: ModelCard, tiny_adapters: list[Path]
) -> None:
    """Batches of rows, adapters and prompts of different length, against one request at a time: greedy, so the same."""
    from core.generation.engine import Engine, Options, Request
    from core.generation.prompts import conversation

    engine = Engine()
    for row in finished["answers"][:2]:
        for name in ARMS:
            how = name.partition("+")[2] or "zero-shot"
            options = Options(max_new_tokens=32 + (lengths.REASONING if how == "cot" else 0))
            adapter = tiny_adapters[0] if name.startswith("run-a") else None
            request = Request(conversation(row["prompts"][how]), adapter)
            alone = engine.submit("tiny", [request], options).result()[0].text
            said = strategies.extract(templates.load(how), alone)
            assert (said.answer, said.reasoning) == tuple(row["answers"][name][part] for part in ("text", "reasoning"))
        assert row["answers"]["base"]["text"] != row["answers"]["run-a"]["text"]


def test_each_answer_is_measured_against_its_reference(finished: dict[str, Any]) -> None:
    for row in finished["answers"]:
        for answer in row["answers"].values():
            rouge = rouge_row(answer["text"], row["reference"])
            assert {name: answer["scores"][name] for name in rouge} == pytest.approx(rouge)
            assert answer["scores"]["exact"] == float(answer["text"] == row["reference"])
            assert answer["scores"]["length"] == answer["tokens"]


def test_perplexity_is_that_of_the_reference_after_the_arms_own_prompt(
    finished: dict[str, Any], tiny_model_dir: Path, tiny_adapters: list[Path]
) -> None:
    """Against one pass a row of a model of its own; a chain of thought has none."""
    for row in finished["answers"][:2]:
        for name in ("base", "base+few-shot", "run-a"):
            adapter = tiny_adapters[0] if name.startswith("run-a") else None
            prompt = row["prompts"][name.partition("+")[2] or "zero-shot"]
            found = alone(tiny_model_dir, prompt, row["reference"], adapter)
            assert row["answers"][name]["log_probabilities"] == pytest.approx(found, abs=1e-3)
            wanted = math.exp(-sum(found) / len(found))
            assert row["answers"][name]["scores"]["perplexity"] == pytest.approx(wanted, rel=1e-2)
        assert "perplexity" not in row["answers"]["base+cot"]["scores"]
    scores = {arm["name"]: arm["scores"] for arm in results(finished)["arms"]}
    losses = [one for row in finished["answers"] for one in row["answers"]["run-a"]["log_probabilities"]]
    assert scores["run-a"]["perplexity"]["mean"] == pytest.approx(math.exp(-sum(losses) / len(losses)))


def test_prompts_are_whole_and_their_examples_come_from_the_train_rows(
    finished: dict[str, Any], tmp_path: Path
) -> None:
    known = {(row["input"], row["output"]) for row in datasets.load(str(dataset(tmp_path))).train}
    for row in finished["answers"]:
        shown = [(example["question"], example["answer"]) for example in row["examples"]["few-shot"]]
        assert len(shown) == 3
        assert set(shown) <= known
        assert row["prompts"]["zero-shot"] == row["input"]
        assert all(question in row["prompts"]["few-shot"] for question, _ in shown)
        assert row["prompts"]["few-shot"].endswith(row["input"])
        assert row["prompts"]["cot"].startswith(row["input"])


def test_weights_and_versions_are_kept(finished: dict[str, Any], tiny_model_dir: Path) -> None:
    import hashlib

    digest = hashlib.sha256((tiny_model_dir / "model.safetensors").read_bytes()).hexdigest()
    assert finished["files"] == {"model.safetensors": digest}
    assert set(finished["versions"]) >= {"torch", "transformers", "peft"}
    assert all(arm["sha256"] for arm in finished["arms"] if arm["adapter"])
    assert finished["overlap_unknown"] == ["run-a"], "this run has no training rows"


def batches_of(finished: dict[str, Any]) -> list[list[worker.Ask]]:
    fit = lengths.of(cards.card("tiny"), finished["inputs"]["rows"])
    assert fit and fit.answer == 32
    found, too_long = worker.batches(finished["inputs"], fit)
    assert not too_long
    assert all(len(batch) * (fit.tokens(batch[-1].prompt) + batch[0].tokens) <= worker.ROOM for batch in found)
    assert all(of == sorted(of) for of in ([fit.tokens(ask.prompt) for ask in batch] for batch in found))
    return found


def test_batches_hold_prompts_of_like_length_and_of_all_arms(
    finished: dict[str, Any], tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = batches_of(finished)
    assert sorted(ask.key for batch in found for ask in batch) == [
        (row, n, 0) for row in range(ROWS) for n in sorted(ARMS)
    ]
    assert all(len({ask.tokens for ask in batch}) == 1 for batch in found)
    monkeypatch.setattr(worker, "ROOM", 1000)
    assert len(batches_of(finished)) > len(found)
    assert {grid.name(ask.arm) for ask in found[0]} == {name for name in ARMS if "cot" not in name}


def copied(finished: dict[str, Any]) -> Path:
    """The comparison in this test's own data directory, with its adapter."""
    folder = copytree(finished["folder"], settings().experiments_dir / finished["folder"].name)
    adapter = copytree(finished["arms"][-1]["path"], settings().runs_dir / "run-a" / "adapter")
    inputs = finished["inputs"]
    arms = [{**arm, "path": str(adapter)} if arm["path"] else arm for arm in inputs["arms"]]
    files.write_json(folder / "inputs.json", {**inputs, "arms": arms})
    files.write_json(folder / "state.json", {**files.read_json(folder / "state.json"), "status": jobs.INTERRUPTED})
    return folder


def test_a_worker_started_again_asks_only_what_is_missing(
    finished: dict[str, Any], tiny_card: ModelCard, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half a batch is there: its lines stay as they are, the others come, and are what they were."""
    work_here(monkeypatch)
    folder = copied(finished)
    lines = list(files.read_jsonl(folder / "answers.jsonl"))
    (folder / "answers.jsonl").unlink()
    for line in lines[:5]:
        files.append_jsonl(folder / "answers.jsonl", {**line, "text": "kept"})
    experiments.resume(folder.name)
    assert jobs.state(folder)["status"] == jobs.FINISHED, sentence(jobs.state(folder).get("error"))
    again = list(files.read_jsonl(folder / "answers.jsonl"))
    assert [(line["row"], line["arm"]) for line in again] == [(line["row"], line["arm"]) for line in lines]
    assert [line["text"] for line in again] == ["kept"] * 5 + [line["text"] for line in lines[5:]]


def test_an_adapter_that_changed_meanwhile_is_not_asked(
    finished: dict[str, Any], tiny_card: ModelCard, tiny_adapters: list[Path]
) -> None:
    folder = copied(finished)
    weights = settings().runs_dir / "run-a" / "adapter" / "adapter_model.safetensors"
    weights.write_bytes((tiny_adapters[1] / "adapter_model.safetensors").read_bytes())
    with pytest.raises(UserError, match="run-a is not what it was"):
        worker.run(folder, files.read_json(folder / "inputs.json"))


def test_killed_in_the_middle_and_resumed_every_row_is_there_once_with_the_same_figures(
    tiny_card: ModelCard, tiny_adapters: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake_run("run-a", tiny_adapters[0])
    plan = Plan(str(training.dataset_file(tmp_path, 400)), ["base", "run-a"])
    found = experiments.start(plan)
    folder = experiments.folder(found)
    try:
        eventually(lambda: list(files.read_jsonl(folder / "answers.jsonl")), 300)
    finally:
        kill(folder)
    before = list(files.read_jsonl(folder / "answers.jsonl"))
    assert jobs.state(folder)["status"] == jobs.INTERRUPTED
    assert 0 < len(before) < 80
    work_here(monkeypatch)
    experiments.resume(found)
    lines = list(files.read_jsonl(folder / "answers.jsonl"))
    assert lines[: len(before)] == before
    assert sorted((line["row"], line["arm"]) for line in lines) == [
        (row, arm) for row in range(40) for arm in ("base", "run-a")
    ]
    whole = experiments.show(experiments.start(plan))
    for mine, other in zip(experiments.show(found)["answers"], whole["answers"], strict=True):
        for arm in ("base", "run-a"):
            kept = [{k: v for k, v in answers["answers"][arm].items() if k not in ("seconds", "parts", "scores")}
                    for answers in (mine, other)]  # fmt: skip
            assert kept[0] == kept[1]


def said(lines: Iterable[dict[str, Any]]) -> list[tuple[int, int, str]]:
    return sorted((line["seed"], line["row"], line["text"]) for line in lines)


def test_answers_are_drawn_with_several_seeds_and_a_resumed_comparison_draws_the_same(
    tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work_here(monkeypatch)
    found = experiments.start(Plan(str(dataset(tmp_path)), limit=2, temperature=1.5, repeats=3, seed=7))
    folder = experiments.folder(found)
    shown = experiments.show(found)
    assert (shown["done"], shown["total"]) == (6, 6)
    for row in shown["answers"]:
        drawn = row["answers"]["base"]["repeats"]
        assert [one["seed"] for one in drawn] == [7, 8, 9]
        assert len({one["text"] for one in drawn}) == 3
        mean = sum(one["scores"]["rougeL"] for one in drawn) / 3
        assert row["answers"]["base"]["scores"]["rougeL"] == pytest.approx(mean)
        assert [bool(one["log_probabilities"]) for one in drawn] == [True, False, False]
    report = results(shown)
    assert report["stability"]["arms"]["base"]["same"] == 0.0
    assert {"rougeL", "exact"} <= report["stability"]["arms"]["base"]["metrics"].keys()
    assert "perplexity" in report["arms"][0]["scores"]

    lines = list(files.read_jsonl(folder / "answers.jsonl"))
    (folder / "answers.jsonl").unlink()
    files.append_jsonl(folder / "answers.jsonl", lines[3])
    assert experiments.show(found)["answers"][0]["answers"] == {}, "a row without all its seeds is not there yet"
    files.write_json(folder / "state.json", {**files.read_json(folder / "state.json"), "status": jobs.STOPPED})
    experiments.resume(found)
    assert said(files.read_jsonl(folder / "answers.jsonl")) == said(lines)
    likeliest = experiments.start(Plan(str(dataset(tmp_path)), limit=1, temperature=1.5, top_p=0.01, repeats=2))
    [row] = experiments.show(likeliest)["answers"]
    assert len({one["text"] for one in row["answers"]["base"]["repeats"]}) == 1, "drawn from one token alone"


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
            experiments.start(Plan(str(dataset(tmp_path)), models, model=model))
    assert experiments.listing() == []


def test_what_cannot_be_compared_is_refused_before_anything_is_written(tiny_card: ModelCard, tmp_path: Path) -> None:
    path = str(dataset(tmp_path))
    cases: list[tuple[dict[str, Any], str]] = [
        ({"dataset": path, "models": []}, "nothing to compare"),
        ({"dataset": path, "models": ["no-such-run"]}, "There is no"),
        ({"dataset": path, "rag": [True]}, "No knowledge base was named"),
        ({"dataset": path, "rag": [True], "kb": "nowhere"}, "no knowledge base “nowhere”"),
        ({"dataset": path, "strategies": ["guess"]}, "There is no"),
        ({"dataset": "nowhere"}, "no data set"),
    ]
    for arguments, words in cases:
        with pytest.raises(UserError, match=words):
            experiments.start(Plan(**arguments))
    assert experiments.listing() == []


def test_passages_are_retrieved_first_and_read_by_the_arms_with_a_knowledge_base(
    tiny_card: ModelCard, tiny_embedder: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from core.rag import knowledge

    (tmp_path / "docs").mkdir()
    rows = [json.loads(line) for line in dataset(tmp_path).read_text("utf-8").splitlines()]
    known = "".join(json.dumps({**row, "references": ["a fox"], "source": "a.md"}) + "\n" for row in rows)
    (tmp_path / "known.jsonl").write_text(known, "utf-8")
    text = "\n\n".join(f"# {number}\n\n{row['input']}" for number, row in enumerate(rows))
    (tmp_path / "docs" / "a.md").write_text(text, "utf-8")
    knowledge.build("animals", [tmp_path / "docs"])
    work_here(monkeypatch)
    found = experiments.start(Plan(str(tmp_path / "known.jsonl"), ["base"], "animals", [False, True], limit=2))
    shown = experiments.show(found)
    assert [grid.name(arm) for arm in shown["arms"]] == ["base", "base+kb"]
    assert shown["embedder"] == tiny_embedder.name
    assert shown["count"] == 2
    for row in shown["answers"]:
        assert len(row["passages"]) == tiny_card.passages
        assert row["prompts"]["zero-shot"] == row["input"]
        assert all(passage["text"] in row["prompts"]["zero-shot+kb"] for passage in row["passages"])
        without, with_kb = row["answers"]["base"], row["answers"]["base+kb"]
        assert (without["sources"], with_kb["sources"]) == (None, ["a.md"] * tiny_card.passages)
        assert all(isinstance(answer["supported"], list) for answer in (without, with_kb))
        assert row["expected"]["references"] == [row["reference"], "a fox"]
        assert row["expected"]["sources"] == ["a.md"]
        assert "retrieval_hit" not in without["scores"] and with_kb["scores"]["retrieval_hit"] == 1.0


def test_with_a_knowledge_base_a_row_is_asked_without_the_passage_it_brings(
    tiny_card: ModelCard, tiny_embedder: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the arm without would read the right passage, and the one with would read it and others."""
    from core.rag import knowledge

    rows = [
        {"context": f"Llama {n} lives on hill {n} and carries {n + 3} sacks.", "question": f"Where is llama {n}?",
         "answer": f"on hill {n}"}
        for n in range(20)
    ]  # fmt: skip
    (tmp_path / "qa.jsonl").write_text("\n".join(map(json.dumps, rows)), "utf-8")
    (tmp_path / "hills.md").write_text("\n\n".join(str(row["context"]) for row in rows), "utf-8")
    knowledge.build("hills", [tmp_path / "hills.md"])
    monkeypatch.setattr(jobs, "launch", lambda module, folder: 0)
    for rag, wanted in (([False], "Background: Llama"), ([False, True], "Where is llama")):
        plan = Plan(str(tmp_path / "qa.jsonl"), kb="hills", rag=rag, limit=1)
        [row] = experiments.show(experiments.start(plan))["answers"]
        assert row["prompts"]["zero-shot"].startswith(wanted)
        assert ("context" in row) is (rag == [False])


def test_test_rows_that_stand_in_the_training_rows_are_named(
    tiny_card: ModelCard, tiny_adapters: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ten test rows copied into what a run was trained on: all ten are found, and no other."""
    data = datasets.load(str(training.dataset_file(tmp_path, 240)))
    fake_run("run-a", tiny_adapters[0])
    leaked = [3, 5, 6, 9, 10, 14, 15, 18, 20, 23]
    train = [*data.train, *(data.test[number] for number in leaked)]
    datasets.write(settings().runs_dir / "run-a" / "data", datasets.Dataset("d", train, data.test))
    monkeypatch.setattr(jobs, "launch", lambda module, folder: 0)
    found = experiments.show(experiments.start(Plan(str(tmp_path / "animals.jsonl"), ["base", "run-a"])))
    assert [(one["row"], one["adapter"], one["where"]) for one in found["overlap"]] == [
        (number, "run-a", "train") for number in leaked
    ]
    assert [one["text"] for one in found["overlap"]] == [data.test[number]["input"] for number in leaked]
    assert found["overlap_unknown"] == []
