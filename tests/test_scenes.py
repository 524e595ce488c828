"""Rendered scenes: the same index gives the same bytes whatever was rendered before; each factor shows.

They run in the scalar variant, which starts at once; what the probe of LLVM does is tested with a made-up library.
"""

from __future__ import annotations

import dataclasses
import functools
import itertools
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.scenes import engine, kitchen, meshes, robot, variant
from semistylegan.scenes.materials import Rgb, Texture, linear, matte, painted
from semistylegan.scenes.stage import By, Camera, Lamp, Stage, Thing

pytest.importorskip("mitsuba")
pytestmark = pytest.mark.filterwarnings("ignore:.*:DeprecationWarning")


@pytest.fixture(scope="module", autouse=True)
def _scalar() -> None:
    os.environ[variant.CHOICE] = "scalar_rgb"
    variant.choose.cache_clear()
    yield
    del os.environ[variant.CHOICE]
    variant.choose.cache_clear()


# -- a small stage: a ball on a floor, every part of a stage in use ---------------------------------------------------


def things() -> dict[str, Thing]:
    checks = np.kron(np.eye(2), np.ones((8, 8)))[..., None] * 0.5 + np.full(3, 0.3)
    return {
        "floor": Thing(meshes.plane((-2, -2, 0), (4, 0, 0), (0, 4, 0), (4, 4)), matte(Texture(checks, 1.0))),
        "ball": Thing(poses(0)["ball"], painted((0.8, 0.1, 0.1), roughness=0.3)),
    }


def poses(x: int) -> dict[str, meshes.Mesh]:
    return {"ball": meshes.sphere(0.3, 16, at=(0.4 * x - 0.4, 0, 0.3))}


def colour(value: int) -> dict[str, Rgb]:
    return {"ball": ((0.8, 0.1, 0.1), (0.1, 0.2, 0.8))[value]}


def camera(height: int) -> Camera:
    return Camera((0, -3, 1 + 0.5 * height), (0, 0, 0.2), 40)


def key(place: int) -> Lamp:
    return Lamp((2 * place - 1, -1.5, 2.5), (0, 0, 0), 0.2, (1, 0.9, 0.8))


def strength(value: int) -> float:
    return (5.0, 20.0, 60.0)[value]


STAGE = Stage(
    name="ball",
    factors=FactorSpace.grid({"x": 3, "height": 2, "colour": 2, "place": 2, "strength": 3}),
    things=things,
    camera=By(camera, "height"),
    key=By(key, "place"),
    strength=By(strength, "strength"),
    poses=By(poses, "x"),
    colours=(By(colour, "colour"),),
)
SIDE = 32


def image(index: int) -> np.ndarray:
    return engine.render(STAGE, index, SIDE)


def write(index: int) -> None:
    sys.stdout.buffer.write(image(index).tobytes())


def test_the_same_index_gives_the_same_bytes_whatever_was_before() -> None:
    order = np.random.default_rng(0).permutation(STAGE.factors.total)[:10]
    first = {int(i): image(int(i)) for i in order}
    engine.opened.cache_clear()
    for i in reversed(order):
        assert (image(int(i)) == first[int(i)]).all(), i


def test_a_factor_that_moves_a_thing_and_the_key_light() -> None:
    """The steady light is rendered again, too."""
    stage = dataclasses.replace(STAGE, key=By(lambda place, x: key(x), "place", "x"))
    index = stage.factors.index_of([1, 0, 0, 0, 0])
    alone = engine.Engine(stage).image(index, SIDE)
    after = engine.Engine(stage)
    after.image(0, SIDE)
    assert (after.image(index, SIDE) == alone).all()


def test_another_process_gives_the_same_bytes() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_scenes as t; t.write(41)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
    assert done.stdout == image(41).tobytes()


ORDER = (0, 48, 66, 45, 0)
"""Poses, cameras, colours and lamps change."""


def compare_recordings() -> None:
    """Prints the variant, and how far images of recorded programs are from those of programs traced anew."""
    recorded, plain = engine.Engine(STAGE), engine.Engine(STAGE)
    plain.record = False
    same = all((recorded.image(i, SIDE) == plain.image(i, SIDE)).all() for i in ORDER)
    print(recorded.mi.variant(), recorded.record, same)


def test_recorded_programs_give_the_same_bytes_in_any_order() -> None:
    code = f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r}); import test_scenes as t; "
    environment = {k: v for k, v in os.environ.items() if k != variant.CHOICE}
    run = [sys.executable, "-c", code + "t.compare_recordings()"]
    done = subprocess.run(run, env=environment, capture_output=True, text=True, check=True)
    if done.stdout.startswith("scalar"):
        pytest.skip("no LLVM here that renders")
    assert done.stdout.split() == ["llvm_ad_rgb", "True", "True"]


def test_each_factor_shows_and_light_adds_up() -> None:
    middle = np.array([1, 0, 0, 0, 1])
    start = image(STAGE.factors.index_of(middle)).astype(float)
    for f, size in enumerate(STAGE.factors.sizes):
        other = middle.copy()
        other[f] = (middle[f] + 1) % size
        assert np.abs(image(STAGE.factors.index_of(other)) - start).mean() > 1, STAGE.factors.names[f]
    dark, middling, bright = (opened().light(STAGE.factors.index_of([1, 0, 0, 0, s]), SIDE) for s in range(3))
    key_light = (bright - dark) / 55
    np.testing.assert_allclose(middling, dark + 15 * key_light, atol=1e-4)
    assert key_light.mean() > 0 and dark.mean() > 0


def opened() -> engine.Engine:
    return engine.opened(STAGE)


def test_key_and_steady_light_are_all_the_light(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rendered apart and added, or in one go: the same picture but for the noise."""
    e = opened()
    monkeypatch.setattr(e, "denoise", False)
    monkeypatch.setattr(engine, "samples", lambda resolution: (256, 256))
    e.forget()
    apart = e.light(1, SIDE)
    e.forget()
    both = e.mi.load_dict(
        {
            "type": "scene",
            **{
                name: e._shape(name, thing.mesh, e.mi.load_dict(e._resolved(thing.material)))
                for name, thing in things().items()
            },
            "sky": {"type": "constant", "radiance": {"type": "rgb", "value": list(STAGE.sky)}},
            "key": {
                "type": "rectangle",
                "to_world": e._look(key(0)) @ e.mi.ScalarTransform4f().scale(key(0).half),
                "emitter": {
                    "type": "area",
                    "radiance": {"type": "rgb", "value": [strength(1) * c for c in key(0).colour]},
                },
            },
        }
    )
    together = np.array(e.mi.render(both, sensor=e.sensor(SIDE), integrator=e.integrator, spp=256, seed=5))
    assert abs(apart.mean() / together.mean() - 1) < 0.01
    assert np.abs(apart - together).mean() < 0.05 * together.mean()
    e.forget()


def overhead(place: int) -> Lamp:
    return Lamp((0, 0, 2.5 + place), (0, 0, 0), 0.2, (1, 0.9, 0.8))


def from_above(height: int) -> Camera:
    return Camera((0, 0, (3, 0.2)[height]), (0, 0, 0.2), 40)


def test_a_lamp_may_hang_above_its_target_and_a_camera_too() -> None:
    lit = engine.Engine(dataclasses.replace(STAGE, key=By(overhead, "place")))
    dark, middling, bright = (lit.image(s, SIDE).mean() for s in range(3))
    assert dark + 5 < middling < bright - 5
    seen = engine.Engine(dataclasses.replace(STAGE, camera=By(from_above, "height")))
    picture = seen.image(STAGE.factors.index_of([1, 0, 0, 0, 1]), SIDE).astype(float)
    red = picture[..., 0] - picture[..., 1]
    assert red[13:19, 13:19].min() > 30 > abs(red[:4]).max(), "the ball lies in the middle"
    with pytest.raises(UserError, match=r"scene ball: a Camera stands at its target, \[0\.0, 0\.0, 0\.2\]; move"):
        seen.image(STAGE.factors.index_of([1, 1, 0, 0, 1]), SIDE)


def test_the_tone_curve() -> None:
    """Black stays black, light without end is white, and between them the closed form, rounded."""
    light = np.repeat(np.array([-1, 0, 0.5, 2, 1e6], np.float32), 3).reshape(1, -1, 3)
    assert engine.tone(light)[0, :, 1].tolist() == [0, 0, 188, 240, 255]


def test_exposure_multiplies_all_light() -> None:
    twice = engine.Engine(dataclasses.replace(STAGE, exposure=2.0)).light(1, SIDE)
    np.testing.assert_allclose(twice, 2 * opened().light(1, SIDE), rtol=1e-5)


def zoom(height: int) -> Camera:
    return dataclasses.replace(camera(0), fov=(40, 20)[height])


def test_half_the_angle_of_view_shows_things_twice_as_large() -> None:
    e = engine.Engine(dataclasses.replace(STAGE, camera=By(zoom, "height")))
    wide, near = (e.light(STAGE.factors.index_of([1, height, 0, 0, 1]), SIDE) for height in range(2))
    red = [(light[..., 0] > 2 * light[..., 2]).sum() for light in (wide, near)]
    assert 3 < red[1] / red[0] < 5


def test_a_colour_that_changes_is_srgb_as_that_of_a_material_is() -> None:
    """The ball in the colour that its material has: as if it had never changed."""
    sizes = {**dict(zip(STAGE.factors.names, STAGE.factors.sizes, strict=True)), "colour": 1}
    plain = dataclasses.replace(STAGE, factors=FactorSpace.grid(sizes), colours=())
    expected = engine.Engine(plain).light(plain.factors.index_of([1, 0, 0, 0, 1]), SIDE)
    np.testing.assert_allclose(opened().light(STAGE.factors.index_of([1, 0, 0, 0, 1]), SIDE), expected, atol=1e-5)


def test_two_resolutions_take_turns() -> None:
    e = engine.Engine(STAGE)
    e.image(0, SIDE)
    assert (e.image(0, 16) == engine.Engine(STAGE).image(0, 16)).all()
    assert (e.image(0, SIDE) == image(0)).all()


def turned(x: int) -> dict[str, meshes.Mesh]:
    return {"ball": meshes.rounded_box(0.8, 0.3, 0.5, 0.05, at=(0, 0, 0.3)).turned("z", 40 * x)}


def test_a_thing_that_turns_keeps_the_normals_of_its_mesh() -> None:
    """Mitsuba would make others: this one is shaded as where it has stood so from the start."""
    material = things()["ball"].material
    moves = dataclasses.replace(STAGE, things=(things() | {"ball": Thing(turned(0)["ball"], material)}).copy)
    moves = dataclasses.replace(moves, poses=By(turned, "x"))
    sizes = {**dict(zip(STAGE.factors.names, STAGE.factors.sizes, strict=True)), "x": 1}
    stands = dataclasses.replace(STAGE, factors=FactorSpace.grid(sizes), poses=None)
    stands = dataclasses.replace(stands, things=(things() | {"ball": Thing(turned(1)["ball"], material)}).copy)
    moved = engine.Engine(moves).light(moves.factors.index_of([1, 0, 0, 0, 1]), SIDE)
    stood = engine.Engine(stands).light(stands.factors.index_of([0, 0, 0, 0, 1]), SIDE)
    np.testing.assert_allclose(moved, stood, atol=1e-4)


def test_the_denoiser_is_guided_by_colours_and_normals(monkeypatch: pytest.MonkeyPatch) -> None:
    import pyoidn

    guides: dict[str, np.ndarray] = {}
    plain = pyoidn.denoise

    def denoise(light: np.ndarray, **given: Any) -> np.ndarray:
        guides.update(given)
        return plain(light, **given)

    monkeypatch.setattr(pyoidn, "denoise", denoise)
    engine.Engine(STAGE).image(STAGE.factors.index_of([1, 0, 0, 0, 1]), SIDE)
    ball = guides["albedo"][SIDE // 2, SIDE // 2]
    assert ball[0] > 3 * ball[1] and guides["hdr"]
    np.testing.assert_allclose(guides["normal"][-2, SIDE // 2], (0, 0, 1), atol=1e-4)


def test_a_texture_repeats_every_so_many_metres() -> None:
    e = opened()
    for metres, scale in ((0.5, (2, 2)), ((2.0, 0.5), (0.5, 2))):
        made = e._resolved({"colour": Texture(np.ones((2, 2, 3)), metres)})["colour"]["to_uv"]
        np.testing.assert_allclose(np.diag(np.array(made.matrix))[:2], scale)


SHARED = painted((0.8, 0.1, 0.1), roughness=0.3)


def alike() -> dict[str, Thing]:
    """Two cubes beside the ball, of its material."""
    cubes = [Thing(meshes.rounded_box(0.3, 0.3, 0.3, at=(x, -0.4, 0.15)), SHARED) for x in (-0.5, 0.5)]
    return {"left": cubes[0], **things(), "ball": Thing(poses(0)["ball"], SHARED), "right": cubes[1]}


def test_one_of_the_things_that_share_a_material_changes_its_colour() -> None:
    stage = dataclasses.replace(STAGE, things=alike)
    e = engine.Engine(stage)
    red, blue = (e.light(stage.factors.index_of([1, 0, c, 0, 1]), SIDE) for c in (0, 1))
    was_red, is_blue = red[..., 0] > 2 * red[..., 2], blue[..., 2] > 2 * blue[..., 0]
    assert is_blue.sum() > 20 and (was_red & ~is_blue).sum() > 40, "the cubes stay red"


def other_colour(value: int) -> dict[str, Rgb]:
    return {("ball", "floor")[value]: (0.1, 0.2, 0.8)}


def finer(x: int) -> dict[str, meshes.Mesh]:
    return {"ball": meshes.sphere(0.3, 16 + 8 * x, at=(0, 0, 0.3))}


def fewer(x: int) -> dict[str, meshes.Mesh]:
    return {"floor": things()["floor"].mesh} if x else {**poses(0), "floor": things()["floor"].mesh}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"poses": By(lambda x: {"cube": poses(x)["ball"]}, "x")}, "no thing is called cube; there are floor, ball"),
        ({"colours": (By(lambda c: {"cube": (0, 0, 1)}, "colour"),)}, "no thing is called cube; there are floor, ball"),
        ({"colours": (By(lambda c: {"floor": (0, 0, 1)}, "colour"),)}, "floor has 0 colours that can change; give it"),
    ],
)
def test_things_that_cannot_change_are_told(change: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=f"scene ball: {says}"):
        engine.Engine(dataclasses.replace(STAGE, **change)).image(0, SIDE)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"poses": By(finer, "x")}, r"x=1: ball has \d+ vertices and \d+ faces, but \d+ and \d+ at first; keep"),
        ({"poses": By(fewer, "x")}, "x=1: floor change, but where all is 0 ball, floor; name the same things"),
        ({"colours": (By(other_colour, "colour"),)}, "colour=1: floor change, but where all is 0 ball; name the same"),
    ],
)
def test_what_changes_otherwise_than_at_first_is_told_each_time(change: dict[str, Any], says: str) -> None:
    stage = dataclasses.replace(STAGE, **change)
    e = engine.Engine(stage)
    e.image(0, SIDE)
    for values in ([1, 0, 1, 0, 0], [1, 1, 1, 1, 1]):
        with pytest.raises(UserError, match=f"scene ball, {says}"):
            e.image(stage.factors.index_of(values), SIDE)


def test_order_puts_what_shares_most_side_by_side() -> None:
    indices = np.arange(STAGE.factors.total)
    order = STAGE.order(np.random.default_rng(1).permutation(indices))
    assert (np.sort(order) == indices).all()
    values = STAGE.factors.values_of(order)
    changes = dict(zip(STAGE.factors.names, (np.diff(values, axis=0) != 0).sum(axis=0), strict=True))
    assert changes["x"] == 2 and changes["height"] == 5 and changes["colour"] == 11 and changes["place"] == 23


def test_linear_is_the_srgb_curve() -> None:
    assert linear((0, 0.04045, 1)) == pytest.approx([0, 0.0031308, 1], rel=1e-4)
    assert linear((0.5, 0.5, 0.5))[0] == pytest.approx(0.21404, rel=1e-4)


def test_a_stage_survives_being_sent_to_a_process() -> None:
    import pickle

    assert pickle.loads(pickle.dumps(kitchen.STAGE)) == kitchen.STAGE  # noqa: S301  (our own bytes)
    assert hash(dataclasses.replace(STAGE, version=STAGE.version + 1)) != hash(STAGE)


def test_a_stage_may_be_given_lists() -> None:
    assert hash(dataclasses.replace(STAGE, sky=[0.1, 0.1, 0.1], colours=list(STAGE.colours))) == hash(STAGE)


def test_a_factor_that_changes_nothing_is_refused() -> None:
    with pytest.raises(UserError, match="scene ball: no function depends on height; name it in a By"):
        dataclasses.replace(STAGE, camera=By(functools.partial(camera, 0)))
    one = FactorSpace.grid({**dict(zip(STAGE.factors.names, STAGE.factors.sizes, strict=True)), "height": 1})
    dataclasses.replace(STAGE, factors=one, camera=By(functools.partial(camera, 0)))


def test_every_pose_of_the_kitchen_has_the_same_vertices_in_number() -> None:
    first = kitchen.pose(0, 0, 0, 0)
    for values in ((0, 7, 4, 3), (1, 0, 2, 1), (2, 3, 1, 2), (2, 7, 0, 0)):
        for name, mesh in kitchen.pose(*values).items():
            assert len(mesh.vertices) == len(first[name].vertices)
            assert (mesh.faces == first[name].faces).all()
            assert np.isfinite(mesh.vertices).all()


def shown(values: dict[str, int], part: str = "object") -> np.ndarray:
    """What is above the floor of a part of the kitchen's robot, V x 3; factors that are not named have their first
    value."""
    index = [values.get(name, 0) for name in kitchen.STAGE.factors.names]
    by = kitchen.STAGE.poses
    assert by is not None
    vertices = by.function(*by.values(kitchen.STAGE.factors, np.array(index)))[part].vertices
    return vertices[vertices[:, 2] > 0]


def middle(vertices: np.ndarray) -> np.ndarray:
    return (vertices.min(axis=0) + vertices.max(axis=0)) / 2


def test_the_kitchen_shows_the_one_shape_of_the_asked_size() -> None:
    for shape, mesh in enumerate(kitchen.SHAPES):
        for scale, half in enumerate(kitchen.SCALES):
            held = shown({"object_shape": shape, "object_scale": scale, "robot_x-move": 5, "robot_y-move": 2})
            np.testing.assert_allclose(held - middle(held), half * (mesh.vertices - middle(mesh.vertices)), atol=1e-9)
    box, ball, cone = (mesh.vertices for mesh in kitchen.SHAPES)
    np.testing.assert_allclose(np.linalg.norm(ball, axis=1), 1.08)
    tip, rim = cone[cone[:, 2] > 0.9], cone[cone[:, 2] < -0.8]
    assert np.hypot(*tip[:, :2].T).max() < 0.2 and np.hypot(*rim[:, :2].T).max() > 1 and len(box) < len(ball)


def test_the_robot_moves_what_it_holds_to_the_right_and_up() -> None:
    right = np.array([middle(shown({"robot_x-move": x, "robot_y-move": 2})) for x in range(8)])
    up = np.array([middle(shown({"robot_x-move": 4, "robot_y-move": y})) for y in range(5)])
    for line, axis in ((right, 0), (up, 2)):
        step = np.diff(line, axis=0)
        assert (step[:, axis] > 0.1).all() and (np.abs(np.delete(step, axis, axis=1)) < 0.5 * step[:, [axis]]).all()
    assert right[-1, 0] - right[0, 0] > 1.2 and up[-1, 2] - up[0, 2] > 0.6


def test_the_shape_and_the_size_leave_the_arm_where_it_is() -> None:
    for part in ("paint", "rubber"):
        still = shown({"robot_x-move": 3}, part)
        for other in ({"object_shape": 2}, {"object_scale": 3}):
            assert (shown({"robot_x-move": 3, **other}, part) == still).all()


def test_the_arm_has_links_of_one_length_and_holds_the_object_before_its_hand() -> None:
    for target in itertools.product((-0.54, 0.12, 0.78), (-0.12,), (0.98, 1.35, 1.72)):
        arm = robot.pose(np.array(target))
        elbow, wrist = arm.fore.origin, arm.hand.origin
        assert np.linalg.norm(elbow - robot.SHOULDER) == pytest.approx(robot.UPPER)
        assert np.linalg.norm(wrist - elbow) == pytest.approx(robot.FORE)
        assert elbow[2] > (robot.SHOULDER + wrist)[2] / 2 and elbow[1] > wrist[1], "upwards, away from the camera"
        for placed, towards in ((arm.upper, elbow - robot.SHOULDER), (arm.fore, wrist - elbow)):
            np.testing.assert_allclose(placed.axes[:, 2], towards / np.linalg.norm(towards), atol=1e-9)
        for placed in arm:
            np.testing.assert_allclose(placed.axes.T @ placed.axes, np.eye(3), atol=1e-9)
            assert np.linalg.det(placed.axes) > 0
        away = robot.held(arm, 0.2) - wrist
        assert away @ (np.array(target) - wrist) > 0 and np.linalg.norm(away) == pytest.approx(robot.PALM + 0.18)


def test_the_gripper_is_as_wide_as_what_it_holds() -> None:
    arm = robot.pose(np.array([0.12, -0.12, 1.3]))
    for half in kitchen.SCALES:
        in_hand = (robot.steel(arm, half).vertices - arm.hand.origin) @ arm.hand.axes
        fingers = in_hand[in_hand[:, 2] > 0.15]
        assert np.abs(fingers[:, 0]).min() > half and np.abs(fingers[:, 0]).max() < half + 0.05
        assert {-1.0, 1.0} == set(np.sign(fingers[:, 0]))


def test_the_kitchens_light_moves_to_the_right_and_up_and_its_camera_up() -> None:
    lamps = np.array([kitchen.key(place).origin for place in range(6)])
    assert (np.diff(lamps[:, 0]) > 0.1).all() and (np.diff(lamps[:, 2]) > 0.1).all()
    assert lamps[0, 0] < -1.5 and lamps[-1, 0] > 1.5 and (lamps[:, 1] < 0).all(), "on the side of the camera"
    views = [kitchen.camera(height) for height in range(4)]
    assert [view.origin[2] for view in views] == pytest.approx(np.linspace(1.0, 2.15, 4))
    assert {tuple(view.origin[:2]) for view in views} == {(0.12, -3.1)}
    assert (np.diff([kitchen.strength(value) for value in range(4)]) > 0).all()


def test_colours_of_the_kitchen_in_their_order() -> None:
    assert [kitchen.object_colour(value) for value in range(4)] == [{"object": c} for c in kitchen.OBJECTS]
    assert [kitchen.wall_colour(value) for value in range(4)] == [{"wall": c} for c in kitchen.WALLS]
    assert [int(np.argmax(c)) for c in kitchen.OBJECTS[:3]] == [2, 1, 0] and min(kitchen.OBJECTS[3]) > 0.8
    assert [int(np.argmax(c)) for c in kitchen.WALLS] == [1, 2, 2, 0]
    assert {"wall", "object"} <= set(kitchen.things())


# -- the variant ------------------------------------------------------------------------------------------------------


def test_leaves_of_the_kitchens_plants_hang_over_their_pots() -> None:
    """A leaf that bends several times about itself is a knot in the pot's middle."""
    leaves, pots = (kitchen.things()[name].mesh.vertices for name in ("leaves", "clay"))
    for low, high in ((0, 1.8), (1.8, 3)):  # the one on the worktop, the one on the cupboards
        plant, pot = (v[(v[:, 2] > low) & (v[:, 2] < high), :2] for v in (leaves, pots))
        assert (plant.min(axis=0) < pot.min(axis=0) - 0.03).all()
        assert (plant.max(axis=0) > pot.max(axis=0) + 0.03).all()


def test_a_library_that_ends_the_process_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libLLVM-19.so"
    library.write_bytes(b"no library at all")
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path))
    monkeypatch.setenv(variant.LLVM_PATH, str(library))
    monkeypatch.setattr(variant, "PROBE", "import os; os.abort()")
    monkeypatch.delenv(variant.CHOICE)
    variant.choose.cache_clear()
    chosen = variant.choose()
    assert chosen.name == "scalar_rgb" and "status -6" in chosen.why
    monkeypatch.setattr(variant, "_probe", lambda library: pytest.fail("asked again"))
    variant.choose.cache_clear()
    assert variant.choose() == chosen
    monkeypatch.setenv(variant.CHOICE, "llvm_ad_rgb")
    variant.choose.cache_clear()
    with pytest.raises(UserError, match="install libllvm19"):
        variant.choose()
    monkeypatch.setenv(variant.CHOICE, "cuda_ad_rgb")
    variant.choose.cache_clear()
    with pytest.raises(UserError, match="give llvm_ad_rgb or scalar_rgb"):
        variant.choose()
    monkeypatch.undo()
    variant.choose.cache_clear()


def test_a_busy_machine_is_asked_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    library = tmp_path / "libLLVM-19.so"
    library.touch()
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path))
    monkeypatch.setattr(variant, "PROBE", "import time; time.sleep(60)")
    monkeypatch.setattr(variant, "PROBE_SECONDS", 0.5)
    assert variant._problem(str(library)) == "did not render within 0.5 s"
    monkeypatch.setattr(variant, "PROBE", "")
    monkeypatch.setattr(variant, "PROBE_SECONDS", 60)
    assert variant._problem(str(library)) == ""


def test_what_was_found_is_kept_for_each_library_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def probe(library: str) -> str:
        asked.append(Path(library).name)
        return ""

    monkeypatch.setattr(variant, "_probe", probe)
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    for name in "abab":
        (tmp_path / name).touch(exist_ok=True)
        os.utime(tmp_path / name, (1, 1))
        assert variant._problem(str(tmp_path / name)) == ""
    assert asked == ["a", "b"]
    os.utime(tmp_path / "a", (2, 2))
    assert variant._problem(str(tmp_path / "a")) == "" and asked == ["a", "b", "a"]
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "a" / "cache"))  # where no folder can be made
    assert variant._problem(str(tmp_path / "b")) == "" and asked == ["a", "b", "a", "b"]
    assert variant._problem(str(tmp_path / "c")) == "is not there"


def test_libraries_are_found_once_each_and_best_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(variant.LLVM_PATH, raising=False)
    monkeypatch.setattr(variant, "FOLDERS", (f"{tmp_path.resolve()}/llvm-*/lib",))
    folder = tmp_path / "llvm-mine" / "lib"
    folder.mkdir(parents=True)
    for name in ("14.so.1", "17.so.1", "18.so", "20.dylib", "99.so"):
        (folder / f"libLLVM-{name}").touch()
    for name in ("libLLVM.so", "libLLVM.so.19.1", "libLLVMSupport.a"):
        (folder / name).touch()
    (folder / "libLLVM-19.so.1").symlink_to("libLLVM.so.19.1")
    found = ["libLLVM.so.19.1", "libLLVM-20.dylib", "libLLVM-18.so", "libLLVM-17.so.1"]
    assert [Path(path).name for path in variant.libraries()] == found
    monkeypatch.setenv(variant.LLVM_PATH, "/opt/mine.so")
    assert variant.libraries() == ["/opt/mine.so"]


def test_mitsuba_uses_the_library_that_was_found(monkeypatch: pytest.MonkeyPatch) -> None:
    mitsuba = variant.load()
    before = mitsuba.variant()
    monkeypatch.setenv(variant.LLVM_PATH, "another")
    monkeypatch.setattr(variant, "choose", lambda: variant.Variant("scalar_rgb", "/opt/mine.so", ""))
    try:
        assert variant.load().variant() == "scalar_rgb" and os.environ[variant.LLVM_PATH] == "/opt/mine.so"
    finally:
        mitsuba.set_variant(before)  # for engines that other tests keep open


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(variant.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match=r"pip install 'semistylegan\[render\]'"):
        variant.need()
