"""Images a second, by path and size, side by side: is reading ever what a training waits for?

    python benchmarks/data.py            # a table in Markdown, about three minutes
    python benchmarks/data.py --sides 64,128 --step

Every path reads the same pictures (smooth noise, which compresses about as well as photographs) in the same random
order; rounds of all paths take turns, and the best round of each counts. `--step` measures beside it how many images
the default training step (tiny networks) takes in.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import tempfile
import time
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from semistylegan.data import Dataset, cache
from semistylegan.data.importers import open_source
from semistylegan.data.importing import import_dataset

Read = Callable[[np.ndarray], object]
BATCH = 16


def picture(seed: int, side: int) -> Image.Image:
    """Smooth colour noise in octaves, with a little grain."""
    rng = np.random.default_rng(seed)
    out = np.zeros((side, side, 3))
    for octave in range(2, int(np.log2(side))):
        coarse = rng.random((2**octave, 2**octave, 3)).astype(np.float32)
        layers = [Image.fromarray(coarse[..., c]).resize((side, side), Image.Resampling.BICUBIC) for c in range(3)]
        out += np.stack([np.asarray(layer) for layer in layers], -1) / 2**octave
    out = (out - out.min()) / (out.max() - out.min()) * 250 + rng.random(out.shape) * 5
    return Image.fromarray(out.astype(np.uint8))


def pillow_folder(folder: Path) -> Read:
    """What a plain loop over files does."""
    names = sorted(folder.glob("*.png"))
    return lambda rows: np.stack([np.asarray(Image.open(names[i])).transpose(2, 0, 1) for i in rows])


def stylegan_zip(path: Path) -> Read:
    """The usual reader of StyleGAN zips: zipfile, then Pillow, image by image (PNGs without compression)."""
    file = zipfile.ZipFile(path)
    names = sorted(n for n in file.namelist() if n.endswith(".png"))

    def read(rows: np.ndarray) -> object:
        images = []
        for i in rows:
            with file.open(names[i]) as entry:
                images.append(np.array(Image.open(entry)).transpose(2, 0, 1))
        return np.stack(images)

    return read


def ours(path: Path, workers: int, cached: bool = False) -> Read:
    data = Dataset.open(path, cache_bytes=1 << 40 if cached else 0, workers=workers)
    if cached:
        data.images(np.arange(len(data)))

    return data.images


def rates(paths: dict[str, Read], count: int, seconds: float, rounds: int) -> dict[str, float]:
    """Images a second of each path, the best of several rounds that take turns."""
    best = dict.fromkeys(paths, 0.0)
    for r in range(rounds):
        for name, read in paths.items():
            rng = np.random.default_rng(r)
            done, began = 0, time.perf_counter()
            while (spent := time.perf_counter() - began) < seconds or not done:
                read(rng.integers(0, count, BATCH))
                done += BATCH
            best[name] = max(best[name], done / (time.perf_counter() - began) if spent else 0.0)
    return best


def measure(side: int, folder: Path, seconds: float, rounds: int) -> dict[str, float]:
    count = {64: 1024, 128: 512, 512: 64, 1024: 32}.get(side, 128)
    files = folder / "files"
    files.mkdir(parents=True)
    for i in range(count):
        picture(i, side).save(files / f"{i:06d}.png")
    import_dataset(open_source("folder", files), "folder", folder / "ours.zip")
    with zipfile.ZipFile(folder / "theirs.zip", "w") as file:
        for i in range(count):
            buffer = io.BytesIO()
            Image.open(files / f"{i:06d}.png").save(buffer, "PNG", compress_level=0, optimize=False)
            file.writestr(f"00000/img{i:08d}.png", buffer.getvalue())
    cache.FILE_BYTES = 1
    paths = {
        "folder, Pillow": pillow_folder(files),
        "zip, StyleGAN-style": stylegan_zip(folder / "theirs.zip"),
        "folder": ours(files, 1),
        "zip": ours(folder / "ours.zip", 1),
        "zip, 2 workers": ours(folder / "ours.zip", 2),
        "StyleGAN's zip": ours(folder / "theirs.zip", 1),
        "cache": ours(folder / "ours.zip", 1, cached=True),
    }
    return rates(paths, count, seconds, rounds)


def step_rate(side: int, folder: Path) -> float:
    """Images a second that the default training step reads (real and labelled)."""
    import json

    from semistylegan.data import ZipWriter
    from semistylegan.scenes.sprites import FACTORS, render
    from semistylegan.training import TrainConfig, train

    with ZipWriter(folder / "sprites.zip", FACTORS) as out:
        for i in range(0, FACTORS.total, FACTORS.total // 256):
            out.add(f"{i:06d}.png", render(i, side), FACTORS.levels_of_indices(FACTORS.values_of(i)))
    config = TrainConfig.preset(
        "semi", data=str(folder / "sprites.zip"), out=str(folder / "run"), kimg=0.24, tick_kimg=0.08, threads=2
    )
    ticks = [json.loads(line) for line in (train(config).path / "stats.jsonl").read_text().splitlines()]
    return 1000 * (1 + config.labelled_batch / config.batch) / min(t["sec_per_kimg"] for t in ticks)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", default="64,128,512,1024", help="pixels a side, with commas between")
    parser.add_argument("--seconds", type=float, default=1.0, help="of each round")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--step", action="store_true", help="measure the training step at 64 pixels too")
    args = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="benchmark-"))
    os.environ["SEMISTYLEGAN_CACHE"] = str(folder / "cache")
    try:
        table = {
            side: measure(side, folder / str(side), args.seconds, args.rounds)
            for side in map(int, args.sides.split(","))
        }
        print("| images a second | " + " | ".join(f"{side} px" for side in table) + " |")
        print("| --- |" + " --- |" * len(table))
        for name in next(iter(table.values())):
            cells = [f"{row[name]:,.0f} (x {row[name] / row['folder, Pillow']:.2f})" for row in table.values()]
            print(f"| {name} | " + " | ".join(cells) + " |")
        if args.step:
            (folder / "step").mkdir()
            print(f"\nthe default training step at 64 px takes in {step_rate(64, folder / 'step'):.0f} images a second")
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
