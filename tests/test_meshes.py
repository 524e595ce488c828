"""Meshes: closed, facing outwards, of the size and volume that a closed form gives."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable

import numpy as np
import numpy.typing as npt
import pytest

from semistylegan.scenes import meshes
from semistylegan.scenes.meshes import Mesh

VASE = [(0, 0), (0.06, 0), (0.10, 0.10), (0.05, 0.22), (0.07, 0.25), (0.06, 0.25), (0.04, 0.22), (0.08, 0.1), (0, 0.02)]
BEND = [(0.0, 0.0, 0.0), (0.1, 0.0, 0.3), (0.3, 0.2, 0.4), (0.3, 0.5, 0.2)]
CLOSED: dict[str, Callable[[], Mesh]] = {
    "rounded_box": lambda: meshes.rounded_box(0.4, 0.2, 0.6, 0.03, at=(1, 2, 3)),
    "rounded_box, all round": lambda: meshes.rounded_box(0.4, 0.4, 0.4, 0.2),
    "frame's bar": lambda: meshes.rounded_box(0.02, 0.03, 0.7, 0.5, 2),
    "cushion": lambda: meshes.cushion(0.9, 0.7, 0.2, seed=3, wrinkles=0.002),
    "pillow": lambda: meshes.pillow(0.45, 0.4, 0.16, seed=2),
    "lathe": lambda: meshes.lathe(VASE, 32),
    "cylinder": lambda: meshes.cylinder(0.2, 0.5, 0.02),
    "sphere": lambda: meshes.sphere(0.3, at=(0, 0, 1)),
    "torus": lambda: meshes.torus(0.3, 0.05),
    "tube": lambda: meshes.tube(BEND, [0.03, 0.05, 0.01]),
    "straight tube": lambda: meshes.tube([(0, 0, 0), (0, 0, 1)], 0.1, smooth=0),
    "mirrored": lambda: meshes.cushion(0.9, 0.7, 0.2).scaled(-1, 1, 1),
    "turned": lambda: meshes.lathe(VASE).turned("x", 70).turned((1, 1, 0), 30).moved(x=2),
}
OPEN: dict[str, Callable[[], Mesh]] = {
    "plane": lambda: meshes.plane((0, 0, 0), (2, 0, 0), (0, 0, 1)),
    "leaf": lambda: meshes.leaf(0.5, 0.1, 0.6),
    "sheet": lambda: meshes.sheet(
        np.stack(np.meshgrid(np.arange(3.0), np.arange(4.0), [1.0], indexing="ij"))[..., 0].T
    ),
}


def corners(mesh: Mesh) -> npt.NDArray[np.float64]:
    """F x 3 x 3."""
    return mesh.vertices[mesh.faces]


def area(mesh: Mesh) -> float:
    p = corners(mesh)
    return float(np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum() / 2)


def volume(mesh: Mesh) -> float:
    """Of a closed mesh, by the divergence theorem: positive where the faces look outwards."""
    p = corners(mesh)
    return float(np.einsum("fi,fi->", p[:, 0], np.cross(p[:, 1], p[:, 2])) / 6)


def edges(mesh: Mesh) -> Counter[tuple[int, int]]:
    """Directed edges between places (not vertices) and how often each occurs."""
    _, place = np.unique(np.round(mesh.vertices, 7), axis=0, return_inverse=True)
    faces = place.reshape(-1)[mesh.faces]
    return Counter((int(f[k]), int(f[(k + 1) % 3])) for f in faces for k in range(3) if f[k] != f[(k + 1) % 3])


@pytest.mark.parametrize("name", CLOSED)
def test_closed_shapes_are_closed_and_look_outwards(name: str) -> None:
    mesh = CLOSED[name]()
    count = edges(mesh)
    assert all(n == 1 for n in count.values())
    assert all((b, a) in count for a, b in count)
    assert volume(mesh) > 0


@pytest.mark.parametrize("name", [*CLOSED, *OPEN])
def test_normals_have_length_one_and_agree_with_the_faces(name: str) -> None:
    mesh = (CLOSED | OPEN)[name]()
    assert mesh.faces.min() >= 0
    assert mesh.faces.max() < len(mesh.vertices) == len(mesh.normals) == len(mesh.uv)
    assert np.isfinite(mesh.uv).all() and np.isfinite(mesh.vertices).all()
    np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-9)
    p = corners(mesh)
    face_normal = np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0])
    assert (np.linalg.norm(face_normal, axis=1) > 0).all()
    agree = (face_normal[:, None] * mesh.normals[mesh.faces]).sum(axis=2)
    assert (agree > 0).mean() > 0.999


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (meshes.rounded_box(0.5, 0.3, 0.2, 1e-9), 0.5 * 0.3 * 0.2),
        (meshes.sphere(0.5, 200), 4 / 3 * math.pi * 0.5**3),
        (meshes.torus(0.5, 0.1, 240), 2 * math.pi**2 * 0.5 * 0.1**2),
        (meshes.cylinder(0.4, 0.7, 1e-9, 240), math.pi * 0.4**2 * 0.7),
        (
            meshes.lathe([(0, 0), (0.6, 0), (0.3, 0.9), (0, 0.9)], 240),
            math.pi * 0.9 / 3 * (0.6**2 + 0.6 * 0.3 + 0.3**2),
        ),
        (meshes.tube([(0, 0, 0), (1, 1, 1)], 0.1, 120), math.pi * 0.1**2 * math.sqrt(3) + 4 / 3 * math.pi * 0.1**3),
        (
            meshes.cushion(0.8, 0.6, 0.4, power=4, bulge=0, steps=60),
            0.8 * 0.6 * 0.4 * math.gamma(1.25) ** 3 / math.gamma(1.75),
        ),
    ],
    ids=["box", "sphere", "torus", "cylinder", "cone", "capsule", "superellipsoid"],
)
def test_volumes(mesh: Mesh, expected: float) -> None:
    assert volume(mesh) == pytest.approx(expected, rel=3e-3)


@pytest.mark.parametrize(
    ("mesh", "expected"),
    [
        (meshes.plane((1, 1, 1), (2, 0, 0), (0, 3, 0)), 6.0),
        (meshes.sphere(0.5, 200), math.pi),
        (meshes.torus(0.5, 0.1, 240), 4 * math.pi**2 * 0.05),
        (meshes.tube([(0, 0, 0), (0, 0, 1)], 0.1, 120), 2 * math.pi * 0.1 + 4 * math.pi * 0.01),
        (
            meshes.frame(0.5, 0.3, 0.02, 0.03, 1e-9),
            2 * 2 * (0.54 * 0.02 + 0.3 * 0.02 + 0.54 * 0.03 + 0.3 * 0.03 + 4e-4 * 3),
        ),
    ],
    ids=["plane", "sphere", "torus", "capsule", "frame"],
)
def test_areas(mesh: Mesh, expected: float) -> None:
    assert area(mesh) == pytest.approx(expected, rel=3e-3)


def test_the_rounding_of_a_box_takes_what_the_closed_form_says() -> None:
    x, y, z, r = 0.5, 0.4, 0.3, 0.1
    inner = (x - 2 * r) * (y - 2 * r) * (z - 2 * r)
    faces = 2 * r * ((x - 2 * r) * (y - 2 * r) + (y - 2 * r) * (z - 2 * r) + (x - 2 * r) * (z - 2 * r))
    edge = math.pi * r**2 * ((x - 2 * r) + (y - 2 * r) + (z - 2 * r))
    expected = inner + faces + edge + 4 / 3 * math.pi * r**3
    assert volume(meshes.rounded_box(x, y, z, r, 24)) == pytest.approx(expected, rel=1e-3)


@pytest.mark.parametrize(
    ("mesh", "low", "high"),
    [
        (meshes.rounded_box(0.4, 0.2, 0.6, 0.05, at=(1, 2, 3)), (0.8, 1.9, 2.7), (1.2, 2.1, 3.3)),
        (meshes.cushion(0.4, 0.2, 0.6, bulge=0, at=(1, 2, 3)), (0.8, 1.9, 2.7), (1.2, 2.1, 3.3)),
        (meshes.cylinder(0.2, 0.5, at=(1, 0, 0.1)), (0.8, -0.2, 0.1), (1.2, 0.2, 0.6)),
        (meshes.sphere(0.2, at=(0, 0, 1)), (-0.2, -0.2, 0.8), (0.2, 0.2, 1.2)),
        (meshes.frame(0.5, 0.3, 0.02, 0.04, at=(0, 1, 1)), (-0.27, 0.98, 0.83), (0.27, 1.02, 1.17)),
        (meshes.tube([(0, 0, 0), (1, 0, 0)], 0.1, 40), (-0.1, -0.1, -0.1), (1.1, 0.1, 0.1)),
    ],
    ids=["box", "cushion", "cylinder", "sphere", "frame", "tube"],
)
def test_bounds(mesh: Mesh, low: tuple[float, ...], high: tuple[float, ...]) -> None:
    np.testing.assert_allclose(mesh.vertices.min(axis=0), low, atol=1e-6)
    np.testing.assert_allclose(mesh.vertices.max(axis=0), high, atol=1e-6)


def test_normals_of_a_sphere_and_of_a_cone() -> None:
    ball = meshes.sphere(0.5, at=(1, 2, 3))
    np.testing.assert_allclose(ball.normals, (ball.vertices - (1, 2, 3)) / 0.5, atol=3e-3)
    cone = meshes.tube([(0, 0, 0), (0, 0, 1)], [0.3, 0.1], smooth=8)
    side = (cone.vertices[:, 2] > 0.01) & (cone.vertices[:, 2] < 0.99)
    np.testing.assert_allclose(cone.normals[side, 2], 0.2 / math.hypot(1, 0.2), atol=1e-9)


def test_a_crease_stays_sharp_and_a_bend_becomes_smooth() -> None:
    corner = meshes.lathe([(0, 0), (1, 0), (1, 1), (0, 1)], 16)
    at_edge = corner.normals[np.isclose(corner.vertices[:, 2], 1) & np.isclose(np.hypot(*corner.vertices[:, :2].T), 1)]
    assert set(np.round(at_edge[:, 2], 6)) == {0.0, 1.0}
    bend = meshes.lathe([(0, 0), (1, 0), (1, 1), (0.9, 2), (0, 2)], 16)
    at_bend = bend.normals[np.isclose(bend.vertices[:, 2], 1)]
    np.testing.assert_allclose(at_bend[:, 2], math.sin(math.atan(0.1) / 2), atol=1e-9)


def test_a_sheet_faces_rows_times_columns_and_a_plane_u_times_v() -> None:
    wall = meshes.plane((0, 0, 0), (2, 0, 0), (0, 0, 1), (4, 2))
    np.testing.assert_allclose(wall.normals, np.tile([0, -1, 0], (4, 1)), atol=1e-12)
    assert {tuple(x) for x in wall.uv} == {(0, 0), (4, 0), (0, 2), (4, 2)}


def test_textures_lie_along_u_and_v_and_along_a_profile() -> None:
    wall = meshes.plane((0, 0, 0), (2, 0, 0), (0, 0, 1), (4, 2))
    np.testing.assert_allclose(wall.uv, wall.vertices[:, [0, 2]] * 2, atol=1e-12)
    pot = meshes.lathe([(0, 0), (1, 0), (1, 2), (0, 2)], 8)
    angle = 2 * np.pi * pot.uv[:, 0]
    radius = np.hypot(*pot.vertices[:, :2].T)
    turned = radius[:, None] * np.stack([np.cos(angle), np.sin(angle)], axis=1)
    np.testing.assert_allclose(pot.vertices[:, :2], turned, atol=1e-12)
    along = np.where(pot.vertices[:, 2] == 0, radius, 4 - radius)
    np.testing.assert_allclose(pot.uv[:, 1], along, atol=1e-12)


def test_a_cushion_is_thicker_in_the_middle() -> None:
    top = meshes.cushion(0.8, 0.6, 0.2, bulge=0.25).vertices
    middle = np.abs(top[:, :2]).max(axis=1) < 1e-9
    np.testing.assert_allclose(np.abs(top[middle, 2]), 0.1 * 1.25)
    assert np.abs(top[np.abs(top[:, 0]) > 0.3, 2]).max() < 0.1 * 1.15


def test_moving_turning_scaling() -> None:
    box = meshes.rounded_box(2, 1, 1, 1e-9)
    turned = box.turned("z", 90)
    np.testing.assert_allclose(turned.vertices.max(axis=0), (0.5, 1, 0.5), atol=1e-6)
    np.testing.assert_allclose(meshes.rotation("z", 90) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    np.testing.assert_allclose(meshes.rotation((1, 1, 1), 120) @ (1, 0, 0), (0, 1, 0), atol=1e-12)
    stretched = meshes.sphere(1).scaled(1, 1, 3)
    implicit = stretched.vertices / np.array([1, 1, 9])
    expected = implicit / np.linalg.norm(implicit, axis=1, keepdims=True)
    np.testing.assert_allclose(stretched.normals, expected, atol=5e-3)
    assert volume(box.scaled(2)) == pytest.approx(16, rel=1e-6)


def test_joining_keeps_every_part() -> None:
    parts = [meshes.sphere(0.1, 16), meshes.rounded_box(1, 1, 1, at=(3, 0, 0)), meshes.torus(0.4, 0.1, 16)]
    whole = meshes.join(*parts)
    assert volume(whole) == pytest.approx(sum(volume(m) for m in parts))
    assert len(whole.vertices) == sum(len(m.vertices) for m in parts)


def test_a_spline_meets_its_points_and_an_arc_its_ends() -> None:
    line = meshes.spline(BEND, 5)
    assert len(line) == 3 * 5 + 1
    np.testing.assert_allclose(line[::5], BEND, atol=1e-12)
    straight = meshes.spline([(0, 0, 0), (1, 2, 3)], 4)
    np.testing.assert_allclose(straight, np.linspace((0, 0, 0), (1, 2, 3), 5), atol=1e-12)
    np.testing.assert_allclose(meshes.arc((1, 0), 2, 0, 90, 3)[[0, -1]], [(3, 0), (1, 2)], atol=1e-12)


def test_the_same_seed_gives_the_same_cushion() -> None:
    first, again, other = (meshes.pillow(0.4, 0.4, 0.1, seed=s).vertices for s in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-4


@pytest.mark.parametrize(("degrees", "sharp"), [(45, False), (55, True)])
def test_a_corner_is_sharp_from_fifty_degrees_on(degrees: float, sharp: bool) -> None:
    lean = math.radians(degrees)
    pot = meshes.lathe([(0, 0), (2, 0), (2, 1), (2 - math.sin(lean), 1 + math.cos(lean))], 16)
    at_corner = pot.normals[np.isclose(pot.vertices[:, 2], 1)]
    assert bool(np.ptp(at_corner[:, 2]) > 0.1) == sharp


def test_a_cylinder_is_no_higher_than_asked_though_its_bevel_is() -> None:
    coin = meshes.cylinder(0.2, 0.01, 0.05)
    np.testing.assert_allclose(np.ptp(coin.vertices, axis=0), (0.4, 0.4, 0.01), atol=1e-9)


def test_wrinkles_are_as_high_as_asked_and_differ_by_seed() -> None:
    plain, wrinkled, other = (
        meshes.cushion(0.9, 0.7, 0.2, wrinkles=w, seed=s) for w, s in ((0, 1), (0.01, 1), (0.01, 2))
    )
    far = np.linalg.norm(wrinkled.vertices - plain.vertices, axis=1)
    assert 0.003 < far.max() <= 0.01
    assert np.abs(wrinkled.vertices - other.vertices).max() > 0.003


def test_a_pillow_is_as_large_and_about_as_thick_as_asked() -> None:
    size = np.ptp(meshes.pillow(0.45, 0.4, 0.16, seed=2).vertices, axis=0)
    np.testing.assert_allclose(size[:2], (0.45, 0.4), atol=1e-9)
    assert 0.13 < size[2] < 0.19


def test_a_leaf_rises_straight_or_bends_until_its_tip_hangs() -> None:
    straight, bent = (meshes.leaf(0.5, 0.1, bend, 40).vertices.reshape(41, 7, 3) for bend in (0, 1))
    rise = math.radians(35)
    np.testing.assert_allclose(straight[-1, 3], (0, 0.5 * math.cos(rise), 0.5 * math.sin(rise)), atol=1e-9)
    end = bent[-1, 3] - bent[-2, 3]
    np.testing.assert_allclose(end / np.linalg.norm(end), (0, 0, -1), atol=1e-9)
    assert np.ptp(straight[..., 0]) == pytest.approx(0.1, rel=0.01)
    assert (straight[1:-1, [0, -1], 2] > straight[1:-1, [3], 2]).all(), "folded upwards along the middle"
