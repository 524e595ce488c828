"""How close two sets of images lie, seen through feature vectors: Frechet distance, KID, precision and recall.

Suffixes: N images of one set, M of the other, D features.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from semistylegan.errors import UserError
from semistylegan.metrics.information import Floats, checked_count, checked_table
from semistylegan.metrics.intervals import RESAMPLES, Interval, about

ROWS = 2000
"""Rows of a distance or kernel matrix that are held at a time."""


class PrecisionRecall(NamedTuple):
    """Scores of :func:`precision_recall`, each in [0, 1], high is good."""

    precision: float
    recall: float


def frechet_distance(a_ND: Any, b_MD: Any) -> float:
    """Frechet distance between the Gaussians that fit two sets of features, 0 or more (Heusel et al. 2017, equation 6).

    |mean_a - mean_b|^2 + tr(A + B - 2 (A B)^(1/2)), A and B the covariances. The trace of the root is the sum of the
    singular values of R_a R_b^T, where R^T R is a covariance (R from a QR decomposition of the centred features): exact
    for singular covariances too, with no root of a rounding error in it. The estimate is biased: compare sets of equal
    size.

    Raises:
        UserError: fewer than two rows, a different number of features, or NaN.
    """
    a, b = checked_features(a_ND, b_MD)
    root_a, root_b = covariance_root(a), covariance_root(b)
    cross = np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum()
    means = ((a.mean(axis=0) - b.mean(axis=0)) ** 2).sum()
    return float(max(means + (root_a**2).sum() + (root_b**2).sum() - 2 * cross, 0.0))


def frechet_distance_of_moments(mean_a: Floats, cov_a: Floats, mean_b: Floats, cov_b: Floats) -> float:
    """The same from means D and covariances D x D: quicker for many images, less exact where these are singular."""
    value_a, vector_a = np.linalg.eigh(cov_a)
    root_a = vector_a * np.sqrt(np.maximum(value_a, 0)) @ vector_a.T
    cross = np.sqrt(np.maximum(np.linalg.eigvalsh(root_a @ cov_b @ root_a), 0)).sum()
    return float(max(((mean_a - mean_b) ** 2).sum() + np.trace(cov_a) + np.trace(cov_b) - 2 * cross, 0.0))


def quick_frechet_distance(a_ND: Floats, b_MD: Floats) -> float:
    """:func:`frechet_distance` by way of the covariances, for the bootstrap."""
    moments = [m for x in (a_ND, b_MD) for m in (x.mean(axis=0), np.cov(x, rowvar=False).reshape(2 * x.shape[1:]))]
    return frechet_distance_of_moments(*moments)


def covariance_root(a_ND: Floats) -> Floats:
    """R, min(N, D) x D, with R^T R the covariance of the rows (divided by N - 1)."""
    centred = (a_ND - a_ND.mean(axis=0)) / np.sqrt(len(a_ND) - 1)
    return np.asarray(np.linalg.qr(centred, mode="r"))


def kid(a_ND: Any, b_MD: Any) -> float:
    """Kernel inception distance, about 0 for equal distributions, may be slightly negative (Binkowski et al. 2018).

    The unbiased estimate of the squared maximum mean discrepancy with the kernel k(x, y) = (x.y / D + 1)^3: mean of k
    over pairs of different rows within each set, minus twice the mean over pairs across. All pairs are used, no random
    subsets: the same expectation with less noise.

    Raises:
        UserError: fewer than two rows, a different number of features, or NaN.
    """
    a, b = checked_features(a_ND, b_MD)
    return within(a) + within(b) - 2 * kernel_sum(a, b) / (len(a) * len(b))


def within(a_ND: Floats) -> float:
    """Mean kernel over pairs of different rows."""
    own = cubed((a_ND**2).sum(axis=1) / a_ND.shape[1] + 1).sum()
    return (kernel_sum(a_ND, a_ND) - float(own)) / (len(a_ND) * (len(a_ND) - 1))


def kernel_sum(a_ND: Floats, b_MD: Floats) -> float:
    """Sum of (x.y / D + 1)^3 over all pairs."""
    blocks = (a_ND[i : i + ROWS] @ (b_MD.T / a_ND.shape[1]) for i in range(0, len(a_ND), ROWS))
    return float(sum(cubed(block + 1).sum() for block in blocks))


def kid_interval(a_ND: Floats, b_MD: Floats, seed: int = 0) -> Interval:
    """KID with its 95% interval by the bootstrap, at about the price of the score itself.

    A resample is how often each row is drawn; its KID is the mean over pairs of different rows so weighted. All
    resamples share each block of the kernel.
    """
    random = np.random.default_rng(seed)
    often_NR, often_MR = (
        random.multinomial(len(x), np.full(len(x), 1 / len(x)), size=RESAMPLES).T.astype(np.float64)
        for x in (a_ND, b_MD)
    )
    told_R = -2 * weighted(a_ND, b_MD, often_NR, often_MR) / (len(a_ND) * len(b_MD))
    for x, often in ((a_ND, often_NR), (b_MD, often_MR)):
        own = cubed((x**2).sum(axis=1) / x.shape[1] + 1)
        square = often**2
        told_R += (weighted(x, x, often, often) - own @ square) / (len(x) ** 2 - square.sum(axis=0))
    return about(kid(a_ND, b_MD), float(told_R.std(ddof=1)), (-np.inf, np.inf))


def weighted(a_ND: Floats, b_MD: Floats, weight_NR: Floats, weight_MR: Floats) -> Floats:
    """Sum of (x.y / D + 1)^3 over all pairs, times the weights of x and y: R."""
    starts = range(0, len(a_ND), ROWS)
    blocks = (cubed(a_ND[i : i + ROWS] @ (b_MD.T / a_ND.shape[1]) + 1) @ weight_MR for i in starts)
    return np.sum([(block * weight_NR[i : i + ROWS]).sum(axis=0) for i, block in zip(starts, blocks, strict=True)], 0)


def cubed(x: Floats) -> Floats:
    """x^3; as products, since a power of floats is many times slower."""
    return x * x * x


def precision_recall(real_ND: Any, fake_MD: Any, k: int = 3) -> PrecisionRecall:
    """Improved precision and recall (Kynkaanniemi et al. 2019, equation 1), each in [0, 1], high is good.

    The manifold of a set is the union of balls around its points, each as wide as the distance to the point's k-th
    nearest neighbour in the set. Precision is the share of fakes on the manifold of the reals, recall the share of
    reals on the manifold of the fakes.

    Raises:
        UserError: k below 1, sets of no more than k rows, a different number of features, or NaN.
    """
    k = checked_count("k", k, 1)
    real, fake = checked_features(real_ND, fake_MD)
    if min(len(real), len(fake)) <= k:
        raise UserError(f"k={k}: sets of {len(real)} and {len(fake)} images are too small; give more than {k} of each")
    centre = real.mean(axis=0)  # distances stay, rounding shrinks
    real, fake = real - centre, fake - centre
    return PrecisionRecall(covered(fake, real, radii(real, k)), covered(real, fake, radii(fake, k)))


def radii(a_ND: Floats, k: int) -> Floats:
    """Squared distance of each row to its k-th nearest other row."""
    out = np.empty(len(a_ND))
    for i in range(0, len(a_ND), ROWS):
        block = squared_distances(a_ND[i : i + ROWS], a_ND)
        here = np.arange(len(block))
        block[here, i + here] = np.inf  # not a neighbour of itself
        out[i : i + ROWS] = np.partition(block, k - 1, axis=1)[:, k - 1]
    return out


def covered(points_ND: Floats, centres_MD: Floats, radii_M: Floats) -> float:
    """Share of points that lie in any ball of these squared radii. A point on the rim, up to rounding, is inside."""
    slack = 1e-12 * max((points_ND**2).sum(axis=1).max(), (centres_MD**2).sum(axis=1).max())
    blocks = (squared_distances(points_ND[i : i + ROWS], centres_MD) for i in range(0, len(points_ND), ROWS))
    return float(np.concatenate([(block <= radii_M + slack).any(axis=1) for block in blocks]).mean())


def squared_distances(a_ND: Floats, b_MD: Floats) -> Floats:
    """|a - b|^2 of every pair, N x M, by one matrix product: many times faster than pair by pair."""
    out = a_ND @ (-2 * b_MD.T)
    out += (a_ND**2).sum(axis=1)[:, None]
    out += (b_MD**2).sum(axis=1)
    return out


def checked_features(a: Any, b: Any) -> tuple[Floats, Floats]:
    """Two tables of features of one width."""
    first, second = checked_table("features", a), checked_table("features", b)
    if first.shape[1] != second.shape[1]:
        raise UserError(f"features: {first.shape[1]} and {second.shape[1]} columns: take both from one network")
    return first, second
