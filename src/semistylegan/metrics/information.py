"""Mutual information of discrete variables, and the checks that every metric of arrays begins with.

Estimates are plug-in: probabilities are relative frequencies, information is in nats.

Suffixes: N images, L entries of a learned code, F factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]

LARGEST = 1e100
"""Codes beyond this are called not finite: their squares would no longer be numbers."""
SMALLEST = 1e-100
"""Codes nearer to 0 (of a dead class, by a softmax) count as 0: the squares of the smallest would be, but not they."""
LARGEST_INDEX = 2**53
"""From here on, floats do not tell whole numbers apart."""


class TooFew(UserError):
    """Images of which a metric can tell nothing, though nothing is wrong with them."""


# -- checks -------------------------------------------------------------------------------------------------------


def checked_table(name: str, table: Any, rows: int = 2) -> Floats:
    """A table of finite numbers, N x anything but 0, as float64.

    Raises:
        UserError: another shape, fewer than `rows` rows, not numbers, or a NaN; names the table and what is wrong.
    """
    try:
        out = np.asarray(table, dtype=np.float64)
    except (TypeError, ValueError):
        raise UserError(f"{name}: not a table of numbers; give an array with one row an image") from None
    if out.ndim != 2 or out.shape[1] == 0:
        raise UserError(f"{name}: shape {out.shape}: expected two dimensions, one row an image, at least one column")
    if len(out) < rows:
        raise UserError(f"{name}: {len(out)} rows: at least {rows} images are needed")
    if not (np.abs(out) <= LARGEST).all():  # false for NaN too
        raise UserError(f"{name}: holds NaN, infinity or numbers over {LARGEST:g}; leave those images out")
    return np.where(np.abs(out) < SMALLEST, 0.0, out)


def checked_factors(factors_NF: Any, codes: int, rows: int = 2) -> Ints:
    """Value indices, N x F: whole numbers, as many rows as there are `codes`, at least `rows`.

    Some may be unknown: see :func:`need_known`.

    Raises:
        UserError: another shape, another number of rows, or numbers that are not whole or too large.
    """
    table = checked_table("factors", factors_NF, rows)
    if len(table) != codes:
        raise UserError(f"factors: {len(table)} rows, but there are {codes} codes; give one row an image in both")
    if (table != np.rint(table)).any():
        raise UserError("factors: not whole numbers; give value indices, e.g. space.indices_of_levels(levels)")
    if (np.abs(table) >= LARGEST_INDEX).any():
        raise UserError(f"factors: numbers of {LARGEST_INDEX} or more are not told apart; number the values from 0")
    return table.astype(np.int64)


def need_known(factors_N: Ints) -> None:
    """Refuses value indices of any shape among which one is unknown.

    Raises:
        UserError: one is negative, which `Dataset.indices_NF` says of a factor that is unknown.
    """
    if (factors_N < 0).any():
        raise UserError(
            f"factors: hold {factors_N.min()}, which means unknown; leave those images out (value indices run from 0)"
        )


def checked_pair(codes_NL: Any, factors_NF: Any) -> tuple[Floats, Ints]:
    """Codes and factors of the same images, without the factors that never vary (nothing can be told of them).

    Raises:
        UserError: as :func:`checked_table`, :func:`checked_factors` and :func:`need_known`, or no factor varies.
    """
    codes = checked_table("codes", codes_NL)
    factors = checked_factors(factors_NF, len(codes))
    need_known(factors)
    varies_F = (factors != factors[0]).any(axis=0)
    if not varies_F.any():
        raise UserError("factors: none of them varies over these images; give images that differ in at least one")
    return codes, factors[:, varies_F]


def varying(factors_NF: Ints, known_NF: Mask | None = None) -> Mask:
    """Which factors have two values among the images, or among those that know them: F."""
    columns = enumerate(factors_NF.T)
    values = [column if known_NF is None else column[known_NF[:, f]] for f, column in columns]
    return np.array([len(value) > 0 and bool((value != value[0]).any()) for value in values], dtype=bool)


def require_varying(factors_NF: Ints, varies_F: Mask, known_NF: Mask | None = None) -> None:
    """
    Raises:
        UserError: a factor that varies among all images does not among these, so that a mean over factors would be one
            over others.
    """
    if (varies_F & ~varying(factors_NF, known_NF)).any():
        raise UserError("factors: one that varies over all images does not over those drawn again; give more images")


def checked_bins(bins: int, rows: int) -> int:
    """A number of bins, at least 2 and no more than there are images.

    Raises:
        UserError: names the number and what fits.
    """
    if (count := checked_count("bins", bins, 2)) > rows:
        raise UserError(f"bins={bins}: more bins than the {rows} images; use more images or fewer bins")
    return count


def checked_count(name: str, count: Any, least: int) -> int:
    """A whole number of at least `least`.

    Raises:
        UserError: names the argument, what was given and what fits.
    """
    try:
        whole = int(count)
    except (TypeError, ValueError, OverflowError):
        whole = least - 1
    if whole != count or whole < least:
        raise UserError(f"{name}={count}: a whole number of at least {least} is needed")
    return whole


# -- from numbers to bins -----------------------------------------------------------------------------------------


def histogram_bins(codes_NL: Floats, bins: int) -> Ints:
    """Which of `bins` equal-width bins, from its column's smallest to its largest number, each code falls into.

    The binning of disentanglement_lib: edges of `np.histogram`, then `np.digitize`. Returns 0 .. bins-1, N x L.
    """
    out = np.zeros(codes_NL.shape, dtype=np.int64)
    for i, column in enumerate(codes_NL.T):
        low, high = column.min(), column.max()
        if high - low > bins * np.spacing(max(abs(low), abs(high))):  # else it is constant: all in bin 0
            edges = np.linspace(low, high, bins + 1)[:-1]
            out[:, i] = np.searchsorted(edges, column, side="right") - 1
    return out


def level_bins(level_NF: Floats, space: FactorSpace, bins: int) -> Ints:
    """Decoded levels (see `factors`) -> bins, N x F, each factor as its kind demands.

    scalar: equal-width bins between the smallest and the largest level seen, as :func:`histogram_bins`.
    categorical: each class is a bin of its own, however many there are.
    circular: the whole turn is cut into `bins` equal arcs, where the first begins half a grid step before the value at
    angle zero (half an arc before it without a grid, as in `Factor.index_of_level`). Readings that scatter around the
    value at angle zero then stay together instead of falling half into the first and half into the last bin.
    """
    out = np.zeros(level_NF.shape, dtype=np.int64)
    for i, factor in enumerate(space):
        level = level_NF[:, i]
        if factor.kind == "categorical":
            out[:, i] = np.rint(level)
        elif factor.kind == "circular":
            out[:, i] = np.minimum((centred(level, factor.size or bins) * bins).astype(np.int64), bins - 1)
        else:
            out[:, i] = histogram_bins(level[:, None], bins)[:, 0]
    return out


def centred(level_N: Floats, size: int | None) -> Floats:
    """Circular levels turned by half a grid step, in [0, 1): value i of n lies at (i + 1/2) / n, clear of the seam."""
    return (level_N + (0.5 / size if size else 0.0)) % 1.0


# -- information --------------------------------------------------------------------------------------------------


def entropy(counts: npt.NDArray[Any]) -> float:
    """Entropy in nats of a distribution given by how often each value occurs."""
    share = counts[counts > 0] / counts.sum()
    return float(-(share * np.log(share)).sum())


def mutual_information(bins_NL: Ints, factors_NF: Ints, known_NF: Mask | None = None) -> tuple[Floats, Floats]:
    """I(code; factor) of every pair, and the entropy of every factor, in nats.

    Args:
        bins_NL: discrete codes, any whole numbers.
        factors_NF: value indices; where unknown, any whole numbers.
        known_NF: where a factor is known; each factor is measured on the images that know it. None: everywhere.

    Returns:
        information L x F, never negative; entropies F. Both 0 for a factor that is known nowhere.

    Raises:
        UserError: one that should be known is not; see :func:`need_known`.
    """
    need_known(factors_NF if known_NF is None else factors_NF[known_NF])
    codes = [np.unique(column, return_inverse=True)[1] for column in bins_NL.T]
    information = np.zeros((len(codes), factors_NF.shape[1]))
    entropies = np.zeros(factors_NF.shape[1])
    for f, column in enumerate(factors_NF.T):
        rows = slice(None) if known_NF is None else known_NF[:, f]
        if len(column[rows]) == 0:
            continue
        factor = np.unique(column[rows], return_inverse=True)[1]
        values = int(factor.max()) + 1
        entropies[f] = entropy(np.bincount(factor))
        for c, all_codes in enumerate(codes):
            code = all_codes[rows]
            joint = np.bincount(code * values + factor)
            gain = entropy(np.bincount(code)) + entropies[f] - entropy(joint)
            information[c, f] = max(gain, 0.0)
    return information, entropies
