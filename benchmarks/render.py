"""Images per core-second of the rendered scenes, and what each trick saves and costs, side by side in one run.

    python benchmarks/render.py                       # both scenes at 64 pixels, some minutes on one core
    python benchmarks/render.py kitchen --resolutions 64,128,256,512 --json render.json

Time is that of the processor (one thread), so that two cores do twice as much. The error is that of the picture
(0 to 255, root mean square over three images) against 1,024 samples a pixel and paths of 12 edges, without a denoiser.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from semistylegan.factors import IntArray
from semistylegan.scenes import engine
from semistylegan.scenes.engine import Engine
from semistylegan.scenes.render import SCENES, Scene, choose_indices

COUNT = 10_000
"""Images of the data set whose order is measured."""


def seconds(e: Engine, indices: IntArray, resolution: int, before: Callable[[], None] = lambda: None) -> float:
    """Core-seconds an image; the first is rendered twice, since it compiles."""
    e.image(int(indices[0]), resolution)
    e.forget()
    began = time.process_time()
    for index in indices:
        before()
        e.image(int(index), resolution)
    return (time.process_time() - began) / len(indices)


@contextmanager
def settings(
    e: Engine, samples: tuple[int, int] | None = None, depth: int = engine.DEPTH, **fields: bool
) -> Iterator[None]:
    """The engine with other samples, depth, `denoise` or `record`."""
    old = {name: getattr(e, name) for name in ("denoise", "record", "integrator")}
    old_samples = engine.samples
    if samples:
        engine.samples = lambda resolution: samples
    if depth != engine.DEPTH:
        e.integrator = e.mi.load_dict({"type": "path", "max_depth": depth, "rr_depth": depth + 1})
    for name, value in fields.items():
        setattr(e, name, value)
    e.forget()
    try:
        yield
    finally:
        engine.samples = old_samples
        for name, value in old.items():
            setattr(e, name, value)
        e.forget()


def orders(scene: Scene, e: Engine, resolution: int, images: int) -> dict[str, float]:
    """Core-seconds an image: the whole grid in its order, drawn images in theirs, drawn images in none."""
    drawn = choose_indices(scene.space, COUNT, 0)
    whole = scene.order(np.arange(scene.space.total))
    mixed = np.random.default_rng(0).permutation(drawn)
    return {
        "whole grid, ordered": seconds(e, whole[: max(images, 48)], resolution),
        f"{COUNT:,} drawn, ordered": seconds(e, scene.order(drawn)[:images], resolution),
        f"{COUNT:,} drawn, unordered": seconds(e, mixed[: images // 2], resolution),
    }


def tricks(scene: Scene, e: Engine, resolution: int, images: int) -> dict[str, dict[str, float]]:
    """Core-seconds an image with each trick left out; errors where it changes the picture."""
    whole = scene.order(np.arange(scene.space.total))[:24]
    drawn = scene.order(choose_indices(scene.space, COUNT, 0))[:images]
    three = np.random.default_rng(1).choice(scene.space.total, 3, replace=False)
    with settings(e, (1024, 1024), 12, denoise=False):
        truth = [e.image(int(i), resolution).astype(float) for i in three]

    def error() -> float:
        return float(
            np.sqrt(np.mean([(e.image(int(i), resolution) - t) ** 2 for i, t in zip(three, truth, strict=True)]))
        )

    out = {
        "as it is, whole grid": {"seconds": seconds(e, whole, resolution)},
        "no light shared": {"seconds": seconds(e, whole, resolution, lambda: e._kept.clear())},
        "as it is, drawn": {"seconds": seconds(e, drawn, resolution), "error": error()},
    }
    for name, fields in {
        "not recorded": {"record": False},
        "not denoised": {"denoise": False},
        "not denoised, 64 samples": {"denoise": False, "samples": (64, 64)},
        "half the samples": {"samples": tuple(n // 2 for n in engine.samples(resolution))},
        "twice the samples": {"samples": tuple(n * 2 for n in engine.samples(resolution))},
        "paths of 3 edges": {"depth": 3},
        "paths of 6 edges": {"depth": 6},
    }.items():
        if fields == {"record": False} and not e.record:
            continue
        with settings(e, **fields):  # type: ignore[arg-type]
            out[name] = {"seconds": seconds(e, drawn[: images // 2], resolution), "error": error()}
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("scenes", nargs="*", default=[name for name in SCENES if name != "sprites"])
    parser.add_argument("--resolutions", default="64")
    parser.add_argument("--images", type=int, default=40, help="how many images of each order are timed")
    parser.add_argument("--no-tricks", action="store_true", help="orders alone")
    parser.add_argument("--json", help="also write the numbers to this file")
    args = parser.parse_args()
    out: dict[str, Any] = {}
    for name in args.scenes:
        scene = SCENES[name]
        e = engine.opened(scene.render.args[0])  # type: ignore[attr-defined]
        for resolution in (int(r) for r in args.resolutions.split(",")):
            images = max(args.images // max(resolution // 64, 1), 4)
            found: dict[str, Any] = {"orders": orders(scene, e, resolution, images)}
            print(
                f"\n{name}, {resolution} pixels, {e.mi.variant()}\n\n| order | images per core-second |\n| --- | --- |"
            )
            for order, spent in found["orders"].items():
                print(f"| {order} | {1 / spent:.2f} |", flush=True)
            if not args.no_tricks:
                found["tricks"] = tricks(scene, e, resolution, images)
                print("\n| at work | ms an image | error |\n| --- | --- | --- |")
                for trick, row in found["tricks"].items():
                    error = f"{row['error']:.2f}" if "error" in row else ""
                    print(f"| {trick} | {1000 * row['seconds']:.0f} | {error} |", flush=True)
            out[f"{name} {resolution}"] = found
    if args.json:
        with open(args.json, "w", encoding="utf-8") as file:
            json.dump(out, file, indent=2)


if __name__ == "__main__":
    main()
