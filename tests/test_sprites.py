"""Sprites: every index its own picture, the same bytes for ever, each factor visible."""

from __future__ import annotations

import colorsys
import hashlib

import numpy as np
import pytest

from semistylegan.errors import UserError
from semistylegan.scenes.sprites import FACTORS, render


def test_the_grid() -> None:
    assert FACTORS.total == 11_520
    assert FACTORS.names == ("shape", "hue", "scale", "x", "y")


@pytest.mark.parametrize("resolution", [16, 32, 128])
def test_an_image(resolution: int) -> None:
    image = render(4321, resolution)
    assert image.dtype == np.uint8 and image.shape == (resolution, resolution, 3)
    assert (image == render(4321, resolution)).all()


def test_pictures_of_different_indices_differ() -> None:
    indices = np.random.default_rng(3).permutation(FACTORS.total)[:600]
    assert len({hashlib.sha256(render(int(i), 32).tobytes()).digest() for i in indices}) == len(indices)


def test_neighbouring_values_of_every_factor_show() -> None:
    middle = [size // 2 for size in FACTORS.sizes]
    for f, size in enumerate(FACTORS.sizes):
        images = [
            render(FACTORS.index_of([*middle[:f], value, *middle[f + 1 :]]), 32).astype(int) for value in range(size)
        ]
        for a, b in zip(images, images[1:], strict=False):
            assert np.abs(a - b).max() > 40, FACTORS[f].name


def test_x_moves_right_and_y_down() -> None:
    def centre(index: int) -> tuple[float, float]:
        bright = render(index, 64).astype(float).max(axis=2)
        weight = np.clip(bright - 128, 0, None)
        down, right = np.mgrid[0:64, 0:64] / 64
        return float((right * weight).sum() / weight.sum()), float((down * weight).sum() / weight.sum())

    corner, right, down = (centre(FACTORS.index_of([1, 6, 2, *xy])) for xy in ([0, 0], [7, 0], [0, 7]))
    assert right[0] - corner[0] == pytest.approx(0.4, abs=0.02) and right[1] == pytest.approx(corner[1], abs=0.01)
    assert down[1] - corner[1] == pytest.approx(0.4, abs=0.02) and down[0] == pytest.approx(corner[0], abs=0.01)


def test_hue_goes_round_from_red_over_green_to_blue() -> None:
    for hue in range(12):
        red, green, blue = render(FACTORS.index_of([1, hue, 4, 4, 4]), 64)[34, 34] / 255
        assert 360 * colorsys.rgb_to_hsv(red, green, blue)[0] == pytest.approx(30 * hue, abs=1)


def shown(shape: int, scale: int) -> np.ndarray:
    """Where a red one in the middle covers the picture, 100 x 100, one pixel a hundredth."""
    picture = render(FACTORS.index_of([shape, 0, scale, 0, 0]), 100)
    return picture[..., 0] > 170


def test_shapes_are_what_they_are_called() -> None:
    """Around (0.3, 0.3), where y runs down."""
    ring, square, triangle = (shown(shape, 4) for shape in range(3))
    assert not ring[30, 30] and ring[30, 9] and not ring[8, 8], "a hole in the middle, no corners"
    assert square[30, 30] and square[8, 8] and square[51, 51] and not square[10, 56]
    assert triangle[30, 30] and triangle[10, 30] and not triangle[10, 10] and triangle[50, 10] and triangle[50, 49]
    assert (triangle[:, :60] == triangle[:, 59::-1]).all()


def test_scale_is_the_radius_as_part_of_the_image() -> None:
    for value, radius in enumerate((13, 17, 21, 25, 29)):
        down, right = np.nonzero(shown(1, value))
        assert np.ptp(down) + 1 == np.ptp(right) + 1 == pytest.approx(2 * 0.82 * radius, abs=1)
        assert (down.min() + down.max() + 1) / 2 == (right.min() + right.max() + 1) / 2 == 30
        ring = np.nonzero(shown(0, value))[0]
        assert np.ptp(ring) + 1 == pytest.approx(2 * radius, abs=1)


def test_the_ground_is_darker_above_and_edges_are_one_pixel_soft() -> None:
    picture = render(FACTORS.index_of([1, 0, 4, 0, 0]), 100).astype(int)
    assert (np.diff(picture[:, 99], axis=0) >= 0).all() and (picture[99, 99] - picture[0, 99] > 30).all()
    soft = (picture[30, :, 0] > 60) & (picture[30, :, 0] < 240)
    assert 1 <= soft.sum() <= 2


@pytest.mark.parametrize("index", [-1, 11_520])
def test_an_index_outside_the_grid(index: int) -> None:
    with pytest.raises(UserError, match="0 to 11519"):
        render(index, 32)
