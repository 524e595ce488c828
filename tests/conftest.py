"""One thread a process: several test processes share few cores, and sums come out the same everywhere."""

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("MPLBACKEND", "Agg")

from pathlib import Path  # noqa: E402

import numpy as np  # noqa: E402
import pytest  # noqa: E402


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
