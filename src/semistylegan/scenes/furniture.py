"""What stands in the living room: meshes by material, each piece a function of where it stands.

Every function returns a dict from the name of a material to a mesh of it; `living_room.py` joins the pieces that share
a material and says what the materials are. Metres, z up; people look along +y, towards the back wall.
"""

from __future__ import annotations

import numpy as np

from semistylegan.scenes.meshes import (
    Array,
    Mesh,
    arc,
    cushion,
    cylinder,
    frame,
    join,
    lathe,
    leaf,
    pillow,
    plane,
    rounded_box,
    sheet,
    sphere,
    spline,
    torus,
    tube,
)

Parts = dict[str, Mesh]


def sofa(x: float, y: float, width: float = 2.1) -> Parts:
    """A two-seater: plinth, arms, two seats and two backs with piping, on turned legs. Its seat is 0.47 m high."""
    cloth = [rounded_box(width, 0.84, 0.20, 0.04, 4, (x, y, 0.25))]
    cloth.append(cushion(width + 0.02, 0.24, 0.60, 9, 0.0, at=(x, y + 0.34, 0.48)))
    piping = []
    for side in (-1, 1):
        cloth.append(cushion(0.22, 0.92, 0.50, 7, 0.03, 0.001, 5 + side, at=(x + side * (width / 2 + 0.05), y, 0.395)))
        middle = x + side * (width / 4 - 0.015)
        seat = cushion(width / 2 - 0.05, 0.72, 0.19, 7, 0.20, 0.0025, 8 + side, 30)
        cloth.append(seat.moved(middle, y - 0.10, 0.425))
        piping.append(_piping(width / 2 - 0.05, 0.72, 0.075).moved(middle, y - 0.10, 0.425))
        back = cushion(width / 2 - 0.06, 0.46, 0.21, 6, 0.28, 0.003, 11 + side, 30).turned("x", 78)
        cloth.append(back.moved(middle, y + 0.17, 0.70))
    legs = [
        lathe([(0, 0), (0.016, 0), (0.030, 0.15), (0, 0.15)], 20, (x + a * (width / 2 - 0.08), y + b * 0.34, 0))
        for a in (-1, 1)
        for b in (-1, 1)
    ]
    return {"sofa": join(*cloth, *piping), "walnut": join(*legs)}


def _piping(width: float, depth: float, height: float, power: float = 7.0) -> Mesh:
    """The cord along the upper seam of a seat."""
    angle = np.radians(np.linspace(0, 360, 73))
    c, s = np.cos(angle), np.sin(angle)
    size = (np.abs(c) ** power + np.abs(s) ** power) ** (-1 / power) * 0.985
    line = np.stack([size * c * width / 2, size * s * depth / 2, np.full_like(c, height)], axis=1)
    return tube(line, 0.006, 8, smooth=0)


def throw_pillow(
    size: float, colour: str, at: tuple[float, float, float], lean: float, turn: float, seed: int
) -> Parts:
    """A pillow that stands on a corner of the sofa, leaning back by `lean` degrees and turned by `turn`."""
    return {colour: pillow(size, size * 0.96, 0.17, seed).turned("x", 90 - lean).turned("z", turn).moved(*at)}


def blanket(x: float, y: float, top: float, half: float) -> Parts:
    """A throw over an arm of the sofa: `top` is the arm's upper side, `half` half its width."""
    inner = [(-half - 0.20, top - 0.12), (-half - 0.05, top - 0.13), (-half - 0.012, top - 0.08), (-half + 0.02, top)]
    outer = [(0.0, top + 0.012), (half - 0.02, top), (half + 0.016, top - 0.07), (half + 0.022, top - 0.36)]
    line = spline([(px, 0.0, pz) for px, pz in inner + outer], 8)
    v = np.linspace(-1, 1, 33)
    fold = 0.010 * np.sin(9 * v)[None, :] * np.linspace(0.3, 1.2, len(line))[:, None]
    grid = np.empty((len(line), len(v), 3))
    grid[..., 0] = x + line[:, None, 0] + fold
    grid[..., 1] = y + 0.23 * v[None, :] + 0.012 * np.sin(7 * line[:, None, 0])
    grid[..., 2] = line[:, None, 2] + 0.4 * np.abs(fold) + 0.004
    uv = np.stack(np.meshgrid(np.arange(len(line)) * 0.012, v * 0.23, indexing="ij"), axis=-1)
    fringe = [
        tube([grid[-1, k], grid[-1, k] + (0.004, 0, -0.03), grid[-1, k] + (0.002, 0, -0.055)], 0.003, 5, 2)
        for k in range(0, len(v), 2)
    ]
    return {"throw": join(sheet(grid, uv), *fringe)}


def coffee_table(x: float, y: float) -> Parts:
    """A long table with splayed tapered legs and a shelf of slats. Its top is 0.42 m high."""
    parts = [cushion(1.20, 0.60, 0.036, 8, 0.0, steps=32, at=(x, y, 0.402))]
    parts += [rounded_box(0.98, 0.035, 0.016, 0.005, 2, (x, y + k * 0.075, 0.17)) for k in range(-2, 3)]
    parts += [rounded_box(0.03, 0.42, 0.022, 0.005, 2, (x + a * 0.47, y, 0.155)) for a in (-1, 1)]
    for a in (-1, 1):
        for b in (-1, 1):
            ends = [(x + a * 0.44, y + b * 0.19, 0.39), (x + a * 0.53, y + b * 0.25, 0.012)]
            parts.append(tube(ends, [0.024, 0.013], 16, 4))
    return {"walnut": join(*parts)}


def side_tables(x: float, y: float) -> Parts:
    """Two round tables, one under the other. The taller is 0.55 m high."""
    parts, feet = [], []
    for px, py, radius, height in ((x, y, 0.27, 0.55), (x + 0.02, y - 0.36, 0.21, 0.40)):
        parts.append(cylinder(radius, 0.028, 0.012, 64, (px, py, height - 0.028)))
        for k in range(3):
            turn = np.radians(90 + 120 * k)
            top = (px + 0.60 * radius * np.cos(turn), py + 0.60 * radius * np.sin(turn), height - 0.02)
            foot = (px + 0.92 * radius * np.cos(turn), py + 0.92 * radius * np.sin(turn), 0.01)
            feet.append(tube([top, foot], [0.013, 0.009], 12, 4))
    return {"white": join(*parts), "walnut": join(*feet)}


def box_shelf(x: float, z: float, width: float, height: float, wall: float, depth: float = 0.19) -> Parts:
    """An open box on the wall at y = `wall`, around an opening of width x height centred on (x, z)."""
    bars = frame(width, height, 0.022, depth, 0.004, (x, wall - depth / 2, z))
    return {"white": join(bars, rounded_box(width, 0.01, height, 0.002, 1, (x, wall - 0.006, z)))}


def picture(x: float, z: float, width: float, height: float, wall: float, name: str) -> Parts:
    """A framed picture on the wall: black frame, white mat, and the painting `name`."""
    return {
        "black": frame(width, height, 0.028, 0.034, 0.005, (x, wall - 0.017, z)),
        "paper": plane((x - width / 2, wall - 0.014, z - height / 2), (width, 0, 0), (0, 0, height)),
        name: plane((x - 0.39 * width, wall - 0.016, z - 0.40 * height), (0.78 * width, 0, 0), (0, 0, 0.80 * height)),
    }


def vase(kind: str, height: float, at: tuple[float, float, float]) -> Mesh:
    """A vase of `height` that stands on `at`: round, tall, bottle or bowl."""
    profiles = {
        "round": [
            (0, 0),
            (0.20, 0),
            (0.24, 0.02),
            (0.36, 0.20),
            (0.40, 0.40),
            (0.36, 0.60),
            (0.22, 0.80),
            (0.13, 0.90),
        ],
        "tall": [(0, 0), (0.16, 0), (0.18, 0.03), (0.20, 0.30), (0.185, 0.60), (0.15, 0.80), (0.145, 0.90)],
        "bottle": [
            (0, 0),
            (0.18, 0),
            (0.21, 0.03),
            (0.24, 0.20),
            (0.22, 0.38),
            (0.11, 0.58),
            (0.065, 0.75),
            (0.06, 0.90),
        ],
        "bowl": [(0, 0), (0.35, 0), (0.38, 0.06), (0.80, 0.40), (1.00, 0.70), (1.08, 0.88)],
    }[kind]
    rim = profiles[-1][0]
    body = _smooth_profile(profiles)
    lip = arc((rim + 0.015, 0.96), 0.04, -45, 150, 8)
    inside = [(max(rim - 0.03, 0.01), 0.86), (0.0, 0.80 if kind != "bowl" else 0.10)]
    if kind == "bowl":
        inside = [(0.96, 0.84), (0.72, 0.44), (0.34, 0.14), (0.0, 0.11)]
    return lathe(np.concatenate([body, lip, inside]) * height, 48, at)


def _smooth_profile(points: list[tuple[float, float]]) -> Array:
    """The foot as it is; the belly rounded."""
    foot, belly = points[:2], [(r, 0.0, z) for r, z in points[2:]]
    return np.concatenate([foot, spline(belly, 6)[:, [0, 2]]])


def books(x: float, y: float, z: float, count: int, seed: int) -> Parts:
    """A row of books that stand on (x, y, z), the last one leaning."""
    rng = np.random.default_rng(seed)
    parts: dict[str, list[Mesh]] = {}
    for k in range(count):
        thick, high = rng.uniform(0.018, 0.034), rng.uniform(0.15, 0.19)
        book = rounded_box(thick, 0.13, high, 0.003, 1, (thick / 2, 0, high / 2))
        if k == count - 1:
            book = book.turned("y", -14).moved(0.045)
        parts.setdefault(f"book{int(rng.integers(3))}", []).append(book.moved(x, y, z))
        x += thick + 0.002
    return {name: join(*meshes) for name, meshes in parts.items()}


def book_stack(x: float, y: float, z: float, turns: tuple[float, ...]) -> Parts:
    """Books that lie on each other, each turned by its angle."""
    out: Parts = {}
    for k, turn in enumerate(turns):
        width, depth, thick = 0.27 - 0.025 * k, 0.19 - 0.015 * k, 0.030
        cover = join(
            rounded_box(width, depth, 0.005, 0.002, 1, (0, 0, thick - 0.0025)),
            rounded_box(width, depth, 0.005, 0.002, 1, (0, 0, 0.0025)),
            rounded_box(width, 0.006, thick, 0.002, 1, (0, depth / 2 - 0.003, thick / 2)),
        )
        pages = rounded_box(width - 0.012, depth - 0.012, thick - 0.008, 0.002, 1, (0, 0, thick / 2))
        place = (x, y, z + k * (thick + 0.001))
        out[f"book{k % 3}"] = cover.turned("z", turn).moved(*place)
        out = merge(out, {"paper": pages.turned("z", turn).moved(*place)})
    return out


def branches(x: float, y: float, z: float, seed: int, count: int = 7) -> Parts:
    """Bare branches with berries that rise from a vase at (x, y, z)."""
    rng = np.random.default_rng(seed)
    twigs, berries = [], []
    for k in range(count):
        turn, length = 2 * np.pi * (k + rng.uniform(-0.3, 0.3)) / count, rng.uniform(0.50, 0.85)
        out = np.array([np.cos(turn), 0.45 * np.sin(turn), 0]) * rng.uniform(0.18, 0.34)
        up = np.array([0, 0, length])
        points = [np.zeros(3), 0.22 * out + 0.45 * up, 0.75 * out + 0.85 * up, 1.55 * out + 0.98 * up]
        line = spline(np.array(points) + np.array([x, y, z]), 8)
        twigs.append(tube(line, [0.006, 0.002], 7, smooth=0))
        berries += [sphere(0.014, 14, line[i] + rng.normal(0, 0.006, 3)) for i in range(9, len(line), 3)]
    return {"twig": join(*twigs), "red": join(*berries)}


def plant(x: float, y: float, seed: int, count: int = 34) -> Parts:
    """Long leaves that arch out of a pot on a wooden stand."""
    foot, rim = arc((0.125, 0.02), 0.02, -90, 0, 4), arc((0.175, 0.31), 0.012, 0, 180, 6)
    pot = lathe([(0, 0), *foot, (0.185, 0.30), *rim, (0.155, 0.26), (0, 0.26)], 48, (x, y, 0.14))
    ring = torus(0.155, 0.012, 40, (x, y, 0.17))
    legs = []
    for k in range(3):
        turn = np.radians(30 + 120 * k)
        cx, cy = np.cos(turn), np.sin(turn)
        legs.append(tube([(x + 0.16 * cx, y + 0.16 * cy, 0.30), (x + 0.19 * cx, y + 0.19 * cy, 0.01)], 0.012, 10, 2))
    rng = np.random.default_rng(seed)
    leaves = []
    for k in range(count):
        one = leaf(rng.uniform(0.42, 0.78), rng.uniform(0.085, 0.12), rng.uniform(0.25, 0.95), 12)
        one = one.turned("x", rng.uniform(-5, 48) * (1 - 0.3 * k / count)).turned("z", 137.5 * k)
        leaves.append(one.moved(x, y, 0.40 + 0.10 * k / count))
    soil = cylinder(0.16, 0.02, 0.004, 36, (x, y, 0.385))
    return {"cream": pot, "walnut": join(ring, *legs), "leaf": join(*leaves), "soil": soil}


def window(wall: float, y: float, z: float, width: float, height: float) -> Parts:
    """Frame, bars and sill of a window in the wall at x = `wall` (its normal is +x), centred on (y, z)."""
    bars = [
        frame(width, height, 0.06, 0.07, 0.006),
        rounded_box(0.035, 0.04, height, 0.005, 2),
        rounded_box(width, 0.04, 0.035, 0.005, 2, (0, 0, 0.12 * height)),
        rounded_box(width + 0.22, 0.24, 0.034, 0.01, 2, (0, -0.09, -height / 2 - 0.07)),
    ]
    return {"white": join(*bars).turned("z", 90).moved(wall, y, z)}


def curtain(wall: float, start: float, end: float, top: float) -> Parts:
    """A curtain before the wall at x = `wall`, from y = start to end, from the floor up to `top`, in soft folds."""
    u, z = np.meshgrid(np.linspace(0, 1, 90), np.linspace(0.02, top, 16), indexing="ij")
    folds = 0.042 * np.sin(2 * np.pi * 6 * u + 0.5 * z) + 0.012 * np.sin(2 * np.pi * 2.6 * u + z)
    x = wall + 0.15 + folds * (1.1 - 0.35 * z / top)
    y = start + (end - start) * (u + 0.012 * np.sin(11 * u + 2 * z))
    return {"curtain": sheet(np.stack([x, y, z], axis=-1)[::-1], np.stack([u, z], axis=-1)[::-1])}


def rug(x: float, y: float, width: float, depth: float) -> Parts:
    """A rug of width x depth with a fringe at both short ends; its picture is the material "rug"."""
    top = plane((x - width / 2, y - depth / 2, 0.013), (width, 0, 0), (0, depth, 0))
    under = rounded_box(width - 0.004, depth - 0.004, 0.012, 0.003, 1, (x, y, 0.0066))
    rng = np.random.default_rng(4)
    fringe = []
    for side in (-1, 1):
        for place in np.arange(-depth / 2 + 0.01, depth / 2, 0.022):
            start = np.array([x + side * (width / 2 - 0.005), y + place, 0.008])
            end = start + np.array([side * rng.uniform(0.05, 0.065), rng.normal(0, 0.006), -0.003])
            fringe.append(tube([start, end], 0.0035, 5, 1))
    return {"rug": top, "linen": join(under, *fringe)}


def floor_lamp(x: float, y: float, height: float, radius: float, shade: float) -> Parts:
    """Foot, pole and the two rings of a drum shade (radius, height `shade`); the glowing drum itself is a light."""
    low = height - shade
    rings = [torus(radius, 0.005, 48, (x, y, z)) for z in (low, height)]
    spokes = [tube([(x, y, height - 0.03), (x + radius * c, y + radius * s, height)], 0.004, 6, 1) for c, s in _three()]
    pole = tube([(x, y, 0.02), (x, y, height - 0.02)], 0.011, 12, 1)
    return {"black": join(cylinder(0.15, 0.022, 0.01, 48, (x, y, 0)), pole, *rings, *spokes)}


def _three() -> list[tuple[float, float]]:
    return [(float(np.cos(a)), float(np.sin(a))) for a in np.radians([30, 150, 270])]


def fruit(x: float, y: float, z: float) -> Parts:
    """Three oranges in a low bowl that stands on (x, y, z)."""
    places = [(-0.036, -0.012, 0.050), (0.040, -0.018, 0.050), (0.004, 0.040, 0.052)]
    balls = [sphere(0.036, 28, (x + a, y + b, z + c)) for a, b, c in places]
    return {"black": vase("bowl", 0.075, (x, y, z)), "orange": join(*balls)}


def merge(*pieces: Parts) -> Parts:
    """Pieces of furniture as one: meshes of one material are joined."""
    by_name: dict[str, list[Mesh]] = {}
    for piece in pieces:
        for name, mesh in piece.items():
            by_name.setdefault(name, []).append(mesh)
    return {name: join(*meshes) for name, meshes in by_name.items()}
