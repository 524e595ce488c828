"""How far a score would move with other images of the same kind: 95% confidence intervals.

Quick scores are taken again of images drawn with replacement (`bootstrap`). Those that train a predictor or look for
nearest neighbours cannot be: a resample costs as much as the score, and an image drawn twice is its own neighbour. They
are taken again of ten parts of the images (`by_parts`), which together cost about as much as the score.

An interval speaks of the images that were drawn to measure on, not of another training: for that, train several seeds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.stats import binomtest
from scipy.stats import t as student

from semistylegan.errors import UserError
from semistylegan.metrics.information import Floats, checked_count

RESAMPLES = 100
"""Enough for a standard error to within a tenth of itself."""
QUANTILE = 1.959963984540054
"""Of the normal distribution, for 95%."""
PARTS = 10
LEAST = 100
"""Images in a part, at least."""


class Interval(NamedTuple):
    """A score with its 95% confidence interval."""

    score: float
    low: float
    high: float
    error: float
    """Standard error of the score."""


def about(score: float, error: float, within: tuple[float, float], quantile: float = QUANTILE) -> Interval:
    """The interval of a score with a standard error, cut at the ends that the score can reach."""
    low, high = (float(np.clip(score + sign * quantile * error, *within)) for sign in (-1, 1))
    return Interval(score, low, high, error)


def bootstrap(
    score: Callable[..., float],
    *tables: Any,
    resamples: int = RESAMPLES,
    seed: int = 0,
    paired: bool = True,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> Interval:
    """A score of rows and its 95% interval: score ± 1.96 times the standard deviation over resamples (Efron 1979).

    The spread is taken about the score itself, not from quantiles of the resamples: repeated rows bias estimates of
    information and of distances, and the resamples' mean with them.

    Args:
        score: of the tables, e.g. `metrics.mig`.
        tables: arrays with one row an image.
        resamples: how often rows are drawn again, with replacement.
        seed: fixes which.
        paired: the same rows of every table (codes and factors); else each table's on its own (two sets of features).
        within: the ends that the score can reach; the interval is cut there.

    Raises:
        UserError: no table, tables of unequal length where rows are paired, fewer than two resamples, or no seed.
    """
    arrays = [np.asarray(table) for table in tables]
    if not arrays or any(a.ndim == 0 or len(a) == 0 for a in arrays):
        raise UserError("bootstrap: give at least one table, with one row an image")
    if paired and len({len(a) for a in arrays}) > 1:
        raise UserError(f"bootstrap: tables of {', '.join(str(len(a)) for a in arrays)} rows; give one row an image")
    resamples = checked_count("resamples", resamples, 2)
    random = np.random.default_rng(checked_count("seed", seed, 0))
    told = []
    for _ in range(resamples):
        rows = random.integers(len(arrays[0]), size=len(arrays[0])) if paired else None
        drawn = [a[random.integers(len(a), size=len(a)) if rows is None else rows] for a in arrays]
        told.append(score(*drawn))
    return about(float(score(*arrays)), float(np.std(told, ddof=1)), within)


def of_share(true_N: Any) -> Interval:
    """The share of images of which something is true, and its 95% interval (Wilson 1927).

    Where it is true of none, or of all, resamples are all alike; this interval still has a width.
    """
    true: Floats = np.asarray(true_N, dtype=np.float64)
    low, high = map(float, binomtest(round(true.sum()), len(true)).proportion_ci(method="wilson"))
    return Interval(float(true.mean()), low, high, (high - low) / (2 * QUANTILE))


def of_parts(scores: Sequence[float], told_PS: Any, within: tuple[float, float] = (-np.inf, np.inf)) -> list[Interval]:
    """Intervals of scores from the same scores of P independent parts of the images (batch means).

    The standard error of a score of all images is that of the mean of the parts: standard deviation / sqrt(P). In the
    place of 1.96 stands Student's quantile for P - 1 degrees of freedom.
    """
    told: Floats = np.asarray(told_PS, dtype=np.float64)
    errors = told.std(axis=0, ddof=1) / np.sqrt(len(told))
    quantile = float(student.ppf(0.975, len(told) - 1))
    return [about(float(s), float(e), within, quantile) for s, e in zip(scores, errors, strict=True)]


def by_parts(
    measure: Callable[..., Sequence[float]],
    *tables: Any,
    scores: Sequence[float],
    seed: int = 0,
    paired: bool = True,
    within: tuple[float, float] = (-np.inf, np.inf),
) -> list[Interval]:
    """95% intervals of the scores of a metric, from ten parts of the images: see :func:`of_parts`.

    Scores of fewer images are worse or better on the whole; it is their spread alone that is used. It must shrink as
    the root of the number of images does, which that of InfoM and InfoC need not.

    Args:
        measure: tables -> scores, e.g. `metrics.dci`.
        tables: arrays with one row an image.
        scores: what `measure` gives for all images.
        seed: fixes the parts.
        paired: the same rows of every table; else each table's on its own.
        within: the ends that the scores can reach.

    Returns:
        an interval for each score; none where a part would have fewer than LEAST rows, or cannot be measured.
    """
    random = np.random.default_rng(seed)
    orders = [random.permutation(len(table)) for table in tables[: 1 if paired else None]]
    if min(map(len, orders)) < PARTS * LEAST:
        return []
    orders = orders * len(tables) if paired else orders
    cut = [np.array_split(order, PARTS) for order in orders]
    try:
        told = [measure(*(t[rows[i]] for t, rows in zip(tables, cut, strict=True))) for i in range(PARTS)]
    except UserError:
        return []
    return of_parts(scores, told, within)
