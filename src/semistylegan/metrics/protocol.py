"""How scores were measured: all that a figure needs to be compared with another, and what its reader must know."""

from __future__ import annotations

from typing import Any

from semistylegan.factors import Factor
from semistylegan.metrics.code_metrics import VOTES
from semistylegan.metrics.disentanglement import BINS
from semistylegan.metrics.few import by_images, few_images
from semistylegan.metrics.information import varying
from semistylegan.metrics.oracle import Oracle
from semistylegan.metrics.readings import Readings
from semistylegan.metrics.scores import ALIGNED, METRICS, VERSION, whole_rows

SEEN = "MIG and L2 are measured on images whose labels training read: too few were kept from it."
"""In the `note` of a run whose encoder had no held-out images."""
EDITS = {
    "labels unread": "Edits are of images that training saw, though not their labels: --hold-out keeps some from it.",
    "all labelled": "Edits are of images that training saw, their labels too: --hold-out keeps some from it.",
}
"""The same of edits, by their `split`."""
STARTS = "The generator starts from images that training saw: --hold-out keeps some from it."
"""The same of an editor's other scores."""
NAMELESS = "Without labels codes have no names"
"""In the `note` of a run whose codes were given names for the scores that need them."""


def protocol_of(name: str, r: Readings, identity: dict[str, Any]) -> dict[str, Any]:
    """How a metric was measured: all that a figure needs to be compared with another."""
    metric = METRICS[name]
    protocol = dict(metric.protocol)
    if metric.of == "encoder":
        grid = {"split": "every image of the grid", "images": len(r.data)}
        grid["labels_read"] = len(r.own.labelled_rows) > 0  # by training, of some of them
        protocol |= grid if name in VOTES else {"split": r.split, **images_read(name, r)}
    elif metric.of == "generator":
        assert r.oracle is not None
        count = len(r.changed[0] if name == "leakage" else r.edited if name == "edit" else r.generated.asked_NK)
        protocol |= {"images": count, "prior": "grid" if r.prior is None else "labelled"}
        own = r.all_oracle.l2 if name == "edit" and r.all_oracle is not None else r.oracle_l2
        protocol |= {"oracle_l2": own, "oracle_sha256": r.oracle.sha256}
        if name in ("fd_oracle", "kid", "precision_recall"):
            protocol["real_images"] = len(r.real_features)
    elif r.inception is not None:
        protocol |= {"images": len(r.generated_levels), "real_images": len(r.real_rows)}
        protocol["inception_sha256"] = r.inception.sha256
    if metric.of == "encoder" or name in ("mig_gen", "l2_gen", "leakage", "edit"):
        protocol["factors"] = factors_of(name, r)
    if name == "edit":
        drift = [f.name for f in r.all_data.space if f.size != 1]
        protocol |= {"split": r.for_edits[0], "drift_factors": drift}
    elif metric.of != "encoder" and r.starts_from_image:
        protocol["split"] = r.start_split
    if metric.of == "encoder" or name == "edit" or r.starts_from_image:
        protocol["hold_out"] = r.hold_out or "none"
    if name == "mig":
        protocol |= by_images(r.read, r.true_indices, r.codes, r.truth[1])
    if name == "mig_gen":
        g = r.generated
        protocol |= by_images(g.read_NF, r.codes.indices_of_levels(g.asked_NK, BINS), r.factors)
    if name in ("l2", "l2_gen", "leakage") and not r.named:
        protocol["alignment"] = ALIGNED
    whose = {key: identity[key] for key in ("seed", "weights_sha256", "data_fingerprint") if key in identity}
    return protocol | whose | {"metrics_version": VERSION}


def images_read(name: str, r: Readings) -> dict[str, Any]:
    """How many images a score of the encoder is of; and how many know each factor, where it is measured on these alone
    and they are fewer."""
    known_NF = r.truth[1]
    if name == "l2" and not r.named:
        known_NF = r.tested[2]
    elif name not in ("mig", "l2"):
        return {"images": len(whole_rows(r)[0])}
    images, each = len(known_NF), known_NF.sum(axis=0).tolist()
    per_factor = dict(zip(r.factors.names, each, strict=True)) if min(each, default=images) < images else {}
    return {"images": images, **({"per_factor_images": per_factor} if per_factor else {})}


def factors_of(name: str, r: Readings) -> list[str]:
    """The factors that a score is of: those that vary, or are known, where it is measured."""
    factors, known_NF = r.factors, r.truth[1]
    if name == "l2_gen":
        return [factors.names[f] for f in r.told]
    if name in ("mig_gen", "leakage"):
        return [factors.names[f] for f in r.told if factors[f].size != 1]
    if METRICS[name].of == "generator" or name in VOTES:
        return [f.name for f in (r.codes if name == "edit" else factors) if f.size != 1]
    if name == "l2":
        tells = (known_NF if r.named else r.tested[2]).sum(axis=0) > 0
    elif name == "mig":
        tells = varying(r.true_indices, known_NF)
    else:
        tells = varying(whole_rows(r)[1])
    return [f.name for f, told in zip(factors, tells, strict=True) if told]


def note(document: dict[str, Any], r: Readings, notes: list[str]) -> str:
    """What a reader of the scores must know, in sentences; empty where there is nothing."""
    said = list(notes)
    if r.enough and r.split != "held-out" and any(document.get(key) is not None for key in ("mig", "l2")):
        said.append(SEEN)
    protocols = document.get("protocols", {})
    if (words := EDITS.get(protocols.get("edit", {}).get("split", ""))) is not None:
        said.append(words)
    if any(p.get("split") == "all" for p in protocols.values()):
        said.append(STARTS)
    for name, word, who in (("mig", "MIG", "an encoder that reads"), ("mig_gen", "MIG-gen", "a generator that obeys")):
        p = protocols.get(name, {})
        said += few_images(word, who, p)
    if not r.named and len(r.factors) and (document["l2"] is not None or document["l2_gen"] is not None):
        said.append(f"{NAMELESS}; for L2 and the errors of factors: {ALIGNED}.")
    if r.oracle is not None and any(METRICS[name].of == "generator" for name in protocols):
        error, seen = r.oracle_l2, document["l2_gen"]
        if error is not None and (error > 0.1 or (seen is not None and seen < 2 * error)):
            said.append(
                f"The oracle is the limit: its own L2 is {error:.3f}, learnt from {r.oracle.labelled} labelled images; "
                f"the scores of the generator can be no better."
            )
        if untold := [name for f, name in enumerate(r.factors.names) if f not in r.told]:
            said.append(f"No label taught the oracle {', '.join(untold)}: left out of the scores of the generator.")
        read = r.oracle if document.get("edit_drift") is None else r.all_oracle  # the drift is of all factors
        if read is not None and (coarse := coarse_factors(read)):
            said.append(
                f"The oracle itself misreads {', '.join(coarse)} by more than half a step: what it says of "
                "the generator there says little."
            )
    return " ".join(said)


def coarse_factors(oracle: Oracle) -> list[str]:
    """Factors that an oracle misreads by more than :func:`half_step`, of those that it tells."""
    out = []
    for i, (factor, error) in enumerate(zip(oracle.space, oracle.error, strict=True)):
        told, limit = oracle.columns is None or i in oracle.columns, half_step(factor)
        if told and error is not None and limit is not None and error > limit:
            out.append(factor.name)
    return out


def half_step(factor: Factor) -> float | None:
    """Half the step between two values, as an error of `FactorSpace.error`; a class: wrong in one image of ten.

    None for a factor without a grid, or of one value.
    """
    if factor.size is None or factor.size < 2:
        return None
    return {"scalar": 0.5 / (factor.size - 1), "circular": 1 / factor.size, "categorical": 0.1}[factor.kind]
