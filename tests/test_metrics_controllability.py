"""Errors of levels, MIG-gen, leakage and edits against closed forms."""

from __future__ import annotations

import numpy as np
import pytest

from semistylegan import metrics
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics.controllability import constant_errors, leakage

SPACE = FactorSpace(
    (Factor.categorical("shape", ("a", "b", "c")), Factor.circular("hue", 12), Factor.scalar("x", 8, 0.3, 0.7))
)
ALL = SPACE.levels_of_indices(SPACE.values_of(np.arange(SPACE.total)))


def test_l2_of_levels_by_hand() -> None:
    read = [[1, 0.95, 0.5], [2, 0.5, 1.0]]
    asked = [[2, 0.05, 0.1], [2, 0.5, 1.0]]
    # class wrong: 1; a tenth of a turn over the seam is a fifth of half a turn; 0.4 of the range
    assert metrics.l2_levels(read, asked, SPACE) == pytest.approx(np.sqrt(1 + 0.2**2 + 0.4**2) / 2)
    assert metrics.mean_errors(read, asked, SPACE) == pytest.approx([0.5, 0.1, 0.2])
    assert metrics.l2_gen(read, asked, SPACE) == metrics.l2_levels(read, asked, SPACE)


def test_l2_of_levels_counts_what_is_known() -> None:
    read, truth = [[0, 0.0, 0.5], [1, 0.5, 0.0], [1, 0.0, 0.0]], [[1, 9.0, 0.1], [1, 0.0, 7.0], [5, 5.0, 5.0]]
    known = np.array([[True, False, True], [False, True, False], [False, False, False]])
    assert metrics.l2_levels(read, truth, SPACE, known) == pytest.approx((np.sqrt(1 + 0.4**2) + 1) / 2)
    assert metrics.mean_errors(read, truth, SPACE, known) == pytest.approx([1, 1, 0.4])
    only_shape = known & [True, False, False]
    assert np.isnan(metrics.mean_errors(read, truth, SPACE, only_shape)).tolist() == [False, True, True]
    with pytest.raises(UserError, match="known"):
        metrics.l2_levels(read, truth, SPACE, np.zeros_like(known))


def test_levels_that_do_not_fit_are_refused() -> None:
    with pytest.raises(UserError, match="2 columns"):
        metrics.l2_levels(ALL[:, :2], ALL[:, :2], SPACE)
    with pytest.raises(UserError, match="one row an image"):
        metrics.mean_errors(ALL, ALL[:-1], SPACE)
    with pytest.raises(UserError, match=r"^mask: shape \(2,\), but"):
        metrics.edit_error(ALL, ALL, np.array([True, False]), SPACE)
    with pytest.raises(UserError, match="NaN"):
        metrics.l2_gen(ALL * np.nan, ALL, SPACE)


def test_mig_gen_of_obedience_is_one_and_of_none_zero() -> None:
    assert metrics.mig_gen(ALL, ALL, SPACE) == pytest.approx(1, abs=1e-12)
    assert metrics.mig_gen(np.zeros_like(ALL), ALL, SPACE) == 0
    deaf = ALL.copy()
    deaf[:, 2] = 0.5
    assert metrics.mig_gen(deaf, ALL, SPACE) == pytest.approx(2 / 3, abs=1e-12)


def test_mig_gen_of_a_factor_without_a_grid() -> None:
    free = FactorSpace((Factor.scalar("u"), Factor.scalar("v")))
    asked = np.random.default_rng(0).random((5000, 2))
    assert metrics.mig_gen(asked, asked, free) > 0.9
    assert metrics.mig_gen(asked[:, ::-1], asked, free) > 0.9  # MIG does not ask which entry it is
    assert metrics.mig_gen(np.random.default_rng(1).random((5000, 2)), asked, free) < 0.05


def test_leakage_by_hand() -> None:
    before = np.array([[0, 0.0, 0.0], [0, 0.0, 0.0]])
    after = np.stack([before, before, before])
    after[0, :, 0] = 1  # shape changes, alone
    after[1, :, 1] = 0.5  # hue goes half round and takes x with it in one image of two
    after[1, 0, 2] = 0.4
    matrix = metrics.leakage_matrix(before, after, SPACE)
    assert matrix == pytest.approx(np.array([[1, 0, 0], [0, 1, 0.2], [0, 0, 0]]))
    assert leakage(matrix) == pytest.approx(0.2 / 6)
    assert leakage(np.ones((1, 1))) == 0


def test_the_best_constant_against_every_constant() -> None:
    random = np.random.default_rng(0)
    for factor, levels in (
        (Factor.categorical("rare", ("no", "yes")), (np.arange(100) < 2).astype(float)),
        (Factor.circular("angle"), random.random(51) ** 3),
        (Factor.circular("grid", 5), np.array([0, 0, 0.2, 0.4, 0.8, 0.8])),
        (Factor.scalar("x", 3), np.array([0, 0.5, 1.0])),
        (Factor.scalar("free"), random.random(100) ** 4),
    ):
        space = FactorSpace((factor,))
        tried = np.arange(2) if factor.kind == "categorical" else np.linspace(0, 1, 2001)
        errors = [space.error(levels[:, None], np.full((len(levels), 1), guess)).mean() for guess in tried]
        found = constant_errors(levels[:, None], space)[0]
        assert min(errors) - 1e-3 < found <= min(errors) + 1e-12, factor.name
    many = Factor.circular("many")
    assert constant_errors(random.random(4000)[:, None], FactorSpace((many,)))[0] == pytest.approx(0.5, abs=0.02)


def test_the_best_constant_is_of_what_is_known() -> None:
    level = np.array([[0.0, 0.0, 0.0], [1, 0.5, 0], [1, 0.5, 0], [2, 0, 0]])
    known = np.array([[True, True, False], [True, True, False], [True, False, False], [False, False, False]])
    found = constant_errors(level, SPACE, known)
    assert found[:2] == pytest.approx([1 / 3, 0.5]) and np.isnan(found[2])


def test_the_best_constant_of_few_angles_is_no_whole_degree() -> None:
    assert constant_errors(np.full((3, 1), 0.1234), FactorSpace((Factor.circular("angle"),)))[0] == 0


def test_a_factor_of_one_value_does_not_count_as_one_that_stayed() -> None:
    space = FactorSpace((Factor.scalar("still", 1), Factor.scalar("a", 3), Factor.scalar("b", 3)))
    before, after = np.array([[0.0, 0.0, 0.5]]), np.array([[0.0, 1.0, 0.0]])
    assert metrics.edit_drift(before, after, np.array([[False, True, False]]), space) == pytest.approx(0.5)
    two = FactorSpace(space.factors[:2])
    with pytest.raises(UserError, match="left alone"):
        metrics.edit_drift(before[:, :2], after[:, :2], np.array([[False, True]]), two)


def test_edit_error_and_drift_by_hand() -> None:
    before = np.array([[0, 0.0, 0.0], [1, 0.5, 1.0]])
    after = np.array([[1, 0.1, 0.0], [1, 0.5, 0.6]])
    asked = np.array([[1, 9.0, 9.0], [9, 9.0, 0.5]])
    was_set = np.array([[True, False, False], [False, False, True]])
    assert metrics.edit_error(after, asked, was_set, SPACE) == pytest.approx((0 + 0.1) / 2)
    assert metrics.edit_drift(before, after, was_set, SPACE) == pytest.approx((0.2 + 0 + 0 + 0) / 4)
    with pytest.raises(UserError, match="was set"):
        metrics.edit_error(after, asked, np.zeros_like(was_set), SPACE)
    with pytest.raises(UserError, match="left alone"):
        metrics.edit_drift(before, after, np.ones_like(was_set), SPACE)
