"""A user's own folder (or zip) of images with a table of labels, and StyleGAN's zips and folders."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from semistylegan import progress
from semistylegan.data.dataset import read_labels, read_space, unread_table
from semistylegan.data.documents import read_document
from semistylegan.data.importers.source import StoreSource
from semistylegan.data.pictures import Header
from semistylegan.data.storage import ImageStore, open_store
from semistylegan.errors import UserError


class FolderSource(StoreSource):
    """Files of any size: the headers of all say whether colour is needed, and which size is the smallest."""

    @property
    def first(self) -> Header:
        return self._shape

    @property
    def sizes(self) -> Counter[tuple[int, int]]:
        return self._sizes

    def scan(self) -> FolderSource:
        """Reads the headers.

        Raises:
            UserError: an image that is none; names the file.
        """
        channels = 0
        self._sizes = Counter[tuple[int, int]]()
        with progress.quiet_bar("reading image headers", len(self.store)) as advance:
            for i in range(len(self.store)):
                found = self.store.header(i)
                channels = max(channels, found.channels)
                self._sizes[found.height, found.width] += 1
                advance()
        self._shape = Header(*min(self._sizes, key=min), channels)
        return self


def open_folder(source: Path) -> StoreSource:
    """A folder of images (or a zip of one) with `metadata.csv`, `dataset.json` or neither; perhaps `factors.json`."""
    store = open_store(source)
    space, labels = read_labels(store)
    out = FolderSource(store, space, labels).scan()
    if table := unread_table(store):
        out.notes = [f"{table.file.removeprefix(f'{store.path}/')} {table.what}; {table.fix}"]
    return out


def open_stylegan(source: Path) -> StoreSource:
    """A zip or folder of StyleGAN's dataset tool: labels in `dataset.json` as integers or vectors, or none.

    A person's table next to the zip counts instead.
    """
    store: ImageStore = open_store(source)
    if store.other_file("metadata.csv") is not None:
        return FolderSource(store, *read_labels(store)).scan()
    document = store.document("dataset.json")
    if document is not None and "labels" not in document:
        raise UserError(
            f'{source}/dataset.json: has no "labels"; expected {{"labels": [["name.png", 3], ...]}} or null'
        )
    space, labels = read_document(document, f"{source}/dataset.json", store.names, read_space(store))
    return FolderSource(store, space, labels).scan()
