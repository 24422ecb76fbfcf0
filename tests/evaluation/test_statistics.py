"""Intervals hold their mean, agree with a bootstrap done by hand, and differences are judged on the same rows."""

import time
from itertools import combinations

import numpy as np
import pytest
from scipy.stats import binomtest, bootstrap, permutation_test
from sklearn.metrics import f1_score

from core.evaluation.metrics.classes import counts, macro_f1
from core.evaluation.statistics import (
    FEWEST,
    HIGHER,
    LOWER,
    TOO_FEW,
    UNCLEAR,
    contrast,
    contrasts,
    holm,
    interaction,
    interval,
    proportion,
)

VALUES = np.random.default_rng(1).beta(2, 5, 80).tolist()


@pytest.mark.parametrize("values", [VALUES, VALUES[:5], [0.0, 1.0], [0.1, 0.1, 0.9]])
def test_an_interval_holds_its_mean(values: list[float]) -> None:
    found = interval(values)
    assert found["low"] <= found["mean"] <= found["high"]
    assert found["low"] < found["high"]
    assert found["mean"] == pytest.approx(sum(values) / len(values))
    assert found["n"] == len(values)
    assert min(values) <= found["low"]
    assert found["high"] <= max(values)


def test_it_is_the_percentile_bootstrap_of_the_mean() -> None:
    chance = np.random.default_rng(123)
    means = [chance.choice(VALUES, len(VALUES)).mean() for _ in range(10_000)]
    low, high = np.percentile(means, [2.5, 97.5])
    found = interval(VALUES)
    assert found["low"] == pytest.approx(low, abs=0.1 * (high - low))
    assert found["high"] == pytest.approx(high, abs=0.1 * (high - low))


def test_more_rows_narrow_it() -> None:
    few, many = interval(VALUES[:20]), interval(VALUES * 4)
    assert many["high"] - many["low"] < few["high"] - few["low"]


def test_the_same_values_give_the_same_interval() -> None:
    assert interval(VALUES) == interval(VALUES)


@pytest.mark.parametrize("values", [[0.4], [0.4] * 9, [0.0, 0.0]])
def test_without_spread_the_interval_is_the_value(values: list[float]) -> None:
    found = interval(values)
    assert found["low"] == found["mean"] == found["high"] == pytest.approx(values[0])


def test_a_clear_gain_has_a_sign_an_interval_above_zero_and_a_small_p() -> None:
    better = [value + 0.2 + 0.01 * (i % 3) for i, value in enumerate(VALUES)]
    gain, loss = contrast(VALUES, better), contrast(better, VALUES)
    assert gain["delta"] == pytest.approx(np.mean(better) - np.mean(VALUES))
    assert 0 < gain["low"] <= gain["delta"] <= gain["high"]
    assert gain["p"] < 0.01
    assert loss["delta"] == pytest.approx(-gain["delta"])
    assert loss["high"] < 0
    assert loss["p"] < 0.01


def test_the_same_answers_are_no_difference() -> None:
    found = contrast(VALUES, VALUES)
    n = len(VALUES)
    spread = {"delta": 0.0, "low": 0.0, "high": 0.0, "p": 1.0, "n": n}
    assert found == {**spread, "helped": 0, "hurt": 0, "unchanged": n}


def test_noise_alone_is_not_significant() -> None:
    noise = np.random.default_rng(7).normal(0, 0.1, len(VALUES))
    noise -= noise.mean()
    found = contrast(VALUES, (np.asarray(VALUES) + noise).tolist())
    assert found["p"] > 0.5
    assert found["low"] < 0 < found["high"]


def test_rows_are_compared_with_themselves() -> None:
    """A small gain on every row is clear, though it drowns in the spread between the rows."""
    steady = [value + 0.01 for value in VALUES]
    assert contrast(VALUES, steady)["p"] < 0.01
    shuffled = np.random.default_rng(2).permutation(steady).tolist()
    assert contrast(VALUES, shuffled)["p"] > 0.05


def test_few_rows_are_counted_exactly() -> None:
    """Three rows that all gain: of the 2^3 sign flips only all-plus and all-minus are as far off, p = 2/8."""
    assert contrast([0, 0, 0], [0.1, 0.2, 0.3])["p"] == pytest.approx(0.25)


def test_one_row_says_nothing() -> None:
    found = contrast([0.1], [0.5])
    assert found["delta"] == pytest.approx(0.4)
    assert found["p"] == 1.0


def test_the_interval_is_scipys_percentile_bootstrap() -> None:
    found = interval(VALUES)
    theirs = bootstrap((VALUES,), np.mean, n_resamples=20_000, method="percentile", rng=np.random.default_rng(3))
    width = theirs.confidence_interval.high - theirs.confidence_interval.low
    assert found["low"] == pytest.approx(theirs.confidence_interval.low, abs=0.06 * width)
    assert found["high"] == pytest.approx(theirs.confidence_interval.high, abs=0.06 * width)


@pytest.mark.parametrize("n", [4, 9, 13])
def test_up_to_thirteen_rows_p_is_scipys_exact_one(n: int) -> None:
    chance = np.random.default_rng(n)
    a, b = chance.random(n), chance.random(n) + 0.2
    theirs = permutation_test((b - a,), np.mean, permutation_type="samples", n_resamples=np.inf)
    assert contrast(a, b)["p"] == pytest.approx(theirs.pvalue)


def test_with_more_rows_p_is_near_scipys() -> None:
    chance = np.random.default_rng(5)
    a = chance.random(60)
    b = a + chance.normal(0.04, 0.15, 60)
    ours = contrast(a, b)["p"]
    theirs = permutation_test(
        (b - a,), np.mean, permutation_type="samples", n_resamples=9999, rng=np.random.default_rng(9)
    )
    assert 0.005 < theirs.pvalue < 0.5
    assert ours == pytest.approx(theirs.pvalue, abs=0.015)


def test_right_and_wrong_rows_are_judged_as_by_mcnemars_exact_test() -> None:
    a = [0.0] * 9 + [1.0] * 2 + [1.0] * 15
    b = [1.0] * 9 + [0.0] * 2 + [1.0] * 15
    assert contrast(a, b)["p"] == pytest.approx(binomtest(2, 11).pvalue, abs=0.01)


@pytest.mark.parametrize(("hits", "n"), [(0, 10), (10, 10), (3, 10), (40, 100)])
def test_a_share_has_wilsons_interval(hits: int, n: int) -> None:
    found = proportion([1.0] * hits + [0.0] * (n - hits))
    theirs = binomtest(hits, n).proportion_ci(method="wilson")
    assert (found["mean"], found["n"]) == (hits / n, n)
    assert (found["low"], found["high"]) == pytest.approx((theirs.low, theirs.high))


def test_helped_hurt_and_unchanged_rows_are_counted() -> None:
    a, b = [0.5, 0.5, 0.5, 0.5], [0.505, 0.6, 0.3, 0.5]
    found = contrast(a, b, tie=0.01)
    assert (found["helped"], found["hurt"], found["unchanged"]) == (1, 1, 2)
    found = contrast(a, b, higher_is_better=False)
    assert (found["helped"], found["hurt"], found["unchanged"]) == (1, 2, 1)


def test_many_contrasts_are_those_one_by_one() -> None:
    chance = np.random.default_rng(4)
    values = {arm: chance.random(40).tolist() for arm in "abc"}
    values["d"] = [None, None, *chance.random(38).tolist()]
    pairs = [("a", "b"), ("c", "a"), ("a", "d")]
    found = contrasts(values, pairs)
    assert [(one["a"], one["b"]) for one in found] == pairs
    for one, (a, b) in zip(found, pairs, strict=True):
        rows = slice(2 if b == "d" else 0, None)
        alone = contrast(values[a][rows], values[b][rows])
        assert {name: one[name] for name in alone} == pytest.approx(alone)
        assert one["n"] == (38 if b == "d" else 40)
    assert [one["p_adjusted"] for one in found] == holm([one["p"] for one in found])


def test_a_pair_without_a_common_row_is_left_out() -> None:
    assert contrasts({"a": [None, 1.0], "b": [1.0, None]}, [("a", "b")]) == []


def test_holms_correction_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def macro(wanted: np.ndarray, chosen: np.ndarray) -> float:
    hits = [((wanted == k) & (chosen == k)).sum() for k in range(3)]
    return float(np.mean([2 * hits[k] / ((wanted == k).sum() + (chosen == k).sum()) for k in range(3)]))


def test_figures_that_are_no_means_are_resampled_by_row() -> None:
    """Macro-F1 on resamples and exchanges drawn here."""
    chance = np.random.default_rng(8)
    wanted = chance.integers(0, 3, 60)
    a, b = (np.where(chance.random(60) < share, wanted, chance.integers(0, 3, 60)) for share in (0.4, 0.6))
    labels = ("0", "1", "2")
    parts = [[counts(str(w), str(c), labels) for w, c in zip(wanted, chosen, strict=True)] for chosen in (a, b)]
    found = contrast(*parts, aggregate=macro_f1)
    observed = macro(wanted, b) - macro(wanted, a)
    assert macro(wanted, b) == pytest.approx(f1_score(wanted, b, average="macro"))
    assert found["delta"] == pytest.approx(observed)
    drawn, exchanged = [], 0
    for _ in range(400):
        rows = chance.integers(0, 60, 60)
        drawn.append(macro(wanted[rows], b[rows]) - macro(wanted[rows], a[rows]))
        swap = chance.random(60) < 0.5
        x, y = np.where(swap, b, a), np.where(swap, a, b)
        exchanged += abs(macro(wanted, y) - macro(wanted, x)) >= abs(observed) - 1e-9
    low, high = np.percentile(drawn, [2.5, 97.5])
    assert (found["low"], found["high"]) == pytest.approx((low, high), abs=0.15 * (high - low))
    assert found["p"] == pytest.approx(exchanged / 400, abs=0.06)


def test_the_interaction_is_the_difference_of_differences() -> None:
    chance = np.random.default_rng(6)
    a, b, c = (chance.random(40) for _ in range(3))
    d = b + c - a + 0.1 + chance.normal(0, 0.05, 40)
    found = interaction([a, b, c, d])
    alone = contrast(b - a, d - c)
    assert {name: found[name] for name in ("delta", "low", "high", "p", "n")} == pytest.approx(
        {name: alone[name] for name in ("delta", "low", "high", "p", "n")}
    )
    assert found["delta"] == pytest.approx(np.mean((d - c) - (b - a)))
    assert found["verdict"] == HIGHER
    assert interaction([a, b, c, b + c - a])["verdict"] == UNCLEAR


def test_the_interaction_is_of_the_rows_that_all_four_have() -> None:
    cells = [[0.1, 0.2, None, 0.4], [0.2, 0.2, 0.3, 0.5], [0.3, None, 0.1, 0.2], [0.9, 0.8, 0.7, 0.6]]
    found = interaction(cells)
    assert found is not None
    assert found["n"] == 2
    assert found["delta"] == pytest.approx(((0.9 - 0.3 - 0.2 + 0.1) + (0.6 - 0.2 - 0.5 + 0.4)) / 2)
    assert found["verdict"] == TOO_FEW
    assert interaction([[None], [1.0], [1.0], [1.0]]) is None


@pytest.mark.parametrize(
    ("gain", "n", "code"),
    [(0.3, FEWEST - 1, TOO_FEW), (0.3, FEWEST, HIGHER), (-0.3, FEWEST, LOWER), (0.0, 200, UNCLEAR)],
)
def test_a_verdict_needs_rows_and_a_clear_difference(gain: float, n: int, code: str) -> None:
    chance = np.random.default_rng(n)
    noise = chance.normal(0, 0.1, n)
    noise -= noise.mean()
    found = contrasts({"a": [0.5] * n, "b": (0.5 + gain + noise).tolist()}, [("a", "b")])[0]
    assert found["verdict"] == code


def test_more_rows_than_fit_a_block_are_resampled_alike() -> None:
    values = np.random.default_rng(2).random(2500)
    found = interval(values)
    error = values.std() / 50
    assert found["low"] == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert found["high"] == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_all_contrasts_of_a_large_comparison_take_seconds() -> None:
    """1,000 rows, 8 arms, 6 metrics, all 28 pairs: about 1 s of one core; the limit leaves room for a busy one."""
    chance = np.random.default_rng(0)
    arms = [f"arm {number}" for number in range(8)]
    began = time.process_time()
    for _ in range(6):
        values = {arm: chance.random(1000) for arm in arms}
        for arm in arms:
            interval(values[arm])
        assert len(contrasts(values, list(combinations(arms, 2)))) == 28
    assert time.process_time() - began < 6
