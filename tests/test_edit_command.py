"""The command `edit`: files, folders, strips, both kinds of model, and bad input."""

from __future__ import annotations

import io
import json
import re
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semistylegan import inversion
from semistylegan.cli import main
from semistylegan.cli.edit import output_names
from semistylegan.cli.tables import print_readings
from semistylegan.cli.using import image_files
from semistylegan.data.check import check
from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import read_csv
from semistylegan.data.pictures import load_image, save_png
from semistylegan.data.writing import ZipWriter
from semistylegan.editing import Model, load
from semistylegan.factors import Factor
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import save_model
from semistylegan.models.config import ModelConfig
from semistylegan.scenes.sprites import FACTORS, render

FINE = FACTORS.only(["hue", "scale"])


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def write(folder: Path, editor: bool) -> Path:
    torch.manual_seed(0)
    space = FINE if editor else FACTORS
    shape = {"coarse": 4, "seen": 16} if editor else {}
    config = ModelConfig.of_size("tiny", 16, 3, space.code_width, **shape)
    G, _, E = build_networks(config)
    save_model(folder, config, space, G, E)
    return folder


@pytest.fixture(scope="module")
def editor(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("editor"), True)


@pytest.fixture(scope="module")
def semi(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write(tmp_path_factory.mktemp("semi"), False)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    for i in range(3):
        save_png(folder / f"{i}.png", render(500 * i, 16))
    save_png(folder / "sub" / "0.png", render(7, 16))
    return folder


def edit(*words: Any) -> int:
    return main(["edit", *map(str, words)])


def test_one_image_gives_one_image(editor: Path, photos: Path, tmp_path: Path, capsys: Any) -> None:
    out = tmp_path / "out.png"
    assert edit(editor, photos / "0.png", "--set", "hue=90", "--out", out) == 0
    assert capsys.readouterr().out == f"{out}\n"
    assert load_image(out).shape == (16, 16, 3)


@pytest.mark.filterwarnings("default")
def test_photographs_are_held_as_small_as_the_model_wants_them(
    editor: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_png(tmp_path / "in" / "a.png", np.full((200, 300, 3), 90, np.uint8))
    seen, plain = [], Model.edit
    monkeypatch.setattr(Model, "edit", lambda self, image, *more: seen.append(image.shape) or plain(self, image, *more))
    assert edit(editor, tmp_path / "in", "--set", "hue=90", "--out", tmp_path / "out") == 0
    assert seen == [(16, 16, 3)]


def test_a_folder_gives_a_folder(editor: Path, photos: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    (photos / "._0.png").write_bytes(b"what macOS leaves")
    shutil.copy(photos / "0.png", photos / "0.bmp")
    assert edit(editor, photos, photos / "1.png", "--set", "hue=90", "--out", out) == 0
    assert sorted(str(p.relative_to(out)) for p in out.rglob("*.*")) == [
        "0-2.png",
        "0.png",
        "1.png",
        "2.png",
        "sub/0.png",
    ]
    assert np.array_equal(load_image(out / "0.png"), load_image(out / "0-2.png"))
    assert not np.array_equal(load_image(out / "0.png"), load_image(out / "sub" / "0.png"))
    single = tmp_path / "one.png"
    assert edit(editor, photos / "1.png", "--set", "hue=90", "--out", single) == 0
    assert np.array_equal(load_image(out / "1.png"), load_image(single))


@pytest.mark.parametrize("given", [["."], ["0.png"], ["0.png", "sub"]])
def test_no_image_is_edited_onto_itself(
    editor: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, given: list[str]
) -> None:
    monkeypatch.chdir(photos)
    before = {p: p.read_bytes() for p in photos.rglob("*.png")}
    assert edit(editor, *given, "--set", "hue=90", "--out", ".") == 2
    assert "0.png is an image to be edited; give another name or folder" in (said := capsys.readouterr().err)
    assert said.count("\n") == 1
    assert {p: p.read_bytes() for p in photos.rglob("*.png")} == before


def test_edits_below_the_folder_that_is_edited_can_be_made_again(editor: Path, photos: Path) -> None:
    for hue in (90, 180):
        assert edit(editor, photos, "--set", f"hue={hue}", "--out", photos / "edited") == 0
        names = sorted(str(p.relative_to(photos / "edited")) for p in photos.glob("edited/**/*.png"))
        assert names == ["0.png", "1.png", "2.png", "sub/0.png"]


def test_encode_reads_folders(editor: Path, photos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["encode", str(editor), str(photos), str(photos / "1.png"), "--csv", str(tmp_path / "read.csv")]) == 0
    head, *rows = (tmp_path / "read.csv").read_text().splitlines()
    names = ["0.png", "1.png", "2.png", "sub/0.png", "1.png"]
    assert head.startswith("file_name,") and [row.split(",")[0] for row in rows] == [str(photos / n) for n in names]
    (tmp_path / "empty").mkdir()
    assert main(["encode", str(editor), str(tmp_path / "empty")]) == 2
    assert "empty: no images in this folder" in capsys.readouterr().err


def test_readings_of_a_folder_are_a_table_of_its_images(semi: Path, photos: Path, capsys: Any) -> None:
    table = photos / "metadata.csv"
    assert main(["encode", str(semi), str(photos), "--csv", str(table)]) == 0
    store, model = Dataset.open(photos), load(semi)
    assert (photos / "factors.json").exists()
    for ours, its in zip(store.space, model.factors, strict=True):  # angles stay angles; readings lie on no grid
        assert (ours.name, ours.kind, ours.low, ours.high) == (its.name, its.kind, its.low, its.high)
        assert ours.size is None or ours == its
    assert not check(photos).warnings
    _, labels = read_csv(table, store.names, model.factors)
    assert labels.known_NF.all() and labels.known_NF.shape[0] == 4
    assert np.abs(labels.level_NF - model.read_levels(store.images(range(4)).permute(0, 2, 3, 1).numpy())).max() < 1e-3
    before = table.read_bytes()
    capsys.readouterr()
    assert main(["encode", str(semi), str(photos), "--csv", "-"]) == 0
    assert capsys.readouterr().out.encode() == before
    for images in ([photos], [photos / "sub", photos / "0.png"], [photos / "0.png"]):  # now they are labels
        capsys.readouterr()
        assert main(["encode", str(semi), *map(str, images), "--csv", str(table)]) == 2
        assert "metadata.csv: holds labels of these images" in capsys.readouterr().err
    assert table.read_bytes() == before


def test_the_first_named_keeps_its_name_and_capitals_do_not_count(photos: Path, tmp_path: Path) -> None:
    more = tmp_path / "more"
    save_png(more / "z.png", render(0, 16))
    files = image_files([more / "z.png", photos, more], tmp_path / "out")
    assert list(files) == [more / "z.png", *(photos / n for n in ("0.png", "1.png", "2.png", "sub/0.png"))]
    assert output_names([Path("A.jpg"), Path("a.png"), Path("b/a.png")]) == [
        Path("A.png"),
        Path("a-2.png"),
        Path("b/a.png"),
    ]


def test_an_image_given_with_its_folder_is_edited_once_below_it(photos: Path) -> None:
    names = image_files([photos, photos / "sub" / "0.png"])
    assert list(names.values()) == [Path("0.png"), Path("1.png"), Path("2.png"), Path("sub/0.png")]


@pytest.mark.parametrize(
    ("given", "out", "said"),
    [
        (["0.png"], "o.jpg", "--out o.jpg: cannot write .jpg; take .png, or a folder"),
        (["0.png"], "o.tiff", "--out o.tiff: cannot write .tiff; take .png, or a folder"),
        (["0.png"], "o.WEBM", "--out o.WEBM: cannot write .webm; take .png, or a folder"),
        (["0.png"], "o.tar", "--out o.tar: cannot write .tar; take .png, or a folder"),
        (["0.png"], "o.zip", "--out o.zip: cannot write .zip; take .png, or a folder"),
        (["."], "o.png", "--out o.png: there are several images to edit; give a folder"),
    ],
)
def test_where_edits_cannot_go(
    editor: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any, given: list[str], out: str, said: str
) -> None:
    monkeypatch.chdir(photos)
    assert edit(editor, *given, "--set", "hue=90", "--out", out) == 2
    assert said in capsys.readouterr().err and not Path(out).exists()


def test_drawn_images_take_no_one_s_place(semi: Path, photos: Path, tmp_path: Path, capsys: Any) -> None:
    def generate(*words: Any) -> int:
        return main(["generate", str(semi), *map(str, words)])

    assert generate("--count", 2, "--out", photos) == 2
    assert "photos: holds other files (0.png); give an empty or a new folder as --out" in capsys.readouterr().err
    assert generate("--count", 2, "--out", tmp_path / "g.jpg") == 2
    assert "cannot write .jpg; take .png, or a folder" in capsys.readouterr().err
    assert generate("--count", 2, "--out", tmp_path / "g.csv") == 2
    assert "cannot write .csv; take .png, or a folder" in capsys.readouterr().err and not (tmp_path / "g.csv").exists()
    for count in (3, 2, 4):
        assert generate("--count", count, "--out", tmp_path / "g") == 0
    assert len(list((tmp_path / "g").iterdir())) == 4


def test_a_grid_has_as_many_rows_as_columns(semi: Path, tmp_path: Path) -> None:
    for count, rows, columns in ((9, 3, 3), (12, 4, 3), (1, 1, 1)):
        assert main(["generate", str(semi), "--count", str(count), "--out", str(tmp_path / "g.png")]) == 0
        assert load_image(tmp_path / "g.png").shape == (rows * 18 - 2, columns * 18 - 2, 3)


def write_dataset(path: Path) -> None:
    with ZipWriter(path) as data:
        data.add("0.png", render(0, 16))


def test_drawn_images_as_a_data_set_that_says_what_each_was_drawn_with(semi: Path, tmp_path: Path, capsys: Any) -> None:
    out, again, longer = tmp_path / "drawn.zip", tmp_path / "again.zip", tmp_path / "longer.zip"

    def generate(file: Path, count: int) -> int:
        words = ["--set", "shape=ring", "--set", "hue=90", "--seed", "5", "--count", str(count), "--out", str(file)]
        return main(["generate", str(semi), *words])

    assert generate(out, 40) == generate(again, 40) == generate(longer, 41) == 0
    assert out.read_bytes() == again.read_bytes()
    data, model = Dataset.open(out), load(semi)
    assert data.space == model.factors and data.labels.known_NF.all()
    assert np.array_equal(
        data.images(range(40)).permute(0, 2, 3, 1), model.generate({"shape": "ring", "hue": 90}, 5, 40)
    )
    _, level = model.draw(5, 40)
    for name, value in {"shape": "ring", "hue": 90}.items():
        level[:, model.factors.position(name)] = model.factors[name].level_of(value)
    assert np.array_equal(data.labels.level_NF, level)
    assert np.array_equal(Dataset.open(longer).labels.level_NF[:40], level)
    capsys.readouterr()
    assert main(["check", str(out)]) == 0  # can be trained on as it is
    assert generate(out, 0) == 2 and "count 0" in capsys.readouterr().err
    for taken, content in ((tmp_path / "photos.zip", None), (tmp_path / "text.zip", b"no zip at all")):
        write_dataset(taken) if content is None else taken.write_bytes(content)
        before = taken.read_bytes()
        assert generate(taken, 1) == 2 and f"--out {taken}: holds other images" in capsys.readouterr().err
        assert taken.read_bytes() == before
    assert out.read_bytes() == again.read_bytes()
    assert generate(out, 2) == 0 and len(Dataset.open(out)) == 2  # its own it replaces
    beside = tmp_path / "again.metadata.csv"
    beside.write_text("file_name,shape\n000000.png,square\n")
    assert generate(again, 2) == 2 and f"{beside} would be taken for its labels" in capsys.readouterr().err


def test_a_sweep_is_a_strip_of_the_input_and_the_edits(editor: Path, photos: Path, tmp_path: Path) -> None:
    strip, one = tmp_path / "strip.png", tmp_path / "one.png"
    assert edit(editor, photos / "1.png", "--sweep", "scale", "--set", "hue=90", "--out", strip) == 0
    picture = load_image(strip)
    assert picture.shape[1] >= 6 * 16
    tiles = [picture[:16, i * 18 : i * 18 + 16] for i in range(6)]
    assert np.array_equal(tiles[0], load_image(photos / "1.png"))
    assert edit(editor, photos / "1.png", "--set", "hue=90", "--set", "scale=#4", "--out", one) == 0
    assert np.array_equal(tiles[5], load_image(one))
    assert edit(editor, photos / "1.png", "--sweep", "scale", "--columns", 3, "--set", "hue=90", "--out", strip) == 0
    assert load_image(strip).shape[1] == 4 * 18 - 2 and np.array_equal(load_image(strip)[:16, -16:], load_image(one))


def test_strength(editor: Path, photos: Path, tmp_path: Path) -> None:
    def at(strength: float, value: int) -> Any:
        out = tmp_path / f"{strength}-{value}.png"
        assert edit(editor, photos / "0.png", "--set", f"hue={value}", "--strength", strength, "--out", out) == 0
        return load_image(out)

    assert np.array_equal(at(0, 90), at(0, 270))
    assert not np.array_equal(at(1, 90), at(1, 270))
    assert not np.array_equal(at(0.5, 90), at(1, 90))


def test_the_search_takes_as_many_steps_as_are_asked_for(
    semi: Path, photos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    heard: list[tuple[Any, ...]] = []

    def hear(self: Any, image: Any, settings: Any, strength: float, steps: int, on_progress: Any) -> Any:
        heard.append((settings, strength, steps))
        return image

    monkeypatch.setattr(Model, "edit", hear)
    words = ("--set", "hue=90", "--strength", 0.5, "--steps", 7, "--out", tmp_path / "out.png")
    assert edit(semi, photos / "0.png", *words) == 0
    assert heard == [({"hue": "90"}, 0.5, 7)]


def test_an_inversion_is_kept_for_the_next_edit(
    semi: Path, photos: Path, tmp_path: Path, own_cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = (semi, photos / "0.png", "--steps", 2, "--set")
    assert edit(*words, "hue=90", "--out", tmp_path / "a.png") == 0
    (kept,) = (own_cache / "inversions").iterdir()

    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("searched again")

    with monkeypatch.context() as patch:
        patch.setattr(inversion, "_starts", never)
        assert edit(*words, "hue=90", "--out", tmp_path / "b.png") == 0
        assert edit(*words, "hue=270", "--out", tmp_path / "c.png") == 0
        with pytest.raises(AssertionError, match="searched again"):
            edit(semi, photos / "1.png", "--steps", 2, "--set", "hue=90", "--out", tmp_path / "d.png")
    assert np.array_equal(load_image(tmp_path / "a.png"), load_image(tmp_path / "b.png"))
    assert not np.array_equal(load_image(tmp_path / "a.png"), load_image(tmp_path / "c.png"))
    # A damaged file is made anew; another model has its own.
    kept.write_bytes(b"nothing")
    assert edit(*words, "hue=90", "--out", tmp_path / "e.png") == 0
    assert np.array_equal(load_image(tmp_path / "a.png"), load_image(tmp_path / "e.png"))


@pytest.mark.filterwarnings("default")
def test_other_sizes_are_fitted_and_the_user_is_told(editor: Path, tmp_path: Path, capsys: Any) -> None:
    save_png(tmp_path / "wide.png", np.repeat(render(0, 32), 2, axis=1))
    assert edit(editor, tmp_path / "wide.png", "--set", "hue=90", "--out", tmp_path / "out.png") == 0
    said = capsys.readouterr().err
    assert "note: images of 64 x 32 pixels resized to 16 x 16, their centre square alone" in said
    assert load_image(tmp_path / "out.png").shape == (16, 16, 3)
    assert edit(editor, tmp_path / "wide.png", "--sweep", "hue", "--out", tmp_path / "strip.png") == 0
    assert capsys.readouterr().err.count("resized to 16 x 16") == 1


@pytest.mark.filterwarnings("default")
def test_of_many_sizes_the_user_is_told_in_two_lines(editor: Path, tmp_path: Path, capsys: Any) -> None:
    for side in range(20, 26):
        save_png(tmp_path / "in" / f"{side}.png", render(0, side))
    assert main(["encode", str(editor), str(tmp_path / "in")]) == 0
    said = capsys.readouterr().err
    assert said.count("note: images of") == 2 and "20 x 20" in said and "of other sizes resized to 16 x 16, too" in said


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--set", "shape=ring"), "'shape': this model can edit hue, scale and keeps all else; for other factors"),
        (("--set", "scale=7"), "scale=7: out of range"),
        (("--set", "hue"), "write factor=value"),
        (("--sweep", "x"), "'x': this model can edit hue, scale"),
        (("--set", "hue=1", "--strength", "nan"), "strength nan: give a number"),
        ((), "--set: none given"),
        (("--sweep", "hue", "--columns", "0"), "--columns 0"),
        (("--set", "hue=1", "--set", "hue=2"), "--set hue=2: hue is set twice, first to 1; leave out one"),
        (("--sweep", "hue", "--set", "hue=2"), "--set hue=2: --sweep hue sets it; leave out one"),
    ],
)
def test_bad_input_of_an_editor(
    editor: Path, photos: Path, tmp_path: Path, capsys: Any, words: tuple[str, ...], said: str
) -> None:
    assert edit(editor, photos / "0.png", *words, "--out", tmp_path / "out.png") == 2
    assert said in (line := capsys.readouterr().err)
    assert line.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_an_unknown_factor_lists_the_known_ones(semi: Path, photos: Path, tmp_path: Path, capsys: Any) -> None:
    assert edit(semi, photos / "0.png", "--set", "hat=1", "--out", tmp_path / "out.png") == 2
    assert "unknown factor 'hat': known are shape, hue, scale, x, y" in capsys.readouterr().err


def test_a_file_that_is_no_image_stops_before_anything_is_written(
    editor: Path, photos: Path, tmp_path: Path, capsys: Any
) -> None:
    shutil.copy(__file__, photos / "9.png")
    assert edit(editor, photos, "--set", "hue=90", "--out", tmp_path / "out") == 2
    assert "9.png" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
    (tmp_path / "empty").mkdir()
    assert edit(editor, tmp_path / "empty", "--set", "hue=90", "--out", tmp_path / "out") == 2
    assert "no images in this folder" in capsys.readouterr().err


def test_a_table_of_readings_takes_no_image_s_place(semi: Path, photos: Path, tmp_path: Path, capsys: Any) -> None:
    def encode(*words: Any) -> int:
        return main(["encode", str(semi), *map(str, words)])

    before = (photos / "0.png").read_bytes()
    assert encode("--csv", photos / "0.png", photos / "1.png") == 2  # --csv photos/*.png
    assert "0.png: is no table; name the one to write" in capsys.readouterr().err
    shutil.copy(photos / "0.png", photos / "noend")
    assert encode(photos / "noend", "--csv", photos / "noend") == 2
    assert (photos / "0.png").read_bytes() == (photos / "noend").read_bytes() == before
    assert encode(photos / "0.png", "--json", "--csv", tmp_path / "r.csv") == 2
    assert "--json: not with --csv" in capsys.readouterr().err and not (tmp_path / "r.csv").exists()
    assert encode(photos / "0.png", "--csv", tmp_path / "r.csv") == 0


def test_readings_of_a_zip_are_a_table_of_its_images(semi: Path, tmp_path: Path, capsys: Any) -> None:
    data, table, one = tmp_path / "drawn.zip", tmp_path / "read.csv", tmp_path / "one.png"
    assert main(["generate", str(semi), "--count", "5", "--out", str(data)]) == 0
    assert main(["encode", str(semi), str(data), "--csv", str(table)]) == 0
    store, model = Dataset.open(data), load(semi)
    space, labels = read_csv(table, store.names, model.factors)
    assert space == model.factors and labels.known_NF.all()
    read = model.read_levels(store.images(range(5)).permute(0, 2, 3, 1).numpy())
    assert np.abs(labels.level_NF - read).max() < 1e-6
    save_png(one, model.generate(count=5)[3])
    capsys.readouterr()
    assert main(["encode", str(semi), str(data), str(one), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert [row.pop("file_name") for row in rows] == [*(f"{data}/{name}" for name in store.names), str(one)]
    assert rows[5] == rows[3]
    other = tmp_path / "other.zip"
    shutil.copy(data, other)
    assert main(["encode", str(semi), str(data), str(other), "--csv", str(table)]) == 0
    names = [line.split(",")[0] for line in table.read_text().splitlines()[1:]]
    assert names == [f"{zipped}/{name}" for zipped in (data, other) for name in store.names]
    assert main(["encode", str(semi), "--csv", str(data), str(other)]) == 2  # --csv *.zip
    assert data.read_bytes() == other.read_bytes()
    data.write_bytes(b"no zip")
    assert main(["encode", str(semi), str(data)]) == 2 and f"{data}: " in capsys.readouterr().err


def test_long_work_is_shown_and_short_work_is_not(semi: Path, photos: Path, tmp_path: Path, capsys: Any) -> None:
    for count, told in ((33, ["reading images: 33 of 33", "drawing: 33 of 33"]), (3, [])):
        assert main(["encode", str(semi), *[str(photos / "0.png")] * count, "--csv", str(tmp_path / "r.csv")]) == 0
        assert main(["generate", str(semi), "--count", str(count), "--out", str(tmp_path / "g.png")]) == 0
        lines = capsys.readouterr().err.splitlines()
        assert [line.partition(", ")[0] for line in lines] == told


def test_numbers_have_all_digits_before_the_point(capsys: Any) -> None:
    print_readings([{"file_name": "a.png", "year": 1987.5, "price": 12345.6, "size": 0.65812, "kind": 2.0}])
    cells = re.findall(r"(?<=\W)[\d.]+(?=\W)", capsys.readouterr().out)
    assert cells == ["1988", "12346", "0.6581", "2"]


def test_an_angle_just_below_a_whole_turn_is_none(capsys: Any) -> None:
    turn = Factor.circular("bearing", low=-180.0, high=180.0)
    row: dict[str, float | str] = {"file_name": "a.png", "hue": 359.97, "bearing": 179.996, "size": 359.97}
    print_readings([row], [Factor.circular("hue"), turn, Factor.scalar("size", None, 0.0, 360.0)])
    assert re.findall(r"(hue|bearing|size)\W+?(-?\d+)", capsys.readouterr().out) == [
        ("hue", "0"),
        ("bearing", "-180"),
        ("size", "360"),
    ]


@pytest.mark.parametrize(("name", "encoding", "shown"), [("sü", "ascii", rb"s\xfc"), ("s\udcfc", "utf-8", rb"s\udcfc")])
def test_names_that_stdout_has_no_letters_for(
    semi: Path, photos: Path, monkeypatch: pytest.MonkeyPatch, name: str, encoding: str, shown: bytes
) -> None:
    file = (photos / "0.png").rename(photos / f"{name}.png")
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written := io.BytesIO(), encoding=encoding))
    monkeypatch.setenv("COLUMNS", "500")
    assert main(["encode", str(semi), str(file)]) == 0
    assert main(["generate", str(semi), "--out", str(file)]) == 0
    sys.stdout.flush()
    assert written.getvalue().count(shown) == 2


def test_names_with_brackets_are_printed_as_they_are(capsys: Any) -> None:
    print_readings([{"file_name": "in[/x]/p[a].png", "size [cm]": ":cat:"}])
    out = capsys.readouterr().out
    assert "in[/x]/p[a].png" in out and "size [cm]" in out and ":cat:" in out


def test_names_of_many_factors_are_printed_whole(capsys: Any) -> None:
    row = {"file_name": "a.png"} | {f"a_rather_long_name_{i}": i / 7 for i in range(9)}
    print_readings([row, row])
    out = capsys.readouterr().out
    assert all(f"{name} " in out for name in row) and "0.1429" in out and out.count("a.png") == 2
    print_readings([{"file_name": f"{i}.png", "hue": float(i)} for i in range(5)])
    assert re.search(r"4\.png\W+4 ", capsys.readouterr().out)
