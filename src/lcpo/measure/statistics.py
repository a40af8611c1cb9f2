"""The estimators behind every number of an evaluation: pure functions on NumPy arrays, none of which returns NaN.

What cannot be estimated (one problem, one budget, no variance) is None. Samples of one problem are not independent, so
everything with an error bar is clustered by problem: standard errors here, bootstrap weights over problems below.
"""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lcpo.types import FloatArray, IntArray

LEVELS = (2.5, 97.5)
"""Percentiles that bound an interval of 95 %."""
BLOCK = 64
"""Bootstrap resamples drawn at a time, so that memory stays at BLOCK x problems."""


def mean(values: NDArray[Any]) -> float | None:
    """The mean of an array; None of nothing."""
    return float(values.mean()) if len(values) else None


def clustered_mean(sums: FloatArray, counts: FloatArray) -> tuple[float | None, float | None]:
    r"""Mean over samples and its standard error clustered by problem.

    mean m = sum(sums) / N; stderr = sqrt(P / (P-1) * sum_p (sums_p - counts_p m)^2) / N, which for equal counts is the
    standard deviation of the problems' means over sqrt(P). sums, counts: [P]. None where it cannot be estimated.
    """
    present = counts > 0
    sums, counts = sums[present], counts[present]
    total, problems = float(counts.sum()), len(counts)
    if problems == 0:
        return None, None
    average = float(sums.sum()) / total
    if problems == 1:
        return average, None
    squares = float(((sums - counts * average) ** 2).sum())
    return average, math.sqrt(problems / (problems - 1) * squares) / total


def pass_at_k(samples: IntArray, right: IntArray, k: int) -> float | None:
    r"""Chance that at least one of k samples is right, unbiased: mean over problems of 1 - C(n-c, k) / C(n, k).

    samples, right: n and c of each problem, [P]; every n must be at least k, else None (arXiv:2107.03374, section 2.1).
    """
    if len(samples) == 0 or int(samples.min()) < k:
        return None
    wrong = samples - right
    miss = np.ones(len(samples))
    for i in range(k):
        miss *= np.maximum(wrong - i, 0) / (samples - i)
    return float(np.mean(1 - miss))


def majority(votes: dict[int, tuple[int, float]]) -> float:
    """Correctness of the most frequent answer of one problem: votes maps an answer to (times given, correctness).

    Answers are equal where their text is. A tie counts as the mean over the tied; no answer at all counts as wrong.
    """
    if not votes:
        return 0.0
    most = max(times for times, _ in votes.values())
    tied = [correct for times, correct in votes.values() if times == most]
    return sum(tied) / len(tied)


def average_ranks(values: FloatArray) -> FloatArray:
    """Ranks from 1, equal values share the mean of their ranks. [N] -> [N]."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    ranks: FloatArray = (last - (counts - 1) / 2)[inverse]
    return ranks


def correlation(x: FloatArray, y: FloatArray) -> float | None:
    """Pearson correlation of two arrays [N]; None where either does not vary."""
    if len(x) < 2:
        return None
    dx, dy = x - x.mean(), y - y.mean()
    scale = math.sqrt(float((dx**2).sum()) * float((dy**2).sum()))
    return float((dx * dy).sum()) / scale if scale > 0 else None


def spearman(x: FloatArray, y: FloatArray) -> float | None:
    """Rank correlation with average ranks; None where either does not vary."""
    return correlation(average_ranks(x), average_ranks(y))


def slope(x: FloatArray, y: FloatArray) -> float | None:
    """Least-squares slope of y on x, [N]; None where x does not vary."""
    if len(x) < 2:
        return None
    dx = x - x.mean()
    squares = float((dx**2).sum())
    return float((dx * (y - y.mean())).sum()) / squares if squares > 0 else None


def area(x: FloatArray, y: FloatArray) -> float | None:
    """Mean height of the polygon through (x, y), x ascending: trapezoids over the width; None for fewer than two x."""
    if len(x) < 2 or x[-1] <= x[0]:
        return None
    return float(((y[1:] + y[:-1]) / 2 * np.diff(x)).sum() / (x[-1] - x[0]))


def interval(draws: FloatArray) -> list[float] | None:
    """The central 95 % of bootstrap draws that could be computed; None unless more than half could."""
    finite = draws[np.isfinite(draws)]
    if len(finite) * 2 <= len(draws):
        return None
    low, high = np.percentile(finite, LEVELS)
    return [float(low), float(high)]


def binomial_upper(hits: int, trials: int, confidence: float) -> float:
    """The rate above which so few hits would have a chance below 1 - confidence (Clopper and Pearson); trials >= 1."""
    if hits >= trials:
        return 1.0
    ways = [math.lgamma(trials + 1) - math.lgamma(i + 1) - math.lgamma(trials - i + 1) for i in range(hits + 1)]
    low, high = hits / trials, 1.0
    for _ in range(50):
        rate = (low + high) / 2
        logs = (way + i * math.log(rate) + (trials - i) * math.log1p(-rate) for i, way in enumerate(ways))
        low, high = (rate, high) if sum(map(math.exp, logs)) > 1 - confidence else (low, rate)
    return high


def binomial_interval(hits: int, trials: int) -> list[float] | None:
    """The 95 % interval of a rate, 2.5 % at either end (Clopper and Pearson); None without trials."""
    if not trials:
        return None
    return [1 - binomial_upper(trials - hits, trials, 0.975), binomial_upper(hits, trials, 0.975)]


def bootstrap_weights(problems: int, resamples: int, seed: int) -> Iterator[FloatArray]:
    """How often each problem is drawn in each resample, in blocks [<= BLOCK, P]; every row sums to P."""
    rng = np.random.default_rng(seed)
    for start in range(0, resamples, BLOCK):
        drawn = rng.integers(0, problems, size=(min(BLOCK, resamples - start), problems))
        yield np.stack([np.bincount(row, minlength=problems) for row in drawn]).astype(np.float64)


def interpolate_log(x: float, xs: FloatArray, ys: FloatArray) -> float:
    """y at x on the polygon through (ln xs, ys); xs need not be sorted; outside their range the nearest end holds."""
    order = np.argsort(xs, kind="stable")
    return float(np.interp(math.log(x), np.log(xs[order]), ys[order]))
