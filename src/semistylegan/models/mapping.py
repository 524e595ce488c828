"""The mapping network f(z, c) -> w."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semistylegan.models.config import ModelConfig
from semistylegan.models.layers import RELU_GAIN, Linear, activate, pixel_norm


class Mapping(nn.Module):
    """z, normalised, beside a learned linear map of the code, then fully connected layers (Karras et al. 2019).

    What the map gives is normalised, too, and its bias begins at 0: of scalar factors alone, codes that are positive
    multiples of each other give the same w at first. The bias learns to tell them apart.
    """

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.embed = Linear(config.code_width, config.code_dim) if config.code_width else None
        inputs = config.z_dim + (config.code_dim if self.embed else 0)
        widths = [inputs] + [config.w_dim] * config.mapping_layers
        self.layers = nn.ModuleList(
            Linear(i, o, RELU_GAIN, lr=config.mapping_lr) for i, o in zip(widths, widths[1:], strict=False)
        )

    def forward(self, z_BZ: Tensor, code_BC: Tensor) -> Tensor:
        """Returns w, B x w_dim."""
        parts = [pixel_norm(z_BZ)] if z_BZ.shape[1] else []
        if self.embed is not None:
            parts.append(pixel_norm(self.embed(code_BC)))
        x = torch.cat(parts, dim=1)
        for layer in self.layers:
            x = activate(layer(x))
        return x
