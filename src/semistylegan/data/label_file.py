"""`metadata.csv` as a person's file: cells are set one image at a time, and whatever is not set keeps its bytes.

Reading for training is `table`'s; this is the writing side, for the labelling page. Rows keep their order, quotes,
blanks, line ends and other columns; a row or a column that is new comes last. Each save is the whole file, atomically.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from semistylegan.data.table import Table, level_of, on_one_line
from semistylegan.errors import UserError
from semistylegan.factors import Factor
from semistylegan.files import atomic_path

_BOMS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))
_END = r"(?:\r\n|\r|\n)"


class LabelFile:
    """A table of labels on disk. One writer at a time; see :meth:`stale` for what others write meanwhile.

    Attributes:
        path: the file; it need not exist yet.
        names: the data set's images.
        columns: names of the columns, `file_name` among them.
        table: the file as it was read; None where there was nothing in it.
    """

    def __init__(self, path: Path, names: Sequence[str], start: bytes = b"", place: str = "") -> None:
        """Reads the file; where there is none, begins with `start`, a CSV file's bytes, or with an empty table.

        Args:
            path: the file.
            names: the data set's images.
            start: what it begins with.
            place: where that is from, for messages; `path` where it is left out.

        Raises:
            UserError: `Table.parse` would not take it; names the file, the line and the fix.
        """
        self.path, self.names = path, names
        self._stamp = _stamp(path)
        source = str(path)
        try:
            data = path.read_bytes()
        except FileNotFoundError:
            data, source = start, place or source
        except OSError as error:
            raise UserError(f"{path}: cannot be read ({error.strerror}); check it") from None
        self._bom, self._encoding = next(((b, e) for b, e in _BOMS if data.startswith(b)), (b"", "utf-8"))
        self._new: dict[int, dict[str, str]] = {}
        self.table: Table | None = None
        if not data.removeprefix(self._bom).strip():
            self._lines, self._row, self.columns = ["file_name\n"], {}, ["file_name"]
            self._delimiter, self._end, self._header, self._decimal_comma = ",", "\n", 0, False
            return
        self.table = table = Table.parse(data, source, names)
        text = data.removeprefix(self._bom).decode(self._encoding)
        if text.startswith("\ufeff"):  # a second mark, which `Table` takes off, too
            self._bom, text = self._bom + "\ufeff".encode(self._encoding), text[1:]
        self._delimiter = table.delimiter
        cell = rf'(?:"(?:[^"]|"")*"[^{self._delimiter}\r\n]*|[^{self._delimiter}\r\n]*)'
        self._cell = re.compile(cell)
        record = re.compile(rf"{cell}(?:{self._delimiter}{cell})*(?:{_END}|\Z)")
        self._lines = [m[0] for m in record.finditer(text) if m[0]] if '"' in text else _split_lines(text)
        filled = [i for i, line in enumerate(self._lines) if line.replace(self._delimiter, " ").strip(' \r\n\t"')]
        self._header = filled[0]
        if len(filled) - 1 != len(table.rows):
            raise UserError(f"{source}: its rows cannot be told apart; save the table as CSV again")
        self._row = dict(zip(table.rows.tolist(), filled[1:], strict=True))
        self.columns = [on_one_line(_bare(c)) for c in self._cells(self._header)]
        self._end = self._lines[self._header][len(self._lines[self._header].rstrip("\r\n")) :] or "\n"
        number = re.compile(rf"(?:^|{self._delimiter})\s*-?\d+,\d+\s*(?={self._delimiter}|$)", re.MULTILINE)
        self._decimal_comma = self._delimiter != "," and number.search(text) is not None

    def stale(self) -> bool:
        """Whether someone else has written, replaced or removed the file since it was read or saved here."""
        return _stamp(self.path) != self._stamp

    def cells(self, image: int) -> dict[str, str]:
        """What the image's row says, by column; blank cells are left out, and so is `file_name`."""
        if image in self._row:
            found = dict(zip(self.columns, map(_bare, self._cells(self._row[image])), strict=True))
        else:
            found = self._new.get(image, {})
        return {name: on_one_line(cell) for name, cell in found.items() if cell and name != "file_name"}

    def set(self, image: int, cells: Mapping[str, str]) -> None:
        """Sets cells of one image ("" blanks one); columns that are new are added. Nothing is written yet.

        A row that was added here and is blank again is not written at all.
        """
        cells = {name: _tidy(cell) for name, cell in cells.items()}
        for name in cells:
            if name not in self.columns:
                self._add_column(name)
        if image not in self._row:
            self._new.setdefault(image, {}).update(cells)
            return
        line = self._row[image]
        before = self._cells(line)
        for name, cell in cells.items():
            place = self.columns.index(name)
            if _bare(before[place]) != cell:
                before[place] = self._quoted(cell)
        self._put(line, before)

    def number(self, text: str) -> str:
        """A number as this file writes it: with a decimal comma where its other numbers have one."""
        return text.replace(".", ",") if self._decimal_comma else text

    def level(self, factor: Factor, cell: str) -> float:
        """The level that a cell of this file says.

        Raises:
            UserError: it is no value of the factor.
        """
        return level_of(factor, cell, self._delimiter)

    def to_bytes(self) -> bytes:
        """The file as it will be written."""
        lines = self._lines
        added = []
        for image, cells in self._new.items():
            if any(cells.values()):
                row = {**cells, "file_name": self.names[image]}
                added.append(self._delimiter.join(self._quoted(row.get(c, "")) for c in self.columns) + self._end)
        if added and not lines[-1].endswith(("\n", "\r")):
            lines = [*lines[:-1], lines[-1] + self._end]
        return self._bom + "".join([*lines, *added]).encode(self._encoding)

    def save(self) -> None:
        """Writes the file, whole or not at all.

        Raises:
            OSError: what writing raised, e.g. ENOSPC; the file on disk is as it was.
        """
        data = self.to_bytes()
        with atomic_path(self.path) as temporary:
            temporary.write_bytes(data)
        self._stamp = _stamp(self.path)

    # -- lines ---------------------------------------------------------------------------------------------------

    def _cells(self, line: int) -> list[str]:
        """The raw cells of a line, quotes and blanks included."""
        text = self._lines[line].rstrip("\r\n")
        if '"' not in text:
            return text.split(self._delimiter)
        cells, at = [], 0
        while True:
            found = self._cell.match(text, at)
            assert found is not None
            cells.append(found[0])
            if found.end() == len(text):
                return cells
            at = found.end() + 1

    def _put(self, line: int, cells: Sequence[str]) -> None:
        text = self._lines[line]
        self._lines[line] = self._delimiter.join(cells) + text[len(text.rstrip("\r\n")) :]

    def _add_column(self, name: str) -> None:
        self.columns.append(name)
        for line in (self._header, *self._row.values()):
            text = self._lines[line]
            bare = text.rstrip("\r\n")
            new = self._quoted(name) if line == self._header else ""
            self._lines[line] = bare + self._delimiter + new + text[len(bare) :]

    def _quoted(self, cell: str) -> str:
        special = (self._delimiter, '"', "\n", "\r")
        return '"' + cell.replace('"', '""') + '"' if any(c in cell for c in special) else cell


def _split_lines(text: str) -> list[str]:
    """Lines with their ends; unlike str.splitlines, nothing but line feeds and returns ends one."""
    return re.findall(rf"[^\r\n]*{_END}|[^\r\n]+\Z", text)


def _bare(cell: str) -> str:
    """A raw cell's content, as `Table` has it."""
    if cell.startswith('"'):
        inside = re.match(r'"((?:[^"]|"")*)"', cell)
        assert inside is not None
        cell = inside[1].replace('""', '"') + cell[inside.end() :]
    return _tidy(cell)


def _tidy(cell: str) -> str:
    return cell.replace("\r\n", "\n").replace("\r", "\n").strip()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size
