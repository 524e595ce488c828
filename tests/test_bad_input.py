"""Bad input as a table: `import`, then `check`, on what users really have.

Each case ends with status 2 and one line that names the file, the value and the fix, or is read in the documented way.
In no case is anything written outside the output folder.
"""

from __future__ import annotations

import errno
import io
import json
import os
import stat
import struct
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from semistylegan.cli.program import main
from semistylegan.data import Dataset
from semistylegan.data.pictures import encode_png
from semistylegan.errors import UserError

SIDE = 16
RED = (200, 10, 30)


def file_of(image: Image.Image, kind: str = "PNG", **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def solid(mode: str = "RGB", colour: object = RED, size: tuple[int, int] = (SIDE, SIDE)) -> Image.Image:
    return Image.new(mode, size, colour)  # type: ignore[arg-type]


PNG = file_of(solid())
PLAIN = {"a.png": PNG, "b.png": file_of(solid(colour=(0, 0, 255))), "c.png": file_of(solid(colour=(0, 255, 0)))}
"""Three images of one size."""


def noisy(kind: str = "PNG") -> bytes:
    return file_of(Image.fromarray(np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)), kind)


@dataclass(frozen=True)
class Case:
    """Files of a folder or zip, and what comes of it."""

    files: dict[str, bytes]
    refused: tuple[str, ...] = ()
    """Words of the one line, beside the path; empty where the input is read."""
    read: Callable[[Dataset], bool] = lambda data: True
    """What holds of the data set where it is read."""


def table(text: str | bytes, refused: tuple[str, ...] = (), read: Callable[[Dataset], bool] = lambda d: True) -> Case:
    data = text if isinstance(text, bytes) else text.encode()
    return Case({**PLAIN, "metadata.csv": data}, refused, read)


def pixel(expected: tuple[int, ...], size: int = SIDE) -> Callable[[Dataset], bool]:
    """The image `x` has this colour in its middle, and all images this size."""

    def holds(data: Dataset) -> bool:
        image = data.images([data.names.index("x.png")])[0].numpy()
        return data.resolution == size and bool((np.abs(image[:, 8, 8].astype(int) - expected) <= 3).all())

    return holds


def levels(**columns: list[float | None]) -> Callable[[Dataset], bool]:
    """Levels of the three images; None where unknown."""

    def holds(data: Dataset) -> bool:
        for name, wanted in columns.items():
            f = data.space.position(name)
            for i, level in enumerate(wanted):
                known = bool(data.labels.known_NF[i, f])
                if known != (level is not None) or (
                    level is not None and data.labels.level_NF[i, f] != np.float32(level)
                ):
                    return False
        return True

    return holds


def beside(data: bytes, name: str = "x.png") -> dict[str, bytes]:
    return {**PLAIN, name: data}


def turned(orientation: int) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = orientation
    image = solid(colour=(0, 0, 0), size=(SIDE * 2, SIDE))
    image.paste(RED, (0, 0, SIDE, SIDE))
    return file_of(image, "JPEG", exif=exif, quality=100, subsampling=0)


PICTURES: dict[str, Case] = {
    "a PNG cut off in its header": Case(beside(PNG[:20]), ("x.png", "cut off", "copy it again or remove it")),
    "a PNG cut off in its pixels": Case(beside(noisy()[:400]), ("x.png", "cut off", "copy it again or remove it")),
    "a PNG without its end": Case(beside(noisy()[:-12]), ("x.png", "no end found", "copy it again")),
    "a PNG with a wrong pixel byte": Case(
        beside(noisy()[:300] + b"\0\1\2" + noisy()[303:]), ("x.png", "damaged", "copy it again or remove it")
    ),
    "a JPEG cut off": Case(beside(noisy("JPEG")[:200], "x.jpg"), ("x.jpg", "cut off", "copy it again")),
    "an empty file": Case(beside(b""), ("x.png", "not a PNG, JPEG, WebP or BMP", "convert or remove it")),
    "a text called .png": Case(beside(b"hello, no picture"), ("x.png", "not a PNG", "convert or remove it")),
    "a GIF called .png": Case(beside(file_of(solid(), "GIF")), ("x.png", "not a PNG", "convert")),
    "a TIFF called .jpg": Case(beside(file_of(solid(), "TIFF"), "x.jpg"), ("x.jpg", "not a PNG", "convert")),
    "a JPEG called .png": Case(beside(file_of(solid(), "JPEG", quality=100)), read=pixel(RED)),
    "a PNG called .JPG": Case(beside(PNG, "x.JPG"), read=pixel(RED)),
    "endings in capitals": Case(beside(PNG, "x.PNG"), read=pixel(RED)),
    "CMYK": Case(
        beside(file_of(solid("CMYK", (0, 255, 255, 0)), "JPEG", quality=100), "x.jpg"), read=pixel((254, 0, 0))
    ),
    "16-bit grey": Case(
        beside(file_of(Image.fromarray(np.full((SIDE, SIDE), 257 * 77, np.uint16)))), read=pixel((77,) * 3)
    ),
    "palette": Case(beside(file_of(solid().quantize(4))), read=pixel(RED)),
    "grey among colours": Case(beside(file_of(solid("L", 77))), read=pixel((77, 77, 77))),
    "one bit": Case(beside(file_of(solid("1", 1))), read=pixel((255, 255, 255))),
    "transparent, laid over white": Case(beside(file_of(solid("RGBA", (*RED, 0)))), read=pixel((255, 255, 255))),
    "a transparent palette": Case(beside(file_of(solid().quantize(4), transparency=0)), read=pixel((255, 255, 255))),
    "turned by the camera": Case(beside(turned(8), "x.jpg"), read=lambda d: pixel((0, 0, 0))(d) or pixel(RED)(d)),
    "another size": Case(beside(file_of(solid(size=(64, 32)))), read=pixel(RED)),
    "all grey": Case({"a.png": file_of(solid("L", 5)), "x.png": file_of(solid("L", 77))}, read=pixel((77,))),
    "no image at all": Case(
        {"metadata.csv": b"file_name,a\n"}, ("no image in this folder", "put PNG or JPEG files there")
    ),
    "hidden files of a Mac": Case({**PLAIN, "._a.png": b"x", ".DS_Store": b"x"}, read=lambda d: len(d) == 3),
}

TABLES: dict[str, Case] = {
    "a byte order mark": table("\ufefffile_name,v\na.png,1\nb.png,2\n", read=levels(v=[0, 1, None])),
    "CRLF": table("file_name,v\r\na.png,1\r\nb.png,2\r\n", read=levels(v=[0, 1, None])),
    "old Macintosh line ends": table("file_name,v\ra.png,1\rb.png,2", read=levels(v=[0, 1, None])),
    "semicolons and German decimals": table("file_name;v\na.png;1,5\nb.png;2,5\n", read=levels(v=[0, 1, None])),
    "tabs": table("file_name\tv\na.png\t1\nb.png\t2\n", read=levels(v=[0, 1, None])),
    "UTF-16, as Excel writes it": table(
        "file_name\tv\na.png\t1\nb.png\t2\n".encode("utf-16"), read=levels(v=[0, 1, None])
    ),
    "quoted commas": table('file_name,v\na.png,"x, y"\nb.png,z\n', read=levels(v=[0, 1, None])),
    "a quoted quotation mark": table('file_name,v\na.png,"a ""b"""\nb.png,c\n', read=levels(v=[0, 1, None])),
    "blanks around cells": table("file_name , v\n a.png , 1\nb.png, 2 \n", read=levels(v=[0, 1, None])),
    "blank lines and rows in any order": table("\nfile_name,v\n\nc.png,3\n,\na.png,1\n", read=levels(v=[0, None, 1])),
    "names in another case": table("file_name,v\nA.PNG,1\nb.Png,2\n", read=levels(v=[0, 1, None])),
    "names with a backslash and ./": table("file_name,v\n.\\a.png,1\n./b.png,2\n", read=levels(v=[0, 1, None])),
    "only blanks": table("file_name,v\na.png,\n", read=lambda d: len(d.space) == 0),
    "NaN": table("file_name,v\na.png,1\nb.png,NaN\n", ("line 3", "v=NaN", "leave the cell blank")),
    "infinity": table("file_name,v\na.png,1\nb.png,-inf\n", ("line 3", "v=-inf", "leave the cell blank")),
    "n/a among numbers": table("file_name,v\na.png,1\nb.png,n/a\n", ("line 3", "v=n/a", "leave the cell blank")),
    "N/A among words": table("file_name,v\na.png,red\nb.png,N/A\n", ("line 3", "v=N/A", "leave the cell blank")),
    "#N/A, as Excel writes it": table("file_name,v\na.png,red\nb.png,#N/A\n", ("line 3", "v=#N/A", "blank")),
    "German decimals between commas": table(
        'file_name,v\na.png,"1,5"\nb.png,"2,5"\n', ("line 2", "v=1,5", "write a point", "semicolons")
    ),
    "a word among numbers": table(
        "file_name,v\na.png,1\nb.png,2\nc.png,big\n", ("line 4", "v=big", "make it a number")
    ),
    "a name twice": table("file_name,v\na.png,1\na.png,2\n", ("line 3", "'a.png'", "line 2", "keep one row")),
    "a name twice in two cases": table("file_name,v\na.png,1\nA.png,2\n", ("line 3", "'A.png'", "keep one row")),
    "an unknown name": table("file_name,v\nd.png,1\n", ("line 2", "'d.png'", "correct file_name", "delete the row")),
    "a name that climbs out": table("file_name,v\n../a.png,1\n", ("line 2", "'../a.png'", "correct file_name")),
    "a cell too few": table("file_name,v,w\na.png,1\n", ("line 2", "2 cells", "3", "add or remove a comma")),
    "an unquoted comma": table("file_name,v\na.png,x, y\n", ("line 2", "3 cells", "in quotes")),
    "no header": table("a.png,1\nb.png,2\n", ("line 1", "no column file_name", "name the columns")),
    "two columns of one name": table("file_name,v,v\na.png,1,2\n", ("line 1", "'v'", "rename one")),
    "an old encoding": table("file_name,v\na.png,grün\n".encode("latin-1"), ("line 2", "not UTF-8", "save it as")),
    "a spreadsheet, not a table": table(b"PK\3\4\0\0\0\0xlsx", ("metadata.csv", "CSV")),
    "a range too wide for a float": table("file_name,v\na.png,1.7e308\nb.png,-1.7e308\n", ("line 2", "v=1.7e308")),
    "a number too large for a float": table("file_name,v\na.png,1\nb.png,1e999\n", ("line 3", "v=1e999")),
}


def zipped(files: dict[str, bytes], change: Callable[[bytearray], object] | None = None) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in files.items():
            file.writestr(name, data)
    out = bytearray(buffer.getvalue())
    if change is not None:
        change(out)
    return bytes(out)


def linked() -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.png", PNG)
        info = zipfile.ZipInfo("b.png")
        info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
        file.writestr(info, "../../outside.png")
    return buffer.getvalue()


def overwrite(at: Callable[[bytearray], int], data: bytes) -> Callable[[bytearray], object]:
    def change(out: bytearray) -> None:
        place = at(out)
        out[place : place + len(data)] = data

    return change


DIRECTORY = b"PK\1\2"
BOMB = zipped({"a.png": PNG, "b.png": bytes(80 << 20)})
ZIPS: dict[str, tuple[bytes, tuple[str, ...]]] = {
    "a path that climbs out": (zipped({"a.png": PNG, "../b.png": PNG}), ("'../b.png'", "climbs out", "make it again")),
    "a path that climbs out in the middle": (zipped({"a.png": PNG, "x/../../b.png": PNG}), ("climbs out",)),
    "an absolute path": (zipped({"a.png": PNG, "/tmp/b.png": PNG}), ("'/tmp/b.png'", "climbs out")),
    "a path with a drive": (zipped({"a.png": PNG, "C:\\b.png": PNG}), ("climbs out",)),
    "a link": (linked(), ("'b.png'", "is a link", "with the file itself")),
    "a password": (
        zipped(PLAIN, overwrite(lambda d: d.rindex(DIRECTORY) + 8, b"\1")),
        ("'c.png'", "is encrypted", "without a password"),
    ),
    "a bomb": (BOMB, ("'b.png'", "unpacks to 83,886,080 bytes", "make the zip again without it")),
    "cut off": (zipped(PLAIN)[:-40], ("not a zip, or cut off", "make it again")),
    "nothing": (b"", ("not a zip", "make it again")),
    "a directory with a wrong signature": (
        zipped(PLAIN, overwrite(lambda d: d.rindex(DIRECTORY), b"XXXX")),
        ("not a zip", "make it again"),
    ),
    "a directory that points beyond the end": (
        zipped(PLAIN, overwrite(lambda d: d.rindex(DIRECTORY) + 42, struct.pack("<I", 1 << 30))),
        ("c.png", "damaged in the zip"),
    ),
    "a directory that begins beyond the end": (
        zipped(PLAIN, overwrite(lambda d: d.rindex(b"PK\5\6") + 16, struct.pack("<I", 1 << 30))),
        ("a.zip",),
    ),
    "an entry with wrong bytes": (
        zipped({"a.png": PNG, "b.png": noisy()}, overwrite(lambda d: d.index(DIRECTORY) - 100, b"\1\2\3\4\5")),
        ("b.png", "damaged"),
    ),
    "labels that are an object": (
        zipped({**PLAIN, "dataset.json": b'{"labels": {"a.png": 1}}'}),
        ("dataset.json", '"labels" is no list', "expected"),
    ),
    "a label of the wrong form": (
        zipped({**PLAIN, "dataset.json": b'{"labels": [["a.png", 1, 2]]}'}),
        ("dataset.json", "not of the form", "correct it"),
    ),
    "a label that is a word": (
        zipped({**PLAIN, "dataset.json": b'{"labels": [["a.png", ["red"]]]}'}),
        ("dataset.json", "'a.png'", "not a finite number", "null"),
    ),
    "vectors of different length": (
        zipped({**PLAIN, "dataset.json": b'{"labels": [["a.png", [1, 2]], ["b.png", [1]]]}'}),
        ("dataset.json", "'b.png'", "1 numbers", "correct it"),
    ),
    "labels of other images": (
        zipped({**PLAIN, "dataset.json": b'{"labels": [["z.png", 1]]}'}),
        ("dataset.json", "'z.png'", "no such image"),
    ),
    "labels that are no JSON": (
        zipped({**PLAIN, "dataset.json": b"{"}),
        ("dataset.json line 1", "not JSON", "correct it"),
    ),
    "labels with a number of a million digits": (
        zipped({**PLAIN, "dataset.json": b'{"labels": [["a.png", ' + b"9" * 5000 + b"]]}"}),
        ("dataset.json", "not JSON text", "write it again"),
    ),
}


def everything(folder: Path, but: Path) -> dict[str, tuple[int, bytes]]:
    """All files under a folder, but for those under `but`."""
    return {
        str(p): (p.stat().st_mtime_ns, p.read_bytes())
        for p in sorted(folder.rglob("*"))
        if p.is_file() and not p.is_relative_to(but)
    }


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A world in which every place that a program might write to is under one folder."""
    for name in ("in", "out", "cwd", "home", "temporary"):
        (tmp_path / name).mkdir()
    (tmp_path / "outside.png").write_bytes(PNG)
    monkeypatch.chdir(tmp_path / "cwd")
    for variable in ("HOME", "XDG_CACHE_HOME", "SEMISTYLEGAN_CACHE"):
        monkeypatch.setenv(variable, str(tmp_path / "home"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    return tmp_path


def run(home: Path, source: Path, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> Dataset | None:
    """`import` and `check`; asserts what the docstring of this file says."""
    out = home / "out" / "a.zip"
    before = everything(home, home / "out")
    status = main(["import", "folder", "--source", str(source), "--out", str(out), "--resolution", str(SIDE)])
    said = [line for line in capsys.readouterr().err.splitlines() if line.startswith("semistylegan: ")]
    assert everything(home, home / "out") == before
    if words:
        assert status == 2 and len(said) == 1, said
        assert str(source) in said[0] and all(word in said[0] for word in words), said
        assert not out.exists()
        return None
    assert status == 0, said
    assert main(["check", str(out)]) == 0
    return Dataset.open(out)


@pytest.mark.parametrize("name", [*PICTURES, *TABLES])
def test_a_folder(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    case = (PICTURES | TABLES)[name]
    for file, data in case.files.items():
        (home / "in" / file).write_bytes(data)
    data_set = run(home, home / "in", case.refused, capsys)
    assert (data_set is None) == bool(case.refused)
    if data_set is not None:
        assert case.read(data_set), (data_set.labels, data_set.images(range(len(data_set)))[:, :, 8, 8])


@pytest.mark.parametrize("name", ZIPS)
def test_a_zip(name: str, home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, words = ZIPS[name]
    (home / "in" / "a.zip").write_bytes(data)
    run(home, home / "in" / "a.zip", words, capsys)


def test_the_tables_are_long_enough() -> None:
    assert len(PICTURES) + len(TABLES) + len(ZIPS) >= 40


def test_links_to_images_are_followed_and_links_in_a_circle_are_not(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "in" / "a.png").symlink_to(home / "outside.png")
    (home / "in" / "again").symlink_to(home / "in")
    assert [*(run(home, home / "in", (), capsys) or Dataset.open(home)).names] == ["a.png"]
    (home / "in" / "b.png").symlink_to(home / "nothing.png")
    (home / "out" / "a.zip").unlink()
    run(home, home / "in", ("b.png", "link to nothing", "put it back or remove it"), capsys)
    (home / "in" / "b.png").unlink()
    for name, words in (("b.png", "link to nothing"), ("metadata.csv", "cannot be read")):
        (home / "in" / name).symlink_to(home / "in" / name)
        run(home, home / "in", (name, words), capsys)
        (home / "in" / name).unlink()


@pytest.mark.parametrize("number", [errno.ELOOP, errno.EFBIG])
def test_other_errors_of_the_system(
    number: int, home: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuses(path: Path) -> None:
        raise OSError(number, os.strerror(number), "there")

    monkeypatch.setattr("semistylegan.data.importers.folder.open_store", refuses)
    assert main(["import", "folder", "--source", str(home / "in"), "--out", str(home / "out" / "a.zip")]) == 2
    assert capsys.readouterr().err.startswith("semistylegan: there: ")


# -- anything ------------------------------------------------------------------------------------------------------

ANY = settings(
    max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], derandomize=True
)


def reads_or_says(path: Path) -> None:
    """A UserError of one line, or images; nothing else is raised."""
    said = ""
    try:
        data = Dataset.open(path, cache_bytes=0)
        data.images(range(len(data)))
    except UserError as error:
        said = str(error)
    assert "\n" not in said and (not said or str(path) in said)


@ANY
@given(st.binary(max_size=200) | st.text("file_nam,;\t\n\r\"'.png0123456789ab-#", max_size=120).map(str.encode))
def test_any_table(tmp_path: Path, data: bytes) -> None:
    for name, png in PLAIN.items():
        (tmp_path / name).write_bytes(png)
    (tmp_path / "metadata.csv").write_bytes(b"file_name,v\n" + data)
    reads_or_says(tmp_path)


@ANY
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.booleans())
def test_any_damage_to_a_zip(tmp_path: Path, flips: list[tuple[int, int]], packed: bool) -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED) as file:
        for name, png in PLAIN.items():
            file.writestr(name, png)
        file.writestr("dataset.json", json.dumps({"labels": [["a.png", 3], ["b.png", 0]]}))
    data = bytearray(buffer.getvalue())
    for place, byte in flips:
        data[-1 - place % len(data)] = byte
    # A new file for each example: a map of one that is cut short ends the process.
    path = Path(tempfile.mkdtemp(dir=tmp_path)) / "a.zip"
    path.write_bytes(data)
    reads_or_says(path)


@ANY
@given(st.lists(st.tuples(st.integers(0, 10**6), st.integers(0, 255)), min_size=1, max_size=4), st.integers(0, 200))
def test_any_damage_to_an_image(tmp_path: Path, flips: list[tuple[int, int]], cut: int) -> None:
    data = bytearray(encode_png(np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)))
    for place, byte in flips:
        data[place % len(data)] = byte
    (tmp_path / "a.png").write_bytes(data[: len(data) - cut])
    reads_or_says(tmp_path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.sampled_from(["a.png", "b.png", "", "x"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["labels", "factors", "name"]), inner),
    max_leaves=12,
)


@ANY
@given(JSON, JSON)
def test_any_documents(tmp_path: Path, labels: object, factors: object) -> None:
    for name, png in PLAIN.items():
        (tmp_path / name).write_bytes(png)
    (tmp_path / "dataset.json").write_text(json.dumps({"labels": labels}))
    (tmp_path / "factors.json").write_text(json.dumps({"factors": factors}))
    reads_or_says(tmp_path)
    (tmp_path / "factors.json").unlink()
    reads_or_says(tmp_path)
