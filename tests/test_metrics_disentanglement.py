"""MIG, L2 and modularity against closed forms."""

from __future__ import annotations

import time

import numpy as np
import pytest

from semistylegan import metrics
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics.disentanglement import mig_by_chance, mig_low_by
from semistylegan.metrics.information import centred, histogram_bins, level_bins, mutual_information


def full_grid(*sizes: int, repeat: int = 1) -> np.ndarray:
    """Every combination of value indices, `repeat` times."""
    return np.tile(np.stack(np.unravel_index(np.arange(np.prod(sizes)), sizes), axis=1), (repeat, 1))


# -- MIG ---------------------------------------------------------------------------------------------------------------


def test_mig_of_codes_that_are_the_factors_is_one() -> None:
    factors = full_grid(3, 8, 5, repeat=2)
    assert metrics.mig(factors, factors) == pytest.approx(1, abs=1e-12)
    assert metrics.mig(-3.5 * factors[:, ::-1] + 7, factors) == pytest.approx(1, abs=1e-12)


def test_mig_of_independent_codes_is_about_zero() -> None:
    random = np.random.default_rng(0)
    factors = random.integers(0, 4, (10_000, 3))
    assert 0 <= metrics.mig(random.normal(size=(10_000, 5)), factors) < 0.005


def test_mig_of_half_the_information_is_half_by_hand() -> None:
    """The code tells whether a factor of four even values is in its upper half: log 2 of log 4."""
    factors = full_grid(4, 4, repeat=4)
    codes = np.stack([factors[:, 0] >= 2, factors[:, 1] >= 2], axis=1)
    assert metrics.mig(codes, factors) == pytest.approx(np.log(2) / np.log(4), abs=1e-12)


def test_mig_falls_when_codes_are_rotated() -> None:
    factors = full_grid(8, 8, repeat=4)
    turn = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
    assert metrics.mig(factors @ turn, factors) < 0.1 < metrics.mig(factors, factors)


def test_mig_with_one_code_has_no_second_best() -> None:
    factors = full_grid(4, 4, repeat=2)
    assert metrics.mig(factors[:, :1], factors) == pytest.approx(
        0.5, abs=1e-12
    )  # all of one factor, nothing of the other


def test_mig_leaves_out_a_factor_that_never_varies() -> None:
    factors = full_grid(3, 8, repeat=2)
    with_constant = np.insert(factors, 1, 5, axis=1)
    codes = factors + 0.3 * np.random.default_rng(0).normal(size=factors.shape)
    assert metrics.mig(codes, with_constant) == pytest.approx(metrics.mig(codes, factors), abs=1e-12)


def test_no_score_asks_how_values_are_numbered() -> None:
    random = np.random.default_rng(0)
    factors = np.stack([random.integers(0, n, 300) for n in (3, 5)], axis=1)
    codes = factors + random.normal(size=factors.shape)
    renumbered = np.array([7, 0, 1, 41, 10**6])[factors]
    for metric in (metrics.mig, metrics.modularity, metrics.irs, metrics.sap, metrics.explicitness, metrics.info_mec):
        assert metric(codes, renumbered) == pytest.approx(metric(codes, factors), abs=1e-12), metric.__name__


def test_a_code_that_never_varies_tells_nothing() -> None:
    factors = full_grid(4, 5, repeat=2)
    codes = np.stack([np.full(40, 0.1), np.full(40, 1e8) + np.spacing(1e8) * (np.arange(40) % 2)], axis=1)
    assert metrics.mig(codes, factors) == 0


def test_mig_of_ten_thousand_images_is_quick() -> None:
    random = np.random.default_rng(0)
    factors = np.stack([random.integers(0, n, 10_000) for n in (3, 8, 5, 4, 4, 4, 6, 4, 4)], axis=1)
    codes = random.normal(size=(10_000, 10))
    metrics.mig(codes, factors)
    seconds = []
    for _ in range(3):
        began = time.process_time()
        metrics.mig(codes, factors)
        seconds.append(time.process_time() - began)
    assert min(seconds) < 0.15


GOOD = full_grid(4, 6, repeat=2)


@pytest.mark.parametrize(
    ("codes", "factors", "bins", "says"),
    [
        (np.where(GOOD == 3, np.nan, GOOD), GOOD, 20, "NaN"),
        (np.where(GOOD == 3, np.inf, GOOD), GOOD, 20, "infinity"),
        (GOOD[:1], GOOD[:1], 20, "1 rows"),
        (GOOD[:0], GOOD[:0], 20, "0 rows"),
        (GOOD[:, 0], GOOD, 20, "shape"),
        (GOOD[:, :0], GOOD, 20, "shape"),
        (GOOD[None], GOOD, 20, "shape"),
        (GOOD[:-1], GOOD, 20, "47 codes"),
        (GOOD, GOOD / 3, 20, "whole numbers"),
        (GOOD, GOOD + 2**53, 20, "not told apart"),
        (GOOD, GOOD * 1e30, 20, "not told apart"),
        (GOOD, np.where(GOOD == 3, -1, GOOD), 20, r"hold -1, which means unknown; leave those images out"),
        (GOOD, np.zeros_like(GOOD), 20, "varies"),
        (GOOD[:19], GOOD[:19], 20, "bins=20"),
        (GOOD, GOOD, 1, "bins=1"),
        (GOOD, GOOD, 2.5, "bins=2.5"),
        ([["a"], ["b"]], GOOD[:2], 2, "numbers"),
        ([[1], [2, 3]], GOOD[:2], 2, "numbers"),
    ],
)
def test_mig_refuses_in_one_line(codes: object, factors: object, bins: int, says: str) -> None:
    with pytest.raises(UserError, match=says) as raised:
        metrics.mig(codes, factors, bins=bins)
    assert "\n" not in str(raised.value)


def test_binning_is_that_of_numpy() -> None:
    codes = np.random.default_rng(0).normal(size=(300, 2))
    for bins in (2, 20):
        expected = np.stack([np.digitize(c, np.histogram(c, bins)[1][:-1]) - 1 for c in codes.T], axis=1)
        assert (histogram_bins(codes, bins) == expected).all()
    assert histogram_bins(np.array([[0.0], [0.5], [1.0]]), 2)[:, 0].tolist() == [0, 1, 1]


def test_information_and_entropy_by_hand() -> None:
    information, entropy = mutual_information(np.array([[0], [0], [1], [1]]), np.array([[5], [5], [9], [7]]))
    assert entropy[0] == pytest.approx(1.5 * np.log(2), abs=1e-12)  # 1/2, 1/4, 1/4
    assert information[0, 0] == pytest.approx(np.log(2), abs=1e-12)


def test_each_factor_is_measured_where_it_is_known() -> None:
    factors = full_grid(3, 4, repeat=3)
    known = np.ones(factors.shape, dtype=bool)
    known[1::2, 1] = False
    garbage = np.where(known, factors, 77)
    information, entropy = mutual_information(factors, garbage, known)
    few_information, few_entropy = mutual_information(factors[::2], factors[::2])
    assert information[:, 1] == pytest.approx(few_information[:, 1])
    assert entropy[1] == pytest.approx(few_entropy[1])
    assert entropy[0] == pytest.approx(np.log(3))
    nowhere = mutual_information(factors, factors, np.zeros_like(known))
    assert not nowhere[0].any() and not nowhere[1].any()


def test_what_is_unknown_is_no_value() -> None:
    factors = full_grid(3, 12, 8)
    level = SPACE.levels_of_indices(factors)
    known = np.random.default_rng(0).random(factors.shape) < 0.5
    told = np.where(known, factors, -1)
    assert metrics.mig_decoded(level, told, SPACE, known_NG=known) == metrics.mig_decoded(
        level, factors, SPACE, known_NG=known
    )
    for metric in (metrics.mig, metrics.modularity, metrics.irs, metrics.sap, metrics.dci, metrics.info_mec):
        with pytest.raises(UserError, match="which means unknown"):
            metric(level, told)
    for mask in (None, np.ones_like(known)):
        with pytest.raises(UserError, match="which means unknown"):
            metrics.mig_decoded(level, told, SPACE, known_NG=mask)
    for one, two in ((told, factors), (factors, told)):
        with pytest.raises(UserError, match="which means unknown"):
            metrics.dci(level, one, test=(level, two))


def test_a_mask_may_be_of_numbers_and_must_fit() -> None:
    factors = full_grid(3, 12, 8)
    level = SPACE.levels_of_indices(factors)
    known = np.random.default_rng(0).random(factors.shape) < 0.5
    level[::3, 2] = 0.0
    told = metrics.mig_decoded(level, factors, SPACE, known_NG=known)
    assert metrics.mig_decoded(level, factors, SPACE, known_NG=known.astype(int)) == told < 0.9
    with pytest.raises(UserError, match=r"known: shape \(288, 2\), but the factors have \(288, 3\)"):
        metrics.mig_decoded(level, factors, SPACE, known_NG=known[:, :2])


# -- MIG of decoded codes ----------------------------------------------------------------------------------------------

SPACE = FactorSpace(
    (Factor.categorical("shape", ("a", "b", "c")), Factor.circular("hue", 12), Factor.scalar("x", 8, 0.3, 0.7))
)


def test_decoded_mig_of_true_levels_is_one() -> None:
    factors = full_grid(3, 12, 8)
    assert metrics.mig_decoded(SPACE.levels_of_indices(factors), factors, SPACE) == pytest.approx(1, abs=1e-12)


def test_an_angle_without_a_grid_is_cut_where_its_readings_are() -> None:
    """Truth and readings fall into the same arcs, or a perfect encoder had a MIG of .76."""
    space = FactorSpace((Factor.circular("hue"), Factor.circular("light")))
    level = np.random.default_rng(0).random((20_000, 2))
    assert (level_bins(level, space, 20) == space.indices_of_levels(level)).all()
    assert metrics.mig_decoded(level, space.indices_of_levels(level), space) == pytest.approx(1, abs=0.01)


def test_a_noisy_angle_does_not_split_at_the_seam() -> None:
    """Readings about hue 0 lie at 0.01 and 0.99. They are one value; a histogram of the level would make them two."""
    factors = full_grid(3, 12, 8, repeat=4)
    level = SPACE.levels_of_indices(factors)
    level[:, 1] = (level[:, 1] + np.random.default_rng(0).normal(0, 0.004, len(level))) % 1
    assert ((level[:, 1] > 0.9) & (factors[:, 1] == 0)).any()
    bins = level_bins(level, SPACE, 12)[:, 1]
    assert (bins == factors[:, 1]).all()
    assert metrics.mig_decoded(level, factors, SPACE, bins=12) == pytest.approx(1, abs=1e-12)
    assert metrics.mig(level, factors, bins=12) < 0.99


def test_mig_of_few_images_is_too_low_by_about_what_is_said() -> None:
    """A near-perfect encoder of nine factors: what its MIG lacks, beside its MIG on many images."""
    sizes, random = np.array([3, 8, 5, 4, 4, 4, 6, 4, 4]), np.random.default_rng(0)
    space = FactorSpace(tuple(Factor.scalar(f"f{i}", int(n)) for i, n in enumerate(sizes)))

    def told(count: int) -> tuple[float, float]:
        index = random.integers(0, sizes, (count, 9))
        level = index / (sizes - 1) + random.normal(0, 0.02, (count, 9))
        return metrics.mig_decoded(level, index, space), mig_low_by(level, index, space)

    for count in (200, 500, 1000):
        found = np.mean([told(count) for _ in range(6)], axis=0)
        assert found[1] < 0.9995 - found[0] < 1.35 * found[1]
    assert 0.018 < found[1] < 0.024 and told(1300)[1] < 0.02, "over .02 up to about 1,000 images"
    one = FactorSpace((Factor.scalar("x", 4),))
    assert mig_low_by(np.arange(40)[:, None] % 4 / 3, np.arange(40)[:, None] % 4, one) == 0  # nothing is second
    # By hand: twelve images know the second factor; of these the first entry falls into two bins.
    level = np.stack([np.arange(40) % 2, np.arange(40) // 2 % 2], axis=1)
    known = np.stack([np.ones(40), np.arange(40) < 12], axis=1).astype(bool)
    two = FactorSpace((Factor.scalar("a", 2), Factor.scalar("b", 2)))
    by_hand = (1 / 80 / np.log(2) + 1 / 24 / np.log(2)) / 2
    assert mig_low_by(level, level, two, 20, known) == pytest.approx(by_hand)
    few = random.random((20, 2))  # of 20 values each: (20 - 1)^2 / 40 nats would be three times what there is to know
    free = FactorSpace((Factor.scalar("a"), Factor.scalar("b")))
    assert mig_low_by(few, few.argsort(axis=0).argsort(axis=0), free) == 1


def test_mig_of_few_images_by_chance() -> None:
    """One entry falls into all bins and the other into one: what the first seems to know of each factor is all gap."""
    random = np.random.default_rng(0)
    space = FactorSpace((Factor.scalar("a", 4), Factor.scalar("b", 4)))
    for count in (80, 400):
        index = random.integers(0, 4, (count, 2))
        level = np.stack([random.uniform(0, 1, count), np.full(count, 0.5)], axis=1)
        leading = 19 * 3 / (2 * count) / np.log(4)  # Miller's term of 20 bins and 4 values, over the entropy
        assert mig_by_chance(level, index, space) == pytest.approx(leading, rel=0.2)
        assert metrics.mig_decoded(level, index, space) == pytest.approx(leading, rel=0.6)
        note = metrics.evaluate_codes(level, index, ["mig"], kinds=["scalar"] * 2, intervals=False)["note"]
        assert ("By chance alone (what is read given to other images) MIG would be 0.2" in note) == (count == 80)
    assert mig_by_chance(index / 3, index, space) < 0.02


def test_chance_is_looked_at_where_a_factor_is_known() -> None:
    """Of the first 80 images alone, as without the others."""
    random, space = np.random.default_rng(0), FactorSpace((Factor.scalar("a", 4), Factor.scalar("b", 4)))
    index, known = random.integers(0, 4, (400, 2)), np.tile(np.arange(400)[:, None] < 80, (1, 2))
    level = np.stack([random.uniform(0, 1, 400), np.full(400, 0.5)], axis=1)
    few = mig_by_chance(level, np.where(known, index, -1), space, 20, known)
    assert few == pytest.approx(mig_by_chance(level[:80], index[:80], space), rel=0.2)


def test_classes_are_never_merged() -> None:
    many = FactorSpace((Factor.categorical("kind", tuple(map(str, range(30)))), Factor.scalar("x", 2)))
    factors = full_grid(30, 2, repeat=2)
    assert metrics.mig_decoded(many.levels_of_indices(factors), factors, many, bins=5) == pytest.approx(1, abs=1e-12)


def test_scalars_are_binned_as_ever() -> None:
    plain = FactorSpace.grid({"x": 5, "y": 7})
    factors = full_grid(5, 7, repeat=3)
    level = np.clip(plain.levels_of_indices(factors) + np.random.default_rng(0).normal(0, 0.1, factors.shape), 0, 1)
    assert metrics.mig_decoded(level, factors, plain) == pytest.approx(metrics.mig(level, factors), abs=1e-12)


def test_decoded_mig_refuses_another_number_of_columns() -> None:
    with pytest.raises(UserError, match="2 columns"):
        metrics.mig_decoded(GOOD, GOOD, SPACE)


def test_angles_turn_by_half_a_step() -> None:
    assert centred(np.array([0.0, 11 / 12, 0.99]), 12) == pytest.approx([1 / 24, 23 / 24, 0.99 + 1 / 24 - 1])
    assert centred(np.array([0.0, 0.7]), None) == pytest.approx([0, 0.7])


# -- L2 ----------------------------------------------------------------------------------------------------------------


def test_l2_by_hand() -> None:
    assert metrics.l2([[0, 0], [1, 1]], [[3, 4], [1, 1]]) == 2.5
    assert metrics.l2([[1.0, 2.0]], [[1.0, 2.0]]) == 0


def test_l2_refuses_unequal_shapes_and_nan() -> None:
    with pytest.raises(UserError, match="target: shape"):
        metrics.l2(np.zeros((3, 2)), np.zeros((3, 3)))
    with pytest.raises(UserError, match="target: shape"):
        metrics.l2(np.zeros((3, 2)), np.zeros((2, 2)))
    with pytest.raises(UserError, match="NaN"):
        metrics.l2([[np.nan]], [[0.0]])


# -- modularity --------------------------------------------------------------------------------------------------------


def test_modularity_by_hand() -> None:
    factors = full_grid(4, 4, repeat=4)
    assert metrics.modularity(factors, factors) == pytest.approx(1, abs=1e-12)
    both = factors[:, :1] * 4 + factors[:, 1:]  # tells as much of either: nothing modular
    assert metrics.modularity(both, factors) == pytest.approx(0, abs=1e-12)
    idle = np.zeros((len(factors), 1))
    assert metrics.modularity(np.concatenate([factors, idle, idle], axis=1), factors) == pytest.approx(0.5, abs=1e-12)


def test_modularity_of_unequal_shares_by_hand() -> None:
    """One code: all of a binary factor (log 2), and log 2 of a factor of four values; a third factor not at all."""
    factors = full_grid(2, 4, 3, repeat=2)
    code = factors[:, :1] * 2 + (factors[:, 1:2] >= 2)
    squares = np.log(2) ** 2
    assert metrics.modularity(code, factors) == pytest.approx(1 - squares / (squares * 2), abs=1e-12)


def test_modularity_needs_two_factors() -> None:
    with pytest.raises(UserError, match="at least two"):
        metrics.modularity(GOOD, GOOD[:, :1])


# -- IRS ---------------------------------------------------------------------------------------------------------------


def test_irs_cuts_deviations_at_the_quantile_of_the_library() -> None:
    random = np.random.default_rng(0)
    factors = random.integers(0, 4, (400, 2))
    codes = factors + random.normal(size=(400, 2))
    assert metrics.irs(codes, factors) == metrics.irs(codes, factors, 0.99) != metrics.irs(codes, factors, 1.0)


def test_irs_takes_up_to_twenty_values_as_they_are() -> None:
    """However they are numbered: only more of them are put into bins."""
    random = np.random.default_rng(0)
    factors = random.integers(0, 20, (800, 1))
    codes = factors + random.normal(size=(800, 2))
    apart = np.where(factors == 19, 1000, factors)
    assert metrics.irs(codes, apart) == pytest.approx(metrics.irs(codes, factors), abs=1e-12)
