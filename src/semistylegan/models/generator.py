"""What every generator offers, whatever it is made of.

Suffixes: B batch, Z latent, C code or channels, L styled layers, W style vector, H x W pixels.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semistylegan.models.mapping import Mapping


class Generator(nn.Module):
    """G(start, c): an image whose factors are what the code says. It starts from z, or from an image to be edited."""

    starts_from_image = False
    """Whether `start` is an image (B x C x H x W, in [-1, 1]) instead of z (B x z_dim)."""
    knows_source = False
    """Whether the code has two halves: what is asked for, and what the image that G starts from has."""
    z_dim: int
    """Length of z; 0 where G starts from an image."""
    w_dim: int
    code_width: int
    layers: int
    """Layers that have a style of their own."""
    mapping: Mapping
    """(z, code) -> w."""

    def forward(self, start: Tensor, code_BC: Tensor) -> Tensor:
        """Images B x C x H x W, about [-1, 1] (not clamped)."""
        if self.starts_from_image:
            return self.synthesis(self.mapping(start.new_empty(start.shape[0], 0), code_BC), start)
        return self.synthesis(self.mapping(start, code_BC))

    def asking(self, code_BC: Tensor, source_BC: Tensor | None) -> Tensor:
        """The code as G takes it: that asked for, beside the source's where G is told that too."""
        if not self.knows_source:
            return code_BC
        assert source_BC is not None
        return torch.cat([code_BC, source_BC], dim=1)

    def synthesis(self, w: Tensor, img_BCHW: Tensor | None = None) -> Tensor:
        """Images from styles: one w for all layers (B x W), or one a layer (B x L x W).

        Args:
            img_BCHW: the image that G starts from, where it does.
        """
        raise NotImplementedError

    def styles(self, w: Tensor) -> Tensor:
        """w B x W or B x L x W -> B x L x W."""
        return w[:, None].expand(-1, self.layers, -1) if w.dim() == 2 else w
