"""The living room: seven factors of light and camera, named and sized as Falcor3D's. 233,280 images.

A corner of a room with a sofa, seen from across a rug. Nothing in it moves: a key light moves over it and a camera
before it. The light is a small square lamp that hangs above the picture's upper edge, so that it is never seen. Its
power grows with the square of its distance: where it hangs decides where shadows fall and how surfaces shade, its
intensity alone how bright the room is. A window at dusk and a floor lamp keep the darkest picture readable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from semistylegan.factors import FactorSpace
from semistylegan.scenes import furniture, textures
from semistylegan.scenes.furniture import Parts
from semistylegan.scenes.materials import Material, Texture, matte, painted, plastic, two_sided
from semistylegan.scenes.meshes import join, plane, rounded_box, sphere, tube
from semistylegan.scenes.stage import By, Camera, Lamp, Stage, Thing

BACK, LEFT, TOP = 2.1, -2.3, 3.7
"""Where the back wall (y), the left wall (x) and their upper edges (z) are, in metres."""
SOFA = (0.15, 1.50)
"""Middle of the sofa (x, y)."""
LIT = np.array([0.1, 0.7, 0.6])
"""The point that the key light is turned towards: between sofa and table."""
WINDOW = (0.55, 1.62, 1.30, 1.50)
"""Middle (y, z), width and height of the window in the left wall."""
FLOOR_LAMP = (-1.42, 1.80)

LIGHT_X = np.linspace(-1.9, 2.4, 6)
LIGHT_Y = np.linspace(-2.8, 0.5, 6)
LIGHT_Z = np.geomspace(2.95, 6.2, 6)
"""Where the key light hangs: to the right, towards the back wall, up, in metres."""
CAMERA_X = np.linspace(-0.6, 1.9, 6)
CAMERA_Y = np.linspace(-3.7, -2.4, 6)
CAMERA_Z = np.linspace(0.85, 2.0, 6)
"""Where the camera stands."""
STRENGTHS = 120.0 * 1.65 ** np.arange(5.0)
"""Each step of the intensity is 1.65 times the one before: to the eye, equal steps."""


def camera(x: int, y: int, z: int) -> Camera:
    """The camera at a place of the grid; it looks at the seat of the sofa, and turns with it by a part of the way."""
    origin = (CAMERA_X[x], CAMERA_Y[y], CAMERA_Z[z])
    return Camera(origin=origin, target=(0.30 * origin[0] - 0.25, 1.2, 0.70 - 0.05 * origin[2]), fov=44)


def key(x: int, y: int, z: int) -> Lamp:
    """The lamp at a place of the grid. What arrives at `LIT` is the same from everywhere."""
    origin = np.array([LIGHT_X[x], LIGHT_Y[y], LIGHT_Z[z]])
    power = float(((origin - LIT) ** 2).sum()) / 10.0
    return Lamp(origin=origin, target=LIT, half=0.11, colour=(power, 0.93 * power, 0.82 * power))


def strength(intensity: int) -> float:
    return float(STRENGTHS[intensity])


def things() -> dict[str, Thing]:
    """All that stands in the room, one thing a material."""
    look = materials()
    return {name: Thing(mesh, look[name]) for name, mesh in meshes().items()}


def meshes() -> Parts:
    """All that stands in the room, by material."""
    return furniture.merge(room(), seats(), tables(), wall())


def room() -> Parts:
    """Floor, walls, window, curtain, skirting boards, rug, plant and floor lamp."""
    y, z, width, height = WINDOW
    low, high, near, far = z - height / 2, z + height / 2, y - width / 2, y + width / 2
    panes = [(-5, BACK, 0, low), (-5, BACK, high, TOP), (-5, near, low, high), (far, BACK, low, high)]
    left = [plane((LEFT, a, c), (0, b - a, 0), (0, 0, d - c), (b - a, d - c)) for a, b, c, d in panes]
    skirting = [
        rounded_box(8, 0.02, 0.12, 0.006, 2, (0, BACK - 0.01, 0.06)),
        rounded_box(0.02, 7.2, 0.12, 0.006, 2, (LEFT + 0.01, -1.5, 0.06)),
    ]
    rod = tube([(LEFT + 0.15, -0.45, high + 0.20), (LEFT + 0.15, 1.78, high + 0.20)], 0.013, 12, 1)
    knobs = [sphere(0.028, 20, (LEFT + 0.15, end, high + 0.20)) for end in (-0.45, 1.78)]
    return furniture.merge(
        {
            "floor": plane((4, -6, 0), (0, 8.2, 0), (-8, 0, 0), (8.2, 8)),
            "wall": plane((-4, BACK, 0), (8, 0, 0), (0, 0, TOP), (8, TOP)),
            "side wall": join(*left),
            "white": join(*skirting),
            "black": join(rod, *knobs),
        },
        furniture.window(LEFT, y, z, width, height),
        furniture.curtain(LEFT, far - 0.02, far + 0.42, high + 0.20),
        furniture.curtain(LEFT, near - 0.40, near + 0.02, high + 0.20),
        furniture.rug(0.0, -0.30, 2.9, 1.95),
        furniture.plant(-1.78, 1.22, 50),
        furniture.floor_lamp(*FLOOR_LAMP, 1.74, 0.18, 0.26),
    )


def seats() -> Parts:
    """The sofa, its pillows and a blanket."""
    x, y = SOFA
    return furniture.merge(
        furniture.sofa(x, y),
        furniture.throw_pillow(0.46, "terracotta", (x - 0.83, y - 0.06, 0.72), 16, 16, 1),
        furniture.throw_pillow(0.40, "stripes", (x - 0.54, y - 0.16, 0.69), 22, 4, 3),
        furniture.throw_pillow(0.44, "mustard", (x + 0.80, y - 0.08, 0.71), 18, -20, 2),
        furniture.blanket(x + 1.10, y - 0.10, 0.65, 0.11),
    )


def tables() -> Parts:
    """The coffee table, the side tables, and what stands on them."""
    low, high = (-0.05, -0.30), (1.78, 1.62)
    top, upper = 0.420, 0.550
    return furniture.merge(
        furniture.coffee_table(*low),
        furniture.side_tables(*high),
        furniture.book_stack(low[0] + 0.28, low[1] - 0.02, top, (10, -8, 21)),
        furniture.fruit(low[0] - 0.02, low[1] + 0.08, top),
        furniture.branches(high[0] - 0.04, high[1] + 0.06, upper + 0.26, 5),
        {
            "red": join(
                furniture.vase("round", 0.31, (low[0] - 0.30, low[1] + 0.02, top)),
                furniture.vase("bowl", 0.075, (high[0] + 0.03, high[1] - 0.37, 0.40)),
            ),
            "black": join(
                furniture.vase("tall", 0.21, (low[0] - 0.16, low[1] - 0.12, top)),
                furniture.vase("tall", 0.30, (high[0] - 0.04, high[1] + 0.06, upper)),
            ),
            "teal": furniture.vase("bottle", 0.17, (high[0] + 0.12, high[1] - 0.10, upper)),
        },
    )


def wall() -> Parts:
    """Box shelves with vases and books, and two paintings."""
    boxes = [(-0.78, 1.86, 0.26, 0.48), (-0.32, 1.66, 0.58, 0.20), (-0.20, 1.95, 0.40, 0.24), (0.36, 1.84, 0.34, 0.30)]
    floors = [z - height / 2 for _, z, _, height in boxes]
    y = BACK - 0.10
    return furniture.merge(
        *(furniture.box_shelf(*box, wall=BACK) for box in boxes),
        furniture.books(-0.58, y, floors[1], 5, 3),
        furniture.books(0.24, y, floors[3], 4, 8),
        furniture.picture(1.16, 1.78, 0.46, 0.60, BACK, "painting one"),
        furniture.picture(1.80, 1.78, 0.46, 0.60, BACK, "painting two"),
        {
            "red": join(
                furniture.vase("bottle", 0.26, (-0.80, y, floors[0])),
                furniture.vase("round", 0.15, (-0.14, y, floors[1])),
                furniture.vase("bowl", 0.07, (-0.78, y, 1.86 + 0.24 + 0.022)),
            ),
            "black": join(
                furniture.vase("tall", 0.17, (-0.32, y, floors[2])),
                furniture.vase("round", 0.11, (-0.71, y - 0.03, floors[0])),
            ),
            "teal": join(
                furniture.vase("round", 0.14, (-0.12, y, floors[2])),
                furniture.vase("bottle", 0.19, (0.47, y, floors[3])),
            ),
        },
    )


def materials() -> dict[str, Material]:
    """What each thing is made of."""
    oak = textures.boards(1536, 1536, 12, 2, (0.56, 0.40, 0.25), (0.88, 0.69, 0.47), 5)
    walnut = textures.wood(512, 512, (0.30, 0.18, 0.10), (0.58, 0.38, 0.23), 9)
    kilim = textures.rug(768, 1152, (0.83, 0.77, 0.67), (0.62, 0.24, 0.17), (0.25, 0.37, 0.42), 2)
    knit = textures.fabric(256, 256, (0.28, 0.42, 0.46), 6, 0.5)
    one = [(0.93, 0.89, 0.81), (0.70, 0.20, 0.14), (0.86, 0.52, 0.28), (0.16, 0.24, 0.30), (0.90, 0.74, 0.46)]
    two = [(0.91, 0.90, 0.85), (0.20, 0.38, 0.42), (0.53, 0.66, 0.61), (0.83, 0.58, 0.40), (0.22, 0.24, 0.28)]
    return {
        "floor": painted(Texture(oak, 1.8), 0.34),
        "wall": matte(Texture(textures.plaster(512, 512, (0.77, 0.79, 0.75), 1), 2.4)),
        "side wall": matte((0.71, 0.74, 0.70)),
        "white": painted((0.91, 0.90, 0.88), 0.38),
        "black": painted((0.055, 0.055, 0.060), 0.28),
        "walnut": painted(Texture(walnut, (1.1, 0.5)), 0.33),
        "curtain": two_sided(matte((0.84, 0.81, 0.74))),
        "rug": matte(Texture(kilim)),
        "linen": matte((0.84, 0.78, 0.66)),
        "sofa": painted(Texture(textures.fabric(512, 512, (0.74, 0.70, 0.63), 4, 0.22), 0.5), 0.9, 0.25),
        "terracotta": painted(Texture(textures.fabric(256, 256, (0.72, 0.32, 0.20), 7, 0.3), 0.3), 0.9, 0.2),
        "mustard": painted(Texture(textures.fabric(256, 256, (0.83, 0.62, 0.22), 8, 0.3), 0.3), 0.9, 0.2),
        "stripes": painted(
            Texture(textures.stripes(256, 256, [(0.89, 0.86, 0.78), (0.24, 0.36, 0.42)], 10, 9), 0.4), 0.9, 0.2
        ),
        "throw": two_sided(matte(Texture(knit, 0.3))),
        "red": painted((0.66, 0.10, 0.07), 0.18, 0.5, 0.6),
        "teal": plastic((0.10, 0.34, 0.38), 0.08),
        "cream": plastic((0.88, 0.84, 0.75), 0.12),
        "orange": painted((0.90, 0.47, 0.08), 0.42),
        "paper": matte((0.92, 0.91, 0.87)),
        "book0": painted((0.18, 0.32, 0.40), 0.55),
        "book1": painted((0.80, 0.60, 0.28), 0.55),
        "book2": painted((0.58, 0.22, 0.17), 0.55),
        "painting one": painted(Texture(textures.painting(512, 384, one, 3)), 0.4),
        "painting two": painted(Texture(textures.painting(512, 384, two, 8)), 0.4),
        "twig": matte((0.22, 0.15, 0.11)),
        "leaf": two_sided(painted(Texture(_leaf_picture()), 0.38)),
        "soil": matte((0.14, 0.10, 0.08)),
    }


def _leaf_picture() -> textures.Array:
    """Dark at the edges, lighter along the middle vein."""
    across = np.abs(np.linspace(-1, 1, 64))[None, :, None]
    tone = 0.85 + 0.3 * textures.noise(256, 64, 2, 4, (8, 2))[..., None]
    vein = np.clip(1 - across / 0.07, 0, 1)
    return np.clip(np.array([0.12, 0.32, 0.13]) * tone * (1.1 - 0.3 * across) + vein * (0.10, 0.16, 0.06), 0, 1)


def lights() -> Mapping[str, Mapping[str, Any]]:
    """The window's dusk and the drum of the floor lamp."""
    y, z, width, height = WINDOW
    x, back = FLOOR_LAMP
    dusk = {"type": "area", "radiance": {"type": "rgb", "value": [0.62, 0.78, 1.05]}}
    glow = {"type": "area", "radiance": {"type": "rgb", "value": [2.6, 1.65, 0.85]}}
    half, up = width / 2 + 0.05, height / 2 + 0.05
    onto_wall = np.array([(0, 0, 1, LEFT - 0.12), (half, 0, 0, y), (0, up, 0, z), (0, 0, 0, 1)])
    pane = {"type": "rectangle", "to_world": onto_wall}
    drum = {"type": "cylinder", "p0": [x, back, 1.48], "p1": [x, back, 1.74], "radius": 0.18}
    return {"dusk": pane | {"emitter": dusk}, "drum": drum | {"emitter": glow}}


STAGE = Stage(
    name="living-room",
    factors=FactorSpace.falcor3d(),
    things=things,
    camera=By(camera, "camera_x-pos", "camera_y-pos", "camera_z-pos"),
    key=By(key, "lighting_x-dir", "lighting_y-dir", "lighting_z-dir"),
    strength=By(strength, "lighting_intensity"),
    sky=(0.10, 0.11, 0.125),
    lights=lights,
    exposure=1.0,
)
