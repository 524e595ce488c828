"""Pieces of HTML: escaped text, pictures as data URIs, sheets of pictures."""

from __future__ import annotations

import base64
import html
import io
import re
from collections.abc import Iterable
from importlib.resources import files

import numpy as np
import numpy.typing as npt
from PIL import Image

from semistylegan import __version__
from semistylegan.data.pictures import encode_png

ImageArray = npt.NDArray[np.uint8]
PAPER = "https://arxiv.org/abs/2003.03461"
LARGEST = 256
"""Pixels a side of an embedded picture; larger ones are shrunk."""
SHEET = 128
"""Pixels a side of the pictures of a sheet."""
LOSSLESS = 64
"""Up to this size pictures are PNG, above JPEG of high quality."""


def escape(text: object) -> str:
    """Text that is safe between tags and in quoted attributes."""
    return html.escape(str(text), quote=True)


def data_uri(image_HWC: ImageArray, largest: int = LARGEST) -> str:
    """A picture as a `data:` address."""
    side = max(image_HWC.shape[:2])
    if side <= LOSSLESS:
        return f"data:image/png;base64,{base64.b64encode(encode_png(image_HWC)).decode()}"
    picture = Image.fromarray(image_HWC[..., 0] if image_HWC.shape[-1] == 1 else image_HWC)
    picture.thumbnail((largest, largest), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    picture.save(buffer, format="JPEG", quality=88)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def picture(image_HWC: ImageArray, alt: str, largest: int = LARGEST) -> str:
    """An <img>. Small pictures keep their pixels when enlarged."""
    height, width = image_HWC.shape[:2]
    marks = ' class="px"' if width <= 64 else ""
    source = data_uri(image_HWC, largest)
    return f'<img{marks} src="{source}" width="{width}" height="{height}" alt="{escape(alt)}">'


def sheet(images_NHWC: ImageArray, columns: int, alt: str) -> str:
    """Pictures in rows without words, one element for a screen reader."""
    cells = "".join(picture(image, "", SHEET) for image in images_NHWC)
    return f'<div class="sheet" role="img" aria-label="{escape(alt)}" style="--columns:{columns}">{cells}</div>'


def pairs(entries: Iterable[tuple[str, object]]) -> str:
    """Names and values, text, as the inside of a <dl>."""
    return "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in entries)


def header(what: str, title: str, lede: str, facts: Iterable[tuple[str, object]]) -> str:
    """The head of a report of `what` ("a run"): all of it text."""
    return (
        f'<header>\n<p class="kicker">Semi-StyleGAN, report of {what}</p>\n<h1>{escape(title)}</h1>\n'
        f'<p class="lede">{escape(lede)}</p>\n<dl class="facts">{pairs(facts)}</dl>\n</header>'
    )


def section(anchor: str, title: str, intro: str, body: str, kind: str = "") -> str:
    """A section with its heading. `title`, `intro` and `body` are HTML already."""
    classes = f' class="{kind}"' if kind else ""
    lead = f'<p class="intro">{intro}</p>' if intro else ""
    return (
        f'<section id="{anchor}"{classes} aria-labelledby="h-{anchor}">\n'
        f'<h2 id="h-{anchor}">{title}</h2>\n{lead}\n{body}\n</section>'
    )


def document(title: str, body: str, version: str = __version__) -> str:
    """A whole page around its head and main part: a single file without scripts, fonts or network.

    Args:
        title: text.
        body: HTML.
        version: of the package that made what the page shows; may be empty.
    """
    style = (files("semistylegan.report") / "page.css").read_text(encoding="utf-8")
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{escape(title)}</title>
<link rel="icon" href="data:,">
<style>
{style}</style>
</head>
<body>
<div class="page">
{body}
<footer>Written by semistylegan{f" {escape(version)}" if version else ""}. The method: Nie et al.,
<a href="{PAPER}">Semi-Supervised StyleGAN for Disentanglement Learning</a>, ICML 2020.</footer>
</div>
</body>
</html>
"""


def heading(name: str) -> str:
    """The name of data, or of a model, as a heading begins: "living-room" -> "Living room"; of "." "Images"."""
    spoken = re.sub(r"(?<=[^\W\d_])[-_](?=[^\W\d_])", " ", name) or "images"
    return spoken[:1].upper() + spoken[1:]


def percent(part: float) -> str:
    """An error: 0.254 -> "25%", 0.04 -> "4.0%", 0.0004 -> "0.04%"."""
    value = 100 * part
    return f"{value:.{0 if value >= 9.95 or value == 0 else 1 if value >= 0.095 else 2}f}%"


def share_of(part: float) -> str:
    """A share of a whole: 0.025 -> "2.5%", 0.01 -> "1%"."""
    return f"{100 * part:.3g}%"


def whole(count: int) -> str:
    """11520 -> "11,520"."""
    return f"{count:,}"
