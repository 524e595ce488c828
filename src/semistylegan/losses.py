"""One pure function per equation of the objective (Nie et al. 2020, arXiv 2003.03461).

    G minimises       L_GAN + gamma_G L_unsup + alpha L_sr
    D, E minimise    -L_GAN + gamma_E L_unsup + beta L_sup + alpha L_sr

Codes are compared by the Euclidean distance over their known entries (not squared). A categorical factor adds its
cross-entropy instead of entering the distance. A row without any label counts for nothing: every mean is over the rows
that have one, so that a weight means the same at every label fraction.

Suffixes: B batch, C code or channels, F factors, H x W pixels.
"""

from __future__ import annotations

import math
from functools import reduce
from itertools import islice
from operator import add

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from semistylegan.factors import FactorSpace


def distance(
    said_BC: Tensor, code_BC: Tensor, space: FactorSpace, known_BF: Tensor | None = None, ce_weight: float = 1.0
) -> Tensor:
    """d(E(x), c) of each row, B: ||said - code||_2 over scalar and circular factors plus weighted cross-entropies.

    Args:
        said_BC: what E says; logits where a factor is categorical.
        code_BC: the truth; class probabilities where a factor is categorical (one-hot, or mixed).
        space: which entry belongs to which factor.
        known_BF: bool; entries of unknown factors count for nothing and may hold any number. None: all are known.
        ce_weight: weight of the cross-entropies.
    """
    said, code = said_BC.split(space.widths, dim=1), code_BC.split(space.widths, dim=1)
    known = None if known_BF is None else known_BF.split(1, dim=1)
    squares = cross_entropy = said_BC.new_zeros(len(said_BC))
    if straight := [i for i, factor in enumerate(space) if not factor.has_classes]:
        # Squared at once, since each operator is a launch for a GPU; added factor by factor, which fixes how it rounds.
        difference = torch.cat([said[i] for i in straight], dim=1) - torch.cat([code[i] for i in straight], dim=1)
        if known is not None:
            difference = torch.where(torch.cat([known[i].expand_as(said[i]) for i in straight], 1), difference, 0.0)
        columns = iter(difference.square().unbind(dim=1))
        squares = reduce(add, [reduce(add, islice(columns, space.widths[i])) for i in straight])
    for i, factor in enumerate(space):
        if factor.has_classes:
            # Masked before anything is computed: 0 x NaN would be NaN in the gradient.
            truth = code[i] if known is None else torch.where(known[i], code[i], 0.0)
            cross_entropy = cross_entropy - (truth * F.log_softmax(said[i], dim=1)).sum(dim=1)
    # The root has no slope at zero: rows whose known entries all agree (or are all unknown) get gradient 0, not NaN.
    root = torch.where(squares > 0, squares.clamp_min(1e-16).sqrt(), 0.0)
    return root + ce_weight * cross_entropy


def unsupervised(said_BC: Tensor, code_BC: Tensor, space: FactorSpace, ce_weight: float = 1.0) -> Tensor:
    """L_unsup: mean d(E(G(z, c)), c), a bound on the mutual information between the code and the image."""
    return distance(said_BC, code_BC, space, None, ce_weight).mean()


def supervised(
    said_BC: Tensor,
    code_BC: Tensor,
    known_BF: Tensor,
    space: FactorSpace,
    ce_weight: float = 1.0,
    count: Tensor | None = None,
) -> Tensor:
    """L_sup: mean d(E(x), c) over the rows that have a label. Zero where none has.

    L_sr is the same function of mixed images and mixed codes (:func:`mix`), L_aug of images that are moved or tinted
    (:func:`moved`, :func:`tinted`) and the labels that still hold.

    Args:
        count: divides the sum in place of the number of these rows, where they are a part of those that the mean is
            over.
    """
    rows_B = known_BF.any(dim=1)
    total = torch.where(rows_B, distance(said_BC, code_BC, space, known_BF, ce_weight), 0.0).sum()
    return total / (rows_B.sum().clamp_min(1) if count is None else count)


def mix_share(count: int, xi: float, random: np.random.Generator) -> Tensor:
    """l ~ Beta(xi, xi), l <- max(l, 1 - l): `count` shares of the labelled side, float32 in [0.5, 1]."""
    share = random.beta(xi, xi, count)
    return torch.from_numpy(np.maximum(share, 1 - share).astype(np.float32))


def mix(a_B: Tensor, b_B: Tensor, share_B: Tensor) -> Tensor:
    """MixUp (Zhang et al. 2018): share x a + (1 - share) x b, row by row, for images or for codes."""
    share = share_B.reshape(-1, *[1] * (a_B.dim() - 1))
    return b_B + share * (a_B - b_B)


def moved(img_BCHW: Tensor, by_2B: Tensor) -> Tensor:
    """Each picture moved by so many pixels, down and to the right; what comes into sight repeats its edge.

    Args:
        by_2B: int64, on the device of the images: row 0 down, row 1 to the right; either may be negative.
    """
    height, width = img_BCHW.shape[2:]
    place = torch.arange(max(height, width), device=img_BCHW.device)
    row_BH = (place[:height] - by_2B[0, :, None]).clamp(0, height - 1)
    column_BW = (place[:width] - by_2B[1, :, None]).clamp(0, width - 1)
    which_B = torch.arange(len(img_BCHW), device=img_BCHW.device)
    return img_BCHW[which_B[:, None, None], :, row_BH[:, :, None], column_BW[:, None]].permute(0, 3, 1, 2)


def tint_matrix(count: int, channels: int, strength: float, random: np.random.Generator) -> Tensor:
    """How :func:`tinted` changes each of `count` images: float32, count x channels x (channels + 1), the last column
    being added. With strength s: hues turned by up to s half turns about the grey axis, saturation times 2^N(0, s/2),
    contrast times 2^N(0, s/4), brightness plus N(0, s/10): of the augmentations of Karras et al. 2020, those of colour.

    Args:
        channels: 3; with any other number there are no hues: contrast and brightness alone.
        strength: 0 (nothing changes) to 1.
    """
    turn, (saturation, contrast, brightness) = random.uniform(-1, 1, count), random.normal(size=(3, count))
    linear = np.tile(np.eye(channels), (count, 1, 1))
    if channels == 3:
        grey = np.full((3, 3), 1 / 3)
        across = np.array([[0, -1, 1], [1, 0, -1], [-1, 1, 0]]) / math.sqrt(3)
        angle = math.pi * strength * turn[:, None, None]
        turned = np.cos(angle) * (np.eye(3) - grey) + np.sin(angle) * across
        linear = grey + np.exp2(strength / 2 * saturation)[:, None, None] * turned
    linear = np.exp2(strength / 4 * contrast)[:, None, None] * linear
    added = np.broadcast_to((strength / 10 * brightness)[:, None, None], (count, channels, 1))
    return torch.from_numpy(np.concatenate([linear, added], axis=2).astype(np.float32))


def tinted(img_BCHW: Tensor, by_BCD: Tensor) -> Tensor:
    """Each picture in other colours: those that :func:`tint_matrix` says, cut to [-1, 1]."""
    linear_BCC, added_BC = by_BCD[:, :, :-1].to(img_BCHW.dtype), by_BCD[:, :, -1].to(img_BCHW.dtype)
    return (torch.einsum("bkc,bchw->bkhw", linear_BCC, img_BCHW) + added_BC[:, :, None, None]).clamp(-1, 1)


def pixels(img_BCHW: Tensor, target_BCHW: Tensor) -> Tensor:
    """L_rec and L_cycle: mean absolute difference of pixels (images span [-1, 1])."""
    return (img_BCHW - target_BCHW).abs().mean()


def gan_discriminator(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """-L_GAN, non-saturating logistic (Goodfellow et al. 2014): what D minimises, from its logits."""
    return F.softplus(-real_B).mean() + F.softplus(fake_B).mean()


def gan_generator(fake_B: Tensor) -> Tensor:
    """L_GAN, non-saturating logistic: what G minimises, from D's logits of its images."""
    return F.softplus(-fake_B).mean()


def relativistic_discriminator(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """What D minimises in a relativistic pairing GAN (Huang et al. 2024, R3GAN): real above fake, pair by pair."""
    return F.softplus(fake_B - real_B).mean()


def relativistic_generator(real_B: Tensor, fake_B: Tensor) -> Tensor:
    """What G minimises in a relativistic pairing GAN: the same pairs, the other way round."""
    return F.softplus(real_B - fake_B).mean()


def r1_penalty(img_BCHW: Tensor, logit_B: Tensor, gamma: float) -> Tensor:
    """R1 = gamma / 2 E ||grad_x D(x)||^2 on real images (Mescheder et al. 2018); R2 is the same on generated ones.

    Args:
        img_BCHW: images that require a gradient.
        logit_B: D of them.
    """
    (gradient,) = torch.autograd.grad(logit_B.sum(), img_BCHW, create_graph=True)
    return gamma / 2 * gradient.square().sum(dim=(1, 2, 3)).mean()
