"""One update of D and E, and of G: what the method is, in the order in which it runs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from semistylegan.training import distributed
from semistylegan.training.objective import (
    Log,
    generate,
    gradient_penalty,
    loss_of_D_and_E,
    loss_of_G,
    read_once,
)
from semistylegan.training.parts import Batch, Part, counted, split
from semistylegan.training.state import TrainState
from semistylegan.training.streams import Aside

VERSION = 1
"""Counts up whenever a step would make another model of the same settings: a run that one number began and another goes
on with, or that a study takes as done, is told of. Runs without a number are of 1."""


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
