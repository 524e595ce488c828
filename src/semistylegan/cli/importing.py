"""Commands that bring data in and out: import, convert."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from semistylegan.cli.command import Command, Whole


@dataclass(frozen=True)
class Import(Command):
    """Makes a data set of images that you have: a folder with a table, or a published set as it is published.

    FORMAT is folder, stylegan, isaac3d, falcor3d, dsprites, shapes3d, mpi3d, celeba, huggingface or webdataset. What is
    written is a zip that `check` and `train` read fast. The same command again goes on where it stopped.

    Example:
      semistylegan import folder --source photos/ --out photos.zip --resolution 64
    """

    format: Annotated[Positional[str], arg(metavar="FORMAT")]
    """What lies at --source."""
    source: Path
    """Folder or file of the data."""
    out: Path
    """The zip to write."""
    resolution: Whole = None
    """Pixels a side: a power of two. Not given: the images' own size, or the next power of two below it."""
    fit: Literal["crop", "pad"] = "crop"
    """What becomes of images that are not square: crop keeps their centre, pad adds white."""
    crop: Whole = None
    """Cut out the centre square of so many pixels first. Not given: the largest (of aligned CelebA, 148)."""
    filter: Literal["lanczos", "bicubic", "bilinear", "box", "nearest"] = "lanczos"
    """How images are resized."""
    factors: Annotated[str | None, arg(metavar="A,B,C")] = None
    """Keep these factors alone. Not given: all."""
    count: Whole = None
    """Take so many images, drawn by --seed. Not given: all."""
    seed: int = 0
    """Which images --count draws."""
    workers: Whole = None
    """Threads. Not given: one a core."""

    def run(self) -> Path:
        from semistylegan.data.importers import open_source
        from semistylegan.data.importing import Recipe, import_dataset

        names = None if self.factors is None else tuple(n.strip() for n in self.factors.split(","))
        recipe = Recipe(self.resolution, self.fit, self.crop, self.filter, self.count, self.seed, names)
        return import_dataset(open_source(self.format, self.source), self.format, self.out, recipe, self.workers)


@dataclass(frozen=True)
class Convert(Command):
    """Writes a data set in a form that other programs read, image files byte for byte.

    folder: images and metadata.csv. huggingface: parquet files, for `datasets.load_dataset`. webdataset: tar shards.
    `import` reads each of them back.

    Example:
      semistylegan convert photos.zip --to huggingface --out photos-hf
    """

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    """Folder of images, StyleGAN zip, or what `render` and `import` write."""
    to: Annotated[str, arg(metavar="FORM")]
    """folder, huggingface or webdataset."""
    out: Path
    """The new folder to write."""

    def run(self) -> Path:
        from semistylegan.data import Dataset
        from semistylegan.data.exporting import export_dataset

        return export_dataset(Dataset.open(self.data), self.to, self.out)
