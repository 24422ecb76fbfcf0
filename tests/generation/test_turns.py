"""A question under way belongs to its conversation, not to whoever watches."""

import threading
from typing import Any

import pytest

from core.errors import UserError
from core.generation import chats, templates, turns
from core.generation.ask import Arm
from core.generation.engine import Engine, Options
from core.generation.strategies import Example, Strategy
from core.generation.turns import Found, Question, Turn
from core.models.cards import ModelCard
from tests.helpers.waiting import eventually

PASSAGES = [{"text": "A llama carries loads.", "source": "a.md", "score": 0.9}]
BOTH = (Arm(False), Arm(True))


@pytest.fixture
def engine(tiny_card: ModelCard) -> Engine:
    return Engine()


class Gate:
    """A retrieval that waits until the test lets it go on."""

    def __init__(self) -> None:
        self.reached, self.open = threading.Event(), threading.Event()

    def __call__(self, progress: Any) -> Found:
        progress(1, 4)
        self.reached.set()
        assert self.open.wait(60)
        return Found(PASSAGES)


def question(text: str = "What is a llama?", length: int = 12, **more: Any) -> Question:
    options = Options(max_new_tokens=length, min_new_tokens=length)
    return Question(text, "tiny", **{"arms": [Arm()], "options": options, **more})


def done(turn: Turn) -> Turn:
    assert turn.wait(60)
    return turn


def test_answers_are_kept_though_nobody_watches(engine: Engine) -> None:
    chat = chats.new()
    chat_id = chat["id"]
    turns.start(engine, chat, question(arms=BOTH, retrieve=lambda progress: Found(PASSAGES, ["llama"])))
    del chat
    eventually(lambda: turns.live(chat_id) is None)
    kept = chats.load(chat_id)["turns"][0]
    assert (kept["question"], kept["queries"]) == ("What is a llama?", ["llama"])
    assert [(a["rag"], a["tokens"], a["finish"], bool(a["text"])) for a in kept["answers"]] == [
        (False, 12, "length", True),
        (True, 12, "length", True),
    ]
    assert [a["passages"] for a in kept["answers"]] == [[], PASSAGES]
    assert kept["answers"][0]["text"] != kept["answers"][1]["text"]


def test_a_page_that_comes_back_finds_the_turn_and_its_stage(engine: Engine) -> None:
    gate, chat = Gate(), chats.new()
    turn = turns.start(engine, chat, question(retrieve=gate, arms=BOTH))
    assert gate.reached.wait(60)
    assert turns.live(chat["id"]) is turn
    assert turn.waiting_for() == ("index", 0.25)
    assert turn.answers == []
    assert chats.load(chat["id"])["turns"][0]["question"] == "What is a llama?", "kept before it is answered"
    gate.open.set()
    done(turn)
    assert turns.live(chat["id"]) is None
    assert turn.waiting_for()[0] == "write"


def test_examples_give_way_instead_of_a_refusal_and_it_is_kept_how_many_were_shown(engine: Engine) -> None:
    shown = tuple(Example(f"What is animal {number}?", f"{number} legs. " * 9) for number in range(9))
    arm, chat = Arm(True, strategy=Strategy(templates.builtin()["few-shot"], shown)), chats.new()
    turn = done(turns.start(engine, chat, question(arms=[arm], retrieve=lambda progress: Found(PASSAGES))))
    assert turn.error is None
    [answer] = chats.load(chat["id"])["turns"][0]["answers"]
    assert answer["text"] and 0 < answer["examples"] == 9 - answer["left_out"] < 9


def test_a_growing_text_is_saved_on_the_way(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "SAVE_EVERY", 0.01)
    chat = chats.new()
    turn = turns.start(engine, chat, question(length=400))

    def half_done() -> bool:
        answers = chats.load(chat["id"])["turns"][0]["answers"]
        return bool(answers and answers[0]["text"] and not answers[0]["finish"])

    eventually(half_done)
    turn.stop()
    done(turn)


def test_stopped_it_keeps_the_text_so_far(engine: Engine) -> None:
    chat = chats.new()
    turn = turns.start(engine, chat, question(length=400))
    eventually(lambda: turn.answers and turn.answers[0]["tokens"] > 3)
    turn.stop()
    done(turn)
    kept = chats.load(chat["id"])["turns"][0]["answers"][0]
    assert kept["finish"] == "stopped"
    assert kept["text"]
    assert turn.error is None


def test_stopped_while_it_searches_it_is_never_asked(engine: Engine) -> None:
    gate, chat = Gate(), chats.new()
    turn = turns.start(engine, chat, question(retrieve=gate, arms=BOTH))
    assert gate.reached.wait(60)
    turn.stop()
    gate.open.set()
    done(turn)
    assert chats.load(chat["id"])["turns"][0]["answers"] == []
    assert turn.error is None
    done(turns.start(engine, chat, question()))


def test_a_second_question_waits_for_the_first(engine: Engine) -> None:
    gate, chat = Gate(), chats.new()
    turn = turns.start(engine, chat, question(retrieve=gate))
    with pytest.raises(UserError, match="still answering"):
        turns.start(engine, chat, question("Another?"))
    other = chats.new()
    done(turns.start(engine, other, question("Another?")))
    gate.open.set()
    done(turn)
    assert [t["question"] for t in chats.load(chat["id"])["turns"]] == ["What is a llama?"]
    done(turns.start(engine, chat, question("Another?")))
    assert [t["question"] for t in chats.load(chat["id"])["turns"]] == ["What is a llama?", "Another?"]


def test_an_empty_question_is_refused(engine: Engine) -> None:
    chat = chats.new()
    with pytest.raises(UserError, match="question is empty"):
        turns.start(engine, chat, question("  \n"))
    assert chats.listing() == []
    assert turns.live(chat["id"]) is None


@pytest.mark.parametrize("error", [UserError("There is no such thing."), RuntimeError("boom")])
def test_an_error_is_kept_for_the_page_and_the_question_on_disk(engine: Engine, error: Exception) -> None:
    def retrieve(progress: Any) -> Found:
        raise error

    chat = chats.new()
    turn = done(turns.start(engine, chat, question(retrieve=retrieve)))
    assert turn.error is error
    told = error.as_dict() if isinstance(error, UserError) else {}
    assert chats.load(chat["id"])["turns"] == [{**chat["turns"][0], "answers": [], "error": told}]
    done(turns.start(engine, chat, question()))
    assert len(chats.load(chat["id"])["turns"][1]["answers"]) == 1


def test_an_error_of_the_engine_is_kept_too(engine: Engine) -> None:
    turn = done(turns.start(engine, chats.new(), question("llama " * 800)))
    assert isinstance(turn.error, UserError)
    assert turn.answers[0]["finish"] == "error"


def test_deleted_while_it_is_answered_it_stays_deleted(engine: Engine) -> None:
    gate, chat = Gate(), chats.new()
    turn = turns.start(engine, chat, question(retrieve=gate))
    assert gate.reached.wait(60)
    chats.delete(chat["id"])
    gate.open.set()
    done(turn)
    assert chats.listing() == []


def test_renamed_while_it_is_answered_it_keeps_its_new_title(engine: Engine) -> None:
    gate, chat = Gate(), chats.new()
    turn = turns.start(engine, chat, question(retrieve=gate))
    assert gate.reached.wait(60)
    chats.rename(chat["id"], "Mine")
    gate.open.set()
    done(turn)
    kept = chats.load(chat["id"])
    assert kept["title"] == "Mine"
    assert kept["turns"][0]["answers"][0]["text"]


def test_a_follow_up_remembers_what_was_said_in_its_column(engine: Engine) -> None:
    """The second answer is that of the whole conversation, not of the question alone."""
    from core.generation.engine import Request
    from core.generation.prompts import conversation

    chat = chats.new()
    first = done(turns.start(engine, chat, question()))
    second = done(turns.start(engine, chat, question("And where?")))
    history = [("What is a llama?", first.answers[0]["text"])]
    options = Options(max_new_tokens=12, min_new_tokens=12)
    expected = engine.submit("tiny", [Request(conversation("And where?", history))], options).result()[0].text
    alone = engine.submit("tiny", [Request(conversation("And where?"))], options).result()[0].text
    assert second.answers[0]["text"] == expected != alone


def test_nothing_found_is_answered_from_the_model_alone(engine: Engine) -> None:
    """The column with the knowledge base then says what the other one says, and that it was given no passage."""
    turn = done(turns.start(engine, chats.new(), question(arms=BOTH, retrieve=lambda progress: Found([], ["llama"]))))
    without, with_kb = turn.answers
    assert turn.found is not None and turn.passages == [] == with_kb["passages"]
    assert with_kb["text"] == without["text"]


def test_both_columns_are_held_against_the_passages(engine: Engine) -> None:
    def cite(answer: str, texts: Any) -> list[dict[str, Any]]:
        assert texts == [PASSAGES[0]["text"]]
        return [{"start": 0, "end": len(answer), "passage": None, "score": 0.0}]

    chat = chats.new()
    done(turns.start(engine, chat, question(arms=BOTH, retrieve=lambda progress: Found(PASSAGES), cite=cite)))
    answers = chats.load(chat["id"])["turns"][0]["answers"]
    assert [answer["cited"][0]["end"] for answer in answers] == [len(answer["text"]) for answer in answers]


def test_a_chain_of_thought_is_held_against_the_passages_by_its_answer_and_asked_alone_it_knows_no_earlier_turn(
    engine: Engine,
) -> None:
    from core.generation import strategies, templates

    cot, heard = Arm(True, strategy=strategies.Strategy(templates.builtin()["cot"])), []

    def cite(answer: str, texts: Any) -> list[dict[str, Any]]:
        heard.append(answer)
        return []

    how = {"arms": [cot], "retrieve": lambda progress: Found(PASSAGES), "cite": cite, "alone": True}
    chat = chats.new()
    first = done(turns.start(engine, chat, question(**how)))
    again = done(turns.start(engine, chat, question(**how)))
    assert heard == [first.answers[0]["text"]] * 2
    assert again.answers[0]["text"] == first.answers[0]["text"]
