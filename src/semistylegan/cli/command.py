"""What every command of the program can do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Self

from tyro.conf import arg

from semistylegan.cli import parsing

Whole = Annotated[int | None, arg(metavar="N")]
"""A whole number that need not be given."""


class Command:
    """A frozen dataclass: fields are options, their docstrings are the help.

    What a command needs is imported when it runs, so that `--help` is quick.
    """

    @classmethod
    def parse(cls, name: str, args: Sequence[str]) -> Self:
        """Reads the options; UserError where they cannot be."""
        return parsing.options(cls, name, args)

    def run(self) -> Path | None:
        """Does it. Returns the path of what was written last."""
        raise NotImplementedError
