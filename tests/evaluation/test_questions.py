"""Questions made from a base: where their answers stand, what a model's question must not be, and what replaces it."""

from pathlib import Path

import pytest

from core.errors import UserError
from core.evaluation import questions
from core.evaluation.questions import Pick, flaw, generate, summary
from core.models.cards import ModelCard
from core.rag import knowledge
from core.rag.chunks import sentences

ENGLISH = {
    "llama.md": "# Llamas\n\nA llama carries loads of up to thirty kilograms over high passes of the Andes.\n\n"
    "# Wool\n\nIts wool is sorted by seven colours and spun by families in Cusco and Puno.\n",
    "owl.md": "# Owls\n\nThe barn owl hunts voles at night and hears them under half a metre of snow.\n",
}
CHINESE = {"塔.md": "# 广州塔\n\n广州塔建成于二〇一〇年九月，塔身主体高四百五十四米，位于海珠区赤岗塔附近。\n"}


@pytest.fixture
def base(tiny_embedder: ModelCard, tmp_path: Path) -> str:
    for name, text in {**ENGLISH, **CHINESE}.items():
        (tmp_path / name).write_text(text, "utf-8")
    knowledge.build("kb", [tmp_path / name for name in {**ENGLISH, **CHINESE}])
    return "kb"


def test_each_row_points_at_a_whole_sentence_of_its_document(base: str) -> None:
    rows = list(generate(base, 10, seed=1))
    assert len(rows) == 4  # one a chunk
    assert {row["source"] for row in rows[:3]} == {*ENGLISH, *CHINESE}, "the documents take turns"
    for row in rows:
        text = knowledge.document_text(base, row["source"])
        spans = [(s, s + len(text[s:e].rstrip())) for s, e in sentences(text)]
        assert (row["start"], row["end"]) in spans
        answer = text[row["start"] : row["end"]]
        asked = questions.terms(questions.FUNCTION.sub(" ", row["question"].replace("said", "").replace("说", "")))
        assert set(asked) & set(questions.terms(answer))
        assert answer not in row["question"]
        assert row["made"] == "words"


def test_the_seed_decides_and_a_count_is_kept(base: str) -> None:
    first = list(generate(base, 2, seed=3))
    assert list(generate(base, 2, seed=3)) == first and len(first) == 2
    assert any(list(generate(base, 2, seed=seed)) != first for seed in range(4, 9))


def test_a_model_asks_in_its_languages_and_words_stand_in_where_it_cannot(base: str) -> None:
    prompts: list[str] = []

    def write(prompt: str) -> str:
        prompts.append(prompt)
        about = "llama" if "llama" in prompt else "owl" if "owl" in prompt else "this passage"
        return f"1. What does the {about} do?\nSomething else." if "wool" not in prompt else "Is it in this passage?"

    rows = list(generate(base, 10, write=write, languages=["en"]))
    by_place = {(row["source"], row["made"]): row for row in rows}
    assert by_place["llama.md", "model"]["question"] == "What does the llama do?"
    assert by_place["owl.md", "model"]["question"] == "What does the owl do?"
    assert by_place["llama.md", "words"]["refused"] == "refers"
    assert "refused" not in by_place["塔.md", "words"]
    assert len(prompts) == 3, "the Chinese chunk was given to a model that knows no Chinese"
    assert summary(rows) == {"n": 4, "model": 2, "words": 2, "refused": {"refers": 1}}


@pytest.mark.parametrize(
    "said",
    [
        "What does it do?",
        "1. What does it do?",
        "Question: What does it do?",
        'Sure! Here is one:\n"What does it do?"',
        'The question is: "What does it do?"',
    ],
)
def test_a_models_chatter_around_its_question_is_left_out(said: str) -> None:
    assert questions._cleaned(said) == "What does it do?"


PICK = Pick("owl.md", 0, 0, "The barn owl hunts voles at night.", "Owls\n\nThe barn owl hunts voles at night.")
WIDE = Pick("塔.md", 0, 0, "广州塔建成于二〇一〇年。", "广州塔建成于二〇一〇年。塔身高四百五十四米。")


@pytest.mark.parametrize(
    ("question", "pick", "why"),
    [
        ("When does the barn owl hunt?", PICK, ""),
        ("广州塔是哪一年建成的？", WIDE, ""),
        ("", PICK, "empty"),
        ("??", PICK, "empty"),
        ("The owl is a bird", PICK, "statement"),
        ("The barn owl hunts voles at night?", PICK, "copied"),
        ("Is it so that the barn owl hunts voles at night?", PICK, "copied"),
        ("What does the owl in this passage hunt?", PICK, "refers"),
        ("What is mentioned above about the owl?", PICK, "refers"),
        ("这段话里的广州塔有多高？", WIDE, "refers"),
        ("文中说广州塔有多高？", WIDE, "refers"),
        ("What does a fish eat?", PICK, "unrelated"),
        ("What would be the best way to train an owl to fetch letters?", PICK, "unrelated"),
        ("How tall is 广州塔 in the city of Guangzhou?", WIDE, "language"),
        ("猫头鹰捕食什么？", PICK, "language"),
        ("What does the owl hunt " + "at night " * 30 + "?", PICK, "long"),
        ("What does the owl hunt?", PICK, "repeated"),
    ],
)
def test_what_a_models_question_must_not_be(question: str, pick: Pick, why: str) -> None:
    assert flaw(question, pick, {"What does the owl hunt?"}) == why


def test_a_base_without_sentences_says_so(tiny_embedder: ModelCard, tmp_path: Path) -> None:
    (tmp_path / "short.md").write_text("Owl.\n", "utf-8")
    knowledge.build("kb", [tmp_path / "short.md"])
    with pytest.raises(UserError, match="No question can be made"):
        list(generate("kb"))
