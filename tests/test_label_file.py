"""metadata.csv, edited in place: what is set is read back, what is not set keeps its bytes, nothing is half written."""

from __future__ import annotations

import codecs
import errno
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semistylegan.data import label_file
from semistylegan.data.label_file import LabelFile
from semistylegan.data.table import Table
from semistylegan.errors import UserError

NAMES = ["a.png", "b, c.png", "sub/d.png", 'e".png']


def made(tmp_path: Path, text: str | bytes) -> LabelFile:
    path = tmp_path / "metadata.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return LabelFile(path, NAMES)


def test_a_new_table(tmp_path: Path) -> None:
    file = LabelFile(tmp_path / "metadata.csv", NAMES)
    file.set(1, {"shape": "ring"})
    file.set(0, {"shape": "a,b", "hue": "30"})
    assert not file.path.exists()
    file.save()
    assert file.path.read_text() == 'file_name,shape,hue\n"b, c.png",ring,\na.png,"a,b",30\n'
    again = LabelFile(file.path, NAMES)
    assert again.cells(0) == {"shape": "a,b", "hue": "30"} and again.cells(1) == {"shape": "ring"}
    assert again.cells(2) == {}


@pytest.mark.parametrize(
    ("text", "image", "cells", "expected"),
    [
        # Another column, quotes, blanks and a comment-like row keep their bytes; \r\n stays.
        (
            'file_name, note ,hue\r\n"a.png" ,"x, ""y""", 3\r\nsub/d.png,,\r\n',
            2,
            {"hue": "7"},
            'file_name, note ,hue\r\n"a.png" ,"x, ""y""", 3\r\nsub/d.png,,7\r\n',
        ),
        # No line end at the end, rows in another order, a new row last.
        ("hue,file_name\n1,sub/d.png\n2,a.png", 1, {"hue": "5"}, 'hue,file_name\n1,sub/d.png\n2,a.png\n5,"b, c.png"\n'),
        # A heading alone, that no line end follows.
        ("file_name,hue", 0, {"hue": "5"}, "file_name,hue\na.png,5\n"),
        # A value that is the same already is not written anew.
        ('file_name,hue\na.png,"3" \n', 0, {"hue": "3"}, 'file_name,hue\na.png,"3" \n'),
        # Semicolons; blank lines stay where they are; a new column.
        (
            "\n\nfile_name;a\n\na.png;1\n;\nsub/d.png;2\n",
            2,
            {"b": "x;y"},
            '\n\nfile_name;a;b\n\na.png;1;\n;\nsub/d.png;2;"x;y"\n',
        ),
        # A quoted line end belongs to its cell.
        (
            'file_name,note\na.png,"one\ntwo"\nsub/d.png,z\n',
            2,
            {"note": ""},
            'file_name,note\na.png,"one\ntwo"\nsub/d.png,\n',
        ),
        # A heading of two lines.
        (
            'file_name,"size\r\n(cm)"\r\na.png,1\r\n',
            0,
            {"size (cm)": "2", "b": "x"},
            'file_name,"size\r\n(cm)",b\r\na.png,2,x\r\n',
        ),
        # Windows separators, and a quote within a name.
        ('file_name,a\nsub\\d.png,1\n"e"".png",2\n', 3, {"a": "9"}, 'file_name,a\nsub\\d.png,1\n"e"".png",9\n'),
    ],
)
def test_what_is_not_set_keeps_its_bytes(
    text: str, image: int, cells: dict[str, str], expected: str, tmp_path: Path
) -> None:
    file = made(tmp_path, text)
    assert file.to_bytes() == text.encode()
    file.set(image, cells)
    file.save()
    assert file.path.read_bytes() == expected.encode()
    assert LabelFile(file.path, NAMES).cells(image).items() >= {k: v for k, v in cells.items() if v}.items()


def test_encodings_and_decimal_commas_stay(tmp_path: Path) -> None:
    for bom, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (b"", "utf-8")):
        file = made(tmp_path, bom + "file_name\tgröße\na.png\t0,5\n".encode(encoding))
        assert file.cells(0) == {"größe": "0,5"}
        assert file.number("0.25") == "0,25"
        file.set(2, {"größe": file.number("0.25")})
        file.save()
        assert file.path.read_bytes() == bom + "file_name\tgröße\na.png\t0,5\nsub/d.png\t0,25\n".encode(encoding)
    assert made(tmp_path, "file_name;a\na.png;-1,5\n").number("0.25") == "0,25"
    assert made(tmp_path, "file_name;a\na.png;1\n").number("0.25") == "0.25"
    assert made(tmp_path, "file_name,a\na.png,1\n").number("0.25") == "0.25"


def test_two_byte_order_marks_are_no_part_of_a_name(tmp_path: Path) -> None:
    """A program that takes the first one for a letter writes it behind its own."""
    for bom, encoding in ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le")):
        text = bom + "\ufefffile_name,hue\na.png,1\n".encode(encoding)
        file = made(tmp_path, text)
        assert file.to_bytes() == text
        file.set(2, {"hue": "4"})
        file.save()
        assert file.path.read_bytes() == text + "sub/d.png,4\n".encode(encoding)
        assert LabelFile(file.path, NAMES).cells(2) == {"hue": "4"}


def test_a_row_that_is_undone_leaves_no_trace(tmp_path: Path) -> None:
    file = made(tmp_path, "file_name,hue\na.png,1\n")
    file.set(2, {"hue": "4"})
    file.save()
    file.set(2, {"hue": ""})
    file.set(0, {"hue": "2"})
    file.set(0, {"hue": "1"})
    file.save()
    assert file.path.read_text() == "file_name,hue\na.png,1\n"


def test_what_others_write_is_noticed(tmp_path: Path) -> None:
    file = made(tmp_path, "file_name,hue\na.png,1\n")
    assert not file.stale()
    file.path.write_text("file_name,hue\na.png,12\n")
    assert file.stale()
    file = LabelFile(file.path, NAMES)
    assert not file.stale()
    file.save()
    assert not file.stale()
    file.path.unlink()
    assert file.stale()


def test_another_file_of_the_same_size_is_noticed(tmp_path: Path) -> None:
    file = made(tmp_path, "file_name,hue\na.png,1\n")
    written = file.path.stat().st_mtime_ns
    file.path.write_text("file_name,hue\na.png,2\n")
    os.utime(file.path, ns=(written, written + 1))
    assert file.stale()
    file = LabelFile(file.path, NAMES)
    (tmp_path / "new.csv").write_text("file_name,hue\na.png,3\n")
    os.utime(tmp_path / "new.csv", ns=(written, written + 1))
    (tmp_path / "new.csv").replace(file.path)
    assert file.stale()


def test_a_full_disk_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = made(tmp_path, "file_name,hue\na.png,1\n")
    file.set(0, {"hue": "2"})

    def full(path: Path, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(label_file.Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        file.save()
    assert file.path.read_text() == "file_name,hue\na.png,1\n"
    assert [p.name for p in tmp_path.iterdir()] == ["metadata.csv"]


@pytest.mark.parametrize("text", ["hue\n1\n", "file_name,hue\na.png\n", "file_name\nz.png\n", b"\xff\xff\0"])
def test_a_table_that_cannot_be_read_is_refused(text: str | bytes, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"metadata\.csv"):
        made(tmp_path, text)


CELLS = st.text(st.sampled_from('ab1,;"\n\r é'), max_size=6)


@given(
    rows=st.lists(st.tuples(CELLS, CELLS), max_size=3),
    edits=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(["x", "y", "z"]), CELLS.map(str.strip)), max_size=8),
    delimiter=st.sampled_from([",", ";", "\t"]),
    end=st.sampled_from(["\n", "\r\n"]),
)
def test_any_edits_read_back_as_any_reader_has_them(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    edits: list[tuple[int, str, str]],
    delimiter: str,
    end: str,
) -> None:
    def quoted(cell: str) -> str:
        return '"' + cell.replace('"', '""') + '"'

    expected: dict[int, dict[str, str]] = {}
    lines = [delimiter.join(("file_name", "x", "y"))]
    for i, (x, y) in enumerate(rows):
        lines.append(delimiter.join((quoted(NAMES[i]), quoted(x), quoted(y))))
        expected[i] = {"x": x, "y": y}
    text = end.join(lines) + end
    file = made(tmp_path_factory.mktemp("csv"), text)
    assert file.to_bytes() == text.encode()
    for image, column, cell in edits:
        file.set(image, {column: cell})
        expected.setdefault(image, {})[column] = cell
    file.save()
    table = Table.parse(file.path.read_bytes(), "metadata.csv", NAMES)
    found = {
        int(row): {name: cells[k] for name, cells in table.columns.items() if cells[k]}
        for k, row in enumerate(table.rows)
    }
    tidy = {i: {k: normal(v) for k, v in cells.items() if normal(v)} for i, cells in expected.items()}
    assert {i: c for i, c in found.items() if c} == {i: c for i, c in tidy.items() if c}
    assert {i: file.cells(i) for i in found if found[i]} == {i: c for i, c in found.items() if c}


def normal(cell: str) -> str:
    """Words of several lines are one: pictures and options name them so."""
    return " ".join(line.strip() for line in cell.replace("\r\n", "\n").replace("\r", "\n").strip().split("\n"))
