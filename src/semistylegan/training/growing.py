"""Progressive growing: how far the networks have grown after how many images, and with which batch and learning rate.

A pure function of the configuration and of the images seen, so that a growing run resumes anywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from semistylegan.models.stylegan import FIRST, StyleGAN, grow
from semistylegan.training.config import TrainConfig
from semistylegan.training.state import TrainState

FASTER = {128: 1.5, 256: 2.0, 512: 3.0, 1024: 3.0}
"""Factor on the learning rates at a resolution: 0.001, 0.0015, 0.002, 0.003 in the early code of Semi-StyleGAN."""


@dataclass(frozen=True)
class Phase:
    """Where a growing training is."""

    resolution: int
    """Pixels a side of the largest block in use."""
    share: float
    """How far it is faded in: over 0 and up to 1."""
    batch: int
    rate: float
    """Factor on the learning rates."""

    @property
    def doublings(self) -> float:
        """What the networks keep (`models/stylegan.py`)."""
        return math.log2(self.resolution) - 1 + self.share


def phase(config: TrainConfig, resolution: int, images: int) -> Phase:
    """The phase after so many images.

    8x8 lasts half of `grow_kimg`; every further resolution is faded in for a half and trained for another.
    """
    assert config.grow_kimg is not None
    half = 500 * config.grow_kimg
    now, share, since = FIRST, 1.0, images - half
    while since >= 0 and now < resolution:
        now *= 2
        # The first batch of a fade already shows a little of the new block: as much as `Growing.stage` can tell.
        share = min(max((since + 1) / half, 1.5e-6), 1.0)
        since -= 2 * half
    return Phase(now, share, config.batch_at(now), FASTER.get(now, 1.0))


def notes_on_growing(config: TrainConfig, resolution: int) -> list[str]:
    """What to know of a training that ends before its networks have grown to the `resolution` of the images: a line."""
    if config.grow_kimg is None:
        return []
    end = phase(config, resolution, round(1000 * config.kimg))
    if end.doublings >= math.log2(resolution):
        return []
    faded = f", faded in by {end.share:.2g}" if end.share < 1 else ""
    enough = config.grow_kimg * (math.log2(resolution / FIRST) + 0.5)
    ends = f"--kimg {config.kimg:g}: ends at {end.resolution} of {resolution} pixels a side{faded}"
    return [f"{ends}, with --grow-kimg {config.grow_kimg:g}; {enough:g} trains all of them"]


def advance(state: TrainState) -> Phase:
    """Grows the networks to where the images seen put them; at a new resolution the optimisers forget (the paper)."""
    now = phase(state.config, state.model.resolution, state.images)
    assert isinstance(state.G, StyleGAN)
    forgets = state.G.stage[0] != now.resolution
    grow([state.G, state.D, state.E, state.G_ema, state.E_ema], now.doublings)
    config = state.config
    for optimiser, rate in ((state.opt_G, config.lr_g), (state.opt_D, config.lr_d), (state.opt_E, config.lr_e)):
        assert rate is not None
        optimiser.lr = rate * now.rate
        if forgets:
            optimiser.forget()
    return now
