"""The table of a study: a row for each run, and for each setting the mean and the spread over its seeds."""

from __future__ import annotations

import csv
import functools
import io
import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from semistylegan.metrics.code_metrics import VOTES
from semistylegan.metrics.protocol import NAMELESS, SEEN
from semistylegan.metrics.scores import METRIC_OF, METRICS
from semistylegan.study.plan import Job, Setting, Study, option, shown
from semistylegan.training.run import number

SCORES: dict[str, tuple[str, str]] = {
    "mig": ("MIG", "high"),
    "l2": ("L2", "low"),
    "mig_gen": ("MIG-gen", "high"),
    "l2_gen": ("L2-gen", "low"),
    "fd_oracle": ("FD-oracle", "low"),
}
"""Field of `metrics.json` -> its name, and which is better. Always in the table, in this order."""
NAMES: dict[str, str] = {
    "factor_vae": "FactorVAE",
    "beta_vae": "BetaVAE",
    "irs": "IRS",
    "sap": "SAP",
    "kid": "KID",
    "fid": "FID",
    "leakage_mean": "leakage",
}
"""Names of further scores, where the field is not its own name."""
NO_SCORES = ("images", "encoder_images", "seed", "oracle_l2", "oracle_l2_all", "metrics_version")
"""Numbers in `metrics.json` that are not compared."""
OF_IMAGES = {
    field for name, metric in METRICS.items() if metric.of == "encoder" and name not in VOTES for field in metric.fields
}
"""Scores that depend on which images the encoder reads: VOTES take every image of the grid."""
LEARNED = (
    "† on images whose labels the encoder learned, since too few were held out, or since every image of the grid is "
    "read (FactorVAE, BetaVAE): not to be compared with the others."
)
FEWER = "‡ on fewer images than others of the column, by a tenth or more, which lowers MIG: to be compared with care."
FEW = 0.9
"""Of the most images of a column, where that mark begins."""
NAMED_LATER = (
    "§ of codes without names, which were given some by labels that training did not see: not to be compared with "
    "codes that learned theirs."
)
OTHER = "¶ over other factors than the scores without it: not to be compared with them."
MARKS = {"†": LEARNED, "‡": FEWER, "§": NAMED_LATER, "¶": OTHER}
"""Mark of a score in a table -> what it says below. A marked score is never the best of its column."""
BAR = r"\|"
"""A bar within a cell of Markdown."""
RUN_FACTS = ("labelled_images", "kimg", "seconds")
"""What a row tells of its run before the scores."""


@dataclass(frozen=True)
class Result:
    """What came of one run."""

    job: Job
    metrics: dict[str, Any]
    """Its `metrics.json`; empty where the run failed."""
    failed: str = ""
    """Why, in one line."""

    @functools.cached_property  # every cell of a study's tables, plots and page asks for them
    def scores(self) -> dict[str, float]:
        """Field of `metrics.json` -> number, of all that are measured."""
        skipped = {*NO_SCORES, *RUN_FACTS, "label_fraction"}
        out = {field: number(self.metrics.get(field)) for field in [*SCORES, *self.metrics] if field not in skipped}
        return {field: value for field, value in out.items() if value is not None}

    @functools.cached_property
    def split(self) -> str:
        """The images that the encoder was measured on: `held-out`, `all labelled` where it learned their labels."""
        if not self.scores.keys() & OF_IMAGES:
            return ""
        return "all labelled" if SEEN in self.metrics.get("note", "") else "held-out"

    def learned(self, field: str) -> bool:
        """Whether a score is of images whose labels the encoder learned, or some of them of the whole grid."""
        if field in VOTES:
            return bool(self.protocol(field).get("labels_read", self.metrics.get("labelled_images")))
        return field in OF_IMAGES and self.split == "all labelled"

    def protocol(self, field: str) -> dict[str, Any]:
        """How a score was measured; nothing where `metrics.json` does not say (earlier versions)."""
        found: dict[str, Any] = (self.metrics.get("protocols") or {}).get(METRIC_OF.get(field), {})
        return found if field in self.scores else {}

    def named_later(self, field: str) -> bool:
        """Whether a score is of codes that training gave no names."""
        if protocol := self.protocol(field):
            return "alignment" in protocol
        return field in ("l2", "l2_gen") and NAMELESS in self.metrics.get("note", "")

    def images(self, field: str) -> float:
        """How many images a score of the encoder is of; infinite where that is not known, or it is not of images."""
        found = self.protocol(field).get("images") if field in OF_IMAGES else None
        return math.inf if found is None else float(found)

    def factors(self, field: str) -> tuple[str, ...]:
        """The factors that a score is of; none where that is not known."""
        return tuple(self.protocol(field).get("factors", ()))


@dataclass(frozen=True)
class Spread:
    """A score of one setting over its seeds."""

    mean: float
    deviation: float
    """Standard deviation over the seeds (divided by n - 1); NaN for a single one."""
    each: tuple[float, ...]
    """In the order of the results."""
    marks: str = ""
    """Those of MARKS that it bears."""

    def __str__(self) -> str:
        digits = 3 if abs(self.mean) < 10 else 2
        spread = "" if math.isnan(self.deviation) else f" ± {self.deviation:.{digits}f}"
        return f"{self.mean:.{digits}f}{self.marks}{spread}"


def spread(results: Sequence[Result], setting: Setting, field: str) -> Spread | None:
    """A score of a setting; None where no run of it has one."""
    mine = [r for r in results if r.job.setting == setting and field in r.scores]
    if not mine:
        return None
    each = tuple(r.scores[field] for r in mine)
    deviation = float(np.std(each, ddof=1)) if len(each) > 1 else math.nan
    return Spread(float(np.mean(each)), deviation, each, marks_of(mine, results, field))


def marks_of(mine: Sequence[Result], results: Sequence[Result], field: str) -> str:
    """The marks of a score of some runs among all of a study."""
    marks = "†" if any(r.learned(field) for r in mine) else ""
    read = [r.images(field) for r in mine]
    others = [n for r in results if not r.learned(field) and (n := r.images(field)) < math.inf]
    if any(r.named_later(field) for r in mine):
        marks += "§"
    if not marks and field != "l2" and min(read) <= FEW * max(others, default=0):  # L2 is the same in the mean
        marks += "‡"
    most = max((r.factors(field) for r in results), key=len)
    if any(r.factors(field) not in ((), most) for r in mine):
        marks += "¶"
    return marks


def legend(told: Iterable[Spread | None]) -> list[str]:
    """What the marks of these scores mean."""
    marks = "".join(t.marks for t in told if t is not None)
    return [sentence for mark, sentence in MARKS.items() if mark in marks]


def left_out(results: Sequence[Result]) -> list[str]:
    """Which scores runs are without, and why: the sentences of their notes, each once."""
    told = (re.findall(r"\w+ is left out: .*?\.(?= |$)", r.metrics.get("note", "")) for r in results)
    return list(dict.fromkeys(sentence for sentences in told for sentence in sentences))


def runs_of(results: Sequence[Result], setting: Setting) -> str:
    """How many runs of a setting ended well: `3`, or `1 of 3` where others failed."""
    failed = [bool(r.failed) for r in results if r.job.setting == setting]
    return f"{failed.count(False)} of {len(failed)}" if any(failed) else str(len(failed))


def fields_of(results: Sequence[Result]) -> list[str]:
    """The scores that any run has: the usual ones first."""
    found = {field for r in results for field in r.scores}
    return [field for field in SCORES if field in found] + sorted(found - set(SCORES))


def name_of(field: str) -> str:
    """A score's name as people write it."""
    return SCORES[field][0] if field in SCORES else NAMES.get(field, field.replace("_", " "))


def to_csv(study: Study, results: Sequence[Result]) -> str:
    """A row for each run: its setting, seed, scores, errors of each factor, and why it failed where it did."""
    fields = fields_of(results)
    errors = sorted({f"{kind}.{name}" for r in results for name, e in per_factor(r).items() for kind in e})
    head = [
        "baseline",
        *map(option, study.axes),
        "seed",
        *RUN_FACTS,
        "split",
        "encoder_images",
        *fields,
        *errors,
        "failed",
        "run",
    ]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(head)
    for r in results:
        factors = per_factor(r)
        own = [r.job.setting.values.get(axis) for axis in study.axes]
        facts = [r.metrics.get(fact) for fact in RUN_FACTS]
        numbers = [r.scores.get(field) for field in fields]
        cells = [factors.get(name, {}).get(kind) for kind, _, name in (error.partition(".") for error in errors)]
        run = f"runs/{r.job.setting.folder}/seed-{r.job.seed}"
        row = [
            r.job.setting.baseline,
            *own,
            r.job.seed,
            *facts,
            r.split,
            r.metrics.get("encoder_images"),
            *numbers,
            *cells,
            r.failed,
            run,
        ]
        writer.writerow(row)
    return text.getvalue()


def to_markdown(study: Study, results: Sequence[Result]) -> str:
    """A row for each setting: mean ± standard deviation over its seeds."""
    fields = fields_of(results)
    axes = [option(axis) for axis in study.axes]
    own = ["baseline", *axes] if any(s.baseline for s in study.settings) else axes
    head = [*own, "runs", *map(name_of, fields)]
    lines, every = [head, ["---"] * len(head)], list[Spread | None]()
    for setting in study.settings:
        mine = [r for r in results if r.job.setting == setting]
        if not mine:
            continue
        cells = [shown(setting.values[axis]) if axis in setting.values else "" for axis in study.axes]
        told = [spread(results, setting, field) for field in fields]
        every += told
        row = [*([setting.baseline] if own != axes else []), *cells, runs_of(results, setting)]
        lines.append([*row, *("" if t is None else str(t) for t in told)])
    table = "".join(f"| {' | '.join(cell.replace('|', BAR) for cell in line)} |\n" for line in lines)
    return table + "".join(f"\n{sentence}\n" for sentence in (*legend(every), *left_out(results)))


def per_factor(result: Result) -> dict[str, dict[str, float]]:
    """factor -> {mae, mae_gen, ...}, of those that are numbers; what a constant would err says nothing of a run."""
    table = result.metrics.get("per_factor") or {}
    return {
        name: {
            kind: error
            for kind, value in errors.items()
            if (error := number(value)) is not None and not kind.endswith("_constant")
        }
        for name, errors in table.items()
    }
