"""The oracle's network, what it minimises, and how it is trained.

Suffixes: B images of a batch, C code, D features, F factors, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semistylegan import progress
from semistylegan.data.pictures import to_float
from semistylegan.factors import FactorSpace

Images = Callable[[npt.NDArray[np.integer[Any]]], Tensor]
"""Image numbers -> uint8 B x channels x H x W."""

SEED = 0
"""One oracle a data set: it is nothing to draw again until the scores please."""
BINS = 20
SHARPEST_LINE = 1e-6
"""Under the root of a circular factor's distance, so that it has a slope at zero."""


@dataclass(frozen=True)
class Plan:
    """Size and training of an oracle."""

    widths: tuple[int, ...]
    """Feature maps of each stage. A stage halves the resolution; the last one's maps are 2x2."""
    residual: int
    """Stages whose maps are at most this many pixels a side have a residual convolution as well; with any, all stages
    are normalised over the batch."""
    features: int
    """Length of the penultimate layer."""
    pooled: tuple[int, ...]
    """Pixels a side of the maps of which it also sees the maximum: what is there, wherever it is."""
    classes: float
    """Weight of a cross-entropy over each factor's values, besides the code's distance, while it trains. What the
    middle one of three values looks like may have nothing to do with the others; distance alone then stays there."""
    steps: int
    """Updates, of `batch` images each."""
    batch: int = 64
    learning_rate: float = 3e-3
    """Largest one: it rises linearly for 15% of the steps, then falls to zero as half a cosine."""
    noise: float = 0.15
    """Training images get Gaussian noise of a standard deviation drawn from 0 to this (images span [-1, 1])."""
    shading: float = 0.15
    """The same for smooth noise, of an eighth of the resolution: stains and shades."""
    blurred: float = 0.4
    """Part of each batch that a 1-2-1 filter blurs; it blurs the first third of it twice."""
    patched: float = 0.5
    """Part of the images of which a square of one colour hides a bit."""
    patch: float = 0.2
    """Side of that square, in parts of the image's."""


def plan_for(resolution: int, images: int) -> Plan:
    """The oracle for `images` labelled training images: small up to 32 px, wider, deeper and longer trained beyond.

    Larger images are scenes with small things in them. To tell what these are it also needs normalisation, the maxima
    of its maps, classes to tell apart and less disturbed images (docs/results/scenes.md: the kitchen's shapes).
    """
    sides = [2**k for k in range(resolution.bit_length() - 2, 0, -1)]
    if resolution <= 32:
        widths, passes = [{2: 96, 4: 72, 8: 48, 16: 24}[side] for side in sides], 6
    else:
        widths, passes = [{2: 160, 4: 128, 8: 96, 16: 64, 32: 32}.get(side, 16) for side in sides], 12
    seen = min(max(passes * images, 50_000), 100 * images, 500_000)
    batch = min(64, images)
    return Plan(
        widths=tuple(widths),
        residual=0 if resolution <= 32 else 16,
        features=128 if resolution <= 32 else 256,
        pooled=() if resolution <= 32 else (16, 8),
        classes=0.0 if resolution <= 32 else 0.25,
        steps=max(seen // batch, 1),
        batch=batch,
        learning_rate=3e-3 if resolution <= 32 else 2e-3,
        **({} if resolution <= 32 else {"noise": 0.08, "shading": 0.08, "blurred": 0.2, "patched": 0.3, "patch": 0.15}),
    )


class OracleNetwork(nn.Module):
    """Image -> features -> code. In eval mode, what it says of an image depends on no other image."""

    def __init__(self, channels: int, code_width: int, plan: Plan) -> None:
        super().__init__()
        self.down, self.norm, self.refine = nn.ModuleList(), nn.ModuleList(), nn.ModuleList()
        before, pooled = channels, 0
        for k, width in enumerate(plan.widths):
            kernel = 5 if k == 0 else 3
            self.down.append(nn.Conv2d(before, width, kernel, stride=2, padding=kernel // 2))
            side = 2 ** (len(plan.widths) - k)
            self.norm.append(nn.BatchNorm2d(width) if plan.residual else nn.Identity())
            refined = side <= plan.residual
            self.refine.append(nn.Conv2d(width, width, 3, padding=1) if refined else nn.Identity())
            if refined:
                nn.init.zeros_(self.refine[-1].weight)  # type: ignore[arg-type]
            before = width
            pooled += width if side in plan.pooled else 0
        self.pooled = plan.pooled
        self.hidden = nn.Linear(before * 4 + pooled, plan.features)
        self.out = nn.Linear(plan.features, code_width)

    def features(self, img_BCHW: Tensor) -> Tensor:
        """The penultimate layer, B x D, of images in [-1, 1]: what FD-oracle compares."""
        x = img_BCHW.contiguous(memory_format=torch.channels_last)
        seen = []
        for down, norm, refine in zip(self.down, self.norm, self.refine, strict=True):
            x = F.leaky_relu(norm(down(x)), 0.1)
            if not isinstance(refine, nn.Identity):
                x = x + F.leaky_relu(refine(x), 0.1)
            if x.shape[-1] in self.pooled:
                seen.append(x.amax(dim=(2, 3)))
        return F.leaky_relu(self.hidden(torch.cat([x.flatten(1), *seen], dim=1)), 0.1)

    def code(self, feature_BD: Tensor) -> Tensor:
        """Codes, B x C, of features; `FactorSpace.decode` turns them into levels."""
        out: Tensor = self.out(feature_BD)
        return out

    def forward(self, img_BCHW: Tensor) -> Tensor:
        """Codes, B x C, of images in [-1, 1]."""
        return self.code(self.features(img_BCHW))


def oracle_loss(said_BC: Tensor, level_BF: Tensor, known_BF: Tensor, space: FactorSpace) -> Tensor:
    """Sum over factors of the mean, over the images that know the factor, of how wrong the code is.

    scalar: |difference|; circular: distance of the points on the circle; categorical: half the cross-entropy.
    """
    code_BC = space.encode(level_BF)
    total = said_BC.new_zeros(())
    for i, (factor, where) in enumerate(zip(space, space.slices, strict=True)):
        known_B = known_BF[:, i]
        if not known_B.any():
            continue
        said, code = said_BC[known_B, where], code_BC[known_B, where]
        if factor.kind == "categorical":
            total = total + 0.5 * F.cross_entropy(said, code)
        elif factor.kind == "circular":
            total = total + ((said - code).square().sum(dim=1) + SHARPEST_LINE).sqrt().mean()
        else:
            total = total + (said - code).abs().mean()
    return total


def class_loss(said_BK: Tensor, level_BF: Tensor, known_BF: Tensor, space: FactorSpace) -> Tensor:
    """Sum over factors of the cross-entropy of their values (20 bins where any value may occur)."""
    index_BF = torch.from_numpy(space.indices_of_levels(level_BF.cpu().numpy(), BINS)).to(said_BK.device)
    parts = said_BK.split(classes_of(space), dim=1)
    terms = [
        F.cross_entropy(part[known_B], index_B[known_B])
        for part, index_B, known_B in zip(parts, index_BF.t(), known_BF.t(), strict=True)
        if known_B.any()
    ]
    return sum(terms, said_BK.new_zeros(()))


def classes_of(space: FactorSpace) -> list[int]:
    """Values that :func:`class_loss` tells apart, a factor."""
    return [factor.size or BINS for factor in space]


def fit(
    images: Images,
    rows_N: npt.NDArray[np.integer[Any]],
    level_NF: Tensor,
    known_NF: Tensor,
    space: FactorSpace,
    channels: int,
    plan: Plan,
    device: torch.device,
) -> OracleNetwork:
    """Trains an oracle with AdamW (Loshchilov and Hutter 2019) in one cycle of the learning rate.

    Args:
        images: gives the pictures of image numbers.
        rows_N: numbers of the images to learn from.
        level_NF, known_NF: their levels, and where these are known.
        space: the factors.
        channels: of the images.
        plan: how large and how long.
        device: where to compute.

    Returns:
        The network in eval mode, without gradients. The same arguments give the same weights on the same machine.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(SEED)
        network = OracleNetwork(channels, space.code_width, plan)
        teacher = nn.Linear(plan.features, sum(classes_of(space)))
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    trained = [*network.parameters(), *(teacher.to(device).parameters() if plan.classes else ())]
    decayed = [p for p in trained if p.dim() > 1]
    kept = [p for p in trained if p.dim() <= 1]
    groups = [{"params": decayed, "weight_decay": 0.01}, {"params": kept, "weight_decay": 0.0}]
    optimiser = torch.optim.AdamW(groups, lr=plan.learning_rate, fused=True)
    random, generator = np.random.default_rng(SEED), torch.Generator(device).manual_seed(SEED)
    order = np.zeros(0, dtype=np.int64)
    with progress.bar("training the oracle (evaluation only)", plan.steps) as advance:
        for step in range(plan.steps):
            if len(order) < plan.batch:
                order = np.concatenate([order, random.permutation(len(rows_N))])
            chosen, order = order[: plan.batch], order[plan.batch :]
            for group in optimiser.param_groups:
                group["lr"] = plan.learning_rate * one_cycle(step / plan.steps)
            img = disturbed(to_float(images(rows_N[chosen]).to(device)), plan, generator)
            pick = torch.from_numpy(chosen)
            level_BF, known_BF = level_NF[pick].to(device), known_NF[pick].to(device)
            feature_BD = network.features(img)
            loss = oracle_loss(network.code(feature_BD), level_BF, known_BF, space)
            if plan.classes:
                loss = loss + plan.classes * class_loss(teacher(feature_BD), level_BF, known_BF, space)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            nn.utils.clip_grad_norm_(trained, 10.0)
            optimiser.step()
            advance(1)
    return network.eval().requires_grad_(False)


def one_cycle(part: float, rise: float = 0.15) -> float:
    """The learning rate's share of its maximum at this part, 0 to 1, of the training (Smith and Topin 2019)."""
    if part < rise:
        return 0.04 + 0.96 * part / rise
    return 0.5 * (1 + math.cos(math.pi * (part - rise) / (1 - rise)))


def disturbed(img_BCHW: Tensor, plan: Plan, generator: torch.Generator) -> Tensor:
    """Images a little off, as generated ones are, with their labels unchanged: blurred, stained, patched, noisy.

    `generator` belongs to the images' device.

    Two oracles of equal error on real images may read generated ones differently. On sprites, G after 25 kimg, with
    mild noise and blur alone they differed in 17% of the shapes, and one saw twice the wrong shapes that the other saw;
    with all of this they differ in 10% and agree on how many are wrong.
    """
    count, channels, height, width = img_BCHW.shape
    device = img_BCHW.device

    def uniform(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator, device=device)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, device=device)

    def line(pixels: int) -> Tensor:
        return torch.linspace(0, 1, pixels, device=device)

    soft = int(count * plan.blurred)
    if soft >= 3:
        once = blur(img_BCHW[:soft])
        img_BCHW = torch.cat([blur(once[: soft // 3]), once[soft // 3 :], img_BCHW[soft:]])
    inside_BH = (line(height) - uniform(count, 1)).abs() < plan.patch / 2
    inside_BW = (line(width) - uniform(count, 1)).abs() < plan.patch / 2
    hidden_BHW = inside_BH[:, :, None] & inside_BW[:, None, :] & (uniform(count, 1, 1) < plan.patched)
    colour_BC = 0.5 * normal(count, channels)
    img_BCHW = torch.where(hidden_BHW[:, None], colour_BC[:, :, None, None], img_BCHW)
    coarse = normal(count, channels, max(height // 8, 2), max(width // 8, 2))
    stains = F.interpolate(coarse, size=(height, width), mode="bilinear", align_corners=False)
    img_BCHW = img_BCHW + plan.shading * uniform(count, 1, 1, 1) * stains
    return img_BCHW + plan.noise * uniform(count, 1, 1, 1) * normal(*img_BCHW.shape)


def blur(img_BCHW: Tensor) -> Tensor:
    """A 1-2-1 filter along both sides."""
    weight = torch.tensor([0.25, 0.5, 0.25], device=img_BCHW.device)
    kernel = (weight[:, None] * weight).expand(img_BCHW.shape[1], 1, 3, 3)
    return F.conv2d(F.pad(img_BCHW, (1, 1, 1, 1), mode="replicate"), kernel, groups=img_BCHW.shape[1])
