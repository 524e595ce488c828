"""Storage: what is written is read back, zips of others are understood, half a file is never seen."""

from __future__ import annotations

import errno
import io
import json
import pickle
import struct
import threading
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from semistylegan.cli.using import image_files
from semistylegan.data import pictures
from semistylegan.data.check import check
from semistylegan.data.dataset import Dataset
from semistylegan.data.storage import ZipStore, ZipWriter, images_below, open_store
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

EVERY_KIND = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "crôss")),
        Factor.circular("hue", 12),
        Factor.scalar("scale", 5, 0.13, 0.29),
        Factor.scalar_grid("light", (1, 2, 4)),
        Factor.scalar("weight"),
    )
)


def noise(seed: int, channels: int = 3, height: int = 16, width: int = 16) -> np.ndarray[Any, Any]:
    return np.random.default_rng(seed).integers(0, 256, (height, width, channels), dtype=np.uint8)


def test_transparency_far_into_a_file_is_seen(tmp_path: Path) -> None:
    """A long comment may stand before it; faster decoders do not lay it over white."""
    text = PngInfo()
    text.add_text("Comment", "x" * 5000)
    Image.new("RGB", (4, 4), (255, 0, 0)).save(tmp_path / "a.png", transparency=(255, 0, 0), pnginfo=text)
    data = (tmp_path / "a.png").read_bytes()
    at, there = data.index(b"tRNS") - 4, data.index(b"tEXt") - 4
    if at < there:  # Pillow writes it first
        chunk = data[at : at + 18]
        data = data.replace(chunk, b"").replace(data[there : there + 5020], data[there : there + 5020] + chunk)
    assert data.index(b"tRNS") > 4096
    assert not pictures.keeps_as_png(data)
    assert (pictures.decode_image(data, "a.png") == np.full((4, 4, 3), 255)).all()


def zip_of(path: Path, files: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> Path:
    with zipfile.ZipFile(path, "w", compression) as out:
        for name, data in files.items():
            out.writestr(name, data)
    return path


@pytest.mark.parametrize("channels", [1, 3])
def test_a_zip_holds_images_and_labels_of_every_kind(channels: int, tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    images = [noise(i, channels) for i in range(30)]
    level = np.stack([f.level_of_index(rng.integers(0, f.size or 2, 30)) for f in EVERY_KIND], 1)
    level[:, 4] = rng.random(30)
    known = rng.random((30, 5)) < 0.6
    known[7] = False
    with ZipWriter(tmp_path / "a.zip", EVERY_KIND, {"made": {"by": "test"}}) as out:
        for i in range(30):
            out.add(f"sub/{i:06d}.png", images[i], None if i == 7 else level[i], None if i == 7 else known[i])
    data = Dataset.open(tmp_path / "a.zip")
    assert data.space == EVERY_KIND
    assert (data.labels.known_NF == known).all()
    assert (data.labels.level_NF == np.where(known, level, 0).astype(np.float32)).all()
    assert (data.channels, data.resolution, len(data)) == (channels, 16, 30)
    assert (data.images(range(30)).permute(0, 2, 3, 1).numpy() == np.array(images)).all()
    document = data.store.document("dataset.json")
    assert (
        document is not None
        and document["made"] == {"by": "test"}
        and len(document["labels"]) == known.any(axis=1).sum()
    )


def test_the_same_content_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("a.zip", "b.zip"):
        with ZipWriter(tmp_path / name, EVERY_KIND) as out:
            for i in range(3):
                out.add(f"{i}.png", noise(i), [0, 0.5, 0.25, 1, 0.1])
    assert (tmp_path / "a.zip").read_bytes() == (tmp_path / "b.zip").read_bytes()
    with zipfile.ZipFile(tmp_path / "a.zip") as file:
        assert all(info.compress_type == zipfile.ZIP_STORED for info in file.infolist())


def test_linked_folders_are_walked_once_and_never_in_a_circle(tmp_path: Path) -> None:
    home, other = tmp_path / "home", tmp_path / "other"
    for file in (home / "b" / "0.png", home / ".store" / "3.png", other / "1.png", other / "deep" / "2.png"):
        pictures.save_png(file, np.zeros((16, 16, 3), np.uint8))
    (home / "a").symlink_to(other / "deep")
    (home / "c").symlink_to(other)  # whose sub-folder is walked by then
    (home / "d").symlink_to(other / "deep")
    (home / "a b").symlink_to(home / "b")  # which comes by its own name
    (home / "b" / "round").symlink_to(home)
    (home / "kept").symlink_to(home / ".store")
    (home / "up").symlink_to(tmp_path)
    (home / ".hidden").symlink_to(other)
    (home / "nowhere").symlink_to(tmp_path / "gone")
    (other / "back").symlink_to(home / "b")
    (other / "deep" / "back").symlink_to(other)
    names = ["a/2.png", "b/0.png", "c/1.png", "kept/3.png"]
    assert open_store(home).names == names and images_below(home) == names
    (tmp_path / "link").symlink_to(home)
    assert open_store(tmp_path / "link").names == names
    assert list(image_files([home])) == [home / name for name in names]


def test_images_alone(tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "a.zip") as out:
        out.add("0.png", noise(0))
    data = Dataset.open(tmp_path / "a.zip")
    assert len(data.space) == 0 and data.labels.level_NF.shape == (1, 0)
    assert data.indices_NF().shape == (1, 0)


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_zip_of_stylegans_own(compression: int, tmp_path: Path) -> None:
    files = {f"0000{i // 2}/img{i:08d}.png": pictures.encode_png(noise(i)) for i in (3, 0, 2, 1)}
    files["dataset.json"] = json.dumps({"labels": [[name, int(name[-5])] for name in files]}).encode()
    path = zip_of(tmp_path / "a.zip", files, compression)
    data = Dataset.open(path)
    assert data.names == sorted(n for n in files if n.endswith("png"))
    assert data.space["class"].categories == ("0", "1", "2", "3")
    assert data.labels.level_NF[:, 0].tolist() == [0, 1, 2, 3]
    for i in range(4):
        assert (data.store.read(i) == noise(i)).all()


def test_what_is_no_image_is_left_out(tmp_path: Path) -> None:
    png = pictures.encode_png(noise(0))
    files = {"a.png": png, "__MACOSX/a.png": b"x", ".hidden/b.png": b"x", "._a.png": b"x", "notes.txt": b"x"}
    assert open_store(zip_of(tmp_path / "a.zip", files)).names == ["a.png"]
    for name, content in files.items():
        path = tmp_path / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    assert open_store(tmp_path / "folder").names == ["a.png"]


def test_a_zipped_folder_with_its_table(tmp_path: Path) -> None:
    files = {"x/a.png": pictures.encode_png(noise(0)), "metadata.csv": b"file_name,size\nx/a.png,3\n"}
    data = Dataset.open(zip_of(tmp_path / "a.zip", files))
    assert data.space.names == ("size",) and data.labels.known_NF.all()


class Unmarked(zipfile.ZipInfo):
    """An entry as Info-ZIP writes it on Linux: its name is UTF-8, and no flag says so."""

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(), 0


@pytest.mark.parametrize("compression", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_names_of_other_programs_are_as_they_were(compression: int, tmp_path: Path) -> None:
    names = ["Büro/größe.png", "写真.png", "img\\a.png", "Über.png"]
    with zipfile.ZipFile(tmp_path / "a.zip", "w", compression) as out:
        for i, name in enumerate(names[:3]):
            out.writestr(Unmarked(name), pictures.encode_png(noise(i)), compression)
        out.writestr(names[3], pictures.encode_png(noise(3)))
        out.writestr(zipfile.ZipInfo("img\\"), b"")
        rows = [f"{name},{i}" for i, name in enumerate(names)]
        out.writestr("metadata.csv", "\n".join(["file_name,number", *rows]))
    data = Dataset.open(tmp_path / "a.zip")
    assert data.names == sorted(name.replace("\\", "/") for name in names)
    for name, number in zip(data.names, data.indices_NF()[:, 0], strict=True):
        assert names[number].replace("\\", "/") == name
        assert (data.store.read(data.names.index(name)) == noise(number)).all()


def test_names_that_were_taken_for_old_ones_may_not_climb_out(tmp_path: Path) -> None:
    for names in (["ü/..\\..\\b.png"], ["\\é.png"], ["a\\b.png", "a/b.png"]):
        with zipfile.ZipFile(tmp_path / "a.zip", "w") as out:
            for name in names:
                out.writestr(Unmarked(name), pictures.encode_png(noise(0)))
        with pytest.raises(UserError, match=r"climbs out|two entries are named 'a/b\.png'"):
            open_store(tmp_path / "a.zip")


def test_threads_share_a_zip(tmp_path: Path) -> None:
    for compression in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        files = {f"{i:03d}.png": pictures.encode_png(noise(i)) for i in range(40)}
        store = open_store(zip_of(tmp_path / f"{compression}.zip", files, compression))
        wrong: list[int] = []

        def read(store: Any = store, wrong: list[int] = wrong) -> None:
            wrong.extend(i for i in range(40) if not (store.read(i) == noise(i)).all())

        threads = [threading.Thread(target=read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_a_store_travels_to_another_process(sprites_zip: Path) -> None:
    store = pickle.loads(pickle.dumps(open_store(sprites_zip)))  # noqa: S301  (made here)
    assert isinstance(store, ZipStore) and (store.read(3) == open_store(sprites_zip).read(3)).all()


# -- writing, when something goes wrong ------------------------------------------------------------------------


class Interrupted(Exception):
    pass


def write(path: Path, images: list[np.ndarray[Any, Any]], end: Exception | None = None) -> None:
    with ZipWriter(path) as out:
        for i, image in enumerate(images):
            out.add(f"{i}.png", image)
        if end is not None:
            raise end


def test_a_failure_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(b"before")
    with pytest.raises(Interrupted):
        write(path, [noise(0)], Interrupted())
    with pytest.raises(UserError, match="no image"):
        write(path, [])
    with pytest.raises(UserError, match=r"1\.png: 8 x 16 pixels, colour, where 0\.png is 16 x 16 pixels, colour"):
        write(path, [noise(0), noise(0, width=8)])
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]
    assert path.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("name", "image", "labels", "says"),
    [
        ("b.png", np.zeros((16, 16, 3), np.float32), (), "b.png: float32 16 x 16 x 3; give uint8, height x width x 3"),
        ("b.png", np.zeros((16, 16, 4), np.uint8), (), "b.png: uint8 16 x 16 x 4; give uint8"),
        ("b.png", np.zeros((16, 16), np.uint8), (), "b.png: uint8 16 x 16; give uint8"),
        ("b.png", np.zeros((0, 16, 3), np.uint8), (), "b.png: uint8 0 x 16 x 3; give uint8"),
        ("a.png", noise(0), (), "a.png: is in .*x.zip already"),
        ("../b.png", noise(0), (), "../b.png: leads out of"),
        ("/b.png", noise(0), (), "/b.png: leads out of"),
        ("b.png", noise(0), ([1.0],), "b.png: 1 levels, but there are 2 factors; give one for each"),
        ("b.png", noise(0), ([0.0, 1.0], [True]), "b.png: 1 entries of known_F, but there are 2 factors"),
        ("b.png", noise(0), ([0.0, np.nan],), "b.png: a level is NaN or infinite"),
        ("b.png", noise(0), (["ring", 0],), "b.png: its levels are not numbers"),
    ],
)
def test_what_cannot_be_added_is_told(name: str, image: Any, labels: Any, says: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=says), ZipWriter(tmp_path / "x.zip", FactorSpace.grid({"a": 2, "b": 3})) as out:
        out.add("a.png", noise(0), [0.0, np.nan], [True, False])
        out.add(name, image, *labels)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("part", [0.3, 0.6, 0.8, 0.95])
def test_a_full_disk(part: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk has room for one image, for both, or for all but the closing directory."""
    write(tmp_path / "a.zip", [noise(0), noise(1)])
    room = int((tmp_path / "a.zip").stat().st_size * part)
    (tmp_path / "a.zip").unlink()

    class Disk(io.FileIO):
        left = room

        def write(self, data: Any) -> int:
            Disk.left -= len(data)
            if Disk.left < 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            return super().write(data)

    real = io.open

    def full(file: Any, mode: str = "r", *rest: Any, **named: Any) -> Any:
        return Disk(file, "w+") if "w" in mode and "b" in mode else real(file, mode, *rest, **named)

    monkeypatch.setattr(zipfile.io, "open", full)  # type: ignore[attr-defined]
    with pytest.raises(OSError, match="No space left") as error:
        write(tmp_path / "a.zip", [noise(0), noise(1)])
    assert error.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


# -- pictures ----------------------------------------------------------------------------------------------


def encoded(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


RED = (200, 10, 30)


def deep_grey(level: int, alpha: int) -> bytes:
    """10 x 20 pixels of 16-bit grey with alpha, which Pillow reads but does not write."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = (b"\0" + struct.pack(">HH", level, alpha) * 10) * 20
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", 10, 20, 16, 4, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def turned() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.new("RGB", (20, 10), RED), "JPEG", exif=exif, quality=100)


def palette(transparent: bool) -> bytes:
    image = Image.new("P", (10, 20), 1)
    image.putpalette([0, 0, 0, *RED])
    return encoded(image, transparency=1) if transparent else encoded(image)


@pytest.mark.parametrize(
    ("data", "pixel"),
    [
        (encoded(Image.new("L", (10, 20), 77)), [77]),
        (encoded(Image.new("1", (10, 20), 1)), [255]),
        (encoded(Image.fromarray(np.full((20, 10), 257 * 77 + 100, np.uint16))), [77]),
        (encoded(Image.new("LA", (10, 20), (0, 128))), [127]),
        (deep_grey(257 * 77, 65535), [77]),
        (deep_grey(0, 257 * 128), [127]),
        (encoded(Image.new("RGB", (10, 20), RED)), list(RED)),
        (encoded(Image.new("RGBA", (10, 20), (*RED, 0))), [255, 255, 255]),
        (encoded(Image.new("RGBA", (10, 20), (*RED, 255))), list(RED)),
        (palette(False), list(RED)),
        (palette(True), [255, 255, 255]),
        (encoded(Image.new("CMYK", (10, 20), (0, 0, 0, 0)), "JPEG"), [255, 255, 255]),
        (encoded(Image.new("L", (10, 20), 77), "JPEG", quality=100), [77]),
        (turned(), list(RED)),
        (encoded(Image.new("RGB", (10, 20), RED), "WEBP", lossless=True), list(RED)),
        (encoded(Image.new("RGB", (10, 20), RED), "BMP"), list(RED)),
    ],
)
def test_every_kind_of_image(data: bytes, pixel: list[int]) -> None:
    image = pictures.decode_image(data, "a.png")
    assert image.dtype == np.uint8 and image.shape == (20, 10, len(pixel))
    assert np.abs(image.astype(int) - pixel).max() <= 3
    assert pictures.read_header(data, "a.png") == pictures.Header(20, 10, len(pixel))


ORIENTED = Image.fromarray(np.kron([[10, 60, 110], [160, 210, 250]], np.ones((16, 16))).astype(np.uint8))
"""Six patches of grey, 48 x 32, that no turn leaves as they are."""


def lying(orientation: int, kind: str, **options: Any) -> bytes:
    """ORIENTED as a camera writes it that was held so: the pixels turned back, and the turn in EXIF."""
    exif = Image.Exif()
    exif[0x0112] = orientation
    T = Image.Transpose
    back = {2: T.FLIP_LEFT_RIGHT, 3: T.ROTATE_180, 4: T.FLIP_TOP_BOTTOM, 5: T.TRANSPOSE, 6: T.ROTATE_90}
    turn = (back | {7: T.TRANSVERSE, 8: T.ROTATE_270}).get(orientation)
    return encoded(ORIENTED if turn is None else ORIENTED.transpose(turn), kind, exif=exif, **options)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_pictures_are_turned_upright(orientation: int, kind: str, tmp_path: Path) -> None:
    data = lying(orientation, kind, **({"lossless": True} if kind == "WEBP" else {"quality": 100}))
    image = pictures.decode_image(memoryview(data), "a")
    assert image.shape[:2] == (32, 48)
    assert np.abs(image[..., 0].astype(int) - np.asarray(ORIENTED)).max() <= 3
    assert pictures.read_header(data, "a") == pictures.Header(*image.shape)
    (tmp_path / "a.png").write_bytes(data)
    for store in (open_store(tmp_path), open_store(zip_of(tmp_path / "a.zip", {"a.png": data}))):
        assert store.header(0) == pictures.Header(*image.shape)
    assert pictures.keeps_as_png(data) == (kind == "PNG" and orientation == 1)


@pytest.mark.parametrize("mode", ["1", "P", "LA", "RGB", "RGBA", "I;16"])
def test_pngs_of_every_mode_are_turned(mode: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    wide = Image.fromarray(np.asarray(ORIENTED, np.uint16) * 257)
    image = wide if mode == "I;16" else ORIENTED.convert(mode)
    flat = pictures.decode_image(encoded(image), "a.png")
    turned = pictures.decode_image(encoded(image, exif=exif), "a.png")
    assert (turned == np.rot90(flat, -1)).all()


def test_damaged_exif_leaves_the_picture() -> None:
    for kind, options in (("PNG", {}), ("WEBP", {"lossless": True}), ("JPEG", {"quality": 100})):
        data = encoded(ORIENTED, kind, exif=b"Exif\0\0nonsense", **options)
        assert pictures.decode_image(data, "a").shape[:2] == (32, 48)
        assert pictures.read_header(data, "a").width == 48


@pytest.mark.parametrize("mode", ["L", "RGB"])
@pytest.mark.parametrize("options", [{"compress_level": 0}, {"compress_level": 9}, {"optimize": True}])
def test_both_readers_of_pngs_agree(mode: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    codecs = pytest.importorskip("imagecodecs")
    data = encoded(Image.fromarray(noise(3, 3, 40, 30)).convert(mode), **options)
    calls: list[int] = []
    decode = codecs.png_decode
    monkeypatch.setattr(codecs, "png_decode", lambda data: calls.append(1) or decode(data))
    quick = pictures.decode_image(memoryview(data), "a.png")
    monkeypatch.setattr(pictures, "_imagecodecs", lambda: None)
    assert calls and (quick == pictures.decode_image(data, "a.png")).all()


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_survive_floats_and_files(channels: int, tmp_path: Path) -> None:
    images = np.stack([noise(i, channels) for i in range(3)])
    assert (pictures.to_uint8(pictures.to_tensor(images)) == images).all()
    pictures.save_png(tmp_path / "new" / "a.png", images[0])
    assert (pictures.load_image(tmp_path / "new" / "a.png") == images[0]).all()
    assert pictures.load_image(tmp_path / "new" / "a.png", 4 - channels).shape == (16, 16, 4 - channels)


def test_floats_beyond_the_range_are_clipped() -> None:
    import torch

    image = torch.tensor([-9.0, -1, 0, 1, 9]).reshape(1, 1, 1, 5)
    assert pictures.to_uint8(image).ravel().tolist() == [0, 0, 128, 255, 255]


def test_resizing_keeps_the_centre() -> None:
    image = np.zeros((32, 64, 3), np.uint8)
    image[:, 16:48] = 255
    small = pictures.resize(image, 16)
    assert small.shape == (16, 16, 3) and small.min() == 255
    assert pictures.resize(image[..., :1], 8).shape == (8, 8, 1)


def test_what_is_padded_lies_in_the_middle_of_white() -> None:
    tall = np.arange(8, dtype=np.uint8).reshape(4, 2, 1)
    padded = pictures.square(tall, "pad")
    assert (padded[:, 1:3] == tall).all() and (padded[:, [0, 3]] == 255).all()
    assert (pictures.square(tall.swapaxes(0, 1), "pad") == padded.swapaxes(0, 1)).all()
    assert (pictures.square(tall, "pad", crop=2)[..., 0] == [[2, 3], [4, 5]]).all()
    assert pictures.square(tall, "pad", crop=3).shape == (3, 3, 1)


def test_colour_becomes_grey_by_brightness_and_grey_all_three() -> None:
    image = np.full((2, 2, 3), RED, np.uint8)
    assert (pictures.to_channels(image, 1) == round(0.299 * 200 + 0.587 * 10 + 0.114 * 30)).all()
    assert (pictures.to_channels(image[..., :1], 3) == 200).all() and pictures.to_channels(image, 3) is image


def test_tiles() -> None:
    sheet = pictures.tile(np.zeros((5, 4, 6, 1), np.uint8), columns=3, gap=2, background=9)
    assert sheet.shape == (10, 22, 1)
    assert (sheet[:4, :6] == 0).all() and (sheet[4:6] == 9).all() and (sheet[6:, 16:] == 9).all()


@pytest.mark.parametrize("background", [0, 255])
def test_what_was_tiled_is_cut_again(background: int) -> None:
    images = np.random.default_rng(0).integers(256, size=(5, 4, 4, 3), dtype=np.uint8)
    images[1] = background  # an image, though it looks like none
    sheet = pictures.tile(images, columns=3, background=background)
    assert np.array_equal(pictures.untile(sheet, 4, background), images)
    assert len(pictures.untile(np.full_like(sheet, background), 4, background)) == 0


def test_other_pictures_of_the_same_size_have_another_fingerprint(tmp_path: Path) -> None:
    """BMP files are as large as their pictures; of PNG files the size alone counts, as ever."""
    prints = []
    for seed in (0, 1, 0):
        for name in ("a.bmp", "b.BMP"):
            (tmp_path / name).write_bytes(encoded(Image.fromarray(noise(seed)), "BMP"))
        prints.append(Dataset.open(tmp_path).fingerprint())
    assert prints[0] == prints[2] != prints[1]
    assert open_store(tmp_path).stamp(1) != open_store(tmp_path).stamp(1)[:1]
    (tmp_path / "c.png").write_bytes(encoded(Image.fromarray(noise(0))))
    assert open_store(tmp_path).stamp(2) == ((tmp_path / "c.png").stat().st_size,)


def test_labels_next_to_a_zip_count_instead_of_those_inside(tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "a.b.zip", FactorSpace((Factor.scalar("size"),))) as out:
        for i in range(4):
            out.add(f"{i}.png", noise(i), [i / 3])
    store = open_store(tmp_path / "a.b.zip")
    # Without labels beside it, the factors beside a zip say nothing of those inside.
    factors = FactorSpace((Factor.categorical("shape", ("ring", "cross")),))
    store.beside("factors.json").write_text(json.dumps(factors.to_json()))
    assert Dataset.open(store.path).space.names == ("size",)
    store.beside("metadata.csv").write_text("file_name,shape\n2.png,cross\n")
    data = Dataset.open(store.path)
    assert store.beside("metadata.csv").name == "a.b.metadata.csv"
    assert data.space == factors and data.labels.labelled_rows.tolist() == [2] and data.labels.level_NF[2] == [1]
    assert check(store.path).labelled == 1
    store.beside("metadata.csv").write_text("file_name,shape\n2.png,croos\n")
    with pytest.raises(UserError, match=r"^\S+a\.b\.metadata\.csv line 2: shape=croos"):
        Dataset.open(store.path)
    store.beside("metadata.csv").write_text("file_name,shape\n")
    store.beside("factors.json").write_text("[")
    with pytest.raises(UserError, match=r"^\S+a\.b\.factors\.json line 1"):
        Dataset.open(store.path)
