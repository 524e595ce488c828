"""How long one edit of one image takes: in one pass (preset fine) and by inversion (all others).

    python benchmarks/edit.py [--resolution 64] [--size tiny] [--threads 1]

Random weights: the time does not depend on what a model has learnt. Beside the wall clock stands the processor's own
time, which does not count what else the machine does.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from semistylegan.editing import Model
from semistylegan.factors import FactorSpace
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import Networks
from semistylegan.models.config import ModelConfig
from semistylegan.training.config import coarse_resolution


def make(size: str, resolution: int, space: FactorSpace, coarse: int = 0) -> Model:
    seen = resolution if coarse else 0
    config = ModelConfig.of_size(size, resolution, 3, space.code_width, coarse=coarse, seen=seen)  # type: ignore[arg-type]
    G, _, E = build_networks(config)
    return Model(Networks(config, space, G.eval().requires_grad_(False), E.eval().requires_grad_(False)), Path())


def seconds(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Wall clock and processor time of one call."""
    call()
    wall, own = time.perf_counter(), time.process_time()
    for _ in range(times):
        call()
    return (time.perf_counter() - wall) / times, (time.process_time() - own) / times


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    random = np.random.default_rng(0)
    space = FactorSpace.isaac3d()
    fine = space.only(["object_scale", "lighting_intensity", "object_color", "wall_color"])
    editor = make(args.size, args.resolution, fine, coarse_resolution(args.resolution))
    semi = make(args.size, args.resolution, space)

    def new_image() -> np.ndarray:
        return random.integers(0, 256, (args.resolution, args.resolution, 3), dtype=np.uint8)

    print(f"{args.size}, {args.resolution} px, {args.threads} thread(s)", end="\n\n")
    print("| edit | wall clock | processor |\n| --- | --- | --- |")
    wall, own = seconds(lambda: editor.edit(new_image(), {"wall_color": 1}), 50)
    print(f"| one pass | {1000 * wall:.1f} ms | {1000 * own:.1f} ms |")
    wall, own = seconds(lambda: semi.edit(new_image(), {"wall_color": 1}), 1)
    print(f"| inversion, 200 updates | {wall:.1f} s | {own:.1f} s |")


if __name__ == "__main__":
    main()
