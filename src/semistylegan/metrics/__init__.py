"""Scores of codes and images. Everything exported here is a pure function of NumPy arrays.

`oracle` and `evaluate`, which read data sets and runs, are imported by name, so that this import stays light.
"""

from semistylegan.metrics.controllability import (
    edit_drift,
    edit_error,
    l2_gen,
    l2_levels,
    leakage_matrix,
    mean_errors,
    mig_gen,
)
from semistylegan.metrics.disentanglement import factor_vae_score, l2, mig, mig_decoded, modularity
from semistylegan.metrics.fidelity import PrecisionRecall, frechet_distance, kid, precision_recall
from semistylegan.metrics.predictors import DCI, InfoMEC, dci, info_mec, sap

__all__ = [
    "DCI",
    "InfoMEC",
    "PrecisionRecall",
    "dci",
    "edit_drift",
    "edit_error",
    "factor_vae_score",
    "frechet_distance",
    "info_mec",
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
