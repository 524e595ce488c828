"""Which command was meant, and with which status the program ends.

0 success; 2 the user can mend it (one line on stderr); 1 our bug (a traceback); 130 interrupted.
"""

from __future__ import annotations

import difflib
import errno
import io
import os
import signal
import sys
import warnings
from collections.abc import Sequence
from typing import Any

from semistylegan import __version__
from semistylegan.cli import edit, exporting, importing, labelling, making, pages, parsing, studying, using
from semistylegan.cli.command import Command
from semistylegan.errors import UserError
from semistylegan.progress import first_to_say, visible
from semistylegan.signals import heard_by

COMMANDS: dict[str, type[Command]] = {
    "demo": making.Demo,
    "render": making.Render,
    "import": importing.Import,
    "convert": importing.Convert,
    "check": making.Check,
    "train": making.Train,
    "eval": making.Eval,
    "eval-codes": studying.EvalCodes,
    "generate": using.Generate,
    "traverse": using.Traverse,
    "encode": using.Encode,
    "edit": edit.Edit,
    "sweep": studying.Sweep,
    "report": making.Report,
    "app": pages.App,
    "label": labelling.Label,
    "export": exporting.Export,
}

GOES_ON = ("demo", "render", "import", "train", "sweep")
"""Commands that, started again, go on where they stopped."""

FIXES: dict[int, str] = {
    errno.ENOSPC: "no space left on the disk; free some or write elsewhere",
    errno.EDQUOT: "your disk quota is used up; free some or write elsewhere",
    errno.EACCES: "permission denied; change its permissions or choose another path",
    errno.EPERM: "not permitted; change its permissions or choose another path",
    errno.EROFS: "the disk is read-only; choose another path",
    errno.ENOTDIR: "a part of this path is a file, not a folder; choose another path",
    errno.EEXIST: "a file stands where a folder is needed; choose another path",
    errno.EISDIR: "this is a folder; give the path of a file",
    errno.ENAMETOOLONG: "the name is too long; choose a shorter one",
    errno.ELOOP: "this is a link that leads to itself; remove it",
    errno.EFBIG: "the file becomes larger than this disk or your limit allows; write elsewhere",
}
"""System errors that a user can mend."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command and returns the exit status. What is no user's error is raised: a bug has a traceback."""
    args = list(sys.argv[1:] if argv is None else argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # names that it has no letters for are written as stderr writes them
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        # SIGTERM is taken as Ctrl-C is, so that what is half written is removed, by whatever removes it then.
        with warnings.catch_warnings(), heard_by({signal.SIGTERM: signal.default_int_handler}):
            warnings.showwarning = _show_warning
            return _dispatch(args)
    except SystemExit as stop:  # after --help
        return int(stop.code or 0)
    except UserError as error:
        return _fail(" ".join(str(error).split("\n")))
    except KeyboardInterrupt:
        again = "goes on where it stopped" if args[:1] and args[0] in GOES_ON else "starts over"
        print(f"\n{parsing.PROGRAM}: interrupted; the same command {again}", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of stdout has gone, e.g. `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except OSError as error:
        if error.errno not in FIXES:
            raise
        return _fail(f"{error.filename or parsing.last(args, '--out') or 'a file'}: {FIXES[error.errno]}")


def _dispatch(args: list[str]) -> int:
    name, rest = (args[0], args[1:]) if args else ("", [])
    if name in ("-h", "--help", "help"):
        print(overview())
        return 0
    if name == "--version":
        print(__version__)
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; perhaps you meant {near[0]}" if near else ""
        raise UserError(f"{repr(name) + ': no such command' if name else 'no command given'}{hint}; see --help")
    try:
        os.getcwd()
    except FileNotFoundError:  # in which torch cannot even be loaded
        raise UserError("the folder that you are in has been removed; change to another one") from None
    command = COMMANDS[name].parse(name, rest)
    if (path := command.run()) is not None:
        print(path)
    return 0


def overview() -> str:
    """What `semistylegan --help` prints."""
    rows = [f"  {name:<10} {(command.__doc__ or '').splitlines()[0]}" for name, command in COMMANDS.items()]
    return "\n".join(
        [
            f"{parsing.PROGRAM} {__version__}: images whose factors do as they are told, from a few labels.",
            "",
            f"usage: {parsing.PROGRAM} COMMAND ...",
            "",
            *rows,
            "",
            f"{parsing.PROGRAM} COMMAND --help shows the options and an example. To begin:",
            f"  {parsing.PROGRAM} demo --out runs/demo",
        ]
    )


def _fail(message: str) -> int:
    if first_to_say(message):
        print(f"{parsing.PROGRAM}: {visible(message)}", file=sys.stderr)
    return 2


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    if first_to_say(str(message)):
        said = "\n".join(map(visible, str(message).split("\n")))
        print(f"{parsing.PROGRAM}: note: {said}", file=sys.stderr)
