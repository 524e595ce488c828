"""One update of D and E, and of G: what the method is, in the order in which it runs.

Suffixes: B batch of real or generated images, L batch of labelled images, C code, F factors, Z latent.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from semistylegan import losses
from semistylegan.factors import FactorSpace
from semistylegan.models.layers import in_full
from semistylegan.training import distributed
from semistylegan.training.config import TrainConfig
from semistylegan.training.scope import listed
from semistylegan.training.state import TrainState
from semistylegan.training.streams import Aside, to_device

VERSION = 1
"""Counts up whenever a step would make another model of the same settings: a run that one number began and another goes
on with, or that a study takes as done, is told of. Runs without a number are of 1."""


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


class Log:
    """Means of the losses over the parts of a batch, detached."""

    def __init__(self, parts: int) -> None:
        self.parts, self.means = parts, dict[str, Tensor]()

    def add(self, name: str, value: Tensor) -> None:
        value = value.detach() / self.parts
        self.means[name] = self.means[name] + value if name in self.means else value


class Passes:
    """The backward passes of one step, in the order in which they run. Each leaves its gradients, summed over the parts
    of the batch, with the optimisers. (`training/graphs.py` records them on a GPU.)"""

    def __init__(self, state: TrainState, parts: list[Part]) -> None:
        self.state, self.parts, self.log = state, parts, Log(len(parts))
        self.fakes: list[Tensor] = []

    def of_D_and_E(self) -> None:
        """D: tell real from generated. E: read the labelled images, mixed with others; its own reading of generated
        ones."""
        state = self.state
        self.parts = counted(state, self.parts)
        with Aside(self.parts[0].real_BCHW.device) as aside:
            self.parts = [read_once(state, part) for part in self.parts]
        if state.G.starts_from_image:  # G is told what is read
            aside.join()
        # Generated images, for the pass of G too; with several parts their graphs would not fit, so G draws again.
        with torch.set_grad_enabled(len(self.parts) == 1):
            self.fakes = [generate(state, part) for part in self.parts]
        aside.join()
        state.opt_D.zero_grad()
        state.opt_E.zero_grad()
        for part, fake_BCHW in zip(self.parts, self.fakes, strict=True):
            self._backward(loss_of_D_and_E(state, part, fake_BCHW.detach(), self.log))
        state.opt_D.collect()
        state.opt_E.collect()

    def of_penalty(self) -> None:
        """R1, lazily (Karras et al. 2020): rarely, and as much stronger. In every step it is a term of D's loss."""
        state = self.state
        state.opt_D.zero_grad()
        for part, fake_BCHW in zip(self.parts, self.fakes, strict=True):
            self._backward(state.config.r1_interval * gradient_penalty(state, part, fake_BCHW, self.log))
        state.opt_D.collect(add=state.config.r1_interval == 1)

    def of_G(self) -> None:
        """G: look real, and show what the code says. D and E are only looked through."""
        state = self.state
        state.opt_G.zero_grad()
        with frozen(state.D, state.E):
            for part, fake_BCHW in zip(self.parts, self.fakes, strict=True):
                shown_BCHW = fake_BCHW if len(self.parts) == 1 else generate(state, part)
                self._backward(loss_of_G(state, part, shown_BCHW, self.log))
        state.opt_G.collect()

    def losses(self) -> dict[str, Tensor]:
        """What the passes logged: means over the batch's parts, detached."""
        return self.log.means

    def _backward(self, loss: Tensor) -> None:
        """Adds the gradients of one part's mean to those of the other parts, here and in other processes."""
        (loss / (len(self.parts) * distributed.count())).backward()


PassesOf = Callable[[TrainState, list[Part]], Passes]
"""Gives a step its passes over these parts of its batch."""


def train_step(state: TrainState, batch: Batch, passes_of: PassesOf = Passes) -> dict[str, Tensor]:
    """Updates every network and average of `state` once; returns the losses, detached.

    Every random number is a function of (config.seed, state.step). The batch is computed in one part, or in several
    whose gradients are summed (config.micro_batch), and the gradients of all processes are summed: the weights are
    those of the whole batch, to rounding.

    Args:
        passes_of: another way of computing the passes: :class:`semistylegan.training.graphs.Recorder`.
    """
    passes = passes_of(state, split(state, batch))

    passes.of_D_and_E()
    state.opt_E.step(decay(state, floor=0.0))
    if state.config.r1_gamma and state.step % state.config.r1_interval == 0:
        if state.config.r1_interval > 1:
            state.opt_D.step()
        passes.of_penalty()
    state.opt_D.step()
    passes.of_G()
    state.opt_G.step(decay(state, floor=0.1))

    state.step += 1
    whole = len(batch.real_BCHW) * distributed.count()
    state.images += whole
    update_averages(state, whole)
    return passes.losses()


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


def neighbours(rows_L: Tensor) -> Tensor:
    """Which row each is mixed with by `--mix-with labelled`: two and two; one that is left over stays as it is."""
    return (torch.arange(len(rows_L), device=rows_L.device) ^ 1).clamp(max=len(rows_L) - 1)


def generate(state: TrainState, part: Part) -> Tensor:
    """G's images: from z, or edits of the real images where G starts from those."""
    start = part.real_BCHW if state.G.starts_from_image else part.z_BZ
    return draw(state, start, part.code_BC, part.own_BC)


def draw(state: TrainState, start: Tensor, code_BC: Tensor, source_BC: Tensor | None) -> Tensor:
    """G(start, code), in the precision of the run. `source_BC` is the code of an image to start from."""
    with mixed_precision(state, start):
        return in_full(state.G(start, state.G.asking(code_BC, source_BC)))


def mixed_precision(state: TrainState, x: Tensor) -> AbstractContextManager[Any]:
    """Inside, networks compute in bfloat16 where the configuration says so; losses and R1 never do."""
    if state.config.precision != "bfloat16" or x.device.type == "meta":
        return nullcontext()
    return torch.autocast(x.device.type, torch.bfloat16, cache_enabled=False)


def loss_of_D_and_E(state: TrainState, part: Part, fake_BCHW: Tensor, log: Log) -> Tensor:
    """-L_GAN + gamma_E L_unsup + beta L_sup + alpha (L_sr + L_aug) + gamma_doubt L_doubt."""
    config, labelled = state.config, part.labelled
    read: dict[str, tuple[Tensor, Tensor]] = {}
    known = known_labels(state, part, labelled) if labelled is not None else {}
    if labelled is not None and config.beta:
        read["loss_sup"] = labelled.img_LCHW, labelled.code_LC
    if labelled is not None and config.alpha:
        rows = partners(len(labelled.img_LCHW), len(part.real_BCHW), part.real_BCHW.device)
        if config.mix_with == "labelled":
            other = neighbours(labelled.known_LF)
            img_LCHW, code_LC = labelled.img_LCHW[other], labelled.code_LC[other]
        elif config.mix_with == "fakes":
            img_LCHW, code_LC = fake_BCHW[rows], part.code_BC[rows]
        else:
            assert part.own_BC is not None
            img_LCHW, code_LC = part.real_BCHW[rows], part.own_BC[rows]
        read["loss_sr"] = mixed(labelled, img_LCHW, code_LC, part.share_2L[0])
        by_moved, by_tinted = stay(config, state.space)
        changed_LCHW = losses.moved(labelled.img_LCHW, part.moves_2L) if by_moved else labelled.img_LCHW
        if by_tinted:
            changed_LCHW = losses.tinted(changed_LCHW, part.tints_LCD)
        if by_moved or by_tinted:
            read["loss_aug"] = changed_LCHW, labelled.code_LC
    weights = {"loss_sup": config.beta, "loss_sr": config.alpha, "loss_aug": config.alpha}

    images = [img for img, _ in read.values()]
    if (gamma_e := gamma_e_now(state)) or config.gamma_doubt:
        images.append(fake_BCHW)
    (real_logit_B, fake_logit_B), by_head = look(state, [part.real_BCHW, fake_BCHW], images)
    log.add("real_score", real_logit_B.mean())
    log.add("fake_score", fake_logit_B.mean())
    relativistic = config.gan == "relativistic"
    loss = (losses.relativistic_discriminator if relativistic else losses.gan_discriminator)(real_logit_B, fake_logit_B)
    log.add("loss_gan_d", loss)
    for said in by_head:
        for said_LC, (name, (_, code_LC)) in zip(said, read.items(), strict=False):
            count = part.counts.get(name, rows_counted(known, name).clamp_min(1))
            term = losses.supervised(said_LC, code_LC, known[name], state.space, config.ce_weight, count)
            loss = loss + weights[name] * term
            if said is by_head[0]:
                log.add(name, term)
    if config.gamma_doubt:
        assert part.own_BC is not None
        term = losses.unsupervised(by_head[-1][-1], part.own_BC, state.space, config.ce_weight)
        log.add("loss_doubt", term)
        loss = loss + part.doubt * term
    if gamma_e:
        loss = loss + gamma_e * losses.unsupervised(by_head[0][-1], part.code_BC, state.space, config.ce_weight)
    return loss


def gradient_penalty(state: TrainState, part: Part, fake_BCHW: Tensor, log: Log) -> Tensor:
    """R1; R1 + R2 with relativistic pairs."""
    real_BCHW = part.real_BCHW.detach().requires_grad_(True)
    penalty = losses.r1_penalty(real_BCHW, state.D(real_BCHW), state.config.r1_gamma or 0.0)
    log.add("r1", penalty)
    if state.config.gan == "relativistic":
        fakes_BCHW = fake_BCHW.detach().requires_grad_(True)
        penalty = penalty + losses.r1_penalty(fakes_BCHW, state.D(fakes_BCHW), state.config.r1_gamma or 0.0)
    return penalty


def loss_of_G(state: TrainState, part: Part, fake_BCHW: Tensor, log: Log) -> Tensor:
    """L_GAN + gamma_G L_unsup, and alpha L_sr where it mixes with generated images."""
    config, labelled = state.config, part.labelled
    judged, read = [fake_BCHW], [fake_BCHW]
    if config.gan == "relativistic":
        judged.append(part.real_BCHW)
    if teaches := labelled is not None and config.mix_with == "fakes" and bool(config.alpha):
        assert labelled is not None
        rows = partners(len(labelled.img_LCHW), len(fake_BCHW), fake_BCHW.device)
        mixed_LCHW, mixed_LC = mixed(labelled, fake_BCHW[rows], part.code_BC[rows], part.share_2L[1])
        read.append(mixed_LCHW)
    logits, by_head = look(state, judged, read)
    said = by_head[-1]
    loss = losses.gan_generator(logits[0]) if len(logits) == 1 else losses.relativistic_generator(logits[1], logits[0])
    log.add("loss_gan_g", loss)
    unsup = losses.unsupervised(said[0], part.code_BC, state.space, config.ce_weight)
    log.add("loss_unsup", unsup)
    loss = loss + config.gamma_g * unsup
    if teaches:
        assert labelled is not None
        count = part.counts.get("loss_sr")
        term = losses.supervised(said[1], mixed_LC, labelled.known_LF, state.space, config.ce_weight, count)
        loss = loss + config.alpha * term
    if state.G.starts_from_image:
        loss = loss + keeping_loss(state, part, fake_BCHW, log)
    return loss


def look(state: TrainState, judged: list[Tensor], read: list[Tensor]) -> tuple[list[Tensor], list[list[Tensor]]]:
    """D's logits of each of `judged` and, for each of E's heads, its codes of each of `read`: one pass through D's
    trunk and one through E's, or one through both where they share it.

    D's head sees each of `judged` alone: its minibatch deviation must not mix real and generated images.
    """
    D, E = state.D, state.E
    shared = E.trunk is D.trunk
    images = list({id(img): img for img in (judged + read if shared else judged)}.values())
    sizes = [len(img) for img in images]
    codes: list[Tensor] = []
    with mixed_precision(state, images[0]):
        with Aside(images[0].device) as aside:
            if read and not shared:
                codes = E.codes(E.trunk(joined(read)))
        maps = D.trunk(joined(images))
        of_D = {id(img): m for img, m in zip(images, maps[-1].split(sizes), strict=True)}
        logits = [in_full(D.logit(of_D[id(img)])) for img in judged]
        aside.join()
        if read and shared:
            split_maps = [dict(zip(map(id, images), m.split(sizes), strict=True)) for m in maps]
            codes = E.codes([torch.cat([m[id(img)] for img in read]) for m in split_maps])
    return logits, [list(in_full(code).split([len(img) for img in read])) for code in codes]


def joined(images: list[Tensor]) -> Tensor:
    """All images as one batch."""
    return torch.cat(images) if len(images) > 1 else images[0]


def mixed(labelled: LabelledBatch, img_LCHW: Tensor, code_LC: Tensor, share_L: Tensor) -> tuple[Tensor, Tensor]:
    """x' and c' of L_sr."""
    return losses.mix(labelled.img_LCHW, img_LCHW, share_L), losses.mix(labelled.code_LC, code_LC, share_L)


def partners(labelled: int, images: int, device: torch.device | str = "cpu") -> Tensor:
    """Which image of a batch is mixed with each labelled row; the same where both are cut into equal parts."""
    return torch.arange(labelled, device=device) * images // labelled


def read_once(state: TrainState, part: Part) -> Part:
    """The part with the averaged E's reading of its images, where anything needs it, and with what its edits keep."""
    config = state.config
    mixes = part.labelled is not None and config.alpha and config.mix_with == "unlabelled"
    edits = state.G.knows_source or any((config.keep, config.gamma_doubt, config.gamma_rec, config.gamma_cycle))
    if not (mixes or edits):
        return part
    own_BC = reading(state, part.real_BCHW)
    code_BC = torch.where(part.keeps_BC, own_BC, part.code_BC) if config.keep else part.code_BC
    return dataclasses.replace(part, own_BC=own_BC, code_BC=code_BC)


@torch.no_grad()
def reading(state: TrainState, img_BCHW: Tensor) -> Tensor:
    """What the averaged E reads, as a code to learn from: in place of labels that nobody looks at."""
    with mixed_precision(state, img_BCHW):
        said_BC = in_full(state.E_ema(img_BCHW))
    return state.space.soften(said_BC)


def keeping_loss(state: TrainState, part: Part, fake_BCHW: Tensor, log: Log) -> Tensor:
    """gamma_rec L_rec + gamma_cycle L_cycle: what makes an editor keep what its code does not name.

    Every other image keeps its own code and should stay as it is, the others' edits get it back and should be what they
    were (all of them, where one of the weights is 0 or there is a single image). An image's own code is the averaged
    E's reading, an edit's what was asked for.
    """
    config, real_BCHW = state.config, part.real_BCHW
    weights = {"loss_rec": config.gamma_rec, "loss_cycle": config.gamma_cycle}
    used = [name for name, weight in weights.items() if weight]
    loss = fake_BCHW.new_zeros(())
    if not used:
        return loss
    assert part.own_BC is not None
    share = len(used) if len(real_BCHW) >= len(used) else 1
    rows = {name: slice(i % share, None, share) for i, name in enumerate(used)}
    start = torch.cat([(real_BCHW if name == "loss_rec" else fake_BCHW)[rows[name]] for name in used])
    target = torch.cat([real_BCHW[rows[name]] for name in used])
    code_BC = torch.cat([part.own_BC[rows[name]] for name in used])
    source_BC = torch.cat([(part.own_BC if name == "loss_rec" else part.code_BC)[rows[name]] for name in used])
    back_BCHW = draw(state, start, code_BC, source_BC)
    sizes = [len(real_BCHW[rows[name]]) for name in used]
    for name, back, real in zip(used, back_BCHW.split(sizes), target.split(sizes), strict=True):
        term = losses.pixels(back, real)
        log.add(name, term)
        loss = loss + weights[name] * term
    return loss


def gamma_e_now(state: TrainState) -> float:
    """gamma_E, once its part of the training has begun."""
    return state.config.gamma_e if state.progress >= state.config.gamma_e_from else 0.0


def gamma_doubt_now(state: TrainState) -> float:
    """gamma_doubt, falling where the training is past `doubt_decay_from`."""
    start, progress = state.config.doubt_decay_from, state.progress
    return state.config.gamma_doubt * (1.0 if progress <= start else (1.0 - progress) / (1.0 - start))


def decay(state: TrainState, floor: float) -> float:
    """Factor on a learning rate: 1, and from `lr_decay_from` on linearly down, to `floor` at the end."""
    start = state.config.lr_decay_from
    return 1.0 if state.progress <= start else max((1.0 - state.progress) / (1.0 - start), floor)


@contextmanager
def frozen(*networks: nn.Module) -> Iterator[None]:
    """Inside, gradients pass through these networks but not into their weights."""
    for network in networks:
        network.requires_grad_(False)
    try:
        yield
    finally:
        for network in networks:
            network.requires_grad_(True)


@torch.no_grad()
def update_averages(state: TrainState, batch: int) -> None:
    """Moves G_ema and E_ema towards G and E, with a half-life of `ema_kimg` (at first a twentieth of what was seen)."""
    half_life = max(min(1000 * state.config.ema_kimg, 0.05 * state.images), 1e-8)
    amount = 1 - 0.5 ** (batch / half_life)
    for average, network in ((state.G_ema, state.G), (state.E_ema, state.E)):
        torch._foreach_lerp_(list(average.parameters()), list(network.parameters()), amount)
