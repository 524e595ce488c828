"""What a user may get wrong: each one line that names the file, the value and the fix, and nothing half-written."""

from __future__ import annotations

import errno
import io
import json
import os
import struct
import sys
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semistylegan.data import Dataset
from semistylegan.data.check import check
from semistylegan.data.pictures import encode_png, load_image, save_png
from semistylegan.errors import UserError
from semistylegan.scenes.sprites import FACTORS, render

Spoil = Callable[[Path], None]


def table(text: str) -> Spoil:
    return lambda folder: (folder / "metadata.csv").write_text(text) and None


def cell(before: str, after: str) -> Spoil:
    def spoil(folder: Path) -> None:
        file = folder / "metadata.csv"
        text = file.read_text()
        assert before in text
        file.write_text(text.replace(before, after, 1))

    return spoil


def factors(text: str) -> Spoil:
    return lambda folder: (folder / "factors.json").write_text(text) and None


def with_factors(spoil: Spoil) -> Spoil:
    def both(folder: Path) -> None:
        (folder / "factors.json").write_text(json.dumps(FACTORS.to_json()))
        spoil(folder)

    return both


def image(name: str, data: bytes) -> Spoil:
    return lambda folder: (folder / name).write_bytes(data) and None


def bomb() -> bytes:
    """A PNG of a few bytes that claims 60,000 x 60,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"0")) + chunk(b"IEND", b"")


def jpeg(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG")
    return buffer.getvalue()


BAD_FOLDERS: dict[str, tuple[Spoil, list[str]]] = {
    "no column file_name": (cell("file_name", "filename"), ["line 1", "filename", "file_name"]),
    "an empty table": (table(""), ["line 1", "file_name"]),
    "a binary file": (image("metadata.csv", b"\x00\x01file_name,\x00"), ["metadata.csv", "text"]),
    "an old encoding": (image("metadata.csv", b"file_name,a\n00.png,caf\xe9\n"), ["line 2", "UTF-8"]),
    "two columns of one name": (cell(",hue,", ",shape,"), ["line 1", "'shape'", "rename"]),
    "an unknown file": (cell("07.png", "O7.png"), ["line 6", "'O7.png'", "correct file_name"]),
    "unknown files": (table("file_name,a\nx.png,1\ny.png,2\n00.png,3\n"), ["'x.png'", "1 more", "delete the row"]),
    "a row twice": (cell("07.png", "08.png"), ["line 6", "'08.png'", "line 5", "keep one"]),
    "a cell too many": (cell("07.png,", "07.png,,"), ["line 6", "7 cells", "6", "comma"]),
    "a word among numbers": (
        cell("07.png,square,", "07.png,square,pink"),
        ["line 6", "hue=pink", "make it a number, leave it blank, or declare the factor categorical in factors.json"],
    ),
    "not a number": (table("file_name,a\n00.png,NaN\n"), ["line 2", "a=NaN", "leave the cell blank"]),
    "a column without a name": (table("file_name,\n00.png,3\n"), ["line 2", "'3'", "name it"]),
    "a quotation that never ends": (table('file_name,a\n00.png,"3\n' + "x" * 140_000), ["metadata.csv", "line 2"]),
    "a word where factors.json has a scalar": (
        with_factors(cell("07.png,square,", "07.png,square,pink")),
        ["metadata.csv line 6", "hue=pink", "not a number", "factors.json"],
    ),
    "out of range": (
        with_factors(cell("07.png,square,", "07.png,square,400.5")),
        ["metadata.csv line 6", "hue=400.5", "0 to 360", "factors.json"],
    ),
    "an unknown category": (
        with_factors(cell("square", "quadrat")),
        ["metadata.csv line", "shape=quadrat", "ring, square, triangle", "leave it blank"],
    ),
    "factors.json is not JSON": (factors('{"factors": [\n{"name": "a",}]}'), ["factors.json line 2", "JSON"]),
    "factors.json is a list": (factors("[]"), ["factors.json", "list"]),
    "factors.json without factors": (factors("{}"), ["factors.json", '"factors"']),
    "factors.json with an odd kind": (
        factors('{"factors": [{"name": "a", "kind": "round"}]}'),
        ["factors.json", "'a'", "'round'", "circular"],
    ),
    "factors.json with an empty range": (
        factors('{"factors": [{"name": "a", "range": [1, 1]}]}'),
        ["factors.json", "'a'", "range"],
    ),
    "factors.json with half a range": (factors('{"factors": [{"name": "a", "range": [1]}]}'), ["factors.json"]),
    "factors.json with a word as size": (factors('{"factors": [{"name": "a", "size": "x"}]}'), ["factors.json"]),
    "factors.json with a mistyped field": (
        factors('{"factors": [{"name": "a", "Kind": "circular"}]}'),
        ["factors.json", "'a'", "'Kind'", "known are name, kind, "],
    ),
    "an image of no content": (image("04.png", b""), ["04.png", "not a PNG"]),
    "a text that is called an image": (image("04.png", b"hello, this is a text, no image at all"), ["04.png"]),
    "half a header": (image("04.png", encode_png(render(0, 32))[:20]), ["04.png"]),
    "another size": (
        lambda folder: save_png(folder / "04.png", render(0, 16)),
        ["04.png", "16 x 16", "00.png", "32 x 32", "make all images alike", "semistylegan import folder --source"],
    ),
    "another size, as JPEG": (
        image("04.jpg", jpeg(Image.new("RGB", (32, 16)))),
        ["04.jpg", "32 x 16", "00.png", "32 x 32"],
    ),
    "grey among colour": (
        lambda folder: save_png(folder / "04.png", render(0, 32)[..., :1]),
        ["04.png", "grey", "00.png", "colour", "make all images alike"],
    ),
    "a bomb": (image("04.png", bomb()), ["04.png", "60000 x 60000", "smaller"]),
}


def one_line(error: pytest.ExceptionInfo[UserError], words: list[str]) -> None:
    text = str(error.value)
    assert "\n" not in text and len(text) < 500
    assert all(word in text for word in words), text


@pytest.mark.parametrize("name", list(BAD_FOLDERS))
def test_a_bad_folder(name: str, sprites_folder: Path) -> None:
    spoil, words = BAD_FOLDERS[name]
    spoil(sprites_folder)
    before = sorted(sprites_folder.rglob("*"))
    with pytest.raises(UserError) as error:
        Dataset.open(sprites_folder)
    one_line(error, [str(sprites_folder), *words])
    report = check(sprites_folder)  # says the same, and does not give up
    assert not report.ok
    assert any(all(word in str(problem) for word in words[1:2]) for problem in report.problems), report.problems
    assert sorted(sprites_folder.rglob("*")) == before


def test_too_many_words(tmp_path: Path) -> None:
    for i in range(300):
        save_png(tmp_path / f"{i:03d}.png", render(i, 16))
    rows = "".join(f"{i:03d}.png,remark {i}\n" for i in range(300))
    (tmp_path / "metadata.csv").write_text("file_name,note\n" + rows)
    with pytest.raises(UserError) as error:
        Dataset.open(tmp_path)
    one_line(error, ["'note'", "300 different words", "factors.json"])


def test_a_truncated_image_is_named_when_it_is_read(sprites_folder: Path) -> None:
    data = (sprites_folder / "04.png").read_bytes()
    for length in (40, len(data) // 2, len(data) - 20):
        (sprites_folder / "04.png").write_bytes(data[:length])
        for cache in (0, 1 << 30):
            with pytest.raises(UserError) as error:
                Dataset.open(sprites_folder, cache_bytes=cache).images(range(12))
            one_line(error, ["04.png", "cut off", "copy it again"])
    assert [p.file for p in check(sprites_folder).problems] == [str(sprites_folder / "04.png")]


@pytest.mark.parametrize("length", [100, 1000])
def test_a_truncated_jpeg(length: int, tmp_path: Path) -> None:
    data = jpeg(Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)))
    (tmp_path / "a.jpg").write_bytes(data[:length])
    with pytest.raises(UserError) as error:
        load_image(tmp_path / "a.jpg")
    one_line(error, ["a.jpg"])


def test_no_such_folder(tmp_path: Path) -> None:
    for action in (Dataset.open, check, load_image):
        with pytest.raises(UserError) as error:
            action(tmp_path / "nothing")  # type: ignore[operator]
        one_line(error, [str(tmp_path / "nothing"), "no such"])


def test_an_empty_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").touch()
    with pytest.raises(UserError) as error:
        Dataset.open(tmp_path)
    one_line(error, [str(tmp_path), "no image", "PNG or JPEG"])


def test_a_link_to_nothing(sprites_folder: Path) -> None:
    (sprites_folder / "05b.png").symlink_to(sprites_folder / "gone.png")
    with pytest.raises(UserError) as error:
        Dataset.open(sprites_folder)
    one_line(error, ["05b.png", "link to nothing"])


@pytest.mark.skipif(sys.platform != "linux", reason="other systems have no such names")
def test_a_name_that_is_no_utf_8(sprites_folder: Path) -> None:
    os.rename(sprites_folder / "05.png", os.fsencode(sprites_folder) + b"/caf\xe9.png")
    with pytest.raises(UserError) as error:
        Dataset.open(sprites_folder)
    one_line(error, [str(sprites_folder), r"'caf\udce9.png' is not UTF-8", "rename"])


def test_a_folder_in_it_that_may_not_be_read(sprites_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not by its permissions: whoever runs the tests may have the right to read all."""
    scandir = os.scandir

    def refuses(path: str) -> Any:
        if Path(path).name == "more":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuses)
    with pytest.raises(UserError) as error:
        Dataset.open(sprites_folder)
    one_line(error, [str(sprites_folder / "more"), "cannot be read", "Permission denied"])


@pytest.mark.skipif(os.name == "nt", reason="no FIFOs there")
def test_a_pipe_is_no_data_set(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(UserError, match="folder or zip"):
        Dataset.open(tmp_path / "pipe")


# -- zips --------------------------------------------------------------------------------------------------

PNG = encode_png(render(0, 16))


def packed(path: Path, files: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


@pytest.mark.parametrize(
    ("files", "words"),
    [
        ({"a.png": PNG, "../b.png": PNG}, ["'../b.png'", "climbs out"]),
        ({"a.png": PNG, "/etc/b.png": PNG}, ["climbs out"]),
        ({"a.png": PNG, "x/../../b.png": PNG}, ["climbs out"]),
        ({"a.png": PNG, "C:/b.png": PNG}, ["climbs out"]),
        ({"notes.txt": b"x"}, ["no image"]),
        ({}, ["no image"]),
        ({"a.png": PNG, "b.png": encode_png(render(0, 32))}, ["b.png", "32 x 32", "a.png", "16 x 16"]),
        ({"a.png": bomb()}, ["a.png", "60000 x 60000"]),
        ({"a.png": PNG, "dataset.json": b"{"}, ["dataset.json line 1", "JSON"]),
        ({"a.png": PNG, "dataset.json": b'{"labels": [["b.png", 1]]}'}, ["dataset.json", "b.png", "no such image"]),
        (
            {
                "a.png": PNG,
                "dataset.json": b'{"labels": [["a.png", [0.5]]]}',
                "factors.json": json.dumps(FACTORS.to_json()).encode(),
            },
            ["dataset.json", "a.png", "1 numbers", "5 factors"],
        ),
        ({"a.png": PNG, "dataset.json": b"[" * 100_000}, ["dataset.json"]),
    ],
)
def test_a_bad_zip(files: dict[str, bytes], words: list[str], tmp_path: Path) -> None:
    path = packed(tmp_path / "a.zip", files)
    with pytest.raises(UserError) as error:
        Dataset.open(path)
    one_line(error, [str(path), *words])


def test_a_zip_cut_off_or_no_zip(sprites_zip: Path, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    for data in (sprites_zip.read_bytes()[:-500], b"hello", b""):
        path.write_bytes(data)
        with pytest.raises(UserError) as error:
            Dataset.open(path)
        one_line(error, [str(path), "not a zip, or cut off"])


@pytest.mark.parametrize(
    ("compression", "place"),
    [
        (zipfile.ZIP_STORED, 60),
        (zipfile.ZIP_DEFLATED, 60),
        *((zipfile.ZIP_BZIP2, place) for place in (2, 20, 60)),
        *((zipfile.ZIP_LZMA, place) for place in (2, 4, 10, 60)),
    ],
)
def test_a_damaged_entry_is_named(compression: int, place: int, tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", compression) as out:
        for i in range(3):
            out.writestr(f"{i}.png", encode_png(render(i, 32)))
        middle = out.getinfo("1.png").header_offset + 30 + 5 + place
    data = bytearray(path.read_bytes())
    data[middle] ^= 0x55
    path.write_bytes(data)
    with pytest.raises(UserError) as error:
        Dataset.open(path).images([0, 1, 2])
    one_line(error, ["1.png", "damaged"])
    assert [Path(p.file).name for p in check(path).problems] == ["1.png"]


def test_a_damaged_entry_that_reads_well_is_named(tmp_path: Path) -> None:
    """A table has no checksum of its own, as a PNG has: that of the zip tells."""
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.writestr("a.png", PNG)
        out.writestr("metadata.csv", "file_name,size\na.png,1\n")
    path.write_bytes(path.read_bytes().replace(b"a.png,1", b"a.png,3"))
    with pytest.raises(UserError, match=r"a\.zip/metadata\.csv: damaged in the zip; copy or make the zip again"):
        Dataset.open(path)


def test_two_entries_of_one_name(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
        out.writestr("a.png", PNG)
        with pytest.warns(UserWarning, match="Duplicate"):
            out.writestr("a.png", PNG)
    with pytest.raises(UserError, match=r"two entries are named 'a\.png'"):
        Dataset.open(tmp_path / "a.zip")


@pytest.mark.parametrize("other", ["./x/a.png", "x//a.png", "x/./a.png"])
def test_entries_that_would_be_one_file_in_a_folder(other: str, tmp_path: Path) -> None:
    """Of these, `convert --to folder` would keep one; and a name that begins with a point would be a hidden file's."""
    assert Dataset.open(packed(tmp_path / "a.zip", {other: PNG})).names == ["x/a.png"]
    with pytest.raises(UserError, match=r"two entries are named 'x/a\.png'"):
        Dataset.open(packed(tmp_path / "b.zip", {"x/a.png": PNG, other: PNG}))


def test_an_entry_that_claims_another_size_than_it_has(tmp_path: Path) -> None:
    """The directory's offsets and sizes are not trusted."""
    path = packed(tmp_path / "a.zip", {"a.png": PNG})
    data = bytearray(path.read_bytes())
    entry = data.rindex(b"PK\1\2")
    for field, value in ((10, struct.pack("<H", 0)), (24, struct.pack("<I", 1 << 25))):
        data[entry + field : entry + field + len(value)] = value
    path.write_bytes(data)
    with pytest.raises(UserError, match=r"a\.png: damaged"):
        Dataset.open(path).images([0])
