"""The command that hands a model on: export."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import numpy as np
from tyro.conf import arg

from semistylegan.cli.command import Command
from semistylegan.cli.using import Model, image_files
from semistylegan.errors import UserError

if TYPE_CHECKING:
    from semistylegan.data.pictures import ImageArray
    from semistylegan.editing import Model as LoadedModel

MOST_EXAMPLES = 24
"""Images that an editor is handed on with: a strip on its page."""
Format = Literal["safetensors", "onnx", "web"]


@dataclass(frozen=True)
class Export(Command):
    """Writes a model for others: a clean checkpoint, ONNX files, or a page that needs no server.

    safetensors: a folder that every command takes as MODEL, with a card. onnx: generator.onnx and encoder.onnx, any
    batch, checked against torch. web: a folder with a page whose sliders run in the visitor's browser; the first such
    export gets onnxruntime-web with npm.

    Example:
      semistylegan export runs/sprites --format web --out site
    """

    model: Model
    """Folder of a run or of a checkpoint, or the name of a model that ships with the package."""
    format: Format
    """What to write."""
    out: Annotated[Path, arg(metavar="PATH")]
    """Folder to write; of an earlier export there its own files are replaced."""
    half: bool = False
    """safetensors: store the weights in half precision, half the size."""
    title: Annotated[str | None, arg(metavar="TEXT")] = None
    """web: what stands above the page. Not given: the model's name."""
    examples: Annotated[Path | None, arg(metavar="PATH")] = None
    """safetensors, web, of an editor: images to begin with, a folder of them or one file; they are handed on too.
    At most 24."""
    runtime: Annotated[Path | None, arg(metavar="FILE")] = None
    """web: the file of the npm package onnxruntime-web, where npm cannot be asked for it."""

    def run(self) -> Path:
        from semistylegan.editing import load

        for option, given, formats in (
            ("half", self.half, ("safetensors",)),
            ("examples", self.examples, ("safetensors", "web")),
            ("title", self.title, ("web",)),
            ("runtime", self.runtime, ("web",)),
        ):
            if given and self.format not in formats:
                raise UserError(f"--{option}: not with --format {self.format}; leave it out")
        model = load(self.model)
        examples = None if self.examples is None else self.example_images(model, self.examples)
        if self.format == "safetensors":
            from semistylegan.export.forms import export_safetensors

            return export_safetensors(model, self.out, self.half, examples)
        if self.format == "onnx":
            from semistylegan.export.forms import export_onnx

            return export_onnx(model, self.out)
        from semistylegan.export.web import export_web
        from semistylegan.report.html import heading

        name = Path(self.model).resolve().name if Path(self.model).exists() else self.model
        return export_web(model, self.out, self.title or heading(name), self.runtime, examples)

    def example_images(self, model: LoadedModel, where: Path) -> ImageArray:
        """The images to begin with, of the model's size.

        Raises:
            UserError: none, too many of them, or a file that is no image.
        """
        from semistylegan.data.pictures import load_image

        files = list(image_files([where], self.out))
        if len(files) > MOST_EXAMPLES:
            raise UserError(f"--examples {where}: holds {len(files):,} images; choose {MOST_EXAMPLES} at most")
        return np.concatenate([model.fit(load_image(file)) for file in files])
