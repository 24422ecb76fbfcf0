"""Retrieval with the real embedder on the documents that come with the app."""

import json
from pathlib import Path

import pytest

from core.evaluation import retrieval
from core.rag import embedding
from core.rag.retrieval import search
from core.settings import ROOT

pytestmark = pytest.mark.embedded
STARS = {
    "llama2": ("What is Llama 2?", "llama-2.md"),
    "guangzhou": ("介绍一下广州大学", "广州大学.md"),
}


@pytest.mark.parametrize("name", ["llama2", "guangzhou"])
def test_the_right_document_is_among_the_first_three(embedded: Path, name: str) -> None:
    report = retrieval.evaluate(name, ROOT / "knowledge" / f"{name}.qa.jsonl")
    assert report["n"] == len((ROOT / "knowledge" / f"{name}.qa.jsonl").read_text("utf-8").splitlines())
    assert all(report["stages"][stage]["hit@3"]["mean"] >= 0.9 for stage in ("dense", "fused", "rerank"))
    question, source = STARS[name]
    assert search(name, question, 1)[0].source == source


@pytest.mark.parametrize("name", ["llama2", "guangzhou"])
def test_every_question_names_a_document_that_exists(name: str) -> None:
    lines = (ROOT / "knowledge" / f"{name}.qa.jsonl").read_text("utf-8").splitlines()
    documents = {path.name for path in (ROOT / "knowledge" / name).iterdir()}
    assert {json.loads(line)["source"] for line in lines} <= documents
    assert STARS[name][0] in {json.loads(line)["question"] for line in lines}


def test_the_two_sides_are_embedded_with_their_own_prompts(embedded: Path) -> None:
    query, passage = (embedding.embed(["What is Llama 2?"], kind)[0] for kind in ("query", "passage"))
    assert query.shape == (384,)
    assert query @ query == pytest.approx(1, abs=1e-5)
    assert query @ passage < 0.9999
