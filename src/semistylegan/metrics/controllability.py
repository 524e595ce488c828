"""How well generated and edited images obey: pure functions of levels (see `factors`), asked for and read.

Errors are in the units of `FactorSpace.error`, each factor in [0, 1] of its own range: scalar |difference| / range,
circular angle / half a turn, categorical 1 where the class is wrong.

Suffixes: N images, F factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.metrics.disentanglement import BINS, mig_decoded
from semistylegan.metrics.information import Floats, Mask, checked_table


def l2_levels(a_NF: Any, b_NF: Any, space: FactorSpace, known_NF: Mask | None = None) -> float:
    """L2 of levels: mean over images of the Euclidean norm, over factors, of the errors. In [0, sqrt(F)], low is good.

    Args:
        a_NF, b_NF: levels to compare.
        space: the kinds of the columns.
        known_NF: where `b` is known: the norm is over the known factors, the mean over the images that know any.

    Raises:
        UserError: shapes that do not fit, NaN, or nothing known.
    """
    error_NF, known = checked_errors(a_NF, b_NF, space, known_NF)
    norm_N = np.sqrt((error_NF**2).sum(axis=1))
    rows = known.any(axis=1)
    if not rows.any():
        raise UserError("levels: no factor of any image is known; nothing can be compared")
    return float(norm_N[rows].mean())


def mean_errors(a_NF: Any, b_NF: Any, space: FactorSpace, known_NF: Mask | None = None) -> Floats:
    """Mean absolute error of each factor, F, in [0, 1], low is good; NaN where a factor is known nowhere.

    Raises:
        UserError: shapes that do not fit, or NaN.
    """
    error_NF, known = checked_errors(a_NF, b_NF, space, known_NF)
    count_F = known.sum(axis=0)
    out = np.full(len(space), np.nan)
    return np.divide(error_NF.sum(axis=0), count_F, out=out, where=count_F > 0)


def constant_errors(level_NF: Any, space: FactorSpace, known_NF: Mask | None = None) -> Floats:
    """Mean error of each factor, F, in [0, 1], of whoever says the same of every image: the constant that errs least.

    The median of numbers, the most frequent class, of angles the best of the values that occur and of those opposite
    (a mean distance on the circle is least at one of them; of more than 360 values, the best whole degree). NaN where a
    factor is known nowhere.

    Args:
        level_NF: true levels.
        space: the kinds of the columns.
        known_NF: where they are known; None: everywhere.

    Raises:
        UserError: as :func:`mean_errors`.
    """
    level = checked_levels("levels", level_NF, space)
    known = np.ones(level.shape, dtype=bool) if known_NF is None else np.asarray(known_NF, dtype=bool)
    out = np.full(len(space), np.nan)
    for f, factor in enumerate(space):
        told = level[known[:, f], f]
        if len(told) == 0:
            continue
        if factor.kind == "scalar":
            guesses = np.array([np.median(told)])
        else:
            guesses = np.unique(told)
            if factor.kind == "circular":
                guesses = np.unique(np.concatenate([guesses, (guesses + 0.5) % 1]))
                guesses = guesses if len(guesses) <= 720 else np.arange(360) / 360
        one = FactorSpace((factor,))
        out[f] = min(float(one.error(told[:, None], np.full((len(told), 1), guess)).mean()) for guess in guesses)
    return out


def mig_gen(read_NF: Any, asked_NF: Any, space: FactorSpace, bins: int = BINS) -> float:
    """MIG-gen, in [0, 1], high is good: the mutual information gap between what was asked for and what an oracle sees.

    The codes are the oracle's readings of G(z, c), the factors are the values of c (those without a grid in `bins` even
    bins); else as `mig_decoded`.

    Args:
        read_NF: levels that the oracle reads off the generated images.
        asked_NF: levels of c.
        space: the kinds of both.
        bins: bins of a reading.

    Raises:
        UserError: as `mig_decoded`.
    """
    asked = checked_levels("asked", asked_NF, space)
    return mig_decoded(read_NF, space.indices_of_levels(asked, bins), space, bins)


def l2_gen(read_NF: Any, asked_NF: Any, space: FactorSpace) -> float:
    """L2-gen, in [0, sqrt(F)], low is good: :func:`l2_levels` between what an oracle reads off G(z, c) and c."""
    return l2_levels(read_NF, asked_NF, space)


def leakage_matrix(before_NF: Any, after_KNF: Any, space: FactorSpace) -> Floats:
    """How far the oracle sees factor j move when code entry i alone changes: K x F, each in [0, 1].

    With one entry a factor (K = F) the diagonal is the movement that was asked for, and everything beside it is
    leakage: 0 is best.

    Args:
        before_NF: levels read before.
        after_KNF: levels read after entry k alone was changed, same z.
        space: the kinds of the columns.

    Raises:
        UserError: shapes that do not fit, or NaN.
    """
    return np.stack([mean_errors(after_NF, before_NF, space) for after_NF in after_KNF])


def leakage(matrix_FF: Floats) -> float:
    """Mean of a leakage matrix beside its diagonal, in [0, 1], low is good; 0 for a single factor."""
    beside = ~np.eye(len(matrix_FF), dtype=bool)
    return float(matrix_FF[beside].mean()) if beside.any() else 0.0


def edit_error(read_NF: Any, asked_NF: Any, set_NF: Mask, space: FactorSpace) -> float:
    """Error of the factors that edits set: oracle's reading after the edit against the value asked for, in [0, 1].

    Args:
        read_NF: levels read off the edited images.
        asked_NF: levels asked for; anything where a factor was not set.
        set_NF: which factors each edit set.
        space: the kinds of the columns.

    Raises:
        UserError: shapes that do not fit, NaN, or no factor was set.
    """
    return masked_mean(*checked_errors(read_NF, asked_NF, space, set_NF), "set")


def edit_drift(before_NF: Any, after_NF: Any, set_NF: Mask, space: FactorSpace) -> float:
    """Movement of the factors that edits did not set, as the oracle reads them before and after, in [0, 1].

    Factors of one value cannot move, and do not count.

    Raises:
        UserError: shapes that do not fit, NaN, or every factor was set.
    """
    return masked_mean(*checked_errors(after_NF, before_NF, space, left_alone(set_NF, space)), "left alone")


def left_alone(set_NF: Any, space: FactorSpace) -> Mask:
    """Which factors each edit did not set, of those that have two values."""
    return ~np.asarray(set_NF, dtype=bool) & np.array([f.size != 1 for f in space], dtype=bool)


def masked_mean(error_NF: Floats, which_NF: Mask, word: str) -> float:
    """Mean over the entries of a mask; the errors outside are already 0."""
    if not which_NF.any():
        raise UserError(f"edits: no factor of any image was {word}; nothing can be measured")
    return float(error_NF.sum() / which_NF.sum())


def checked_levels(name: str, level_NF: Any, space: FactorSpace) -> Floats:
    """Levels with one column a factor.

    Raises:
        UserError: another shape, no row, or NaN.
    """
    level = checked_table(name, level_NF, rows=1)
    if level.shape[1] != len(space):
        raise UserError(f"{name}: {level.shape[1]} columns, but the space has {len(space)} factors")
    return level


def checked_errors(a_NF: Any, b_NF: Any, space: FactorSpace, known_NF: Mask | None) -> tuple[Floats, Mask]:
    """Errors N x F, 0 where unknown, and the mask."""
    a, b = checked_levels("levels", a_NF, space), checked_levels("target", b_NF, space)
    known = np.ones(b.shape, dtype=bool) if known_NF is None else np.asarray(known_NF, dtype=bool)
    for name, shape in (("target", b.shape), ("mask", known.shape)):
        if shape != a.shape:
            raise UserError(f"{name}: shape {shape}, but the levels have {a.shape}; both need one row an image")
    return np.where(known, space.error(a, b), 0.0), known
