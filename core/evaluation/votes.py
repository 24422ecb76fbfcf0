"""A person's own verdict on two arms, row by row and blind, and how far a metric agrees with it.

Votes are lines of ``votes.jsonl`` in the experiment's folder, which only grows: a vote that is taken back is a line
more. A voter votes once on a row and a pair of arms; another voter sees the rows in an order of their own.
"""

import random
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core import files
from core.errors import UserError
from core.evaluation import rows, scoring, stability, statistics
from core.evaluation.lengths import TOO_LONG

A, B, SAME, BAD = "a", "b", "same", "bad"
"""Arm a's answer is better, arm b's, they are as good, or both are bad."""
BACK = ""  # instead of a vote: the last one on this row is taken back
_KINDS = (A, B, SAME)
_VERDICTS = {rows.HURT: A, rows.HELPED: B, rows.UNCHANGED: SAME}  # of a metric, in the words of votes


@dataclass(frozen=True)
class Poll:
    """What is voted on: the answers of two arms, by one voter.

    Attributes:
        a, b: names of the arms.
        voter: who votes; may be empty.
    """

    a: str
    b: str
    voter: str = ""


@dataclass(frozen=True)
class Ballot:
    """A row to be voted on.

    Attributes:
        row: its place among the experiment's answers, from 0.
        left, right: A or B, whose answer stands there.
    """

    row: int
    left: str
    right: str


def ballots(experiment: Mapping[str, Any], poll: Poll) -> list[Ballot]:
    """The rows that both arms have answered, not in the same words, in the voter's order, sides by lot.

    The order follows from the experiment, the pair and the voter alone, so that a vote goes on where it was left.
    """
    chance = random.Random("\0".join((experiment["id"], poll.a, poll.b, poll.voter)))
    drawn = [Ballot(number, *chance.choice([(A, B), (B, A)])) for number in range(len(experiment["answers"]))]
    chance.shuffle(drawn)
    return [ballot for ballot in drawn if _differ(experiment["answers"][ballot.row]["answers"], poll)]


def alike(experiment: Mapping[str, Any], poll: Poll) -> int:
    """Rows on which both arms said the very same, so that there is nothing to vote on."""
    found = [row["answers"] for row in experiment["answers"]]
    return sum(_answered(said, poll) and not _differ(said, poll) for said in found)


def cast(folder: Path, poll: Poll, ballot: Ballot, vote: str) -> None:
    """Keep a vote, at once.

    Args:
        folder: of the experiment.
        vote: A, B, SAME or BAD.

    Raises:
        UserError: the file cannot be written.
    """
    _append(folder, {**asdict(poll), **asdict(ballot), "vote": vote, "at": time.time()})


def undo(folder: Path, poll: Poll) -> None:
    """Take the voter's last vote on this pair back, if there is one.

    Raises:
        UserError: the file cannot be written.
    """
    if kept := votes(folder, poll):
        _append(folder, {**asdict(poll), "row": list(kept)[-1], "vote": BACK, "at": time.time()})


def votes(folder: Path, poll: Poll) -> dict[int, str]:
    """A voter's votes by row, the last one cast last."""
    return {line["row"]: line["vote"] for line in standing(folder) if Poll(line["a"], line["b"], line["voter"]) == poll}


def standing(folder: Path) -> list[dict[str, Any]]:
    """The lines of all votes that were not taken back: {"a", "b", "voter", "row", "left", "right", "vote", "at"}."""
    kept: dict[tuple[Any, ...], dict[str, Any]] = {}
    for line in files.read_jsonl(_file(folder)):
        key = line["a"], line["b"], line["voter"], line["row"]
        kept.pop(key, None)  # what is voted on again stands at its end
        if line["vote"] != BACK:
            kept[key] = line
    return list(kept.values())


def score(row: Mapping[str, Any], arm: str, metric: str) -> float | None:
    """An arm's figure for the answer that is voted on, of several draws the first; None: it has none."""
    found = stability.each(row["answers"][arm])[0]["scores"].get(metric)
    return None if found is None else float(found)


def outcome(experiment: Mapping[str, Any], metric: str, poll: Poll, cast_: Mapping[int, str]) -> dict[str, Any]:
    """What votes say, and whether a metric says the same.

    Args:
        metric: its name.
        cast_: of :func:`votes`.

    Returns:
        {"n": votes, "a", "b", "same", "bad": how many of each, "wins": share of b among the votes that prefer one,
        with its 95 % Wilson interval ({"mean", "low", "high", "n"}; None: no vote does), "p": two-sided sign test of
        those, "agreement": share of rows on which the metric prefers the same arm, or none where the vote does not,
        with its interval (None: no row has a vote and both scores), "kappa": the same beyond chance (None: undefined,
        since both always say the same one thing)}.
    """
    counted = {kind: sum(vote == kind for vote in cast_.values()) for kind in (A, B, SAME, BAD)}
    decided = [float(vote == B) for vote in cast_.values() if vote in (A, B)]
    by_metric = {row: _verdict(experiment, metric, poll, row) for row in cast_}
    said = [(SAME if vote == BAD else vote, by_metric[row]) for row, vote in cast_.items() if by_metric[row]]
    return {
        "n": len(cast_),
        **counted,
        "wins": statistics.proportion(decided) if decided else None,
        "p": statistics.sign_test(counted[A], counted[B]) if decided else None,
        "agreement": statistics.proportion([float(vote == other) for vote, other in said]) if said else None,
        "kappa": statistics.kappa(said) if said else None,
    }


def _verdict(experiment: Mapping[str, Any], metric: str, poll: Poll, number: int) -> str:
    """Which arm a metric prefers on a row: A, B, SAME; empty: it lacks a score."""
    row = experiment["answers"][number]
    effect = rows.effect(scoring.metrics()[metric], score(row, poll.a, metric), score(row, poll.b, metric))
    return _VERDICTS.get(effect, "")


def _answered(said: Mapping[str, Any], poll: Poll) -> bool:
    """Whether both arms were asked, and have answered."""
    return all(name in said and said[name]["finish"] != TOO_LONG for name in (poll.a, poll.b))


def _differ(said: Mapping[str, Any], poll: Poll) -> bool:
    return _answered(said, poll) and said[poll.a]["text"].strip() != said[poll.b]["text"].strip()


def _append(folder: Path, line: dict[str, Any]) -> None:
    try:
        files.append_jsonl(_file(folder), line)
    except OSError as error:
        raise UserError(
            "Could not write {path}: {why}.",
            "Free some disk space and try again.",
            path=_file(folder),
            why=error.strerror,
        ) from error


def _file(folder: Path) -> Path:
    return folder / "votes.jsonl"
