"""CelebA: aligned (178 x 218) or raw images, and the 40 attributes of `list_attr_celeba.txt`, each -1 or 1.

Of aligned images the centre square of 148 pixels is taken before resizing, as most papers on representations do; --crop
takes another. Source: Liu et al. 2015.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from semistylegan.data.importers.source import StoreSource
from semistylegan.data.labels import Labels
from semistylegan.data.storage import ImageStore, open_store
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

ATTRIBUTES = 40
IMAGES = 202_599
CROP = 148
TABLES = ("list_attr_celeba.txt", "list_attr_celeba.csv")
IMAGE_FOLDERS = ("img_align_celeba", "img_align_celeba_png", "img_celeba")


def open_celeba(source: Path) -> StoreSource:
    """A folder (or zip) of the images, with the table in it, in `Anno/` in it, or in either place one folder up.

    Of several kinds of image in it the aligned ones are taken. An image that the table does not name is unlabelled.
    """
    store = open_store(source)
    table = _find_table(source)
    names, known = _read_table(table)
    number = {name.rpartition(".")[0]: i for i, name in enumerate(known)}
    rows = _one_kind(store)
    found = [number.get(_stem(store.names[i]), -1) for i in rows]
    if max(found) < 0:
        raise UserError(f"{table}: names none of the images, e.g. not {store.names[rows[0]]}; expected 000001.jpg, ...")
    place = np.asarray(found, np.int64)
    positive = np.stack(list(known.values()))[place]
    labelled = np.repeat((place >= 0)[:, None], len(names), axis=1)
    labels = Labels(np.where(labelled, positive, 0).astype(np.float32), labelled)
    space = FactorSpace(tuple(Factor.categorical(name, ("no", "yes")) for name in names))
    out = StoreSource(store, space, labels, rows, [f"{_stem(store.names[i])}.png" for i in rows])
    aligned = (out.first.width, out.first.height) == (178, 218)
    out.crop = CROP if aligned else None
    out.notes = [f"{len(rows):,} of the {IMAGES:,} images of CelebA are here"] if len(rows) != IMAGES else []
    if not aligned:
        out.notes = [
            *out.notes,
            "the images are not the aligned ones (178 x 218): their largest centre squares are taken",
        ]
    return out


def _stem(name: str) -> str:
    return name.rpartition("/")[2].rpartition(".")[0]


def _find_table(source: Path) -> Path:
    above = source.absolute().parents[:2]  # of "." and of a bare name, too
    folders = [source, source / "Anno", *above[:1], *(folder / "Anno" for folder in above)]
    for folder in folders:
        for name in TABLES:
            if (folder / name).is_file():
                return folder / name
    raise UserError(f"{source}: no {TABLES[0]} in it, in Anno/ or beside it; put it there")


def _one_kind(store: ImageStore) -> list[int]:
    """Numbers of the images to take: of the first of IMAGE_FOLDERS that there is, else all."""
    for kind in IMAGE_FOLDERS:
        rows = [i for i, name in enumerate(store.names) if kind in name.split("/")[:-1]]
        if rows:
            break
    else:
        rows = list(range(len(store)))
    seen: dict[str, int] = {}
    for i in rows:
        if (other := seen.setdefault(_stem(store.names[i]), i)) != i:
            raise UserError(f"{store.shown(i)}: {store.names[other]} has the same name; name one folder of images")
    return rows


def _read_table(path: Path) -> tuple[list[str], dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]]]:
    """Names of the attributes, and file name -> which of them are 1.

    Raises:
        UserError: another layout; names the line and what was expected.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read ({error}); download it again") from None
    comma = path.suffix == ".csv"
    count = None
    if not comma and lines and lines[0].strip().isdigit():
        count = int(lines[0])
    first = 0 if count is None else 1
    names = _cells(lines[first], comma) if len(lines) > first else []
    if names[:1] == ["image_id"]:
        names = names[1:]
    if len(names) != ATTRIBUTES or len(set(names)) != ATTRIBUTES:
        raise UserError(
            f"{path} line {first + 1}: {len(names)} names of attributes; expected the {ATTRIBUTES} of CelebA, "
            "after a line with the number of images"
        )
    known: dict[str, np.ndarray[tuple[int, ...], np.dtype[np.bool_]]] = {}
    for line, text in enumerate(lines[first + 1 :], first + 2):
        if not text.strip():
            continue
        cells = _cells(text, comma)
        wrong = [c for c in cells[1:] if c not in ("1", "-1")]
        if len(cells) != ATTRIBUTES + 1 or wrong:
            what = (
                f"{names[cells[1:].index(wrong[0])]}={wrong[0]}"
                if wrong and len(cells) == ATTRIBUTES + 1
                else (f"{len(cells)} cells")
            )
            raise UserError(f"{path} line {line}: {what}; expected a file name and {ATTRIBUTES} cells of -1 or 1")
        if cells[0] in known:
            raise UserError(f"{path} line {line}: {cells[0]!r} has a row already; keep one")
        known[cells[0]] = np.array([c == "1" for c in cells[1:]])
    if count is not None and count != len(known):
        raise UserError(f"{path}: {len(known):,} rows, where its first line says {count:,}; download it again")
    if not known:
        raise UserError(f"{path}: no row of attributes; download it again")
    return names, known


def _cells(line: str, comma: bool) -> list[str]:
    return [c.strip() for c in line.split(",")] if comma else line.split()
