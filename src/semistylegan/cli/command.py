"""What every command of the program can do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Self

from tyro.conf import arg

from semistylegan.cli import parsing
from semistylegan.errors import UserError

Whole = Annotated[int | None, arg(metavar="N")]
"""A whole number that need not be given."""


def check_seed(seed: int) -> None:
    """Whether every generator of random numbers takes it.

    Raises:
        UserError: it does not.
    """
    if not 0 <= seed < 2**31:
        raise UserError(f"--seed {seed}: give a number from 0 to {2**31 - 1}")


@dataclass(frozen=True)
class Command:
    """A frozen dataclass: fields are options, their docstrings are the help.

    What a command needs is imported when it runs, so that `--help` is quick.
    """

    @classmethod
    def parse(cls, name: str, args: Sequence[str]) -> Self:
        """Reads the options; UserError where they cannot be."""
        command = parsing.options(cls, name, args)
        check_seed(getattr(command, "seed", 0))
        return command

    def run(self) -> Path | None:
        """Does it. Returns the path of what was written last."""
        raise NotImplementedError
