"""Files are written whole or not at all, and what the system refuses names the file."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from semistylegan.errors import UserError
from semistylegan.files import append_jsonl, atomic_path, make_folder, write_json, write_text


def test_the_old_file_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_path(path) as temporary:
        temporary.write_text("half")
        assert path.read_text() == "old"
        raise ZeroDivisionError
    assert path.read_text() == "old"
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    "raised",
    [
        OSError(errno.ENOSPC, "No space left on device"),
        RuntimeError("Error while serializing: I/O error: No space left on device (os error 28)"),
    ],
)
def test_a_full_disk_names_the_file(raised: Exception, tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    with pytest.raises(OSError, match="No space left") as caught, atomic_path(path) as temporary:
        temporary.write_bytes(b"half")
        raise raised
    assert caught.value.errno == errno.ENOSPC
    assert caught.value.filename == str(path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="where the system has a /proc")
def test_where_no_folder_can_be_made() -> None:
    for make in (make_folder, lambda path: write_text(path / "a.txt", "")):
        with pytest.raises(UserError, match="/proc/semistylegan: no folder can be made there"):
            make(Path("/proc/semistylegan"))


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    write_text(tmp_path / "a", "")
    with pytest.raises(OSError, match="a") as caught:
        write_text(tmp_path / "a" / "b.txt", "")
    assert caught.value.filename is not None


def test_json_has_no_nan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert list(tmp_path.iterdir()) == []
    for i in range(2):
        append_jsonl(tmp_path / "a.jsonl", {"i": i})
    assert [json.loads(line) for line in (tmp_path / "a.jsonl").read_text().splitlines()] == [{"i": 0}, {"i": 1}]


def test_a_link_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    (tmp_path / "there" / "labels.csv").write_text("old")
    (tmp_path / "metadata.csv").symlink_to(Path("there") / "labels.csv")
    write_text(tmp_path / "metadata.csv", "new")
    assert (tmp_path / "there" / "labels.csv").read_text() == "new"
    assert (tmp_path / "metadata.csv").is_symlink()


def test_a_link_that_leads_to_itself_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "a.txt").symlink_to("a.txt")
    write_text(tmp_path / "a.txt", "new")
    assert (tmp_path / "a.txt").read_text() == "new"


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes with a name here")
def test_no_device_and_no_pipe_is_replaced(tmp_path: Path) -> None:
    """Whoever may write to /dev would have a file there in place of /dev/null."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "link").symlink_to("pipe")
    for name in ("pipe", "link"):
        with pytest.raises(UserError, match=f"{name}: is a device or a pipe; give the name of a file"):
            write_text(tmp_path / name, "x")
    assert (tmp_path / "pipe").is_fifo() and sorted(p.name for p in tmp_path.iterdir()) == ["link", "pipe"]


def test_a_name_that_is_no_utf_8_keeps_its_bytes(tmp_path: Path) -> None:
    write_text(tmp_path / "a.csv", os.fsdecode(b"caf\xe9.png") + ",é\n")
    assert (tmp_path / "a.csv").read_bytes() == b"caf\xe9.png,\xc3\xa9\n"


@pytest.mark.skipif(os.name == "nt", reason="no such permissions there")
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path: Path) -> None:
    mask = os.umask(0o027)
    try:
        write_text(tmp_path / "a.csv", "old")
        assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o640
        (tmp_path / "a.csv").chmod(0o600)
        write_text(tmp_path / "a.csv", "new")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600


def test_json_keeps_letters_but_those_that_are_no_text(tmp_path: Path) -> None:
    for name, there in {"Größe": "Größe", "a\udcff": "\\udcff"}.items():
        write_json(tmp_path / "a.json", {"name": name})
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert there in text and json.loads(text) == {"name": name}
