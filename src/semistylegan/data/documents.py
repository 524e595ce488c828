"""Labels inside a `dataset.json`, StyleGAN's own file: ours (levels, with a `factors.json` beside it) and others'."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan.data.columns import infer, snap
from semistylegan.data.labels import Labels
from semistylegan.data.table import Numbers
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace


def read_document(
    document: Mapping[str, Any] | None, source: str, names: Sequence[str], space: FactorSpace | None = None
) -> tuple[FactorSpace, Labels]:
    """Labels of a StyleGAN `dataset.json`: {"labels": [[name, label], ...]}, or null.

    Args:
        document: the file's content; None where there is none.
        source: its name for messages.
        names: the data set's images.
        space: what a `factors.json` beside it says: labels are then levels, F numbers each, null where unknown.
            None: integers are one categorical factor `class`; vectors that are one-hot throughout likewise;
            other vectors are the scalar factors `label0`, `label1`, ...

    Returns:
        the space (without factors where there are no labels), and labels of all of `names`.

    Raises:
        UserError: an entry of another shape or out of range; names the file, the entry and the fix.
    """
    entries = (document or {}).get("labels")
    if entries is None:
        space = FactorSpace(()) if space is None else space
        return space, Labels.none(len(names), len(space))
    rows, vectors = _entries(entries, source, names)
    if space is None:
        if all(v is None or isinstance(v, int) for v in vectors):
            return _classes(source, names, rows, vectors)
        return _inferred(source, names, rows, vectors)
    return space, _levels(source, names, rows, vectors, space)


def _entries(entries: Any, source: str, names: Sequence[str]) -> tuple[list[int], list[Any]]:
    if not isinstance(entries, list):
        raise UserError(f'{source}: "labels" is no list; expected [["name.png", label], ...] or null')
    number = Numbers(names)
    rows: list[int] = []
    vectors: list[Any] = []
    for entry in entries:
        if not isinstance(entry, (list, tuple)) or len(entry) != 2 or not isinstance(entry[0], str):
            raise UserError(f'{source}: label {str(entry)[:60]} is not of the form ["name.png", label]; correct it')
        name = entry[0]
        if (row := number.of(name)) is None:
            raise UserError(f"{source}: label of {name!r}: no such image; correct the name or remove the entry")
        rows.append(row)
        vectors.append(_vector(entry[1], source, name))
    if len(set(rows)) != len(rows):
        seen: set[int] = set()
        twice = next(r for r in rows if r in seen or seen.add(r))  # type: ignore[func-returns-value]
        raise UserError(f"{source}: two labels of {names[twice]!r}; keep one")
    return rows, vectors


def _vector(label: Any, source: str, name: str) -> Any:
    """An int, a list of numbers and None, or None; anything else is an error."""
    if label is None or (isinstance(label, int) and not isinstance(label, bool) and _finite(label)):
        return label
    numbers = label if isinstance(label, list) else [label]
    for number in numbers:
        if number is not None and not (type(number) in _PLAIN and _finite(number)):
            raise UserError(
                f"{source}: label of {name!r}: {str(number)[:40]} is not a finite number; use null where unknown"
            )
    return numbers


def _finite(number: float) -> bool:
    """Also of whole numbers of any length, which JSON allows."""
    return abs(number) < 1e300


_PLAIN = {int, float}


def _classes(source: str, names: Sequence[str], rows: list[int], vectors: list[Any]) -> tuple[FactorSpace, Labels]:
    labels = Labels.none(len(names), 1)
    for row, label in zip(rows, vectors, strict=True):
        if label is None:
            continue
        if not 0 <= label < 100_000:
            raise UserError(f"{source}: label of {names[row]!r}: class {label} is not in 0 to 99999; correct it")
        labels.level_NF[row], labels.known_NF[row] = label, True
    if not labels.known_NF.any():
        return FactorSpace(()), Labels.none(len(names), 0)
    classes = int(labels.level_NF.max()) + 1
    return FactorSpace((Factor.categorical("class", [str(c) for c in range(classes)]),)), labels


def _table(
    source: str, names: Sequence[str], rows: list[int], vectors: list[Any], width: int, why: str
) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.bool_]]:
    """The vectors as a table of all images, and what of it is known."""
    value = np.zeros((len(names), width))
    known = np.zeros((len(names), width), np.bool_)
    for row, vector in zip(rows, vectors, strict=True):
        if vector is None:
            continue
        numbers = [vector] if isinstance(vector, int) else vector
        if len(numbers) != width:
            raise UserError(
                f"{source}: label of {names[row]!r} has {len(numbers)} numbers, {why}; correct it or make it null"
            )
        known[row] = [n is not None for n in numbers]
        value[row] = [0.0 if n is None else n for n in numbers]
    return value, known


def _inferred(source: str, names: Sequence[str], rows: list[int], vectors: list[Any]) -> tuple[FactorSpace, Labels]:
    width = next(len(v) if isinstance(v, list) else 1 for v in vectors if v is not None)
    value, known = _table(source, names, rows, vectors, width, f"others have {width}")
    some = known.any(axis=1)
    whole = bool((known[some]).all())
    if width > 1 and whole and np.isin(value[some], (0, 1)).all() and (value[some].sum(axis=1) == 1).all():
        labels = Labels.none(len(names), 1)
        labels.level_NF[some, 0] = value[some].argmax(axis=1)
        labels.known_NF[some] = True
        return FactorSpace((Factor.categorical("class", [str(c) for c in range(width)]),)), labels
    factors, labels = [], Labels.none(len(names), width)
    for f in range(width):
        own = value[known[:, f], f]
        factor = infer(f"label{f}", own, len(own)) if len(own) else Factor.scalar(f"label{f}")
        factors.append(factor)
        levels = {float(v): snap(factor, factor.level_of(float(v))) for v in np.unique(own)}
        labels.level_NF[known[:, f], f] = [levels[float(v)] for v in own]
    labels.known_NF[:] = known
    return FactorSpace(tuple(factors)), labels


def _levels(source: str, names: Sequence[str], rows: list[int], vectors: list[Any], space: FactorSpace) -> Labels:
    level, known = _table(source, names, rows, vectors, len(space), f"factors.json has {len(space)} factors")
    for f, factor in enumerate(space):
        top = factor.width - 1 if factor.kind == "categorical" else 1
        column = level[:, f]
        wrong = known[:, f] & ~((column >= -1e-6) & (column <= top + 1e-6))
        if factor.kind == "categorical":
            wrong |= known[:, f] & (column != np.rint(column))
        if wrong.any():
            row = int(np.flatnonzero(wrong)[0])
            takes = f"a whole number from 0 to {top}" if factor.kind == "categorical" else "a number from 0 to 1"
            raise UserError(
                f"{source}: label of {names[row]!r}: {factor.name}={column[row]:g}: a level of {factor.name} is "
                f"{takes}; correct it or factors.json"
            )
        if factor.kind != "categorical":
            level[:, f] = np.clip(column, 0, 1)
    return Labels(np.where(known, level, 0).astype(np.float32), known)
