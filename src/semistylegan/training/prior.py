"""Which labelled rows the codes of a trained model are drawn from (`--prior labelled`)."""

from __future__ import annotations

import csv
from pathlib import Path

from semistylegan.data.labels import Labels, read_csv
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.training.run import LABELS, Run

PRIOR = "prior.csv"
"""In the folder of a model that was handed on: these rows, without names of images."""


def prior_of(checkpoint: Path, space: FactorSpace) -> Labels | None:
    """Rows from which the codes of a checkpoint are drawn; None where each factor is drawn from its values.

    Args:
        checkpoint: in a run, or handed on by itself.
        space: the model's factors, in whose levels the rows are given.

    Raises:
        UserError: a damaged table; names it.
    """
    if (own := checkpoint / PRIOR).is_file():
        return _read_rows(own, space)
    return _labelled_prior(checkpoint.resolve().parent, space)  # "." has no other parent than itself


def _read_rows(path: Path, space: FactorSpace) -> Labels | None:
    """The rows of a table as they stand, whatever images they name; None where there is none."""
    with path.open(encoding="utf-8", newline="") as file:
        names = [row["file_name"] for row in csv.DictReader(file)]
    return read_csv(path, names, space)[1] if names else None


def _labelled_prior(run: Path, space: FactorSpace) -> Labels | None:
    """The labelled rows of a run whose codes were drawn from them; None for every other prior, and outside of a run.

    Raises:
        UserError: a damaged `labels.csv`; names it.
    """
    try:
        if Run(run).document()["train"].get("prior") != "labelled":
            return None
    except (UserError, AttributeError):
        return None  # a checkpoint by itself
    if not (path := run / LABELS).is_file():
        return None
    own = Run(run).label_space(space)
    labels = _read_rows(path, own)
    return labels if labels is None or own.kinds == space.kinds else labels.as_scalars(own)
