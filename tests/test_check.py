"""`check`: what is in a data set, in words and as JSON, and every problem at once."""

from __future__ import annotations

import io
import json
import shlex
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from rich.console import Console

from semistylegan.cli.program import main
from semistylegan.data import Dataset, ZipWriter
from semistylegan.data.check import Report, check, write_factors
from semistylegan.data.pictures import save_png
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.scenes.sprites import FACTORS, render


def words(report: Report) -> str:
    console = Console(width=160, record=True, quiet=False, file=open("/dev/null", "w"))  # noqa: SIM115
    with console.file:
        report.print(console)
    return console.export_text()


def test_a_good_data_set(sprites_zip: Path) -> None:
    report = check(sprites_zip)
    assert report.ok and report.warnings == []
    assert (report.images, report.resolution, report.channels, report.labelled) == (256, 32, 3, 256)
    assert [f.name for f in report.factors] == list(FACTORS.names)
    hue = report.factors[1]
    assert (hue.kind, hue.values, hue.labelled, hue.share) == ("circular", 12, 256, 1.0)
    assert hue.smallest is not None and 0 < hue.smallest[1] < 256 / 12
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    assert document["ok"] is True and document["factors"][0]["range"] == "one of ring, square, triangle"
    text = words(report)
    assert "256 images, 32 x 32 pixels, colour" in text and "it can be trained on" in text


def test_a_long_name_leaves_room_for_the_rest(tmp_path: Path) -> None:
    space = FactorSpace((Factor.categorical("n" * 60, ("aaaa", "bbbb")), Factor.scalar("size")))
    with ZipWriter(tmp_path / "a.zip", space) as out:
        for i in range(16):
            out.add(f"{i}.png", np.full((32, 32, 3), i, np.uint8), np.array([i % 2, i / 15]))
    console = Console(width=80, record=True, file=io.StringIO())
    check(tmp_path / "a.zip").print(console)
    text = console.export_text()
    assert all(word in text for word in ("categorical", "aaaa", "100.00%", "aaaa: 8", "size")) and "…" not in text


def test_of_many_classes_the_first_are_shown(tmp_path: Path) -> None:
    space = FactorSpace((Factor.categorical("species", [f"species-{i}" for i in range(5000)]),))
    with ZipWriter(tmp_path / "a.zip", space) as out:
        for i in range(16):
            out.add(f"{i}.png", np.full((32, 32, 3), i, np.uint8), np.array([i]))
    report = check(tmp_path / "a.zip")
    console = Console(width=80, record=True, file=io.StringIO())
    report.print(console)
    text = console.export_text()
    assert "5000:" in text and "species-1" in text and text.count("\n") < 40
    assert report.to_json()["factors"][0]["range"].endswith("species-4999"), "--json has them all"


def test_partial_labels_are_counted(sprites_folder: Path) -> None:
    report = check(sprites_folder)
    known = Dataset.open(sprites_folder).labels.known_NF
    assert report.ok and report.labelled == 10
    assert [f.labelled for f in report.factors] == known.sum(axis=0).tolist()
    assert [f.share for f in report.factors] == (known.sum(axis=0) / 12).tolist(), "of all images"


def test_every_problem_at_once(sprites_folder: Path) -> None:
    data = (sprites_folder / "00.png").read_bytes()
    (sprites_folder / "00.png").write_bytes(data[: len(data) // 2])
    save_png(sprites_folder / "01.png", render(1, 16))
    save_png(sprites_folder / "02.png", render(1, 32)[..., :1])
    table = sprites_folder / "metadata.csv"
    lines = table.read_text().splitlines()
    assert lines[1].startswith("more/11.png")
    lines[1] = "more/11.png,ring,red,0.13,0.3,nan"
    lines += ["gone.png,ring,0,0.13,0.3,0.3", lines[2], "04.png,ring"]
    table.write_text("\n".join(lines))
    report = check(sprites_folder)
    assert not report.ok
    said = [str(p) for p in report.problems]
    expected = [
        ["00.png", "cut off"],
        ["01.png", "16 x 16", "32 x 32"],
        ["02.png", "grey", "colour"],
        ["line 12: ", "'gone.png'", "delete the row"],
        ["line 13: ", "already", "one row"],
        ["line 14: ", "2 cells"],
        ["line 2: ", "hue=red", "number"],
        ["line 2: ", "y=nan", "blank"],
    ]
    assert len(said) == len(expected), said
    for parts in expected:
        assert any(all(part in text for part in parts) for text in said), (parts, said)
    assert all(p.file and p.what and p.fix for p in report.problems)
    assert words(report).count("problem: ") == len(expected)


def test_what_is_odd_is_a_warning(tmp_path: Path) -> None:
    space = FactorSpace((*(Factor.scalar(n, 4) for n in ("a", "b", "c")), Factor.categorical("kind", ("x", "y"))))
    rng = np.random.default_rng(0)
    with ZipWriter(tmp_path / "odd.zip", space) as out:
        for i in range(40):
            a, c = rng.integers(0, 4, 2)
            out.add(f"{i}.png", render(i, 16), [a / 3, 1 - a / 3, c / 3, 1])
    report = check(tmp_path / "odd.zip")
    assert report.ok
    assert len(report.warnings) == 2
    assert "'kind' is y wherever it is known" in report.warnings[0].what
    assert "'a' and 'b' always move together" in report.warnings[1].what


def test_near_duplicates_and_mistyped_values_are_warnings(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    rows = ["file_name,width,height,age"]
    for i in range(60):
        save_png(tmp_path / f"{i}.png", render(i, 16))
        width = rng.random()
        rows.append(
            f"{i}.png,{width:.4f},{2 * width + 0.02 * rng.random():.4f},{1000 if i == 7 else 20 + rng.random():.3f}"
        )
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    report = check(tmp_path)
    assert report.ok
    assert [w.what for w in report.warnings] == [
        "factors 'width' and 'height' almost always move together",
        "age=1000 is far from all other values of 'age'",
    ]
    assert all(w.fix for w in report.warnings)


def test_an_angle_in_a_table_alone_is_asked_about(tmp_path: Path) -> None:
    rows = ["file_name,Angle,yaw,rotation,hue,size"]
    for i in range(40):
        save_png(tmp_path / f"{i}.png", render(i, 16))
        turn = 5 + 345 * ((7 * i) % 40) / 39
        rows.append(f"{i}.png,{turn:.1f},{((11 * i) % 40) * 8.7 - 170:.1f},{(13 * i) % 40},{turn * 2:.1f},{turn:.1f}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    asked = [w for w in check(tmp_path).warnings if "if it is an angle" in w.fix]
    assert [w.what for w in asked] == [
        "factor 'Angle' is a number, of whose values 5 and 350 differ most",
        "factor 'yaw' is a number, of whose values -170 and 169.3 differ most",
    ]
    assert '"range": [0, 360]' in asked[0].fix and '"range": [-180, 180]' in asked[1].fix
    assert main(["check", str(tmp_path), "--write-factors"]) == 0  # from then on the file says it
    assert not [w for w in check(tmp_path).warnings if "if it is an angle" in w.fix]


@pytest.mark.parametrize("name", ["Metadata.csv", "labels.csv"])
def test_a_table_of_another_name_is_told_of(tmp_path: Path, name: str) -> None:
    (tmp_path / "photos").mkdir()
    for i in range(4):
        save_png(tmp_path / "photos" / f"{i}.png", render(i, 16))
    (tmp_path / "photos" / name).write_text("file_name,x\n0.png,1\n")
    shutil.make_archive(str(tmp_path / "zipped"), "zip", tmp_path / "photos")
    for path in (tmp_path / "photos", tmp_path / "zipped.zip"):
        (warning,) = (w for w in check(path).warnings if "is not read" in w.what)
        assert warning.file == f"{path}/{name}" and warning.fix == "rename it to metadata.csv"
    (tmp_path / "photos" / name).rename(tmp_path / "photos" / "metadata.csv")
    (tmp_path / "photos" / "other.csv").write_text("a\n1\n")
    assert not [w for w in check(tmp_path / "photos").warnings if "is not read" in w.what]


def test_a_table_that_lies_deeper_than_the_one_that_is_read_is_told_of(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "more"):
        folder.mkdir(exist_ok=True)
        for i in range(2):
            save_png(folder / f"{i}.png", render(i, 16))
        (folder / "metadata.csv").write_text("file_name,x\n0.png,1\n")
    (warning,) = (w for w in check(tmp_path).warnings if "is not read" in w.what)
    assert warning.file == f"{tmp_path}/more/metadata.csv" and "at the top" in warning.fix
    (tmp_path / "metadata.csv").unlink()
    (tmp_path / "dataset.json").write_text('{"labels": null}')
    assert not [w for w in check(tmp_path).warnings if "is not read" in w.what]


def test_names_are_shown_as_they_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Brackets and colons mean something to what draws the table."""
    rows = ["file_name,size [cm],kind"]
    for i in range(12):
        save_png(tmp_path / f"{i}.png", render(i, 16))
        rows.append(f"{i}.png,{i % 3},{('[/x]', ':car:')[i % 2]}")
    (tmp_path / "metadata.csv").write_text("\n".join(rows))
    assert main(["check", str(tmp_path)]) == 0
    said = capsys.readouterr().out
    assert all(name in said for name in ("size [cm]", "2: :car:,", "[/x]"))


def test_columns_that_are_not_read(sprites_folder: Path) -> None:
    table = sprites_folder / "metadata.csv"
    head, *rows = table.read_text().splitlines()
    table.write_text("\n".join([head + ",note,empty", *(row + ",hello," for row in rows)]))
    space = FactorSpace((*FACTORS, Factor.scalar("empty")))
    (sprites_folder / "factors.json").write_text(json.dumps(space.to_json()))
    report = check(sprites_folder)
    assert report.ok
    assert [w.what for w in report.warnings][:2] == [
        "column 'note' is no factor of factors.json and is not read",
        "column 'empty' is blank",
    ]


def test_images_alone_can_be_trained_on(tmp_path: Path) -> None:
    save_png(tmp_path / "a" / "0.png", render(0, 32))
    report = check(tmp_path / "a")
    assert report.ok and report.factors == [] and "without labels" in words(report)


def test_a_size_that_cannot_be_trained_on(tmp_path: Path) -> None:
    save_png(tmp_path / "a" / "0.png", np.zeros((40, 30, 3), np.uint8))
    report = check(tmp_path / "a")
    assert not report.ok and "30 x 40" in report.problems[0].what and "16 x 16" in report.problems[0].fix
    command = f"semistylegan import folder --source {tmp_path / 'a'} --out {tmp_path / 'a'}.zip --resolution 16"
    assert report.problems[0].fix.endswith(command)


@pytest.mark.parametrize("packed", [False, True])
def test_the_command_that_it_names_mends_the_sizes(packed: bool, tmp_path: Path) -> None:
    data = tmp_path / "my photos"
    for i, side in enumerate((40, 40, 100)):
        save_png(data / f"{i}.png", np.zeros((side, 50, 3), np.uint8))
    if packed:
        data = data.with_suffix(".zip")
        with zipfile.ZipFile(data, "w") as file:
            for i in range(3):
                file.write(tmp_path / "my photos" / f"{i}.png", f"{i}.png")
    problems = check(data).problems
    assert [Path(p.file).name for p in problems] == ["2.png", data.name]
    for problem in problems:
        _, command = problem.fix.split(": semistylegan ")
        assert main(shlex.split(command)) == 0
        out = Path(shlex.split(command)[5])
        assert out.parent == tmp_path and check(out).ok
        out.unlink()


def test_an_odd_image_is_compared_with_one_of_the_usual_size(tmp_path: Path) -> None:
    for i, side in enumerate((16, 32, 32, 32)):
        save_png(tmp_path / f"{i}.png", render(i, side))
    (problem,) = check(tmp_path).problems
    assert Path(problem.file).name == "0.png"
    assert problem.what == "16 x 16 pixels, colour, where 1.png is 32 x 32 pixels, colour"


def test_photographs_of_many_sizes_are_one_problem(tmp_path: Path) -> None:
    for i in range(40):
        save_png(tmp_path / "a" / f"{i:02d}.png", np.zeros((40 + i, 70, 3), np.uint8))
    (tmp_path / "a" / "07.png").write_bytes(b"nothing")
    report = check(tmp_path / "a")
    assert [Path(p.file).name for p in report.problems] == ["07.png", "a"]
    assert "39 sizes, such as 70 x 40 pixels, colour (00.png) and 70 x 41" in report.problems[1].what
    assert "40 images of 39 sizes, such as 70 x 40 pixels, colour" in words(report)
    assert report.to_json()["alike"] is False
    _, command = report.problems[1].fix.split(": semistylegan ")
    (tmp_path / "a" / "07.png").unlink()
    assert main(shlex.split(command)) == 0 and check(f"{tmp_path / 'a'}.zip").ok


def test_a_class_of_one_image_is_odd(tmp_path: Path) -> None:
    for i in range(24):
        save_png(tmp_path / f"{i:02d}.png", render(i, 16))
    rows = [f"{i:02d}.png,{'ring' if i % 2 else 'square'}\n" for i in range(24)]
    (tmp_path / "metadata.csv").write_text("file_name,shape\n" + "".join(rows))
    assert check(tmp_path).warnings == []
    rows[3] = "03.png,rnig\n"
    (tmp_path / "metadata.csv").write_text("file_name,shape\n" + "".join(rows))
    (warning,) = check(tmp_path).warnings
    assert warning.what == "factor 'shape': one label alone of rnig" and "mistyped" in warning.fix
    (tmp_path / "metadata.csv").write_text("file_name,shape\n" + "".join(rows[:6]))  # too few to tell
    assert check(tmp_path).warnings == []


def test_classes_spelt_in_two_ways(tmp_path: Path) -> None:
    words = ["light blue", "Light-Blue", "light  blue", "red", "RED", "green", "reddish"]
    lines = ["file_name,colour"]
    for i in range(14):
        save_png(tmp_path / f"{i:02d}.png", render(i, 16))
        lines.append(f"{i:02d}.png,{words[i % 7]}")
    (tmp_path / "metadata.csv").write_text("\n".join(lines))
    report = check(tmp_path)
    assert report.ok and [w.what for w in report.warnings] == [
        "factor 'colour': 'Light-Blue', 'light  blue', 'light blue' are 3 classes",
        "factor 'colour': 'RED', 'red' are 2 classes",
    ]


@pytest.mark.parametrize(("kind", "high"), [("circular", 330), ("scalar", 345)])
def test_labels_between_the_values_of_their_factor_are_odd(kind: str, high: int, tmp_path: Path) -> None:
    for i in range(24):
        save_png(tmp_path / f"{i:02d}.png", render(i, 16))
    rows = "".join(f"{i:02d}.png,{i % 12 * 30}\n" for i in range(24))
    (tmp_path / "metadata.csv").write_text("file_name,hue\n" + rows)
    factor = {"name": "hue", "kind": kind, "range": [0, high], "size": 12}
    (tmp_path / "factors.json").write_text(json.dumps({"factors": [factor]}))
    (warning,) = check(tmp_path).warnings
    assert warning.what.startswith("hue=30 is none of the 12 values of 'hue' (0, ") and "range" in warning.fix
    right = {**factor, "range": [0, 360 if kind == "circular" else 330]}
    (tmp_path / "factors.json").write_text(json.dumps({"factors": [right]}))
    assert check(tmp_path).warnings == []


def test_many_problems_are_cut_short_for_people(tmp_path: Path) -> None:
    save_png(tmp_path / "a" / "0.png", render(0, 32))
    for i in range(1, 50):
        (tmp_path / "a" / f"{i}.png").write_bytes(b"nothing")
    report = check(tmp_path / "a")
    assert len(report.problems) == 49 and "and 19 more problems" in words(report)


def test_the_factors_as_they_were_understood(sprites_folder: Path) -> None:
    before = Dataset.open(sprites_folder)
    path = write_factors(sprites_folder)
    assert path == sprites_folder / "factors.json"
    assert FactorSpace.load(path) == before.space
    after = Dataset.open(sprites_folder)
    assert after.space == before.space and (after.labels.level_NF == before.labels.level_NF).all()
    with pytest.raises(UserError, match="exists"):
        write_factors(sprites_folder)
    packed = shutil.make_archive(str(sprites_folder), "zip", sprites_folder)
    with pytest.raises(UserError, match=r"sprites\.zip: is a zip; factors\.json can be written into a folder alone"):
        write_factors(packed)


def test_factors_are_written_a_line_each_with_letters_as_they_are(tmp_path: Path) -> None:
    for i in range(4):
        save_png(tmp_path / f"{i}.png", render(i, 16))
    (tmp_path / "metadata.csv").write_text("file_name,Größe,色\n0.png,1,赤\n1.png,2,青\n", encoding="utf-8")
    first, *lines, last = write_factors(tmp_path).read_text(encoding="utf-8").splitlines()
    assert (first, last) == ('{"factors": [', "]}")
    assert [line[:21] for line in lines] == ['  {"name": "Größe", "', '  {"name": "色", "kind']
    assert '["赤", "青"]' in lines[1]


def test_factors_are_not_written_where_they_would_change_the_labels(tmp_path: Path) -> None:
    """Vectors of a dataset.json are own units without a factors.json, and levels beside one; class numbers are both."""
    for i in range(4):
        save_png(tmp_path / f"{i}.png", render(i, 16))

    def label(labels: list[object]) -> None:
        document = {"labels": [[f"{i}.png", label] for i, label in enumerate(labels)]}
        (tmp_path / "dataset.json").write_text(json.dumps(document))

    for labels in ([[0.2], [0.4], [0.6], [0.8]], [[3, 1], [2, 1], [1, 1], [0, 2]], [[0, 1], [1, 0], [0, 1], [1, 0]]):
        label(labels)
        with pytest.raises(UserError, match=r"dataset\.json: .* levels .*; semistylegan convert .* --to folder"):
            write_factors(tmp_path)
    label([0, 2, 1, 1])
    write_factors(tmp_path)
    assert Dataset.open(tmp_path).indices_NF()[:, 0].tolist() == [0, 2, 1, 1]


def test_no_name_steers_the_terminal(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file's name, a factor's, or a value from others may hold escape sequences."""
    (tmp_path / "\x1b[2J\x9b.png").write_bytes(b"none")
    save_png(tmp_path / "a.png", render(0, 16))
    table = "file_name,\x1b[31mhue\na.png,\x1b]0;title\x1b\\\n"
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    for extra in ([], ["--write-factors", "--json"]):
        main(["check", str(tmp_path), *extra])
        said = "".join(capsys.readouterr())
        assert "\x1b" not in said and "\x9b" not in said
    (tmp_path / "metadata.csv").write_text(table + "\x1b[2J.png,?\n", encoding="utf-8")
    assert main(["encode", "sprites", str(tmp_path / "\x1b[2J\x9b.png")]) == 2
    assert r"\x1b[2J\x9b.png: not a PNG" in (said := capsys.readouterr().err) and "\x1b" not in said


def test_factors_of_photos_of_any_size(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_png(tmp_path / "0.png", np.zeros((40, 30, 3), np.uint8))
    save_png(tmp_path / "1.png", np.zeros((90, 50, 3), np.uint8))
    table = tmp_path / "metadata.csv"
    table.write_text("file_name,size\n0.png,1\n1.png,nan\n")
    assert main(["check", str(tmp_path), "--write-factors"]) == 2  # what the labels mean cannot be said
    assert "metadata.csv line 3: size=nan" in capsys.readouterr().err
    table.write_text("file_name,size\n0.png,1\n1.png,3\n")
    assert main(["check", str(tmp_path), "--write-factors"]) == 0
    said = capsys.readouterr().out
    assert "problem: " in said and said.splitlines()[-1] == str(tmp_path / "factors.json")
    assert FactorSpace.load(tmp_path / "factors.json").names == ("size",)
    assert main(["check", str(tmp_path)]) == 2


def test_fields_that_are_not_read(sprites_folder: Path) -> None:
    entry = {"name": "hue", "kind": "circular", "why": "because"}
    (sprites_folder / "factors.json").write_text(json.dumps({"about": "mine", "factors": [entry]}))
    report = check(sprites_folder)
    assert report.ok and Dataset.open(sprites_folder).space.names == ("hue",)
    (said,) = [w for w in report.warnings if "field" in w.what]
    assert said.file.endswith("factors.json") and said.what == "factor 'hue': field 'why' is not read"
    assert said.fix.startswith("known are name, kind, range")
