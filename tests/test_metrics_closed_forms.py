"""Every score of codes whose scores are known: the factors themselves, moved, doubled, rotated, noise, nothing."""

from __future__ import annotations

import math

import numpy as np
import pytest

from semistylegan import metrics

GRID = np.indices((8, 9, 10)).reshape(3, -1).T
"""The values of three factors, each combination once."""
UNIT = (GRID - GRID.mean(axis=0)) / GRID.std(axis=0)
TURN = math.sqrt(0.5) * np.array([[1, -1], [1, 1]])
NOISE = np.random.default_rng(0).normal(size=UNIT.shape)
ALL_ONE = ("mig", "modularity", "irs", "factor_vae", "beta_vae", "dci_disentanglement", "dci_completeness")
ALL_ONE = (*ALL_ONE, "dci_informativeness", "info_m", "info_c")


def scores(codes: np.ndarray) -> dict[str, float]:
    found = metrics.evaluate_codes(codes, GRID, intervals=False)
    assert found["note"] == "" or found["note"].startswith("On so few images (720) MIG is too low")
    return found


@pytest.mark.parametrize("moved", [False, True])
def test_codes_that_are_the_factors(moved: bool) -> None:
    """In any order, of any sign. InfoM, InfoE and InfoC prune entries of a small range, so the scale is kept."""
    found = scores(UNIT[:, [2, 0, 1]] * [-1, 1, 1] + [5, 0, -3] if moved else UNIT)
    assert {name: found[name] for name in ALL_ONE} == pytest.approx(dict.fromkeys(ALL_ONE, 1.0), abs=2e-3)
    assert found["info_e"] > 0.99
    assert found["explicitness"] > 0.99


def test_codes_that_are_there_twice() -> None:
    """Each code tells one factor, each factor is told by two: gaps are 0, completeness is that of a half."""
    found = scores(np.repeat(UNIT, 2, axis=1))
    for name in ("modularity", "info_m", "dci_disentanglement", "dci_informativeness", "factor_vae", "beta_vae"):
        assert found[name] == pytest.approx(1.0, abs=2e-3), name
    assert found["mig"] == pytest.approx(0.0, abs=1e-12)
    assert found["sap"] == pytest.approx(0.0, abs=1e-12)
    assert found["info_c"] == pytest.approx((1 / 2 - 1 / 6) / (1 - 1 / 6), abs=1e-3)
    # Trees may share a factor's importance over its two codes as they like: an even share is the least that there is.
    assert 1 - math.log(2, 6) - 1e-9 < found["dci_completeness"] < 1.0


def test_two_codes_turned_by_half_a_right_angle() -> None:
    """The third factor stays; the others' best code is no better than the second best, and nothing is lost."""
    turned = UNIT.copy()
    turned[:, :2] = UNIT[:, :2] @ TURN
    found = scores(turned)
    assert found["mig"] == pytest.approx(1 / 3, abs=0.02)
    # In the limit (2 x 1/2 + 1) / 3 above the chance of 1/3; a third where the estimate takes turned ones for noise.
    for name in ("info_m", "info_c"):
        assert 1 / 3 - 1e-9 <= found[name] < 1 / 2 + 0.05, name
    # Of three votes, that for the third factor is right and the other two are a guess between two.
    assert found["factor_vae"] == pytest.approx(2 / 3, abs=0.05)
    assert found["beta_vae"] == pytest.approx(2 / 3, abs=0.05)
    assert found["dci_informativeness"] > 0.99
    assert found["info_e"] > 0.99
    for name in ("modularity", "irs", "dci_disentanglement", "dci_completeness"):
        assert 0.3 < found[name] < 0.9, name


def test_codes_that_have_nothing_to_do_with_the_factors() -> None:
    found = scores(NOISE)
    for name in ("mig", "dci_disentanglement", "dci_completeness", "info_e", "sap"):
        assert 0 <= found[name] < 0.03, name
    assert found["explicitness"] == pytest.approx(0.5, abs=0.03)
    assert found["factor_vae"] == pytest.approx(1 / 3, abs=0.08)
    assert found["beta_vae"] == pytest.approx(1 / 3, abs=0.05)
    assert found["dci_informativeness"] == pytest.approx(np.mean([1 / 8, 1 / 9, 1 / 10]), abs=0.03)


def test_codes_that_never_vary() -> None:
    """The mean of many 0.1 is not quite 0.1, and the squares of numbers near 1e-200 are all 0."""
    assert scores(1e-200 * NOISE) == (found := scores(np.full_like(UNIT, 0.1)))
    for name in ("mig", "modularity", "irs", "sap", "info_m", "info_e", "info_c", "factor_vae"):
        assert found[name] == 0.0, name
    assert found["dci_disentanglement"] == found["dci_completeness"] == 0.0
    assert found["explicitness"] == pytest.approx(0.5)
    assert found["beta_vae"] == pytest.approx(1 / 3, abs=0.03)
