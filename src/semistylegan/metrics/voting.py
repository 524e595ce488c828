"""Metrics that hold factors fixed and ask for images: the FactorVAE and the BetaVAE score.

Both take an encoder and a way to draw images of chosen factors or, many times faster, the codes of every image of the
grid as an array.

Suffixes: V votes, B images of a batch, F factors, L entries of a code, C its columns, G points of the grid.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace, IntArray
from semistylegan.metrics.entries import Entries
from semistylegan.metrics.information import Floats, Ints, checked_count, checked_table
from semistylegan.metrics.predictors import logistic

VOTES = (10_000, 5_000)
"""Votes to learn from and to test on: disentanglement_lib's."""
VARIANCE_IMAGES = 10_000
BLOCK = 250
"""Votes whose random numbers are drawn at a time."""


class Source:
    """Codes of images with chosen factors, however they are come by."""

    def __init__(
        self,
        encode: Any,
        factor_space: FactorSpace,
        sample: Callable[[IntArray], Any] | None,
        kinds: FactorSpace | None,
    ) -> None:
        self.sizes = np.asarray(factor_space.sizes)
        self.varying = np.flatnonzero(self.sizes > 1)
        if len(self.varying) == 0:
            raise UserError("factors: none has more than one value; this score needs one to hold fixed")
        self.encode, self.space, self.sample, self.kinds = encode, factor_space, sample, kinds
        self.code_GC: Floats | None = None
        if not callable(encode):
            codes = checked_table("codes", encode)
            if len(codes) != factor_space.total:
                raise UserError(
                    f"codes: {len(codes)} rows, but the grid has {factor_space.total} points; give the code of every "
                    f"image, in the order of FactorSpace.index_of, or functions encode and sample"
                )
            self.code_GC = self.columns(codes).column_NC
        elif sample is None:
            raise UserError("sample: missing; with a function encode a function that draws images is needed")

    def columns(self, codes: Floats) -> Entries:
        self.entries = Entries.of(codes, self.kinds)
        return self.entries

    def codes(self, value_VBF: Ints) -> Floats:
        """Columns V x B x C of the codes of images with these value indices."""
        if self.code_GC is not None:
            rows = np.asarray(self.space.index_of(value_VBF.reshape(-1, len(self.sizes))))
            return self.code_GC[rows].reshape(*value_VBF.shape[:2], -1)
        assert self.sample is not None
        parts = []
        for value_BF in value_VBF:
            codes = checked_table("codes", self.encode(self.sample(value_BF)), rows=len(value_BF))
            parts.append(self.columns(codes).column_NC)
        return np.stack(parts)

    def draw(self, random: np.random.Generator, votes: int, batch: int) -> Ints:
        """Value indices V x B x F, uniform over the grid."""
        return random.integers(0, self.sizes, size=(votes, batch, len(self.sizes)))


def factor_vae_score(
    encode: Any,
    factor_space: FactorSpace,
    sample: Callable[[IntArray], Any] | None = None,
    seed: int = 0,
    *,
    votes: int = VOTES[0],
    test_votes: int = VOTES[1],
    batch: int = 64,
    variance_images: int = VARIANCE_IMAGES,
    prune: float = 0.05,
    space: FactorSpace | None = None,
    voted: Callable[[int], object] | None = None,
) -> float:
    """FactorVAE score, in [0, 1], high is good (Kim and Mnih 2018, arXiv 1802.05983, section 4).

    A vote: one factor, drawn at random, is held fixed over a batch; the entry of the code whose variance there is least
    against its variance over the data votes for that factor. The majority over `votes` votes maps entries to factors;
    the score is the share of `test_votes` further votes that the map gets right.

    Protocol (disentanglement_lib): 10,000 and 5,000 votes of 64 images, variance over 10,000 images, entries with a
    standard deviation under 0.05 do not vote. Factors of one value are never the fixed one. Chance is about 1 / F.
    Pitfalls: several entries may share a factor at no cost; an entry that follows two factors can still win all of its
    votes; the votes drawn alone move a middling score by 0.01 from seed to seed; the early code of Semi-StyleGAN takes
    half as many.

    Args:
        encode: images -> codes B x L; or the codes of every image of the grid, G x L, in the order of
            `factor_space.index_of`.
        factor_space: factors with grids.
        sample: value indices B x F -> images, in whatever form `encode` takes. Not needed with an array.
        seed: fixes every draw; the array and the functions give the same score.
        votes, test_votes, batch, variance_images: sizes of the protocol.
        prune: entries whose standard deviation over the data is below this do not vote.
        space: kinds of the entries, if the codes are levels: an entry's variance is then the sum of its columns', see
            `entries`.
        voted: called with the number of votes after each block of them, for a progress bar.

    Raises:
        UserError: a factor without a grid, none with more than one value, codes that are no finite table, or not one
            for each point of the grid, or sizes that leave nothing to measure.
    """
    votes, test_votes = checked_count("votes", votes, 1), checked_count("test_votes", test_votes, 1)
    batch, variance_images = checked_count("batch", batch, 2), checked_count("variance_images", variance_images, 2)
    source = Source(encode, factor_space, sample, space)
    random = np.random.default_rng(checked_count("seed", seed, 0))
    sizes = [min(1000, variance_images - i) for i in range(0, variance_images, 1000)]
    chunks = [source.codes(source.draw(random, 1, size))[0] for size in sizes]
    column_NC = np.concatenate(chunks)
    variance_L = source.entries.summed(column_NC.var(axis=0, ddof=1))
    varies_L = source.entries.summed(np.ptp(column_NC, axis=0)) > 0  # the variance of equal numbers may be a rounding
    active = np.flatnonzero((np.sqrt(variance_L) >= prune) & varies_L)
    if len(active) == 0:
        return 0.0

    def tally(count: int) -> Ints:
        """How often each entry (row) voted for each factor (column)."""
        table = np.zeros((len(active), len(factor_space)), dtype=np.int64)
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            fixed_V = source.varying[random.integers(len(source.varying), size=size)]
            value_VBF = source.draw(random, size, batch)
            every = np.arange(size)
            value_VBF[every, :, fixed_V] = value_VBF[every, 0, fixed_V][:, None]
            spread_VL = source.entries.summed(source.codes(value_VBF).var(axis=1, ddof=1))[:, active]
            np.add.at(table, ((spread_VL / variance_L[active]).argmin(axis=1), fixed_V), 1)
            if voted is not None:
                voted(size)
        return table

    majority_L = tally(votes).argmax(axis=1)
    test = tally(test_votes)
    return float(test[np.arange(len(active)), majority_L].sum() / test.sum())


def beta_vae_score(
    encode: Any,
    factor_space: FactorSpace,
    sample: Callable[[IntArray], Any] | None = None,
    seed: int = 0,
    *,
    points: int = VOTES[0],
    test_points: int = VOTES[1],
    batch: int = 64,
    space: FactorSpace | None = None,
    voted: Callable[[int], object] | None = None,
) -> float:
    """BetaVAE score, in [0, 1], high is good (Higgins et al. 2017, section 3).

    A point: one factor, drawn at random, is the same in both images of each of `batch` pairs; the mean absolute
    difference of the pairs' codes is what a linear (logistic) classifier tells the factor from. The score is its
    accuracy on `test_points` further points.

    Protocol (disentanglement_lib): 10,000 and 5,000 points of 64 pairs, scikit-learn's logistic regression. Factors of
    one value are never the fixed one. Chance is 1 / F. Pitfalls: a classifier can combine entries, so that it is 1 also
    for codes in which every factor is spread over several of them; it hardly tells good models apart.

    Args:
        encode, factor_space, sample, seed, space, voted: see :func:`factor_vae_score`.
        points, test_points, batch: sizes of the protocol.

    Raises:
        UserError: as :func:`factor_vae_score`; also fewer than two factors that vary.
    """
    points, test_points = checked_count("points", points, 1), checked_count("test_points", test_points, 1)
    batch = checked_count("batch", batch, 1)
    source = Source(encode, factor_space, sample, space)
    if len(source.varying) < 2:
        raise UserError("beta_vae_score: 1 factor that varies: it tells them apart, so at least two are needed")
    random = np.random.default_rng(checked_count("seed", seed, 0))

    def draw(count: int) -> tuple[Floats, Ints]:
        features, labels = [], []
        for start in range(0, count, BLOCK):
            size = min(BLOCK, count - start)
            fixed_V = source.varying[random.integers(len(source.varying), size=size)]
            one_VBF, two_VBF = source.draw(random, size, batch), source.draw(random, size, batch)
            every = np.arange(size)
            two_VBF[every, :, fixed_V] = one_VBF[every, :, fixed_V]
            features.append(np.abs(source.codes(one_VBF) - source.codes(two_VBF)).mean(axis=1))
            labels.append(fixed_V)
            if voted is not None:
                voted(size)
        return np.concatenate(features), np.concatenate(labels)

    features, labels = draw(points)
    if len(np.unique(labels)) < 2:
        raise UserError(f"points={points}: the same factor was held fixed in all; give more")
    return float(logistic(features, labels).score(*draw(test_points)))
