"""Files are written whole or not at all, and what the system refuses names the file."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from semistylegan.errors import UserError
from semistylegan.files import (
    append_jsonl,
    atomic_path,
    cache_folder,
    held,
    make_folder,
    require_inside,
    require_own,
    write_json,
    write_jsonl,
    write_text,
)


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


def test_nothing_is_made_through_a_link_to_nothing(tmp_path: Path) -> None:
    """A folder from others could have it put what they like into a file of the user's: ~/.bash_login is a program."""
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "metadata.csv").symlink_to(Path("..") / ".bash_login")
    with pytest.raises(UserError, match=r"metadata.csv: is a link to nothing \(.*bash_login\); remove it"):
        write_text(tmp_path / "photos" / "metadata.csv", "file_name,$(rm x)")
    assert [p.name for p in tmp_path.iterdir()] == ["photos"]


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
        left = os.umask(mask)
    assert left == 0o027, "looking at it changes nothing"
    assert (tmp_path / "a.csv").stat().st_mode & 0o777 == 0o600


def test_json_keeps_letters_but_those_that_are_no_text(tmp_path: Path) -> None:
    for name, there in {"Größe": "Größe", "a\udcff": "a\\udcff"}.items():
        write_json(tmp_path / "a.json", {"name": name})
        text = (tmp_path / "a.json").read_text(encoding="utf-8")
        assert text == f'{{\n  "name": "{there}"\n}}\n' and json.loads(text) == {"name": name}


def test_a_folder_is_not_replaced_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(OSError, match="a") as caught:
        write_text(tmp_path / "a", "")
    assert caught.value.filename == str(tmp_path / "a")
    assert list(tmp_path.iterdir()) == [tmp_path / "a"]


def test_what_is_interrupted_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), atomic_path(tmp_path / "a") as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_the_temporary_name_is_hidden_and_ends_as_the_name_does(tmp_path: Path) -> None:
    """Writers choose their format by it."""
    with atomic_path(tmp_path / "a.png") as temporary:
        assert temporary.parent == tmp_path
        assert temporary.name.startswith(".a.png.") and temporary.suffix == ".png"


def test_the_data_is_on_the_disk_before_the_name_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[object] = []
    replace = Path.replace

    def renamed(path: Path, target: Path) -> Path:
        steps.append("renamed")
        return replace(path, target)

    monkeypatch.setattr(os, "fsync", lambda handle: steps.append(os.fstat(handle).st_size))
    monkeypatch.setattr(Path, "replace", renamed)
    write_text(tmp_path / "a.txt", "new")
    assert steps == [3, "renamed"]


def test_where_there_are_no_locks_work_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fcntl = pytest.importorskip("fcntl")

    def refuses(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuses)
    ran = []
    with held(tmp_path, "taken"):
        ran.append("on a file system without them")
    monkeypatch.setitem(sys.modules, "fcntl", None)
    with held(tmp_path, "taken"):
        ran.append("on Windows")
    assert len(ran) == 2


def test_what_is_held_is_free_after_the_block(tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    with pytest.raises(ZeroDivisionError), held(tmp_path, "taken"):
        with pytest.raises(UserError, match="taken"), held(tmp_path, "taken"):
            pass
        raise ZeroDivisionError
    with held(tmp_path, "taken"):
        pass


def test_a_file_that_is_written_may_be_a_link_within_its_folder_alone(tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    (run / "kept.jsonl").write_text("")
    (run / "metric-a.jsonl").symlink_to("kept.jsonl")
    (run / "other.jsonl").symlink_to("../elsewhere")
    require_inside(run, "metric-*.jsonl", "gone")
    (run / "metric-b.jsonl").symlink_to("../elsewhere")
    with pytest.raises(UserError, match=r"metric-b.jsonl: is a link that leads out of this folder, to .*; remove it"):
        require_inside(run, "gone", "metric-*.jsonl")


def test_own_and_hidden_files_may_be_there_and_no_others(tmp_path: Path) -> None:
    require_own(tmp_path / "new", ())
    for name in ("config.json", ".DS_Store"):
        (tmp_path / name).touch()
    require_own(tmp_path, {"config.json"})
    for name in ("b.txt", "a.txt"):
        (tmp_path / name).touch()
    with pytest.raises(UserError, match=r"holds other files \(a\.txt\); give an empty or a new folder"):
        require_own(tmp_path, {"config.json"})


def test_lines_of_json(tmp_path: Path) -> None:
    path = tmp_path / "new" / "a.jsonl"
    append_jsonl(path, {"i": 0})
    assert path.read_text() == '{"i": 0}\n'
    write_jsonl(path, [{"i": 1}, {"i": 2}])
    append_jsonl(path, {"i": 3})
    for write, rows in ((append_jsonl, {"i": float("nan")}), (write_jsonl, [{"i": float("nan")}])):
        with pytest.raises(ValueError, match="not JSON compliant"):
            write(path, rows)
    assert path.read_text() == '{"i": 1}\n{"i": 2}\n{"i": 3}\n'


def test_the_folder_of_the_cache_may_be_written_from_home_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", "~/mine")
    assert cache_folder() == Path.home() / "mine"
