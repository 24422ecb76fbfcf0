"""Every metric by name: which rows it is for, what it makes of an answer, and how it is summed up over rows.

What each means in words stands in the locale files, ``[metrics.NAME]``.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np

from core.evaluation import statistics
from core.evaluation.metrics import answers, classes, extraction
from core.evaluation.metrics.cases import ANSWER, CLASS, EXTRACTION, OPEN, SUMMARY, Expected, Output
from core.evaluation.metrics.ngrams import ROUGE, rouge_row
from core.evaluation.metrics.refusal import refused
from core.evaluation.metrics.tokens import CHARACTER
from core.evaluation.statistics import Aggregate, mean

Parts = tuple[float, ...]
"""What a row adds to a metric's sums, see :mod:`core.evaluation.statistics`."""


def ratio(sums: np.ndarray, rows: int) -> np.ndarray:
    """The first sum in units of the second: tokens per second. 0 where there is nothing of the second."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.zeros(sums.shape[:-1]), where=sums[..., 1] > 0)


def micro(sums: np.ndarray, rows: int) -> np.ndarray:
    """Right ones in proportion to all of them, over the whole set: (right, all); 1 where there are none at all."""
    return np.divide(sums[..., 0], sums[..., 1], out=np.ones(sums.shape[:-1]), where=sums[..., 1] > 0)


def exponential(sums: np.ndarray, rows: int) -> np.ndarray:
    """e to the mean loss of a token, from (loss, tokens): perplexity."""
    return np.exp(ratio(sums, rows))


@dataclass(frozen=True)
class Metric:
    """A metric.

    Attributes:
        name: in tables, JSON and the locale files.
        applies: whether a row has what it is measured by.
        compute: what an answer adds to the sums; None: this answer has no value (no passages were read, say).
        aggregate: the figure of the summed parts; of one row's parts it is that row's own figure.
        unit: share (0 to 1), tokens, seconds, tokens/s, or none at all.
        better: higher, lower, or neither, where a difference is no gain.
        tie: differences of a row up to this are no change.
        binary: rows are right or wrong, so that the interval is Wilson's.
        tokenized: it counts tokens, so that its figures depend on the tokenizer.
    """

    name: str
    applies: Callable[[Expected], bool]
    compute: Callable[[Expected, Output], Parts | None]
    aggregate: Aggregate = mean
    unit: Literal["share", "tokens", "seconds", "tokens/s", ""] = "share"
    better: Literal["higher", "lower", ""] = "higher"
    tie: float = 0.0
    binary: bool = False
    tokenized: bool = False

    def row(self, parts: Parts) -> float:
        """A row's own figure."""
        return float(self.aggregate(np.asarray(parts, float), 1))

    def summary(self, values: Sequence[Parts | None], seed: int = 0) -> dict[str, float] | None:
        """{"mean", "low", "high", "n"} over the rows with a value; None where no row has one."""
        there = [value for value in values if value is not None]
        if not there:
            return None
        if self.binary and all(value[0] in (0.0, 1.0) for value in there):  # not the mean over several answers
            return statistics.proportion([value[0] for value in there])
        return statistics.interval(there, seed, self.aggregate)

    def contrasts(
        self, values: dict[str, Sequence[Parts | None]], pairs: Sequence[tuple[str, str]], seed: int = 0
    ) -> list[dict[str, Any]]:
        """:func:`core.evaluation.statistics.contrasts` of arms by name, as this metric counts.

        Returns:
            The same, with the metric's name, and p adjusted over these contrasts as "p_holm".
        """
        found = statistics.contrasts(values, pairs, seed, self.aggregate, self.tie, self.better != "lower")
        return [{"metric": self.name, "p_holm": one.pop("p_adjusted"), **one} for one in found]


def registry(tokenizer: str = CHARACTER) -> dict[str, Metric]:
    """All metrics by name, in the order of tables.

    Args:
        tokenizer: of ROUGE and token F1, see :data:`core.evaluation.metrics.tokens.TOKENIZERS`.

    Example:
        >>> metric = registry()["exact"]
        >>> row = expected({"question": "?", "output": "1952"})
        >>> metric.compute(row, Output("1952.")) if metric.applies(row) else None
        (1.0,)
    """
    found = [
        *(
            Metric(name, _kind(SUMMARY, ANSWER, OPEN, EXTRACTION), _rouge(name, tokenizer), tie=0.01, tokenized=True)
            for name in ROUGE
        ),
        Metric("exact", _kind(ANSWER), _exact, binary=True),
        Metric("token_f1", _kind(ANSWER), partial(_token_f1, tokenizer), tie=0.01, tokenized=True),
        Metric("field_f1", _kind(EXTRACTION), _field_f1, micro, tie=0.01),
        Metric("field_precision", _kind(EXTRACTION), _field_precision, micro, tie=0.01),
        Metric("field_recall", _kind(EXTRACTION), _field_recall, micro, tie=0.01),
        Metric("valid_json", _kind(EXTRACTION), _valid_json, binary=True),
        Metric("accuracy", _kind(CLASS), _accuracy, binary=True),
        Metric("macro_f1", _kind(CLASS), _macro_f1, classes.macro_f1),
        Metric("refusal", lambda row: row.answerable is False, _refusal, binary=True),
        Metric("false_refusal", lambda row: row.answerable is True, _refusal, better="lower", binary=True),
        Metric("faithfulness", _kind(ANSWER, SUMMARY, OPEN), _faithfulness),
        Metric("retrieval_hit", lambda row: bool(row.sources), _hit, binary=True),
        Metric("perplexity", lambda row: True, _perplexity, exponential, unit="", better="lower", tie=0.01),
        Metric("length", lambda row: True, lambda row, out: (float(out.tokens),), unit="tokens", better=""),
        Metric("latency", lambda row: True, lambda row, out: (out.seconds,), unit="seconds", better="lower", tie=0.05),
        Metric("speed", lambda row: True, lambda row, out: (float(out.tokens), out.seconds), ratio, unit="tokens/s"),
    ]
    return {metric.name: metric for metric in found}


def _kind(*kinds: str) -> Callable[[Expected], bool]:
    return lambda row: row.kind in kinds


def _rouge(name: str, tokenizer: str) -> Callable[[Expected, Output], Parts]:
    return lambda row, out: (rouge_row(out.text, row.references, tokenizer)[name],)


def _exact(row: Expected, out: Output) -> Parts:
    """Where there is no answer, a refusal in any words is the right one."""
    if row.answerable is False:
        return _refusal(row, out)
    return (answers.exact(out.text, row.references),)


def _token_f1(tokenizer: str, row: Expected, out: Output) -> Parts:
    if row.answerable is False:
        return _refusal(row, out)
    return (answers.token_f1(out.text, row.references, tokenizer),)


def _field_f1(row: Expected, out: Output) -> Parts:
    fields = extraction.compare(out.text, row.references)
    return (2.0 * fields.right, float(fields.expected + fields.given))


def _field_precision(row: Expected, out: Output) -> Parts | None:
    """An answer without a field has none that could be wrong."""
    fields = extraction.compare(out.text, row.references)
    return (float(fields.right), float(fields.given)) if fields.given or not fields.expected else None


def _field_recall(row: Expected, out: Output) -> Parts:
    fields = extraction.compare(out.text, row.references)
    return (float(fields.right), float(fields.expected))


def _valid_json(row: Expected, out: Output) -> Parts:
    return (float(extraction.valid_json(out.text)),)


def _accuracy(row: Expected, out: Output) -> Parts:
    return (float(classes.class_of(out.text, row.labels) in row.references),)


def _macro_f1(row: Expected, out: Output) -> Parts:
    return classes.counts(row.references[0], classes.class_of(out.text, row.labels), row.labels)


def _refusal(row: Expected, out: Output) -> Parts:
    return (float(refused(out.text)),)


def _faithfulness(row: Expected, out: Output) -> Parts | None:
    """A refusal rests on no passage, and no answer at all has no sentence."""
    if not out.supported or refused(out.text):
        return None
    return (sum(out.supported) / len(out.supported),)


def _hit(row: Expected, out: Output) -> Parts | None:
    return None if out.sources is None else (float(any(source in row.sources for source in out.sources)),)


def _perplexity(row: Expected, out: Output) -> Parts | None:
    if not out.log_probabilities:
        return None
    return (-float(sum(out.log_probabilities)), float(len(out.log_probabilities)))
