"""95% intervals of the metrics of codes and factors, whoever made these: for `eval` and `eval-codes` alike.

InfoM and InfoC have none: they are ratios of estimates of information, and where an entry knows nothing these stay as
random with many images as with few, while nearest neighbours forbid to draw an image twice.

Suffixes: N images, L entries of a code, F factors, G points of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics import voting
from semistylegan.metrics.disentanglement import BINS, irs, mig_decoded, modularity
from semistylegan.metrics.information import Floats, Ints
from semistylegan.metrics.intervals import PARTS, Interval, bootstrap, by_parts, of_parts
from semistylegan.metrics.predictors import dci, explicitness, info_mec, sap
from semistylegan.metrics.voting import beta_vae_score, factor_vae_score

Found = dict[str, Interval]
"""Field of the scores -> its interval."""
Scores = Sequence[float]
"""What the metric itself gives, in the order of its fields."""
SHARE = (0.0, 1.0)

OfCodes = Callable[[Floats, Ints, FactorSpace | None, int, Scores], Found]
"""Codes N x L, value indices N x F, kinds of the entries, seed, scores -> intervals."""
OfGrid = Callable[[Floats, FactorSpace, FactorSpace | None, int, Scores], Found]
"""Codes of the grid G x L, the grid, kinds of the entries, seed, scores -> intervals."""


def kinds_of(codes: Floats, space: FactorSpace | None) -> FactorSpace:
    """The kinds of the entries: numbers where nothing is said."""
    return space or FactorSpace(tuple(Factor.scalar(f"c{i}") for i in range(codes.shape[1])))


def of_mig(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    def score(c: Floats, f: Ints) -> float:
        return mig_decoded(c, f, kinds_of(codes, space), BINS)

    return {"mig": bootstrap(score, codes, factors, seed=seed, within=SHARE)}


def of_modularity(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    def score(c: Floats, f: Ints) -> float:
        return modularity(c, f, space=space)

    return {"modularity": bootstrap(score, codes, factors, seed=seed, within=SHARE)}


def of_irs(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    def score(c: Floats, f: Ints) -> float:
        return irs(c, f, space=space)

    return {"irs": bootstrap(score, codes, factors, seed=seed, within=SHARE)}


def of_sap(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    def measure(c: Floats, f: Ints) -> Scores:
        return [sap(c, f, seed, space=space)]

    return named(("sap",), by_parts(measure, codes, factors, scores=scores, seed=seed, within=SHARE))


def of_explicitness(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    def measure(c: Floats, f: Ints) -> Scores:
        return [explicitness(c, f, seed, space=space)]

    return named(("explicitness",), by_parts(measure, codes, factors, scores=scores, seed=seed, within=SHARE))


def of_dci(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    def measure(c: Floats, f: Ints) -> Scores:
        return dci(c, f, seed, space=space)

    fields = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
    return named(fields, by_parts(measure, codes, factors, scores=scores, seed=seed, within=SHARE))


def of_info_mec(codes: Floats, factors: Ints, space: FactorSpace | None, seed: int, scores: Scores) -> Found:
    """Of InfoE alone."""

    def measure(c: Floats, f: Ints) -> Scores:
        return [info_mec(c, f, seed, space=space).explicitness]

    spans = by_parts(measure, codes, factors, scores=scores[1:2], seed=seed, within=(-float("inf"), 1.0))
    return named(("info_e",), spans)


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
    "mig": of_mig,
    "modularity": of_modularity,
    "irs": of_irs,
    "sap": of_sap,
    "explicitness": of_explicitness,
    "info_mec": of_info_mec,
    "dci": of_dci,
}
GRID_INTERVALS: dict[str, OfGrid] = {"factor_vae": of_factor_vae, "beta_vae": of_beta_vae}
"""Those that vote over the grid: their draws alone are what the interval speaks of."""
PROTOCOLS = {
    **dict.fromkeys(("sap", "explicitness", "info_mec", "dci"), f"{PARTS} parts of the images, Student's t"),
    **dict.fromkeys(GRID_INTERVALS, f"{PARTS} draws of a tenth of the votes, Student's t"),
}
"""How intervals are made that are not by the bootstrap over images."""
