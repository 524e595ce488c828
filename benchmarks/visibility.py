"""Is every step of every factor seen? A table of steps beside the noise, and a data set's two most similar images.

    python benchmarks/visibility.py living-room
    python benchmarks/visibility.py kitchen --images 8 --data kitchen64.zip

From random images, each factor is set to all of its values. A step is the mean absolute difference over the image (of
255) between neighbouring values, and the part of the pixels that it changes by more than 8. Noise is the difference
between an image and one with 64 times the samples: every image has the same grain, so that it is in no step where a
factor changes nothing. Whether a person sees a step, the contact sheet that `render` writes says.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import numpy.typing as npt

from semistylegan.data import Dataset
from semistylegan.scenes import engine, kitchen, living_room
from semistylegan.scenes.stage import Stage

STAGES = {stage.name: stage for stage in (kitchen.STAGE, living_room.STAGE)}
TIMES = 64
"""How many times the samples of an image a reference has."""


def difference(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    return float(np.abs(a.astype(np.float32) - b.astype(np.float32)).mean())


def changed(a: npt.NDArray[np.uint8], b: npt.NDArray[np.uint8]) -> float:
    """Part of the pixels that differ by more than 8 of 255 in a channel."""
    return float((np.abs(a.astype(np.int16) - b.astype(np.int16)).max(axis=2) > 8).mean())


def steps(stage: Stage, index: int, factor: int, resolution: int) -> list[tuple[float, float]]:
    """Differences between neighbours when a factor of one image goes through its values: means, and parts changed."""
    rows = np.tile(stage.factors.values_of(index), (stage.factors.sizes[factor], 1))
    rows[:, factor] = np.arange(len(rows))
    images = [engine.render(stage, int(i), resolution) for i in stage.factors.index_of(rows)]
    return [(difference(a, b), changed(a, b)) for a, b in zip(images, images[1:], strict=False)]


def noise(stage: Stage, indices: npt.NDArray[np.int64], resolution: int) -> list[float]:
    """Difference of each image from itself with `TIMES` the samples, through the same denoiser."""
    few = [engine.render(stage, int(i), resolution) for i in indices]
    plain = engine.samples
    steady, key = plain(resolution)
    engine.samples = lambda _: (steady * TIMES, key * TIMES)
    engine.opened(stage).forget()
    many = [engine.render(stage, int(i), resolution) for i in indices]
    engine.samples = plain
    engine.opened(stage).forget()
    return [difference(a, b) for a, b in zip(few, many, strict=True)]


def most_similar(data: Dataset, count: int) -> tuple[float, int, int]:
    """The smallest mean absolute difference between two of the first `count` images, and their numbers."""
    image_NP = np.asarray(data.images(np.arange(count))).reshape(count, -1).astype(np.float32)
    best = (np.inf, 0, 0)
    for i in range(count - 1):
        apart = np.abs(image_NP[i + 1 :] - image_NP[i]).mean(axis=1)
        nearest = int(apart.argmin())
        best = min(best, (float(apart[nearest]), i, i + 1 + nearest))
    return best


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("scene", choices=sorted(STAGES))
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--images", type=int, default=6, help="random images to start from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data", type=Path, help="a data set: its two most similar images are looked for")
    parser.add_argument("--count", type=int, default=2000, help="how many images of it are compared, each with each")
    given = parser.parse_args()
    stage = STAGES[given.scene]
    indices = np.random.default_rng(given.seed).choice(stage.factors.total, given.images, replace=False)

    grain = noise(stage, indices, given.resolution)
    print(f"noise: mean {np.mean(grain):.2f}, largest {np.max(grain):.2f} of 255\n")
    print("| factor | step to the next value, mean over images | smallest | pixels changed: mean, smallest |")
    print("| --- | --- | --- | --- |")
    for factor, name in enumerate(stage.factors.names):
        step, part = np.moveaxis([steps(stage, int(i), factor, given.resolution) for i in indices], 2, 0)
        means = ", ".join(f"{v:.1f}" for v in step.mean(axis=0))
        print(f"| `{name}` | {means} | {step.min():.1f} | {part.mean():.0%}, {part.min():.1%} |", flush=True)
    if given.data:
        count = min(given.count, len(data := Dataset.open(given.data)))
        apart, a, b = most_similar(data, count)
        print(f"\nthe most similar two of {count} images, {a} and {b}, differ by {apart:.2f} of 255")


if __name__ == "__main__":
    main()
