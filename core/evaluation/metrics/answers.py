"""Short answers: whether they are what was expected, and how much of it they have (as SQuAD does, and in Chinese)."""

from collections import Counter
from collections.abc import Sequence

from core.evaluation.metrics.normal import normalise
from core.evaluation.metrics.tokens import CHARACTER, pieces


def exact(answer: str, references: Sequence[str]) -> float:
    """1.0 where the answer is one of the references but for width, case, punctuation, articles and forms of numbers."""
    given = pieces(normalise(answer), CHARACTER)
    return float(any(given == pieces(normalise(reference), CHARACTER) for reference in references))


def token_f1(answer: str, references: Sequence[str], tokenizer: str = CHARACTER) -> float:
    """F1 of the tokens that answer and reference share, 0 to 1, against the best reference.

    Where either has no token at all, 1.0 if neither has (SQuAD's rule).
    """
    given = pieces(normalise(answer), tokenizer)
    return max((_f1(given, pieces(normalise(reference), tokenizer)) for reference in references), default=0.0)


def _f1(given: Sequence[str], wanted: Sequence[str]) -> float:
    if not given or not wanted:
        return float(not given and not wanted)
    shared = (Counter(given) & Counter(wanted)).total()
    return 2 * shared / (len(given) + len(wanted))
