"""Bootstrap intervals against what theory says of them."""

from __future__ import annotations

import numpy as np
import pytest

from semistylegan import metrics
from semistylegan.errors import UserError
from semistylegan.metrics import code_intervals, fidelity
from semistylegan.metrics.entries import Entries
from semistylegan.metrics.fidelity import frechet_distance, kid_interval, quick_frechet_distance
from semistylegan.metrics.intervals import by_parts, of_parts, of_share
from semistylegan.metrics.predictors import told_by_lines


def test_the_error_of_a_mean_is_that_of_theory() -> None:
    values = np.random.default_rng(0).normal(3, 2, 2000)
    found = metrics.bootstrap(np.mean, values, resamples=400)
    assert found.score == values.mean()
    assert found.error == pytest.approx(values.std() / np.sqrt(2000), rel=0.15)
    assert found.high - found.score == pytest.approx(1.96 * found.error, rel=1e-3)
    assert found.score - found.low == pytest.approx(1.96 * found.error, rel=1e-3)


def test_intervals_cover_the_truth_about_as_often_as_they_say() -> None:
    random = np.random.default_rng(1)
    covered = []
    for seed in range(200):
        found = metrics.bootstrap(np.mean, random.normal(0, 1, 60), resamples=60, seed=seed)
        covered.append(found.low <= 0 <= found.high)
    assert 0.88 < np.mean(covered) < 0.99


def test_rows_stay_together_or_not() -> None:
    a = np.random.default_rng(0).normal(size=300)
    assert metrics.bootstrap(lambda x, y: float(np.mean(x - y)), a, a).error == 0
    assert metrics.bootstrap(lambda x, y: float(x.mean() - y.mean()), a, a[:200], paired=False).error > 0.05


def test_the_same_seed_the_same_interval_cut_at_the_ends() -> None:
    a = np.random.default_rng(0).integers(0, 2, (50, 1))
    one, two, other = (metrics.bootstrap(np.mean, a, seed=s, within=(0.45, 0.55)) for s in (0, 0, 1))
    assert one == two and one.error != other.error
    assert (one.low, one.high) == (0.45, 0.55)


def test_parts_tell_the_error_of_a_mean_as_theory_does() -> None:
    values = np.random.default_rng(0).normal(3, 2, 200)
    told = [[part.mean()] for part in values.reshape(50, 4)]
    (found,) = of_parts([values.mean()], told)
    assert found.error == pytest.approx(values.std() / np.sqrt(200), rel=0.15)
    assert found.high - found.score == pytest.approx(2.0096 * found.error, rel=1e-3), "Student's, 49 degrees of freedom"


def test_parts_are_a_tenth_each_and_together_everything() -> None:
    seen: list[np.ndarray] = []

    def measure(x: np.ndarray, y: np.ndarray) -> list[float]:
        seen.append(x)
        return [float(x.mean()), float((x - y).mean())]

    table = np.arange(1005.0)
    mean, nothing = by_parts(measure, table, table, scores=[table.mean(), 0.0], within=(0.0, 510.0))
    assert sorted(np.concatenate(seen)) == table.tolist() and {len(x) for x in seen} == {100, 101}
    assert nothing.error == 0 and mean.high == 510 and mean.error == pytest.approx(1005 / np.sqrt(12 * 1005), rel=0.6)
    loose = by_parts(measure, table, table, scores=[0.0, 0.0], paired=False)
    assert loose[1].error > 1
    again = by_parts(measure, table, table, scores=[table.mean(), 0.0], within=(0.0, 510.0))
    assert again[0] == mean


def test_too_few_images_or_parts_that_cannot_be_measured_have_no_interval() -> None:
    def refuse(x: np.ndarray) -> list[float]:
        raise UserError("none")

    assert by_parts(lambda x: [float(x.mean())], np.ones(999), scores=[1.0]) == []
    assert by_parts(refuse, np.ones(1000), scores=[1.0]) == []


def test_a_share_of_which_nothing_was_seen_has_a_width() -> None:
    none = of_share(np.zeros(60))
    assert (none.score, none.low) == (0, 0) and none.high == pytest.approx(0.06, abs=0.001)
    random = np.random.default_rng(0)
    spans = [of_share(random.random(60) < 0.02) for _ in range(500)]
    assert np.mean([span.low <= 0.02 <= span.high for span in spans]) > 0.9
    many = of_share(np.arange(10_000) < 3000)
    assert many.error == pytest.approx(np.sqrt(0.3 * 0.7 / 10_000), rel=1e-3)


def rare(images: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Codes and factors of three values; the last factor is true of a single image."""
    factors = np.random.default_rng(seed).integers(0, 3, (images, 3))
    factors[:, 2] = np.arange(images) == images // 2
    return factors / 2.0, factors


@pytest.mark.parametrize("name", ["mig", "modularity", "irs", "explicitness"])
def test_a_factor_that_images_drawn_again_may_lack_has_no_interval(name: str) -> None:
    """Where it is dropped, the score is a mean over others."""
    codes, factors = rare(1000)
    told = metrics.evaluate_codes(codes, factors, [name])
    assert told[name] >= 0 and told["ci95"] == {}
    both = metrics.evaluate_codes(codes[:, :2], factors[:, :2], [name])
    assert set(both["ci95"]) == {name}


def test_the_error_of_a_trained_score_is_its_spread_over_samples() -> None:
    """Explicitness learns from the images, so that both those learned from and those tested on count."""
    random = np.random.default_rng(0)
    scores, errors = [], []
    for _ in range(12):
        factors = np.stack([random.integers(0, 3, 1000), random.integers(0, 2, 1000)], axis=1)
        codes = factors + random.normal(size=(1000, 2))
        scores.append(metrics.explicitness(codes, factors))
        found = code_intervals.INTERVALS["explicitness"](codes, factors, None, 0, scores[-1:])
        errors.append(found["explicitness"].error)
    assert 0.5 < np.mean(errors) / np.std(scores, ddof=1) < 2


def test_the_error_of_a_score_on_the_images_it_was_fitted_to_is_its_spread_over_samples() -> None:
    """InfoE of wide codes: fitted to a tenth of the images, each scores 1."""
    random = np.random.default_rng(0)
    mixing, scores, errors = random.normal(size=(2, 40)), list[float](), list[float]()
    for _ in range(16):
        factors = random.integers(0, 3, (1000, 2))
        codes = factors @ mixing + 3 * random.normal(size=(1000, 40))
        scores.append(told_by_lines(Entries.of(codes, None), factors))
        found = code_intervals.INTERVALS["info_mec"](codes, factors, None, 0, [0, scores[-1], 0])
        assert set(found) == {"info_e"}
        errors.append(found["info_e"].error)
    assert 0.5 < np.mean(errors) / np.std(scores, ddof=1) < 2


def test_the_error_of_kid_is_its_spread_over_samples() -> None:
    random = np.random.default_rng(0)
    found = [kid_interval(random.normal(size=(120, 4)), 0.8 + random.normal(size=(120, 4))) for _ in range(60)]
    ratio = np.mean([f.error for f in found]) / np.std([f.score for f in found], ddof=1)
    assert 0.75 < ratio < 1.5


def test_the_resamples_of_kid_are_those_of_the_plain_bootstrap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pairs of different rows, each counted as often as both were drawn."""
    monkeypatch.setattr(fidelity, "ROWS", 3)
    random = np.random.default_rng(0)
    a, b = random.normal(size=(8, 3)), random.normal(size=(7, 3)) + 0.5
    draws = np.random.default_rng(5)
    often = [draws.multinomial(n, np.full(n, 1 / n), size=fidelity.RESAMPLES) for n in (8, 7)]

    def kernel(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        return (x @ y.T / 3 + 1) ** 3

    told = []
    for u, v in zip(*often, strict=True):
        total = -2 * (kernel(a, b) * np.outer(u, v)).sum() / (8 * 7)
        for x, w in ((a, u), (b, v)):
            pairs = np.outer(w, w) * (1 - np.eye(len(w)))
            total += (kernel(x, x) * pairs).sum() / pairs.sum()
        told.append(total)
    found = kid_interval(a, b, seed=5)
    assert found.error == pytest.approx(np.std(told, ddof=1), rel=1e-9)
    assert found.score == pytest.approx(metrics.kid(a, b))


def test_votes_of_another_seed_are_others_and_none_that_people_use() -> None:
    assert len({*code_intervals.seeds(0), *code_intervals.seeds(1)}) == 20 and min(code_intervals.seeds(0)) > 1000


def test_the_quick_frechet_distance_is_the_exact_one() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(200, 6)) @ random.normal(size=(6, 6)), random.normal(size=(150, 6)) + 0.3
    assert quick_frechet_distance(a, b) == pytest.approx(frechet_distance(a, b), rel=1e-9)


def test_it_refuses() -> None:
    with pytest.raises(UserError, match="at least one table"):
        metrics.bootstrap(np.mean)
    with pytest.raises(UserError, match="tables of 3, 2 rows"):
        metrics.bootstrap(np.mean, np.ones(3), np.ones(2))
    with pytest.raises(UserError, match="seed=-1"):
        metrics.bootstrap(np.mean, np.arange(3.0), seed=-1)
    with pytest.raises(UserError, match="resamples=1"):
        metrics.bootstrap(np.mean, np.ones(3), resamples=1)
