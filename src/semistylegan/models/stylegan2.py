"""The default backbone: modulated convolutions and a skip generator (Karras et al. 2020), without noise inputs.

Suffixes: B batch, Z latent, C code or feature maps, L styled layers, W style vector, H x W pixels.
"""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from semistylegan.models.config import ModelConfig
from semistylegan.models.generator import Generator
from semistylegan.models.layers import RELU_GAIN, ModulatedConv, ToImage, activate, upsample
from semistylegan.models.mapping import Mapping


class StyleGAN2(Generator):
    """G(z, c): an image whose factors are what the code says."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.z_dim, self.w_dim, self.code_width = config.z_dim, config.w_dim, config.code_width
        self.mapping = Mapping(config)
        self.const = nn.Parameter(torch.randn(1, config.width(4), 4, 4))
        self.blocks = nn.ModuleList()
        before = config.width(4)
        for resolution in config.resolutions:
            self.blocks.append(Block(before, config.width(resolution), config, first=resolution == 4))
            before = config.width(resolution)
        self.layers = 3 * len(self.blocks) - 1

    def synthesis(self, w: Tensor, img_BCHW: Tensor | None = None) -> Tensor:
        x = self.const.expand(w.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        styles = iter(self.styles(w).unbind(dim=1))
        image: Tensor | None = None
        for block in self.blocks:
            x, image = block(x, image, styles)
        assert image is not None
        return image


class Block(nn.Module):
    """One resolution: up, two styled convolutions (one at 4x4), and what it adds to the image."""

    def __init__(self, inputs: int, outputs: int, config: ModelConfig, first: bool) -> None:
        super().__init__()
        self.up = None if first else ModulatedConv(inputs, outputs, config.w_dim, RELU_GAIN)
        self.conv = ModulatedConv(outputs, outputs, config.w_dim, RELU_GAIN)
        self.to_image = ToImage(outputs, config.channels, config.w_dim)

    def forward(
        self, x: Tensor, image: Tensor | None, styles: Iterator[Tensor], beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The maps and the image so far -> both at this resolution. Takes its styles, B x W each, three (two at first),
        from those that are left. `beside` is added to the maps."""
        if self.up is not None:
            x = activate(self.up(x, next(styles), up=True))
        if beside is not None:
            x = x + beside
        x = activate(self.conv(x, next(styles)))
        here = self.to_image(x, next(styles))
        return x, here if image is None else upsample(image) + here
