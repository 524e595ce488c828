"""Scores of codes and images. Everything exported here is a pure function of NumPy arrays.

`oracle` and `evaluate`, which read data sets and runs, are imported by name, so that this import stays light.
"""

from semistylegan.metrics.codes import evaluate_codes
from semistylegan.metrics.controllability import (
    edit_drift,
    edit_error,
    l2_gen,
    l2_levels,
    leakage_matrix,
    mean_errors,
    mig_gen,
)
from semistylegan.metrics.disentanglement import irs, l2, mig, mig_decoded, modularity
from semistylegan.metrics.fidelity import PrecisionRecall, frechet_distance, kid, precision_recall
from semistylegan.metrics.intervals import Interval, bootstrap
from semistylegan.metrics.predictors import DCI, InfoMEC, dci, explicitness, info_mec, sap
from semistylegan.metrics.voting import beta_vae_score, factor_vae_score

__all__ = [
    "DCI",
    "InfoMEC",
    "Interval",
    "PrecisionRecall",
    "beta_vae_score",
    "bootstrap",
    "dci",
    "edit_drift",
    "edit_error",
    "evaluate_codes",
    "explicitness",
    "factor_vae_score",
    "frechet_distance",
    "info_mec",
    "irs",
    "kid",
    "l2",
    "l2_gen",
    "l2_levels",
    "leakage_matrix",
    "mean_errors",
    "mig",
    "mig_decoded",
    "mig_gen",
    "modularity",
    "precision_recall",
    "sap",
]
