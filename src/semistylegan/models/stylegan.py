"""The paper's backbone: AdaIN, a learned constant and progressive growing (Karras et al. 2018, 2019), without noise.

The networks always take and give images of the full resolution. While they grow, G draws at a smaller one and repeats
its pixels, and the trunk averages its input down to it, so that nothing outside has to know. How far they have grown is
one number, kept with the weights: 3 means 8x8, 3.4 that 16x16 is faded in by 0.4, 4 means 16x16.

Suffixes: B batch, C channels, L styled layers, W style vector, H x W pixels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semistylegan.models.config import ModelConfig
from semistylegan.models.generator import Generator
from semistylegan.models.layers import RELU_GAIN, Conv, FromImage, Linear, activate
from semistylegan.models.mapping import Mapping
from semistylegan.models.pooling import activate_and_pool

FIRST = 8
"""Pixels a side from which the networks grow."""


class Growing(nn.Module):
    """A network that grows: keeps how far, as a number of doublings from one pixel on."""

    grown: Tensor

    def __init__(self, resolution: int) -> None:
        super().__init__()
        self.register_buffer("grown", torch.tensor(math.log2(resolution)))

    def grow_to(self, doublings: float) -> None:
        """Sets how far; see the head of the file."""
        self.grown.fill_(doublings)

    @property
    def stage(self) -> tuple[int, float]:
        """Pixels a side of the largest block in use, and how far it is faded in, over 0 and up to 1."""
        doublings = float(self.grown)
        whole = math.ceil(doublings - 1e-6)
        return 2**whole, 1.0 - (whole - doublings)


def grow(networks: Sequence[nn.Module], doublings: float) -> None:
    """Sets how far every growing part of these networks has grown."""
    for network in networks:
        for part in network.modules():
            if isinstance(part, Growing):
                part.grow_to(doublings)


def as_grown(img_BCHW: Tensor, resolution: int, share: float) -> Tensor:
    """Real images with the detail that the networks know: averaged down to `resolution`, faded in by `share`."""
    small = F.avg_pool2d(img_BCHW, img_BCHW.shape[-1] // resolution)
    if share < 1:
        small = torch.lerp(repeat(F.avg_pool2d(small, 2), 2), small, share)
    return repeat(small, img_BCHW.shape[-1] // resolution)


def repeat(x_BCHW: Tensor, times: int) -> Tensor:
    """Every pixel `times` by `times` times."""
    return x_BCHW if times == 1 else F.interpolate(x_BCHW, scale_factor=float(times), mode="nearest")


def blur(x_BCHW: Tensor) -> Tensor:
    """The binomial filter 1-2-1 along both axes, pixels beyond the border counting as zero."""
    # 1/4, 1/2, 1/4, made where they are used: a GPU's host would wait for all before it to hand them over.
    row = 0.5 - 0.25 * torch.arange(-1, 2, device=x_BCHW.device, dtype=x_BCHW.dtype).abs()
    kernel = (row[:, None] * row).expand(x_BCHW.shape[1], 1, 3, 3)
    return F.conv2d(x_BCHW, kernel, padding=1, groups=x_BCHW.shape[1])


class AdaIN(nn.Module):
    """Each map brought to mean 0 and variance 1, then scaled and shifted by the style (Huang and Belongie 2017)."""

    def __init__(self, width: int, w_dim: int) -> None:
        super().__init__()
        self.style = Linear(w_dim, 2 * width)

    def forward(self, x_BCHW: Tensor, w_BW: Tensor) -> Tensor:
        scale_BC, shift_BC = self.style(w_BW).to(x_BCHW.dtype).chunk(2, dim=1)
        return F.instance_norm(x_BCHW, eps=1e-8) * (1 + scale_BC[:, :, None, None]) + shift_BC[:, :, None, None]


class StyleGAN(Growing, Generator):
    """G(z, c) of the paper."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.resolution)
        self.z_dim, self.w_dim, self.code_width = config.z_dim, config.w_dim, config.code_width
        self.resolutions = config.resolutions
        self.mapping = Mapping(config)
        self.const = nn.Parameter(torch.ones(1, config.width(4), 4, 4))
        self.blocks, self.to_image = nn.ModuleList(), nn.ModuleList()
        before = config.width(4)
        for resolution in config.resolutions:
            width = config.width(resolution)
            self.blocks.append(Block(before, width, config.w_dim, first=resolution == 4))
            self.to_image.append(Conv(width, config.channels, 1))
            before = width
        self.layers = 2 * len(self.blocks)

    def synthesis(self, w: Tensor, img_BCHW: Tensor | None = None) -> Tensor:
        w_BLW = self.styles(w)
        resolution, share = self.stage
        last = self.resolutions.index(resolution)
        x = self.const.expand(w_BLW.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        before = x
        for i in range(last + 1):
            before, x = x, self.blocks[i](x, w_BLW[:, 2 * i : 2 * i + 2])
        image: Tensor = self.to_image[last](x)
        if share < 1:
            image = torch.lerp(repeat(self.to_image[last - 1](before), 2), image, share)
        return repeat(image, self.resolutions[-1] // resolution)


class Block(nn.Module):
    """One resolution: two convolutions with AdaIN; the first one doubles the resolution and blurs (not at 4x4)."""

    def __init__(self, inputs: int, outputs: int, w_dim: int, first: bool) -> None:
        super().__init__()
        self.up = None if first else Conv(inputs, outputs, 3, RELU_GAIN)
        self.conv = Conv(outputs, outputs, 3, RELU_GAIN)
        self.adain = nn.ModuleList([AdaIN(outputs, w_dim), AdaIN(outputs, w_dim)])

    def forward(self, x: Tensor, w_B2W: Tensor) -> Tensor:
        if self.up is not None:
            x = activate(blur(self.up(repeat(x, 2))))
        x = self.adain[0](x, w_B2W[:, 0])
        out: Tensor = self.adain[1](activate(self.conv(x)), w_B2W[:, 1])
        return out


class GrowingTrunk(Growing):
    """The trunk of D and E, which grows along: from the image down to 4x4, blurred before it is pooled."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__(config.resolution)
        self.resolutions, self.width_at_16 = config.resolutions, config.width(2 * FIRST)
        self.from_image = nn.ModuleList(FromImage(config.channels, config.width(r)) for r in self.resolutions)
        self.conv = nn.ModuleList(Conv(config.width(r), config.width(r), 3, RELU_GAIN) for r in self.resolutions[1:])
        self.down = nn.ModuleList(
            Conv(config.width(r), config.width(r // 2), 3, RELU_GAIN) for r in self.resolutions[1:]
        )

    def forward(self, img_BCHW: Tensor) -> list[Tensor]:
        """The feature maps from the image's own resolution (or what is grown of it) down to 4x4. The largest one counts
        as far as it is faded in, and at 8x8 one of nothing stands for 16x16, which the head of E may look at."""
        resolution, share = self.stage
        last = self.resolutions.index(resolution)
        img = F.avg_pool2d(img_BCHW, img_BCHW.shape[-1] // resolution).contiguous(memory_format=torch.channels_last)
        maps = [self.from_image[last](img)]
        for i in range(last, 0, -1):
            x = blur(activate(self.conv[i - 1](maps[-1])))
            x = activate_and_pool(self.down[i - 1](x))
            if i == last and share < 1:
                x = torch.lerp(self.from_image[last - 1](F.avg_pool2d(img, 2)), x, share)
            maps.append(x)
        if share < 1:
            maps[0] = share * maps[0]
        if resolution == FIRST and 2 * FIRST in self.resolutions:
            maps.insert(0, maps[0].new_zeros(img.shape[0], self.width_at_16, 2 * FIRST, 2 * FIRST))
        return maps
