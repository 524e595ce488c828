"""A data set: images by number, their labels, and the order in which training reads them."""

from __future__ import annotations

import functools
import hashlib
import json
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from semistylegan.data import cache
from semistylegan.data.cache import CACHE_BYTES
from semistylegan.data.documents import read_document
from semistylegan.data.labels import Labels, parse_csv, row_numbers
from semistylegan.data.pictures import Header, ImageArray
from semistylegan.data.storage import ImageStore, Problem, cores, open_store
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace

if TYPE_CHECKING:
    import torch  # at run time where images become tensors: whoever looks at labels alone need not wait for it

TRAINABLE = tuple(1 << k for k in range(4, 11))
"""Resolutions that networks exist for: 16 to 1024."""
LARGEST_PROPOSED = 128
"""What large photographs are proposed to become: a training that two cores can finish."""


class Dataset:
    """Images with (perhaps no, perhaps partial) labels. Make it with :meth:`open`; it does not change.

    Attributes:
        path: the folder or zip.
        space: its factors; perhaps none.
        labels: what is known of all its images.
        store: where the images lie.
    """

    def __init__(self, store: ImageStore, space: FactorSpace, labels: Labels, images: _Images) -> None:
        self.path, self.store, self.space, self.labels = store.path, store, space, labels
        self._images = images

    @classmethod
    def open(cls, path: str | Path, cache_bytes: int = CACHE_BYTES, workers: int | None = None) -> Dataset:
        """Opens a folder or zip and reads its labels and the headers of its images; decodes none.

        Args:
            path: a folder of images (with `metadata.csv`, or `dataset.json`, or neither; `factors.json` may fix the
                factors) or a StyleGAN zip.
            cache_bytes: sets of decoded images up to this size are kept (see `cache`).
            workers: threads that decode the images of larger sets; None means one a core, at most 8.

        Raises:
            UserError: anything wrong; names the file, the value and the fix. `check` lists all that is wrong.
        """
        store = open_store(path)
        for problem in store.problems():
            raise UserError(str(problem))
        space, labels = read_labels(store)
        return cls(store, space, labels, _Images(store, cache_bytes, workers or min(8, cores())))

    @property
    def name(self) -> str:
        """The file's name without its ending."""
        path = self.path.resolve()
        return path.name if path.is_dir() else path.stem

    @property
    def names(self) -> list[str]:
        """The images' names, sorted: image i is names[i]."""
        return self.store.names

    @property
    def resolution(self) -> int:
        """Pixels a side (the shorter one, where images are not square)."""
        return self.store.resolution

    @property
    def channels(self) -> int:
        """1 (grey) or 3."""
        return self.store.channels

    @property
    def infers_factors(self) -> bool:
        """Whether no `factors.json` says what the factors are, so that kinds and ranges are those of all the labels."""
        return len(self.space) > 0 and read_space(self.store) is None

    def __len__(self) -> int:
        return len(self.store)

    def require_trainable(self) -> None:
        """Checks that networks exist for the images' size.

        Raises:
            UserError: not square, or not 16, 32, ... 1024 pixels a side; names the command that mends it.
        """
        if reason := untrainable(self.store, self.store.first):
            raise UserError(f"{self.path}: {reason}")

    def images(self, indices: Sequence[int] | npt.NDArray[np.integer[Any] | np.bool_] | torch.Tensor) -> torch.Tensor:
        """Images by number (or by a mask of one True or False an image) -> uint8 B x C x H x W.

        Small sets (see `cache_bytes`) are decoded once, when a twentieth of them has been asked for; of larger ones,
        images are decoded in `workers` threads.

        Raises:
            UserError: a damaged image; names the file. Numbers that are not whole, a mask of another length.
            IndexError: no image has this number.
        """
        return self._images.get(row_numbers(indices, len(self)))

    def prefetch(self, indices: Sequence[int] | npt.NDArray[np.integer[Any] | np.bool_]) -> None:
        """Starts to read what :meth:`images` will soon be asked for, in other threads. Errors wait until then."""
        self._images.prefetch(row_numbers(indices, len(self)))

    def indices_NF(self) -> npt.NDArray[np.int64]:
        """Value indices of the labels, N x F; -1 where unknown. Factors without a grid: one of 20 even bins."""
        if len(self.space) == 0:
            return np.zeros((len(self), 0), np.int64)
        index = self.space.indices_of_levels(self.labels.level_NF).astype(np.int64)
        return np.where(self.labels.known_NF, index, -1)

    def with_labels(self, labels: Labels) -> Dataset:
        """The same images (and the same cache) with other labels, e.g. `data.labels.keep(rows)`."""
        assert labels.level_NF.shape == (len(self), len(self.space)), labels.level_NF.shape
        return Dataset(self.store, self.space, labels, self._images)

    def only(self, names: Sequence[str]) -> Dataset:
        """The same images with the labels of these factors alone, in the data's order."""
        return self.arranged(self.space.only(names).names)

    def arranged(self, names: Sequence[str]) -> Dataset:
        """The same images with the labels of these factors alone, in the order of `names`."""
        columns = [self.space.position(name) for name in names]
        space = FactorSpace(tuple(self.space[i] for i in columns))
        return Dataset(self.store, space, self.labels.columns(columns), self._images)

    def fingerprint(self) -> str:
        """32 hexadecimal digits that change with the images' names and files, the factors and the labels.

        Cheap: of image files it reads sizes (folder) or checksums (zip; of a folder's BMP files all bytes).
        """
        digest = hashlib.sha256()
        digest.update(json.dumps([self.store.height, self.store.width, self.channels, self.space.to_json()]).encode())
        for i, name in enumerate(self.names):
            digest.update(f"{name}\0{self.store.stamp(i)}\n".encode())
        digest.update(self.labels.known_NF.tobytes())
        digest.update(np.where(self.labels.known_NF, self.labels.level_NF, 0).astype("<f4").tobytes())
        return digest.hexdigest()[:32]


def read_labels(store: ImageStore) -> tuple[FactorSpace, Labels]:
    """The factors and labels beside images: `metadata.csv`, else `dataset.json`; `factors.json` fixes the factors.

    Next to a zip, `<its name>.metadata.csv` counts instead of what is inside.

    Raises:
        UserError: anything wrong; names the file, the value and the fix.
    """
    space = read_space(store)
    table = store.other_file("metadata.csv")
    if table is not None:
        return parse_csv(table, store.place("metadata.csv"), store.names, space)
    return read_document(store.document("dataset.json"), f"{store.path}/dataset.json", store.names, space)


def unread_table(store: ImageStore) -> Problem | None:
    """A table of labels that is not read: `metadata.jsonl`, a `metadata.csv` in a folder of the images, or one of
    another name (`Metadata.csv`).

    A zip of a folder often holds it in a folder. Beside a `metadata.csv` that is read, only others of that name count.
    """
    read = store.other_file("metadata.csv") is not None
    if not read and store.other_file("dataset.json") is not None:
        return None
    inside = {name.rpartition("/")[0] for name in store.names}
    folders = {folder for path in map(PurePosixPath, inside) for folder in (path, *path.parents) if folder.name}
    here, unread = "give the folder that holds it (of a zip: unpack it first)", "is not read, so its labels are unknown"
    tables = {"metadata.csv": here, "metadata.jsonl": f"`import huggingface` reads it: {here}"}
    if read:
        tables = {"metadata.csv": "add its rows to the table at the top"}
    for folder in [*([] if read else [""]), *(f"{folder}/" for folder in sorted(folders))]:
        for table, fix in tables.items():
            if store.other_file(folder + table) is not None:
                return Problem(f"{store.path}/{folder}{table}", unread, fix)
    others = [] if read else sorted(store.tables(), key=lambda name: name.lower() != "metadata.csv")
    return Problem(f"{store.path}/{others[0]}", unread, "rename it to metadata.csv") if others else None


def read_space(store: ImageStore) -> FactorSpace | None:
    """What `factors.json` says, or None where there is none.

    Raises:
        UserError: names the file and what is wrong in it.
    """
    document = store.document("factors.json")
    try:
        return None if document is None else FactorSpace.from_json(document)
    except (ValueError, OverflowError) as error:
        raise UserError(f"{store.place('factors.json')}: {error}; correct it") from None


def untrainable(store: ImageStore, size: Header) -> str | None:
    """Why networks cannot be trained on the images of `store`, of this size, and the fix; None where they can."""
    height, width = size.height, size.width
    if height == width and height in TRAINABLE:
        return None
    return (
        f"images are {width} x {height} pixels, training needs squares of 16, 32, 64, ... or 1024 pixels a side; "
        f"{make_fitting(store, size)}"
    )


def make_fitting(store: ImageStore, size: Header) -> str:
    """How squares of one size are made of the images of `store`, most of which are of this size; for messages."""
    side = proposed_resolution([size])
    return f"crop and resize all of them to {side} x {side}: {store.import_command} --resolution {side}"


def proposed_resolution(sizes: Iterable[Header]) -> int:
    """What images of these sizes may become: squares no larger than any, and none that take a GPU to learn from."""
    smallest = min((min(size.height, size.width) for size in sizes), default=LARGEST_PROPOSED)
    return max((r for r in TRAINABLE if r <= min(smallest, LARGEST_PROPOSED)), default=TRAINABLE[0])


class _Images:
    """Decoded images, kept once enough have been asked for (see `cache`). Shared by data sets of other labels."""

    def __init__(self, store: ImageStore, cache_bytes: int, workers: int) -> None:
        self.store = store
        self.caches = cache.size_of(store) <= cache_bytes
        self.asked = 0
        self.kept = cache.find(store) if self.caches else None
        self.workers = workers
        self.coming: dict[int, Future[ImageArray]] = {}

    @cached_property
    def pool(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(self.workers, thread_name_prefix="images")

    def get(self, indices: npt.NDArray[np.int64]) -> torch.Tensor:
        import torch

        self._check(indices)
        self.asked += len(indices)
        if self.kept is None and self.caches and self.asked > len(self.store) // 20:
            self.kept, self.coming = cache.fill(self.store), {}
        if self.kept is not None:
            return torch.from_numpy(np.take(self.kept, indices, axis=0))
        self.prefetch(indices)
        out = np.empty((len(indices), self.store.channels, self.store.height, self.store.width), np.uint8)
        wanted = {int(i): self.coming.pop(int(i)) for i in set(indices.tolist())}
        for row, i in enumerate(indices.tolist()):
            out[row] = wanted[i].result().transpose(2, 0, 1)
        return torch.from_numpy(out)

    def prefetch(self, indices: npt.NDArray[np.int64]) -> None:
        self._check(indices)
        if self.kept is None:
            for i in indices.tolist():
                if i not in self.coming:
                    self.coming[i] = self.pool.submit(self.store.read, i)

    def _check(self, indices: npt.NDArray[np.int64]) -> None:
        if indices.size and not (indices.min() >= 0 and indices.max() < len(self.store)):
            raise IndexError(f"image numbers run from 0 to {len(self.store) - 1}, got {indices.min()}, {indices.max()}")


# -- order -------------------------------------------------------------------------------------------------


def epoch_order(count_of_images: int, seed: int, images_seen: int, batch: int) -> npt.NDArray[np.int64]:
    """The numbers of the next `batch` images: a pure function, so that a resumed run reads what it would have read.

    Every epoch is a fresh permutation of all images; a batch may straddle epochs.

    Args:
        count_of_images: N, at least 1.
        seed: 0 or more.
        images_seen: how many images the run has read so far.
        batch: how many are wanted.

    Returns:
        int64, `batch` entries in [0, N).
    """
    out = np.empty(batch, np.int64)
    filled = 0
    while filled < batch:
        epoch, place = divmod(images_seen + filled, count_of_images)
        part = _permutation(count_of_images, seed, epoch)[place : place + batch - filled]
        out[filled : filled + len(part)] = part
        filled += len(part)
    return out


@functools.lru_cache(maxsize=4)
def _permutation(count: int, seed: int, epoch: int) -> npt.NDArray[np.int64]:
    order = np.random.default_rng([seed, epoch]).permutation(count).astype(np.int64)
    order.flags.writeable = False
    return order
