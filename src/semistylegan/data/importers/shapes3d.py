"""Shapes3D: `3dshapes.h5` with `images` (480000 x 64 x 64 x 3) and `labels` (480000 x 6, in own units).

Source: Burgess and Kim 2018, deepmind/3d-shapes.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from semistylegan.data.importers.source import GridSource, one_file, with_factors
from semistylegan.data.pictures import Header, ImageArray
from semistylegan.errors import UserError, missing_extra
from semistylegan.factors import Factor, FactorSpace

SPACE = with_factors(
    FactorSpace.shapes3d(),
    *(Factor.circular(f"{part}_hue", 10, 0.0, 1.0, unit="") for part in ("floor", "wall", "object")),
    Factor.scalar("scale", 8, 0.75, 1.25),
    Factor.categorical("shape", ("cube", "cylinder", "sphere", "capsule")),
    Factor.scalar("orientation", 15, -30.0, 30.0, unit="°"),
)


def open_shapes3d(source: Path) -> GridSource:
    """The .h5, or a folder that holds it. Needs the extra `formats`."""
    path = one_file(source, "*3dshapes*.h5", "3dshapes.h5")
    try:
        import h5py
    except ImportError:
        raise missing_extra("reading an .h5 file", "formats") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise UserError(f"{path}: not an .h5 file, or cut off ({str(error)[:60]}); download it again") from None
    try:
        _check(path, file)
    except UserError:
        file.close()
        raise
    images = file["images"]

    def rows(start: int, stop: int) -> ImageArray:
        try:
            return np.asarray(images[start:stop], np.uint8)
        except OSError as error:
            raise UserError(f"{path}: images is damaged ({str(error)[:60]}); download it again") from None

    return GridSource(path, SPACE, Header(64, 64, 3), rows)


def _check(path: Path, file: Any) -> None:
    """Checks the shapes, and that each row of labels says what the image's number says.

    Only the order of a column's values counts.
    """
    for key, shape in (("images", (SPACE.total, 64, 64, 3)), ("labels", (SPACE.total, len(SPACE)))):
        if key not in file:
            raise UserError(f"{path}: holds {', '.join(list(file)[:6]) or 'nothing'}; expected an array {key!r}")
        if file[key].shape != shape:
            found, wanted = (" x ".join(map(str, s)) for s in (file[key].shape, shape))
            raise UserError(f"{path}: {key} is {found}; expected {wanted}; is it the right file?")
    value_NF = np.asarray(file["labels"], np.float64)
    numbers = SPACE.values_of(np.arange(SPACE.total))
    for f, factor in enumerate(SPACE):
        own, index = np.unique(value_NF[:, f], return_inverse=True)
        if len(own) != factor.size:
            raise UserError(f"{path}: labels: {factor.name} takes {len(own)} values; expected {factor.size}")
        if (index != numbers[:, f]).any():
            row = int(np.flatnonzero(index != numbers[:, f])[0])
            raise UserError(
                f"{path}: labels row {row}: {factor.name}={value_NF[row, f]:g} is not that of a full grid; "
                "expected the order as published"
            )
