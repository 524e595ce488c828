"""The demonstration: from nothing to an evaluated model in minutes, on two cores, without a GPU."""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from semistylegan import progress
from semistylegan.files import atomic_path, require_own, sha256_of

if TYPE_CHECKING:
    from semistylegan.training import Run, TrainConfig

RESOLUTION = 32
LABEL_FRACTION = 0.025
STDERR = 2
PROCESSES = 2
"""That share each batch on a CPU; on every one, so that the same seed is the same training."""
SNAP_IMAGES = 2000
"""On which each snapshot is measured, for the page's curves."""
KIMG = 20.0
"""Length of the training, in thousands of images."""
SECONDS_PER_KIMG = 18.0
SECONDS_TO_DRAW, SECONDS_TO_MEASURE, SECONDS_TO_REPORT = 10.0, 60.0, 20.0
"""On two cores of 2026: for the estimate in the headers alone; the bars measure for themselves."""


@dataclass(frozen=True)
class Outcome:
    """What a demonstration leaves behind."""

    run: Path
    """Folder of the run."""
    metrics: dict[str, Any]
    """What `metrics.json` holds."""
    report: Path
    """The page."""


def run_demo(
    out: Path,
    seed: int = 0,
    kimg: float = KIMG,
    count: int | None = None,
    images: int = 10_000,
    device: str = "auto",
) -> Outcome:
    """Renders, trains, evaluates and reports into `out`; what is there already is not done again.

    Args:
        out: folder that gets `sprites.zip`, `run/` and `report.html`.
        seed: fixes the labelled images, the training and, with `count`, which sprites are used.
        kimg: length of the training.
        count: number of sprites; None is all of them.
        images: how many to measure on.
        device: where to compute.

    Raises:
        UserError: `out` belongs to a demonstration with other settings, or too few images to measure on.
    """
    # Imported here: the command line asks this module for its defaults before it needs torch.
    from semistylegan.data.rendering import render_dataset
    from semistylegan.metrics.evaluate import evaluate, require_images
    from semistylegan.report.page import write_report
    from semistylegan.scenes.render import SCENES
    from semistylegan.training import Run, TrainConfig

    require_images(images)  # `evaluate` would say so after the training
    data, page = out / "sprites.zip", out / "report.html"
    if not data.is_file():
        require_own(out, ("sprites.zip.parts",))
    config = TrainConfig.preset(
        "semi", str(data), str(out / "run"), label_fraction=LABEL_FRACTION, kimg=kimg, seed=seed, device=device
    )

    header(1, "drawing the sprites", SECONDS_TO_DRAW)
    render_dataset(SCENES["sprites"], data, RESOLUTION, count=count, seed=seed)

    header(2, f"training on {LABEL_FRACTION:.1%} of their labels", kimg * SECONDS_PER_KIMG)
    train_together(config, min(images, SNAP_IMAGES))
    run = Run(out / "run")

    header(3, "measuring", SECONDS_TO_MEASURE)
    metrics = finished_metrics(run, images) or evaluate(run.path, images=images, device=device)

    header(4, "writing the page", SECONDS_TO_REPORT)
    if not is_newer(page, run.path / "metrics.json"):
        with atomic_path(page) as temporary:
            temporary.write_bytes(write_report(run.path).read_bytes())
    return Outcome(run.path, metrics, page)


def train_together(config: TrainConfig, snap_images: int) -> None:
    """`semistylegan train`, on a CPU in :data:`PROCESSES` processes.

    Raises:
        KeyboardInterrupt: it was interrupted; a checkpoint is written.
        SystemExit: it failed, and has said why.
    """
    from semistylegan.training import distributed
    from semistylegan.training.device import pick_device

    names = ("data", "out", "label_fraction", "kimg", "seed", "device")
    options = {name.replace("_", "-"): getattr(config, name) for name in names} | {"snap-images": snap_images}
    command = [sys.executable, "-m", "semistylegan", "train"]
    command += [word for name, value in options.items() for word in (f"--{name}", str(value))]
    status = distributed.launch(command, PROCESSES if pick_device(config.device).type == "cpu" else 1, stdout=STDERR)
    if status == 130:
        raise KeyboardInterrupt
    if status:
        raise SystemExit(status)


def header(step: int, what: str, seconds: float) -> None:
    """`Step 2 of 4: training (about 6 minutes)`"""
    progress.console().print(f"Step {step} of 4: {what} ({about(seconds)})", markup=False, style="bold")


def about(seconds: float) -> str:
    """A duration as one says it."""
    if seconds < 45:
        return "some seconds"
    minutes = max(round(seconds / 60), 1)
    return "about a minute" if minutes == 1 else f"about {minutes} minutes"


def finished_metrics(run: Run, images: int) -> dict[str, Any] | None:
    """The scores of an earlier evaluation of the same weights on the same images by these measures, if there are."""
    from semistylegan.metrics.evaluate import ALWAYS, version_of
    from semistylegan.metrics.scores import VERSION

    file = run.path / "metrics.json"
    if not file.exists():
        return None
    metrics: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    identity = {"weights_sha256": sha256_of(run.checkpoint() / "model.safetensors"), "images": images, "seed": 0}
    same = all(metrics.get(key) == value for key, value in identity.items()) and version_of(metrics) == VERSION
    return metrics if same and all(metrics.get(key) is not None for key in ALWAYS) else None


def is_newer(file: Path, other: Path) -> bool:
    """Whether `file` is there and was written after `other`."""
    return file.exists() and file.stat().st_mtime_ns > other.stat().st_mtime_ns
