"""Importers: fixtures laid out as each data set is published, all labels back; other layouts say what was expected."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semistylegan.cli.program import main
from semistylegan.data import Dataset, importing
from semistylegan.data.check import check
from semistylegan.data.importers import FORMATS, dsprites, mpi3d, open_source, shapes3d, source
from semistylegan.data.importing import Recipe, import_dataset
from semistylegan.data.parts import Parts
from semistylegan.data.pictures import decode_image, encode_png, load_image, resize, save_png
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.scenes import sprites

ISAAC, FALCOR = FactorSpace.isaac3d(), FactorSpace.falcor3d()


def picture(number: int, side: int = 16) -> np.ndarray[Any, Any]:
    """A picture that tells its number."""
    return np.random.default_rng(number).integers(0, 256, (side, side, 3), dtype=np.uint8)


def imported(name: str, source: Path, out: Path, **recipe: Any) -> Dataset:
    import_dataset(open_source(name, source), name, out, Recipe(**recipe))
    return Dataset.open(out)


# -- Isaac3D and Falcor3D ------------------------------------------------------------------------------------------


def published(folder: Path, space: FactorSpace, labels: str, numbers: list[int]) -> Path:
    """`folder/images/NNNNNN.png` for a few numbers, and the table of levels of the whole grid."""
    for number in numbers:
        save_png(folder / "images" / f"{number:06d}.png", picture(number))
    levels = space.levels_of_indices(space.values_of(np.arange(space.total)))
    with (folder / labels).open("wb") as file:
        np.save(file, levels)
    return folder


NUMBERS = {"isaac3d": [0, 1, 245_760, 245_761, 30_720 * 5 + 7, 737_279], "falcor3d": [0, 6, 7776 * 6 * 3 + 41, 233_279]}


@pytest.mark.parametrize(
    ("name", "space", "folder", "labels"),
    [
        ("isaac3d", ISAAC, "Isaac3D_down128", "labels.npy"),
        ("falcor3d", FALCOR, "Falcor3D_down128", "train-rec.labels"),
    ],
)
def test_numbered_images_with_their_table(
    name: str, space: FactorSpace, folder: str, labels: str, tmp_path: Path
) -> None:
    numbers = NUMBERS[name]
    published(tmp_path / folder, space, labels, numbers)
    for path in (tmp_path / folder, tmp_path, tmp_path / folder / "images"):
        data = imported(name, path, tmp_path / f"{path.name}.zip", resolution=16)
        assert data.names == [f"{n:06d}.png" for n in sorted(numbers)]
        assert (data.indices_NF() == space.values_of(np.sort(numbers))).all()
        assert (space.index_of(data.indices_NF()) == np.sort(numbers)).all()
        for i, number in enumerate(sorted(numbers)):
            assert (data.images([i])[0].permute(1, 2, 0).numpy() == picture(number)).all()


def test_the_number_is_row_major_in_the_order_of_the_products() -> None:
    """Not in the order of the README's formula: spec, erratum of section 6."""
    assert [ISAAC.total // p for p in np.cumprod(ISAAC.sizes)] == [245760, 30720, 6144, 1536, 384, 96, 16, 4, 1]
    value = dict(zip(ISAAC.names, [2, 7, 4, 3, 3, 3, 5, 3, 3], strict=True))
    assert ISAAC.index_of(list(value.values())) == ISAAC.total - 1


def test_a_level_becomes_an_index_by_rounding(tmp_path: Path) -> None:
    """5/7 in floating point times 7 is under 5: a cast would make it 4."""
    fives = [ISAAC.index_of([0, v, 0, 0, 0, 0, 0, 0, 0]) for v in range(8)]
    published(tmp_path / "Isaac3D_down128", ISAAC, "labels.npy", fives)
    levels = np.load(tmp_path / "Isaac3D_down128" / "labels.npy")
    low = np.nextafter(np.nextafter(levels, 0), 0)  # as if computed with other roundings
    np.save(tmp_path / "Isaac3D_down128" / "labels.npy", low)
    assert (low[fives, 1] * 7).astype(int).tolist() != list(range(8))
    data = imported("isaac3d", tmp_path, tmp_path / "a.zip")
    assert data.indices_NF()[:, 1].tolist() == list(range(8))


def test_full_size_without_a_table(tmp_path: Path) -> None:
    for number in NUMBERS["falcor3d"]:
        save_png(tmp_path / "Falcor3D" / "images" / f"{number:06d}.png", picture(number, 32))
    data = imported("falcor3d", tmp_path / "Falcor3D", tmp_path / "a.zip", resolution=16)
    assert data.resolution == 16 and (FALCOR.index_of(data.indices_NF()) == NUMBERS["falcor3d"]).all()


def test_a_zip_as_downloaded(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "Isaac3D.zip", "w") as file:
        for number in (3, 700_000):
            file.writestr(f"Isaac3D_down128/images/{number:06d}.png", encode_png(picture(number)))
    data = imported("isaac3d", tmp_path / "Isaac3D.zip", tmp_path / "a.zip")
    assert ISAAC.index_of(data.indices_NF()).tolist() == [3, 700_000]


def test_of_numbered_images_these_files_are_compared(tmp_path: Path) -> None:
    """A picture that is no image of the data set stands before them."""
    save_png(tmp_path / "in" / "a cover.png", picture(0))
    for number in (3, 4):
        save_png(tmp_path / "in" / "images" / f"{number:06d}.png", picture(number))
    assert imported("isaac3d", tmp_path / "in", tmp_path / "a.zip").names == ["000003.png", "000004.png"]
    save_png(tmp_path / "in" / "a cover.png", picture(1))
    imported("isaac3d", tmp_path / "in", tmp_path / "a.zip")
    save_png(tmp_path / "in" / "images" / "000004.png", picture(5))
    with pytest.raises(UserError, match="have changed since"):
        imported("isaac3d", tmp_path / "in", tmp_path / "a.zip")


def test_samples_of_which_one_factor_is_known(tmp_path: Path) -> None:
    """The strips that the authors publish: no numbers, one value index a row, the rest blank."""
    rows = ["file_name," + ",".join(ISAAC.names)]
    for name, value in (("object_shape", 2), ("robot_x-move", 5), ("wall_color", 0)):
        save_png(tmp_path / "samples" / f"{name}_{value}.png", picture(value, 64))
        rows.append(f"{name}_{value}.png," + ",".join(str(value) if f == name else "" for f in ISAAC.names))
    (tmp_path / "samples" / "metadata.csv").write_text("\n".join(rows))
    data = imported("isaac3d", tmp_path / "samples", tmp_path / "a.zip", resolution=32)
    assert data.space.names == ISAAC.names and data.space["wall_color"].kind == "categorical"
    index = data.indices_NF()
    assert (index >= 0).sum() == 3
    assert (index[0, 0], index[1, 1], index[2, 8]) == (2, 5, 0)


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda a: a[:-1], ["737279 x 9", "expected 737280 x 9"]),
        (lambda a: a * 7, ["0 to 3.5", "levels from 0 to 1"]),
        (lambda a: a[:, ::-1], ["row 1: object_shape=0.3333", "has 0 by its number"]),
        (lambda a: a * 0.9, ["row 1: wall_color=0.3", "0.3333"]),
        (lambda a: a > 0.5, ["expected 737280 x 9 numbers"]),
    ],
)
def test_a_table_that_says_something_else(
    spoil: Callable[[Any], Any], words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published(tmp_path / "I", ISAAC, "labels.npy", [0, 1, 245_761])
    np.save(tmp_path / "I" / "labels.npy", spoil(np.load(tmp_path / "I" / "labels.npy")))
    refused("isaac3d", tmp_path, ["labels.npy", "download it again, or remove it", *words])


def refused(name: str, source: Path, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        open_source(name, source)
    text = str(error.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_pickles_are_never_loaded(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[Callable[..., None], tuple[str]]:
            return Path.touch, (tmp_path / "sprung",)

    published(tmp_path / "I", ISAAC, "labels.npy", [0])
    np.save(tmp_path / "I" / "labels.npy", np.array([Trap()], dtype=object), allow_pickle=True)
    refused("isaac3d", tmp_path, ["labels.npy", "not an .npy array"])
    np.savez(tmp_path / "a.npz", images=np.array([Trap()], dtype=object))
    refused("mpi3d", tmp_path / "a.npz", ["images"])
    assert not (tmp_path / "sprung").exists()


@pytest.mark.parametrize(
    ("files", "words"),
    [
        (["images/000000.png", "more/0.png"], ["same number", "000000.png"]),
        (["images/737280.png"], ["000000 to 737279", "737280.png"]),
        (["images/a.png"], ["images/000000.png", "metadata.csv"]),
    ],
)
def test_other_folders_are_no_isaac3d(files: list[str], words: list[str], tmp_path: Path) -> None:
    for file in files:
        save_png(tmp_path / file, picture(0))
    refused("isaac3d", tmp_path, words)


# -- arrays --------------------------------------------------------------------------------------------------------


def small(space: FactorSpace, *sizes: int) -> FactorSpace:
    """The same factors with fewer values: the published arrays are gigabytes."""
    return FactorSpace(
        tuple(
            Factor.categorical(f.name, f.categories[:n])
            if f.kind == "categorical"
            else Factor(f.name, f.kind, n, f.low, f.high, unit=f.unit)
            for f, n in zip(space, sizes, strict=True)
        )
    )


def numbered_arrays(space: FactorSpace, shape: tuple[int, ...], top: int = 255) -> np.ndarray[Any, Any]:
    """Images that tell their number, N x shape."""
    pixels = np.stack([np.random.default_rng(i).integers(0, 2, shape) for i in range(space.total)])
    return (pixels * top).astype(np.uint8)


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
def test_dsprites(save: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = small(dsprites.SPACE, 1, 3, 2, 5, 2, 3)
    monkeypatch.setattr(dsprites, "SPACE", space)
    monkeypatch.setattr(source, "BLOCK_BYTES", 64 * 64 * 7)  # blocks that do not divide the whole
    images = numbered_arrays(space, (64, 64), 1)
    classes = space.values_of(np.arange(space.total))
    save(
        tmp_path / "dsprites_ndarray_co1sh3sc6or40x32y32_64x64.npz",
        imgs=images,
        latents_classes=classes,
        latents_values=classes.astype(float),
        metadata=np.array({"title": "a pickle"}, dtype=object),
    )
    data = imported("dsprites", tmp_path, tmp_path / "a.zip")
    assert (data.channels, data.resolution, len(data)) == (1, 64, space.total)
    assert data.space.names == FactorSpace.dsprites().names and data.space["shape"].categories[2] == "heart"
    assert (data.indices_NF() == classes).all()
    assert (data.images(range(len(data)))[:, 0].numpy() == images * 255).all()


def test_dsprites_of_0_to_255_or_in_another_order(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = small(dsprites.SPACE, 1, 1, 1, 2, 2, 2)
    monkeypatch.setattr(dsprites, "SPACE", space)
    images, classes = numbered_arrays(space, (64, 64)), space.values_of(np.arange(8))
    np.savez(tmp_path / "dsprites.npz", imgs=images, latents_classes=classes)
    data = imported("dsprites", tmp_path, tmp_path / "a.zip")
    assert (data.images(range(8))[:, 0].numpy() == images).all()
    np.savez(tmp_path / "dsprites.npz", imgs=images, latents_classes=classes[[0, 1, 2, 4, 3, 5, 6, 7]])
    refused("dsprites", tmp_path, ["latents_classes row 3", "order as published"])


def test_an_array_in_fortran_order_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Read as rows it would be images of mixed pixels."""
    space = small(mpi3d.SIMPLE, 2, 1, 1, 1, 1, 2, 2)
    monkeypatch.setattr(mpi3d, "SIMPLE", space)
    np.savez(tmp_path / "a.npz", images=np.asfortranarray(numbered_arrays(space, (64, 64, 3))))
    refused("mpi3d", tmp_path, ["a.npz", "no plain array of numbers in C order"])
    (tmp_path / "b.npz").touch()
    refused("mpi3d", tmp_path, ["holds a.npz and b.npz", "the one that you mean"])


@pytest.mark.parametrize("variant", ["toy", "complex"])
def test_mpi3d(variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spaces = small(mpi3d.SIMPLE, 3, 2, 2, 3, 2, 2, 2), small(mpi3d.COMPLEX, 2, 4, 2, 1, 1, 2, 2)
    monkeypatch.setattr(mpi3d, "SIMPLE", spaces[0])
    monkeypatch.setattr(mpi3d, "COMPLEX", spaces[1])
    space = spaces[variant == "complex"]
    images = numbered_arrays(space, (64, 64, 3))
    np.savez_compressed(tmp_path / f"mpi3d_{variant}.npz", images=images)
    data = imported("mpi3d", tmp_path / f"mpi3d_{variant}.npz", tmp_path / "a.zip")
    assert data.space == space
    assert (space.index_of(data.indices_NF()) == np.arange(space.total)).all()
    assert (data.images(range(len(data))).permute(0, 2, 3, 1).numpy() == images).all()


def test_shapes3d(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    h5py = pytest.importorskip("h5py")
    space = small(shapes3d.SPACE, 2, 3, 2, 2, 4, 3)
    monkeypatch.setattr(shapes3d, "SPACE", space)
    images = numbered_arrays(space, (64, 64, 3))
    numbers = space.values_of(np.arange(space.total))
    own = numbers * [0.1, 0.1, 0.1, 0.5 / 7, 1, 30.0] + [0, 0, 0, 0.75, 0, -30]
    with h5py.File(tmp_path / "3dshapes.h5", "w") as file:
        file["images"], file["labels"] = images, own
    data = imported("shapes3d", tmp_path, tmp_path / "a.zip", count=50, seed=3)
    rows = np.array([int(name[:-4]) for name in data.names])
    assert len(data) == 50 and data.space["wall_hue"].kind == "circular"
    assert (data.indices_NF() == numbers[rows]).all()
    assert (data.images(range(50)).permute(0, 2, 3, 1).numpy() == images[rows]).all()
    with h5py.File(tmp_path / "3dshapes.h5", "a") as file:
        file["labels"][5] = own[6]
    refused("shapes3d", tmp_path, ["labels row 5: shape=2", "order as published"])
    with h5py.File(tmp_path / "3dshapes.h5", "a") as file:
        del file["labels"]
    refused("shapes3d", tmp_path, ["holds images", "'labels'"])


@pytest.mark.parametrize(
    ("name", "arrays", "words"),
    [
        ("mpi3d", {"images": np.zeros((7, 64, 64, 3), np.uint8)}, ["holds 7", "1,036,800", "460,800"]),
        ("mpi3d", {"imgs": np.zeros(3)}, ["holds imgs", "'images'"]),
        ("dsprites", {"imgs": np.zeros((5, 64, 64), np.uint8)}, ["latents_classes"]),
        (
            "dsprites",
            {"imgs": np.zeros((5, 64, 64), np.uint8), "latents_classes": np.zeros((5, 6), int)},
            ["imgs is 5 x 64 x 64 uint8", "expected 737280 x 64 x 64"],
        ),
    ],
)
def test_other_arrays(name: str, arrays: dict[str, Any], words: list[str], tmp_path: Path) -> None:
    np.savez(tmp_path / "dsprites.npz", **arrays)
    refused(name, tmp_path / "dsprites.npz", ["dsprites.npz", *words])


@pytest.mark.parametrize("name", ["dsprites", "mpi3d", "shapes3d"])
def test_a_file_that_is_no_array(name: str, tmp_path: Path) -> None:
    refused(name, tmp_path / "nothing", ["nothing", "no such file"])
    refused(name, tmp_path, ["holds no", "give the path"])
    (tmp_path / "a").write_bytes(b"PK hello")
    refused(name, tmp_path / "a", [str(tmp_path / "a"), "cut off", "download it again"])


def test_a_damaged_array_is_named_while_it_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    space = small(mpi3d.SIMPLE, 3, 2, 2, 3, 2, 2, 2)
    monkeypatch.setattr(mpi3d, "SIMPLE", space)
    path = tmp_path / "a.npz"
    np.savez_compressed(path, images=numbered_arrays(space, (64, 64, 3)))
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.npz: images is (damaged|cut off)"):
        imported("mpi3d", path, tmp_path / "out.zip")
    assert not (tmp_path / "out.zip").exists()


# -- CelebA --------------------------------------------------------------------------------------------------------

NAMES = [f"Attribute_{i}" for i in range(40)]


def faces(folder: Path, size: tuple[int, int] = (178, 218), comma: bool = False) -> np.ndarray[Any, Any]:
    """Six images and their table in the published layout -> the attributes, 6 x 40 bool."""
    values = np.random.default_rng(0).random((6, 40)) < 0.5
    lines = [] if comma else ["6"]
    lines += [("image_id," if comma else "") + ("," if comma else " ").join(NAMES)]
    for i, row in enumerate(values):
        name = f"{i + 1:06d}.jpg"
        image = Image.new("RGB", size, (0, 0, 0))
        image.paste((255, 10 * i, 0), (size[0] // 2 - 74, size[1] // 2 - 74, size[0] // 2 + 74, size[1] // 2 + 74))
        (folder / "img_align_celeba").mkdir(parents=True, exist_ok=True)
        image.save(folder / "img_align_celeba" / name, quality=98, subsampling=0)
        cells = ["1" if v else "-1" for v in row]
        # As published: columns are aligned by a second blank before a 1.
        lines.append(",".join([name, *cells]) if comma else name + "".join(f" {c:>2}" for c in cells) + " ")
    table = "list_attr_celeba." + ("csv" if comma else "txt")
    (folder / table).write_text("\r\n".join(lines) + "\r\n\r\n")
    return values


@pytest.mark.parametrize("comma", [False, True])
def test_celeba(comma: bool, tmp_path: Path) -> None:
    values = faces(tmp_path / "c", comma=comma)
    save_png(tmp_path / "c" / "img_align_celeba" / "000007.png", np.zeros((218, 178, 3), np.uint8))
    data = imported("celeba", tmp_path / "c", tmp_path / "a.zip", resolution=64)
    assert data.space.names == tuple(NAMES) and data.space[3].categories == ("no", "yes")
    assert (data.labels.level_NF[:6] == values).all() and data.labels.known_NF[:6].all()
    assert data.names[6] == "000007.png" and not data.labels.known_NF[6].any()
    images = data.images(range(6)).numpy()
    assert images[:, 0].min() > 150  # the square of 148 pixels in the centre, and nothing around it
    assert (np.abs(images[:, 1].mean(axis=(1, 2)) - 10 * np.arange(6)) < 4).all()


def test_celeba_by_its_inner_folder_with_fewer_factors_and_another_crop(tmp_path: Path) -> None:
    values = faces(tmp_path / "c")
    inner = tmp_path / "c" / "img_align_celeba"
    data = imported(
        "celeba", inner, tmp_path / "a.zip", resolution=16, factors=("Attribute_9", "Attribute_1"), crop=178
    )
    assert data.space.names == ("Attribute_9", "Attribute_1")
    assert (data.labels.level_NF == values[:, [9, 1]]).all()
    assert data.images([5])[0, 0, 8, 0] < 10  # the frame around the 148 pixels


@pytest.mark.parametrize(("here", "source"), [("c/Img", "img_align_celeba"), ("c/Img/img_align_celeba", ".")])
def test_celeba_from_inside_its_folders(
    here: str, source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    faces(tmp_path / "c" / "Img")
    (tmp_path / "c" / "Anno").mkdir()
    (tmp_path / "c" / "Img" / "list_attr_celeba.txt").rename(tmp_path / "c" / "Anno" / "list_attr_celeba.txt")
    monkeypatch.chdir(tmp_path / here)
    assert open_source("celeba", source).space.names == tuple(NAMES)


def test_of_several_kinds_of_celeba_the_aligned_one_is_taken(tmp_path: Path) -> None:
    faces(tmp_path / "c", size=(300, 200))
    (tmp_path / "c" / "img_align_celeba").rename(tmp_path / "c" / "img_celeba")
    values = faces(tmp_path / "c")
    data = imported("celeba", tmp_path / "c", tmp_path / "a.zip", resolution=16)
    assert (data.labels.level_NF == values).all() and data.images(range(6))[:, 0].min() > 150
    inner = open_source("celeba", tmp_path / "c" / "img_celeba")
    assert (len(inner), inner.first.width) == (6, 300)
    shutil.copytree(tmp_path / "c" / "img_celeba", tmp_path / "c" / "more" / "img_celeba")
    shutil.rmtree(tmp_path / "c" / "img_align_celeba")
    refused("celeba", tmp_path / "c", ["000001.jpg has the same name", "name one folder"])


def test_a_colour_image_among_grey_ones_is_told(tmp_path: Path) -> None:
    faces(tmp_path)
    Image.new("L", (178, 218)).save(tmp_path / "img_align_celeba" / "000001.jpg")
    with pytest.raises(UserError, match=r"000002\.png has colours, the first images have none"):
        imported("celeba", tmp_path, tmp_path / "a.zip", resolution=16)


def test_raw_celeba_is_cut_to_its_largest_square(tmp_path: Path) -> None:
    faces(tmp_path / "c", size=(300, 200))
    data = imported("celeba", tmp_path / "c", tmp_path / "a.zip", resolution=32)
    assert data.images([0])[0, 0, 16, 2] < 10 < 240 < data.images([0])[0, 0, 16, 16]


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda t: t.replace("6\r", "7\r", 1), ["6 rows", "says 7"]),
        (lambda t: t.replace("Attribute_3 ", "", 1), ["line 2", "39 names", "expected the 40"]),
        (lambda t: t.replace("000003.jpg", "000003.jpg  0", 1).replace(" -1 \r", " \r"), ["line", "-1 or 1"]),
        (lambda t: t.replace("000002.jpg", "000001.jpg"), ["line 4", "'000001.jpg'", "keep one"]),
        (lambda t: t.replace("00000", "10000"), ["names none of the images"]),
        (lambda t: "", ["line 1", "0 names"]),
    ],
)
def test_another_table_of_attributes(spoil: Callable[[str], str], words: list[str], tmp_path: Path) -> None:
    faces(tmp_path)
    table = tmp_path / "list_attr_celeba.txt"
    text = table.read_text().replace("\n", "\r\n")
    table.write_bytes(spoil(text).encode())
    refused("celeba", tmp_path, ["list_attr_celeba.txt", *words])
    table.unlink()
    refused("celeba", tmp_path, ["no list_attr_celeba.txt"])
    refused("celeba", tmp_path / "nowhere", ["nowhere", "no such folder"])


# -- StyleGAN and folders ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize(
    ("labels", "kind"),
    [([3, 0, 1], "categorical"), ([[0.5, 1.5], [0.25, 1.5], [1.0, 3.0]], "scalar"), (None, "")],
)
def test_stylegan_data(labels: Any, kind: str, packed: bool, tmp_path: Path) -> None:
    files = {f"00000/img{i:08d}.png": encode_png(picture(i)) for i in range(3)}
    entries = None if labels is None else [[name, labels[i]] for i, name in enumerate(files)]
    files["dataset.json"] = json.dumps({"labels": entries}).encode()
    origin = tmp_path / ("a.zip" if packed else "a")
    if packed:
        with zipfile.ZipFile(origin, "w") as file:
            for name, data in files.items():
                file.writestr(name, data)
    else:
        for name, data in files.items():
            (origin / name).parent.mkdir(parents=True, exist_ok=True)
            (origin / name).write_bytes(data)
    before, after = Dataset.open(origin), imported("stylegan", origin, tmp_path / "out.zip")
    assert after.names == before.names and after.space == before.space
    assert [f.kind for f in after.space] == [kind] * len(after.space)
    assert (after.labels.known_NF == before.labels.known_NF).all()
    assert (after.labels.level_NF == before.labels.level_NF).all()
    assert (after.images(range(3)) == before.images(range(3))).all()


def test_a_table_next_to_a_zip_of_stylegan_s_counts(tmp_path: Path) -> None:
    names = [f"{i}.png" for i in range(3)]
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for i, name in enumerate(names):
            file.writestr(name, encode_png(picture(i)))
        file.writestr("dataset.json", json.dumps({"labels": [[name, i % 2] for i, name in enumerate(names)]}))
    (tmp_path / "a.metadata.csv").write_text("file_name,class\n0.png,ring\n2.png,box\n")
    factors = {"factors": [{"name": "class", "kind": "categorical", "categories": ["box", "ring"]}]}
    (tmp_path / "a.factors.json").write_text(json.dumps(factors))
    data = imported("stylegan", tmp_path / "a.zip", tmp_path / "b.zip")
    assert data.indices_NF()[:, 0].tolist() == [1, -1, 0]
    assert (data.indices_NF() == Dataset.open(tmp_path / "a.zip").indices_NF()).all()


def test_a_document_without_labels_is_none_of_stylegan_s(tmp_path: Path) -> None:
    save_png(tmp_path / "0.png", picture(0))
    (tmp_path / "dataset.json").write_text('{"label": [["0.png", 1]]}')
    refused("stylegan", tmp_path, ["dataset.json", 'has no "labels"', "or null"])


def photos(folder: Path) -> Path:
    """A user's folder: sizes, kinds and sub-folders differ; a table of words and numbers with blanks."""
    rng = np.random.default_rng(0)
    for i, size in enumerate([(40, 30), (64, 64), (30, 60), (100, 50), (33, 33)]):
        image = Image.fromarray(rng.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
        name = folder / ("sub" if i > 2 else ".") / f"p{i}.{['jpg', 'PNG', 'webp', 'png', 'jpeg'][i]}"
        name.parent.mkdir(parents=True, exist_ok=True)
        (image.convert("L") if i == 1 else image).save(name)
    rows = ["file_name;colour;size", "p1.PNG;red;1,5", "sub/p3.png;blue;", "p0.jpg;;2,5"]
    (folder / "metadata.csv").write_text("\n".join(rows))
    return folder


def test_a_folder_of_every_kind_of_image(tmp_path: Path) -> None:
    data = imported("folder", photos(tmp_path / "photos"), tmp_path / "a.zip", resolution=16)
    assert data.names == ["p0.png", "p1.png", "p2.png", "sub/p3.png", "sub/p4.png"]
    assert (data.channels, data.resolution) == (3, 16)
    assert data.space["colour"].categories == ("blue", "red")
    assert data.labels.known_NF.tolist() == [[False, True], [True, True], [False, False], [True, False], [False, False]]
    assert (data.space["size"].low, data.space["size"].high) == (1.5, 2.5)
    image = data.images([1])[0].numpy()
    assert (image[0] == image[1]).all()  # grey among colours becomes colour


def test_pictures_that_fit_are_kept_byte_for_byte(tmp_path: Path) -> None:
    kept, turned = tmp_path / "in" / "kept.png", tmp_path / "in" / "palette.png"
    kept.parent.mkdir()
    Image.fromarray(picture(1, 32)).save(kept, compress_level=9)
    Image.fromarray(picture(2, 32)).quantize(16).save(turned)
    imported("folder", tmp_path / "in", tmp_path / "a.zip")
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert file.read("kept.png") == kept.read_bytes()
        assert file.read("palette.png") != turned.read_bytes()
    assert (load_image(turned) == Dataset.open(tmp_path / "a.zip").store.read(1)).all()


def test_a_cut_that_is_enlarged_to_the_old_size(tmp_path: Path) -> None:
    save_png(tmp_path / "in" / "a.png", picture(0, 64))
    image = imported("folder", tmp_path / "in", tmp_path / "a.zip", crop=16, resolution=64).store.read(0)
    assert (image == resize(picture(0, 64)[24:40, 24:40], 64)).all()


@pytest.mark.parametrize("packed", [False, True])
def test_a_table_that_lies_too_deep_is_told(packed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As a zip of a folder holds it, or the folder around one."""
    save_png(tmp_path / "in" / "photos" / "a" / "0.png", picture(0))
    (tmp_path / "in" / "photos" / "metadata.csv").write_text("file_name,x\na/0.png,1\n")
    path = Path(shutil.make_archive(str(tmp_path / "in"), "zip", tmp_path / "in")) if packed else tmp_path / "in"
    assert len(imported("folder", path, tmp_path / "out.zip").space) == 0
    said = " ".join(capsys.readouterr().err.split())
    assert f"{path}: photos/metadata.csv is not read" in said and "give the folder that holds it" in said
    (warning,) = check(path).warnings
    assert warning.file == f"{path}/photos/metadata.csv"


@pytest.mark.parametrize("folder", [".", "photos"])
def test_a_table_of_another_kind_is_told(folder: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "in"
    save_png(path / folder / "0.png", picture(0))
    (path / folder / "metadata.jsonl").write_text('{"file_name": "0.png", "x": 1}\n')
    (warning,) = check(path).warnings
    assert warning.file == str(path / folder / "metadata.jsonl").replace("/./", "/")
    assert "`import huggingface` reads it" in warning.fix
    imported("folder", path, tmp_path / "out.zip")
    assert "metadata.jsonl is not read" in " ".join(capsys.readouterr().err.split())
    assert open_source("huggingface", path / folder).space.names == ("x",)


def test_names_that_differ_in_their_ending_alone(tmp_path: Path) -> None:
    for name in ("a.png", "a.jpg", "b.jpg"):
        Image.new("RGB", (16, 16)).save(tmp_path / name)
    assert imported("folder", tmp_path, tmp_path / "out.zip").names == ["a.jpg.png", "a.png", "b.png"]
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg.webp")
    assert imported("folder", tmp_path, tmp_path / "more.zip").names == ["a.jpg.png", "a.jpg_.png", "a.png", "b.png"]


def test_pictures_that_lie_on_their_side_stand_in_the_zip(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "in").mkdir()
    for name, options in {"a.png": {}, "b.webp": {"lossless": True}}.items():
        Image.fromarray(picture(1)).save(tmp_path / "in" / name, exif=exif, **options)
    imported("folder", tmp_path / "in", tmp_path / "out.zip")
    with zipfile.ZipFile(tmp_path / "out.zip") as file:
        for name in ("a.png", "b.png"):
            data = file.read(name)
            assert b"eXIf" not in data and (decode_image(data, name) == np.rot90(picture(1), -1)).all()


@pytest.mark.parametrize(("fit", "edge"), [("crop", 0), ("pad", 255)])
def test_images_that_are_not_square(fit: str, edge: int, tmp_path: Path) -> None:
    save_png(tmp_path / "in" / "a.png", np.zeros((32, 64, 3), np.uint8))
    data = imported("folder", tmp_path / "in", tmp_path / "a.zip", resolution=32, fit=fit)
    image = data.images([0])[0].numpy()
    assert (image[:, 0] == edge).all() and (image[:, 16] == 0).all()


def test_the_filter_is_the_stated_one(tmp_path: Path) -> None:
    save_png(tmp_path / "in" / "a.png", picture(0, 64))
    for name in ("lanczos", "bicubic", "bilinear", "box", "nearest"):
        data = imported("folder", tmp_path / "in", tmp_path / f"{name}.zip", resolution=16, filter=name)
        expected = Image.fromarray(picture(0, 64)).resize((16, 16), Image.Resampling[name.upper()])
        assert (data.images([0])[0].permute(1, 2, 0).numpy() == np.asarray(expected)).all()
        made = (data.store.document("dataset.json") or {})["made"]
        assert (made["filter"], made["format"], made["resolution"]) == (name, "folder", 16)


def test_the_resolution_that_is_taken_where_none_is_given(tmp_path: Path) -> None:
    for side, expected in ((64, 64), (100, 64), (8, 16)):
        save_png(tmp_path / str(side) / "a.png", picture(0, side))
        assert imported("folder", tmp_path / str(side), tmp_path / f"{side}.zip").resolution == expected


@pytest.mark.parametrize(
    ("recipe", "side", "rows"),
    [
        ({}, 32, 32),  # the square of 32 pixels in the centre
        ({"fit": "pad"}, 64, 32),  # all of it, between white
        ({"crop": 16}, 16, 16),
        ({"fit": "pad", "crop": 40}, 32, 26),  # 40 x 32 pixels of it, between white, and made smaller
    ],
)
def test_the_resolution_of_what_is_cut_or_padded(recipe: dict[str, Any], side: int, rows: int, tmp_path: Path) -> None:
    save_png(tmp_path / "in" / "a.png", np.zeros((32, 64, 3), np.uint8))
    data = imported("folder", tmp_path / "in", tmp_path / "a.zip", **recipe)
    assert data.resolution == side
    assert ((data.images([0])[0, 0] < 128).sum(dim=0) == rows).all(), "black in every column"


def test_the_smallest_picture_is_the_one_of_the_shortest_side(tmp_path: Path) -> None:
    save_png(tmp_path / "in" / "a.png", picture(0, 64)[:40])
    save_png(tmp_path / "in" / "b.png", picture(0, 64)[:, :20])
    assert imported("folder", tmp_path / "in", tmp_path / "a.zip").resolution == 16
    with pytest.raises(UserError, match="--crop 30: the images are 20 x 64 pixels, colour; give at most 20"):
        imported("folder", tmp_path / "in", tmp_path / "b.zip", crop=30)


# -- the import itself ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """40 sprites, every second one labelled."""
    out = tmp_path_factory.mktemp("import") / "in"
    rows = ["file_name,shape,hue"]
    for i in range(40):
        save_png(out / f"{i:02d}.png", sprites.render(i * 251, 32))
        rows += [f"{i:02d}.png,{'ring' if i % 3 else 'square'},{i % 4 * 90}"] if i % 2 else []
    (out / "metadata.csv").write_text("\n".join(rows))
    return out


def test_threads_and_chunks_do_not_show(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    origin = open_source("folder", folder)
    import_dataset(origin, "folder", tmp_path / "a.zip", Recipe(16), workers=1)
    monkeypatch.setattr(importing, "CHUNK_BYTES", 1)
    import_dataset(origin, "folder", tmp_path / "b.zip", Recipe(16), workers=4)
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.zip", "b.zip"]


def test_a_larger_count_holds_a_smaller_one(folder: Path, tmp_path: Path) -> None:
    few = imported("folder", folder, tmp_path / "few.zip", count=5, seed=1)
    many = imported("folder", folder, tmp_path / "many.zip", count=20, seed=1)
    other = imported("folder", folder, tmp_path / "other.zip", count=5, seed=2)
    assert len(few) == 5 and set(few.names) < set(many.names) and few.names != other.names


KILLED = """
import sys
from semistylegan.cli.program import main
from semistylegan.data import importing
from semistylegan.data.importing import Job
importing.CHUNK_BYTES = 1
png = Job.png
def slow(job, i):
    import time
    time.sleep(0.02)
    return png(job, i)
Job.png = slow
main(["import", "folder", "--source", sys.argv[1], "--out", sys.argv[2], "--resolution", "16", "--workers", "1"])
"""


def test_killed_and_started_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, parts = tmp_path / "a.zip", tmp_path / "a.zip.parts"
    process = subprocess.Popen([sys.executable, "-c", KILLED, str(folder), str(out)], stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list(parts.glob("chunk-*")):
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    done = len(list(parts.glob("chunk-*")))
    assert not out.exists() and done < 3
    with pytest.raises(UserError, match="resolution 16, not 32"):
        imported("folder", folder, out, resolution=32)
    monkeypatch.setattr(importing, "CHUNK_BYTES", 1)
    read: list[int] = []
    origin = open_source("folder", folder)
    monkeypatch.setattr(origin, "read", lambda i, read_=origin.read: read.append(i) or read_(i))
    import_dataset(origin, "folder", out, Recipe(16))
    assert len(read) == 40 - 16 * done
    import_dataset(open_source("folder", folder), "folder", tmp_path / "b.zip", Recipe(16))
    assert out.read_bytes() == (tmp_path / "b.zip").read_bytes() and not parts.exists()


def test_a_damaged_part_is_imported_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off, as by a disk that lost power, or with other images in it, as an earlier version may have cut them."""
    imported("folder", folder, tmp_path / "whole.zip", resolution=16)

    def cut(part: Path) -> None:
        part.write_bytes(part.read_bytes()[:-100])

    def other(part: Path) -> None:
        with zipfile.ZipFile(part, "w") as file:
            file.writestr("00.png", encode_png(picture(0)))

    def otherwise_packed(part: Path) -> None:
        """As if by a method that nobody knows, which zipfile tells by an error of another kind."""
        data = bytearray(part.read_bytes())
        for start, place in ((b"PK\x03\x04", 8), (b"PK\x01\x02", 10)):
            data[data.index(start) + place] = 77
        part.write_bytes(data)

    for spoil in (cut, other, otherwise_packed):
        out = tmp_path / "a.zip"
        with monkeypatch.context() as patch:
            patch.setattr(importing, "_assemble", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                imported("folder", folder, out, resolution=16)
        spoil(tmp_path / "a.zip.parts" / "chunk-000000.zip")
        imported("folder", folder, out, resolution=16)
        assert out.read_bytes() == (tmp_path / "whole.zip").read_bytes()
        out.unlink()


KILLED_AT_THE_END = """
import os, sys
from semistylegan.cli.program import main
from semistylegan.data import ZipWriter
ZipWriter._finish = lambda writer: os._exit(9)
main(["import", "folder", "--source", sys.argv[1], "--out", sys.argv[2], "--resolution", "16"])
"""


def test_what_a_killed_one_left_half_written_goes_once_it_is_done(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.zip"
    kept = [tmp_path / name for name in (".a.zip.mine.zip", ".b.a.zip.01234567.zip", ".a.zip.b.zip.01234567.zip")]
    for path in kept:
        path.touch()
    done = subprocess.run([sys.executable, "-c", KILLED_AT_THE_END, str(folder), str(out)], stderr=subprocess.DEVNULL)
    assert done.returncode == 9 and not out.exists() and len(list(tmp_path.glob(".a.zip.*"))) == 3
    imported("folder", folder, out, resolution=16)
    assert sorted(tmp_path.iterdir()) == sorted([out, *kept])


def test_the_same_command_twice_at_a_time(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The one that is first removes the parts while the other reads them."""
    read = Parts.read

    def first(parts: Parts, number: int, names: list[str]) -> list[bytes] | None:
        monkeypatch.setattr(Parts, "read", read)
        imported("folder", folder, tmp_path / "a.zip", resolution=16)
        return read(parts, number, names)

    monkeypatch.setattr(Parts, "read", first)
    assert len(imported("folder", folder, tmp_path / "a.zip", resolution=16)) == 40
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_the_same_again_does_nothing_and_changed_data_is_seen(
    folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_png(tmp_path / "in" / "a.png", picture(0))
    imported("folder", tmp_path / "in", tmp_path / "a.zip")
    imported("folder", tmp_path / "in", tmp_path / "a.zip")
    assert "exists with these settings already" in capsys.readouterr().err
    save_png(tmp_path / "in" / "a.png", np.zeros((16, 16, 3), np.uint8))
    with pytest.raises(
        UserError,
        match=r"labels of in have changed since, or .*; delete a\.zip or give another name",
    ):
        imported("folder", tmp_path / "in", tmp_path / "a.zip")


def test_another_recipe_is_refused(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "a.zip"
    imported("folder", folder, out, resolution=16)
    for change, words in (
        ({"fit": "pad"}, "has fit crop, not pad"),
        ({"crop": 24}, "has crop None, not 24"),
        ({"filter": "box"}, "has filter lanczos, not box"),
        ({"factors": ("hue",)}, r"has factors None, not \['hue'\]"),
        ({"count": 20}, "has count 40, not 20"),
    ):
        with pytest.raises(UserError, match=words):
            imported("folder", folder, out, resolution=16, **change)
    imported("folder", folder, out, resolution=16, count=40, seed=3)  # all of them, whatever the seed
    with pytest.raises(UserError, match="--filter sinc: known are lanczos, "):
        imported("folder", folder, tmp_path / "b.zip", filter="sinc")


KIND = {"name": "kind", "kind": "categorical", "categories": ["a", "b"]}


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("factors.json", json.dumps({"factors": [{"name": "hue", "range": [0, 90], "unit": "°"}, KIND]})),
        ("metadata.csv", "file_name,hue,kind\n0.png,0,a\n1.png,180,b\n"),
        ("metadata.csv", "file_name,turn,kind\n0.png,0,a\n1.png,90,b\n"),
        ("metadata.csv", "file_name,hue,kind\n0.png,0,a\n1.png,90,c\n"),
        ("metadata.csv", "file_name,hue,kind\n0.png,0,a\n1.png,90,b\n2.bmp,90,\n"),
        ("2.bmp", ""),
    ],
    ids=["unit", "scale", "name", "category", "label", "pixels"],
)
def test_a_change_of_what_labels_mean_and_of_any_pixel_is_seen(name: str, text: str, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    for i in range(2):
        save_png(folder / f"{i}.png", picture(i))
    Image.fromarray(picture(2)).save(folder / "2.bmp")
    (folder / "metadata.csv").write_text("file_name,hue,kind\n0.png,0,a\n1.png,90,b\n")
    imported("folder", folder, tmp_path / "photos.zip")
    shutil.copytree(folder, tmp_path / "copy" / "photos", copy_function=shutil.copyfile)
    imported("folder", tmp_path / "copy" / "photos", tmp_path / "photos.zip")
    if text:
        (folder / name).write_text(text)
    else:
        Image.fromarray(picture(3)).save(folder / name)
    with pytest.raises(UserError, match="the images or labels of photos have changed since"):
        imported("folder", folder, tmp_path / "photos.zip")


def test_images_that_are_not_taken_may_change(tmp_path: Path) -> None:
    for i in range(4):
        save_png(tmp_path / "in" / f"{i}.png", picture(i))
    (taken,) = imported("folder", tmp_path / "in", tmp_path / "a.zip", count=1).names
    other = next(name for name in ("0.png", "1.png") if name != taken)
    save_png(tmp_path / "in" / other, picture(7))
    imported("folder", tmp_path / "in", tmp_path / "a.zip", count=1)
    save_png(tmp_path / "in" / taken, picture(8))
    with pytest.raises(UserError, match="have changed since"):
        imported("folder", tmp_path / "in", tmp_path / "a.zip", count=1)


def test_a_damaged_image_stops_it_and_is_named(folder: Path, tmp_path: Path) -> None:
    save_png(tmp_path / "in" / "a.png", picture(0))
    data = encode_png(picture(1))
    (tmp_path / "in" / "b.png").write_bytes(data[: len(data) // 2])
    with pytest.raises(UserError, match=r"b\.png: damaged or cut off"):
        imported("folder", tmp_path / "in", tmp_path / "a.zip")
    (tmp_path / "in" / "b.png").write_bytes(data)
    with pytest.raises(UserError, match=r"have changed since, or an earlier version wrote it; delete a\.zip\.parts"):
        imported("folder", tmp_path / "in", tmp_path / "a.zip")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["paintings"], ["'paintings'", "folder, stylegan"]),
        (["folder", "--resolution", "48"], ["48", "64"]),
        (["folder", "--count", "41"], ["41", "40 images"]),
        (["folder", "--crop", "33"], ["33", "at most 32"]),
        (["folder", "--factors", "shape,size"], ["'size'", "shape, hue"]),
        (["folder", "--factors", "hue,hue"], ["twice"]),
        (["folder", "--seed", "-1"], ["seed -1"]),
        (["folder", "--workers", "0"], ["workers 0"]),
        (["folder", "--out", "a.tar"], ["a.tar", ".zip"]),
        (["folder", "--fit", "squeeze"], ["squeeze", "crop"]),
        (["folder", "--crop", "0"], ["--crop 0", "in pixels"]),
    ],
)
def test_options_that_cannot_be(
    options: list[str], words: list[str], folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    head, *rest = options
    status = main(["import", head, "--source", str(folder), "--out", str(tmp_path / "a.zip"), *rest])
    said = capsys.readouterr().err
    assert status == 2 and said.count("\n") == 1 and all(word in said for word in words), said
    assert list(tmp_path.iterdir()) == []


def test_the_command_prints_what_it_wrote(folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "a.zip"
    assert main(["import", "folder", "--source", str(folder), "--out", str(out), "--resolution", "16"]) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(out)
    assert "images of 32 x 32 pixels become 16 x 16 pixels (lanczos)\n" in said.err
    assert "importing images" in said.err
    enlarged = ["--out", str(tmp_path / "b.zip"), "--crop", "16", "--resolution", "32"]
    assert main(["import", "folder", "--source", str(folder), *enlarged]) == 0
    words = "are cut to their centre squares of 16 pixels and become 32 x 32 pixels (lanczos); 40 of 40 are enlarged"
    assert f"images of 32 x 32 pixels {words}\n" in capsys.readouterr().err


def test_what_becomes_of_photographs_is_said_in_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for i, size in enumerate(((40, 30), (16, 16), (20, 50), (64, 64))):
        save_png(tmp_path / "a" / f"{i}.png", np.zeros((*size, 3), np.uint8))
    command = ["import", "folder", "--source", str(tmp_path / "a"), "--resolution", "16", "--out"]
    cut = "are cut to their centre squares"
    for options, words in {
        (): f"{cut} and become 16 x 16 pixels (lanczos)",
        ("--crop", "16"): f"{cut} of 16 pixels",
        ("--fit", "pad"): "are padded with white and become 16 x 16 pixels (lanczos)",
        ("--fit", "pad", "--crop", "16"): "are cut to their centre squares of 16 pixels",
        (
            "--resolution",
            "32",
        ): "are cut to their centre squares and become 32 x 32 pixels (lanczos); 3 of 4 are enlarged",
    }.items():
        assert main([*command, str(tmp_path / f"a{''.join(options)}.zip"), *options]) == 0
        note = f"{tmp_path / 'a'}: images of 4 sizes, the smallest 16 x 16 pixels, {words}\n"
        assert capsys.readouterr().err.startswith(note)


def test_a_recipe_takes_numpys_whole_numbers() -> None:
    given: Any = {"resolution": np.int64(16), "crop": np.uint8(8), "count": np.int32(4), "seed": np.int64(1)}
    assert Recipe(**given) == Recipe(16, crop=8, count=4, seed=1) and json.dumps(vars(Recipe(**given)))
    with pytest.raises(UserError, match=r"count 1\.5: must be a whole number"):
        Recipe(count=1.5)  # type: ignore[arg-type]


def test_every_format_is_in_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["import", "--help"]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in FORMATS)
