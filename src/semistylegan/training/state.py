"""TrainState: everything that a resume needs, one save and one load.

Nothing else carries over from step to step: the random numbers of step k are a function of (seed, k), the order of the
images a function of (seed, images seen). So a run that was killed and resumed ends with the same bytes.
"""

from __future__ import annotations

import copy
import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.files import atomic_path, write_json
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import save_model, tensors_of, under
from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Discriminator, Encoder
from semistylegan.models.generator import Generator
from semistylegan.training.config import TrainConfig
from semistylegan.training.optimiser import FlatAdam

STATE_FILE, COUNTERS_FILE = "train-state.safetensors", "train-state.json"
COUNTERS = ("step", "images", "seconds")


@dataclass
class TrainState:
    """Networks, their averages, their optimisers, and how far the training is."""

    config: TrainConfig
    model: ModelConfig
    space: FactorSpace
    G: Generator
    D: Discriminator
    E: Encoder
    G_ema: Generator
    E_ema: Encoder
    opt_G: FlatAdam
    opt_D: FlatAdam
    opt_E: FlatAdam
    step: int = 0
    images: int = 0
    seconds: float = 0.0

    @classmethod
    def create(cls, config: TrainConfig, model: ModelConfig, space: FactorSpace, device: torch.device) -> TrainState:
        """A fresh state: weights drawn from the seed (on the CPU, so that every device starts alike)."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(config.seed)
            G, D, E = build_networks(model)
        for network in (G, D, E):
            network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
        G_ema, E_ema = copy.deepcopy(G).eval().requires_grad_(False), copy.deepcopy(E).eval().requires_grad_(False)
        assert config.lr_g and config.lr_d and config.lr_e and model.second_head == bool(config.gamma_doubt)
        return cls(
            config=config,
            model=model,
            space=space,
            G=G,
            D=D,
            E=E,
            G_ema=G_ema,
            E_ema=E_ema,
            opt_G=FlatAdam(G, config.lr_g, (0.0, 0.99)),
            opt_D=FlatAdam(D, config.lr_d, (0.0, 0.99)),
            # With a shared trunk, D's optimiser moves it.
            opt_E=FlatAdam(E, config.lr_e, (0.9, 0.99), leave_out=D),
        )

    @property
    def kimg(self) -> float:
        return self.images / 1000

    @property
    def progress(self) -> float:
        """Part of the training that is done, 0 to 1."""
        return min(self.images / (1000 * self.config.kimg), 1.0)

    def _networks(self) -> dict[str, nn.Module]:
        return {"G": self.G, "D": self.D, "E": self.E, "G_ema": self.G_ema, "E_ema": self.E_ema}

    def _optimisers(self) -> dict[str, FlatAdam]:
        return {"opt_G": self.opt_G, "opt_D": self.opt_D, "opt_E": self.opt_E}

    def save(self, folder: Path) -> None:
        """Writes a checkpoint folder, whole or not at all: the averaged model for users, the rest for a resume."""
        temporary = folder.with_name(f".{folder.name}.part")
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            save_model(temporary, self.model, self.space, self.G_ema, self.E_ema)
            tensors = tensors_of(self._networks())
            for name, optimiser in self._optimisers().items():
                for key, value in optimiser.tensors().items():
                    tensors[f"{name}.{key}"] = value.detach().cpu().clone()
            with atomic_path(temporary / STATE_FILE) as path:
                save_file(tensors, path)
            write_json(temporary / COUNTERS_FILE, {k: getattr(self, k) for k in COUNTERS})
            shutil.rmtree(folder, ignore_errors=True)
            temporary.replace(folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def load(self, folder: Path) -> None:
        """Takes over what :meth:`save` wrote, bit for bit, memory layout included.

        Raises:
            UserError: a file is missing, damaged, or of other shapes; names it.
        """
        try:
            tensors = load_file(folder / STATE_FILE)
            counters = json.loads((folder / COUNTERS_FILE).read_text(encoding="utf-8"))
            step, images, seconds = (counters[name] for name in COUNTERS)
            if not (type(step) is type(images) is int and type(seconds) in (int, float)):
                raise ValueError(f"{COUNTERS_FILE} holds other values than numbers")
        except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
            raise UserError(
                f"{folder}: cannot go on from this checkpoint ({error}); remove it to use the one before"
            ) from None
        try:
            for name, network in self._networks().items():
                network.load_state_dict(under(name, tensors))
            for name, optimiser in self._optimisers().items():
                optimiser.load(under(name, tensors))
        except (RuntimeError, KeyError):
            raise UserError(
                f"{folder / STATE_FILE}: does not fit these networks; was it written by another version?"
            ) from None
        self.step, self.images, self.seconds = step, images, seconds
