"""HF datasets and WebDataset: what `convert` writes, the libraries themselves read, and `import` gives back."""

from __future__ import annotations

import gc
import io
import json
import os
import subprocess
import sys
import tarfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from semistylegan.cli.program import main
from semistylegan.data import Dataset, ZipWriter
from semistylegan.data.exporting import FORMS, export_dataset
from semistylegan.data.importers import huggingface, open_source
from semistylegan.data.importing import import_dataset
from semistylegan.data.pictures import encode_png, save_png
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

datasets = pytest.importorskip("datasets")
webdataset = pytest.importorskip("webdataset")

SPACE = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "crôss", "none")),
        Factor.circular("hue", 12),
        Factor.scalar("size", 5, 0.13, 0.29, unit="cm"),
        Factor.scalar_grid("light", (1, 2, 4)),
        Factor.scalar("weight"),
    )
)


def picture(i: int, side: int = 16) -> np.ndarray[Any, Any]:
    return np.random.default_rng(i).integers(0, 256, (side, side, 3), dtype=np.uint8)


@pytest.fixture
def data(tmp_path: Path) -> Dataset:
    """30 images in two folders, factors of every kind, many cells blank, three rows without any."""
    rng = np.random.default_rng(0)
    level = np.stack([f.level_of_index(rng.integers(0, f.size or 2, 30)) for f in SPACE], 1)
    level[:, 4] = rng.random(30)
    known = rng.random((30, 5)) < 0.6
    known[[0, 9, 20]] = False
    with ZipWriter(tmp_path / "data.zip", SPACE) as out:
        for i in range(30):
            out.add(f"{i % 2}/{i:03d}.png", picture(i), level[i], known[i])
    return Dataset.open(tmp_path / "data.zip")


@pytest.mark.parametrize("form", FORMS)
def test_there_and_back(form: str, data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semistylegan.data.exporting.SHARD", 13)
    monkeypatch.setattr("semistylegan.data.exporting.ROWS", 5)
    export_dataset(data, form, tmp_path / "out")
    import_dataset(open_source(form, tmp_path / "out"), form, tmp_path / "back.zip")
    back = Dataset.open(tmp_path / "back.zip")
    assert back.names == data.names and back.space == data.space
    assert (back.labels.known_NF == data.labels.known_NF).all()
    assert np.abs(back.labels.level_NF - data.labels.level_NF).max() < 1e-6
    for i in range(30):
        assert bytes(back.store.file_bytes(i)) == bytes(data.store.file_bytes(i))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["back.zip", "data.zip", "out"]


def test_others_may_read_what_is_written_and_images_alone_have_no_factors(tmp_path: Path) -> None:
    save_png(tmp_path / "in" / "a" / "0.png", picture(0))
    out = export_dataset(Dataset.open(tmp_path / "in"), "folder", tmp_path / "out")
    assert out.stat().st_mode & 0o777 == 0o755
    assert [p.relative_to(out).as_posix() for p in out.rglob("*") if p.is_file()] == ["a/0.png"]


@pytest.mark.parametrize("form", FORMS)
def test_names_that_differ_in_ending_or_points_alone(form: str, tmp_path: Path) -> None:
    names = [f"x{i}.{end}" for i in range(3) for end in ("png", "jpg", "webp")]
    names += ["IMG.0.png", "IMG_0.png", "x0_jpg.png", "a.b/c.png", "a_b/c.png"]
    (tmp_path / "in").mkdir()
    for i, name in enumerate(names):
        (tmp_path / "in" / name).parent.mkdir(exist_ok=True)
        Image.fromarray(picture(i)).save(tmp_path / "in" / name)
    rows = [f"{name},{i}" for i, name in enumerate(names) if i != 4]
    (tmp_path / "in" / "metadata.csv").write_text("\n".join(["file_name,number", *rows]))
    data = Dataset.open(tmp_path / "in")
    export_dataset(data, form, tmp_path / "out")
    import_dataset(open_source(form, tmp_path / "out"), form, tmp_path / "back.zip")
    back = Dataset.open(tmp_path / "back.zip")
    assert len(back) == len(names) and back.space == data.space

    def labelled(data: Dataset) -> set[tuple[bytes, float | None]]:
        level, known = data.labels.level_NF[:, 0].round(5), data.labels.known_NF[:, 0]
        return {(data.store.read(i).tobytes(), float(level[i]) if known[i] else None) for i in range(len(data))}

    assert labelled(back) == labelled(data) and len(labelled(data)) == len(names)
    assert {"x0.png", "x1.png", "x2.png", "IMG_0.png"} <= set(back.names)


def test_datasets_reads_what_is_written(data: Dataset, tmp_path: Path) -> None:
    export_dataset(data, "huggingface", tmp_path / "out")
    read = datasets.load_dataset(str(tmp_path / "out"), split="train", cache_dir=str(tmp_path / "cache"))
    assert read.num_rows == 30 and read.features["shape"].names == list(SPACE["shape"].categories)
    row = read[7]
    assert (np.asarray(row["image"]) == data.store.read(7)).all() and row["file_name"] == data.names[7]
    for f, factor in enumerate(SPACE):
        value = row[factor.name]
        assert (value is None) == (not data.labels.known_NF[7, f])
        if value is not None and factor.kind != "categorical":
            assert factor.level_of(value) == pytest.approx(float(data.labels.level_NF[7, f]), abs=1e-6)


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")  # the library leaves its files open
def test_webdataset_reads_what_is_written(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semistylegan.data.exporting.SHARD", 20)
    export_dataset(data, "webdataset", tmp_path / "out")
    urls = [str(p) for p in sorted((tmp_path / "out").glob("*.tar"))]
    read = list(webdataset.WebDataset(urls, shardshuffle=False).decode("rgb8"))
    assert len(urls) == 2 and [s["__key__"] + ".png" for s in read] == data.names
    for i, sample in enumerate(read):
        assert (sample["png"] == data.store.read(i)).all()
        known = [f.name for f, k in zip(SPACE, data.labels.known_NF[i], strict=True) if k]
        assert list(sample.get("json", {})) == known
    gc.collect()


def test_the_same_data_gives_the_same_shards(data: Dataset, tmp_path: Path) -> None:
    for form in FORMS:
        one, two = (export_dataset(data, form, tmp_path / f"{form}{n}") for n in (1, 2))
        files = [p.relative_to(one) for p in sorted(one.rglob("*")) if p.is_file()]
        assert files and all((one / f).read_bytes() == (two / f).read_bytes() for f in files)


# -- what others write ---------------------------------------------------------------------------------------------


def others(**columns: Any) -> Any:
    """A data set as another user makes it with the library, images of two sizes and a caption each."""
    count = len(next(iter(columns.values())))
    images = [Image.fromarray(picture(i, 16 + 8 * (i % 2))) for i in range(count)]
    features = {"picture": datasets.Image(), "caption": datasets.Value("string")}
    for name, values in columns.items():
        classes = name == "kind"
        features[name] = datasets.ClassLabel(names=["dog", "cat", "bird"]) if classes else datasets.Value(_type(values))
    rows = {"picture": images, "caption": [f"words {i}" for i in range(count)], **columns}
    return datasets.Dataset.from_dict(rows, features=datasets.Features(features))


def _type(values: list[Any]) -> str:
    return {int: "int64", float: "float64", bool: "bool", str: "string"}[type(next(v for v in values if v is not None))]


COLUMNS = {
    "kind": [i % 3 if i % 4 else -1 for i in range(300)],
    "size": [i % 5 * 0.5 if i % 2 else float("nan") for i in range(300)],
    "indoor": [None if i % 7 else i % 2 == 0 for i in range(300)],
}


@pytest.mark.parametrize("form", ["parquet", "disk"])
def test_a_data_set_of_the_library(form: str, tmp_path: Path) -> None:
    made = others(**COLUMNS)
    if form == "parquet":
        (tmp_path / "in").mkdir()
        made.to_parquet(str(tmp_path / "in" / "train.parquet"))
    else:
        made.save_to_disk(str(tmp_path / "in"))
        (tmp_path / "in" / "cache-0123456789abcdef.arrow").write_bytes(b"what map() leaves")
    source = open_source("huggingface", tmp_path / "in")
    assert any("'caption' is no factor" in note for note in source.notes)
    import_dataset(source, "huggingface", tmp_path / "a.zip")
    data = Dataset.open(tmp_path / "a.zip")
    assert data.space["kind"].categories == ("dog", "cat", "bird") and data.space["indoor"].categories == ("no", "yes")
    assert (data.space["size"].low, data.space["size"].high, data.space["size"].size) == (0, 2, 5)
    index = data.indices_NF()
    assert index[:, 0].tolist() == COLUMNS["kind"]
    assert index[:, 1].tolist() == [i % 5 if i % 2 else -1 for i in range(300)]
    assert index[:, 2].tolist() == [-1 if i % 7 else int(i % 2 == 0) for i in range(300)]
    assert (data.images([4])[0].permute(1, 2, 0).numpy() == picture(4)).all() and data.resolution == 16


def test_a_folder_with_metadata_jsonl(tmp_path: Path) -> None:
    for i in range(3):
        save_png(tmp_path / "in" / f"{i}.png", picture(i))
    rows = [{"file_name": "2.png", "shape": "ring", "x": 3}, {"file_name": "0.png", "shape": None, "x": 1}]
    (tmp_path / "in" / "metadata.jsonl").write_text("\n".join(map(json.dumps, rows)) + "\n")
    source = open_source("huggingface", tmp_path / "in")
    assert source.space.names == ("shape", "x")
    assert source.labels.known_NF.tolist() == [[False, True], [False, False], [True, True]]
    (tmp_path / "in" / "metadata.jsonl").write_text('{"file_name": "0.png", "x": "a\u2028b"}\r\n', encoding="utf-8")
    assert open_source("huggingface", tmp_path / "in").space["x"].categories == ("a\u2028b",)
    save_png(tmp_path / "in" / "cafe\u0301.png", picture(3))
    (tmp_path / "in" / "metadata.jsonl").write_text('{"file_name": "caf\u00e9.png", "x": 1}', encoding="utf-8")
    assert open_source("huggingface", tmp_path / "in").labels.known_NF[:, 0].tolist() == [False, False, False, True]
    for text, words in (
        ('{"file_name": "9.png"}', ["line 1", "'9.png'", "no image"]),
        ('{"x": 1}', ["line 1", "file_name"]),
        ("{", ["line 1", "not JSON"]),
        ('{"file_name": "0.png"}\n{"file_name": "0.png"}', ["line 2", "'0.png'", "already"]),
        ("\n".join(f'{{"file_name": "{i}.png", "x": {x}}}' for i, x in ((2, '"y"'), (0, 1), (1, 2))), ["line 1: x=y"]),
    ):
        (tmp_path / "in" / "metadata.jsonl").write_text(text)
        refused("huggingface", tmp_path / "in", ["metadata.jsonl", *words])


def test_values_of_several_lines_become_one(tmp_path: Path) -> None:
    """As in the cells of a table: what has two lines could not be read back from one."""
    words = ["light\nblue", "light blue", "dark \r\n blue ", "a\u2028b"]
    image = Image.fromarray(picture(0))
    features = datasets.Features(
        {
            "image": datasets.Image(),
            "kind": datasets.ClassLabel(names=["a\nb", "c\rd"]),
            "word": datasets.Value("string"),
        }
    )
    rows = {"image": [image] * 4, "kind": [0, 1, 1, -1], "word": words}
    datasets.Dataset.from_dict(rows, features=features).to_parquet(str(tmp_path / "a.parquet"))
    import_dataset(open_source("huggingface", tmp_path / "a.parquet"), "huggingface", tmp_path / "a.zip")
    export_dataset(Dataset.open(tmp_path / "a.zip"), "folder", tmp_path / "out")
    data = Dataset.open(tmp_path / "out")
    assert data.space["kind"].categories == ("a b", "c d")
    assert data.space["word"].categories == ("a\u2028b", "dark blue", "light blue")
    assert data.indices_NF().tolist() == [[0, 2], [1, 2], [1, 1], [-1, 0]]


def refused(name: str, path: Path, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        open_source(name, path)
    text = str(error.value)
    assert "\n" not in text and all(word in text for word in words), text


def test_columns_that_cannot_be_labels_are_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    images = [Image.fromarray(picture(i)) for i in range(2)]
    features = {"image": datasets.Image(), "mask": datasets.Image(), "x": datasets.Value("int64")}
    rows = {"image": images, "mask": images, "x": [1, 2]}
    made = datasets.Dataset.from_dict(rows, features=datasets.Features(features))
    made.to_parquet(str(tmp_path / "a.parquet"))
    asked: list[str] = []
    read = huggingface._Parquet.columns
    monkeypatch.setattr(huggingface._Parquet, "columns", lambda file, names: asked.extend(names) or read(file, names))
    source = open_source("huggingface", tmp_path / "a.parquet")
    assert asked == ["x"] and source.space.names == ("x",) and source.labels.known_NF.all()
    assert source.notes == ["column 'mask' is no factor and is not read"]


@pytest.mark.parametrize("names", ["{}-00000-of-00001.parquet", "{}/0000.parquet"])
def test_splits_are_taken_together_and_told(names: str, tmp_path: Path) -> None:
    for split in ("train", "test"):
        path = tmp_path / "trained" / names.format(split)
        path.parent.mkdir(parents=True, exist_ok=True)
        others(size=[1, 2]).to_parquet(str(path))
    source = open_source("huggingface", tmp_path)
    told = "files of train and test are taken together; give one file, or a folder of one split"
    assert len(source) == 4 and source.notes[-1] == told
    for part in (path, path.parent if path.name == "0000.parquet" else path):
        assert told not in open_source("huggingface", part).notes


def test_the_index_of_pandas_is_no_factor(tmp_path: Path) -> None:
    pandas = pytest.importorskip("pandas")
    rows = {"image": [{"bytes": encode_png(picture(i))} for i in range(3)], "size": [1, 2, 2]}
    pandas.DataFrame(rows, index=[7, 9, 12]).to_parquet(tmp_path / "a.parquet")
    source = open_source("huggingface", tmp_path / "a.parquet")
    assert source.space.names == ("size",)
    assert source.notes == ["column '__index_level_0__' is no factor and is not read"]


def test_a_class_that_there_is_not(tmp_path: Path) -> None:
    import pyarrow
    import pyarrow.parquet

    path = tmp_path / "a.parquet"
    others(kind=[0, 1]).to_parquet(str(path))
    table = pyarrow.parquet.read_table(path)
    at = table.schema.names.index("kind")
    table = table.set_column(at, table.schema.field(at), pyarrow.array([0, 7]))
    pyarrow.parquet.write_table(table, path)
    refused("huggingface", path, [str(path), "'kind'", "class 7", "0 to 2"])


def test_bad_hf_data(tmp_path: Path) -> None:
    refused("huggingface", tmp_path, ["no .parquet", "give the path"])
    refused("huggingface", tmp_path / "nowhere", ["nowhere", "no such file or folder"])
    (tmp_path / "a.parquet").write_bytes(b"PAR1 hello")
    refused("huggingface", tmp_path, ["a.parquet", "not a parquet file, or cut off"])
    datasets.Dataset.from_dict({"x": [1, 2]}).to_parquet(str(tmp_path / "a.parquet"))
    refused("huggingface", tmp_path, ["a.parquet", "no column of images among x"])
    names = [f"{n}.png" for n in ("a", "../b")]
    rows = {"image": [Image.fromarray(picture(0))] * 2, "file_name": names}
    datasets.Dataset.from_dict(rows).to_parquet(str(tmp_path / "a.parquet"))
    refused("huggingface", tmp_path, ["a.parquet", "'../b.png'", "no name of an image inside"])
    rows["file_name"] = ["a/b.png", "a\\b.png"]
    datasets.Dataset.from_dict(rows).to_parquet(str(tmp_path / "a.parquet"))
    refused("huggingface", tmp_path, ["a.parquet", "two rows have the file_name 'a/b.png'"])
    datasets.DatasetDict({"train": others(size=[1, 2])}).save_to_disk(str(tmp_path / "dict"))
    refused("huggingface", tmp_path / "dict", ["splits train", "give the folder of one"])


def shard(path: Path, files: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return path


def test_shards_of_others(tmp_path: Path) -> None:
    png = [encode_png(picture(i)) for i in range(4)]
    shard(tmp_path / "t-000.tar", {"x/0.png": png[0], "x/0.cls": b"3\n", "x/0.txt": b"words", "x/1.PNG": png[1]})
    files = {
        "x/2.png": png[2],
        "x/2.json": b'{"size": 2}',
        "x/9.json": b"{}",
        "x/3.json": b'{"size": 4}',
        "x/3.png": png[3],
    }
    shard(tmp_path / "t-001.tar", files)
    for path in (tmp_path, tmp_path / "t-{000..001}.tar"):
        import_dataset(open_source("webdataset", path), "webdataset", tmp_path / f"{len(path.name)}.zip")
        data = Dataset.open(tmp_path / f"{len(path.name)}.zip")
        assert data.names == [f"x/{i}.png" for i in range(4)] and set(data.space.names) == {"class", "size"}
        known = {f: data.labels.known_NF[:, data.space.position(f)].tolist() for f in ("class", "size")}
        assert known == {"class": [True, False, False, False], "size": [False, False, True, True]}
        assert data.space["class"].categories == ("0", "1", "2", "3") and data.space["size"].kind == "scalar"
        assert data.labels.level_NF[0, data.space.position("class")] == 3
        assert all((data.store.read(i) == picture(i)).all() for i in range(4))


def test_what_is_left_out_of_shards_is_told(tmp_path: Path) -> None:
    png = {f"{i}.png": encode_png(picture(i)) for i in range(3)}
    labels = {f"{i}.json": b'{"size": 2}' for i in range(3)}
    for files, count, first in ((png | labels, 3, "'0'"), (png | {"3.x.png": png["0.png"]}, 1, "'3'")):
        (note,) = open_source("webdataset", shard(tmp_path / "a.tar", files)).notes
        assert f"{count}, the first is {first}" in note and "stand together" in note
    together = {name: content for i in range(3) for name, content in list((png | labels).items())[i::3]}
    assert open_source("webdataset", shard(tmp_path / "a.tar", together)).notes == []


def test_classes_in_words(tmp_path: Path) -> None:
    png = encode_png(picture(0))
    files = {"0.png": png, "0.cls": b"cat", "1.png": png, "1.cls": b"7", "2.png": png, "2.cls": b"dog", "3.png": png}
    source = open_source("webdataset", shard(tmp_path / "a.tar", files))
    assert source.space["class"].categories == ("7", "cat", "dog") and source.labels.known_NF.sum() == 3


def test_minus_one_is_no_class(tmp_path: Path) -> None:
    png = encode_png(picture(0))
    for numbers, categories in (((1, -1, 0), ("0", "1")), ((-1, -1, -1), None), ((-1, 2, "x"), ("2", "x"))):
        files = {
            f"{i}.{end}": (png, str(n).encode())[end == "cls"] for i, n in enumerate(numbers) for end in ("png", "cls")
        }
        source = open_source("webdataset", shard(tmp_path / "a.tar", files))
        assert [f.categories for f in source.space] == ([categories] if categories else [])
        assert source.labels.known_NF.sum(axis=1).tolist() == [int(categories is not None and n != -1) for n in numbers]


def test_a_tar_of_the_folder_itself(tmp_path: Path) -> None:
    """As `tar -cf shard.tar .` makes it, with what macOS adds."""
    png = [encode_png(picture(i)) for i in range(2)]
    files = {"./._0.png": b"x", "./0.png": png[0], "./0.cls": b"3", "./sub/1.png": png[1], "./.cache/2.png": png[0]}
    import_dataset(open_source("webdataset", shard(tmp_path / "a.tar", files)), "webdataset", tmp_path / "a.zip")
    data = Dataset.open(tmp_path / "a.zip")
    assert data.names == ["0.png", "sub/1.png"] and data.labels.known_NF.tolist() == [[True], [False]]


def test_more_shards_than_files_may_be_open(tmp_path: Path) -> None:
    resource = pytest.importorskip("resource")
    for k in range(40):
        shard(tmp_path / f"{k:02d}.tar", {f"{k}.png": encode_png(picture(k))})
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    free = os.open(os.devnull, os.O_RDONLY)
    os.close(free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (free + 30, before[1]))
    try:
        source = open_source("webdataset", tmp_path)
        assert [(source.read(k) == picture(k)).all() for k in range(40)] == [True] * 40
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_key_given_twice_is_found_at_once(tmp_path: Path) -> None:
    files = {f"{i:05d}.png": b"x" for i in range(8000)}
    shard(tmp_path / "0.tar", files)
    shard(tmp_path / "1.tar", {"07999.png": b"x"})
    began = time.process_time()
    open_source("webdataset", tmp_path / "0.tar")
    once = time.process_time() - began
    refused("webdataset", tmp_path, ["'07999'", "each its own"])
    assert time.process_time() - began < 4 * once


def test_an_image_changed_in_the_midst_of_a_shard_is_seen(tmp_path: Path) -> None:
    plain = [Image.fromarray(np.full((256, 256, 3), i, np.uint8)) for i in range(12)]

    def write() -> None:
        files = {}
        for i, image in enumerate(plain):
            image.save(buffer := io.BytesIO(), "BMP")
            files[f"{i:02d}.bmp"] = buffer.getvalue()
        shard(tmp_path / "a.tar", files)

    write()
    source = open_source("webdataset", tmp_path / "a.tar")
    before = source.stamp(range(12))
    assert (tmp_path / "a.tar").stat().st_size > 2 << 20
    plain[6] = Image.fromarray(np.full((256, 256, 3), 99, np.uint8))
    write()
    assert open_source("webdataset", tmp_path / "a.tar").stamp(range(12)) != before


@pytest.mark.parametrize("form", ["huggingface", "webdataset"])
def test_a_colour_image_after_many_grey_ones(form: str, tmp_path: Path) -> None:
    images = [encode_png(np.full((16, 16, 1), i % 256, np.uint8)) for i in range(300)] + [encode_png(picture(0))]
    path = tmp_path / "a"
    if form == "webdataset":
        shard(path, {f"{i:03d}.png": image for i, image in enumerate(images)})
    else:
        rows = {"image": [{"bytes": image} for image in images], "size": list(range(301))}
        datasets.Dataset.from_dict(rows).to_parquet(str(path), batch_size=50)
    import_dataset(open_source(form, path), form, tmp_path / "a.zip")
    data = Dataset.open(tmp_path / "a.zip")
    assert (len(data), data.channels) == (301, 3) and (data.store.read(300) == picture(0)).all()
    assert (data.store.read(299) == 299 - 256).all()


def test_bad_shards(tmp_path: Path) -> None:
    png = encode_png(picture(0))
    refused("webdataset", tmp_path, ["holds no .tar"])
    refused("webdataset", tmp_path / "a.tar", ["a.tar", "no such file"])
    for files, words in (
        ({"../0.png": png}, ["'../0.png'", "inside the data set"]),
        ({"caf\udce9.png": png}, [r"'caf\udce9.png'", "no name of an image"]),  # a name that is no UTF-8
        ({"0.txt": b"x"}, ["no sample with an image"]),
        ({"0.png": png, "1.png": png, "0.jpg": png}, ["'0'", "each its own"]),
        ({"0.png": png, "0.json": b"{"}, ["0.json is not JSON"]),
        ({"0.png": png, "0.json": b"9" * 5000}, ["0.json is not JSON"]),
        ({"x/0.jpg": png, "x/0.json": b"{}", "x/0.png": png}, ["'x/0'", "two images, .jpg and .png", "its own key"]),
        ({"0.png": png, "0.json": b"{}", "0.JSON": b"{}"}, ["'0'", "two .json", "its own key"]),
    ):
        refused("webdataset", shard(tmp_path / "a.tar", files), ["a.tar", *words])
    (tmp_path / "a.tar").write_bytes(b"hello" * 300)
    refused("webdataset", tmp_path / "a.tar", ["a.tar", "not a tar, or cut off"])


def test_convert(data: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "out")
    assert main(["convert", str(data.path), "--to", "folder", "--out", out]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == out
    for form, words in (("folder", "exists"), ("tfrecord", "known are folder, huggingface, webdataset")):
        assert main(["convert", str(data.path), "--to", form, "--out", out]) == 2
        assert words in capsys.readouterr().err


@pytest.mark.parametrize(("name", "form"), [("image", "huggingface"), ("file_name", "folder")])
def test_a_factor_named_as_a_column_beside_it(name: str, form: str, tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "a.zip", FactorSpace.grid({name: 3})) as out:
        out.add("0.png", picture(0), [0.5])
    with pytest.raises(UserError, match=rf"a\.zip: a factor '{name}', .*; rename"):
        export_dataset(Dataset.open(tmp_path / "a.zip"), form, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["a.zip"]


def test_what_a_killed_process_left_is_removed(data: Dataset, tmp_path: Path) -> None:
    code = "import os, signal; from semistylegan.data import exporting as e; from semistylegan.data import Dataset; "
    code += "e.write_json = lambda *_: os.kill(os.getpid(), signal.SIGKILL); "
    code += f"e.export_dataset(Dataset.open({str(data.path)!r}), 'folder', {str(tmp_path / 'out')!r})"
    subprocess.run([sys.executable, "-c", code], check=False, capture_output=True)
    (half,) = tmp_path.glob(".out.*")
    (tmp_path / ".out.other.part").mkdir()
    assert (half / "metadata.csv").is_file()
    export_dataset(data, "folder", tmp_path / "out")
    assert not half.exists() and {p.name for p in tmp_path.glob("*out*")} == {"out", ".out.other.part"}


def test_a_failure_leaves_nothing(data: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(i: int) -> bytes:
        if i == 20:
            raise OSError(28, "No space left on device")
        return b"x"

    monkeypatch.setattr(data.store, "file_bytes", full)
    for form in FORMS:
        with pytest.raises(OSError, match="No space left"):
            export_dataset(data, form, tmp_path / "out")
    assert [p.name for p in tmp_path.iterdir()] == ["data.zip"]
