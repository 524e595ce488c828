"""The training from start to end: data, labelled rows, state, steps, ticks, snapshots."""

from __future__ import annotations

import dataclasses
import math
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from semistylegan import __version__, files, progress
from semistylegan.data.dataset import Dataset, epoch_order
from semistylegan.data.joint import choose_prior, require_learnable
from semistylegan.data.labels import Labels, choose_rows, write_labels_csv
from semistylegan.data.pictures import save_png, tile, to_float, to_uint8
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.models.checkpoint import checkpoint_name, checkpoints, kimg_of
from semistylegan.models.config import ModelConfig
from semistylegan.models.stylegan import as_grown
from semistylegan.signals import heard_by
from semistylegan.training import distributed
from semistylegan.training.config import TrainConfig
from semistylegan.training.graphs import passes_for
from semistylegan.training.growing import advance, notes_on_growing
from semistylegan.training.memory import check_parts, keep_freed_memory, peak_memory, require_memory
from semistylegan.training.run import CONFIG, FACTORS, LABEL_FACTORS, LABELS, STATS, Run, read_jsonl
from semistylegan.training.scope import (
    class_factors,
    completed,
    fine_factors,
    notes_on_choices,
    notes_on_labels,
    training_rows,
)
from semistylegan.training.state import COUNTERS_FILE, STATE_FILE, TrainState
from semistylegan.training.step import Batch, LabelledBatch, reading, train_step
from semistylegan.training.streams import to_device

Rows = TypeVar("Rows", Tensor, npt.NDArray[np.int64])
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
    if device.type == "cuda" and device.index is not None:
        torch.cuda.set_device(device)  # streams, recordings and measures of memory are those of the current one
    with with_threads(threads), distributed.joined(device):
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
    notes += notes_on_growing(config, data.resolution)
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
        distributed.wait(device)
        resume(run, state)
        go_on(run, state, Feed(config, data, labels, space, device), on_snapshot)
    return run


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Inside, torch computes with so many threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Holds a run's folder, which is made where it is not there.

    Raises:
        UserError: another process holds it.
    """
    files.make_folder(run.path)
    with files.held(run.path, f"{run.path}: is being trained by another process; wait for it, or give another --out"):
        yield


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
                losses = train_step(state, feed.batch(state), passes_of)
                state.seconds += time.perf_counter() - began
                ticker.add(losses, state.kimg - before)
                if crossed(before, state.kimg, config.tick_kimg) or state.progress >= 1:
                    ticker.write()
                stop = distributed.any_(interrupted(), device)
                snapshot = crossed(before, state.kimg, config.snap_kimg) or state.progress >= 1
                if snapshot and writes:
                    files.write_text(run.path / SNAPSHOT, checkpoint_name(state.kimg))
                if snapshot or stop:
                    save_checkpoint(run, state)
                if snapshot and writes:
                    end_snapshot(run, state, feed, on_snapshot, stop)
                if stop:
                    raise KeyboardInterrupt


# -- before the first step ----------------------------------------------------------------------------------------


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises:
        UserError: not a device, or not here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: no device is called so; give auto, cpu, cuda, cuda:1 or mps") from None
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not available here ({str(error).splitlines()[0]}); use cpu") from None
    return device


def about_precision(config: TrainConfig, device: torch.device) -> str | None:
    """What to know of `--precision` on this CPU, where torch knows it: one with matrix units for bfloat16 is twice as
    fast with it."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if device.type != "cpu" or capabilities.get("architecture") != "x86_64":
        return None
    if config.precision == "bfloat16":
        slow = not (capabilities.get("amx_bf16") or capabilities.get("avx512_bf16"))
        return "--precision bfloat16: this CPU has no unit for it, and may well be slower with it" if slow else None
    if capabilities.get("amx_bf16") and config.size != "tiny":
        return "this CPU has matrix units for bfloat16: --precision bfloat16 takes about half the time"
    return None


def labels_and_space(config: TrainConfig, data: Dataset) -> tuple[Labels, FactorSpace]:
    """The labels that the run may see, and the factors of its codes.

    Raises:
        UserError: labels are needed and there are none.
    """
    if config.system == "info":
        own = data.space.with_kinds(config.factor_kinds)
        space = own.anonymous() if len(own) else FactorSpace(tuple(Factor.scalar(f"code{i}") for i in range(10)))
        return Labels.none(len(data), len(space)), space
    if len(data.labels.labelled_rows) == 0:
        raise UserError(
            f"{data.path}: no image has a label, and the preset {config.system} needs some; "
            f"fill in metadata.csv for a few percent of the images, or use --preset info"
        )
    labels = data.labels.keep(training_rows(config, data))
    if config.label_fraction is not None:
        labels = labels.keep(choose_rows(labels, config.label_fraction, config.seed))
    own = data.space
    if config.system == "fine":
        own = fine_factors(config.fine_factors, own)
        labels = labels.columns([data.space.position(name) for name in own.names])
    if len(labels.labelled_rows) == 0:
        given = {"--hold-out": config.hold_out, "--label-fraction": config.label_fraction}
        given["--fine-factors"] = config.fine_factors if config.system == "fine" else None
        said = ", ".join(f"{option} {value}" for option, value in given.items() if value is not None)
        raise UserError(f"{data.path}: no label of {', '.join(own.names)} is left with {said}; label more images of it")
    if config.factor_kinds == "scalar":
        labels = labels.as_scalars(own)
    space = own.with_kinds(config.factor_kinds)
    return labels, space.with_classes(class_factors(config, space))


def with_prior(config: TrainConfig, labels: Labels, space: FactorSpace) -> tuple[TrainConfig, list[str]]:
    """The configuration with its prior decided: `auto` from the run's own labels alone; without labels the grid. And
    what to say of that, and of factors that these labels do not teach.

    Raises:
        UserError: these labels teach no factor at all.
    """
    notes = require_learnable(space, labels, Path(config.data)) if config.system != "info" else []
    if config.prior == "grid" or (config.prior == "labelled" and config.system != "info"):
        return config, notes
    prior, why = choose_prior(space, labels) if config.system != "info" else ("grid", "no label is used")
    return dataclasses.replace(config, prior=prior), [*notes, f"--prior {prior}: {why}"]


def refuse_other(run: Run, config: TrainConfig, data: Dataset, reschedule: bool) -> None:
    """
    Raises:
        UserError: the folder belongs to a run of other settings or data, or holds other files. Or its run was planned
            for another length: without `reschedule`; with it, where it has no way to the new end, or is none.
    """
    if not (run.path / CONFIG).exists():
        files.require_own(run.path, START_FILES)
        if reschedule:
            raise UserError(f"--reschedule: {run.path} is no run yet; leave it out to begin one")
        return
    planned = run.config.kimg
    run.check_same(dataclasses.replace(config, kimg=planned), data.fingerprint())
    if config.kimg == planned:
        return
    there, found = checkpoints(run.path), resumable(run)
    what = f"{run.path}: belongs to a run with --kimg {planned:g}, not {config.kimg:g}"
    if found and config.kimg <= (done := kimg_of(found[-1])):
        raise UserError(f"{what}, and has trained for {done:g}; give the same, or another --out")
    if not reschedule:
        raise UserError(f"{what}; give the same to go on, or another --out; train --reschedule lets it end there")
    if there and not found:
        raise UserError(f"{what}, and none of its checkpoints can be gone on from; give another --out")


def start_run(
    run: Run, config: TrainConfig, model: ModelConfig, data: Dataset, labels: Labels, space: FactorSpace
) -> None:
    """Writes what a run holds before its first step; `config.json` last, since it makes the folder a run."""
    document = space.to_json()
    if config.system != "info":
        rows, own = labels.labelled_rows, data.space.only(space.names)
        document[LABEL_FACTORS] = own.to_json()["factors"]
        kept = data.labels.keep(rows).columns([data.space.position(name) for name in own.names])
        write_labels_csv(run.path / LABELS, data.names, rows, kept, own)
    files.write_json(run.path / FACTORS, document)
    seen = training_rows(config, data)
    shown = seen[epoch_order(len(seen), config.seed, 0, min(len(seen), 80))]
    save_png(run.path / "reals.png", tile(data.images(shown).permute(0, 2, 3, 1).numpy(), columns=10))
    about = {
        "semistylegan": __version__,
        "data_fingerprint": data.fingerprint(),
        "train": config.to_json(),
        "model": model.to_json(),
    }
    files.write_json(run.path / CONFIG, about)


START_FILES = (FACTORS, LABELS, "reals.png")


def resume(run: Run, state: TrainState) -> None:
    """Takes over the newest checkpoint that can be resumed, if any, and forgets what was logged after it."""
    if found := resumable(run):
        state.load(found[-1])
    if distributed.rank() == 0:
        if (planned := run.config.kimg) != state.config.kimg:
            what = f"planned for {planned:g} kimg, goes on from {state.kimg:g} as one of {state.config.kimg:g}"
            progress.console().print(f"{run.path}: {what}", markup=False)
        run.rescheduled(state.config.kimg, state.kimg)
        set_aside(run, state.kimg)
        for left in run.path.glob(".checkpoint-*.part"):  # by a process that was killed as it wrote
            shutil.rmtree(left, ignore_errors=True)
        kept = [row for row in read_jsonl(run.path / STATS) if row["kimg"] <= state.kimg]
        files.write_jsonl(run.path / STATS, kept)


def resumable(run: Run) -> list[Path]:
    """The checkpoints that a training can go on from, oldest first."""
    return [p for p in checkpoints(run.path) if (p / STATE_FILE).is_file() and (p / COUNTERS_FILE).is_file()]


def set_aside(run: Run, kimg: float) -> None:
    """Renames the checkpoints after `kimg`, from where a run goes on because none later can be resumed: they are models
    of an earlier attempt, and would pass for the newest of this one."""
    later = [path for path in checkpoints(run.path) if kimg_of(path) > kimg]
    for path in later:
        old = path.with_name(f"{path.name}.old")
        shutil.rmtree(old, ignore_errors=True)
        path.rename(old)
    if later:
        names = ", ".join(path.name for path in later)
        what = f"{run.path}: goes on from kimg {kimg:g}; of no use to that, and named NAME.old from now on: {names}"
        progress.console().print(what, markup=False)


# -- during the training --------------------------------------------------------------------------------------------


class Feed:
    """What each step sees, as a function of (seed, images seen, step)."""

    def __init__(
        self, config: TrainConfig, data: Dataset, labels: Labels, space: FactorSpace, device: torch.device
    ) -> None:
        self.config, self.data, self.space, self.device = config, data, space, device
        self.stage: tuple[int, float] | None = None
        self.seen, self.rows = training_rows(config, data), labels.labelled_rows
        self.level_NF, self.known_NF = torch.from_numpy(labels.level_NF), torch.from_numpy(labels.known_NF)

    def batch(self, state: TrainState) -> Batch:
        random = np.random.default_rng([self.config.seed, 2, state.step])
        count = self.config.batch
        if self.config.grow_kimg is not None:
            now = advance(state)
            count, self.stage = now.batch, (now.resolution, now.share)
        level_BF = own_rows(self.prior(count, random))
        real_BCHW = self.images(own_rows(self.order(state.images, count)))
        self.data.prefetch(own_rows(self.order(state.images + count, count)))
        return Batch(
            real_BCHW=real_BCHW,
            code_BC=to_device(self.space.encode(level_BF), self.device),
            labelled=self.labelled(random) if len(self.rows) else None,
        )

    def order(self, images: int, count: int) -> npt.NDArray[np.int64]:
        """Numbers of the next images to be shown, after so many."""
        return self.seen[epoch_order(len(self.seen), self.config.seed, images, count)]

    def images(self, rows: npt.NDArray[np.int64]) -> Tensor:
        """Images by number, with the detail that growing networks know."""
        img_BCHW = to_float(to_device(self.data.images(rows), self.device))
        return img_BCHW if self.stage is None else as_grown(img_BCHW, *self.stage)

    def labelled(self, random: np.random.Generator) -> LabelledBatch:
        """Labelled images drawn with replacement."""
        rows = own_rows(self.rows[random.integers(len(self.rows), size=self.config.labelled_batch)])
        return LabelledBatch(
            img_LCHW=self.images(rows),
            code_LC=to_device(self.space.encode(self.level_NF[rows]), self.device),
            known_LF=to_device(self.known_NF[rows], self.device),
        )

    def prior(self, count: int, random: np.random.Generator) -> Tensor:
        """Levels count x F for generated images: from the grid, or whole rows of labels (blanks from the grid)."""
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        level_BF = self.space.sample(count, generator)
        if self.config.prior == "labelled" and len(self.rows):
            rows = self.rows[random.integers(len(self.rows), size=count)]
            level_BF = torch.where(self.known_NF[rows], self.level_NF[rows], level_BF)
        return level_BF


def own_rows(rows: Rows) -> Rows:
    """Of the rows of a whole batch, those that this process computes."""
    size = len(rows) // distributed.count()
    return rows[distributed.rank() * size : (distributed.rank() + 1) * size]


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
            f"kimg {state.kimg:<8.1f} time {clock(state.seconds):<9} sec/kimg {row['sec_per_kimg']:<8.2f}"
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
    name = f"fakes{round(state.kimg):06d}.png"
    save_png(run.path / name, tile(np.concatenate(images), columns=columns))


def crossed(before: float, after: float, interval: float) -> bool:
    """Whether a multiple of `interval` lies in (before, after]."""
    return math.floor(after / interval + 1e-9) > math.floor(before / interval + 1e-9)


def clock(seconds: float) -> str:
    """75 -> "1m 15s"."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h {minutes:02d}m" if hours else f"{minutes}m {rest:02d}s"


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
