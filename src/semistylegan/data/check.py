"""What is in a data set, and everything that is wrong with it."""

from __future__ import annotations

import re
import shlex
import textwrap
import unicodedata
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from rich.console import Console
from rich.table import Table as RichTable

from semistylegan import progress
from semistylegan.data import joint
from semistylegan.data.columns import in_words
from semistylegan.data.dataset import make_fitting, read_labels, read_space, unread_table, untrainable
from semistylegan.data.documents import read_document
from semistylegan.data.labels import Labels, labels_of
from semistylegan.data.pictures import Header
from semistylegan.data.storage import ImageStore, Problem, cores, open_store
from semistylegan.data.table import Table
from semistylegan.errors import UserError
from semistylegan.factors import FIELDS, Factor, FactorSpace, unknown_fields
from semistylegan.files import json_text, write_text

TURNS = ("angle", "rotat", "orient", "azimuth", "heading", "hue", "yaw")
"""In names of numbers that may go around a circle."""
RANGE = 200
"""Most characters of the values of a factor."""
NAME = 32
"""Letters of a factor's name that a person sees in one line; longer ones go on in the next."""
SHOWN = 30
"""Problems that a person sees; the JSON form holds all."""


@dataclass(frozen=True)
class FactorLine:
    """What is known about one factor."""

    name: str
    kind: str
    range: str
    """In words: "a number from 0 to 1", "one of ring, cross"."""
    values: int | None
    """Values of its grid; None where any value occurs."""
    labelled: int
    """Images of which it is known."""
    share: float
    """The same as a part of all images."""
    smallest: tuple[str, int] | None
    """The value with the fewest labels, and how many (factors with a grid)."""


@dataclass(frozen=True)
class Report:
    """The outcome of :func:`check`."""

    path: str
    images: int
    width: int
    height: int
    channels: int
    """Width, height and channels are the commonest."""
    labelled: int
    """Images of which at least one factor is known."""
    factors: list[FactorLine] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    """What stands in the way of training."""
    warnings: list[Problem] = field(default_factory=list)
    """What is odd, but can be trained on."""
    sizes: int = 1
    """How many sizes the readable images have; grey and colour ones of one size count as two."""

    @property
    def resolution(self) -> int:
        """Pixels a side (the shorter one)."""
        return min(self.width, self.height)

    @property
    def alike(self) -> bool:
        """Whether all readable images are of one size, all grey or all colour."""
        return self.sizes < 2

    @property
    def ok(self) -> bool:
        """Whether it can be trained on."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {"ok": self.ok, "resolution": self.resolution, "alike": self.alike, **asdict(self)}

    def print(self, console: Console | None = None) -> None:
        """Everything, for people; to stdout unless a console is given."""
        console = console or progress.Plain()
        colour = {0: "no readable image", 1: "grey"}.get(self.channels, "colour")
        share = f" ({self.labelled / self.images:.2%})" if self.images else ""
        console.print(
            f"{self.path}: {self.images:,} images{',' if self.alike else f' of {self.sizes:,} sizes, such as'} "
            f"{self.width} x {self.height} pixels, {colour}; "
            f"{self.labelled:,} carry labels{share}",
            markup=False,
        )
        if self.factors:
            table = RichTable("factor", "kind", "values", "labelled", "share", "fewest labels")
            name, kind = table.columns[:2]
            name.overflow, name.max_width, kind.no_wrap = "fold", NAME, True
            for f in self.factors:
                values = f.range.removeprefix("one of ").removeprefix("a number from ")
                values = values if f.values is None else f"{f.values}: {values}"
                values = textwrap.shorten(values, RANGE, placeholder=" …")
                fewest = "" if f.smallest is None else f"{f.smallest[0]}: {f.smallest[1]:,}"
                words = map(progress.visible, (f.name, f.kind, values))
                table.add_row(*words, f"{f.labelled:,}", f"{f.share:.2%}", progress.visible(fewest))
            console.print(table)
        else:
            without = ": it can be trained on without labels (--preset info)" if self.ok else ""
            console.print(f"no factors{without}")
        for title, items in (("warning", self.warnings), ("problem", self.problems)):
            for item in items[:SHOWN]:
                console.print(f"{title}: {progress.visible(str(item))}", markup=False)
            if len(items) > SHOWN:
                console.print(f"and {len(items) - SHOWN:,} more {title}s (--json lists them all)")
        if self.ok:
            console.print("no problems: it can be trained on")


def check(path: str | Path) -> Report:
    """Looks at every image and every label of a folder or zip.

    Raises:
        UserError: there is nothing to look at: no such path, no image in it, or a damaged zip.
    """
    store = open_store(path)
    sizes, problems = _check_images(store)
    first = sizes.most_common(1)[0][0] if sizes else None
    space, labels, label_problems, warnings = _check_labels(store)
    problems += label_problems
    warnings += _odd(store, space, labels)
    height, width, channels = (first.height, first.width, first.channels) if first else (0, 0, 0)
    lines = [_line(factor, labels, f) for f, factor in enumerate(space)]
    return Report(
        str(store.path),
        len(store),
        width,
        height,
        channels,
        len(labels.labelled_rows),
        lines,
        problems,
        warnings,
        len(sizes),
    )


def write_factors(path: str | Path) -> Path:
    """Writes the factors of a folder, as its labels were understood, to `factors.json` in it, to be edited.

    Returns:
        the file.

    Raises:
        UserError: not a folder, no labels, labels that would mean something else beside it, or it is there already.
    """
    store = open_store(path)
    target = store.path / "factors.json"
    if not store.path.is_dir():
        raise UserError(f"{store.path}: is a zip; factors.json can be written into a folder alone")
    if target.exists():
        raise UserError(f"{target}: exists; edit it, or delete it first")
    space, labels = read_labels(store)
    if not len(space):
        raise UserError(f"{store.path}: no labels to infer factors from; write a metadata.csv first")
    if not _means_the_same(store, space, labels):
        raise UserError(
            f"{store.path}/dataset.json: its labels would be taken for levels from 0 to 1 beside a factors.json; "
            f"semistylegan convert {shlex.quote(str(path))} --to folder --out NEW writes both it and a metadata.csv"
        )
    lines = ",\n".join(f"  {json_text(factor.to_json())}" for factor in space)
    write_text(target, f'{{"factors": [\n{lines}\n]}}\n')  # a line a factor, as in the pages
    return target


def _means_the_same(store: ImageStore, space: FactorSpace, labels: Labels) -> bool:
    """Whether labels stay what they are beside a `factors.json`, where those of a `dataset.json` are levels."""
    if store.other_file("metadata.csv") is not None:
        return True
    try:
        _, after = read_document(store.document("dataset.json"), str(store.path), store.names, space)
    except UserError:
        return False
    return bool((after.level_NF == labels.level_NF).all())


def _check_images(store: ImageStore) -> tuple[Counter[Header], list[Problem]]:
    """Decodes every image -> how often each size occurs, and what is wrong with the images.

    That is a line for each damaged one, and for each that is not like most; where most are not alike, as photographs
    are not, one line says so.
    """

    def look(i: int) -> Header | Problem:
        try:
            return Header(*store.decode(i).shape)
        except UserError as error:
            return Problem.of(error)

    found: list[Header | Problem] = []
    with progress.bar("checking images", len(store)) as advance, ThreadPoolExecutor(cores()) as pool:
        for start in range(0, len(store), 256):
            batch = range(len(store))[start : start + 256]
            found += pool.map(look, batch)
            advance(len(batch))
    sizes = Counter(f for f in found if isinstance(f, Header))
    problems = [f for f in found if isinstance(f, Problem)]
    if not sizes:
        return sizes, problems
    usual, count = sizes.most_common(1)[0]
    like = found.index(usual)
    odd = [(i, f) for i, f in enumerate(found) if isinstance(f, Header) and f != usual]
    if len(odd) > count:
        i, other = odd[0]
        what = f"images of {len(sizes):,} sizes, such as {usual.words} ({store.names[like]}) and {other.words}"
        problems.append(Problem(str(store.path), f"{what} ({store.names[i]})", make_fitting(store, usual)))
        return sizes, problems
    problems += (store.differs(i, f, usual, like) for i, f in odd)
    if reason := untrainable(store, usual):
        problems.append(Problem.of(UserError(f"{store.path}: {reason}")))
    return sizes, problems


def _check_labels(store: ImageStore) -> tuple[FactorSpace, Labels, list[Problem], list[Problem]]:
    """Space, labels as far as they can be read, problems, warnings."""
    said: list[str] = []
    warnings: list[Problem] = []
    space: FactorSpace | None = None
    nothing = FactorSpace(()), Labels.none(len(store), 0)
    try:
        space = read_space(store)
        warnings += _unread(store)
        warnings += filter(None, [unread_table(store)])
        source = store.place("metadata.csv")
        data = store.other_file("metadata.csv")
        if data is None:
            name = f"{store.path}/dataset.json"
            found, labels = read_document(store.document("dataset.json"), name, store.names, space)
        else:
            table = Table.parse(data, source, store.names, said.append)
            for name in table.columns:
                if space is not None and name not in space.names:
                    warnings.append(Problem(source, f"column {name!r} is no factor of factors.json and is not read"))
                elif not any(table.columns[name]):
                    warnings.append(Problem(source, f"column {name!r} is blank", "fill it in or remove it"))
            found, labels = labels_of(table, len(store), space)
    except UserError as error:
        said.append(str(error))
        found, labels = nothing if space is None else (space, Labels.none(len(store), len(space)))
    return found, labels, [Problem.of(UserError(text)) for text in said], warnings


def _unread(store: ImageStore) -> Iterator[Problem]:
    """Fields of factors.json that say nothing."""
    for entry in (store.document("factors.json") or {}).get("factors", []):
        for key in unknown_fields(entry):
            what = f"factor {entry['name']!r}: field {key!r} is not read"
            yield Problem(store.place("factors.json"), what, f"known are {', '.join(FIELDS)}")


def _line(factor: Factor, labels: Labels, f: int) -> FactorLine:
    known = labels.known_NF[:, f]
    labelled = int(known.sum())
    smallest = None
    if factor.size is not None and labelled:
        counts = np.bincount(factor.index_of_level(labels.level_NF[known, f]), minlength=factor.size)
        index = int(counts.argmin())
        value = factor.value_of(float(factor.level_of_index(index)))
        smallest = (_shown(value), int(counts[index]))
    return FactorLine(
        factor.name,
        factor.kind,
        f"one of {', '.join(factor.categories)}" if factor.kind == "categorical" else factor.describe_range(),
        factor.size,
        labelled,
        labelled / max(len(labels), 1),
        smallest,
    )


def _odd(store: ImageStore, space: FactorSpace, labels: Labels) -> Iterator[Problem]:
    """Factors that cannot be learned from these labels, that cannot be told apart, and values that look mistyped."""
    path = str(store.path)
    for f, factor in enumerate(space):
        if not labels.known_NF[:, f].any():
            yield Problem(path, f"factor {factor.name!r} has no label", "label some images or remove it")
    for f in joint.constant(space, labels):
        value = _shown(space[f].value_of(float(labels.level_NF[labels.known_NF[:, f], f][0])))
        what = f"factor {space[f].name!r} is {value} wherever it is known"
        yield Problem(path, what, "nothing can be learned of it: label other values or remove it")
    if store.other_file("factors.json") is None:
        yield from _turning(path, space)
    yield from _alike(path, space)
    yield from _once(path, space, labels)
    yield from _between(path, space, labels)
    for pair in joint.pairs(space, labels):
        a, b, how = space[pair.a].name, space[pair.b].name, "always" if pair.always else "almost always"
        fix = "they cannot be told apart: label images where they differ or remove one"
        yield Problem(path, f"factors {a!r} and {b!r} {how} move together", fix)
    for f, factor in enumerate(space):
        if factor.kind == "scalar" and factor.grid is None:
            value = factor.low + labels.level_NF[labels.known_NF[:, f], f].astype(np.float64) * (
                factor.high - factor.low
            )
            if (far := _far_out(value)) is not None:
                what = f"{factor.name}={far:g} is far from all other values of {factor.name!r}"
                yield Problem(path, what, "is it mistyped? The range of the factor reaches that far")


def _turning(path: str, space: FactorSpace) -> Iterator[Problem]:
    """Numbers from about 0 to about 360 that are called an angle: of a table alone, they lie on a line."""
    for factor in space:
        start = 0 if factor.low >= 0 else -180
        turns = start <= factor.low and factor.high <= start + 360 and factor.high - factor.low > 180
        if factor.kind == "scalar" and turns and any(word in factor.name.lower() for word in TURNS):
            ends = f"[{start}, {start + 360}]"
            ends_told = f"{_shown(factor.low)} and {_shown(factor.high)}"
            what = f"factor {factor.name!r} is a number, of whose values {ends_told} differ most"
            fix = f'if it is an angle, say so in factors.json: "kind": "circular", "range": {ends} (--write-factors)'
            yield Problem(path, what, fix)


def _alike(path: str, space: FactorSpace) -> Iterator[Problem]:
    """Classes whose names differ in capitals alone, or in whether blanks, hyphens or underscores part their words."""
    for factor in space:
        spelt: dict[str, list[str]] = {}
        for name in factor.categories:
            plain = re.sub(r"[\s_-]+", " ", unicodedata.normalize("NFKC", name)).casefold()
            spelt.setdefault(plain, []).append(name)
        for names in spelt.values():
            if len(names) > 1:
                what = f"factor {factor.name!r}: {', '.join(map(repr, names))} are {len(names)} classes"
                yield Problem(path, what, "if they mean the same, write them alike")


def _once(path: str, space: FactorSpace, labels: Labels) -> Iterator[Problem]:
    """Classes that a single image has, as mistyped ones do."""
    for f, factor in enumerate(space):
        if factor.kind == "categorical":
            classes = labels.level_NF[labels.known_NF[:, f], f].astype(np.int64)
            once = np.flatnonzero(np.bincount(classes, minlength=len(factor.categories)) == 1)
            if len(once) and len(classes) >= 20:
                names = ", ".join(factor.categories[i] for i in once[:5]) + (", ..." if len(once) > 5 else "")
                what = f"factor {factor.name!r}: one label alone of {names}"
                yield Problem(path, what, "is it mistyped? Else label more of them")


def _between(path: str, space: FactorSpace, labels: Labels) -> Iterator[Problem]:
    """Labels that are none of the values that their factor has, if only these occur, as `size` says."""
    for f, factor in enumerate(space):
        if factor.size is None or factor.kind == "categorical":
            continue
        level = np.unique(labels.level_NF[labels.known_NF[:, f], f]).astype(np.float64)
        away = np.abs(level - factor.level_of_index(factor.index_of_level(level)))
        away = np.minimum(away, 1.0 - away) if factor.kind == "circular" else away
        if len(off := level[away * factor.size > 0.02]):
            values = [_shown(factor.value_of(float(u))) for u in factor.levels(factor.size)]
            shown = ", ".join(values if len(values) < 5 else [*values[:3], "...", values[-1]])
            what = f"{factor.name}={in_words(factor, float(off[0]))} is none of the {factor.size} values of "
            fix = "correct range and size in factors.json, or leave size out"
            yield Problem(path, f"{what}{factor.name!r} ({shown})", fix)


def _far_out(values: npt.NDArray[np.float64]) -> float | None:
    """A value that lies ten times as far out as the middle half is wide; None where there is none."""
    if len(values) < 20:
        return None
    low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
    away = np.abs(values - middle)
    return float(values[away.argmax()]) if high > low and away.max() > 10 * (high - low) else None


def _shown(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:g}"
