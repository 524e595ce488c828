"""How good the oracle of a data set is, and how long it takes to train.

    python benchmarks/oracle.py kitchen.zip [--threads 2]

Trains it anew (the cache is not touched) and prints, for each factor, its mean error on held-out images beside half the
step between two values (a class: one image in ten), which is where scores that rest on it begin to mean something.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from semistylegan.data.dataset import Dataset
from semistylegan.metrics.oracle import train
from semistylegan.metrics.protocol import half_step


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    data = Dataset.open(options.data)
    began = time.perf_counter()
    oracle = train(data, torch.device("cpu"))
    took = time.perf_counter() - began
    print(f"{data.resolution} px, {oracle.labelled} labelled images, {oracle.held_out} held out: {oracle.plan}")
    print(f"{took:.0f} s on {options.threads} threads; L2 {oracle.l2:.3f}")
    for factor, error in zip(data.space, oracle.error, strict=True):
        limit = half_step(factor)
        told = (
            "" if error is None or limit is None else f"half a step {limit:.4f}  {'ok' if error <= limit else 'OVER'}"
        )
        print(f"  {factor.name:<22} error {'-' if error is None else f'{error:.4f}'}  {told}")


if __name__ == "__main__":
    main()
