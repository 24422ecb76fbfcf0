"""A question being answered, in a thread of its own: it is kept in its conversation whether or not anybody watches.

A page that is refreshed, closed or sent elsewhere finds the turn again under the conversation's id.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from core.errors import UserError
from core.generation import ask, chats
from core.generation.ask import Arm
from core.generation.chats import Chat
from core.generation.engine import Engine, Options
from core.generation.watching import Generation

SAVE_EVERY = 2.0  # seconds between two savings of a text that is still growing


@dataclass(frozen=True)
class Found:
    """What a retrieval brought: the passages as dictionaries, and the queries it really searched with."""

    passages: list[dict[str, Any]]
    queries: list[str] = field(default_factory=list)


Retrieve = Callable[[Callable[[int, int], None]], Found]
"""Given a progress callback (done, total) of a first indexing, returns what was found."""
Cite = Callable[[str, Sequence[str]], list[dict[str, Any]]]
"""Given an answer and the passages' texts, returns its sentences with the passage behind each."""

_live: dict[str, "Turn"] = {}
_lock = threading.Lock()


@dataclass(frozen=True)
class Question:
    """What is asked: of which model and arms, with which passages (of the knowledge base named), how."""

    text: str
    model: str
    arms: Sequence[Arm]
    retrieve: Retrieve | None = None
    kb: str = ""
    options: Options | None = None
    cite: Cite | None = None
    dataset: str = ""  # where the examples of few-shot prompts come from
    alone: bool = False  # asked without what was said before in its conversation


class Turn:
    """One question under way. ``stage`` says what is being waited for and how far it is, from 0 to 1."""

    def __init__(self, engine: Engine, chat: Chat, question: Question) -> None:
        self.chat, self.question = chat, question
        self.arms = list(question.arms)  # few-shot examples without room give way once it is known what was found
        self.stage: tuple[str, float] = ("search" if question.retrieve else "queue", 0.0)
        self.found: Found | None = None  # until the search is done, and without one
        self.error: BaseException | None = None
        self._engine = engine
        self._generation: Generation | None = None
        self._cited: list[list[dict[str, Any]]] = []
        self._stop = threading.Event()
        self._done = threading.Event()
        # The earlier turns as each column saw them, before this one joins them.
        self._histories = [
            [] if question.alone else chats.history(chat, arm.rag, arm.adapter, arm.strategy.template.name)
            for arm in question.arms
        ]
        self._entry: dict[str, Any] = {"question": question.text, "asked": time.time(), "kb": question.kb}
        self._entry |= {"dataset": question.dataset, "answers": []}
        chat["turns"].append(self._entry)

    @property
    def done(self) -> bool:
        return self._done.is_set()

    @property
    def passages(self) -> list[dict[str, Any]]:
        """What the arms with a knowledge base read."""
        return self.found.passages if self.found else []

    @property
    def answers(self) -> list[dict[str, Any]]:
        """The answers so far, one record per arm (empty while nothing has been submitted)."""
        if self._generation is None:
            return []
        pairs = zip(self.arms, self._generation.answers, strict=True)
        records = [ask.record(self.question.model, arm, answer, self.passages) for arm, answer in pairs]
        for record, cited in zip(records, self._cited, strict=False):
            record["cited"] = cited
        return records

    def waiting_for(self) -> tuple[str, float]:
        """The stage, the engine's once the question is there."""
        return self._generation.stage if self._generation else self.stage

    def stop(self) -> None:
        """End at once and keep the text so far."""
        self._stop.set()
        if self._generation:
            self._generation.stop()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until the turn is finished and kept; False when ``timeout`` seconds passed first."""
        return self._done.wait(timeout)

    def run(self) -> None:
        """Retrieve, generate, keep. Runs in the turn's thread."""
        try:
            self._answer()
        except BaseException as error:
            self.error = error
            self._entry["error"] = error.as_dict() if isinstance(error, UserError) else {}
            if not isinstance(error, UserError):
                logging.getLogger("yuan").exception("Answering failed")
        finally:
            try:
                self._keep()
            finally:
                with _lock:
                    _live.pop(self.chat["id"], None)
                self._done.set()

    def _answer(self) -> None:
        question = self.question
        if question.retrieve:
            self.found = question.retrieve(self._indexing)
            self._entry["queries"] = self.found.queries
        if self._stop.is_set():
            return
        options = question.options or Options()
        about = question.model, question.text
        self.arms = ask.fitting(*about, question.arms, self.passages, options.max_new_tokens)
        self._generation = ask.submit(self._engine, *about, self.arms, self.passages, self._histories, options)
        if self._stop.is_set():  # pressed while the batch was being submitted
            self._generation.stop()
        while not self._generation.wait(SAVE_EVERY):
            self._keep()
        self._generation.result()
        self._keep()
        if question.cite and self.passages:
            texts = [passage["text"] for passage in self.passages]
            self._cited = [question.cite(answer["text"], texts) for answer in self.answers]

    def _indexing(self, done: int, total: int) -> None:
        self.stage = ("index", done / max(1, total))

    def _keep(self) -> None:
        self._entry["answers"] = self.answers
        # Renaming and deleting happen to the file meanwhile: only the turns are ours.
        try:
            stored = chats.load(self.chat["id"])
        except UserError:
            return
        chats.save({**stored, "turns": self.chat["turns"]})


def start(engine: Engine, chat: Chat, question: Question) -> Turn:
    """Begin to answer a question in a conversation.

    Raises:
        UserError: the conversation is still answering an earlier one, or the question is empty.
    """
    if not question.text.strip():
        raise UserError("The question is empty.", "Type a question.")
    with _lock:
        if chat["id"] in _live:
            raise UserError("This conversation is still answering.", "Wait for it, or stop it.")
        turn = Turn(engine, chat, question)
        chats.save(chat)  # before anybody can look for it
        _live[chat["id"]] = turn
    threading.Thread(target=turn.run, daemon=True, name=f"turn-{chat['id']}").start()
    return turn


def live(chat_id: str) -> Turn | None:
    """The turn under way in a conversation, if any."""
    with _lock:
        return _live.get(chat_id)
