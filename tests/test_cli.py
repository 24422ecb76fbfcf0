"""The command line as others script against it: one JSON object, words on stderr, exit codes."""

import io
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from core import cli, jobs
from core.models import store
from core.models.cards import ModelCard
from core.settings import ROOT, settings
from tests.helpers import training
from tests.helpers.isolation import add_hub_card
from tests.helpers.stub_hub import StubHub
from tests.helpers.waiting import eventually


def run(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """``python -m core …`` in a process of its own, as a person runs it."""
    done = subprocess.run(
        [sys.executable, "-m", "core", *arguments], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


def here(*arguments: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    """The same in this process, from the command line's own entry on, for what is not about the process."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.setattr(sys, "argv", ["core", *arguments])
        with pytest.raises(SystemExit) as ended:
            cli.run()
    assert ended.value.code == code, err.getvalue()
    return subprocess.CompletedProcess(sys.argv, code, out.getvalue(), err.getvalue())


def quick(*arguments: str) -> Any:
    """Its JSON, in this process."""
    result: Result = CliRunner().invoke(cli.app, [*arguments, "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_json_is_one_object_and_nothing_else(tiny_card: ModelCard) -> None:
    done = run("models", "list", "--json")
    rows = {row["name"]: row for row in json.loads(done.stdout)["models"]}
    assert rows["tiny"] == {
        "name": "tiny",
        "title": "Tiny tiny",
        "task": "generate",
        "parameters": 1000,
        "size": 1000000,
        "disk": store.disk_use(tiny_card),
        "license": "none",
        "state": "ready",
        "source": f"path:{tiny_card.sources[0].id}",
    }
    assert rows["Yuan2-2B-Mars"]["state"] == "not downloaded"
    assert done.stderr == ""


def test_a_persons_mistake_is_two_lines_on_stderr_and_exit_code_two() -> None:
    done = run("runs", "show", "nowhere", "--json", code=2)
    assert done.stdout == ""
    assert done.stderr.splitlines() == [
        "error: There is no “nowhere” here.",
        "hint: Look at the list for the names that exist.",
    ]


def test_a_failure_of_ours_is_said_so_with_exit_code_one(tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sitecustomize.py").write_text(
        "import core.models.store as s\ndef boom(*a): raise RuntimeError('boom')\ns.default_generator = boom\n", "utf-8"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(broken), str(ROOT)])}
    command = [sys.executable, "-m", "core", "doctor", "--json"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    assert "error: This is our fault, not yours: RuntimeError: boom" in done.stderr.splitlines()


def test_every_command_says_how_it_is_used() -> None:
    def walk(command: Any, words: list[str]) -> Iterator[list[str]]:
        yield words
        for name, part in getattr(command, "commands", {}).items():
            yield from walk(part, [*words, name])

    commands = list(walk(typer.main.get_command(cli.app), []))
    assert ["data", "add"] in commands
    for words in commands:
        assert "Usage: " in here(*words, "--help").stdout, words


def test_a_wrong_option_is_a_persons_mistake_too() -> None:
    assert "No such option" in here("doctor", "--nonsense", code=2).stderr


def test_doctor_tells_hardware_versions_and_what_is_missing(tiny_card: ModelCard) -> None:
    report = quick("doctor")
    assert set(report) == {"hardware", "versions", "data_dir", "models", "default_model", "missing"}
    assert report["hardware"]["cores"] >= 1
    assert report["data_dir"] == str(settings().data_dir)
    assert report["default_model"] == "tiny"
    assert report["versions"]["torch"]
    assert {"model SmolLM2-135M-Instruct", "model multilingual-e5-small"} <= set(report["missing"])
    text = CliRunner().invoke(cli.app, ["doctor"], catch_exceptions=False).stdout
    assert "model SmolLM2-135M-Instruct" in text
    assert "answers   tiny" in text


def test_a_model_is_downloaded_followed_and_removed(stub_hub: StubHub) -> None:
    add_hub_card("small", "o/small", "modelscope")

    def state() -> str:
        return next(row for row in quick("models", "list")["models"] if row["name"] == "small")["state"]

    stub_hub.models["o/small"] = {"config.json": b"{}", "model.safetensors": b"weights"}
    assert state() == "not downloaded"
    done = run("models", "download", "small")
    assert done.stdout == f"small: {settings().models_dir / 'small'}\n"
    assert state() == "ready"
    here("models", "remove", "small")
    assert state() == "not downloaded"
    assert "is not on this disk" in here("models", "remove", "small", code=2).stderr


def test_a_download_that_fails_says_why(stub_hub: StubHub) -> None:
    add_hub_card("small", "o/none", "modelscope")
    done = here("models", "download", "small", code=2)
    assert done.stderr.splitlines() == [
        "error: There is no model o/none on ModelScope, or not in the revision –.",
        "hint: Check the name and revision in the card.",
    ]
    add_hub_card("both", "o/none", "modelscope", "huggingface")
    said = here("models", "download", "both", code=2).stderr.splitlines()
    assert said[0].startswith("modelscope:o/none: There is no model o/none on ModelScope")
    assert said[1].startswith("huggingface:o/none: There is no model o/none on Hugging Face")
    assert said[2].startswith("error: Tiny both could not be fetched from any of its 2 sources.")


def test_ctrl_c_stops_a_download_which_can_be_gone_on_with(stub_hub: StubHub) -> None:
    add_hub_card("small", "o/small", "modelscope")
    stub_hub.models["o/small"] = {"config.json": b"{}", "model.safetensors": bytes(500_000)}
    stub_hub.hold["model.safetensors"] = 200_000
    command = [sys.executable, "-m", "core", "models", "download", "small"]
    following = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)
    eventually(lambda: stub_hub.sent().get("model.safetensors") == 200_000)
    following.send_signal(signal.SIGINT)
    _, errors = following.communicate(timeout=60)
    assert following.returncode == 130
    assert errors.splitlines() == ["error: Stopped.", "hint: Go on with: python -m core models download small"]
    rows = {row["name"]: row["state"] for row in quick("models", "list")["models"]}
    assert rows["small"] == "partial"
    here("models", "remove", "small")


def test_nothing_yet_is_an_empty_list() -> None:
    assert quick("runs", "list") == {"runs": []}
    rows = quick("kb", "list")["knowledge_bases"]
    assert [(row["name"], row["shipped"], row["ready"]) for row in rows] == [
        ("guangzhou", True, False),
        ("llama2", True, False),
    ]


def test_a_knowledge_base_is_built_searched_scored_and_removed(tiny_embedder: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("A llama carries loads.", "utf-8")
    (tmp_path / "b.md").write_text("广州塔在广州。", "utf-8")
    (tmp_path / "qa.jsonl").write_text('{"question": "A llama carries loads.", "source": "a.md"}\n', "utf-8")
    built = CliRunner().invoke(cli.app, ["kb", "build", "库", str(tmp_path / "a.md"), str(tmp_path / "b.md")])
    assert built.stdout == "库: 2 documents, 2 chunks\n"
    found = quick("kb", "search", "库", "A llama carries loads.", "--top-k", "1")["results"]
    assert len(found) == 1
    assert (found[0]["source"], found[0]["text"]) == ("a.md", "A llama carries loads.")
    assert set(found[0]["ranks"]) == {"dense", "lexical", "fused", "rerank"}
    narrow = quick("kb", "search", "库", "What is a llama?", "--no-dense", "--no-rerank", "--width", "1", "--stages")
    (candidate,) = narrow["candidates"]
    assert [stage for stage, rank in candidate["ranks"].items() if rank] == ["lexical", "fused"]
    assert "hint: Leave one of" in here("kb", "search", "库", "x", "--no-dense", "--no-lexical", code=2).stderr
    report = quick("kb", "eval", "库", str(tmp_path / "qa.jsonl"))
    assert report["stages"]["dense"]["hit@1"] == 1.0
    assert CliRunner().invoke(cli.app, ["kb", "remove", "库"]).exit_code == 0
    assert not any(row["name"] == "库" for row in quick("kb", "list")["knowledge_bases"])


def test_ask_answers_with_its_figures(tiny_card: ModelCard) -> None:
    report = quick("ask", "What is a llama?", "--max-new-tokens", "5")
    assert report["question"] == "What is a llama?"
    (answer,) = report["answers"]
    assert {"rag", "model", "adapter", "text", "tokens", "seconds", "first_token_seconds", "passages"} <= set(answer)
    assert (answer["rag"], answer["model"], answer["adapter"], answer["passages"]) == (False, "tiny", None, [])
    assert 0 < answer["tokens"] <= 5


def test_ask_compares_without_and_with_a_knowledge_base(
    tiny_card: ModelCard, tiny_embedder: ModelCard, tmp_path: Path
) -> None:
    (tmp_path / "a.md").write_text("A llama carries loads.", "utf-8")
    CliRunner().invoke(cli.app, ["kb", "build", "kb", str(tmp_path / "a.md")], catch_exceptions=False)
    answers = quick("ask", "A llama carries loads.", "--kb", "kb", "--compare", "--max-new-tokens", "8")["answers"]
    assert [answer["rag"] for answer in answers] == [False, True]
    assert answers[0]["passages"] == []
    assert answers[1]["passages"][0]["source"] == "a.md"
    assert answers[0]["text"] != answers[1]["text"]


def test_ask_says_that_nothing_was_found_and_answers_without(
    tiny_card: ModelCard, tiny_embedder: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.md").write_text("A llama carries loads.", "utf-8")
    CliRunner().invoke(cli.app, ["kb", "build", "kb", str(tmp_path / "a.md")], catch_exceptions=False)
    monkeypatch.setattr("core.rag.calibration.Prepared.threshold", lambda *_: 9.0)
    words = ["ask", "What is an owl?", "--kb", "kb", "--compare", "--multi-query", "2", "--max-new-tokens", "8"]
    report = quick(*words)
    without, with_kb = report["answers"]
    assert (report["found"], with_kb["passages"], with_kb["text"]) == (False, [], without["text"])
    assert report["queries"][0] == "What is an owl?"
    text = CliRunner().invoke(cli.app, words, catch_exceptions=False).stdout
    assert "Nothing in kb is near enough to this question: answered without passages." in text


@pytest.mark.parametrize("strategy", ["few-shot", "cot"])
def test_ask_puts_the_question_with_a_strategy(tiny_card: ModelCard, strategy: str) -> None:
    """The answer is the engine's to the prompt that an experiment would ask with."""
    from core.evaluation import shots
    from core.generation import prompts, templates
    from core.generation.engine import Engine, Options, Request

    question = "The odd numbers in this group add up to an even number: 3, 5, 8."
    [how] = shots.prepared([templates.load(strategy)], question, "odd-numbers")
    asked = how.prompt(question)
    assert asked != question and (strategy == "cot" or asked.count("Answer:") == 3)
    words = ["--strategy", strategy, "--examples", "odd-numbers", "--max-new-tokens", "8"]
    (answer,) = quick("ask", question, *words)["answers"]
    rows = [Request(prompts.conversation(asked))]
    [expected] = Engine().submit("tiny", rows, Options.of(tiny_card, max_new_tokens=8)).result()
    said = answer["text"] if strategy == "few-shot" else answer["reasoning"] + answer["text"]
    assert answer["strategy"] == strategy and "".join(said.split()) == "".join(expected.text.split())


def test_ask_says_what_is_missing() -> None:
    assert "Add --kb NAME" in here("ask", "Hi", "--compare", code=2).stderr
    assert "Known models" in here("ask", "Hi", "--model", "gpt-9", code=2).stderr


def test_train_compare_export_and_delete(tiny_card: ModelCard, tmp_path: Path) -> None:
    """A person's whole way through fine-tuning; training and comparison are commands in a process of their own."""
    dataset = training.dataset_file(tmp_path)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(
        f'dataset = "{dataset}"\nbatch_size = 2\nmax_length = 64\neval_rows = 2\neval_steps = 2\n', "utf-8"
    )
    done = run("train", str(recipe), "--set", "max_steps=4", "--set", "name=mine", "--wait", "--json")
    report = json.loads(done.stdout)
    assert set(report) == {"run", "status", "train_loss", "eval_loss", "steps", "seconds", "adapter"}
    assert (report["status"], report["steps"]) == ("finished", 4)
    assert Path(report["adapter"], "adapter_config.json").is_file()
    assert report["train_loss"] > 0
    assert report["eval_loss"] > 0
    assert done.stderr == ""

    name = report["run"]
    assert [row["id"] for row in quick("runs", "list")["runs"]] == [name]
    assert [point["step"] for point in quick("runs", "show", name)["metrics"] if "loss" in point] == [1, 2, 3, 4]
    assert len(quick("ask", "Hi", "--adapter", name, "--max-new-tokens", "3")["answers"]) == 1

    out = tmp_path / "out"
    arguments = ["compare", "--dataset", str(dataset), "--models", f"base,{name}", "--limit", "2", "--out", str(out)]
    compared = json.loads(run(*arguments, "--json").stdout)
    assert [arm["name"] for arm in compared["arms"]] == ["base", name]
    assert {"a", "b", "metric", "delta", "low", "high", "p"} <= set(compared["contrasts"][0])
    assert json.loads((out / "results.json").read_text("utf-8")) == compared
    written = {"results.json", "answers.json", "answers.csv", "report.html"}
    assert {path.name for path in out.iterdir()} == written

    target = Path(here("runs", "export", name, str(tmp_path / "mine.zip")).stdout.strip())
    assert target.is_file()
    assert "is finished" in here("runs", "resume", name, code=2).stderr
    assert "not running any more" in here("runs", "stop", name, code=2).stderr
    here("runs", "delete", name, "--yes")  # the comparison still names it
    assert quick("runs", "list") == {"runs": []}


def test_training_that_cannot_start_says_why(tiny_card: ModelCard, tmp_path: Path) -> None:
    assert "hint: Recipes: " in here("train", "nowhere", code=2).stderr
    unknown = here("train", "resume-extraction", "--set", "steps=4", code=2).stderr
    assert "There is no field “steps”" in unknown and "max_steps" in unknown
    assert "x is not NAME=WEIGHT" in here("train", "resume-extraction", "--set", "mixture=x", code=2).stderr
    assert "error: rank = 0: " in here("train", "resume-extraction", "--set", "rank=0", code=2).stderr


def test_a_training_that_fails_says_why(tiny_card: ModelCard, tmp_path: Path) -> None:
    dataset = training.dataset_file(tmp_path)
    (tmp_path / "recipe.toml").write_text(f'dataset = "{dataset}"\ntarget_modules = ["nope"]\n', "utf-8")
    done = here("train", str(tmp_path / "recipe.toml"), "--wait", "--json", code=1)
    assert json.loads(done.stdout)["status"] == "failed"
    assert "error: tiny has no layers named nope." in done.stderr
    assert "hint: Choose among: q_proj" in done.stderr


def test_ctrl_c_ends_the_waiting_alone_and_says_how_to_end_the_run(
    tiny_card: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("core.queue.submit", lambda worker, folder, **state: jobs.create(folder, **state))
    monkeypatch.setattr("core.jobs.wait", interrupted)
    (tmp_path / "recipe.toml").write_text(f'dataset = "{training.dataset_file(tmp_path)}"\n', "utf-8")
    done = here("train", str(tmp_path / "recipe.toml"), "--wait", "--json", code=130)
    [run_id] = [folder.name for folder in settings().runs_dir.iterdir()]
    assert done.stdout == "" and f"hint: End it with: python -m core runs stop {run_id}" in done.stderr


@pytest.mark.parametrize("switch", ["maybe", "on,", ""])
def test_compare_knows_its_switches(switch: str) -> None:
    assert "--rag" in here("compare", "--rag", switch, code=2).stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--seed", "-1"], "--seed"),
        (["--show", ""], "There is no “” here."),  # an empty variable of a script starts no experiment
        (["--resume", ""], "There is no “” here."),
        (["--model", "reader"], "is for another task (embed)"),
        (["--out", "file"], "Could not write"),
    ],
)
def test_compare_refuses_before_anything_is_asked(
    words: list[str], said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny_card: ModelCard
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("kept", "utf-8")
    catalog = {"reader": tiny_card.model_copy(update={"name": "reader", "task": "embed"}), "tiny": tiny_card}
    monkeypatch.setattr("core.models.cards.catalog", lambda: catalog)
    assert said in here("compare", *words, code=2).stderr
    assert not list(settings().experiments_dir.glob("*/state.json"))


@pytest.mark.parametrize("words", [["ask"], ["nosuch"], ["ask", "hi", "--max-new-tokens", "0"], ["ask", " "]])
def test_words_that_do_not_fit_are_an_error_with_a_hint(words: list[str]) -> None:
    said = here(*words, code=2).stderr
    assert said.startswith("error: ") and "hint: " in said and "Traceback" not in said
