"""Traversals as picture files: rows of factors, columns of values, with names and values written beside them.

PNG is one still sheet; GIF and MP4 show all factors side by side, each running through its values.
"""

from __future__ import annotations

import math
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageDraw

from semistylegan.data.fonts import Font, font_for
from semistylegan.data.pictures import to_channels
from semistylegan.errors import UserError
from semistylegan.factors import Factor, Value
from semistylegan.files import atomic_path

ImageArray = npt.NDArray[np.uint8]
Traversal = Sequence[tuple[Factor, Sequence[Value], ImageArray]]
"""What `Model.traverse` returns: factor, its values, N x H x W x C."""

PAPER, INK, SOFT = (251, 250, 247), (27, 26, 24), (94, 90, 83)
MIN_SIDE = 96
"""Images are drawn at least so large, each pixel as a square."""
GAP, MARGIN = 8, 20
FRAMES_A_SECOND = 6
HOLD = 2
"""Frames for which the first and last value of a line stand still."""


def show_value(factor: Factor, value: Value, end: bool = False) -> str:
    """A value as people read it: "ring", "210°", "0.29", with as many digits as the factor's range needs.

    A whole turn is shown as none, but as the `end` of a range: "0° to 360°".
    """
    if isinstance(value, str):
        return value
    span, digits = factor.high - factor.low, _digits(factor)
    if digits == 0 and abs(value - round(value)) > 1e-6 * span and span < 50:
        digits = 1  # a reading between two whole numbers
    number = f"{value:.{digits}f}"
    if factor.kind == "circular" and float(number) >= factor.high and not end:
        number = f"{factor.low:.{digits}f}"
    if span < 1e-4:  # six decimals tell no values apart
        number = f"{value:.{3 + max(0, math.ceil(math.log10(max(abs(factor.low), abs(factor.high)) / span)))}g}"
    if not float(number):
        number = number.lstrip("-")
    number = number.replace("-", "\N{MINUS SIGN}")
    return f"{number}{factor.unit if factor.unit in ('', '°', '%') else ' ' + factor.unit}"


def _digits(factor: Factor) -> int:
    """Decimals with which a factor's values are told apart, and shown exactly where three are enough."""
    span = factor.high - factor.low
    if factor.size is None or factor.size < 2:
        return max(0, min(6, 1 - math.floor(math.log10(span))))
    values = [float(factor.value_of(float(u))) for u in factor.level_of_index(np.arange(factor.size))]
    for digits in range(4):
        if all(abs(v - round(v, digits)) < 1e-9 * max(span, abs(v)) for v in values):
            return digits
    step = min(b - a for a, b in zip(values, values[1:], strict=False))
    return max(0, min(6, math.ceil(-math.log10(step / 5))))


def save_traversal(traversal: Traversal, out: Path) -> None:
    """Writes a traversal: the format is that of the file's ending, .png, .gif or .mp4.

    Raises:
        UserError: another ending, nothing to show, or MP4 without ffmpeg; says what to do.
    """
    ending = out.suffix.lower()
    if ending not in (".png", ".gif", ".mp4"):
        raise UserError(f"{out}: cannot write {ending or 'a file without ending'}; take .png, .gif or .mp4")
    if not traversal:
        raise UserError(f"{out}: the model has no factors to traverse")
    if ending == ".mp4" and (program := _ffmpeg()) is None:
        raise UserError(f"{out}: MP4 needs ffmpeg; install it (or: pip install imageio-ffmpeg), or take .gif")
    with atomic_path(out) as temporary:
        if ending == ".png":
            draw_sheet(traversal).save(temporary, format="PNG")
        elif ending == ".gif":
            first, *rest = (f.quantize(256, dither=Image.Dither.NONE) for f in draw_frames(traversal))
            first.save(temporary, "GIF", save_all=True, append_images=rest, duration=1000 // FRAMES_A_SECOND, loop=0)
        elif program is not None:
            _write_mp4(draw_frames(traversal), temporary, program, out)


def draw_sheet(traversal: Traversal) -> Image.Image:
    """The still sheet: a row for each factor, its name on the left, its values under the images."""
    name_font, value_font = _fonts(traversal, 17, 13)
    side = _side(traversal[0][2])
    names = max(_width(name_font, factor.name) for factor, _, _ in traversal)
    left = MARGIN + max(names, 40) + MARGIN
    columns = max(len(values) for _, values, _ in traversal)
    row_height = side + 18 + 2 * GAP
    sheet = Image.new(
        "RGB", (left + columns * (side + GAP) - GAP + MARGIN, MARGIN + len(traversal) * row_height), PAPER
    )
    draw = ImageDraw.Draw(sheet)
    for row, (factor, values, images) in enumerate(traversal):
        top = MARGIN + row * row_height
        draw.text((MARGIN, top + side / 2), factor.name, fill=INK, font=name_font, anchor="lm")
        for column, (value, image) in enumerate(zip(values, images, strict=True)):
            x = left + column * (side + GAP)
            sheet.paste(_enlarged(image, side), (x, top))
            text = _shortened(show_value(factor, value), value_font, side + GAP - 2)
            draw.text((x + side / 2, top + side + 2), text, fill=SOFT, font=value_font, anchor="ma")
    return sheet


def draw_frames(traversal: Traversal) -> list[Image.Image]:
    """The moving sheet: one tile a factor; lines run to and fro, circles round, classes one after the other."""
    name_font, value_font = _fonts(traversal, 17, 14)
    side = max(_side(traversal[0][2]), 128 if traversal[0][2].shape[1] <= 128 else 0)
    columns = min(len(traversal), 5)
    rows = -(-len(traversal) // columns)
    cell = side + 52
    # libx264 wants even sides.
    width, height = MARGIN + columns * (side + MARGIN), MARGIN + rows * cell
    size = (width + width % 2, height + height % 2)
    orders = [_order(factor, len(values)) for factor, values, _ in traversal]
    length = min(math.lcm(*(len(order) for order in orders)), max(len(order) for order in orders) * 2)
    frames = []
    for time in range(length):
        frame = Image.new("RGB", size, PAPER)
        draw = ImageDraw.Draw(frame)
        for i, ((factor, values, images), order) in enumerate(zip(traversal, orders, strict=True)):
            x, y = MARGIN + (i % columns) * (side + MARGIN), MARGIN + (i // columns) * cell
            now = order[time % len(order)]
            frame.paste(_enlarged(images[now], side), (x, y))
            draw.text((x, y + side + 6), _shortened(factor.name, name_font, side), fill=INK, font=name_font)
            text = _shortened(show_value(factor, values[now]), value_font, side)
            draw.text((x, y + side + 27), text, fill=SOFT, font=value_font)
        frames.append(frame)
    return frames


def _order(factor: Factor, count: int) -> list[int]:
    """Which value is shown in which frame, over one round."""
    if factor.kind == "circular":
        return list(range(count))
    if factor.kind == "categorical":
        return [i for i in range(count) for _ in range(HOLD * 2)]
    forth = list(range(count))
    return forth[:1] * HOLD + forth[1:-1] + forth[-1:] * HOLD + forth[-2:0:-1]


def _write_mp4(frames: list[Image.Image], temporary: Path, program: str, out: Path) -> None:
    width, height = frames[0].size
    command = [program, "-y", "-loglevel", "error", "-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}"]
    command += ["-r", str(FRAMES_A_SECOND), "-i", "-", "-an", "-pix_fmt", "yuv420p", "-movflags", "+faststart"]
    data = b"".join(frame.tobytes() for frame in frames)
    done = subprocess.run([*command, str(temporary)], input=data, capture_output=True, check=False)
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"{out}: ffmpeg failed ({reason[-1] if reason else 'no reason given'}); take .gif")


def _ffmpeg() -> str | None:
    """The ffmpeg on the path, or the one that the package imageio-ffmpeg brings."""
    if found := shutil.which("ffmpeg"):
        return found
    try:
        import imageio_ffmpeg  # type: ignore[import-not-found,unused-ignore]
    except ImportError:
        return None
    return str(imageio_ffmpeg.get_ffmpeg_exe())


def _fonts(traversal: Traversal, *sizes: int) -> list[Font]:
    """Fonts of these sizes for all that is written."""
    texts = [factor.name for factor, _, _ in traversal]
    texts += [show_value(factor, value) for factor, values, _ in traversal for value in values]
    return [font_for(texts, size) for size in sizes]


def _side(images_NHWC: ImageArray) -> int:
    """The drawn size: a whole multiple of the image's own."""
    own = int(images_NHWC.shape[1])
    return own * max(1, -(-MIN_SIDE // own))


def _enlarged(image_HWC: ImageArray, side: int) -> Image.Image:
    image = Image.fromarray(to_channels(image_HWC, 3))
    return image if image.size == (side, side) else image.resize((side, side), Image.Resampling.NEAREST)


def _width(font: Font, text: str) -> int:
    return math.ceil(font.getlength(text))


def _shortened(text: str, font: Font, width: int) -> str:
    while len(text) > 1 and font.getlength(text) > width:
        text = text[:-2].rstrip() + "…"
    return text
