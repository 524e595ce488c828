"""How fast the metrics are, and how DCI's trees compare with scikit-learn's, side by side in one run on one thread.

    python benchmarks/metrics.py

Prints a table: what, seconds, what is wanted. Nothing is downloaded; the codes are noisy mixtures of known factors.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable

import numpy as np

from semistylegan import metrics
from semistylegan.factors import FactorSpace
from semistylegan.metrics.code_intervals import INTERVALS

INTERVAL_OF = {"DCI": "dci", "SAP": "sap", "InfoMEC": "info_mec"}
SIZES = (3, 8, 5, 4, 4, 4, 6, 4, 4)
"""Values of Isaac3D's nine factors."""


def mixture(factors_NF: np.ndarray, columns: int, random: np.random.Generator) -> np.ndarray:
    """Codes of which the first follow one factor each, with noise, and the rest are noise alone."""
    scaled = (factors_NF - factors_NF.mean(axis=0)) / factors_NF.std(axis=0)
    codes = random.normal(size=(len(scaled), columns))
    used = min(columns, scaled.shape[1])
    codes[:, :used] = scaled[:, :used] + 0.3 * codes[:, :used]
    return codes


def seconds(call: Callable[[], object], times: int = 3) -> float:
    """Least processor time of some calls."""
    best = np.inf
    for _ in range(times):
        began = time.process_time()
        call()
        best = min(best, time.process_time() - began)
    return float(best)


def main() -> None:
    random = np.random.default_rng(0)
    factors = np.stack([random.integers(0, n, 10_000) for n in SIZES], axis=1)
    codes = mixture(factors, 10, random)
    rows = [("MIG, 10,000 x 10 codes, 9 factors", seconds(lambda: metrics.mig(codes, factors)), "under 0.15 s")]

    grid = FactorSpace.grid({f"f{i}": n for i, n in enumerate((3, 12, 5, 8, 8))})
    array = mixture(grid.values_of(np.arange(grid.total)), 6, random)
    rows.append(
        (
            "FactorVAE, array over a grid, 15,000 votes",
            seconds(lambda: metrics.factor_vae_score(array, grid)),
            "under 1 s",
        )
    )

    few = np.stack([random.integers(0, n, 15_000) for n in (3, 5, 8)], axis=1)
    mixed = mixture(few, 10, random)
    train, test = (mixed[:10_000], few[:10_000]), (mixed[10_000:], few[10_000:])
    told = {}
    for classifier in ("boosting", "scikit-learn"):
        took = seconds(lambda c=classifier: told.update({c: metrics.dci(*train, classifier=c, test=test)}), 1)
        rows.append((f"DCI, 10,000 x 10 codes, 3 factors, {classifier}", took, ""))
    ratio = rows[-1][1] / rows[-2][1]
    rows.append(("  scikit-learn's time over ours", ratio, "at least 5"))
    for name, score in (
        ("DCI", lambda: metrics.dci(mixed, few)),
        ("SAP", lambda: [metrics.sap(mixed, few)]),
        ("InfoMEC", lambda: metrics.info_mec(mixed, few)),
    ):
        found: list[list[float]] = []
        took = seconds(lambda s=score, f=found: f.append(list(s())), 1)
        span = seconds(lambda n=name, f=found: INTERVALS[INTERVAL_OF[n]](mixed, few, None, 0, f[0]), 1)
        rows += [(f"{name}, 15,000 images", took, ""), ("  its interval", span, "a few times as long at most")]

    width = max(len(name) for name, *_ in rows)
    for name, value, wanted in rows:
        print(f"{name:<{width}}  {value:8.3f}  {wanted}")
    for classifier, scores in told.items():
        print(f"{classifier:<13} " + ", ".join(f"{k} {v:.4f}" for k, v in scores._asdict().items()))


if __name__ == "__main__":
    main()
