"""A run on disk: what its folder holds and how to read it."""

from __future__ import annotations

import dataclasses
import json
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semistylegan import files
from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import Labels, read_csv
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.models.checkpoint import checkpoints, find_checkpoint, kimg_of
from semistylegan.training.config import FREE_TO_CHANGE, TrainConfig

CONFIG, FACTORS, LABELS, STATS = "config.json", "factors.json", "labels.csv", "stats.jsonl"
EARLIER_PLANS = "earlier_plans"
"""Key in `config.json` of a run whose end was moved: [{"kimg": planned before, "until": where that changed}]."""
LABEL_FACTORS = "labels"
"""Key in `factors.json`: the factors as the data has them, in whose values `labels.csv` is written."""


@dataclass(frozen=True)
class Run:
    """The folder of a training."""

    path: Path

    def document(self) -> dict[str, Any]:
        """`config.json` as it is: package version, data fingerprint, training and model configuration.

        Raises:
            UserError: not there, or not readable.
        """
        file = self.path / CONFIG
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
        except (FileNotFoundError, NotADirectoryError):
            raise UserError(f"{self.path}: not a run (no {CONFIG}); give the --out folder of a training") from None
        except (OSError, ValueError, RecursionError) as error:  # of brackets without end
            raise UserError(f"{file}: not readable ({error})") from None
        if not isinstance(document, dict) or not isinstance(document.get("train"), dict):
            raise UserError(f"{file}: not the configuration of a run; give the --out folder of a training")
        return document

    @property
    def config(self) -> TrainConfig:
        """The resolved configuration."""
        document = self.document()
        try:
            return TrainConfig.from_json(document["train"])
        except UserError as error:
            raise UserError(f"{self.path / CONFIG}: {error}") from None

    def dataset(self) -> Dataset:
        """The data, with the labels of this run's labelled rows and no others."""
        data = Dataset.open(self.config.data)
        return data.with_labels(self.labels(data))

    def labels(self, data: Dataset) -> Labels:
        """The labels that this run may use, as `labels.csv` lists them."""
        file = self.path / LABELS
        if not file.exists():
            return Labels.none(len(data), len(data.space))
        return read_csv(file, data.names, data.space)[1]

    def label_space(self, default: FactorSpace) -> FactorSpace:
        """The factors in whose values `labels.csv` is written; `default` where the run does not say (earlier versions).

        Raises:
            UserError: a damaged `factors.json`; names it.
        """
        file = self.path / FACTORS
        try:
            document = json.loads(file.read_text(encoding="utf-8"))
            return FactorSpace.from_json({"factors": document[LABEL_FACTORS]}) if LABEL_FACTORS in document else default
        except FileNotFoundError:
            return default
        except (ValueError, OSError, TypeError, RecursionError) as error:
            raise UserError(f"{file}: {error}") from None

    def checkpoint(self, kimg: float | None = None) -> Path:
        """The newest checkpoint, or the one after `kimg`.

        Raises:
            UserError: none, or none of that number; names those there are.
        """
        if kimg is None:
            return find_checkpoint(self.path)
        there = {kimg_of(path): path for path in checkpoints(self.path)}
        if kimg not in there:
            known = ", ".join(f"{number:g}" for number in there) or "none"
            raise UserError(f"{self.path}: no checkpoint after {kimg:g} kimg; there are {known}")
        return there[kimg]

    def stats(self) -> list[dict[str, Any]]:
        """The lines of `stats.jsonl`; a last line cut short by a kill is left out."""
        return read_jsonl(self.path / STATS)

    def check_same(self, config: TrainConfig, fingerprint: str) -> None:
        """Refuses a folder that belongs to another training.

        Raises:
            UserError: other data, from which much that is not given is chosen; else the first option that differs, both
                values, and the fix.
        """
        before = self.config
        if self.document().get("data_fingerprint") != fingerprint:
            what = f"other data than {config.data} (or its images, factors or labels have changed)"
            raise UserError(f"{self.path}: belongs to a run on {what}; give another --out")
        for field in dataclasses.fields(TrainConfig):
            old, new = getattr(before, field.name), getattr(config, field.name)
            if field.name not in FREE_TO_CHANGE and old != new:
                option = "--preset" if field.name == "system" else f"--{field.name.replace('_', '-')}"
                its = f"without {option}" if old is None else f"with {option} {old}"
                raise UserError(
                    f"{self.path}: belongs to a run {its}, not {'without' if new is None else new}; "
                    f"give the same settings to go on, or another --out"
                )

    def moved(self, data: str) -> None:
        """Writes down where the data are now, for whatever reads the run later."""
        document = self.document()
        if document["train"]["data"] != data:
            document["train"]["data"] = data
            files.write_json(self.path / CONFIG, document)

    def rescheduled(self, kimg: float, done: float) -> None:
        """Writes down that the run, which goes on from `done`, is to end at `kimg`, and what else it was planned for in
        the part that it has behind it."""
        document = self.document()
        plans = document.get(EARLIER_PLANS, [])
        now = [*plans, {"kimg": document["train"]["kimg"], "until": math.inf}]
        behind = [plan for plan in now if plan["until"] < done]
        if done and (plan := now[len(behind)])["kimg"] != kimg:
            behind.append({"kimg": plan["kimg"], "until": done})
        if (behind, kimg) != (plans, document["train"]["kimg"]):
            document[EARLIER_PLANS], document["train"]["kimg"] = behind, kimg
            files.write_json(self.path / CONFIG, document)

    def moved_end(self) -> str:
        """Of a run whose end was moved, what is to be known beside its command; else nothing."""
        plans = self.document().get(EARLIER_PLANS, [])
        said = ", ".join(f"until kimg {plan['until']:g} it was planned for {plan['kimg']:g}" for plan in plans)
        return f"Its end was moved (--reschedule): {said}." if said else ""


def read_jsonl(path: Path) -> list[dict[str, Any]]:
    """The complete lines of a JSON-lines file; none where there is no file.

    Raises:
        UserError: a line that is no JSON; names it.
    """
    if not path.exists():
        return []
    rows = []
    for number, line in enumerate(path.read_bytes().splitlines(keepends=True), 1):
        try:
            if line.endswith(b"\n"):
                rows.append(json.loads(line))
        except (ValueError, RecursionError) as error:
            raise UserError(f"{path}, line {number}: not readable ({error}); remove this line") from None
    return rows


def number(value: Any) -> float | None:
    """A finite number, or None for everything else that a JSON file may hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:  # a whole number of hundreds of digits
        return None
