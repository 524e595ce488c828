"""The default backbone: modulated convolutions and a skip generator (Karras et al. 2020), without noise inputs.

Suffixes: B batch, Z latent, C code or feature maps, L styled layers, W style vector, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semistylegan.models.config import ModelConfig
from semistylegan.models.layers import RELU_GAIN, ModulatedConv, activate, upsample
from semistylegan.models.mapping import Mapping


class Generator(nn.Module):
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

    def forward(self, z_BZ: Tensor, code_BC: Tensor) -> Tensor:
        """Images B x C x H x W, about [-1, 1] (not clamped)."""
        return self.synthesis(self.mapping(z_BZ, code_BC))

    def synthesis(self, w: Tensor) -> Tensor:
        """Images from styles: one w for all layers (B x W), or one a layer (B x L x W)."""
        w_BLW = w[:, None].expand(-1, self.layers, -1) if w.dim() == 2 else w
        x = self.const.expand(len(w_BLW), -1, -1, -1).contiguous(memory_format=torch.channels_last)
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
        self.up = None if first else ModulatedConv(inputs, outputs, 3, config.w_dim, RELU_GAIN)
        self.conv = ModulatedConv(outputs, outputs, 3, config.w_dim, RELU_GAIN)
        self.to_image = ModulatedConv(outputs, config.channels, 1, config.w_dim, demodulate=False)
        self.layers = 2 if first else 3

    def forward(self, x: Tensor, image: Tensor | None, w_BLW: Tensor) -> tuple[Tensor, Tensor]:
        styles = list(w_BLW.unbind(dim=1))
        if self.up is not None:
            x = activate(self.up(x, styles.pop(0), up=True))
        x = activate(self.conv(x, styles[0]))
        here = self.to_image(x, styles[1])
        return x, here if image is None else upsample(image) + here
