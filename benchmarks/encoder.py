"""How well E reads a data set from few labels, alone: with and without the maxima that its head sees from 64 px on.

    semistylegan render kitchen --out kitchen64.zip --resolution 64 --count 10000
    python benchmarks/encoder.py kitchen64.zip --factors object_shape,object_scale,object_color,wall_color

E learns as in a run (mixtures with unlabelled images, without G and D) from --labels images and is measured on 1,500
others: the mean error of each factor, in parts of its range.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import time
from pathlib import Path

import numpy as np
import torch
from labelling import HELD_OUT, read, train_encoder
from torch import nn

from semistylegan.data.dataset import Dataset
from semistylegan.models import build
from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Encoder


class WithoutMaxima(Encoder):
    """The head of smaller images."""

    def __init__(self, config: ModelConfig, trunk: nn.Module) -> None:
        super().__init__(dataclasses.replace(config, resolution=32), trunk)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--factors", type=lambda t: t.split(","), help="not given: all")
    parser.add_argument("--labels", type=int, default=250)
    parser.add_argument("--steps", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    data = Dataset.open(args.data)
    space = data.space.only(args.factors or data.space.names)
    level_NF = data.labels.columns([data.space.position(name) for name in space.names]).level_NF
    images, code_NC = data.images(np.arange(len(data))), space.encode(torch.from_numpy(level_NF))
    order = np.random.default_rng([args.seed, 9]).permutation(len(data))
    test, pool = order[:HELD_OUT], order[HELD_OUT:]
    for head in (WithoutMaxima, Encoder):
        build.Encoder = head  # type: ignore[misc]
        began = time.process_time()
        E = train_encoder(images, pool[: args.labels], code_NC, space, pool, args.steps, args.seed)
        said_NF = space.decode(torch.from_numpy(read(E, images[test]))).numpy()
        error_F = space.error(said_NF, level_NF[test]).mean(axis=0).round(3)
        row = {"head": head.__name__, "labels": args.labels, "steps": args.steps}
        row["error"] = dict(zip(space.names, map(float, error_F), strict=True))
        print(json.dumps(row | {"cpu_seconds": round(time.process_time() - began)}), flush=True)


if __name__ == "__main__":
    main()
