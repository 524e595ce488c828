"""The programs under examples/ do what they say."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AVATARS = Path(__file__).parents[1] / "examples" / "avatars.py"


def test_faces_of_another_seed_get_no_new_table(tmp_path: Path) -> None:
    """The table would give them labels that are not theirs."""
    pytest.importorskip("python_avatars")
    pytest.importorskip("resvg_py")

    def draw(*options: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, str(AVATARS), str(tmp_path / "faces"), "--side", "16", "--workers", "1", *options]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def contents() -> dict[str, bytes]:
        return {p.name: p.read_bytes() for p in (tmp_path / "faces").iterdir()}

    assert draw("--count", "2").returncode == 0
    first = contents()
    for options, said in (
        (("--seed", "1", "--count", "2"), "metadata.csv is that of other faces"),
        (("--side", "32", "--count", "2"), "its faces have 16 pixels a side"),
    ):
        refused = draw(*options)
        assert refused.returncode == 2 and said in refused.stderr
        assert contents() == first
    assert draw("--count", "3").returncode == 0
    assert contents().items() >= {name: first[name] for name in ("000000.png", "000001.png")}.items()
    assert len(contents()) == 4
