"""Decoded images, kept: in memory, or as a memory-mapped file that later runs and other processes share.

A file `images-<digest>.npy` (uint8, N x C x H x W) in the cache folder (`$SEMISTYLEGAN_CACHE`). Its name changes with
the images' names, sizes and checksums (in a folder: times), so a stale one is never read. It appears whole or not at
all; the oldest are removed when all together take more than KEEP_BYTES.
"""

from __future__ import annotations

import hashlib
import os
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semistylegan import progress
from semistylegan.data.storage import ImageStore, cores
from semistylegan.errors import UserError
from semistylegan.files import atomic_path, cache_folder, make_folder

CACHE_BYTES = 2 << 30
"""Sets of decoded images up to this size are kept; of larger ones, each image is decoded when it is needed."""
FILE_BYTES = 64 << 20
"""Sets smaller than this are decoded anew by each run, into memory: it takes a second or two."""
KEEP_BYTES = 8 << 30
"""Room that all cache files may take together."""
ABANDONED = 86_400.0
"""Seconds after which a half-written file is nobody's."""


def find(store: ImageStore) -> npt.NDArray[np.uint8] | None:
    """The cache file of these images, mapped; None where there is none."""
    path = _path(store)
    if size_of(store) < FILE_BYTES or not path.is_file():
        return None
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError):
        return None
    if found.shape != _shape(store) or found.dtype != np.uint8:
        return None
    with suppress(OSError):
        path.touch()  # the least recently used goes first
    return found


def fill(store: ImageStore) -> npt.NDArray[np.uint8]:
    """Decodes all images, with progress, into a file where the set is worth one and it can be written, else memory.

    Returns:
        N x C x H x W, perhaps read-only.

    Raises:
        UserError: a damaged image; names the file.
    """
    if size_of(store) >= FILE_BYTES:
        try:
            path = _folder_made(_path(store))
            _make_room(path.parent, size_of(store))
            with atomic_path(path) as temporary:
                out = np.lib.format.open_memmap(temporary, "w+", np.uint8, _shape(store))
                _reserve(temporary)
                _decode_into(store, out)
                out.flush()
                del out
            return np.load(path, mmap_mode="r", allow_pickle=False)
        except OSError:  # no such folder can be made, no room: the memory will do
            pass
    memory = np.empty(_shape(store), np.uint8)
    _decode_into(store, memory)
    return memory


def _folder_made(path: Path) -> Path:
    """The path, in a folder that is there now; OSError where there can be none."""
    try:
        make_folder(path.parent)
    except UserError as error:
        raise OSError(str(error)) from None
    return path


def size_of(store: ImageStore) -> int:
    """Bytes of all images, decoded."""
    return int(np.prod(_shape(store), dtype=np.int64))


def _reserve(path: Path) -> None:
    """Takes the room on the disk now: a disk that is full later would kill the process that writes into the map."""
    if hasattr(os, "posix_fallocate"):
        with path.open("r+b") as file:
            os.posix_fallocate(file.fileno(), 0, path.stat().st_size)


def _decode_into(store: ImageStore, out: npt.NDArray[np.uint8]) -> None:
    chunk = 256

    def read(start: int) -> int:
        stop = min(start + chunk, len(out))
        for i in range(start, stop):
            out[i] = store.read(i).transpose(2, 0, 1)
        return stop - start

    with progress.bar("reading images", len(out)) as advance, ThreadPoolExecutor(min(8, cores())) as pool:
        for done in pool.map(read, range(0, len(out), chunk)):
            advance(done)


def _shape(store: ImageStore) -> tuple[int, int, int, int]:
    return len(store), store.channels, store.height, store.width


def _path(store: ImageStore) -> Path:
    digest = hashlib.sha256(str(_shape(store)).encode())
    for i, name in enumerate(store.names):
        digest.update(f"{name}\0{store.version(i)}\n".encode())
    return cache_folder() / f"images-{digest.hexdigest()[:32]}.npy"


def _make_room(folder: Path, wanted: int) -> None:
    """Removes the least recently used cache files until `wanted` bytes more fit into KEEP_BYTES.

    Before these, what processes that were killed have left half written.
    """
    for path in folder.glob(".images-*.npy"):
        with suppress(OSError):  # another process may be first
            if time.time() - path.stat().st_mtime > ABANDONED:
                path.unlink()
    files = sorted(folder.glob("images-*.npy"), key=lambda p: p.stat().st_mtime)
    room = KEEP_BYTES - wanted - sum(p.stat().st_size for p in files)
    for path in files:
        if room >= 0:
            break
        room += path.stat().st_size
        path.unlink(missing_ok=True)
