"""One column of numbers: which factor it is, and numbers that are the same in every file."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan.factors import Factor

MAX_GRID = 64
"""A column of numbers with more different values than this is continuous."""
_SINGLE, _DOUBLE = 2e-7, 1e-14
"""Parts by which a number changes that is kept in single precision, or computed in double."""


def infer(name: str, values: npt.NDArray[np.floating[Any]], count: int) -> Factor:
    """The scalar factor of a column of numbers.

    Args:
        name: the column's.
        values: its different values, at least one, any order.
        count: how many labels they come from.

    Returns:
        evenly spaced values, at most MAX_GRID: a grid. Unevenly spaced ones: the grid of just these values where
        they recur (at least two labels a value on average), else any number from the smallest to the largest. Values
        that rounding alone tells apart (0.3 and 0.30000000000000004) are one.
    """
    distinct = np.unique(np.asarray(values, dtype=np.float64))
    low, high = float(distinct[0]), float(distinct[-1])
    usual = float(np.median(np.abs(distinct)))  # not the largest, which may stand far from all others
    rounding = max(_SINGLE * min(high - low, usual), _DOUBLE * usual)
    distinct = distinct[np.r_[True, np.diff(distinct) > rounding]]
    if len(distinct) == 1:
        return Factor.scalar(name, 1, low, low + max(abs(low), 1.0))
    if len(distinct) <= MAX_GRID:
        even = np.linspace(low, last := float(distinct[-1]), len(distinct))
        if np.abs(distinct - even).max() <= 0.01 * (even[1] - low):
            return Factor.scalar(name, len(distinct), low, last)
        if count >= 2 * len(distinct):
            return Factor.scalar_grid(name, [float(v) for v in distinct])
    return Factor.scalar(name, None, low, high)


def between_commas(text: str, whole: Callable[[str], bool]) -> list[str]:
    """`"a, b"` -> ["a", "b"]; what is `whole` may hold commas itself, the longest such part first."""
    pieces, found = text.split(","), []
    while pieces:
        count = next((n for n in range(len(pieces), 1, -1) if whole(",".join(pieces[:n]).strip())), 1)
        found.append(",".join(pieces[:count]).strip())
        del pieces[:count]
    return found


def snap(factor: Factor, level: float) -> float:
    """The level of the grid value at hand where `level` is within a hundredth of a step of it, else unchanged.

    So a grid value has one level, whatever the digits of the file it comes from.
    """
    if factor.kind == "categorical" or factor.size is None:
        return level
    nearest = float(factor.level_of_index(factor.index_of_level(level)))
    away = abs(level - nearest)
    if factor.kind == "circular":
        away = min(away, 1.0 - away)
    return nearest if away * factor.size <= 0.011 else level


def in_words(factor: Factor, level: float) -> str:
    """The level's value in own units, in the fewest digits that read back as the same float32 level."""
    level = snap(factor, level)
    value = factor.value_of(level)
    if isinstance(value, str):
        return value
    target = np.float32(level)
    tidy = value
    for digits in (6, 9, 12):
        short = float(f"{value:.{digits}g}")
        if factor.low <= short <= factor.high and np.float32(snap(factor, factor.level_of(short))) == target:
            tidy = short
            break
    return str(int(tidy)) if tidy.is_integer() and abs(tidy) < 1e15 else repr(tidy)
