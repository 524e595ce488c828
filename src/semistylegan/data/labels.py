"""Labels: what is known about images; from `metadata.csv` (see `table`) and back; which rows a run may read.

(`documents` reads the labels of a `dataset.json`.) Suffixes: N images, F factors.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan.data.columns import between_commas, in_words
from semistylegan.data.table import Table
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace


def row_numbers(rows: Any, count: int) -> npt.NDArray[np.int64]:
    """Numbers of images, whichever way they are chosen.

    Args:
        rows: whole numbers, or a mask of one True or False an image.
        count: how many images there are.

    Returns:
        int64, in the order given; whether they are below `count` is not looked at.

    Raises:
        UserError: a mask of another length, or anything but whole numbers.
    """
    given = np.asarray(rows)
    if given.dtype == np.bool_:
        if given.shape != (count,):
            raise UserError(
                f"images: a mask of shape {given.shape}, but there are {count}; give one True or False each"
            )
        return np.flatnonzero(given).astype(np.int64)
    if given.size and given.dtype.kind not in "iu":
        raise UserError(f"images: numbers of type {given.dtype}; give whole numbers, or one True or False an image")
    return given.astype(np.int64)


@dataclass(frozen=True)
class Labels:
    """What is known about N images: levels (see `factors`), and a mask of what is known.

    An unknown entry of `level_NF` holds 0 and means nothing: always look at `known_NF`.
    """

    level_NF: npt.NDArray[np.float32]
    known_NF: npt.NDArray[np.bool_]

    def __post_init__(self) -> None:
        assert self.level_NF.ndim == 2 and self.level_NF.shape == self.known_NF.shape, self.level_NF.shape
        assert self.level_NF.dtype == np.float32 and self.known_NF.dtype == np.bool_

    @classmethod
    def none(cls, n: int, f: int) -> Labels:
        """N images without a single label."""
        return cls(np.zeros((n, f), np.float32), np.zeros((n, f), np.bool_))

    def __len__(self) -> int:
        return len(self.level_NF)

    @property
    def labelled_rows(self) -> npt.NDArray[np.int64]:
        """Numbers of the images of which anything is known, ascending."""
        return np.flatnonzero(self.known_NF.any(axis=1)).astype(np.int64)

    def keep(self, rows: Sequence[int] | npt.NDArray[np.integer[Any] | np.bool_]) -> Labels:
        """These labels for `rows` (see :func:`row_numbers`) alone; every other image becomes unknown."""
        kept = np.zeros(len(self), np.bool_)
        kept[row_numbers(rows, len(self))] = True
        known = self.known_NF & kept[:, None]
        return Labels(np.where(known, self.level_NF, np.float32(0)), known)

    def as_scalars(self, space: FactorSpace) -> Labels:
        """These labels, of the factors of `space`, where each of them is a number (`--factor-kinds scalar`)."""
        level = space.scalar_levels(self.level_NF).astype(np.float32)
        return Labels(np.where(self.known_NF, level, np.float32(0)), self.known_NF)

    def columns(self, which: Sequence[int]) -> Labels:
        """These labels of some factors alone."""
        return Labels(self.level_NF[:, list(which)], self.known_NF[:, list(which)])


def choose_rows(labels: Labels, fraction: float, seed: int) -> npt.NDArray[np.int64]:
    """The images whose labels a run may read: round(fraction * N) of those that carry labels, ascending.

    Drawn uniformly and once, from the seed and from which images are labelled; the labels' values are never read.
    With the same seed a smaller fraction's rows are among a larger one's.

    Args:
        labels: of all N images of the data set.
        fraction: of N (not of the labelled images), over 0 and up to 1.
        seed: 0 or more.

    Raises:
        UserError: that would be no image, or more images than carry labels; says which fraction works.
    """
    n, rows = len(labels), labels.labelled_rows
    if not (0 < fraction <= 1):
        raise UserError(
            f"label fraction {fraction:g}: give a number over 0 and up to 1 (training without labels: --preset info)"
        )
    if seed < 0:
        raise UserError(f"seed {seed}: give 0 or more")
    count = round(fraction * n)
    if count == 0:
        raise UserError(
            f"label fraction {fraction:g} of {n} images is no image at all: give {1 / n:.4g} for one, or more"
        )
    if len(rows) == 0:
        raise UserError(f"label fraction {fraction:g}: the data has no labels; train with --preset info")
    if count > len(rows):
        raise UserError(
            f"label fraction {fraction:g} of {n} images is {count}, but only {len(rows)} carry labels: "
            f"give at most {len(rows) / n:.7g}, or leave it out to use them all"
        )
    order = np.random.default_rng([seed, 0x1ABE1]).permutation(len(rows))
    return np.sort(rows[order[:count]])


def hold_out_parts(space: FactorSpace, spec: str) -> list[str]:
    """The parts of a `--hold-out`, with commas between; a comma in the name of a value parts nothing."""

    def is_setting(text: str) -> bool:
        try:
            return bool(space.parse_settings([text]))
        except UserError:
            return False

    return between_commas(spec, is_setting)


def held_out_rows(labels: Labels, space: FactorSpace, spec: str, seed: int) -> npt.NDArray[np.int64]:
    """The images that a run may not see at all, neither labels nor pixels, ascending.

    Args:
        labels: of all N images; read for `factor=value` alone.
        space: the factors.
        spec: parts, see :func:`hold_out_parts`: `factor=value` (or `factor=#k`) holds out every image with this label
            (what images without a label show, nobody knows), a number over 0 and under 1 this share of all images,
            drawn from the seed.
        seed: 0 or more.

    Raises:
        UserError: a part that is neither or means no image, or one that leaves no image to train on; names it.
    """
    out = np.zeros(len(labels), np.bool_)
    for part in hold_out_parts(space, spec):
        if "=" in part:
            ((name, level),) = space.parse_settings([part]).items()
            f = space.position(name)
            own = labels.known_NF[:, f] & (np.abs(labels.level_NF[:, f] - level) < 1e-6)
            if not own.any():
                raise UserError(f"--hold-out {part}: no image has this label; give another value, or leave it out")
            out |= own
            continue
        try:
            share = float(part)
        except ValueError:
            share = math.nan
        if not 0 < share < 1:
            raise UserError(f"--hold-out {part}: write factor=value, or a share of the images between 0 and 1")
        count = round(share * len(labels))
        if not count:
            raise UserError(f"--hold-out {part}: of {len(labels)} images is none; give {1 / len(labels):.4g} or more")
        order = np.random.default_rng([seed, 0x401D]).permutation(len(labels))
        out[order[:count]] = True
    if out.all():
        raise UserError(f"--hold-out {spec}: no image is left to train on")
    return np.flatnonzero(out).astype(np.int64)


# -- metadata.csv ------------------------------------------------------------------------------------------


def read_csv(path: Path, names: Sequence[str], space: FactorSpace | None = None) -> tuple[FactorSpace, Labels]:
    """Reads a table of labels.

    Args:
        path: the CSV file; its first row names the columns, one of them `file_name`.
        names: the data set's images, forward slashes, relative to the folder of `path`.
        space: what `factors.json` says; then other columns are ignored, and a factor without a column is unknown.
            None: every column is a factor, and its kind is inferred (see `Table.infer`).

    Returns:
        the space, and labels of all of `names`, in their order.

    Raises:
        UserError: anything wrong; names the file, the line, the value and the fix.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check the name and its permissions") from None
    return parse_csv(data, str(path), names, space)


def parse_csv(
    data: bytes, source: str, names: Sequence[str], space: FactorSpace | None = None
) -> tuple[FactorSpace, Labels]:
    """:func:`read_csv` of a file's bytes; `source` is its name for messages."""
    return labels_of(Table.parse(data, source, names), len(names), space)


def labels_of(table: Table, count: int, space: FactorSpace | None) -> tuple[FactorSpace, Labels]:
    """Labels of all `count` images from a parsed table; `space` None: inferred, blank columns left out."""
    if space is None:
        inferred = (table.infer(name) for name in table.columns)
        space = FactorSpace(tuple(factor for factor in inferred if factor is not None))
    labels = Labels.none(count, len(space))
    for f, factor in enumerate(space):
        labels.level_NF[table.rows, f], labels.known_NF[table.rows, f] = table.levels(factor)
    return space, labels


def labels_csv(
    names: Sequence[str], rows: Sequence[int] | npt.NDArray[np.integer[Any]], labels: Labels, space: FactorSpace
) -> str:
    """The text of a table: the given rows, values in own units, unknown cells blank.

    :func:`parse_csv` gives back the same levels.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["file_name", *space.names])
    for row in rows:
        cells = (
            in_words(factor, float(level)) if known else ""
            for factor, level, known in zip(space, labels.level_NF[row], labels.known_NF[row], strict=True)
        )
        writer.writerow([names[row], *cells])
    return text.getvalue()
