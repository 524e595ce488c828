"""The plots of a study: every score over the first axis, with the spread over seeds, and the trade-off between E and G.

Figures are Matplotlib's, drawn with the colours of the report's page; `svg` gives one as text that takes its colours
from that page, so that it follows light and dark.
"""

from __future__ import annotations

import html
import io
import math
import re
from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.transforms import BboxBase

from semistylegan.study.plan import Setting, Study, option, shown
from semistylegan.study.table import SCORES, Result, fields_of, name_of, spread

PAPER, INK, SOFT, RULE = "#fbfaf7", "#1b1a18", "#5e5a53", "#e3dfd6"
SERIES = ("#0d6862", "#a8431f", "#4d4a8f", "#a5850d", "#7a3567", "#3d6b1f", "#1b1a18", "#77716a")
"""Colours of lines; more lines repeat them with other marks."""
VARIABLES = {
    PAPER: "--paper",
    INK: "--ink",
    SOFT: "--soft",
    RULE: "--rule",
    "#0d6862": "--e",
    "#a8431f": "--g",
    "#4d4a8f": "--real",
    "#a5850d": "--s4",
    "#7a3567": "--s5",
    "#3d6b1f": "--s6",
    "#77716a": "--s8",
}
"""The page's name of a colour."""
MARKS = "osD^vPX"
DASHED, DOTTED = (0, (4, 3)), (0, (1, 2))
"""Level lines; those of scores that bear a mark in the table."""
LABELLED = 16
"""Most values that are named along an axis, or beside a line."""
PAIRS = (("mig", "mig_gen"), ("l2", "l2_gen"))
"""E's score and G's, of the trade-off."""
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "axes.edgecolor": RULE,
    "axes.labelcolor": SOFT,
    "axes.titlecolor": INK,
    "axes.titlesize": 10,
    "axes.titlelocation": "left",
    "axes.grid": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": RULE,
    "ytick.color": RULE,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "legend.frameon": False,
    "legend.labelcolor": SOFT,
    "figure.facecolor": PAPER,
    "axes.facecolor": "none",
    "text.parse_math": False,
    "svg.fonttype": "none",
}

Line = tuple[str, list[Setting]]
"""Name of a line, and its settings along the first axis."""


def draw(study: Study, results: Sequence[Result]) -> dict[str, Figure]:
    """The figures that there are results for: `plot`, and `trade-off` where E's and G's scores were measured."""
    out = {}
    with rc_context(STYLE):
        fields = [field for field in fields_of(results) if field in SCORES]
        if fields:
            out["plot"] = plot(study, results, fields)
        pairs = [pair for pair in PAIRS if all(field in fields for field in pair)]
        if pairs:
            out["trade-off"] = trade_off(study, results, pairs)
    return out


def svg(figure: Figure, label: str) -> str:
    """A figure as an `<svg>` element for the report's page; a screen reader says its label, which no other has."""
    buffer = io.StringIO()
    with rc_context({**STYLE, "svg.hashsalt": label}):  # ids of marks are hashes: none is on the page twice
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    for colour, name in VARIABLES.items():
        text = text.replace(colour, f"var({name})")
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"font-family: [^;]*sans-serif", "font-family: var(--sans)", text)
    text = re.sub(r' id="[a-zA-Z0-9.]+_\d+"', "", text)  # numbered from 1 in every figure, and referred to by nobody
    head, rest = text.split(">", 1)
    head = re.sub(r' (width|height)="[^"]*"', "", head)  # as wide as the page lets it be
    return f'{head} role="img" aria-label="{html.escape(label)}">{rest}'


# -- scores over the first axis -----------------------------------------------------------------------------------


def plot(study: Study, results: Sequence[Result], fields: Sequence[str]) -> Figure:
    """A panel for each score: mean over seeds as a line, each run as a point, the range of the seeds shaded."""
    columns = min(len(fields), 3)
    rows = math.ceil(len(fields) / columns)
    figure = Figure(figsize=(3.5 * columns, 2.9 * rows + 0.3), layout="constrained")
    for i, field in enumerate(fields):
        axes = figure.add_subplot(rows, columns, i + 1)
        panel(axes, study, results, field)
    legend(figure, study)
    return figure


def legend(figure: Figure, study: Study) -> None:
    """One for all panels, of the lines that any of them has; level lines are dashed there, whichever bear a mark."""
    found: dict[str, Artist] = {}
    for axes in figure.axes:
        for handle, name in zip(*axes.get_legend_handles_labels(), strict=True):
            if isinstance(handle, Line2D) and handle.get_marker() == "None":
                handle = Line2D([], [], color=handle.get_color(), linestyle=DASHED, linewidth=handle.get_linewidth())
            found[name] = handle
    names = [name for name, _ in lines_of(study) if name in found]
    if len(names) > 1:
        figure.legend([found[n] for n in names], names, loc="outside lower center", ncols=min(len(names), 4))


def panel(axes: Axes, study: Study, results: Sequence[Result], field: str) -> None:
    """One score: lines along the first axis; single baselines as level lines, the range of their seeds a level band.

    Scores that bear a mark in the table are hollow; the level line of one is dotted.
    """
    first = next(iter(study.axes), None)
    places = {shown(value): i for i, value in enumerate(study.axes[first])} if first else {}
    for k, (name, settings) in enumerate(lines_of(study)):
        colour, mark = SERIES[k % len(SERIES)], MARKS[k % len(MARKS)]
        told = [
            (places.get(shown(s.values.get(str(first))), 0), t) for s in settings if (t := spread(results, s, field))
        ]
        if not told:
            continue
        x, mean = [place for place, _ in told], [t.mean for _, t in told]
        low, high = [min(t.each) for _, t in told], [max(t.each) for _, t in told]
        if first and not any(first in s.values for s in settings):  # it stands outside of the axis
            dashes = DOTTED if told[0][1].marks else DASHED
            axes.axhline(mean[0], color=colour, linestyle=dashes, linewidth=1.2, label=name)
            axes.axhspan(low[0], high[0], color=colour, alpha=0.08, linewidth=0)
            continue
        axes.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        marked = [bool(t.marks) for _, t in told]
        whole: Any = {"clip_on": False, "zorder": 2.6}  # points near 0 lie over the axis
        axes.plot(x, mean, color=colour, linewidth=1.5, label=name, **whole, **points(mark, 4, marked))
        hollow(axes, x, mean, colour, mark, 4, marked)
        for place, t in told:
            inside = {"facecolors": "none", "linewidth": 0.5} if t.marks else {"linewidth": 0}
            axes.scatter([place] * len(t.each), t.each, s=6, color=colour, alpha=0.5, clip_on=False, **inside)
    title, better = SCORES[field]
    axes.set_title(f"{title} ({better} is better)")
    if first:
        step = math.ceil(len(places) / LABELLED)
        axes.set_xticks(range(0, len(places), step), list(places)[::step])
        axes.set_xlabel(option(first))
        axes.set_xlim(-0.3, len(places) - 0.7)
    else:
        axes.set_xticks([])
    if axes.get_ylim()[0] >= 0 or field not in ("mig", "mig_gen"):
        axes.set_ylim(0, axes.dataLim.y1 * 1.08 or 1)


def points(mark: str, size: float, marked: Sequence[bool]) -> Any:
    """The marker of a line, at the points that are not marked."""
    places = {"markevery": [i for i, is_marked in enumerate(marked) if not is_marked]} if any(marked) else {}
    return {"marker": mark, "markersize": size, **places}


def hollow(
    axes: Axes,
    x: Sequence[float],
    y: Sequence[float],
    colour: str,
    mark: str,
    size: float,
    marked: Sequence[bool],
) -> None:
    """The marked points of a line: filled with the paper's colour, above the line, so that it does not fill them."""
    if any(marked):
        kept = [(a, b) for a, b, is_marked in zip(x, y, marked, strict=True) if is_marked]
        axes.plot(
            [a for a, _ in kept],
            [b for _, b in kept],
            linestyle="none",
            marker=mark,
            markersize=size,
            markerfacecolor=PAPER,
            markeredgecolor=colour,
            clip_on=False,
            zorder=3,
        )


def lines_of(study: Study) -> list[Line]:
    """Settings that differ in the first axis alone, together; those of a baseline are lines of their own."""
    first = next(iter(study.axes), None)
    presets = {job.config.system for job in study.jobs if not job.setting.baseline}
    own = " and ".join(sorted(presets - {"info"})) or "info"
    lines: dict[str, list[Setting]] = {}
    for setting in study.settings:
        rest = [f"{option(field)} {shown(value)}" for field, value in setting.values.items() if field != first]
        name = ", ".join([setting.baseline, *rest] if setting.baseline else rest) or own
        lines.setdefault(name, []).append(setting)
    return list(lines.items())


# -- E against G ----------------------------------------------------------------------------------------------------


def trade_off(study: Study, results: Sequence[Result], pairs: Sequence[tuple[str, str]]) -> Figure:
    """E's score to the right, G's upwards: a point a setting (mean over seeds, with the standard deviation as a
    cross), settings that differ in the first axis alone joined by a line."""
    first = next(iter(study.axes), None)
    figure = Figure(figsize=(4.6 * len(pairs), 4.2), layout="constrained")
    for i, (of_e, of_g) in enumerate(pairs):
        axes = figure.add_subplot(1, len(pairs), i + 1)
        for k, (name, settings) in enumerate(lines_of(study)):
            colour, mark = SERIES[k % len(SERIES)], MARKS[k % len(MARKS)]
            told = [
                (setting, e, g)
                for setting in settings
                if (e := spread(results, setting, of_e)) and (g := spread(results, setting, of_g))
            ]
            if not told:
                continue
            x, y = [e.mean for _, e, _ in told], [g.mean for _, _, g in told]
            dx = [np.nan_to_num(e.deviation) for _, e, _ in told]
            dy = [np.nan_to_num(g.deviation) for _, _, g in told]
            marked = [bool(e.marks or g.marks) for _, e, g in told]
            axes.errorbar(x, y, dy, dx, color=colour, lw=1.3, elinewidth=0.8, label=name, **points(mark, 5, marked))
            hollow(axes, x, y, colour, mark, 5, marked)
            step = math.ceil(len(told) / LABELLED)
            for setting, e, g in told[::step]:
                if first and first in setting.values:
                    axes.annotate(
                        shown(setting.values[first]),
                        (e.mean, g.mean),
                        xytext=(5, 4),
                        textcoords="offset points",
                        color=colour,
                        fontsize=8,
                    )
        better = SCORES[of_e][1]
        corner = "upper right" if better == "high" else "lower left"
        axes.set_title(f"{corner} is better" + (f"; beside the points: {option(first)}" if first else ""))
        axes.set_xlabel(f"{name_of(of_e)} of the encoder")
        axes.set_ylabel(f"{name_of(of_g)} of the generator")
        axes.margins(0.12)
        axes.locator_params(nbins=5)
    legend(figure, study)
    thin_out(figure)
    return figure


def thin_out(figure: Figure) -> None:
    """Leaves out names of points that would lie over others."""
    figure.draw_without_rendering()
    for axes in figure.axes:
        kept: list[BboxBase] = []
        for text in list(axes.texts):
            box = text.get_window_extent()
            if any(box.overlaps(other) for other in kept):
                text.remove()
            else:
                kept.append(box)
