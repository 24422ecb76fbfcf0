"""Intervals hold their mean, agree with a bootstrap done by hand, and differences are judged on the same rows."""

import numpy as np
import pytest

from core.evaluation.statistics import contrast, interval

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
