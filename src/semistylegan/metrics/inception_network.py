"""The Inception-v3 network of 2015 whose features FID compares (Szegedy et al. 2016), up to its last pooling.

Not quite the network of the paper: as TensorFlow's, average pools leave the padding out of the mean, and the last block
pools by the maximum where the others average. Modules bear the names of torchvision's, as do the weights that the FID
packages for PyTorch load.

Suffixes: B images, C feature maps, H x W pixels.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

SIDE, FEATURES = 299, 2048


class Conv(nn.Module):
    """Convolution, batch normalisation by the weights' statistics, ReLU.

    Args:
        before, after: feature maps.
        kernel: pixels of the kernel, of both sides or of height and width.
        stride: of the convolution. Above 1 there is no padding.
        same: padded so that the maps keep their size.
    """

    def __init__(
        self, before: int, after: int, kernel: int | tuple[int, int] = 1, stride: int = 1, same: bool = True
    ) -> None:
        super().__init__()
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        padding = (sides[0] // 2, sides[1] // 2) if same and stride == 1 else (0, 0)
        self.conv = nn.Conv2d(before, after, sides, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(after, eps=1e-3)

    def forward(self, x_BCHW: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x_BCHW)))


def average(x_BCHW: Tensor) -> Tensor:
    """Means of 3x3 pixels; at the rim, of those that there are."""
    return F.avg_pool2d(x_BCHW, 3, stride=1, padding=1, count_include_pad=False)


class BlockA(nn.Module):
    """35 x 35 maps."""

    def __init__(self, before: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(before, 64)
        self.branch5x5_1, self.branch5x5_2 = Conv(before, 48), Conv(48, 64, 5)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(before, 64), Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3)
        self.branch_pool = Conv(before, pooled)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(average(x))], dim=1)


class BlockB(nn.Module):
    """35 x 35 -> 17 x 17 maps."""

    def __init__(self, before: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(before, 384, 3, stride=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(before, 64), Conv(64, 96, 3)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), three, F.max_pool2d(x, 3, stride=2)], dim=1)


class BlockC(nn.Module):
    """17 x 17 maps."""

    def __init__(self, between: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(768, 192)
        self.branch7x7_1, self.branch7x7_2 = Conv(768, between), Conv(between, between, (1, 7))
        self.branch7x7_3 = Conv(between, 192, (7, 1))
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Conv(768, between), Conv(between, between, (7, 1))
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Conv(between, between, (1, 7)), Conv(between, between, (7, 1))
        self.branch7x7dbl_5 = Conv(between, 192, (1, 7))
        self.branch_pool = Conv(768, 192)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        twice = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        twice = self.branch7x7dbl_5(self.branch7x7dbl_4(twice))
        return torch.cat([self.branch1x1(x), seven, twice, self.branch_pool(average(x))], dim=1)


class BlockD(nn.Module):
    """17 x 17 -> 8 x 8 maps."""

    def __init__(self) -> None:
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(768, 192), Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1, self.branch7x7x3_2 = Conv(768, 192), Conv(192, 192, (1, 7))
        self.branch7x7x3_3, self.branch7x7x3_4 = Conv(192, 192, (7, 1)), Conv(192, 192, 3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        three = self.branch3x3_2(self.branch3x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x))))
        return torch.cat([three, seven, F.max_pool2d(x, 3, stride=2)], dim=1)


class BlockE(nn.Module):
    """8 x 8 maps. The last of the two pools by the maximum."""

    def __init__(self, before: int, last: bool) -> None:
        super().__init__()
        self.last = last
        self.branch1x1 = Conv(before, 320)
        self.branch3x3_1 = Conv(before, 384)
        self.branch3x3_2a, self.branch3x3_2b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(before, 448), Conv(448, 384, 3)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Conv(384, 384, (1, 3)), Conv(384, 384, (3, 1))
        self.branch_pool = Conv(before, 192)

    def forward(self, x: Tensor) -> Tensor:
        one, two = self.branch3x3_1(x), self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        pooled = F.max_pool2d(x, 3, stride=1, padding=1) if self.last else average(x)
        parts = [self.branch1x1(x), self.branch3x3_2a(one), self.branch3x3_2b(one)]
        parts += [self.branch3x3dbl_3a(two), self.branch3x3dbl_3b(two), self.branch_pool(pooled)]
        return torch.cat(parts, dim=1)


class InceptionNetwork(nn.Sequential):
    """Images B x 3 x 299 x 299 in [-1, 1] -> features B x 2048."""

    def __init__(self) -> None:
        super().__init__()
        parts: dict[str, nn.Module] = {
            "Conv2d_1a_3x3": Conv(3, 32, 3, stride=2),
            "Conv2d_2a_3x3": Conv(32, 32, 3, same=False),
            "Conv2d_2b_3x3": Conv(32, 64, 3),
            "maxpool1": nn.MaxPool2d(3, stride=2),
            "Conv2d_3b_1x1": Conv(64, 80),
            "Conv2d_4a_3x3": Conv(80, 192, 3, same=False),
            "maxpool2": nn.MaxPool2d(3, stride=2),
            "Mixed_5b": BlockA(192, 32),
            "Mixed_5c": BlockA(256, 64),
            "Mixed_5d": BlockA(288, 64),
            "Mixed_6a": BlockB(288),
            "Mixed_6b": BlockC(128),
            "Mixed_6c": BlockC(160),
            "Mixed_6d": BlockC(160),
            "Mixed_6e": BlockC(192),
            "Mixed_7a": BlockD(),
            "Mixed_7b": BlockE(1280, last=False),
            "Mixed_7c": BlockE(2048, last=True),
            "pool3": nn.AdaptiveAvgPool2d(1),
            "flat": nn.Flatten(),
        }
        for name, part in parts.items():
            self.add_module(name, part)
