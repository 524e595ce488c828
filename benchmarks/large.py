"""Does memory stay small when the data does not? Time and peak memory of import, check and a training's first steps.

    python benchmarks/large.py DIR                # 200,000 images of 64 px, 0.5% of them labelled
    python benchmarks/large.py DIR --count 2000

Draws the images into DIR/images (what is there stays), then runs the three commands, each in a process of its own.
"""

from __future__ import annotations

import argparse
import csv
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

from semistylegan.data.pictures import encode_png
from semistylegan.scenes import sprites

SPACE = sprites.FACTORS


def draw(folder: Path, count: int) -> None:
    """Sprites, each with a grid of dots of its own, a thousand in a sub-folder; a row for every 200th."""
    sprite: dict[int, np.ndarray] = {}
    rows = []
    for i in range(count):
        rng = np.random.default_rng(i)
        index = int(rng.integers(SPACE.total))
        name = f"{i // 1000:03d}/{i:06d}.png"
        if i % 200 == 0:
            levels = SPACE.levels_of_indices(SPACE.values_of(index))
            rows.append([name, *(f.value_of(u) for f, u in zip(SPACE, levels, strict=True))])
        if not (folder / name).exists():
            if index not in sprite:
                sprite[index] = sprites.render(index, 64)
            image = sprite[index].copy()
            image[::8, ::8] = rng.integers(0, 256, (8, 8, 1), dtype=np.uint8)
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(encode_png(image))
    with (folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows([["file_name", *SPACE.names], *rows])


def measure(*command: str) -> tuple[float, float]:
    """Seconds, and the most memory that the process held, in GB."""
    began = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "semistylegan", *command])
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{command[0]} ended with status {status}")
    return time.perf_counter() - began, usage.ru_maxrss / (1e9 if sys.platform == "darwin" else 1e6)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=200_000)
    args = parser.parse_args()
    images, data, run = (str(args.folder / name) for name in ("images", "data.zip", "run"))
    draw(Path(images), args.count)
    commands = {
        "import": ("folder", "--source", images, "--out", data, "--resolution", "64"),
        "check": (data,),
        "train": ("--data", data, "--out", run, "--kimg", "0.2", "--device", "cpu"),
    }
    rows = {name: measure(name, *rest) for name, rest in commands.items()}
    print("| command | seconds | peak memory |\n| --- | --- | --- |")
    for name, (seconds, peak) in rows.items():
        print(f"| `{name}` | {seconds:.0f} | {peak:.2f} GB |")


if __name__ == "__main__":
    main()
