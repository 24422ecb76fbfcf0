"""What fits into the model: tokens of an answer, room for passages, and few-shot examples that give way."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.generation import ask, prompts, strategies
from core.generation.templates import COT, Template
from core.models import store
from core.models.cards import ModelCard
from core.rag.context import Room

SHORTEST, LONGEST = 32, 1024
REASONING = 192
"""New tokens for the steps before an answer."""
TOO_LONG = "too long"
"""How an answer "finishes" that was not asked for, since its prompt does not fit into the model."""


@dataclass(frozen=True)
class Lengths:
    """What a model can read and write in one experiment.

    Attributes:
        model: its catalog name.
        answer: new tokens allowed for an answer.
        frame: tokens that the chat format puts about a question.
    """

    model: str
    answer: int
    frame: int
    tokenizer: Any
    config: Any

    def new_tokens(self, kind: str) -> int:
        """What may be written under a strategy of this kind, the reasoning included."""
        return self.answer + (REASONING if kind == COT else 0)

    def fits(self, prompt: str, kind: str) -> bool:
        """Whether a prompt leaves room for its answer."""
        limit = prompts.longest_prompt(self.config, self.new_tokens(kind))
        # A token is a byte at least, and a control token's letters are told apart by one more: most prompts need not
        # be tokenized to be known to fit.
        if len(prompt.encode()) * 3 // 2 + self.frame <= limit:
            return True
        return self.tokens(prompt) <= limit

    def tokens(self, prompt: str) -> int:
        """Tokens of a prompt in the model's chat format."""
        return len(prompts.encode(self.tokenizer, prompts.conversation(prompt)))

    def room(self, templates: Iterable[Template], question: str) -> Room:
        """How much of passages fits beside a question under each of the strategies, their examples left out."""
        asked = [(strategies.prompt(one, question), self.new_tokens(one.kind)) for one in templates]
        found = [one for text, tokens in asked if (one := ask.room(self.model, text, (), tokens))]
        return Room(min(tokens for tokens, _ in found), found[0][1])


def of(card: ModelCard, rows: Sequence[Mapping[str, Any]]) -> Lengths | None:
    """The lengths of an experiment's frozen rows; None while the model, and so its tokenizer, is not on disk.

    An answer may have a quarter more tokens than the longest reference, 32 at least, and half of the model's at most.
    """
    if not store.is_ready(card):
        return None
    tokenizer, config = ask.tokenizer_and_config(card.name, store.directory(card))
    longest = max(prompts.count(tokenizer, text) for row in rows for text in row["expected"]["references"])
    most = min(LONGEST, prompts.longest_prompt(config, 0) // 2)
    frame = len(prompts.encode(tokenizer, prompts.conversation("x")))
    return Lengths(card.name, max(SHORTEST, min(most, longest * 5 // 4)), frame, tokenizer, config)
