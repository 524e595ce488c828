"""Bootstrap intervals against what theory says of them."""

from __future__ import annotations

import numpy as np
import pytest

from semistylegan import metrics
from semistylegan.errors import UserError
from semistylegan.metrics.fidelity import frechet_distance, quick_frechet_distance


def test_the_error_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    found = metrics.bootstrap(np.mean, values, resamples=400)
    assert found.score == values.mean()
    assert found.error == pytest.approx(values.std() / np.sqrt(2000), rel=0.15)
    assert found.high - found.score == pytest.approx(1.96 * found.error, rel=1e-3)
    assert found.score - found.low == pytest.approx(1.96 * found.error, rel=1e-3)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    covered = []
    for seed in range(200):
        found = metrics.bootstrap(np.mean, random.normal(0, 1, 60), resamples=60, seed=seed)
        covered.append(found.low <= 0 <= found.high)
    assert 0.88 < np.mean(covered) < 0.99


def test_rows_stay_together_or_not() -> None:
    a = np.random.default_rng(0).normal(size=300)
    assert metrics.bootstrap(lambda x, y: float(np.mean(x - y)), a, a).error == 0
    assert metrics.bootstrap(lambda x, y: float(x.mean() - y.mean()), a, a[:200], paired=False).error > 0.05


def test_the_same_seed_the_same_interval_cut_at_the_ends() -> None:
    a = np.random.default_rng(0).integers(0, 2, (50, 1))
    one, two, other = (metrics.bootstrap(np.mean, a, seed=s, within=(0.45, 0.55)) for s in (0, 0, 1))
    assert one == two and one.error != other.error
    assert (one.low, one.high) == (0.45, 0.55)


def test_the_quick_frechet_distance_is_the_exact_one() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(200, 6)) @ random.normal(size=(6, 6)), random.normal(size=(150, 6)) + 0.3
    assert quick_frechet_distance(a, b) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_it_refuses() -> None:
    with pytest.raises(UserError, match="at least one table"):
        metrics.bootstrap(np.mean)
    with pytest.raises(UserError, match="tables of 3, 2 rows"):
        metrics.bootstrap(np.mean, np.ones(3), np.ones(2))
    with pytest.raises(UserError, match="resamples=1"):
        metrics.bootstrap(np.mean, np.ones(3), resamples=1)
