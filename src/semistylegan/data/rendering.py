"""Renders a scene into a data set: in parallel, in shards, resumable after any kill, always the same bytes.

The indices are cut into fixed chunks. Each finished chunk is a file in `OUT.parts/`; whoever sees the last of them
appear writes OUT from all of them, in their order, and removes the folder. So neither the number of processes nor
shards nor restarts can show in the bytes. For a while, the disk holds the images twice.
"""

from __future__ import annotations

import multiprocessing
import platform
import signal
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from semistylegan import __version__, progress
from semistylegan.data.cluster import over_ray
from semistylegan.data.dataset import TRAINABLE
from semistylegan.data.parts import Parts
from semistylegan.data.pictures import encode_png
from semistylegan.data.sheet import contact_sheet, is_contact_sheet
from semistylegan.data.storage import ZipWriter, cores
from semistylegan.errors import UserError
from semistylegan.factors import whole_number
from semistylegan.scenes import variant
from semistylegan.scenes.render import Scene, choose_indices
from semistylegan.signals import end_with_parent

MIN_POOL_SECONDS = 10.0
"""Work shorter than this (estimated from the first chunk) is done in this process: others take seconds to start."""


@dataclass(frozen=True)
class Job:
    """One data set to render. `settings` decide its bytes."""

    scene: Scene
    out: Path
    resolution: int
    count: int | None
    seed: int

    @property
    def settings(self) -> dict[str, Any]:
        """What `dataset.json` keeps under "made"."""
        drawn = {} if self.count is None else {"seed": self.seed}
        return {
            "scene": self.scene.name,
            "scene_version": self.scene.version,
            "resolution": self.resolution,
            "count": self.scene.space.total if self.count is None else self.count,
            **drawn,
            **self.scene.details(self.resolution),
        }

    @property
    def parts(self) -> Parts:
        return Parts(self.out, self.settings, "rendered")

    def chunks(self) -> list[npt.NDArray[np.int64]]:
        """The indices to render, cut into chunks; the same on every machine."""
        ordered = self.scene.order(choose_indices(self.scene.space, self.count, self.seed)).astype(np.int64)
        size = self.scene.chunk_at(self.resolution)
        return [ordered[i : i + size] for i in range(0, len(ordered), size)]

    def name_of(self, index: int) -> str:
        width = max(6, len(str(self.scene.space.total - 1)))
        return f"{index:0{width}d}.png"


def render_dataset(
    scene: Scene,
    out: str | Path,
    resolution: int,
    count: int | None = None,
    seed: int = 0,
    shard: tuple[int, int] = (0, 1),
    workers: int | None = None,
    cluster: Literal["ray"] | None = None,
) -> Path | None:
    """Renders `scene` into the zip `out`, and a contact sheet beside it (`out` with the ending .png).

    Called again after a kill it goes on. In a script that may use several processes, call it under
    `if __name__ == "__main__":`.

    Args:
        scene: one of `scenes.render.SCENES`.
        out: a .zip; images are named by index, labels are complete.
        resolution: pixels a side: 16, 32, 64, ... 1024.
        count: how many images, drawn from the whole grid by the seed; a larger count contains a smaller one. None: all.
        seed: 0 or more; of no effect without `count`.
        shard: (i, n): render part i of n alone, i from 0. The last shard to end writes `out`.
        workers: processes; None means one a core.
        cluster: `ray` sends the work to the cluster that RAY_ADDRESS names, or to one on this machine.

    Returns:
        `out`, or None while chunks of other shards are missing.

    Raises:
        UserError: settings out of range, or `out` (or what is half rendered) has other settings, or the scene gives an
            image of another type or shape than it should.
        OSError: what writing raised, e.g. ENOSPC; what is rendered so far is kept.
    """
    out = Path(out)
    resolution, seed = whole_number("resolution", resolution), whole_number("seed", seed)
    count = None if count is None else whole_number("count", count)
    _check(scene, out, resolution, count, seed, shard, workers, cluster)
    job = Job(scene, out, resolution, None if count == scene.space.total else count, seed)
    parts, sheet = job.parts, out.with_suffix(".png")
    made = not parts.finished()
    if made:
        parts.claim()
        try:
            _render_missing(job, shard, workers, cluster)
            missing = sum(not parts.file(k).exists() for k in range(len(job.chunks())))
            if not missing:
                _assemble(job)
            elif not parts.finished():  # another shard may have written it meanwhile
                progress.console().print(
                    f"{out}: shard {shard[0]}/{shard[1]} is done; {missing} chunks of other shards are missing",
                    markup=False,
                )
                return None
        except UserError:
            if shard[1] == 1:  # else another shard may be about to write its first chunk
                parts.leave()
            raise
        except FileNotFoundError:
            if not parts.finished():  # else another shard, or this command started twice, has removed the chunks
                raise
    parts.clear()
    if not sheet.exists() or (made and is_contact_sheet(sheet)):  # one of other settings, or a picture of the user's
        contact_sheet(scene, out, resolution, sheet, job.name_of)
    return out


def _check(
    scene: Scene,
    out: Path,
    resolution: int,
    count: int | None,
    seed: int,
    shard: tuple[int, int],
    workers: int | None,
    cluster: str | None,
) -> None:
    total = scene.space.total
    if out.suffix.lower() != ".zip":
        raise UserError(f"{out}: a data set is written as a zip; give a name that ends in .zip")
    if resolution not in TRAINABLE:
        raise UserError(f"resolution {resolution}: give one of {', '.join(map(str, TRAINABLE))}")
    if count is not None and not 1 <= count <= total:
        raise UserError(f"count {count}: {scene.name} has {total} images; give 1 to {total}")
    if seed < 0:
        raise UserError(f"seed {seed}: give 0 or more")
    if not 0 <= shard[0] < shard[1]:
        raise UserError(f"shard {shard[0]}/{shard[1]}: shards are numbered from 0/n to (n-1)/n")
    if workers is not None and workers < 1:
        raise UserError(f"workers {workers}: give at least 1")
    if cluster not in (None, "ray"):
        raise UserError(f"cluster {cluster}: known is ray")


# -- chunks ------------------------------------------------------------------------------------------------


def _render_missing(job: Job, shard: tuple[int, int], workers: int | None, cluster: Literal["ray"] | None) -> None:
    """Renders this shard's chunks that are not there yet."""
    chunks = job.chunks()
    own = range(shard[0], len(chunks), shard[1])
    parts = job.parts
    todo = [k for k in own if not parts.file(k).exists()]
    images = sum(len(chunks[k]) for k in own)
    left = sum(len(chunks[k]) for k in todo)
    if not todo:
        return
    with progress.bar(f"rendering {job.scene.name}", images, images - left) as advance:
        began = time.monotonic()
        done = 0
        counts = _on_ray(job, chunks, todo, workers) if cluster else _rendered(job, chunks, todo, workers or cores())
        for count in counts:
            done += count
            advance(count, f"{done / (time.monotonic() - began):.1f} images/s")


def _rendered(job: Job, chunks: list[npt.NDArray[np.int64]], todo: list[int], workers: int) -> Iterator[int]:
    """Renders chunks, here or in a pool; yields the number of images of each that is done."""
    if not job.scene.slow:
        began = time.monotonic()
        yield _render_chunk(job, todo[0], chunks[todo[0]])
        first, *todo = todo
        seconds = (time.monotonic() - began) / len(chunks[first]) * sum(len(chunks[k]) for k in todo)
        workers = 1 if seconds < MIN_POOL_SECONDS else workers
    if workers == 1 or len(todo) < 2:
        for k in todo:
            yield _render_chunk(job, k, chunks[k])
    else:
        yield from _in_pool(job, chunks, todo, min(workers, len(todo)))


def _render_chunk(job: Job, number: int, indices: npt.NDArray[np.int64]) -> int:
    """Renders one chunk into its file -> number of images."""
    job.parts.write(number, _images(job, indices))
    return len(indices)


def _images(job: Job, indices: npt.NDArray[np.int64]) -> Iterator[tuple[str, bytes]]:
    """Names and PNGs."""
    for index in indices:
        yield job.name_of(int(index)), encode_png(job.scene.picture(int(index), job.resolution))


def _on_ray(job: Job, chunks: list[npt.NDArray[np.int64]], numbers: list[int], workers: int | None) -> Iterator[int]:
    """Renders chunks on a Ray cluster and writes what comes back."""
    settings = job.settings
    tasks = [(job, settings, k, chunks[k]) for k in numbers]
    for number, images in over_ray(_chunk_elsewhere, tasks, workers):
        job.parts.write(number, images)
        yield len(images)


def _chunk_elsewhere(
    job: Job, settings: dict[str, Any], number: int, indices: npt.NDArray[np.int64]
) -> tuple[int, list[tuple[str, bytes]]]:
    """A chunk, rendered on another machine.

    Raises:
        UserError: this machine would give other bytes.
    """
    if job.settings != settings:
        key = next(k for k in settings if job.settings.get(k) != settings[k])
        raise UserError(
            f"{job.out}: {platform.node()} has {key} {job.settings.get(key)}, not {settings[key]}; "
            "install the same packages on all machines of the cluster"
        )
    return number, list(_images(job, indices))


def _in_pool(job: Job, chunks: list[npt.NDArray[np.int64]], numbers: list[int], workers: int) -> Iterator[int]:
    # Not a plain fork: this process has threads (the progress bar, perhaps torch), whose locks a fork would freeze.
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload([__name__])
    pool = ProcessPoolExecutor(workers, mp_context=context, initializer=_start_worker, initargs=(variant.chosen(),))
    try:
        tasks = [pool.submit(_render_chunk, job, k, chunks[k]) for k in numbers]
        for task in as_completed(tasks):
            yield task.result()
    except BrokenProcessPool:
        raise UserError(
            f"{job.out}: a rendering process died, perhaps for want of memory; "
            "the same command with fewer --workers goes on"
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def _start_worker(chosen: variant.Variant | None) -> None:
    """Renders as the parent does, leaves Ctrl-C to it, and ends with it even where it is killed."""
    variant.adopt(chosen)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    end_with_parent()


def _assemble(job: Job) -> None:
    """Writes OUT from its chunks."""
    space = job.scene.space
    with ZipWriter(job.out, space, {"made": {**job.settings, "package": __version__}}) as out:
        for k, indices in enumerate(job.chunks()):
            levels = space.levels_of_indices(space.values_of(indices))
            for index, png, level in zip(indices, _read_chunk(job, k, indices), levels, strict=True):
                out.add_png(job.name_of(int(index)), png, level)


def _read_chunk(job: Job, number: int, indices: npt.NDArray[np.int64]) -> list[bytes]:
    """The PNGs of a chunk; a damaged file (a disk that lost power) is rendered again."""
    names = [job.name_of(int(i)) for i in indices]
    images = job.parts.read(number, names)
    if images is None:
        _render_chunk(job, number, indices)
        images = job.parts.read(number, names)
    assert images is not None
    return images
