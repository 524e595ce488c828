"""Which image is worth labelling next: pure functions of arrays.

Without a model: images that look unlike those labelled so far (:func:`look`, :func:`spread`). With one: among those
that its encoder is least sure of (:func:`doubt`), images that it reads unlike those labelled (:func:`reading`).
`docs/results/labelling.md` says what each buys, and what was tried and bought nothing.

Suffixes: N images, M of them, F factors, C entries of the code, D features.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from semistylegan.factors import FactorSpace

Floats = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
SIDE = 8
"""Cells a side of a look."""
DOUBTFUL = 0.2
"""Part of the images at hand that count as doubtful."""


def look(image_HWC: npt.NDArray[np.uint8]) -> Floats:
    """What an image looks like from afar: the means of SIDE x SIDE cells, in [0, 1], as one vector.

    Args:
        image_HWC: uint8, at least SIDE pixels a side; what does not divide evenly is left out at the right and bottom.
    """
    height, width, channels = image_HWC.shape
    h, w = height // SIDE, width // SIDE
    assert h and w, image_HWC.shape
    cells = image_HWC[: h * SIDE, : w * SIDE].reshape(SIDE, h, SIDE, w, channels)
    return (cells.mean(axis=(1, 3)) / 255).astype(np.float32).reshape(-1)


def nearest(feature_ND: Floats, to_MD: Floats) -> Floats:
    """Each image's squared distance to the nearest of `to_MD`; infinite where there is none."""
    near_N = np.full(len(feature_ND), np.inf, np.float32)
    for to_D in to_MD:
        near_N = np.minimum(near_N, np.square(feature_ND - to_D).sum(axis=1))
    return near_N


def spread(feature_ND: Floats, near_N: Floats, count: int) -> list[int]:
    """Places of `count` images, each farthest from those before it (k-centre greedy, Sener and Savarese 2018).

    Args:
        feature_ND: what distance is measured on.
        near_N: squared distance to the nearest image that is labelled already, see :func:`nearest`.
        count: at most N.
    """
    near_N, chosen = near_N.copy(), []
    for _ in range(min(count, len(feature_ND))):
        chosen.append(int(near_N.argmax()))
        near_N = np.minimum(near_N, np.square(feature_ND - feature_ND[chosen[-1]]).sum(axis=1))
        near_N[chosen] = -1
    return chosen


def doubt(said_NC: Floats, space: FactorSpace) -> Floats:
    """How unsure an encoder is of each image, N; 0 is sure of everything.

    The sum over factors. Categorical: 1 minus the lead of the likeliest class over the second. Circular: how far the
    point that E gives lies inside its circle, in parts of the diameter. Scalar: nothing; what E says is one number, and
    how it moves under noise and shifts did not tell where it is wrong.

    Args:
        said_NC: what E says; logits where a factor is categorical.
    """
    code_NC = reading(said_NC, space)
    total = np.zeros(len(said_NC), np.float32)
    for factor, where in zip(space, space.slices, strict=True):
        code = code_NC[:, where]
        if factor.has_classes and factor.width > 1:
            second, first = np.sort(code, axis=1)[:, -2:].T
            total += 1 - (first - second)
        elif factor.kind == "circular":
            total += np.clip(0.5 - np.linalg.norm(code, axis=1), 0, 0.5)
    return total


def reading(said_NC: Floats, space: FactorSpace) -> Floats:
    """What E says as a code, N x C: probabilities where a factor is categorical, the rest as it is."""
    code_NC = np.array(said_NC, dtype=np.float32)
    for factor, where in zip(space, space.slices, strict=True):
        if factor.has_classes:
            raised = np.exp(code_NC[:, where] - code_NC[:, where].max(axis=1, keepdims=True))
            code_NC[:, where] = raised / raised.sum(axis=1, keepdims=True)
    return code_NC


def doubtful(doubt_N: Floats, least: int) -> Ints:
    """Places of the most doubtful DOUBTFUL part of N images, at least `least` of them, most doubtful first."""
    count = max(round(DOUBTFUL * len(doubt_N)), least)
    return np.argsort(-doubt_N, kind="stable")[:count].astype(np.int64)
