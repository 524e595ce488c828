"""What the generator does when one factor changes: of images of its own, and of real ones."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from semistylegan.factors import Factor, Value
from semistylegan.progress import bar
from semistylegan.report.facts import Facts
from semistylegan.report.grids import show_value
from semistylegan.report.html import ImageArray, escape, percent, picture, section

STARTS = 3
"""Starting images of the traversal."""
COLUMNS = 8
"""Most values of a factor in the traversal."""
EDITED = 3
"""Real images that are edited."""
STEPS = 200
"""Updates of each inversion."""
EDITS_UP_TO = 64
"""Largest model, in pixels a side, of which edits are shown: an inversion takes seconds here, minutes above."""


def traversals(facts: Facts) -> str:
    """The hero: every factor alone, from several starting images."""
    if not len(facts.space):
        return ""
    walks = [facts.model.traverse(seed, COLUMNS) for seed in range(STARTS)]
    begins = [facts.model.begin(seed) for seed in range(STARTS)]
    starts = [facts.model.images(*begin) for begin in begins]
    picks = "".join(
        f'<input class="pick" type="radio" name="start" id="start{i}"{" checked" if i == 0 else ""}>'
        for i in range(STARTS)
    )
    thumbs = "".join(
        f'<label for="start{i}">{picture(start[0], f"start from image {i + 1}")}</label>'
        for i, start in enumerate(starts)
    )
    panels = []
    for seed, walk in enumerate(walks):
        level_F = begins[seed][1][0].numpy()
        rows = "".join(
            _row(facts, factor, values, images, float(level_F[i])) for i, (factor, values, images) in enumerate(walk)
        )
        panels.append(f'<div class="walk walk{seed}">{rows}</div>')
    intro = (
        "Each row changes <strong>one factor alone</strong> and keeps the others and "
        f"{'the image it starts from' if facts.model.edits_in_one_pass else 'z'}. Framed in the generator’s "
        "colour is the value that the starting image has. Whatever else moves within a row is leakage."
        if facts.named
        else "Each row changes <strong>one code alone</strong> and keeps the others and z. No label said what a code "
        "should mean: look at what each row does to the image."
    )
    title = "One factor at a time" if facts.named else "One code at a time"
    body = f'{picks}<div class="starts"><span>Start from</span>{thumbs}</div>{"".join(panels)}'
    return section("factors", title, intro, body, "hero")


def _row(facts: Facts, factor: Factor, values: Sequence[Value], images: ImageArray, start: float) -> str:
    here = _nearest(factor, values, start)
    tiles = []
    for i, (value, image) in enumerate(zip(values, images, strict=True)):
        said, mark = show_value(factor, value), ' class="here"' if i == here else ""
        tiles.append(
            f"<li{mark}>{picture(image, f'{factor.name} {said}')}"
            f'<span class="say" title="{escape(said)}">{escape(said)}</span></li>'
        )
    e, g = facts.errors_of(factor)
    verb = "wrong in" if factor.kind == "categorical" else "off by"
    about = f"<span>{escape(_kind(factor))}</span>"
    about += f'<span class="e">encoder {verb} {percent(e)}</span>' if e is not None else ""
    about += f'<span class="g">generator {verb} {percent(g)}</span>' if g is not None else ""
    name = escape(factor.name).replace("_", "_<wbr>")  # where a long one may be broken
    return (
        f'<div class="factor"><div><h3>{name}</h3><p class="about">{about}</p></div>'
        f'<ul class="values" style="grid-template-columns:repeat({COLUMNS},minmax(0,1fr))">{"".join(tiles)}</ul></div>'
    )


def _nearest(factor: Factor, values: Sequence[Value], start: float) -> int:
    """The column whose value the starting image has, or comes nearest to."""
    away = np.abs(np.array([factor.level_of(value) for value in values]) - start)
    return int(np.argmin(np.minimum(away, 1 - away) if factor.kind == "circular" else away))


def _kind(factor: Factor) -> str:
    if factor.kind == "categorical":
        return f"{len(factor.categories)} classes"
    low, high = show_value(factor, factor.low), show_value(factor, factor.high, end=True)
    return f"{'angle' if factor.kind == 'circular' else 'number'}, {low} to {high}"


def edits(facts: Facts) -> str:
    """Real images found in the model, then one factor after the other set to another value."""
    model = facts.model
    if facts.reals is None or not facts.named or model.resolution > EDITS_UP_TO:
        return ""
    rows = []
    images = facts.reals[:EDITED]
    with bar("editing images for the page", total=len(images)) as advance:
        for image in images:
            if model.edits_in_one_pass:
                level_F = model.read_levels(image[None])[0].tolist()
            else:
                level_F = model.invert(image, STEPS).level_1F[0].tolist()
            tiles = [f'<li class="start">{picture(image, "a real image")}<span class="say">real</span></li>']
            for factor, level in zip(facts.space, level_F, strict=True):
                if factor.size == 1:
                    continue
                said = show_value(factor, value := _other(factor, level))
                shown = picture(
                    model.edit(image, {factor.name: value}, steps=STEPS), f"the same with {factor.name} {said}"
                )
                words = f'<span class="say">{escape(factor.name)}<br><b>{escape(said)}</b></span>'
                tiles.append(f"<li>{shown}{words}</li>")
            rows.append(f'<ul class="values edits" style="--columns:{min(len(tiles), 10)}">{"".join(tiles)}</ul>')
            advance(1)
    how = (
        "It takes each in one pass: what it reads off the image is its code, of which one factor is set anew."
        if model.edits_in_one_pass
        else "Each is first searched for in the generator (its code, z and styles), then one factor of the code is set "
        "anew and the rest is kept."
    )
    intro = f"Real images that the model is asked to change. {how}"
    return section("edits", "Editing real images", intro, "".join(rows))


def _other(factor: Factor, level: float) -> Value:
    """A value far from a level: the next class, the other end, the other side."""
    if factor.kind == "categorical":
        return factor.value_of((round(level) + 1) % factor.width)
    if factor.kind == "circular":
        return factor.value_of(level + 0.5)
    return factor.value_of(0.0 if level > 0.5 else 1.0)
