"""One thread a process: several test processes share few cores, and sums come out the same everywhere."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from pathlib import Path

import numpy as np
import pytest


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
