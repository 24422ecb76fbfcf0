"""Few-shot examples: which data set they come from, and those a strategy shows for a question."""

from collections.abc import Sequence

from core.duplicates import similarity
from core.errors import UserError
from core.generation import prompts, strategies
from core.generation.strategies import Example, Strategy
from core.generation.templates import FEW_SHOT, SIMILAR, Template
from core.training import runs
from core.training.data import datasets
from core.training.data.columns import Row
from core.training.data.datasets import Dataset


def asked(row: Row, alone: bool) -> str:
    """What a row asks; ``alone``: by its question, without the passage that it brings."""
    return str(row["question"] if alone and "context" in row and "question" in row else row["input"])


def pool(data: Dataset, alone: bool = True) -> list[Example]:
    """The rows of the train split as examples.

    Raises:
        UserError: a set of running text asks nothing.
    """
    return [Example(asked(row, alone), row["output"]) for row in data.examples()]


def choose(template: Template, question: str, examples: Sequence[Example], seed: int = 0) -> list[Example]:
    """The examples that a strategy shows for a question, see :func:`core.generation.strategies.choose`; none unless it
    is few-shot."""
    if template.kind != FEW_SHOT:
        return []
    return strategies.choose(template, question, examples, seed, likeness if template.pick == SIMILAR else None)


def likeness(question: str, others: Sequence[str]) -> list[float]:
    """How like a question others are, by their wording."""
    return [similarity(question, other) for other in others]


def prepared(chosen: Sequence[Template], question: str, dataset: str = "", adapter: str = "") -> list[Strategy]:
    """Strategies ready to ask one question with.

    Args:
        dataset: where examples come from, by name or path; empty: the :func:`default` for the adapter.

    Raises:
        UserError: no such data set, or one without answers.
    """
    shown = any(template.kind == FEW_SHOT for template in chosen)
    examples = pool(datasets.load(dataset or default(adapter, question))) if shown else []
    return [Strategy(template, tuple(choose(template, question, examples))) for template in chosen]


def default(adapter: str = "", question: str = "") -> str:
    """The data set to take examples from: the one an adapter was trained on where it is here, else passage questions
    in the question's language."""
    try:
        trained_on = adapter if adapter in datasets.listing() else runs.show(adapter)["config"]["dataset"]
    except UserError:
        trained_on = ""
    return trained_on if trained_on in datasets.listing() else f"rag-qa-{prompts.language(question)}"
