"""Textures: pictures in range, the same for a seed, without seams, and showing what they are named for."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from semistylegan.scenes import textures
from semistylegan.scenes.textures import Array

RED, GREY, CREAM, INK = (0.7, 0.1, 0.1), (0.5, 0.5, 0.5), (0.9, 0.85, 0.8), (0.1, 0.1, 0.1)
PERIODIC: dict[str, Callable[[int], Array]] = {
    "boards": lambda s: textures.boards(120, 96, 6, 2, (0.3, 0.2, 0.1), (0.7, 0.5, 0.3), s),
    "tiles": lambda s: textures.tiles(120, 96, 4, 3, CREAM, GREY, s),
    "plaster": lambda s: textures.plaster(120, 96, CREAM, s),
    "fabric": lambda s: textures.fabric(120, 96, RED, s),
    "stripes": lambda s: textures.stripes(120, 96, [RED, CREAM], 8, s),
}
WHOLE: dict[str, Callable[[int], Array]] = {
    "wood": lambda s: textures.wood(120, 96, (0.3, 0.2, 0.1), (0.7, 0.5, 0.3), s),
    "rug": lambda s: textures.rug(120, 96, RED, CREAM, INK, s),
    "painting": lambda s: textures.painting(120, 96, [CREAM, RED, INK, GREY], s),
}


@pytest.mark.parametrize("name", [*PERIODIC, *WHOLE])
def test_in_range_and_a_function_of_the_seed(name: str) -> None:
    make = (PERIODIC | WHOLE)[name]
    image = make(1)
    assert image.shape == (120, 96, 3)
    assert image.min() >= 0 and image.max() <= 1 and image.std(axis=(0, 1)).min() > 0.001
    np.testing.assert_array_equal(image, make(1))
    assert np.abs(image - make(2)).max() > 0.01


def test_noise_is_even_and_has_no_seam() -> None:
    field = textures.noise(200, 150, 3)
    assert field.min() >= 0 and field.max() <= 1
    assert 0.4 < field.mean() < 0.6
    within = np.abs(np.diff(field, axis=0)).max(), np.abs(np.diff(field, axis=1)).max()
    assert np.abs(field[0] - field[-1]).max() <= 1.5 * within[0]
    assert np.abs(field[:, 0] - field[:, -1]).max() <= 1.5 * within[1]


def test_a_coarse_noise_is_smooth_and_a_fine_one_is_not() -> None:
    coarse, fine = (textures.noise(128, 128, 3, 1, (c, c)) for c in (2, 32))
    assert np.abs(np.diff(coarse, axis=0)).mean() < 0.2 * np.abs(np.diff(fine, axis=0)).mean()


@pytest.mark.parametrize("name", ["plaster", "fabric"])
def test_seams_are_not_seen(name: str) -> None:
    image = PERIODIC[name](5)
    across = np.abs(np.diff(image, axis=1)).mean()
    down = np.abs(np.diff(image, axis=0)).mean()
    assert np.abs(image[:, 0] - image[:, -1]).mean() < 2 * across
    assert np.abs(image[0] - image[-1]).mean() < 2 * down


def test_grain_runs_along_the_width() -> None:
    image = textures.wood(128, 128, (0.3, 0.2, 0.1), (0.7, 0.5, 0.3), 4)
    assert np.abs(np.diff(image, axis=1)).mean() < 0.5 * np.abs(np.diff(image, axis=0)).mean()


def test_boards_differ_from_each_other() -> None:
    image = textures.boards(240, 240, 4, 1, (0.3, 0.2, 0.1), (0.7, 0.5, 0.3), 4)
    tone = [image[60 * k + 5 : 60 * k + 55].mean() for k in range(4)]
    assert np.ptp(tone) > 0.02


def test_tiles_have_the_asked_number_of_joints() -> None:
    image = textures.tiles(120, 120, 4, 3, (0.9, 0.9, 0.9), INK, 1, joint=4, offset=0)
    is_joint = image.mean(axis=2) < 0.3
    rows, columns = is_joint.mean(axis=1) > 0.9, is_joint.mean(axis=0) > 0.9
    assert rows.sum() == 4 * 4 and columns.sum() == 3 * 4
    shifted = textures.tiles(120, 120, 4, 3, (0.9, 0.9, 0.9), INK, 1, joint=4, offset=0.5).mean(axis=2) < 0.3
    np.testing.assert_array_equal(np.roll(shifted[5:29], 20, axis=1), shifted[35:59])


def test_stripes_take_turns() -> None:
    image = textures.stripes(40, 80, [RED, CREAM], 8, 1)
    is_red = image[..., 1].mean(axis=0) < 0.4
    assert np.flatnonzero(np.diff(is_red.astype(int))).tolist() == [9, 19, 29, 39, 49, 59, 69]


def test_a_clock_has_twelve_hours() -> None:
    image = textures.clock_face(400, CREAM, INK)
    turn = np.radians(np.arange(0, 360, 0.25))
    ring = image[(200 - 0.80 * 200 * np.cos(turn)).astype(int), (200 + 0.80 * 200 * np.sin(turn)).astype(int)]
    dark = ring.mean(axis=1) < 0.4
    assert ((np.diff(dark.astype(int)) == 1).sum() + (dark[0] and not dark[-1])) == 12
