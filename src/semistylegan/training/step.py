"""One update of D and E, and of G: what the method is, in the order in which it runs.

Suffixes: B batch of real or generated images, L batch of labelled images, C code, F factors, Z latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn

from semistylegan import losses
from semistylegan.training.state import TrainState


@dataclass(frozen=True)
class Batch:
    """What one step sees. `labelled` is None where the run has no labels."""

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


def train_step(state: TrainState, batch: Batch) -> dict[str, Tensor]:
    """Updates every network and average of `state` once; returns the losses, detached.

    Every random number is a function of (config.seed, state.step).
    """
    config, space = state.config, state.space
    random = np.random.default_rng([config.seed, 1, state.step])
    generator = torch.Generator().manual_seed(int(random.integers(2**63)))
    device = batch.real_BCHW.device
    log: dict[str, Tensor] = {}

    # Generated images, used by both updates below.
    z_BZ = torch.randn(len(batch.real_BCHW), state.G.z_dim, generator=generator).to(device)
    start = batch.real_BCHW if state.G.starts_from_image else z_BZ
    fake_BCHW = state.G(start, batch.code_BC)
    constant_fake_BCHW = fake_BCHW.detach()

    # D: tell real from generated. E: read the labelled images, mixed with others; its own reading of generated ones.
    state.opt_D.zero_grad()
    state.opt_E.zero_grad()
    logit = state.D(torch.cat([batch.real_BCHW, constant_fake_BCHW]))
    real_logit_B, fake_logit_B = logit.split(len(batch.real_BCHW))
    relativistic = config.gan == "relativistic"
    gan_discriminator = losses.relativistic_discriminator if relativistic else losses.gan_discriminator
    log["loss_gan_d"] = gan_discriminator(real_logit_B, fake_logit_B)
    log["real_score"], log["fake_score"] = real_logit_B.mean(), fake_logit_B.mean()
    loss = log["loss_gan_d"]
    if batch.labelled is not None:
        partner = (
            unlabelled_partner(state, batch.real_BCHW)
            if config.mix_with == "unlabelled"
            else (constant_fake_BCHW, batch.code_BC)
        )
        loss = loss + encoder_loss(state, batch.labelled, partner, random, generator, log)
    if gamma_e := gamma_e_now(state):
        said_BC = state.E(constant_fake_BCHW)
        loss = loss + gamma_e * losses.unsupervised(said_BC, batch.code_BC, space, config.ce_weight)
    loss.backward()
    state.opt_D.step()
    for group in state.opt_E.param_groups:
        group["lr"] = group["initial_lr"] * decay(state, floor=0.0)
    state.opt_E.step()

    # R1, lazily (Karras et al. 2020): rarely, and as much stronger.
    if config.r1_gamma and state.step % config.r1_interval == 0:
        state.opt_D.zero_grad()
        real_BCHW = batch.real_BCHW.detach().requires_grad_(True)
        log["r1"] = losses.r1_penalty(real_BCHW, state.D(real_BCHW), config.r1_gamma)
        penalty = log["r1"]
        if relativistic:
            fakes_BCHW = constant_fake_BCHW.clone().requires_grad_(True)
            penalty = penalty + losses.r1_penalty(fakes_BCHW, state.D(fakes_BCHW), config.r1_gamma)
        (penalty * config.r1_interval).backward()
        state.opt_D.step()

    # G: look real, and show what the code says. D and E are only looked through.
    state.opt_G.zero_grad()
    with frozen(state.D, state.E):
        log["loss_gan_g"] = (
            losses.relativistic_generator(state.D(batch.real_BCHW), state.D(fake_BCHW))
            if relativistic
            else losses.gan_generator(state.D(fake_BCHW))
        )
        log["loss_unsup"] = losses.unsupervised(state.E(fake_BCHW), batch.code_BC, space, config.ce_weight)
        loss = log["loss_gan_g"] + config.gamma_g * log["loss_unsup"]
        if batch.labelled is not None and config.mix_with == "fakes" and config.alpha:
            partner = (fake_BCHW, batch.code_BC)
            loss = loss + config.alpha * smoothness(state, batch.labelled, partner, random)
        if state.G.starts_from_image:
            loss = loss + keeping_loss(state, batch.real_BCHW, fake_BCHW, log)
        loss.backward()
    for group in state.opt_G.param_groups:
        group["lr"] = group["initial_lr"] * decay(state, floor=0.1)
    state.opt_G.step()

    state.step += 1
    state.images += len(batch.real_BCHW)
    update_averages(state, len(batch.real_BCHW))
    return {name: value.detach() for name, value in log.items()}


def encoder_loss(
    state: TrainState,
    labelled: LabelledBatch,
    partner: tuple[Tensor, Tensor],
    random: np.random.Generator,
    generator: torch.Generator,
    log: dict[str, Tensor],
) -> Tensor:
    """beta L_sup + alpha L_sr."""
    config = state.config
    noise_LCHW = config.label_noise * torch.randn(labelled.img_LCHW.shape, generator=generator)
    noisy = replace(labelled, img_LCHW=labelled.img_LCHW + noise_LCHW.to(labelled.img_LCHW.device))
    loss = noisy.img_LCHW.new_zeros(())
    if config.beta:
        said_LC = state.E(noisy.img_LCHW)
        log["loss_sup"] = losses.supervised(said_LC, noisy.code_LC, noisy.known_LF, state.space, config.ce_weight)
        loss = loss + config.beta * log["loss_sup"]
    if config.alpha:
        log["loss_sr"] = smoothness(state, noisy, partner, random)
        loss = loss + config.alpha * log["loss_sr"]
    return loss


def smoothness(
    state: TrainState, labelled: LabelledBatch, partner: tuple[Tensor, Tensor], random: np.random.Generator
) -> Tensor:
    """L_sr. The partner's images and codes are cut or repeated to the labelled batch's length."""
    img_LCHW = labelled.img_LCHW
    rows = torch.arange(len(img_LCHW), device=img_LCHW.device) % len(partner[0])
    share_L = losses.mix_share(len(img_LCHW), state.config.xi, random).to(img_LCHW.device)
    mixed_LCHW = losses.mix(img_LCHW, partner[0][rows], share_L)
    mixed_LC = losses.mix(labelled.code_LC, partner[1][rows], share_L)
    return losses.supervised(state.E(mixed_LCHW), mixed_LC, labelled.known_LF, state.space, state.config.ce_weight)


def keeping_loss(state: TrainState, real_BCHW: Tensor, fake_BCHW: Tensor, log: dict[str, Tensor]) -> Tensor:
    """gamma_rec L_rec + gamma_cycle L_cycle: what makes an editor keep what its code does not name.

    Half of the images keep their own code and should stay as they are, the other half's edits get it back and should
    be what they were (all of them, where one of the weights is 0). An image's own code is the averaged E's reading.
    """
    config = state.config
    weights = (config.gamma_rec, config.gamma_cycle)
    if not any(weights):
        return fake_BCHW.new_zeros(())
    rows = len(real_BCHW) // 2 if all(weights) else len(real_BCHW) if config.gamma_rec else 0
    _, own_BC = unlabelled_partner(state, real_BCHW)
    back_BCHW = state.G(torch.cat([real_BCHW[:rows], fake_BCHW[rows:]]), own_BC)
    loss = fake_BCHW.new_zeros(())
    for name, weight, part in (("loss_rec", weights[0], slice(rows)), ("loss_cycle", weights[1], slice(rows, None))):
        if weight:
            log[name] = losses.pixels(back_BCHW[part], real_BCHW[part])
            loss = loss + weight * log[name]
    return loss


@torch.no_grad()
def unlabelled_partner(state: TrainState, real_BCHW: Tensor) -> tuple[Tensor, Tensor]:
    """Real images whose labels nobody looks at, with the averaged E's reading in place of a code."""
    return real_BCHW, losses.soften(state.E_ema(real_BCHW), state.space)


def gamma_e_now(state: TrainState) -> float:
    """gamma_E, once its part of the training has begun."""
    return state.config.gamma_e if state.progress >= state.config.gamma_e_from else 0.0


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
