"""Everything that a report says about a run, read from the run's folder and its data before a line is written.

Suffixes: N images, F factors, H x W pixels, C channels.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from semistylegan.data.dataset import Dataset
from semistylegan.data.pictures import load_image, untile
from semistylegan.editing import Model, load
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace, FloatArray
from semistylegan.models.checkpoint import kimg_of
from semistylegan.training.run import Run, number

ImageArray = npt.NDArray[np.uint8]
STRIP = 36
"""Labelled images that are shown."""
SAMPLES = 36
"""Real images beside generated ones."""
READINGS = 9
"""Real images of which the encoder's readings are shown."""


@dataclass(frozen=True)
class Labelled:
    """What `labels.csv` holds."""

    count: int
    space: FactorSpace
    """The factors in whose values it is written: as the data has them, whatever their kinds in the codes."""
    levels: dict[str, FloatArray]
    """factor -> levels of the rows that know it."""
    images: ImageArray | None
    """Some of those images, or None where the data is not at hand."""


@dataclass(frozen=True)
class Reading:
    """One real image, what E says of it and what is true."""

    name: str
    image: ImageArray
    read_F: FloatArray
    true_F: FloatArray
    known_F: npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Facts:
    """One run, ready to be written about."""

    run: Path
    name: str
    """Of the data set."""
    version: str
    """Of the package that trained it."""
    train: dict[str, Any]
    """The training configuration."""
    moved_end: str
    """Of a run whose end was moved: what it was planned for before."""
    model: Model
    kimg: float
    images: int | None
    """In the data set; None where it is not at hand."""
    data_space: FactorSpace | None
    """Factors of the data set; None where it is not at hand."""
    labelled: Labelled
    reals: ImageArray | None
    readings: list[Reading]
    metrics: dict[str, Any]
    history: dict[str, list[dict[str, Any]]]
    """Metric -> lines of its `metric-<name>.jsonl`."""
    stats: list[dict[str, Any]]
    missing: str
    """Why the data set is not at hand, or nothing."""

    @property
    def space(self) -> FactorSpace:
        """Factors of the model's codes."""
        return self.model.factors

    @property
    def factors(self) -> FactorSpace:
        """What scores for each factor are about: the codes' factors, or the data set's where codes have no names."""
        return self.space if self.named or self.data_space is None else self.data_space

    @property
    def named(self) -> bool:
        """Whether the codes were taught what they mean."""
        return self.system != "info" and self.labelled.count > 0

    @property
    def system(self) -> str:
        """The preset: semi, info, fine, paper."""
        return str(self.train.get("system", ""))

    @property
    def share(self) -> float | None:
        """Labelled images among all, 0 to 1."""
        return self.labelled.count / self.images if self.images else None

    @property
    def oracle_over(self) -> str:
        """Where `oracle_l2` is over more factors than the scores (of an editor, in earlier versions), these words."""
        whole = self.model.edits_in_one_pass and "oracle_l2_all" not in self.metrics
        return ", over all factors of the data," if whole else ""

    def errors_of(self, factor: Factor) -> tuple[float | None, float | None]:
        """Mean error of the encoder and of the generator (of an editor's edits) on a factor, 0 to 1, where measured."""
        entry = per_factor(self.metrics).get(factor.name, {})
        return number(entry.get("mae")), number(entry.get(self._made))

    def constants_of(self, factor: Factor) -> tuple[float, float]:
        """The same errors of whoever says, or draws, always the same: measured, else of even values."""
        entry = per_factor(self.metrics).get(factor.name, {})
        told = (number(entry.get(f"{key}_constant")) for key in ("mae", self._made))
        e, g = (constant_level(factor) if error is None else error for error in told)
        return e, g

    @property
    def _made(self) -> str:
        return "edit_error" if self.model.edits_in_one_pass else "mae_gen"


def gather(run_path: Path) -> Facts:
    """Reads a run.

    Raises:
        UserError: not a run, or one without a finished checkpoint.
    """
    run = Run(run_path)
    document = run.document()
    train = document["train"]
    model = load(run_path)
    data: Dataset | None = None
    missing = ""
    try:
        data = Dataset.open(str(train["data"]))
        if (data.resolution, data.channels) != (model.resolution, model.channels):
            data, missing = None, f"{train['data']} now holds images of another size"
        elif data.fingerprint() != document.get("data_fingerprint"):
            data, missing = None, f"{train['data']} has changed since this run was trained on it"
        elif model.edits_in_one_pass:
            data = data.only(model.factors.names)
    except (UserError, OSError, KeyError) as error:
        missing = str(error)
    stats = lines(run_path / "stats.jsonl")
    named = train.get("system") != "info"
    return Facts(
        run=run_path,
        name=Path(str(train.get("data", "data"))).stem,
        version=str(document.get("semistylegan", "")),
        train=train,
        moved_end=run.moved_end(),
        model=model,
        kimg=_kimg(run.checkpoint(), stats),
        images=None if data is None else len(data),
        data_space=None if data is None else data.space,
        labelled=_labelled(run_path / "labels.csv", run.label_space(model.factors), data),
        reals=_reals(run_path, model, data),
        readings=_readings(model, data, train, named),
        metrics=scores_of(run_path),
        history=history_of(run_path),
        stats=stats,
        missing=missing,
    )


def lines(path: Path) -> list[dict[str, Any]]:
    """The objects of a JSON-lines file; lines cut short by a kill are left out, a missing file has none."""
    rows = []
    if path.is_file():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                row = json.loads(line)
            except (ValueError, RecursionError):
                continue
            if isinstance(row, dict):
                rows.append(row)
    return rows


def history_of(run_path: Path) -> dict[str, list[dict[str, Any]]]:
    """Metric -> lines of its `metric-<name>.jsonl`."""
    return {p.stem.removeprefix("metric-"): lines(p) for p in sorted(run_path.glob("metric-*.jsonl"))}


def protocol_of(metrics: dict[str, Any], rows: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
    """How a score of `metrics.json` was measured: by the newest line of its file that is of the same weights and seed.

    A training that goes on with --snap-images adds lines of later weights.
    """
    told = [p for row in rows if isinstance(p := row.get("protocol"), dict)]
    same = [p for p in told if all(p.get(key) == metrics.get(key, p.get(key)) for key in ("weights_sha256", "seed"))]
    return same[-1] if same else None


def constant_level(factor: Factor) -> float:
    """The mean error of the best constant where every value is as frequent, in the units of `FactorSpace.error`: the
    middle of a range, any class or angle."""
    n = factor.size
    if n == 1:
        return 0.0
    if factor.kind == "categorical":
        return 1 - 1 / factor.width
    if factor.kind == "circular":
        return 0.5 if n is None or n % 2 == 0 else (n * n - 1) / (2 * n * n)
    return 1 / 4 if n is None else (n * n // 4) / (n * (n - 1))


def _kimg(checkpoint: Path, stats: list[dict[str, Any]]) -> float:
    """Of the checkpoint by its name; of the last tick where the folder is named otherwise."""
    try:
        return kimg_of(checkpoint)
    except UserError:
        return number(stats[-1].get("kimg")) or 0.0 if stats else 0.0


def scores_of(run_path: Path) -> dict[str, Any]:
    """What `metrics.json` of a run holds; nothing before an evaluation.

    Raises:
        UserError: a damaged file; names it.
    """
    path = run_path / "metrics.json"
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, RecursionError) as error:
        raise UserError(f"{path}: not readable ({error}); remove it and evaluate again") from None
    return document if isinstance(document, dict) else {}


def per_factor(metrics: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Factor -> its errors in a `metrics.json`; whatever else stands there is left out."""
    found = metrics.get("per_factor")
    return {k: e for k, e in found.items() if isinstance(e, dict)} if isinstance(found, dict) else {}


def _labelled(path: Path, space: FactorSpace, data: Dataset | None) -> Labelled:
    if not path.is_file():
        return Labelled(0, space, {}, None)
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    levels: dict[str, FloatArray] = {}
    for factor in space:
        cells = [row[factor.name] for row in rows if row.get(factor.name)]
        try:
            levels[factor.name] = np.array([factor.level_of(cell) for cell in cells])
        except UserError as error:
            raise UserError(f"{path}: {error}") from None
    if data is None:
        return Labelled(len(rows), space, levels, None)
    place = {name: i for i, name in enumerate(data.names)}
    mixed = [rows[i] for i in _drawn(len(rows), len(rows), 3)]
    shown = [str(row["file_name"]) for row in mixed if row.get("file_name") in place][:STRIP]
    images = _pictures(data, [place[name] for name in shown]) if shown else None
    return Labelled(len(rows), space, levels, images)


def _pictures(data: Dataset, rows: list[int]) -> ImageArray:
    images: ImageArray = data.images(np.array(rows, dtype=np.int64)).permute(0, 2, 3, 1).numpy()
    return images


def _drawn(count: int, wanted: int, seed: int) -> list[int]:
    """Numbers of images to show: the same for the same data."""
    return [int(i) for i in np.random.default_rng(seed).permutation(count)[:wanted]]


def _reals(run: Path, model: Model, data: Dataset | None) -> ImageArray | None:
    """Images of the data set; cut from the run's `reals.png` where the data is not at hand."""
    if data is not None:
        return _pictures(data, _drawn(len(data), SAMPLES, 1))
    if not (run / "reals.png").is_file():
        return None
    images = untile(load_image(run / "reals.png", model.channels), model.resolution)[:SAMPLES]
    return images if len(images) else None


def _readings(model: Model, data: Dataset | None, train: dict[str, Any], named: bool) -> list[Reading]:
    """E's readings of images drawn at random, with the truth where a label tells it."""
    if data is None or not len(model.factors):
        return []
    rows = _drawn(len(data), READINGS, 2)
    images = _pictures(data, rows)
    read = model.read_levels(images)
    true, known = np.zeros_like(read), np.zeros(read.shape, dtype=bool)
    if named and len(data.space) == len(model.factors):
        true, known = data.labels.level_NF[rows], data.labels.known_NF[rows]
        if train.get("factor_kinds") == "scalar":
            true = data.space.scalar_levels(true)
    return [Reading(data.names[r], images[i], read[i], true[i], known[i]) for i, r in enumerate(rows)]
