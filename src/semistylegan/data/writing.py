"""Writing StyleGAN zips: uncompressed PNGs, `dataset.json` with levels, `factors.json`. Same content, same bytes.

Images of which nothing is known are not listed among the labels: of a million images a few thousand lines remain.
"""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan.data.pictures import Header, ImageArray, encode_png, read_header
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.files import atomic_path

WRITER = "semistylegan"
"""The comment of our own zips, also in their `dataset.json` as "writer"."""
_MIDNIGHT = (1980, 1, 1, 0, 0, 0)
"""Time stamp of every entry: the same content gives the same bytes."""


class ZipWriter:
    """Writes a data set; use it in a `with`. The file appears whole at its end, or not at all.

    Args:
        path: the zip; replaced if it exists.
        space: factors of the labels; None writes images alone.
        extra: more keys for `dataset.json`, e.g. how the images were made.
    """

    def __init__(
        self, path: str | Path, space: FactorSpace | None = None, extra: Mapping[str, Any] | None = None
    ) -> None:
        self.path = Path(path)
        self.space = space
        self.extra = dict(extra or {})
        self._like: tuple[str, Header] | None = None
        self._names: set[str] = set()
        self._labels: list[str] = []
        self._atomic: AbstractContextManager[Path] | None = None
        self._zip: zipfile.ZipFile | None = None

    def __enter__(self) -> ZipWriter:
        self._atomic = atomic_path(self.path)
        self._zip = zipfile.ZipFile(self._atomic.__enter__(), "w", zipfile.ZIP_STORED)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._atomic is not None and self._zip is not None
        try:
            try:
                if kind is None:
                    self._finish()
            finally:
                self._close(failed=kind is not None)
        except BaseException as later:
            self._atomic.__exit__(type(later), later, later.__traceback__)
            raise
        self._atomic.__exit__(kind, error, trace)

    def add(
        self,
        name: str,
        image_HWC: ImageArray,
        level_F: Sequence[float] | npt.NDArray[Any] | None = None,
        known_F: Sequence[bool] | npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """Adds an image.

        Args:
            name: its name in the zip, ending in .png, forward slashes.
            image_HWC: uint8, H x W x 3 or (grey) H x W x 1, the size and channels of the first image.
            level_F: its levels, one a factor; None where nothing is known.
            known_F: which of them are known; None means all.

        Raises:
            UserError: an image of another type, shape or size than the first, a name that is taken or leads out of the
                zip, levels that are not one finite number a factor; names the image.
            OSError: what writing raised, e.g. ENOSPC.
        """
        image = np.asarray(image_HWC)
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[-1] not in (1, 3) or 0 in image.shape:
            raise UserError(
                f"{name}: {image.dtype} {' x '.join(map(str, image.shape))}; give uint8, height x width x 3 (or x 1)"
            )
        self.add_png(name, encode_png(image), level_F, known_F)

    def add_png(
        self,
        name: str,
        png: bytes,
        level_F: Sequence[float] | npt.NDArray[Any] | None = None,
        known_F: Sequence[bool] | npt.NDArray[np.bool_] | None = None,
    ) -> None:
        """:meth:`add` of an encoded image."""
        header = read_header(png, name)
        self._like = self._like or (name, header)
        if header != self._like[1]:
            raise UserError(
                f"{name}: {header.words}, where {self._like[0]} is {self._like[1].words}; make all images alike"
            )
        if name in self._names:
            raise UserError(f"{name}: is in {self.path} already; give each image a name of its own")
        if name.startswith("/") or ".." in name.split("/"):
            raise UserError(f"{name}: leads out of {self.path}; give a name without .. that begins with no /")
        label = self._label(name, level_F, known_F)
        self._names.add(name)
        if label is not None:
            self._labels.append(f"[{json.dumps(name)},{label}]")
        self._write(name, png)

    def _label(self, name: str, level_F: Any, known_F: Any) -> str | None:
        """JSON of one label: the shortest digits that give the same float32; null where unknown. None: all unknown.

        Raises:
            UserError: see :meth:`add`.
        """
        if level_F is None or self.space is None:
            return None
        try:
            level = np.asarray(level_F, dtype=np.float32)
        except (TypeError, ValueError):
            raise UserError(f"{name}: its levels are not numbers; give space[factor].level_of(value) of each") from None
        known = np.ones(level.shape, np.bool_) if known_F is None else np.asarray(known_F, dtype=np.bool_)
        for what, array in (("levels", level), ("entries of known_F", known)):
            if array.shape != (len(self.space),):
                raise UserError(
                    f"{name}: {array.size} {what}, but there are {len(self.space)} factors; give one for each"
                )
        if not np.isfinite(level[known]).all():
            raise UserError(f"{name}: a level is NaN or infinite; say in known_F which levels are unknown")
        if not known.any():
            return None
        return "[" + ",".join(str(u) if k else "null" for u, k in zip(level, known, strict=True)) + "]"

    def _finish(self) -> None:
        assert self._zip is not None
        if self._like is None:
            raise UserError(f"{self.path}: no image to write")
        header = self._like[1]
        head = {"writer": WRITER, "height": header.height, "width": header.width, "channels": header.channels}
        opening = json.dumps(head | self.extra, sort_keys=True, allow_nan=False)[:-1]
        labels = "[\n" + ",\n".join(self._labels) + "\n]" if self._labels else "null"
        self._zip.comment = WRITER.encode()
        self._write("dataset.json", f'{opening}, "labels": {labels}}}\n'.encode())
        if self.space is not None:
            text = json.dumps(self.space.to_json(), indent=2, allow_nan=False, ensure_ascii=False)
            self._write("factors.json", (text + "\n").encode())

    def _write(self, name: str, data: bytes) -> None:
        assert self._zip is not None
        info = zipfile.ZipInfo(name, _MIDNIGHT)
        info.create_system, info.external_attr = 3, 0o644 << 16
        self._zip.writestr(info, data)

    def _close(self, failed: bool) -> None:
        """Closes the file. After a failure (a full disk) closing may fail again: the first error counts."""
        assert self._zip is not None
        if not failed:
            self._zip.close()
            return
        try:
            self._zip.close()
        except (OSError, ValueError):
            if self._zip.fp is not None:
                self._zip.fp = io.BytesIO()  # nothing more to write; keeps the destructor quiet
