"""DCI, SAP and InfoMEC against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from semistylegan import metrics
from semistylegan.errors import UserError
from semistylegan.metrics.boosting import boosted
from semistylegan.metrics.entries import Entries
from semistylegan.metrics.predictors import concentration, preference, split, told_by_a_line, wide_entries


def draws(count: int, *sizes: int, seed: int = 0) -> np.ndarray:
    random = np.random.default_rng(seed)
    return np.stack([random.integers(0, n, count) for n in sizes], axis=1)


FACTORS = draws(600, 3, 4)


# -- DCI ---------------------------------------------------------------------------------------------------------------


def test_concentration_by_hand() -> None:
    assert concentration(np.eye(3)) == pytest.approx((1, 1))
    assert concentration(np.ones((3, 3))) == pytest.approx((0, 0), abs=1e-12)
    assert concentration(np.zeros((2, 2))) == (0, 0)
    # Two codes share the first factor, the third has the second: each code is pure, the first factor is not.
    shared = np.array([[0.5, 0], [0.5, 0], [0, 1]])
    assert concentration(shared) == pytest.approx((1, 0.5 * (1 - np.log(2) / np.log(3)) + 0.5))
    # Weights: a code of three quarters of all importance, spread evenly, counts three quarters.
    assert concentration(np.array([[1.5, 1.5], [0, 1]]))[0] == pytest.approx(0.25)


def test_dci_of_the_factors_themselves_is_one() -> None:
    for scores in (metrics.dci(FACTORS, FACTORS), metrics.dci(FACTORS, FACTORS, classifier="forest")):
        assert scores.informativeness == 1
        assert scores.disentanglement > 0.95 and scores.completeness > 0.95


def test_dci_of_noise_is_near_chance_and_zero() -> None:
    scores = metrics.dci(np.random.default_rng(1).normal(size=(600, 3)), FACTORS, classifier="forest")
    assert 0.2 < scores.informativeness < 0.4
    assert scores.disentanglement < 0.1 and scores.completeness < 0.1


def test_dci_tells_where_it_is_mixed() -> None:
    turn = np.array([[1, 1], [1, -1]])
    scores = metrics.dci(FACTORS @ turn + 0.0, FACTORS, classifier="forest")
    assert scores.informativeness > 0.9 and scores.disentanglement < 0.4


def test_dci_is_fixed_by_its_seed_and_reports_each_factor() -> None:
    noisy = FACTORS + np.random.default_rng(0).normal(size=FACTORS.shape)
    told: list[int] = []
    once = metrics.dci(noisy, FACTORS, 3, classifier="forest", fitted=lambda: told.append(1))
    assert once == metrics.dci(noisy, FACTORS, 3, classifier="forest")
    assert once != metrics.dci(noisy, FACTORS, 4, classifier="forest")
    assert len(told) == 2


def test_dci_refuses() -> None:
    with pytest.raises(UserError, match="factors that vary"):
        metrics.dci(FACTORS, np.zeros_like(FACTORS) + [0, 0] + (np.arange(600) % 2)[:, None] * [0, 1])
    with pytest.raises(UserError, match="entries of the code"):
        metrics.dci(FACTORS[:, :1], FACTORS)
    with pytest.raises(UserError, match="known are boosting, scikit-learn, forest"):
        metrics.dci(FACTORS, FACTORS, classifier="tree")  # type: ignore[arg-type]


def test_a_value_that_training_never_saw_is_no_crash() -> None:
    rare = np.zeros((30, 2), dtype=int)
    rare[split(30, 0)[1][0], 0] = 1  # the one image of its value is held out
    rare[:, 1] = np.arange(30) % 2
    assert metrics.dci(rare, rare, classifier="forest").informativeness == pytest.approx((0.9 + 1) / 2)
    assert 0 <= metrics.sap(rare, rare) <= 1


def test_a_factor_that_never_varies_while_learning_counts_nowhere() -> None:
    """Not in the accuracy either, where every guess would be right."""
    noisy = FACTORS + np.random.default_rng(0).normal(size=FACTORS.shape)
    still = np.insert(FACTORS, 1, 2, axis=1)
    for metric in (metrics.sap, lambda *a, **k: metrics.dci(*a, classifier="forest", **k)):
        with_still = metric(noisy[:400], still[:400], test=(noisy[400:], still[400:]))
        assert with_still == metric(noisy[:400], FACTORS[:400], test=(noisy[400:], FACTORS[400:]))


def test_chance_decides_between_columns_that_are_the_same() -> None:
    twice = np.repeat(FACTORS[:60, :1] * 1.0, 2, axis=1)
    one, same, other = (boosted(twice, FACTORS[:60, 0], twice[:1], seed)[0] for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.array_equal(one, other) and one.min() > 0.2


def test_the_split_is_two_thirds() -> None:
    train, test = split(15_000, 0)
    assert (len(train), len(test)) == (10_000, 5_000)
    assert sorted([*train, *test]) == list(range(15_000))
    assert [len(part) for part in split(2, 0)] == [1, 1]


# -- SAP ---------------------------------------------------------------------------------------------------------------


def test_sap_of_binary_factors_by_hand() -> None:
    """One code reads the factor always, the other guesses: about one half."""
    factors = draws(3000, 2, 2)
    assert metrics.sap(factors * 10.0, factors) == pytest.approx(0.5, abs=0.05)


def test_sap_with_one_code_has_no_second_best() -> None:
    factors = draws(500, 2)
    assert metrics.sap(factors * 10.0, factors) == 1


# -- InfoMEC -----------------------------------------------------------------------------------------------------------


def test_info_mec_prunes_what_hardly_varies() -> None:
    noise = 0.01 * np.random.default_rng(0).normal(size=(600, 1))
    with_idle = metrics.info_mec(np.concatenate([FACTORS, noise], axis=1), FACTORS)
    assert with_idle.modularity == pytest.approx(metrics.info_mec(FACTORS, FACTORS).modularity, abs=0.01)
    assert metrics.info_mec(np.ones((600, 2)), FACTORS) == (0, 0, 0)


def test_an_entry_counts_from_a_twentieth_of_the_widest_one() -> None:
    code = np.outer([0.0, 1.0, 0.5], [2.0, 0.101, 0.099])
    assert wide_entries(Entries.of(code, None)).tolist() == [True, True, False]


def test_a_code_that_never_varies_makes_nothing_more_explicit() -> None:
    noisy = FACTORS + np.random.default_rng(0).normal(size=FACTORS.shape)
    with_idle = np.insert(noisy, 1, 0.1, axis=1)
    assert metrics.explicitness(with_idle, FACTORS) == pytest.approx(metrics.explicitness(noisy, FACTORS), abs=1e-9)


def test_explicitness_of_what_is_not_linear() -> None:
    """Odd or even cannot be read from a number by a line, but from its parity it can."""
    number = np.arange(400) % 8
    parity = number % 2
    assert told_by_a_line((number[:, None] - 3.5) / 2.3, parity) < 0.05
    assert told_by_a_line(2.0 * parity[:, None] - 1, parity) == pytest.approx(1, abs=0.01)


def test_explicitness_of_classes_far_apart_is_one_and_warns_of_nothing() -> None:
    """The chance of the other classes rounds to 0, of which there is no logarithm. (Warnings are errors here.)"""
    number = np.arange(480) % 12
    assert told_by_a_line((number[:, None] - 5.5) / 3.45, number) == pytest.approx(1, abs=0.01)


def test_preference_by_hand() -> None:
    assert preference(np.array([[3.0, 1.0], [0.0, 0.0]])) == pytest.approx((0.75 + 0.5) / 2)


def test_info_mec_refuses_few_images() -> None:
    with pytest.raises(UserError, match="neighbours=10"):
        metrics.info_mec(FACTORS[:10], FACTORS[:10])
    with pytest.raises(UserError, match="neighbours=0: a whole number of at least 1"):
        metrics.info_mec(FACTORS, FACTORS, neighbours=0)


def test_seeds_are_whole_numbers_of_any_size() -> None:
    for metric in (metrics.sap, metrics.dci, metrics.explicitness, metrics.info_mec):
        with pytest.raises(UserError, match="seed=-1: a whole number of at least 0"):
            metric(FACTORS, FACTORS, seed=-1)
    assert metrics.sap(FACTORS, FACTORS, seed=2**40) > 0
