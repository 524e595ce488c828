"""The metrics of a model by name: what each needs, which fields it fills, how it is measured.

Suffixes: N images, F factors, K codes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from semistylegan import progress
from semistylegan.factors import FactorSpace
from semistylegan.metrics import voting
from semistylegan.metrics.code_metrics import CODE_METRICS, VOTES
from semistylegan.metrics.controllability import constant_errors, l2_levels, leakage, leakage_matrix, mean_errors
from semistylegan.metrics.disentanglement import BINS, mig_decoded
from semistylegan.metrics.fidelity import frechet_distance, kid, precision_recall
from semistylegan.metrics.information import Floats, Ints, Mask, varying
from semistylegan.metrics.oracle import MIN_LABELLED
from semistylegan.metrics.predictors import dci
from semistylegan.metrics.readings import Readings, own_kinds
from semistylegan.metrics.voting import VARIANCE_IMAGES, beta_vae_score, factor_vae_score

VERSION = 1
"""Counts up whenever a score would come out otherwise of the same model: scores of another number are measured anew.
Files without a number are of 1."""
Fields = dict[str, Any]
ALIGNED = (
    "codes matched with factors, and their values by a table, on E's readings of a random half of the labelled images"
)
"""How a model without names is given some: see `alignment`."""


# -- E on held-out images -------------------------------------------------------------------------------------------


def mig_of_encoder(r: Readings) -> Fields:
    return {"mig": mig_decoded(r.read, r.true_indices, r.codes, BINS, r.truth[1])}


def l2_of_encoder(r: Readings) -> Fields:
    if r.named:
        level, known = r.truth
        return errors(own_kinds(r.read, r.codes, r.factors), level, r, known, "l2", "mae")
    read, level, known = r.tested
    return errors(read, level, r, known, "l2", "mae")


def factor_vae(r: Readings) -> Fields:
    learn, test = voting.VOTES
    with progress.bar("measuring the FactorVAE score", learn + test) as advance:
        score = factor_vae_score(
            grid_codes(r), r.factors, None, r.seed, votes=learn, test_votes=test, space=r.codes, voted=advance
        )
    return {"factor_vae": score}


def beta_vae(r: Readings) -> Fields:
    learn, test = voting.VOTES
    with progress.bar("measuring the BetaVAE score", learn + test) as advance:
        score = beta_vae_score(
            grid_codes(r), r.factors, None, r.seed, points=learn, test_points=test, space=r.codes, voted=advance
        )
    return {"beta_vae": score}


def grid_codes(r: Readings) -> Floats:
    """E's readings of every image of the grid, in the grid's order."""
    row_of = grid_rows(r)
    assert row_of is not None
    return r.read_all[row_of]


def grid_rows(r: Readings) -> Ints | None:
    """Image number of each point of the grid, or None where the images are not exactly the grid."""
    labels, space = r.data.labels, r.factors
    if not len(space) or any(f.size is None for f in space) or space.total != len(r.data) or not labels.known_NF.all():
        return None
    points = np.asarray(space.index_of(space.indices_of_levels(labels.level_NF)))
    row_of = np.full(space.total, -1, dtype=np.int64)
    row_of[points] = np.arange(len(points))
    return None if (row_of < 0).any() else row_of


def dci_of_encoder(r: Readings) -> Fields:
    codes, factors = whole_rows(r)
    with progress.bar("measuring DCI", factors.shape[1]) as advance:
        scores = dci(codes, factors, r.seed, space=r.codes, fitted=advance)
    return dict(zip(CODE_METRICS["dci"].fields, scores, strict=True))


def whole_rows(r: Readings) -> tuple[Floats, Ints]:
    """Codes and factors of the images that know every factor."""
    whole = r.truth[1].all(axis=1)
    return r.read[whole], r.true_indices[whole]


def compared(name: str, r: Readings) -> tuple[Floats, Ints, FactorSpace]:
    """What a metric of codes compares: codes, factors and the kinds of the codes, of the images that know every factor.

    Modularity is a mean over the entries of the code: those that stand for a factor of one value have nothing to tell.
    """
    codes, factors = whole_rows(r)
    if name != "modularity" or not r.named:
        return codes, factors, r.codes
    kept = several_values(r.codes)
    return codes[:, kept], factors, r.codes.only([r.codes.names[k] for k in kept])


# -- G, read by the oracle ------------------------------------------------------------------------------------------


def mig_of_generator(r: Readings) -> Fields:
    asked_NK, told = r.codes.indices_of_levels(r.generated.asked_NK, BINS), r.told
    if r.named:
        asked_NK = asked_NK[:, told]
    space = FactorSpace(tuple(r.factors[f] for f in told))
    return {"mig_gen": mig_decoded(r.generated.read_NF[:, told], asked_NK, space, BINS)}


def l2_of_generator(r: Readings) -> Fields:
    g = r.generated
    known = np.zeros(g.read_NF.shape, dtype=bool)
    known[:, r.told] = True
    asked = own_kinds(g.asked_NK, r.codes, r.factors) if r.named else r.meaning.levels(g.asked_NK)
    return errors(g.read_NF, asked, r, known, "l2_gen", "mae_gen")


def leakage_of_generator(r: Readings) -> Fields:
    before, after = r.changed
    matrix_KF = leakage_matrix(before, after, r.factors)
    factors = [f for f in several_values(r.factors) if f in r.told]
    codes = factors if r.named else several_values(r.codes)  # by scalar kinds, an angle of one value is any number
    rows = {r.codes.names[k]: {r.factors.names[f]: float(matrix_KF[k, f]) for f in factors} for k in codes}
    if not r.named:  # the diagonal is where a factor's code meets it
        own = [r.meaning.code_of[f] for f in factors]
        if None in own or len(codes) != len(factors):
            return {"leakage": rows, "leakage_mean": None}
        codes = [code for code in own if code is not None]
    return {"leakage": rows, "leakage_mean": leakage(matrix_KF[np.ix_(codes, factors)])}


def several_values(space: FactorSpace) -> list[int]:
    """Places of the factors that have more than one value."""
    return [i for i, factor in enumerate(space) if factor.size != 1]


def fd_of_generator(r: Readings) -> Fields:
    return {"fd_oracle": frechet_distance(r.real_features, r.generated.feature_ND)}


def kid_of_generator(r: Readings) -> Fields:
    return {"kid": kid(r.real_features, r.generated.feature_ND)}


def precision_recall_of_generator(r: Readings) -> Fields:
    scores = precision_recall(r.real_features, r.generated.feature_ND)
    return {"precision": scores.precision, "recall": scores.recall}


def edits_of_model(r: Readings) -> Fields:
    return dict(r.edits[0])


def fid_of_generator(r: Readings) -> Fields:
    return {"fid": frechet_distance(*r.inception_features)}


def errors(read: Floats, target: Floats, r: Readings, known: Mask, total: str, each: str) -> Fields:
    """L2, each factor's mean error and that of the best constant, under their names in `metrics.json`."""
    means, constant = mean_errors(read, target, r.factors, known), constant_errors(target, r.factors, known)
    per_factor = {
        name: {
            each: None if np.isnan(mean) else float(mean),
            f"{each}_constant": None if np.isnan(least) else float(least),
        }
        for name, mean, least in zip(r.factors.names, means, constant, strict=True)
    }
    return {total: l2_levels(read, target, r.factors, known), "per_factor": per_factor}


# -- all of them ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Metric:
    """One metric."""

    fields: tuple[str, ...]
    """What it fills in `metrics.json`, besides `per_factor`."""
    measure: Callable[[Readings], Fields]
    """Readings -> fields."""
    of: Literal["encoder", "generator", "images"]
    """Whose score it is: E's on labelled images, G's, read by the oracle, or G's with neither labels nor oracle."""
    protocol: dict[str, Any]
    """How it is measured, beyond the number of images, the seed and the weights."""


def of_codes(name: str, protocol: dict[str, Any]) -> Metric:
    """One of CODE_METRICS, on E's readings of the images that know every factor."""
    fields, measure = CODE_METRICS[name]

    def of_encoder(r: Readings) -> Fields:
        return dict(zip(fields, measure(*compared(name, r), r.seed), strict=True))

    return Metric(fields, of_encoder, "encoder", protocol)


FEATURES = {"features": "oracle, penultimate layer"}
CODES = {"codes": "decoded; classes one-hot, angles as points of the circle, each factor one entry"}
VOTED = {**CODES, "votes": list(voting.VOTES), "batch": 64}

METRICS: dict[str, Metric] = {
    "mig": Metric(("mig",), mig_of_encoder, "encoder", {"bins": BINS, "codes": "decoded"}),
    "l2": Metric(("l2",), l2_of_encoder, "encoder", {}),
    "mig_gen": Metric(("mig_gen",), mig_of_generator, "generator", {"bins": BINS, "codes": "decoded"}),
    "l2_gen": Metric(("l2_gen",), l2_of_generator, "generator", {}),
    "fd_oracle": Metric(("fd_oracle",), fd_of_generator, "generator", FEATURES),
    "leakage": Metric(("leakage", "leakage_mean"), leakage_of_generator, "generator", {}),
    "factor_vae": Metric(
        ("factor_vae",), factor_vae, "encoder", {**VOTED, "variance_images": VARIANCE_IMAGES, "prune": 0.05}
    ),
    "beta_vae": Metric(("beta_vae",), beta_vae, "encoder", VOTED),
    "dci": Metric(
        CODE_METRICS["dci"].fields,
        dci_of_encoder,
        "encoder",
        {**CODES, "classifier": "gradient boosting", "training_share": [2, 3]},
    ),
    "sap": of_codes("sap", {**CODES, "training_share": [2, 3]}),
    "modularity": of_codes("modularity", {"codes": "decoded", "bins": BINS}),
    "explicitness": of_codes("explicitness", {**CODES, "training_share": [2, 3]}),
    "irs": of_codes("irs", {**CODES, "bins": BINS, "quantile": 0.99}),
    "info_mec": of_codes("info_mec", {**CODES, "neighbours": 10}),
    "kid": Metric(("kid",), kid_of_generator, "generator", {**FEATURES, "pairs": "all"}),
    "precision_recall": Metric(
        ("precision", "recall"), precision_recall_of_generator, "generator", {**FEATURES, "k": 3}
    ),
    "edit": Metric(
        ("edit_error", "edit_drift", "edit_psnr", "edit_ssim", "edit_beside"),
        edits_of_model,
        "generator",
        {"values": "each other one of the grid, 8 at most", "drift": "of the oracle's reading, before and after"},
    ),
    "fid": Metric(
        ("fid",), fid_of_generator, "images", {"features": "Inception", "resize": "bilinear with antialiasing"}
    ),
}
"""Every metric, in the order in which they are measured."""
METRIC_OF = {field: name for name, metric in METRICS.items() for field in metric.fields}
METRIC_OF |= {"mae": "l2", "mae_gen": "l2_gen"}
"""Field of `metrics.json`, or of a factor there -> the metric that fills it."""

DEFAULT = ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle", "leakage")
"""Those that take seconds."""
QUICK = ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle")
"""Those that are measured while a model trains."""


def unmeasurable(name: str, r: Readings) -> str | None:
    """Why a metric cannot be measured here, as a sentence; None where it can."""
    metric = METRICS[name]
    few = f"fewer than {MIN_LABELLED} images have a label"
    if metric.of == "generator" and r.oracle is None:
        return f"{name} is left out: {few}, too few for an oracle."
    if name == "edit" and not set(r.codes.names) <= set(r.all_data.space.names):
        return "edit is left out: the model's codes have no names."
    if name == "edit" and (free := [f.name for f in r.all_data.space if not f.size]):
        return f"edit is left out: it needs a grid of every factor; give {', '.join(free)} a size in factors.json."
    if name == "edit" and not len(r.edited):
        return "edit is left out: it needs images whose every label is known."
    if metric.of == "encoder" and not r.enough:
        return f"{name} is left out: {few}."
    if name in VOTES and grid_rows(r) is None:
        return f"{name} is left out: it needs a labelled image of every combination of the factors' values."
    if name == "beta_vae" and sum(f.size != 1 for f in r.factors) < 2:
        return "beta_vae is left out: it tells factors apart, and needs two that vary."
    if name in ("dci", "sap", "modularity", "explicitness", "irs", "info_mec"):
        whole = r.truth[1].all(axis=1)
        if whole.sum() < MIN_LABELLED:
            return f"{name} is left out: fewer than {MIN_LABELLED} held-out images have a label of every factor."
        if varying(r.true_indices[whole]).sum() < 2 or len(r.codes) < 2:
            return f"{name} is left out: it compares factors, and needs two that vary."
    elif metric.of == "encoder" and name == "mig" and not varying(r.true_indices, r.truth[1]).any():
        return "mig is left out: no factor varies over the held-out images."
    if name in ("mig_gen", "leakage", "edit") and all(f.size == 1 for f in r.codes):
        return f"{name} is left out: no factor has more than one value."
    if name == "mig_gen":
        asked = r.codes.indices_of_levels(r.generated_levels.double().numpy(), BINS)
        if not varying(asked.astype(np.int64)).any():
            return "mig_gen is left out: the labelled rows, from which codes are drawn, have one combination of values."
    return None
