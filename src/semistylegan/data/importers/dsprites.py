"""dSprites: `dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz` with `imgs` (737280 x 64 x 64, 0 or 1), `latents_classes`.

Its `metadata` is a pickle and is never read. Source: Matthey et al. 2017, deepmind/dsprites-dataset.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semistylegan.data.importers.arrays import NpzMember
from semistylegan.data.importers.source import GridSource, one_file, with_factors
from semistylegan.data.pictures import Header, ImageArray
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

SPACE = with_factors(
    FactorSpace.dsprites(),
    Factor.categorical("shape", ("square", "ellipse", "heart")),
    Factor.scalar("scale", 6, 0.5, 1.0),
    # As published, the last angle is the first again (0 and 360 degrees); squares and ellipses repeat sooner.
    Factor.scalar("orientation", 40, 0.0, 360.0, unit="°"),
    Factor.scalar("position_x", 32),
    Factor.scalar("position_y", 32),
)


def open_dsprites(source: Path) -> GridSource:
    """The .npz, or a folder that holds it."""
    path = one_file(source, "dsprites*.npz", "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz")
    images, classes = NpzMember(path, "imgs"), NpzMember(path, "latents_classes")
    images.expect((SPACE.total, 64, 64), "ub")
    classes.expect((SPACE.total, len(SPACE)), "iu")
    wrong = classes.rows(0, SPACE.total) != SPACE.values_of(np.arange(SPACE.total))
    classes.close()
    if wrong.any():
        row = int(np.flatnonzero(wrong.any(axis=1))[0])
        raise UserError(
            f"{path}: latents_classes row {row} is not that of a full grid; expected the order as published"
        )

    def rows(start: int, stop: int) -> ImageArray:
        found = images.rows(start, stop).astype(np.uint8)
        return (255 * found if found.max(initial=0) <= 1 else found)[..., None]

    return GridSource(path, SPACE, Header(64, 64, 1), rows)
