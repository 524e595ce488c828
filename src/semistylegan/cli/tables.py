"""What commands print on stdout: scores and readings as tables, and readings as CSV."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.measure import Measurement
from rich.table import Column, Table

from semistylegan.progress import QUIET_PICTURES, Plain, quiet_bar

if TYPE_CHECKING:
    from semistylegan.data.pictures import ImageArray
    from semistylegan.editing import Model
    from semistylegan.factors import Factor
    from semistylegan.study import Result, Study

Row = dict[str, float | str]


def print_metrics(metrics: Mapping[str, Any]) -> None:
    """The scores of a model, then the errors of each factor."""
    from semistylegan.report.scores import MORE, TILES, error_made

    console = Plain()
    table = Table("score", "value", "95%", "better", title=_title(metrics), title_justify="left")
    table.columns[1].justify = "right"
    spans = metrics.get("ci95") or {}
    known = [(key, name, better) for key, name, better, *_ in (*TILES, *MORE)]
    for key, name, better in [*known, ("oracle_l2", "L2 of the oracle itself", "lower")]:
        if (value := metrics.get(key)) is not None:
            table.add_row(name, _number(value), _span(spans.get(key)), better)
    console.print(table)
    per_factor = metrics.get("per_factor") or {}
    if per_factor:
        title = "errors in parts of the range, beside those of the best constant (parts that are wrong, of classes)"
        factor = Column("factor", overflow="fold")
        table = Table(factor, "encoder", "constant", "generator", "constant", title=title, title_justify="left")
        for name, errors in per_factor.items():
            made = error_made(errors)
            told = [_number(errors.get(key)) for key in ("mae", "mae_constant", made, f"{made}_constant")]
            if told != ["-"] * 4:
                table.add_row(name, *told)
        if table.row_count:
            console.print(table)
    if note := metrics.get("note"):
        console.print(note)


def print_study(study: Study, results: Sequence[Result]) -> None:
    """A row for each setting of a study: its scores, mean ± standard deviation over the seeds."""
    from semistylegan.study.table import Spread, fields_of, left_out, legend, name_of, runs_of, spread

    fields = fields_of(results)
    whole = (Column(head, no_wrap=True) for head in ("runs", *map(name_of, fields)))
    table = Table("setting", *whole, padding=(0, 1, 0, 0))
    every = list[Spread | None]()
    for setting in study.settings:
        told = [spread(results, setting, field) for field in fields]
        every += told
        table.add_row(
            setting.name,
            runs_of(results, setting),
            *("-" if t is None else str(t).replace(" ± ", "\n± ") for t in told),
        )
    console = Plain()
    # Names may wrap. Numbers may not: where they do not fit, the table is wider than the terminal.
    wide = console.options.update(max_width=10_000)
    names = Measurement.get(console, wide, "\n".join(["setting", *(s.name for s in study.settings)]))
    console.width = max(console.width, Measurement.get(console, wide, table).maximum - names.span)
    console.print(table)
    for sentence in (*legend(every), *left_out(results)):
        console.print(sentence)


def readings(model: Model, images: Sequence[tuple[str, Callable[[], ImageArray]]]) -> list[Row]:
    """What E reads off images, each given as its name and what loads it: a row an image, its name first.

    Raises:
        UserError: what loading raised; names the file.
    """
    rows: list[Row] = []
    with quiet_bar("reading images", len(images), QUIET_PICTURES) as advance:
        for file_name, load_it in images:
            row: Row = {"file_name": file_name}
            for name, value in model.encode(load_it()).items():
                row[name] = _plain(value[0])
            rows.append(row)
            advance()
    return rows


def print_readings(rows: Sequence[Row], factors: Iterable[Factor] = ()) -> None:
    """A line for each factor, so that names stay whole; a line for each image where there are more images.

    Of an angle among `factors` what rounds to a whole turn is none.
    """
    turns = {f.name: f for f in factors if f.kind == "circular"}

    def cell(name: str, value: float | str) -> str:
        if isinstance(value, str):
            return value
        turn = turns.get(name)
        return _short(turn.low if turn is not None and float(_short(value)) >= turn.high else value)

    lines = [list(rows[0]), *([cell(*entry) for entry in row.items()] for row in rows)]
    if len(lines) <= len(rows[0]):
        lines = [list(line) for line in zip(*lines, strict=True)]
    table = Table(*(Column(head, overflow="fold") for head in lines[0]))
    for line in lines[1:]:
        table.add_row(*line)
    Plain().print(table)


def csv_text(rows: Sequence[Row]) -> str:
    """The readings in the form of `metadata.csv`."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _title(metrics: Mapping[str, Any]) -> str | None:
    if "model" in metrics:
        return f"{metrics['model']} on {metrics['data']}"
    if "kimg" not in metrics:
        return None
    labelled = f", {metrics['labelled_images']} labelled images" if "labelled_images" in metrics else ""
    return f"after {metrics['kimg']:g} kimg{labelled}"


def _number(value: Any) -> str:
    return f"{value:.3f}" if isinstance(value, int | float) else "-"


def _short(value: float) -> str:
    """Four digits, and all of those before the point: 0.6581, 2, 12345."""
    return f"{value:.4g}" if abs(value) < 1e4 else f"{value:.0f}" if abs(value) < 1e15 else f"{value:g}"


def _span(ends: Any) -> str:
    return f"{_number(ends[0])} to {_number(ends[1])}" if ends else ""


def _plain(value: Any) -> float | str:
    return str(value) if isinstance(value, str) else float(value)
