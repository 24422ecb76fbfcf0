"""Means with their uncertainty, and differences that were measured on the same rows."""

from collections.abc import Sequence
from typing import Any

RESAMPLES = 2000


def interval(values: Sequence[float], seed: int = 0) -> dict[str, float]:
    """Mean of ``values`` with its 95 % percentile bootstrap interval: {"mean", "low", "high", "n"}.

    With fewer than two values, or all of them equal, the interval is the value itself.
    """
    import numpy as np
    from scipy.stats import bootstrap

    data = np.asarray(values, dtype=float)
    mean = float(data.mean())
    if len(data) < 2 or np.ptp(data) == 0:
        return {"mean": mean, "low": mean, "high": mean, "n": len(data)}
    found = bootstrap((data,), np.mean, n_resamples=RESAMPLES, method="percentile", rng=np.random.default_rng(seed))
    low, high = found.confidence_interval
    return {"mean": mean, "low": float(low), "high": float(high), "n": len(data)}


def contrast(a: Sequence[float], b: Sequence[float], seed: int = 0) -> dict[str, Any]:
    """The mean difference b - a over the same rows, its 95 % bootstrap interval and a permutation p-value.

    Returns:
        {"delta", "low", "high", "p", "n"}; p is two-sided, from flipping the sign of each row's difference.
    """
    import numpy as np
    from scipy.stats import permutation_test

    differences = np.asarray(b, dtype=float) - np.asarray(a, dtype=float)
    spread = interval(differences.tolist(), seed)
    p = 1.0
    if len(differences) > 1 and np.any(differences):
        p = permutation_test(
            (differences,),
            np.mean,
            permutation_type="samples",
            n_resamples=RESAMPLES,
            rng=np.random.default_rng(seed),
        ).pvalue
    return {"delta": spread["mean"], "low": spread["low"], "high": spread["high"], "p": float(p), "n": spread["n"]}
