"""The default backbone: modulated convolutions and a skip generator (Karras et al. 2020), without noise inputs.

Suffixes: B batch, Z latent, C code or feature maps, L styled layers, W style vector, H x W pixels.
"""

from __future__ import annotations

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
        self.layers = sum(block.layers for block in self._blocks())

    def _blocks(self) -> list[Block]:
        return [block for block in self.blocks if isinstance(block, Block)]

    def synthesis(self, w: Tensor, img_BCHW: Tensor | None = None) -> Tensor:
        w_BLW = self.styles(w)
        x = self.const.expand(w_BLW.shape[0], -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image: Tensor | None = None
        layer = 0
        for block in self._blocks():
            x, image = block(x, image, w_BLW[:, layer : layer + block.layers])
            layer += block.layers
        assert image is not None
        return image


class Block(nn.Module):
    """One resolution: up, two styled convolutions (one at 4x4), and what it adds to the image."""

    def __init__(self, inputs: int, outputs: int, config: ModelConfig, first: bool) -> None:
        super().__init__()
        self.up = None if first else ModulatedConv(inputs, outputs, config.w_dim, RELU_GAIN)
        self.conv = ModulatedConv(outputs, outputs, config.w_dim, RELU_GAIN)
        self.to_image = ToImage(outputs, config.channels, config.w_dim)
        self.layers = 2 if first else 3

    def forward(
        self, x: Tensor, image: Tensor | None, w_BLW: Tensor, beside: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The maps and the image so far -> both at this resolution. `beside` is added to the maps."""
        styles = list(w_BLW.unbind(dim=1))
        if self.up is not None:
            x = activate(self.up(x, styles.pop(0), up=True))
        if beside is not None:
            x = x + beside
        x = activate(self.conv(x, styles[0]))
        here = self.to_image(x, styles[1])
        return x, here if image is None else upsample(image) + here
