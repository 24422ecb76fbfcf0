"""Blind votes: nothing lost, nothing counted twice, and figures that scipy and scikit-learn agree with."""

import csv
import io
import random
from pathlib import Path
from typing import Any

import pytest
from scipy.stats import binomtest
from sklearn.metrics import cohen_kappa_score

from core.errors import UserError
from core.evaluation import export, statistics, votes
from core.evaluation.lengths import TOO_LONG
from core.evaluation.votes import BAD, SAME, A, B, Poll
from tests.helpers.experiments import RIGHT, made, square

POLL = Poll("base", "run-a+kb", "me")


@pytest.fixture(scope="module")
def experiment() -> dict[str, Any]:
    return made(square(), RIGHT)


def test_rows_come_in_a_voters_own_order_each_arm_on_either_side(experiment: dict[str, Any]) -> None:
    found = votes.ballots(experiment, POLL)
    # Rows 0, 22 and 23 read the same in both arms.
    assert sorted(ballot.row for ballot in found) == list(range(1, 22)) and votes.alike(experiment, POLL) == 3
    assert [ballot.row for ballot in found] != list(range(1, 22))
    assert {(ballot.left, ballot.right) for ballot in found} == {(A, B), (B, A)}
    assert votes.ballots(experiment, POLL) == found, "so that a vote can go on another day"
    assert votes.ballots(experiment, Poll(POLL.a, POLL.b, "you")) != found


def test_rows_answered_later_leave_the_order_as_it_was(experiment: dict[str, Any]) -> None:
    rows = [{**row, "answers": dict(row["answers"])} for row in experiment["answers"]]
    for row in rows[::3]:
        del row["answers"]["base"]
    rows[2]["answers"]["base"] = {**rows[2]["answers"]["base"], "finish": TOO_LONG}
    now = votes.ballots({**experiment, "answers": rows}, POLL)
    assert now == [ballot for ballot in votes.ballots(experiment, POLL) if ballot.row % 3 and ballot.row != 2]
    assert votes.alike({**experiment, "answers": rows}, POLL) == 2


def test_a_vote_is_kept_at_once_counts_once_and_can_be_taken_back(experiment: dict[str, Any], tmp_path: Path) -> None:
    first, second, *_ = votes.ballots(experiment, POLL)
    with pytest.raises(UserError, match="Could not write"):
        votes.cast(tmp_path / "gone", POLL, first, A)
    votes.undo(tmp_path, POLL)
    assert votes.votes(tmp_path, POLL) == {} and not (tmp_path / "votes.jsonl").exists()
    votes.cast(tmp_path, POLL, first, A)
    votes.cast(tmp_path, POLL, second, BAD)
    votes.cast(tmp_path, Poll("base", "run-a"), first, B)
    votes.cast(tmp_path, POLL, first, SAME)
    assert votes.votes(tmp_path, POLL) == {second.row: BAD, first.row: SAME}
    votes.undo(tmp_path, POLL)
    assert votes.votes(tmp_path, POLL) == {second.row: BAD}
    assert len((tmp_path / "votes.jsonl").read_text().splitlines()) == 5, "the file only grows"
    with (tmp_path / "votes.jsonl").open("a") as file:
        file.write('{"a": "ba')  # a killed writer's half line
    votes.cast(tmp_path, POLL, first, B)
    assert votes.votes(tmp_path, POLL) == {second.row: BAD, first.row: B}
    assert len(votes.standing(tmp_path)) == 3


def test_the_outcome_is_what_was_voted_held_against_the_metric(experiment: dict[str, Any]) -> None:
    """By exact match run-a+kb is better on rows 1 to 21, as good on rows 0, 22 and 23."""
    cast = {1: B, 2: B, 3: B, 4: A, 5: SAME, 22: BAD, 23: A}
    found = votes.outcome(experiment, "exact", POLL, cast)
    assert [found[part] for part in ("n", A, B, SAME, BAD)] == [7, 2, 3, 1, 1]
    wilson = binomtest(3, 5).proportion_ci(method="wilson")
    assert found["wins"] == pytest.approx({"mean": 0.6, "low": wilson.low, "high": wilson.high, "n": 5})
    assert found["p"] == pytest.approx(binomtest(3, 5).pvalue)
    assert (found["agreement"]["mean"], found["agreement"]["n"]) == (pytest.approx(4 / 7), 7)
    mine, other = [B, B, B, A, SAME, SAME, A], [B, B, B, B, B, SAME, SAME]
    assert found["kappa"] == pytest.approx(cohen_kappa_score(mine, other))
    undecided = votes.outcome(experiment, "exact", POLL, {5: SAME})
    assert (undecided["wins"], undecided["p"], undecided["kappa"]) == (None, None, 0.0)
    nothing = votes.outcome(experiment, "exact", POLL, {})
    assert (nothing["n"], nothing["wins"], nothing["agreement"], nothing["kappa"]) == (0, None, None, None)
    assert votes.outcome(experiment, "macro_f1", POLL, {1: B})["agreement"] is None, "rows have no classes"


def test_sign_test_and_kappa_are_scipys_and_scikit_learns() -> None:
    chance = random.Random(0)
    for losses, wins in [(0, 1), (0, 6), (3, 9), (50, 71), (10, 10)]:
        assert statistics.sign_test(losses, wins) == pytest.approx(binomtest(wins, losses + wins).pvalue)
    for n in (2, 20, 200):
        pairs = [(chance.choice("abs"), chance.choice("aab")) for _ in range(n)]
        assert statistics.kappa(pairs) == pytest.approx(cohen_kappa_score(*zip(*pairs, strict=True)))
    assert statistics.kappa([("a", "a")] * 3) is None


def test_votes_are_a_table_for_spreadsheets(experiment: dict[str, Any], tmp_path: Path) -> None:
    ballot = votes.ballots(experiment, POLL)[0]
    votes.cast(tmp_path, Poll(POLL.a, POLL.b, "=1+1"), ballot, B)
    text = export.votes_csv(experiment, votes.standing(tmp_path), "exact")
    [line] = csv.DictReader(io.StringIO(text.removeprefix("\ufeff")))
    assert (line["row"], line["voter"], line["vote"]) == (str(ballot.row + 1), "'=1+1", "b")
    assert (line["exact a"], line["exact b"], line["left"]) == ("0.0", "1.0", ballot.left)
