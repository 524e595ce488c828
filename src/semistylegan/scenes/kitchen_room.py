"""The kitchen's room: everything that no factor moves.

The back wall is the plane y = 2, the worktop is 0.90 m high, x runs to the right. Things of one material are one mesh.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from semistylegan.scenes import textures
from semistylegan.scenes.materials import Rgb, Texture, matte, metal, painted, plastic, two_sided
from semistylegan.scenes.meshes import (
    Mesh,
    arc,
    cylinder,
    frame,
    join,
    lathe,
    leaf,
    plane,
    rounded_box,
    sheet,
    sphere,
    torus,
    tube,
)
from semistylegan.scenes.stage import Thing

WALL = 2.0
"""Where the back wall stands, y."""
FRONT = WALL - 0.62
"""Front of the cupboards, y."""
TOP = 0.905
"""Height of the worktop."""


def things(wall: Rgb) -> dict[str, Thing]:
    """All of it; `wall` is the colour of the walls to begin with."""
    white = painted((0.93, 0.91, 0.86), roughness=0.34)
    brass = metal((0.83, 0.66, 0.38), roughness=0.28)
    steel = metal((0.72, 0.73, 0.75), roughness=0.40)
    black = painted((0.05, 0.05, 0.055), roughness=0.30)
    cream = plastic((0.90, 0.86, 0.77), 0.08)
    return {
        **_shell(wall),
        "cupboards": Thing(join(*_cupboards()), white),
        "handles": Thing(join(*_handles(), *_lamp_fittings()), brass),
        "kick": Thing(rounded_box(3.2, 0.5, 0.10, 0.003, 1, at=(0.6, WALL - 0.30, 0.05)), matte((0.10, 0.095, 0.09))),
        "worktop": Thing(join(*_wood()), painted(_planks(), roughness=0.32)),
        "steel": Thing(join(*_fridge(), *_hood(), *_oven_steel(), *_sink()), steel),
        "black": Thing(join(*_black()), black),
        "cream": Thing(join(*_cream()), cream),
        "teal": Thing(join(*_teal()), plastic((0.10, 0.33, 0.38), 0.08)),
        "mustard": Thing(join(*_mustard()), plastic((0.85, 0.58, 0.14), 0.1)),
        "lemons": Thing(join(*_fruit()), painted((0.93, 0.76, 0.16), roughness=0.45)),
        "leaves": Thing(join(*_leaves()), two_sided(painted((0.20, 0.42, 0.15), roughness=0.45))),
        "clay": Thing(join(*_clay()), painted((0.72, 0.40, 0.27), roughness=0.65)),
        "clock": Thing(
            _clock_face(), painted(Texture(textures.clock_face(256, (0.95, 0.93, 0.88), (0.1, 0.1, 0.1))), 0.4)
        ),
        "towel": Thing(_towel(), two_sided(matte(_stripes()))),
    }


def lights() -> dict[str, dict[str, Any]]:
    """Warm strips under the cupboards on the left and under the hood."""
    return {"strip_left": _strip(-0.52, 0.44, 1.452), "strip_hood": _strip(OVEN[0] + OVEN[1] / 2, 0.2, 1.588)}


def _strip(x: float, half: float, z: float) -> dict[str, Any]:
    """A narrow rectangle that shines down."""
    place = np.array([[half, 0, 0, x], [0, -0.02, 0, WALL - 0.24], [0, 0, -1, z], [0, 0, 0, 1]])
    return {
        "type": "rectangle",
        "to_world": place,
        "emitter": {"type": "area", "radiance": {"type": "rgb", "value": [9.0, 6.6, 4.2]}},
    }


# -- walls and floor --------------------------------------------------------------------------------------------------


def _shell(wall: Rgb) -> dict[str, Thing]:
    floor = textures.tiles(
        1024, 1024, 4, 4, (0.66, 0.64, 0.60), (0.44, 0.42, 0.40), seed=11, offset=0.0, variation=0.07
    )
    floor = floor * (0.86 + 0.28 * textures.noise(1024, 1024, 4)[..., None])
    splash = textures.tiles(1024, 1024, 10, 4, (0.95, 0.94, 0.91), (0.78, 0.76, 0.72), seed=2, variation=0.03)
    back = plane((-4, WALL, 0), (9, 0, 0), (0, 0, 3.6), (9, 3.6))
    left = plane((-2.65, -5, 0), (0, 7, 0), (0, 0, 3.6), (7, 3.6))
    return {
        "floor": Thing(
            plane((-4, -5, 0), (9, 0, 0), (0, 7.2, 0), (9, 7.2)), painted(Texture(floor, 2.4), roughness=0.28)
        ),
        "wall": Thing(join(back, left), matte(wall)),
        "splash": Thing(
            plane((-1.0, WALL - 0.006, TOP), (4.2, 0, 0), (0, 0, 0.56), (4.2, 0.56)),
            plastic(Texture(splash, 0.8), 0.08),
        ),
    }


# -- cupboards --------------------------------------------------------------------------------------------------------

LOWER = (
    (-1.0, 0.5, "left"),
    (-0.5, 0.5, "drawers"),
    (0.0, 0.42, "left"),
    (0.42, 0.42, "right"),
    (1.46, 0.5, "drawers"),
)
"""Left edge, width, what opens."""
UPPER = ((-1.0, 0.48, "right"), (-0.52, 0.48, "left"), (1.56, 0.5, "left"))
OVEN = (0.84, 0.62)
"""Left edge and width."""


def _cupboards() -> Iterator[Mesh]:
    for left, width, kind in LOWER:
        x = left + width / 2
        yield rounded_box(width, 0.60, 0.76, 0.003, 1, at=(x, WALL - 0.31, 0.48))
        if kind == "drawers":
            for row in range(3):
                yield _front(width, 0.25, (x, FRONT, 0.24 + 0.252 * row))
        else:
            yield _front(width, 0.755, (x, FRONT, 0.493))
    for left, width, _ in UPPER:
        x = left + width / 2
        yield rounded_box(width - 0.002, 0.34, 0.74, 0.003, 1, at=(x, WALL - 0.17, 1.84))
        yield _front(width, 0.74, (x, WALL - 0.35, 1.84))
        yield rounded_box(width + 0.01, 0.37, 0.03, 0.008, 2, at=(x, WALL - 0.185, 2.225))


def _front(width: float, height: float, at: tuple[float, float, float]) -> Mesh:
    """A shaker door: a frame around a panel that lies deeper."""
    x, y, z = at
    border, w, h = 0.06, width - 0.006, height - 0.006
    across = [rounded_box(w, 0.02, border, 0.004, 1, at=(x, y, z + side * (h - border) / 2)) for side in (-1, 1)]
    upright = [rounded_box(border, 0.02, h, 0.004, 1, at=(x + side * (w - border) / 2, y, z)) for side in (-1, 1)]
    return join(*across, *upright, rounded_box(w - 0.02, 0.008, h - 0.02, 0.002, 1, at=(x, y + 0.006, z)))


def _handles() -> Iterator[Mesh]:
    for left, width, kind in LOWER:
        x = left + width / 2
        if kind == "drawers":
            yield from (_handle(0.17).moved(x, FRONT - 0.01, 0.27 + 0.252 * row) for row in range(3))
        else:
            side = 1 if kind == "left" else -1
            yield _handle(0.17).turned("y", 90).moved(x + side * (width / 2 - 0.035), FRONT - 0.01, 0.72)
    for left, width, kind in UPPER:
        side = 1 if kind == "left" else -1
        yield _handle(0.14).turned("y", 90).moved(left + width / 2 - side * (width / 2 - 0.035), WALL - 0.36, 1.57)


def _handle(length: float) -> Mesh:
    half = length / 2
    return tube([(-half, 0, 0), (-half, -0.028, 0), (half, -0.028, 0), (half, 0, 0)], 0.0065, 8, 0)


def _planks() -> Texture:
    return Texture(textures.boards(768, 1024, 12, 2, (0.36, 0.21, 0.11), (0.66, 0.43, 0.24), seed=3), 0.9)


def _wood() -> Iterator[Mesh]:
    """The worktop on both sides of the hob, a shelf, chopping boards."""
    yield rounded_box(3.0, 0.66, 0.04, 0.006, 2, at=(0.52, WALL - 0.325, TOP - 0.02))
    yield rounded_box(0.86, 0.24, 0.03, 0.005, 2, at=(0.42, WALL - 0.12, 1.62))
    yield rounded_box(0.30, 0.022, 0.42, 0.03, 3).turned("x", -10).moved(-0.80, WALL - 0.06, 1.12)
    yield rounded_box(0.36, 0.02, 0.25, 0.02, 3).turned("x", -13).moved(-0.62, WALL - 0.11, 1.03)
    for i, (lean, turn) in enumerate(((-9, 0), (7, 60), (2, 130))):  # spoons in the crock
        spoon = join(tube([(0, 0, 0), (0, 0, 0.24)], 0.008, 8, 0), sphere(0.028, 20).scaled(1, 0.4, 1.4).moved(z=0.26))
        yield spoon.turned("y", lean).turned("z", turn).moved(0.70 + 0.012 * i, WALL - 0.16, TOP + 0.06)


# -- appliances -------------------------------------------------------------------------------------------------------

FRIDGE = -1.50


def _fridge() -> Iterator[Mesh]:
    yield rounded_box(0.90, 0.70, 1.16, 0.014, 3, at=(FRIDGE, WALL - 0.40, 1.36))
    yield rounded_box(0.90, 0.70, 0.74, 0.014, 3, at=(FRIDGE, WALL - 0.40, 0.40))
    for low, high in ((0.98, 1.62), (0.40, 0.68)):
        x, near, far = FRIDGE + 0.36, WALL - 0.81, WALL - 0.75
        yield tube([(x, far, low), (x, near, low), (x, near, high), (x, far, high)], 0.014, 12, 0)


def _hood() -> Iterator[Mesh]:
    x = OVEN[0] + OVEN[1] / 2
    yield rounded_box(0.62, 0.46, 0.055, 0.008, 2, at=(x, WALL - 0.23, 1.62))
    yield (
        lathe([(0, 0), (0.40, 0), (0.19, 0.20), (0, 0.20)], 4)
        .turned("z", 45)
        .scaled(1.05, 0.76, 1)
        .moved(x, WALL - 0.23, 1.645)
    )
    yield rounded_box(0.26, 0.24, 1.9, 0.006, 2, at=(x, WALL - 0.19, 2.75))


def _oven_steel() -> Iterator[Mesh]:
    left, width = OVEN
    x = left + width / 2
    yield rounded_box(width - 0.008, 0.60, 0.76, 0.004, 1, at=(x, WALL - 0.31, 0.48))
    yield rounded_box(width - 0.008, 0.03, 0.11, 0.006, 2, at=(x, FRONT, 0.80))
    yield frame(width - 0.12, 0.40, 0.055, 0.03, 0.005, at=(x, FRONT, 0.475))
    yield rounded_box(width - 0.008, 0.03, 0.12, 0.006, 2, at=(x, FRONT, 0.16))
    z, half = 0.715, width / 2 - 0.05
    yield tube(
        [(x - half, FRONT, z), (x - half, FRONT - 0.06, z), (x + half, FRONT - 0.06, z), (x + half, FRONT, z)],
        0.012,
        12,
        0,
    )
    yield from (
        cylinder(0.022, 0.03, 0.006, 24).turned("x", 90).moved(x + 0.1 * i, FRONT - 0.012, 0.80) for i in (-2, -1, 1, 2)
    )
    yield _pot(0.11, 0.13).moved(x + 0.13, WALL - 0.24, TOP + 0.02)
    yield tube([(x + 0.24, WALL - 0.24, 1.0), (x + 0.40, WALL - 0.30, 1.01)], 0.011, 10, 0)


def _pot(radius: float, height: float) -> Mesh:
    rim = radius + 0.006
    inside = radius - 0.006
    return lathe(
        [
            (0, 0),
            (radius - 0.012, 0),
            *arc((radius - 0.012, 0.012), 0.012, -80, 0, 4),
            (radius, height - 0.006),
            (rim, height),
            (inside, height),
            (inside, 0.01),
            (0, 0.01),
        ]
    )


def _sink() -> Iterator[Mesh]:
    x = -0.26
    yield frame(0.50, 0.36, 0.018, 0.012, 0.004).turned("x", 90).moved(x, WALL - 0.33, TOP + 0.004)
    y = WALL - 0.10
    yield cylinder(0.026, 0.05, 0.006, 24, at=(x, y, TOP))
    yield tube([(x, y, TOP), (x, y, 1.16), (x, y - 0.06, 1.25), (x, y - 0.15, 1.25), (x, y - 0.19, 1.14)], 0.014, 14)
    yield tube([(x + 0.03, y, 0.95), (x + 0.10, y, 0.985)], 0.008, 10, 0)


def _black() -> Iterator[Mesh]:
    """Oven glass, hob, clock's rim and hands, the fridge's panel, the lamps' cables and shades."""
    left, width = OVEN
    x = left + width / 2
    yield rounded_box(width - 0.10, 0.02, 0.42, 0.003, 1, at=(x, FRONT + 0.004, 0.475))
    yield rounded_box(width - 0.04, 0.50, 0.012, 0.005, 2, at=(x, WALL - 0.33, TOP + 0.005))
    for a in (-1, 1):
        for b in (-1, 1):
            yield torus(0.075, 0.008, 32, at=(x + 0.14 * a, WALL - 0.33 + 0.12 * b, TOP + 0.016))
    cx, cz = CLOCK
    yield torus(0.158, 0.015, 64).turned("x", 90).moved(cx, WALL - 0.025, cz)
    yield rounded_box(0.010, 0.006, 0.11, 0.002, 1, at=(0, 0, 0.045)).turned("y", 12).moved(cx, WALL - 0.042, cz)
    yield rounded_box(0.012, 0.006, 0.085, 0.002, 1, at=(0, 0, 0.033)).turned("y", 105).moved(cx, WALL - 0.038, cz)
    yield rounded_box(0.20, 0.02, 0.13, 0.006, 2, at=(FRIDGE + 0.02, WALL - 0.752, 1.52))
    for lx, ly, lz in LAMPS:
        yield tube([(lx, ly, lz + 0.20), (lx, ly, 3.6)], 0.005, 8, 0)
        yield lathe(
            [
                (0.15, 0),
                (0.148, 0.03),
                (0.12, 0.11),
                (0.05, 0.17),
                (0.02, 0.19),
                (0, 0.19),
                (0, 0.18),
                (0.045, 0.16),
                (0.112, 0.105),
                (0.14, 0.03),
                (0.15, 0),
            ],
            48,
            (lx, ly, lz),
        )


LAMPS = ((-0.62, 0.95, 2.02), (0.98, 0.95, 2.02))
CLOCK = (0.40, 2.08)


def _lamp_fittings() -> Iterator[Mesh]:
    for x, y, z in LAMPS:
        yield cylinder(0.022, 0.05, 0.006, 24, at=(x, y, z + 0.185))
        yield sphere(0.045, 32, at=(x, y, z + 0.06))


def _clock_face() -> Mesh:
    """A disc whose texture lies flat: that of a lathe would run around it."""
    x, z = CLOCK
    angle = np.linspace(0, 2 * np.pi, 65)
    ring = np.stack([0.15 * np.cos(angle), np.zeros(65), 0.15 * np.sin(angle)], axis=1)
    vertices = np.concatenate([np.zeros((1, 3)), ring])
    faces = np.stack([np.zeros(64, int), np.arange(1, 65), np.arange(2, 66)], axis=1)
    uv = np.stack([vertices[:, 0] / 0.30 + 0.5, 0.5 - vertices[:, 2] / 0.30], axis=1)
    normals = np.tile([0.0, -1.0, 0.0], (66, 1))
    return Mesh(vertices + np.array([x, WALL - 0.03, z]), faces, normals, uv)


# -- small things -----------------------------------------------------------------------------------------------------


def _bowl(radius: float, height: float) -> Mesh:
    r, h = radius, height
    return lathe(
        [
            (0, 0),
            (0.5 * r, 0),
            (0.55 * r, 0.006),
            (0.9 * r, 0.6 * h),
            (r, h),
            (0.96 * r, h),
            (0.85 * r, 0.6 * h),
            (0.5 * r, 0.014),
            (0, 0.012),
        ],
        48,
    )


def _jar(radius: float, height: float) -> Mesh:
    r, h = radius, height
    return lathe(
        [
            (0, 0),
            (r - 0.01, 0),
            (r, 0.01),
            (r, 0.7 * h),
            (0.72 * r, 0.86 * h),
            (0.66 * r, 0.9 * h),
            (0.72 * r, h),
            (0.6 * r, h),
            (0.6 * r, 0.85 * h),
            (0, 0.8 * h),
        ],
        40,
    )


SHELF = 1.637
"""Height of the shelf's upper side."""


def _cream() -> Iterator[Mesh]:
    y = WALL - 0.12
    yield from (_bowl(0.085, 0.055).moved(0.16, y, SHELF + 0.018 * i) for i in range(4))
    yield _jar(0.05, 0.16).moved(0.76, y, SHELF)
    yield _bowl(0.15, 0.09).moved(0.45, WALL - 0.30, TOP)
    yield _bowl(0.055, 0.08).moved(-0.52, WALL - 0.20, TOP)
    for i in range(3):
        yield (
            lathe([(0, 0), (0.10, 0), (0.125, 0.008), (0.12, 0.011), (0.095, 0.005), (0, 0.005)], 48)
            .turned("x", 78)
            .moved(0.33 + 0.022 * i, WALL - 0.05 - 0.022 * i, SHELF + 0.11)
        )


def _teal() -> Iterator[Mesh]:
    yield _jar(0.055, 0.19).moved(0.58, WALL - 0.12, SHELF)
    yield _jar(0.06, 0.20).moved(0.18, WALL - 0.14, TOP)
    yield lathe(
        [(0, 0), (0.055, 0), (0.062, 0.02), (0.062, 0.15), (0.056, 0.155), (0.05, 0.15), (0.05, 0.02), (0, 0.02)],
        40,
        at=(0.71, WALL - 0.16, TOP),
    )


def _mustard() -> Iterator[Mesh]:
    yield _jar(0.045, 0.14).moved(0.67, WALL - 0.12, SHELF)
    yield _jar(0.05, 0.15).moved(0.05, WALL - 0.15, TOP)
    x, y = OVEN[0] + 0.17, WALL - 0.42  # the kettle, on the hob
    yield lathe(
        [
            (0, 0),
            (0.085, 0),
            (0.10, 0.012),
            (0.104, 0.05),
            (0.092, 0.12),
            (0.066, 0.165),
            (0.03, 0.182),
            (0.012, 0.185),
            (0.014, 0.20),
            (0.016, 0.21),
            (0, 0.22),
        ],
        48,
        (x, y, TOP + 0.02),
    )
    yield tube([(x - 0.08, y, 1.0), (x - 0.14, y, 1.05), (x - 0.16, y, 1.08)], [0.018, 0.012, 0.010], 12, 6)
    yield tube([(x - 0.07, y, 1.07), (x - 0.05, y, 1.17), (x + 0.05, y, 1.17), (x + 0.07, y, 1.07)], 0.010, 12)


def _fruit() -> Iterator[Mesh]:
    for x, y, z, turn in (
        (0.40, 0.32, 0.985, 20),
        (0.48, 0.35, 0.985, 70),
        (0.50, 0.27, 0.99, 120),
        (0.44, 0.30, 1.03, 45),
    ):
        yield sphere(0.042, 24).scaled(1.2, 1, 1).turned("z", turn).moved(x, WALL - y, z)


def _leaves() -> Iterator[Mesh]:
    """Herbs in a pot beside the fridge, a trailing plant on the upper cupboards."""
    rng = np.random.default_rng(7)
    for i in range(16):
        blade = leaf(0.17 + 0.06 * rng.random(), 0.05, 0.45 + 0.45 * rng.random())
        yield blade.turned("x", 25 + 40 * rng.random()).turned("z", 47.0 * i).moved(-0.90, WALL - 0.26, TOP + 0.13)
    for i in range(22):
        blade = leaf(0.16 + 0.10 * rng.random(), 0.06, 0.65 + 0.7 * rng.random())
        yield blade.turned("x", 10 + 50 * rng.random()).turned("z", 137.5 * i).moved(-0.70, WALL - 0.2, 2.40)


def _clay() -> Iterator[Mesh]:
    profile = [(0, 0), (0.055, 0), (0.072, 0.11), (0.079, 0.11), (0.079, 0.13), (0.068, 0.13), (0.062, 0.11), (0, 0.10)]
    yield lathe(profile, 40, (-0.90, WALL - 0.26, TOP))
    yield lathe([(r * 1.25, z * 1.25) for r, z in profile], 40, (-0.70, WALL - 0.2, 2.24))


def _towel() -> Mesh:
    """A cloth over the oven's handle, in soft folds."""
    u, v = np.meshgrid(np.linspace(0, 1, 24), np.linspace(0, 1, 30), indexing="ij")
    x = OVEN[0] + 0.34 + 0.20 * u + 0.004 * np.sin(9 * v)
    y = FRONT - 0.078 - 0.010 * v * (1 + np.sin(2 * np.pi * 2.5 * u))
    return sheet(np.stack([x, y, 0.73 - 0.36 * v], axis=-1), np.stack([0.2 * u, 0.36 * v], axis=-1))


def _stripes() -> Texture:
    return Texture(
        textures.stripes(256, 256, [(0.93, 0.91, 0.86), (0.93, 0.91, 0.86), (0.16, 0.34, 0.40)], 6, seed=4), 0.2
    )
