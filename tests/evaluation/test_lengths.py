"""Prompts that would not fit: passages and examples give way, and a row that is too long stops no comparison."""

from pathlib import Path

import pytest

from core import jobs
from core.errors import sentence
from core.evaluation import experiments, lengths
from core.evaluation.freezing import Plan
from core.evaluation.results import results
from core.generation.prompts import conversation, encode
from core.models import loading, store
from core.models.cards import ModelCard
from core.rag import knowledge
from core.training.data import datasets
from tests.helpers.experiments import work_here

LONG = "llama " * 600
ASKED = "What is it? 请回答。" * 5 + " {}"


def data() -> str:
    """Questions of some 100 tokens, so that not all of three examples fit into 512 positions, and one that does not."""
    rows = [{"input": ASKED.format(n), "output": f"fox {n}"} for n in range(24)]
    return datasets.add("long", rows[:20], [*rows[20:22], {"input": LONG, "output": "dog"}])


def test_passages_and_examples_are_as_many_as_fit_and_a_row_too_long_counts_as_wrong(
    tiny_card: ModelCard, tiny_embedder: ModelCard, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = [ASKED.format(n) + "".join(f" Fox {n} jumps over dog {k}." for k in range(20)) for n in range(20, 24)]
    (tmp_path / "notes.md").write_text("\n\n".join(f"# Part\n\n{part}" for part in parts), "utf-8")
    knowledge.build("notes", [tmp_path / "notes.md"])
    work_here(monkeypatch)
    plan = Plan(data(), kb="notes", rag=[False, True], strategies=["zero-shot", "few-shot"], top_k=4)
    shown = experiments.show(experiments.start(plan))
    assert shown["status"] == jobs.FINISHED, sentence(shown.get("error"))

    tokenizer = loading.load_tokenizer(store.directory(tiny_card), tiny_card)
    fit = lengths.of(tiny_card, shown["answers"])
    assert fit and fit.answer == 32
    for row in shown["answers"][:2]:
        assert row["passages"], "the best passage is there, or its beginning"
        assert 0 < len(row["examples"]["few-shot"]) < 3
        for name, prompt in row["prompts"].items():
            kind = name.removesuffix("+kb")
            tokens = len(encode(tokenizer, conversation(prompt)))
            assert tokens + fit.new_tokens(kind) <= 512, name
            assert fit.fits(prompt, kind)
        for example in row["examples"]["few-shot"]:
            assert example["question"] in row["prompts"]["few-shot"]
            assert example["question"] in row["prompts"]["few-shot+kb"]
        assert all(answer["finish"] in ("end", "length") for answer in row["answers"].values())

    long = shown["answers"][2]
    assert long["input"] == LONG
    assert {(answer["finish"], answer["text"]) for answer in long["answers"].values()} == {("too long", "")}
    for answer in long["answers"].values():
        assert answer["scores"]["exact"] == answer["scores"]["rougeL"] == 0.0
        assert not {"latency", "speed", "length", "perplexity"} & answer["scores"].keys()
    found = results(shown)
    assert found["too_long"] == {arm["name"]: [2] for arm in found["arms"]}
    assert {(arm["scores"]["exact"]["n"], arm["scores"]["latency"]["n"]) for arm in found["arms"]} == {(3, 2)}
