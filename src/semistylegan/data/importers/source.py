"""What every importer gives: images by number, their names, and what is known of them."""

from __future__ import annotations

import hashlib
import json
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property, lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from semistylegan import progress
from semistylegan.data.labels import Labels
from semistylegan.data.pictures import EXTENSIONS, Header, ImageArray, decode_image, keeps_as_png, read_header
from semistylegan.data.storage import ImageStore, cores, hidden
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.files import is_utf8

BLOCK_BYTES = 16 << 20
"""Arrays are read in blocks of about this size."""


class Source(ABC):
    """A data set as its owner keeps it. Reading holds a few images at a time in memory, however many there are.

    Attributes:
        path: what the user named.
        space: its factors; perhaps none.
        labels: what is known of all its images.
        crop: side of the centre square that users of this data set cut out before resizing; None is the largest.
        notes: what a user should know before the images are read, a sentence each.
    """

    path: Path
    space: FactorSpace
    labels: Labels
    crop: int | None = None
    notes: Sequence[str] = ()

    def __len__(self) -> int:
        return len(self.labels)

    @abstractmethod
    def name(self, i: int) -> str:
        """The image's name in the zip, ending in .png; a function of the image, not of how many others there are."""

    @abstractmethod
    def read(self, i: int) -> ImageArray:
        """Image `i` -> uint8 H x W x C, C = 1 or 3. Safe from several threads; quick if called in ascending order.

        Raises:
            UserError: damaged; names the file.
        """

    def png(self, i: int) -> bytes | None:
        """Its file, where it is an 8-bit PNG without a palette or transparency, that can be kept as it is."""
        return None

    @property
    @abstractmethod
    def first(self) -> Header:
        """Size of the first image (of a folder, of the smallest), and the channels (1 or 3) that hold all images."""

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        """How many images have which height and width; where that is not known, all have those of the first."""
        return Counter({(self.first.height, self.first.width): len(self)})

    @abstractmethod
    def stamp(self, images: Sequence[int]) -> str:
        """Hexadecimal digits that change when the labels, what they mean, or any of these images change."""


class StoreSource(Source):
    """Images in a folder or zip; some or all of its files.

    Args:
        store: where they lie.
        rows: numbers of those that count, in the store; None means all.
        names: names in the zip; None keeps the files' own, ending in .png.
    """

    def __init__(
        self,
        store: ImageStore,
        space: FactorSpace,
        labels: Labels,
        rows: Sequence[int] | None = None,
        names: Sequence[str] | None = None,
    ) -> None:
        self.path, self.store, self.space, self.labels = store.path, store, space, labels
        self.rows = range(len(store)) if rows is None else rows
        self.names = png_names([store.names[i] for i in self.rows]) if names is None else names
        assert len(self.rows) == len(self.names) == len(labels)

    def name(self, i: int) -> str:
        return self.names[i]

    def read(self, i: int) -> ImageArray:
        return self.store.decode(self.rows[i])

    def png(self, i: int) -> bytes | None:
        data = self.store.file_bytes(self.rows[i])
        return bytes(data) if keeps_as_png(data) else None

    @property
    def first(self) -> Header:
        return self.store.header(self.rows[0])

    def stamp(self, images: Sequence[int]) -> str:
        """Of a folder it reads the files whole: a picture that was retouched may be as large as before."""
        digest = hashlib.sha256()
        rows = [self.rows[i] for i in images]
        parts = [rows[start : start + 256] for start in range(0, len(rows), 256)]

        def lines(part: list[int]) -> str:
            return "".join(f"{self.store.names[i]}\0{self.store.checksum(i)}\n" for i in part)

        with progress.quiet_bar("comparing images", len(rows)) as advance, ThreadPoolExecutor(cores()) as pool:
            for part, text in zip(parts, pool.map(lines, parts), strict=True):
                digest.update(text.encode())
                advance(len(part))
        return labelled_stamp(digest.hexdigest(), self.space, self.labels)


class EncodedSource(Source):
    """Encoded images inside larger files, as shards and tables hold them.

    Attributes:
        files: the files in which they lie.
    """

    files: Sequence[Path]

    @abstractmethod
    def encoded(self, i: int) -> bytes:
        """Image `i` as it lies there.

        Raises:
            UserError: there is none; names the place.
        """

    @abstractmethod
    def place(self, i: int) -> str:
        """Where image `i` lies, for messages."""

    def read(self, i: int) -> ImageArray:
        return decode_image(self.encoded(i), self.place(i))

    def png(self, i: int) -> bytes | None:
        data = self.encoded(i)
        return data if keeps_as_png(data) else None

    @cached_property
    def first(self) -> Header:
        """Images are read until one has colour; if all are grey, that is all of them."""
        found = read_header(self.encoded(0), self.place(0))
        with progress.quiet_bar("looking for colour", len(self)) as advance:
            for i in range(len(self)):
                if read_header(self.encoded(i), self.place(i)).channels == 3:
                    return Header(found.height, found.width, 3)
                advance()
        return found

    def stamp(self, images: Sequence[int]) -> str:
        stamps = (file_stamp(file, whole=True) for file in self.files)
        digest = hashlib.sha256("".join(stamps).encode())
        return labelled_stamp(digest.hexdigest(), self.space, self.labels)


class GridSource(Source):
    """One array of all images of a full grid, in the order of its numbers.

    Args:
        path: the file.
        space: its factors; the number of an image says all of them.
        first: size and channels of an image.
        rows: (start, stop) -> those images, N x H x W x C uint8. Called by one thread at a time.
    """

    def __init__(self, path: Path, space: FactorSpace, first: Header, rows: Callable[[int, int], ImageArray]) -> None:
        self.path, self.space, self._first = path, space, first
        levels = space.levels_of_indices(space.values_of(np.arange(space.total))).astype(np.float32)
        self.labels = Labels(levels, np.ones(levels.shape, np.bool_))
        self._size = size = max(1, BLOCK_BYTES // (first.height * first.width * first.channels))
        self._digits = max(6, len(str(space.total - 1)))
        self._lock = Lock()

        @lru_cache(maxsize=3)
        def block(number: int) -> ImageArray:
            return rows(number * size, min((number + 1) * size, space.total))

        self._block = block

    def name(self, i: int) -> str:
        return f"{i:0{self._digits}d}.png"

    def read(self, i: int) -> ImageArray:
        with self._lock:
            return self._block(i // self._size)[i % self._size]

    @property
    def first(self) -> Header:
        return self._first

    def stamp(self, images: Sequence[int]) -> str:
        return file_stamp(self.path)


def safe_name(where: Path, name: Any) -> str:
    """A file name of foreign data, with forward slashes.

    Raises:
        UserError: it is none, climbs out, or is hidden; names the file that it stands in.
    """
    parts = [part for part in str(name).replace("\\", "/").split("/") if part != "."]
    unfit = not isinstance(name, str) or not is_utf8(name)
    if unfit or not parts or "" in parts or ":" in parts[0] or hidden("/".join(parts)):
        raise UserError(f"{where}: {str(name)[:60]!r} is no name of an image inside the data set; correct it")
    return "/".join(parts)


def file_stamp(path: Path, whole: bool = False) -> str:
    """Digits from a file's size, its first and its last megabyte, or from all of it."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        if whole:
            return hashlib.file_digest(file, "sha256").hexdigest()[:16]
        digest.update(file.read(1 << 20))
        size = file.seek(0, 2)
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    digest.update(str(size).encode())
    return digest.hexdigest()[:16]


def labelled_stamp(images: str, space: FactorSpace, labels: Labels) -> str:
    """Digits from those of the images, from the labels and from what these mean."""
    digest = hashlib.sha256((images + json.dumps(space.to_json())).encode())
    digest.update(labels.known_NF.tobytes())
    digest.update(labels.level_NF.tobytes())
    return digest.hexdigest()[:16]


def with_factors(space: FactorSpace, *factors: Factor) -> FactorSpace:
    """The space with some factors described better; sizes stay, so that numbers of images do."""
    better = {f.name: f for f in factors}
    assert all(better[name].size == space[name].size for name in better)
    return FactorSpace(tuple(better.get(f.name, f) for f in space))


def one_file(source: Path, pattern: str, what: str) -> Path:
    """`source` itself where it is a file, or the one file in it that matches.

    Raises:
        UserError: none, or several.
    """
    if source.is_file():
        return source
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; check the name")
    found = sorted(source.glob(pattern))
    if not found:
        raise UserError(f"{source}: holds no {pattern}; give the path of {what}")
    if len(found) > 1:
        raise UserError(f"{source}: holds {found[0].name} and {found[1].name}; give the path of the one that you mean")
    return found[0]


def png_names(names: Sequence[str]) -> list[str]:
    """Names ending in .png, all different: `a.jpg` -> `a.png`, or `a.jpg.png` where an `a.png` stands beside it."""
    return [stem + ".png" for stem in stems(names)]


def stems(names: Sequence[str], point: str = ".") -> list[str]:
    """Names of images without their endings, all different: `a.png` -> `a`, and `a.jpg` beside it stays `a.jpg`.

    Args:
        names: all different.
        point: what becomes of points inside a stem.
    """
    short = [(name[: -len(end)] if (end := _ending(name)) else name).replace(".", point) for name in names]
    count, taken = Counter(short), set(short)
    out = []
    for name, stem in zip(names, short, strict=True):
        if count[stem] > 1 and name != f"{stem}.png":
            stem = name.replace(".", point)
            while stem in taken:
                stem += "_"
            taken.add(stem)
        out.append(stem)
    return out


def _ending(name: str) -> str:
    """`.jpg` and the like; empty where the name does not end as images do."""
    return next((end for end in EXTENSIONS if name.lower().endswith(end)), "")
