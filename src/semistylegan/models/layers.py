"""Building blocks shared by G, D and E.

Suffixes: B batch, C feature maps, H x W pixels, I inputs, O outputs, W style vector.

Weights are stored as they are used. "Equalised learning rate" (Karras et al. 2018), one learning rate of Adam for
layers of every size, is kept by `rates`: parameter name -> factor on the learning rate, gain / sqrt(fan-in), which is
what scaling unit weights at run time comes to, without the scaling. The gain that keeps the variance through a leaky
ReLU, sqrt(2), is part of the weights: relu(g x) = g relu(x) for g > 0.

Images are channels_last throughout, so that a 1x1 convolution is a matrix product of pixels and maps.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

RELU_GAIN = math.sqrt(2.0)
"""The gain of a layer whose output goes through :func:`activate`."""


RELU_SLOPE = 0.2
"""What is left of a value under zero."""


def activate(x: Tensor) -> Tensor:
    """Leaky ReLU, in place: `x` is the fresh output of a layer with gain sqrt(2)."""
    return F.leaky_relu_(x, RELU_SLOPE)


def pixel_norm(x_BI: Tensor) -> Tensor:
    """Scales each row to mean square 1 (Karras et al. 2018)."""
    return x_BI * over_root(x_BI.square().mean(dim=1, keepdim=True))


def over_root(square: Tensor) -> Tensor:
    """1 / sqrt(square), where that is finite."""
    # One number of a vector in ONNX: the exporter takes a plain number as small as this for zero, and drops it.
    small = square.new_full((1,), 1e-8) if torch.compiler.is_exporting() else 1e-8
    return torch.rsqrt(square + small)


def upsample(x_BCHW: Tensor) -> Tensor:
    """Twice the resolution, bilinear: the 1-3-3-1 filter of StyleGAN2 up to the border."""
    return F.interpolate(x_BCHW, scale_factor=2.0, mode="bilinear", align_corners=False)


def in_full(x: Tensor) -> Tensor:
    """What is in bfloat16 in float32; anything else as it is."""
    return x.float() if x.dtype == torch.bfloat16 else x


def in_float32(method: Callable[[Any, Tensor], Tensor]) -> Callable[[Any, Tensor], Tensor]:
    """Makes `method` compute in float32 under autocast too: for what is small, and worth more digits."""

    @functools.wraps(method)
    def wrapped(self: Any, x: Tensor) -> Tensor:
        if x.device.type == "meta" or not torch.is_autocast_enabled(x.device.type):
            return method(self, x)
        with torch.autocast(x.device.type, enabled=False):
            return method(self, x.float())

    return wrapped


class Linear(nn.Module):
    """Fully connected layer, equalised. `lr` multiplies its learning rate."""

    def __init__(self, inputs: int, outputs: int, gain: float = 1.0, lr: float = 1.0, bias: float = 0.0) -> None:
        super().__init__()
        scale = gain / math.sqrt(inputs)
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * scale)
        self.bias = nn.Parameter(torch.full((outputs,), bias * gain))
        self.rates = {"weight": scale * lr, "bias": gain * lr}

    @in_float32
    def forward(self, x_BI: Tensor) -> Tensor:
        return F.linear(x_BI, self.weight, self.bias)


class Conv(nn.Module):
    """Convolution with stride 1 and zero padding, equalised, no activation."""

    def __init__(self, inputs: int, outputs: int, kernel: int, gain: float = 1.0) -> None:
        super().__init__()
        scale = gain / math.sqrt(inputs * kernel * kernel)
        self.weight = nn.Parameter(torch.randn(outputs, inputs, kernel, kernel) * scale)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.rates = {"weight": scale, "bias": gain}
        self.padding = kernel // 2

    def forward(self, x_BIHW: Tensor) -> Tensor:
        if self.padding:
            return F.conv2d(x_BIHW, self.weight, self.bias, padding=self.padding)
        return _as_image(torch.addmm(self.bias, _as_pixels(x_BIHW), self.weight.flatten(1).t()), x_BIHW)


class FromImage(nn.Module):
    """1x1 convolution from the few channels of an image, equalised, and :func:`activate`."""

    def __init__(self, channels: int, outputs: int) -> None:
        super().__init__()
        scale = RELU_GAIN / math.sqrt(channels)
        self.weight = nn.Parameter(torch.randn(outputs, channels, 1, 1) * scale)
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.rates = {"weight": scale, "bias": RELU_GAIN}

    def forward(self, img_BIHW: Tensor) -> Tensor:
        # The bias is the weight of one more channel, of ones: no pass over the maps for it, nor for its gradient.
        # Activated before it is seen as an image: what changes a view in place costs its gradient two copies.
        weight_OI = torch.cat([self.weight.flatten(1), self.bias[:, None]], dim=1)
        y_PO = activate(F.pad(_as_pixels(img_BIHW), (0, 1), value=1.0) @ weight_OI.t())
        return _as_image(y_PO, img_BIHW)


def _as_pixels(x_BCHW: Tensor) -> Tensor:
    """Pixels x maps."""
    return x_BCHW.permute(0, 2, 3, 1).flatten(0, 2)


def _as_image(pixels_PO: Tensor, like_BCHW: Tensor) -> Tensor:
    """Undoes :func:`_as_pixels`; the number of maps may be another."""
    return pixels_PO.unflatten(0, (-1, *like_BCHW.shape[2:])).permute(0, 3, 1, 2)


class ModulatedConv(nn.Module):
    """3x3 convolution whose input maps are scaled by the style (Karras et al. 2020, equations 1 to 3).

    Written as scale, plain convolution, demodulate: the same result as modulating the weights of each image, but one
    ordinary convolution for the whole batch.
    """

    def __init__(self, inputs: int, outputs: int, w_dim: int, gain: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs, 3, 3) / math.sqrt(inputs * 9))
        self.bias = nn.Parameter(torch.zeros(outputs))
        self.style = Linear(w_dim, inputs, bias=1.0)
        self.rates = {"weight": 1 / math.sqrt(inputs * 9), "bias": gain}
        self.gain = gain

    def forward(self, x_BIHW: Tensor, w_BW: Tensor, up: bool = False) -> Tensor:
        """With `up`, the result has twice the resolution: all else first, at a quarter of the cost (a mean of pixels
        keeps factors and offsets)."""
        style_BI = self.style(w_BW)
        x = F.conv2d(x_BIHW * style_BI.to(x_BIHW.dtype)[:, :, None, None], self.weight, padding=1)
        norm_BO = self._norm(style_BI).to(x.dtype)
        x = torch.addcmul(self.bias.to(x.dtype)[:, None, None], x, norm_BO[:, :, None, None])
        return upsample(x) if up else x

    @in_float32
    def _norm(self, style_BI: Tensor) -> Tensor:
        """One over the norm of the modulated weights: the squares of style and weights, summed over the kernel."""
        square_BO = style_BI.square() @ self.weight.square().sum(dim=(2, 3)).t()
        return self.gain * over_root(square_BO)


class ToImage(nn.Module):
    """Modulated 1x1 convolution to the few channels of an image, not demodulated: one product an image."""

    def __init__(self, inputs: int, channels: int, w_dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(inputs, channels) / math.sqrt(inputs))
        self.bias = nn.Parameter(torch.zeros(channels))
        self.style = Linear(w_dim, inputs, bias=1.0)
        self.rates = {"weight": 1 / math.sqrt(inputs)}

    def forward(self, x_BIHW: Tensor, w_BW: Tensor) -> Tensor:
        """Image B x C x H x W, in float32 whatever the maps are in."""
        pixels_BPI = x_BIHW.permute(0, 2, 3, 1).flatten(1, 2)
        image_BPC = torch.baddbmm(self.bias, pixels_BPI, self.style(w_BW)[:, :, None] * self.weight)
        return image_BPC.to(w_BW.dtype).unflatten(1, x_BIHW.shape[2:]).permute(0, 3, 1, 2)


GROUP = 4
"""Images over which :func:`minibatch_deviation` looks for differences."""


def minibatch_deviation(x_BCHW: Tensor) -> Tensor:
    """Appends one map: how much the features differ within groups of images (Karras et al. 2018).

    Groups are neighbouring images, so that a batch may be cut between them.
    """
    grouped = in_full(x_BCHW).unflatten(0, (-1, group_size(len(x_BCHW))))
    variance = (grouped - grouped.mean(dim=1, keepdim=True)).square().mean(dim=1)  # torch.var takes 20 times as long
    deviation = (variance + 1e-8).sqrt().mean(dim=(1, 2, 3))
    extra = deviation.repeat_interleave(grouped.shape[1])[:, None, None, None].expand(-1, 1, *x_BCHW.shape[2:])
    return torch.cat([x_BCHW, extra.to(x_BCHW.dtype)], dim=1)


def group_size(batch: int) -> int:
    """The largest number up to `GROUP` that divides the batch."""
    return max(size for size in range(1, GROUP + 1) if batch % size == 0)


def expected_position(x_BCHW: Tensor) -> Tensor:
    """Where each map is large: the mean row and column under a softmax over its pixels, in [-1, 1], B x 2C.

    The spatial soft argmax of Finn et al. (2016). Position comes out as a number, whatever the pattern is that the
    map answers to, so that few labels are enough to learn it.
    """
    height, width = x_BCHW.shape[2:]
    weight = in_full(x_BCHW).flatten(2).softmax(dim=2).unflatten(2, (height, width))
    rows = torch.linspace(-1, 1, height, device=x_BCHW.device, dtype=weight.dtype)
    columns = torch.linspace(-1, 1, width, device=x_BCHW.device, dtype=weight.dtype)
    return torch.cat([(weight.sum(dim=3) * rows).sum(dim=2), (weight.sum(dim=2) * columns).sum(dim=2)], dim=1)
