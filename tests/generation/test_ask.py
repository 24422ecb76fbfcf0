"""From passages to a batch: what a model reads, how much of it fits, and the model as a writer of queries."""

from dataclasses import replace
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest

from core.errors import UserError
from core.generation import ask, prompts, strategies, templates
from core.generation.ask import Arm
from core.generation.engine import Engine, Options, Request
from core.generation.strategies import Example, Strategy
from core.generation.templates import FIXED, SIMILAR
from core.generation.watching import Answer
from core.models import cards, store
from core.models.cards import ModelCard
from core.settings import settings
from core.training import runs
from tests.helpers.isolation import add_card

PASSAGE = {"text": "A llama carries loads.", "source": "a.md", "heading": "Animals"}
QUESTION = "What is a llama?"
OPTIONS = Options(max_new_tokens=8, min_new_tokens=8)


def test_sources_are_named_where_the_card_wants_it(tiny_card: ModelCard, tiny_model_dir: Path) -> None:
    engine = Engine()
    bare = add_card("bare", "generate", tiny_model_dir, "source_tags = false\n")
    for card, read in ((tiny_card, prompts.tagged(QUESTION, [PASSAGE])), (bare, [PASSAGE["text"]])):
        said = ask.submit(engine, card.name, QUESTION, [Arm(False), Arm(True)], [PASSAGE], options=OPTIONS).result()
        rows = [Request(prompts.conversation(text)) for text in (QUESTION, prompts.with_context(QUESTION, read))]
        expected = engine.submit(card.name, rows, OPTIONS).result()
        assert [answer.text for answer in said] == [answer.text for answer in expected]


def test_the_room_is_the_models_own_and_what_fills_it_fits(tiny_card: ModelCard) -> None:
    """As many passages as the room holds are read by the engine; one more, and it would say that they are too many."""
    history = [("Hi", "Hello")]
    found = ask.room("tiny", QUESTION, history, 100)
    assert found is not None
    tokens, count = found
    assert 0 < tokens < 512 - 100
    passages: list[dict[str, Any]] = []
    while sum(map(count, [*passages, PASSAGE])) <= tokens:
        passages.append(PASSAGE)
    assert len(passages) > 2
    options = Options(max_new_tokens=100)
    ask.submit(Engine(), "tiny", QUESTION, [Arm(True)], passages, [history], options).result()
    with pytest.raises(UserError, match="too long"):
        ask.submit(Engine(), "tiny", QUESTION, [Arm(True)], passages * 2, [history], options).result()


def test_without_the_model_on_disk_there_is_no_room_to_tell(monkeypatch: pytest.MonkeyPatch) -> None:
    embedded = store.default_generator()
    assert not store.is_ready(embedded), "the test's own data directory"
    assert ask.room(embedded.name, QUESTION, (), 100) is None
    assert not cards.card("SmolLM2-135M-Instruct").source_tags


def test_a_writer_is_the_base_model_asked_briefly(tiny_card: ModelCard) -> None:
    engine = Engine()
    rows = [Request(prompts.conversation("Write a query."))]
    expected = engine.submit("tiny", rows, Options(max_new_tokens=ask.REWRITING)).result()[0].text
    assert ask.writer(engine, "tiny")("Write a query.") == expected


@pytest.fixture
def reading_adapter(
    tiny_card: ModelCard, tiny_adapters: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """An adapter of the app's own with which the tiny model reads Chinese."""
    folder = tmp_path / "adapters" / "reads-zh"
    copytree(tiny_adapters[0], folder)
    words = 'note = { en = "Reads.", zh = "会读。" }'
    card = f'name = "reads-zh"\nmodel = "tiny"\nlanguage = "zh"\nlicense = "Apache-2.0"\n{words}\n'
    (folder / "card.toml").write_text(card, "utf-8")
    monkeypatch.setattr(type(settings()), "adapters_dir", property(lambda self: folder.parent))
    return folder


def test_chinese_questions_are_read_with_the_adapter_that_is_for_them(reading_adapter: Path) -> None:
    chosen = ask.arms("tiny", "羊驼是什么？", [False, True])
    assert [arm.key for arm in chosen] == ["base", "tuned_rag"]
    assert chosen[1].adapter_path == reading_adapter
    assert [arm.key for arm in ask.arms("tiny", QUESTION, [False, True])] == ["base", "base_rag"]
    assert [arm.key for arm in ask.arms("tiny", "羊驼是什么？", [True], reads=False)] == ["base_rag"]
    assert ask.arms("tiny", "羊驼是什么？", [True], "run", Path("there"))[0].adapter == "run"
    assert runs.adapter("reads-zh", "tiny") == reading_adapter
    assert runs.adapters("tiny") == {"reads-zh": "reads-zh"}
    with pytest.raises(UserError, match="adapts tiny, not other"):
        runs.adapter("reads-zh", "other")


def test_without_passages_such_an_adapter_has_nothing_to_read(reading_adapter: Path) -> None:
    engine, question = Engine(), "羊驼是什么？"
    chosen = ask.arms("tiny", question, [True])
    for passages, weights in (([PASSAGE], reading_adapter), ([], None)):
        [answer] = ask.submit(engine, "tiny", question, chosen, passages, options=OPTIONS).result()
        read = prompts.with_context(question, prompts.reading(question, passages, tags=True))
        [expected] = engine.submit("tiny", [Request(prompts.conversation(read), weights)], OPTIONS).result()
        assert answer.text == expected.text
        assert ask.record("tiny", chosen[0], answer, passages)["adapter"] == ("reads-zh" if passages else None)


def test_strategies_in_one_batch_answer_as_each_does_alone(tiny_card: ModelCard, tiny_adapters: list[Path]) -> None:
    """Base and adapter, three strategies, with and without passages: greedy, every arm says what it says by itself."""
    engine = Engine()
    shown = (Example("What is an owl?", "A bird."), Example("What is a pike?", "A fish."))
    how = [Strategy(template, shown if name == "few-shot" else ()) for name, template in templates.builtin().items()]
    arms = [*ask.grid({}, how), *ask.grid({"run": tiny_adapters[0]}, how[:1])[2:]]
    assert len(arms) == 8
    together = ask.submit(engine, "tiny", QUESTION, arms, [PASSAGE], options=OPTIONS).result()
    for arm, answer in zip(arms, together, strict=True):
        asked = strategies.prompt(
            arm.strategy.template,
            QUESTION,
            prompts.tagged(QUESTION, [PASSAGE]) if arm.rag else (),
            arm.strategy.examples,
        )
        row = Request(prompts.conversation(asked), arm.adapter_path)
        assert answer.text == engine.submit("tiny", [row], OPTIONS).result()[0].text
    assert len({answer.text for answer in together}) > 4


@pytest.mark.parametrize("pick", [FIXED, SIMILAR])
def test_examples_without_room_give_way_and_as_many_as_fit_stay(tiny_card: ModelCard, pick: str) -> None:
    """The engine takes what is left, and would refuse one more; both arms of the strategy keep the same ones."""
    template = replace(templates.builtin()["few-shot"], pick=pick)
    shown = tuple(Example(f"What is animal {number}?", f"{number} legs. " * 9) for number in range(9))
    arms = ask.grid({}, [strategies.zero_shot(), Strategy(template, shown)])
    made = ask.fitting("tiny", QUESTION, arms, [PASSAGE], 100)
    assert [arm.strategy for arm in made[:2]] == [arm.strategy for arm in arms[:2]]
    how, other = (arm.strategy for arm in made[2:])
    assert how == other and 1 < len(how.examples) < 9 and len(how.examples) + how.left_out == 9
    kept = slice(how.left_out, None) if pick == SIMILAR else slice(len(how.examples))
    assert how.examples == shown[kept], "the most similar ones stand last"
    options = Options(max_new_tokens=100)
    ask.submit(engine := Engine(), "tiny", QUESTION, made, [PASSAGE], options=options).result()
    more = shown[how.left_out - 1 :] if pick == SIMILAR else shown[: len(how.examples) + 1]
    with pytest.raises(UserError, match="too long"):
        ask.submit(engine, "tiny", QUESTION, [Arm(True, strategy=Strategy(template, more))], [PASSAGE],
                   options=options).result()  # fmt: skip
    answer = ask.record("tiny", made[3], Answer("x", finish="end"), [PASSAGE])
    assert (answer["examples"], answer["left_out"]) == (len(how.examples), how.left_out)
    assert ask.fitting("tiny", QUESTION, made, [PASSAGE], 511)[3].strategy.examples == (), "then the question may be"


def test_the_grid_is_ordered_and_bounded() -> None:
    how = [Strategy(template) for template in templates.builtin().values()]
    made = ask.grid({"run": Path("there")}, how[:2])
    assert [(arm.adapter, arm.strategy.template.name, arm.rag) for arm in made] == [
        (adapter, name, rag) for adapter in ("", "run") for name in ("zero-shot", "few-shot") for rag in (False, True)
    ]
    with pytest.raises(UserError, match="12 answers"):
        ask.grid({"run": Path("there")}, how)
    with pytest.raises(UserError, match="No prompt strategy"):
        ask.grid({}, [])


def test_a_finished_chain_of_thought_is_kept_apart_from_its_answer() -> None:
    arm = ask.grid({}, [Strategy(templates.builtin()["cot"])], [False])[0]
    growing = ask.record("tiny", arm, Answer("7 + 21 is 28.\nAnswer: True"), ())
    assert (growing["text"], growing["reasoning"]) == ("7 + 21 is 28.\nAnswer: True", "")
    done = ask.record("tiny", arm, Answer("7 + 21 is 28.\nAnswer: True", finish="end"), ())
    assert (done["text"], done["reasoning"], done["strategy"]) == ("True", "7 + 21 is 28.", "cot")
    plain = ask.record("tiny", Arm(), Answer("Answer: True", finish="end"), ())
    assert (plain["text"], plain["reasoning"]) == ("Answer: True", "")
