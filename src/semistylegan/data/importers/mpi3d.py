"""MPI3D: an .npz with one array `images`, N x 64 x 64 x 3.

Toy, realistic and real share a grid, real-complex has its own; the number of images says which. Names of classes as
in the authors' README. Source: Gondal et al. 2019, rr-learning/disentanglement_dataset; CC BY 4.0.
"""

from __future__ import annotations

from pathlib import Path

from semistylegan.data.importers.arrays import NpzMember
from semistylegan.data.importers.source import GridSource, one_file, with_factors
from semistylegan.data.pictures import Header
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

_SHARED = (
    Factor.categorical("object_size", ("small", "large")),
    Factor.categorical("background_color", ("purple", "sea green", "salmon")),
)
SIMPLE = with_factors(
    FactorSpace.mpi3d("toy"),
    Factor.categorical("object_color", ("white", "green", "red", "blue", "brown", "olive")),
    Factor.categorical("object_shape", ("cone", "cube", "cylinder", "hexagonal", "pyramid", "sphere")),
    *_SHARED,
)
COMPLEX = with_factors(
    FactorSpace.mpi3d("complex"),
    Factor.categorical("object_color", ("yellow", "green", "olive", "red")),
    Factor.categorical("object_shape", ("coffee cup", "tennis ball", "croissant", "beer cup")),
    *_SHARED,
)


def open_mpi3d(source: Path) -> GridSource:
    """The .npz, or a folder that holds just one."""
    path = one_file(source, "*.npz", "mpi3d_toy.npz, mpi3d_realistic.npz, mpi3d_real.npz or the complex one")
    images = NpzMember(path, "images")
    space = {s.total: s for s in (SIMPLE, COMPLEX)}.get(images.shape[0])
    if space is None:
        raise UserError(
            f"{path}: images holds {images.shape[0]:,}; expected {SIMPLE.total:,} (toy, realistic, real) or "
            f"{COMPLEX.total:,} (real-complex); is it the right file?"
        )
    images.expect((space.total, 64, 64, 3), "u")
    return GridSource(path, space, Header(64, 64, 3), images.rows)
