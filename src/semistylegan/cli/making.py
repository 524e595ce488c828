"""Commands that make data sets and runs: demo, render, check, train, eval, report."""

from __future__ import annotations

import inspect
import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal, Self

from tyro.conf import Positional, UseAppendAction, arg

from semistylegan.cli import parsing
from semistylegan.cli.command import Command, Whole
from semistylegan.errors import UserError

if TYPE_CHECKING:
    from semistylegan.training.config import TrainConfig

RunFolder = Annotated[Positional[Path], arg(name="run", metavar="RUN")]


@dataclass(frozen=True)
class Demo(Command):
    """Renders sprites, labels 2.5% of them, trains, evaluates and writes a page: minutes, without a GPU.

    The same command again goes on where it stopped.

    Example:
      semistylegan demo --out runs/demo
    """

    out: Path
    """Folder for all of it: sprites.zip, run/, report.html."""
    seed: int = 0
    """Fixes the labelled images and the whole training."""
    kimg: Annotated[float | None, arg(metavar="K")] = None
    """Length of the training in thousands of images. Not given: long enough for a good model."""
    count: Whole = None
    """Use this many sprites instead of all 11,520."""
    images: Annotated[int, arg(metavar="N")] = 10_000
    """Measure on this many images, at most."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto."""

    def run(self) -> Path:
        from semistylegan import demo
        from semistylegan.cli.tables import print_metrics

        kimg = demo.KIMG if self.kimg is None else self.kimg
        outcome = demo.run_demo(self.out, self.seed, kimg, self.count, self.images, self.device)
        print_metrics(outcome.metrics)
        return outcome.report


@dataclass(frozen=True)
class Render(Command):
    """Renders a built-in scene: images with all their labels, as a StyleGAN zip.

    The same command again goes on where it stopped; the same seed gives the same bytes.

    The kitchen and the living room need Mitsuba: pip install 'semistylegan[render]'.

    Example:
      semistylegan render kitchen --out kitchen.zip --resolution 64 --count 10000
    """

    scene: Annotated[Positional[str], arg(metavar="SCENE")]
    """Which one: sprites, kitchen, living-room."""
    out: Path
    """The zip to write."""
    resolution: int
    """Pixels a side: a power of two."""
    count: Whole = None
    """Draw this many different images of the scene's grid. A larger count holds the smaller one's."""
    all: bool = False
    """Render the whole grid (so it is where --count is not given)."""
    seed: int = 0
    """Which images --count draws."""
    shard: Annotated[str, arg(metavar="I/N")] = "0/1"
    """Render part I of N alone, I from 0: for several machines."""
    workers: Whole = None
    """Processes. Not given: one a core."""
    cluster: Annotated[Literal["ray"] | None, arg(metavar="ray")] = None
    """Send the work to the Ray cluster that RAY_ADDRESS names, else to one on this machine."""

    def run(self) -> Path:
        from semistylegan.data.rendering import render_dataset
        from semistylegan.scenes.render import SCENES

        if self.scene not in SCENES:
            raise UserError(f"scene {self.scene!r}: known are {', '.join(SCENES)}")
        if self.all and self.count is not None:
            raise UserError(f"--count {self.count}: leave out either it or --all")
        written = render_dataset(
            SCENES[self.scene],
            self.out,
            self.resolution,
            count=self.count,
            seed=self.seed,
            shard=_shard(self.shard),
            workers=self.workers,
            cluster=self.cluster,
        )
        # Until the last shard is done there are parts alone.
        return written or self.out.with_name(f"{self.out.name}.parts")


@dataclass(frozen=True)
class Check(Command):
    """Says what is in a data set and what is wrong with it; status 2 if it cannot be trained on.

    A folder's metadata.csv has a column file_name and one for each factor; a blank cell is unknown, and so is an
    image without a row. Words are read as classes, numbers as a scale. A factors.json beside it says more, e.g.
    {"factors": [{"name": "hue", "kind": "circular", "range": [0, 360]}, {"name": "size", "range": [0, 1]}]}

    Example:
      semistylegan check photos/
    """

    data: Annotated[Positional[Path], arg(metavar="DATA")]
    """Folder of images (with a metadata.csv, or none) or StyleGAN zip."""
    json: bool = False
    """Print JSON instead of a table."""
    write_factors: bool = False
    """Write the factors of a folder, as they were understood, to its factors.json, to be edited. Images may be of any
    size for it: status 0 where the labels can be read."""

    def run(self) -> Path | None:
        from semistylegan.data.check import check, write_factors

        report = check(self.data)
        if self.json:
            print(json.dumps(report.to_json(), indent=2, allow_nan=False))
        else:
            report.print()
        if self.write_factors:
            return write_factors(self.data)
        if not report.ok:
            raise UserError(f"{self.data}: cannot be trained on as it is; the problems stand above")
        return None


@dataclass(frozen=True)
class Train(Command):
    """Trains a generator and an encoder on images of which some carry labels.

    The same command again goes on where it stopped. Nothing is learned from labels but those that
    --label-fraction keeps (all, where it is not given). A preset sets the defaults of the other options.

    Example:
      semistylegan train --data sprites.zip --out runs/sprites --label-fraction 0.025
    """

    config: TrainConfig
    processes: int
    snap_images: int
    reschedule: bool
    args: Sequence[str]

    @classmethod
    def parse(cls, name: str, args: Sequence[str]) -> Self:
        from semistylegan.cli.train_options import GROUPS, TrainOptions, defaults

        options = parsing.options(TrainOptions, name, args, inspect.getdoc(cls), defaults(args), GROUPS)
        return cls(options.config(), options.processes, options.snap_images, options.reschedule, args)

    def run(self) -> Path | None:
        from semistylegan.metrics.evaluate import on_snapshot
        from semistylegan.training import distributed, train

        if self.processes > 1 and not distributed.launched():
            command = [sys.executable, "-m", "semistylegan", "train", *self.args]
            if status := distributed.launch(command, self.processes):
                raise SystemExit(status)
            return None  # the first process has said where
        measure = on_snapshot(self.snap_images, self.config.device) if self.snap_images else None
        path = train(self.config, measure, self.reschedule).path
        return path if os.environ.get("RANK", "0") == "0" else None


@dataclass(frozen=True)
class Eval(Command):
    """Measures a run: how well the encoder reads the factors, the generator obeys them, the images match.

    The scores are appended to metric-NAME.jsonl, with their protocol, and put together in metrics.json. With --out any
    model is measured on other labelled data, of which its training saw nothing.

    Example:
      semistylegan eval runs/sprites --metrics mig,l2
    """

    run_path: RunFolder
    """Folder of a run; with --out also of a checkpoint, or the name of a model that ships with the package."""
    metrics: Annotated[str, arg(metavar="A,B,C")] = "default"
    """Names with commas between, `default` (those that take seconds), or `all`."""
    images: Annotated[int, arg(metavar="N")] = 10_000
    """Read and generate this many images, at most."""
    seed: int = 0
    """Fixes which."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto."""
    inception: Annotated[Path | None, arg(metavar="FILE")] = None
    """Inception's weights (.safetensors) or network (ONNX), for the metric fid (in `all`, too); never downloaded."""
    inception_sha256: Annotated[str | None, arg(metavar="HEX")] = None
    """The hash that this file must have, or its first digits."""
    kimg: Annotated[float | None, arg(metavar="KIMG")] = None
    """Measure the checkpoint after this many thousand images, not the newest."""
    data: Annotated[Path | None, arg(metavar="PATH")] = None
    """Where the run's data are now, if they have moved since it was trained, or if it was trained elsewhere; with --out
    other data."""
    out: Annotated[Path | None, arg(metavar="FOLDER")] = None
    """Measure on other data, which --data names, and write the scores here."""

    def run(self) -> Path:
        from semistylegan.cli.tables import print_metrics
        from semistylegan.metrics.evaluate import evaluate

        names = [name.strip() for name in self.metrics.split(",")]
        options = (self.images, self.seed, self.device, self.inception, self.inception_sha256, self.kimg, self.data)
        print_metrics(evaluate(self.run_path, names, *options, self.out))
        return (self.out or self.run_path) / "metrics.json"


@dataclass(frozen=True)
class Report(Command):
    """Rebuilds the page of a run: pictures, curves and scores in one file.

    Example:
      semistylegan report runs/sprites --beside runs/others
    """

    run_path: RunFolder
    """Folder of a run."""
    beside: Annotated[UseAppendAction[tuple[Path, ...]], arg(metavar="RUN")] = ()
    """Another run to compare it with; may be given several times."""

    def run(self) -> Path:
        from semistylegan.report.page import write_report

        return write_report(self.run_path, self.beside)


def _shard(text: str) -> tuple[int, int]:
    """`2/8` -> (2, 8)."""
    part, _, parts = text.partition("/")
    if not (text.isascii() and part.isdigit() and parts.isdigit() and int(part) < int(parts)):
        raise UserError(f"--shard {text}: write I/N with I from 0 to N - 1, e.g. 0/4")
    return int(part), int(parts)
