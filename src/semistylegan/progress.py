"""One way to show progress: a bar with time left on a terminal, a plain line now and then in a log file."""

from __future__ import annotations

import hashlib
import os
import sys
import time
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

SECONDS_BETWEEN_LINES = 10.0
"""How often a log file (not a terminal) hears of progress."""
QUIET_BELOW = 20_000
"""Quick work (reading headers) on fewer items than this shows no bar."""
QUIET_PICTURES = 33
"""The same of pictures that pass a network: one batch shows none."""

SAID = "SEMISTYLEGAN_SAID"
"""Variable of the environment: a folder with an empty file for each message of several processes."""


class Plain(Console):
    """Prints on stdout what it is given: a name such as `x[a]` or `:cat:` is no markup."""

    def __init__(self) -> None:
        super().__init__(soft_wrap=True, highlight=False, markup=False, emoji=False)

    def on_broken_pipe(self) -> None:
        """A reader that leaves (`| head`) is told as by other prints; rich ends the program with status 1."""
        raise BrokenPipeError


def visible(text: str) -> str:
    """Text on one line, its control characters written out: in a name from others they could steer the terminal."""
    control = ("Cc", "Zl", "Zp")
    return "".join(c.encode("unicode_escape").decode() if unicodedata.category(c) in control else c for c in text)


class Meter(Protocol):
    """What :func:`bar` yields."""

    def __call__(self, amount: float = 1.0, note: str | None = None) -> None:
        """Moves on by `amount`; `note`, one short phrase, stands behind the bar until the next one."""

    def log(self, line: str) -> None:
        """Prints a line above the bar."""


def console() -> Console:
    """Where progress and messages go: stderr, so that stdout holds results alone."""
    return Console(stderr=True, soft_wrap=True, highlight=False, quiet=not first_process())


def first_process() -> bool:
    """Whether this is the process that speaks, where torchrun started several."""
    return os.environ.get("RANK", "0") == "0"


def first_to_say(message: str) -> bool:
    """Whether no other process that `training.distributed.launch` started has said this."""
    try:
        if SAID in os.environ:
            Path(os.environ[SAID], hashlib.sha256(message.encode()).hexdigest()).touch(exist_ok=False)
    except FileExistsError:
        return False
    except OSError:  # the folder has gone with the process that started them
        pass
    return True


@contextmanager
def bar(title: str, total: float, start: float = 0.0) -> Iterator[Meter]:
    """Shows how far a long task is and how long it will still take."""
    if not first_process():
        yield _Silent()
    elif sys.stderr.isatty():
        columns = (
            TextColumn("{task.description}"),
            BarColumn(bar_width=30),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        with Progress(*columns, console=console(), refresh_per_second=4) as progress:
            task = progress.add_task(title, total=total, note="")
            progress.update(task, completed=start)
            yield _Bar(progress, task)
    else:
        lines = _Lines(title, total, start)
        yield lines
        if lines.told != lines.done:
            lines.show()


@contextmanager
def quiet_bar(title: str, total: int, below: int = QUIET_BELOW) -> Iterator[Callable[..., None]]:
    """A bar where the work is long enough to need one, else nothing."""
    if total >= below:
        with bar(title, total) as meter:
            yield meter
    else:
        yield lambda *_: None


class _Bar:
    """Progress on a terminal."""

    def __init__(self, progress: Progress, task: TaskID) -> None:
        self.progress, self.task = progress, task

    def __call__(self, amount: float = 1.0, note: str | None = None) -> None:
        self.progress.advance(self.task, amount)
        if note is not None:
            self.progress.update(self.task, note=note)

    def log(self, line: str) -> None:
        self.progress.console.print(line, markup=False)


class _Silent:
    """No progress: another process shows it."""

    def __call__(self, amount: float = 1.0, note: str | None = None) -> None:
        pass

    def log(self, line: str) -> None:
        pass


class _Lines:
    """Progress as plain lines, for logs."""

    def __init__(self, title: str, total: float, start: float) -> None:
        self.title, self.total, self.done, self.start = title, total, start, start
        self.note, self.told = "", -1.0
        self.began = self.shown = time.monotonic()

    def __call__(self, amount: float = 1.0, note: str | None = None) -> None:
        self.done += amount
        self.note = self.note if note is None else note
        if time.monotonic() - self.shown >= SECONDS_BETWEEN_LINES:
            self.show()

    def log(self, line: str) -> None:
        self.shown = time.monotonic()
        print(line, file=sys.stderr, flush=True)

    def show(self) -> None:
        self.shown, self.told = time.monotonic(), self.done
        spent = self.shown - self.began
        rate = (self.done - self.start) / spent if spent > 0 else 0.0
        left = f", {(self.total - self.done) / rate:.0f} s left" if rate > 0 and self.done < self.total else ""
        note = f"  {self.note}" if self.note else ""
        print(f"{self.title}: {self.done:g} of {self.total:g}, {spent:.0f} s{left}{note}", file=sys.stderr, flush=True)


def clock(seconds: float) -> str:
    """75 -> "1m 15s"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s"
