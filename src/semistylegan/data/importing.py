"""A source of any format -> a zip: in parallel, in parts that survive a kill, always the same bytes.

Images are read, cut to a square and resized in threads, a chunk at a time, so that memory does not grow with the data
set. Finished chunks lie in `OUT.parts/` until OUT is written from all of them.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan import __version__, progress
from semistylegan.data.dataset import TRAINABLE
from semistylegan.data.importers import Source
from semistylegan.data.labels import Labels
from semistylegan.data.parts import Parts
from semistylegan.data.pictures import FILTERS, Filter, Fit, encode_png, resize, square, to_channels
from semistylegan.data.storage import ZipWriter, cores
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace, whole_number

CHUNK_BYTES = 32 << 20
"""Decoded pixels of a chunk, about: what a kill can cost, and what is held in memory at once."""


@dataclass(frozen=True)
class Recipe:
    """What becomes of each image, and which images and factors are taken.

    Raises:
        UserError: a number that is not whole; names it.
    """

    resolution: int | None = None
    """Pixels a side. None: the images' own where they are square and networks exist for it, else the next lower one."""
    fit: Fit = "crop"
    """What becomes of images that are not square: `crop` keeps the centre, `pad` adds white."""
    crop: int | None = None
    """Cut out the centre square of so many pixels first. None: as is usual for the data set."""
    filter: Filter = "lanczos"
    """How pixels are made into fewer or more: lanczos, bicubic, bilinear, box or nearest."""
    count: int | None = None
    """Take so many images, drawn by the seed; a larger count holds the smaller one's. None: all."""
    seed: int = 0
    """Which images `count` draws."""
    factors: tuple[str, ...] | None = None
    """Keep these factors alone, in this order. None: all."""

    def __post_init__(self) -> None:
        for field in ("resolution", "crop", "count", "seed"):
            if (value := getattr(self, field)) is not None:
                object.__setattr__(self, field, whole_number(field, value))


def import_dataset(
    source: Source, name: str, out: str | Path, recipe: Recipe | None = None, workers: int | None = None
) -> Path:
    """Writes the images and labels of `source` into the zip `out`. Called again after a kill it goes on.

    Args:
        source: see `importers.open_source`.
        name: of its format, kept in `dataset.json`.
        out: a .zip. Nothing else is written but `OUT.parts/`, which is removed at the end.
        recipe: None is Recipe().
        workers: threads; None means one a core.

    Raises:
        UserError: a recipe that does not fit, a damaged image, or `out` (or what is half done) has other settings.
        OSError: what writing raised, e.g. ENOSPC; what is done so far is kept.
    """
    job = Job.plan(source, name, Path(out), recipe or Recipe(), workers)
    parts = Parts(job.out, job.settings, "imported")
    if not parts.finished():
        for note in [*source.notes, *job.notes]:
            progress.console().print(f"{source.path}: {note}", markup=False)
        parts.claim()
        try:
            _convert_missing(job, parts)
            _assemble(job, parts)
        except FileNotFoundError:
            if not parts.finished():  # else the same command, given twice, was first and has removed the chunks
                raise
    parts.clear()
    return job.out


@dataclass(frozen=True)
class Job:
    """One import, every choice made."""

    source: Source
    out: Path
    recipe: Recipe
    space: FactorSpace
    labels: Labels
    rows: npt.NDArray[np.int64]
    channels: int
    settings: dict[str, Any]
    notes: tuple[str, ...]
    workers: int

    @classmethod
    def plan(cls, source: Source, name: str, out: Path, recipe: Recipe, workers: int | None) -> Job:
        """
        Raises:
            UserError: a choice that does not fit the source.
        """
        _check(source, out, recipe, workers)
        first = source.first
        crop = recipe.crop or source.crop
        longest, shortest = max(first.height, first.width), min(first.height, first.width)
        side = min(crop or longest, longest if recipe.fit == "pad" else shortest)
        if crop is not None and crop > shortest and recipe.fit == "crop":
            raise UserError(f"--crop {crop}: the images are {first.words}; give at most {shortest}")
        resolution = recipe.resolution or max((r for r in TRAINABLE if r <= side), default=TRAINABLE[0])
        recipe = dataclasses.replace(recipe, resolution=resolution, crop=crop)
        notes = list(_becomes(source, recipe))
        space, labels = source.space, source.labels
        if recipe.factors is not None:
            columns = [space.position(name) for name in recipe.factors]
            space = FactorSpace(tuple(space[f] for f in columns))
            labels = labels.columns(columns)
        count = None if recipe.count == len(source) else recipe.count
        rows = np.arange(len(source), dtype=np.int64)
        if count is not None:
            rows = np.sort(np.random.default_rng([recipe.seed, 0x1390]).permutation(rows)[:count])
        settings = {
            "format": name,
            "source": source.path.resolve().name,
            "source_stamp": source.stamp(rows.tolist()),
            "resolution": resolution,
            "fit": recipe.fit,
            "crop": crop,
            "filter": recipe.filter,
            "count": len(rows),
            **({} if count is None else {"seed": recipe.seed}),
            "factors": None if recipe.factors is None else list(recipe.factors),
        }
        return cls(source, out, recipe, space, labels, rows, first.channels, settings, tuple(notes), workers or cores())

    def chunks(self) -> list[npt.NDArray[np.int64]]:
        """Numbers of the source's images, cut into chunks; the same on every machine."""
        assert self.recipe.resolution is not None
        size = min(max(CHUNK_BYTES // (self.recipe.resolution**2 * self.channels), 16), 2048)
        return [self.rows[i : i + size] for i in range(0, len(self.rows), size)]

    def png(self, i: int) -> bytes:
        """Image `i` of the source as it will stand in the zip."""
        assert self.recipe.resolution is not None
        image = self.source.read(i)
        if image.shape[-1] > self.channels:
            raise UserError(
                f"{self.source.path}: {self.source.name(i)} has colours, the first images have none; convert it"
            )
        cut = square(image, self.recipe.fit, self.recipe.crop)
        done = resize(cut, self.recipe.resolution, self.recipe.filter)
        as_it_is = done.shape == cut.shape == image.shape and image.shape[-1] == self.channels
        if as_it_is and (data := self.source.png(i)) is not None:
            return data
        return encode_png(to_channels(done, self.channels))


def _becomes(source: Source, recipe: Recipe) -> Iterator[str]:
    """What becomes of the images, in a sentence, unless they stay as they are."""
    sizes, side, crop = source.sizes, recipe.resolution, recipe.crop
    assert side is not None
    if set(sizes) == {(side, side)} and (crop or side) >= side:
        return
    words = []
    if recipe.fit == "pad" and any(min(crop or height, height) != min(crop or width, width) for height, width in sizes):
        words.append("are padded with white")
    elif any(min(crop or height, height, width) < max(height, width) for height, width in sizes):
        words.append("are cut to their centre squares" + (f" of {crop} pixels" if crop else ""))
    longer = max if recipe.fit == "pad" else min
    squares = Counter[int]()
    for size, count in sizes.items():
        squares[min(crop or max(size), longer(size))] += count
    if set(squares) != {side}:
        enlarged = sum(count for square, count in squares.items() if square < side)
        share = f"; {enlarged:,} of {len(source):,} are enlarged" if enlarged else ""
        words.append(f"become {side} x {side} pixels ({recipe.filter}){share}")
    smallest = f"{source.first.width} x {source.first.height} pixels"
    many = f"{len(sizes):,} sizes, the smallest {smallest}," if len(sizes) > 1 else smallest
    yield f"images of {many} {' and '.join(words)}"


def _check(source: Source, out: Path, recipe: Recipe, workers: int | None) -> None:
    if out.suffix.lower() != ".zip":
        raise UserError(f"{out}: a data set is written as a zip; give a name that ends in .zip")
    if recipe.resolution is not None and recipe.resolution not in TRAINABLE:
        raise UserError(f"resolution {recipe.resolution}: give one of {', '.join(map(str, TRAINABLE))}")
    if recipe.crop is not None and recipe.crop < 1:
        raise UserError(f"--crop {recipe.crop}: give the side of a square in pixels")
    if recipe.fit not in ("crop", "pad"):
        raise UserError(f"--fit {recipe.fit}: known are crop, pad")
    if recipe.filter not in FILTERS:
        raise UserError(f"--filter {recipe.filter}: known are {', '.join(FILTERS)}")
    if recipe.count is not None and not 1 <= recipe.count <= len(source):
        raise UserError(f"count {recipe.count}: {source.path} has {len(source):,} images; give 1 to {len(source)}")
    if recipe.seed < 0:
        raise UserError(f"seed {recipe.seed}: give 0 or more")
    if recipe.factors is not None and len(set(recipe.factors)) != len(recipe.factors):
        raise UserError(f"--factors {','.join(recipe.factors)}: names one twice; name each once")
    if workers is not None and workers < 1:
        raise UserError(f"workers {workers}: give at least 1")


def _convert_missing(job: Job, parts: Parts) -> None:
    """Writes the chunks that are not there yet."""
    chunks = job.chunks()
    todo = [k for k in range(len(chunks)) if not parts.file(k).exists()]
    done = len(job.rows) - sum(len(chunks[k]) for k in todo)
    if not todo:
        return
    with (
        progress.bar("importing images", len(job.rows), done) as advance,
        ThreadPoolExecutor(job.workers) as pool,
    ):
        for k in todo:
            images = []
            for i, png in zip(chunks[k].tolist(), pool.map(job.png, chunks[k].tolist()), strict=True):
                images.append((job.source.name(i), png))
                advance()
            parts.write(k, images)


def _assemble(job: Job, parts: Parts) -> None:
    """Writes OUT from its chunks."""
    made = {"made": {**job.settings, "package": __version__}}
    space = job.space if len(job.space) else None
    with progress.bar("writing the zip", len(job.rows)) as advance, ZipWriter(job.out, space, made) as out:
        for k, rows in enumerate(job.chunks()):
            names = [job.source.name(i) for i in rows.tolist()]
            images = parts.read(k, names)
            if images is None:
                images = [job.png(i) for i in rows.tolist()]
            for i, name, png in zip(rows.tolist(), names, images, strict=True):
                labelled = (None, None) if space is None else (job.labels.level_NF[i], job.labels.known_NF[i])
                out.add_png(name, png, *labelled)
            advance(len(rows))
