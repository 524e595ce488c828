"""Training: one step does what it says, a killed run ends with the same bytes, bad input is one line."""

from __future__ import annotations

import dataclasses
import functools
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

import semistylegan as ssg
from semistylegan import files, losses
from semistylegan.data.dataset import Dataset
from semistylegan.data.pictures import save_png, to_float
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.losses import moved, tinted, unsupervised
from semistylegan.metrics.evaluate import evaluate
from semistylegan.models.checkpoint import load_model
from semistylegan.training import Run, TrainConfig, loop, train
from semistylegan.training.device import about_precision, arithmetic
from semistylegan.training.feed import Feed, labels_and_space
from semistylegan.training.loop import Diverged
from semistylegan.training.objective import (
    Log,
    generate,
    gradient_penalty,
    look,
    loss_of_D_and_E,
    loss_of_G,
    read_once,
    reading,
)
from semistylegan.training.parts import Batch, LabelledBatch, Part, changes, split
from semistylegan.training.scope import completed, notes_on_labels
from semistylegan.training.state import TrainState
from semistylegan.training.step import Passes, decay, train_step, update_averages

SPACE = FactorSpace.grid({"a": 3, "b": 4})


def make_state(**fields: Any) -> TrainState:
    config = TrainConfig.preset(
        "semi", "none", "none", **{"kimg": 1.0, "batch": 4, "labelled_batch": 4, **fields}
    ).resolved(16)
    return TrainState.create(config, config.networks(16, 3, SPACE.code_width), SPACE, torch.device("cpu"))


def make_batch(known: bool = True, code: float = 0.5, rows: int = 4) -> Batch:
    generator = torch.Generator().manual_seed(0)
    labelled = LabelledBatch(
        img_LCHW=torch.randn(4, 3, 16, 16, generator=generator),
        code_LC=torch.full((4, 2), code),
        known_LF=torch.full((4, 2), known),
    )
    return Batch(torch.randn(rows, 3, 16, 16, generator=generator), torch.rand(rows, 2, generator=generator), labelled)


def weights(network: torch.nn.Module) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for p in network.parameters()])


@pytest.mark.parametrize("encoder", ["separate", "shared"])
@pytest.mark.parametrize("mix_with", ["unlabelled", "fakes", "labelled"])
def test_a_step_updates_every_network(encoder: str, mix_with: str) -> None:
    state = make_state(encoder=encoder, mix_with=mix_with, beta=1.0, gamma_e=1.0)
    networks = [state.G, state.D, state.E, state.G_ema, state.E_ema]
    before = [weights(n) for n in networks]
    log = train_step(state, make_batch())
    assert not any(torch.equal(b, weights(n)) for b, n in zip(before, networks, strict=True))
    assert {"loss_gan_d", "loss_gan_g", "loss_unsup", "loss_sup", "loss_sr", "r1"} <= set(log)
    assert all(torch.isfinite(v) for v in log.values())
    assert (state.step, state.images) == (1, 4)
    assert all(p.requires_grad for p in state.D.parameters())


def test_a_step_is_a_function_of_the_state_and_the_batch() -> None:
    states = [make_state(), make_state()]
    for state in states:
        torch.manual_seed(time.time_ns() % 2**31)  # the global generator must not matter
        train_step(state, make_batch())
    assert torch.equal(weights(states[0].G), weights(states[1].G))
    assert torch.equal(weights(states[0].E), weights(states[1].E))


def test_labels_that_are_not_known_change_nothing() -> None:
    """The walk of a label ends at the mask: with it off, the code's entries cannot reach any weight."""
    states = [make_state(beta=1.0) for _ in range(3)]
    train_step(states[0], make_batch(known=False, code=0.2))
    train_step(states[1], make_batch(known=False, code=float("nan")))
    train_step(states[2], make_batch(known=True, code=0.2))
    assert torch.equal(weights(states[0].E), weights(states[1].E))
    assert not torch.equal(weights(states[0].E), weights(states[2].E))


def test_r1_in_every_step_is_a_term_of_the_loss() -> None:
    """As in the paper: one update of D from the gradients of both."""
    apart, together = make_state(r1_gamma=5.0, r1_interval=16), make_state(r1_gamma=5.0, r1_interval=1)
    passes = Passes(apart, split(apart, make_batch()))
    gradients = []
    for run in (passes.of_D_and_E, passes.of_penalty):
        run()
        assert apart.opt_D.unit.grad is not None
        gradients.append(apart.opt_D.unit.grad.clone())
    train_step(together, make_batch())
    assert together.opt_D.tensors()["step"] == 1
    torch.testing.assert_close(together.opt_D.unit.grad, (gradients[0] + gradients[1] / 16) * together.opt_D.rate)


@pytest.mark.parametrize(("mix_with", "teaches"), [("fakes", True), ("unlabelled", False)])
def test_smoothness_teaches_the_generator_through_its_own_images(mix_with: str, teaches: bool) -> None:
    """With `fakes`, G minimises alpha L_sr too: its update then depends on the labelled codes."""
    states = [make_state(mix_with=mix_with, lr_e=1e-12) for _ in range(2)]
    for state, code in zip(states, (0.1, 0.9), strict=True):
        train_step(state, make_batch(code=code))
    assert torch.equal(weights(states[0].G), weights(states[1].G)) != teaches


def test_mixed_with_each_other_the_encoder_learns_from_labelled_images_alone() -> None:
    batch = make_batch()
    others = dataclasses.replace(batch, real_BCHW=batch.real_BCHW.flip(3), code_BC=1 - batch.code_BC)
    states = [make_state(mix_with="labelled", gamma_doubt=0.0) for _ in range(2)]
    train_step(states[0], batch)
    train_step(states[1], others)
    assert torch.equal(weights(states[0].E), weights(states[1].E))
    # The neighbour's unknown label must not be mixed in.
    assert batch.labelled is not None
    known = batch.labelled.known_LF.clone()
    known[0, 0] = False
    codes = [batch.labelled.code_LC.clone() for _ in range(2)]
    codes[1][0, 0] = 1e3
    told = []
    for code in codes:
        state = make_state(mix_with="labelled", gamma_doubt=0.0)
        train_step(state, dataclasses.replace(batch, labelled=LabelledBatch(batch.labelled.img_LCHW, code, known)))
        told.append(weights(state.E))
    assert torch.equal(*told)


def made_of(state: TrainState) -> tuple[Part, torch.Tensor, dict[str, torch.Tensor]]:
    """What a step sees, what G draws for it, and D's logits of real and generated images."""
    part = read_once(state, split(state, make_batch())[0])
    fakes = generate(state, part)
    return part, fakes, {"real": state.D(part.real_BCHW), "fake": state.D(fakes)}


def test_D_and_E_minimise_the_sum_of_their_terms_by_weight() -> None:
    weights = {"alpha": 0.7, "beta": 0.4, "gamma_e": 2.0, "gamma_doubt": 0.0}
    state = make_state(**weights, mix_with="fakes", shift=0.25, shift_keeps="b", tint=1.0, tint_keeps="a")
    with torch.no_grad():
        part, fakes, logits = made_of(state)
        log = Log(1)
        loss, means = loss_of_D_and_E(state, part, fakes, log), log.means
        unsup = losses.unsupervised(state.E(fakes), part.code_BC, SPACE, state.config.ce_weight)
        # L_sr: the labelled side counts by its share, in images as in codes.
        assert part.labelled is not None
        img = losses.mix(part.labelled.img_LCHW, fakes, part.share_2L[0])
        code = losses.mix(part.labelled.code_LC, part.code_BC, part.share_2L[0])
        smooth = losses.supervised(state.E(img), code, part.labelled.known_LF, SPACE)
        gan = losses.gan_discriminator(logits["real"], logits["fake"])
    assert float(means["loss_sr"]) == pytest.approx(float(smooth), rel=1e-4)
    assert float(means["loss_gan_d"]) == pytest.approx(float(gan), rel=1e-4)
    expected = gan + 0.4 * means["loss_sup"] + 0.7 * (smooth + means["loss_aug"]) + 2 * unsup
    assert float(loss) == pytest.approx(float(expected), rel=1e-4)
    for side in ("real", "fake"):
        assert float(means[f"{side}_score"]) == pytest.approx(float(logits[side].mean()), rel=1e-3, abs=1e-5)


def test_G_minimises_the_sum_of_its_terms_by_weight() -> None:
    state = make_state(mix_with="fakes", gamma_g=3.0, alpha=0.7, gamma_doubt=0.0)
    with torch.no_grad():
        part, fakes, _ = made_of(state)
        log = Log(1)
        loss, means = loss_of_G(state, part, fakes, log), log.means
        assert part.labelled is not None
        img = losses.mix(part.labelled.img_LCHW, fakes, part.share_2L[1])
        code = losses.mix(part.labelled.code_LC, part.code_BC, part.share_2L[1])
        smooth = losses.supervised(state.E(img), code, part.labelled.known_LF, SPACE)
        unsup = losses.unsupervised(state.E(fakes), part.code_BC, SPACE)
    assert float(means["loss_unsup"]) == pytest.approx(float(unsup), rel=1e-4)
    assert float(loss) == pytest.approx(float(means["loss_gan_g"] + 3 * unsup + 0.7 * smooth), rel=1e-4)


def test_relativistic_pairs_have_two_sides_and_two_penalties() -> None:
    state = make_state(gan="relativistic", r1_gamma=5.0)
    part, fakes, logits = made_of(state)
    log = Log(1)
    loss_of_D_and_E(state, part, fakes.detach(), log)
    loss_of_G(state, part, fakes, log)
    for name, loss in (("d", losses.relativistic_discriminator), ("g", losses.relativistic_generator)):
        expected = float(loss(logits["real"], logits["fake"]).detach())
        assert float(log.means[f"loss_gan_{name}"]) == pytest.approx(expected, rel=1e-4)
    both = []
    for img in (part.real_BCHW, fakes):
        img = img.detach().requires_grad_()
        both.append(float(losses.r1_penalty(img, state.D(img), 5.0).detach()))
    assert float(gradient_penalty(state, part, fakes, log).detach()) == pytest.approx(sum(both), rel=1e-3)


def test_readings_are_codes_of_the_averaged_encoder() -> None:
    space = SPACE.with_classes(["a"])
    settings = make_state().config
    model = settings.networks(16, 3, space.code_width)
    state, img = TrainState.create(settings, model, space, torch.device("cpu")), torch.randn(2, 3, 16, 16)
    before = reading(state, img)
    torch.testing.assert_close(before[:, :3].sum(dim=1), torch.ones(2))
    with torch.no_grad():
        state.E.out.bias += 1
        assert torch.equal(reading(state, img), before)
        state.E_ema.out.bias += 1
    torch.testing.assert_close(reading(state, img)[:, 3], before[:, 3] + 1)


@pytest.mark.parametrize(("images", "batch"), [(1_000_000, 4000), (4000, 400)])
def test_averages_move_three_quarters_of_the_way_in_two_half_lives(images: int, batch: int) -> None:
    """Half-lives of 2 kimg; at first of a twentieth of what was seen."""
    state = make_state(ema_kimg=2.0)
    state.images = images
    with torch.no_grad():
        for average, network in ((state.G_ema, state.G), (state.E_ema, state.E)):
            for own, parameter in zip(average.parameters(), network.parameters(), strict=True):
                own.fill_(1.0), parameter.fill_(3.0)
    update_averages(state, batch)
    for average in (state.G_ema, state.E_ema):
        torch.testing.assert_close(weights(average), torch.full_like(weights(average), 2.5))


def test_at_the_end_E_has_no_rate_G_a_tenth_and_D_its_own() -> None:
    state = make_state(lr_g=0.006, lr_d=0.004, lr_e=0.015)
    state.images = 1000
    train_step(state, make_batch())
    rates = [optimiser.adam.param_groups[0]["lr"] for optimiser in (state.opt_G, state.opt_D, state.opt_E)]
    assert rates == pytest.approx([0.0006, 0.004, 0.0])


def test_D_is_updated_once_more_where_r1_is_lazy() -> None:
    state, updates = make_state(r1_interval=2), []
    for _ in range(3):
        train_step(state, make_batch())
        updates.append(int(state.opt_D.tensors()["step"]))
    assert updates == [2, 3, 5]


def test_only_E_has_momentum() -> None:
    state = make_state()
    betas = [optimiser.adam.param_groups[0]["betas"] for optimiser in (state.opt_G, state.opt_D, state.opt_E)]
    assert betas == [(0.0, 0.99), (0.0, 0.99), (0.9, 0.99)]


def test_random_numbers_are_of_the_seed_and_of_the_step() -> None:
    def drawn(seed: int, step: int) -> torch.Tensor:
        state = make_state(seed=seed)
        state.step = step
        return split(state, make_batch())[0].z_BZ

    first = drawn(0, 0)
    assert torch.equal(drawn(0, 0), first)
    assert not torch.equal(drawn(1, 0), first) and not torch.equal(drawn(0, 1), first)


@pytest.mark.parametrize("noise", [0.0, 0.5])
def test_labelled_images_are_noisy_as_asked(noise: float) -> None:
    batch = make_batch()
    (part,) = split(make_state(label_noise=noise), batch)
    assert part.labelled is not None and batch.labelled is not None
    away = (part.labelled.img_LCHW - batch.labelled.img_LCHW).std().item()
    assert away == pytest.approx(noise, rel=0.1, abs=1e-9)


def test_shares_are_drawn_as_asked() -> None:
    (half,), (one,) = (split(make_state(xi=xi), make_batch()) for xi in (1e4, 1e-4))
    assert half.share_2L.max() < 0.55 and one.share_2L.min() > 0.95


def test_images_are_moved_either_way_as_far_as_asked() -> None:
    state = make_state(shift=0.25, shift_keeps="b")
    moves_2L, _, _ = changes(state, 500, torch.zeros(1, 3, 16, 16), np.random.default_rng(0))
    assert moves_2L.amin(dim=1).tolist() == [-4, -4] and moves_2L.amax(dim=1).tolist() == [4, 4]


def test_learning_rates_fall_in_the_second_half() -> None:
    state = make_state(lr_decay_from=0.5)
    assert [decay(state, 0.1)] == [1.0]
    state.images = 750
    assert decay(state, 0.1) == pytest.approx(0.5)
    state.images = 1000
    assert (decay(state, 0.1), decay(state, 0.0)) == (0.1, 0.0)


@pytest.mark.parametrize("gan", ["logistic", "relativistic"])
def test_both_gan_losses_train(gan: str) -> None:
    state = make_state(gan=gan)
    log = train_step(state, make_batch())
    assert all(torch.isfinite(v) for v in log.values()) and log["loss_gan_d"] > 0


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"mix_with": "fakes", "beta": 1.0, "gamma_e": 1.0, "gan": "relativistic"},
        {"mix_with": "labelled", "shift": 0.25, "shift_keeps": "b", "tint": 1.0, "tint_keeps": "a"},
    ],
)
@pytest.mark.parametrize("encoder", ["separate", "shared"])
def test_a_batch_in_parts_gives_the_same_weights(fields: dict[str, Any], encoder: str) -> None:
    """In double precision, over steps with and without R1."""
    try:
        torch.set_default_dtype(torch.float64)
        states = [make_state(batch=8, encoder=encoder, micro_batch=m, **fields) for m in (0, 4)]
        for _ in range(3):
            logs = [train_step(state, double(make_batch(rows=8))) for state in states]
    finally:
        torch.set_default_dtype(torch.float32)
    for name in ("G", "D", "E", "G_ema", "E_ema"):
        whole, parts = (weights(getattr(state, name)) for state in states)
        torch.testing.assert_close(whole, parts, rtol=1e-9, atol=1e-11)
    for key, value in logs[0].items():
        assert float(value) == pytest.approx(float(logs[1][key]), rel=1e-6)


@pytest.mark.parametrize("mix_with", ["labelled", "unlabelled", "fakes"])
def test_a_batch_in_parts_gives_the_same_weights_where_labels_are_missing(mix_with: str) -> None:
    """In the first of two parts one row has no label, the others have none in common; in the second all are known."""
    try:
        torch.set_default_dtype(torch.float64)
        batch = double(make_batch(rows=8))
        assert batch.labelled is not None
        known = torch.tensor([[True, False], [False, mix_with == "labelled"], [True, True], [True, True]])
        batch = dataclasses.replace(batch, labelled=dataclasses.replace(batch.labelled, known_LF=known))
        fields = {"mix_with": mix_with, "beta": 1.0, "shift": 0.25, "shift_keeps": "b", "tint": 1.0, "tint_keeps": "a"}
        states = [make_state(batch=8, micro_batch=m, **fields) for m in (0, 4)]
        logs = [train_step(state, batch) for state in states]
    finally:
        torch.set_default_dtype(torch.float32)
    for name in ("G", "E"):
        torch.testing.assert_close(*(weights(getattr(state, name)) for state in states), rtol=1e-9, atol=1e-11)
    for key, value in logs[0].items():
        assert float(value) == pytest.approx(float(logs[1][key]), rel=1e-6)


def double(batch: Batch) -> Batch:
    labelled = batch.labelled
    assert labelled is not None
    labelled = LabelledBatch(labelled.img_LCHW.double(), labelled.code_LC.double(), labelled.known_LF)
    return Batch(batch.real_BCHW.double(), batch.code_BC.double(), labelled)


@pytest.mark.parametrize("kind", ["shift", "tint"])
def test_changed_images_teach_what_stays_and_nothing_else(kind: str) -> None:
    batch = make_batch()
    state = make_state(**{kind: 0.25, f"{kind}_keeps": "b"}, gamma_doubt=0.0)
    (part,) = split(state, batch)
    assert part.labelled is not None and batch.labelled is not None
    if kind == "shift":
        assert 0 < part.moves_2L.abs().max() <= 4  # a quarter of 16 pixels
        changed = moved(part.labelled.img_LCHW, part.moves_2L)
    else:
        changed = tinted(part.labelled.img_LCHW, part.tints_LCD)
        assert (changed - part.labelled.img_LCHW).abs().flatten(1).amax(1).min() > 0.01
    with torch.no_grad():
        away = (state.E(changed) - part.labelled.code_LC)[:, 1].abs().mean()
    assert float(train_step(state, batch)["loss_aug"]) == pytest.approx(float(away), rel=1e-4)
    # The mean is over all rows that have a label, also those whose label a changed image does not keep.
    labelled = dataclasses.replace(part.labelled, known_LF=torch.tensor([[True, True], [True, False]] * 2))
    some = dataclasses.replace(batch, labelled=dataclasses.replace(labelled, img_LCHW=batch.labelled.img_LCHW))
    with torch.no_grad():
        away = (make_state(gamma_doubt=0.0).E(changed) - labelled.code_LC)[::2, 1].abs().sum() / 4
    found = train_step(make_state(**{kind: 0.25, f"{kind}_keeps": "b"}, gamma_doubt=0.0), some)["loss_aug"]
    assert float(found) == pytest.approx(float(away), rel=1e-4)
    for nothing in ({kind: 0.25, f"{kind}_keeps": "none"}, {kind: 0.0, f"{kind}_keeps": "b"}):
        assert "loss_aug" not in train_step(make_state(**nothing), batch)
    # What else a step draws does not depend on it.
    (other,) = split(make_state(), batch)
    assert torch.equal(other.z_BZ, part.z_BZ) and torch.equal(other.share_2L, part.share_2L)


@pytest.mark.parametrize("micro_batch", [0, 2])
def test_images_are_moved_and_tinted_by_turns(micro_batch: int) -> None:
    fields = {"shift": 0.25, "shift_keeps": "b", "tint": 1.0, "tint_keeps": "a", "micro_batch": micro_batch}
    parts = split(make_state(**fields), make_batch())
    moves_L2 = torch.cat([part.moves_2L for part in parts], dim=1).t()
    tints_LCD = torch.cat([part.tints_LCD for part in parts])
    stays_LF = torch.cat([part.stays_LF for part in parts])
    as_they_are = torch.eye(3, 4)
    assert stays_LF.tolist() == [[False, True], [True, False]] * 2
    assert moves_L2[::2].any(dim=1).all() and not moves_L2[1::2].any()
    assert torch.equal(tints_LCD[::2], as_they_are.expand(2, -1, -1))
    assert (tints_LCD[1::2] != as_they_are).flatten(1).any(dim=1).all()


def test_a_single_labelled_image_is_moved_in_one_step_and_tinted_in_the_next() -> None:
    fields = {"shift": 0.25, "shift_keeps": "b", "tint": 1.0, "tint_keeps": "a", "labelled_batch": 1}
    state, batch, stays = make_state(**fields), make_batch(), []
    assert batch.labelled is not None
    one = LabelledBatch(batch.labelled.img_LCHW[:1], batch.labelled.code_LC[:1], batch.labelled.known_LF[:1])
    for state.step in range(3):
        (part,) = split(state, dataclasses.replace(batch, labelled=one))
        stays += part.stays_LF.tolist()
    assert stays == [[False, True], [True, False], [False, True]]


def test_real_and_generated_images_do_not_share_a_minibatch_deviation() -> None:
    """D must not see whether other real images are like its generated ones."""
    state, (a, b, c) = make_state(), torch.randn(3, 4, 3, 16, 16)
    with torch.no_grad():
        (first, _), (second, _) = look(state, [a, b], [])[0], look(state, [a, c], [])[0]
    torch.testing.assert_close(first, second)
    torch.testing.assert_close(first, state.D(a))


@pytest.mark.parametrize("encoder", ["separate", "shared"])
@pytest.mark.parametrize("gamma_doubt", [0.0, 0.1])
def test_one_pass_reads_what_two_do(encoder: str, gamma_doubt: float) -> None:
    state, (a, b) = make_state(encoder=encoder, gamma_doubt=gamma_doubt), torch.randn(2, 4, 3, 16, 16)
    close = functools.partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)
    with torch.no_grad():
        logits, by_head = look(state, [a, b], [b, a])
        close(torch.stack(logits), torch.stack([state.D(a), state.D(b)]))
        close(torch.stack(by_head[0]), torch.stack([state.E(b), state.E(a)]))
        assert len(by_head) == (2 if gamma_doubt else 1)
        if gamma_doubt:
            close(by_head[1][0], second_reading(state, b))


def second_reading(state: TrainState, img: torch.Tensor) -> torch.Tensor:
    assert state.E.second is not None
    return state.E.second.code(state.E.trunk(img))


def test_gamma_e_begins_when_it_should() -> None:
    states = [make_state(gamma_e=5.0, gamma_e_from=0.5), make_state(gamma_e=0.0)]
    for state in states:
        train_step(state, make_batch())
    assert torch.equal(weights(states[0].E), weights(states[1].E))
    for state in states:
        state.images = 500
        train_step(state, make_batch())
    assert not torch.equal(weights(states[0].E), weights(states[1].E))


@pytest.mark.parametrize("encoder", ["separate", "shared"])
def test_an_encoder_that_nothing_teaches_yet_stays_as_it_is(encoder: str) -> None:
    fields = {"kimg": 0.008, "alpha": 0.0, "gamma_doubt": 0.0, "gamma_e": 1.0, "gamma_e_from": 0.5}
    state = make_state(encoder=encoder, **fields)
    before = weights(state.E.out)
    train_step(state, make_batch())
    assert torch.equal(weights(state.E.out), before)
    train_step(state, make_batch())
    assert not torch.equal(weights(state.E.out), before)


@pytest.mark.parametrize("mix_with", ["unlabelled", "labelled"])
def test_doubt_teaches_E_to_read_generated_images_as_the_real_ones_beside_them(mix_with: str) -> None:
    state, batch = make_state(alpha=float(mix_with == "labelled"), mix_with=mix_with, gamma_doubt=1.0), make_batch()
    own, passes = reading(state, batch.real_BCHW), Passes(state, split(state, batch))
    passes.of_D_and_E()

    def away() -> float:
        with torch.no_grad():
            return float(unsupervised(second_reading(state, passes.fakes[0]), own, SPACE, state.config.ce_weight))

    before = away()
    assert float(passes.losses()["loss_doubt"]) == pytest.approx(before, rel=1e-4)
    for _ in range(20):
        passes.of_D_and_E()
        state.opt_E.step()
    assert away() < 0.8 * before


def gradients(state: TrainState, network: torch.nn.Module) -> torch.Tensor:
    """Of a step's first passes, over these weights."""
    passes = Passes(state, split(state, make_batch()))
    passes.of_D_and_E()
    if network is state.G:
        passes.of_G()
    return torch.cat([p.grad.flatten() for p in network.parameters() if p.grad is not None])


def test_what_E_says_itself_does_not_doubt() -> None:
    """Doubt moves the second head (and the trunk), not the head whose readings users get."""
    little, much = make_state(gamma_doubt=1e-3), make_state(gamma_doubt=10.0)
    for layer in ("conv", "hidden", "out"):
        torch.testing.assert_close(*(gradients(state, getattr(state.E, layer)) for state in (little, much)))
        small, large = (gradients(state, getattr(state.E.second, layer)) for state in (little, much))
        assert not torch.allclose(small, large, rtol=0.1)


def test_what_generated_images_teach_E_does_not_reach_the_head_that_doubts() -> None:
    """gamma_e moves the head whose readings users get (and the trunk), not the one that G is read by."""
    little, much = (make_state(gamma_doubt=0.1, gamma_e=gamma_e) for gamma_e in (1e-3, 10.0))
    for layer in ("conv", "hidden", "out"):
        torch.testing.assert_close(*(gradients(state, getattr(state.E.second, layer)) for state in (little, much)))
        small, large = (gradients(state, getattr(state.E, layer)) for state in (little, much))
        assert not torch.allclose(small, large, rtol=0.1)


def test_G_is_read_by_the_head_that_doubts() -> None:
    plain, own, second = (make_state(gamma_doubt=0.1, gamma_g=10.0) for _ in range(3))
    assert second.E.second is not None
    with torch.no_grad():
        own.E.out.weight.neg_()
        second.E.second.out.weight.neg_()
    torch.testing.assert_close(gradients(plain, plain.G), gradients(own, own.G))
    assert not torch.allclose(gradients(plain, plain.G), gradients(second, second.G), rtol=0.1)


def test_E_keeps_its_weights_in_the_order_of_earlier_checkpoints() -> None:
    """An optimiser's vector has no names: in another order a resumed run would get its weights back mixed up."""
    order = list(dict.fromkeys(name.split(".")[0] for name, _ in make_state(gamma_doubt=0.1).E.named_parameters()))
    assert order == ["trunk", "conv", "hidden", "out", "second"]


def test_a_model_whose_E_has_two_heads_is_saved_and_loaded(tmp_path: Path) -> None:
    state, img = make_state(gamma_doubt=0.1), torch.randn(2, 3, 16, 16)
    train_step(state, make_batch())
    state.save(tmp_path / "checkpoint")
    other = make_state(gamma_doubt=0.1, seed=1)
    other.load(tmp_path / "checkpoint")
    with torch.no_grad():
        assert torch.equal(second_reading(other, img), second_reading(state, img))
        assert torch.equal(load_model(tmp_path / "checkpoint").E(img), state.E_ema(img))
    with pytest.raises(UserError, match="does not fit these networks"):
        make_state(gamma_doubt=0.0).load(tmp_path / "checkpoint")


def test_a_shared_encoder_shares_the_trunk_and_no_weight_is_updated_twice() -> None:
    state = make_state(encoder="shared")
    assert state.E.trunk is state.D.trunk
    of_D = {id(p) for p in state.opt_D.parameters}
    assert not of_D & {id(p) for p in state.opt_E.parameters}
    assert state.E_ema.trunk is not state.D.trunk


def test_the_encoder_learns_its_labelled_images() -> None:
    """60 steps on one small batch: E must read it far better than at first."""
    state = make_state(beta=1.0, label_noise=0.0)
    batch = make_batch()
    assert batch.labelled is not None
    codes = torch.tensor([[0.0, 1.0], [1.0, 0.0], [0.5, 0.5], [0.0, 0.0]])
    batch = dataclasses.replace(batch, labelled=dataclasses.replace(batch.labelled, code_LC=codes))
    first = (state.E(batch.labelled.img_LCHW) - codes).norm(dim=1).mean().item()  # type: ignore[union-attr]
    for _ in range(60):
        train_step(state, batch)
    last = (state.E(batch.labelled.img_LCHW) - codes).norm(dim=1).mean().item()  # type: ignore[union-attr]
    assert last < 0.3 * first


def test_state_saves_and_loads_bit_for_bit(tmp_path: Path) -> None:
    through, restarted = make_state(beta=1.0), make_state(beta=1.0)
    for _ in range(3):
        train_step(through, make_batch())
    through.save(tmp_path / "checkpoint-000000")
    restarted.load(tmp_path / "checkpoint-000000")
    for state in (through, restarted):
        for _ in range(3):
            train_step(state, make_batch())
    for name, network in through._networks().items():
        assert torch.equal(weights(network), weights(restarted._networks()[name])), name


# -- whole runs --------------------------------------------------------------------------------------------------


def config(data: Path, out: Path, **fields: Any) -> TrainConfig:
    fields = {
        "kimg": 0.096,
        "batch": 16,
        "labelled_batch": 16,
        "tick_kimg": 0.032,
        "snap_kimg": 0.032,
        "label_fraction": 0.1,
        "threads": 1,
    } | fields
    return TrainConfig.preset(fields.pop("preset", "semi"), str(data), str(out), **fields)


def test_a_run_leaves_the_files_that_users_know(sprites_zip: Path, tmp_path: Path) -> None:
    run = train(config(sprites_zip, tmp_path / "run"))
    names = {p.name for p in run.path.iterdir()}
    assert {"config.json", "factors.json", "labels.csv", "stats.jsonl", "reals.png"} <= names
    assert {p.name for p in run.path.glob("checkpoint-*")} == {f"checkpoint-000000.0{k}" for k in (32, 64, 96)}
    sheets = [run.path / f"fakes000000{kimg}.png" for kimg in ("", ".032", ".064", ".096")]  # the start, and snapshots
    assert set(run.path.glob("fakes*")) == set(sheets) and len({sheet.read_bytes() for sheet in sheets}) == 4
    resumable = [p.name for p in sorted(run.path.glob("checkpoint-*")) if (p / "train-state.safetensors").exists()]
    assert resumable == ["checkpoint-000000.064", "checkpoint-000000.096"]
    assert [row["kimg"] for row in run.stats()] == [0.032, 0.064, 0.096]
    assert run.config.lr_g == 0.006 and run.document()["semistylegan"]
    data = Dataset.open(sprites_zip)
    assert len(run.dataset().labels.labelled_rows) == round(0.1 * len(data))
    assert load_model(run.checkpoint()).space == data.space
    before = (run.checkpoint() / "model.safetensors").read_bytes()
    train(config(sprites_zip, tmp_path / "run"))  # done: nothing to do, nothing changed
    assert (run.checkpoint() / "model.safetensors").read_bytes() == before


def test_a_run_that_another_training_began_goes_on_and_is_told_of(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = TrainConfig.preset(
        "info", str(sprites_zip), str(tmp_path / "run"), kimg=0.008, batch=4, device="cpu", snap_kimg=1.0
    )
    run = train(config)
    document = run.document()
    assert document["training_version"] == 1
    said = []
    for changed in ({"training_version": 1}, {}, {"training_version": 7}):
        kept = {k: v for k, v in document.items() if k != "training_version"}
        files.write_json(run.path / "config.json", {**kept, **changed})
        capsys.readouterr()
        train(config)
        said.append(sum("begun by version 7 of the training" in line for line in capsys.readouterr().err.splitlines()))
    assert said == [0, 0, 1]


@pytest.mark.parametrize("moment", ["start", "middle", "write"])
def test_kill_9_and_resume_gives_the_same_bytes(sprites_zip: Path, tmp_path: Path, moment: str) -> None:
    settings = {"kimg": 0.32, "snap_kimg": 0.064, "tick_kimg": 0.016}
    whole = train(config(sprites_zip, tmp_path / "whole", **settings))
    killed = config(sprites_zip, tmp_path / "killed", **settings)
    code = (
        "import json, sys, os, signal; from semistylegan.training import TrainConfig, train;"
        "from semistylegan.training import state;"
        "save = state.write_json;"
        "die = lambda *a: os.kill(os.getpid(), signal.SIGKILL) if sys.argv[2] == 'write' and"
        " 'checkpoint-000000.192' in str(a[0]) else save(*a);"
        "state.write_json = die;"
        "train(TrainConfig.from_json(json.loads(sys.argv[1])))"
    )
    arguments = [sys.executable, "-c", code, json.dumps(killed.to_json()), moment]
    process = subprocess.Popen(arguments, stderr=subprocess.DEVNULL, env=os.environ | {"OMP_NUM_THREADS": "1"})
    stats, wanted = tmp_path / "killed" / "stats.jsonl", {"start": 1, "middle": 7, "write": 10**9}[moment]
    deadline = time.monotonic() + 120
    while process.poll() is None and time.monotonic() < deadline:
        if stats.exists() and stats.read_text().count("\n") >= wanted:
            process.send_signal(signal.SIGKILL)
            break
        time.sleep(0.005)
    assert process.wait(timeout=60) == -signal.SIGKILL, "it ended before it could be killed"
    resumed = train(killed)
    assert resumed.checkpoint().name == whole.checkpoint().name
    for name in ("model.safetensors", "train-state.safetensors"):
        assert (resumed.checkpoint() / name).read_bytes() == (whole.checkpoint() / name).read_bytes(), name
    steady = [{k: v for k, v in row.items() if not k.startswith(("sec", "mem"))} for row in resumed.stats()]
    assert steady == [{k: v for k, v in row.items() if not k.startswith(("sec", "mem"))} for row in whole.stats()]
    assert not list(resumed.path.glob(".*part"))


def test_ctrl_c_writes_a_checkpoint_first(sprites_zip: Path, tmp_path: Path) -> None:
    settings = config(sprites_zip, tmp_path / "run", kimg=50.0, snap_kimg=50.0)
    code = (
        "import json, sys; from semistylegan.training import TrainConfig, train;"
        "train(TrainConfig.from_json(json.loads(sys.argv[1])))"
    )
    process = subprocess.Popen([sys.executable, "-c", code, json.dumps(settings.to_json())], stderr=subprocess.PIPE)
    stats, deadline = tmp_path / "run" / "stats.jsonl", time.monotonic() + 120
    while not (stats.exists() and stats.read_text()) and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert b"KeyboardInterrupt" in errors
    assert load_model(Run(tmp_path / "run").checkpoint())


def test_interrupted_in_a_snapshot_it_ends_with_what_an_uninterrupted_run_has(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the second step, whose checkpoint is a snapshot: its pictures are drawn, its scores made up for."""

    def drawn(name: str) -> dict[float, bytes]:
        pictures: dict[float, bytes] = {}

        def keep(checkpoint: Path, kimg: float) -> None:
            assert load_model(checkpoint)
            pictures[kimg] = (tmp_path / name / f"fakes{kimg:010.3f}.png").read_bytes()

        train(config(sprites_zip, tmp_path / name), on_snapshot=keep)
        return pictures

    @contextmanager
    def ctrl_c() -> Iterator[Callable[[], bool]]:
        steps = itertools.count(1)
        yield lambda: next(steps) == 2

    whole = drawn("whole")
    with monkeypatch.context() as patched:
        patched.setattr(loop, "interruptible", ctrl_c)
        with pytest.raises(KeyboardInterrupt):
            drawn("run")
    assert (tmp_path / "run" / "fakes000000.032.png").read_bytes() == whole[0.032]
    assert list(whole) == [0.032, 0.064, 0.096] and drawn("run") == whole
    assert {p.name for p in (tmp_path / "run").iterdir()} == {p.name for p in (tmp_path / "whole").iterdir()}


def test_every_step_is_in_one_line_of_the_log_whatever_interrupts_it(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C in the second step of four that one line sums up."""

    @contextmanager
    def ctrl_c() -> Iterator[Callable[[], bool]]:
        steps = itertools.count(1)
        yield lambda: next(steps) == 2

    fields = {"kimg": 0.064, "tick_kimg": 0.064, "snap_kimg": 1.0, "width": 8}
    (whole,) = train(config(sprites_zip, tmp_path / "whole", **fields)).stats()
    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(loop, "interruptible", ctrl_c)
        train(config(sprites_zip, tmp_path / "run", **fields))
    first, second = train(config(sprites_zip, tmp_path / "run", **fields)).stats()
    assert (first["kimg"], second["kimg"]) == (0.032, 0.064)
    for name in ("loss_gan_d", "loss_gan_g", "loss_unsup", "loss_sr"):
        assert (first[name] + second[name]) / 2 == pytest.approx(whole[name], rel=1e-6)


STEADY = {"lr_decay_from": 1.0, "gamma_doubt": 0.0, "width": 8}
"""A training of which nothing depends on how far it is."""


def test_a_longer_end_is_that_of_a_run_which_was_planned_so_where_nothing_falls(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = train(config(sprites_zip, tmp_path / "whole", kimg=0.064, **STEADY))
    run = train(config(sprites_zip, tmp_path / "run", kimg=0.032, **STEADY))
    capsys.readouterr()
    longer = config(sprites_zip, run.path, kimg=0.064, **STEADY)
    with pytest.raises(UserError, match=r"with --kimg 0\.032, not 0\.064; .* train --reschedule lets it end there"):
        train(longer)
    assert capsys.readouterr().err == "" and run.config.kimg == 0.032
    train(longer, reschedule=True)
    assert "run: planned for 0.032 kimg, goes on from 0.032 as one of 0.064" in capsys.readouterr().err
    for name in ("model.safetensors", "train-state.safetensors"):
        assert (run.checkpoint() / name).read_bytes() == (whole.checkpoint() / name).read_bytes()
    assert [row["kimg"] for row in run.stats()] == [0.032, 0.064]
    assert run.config == dataclasses.replace(whole.config, out=str(run.path))
    assert run.moved_end() == "Its end was moved (--reschedule): until kimg 0.032 it was planned for 0.032."
    assert whole.moved_end() == ""
    before = (run.path / "config.json").read_bytes()
    train(longer)  # the length that it has now is its own
    train(longer, reschedule=True)
    assert (run.path / "config.json").read_bytes() == before


def test_an_end_that_is_moved_moves_what_falls_towards_it(sprites_zip: Path, tmp_path: Path) -> None:
    """Rates fall from half of the way on: the third step of six has the whole rate, that of three two thirds, as in a
    run that was planned so; the two before are the same."""
    settings = {"gamma_doubt": 0.0, "width": 8, "snap_kimg": 0.016}

    def stop(checkpoint: Path, kimg: float) -> None:
        if kimg == 0.032:
            raise Stop

    six = train(config(sprites_zip, tmp_path / "six", kimg=0.096, **settings))
    sooner = config(sprites_zip, tmp_path / "sooner", kimg=0.096, **settings)
    with pytest.raises(Stop):
        train(sooner, on_snapshot=stop)
    with pytest.raises(UserError, match=r"not 0\.032, and has trained for 0\.032; give"):
        train(dataclasses.replace(sooner, kimg=0.032), reschedule=True)
    run = train(dataclasses.replace(sooner, kimg=0.048), reschedule=True)
    three = train(config(sprites_zip, tmp_path / "three", kimg=0.048, **settings))
    name = "checkpoint-000000.048/model.safetensors"
    assert run.checkpoint().name == "checkpoint-000000.048" and run.moved_end().endswith("planned for 0.096.")
    assert (run.path / name).read_bytes() == (three.path / name).read_bytes() != (six.path / name).read_bytes()
    before = {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()}
    for reschedule in (False, True):
        with pytest.raises(UserError, match=r"--kimg 0\.048, not 0\.032, and has trained for 0\.048; give"):
            train(dataclasses.replace(sooner, kimg=0.032), reschedule=reschedule)
    with pytest.raises(UserError, match="--gamma-g"):  # nothing but its length may change
        train(dataclasses.replace(sooner, kimg=0.08, gamma_g=3.0), reschedule=True)
    assert {p: p.read_bytes() for p in run.path.rglob("*") if p.is_file()} == before


def test_an_end_that_is_moved_before_the_first_checkpoint_was_never_another(sprites_zip: Path, tmp_path: Path) -> None:
    run = train(config(sprites_zip, tmp_path / "run", kimg=0.016, width=8))
    shutil.rmtree(run.checkpoint())
    train(config(sprites_zip, run.path, kimg=0.032, width=8), reschedule=True)
    assert run.config.kimg == 0.032 and run.moved_end() == ""


def test_plans_by_which_nothing_was_trained_are_forgotten(sprites_zip: Path, tmp_path: Path) -> None:
    def plans(kimg: float, done: float) -> list[tuple[float, float]]:
        run.rescheduled(kimg, done)
        assert run.config.kimg == kimg
        return [(plan["kimg"], plan["until"]) for plan in run.document().get("earlier_plans", [])]

    run = train(config(sprites_zip, tmp_path / "run", kimg=0.016, width=8))
    assert plans(100.0, 0.0) == []
    before = (run.path / "config.json").read_bytes()
    assert plans(100.0, 50.0) == [] and (run.path / "config.json").read_bytes() == before
    assert plans(1000.0, 50.0) == [(100.0, 50.0)]
    assert plans(100.0, 50.0) == []  # a mistyped one, taken back
    assert plans(300.0, 60.0) == [(100.0, 60.0)] and plans(200.0, 70.0) == [(100.0, 60.0), (300.0, 70.0)]
    assert plans(200.0, 80.0) == plans(200.0, 70.0) == [(100.0, 60.0), (300.0, 70.0)]
    assert plans(200.0, 65.0) == [(100.0, 60.0), (300.0, 65.0)]  # a checkpoint was lost: from there it is trained anew
    assert plans(200.0, 55.0) == [(100.0, 55.0)] and plans(200.0, 0.0) == []


def test_there_is_nothing_to_reschedule_without_a_run(sprites_zip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="rnu is no run yet; leave it out to begin one"):
        train(config(sprites_zip, tmp_path / "rnu", width=8), reschedule=True)
    assert not (tmp_path / "rnu").exists()
    run = train(config(sprites_zip, tmp_path / "run", kimg=0.016, width=8))
    (run.checkpoint() / "train-state.json").unlink()
    with pytest.raises(UserError, match="none of its checkpoints can be gone on from; give another --out"):
        train(config(sprites_zip, run.path, kimg=0.032, width=8), reschedule=True)
    assert run.config.kimg == 0.016 and run.checkpoint().name == "checkpoint-000000.016"


def test_what_another_process_did_before_this_one_had_the_folder_counts(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = train(config(sprites_zip, tmp_path / "run", kimg=0.016, width=8))
    held = loop.alone

    def moved_meanwhile(own: Run) -> Any:
        own.rescheduled(0.064, 0.016)
        return held(own)

    monkeypatch.setattr(loop, "alone", moved_meanwhile)
    with pytest.raises(UserError, match=r"with --kimg 0\.064, not 0\.016"):
        train(config(sprites_zip, run.path, kimg=0.016, width=8))
    assert run.config.kimg == 0.064


class Stop(Exception):
    pass


def test_a_run_that_begins_anew_goes_on_from_its_own_checkpoints(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The two that could be resumed were damaged and removed: older models stand where new checkpoints will."""
    settings = config(sprites_zip, tmp_path / "run", kimg=0.16)
    run = train(settings)
    before = (run.checkpoint() / "model.safetensors").read_bytes()
    for name in ("checkpoint-000000.128", "checkpoint-000000.160"):
        shutil.rmtree(run.path / name)

    def stop(checkpoint: Path, kimg: float) -> None:
        raise Stop

    capsys.readouterr()
    with pytest.raises(Stop):
        train(settings, on_snapshot=stop)
    (said,) = [line for line in capsys.readouterr().err.splitlines() if ".old" in line]
    assert "run: goes on from kimg 0;" in said and "checkpoint-000000.096" in said
    assert run.checkpoint().name == "checkpoint-000000.032" and (run.checkpoint() / "train-state.json").exists()
    old = ["checkpoint-000000.032.old", "checkpoint-000000.064.old", "checkpoint-000000.096.old"]
    assert sorted(p.name for p in run.path.glob("*.old")) == old and load_model(run.path / old[2])
    train(settings)
    assert [row["kimg"] for row in run.stats()] == [0.032, 0.064, 0.096, 0.128, 0.16]
    assert (run.checkpoint() / "model.safetensors").read_bytes() == before
    assert ".old" not in capsys.readouterr().err


def test_info_needs_no_labels_and_its_codes_have_no_names(sprites_zip: Path, tmp_path: Path) -> None:
    run = train(config(sprites_zip, tmp_path / "run", preset="info", label_fraction=0.0))
    assert not (run.path / "labels.csv").exists()
    assert load_model(run.checkpoint()).space.names == ("code0", "code1", "code2", "code3", "code4")


def test_scalar_kinds_are_the_paper_s_setting(sprites_zip: Path, tmp_path: Path) -> None:
    settings = config(sprites_zip, tmp_path / "run", factor_kinds="scalar")
    labels, space = labels_and_space(settings, Dataset.open(sprites_zip))
    assert {f.kind for f in space} == {"scalar"} and space.code_width == 5
    own = Dataset.open(sprites_zip)
    row = labels.labelled_rows[0]
    assert labels.level_NF[row, 0] == own.labels.level_NF[row, 0] / 2  # third class of three: 1.0
    np.testing.assert_allclose(labels.level_NF[row, 1], own.labels.level_NF[row, 1] * 12 / 11, rtol=1e-6)


def test_words_as_numbers_and_drawn_as_in_the_labels_can_be_used(sprites_zip: Path, tmp_path: Path) -> None:
    """`labels.csv` is in the words of the data, the run's factors are numbers."""
    settings = config(sprites_zip, tmp_path / "run", factor_kinds="scalar", prior="labelled", kimg=0.016)
    model = ssg.load(train(settings).path)
    labels, _ = labels_and_space(settings, Dataset.open(sprites_zip))
    drawn = np.unique(model.draw(0, 200)[1].numpy(), axis=0)
    known = np.unique(labels.level_NF[labels.labelled_rows], axis=0)
    assert len(drawn) > 10 and all(np.isclose(known, row, atol=1e-5).all(axis=1).any() for row in drawn)


def test_a_training_gives_the_threads_back(sprites_zip: Path, tmp_path: Path) -> None:
    before, inside = torch.get_num_threads(), list[int]()
    try:
        torch.set_num_threads(3)
        settings = config(sprites_zip, tmp_path / "run", threads=2, kimg=0.016)
        train(settings, lambda folder, kimg: inside.append(torch.get_num_threads()))
        assert inside == [2] and torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)


def test_without_labels_codes_come_from_the_grid_whatever_was_asked(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = config(
        sprites_zip, tmp_path / "run", preset="info", label_fraction=0.0, prior="labelled", kimg=0.016, snap_kimg=0.016
    )
    assert train(settings).config.prior == "grid"
    assert "--prior grid: no label is used" in capsys.readouterr().err
    train(settings)  # the same command goes on


def write_shapes(folder: Path, labels: dict[int, str], count: int = 40, hue: bool = True) -> Path:
    """A folder of flat images, of which some have a label of their shape, and one of their hue."""
    for i in range(count):
        save_png(folder / f"{i:02d}.png", np.full((16, 16, 3), 5 * i, np.uint8))
    rows = [f"{i:02d}.png,{shape},{i if hue else ''}" for i, shape in labels.items()]
    (folder / "metadata.csv").write_text("\n".join(["file_name,shape,hue", *rows]) + "\n", encoding="utf-8")
    return folder


def test_images_without_the_label_of_a_hold_out_are_told_of(tmp_path: Path) -> None:
    data = Dataset.open(write_shapes(tmp_path / "data", {0: "mug", 1: "cup", 2: "cup", 3: "mug"}))
    settings = config(data.path, tmp_path / "run", label_fraction=None, hold_out="shape=mug")
    labels, _ = labels_and_space(settings, data)
    assert labels.labelled_rows.tolist() == [1, 2]
    assert notes_on_labels(settings, data)[0].startswith("--hold-out shape=mug: 36 images have no label of shape")
    assert notes_on_labels(dataclasses.replace(settings, hold_out="0.1"), data) == []


def test_a_hold_out_of_a_factor_whose_name_holds_an_equals_sign(tmp_path: Path) -> None:
    folder = write_shapes(tmp_path / "data", {0: "mug", 1: "cup", 2: "cup"})
    table = folder / "metadata.csv"
    table.write_text(table.read_text().replace("shape", "shape=form"), encoding="utf-8")
    data = Dataset.open(folder)
    settings = config(folder, tmp_path / "run", hold_out="shape=form=mug")
    said = notes_on_labels(settings, data)[0]
    assert said.startswith("--hold-out shape=form=mug: 37 images have no label of shape=form")


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"hold_out": "shape=mug,shape=cup"}, "no label of shape, hue is left with --hold-out shape=mug,shape=cup"),
        ({"preset": "fine", "fine_factors": "hue"}, "no label of hue is left with --fine-factors hue"),
    ],
)
def test_settings_that_leave_no_label_are_told(tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    data = write_shapes(tmp_path / "data", {0: "mug", 1: "cup", 2: "cup", 3: "mug"}, hue=False)
    shape, hue = Factor.categorical("shape", ["mug", "cup"]), Factor.scalar("hue")
    (data / "factors.json").write_text(json.dumps(FactorSpace((shape, hue)).to_json()), encoding="utf-8")
    with pytest.raises(UserError, match=words):
        train(config(data, tmp_path / "run", **{"label_fraction": None, **fields}))


def test_what_hidden_labels_say_of_the_factors_is_told(sprites_zip: Path, tmp_path: Path) -> None:
    data = Dataset.open(write_shapes(tmp_path / "data", {i: "mug" if i % 2 else "cup" for i in range(40)}))
    settings = config(data.path, tmp_path / "run")
    assert ["those of all labels, hidden ones too" in note for note in notes_on_labels(settings, data)] == [True]
    assert notes_on_labels(dataclasses.replace(settings, label_fraction=None), data) == []
    assert notes_on_labels(config(sprites_zip, tmp_path / "run"), Dataset.open(sprites_zip)) == []


def test_a_start_that_is_refused_leaves_the_other_s_files(sprites_zip: Path, tmp_path: Path) -> None:
    """Both have found an empty folder; the one that holds it has not written its configuration yet."""
    (tmp_path / "run").mkdir()
    with files.held(tmp_path / "run", ""), pytest.raises(UserError, match="is being trained by another process"):
        train(config(sprites_zip, tmp_path / "run"))
    assert list((tmp_path / "run").iterdir()) == []


def test_one_process_trains_a_run_at_a_time(sprites_zip: Path, tmp_path: Path) -> None:
    settings = config(sprites_zip, tmp_path / "run")
    told = []

    def again(checkpoint: Path, kimg: float) -> None:
        with pytest.raises(UserError, match="run: is being trained by another process"):
            train(settings)
        told.append(kimg)

    train(settings, on_snapshot=again)
    assert len(told) == 3
    assert [row["kimg"] for row in Run(tmp_path / "run").stats()] == [0.032, 0.064, 0.096]


def test_factors_can_have_codes_as_classes_have(sprites_zip: Path, tmp_path: Path) -> None:
    run = train(config(sprites_zip, tmp_path / "run", as_classes="scale"))
    networks = load_model(run.checkpoint())
    assert [factor.as_classes for factor in networks.space] == [name == "scale" for name in networks.space.names]
    plain = Dataset.open(sprites_zip).space
    assert networks.space.code_width == plain.code_width + (networks.space["scale"].size or 0) - 1
    found = evaluate(run.path, ["mig", "l2", "mig_gen", "l2_gen"], images=200, device="cpu")
    assert 0 <= found["mig"] <= 1 and found["l2"] > 0 and found["l2_gen"] > 0


def test_no_label_outside_the_labelled_rows_matters(sprites_zip: Path) -> None:
    """Which rows are labelled, and so all that follows, must not depend on any label's value."""
    data = Dataset.open(sprites_zip)
    other = data.with_labels(dataclasses.replace(data.labels, level_NF=np.zeros_like(data.labels.level_NF)))
    settings = config(sprites_zip, Path("unused"))
    chosen = [labels_and_space(settings, d)[0].labelled_rows for d in (data, other)]
    np.testing.assert_array_equal(chosen[0], chosen[1])


def test_other_settings_do_not_touch_a_run(sprites_zip: Path, tmp_path: Path) -> None:
    run = train(config(sprites_zip, tmp_path / "run"))
    before = {p: p.stat().st_mtime_ns for p in run.path.rglob("*")}
    with pytest.raises(UserError, match=r"--gamma-g 10\.0, not 6\.0"):
        train(config(sprites_zip, run.path, gamma_g=6.0))
    assert {p: p.stat().st_mtime_ns for p in run.path.rglob("*")} == before


def test_labels_that_changed_are_called_that_and_not_what_was_chosen_by_them(tmp_path: Path) -> None:
    """More labels may well make `--prior auto` another one, which nobody has given."""
    data = write_shapes(tmp_path / "data", {i: "mug" if i % 2 else "cup" for i in range(20)})
    run = train(config(data, tmp_path / "run", label_fraction=None, width=8, kimg=0.016))
    with pytest.raises(UserError, match="on other data than"):
        run.check_same(dataclasses.replace(run.config, prior="labelled"), "another")
    with pytest.raises(UserError, match=r"belongs to a run without --label-fraction, not 0\.5; give the same"):
        run.check_same(dataclasses.replace(run.config, label_fraction=0.5), run.document()["data_fingerprint"])


def test_a_run_goes_on_where_its_data_are_now(sprites_zip: Path, tmp_path: Path) -> None:
    """And what reads the run later, a snapshot's scores among it, finds them there."""
    settings = config(Path(shutil.copy(sprites_zip, tmp_path / "here.zip")), tmp_path / "run", width=8)

    def stop(checkpoint: Path, kimg: float) -> None:
        raise Stop

    with pytest.raises(Stop):
        train(settings, on_snapshot=stop)
    moved = (tmp_path / "here.zip").rename(tmp_path / "there.zip")
    seen = []
    run = train(
        dataclasses.replace(settings, data=str(moved)),
        on_snapshot=lambda checkpoint, kimg: seen.append(Run(checkpoint.parent).dataset().path),
    )
    assert seen == [moved] * 3 and run.config.data == str(moved)


def test_what_a_killed_process_left_of_a_checkpoint_is_removed(sprites_zip: Path, tmp_path: Path) -> None:
    settings = config(sprites_zip, tmp_path / "run", width=8, kimg=0.032)
    left = train(settings).path / ".checkpoint-000000.016.part"
    left.mkdir()
    (left / ".model.safetensors.x").write_bytes(b"half of it")
    train(settings)
    assert not left.exists()


def test_a_folder_with_other_things_in_it_is_not_a_run(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "thesis.tex").write_text("mine")
    with pytest.raises(UserError, match="holds other files"):
        train(config(sprites_zip, tmp_path))
    assert [p.name for p in tmp_path.iterdir()] == ["thesis.tex"]
    assert capsys.readouterr().err == ""  # refused before anything is said of the training


def test_nothing_is_written_through_a_link_that_leads_out_of_the_run(sprites_zip: Path, tmp_path: Path) -> None:
    """A run that somebody handed on may hold one to a file of the user's."""
    (own := tmp_path / ".bashrc").write_text("precious")
    settings = config(sprites_zip, tmp_path / "run", width=8, kimg=0.032)
    (train(settings).path / "stats.jsonl").unlink()
    (tmp_path / "run" / "stats.jsonl").symlink_to(own)
    with pytest.raises(UserError, match=r"stats.jsonl: is a link that leads out of this folder, to .*; remove it"):
        train(settings)
    assert own.read_text() == "precious"


def test_a_run_of_other_settings_is_refused_before_anything_is_said(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train(config(sprites_zip, tmp_path / "run", width=8, kimg=0.016))
    assert "--prior" in capsys.readouterr().err
    with pytest.raises(UserError, match=r"run with --gamma-g 10.0, not 3.0"):
        train(config(sprites_zip, tmp_path / "run", width=8, kimg=0.016, gamma_g=3.0))
    assert capsys.readouterr().err == ""


def test_divergence_stops_with_a_diagnosis(sprites_zip: Path, tmp_path: Path) -> None:
    first = train(config(sprites_zip, tmp_path / "run", kimg=0.032))
    state_file = first.checkpoint() / "config.json"
    assert state_file.exists()
    with pytest.raises(Diverged, match=r"diverged at kimg .*not finite.*lower learning rates"):
        train(config(sprites_zip, tmp_path / "bad", lr_g=0.9999, lr_d=0.9999, lr_e=0.9999, r1_gamma=1e30))
    for checkpoint in (tmp_path / "bad").glob("checkpoint-*"):
        assert all(torch.isfinite(weights(n)).all() for n in (load_model(checkpoint).G, load_model(checkpoint).E))


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"label_fraction": 0.0}, "needs labels"),
        ({"label_fraction": 1e-9}, "label"),
        ({"label_fraction": 1.5}, "between 0 and 1"),
        ({"kimg": 0.0}, "over 0"),
        ({"kimg": float("nan")}, "finite"),
        ({"batch": -1}, "over 0"),
        ({"threads": -1}, "--threads -1: must be at least 0"),
        ({"seed": -1, "label_fraction": None}, "--seed -1: give a number from 0"),
        ({"lr_g": 3.0}, "between 0 and 1"),
        ({"size": "huge"}, "known are tiny"),
        ({"preset": "magic"}, "known are semi"),
        ({"preset": "semi", "system": "fine"}, "its system is not 'fine'"),
        ({"preset": "info", "gamma_doubt": 0.1}, "--gamma-doubt: needs labels"),
        ({"preset": "info", "as_classes": "scale"}, "--as-classes: needs labels"),
        ({"preset": "info", "shift": 0.1}, "--shift: needs labels"),
        ({"shift": 0.6}, "--shift 0.6: must lie between 0 and 0.5"),
        ({"shift_keeps": "shape,form"}, "unknown factor 'form'"),
        ({"shift_keeps": "form", "shift": 0.0}, "unknown factor 'form'"),
        ({"preset": "info", "tint": 0.1}, "--tint: needs labels"),
        ({"tint": 1.1}, "--tint 1.1: must lie between 0 and 1"),
        ({"tint_keeps": "shape,form"}, "unknown factor 'form'"),
        ({"keep": 0.5}, "--keep: belongs to the preset fine"),
        ({"device": "cuda:9"}, "not available"),
        ({"colour": 1}, "colour"),
        ({"batch": "8"}, "--batch 8: must be a whole number"),
        ({"batch": 8.5}, "--batch 8.5: must be a whole number"),
        ({"batch": np.float32(8.5)}, "--batch 8.5: must be a whole number"),
        ({"gamma_g": "strong"}, "--gamma-g strong: must be a number"),
        ({"width": True}, "--width True: must be a whole number"),
        ({"hold_out": 0.1}, "--hold-out 0.1: must be text"),
        ({"cuda_graphs": "no"}, "--cuda-graphs no: must be true or false"),
    ],
)
def test_bad_settings_are_one_line(sprites_zip: Path, tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words) as caught:
        train(config(sprites_zip, tmp_path / "run", **fields))
    assert "\n" not in str(caught.value)
    assert not (tmp_path / "run").exists()


def test_numpys_numbers_are_numbers() -> None:
    given = TrainConfig.preset("semi", "a.zip", "a", batch=np.int64(32), alpha=np.float32(0.5), cuda_graphs=np.False_)
    assert given == TrainConfig.preset("semi", "a.zip", "a", batch=32, alpha=0.5, cuda_graphs=False)
    assert json.loads(json.dumps(given.to_json())) == given.to_json()


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda train: {**train, "kimg": "0.016"}, "--kimg 0.016: must be a number"),
        (lambda train: {**train, "kimg": None}, "--kimg None: must be a number"),
        (lambda train: {k: v for k, v in train.items() if k != "data"}, "field 'data' is missing"),
        (lambda train: None, "not the configuration of a run"),
    ],
)
def test_a_configuration_that_somebody_edited_is_one_line(
    sprites_zip: Path, tmp_path: Path, change: Callable[[Any], Any], words: str
) -> None:
    settings = config(sprites_zip, tmp_path / "run", kimg=0.016, width=8)
    run = train(settings)
    document = run.document()
    files.write_json(run.path / "config.json", {**document, "train": change(document["train"])})
    with pytest.raises(UserError, match=words) as caught:
        train(settings)
    assert str(caught.value).startswith(f"{run.path / 'config.json'}: ")


@pytest.mark.parametrize("counters", ["{}", "[]", '{"step": 1, "images": "", "seconds": 1.0}', "[" * 100_000])
def test_counters_that_do_not_fit_are_one_line(sprites_zip: Path, tmp_path: Path, counters: str) -> None:
    settings = config(sprites_zip, tmp_path / "run", kimg=0.016, width=8)
    file = train(settings).checkpoint() / "train-state.json"
    file.write_text(counters, encoding="utf-8")
    with pytest.raises(UserError, match=r"000000.016: cannot go on from this checkpoint \(.*; remove it"):
        train(settings)


def test_a_damaged_line_of_the_log_is_named(sprites_zip: Path, tmp_path: Path) -> None:
    settings = config(sprites_zip, tmp_path / "run", kimg=0.016, width=8)
    log = train(settings).path / "stats.jsonl"
    log.write_bytes(log.read_bytes() + b"\0\0\0\n")
    with pytest.raises(UserError, match=r"stats.jsonl, line 2: not readable .*; remove this line"):
        train(settings)


def test_paths_are_as_good_as_text(sprites_zip: Path, tmp_path: Path) -> None:
    settings = TrainConfig.preset("semi", sprites_zip, tmp_path / "run", kimg=0.008, width=8, batch=4, labelled_batch=4)
    assert train(settings).config.data == str(sprites_zip)


def test_a_run_goes_on_with_other_snapshots(sprites_zip: Path, tmp_path: Path) -> None:
    run = train(config(sprites_zip, tmp_path / "run", kimg=0.016, width=8))
    assert train(config(sprites_zip, tmp_path / "run", kimg=0.016, width=8, snap_kimg=1.0)).stats()
    free = {"micro_batch": 8, "tick_kimg": 1.0, "threads": 2, "device": "cuda", "cuda_graphs": False, "out": "b"}
    run.check_same(dataclasses.replace(run.config, **free), run.document()["data_fingerprint"])


def test_names_of_factors_may_hold_commas(tmp_path: Path) -> None:
    """Chosen by the program, and given."""
    folder = write_shapes(tmp_path / "data", {i: str(i % 3) for i in range(40)})
    table = folder / "metadata.csv"
    table.write_text(table.read_text().replace("shape", '"colour, main"'), encoding="utf-8")
    for fields in (
        {},
        {"as_classes": "hue, colour, main"},
        {"preset": "fine"},
        {"preset": "fine", "fine_factors": "hue"},
    ):
        chosen = completed(config(folder, tmp_path / "run", **fields), data := Dataset.open(folder))
        assert completed(chosen, data) == chosen
        _, space = labels_and_space(chosen, data)
        assert set(space.names) <= {"colour, main", "hue"}


def test_a_width_reaches_every_network(sprites_zip: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    train(config(sprites_zip, out, kimg=0.016, width=8))
    found = load_file(next(out.glob("checkpoint-*")) / "train-state.safetensors")
    kernels = [t for name, t in found.items() if name.endswith("weight") and t.shape[2:] == (3, 3)]
    assert len(kernels) > 10 and {t.shape[0] for t in kernels} == {8}


def test_each_step_draws_codes_and_labelled_images_anew_and_each_seed_its_labelled_rows(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    settings = [config(sprites_zip, Path("unused"), seed=seed) for seed in (0, 1)]
    (labels, space), (others, _) = (labels_and_space(chosen, data) for chosen in settings)
    assert labels.labelled_rows.tolist() != others.labelled_rows.tolist()
    feed, state, batches = Feed(settings[0], data, labels, space, torch.device("cpu")), make_state(), []
    for state.step in (0, 1):
        batches.append(feed.batch(state))
    first, second = batches
    assert not torch.equal(first.code_BC, second.code_BC) and torch.equal(first.real_BCHW, second.real_BCHW)
    assert first.labelled is not None and second.labelled is not None
    assert not torch.equal(first.labelled.img_LCHW, second.labelled.img_LCHW)


def test_blanks_of_rows_that_codes_are_drawn_from_are_filled_from_the_grid(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    settings = config(sprites_zip, Path("unused"), prior="labelled", label_fraction=0.02)
    labels, space = labels_and_space(settings, data)
    known, level = labels.known_NF.copy(), labels.level_NF.copy()
    known[:, 0], level[:, 0] = False, 0.0
    blank = dataclasses.replace(labels, known_NF=known, level_NF=level)
    drawn = Feed(settings, data, blank, space, torch.device("cpu")).prior(200, np.random.default_rng(0))
    assert drawn[:, 0].unique().tolist() == [0, 1, 2]
    rows = {tuple(row) for row in labels.level_NF[labels.labelled_rows][:, 1:].tolist()}
    assert {tuple(row) for row in drawn[:, 1:].tolist()} == rows


def test_a_sheet_has_a_start_a_row_and_two_rows_a_factor(sprites_zip: Path, tmp_path: Path) -> None:
    data = Dataset.open(sprites_zip)
    settings = config(sprites_zip, tmp_path).resolved(32)
    labels, space = labels_and_space(settings, data)
    state = TrainState.create(settings, settings.networks(32, 3, space.code_width), space, torch.device("cpu"))
    told = list[tuple[torch.Tensor, torch.Tensor]]()
    state.G_ema.register_forward_pre_hook(lambda _, given: told.append(given))
    loop.save_fakes(Run(tmp_path), state, Feed(settings, data, labels, space, torch.device("cpu")))
    assert (tmp_path / "fakes000000.png").exists() and len(told) == 2 * len(space)
    for row, (z, code) in enumerate(told):
        assert torch.equal(z, z[:1].expand_as(z))
        moves = [bool((code[:, where] != code[:1, where]).any()) for where in space.slices]
        assert moves == [factor == row // 2 for factor in range(len(space))]


def test_a_multiple_is_crossed_whatever_its_rounding() -> None:
    assert 0.3 / 0.1 < 3  # in floats
    assert [loop.crossed(a / 10, (a + 1) / 10, 0.1) for a in range(10)] == [True] * 10
    assert not loop.crossed(0.3, 0.39, 0.1) and not loop.crossed(0.31, 0.32, 0.1)


def test_the_first_ctrl_c_is_a_flag_and_the_second_is_heard_at_once() -> None:
    with loop.interruptible() as interrupted:
        assert not interrupted()
        signal.raise_signal(signal.SIGINT)
        assert interrupted()
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(signal.SIGTERM)


def test_weights_that_are_not_finite_are_not_written(tmp_path: Path) -> None:
    state = make_state()
    with torch.no_grad():
        state.D.out.bias.fill_(float("nan"))
    with pytest.raises(Diverged, match=r"weight D\.out\.bias not finite"):
        loop.save_checkpoint(Run(tmp_path), state)
    assert not list(tmp_path.iterdir())


def test_what_depends_on_the_resolution_is_filled_in() -> None:
    semi = TrainConfig.preset("semi", "none", "none")
    assert [semi.resolved(r).r1_gamma for r in (32, 128, 512)] == [0.1, 1.0, 10.0]
    info = TrainConfig.preset("info", "none", "none")
    assert [info.resolved(r).r1_gamma for r in (32, 128, 512)] == [1.0, 1.0, 10.0]
    assert dataclasses.replace(info, r1_gamma=0.5).resolved(32).r1_gamma == 0.5
    assert [TrainConfig.preset("fine", "none", "none").resolved(r).coarse for r in (32, 256, 512, 1024)] == [
        4,
        4,
        32,
        32,
    ]
    filled = dataclasses.replace(semi, lr_d=0.1).resolved(32)
    assert (filled.lr_g, filled.lr_d, filled.lr_e) == (0.006, 0.1, 0.015)
    assert semi.resolved(32).lr_d == 0.004


@pytest.mark.parametrize("fields", [{"alpha": 1.0}, {"beta": 1.0}, {"label_fraction": 0.5}])
def test_what_needs_labels_is_not_for_info(fields: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="--preset info: it trains without labels; leave out"):
        TrainConfig.preset("info", "none", "none", **fields)


def test_an_epoch_shows_every_image_once(sprites_zip: Path, tmp_path: Path) -> None:
    """256 images in 32 batches of 8, however often the training was stopped in between."""
    data = Dataset.open(sprites_zip)
    settings = config(sprites_zip, tmp_path, batch=8, labelled_batch=8)
    labels, space = labels_and_space(settings, data)
    state = make_state()
    seen = []
    for state.images in range(0, len(data), 8):
        feed = Feed(settings, data, labels, space, torch.device("cpu"))
        seen += [image.numpy().tobytes() for image in feed.batch(state).real_BCHW]
    assert len(seen) == len(set(seen)) == len(data)


def test_labelled_batches_hold_the_runs_rows_alone(sprites_zip: Path, tmp_path: Path) -> None:
    data = Dataset.open(sprites_zip)
    settings = config(sprites_zip, tmp_path, label_fraction=0.02)
    labels, space = labels_and_space(settings, data)
    feed = Feed(settings, data, labels, space, torch.device("cpu"))
    allowed = {image.numpy().tobytes() for image in to_float(data.images(labels.labelled_rows))}
    drawn = set()
    for step in range(20):
        batch = feed.labelled(np.random.default_rng(step))
        drawn |= {image.numpy().tobytes() for image in batch.img_LCHW}
        assert batch.known_LF.all()
    assert drawn == allowed and len(allowed) == round(0.02 * len(data))


def test_bfloat16_computes_nearly_the_same_step() -> None:
    """The losses within its 7 bits, the weights in float32 as ever."""
    logs = []
    for precision in ("float32", "bfloat16"):
        state = make_state(precision=precision, gamma_e=1.0)
        logs.append(train_step(state, make_batch()))
        assert state.opt_G.used.dtype == torch.float32
    assert logs[0].keys() == logs[1].keys()
    for name, value in logs[0].items():
        assert value.dtype == logs[1][name].dtype == torch.float32
        torch.testing.assert_close(logs[1][name], value, rtol=0.05, atol=0.02)
    assert any(not torch.equal(logs[1][name], value) for name, value in logs[0].items())


@pytest.mark.parametrize(
    ("has", "precision", "size", "said"),
    [
        ({}, "bfloat16", "small", "no matrix units"),
        ({"architecture": "aarch64"}, "bfloat16", "small", None),
        ({"avx512_bf16": True}, "bfloat16", "small", "no matrix units"),
        ({"amx_bf16": True}, "bfloat16", "tiny", None),
        ({"amx_bf16": True}, "tf32", "small", "half the time"),
        ({"amx_bf16": True}, "tf32", "tiny", None),
        ({}, "tf32", "small", None),
    ],
)
def test_a_training_says_what_its_precision_is_on_this_cpu(
    monkeypatch: pytest.MonkeyPatch, has: dict[str, bool], precision: str, size: str, said: str | None
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "x86_64"} | has, raising=False)
    config = TrainConfig.preset("semi", "none", "none", precision=precision, size=size)
    note = about_precision(config, torch.device("cpu"))
    assert note is None if said is None else note is not None and said in note
    assert about_precision(config, torch.device("meta")) is None


def test_the_arithmetic_of_a_gpu_is_a_training_s_alone() -> None:
    def flags() -> tuple[bool, bool, bool]:
        cudnn = torch.backends.cudnn
        return cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32, cudnn.benchmark

    before = flags()
    for precision, fast in (("float32", False), ("tf32", True)):
        with arithmetic(precision, torch.device("cuda")):
            assert flags() == (fast, fast, True)
        assert flags() == before
    with pytest.raises(KeyboardInterrupt), arithmetic("float32", torch.device("cpu")):
        assert flags() == (False, False, False)
        raise KeyboardInterrupt
    assert flags() == before


def test_seconds_hold_what_a_gpu_has_still_to_do(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop, "finish", lambda device: time.sleep(0.5))
    fields = {"kimg": 0.032, "tick_kimg": 0.016, "label_fraction": 0.2, "device": "cpu"}
    run = train(TrainConfig.preset("semi", sprites_zip, tmp_path / "run", **fields))
    (first, second) = run.stats()
    assert first["seconds"] >= 0.5 and second["seconds"] - first["seconds"] >= 0.5


@pytest.mark.skipif(not Path("/sys/kernel/mm/transparent_hugepage").is_dir(), reason="no huge pages here")
def test_the_heap_of_a_training_asks_for_huge_pages_and_takes_no_memory_before_it_is_used() -> None:
    script = """if True:
        import re
        from semistylegan.training.memory import keep_freed_memory
        heap = re.compile(r"\\[heap\\].*?Rss: +(\\d+).*?VmFlags:([^\\n]*)", re.S)
        flags = lambda: heap.findall(open("/proc/self/smaps").read())
        before = sum(int(kb) for kb, _ in flags())
        keep_freed_memory()
        after = flags()
        print(sum(int(kb) for kb, _ in after) - before, any("hg" in found.split() for _, found in after))
    """
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    grown, huge = run.stdout.split()
    assert int(grown) < 16_000 and huge == "True"
