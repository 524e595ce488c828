"""MIG on few images: how far their number moves it, and what the `note` says of that."""

from __future__ import annotations

from typing import Any

from semistylegan.factors import FactorSpace
from semistylegan.metrics.disentanglement import BINS, mig_by_chance, mig_low_by
from semistylegan.metrics.information import Mask

LOW = 0.02
"""Where MIG is too low by more than this (`mig_low_by`), or more by chance (`mig_by_chance`), the `note` says so."""


def by_images(level_NF: Any, factors_NG: Any, space: FactorSpace, known_NG: Mask | None = None) -> dict[str, float]:
    """How far the number of images moves a MIG: entries of its protocol."""
    what = (level_NF, factors_NG, space, BINS, known_NG)
    return {"low_by": mig_low_by(*what), "by_chance": mig_by_chance(*what)}


def few_images(word: str, who: str, protocol: dict[str, Any]) -> list[str]:
    """What the `note` says of a MIG that its number of images moves by more than LOW, either way."""
    out = []
    if (low_by := protocol.get("low_by", 0)) > LOW:
        images = protocol["images"]
        out.append(f"On so few images ({images:,}) {word} is too low: that of {who} well by {low_by:.2f}.")
    if (by_chance := protocol.get("by_chance", 0)) > LOW:
        out.append(f"By chance alone (what is read given to other images) {word} would be {by_chance:.2f} here.")
    return out
