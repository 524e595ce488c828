"""`metadata.csv` as a table: which image each row names, which factor each column is, the level of each cell.

As we read it: UTF-8 (with or without a byte order mark), any line ends, cells parted by commas, semicolons or tabs
(the one that makes the first row hold a cell `file_name`). With semicolons or tabs a number may have a decimal comma.
Rows may come in any order. A blank cell is unknown. Case of file names counts only where two differ in nothing else.

Whatever is wrong goes to a `complain`, which raises (training) or takes it down (check: then the row or cell counts
as missing).
"""

from __future__ import annotations

import csv
import io
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from semistylegan.data.columns import infer, snap
from semistylegan.errors import UserError
from semistylegan.factors import Factor

Complain = Callable[[str], None]
MAX_CATEGORIES = 256
"""A column of words with more different words than this is no factor."""
_NO_VALUE = ("nan", "inf", "+inf", "-inf", "infinity", "-infinity", "n/a", "#n/a", "n.a.", "<na>", "null", "?")
"""Cells, in any case, that say that nothing is known: a blank says it without being mistaken for a class."""
_DECIMAL_COMMA = re.compile(r"[-+]?\d+,\d+")
_END = "\x00"
"""Stands on a line of its own below a table that is read: no text holds it."""
_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}


def fail(message: str) -> None:
    """The `complain` that raises.

    Raises:
        UserError: always.
    """
    raise UserError(message)


@dataclass(frozen=True)
class Table:
    """A parsed CSV: for each row the image it names and the line it stands on; cells by column, stripped."""

    source: str
    delimiter: str
    rows: npt.NDArray[np.int64]
    lines: list[int]
    columns: dict[str, list[str]]
    complain: Complain

    @classmethod
    def parse(cls, data: bytes, source: str, names: Sequence[str], complain: Complain = fail) -> Table:
        """Reads a file's bytes.

        Args:
            data: the file.
            source: its name, for messages.
            names: the data set's images.
            complain: hears of rows that are wrong.

        Raises:
            UserError: not text, or without a usable first line.
        """
        text = _decode(data, source)
        delimiter, header = _header(text, source)
        key = header.index("file_name")
        number = Numbers(names)
        line_of: dict[int, int] = {}
        cells: list[list[str]] = []
        unknown: list[tuple[int, str]] = []
        rows = _rows(text, source, delimiter)
        next(rows)
        for line, row in rows:
            if len(row) != len(header):
                complain(
                    f"{source} line {line}: {len(row)} cells where the first line has {len(header)}; "
                    f"add or remove a {_DELIMITERS[delimiter]} (a cell that holds one stands in quotes)"
                )
                continue
            image = number.of(row[key])
            if image is None:
                unknown.append((line, row[key]))
            elif image in line_of:
                complain(
                    f"{source} line {line}: {row[key]!r} stands on line {line_of[image]} already; "
                    "keep one row for each image"
                )
            else:
                line_of[image] = line
                cells.append(row)
        if unknown:
            more = f" ({len(unknown) - 1} more rows are like it)" if len(unknown) > 1 else ""
            complain(
                f"{source} line {unknown[0][0]}: {unknown[0][1]!r} is no image of this data{more}; "
                "correct file_name (relative to the folder, with /) or delete the row"
            )
        columns = {name: [on_one_line(row[i]) for row in cells] for i, name in enumerate(header) if name and i != key}
        lines = list(line_of.values())
        nameless = [i for i, name in enumerate(header) if not name]
        stray = ((line, row[i]) for line, row in zip(lines, cells, strict=True) for i in nameless if row[i])
        if found := next(stray, None):
            complain(
                f"{source} line {found[0]}: {on_one_line(found[1])!r} stands in a column without a name; name it, or "
                "leave it out (pandas: index=False)"
            )
        return cls(source, delimiter, np.asarray(list(line_of), np.int64), lines, columns, complain)

    def infer(self, name: str) -> Factor | None:
        """The factor that a column is where no `factors.json` says it; None where it is blank, or wrong.

        All cells numbers: scalar (see `columns.infer`). All cells words, or words half of the cells at least:
        categorical, names sorted.
        """
        words: dict[str, int] = {}
        numbers: dict[str, float] = {}
        count = numeric = 0
        column = self.columns[name]
        for i, (line, cell) in enumerate(zip(self.lines, column, strict=True)):
            if not cell:
                continue
            if cell.lower() in _NO_VALUE or _endless(cell):
                self.complain(
                    f"{self.source} line {line}: {name}={cell}: no value; leave the cell blank where it is unknown"
                )
                column[i] = ""
                continue
            if self.delimiter == "," and _DECIMAL_COMMA.fullmatch(cell):
                self.complain(
                    f"{self.source} line {line}: {name}={cell}: a number with a comma; write a point, or separate the "
                    "columns of the table by semicolons"
                )
                column[i] = ""
                continue
            count += 1
            if cell not in words and cell not in numbers:
                value = self.number(cell)
                if value is None:
                    words[cell] = line
                else:
                    numbers[cell] = value
            numeric += cell in numbers
        if not count:
            return None
        if not words or 2 * numeric > count:
            for word, line in words.items():
                self.complain(
                    f"{self.source} line {line}: {name}={word}: a word in a column of numbers; make it a number, "
                    "leave it blank, or declare the factor categorical in factors.json"
                )
            column[:] = ["" if cell in words else cell for cell in column]
            return infer(name, np.array(list(numbers.values())), count)
        names = sorted({*words, *numbers})
        if len(names) > MAX_CATEGORIES:
            self.complain(
                f"{self.source}: column {name!r} holds {len(names)} different words, too many for a factor; "
                "remove the column, or list the factors that count in factors.json"
            )
            return None
        return Factor.categorical(name, names)

    def levels(self, factor: Factor) -> tuple[npt.NDArray[np.float32], npt.NDArray[np.bool_]]:
        """The column's levels and what of them is known, one entry a row; without such a column, nothing is."""
        level = np.zeros(len(self.rows), np.float32)
        known = np.zeros(len(self.rows), np.bool_)
        seen: dict[str, float | None] = {"": None}
        for i, cell in enumerate(self.columns.get(factor.name, ())):
            if cell not in seen:
                seen[cell] = self._level(factor, cell, self.lines[i])
            if (found := seen[cell]) is not None:
                level[i], known[i] = found, True
        return level, known

    def _level(self, factor: Factor, cell: str, line: int) -> float | None:
        if factor.kind != "categorical" and self.number(cell) is None and not cell.startswith("#"):
            self.complain(
                f"{self.source} line {line}: {factor.name}={cell}: not a number; make it a number, leave it "
                "blank, or declare the factor categorical in factors.json"
            )
            return None
        try:
            return level_of(factor, cell, self.delimiter)
        except UserError as error:
            self.complain(
                f"{self.source} line {line}: {str(error).replace('; ', ', ')}; correct it, leave it blank, "
                "or change factors.json"
            )
            return None

    def number(self, cell: str) -> float | None:
        """The cell as a finite number, or None."""
        return _number(cell, self.delimiter)


def level_of(factor: Factor, cell: str, delimiter: str) -> float:
    """The level that a cell says, in a table with this delimiter.

    Raises:
        UserError: it is no value of the factor; names both.
    """
    value: str | float = cell
    number = _number(cell, delimiter)
    if factor.kind != "categorical":
        value = cell if number is None else number
    elif cell not in factor.categories and number is not None and number.is_integer():
        value = str(int(number))  # 2.0: so pandas writes a column of whole numbers with blanks
    return snap(factor, factor.level_of(value))


def on_one_line(cell: str) -> str:
    """A name or a value as it stands in a cell, in which spreadsheets let it have several lines."""
    return " ".join(line.strip() for line in re.split(r"\r\n|\r|\n", cell.strip()))


def _number(cell: str, delimiter: str) -> float | None:
    if delimiter != "," and cell.count(",") == 1 and "." not in cell:
        cell = cell.replace(",", ".")
    try:
        value = float(cell)
    except ValueError:
        return None
    return value if math.isfinite(value) and "_" not in cell else None


def _endless(cell: str) -> bool:
    """Whether it is a number too large to reckon with, e.g. 1e999."""
    try:
        return abs(float(cell)) >= 1e300
    except ValueError:
        return False


class Numbers:
    """File names -> numbers of images. Backslashes, `./`, either form of accents, and another case are understood.

    Cells have lost their outer blanks, which a name may have.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self.own = {name: i for i, name in enumerate(names)}

    @cached_property
    def others(self) -> tuple[dict[str, int], dict[str, int]]:
        """The names in the composed form of their accents, and these in small letters (-1 where several are)."""
        exact = {unicodedata.normalize("NFC", name): i for name, i in self.own.items()}
        for name, i in list(exact.items()):
            exact.setdefault(name.strip(), i)
        folded: dict[str, int] = {}
        for name, i in exact.items():
            folded[name.casefold()] = -1 if name.casefold() in folded else i
        return exact, folded

    def of(self, cell: str) -> int | None:
        """None where no image is meant, or several that differ in case alone."""
        name = cell.replace("\\", "/").removeprefix("./")
        if (own := self.own.get(cell, self.own.get(name))) is not None:
            return own
        exact, folded = self.others
        name = unicodedata.normalize("NFC", name)
        found = exact.get(name, folded.get(name.casefold(), -1))
        return None if found < 0 else found


def _decode(data: bytes, source: str) -> str:
    wide = data.startswith((b"\xff\xfe", b"\xfe\xff"))
    try:
        text = data.decode("utf-16" if wide else "utf-8-sig")
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise UserError(f"{source} line {line}: not UTF-8 text; save it as 'CSV UTF-8'") from None
    if "\0" in text:
        raise UserError(f"{source}: not a text file; save the table as 'CSV UTF-8'")
    return text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")


def _rows(text: str, source: str, delimiter: str) -> Iterator[tuple[int, list[str]]]:
    """(line, stripped cells) of every row that is not blank.

    Raises:
        UserError: a quotation mark that is never closed, whose cell would swallow all rows below it.
    """
    reader = csv.reader(io.StringIO(f"{text}\n{_END}\n", newline=""), delimiter=delimiter)
    line = 1
    try:
        for row in reader:
            if row == [_END]:
                return
            if row and row[-1].endswith(f"{_END}\n"):
                raise UserError(f"{source} line {line}: a quotation mark is never closed; close it or delete it")
            if any(cell.strip() for cell in row):
                yield line, [cell.strip() for cell in row]
            line = reader.line_num + 1
    except csv.Error as error:
        raise UserError(f"{source} line {line}: {error}; save the table as CSV again") from None


def _header(text: str, source: str) -> tuple[str, list[str]]:
    """Delimiter and column names. The delimiter is the one that gives the first row a cell `file_name`."""
    found: list[tuple[str, list[str]]] = []
    for delimiter in _DELIMITERS:
        with suppress(UserError):  # a quote that opens with this delimiter alone
            _, cells = next(_rows(text, source, delimiter), (1, []))
            if "file_name" in cells:
                found.append((delimiter, [on_one_line(cell) for cell in cells]))
    if not found:
        first = next((line for line in text.split("\n") if line.strip()), "")
        raise UserError(
            f"{source} line 1: no column file_name in {first[:60]!r}; let the first line name the columns, "
            "e.g. file_name,colour,size"
        )
    delimiter, names = max(found, key=lambda entry: len(entry[1]))
    if twice := [name for name in names if name and names.count(name) > 1]:
        raise UserError(f"{source} line 1: two columns are named {twice[0]!r}; rename one")
    return delimiter, names
