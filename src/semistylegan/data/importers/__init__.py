"""One file for each family of formats: what lies on a disk -> a `Source`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from semistylegan.data.importers.celeba import open_celeba
from semistylegan.data.importers.dsprites import open_dsprites
from semistylegan.data.importers.folder import open_folder, open_stylegan
from semistylegan.data.importers.huggingface import open_huggingface
from semistylegan.data.importers.isaac import open_falcor3d, open_isaac3d
from semistylegan.data.importers.mpi3d import open_mpi3d
from semistylegan.data.importers.shapes3d import open_shapes3d
from semistylegan.data.importers.source import Source
from semistylegan.data.importers.webdataset import open_webdataset
from semistylegan.errors import UserError

FORMATS: dict[str, Callable[[Path], Source]] = {
    "folder": open_folder,
    "stylegan": open_stylegan,
    "isaac3d": open_isaac3d,
    "falcor3d": open_falcor3d,
    "dsprites": open_dsprites,
    "shapes3d": open_shapes3d,
    "mpi3d": open_mpi3d,
    "celeba": open_celeba,
    "huggingface": open_huggingface,
    "webdataset": open_webdataset,
}
"""By the name that `semistylegan import` takes."""


def open_source(name: str, path: str | Path) -> Source:
    """Opens data of the format `name`.

    Raises:
        UserError: an unknown format, or what lies at `path` is not of it; says what was expected.
    """
    if name not in FORMATS:
        raise UserError(f"format {name!r}: known are {', '.join(FORMATS)}")
    return FORMATS[name](Path(path))


__all__ = ["FORMATS", "Source", "open_source"]
