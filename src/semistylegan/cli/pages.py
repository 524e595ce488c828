"""Commands that open a page for people: app."""

from __future__ import annotations

from dataclasses import dataclass

from semistylegan.cli.command import Command, Whole
from semistylegan.cli.using import Model
from semistylegan.errors import UserError


@dataclass(frozen=True)
class App(Command):
    """Opens a page with a slider for each factor: the picture follows. Ctrl-C ends it.

    It is served on this machine alone. An image dropped on it is read, and changed with the same sliders.

    Example:
      semistylegan app runs/sprites
    """

    model: Model
    """Folder of a run or of a checkpoint, or the name of a model that ships with the package."""
    port: Whole = None
    """Of the address; 0 takes any free one. Not given: 8765, or any free one where that is taken."""
    no_open: bool = False
    """Print the address and open no browser."""
    steps: int = 200
    """Updates of the search for an image that is dropped on the page."""
    device: str = "cpu"
    """cpu (the same numbers on every machine), cuda, cuda:1, mps, or auto."""

    def run(self) -> None:
        from semistylegan.app.server import serve
        from semistylegan.app.sliders import make_app
        from semistylegan.editing import load

        if self.steps < 0:
            raise UserError(f"--steps {self.steps}: give 0 or more")
        sliders = make_app(load(self.model, self.device), self.model, self.steps)
        serve(sliders, f"Sliders of {self.model}", self.port, not self.no_open)
