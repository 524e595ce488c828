"""Pictures on surfaces: wood, tiles, plaster, cloth, rugs, paintings. NumPy alone, each a function of its seed.

All return float64 height x width x 3 in [0, 1], sRGB, and repeat without a seam (rug, painting and clock face are
whole pictures). Colours are (red, green, blue) in [0, 1], sRGB.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Colour = tuple[float, float, float]


def noise(
    height: int, width: int, seed: int, octaves: int = 6, cells: tuple[float, float] = (2, 2), gain: float = 0.55
) -> Array:
    """Periodic value noise, height x width in [0, 1], mean near 1/2.

    Args:
        octaves: layers, each twice as fine as the one before and `gain` times as strong.
        cells: how many hills the coarsest layer has down and across (rounded, at least one).
    """
    rng = np.random.default_rng(seed)
    total = np.zeros((height, width))
    for octave in range(octaves):
        rows, columns = (max(1, round(c * 2**octave)) for c in cells)
        hills = rng.random((rows, columns))
        down, across = _between(height, rows), _between(width, columns)
        upper, lower = hills[down[0]], hills[down[1]]
        left = upper[:, across[0]] * (1 - down[2])[:, None] + lower[:, across[0]] * down[2][:, None]
        right = upper[:, across[1]] * (1 - down[2])[:, None] + lower[:, across[1]] * down[2][:, None]
        total += gain**octave * (left * (1 - across[2]) + right * across[2])
    return total / sum(gain**octave for octave in range(octaves))


def wood(height: int, width: int, dark: Colour, light: Colour, seed: int) -> Array:
    """One piece of wood, grain along the width: slow tone, wavering year rings, fine fibres."""
    tone = noise(height, width, seed, 4, (3, 0.6))
    bend = noise(height, width, seed + 1, 4, (2, 0.7))
    turns = 5 * np.linspace(0, 1, height, endpoint=False)[:, None]
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (turns + 4 * bend))
    fibres = noise(height, width, seed + 2, 3, (max(height / 4, 4), 2))
    return _blend(dark, light, np.clip(1.6 * (0.40 * tone + 0.25 * rings**2 + 0.35 * fibres - 0.22), 0, 1))


def boards(height: int, width: int, rows: int, per_row: int, dark: Colour, light: Colour, seed: int) -> Array:
    """A floor or a worktop of boards with grain along the width: every board its own piece of wood and tone."""
    rng = np.random.default_rng(seed)
    out = np.empty((height, width, 3))
    tops = np.linspace(0, height, rows + 1).astype(int)
    ends = np.linspace(0, width, per_row + 1).astype(int)
    for row, (top, bottom) in enumerate(zip(tops, tops[1:], strict=False)):
        shift = int((row * 0.381966 + 0.15 * rng.random()) * width)
        for start, end in zip(ends, ends[1:], strict=False):
            piece = wood(bottom - top, end - start, dark, light, int(rng.integers(2**31))) * rng.uniform(0.78, 1.14)
            piece[:, : max(1, width // 700)] *= 0.45
            columns = (shift + np.arange(start, end)) % width
            out[top:bottom, columns] = piece
        out[top : top + max(1, height // 600)] *= 0.45
    return np.clip(out, 0, 1)


def tiles(
    height: int,
    width: int,
    rows: int,
    columns: int,
    colour: Colour,
    grout: Colour,
    seed: int,
    joint: int = 5,
    offset: float = 0.5,
    variation: float = 0.06,
) -> Array:
    """Tiles with joints `joint` pixels wide; every other row shifted by `offset` of a tile; tone varies by tile.

    Repeats without a seam where `rows` is even or `offset` is 0.
    """
    rng = np.random.default_rng(seed)
    down = (np.arange(height) + 0.5) / height * rows
    row = down.astype(int)
    across = (np.arange(width)[None] + 0.5) / width * columns + (row % 2)[:, None] * offset
    column = across.astype(int) % columns
    tone = 1 + rng.uniform(-variation, variation, (rows, columns, 1)) + rng.uniform(-0.01, 0.01, (rows, columns, 3))
    out = np.asarray(colour) * tone[row[:, None], column]
    is_joint = ((down % 1 * height / rows) < joint)[:, None] | ((across % 1 * width / columns) < joint)
    out[is_joint] = grout
    return np.clip(out * (0.97 + 0.06 * noise(height, width, seed + 1, 5)[..., None]), 0, 1)


def plaster(height: int, width: int, colour: Colour, seed: int) -> Array:
    """A painted wall that is not quite even."""
    return np.clip(np.asarray(colour) * (0.97 + 0.06 * noise(height, width, seed, 7, (3, 3), 0.7)[..., None]), 0, 1)


def fabric(height: int, width: int, colour: Colour, seed: int, strength: float = 0.2) -> Array:
    """Woven cloth: threads both ways of uneven thickness. Random, not periodic, so that it gives no moiré."""
    threads = noise(height, width, seed, 2, (height / 3, 6)) + noise(height, width, seed + 1, 2, (6, width / 3))
    clouds = noise(height, width, seed + 2, 4)
    tone = 1 + strength * ((threads - 1) + 0.6 * (clouds - 0.5))
    return np.clip(np.asarray(colour) * tone[..., None], 0, 1)


def stripes(height: int, width: int, colours: Sequence[Colour], count: int, seed: int) -> Array:
    """Cloth with `count` stripes across its width, the colours in turn."""
    stripe = ((np.arange(width) + 0.5) / width * count).astype(int) % len(colours)
    weave = fabric(height, width, (0.5, 0.5, 0.5), seed)[..., :1] / 0.5
    return np.clip(np.asarray(colours)[stripe][None] * weave, 0, 1)


def rug(height: int, width: int, ground: Colour, line: Colour, accent: Colour, seed: int) -> Array:
    """A whole woven rug: two border lines, a lattice of diamonds, wool that varies from row to row."""
    y, x = np.mgrid[0:height, 0:width] + 0.5
    edge = np.minimum(np.minimum(x, width - x), np.minimum(y, height - y)) / height
    cell = (height / 5, width / round(5 * width / height))
    u, v = x / cell[1], y / cell[0]
    diamond = np.abs((u % 1) - 0.5) + np.abs((v % 1) - 0.5)
    out = np.broadcast_to(np.asarray(ground), (height, width, 3)).copy()
    field = edge > 0.125
    out[field & (np.abs(diamond - 0.5) < 0.035)] = line
    out[field & (diamond < 0.16)] = accent
    out[(edge > 0.035) & (edge < 0.055)] = line
    out[(edge > 0.085) & (edge < 0.100)] = accent
    out[edge < 0.012] = line
    wool = noise(height, width, seed, 3, (height / 4, 8)) + 0.5 * noise(height, width, seed + 1, 4)
    return np.clip(out * (0.82 + 0.24 * wool[..., None]), 0, 1)


def painting(height: int, width: int, palette: Sequence[Colour], seed: int) -> Array:
    """A whole abstract picture: discs and bands with uneven edges on the palette's first colour."""
    rng = np.random.default_rng(seed)
    size = max(height, width)
    y, x = (np.mgrid[0:height, 0:width] + 0.5) / size
    out = np.broadcast_to(np.asarray(palette[0]), (height, width, 3)).copy()
    for layer in range(9):
        colour = np.asarray(palette[1 + layer % (len(palette) - 1)])
        cy, cx = rng.uniform(0, height / size), rng.uniform(0, width / size)
        waver = 0.05 * (noise(height, width, int(rng.integers(2**31)), 4) - 0.5)
        if layer % 3 == 2:
            turn, half = rng.uniform(-0.4, 0.4), rng.uniform(0.01, 0.05)
            distance = np.abs((y - cy) * np.cos(turn) - (x - cx) * np.sin(turn)) + waver - half
        else:
            distance = np.hypot(y - cy, x - cx) + waver - rng.uniform(0.08, 0.27)
        cover = 0.9 * np.clip(0.5 - distance * size / 3, 0, 1)[..., None]
        out = out * (1 - cover) + colour * cover
    brush = 0.94 + 0.12 * noise(height, width, seed + 99, 6, (4, 12))
    return np.clip(out * brush[..., None], 0, 1)


def clock_face(size: int, paper: Colour, ink: Colour) -> Array:
    """A whole face: twelve marks, those of the quarters longer, and a ring of minutes."""
    y, x = (np.mgrid[0:size, 0:size] + 0.5) / size * 2 - 1
    radius, turn = np.hypot(x, y), np.arctan2(x, -y) / (2 * np.pi)
    out = np.broadcast_to(np.asarray(paper), (size, size, 3)).copy()
    for marks, inner, half in ((60, 0.86, 0.006), (12, 0.76, 0.016), (4, 0.66, 0.028)):
        aside = np.abs((turn * marks + 0.5) % 1 - 0.5) / marks * 2 * np.pi * radius
        out[(aside < half) & (radius > inner) & (radius < 0.92)] = ink
    return out


def _between(pixels: int, cells: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64], Array]:
    """For each pixel the cells before and after it, around the end, and the smoothed way from one to the other."""
    place = np.arange(pixels) / pixels * cells
    before = place.astype(np.int64)
    part = place - before
    return before, (before + 1) % cells, part * part * (3 - 2 * part)


def _blend(a: Colour, b: Colour, part: Array) -> Array:
    return np.asarray(a) * (1 - part[..., None]) + np.asarray(b) * part[..., None]
