"""Whether intervals are as wide as they should be: their standard errors beside the spread over samples.

    python benchmarks/intervals.py

Draws many samples of one population, measures each, and prints for every score its standard deviation over the
samples, the mean of the standard errors that the intervals go by, their ratio (1 is right, above it too wide), and the
time of the interval in times of the score. Some minutes on one thread; nothing is downloaded.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import time
from collections.abc import Callable

import numpy as np

from semistylegan import metrics
from semistylegan.factors import FactorSpace
from semistylegan.metrics.code_intervals import GRID_INTERVALS, INTERVALS
from semistylegan.metrics.fidelity import kid_interval
from semistylegan.metrics.intervals import Interval, bootstrap, by_parts

Scores = dict[str, float]
Spans = dict[str, Interval]


def study(name: str, samples: int, measure: Callable[[int], tuple[Scores, Callable[[], Spans]]]) -> None:
    """Prints a row for each field; `measure` gives sample i's scores, and how to make their intervals."""
    scores: dict[str, list[float]] = {}
    errors: dict[str, list[float]] = {}
    took = np.zeros(2)
    for i in range(samples):
        began = time.process_time()
        found, intervals = measure(i)
        middle = time.process_time()
        spans = intervals()
        took += middle - began, time.process_time() - middle
        for field, span in spans.items():
            scores.setdefault(field, []).append(found[field])
            errors.setdefault(field, []).append(span.error)
    for field, told in scores.items():
        deviation, error = np.std(told, ddof=1), np.sqrt(np.mean(np.square(errors[field])))
        row = (
            f"{np.mean(told):9.4f}  {deviation:9.5f}  {error:9.5f}  {error / deviation:5.2f}  {took[1] / took[0]:5.1f}"
        )
        print(f"{name + ' ' + field:<32}{row}", flush=True)


def codes_of(random: np.random.Generator, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Three entries that mix two factors, with noise."""
    factors = np.stack([random.integers(0, n, count) for n in (3, 4)], axis=1)
    scaled = (factors - factors.mean(axis=0)) / factors.std(axis=0)
    return scaled @ [[1, 0.5, 0], [0.2, 1, 0.1]] + 0.6 * random.normal(size=(count, 3)), factors


def of_codes(name: str, count: int, samples: int, score: Callable[[np.ndarray, np.ndarray], Scores]) -> None:
    random = np.random.default_rng(0)

    def measure(i: int) -> tuple[Scores, Callable[[], Spans]]:
        codes, factors = codes_of(random, count)
        scores = score(codes, factors)
        return scores, lambda: INTERVALS[name](codes, factors, None, i, list(scores.values()))

    study(name, samples, measure)


def main() -> None:
    print(f"{'':<32}    score  deviation  mean err.  ratio  time")
    of_codes("mig", 1500, 60, lambda c, f: {"mig": metrics.mig(c, f)})
    of_codes("modularity", 1500, 60, lambda c, f: {"modularity": metrics.modularity(c, f)})
    of_codes("irs", 1500, 60, lambda c, f: {"irs": metrics.irs(c, f)})
    of_codes("sap", 1500, 40, lambda c, f: {"sap": metrics.sap(c, f)})
    of_codes("explicitness", 1500, 40, lambda c, f: {"explicitness": metrics.explicitness(c, f)})
    of_codes(
        "info_mec",
        2000,
        30,
        lambda c, f: dict(zip(("info_m", "info_e", "info_c"), metrics.info_mec(c, f), strict=True)),
    )
    dci_fields = ("dci_disentanglement", "dci_completeness", "dci_informativeness")
    of_codes("dci", 1200, 16, lambda c, f: dict(zip(dci_fields, metrics.dci(c, f), strict=True)))

    grid = FactorSpace.grid({"a": 3, "b": 6, "c": 5})
    random = np.random.default_rng(4)
    values = grid.values_of(np.arange(grid.total))
    array = values @ (np.eye(3) + 0.45 * random.normal(size=(3, 3))) + 0.6 * random.normal(size=(len(values), 3))
    for name, score, samples in (
        ("factor_vae", metrics.factor_vae_score, 30),
        ("beta_vae", metrics.beta_vae_score, 10),
    ):

        def votes(i: int, name: str = name, score: Callable[..., float] = score) -> tuple[Scores, Callable[[], Spans]]:
            found = score(array, grid, seed=i)
            return {name: found}, lambda: GRID_INTERVALS[name](array, grid, None, i, [found])

        study(name, samples, votes)

    mixing = np.random.default_rng(0).normal(size=(16, 16))
    for title, wider in (("equal sets:", 0.0), ("a tenth wider:", 0.1), ("twice as wide:", 1.0)):
        draw = np.random.default_rng(1)

        def images(
            i: int, draw: np.random.Generator = draw, wider: float = wider
        ) -> tuple[Scores, Callable[[], Spans]]:
            a, b = (draw.normal(size=(1000, 16)) @ mixing * scale for scale in (1, 1 + wider))
            covered = metrics.precision_recall(a, b)
            spans = {"seed": i, "paired": False}
            return (
                {"kid": metrics.kid(a, b), "frechet": metrics.frechet_distance(a, b), **covered._asdict()},
                lambda: {
                    "kid": kid_interval(a, b, i),
                    "frechet": bootstrap(metrics.frechet_distance, a, b, **spans),
                    **dict(
                        zip(
                            covered._fields,
                            by_parts(metrics.precision_recall, a, b, scores=covered, **spans),
                            strict=True,
                        )
                    ),
                },
            )

        study(title, 40, images)


if __name__ == "__main__":
    main()
