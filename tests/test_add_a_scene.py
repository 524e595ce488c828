"""What docs/how-to/add-a-scene.md shows runs as it stands."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from semistylegan.data import Dataset
from semistylegan.scenes import engine, variant

pytest.importorskip("mitsuba")
PAGE = (Path(__file__).parents[1] / "docs" / "how-to" / "add-a-scene.md").read_text(encoding="utf-8")


def test_the_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(variant.CHOICE, "scalar_rgb")
    variant.choose.cache_clear()
    names: dict[str, object] = {}
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE, flags=re.MULTILINE | re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.setattr("semistylegan.data.rendering.cores", lambda: 1)  # the page's functions stand in no module
    for block in blocks:
        exec(compile(block, "add-a-scene.md", "exec"), names)  # noqa: S102  (our own words)
    discs, ball = Dataset.open(tmp_path / "discs.zip"), Dataset.open(tmp_path / "ball.zip")
    assert len(discs) == 8 and discs.space.names == ("radius", "colour")
    assert len(ball) == 6 and ball.resolution == 32
    images = ball.images(range(6)).numpy().astype(float)
    assert images.std() > 10 and len(np.unique(images.reshape(6, -1), axis=0)) == 6
    made = ball.store.document("dataset.json")["made"]
    assert made["variant"] == "scalar_rgb" and made["samples"] == "8 key + 4 steady" and "mitsuba" in made
    variant.choose.cache_clear()
    engine.opened.cache_clear()
