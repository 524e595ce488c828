"""Disentanglement measured with trained predictors: DCI, SAP, explicitness, InfoMEC. Pure functions of NumPy arrays.

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
from sklearn.metrics import roc_auc_score
from sklearn.svm import LinearSVC

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.metrics.boosting import boosted
from semistylegan.metrics.disentanglement import need_two
from semistylegan.metrics.entries import Entries
from semistylegan.metrics.information import (
    Floats,
    Ints,
    Mask,
    TooFew,
    checked_count,
    checked_factors,
    checked_pair,
    checked_table,
    entropy,
    need_known,
)

FOR_TRAINING = 2 / 3
"""Share of the images that predictors learn from: disentanglement_lib's 10,000 to 5,000."""

SEEDS = 2**32
"""Different seeds of scikit-learn."""


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
    classifier: Literal["boosting", "scikit-learn", "forest"] = "boosting",
    test: tuple[Any, Any] | None = None,
    space: FactorSpace | None = None,
    fitted: Callable[[], object] | None = None,
) -> DCI:
    """Disentanglement, completeness, informativeness (Eastwood and Williams 2018, section 2), each in [0, 1].

    A classifier of each factor is trained on the code; R, L x F, holds how important each entry is to it.
    disentanglement = sum over entries of their share of R, times 1 - entropy (base F) of the entry's row;
    completeness = sum over factors of their share of R, times 1 - entropy (base L) of the factor's column;
    informativeness = mean accuracy on images that were held back. High is good.

    Protocol (disentanglement_lib): gradient-boosted trees, 10,000 images to learn from and 5,000 to test on. Pitfalls:
    the paper's own informativeness is an error, low is good, and its predictors are others; figures of different
    classifiers must not be compared; importance says nothing of entries that merely repeat another one.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        seed: fixes the split (two thirds are for training) and the classifiers.
        classifier: `boosting` grows the same trees as disentanglement_lib's classifier, several times faster;
            `scikit-learn` is that classifier itself. `forest`, a random forest, gives figures that may be compared
            among themselves alone.
        test: codes and factors to test on; then all of the others are for training, and `seed` splits nothing.
        space: kinds of the entries, if the codes are levels; see `entries`.
        fitted: called after each factor, for a progress bar.

    Raises:
        UserError: as in `disentanglement`; also fewer than two factors that vary, or fewer than two entries.
    """
    if classifier not in ("boosting", "scikit-learn", "forest"):
        raise UserError(f"classifier {classifier!r}: known are boosting, scikit-learn, forest")
    parts = split_of("dci", codes_NL, factors_NF, seed, test, space)
    need_two("dci", "factors that vary", parts.train_factors.shape[1])
    need_two("dci", "entries of the code", len(parts.train))
    importance_LF = np.zeros((len(parts.train), parts.train_factors.shape[1]))
    accuracy_F = np.zeros(importance_LF.shape[1])
    for f, (factor, truth) in enumerate(zip(parts.train_factors.T, parts.test_factors.T, strict=True)):
        predicted = np.full(len(truth), factor[0])
        if (factor != factor[0]).any():
            if classifier == "boosting":
                importance_C, predicted = boosted(parts.train.column_NC, factor, parts.test.column_NC, seed)
            else:
                model = (
                    GradientBoostingClassifier(random_state=seed % SEEDS)
                    if classifier == "scikit-learn"
                    else RandomForestClassifier(random_state=seed % SEEDS, min_samples_leaf=5, max_features=None)
                )
                model.fit(parts.train.column_NC, factor)
                importance_C, predicted = model.feature_importances_, model.predict(parts.test.column_NC)
            importance_LF[:, f] = parts.train.summed(importance_C)
        accuracy_F[f] = (predicted == truth).mean()
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


def sap(
    codes_NL: Any,
    factors_NF: Any,
    seed: int = 0,
    *,
    continuous: bool = False,
    test: tuple[Any, Any] | None = None,
    space: FactorSpace | None = None,
) -> float:
    """Separated attribute predictability, in [0, 1], high is good (Kumar et al. 2018, arXiv 1711.00848, section 3).

    Mean over factors of the difference between the best and the second best entry of the code, by the accuracy with
    which a linear support vector machine (C 0.01, balanced classes) reads the factor from that entry alone, on held-out
    images. With one entry alone the second best counts 0.

    Protocol (disentanglement_lib): all factors are classes, 10,000 images to learn from and 5,000 to test on. Pitfalls:
    a line cannot tell more than two or three of many values apart from one number, so that perfect codes of ordered
    factors stay far below 1; compare figures of one data set alone.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        seed: fixes the split; two thirds of the images are for training.
        continuous: factors are numbers: squared correlation on all images instead of accuracy.
        test: codes and factors to test on; then all of the others are for training, and `seed` splits nothing.
        space: kinds of the entries, if the codes are levels; see `entries`.

    Raises:
        UserError: as in `disentanglement`.
    """
    if continuous:
        codes, factors = checked_pair(codes_NL, factors_NF)
        score_LF = explained(Entries.of(codes, space), factors.astype(np.float64))
    else:
        parts = split_of("sap", codes_NL, factors_NF, seed, test, space)
        score_LF = np.zeros((len(parts.train), parts.train_factors.shape[1]))
        for f, (factor, truth) in enumerate(zip(parts.train_factors.T, parts.test_factors.T, strict=True)):
            for i in range(len(parts.train)):
                predicted = np.full(len(truth), factor[0])
                if (factor != factor[0]).any():
                    machine = LinearSVC(C=0.01, class_weight="balanced", random_state=seed % SEEDS)
                    machine.fit(parts.train.columns(i), factor)
                    predicted = machine.predict(parts.test.columns(i))
                score_LF[i, f] = (predicted == truth).mean()
    ordered = np.sort(score_LF, axis=0)[::-1]
    second = ordered[1] if len(ordered) > 1 else 0.0
    return float((ordered[0] - second).mean())


def explained(entries: Entries, factors_NF: Floats) -> Floats:
    """Share of each factor's variance that a line through each entry explains, L x F."""
    out = np.zeros((len(entries), factors_NF.shape[1]))
    centred_NF = factors_NF - factors_NF.mean(axis=0)
    for i in range(len(entries)):
        columns = entries.columns(i) - entries.columns(i).mean(axis=0)
        if columns.var(axis=0, ddof=1).max() > 1e-12:
            fit = columns @ np.linalg.lstsq(columns, centred_NF, rcond=None)[0]
            out[i] = (fit**2).sum(axis=0) / (centred_NF**2).sum(axis=0)
    return out


def explicitness(
    codes_NL: Any,
    factors_NF: Any,
    seed: int = 0,
    *,
    test: tuple[Any, Any] | None = None,
    space: FactorSpace | None = None,
) -> float:
    """Explicitness, 1/2 (chance) to 1, high is good (Ridgeway and Mozer 2018, arXiv 1802.05312, section 3).

    Can the factors be read off the code by something simple? Mean over factors, and over the factor's values, of the
    area under the ROC curve of "has this value" against the other values, on held-out images, by a multinomial logistic
    regression on the standardised code.

    Protocol (disentanglement_lib): scikit-learn's logistic regression with its settings, 10,000 images to learn from
    and 5,000 to test on. Pitfalls: it says nothing of disentanglement (a rotated code is as explicit); ordered factors
    of many values stay below 1, since one number does not tell a middle value by a line. Values that do not occur on
    both sides of the split do not count.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        seed: fixes the split; two thirds of the images are for training.
        test: codes and factors to test on; then all of the others are for training, and `seed` splits nothing.
        space: kinds of the entries, if the codes are levels; see `entries`.

    Raises:
        UserError: as in `disentanglement`; also (TooFew) no value that occurs on both sides.
    """
    parts = split_of("explicitness", codes_NL, factors_NF, seed, test, space)
    mean_C, deviation_C = parts.train.column_NC.mean(axis=0), parts.train.column_NC.std(axis=0)
    deviation_C[np.ptp(parts.train.column_NC, axis=0) == 0] = 1.0
    train_NC, test_NC = ((part.column_NC - mean_C) / deviation_C for part in (parts.train, parts.test))
    areas_F = []
    for factor, truth in zip(parts.train_factors.T, parts.test_factors.T, strict=True):
        if (factor == factor[0]).all():
            continue
        model = logistic(train_NC, factor)
        chance_NK = model.predict_proba(test_NC)
        areas = [
            roc_auc_score(truth == value, chance_N)
            for value, chance_N in zip(model.classes_, chance_NK.T, strict=True)
            if 0 < (truth == value).sum() < len(truth)
        ]
        if areas:
            areas_F.append(float(np.mean(areas)))
    if not areas_F:
        raise TooFew("explicitness: no value of a factor occurs among the images to learn from and to test on alike")
    return float(np.mean(areas_F))


def info_mec(
    codes_NL: Any, factors_NF: Any, seed: int = 0, *, neighbours: int = 10, space: FactorSpace | None = None
) -> InfoMEC:
    """InfoM, InfoE, InfoC (Hsu et al. 2023, arXiv 2305.18378, section 5).

    N, L x F, is the mutual information of entry and factor over the factor's entropy: the nearest-neighbour estimate
    (Ross 2014) for numbers, relative frequencies for classes. Only entries whose range is over a twentieth of the
    widest one count, for all three; with kinds, see :func:`wide_entries`.
    InfoM = (mean over entries of largest / sum in the entry's row of N, - 1/F) / (1 - 1/F);
    InfoC = (mean over factors of largest / sum in the factor's column of N, - 1/L) / (1 - 1/L);
    InfoE = mean over factors of 1 - (cross-entropy of a balanced, linear, multinomial regression on these entries)
    / log(number of values), measured on the images it was fitted to, as the authors do.
    M and C lie in [0, 1], E at most at 1 (0 is chance, below is worse); high is good.

    Protocol: the authors' 10 neighbours, 10,000 images. Pitfalls: figures published under these names before (of the
    same group) used other estimates; InfoM of a single active entry is high whatever it holds; duplicated codes lower
    InfoC alone.

    Args:
        codes_NL: codes.
        factors_NF: value indices.
        seed: fixes the tiny noise that the estimate adds to break ties.
        neighbours: of the estimate. Every value of a factor should occur more often than that.
        space: kinds of the entries, if the codes are levels. Angles are turned clear of their seam for the estimate;
            the regression sees classes one-hot, and points of the circle.

    Raises:
        UserError: as in `disentanglement`; also fewer than two factors that vary, no more images than neighbours, or
            (TooFew) a factor of which every image has another value.
    """
    seed, neighbours = checked_count("seed", seed, 0), checked_count("neighbours", neighbours, 1)
    codes, factors = checked_pair(codes_NL, factors_NF)
    need_two("info_mec", "factors that vary", factors.shape[1])
    if len(codes) <= neighbours:
        raise UserError(f"neighbours={neighbours}: {len(codes)} images are too few; give more images")
    if any(len(np.unique(factor)) == len(factor) for factor in factors.T):
        raise TooFew("info_mec: every image has another value of a factor; put its values into bins")
    entries = Entries.of(codes, space)
    active_L = wide_entries(entries)
    if not active_L.any():
        return InfoMEC(0.0, 0.0, 0.0)
    classes = np.zeros(len(active_L), dtype=bool) if space is None else [f.kind == "categorical" for f in space]
    class_L = np.asarray(classes)[active_L]
    number_NL = entries.numbers()[:, active_L]
    scaled_NL = (number_NL - number_NL.mean(axis=0)) / number_NL.std(axis=0)
    number_NL = np.where(class_L, number_NL, scaled_NL)
    information_LF = np.zeros((number_NL.shape[1], factors.shape[1]))
    for f, factor in enumerate(factors.T):
        gain_L = mutual_info_classif(
            number_NL,
            factor,
            discrete_features=class_L,
            n_neighbors=neighbours,
            random_state=seed % SEEDS,
        )
        information_LF[:, f] = gain_L / entropy(np.unique(factor, return_counts=True)[1])
    return InfoMEC(
        above_chance(preference(information_LF), information_LF.shape[1]),
        told_by_lines(entries, factors),
        above_chance(preference(information_LF.T), len(information_LF)),
    )


def wide_entries(entries: Entries) -> Mask:
    """Entries whose range is over a twentieth of the widest one, L.

    The widest number is that of the numbers, whatever their unit; a class or an angle can at most span 1, in any code.
    """
    first_L = np.searchsorted(entries.entry_C, np.arange(len(entries)))
    span_L = np.maximum.reduceat(np.ptp(entries.column_NC, axis=0), first_L)
    kinds = ["scalar"] * len(entries) if entries.space is None else entries.space.kinds
    number_L = np.array([kind == "scalar" for kind in kinds])
    widest_L = np.where(number_L, span_L[number_L].max(initial=0.0), 1.0)
    return np.asarray(span_L > widest_L / 20)


def preference(information: Floats) -> float:
    """Mean over rows of largest / sum; a row of zeros prefers nothing: 1 / number of columns."""
    total = information.sum(axis=1)
    share = np.full(len(information), 1 / information.shape[1])
    share[total > 0] = information[total > 0].max(axis=1) / total[total > 0]
    return float(share.mean())


def above_chance(share: float, among: int) -> float:
    """0 where a share is that of chance, 1 where it is everything."""
    return 1.0 if among == 1 else (share - 1 / among) / (1 - 1 / among)


def told_by_lines(entries: Entries, factors_NF: Ints) -> float:
    """InfoE: the mean over factors of :func:`told_by_a_line` on the wide entries, 0 where there are none."""
    column_NC = entries.column_NC[:, wide_entries(entries)[entries.entry_C]]
    if not column_NC.size:
        return 0.0
    deviation_C = column_NC.std(axis=0)
    column_NC = (column_NC - column_NC.mean(axis=0)) / np.where(deviation_C == 0, 1.0, deviation_C)
    return float(np.mean([told_by_a_line(column_NC, factor) for factor in factors_NF.T]))


def told_by_a_line(codes_NL: Floats, factor_N: Ints) -> float:
    """How much of what there is to know of a factor a linear read-out of the standardised code says; 1 is all."""
    model = logistic(codes_NL, factor_N, C=np.inf, class_weight="balanced")
    place = np.searchsorted(model.classes_, factor_N)
    chance = model.predict_proba(codes_NL)[np.arange(len(factor_N)), place]
    log_chance = np.log(np.maximum(chance, np.finfo(np.float64).tiny))
    return float(1 + log_chance.mean() / np.log(len(model.classes_)))


def logistic(codes_NL: Floats, factor_N: Ints, **settings: Any) -> Any:
    """Scikit-learn's logistic regression after a hundred steps, which are the protocol whether or not they suffice."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return LogisticRegression(max_iter=100, **settings).fit(codes_NL, factor_N)


class Parts(NamedTuple):
    """Images to learn from and images to test on."""

    train: Entries
    train_factors: Ints
    test: Entries
    test_factors: Ints


def split_of(
    metric: str, codes_NL: Any, factors_NF: Any, seed: int, test: tuple[Any, Any] | None, space: FactorSpace | None
) -> Parts:
    """The images of a metric, checked and split: at random, or as the user did.

    Raises:
        UserError: as in `disentanglement`, or a test set of another width.
    """
    seed = checked_count("seed", seed, 0)
    if test is None:
        codes, factors = checked_pair(codes_NL, factors_NF)
        entries, (train, held) = Entries.of(codes, space), split(len(codes), seed)
        return Parts(entries.take(train), factors[train], entries.take(held), factors[held])
    codes = checked_table("codes", codes_NL)
    factors = checked_factors(factors_NF, len(codes))
    need_known(factors)
    test_codes = checked_table("test codes", test[0], rows=1)
    test_factors = checked_factors(test[1], len(test_codes), rows=1)
    need_known(test_factors)
    for name, one, two in (("codes", codes, test_codes), ("factors", factors, test_factors)):
        if one.shape[1] != two.shape[1]:
            raise UserError(f"{metric}: test {name} have {two.shape[1]} columns, the others {one.shape[1]}")
    varies_F = (factors != factors[0]).any(axis=0)
    if not varies_F.any():
        raise UserError("factors: none of them varies over these images; give images that differ in at least one")
    sides = Entries.of(codes, space), Entries.of(test_codes, space)
    return Parts(sides[0], factors[:, varies_F], sides[1], test_factors[:, varies_F])


def split(count: int, seed: int) -> tuple[Ints, Ints]:
    """Rows to train on and rows to test on, at random."""
    order = np.random.default_rng(seed).permutation(count)
    cut = min(max(round(count * FOR_TRAINING), 1), count - 1)
    return order[:cut], order[cut:]
