"""The kitchen: a robot holds an object before a kitchen wall. Nine factors, named and sized as Isaac3D's.

The object is held before the room, where it is large; its shapes differ in outline, its colours from one another, from
the robot's and from the walls'. Scales and strengths are spaced by ratio, places evenly.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from semistylegan.factors import FactorSpace
from semistylegan.scenes import kitchen_room, robot
from semistylegan.scenes.materials import Rgb, metal, painted
from semistylegan.scenes.meshes import Mesh, arc, join, lathe, rotation, rounded_box, sphere
from semistylegan.scenes.stage import By, Camera, Lamp, Stage, Thing

SCALES = (0.095, 0.135, 0.185, 0.245)
"""Half the size of the object, metres."""
STRENGTHS = (22.0, 46.0, 92.0, 170.0)
"""Of the key light."""
OBJECTS: tuple[Rgb, ...] = ((0.12, 0.27, 0.74), (0.14, 0.58, 0.28), (0.78, 0.13, 0.43), (0.93, 0.92, 0.88))
"""Cobalt, emerald, magenta, white."""
WALLS: tuple[Rgb, ...] = ((0.49, 0.62, 0.44), (0.71, 0.60, 0.79), (0.40, 0.58, 0.71), (0.82, 0.57, 0.39))
"""Sage, lilac, sky, apricot."""
ORANGE: Rgb = (0.93, 0.38, 0.06)
HIDDEN = -5.0
"""Height of the shapes that are not shown: under the floor."""


def things() -> Mapping[str, Thing]:
    """The room, the robot and the object."""
    start = pose(0, 0, 0, 0)
    paint = painted(ORANGE, roughness=0.28, clearcoat=0.6)
    rubber = painted((0.07, 0.07, 0.075), roughness=0.4)
    steel = metal((0.76, 0.77, 0.79), roughness=0.25)
    body, black, bare = robot.base()
    return {
        **kitchen_room.things(WALLS[0]),
        "body": Thing(body, paint),
        "wheels": Thing(black, rubber),
        "hubs": Thing(bare, steel),
        "paint": Thing(start["paint"], paint),
        "rubber": Thing(start["rubber"], rubber),
        "grip": Thing(start["grip"], steel),
        "object": Thing(start["object"], painted(OBJECTS[0], roughness=0.25, clearcoat=0.4)),
    }


def pose(shape: int, x: int, y: int, scale: int) -> dict[str, Mesh]:
    """The robot and what it holds."""
    half = SCALES[scale]
    arm = robot.pose(np.array([_between(-0.54, 0.78, x, 8), -0.12, _between(0.98, 1.72, y, 5)]))
    centre = robot.held(arm, half)
    shapes = [
        mesh.scaled(half).moved(*(centre if number == shape else (0, 0, HIDDEN - number)))
        for number, mesh in enumerate(SHAPES)
    ]
    return {
        "paint": robot.paint(arm),
        "rubber": robot.rubber(arm),
        "grip": robot.steel(arm, half),
        "object": join(*shapes),
    }


def _box() -> Mesh:
    return rounded_box(1.72, 1.72, 1.72, 0.12, 4).transformed(rotation("x", 14) @ rotation("z", -30))


def _cone() -> Mesh:
    tip = arc((0, 0.94), 0.10, 28, 90, 5)
    tip[-1, 0] = 0
    return lathe([(0, -0.95), (1.02, -0.95), *arc((1.04, -0.87), 0.08, -90, 28, 6), *tip], 48)


SHAPES = (_box(), sphere(1.08, 48), _cone())
"""Of half size 1: a box on its corner, a ball, a cone."""


def object_colour(value: int) -> dict[str, Rgb]:
    return {"object": OBJECTS[value]}


def wall_colour(value: int) -> dict[str, Rgb]:
    return {"wall": WALLS[value]}


def camera(height: int) -> Camera:
    z = _between(1.0, 2.15, height, 4)
    return Camera(origin=(0.12, -3.1, z), target=(0.12, 0.9, 1.26 - 0.12 * (z - 1.5)), fov=38)


def key(place: int) -> Lamp:
    """A warm lamp that moves from the left to the right, and up."""
    azimuth, height = np.radians(_between(-140, -40, place, 6)), np.radians(_between(26, 46, place, 6))
    target = np.array([0.2, 1.0, 1.1])
    towards = np.array([np.cos(height) * np.cos(azimuth), np.cos(height) * np.sin(azimuth), np.sin(height)])
    return Lamp(origin=target + 3.3 * towards, target=target, half=0.2, colour=(1.0, 0.95, 0.86))


def strength(value: int) -> float:
    return STRENGTHS[value]


def _between(first: float, last: float, value: int, size: int) -> float:
    return first + (last - first) * value / (size - 1)


STAGE = Stage(
    name="kitchen",
    factors=FactorSpace.isaac3d(),
    things=things,
    camera=By(camera, "camera_height"),
    key=By(key, "lighting_y-dir"),
    strength=By(strength, "lighting_intensity"),
    poses=By(pose, "object_shape", "robot_x-move", "robot_y-move", "object_scale"),
    colours=(By(object_colour, "object_color"), By(wall_colour, "wall_color")),
    sky=(0.20, 0.21, 0.235),
    lights=kitchen_room.lights,
    exposure=1.3,
    version=3,
)
