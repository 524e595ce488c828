"""Rendering: the same bytes whatever the processes, shards and kills; other settings are never mixed."""

from __future__ import annotations

import dataclasses
import errno
import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from semistylegan.data import Dataset, rendering
from semistylegan.data.pictures import load_image, save_png
from semistylegan.data.rendering import render_dataset
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace, IntArray
from semistylegan.scenes import render as scenes
from semistylegan.scenes import sprites, variant

COUNT = 60
SCENE = dataclasses.replace(scenes.SCENES["sprites"], chunk=8)
"""Small chunks: several parts even of a small data set."""


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("reference") / "a.zip"
    assert render_dataset(SCENE, path, 16, count=COUNT, workers=1) == path
    return digest(path)


def test_a_rendered_data_set(tmp_path: Path) -> None:
    out = tmp_path / "new" / "a.zip"
    render_dataset(SCENE, out, 16, count=COUNT, workers=1)
    assert sorted(p.name for p in out.parent.iterdir()) == ["a.png", "a.zip"]
    data = Dataset.open(out)
    assert len(data) == COUNT and data.resolution == 16 and data.space == sprites.FACTORS
    numbers = np.array([int(name[:-4]) for name in data.names])
    assert len(data.names[0]) == 10
    assert (data.indices_NF() == sprites.FACTORS.values_of(numbers)).all()
    assert (data.store.read(5) == sprites.render(int(numbers[5]), 16)).all()
    document = data.store.document("dataset.json")
    assert document is not None
    made = document["made"]
    assert (made["scene"], made["resolution"], made["count"], made["seed"]) == ("sprites", 16, COUNT, 0)
    assert load_image(out.with_suffix(".png")).shape[0] > 6 * 64


def test_numpys_whole_numbers_are_settings(tmp_path: Path, reference: str) -> None:
    settings: Any = {"resolution": np.int64(16), "count": np.int64(COUNT), "seed": np.uint8(0)}
    render_dataset(SCENE, tmp_path / "a.zip", workers=1, **settings)
    assert digest(tmp_path / "a.zip") == reference


@pytest.mark.parametrize(
    ("image", "says"),
    [
        (np.zeros((8, 8, 3), np.uint8), "uint8 8 x 8 x 3"),
        (np.zeros((16, 16, 3), np.float32), "float32 16 x 16 x 3"),
        (np.zeros((16, 16, 4), np.uint8), "uint8 16 x 16 x 4"),
        (np.zeros((16, 16), np.uint8), "uint8 16 x 16"),
    ],
)
def test_a_scene_that_gives_no_image_is_told(image: npt.NDArray[Any], says: str, tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, name="mine", render=lambda index, resolution: image)
    with pytest.raises(UserError, match=rf"scene mine: image \d+ is {says}; render must give uint8, 16 x 16 x 3"):
        render_dataset(scene, tmp_path / "a.zip", 16, count=4, workers=1)
    assert list(tmp_path.iterdir()) == []


def test_a_scene_may_be_grey(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, render=lambda index, resolution: SCENE.render(index, resolution)[..., :1])
    render_dataset(scene, tmp_path / "a.zip", 16, count=4, workers=1)
    assert Dataset.open(tmp_path / "a.zip").channels == 1


def test_all_is_the_default_whatever_the_seed() -> None:
    space = sprites.FACTORS
    job = rendering.Job(SCENE, Path("a.zip"), 16, None, 5)
    assert (np.concatenate(job.chunks()) == np.arange(space.total)).all()
    assert "seed" not in job.settings and job.settings["count"] == space.total


def test_a_larger_count_contains_a_smaller_one() -> None:
    few, many = (scenes.choose_indices(sprites.FACTORS, n, seed=4) for n in (50, 500))
    assert set(few) <= set(many) and len(set(many)) == 500 and (np.diff(many) > 0).all()
    assert set(few) != set(scenes.choose_indices(sprites.FACTORS, 50, seed=5))


def test_processes_do_not_show(tmp_path: Path, reference: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rendering, "MIN_POOL_SECONDS", 0.0)
    render_dataset(SCENE, tmp_path / "a.zip", 16, count=COUNT, workers=2)
    assert digest(tmp_path / "a.zip") == reference


def named(resolution: int) -> dict[str, str]:
    return {"variant": variant.choose().name}


def by_variant(index: int, resolution: int) -> npt.NDArray[np.uint8]:
    """White where this process has what the main process chose."""
    return np.full((resolution, resolution, 3), 255 * (variant.choose().why == "found by the first process"), np.uint8)


def test_processes_render_as_the_first_one_does(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that probed again could find something else, and the images would be of two kinds."""
    monkeypatch.setenv(variant.CHOICE, "scalar_rgb")
    monkeypatch.setattr(variant, "_adopted", variant.Variant("scalar_rgb", None, "found by the first process"))
    variant.choose.cache_clear()
    scene = dataclasses.replace(SCENE, render=by_variant, slow=True, details=named)
    render_dataset(scene, tmp_path / "a.zip", 16, count=COUNT, workers=2)
    variant.choose.cache_clear()
    assert (Dataset.open(tmp_path / "a.zip").images(range(COUNT)) == 255).all()


def dies(index: int, resolution: int) -> npt.NDArray[np.uint8]:
    os._exit(1)


def test_a_process_that_dies_is_told(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, render=dies, slow=True)
    with pytest.raises(UserError, match=r"a\.zip: a rendering process died, .* fewer --workers goes on"):
        render_dataset(scene, tmp_path / "a.zip", 16, count=COUNT, workers=2)


def deaf(index: int, resolution: int) -> npt.NDArray[np.uint8]:
    """White where this process leaves Ctrl-C to the one that started it."""
    ignores = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    return np.full((resolution, resolution, 3), 255 * ignores, np.uint8)


def test_processes_leave_an_interruption_to_the_first_one(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, render=deaf, slow=True)
    render_dataset(scene, tmp_path / "a.zip", 16, count=COUNT, workers=2)
    assert (Dataset.open(tmp_path / "a.zip").images(range(COUNT)) == 255).all()


def test_as_many_as_there_are_is_all(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, space=FactorSpace.grid({"x": 5}))
    render_dataset(scene, tmp_path / "a.zip", 16, count=5, seed=1, workers=1)
    before = digest(tmp_path / "a.zip")
    assert render_dataset(scene, tmp_path / "a.zip", 16, workers=1) == tmp_path / "a.zip"
    assert digest(tmp_path / "a.zip") == before


def test_a_shard_that_fails_leaves_the_folder_to_the_others(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, render=lambda index, resolution: np.zeros((8, 8, 3), np.uint8))
    with pytest.raises(UserError, match="render must give"):
        render_dataset(scene, tmp_path / "a.zip", 16, count=COUNT, shard=(0, 2), workers=1)
    assert [path.name for path in (tmp_path / "a.zip.parts").iterdir()] == ["settings.json"]


def test_names_of_a_large_grid_are_of_one_length() -> None:
    job = rendering.Job(dataclasses.replace(SCENE, space=FactorSpace.grid({"x": 2000, "y": 1000})), Path("a"), 16, 1, 0)
    assert (job.name_of(5), job.name_of(1_999_999)) == ("0000005.png", "1999999.png")


@pytest.mark.parametrize("n", [2, 20])
def test_shards_do_not_show(n: int, tmp_path: Path, reference: str) -> None:
    out = tmp_path / "a.zip"
    order = [(i * 7 + 3) % n for i in range(n)]
    for k, i in enumerate(order):
        done = render_dataset(SCENE, out, 16, count=COUNT, shard=(i, n), workers=1)
        if k == n - 1:
            assert done == out
    assert digest(out) == reference
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a.zip"]


def reversed_order(indices: IntArray) -> IntArray:
    return indices[::-1]


def test_an_order_of_its_own_changes_no_image(tmp_path: Path) -> None:
    scene = dataclasses.replace(SCENE, order=reversed_order)
    render_dataset(scene, tmp_path / "a.zip", 16, count=20, workers=1)
    render_dataset(SCENE, tmp_path / "b.zip", 16, count=20, workers=1)
    a, b = Dataset.open(tmp_path / "a.zip"), Dataset.open(tmp_path / "b.zip")
    assert a.names == b.names and (a.images(range(20)) == b.images(range(20))).all()
    assert a.fingerprint() == b.fingerprint()


SLOW = """
import dataclasses, time
from pathlib import Path
from semistylegan.data.rendering import render_dataset
from semistylegan.scenes import render as scenes, sprites
def slow(index, resolution):
    time.sleep(0.02)
    return sprites.render(index, resolution)
scene = dataclasses.replace(scenes.SCENES["sprites"], chunk=8, render=slow)
render_dataset(scene, Path("OUT"), 16, count=60, workers=1)
"""


def test_killed_and_started_again(tmp_path: Path, reference: str) -> None:
    out = tmp_path / "a.zip"
    parts = tmp_path / "a.zip.parts"
    for wanted in (1, 3):
        process = subprocess.Popen([sys.executable, "-c", SLOW.replace("OUT", str(out))], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while len(list(parts.glob("chunk-*"))) < wanted:
            assert process.poll() is None and time.monotonic() < deadline
            time.sleep(0.01)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert not out.exists()
    done = {p.name: p.stat().st_mtime_ns for p in parts.glob("chunk-*")}
    assert 3 <= len(done) < 8
    drawn: list[int] = []

    def counted(index: int, resolution: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
        drawn.append(index)
        return sprites.render(index, resolution)

    render_dataset(dataclasses.replace(SCENE, render=counted), out, 16, count=COUNT, workers=1)
    assert digest(out) == reference
    assert len([i for i in drawn if i in set(scenes.choose_indices(sprites.FACTORS, COUNT, 0))]) <= COUNT - 8 * 3 + 10
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a.zip"]


def test_a_damaged_part_is_rendered_again(tmp_path: Path, reference: str) -> None:
    out = tmp_path / "a.zip"
    render_dataset(SCENE, out, 16, count=COUNT, shard=(0, 2), workers=1)
    part = tmp_path / "a.zip.parts" / "chunk-000002.zip"
    part.write_bytes(part.read_bytes()[:100])
    render_dataset(SCENE, out, 16, count=COUNT, shard=(1, 2), workers=1)
    assert digest(out) == reference


def test_started_twice_at_once(tmp_path: Path, reference: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The other one ends first and removes the chunks while this one writes one."""
    out, others = tmp_path / "a.zip", [COUNT]

    def overtaken(index: int, resolution: int) -> npt.NDArray[np.uint8]:
        if others:
            render_dataset(SCENE, out, 16, count=others.pop(), workers=1)
        return sprites.render(index, resolution)

    assert render_dataset(dataclasses.replace(SCENE, render=overtaken), out, 16, count=COUNT, workers=1) == out
    assert digest(out) == reference and sorted(p.name for p in tmp_path.iterdir()) == ["a.png", "a.zip"]
    assert capsys.readouterr().err.count("exists with these settings") == 1

    def lacks_a_file(index: int, resolution: int) -> npt.NDArray[np.uint8]:
        raise FileNotFoundError(errno.ENOENT, "no such file", "texture.png")

    with pytest.raises(FileNotFoundError, match="texture"):
        render_dataset(dataclasses.replace(SCENE, render=lacks_a_file), tmp_path / "b.zip", 16, count=COUNT, workers=1)


def test_the_same_again_does_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.zip"
    render_dataset(SCENE, out, 16, count=10, workers=1)
    before = out.stat().st_mtime_ns
    assert render_dataset(SCENE, out, 16, count=10, workers=1) == out
    assert out.stat().st_mtime_ns == before
    assert "exists with these settings" in capsys.readouterr().err


def test_other_settings_are_refused(tmp_path: Path) -> None:
    out = tmp_path / "a.zip"
    render_dataset(SCENE, out, 16, count=10, workers=1)
    before = digest(out)
    with pytest.raises(UserError, match="resolution 16, not 32"):
        render_dataset(SCENE, out, 32, count=10, workers=1)
    with pytest.raises(UserError, match="seed 0, not 1"):
        render_dataset(SCENE, out, 16, count=10, seed=1, workers=1)
    with pytest.raises(UserError, match="scene_version 1, not 2"):
        render_dataset(dataclasses.replace(SCENE, version=2), out, 16, count=10, workers=1)
    assert digest(out) == before
    half = tmp_path / "b.zip"
    render_dataset(SCENE, half, 16, count=20, shard=(0, 2), workers=1)
    with pytest.raises(UserError, match=r"b\.zip\.parts: has count 20, not 30"):
        render_dataset(SCENE, half, 16, count=30, workers=1)


def test_the_contact_sheet_is_of_the_data_beside_it(tmp_path: Path) -> None:
    out, sheet = tmp_path / "a.zip", tmp_path / "a.png"
    render_dataset(SCENE, out, 16, count=10, workers=1)
    before = sheet.read_bytes()
    out.unlink()
    render_dataset(SCENE, out, 16, count=10, seed=1, workers=1)
    assert sheet.read_bytes() != before
    out.unlink()
    save_png(sheet, sprites.render(7, 16))
    mine = sheet.read_bytes()
    render_dataset(SCENE, out, 16, count=10, workers=1)
    assert sheet.read_bytes() == mine


def test_nothing_of_others_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"mine")
    with pytest.raises(UserError, match="not rendered by this command"):
        render_dataset(SCENE, tmp_path / "a.zip", 16, count=10)
    (tmp_path / "b.zip.parts").mkdir()
    (tmp_path / "b.zip.parts" / "mine").touch()
    with pytest.raises(UserError, match=r"b\.zip\.parts: is not what"):
        render_dataset(SCENE, tmp_path / "b.zip", 16, count=10)
    (tmp_path / "c.zip.parts").mkdir()
    (tmp_path / "c.zip.parts" / "settings.json").write_text("[1]")
    with pytest.raises(UserError, match=r"c\.zip\.parts/settings\.json: not readable; delete"):
        render_dataset(SCENE, tmp_path / "c.zip", 16, count=10)
    assert (tmp_path / "b.zip.parts" / "mine").exists() and (tmp_path / "a.zip").read_bytes() == b"mine"


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"out": Path("a.png")}, "ends in .zip"),
        ({"resolution": 0}, "resolution 0: give one of"),
        ({"resolution": 5000}, "resolution 5000: give one of"),
        ({"cluster": "slurm"}, "known is ray"),
        ({"resolution": 33}, "resolution 33: give one of 16, 32"),
        ({"count": 0}, "1 to 11520"),
        ({"count": 11_521}, "1 to 11520"),
        ({"seed": -1}, "seed -1"),
        ({"seed": 0.5}, "seed 0.5: must be a whole number"),
        ({"count": "ten"}, "count ten: must be a whole number"),
        ({"resolution": 16.0}, "resolution 16.0: must be a whole number"),
        ({"shard": (2, 2)}, "shard 2/2"),
        ({"workers": 0}, "workers 0"),
    ],
)
def test_settings_that_cannot_be(fields: dict[str, object], words: str, tmp_path: Path) -> None:
    settings = {"out": tmp_path / "a.zip", "resolution": 16, **fields}
    with pytest.raises(UserError, match=words):
        render_dataset(SCENE, **settings)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_a_ray_cluster_gives_the_same_bytes_though_a_worker_dies(tmp_path: Path, reference: str) -> None:
    ray = pytest.importorskip("ray")
    marker = tmp_path / "died"
    render = sprites.render

    def dies_once(index: int, resolution: int) -> npt.NDArray[np.uint8]:
        if not marker.exists():
            marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return render(index, resolution)

    ray.init(num_cpus=1, log_to_driver=False, include_dashboard=False)
    try:
        scene = dataclasses.replace(SCENE, render=dies_once)
        render_dataset(scene, tmp_path / "a.zip", 16, count=COUNT, cluster="ray")
    finally:
        ray.shutdown()
    assert marker.exists() and digest(tmp_path / "a.zip") == reference


def test_a_machine_that_would_give_other_bytes_is_refused(tmp_path: Path) -> None:
    job = rendering.Job(SCENE, tmp_path / "a.zip", 16, 8, 0)
    other = {**job.settings, "variant": "llvm_ad_rgb"}
    with pytest.raises(UserError, match="has variant None, not llvm_ad_rgb"):
        rendering._chunk_elsewhere(job, other, 0, job.chunks()[0])


def test_chunks_shrink_with_the_resolution() -> None:
    scene = dataclasses.replace(SCENE, chunk=96)
    assert [scene.chunk_at(r) for r in (32, 128, 256, 512, 1024)] == [96, 96, 24, 6, 4]
