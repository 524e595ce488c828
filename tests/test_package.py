"""What goes into the wheel: hatch takes every file of the package that `.gitignore` does not name."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

from semistylegan.models.checkpoint import PRETRAINED

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "semistylegan"


def test_the_wheel_is_the_package_and_nothing_is_left_out() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    assert build["targets"]["wheel"] == {"packages": ["src/semistylegan"]}
    assert set(build) == {"targets"}, "what is set for all targets may leave files out of the wheel"


def test_what_tests_and_the_makefile_need_is_in_the_sdist() -> None:
    build = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]
    needed = {"/src", "/tests", "/docs", "/benchmarks", "/examples", "/.ci/system-packages", "/Makefile"}
    assert needed <= set(build["targets"]["sdist"]["include"])


@pytest.mark.skipif(shutil.which("git") is None, reason="no git here")
def test_no_file_of_the_package_is_ignored() -> None:
    files = [str(p.relative_to(ROOT)) for p in PACKAGE.rglob("*") if p.is_file() and p.suffix != ".pyc"]
    for needed in ("app/static/sliders.html", "app/static/labelling.js", "export/page/index.html", "report/page.css"):
        assert f"src/semistylegan/{needed}" in files
    for name in PRETRAINED:
        assert f"src/semistylegan/pretrained/{name}/model.safetensors" in files
    # --no-index: also those that git already tracks, for hatch knows the rules and not the index.
    said = subprocess.run(
        ["git", "check-ignore", "--no-index", "--stdin"],
        cwd=ROOT, input="\n".join(files), capture_output=True, text=True,
    )  # fmt: skip
    if said.returncode == 128:
        pytest.skip(f"not a checkout: {said.stderr.strip()}")
    assert said.stdout.splitlines() == []
