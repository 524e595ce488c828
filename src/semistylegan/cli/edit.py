"""The command that changes given images: edit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import arg

from semistylegan.cli.command import Command
from semistylegan.cli.using import Images, Model, Settings, image_files, is_png, values
from semistylegan.errors import UserError


@dataclass(frozen=True)
class Edit(Command):
    """Changes factors of given images and keeps the rest.

    A model of the preset fine does it in one pass. With others each image is first searched for in the model
    (inversion): some seconds, shown as they pass, and kept for the next edit of the same image.

    Example:
      semistylegan edit runs/sprites photo.png --set hue=210 --out edited.png
    """

    model: Model
    """Folder of a run or of a checkpoint, or the name of a model that ships with the package."""
    image: Images
    """One or more image files, or folders of them."""
    out: Path
    """The edited image; with several, a folder that gets their names, and their folders below those given."""
    settings: Settings = ()
    """A factor's value in its own units, a category's name, or a value's number as #3."""
    sweep: Annotated[str | None, arg(metavar="FACTOR")] = None
    """A strip in place of one image: the input, then this factor at each of its values."""
    columns: int = 8
    """Most values in a strip."""
    strength: float = 1.0
    """0 leaves the image as it is (an editor redraws it), 1 sets the value, between goes part of the way."""
    steps: int = 200
    """Updates of the search, where there is one."""
    device: str = "cpu"
    """cpu (the same numbers on every machine), cuda, cuda:1, mps, or auto."""

    def run(self) -> Path:
        from semistylegan.data.pictures import load_image, save_png, tile
        from semistylegan.editing import load
        from semistylegan.files import cache_folder
        from semistylegan.progress import bar

        if not self.image:
            raise UserError("IMAGE: none given; name one or more image files or folders")
        if not self.settings and self.sweep is None:
            raise UserError("--set: none given; say what to change, e.g. --set hue=210, or give --sweep hue")
        if self.columns < 1 or self.steps < 0:
            raise UserError(f"--columns {self.columns} --steps {self.steps}: at least 1 and 0")
        model = load(self.model, self.device)
        model.kept = cache_folder() / "inversions"
        for name in model.factors.split_settings(self.settings):
            model.check_editable(name)
        wanted = values(model.factors, self.settings)
        edits = [wanted]
        if self.sweep is not None:
            model.check_editable(self.sweep)
            factor = model.factors[self.sweep]
            edits = [{**wanted, factor.name: factor.value_of(float(u))} for u in factor.levels(self.columns)]
        if self.sweep in wanted:
            raise UserError(f"--set {self.sweep}={wanted[self.sweep]}: --sweep {self.sweep} sets it; leave out one")
        files = image_files(self.image, self.out)
        one = is_png(self.out)
        if one and (len(files) > 1 or self.image[0].is_dir()):
            raise UserError(f"--out {self.out}: there are several images to edit; give a folder")
        targets = [self.out] if one else [self.out / name for name in output_names(list(files.values()))]
        given = {identity(file) for file in files}
        for target in targets:
            if target.exists() and identity(target) in given:
                raise UserError(f"--out {self.out}: {target} is an image to be edited; give another name or folder")
        # All are read before the first is edited: a file that is no image stops it at once, with nothing written. They
        # are held as small as the model wants them.
        images = [model.single(load_image(file))[0] for file in files]
        steps = 1 if model.edits_in_one_pass else max(self.steps, 1)
        with bar("editing", total=steps * len(images)) as advance:
            for image, target in zip(images, targets, strict=True):
                before = 0

                def tell(done: int, total: int) -> None:
                    nonlocal before
                    advance((done - before) * steps / max(total, 1))
                    before = done

                edited = [model.edit(image, settings, self.strength, self.steps, tell) for settings in edits]
                save_png(target, edited[0] if self.sweep is None else tile([image, *edited], len(edited) + 1, gap=2))
                if not before:  # one pass, or found before
                    advance(steps)
        return self.out


def identity(file: Path) -> tuple[int, int] | str:
    """What two names of one file have in common, also where capitals do not count; its name where there is none."""
    try:
        found = file.stat()
    except OSError:
        return str(file)
    return found.st_dev, found.st_ino


def output_names(files: Sequence[Path]) -> list[Path]:
    """A name for each: its own with .png, with a number where two would be the same, also but for capitals."""
    names: dict[str, Path] = {}
    for file in files:
        name, number = file.with_suffix(".png"), 2
        while str(name).lower() in names:
            name, number = file.with_name(f"{file.stem}-{number}.png"), number + 1
        names[str(name).lower()] = name
    return list(names.values())
