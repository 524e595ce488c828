"""One factor of variation: its values in own units, on a grid, as levels, and in words."""

from __future__ import annotations

import difflib
import json
import math
import operator
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError
from semistylegan.files import is_utf8

Kind = Literal["scalar", "categorical", "circular"]
Value = float | str
FIELDS = ("name", "kind", "range", "size", "grid", "categories", "unit", "as_classes", "grows")
"""What an entry of `factors.json` may say of a factor (`grows`: to the page that labels, see `app.desk`)."""
MAX_SIZE = 1_000_000
"""Most values of a factor; what counts them has as many entries."""
LISTED = 20
"""Most categories that a message names."""
FloatArray = npt.NDArray[np.floating[Any]]
IntArray = npt.NDArray[np.integer[Any]]


def whole_number(what: str, value: Any) -> int:
    """An int or a whole number of NumPy's, as an int.

    Raises:
        UserError: anything else, true and false too; begins with `what`.
    """
    try:
        if isinstance(value, bool | np.bool_):
            raise TypeError
        return operator.index(value)
    except TypeError:
        raise UserError(f"{what} {value}: must be a whole number") from None


@dataclass(frozen=True)
class Factor:
    """One factor of variation.

    Build it with :meth:`scalar`, :meth:`categorical` or :meth:`circular`.

    Raises:
        UserError: where the fields contradict each other; the message names the factor.
    """

    name: str
    """Column name in `metadata.csv`, option name of `--set`."""
    kind: Kind
    """How the factor is ordered: on a line, not at all, or around a circle."""
    size: int | None = None
    """Number of grid values; None where any value of the range occurs. Always set for `categorical`."""
    low: float = 0.0
    """Smallest value, in own units (scalar), or the value at angle zero (circular)."""
    high: float = 1.0
    """Largest value (scalar), or `low` plus one full turn (circular)."""
    categories: tuple[str, ...] = ()
    """Names of the classes, in order of their class number (categorical)."""
    unit: str = ""
    """Shown beside values; no effect on anything else."""
    grid: tuple[float, ...] | None = None
    """Scalar with unevenly spaced values: the n values in own units, ascending. Levels stay even: i/(n-1)."""
    as_classes: bool = False
    """Scalar on a grid whose code has an entry for each value, as classes have; between two values it is a mixture of
    both. Levels stay what they are."""

    def __post_init__(self) -> None:
        if not self.name or self.name != self.name.strip():
            raise UserError(f"factor name {self.name!r}: give it at least one character and no outer blanks")
        if len(self.name.splitlines()) > 1:
            raise UserError(f"factor name {self.name!r}: write it on one line")
        if self.kind not in get_args(Kind):
            raise UserError(f"factor {self.name!r}: kind {self.kind!r} is none of {', '.join(get_args(Kind))}")
        if self.size is not None:
            object.__setattr__(self, "size", whole_number(f"factor {self.name!r}: size", self.size))
        if self.kind == "categorical":
            if len(self.categories) != self.size or len(set(self.categories)) != self.size:
                raise UserError(f"factor {self.name!r}: a categorical factor needs {self.size} different names")
            if any(not c or c != c.strip() for c in self.categories):
                raise UserError(f"factor {self.name!r}: names of categories must not be blank or have outer blanks")
            if broken := [c for c in self.categories if "\n" in c or "\r" in c]:
                raise UserError(f"factor {self.name!r}: category {broken[0]!r}: write it on one line")
        elif self.categories:
            raise UserError(f"factor {self.name!r}: only a categorical factor has named categories")
        if self.size is not None and not 1 <= self.size <= MAX_SIZE:
            raise UserError(f"factor {self.name!r}: size {self.size} is not between 1 and {MAX_SIZE}")
        for text in (self.name, *self.categories, self.unit):
            if not is_utf8(text):
                raise UserError(f"factor {self.name!r}: {text!r} is not UTF-8: write other letters")
        if self.kind != "categorical" and not (self.low < self.high and math.isfinite(self.high - self.low)):
            raise UserError(f"factor {self.name!r}: range [{self.low}, {self.high}] is empty or not finite")
        if self.as_classes and (self.kind != "scalar" or self.size is None or self.size < 2):
            raise UserError(f"factor {self.name!r}: as_classes needs a scalar factor with a grid of values")
        if self.grid is not None:
            ascending = all(a < b for a, b in zip(self.grid, self.grid[1:], strict=False))
            if self.kind != "scalar":
                raise UserError(f"factor {self.name!r}: only a scalar factor has a grid")
            if len(self.grid) != self.size or not ascending:
                raise UserError(f"factor {self.name!r}: grid must list its {self.size} values in ascending order")
            if (self.grid[0], self.grid[-1]) != (self.low, self.high) and len(self.grid) > 1:
                raise UserError(f"factor {self.name!r}: grid must start at {self.low} and end at {self.high}")

    @classmethod
    def scalar(cls, name: str, size: int | None = None, low: float = 0.0, high: float = 1.0, unit: str = "") -> Factor:
        """A number on a line, from `low` to `high`, on a grid of `size` even steps or continuous."""
        return cls(name, "scalar", size, float(low), float(high), unit=unit)

    @classmethod
    def scalar_grid(cls, name: str, values: Sequence[float], unit: str = "") -> Factor:
        """A number that takes the given values, ascending, perhaps unevenly spaced."""
        grid = tuple(float(v) for v in values)
        if len(grid) < 2:
            raise UserError(f"factor {name!r}: a grid needs at least two values")
        return cls(name, "scalar", len(grid), grid[0], grid[-1], unit=unit, grid=grid)

    @classmethod
    def categorical(cls, name: str, categories: Sequence[str]) -> Factor:
        """Classes without an order."""
        return cls(name, "categorical", len(categories), categories=tuple(categories))

    @classmethod
    def circular(
        cls, name: str, size: int | None = None, low: float = 0.0, high: float = 360.0, unit: str = "°"
    ) -> Factor:
        """An angle: `high` is the same place as `low`. A grid of n values steps by (high - low) / n."""
        return cls(name, "circular", size, float(low), float(high), unit=unit)

    @property
    def width(self) -> int:
        """Entries that the factor takes in a code."""
        if self.has_classes:
            assert self.size is not None
            return self.size
        return 2 if self.kind == "circular" else 1

    @property
    def has_classes(self) -> bool:
        """Whether the code has an entry for each value, and an encoder gives logits of them."""
        return self.kind == "categorical" or self.as_classes

    def level_of_index(self, index: IntArray | int) -> FloatArray:
        """Value index -> level. Shapes are kept."""
        i = np.asarray(index, dtype=np.float64)
        if self.kind == "categorical" or self.size is None:
            return i
        return i / self.size if self.kind == "circular" else i / max(self.size - 1, 1)

    def index_of_level(self, level: FloatArray | float, bins: int = 20) -> IntArray:
        """Level -> index of the nearest grid value (by rounding), or of one of `bins` even bins without a grid."""
        u = np.asarray(level, dtype=np.float64)
        if self.kind == "categorical":
            return np.rint(u).astype(np.int64)
        if self.kind == "circular":
            n = self.size or bins
            return np.rint(u * n).astype(np.int64) % n
        if self.size is None:
            return np.clip(np.floor(u * bins), 0, bins - 1).astype(np.int64)
        return np.clip(np.rint(u * (self.size - 1)), 0, self.size - 1).astype(np.int64)

    def level_of(self, value: Value) -> float:
        """Value in own units (or a category's name, or a value index as "#3") -> level.

        A whole number, 2 or 2.0, is the category that is named "2". Accents may be written in either form.

        Raises:
            UserError: an unknown name, not a number, or out of range; names the factor, the value and what fits.
        """
        if isinstance(value, str) and value.startswith("#") and value not in self.categories:
            return self._level_of_hash(value)
        if self.kind == "categorical":
            category = value.strip() if isinstance(value, str) else _digits(value)
            if category in self.categories:
                return float(self.categories.index(category))
            composed = [unicodedata.normalize("NFC", c) for c in (*self.categories, category or "")]
            if composed[-1] in composed[:-1]:
                return float(composed.index(composed[-1]))
            known = _listed(self.categories)
            if near := difflib.get_close_matches(str(value), self.categories[LISTED:], 3):
                known += f"; such as {', '.join(near)}"
            if isinstance(value, int | float | np.number) and not isinstance(value, bool):
                known += ', or a value index such as "#1"'
            raise UserError(f"{self.name}={value}: not a category; known are {known}")
        try:
            number = float(value)
        except (TypeError, ValueError, OverflowError):
            raise UserError(f"{self.name}={value}: not a number; {self.name} takes {self.describe_range()}") from None
        span = self.high - self.low
        slack = 1e-6 * span
        if not (self.low - slack <= number <= self.high + slack):
            raise UserError(f"{self.name}={value}: out of range; {self.name} takes {self.describe_range()}")
        if self.kind == "circular":
            return ((number - self.low) / span) % 1.0
        if self.grid is not None:
            return float(np.interp(number, self.grid, np.linspace(0, 1, len(self.grid))))
        return min(max((number - self.low) / span, 0.0), 1.0)

    def _level_of_hash(self, value: str) -> float:
        if self.size is None:
            raise UserError(f"{self.name}={value}: {self.name} has no value indices; give {self.describe_range()}")
        digits = value[1:]  # ASCII and few: int() does not take ², nor thousands of digits
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 10) or int(digits) >= self.size:
            raise UserError(f"{self.name}={value}: value indices run from #0 to #{self.size - 1}")
        return float(self.level_of_index(int(digits)))

    def value_of(self, level: float) -> Value:
        """Level -> value in own units: a float, or a category's name.

        A level of the grid that single precision has rounded is that of the grid: class 2, not 2.0000000596.
        """
        level = float(level)
        if self.kind == "categorical":
            return self.categories[int(np.clip(round(level), 0, len(self.categories) - 1))]
        if self.size is not None:
            steps = self.size if self.kind == "circular" else max(self.size - 1, 1)
            nearest = float(np.rint(level * steps)) / steps
            level = nearest if np.float32(nearest) == np.float32(level) else level
        if self.kind == "circular":
            return self.low + (level % 1.0) * (self.high - self.low)
        if self.grid is not None:
            return float(np.interp(level, np.linspace(0, 1, len(self.grid)), self.grid))
        return self.low + level * (self.high - self.low)

    def levels(self, count: int) -> FloatArray:
        """`count` levels that span the factor (all its values where it has no more than `count`)."""
        if self.size is not None and self.size <= count:
            return self.level_of_index(np.arange(self.size))
        if self.size is not None:
            return self.level_of_index(np.rint(np.linspace(0, self.size - 1, count)).astype(np.int64))
        return np.arange(count) / count if self.kind == "circular" else np.linspace(0.0, 1.0, count)

    def describe_range(self) -> str:
        """For messages: "a number from 0.13 to 0.29", or the categories (of many the first ones)."""
        if self.kind == "categorical":
            return "one of " + _listed(self.categories)
        unit = f" {self.unit}".replace(" °", "°") if self.unit else ""
        if self.size == 1:
            return f"always {self.low:g}{unit}"
        return f"a number from {self.low:g} to {self.high:g}{unit}"

    def to_json(self) -> dict[str, Any]:
        """The entry of this factor in `factors.json`: only the fields that say something."""
        out: dict[str, Any] = {"name": self.name, "kind": self.kind}
        if self.kind == "categorical":
            out["categories"] = list(self.categories)
            return out
        out["range"] = [self.low, self.high]
        if self.size is not None:
            out["size"] = self.size
        if self.grid is not None:
            out["grid"] = list(self.grid)
        if self.unit:
            out["unit"] = self.unit
        if self.as_classes:
            out["as_classes"] = True
        return out

    @classmethod
    def from_json(cls, entry: Mapping[str, Any]) -> Factor:
        """The inverse of :meth:`to_json`. A grid says size and range, too, where they are left out.

        Raises:
            UserError: a missing, contradictory or mistyped field, named. (Other fields are the user's own notes.)
        """
        if not isinstance(entry, Mapping) or not isinstance(entry.get("name"), str):
            raise UserError(f"a factor needs a 'name' (a string): {str(entry)[:80]}")
        name, kind = entry["name"], entry.get("kind", "scalar")
        for key in unknown_fields(entry):
            if difflib.get_close_matches(key.lower(), FIELDS, 1, 0.85):
                raise UserError(f"factor {name!r}: unknown field {key!r}; known are {', '.join(FIELDS)}")
        says = {key: value for key, value in entry.items() if value is not None}  # null says nothing
        if not isinstance(says.get("grows", False), bool):
            raise _mistyped(name, "grows", says["grows"], "true or false")
        if kind == "categorical":
            if "categories" not in says:
                raise UserError(f"factor {name!r}: field 'categories' is missing")
            categories = says["categories"]
            if not isinstance(categories, list) or not all(isinstance(c, str) or _is_number(c) for c in categories):
                raise _mistyped(name, "categories", categories, "a list of names")
            return cls.categorical(name, [str(c) for c in categories])
        unit, as_classes = says.get("unit", ""), says.get("as_classes", False)
        if not isinstance(unit, str):
            raise _mistyped(name, "unit", unit, "words")
        if not isinstance(as_classes, bool):
            raise _mistyped(name, "as_classes", as_classes, "true or false")
        grid = _numbers(name, "grid", says["grid"]) if "grid" in says else None
        ends = _numbers(name, "range", says.get("range", (0, 360 if kind == "circular" else 1)))
        size = says.get("size")
        if size is not None:
            if not _is_number(size) or size != int(size):
                raise _mistyped(name, "size", size, "a whole number")
            size = int(size)
        if grid is not None and kind == "scalar":
            if len(grid) < 2 and "range" not in says:
                raise UserError(f"factor {name!r}: a grid needs at least two values")
            size = len(grid) if size is None else size
            ends = ends if "range" in says else (min(grid), max(grid))
        if len(ends) != 2:
            raise UserError(f"factor {name!r}: range must list two numbers, the lowest and the highest")
        return cls(name, kind, size, *ends, unit=unit, grid=grid, as_classes=as_classes)

    def as_scalar(self) -> Factor:
        """The same values on a line: how the paper treats every factor (`--factor-kinds scalar`)."""
        if self.kind == "scalar":
            return self
        if self.kind == "categorical":
            return Factor.scalar(self.name, self.size, 0, max(len(self.categories) - 1, 1))
        if self.size is None or self.size < 2:
            return Factor.scalar(self.name, None, self.low, self.high, self.unit)
        last = self.low + (self.size - 1) * (self.high - self.low) / self.size
        return Factor.scalar(self.name, self.size, self.low, last, self.unit)


def _listed(names: Sequence[str]) -> str:
    """Names with commas between; of more than LISTED the first ones and how many there are."""
    more = f", ... ({len(names):,} in all)" if len(names) > LISTED else ""
    return ", ".join(names[:LISTED]) + more


def _digits(value: Any) -> str | None:
    """A whole number (2, 2.0, NumPy's 2) in digits; None of anything else."""
    if isinstance(value, bool) or not isinstance(value, int | float | np.integer | np.floating):
        return None
    try:
        return str(int(value)) if value == int(value) else None
    except (ValueError, OverflowError):  # no number, infinity, or thousands of digits
        return None


def _mistyped(name: str, field: str, value: Any, wanted: str) -> UserError:
    """A field of `factors.json` that is of another type."""
    return UserError(f"factor {name!r}: {field} {json.dumps(value, ensure_ascii=False)[:40]}: must be {wanted}")


def _is_number(value: Any) -> bool:
    """Whether it is a finite number: of those in JSON, no true and no NaN; of whole ones, none that no float holds."""
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) < 1e300


def _numbers(name: str, field: str, values: Any) -> tuple[float, ...]:
    """Numbers of a field.

    Raises:
        UserError: anything else; names it.
    """
    if not isinstance(values, list | tuple) or not all(map(_is_number, values)):
        raise _mistyped(name, field, values, "a list of numbers")
    return tuple(float(value) for value in values)


def unknown_fields(entry: Mapping[str, Any]) -> list[str]:
    """Fields of an entry of `factors.json` that are not read."""
    return [str(key) for key in entry if key not in FIELDS]
