"""Frechet distance against scipy's root, KID against its double loop, precision and recall against closed cases."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.linalg import sqrtm

from semistylegan import metrics
from semistylegan.errors import UserError
from semistylegan.metrics import fidelity


def features(count: int, width: int, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    return random.normal(size=(count, width)) @ random.normal(size=(width, width)) + random.normal(size=width)


def reference_frechet(a: np.ndarray, b: np.ndarray) -> float:
    one, two = np.cov(a, rowvar=False), np.cov(b, rowvar=False)
    root = sqrtm(one @ two)
    return float(((a.mean(0) - b.mean(0)) ** 2).sum() + np.trace(one + two - 2 * root.real))


# -- Frechet distance --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
def test_frechet_distance_agrees_with_scipy(seed: int) -> None:
    a, b = features(300, 12, seed), features(200, 12, seed + 10)
    assert metrics.frechet_distance(a, b) == pytest.approx(reference_frechet(a, b), rel=1e-9)


def test_frechet_distance_of_singular_covariances() -> None:
    """Diagonal covariances with zeros: the root is known, with no help of a numerical one."""
    random = np.random.default_rng(0)
    base = random.normal(size=(400, 4))
    base -= base.mean(axis=0)
    base = np.linalg.qr(base)[0] * np.sqrt(399)  # uncorrelated, variance exactly 1
    one, two = np.array([3.0, 2.0, 0.0, 0.0]), np.array([1.0, 0.0, 5.0, 0.0])
    expected = ((one - two) ** 2).sum() + 4 * 0.5**2
    assert metrics.frechet_distance(base * one, base * two + 0.5) == pytest.approx(expected, rel=1e-12)


def test_frechet_distance_of_singular_covariances_agrees_with_scipy() -> None:
    wide = np.random.default_rng(0).normal(size=(3, 8))
    a, b = features(100, 3, 0) @ wide, features(100, 3, 1) @ wide
    with np.errstate(all="ignore"):
        shifted = reference_frechet(a + 0.0, b)
    assert metrics.frechet_distance(a, b) == pytest.approx(shifted, rel=1e-6)


def test_frechet_distance_of_fewer_images_than_features() -> None:
    a, b = features(5, 20, 0), features(7, 20, 1)
    turned = np.linalg.qr(np.random.default_rng(0).normal(size=(20, 20)))[0]
    distance = metrics.frechet_distance(a, b)
    assert distance == pytest.approx(metrics.frechet_distance(a @ turned, b @ turned), rel=1e-9)
    assert distance == pytest.approx(metrics.frechet_distance(b, a), rel=1e-9)
    assert distance > ((a.mean(0) - b.mean(0)) ** 2).sum()


def test_frechet_distance_of_equal_sets_is_zero_and_of_moved_ones_the_square() -> None:
    a = features(100, 6, 0)
    assert metrics.frechet_distance(a, a) == pytest.approx(0, abs=1e-9)
    assert metrics.frechet_distance(a, a + 2) == pytest.approx(4 * 6, rel=1e-9)
    assert metrics.frechet_distance(a, a) >= 0


@pytest.mark.parametrize(
    ("a", "b", "says"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "1 rows"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "3 and 4 columns"),
        (np.full((5, 3), np.nan), np.zeros((5, 3)), "NaN"),
        (np.zeros(5), np.zeros((5, 3)), "shape"),
    ],
)
def test_all_of_them_refuse(a: np.ndarray, b: np.ndarray, says: str) -> None:
    for metric in (metrics.frechet_distance, metrics.kid, metrics.precision_recall):
        with pytest.raises(UserError, match=says):
            metric(a, b)


# -- KID ---------------------------------------------------------------------------------------------------------------


def test_kid_agrees_with_the_double_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = features(9, 4, 0), features(7, 4, 1)

    def kernel(x: np.ndarray, y: np.ndarray) -> float:
        return float((x @ y / 4 + 1) ** 3)

    within = [np.mean([kernel(s[i], s[j]) for i, j in itertools.permutations(range(len(s)), 2)]) for s in (a, b)]
    across = np.mean([kernel(x, y) for x in a for y in b])
    expected = sum(within) - 2 * across
    assert metrics.kid(a, b) == pytest.approx(expected, rel=1e-9)
    monkeypatch.setattr(fidelity, "ROWS", 4)  # blocks that do not divide the sets
    assert metrics.kid(a, b) == pytest.approx(expected, rel=1e-9)


def test_kid_is_unbiased() -> None:
    random = np.random.default_rng(0)
    tries = [metrics.kid(random.normal(size=(30, 3)), random.normal(size=(30, 3))) for _ in range(400)]
    assert abs(np.mean(tries)) < 3 * np.std(tries) / np.sqrt(400)
    assert min(tries) < 0


# -- precision and recall ----------------------------------------------------------------------------------------------


def test_equal_sets_cover_each_other() -> None:
    a = features(60, 5, 0) * 1e3 + 1e4
    assert metrics.precision_recall(a, a) == (1, 1)


def test_far_sets_do_not() -> None:
    a = features(60, 5, 0)
    assert metrics.precision_recall(a, a + 1000) == (0, 0)


def test_precision_and_recall_by_hand() -> None:
    """k 1 on a line. Reals 0, 1, 10: radii 1, 1, 9. Fakes 2, 2.5, 30: radii 0.5, 0.5, 27.5."""
    real, fake = np.array([[0.0], [1.0], [10.0]]), np.array([[2.0], [2.5], [30.0]])
    # 2 lies 1 from 1 (on the rim), 2.5 lies 7.5 from 10, 30 lies 20 away; 10 lies 20 from 30, 0 and 1 lie outside.
    assert metrics.precision_recall(real, fake, k=1) == pytest.approx((2 / 3, 1 / 3))


def test_a_generator_that_draws_one_image_is_precise_and_recalls_nothing() -> None:
    real = features(100, 5, 0)
    scores = metrics.precision_recall(real, np.tile(real[:1], (50, 1)))
    assert scores.precision == 1 and scores.recall == pytest.approx(0.01)


def test_three_neighbours_are_the_protocol() -> None:
    real, fake = features(60, 4, 0), features(60, 4, 1) + 0.5
    three = metrics.precision_recall(real, fake, k=3)
    assert metrics.precision_recall(real, fake) == three != metrics.precision_recall(real, fake, k=5)


def test_what_lies_on_the_rim_up_to_rounding_is_inside() -> None:
    """Points in a row, a step apart; fakes a step beyond its ends."""
    for angle in np.linspace(0.1, 1.5, 40):
        step = np.array([[np.cos(angle), np.sin(angle)]])
        assert metrics.precision_recall(np.arange(4)[:, None] * step, [[-1], [4]] * step, k=1).precision == 1


def test_features_far_from_zero_cover_as_those_around_it() -> None:
    real, fake = features(60, 4, 0), features(60, 4, 1) + 0.5
    assert metrics.precision_recall(real + 1e7, fake + 1e7) == metrics.precision_recall(real, fake)


def test_precision_and_recall_agree_with_the_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(3)
    real, fake, k = random.normal(size=(50, 2)), random.normal(size=(40, 2)) + 1, 3

    def cover(points: np.ndarray, centres: np.ndarray) -> float:
        reach = [sorted(np.linalg.norm(centres - c, axis=1))[k] for c in centres]  # the first is the centre itself
        inside = [any(np.linalg.norm(p - c) <= r for c, r in zip(centres, reach, strict=True)) for p in points]
        return float(np.mean(inside))

    expected = (cover(fake, real), cover(real, fake))
    assert 0 < expected[0] < 1 and 0 < expected[1] < 1
    assert metrics.precision_recall(real, fake, k) == pytest.approx(expected)
    monkeypatch.setattr(fidelity, "ROWS", 7)
    assert metrics.precision_recall(real, fake, k) == pytest.approx(expected)


@pytest.mark.parametrize("k", [0, -1, 1.5])
def test_precision_and_recall_refuse_a_wrong_k(k: float) -> None:
    with pytest.raises(UserError, match="k="):
        metrics.precision_recall(features(10, 2, 0), features(10, 2, 1), k=k)  # type: ignore[arg-type]


def test_precision_and_recall_need_more_images_than_k() -> None:
    with pytest.raises(UserError, match="too small"):
        metrics.precision_recall(features(3, 2, 0), features(10, 2, 1), k=3)
