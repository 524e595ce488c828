"""How much memory a training needs, from its networks' shapes alone, and what to do where that is too much; how the
process's own is laid out, and how much it held."""

from __future__ import annotations

import ctypes
import dataclasses
import gc
import mmap
import os
import resource
from pathlib import Path

import torch
from torch import Tensor

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.models.config import ModelConfig
from semistylegan.models.layers import GROUP, group_size
from semistylegan.training import distributed
from semistylegan.training.config import TrainConfig
from semistylegan.training.objective import Log, generate, gradient_penalty, loss_of_D_and_E, loss_of_G, read_once
from semistylegan.training.parts import LabelledBatch, Part
from semistylegan.training.state import TrainState

SPARE = 2.0
"""What is needed beside weights, their moments and the kept activations (gradients on the way, R1's second graph, the
allocator's gaps), as a factor on the activations: the largest of seven settings (docs/results/speed.md)."""
SPARE_BFLOAT16, KERNELS_BFLOAT16 = 2.8, 3e7
"""The same with maps in bfloat16, between which R1's in float32 leave larger gaps, and bytes that its kernels take for
themselves: over the largest of these settings on a CPU, with doubt and without."""
CGROUP = Path("/sys/fs/cgroup")
"""What a container may use, where there is one (version 2)."""


def check_parts(config: TrainConfig, resolution: int) -> None:
    """Whether each batch of a training at `resolution` can be cut over the processes and into micro-batches so that
    every part means the same.

    Raises:
        UserError: it cannot; says what can.
    """
    processes = distributed.count()
    sizes = {"--batch": config.batch, "--grow-batch": config.grow_batch or 0}
    if config.system != "info":
        sizes["--labelled-batch"] = config.labelled_batch
    if any(size % processes for size in [*sizes.values(), *config.batches(resolution)]):
        given = " ".join(f"{option} {size}" for option, size in sizes.items() if size)
        raise UserError(f"{given}: every batch must be a multiple of the {processes} processes")
    if parts_fit(config, resolution, config.micro_batch):
        return
    fitting = [str(m) for m in parts_possible(config, resolution)]
    if config.micro_batch and fitting:
        fits_unlabelled = parts_fit(dataclasses.replace(config, system="info"), resolution, config.micro_batch)
        cause = f"--labelled-batch {config.labelled_batch} cannot be cut along; " if fits_unlabelled else ""
        raise UserError(f"--micro-batch {config.micro_batch}: {cause}choose one of {', '.join(fitting)}")
    if config.micro_batch and parts_fit(config, resolution, 0):
        raise UserError(f"--micro-batch {config.micro_batch}: none fits every batch of this training; leave it out")
    fits = GROUP * processes  # and so do all its multiples
    batches = [b for b in config.batches(resolution) if b // processes % group_size(b)]
    if batches:
        what = f"--batch {config.batch}:"
        if batches[0] != config.batch:  # halved as the networks grow
            what, fits = f"--grow-batch {config.grow_batch}: its batch of {batches[0]}", fits * resolution // 8
        raise UserError(
            f"{what} cannot be cut over {processes} processes, since D compares groups of {group_size(batches[0])} "
            f"images; give a multiple of {fits}"
        )
    if alternates(config) and config.batch // processes % 2:
        raise UserError(
            f"--batch {config.batch}: cannot be cut over {processes} processes, since --gamma-rec and --gamma-cycle "
            f"take every other image; give a multiple of {fits}"
        )
    raise UserError(
        f"--labelled-batch {config.labelled_batch}: cannot be cut into as many parts as the batch, of two labelled "
        f"images at least, which --mix-with labelled needs; give a multiple of {2 * processes}"
    )


def notes_on_batches(config: TrainConfig, resolution: int) -> list[str]:
    """What to know of batches that D cannot divide into groups: a line each."""
    without = "D compares no images with each other"
    return [
        f"--batch {batch}: {without}; a multiple of {GROUP} lets it"
        if batch == config.batch
        else f"--grow-batch {config.grow_batch}: {without} in batches of {batch}; "
        f"a multiple of {GROUP * resolution // 8} lets it"
        for batch in config.batches(resolution)
        if group_size(batch) == 1
    ]


def parts_possible(config: TrainConfig, resolution: int) -> list[int]:
    """Sizes of micro-batches that fit every batch of a training at `resolution`, the largest first."""
    rows = config.batches(resolution)[-1] // distributed.count()
    return [m for m in range(rows, 0, -1) if parts_fit(config, resolution, m)]


def parts_fit(config: TrainConfig, resolution: int, micro: int) -> bool:
    """Whether parts of `micro` images (0: a process's rows at once) mean the same in every batch of a training."""
    processes = distributed.count()
    labels = 0 if config.system == "info" else config.labelled_batch // processes
    for batch in config.batches(resolution):
        rows = batch // processes
        size = micro or rows
        parts = rows // size
        if rows % size or size % group_size(batch) or labels % parts:
            return False
        if alternates(config) and parts * processes > 1 and size % 2:
            return False
        pairs = config.mix_with == "labelled" and config.alpha > 0
        if pairs and parts * processes > 1 and labels // parts % 2:
            return False
    return True


def alternates(config: TrainConfig) -> bool:
    """Whether the images of a batch take turns in L_rec and L_cycle (`step.keeping_loss`)."""
    return bool(config.gamma_rec and config.gamma_cycle)


def require_memory(config: TrainConfig, model: ModelConfig, space: FactorSpace, device: torch.device) -> float | None:
    """Bytes that a process will need on `device`, or None where nobody knows.

    Raises:
        UserError: more than there is; proposes the largest micro-batch that fits.
    """
    free = free_memory(device)
    if model.backbone != "stylegan2" or free is None:
        return None
    if device.type == "cpu":
        free /= int(os.environ.get("LOCAL_WORLD_SIZE", distributed.count()))
    sizes = [m for m in parts_possible(config, model.resolution) if m <= (config.micro_batch or config.batch)]
    needed = estimate(config, model, space, sizes[0])
    if needed <= free:
        return needed
    what = f"--batch {config.batch}" if not config.micro_batch else f"--micro-batch {config.micro_batch}"
    parts = ((m, estimate(config, model, space, m)) for m in sizes[1:])
    fitting = next((f"--micro-batch {m} needs about {gigabytes(b)}" for m, b in parts if b <= free), None)
    raise UserError(
        f"{what}: needs about {gigabytes(needed)} of memory on {device}, and {gigabytes(free)} are free; "
        + (fitting or "not even the smallest micro-batch fits: take a smaller --size or smaller images")
    )


def estimate(config: TrainConfig, model: ModelConfig, space: FactorSpace, rows: int) -> float:
    """Bytes for weights, moments and the activations that a step over parts of `rows` images keeps at its peak.

    The step itself is run on torch's `meta` device, where tensors have shapes and nothing else: not bfloat16 either, in
    which maps (but R1's) take half as much. A loss that begins later counts from the start.
    """
    meta = torch.device("meta")
    config = dataclasses.replace(config, gamma_e_from=0.0)
    halved = bfloat16 = config.precision == "bfloat16"
    state = TrainState.create(config, model, space, meta)
    labels = config.labelled_batch * rows // config.batch
    shape = (model.channels, model.resolution, model.resolution)
    labelled = None
    if config.system != "info":
        labelled = LabelledBatch(
            torch.empty(labels, *shape, device=meta),
            torch.empty(labels, space.code_width, device=meta),
            torch.empty(labels, len(space), dtype=torch.bool, device=meta),
        )
    part = Part(
        real_BCHW=torch.empty(rows, *shape, device=meta),
        code_BC=torch.empty(rows, space.code_width, device=meta),
        z_BZ=torch.empty(rows, state.G.z_dim, device=meta),
        labelled=labelled,
        share_2L=torch.empty(2, labels, device=meta),
        doubt=torch.empty((), device=meta),
        keeps_BC=torch.empty(rows, space.code_width, dtype=torch.bool, device=meta),
        moves_2L=torch.empty(2, labels, dtype=torch.int64, device=meta),
        tints_LCD=torch.empty(labels, model.channels, model.channels + 1, device=meta),
        stays_LF=torch.empty(labels, len(space), dtype=torch.bool, device=meta),
    )
    part = read_once(state, part)
    # The storages themselves, so that no address is given out twice while they are counted.
    kept: dict[int, tuple[torch.UntypedStorage, float]] = {}

    def keep(x: Tensor) -> Tensor:
        storage = x.untyped_storage()
        kept[storage._cdata] = storage, storage.nbytes() / (2 if halved and x.dim() > 2 else 1)
        return x

    peaks = []
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        fake_BCHW = generate(state, part)
        with_G = dict(kept)
        for loss in (loss_of_D_and_E, gradient_penalty, loss_of_G):
            if loss is gradient_penalty and not config.r1_gamma:
                continue
            kept.clear()
            kept.update(with_G)
            halved = bfloat16 and loss is not gradient_penalty
            # The result is held until its graph is counted.
            result = loss(state, part, fake_BCHW if loss is loss_of_G else fake_BCHW.detach(), Log(1))
            peaks.append(sum(size for _, size in kept.values()))
            del result
    # D and E may share a trunk, which counts once.
    weights = sum(p.numel() for p in {*state.G.parameters(), *state.D.parameters(), *state.E.parameters()})
    averages = sum(p.numel() for net in (state.G_ema, state.E_ema) for p in net.parameters())
    # Used, unit, gradient, its flat copy and two moments of every weight; one number of every average.
    fixed = 4.0 * (6 * weights + averages)
    return fixed + (SPARE_BFLOAT16 * max(peaks) + KERNELS_BFLOAT16 if bfloat16 else SPARE * max(peaks))


def free_memory(device: torch.device) -> float | None:
    """Bytes that are free on a device, None where nobody says."""
    if device.type == "cuda":
        gc.collect()
        kept = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)  # of runs before this one
        return float(torch.cuda.mem_get_info(device)[0] + kept)
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
        available = next(1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable"))
    except (OSError, StopIteration, ValueError):
        return None
    try:  # a container may be allowed less
        limit, used = (float((CGROUP / name).read_text(encoding="ascii")) for name in ("memory.max", "memory.current"))
        rows = (line.split() for line in (CGROUP / "memory.stat").read_text(encoding="ascii").splitlines())
        # Files that were read are given up where memory is short.
        cached = sum(float(count) for name, count in rows if name in ("inactive_file", "active_file"))
        return min(available, limit - used + cached)
    except (OSError, ValueError):
        return available


def gigabytes(count: float) -> str:
    """2.5e9 -> "2.5 GB"."""
    return f"{count / 1e9:.1f} GB"


def keep_freed_memory(heap: int = 2**30) -> None:
    """Tells glibc to keep what is freed, and Linux to lay the heap out in huge pages; elsewhere nothing.

    Giving memory back and asking again costs a tenth of a step on a CPU, small pages up to as much again.

    Args:
        heap: bytes of addresses to lay out so. Only what is used of them takes memory.
    """
    try:
        libc = ctypes.CDLL("libc.so.6")
        mallopt, malloc, madvise, free, huge = libc.mallopt, libc.malloc, libc.madvise, libc.free, mmap.MADV_HUGEPAGE
    except (OSError, AttributeError):  # another system, another allocator
        return
    M_TRIM_THRESHOLD, M_MMAP_MAX = -1, -4
    mallopt(M_TRIM_THRESHOLD, 2**31 - 1)
    mallopt(M_MMAP_MAX, 0)  # large blocks come from the heap, too
    malloc.argtypes, malloc.restype = [ctypes.c_size_t], ctypes.c_void_p
    madvise.argtypes, free.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int], [ctypes.c_void_p]
    if start := malloc(heap):
        first = -(-start // 2**21) * 2**21
        madvise(first, start + heap - first, huge)
        free(start)


def peak_memory() -> float:
    """The most memory that this process ever held, in GB (of the GPU where one is used)."""
    if torch.cuda.is_available() and torch.cuda.is_initialized():
        return torch.cuda.max_memory_allocated() / 1e9
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if os.uname().sysname == "Darwin" else 1024) / 1e9
