"""What the labelled rows say together: factors that never change, that move together, and how codes should be drawn.

Only the labels that it is given are looked at: a run hands in those of its labelled rows.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import numpy.typing as npt
from scipy import stats

from semistylegan import progress
from semistylegan.data.labels import Labels
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace, FloatArray, IntArray

Prior = Literal["grid", "labelled"]

MANY = 1000
"""So many pairs of factors are compared under a bar."""
MIN_ROWS = 100
"""With fewer labelled rows no shape of their distribution is claimed."""
CHANCE = 1e-3
"""How often, over all factors and pairs of a full grid, chance alone may look like a shape."""
VISIBLE = 0.1
"""Smaller departures (total variation, Cramér's V) than this are left alone, however certain they are."""
ALMOST = 0.9
"""Two factors are near-duplicates if they share more than this part of what the poorer one says (normalised mutual
information), or, both on a scale, if their ranks correlate by more than its square root."""


@dataclass(frozen=True)
class Pair:
    """Two factors that go together."""

    a: int
    b: int
    always: bool
    """Each value of one goes with one value of the other; else almost."""


def constant(space: FactorSpace, labels: Labels) -> list[int]:
    """Factors that have one value wherever they are known, in ten labels at least."""
    out = []
    for f in range(len(space)):
        own = labels.level_NF[labels.known_NF[:, f], f]
        if len(own) >= 10 and len(np.unique(own)) == 1:
            out.append(f)
    return out


def pairs(space: FactorSpace, labels: Labels) -> Iterator[Pair]:
    """Factors that always or almost always move together, as far as enough rows know both to say so."""
    index = [factor.index_of_level(labels.level_NF[:, f]) for f, factor in enumerate(space)]
    ranks = _ranks(space, labels)
    for a, b in _combinations(space):
        both = labels.known_NF[:, a] & labels.known_NF[:, b]
        one, two, count = _meetings(index[a][both], index[b][both])
        kinds = len(np.unique(one)), len(np.unique(two))
        if count.sum() < 10 or min(kinds) < 2:
            continue
        enough = count.sum() >= 3 * len(count)
        if enough and len(count) == kinds[0] == kinds[1]:
            yield Pair(a, b, always=True)
        elif (enough and _shared(one, two, count) > ALMOST) or _same_ranks(ranks.get(a), ranks.get(b), both):
            yield Pair(a, b, always=False)


def require_learnable(space: FactorSpace, labels: Labels, path: Path) -> list[str]:
    """What a run should be told of factors that these labels do not teach, a line each.

    Raises:
        UserError: they teach none: each factor has one value wherever it is known.
    """
    still, blank = constant(space, labels), [f for f in range(len(space)) if not labels.known_NF[:, f].any()]
    if len(still) + len(blank) == len(space):
        name = space[still[0]].name
        raise UserError(f"{path}: {name!r} is the same in all labelled images; label images in which it differs")
    notes = [f"{space[f].name} has one value in all labelled images: nothing can be learned of it" for f in still]
    return notes + [f"{space[f].name} has no labelled image: nothing says what its codes will mean" for f in blank]


def choose_prior(space: FactorSpace, labels: Labels) -> tuple[Prior, str]:
    """How to draw codes for generated images, from what the labelled rows look like.

    Uniform over each factor's values (`grid`), unless the rows say that values are not equally frequent or that factors
    go together (chi-squared tests, Bonferroni-corrected, and a departure that is worth it): then the rows' own joint
    distribution (`labelled`), so that generated images are of the kind that the data holds.

    Returns:
        the prior, and why, as a phrase.
    """
    rows = len(labels.labelled_rows)
    if rows < MIN_ROWS or not len(space):
        return "grid", f"{rows} labelled rows are too few to tell another distribution"
    certain = CHANCE / (len(space) * (len(space) + 1) / 2)
    strongest: tuple[float, str] = (0.0, "")
    groups = [_groups(factor, labels.level_NF[:, f]) for f, factor in enumerate(space)]
    for f, factor in enumerate(space):
        even = _even(factor)
        count = np.bincount(groups[f][labels.known_NF[:, f]], minlength=len(even)).astype(float)
        total = count.sum()
        if total >= MIN_ROWS and len(even) > 1 and stats.chisquare(count, even * total).pvalue < certain:
            departure = float(np.abs(count / total - even).sum() / 2)
            strongest = max(strongest, (departure, f"the values of {factor.name} are not equally frequent"))
    for a, b in _combinations(space):
        both = labels.known_NF[:, a] & labels.known_NF[:, b]
        table = _crossed(groups[a][both], groups[b][both])
        if both.sum() >= MIN_ROWS and min(table.shape) > 1:
            test = stats.chi2_contingency(table)
            # Bergsma's correction: without it few rows in many cells look associated.
            free = (table.shape[0] - 1) * (table.shape[1] - 1)
            square = max(0.0, test.statistic / both.sum() - free / (both.sum() - 1))
            strength = math.sqrt(square / (min(table.shape) - 1))
            if test.pvalue < certain:
                strongest = max(strongest, (strength, f"{space[a].name} and {space[b].name} go together"))
    if strongest[0] > VISIBLE:
        return "labelled", strongest[1]
    return "grid", "in the labelled rows, values are about equally frequent and factors independent"


def _groups(factor: Factor, level_N: FloatArray) -> IntArray:
    """Value indices; more than ten values of a scale or a circle become ten ranges."""
    if factor.kind == "categorical" or (factor.size is not None and factor.size <= 10):
        return factor.index_of_level(level_N)
    place = level_N if factor.size is None else (factor.index_of_level(level_N) + 0.5) / factor.size
    return np.clip((place * 10).astype(np.int64), 0, 9)


def _even(factor: Factor) -> npt.NDArray[np.float64]:
    """The share of each group where every value is equally frequent."""
    if factor.size is None:
        return np.full(10, 0.1)
    return np.bincount(_groups(factor, factor.level_of_index(np.arange(factor.size)))) / factor.size


def _combinations(space: FactorSpace) -> Iterator[tuple[int, int]]:
    """Every two factors, with a bar where there are many."""
    with progress.quiet_bar("comparing factors", math.comb(len(space), 2), MANY) as advance:
        for both in itertools.combinations(range(len(space)), 2):
            yield both
            advance()


def _ranks(space: FactorSpace, labels: Labels) -> dict[int, FloatArray]:
    """Ranks of each factor that is a number, among the rows that know it; 0 in the others."""
    out: dict[int, FloatArray] = {}
    for f, factor in enumerate(space):
        if factor.kind == "scalar":
            known = labels.known_NF[:, f]
            out[f] = np.zeros(len(known))
            out[f][known] = stats.rankdata(labels.level_NF[known, f])
    return out


def _same_ranks(a: FloatArray | None, b: FloatArray | None, both: npt.NDArray[np.bool_]) -> bool:
    """Whether two numbers have nearly the same order, by their ranks; of None that is never said."""
    if both.sum() < 20 or a is None or b is None:
        return False
    if not both.all():
        a, b = stats.rankdata(a[both]), stats.rankdata(b[both])
    return abs(np.corrcoef(a, b)[0, 1]) > math.sqrt(ALMOST)


def _meetings(a: IntArray, b: IntArray) -> tuple[IntArray, IntArray, IntArray]:
    """The pairs of values that occur, and how often each does. Quick: 40 factors have 780 pairs."""
    width = int(b.max(initial=0)) + 1
    if (int(a.max(initial=0)) + 1) * width <= len(a):  # counting all there could be is faster than sorting
        counted = np.bincount(a * width + b)
        pair = np.flatnonzero(counted)
        count = counted[pair]
    else:
        pair, count = np.unique(a * width + b, return_counts=True)
    return pair // width, pair % width, count


def _crossed(a: IntArray, b: IntArray) -> npt.NDArray[np.float64]:
    """How often each value of one meets each of the other; values that never occur are left out."""
    one, two, count = _meetings(a, b)
    _, i = np.unique(one, return_inverse=True)
    _, j = np.unique(two, return_inverse=True)
    table = np.zeros((i.max(initial=-1) + 1, j.max(initial=-1) + 1))
    table[i, j] = count
    return table


def _shared(one: IntArray, two: IntArray, count: IntArray) -> float:
    """Mutual information over the smaller entropy, 0 to 1, of :func:`_meetings`."""
    entropy = [float(stats.entropy(np.bincount(values, count))) for values in (one, two)]
    return (sum(entropy) - float(stats.entropy(count))) / min(entropy)
