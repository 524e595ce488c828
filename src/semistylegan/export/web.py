"""A folder that any static server can publish: a page whose sliders run the model in the visitor's browser."""

from __future__ import annotations

import html
import re
import shutil
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from semistylegan.editing import EXAMPLES, ImageArray, Model
from semistylegan.export.forms import (
    DESCRIPTION,
    GENERATOR,
    NETWORKS,
    SCRIPT,
    holds,
    new_folder,
    write_examples,
    write_networks,
)
from semistylegan.export.runtime import FILES, PACKAGE, VERSION, runtime
from semistylegan.files import write_text

PAGE = ("index.html", "page.css", SCRIPT)
SHARED = ("base.css", "base.js", "sliders.css", "controls.js", "units.js")
"""What the page shares with the one that `app` serves."""
LICENCE_FILE = "LICENCE-onnxruntime-web.txt"
NAMES = (*PAGE, *SHARED, *FILES.values(), LICENCE_FILE, EXAMPLES, *NETWORKS)
LICENCE = f"""\
The files ort.*.js and ort-*.wasm are those of the npm package {PACKAGE} {VERSION}, unchanged but for their names:

MIT License. Copyright (c) Microsoft Corporation.

Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to permit
persons to whom the Software is furnished to do so, subject to the following conditions:

The above copyright notice and this permission notice shall be included in all copies or substantial portions of the
Software.

THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.
"""


def export_web(
    model: Model, out: Path, title: str, package: Path | None = None, examples: ImageArray | None = None
) -> Path:
    """Writes the page, the networks as ONNX, and onnxruntime-web, which runs them.

    Args:
        out: the folder; new, empty, or an earlier export, see `new_folder`.
        title: stands above the page.
        package: the npm package's file, see `runtime`.
        examples: images that the page of an editor begins with, see `export_safetensors`.

    Raises:
        UserError: the extra `onnx` is missing, onnxruntime-web cannot be had, or `out` holds other files.
    """
    own, shared = files("semistylegan") / "export" / "page", files("semistylegan") / "app" / "static"
    with new_folder(out, NAMES, holds(out, SCRIPT, GENERATOR, DESCRIPTION)) as folder:
        ort = runtime(package)
        words = {"title": html.escape(title), "examples": str(write_examples(model, folder, examples))}
        for place, names in ((own, PAGE), (shared, SHARED)):
            for name in names:
                write_text(folder / name, _moved(place / name, words))
        for name in FILES.values():
            shutil.copyfile(ort / name, folder / name)
        write_text(folder / LICENCE_FILE, LICENCE)
        write_networks(model, folder)
    return out


def _moved(file: Traversable, words: dict[str, str]) -> str:
    """A file of the page as it stands in the folder, whatever address that gets, with these words filled in."""
    text = file.read_text(encoding="utf-8").replace("/static/", "./")
    return re.sub(r"\{\{(\w+)\}\}", lambda found: words[found[1]], text)
