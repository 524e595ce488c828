"""Imports point one way through the house, and importing the package stays light."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import semistylegan

PACKAGE = "semistylegan"
SOURCE = Path(semistylegan.__file__).parent
ROOMS = (
    ("errors",),
    ("files", "progress", "signals"),
    ("factors",),
    ("scenes",),
    ("data",),
    ("models",),
    ("losses",),
    ("training",),
    ("inversion", "active"),
    ("metrics",),
    ("editing",),
    ("study",),
    ("report",),
    ("demo",),
    ("app",),
    ("export",),
    ("cli",),
    ("__main__",),
)
"""From left to right: a room imports from its left, from its own inside, and from nobody else."""
FACADE = ("load", "metrics", "__version__")
"""What `semistylegan/__init__.py` gives to users. It imports nothing when it is imported itself."""
PLACE = {room: place for place, rooms in enumerate(ROOMS) for room in rooms}


def imported_rooms(source: str, module: str) -> dict[str, int]:
    """Room -> line of its first import, for every import in `source`, those inside functions included."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parent = module.split(".")[: -node.level]
                base = ".".join([*parent, base] if base else parent)
            names = [f"{base}.{alias.name}" for alias in node.names]
        else:
            continue
        for name in names:
            top, _, rest = name.partition(".")
            if top == PACKAGE and (room := rest.split(".")[0]) and room != "__version__":
                found.setdefault(room, node.lineno)
    return found


def violations(source: str, module: str) -> list[str]:
    """What in `source`, the text of the module `semistylegan.<room>...`, points the wrong way."""
    here = module.split(".")[1]
    if here not in PLACE:
        return [f"{module}: the room {here!r} is not in ROOMS: give it its place"]
    wrong = []
    for room, line in imported_rooms(source, module).items():
        if room not in PLACE:
            wrong.append(f"{module}:{line} imports {room!r}, which is not in ROOMS")
        elif room != here and PLACE[room] >= PLACE[here]:
            wrong.append(f"{module}:{line} imports {room!r}, which is not on its left")
    return wrong


def modules() -> list[tuple[str, Path]]:
    """Dotted name and file of every module but the package's own `__init__`."""
    out = []
    for path in sorted(SOURCE.rglob("*.py")):
        parts = path.relative_to(SOURCE).with_suffix("").parts
        if parts != ("__init__",):
            # The name of a package's __init__ is kept: relative imports in it count from the package.
            out.append((".".join((PACKAGE, *parts)), path))
    return out


def test_imports_point_to_the_left() -> None:
    found = modules()
    assert len(found) > 10
    assert [w for name, path in found for w in violations(path.read_text(encoding="utf-8"), name)] == []


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("semistylegan.losses", "import semistylegan.training.config"),
        ("semistylegan.training.step", "from semistylegan.metrics import mig"),
        ("semistylegan.training.step", "from semistylegan import metrics"),
        ("semistylegan.training.step", "from ..metrics import mig"),
        ("semistylegan.training.__init__", "from .. import metrics"),
        ("semistylegan.training.step", "def late():\n    from semistylegan.metrics.oracle import train_oracle"),
        ("semistylegan.training.step", "from semistylegan import load"),
        ("semistylegan.files", "from semistylegan import progress"),
        ("semistylegan.demo", "from semistylegan.cli import main"),
        ("semistylegan.newroom", ""),
    ],
)
def test_the_checker_sees_a_wrong_import(module: str, source: str) -> None:
    assert len(violations(source, module)) == 1


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("semistylegan.training.loop", "from semistylegan.training.step import train_step"),
        ("semistylegan.training.loop", "from .step import train_step\nfrom ..data import dataset"),
        ("semistylegan.metrics.evaluate", "from semistylegan.training.run import Run\nimport torch"),
        ("semistylegan.cli.program", "from semistylegan import __version__\nfrom semistylegan.cli import parsing"),
    ],
)
def test_the_checker_lets_right_imports_pass(module: str, source: str) -> None:
    assert violations(source, module) == []


def test_importing_the_package_is_light() -> None:
    code = f"import sys, {PACKAGE}; print([m for m in ('torch', 'numpy', 'rich', 'tyro') if m in sys.modules])"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "[]\n"


def test_looking_at_data_waits_for_no_torch() -> None:
    code = f"import sys, {PACKAGE}.data; print('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout == "False\n"


def test_the_facade_offers_what_it_promises() -> None:
    assert set(semistylegan.__all__) == set(FACADE)
    assert set(FACADE) <= set(dir(semistylegan))
    for name in FACADE:
        assert getattr(semistylegan, name) is not None
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = semistylegan.nothing


def test_benchmarks_import_what_is_there() -> None:
    """They are run seldom: a name that has moved would be missed too late."""
    for script in sorted((SOURCE.parents[1] / "benchmarks").glob("*.py")):
        for node in ast.walk(ast.parse(script.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and str(node.module).split(".")[0] == PACKAGE:
                names = [alias.name for alias in node.names]
                module = __import__(str(node.module), fromlist=names)
                assert not [name for name in names if not hasattr(module, name)], script.name
