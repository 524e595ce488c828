"""Which of Mitsuba's variants this machine can use: `llvm_ad_rgb` where LLVM serves, else `scalar_rgb`.

Compiled kernels are faster, but an LLVM that is too old does not raise an error, it ends the process, perhaps only at
the first picture. So a candidate renders a real scene in a process of its own before it is believed. What was found
is kept in the cache folder. The two variants give different bytes: a data set records which one made it.

`python -m semistylegan.scenes.variant` says what was chosen, and why.
"""

from __future__ import annotations

import functools
import importlib.metadata
import importlib.util
import json
import multiprocessing
import os
import re
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from semistylegan import progress
from semistylegan.errors import UserError
from semistylegan.files import cache_folder, write_json

CHOICE = "SEMISTYLEGAN_VARIANT"
"""Environment: `scalar_rgb` or `llvm_ad_rgb` instead of what the probe finds."""
LLVM_PATH = "DRJIT_LIBLLVM_PATH"
"""Environment: where drjit looks for LLVM; if set, the only candidate."""
TESTED = (19, 20, 18, 17, 21, 22)
"""LLVM's versions, best first. 14 to 16 abort ("Cannot select ... fminimum")."""
FOLDERS = ("/usr/lib/*-linux-gnu", "/usr/lib64", "/usr/lib/llvm-*/lib", "/usr/local/lib", "/opt/homebrew/opt/llvm*/lib")
PROBE_SECONDS = 180

PROBE = """
import drjit, mitsuba as mi, numpy as np
mi.set_variant("llvm_ad_rgb")
drjit.set_thread_count(1)
colour = {"type": "bitmap", "bitmap": mi.Bitmap(np.full((4, 4, 3), 0.5, np.float32))}
scene = mi.load_dict({
    "type": "scene",
    "ball": {"type": "sphere", "bsdf": {"type": "principled", "base_color": colour, "clearcoat": 0.5}},
    "floor": {"type": "rectangle", "bsdf": {"type": "roughplastic"}},
    "sky": {"type": "constant"},
    "sensor": {"type": "perspective", "to_world": mi.ScalarTransform4f().look_at([0, -4, 2], [0, 0, 0], [0, 0, 1]),
               "film": {"type": "hdrfilm", "width": 16, "height": 16, "rfilter": {"type": "box"}}},
})
image = mi.render(scene, integrator=mi.load_dict({"type": "path", "max_depth": 4}), spp=4)
assert 0.01 < float(drjit.mean(image.array)[0]) < 10
"""


@dataclass(frozen=True)
class Variant:
    """One of Mitsuba's variants."""

    name: str
    """`llvm_ad_rgb` or `scalar_rgb`."""
    llvm: str | None
    """The library that llvm_ad_rgb uses."""
    why: str
    """One line for a person."""


_adopted: Variant | None = None


@functools.cache
def choose() -> Variant:
    """The variant for this machine; the first call may probe for some seconds.

    Raises:
        UserError: Mitsuba is not installed, or the environment asks for what does not work.
    """
    if _adopted is not None:
        return _adopted
    need()
    wanted = os.environ.get(CHOICE)
    if wanted == "scalar_rgb":
        return Variant("scalar_rgb", None, f"{CHOICE} asks for it")
    if wanted not in (None, "", "llvm_ad_rgb"):
        raise UserError(f"{CHOICE}={wanted}: give llvm_ad_rgb or scalar_rgb")
    found = libraries()
    tried = []
    for library in found[:3]:
        if problem := _problem(library):
            tried.append(f"{library}: {problem}")
        else:
            return Variant("llvm_ad_rgb", library, f"{library} renders")
    why = "; ".join(tried) or "no LLVM 17 or newer found"
    if wanted:
        raise UserError(f"{CHOICE}={wanted}: {why}; install libllvm19, or give scalar_rgb")
    if multiprocessing.parent_process() is None:  # said once, not by every worker
        progress.console().print(f"rendering with scalar_rgb: {why}; libllvm19 would make it faster", markup=False)
    return Variant("scalar_rgb", None, why)


def chosen() -> Variant | None:
    """What :func:`choose` has said in this process; None where it was not asked."""
    return choose() if choose.cache_info().currsize else None


def adopt(found: Variant | None) -> None:
    """Takes over what the process that started this one has :func:`chosen`.

    A probe of its own might come out otherwise on a busy machine, and the pictures would not be of one kind.
    """
    global _adopted
    _adopted = found


def load() -> Any:
    """Mitsuba, with the chosen variant set and one thread a process: more than one core is for more processes.

    Raises:
        UserError: as :func:`choose`.
    """
    chosen = choose()
    if chosen.llvm:
        os.environ[LLVM_PATH] = chosen.llvm
    import drjit
    import mitsuba

    mitsuba.set_variant(chosen.name)
    mitsuba.set_log_level(mitsuba.LogLevel.Error)
    drjit.set_thread_count(1)
    return mitsuba


def need() -> None:
    """Says which extra is missing.

    Raises:
        UserError: one of the packages that render is not installed.
    """
    if any(importlib.util.find_spec(name) is None for name in ("mitsuba", "drjit", "pyoidn")):
        raise UserError("rendering needs Mitsuba, which is not installed: pip install 'semistylegan[render]'")


@functools.cache
def version_of(package: str) -> str:
    """The installed version of a package."""
    return importlib.metadata.version(package)


def libraries() -> list[str]:
    """LLVM libraries on this machine that may serve, the likeliest first."""
    if given := os.environ.get(LLVM_PATH):
        return [given]
    found: dict[str, int] = {}
    for folder in FOLDERS:
        for path in sorted(Path("/").glob(f"{folder[1:]}/libLLVM*")):
            match = re.fullmatch(r"libLLVM(?:-(\d+))?(?:\.so)?(?:\.(\d+))?[.\d]*(?:\.dylib)?", path.name)
            version = int(match[1] or match[2] or 0) if match else 0
            if version in TESTED:
                found.setdefault(str(path.resolve()), version)
    return sorted(found, key=lambda path: TESTED.index(found[path]))


def _problem(library: str) -> str:
    """Why this LLVM does not serve; empty if it does. What was found is kept in the cache folder."""
    try:
        changed = Path(library).stat().st_mtime_ns
    except OSError:
        return "is not there"
    key = f"{library} {changed} mitsuba {version_of('mitsuba')} drjit {version_of('drjit')}"
    path = cache_folder() / "llvm.json"
    try:
        known = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(known, dict) and isinstance(known.get(key), str):
            return known[key]
    except (OSError, ValueError):
        known = {}
    try:
        problem = _probe(library)
    except subprocess.TimeoutExpired:  # not kept: the machine may be busy today
        return f"did not render within {PROBE_SECONDS} s"
    with suppress(OSError):  # a cache that cannot be written is no cache
        write_json(path, {**(known if isinstance(known, dict) else {}), key: problem})
    return problem


def _probe(library: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env={**os.environ, LLVM_PATH: library},
        capture_output=True,
        text=True,
        timeout=PROBE_SECONDS,
    )
    if done.returncode == 0:
        return ""
    last = done.stderr.strip().splitlines()[-1:] or [""]
    return f"ended with status {done.returncode} {last[0][:100]}".strip()


def main() -> None:
    """Prints the choice."""
    try:
        chosen = choose()
    except UserError as error:
        print(f"rendering: {error}")
    else:
        print(f"rendering: {chosen.name} ({chosen.why})")


if __name__ == "__main__":
    main()
