"""How well a code tells the factors of variation apart: pure functions of NumPy arrays.

Every function takes `codes_NL`, real numbers, and `factors_NF`, integer value indices of the same images. A factor that
never varies is left out; none that varies is a UserError, and so are NaN, one image, unequal numbers of rows.
`mig_decoded`, and the argument `space` of the others, are for the levels that `FactorSpace.decode` gives: entries with
kinds. Metrics that ask for images themselves are in `voting`, those that train predictors in `predictors`.

Suffixes: N images, L entries of a learned code, F factors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.metrics.entries import Entries
from semistylegan.metrics.information import (
    Floats,
    Ints,
    Mask,
    checked_bins,
    checked_factors,
    checked_pair,
    checked_table,
    histogram_bins,
    level_bins,
    mutual_information,
)

BINS = 20
"""Bins of a code in MIG and modularity, as in disentanglement_lib."""
DRAWS = 10
"""Orders of the images that :func:`mig_by_chance` looks at."""


def mig(codes_NL: Any, factors_NF: Any, bins: int = BINS) -> float:
    """Mutual information gap, in [0, 1], high is good (Chen et al. 2018, arXiv 1802.04942, section 4.1).

    Is each factor told by one entry of the code and no other? MIG = mean over factors of (I_1 - I_2) / H, where I_1 and
    I_2 are the largest and the second largest mutual information of the factor with any entry, H is the factor's
    entropy. Each entry is cut into `bins` equal-width bins first. With one entry alone I_2 is 0.

    Protocol (disentanglement_lib): 20 bins, 10,000 images. Pitfalls: the figure depends on bins and number of images
    (early code of Semi-StyleGAN takes 10 bins and 640 images; on few it is too low where the code is good, see
    :func:`mig_low_by`, and too high where it is bad, see :func:`mig_by_chance`); a bin can hold several values of a
    factor, then MIG is below 1 even for perfect codes; one outlier widens all bins. For classes and angles see
    :func:`mig_decoded`.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        bins: bins of an entry.

    Raises:
        UserError: see the head of this file; also more bins than images.
    """
    codes, factors = checked_pair(codes_NL, factors_NF)
    information_LF, entropy_F = mutual_information(histogram_bins(codes, checked_bins(bins, len(codes))), factors)
    return information_gap(information_LF, entropy_F)


def mig_decoded(
    level_NF: Any, factors_NG: Any, space: FactorSpace, bins: int = BINS, known_NG: Mask | None = None
) -> float:
    """MIG of decoded codes: one entry a factor, the predicted class where it is categorical, the angle where circular.

    Args:
        level_NF: `space.decode` of an encoder's codes. How levels are binned: `information.level_bins`.
        factors_NG: true value indices; the factors need not be those of `space`.
        space: the kinds of the columns of `level_NF`.
        bins: bins of a scalar or circular entry.
        known_NG: where a factor is known; each factor is measured on the images that know it. None: everywhere.

    Raises:
        UserError: as :func:`mig`, or a wrong number of columns.
    """
    return information_gap(*mutual_information(*_binned(level_NF, factors_NG, space, bins, known_NG)))


def mig_low_by(
    level_NF: Any, factors_NG: Any, space: FactorSpace, bins: int = BINS, known_NG: Mask | None = None
) -> float:
    """How far :func:`mig_decoded` of an encoder that reads well is too low on so few images, in [0, 1].

    An entry of b bins and a factor of n values that have nothing to do with each other seem to share about
    (b - 1)(n - 1) / 2N nats (the leading term for plug-in estimates, Miller 1955). The best entry of a factor cannot
    seem to know more than all of it, the second can. This is the mean over the factors that vary of this term over the
    entropy (1 at most), b being the bins that the second entry falls into. What is missing is a little more, since the
    second is the luckiest of several: with nine factors of 3 to 8 values .023 on 1,000 images, where this says .021.

    Args:
        level_NF, factors_NG, space, bins, known_NG: as of :func:`mig_decoded`.

    Raises:
        UserError: as :func:`mig_decoded`.
    """
    binned_NF, factors, known = _binned(level_NF, factors_NG, space, bins, known_NG)
    information_LF, entropy_F = mutual_information(binned_NF, factors, known)
    if not (entropy_F > 0).any() or len(information_LF) < 2:
        return 0.0
    second_F = np.argsort(information_LF, axis=0)[-2]
    terms = []
    for f in np.flatnonzero(entropy_F > 0):
        rows = known[:, f]
        b, n = (len(np.unique(column[rows])) for column in (binned_NF[:, second_F[f]], factors[:, f]))
        terms.append(min((b - 1) * (n - 1) / (2 * rows.sum()) / entropy_F[f], 1.0))
    return float(np.mean(terms))


def mig_by_chance(
    level_NF: Any, factors_NG: Any, space: FactorSpace, bins: int = BINS, known_NG: Mask | None = None
) -> float:
    """What :func:`mig_decoded` is of the same codes given to other images, of which they know nothing.

    The mean of DRAWS orders. On few images that is far above 0 where one entry falls into many bins and the others into
    few, as those of an encoder do that has learned little.

    Args:
        level_NF, factors_NG, space, bins, known_NG: as of :func:`mig_decoded`.

    Raises:
        UserError: as :func:`mig_decoded`.
    """
    binned_NF, factors, known = _binned(level_NF, factors_NG, space, bins, known_NG)
    random = np.random.default_rng(0)
    orders = (random.permutation(len(binned_NF)) for _ in range(DRAWS))
    return float(np.mean([information_gap(*mutual_information(binned_NF[o], factors, known)) for o in orders]))


def _binned(level_NF: Any, factors_NG: Any, space: FactorSpace, bins: int, known_NG: Any) -> tuple[Ints, Ints, Mask]:
    """Bins of decoded codes, the factors, and where these are known: checked."""
    level = checked_table("codes", level_NF)
    factors = checked_factors(factors_NG, len(level))
    if level.shape[1] != len(space):
        raise UserError(f"codes: {level.shape[1]} columns, but the space has {len(space)} factors; decode them first")
    known = np.ones(factors.shape, dtype=bool) if known_NG is None else np.asarray(known_NG, dtype=bool)
    if known.shape != factors.shape:
        raise UserError(f"known: shape {known.shape}, but the factors have {factors.shape}")
    return level_bins(level, space, checked_bins(bins, len(level))), factors, known


def information_gap(information_LF: Floats, entropy_F: Floats) -> float:
    """Mean over the factors that vary of (largest - second largest information) / entropy.

    Raises:
        UserError: no factor varies.
    """
    varies = entropy_F > 0
    if not varies.any():
        raise UserError("factors: none of them varies over these images; give images that differ in at least one")
    ordered = np.sort(information_LF[:, varies], axis=0)[::-1]
    second = ordered[1] if len(ordered) > 1 else 0.0
    return float(((ordered[0] - second) / entropy_F[varies]).mean())


def l2(codes_NF: Any, target_NF: Any) -> float:
    """Mean Euclidean distance between rows: mean ||codes - target||_2, 0 or more, low is good.

    Plain numbers are compared; for levels of factors with kinds see `controllability.l2_levels`.

    Raises:
        UserError: shapes that differ, not two-dimensional, no row, or NaN.
    """
    codes, target = checked_table("codes", codes_NF, rows=1), checked_table("target", target_NF, rows=1)
    if codes.shape != target.shape:
        raise UserError(f"target: shape {target.shape}, but the codes have {codes.shape}; both need one row an image")
    return float(np.linalg.norm(codes - target, axis=1).mean())


def modularity(codes_NL: Any, factors_NF: Any, bins: int = BINS, space: FactorSpace | None = None) -> float:
    """Modularity, in [0, 1], high is good (Ridgeway and Mozer 2018, arXiv 1802.05312, section 3).

    Does each entry of the code depend on one factor alone? Mean over entries of
    1 - (sum of I_f^2 over all factors but the best) / (I_best^2 (F - 1)); an entry that informs of nothing counts 0, as
    in disentanglement_lib.

    Protocol: 20 equal-width bins an entry, 10,000 images. Pitfalls: a code that copies one factor into every entry has
    modularity 1; noise has a modularity too, since estimates of information are never quite 0 (plug-in bias).

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        bins: bins of an entry.
        space: kinds of the entries, if the codes are levels; see `entries`.

    Raises:
        UserError: see the head of this file; also fewer than two factors that vary.
    """
    codes, factors = checked_pair(codes_NL, factors_NF)
    need_two("modularity", "factors that vary", factors.shape[1])
    binned_NL = Entries.of(codes, space).bins(checked_bins(bins, len(codes)))
    information_LF, _ = mutual_information(binned_NL, factors)
    square = information_LF**2
    best_L = square.max(axis=1)
    others_L = square.sum(axis=1) - best_L
    informs = best_L > 0
    score_L = np.zeros(len(square))
    score_L[informs] = 1 - others_L[informs] / (best_L[informs] * (factors.shape[1] - 1))
    return float(score_L.mean())


def irs(
    codes_NL: Any, factors_NF: Any, quantile: float = 0.99, bins: int = BINS, space: FactorSpace | None = None
) -> float:
    """Interventional robustness score, 1 at most, high is good (Suter et al. 2019, arXiv 1811.00007, section 4).

    Does an entry of the code stay where it is while its factor is held fixed and the others change? For each entry and
    factor: 1 - (mean over the factor's values of the `quantile` of |code - mean of that value's images|) / (largest
    |code - mean| of all); an entry's score is that of its best factor, and entries are weighted by their largest
    deviation. Entries that never vary are left out; where none varies the score is 0. Noise can lie below 0: an image
    may be farther from its value's mean than any is from that of all.

    Protocol (disentanglement_lib): quantile 0.99, factors of more than 20 values in 20 even bins, 10,000 images drawn
    from the grid. Pitfalls: it asks nothing of completeness (an entry may be robust and useless), depends on the scale
    of the entries through their weights, and assumes factors that are independent in the data.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        quantile: which deviation counts as the largest; 1 is the paper's.
        bins: bins of a factor.
        space: kinds of the entries, if the codes are levels; deviations are then distances, see `entries`.

    Raises:
        UserError: see the head of this file, or a quantile outside of (0, 1].
    """
    if not 0 < quantile <= 1:
        raise UserError(f"quantile={quantile}: give a number over 0 and up to 1")
    codes, factors = checked_pair(codes_NL, factors_NF)
    entries, bins = Entries.of(codes, space), checked_bins(bins, len(codes))

    def deviation(rows: Entries) -> Floats:
        """|code - mean|, N x L."""
        return np.sqrt(rows.summed((rows.column_NC - rows.column_NC.mean(axis=0)) ** 2))

    largest_L = deviation(entries).max(axis=0)
    active = entries.summed(np.ptp(entries.column_NC, axis=0)) > 0  # the variance of equal numbers may be a rounding
    if not active.any():
        return 0.0
    score_LF = np.zeros((len(entries), factors.shape[1]))
    for f, column in enumerate(factors.T):
        many = len(np.unique(column)) > bins
        value_N = histogram_bins(column[:, None].astype(np.float64), bins)[:, 0] if many else column
        values = np.unique(value_N)
        for value in values:
            part = np.quantile(deviation(entries.take(value_N == value)), quantile, axis=0)
            score_LF[:, f] += part / len(values)
    best_L = (1 - score_LF[active] / largest_L[active, None]).max(axis=1)
    return float(np.average(best_L, weights=largest_L[active]))


def need_two(metric: str, what: str, count: int) -> None:
    """Raises UserError where there are fewer than two of something."""
    if count < 2:
        raise UserError(f"{metric}: {count} {what}: it compares them, so at least two are needed")
