"""The FactorVAE and the BetaVAE score against closed forms, and both ways of giving codes against each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from semistylegan import metrics
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

GRID = FactorSpace.grid({"a": 4, "b": 5, "c": 6})
FAST = {"votes": 300, "test_votes": 200, "variance_images": 500, "batch": 16}


def test_factor_vae_score_of_the_factors_themselves_is_one() -> None:
    assert metrics.factor_vae_score(lambda v: v.astype(float), GRID, lambda v: v, **FAST) == 1


def test_factor_vae_score_does_not_ask_for_scale_or_order() -> None:
    def encode(values: np.ndarray) -> np.ndarray:
        return values[:, ::-1] * np.array([100, 0.1, -3]) + 5

    assert metrics.factor_vae_score(encode, GRID, lambda v: v, **FAST) == 1


def test_factor_vae_score_of_noise_is_chance() -> None:
    random = np.random.default_rng(0)
    score = metrics.factor_vae_score(lambda v: random.normal(size=(len(v), 6)), GRID, lambda v: v, **FAST)
    assert 0.2 < score < 0.5


def test_factor_vae_score_of_two_factors_in_one_code() -> None:
    """a and b can be told from each other no more: of three votes two are right."""

    def encode(values: np.ndarray) -> np.ndarray:
        return np.stack([values[:, 0] + 100.0 * values[:, 1], values[:, 2]], axis=1)

    score = metrics.factor_vae_score(encode, GRID, lambda v: v, **FAST | {"votes": 1000, "test_votes": 1000})
    assert 0.5 < score < 0.8


def test_factor_vae_score_prunes_what_hardly_varies() -> None:
    def encode(values: np.ndarray) -> np.ndarray:
        return 0.01 * values.astype(float)

    assert metrics.factor_vae_score(encode, GRID, lambda v: v, **FAST) == 0
    assert metrics.factor_vae_score(encode, GRID, lambda v: v, **FAST, prune=0.001) == 1
    for number in (0.0, 0.1):
        assert metrics.factor_vae_score(np.full((GRID.total, 2), number), GRID, **FAST, prune=0) == 0


def test_factor_vae_score_is_fixed_by_its_seed_and_counts_its_votes() -> None:
    def encode(values: np.ndarray) -> np.ndarray:
        return values @ np.array([[1, 0.5, 0], [0.6, 1, 0.3], [0, 0.4, 1]])

    asked: list[int] = []
    runs = [metrics.factor_vae_score(encode, GRID, lambda v: v, seed=s, **FAST, voted=asked.append) for s in (0, 0, 1)]
    assert runs[0] == runs[1]
    assert sum(asked) == 3 * 500


def test_factor_vae_score_never_fixes_a_constant_factor() -> None:
    space = FactorSpace.grid({"color": 1, "a": 4, "b": 5})
    assert metrics.factor_vae_score(lambda v: v[:, 1:].astype(float), space, lambda v: v, **FAST) == 1
    with pytest.raises(UserError, match="more than one value"):
        metrics.factor_vae_score(lambda v: v, FactorSpace.grid({"color": 1}), lambda v: v, **FAST)


@pytest.mark.parametrize(
    ("metric", "name", "count"),
    [
        (metrics.factor_vae_score, "votes", 0),
        (metrics.factor_vae_score, "test_votes", 0),
        (metrics.factor_vae_score, "batch", 1),
        (metrics.factor_vae_score, "variance_images", 1),
        (metrics.factor_vae_score, "seed", -1),
        (metrics.beta_vae_score, "points", 0),
        (metrics.beta_vae_score, "points", 1),
        (metrics.beta_vae_score, "test_points", 0),
        (metrics.beta_vae_score, "batch", 0),
        (metrics.beta_vae_score, "seed", 0.5),
    ],
)
def test_sizes_that_leave_nothing_to_measure(metric: Any, name: str, count: float) -> None:
    with pytest.raises(UserError, match=rf"^{name}={count}: "):
        metric(EVERY * 1.0, GRID, **{name: count})


def test_factor_vae_score_refuses_broken_codes() -> None:
    with pytest.raises(UserError, match="NaN"):
        metrics.factor_vae_score(lambda v: np.full(v.shape, np.nan), GRID, lambda v: v, **FAST)
    with pytest.raises(UserError, match="continuous"):
        metrics.factor_vae_score(lambda v: v, FactorSpace((Factor.scalar("x"),)), lambda v: v, **FAST)


def mixed(values: np.ndarray) -> np.ndarray:
    return values @ np.array([[1, 0.9, 0], [0.9, 1, 0.7], [0.3, 0.9, 0.8]])


POINTS = {"points": 300, "test_points": 200, "batch": 16}
EVERY = GRID.values_of(np.arange(GRID.total))


def test_an_array_over_the_grid_gives_the_score_of_the_functions() -> None:
    by_call = metrics.factor_vae_score(mixed, GRID, lambda v: v, **FAST)
    assert metrics.factor_vae_score(mixed(EVERY), GRID, **FAST) == by_call < 1
    by_call = metrics.beta_vae_score(mixed, GRID, lambda v: v, **POINTS)
    assert metrics.beta_vae_score(mixed(EVERY), GRID, **POINTS) == by_call


def test_an_array_of_another_length_is_refused() -> None:
    with pytest.raises(UserError, match="119 rows, but the grid has 120"):
        metrics.factor_vae_score(mixed(EVERY)[1:], GRID, **FAST)
    with pytest.raises(UserError, match="sample: missing"):
        metrics.beta_vae_score(mixed, GRID)


KINDS = FactorSpace((Factor.categorical("s", ("a", "b", "c")), Factor.circular("h", 12), Factor.scalar("x", 4)))


def test_kinds_are_one_entry_each() -> None:
    """An angle's seam splits it in two for a metric of numbers: its variance is large where the angle is fixed."""
    level = KINDS.levels_of_indices(KINDS.values_of(np.arange(KINDS.total)))
    level[:, 1] = (level[:, 1] + np.random.default_rng(0).normal(0, 0.01, len(level))) % 1
    assert metrics.factor_vae_score(level, KINDS, **FAST, space=KINDS) == 1
    assert metrics.factor_vae_score(level, KINDS, **FAST) < 1
    with pytest.raises(UserError, match="2 columns"):
        metrics.factor_vae_score(level[:, :2], KINDS, **FAST, space=KINDS)
    with pytest.raises(UserError, match="other numbers than its classes 0 to 2"):
        metrics.factor_vae_score(level + 0.5, KINDS, **FAST, space=KINDS)


def test_beta_vae_score_by_closed_form() -> None:
    assert metrics.beta_vae_score(EVERY * 1.0, GRID, **POINTS) == 1
    random = np.random.default_rng(0)
    noise = metrics.beta_vae_score(lambda v: random.normal(size=(len(v), 4)), GRID, lambda v: v, **POINTS)
    assert 0.2 < noise < 0.5
    turn = np.linalg.qr(random.normal(size=(3, 3)))[0]
    assert metrics.beta_vae_score(EVERY @ turn, GRID, **POINTS) > 0.8, "a line can undo a rotation, as the paper's can"
    deaf = metrics.beta_vae_score(EVERY[:, :2] * 1.0, FactorSpace.grid({"a": 4, "b": 5, "c": 6}), **POINTS)
    assert deaf > 0.98, "what is told of two of three factors names the third"
    assert metrics.beta_vae_score(EVERY[:, :1] * 1.0, GRID, **POINTS) < 0.9


def test_beta_vae_score_counts_and_needs_two_factors() -> None:
    asked: list[int] = []
    assert metrics.beta_vae_score(EVERY * 1.0, GRID, seed=3, **POINTS, voted=asked.append) == 1
    assert sum(asked) == 500
    with pytest.raises(UserError, match="at least two"):
        metrics.beta_vae_score(np.arange(4.0)[:, None], FactorSpace.grid({"a": 4, "b": 1}), **POINTS)
