"""Shapes for the scenes: triangle meshes from a few numbers, NumPy alone.

Metres, z up, angles in degrees. Faces run counter-clockwise seen from outside and normals point outwards. Surfaces that
enclose a volume are closed once vertices at one place are joined: edges and seams hold a vertex for each side, so that
each has its own normal and texture coordinate.

Suffixes: V vertices, F faces, N x M a grid, P points of a line or profile.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]
Vector = Sequence[float] | Array
ORIGIN = (0.0, 0.0, 0.0)
CREASE = 50.0
"""Corners of a turned profile that are sharper than this many degrees stay sharp."""


@dataclass(frozen=True)
class Mesh:
    """A triangle mesh. Its methods give new meshes."""

    vertices: Array
    """V x 3, metres."""
    faces: npt.NDArray[np.int64]
    """F x 3, rows of `vertices`."""
    normals: Array
    """V x 3, of length 1."""
    uv: Array
    """V x 2, where a texture lies: metres on boxes and cushions, 0 to 1 on sheets and around lathed shapes."""

    def moved(self, x: float = 0.0, y: float = 0.0, z: float = 0.0) -> Mesh:
        return Mesh(self.vertices + np.array([x, y, z]), self.faces, self.normals, self.uv)

    def turned(self, axis: str | Vector, degrees: float) -> Mesh:
        """Turned about an axis through the origin: "x", "y", "z" or a vector; counter-clockwise seen from its tip."""
        return self.transformed(rotation(axis, degrees))

    def scaled(self, *factors: float) -> Mesh:
        """Scaled about the origin, by one factor or by one an axis; a negative one mirrors."""
        return self.transformed(np.diag(factors if len(factors) == 3 else [factors[0]] * 3))

    def transformed(self, matrix: Array, offset: Vector = ORIGIN) -> Mesh:
        """`matrix` (3 x 3, invertible) times each vertex, plus `offset`. Normals and faces keep pointing outwards."""
        normals = self.normals @ np.linalg.inv(matrix)
        normals /= np.linalg.norm(normals, axis=1, keepdims=True)
        faces = self.faces if np.linalg.det(matrix) > 0 else self.faces[:, ::-1]
        return Mesh(self.vertices @ matrix.T + np.asarray(offset), faces, normals, self.uv)


def join(*meshes: Mesh) -> Mesh:
    """Several meshes as one."""
    starts = np.cumsum([0, *(len(m.vertices) for m in meshes[:-1])])
    return Mesh(
        np.concatenate([m.vertices for m in meshes]),
        np.concatenate([m.faces + start for m, start in zip(meshes, starts, strict=True)]),
        np.concatenate([m.normals for m in meshes]),
        np.concatenate([m.uv for m in meshes]),
    )


def rotation(axis: str | Vector, degrees: float) -> Array:
    """Rotation matrix, 3 x 3, about "x", "y", "z" or a vector (Rodrigues' formula)."""
    unit = np.eye(3)["xyz".index(axis)] if isinstance(axis, str) else np.asarray(axis) / np.linalg.norm(axis)
    cross = np.array([[0, -unit[2], unit[1]], [unit[2], 0, -unit[0]], [-unit[1], unit[0], 0]])
    angle = np.radians(degrees)
    return np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross


# -- lines --------------------------------------------------------------------------------------------------------


def spline(points_P3: Sequence[Vector] | Array, steps: int = 8) -> Array:
    """A smooth line through the points (Catmull-Rom), `steps` pieces between two of them: ((P - 1) steps + 1) x 3."""
    p = np.asarray(points_P3, dtype=np.float64)
    p = np.concatenate([[2 * p[0] - p[1]], p, [2 * p[-1] - p[-2]]])
    t = (np.arange(steps) / steps)[:, None]
    pieces = [
        0.5 * (2 * b + (c - a) * t + (2 * a - 5 * b + 4 * c - d) * t**2 + (3 * b - a - 3 * c + d) * t**3)
        for a, b, c, d in zip(p, p[1:], p[2:], p[3:], strict=False)
    ]
    return np.concatenate([*pieces, p[-2:-1]])


def arc(centre: Vector, radius: float, start: float, end: float, steps: int = 6) -> Array:
    """Points of a circle in a plane, `steps` + 1 of them from angle `start` to `end`: for profiles."""
    angle = np.radians(np.linspace(start, end, steps + 1))
    return np.asarray(centre) + radius * np.stack([np.cos(angle), np.sin(angle)], axis=1)


# -- flat and open ------------------------------------------------------------------------------------------------


def plane(corner: Vector, u: Vector, v: Vector, uv: tuple[float, float] = (1.0, 1.0)) -> Mesh:
    """A rectangle from `corner` along `u` and `v`; its normal is u x v. Texture coordinates run to `uv`."""
    o, a, b = (np.asarray(x, dtype=np.float64) for x in (corner, u, v))
    grid = np.stack([np.stack([o, o + b]), np.stack([o + a, o + a + b])])
    return sheet(grid, np.array([[[0, 0], [0, uv[1]]], [[uv[0], 0], uv]]))


def sheet(points_NM3: Array, uv_NM2: Array | None = None) -> Mesh:
    """An open surface through a grid of points; its normal is (along rows) x (along columns)."""
    n, m = points_NM3.shape[:2]
    normals = _unit(np.cross(np.gradient(points_NM3, axis=0), np.gradient(points_NM3, axis=1)).reshape(-1, 3))
    if uv_NM2 is None:
        uv_NM2 = np.stack(np.meshgrid(np.linspace(0, 1, n), np.linspace(0, 1, m), indexing="ij"), axis=-1)
    uv = uv_NM2.reshape(-1, 2).astype(np.float64)
    return _without_slivers(Mesh(points_NM3.reshape(-1, 3), _grid_faces(n, m), normals, uv))


def leaf(length: float, width: float, bend: float, steps: int = 10) -> Mesh:
    """A leaf from the origin along +y that rises, then bends down (`bend` 0: not at all; 1: its tip hangs); open."""
    along, across = np.meshgrid(np.linspace(0, 1, steps + 1), np.linspace(-1, 1, 7), indexing="ij")
    half = 0.5 * width * np.sin(np.pi * along**0.75) ** 0.9
    angle = np.radians(35 - 125 * bend * along)
    step = length / steps
    y = np.cumsum(np.cos(angle), axis=0) * step - step * np.cos(angle[:1])
    z = np.cumsum(np.sin(angle), axis=0) * step - step * np.sin(angle[:1])
    fold = 0.35 * np.abs(across) * half
    return sheet(np.stack([-across * half, y, z + fold], axis=-1), np.stack([(across + 1) / 2, along], axis=-1))


# -- closed -------------------------------------------------------------------------------------------------------


def rounded_box(x: float, y: float, z: float, radius: float = 0.01, steps: int = 3, at: Vector = ORIGIN) -> Mesh:
    """A box of full sizes x, y, z around `at` whose edges and corners are rounded."""
    radius = min(radius, x / 2, y / 2, z / 2)
    inner = np.array([x, y, z]) / 2 - radius
    line = np.tan(np.radians(np.linspace(0, 45, steps + 1)))
    direction, sign, uv_axes, faces = _cube_grid(np.concatenate([-line[::-1], line]))
    direction /= np.linalg.norm(direction, axis=-1, keepdims=True)
    vertices = sign * inner + radius * direction
    uv = np.take_along_axis(vertices, uv_axes, axis=1)
    return _without_slivers(Mesh(vertices + np.asarray(at), faces, direction, uv))


def frame(x: float, z: float, border: float, depth: float, radius: float = 0.004, at: Vector = ORIGIN) -> Mesh:
    """Four bars in the x-z plane around an opening of x by z centred on `at`: of a picture, a door, a window."""
    across = [rounded_box(x + 2 * border, depth, border, radius, 2, (0, 0, s * (z + border) / 2)) for s in (-1, 1)]
    upright = [rounded_box(border, depth, z, radius, 2, (s * (x + border) / 2, 0, 0)) for s in (-1, 1)]
    return join(*across, *upright).moved(*at)


def cushion(
    x: float,
    y: float,
    z: float,
    power: float = 5.0,
    bulge: float = 0.1,
    wrinkles: float = 0.0,
    seed: int = 0,
    steps: int = 24,
    at: Vector = ORIGIN,
) -> Mesh:
    """A stuffed block: the superellipsoid |2x/X|^p + |2y/Y|^p + |2z/Z|^p = 1 of full sizes x, y, z around `at`.

    Args:
        power: p; 2 gives an ellipsoid, a large one a box.
        bulge: how much its middle is thicker than its rim along z, as part of z.
        wrinkles: height of random soft waves along the normal, metres.
        steps: pieces along an edge.
    """
    half = np.array([x, y, z]) / 2
    direction, _, uv_axes, faces = _cube_grid(np.tan(np.radians(np.linspace(-45, 45, steps + 1))))
    unit = direction / (np.abs(direction) ** power).sum(axis=1, keepdims=True) ** (1 / power)
    vertices = unit * half
    vertices[:, 2] *= 1 + bulge * (1 - unit[:, 0] ** 2) * (1 - unit[:, 1] ** 2)
    if wrinkles:
        vertices = vertices + wrinkles * _waves(vertices, seed)[:, None] * _smooth_normals(vertices, faces)
    uv = np.take_along_axis(vertices, uv_axes, axis=1)
    return Mesh(vertices + np.asarray(at), faces, _smooth_normals(vertices, faces), uv)


def pillow(x: float, y: float, thickness: float, seed: int = 0, steps: int = 32) -> Mesh:
    """A throw pillow in the x-y plane around the origin: a sharp rim, full middle, drawn-in sides, soft creases."""
    line = np.sin(np.radians(np.linspace(-90, 90, steps + 1)))
    u, v = np.meshgrid(line, line, indexing="ij")
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi, 4)
    height = ((1 - u**2) * (1 - v**2)) ** 0.45
    creases = 0.05 * np.sin(5 * u + 3 * v + phase[0]) * np.sin(4 * v - 2 * u + phase[1])
    creases += 0.04 * np.sin(9 * u * v + phase[2]) + 0.05 * np.cos(8 * np.arctan2(v, u) + phase[3]) * np.hypot(u, v)
    drawn_x, drawn_y = u * x / 2 * (1 - 0.10 * (1 - v**2)), v * y / 2 * (1 - 0.10 * (1 - u**2))
    uv = np.stack([u * x / 2, v * y / 2], axis=-1).reshape(-1, 2)
    faces = _grid_faces(steps + 1, steps + 1)
    faces = faces[height.ravel()[faces].max(axis=1) > 0]  # without the corners where upper and lower side are one
    sides = []
    for side in (1, -1):
        z = side * height * thickness / 2 * (1 + creases)
        vertices = np.stack([drawn_x, drawn_y, z], axis=-1).reshape(-1, 3)
        outwards = faces[:, ::side]
        sides.append(Mesh(vertices, outwards, _smooth_normals(vertices, outwards), uv))
    return join(*sides)


def lathe(profile_P2: Sequence[Vector] | Array, segments: int = 48, at: Vector = ORIGIN) -> Mesh:
    """A profile turned about the z axis: vases, pots, knobs, lamp shades.

    Args:
        profile_P2: rows (radius, height) along the surface with the outside on the right: from the bottom up, over the
            rim and down again inside. Closed where it starts and ends at radius 0 or where it started.
        segments: pieces around.
        at: where the profile's (0, 0) goes.
    """
    profile = np.asarray(profile_P2, dtype=np.float64)
    points, normal_P2, along = _profile_normals(profile)
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    turn = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    turn[-1] = turn[0]
    vertices = np.empty((segments + 1, len(points), 3))
    normals = np.empty_like(vertices)
    for out, row in ((vertices, points), (normals, normal_P2)):
        out[..., :2] = turn[:, None, :] * row[None, :, :1]
        out[..., 2] = row[:, 1]
    uv = np.stack(np.meshgrid(np.linspace(0, 1, segments + 1), along, indexing="ij"), axis=-1)
    faces = _grid_faces(segments + 1, len(points))
    mesh = Mesh(vertices.reshape(-1, 3) + np.asarray(at), faces, normals.reshape(-1, 3), uv.reshape(-1, 2))
    return _without_slivers(mesh)


def cylinder(radius: float, height: float, bevel: float = 0.01, segments: int = 48, at: Vector = ORIGIN) -> Mesh:
    """A cylinder that stands on `at`; its two edges are rounded by `bevel`."""
    bevel = min(bevel, radius, height / 2)
    lower, upper = arc((radius - bevel, bevel), bevel, -90, 0), arc((radius - bevel, height - bevel), bevel, 0, 90)
    return lathe([(0, 0), *lower, *upper, (0, height)], segments, at)


def sphere(radius: float, segments: int = 48, at: Vector = ORIGIN) -> Mesh:
    profile = arc((0, 0), radius, -90, 90, segments // 2)
    profile[[0, -1], 0] = 0
    return lathe(profile, segments, at)


def torus(ring: float, radius: float, segments: int = 48, at: Vector = ORIGIN) -> Mesh:
    """A ring of radius `ring` around the z axis, `radius` thick."""
    profile = arc((ring, 0), radius, 0, 360, max(segments // 3, 8))
    profile[-1] = profile[0]
    return lathe(profile, segments, at)


def tube(
    path_P3: Sequence[Vector] | Array, radii: float | Sequence[float], segments: int = 12, smooth: int = 8
) -> Mesh:
    """A round bar along a path, with round ends: legs, rods, handles, branches, hoses.

    Args:
        path_P3: points of its axis, two at least.
        radii: one radius, or several, spread evenly along the path and interpolated.
        segments: pieces around.
        smooth: pieces that a spline puts between two points; 0 takes the path as it is.
    """
    path = spline(path_P3, smooth) if smooth else np.asarray(path_P3, dtype=np.float64)
    given = np.atleast_1d(np.asarray(radii, dtype=np.float64))
    radius = np.interp(np.linspace(0, 1, len(path)), np.linspace(0, 1, len(given)), given)
    tangent = np.gradient(path, axis=0)
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True)
    along = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(path, axis=0), axis=1))])
    slope = np.gradient(radius, along)
    # Rings from one pole to the other: (centre, tangent, radius, how far the normal leans along the tangent).
    cap = np.radians(np.linspace(0, 90, max(segments // 4, 3) + 1))[1:]
    rings = [(path[0] - tangent[0] * radius[0] * np.sin(a), 0, radius[0] * np.cos(a), -np.tan(a)) for a in cap[::-1]]
    rings += [(p, i, radius[i], -slope[i]) for i, p in enumerate(path)]
    rings += [(path[-1] + tangent[-1] * radius[-1] * np.sin(a), -1, radius[-1] * np.cos(a), np.tan(a)) for a in cap]
    angle = np.linspace(0, 2 * np.pi, segments + 1)
    side = np.cross(tangent[0], np.eye(3)[np.argmin(np.abs(tangent[0]))])
    vertices, normals = [], []
    for centre, i, r, lean in rings:
        side = side - tangent[i] * (side @ tangent[i])
        side /= np.linalg.norm(side)
        out = np.cos(angle)[:, None] * side + np.sin(angle)[:, None] * np.cross(tangent[i], side)
        out[-1] = out[0]
        vertices.append(centre + r * out)
        leaning = out + np.clip(lean, -1e6, 1e6) * tangent[i]
        normals.append(leaning / np.linalg.norm(leaning, axis=1, keepdims=True))
    grid = np.stack(vertices, axis=1)
    uv = np.stack(np.meshgrid(np.linspace(0, 1, segments + 1), np.linspace(0, 1, len(rings)), indexing="ij"), axis=-1)
    faces = _grid_faces(segments + 1, len(rings))
    mesh = Mesh(grid.reshape(-1, 3), faces, np.stack(normals, axis=1).reshape(-1, 3), uv.reshape(-1, 2))
    return _without_slivers(mesh)


# -- how they are made ----------------------------------------------------------------------------------------------


def _grid_faces(n: int, m: int) -> npt.NDArray[np.int64]:
    """Two triangles for each cell of an n x m grid of vertices; they face (along rows) x (along columns)."""
    i, j = np.meshgrid(np.arange(n - 1), np.arange(m - 1), indexing="ij")
    a = (i * m + j).ravel()
    return np.concatenate([np.stack([a, a + m, a + 1], 1), np.stack([a + 1, a + m, a + m + 1], 1)])


def _cube_grid(line: Array) -> tuple[Array, Array, npt.NDArray[np.int64], npt.NDArray[np.int64]]:
    """The surface of the cube [-1, 1]^3 as six grids with lines at `line` (-1 to 1; 0 may stand twice).

    Returns:
        Vertices V x 3; the corner that each belongs to, V x 3 of -1 and 1; which two axes span its face, V x 2; faces.
    """
    size = len(line)
    half = np.where(np.arange(size) < size / 2, -1.0, 1.0)
    vertices, signs, spans = [], [], []
    faces: list[npt.NDArray[np.int64]] = []
    for axis in range(3):
        a, b = (axis + 1) % 3, (axis + 2) % 3
        for side in (-1, 1):
            grid, sign = np.full((size, size, 3), float(side)), np.full((size, size, 3), float(side))
            grid[..., a], grid[..., b] = np.meshgrid(line, line, indexing="ij")
            sign[..., a], sign[..., b] = np.meshgrid(half, half, indexing="ij")
            cells = _grid_faces(size, size) + len(faces) * size * size
            vertices.append(grid.reshape(-1, 3))
            signs.append(sign.reshape(-1, 3))
            spans.append(np.tile(np.array([(1, 2), (0, 2), (0, 1)][axis]), (size * size, 1)))
            faces.append(cells if side > 0 else cells[:, ::-1])
    return np.concatenate(vertices), np.concatenate(signs), np.concatenate(spans), np.concatenate(faces)


def _profile_normals(profile: Array) -> tuple[Array, Array, Array]:
    """Points (sharp corners twice), normals and lengths along, of a profile whose outside is on its right."""
    edge = np.diff(profile, axis=0)
    keep = np.concatenate([[True], np.linalg.norm(edge, axis=1) > 1e-9])
    profile = profile[keep]
    edge = np.diff(profile, axis=0)
    length = np.linalg.norm(edge, axis=1)
    edge_normal = np.stack([edge[:, 1], -edge[:, 0]], axis=1) / length[:, None]
    along = np.concatenate([[0.0], np.cumsum(length)])
    before = np.concatenate([edge_normal[:1], edge_normal])
    after = np.concatenate([edge_normal, edge_normal[-1:]])
    if np.allclose(profile[0], profile[-1]):
        before[0], after[-1] = edge_normal[-1], edge_normal[0]
    for end in (0, -1):
        if profile[end, 0] == 0 and abs(before[end, 1]) > np.cos(np.radians(CREASE / 2)):
            before[end] = after[end] = (0, np.sign(before[end, 1]))
    smooth = (before * after).sum(axis=1) > np.cos(np.radians(CREASE))
    points, normals, lengths = [], [], []
    for i in range(len(profile)):
        if smooth[i]:
            middle = before[i] + after[i]
            sides = [middle / np.linalg.norm(middle)]
        else:
            sides = [before[i], after[i]]
        for normal in sides:
            points.append(profile[i])
            normals.append(normal)
            lengths.append(along[i])
    return np.array(points), np.array(normals), np.array(lengths)


def _smooth_normals(vertices: Array, faces: npt.NDArray[np.int64]) -> Array:
    """Normals averaged over the faces around each place, weighted by area; vertices at one place share theirs."""
    _, place = np.unique(np.round(vertices, 7), axis=0, return_inverse=True)
    place = place.reshape(-1)
    a, b, c = (vertices[faces[:, k]] for k in range(3))
    sums = np.zeros((place.max() + 1, 3))
    for k in range(3):
        np.add.at(sums, place[faces[:, k]], np.cross(b - a, c - a))
    return _unit(sums[place])


def _unit(vectors: Array) -> Array:
    """Of length 1; (0, 0, 1) for those of none: of vertices that no face uses."""
    length = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.where(length > 1e-15, vectors / np.maximum(length, 1e-15), [0.0, 0.0, 1.0])


def _without_slivers(mesh: Mesh) -> Mesh:
    """Without the faces that have no area: those at poles and in creases."""
    a, b, c = (mesh.vertices[mesh.faces[:, k]] for k in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    return Mesh(mesh.vertices, mesh.faces[area > 1e-14], mesh.normals, mesh.uv)


def _waves(vertices: Array, seed: int) -> Array:
    """Soft random waves over space, V values in [-1, 1], some ten centimetres long."""
    rng = np.random.default_rng(seed)
    direction = rng.normal(size=(6, 3))
    direction *= (rng.uniform(25, 60, 6) / np.linalg.norm(direction, axis=1))[:, None]
    return np.sin(vertices @ direction.T + rng.uniform(0, 2 * np.pi, 6)).mean(axis=1)
