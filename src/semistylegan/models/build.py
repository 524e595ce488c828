"""The networks of a configuration."""

from __future__ import annotations

from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Discriminator, Encoder, Trunk
from semistylegan.models.fine import FineGenerator
from semistylegan.models.generator import Generator
from semistylegan.models.stylegan2 import StyleGAN2


def build_generator(config: ModelConfig) -> Generator:
    """G, with weights drawn from torch's random numbers."""
    return FineGenerator(config) if config.coarse else StyleGAN2(config)


def build_networks(config: ModelConfig) -> tuple[Generator, Discriminator, Encoder]:
    """G, D and E, in this order."""
    G = build_generator(config)
    D = Discriminator(config, Trunk(config))
    return G, D, Encoder(config, D.trunk if config.encoder == "shared" else Trunk(config))
