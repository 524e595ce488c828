"""One thread a process: several test processes share few cores, and sums come out the same everywhere."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page


@pytest.fixture(scope="session")
def sprites_zip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """256 sprites of 32 px with all labels."""
    from semistylegan.data.writing import ZipWriter
    from semistylegan.scenes.sprites import FACTORS, render

    path = tmp_path_factory.mktemp("data") / "sprites.zip"
    with ZipWriter(path, FACTORS) as out:
        for index in np.random.default_rng(0).permutation(FACTORS.total)[:256]:
            out.add(f"{index:06d}.png", render(index, 32), FACTORS.levels_of_indices(FACTORS.values_of(index)))
    return path


@pytest.fixture
def sprites_folder(tmp_path: Path) -> Path:
    """A folder of 12 sprites of 32 px, two of them in a sub-folder; `metadata.csv` names ten, some cells blank."""
    from semistylegan.data.pictures import save_png
    from semistylegan.scenes.sprites import FACTORS, render

    folder = tmp_path / "sprites"
    lines = ["file_name,shape,hue,scale,x,y"]
    for i in range(12):
        index = i * 907
        name = f"more/{i:02d}.png" if i > 9 else f"{i:02d}.png"
        save_png(folder / name, render(index, 32))
        levels = FACTORS.levels_of_indices(FACTORS.values_of(index))
        cells = ["" if (i + f) % 4 == 0 else str(factor.value_of(levels[f])) for f, factor in enumerate(FACTORS)]
        if i not in (3, 5):
            lines.insert(1, ",".join([name, *cells]))
    (folder / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    return folder


CHROMIUM = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
"""Programs that are the browser, by the names under which systems have it."""


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserContext]:
    """A headless Chromium with a profile of its own, 1280 x 900, allowed to use the clipboard."""
    program = next((found for name in CHROMIUM if (found := shutil.which(name))), None)
    if program is None:
        pytest.skip("browser tests are skipped: no Chromium on the path (Debian: apt-get install chromium)")
    playwright = pytest.importorskip("playwright.sync_api", reason="browser tests are skipped: no playwright")
    with playwright.sync_playwright() as driver:
        context = driver.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("profile"),
            executable_path=program,
            headless=True,
            args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"],
            viewport={"width": 1280, "height": 900},
            permissions=["clipboard-read", "clipboard-write"],
            accept_downloads=True,
        )
        context.set_default_timeout(60_000)
        yield context
        context.close()


@pytest.fixture
def page(browser: BrowserContext) -> Iterator[Page]:
    """A new tab. The test fails if the page raises an error that it does not catch, or writes one to its console."""
    tab = browser.new_page()
    errors: list[str] = []
    tab.on("pageerror", lambda error: errors.append(str(error)))
    tab.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
    yield tab
    tab.close()
    # What the server refuses, the browser writes to the console: not an error of the page.
    assert [e for e in errors if not e.startswith("Failed to load resource")] == []
