"""Prompts from templates, examples that never give the answer away, and the answer apart from the reasoning."""

from itertools import pairwise

import pytest

from core.duplicates import similarity
from core.generation import prompts, strategies, templates
from core.generation.strategies import Example, choose, extract, preview, prompt

BUILTIN = templates.builtin()
POOL = [Example(f"Which town lies on the river {name}?", name[::-1]) for name in ("Avon", "Exe", "Tamar", "Usk", "Wye")]


@pytest.mark.parametrize("question", ["何时建校？", "When was it founded?"])
@pytest.mark.parametrize("passages", [[], ["It was founded in 1927.", "建于一九二七年。"]])
def test_zero_shot_is_what_the_app_asks_anyway(question: str, passages: list[str]) -> None:
    assert prompt(BUILTIN["zero-shot"], question, passages) == prompts.with_context(question, passages)


def test_a_few_shot_prompt_by_hand() -> None:
    examples = [Example("2 + 2?", "4"), Example("3 + 3?", "6")]
    assert prompt(BUILTIN["few-shot"], "4 + 4?", examples=examples) == (
        "Here are some examples. Answer in the same way.\n"
        "2 + 2?\nAnswer: 4\n\n3 + 3?\nAnswer: 6\n\n4 + 4?"
    )  # fmt: skip
    assert prompt(BUILTIN["few-shot"], "4 + 4?") == "4 + 4?"
    assert "2 + 2?\n答案：4" in prompt(BUILTIN["few-shot"], "四加四是多少？", examples=examples)


def test_chain_of_thought_asks_for_reasoning_in_the_questions_language() -> None:
    assert "一步一步" in prompt(BUILTIN["cot"], "广州在哪里？")
    assert "step by step" in prompt(BUILTIN["cot"], "Where is Guangzhou?", ["In the south."])
    assert "In the south." in prompt(BUILTIN["cot"], "Where is Guangzhou?", ["In the south."])


def test_a_template_may_place_the_passages_itself() -> None:
    template = templates.make("mine", "zero-shot", {"en": "Notes: {context}\nQ: {question}\n\n{context}\n\nA:"})
    assert prompt(template, "Why?", ["a", "b"]) == "Notes: a\nb\nQ: Why?\n\na\nb\n\nA:"
    assert prompt(template, "Why?") == "Q: Why?\n\nA:"
    assert prompt(template, "为什么？") == "Q: 为什么？\n\nA:"


def test_what_stands_in_a_question_or_a_passage_is_no_place() -> None:
    template = templates.make("mine", "zero-shot", {"en": 'As JSON {"a": 1}: {question} {context}'})
    asked = prompt(template, "{context} {examples} {0}", ["{question} {x}"])
    assert asked == 'As JSON {"a": 1}: {context} {examples} {0} {question} {x}'


def test_the_preview_counts_the_prompt_and_its_parts() -> None:
    seen = preview(BUILTIN["few-shot"], "4 + 4?", lambda text: len(text.split()), ["x y"], [Example("2 + 2?", "4")])
    assert seen.text == prompt(BUILTIN["few-shot"], "4 + 4?", ["x y"], [Example("2 + 2?", "4")])
    assert seen.tokens == len(seen.text.split()) == sum(seen.parts.values())
    assert {name: seen.parts[name] for name in ("question", "context", "examples")} == {
        "question": 3,
        "context": 2,
        "examples": 5,
    }


def test_fixed_examples_are_the_same_for_all_questions_but_never_the_question_or_its_like() -> None:
    few = BUILTIN["few-shot"]
    usual = choose(few, "Something else entirely?", POOL, seed=3)
    assert len(usual) == len(set(usual)) == 3
    assert choose(few, "Another question of its own?", POOL, seed=3) == usual
    assert choose(few, "Something else entirely?", POOL, seed=4) != usual
    for example in POOL:
        for asked in (example.question, example.question.upper() + "!"):
            found = choose(few, asked, POOL, seed=3)
            assert example not in found
            assert len(found) == 3
            assert [one for one in usual if one != example] == [one for one in found if one in usual]


def test_examples_do_not_repeat_each_other_and_may_run_out() -> None:
    pool = [POOL[0], Example(POOL[0].question + " ", "other"), POOL[1]]
    assert len(choose(BUILTIN["few-shot"], "Who?", pool)) == 2
    assert choose(BUILTIN["few-shot"], POOL[0].question, pool) == [POOL[1]]
    assert choose(BUILTIN["zero-shot"], "Who?", POOL) == []


def test_rows_that_differ_in_their_numbers_alone_are_different_questions() -> None:
    asked = "The odd numbers in this group add up to an even number: "
    pool = [Example(asked + "5, 10, 24, 1.", "True"), Example(asked + "22, 7, 28.", "False")]
    assert choose(BUILTIN["few-shot"], asked + "22, 7, 28.", pool) == [pool[0]]


def test_classes_take_turns() -> None:
    pool = [Example(f"{word} was it, they said", "positive") for word in ("lovely", "superb", "bright", "clever")]
    pool += [Example("a dull and tiring evening", "negative"), Example("we left before the end", "negative")]
    for seed in range(5):
        answers = [example.answer for example in choose(BUILTIN["few-shot"], "A film.", pool, seed)]
        assert all(a != b for a, b in pairwise(answers))


def test_similar_examples_stand_with_the_likest_last() -> None:
    template = templates.make("like", "few-shot", BUILTIN["few-shot"].text, example={"en": "{question} {answer}"},
                              shots=2, pick="similar")  # fmt: skip

    def likeness(question: str, others: list[str]) -> list[float]:
        return [similarity(question, other) for other in others]

    found = choose(template, "On the river Tamar, which town?", POOL, similarity=likeness)
    scores = likeness("On the river Tamar, which town?", [example.question for example in found])
    assert found[-1] == POOL[2]
    assert scores == sorted(scores)
    assert POOL[2] not in choose(template, POOL[2].question, POOL, similarity=likeness)
    with pytest.raises(ValueError, match="similarity"):
        choose(template, "?", POOL)


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("奇数是 7 和 21，和为 28。\n答案：True", "True"),
        ("先看……\n**答案：** 偶数。", "偶数。"),
        ("推理。所以，答案是 28。", "28。"),
        ("答案：可能是 3？不对，重算。\n最终答案：5", "5"),
        ("7 + 21 = 28, which is even.\nAnswer: True", "True"),
        ("So the answer is **even**.", "even."),
        ("Answer: 1? No.\n\nFinal answer: 2\n\nLet me know if you need more.", "2"),
        ("7 + 21 = 28\n#### 28", "28"),
        ("Adding gives \\boxed{28}.", "28"),
        ("Answer: \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ("<think>7 + 21</think>\n28", "28"),
        ("I add. <answer>28</answer> Done.", "28"),
        ('Answer: {"a":\n\n 1}', '{"a":\n\n 1}'),
        ("28 it is. Answer:", "28 it is. Answer:"),
    ],
)
def test_the_answer_stands_behind_the_reasoning(text: str, answer: str) -> None:
    found = extract(BUILTIN["cot"], text)
    assert found.answer == answer
    assert found.marked == (text != answer)


def test_reasoning_is_kept_apart_and_a_missing_marker_is_told() -> None:
    assert extract(BUILTIN["cot"], "a\nb\n**Answer:** c") == strategies.Extracted("c", "a\nb")
    assert extract(BUILTIN["cot"], "a\nb\nc\n") == strategies.Extracted("c", "a\nb", marked=False)
    assert extract(BUILTIN["cot"], "") == strategies.Extracted("", "", marked=False)
    assert extract(BUILTIN["zero-shot"], " Answer: c ") == strategies.Extracted("Answer: c")
