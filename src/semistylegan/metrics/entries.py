"""What counts as one entry of a code: a number, or all columns of a factor that is written in several.

Metrics that know nothing of kinds would take the cosine of an angle and its sine for two codes that share a factor.
Where the kinds are known, a class is written one-hot, an angle as a point of the circle, and the columns of each are
one entry.

Suffixes: N images, L entries, C columns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics.information import Floats, Ints, centred, histogram_bins, level_bins


@dataclass(frozen=True)
class Entries:
    """A code, entry by entry."""

    column_NC: Floats
    entry_C: Ints
    """The entry that each column belongs to, ascending."""
    level_NL: Floats
    """The code as it was given: one number an entry."""
    space: FactorSpace | None

    @classmethod
    def of(cls, code_NL: Floats, space: FactorSpace | None) -> Entries:
        """From codes, and the kinds of their columns where these are known (then the codes are levels).

        Raises:
            UserError: another number of columns than factors, or classes that the space does not have.
        """
        if space is None:
            return cls(code_NL, np.arange(code_NL.shape[1]), code_NL, None)
        if code_NL.shape[1] != len(space):
            raise UserError(
                f"codes: {code_NL.shape[1]} columns, but the space has {len(space)} factors; decode them first"
            )
        for factor, column in zip(space, code_NL.T, strict=True):
            if factor.kind == "categorical" and not (np.rint(column).clip(0, factor.width - 1) == column).all():
                raise UserError(f"codes: {factor.name} holds other numbers than its classes 0 to {factor.width - 1}")
        parts = [columns_of(column, factor) for column, factor in zip(code_NL.T, space, strict=True)]
        entry_C = np.repeat(np.arange(len(parts)), [part.shape[1] for part in parts])
        return cls(np.concatenate(parts, axis=1), entry_C, code_NL, space)

    def __len__(self) -> int:
        """Number of entries."""
        return self.level_NL.shape[1]

    def take(self, rows: npt.NDArray[Any]) -> Entries:
        """Some of the images."""
        return Entries(self.column_NC[rows], self.entry_C, self.level_NL[rows], self.space)

    def columns(self, entry: int) -> Floats:
        """The columns of an entry, N x (1 or more)."""
        return self.column_NC[:, self.entry_C == entry]

    def summed(self, per_column_C: Floats) -> Floats:
        """Numbers a column (on the last axis) -> sums an entry."""
        return np.add.reduceat(per_column_C, np.searchsorted(self.entry_C, np.arange(len(self))), axis=-1)

    def numbers(self) -> Floats:
        """One number an entry, angles turned clear of their seam, N x L."""
        if self.space is None:
            return self.level_NL
        columns = [
            centred(column, factor.size) if factor.kind == "circular" else column
            for factor, column in zip(self.space, self.level_NL.T, strict=True)
        ]
        return np.stack(columns, axis=1)

    def bins(self, count: int) -> Ints:
        """One bin an image and entry: see `information.histogram_bins`, and `level_bins` where kinds are known."""
        if self.space is None:
            return histogram_bins(self.level_NL, count)
        return level_bins(self.level_NL, self.space, count)


def columns_of(level_N: Floats, factor: Factor) -> Floats:
    """A factor's levels as numbers that lie near each other where the values do: N x 1, 2 (angle) or classes."""
    if factor.kind == "categorical":
        return np.eye(factor.width)[level_N.astype(np.int64)]
    if factor.kind == "circular":
        angle_N = 2 * np.pi * level_N
        return np.stack([np.cos(angle_N), np.sin(angle_N)], axis=1) / 2
    return level_N[:, None]
