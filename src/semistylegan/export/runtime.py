"""onnxruntime-web, which runs a model in a browser: one pinned release of its npm package, kept in the cache folder.

npm is asked once, by the first `export --format web`. What comes is compared with the release's hash, and four files
are taken out of it.
"""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path

from semistylegan import progress
from semistylegan.errors import UserError
from semistylegan.files import atomic_path, cache_folder

PACKAGE, VERSION = "onnxruntime-web", "1.30.0"
SHA512 = "q0y+JrrtukXSzsBWEMccVfqX25LRmosXHF+CaRJmg8pZClzcV7svNc4rKY3jL02Vb7QmRMDs1SigqR4CXAfKYQ=="
"""Of the package's file, base64, as npm writes it."""
FILES = {
    "ort.wasm.bundle.min.mjs": "ort.wasm.js",
    "ort-wasm-simd-threaded.wasm": "ort-wasm-simd-threaded.wasm",
    "ort.webgpu.bundle.min.mjs": "ort.webgpu.js",
    "ort-wasm-simd-threaded.asyncify.wasm": "ort-wasm-simd-threaded.asyncify.wasm",
}
"""In the package -> here. Every static server knows what .js is."""
SECONDS = 600


def runtime(package: Path | None = None) -> Path:
    """The folder that holds FILES; got with npm where it is not in the cache yet.

    Args:
        package: the package's .tgz, for machines without npm or network.

    Raises:
        UserError: no npm, npm failed, or what came is not the pinned release.
    """
    folder = cache_folder() / f"{PACKAGE}-{VERSION}"
    if all((folder / name).is_file() for name in FILES.values()):
        return folder
    if package is not None:
        _unpack(package, folder)
        return folder
    with tempfile.TemporaryDirectory() as place:
        _unpack(_fetch(Path(place)), folder)
    return folder


def _fetch(place: Path) -> Path:
    npm = shutil.which("npm")
    name = f"{PACKAGE}-{VERSION}.tgz"
    otherwise = f"or give --runtime {name}, the file of that npm package"
    if npm is None:
        raise UserError(f"--format web needs npm once, to get {PACKAGE}: install Node.js, {otherwise}")
    progress.console().print(f"getting {PACKAGE} {VERSION} with npm (33 MB, once)", markup=False)
    command = [npm, "pack", f"{PACKAGE}@{VERSION}", "--silent", "--pack-destination", str(place)]
    try:
        subprocess.run(command, cwd=place, check=True, capture_output=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        raise UserError(f"npm did not get {PACKAGE} within {SECONDS} s; try again, {otherwise}") from None
    except subprocess.CalledProcessError as error:
        said = error.stderr.decode(errors="replace").strip().splitlines()
        raise UserError(f"npm did not get {PACKAGE} ({said[-1] if said else 'no reason given'}); {otherwise}") from None
    return place / name


def _unpack(package: Path, folder: Path) -> None:
    """Takes FILES out of the package, if it is the pinned release.

    Raises:
        UserError: no such file, or another one.
    """
    try:
        data = package.read_bytes()
    except OSError as error:
        raise UserError(f"{package}: cannot be read ({error.strerror}); check the name") from None
    if base64.b64encode(hashlib.sha512(data).digest()).decode() != SHA512:
        raise UserError(f"{package}: is not {PACKAGE} {VERSION} as it was published; get it again")
    with tarfile.open(package, "r:gz") as archive:
        for name, here in FILES.items():
            member = archive.extractfile(f"package/dist/{name}")
            assert member is not None, name
            with atomic_path(folder / here) as temporary:
                temporary.write_bytes(member.read())
