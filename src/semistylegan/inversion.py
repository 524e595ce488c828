"""Inversion: which z, code and styles make G draw a given image, and what changes when the code then changes.

Suffixes: B batch, K candidates, C entries of the code or channels, F factors, Z latent, L styled layers, W style
vector, H x W pixels.
"""

from __future__ import annotations

import dataclasses
import math
import operator
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.files import atomic_path
from semistylegan.models.checkpoint import Networks

OnProgress = Callable[[int, int], None]
"""on_progress(steps done, steps in all)"""

CANDIDATES = 96
"""Random starts that are looked at once."""
KEPT = 4
"""Best starts that are optimised."""
FIRST_PART = 0.6
"""Part of the steps that searches z and code; the rest refines the styles of each layer."""
OFFSET_WEIGHT = 0.3
"""Weight of the size of the offset, measured in spreads of w: enough for detail, too little to do the code's work."""
UNCHANGED = 0.02
"""Pixels that an edit moves by less (images span [-1, 1]) keep what G could not reproduce of the image."""


@dataclass(frozen=True)
class Found:
    """What an inversion found. G.synthesis(mapping(z, code) + offset) is close to the image."""

    z_1Z: Tensor
    level_1F: Tensor
    """The code, as levels."""
    offset_1LW: Tensor
    """What each layer's style needs beyond mapping(z, code)."""
    rest_1CHW: Tensor
    """image - reconstruction."""

    @property
    def error(self) -> float:
        """Mean absolute difference between image and reconstruction, in parts of the pixel range (0 to 1)."""
        return float(self.rest_1CHW.abs().mean()) / 2

    def save(self, file: Path) -> None:
        """Writes it, whole or not at all."""
        tensors = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        with atomic_path(file) as temporary:
            save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, temporary)

    @classmethod
    def load(cls, file: Path, device: torch.device) -> Found | None:
        """What :meth:`save` wrote; None where it is missing or damaged."""
        try:
            tensors = load_file(file)
            return cls(**{name: tensor.to(device) for name, tensor in tensors.items()})
        except (OSError, TypeError, ValueError, SafetensorError):
            return None


@torch.inference_mode(False)  # with gradients, wherever it is called
def invert(
    networks: Networks, img_1CHW: Tensor, steps: int = 200, seed: int = 0, on_progress: OnProgress | None = None
) -> Found:
    """Finds z, code and per-layer styles that reproduce an image.

    First the code starts from what E reads (with other classes and small changes among the candidates), z from random
    draws; the best few are optimised together. Then the best one gets an offset of its own for every layer's style
    (the extended space W+ of Abdal et al. 2019), held small so that the code still rules.

    Args:
        img_1CHW: float image in [-1, 1], on the device of the networks.
        steps: updates in all. 0 takes the best candidate as it is.
        seed: fixes the random starts.
        on_progress: hears of every step.

    Raises:
        UserError: a seed that is none.
    """
    assert img_1CHW.shape[0] == 1, img_1CHW.shape
    img_1CHW = img_1CHW.clone()  # what was made in inference mode has no gradients
    tell = on_progress or (lambda done, total: None)
    distance = _Distance(networks, img_1CHW)
    z_KZ, code_KC = _starts(networks, img_1CHW, distance, seed)
    first = round(steps * FIRST_PART)
    z_1Z, level_1F = _search(networks, distance, z_KZ, code_KC, first, lambda done: tell(done, steps))
    offset_1LW = _refine(networks, distance, z_1Z, level_1F, steps - first, lambda done: tell(first + done, steps))
    with torch.no_grad():
        w_1W = networks.G.mapping(z_1Z, networks.space.encode(level_1F))
        rest = img_1CHW - networks.G.synthesis(w_1W[:, None] + offset_1LW)
    return Found(z_1Z, level_1F, offset_1LW, rest)


@torch.no_grad()
def edited(networks: Networks, found: Found, level_1F: Tensor, strength: float = 1.0) -> Tensor:
    """The image with its code changed from the one found to `level_1F`; float 1 x C x H x W.

    z and the offsets stay: w = mapping(z, found) + strength (mapping(z, new) - mapping(z, found)) + offset. Where
    the change moves no pixel, what G could not reproduce of the image is carried over; strength 0 is the image itself.
    """
    mapping, synthesis, space = networks.G.mapping, networks.G.synthesis, networks.space
    before = mapping(found.z_1Z, space.encode(found.level_1F))
    after = mapping(found.z_1Z, space.encode(level_1F))
    w_2W = torch.cat([before, before + strength * (after - before)])
    reproduced, changed = synthesis(w_2W[:, None] + found.offset_1LW).split(1)
    return changed + _untouched(reproduced, changed) * found.rest_1CHW


@torch.no_grad()
def edited_in_one_pass(
    networks: Networks, img_BCHW: Tensor, level_BF: Tensor, set_BF: Tensor, strength: float = 1.0
) -> Tensor:
    """Edits of a model that starts from images (`models/fine.py`): the code that E reads, with the set factors changed.

    Args:
        img_BCHW: images in [-1, 1].
        level_BF: levels asked for, in the model's space; anything where a factor is not set.
        set_BF: bool, which factors are set.
        strength: 0 keeps E's reading, 1 sets the values; between and beyond, the styles are interpolated.
    """
    G, space = networks.G, networks.space
    own_BC = space.soften(networks.E(img_BCHW))
    wanted_BC = space.encode(level_BF.to(img_BCHW.device))
    widths = torch.tensor(space.widths, device=img_BCHW.device)
    set_BC = torch.repeat_interleave(set_BF.to(img_BCHW.device), widths, dim=1)
    no_z = img_BCHW.new_empty(len(img_BCHW), 0)
    before_BW = G.mapping(no_z, G.asking(own_BC, own_BC))
    after_BW = G.mapping(no_z, G.asking(torch.where(set_BC, wanted_BC, own_BC), own_BC))
    return G.synthesis(before_BW + strength * (after_BW - before_BW), img_BCHW)


def _untouched(before_1CHW: Tensor, after_1CHW: Tensor) -> Tensor:
    """1 where nothing changes nearby, 0 where something does, with a soft border; 1 x 1 x H x W."""
    moved = (after_1CHW - before_1CHW).abs().amax(dim=1, keepdim=True)
    reach = max(1, moved.shape[-1] // 32)
    near = F.max_pool2d(moved, 2 * reach + 1, stride=1, padding=reach)
    free = 1 - ((near - UNCHANGED) / (2 * UNCHANGED)).clamp(0, 1)
    return F.avg_pool2d(free, 2 * reach + 1, stride=1, padding=reach, count_include_pad=False) * (near < 4 * UNCHANGED)


class _Distance:
    """Pixels and E's features between images and one target: B x C x H x W -> B.

    The features are divided by their mean size in the target, so that every resolution counts alike (a perceptual
    distance in the model's own trunk instead of a downloaded one).
    """

    def __init__(self, networks: Networks, img_1CHW: Tensor) -> None:
        self.features = networks.E.trunk
        self.img_1CHW = img_1CHW
        with torch.no_grad():
            sizes = [(m, m.abs().mean() + 1e-6) for m in self.features(img_1CHW)]
        self.target, self.scale = [m / size for m, size in sizes], [1 / size for _, size in sizes]

    def __call__(self, img_BCHW: Tensor) -> Tensor:
        pixels = (img_BCHW - self.img_1CHW).abs().mean(dim=(1, 2, 3))
        maps = self.features(img_BCHW)
        seen = [
            (m * scale - target).abs().mean(dim=(1, 2, 3))
            for m, scale, target in zip(maps, self.scale, self.target, strict=True)
        ]
        return pixels + 0.3 * torch.stack(seen).mean(dim=0)


def seeded(seed: int) -> torch.Generator:
    """Random numbers from a user's seed.

    Raises:
        UserError: no whole number from 0 to 2^64 - 1.
    """
    try:
        whole = operator.index(seed)
    except TypeError:
        whole = -1
    if not 0 <= whole < 2**64:
        raise UserError(f"seed {seed}: give a whole number from 0 to 2^64 - 1")
    return torch.Generator().manual_seed(whole)


@torch.no_grad()
def _starts(networks: Networks, img_1CHW: Tensor, distance: _Distance, seed: int) -> tuple[Tensor, Tensor]:
    """The KEPT best of CANDIDATES random starts: z K x Z and codes K x C."""
    space, device = networks.space, img_1CHW.device
    chance = seeded(seed)
    z = torch.randn(CANDIDATES, networks.G.z_dim, generator=chance)
    read_1F = space.decode(networks.E(img_1CHW)).cpu()
    level = read_1F.repeat(CANDIDATES, 1)
    drawn = space.sample(CANDIDATES, chance)
    doubt = torch.rand(CANDIDATES, len(space), generator=chance)
    shake = 0.06 * torch.randn(CANDIDATES, len(space), generator=chance)
    for i, factor in enumerate(space):
        if factor.has_classes:
            other = drawn[:, i]
        elif factor.kind == "circular":
            other = (level[:, i] + shake[:, i]) % 1.0
        else:
            other = (level[:, i] + shake[:, i]).clamp(0, 1)
        # The first quarter takes E at its word; in the others every factor is doubted one time in three.
        doubted = (doubt[:, i] < 1 / 3) & (torch.arange(CANDIDATES) >= CANDIDATES // 4)
        level[:, i] = torch.where(doubted, other, level[:, i])
    z, code = z.to(device), space.encode(level.to(device))
    far = torch.cat([distance(networks.G(*part)) for part in zip(z.split(16), code.split(16), strict=True)])
    best = far.argsort()[:KEPT]
    return z[best], code[best]


def _search(
    networks: Networks, distance: _Distance, z_KZ: Tensor, code_KC: Tensor, steps: int, tell: Callable[[int], None]
) -> tuple[Tensor, Tensor]:
    """Optimises z and the numbers of the code (classes stay) of all candidates; the best one: 1 x Z, levels 1 x F."""
    space = networks.space
    z, code = z_KZ.clone().requires_grad_(), code_KC.clone().requires_grad_()
    optimiser = torch.optim.Adam([{"params": [z], "lr": 0.1}, {"params": [code], "lr": 0.02}], betas=(0.9, 0.99))
    rates = [group["lr"] for group in optimiser.param_groups]
    for step in range(steps):
        for group, rate in zip(optimiser.param_groups, rates, strict=True):
            group["lr"] = rate * _ramp(step, steps)
        far_K = distance(networks.G(z, code))
        optimiser.zero_grad()
        far_K.sum().backward()
        optimiser.step()
        with torch.no_grad():
            code.copy_(_onto(space, code, code_KC))
        tell(step + 1)
    with torch.no_grad():
        best = int(distance(networks.G(z, code)).argmin())
    return z[best : best + 1].detach(), space.decode(code[best : best + 1].detach())


def _refine(
    networks: Networks, distance: _Distance, z_1Z: Tensor, level_1F: Tensor, steps: int, tell: Callable[[int], None]
) -> Tensor:
    """Optimises an offset for the style of each layer, 1 x L x W; keeps the best one seen."""
    G = networks.G
    with torch.no_grad():
        w_1W = G.mapping(z_1Z, networks.space.encode(level_1F))
        # The spread of w over z and codes: what a step of "usual size" is.
        chance = torch.Generator().manual_seed(0)
        z = torch.randn(256, G.z_dim, generator=chance).to(w_1W.device)
        code = networks.space.encode(networks.space.sample(256, chance).to(w_1W.device))
        spread = float(G.mapping(z, code).std(dim=0).mean()) + 1e-6
    offset = w_1W.new_zeros(1, G.layers, w_1W.shape[1]).requires_grad_()
    best, least = offset.detach().clone(), math.inf
    optimiser = torch.optim.Adam([offset], lr=0.05 * spread, betas=(0.9, 0.99))
    for step in range(steps):
        optimiser.param_groups[0]["lr"] = 0.05 * spread * _ramp(step, steps)
        loss = distance(G.synthesis(w_1W[:, None] + offset)).sum() + OFFSET_WEIGHT * (offset / spread).square().mean()
        if (now := float(loss.detach())) < least:
            best, least = offset.detach().clone(), now
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        tell(step + 1)
    return best


def _ramp(step: int, steps: int) -> float:
    """Learning rate over the steps: up within the first tenth, down to zero by a cosine in the last half."""
    part = (step + 1) / (steps + 1)
    return min(part / 0.1, 1.0) * (0.5 - 0.5 * math.cos(math.pi * min(1.0, 2 * (1 - part))))


def _onto(space: FactorSpace, code_KC: Tensor, start_KC: Tensor) -> Tensor:
    """The nearest codes that a level can have: scalars in [0, 1], angles of radius 1/2, classes as at the start."""
    parts = []
    for factor, where in zip(space, space.slices, strict=True):
        part = code_KC[:, where]
        if factor.has_classes:
            part = start_KC[:, where]
        elif factor.kind == "circular":
            part = 0.5 * F.normalize(part, dim=1)
        else:
            part = part.clamp(0, 1)
        parts.append(part)
    return torch.cat(parts, dim=1) if parts else code_KC
