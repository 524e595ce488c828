"""How well a code tells the factors of variation apart: pure functions of NumPy arrays.

Every function takes `codes_NL`, real numbers, and `factors_NF`, integer value indices of the same images. A factor that
never varies is left out; none that varies is a UserError, and so are NaN, one image, unequal numbers of rows.
`mig_decoded` is MIG for the levels that `FactorSpace.decode` gives, where factors have kinds.

Suffixes: N images, L entries of a learned code, F factors, B images of a batch.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace, IntArray
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


def mig(codes_NL: Any, factors_NF: Any, bins: int = BINS) -> float:
    """Mutual information gap, in [0, 1], high is good (Chen et al. 2018, section 4.1).

    MIG = mean over factors of (I_1 - I_2) / H, where I_1 and I_2 are the largest and the second largest mutual
    information of the factor with any entry of the code, H is the factor's entropy. Each entry is cut into `bins`
    equal-width bins first. With one entry alone I_2 is 0.

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
    information_LG, entropy_G = decoded_information(level_NF, factors_NG, space, bins, known_NG)
    return information_gap(information_LG, entropy_G)


def decoded_information(
    level_NF: Any, factors_NG: Any, space: FactorSpace, bins: int = BINS, known_NG: Mask | None = None
) -> tuple[Floats, Floats]:
    """Mutual information F x G of decoded codes with factors, and the factors' entropies: what MIG is made of."""
    level = checked_table("codes", level_NF)
    factors = checked_factors(factors_NG, len(level))
    if level.shape[1] != len(space):
        raise UserError(f"codes: {level.shape[1]} columns, but the space has {len(space)} factors; decode them first")
    return mutual_information(level_bins(level, space, checked_bins(bins, len(level))), factors, known_NG)


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


def modularity(codes_NL: Any, factors_NF: Any, bins: int = BINS) -> float:
    """Modularity, in [0, 1], high is good (Ridgeway and Mozer 2018, section 3).

    Mean over entries of the code of 1 - (sum of I_f^2 over all factors but the best) / (I_best^2 (F - 1)); an entry
    that informs of nothing counts 0, as in disentanglement_lib.

    Raises:
        UserError: see the head of this file; also fewer than two factors that vary.
    """
    codes, factors = checked_pair(codes_NL, factors_NF)
    need_two("modularity", "factors that vary", factors.shape[1])
    information_LF, _ = mutual_information(histogram_bins(codes, checked_bins(bins, len(codes))), factors)
    square = information_LF**2
    best_L = square.max(axis=1)
    others_L = square.sum(axis=1) - best_L
    informs = best_L > 0
    score_L = np.zeros(len(square))
    score_L[informs] = 1 - others_L[informs] / (best_L[informs] * (factors.shape[1] - 1))
    return float(score_L.mean())


def factor_vae_score(
    encode: Callable[[Any], Any],
    factor_space: FactorSpace,
    sample: Callable[[IntArray], Any],
    seed: int = 0,
    *,
    votes: int = 10_000,
    test_votes: int = 5_000,
    batch: int = 64,
    variance_images: int = 10_000,
    prune: float = 0.05,
    voted: Callable[[], object] | None = None,
) -> float:
    """FactorVAE score, in [0, 1], high is good (Kim and Mnih 2018, section 4).

    A vote: one factor, drawn at random, is held fixed over a batch; the entry of the code whose variance there is least
    against its variance over the data votes for that factor. The majority over `votes` votes maps entries to factors;
    the score is the share of `test_votes` further votes that the map gets right. Protocol of disentanglement_lib.
    Factors of one value are never the fixed one.

    Args:
        encode: images -> codes B x L.
        factor_space: factors with grids.
        sample: value indices B x F -> images, in whatever form `encode` takes.
        seed: fixes every draw.
        votes, test_votes, batch, variance_images: sizes of the protocol.
        prune: entries whose standard deviation over the data is below this do not vote.
        voted: called after each vote, for a progress bar.

    Raises:
        UserError: a factor without a grid, none with more than one value, or codes that are no finite table.
    """
    sizes = np.asarray(factor_space.sizes)
    varying = np.flatnonzero(sizes > 1)
    if len(varying) == 0:
        raise UserError("factors: none has more than one value; the FactorVAE score needs one to hold fixed")
    random = np.random.default_rng(seed)

    def codes_of(values_BF: Ints) -> Floats:
        return checked_table("codes", encode(sample(values_BF)), rows=len(values_BF))

    def draw(count: int) -> Ints:
        return random.integers(0, sizes, size=(count, len(sizes)))

    chunks = [codes_of(draw(min(1000, variance_images - i))) for i in range(0, variance_images, 1000)]
    variance_L = np.concatenate(chunks).var(axis=0, ddof=1)
    active = np.flatnonzero(np.sqrt(variance_L) >= prune)
    active = active[variance_L[active] > 0]
    if len(active) == 0:
        return 0.0

    def tally(count: int) -> Ints:
        """How often each entry (row) voted for each factor (column)."""
        table = np.zeros((len(active), len(sizes)), dtype=np.int64)
        for _ in range(count):
            fixed = varying[random.integers(len(varying))]
            values = draw(batch)
            values[:, fixed] = values[0, fixed]
            spread_L = codes_of(values)[:, active].var(axis=0, ddof=1) / variance_L[active]
            table[spread_L.argmin(), fixed] += 1
            if voted is not None:
                voted()
        return table

    majority_L = tally(votes).argmax(axis=1)
    test = tally(test_votes)
    return float(test[np.arange(len(active)), majority_L].sum() / test.sum())


def need_two(metric: str, what: str, count: int) -> None:
    """Raises UserError where there are fewer than two of something."""
    if count < 2:
        raise UserError(f"{metric}: {count} {what}: it compares them, so at least two are needed")
