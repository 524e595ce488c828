"""A model on disk: `config.json` (shapes), `factors.json`, `model.safetensors` (averaged weights of G and E)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.files import atomic_path, write_json
from semistylegan.models.build import build_generator, build_trunk
from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Encoder
from semistylegan.models.generator import Generator
from semistylegan.models.stylegan import Growing

CONFIG_FILE, FACTORS_FILE, WEIGHTS_FILE = "config.json", "factors.json", "model.safetensors"
PRETRAINED = ("sprites", "living-room", "kitchen", "kitchen-editor")
"""Models that ship with the package, each in the folder of its name under `semistylegan/pretrained`."""


@dataclass(frozen=True)
class Networks:
    """A loaded model, ready to use: eval mode, no gradients for its weights."""

    config: ModelConfig
    space: FactorSpace
    G: Generator
    E: Encoder

    @property
    def grown_to(self) -> int:
        """Pixels a side of the detail that they draw and read: fewer than those of the images while they still grow."""
        return self.G.stage[0] if isinstance(self.G, Growing) else self.config.resolution

    def draw(self, start: Tensor, code_BC: Tensor) -> Tensor:
        """G's images, B x C x H x W, from z or from images to be edited, whose own codes E reads where G wants them."""
        if self.G.knows_source:
            code_BC = self.G.asking(code_BC, self.space.soften(self.E(start)))
        return self.G(start, code_BC)


def save_model(folder: Path, config: ModelConfig, space: FactorSpace, G: Generator, E: Encoder) -> None:
    """Writes the three files into `folder`."""
    write_json(folder / CONFIG_FILE, config.to_json())
    write_json(folder / FACTORS_FILE, space.to_json())
    with atomic_path(folder / WEIGHTS_FILE) as temporary:
        save_file(tensors_of({"G": G, "E": E}), temporary)


def tensors_of(networks: Mapping[str, nn.Module]) -> dict[str, Tensor]:
    """Copies of the weights of networks, on the CPU, each under `<network>.<weight>`."""
    return {
        f"{name}.{key}": value.detach().cpu().contiguous().clone()
        for name, network in networks.items()
        for key, value in network.state_dict().items()
    }


def under(name: str, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those of one network, or optimiser, by the names that it gives them itself."""
    return {key.removeprefix(f"{name}."): value for key, value in tensors.items() if key.startswith(f"{name}.")}


def load_model(folder: Path, device: str | torch.device = "cpu") -> Networks:
    """Reads what :func:`save_model` wrote. Nothing in the folder is executed or unpickled.

    Raises:
        UserError: a file is missing, damaged, or does not fit the others; names it.
    """
    space = FactorSpace.load(folder / FACTORS_FILE)
    try:
        config = ModelConfig.from_json(json.loads((folder / CONFIG_FILE).read_text(encoding="utf-8")))
        tensors = load_file(folder / WEIGHTS_FILE)
    except UserError as error:
        raise UserError(f"{folder / CONFIG_FILE}: {error}") from None
    except (OSError, ValueError, RecursionError, SafetensorError) as error:
        raise UserError(f"{folder}: not a readable model ({error}); train again or take another checkpoint") from None
    if config.code_width != space.code_width:
        raise UserError(f"{folder}: {FACTORS_FILE} does not belong to this {CONFIG_FILE}: codes differ in width")
    with torch.device("meta"):  # sizes alone: networks that the file has no weights of could fill the memory
        planned = _built(config)
    for name, plan in zip("GE", planned, strict=True):
        shapes = {key: weight.shape for key, weight in plan.state_dict().items()}
        if shapes != {key: weight.shape for key, weight in under(name, tensors).items()}:
            raise UserError(f"{folder / WEIGHTS_FILE}: weights of {name} do not fit {CONFIG_FILE}")
    G, E = _built(config)
    networks: tuple[tuple[str, nn.Module], ...] = (("G", G), ("E", E))
    for name, network in networks:
        network.load_state_dict(under(name, tensors))
        if not all(weight.isfinite().all() for weight in network.state_dict().values()):
            raise UserError(f"{folder / WEIGHTS_FILE}: weights of {name} are NaN or infinite; take another checkpoint")
        network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        network.eval().requires_grad_(False)
    return Networks(config, space, G, E)


def _built(config: ModelConfig) -> tuple[Generator, Encoder]:
    return build_generator(config), Encoder(config, build_trunk(config))


def checkpoint_name(kimg: float) -> str:
    """`checkpoint-000040` for 40 kimg; fractions of a kimg are kept: `checkpoint-000000.512`."""
    return f"checkpoint-{kimg:010.3f}".removesuffix(".000")


def kimg_of(checkpoint: Path) -> float:
    """Thousands of images that a checkpoint has seen, from its folder's name.

    Raises:
        UserError: the folder is named otherwise.
    """
    try:
        return float(checkpoint.name.partition("-")[2])
    except ValueError:
        raise UserError(f"{checkpoint}: not named checkpoint-<kimg>; give a run") from None


def checkpoints(run: Path) -> list[Path]:
    """The complete checkpoints of a run, oldest first."""
    found = [p for p in run.glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d+(\.\d+)?", p.name)]
    return sorted((p for p in found if (p / WEIGHTS_FILE).is_file()), key=kimg_of)


def find_checkpoint(path: Path) -> Path:
    """The checkpoint folder itself, or the newest checkpoint of a run.

    Raises:
        UserError: neither; says what was looked for.
    """
    if (path / WEIGHTS_FILE).is_file():
        return path
    if not path.is_dir():
        raise UserError(f"{path}: no such folder; give a run or a checkpoint folder")
    if not (complete := checkpoints(path)):
        raise UserError(f"{path}: holds no finished checkpoint; give a run that has trained, or train it first")
    return complete[-1]


def find_model(path_or_name: str | Path) -> Path:
    """The checkpoint folder of a model: as :func:`find_checkpoint`, or of one that ships. A path that exists wins.

    Raises:
        UserError: neither; lists what would work.
    """
    if (path := Path(path_or_name)).exists():
        return find_checkpoint(path)
    if str(path_or_name) in PRETRAINED:
        return Path(str(files("semistylegan") / "pretrained" / str(path_or_name)))
    raise UserError(
        f"{path_or_name}: no such model; give the folder of a run or of a checkpoint, or a name "
        f"({', '.join(PRETRAINED)})"
    )
