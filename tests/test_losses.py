"""Each loss against its closed form, and the mask against poison."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from semistylegan import losses
from semistylegan.factors import Factor, FactorSpace

SCALARS = FactorSpace.grid({"a": 5, "b": 5})
MIXED = FactorSpace((Factor.scalar("x"), Factor.categorical("shape", ["o", "+", "^"]), Factor.circular("hue", 12)))


def test_distance_is_not_squared() -> None:
    d = losses.distance(torch.tensor([[0.3, 0.4], [1.0, 0.0]]), torch.zeros(2, 2), SCALARS)
    torch.testing.assert_close(d, torch.tensor([0.5, 1.0]))


def test_a_categorical_factor_adds_its_cross_entropy() -> None:
    said = torch.tensor([[0.5, 2.0, 1.0, 0.0, 0.5, 0.0]])
    code = MIXED.encode(torch.tensor([[0.5, 0.0, 0.0]]))
    expected = math.log(math.exp(2) + math.exp(1) + 1) - 2
    assert losses.distance(said, code, MIXED).item() == pytest.approx(expected, rel=1e-6)
    assert losses.distance(said, code, MIXED, ce_weight=0.3).item() == pytest.approx(0.3 * expected, rel=1e-6)


def test_a_circular_factor_has_no_seam() -> None:
    space = FactorSpace((Factor.circular("hue"),))
    near = losses.distance(space.encode(torch.tensor([[0.99]])), space.encode(torch.tensor([[0.01]])), space)
    half = losses.distance(space.encode(torch.tensor([[0.25]])), space.encode(torch.tensor([[0.75]])), space)
    assert near.item() < 0.07
    assert half.item() == pytest.approx(1.0)


@pytest.mark.parametrize("poison", [0.0, 1e6, float("nan"), float("inf")])
def test_unknown_entries_count_for_nothing(poison: float) -> None:
    """Neither their codes nor their gradients reach the loss, whatever stands in them."""
    said = torch.tensor([[0.3, 1.0, 2.0, 3.0, 0.1, 0.2], [0.9, 0.0, 0.0, 0.0, 0.0, 0.4]], requires_grad=True)
    known = torch.tensor([[True, False, False], [False, False, False]])
    code = torch.full((2, 6), poison)
    code[0, 0] = 0.1
    loss = losses.supervised(said, code, known, MIXED)
    assert loss.item() == pytest.approx(0.2)
    loss.backward()
    assert said.grad is not None
    expected = torch.zeros(2, 6)
    expected[0, 0] = 1.0
    torch.testing.assert_close(said.grad, expected)


def test_the_mean_is_over_rows_that_have_a_label() -> None:
    said, code = torch.tensor([[1.0, 0.0], [0.0, 3.0], [9.0, 9.0]]), torch.zeros(3, 2)
    known = torch.tensor([[True, True], [False, True], [False, False]])
    assert losses.supervised(said, code, known, SCALARS).item() == pytest.approx(2.0)


def test_the_mean_over_a_whole_batch_is_that_of_its_parts() -> None:
    """Where each of two parts divides by half of the whole batch's labelled rows."""
    said, code = torch.tensor([[1.0, 0.0], [0.0, 3.0], [9.0, 9.0], [0.0, 5.0]]), torch.zeros(4, 2)
    known = torch.tensor([[True, True], [False, True], [False, False], [False, True]])
    parts = [
        losses.supervised(said[rows], code[rows], known[rows], SCALARS, count=torch.tensor(1.5))
        for rows in (slice(0, 2), slice(2, 4))
    ]
    whole = losses.supervised(said, code, known, SCALARS)
    assert whole.item() == pytest.approx(3.0) == torch.stack(parts).mean().item()


def test_no_labels_at_all_is_zero_with_zero_gradient() -> None:
    said = torch.ones(2, 2, requires_grad=True)
    loss = losses.supervised(said, torch.zeros(2, 2), torch.zeros(2, 2, dtype=torch.bool), SCALARS)
    loss.backward()
    assert loss.item() == 0.0
    assert said.grad is not None and not said.grad.any()


def test_a_perfect_reading_has_a_finite_gradient() -> None:
    said = torch.zeros(1, 2, requires_grad=True)
    losses.distance(said, torch.zeros(1, 2), SCALARS).sum().backward()
    assert said.grad is not None and torch.isfinite(said.grad).all()


def test_unsupervised_is_the_mean_distance() -> None:
    said, code = torch.tensor([[0.3, 0.4], [0.0, 0.1]]), torch.zeros(2, 2)
    assert losses.unsupervised(said, code, SCALARS).item() == pytest.approx(0.3)


def test_means_weigh_a_cross_entropy_as_a_distance_does() -> None:
    said, known = torch.tensor([[0.5, 2.0, 1.0, 0.0, 0.5, 0.0]]), torch.ones(1, 3, dtype=torch.bool)
    code = MIXED.encode(torch.tensor([[0.5, 0.0, 0.0]]))
    expected = 0.3 * (math.log(math.exp(2) + math.exp(1) + 1) - 2)
    assert losses.unsupervised(said, code, MIXED, 0.3).item() == pytest.approx(expected, rel=1e-6)
    assert losses.supervised(said, code, known, MIXED, 0.3).item() == pytest.approx(expected, rel=1e-6)


def test_pixels_are_compared_by_their_mean_absolute_difference() -> None:
    img = torch.zeros(2, 3, 4, 4)
    img[0], img[1] = 0.5, -1.0
    assert losses.pixels(img, torch.zeros(2, 3, 4, 4)).item() == pytest.approx(0.75)


def test_mix_share_favours_the_labelled_side() -> None:
    share = losses.mix_share(20_000, 0.75, np.random.default_rng(0)).double()
    assert share.min() >= 0.5 and share.max() <= 1.0
    # l ~ Beta(xi, xi) folded at a half: its spread around 1/2 is that of Beta, 1 / (4 (2 xi + 1)).
    assert ((share - 0.5) ** 2).mean().item() == pytest.approx(1 / (4 * 2.5), rel=0.03)


def test_mix_is_convex_row_by_row() -> None:
    a, b = torch.ones(2, 3, 4, 4), torch.zeros(2, 3, 4, 4)
    mixed = losses.mix(a, b, torch.tensor([1.0, 0.75]))
    assert (mixed[0] == 1).all() and (mixed[1] == 0.75).all()


def test_soften_makes_probabilities_of_categories_alone() -> None:
    said = torch.tensor([[7.0, 1.0, 2.0, 3.0, -5.0, 4.0]])
    soft = MIXED.soften(said)
    torch.testing.assert_close(soft[:, 1:4], torch.softmax(said[:, 1:4], 1))
    torch.testing.assert_close(soft[:, [0, 4, 5]], said[:, [0, 4, 5]])


def test_logistic_losses() -> None:
    zero, large = torch.zeros(4), torch.full((4,), 50.0)
    assert losses.gan_discriminator(zero, zero).item() == pytest.approx(2 * math.log(2))
    assert losses.gan_discriminator(large, -large).item() == pytest.approx(0.0, abs=1e-6)
    assert losses.gan_discriminator(-large, large).item() == pytest.approx(100.0)
    assert losses.gan_generator(zero).item() == pytest.approx(math.log(2))
    assert losses.gan_generator(-large).item() == pytest.approx(50.0)


def test_relativistic_losses_compare_pairs() -> None:
    real, fake = torch.tensor([3.0, 0.0]), torch.tensor([1.0, 5.0])
    expected = (math.log1p(math.exp(-2)) + math.log1p(math.exp(5))) / 2
    assert losses.relativistic_discriminator(real, fake).item() == pytest.approx(expected)
    assert losses.relativistic_generator(fake, real).item() == pytest.approx(expected)
    shifted = losses.relativistic_discriminator(real + 7, fake + 7)
    assert shifted.item() == pytest.approx(expected)


def test_r1_of_a_linear_discriminator() -> None:
    """D(x) = <v, x> has gradient v everywhere: R1 = gamma / 2 |v|^2, differentiable in v."""
    v = torch.randn(1, 3, 4, 4, generator=torch.Generator().manual_seed(0), dtype=torch.float64, requires_grad=True)
    img = torch.randn(5, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    penalty = losses.r1_penalty(img, (v * img).sum(dim=(1, 2, 3)), gamma=0.5)
    assert penalty.item() == pytest.approx(0.25 * v.square().sum().item())
    penalty.backward()
    assert v.grad is not None
    torch.testing.assert_close(v.grad, 0.5 * v.detach())


@pytest.mark.parametrize(("down", "right"), [(0, 0), (3, -2), (-4, 1), (9, -9)])
def test_a_moved_picture_repeats_its_edge(down: int, right: int) -> None:
    img = torch.randn(3, 2, 8, 8)
    by = torch.tensor([[down, 0, -1], [right, 0, 2]])
    found = losses.moved(img, by)
    wide = torch.nn.functional.pad(img[:1], (16,) * 4, mode="replicate")
    assert torch.equal(found[:1], wide[:, :, 16 - down : 24 - down, 16 - right : 24 - right])
    assert torch.equal(found[1], img[1])  # each by its own
    assert torch.equal(found[2, :, :-1, 2:], img[2, :, 1:, :-2])


def test_tints_turn_hues_and_keep_grey_grey() -> None:
    """Without noise in saturation, contrast and brightness a tint is a turn about the grey axis."""

    class Turns:
        def uniform(self, low: float, high: float, count: int) -> np.ndarray:
            return np.array([0.0, 2 / 3, -2 / 3, 0.4])

        def normal(self, size: tuple[int, int]) -> np.ndarray:
            return np.zeros(size)

    by = losses.tint_matrix(4, 3, 1.0, Turns())  # type: ignore[arg-type]
    img = torch.rand(4, 3, 5, 5) - 0.5
    found = losses.tinted(img, by)
    torch.testing.assert_close(found[0], img[0])
    torch.testing.assert_close(found[1], img[1].roll(1, 0))  # a third of the circle: red becomes green
    torch.testing.assert_close(found[2], img[2].roll(-1, 0))
    torch.testing.assert_close(found[3].square().sum(0), img[3].square().sum(0))  # neither longer nor nearer to grey
    torch.testing.assert_close(found[3].mean(0), img[3].mean(0))
    half = losses.tint_matrix(4, 3, 0.5, Turns())  # type: ignore[arg-type]
    torch.testing.assert_close(losses.tinted(losses.tinted(img, half), half), found)


@pytest.mark.parametrize("channels", [1, 3])
def test_tints_have_the_strength_that_is_asked_for(channels: int) -> None:
    random = np.random.default_rng(0)
    grey = torch.full((4000, channels, 1, 1), 0.2)
    by = losses.tint_matrix(4000, channels, 0.5, random)
    assert by.dtype == torch.float32 and by.shape == (4000, channels, channels + 1)
    found = losses.tinted(grey, by)[:, :, 0, 0]
    torch.testing.assert_close(found, found[:, :1].expand(-1, channels))  # grey stays grey
    brightness, contrast = by[:, 0, -1], by[:, 0, :-1].sum(dim=1).log2()
    assert brightness.std().item() == pytest.approx(0.05, rel=0.05)
    assert contrast.std().item() == pytest.approx(0.125, rel=0.05)
    if channels == 3:  # what becomes of red less green, whose length is contrast x saturation
        length = (by[:, :, 0] - by[:, :, 1]).norm(dim=1) / math.sqrt(2)
        assert length.log2().std().item() == pytest.approx(math.hypot(0.25, 0.125), rel=0.05)
    assert losses.tinted(1e3 * grey, by).max() == 1 and losses.tinted(-1e3 * grey, by).min() == -1
    torch.testing.assert_close(losses.tinted(grey, losses.tint_matrix(4000, channels, 0.0, random)), grey)
