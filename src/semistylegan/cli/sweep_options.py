"""The options of `sweep`: what is varied, and every option of `train` for what is not.

Apart from `studying` for the reason that `train_options` is apart from `making`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from tyro.conf import Suppress, UseAppendAction, arg

from semistylegan.cli.command import Whole
from semistylegan.cli.train_options import TrainOptions, defaults

__all__ = ["SweepOptions", "TrainOptions", "defaults"]


@dataclass(frozen=True)
class SweepOptions(TrainOptions):
    """What is varied, and every option of `train` for what is not."""

    over: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FIELD=A,B,C")] = ()
    """An option of train and its values; label-fraction 0 trains as the preset info. Given again: every combination."""
    seeds: Annotated[str, arg(metavar="A,B,C")] = "0"
    """Each setting is trained with each of these."""
    baselines: Annotated[str, arg(metavar="A,B,C")] = ""
    """What to train beside the settings: labels-only (E sees the labelled images alone), info, all-labels."""
    metrics: Annotated[str, arg(metavar="A,B,C")] = "default"
    """Names with commas between, `default` (those that take seconds), or `all` (but fid)."""
    images: Annotated[int, arg(metavar="N")] = 10_000
    """Read and generate this many images of each run, at most."""
    workers: Whole = None
    """Runs at a time on this machine. Not given: one a core, or one a GPU where there are some."""
    cluster: Annotated[Literal["ray"] | None, arg(metavar="ray")] = None
    """ray: train on the cluster that RAY_ADDRESS names, with --data and --out on a disk that its machines share."""
    seed: Suppress[int] = 0
    processes: Suppress[int] = 1
    snap_images: Suppress[int] = 0
    reschedule: Suppress[bool] = False
