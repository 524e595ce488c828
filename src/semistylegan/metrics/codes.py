"""Every encoder metric for codes that come from anyone's model: arrays, or a file of them.

Suffixes: N images, L entries of a code, F factors.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

import numpy as np
import numpy.typing as npt

from semistylegan import progress
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace, Kind
from semistylegan.metrics.code_intervals import GRID_INTERVALS, INTERVALS, Found
from semistylegan.metrics.code_metrics import CODE_METRICS, VOTES
from semistylegan.metrics.disentanglement import BINS
from semistylegan.metrics.few import by_images, few_images
from semistylegan.metrics.information import Floats, Ints, checked_count, checked_pair, need_known, varying

MOST_VALUES = 100
"""A column of factors that are no whole numbers and has more values than this is cut into bins."""
IMAGES = 15_000
"""The originals learn from 10,000 and test on 5,000."""


@dataclass(frozen=True)
class Codes:
    """Codes and factors of the same images, as a file holds them."""

    code_NL: Floats
    index_NF: Ints
    """Value indices."""
    factor_names: tuple[str, ...]
    notes: tuple[str, ...] = ()
    """What a reader must know of how the file was understood."""


def evaluate_codes(
    codes_NL: Any,
    factors_NF: Any,
    metrics: str | Sequence[str] = ("all",),
    seed: int = 0,
    *,
    kinds: Sequence[Kind] | None = None,
    images: int = IMAGES,
    intervals: bool = True,
) -> dict[str, Any]:
    """Scores of codes, each by its usual protocol.

    Args:
        codes_NL: codes: one row an image, one column an entry.
        factors_NF: value indices of the same images.
        metrics: a name or names of CODE_METRICS, fields of several of one metric (`info_m`), or `all`.
        seed: fixes every draw.
        kinds: of each column of the codes; None: numbers. A circular one holds parts of a turn, 0 to 1, a categorical
            one class numbers from 0.
        images: at most so many, drawn with the seed. The votes take all, since they need the whole grid.
        intervals: 95% intervals too; see `code_intervals`. They take about as long as the scores.

    Returns:
        field -> score, as in a run's `metrics.json`; `ci95`: field -> [low, high]; `images`, `seed`, `codes`, `factors`
        (numbers of them); `note`: what was left out, and why; how far MIG is too low, where the images are few.

    Raises:
        UserError: arrays that no metric takes (see `disentanglement`), an unknown metric or kind, or nothing measured.
    """
    metrics = [METRIC_OF.get(name, name) for name in ([metrics] if isinstance(metrics, str) else metrics)]
    if unknown := [name for name in metrics if name != "all" and name not in CODE_METRICS]:
        raise UserError(f"--metrics {unknown[0]}: unknown; known are all, {', '.join(CODE_METRICS)}")
    if not metrics:
        raise UserError(f"--metrics: none is named; known are all, {', '.join(CODE_METRICS)}")
    if images < 2:
        raise UserError(f"--images {images}: at least 2 are needed")
    seed = checked_count("seed", seed, 0)
    codes, factors = checked_pair(codes_NL, factors_NF)
    varies_F = np.ptp(np.asarray(factors_NF, dtype=np.float64), axis=0) > 0
    left_out = [f"Column {i} of the factors never varies and is left out." for i in np.flatnonzero(~varies_F)]
    space = None if kinds is None else space_of(kinds, codes)
    rows = np.sort(np.random.default_rng(seed).permutation(len(codes))[:images])
    drawn_F = varying(factors[rows])
    why = f"has one value in the {len(rows):,} images drawn and is left out of all but the votes."
    left_out += [f"Column {i} of the factors {why}" for i in np.flatnonzero(varies_F)[~drawn_F]]
    sample = Sample(codes[rows], factors[rows], space, seed, grid_order(factors), codes, factors)
    out: dict[str, Any] = {}
    notes, spans = list[str](), dict[str, list[float]]()
    wanted = [name for name in CODE_METRICS if "all" in metrics or name in metrics]
    with progress.bar("measuring codes", len(wanted)) as advance:
        for name in wanted:
            advance(0, note=name)
            try:
                out |= (scores := scores_of(name, sample))
            except UserError as error:
                notes.append(f"{name} is left out: {error}.")
            else:
                spans |= intervals_of(name, scores, sample) if intervals else {}
            advance(1)
    if not out:
        raise UserError(f"nothing could be measured: {notes[0]}")
    if "mig" in out:
        all_scalar = space_of(["scalar"] * codes.shape[1], codes)
        few = by_images(sample.codes, sample.factors, space or all_scalar)
        notes += few_images("MIG", "an encoder that reads", {"images": len(rows), **few})
    about = {"ci95": spans, "images": len(rows), "seed": seed, "codes": codes.shape[1], "factors": int(drawn_F.sum())}
    return out | about | {"note": " ".join([*left_out, *notes])}


@dataclass(frozen=True)
class Sample:
    """What the metrics of codes look at: some of the images, and all of them for those that need the grid."""

    codes: Floats
    factors: Ints
    space: FactorSpace | None
    seed: int
    order_G: npt.NDArray[np.intp] | None
    """The image of each point of the grid, where the images are the grid."""
    all_codes: Floats
    all_factors: Ints

    def tables(self, name: str) -> tuple[Floats, Any]:
        """What a metric is measured on: codes and factors; for a vote, codes of every point of the grid, and the grid.

        Raises:
            UserError: a vote, and the images are not one of every combination.
        """
        if name not in VOTES:
            return self.codes, self.factors
        if self.order_G is None:
            raise UserError("it needs one image of every combination of the factors' values")
        sizes = [len(np.unique(column)) for column in self.all_factors.T]
        return self.all_codes[self.order_G], FactorSpace.grid({f"f{i}": n for i, n in enumerate(sizes)})


def grid_order(factors_NF: Ints) -> npt.NDArray[np.intp] | None:
    """Rows in the order of the grid, row-major; None where they are not one of each combination."""
    places = [np.unique(column, return_inverse=True) for column in factors_NF.T]
    sizes = [len(values) for values, _ in places]
    if int(np.prod(sizes, dtype=np.float64)) != len(factors_NF):
        return None
    point_N = np.ravel_multi_index([place for _, place in places], sizes)
    order = np.argsort(point_N)
    return order if (point_N[order] == np.arange(len(order))).all() else None


def space_of(kinds: Sequence[Kind], codes_NL: Floats) -> FactorSpace:
    """The kinds of the columns as a space.

    Raises:
        UserError: another number of kinds than of columns, an unknown one, or values that a kind cannot have.
    """
    if len(kinds) != codes_NL.shape[1]:
        raise UserError(f"--kinds: {len(kinds)} are given, but the codes have {codes_NL.shape[1]} columns")
    factors = []
    for i, (kind, column) in enumerate(zip(kinds, codes_NL.T, strict=True)):
        if kind not in get_args(Kind):
            raise UserError(f"--kinds {kind}: known are {', '.join(get_args(Kind))}")
        if kind == "categorical":
            if (column != np.rint(column)).any() or column.min() < 0 or column.max() > 10_000:
                raise UserError(
                    f"codes: column {i} is to be categorical, but holds other numbers than classes 0, 1, ..."
                )
            factors.append(Factor.categorical(f"c{i}", tuple(map(str, range(max(int(column.max()) + 1, 2))))))
        elif kind == "circular":
            if column.min() < 0 or column.max() > 1:
                raise UserError(f"codes: column {i} is to be circular, but leaves 0 to 1; give parts of a turn")
            factors.append(Factor.circular(f"c{i}"))
        else:
            factors.append(Factor.scalar(f"c{i}"))
    return FactorSpace(tuple(factors))


METRIC_OF = {field: name for name, metric in CODE_METRICS.items() for field in metric.fields}
"""Score -> the metric that gives it."""


def scores_of(name: str, s: Sample) -> dict[str, float]:
    """The scores of a metric."""
    fields, measure = CODE_METRICS[name]
    return dict(zip(fields, measure(*s.tables(name), s.space, s.seed), strict=True))


def intervals_of(name: str, scores: dict[str, float], s: Sample) -> dict[str, list[float]]:
    """95% intervals of a metric that was measured: field -> [low, high]; none where images drawn again cannot be."""
    intervals: dict[str, Callable[..., Found]] = {**INTERVALS, **GRID_INTERVALS}
    try:
        found = intervals[name](*s.tables(name), s.space, s.seed, list(scores.values()))
    except UserError:
        return {}
    return {field: [span.low, span.high] for field, span in found.items()}


# -- files ------------------------------------------------------------------------------------------------------------


def read_codes(path: Path, factors: Sequence[str] = ()) -> Codes:
    """Codes and factors from a file.

    .npz: arrays `codes` (N x L) and `factors` (N x F; whole numbers are value indices from 0, a column of -1 and 1 has
    two values, other numbers are numbered by size). .csv: a head with names; columns whose name begins with `code` are
    entries of the code, a column `file_name` is skipped, one that numbers the images too, all others are factors, of
    numbers or words.

    Args:
        path: the file.
        factors: of a CSV: the columns that are factors; then all others are codes.

    Raises:
        UserError: not there, another format, a missing array or column, a cell that is no number, or a blank one; value
            indices of which one is unknown (-1).
    """
    if not path.exists():
        raise UserError(f"{path}: no such file; check the name")
    if path.suffix.lower() == ".npz":
        return _read_npz(path, factors)
    if path.suffix.lower() == ".csv":
        return _read_csv(path, factors)
    raise UserError(f"{path}: give an .npz with arrays codes and factors, or a .csv")


def _read_npz(path: Path, factors: Sequence[str]) -> Codes:
    if factors:
        raise UserError(f"--factors: is for CSV files; the factors of {path} are its array `factors`")
    try:
        with np.load(path, allow_pickle=False) as file:
            missing = [name for name in ("codes", "factors") if name not in file]
            if missing:
                found = ", ".join(file) or "nothing"
                raise UserError(f"{path}: no array `{missing[0]}` (it holds {found}); save codes=..., factors=...")
            codes, table = file["codes"], file["factors"]
    except UserError:
        raise
    except Exception as error:  # zipfile's, NumPy's and the system's own
        why = (str(error).splitlines() or [type(error).__name__])[0][:200]
        raise UserError(f"{path}: not readable as .npz ({why})") from None
    if codes.ndim != 2 or table.ndim != 2 or table.shape[1] == 0:
        raise UserError(
            f"{path}: codes have shape {codes.shape}, factors {table.shape}; "
            "give one row an image and at least one column in both"
        )
    names = tuple(f"factor {i}" for i in range(table.shape[1]))
    said = []
    if table.dtype.kind in "fi" and np.isfinite(table).all() and (table == np.rint(table)).all():  # value indices
        signs_F = (np.abs(table) == 1).all(axis=0)  # attributes, as CelebA has them
        try:
            need_known(table[:, ~signs_F])
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
        if (told := signs_F & (table == -1).any(axis=0)).any():
            which = ", ".join(name for name, sign in zip(names, told, strict=True) if sign)
            said.append(f"{which}: -1 and 1 are two values; no image is unknown.")
    return _understood(path, codes, dict(zip(names, table.T, strict=True)), said)


def _read_csv(path: Path, factors: Sequence[str]) -> Codes:
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            rows = list(csv.reader(file))
            while rows and not rows[-1]:  # blank lines at the end
                rows.pop()
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"{path}: not readable as CSV ({error})") from None
    if len(rows) < 2:
        raise UserError(f"{path}: holds no row; give a head and one row an image")
    head = [name.strip() for name in rows[0]]
    if len(head) == 1 and (parted := next((mark for mark in (";", "\t") if mark in head[0]), "")):
        raise UserError(f"{path}: columns are parted by {parted!r}; save it with commas, and with points in numbers")
    for number, row in enumerate(rows[1:], start=2):
        if len(row) != len(head):
            fix = "commas stand between columns, and no other; a cell that holds one stands in quotes"
            raise UserError(f"{path}, line {number}: {len(row)} cells, but the head has {len(head)}; {fix}")
    if absent := [name for name in factors if name not in head]:
        raise UserError(f"{path}: no column {absent[0]!r}; it has {', '.join(head)}")
    is_factor = [name in factors if factors else not name.lower().startswith("code") for name in head]
    columns = {name: np.array([row[i].strip() for row in rows[1:]]) for i, name in enumerate(head)}
    if len(columns) < len(head):
        raise UserError(f"{path}: two columns have the same name; give each its own")
    columns.pop("file_name", None)
    if "" in columns and (columns.pop("") != "").any():  # what tables of numbered rows begin with
        place = head.index("") + 1
        raise UserError(f"{path}: column {place} has no name; name it, or leave it out (pandas: index=False)")
    notes = []
    for name in list(columns):
        if name not in factors and not name.lower().startswith("code") and _is_id(columns[name]):
            del columns[name]
            notes.append(f"{name} differs in every row: it names the images and is left out, unless --factors has it.")
    code_names = [name for name, own in zip(head, is_factor, strict=True) if not own and name in columns]
    factor_names = [name for name, own in zip(head, is_factor, strict=True) if own and name in columns]
    if not code_names or not factor_names:
        which = "codes (columns that begin with `code`)" if not code_names else "factors"
        raise UserError(f"{path}: no {which} among {', '.join(head)}; name the factors with --factors")
    codes = np.stack([_numbers(path, name, columns[name]) for name in code_names], axis=1)
    for name in factor_names:
        if len(blank := np.flatnonzero(columns[name] == "")):
            raise UserError(f"{path}, line {blank[0] + 2}: {name} is blank; leave those images out")
    return _understood(path, codes, {name: columns[name] for name in factor_names}, notes)


def _is_id(cells: npt.NDArray[Any]) -> bool:
    """Whether a column names its rows: more than MOST_VALUES words or whole numbers, each of them once."""
    if len(np.unique(cells)) < max(len(cells), MOST_VALUES + 1):
        return False
    try:
        numbers = cells.astype(np.float64)
    except ValueError:
        return True
    return bool((numbers == np.rint(numbers)).all())


def _numbers(path: Path, name: str, cells: npt.NDArray[Any]) -> Floats:
    try:
        return cells.astype(np.float64)
    except ValueError:
        for line, cell in enumerate(cells, start=2):
            try:
                float(cell)
            except ValueError:
                raise UserError(f"{path}, line {line}: {name} is {str(cell)!r}, not a number") from None
        raise


def _understood(
    path: Path, codes: npt.NDArray[Any], columns: dict[str, npt.NDArray[Any]], said: Sequence[str] = ()
) -> Codes:
    """Columns of factors -> value indices."""
    if codes.dtype.kind not in "fiub":
        raise UserError(f"{path}: codes hold {codes.dtype}, not numbers")
    notes, indices = list(said), []
    for name, column in columns.items():
        if column.dtype.kind in "cV":
            what = "complex numbers" if column.dtype.kind == "c" else "records"
            raise UserError(f"{path}: {name} holds {what}; give real numbers or words")
        cells = column
        if cells.dtype.kind not in "fiub":
            try:
                cells = cells.astype(np.float64)
            except ValueError:
                cells = column  # words
        blank = cells.dtype.kind in "US" and (np.char.str_len(cells) == 0).any()
        if blank or (cells.dtype.kind == "f" and not np.isfinite(cells).all()):
            raise UserError(f"{path}: {name} holds blanks, NaN or infinity; leave those images out")
        values, index = np.unique(cells, return_inverse=True)
        if cells.dtype.kind == "f" and len(values) > MOST_VALUES and (cells != np.rint(cells)).any():
            edges = np.linspace(values[0], values[-1], BINS + 1)[1:-1]
            index = np.searchsorted(edges, cells, side="right")
            notes.append(f"{name} has {len(values)} values and is measured in {BINS} even bins.")
        indices.append(index.reshape(-1).astype(np.int64))
    return Codes(codes.astype(np.float64), np.stack(indices, axis=1), tuple(columns), tuple(notes))
