"""A zip in the making: `OUT.parts/` holds finished chunks and the settings that decide OUT's bytes.

Each chunk is a file, written whole or not at all: a kill costs the chunks in hand alone. Rendering and importing share
it. For a while, the disk holds the images twice.
"""

from __future__ import annotations

import json
import re
import zipfile
import zlib
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from semistylegan import progress
from semistylegan.data.storage import ZipStore
from semistylegan.errors import UserError
from semistylegan.files import atomic_path, write_json

SETTINGS = "settings.json"


class Parts:
    """The chunks of the zip `out`.

    Args:
        out: the zip to be written.
        settings: what decides its bytes; kept in `dataset.json` under "made". The key "package" is not compared.
        verb: what the command does, for messages.
    """

    def __init__(self, out: Path, settings: dict[str, Any], verb: str) -> None:
        self.out, self.settings, self.verb = out, settings, verb
        self.folder = out.with_name(out.name + ".parts")

    def finished(self) -> bool:
        """Whether OUT is there already.

        Raises:
            UserError: it is, but of other settings, or is something else.
        """
        if not self.out.exists():
            return False
        made = None
        if self.out.is_file():
            with suppress(UserError):
                made = (ZipStore(self.out).document("dataset.json") or {}).get("made")
        if not isinstance(made, dict):
            raise UserError(
                f"{self.out}: exists and was not {self.verb} by this command; give another name or delete it"
            )
        self._same(self.out, made)
        progress.console().print(f"{self.out}: exists with these settings already", markup=False)
        return True

    def claim(self) -> None:
        """Makes the folder, or checks that the one there is of the same settings.

        Raises:
            UserError: it is of other settings, or not ours.
        """
        path = self.folder / SETTINGS
        try:
            before = json.loads(path.read_text(encoding="utf-8"))
            if not isinstance(before, dict):
                raise ValueError
        except FileNotFoundError:
            if self.folder.is_dir() and any(not p.name.startswith(".") for p in self.folder.iterdir()):
                raise UserError(f"{self.folder}: is not what this command writes; delete it") from None
            write_json(path, self.settings)
            return
        except (OSError, ValueError):
            raise UserError(f"{path}: not readable; delete the folder {self.folder}") from None
        self._same(self.folder, before)

    def leave(self) -> None:
        """Removes the folder if no chunk is in it yet, nor anything else."""
        if [path.name for path in self.folder.iterdir()] == [SETTINGS]:
            (self.folder / SETTINGS).unlink()
            self.folder.rmdir()

    def clear(self) -> None:
        """Removes the chunks and what killed processes left of OUT half written, and nothing that is not ours."""
        half = re.compile(rf"\.{re.escape(self.out.name)}\.\w{{8}}{re.escape(self.out.suffix)}")  # see atomic_path
        for path in self.out.parent.glob(".*"):
            if half.fullmatch(path.name):
                path.unlink(missing_ok=True)
        if not self.folder.is_dir():
            return
        for path in self.folder.iterdir():
            if path.name.lstrip(".").startswith(("chunk-", SETTINGS)):
                path.unlink(missing_ok=True)
        with suppress(OSError):
            self.folder.rmdir()

    def file(self, number: int) -> Path:
        """Where a chunk is once it is finished."""
        return self.folder / f"chunk-{number:06d}.zip"

    def write(self, number: int, images: Iterable[tuple[str, bytes]]) -> None:
        """Writes a chunk: names and encoded images."""
        with atomic_path(self.file(number)) as temporary, zipfile.ZipFile(temporary, "w") as file:
            for name, png in images:
                file.writestr(name, png)

    def read(self, number: int, names: Sequence[str]) -> list[bytes] | None:
        """The images of a chunk; None where the file is damaged (a disk that lost power).

        Raises:
            FileNotFoundError: it is not there.
        """
        try:
            with zipfile.ZipFile(self.file(number)) as file:
                return [file.read(name) for name in names]
        except FileNotFoundError:
            raise
        except (zipfile.BadZipFile, KeyError, OSError, EOFError, RuntimeError, zlib.error):
            return None

    def _same(self, path: Path, before: dict[str, Any]) -> None:
        for key in sorted({**self.settings, **before}, key="source_stamp".__eq__):  # last: others say what differs
            if before.get(key) != self.settings.get(key) and key != "package":
                if key == "source_stamp":
                    raise UserError(
                        f"{path}: the images or labels of {self.settings.get('source')} have changed since, or an "
                        f"earlier version wrote it; delete {path.name} or give another name"
                    )
                raise UserError(
                    f"{path}: has {key} {before.get(key)}, not {self.settings.get(key)}; "
                    "give the same settings, another name, or delete it"
                )
