"""Edits of held-out images: true pictures, floors, and scores that tell a good editor from a bad one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from semistylegan.data.dataset import Dataset
from semistylegan.data.writing import ZipWriter
from semistylegan.metrics import edits
from semistylegan.metrics.edits import Asked, nearest_pictures, other_values, psnr, ssim, true_pictures
from semistylegan.scenes.render import SCENES
from semistylegan.scenes.sprites import FACTORS, render


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made_zip(tmp_path: Path) -> Path:
    """64 sprites that say of which scene they are."""
    path = tmp_path / "made.zip"
    made = {"made": {"scene": "sprites", "scene_version": SCENES["sprites"].version}}
    with ZipWriter(path, FACTORS, made) as out:
        for index in np.random.default_rng(1).permutation(FACTORS.total)[:64]:
            out.add(f"{index:06d}.png", render(index, 32), FACTORS.levels_of_indices(FACTORS.values_of(index)))
    return path


def test_every_factor_is_set_to_every_other_value(made_zip: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([3, 9]), ("scale", "shape"))
    assert len(asked.image_N) == 2 * (4 + 2)
    changed = asked.level_NF != asked.level_IF[asked.image_N]
    assert (changed == asked.set_NF).all()
    for i in range(2):
        shapes = asked.level_NF[(asked.image_N == i) & (asked.factor_N == 0), 0]
        assert sorted([*shapes, asked.level_IF[i, 0]]) == [0, 1, 2]


def test_of_many_values_a_spread_of_them_is_asked_for() -> None:
    levels = other_values(FACTORS["hue"], 0.5)
    assert len(levels) == len(set(levels)) == edits.VALUES
    assert 0.5 not in levels


def test_true_pictures_are_what_the_scene_shows(made_zip: Path, own_cache: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0, 5]), ("hue", "scale"))
    truth = true_pictures(data, asked.level_NF)
    assert truth is not None
    for picture, level_F in zip(truth, asked.level_NF, strict=True):
        assert np.array_equal(picture, render(int(FACTORS.index_of(FACTORS.indices_of_levels(level_F))), 32))
    kept = len(list(own_cache.rglob("*.png")))
    assert 0 < kept <= len(truth)
    # Of the images of the data set nothing is rendered.
    there = true_pictures(data, data.labels.level_NF[:10].astype(np.float64))
    assert there is not None
    assert np.array_equal(there, data.images(np.arange(10)).permute(0, 2, 3, 1).numpy())
    assert len(list(own_cache.rglob("*.png"))) == kept


def test_without_a_scene_there_is_no_true_picture(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)  # does not say where it comes from
    assert true_pictures(data, Asked.all_values(data, np.array([0]), ("hue",)).level_NF) is None


def test_the_nearest_training_image_shows_the_value(made_zip: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0, 1]), ("shape",))
    training = np.arange(2, 64)
    names = {data.images([i])[0].permute(1, 2, 0).numpy().tobytes(): i for i in training}
    for n, picture in enumerate(nearest_pictures(data, training, asked)):
        chosen = names[picture.tobytes()]
        assert data.labels.level_NF[chosen, 0] == asked.level_NF[n, 0]
        start = asked.image_I[asked.image_N[n]].astype(float)
        same = [i for i in training if data.labels.level_NF[i, 0] == asked.level_NF[n, 0]]
        far = [((data.images([i])[0].permute(1, 2, 0).numpy() - start) ** 2).sum() for i in same]
        assert chosen == same[int(np.argmin(far))]


def test_psnr_in_closed_form() -> None:
    a = np.full((2, 16, 16, 3), 100, np.uint8)
    b = a.copy()
    b[1] += 10
    assert psnr(a, b) == pytest.approx([99.0, 20 * np.log10(255 / 10)])


def test_ssim_against_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    chance = np.random.default_rng(0)
    a = chance.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    b = np.clip(a + chance.normal(0, 40, a.shape), 0, 255).astype(np.uint8)
    b[2] = a[2]
    tensors = [torch.from_numpy(x.transpose(0, 3, 1, 2) / 255.0) for x in (a, b)]
    theirs = structural_similarity_index_measure(*tensors, data_range=1.0, reduction="none")
    assert ssim(a, b) == pytest.approx(np.asarray(theirs), abs=1e-3)
    assert ssim(a, b)[2] == pytest.approx(1.0)
