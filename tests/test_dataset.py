"""The data set: cache or not, the same images; the order of training is a function of seed and images seen."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from semistylegan.data import Dataset, Labels, ZipWriter, epoch_order
from semistylegan.data.pictures import save_png
from semistylegan.errors import UserError
from semistylegan.scenes.sprites import FACTORS, render


def test_a_zip_of_sprites(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    assert (len(data), data.resolution, data.channels, data.name) == (256, 32, 3, "sprites")
    assert data.space == FACTORS
    numbers = np.array([int(name[:-4]) for name in data.names])
    assert (data.indices_NF() == FACTORS.values_of(numbers)).all()
    assert (data.images([7])[0].permute(1, 2, 0).numpy() == render(int(numbers[7]), 32)).all()
    data.require_trainable()


def test_a_folder_with_partial_labels(sprites_folder: Path) -> None:
    data = Dataset.open(sprites_folder)
    assert data.names[-2:] == ["more/10.png", "more/11.png"]
    assert data.name == "sprites"
    known = data.labels.known_NF
    assert not known[[3, 5]].any()
    assert [int(k) for k in known[0]] == [0, 1, 1, 1, 0]
    assert (data.indices_NF()[~known] == -1).all() and (data.labels.level_NF[~known] == 0).all()
    values = FACTORS.values_of(np.arange(12) * 907)
    assert data.space["shape"].kind == "categorical"
    for i in range(12):
        if known[i, 0]:
            assert (
                data.space["shape"].value_of(data.labels.level_NF[i, 0]) == ("ring", "square", "triangle")[values[i, 0]]
            )


def test_the_cache_changes_nothing(sprites_zip: Path) -> None:
    cached, plain = Dataset.open(sprites_zip), Dataset.open(sprites_zip, cache_bytes=0)
    order = np.random.default_rng(0).permutation(256)
    for _ in range(2):
        assert (cached.images(order) == plain.images(order)).all()
    assert cached.images([]).shape == (0, 3, 32, 32)
    shared = cached.with_labels(Labels.none(256, 5))
    assert (shared.images([1, 2]) == plain.images([1, 2])).all()
    assert len(shared.labels.labelled_rows) == 0 and len(cached.labels.labelled_rows) == 256


def test_a_caller_may_write_into_its_images(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    data.images(range(256))
    before = data.images([0]).clone()
    data.images([0])[:] = 0
    assert (data.images([0]) == before).all()


@pytest.mark.parametrize("indices", [[-1], [256]])
def test_numbers_outside(sprites_zip: Path, indices: list[int]) -> None:
    with pytest.raises(IndexError, match="0 to 255"):
        Dataset.open(sprites_zip).images(indices)


def test_one_channel(tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "grey.zip", FACTORS) as out:
        for i in range(6):
            out.add(f"{i}.png", render(i, 16)[..., :1], FACTORS.levels_of_indices(FACTORS.values_of(i)))
    data = Dataset.open(tmp_path / "grey.zip")
    assert data.channels == 1 and data.images([2, 4]).shape == (2, 1, 16, 16)


def test_the_fingerprint_sees_every_change(sprites_folder: Path, tmp_path: Path) -> None:
    first = Dataset.open(sprites_folder).fingerprint()
    copy = tmp_path / "copy"
    shutil.copytree(sprites_folder, copy)
    assert Dataset.open(copy).fingerprint() == first
    save_png(copy / "00.png", render(5000, 32))
    assert Dataset.open(copy).fingerprint() != first
    table = (sprites_folder / "metadata.csv").read_text()
    (sprites_folder / "metadata.csv").write_text(table.replace("square", "ring", 1))
    assert Dataset.open(sprites_folder).fingerprint() != first
    data = Dataset.open(sprites_folder)
    assert data.with_labels(data.labels.keep([1, 2])).fingerprint() != data.fingerprint()


@pytest.mark.parametrize(("size", "fitting"), [((31, 31), 16), ((48, 32), 32), ((8, 8), 16), ((1100, 1300), 1024)])
def test_sizes_that_no_network_exists_for(size: tuple[int, int], fitting: int, tmp_path: Path) -> None:
    save_png(tmp_path / "a" / "0.png", np.zeros((*size, 3), np.uint8))
    data = Dataset.open(tmp_path / "a")
    assert data.resolution == min(size)
    with pytest.raises(UserError, match=f"crop and resize all of them to {fitting} x {fitting}$"):
        data.require_trainable()


# -- order -------------------------------------------------------------------------------------------------


def stream(count: int, seed: int, start: int, batch: int, batches: int) -> list[int]:
    return [int(i) for b in range(batches) for i in epoch_order(count, seed, start + b * batch, batch)]


def test_every_epoch_is_another_permutation() -> None:
    order = np.array(stream(100, seed=3, start=0, batch=7, batches=50))
    epochs = [order[i : i + 100] for i in range(0, 300, 100)]
    assert all((np.sort(epoch) == np.arange(100)).all() for epoch in epochs)
    assert (epochs[0] != epochs[1]).any() and (epochs[1] != epochs[2]).any()
    assert stream(100, 4, 0, 7, 50) != order.tolist()


@pytest.mark.parametrize("start", [0, 16, 96, 112, 1600])
def test_a_restart_reads_on_where_it_stopped(start: int) -> None:
    whole = stream(100, seed=1, start=0, batch=16, batches=120)
    assert stream(100, seed=1, start=start, batch=16, batches=5) == whole[start : start + 80]
    assert stream(100, seed=1, start=start, batch=4, batches=20) == whole[start : start + 80]


def test_a_batch_larger_than_the_data() -> None:
    order = epoch_order(3, 0, 2, 10)
    assert order.tolist() == stream(3, 0, 2, 1, 10)
    assert sorted(order[1:4].tolist()) == [0, 1, 2]
