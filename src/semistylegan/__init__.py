"""Images whose factors do as they are told, learned from a few labels: semi-supervised StyleGAN.

`ssg.load(path)` gives a model that generates, encodes and edits; `ssg.metrics` holds the scores as pure functions of
NumPy arrays. Importing the package is light: torch and the rest come with the first use.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from semistylegan import metrics
    from semistylegan.editing import load

__version__ = "0.1.0"
__all__ = ["__version__", "load", "metrics"]


def __getattr__(name: str) -> Any:
    """Imports `load` and `metrics` when they are first asked for (PEP 562)."""
    if name == "load":
        return importlib.import_module("semistylegan.editing").load
    if name == "metrics":
        return importlib.import_module("semistylegan.metrics")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
