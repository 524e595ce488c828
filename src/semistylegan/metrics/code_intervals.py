"""95% intervals of the metrics of codes and factors, whoever made these: for `eval` and `eval-codes` alike.

InfoM and InfoC have none: they are ratios of estimates of information, and where an entry knows nothing these stay as
random with many images as with few, while nearest neighbours forbid to draw an image twice.

Suffixes: N images, L entries of a code, F factors, G points of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from semistylegan.factors import FactorSpace
from semistylegan.metrics import voting
from semistylegan.metrics.code_metrics import CODE_METRICS, VOTES
from semistylegan.metrics.information import Floats, Ints, require_varying, varying
from semistylegan.metrics.intervals import PARTS, Interval, bootstrap, by_parts, of_parts
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
    """Of a metric that looks at images, by the bootstrap where it is quick, else by parts; of InfoMEC, InfoE alone.

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
    within = (-float("inf"), 1.0) if name == "info_mec" else SHARE
    parts = by_parts(measure, codes, factors, scores=scores, seed=seed, within=within)
    return {field: span for field, span in named(fields, parts).items() if field not in ("info_m", "info_c")}


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


INTERVALS: dict[str, OfCodes] = {name: partial(of_images, name) for name in CODE_METRICS if name not in VOTES}
GRID_INTERVALS: dict[str, OfGrid] = {"factor_vae": of_factor_vae, "beta_vae": of_beta_vae}
"""Those that vote over the grid: their draws alone are what the interval speaks of."""
PROTOCOLS = {
    **{name: f"{PARTS} parts of the images, Student's t" for name in INTERVALS if name not in BOOTSTRAPPED},
    **dict.fromkeys(GRID_INTERVALS, f"{PARTS} draws of a tenth of the votes, Student's t"),
}
"""How intervals are made that are not by the bootstrap over images."""
