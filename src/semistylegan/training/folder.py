"""A run's folder before the first step: whose it is, what it holds, and the checkpoint that a training goes on from."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from semistylegan import __version__, files, progress
from semistylegan.data.dataset import Dataset, epoch_order
from semistylegan.data.labels import Labels, labels_csv
from semistylegan.data.pictures import save_png, tile
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.models.checkpoint import checkpoints, kimg_of
from semistylegan.models.config import ModelConfig
from semistylegan.training import distributed
from semistylegan.training.config import TrainConfig
from semistylegan.training.run import CONFIG, FACTORS, LABEL_FACTORS, LABELS, STATS, Run, read_jsonl
from semistylegan.training.scope import training_rows
from semistylegan.training.state import COUNTERS_FILE, STATE_FILE, TrainState
from semistylegan.training.step import VERSION

STEP_VERSION = "training_version"
"""Key in `config.json`: the `step.VERSION` that the run was begun with."""
START_FILES = (FACTORS, LABELS, "reals.png")


@contextmanager
def alone(run: Run) -> Iterator[None]:
    """Holds a run's folder, which is made where it is not there.

    Raises:
        UserError: another process holds it.
    """
    files.make_folder(run.path)
    with files.held(run.path, f"{run.path}: is being trained by another process; wait for it, or give another --out"):
        yield


def refuse_other(run: Run, config: TrainConfig, data: Dataset, reschedule: bool) -> None:
    """
    Raises:
        UserError: the folder belongs to a run of other settings or data, or holds other files. Or its run was planned
            for another length: without `reschedule`; with it, where it has no way to the new end, or is none. Or a file
            of it that is written is a link to elsewhere.
    """
    files.require_inside(run.path, CONFIG, *START_FILES, STATS, "metric-*.jsonl", "fakes*.png")
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
        files.write_text(run.path / LABELS, labels_csv(data.names, rows, kept, own))
    files.write_json(run.path / FACTORS, document)
    seen = training_rows(config, data)
    shown = seen[epoch_order(len(seen), config.seed, 0, min(len(seen), 80))]
    save_png(run.path / "reals.png", tile(data.images(shown).permute(0, 2, 3, 1).numpy(), columns=10))
    about = {
        "semistylegan": __version__,
        STEP_VERSION: VERSION,
        "data_fingerprint": data.fingerprint(),
        "train": config.to_json(),
        "model": model.to_json(),
    }
    files.write_json(run.path / CONFIG, about)


def resume(run: Run, state: TrainState) -> None:
    """Takes over the newest checkpoint that can be resumed, if any, and forgets what was logged after it."""
    if found := resumable(run):
        state.load(found[-1])
    if distributed.rank() == 0:
        if note := other_step(run):
            progress.console().print(note, markup=False)
        if (planned := run.config.kimg) != state.config.kimg:
            what = f"planned for {planned:g} kimg, goes on from {state.kimg:g} as one of {state.config.kimg:g}"
            progress.console().print(f"{run.path}: {what}", markup=False)
        run.rescheduled(state.config.kimg, state.kimg)
        set_aside(run, state.kimg)
        for left in run.path.glob(".checkpoint-*.part"):  # by a process that was killed as it wrote
            shutil.rmtree(left, ignore_errors=True)
        kept = [row for row in read_jsonl(run.path / STATS) if row["kimg"] <= state.kimg]
        files.write_jsonl(run.path / STATS, kept)


def other_step(run: Run) -> str:
    """Of a run that was begun with another version of the training step, one line; else nothing."""
    if (begun := run.document().get(STEP_VERSION, 1)) == VERSION:
        return ""
    return f"{run.path}: begun by version {begun} of the training, now it is {VERSION}; begin anew to compare it"


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
