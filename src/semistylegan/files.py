"""Writing files so that nobody ever sees half of one: a temporary name in the same folder, then a rename."""

from __future__ import annotations

import hashlib
import json
import os
import re
import stat
import sys
import tempfile
from collections.abc import Container, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semistylegan.errors import UserError


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary path beside `path`; renames it to `path` on success, removes it on failure.

    Parents are created. The data reaches the disk before the rename, so a crash leaves the old file or the new one.
    Where `path` is a link, it stays one: what it leads to is replaced. (One that leads to itself is replaced.) A file
    that is replaced keeps its permissions.

    Raises:
        UserError: a device or a pipe stands there (/dev/null, /dev/stdout): a rename would put a file in its place. Or
            a link to nothing: in a folder from others it may name a file of the user's that is yet to come
            (~/.bash_login). Or no folder can be made there.
        OSError: what writing raised, e.g. ENOSPC; nothing is left behind.
    """
    if path.exists() and not (path.is_file() or path.is_dir()):
        raise UserError(f"{path}: is a device or a pipe; give the name of a file")
    if path.is_symlink():
        link, path = path, Path(os.path.realpath(path))
        if not os.path.lexists(path):
            raise UserError(f"{link}: is a link to nothing ({path}); remove it, or make that file first")
    make_folder(path.parent)
    temporary = None
    try:
        handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=path.suffix, dir=path.parent)
        os.close(handle)
        temporary = Path(name)
        yield temporary
        with temporary.open("rb") as written:
            os.fsync(written.fileno())
        temporary.chmod(_mode(path))
        temporary.replace(path)
    except OSError as error:
        # A full disk names no file, the others name the temporary one: say what the caller was writing.
        if error.filename is None or Path(str(error.filename)).name.startswith(f".{path.name}."):
            error.filename = str(path)
        raise
    except Exception as error:
        # Writers in native code (safetensors) have exceptions of their own for what the system refused.
        if number := re.search(r"\(os error (\d+)\)", str(error)):
            raise OSError(int(number[1]), os.strerror(int(number[1])), str(path)) from error
        raise
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)


def _mode(path: Path) -> int:
    """Who may read and write a file: as it is, or, of a new one, as the system would have it."""
    if path.is_file():
        return stat.S_IMODE(path.stat().st_mode)
    mask = os.umask(0)
    os.umask(mask)
    return 0o666 & ~mask


@contextmanager
def held(path: Path, taken: str) -> Iterator[None]:
    """Holds a file or folder while the block runs: one process at a time, where the system has such locks.

    Raises:
        UserError: `taken`, where another process holds it.
    """
    try:
        import fcntl
    except ImportError:  # not on Windows
        yield
        return
    handle = os.open(path, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(taken) from None
        except OSError:
            pass  # a file system without locks
        yield
    finally:
        os.close(handle)


def make_folder(path: Path) -> None:
    """Makes a folder, and those above it, where there is none.

    Raises:
        UserError: the system has no folders there (/proc, a drive that is not mounted).
        OSError: what else it refused, e.g. EACCES.
    """
    try:
        path.mkdir(parents=True, exist_ok=True)
    except FileNotFoundError:
        raise UserError(f"{path}: no folder can be made there; choose another path") from None


def require_own(folder: Path, names: Container[str]) -> None:
    """Checks that nothing but these files is in a folder, hidden ones aside, so that no one's own are written over.

    Raises:
        UserError: another file; names it.
    """
    other = sorted(p.name for p in folder.iterdir() if p.name not in names) if folder.is_dir() else []
    if found := [name for name in other if not name.startswith(".")]:
        raise UserError(f"{folder}: holds other files ({found[0]}); give an empty or a new folder as --out")


def require_inside(folder: Path, *patterns: str) -> None:
    """Checks that no such file of a folder, which will be written, is a link that leads out of it: in a folder from
    others it may lead to one of the user's own.

    Raises:
        UserError: one is; names it.
    """
    root = os.path.realpath(folder)
    for path in sorted(path for pattern in patterns for path in folder.glob(pattern)):
        if path.is_symlink() and not (target := Path(os.path.realpath(path))).is_relative_to(root):
            raise UserError(f"{path}: is a link that leads out of this folder, to {target}; remove it")


def write_text(path: Path, text: str) -> None:
    """Writes UTF-8 text, whole or not at all. Names of files that are no UTF-8 keep their bytes."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def write_json(path: Path, document: Any) -> None:
    """Writes indented JSON, whole or not at all. NaN is an error: JSON has none.

    Raises:
        ValueError: the document holds a non-finite number.
    """
    write_text(path, json_text(document, indent=2) + "\n")


def json_text(document: Any, indent: int | None = None) -> str:
    """JSON as people read it: letters stay letters, but where one has no UTF-8 (of a file's name that has none)."""
    text = json.dumps(document, indent=indent, allow_nan=False, ensure_ascii=False)
    return text if is_utf8(text) else json.dumps(document, indent=indent, allow_nan=False)


def is_utf8(text: str) -> bool:
    """Whether a text can be written down: a file's name whose bytes are no UTF-8 holds lone surrogates."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def append_jsonl(path: Path, row: Any) -> None:
    """Appends one line of JSON."""
    make_folder(path.parent)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(row, allow_nan=False) + "\n")


def write_jsonl(path: Path, rows: list[Any]) -> None:
    """Writes one line of JSON a row, whole or not at all."""
    write_text(path, "".join(json.dumps(row, allow_nan=False) + "\n" for row in rows))


def sha256_of(path: Path) -> str:
    """Hash of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """$SEMISTYLEGAN_CACHE, else the platform's folder for files that can be made again, `semistylegan` in it."""
    if chosen := os.environ.get("SEMISTYLEGAN_CACHE"):
        return Path(chosen).expanduser()
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "semistylegan"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "semistylegan"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "semistylegan"
