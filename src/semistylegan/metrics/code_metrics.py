"""The metrics of codes by name, for `eval` and `eval-codes` alike: which scores each gives, and how it is measured.

Suffixes: N images, L entries of a code, F factors, G points of the grid.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from semistylegan.factors import FactorSpace
from semistylegan.metrics.disentanglement import irs, mig, mig_decoded, modularity
from semistylegan.metrics.information import Floats
from semistylegan.metrics.predictors import dci, explicitness, info_mec, sap
from semistylegan.metrics.voting import beta_vae_score, factor_vae_score


class CodeMetric(NamedTuple):
    """One metric."""

    fields: tuple[str, ...]
    """Its scores, as `metrics.json` calls them."""
    measure: Callable[[Floats, Any, FactorSpace | None, int], Sequence[float]]
    """Codes N x L, value indices N x F, kinds of the entries, seed -> scores. VOTES take codes G x L and the grid."""


CODE_METRICS = {
    "mig": CodeMetric(("mig",), lambda c, f, space, seed: [mig_decoded(c, f, space) if space else mig(c, f)]),
    "modularity": CodeMetric(("modularity",), lambda c, f, space, seed: [modularity(c, f, space=space)]),
    "irs": CodeMetric(("irs",), lambda c, f, space, seed: [irs(c, f, space=space)]),
    "sap": CodeMetric(("sap",), lambda c, f, space, seed: [sap(c, f, seed, space=space)]),
    "explicitness": CodeMetric(("explicitness",), lambda c, f, space, seed: [explicitness(c, f, seed, space=space)]),
    "info_mec": CodeMetric(("info_m", "info_e", "info_c"), lambda c, f, space, seed: info_mec(c, f, seed, space=space)),
    "factor_vae": CodeMetric(
        ("factor_vae",), lambda c, grid, space, seed: [factor_vae_score(c, grid, seed=seed, space=space)]
    ),
    "beta_vae": CodeMetric(
        ("beta_vae",), lambda c, grid, space, seed: [beta_vae_score(c, grid, seed=seed, space=space)]
    ),
    "dci": CodeMetric(
        ("dci_disentanglement", "dci_completeness", "dci_informativeness"),
        lambda c, f, space, seed: dci(c, f, seed, space=space),
    ),
}
"""Every metric. The quick ones come first."""
VOTES = ("factor_vae", "beta_vae")
"""Those that vote over the whole grid."""
