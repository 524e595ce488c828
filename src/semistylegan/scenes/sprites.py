"""Sprites: one coloured shape before a dusky gradient. NumPy alone, well under a millisecond an image.

Five factors, 11,520 images. The shapes are a ring, a square and a triangle: outlines that a person tells apart when
the shape is eight pixels wide. Edges are anti-aliased by the signed distance to the outline.
"""

from __future__ import annotations

import colorsys
import functools

import numpy as np
import numpy.typing as npt

from semistylegan.factors import Factor, FactorSpace

FACTORS = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "square", "triangle")),
        Factor.circular("hue", 12),
        Factor.scalar("scale", 5, 0.13, 0.29),
        Factor.scalar("x", 8, 0.30, 0.70),
        Factor.scalar("y", 8, 0.30, 0.70),
    )
)
"""Units: hue in degrees; scale (radius) and x, y (centre, from the left and from the top) as parts of the image."""


def render(index: int, resolution: int) -> npt.NDArray[np.uint8]:
    """The image of one point of the grid.

    Args:
        index: 0 to FACTORS.total - 1.
        resolution: pixels a side.

    Returns:
        uint8, resolution x resolution x 3. The same index gives the same bytes.

    Raises:
        UserError: an index outside the grid.
    """
    values = FACTORS.levels_of_indices(FACTORS.values_of(index))
    shape, hue, scale, x, y = (f.value_of(u) for f, u in zip(FACTORS, values, strict=True))
    assert isinstance(hue, float) and isinstance(scale, float) and isinstance(x, float) and isinstance(y, float)
    right, down = _pixel_centres(resolution)
    dx, dy = (right - x) / scale, (down - y) / scale
    distance = {"ring": _ring, "square": _square, "triangle": _triangle}[str(shape)](dx, dy) * scale
    cover = np.clip(0.5 - distance * resolution, 0, 1)[..., None]
    colour = np.asarray(colorsys.hsv_to_rgb(hue / 360, 0.80, 0.96))
    image = _background(resolution) * (1 - cover) + colour * cover
    return np.rint(255 * image).astype(np.uint8)


# Signed distances to outlines of radius 1 around the origin; negative inside. x to the right, y down.


def _ring(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.abs(np.hypot(x, y) - 0.72) - 0.28


def _square(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    return np.maximum(np.abs(x), np.abs(y)) - 0.82


def _triangle(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    height, half_base = 1.75, 1.0
    slant = np.hypot(height, half_base)
    side = (np.abs(x) * height - (y + 0.95) * half_base) / slant
    return np.maximum(side, y - (height - 0.95))


@functools.cache
def _pixel_centres(resolution: int) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    centres = (np.arange(resolution) + 0.5) / resolution
    return centres[None, :], centres[:, None]


@functools.cache
def _background(resolution: int) -> npt.NDArray[np.float64]:
    top, bottom = np.array([0.13, 0.14, 0.20]), np.array([0.27, 0.29, 0.37])
    part = ((np.arange(resolution) + 0.5) / resolution)[:, None, None]
    return np.broadcast_to(top + (bottom - top) * part, (resolution, resolution, 3))
