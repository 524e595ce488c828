"""Which font has the letters of a name, where names are drawn into pictures."""

from __future__ import annotations

import functools
import string
import warnings
from collections.abc import Iterable
from pathlib import Path

from PIL import ImageFont

Font = ImageFont.FreeTypeFont | ImageFont.ImageFont
PLAIN = frozenset(string.printable + "©«°±´·»…’")
"""What Pillow's own font has letters for."""
BOXES = "LastResort"
"""Part of the names of fonts that have a box for every letter there is."""


def font_for(texts: Iterable[str], size: int) -> Font:
    """Pillow's own font where it has all letters; else matplotlib's, or the one of this machine that lacks the fewest.

    Warns (`warnings.warn`), once, where letters are left that none of them has.
    """
    letters = frozenset("".join(texts))
    return ImageFont.load_default(size) if letters <= PLAIN else ImageFont.truetype(_font_with(letters), size)


@functools.cache
def _font_with(letters: frozenset[str]) -> Path:
    from matplotlib import get_data_path
    from matplotlib.font_manager import fontManager

    best = Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")
    missing = _lacking(best, letters)
    # Each shape of a font is a file of its own: upright ones first, by name.
    others = sorted(fontManager.ttflist, key=lambda f: (f.style != "normal", f.weight not in (400, "normal"), f.fname))
    for font in others:
        if not missing:
            break
        if BOXES not in font.fname and len(lacking := _lacking(Path(font.fname), letters)) < len(missing):
            best, missing = Path(font.fname), lacking
    if missing:
        what = "".join(sorted(missing))
        warnings.warn(f"no font on this machine has all of {what!r}: boxes stand for them; install one", stacklevel=4)
    return best


def _lacking(file: Path, letters: frozenset[str]) -> set[str]:
    """Letters that a font has not; all, where Pillow cannot draw with it."""
    from matplotlib.ft2font import FT2Font

    try:
        ImageFont.truetype(file, 16)  # refuses those that are made of pixels
        there = FT2Font(str(file)).get_charmap()
    except (OSError, RuntimeError):
        return set(letters)
    return {letter for letter in letters if letter.isprintable() and ord(letter) not in there}
