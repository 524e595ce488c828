"""Building blocks shared by G, D and E.

Suffixes: B batch, C feature maps, H x W pixels, I inputs, O outputs, W style vector.

Weights are stored with unit variance and scaled at run time by gain / sqrt(fan-in) ("equalised learning rate", Karras
et al. 2018), so that one learning rate of Adam fits every layer. The gain that keeps the variance through a leaky
ReLU, sqrt(2), is part of that scale: relu(g x) = g relu(x) for g > 0, and scaling weights is cheaper than scaling
images.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RELU_GAIN = math.sqrt(2.0)
"""The gain of a layer whose output goes through :func:`activate`."""


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU of slope 0.2, in place: `x` is the fresh output of a layer with gain sqrt(2)."""
    return F.leaky_relu_(x, 0.2)


def pixel_norm(x_BI: Tensor) -> Tensor:
    """Scales each row to mean square 1 (Karras et al. 2018)."""
    return x_BI * torch.rsqrt(x_BI.square().mean(dim=1, keepdim=True) + 1e-8)


def upsample(x_BCHW: Tensor) -> Tensor:
    """Twice the resolution, bilinear: the 1-3-3-1 filter of StyleGAN2 up to the border."""
    return F.interpolate(x_BCHW, scale_factor=2.0, mode="bilinear", align_corners=False)


class Linear(nn.Module):
    """Fully connected layer, equalised. `lr` multiplies its learning rate."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, lr: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) / lr)
        self.bias = nn.Parameter(torch.full((outputs,), bias / lr))
        self.weight_scale, self.bias_scale = gain * lr / math.sqrt(inputs), gain * lr

    def forward(self, x_BI: Tensor) -> Tensor:
        return F.linear(x_BI, self.weight * self.weight_scale, self.bias * self.bias_scale)


class Conv(nn.Module):
    """Convolution with stride 1 and zero padding, equalised, no activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.weight_scale, self.bias_scale = gain / math.sqrt(inputs * kernel * kernel), gain
        self.padding = kernel // 2

    def forward(self, x_BIHW: Tensor) -> Tensor:
        weight, bias = self.weight * self.weight_scale, self.bias * self.bias_scale
        return F.conv2d(x_BIHW, weight, bias, padding=self.padding)


class ModulatedConv(nn.Module):
    """Convolution whose input maps are scaled by the style (Karras et al. 2020, equations 1 to 3).

    Written as scale, plain convolution, demodulate: the same result as modulating the weights of each image, but one
    ordinary convolution for the whole batch.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int, w_dim: int, gain: float = 1.0, demodulate: bool = True
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(w_dim, inputs, bias=1.0)
        self.scale, self.gain, self.padding = 1 / math.sqrt(inputs * kernel * kernel), gain, kernel // 2
        self.demodulate = demodulate

    def forward(self, x_BIHW: Tensor, w_BW: Tensor, up: bool = False) -> Tensor:
        """With `up`, the result has twice the resolution: convolved first, which costs a quarter."""
        style_BI = self.style(w_BW)
        weight = self.weight * self.scale
        bias = (self.bias * self.gain)[None, :, None, None]
        x = F.conv2d(x_BIHW * style_BI[:, :, None, None], weight, padding=self.padding)
        if up:
            x = upsample(x)
        if not self.demodulate:
            return x * self.gain + bias if self.gain != 1 else x + bias
        norm_BO = self.gain * torch.rsqrt(style_BI.square() @ weight.square().sum(dim=(2, 3)).t() + 1e-8)
        return torch.addcmul(bias, x, norm_BO[:, :, None, None])


def minibatch_deviation(x_BCHW: Tensor, group: int = 8) -> Tensor:
    """Appends one map: how much the features differ within groups of images (Karras et al. 2018).

    Groups have at most `group` images; the batch is cut into groups of equal size.
    """
    batch = len(x_BCHW)
    size = max(g for g in range(1, min(group, batch) + 1) if batch % g == 0)
    grouped = x_BCHW.reshape(size, batch // size, *x_BCHW.shape[1:])
    deviation = (grouped.var(dim=0, unbiased=False) + 1e-8).sqrt().mean(dim=(1, 2, 3))
    extra = deviation.repeat(size)[:, None, None, None].expand(-1, 1, *x_BCHW.shape[2:])
    return torch.cat([x_BCHW, extra], dim=1)


def expected_position(x_BCHW: Tensor) -> Tensor:
    """Where each map is large: the mean row and column under a softmax over its pixels, in [-1, 1], B x 2C.

    The spatial soft argmax of Finn et al. (2016). Position comes out as a number, whatever the pattern is that the
    map answers to, so that few labels are enough to learn it.
    """
    height, width = x_BCHW.shape[2:]
    weight = x_BCHW.flatten(2).softmax(dim=2).unflatten(2, (height, width))
    rows = torch.linspace(-1, 1, height, device=x_BCHW.device, dtype=x_BCHW.dtype)
    columns = torch.linspace(-1, 1, width, device=x_BCHW.device, dtype=x_BCHW.dtype)
    return torch.cat([weight.sum(dim=3) @ rows, weight.sum(dim=2) @ columns], dim=1)
