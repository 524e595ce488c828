"""The robot of the kitchen: an arm on wheels that holds an object where it is told to.

All its parts are rigid, so every pose has the same vertices in number. The arm has two links; the elbow follows from
the law of cosines.
"""

from __future__ import annotations

import functools
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from semistylegan.scenes.meshes import Mesh, arc, cylinder, join, lathe, rounded_box, torus, tube

Array = npt.NDArray[np.float64]
FOOT = np.array([0.12, 0.12, 0.0])
"""Where the base stands."""
SHOULDER = np.array([0.12, 0.12, 1.02])
UPPER, FORE = 0.52, 0.50
"""Lengths of the two links, metres."""
PALM = 0.10
"""From the wrist to the near side of what is held."""


class Placed(NamedTuple):
    """Where a rigid part belongs: vertices are turned by `axes` (columns: its x, y and z), then moved to `origin`."""

    axes: Array
    origin: Array

    def put(self, mesh: Mesh) -> Mesh:
        return mesh.transformed(self.axes, self.origin)


class Pose(NamedTuple):
    """Where the parts of the arm are."""

    upper: Placed
    fore: Placed
    shoulder: Placed
    elbow: Placed
    wrist: Placed
    hand: Placed


def pose(target: Array) -> Pose:
    """The arm with its hand just before `target` (3), pointing at it, a little from above."""
    wrist = target + np.array([0, 0.10, 0.06])
    reach = wrist - SHOULDER
    distance = min(float(np.linalg.norm(reach)), 0.995 * (UPPER + FORE))
    along = reach / np.linalg.norm(reach)
    wrist = SHOULDER + distance * along
    bend = np.arccos((UPPER**2 + distance**2 - FORE**2) / (2 * UPPER * distance))
    pole = np.array([0, 0.5, 1.0])  # the elbow bends upwards and away from the camera
    pole = _unit(pole - along * (along @ pole))
    elbow = SHOULDER + UPPER * (np.cos(bend) * along + np.sin(bend) * pole)
    hinge = np.cross(along, pole)
    across = _frame(hinge, along)
    return Pose(
        upper=Placed(_frame(elbow - SHOULDER, hinge), SHOULDER),
        fore=Placed(_frame(wrist - elbow, hinge), elbow),
        shoulder=Placed(across, SHOULDER),
        elbow=Placed(across, elbow),
        wrist=Placed(across, wrist),
        hand=Placed(_frame(target - wrist, np.array([0, 0, 1.0])), wrist),
    )


def held(arm: Pose, half: float) -> Array:
    """The centre of an object that reaches `half` towards the hand."""
    return arm.hand.origin + arm.hand.axes[:, 2] * (PALM + 0.9 * half)


def paint(arm: Pose) -> Mesh:
    """What is lacquered of the arm: the links."""
    part = _parts()
    return join(arm.upper.put(part["upper"]), arm.fore.put(part["fore"]))


def rubber(arm: Pose) -> Mesh:
    """What is black of the arm: joints and hoses."""
    part = _parts()
    joints = [arm.shoulder.put(part["joint 0"]), arm.elbow.put(part["joint 1"]), arm.wrist.put(part["joint 2"])]
    hoses = [arm.upper.put(part["hose"]), arm.fore.put(part["hose"].scaled(1, 1, FORE / UPPER))]
    return join(*joints, *hoses, arm.hand.put(part["wrist"]))


def steel(arm: Pose, half: float) -> Mesh:
    """What is bare metal of the arm: caps and the gripper, opened to hold an object of the given half width."""
    part = _parts()
    caps = [arm.shoulder.put(part["cap 0"]), arm.elbow.put(part["cap 1"]), arm.wrist.put(part["cap 2"])]
    wide = half + 0.014
    reach = 0.6 + half / 0.16
    palm = part["palm"].scaled(2 * wide + 0.05, 1, 1).moved(z=0.07)
    fingers = [part["finger"].scaled(1, 1, reach).moved(x=side * wide, z=0.075) for side in (-1, 1)]
    return join(*caps, *(arm.hand.put(mesh) for mesh in (palm, *fingers)))


def base() -> tuple[Mesh, Mesh, Mesh]:
    """What stands still: the body (lacquered), wheels and vents (black), hubs and bolts (bare metal)."""
    x, y, _ = FOOT
    column = [(0, 0), (0.13, 0), (0.14, 0.02), (0.125, 0.09), (0.10, 0.16), (0.092, 0.20), (0, 0.20)]
    body = join(
        rounded_box(0.58, 0.62, 0.12, 0.035, 4, at=(x, y, 0.26)),
        rounded_box(0.47, 0.52, 0.26, 0.04, 4, at=(x, y, 0.44)),
        rounded_box(0.38, 0.42, 0.22, 0.04, 4, at=(x, y, 0.68)),
        lathe(column, 48, (x, y, 0.79)),
    )
    wheels = [(x + 0.31 * a, y + 0.21 * b, 0.16) for a in (-1, 1) for b in (-1, 1)]
    black = join(
        *(torus(0.105, 0.055, 32).turned("y", 90).moved(*at) for at in wheels),
        *(rounded_box(0.20, 0.012, 0.014, 0.004, 1, at=(x, y - 0.212, 0.62 + 0.032 * i)) for i in range(4)),
        rounded_box(0.32, 0.02, 0.05, 0.01, 2, at=(x, y - 0.262, 0.47)),
        torus(0.128, 0.012, 48, at=(x, y, 0.805)),
    )
    bolts = [(x + 0.17 * a, y - 0.258, 0.355 + 0.16 * b) for a in (-1, 1) for b in (0, 1)]
    metal = join(
        *(cylinder(0.06, 0.10, 0.015, 24).moved(z=-0.05).turned("y", 90).moved(*at) for at in wheels),
        *(cylinder(0.011, 0.012, 0.003, 12).turned("x", 90).moved(*at) for at in bolts),
    )
    return body, black, metal


@functools.cache
def _parts() -> dict[str, Mesh]:
    """The moving parts, each in its own frame. Few triangles: their search tree is built anew for every pose."""
    joints, caps = {}, {}
    for number, (radius, width) in enumerate(((0.084, 0.20), (0.068, 0.17), (0.050, 0.13))):
        joints[f"joint {number}"] = cylinder(radius, width, 0.018, 32, at=(0, 0, -width / 2))
        caps[f"cap {number}"] = cylinder(0.55 * radius, width + 0.014, 0.006, 24, at=(0, 0, -width / 2 - 0.007))
    return {
        "upper": _link(0.086, 0.070, UPPER),
        "fore": _link(0.072, 0.054, FORE),
        "hose": tube([(0.088, 0, 0.06), (0.118, 0, 0.16), (0.112, 0, 0.34), (0.072, 0, 0.46)], 0.011, 10, 6),
        "wrist": cylinder(0.042, 0.075, 0.012, 24),
        "palm": rounded_box(1, 0.062, 0.042, 0.012, 2),
        "finger": rounded_box(0.022, 0.05, 0.16, 0.008, 2, at=(0, 0, 0.08)),
        **joints,
        **caps,
    }


def _link(start: float, end: float, length: float) -> Mesh:
    """A link along z, rounded at both ends."""
    middle = [(start, 0.02), (0.86 * start, 0.07), (0.84 * end, length - 0.07), (end, length - 0.02)]
    lower, upper = arc((0, 0), start, -90, 0, 8), arc((0, length), end, 0, 90, 8)
    lower[0, 0] = upper[-1, 0] = 0
    return lathe([*lower, *middle, *upper], 32)


def _frame(z: Array, towards: Array) -> Array:
    """Axes as columns: the third along `z`, the second as near to `towards` as can be."""
    z = _unit(z)
    x = _unit(np.cross(towards, z))
    return np.stack([x, np.cross(z, x), z], axis=1)


def _unit(vector: Array) -> Array:
    return vector / np.linalg.norm(vector)
