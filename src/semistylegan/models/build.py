"""The networks of a configuration."""

from __future__ import annotations

from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Discriminator, Encoder, Trunk
from semistylegan.models.fine import FineGenerator
from semistylegan.models.generator import Generator
from semistylegan.models.stylegan import GrowingTrunk, StyleGAN
from semistylegan.models.stylegan2 import StyleGAN2


def build_generator(config: ModelConfig) -> Generator:
    """G, with weights drawn from torch's random numbers."""
    if config.coarse:
        return FineGenerator(config)
    return StyleGAN(config) if config.backbone == "stylegan" else StyleGAN2(config)


def build_trunk(config: ModelConfig) -> Trunk | GrowingTrunk:
    """What D and E look through."""
    return GrowingTrunk(config) if config.backbone == "stylegan" else Trunk(config)


def build_networks(config: ModelConfig) -> tuple[Generator, Discriminator, Encoder]:
    """G, D and E, in this order."""
    G = build_generator(config)
    D = Discriminator(config, build_trunk(config))
    return G, D, Encoder(config, D.trunk if config.encoder == "shared" else build_trunk(config))
