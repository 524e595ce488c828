"""The living room: factors as Falcor3D's, a lamp that is never seen, and pictures that every factor changes."""

from __future__ import annotations

import functools
import itertools
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from semistylegan.factors import FactorSpace
from semistylegan.scenes import furniture, living_room
from semistylegan.scenes.living_room import STAGE
from semistylegan.scenes.meshes import Mesh, join, rounded_box
from semistylegan.scenes.stage import By, Camera

GRID = list(itertools.product(range(6), repeat=3))
Array = npt.NDArray[np.float64]


@functools.cache
def meshes() -> furniture.Parts:
    """All that stands there, by material."""
    return living_room.meshes()


def in_view(view: Camera, points_P3: Array) -> Array:
    """Where the camera sees points: P x 2, the picture is [-1, 1]; beyond it, and infinite, what lies behind it."""
    origin, target = np.asarray(view.origin, dtype=float), np.asarray(view.target, dtype=float)
    forward = (target - origin) / np.linalg.norm(target - origin)
    right = np.cross(forward, [0, 0, 1])
    right /= np.linalg.norm(right)
    offset = points_P3 - origin
    depth = offset @ forward
    plane = np.stack([offset @ right, offset @ np.cross(right, forward)], axis=1)
    seen = plane / np.maximum(depth, 1e-9)[:, None] / np.tan(np.radians(view.fov / 2))
    return np.where(depth[:, None] > 0, seen, np.inf)


def test_factors_are_those_of_falcor3d() -> None:
    assert STAGE.factors == FactorSpace.falcor3d()
    used = [*STAGE.key.factors, *STAGE.camera.factors, *STAGE.strength.factors]
    assert sorted(used) == sorted(STAGE.factors.names)


@pytest.mark.parametrize("by", [STAGE.key, STAGE.camera], ids=["key", "camera"])
def test_each_factor_of_place_moves_what_it_names_and_that_way(by: By[Any]) -> None:
    """To the right, towards the back wall, up; nothing else of where it stands."""
    for name in by.factors:
        axis = "xyz".index(name.partition("_")[2][0])
        places = []
        for value in range(6):
            values = np.full(7, 2)
            values[STAGE.factors.position(name)] = value
            places.append(np.asarray(by.function(*by.values(STAGE.factors, values)).origin, dtype=float))
        step = np.diff(places, axis=0)
        assert (step[:, axis] > 0.1).all() and not np.delete(step, axis, axis=1).any(), name


def test_no_camera_sees_the_key_light() -> None:
    lamps = np.array([living_room.key(*place).origin for place in GRID])
    reach = living_room.key(0, 0, 0).half * np.sqrt(2)
    around = np.array(list(itertools.product((-reach, reach), repeat=3)))
    corners = (lamps[:, None] + around).reshape(-1, 3)
    for place in GRID:
        seen = np.abs(in_view(living_room.camera(*place), corners)).max(axis=1)
        assert seen.min() > 1, f"camera {place} sees the lamp"


def test_every_camera_sees_the_sofa() -> None:
    x, y = living_room.SOFA
    for place in GRID:
        seen = in_view(living_room.camera(*place), np.array([[x, y, 0.5]]))
        assert np.abs(seen).max() < 0.8


def test_no_light_and_no_camera_is_inside_of_something() -> None:
    """All places lie inside the room and outside the box around each piece that reaches as high."""
    places = [living_room.key(*p).origin for p in GRID] + [living_room.camera(*p).origin for p in GRID]
    points = np.array(places, dtype=float)
    assert (points[:, 0] > living_room.LEFT + 0.2).all() and (points[:, 1] < living_room.BACK - 0.2).all()
    assert (points[:, 2] > 0.5).all()
    for name, mesh in furniture.merge(living_room.seats(), living_room.tables(), living_room.wall()).items():
        low, high = mesh.vertices.min(axis=0) - 0.1, mesh.vertices.max(axis=0) + 0.1
        assert not ((points > low) & (points < high)).all(axis=1).any(), name


def test_light_grows_in_even_steps_and_is_as_strong_on_the_table_from_everywhere() -> None:
    strengths = np.array([living_room.strength(i) for i in range(5)])
    np.testing.assert_allclose(strengths[1:] / strengths[:-1], 1.65)
    arriving = []
    for place in GRID:
        lamp = living_room.key(*place)
        distance = np.linalg.norm(np.asarray(lamp.origin, dtype=float) - np.asarray(lamp.target, dtype=float))
        arriving.append(lamp.colour[0] * (2 * lamp.half) ** 2 / distance**2)
    np.testing.assert_allclose(arriving, arriving[0])


def test_every_thing_has_a_material_and_every_material_a_thing() -> None:
    assert set(meshes()) == set(living_room.materials())


def test_things_are_sound_and_the_same_in_every_process() -> None:
    again = living_room.meshes()
    for name, mesh in meshes().items():
        assert np.isfinite(mesh.vertices).all() and np.isfinite(mesh.uv).all(), name
        np.testing.assert_allclose(np.linalg.norm(mesh.normals, axis=1), 1, atol=1e-9, err_msg=name)
        np.testing.assert_array_equal(mesh.vertices, again[name].vertices, err_msg=name)
        assert mesh.vertices[:, 2].min() > -0.01, f"{name} sinks into the floor"


@pytest.mark.parametrize("name", ["painting one", "painting two", "wall", "rug", "floor"])
def test_what_is_seen_from_one_side_alone_faces_the_room(name: str) -> None:
    mesh = meshes()[name]
    towards = np.array([0.0, 0.0, 1.0]) if name in ("rug", "floor") else np.array([0.0, -1.0, 0.0])
    np.testing.assert_allclose(mesh.normals, np.tile(towards, (len(mesh.normals), 1)), atol=1e-9)


@pytest.mark.parametrize("kind", ["round", "tall", "bottle", "bowl"])
def test_vases_stand_and_are_as_high_as_asked(kind: str) -> None:
    vase = furniture.vase(kind, 0.3, (1.0, 2.0, 0.4))
    assert vase.vertices[:, 2].min() == pytest.approx(0.4)
    assert vase.vertices[:, 2].max() == pytest.approx(0.7, abs=0.01)
    np.testing.assert_allclose(vase.vertices[:, :2].mean(axis=0), (1, 2), atol=0.02)
    p = vase.vertices[vase.faces]
    assert np.einsum("fi,fi->", p[:, 0], np.cross(p[:, 1], p[:, 2])) > 0


def bounds(mesh: Mesh) -> tuple[Array, Array]:
    return mesh.vertices.min(axis=0), mesh.vertices.max(axis=0)


def test_tables_are_as_high_as_what_stands_on_them_begins() -> None:
    assert bounds(furniture.coffee_table(1, 2)["walnut"])[1][2] == pytest.approx(0.42)
    assert bounds(furniture.side_tables(1, 2)["white"])[1][2] == pytest.approx(0.55)


def test_books_lie_on_each_other_and_the_last_of_a_row_leans_against_it() -> None:
    pile = furniture.book_stack(1, 2, 0.4, (10, -8, 21))
    low, high = zip(*(bounds(pile[f"book{k}"]) for k in range(3)), strict=True)
    assert low[0][2] == pytest.approx(0.4) and low[1][2] >= high[0][2] and low[2][2] >= high[1][2]
    (last,) = furniture.books(0, 0, 0, 1, 3).values()
    middle = bounds(last)[1][2] / 2
    top, foot = (last.vertices[above] for above in (last.vertices[:, 2] > middle, last.vertices[:, 2] < middle))
    assert top[:, 0].mean() < foot[:, 0].mean() - 0.01 and bounds(last)[0][2] == pytest.approx(0, abs=0.002)


def test_what_hangs_on_a_wall_is_before_it_and_the_painting_before_its_mat() -> None:
    low, high = bounds(furniture.box_shelf(0, 1, 0.3, 0.4, 2.0)["white"])
    assert (low[1], high[1]) == pytest.approx((2.0 - 0.19, 2.0))
    parts = furniture.picture(1, 1.7, 0.46, 0.60, 2.0, "mine")
    painting, mat, (frame, back) = bounds(parts["mine"]), bounds(parts["paper"]), bounds(parts["black"])
    assert frame[1] < painting[1][1] < mat[0][1] < back[1] == pytest.approx(2.0)
    for axis in (0, 2):
        assert frame[axis] < mat[0][axis] < painting[0][axis] < painting[1][axis] < mat[1][axis] < back[axis]


def test_a_pillow_leans_back() -> None:
    pillow = furniture.throw_pillow(0.4, "red", (0, 0, 0), 20, 0, 1)["red"].vertices
    top, foot = pillow[pillow[:, 2] > 0.1].mean(axis=0), pillow[pillow[:, 2] < -0.1].mean(axis=0)
    assert (top - foot)[1] / (top - foot)[2] == pytest.approx(np.tan(np.radians(20)), rel=0.2)


def test_the_glowing_drum_is_between_the_rings_of_its_lamp() -> None:
    drum, black = living_room.lights()["drum"], meshes()["black"].vertices
    away = np.hypot(*(black[:, :2] - living_room.FLOOR_LAMP).T)
    rings = black[np.abs(away - drum["radius"]) < 0.006]
    assert rings[:, 2].min() == pytest.approx(drum["p0"][2], abs=0.006)
    assert rings[:, 2].max() == pytest.approx(drum["p1"][2], abs=0.006)
    assert all(drum[end][:2] == list(living_room.FLOOR_LAMP) for end in ("p0", "p1"))


def test_the_dusk_shines_through_the_window_into_the_room() -> None:
    y, z, width, height = living_room.WINDOW
    to_world = living_room.lights()["dusk"]["to_world"]
    corners = np.array([to_world @ (a, b, 0, 1) for a in (-1, 1) for b in (-1, 1)])[:, :3]
    assert (corners[:, 0] < living_room.LEFT).all()
    assert (corners[:, 1:].min(axis=0) < (y - width / 2, z - height / 2)).all()
    assert (corners[:, 1:].max(axis=0) > (y + width / 2, z + height / 2)).all()
    assert np.cross(to_world[:3, 0], to_world[:3, 1])[0] > 0 and to_world[0, 2] > 0
    side = meshes()["side wall"]
    p = side.vertices[side.faces]
    area = np.linalg.norm(np.cross(p[:, 1] - p[:, 0], p[:, 2] - p[:, 0]), axis=1).sum() / 2
    assert area == pytest.approx((living_room.BACK + 5) * living_room.TOP - width * height)
    np.testing.assert_allclose(side.normals, np.tile([1.0, 0, 0], (len(side.normals), 1)), atol=1e-9)


def test_merging_joins_by_material() -> None:
    a, b = rounded_box(1, 1, 1), rounded_box(2, 2, 2)
    merged = furniture.merge({"oak": a, "steel": b}, {"oak": b})
    assert set(merged) == {"oak", "steel"}
    np.testing.assert_array_equal(merged["oak"].vertices, join(a, b).vertices)
    assert isinstance(merged["steel"], Mesh)


# -- rendered -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def picture() -> dict[tuple[int, ...], npt.NDArray[np.float64]]:
    """A few images at 32 pixels: the middle of the grid, and each factor at both ends."""
    pytest.importorskip("mitsuba")
    from semistylegan.scenes import engine

    middle = [2, 2, 2, 2, 2, 2, 2]
    wanted = {tuple(middle)}
    for factor, size in enumerate(STAGE.factors.sizes):
        for value in (0, size - 1):
            wanted.add((*middle[:factor], value, *middle[factor + 1 :]))
    indices = STAGE.order(np.array([STAGE.factors.index_of(v) for v in sorted(wanted)]))
    images = {tuple(int(v) for v in STAGE.factors.values_of(i)): engine.render(STAGE, int(i), 32) for i in indices}
    return {values: image.astype(np.float64) for values, image in images.items()}


def test_each_factor_changes_the_picture(picture: dict[tuple[int, ...], Array]) -> None:
    for factor, size in enumerate(STAGE.factors.sizes):
        ends = []
        for value in (0, size - 1):
            values = [2] * 7
            values[factor] = value
            ends.append(picture[tuple(values)])
        # 1,024 samples and 8 differ by less than 1 of 255.
        assert np.abs(ends[0] - ends[1]).mean() > 8, STAGE.factors.names[factor]


def test_no_picture_is_black_or_blown_out(picture: dict[tuple[int, ...], Array]) -> None:
    for values, image in picture.items():
        assert 30 < image.mean() < 215, values
        assert (image.max(axis=2) > 250).mean() < 0.2, values


def test_intensity_makes_every_part_brighter(picture: dict[tuple[int, ...], Array]) -> None:
    dark, bright = picture[(0, 2, 2, 2, 2, 2, 2)], picture[(4, 2, 2, 2, 2, 2, 2)]
    assert (bright.mean(axis=2) - dark.mean(axis=2)).min() > -1
    assert (bright.mean(axis=2) > dark.mean(axis=2) + 5).mean() > 0.9


def test_the_light_from_the_left_lights_the_left(picture: dict[tuple[int, ...], Array]) -> None:
    """Of the back wall, the half on the side of the lamp is brighter than with the lamp on the other side."""
    left, right = (picture[(2, x, 2, 2, 2, 2, 2)][2:10].mean(axis=(0, 2)) for x in (0, 5))
    change = left - right
    assert change[4:12].mean() > change[20:28].mean() + 5
