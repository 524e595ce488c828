"""95% intervals of the metrics of codes and factors, whoever made these: for `eval` and `eval-codes` alike.

InfoM and InfoC have none: they are ratios of estimates of information, and where an entry knows nothing these stay as
random with many images as with few, while nearest neighbours forbid to draw an image twice.

Suffixes: N images, L entries of a code, F factors, G points of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

import numpy as np

from semistylegan.factors import FactorSpace
from semistylegan.metrics import voting
from semistylegan.metrics.code_metrics import CODE_METRICS, VOTES
from semistylegan.metrics.entries import Entries
from semistylegan.metrics.information import Floats, Ints, require_varying, varying
from semistylegan.metrics.intervals import PARTS, Interval, bootstrap, by_parts, of_parts
from semistylegan.metrics.predictors import told_by_lines
from semistylegan.metrics.voting import beta_vae_score, factor_vae_score

Found = dict[str, Interval]
"""Field of the scores -> its interval."""
Scores = Sequence[float]
"""What the metric itself gives, in the order of its fields."""
SHARE = (0.0, 1.0)
BOOTSTRAPPED = ("mig", "modularity", "irs")
"""Those that are quick enough to be measured a hundred times."""

OfCodes = Callable[[Floats, Ints, FactorSpace | None, int, Scores], Found]
"""Codes N x L, value indices N x F, kinds of the entries, seed, scores -> intervals."""
OfGrid = Callable[[Floats, FactorSpace, FactorSpace | None, int, Scores], Found]
"""Codes of the grid G x L, the grid, kinds of the entries, seed, scores -> intervals."""


def of_images(name: str, codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    """Of a metric that looks at images, by the bootstrap where it is quick, else by parts.

    Raises:
        UserError: as the metric, or a factor that varies does not among images drawn again.
    """
    fields, metric = CODE_METRICS[name]
    varies_F = varying(factors)

    def measure(codes: Floats, factors: Ints) -> Scores:
        require_varying(factors, varies_F)
        return metric(codes, factors, space, seed)

    if name in BOOTSTRAPPED:
        return {name: bootstrap(lambda c, f: measure(c, f)[0], codes, factors, seed=seed, within=SHARE)}
    return named(fields, by_parts(measure, codes, factors, scores=scores, seed=seed, within=SHARE))


def of_info_mec(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    """Of InfoE alone, leaving out a tenth of the images at a time (jackknife).

    It is measured on the images that it was fitted to: a tenth alone is fitted ever closer, the wider the code, until
    each scores 1. What `by_parts` is told is so scaled that its error is sqrt(9/10 * sum of (score - mean)^2).
    """
    varies_F = varying(factors)

    def without(left_out: Ints) -> Scores:
        kept = np.delete(factors, left_out, axis=0)
        require_varying(kept, varies_F)
        return [(1 - PARTS) * told_by_lines(Entries.of(np.delete(codes, left_out, axis=0), space), kept[:, varies_F])]

    within = (-float("inf"), 1.0)
    return named(("info_e",), by_parts(without, np.arange(len(codes)), scores=scores[1:2], seed=seed, within=within))


def of_factor_vae(codes: Floats, grid: FactorSpace, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    learn, test = (n // PARTS for n in voting.VOTES)
    images = voting.VARIANCE_IMAGES // PARTS

    told = [
        [factor_vae_score(codes, grid, None, s, votes=learn, test_votes=test, variance_images=images, space=space)]
        for s in seeds(seed)
    ]
    return named(("factor_vae",), of_parts(scores, told, SHARE))


def of_beta_vae(codes: Floats, grid: FactorSpace, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    learn, test = (n // PARTS for n in voting.VOTES)
    told = [[beta_vae_score(codes, grid, seed=s, space=space, points=learn, test_points=test)] for s in seeds(seed)]
    return named(("beta_vae",), of_parts(scores, told, SHARE))


def seeds(seed: int) -> range:
    """Seeds of the parts of the votes, beside those that people use."""
    return range(10_000 * (seed + 1), 10_000 * (seed + 1) + PARTS)


def named(fields: Sequence[str], spans: Sequence[Interval]) -> Found:
    """Intervals by field; none where there are none."""
    return dict(zip(fields, spans, strict=False))


INTERVALS: dict[str, OfCodes] = {
    **{name: partial(of_images, name) for name in CODE_METRICS if name not in VOTES},
    "info_mec": of_info_mec,
}
GRID_INTERVALS: dict[str, OfGrid] = {"factor_vae": of_factor_vae, "beta_vae": of_beta_vae}
"""Those that vote over the grid: their draws alone are what the interval speaks of."""
PROTOCOLS = {
    **{name: f"{PARTS} parts of the images, Student's t" for name in INTERVALS if name not in BOOTSTRAPPED},
    "info_mec": f"without a tenth of the images, {PARTS} times, Student's t",
    **dict.fromkeys(GRID_INTERVALS, f"{PARTS} draws of a tenth of the votes, Student's t"),
}
"""How intervals are made that are not by the bootstrap over images."""
