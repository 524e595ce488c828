"""The contact sheet of a rendered data set: what each factor does, at a glance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw
from PIL.PngImagePlugin import PngInfo

from semistylegan.data.fonts import font_for
from semistylegan.data.pictures import ImageArray, resize, to_channels
from semistylegan.data.storage import ZipStore
from semistylegan.files import atomic_path
from semistylegan.scenes.render import Scene

COLUMNS = 8
"""Values shown of each factor, at most."""
SIDE = 64
"""Pixels a side of each picture."""
GAP = 4
MARGIN = 130
"""Pixels at the left for the names."""
NOTE = ("Software", "semistylegan contact sheet")
"""By which a sheet is known; a picture of the user's is left alone."""


def contact_sheet(scene: Scene, data: Path, resolution: int, path: Path, name_of: Callable[[int], str]) -> None:
    """Writes a PNG: a row a factor (its values from left to right, the others in their middle), then random images.

    Pictures come from the data set where it holds them, and are rendered (at most 64 pixels) where it does not.
    """
    store = ZipStore(data)
    numbers = {name: i for i, name in enumerate(store.names)}
    small = min(resolution, SIDE)

    def picture(index: int) -> ImageArray:
        number = numbers.get(name_of(index))
        image = scene.picture(index, small) if number is None else resize(store.read(number), small)
        return _enlarged(to_channels(image, 3))

    middle = [size // 2 for size in scene.space.sizes]
    rows: list[tuple[str, list[ImageArray]]] = []
    for f, factor in enumerate(scene.space):
        values = np.atleast_1d(factor.index_of_level(factor.levels(COLUMNS)))
        indices = [scene.space.index_of([*middle[:f], int(v), *middle[f + 1 :]]) for v in values]
        rows.append((factor.name, [picture(i) for i in indices]))
    drawn = np.random.default_rng(0).permutation(len(store))[:COLUMNS]
    rows.append(("random images", [_enlarged(to_channels(resize(store.read(int(i)), small), 3)) for i in drawn]))
    note = PngInfo()
    note.add_text(*NOTE)
    with atomic_path(path) as temporary:
        _sheet(rows).save(temporary, format="PNG", pnginfo=note)


def is_contact_sheet(path: Path) -> bool:
    """Whether :func:`contact_sheet` wrote this file."""
    try:
        with Image.open(path, formats=("PNG",)) as image:
            image.load()
            return NOTE in getattr(image, "text", {}).items()
    except OSError:
        return False


def _enlarged(image: ImageArray) -> ImageArray:
    times = max(SIDE // image.shape[0], 1)
    return image.repeat(times, axis=0).repeat(times, axis=1)


def _sheet(rows: list[tuple[str, list[ImageArray]]]) -> Image.Image:
    step = SIDE + GAP
    sheet = Image.new("RGB", (MARGIN + COLUMNS * step, len(rows) * step + GAP), (255, 255, 255))
    draw = ImageDraw.Draw(sheet)
    font = font_for([name for name, _ in rows], 14)
    for r, (name, images) in enumerate(rows):
        top = GAP + r * step
        draw.text((8, top + SIDE // 2), name, fill=(40, 40, 40), font=font, anchor="lm")
        for c, image in enumerate(images):
            sheet.paste(Image.fromarray(image), (MARGIN + c * step, top))
    return sheet
