"""Retrieval with the real embedder on the documents that come with the app."""

import json
import shutil
from pathlib import Path

import pytest

from core.evaluation import retrieval
from core.rag import embedding, knowledge
from core.rag.retrieval import Retrieval, Settings, retrieve, search
from core.settings import ROOT

pytestmark = pytest.mark.embedded
STARS = {
    "llama2": ("What is Llama 2?", "llama-2.md"),
    "guangzhou": ("介绍一下广州大学", "广州大学.md"),
}


@pytest.fixture
def bases(embedded: Path, shipped_bases: Path) -> None:
    """This test's own copy of the shipped bases."""
    shutil.copytree(shipped_bases, embedded / "kb")


@pytest.mark.usefixtures("bases")
@pytest.mark.parametrize("name", ["llama2", "guangzhou"])
def test_the_right_document_is_among_the_first_three(name: str) -> None:
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


FOREIGN = {
    "en": [
        "What is the best pizza topping?",
        "How far is the moon from the earth?",
        "Which insurance covers broken windows?",
        "How do I fix a leaking tap?",
        "wobble frim tak",
        "How many calories are in a banana?",
        "Where can I rent a canoe?",
        "sdkjfh ksjdhf qpwo",
    ],
    "zh": [
        "怎么修水龙头？",
        "哪种保险赔玻璃？",
        "月亮离地球多远？",
        "埃菲尔铁塔什么时候建的？",
        "披萨放什么好吃？",
        "孩子发烧怎么办？",
        "红烧肉怎么做？",
        "阿斯顿发斯蒂芬",
    ],
}


@pytest.mark.usefixtures("bases")
@pytest.mark.parametrize(("name", "other"), [("llama2", "guangzhou"), ("guangzhou", "llama2")])
def test_its_own_questions_are_answered_and_foreign_ones_mostly_are_not(name: str, other: str) -> None:
    """None of these foreign questions is among those the threshold is calibrated with."""
    questions = {
        kb: [row.question for row in retrieval.read(ROOT / "knowledge" / f"{kb}.qa.jsonl")] for kb in (name, other)
    }
    assert all(retrieve(name, question).found for question in questions[name])
    for kind, foreign in {**FOREIGN, "other": questions[other]}.items():
        found = [question for question in foreign if retrieve(name, question).found]
        assert len(found) <= len(foreign) / 4, (kind, found)
        assert all(search(name, question) == [] for question in set(foreign) - set(found))


@pytest.mark.usefixtures("bases")  # for their vectors: the same passages are not embedded again
def test_a_base_of_a_few_rows_knows_what_it_has_nothing_about() -> None:
    knowledge.build("lora", [ROOT / "knowledge" / "llama2" / "lora.md"])
    assert len(knowledge.rows("lora")) < 8
    assert retrieve("lora", "Who proposed LoRA, and what does it freeze?").found
    assert not [q for q in (*FOREIGN["en"], *FOREIGN["zh"]) if retrieve("lora", q).found][2:]


CROSS = {
    "变换器模型是哪篇论文提出的？": "transformer.md",
    "低秩适配微调为什么能节省显存？": "lora.md",
    "检索增强生成这个名字是谁提出来的？": "retrieval-augmented-generation.md",
    "根据人类反馈的强化学习是怎么做的？": "rlhf.md",
    "Which river flows through the city to the South China Sea?": "珠江.md",
    "How tall is the television tower with the slim waist?": "广州塔.md",
}


@pytest.mark.usefixtures("bases")  # for their vectors, too
def test_words_do_not_push_down_what_answers_in_another_language() -> None:
    """Documents in both languages in one base, and questions in the other language than their answer's."""
    knowledge.build("both", [ROOT / "knowledge" / "llama2", ROOT / "knowledge" / "guangzhou"])
    better = worse = 0
    for question, source in CROSS.items():
        alone = _rank(retrieve("both", question, settings=Settings(lexical=False, rerank=False)), source)
        fused = _rank(retrieve("both", question), source)
        # Names may lift a text of the answer's script ("South China" is in those about two universities).
        assert fused <= alone + 2, (question, alone, fused)
        better, worse = better + (fused < alone), worse + (fused > alone)
    assert worse <= better + 1


def _rank(found: Retrieval, source: str) -> int:
    sources = list(dict.fromkeys(candidate.source for candidate in found.candidates))
    return next((rank for rank, name in enumerate(sources, 1) if name.endswith(source)), 99)
