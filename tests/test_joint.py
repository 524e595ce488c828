"""What labelled rows say together: factors that stand still or go together, and the prior that fits."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semistylegan.data import joint
from semistylegan.data.joint import _meetings, choose_prior, constant, pairs, require_learnable
from semistylegan.data.labels import Labels
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

SPACE = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "square", "cross", "star")),
        Factor.circular("hue", 12),
        Factor.scalar("x", 16),
        Factor.scalar("weight"),
    )
)


def drawn(n: int, seed: int, change: Callable[[dict[str, Any], Any], None] | None = None) -> Labels:
    """n rows, each factor uniform on its own, then changed."""
    rng = np.random.default_rng(seed)
    columns: dict[str, Any] = {
        f.name: f.level_of_index(rng.integers(0, f.size, n)) if f.size else rng.random(n) for f in SPACE
    }
    if change:
        change(columns, rng)
    level = np.stack(list(columns.values()), 1).astype(np.float32)
    return Labels(level, np.ones(level.shape, np.bool_))


@pytest.mark.parametrize("n", [100, 300, 3000, 50_000])
def test_a_full_grid_is_told_as_one(n: int) -> None:
    """At most one wrong answer in a thousand is allowed; 60 draws of each size show none."""
    draws = 60 if n < 10_000 else 5
    assert [choose_prior(SPACE, drawn(n, seed))[0] for seed in range(draws)] == ["grid"] * draws


def rare_crosses(columns: dict[str, Any], rng: Any) -> None:
    columns["shape"] = rng.choice(4, len(columns["x"]), p=[0.5, 0.3, 0.15, 0.05]).astype(float)


def mostly_light(columns: dict[str, Any], rng: Any) -> None:
    columns["weight"] = rng.beta(1, 4, len(columns["x"]))


def red_rings(columns: dict[str, Any], rng: Any) -> None:
    """Marginals stay uniform: rings have the first quarter of the hues, in two thirds of the rows."""
    own = (columns["shape"] * 3 + rng.integers(0, 3, len(columns["x"]))) / 12
    columns["hue"] = np.where(rng.random(len(own)) < 0.66, own, columns["hue"])


def heavy_right(columns: dict[str, Any], rng: Any) -> None:
    columns["weight"] = np.clip(0.5 * columns["x"] + 0.5 * columns["weight"], 0, 1)


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (rare_crosses, "values of shape are not"),
        (mostly_light, "values of weight are not"),
        (red_rings, "shape and hue go together"),
        (heavy_right, "x and weight go together"),
    ],
)
def test_what_is_no_grid_is_drawn_as_it_is(change: Callable[[dict[str, Any], Any], None], why: str) -> None:
    for seed in range(5):
        assert choose_prior(SPACE, drawn(300, seed, change))[0] == "labelled"
    assert why in choose_prior(SPACE, drawn(2000, 0, change))[1]


def test_few_rows_claim_nothing() -> None:
    prior, why = choose_prior(SPACE, drawn(99, 0, red_rings))
    assert prior == "grid" and "99 labelled rows" in why


def test_unknown_cells_are_not_counted() -> None:
    """Blanks hold level 0: read as values, they would pile up there."""
    labels = drawn(1000, 0)
    known = np.random.default_rng(1).random(labels.known_NF.shape) < 0.4
    assert choose_prior(SPACE, Labels(np.where(known, labels.level_NF, 0).astype(np.float32), known))[0] == "grid"


def found(change: Callable[[dict[str, Any], Any], None], n: int = 300) -> list[tuple[str, str, bool]]:
    return [(SPACE[p.a].name, SPACE[p.b].name, p.always) for p in pairs(SPACE, drawn(n, 0, change))]


def test_factors_that_go_together() -> None:
    def always(columns: dict[str, Any], rng: Any) -> None:
        columns["hue"] = columns["shape"] / 4

    def almost(columns: dict[str, Any], rng: Any) -> None:
        columns["hue"] = np.where(rng.random(300) < 0.97, columns["shape"] / 4, columns["hue"])

    def numbers(columns: dict[str, Any], rng: Any) -> None:
        columns["weight"] = np.clip(1 - columns["x"] + rng.normal(0, 0.02, 300), 0, 1)

    def half(columns: dict[str, Any], rng: Any) -> None:
        columns["hue"] = np.where(rng.random(300) < 0.5, columns["shape"] / 4, columns["hue"])

    def lopsided(columns: dict[str, Any], rng: Any) -> None:
        """Both nearly constant, and independent: agreeing in 98% of the rows means nothing."""
        columns["shape"], columns["x"] = (rng.random((2, 300)) < 0.01).astype(float)

    assert found(always) == [("shape", "hue", True)]
    assert found(almost) == [("shape", "hue", False)]
    assert found(numbers) == [("x", "weight", False)]
    assert found(half) == found(lopsided) == found(lambda *_: None) == []


def test_numbers_of_which_some_are_blank_are_compared_by_the_rest() -> None:
    space = FactorSpace((Factor.scalar("a"), Factor.scalar("b"), Factor.scalar("c")))
    level = np.random.default_rng(0).random((60, 3)).astype(np.float32)
    known = np.ones(level.shape, np.bool_)
    level[:30, 1] = level[:30, 0] ** 3  # the same order where both are known
    known[30:45, 0] = known[45:, 1] = False
    assert [(p.a, p.b) for p in pairs(space, Labels(level, known))] == [(0, 1)]
    known[45:, 1] = True
    known[30:32, 0] = True  # two rows more, in another order
    level[30:32, :2] = [[0.01, 0.99], [0.99, 0.01]]
    assert not list(pairs(space, Labels(level, known)))


def test_meetings_are_counted_alike_whether_there_could_be_many_or_few() -> None:
    few = np.random.default_rng(0).integers(0, 5, (2, 1000))
    many = few * 10_000
    for one, two in zip(_meetings(*few), _meetings(*many), strict=True):
        assert two.tolist() in (one.tolist(), (one * 10_000).tolist())


def test_many_pairs_are_compared_under_a_bar(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(joint, "MANY", 3)
    space = FactorSpace(tuple(Factor.categorical(f"a{f}", ("no", "yes")) for f in range(3)))
    labels = Labels(np.zeros((200, 3), np.float32), np.ones((200, 3), np.bool_))
    assert not list(pairs(space, labels)) and choose_prior(space, labels)
    assert capsys.readouterr().err.count("comparing factors: 3 of 3") == 2


def test_a_table_of_many_columns_takes_no_minutes() -> None:
    """CelebA has 780 pairs of columns and 200,000 rows."""
    space = FactorSpace(tuple(Factor.categorical(f"a{f}", ("no", "yes")) for f in range(12)))
    level = np.random.default_rng(0).integers(0, 2, (200_000, 12)).astype(np.float32)
    level[:, 11] = level[:, 0]
    labels = Labels(level, np.ones(level.shape, np.bool_))
    began = time.process_time()
    assert [(p.a, p.b, p.always) for p in pairs(space, labels)] == [(0, 11, True)]
    assert time.process_time() - began < 2  # .3 s where it was written; counting in Python takes 5


def test_values_that_lie_close_together_differ() -> None:
    labels = drawn(40, 0, lambda columns, rng: columns.update(weight=0.02 + 0.001 * rng.random(40)))
    labels.known_NF[:, :3] = False
    assert constant(SPACE, labels) == []
    assert len(require_learnable(SPACE, labels, Path("a.zip"))) == 3


def test_a_factor_that_stands_still() -> None:
    labels = drawn(40, 0, lambda columns, rng: columns.update(hue=np.full(40, 0.25)))
    labels.known_NF[:, 3] = False
    assert constant(SPACE, labels) == [1]
    notes = require_learnable(SPACE, labels, Path("a.zip"))
    assert [n.split()[0] for n in notes] == ["hue", "weight"] and "no labelled image" in notes[1]
    labels.known_NF[:, [0, 2]] = False
    with pytest.raises(UserError, match=r"a\.zip: 'hue' is the same in all labelled images; label images"):
        require_learnable(SPACE, labels, Path("a.zip"))
