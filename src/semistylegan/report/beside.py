"""A run beside others: what each was told, what was measured of each, what each draws."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semistylegan.editing import load
from semistylegan.errors import UserError
from semistylegan.metrics.scores import METRIC_OF
from semistylegan.report.facts import history_of, per_factor, protocol_of, scores_of
from semistylegan.report.html import ImageArray, escape, percent, section, sheet, whole
from semistylegan.report.scores import MORE, TILES, error_made
from semistylegan.training.config import FREE_TO_CHANGE
from semistylegan.training.run import LABELS, Run, number

SAMPLES = 12
"""Generated images of each run."""
UNINTERESTING = (*FREE_TO_CHANGE, "seed")
"""Fields of the training that say nothing about what was learned, or stand in the table anyway."""
SHOWN = [row[:3] for row in (*TILES, *MORE)]
"""Key in metrics.json, name, which way is better."""
OWN = ("weights_sha256", "oracle_sha256", "oracle_l2", "oracle", "ci95", "low_by", "by_chance", "per_factor_images")
"""Entries of a protocol that differ from run to run though the measuring is the same."""
LATER = ("hold_out", "factors", "drift_factors", "split", "labels_read")
"""Entries that protocols of earlier versions lack: where one does, they say nothing."""


@dataclass(frozen=True)
class Column:
    """One run of the comparison."""

    name: str
    train: dict[str, Any]
    moved_end: str
    """Of a run whose end was moved: what it was planned for before."""
    fingerprint: str
    """Of the data's content."""
    labelled: int
    kimg: float | None
    """At which it was measured."""
    metrics: dict[str, Any]
    protocols: dict[str, dict[str, Any]]
    """Metric -> how it was measured."""
    made: ImageArray | None
    """Some generated images; None where the model draws none."""


def beside(run: Path, others: Sequence[Path]) -> str:
    """The section; nothing where there are no others.

    Raises:
        UserError: one of them is the run itself, no run, has no checkpoint or a damaged file; names it.
    """
    if not others:
        return ""
    for path in others:
        if path.resolve() == run.resolve():
            raise UserError(f"--beside {path}: this is the run of the report; name another one")
    paths = [run, *others]
    columns = [_column(path, name) for path, name in zip(paths, _names(paths), strict=True)]
    intro = (
        "Each is one training. What differs by less than another seed would make says nothing; a sweep over seeds "
        "shows how much that is. The best of each row is underlined."
    )
    body = f'<div class="wide-table">{_scores(columns)}</div>{_notes(columns)}{_errors(columns)}{_sheets(columns)}'
    return section("beside", "Beside other runs", intro, body)


def _column(path: Path, name: str) -> Column:
    run = Run(path)
    document = run.document()
    metrics = scores_of(path)
    labelled = 0
    if (path / LABELS).is_file():
        with (path / LABELS).open(encoding="utf-8", newline="") as file:
            labelled = sum(1 for _ in csv.DictReader(file))
    model = load(path)
    try:
        made = model.generate(seed=100, count=SAMPLES)
    except UserError:  # an editor without images to start from
        made = None
    return Column(
        name=name,
        train=document["train"],
        moved_end=run.moved_end(),
        fingerprint=str(document.get("data_fingerprint", "")),
        labelled=labelled,
        kimg=number(metrics.get("kimg")),
        metrics=metrics,
        protocols={k: p for k, rows in history_of(path).items() if (p := protocol_of(metrics, rows)) is not None},
        made=made,
    )


def _names(paths: Sequence[Path]) -> list[str]:
    """The shortest ends of the paths that tell them apart."""
    parts = [path.resolve().parts for path in paths]
    for length in range(1, max(map(len, parts)) + 1):
        names = ["/".join(p[-length:]) for p in parts]
        if len(set(names)) == len(names):
            break
    return names


def _scores(columns: Sequence[Column]) -> str:
    """What each was told, and the scores that any of them has: a row a score."""
    head = "".join(f'<th scope="col">{escape(c.name)}</th>' for c in columns)
    rows = [_row("Seed", [str(c.train.get("seed", "")) for c in columns])]
    rows.append(_row("Labelled images", [whole(c.labelled) for c in columns]))
    rows.append(_row("kimg", [f"{round(c.kimg, 1):g}" if c.kimg is not None else "–" for c in columns]))
    fields = dict.fromkeys(name for c in columns for name in c.train if name not in UNINTERESTING)
    for field in fields:
        values = [c.train.get(field) for c in columns]
        if field not in ("label_fraction", "kimg") and any(value != values[0] for value in values):
            rows.append(_row(field.replace("_", "-"), ["not set" if v is None else str(v) for v in values]))
    measured = []
    for key, name, better in SHOWN:
        values = [number(c.metrics.get(key)) for c in columns]
        if any(v is not None for v in values):
            measured.append(_measured(name, better, values, _marks(key, columns)))
    return (
        f'<table class="beside"><thead><tr><td></td>{head}</tr></thead><tbody>{"".join(rows)}</tbody>'
        f"<tbody>{''.join(measured)}</tbody></table>"
    )


def _row(name: str, cells: Sequence[str]) -> str:
    return f'<tr><th scope="row">{escape(name)}</th>{"".join(f"<td>{escape(cell)}</td>" for cell in cells)}</tr>'


def _measured(name: str, better: str, values: Sequence[float | None], marks: Sequence[str]) -> str:
    known = [v for v, mark in zip(values, marks, strict=True) if v is not None and not mark]
    best = (max(known) if better == "higher" else min(known)) if len(known) > 1 else None
    arrow = "↑" if better == "higher" else "↓"
    cells = "".join(
        "<td>–</td>"
        if v is None
        else f"<td{' class=best' if v == best and not mark else ''}>{v:.3f}{f'<sup>{mark}</sup>' if mark else ''}</td>"
        for v, mark in zip(values, marks, strict=True)
    )
    return f'<tr><th scope="row">{escape(name)} <span class="soft">{arrow}</span></th>{cells}</tr>'


def _marks(key: str, columns: Sequence[Column]) -> list[str]:
    """Of each run's score: a dagger where it is not to be compared with the first that there is."""
    first = next((c for c in columns if number(c.metrics.get(key)) is not None), columns[0])
    return ["" if number(c.metrics.get(key)) is None else _otherwise(key, c, first) for c in columns]


def _otherwise(key: str, column: Column, first: Column) -> str:
    """A dagger where a score was measured in another way than the first one, or on other data."""
    if column.fingerprint != first.fingerprint:
        return "‡"
    told = [{"metrics_version": 1} | c.protocols.get(METRIC_OF[key], {}) for c in (column, first)]
    silent = [k for k in LATER if not all(k in protocol for protocol in told)]
    own = [{k: v for k, v in protocol.items() if k not in (*OWN, *silent)} for protocol in told]
    return "†" if own[0] != own[1] else ""


def _notes(columns: Sequence[Column]) -> str:
    """What the daggers mean, where there are any; of which runs the end was moved."""
    out = []
    seen = {mark for key, *_ in SHOWN for mark in _marks(key, columns)}
    if "†" in seen:
        out.append(
            "† measured by another protocol than the first score of its row (images, split, hold-out, factors or "
            "bins): not to be compared with it."
        )
    if "‡" in seen:
        out.append("‡ on other data than the first score of its row: not to be compared with it.")
    if any(not c.metrics for c in columns):
        out.append("– not measured: run semistylegan eval.")
    out += [f"{escape(c.name)}: {escape(c.moved_end)}" for c in columns if c.moved_end]
    return "".join(f'<p class="small soft">{sentence}</p>' for sentence in out)


def _errors(columns: Sequence[Column]) -> str:
    """Mean errors for each factor: the encoder's, then the generator's."""
    names = dict.fromkeys(name for c in columns for name in per_factor(c.metrics))
    if not names:
        return ""
    rows = []
    for name in names:
        cells = []
        for c in columns:
            entry = per_factor(c.metrics).get(name, {})
            both = [
                f'<span class="{colour}">{percent(v)}</span>'
                for colour, key in (("e", "mae"), ("g", error_made(entry)))
                if (v := number(entry.get(key))) is not None
            ]
            cells.append(f"<td>{' / '.join(both) or '–'}</td>")
        rows.append(f'<tr><th scope="row">{escape(name)}</th>{"".join(cells)}</tr>')
    head = "".join(f'<th scope="col">{escape(c.name)}</th>' for c in columns)
    return (
        '<h3>Errors for each factor: <span class="e">encoder</span> / <span class="g">generator</span></h3>'
        f'<div class="wide-table"><table class="beside"><thead><tr><td></td>{head}</tr></thead>'
        f"<tbody>{''.join(rows)}</tbody></table></div>"
    )


def _sheets(columns: Sequence[Column]) -> str:
    """What each draws, at random."""
    figures = "".join(
        f"<figure>{sheet(c.made, 4, f'{SAMPLES} images of {c.name}')}<figcaption>{escape(c.name)}</figcaption></figure>"
        for c in columns
        if c.made is not None
    )
    return f'<h3>Drawn at random, none left out</h3><div class="sheets">{figures}</div>' if figures else ""
