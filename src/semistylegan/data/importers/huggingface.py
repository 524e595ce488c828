"""HF `datasets`: parquet files (as on the hub), a folder of `save_to_disk`, or an image folder with metadata.jsonl.

Read where they lie: nothing is copied into a cache, no script of a data set is run. Needs the extra `formats`.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from semistylegan.data.importers.folder import FolderSource
from semistylegan.data.importers.source import EncodedSource, Source, StoreSource, png_names, safe_name
from semistylegan.data.importers.typed import typed_labels
from semistylegan.data.storage import open_store
from semistylegan.data.table import Numbers
from semistylegan.errors import UserError, missing_extra
from semistylegan.factors import FactorSpace

SPLITS = ("train", "training", "validation", "valid", "val", "dev", "test", "testing", "eval", "evaluation")
"""Words in the names of files and folders that say which part of a data set they hold."""


def open_huggingface(source: Path) -> Source:
    """See above; `factors.json` beside the files may fix the factors."""
    if source.is_dir() and (source / "metadata.jsonl").is_file():
        return _image_folder(source)
    try:
        import datasets  # noqa: F401  (what has it has pyarrow)
    except ImportError:
        raise missing_extra("reading HF datasets", "formats") from None
    if (source / "dataset_dict.json").is_file():
        splits = ", ".join(sorted(p.name for p in source.iterdir() if p.is_dir()))
        raise UserError(f"{source}: holds the splits {splits}; give the folder of one")
    if (source / "dataset_info.json").is_file() and (own := _saved(source)):
        return ColumnSource(source, own, arrow=True)
    if not source.exists():
        raise UserError(f"{source}: no such file or folder; check the name")
    files = [source] if source.is_file() else sorted(source.rglob("*.parquet"))
    if not files:
        raise UserError(
            f"{source}: no .parquet, no folder of save_to_disk, no metadata.jsonl; give the path of one "
            "(images with a metadata.csv are `import folder`)"
        )
    out = ColumnSource(source, files, arrow=False)
    words = {word for file in files for word in re.split("[^a-z]+", file.relative_to(source).as_posix().lower())}
    if len(mixed := [word for word in SPLITS if word in words]) > 1:
        told = f"files of {' and '.join(mixed)} are taken together; give one file, or a folder of one split"
        out.notes = [*out.notes, told]
    return out


def _saved(source: Path) -> list[Path]:
    """The files that `save_to_disk` wrote, as its state.json lists them; others there are caches of `map`."""
    try:
        state = json.loads((source / "state.json").read_text(encoding="utf-8"))
        names = [str(entry["filename"]) for entry in state["_data_files"]]
    except (OSError, ValueError, TypeError, KeyError):
        return sorted(source.glob("data-*.arrow"))
    return [source / Path(name).name for name in names]


class ColumnSource(EncodedSource):
    """Encoded images in a column of parquet or Arrow files, a group of rows in memory at a time."""

    def __init__(self, path: Path, files: Sequence[Path], arrow: bool) -> None:
        """
        Raises:
            UserError: no such column, or files that differ; names the file.
        """
        self.path, self.files = path, files
        self._groups: list[tuple[int, int]] = []
        starts = [0]
        columns: dict[str, list[Any]] = {}
        schema: Any = None
        for k, file in enumerate(files):
            reader = _open_arrow(file) if arrow else _open_parquet(file)
            if schema is None:
                schema, features = reader.schema, _features(reader.schema)
                self._image = _image_column(file, reader.schema, features)
                others = [column for column in reader.schema if column.name != self._image]
                columns = {column.name: [] for column in others if _may_be_label(column)}
                unread = [column.name for column in others if column.name not in columns]
            elif reader.schema.names != schema.names:
                raise UserError(f"{file}: other columns than {files[0].name}; give one data set")
            for g, rows in enumerate(reader.rows):
                self._groups.append((k, g))
                starts.append(starts[-1] + rows)
            for name, found in reader.columns(list(columns)).items():
                columns[name] += found
        self._starts = np.asarray(starts)
        if not starts[-1]:
            raise UserError(f"{path}: holds no row; give the path of a data set")
        factors = (path if path.is_dir() else path.parent) / "factors.json"
        space = FactorSpace.load(factors) if factors.is_file() else None
        names = columns.pop("file_name", None)
        self._names = None if names is None else _png_names(files[0], names)
        classes = {n: f["names"] for n, f in features.items() if isinstance(f, dict) and f.get("_type") == "ClassLabel"}
        columns |= {name: [b""] for name in unread}  # named as no factor, without what they hold
        self.space, self.labels, self.notes = typed_labels(str(files[0]), columns, starts[-1], classes, space)
        self._arrow, self._lock = arrow, Lock()

        @lru_cache(maxsize=2)
        def group(number: int) -> list[dict[str, Any] | None]:
            k, g = self._groups[number]
            reader = _open_arrow(files[k]) if arrow else _open_parquet(files[k])
            return reader.read(g, self._image)

        self._group = group

    def name(self, i: int) -> str:
        return f"{i:07d}.png" if self._names is None else self._names[i]

    def encoded(self, i: int) -> bytes:
        number = int(np.searchsorted(self._starts, i, side="right")) - 1
        with self._lock:
            cell = self._group(number)[i - int(self._starts[number])]
        data = (cell or {}).get("bytes") if isinstance(cell, dict) or cell is None else cell
        if not data:
            raise UserError(f"{self.place(i)}: holds no image, perhaps a path alone; save the data set with its images")
        return bytes(data)

    def place(self, i: int) -> str:
        return f"{self.path}: row {i} of {self._image!r}"


def _png_names(file: Path, names: Sequence[Any]) -> list[str]:
    """Names in the zip, from the column file_name."""
    found = [safe_name(file, name) for name in names]
    if len(set(found)) != len(found):
        twice = Counter(found).most_common(1)[0][0]
        raise UserError(f"{file}: two rows have the file_name {twice!r}; name each once")
    return png_names(found)


# -- files ---------------------------------------------------------------------------------------------------------


class _Parquet:
    def __init__(self, file: Any) -> None:
        self.file, self.schema = file, file.schema_arrow
        self.rows = [file.metadata.row_group(g).num_rows for g in range(file.num_row_groups)]

    def columns(self, names: list[str]) -> dict[str, list[Any]]:
        return dict(self.file.read(columns=names).to_pydict()) if names else {}

    def read(self, group: int, column: str) -> list[Any]:
        return list(self.file.read_row_group(group, columns=[column]).column(0).to_pylist())


class _Arrow:
    def __init__(self, batches: list[Any], schema: Any) -> None:
        self.batches, self.schema = batches, schema
        self.rows = [b.num_rows for b in batches]

    def columns(self, names: list[str]) -> dict[str, list[Any]]:
        return {n: [v for b in self.batches for v in b.column(n).to_pylist()] for n in names}

    def read(self, group: int, column: str) -> list[Any]:
        return list(self.batches[group].column(column).to_pylist())


def _open_parquet(path: Path) -> Any:
    import pyarrow
    import pyarrow.parquet

    try:
        return _Parquet(pyarrow.parquet.ParquetFile(path))
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not a parquet file, or cut off ({str(error)[:60]}); download it again") from None


def _open_arrow(path: Path) -> Any:
    import pyarrow

    try:
        reader = pyarrow.ipc.open_stream(pyarrow.memory_map(str(path)))
        return _Arrow(list(reader), reader.schema)
    except (pyarrow.ArrowException, OSError) as error:
        raise UserError(f"{path}: not an Arrow file, or cut off ({str(error)[:60]}); save it again") from None


def _features(schema: Any) -> dict[str, Any]:
    """What `datasets` wrote about the columns; empty where another program wrote the file."""
    try:
        return dict(json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"])
    except (KeyError, ValueError, TypeError):
        return {}


def _may_be_label(column: Any) -> bool:
    """Whether an Arrow column is none of rows' numbers, which pandas adds, and can hold words or numbers.

    More images or lists would fill the memory.
    """
    import pyarrow.types as types

    kind = getattr(column.type, "storage_type", column.type)
    tests = (types.is_nested, types.is_binary, types.is_large_binary, types.is_fixed_size_binary)
    return not column.name.startswith("__index_level_") and not any(test(kind) for test in tests)


def _image_column(file: Path, schema: Any, features: dict[str, Any]) -> str:
    import pyarrow

    named = [n for n, f in features.items() if isinstance(f, dict) and f.get("_type") == "Image"]
    bytes_like = [f.name for f in schema if pyarrow.types.is_binary(f.type) or pyarrow.types.is_large_binary(f.type)]
    structs = [f.name for f in schema if pyarrow.types.is_struct(f.type) and f.type.get_field_index("bytes") >= 0]
    found = named or structs or bytes_like
    if not found or found[0] not in schema.names:
        raise UserError(f"{file}: no column of images among {', '.join(schema.names)[:80]}; expected one, e.g. image")
    return str(found[0])


def _image_folder(source: Path) -> StoreSource:
    """Images beside a `metadata.jsonl`: one JSON object a line, `file_name` in each."""
    path = source / "metadata.jsonl"
    store = open_store(source)
    number = Numbers(store.names)
    columns: dict[str, list[Any]] = {}
    line_of: dict[int, int] = {}
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")  # a word may hold U+2028, which splitlines takes, too
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); save it as UTF-8") from None
    for line, text in enumerate(lines, 1):
        if not text.strip():
            continue
        try:
            row = json.loads(text)
        except (ValueError, RecursionError):
            raise UserError(f"{path} line {line}: not JSON; write one object a line") from None
        if not isinstance(row, dict) or not isinstance(row.get("file_name"), str):
            raise UserError(f'{path} line {line}: no "file_name"; write {{"file_name": "a.png", ...}}')
        i = number.of(row["file_name"])
        if i is None or i in line_of:
            what = "is no image of this folder" if i is None else "has a line already"
            raise UserError(f"{path} line {line}: {row['file_name']!r} {what}; correct it or delete the line")
        line_of[i] = line
        for name, value in row.items():
            if name != "file_name":
                columns.setdefault(name, [None] * len(store))[i] = value
    factors = source / "factors.json"
    space = FactorSpace.load(factors) if factors.is_file() else None
    at = [line_of.get(i, 0) for i in range(len(store))]
    space, labels, notes = typed_labels(str(path), columns, len(store), None, space, at)
    out = FolderSource(store, space, labels).scan()
    out.notes = notes
    return out
