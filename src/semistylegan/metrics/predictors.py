"""Disentanglement measured with trained predictors: DCI, SAP, InfoMEC. Pure functions of NumPy arrays.

Suffixes: N images, L entries of a learned code, F factors.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_selection import mutual_info_classif
from sklearn.linear_model import LogisticRegression
from sklearn.svm import LinearSVC

from semistylegan.errors import UserError
from semistylegan.metrics.disentanglement import need_two
from semistylegan.metrics.information import Floats, Ints, checked_pair, entropy

FOR_TRAINING = 2 / 3
"""Share of the images that predictors learn from: disentanglement_lib's 10,000 to 5,000."""


class DCI(NamedTuple):
    """Scores of :func:`dci`, each in [0, 1], high is good."""

    disentanglement: float
    completeness: float
    informativeness: float


class InfoMEC(NamedTuple):
    """Scores of :func:`info_mec`: in [0, 1], high is good (explicitness may fall below 0)."""

    modularity: float
    explicitness: float
    compactness: float


def dci(
    codes_NL: Any,
    factors_NF: Any,
    seed: int = 0,
    *,
    classifier: Literal["boosting", "forest"] = "boosting",
    fitted: Callable[[], object] | None = None,
) -> DCI:
    """Disentanglement, completeness, informativeness (Eastwood and Williams 2018, section 2).

    A classifier of each factor is trained on the code; R, L x F, holds how important each entry is to it.
    disentanglement = sum over entries of their share of R, times 1 - entropy (base F) of the entry's row;
    completeness = sum over factors of their share of R, times 1 - entropy (base L) of the factor's column;
    informativeness = mean accuracy on images that were held back.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        seed: fixes the split (two thirds are for training) and the classifiers.
        classifier: `boosting`, gradient-boosted trees with scikit-learn's settings, is the protocol of
            disentanglement_lib (100 trees a value: a minute for 10,000 images); `forest`, a random forest, is tens of
            times faster, and its scores may be compared among themselves alone.
        fitted: called after each factor, for a progress bar.

    Raises:
        UserError: as in `disentanglement`; also fewer than two factors that vary, or fewer than two entries.
    """
    if classifier not in ("boosting", "forest"):
        raise UserError(f"classifier {classifier!r}: known are boosting, forest")
    codes, factors = checked_pair(codes_NL, factors_NF)
    need_two("dci", "factors that vary", factors.shape[1])
    need_two("dci", "entries of the code", codes.shape[1])
    train, test = split(len(codes), seed)
    importance_LF = np.zeros((codes.shape[1], factors.shape[1]))
    accuracy_F = np.zeros(factors.shape[1])
    for f, factor in enumerate(factors.T):
        if (factor[train] == factor[train][0]).all():
            accuracy_F[f] = (factor[test] == factor[train][0]).mean()
            continue
        model = (
            GradientBoostingClassifier(random_state=seed)
            if classifier == "boosting"
            else RandomForestClassifier(random_state=seed, min_samples_leaf=5, max_features=None)
        )
        model.fit(codes[train], factor[train])
        importance_LF[:, f] = model.feature_importances_
        accuracy_F[f] = (model.predict(codes[test]) == factor[test]).mean()
        if fitted is not None:
            fitted()
    return DCI(*concentration(importance_LF), float(accuracy_F.mean()))


def concentration(importance_LF: Floats) -> tuple[float, float]:
    """DCI's disentanglement and completeness of a table of importances; both 0 where all are 0."""
    total = importance_LF.sum()
    if total == 0:
        return 0.0, 0.0
    row_L = np.array([1 - entropy(r) / np.log(importance_LF.shape[1]) if r.any() else 0.0 for r in importance_LF])
    column_F = np.array([1 - entropy(c) / np.log(len(importance_LF)) if c.any() else 0.0 for c in importance_LF.T])
    disentanglement = (row_L * importance_LF.sum(axis=1)).sum() / total
    completeness = (column_F * importance_LF.sum(axis=0)).sum() / total
    return float(disentanglement), float(completeness)


def sap(codes_NL: Any, factors_NF: Any, seed: int = 0) -> float:
    """Separated attribute predictability, in [0, 1], high is good (Kumar et al. 2018, section 3).

    Mean over factors of the difference between the best and the second best entry of the code, by the accuracy with
    which a linear support vector machine (C 0.01, balanced classes) reads the factor from that entry alone, on held-out
    images. All factors are taken as classes. With one entry alone the second best counts 0.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        seed: fixes the split; two thirds of the images are for training.

    Raises:
        UserError: as in `disentanglement`.
    """
    codes, factors = checked_pair(codes_NL, factors_NF)
    train, test = split(len(codes), seed)
    accuracy_LF = np.zeros((codes.shape[1], factors.shape[1]))
    for f, factor in enumerate(factors.T):
        for i, entry in enumerate(codes.T):
            if (factor[train] == factor[train][0]).all():
                predicted = np.full(len(test), factor[train][0])
            else:
                machine = LinearSVC(C=0.01, class_weight="balanced", random_state=seed)
                predicted = machine.fit(entry[train, None], factor[train]).predict(entry[test, None])
            accuracy_LF[i, f] = (predicted == factor[test]).mean()
    ordered = np.sort(accuracy_LF, axis=0)[::-1]
    second = ordered[1] if len(ordered) > 1 else 0.0
    return float((ordered[0] - second).mean())


def info_mec(codes_NL: Any, factors_NF: Any, seed: int = 0, *, neighbours: int = 10) -> InfoMEC:
    """InfoM, InfoE, InfoC (Hsu et al. 2023, section 5), for continuous codes.

    N, L x F, is the mutual information of entry and factor (nearest-neighbour estimate, Ross 2014) over the factor's
    entropy; only entries whose range is over a twentieth of the widest one count.
    modularity = (mean over entries of largest / sum in the entry's row of N, - 1/F) / (1 - 1/F);
    compactness = (mean over factors of largest / sum in the factor's column of N, - 1/L) / (1 - 1/L);
    explicitness = mean over factors of 1 - (cross-entropy of a balanced, linear, multinomial regression on all entries)
    / log(number of values), measured on the images it was fitted to, as the authors do.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        seed: fixes the tiny noise that the estimate adds to break ties.
        neighbours: of the estimate; the authors' 10. Every value of a factor should occur more often than that.

    Raises:
        UserError: as in `disentanglement`; also fewer than two factors that vary, or no more images than neighbours.
    """
    codes, factors = checked_pair(codes_NL, factors_NF)
    need_two("info_mec", "factors that vary", factors.shape[1])
    if len(codes) <= neighbours:
        raise UserError(f"neighbours={neighbours}: {len(codes)} images are too few; give more images")
    span_L = np.ptp(codes, axis=0)
    active = codes[:, span_L > span_L.max() / 20]
    if active.shape[1] == 0:
        return InfoMEC(0.0, 0.0, 0.0)
    active = (active - active.mean(axis=0)) / active.std(axis=0)
    information_LF = np.zeros((active.shape[1], factors.shape[1]))
    for f, factor in enumerate(factors.T):
        gain_L = mutual_info_classif(active, factor, discrete_features=False, n_neighbors=neighbours, random_state=seed)
        information_LF[:, f] = gain_L / entropy(np.unique(factor, return_counts=True)[1])
    explicit_F = [explicitness(active, factor) for factor in factors.T]
    return InfoMEC(
        above_chance(preference(information_LF), information_LF.shape[1]),
        float(np.mean(explicit_F)),
        above_chance(preference(information_LF.T), len(information_LF)),
    )


def preference(information: Floats) -> float:
    """Mean over rows of largest / sum; a row of zeros prefers nothing: 1 / number of columns."""
    total = information.sum(axis=1)
    share = np.full(len(information), 1 / information.shape[1])
    share[total > 0] = information[total > 0].max(axis=1) / total[total > 0]
    return float(share.mean())


def above_chance(share: float, among: int) -> float:
    """0 where a share is that of chance, 1 where it is everything."""
    return 1.0 if among == 1 else (share - 1 / among) / (1 - 1 / among)


def explicitness(codes_NL: Floats, factor_N: Ints) -> float:
    """How much of what there is to know of a factor a linear read-out of the standardised code says; 1 is all."""
    model = LogisticRegression(C=np.inf, class_weight="balanced", max_iter=100)
    with warnings.catch_warnings():  # a hundred steps are the protocol, whether or not they suffice
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(codes_NL, factor_N)
    place = np.searchsorted(model.classes_, factor_N)
    log_chance = model.predict_log_proba(codes_NL)[np.arange(len(factor_N)), place]
    return float(1 + log_chance.mean() / np.log(len(model.classes_)))


def split(count: int, seed: int) -> tuple[Ints, Ints]:
    """Rows to train on and rows to test on, at random."""
    order = np.random.default_rng(seed).permutation(count)
    cut = min(max(round(count * FOR_TRAINING), 1), count - 1)
    return order[:cut], order[cut:]
