"""What D, E and G minimise in one part of a batch: the losses of `losses.py`, weighted, and what they are computed of.

Suffixes: B batch of real or generated images, L batch of labelled images, C code, F factors.
"""

from __future__ import annotations

import dataclasses
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor

from semistylegan import losses
from semistylegan.models.layers import in_full
from semistylegan.training.parts import LabelledBatch, Part, known_labels, neighbours, rows_counted, stay
from semistylegan.training.state import TrainState
from semistylegan.training.streams import Aside


class Log:
    """Means of the losses over the parts of a batch, detached."""

    def __init__(self, parts: int) -> None:
        self.parts, self.means = parts, dict[str, Tensor]()

    def add(self, name: str, value: Tensor) -> None:
        value = value.detach() / self.parts if self.parts > 1 else value.detach()
        self.means[name] = self.means[name] + value if name in self.means else value


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
    read = lessons(state, part, fake_BCHW)
    known = known_labels(state, part, labelled) if labelled is not None else {}
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


def lessons(state: TrainState, part: Part, fake_BCHW: Tensor) -> dict[str, tuple[Tensor, Tensor]]:
    """The images that E learns to read from labels, and the codes that it should say: by loss, those with a weight."""
    config, labelled = state.config, part.labelled
    read: dict[str, tuple[Tensor, Tensor]] = {}
    if labelled is None:
        return read
    if config.beta:
        read["loss_sup"] = labelled.img_LCHW, labelled.code_LC
    if config.alpha:
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
    return read


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


def gamma_e_now(state: TrainState) -> float:
    """gamma_E, once its part of the training has begun."""
    return state.config.gamma_e if state.progress >= state.config.gamma_e_from else 0.0
