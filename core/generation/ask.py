"""One question to one or several arms at once: the step from retrieved passages to a batch for the engine."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from core.errors import UserError
from core.generation import prompts
from core.generation.engine import Answer, Engine, Generation, Options, Request


@dataclass(frozen=True)
class Arm:
    """One combination under comparison: with or without the knowledge base, base model or an adapter.

    ``adapter`` is the run's name (empty: base model) and ``adapter_path`` the directory its weights lie in.
    """

    rag: bool = False
    adapter: str = ""
    adapter_path: Path | None = field(default=None, compare=False)

    @property
    def key(self) -> str:
        """The arm's cell of the 2x2 bench: base, base_rag, tuned or tuned_rag."""
        return ("tuned" if self.adapter else "base") + ("_rag" if self.rag else "")


def submit(
    engine: Engine,
    model: str,
    question: str,
    arms: Sequence[Arm],
    passages: Sequence[str] = (),
    histories: Sequence[Sequence[tuple[str, str]]] | None = None,
    options: Options | None = None,
) -> Generation:
    """Ask all arms in one batch.

    Args:
        passages: what the arms with a knowledge base read before they answer.
        histories: per arm, the earlier (question, answer) pairs of its own conversation.

    Raises:
        UserError: the question is empty.
    """
    if not question.strip():
        raise UserError("The question is empty.", "Type a question.")
    requests = []
    for arm, history in zip(arms, histories or [()] * len(arms), strict=True):
        asked = prompts.with_context(question, passages) if arm.rag else question
        requests.append(Request(prompts.conversation(asked, history), arm.adapter_path))
    return engine.submit(model, requests, options)


def record(model: str, arm: Arm, answer: Answer, passages: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """An answer as it is kept in a conversation and printed by the command line."""
    return {
        "rag": arm.rag,
        "model": model,
        "adapter": arm.adapter or None,
        **asdict(answer),
        "passages": list(passages) if arm.rag else [],
    }
