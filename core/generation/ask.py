"""One question to one or several arms at once: the step from retrieved passages to a batch for the engine."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.generation import prompts, strategies
from core.generation.engine import Engine, Options, Request
from core.generation.strategies import Strategy
from core.generation.watching import Answer, Generation
from core.models import IMPORTING, adapters, cards, loading, store

History = Sequence[tuple[str, str]]
"""The earlier (question, answer) pairs of a conversation, oldest first."""
REWRITING = 64  # tokens of a rewritten question, or of a few
MOST_ARMS = 8  # answered at once


@dataclass(frozen=True)
class Arm:
    """One combination under comparison: with or without the knowledge base, base model or an adapter, a strategy.

    ``adapter`` is the run's name (empty: base model) and ``adapter_path`` the directory its weights lie in. A
    ``reader`` is an adapter for answering from passages, of no use where there are none.
    """

    rag: bool = False
    adapter: str = ""
    adapter_path: Path | None = field(default=None, compare=False)
    reader: bool = False
    strategy: Strategy = field(default_factory=strategies.zero_shot)

    @property
    def key(self) -> str:
        """The arm's cell of the 2x2 bench: base, base_rag, tuned or tuned_rag."""
        return ("tuned" if self.adapter else "base") + ("_rag" if self.rag else "")

    def given(self, passages: Sequence[Any]) -> "Arm":
        """The arm that really answers, once it is known what was found."""
        return replace(self, adapter="", adapter_path=None, reader=False) if self.reader and not passages else self


def arms(
    model: str,
    question: str,
    uses: Sequence[bool],
    adapter: str = "",
    path: Path | None = None,
    reads: bool = True,
    strategy: Strategy | None = None,
) -> list[Arm]:
    """The arms of one question, one for each of ``uses`` (without, with a knowledge base).

    Args:
        adapter, path: a run's id and its weights, for all arms; empty: the base model.
        reads: without an adapter, the one that comes with the app for this model and the question's language is used
            where passages are read (:func:`core.models.adapters.reader`).
        strategy: of all arms; None: zero-shot.
    """
    own = adapters.reader(model, prompts.language(question)) if reads and not adapter else None
    how = strategy or strategies.zero_shot()
    return [
        Arm(use, own.name, own.folder, True, how) if own and use else Arm(use, adapter, path, strategy=how)
        for use in uses
    ]


def grid(paths: Mapping[str, Path], how: Sequence[Strategy], uses: Sequence[bool] = (False, True)) -> list[Arm]:
    """Every arm of {base model, adapters} × strategies × {without, with the knowledge base}, in this order.

    Args:
        paths: the adapters' weights by id.

    Raises:
        UserError: there is no strategy, or there are more arms than are answered at once.
    """
    models: list[tuple[str, Path | None]] = [("", None), *paths.items()]
    made = [Arm(use, name, path, strategy=one) for name, path in models for one in how for use in uses]
    if not made:
        raise UserError("No prompt strategy was chosen.", "Choose at least one.")
    if len(made) > MOST_ARMS:
        raise UserError(
            "{count} answers were to be written at once; {most} can be.",
            "Choose fewer adapters or strategies.",
            count=len(made),
            most=MOST_ARMS,
        )
    return made


def submit(
    engine: Engine,
    model: str,
    question: str,
    arms: Sequence[Arm],
    passages: Sequence[dict[str, Any]] = (),
    histories: Sequence[History] | None = None,
    options: Options | None = None,
) -> Generation:
    """Ask all arms in one batch.

    Args:
        passages: what the arms with a knowledge base read before they answer (keys text, source, heading).
        histories: per arm, its own conversation so far.

    Raises:
        UserError: the question is empty.
    """
    if not question.strip():
        raise UserError("The question is empty.", "Type a question.")
    read = prompts.reading(question, passages, cards.card(model).source_tags)
    requests = []
    for arm, history in zip(arms, histories or [()] * len(arms), strict=True):
        asked = arm.strategy.prompt(question, read if arm.rag else ())
        requests.append(Request(prompts.conversation(asked, history), arm.given(passages).adapter_path))
    return engine.submit(model, requests, options)


def fitting(
    model: str, question: str, arms: Sequence[Arm], passages: Sequence[dict[str, Any]], max_new_tokens: int
) -> list[Arm]:
    """The arms with as many few-shot examples as the model has room for beside question, passages and answer.

    Arms of one strategy keep the same examples, so that they differ in nothing else. While the model is not on disk,
    and so its tokenizer not at hand, all examples stay.
    """
    card = cards.card(model)
    if not store.is_ready(card) or not any(arm.strategy.examples for arm in arms):
        return list(arms)
    tokenizer, config = tokenizer_and_config(model, store.directory(card))
    limit = prompts.longest_prompt(config, max_new_tokens)
    read = prompts.reading(question, passages, card.source_tags)

    def fitted(arm: Arm) -> Strategy:
        uses = {other.rag for other in arms if other.strategy == arm.strategy}

        def fits(how: Strategy) -> bool:
            asked = (prompts.conversation(how.prompt(question, read if rag else ())) for rag in uses)
            return all(len(prompts.encode(tokenizer, messages)) <= limit for messages in asked)

        return arm.strategy.within(fits)

    return [replace(arm, strategy=fitted(arm)) for arm in arms]


def room(
    model: str, question: str, history: History, max_new_tokens: int
) -> tuple[int, Callable[[dict[str, Any]], int]] | None:
    """How much of passages the model can read beside question, history and answer.

    Returns:
        Tokens, and a function that counts those of a passage as it stands in the prompt; None while the model is not
        on disk, so that its tokenizer is not at hand.
    """
    card = cards.card(model)
    if not store.is_ready(card):
        return None
    tokenizer, config = tokenizer_and_config(model, store.directory(card))
    # An empty passage leaves the frame of a prompt with passages.
    messages = prompts.conversation(prompts.with_context(question, [""]), history)
    tokens = prompts.room_for_passages(tokenizer, messages, prompts.longest_prompt(config, max_new_tokens))

    def count(passage: dict[str, Any]) -> int:
        [text] = prompts.reading(question, [passage], card.source_tags)
        return prompts.count(tokenizer, text + "\n")

    return tokens, count


@lru_cache(maxsize=2)
def tokenizer_and_config(model: str, folder: Path) -> tuple[Any, Any]:
    """The model's tokenizer and configuration, without its weights."""
    tokenizer = loading.load_tokenizer(folder, cards.card(model))
    with IMPORTING:
        from transformers import AutoConfig

        return tokenizer, AutoConfig.from_pretrained(folder, local_files_only=True, trust_remote_code=False)


def writer(engine: Engine, model: str) -> Callable[[str], str]:
    """The base model as a function from an instruction to what it writes, greedily and briefly."""

    def write(instruction: str) -> str:
        rows = [Request(prompts.conversation(instruction))]
        return engine.submit(model, rows, Options(max_new_tokens=REWRITING)).result()[0].text

    return write


def record(model: str, arm: Arm, answer: Answer, passages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An answer as it is kept in a conversation and printed by the command line.

    Once it is finished, its reasoning stands apart from it; while it grows nobody can tell the two apart.
    """
    template = arm.strategy.template
    said = strategies.extract(template, answer.text) if answer.finish else strategies.Extracted(answer.text)
    return {
        "rag": arm.rag,
        "model": model,
        "adapter": arm.given(passages).adapter or None,
        "strategy": template.name,
        "template": template.version,
        "examples": len(arm.strategy.examples),
        "left_out": arm.strategy.left_out,
        **asdict(answer),
        "text": said.answer,
        "reasoning": said.reasoning,
        "passages": list(passages) if arm.rag else [],
    }
