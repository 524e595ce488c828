"""Charts as inline SVG and HTML: lines over kimg, bars beside the best constant, a heat map, counts of values.

Colours come from the page's style sheet by class: c-g generator, c-e encoder, c-i ink, c-r real.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from semistylegan.factors import Factor, FloatArray
from semistylegan.report.grids import show_value
from semistylegan.report.html import escape, percent

WIDTH, HEIGHT = 340, 190
LEFT, RIGHT, TOP, BOTTOM = 34, 84, 8, 24
MOST_POINTS = 240
"""Points drawn of one line; more are averaged."""


@dataclass(frozen=True)
class Line:
    """One line of a chart."""

    name: str
    """Written at its end."""
    colour: str
    """g, e, i or r."""
    x: Sequence[float]
    y: Sequence[float]


@dataclass(frozen=True)
class Chart:
    """Lines over kimg that share a scale."""

    title: str
    note: str
    lines: Sequence[Line]
    low: float | None = None
    """Lower end of the scale; None: the least value."""


def charts(wanted: Sequence[Chart]) -> str:
    """The charts that have a line of two points or more: three in a row, or two wide ones where that fits better."""
    shown = [c for c in wanted if any(len(line.x) > 1 for line in c.lines)]
    wide = len(shown) in (1, 2, 4)
    figures = "".join(_chart(c, 530 if wide else WIDTH) for c in shown)
    return f'<div class="charts{" wide" if wide else ""}">{figures}</div>' if shown else ""


def _chart(drawn: Chart, width: int) -> str:
    """One chart; lines are named at their ends."""
    shown = [_thinned(line) for line in drawn.lines if len(line.x)]
    low = drawn.low
    y = np.concatenate([line.y for line in shown])
    ticks = nice_ticks(min(low, float(y.min())) if low is not None else float(y.min()), float(y.max()))
    right = max(max(line.x) for line in shown) or 1.0

    def px(value: float) -> float:
        return LEFT + (width - LEFT - RIGHT) * value / right

    def py(value: float) -> float:
        return TOP + (HEIGHT - TOP - BOTTOM) * (1 - (value - ticks[0]) / (ticks[-1] - ticks[0]))

    parts = []
    for tick in ticks:
        parts.append(f'<line class="rule" x1="{LEFT}" x2="{width - RIGHT}" y1="{py(tick):.1f}" y2="{py(tick):.1f}"/>')
        parts.append(f'<text x="{LEFT - 7}" y="{py(tick) + 3.5:.1f}" text-anchor="end">{_short(tick)}</text>')
    parts.append(f'<text x="{LEFT}" y="{HEIGHT - 6}">0</text>')
    parts.append(f'<text x="{px(right):.1f}" y="{HEIGHT - 6}" text-anchor="end">{_short(round(right, 1))} kimg</text>')
    ends = _apart([py(line.y[-1]) for line in shown], 13, TOP + 4, HEIGHT - BOTTOM)
    for line, end in zip(shown, ends, strict=True):
        points = " ".join(f"{px(a):.1f},{py(b):.1f}" for a, b in zip(line.x, line.y, strict=True))
        if len(line.x) > 1:
            parts.append(f'<polyline class="line c-{line.colour}" points="{points}"/>')
        if len(line.x) <= 12:
            parts += [
                f'<circle class="c-{line.colour}" cx="{px(a):.1f}" cy="{py(b):.1f}" r="2.5"/>'
                for a, b in zip(line.x, line.y, strict=True)
            ]
        parts.append(
            f'<text class="c-{line.colour}" x="{width - RIGHT + 7}" y="{end + 3.5:.1f}">{escape(line.name)}</text>'
        )
    spoken = "; ".join(f"{line.name} from {line.y[0]:.3g} to {line.y[-1]:.3g}" for line in drawn.lines if len(line.x))
    return (
        f'<figure class="chart"><h3>{escape(drawn.title)}</h3><p>{escape(drawn.note)}</p>'
        f'<svg viewBox="0 0 {width} {HEIGHT}" role="img" aria-label="{escape(f"{drawn.title}: {spoken}")}">'
        f"{''.join(parts)}</svg></figure>"
    )


def bars(rows: Sequence[tuple[Factor, tuple[float | None, float | None], tuple[float, float]]]) -> str:
    """Errors of encoder and generator for each factor, beside those of the best constants.

    Args:
        rows: factor, errors of E and G (None: not measured), errors of whoever always says, or draws, the same.
    """
    top = max(max(*constants, *(error or 0 for error in errors)) for _, errors, constants in rows) * 1.04 or 1.0
    body = []
    for factor, errors, constants in rows:
        both = "".join(
            f'<div class="bar of-{colour}"><div class="track" role="img" aria-label="{who} {percent(error)}, constant '
            f'{percent(constant)}"><span class="fill" style="width:{100 * error / top:.2f}%"></span>'
            f'<span class="chance" style="left:{100 * constant / top:.2f}%"></span></div>'
            f'<span class="figure">{percent(error)}</span></div>'
            for colour, who, error, constant in zip("eg", ("encoder", "generator"), errors, constants, strict=True)
            if error is not None
        )
        body.append(f'<tr><th scope="row">{escape(factor.name)}</th><td>{both}</td></tr>')
    return (
        '<ul class="key"><li class="k-e"><i></i>the encoder misreads real images by</li>'
        '<li class="k-g"><i></i>the generator misses the value asked for by</li>'
        '<li class="k-c"><i></i>the best constant</li></ul>'
        f'<table class="bars"><tbody>{"".join(body)}</tbody></table>'
    )


def heat_map(rows: Sequence[str], columns: Sequence[str], matrix_RC: FloatArray, caption: str) -> str:
    """How far each factor (column) moves when an entry of the code (row) is changed.

    Args:
        rows, columns: names; where the two are alike, the diagonal is what is wanted and has its own colour.
        caption: HTML.
    """
    most = max(float(matrix_RC.max()), 1e-9)
    head = "".join(f'<th scope="col" title="{escape(name)}">{escape(name)}</th>' for name in columns)
    body = []
    for row, name in enumerate(rows):
        cells = "".join(
            f'<td class="{"own" if name == column else "other"}" style="--v:{max(float(value), 0.0) / most:.2f}">'
            f"{_part(float(value))}</td>"
            for column, value in zip(columns, matrix_RC[row], strict=True)
        )
        body.append(f'<tr><th scope="row" title="{escape(name)}">{escape(name)}</th>{cells}</tr>')
    return (
        f'<table class="leak{" many" if len(columns) > 5 else ""}"><caption>{caption}</caption>'
        f'<thead><tr><td class="corner"></td>{head}</tr></thead><tbody>{"".join(body)}</tbody></table>'
    )


def counts(factor: Factor, levels_N: FloatArray) -> str:
    """How often each value of a factor was labelled."""
    bins = factor.size if factor.size is not None and (factor.size <= 40 or factor.kind == "categorical") else 20
    if factor.size == bins:
        found = np.bincount(factor.index_of_level(levels_N), minlength=bins)
        first, last = (show_value(factor, factor.value_of(float(factor.level_of_index(i)))) for i in (0, bins - 1))
    else:
        found = np.histogram(levels_N, bins=bins, range=(0, 1))[0]
        first, last = (show_value(factor, value, end=True) for value in (factor.low, factor.high))
    tallest, width, height = max(int(found.max()), 1), 190, 52
    step = width / bins
    rects = "".join(
        f'<rect class="count" x="{i * step + min(1.5, step * 0.1):.2f}" y="{height - height * n / tallest:.2f}" '
        f'width="{step - 2 * min(1.5, step * 0.1):.2f}" height="{height * n / tallest:.2f}"/>'
        for i, n in enumerate(found.tolist())
    )
    if factor.kind == "categorical" and bins <= 4:
        most = int(step / 5.6)
        under = "".join(
            f'<text x="{(i + 0.5) * step:.1f}" y="{height + 15}" text-anchor="middle">{escape(_cut(word, most))}</text>'
            for i, word in enumerate(factor.categories)
        )
    else:
        under = (
            f'<text x="0" y="{height + 15}">{escape(_cut(first, 16))}</text>'
            f'<text x="{width}" y="{height + 15}" text-anchor="end">{escape(_cut(last, 16))}</text>'
        )
    spoken = f"{factor.name}: {len(levels_N)} labels, {int(found.min())} to {int(found.max())} a value"
    return (
        f'<figure class="chart"><h3>{escape(factor.name)}</h3><p>{escape(spoken.partition(": ")[2])}</p>'
        f'<svg viewBox="0 0 {width} {height + 20}" role="img" aria-label="{escape(spoken)}">{rects}'
        f'<line class="rule" x1="0" x2="{width}" y1="{height}" y2="{height}"/>{under}</svg></figure>'
    )


def nice_ticks(low: float, high: float, wanted: int = 4) -> list[float]:
    """Round numbers that span [low, high]: about `wanted` steps of 1, 2 or 5 times a power of ten."""
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        low, high = low - 0.5, high + 0.5
    rough = (high - low) / wanted
    power = 10.0 ** math.floor(math.log10(rough))
    step = power * min((1.0, 2.0, 5.0, 10.0), key=lambda m: abs(math.log(m * power / rough)))
    start, stop = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 12) for i in range(start, max(stop, start + 1) + 1)]


def _thinned(line: Line) -> Line:
    x, y = np.asarray(line.x, dtype=float), np.asarray(line.y, dtype=float)
    if len(x) > MOST_POINTS:
        groups = np.array_split(np.arange(len(x)), MOST_POINTS)
        x, y = np.array([x[g].mean() for g in groups]), np.array([y[g].mean() for g in groups])
        x[0], x[-1] = line.x[0], line.x[-1]
    return Line(line.name, line.colour, x.tolist(), y.tolist())


def _apart(wanted: list[float], gap: float, top: float, bottom: float) -> list[float]:
    """Positions as near as can be to the wanted ones, at least `gap` from each other."""
    order = sorted(range(len(wanted)), key=wanted.__getitem__)
    out = list(wanted)
    for before, here in zip(order, order[1:], strict=False):
        out[here] = max(out[here], out[before] + gap)
    over = max(out) - bottom if out else 0.0
    if over > 0:
        limit = bottom
        for here in reversed(order):
            out[here] = min(out[here], limit)
            limit = out[here] - gap
    return [max(position, top) for position in out]


def _short(value: float) -> str:
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def _part(value: float) -> str:
    """0.083 -> ".08", so that nine columns fit."""
    text = f"{value:.2f}"
    return text[1:] if text.startswith("0.") else text


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
