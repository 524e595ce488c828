"""The data set: cache or not, the same images; the order of training is a function of seed and images seen."""

from __future__ import annotations

import json
import os
import shutil
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from semistylegan.data import Dataset, Labels, ZipWriter, cache, epoch_order
from semistylegan.data.pictures import encode_png, save_png
from semistylegan.data.storage import FolderStore
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


def test_images_that_were_asked_for_ahead(sprites_zip: Path) -> None:
    """Whatever was prefetched, in whatever order, also twice, also never fetched."""
    plain, data = Dataset.open(sprites_zip), Dataset.open(sprites_zip, cache_bytes=0, workers=2)
    for ahead in ([5, 6, 7], [6, 6, 9], [200]):
        data.prefetch(ahead)
    for wanted in ([6, 5, 6], [5, 9], [200, 1]):
        assert (data.images(wanted) == plain.images(wanted)).all()
    with pytest.raises(IndexError, match="0 to 255"):
        data.prefetch([256])


def test_a_damaged_image_ahead_is_told_when_it_is_due(sprites_folder: Path) -> None:
    whole = (sprites_folder / "04.png").read_bytes()
    data = Dataset.open(sprites_folder, cache_bytes=0)
    (sprites_folder / "04.png").write_bytes(whole[:-20])
    data.prefetch([4])
    assert len(data.images([3])) == 1
    with pytest.raises(UserError, match=r"04\.png"):
        data.images([4])
    (sprites_folder / "04.png").write_bytes(whole)
    assert len(data.images([4])) == 1


@pytest.fixture
def cached(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of cache files, where even a small set is worth one."""
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "FILE_BYTES", 1)
    return tmp_path / "cache"


def test_a_cache_file_is_shared_and_never_stale(
    cached: Path, sprites_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = Dataset.open(sprites_folder, cache_bytes=0).images(range(12))
    assert (Dataset.open(sprites_folder).images(range(12)) == plain).all()
    (file,) = cached.iterdir()
    assert np.load(file).shape == (12, 3, 32, 32)
    with monkeypatch.context() as patch:  # another run reads no image file
        patch.setattr(FolderStore, "read", lambda *_: pytest.fail("read"))
        again = Dataset.open(sprites_folder)
        assert (again.images([3, 3, 11]) == plain[[3, 3, 11]]).all()
        again.images([3])[:] = 0
        assert (again.images([3]) == plain[[3]]).all()
    name = sprites_folder / "02.png"
    before = name.stat()
    other = np.array(render(5000, 32))
    name.write_bytes(encode_png(other).ljust(before.st_size, b"\0")[: max(before.st_size, len(encode_png(other)))])
    os.utime(name, ns=(before.st_atime_ns, before.st_mtime_ns + 1))
    assert (Dataset.open(sprites_folder).images(range(12))[2].permute(1, 2, 0).numpy() == other).all()
    assert len(list(cached.iterdir())) == 2


def test_a_damaged_cache_file_is_not_read(cached: Path, sprites_zip: Path) -> None:
    plain = Dataset.open(sprites_zip, cache_bytes=0).images(range(256))
    Dataset.open(sprites_zip).images(range(256))
    (file,) = cached.iterdir()
    for content in (file.read_bytes()[:1000], b"", b"hello"):
        file.write_bytes(content)
        assert (Dataset.open(sprites_zip).images(range(256)) == plain).all()


def test_the_oldest_cache_files_go_first(cached: Path, sprites_zip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cached.mkdir()
    for age, name in enumerate(("images-new.npy", "images-old.npy", "oracle-1.npy")):
        (cached / name).write_bytes(bytes(1000))
        os.utime(cached / name, (1e9 - age, 1e9 - age))
    monkeypatch.setattr(cache, "KEEP_BYTES", 1000 + 256 * 3 * 32 * 32)
    Dataset.open(sprites_zip).images(range(256))
    assert {p.name for p in cached.iterdir()} >= {"images-new.npy", "oracle-1.npy"}
    assert len(list(cached.iterdir())) == 3


def test_a_cache_file_that_is_read_is_no_old_one(cached: Path, sprites_zip: Path) -> None:
    Dataset.open(sprites_zip).images(range(256))
    (file,) = cached.iterdir()
    os.utime(file, (1e9, 1e9))
    Dataset.open(sprites_zip)
    assert file.stat().st_mtime > time.time() - 3600


def test_a_cache_file_of_other_images_is_not_read(cached: Path, sprites_zip: Path) -> None:
    plain = Dataset.open(sprites_zip, cache_bytes=0).images(range(256))
    Dataset.open(sprites_zip).images(range(256))
    (file,) = cached.iterdir()
    for other in (np.zeros((255, 3, 32, 32), np.uint8), np.zeros((256, 3, 32, 32), np.int8)):
        np.save(file, other)
        assert (Dataset.open(sprites_zip).images(range(256)) == plain).all()


def test_what_killed_processes_left_in_the_cache_goes_after_a_day(cached: Path, sprites_zip: Path) -> None:
    cached.mkdir()
    for name, age in ((".images-old.npy.x.npy", 2e5), (".images-new.npy.x.npy", 0)):
        (cached / name).write_bytes(bytes(10))
        os.utime(cached / name, (time.time() - age,) * 2)
    Dataset.open(sprites_zip).images(range(256))
    assert [p.name for p in cached.glob(".*")] == [".images-new.npy.x.npy"]


def test_without_a_cache_folder_the_memory_will_do(cached: Path, sprites_zip: Path) -> None:
    cached.touch()  # a file stands where the folder should be
    assert Dataset.open(sprites_zip).images(range(256)).shape == (256, 3, 32, 32)


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


def test_images_are_chosen_by_number_or_mask(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    mask = np.zeros(256, bool)
    mask[[3, 200]] = True
    for chosen in (mask, mask.tolist(), torch.from_numpy(mask), np.array([3, 200], np.uint8)):
        assert (data.images(chosen) == data.images([3, 200])).all()
        assert data.labels.keep(chosen).labelled_rows.tolist() == [3, 200]
        data.prefetch(chosen)
    assert len(data.labels.keep([]).labelled_rows) == 0
    refused = ((mask[:9], r"a mask of shape \(9,\), but there are 256"), ([1.7], "float64"), (["3"], "whole numbers"))
    for wrong, says in refused:
        for choose in (data.images, data.prefetch, data.labels.keep):
            with pytest.raises(UserError, match=says):
                choose(wrong)  # type: ignore[operator]


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


def test_the_fingerprint_sees_names_ranges_and_what_is_known(tmp_path: Path) -> None:
    for name in ("0.png", "1.png"):
        save_png(tmp_path / "a" / name, render(0, 16))
    prints = [Dataset.open(tmp_path / "a").fingerprint()]
    (tmp_path / "a" / "1.png").rename(tmp_path / "a" / "2.png")
    prints.append(Dataset.open(tmp_path / "a").fingerprint())
    for label, top in (("", 1), ("0", 1), ("0", 2)):  # an unknown level is stored as 0
        (tmp_path / "a" / "metadata.csv").write_text(f"file_name,size\n0.png,{label}\n")
        (tmp_path / "a" / "factors.json").write_text(
            json.dumps({"factors": [{"name": "size", "kind": "scalar", "range": [0, top]}]})
        )
        prints.append(Dataset.open(tmp_path / "a").fingerprint())
    assert len(set(prints)) == 5


@pytest.mark.parametrize(("size", "fitting"), [((31, 31), 16), ((48, 32), 32), ((8, 8), 16), ((1100, 1300), 128)])
def test_sizes_that_no_network_exists_for(size: tuple[int, int], fitting: int, tmp_path: Path) -> None:
    save_png(tmp_path / "a" / "0.png", np.zeros((*size, 3), np.uint8))
    data = Dataset.open(tmp_path / "a")
    assert data.resolution == min(size)
    with pytest.raises(UserError, match=f"to {fitting} x {fitting}: semistylegan import .*--resolution {fitting}$"):
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
