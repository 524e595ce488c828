"""The generator of Semi-StyleGAN-fine: image in, image out (Nie et al. 2020).

What is coarse comes from the input image, what is fine from the code. The synthesis starts not from a constant but from
the image, averaged down to `seen` pixels a side and brought down to `coarse` by convolutions; the layers from there on
are styled by the fine factors' code alone. With `seen` over `coarse` the maps of the way down stand beside those of the
way up (as in a U-Net, Ronneberger et al. 2015); with `seen` = `coarse` the input block is the paper's. With `blend` G
draws a factor on the input's pixels and what is added to them: to keep a pixel, or to light it, is then a constant.
(GANimation, Pumarola et al. 2018, has a mask between 0 and 1 there; ours closed for good: docs/results/editing.md.)
With `knows_source` the code of the input stands beside the code asked for, so that what has to change is known before
the image is looked at (STGAN, Liu et al. 2019, gives the difference of the two).

Suffixes: B batch, C code or channels, L styled layers, W style vector, H x W pixels.
"""

from __future__ import annotations

import dataclasses

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from semistylegan.models.config import ModelConfig
from semistylegan.models.generator import Generator
from semistylegan.models.layers import RELU_GAIN, Conv, FromImage
from semistylegan.models.mapping import Mapping
from semistylegan.models.pooling import activate_and_pool
from semistylegan.models.stylegan2 import Block


class FineGenerator(Generator):
    """G(x, c): the image x with its fine factors as the code says."""

    starts_from_image = True

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        assert config.z_dim == 0 and 4 <= config.coarse <= config.seen <= config.resolution, config
        codes = 2 if config.knows_source else 1
        self.z_dim, self.w_dim, self.code_width = 0, config.w_dim, codes * config.code_width
        self.seen, self.blend, self.knows_source = config.seen, config.blend, config.knows_source
        drawn = dataclasses.replace(config, channels=config.channels + config.blend)
        self.mapping = Mapping(dataclasses.replace(config, code_width=self.code_width))
        self.from_image = FromImage(config.channels, config.width(config.seen))
        on_the_way = [r for r in config.resolutions[::-1] if config.coarse < r <= config.seen]
        self.down = nn.ModuleList(Conv(config.width(r), config.width(r // 2), 3, RELU_GAIN) for r in on_the_way)
        self.blocks = nn.ModuleList()
        before = config.width(config.coarse)
        for resolution in (r for r in config.resolutions if r >= config.coarse):
            self.blocks.append(Block(before, drawn.width(resolution), drawn, first=resolution == config.coarse))
            before = config.width(resolution)
        self.layers = 3 * len(self.blocks) - 1

    def synthesis(self, w: Tensor, img_BCHW: Tensor | None = None) -> Tensor:
        """Edited images from styles and the images to be edited."""
        assert img_BCHW is not None
        maps = self.content(img_BCHW)
        x, styles = maps.pop(), iter(self.styles(w).unbind(dim=1))
        image: Tensor | None = None
        for block in self.blocks:
            beside = maps.pop() if image is not None and maps else None
            x, image = block(x, image, styles, beside)
        assert image is not None
        if self.blend:
            return torch.addcmul(image[:, :-1], image[:, -1:], img_BCHW)
        return image

    def content(self, img_BCHW: Tensor) -> list[Tensor]:
        """What G keeps of the image: maps from `seen` pixels a side down to `coarse`."""
        small = F.avg_pool2d(img_BCHW, img_BCHW.shape[-1] // self.seen)
        maps = [self.from_image(small.contiguous(memory_format=torch.channels_last))]
        for conv in self.down:
            maps.append(activate_and_pool(conv(maps[-1])))
        return maps
