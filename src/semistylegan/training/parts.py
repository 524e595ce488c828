"""What one step sees: a batch, cut into the parts that pass the networks together, with the random numbers of its rows.

Suffixes: B batch of real or generated images, L batch of labelled images, C code, F factors, Z latent.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from semistylegan import losses
from semistylegan.factors import FactorSpace
from semistylegan.training import distributed
from semistylegan.training.config import TrainConfig
from semistylegan.training.scope import listed
from semistylegan.training.state import TrainState
from semistylegan.training.streams import to_device


@dataclass(frozen=True)
class Batch:
    """What one step sees: this process's rows of it. `labelled` is None where the run has no labels."""

    real_BCHW: Tensor
    code_BC: Tensor
    """Codes for the generated images, drawn from the prior."""
    labelled: LabelledBatch | None


@dataclass(frozen=True)
class LabelledBatch:
    """Labelled images with their codes; entries where `known` is False hold no information."""

    img_LCHW: Tensor
    code_LC: Tensor
    known_LF: Tensor


@dataclass(frozen=True)
class Part:
    """Rows of a batch that pass the networks together, with the random numbers of these rows."""

    real_BCHW: Tensor
    code_BC: Tensor
    z_BZ: Tensor
    labelled: LabelledBatch | None
    """With noise on its images."""
    share_2L: Tensor
    """Mixing shares of L_sr: in the update of E, in that of G."""
    doubt: Tensor
    """Weight of L_doubt now, a number on the device."""
    keeps_BC: Tensor
    """Entries of the codes of factors that an edit keeps as they are read; bool."""
    moves_2L: Tensor
    """Pixels by which L_aug moves the labelled images: down, to the right."""
    tints_LCD: Tensor
    """How L_aug changes their colours: `losses.tint_matrix`."""
    stays_LF: Tensor
    """Which labels hold for these changed images; bool."""
    own_BC: Tensor | None = None
    """The averaged E's reading of the real images, as a code (:func:`read_once`)."""
    counts: dict[str, Tensor] = field(default_factory=dict)
    """What the sums over labelled rows are divided by, where not by this part's own rows (:func:`counted`)."""


def split(state: TrainState, batch: Batch) -> list[Part]:
    """The parts of this process's rows. Random numbers are drawn for the whole batch, whoever computes which row."""
    config, device, labelled = state.config, batch.real_BCHW.device, batch.labelled
    random = np.random.default_rng([config.seed, 1, state.step])
    generator = torch.Generator().manual_seed(int(random.integers(2**63)))
    rows, processes = len(batch.real_BCHW), distributed.count()
    z_BZ = torch.randn(rows * processes, state.G.z_dim, generator=generator)
    labels = len(labelled.img_LCHW) * processes if labelled is not None else 0
    if device.type == "cuda":  # noise is drawn where it is used: a CPU would take longer than all the rest
        generator = torch.Generator(device).manual_seed(generator.initial_seed())
    noise_LCHW = config.label_noise * torch.randn(
        labels, *batch.real_BCHW.shape[1:], generator=generator, device=generator.device
    )
    share_2L = torch.stack([losses.mix_share(labels, config.xi, random) for _ in range(2)])
    keeps_BF = torch.from_numpy(random.random((rows * processes, len(state.space))) < config.keep)
    keeps_BC = keeps_BF.repeat_interleave(torch.tensor(state.space.widths), dim=1)

    moves_2L, tints_LCD, stays_LF = changes(state, labels, batch.real_BCHW, random)

    count = rows // config.micro_batch if config.micro_batch else 1
    parts = []
    for i in range(count):
        k, whole = distributed.rank() * count + i, processes * count
        part = None
        if labelled is not None:
            img_LCHW = piece(labelled.img_LCHW, i, count) + to_device(piece(noise_LCHW, k, whole), device)
            part = LabelledBatch(img_LCHW, piece(labelled.code_LC, i, count), piece(labelled.known_LF, i, count))
        parts.append(
            Part(
                real_BCHW=piece(batch.real_BCHW, i, count),
                code_BC=piece(batch.code_BC, i, count),
                z_BZ=to_device(piece(z_BZ, k, whole), device),
                labelled=part,
                share_2L=to_device(piece(share_2L.t(), k, whole).t(), device),
                doubt=torch.full((), gamma_doubt_now(state), device=device),
                keeps_BC=to_device(piece(keeps_BC, k, whole), device),
                moves_2L=to_device(piece(moves_2L.t(), k, whole).t(), device),
                tints_LCD=to_device(piece(tints_LCD, k, whole), device),
                stays_LF=to_device(piece(stays_LF, k, whole), device),
            )
        )
    return parts


def piece(x: Tensor, i: int, count: int) -> Tensor:
    """Part i of `count` equal ones."""
    assert len(x) % count == 0, (len(x), count)
    size = len(x) // count
    return x[i * size : (i + 1) * size]


def gamma_doubt_now(state: TrainState) -> float:
    """gamma_doubt, falling where the training is past `doubt_decay_from`."""
    start, progress = state.config.doubt_decay_from, state.progress
    return state.config.gamma_doubt * (1.0 if progress <= start else (1.0 - progress) / (1.0 - start))


def changes(
    state: TrainState, labels: int, img_BCHW: Tensor, random: np.random.Generator
) -> tuple[Tensor, Tensor, Tensor]:
    """How L_aug changes so many labelled images of the shape of `img_BCHW`, `Part`'s `moves_2L`, `tints_LCD` and
    `stays_LF`: every other image is moved and every other one tinted, where both can teach something."""
    config, space = state.config, state.space
    channels, side = img_BCHW.shape[1], img_BCHW.shape[-1]
    reach = round((config.shift or 0.0) * side)
    moves_2L = torch.from_numpy(random.integers(-reach, reach, (2, labels), endpoint=True))
    tints_LCD = losses.tint_matrix(labels, channels, config.tint or 0.0, random)
    by_moved, by_tinted = stay(config, space)
    turn_L = torch.arange(labels) + labels * state.step  # a step of one labelled image has its turns, too
    moved_L = turn_L % 2 == 0 if by_moved and by_tinted else torch.full((labels,), bool(by_moved))
    moved_F, tinted_F = (torch.tensor([name in kept for name in space.names]) for kept in (by_moved, by_tinted))
    return (
        torch.where(moved_L, moves_2L, 0),
        torch.where(moved_L[:, None, None], torch.eye(channels, channels + 1), tints_LCD),
        torch.where(moved_L[:, None], moved_F, tinted_F),
    )


def stay(config: TrainConfig, space: FactorSpace) -> tuple[list[str], list[str]]:
    """The factors that L_aug teaches by moved images, and by tinted ones: what `scope.completed` has filled in."""

    def kept(much: float | None, names: str | None) -> list[str]:
        return listed(names, space) if much and names not in (None, "none") else []

    return kept(config.shift, config.shift_keeps), kept(config.tint, config.tint_keeps)


def counted(state: TrainState, parts: list[Part]) -> list[Part]:
    """The parts with what makes their means over labelled rows one mean over the whole batch: the number of its rows
    that have a label, by the number of parts. The same where every row has one."""
    # Every row that a training draws has a label, in all processes, but two may have none in common.
    pairs = state.config.mix_with == "labelled" and distributed.count() > 1
    cut = len(parts) * (distributed.count() if pairs else 1)
    known = [known_labels(state, part, part.labelled) for part in parts if part.labelled is not None]
    if cut == 1 or not known:
        return parts
    counts = {}
    for name in known[0]:
        count = torch.stack([rows_counted(of_part, name) for of_part in known]).sum()
        counts[name] = (distributed.sum_(count) if pairs else count).clamp_min(1) / cut
    return [dataclasses.replace(part, counts=counts) for part in parts]


def known_labels(state: TrainState, part: Part, labelled: LabelledBatch) -> dict[str, Tensor]:
    """Which labels count, L x F: in L_sup all that are known; in L_sr what both know, where they are mixed with each
    other; in L_aug those that the changed pictures keep."""
    known_LF = labelled.known_LF
    shared_LF = known_LF & known_LF[neighbours(known_LF)] if state.config.mix_with == "labelled" else known_LF
    return {"loss_sup": known_LF, "loss_sr": shared_LF, "loss_aug": known_LF & part.stays_LF}


def rows_counted(known: dict[str, Tensor], name: str) -> Tensor:
    """How many rows the mean of a loss is over: those with a label, whether a changed picture keeps it or not."""
    return known["loss_sup" if name == "loss_aug" else name].any(dim=1).sum()


def neighbours(rows_L: Tensor) -> Tensor:
    """Which row each is mixed with by `--mix-with labelled`: two and two; one that is left over stays as it is."""
    return (torch.arange(len(rows_L), device=rows_L.device) ^ 1).clamp(max=len(rows_L) - 1)
