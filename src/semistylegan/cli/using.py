"""Commands that use a trained model: generate, traverse, encode."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, UseAppendAction, arg

from semistylegan.cli.command import Command
from semistylegan.errors import UserError

if TYPE_CHECKING:
    from semistylegan.data.pictures import ImageArray
    from semistylegan.factors import FactorSpace, Value

Settings = Annotated[UseAppendAction[tuple[str, ...]], arg(name="set", metavar="FACTOR=VALUE")]
Model = Annotated[Positional[str], arg(metavar="MODEL")]
Images = Annotated[Positional[tuple[Path, ...]], arg(metavar="IMAGE ...")]

OTHER_FILES = (
    *(".avi", ".avif", ".eps", ".gif", ".heic", ".mov", ".mp4", ".pdf", ".ppm", ".svg", ".tga", ".tif", ".tiff"),
    *(".csv", ".gz", ".h5", ".html", ".json", ".npy", ".npz", ".parquet", ".pt", ".safetensors", ".tar", ".txt"),
    *(".webm", ".zip"),
)
"""Endings of files that are no pictures we read: no one means a folder of that name."""

GENERATED = "generated"
"""Key in the `dataset.json` of drawn images: of which model, and what was set."""


@dataclass(frozen=True)
class Generate(Command):
    """Draws new images whose factors are as you say.

    Example:
      semistylegan generate runs/sprites --set shape=ring --set hue=210 --count 16 --out rings.png
    """

    model: Model
    """Folder of a run or of a checkpoint, or the name of a model that ships with the package."""
    out: Path
    """A grid where it ends in .png; a data set where it ends in .zip, each image labelled with the values that it was
    drawn with; else a folder that gets one file an image."""
    settings: Settings = ()
    """A factor's value in its own units, a category's name, or a value's number as #3. Others are drawn."""
    count: int = 16
    """Number of images."""
    seed: int = 0
    """Fixes what is not set."""
    device: str = "cpu"
    """cpu (the same numbers on every machine), cuda, cuda:1, mps, or auto."""

    def run(self) -> Path:
        from semistylegan.data.pictures import save_png, tile
        from semistylegan.data.writing import ZipWriter
        from semistylegan.editing import load
        from semistylegan.files import require_own
        from semistylegan.progress import QUIET_PICTURES, quiet_bar

        model = load(self.model, self.device)
        settings = values(model.factors, self.settings)
        zipped = self.out.suffix.lower() == ".zip" and not self.out.is_dir()
        grid, names = not zipped and is_png(self.out), [f"{i:06d}.png" for i in range(self.count)]
        data: ZipWriter | None = None
        if zipped:
            _refuse_other_data(self.out)
            about = {"model": self.model, "set": list(self.settings), "seed": self.seed}
            data = ZipWriter(self.out, model.factors, {GENERATED: about})
        elif not grid and self.out.is_dir():  # what an earlier, longer one drew may stay
            require_own(self.out, names + [p.name for p in self.out.iterdir() if re.fullmatch(r"\d{6}\.png", p.name)])
        drawn = model.generate_labelled(settings, self.seed, self.count)
        pairs = (pair for batch in drawn for pair in zip(*batch, strict=True))
        images = []
        with quiet_bar("drawing", self.count, QUIET_PICTURES) as advance, data or nullcontext():
            for name, (image, level_F) in zip(names, pairs, strict=True):
                if grid:
                    images.append(image)
                elif data is not None:
                    data.add(name, image, level_F)
                else:
                    save_png(self.out / name, image)
                advance(1)
        if grid:
            save_png(self.out, tile(images, columns=round(len(images) ** 0.5), gap=2))
        return self.out


@dataclass(frozen=True)
class Traverse(Command):
    """Shows what each factor does: a row for each, its values from left to right.

    Example:
      semistylegan traverse runs/sprites --set shape=ring --out factors.png
    """

    model: Model
    """Folder of a run or of a checkpoint, or the name of a model that ships with the package."""
    out: Path
    """A .png (grid) or a .gif (one factor after the other)."""
    settings: Settings = ()
    """A factor's value where the row is another's: in its own units, a category's name, or as #3. Others are drawn."""
    factor: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="NAME")] = ()
    """Show this factor alone; may be given several times."""
    columns: int = 8
    """Most values shown of a factor."""
    seed: int = 0
    """Which image is changed."""
    device: str = "cpu"
    """cpu (the same numbers on every machine), cuda, cuda:1, mps, or auto."""

    def run(self) -> Path:
        from semistylegan.editing import load
        from semistylegan.report.grids import save_traversal

        model = load(self.model, self.device)
        settings = values(model.factors, self.settings)
        save_traversal(model.traverse(self.seed, self.columns, settings, self.factor or None), self.out)
        return self.out


@dataclass(frozen=True)
class Encode(Command):
    """Reads the factors off images.

    Example:
      semistylegan encode runs/sprites photo.png other.png --csv factors.csv
    """

    model: Model
    """Folder of a run or of a checkpoint, or the name of a model that ships with the package."""
    image: Images
    """One or more image files, or folders or zips of them."""
    json: bool = False
    """Print JSON: one object an image."""
    csv: Annotated[Path | None, arg(metavar="FILE")] = None
    """Write a table with a column for each factor, as metadata.csv has it; - is stdout. Of one folder or zip it names
    the images as that data set's own table does; written as this one, it gets the model's factors.json beside it."""
    device: str = "cpu"
    """cpu (the same numbers on every machine), cuda, cuda:1, mps, or auto."""

    def run(self) -> Path | None:
        from semistylegan.cli.tables import csv_text, print_readings, readings
        from semistylegan.data.pictures import EXTENSIONS
        from semistylegan.editing import load
        from semistylegan.files import write_text

        if not self.image:
            raise UserError("IMAGE: none given; name one or more image files, folders or zips")
        if self.csv is not None and self.json:
            raise UserError(f"--json: not with --csv {self.csv}, which writes a table; leave out one of them")
        if self.csv is not None and (self.csv.suffix.lower() in (*EXTENSIONS, ".zip") or self.csv in self.image):
            raise UserError(f"--csv {self.csv}: is no table; name the one to write, e.g. --csv factors.csv")
        if self.csv is not None and self.csv.exists() and self.csv.resolve() in map(own_table, self.image):
            raise UserError(f"--csv {self.csv}: holds labels of these images; give another name, e.g. factors.csv")
        model = load(self.model, self.device)
        rows = readings(model, [image for path in self.image for image in images_in(path, len(self.image) > 1)])
        if self.csv == Path("-"):
            print(csv_text(rows), end="")
            return None
        if self.csv is not None:
            if len(self.image) == 1 and self.csv.resolve() == own_table(self.image[0]):
                write_factors_beside(self.csv, model.factors)
            write_text(self.csv, csv_text(rows))
        elif self.json:
            print(json.dumps(rows, indent=2, allow_nan=False))
        else:
            print_readings(rows, model.factors)
        return self.csv


def images_in(path: Path, among_others: bool) -> list[tuple[str, Callable[[], ImageArray]]]:
    """The images of a file, a folder or a zip: the name of each, and what loads it.

    Those of a folder or a zip are named as its labels name them; with its path before that, where there are others.

    Raises:
        UserError: a folder or a zip without images, a damaged zip, or no such file.
    """
    from semistylegan.data.pictures import load_image
    from semistylegan.data.storage import open_store

    if path.suffix.lower() == ".zip" and path.is_file():
        store = open_store(path)
        prefix = f"{path}/" if among_others else ""
        return [(prefix + name, partial(store.decode, i)) for i, name in enumerate(store.names)]
    own = path.is_dir() and not among_others
    return [(n.as_posix() if own else str(p), partial(load_image, p)) for p, n in image_files([path]).items()]


def own_table(path: Path) -> Path:
    """Where labels of an image, or of those of a folder or a zip, stand, whether there are any or not; resolved."""
    from semistylegan.data.storage import LABELS_FILE, beside_zip

    if path.suffix.lower() == ".zip" and path.is_file():
        return beside_zip(path, LABELS_FILE).resolve()
    return ((path if path.is_dir() else path.parent) / LABELS_FILE).resolve()


def write_factors_beside(table: Path, factors: FactorSpace) -> None:
    """Says which factors a data set's table of readings is of, where nothing says it yet: from readings alone an angle
    would be taken for a number, and ranges for those of the readings. Readings of numbers lie between the values too.
    """
    from semistylegan.data.storage import FACTORS_FILE, LABELS_FILE
    from semistylegan.factors import FactorSpace
    from semistylegan.files import write_json

    file = table.with_name(table.name.removesuffix(LABELS_FILE) + FACTORS_FILE)
    if not file.exists():
        readings = (
            f if f.kind == "categorical" else dataclasses.replace(f, size=None, grid=None, as_classes=False)
            for f in factors
        )
        write_json(file, FactorSpace(tuple(readings)).to_json())


def image_files(given: Sequence[Path], out: Path | None = None) -> dict[Path, Path]:
    """The files, and those in the folders and below, sorted; hidden ones are left out, and so is what lies in `out`
    below such a folder -> their names, or where they lie below the folder that was given.

    Raises:
        UserError: a folder without images, or no such file.
    """
    from semistylegan.data.pictures import EXTENSIONS
    from semistylegan.data.storage import images_below

    files: dict[Path, Path] = {}
    for path in given:
        if not path.is_dir():
            files.setdefault(path, Path(path.name))
            continue
        below = [file for name in images_below(path) if (file := path / name).is_file()]
        if out is not None and path.resolve() in out.resolve().parents:  # what an earlier edit left there
            below = [p for p in below if out.resolve() not in p.resolve().parents]
        if not below:
            raise UserError(f"{path}: no images in this folder; known endings are {', '.join(EXTENSIONS)}")
        for p in below:
            files.setdefault(p, p.relative_to(path))
    return files


def is_png(out: Path) -> bool:
    """Whether `out` is to be one picture, not a folder of them.

    Raises:
        UserError: a name that ends as files of another format do.
    """
    from semistylegan.data.pictures import EXTENSIONS

    ending = out.suffix.lower()
    if ending != ".png" and ending in (*EXTENSIONS, *OTHER_FILES) and not out.is_dir():
        raise UserError(f"--out {out}: cannot write {ending}; take .png, or a folder")
    return ending == ".png" and not out.is_dir()


def _refuse_other_data(out: Path) -> None:
    """
    Raises:
        UserError: a file stands there that this command did not write, e.g. the data of a training; or a table of
            labels stands beside it, which would count instead of the images' own.
    """
    from semistylegan.data.storage import LABELS_FILE, beside_zip, open_store

    if out.exists():
        try:
            ours = GENERATED in (open_store(out).document("dataset.json") or {})
        except UserError:
            ours = False
        if not ours:
            raise UserError(f"--out {out}: holds other images than drawn ones; give another name")
    if (table := beside_zip(out, LABELS_FILE)).exists():
        raise UserError(f"--out {out}: {table} would be taken for its labels; move that, or give another name")


def values(space: FactorSpace, settings: Sequence[str]) -> dict[str, Value]:
    """`["hue=210", "shape=#2"]` -> {"hue": "210", "shape": "#2"}, all checked.

    Raises:
        UserError: not of the form factor=value, an unknown factor, one that is set twice, or a value that does not fit.
    """
    space.parse_settings(settings)
    out: dict[str, Value] = {}
    for setting in settings:
        ((name, value),) = space.split_settings([setting]).items()
        if name in out:
            raise UserError(f"--set {setting}: {name} is set twice, first to {out[name]}; leave out one")
        out[name] = value
    return out
