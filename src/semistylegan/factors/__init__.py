"""Factors of variation and the spaces they span: the word that every other module speaks.

A factor has a *value* in the user's own units ("ring", 0.29, 210 degrees). Inside, three forms of it are used:

========  ==============================================================================================
index     int in [0, n): which of the n values of a grid (exists only where the factor has a grid)
level     one float a factor. scalar: position in its range, [0, 1]; circular: fraction of a turn, [0, 1);
          categorical: the class number, 0, 1, 2, ... A table of labels is `level_NF` with a mask `known_NF`
code      what networks see, `code_NC`: one number in [0, 1] (scalar), one-hot (categorical), or
          (cos, sin) / 2 (circular), so that the largest distance within any factor is about 1.
          A scalar of few values may have an entry for each of them, as classes have (`as_classes`)
========  ==============================================================================================

Suffixes of arrays: N images, F factors, C entries of the code.
"""

from semistylegan.factors.factor import (
    FIELDS,
    Factor,
    FloatArray,
    IntArray,
    Kind,
    Value,
    unknown_fields,
    whole_number,
)
from semistylegan.factors.space import FactorSpace

__all__ = [
    "FIELDS",
    "Factor",
    "FactorSpace",
    "FloatArray",
    "IntArray",
    "Kind",
    "Value",
    "unknown_fields",
    "whole_number",
]
