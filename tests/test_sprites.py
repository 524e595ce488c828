"""Sprites: every index its own picture, the same bytes for ever, each factor visible."""

from __future__ import annotations

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


@pytest.mark.parametrize("index", [-1, 11_520])
def test_an_index_outside_the_grid(index: int) -> None:
    with pytest.raises(UserError, match="0 to 11519"):
        render(index, 32)
