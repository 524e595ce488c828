"""Isaac3D and Falcor3D: numbered images, and a table of levels that says the same as the numbers.

Published as `Isaac3D_down128/images/NNNNNN.png` with `Isaac3D_down128/labels.npy` (float64, 737280 x 9, levels in
[0, 1]) and `Falcor3D_down128/images/NNNNNN.png` with `Falcor3D_down128/train-rec.labels` (an .npy too, 233280 x 7); the
full sizes as `Isaac3D/images`, `Falcor3D/images`. The number of an image is row-major over the value indices in the
order of `FactorSpace.isaac3d()`. (The README of Isaac3D writes the formula with its names in another order; read so, it
reaches only half of the numbers.) A part of the images is enough: each is known by its number. Images without a number
need a `metadata.csv` whose cells are value indices.

Source: NVIDIA, "High resolution disentanglement datasets", with Nie et al., ICML 2020; CC BY 4.0.
"""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semistylegan.data.importers.source import StoreSource, with_factors
from semistylegan.data.labels import Labels, parse_csv
from semistylegan.data.storage import ImageStore, open_store
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

LABEL_FILES = ("labels.npy", "train-rec.labels")


def open_isaac3d(source: Path) -> StoreSource:
    """Isaac3D in either size; `source` is its folder, the folder around it, or the zip as downloaded.

    Shape and the two colours are read as classes: `train --factor-kinds scalar` treats them as the paper does.
    """
    space = FactorSpace.isaac3d()
    kinds = [_numbered(space[name]) for name in ("object_shape", "object_color", "wall_color")]
    return _open(source, with_factors(space, *kinds), "isaac3d")


def open_falcor3d(source: Path) -> StoreSource:
    """Falcor3D in either size; `source` as for Isaac3D."""
    return _open(source, FactorSpace.falcor3d(), "falcor3d")


def _numbered(factor: Factor) -> Factor:
    """Classes 0, 1, 2, ...: what they look like is published nowhere in words."""
    assert factor.size is not None
    return Factor.categorical(factor.name, [str(i) for i in range(factor.size)])


def _open(source: Path, space: FactorSpace, name: str) -> StoreSource:
    store = open_store(source)
    table = store.other_file("metadata.csv")
    if table is not None:
        return StoreSource(store, *parse_csv(table, store.place("metadata.csv"), store.names, space))
    rows, numbers = _numbers(store, space, name)
    levels = space.levels_of_indices(space.values_of(numbers)).astype(np.float32)
    folder = _around(store.names[rows[0]])
    for file in LABEL_FILES:
        if (data := store.other_file(folder + file)) is not None:
            _compare(data, f"{store.path}/{folder}{file}", space, numbers)
            notes = [f"{folder}{file} agrees with the numbers of the images"]
            break
    else:
        notes = [f"no {' or '.join(LABEL_FILES)} beside the images: their numbers say all factors"]
    if len(rows) < space.total:
        notes.append(f"{len(rows):,} of the {space.total:,} images of {name} are here")
    labels = Labels(levels, np.ones(levels.shape, np.bool_))
    source_ = StoreSource(store, space, labels, rows, [f"{n:06d}.png" for n in numbers.tolist()])
    source_.notes = notes
    return source_


def _numbers(store: ImageStore, space: FactorSpace, name: str) -> tuple[list[int], npt.NDArray[np.int64]]:
    """Which files of the store are numbered images, by ascending number, and the numbers."""
    found: dict[int, int] = {}
    for i, file in enumerate(store.names):
        stem = file.rpartition("/")[2].rpartition(".")[0]
        if not (stem.isascii() and stem.isdigit()):
            continue
        number = int(stem)
        if number >= space.total:
            raise UserError(
                f"{store.shown(i)}: {name} has images 000000 to {space.total - 1:06d}; remove what is not of it"
            )
        if number in found:
            raise UserError(
                f"{store.shown(i)}: {store.names[found[number]]} has the same number; name one folder of them"
            )
        found[number] = i
    if not found:
        raise UserError(
            f"{store.path}: no image with a number for a name; expected images/000000.png to "
            f"images/{space.total - 1:06d}.png, or a metadata.csv of value indices"
        )
    numbers = sorted(found)
    return [found[n] for n in numbers], np.asarray(numbers, np.int64)


def _around(image: str) -> str:
    """The folder that holds the labels, ending in / or empty: the one around `images/`."""
    folder = image.rpartition("/")[0]
    if folder.rpartition("/")[2] == "images":
        folder = folder.rpartition("/")[0]
    return folder + "/" if folder else ""


def _compare(data: bytes, source: str, space: FactorSpace, numbers: npt.NDArray[np.int64]) -> None:
    """Checks the published table of levels: its shape, its range, and that it says what the numbers say.

    A level becomes a value index by rounding: 5/7 times 7 is 4.999..., which a cast would make 4.

    Raises:
        UserError: it does not; says what was expected.
    """
    mend = "download it again, or remove it: the numbers of the images say the same"
    try:
        table = np.load(io.BytesIO(data), allow_pickle=False)
    except (ValueError, EOFError, OSError):
        raise UserError(f"{source}: not an .npy array; expected {space.total} x {len(space)} numbers; {mend}") from None
    shape = (space.total, len(space))
    if not isinstance(table, np.ndarray) or table.shape != shape or table.dtype.kind not in "fiu":
        shown = " x ".join(map(str, table.shape)) if isinstance(table, np.ndarray) else "several arrays"
        raise UserError(f"{source}: holds {shown}; expected {shape[0]} x {shape[1]} numbers; {mend}")
    levels = np.asarray(table[numbers], np.float64)
    if not ((levels >= -1e-6) & (levels <= 1 + 1e-6)).all():
        low, high = np.nanmin(levels), np.nanmax(levels)
        raise UserError(f"{source}: numbers from {low:g} to {high:g}; expected levels from 0 to 1; {mend}")
    steps = np.asarray(space.sizes) - 1
    indices = np.rint(levels * steps).astype(np.int64)
    wrong = (indices != space.values_of(numbers)) | (np.abs(levels * steps - indices) > 0.05)
    if wrong.any():
        row, f = np.argwhere(wrong)[0]
        expected = space.values_of(numbers[row])[f] / steps[f]
        raise UserError(
            f"{source}: row {numbers[row]}: {space[int(f)].name}={levels[row, f]:.4g}, where image {numbers[row]:06d} "
            f"has {expected:.4g} by its number; {mend}"
        )
