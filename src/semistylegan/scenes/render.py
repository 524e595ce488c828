"""The scenes: pictures as a pure function of an index in a grid of factors."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace, IntArray
from semistylegan.scenes import engine, kitchen, living_room, sprites
from semistylegan.scenes.stage import Stage


def _as_it_is(indices: IntArray) -> IntArray:
    return indices


def _nothing(resolution: int) -> Mapping[str, str]:
    return {}


@dataclass(frozen=True)
class Scene:
    """Something that can be rendered. Its functions live at the top of a module, so that processes can share them."""

    name: str
    """What `semistylegan render` calls it."""
    space: FactorSpace
    """Its factors, each with a grid; the image of index i shows `space.values_of(i)`."""
    render: Callable[[int, int], npt.NDArray[np.uint8]]
    """(index, resolution) -> uint8, resolution x resolution x 3 (x 1 in a grey scene). The same bytes in every process
    and every order. :meth:`picture` is the same, checked."""
    order: Callable[[IntArray], IntArray] = _as_it_is
    """Sorts indices so that neighbours share work (geometry, light). A pure function."""
    chunk: int = 512
    """Images that one process renders in a row, and that a kill can lose: some seconds of work."""
    version: int = 1
    """Raise it when the pictures change: what is half rendered is then not mixed with the new."""
    details: Callable[[int], Mapping[str, str]] = _nothing
    """What else decides the bytes at a resolution on this machine, e.g. {"variant": "scalar_rgb"}; part of a data set's
    settings."""
    slow: bool = False
    """Whether an image takes so long that other processes should help from the first one."""

    def picture(self, index: int, resolution: int) -> npt.NDArray[np.uint8]:
        """What `render` gives, checked.

        Raises:
            UserError: it is of another type or shape; names the scene and the image.
        """
        image = np.asarray(self.render(index, resolution))
        if image.dtype != np.uint8 or image.shape not in [(resolution, resolution, c) for c in (3, 1)]:
            raise UserError(
                f"scene {self.name}: image {index} is {image.dtype} {' x '.join(map(str, image.shape))}; "
                f"render must give uint8, {resolution} x {resolution} x 3 (or x 1)"
            )
        return image

    def chunk_at(self, resolution: int) -> int:
        """Images of a chunk: `chunk` up to 128 pixels, fewer above."""
        return max(self.chunk // max(resolution // 128, 1) ** 2, 4)


def rendered(stage: Stage) -> Scene:
    """A stage as a scene: rendered with Mitsuba."""
    return Scene(
        stage.name,
        stage.factors,
        functools.partial(engine.render, stage),
        order=stage.order,
        chunk=96,
        version=stage.version,
        details=engine.details,
        slow=True,
    )


SCENES: dict[str, Scene] = {
    "sprites": Scene("sprites", sprites.FACTORS, sprites.render),
    "kitchen": rendered(kitchen.STAGE),
    "living-room": rendered(living_room.STAGE),
}
"""Every scene by name."""


def choose_indices(space: FactorSpace, count: int | None, seed: int) -> npt.NDArray[np.int64]:
    """`count` different indices of the grid, ascending, drawn from the seed; None: all.

    With the same seed a larger count's indices contain a smaller one's.
    """
    if count is None or count >= space.total:
        return np.arange(space.total, dtype=np.int64)
    return np.sort(np.random.default_rng([seed, 0x5CE7E]).permutation(space.total)[:count].astype(np.int64))
