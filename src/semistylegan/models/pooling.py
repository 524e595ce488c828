"""Pooling, together with what stands beside it in a residual block, so that gradients make few passes over the maps.

Torch's own average pooling has a slow gradient in channels_last; written apart, the gradient would be spread over 2 x 2
pixels by one pass, and taken through the activation, or added to the other branch's, by the next. All of it can be
differentiated twice, as R1 needs.

Suffixes: B batch, C feature maps, H x W pixels.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from semistylegan.models.layers import RELU_SLOPE, activate


def activate_and_pool(x_BCHW: Tensor) -> Tensor:
    """:func:`activate`, then the means of 2 x 2 pixels: half the resolution."""
    return _ActivatePool.apply(x_BCHW)[1]  # type: ignore[no-untyped-call]


def also_pooled(x_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """The maps, for one branch of a block, and the means of their 2 x 2 pixels, for the other."""
    return _AlsoPool.apply(x_BCHW)  # type: ignore[no-untyped-call]


class _ActivatePool(torch.autograd.Function):
    """x -> its activation (in place), and that pooled. Only the latter is to be used: one pass gives x its gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        ctx.mark_dirty(activate(x))
        ctx.save_for_backward(x)
        ctx.set_materialize_grads(False)
        return x, F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx: Any, _: None, gradient: Tensor | None) -> Tensor | None:
        if gradient is None:
            return None
        return _UnpoolInactivate.apply(gradient, *ctx.saved_tensors)  # type: ignore[no-untyped-call]


class _UnpoolInactivate(torch.autograd.Function):
    """The gradient of `_ActivatePool`, linear in the gradient g that it is given; y is the activation."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, y: Tensor) -> Tensor:
        ctx.save_for_backward(y)
        return _as_maps(_slope(_widened(g * 0.25), _in_row_pairs(y)), y)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, None]:
        (y,) = ctx.saved_tensors
        return F.avg_pool2d(_slope(gradients[0], y), 2), None


class _AlsoPool(torch.autograd.Function):
    """x -> x, and that pooled; its gradient adds those of both in one pass."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> tuple[Tensor, Tensor]:
        return x.view_as(x), F.avg_pool2d(x, 2)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return _AddUnpooled.apply(*gradients)  # type: ignore[no-untyped-call]


class _AddUnpooled(torch.autograd.Function):
    """The gradient of `_AlsoPool`, whose own is `_AlsoPool` again."""

    @staticmethod
    def forward(ctx: Any, g: Tensor, g_pooled: Tensor) -> Tensor:
        return _as_maps(torch.add(_in_row_pairs(g), _widened(g_pooled), alpha=0.25), g)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        return _AlsoPool.apply(gradients[0])  # type: ignore[no-untyped-call]


def _slope(g: Tensor, y: Tensor) -> Tensor:
    """g through the activation whose result is y."""
    return torch.ops.aten.leaky_relu_backward(g, y, RELU_SLOPE, True)


def _in_row_pairs(x_BCHW: Tensor) -> Tensor:
    """Channels_last maps, seen as B x H/2 x 2 x (W C): against `_widened` long stretches of memory meet."""
    batch, maps, height, width = x_BCHW.shape
    return x_BCHW.permute(0, 2, 3, 1).reshape(batch, height // 2, 2, width * maps)


def _widened(x_BCHW: Tensor) -> Tensor:
    """Every pixel twice along its row, seen as B x H x 1 x (2 W C)."""
    wide_BCHV = F.interpolate(x_BCHW, scale_factor=(1.0, 2.0), mode="nearest")
    return wide_BCHV.permute(0, 2, 3, 1).flatten(2)[:, :, None]


def _as_maps(pairs: Tensor, like_BCHW: Tensor) -> Tensor:
    """Undoes :func:`_in_row_pairs`."""
    batch, maps, height, width = like_BCHW.shape
    return pairs.view(batch, height, width, maps).permute(0, 3, 1, 2)
