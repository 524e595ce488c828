"""Evaluation: perfect and wrong models of which every score is known, and the files that a run gets."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import Labels, labels_csv
from semistylegan.data.storage import ZipWriter
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics import oracle as oracle_module
from semistylegan.metrics import score_intervals
from semistylegan.metrics.alignment import Meaning, matched, typical, values_of_bins
from semistylegan.metrics.evaluate import (
    DEFAULT,
    METRICS,
    earlier,
    evaluate,
    metric_names,
    on_snapshot,
    quick,
)
from semistylegan.metrics.fidelity import quick_frechet_distance
from semistylegan.metrics.intervals import bootstrap
from semistylegan.metrics.oracle import Oracle
from semistylegan.metrics.oracle_network import Plan, plan_for
from semistylegan.metrics.protocol import SEEN, coarse_factors, note, protocol_of
from semistylegan.metrics.readings import Readings, other_levels, own_kinds
from semistylegan.metrics.score_intervals import intervals_of
from semistylegan.metrics.scores import QUICK, unmeasurable
from semistylegan.metrics.subject import EVERY_IMAGE, UNSEEN, of_run, subject_of, with_factors_of
from semistylegan.models.checkpoint import Networks, save_model
from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Encoder, Trunk
from semistylegan.models.stylegan2 import StyleGAN2
from semistylegan.training import TrainConfig
from semistylegan.training.run import Run

# A world in which a picture is of one colour: red says the shape, green the hue, blue x.

SPACE = FactorSpace((Factor.categorical("shape", ("a", "b", "c")), Factor.circular("hue", 6), Factor.scalar("x", 5)))
STEP = 40
"""From one value's colour to the next one's."""


def colours(level_NF: np.ndarray) -> np.ndarray:
    """Levels -> N x 3, 0 to 255."""
    return STEP * SPACE.indices_of_levels(level_NF) + 20


def picture(level_NF: np.ndarray) -> Tensor:
    """Levels -> float images N x 3 x 16 x 16 in [-1, 1]."""
    colour = torch.from_numpy(colours(level_NF)).float() / 127.5 - 1
    return colour[:, :, None, None].expand(-1, -1, 16, 16)


def seen(img_BCHW: Tensor) -> np.ndarray:
    """Images -> levels."""
    colour = (img_BCHW.mean(dim=(2, 3)) + 1) * 127.5
    index = ((colour - 20) / STEP).round().clamp(0, 5).numpy().astype(int)
    return SPACE.levels_of_indices(np.minimum(index, [2, 5, 4]))


class PerfectG(nn.Module):
    """Draws what it is asked for; `change` may spoil the levels first. `codes` is how its codes are written."""

    z_dim = 2
    starts_from_image = knows_source = False

    def __init__(self, codes: FactorSpace = SPACE, change: Any = lambda level: level) -> None:
        super().__init__()
        self.codes, self.change = codes, change
        self.nothing = nn.Parameter(torch.zeros(()))

    def forward(self, z: Tensor, code: Tensor) -> Tensor:
        assert z.shape == (len(code), self.z_dim)
        return picture(self.change(self.codes.decode(code).double().numpy()))


class PerfectE(nn.Module):
    """Says what it sees; `change` may spoil the levels first."""

    def __init__(self, codes: FactorSpace = SPACE, change: Any = lambda level: level) -> None:
        super().__init__()
        self.codes, self.change = codes, change

    def forward(self, img: Tensor) -> Tensor:
        return self.codes.encode(torch.from_numpy(self.change(seen(img))))


class Eyes(nn.Module):
    """The network of a perfect oracle: its features are the three colours."""

    def __init__(self) -> None:
        super().__init__()
        self.nothing = nn.Parameter(torch.zeros(()))

    def features(self, img: Tensor) -> Tensor:
        return img.mean(dim=(2, 3))

    def code(self, feature: Tensor) -> Tensor:
        return SPACE.encode(torch.from_numpy(seen(feature[:, :, None, None])))


ORACLE = Oracle(SPACE, Eyes(), plan_for(16, 90), (0.0, 0.0, 0.0), 0.0, 90, 9)  # type: ignore[arg-type]


def networks(G: nn.Module | None = None, E: nn.Module | None = None, space: FactorSpace = SPACE) -> Networks:
    return Networks(None, space, G or PerfectG(), E or PerfectE())  # type: ignore[arg-type]


IDENTITY = {"seed": 0, "weights_sha256": ""}


def write_world(path: Path, labelled: int = 90, repeat: int = 1, space: FactorSpace | None = SPACE) -> Path:
    """The 90 pictures, `repeat` times; the labels of the first few alone are known."""
    level = np.tile(SPACE.levels_of_indices(SPACE.values_of(np.arange(SPACE.total))), (repeat, 1))
    with ZipWriter(path, space) as writer:
        for i, row in enumerate(level):
            image = np.broadcast_to(colours(row[None])[0].astype(np.uint8), (16, 16, 3))
            writer.add(f"{i:06d}.png", np.ascontiguousarray(image), row if space and i < labelled else None)
    return path


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return Dataset.open(write_world(tmp_path_factory.mktemp("world") / "world.zip"))


def no_labels(data: Dataset) -> Labels:
    return Labels.none(len(data), len(data.space))


def read(data: Dataset, model: Networks, **more: Any) -> Readings:
    return Readings(model, data, ORACLE, **{"own": no_labels(data), "images": 2000, **more})


# -- models of which every score is known ------------------------------------------------------------------------------


def test_a_perfect_model_has_perfect_scores(world: Dataset) -> None:
    scores = quick(networks(), world, ORACLE)
    assert set(scores) == {"mig", "l2", "mig_gen", "l2_gen", "fd_oracle"}
    assert scores["mig"] == pytest.approx(1, abs=1e-9)
    assert scores["mig_gen"] == pytest.approx(1, abs=0.02)  # 2000 draws of 90: the factors are not quite independent
    assert scores["l2"] == pytest.approx(0, abs=1e-6) and scores["l2_gen"] == pytest.approx(0, abs=1e-6)
    assert scores["fd_oracle"] < 0.01
    assert quick(networks(), world, ORACLE) == scores, "the same model must have the same scores"


def test_classes_of_which_none_was_wrong_have_an_interval(world: Dataset) -> None:
    r = read(world, networks())
    spans = intervals_of("l2", METRICS["l2"].measure(r), r)
    assert spans["mae.shape"].low == 0 and 0.02 < spans["mae.shape"].high < 0.06 and spans["mae.x"].high == 0


def test_an_encoder_that_turns_the_hue_errs_by_the_angle_and_keeps_its_mig(world: Dataset) -> None:
    def turned(level: np.ndarray) -> np.ndarray:
        return np.stack([level[:, 0], (level[:, 1] + 1 / 6) % 1, level[:, 2]], axis=1)

    r = read(world, networks(E=PerfectE(change=turned)))
    fields = METRICS["l2"].measure(r)
    assert fields["l2"] == pytest.approx(1 / 3, abs=1e-6)  # a sixth of a turn is a third of half a turn
    assert {name: errors["mae"] for name, errors in fields["per_factor"].items()} == pytest.approx(
        {"shape": 0, "hue": 1 / 3, "x": 0}, abs=1e-6
    )
    assert METRICS["mig"].measure(r)["mig"] == pytest.approx(1, abs=1e-9)


def test_a_generator_that_is_deaf_to_x(world: Dataset) -> None:
    def deaf(level: np.ndarray) -> np.ndarray:
        return np.stack([level[:, 0], level[:, 1], np.full(len(level), 0.5)], axis=1)

    r = read(world, networks(G=PerfectG(change=deaf)))
    assert METRICS["mig_gen"].measure(r)["mig_gen"] == pytest.approx(2 / 3, abs=0.02)
    fields = METRICS["l2_gen"].measure(r)
    x_error = np.abs(r.generated.asked_NK[:, 2] - 0.5).mean()
    assert x_error == pytest.approx(0.3, abs=0.02)
    assert fields["l2_gen"] == pytest.approx(x_error, abs=1e-6)
    assert fields["per_factor"]["x"]["mae_gen"] == pytest.approx(x_error, abs=1e-6)
    assert fields["per_factor"]["x"]["mae_gen_constant"] == pytest.approx(x_error, abs=1e-6), "the middle, as it draws"
    assert METRICS["fd_oracle"].measure(r)["fd_oracle"] > 0.05
    assert METRICS["mig"].measure(r)["mig"] == pytest.approx(1, abs=1e-9), "the encoder is another matter"


def test_the_leakage_matrix_shows_who_moves_with_whom(world: Dataset) -> None:
    clean = METRICS["leakage"].measure(read(world, networks()))
    assert clean["leakage_mean"] == pytest.approx(0, abs=1e-9)
    table = clean["leakage"]
    assert table["shape"]["shape"] == 1  # always another class
    assert table["hue"]["hue"] == pytest.approx(0.6, abs=0.05)  # 1/3, 2/3, 1, 2/3, 1/3
    assert table["x"]["x"] == pytest.approx(0.5, abs=0.05)
    assert table["hue"]["shape"] == table["x"]["hue"] == 0

    def carried(level: np.ndarray) -> np.ndarray:
        return np.stack([level[:, 0], level[:, 1], level[:, 0] / 2], axis=1)  # x follows the shape

    leaky = METRICS["leakage"].measure(read(world, networks(G=PerfectG(change=carried))))["leakage"]
    assert leaky["shape"]["x"] > 0.5 and leaky["x"]["x"] == 0 and leaky["hue"]["x"] == 0


def test_leakage_is_between_images_of_the_same_z(world: Dataset) -> None:
    """A generator that draws from z alone: whatever code is changed, nothing moves."""

    class OfZ(PerfectG):
        def forward(self, z: Tensor, code: Tensor) -> Tensor:
            return picture(np.stack([(z[:, 0] > 0).numpy(), 0 * z[:, 0].numpy(), (z[:, 1] > 0).numpy()], axis=1))

    before, after = read(world, networks(G=OfZ())).changed
    assert len(np.unique(before, axis=0)) == 4 and (after == before).all()


def test_the_oracle_reads_images_as_a_file_has_them(world: Dataset) -> None:
    class Between(PerfectG):
        def forward(self, z: Tensor, code: Tensor) -> Tensor:
            return super().forward(z, code) + torch.tensor([0.4 / 127.5, 0.0, 9.0])[:, None, None]

    grey = (read(world, networks(G=Between()), images=50).generated.feature_ND + 1) * 127.5
    assert grey[:, :2] == pytest.approx(np.rint(grey[:, :2]), abs=1e-3)
    assert grey[:, 2] == pytest.approx(255), "what leaves the range is cut"


def test_scalar_kinds_are_judged_in_the_datas_own_units(world: Dataset) -> None:
    """With --factor-kinds scalar the networks know numbers alone; errors are those of classes and angles still."""
    line = SPACE.with_kinds("scalar")

    def back(level: np.ndarray) -> np.ndarray:
        return own_kinds(level, line, SPACE)

    scores = quick(networks(PerfectG(line, back), PerfectE(line, SPACE.scalar_levels), line), world, ORACLE)
    assert scores["l2"] == pytest.approx(0, abs=1e-6) and scores["l2_gen"] == pytest.approx(0, abs=1e-6)
    assert scores["mig"] == pytest.approx(1, abs=1e-9)
    level = SPACE.levels_of_indices(SPACE.values_of(np.arange(90)))
    assert back(SPACE.scalar_levels(level)) == pytest.approx(level)


# -- codes without names -----------------------------------------------------------------------------------------------

NAMELESS = SPACE.anonymous()


def scrambled(level: np.ndarray) -> np.ndarray:
    """Other classes, hue mirrored and turned, x upside down. It undoes itself."""
    return np.stack([(2 - level[:, 0]), (1 / 3 - level[:, 1]) % 1, 1 - level[:, 2]], axis=1)


def test_codes_without_names_get_them_from_half_of_the_images(world: Dataset) -> None:
    model = networks(PerfectG(NAMELESS, scrambled), PerfectE(NAMELESS, scrambled), NAMELESS)
    r = read(world, model)
    assert not r.named
    scores = quick(model, world, ORACLE)
    assert scores["mig"] == pytest.approx(1, abs=1e-9) and scores["mig_gen"] > 0.97
    assert scores["l2"] == pytest.approx(0, abs=1e-6) and scores["l2_gen"] == pytest.approx(0, abs=1e-6)
    assert METRICS["leakage"].measure(r)["leakage_mean"] == pytest.approx(0, abs=1e-9)


def test_a_generator_that_always_draws_the_same_is_not_called_obedient(world: Dataset) -> None:
    def same(level: np.ndarray) -> np.ndarray:
        return np.zeros_like(level)

    stuck = networks(PerfectG(NAMELESS, same), PerfectE(NAMELESS, scrambled), NAMELESS)
    assert quick(stuck, world, ORACLE)["l2_gen"] > 0.8


def test_names_are_not_fitted_to_the_images_they_are_judged_on(world: Dataset) -> None:
    """An encoder that says noise: fitted on its own test rows, a table of 90 images would look better than chance."""
    random = np.random.default_rng(0)

    def noise(level: np.ndarray) -> np.ndarray:
        return np.stack(
            [random.integers(0, 3, len(level)), random.random(len(level)), random.random(len(level))], axis=1
        )

    model = networks(PerfectG(NAMELESS), PerfectE(NAMELESS, noise), NAMELESS)
    fields = METRICS["l2"].measure(read(world, model))
    assert fields["per_factor"]["shape"]["mae"] > 0.5 and fields["per_factor"]["x"]["mae"] > 0.25


def test_meanings_come_from_what_is_known_alone() -> None:
    """x is known of a part of the images. Elsewhere its level is 0, as one code foretells: that means nothing."""
    random, space = np.random.default_rng(0), FactorSpace((Factor.scalar("x", 2),))
    known = np.arange(400) % 4 > 0
    x = random.random(400) < 0.8
    right = random.random(400) < 0.9
    codes = np.stack([known, np.where(right, x, ~x)], axis=1).astype(float)
    level = np.where(known, x, 0.0)[:, None]
    meaning = Meaning.fit(codes, FactorSpace.grid({"a": 2, "b": 2}), level, space, known[:, None])
    assert meaning.code_of == (1,)
    told = [x[known & (codes[:, 1] == value)].mean() for value in (0, 1)]
    assert meaning.levels(np.array([[0.0, 0.0], [0.0, 1.0]]))[:, 0] == pytest.approx(told)


def test_matching_by_hand() -> None:
    assert matched(np.array([[0.1, 0.9], [0.8, 0.85]])) == (1, 0)
    assert matched(np.array([[0.1, 0.9, 0.2]])) == (None, 0, None)
    assert matched(np.array([[0.1], [0.9]])) == (1,)


def test_fewer_codes_than_factors_leave_a_constant() -> None:
    codes = FactorSpace((Factor.scalar("code0", 6),))
    level = SPACE.levels_of_indices(SPACE.values_of(np.arange(90)))
    meaning = Meaning.fit(level[:, 2:], codes, level, SPACE, np.ones((90, 3), dtype=bool))
    assert meaning.code_of == (None, None, 0)
    told = meaning.levels(level[:, 2:])
    assert told[:, 2] == pytest.approx(level[:, 2])
    assert len(np.unique(told[:, 0])) == len(np.unique(told[:, 1])) == 1


def test_what_is_typical() -> None:
    hue, shape, x = SPACE["hue"], SPACE["shape"], SPACE["x"]
    assert min(typical(np.array([0.9, 0.1]), hue), 1 - typical(np.array([0.9, 0.1]), hue)) == pytest.approx(0, abs=1e-9)
    assert typical(np.array([2.0, 1.0, 2.0]), shape) == 2
    assert typical(np.array([0.0, 0.5]), x) == 0.25


def test_a_bin_that_no_image_fell_into_stands_for_what_fits_all() -> None:
    level = np.array([0.5, 1.0, 1.0, 0.5])
    assert values_of_bins(np.array([0, 2, 2, 0]), level, SPACE["x"], 3) == pytest.approx([0.5, 0.75, 1.0])


def test_another_value_is_never_the_same() -> None:
    random = np.random.default_rng(0)
    for factor in SPACE:
        level = factor.level_of_index(np.arange(600) % (factor.size or 1))
        other = other_levels(level, factor, random)
        assert (factor.index_of_level(other) != factor.index_of_level(level)).all()
        assert len(np.unique(factor.index_of_level(other))) == factor.size
    assert other_levels(np.zeros(5), Factor.scalar("one", 1), random).tolist() == [0] * 5
    assert len(np.unique(other_levels(np.zeros(50), Factor.scalar("free"), random))) == 50


# -- which images ------------------------------------------------------------------------------------------------------


def test_the_encoder_is_judged_on_images_that_it_saw_no_labels_of(world: Dataset) -> None:
    own = world.labels.keep(np.arange(0, 90, 3))
    r = read(world, networks(), own=own)
    assert r.split == "held-out" and len(r.rows) == 60
    assert not set(r.rows) & set(range(0, 90, 3))
    few = read(world, networks(), own=own, images=25)
    assert len(few.rows) == 25 and set(few.rows) < set(r.rows)
    assert set(read(world, networks(), own=own, images=25, seed=1).rows) != set(few.rows)


def test_too_few_held_out_images_are_not_what_it_is_judged_on(world: Dataset) -> None:
    own = world.labels.keep(np.arange(30))
    for count, rows in ((19, range(30, 90)), (20, range(70, 90))):
        r = read(world, networks(), own=own, held_out=np.arange(90 - count, 90))
        assert r.rows.tolist() == list(rows), count


def test_another_seed_draws_other_codes_z_and_images(world: Dataset) -> None:
    for one, two in (
        [read(world, networks(), images=50, seed=seed) for seed in (0, 1)],
        [editor(world, images=50, seed=seed) for seed in (0, 1)],
    ):
        assert not torch.equal(one.generated_levels, two.generated_levels)
        assert not torch.equal(one.starts(50, 2), two.starts(50, 2))
        assert set(one.edited) != set(two.edited)


def test_where_every_label_was_used_it_says_so(world: Dataset) -> None:
    r = read(world, networks(), own=world.labels)
    assert r.split == "all labelled" and len(r.rows) == 90


def test_the_protocol_tells_the_images_that_were_read(world: Dataset) -> None:
    """Of 90, of which 70 know x: MIG and L2 take each factor where it is known, what compares factors takes 70."""
    known = np.ones((90, 3), dtype=bool)
    known[:20, 2] = False
    labels = Labels(np.where(known, world.labels.level_NF, 0).astype(np.float32), known)
    r = read(world.with_labels(labels), networks())
    told = {name: protocol_of(name, r, IDENTITY) for name in ("mig", "l2", "dci", "sap", "modularity", "irs")}
    assert {name: p["images"] for name, p in told.items()} == {"mig": 90, "l2": 90} | dict.fromkeys(
        ("dci", "sap", "modularity", "irs"), 70
    )
    each = {"shape": 90, "hue": 90, "x": 70}
    assert [p.get("per_factor_images") for p in told.values()] == [each, each, None, None, None, None]
    nameless = networks(PerfectG(NAMELESS), PerfectE(NAMELESS), NAMELESS)
    halves = protocol_of("l2", read(world, nameless), IDENTITY)
    assert halves["images"] == 45 and "per_factor_images" not in halves


def test_codes_may_come_from_the_labels(world: Dataset) -> None:
    prior = world.labels.keep(np.array([7, 8]))
    asked = read(world, networks(), prior=prior).generated.asked_NK
    assert len(np.unique(asked, axis=0)) == 2
    assert len(np.unique(read(world, networks()).generated.asked_NK, axis=0)) == 90


def test_what_a_row_of_the_prior_does_not_know_is_drawn(world: Dataset) -> None:
    known = np.tile([True, True, False], (90, 1))
    prior = Labels(np.where(known, world.labels.level_NF, 0).astype(np.float32), known).keep(np.array([7, 88]))
    asked = read(world, networks(), prior=prior).generated.asked_NK
    assert len(np.unique(asked[:, :2], axis=0)) == 2 and len(np.unique(asked[:, 2])) == 5


def test_intervals_of_errors_are_of_what_is_known(world: Dataset) -> None:
    """An encoder that turns x round, which 50 of 90 images know."""
    known = np.ones((90, 3), dtype=bool)
    known[:40, 2] = False
    labels = Labels(np.where(known, world.labels.level_NF, 0).astype(np.float32), known)
    r = read(world.with_labels(labels), networks(E=PerfectE(change=lambda u: u * [1, 1, -1] + [0, 0, 1])))
    fields = METRICS["l2"].measure(r)
    spans = intervals_of("l2", fields, r)
    assert spans["mae.x"].score == pytest.approx(fields["per_factor"]["x"]["mae"]) and spans["mae.x"].score > 0.5
    assert spans["l2"].score == pytest.approx(fields["l2"])


# -- the files of a run ------------------------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def short_oracles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def short(resolution: int, images: int) -> Plan:
        return dataclasses.replace(plan_for(resolution, images), steps=20)

    monkeypatch.setattr(oracle_module, "plan_for", short)
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))


def make_run(
    folder: Path, data_path: Path, labelled: int = 30, preset: str = "semi", seed: int = 0, **fields: Any
) -> Path:
    """A run as training leaves it, of networks that learnt nothing."""
    data, run = Dataset.open(data_path), folder / "run"
    config = TrainConfig.preset(preset, data=str(data_path), out=str(run), kimg=2.0, device="cpu", **fields)
    space = (
        SPACE if preset == "semi" else (data.space.anonymous() if len(data.space) else FactorSpace.grid({"code0": 3}))
    )
    model = ModelConfig.of_size("tiny", 16, 3, space.code_width)
    torch.manual_seed(seed)
    save_model(run / "checkpoint-000002", model, space, StyleGAN2(model), Encoder(model, Trunk(model)))
    if preset == "semi":
        rows = data.labels.labelled_rows[:labelled]
        text = labels_csv(data.names, rows, data.labels.keep(rows), data.space)
        (run / "labels.csv").write_text(text, encoding="utf-8")
    document = {"data_fingerprint": data.fingerprint(), "train": config.to_json(), "model": model.to_json()}
    (run / "config.json").write_text(json.dumps(document), encoding="utf-8")
    stats = [{"kimg": 1.0, "seconds": 10.0}, {"kimg": 2.0, "seconds": 20.5}, {"kimg": 3.0, "seconds": 31.0}]
    (run / "stats.jsonl").write_text("".join(json.dumps(row) + "\n" for row in stats), encoding="utf-8")
    return run


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_what_evaluate_writes(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    scores = evaluate(run, images=200, device="cpu")
    assert json.loads((run / "metrics.json").read_text(encoding="utf-8")) == scores
    assert scores["label_fraction"] == pytest.approx(30 / 90) and scores["labelled_images"] == 30
    assert scores["kimg"] == 2 and scores["seconds"] == 20.5
    for field in ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle", "oracle_l2"):
        assert isinstance(scores[field], float), field
    assert set(scores["per_factor"]) == set(SPACE.names)
    for errors in scores["per_factor"].values():
        assert 0 <= errors["mae"] <= 1 and 0 <= errors["mae_gen"] <= 1
    constants = {name: errors["mae_constant"] for name, errors in scores["per_factor"].items()}
    assert constants == pytest.approx({"shape": 0.5, "hue": 0.5, "x": 0.3}), "of 60 images two shapes are left"
    assert set(scores["leakage"]) == set(SPACE.names)
    for name in DEFAULT:
        (row,) = lines(run / f"metric-{name}.jsonl")
        protocol = row["protocol"]
        assert row["kimg"] == 2 and row[METRICS[name].fields[0]] == scores[METRICS[name].fields[0]]
        assert protocol["seed"] == 0 and len(protocol["weights_sha256"]) == 64 and protocol["images"] <= 200
        assert ("oracle_l2" in protocol) == (METRICS[name].of == "generator")
        assert ("split" in protocol) == (METRICS[name].of == "encoder")
        for field, (low, high) in row["ci95"].items():
            said = row["per_factor"][field.partition(".")[2]] if "." in field else row
            assert low <= said[field.partition(".")[0]] <= high and scores["ci95"][field] == [low, high]
        assert set(METRICS[name].fields) & set(row["ci95"]), name
    assert scores["oracle_error"].keys() == scores["per_factor"].keys()
    assert lines(run / "metric-mig.jsonl")[0]["protocol"]["bins"] == 20
    assert lines(run / "metric-mig.jsonl")[0]["protocol"]["images"] == 60
    assert "The oracle is the limit" in scores["note"]  # twenty steps make no oracle


def test_no_scores_are_written_through_a_link_that_leads_out_of_the_run(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    (own := tmp_path / ".bashrc").write_text("precious")
    (run / "metrics.json").symlink_to(own)
    with pytest.raises(UserError, match=r"metrics.json: is a link that leads out of this folder, to .*; remove it"):
        evaluate(run, images=200, device="cpu")
    assert own.read_text() == "precious"


def test_evaluating_again_gives_the_same_figures_and_appends(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = evaluate(run, images=200, device="cpu")
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    assert evaluate(run, images=200, device="cpu") == first
    one, two = lines(run / "metric-l2_gen.jsonl")
    assert one == two


def test_an_earlier_checkpoint_is_measured_where_it_is_asked_for(tmp_path: Path) -> None:
    data = write_world(tmp_path / "world.zip")
    run, other = make_run(tmp_path, data), make_run(tmp_path / "other", data, seed=1)
    shutil.copytree(other / "checkpoint-000002", run / "checkpoint-000003")
    scores = [evaluate(run, ["l2"], images=200, device="cpu", kimg=kimg) for kimg in (2, None)]
    assert [row["kimg"] for row in scores] == [2, 3] and scores[0]["l2"] != scores[1]["l2"]
    with pytest.raises(UserError, match="run: no checkpoint after 5 kimg; there are 2, 3"):
        evaluate(run, ["l2"], images=200, kimg=5)


def test_all_of_them_and_what_was_measured_before_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semistylegan.metrics.voting.VOTES", (600, 300))
    monkeypatch.setattr("semistylegan.metrics.edits.INVERTED", 2)
    monkeypatch.setattr("semistylegan.metrics.edits.INVERSION_STEPS", 4)
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    default = evaluate(run, images=200, device="cpu")
    every = evaluate(run, ["all"], images=200, device="cpu")
    for field in [field for name, metric in METRICS.items() for field in metric.fields if name != "fid"]:
        assert every[field] is not None, field
    assert every["factor_vae"] > 0 and lines(run / "metric-factor_vae.jsonl")[0]["protocol"]["images"] == 90
    assert {key: every[key] for key in ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle")} == {
        key: default[key] for key in ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle")
    }
    again = evaluate(run, ["mig"], images=200, device="cpu")
    assert again == every
    assert lines(run / "metric-dci.jsonl")[0]["protocol"]["classifier"] == "gradient boosting"
    for field in ("kid", "factor_vae", "beta_vae", "edit_error", "edit_drift", "modularity", "irs"):
        low, high = every["ci95"][field]
        assert low <= every[field] <= high, field
    assert "sap" not in every["ci95"], "60 images are too few to be measured in ten parts"
    assert "draws" in lines(run / "metric-beta_vae.jsonl")[0]["protocol"]["ci95"]
    assert "ci95" not in lines(run / "metric-sap.jsonl")[0]["protocol"]
    assert len(lines(run / "metric-dci.jsonl")) == 1
    # Another oracle, other weights: nothing that was measured of the old ones may stay.
    (run / "metrics.json").write_text(json.dumps({**every, "oracle_l2": 0.5}), encoding="utf-8")
    assert "sap" not in evaluate(run, ["mig"], images=200, device="cpu")
    make_run(tmp_path / "other", tmp_path / "world.zip", seed=1)
    shutil.copytree(tmp_path / "other" / "run" / "checkpoint-000002", run / "checkpoint-000003")
    new = evaluate(run, ["mig"], images=200, device="cpu")
    assert new["kimg"] == 3 and new["mig"] != every["mig"]
    assert new["l2"] is None and "sap" not in new and new["per_factor"]["x"] == {"mae": None, "mae_gen": None}


def test_scores_that_another_evaluation_wrote_meanwhile_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    alone = evaluate(run, ["mig"], images=200, device="cpu")
    (run / "metrics.json").unlink()
    l2 = METRICS["l2"]

    def slow(r: Readings) -> Any:
        monkeypatch.setitem(METRICS, "l2", l2)
        assert evaluate(run, ["mig"], images=200, device="cpu")["mig"] == alone["mig"]
        return l2.measure(r)

    monkeypatch.setitem(METRICS, "l2", dataclasses.replace(l2, measure=slow))
    both = evaluate(run, ["l2"], images=200, device="cpu")
    assert (both["mig"], both["ci95"]["mig"]) == (alone["mig"], alone["ci95"]["mig"])
    assert both["l2"] > 0 and both == json.loads((run / "metrics.json").read_text(encoding="utf-8"))


def test_scores_of_other_measures_do_not_stay(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    first = evaluate(run, ["mig"], images=200, device="cpu")
    assert first["metrics_version"] == lines(run / "metric-mig.jsonl")[0]["protocol"]["metrics_version"] == 1
    without = {k: v for k, v in first.items() if k != "metrics_version"}  # an earlier version's
    (run / "metrics.json").write_text(json.dumps(without), encoding="utf-8")
    assert evaluate(run, ["l2"], images=200, device="cpu")["mig"] == first["mig"]
    monkeypatch.setattr("semistylegan.metrics.evaluate.VERSION", 2)
    new = evaluate(run, ["l2"], images=200, device="cpu")
    assert new["mig"] is None and new["metrics_version"] == 2 and set(new["protocols"]) == {"l2"}


def test_scores_of_other_images_do_not_stay(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    identity = {"weights_sha256": "a", "images": 200, "seed": 0}
    (tmp_path / "metrics.json").write_text(json.dumps({**identity, "mig": 0.5, "oracle_l2": 0.1}), encoding="utf-8")
    assert earlier(tmp_path, identity, 0.1) == {"mig": 0.5}
    assert earlier(tmp_path, identity | {"weights_sha256": "b"}, 0.1) == {}  # another checkpoint: nobody expects them
    assert capsys.readouterr().err == ""
    for other, was in (({"images": 150}, "--images 200"), ({"seed": 1}, "--seed 0")):
        assert earlier(tmp_path, identity | other, 0.1) == {}
        assert f"metrics.json: scores of {was} make room for these" in capsys.readouterr().err
    assert earlier(tmp_path, identity, 0.2) == {}


def test_fid_of_a_network_that_the_user_gives(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    onnx = pytest.importorskip("onnx")
    helper, FLOAT = onnx.helper, onnx.TensorProto.FLOAT
    nodes = [helper.make_node("GlobalAveragePool", ["x"], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    ends = [helper.make_tensor_value_info(n, FLOAT, s) for n, s in (("x", ["n", 3, 16, 16]), ("y", None))]
    model = helper.make_model(
        helper.make_graph(nodes, "g", ends[:1], ends[1:]), opset_imports=[helper.make_opsetid("", 13)]
    )
    model.ir_version = 8
    onnx.save(model, tmp_path / "eyes.onnx")
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    with pytest.raises(UserError, match="--inception FILE"):
        evaluate(run, ["fid"], images=100, device="cpu")
    with pytest.raises(UserError, match="not the file that was meant"):
        evaluate(run, ["fid"], images=100, device="cpu", inception=tmp_path / "eyes.onnx", inception_sha256="0" * 64)
    scores = evaluate(run, ["fid", "mig"], images=100, device="cpu", inception=tmp_path / "eyes.onnx")
    (row,) = lines(run / "metric-fid.jsonl")
    low, high = scores["ci95"]["fid"]
    assert low < scores["fid"] < high and "25 resamples" in row["protocol"]["ci95"]
    assert scores["fid"] == row["fid"] > 0 and len(row["protocol"]["inception_sha256"]) == 64
    assert row["protocol"]["images"] == 100 and row["protocol"]["real_images"] == 90
    assert "FID of images drawn again: 26 of 26" in capsys.readouterr().err


def test_the_interval_of_fid_is_the_same_where_images_are_fewer_than_features() -> None:
    random = np.random.default_rng(0)
    tables = random.normal(size=(20, 64)), random.normal(size=(30, 64)) + 0.1
    found = score_intervals.of_fid(cast(Readings, SimpleNamespace(inception_features=tables, seed=0)))["fid"]
    quick = bootstrap(quick_frechet_distance, *tables, resamples=25, paired=False, within=(0.0, np.inf))
    assert found == pytest.approx(quick, rel=1e-6)


def test_factors_that_the_oracle_misreads_are_told(world: Dataset) -> None:
    assert coarse_factors(ORACLE) == []
    half = (0.101, 1 / 6 + 0.001, 0.126)  # of a class in ten, of half a turn over six values, of four steps
    assert coarse_factors(dataclasses.replace(ORACLE, error=half)) == ["shape", "hue", "x"]
    assert coarse_factors(dataclasses.replace(ORACLE, error=(0.099, 1 / 6 - 0.001, None))) == []


@pytest.mark.parametrize(
    ("own", "generator", "limit"), [(0.05, 0.3, False), (0.05, 0.09, True), (0.11, 0.3, True), (0.11, None, True)]
)
def test_the_note_says_when_the_oracle_is_the_limit(
    world: Dataset, own: float, generator: float | None, limit: bool
) -> None:
    """Its own L2 over 0.1, or the generator's less than twice as large."""
    r = Readings(networks(), world, dataclasses.replace(ORACLE, l2=own), no_labels(world))
    document = {"l2": None, "l2_gen": generator, "protocols": {"l2_gen": {}}}
    said = note(document, r, [])
    assert ("The oracle is the limit: its own L2 is" in said) == limit
    assert "misreads" not in said
    r.oracle = dataclasses.replace(ORACLE, error=(0.2, 0.0, 0.0))
    assert "misreads shape by more than half a step" in note(document | {"l2_gen": 0.3}, r, [])
    assert "oracle" not in note(document | {"protocols": {}}, r, []), "no score rests on it"


def test_the_note_says_when_mig_is_too_low_for_want_of_images(tmp_path: Path, world: Dataset) -> None:
    def said(images: int, low_by: float) -> str:
        protocols = {"mig": {"images": images, "low_by": low_by}}
        return note({"l2": None, "l2_gen": None, "protocols": protocols}, read(world, networks()), [])

    assert said(500, 0.0425) == "On so few images (500) MIG is too low: that of an encoder that reads well by 0.04."
    assert said(1200, 0.0173) == ""
    protocols = {"mig_gen": {"images": 80, "low_by": 0.01, "by_chance": 0.274}}
    chance = note({"l2": None, "l2_gen": None, "protocols": protocols}, read(world, networks()), [])
    assert chance == "By chance alone (what is read given to other images) MIG-gen would be 0.27 here."
    scores = evaluate(make_run(tmp_path, write_world(tmp_path / "world.zip")), ["mig", "mig_gen"], 100, device="cpu")
    assert scores["encoder_images"] == 60 and "On so few images (60) MIG is too low" in scores["note"]
    assert "On so few images (100) MIG-gen is too low" in scores["note"]
    (row,) = lines(tmp_path / "run" / "metric-mig.jsonl")
    both = {key: scores[key] for key in ("seed", "weights_sha256", "metrics_version")}
    assert row["protocol"] == scores["protocols"]["mig"] | both and row["protocol"]["hold_out"] == "none"
    again = evaluate(tmp_path / "run", ["l2"], 100, device="cpu")
    assert again["note"] == scores["note"] and set(again["protocols"]) == {"mig", "mig_gen", "l2"}


def readings_of(run: Path, model: Networks, data: Dataset) -> Readings:
    """What there is to measure of a run with these networks."""
    return of_run(Run(run), data, run / "checkpoint-000001", model).readings(ORACLE, 400, 0)


def test_the_protocol_names_what_was_held_out(tmp_path: Path) -> None:
    data = Dataset.open(write_world(tmp_path / "world.zip"))
    run = make_run(tmp_path, tmp_path / "world.zip", hold_out="shape=a")
    r = readings_of(run, networks(), data)
    assert len(r.rows) == 30 and protocol_of("l2", r, IDENTITY)["hold_out"] == "shape=a"
    assert "hold_out" not in protocol_of("l2_gen", r, IDENTITY), "what is drawn from z does not depend on it"


# -- a model on other data -------------------------------------------------------------------------------------------


OTHER = FactorSpace((Factor.scalar("y", 2), *SPACE.factors[::-1]))
"""One factor more, and the others the other way round."""


def write_others(path: Path, space: FactorSpace = OTHER, side: int = 16, channels: int = 3) -> Path:
    """Of the world's pictures those with an x in the middle, under other names."""
    with ZipWriter(path, space) as writer:
        for i, (shape, hue, x) in enumerate(SPACE.levels_of_indices(SPACE.values_of(np.arange(SPACE.total)))):
            colour = colours(np.array([[shape, hue, x]]))[0].astype(np.uint8)
            image = np.ascontiguousarray(np.broadcast_to(colour, (side, side, 3))[..., :channels])
            levels = {"shape": shape, "hue": hue, "x": x, "y": i % 2}
            if 0 < x < 1:
                writer.add(f"other{i:06d}.png", image, np.array([levels[name] for name in space.names]))
    return path


def test_a_model_is_measured_on_other_data(tmp_path: Path) -> None:
    run, other = make_run(tmp_path, write_world(tmp_path / "world.zip")), write_others(tmp_path / "other.zip")
    evaluate(run, ["l2"], 100, device="cpu")
    before = (run / "metrics.json").read_bytes(), (run / "metric-l2.jsonl").read_bytes()
    scores = evaluate(run, ["mig", "l2", "l2_gen"], 100, device="cpu", data_path=other, out=tmp_path / "scores")
    assert before == ((run / "metrics.json").read_bytes(), (run / "metric-l2.jsonl").read_bytes())
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text(encoding="utf-8")) == scores
    assert scores["encoder_images"] == 54 and scores["labelled_images"] is scores["label_fraction"] is None
    assert (scores["kimg"], scores["model"], scores["data"]) == (2, str(run), str(other))
    assert UNSEEN in scores["note"] and SEEN not in scores["note"] and "have no names" not in scores["note"]
    assert list(scores["per_factor"]) == list(SPACE.names)
    assert scores["protocols"]["l2"]["split"] == "held-out" and scores["protocols"]["l2"]["hold_out"] == EVERY_IMAGE
    row = lines(tmp_path / "scores" / "metric-l2.jsonl")[0]
    assert row["protocol"]["data_fingerprint"] == scores["data_fingerprint"] == Dataset.open(other).fingerprint()
    again = evaluate(run, ["mig"], 100, device="cpu", data_path=other, out=tmp_path / "scores")
    assert (again["l2"], again["per_factor"]) == (scores["l2"], scores["per_factor"]), "what was measured before stays"
    more = write_others(tmp_path / "more.zip", SPACE)
    assert evaluate(run, ["mig"], 100, device="cpu", data_path=more, out=tmp_path / "scores")["l2"] is None


def test_a_model_reads_other_data_by_its_own_factors(tmp_path: Path) -> None:
    """Whatever other factors the data have, and in whatever order."""
    run, other = make_run(tmp_path, write_world(tmp_path / "world.zip")), write_others(tmp_path / "other.zip")
    subject = subject_of(run, None, other, tmp_path / "scores", torch.device("cpu"))
    r = dataclasses.replace(subject, networks=networks()).readings(ORACLE, 100, 0)
    assert r.named and METRICS["l2"].measure(r)["l2"] == pytest.approx(0, abs=1e-6)
    assert r.held_out.tolist() == list(range(54)), "of none of them training saw anything"
    with pytest.raises(UserError, match="no checkpoint after 1 kimg; there are 2"):
        subject_of(run, 1, other, tmp_path / "scores", torch.device("cpu"))
    with pytest.raises(UserError, match="--kimg 1: sprites is no run with several checkpoints; leave --kimg out"):
        subject_of("sprites", 1, other, tmp_path / "scores", torch.device("cpu"))


def test_the_factors_of_a_model_and_of_other_data_may_be_written_otherwise(world: Dataset) -> None:
    """In another unit, as classes, with the paper's kinds; of an editor in the model's order alone."""
    shape, hue, x = SPACE
    renamed = FactorSpace((shape, dataclasses.replace(hue, unit="turns"), dataclasses.replace(x, as_classes=True)))
    for space in (renamed, SPACE.with_kinds("scalar"), SPACE.only(["hue"])):
        assert with_factors_of(networks(space=space), world, Path()).space == SPACE.only(space.names)
    turned = FactorSpace((x, hue))
    assert with_factors_of(networks(space=turned), world, Path()).space == turned
    with pytest.raises(UserError, match="factors in the order hue, x; the editor's is x, hue"):
        with_factors_of(networks(Editor(), space=turned), world, Path())


def test_a_model_that_was_handed_on_is_measured_with_its_prior(tmp_path: Path) -> None:
    run, other = make_run(tmp_path, write_world(tmp_path / "world.zip")), write_others(tmp_path / "other.zip")
    alone = tmp_path / "alone"
    shutil.copytree(run / "checkpoint-000002", alone)
    (alone / "prior.csv").write_text("file_name,shape,hue,x\n0,b,60,0.25\n1,b,0,1\n", encoding="utf-8")
    subject = subject_of(alone, None, other, tmp_path / "scores", torch.device("cpu"))
    asked = subject.readings(ORACLE, 50, 0).generated_levels.numpy()
    assert np.unique(asked, axis=0) == pytest.approx(np.array([[1, 0, 1], [1, 1 / 6, 0.25]]))
    assert subject.kimg is None and subject.seconds is None


@pytest.mark.parametrize(
    ("space", "side", "says"),
    [
        (OTHER.only(["y", "x", "hue"]), 16, "unknown factor 'shape': known are y, x, hue"),
        (OTHER, 32, "its images have 32 px and 3 channels, those of .* 16 px and 3; import them with --resolution 16"),
        (
            FactorSpace((*SPACE.factors[:2], Factor.scalar("x", 5, 0, 10))),
            16,
            "x as scalar with 5 values, .* from 0 to 10; the model",
        ),
        (
            FactorSpace((*SPACE.factors[:2], Factor.circular("x", 5, 0, 1))),
            16,
            "x as circular .* knows x as scalar",
        ),
    ],
)
def test_other_data_that_do_not_fit_are_told(tmp_path: Path, space: FactorSpace, side: int, says: str) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    other = write_others(tmp_path / "other.zip", space, side)
    with pytest.raises(UserError, match=says):
        evaluate(run, ["l2"], 100, device="cpu", data_path=other, out=tmp_path / "scores")
    assert not (tmp_path / "scores").exists()


def test_grey_images_are_none_of_a_model_of_colours(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    other = write_others(tmp_path / "other.zip", channels=1)
    with pytest.raises(UserError, match=r"its images have 16 px and 1 channels, those of .* 16 px and 3"):
        subject_of(run, None, other, tmp_path / "scores", torch.device("cpu"))


def test_a_model_without_names_is_measured_by_all_factors_of_other_data(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"), preset="info")
    other = write_others(tmp_path / "other.zip")
    subject = subject_of(run, None, other, tmp_path / "scores", torch.device("cpu"))
    assert subject.data.space == OTHER and subject.networks.space.names == ("code0", "code1", "code2")
    assert not subject.readings(ORACLE, 100, 0).named


def test_a_checkpoint_of_a_run_tells_its_kimg_and_a_picture_of_edits_goes_beside_the_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semistylegan.metrics.edits.INVERTED", 2)
    monkeypatch.setattr("semistylegan.metrics.edits.INVERSION_STEPS", 1)
    run, other = make_run(tmp_path, write_world(tmp_path / "world.zip")), write_others(tmp_path / "other.zip", SPACE)
    before, scores = sorted(run.rglob("*")), tmp_path / "scores"
    told = evaluate(run / "checkpoint-000002", ["edit"], 100, device="cpu", data_path=other, out=scores)
    assert (told["kimg"], told["seconds"]) == (2, None) and told["edit_error"] is not None
    names = ["edits.png", "metric-edit.jsonl", "metrics.json"]
    assert sorted(p.name for p in scores.iterdir()) == names and sorted(run.rglob("*")) == before


class Blind(PerfectG):
    """Draws the first shape, whatever is asked."""

    def forward(self, z: Tensor, code: Tensor) -> Tensor:
        code = code.clone()
        code[:, : SPACE[0].width] = torch.eye(SPACE[0].width)[0]
        return super().forward(z, code)


@pytest.mark.parametrize("blind", [False, True])
def test_what_no_label_taught_the_oracle_is_left_out_of_g_s_scores(world: Dataset, blind: bool) -> None:
    model = networks(Blind() if blind else PerfectG())
    oracles = ORACLE, dataclasses.replace(ORACLE, error=(None, 0.0, 0.0))
    all_told, told = (Readings(model, world, oracle, no_labels(world), images=1000) for oracle in oracles)
    assert METRICS["l2_gen"].measure(told)["per_factor"]["shape"]["mae_gen"] is None
    for name in ("mig_gen", "l2_gen"):
        whole, part = (METRICS[name].measure(r)[name] for r in (all_told, told))
        assert part == pytest.approx({"mig_gen": 1, "l2_gen": 0}[name], abs=0.05), "hue and x obey"
        assert (abs(whole - part) > 0.2) == blind
        assert protocol_of(name, told, IDENTITY)["factors"] == ["hue", "x"]
    assert set(METRICS["leakage"].measure(told)["leakage"]) == {"hue", "x"}
    document = {"l2": None, "l2_gen": 0.0, "protocols": {"mig_gen": {}}}
    assert "No label taught the oracle shape: left out of the scores" in note(document, told, [])
    assert "taught" not in note(document, all_told, [])


def test_where_scores_on_other_data_cannot_go(tmp_path: Path) -> None:
    world = write_world(tmp_path / "world.zip")
    run, scores, other = make_run(tmp_path, world), tmp_path / "scores", write_others(tmp_path / "other.zip")
    own = "was trained on it, and is measured on it without --out"
    for path, data, out, says in (
        (run, None, scores, "give other data as --data"),
        (run, other, run, f"--out {run}: a run, a model or a file"),
        (run, other, other, "a run, a model or a file"),
        (run, world, scores, own),
        (run / "checkpoint-000002", world, scores, own),
        (
            run / "checkpoint-000002",
            None,
            None,
            "a model, not a run; to measure it on other data give --data PATH --out",
        ),
        ("kitchen-editor", other, None, "a model, not a run"),
        ("kitchens", other, scores, "no such model"),
        (run, tmp_path, tmp_path / "deep" / "scores", "inside of the data; give a folder elsewhere"),
    ):
        with pytest.raises(UserError, match=re.escape(says)):
            evaluate(path, ["l2"], 100, device="cpu", data_path=data, out=out)
    assert not scores.exists()


class Editor(PerfectG):
    """One that starts from images, of hue and x."""

    starts_from_image = True

    def forward(self, img: Tensor, code: Tensor) -> Tensor:
        asked = self.codes.decode(code).double().numpy()
        return picture(np.concatenate([seen(img)[:, :1], asked], axis=1))


def editor(world: Dataset, **more: Any) -> Readings:
    space = SPACE.only(["hue", "x"])
    misread = dataclasses.replace(ORACLE, l2=0.4, error=(0.4, 0.0, 0.2))
    return Readings(networks(Editor(space), PerfectE(space), space), world, misread, no_labels(world), **more)


def test_an_editor_is_told_of_its_own_factors(world: Dataset) -> None:
    """The oracle has trouble with the shape, which none of its scores is of."""
    r = editor(world)
    assert r.oracle_l2 == pytest.approx(0, abs=1e-6) and read(world, networks()).oracle_l2 == 0
    said = note({"l2": None, "l2_gen": 0.3, "protocols": {"l2_gen": {}}}, r, [])
    assert "is the limit" not in said and "misreads x by" in said
    assert "misreads shape, x by" in note(
        {"l2": None, "l2_gen": None, "edit_drift": 0.1, "protocols": {"edit": {}}}, r, []
    )
    told = {name: protocol_of(name, r, IDENTITY) for name in ("l2", "mig", "factor_vae", "edit")}
    assert [p["factors"] for p in told.values()] == [["hue", "x"]] * 4
    assert told["edit"]["drift_factors"] == list(SPACE.names) and told["edit"]["oracle_l2"] == 0.4
    assert protocol_of("l2_gen", read(world, networks()), IDENTITY)["factors"] == list(SPACE.names)


def test_votes_say_whether_labels_of_the_grid_were_read(world: Dataset) -> None:
    for own, were_read in ((no_labels(world), False), (world.labels.keep(np.arange(3)), True)):
        told = protocol_of("beta_vae", read(world, networks(), own=own), IDENTITY)
        assert told["labels_read"] is were_read and told["images"] == 90


def test_what_training_saw_of_edited_images_is_told(world: Dataset) -> None:
    """Of 90: some held out, else some whose labels were not read, else none."""
    cases = (
        ("held-out", "held-out", {"held_out": np.arange(40, 60)}),
        ("labels unread", "all", {"own": world.labels.keep(np.arange(50))}),
        ("all labelled", "all", {"own": world.labels}),
    )
    space = SPACE.only(["hue", "x"])
    for edits, starts, more in cases:
        r = Readings(
            networks(Editor(space), PerfectE(space), space), world, ORACLE, **{"own": no_labels(world), **more}
        )
        told = {name: protocol_of(name, r, IDENTITY) for name in ("edit", "l2_gen", "mig_gen")}
        assert [p["split"] for p in told.values()] == [edits, starts, starts]
        said = note({"l2": None, "l2_gen": None, "protocols": told}, r, [])
        assert ("The generator starts from images that training saw: --hold-out" in said) == (starts == "all")
        assert ("Edits are of images that training saw, though not their labels" in said) == (edits == "labels unread")
        assert ("Edits are of images that training saw, their labels too" in said) == (edits == "all labelled")
    assert set(r.edited) <= set(range(90)) and "split" not in protocol_of("l2_gen", read(world, networks()), IDENTITY)


def test_mig_names_the_factors_that_vary(world: Dataset) -> None:
    first = world.with_labels(world.labels.keep(np.arange(30)))  # all of one shape
    told = {name: protocol_of(name, read(first, networks()), IDENTITY)["factors"] for name in ("mig", "sap", "l2")}
    assert told == {"mig": ["hue", "x"], "sap": ["hue", "x"], "l2": list(SPACE.names)}


def test_a_run_without_labels(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"), preset="info")
    scores = evaluate(run, images=200, device="cpu")
    assert scores["labelled_images"] == 0 and scores["label_fraction"] == 0
    assert isinstance(scores["l2"], float) and isinstance(scores["l2_gen"], float)
    assert "codes have no names" in scores["note"]
    assert "alignment" in lines(run / "metric-l2.jsonl")[0]["protocol"]
    assert "alignment" in lines(run / "metric-leakage.jsonl")[0]["protocol"]
    assert "alignment" not in lines(run / "metric-mig.jsonl")[0]["protocol"]
    assert set(scores["per_factor"]) == set(SPACE.names)


def test_data_with_few_labels_leave_out_what_needs_them(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip", labelled=19), labelled=10)
    scores = evaluate(run, ["all"], images=200, device="cpu")
    assert all(scores[field] is None for field in ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle", "oracle_l2"))
    assert "mig is left out: fewer than 20 images have a label" in scores["note"]
    assert "too few for an oracle" in scores["note"]
    assert not list(run.glob("metric-*.jsonl"))


def test_labels_of_one_combination_have_no_mig_of_the_generator(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"), labelled=1, prior="labelled")
    scores = evaluate(run, images=100, device="cpu")
    assert scores["mig_gen"] is None and isinstance(scores["l2_gen"], float)
    why = "mig_gen is left out: the labelled rows, from which codes are drawn, have one combination of values."
    assert why in scores["note"]
    before = lines(run / "metric-l2_gen.jsonl")
    on_snapshot(100, device="cpu")(run / "checkpoint-000002", 2.0)
    assert len(lines(run / "metric-l2_gen.jsonl")) == len(before) + 1 and not (run / "metric-mig_gen.jsonl").exists()


def test_data_without_any_factor(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip", space=None), preset="info")
    scores = evaluate(run, ["all"], images=200, device="cpu")
    assert scores["mig"] is None and scores["per_factor"] == {} and "left out" in scores["note"]


def test_labels_that_training_all_read_are_told_of(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"), labelled=90)
    scores = evaluate(run, ["mig", "l2"], images=200, device="cpu")
    assert "labels training read" in scores["note"]
    assert lines(run / "metric-l2.jsonl")[0]["protocol"]["split"] == "all labelled"


def test_what_cannot_be_measured_is_said(tmp_path: Path) -> None:
    twice = Dataset.open(write_world(tmp_path / "twice.zip", labelled=100, repeat=2))
    said = unmeasurable("factor_vae", read(twice, networks()))
    assert said is not None and "every combination" in said
    assert unmeasurable("mig", read(twice, networks())) is None


def test_a_factor_that_does_not_vary_has_no_mig(tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "same.zip", SPACE) as writer:
        for i in range(30):
            writer.add(f"{i:06d}.png", np.full((16, 16, 3), i, dtype=np.uint8), [1, 0, 0.5])
    r = read(Dataset.open(tmp_path / "same.zip"), networks())
    said = unmeasurable("mig", r)
    assert said is not None and "no factor varies" in said
    assert unmeasurable("sap", r) is not None and unmeasurable("l2", r) is None


def test_one_factor_leaves_out_what_compares_two_and_stops_nothing(tmp_path: Path) -> None:
    space = FactorSpace((Factor.scalar("x", 24),))
    with ZipWriter(tmp_path / "one.zip", space) as writer:
        for i in range(24):
            writer.add(f"{i:06d}.png", np.full((16, 16, 3), 10 * i, dtype=np.uint8), [i / 23])
    r = read(Dataset.open(tmp_path / "one.zip"), networks(space=space))
    said = unmeasurable("beta_vae", r)
    assert said is not None and "needs two that vary" in said
    assert all(unmeasurable(name, r) is None for name in ("factor_vae", "mig", "l2", "edit", "mig_gen"))


def test_a_factor_of_one_value_can_be_set_to_no_other(tmp_path: Path) -> None:
    space = FactorSpace((Factor.categorical("shape", ("ring",)),))
    with ZipWriter(tmp_path / "same.zip", space) as writer:
        for i in range(30):
            writer.add(f"{i:06d}.png", np.full((16, 16, 3), i, dtype=np.uint8), [0])
    said = unmeasurable("edit", read(Dataset.open(tmp_path / "same.zip"), networks(space=space)))
    assert said == "edit is left out: no factor has more than one value."


def test_edits_say_what_they_miss(tmp_path: Path) -> None:
    free = FactorSpace((Factor.scalar("x", 3), Factor.scalar("size", None), Factor.circular("turn", None)))
    with ZipWriter(tmp_path / "free.zip", free) as writer:
        for i in range(30):
            writer.add(f"{i:06d}.png", np.full((16, 16, 3), i, dtype=np.uint8), [i % 3 / 2, i / 30, i / 30])
    r = read(Dataset.open(tmp_path / "free.zip"), networks(space=free))
    said = unmeasurable("edit", r)
    assert said == "edit is left out: it needs a grid of every factor; give size, turn a size in factors.json."
    # The note does not speak of scores that were not measured.
    document = {"mig": None, "l2": None, "mig_gen": None, "l2_gen": None}
    assert note(document | {"protocols": {}}, r, [str(said)]) == said
    every = Readings(networks(space=free), r.data, ORACLE, r.data.labels)
    assert note(document | {"mig": 0.5, "protocols": {}}, every, []) == SEEN
    assert note(document | {"protocols": {}}, every, []) == ""


def test_a_factor_of_one_value_dilutes_no_score(tmp_path: Path) -> None:
    """As dSprites' color: the scores are those of the same data without it."""
    still = Factor.categorical("color", ("white",))
    space = FactorSpace((still, *SPACE.factors[1:]))  # of the first shape alone

    def leaky(level: np.ndarray) -> np.ndarray:
        return np.stack([level[:, 0], level[:, 1], (level[:, 2] + (level[:, 1] > 0.4)) / 2], axis=1)

    class Two(Eyes):
        def code(self, feature: Tensor) -> Tensor:
            return space.encode(torch.from_numpy(seen(feature[:, :, None, None])))

    class AllSee(PerfectE):
        def forward(self, img: Tensor) -> Tensor:
            return space.encode(torch.from_numpy(seen(img)))

    level = SPACE.levels_of_indices(SPACE.values_of(np.arange(30)))
    with ZipWriter(tmp_path / "still.zip", space) as writer:
        for i, row in enumerate(level):
            image = np.broadcast_to(colours(row[None])[0].astype(np.uint8), (16, 16, 3))
            writer.add(f"{i:06d}.png", np.ascontiguousarray(image), row)
    data, oracle = Dataset.open(tmp_path / "still.zip"), dataclasses.replace(ORACLE, space=space, network=Two())
    r = Readings(networks(PerfectG(space, leaky), AllSee(), space), data, oracle, no_labels(data), images=300)
    assert METRICS["modularity"].measure(r)["modularity"] == pytest.approx(1)
    found = METRICS["leakage"].measure(r)
    before, after = r.changed
    moved = [space.error(after[k], before)[:, f].mean() for k, f in ((1, 2), (2, 1))]
    assert found["leakage_mean"] == pytest.approx(np.mean(moved)) and found["leakage_mean"] > 0.1
    assert {code: list(row) for code, row in found["leakage"].items()} == {n: ["hue", "x"] for n in ("hue", "x")}
    spans = intervals_of("leakage", found, r) | intervals_of("modularity", {"modularity": 1.0}, r)
    assert (spans["leakage_mean"].score, spans["modularity"].score) == (found["leakage_mean"], pytest.approx(1))
    assert protocol_of("leakage", r, IDENTITY)["factors"] == ["hue", "x"]


def test_an_angle_of_one_value_has_no_leakage_where_kinds_are_scalar_either(tmp_path: Path) -> None:
    space = FactorSpace((Factor.circular("one", 1), Factor.scalar("x", 5), Factor.circular("hue", 6)))
    with ZipWriter(tmp_path / "one.zip", space) as writer:
        for i in range(30):
            image = np.full((16, 16, 3), 8 * i, dtype=np.uint8)
            writer.add(f"{i:06d}.png", image, space.levels_of_indices(space.values_of(np.array([i])))[0])
    r = read(Dataset.open(tmp_path / "one.zip"), networks(space=space.with_kinds("scalar")))
    moved_KF = np.array([[0, 0, 0], [0, 1, 0.25], [0, 0, 0.25]])
    r.changed = np.zeros((10, 3)), moved_KF[:, None].repeat(10, axis=1)
    found = METRICS["leakage"].measure(r)
    assert found["leakage"] == {"x": {"x": 1.0, "hue": 0.5}, "hue": {"x": 0.0, "hue": 0.5}}
    assert found["leakage_mean"] == intervals_of("leakage", found, r)["leakage_mean"].score == 0.25


@pytest.mark.parametrize("kinds", ["own", "scalar"])
def test_generated_codes_follow_the_prior_of_the_training(tmp_path: Path, kinds: str) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"), labelled=31, prior="labelled", factor_kinds=kinds)
    codes = SPACE.with_kinds("own" if kinds == "own" else "scalar")
    data = Dataset.open(tmp_path / "world.zip")
    r = readings_of(run, networks(PerfectG(codes), space=codes), data)
    expected = data.labels.level_NF[:31].astype(float)
    if kinds == "scalar":
        expected = SPACE.scalar_levels(expected)
    assert np.unique(r.generated.asked_NK, axis=0) == pytest.approx(np.unique(expected, axis=0), abs=1e-6)
    assert protocol_of("mig_gen", r, IDENTITY)["prior"] == "labelled"
    plain = make_run(tmp_path / "plain", tmp_path / "world.zip")
    assert readings_of(plain, networks(), data).prior is None


def test_an_editor_is_measured_with_the_prior_of_its_factors(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"), labelled=31, prior="labelled")
    data = Dataset.open(tmp_path / "world.zip")
    chosen = SPACE.only(SPACE.names[1:])
    prior = readings_of(run, networks(space=chosen), data).prior
    assert prior is not None
    np.testing.assert_array_equal(prior.level_NF[prior.labelled_rows], data.labels.level_NF[:31, 1:])


def test_data_that_changed_are_refused_and_data_that_moved_are_not(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    moved = (tmp_path / "world.zip").rename(tmp_path / "moved.zip")
    with pytest.raises(UserError, match=r"world\.zip: .* --data"):
        evaluate(run, images=200, device="cpu")
    assert evaluate(run, ["l2"], images=200, device="cpu", data_path=moved)["l2"] > 0
    write_world(tmp_path / "world.zip", labelled=50)
    with pytest.raises(UserError, match="has changed since"):
        evaluate(run, images=200, device="cpu")


def test_user_errors_of_evaluate(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    with pytest.raises(UserError, match="--metrics mag: unknown"):
        evaluate(run, ["mag"])
    with pytest.raises(UserError, match="--images 5: at least 100"):
        evaluate(run, images=5)
    with pytest.raises(UserError, match="seed=-1"):
        evaluate(run, images=200, seed=-1)
    with pytest.raises(UserError, match="nowhere"):
        evaluate(tmp_path / "nowhere")
    shutil.rmtree(run / "checkpoint-000002")
    with pytest.raises(UserError, match="no finished checkpoint"):
        evaluate(run, images=200)
    assert not (run / "metrics.json").exists()


def test_metrics_are_named_by_name_or_field() -> None:
    assert metric_names(["l2", "mig"]) == ["mig", "l2"]
    assert metric_names(["dci_completeness", "recall", "precision"]) == ["dci", "precision_recall"]
    assert metric_names(["all"]) == list(METRICS)
    assert metric_names(["fid", "default"]) == [*DEFAULT, "fid"]
    assert metric_names(["mae", "mae_gen"]) == ["l2", "l2_gen"]
    assert metric_names("l2") == ["l2"]
    with pytest.raises(UserError, match="none is named"):
        metric_names([])


def test_scores_during_training(tmp_path: Path) -> None:
    run = make_run(tmp_path, write_world(tmp_path / "world.zip"))
    callback = on_snapshot(images=100, device="cpu")
    callback(run / "checkpoint-000002", 2.0)
    callback(run / "checkpoint-000002", 4.0)
    rows = lines(run / "metric-mig_gen.jsonl")
    assert [row["kimg"] for row in rows] == [2, 4]
    assert rows[0]["mig_gen"] == rows[1]["mig_gen"] and rows[0]["protocol"]["images"] == 100
    assert not (run / "metrics.json").exists()


def test_scores_that_cannot_be_measured_during_training_are_told_once(
    sprites_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (sprites_folder / "metadata.csv").unlink()
    run = make_run(tmp_path, sprites_folder, preset="info")
    callback = on_snapshot(images=100, device="cpu")
    for kimg in (2.0, 4.0):
        callback(run / "checkpoint-000002", kimg)
    said = [line for line in capsys.readouterr().err.splitlines() if "left out" in line]
    assert len(said) == len(QUICK) and not list(run.glob("metric-*.jsonl"))
    assert said[0] == "--snap-images 100: mig is left out: fewer than 20 images have a label."


def test_meanings_are_fitted_to_every_value_of_a_whole_grid(tmp_path: Path) -> None:
    """In its order, with an even number of values of x: every other image of it has half of them."""
    value = SPACE.values_of(np.arange(SPACE.total))
    level = SPACE.levels_of_indices(value[value[:, 2] < 4])
    with ZipWriter(tmp_path / "even.zip", SPACE) as writer:
        for i, row in enumerate(level):
            image = np.broadcast_to(colours(row[None])[0].astype(np.uint8), (16, 16, 3))
            writer.add(f"{i:06d}.png", np.ascontiguousarray(image), row)
    data, model = Dataset.open(tmp_path / "even.zip"), networks(PerfectG(NAMELESS), PerfectE(NAMELESS), NAMELESS)
    r = read(data, model)
    assert METRICS["l2"].measure(r)["l2"] == pytest.approx(0, abs=1e-6)
    fitted, tested = r.halves
    assert len(fitted) == len(tested) == 36 and sorted([*fitted, *tested]) == list(range(72))
    assert (read(data, model).halves[0] == fitted).all() and (read(data, model, seed=1).halves[0] != fitted).any()


def test_the_protocol_names_the_oracle(world: Dataset) -> None:
    said = protocol_of("mig_gen", read(world, networks()), IDENTITY)
    assert said["oracle_sha256"] == ORACLE.sha256 and len(ORACLE.sha256) == 64
    assert "oracle_sha256" not in protocol_of("mig", read(world, networks()), IDENTITY)


def test_all_goes_without_fid_where_its_network_is_not_given() -> None:
    assert metric_names(["all"], fid=False) == [name for name in METRICS if name != "fid"]
    assert metric_names(["all", "fid"], fid=False) == metric_names(["all"], fid=False)
    with pytest.raises(UserError, match=r"--metrics fid: .* --inception FILE"):
        metric_names(["mig", "fid"], fid=False)


def test_mig_has_no_interval_where_a_factor_may_be_missing(world: Dataset, tmp_path: Path) -> None:
    """Of 90 images three have another shape; or all do, and four know it."""
    other = SPACE.levels_of_indices(SPACE.values_of(np.arange(90))).astype(np.float32)
    other[:, 0] = np.arange(90) < 3
    known = np.ones((90, 3), dtype=bool)
    few = Labels(other, known)
    known = known.copy()
    known[4:, 0] = False
    unknown = Labels(np.where(known, world.labels.level_NF, np.float32(0)), known)
    unknown.level_NF[:4, 0] = [0, 1, 1, 1]
    for labels in (few, unknown):
        r = read(world.with_labels(labels), networks())
        assert METRICS["mig"].measure(r)["mig"] > 0 and intervals_of("mig", {}, r) == {}
    assert set(intervals_of("mig", {}, read(world, networks()))) == {"mig"}
    model = networks(space=FactorSpace((Factor.categorical("shape", ("a", "b", "c")), *SPACE.factors[1:])))
    shape = world.labels.keep(np.array([0, *range(30, 60)]))  # one code of the first shape
    r = read(world, model, prior=shape, images=60)
    assert METRICS["mig_gen"].measure(r)["mig_gen"] > 0
    assert np.bincount(r.generated.asked_NK[:, 0].astype(int))[0] in (1, 2, 3) and intervals_of("mig_gen", {}, r) == {}


@pytest.mark.filterwarnings("ignore:The number of unique classes")
def test_what_tells_too_little_is_left_out_and_stops_nothing(tmp_path: Path) -> None:
    """A factor that one image in 90 has: drawn again, the images may all lack it. Values that occur once."""
    metrics_of = {"rare": ["mig", "modularity"], "unlike": ["sap", "explicitness", "info_mec"]}
    for name, names in metrics_of.items():
        space = FactorSpace((Factor.scalar("a", 90), Factor.scalar("b", 90)))
        level = np.stack([np.arange(90) / 89, np.arange(90) * 7 % 90 / 89], axis=1)
        if name == "rare":
            level = np.stack([np.arange(90) == 80, np.arange(90) >= 89], axis=1).astype(float)
        with ZipWriter(tmp_path / f"{name}.zip", space) as writer:
            for i, row in enumerate(level):
                writer.add(f"{i:06d}.png", np.full((16, 16, 3), 2 * i, dtype=np.uint8), row)
        (tmp_path / name).mkdir()
        scores = evaluate(
            make_run(tmp_path / name, tmp_path / f"{name}.zip", preset="info"), names, images=100, device="cpu"
        )
        assert scores[names[0]] >= 0 and ("explicitness is left out" in scores["note"]) == (name == "unlike")
        assert scores.get("ci95", {}) == {}
