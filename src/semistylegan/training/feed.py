"""What a run learns from: its labels, factors and prior, and what each step sees of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from semistylegan.data.dataset import Dataset, epoch_order
from semistylegan.data.joint import choose_prior, require_learnable
from semistylegan.data.labels import Labels, choose_rows
from semistylegan.data.pictures import to_float
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.models.stylegan import as_grown
from semistylegan.training import distributed
from semistylegan.training.config import TrainConfig
from semistylegan.training.growing import advance
from semistylegan.training.parts import Batch, LabelledBatch
from semistylegan.training.scope import class_factors, fine_factors, training_rows
from semistylegan.training.state import TrainState
from semistylegan.training.streams import to_device

Rows = TypeVar("Rows", Tensor, npt.NDArray[np.int64])


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
