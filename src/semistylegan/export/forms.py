"""A clean checkpoint folder, and ONNX files.

Suffixes: B batch, Z latent, C code or channels, H x W pixels.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import logging
import math
import shutil
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from semistylegan import __version__
from semistylegan.data.labels import labels_csv
from semistylegan.data.pictures import save_png, tile
from semistylegan.editing import EXAMPLES, ImageArray, Model
from semistylegan.errors import UserError
from semistylegan.export import card
from semistylegan.factors import FactorSpace
from semistylegan.files import atomic_path, make_folder, sha256_of, write_json, write_text
from semistylegan.models.checkpoint import CONFIG_FILE, FACTORS_FILE, WEIGHTS_FILE, checkpoints
from semistylegan.models.generator import Generator
from semistylegan.models.stylegan import Growing
from semistylegan.training.prior import PRIOR
from semistylegan.training.run import Run
from semistylegan.training.state import COUNTERS_FILE, STATE_FILE

GENERATOR, ENCODER, DESCRIPTION = "generator.onnx", "encoder.onnx", "model.json"
CARD = "MODEL_CARD.md"
CHECKPOINT = (CONFIG_FILE, FACTORS_FILE, WEIGHTS_FILE, CARD, PRIOR, EXAMPLES)
NETWORKS = (GENERATOR, f"{GENERATOR}.data", ENCODER, f"{ENCODER}.data", DESCRIPTION)
"""Weights of more than 1.5 GB lie in a file of their own, `.data`."""
SCRIPT = "page.js"
"""What only a site holds, beside NETWORKS."""
SECOND = "E.second."
HALVED = (".weight", ".bias")
"""What half precision is for: the layers. How far a model has grown stays as it is, and so does the constant that its
synthesis starts from: nearly ones at first, then brought to variance 1, which shows what rounding does to it."""
START = ("z", "image")
"""What G starts from, and the name of that input."""
TOLERANCE = 1e-3
"""Largest difference to torch (images span [-1, 1]) with which an ONNX file is written."""


def export_safetensors(model: Model, out: Path, half: bool = False, examples: ImageArray | None = None) -> Path:
    """Writes a checkpoint folder: configuration, factors, weights of G and E, and a card that says what it is.

    E's second head stays behind: only training needs it. With `--prior labelled` the labels from which codes are drawn
    go along, without the images' names.

    Args:
        out: the folder; new, empty, or an earlier export, see :func:`new_folder`.
        half: store the layers' weights in half precision: half the size. They are single again once loaded.
        examples: images for an editor to begin with, N x H x W x C of its size; None hands on those that it came with.

    Raises:
        UserError: `out` holds other files.
    """
    with new_folder(out, CHECKPOINT, holds(out, CARD, FACTORS_FILE, WEIGHTS_FILE)) as folder:
        write_json(folder / CONFIG_FILE, dataclasses.replace(model.networks.config, second_head=False).to_json())
        write_json(folder / FACTORS_FILE, model.factors.to_json())
        tensors = {k: v for k, v in load_file(model.checkpoint / WEIGHTS_FILE).items() if not k.startswith(SECOND)}
        if half:
            tensors = {k: v.half() if k.endswith(HALVED) else v for k, v in tensors.items()}
        with atomic_path(folder / WEIGHTS_FILE) as temporary:
            save_file(tensors, temporary)
        size = (folder / WEIGHTS_FILE).stat().st_size
        write_text(folder / CARD, card.write(model, any(t.dtype == torch.float16 for t in tensors.values()), size))
        if (prior := model.prior) is not None:
            rows = range(len(prior))
            write_text(folder / PRIOR, labels_csv([str(row) for row in rows], rows, prior, model.factors))
        write_examples(model, folder, examples)
    return out


def write_examples(model: Model, folder: Path, examples: ImageArray | None) -> int:
    """Writes the images that an editor begins with, those given or its own, on one sheet -> how many.

    Raises:
        UserError: images for a model that starts from z.
    """
    if examples is not None and not model.edits_in_one_pass:
        raise UserError("--examples: for editors (preset fine); this model starts from z, leave it out")
    examples = model.examples if examples is None else examples
    if examples is None:
        return 0
    save_png(folder / EXAMPLES, tile(examples, columns=math.ceil(len(examples) ** 0.5), background=0))
    return len(examples)


def export_onnx(model: Model, out: Path) -> Path:
    """Writes G and E as ONNX with a batch of any size, and `model.json`, which says what goes in and comes out.

    `generator.onnx`: `z` B x Z (standard normal) and `code` B x C -> `drawn` B x C x H x W, about [-1, 1]. An editor
    (preset fine) takes `image`, B x C x H x W, in place of `z`; and where `model.json` has `knows_source`, `said` too:
    what the encoder says of that image.
    `encoder.onnx`: `image` -> `said`, the code as E says it (logits where a factor is categorical).
    Both are run on batches of 1 and 3 and compared with torch before they are written.

    Raises:
        UserError: the extra `onnx` is missing, or `out` holds other files.
    """
    with new_folder(out, NETWORKS, holds(out, GENERATOR, DESCRIPTION) and not holds(out, SCRIPT)) as folder:
        write_networks(model, folder)
    return out


def describe(model: Model) -> dict[str, Any]:
    """What a program needs to know to use the networks: sizes, and each factor with its place in the code."""
    factors = [
        {**factor.to_json(), "code": [where.start, where.stop]}
        for factor, where in zip(model.factors, model.factors.slices, strict=True)
    ]
    return {
        "semistylegan": __version__,
        "resolution": model.resolution,
        "channels": model.channels,
        "start": START[model.networks.G.starts_from_image],
        "z": model.networks.config.z_dim,
        "code": model.factors.code_width,
        "knows_source": model.networks.G.knows_source,
        "factors": factors,
    }


def write_networks(model: Model, folder: Path) -> None:
    """Writes the two networks and their description, with their hashes, into `folder`; see :func:`export_onnx`."""
    config, side = model.networks.config, model.resolution
    G, E = copy.deepcopy(model.networks.G).cpu(), copy.deepcopy(model.networks.E).cpu()
    _stop_growing(G, E)
    chance = torch.Generator().manual_seed(0)
    img_BCHW = 2 * torch.rand(3, model.channels, side, side, generator=chance) - 1
    start = img_BCHW if G.starts_from_image else torch.randn(3, config.z_dim, generator=chance)
    code_BC = model.factors.encode(model.factors.sample(3, chance))
    inputs = {START[G.starts_from_image]: start, "code": code_BC}
    if G.knows_source:
        _network(Informed(G, model.factors), {**inputs, "said": E(img_BCHW)}, "drawn", folder / GENERATOR)
    else:
        _network(G, inputs, "drawn", folder / GENERATOR)
    _network(E, {"image": img_BCHW}, "said", folder / ENCODER)
    hashes = {name: sha256_of(folder / name) for name in (GENERATOR, ENCODER)}
    write_json(folder / DESCRIPTION, {**describe(model), **_prior(model), "sha256": hashes})


def _prior(model: Model) -> dict[str, Any]:
    """Levels of the labelled rows from which codes are drawn, null where unknown."""
    if (prior := model.prior) is None:
        return {}
    rows = zip(prior.level_NF.tolist(), prior.known_NF.tolist(), strict=True)
    return {"prior": [[round(u, 6) if k else None for u, k in zip(*row, strict=True)] for row in rows]}


class Informed(nn.Module):
    """G that takes what E says of its image as E says it."""

    def __init__(self, G: Generator, space: FactorSpace) -> None:
        super().__init__()
        self.G, self.space = G, space

    def forward(self, image_BCHW: Tensor, code_BC: Tensor, said_BC: Tensor) -> Tensor:
        """Images B x C x H x W."""
        return self.G(image_BCHW, self.G.asking(code_BC, self.space.soften(said_BC)))


def _stop_growing(*networks: nn.Module) -> None:
    """Makes how far they have grown a plain number: torch.export follows no choice that hangs on a tensor's values."""
    for network in networks:
        for part in network.modules():
            if isinstance(part, Growing):
                doublings = float(part.grown)
                del part.grown
                part.grown = doublings  # type: ignore[assignment]


def _network(network: nn.Module, inputs: dict[str, Tensor], output: str, path: Path) -> None:
    """One network as a file.

    Raises:
        UserError: the extra `onnx` is missing.
        RuntimeError: the file does not give what torch gives: our bug.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime
        import onnxscript  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"--format onnx needs {error.name}, which is not installed: pip install 'semistylegan[onnx]'"
        ) from None

    with _quiet():
        torch.onnx.export(
            network.eval(),
            tuple(inputs.values()),
            path,
            dynamo=True,
            external_data=False,
            verbose=False,
            input_names=list(inputs),
            output_names=[output],
            dynamic_shapes=tuple({0: "batch"} for _ in inputs),
        )
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    for count in (1, len(next(iter(inputs.values())))):
        fed = {name: tensor[:count] for name, tensor in inputs.items()}
        (found,) = session.run(None, {name: tensor.numpy() for name, tensor in fed.items()})
        with torch.no_grad():
            expected = network(*fed.values())
        same = found.shape == expected.shape
        away = float((torch.from_numpy(found) - expected).abs().max()) if same else float("inf")
        if not away <= TOLERANCE:
            raise RuntimeError(f"{path.name}: differs from torch by {away:g} on a batch of {count}")


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what the exporter says to its own developers."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "torch.export", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


def holds(folder: Path, *names: str) -> bool:
    """Whether all these files lie there."""
    return all((folder / name).is_file() for name in names)


@contextmanager
def new_folder(out: Path, names: Sequence[str], earlier: bool) -> Iterator[Path]:
    """A folder to write into, whose files then appear at `out`: all of them or, where something fails, none.

    An earlier export's files are replaced, and everything else that lies beside them (.git, README.md) stays.

    Args:
        out: new, empty, or an earlier export in the same format.
        names: the files that the format writes; those that the new export does without are removed.
        earlier: whether `out` is an earlier export in this format.

    Raises:
        UserError: `out` is a file, a checkpoint of a run, or holds other things; names the first of them.
    """
    if out.exists() and not out.is_dir():
        raise UserError(f"{out}: a file stands there; give a folder as --out")
    if _is_of_a_run(out):
        raise UserError(f"{out}: is a checkpoint of a run, which goes on from it; give another folder as --out")
    there = sorted(p.name for p in out.iterdir()) if out.is_dir() else []
    if there and not earlier:
        first = next((name for name in there if name not in names), there[0])
        raise UserError(
            f"{out}: holds {first} and is no earlier export in this format; give an empty or a new folder as --out"
        )
    make_folder(out.parent)
    with tempfile.TemporaryDirectory(prefix=f".{out.name}.", dir=out.parent) as place:
        folder = Path(place) / "new"
        folder.mkdir()
        yield folder
        if not out.is_dir():
            folder.rename(out)
            return
        with ExitStack() as stack:  # nothing is renamed until all is copied
            for file in folder.iterdir():
                shutil.copyfile(file, stack.enter_context(atomic_path(out / file.name)))
        for name in names:
            if not (folder / name).exists():
                (out / name).unlink(missing_ok=True)


def _is_of_a_run(folder: Path) -> bool:
    """Whether it is a checkpoint that a run has written: with what the run needs to go on, or among its others."""
    if holds(folder, STATE_FILE) or holds(folder, COUNTERS_FILE):
        return True
    folder = folder.resolve()
    try:
        Run(folder.parent).document()
    except UserError:
        return False
    return folder in checkpoints(folder.parent)
