"""95% intervals of a model's scores: by the bootstrap over images, by parts of the images, or by draws of the votes.

Suffixes: N images, F factors, K codes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from semistylegan import progress
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.metrics import code_intervals
from semistylegan.metrics.code_intervals import SHARE, Found, named
from semistylegan.metrics.controllability import leakage, mean_errors
from semistylegan.metrics.disentanglement import BINS, mig_decoded
from semistylegan.metrics.fidelity import frechet_distance, kid_interval, precision_recall, quick_frechet_distance
from semistylegan.metrics.information import Floats, Ints, Mask, require_varying, varying
from semistylegan.metrics.intervals import PARTS, RESAMPLES, bootstrap, by_parts, of_share
from semistylegan.metrics.readings import Readings, own_kinds
from semistylegan.metrics.scores import METRICS, Fields, compared, grid_codes, several_values

FID_RESAMPLES = 25
"""Each takes the eigenvalues of two matrices of 2,048 rows."""


def of_mig(r: Readings) -> Found:
    varies_F = varying(r.true_indices, r.truth[1])

    def score(read: Floats, true: Ints, known: Mask) -> float:
        require_varying(true, varies_F, known)
        return mig_decoded(read, true, r.codes, BINS, known)

    return {"mig": bootstrap(score, r.read, r.true_indices, r.truth[1], seed=r.seed, within=SHARE)}


def of_l2(r: Readings) -> Found:
    if r.named:
        level, known = r.truth
        return of_errors("l2", "mae", own_kinds(r.read, r.codes, r.factors), level, known, r)
    return of_errors("l2", "mae", *r.tested, r)


def of_mig_gen(r: Readings) -> Found:
    asked = r.codes.indices_of_levels(r.generated.asked_NK, BINS).astype(np.int64)
    varies_F = varying(asked)

    def score(read: Floats, asked: Ints) -> float:
        require_varying(asked, varies_F)
        return mig_decoded(read, asked, r.factors, BINS)

    return {"mig_gen": bootstrap(score, r.generated.read_NF, asked, seed=r.seed, within=SHARE)}


def of_l2_gen(r: Readings) -> Found:
    g = r.generated
    asked = own_kinds(g.asked_NK, r.codes, r.factors) if r.named else r.meaning.levels(g.asked_NK)
    return of_errors("l2_gen", "mae_gen", g.read_NF, asked, np.ones(asked.shape, dtype=bool), r)


def of_errors(total: str, each: str, read: Floats, truth: Floats, known: Mask, r: Readings) -> Found:
    """Of the mean norm of the errors, and of each factor's mean error under `<each>.<factor>`."""
    error_NF = np.where(known, r.factors.error(read, truth), 0.0)
    rows = known.any(axis=1)
    norm_N = np.linalg.norm(error_NF[rows], axis=1)
    found = {total: bootstrap(np.mean, norm_N, seed=r.seed, within=(0.0, np.inf))}
    for f, factor in enumerate(r.factors):
        error_N = error_NF[known[:, f], f]
        if len(error_N):
            share = factor.kind == "categorical"
            span = of_share(error_N) if share else bootstrap(np.mean, error_N, seed=r.seed, within=SHARE)
            found[f"{each}.{factor.name}"] = span
    return found


def of_fd(r: Readings) -> Found:
    tables = r.real_features, r.generated.feature_ND
    return {"fd_oracle": bootstrap(quick_frechet_distance, *tables, seed=r.seed, paired=False, within=(0.0, np.inf))}


def of_leakage(r: Readings) -> Found:
    before_NF, after_KNF = r.changed
    if not r.named or len(after_KNF) != before_NF.shape[1]:
        return {}
    kept = several_values(r.factors)

    def score(before: Floats, after_NKF: Floats, space: FactorSpace = r.factors) -> float:
        return leakage(np.stack([mean_errors(after_NKF[:, k], before, space)[kept] for k in kept]))

    return {"leakage_mean": bootstrap(score, before_NF, after_KNF.swapaxes(0, 1), seed=r.seed, within=SHARE)}


def of_kid(r: Readings) -> Found:
    return {"kid": kid_interval(r.real_features, r.generated.feature_ND, r.seed)}


def of_precision_recall(r: Readings, scores: list[float]) -> Found:
    tables = r.real_features, r.generated.feature_ND
    spans = by_parts(precision_recall, *tables, scores=scores, seed=r.seed, paired=False, within=SHARE)
    return named(("precision", "recall"), spans)


def of_fid(r: Readings) -> Found:
    real, drawn = r.inception_features
    more: dict[str, Any] = {"resamples": FID_RESAMPLES, "seed": r.seed, "paired": False, "within": (0.0, np.inf)}
    # Covariances of 2,048 features take seconds, however few the images are.
    distance = frechet_distance if max(len(real), len(drawn)) < real.shape[1] else quick_frechet_distance
    with progress.bar("FID of images drawn again", FID_RESAMPLES + 1) as advance:

        def told(a_ND: Floats, b_MD: Floats) -> float:
            value = distance(a_ND, b_MD)
            advance()
            return value

        return {"fid": bootstrap(told, real, drawn, **more)}


def of_edits(r: Readings) -> Found:
    return r.edits[1]


OWN: dict[str, Callable[[Readings], Found]] = {
    "mig": of_mig,
    "l2": of_l2,
    "mig_gen": of_mig_gen,
    "l2_gen": of_l2_gen,
    "fd_oracle": of_fd,
    "leakage": of_leakage,
    "kid": of_kid,
    "edit": of_edits,
    "fid": of_fid,
}
"""Metric -> field of `metrics.json`, or `mae.<factor>`, -> its interval. All others are in `code_intervals`."""


def intervals_of(name: str, fields: Fields, r: Readings) -> Found:
    """95% intervals of the fields of a metric that was measured; see docs/reference/metrics.md for how each is made.

    None where images drawn again cannot be measured: a factor that hardly ever varies may not vary among them.
    """
    try:
        return _intervals_of(name, fields, r)
    except UserError:
        return {}


def _intervals_of(name: str, fields: Fields, r: Readings) -> Found:
    if name in OWN:
        return OWN[name](r)
    scores = [float(fields[field]) for field in METRICS[name].fields]
    if name == "precision_recall":
        return of_precision_recall(r, scores)
    if name in code_intervals.GRID_INTERVALS:
        return code_intervals.GRID_INTERVALS[name](grid_codes(r), r.factors, r.codes, r.seed, scores)
    return code_intervals.INTERVALS[name](*compared(name, r), r.seed, scores)


def protocol_of_intervals(name: str) -> str:
    """How they are made, in words."""
    if name in code_intervals.PROTOCOLS:
        return code_intervals.PROTOCOLS[name]
    if name == "precision_recall":
        return f"{PARTS} parts of the images, Student's t"
    if name == "edit":
        return "means of the edited images, Student's t"
    classes = "; shares of wrong classes: Wilson" if name in ("l2", "l2_gen") else ""
    return f"bootstrap over images, {FID_RESAMPLES if name == 'fid' else RESAMPLES} resamples, normal{classes}"
