"""Times of the training step beside plain formulations of it, in one run on one machine.

    python benchmarks/train_step.py --json step.json --plot step.png          # CPU, one thread
    python benchmarks/train_step.py --device cuda --methods ours,eager,bfloat16,compiled,plain,public     # a GPU
    python benchmarks/train_step.py --resolutions 32 --processes 2            # ours alone, the batch over 2 processes
    python benchmarks/train_step.py --resolutions 64 --memory                 # what `train` expects, and what is held
    python benchmarks/train_step.py --resolutions 64 --same                   # ours beside the plain step, in numbers

`ours` is `train_step` as `train` runs it, but without doubt, moved and tinted images (`--gamma-doubt 0.2 --shift-keeps
shape,hue,scale --tint-keeps shape,scale,x,y` has what `train` has by default on sprites); `plain` is the same step,
plainly written (`plain.py`);
`public` also convolves at the large resolution, as StyleGAN2 does. `bfloat16` and `public_bfloat16` are these in that
precision. On a GPU `eager` is ours without CUDA graphs, `compiled` ours without graphs and with the networks through
`torch.compile` (not in R1, whose second derivative it does not have). What the first steps took there, where kernels
are chosen, compiled and recorded, is told apart.

Every width is `--width` maps at every resolution (0: the widths of `--size`). Random images: what is timed does not
depend on them. Times are medians over steps with R1 in its turn.
"""

from __future__ import annotations

import argparse
import itertools
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from plain import Plain, default_dtype, differences
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import flop_registry

from semistylegan import losses
from semistylegan.files import write_json
from semistylegan.scenes.sprites import FACTORS
from semistylegan.training import TrainConfig, distributed
from semistylegan.training.device import arithmetic
from semistylegan.training.feed import own_rows
from semistylegan.training.graphs import passes_for
from semistylegan.training.memory import estimate, keep_freed_memory, peak_memory
from semistylegan.training.parts import Batch, LabelledBatch, split
from semistylegan.training.scope import SHIFT, TINT
from semistylegan.training.state import TrainState
from semistylegan.training.step import Passes, train_step
from semistylegan.training.streams import finish

STEPS = 16
"""One round of lazy R1."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--resolutions", type=lambda t: [int(r) for r in t.split(",")], default=[32, 64])
    parser.add_argument("--size", default="tiny")
    parser.add_argument("--width", type=int, default=64)
    parser.add_argument("--gamma-doubt", type=float, default=0.0, help="as in `train`")
    parser.add_argument("--shift-keeps", default="none", help="as in `train`, with its --shift 0.25")
    parser.add_argument("--tint-keeps", default="none", help="as in `train`, with its --tint 1")
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--micro-batch", type=int, default=0, help="for ours: as in `train`")
    parser.add_argument("--methods", type=lambda t: t.split(","), default=["ours", "plain", "public"])
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--processes", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--memory", action="store_true", help="compare the estimate of memory with two steps; no times")
    parser.add_argument("--same", action="store_true", help="compare 20 steps with plain ones in double precision")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--plot", type=Path)
    args = parser.parse_args()
    if args.processes > 1 and not distributed.launched():
        sys.exit(distributed.launch([sys.executable, *sys.argv], args.processes))
    torch.set_num_threads(args.threads)
    keep_freed_memory()
    device = torch.device(distributed.local_device(args.device))
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)
    if args.memory:
        print(json.dumps(memory(args, args.resolutions[0], device)))
        return
    if args.same:
        for resolution, dtype in itertools.product(args.resolutions, (torch.float64, torch.float32)):
            print(json.dumps(same(args, resolution, dtype)), flush=True)
        return
    with distributed.joined(device):
        methods = ["ours"] if distributed.count() > 1 else args.methods
        rows, peaks = [], []
        for resolution in args.resolutions:
            seconds, peak = times(args, resolution, methods, device)
            peaks.append(peak)
            flop, operators = work(args, resolution, device)
            gflop = flop / 1e9 * 1000 / args.batch
            for method, value in seconds.items():
                row = {
                    "resolution": resolution,
                    "method": method,
                    "seconds_per_kimg": round(value, 2),
                    "of_public": round(value / seconds["public"], 3) if "public" in seconds else None,
                    "of_plain": round(value / seconds["plain"], 3) if "plain" in seconds else None,
                }
                if method == "ours":
                    row |= {"gflops": round(gflop / value, 1), "of_ceiling": round(gflop / value / peak, 3)}
                    row |= {"operators": round(operators)}
                rows.append(row)
                if distributed.rank() == 0:
                    print(json.dumps(row), flush=True)
            if distributed.rank() == 0:  # after each resolution: what fails later loses nothing
                write(args, device, peaks, rows)


def write(args: argparse.Namespace, device: torch.device, peaks: list[float], rows: list[dict[str, Any]]) -> None:
    """What has been timed so far, and on what: on stdout, as JSON and as a plot."""
    document = {
        "device": torch.cuda.get_device_name() if device.type == "cuda" else "cpu",
        "batch": args.batch,
        "width": args.width or args.size,
        "threads": args.threads,
        "processes": args.processes,
        "ceiling_gflops": [round(peak, 1) for peak in peaks],
        "memory_gb": round(peak_memory(), 2),
        "rows": rows,
    }
    print(json.dumps({k: v for k, v in document.items() if k != "rows"}))
    if args.json:
        write_json(args.json, document)
    if args.plot:
        plot(rows, args.plot)


def make(args: argparse.Namespace, resolution: int, device: torch.device, **fields: Any) -> tuple[TrainState, Batch]:
    """A state at its first step and this process's rows of a batch."""
    sizes = {"batch": args.batch, "labelled_batch": args.batch, "micro_batch": args.micro_batch, "size": args.size}
    fields |= {"width": args.width or None, "gamma_doubt": args.gamma_doubt}
    fields |= {"shift": SHIFT, "shift_keeps": args.shift_keeps, "tint": TINT, "tint_keeps": args.tint_keeps}
    config = TrainConfig.preset("semi", "none", "none", kimg=1e6, **sizes, **fields).resolved(resolution)
    model = config.networks(resolution, 3, FACTORS.code_width)
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2 * args.batch, 3, resolution, resolution, generator=generator)
    codes = FACTORS.encode(FACTORS.sample(2 * args.batch, generator)).to(images.dtype)
    real, labelled = (own_rows(rows).to(device) for rows in images.chunk(2))
    code, label = (own_rows(rows).to(device) for rows in codes.chunk(2))
    known = torch.ones(len(label), len(FACTORS), dtype=torch.bool, device=device)
    batch = Batch(real, code, LabelledBatch(labelled, label, known))
    return TrainState.create(config, model, FACTORS, device), batch


FIELDS: dict[str, dict[str, Any]] = {
    "bfloat16": {"precision": "bfloat16"},
    "eager": {"cuda_graphs": False},
    "compiled": {"cuda_graphs": False},
}
"""What a method of ours sets otherwise than the default."""


def stepper(method: str, state: TrainState, batch: Batch) -> Callable[[], Any]:
    """A function that takes one step."""
    if method in ("ours", *FIELDS):
        passes_of = passes_for(state, batch.real_BCHW.device)
        if method == "compiled":
            for module in (state.G, state.D.trunk, state.E.trunk, state.E_ema):
                module.compile()

            class NotInR1(Passes):
                def of_penalty(self) -> None:
                    with torch.compiler.set_stance("force_eager"):
                        super().of_penalty()

            passes_of = NotInR1

        def ours() -> None:
            with arithmetic(state.config.precision, batch.real_BCHW.device):
                train_step(state, batch, passes_of)

        return ours
    plain = Plain(state, torch.float32, before=method.startswith("public"))
    weight, device = state.config.ce_weight, batch.real_BCHW.device

    def supervised(said: torch.Tensor, aim: torch.Tensor, known: torch.Tensor) -> torch.Tensor:
        return losses.supervised(said, aim, known, FACTORS, weight)

    def step() -> None:
        (part,) = split(state, batch)
        autocast = torch.autocast(device.type, torch.bfloat16, enabled=method.endswith("bfloat16"))
        with arithmetic(state.config.precision, device), autocast:
            plain.step(part, supervised, lambda said, code: losses.unsupervised(said, code, FACTORS, weight))
        state.step, state.images = state.step + 1, state.images + len(batch.real_BCHW)

    return step


def times(
    args: argparse.Namespace, resolution: int, methods: list[str], device: torch.device
) -> tuple[dict[str, float], float]:
    """Seconds a kimg of each method, and GFLOP/s of the best convolution: rounds in turn, so that a change of the
    machine's pace meets all of them."""
    if "compiled" in methods:
        torch._dynamo.reset()  # beyond some recompilations of one function it would quietly compile no more
        torch._dynamo.config.fail_on_recompile_limit_hit = True
    steps = {method: stepper(method, *make(args, resolution, device, **FIELDS.get(method, {}))) for method in methods}
    found: dict[str, list[float]] = {method: [] for method in methods}
    for method, step in steps.items():
        began = time.perf_counter()
        for _ in range(2):
            step()
        finish(device)
        if device.type == "cuda" or method == "compiled":
            print(f"{method}, {resolution} px: first two steps {time.perf_counter() - began:.1f} s", flush=True)
    peaks = []
    for _ in range(args.rounds):
        with arithmetic("tf32", device):  # as ours
            peaks.append(ceiling(device))
        for method, step in steps.items():
            finish(device)
            began = time.perf_counter()
            for _ in range(STEPS):
                step()
            finish(device)
            found[method].append((time.perf_counter() - began) / STEPS * 1000 / args.batch)
    return {method: statistics.median(seconds) for method, seconds in found.items()}, statistics.median(peaks)


def memory(args: argparse.Namespace, resolution: int, device: torch.device) -> dict[str, Any]:
    """GB that `train` expects to need, and the most that was held over a step with R1 and one without."""
    state, batch = make(args, resolution, device)
    row = {
        "resolution": resolution,
        "batch": args.batch,
        "width": args.width or args.size,
        "parameters": sum(p.numel() for network in (state.G, state.D, state.E) for p in network.parameters()),
        "estimated_gb": round(estimate(state.config, state.model, FACTORS, args.batch) / 1e9, 3),
    }
    before = peak_memory()
    for _ in range(2):
        train_step(state, batch)
    held = peak_memory() - (0 if device.type == "cuda" else before)  # on a CPU: what the steps added
    return row | {"held_gb": round(held, 3)}


def same(args: argparse.Namespace, resolution: int, dtype: torch.dtype) -> dict[str, Any]:
    """The largest and the median distance of 20 of our steps in `dtype` from plain ones in double precision."""
    with default_dtype(dtype):
        state, batch = make(args, resolution, torch.device("cpu"))
    rows = list(differences(state, batch, 20))
    row: dict[str, Any] = {"resolution": resolution, "dtype": str(dtype).removeprefix("torch.")}
    for key in rows[0]:
        values = [found[key] for found in rows]
        row[key] = [float(f"{statistic(values):.1e}") for statistic in (max, statistics.median)]
    return row


def work(args: argparse.Namespace, resolution: int, device: torch.device) -> tuple[float, float]:
    """Of one of our steps, forward and backward, with R1 in its turn: the operations of convolutions and matrix
    products, and the operators that compute, of each of which a GPU launches a kernel or two."""
    state, batch = make(args, resolution, device)
    flops, operators = [], []
    for state.step in (0, 1):
        with Counted() as counted:
            train_step(state, batch)
        flops.append(counted.flops)
        operators.append(counted.operators)
    whole, part = 1 / STEPS, (STEPS - 1) / STEPS
    return (
        (whole * flops[0] + part * flops[1]) * distributed.count(),
        whole * operators[0] + part * operators[1],
    )


class Counted(TorchDispatchMode):
    """Operations of convolutions and matrix products (torch's FlopCounterMode refuses R1's second derivatives), and
    operators that compute: neither views nor memory alone."""

    flops = operators = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        if count := flop_registry.get(func.overloadpacket):
            self.flops += count(*args, **(kwargs or {}), out_val=out)
        self.operators += not func.is_view and "empty" not in func.name()
        return out


def ceiling(device: torch.device) -> float:
    """GFLOP/s of the best dense 3x3 convolution: forward and both gradients, weighted as in a step."""
    best, calls = 0.0, 50 if device.type == "cuda" else 1  # a GPU is through with one before the next is launched
    for width, size in ((64, 32), (64, 64), (128, 32)):
        x, g = (torch.randn(16, width, size, size, device=device) for _ in range(2))
        w = torch.randn(width, width, 3, 3, device=device)
        x, g, w = (t.contiguous(memory_format=torch.channels_last) for t in (x, g, w))
        parts = []
        for which in (None, (True, False, False), (False, True, False)):

            def once(which: Any = which, x: Any = x, g: Any = g, w: Any = w) -> None:
                if which is None:
                    F.conv2d(x, w, padding=1)
                else:
                    torch.ops.aten.convolution_backward(g, x, w, None, (1, 1), (1, 1), (1, 1), False, (0, 0), 1, which)

            once()
            finish(device)
            laps = []
            for _ in range(5):
                began = time.perf_counter()
                for _ in range(calls):
                    once()
                finish(device)
                laps.append((time.perf_counter() - began) / calls)
            parts.append(min(laps))
        # Passes with width x width kernels: per image D sees 3 forward, 3 input, 2 weight gradients; E and G likewise.
        flop = 2 * 16 * width * width * 9 * size * size
        best = max(best, flop * 8 / (3 * parts[0] + 3 * parts[1] + 2 * parts[2]) / 1e9)
    return best * (distributed.count() if device.type == "cpu" else 1)


def plot(rows: list[dict[str, Any]], path: Path) -> None:
    """Seconds a kimg against resolution."""
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt
    from matplotlib.ticker import LogLocator, ScalarFormatter

    figure, axes = plt.subplots(figsize=(5, 3.4), layout="constrained")
    for method in dict.fromkeys(row["method"] for row in rows):
        own = [row for row in rows if row["method"] == method]
        axes.plot([r["resolution"] for r in own], [r["seconds_per_kimg"] for r in own], "o-", label=method)
    axes.set(xscale="log", yscale="log", xlabel="pixels a side", ylabel="seconds a kimg")
    axes.set_xticks(sorted({r["resolution"] for r in rows}), [str(r) for r in sorted({r["resolution"] for r in rows})])
    axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter(ScalarFormatter())
    axes.minorticks_off()
    axes.legend()
    figure.savefig(path, dpi=110)


if __name__ == "__main__":
    main()
