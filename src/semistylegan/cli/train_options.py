"""The training configuration as options: `--preset` names the system and sets the defaults of all others.

Apart from `parsing`, since it needs the training's own module (and torch with it).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

import tyro

from semistylegan.cli import parsing
from semistylegan.errors import UserError
from semistylegan.training.config import PRESETS, System, TrainConfig, preset_fields

GROUPS = {
    "machine": ("device", "processes", "threads", "precision", "cuda_graphs", "micro_batch"),
    "output": ("tick_kimg", "snap_kimg", "snap_images"),
    "network": ("size", "width", "backbone", "encoder", "grow_kimg", "grow_batch"),
    "code": ("factor_kinds", "as_classes", "prior"),
    "loss": (
        *("gamma_g", "gamma_e", "gamma_e_from", "gamma_doubt", "doubt_decay_from", "alpha", "beta", "xi", "mix_with"),
        *("ce_weight", "label_noise", "shift", "shift_keeps", "tint", "tint_keeps", "gan", "r1_gamma", "r1_interval"),
    ),
    "optimisation": ("batch", "labelled_batch", "lr_g", "lr_d", "lr_e", "lr_decay_from", "ema_kimg"),
    "editor": ("fine_factors", "coarse", "seen", "blend", "knows_source", "keep", "gamma_rec", "gamma_cycle"),
}
"""Options below those that every training is made of, heading by heading."""

LEAST_IMAGES = 20
"""Of a measurement: as many as MIG has bins."""


@dataclass(frozen=True)
class TrainOptions(TrainConfig):
    """TrainConfig with the names that users see."""

    system: Annotated[System, tyro.conf.arg(name="preset")] = "semi"
    """semi: a few labels. info: no labels, mutual information alone (its codes have no names). fine: an editor, image
    in and image out. paper: as semi, with the paper's networks and schedules (GPUs, days). Sets the defaults of the
    other options."""

    processes: int = 1
    """Processes on this machine that share each batch: the same model, to rounding. torchrun does it over machines."""

    snap_images: Annotated[int, tyro.conf.arg(metavar="N")] = 0
    """Also measure each snapshot on this many images, 20 at least (metric-NAME.jsonl, the report's curves). 0: not. The
    data set's own labels are read for that, by the measurement alone."""

    reschedule: bool = False
    """Let the run in --out end at this --kimg, sooner or later than it was planned to: what depends on how far it
    is (rates, doubt, gamma-e) is then that of the new length."""

    def config(self) -> TrainConfig:
        """The configuration, checked; UserError names the first option that cannot be."""
        fields = asdict(self)
        if fields.pop("processes") < 1:
            raise UserError(f"--processes {self.processes}: must be over 0")
        batches = [self.batch] if self.system == "info" else [self.batch, self.labelled_batch]
        if any(batch % self.processes for batch in batches):  # before any is started: each takes half a gigabyte
            fits = f"give a divisor of {math.gcd(*batches)}, or larger batches"
            raise UserError(f"--processes {self.processes}: every batch is cut into so many; {fits}")
        fields.pop("reschedule")
        if (images := fields.pop("snap_images")) and images < LEAST_IMAGES:
            raise UserError(f"--snap-images {images}: must be at least {LEAST_IMAGES}, or 0 to measure nothing")
        return TrainConfig(**fields).validated()


def defaults(args: Sequence[str]) -> TrainOptions:
    """What holds where an option is not given: the preset is read before all else, and the backbone it is to have.

    Raises:
        UserError: an unknown preset.
    """
    given = parsing.last(args, "--preset")
    preset = "semi" if given is None else given
    if preset not in PRESETS:
        raise UserError(f"--preset {preset}: known are {', '.join(PRESETS)}")
    fields = {"data": tyro.MISSING, "out": tyro.MISSING, "system": preset}
    return TrainOptions(**fields, **preset_fields(preset, parsing.last(args, "--backbone")))
