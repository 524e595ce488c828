"""Giving names to the codes of a model that saw no labels, so that its errors can be told at all.

MIG needs no names. L2 does: which code stands for which factor, and which value of the code for which value of the
factor. The field's usual way is taken: codes and factors are matched one to one so that the sum of their mutual
information is largest (Hungarian method); then each bin of a code stands for the value of its factor that fits best.
What codes mean is settled by the encoder's readings of one half of the real images, with their labels; the encoder is
judged on the other half, and the generator by the same meaning (fitted to its own images, one that always draws the
same would look obedient). This is a favour that a model with labels does not get: such figures are marked, and must be
compared among themselves.

Suffixes: N images, K codes, F factors.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics.information import Floats, Ints, Mask, centred, mutual_information

BINS = 20
"""Values of a scalar or circular code that are told apart."""


@dataclass(frozen=True)
class Meaning:
    """What the codes of a model say of factors."""

    codes: FactorSpace
    """Kinds of the codes."""
    code_of: tuple[int | None, ...]
    """The code of each factor; None where there are fewer codes than factors."""
    tables: tuple[Floats, ...]
    """For each factor: the level that each bin of its code stands for."""

    @classmethod
    def fit(
        cls, code_NK: Floats, codes: FactorSpace, level_NF: Floats, factors: FactorSpace, known_NF: Mask
    ) -> Meaning:
        """From decoded codes and true levels (and where these are known) of the same images."""
        binned_NK = even_bins(code_NK, codes)
        index_NF = factors.indices_of_levels(level_NF, BINS).astype(np.int64)
        code_of = matched(mutual_information(binned_NK, index_NF, known_NF)[0])
        tables = []
        for f, factor in enumerate(factors):
            code, known_N = code_of[f], known_NF[:, f]
            bin_N = np.zeros(len(level_NF), dtype=np.int64) if code is None else binned_NK[:, code]
            tables.append(values_of_bins(bin_N[known_N], level_NF[known_N, f], factor, bins_of(codes, code)))
        return cls(codes, code_of, tuple(tables))

    def levels(self, code_NK: Floats) -> Floats:
        """Decoded codes -> levels N x F of the factors."""
        binned_NK = even_bins(code_NK, self.codes)
        nothing = np.zeros(len(code_NK), dtype=np.int64)
        columns = [
            table[nothing if code is None else binned_NK[:, code]]
            for table, code in zip(self.tables, self.code_of, strict=True)
        ]
        return np.stack(columns, axis=1)


def matched(information_KF: Floats) -> tuple[int | None, ...]:
    """The code of each factor: one to one, with the largest sum of mutual information."""
    codes, factors = linear_sum_assignment(information_KF, maximize=True)
    found = {int(f): int(k) for k, f in zip(codes, factors, strict=True)}
    return tuple(found.get(f) for f in range(information_KF.shape[1]))


def bins_of(codes: FactorSpace, code: int | None) -> int:
    """Number of bins of a code; 1 for none."""
    if code is None:
        return 1
    return codes[code].width if codes[code].kind == "categorical" else BINS


def even_bins(code_NK: Floats, codes: FactorSpace) -> Ints:
    """Levels -> bins: the class, or one of BINS even parts of the range or of the turn (which begin off the seam)."""
    out = np.zeros(code_NK.shape, dtype=np.int64)
    for k, code in enumerate(codes):
        level: npt.NDArray[np.float64] = code_NK[:, k]
        if code.kind == "categorical":
            out[:, k] = np.rint(level)
        else:
            place = centred(level, code.size) if code.kind == "circular" else level
            out[:, k] = np.clip((place * BINS).astype(np.int64), 0, BINS - 1)
    return out


def values_of_bins(bin_N: Ints, level_N: Floats, factor: Factor, count: int) -> Floats:
    """The level that fits best the images in each bin; in an empty bin, the one that fits best all of them."""
    if len(level_N) == 0:
        return np.zeros(count)
    overall = typical(level_N, factor)
    return np.array([typical(here, factor) if len(here := level_N[bin_N == b]) else overall for b in range(count)])


def typical(level_N: Floats, factor: Factor) -> float:
    """The mean of numbers, the direction of the mean of angles, the most frequent class (the first of several)."""
    if factor.kind == "categorical":
        return float(np.bincount(np.rint(level_N).astype(np.int64)).argmax())
    if factor.kind == "circular":
        mean = np.exp(2j * math.pi * level_N).mean()
        return float(np.angle(mean) / (2 * math.pi) % 1.0)
    return float(level_N.mean())
