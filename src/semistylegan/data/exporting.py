"""A data set as other programs read it: a folder with a table, parquet for HF `datasets`, WebDataset shards.

Image files are handed on byte for byte. OUT is a new folder; it appears whole at the end, or not at all.
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from semistylegan import progress
from semistylegan.data.columns import in_words
from semistylegan.data.dataset import Dataset
from semistylegan.data.importers.source import stems
from semistylegan.data.labels import labels_csv
from semistylegan.errors import UserError, missing_extra
from semistylegan.factors import Value
from semistylegan.files import make_folder, write_json, write_text

SHARD = 10_000
"""Images in a shard or parquet file, at most."""
ROWS = 100
"""Images in a row group of parquet: what a reader holds in memory."""


def export_dataset(data: Dataset, form: str, out: str | Path) -> Path:
    """Writes `data` in one of FORMS into the new folder `out`, with `factors.json` beside it.

    Raises:
        UserError: an unknown form, `out` exists, or a library is missing.
        OSError: what writing raised; nothing is left behind.
    """
    out = Path(out)
    if form not in FORMS:
        raise UserError(f"--to {form}: known are {', '.join(FORMS)}")
    if out.exists():
        raise UserError(f"{out}: exists; give the path of a new folder")
    with _new_folder(out) as folder, progress.bar(f"writing {form}", len(data)) as advance:
        FORMS[form](data, folder, advance)
        if len(data.space):
            write_json(folder / "factors.json", data.space.to_json())
    return out


def _folder(data: Dataset, folder: Path, advance: progress.Meter) -> None:
    """Images, and `metadata.csv` in own units; rows without any label are left out."""
    _refuse_names(data, ("file_name",))
    for i, name in enumerate(data.names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.store.file_bytes(i))
        advance()
    if len(data.space):
        write_text(folder / "metadata.csv", labels_csv(data.names, data.labels.labelled_rows, data.labels, data.space))


def _refuse_names(data: Dataset, columns: Collection[str]) -> None:
    """
    Raises:
        UserError: a factor is named as one of the columns beside it.
    """
    if taken := [name for name in data.space.names if name in columns]:
        raise UserError(f"{data.path}: a factor {taken[0]!r}, as the column beside it is named; rename the factor")


def _huggingface(data: Dataset, folder: Path, advance: progress.Meter) -> None:
    """`data/train-*.parquet`, as the hub holds it: `load_dataset(OUT)` reads it. Classes are ClassLabels."""
    try:
        import datasets
        import pyarrow
        import pyarrow.parquet
    except ImportError:
        raise missing_extra("writing HF datasets", "formats") from None
    columns: dict[str, Any] = {"image": datasets.Image(), "file_name": datasets.Value("string")}
    _refuse_names(data, columns)
    for factor in data.space:
        words = factor.kind == "categorical"
        columns[factor.name] = (
            datasets.ClassLabel(names=list(factor.categories)) if words else datasets.Value("float64")
        )
    schema = datasets.Features(columns).arrow_schema
    (folder / "data").mkdir()
    shards = -(-len(data) // SHARD)
    for shard in range(shards):
        path = folder / "data" / f"train-{shard:05d}-of-{shards:05d}.parquet"
        with pyarrow.parquet.ParquetWriter(path, schema) as writer:
            stop = min((shard + 1) * SHARD, len(data))
            for start in range(shard * SHARD, stop, ROWS):
                rows = range(start, min(start + ROWS, stop))
                table: dict[str, list[Any]] = {
                    "image": [{"bytes": bytes(data.store.file_bytes(i)), "path": data.names[i]} for i in rows],
                    "file_name": [data.names[i] for i in rows],
                }
                for f, factor in enumerate(data.space):
                    values = [_value(data, i, f) for i in rows]
                    names = factor.categories
                    table[factor.name] = [names.index(v) if isinstance(v, str) else v for v in values]
                writer.write_table(pyarrow.Table.from_pydict(table, schema=schema))
                advance(len(rows))


def _webdataset(data: Dataset, folder: Path, advance: progress.Meter) -> None:
    """`train-NNNNNN.tar`: for each image its file, and its labels in own units as JSON."""
    try:
        import webdataset
    except ImportError:
        raise missing_extra("writing WebDataset shards", "formats") from None
    keys = stems(data.names, point="_")  # a key ends at its first point
    for shard, start in enumerate(range(0, len(data), SHARD)):
        with webdataset.TarWriter(str(folder / f"train-{shard:06d}.tar"), mtime=0, encoder=False) as writer:
            for i in range(start, min(start + SHARD, len(data))):
                ending = data.names[i].rpartition(".")[2]
                values = {f.name: _value(data, i, k) for k, f in enumerate(data.space)}
                known = {name: value for name, value in values.items() if value is not None}
                sample = {"__key__": keys[i], ending.lower(): bytes(data.store.file_bytes(i))}
                if known:
                    sample["json"] = json.dumps(known, ensure_ascii=False).encode()
                writer.write(sample)
                advance()


FORMS: dict[str, Callable[[Dataset, Path, progress.Meter], None]] = {
    "folder": _folder,
    "huggingface": _huggingface,
    "webdataset": _webdataset,
}
"""By the name that `semistylegan convert --to` takes."""


def _value(data: Dataset, i: int, f: int) -> Value | None:
    """A word or a number in own units; None where unknown."""
    if not data.labels.known_NF[i, f]:
        return None
    words = in_words(data.space[f], float(data.labels.level_NF[i, f]))
    return words if data.space[f].kind == "categorical" else float(words)


@contextmanager
def _new_folder(out: Path) -> Iterator[Path]:
    """A temporary folder beside `out`, renamed to it on success, removed on failure; those of killed ones with it."""
    make_folder(out.parent)
    temporary = Path(tempfile.mkdtemp(prefix=f".{out.name}.", suffix=".part", dir=out.parent))
    try:
        temporary.chmod(0o755)
        yield temporary
        temporary.rename(out)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
    half = re.compile(rf"\.{re.escape(out.name)}\.\w{{8}}\.part")
    for left in out.parent.glob(".*.part"):
        if half.fullmatch(left.name):
            shutil.rmtree(left, ignore_errors=True)
