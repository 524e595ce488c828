"""The training from start to end: data, labelled rows, state, steps, ticks, snapshots."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from semistylegan import files, progress
from semistylegan.data.dataset import Dataset, epoch_order
from semistylegan.data.pictures import save_png, tile, to_float, to_uint8
from semistylegan.errors import UserError
from semistylegan.models.checkpoint import checkpoint_name, checkpoints
from semistylegan.signals import heard_by
from semistylegan.training import distributed
from semistylegan.training.config import TrainConfig
from semistylegan.training.device import about_precision, arithmetic, current, pick_device, with_threads
from semistylegan.training.feed import Feed, labels_and_space, with_prior
from semistylegan.training.folder import alone, refuse_other, resume, start_run
from semistylegan.training.graphs import passes_for
from semistylegan.training.growing import notes_on_growing
from semistylegan.training.memory import (
    check_parts,
    keep_freed_memory,
    notes_on_batches,
    peak_memory,
    require_memory,
)
from semistylegan.training.objective import reading
from semistylegan.training.run import CONFIG, STATS, Run
from semistylegan.training.scope import completed, notes_on_choices, notes_on_labels
from semistylegan.training.state import COUNTERS_FILE, STATE_FILE, TrainState
from semistylegan.training.step import train_step
from semistylegan.training.streams import finish

OnSnapshot = Callable[[Path, float], None]
"""Called with a new checkpoint's folder and its kimg. What it does is not counted as training time."""


class Diverged(UserError):
    """A loss or a weight is no longer finite."""


def train(config: TrainConfig, on_snapshot: OnSnapshot | None = None, reschedule: bool = False) -> Run:
    """Trains, or goes on with, the run in `config.out`; returns it.

    A run that was killed at any moment and started again ends, on a CPU, with the same bytes as one that was not.

    Args:
        config: what is trained.
        on_snapshot: called with each new checkpoint.
        reschedule: let a run that is there end at `config.kimg`, sooner or later than it was planned. What depends on
            how far it is (rates, doubt, gamma_e) is then that of the new length; `config.json` keeps the earlier one.

    Raises:
        UserError: data or settings that cannot be trained with, a folder that belongs to other settings, or a loss that
            is no longer finite (:class:`Diverged`).
        KeyboardInterrupt: after Ctrl-C, once a checkpoint is written.
    """
    keep_freed_memory()
    threads = config.validated().threads or (1 if config.size == "tiny" else torch.get_num_threads())
    device = pick_device(distributed.local_device(config.device))
    with current(device), with_threads(threads), distributed.joined(device):
        try:
            return train_here(config, device, on_snapshot, reschedule)
        except distributed.Lost as error:
            good = checkpoints(Path(config.out))
            where = f"the same command goes on from {good[-1]}" if good else "no checkpoint was written yet"
            raise UserError(f"{config.out}: {error}; {where}") from None


def train_here(config: TrainConfig, device: torch.device, on_snapshot: OnSnapshot | None, reschedule: bool) -> Run:
    """What one of the processes of a training does, or the only one."""
    writes = distributed.rank() == 0
    data = Dataset.open(config.data)
    data.require_trainable()
    given, config = config, completed(config, data)
    check_parts(config, data.resolution)
    run = Run(Path(config.out))
    labels, space = labels_and_space(config, data)
    notes = [*notes_on_choices(given, config, data), *notes_on_labels(config, data)]
    notes += notes_on_batches(config, data.resolution) + notes_on_growing(config, data.resolution)
    config, about_prior = with_prior(config, labels, space)
    refuse_other(run, config, data, reschedule)
    for line in [*notes, *about_prior]:
        progress.console().print(line, markup=False)
    model = config.networks(data.resolution, data.channels, space.code_width)
    require_memory(config, model, space, device)
    if note := about_precision(config, device):
        progress.console().print(note, markup=False)
    state = TrainState.create(config, model, space, device)
    with alone(run) if writes else nullcontext():
        if writes:
            refuse_other(run, config, data, reschedule)  # another process may have been here since
            if (run.path / CONFIG).exists():
                run.moved(config.data)
            else:
                start_run(run, config, model, data, labels, space)
        distributed.wait()
        resume(run, state)
        go_on(run, state, Feed(config, data, labels, space, device), on_snapshot)
    return run


def go_on(run: Run, state: TrainState, feed: Feed, on_snapshot: OnSnapshot | None) -> None:
    """The steps from where `state` is to the end, with their ticks and snapshots."""
    config, device = feed.config, feed.device
    writes = distributed.rank() == 0
    passes_of = passes_for(state, device)
    with interruptible() as interrupted:
        with progress.bar("training (kimg)", total=config.kimg, start=state.kimg) as meter:
            ticker = Ticker(run, state, meter)
            if state.step == 0:
                feed.batch(state)  # a growing run: the networks as they begin
                save_fakes(run, state, feed)
            elif writes and snapshot_under_way(run) == checkpoint_name(state.kimg):
                end_snapshot(run, state, feed, on_snapshot)
            while state.progress < 1:
                began = time.perf_counter()
                before = state.kimg
                with arithmetic(config.precision, device):
                    losses = train_step(state, feed.batch(state), passes_of)
                stop = distributed.any_(interrupted() or distributed.orphaned())
                tick = crossed(before, state.kimg, config.tick_kimg) or state.progress >= 1
                snapshot = crossed(before, state.kimg, config.snap_kimg) or state.progress >= 1
                if tick or snapshot or stop:
                    finish(device)  # or the clock would leave out what a GPU has still to do
                state.seconds += time.perf_counter() - began
                ticker.add(losses, state.kimg - before)
                if tick or stop:  # no checkpoint keeps the sums
                    ticker.write()
                if snapshot and writes:
                    files.write_text(run.path / SNAPSHOT, checkpoint_name(state.kimg))
                if snapshot or stop:
                    save_checkpoint(run, state)
                if snapshot and writes:
                    end_snapshot(run, state, feed, on_snapshot, stop)
                if stop:
                    raise KeyboardInterrupt


class Ticker:
    """Sums up the losses since the last tick, writes a line of `stats.jsonl` and prints the tick line."""

    def __init__(self, run: Run, state: TrainState, meter: progress.Meter) -> None:
        self.run, self.state, self.meter = run, state, meter
        self.reset()

    def reset(self) -> None:
        self.sums: dict[str, Tensor] = {}
        self.counts: dict[str, int] = {}
        self.began_kimg, self.began_seconds = self.state.kimg, self.state.seconds

    def add(self, losses: dict[str, Tensor], kimg: float) -> None:
        for name, value in losses.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else value
            self.counts[name] = self.counts.get(name, 0) + 1
        self.meter(kimg)

    def write(self) -> None:
        """Raises Diverged where a mean is not finite."""
        state = self.state
        total = distributed.sum_(torch.stack([self.sums[name].float() for name in self.sums])) / distributed.count()
        means = {name: value / self.counts[name] for name, value in zip(self.sums, total.tolist(), strict=True)}
        if broken := [name for name, value in means.items() if not math.isfinite(value)]:
            raise Diverged(diagnosis(self.run, state, f"{', '.join(broken)} not finite"))
        kimg = max(state.kimg - self.began_kimg, 1e-9)
        row: dict[str, Any] = {"kimg": state.kimg, "seconds": round(state.seconds, 2), **means}
        row["sec_per_kimg"] = round((state.seconds - self.began_seconds) / kimg, 3)
        row["mem_gb"] = round(peak_memory(), 3)
        if distributed.rank() == 0:
            files.append_jsonl(self.run.path / STATS, row)
        self.meter.log(
            f"kimg {state.kimg:<8.1f} time {progress.clock(state.seconds):<9} sec/kimg {row['sec_per_kimg']:<8.2f}"
            f"D {means['loss_gan_d']:<7.3f}G {means['loss_gan_g']:<7.3f}"
            f"code of fakes {means['loss_unsup']:<8.3f}"
            + (f"labelled {means['loss_sr']:<8.3f}" if "loss_sr" in means else "")
            + f"mem {row['mem_gb']:.2f} GB"
        )
        self.reset()


def save_checkpoint(run: Run, state: TrainState) -> None:
    """Writes a checkpoint; the one before stays resumable, older ones keep their model alone.

    Raises:
        Diverged: a weight is not finite; nothing is written.
    """
    for name, network in (("G", state.G), ("D", state.D), ("E", state.E)):
        for key, weight in network.named_parameters():
            if not torch.isfinite(weight).all():
                raise Diverged(diagnosis(run, state, f"weight {name}.{key} not finite"))
    if distributed.rank():
        return
    folder = run.path / checkpoint_name(state.kimg)
    state.save(folder)
    for old in checkpoints(run.path)[:-2]:
        if old != folder:  # which is the one to go on from, whatever the others are
            (old / STATE_FILE).unlink(missing_ok=True)
            (old / COUNTERS_FILE).unlink(missing_ok=True)


def diagnosis(run: Run, state: TrainState, what: str) -> str:
    """One line: what broke, when, what is safe, and what to try."""
    good = checkpoints(run.path)
    safe = f"the last good checkpoint is {good[-1]}" if good else "no checkpoint was written yet"
    return (
        f"{run.path}: training diverged at kimg {state.kimg:.1f} ({what}); {safe}; "
        f"try lower learning rates (--lr-g {state.config.lr_g / 2:g} --lr-d {state.config.lr_d / 2:g} "  # type: ignore[operator]
        f"--lr-e {state.config.lr_e / 2:g}) or a larger --r1-gamma, with another --out"  # type: ignore[operator]
    )


SNAPSHOT = ".snapshot"
"""Names the checkpoint of a run whose pictures and scores are being made, so that a resumed run can make them up."""


def snapshot_under_way(run: Run) -> str | None:
    """Name of the checkpoint whose snapshot was begun and not ended, if any."""
    file = run.path / SNAPSHOT
    return file.read_text(encoding="utf-8") if file.exists() else None


def end_snapshot(run: Run, state: TrainState, feed: Feed, on_snapshot: OnSnapshot | None, stop: bool = False) -> None:
    """What a snapshot has beside its checkpoint: pictures, and what the caller makes of it. That may take long: with
    `stop` it is left for when the run goes on."""
    save_fakes(run, state, feed)
    if on_snapshot is not None:
        if stop:
            return
        on_snapshot(run.path / checkpoint_name(state.kimg), state.kimg)
    (run.path / SNAPSHOT).unlink(missing_ok=True)


@torch.no_grad()
def save_fakes(run: Run, state: TrainState, feed: Feed, columns: int = 10) -> None:
    """Writes `fakes<kimg>.png`: two rows a factor. A row has one z (or one image to start from); its columns go through
    the factor's values."""
    if distributed.rank():
        return
    rows = 2 * max(len(state.space), 1)
    generator = torch.Generator().manual_seed(state.config.seed)
    start_R = torch.randn(rows, state.G.z_dim, generator=generator)
    if state.G.starts_from_image:
        start_R = to_float(feed.data.images(feed.seen[epoch_order(len(feed.seen), state.config.seed, 0, rows)]))
    level_RF = feed.prior(rows, np.random.default_rng([state.config.seed, 3]))
    images = []
    for row in range(rows):
        level_KF = level_RF[row].repeat(columns, 1)
        if len(state.space):
            factor = row // 2
            values = torch.from_numpy(state.space[factor].levels(columns)).float()
            level_KF[:, factor] = values[torch.arange(columns) * len(values) // columns]
        code_KC = state.space.encode(level_KF).to(feed.device)
        start_K = start_R[row].expand(columns, *start_R.shape[1:]).to(feed.device)
        source_KC = reading(state, start_K) if state.G.knows_source else None
        images.append(to_uint8(state.G_ema(start_K, state.G.asking(code_KC, source_KC))))
    name = checkpoint_name(state.kimg).replace("checkpoint-", "fakes")
    save_png(run.path / f"{name}.png", tile(np.concatenate(images), columns=columns))


def crossed(before: float, after: float, interval: float) -> bool:
    """Whether a multiple of `interval` lies in (before, after]."""
    return math.floor(after / interval + 1e-9) > math.floor(before / interval + 1e-9)


@contextmanager
def interruptible() -> Iterator[Callable[[], bool]]:
    """Turns the first Ctrl-C or SIGTERM into a flag, so that a step is never cut in two; the second one kills."""
    asked = False

    def ask(number: int, frame: FrameType | None) -> None:
        nonlocal asked
        if asked:
            raise KeyboardInterrupt
        asked = True

    with heard_by({signal.SIGINT: ask, signal.SIGTERM: ask}):
        yield lambda: asked
