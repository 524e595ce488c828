"""Labels that come as typed columns (parquet, Arrow, JSON), not as the text of a CSV -> factors and levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from semistylegan.data.labels import Labels, labels_of
from semistylegan.data.table import MAX_CATEGORIES, Table, fail, on_one_line
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace


def typed_labels(
    source: str,
    columns: Mapping[str, Sequence[Any]],
    count: int,
    classes: Mapping[str, Sequence[str]] | None = None,
    space: FactorSpace | None = None,
    lines: Sequence[int] | None = None,
) -> tuple[FactorSpace, Labels, list[str]]:
    """Labels of `count` images, one entry a column and image; None, NaN and class -1 are unknown.

    Args:
        source: the file, for messages.
        columns: by name. A column with an entry that is no number, word or truth value is no factor, nor is one of more
            different words than a factor may have.
        classes: of columns that hold class numbers, the names of the classes.
        space: what a `factors.json` says; None infers.
        lines: the line of the file on which each image stands, for messages; None counts the images from 1.

    Returns:
        the factors, the labels, and a sentence for each column that is not read.

    Raises:
        UserError: a value that does not fit its factor; names the file, the row and the fix.
    """
    classes = {name: [on_one_line(c) for c in words] for name, words in (classes or {}).items()}
    cells: dict[str, list[str]] = {}
    notes = []
    for name, values in columns.items():
        if space is not None and name not in space.names:
            continue
        try:
            found = [_cell(v, classes.get(name)) for v in values]
        except UserError as error:
            raise UserError(f"{source}: column {name!r}: {error}") from None
        words = {c for c in found if c}
        if None in found or (space is None and name not in classes and _too_many_words(words)):
            notes.append(f"column {name!r} is no factor and is not read")
        elif words or space is not None:
            cells[name] = [c or "" for c in found]
    table = Table(source, ",", np.arange(count), list(lines or range(1, count + 1)), cells, fail)
    if space is None:
        named = (
            Factor.categorical(n, classes[n]) if n in classes and len(classes[n]) > 0 else table.infer(n) for n in cells
        )
        space = FactorSpace(tuple(f for f in named if f is not None))
    return *labels_of(table, count, space), notes


def _cell(value: Any, classes: Sequence[str] | None) -> str | None:
    """As a CSV would hold it; blank where unknown, None where it cannot be a label."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if classes is not None and isinstance(value, int):
        if not -1 <= value < len(classes):
            raise UserError(f"class {value}: there are classes 0 to {len(classes) - 1}; correct the data")
        return "" if value == -1 else classes[value]
    return on_one_line(str(value)) if isinstance(value, (str, int, float)) else None


def _too_many_words(words: set[str]) -> bool:
    if len(words) <= MAX_CATEGORIES:
        return False
    try:
        _ = [float(w) for w in words]
    except ValueError:
        return True
    return False
