"""Materials as plain values: what Mitsuba calls a BSDF, without importing Mitsuba.

Each function returns the dictionary that Mitsuba's `load_dict` reads, except that a colour may be a :class:`Texture`;
the engine turns it into a bitmap. Colours are sRGB, 0 to 1, as in a colour picker.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Rgb = tuple[float, float, float]
Material = dict[str, Any]


@dataclass(frozen=True, eq=False)
class Texture:
    """A picture that repeats over a surface."""

    image_HW3: npt.NDArray[np.floating[Any]]
    """sRGB, 0 to 1; its first row lies at v = 0."""
    metres: float | tuple[float, float] = 1.0
    """Size of one copy along u and v, in the units of the mesh's uv."""


def linear(colour: Rgb) -> list[float]:
    """sRGB -> linear RGB (IEC 61966-2-1)."""
    return [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in colour]


def _colour(colour: Rgb | Texture) -> Any:
    return colour if isinstance(colour, Texture) else {"type": "rgb", "value": linear(colour)}


def matte(colour: Rgb | Texture) -> Material:
    """Chalk, plaster, cloth: light leaves in all directions alike."""
    return {"type": "diffuse", "reflectance": _colour(colour)}


def painted(colour: Rgb | Texture, roughness: float = 0.5, specular: float = 0.5, clearcoat: float = 0.0) -> Material:
    """Paint, wood, rubber: Disney's principled material.

    Args:
        roughness: 0 mirror-like to 1 dull.
        specular: strength of the reflection; 0.5 is that of most plastics.
        clearcoat: a glossy layer on top, as on a car.
    """
    coat = {"clearcoat": clearcoat, "clearcoat_gloss": 0.92} if clearcoat else {}
    return {
        "type": "principled",
        "base_color": _colour(colour),
        "roughness": roughness,
        "specular": specular,
        **coat,
    }


def metal(colour: Rgb | Texture, roughness: float = 0.25) -> Material:
    """Steel, chrome, brass: the colour is that of the reflection."""
    return {"type": "principled", "base_color": _colour(colour), "roughness": roughness, "metallic": 1.0}


def plastic(colour: Rgb | Texture, alpha: float = 0.1) -> Material:
    """Glazed ceramics, tiles, enamel: a coloured ground under a clear layer; `alpha` is its roughness."""
    return {"type": "roughplastic", "diffuse_reflectance": _colour(colour), "alpha": alpha, "nonlinear": True}


def two_sided(material: Material) -> Material:
    """For open surfaces seen from both sides: leaves, lampshades."""
    return {"type": "twosided", "bsdf": material}
