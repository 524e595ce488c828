"""95% intervals of a model's scores, by the bootstrap over the images that they were measured on.

Those that train a predictor (DCI, SAP, explicitness, InfoMEC), vote, or compare all pairs of images have none:
a resample would cost as much as the score.

Suffixes: N images, F factors, K codes.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from semistylegan.factors import FactorSpace
from semistylegan.metrics.alignment import TESTED
from semistylegan.metrics.controllability import leakage, mean_errors
from semistylegan.metrics.disentanglement import BINS, irs, mig_decoded, modularity
from semistylegan.metrics.fidelity import quick_frechet_distance
from semistylegan.metrics.information import Floats, Mask
from semistylegan.metrics.intervals import Interval, bootstrap
from semistylegan.metrics.readings import Readings, own_kinds

Found = dict[str, Interval]
SHARE = (0.0, 1.0)


def of_mig(r: Readings) -> Found:
    def score(read: Floats, true: Floats, known: Mask) -> float:
        return mig_decoded(read, true, r.codes, BINS, known)

    return {"mig": bootstrap(score, r.read, r.true_indices, r.truth[1], seed=r.seed, within=SHARE)}


def of_l2(r: Readings) -> Found:
    level, known = r.truth
    if r.named:
        return of_errors("l2", "mae", own_kinds(r.read, r.codes, r.factors), level, known, r)
    return of_errors("l2", "mae", r.meaning.levels(r.read[TESTED]), level[TESTED], known[TESTED], r)


def of_mig_gen(r: Readings) -> Found:
    asked = r.codes.indices_of_levels(r.generated.asked_NK, BINS)

    def score(read: Floats, asked: Floats) -> float:
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
    for f, name in enumerate(r.factors.names):
        if known[:, f].any():
            found[f"{each}.{name}"] = bootstrap(np.mean, error_NF[known[:, f], f], seed=r.seed, within=SHARE)
    return found


def of_fd(r: Readings) -> Found:
    tables = r.real_features, r.generated.feature_ND
    return {"fd_oracle": bootstrap(quick_frechet_distance, *tables, seed=r.seed, paired=False, within=(0.0, np.inf))}


def of_leakage(r: Readings) -> Found:
    before_NF, after_KNF = r.changed
    if not r.named or len(after_KNF) != before_NF.shape[1]:
        return {}

    def score(before: Floats, after_NKF: Floats, space: FactorSpace = r.factors) -> float:
        return leakage(np.stack([mean_errors(after_NKF[:, k], before, space) for k in range(after_NKF.shape[1])]))

    return {"leakage_mean": bootstrap(score, before_NF, after_KNF.swapaxes(0, 1), seed=r.seed, within=SHARE)}


def of_modularity(r: Readings) -> Found:
    rows = r.truth[1].all(axis=1)
    tables = r.read[rows], r.true_indices[rows]
    return {"modularity": bootstrap(lambda c, f: modularity(c, f, space=r.codes), *tables, seed=r.seed, within=SHARE)}


def of_irs(r: Readings) -> Found:
    rows = r.truth[1].all(axis=1)
    tables = r.read[rows], r.true_indices[rows]
    return {"irs": bootstrap(lambda c, f: irs(c, f, space=r.codes), *tables, seed=r.seed, within=SHARE)}


INTERVALS: dict[str, Callable[[Readings], Found]] = {
    "mig": of_mig,
    "l2": of_l2,
    "mig_gen": of_mig_gen,
    "l2_gen": of_l2_gen,
    "fd_oracle": of_fd,
    "leakage": of_leakage,
    "modularity": of_modularity,
    "irs": of_irs,
}
"""Metric -> field of `metrics.json`, or `mae.<factor>`, -> its interval."""
