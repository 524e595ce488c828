"""What a set of networks is: every number that fixes the shapes of G, D and E."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

from semistylegan.errors import UserError

MOST, MOST_LAYERS = 2**20, 100
"""Larger numbers of anything, and of layers in the mapping network, are a mistake."""
Size = Literal["tiny", "small", "base", "paper"]
Backbone = Literal["stylegan2", "stylegan"]
EncoderKind = Literal["separate", "shared"]


@dataclass(frozen=True)
class ModelConfig:
    """Shapes of the networks. Saved as `config.json` beside the weights."""

    resolution: int
    """Pixels a side: a power of two, 16 to 1024."""
    channels: int
    """1 (grey) or 3 (RGB)."""
    code_width: int
    """Entries of a factor code: `FactorSpace.code_width`."""
    max_width: int
    """Feature maps at low resolutions."""
    base_width: int
    """At resolution r a layer has min(max_width, base_width / r) feature maps, at least 8."""
    z_dim: int
    """Length of the Gaussian latent z; 0 where G starts from an image."""
    w_dim: int
    """Length of the style vector w."""
    code_dim: int
    """The code passes a learned linear map to this length before it meets z."""
    mapping_layers: int
    """Fully connected layers from (z, c) to w."""
    mapping_lr: float
    """Learning-rate multiplier of the mapping network."""
    backbone: Backbone = "stylegan2"
    """The synthesis network; with `stylegan` D and E have the paper's trunk too, and all of them can grow."""
    encoder: EncoderKind = "separate"
    """Whether E has a trunk of its own or shares D's, as the paper has it."""
    second_head: bool = False
    """Whether E has a second head, which doubts what G draws, beside the one that reads."""
    coarse: int = 0
    """Semi-StyleGAN-fine: pixels a side of the maps from which the synthesis starts. 0: G starts from z."""
    seen: int = 0
    """Semi-StyleGAN-fine: pixels a side of the input image as G sees it, at least `coarse`."""
    blend: bool = False
    """Semi-StyleGAN-fine: whether G draws what becomes of the input's pixels (a factor, an offset), or all of them."""
    knows_source: bool = False
    """Semi-StyleGAN-fine: whether G is told the code of its input beside the code asked for."""

    @classmethod
    def of_size(
        cls,
        size: Size,
        resolution: int,
        channels: int,
        code_width: int,
        backbone: Backbone = "stylegan2",
        encoder: EncoderKind = "separate",
        coarse: int = 0,
        seen: int = 0,
        blend: bool = False,
        knows_source: bool = False,
        width: int | None = None,
        second_head: bool = False,
    ) -> ModelConfig:
        """The networks of a named size.

        `tiny` is what the demo trains on two cores; `paper` has the published widths and mapping network. With `coarse`
        G edits images (`models/fine.py`) and has no z. With `width`, all layers have so many feature maps instead.
        """
        max_width, base_width, z_dim, w_dim, layers, lr = {
            "tiny": (64, 768, 16, 64, 2, 1.0),
            "small": (128, 2048, 64, 128, 2, 1.0),
            "base": (256, 8192, 128, 256, 4, 0.1),
            "paper": (512, 32768, 512, 512, 8, 0.01),
        }[size]
        if (size, backbone) == ("paper", "stylegan"):
            base_width = 16384  # StyleGAN2 doubled the widths from 64 px on
        if width:
            max_width, base_width = width, width * resolution
        return cls(
            resolution=resolution,
            channels=channels,
            code_width=code_width,
            max_width=max_width,
            base_width=base_width,
            z_dim=0 if coarse else z_dim,
            w_dim=w_dim,
            code_dim=w_dim,
            mapping_layers=layers,
            mapping_lr=lr,
            backbone=backbone,
            encoder=encoder,
            second_head=second_head,
            coarse=coarse,
            seen=seen,
            blend=blend,
            knows_source=knows_source,
        )

    @property
    def resolutions(self) -> tuple[int, ...]:
        """4, 8, ... up to the image's resolution."""
        return tuple(2**k for k in range(2, self.resolution.bit_length()))

    def width(self, resolution: int) -> int:
        """Feature maps at a resolution."""
        return max(8, min(self.max_width, self.base_width // resolution))

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> ModelConfig:
        """Reads what :meth:`to_json` wrote.

        Raises:
            UserError: a field is missing, unknown or of a value that no network has.
        """
        try:
            config = cls(**document)
        except TypeError as error:
            raise UserError(f"model configuration: {error}; was it written by another version?") from None
        if name := config._misfit():
            value = getattr(config, name)
            raise UserError(f"model configuration: no network has {name} {value!r}; was it written by another version?")
        return config

    def _misfit(self) -> str | None:
        """A field whose value no network has, if any."""
        for name, hint in get_type_hints(ModelConfig).items():
            if not of_type(getattr(self, name), hint):
                return name
        sizes = [2**k for k in range(2, 11)]
        fits = {
            "resolution": self.resolution in sizes[2:],
            "channels": self.channels in (1, 3),
            "code_width": 0 <= self.code_width <= MOST,
            "coarse": not self.coarse or (self.coarse in sizes and self.coarse <= self.seen <= self.resolution),
            "seen": not self.coarse or self.seen in sizes,
            "z_dim": self.z_dim == 0 if self.coarse else 0 < self.z_dim <= MOST,
            "mapping_layers": 0 < self.mapping_layers <= MOST_LAYERS,
            "mapping_lr": 0 < self.mapping_lr <= MOST,
        }
        fits |= {name: 0 < getattr(self, name) <= MOST for name in ("max_width", "base_width", "w_dim", "code_dim")}
        return next((name for name, fit in fits.items() if not fit), None)


def of_type(value: Any, hint: Any) -> bool:
    """Whether a field of this type may hold `value`. Whole numbers are floats, too; true and false are no numbers."""
    if chosen := get_args(hint):
        return value in chosen if get_origin(hint) is Literal else any(of_type(value, part) for part in chosen)
    return isinstance(value, (int, float) if hint is float else hint) and (hint is bool or not isinstance(value, bool))
