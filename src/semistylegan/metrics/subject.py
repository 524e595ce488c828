"""What is measured: a run on its own data, or any model on data of which its training saw nothing."""

from __future__ import annotations

import dataclasses
import math
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import Labels
from semistylegan.errors import UserError
from semistylegan.factors import Factor
from semistylegan.metrics.information import Ints
from semistylegan.metrics.oracle import Oracle
from semistylegan.metrics.readings import Readings
from semistylegan.models.checkpoint import (
    FACTORS_FILE,
    PRETRAINED,
    WEIGHTS_FILE,
    Networks,
    checkpoints,
    find_model,
    kimg_of,
    load_model,
)
from semistylegan.training.prior import prior_of
from semistylegan.training.run import CONFIG, Run
from semistylegan.training.scope import training_rows

EVERY_IMAGE = "every image"
"""How images of other data were held out."""
UNSEEN = "Training is taken to have seen none of these images."
"""In the `note` of scores on other data."""


@dataclass(frozen=True)
class Subject:
    """A model and its images: all that :class:`Readings` needs but for the oracle."""

    checkpoint: Path
    networks: Networks
    data: Dataset
    """With all its labels."""
    own: Labels
    """Those that training read."""
    prior: Labels | None
    """What codes are drawn from, in the model's space; None: uniform over each factor's values."""
    held_out: Ints
    """Numbers of the images of which training saw nothing."""
    hold_out: str | None
    """How these were named."""
    kimg: float | None = None
    """Thousands of images after which it was saved, and seconds until then; None where that is not known."""
    seconds: float | None = None
    other: str | None = None
    """Of other data their fingerprint, of all their factors."""

    def readings(self, oracle: Oracle | None, images: int, seed: int) -> Readings:
        """What there is to measure; `images` of them are read and generated, at most, which ones fixed by `seed`."""
        found = (self.own, self.prior, images, seed, self.held_out, self.hold_out)
        return Readings(self.networks, self.data, oracle, *found)


def subject_of(
    path_or_name: Path | str, kimg: float | None, data_path: Path | None, out: Path | None, device: torch.device
) -> Subject:
    """A run on its own data, or, where the scores go to a folder `out`, a model on the data at `data_path`.

    Raises:
        UserError: what it is given does not go together; says what would.
    """
    if out is None:
        run = Run(Path(path_or_name))
        shipped = str(path_or_name) in PRETRAINED and not run.path.exists()
        if shipped or (run.path / WEIGHTS_FILE).is_file():
            fix = "to measure it on other data give --data PATH --out FOLDER"
            raise UserError(f"{path_or_name}: a model, not a run; {fix}")
        run.document()
        checkpoint = run.checkpoint(kimg)
        data = full_data(run, data_path)
        return of_run(run, data, checkpoint, load_model(checkpoint, device))
    if data_path is None:
        raise UserError(f"--out {out}: give other data as --data; a run on its own is measured into its own folder")
    if (out / CONFIG).exists() or out.is_file():
        raise UserError(f"--out {out}: a run, a model or a file; give a folder for these scores alone")
    if data_path.is_dir() and out.resolve().is_relative_to(data_path.resolve()):
        raise UserError(f"--out {out}: inside of the data; give a folder elsewhere")
    return of_model(path_or_name, Dataset.open(data_path), kimg, device)


def of_run(run: Run, data: Dataset, checkpoint: Path, networks: Networks) -> Subject:
    """A checkpoint of a run, and its networks, on the run's own `data`."""
    own, config = run.labels(data), run.config
    held_out = np.setdiff1d(np.arange(len(data)), training_rows(config, data))
    prior = None
    if config.prior == "labelled" and set(networks.space.names) <= set(data.space.names):
        space = data.space.only(networks.space.names)  # an editor knows some of the factors
        prior = own.columns([data.space.position(name) for name in space.names])
        if networks.space.kinds != space.kinds:
            prior = prior.as_scalars(space)
    kimg = kimg_of(checkpoint)
    return Subject(checkpoint, networks, data, own, prior, held_out, config.hold_out, kimg, seconds_at(run, kimg))


def of_model(path_or_name: Path | str, data: Dataset, kimg: float | None, device: torch.device) -> Subject:
    """A model, of a run or handed on, on data of which its training is taken to have seen nothing.

    Raises:
        UserError: not a model; data that the run was trained on, of another size, or with other factors.
    """
    run = Run(Path(path_or_name))
    if kimg is not None and not run.path.exists():
        raise UserError(f"--kimg {kimg:g}: {path_or_name} is no run with several checkpoints; leave --kimg out")
    checkpoint = find_model(path_or_name) if kimg is None else run.checkpoint(kimg)
    networks = load_model(checkpoint, device)
    fingerprint = data.fingerprint()
    for folder in (run.path, checkpoint.resolve().parent):
        if trained_on(folder) == fingerprint:
            raise UserError(f"{data.path}: {folder} was trained on it, and is measured on it without --out")
    config = networks.config
    if (data.resolution, data.channels) != (config.resolution, config.channels):
        raise UserError(
            f"{data.path}: its images have {data.resolution} px and {data.channels} channels, those of {path_or_name} "
            f"{config.resolution} px and {config.channels}; import them with --resolution {config.resolution}"
        )
    if not all(re.fullmatch(r"code\d+", name) for name in networks.space.names):  # a model that saw no labels
        data = with_factors_of(networks, data, checkpoint)
    own = Labels.none(len(data), len(data.space))
    prior = prior_of(checkpoint, networks.space)
    seen = kimg_of(checkpoint) if checkpoint in checkpoints(checkpoint.parent) else None
    return Subject(checkpoint, networks, data, own, prior, np.arange(len(data)), EVERY_IMAGE, seen, other=fingerprint)


def trained_on(folder: Path) -> str | None:
    """The fingerprint of a run's data; None where that is no run."""
    try:
        return Run(folder).document().get("data_fingerprint")
    except UserError:
        return None


def with_factors_of(networks: Networks, data: Dataset, checkpoint: Path) -> Dataset:
    """`data` with the factors of a model in the model's order; for an editor, of whose edits the others are scored as
    well, as it is.

    Raises:
        UserError: a factor that the data has not, or has on another scale; names it. An editor's in another order.
    """
    space, whole = networks.space, data.space
    for factor in space:
        known = whole[factor.name]  # refuses an unknown one
        if bare(factor) not in (bare(known), bare(known.as_scalar())):
            raise UserError(
                f"{data.path}: {told_of(known)}; the model knows {told_of(factor)}: say so in the data's "
                f"factors.json, as in {checkpoint / FACTORS_FILE}"
            )
    if not networks.G.starts_from_image:
        return data.arranged(space.names)
    if (order := whole.only(space.names).names) != space.names:
        raise UserError(
            f"{data.path}: factors in the order {', '.join(order)}; the editor's is {', '.join(space.names)}: put the "
            "columns of metadata.csv, and factors.json, in its order"
        )
    return data


def told_of(factor: Factor) -> str:
    """A factor in words."""
    size = "" if factor.size is None else f" with {factor.size} {'uneven ' if factor.grid else ''}values"
    return f"{factor.name} as {factor.kind}{size}, {factor.describe_range()}"


def bare(factor: Factor) -> Factor:
    """Without what changes no level."""
    return dataclasses.replace(factor, unit="", as_classes=False)


def full_data(run: Run, path: Path | None = None) -> Dataset:
    """The run's data set with all its labels; `path` is given where it has moved.

    Raises:
        UserError: not there, or not what the run was trained on.
    """
    if path is None and not Path(run.config.data).exists():
        raise UserError(f"{run.config.data}: not there, and {run.path} was trained on it; give its place as --data")
    data = Dataset.open(path or run.config.data)
    if trained_on(run.path) != data.fingerprint():
        raise UserError(
            f"{data.path}: has changed since {run.path} was trained on it; its scores would mean nothing; "
            f"put the old data back or train again, or measure it as other data with --out FOLDER"
        )
    return data


def seconds_at(run: Run, kimg: float) -> float | None:
    """Seconds of training up to there, from `stats.jsonl`; None where it does not say."""
    told = [row["seconds"] for row in run.stats() if row.get("kimg", math.inf) <= kimg + 1e-6 and "seconds" in row]
    return float(told[-1]) if told else None
