"""From a question to its queries, and from what several brought to one ranking."""

from collections.abc import Callable
from pathlib import Path

import pytest

from core.models.cards import ModelCard
from core.rag import knowledge, queries
from core.rag.fusion import Recalled
from core.rag.queries import condense, plan, unite
from core.rag.retrieval import Settings, retrieve

LLAMAS = ["What is Llama 2?"]


@pytest.mark.parametrize(
    ("history", "question", "expected"),
    [
        ([], "它有多高？", "它有多高？"),
        (["介绍一下广州塔"], "它有多高？", "广州塔 它有多高？"),
        (["介绍一下广州塔"], "多少？", "广州塔 多少？"),
        (LLAMAS, "When was it released?", "Llama 2 When was it released?"),
        (LLAMAS, "Why?", "Llama 2 Why?"),
        (["介绍一下广州塔"], "珠江流经哪些城市？", "珠江流经哪些城市？"),
        (LLAMAS, "Who founded Mistral AI in Paris?", "Who founded Mistral AI in Paris?"),
    ],
)
def test_a_follow_up_gets_the_subject_of_the_question_before(history: list[str], question: str, expected: str) -> None:
    assert condense(history, question) == expected


class Model:
    """Says what it was told to, and keeps what it was asked."""

    def __init__(self, *answers: str) -> None:
        self.answers, self.asked = list(answers), list[str]()

    def __call__(self, instruction: str) -> str:
        self.asked.append(instruction)
        return self.answers.pop(0)


def test_no_model_is_asked_unless_wanted() -> None:
    model = Model()
    assert plan("What is Llama 2?", write=model) == ["What is Llama 2?"]
    assert plan("What is Llama 2?", rewrite=True) == ["What is Llama 2?"]
    assert model.asked == []


def test_a_rewriting_stands_beside_the_question() -> None:
    model = Model('Search query: "Llama 2 language model Meta"')
    assert plan("What is Llama 2?", write=model, rewrite=True) == ["What is Llama 2?", "Llama 2 language model Meta"]
    follow_up = Model("When was Llama 2 released?")
    asked = plan("When was it released?", LLAMAS, follow_up, rewrite=True)
    assert asked == ["Llama 2 When was it released?", "When was Llama 2 released?"]
    assert LLAMAS[0] in follow_up.asked[0], "it has to know what came before"
    chinese = Model("广州塔的高度是多少？")
    assert plan("它有多高？", ["介绍一下广州塔"], chinese, rewrite=True)[1] == "广州塔的高度是多少？"
    assert "改写" in chinese.asked[0]


@pytest.mark.parametrize(
    "said", ["", "2", "The sky is blue.", "Llama 2: Llama 2: Llama 2: Llama 2: Llama 2", "Llama 2 " + "is good " * 40]
)
def test_what_a_small_model_makes_up_is_not_searched_for(said: str) -> None:
    assert plan("What is Llama 2?", write=Model(said), rewrite=True) == ["What is Llama 2?"]


def test_several_ways_to_ask_are_a_models_lines() -> None:
    model = Model(
        "1. Which company made Llama 2?\n- Who is behind Llama 2?\n\n3) WHO MADE LLAMA 2?\n4. Llama 2 makers?"
    )
    asked = plan("Who made Llama 2?", write=model, count=3)
    assert asked == ["Who made Llama 2?", "Which company made Llama 2?", "Who is behind Llama 2?"]
    assert "2" in model.asked[0]


def test_without_a_model_the_words_alone_are_the_other_way() -> None:
    assert plan("What is Llama 2?", count=3) == ["What is Llama 2?", "Llama 2"]
    assert plan("广州塔有多高？", count=2)[0] == "广州塔有多高？"
    assert plan("Llama 2", count=3) == ["Llama 2"]


def test_united_each_row_counts_by_its_best() -> None:
    first = Recalled({1: 0.9, 2: 0.5}, {1: 0.2}, {1: 3.0}, {1: 1, 2: 2}, {1: 1}, {1: 0.95, 2: 0.5}, {"dense": 1.0}, {2})
    second = Recalled({2: 0.8, 3: 0.85}, {}, {3: 5.0}, {3: 1, 2: 2}, {3: 1}, {2: 0.8, 3: 0.99}, {"dense": 0.5}, {2, 3})
    whole = unite([first, second])
    assert whole.fused == {1: 0.95, 2: 0.8, 3: 0.99}
    assert whole.order() == [3, 1, 2]
    assert whole.dense_rank == {1: 1, 3: 2, 2: 3}
    assert whole.lexical_rank == {3: 1, 1: 2}
    assert whole.by_chance == {2, 3}
    assert whole.seconds == {"dense": 1.5}
    assert unite([first]) is first


@pytest.fixture
def base(tiny_embedder: ModelCard, tmp_path: Path) -> str:
    texts = ["A llama carries loads.", "广州塔位于广州市。", "An owl sees at night.", "Bread is baked in an oven."]
    for number, text in enumerate(texts):
        (tmp_path / f"{number}.md").write_text(text, "utf-8")
    knowledge.build("kb", sorted(tmp_path.glob("*.md")))
    return "kb"


def test_a_search_with_several_queries_brings_what_each_alone_brings(base: str) -> None:
    open_settings = {"threshold": False, "rerank": False, "width": 1}
    model = Model("Query: which owl loads bread at night")
    both = retrieve(base, "owl loads llama", 1, Settings(**open_settings, rewrite=True), write=model)
    assert both.queries == ["owl loads llama", "which owl loads bread at night"]
    alone = [retrieve(base, query, 1, Settings(**open_settings)) for query in both.queries]
    best: dict[int, float] = {}
    for one in alone:
        for candidate in one.candidates:
            score = candidate.scores["fused"]
            assert score is not None
            best[candidate.row] = max(score, best.get(candidate.row, score))
    assert {c.row: c.scores["fused"] for c in both.candidates} == pytest.approx(best, abs=1e-5)
    assert (both.evidence, both.threshold) == pytest.approx((alone[0].evidence, alone[0].threshold), abs=1e-5)
    assert {"queries", "embed", "total"} <= both.seconds.keys()
    assert both.seconds["total"] >= both.seconds["queries"] >= 0


def test_the_threshold_asks_the_leading_query_alone(base: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The thresholds are calibrated for questions: a bare keyword that hits would pass for an answer."""
    from core.rag import calibration

    monkeypatch.setattr(calibration.Prepared, "threshold", lambda self, query, *_: 9.0 if query == "zebra?" else -9.0)
    monkeypatch.setattr(queries, "variants", lambda *_: ["An owl sees at night."])
    nothing = retrieve(base, "zebra?", 2, Settings(queries=2))
    assert (nothing.found, nothing.passages) == (False, [])
    assert retrieve(base, "owl?", 2, Settings(queries=2)).found


def test_a_model_that_fails_says_so(base: str) -> None:
    def broken(instruction: str) -> str:
        raise RuntimeError("boom")

    write: Callable[[str], str] = broken
    with pytest.raises(RuntimeError, match="boom"):
        retrieve(base, "owl", 2, Settings(rewrite=True), write=write)
