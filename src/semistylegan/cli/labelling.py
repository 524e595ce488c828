"""The command for labelling by hand: label."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from semistylegan.cli.command import Command, Whole
from semistylegan.errors import UserError


@dataclass(frozen=True)
class Label(Command):
    """Opens a page on which you label images with the keyboard; each label is in metadata.csv at once.

    A factor is written as shape (what factors.json or the labels so far say of it, else classes that you name as they
    come up), shape=ring|square (these classes), size:0..10 (a number), size:0..10/5 (one of five), hue:angle (degrees).
    Labels of a zip, photos.zip, go into photos.metadata.csv beside it.

    Example:
      semistylegan label photos/ --factors "shape=ring|square|triangle,hue:angle,size:0..10"
    """

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    """Folder of images, or a zip."""
    factors: Annotated[str, arg(metavar="A,B,C")]
    """What to ask for."""
    model: Annotated[str | None, arg(metavar="MODEL")] = None
    """A trained model whose encoder fills in what it reads, to be corrected: a run, a checkpoint or a name."""
    choose: Literal["random", "spread", "doubt"] = "random"
    """Which image comes next: any; one that looks unlike those labelled; one that the model is unsure of."""
    port: Whole = None
    """Port on 127.0.0.1. Not given: 8765, or a free one where that is taken."""
    seed: int = 0
    """Fixes the order of the images."""
    no_open: bool = False
    """Do not open a browser window."""

    def run(self) -> None:
        from semistylegan.app.desk import Desk
        from semistylegan.app.labelling import alone, make_app
        from semistylegan.app.server import serve
        from semistylegan.data.storage import uncollected

        if self.choose == "doubt" and self.model is None:
            raise UserError("--choose doubt: needs a model to doubt; give --model RUN, or leave it out")
        model = None
        if self.model is not None:
            from semistylegan.editing import load

            model = load(self.model)
        with uncollected():
            desk = Desk(self.data, self.factors, model, self.choose, self.seed)
        with alone(desk):
            desk.queue.start()
            try:
                serve(make_app(desk), "Labelling page", self.port, browser=not self.no_open)
            finally:
                desk.queue.close()
        print(f"{len(desk.values):,} of {len(desk.store):,} images carry labels: {desk.path}")
