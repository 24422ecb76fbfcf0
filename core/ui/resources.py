"""What the whole server shares: one engine, warmed up once somebody opens the chat."""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Literal

import streamlit as st

from core.generation import check
from core.generation.engine import Engine
from core.models import cards, loading, store
from core.models.cards import ModelCard
from core.models.kept import Loaded
from core.rag import embedding, rerank


@st.cache_resource(show_spinner=False)
def engine() -> Engine:
    """The server's engine; loading a model is left to whoever needs it first."""
    return Engine()


@st.cache_resource(show_spinner=False)
def warm() -> None:
    """Load the answering model and the embedder in the background, where they are on disk already."""

    def load() -> None:
        try:
            if store.is_ready(store.default_generator()):
                engine().load(store.default_generator().name)
            if store.is_ready(store.default_embedder()):
                embedding.embed(["warm"], "query")
        except Exception:
            logging.getLogger("yuan").exception("Warming up failed")

    threading.Thread(target=load, daemon=True, name="warm-up").start()


def loaded() -> list[Loaded]:
    """The models that the app itself has in memory: the one that answers, and those that search."""
    return [found for look, _ in _holders() if (found := look())]


def held() -> int:
    """Bytes of all of them."""
    return sum(one.memory for one in loaded())


def unload(name: str = "") -> None:
    """Give back the memory of the model of that name (empty: of all), after what it is at.

    It is loaded again when it is next needed.
    """
    for look, give_back in _holders():
        if (found := look()) and name in ("", found.name):
            give_back()


def _holders() -> list[tuple[Callable[[], Loaded | None], Callable[[], Any]]]:
    return [
        (engine().loaded, lambda: engine().unload().wait()),
        (embedding.loaded, embedding.unload),
        (rerank.loaded, rerank.unload),
    ]


@st.cache_resource(max_entries=4, show_spinner=False)
def tokenizer(model: str) -> Any:
    """The tokenizer of a model that is here."""
    card = cards.card(model)
    return loading.load_tokenizer(store.directory(card), card)


class Work:
    """Something done with a model while its page may come and go: runs at once in a thread of its own.

    Attributes:
        kind: "load", "test", or "merge" of a run.
        result: what came of it; ``error`` what went wrong instead.
    """

    def __init__(self, kind: Literal["load", "test", "merge"], act: Callable[[], Any]) -> None:
        self.kind = kind
        self.result: Any = None
        self.error: Exception | None = None
        self._began, self._ended = time.monotonic(), 0.0
        threading.Thread(target=self._run, args=(act,), daemon=True, name=f"{kind}-model").start()

    def _run(self, act: Callable[[], Any]) -> None:
        try:
            self.result = act()
        except Exception as error:
            logging.getLogger("yuan").exception("%s failed", self.kind)
            self.error = error
        self._ended = time.monotonic()

    @property
    def done(self) -> bool:
        """Whether it has ended, well or not."""
        return self._ended > 0

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return (self._ended or time.monotonic()) - self._began


@st.cache_resource(show_spinner=False)
def works() -> dict[str, Work]:
    """The last thing done with each model, by card name; what was done with a run, by its id."""
    return {}


def load(card: ModelCard) -> None:
    """Bring the model into memory in the background, in place of the one that is there."""
    works()[card.name] = Work("load", lambda: engine().load(card.name).result())


def test(card: ModelCard) -> None:
    """Let the model do one small thing in the background."""
    works()[card.name] = Work("test", lambda: check.check(card, engine()))
