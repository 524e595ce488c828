"""The card of a model: what it is, how it was trained, how good it is, what to beware of."""

from __future__ import annotations

import html
import shlex
from pathlib import Path

from semistylegan import __version__
from semistylegan.editing import Model
from semistylegan.errors import UserError
from semistylegan.files import sha256_of
from semistylegan.models.checkpoint import WEIGHTS_FILE
from semistylegan.report.facts import per_factor, scores_of
from semistylegan.report.scores import TILES
from semistylegan.report.words import options
from semistylegan.training.config import FREE_TO_CHANGE, TrainConfig
from semistylegan.training.run import Run, number

LIMITS = """\
It draws what its data shows and nothing else, and reads images that look like its data alone: what it says of others
means nothing. The weights are safetensors: loading them executes nothing."""


def write(model: Model, half: bool, size: int) -> str:
    """The card as Markdown.

    What belongs to a run (data, command, scores) is left out where the model lies in none, and scores where they were
    taken of other weights.

    Args:
        half: whether the weights are stored in half precision.
        size: bytes of the weights' file.
    """
    in_G = sum(p.numel() for p in model.networks.G.parameters())
    in_E = sum(p.numel() for name, p in model.networks.E.named_parameters() if not name.startswith("second."))
    colour = "grey" if model.channels == 1 else "colour"
    images = f"{colour} images of {model.resolution} x {model.resolution} pixels"
    does = f"changes the factors of given {images}" if model.edits_in_one_pass else f"draws {images} whose factors are"
    what = (
        f"A semi-supervised StyleGAN: G {does} as asked, E reads the factors off images. {in_G:,} and {in_E:,} "
        f"parameters, {size / 1e6:.2f} MB in {'half' if half else 'single'} precision. "
        f"Written by semistylegan {__version__}."
    )
    if (grown := model.networks.grown_to) < model.resolution:
        what += f" Not yet fully grown: it draws and reads no detail finer than {grown} x {grown} pixels show."
    rows = [row(f.name, f.kind, f.describe_range()) for f in model.factors]
    factors = "\n".join(["| factor | kind | values |", "| --- | --- | --- |", *rows])
    parts = ["# Model card", what, "## Factors", factors, *_of_run(model), "## Use and limits", LIMITS]
    return "\n\n".join(parts) + "\n"


def _of_run(model: Model) -> list[str]:
    """Data, command and scores, where the model lies in its run."""
    run = Run(model.checkpoint.parent)
    try:
        config = run.config
    except UserError:
        return []
    from_where = f"Data: `{Path(config.data).name}`. Checkpoint `{model.checkpoint.name}` of"
    parts = ["## Training", from_where, f"```sh\n{command(config, model.resolution)}\n```"]
    parts += filter(None, [run.moved_end()])
    scores = _scores(run.path, model.checkpoint)
    return [*parts, "## Scores", scores] if scores else parts


def command(config: TrainConfig, resolution: int) -> str:
    """The command that trains like this, as a shell reads it: what differs from the preset. Paths are shortened to
    their names."""
    data, out = Path(config.data).name, Path(config.out).name
    words = ["semistylegan", "train", "--data", data, "--out", out, "--preset", config.system]
    kept = {name: value for name, value in config.to_json().items() if name not in FREE_TO_CHANGE}
    return shlex.join([*words, *options(kept, resolution)])


def row(*cells: str) -> str:
    """A line of a Markdown table: a bar within a cell would end it, and a host would take angle brackets for HTML."""
    return "| " + " | ".join(html.escape(cell, quote=False).replace("|", r"\|") for cell in cells) + " |"


def _scores(run: Path, checkpoint: Path) -> str | None:
    try:
        metrics = scores_of(run)
    except UserError:
        return None
    if metrics.get("weights_sha256") != sha256_of(checkpoint / WEIGHTS_FILE):
        return None
    named = [*((key, name, better) for key, name, better, *_ in TILES), ("oracle_l2", "L2 of the oracle", "lower")]
    rows = [row(name, f"{v:.3f}", better) for key, name, better in named if (v := number(metrics.get(key))) is not None]
    table = "| score | value | better |\n| --- | --- | --- |\n" + "\n".join(rows)
    factors = [
        row(name, f"{mae:.3f}", f"{mae_gen:.3f}")
        for name, errors in per_factor(metrics).items()
        if (mae := number(errors.get("mae"))) is not None and (mae_gen := number(errors.get("mae_gen"))) is not None
    ]
    if factors:
        table += "\n\n| factor | error of E | error of G |\n| --- | --- | --- |\n" + "\n".join(factors)
    images = number(metrics.get("images"))
    return table if images is None else f"On {images:,.0f} images, weights in single precision:\n\n{table}"
