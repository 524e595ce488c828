"""How far a score would move with other images of the same kind: confidence intervals by the bootstrap.

An interval speaks of the images that were drawn to measure on, not of another training: for that, train several seeds.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from semistylegan.errors import UserError

RESAMPLES = 100
"""Enough for a standard error to within a tenth of itself."""
QUANTILE = 1.959963984540054
"""Of the normal distribution, for 95%."""


class Interval(NamedTuple):
    """A score with its 95% confidence interval."""

    score: float
    low: float
    high: float
    error: float
    """Standard deviation over the resamples."""


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
        UserError: no table, tables of unequal length where rows are paired, or fewer than two resamples.
    """
    arrays = [np.asarray(table) for table in tables]
    if not arrays or any(a.ndim == 0 or len(a) == 0 for a in arrays):
        raise UserError("bootstrap: give at least one table, with one row an image")
    if paired and len({len(a) for a in arrays}) > 1:
        raise UserError(f"bootstrap: tables of {', '.join(str(len(a)) for a in arrays)} rows; give one row an image")
    if resamples < 2:
        raise UserError(f"resamples={resamples}: at least 2 are needed")
    random = np.random.default_rng(seed)
    told = []
    for _ in range(resamples):
        rows = random.integers(len(arrays[0]), size=len(arrays[0])) if paired else None
        drawn = [a[random.integers(len(a), size=len(a)) if rows is None else rows] for a in arrays]
        told.append(score(*drawn))
    here, error = float(score(*arrays)), float(np.std(told, ddof=1))
    low, high = (float(np.clip(here + sign * QUANTILE * error, *within)) for sign in (-1, 1))
    return Interval(here, low, high, error)
