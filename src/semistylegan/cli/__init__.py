"""The `semistylegan` command: one subcommand for each thing that a user does."""

from semistylegan.cli.program import main

__all__ = ["main"]
