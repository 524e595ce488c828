"""The discriminator D and the encoder E: the same residual trunk, as one network with two heads or as two networks.

Suffixes: B batch, C feature maps or code, H x W pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from semistylegan.models.config import ModelConfig
from semistylegan.models.layers import (
    RELU_GAIN,
    Conv,
    FromImage,
    Linear,
    activate,
    expected_position,
    minibatch_deviation,
)
from semistylegan.models.pooling import activate_and_pool, also_pooled


class Trunk(nn.Module):
    """Residual convolutions from the image down to 4x4 (Karras et al. 2020)."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        down = config.resolutions[::-1]
        self.from_image = FromImage(config.channels, config.width(down[0]))
        self.blocks = nn.ModuleList(Down(config.width(r), config.width(r // 2)) for r in down[:-1])

    def forward(self, img_BCHW: Tensor) -> list[Tensor]:
        """The feature maps after each block, the last 4x4."""
        x = self.from_image(img_BCHW.contiguous(memory_format=torch.channels_last))
        maps = []
        for block in self.blocks:
            x = block(x)
            maps.append(x)
        return maps


class Down(nn.Module):
    """Half the resolution: pooled before the second convolution, which costs a quarter.

    The sum of both branches is divided by sqrt(2) to keep the variance; the gains of their last layers contain that.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = Conv(inputs, inputs, 3, RELU_GAIN)
        self.down = Conv(inputs, outputs, 3, RELU_GAIN * math.sqrt(0.5))
        self.skip = Conv(inputs, outputs, 1, math.sqrt(0.5))

    def forward(self, x: Tensor) -> Tensor:
        x, pooled = also_pooled(x)
        return activate(self.down(activate_and_pool(self.conv(x)))) + self.skip(pooled)


class Discriminator(nn.Module):
    """D(x): one logit an image, larger for real ones. Only its head looks at the rest of the batch."""

    def __init__(self, config: ModelConfig, trunk: nn.Module) -> None:
        super().__init__()
        width = config.width(4)
        self.trunk = trunk
        self.conv = Conv(width + 1, width, 3, RELU_GAIN)
        self.hidden = Linear(width * 16, width, RELU_GAIN)
        self.out = Linear(width, 1)

    def forward(self, img_BCHW: Tensor) -> Tensor:
        """Logits, B."""
        return self.logit(self.trunk(img_BCHW)[-1])

    def logit(self, x_BC44: Tensor) -> Tensor:
        x = activate(self.conv(minibatch_deviation(x_BC44)))
        return self.out(activate(self.hidden(x.flatten(1))))[:, 0]


class Head(nn.Module):
    """A factor code from the maps of a trunk.

    It sees what is in the image apart from where it is: mean and maximum over pixels of the last maps, and the places
    where the maps of the 8x8 block are large. A head on the flattened map would have to learn each shape anew for each
    place, from a few labels. From 64 px on images are scenes with small things in them: there it also sees the maxima
    of the 16x16 and 8x8 maps (docs/results/editing.md has what they bring).
    """

    def __init__(self, config: ModelConfig, trunk: nn.Module | None = None) -> None:
        super().__init__()
        if trunk is not None:  # the first of E's weights: optimisers and their checkpoints keep them in this order
            self.trunk = trunk
        width, before = config.width(4), config.width(8)
        self.conv = Conv(width, width, 3, RELU_GAIN)
        self.small_things = config.resolution >= 64
        maxima = before + config.width(16) if self.small_things else 0
        self.hidden = Linear(2 * width + 2 * before + maxima, 2 * width, RELU_GAIN)
        self.out = Linear(2 * width, config.code_width)

    def code(self, maps: list[Tensor]) -> Tensor:
        """Codes, B x C, from the trunk's maps, whose last three are 16x16, 8x8 and 4x4."""
        what = activate(self.conv(maps[-1]))
        seen = [what.mean(dim=(2, 3)), what.amax(dim=(2, 3)), expected_position(maps[-2])]
        if self.small_things:
            seen += [m.amax(dim=(2, 3)) for m in maps[-3:-1]]
        return self.out(activate(self.hidden(torch.cat(seen, dim=1))))


class Encoder(Head):
    """E(x): the factor code of one image, linear and unbounded, whatever else is in the batch.

    With `config.second_head` it reads a second time, for G to be read by: this head doubts what G draws, so that E's
    own reading does not have to (docs/results/kitchen.md).
    """

    def __init__(self, config: ModelConfig, trunk: nn.Module) -> None:
        super().__init__(config, trunk)
        self.second = Head(config) if config.second_head else None

    def forward(self, img_BCHW: Tensor) -> Tensor:
        """Codes as E says them, B x C; `FactorSpace.decode` turns them into levels."""
        return self.code(self.trunk(img_BCHW))

    def codes(self, maps: list[Tensor]) -> list[Tensor]:
        """What each head says: E's reading first, the one that G is read by last (the same where there is one head)."""
        return [head.code(maps) for head in (self, self.second) if head is not None]
