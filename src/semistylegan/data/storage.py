"""Where images lie: a folder, or a StyleGAN zip. One reader of either, one writer of zips.

A zip's stored (uncompressed) entries are read straight from a memory map, safe from any number of threads.
"""

from __future__ import annotations

import errno
import gc
import json
import mmap
import os
import shlex
import stat
import struct
import zipfile
import zlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

from semistylegan import progress
from semistylegan.data.pictures import (
    EXTENSIONS,
    HEADER_BYTES,
    UNCOMPRESSED,
    Header,
    ImageArray,
    decode_image,
    header_suffices,
    read_header,
)
from semistylegan.data.writing import WRITER, ZipWriter
from semistylegan.errors import UserError
from semistylegan.files import is_utf8

__all__ = ["FolderStore", "ImageStore", "Problem", "ZipStore", "ZipWriter", "cores", "open_store", "uncollected"]

LABELS_FILE, FACTORS_FILE = "metadata.csv", "factors.json"
"""Beside images: what a person says of them, and what the factors are."""
MAX_FILE_BYTES = 1 << 30
"""Largest entry that is unpacked from a zip."""
_SAYS_UTF8 = 0x800


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong with a data set, in the words of a UserError."""

    file: str
    what: str
    fix: str = ""

    def __str__(self) -> str:
        return f"{self.file}: {self.what}" + (f"; {self.fix}" if self.fix else "")

    @classmethod
    def of(cls, error: UserError) -> Problem:
        """From a message "FILE: what; fix"."""
        file, colon, rest = str(error).partition(": ")
        what, _, fix = rest.rpartition("; ") if "; " in rest else (rest, "", "")
        return cls(file, what, fix) if colon else cls("", str(error), "")


class ImageStore(ABC):
    """Images by number, in the order of their names, and the JSON documents beside them."""

    path: Path
    names: list[str]
    """Relative to the folder or zip, forward slashes, sorted."""

    def __len__(self) -> int:
        return len(self.names)

    @abstractmethod
    def file_bytes(self, i: int) -> bytes | memoryview:
        """The image file number `i` as it is."""

    @abstractmethod
    def start(self, i: int) -> bytes | memoryview:
        """At least its first HEADER_BYTES bytes."""

    @abstractmethod
    def other_file(self, name: str) -> bytes | None:
        """A file that is no image, e.g. `dataset.json`, or None."""

    @abstractmethod
    def tables(self) -> list[str]:
        """Names of the CSV files beside the images, at the top of the folder or zip."""

    @abstractmethod
    def stamp(self, i: int) -> tuple[int, ...]:
        """Numbers that change when the file changes: its size, and its checksum in a zip or where the size is that of
        every such image."""

    def version(self, i: int) -> tuple[int, ...]:
        """Like `stamp`, on this machine: a folder's files also have the time at which they were written."""
        return self.stamp(i)

    def checksum(self, i: int) -> tuple[int, ...]:
        """Like `stamp`, of every byte: a folder's file is read for it."""
        return self.stamp(i)

    @abstractmethod
    def beside(self, name: str) -> Path:
        """Where a person's `metadata.csv` or `factors.json` is written: into the folder, or next to the zip."""

    def place(self, name: str) -> str:
        """Where :meth:`other_file` reads `name`, for messages."""
        return f"{self.path}/{name}"

    def shown(self, i: int) -> str:
        """Where image `i` is, for messages."""
        return f"{self.path}/{self.names[i]}"

    def header(self, i: int) -> Header:
        """Size and channels of image `i`, without decoding it.

        Raises:
            UserError: not an image; names the file.
        """
        start = self.start(i)
        return read_header(start if header_suffices(start) else self.file_bytes(i), self.shown(i))

    @cached_property
    def first(self) -> Header:
        """Size and channels of the first image, which all others must share."""
        return self.header(0)

    @property
    def height(self) -> int:
        return self.first.height

    @property
    def width(self) -> int:
        return self.first.width

    @property
    def resolution(self) -> int:
        """Pixels a side; of images that are not square, of the square in their centre."""
        return min(self.first.height, self.first.width)

    @property
    def channels(self) -> int:
        """1 (grey) or 3."""
        return self.first.channels

    def decode(self, i: int) -> ImageArray:
        """Image `i` -> uint8 H x W x C, of whatever size.

        Raises:
            UserError: damaged; names the file.
        """
        return decode_image(self.file_bytes(i), self.shown(i))

    def read(self, i: int) -> ImageArray:
        """Image `i` -> uint8 H x W x C, like the first.

        Raises:
            UserError: damaged, or not of the first image's size; names the file.
        """
        image = self.decode(i)
        found = Header(*image.shape)
        if found != self.first:
            raise UserError(str(self.differs(i, found)))
        return image

    def differs(self, i: int, found: Header, others: Header | None = None, like: int = 0) -> Problem:
        """Image `i` is not like image `like`."""
        fix = f"make all images alike, in size and colour: {self.import_command}"
        return Problem(self.shown(i), f"{found.words}, where {self.names[like]} is {(others or self.first).words}", fix)

    @property
    def import_command(self) -> str:
        """Makes squares of one size, all grey or all colour, of these images; for messages."""
        source, out = shlex.quote(str(self.path)), shlex.quote(str(self.imported))
        return f"semistylegan import folder --source {source} --out {out}"

    @property
    def imported(self) -> Path:
        """What :attr:`import_command` writes: a zip beside the folder or zip."""
        if self.path.is_file():
            return self.path.with_name(f"{self.path.stem}-squares.zip")
        path = self.path if self.path.name not in ("", "..") else self.path.resolve()
        return Path(f"{path}.zip")

    def document(self, name: str) -> dict[str, Any] | None:
        """A JSON document beside the images, or None where there is none.

        Raises:
            UserError: not JSON, or not an object; names the file and the line.
        """
        data = self.other_file(name)
        if data is None:
            return None
        try:
            found = json.loads(data.decode("utf-8-sig"))
        except json.JSONDecodeError as error:
            raise UserError(f"{self.place(name)} line {error.lineno}: not JSON: {error.msg}; correct it") from None
        except (ValueError, RecursionError):  # not UTF-8, a number of thousands of digits, brackets without end
            raise UserError(f"{self.place(name)}: not JSON text; write it again or remove it") from None
        if not isinstance(found, dict):
            raise UserError(f"{self.place(name)}: holds a {type(found).__name__}, expected an object {{...}}")
        return found

    def problems(self) -> Iterator[Problem]:
        """What the headers of all images say is wrong: unreadable, or unlike the first readable one."""
        like: tuple[int, Header] | None = None
        with progress.quiet_bar("reading image headers", len(self)) as advance:
            for i in range(len(self)):
                try:
                    found = self.header(i)
                except UserError as error:
                    yield Problem.of(error)
                else:
                    like = like or (i, found)
                    if found != like[1]:
                        yield self.differs(i, found, like[1], like[0])
                if i % 1000 == 999:
                    advance(1000)


class FolderStore(ImageStore):
    """A folder of images, with sub-folders."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.names = images_below(path)
        if not self.names:
            raise UserError(f"{path}: no image in this folder; put PNG or JPEG files there")
        for name in self.names:
            if not is_utf8(name):
                raise UserError(f"{path}: the name of {name!r} is not UTF-8; rename the file")

    def file_bytes(self, i: int) -> bytes:
        return self._read(i, -1)

    def start(self, i: int) -> bytes:
        return self._read(i, HEADER_BYTES)

    def other_file(self, name: str) -> bytes | None:
        return _read_beside(self.path / name)

    def tables(self) -> list[str]:
        return sorted(p.name for p in self.path.iterdir() if p.suffix.lower() == ".csv")

    def stamp(self, i: int) -> tuple[int, ...]:
        if self.names[i].lower().endswith(UNCOMPRESSED):
            return self.checksum(i)
        return ((self.path / self.names[i]).stat().st_size,)

    def version(self, i: int) -> tuple[int, ...]:
        found = (self.path / self.names[i]).stat()
        return found.st_size, found.st_mtime_ns

    def checksum(self, i: int) -> tuple[int, ...]:
        data = self.file_bytes(i)
        return len(data), zlib.crc32(data)

    def beside(self, name: str) -> Path:
        return self.path / name

    def _read(self, i: int, size: int) -> bytes:
        path = self.path / self.names[i]
        try:
            with path.open("rb") as file:
                return file.read(size)
        except PermissionError:
            raise UserError(f"{path}: may not be read; check its permissions") from None
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ELOOP):
                raise
            raise UserError(f"{path}: gone, or a link to nothing; put it back or remove it") from None


class ZipStore(ImageStore):
    """A StyleGAN zip: images, `dataset.json`, and in ours `factors.json`. Safe from several threads.

    Labels that a person gives later stand next to it: of `photos.zip` they are `photos.metadata.csv` (and
    `photos.factors.json`), and count instead of those inside.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with uncollected():
                self._zip = zipfile.ZipFile(path)
            with path.open("rb") as file:
                self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except PermissionError:
            raise UserError(f"{path}: may not be read; check its permissions") from None
        except (zipfile.BadZipFile, ValueError, NotImplementedError, struct.error):
            raise UserError(f"{path}: not a zip, or cut off; copy or make it again") from None
        self._lock = Lock()
        entries: dict[str, zipfile.ZipInfo] = {}
        for info in self._zip.infolist():
            if info.is_dir():
                continue
            name = _entry_name(info)
            _check_entry(path, name, info, name in entries)
            entries[name] = info
        self._entries = entries
        self.names = sorted(n for n in entries if n.lower().endswith(EXTENSIONS) and not hidden(n))
        if not self.names:
            raise UserError(f"{path}: no image in this zip; put PNG or JPEG files into it")
        self._images = [entries[n] for n in self.names]

    def __reduce__(self) -> tuple[Callable[[Path], ImageStore], tuple[Path]]:
        return open_store, (self.path,)

    def file_bytes(self, i: int) -> bytes | memoryview:
        return self._entry(self._images[i])

    def start(self, i: int) -> bytes | memoryview:
        info = self._images[i]
        return self._stored(info)[:HEADER_BYTES] if info.compress_type == zipfile.ZIP_STORED else self._entry(info)

    def other_file(self, name: str) -> bytes | None:
        if (path := self._outside(name)) is not None:
            return _read_beside(path)
        info = self._entries.get(name)
        return None if info is None else bytes(self._entry(info))

    def tables(self) -> list[str]:
        return sorted(name for name in self._entries if "/" not in name and name.lower().endswith(".csv"))

    def beside(self, name: str) -> Path:
        return beside_zip(self.path, name)

    def place(self, name: str) -> str:
        return str(self._outside(name) or f"{self.path}/{name}")

    def _outside(self, name: str) -> Path | None:
        """The file next to the zip that counts instead of the one inside; without labels there, none does."""
        counts = name in (LABELS_FILE, FACTORS_FILE) and self.beside(LABELS_FILE).is_file()
        return self.beside(name) if counts and self.beside(name).is_file() else None

    def stamp(self, i: int) -> tuple[int, ...]:
        return self._images[i].file_size, self._images[i].CRC

    @property
    def ours(self) -> bool:
        """Written by ZipWriter, which lets in images of one size alone."""
        return self._zip.comment == WRITER.encode()

    def problems(self) -> Iterator[Problem]:
        if not self.ours:
            yield from super().problems()

    def _entry(self, info: zipfile.ZipInfo) -> bytes | memoryview:
        if info.compress_type == zipfile.ZIP_STORED:
            data = self._stored(info)
            if zlib.crc32(data) != info.CRC:
                raise self._damaged(info)
            return data
        try:
            with self._lock:
                return self._zip.read(info)
        except Exception as error:  # zlib, bz2 and lzma raise their own; EINVAL: a place before the file's begin
            other = isinstance(error, OSError) and error.errno not in (None, errno.EINVAL)
            if other or isinstance(error, MemoryError):
                raise
            raise self._damaged(info) from None

    def _stored(self, info: zipfile.ZipInfo) -> memoryview:
        start = info.header_offset
        head = self._map[start : start + 30]
        if len(head) < 30 or head[:4] != b"PK\3\4":
            raise self._damaged(info)
        name, extra = struct.unpack("<HH", head[26:30])
        begin = start + 30 + name + extra
        data = memoryview(self._map)[begin : begin + info.file_size]
        if len(data) != info.file_size:
            raise self._damaged(info)
        return data

    def _damaged(self, info: zipfile.ZipInfo) -> UserError:
        return UserError(f"{self.path}/{_entry_name(info)}: damaged in the zip; copy or make the zip again")


def open_store(path: str | Path) -> ImageStore:
    """Opens a folder of images or a zip. Reads no image; `problems()` and `read` find what is wrong with them.

    Raises:
        UserError: no such path, neither folder nor zip, damaged, without images, or with entries that would climb
            out of the zip; names the path and the fix.
    """
    path = Path(path)
    if path.is_dir():
        return FolderStore(path)
    if path.is_file():
        return ZipStore(path)
    raise UserError(f"{path}: no such folder or zip; check the name")


def beside_zip(path: Path, name: str) -> Path:
    """Where a person's `metadata.csv` or `factors.json` for a zip stands, whether the zip is there or not."""
    return path.with_name(f"{path.stem}.{name}")


def images_below(path: Path) -> list[str]:
    """Names of the images in a folder and those below, relative to it, with forward slashes, sorted.

    Files and folders whose names begin with a dot are left out. Links to folders are followed, but no folder is walked
    twice: one below `path` is by its own name, another by the first link, of the least depth, that leads there.

    Raises:
        UserError: a folder that may not be read.
    """
    found: list[str] = []
    root = path.resolve()
    walked = {root}

    def walks(folder: Path) -> bool:
        if hidden(folder.name):
            return False
        target = folder.resolve()
        comes = target.is_relative_to(root) and not hidden(target.relative_to(root).as_posix())
        if target in walked or (folder.is_symlink() and (comes or root.is_relative_to(target))):
            return False
        walked.add(target)
        return True

    for name, folders, files in os.walk(path, onerror=_unreadable, followlinks=True):
        folders[:] = [f for f in sorted(folders) if walks(Path(name) / f)]
        inside = Path(name).relative_to(path).as_posix()
        prefix = "" if inside == "." else inside + "/"
        found += [prefix + f for f in files if not f.startswith(".") and f.lower().endswith(EXTENSIONS)]
    return sorted(found)


def _unreadable(error: OSError) -> None:
    raise UserError(f"{error.filename}: cannot be read ({error.strerror}); check it") from None


def _read_beside(path: Path) -> bytes | None:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror}); check it") from None


def cores() -> int:
    """Processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@contextmanager
def uncollected() -> Iterator[None]:
    """No garbage collection inside: it would walk 100,000 objects, all of which stay, again and again."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def hidden(name: str) -> bool:
    """Whether a name, with forward slashes, is left out: hidden, in a hidden folder, or what macOS puts into zips."""
    return "/." in f"/{name}" or ("__MACOSX" in name and "__MACOSX" in name.split("/"))


def _entry_name(info: zipfile.ZipInfo) -> str:
    """As short as it can be, with forward slashes: a//b.png and ./a/b.png would both become a/b.png in a folder.
    Info-ZIP on Linux writes UTF-8 and does not say so, and zipfile takes that for cp437."""
    name = info.filename
    if not name.isascii() and not info.flag_bits & _SAYS_UTF8:
        with suppress(UnicodeError):
            name = name.encode("cp437").decode()
    name = name.replace("\\", "/")
    if "//" in name or "./" in name:  # few names: they are not all taken apart
        root, name = name[:1] == "/", "/".join(part for part in name.split("/") if part not in ("", "."))
        return f"/{name}" if root else name
    return name


def _climbs(name: str) -> bool:
    if ".." not in name and ":" not in name:  # most names, without taking them apart
        return False
    parts = name.split("/")
    return ".." in parts or ":" in parts[0]


def _check_entry(path: Path, name: str, info: zipfile.ZipInfo, twice: bool) -> None:
    if name.startswith("/") or _climbs(name):
        raise UserError(f"{path}: entry {name!r} climbs out of the zip; do not trust it, make it again without it")
    if twice:
        raise UserError(f"{path}: two entries are named {name!r}; make the zip again with one")
    if info.flag_bits & 1:
        raise UserError(f"{path}: entry {name!r} is encrypted; make the zip again without a password")
    if stat.S_ISLNK(info.external_attr >> 16):
        raise UserError(f"{path}: entry {name!r} is a link; make the zip again with the file itself")
    bomb = info.file_size > MAX_FILE_BYTES // 16 and info.file_size > 100 * info.compress_size
    if bomb or info.file_size > MAX_FILE_BYTES:
        raise UserError(f"{path}: entry {name!r} unpacks to {info.file_size:,} bytes; make the zip again without it")
