"""WebDataset: tar shards in which the files of a sample share a key: `000000.png`, `000000.json` (or `.cls`).

The tars are not unpacked: an index of offsets is made once, images are read where they lie.
"""

from __future__ import annotations

import json
import re
import tarfile
from array import array
from collections import Counter
from pathlib import Path
from typing import Any

from semistylegan import progress
from semistylegan.data.importers.source import EncodedSource, safe_name
from semistylegan.data.importers.typed import typed_labels
from semistylegan.data.pictures import EXTENSIONS
from semistylegan.data.storage import hidden
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace

_KEY = re.compile(r"^((?:.*/|)[^./]+)[.]([^/]*)$")
"""Key and ending, as the library splits names: at the first point of the last part."""
MAX_LABEL_BYTES = 1 << 20


def open_webdataset(source: Path) -> WebDatasetSource:
    """One .tar, a folder of them, or a pattern such as `shards/train-{000..012}.tar`."""
    if source.is_dir():
        shards = sorted(source.glob("*.tar"))
    else:
        shards = [Path(name) for name in _braces(str(source))]
    if not shards:
        raise UserError(f"{source}: holds no .tar; give the path of shards (a .tar.gz must be unpacked to .tar first)")
    return WebDatasetSource(source, shards)


class WebDatasetSource(EncodedSource):
    """Samples of all shards, in their order; those without an image are left out, and a note says how many."""

    def __init__(self, path: Path, shards: list[Path]) -> None:
        """
        Raises:
            UserError: a shard that is missing or damaged, or a key or an image of it twice; names it.
        """
        self.path, self.files = path, shards
        self._names: list[str] = []
        self._shard, self._offset, self._size = array("l"), array("q"), array("q")
        columns: dict[str, list[Any]] = {}
        self._numbered = False
        self._without: list[str] = []
        with progress.bar("indexing shards", len(shards)) as advance:
            for k, shard in enumerate(shards):
                self._index(k, shard, columns)
                advance()
        if not self._names:
            raise UserError(f"{path}: no sample with an image ({', '.join(EXTENSIONS)}); is it the right folder?")
        if len(set(self._names)) != len(self._names):
            twice = Counter(self._names).most_common(1)[0][0]
            raise UserError(f"{path}: two samples have the key {twice.removesuffix('.png')!r}; give each its own")
        for values in columns.values():
            values += [None] * (len(self._names) - len(values))
        factors = (path if path.is_dir() else path.parent) / "factors.json"
        space = FactorSpace.load(factors) if factors.is_file() else None
        classes = None
        if self._numbered and all(isinstance(n, int | None) for n in columns["class"]):
            most = max(n for n in columns["class"] if n is not None)
            classes = {"class": [str(n) for n in range(most + 1)]}
        self.space, self.labels, self.notes = typed_labels(str(path), columns, len(self._names), classes, space)
        if self._without:
            left_out = (
                f"samples without an image are left out, with their labels: {len(self._without):,}, the first is "
                f"{self._without[0]!r}; the files of a sample stand together in a tar, named KEY.png, KEY.json, ..."
            )
            self.notes = [*self.notes, left_out]

    def _index(self, k: int, shard: Path, columns: dict[str, list[Any]]) -> None:
        sample: dict[str, tarfile.TarInfo] = {}
        key = ""
        try:
            with tarfile.open(shard, "r:") as tar:
                for info in tar:
                    match = _KEY.match(info.name)
                    if not info.isreg() or match is None:
                        continue
                    if hidden(info.name.removeprefix("./")) and ".." not in info.name.split("/"):
                        continue
                    if match[1] != key:
                        self._add(k, tar, key, sample, columns)
                        key, sample = match[1], {}
                    if (ending := match[2].lower()) in sample:
                        raise UserError(f"{shard}: sample {key!r} has two .{ending}; give each image its own key")
                    sample[ending] = info
                    setattr(tar, "members", [])  # noqa: B010  (else they all stay in memory)
                self._add(k, tar, key, sample, columns)
        except FileNotFoundError:
            raise UserError(f"{shard}: no such file; check the name") from None
        except (tarfile.TarError, EOFError) as error:
            raise UserError(f"{shard}: not a tar, or cut off ({error}); copy it again") from None

    def _add(
        self, k: int, tar: tarfile.TarFile, key: str, sample: dict[str, tarfile.TarInfo], columns: dict[str, list[Any]]
    ) -> None:
        images = [e for e in sample if f".{e}" in EXTENSIONS]
        if not images:
            self._without += [key] if sample else []
            return
        if len(images) > 1:
            both = f".{images[0]} and .{images[1]}"
            raise UserError(f"{self.files[k]}: sample {key!r} has two images, {both}; give each its own key")
        image = sample[images[0]]
        i = len(self._names)
        self._names.append(safe_name(self.files[k], key + ".png"))
        self._shard.append(k)
        self._offset.append(image.offset_data)
        self._size.append(image.size)
        row: dict[str, Any] = {}
        if "json" in sample:
            row = _json(self.files[k], tar, sample["json"])
        if "cls" in sample:
            word = _text(self.files[k], tar, sample["cls"]).strip()
            number = word.isascii() and word.isdigit() and len(word) < 6
            row["class"] = None if word == "-1" else int(word) if number else word
            self._numbered |= number
        for name, value in row.items():
            column = columns.setdefault(name, [])
            column += [None] * (i - len(column))
            column.append(value)

    def name(self, i: int) -> str:
        return self._names[i]

    def encoded(self, i: int) -> bytes:
        shard = self.files[self._shard[i]]
        with shard.open("rb", buffering=0) as file:  # not kept open: there may be more shards than open files allowed
            file.seek(self._offset[i])
            data = file.read(self._size[i])
        if len(data) != self._size[i]:
            raise UserError(f"{shard}: {self._names[i]} is cut off; copy the shard again")
        return data

    def place(self, i: int) -> str:
        return f"{self.files[self._shard[i]]}: sample {self._names[i].removesuffix('.png')}"


def _text(shard: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> str:
    stream = tar.extractfile(info)
    if stream is None or info.size > MAX_LABEL_BYTES:
        raise UserError(f"{shard}: {info.name} is no label; remove it")
    try:
        return stream.read().decode("utf-8")
    except UnicodeDecodeError:
        raise UserError(f"{shard}: {info.name} is not UTF-8 text; correct it") from None


def _json(shard: Path, tar: tarfile.TarFile, info: tarfile.TarInfo) -> dict[str, Any]:
    text = _text(shard, tar, info)
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):  # also a number of thousands of digits
        raise UserError(f"{shard}: {info.name} is not JSON; correct it") from None
    return found if isinstance(found, dict) else {"label": found}


def _braces(pattern: str) -> list[str]:
    """`a-{000..002}.tar` -> three names. (The library's own syntax, of which this is the usual part.)"""
    match = re.search(r"\{(\d+)\.\.(\d+)\}", pattern)
    if match is None:
        return [pattern]
    low, high = match[1], match[2]
    numbers = (f"{n:0{len(low)}d}" for n in range(int(low), int(high) + 1))
    return [name for n in numbers for name in _braces(pattern[: match.start()] + n + pattern[match.end() :])]
