"""A rendered scene as a declaration: what stands there, and what each factor changes.

A scene file builds one :class:`Stage` from pure functions and imports no Mitsuba; `engine.py` turns it into pictures.
The factors a function depends on are named beside it, and from these names follows everything that makes rendering
cheap: what has to be rendered again for the next image, and the order in which images share most.

World: metres, z up. Degrees. Colours of things are sRGB, of lights linear RGB.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace, IntArray
from semistylegan.scenes.materials import Material, Rgb
from semistylegan.scenes.meshes import Mesh

T = TypeVar("T")
Point = Sequence[float] | npt.NDArray[np.floating[Any]]


@dataclass(frozen=True)
class Thing:
    """Something that stands in the scene."""

    mesh: Mesh
    material: Material
    """From `materials.py`."""


@dataclass(frozen=True)
class Camera:
    """Where the picture is taken from."""

    origin: Point
    target: Point
    fov: float
    """Degrees from the left edge to the right one."""


@dataclass(frozen=True)
class Lamp:
    """The key light: a square that radiates towards its target. The picture should never show it."""

    origin: Point
    target: Point
    half: float
    """Half its side, in metres: a larger lamp casts softer shadows."""
    colour: Rgb
    """Radiance at strength 1, linear RGB."""


@dataclass(frozen=True, init=False)
class By(Generic[T]):
    """`By(camera, "camera_height")`: a function of the value indices of the named factors, in this order."""

    function: Callable[..., T]
    factors: tuple[str, ...]

    def __init__(self, function: Callable[..., T], *factors: str) -> None:
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "factors", factors)

    def values(self, space: FactorSpace, values_F: IntArray) -> tuple[int, ...]:
        """The value indices of an image that this depends on."""
        return tuple(int(values_F[space.position(name)]) for name in self.factors)


@dataclass(frozen=True)
class Stage:
    """A scene to be rendered. All functions live at the top of a module, so that processes can share them.

    Light adds up: image = tone(strength x (the key light alone) + (all steady light)). So each pair of renders serves
    every value of the strength, and the second of the pair every place of the key light.
    """

    name: str
    """What `semistylegan render` calls it."""
    factors: FactorSpace
    """Each with a grid; the image of index i shows `factors.values_of(i)`. Each is named in a `By`."""
    things: Callable[[], Mapping[str, Thing]]
    """All that stands there, by name. Called once a process."""
    camera: By[Camera]
    key: By[Lamp]
    strength: By[float]
    """How strong the key light is; the factors named here change nothing else."""
    poses: By[Mapping[str, Mesh]] | None = None
    """Things that move, by name: their new meshes, each with as many vertices as the first one, and its faces."""
    colours: tuple[By[Mapping[str, Rgb]], ...] = ()
    """Things that change colour, by name. Their materials have one plain colour; what shares one keeps its own."""
    sky: Rgb = (0.1, 0.1, 0.1)
    """Light from everywhere, linear RGB: what keeps shadows from being black."""
    lights: Callable[[], Mapping[str, Mapping[str, Any]]] = dict
    """More steady lights, by name, as Mitsuba's dictionaries; a 4 x 4 array is a transform."""
    exposure: float = 1.0
    """Multiplies all light before the tone curve."""
    version: int = field(default=2, kw_only=True)
    """Raise it when the pictures change."""

    def __post_init__(self) -> None:
        for name in ("colours", "sky"):  # lists, too: processes remember a stage by its hash
            object.__setattr__(self, name, tuple(getattr(self, name)))
        used = {name for by in self.dearest_first for name in by.factors}
        if idle := [factor.name for factor in self.factors if factor.size != 1 and factor.name not in used]:
            fix = "name it in a By, or leave it out of the factors"
            raise UserError(f"scene {self.name}: no function depends on {', '.join(idle)}; {fix}")

    @property
    def dearest_first(self) -> tuple[By[Any], ...]:
        """Its functions of factors, in the order of what their changes cost."""
        return tuple(by for by in (self.poses, self.camera, *self.colours, self.key, self.strength) if by)

    def order(self, indices: IntArray) -> npt.NDArray[np.int64]:
        """Sorts indices so that what is dearest to change changes least: poses, camera, colours, key, strength."""
        values_NF = self.factors.values_of(indices)
        names = dict.fromkeys(name for by in self.dearest_first for name in by.factors)
        columns = [values_NF[:, self.factors.position(name)] for name in names]
        return np.asarray(indices, dtype=np.int64)[np.lexsort(columns[::-1])]

    def without(self, values_F: IntArray, *parts: By[Any]) -> int:
        """The image that shows the same but for the factors of these parts alone, which are zero."""
        kept = {name for by in self.dearest_first if by not in parts for name in by.factors}
        still = np.array(values_F)
        for by in parts:
            for name in by.factors:
                if name not in kept:
                    still[self.factors.position(name)] = 0
        return int(self.factors.index_of(still))
