"""The answers on the way: by prompt, newest first, unchanged ones together, with the right answer beside them."""

import json
from pathlib import Path

from core import files
from core.training import samples
from tests.helpers import runs as stored

RUN = "20260101-000000-a-0001"


def say(folder: Path, step: int, *texts: str) -> None:
    for prompt, text in zip(("Who?", "Why?"), texts, strict=True):
        files.append_jsonl(folder / "samples.jsonl", {"step": step, "prompt": prompt, "text": text})


def test_answers_are_told_by_prompt_and_read_on() -> None:
    folder = stored.make(RUN)
    (folder / "data").mkdir()
    (folder / "data" / "test.jsonl").write_text(json.dumps({"input": "Who?", "output": "A llama."}) + "\n", "utf-8")
    say(folder, 0, "x", "y")
    assert [prompt.said for prompt in samples.prompts(RUN)] == [[samples.Said("x", 0, 0)], [samples.Said("y", 0, 0)]]
    say(folder, 10, "x", "z")
    say(folder, 20, "A llama.", "z")
    who, why = samples.prompts(RUN)
    assert (who.text, who.expected, why.text, why.expected) == ("Who?", "A llama.", "Why?", "")
    assert who.said == [samples.Said("A llama.", 20, 20), samples.Said("x", 0, 10)]
    assert why.said == [samples.Said("z", 10, 20), samples.Said("y", 0, 0)]


def test_a_resumed_run_takes_back_what_it_will_say_again() -> None:
    folder = stored.make(RUN)
    for step in (0, 10, 20):
        say(folder, step, f"a{step}", f"b{step}")
    assert len(samples.prompts(RUN)[0].said) == 3
    kept = (folder / "samples.jsonl").read_text("utf-8").splitlines(keepends=True)[:2]
    files.write_text(folder / "samples.jsonl", "".join(kept))
    say(folder, 10, "c", "d")
    assert [said.text for said in samples.prompts(RUN)[0].said] == ["c", "a0"]


def test_a_classifiers_answer_has_its_probabilities_and_its_rows_label() -> None:
    folder = stored.make(RUN)
    (folder / "data").mkdir()
    (folder / "data" / "test.jsonl").write_text(json.dumps({"text": "Lovely.", "label": "good"}) + "\n", "utf-8")
    for step, share in ((0, 0.5), (5, 0.9)):
        row = {"step": step, "prompt": "Lovely.", "text": "good", "scores": {"good": share, "bad": 1 - share}}
        files.append_jsonl(folder / "samples.jsonl", row)
    [prompt] = samples.prompts(RUN)
    assert prompt.expected == "good"
    assert prompt.said == [samples.Said("good", 0, 5, {"good": 0.9, "bad": 1 - 0.9})]


def test_a_run_without_answers_has_none() -> None:
    stored.make(RUN)
    assert samples.prompts(RUN) == []
