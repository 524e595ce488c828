"""Edits of held-out images: true pictures, floors, and scores that tell a good editor from a bad one."""

from __future__ import annotations

import json
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from semistylegan.data.dataset import Dataset
from semistylegan.data.writing import ZipWriter
from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics import edits
from semistylegan.metrics import evaluate as evaluate_module
from semistylegan.metrics import oracle as oracle_module
from semistylegan.metrics.edits import Asked, nearest_pictures, other_values, psnr, ssim, true_pictures
from semistylegan.metrics.intervals import Interval
from semistylegan.metrics.oracle_network import Plan
from semistylegan.metrics.subject import of_run
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import Networks, load_model
from semistylegan.models.config import ModelConfig
from semistylegan.scenes.render import SCENES
from semistylegan.scenes.sprites import FACTORS, render
from semistylegan.training import TrainConfig, train
from semistylegan.training.scope import training_rows


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def made_zip(tmp_path: Path) -> Path:
    """64 sprites that say of which scene they are."""
    path = tmp_path / "made.zip"
    made = {"made": {"scene": "sprites", "scene_version": SCENES["sprites"].version}}
    with ZipWriter(path, FACTORS, made) as out:
        for index in np.random.default_rng(1).permutation(FACTORS.total)[:64]:
            out.add(f"{index:06d}.png", render(index, 32), FACTORS.levels_of_indices(FACTORS.values_of(index)))
    return path


def test_every_factor_is_set_to_every_other_value(made_zip: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([3, 9]), ("scale", "shape"))
    assert len(asked.image_N) == 2 * (4 + 2)
    changed = asked.level_NF != asked.level_IF[asked.image_N]
    assert (changed == asked.set_NF).all()
    for i in range(2):
        shapes = asked.level_NF[(asked.image_N == i) & (asked.factor_N == 0), 0]
        assert sorted([*shapes, asked.level_IF[i, 0]]) == [0, 1, 2]


def test_of_many_values_a_spread_of_them_is_asked_for() -> None:
    levels = other_values(FACTORS["hue"], 0.5)
    assert len(levels) == len(set(levels)) == edits.VALUES
    assert 0.5 not in levels


def test_true_pictures_are_what_the_scene_shows(made_zip: Path, own_cache: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0, 5]), ("hue", "scale"))
    truth = true_pictures(data, asked.level_NF)
    assert truth is not None
    for picture, level_F in zip(truth, asked.level_NF, strict=True):
        assert np.array_equal(picture, render(int(FACTORS.index_of(FACTORS.indices_of_levels(level_F))), 32))
    kept = len(list(own_cache.rglob("*.png")))
    assert 0 < kept <= len(truth)
    # Of the images of the data set nothing is rendered.
    there = true_pictures(data, data.labels.level_NF[:10].astype(np.float64))
    assert there is not None
    assert np.array_equal(there, data.images(np.arange(10)).permute(0, 2, 3, 1).numpy())
    assert len(list(own_cache.rglob("*.png"))) == kept


def test_without_a_scene_there_is_no_true_picture(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)  # does not say where it comes from
    assert true_pictures(data, Asked.all_values(data, np.array([0]), ("hue",)).level_NF) is None


def test_of_another_version_of_a_scene_nothing_is_rendered(tmp_path: Path) -> None:
    made = {"made": {"scene": "sprites", "scene_version": SCENES["sprites"].version + 1}}
    with ZipWriter(tmp_path / "other.zip", FACTORS, made) as out:
        out.add("0.png", render(0, 32), FACTORS.levels_of_indices(FACTORS.values_of(0)))
    data = Dataset.open(tmp_path / "other.zip")
    assert true_pictures(data, Asked.all_values(data, np.array([0]), ("hue",)).level_NF) is None


def test_pictures_that_factors_do_not_determine_have_no_true_edit(tmp_path: Path) -> None:
    """Photographs: many of the same labels. Of a whole grid each is looked up, however it was made."""
    space = FactorSpace((Factor.categorical("smile", ("no", "yes")), Factor.categorical("hat", ("no", "yes"))))
    for name, count in (("grid", 4), ("photos", 5)):
        with ZipWriter(tmp_path / f"{name}.zip", space) as out:
            for i in range(count):
                out.add(f"{i}.png", np.full((16, 16, 3), 50 * i, np.uint8), [i % 2, i // 2 % 2])
        data = Dataset.open(tmp_path / f"{name}.zip")
        asked = Asked.all_values(data, np.array([0]), ("smile", "hat"))
        truth = true_pictures(data, asked.level_NF)
        assert (None if truth is None else truth[:, 0, 0, 0].tolist()) == ([50, 100] if name == "grid" else None)


def test_more_factors_than_64_bits_can_count_have_no_true_pictures(tmp_path: Path) -> None:
    space = FactorSpace(tuple(Factor.categorical(f"f{i}", ("no", "yes")) for i in range(70)))
    with ZipWriter(tmp_path / "many.zip", space) as out:
        for i in range(3):
            out.add(f"{i}.png", np.full((16, 16, 3), i, np.uint8), [i % 2] * 70)
    data = Dataset.open(tmp_path / "many.zip")
    assert true_pictures(data, Asked.all_values(data, np.array([0]), ("f3",)).level_NF) is None


def test_where_no_training_image_shows_a_value_none_is_nearest(made_zip: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0, 1]), ("shape",))
    assert nearest_pictures(data, np.zeros(0, np.int64), asked) is None
    shape = data.labels.level_NF[:, 0]
    rows = np.flatnonzero(shape != asked.level_NF[0, 0])
    assert nearest_pictures(data, rows, asked) is None
    scores = edits.measure(networks(editor=True), data, KnowsSprites(), np.array([0]), rows[:0], seed=0)[0]  # type: ignore[arg-type]
    assert set(scores["edit_beside"]) == {"copy", "truth"}


def test_the_nearest_training_image_shows_the_value(made_zip: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0, 1]), ("shape",))
    training = np.arange(2, 64)
    names = {data.images([i])[0].permute(1, 2, 0).numpy().tobytes(): i for i in training}
    nearest = nearest_pictures(data, training, asked)
    assert nearest is not None
    for n, picture in enumerate(nearest):
        chosen = names[picture.tobytes()]
        assert data.labels.level_NF[chosen, 0] == asked.level_NF[n, 0]
        start = asked.image_I[asked.image_N[n]].astype(float)
        same = [i for i in training if data.labels.level_NF[i, 0] == asked.level_NF[n, 0]]
        far = [((data.images([i])[0].permute(1, 2, 0).numpy() - start) ** 2).sum() for i in same]
        assert chosen == same[int(np.argmin(far))]


def test_psnr_in_closed_form() -> None:
    a = np.full((2, 16, 16, 3), 100, np.uint8)
    b = a.copy()
    b[1] += 10
    assert psnr(a, b) == pytest.approx([99.0, 20 * np.log10(255 / 10)])


def test_ssim_against_torchmetrics() -> None:
    from torchmetrics.functional.image import structural_similarity_index_measure

    chance = np.random.default_rng(0)
    a = chance.integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
    b = np.clip(a + chance.normal(0, 40, a.shape), 0, 255).astype(np.uint8)
    b[2] = a[2]
    tensors = [torch.from_numpy(x.transpose(0, 3, 1, 2) / 255.0) for x in (a, b)]
    theirs = structural_similarity_index_measure(*tensors, data_range=1.0, reduction="none")
    assert ssim(a, b) == pytest.approx(np.asarray(theirs), abs=1e-3)
    assert ssim(a, b)[2] == pytest.approx(1.0)


# -- the scores -----------------------------------------------------------------------------------------------------


class KnowsSprites:
    """An oracle that knows the true pictures by heart, and says the middle of everything of any other."""

    def __init__(self) -> None:
        self.seen: dict[bytes, np.ndarray] = {}

    def learn(self, level_NF: np.ndarray) -> None:
        for level_F in level_NF:
            picture = render(int(FACTORS.index_of(FACTORS.indices_of_levels(level_F))), 32)
            self.seen[picture.tobytes()] = level_F

    def read(self, img_BCHW: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
        pictures = ((img_BCHW + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
        middle = np.array([0.0, 0.5, 0.5, 0.5, 0.5])
        return np.stack([self.seen.get(p.tobytes(), middle) for p in pictures]), np.zeros((len(pictures), 1))


def networks(editor: bool, names: tuple[str, ...] = ("shape", "scale")) -> Networks:
    torch.manual_seed(0)
    space = FACTORS.only(names) if editor else FACTORS
    shape = {"coarse": 8, "seen": 32} if editor else {}
    config = ModelConfig.of_size("tiny", 32, 3, space.code_width, **shape)
    G, _, E = build_networks(config)
    return Networks(config, space, G.eval().requires_grad_(False), E.eval().requires_grad_(False))


def measured(model: Networks, data: Dataset, rows: list[int]) -> dict[str, Any]:
    return with_intervals(model, data, rows)[0]


def with_intervals(model: Networks, data: Dataset, rows: list[int]) -> tuple[dict[str, Any], dict[str, Interval]]:
    oracle = KnowsSprites()
    asked = Asked.all_values(data, np.array(rows), model.space.names)
    oracle.learn(np.concatenate([asked.level_NF, data.labels.level_NF]))
    return edits.measure(model, data, oracle, np.array(rows), np.arange(10, 64), seed=0)[:2]  # type: ignore[arg-type]


def test_the_sheet_shows_each_factor_as_often_and_different_images(made_zip: Path) -> None:
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.arange(5), ("hue", "scale"))
    truth = true_pictures(data, asked.level_NF)
    assert truth is not None
    made = 255 - truth
    picture = edits.sheet(asked, made, truth)
    side = data.resolution + 2
    assert picture.shape == (8 * side - 2, 6 * side - 2, 3)
    cells = [[picture[r * side :, c * side :][: side - 2, : side - 2] for c in range(6)] for r in range(8)]
    triples = [row[i : i + 3] for row in cells for i in (0, 3)]
    for k, (start, edit, true) in enumerate(triples):
        assert np.array_equal(start, asked.image_I[k % 5])
        assert np.array_equal(edit, 255 - true) and not np.array_equal(true, start)
    assert len({true.tobytes() for _, _, true in triples}) == 16
    assert edits.sheet(asked, made, None).shape == (8 * side - 2, 4 * side - 2, 3)


def test_true_pictures_are_perfect_edits_and_copies_none(made_zip: Path) -> None:
    data = Dataset.open(made_zip)
    scores = measured(networks(editor=True), data, [0, 1])
    truth, copy, nearest = (scores["edit_beside"][name] for name in ("truth", "copy", "nearest"))
    assert truth == {"error": 0.0, "drift": 0.0}
    asked = Asked.all_values(data, np.array([0, 1]), ("shape", "scale"))
    off = FACTORS.error(asked.level_IF[asked.image_N], asked.level_NF)[asked.set_NF]
    assert copy["error"] == pytest.approx(off.mean())
    assert copy["drift"] == 0
    assert copy["psnr"] < 40
    assert nearest["error"] == 0
    assert nearest["drift"] > 0
    fields = {"edit_error", "edit_error_constant", "edit_error_said", "edit_drift", "edit_psnr", "copy_psnr"}
    assert set(scores["per_factor"]["scale"]) == fields
    assert set(scores["per_factor"]["x"]) == {"edit_drift"}
    # Random weights draw no sprite: the oracle says the middle of everything.
    wrong = FACTORS.error(np.tile([0, 0.5, 0.5, 0.5, 0.5], (len(off), 1)), asked.level_NF)[asked.set_NF]
    assert scores["edit_error"] == pytest.approx(wrong.mean())


def test_what_E_itself_says_of_the_edits_stands_beside(made_zip: Path) -> None:
    """An E that says the second shape and the middle size of every picture."""
    data, model = Dataset.open(made_zip), networks(editor=True)
    model.E.out.weight.zero_()
    model.E.out.bias.copy_(torch.tensor([0.0, 1.0, 0.0, 0.5]))
    factors = measured(model, data, [0, 1])["per_factor"]
    asked = Asked.all_values(data, np.array([0, 1]), ("shape", "scale"))
    places = [FACTORS.position(name) for name in ("shape", "scale")]
    shape, scale = (asked.level_NF[asked.factor_N == k, k] for k in places)
    assert factors["shape"]["edit_error_said"] == pytest.approx((shape != 1).mean())
    assert factors["scale"]["edit_error_said"] == pytest.approx(np.abs(scale - 0.5).mean())


def test_scores_of_a_factor_are_of_the_edits_that_set_it_or_left_it_alone(
    made_zip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A perfect editor moves a factor where it is set, which is no drift."""
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0, 1]), ("shape", "scale"))
    truth = true_pictures(data, asked.level_NF)
    assert truth is not None
    monkeypatch.setattr(edits, "in_one_pass", lambda *_: truth)
    factors = measured(networks(editor=True), data, [0, 1])["per_factor"]
    assert {name: factors[name]["edit_drift"] for name in FACTORS.names} == dict.fromkeys(FACTORS.names, 0.0)
    for name in ("shape", "scale"):
        here = asked.factor_N == FACTORS.position(name)
        alike = psnr(asked.image_I[asked.image_N[here]], truth[here])
        assert factors[name]["copy_psnr"] == pytest.approx(alike.mean()) and factors[name]["edit_psnr"] == 99


def test_intervals_are_those_of_the_images_means(made_zip: Path) -> None:
    model, data = networks(editor=True), Dataset.open(made_zip)
    scores, spans = with_intervals(model, data, [0, 1, 2])
    alone = [measured(model, data, [row]) for row in (0, 1, 2)]
    assert set(spans) == {"edit_error", "edit_drift", "edit_psnr", "edit_ssim"}
    for field, span in spans.items():
        means = [each[field] for each in alone]
        # in float32, where images that pass the networks together are rounded otherwise than each alone
        assert span.score == scores[field] == pytest.approx(np.mean(means), rel=1e-5)
        assert span.high - span.score == pytest.approx(4.303 * np.std(means, ddof=1) / np.sqrt(3), rel=1e-3)
    assert with_intervals(model, data, [0])[1] == {}


def test_intervals_end_where_scores_do() -> None:
    """Six images with an edit each, of which one alone goes wrong."""
    space, N = FactorSpace((Factor.scalar("a"), Factor.scalar("b"))), np.arange(6)
    truth = np.zeros((6, 16, 16, 3), np.uint8)
    asked = Asked(space, truth, np.zeros((6, 2)), N, 0 * N, np.zeros((6, 2)))
    made, wrong_NF = truth.copy(), np.zeros((6, 2))
    made[5], wrong_NF[5] = np.random.default_rng(0).integers(0, 256, (16, 16, 3)), 0.3
    scores = {"error": 0.05, "drift": 0.05, "psnr": psnr(made, truth).mean(), "ssim": ssim(made, truth).mean()}
    spans = edits.intervals(scores, asked, made, truth, np.zeros((6, 2)), wrong_NF)
    assert spans["edit_error"].low == spans["edit_drift"].low == 0 < spans["edit_error"].high < 0.2
    assert (spans["edit_psnr"].high, spans["edit_ssim"].high) == (99, 1) and spans["edit_psnr"].low < 80


def test_a_single_factor_leaves_nothing_that_could_drift(made_zip: Path) -> None:
    class Blind:
        def read(self, img_BCHW: torch.Tensor) -> tuple[np.ndarray, np.ndarray]:
            return np.zeros((len(img_BCHW), 1)), np.zeros((len(img_BCHW), 1))

    data, rows = Dataset.open(made_zip).only(["scale"]), np.arange(2)
    model = networks(editor=True, names=("scale",))
    scores, spans, _ = edits.measure(model, data, Blind(), rows, np.arange(10, 64), seed=0)  # type: ignore[arg-type]
    assert scores["edit_error"] > 0 and "edit_drift" not in scores and "edit_drift" not in spans


def test_an_editor_that_knows_the_truth_scores_full(made_zip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = Dataset.open(made_zip)

    def perfect(_: Networks, asked: Asked) -> Any:
        return true_pictures(data, asked.level_NF)

    monkeypatch.setattr(edits, "in_one_pass", perfect)
    scores = measured(networks(editor=True), data, [0, 1])
    assert (scores["edit_error"], scores["edit_drift"], scores["edit_psnr"]) == (0, 0, 99)
    assert scores["edit_ssim"] == pytest.approx(1)


def test_other_models_are_measured_by_inversion(made_zip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(edits, "INVERSION_STEPS", 1)
    scores = measured(networks(editor=False), Dataset.open(made_zip), [0])
    assert all("edit_error" in scores["per_factor"][name] for name in FACTORS.names)
    assert np.isfinite([scores["edit_error"], scores["edit_psnr"]]).all()


def test_inversions_set_what_is_asked_and_keep_what_was_found(made_zip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model, data = networks(editor=False), Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0, 1]), ("shape", "scale"))
    seeds, levels = list[int](), list[torch.Tensor]()

    def invert(_: Networks, img_1CHW: torch.Tensor, steps: int, seed: int = 0) -> Any:
        seeds.append(seed)
        return types.SimpleNamespace(level_1F=torch.full((1, 5), 0.25 * len(seeds)))

    def edited(_: Networks, found: Any, level_1F: torch.Tensor) -> torch.Tensor:
        levels.append(level_1F)
        return torch.zeros(1, 3, 32, 32)

    monkeypatch.setattr(edits, "invert", invert)
    monkeypatch.setattr(edits, "edited", edited)
    assert len(edits.by_inversion(model, asked, 7)) == len(asked.image_N) and seeds == [7, 7]
    found_NF = 0.25 * (asked.image_N[:, None] + 1)
    assert torch.cat(levels).numpy() == pytest.approx(np.where(asked.set_NF, asked.level_NF, found_NF))


def test_scalar_kinds_are_asked_for_in_their_own_levels(made_zip: Path) -> None:
    """With --factor-kinds scalar class 2 of 3 is the level 1, and class 1 the level 1/2."""
    data = Dataset.open(made_zip)
    asked = Asked.all_values(data, np.array([0]), ("shape",))
    level_NK, set_NK = edits.in_space(FACTORS.only(["shape", "scale"]).with_kinds("scalar"), asked)
    assert level_NK[:, 0].tolist() == [level / 2 for level in asked.level_NF[:, 0]]
    assert set_NK.tolist() == [[True, False]] * 2

    # Codes as classes are another form of the same levels.
    level_NK, _ = edits.in_space(FACTORS.only(["shape", "scale"]).with_classes(["scale"]), asked)
    assert level_NK[:, 0].tolist() == asked.level_NF[:, 0].tolist()


def test_eval_measures_edits_of_what_was_held_out(made_zip: Path, tmp_path: Path, monkeypatch: Any) -> None:
    def quick(data: Dataset, device: torch.device) -> Any:
        plan = Plan(widths=(8, 8, 8, 8), residual=0, features=8, pooled=(4,), classes=0.25, steps=3, batch=8)
        return oracle_module.train(data, torch.device(device), plan)

    monkeypatch.setattr(evaluate_module, "oracle_for", quick)
    monkeypatch.setattr(edits, "EDITED", 3)
    fields: dict[str, Any] = {"kimg": 0.008, "batch": 4, "labelled_batch": 4, "device": "cpu", "hold_out": "0.5"}
    run = train(TrainConfig.preset("fine", str(made_zip), str(tmp_path / "run"), **fields))
    found = evaluate_module.evaluate(run.path, ["edit", "l2", "l2_gen"], images=100, device="cpu")
    assert {"edit_error", "edit_drift", "edit_psnr", "edit_ssim", "l2", "l2_gen"} <= set(found)
    assert {name for name, entry in found["per_factor"].items() if "edit_error" in entry} == {"hue", "scale"}
    assert found["per_factor"]["hue"]["mae"] is not None
    (row,) = [json.loads(line) for line in (run.path / "metric-edit.jsonl").read_text().splitlines()]
    assert row["protocol"]["images"] == 3
    assert (row["protocol"]["split"], row["protocol"]["hold_out"]) == ("held-out", "0.5")
    assert found["protocols"]["l2_gen"]["split"] == "held-out" and "that training saw" not in found["note"]
    oracle = quick(Dataset.open(made_zip), torch.device("cpu"))
    own = oracle.l2_over(Dataset.open(made_zip), ("hue", "scale"))
    assert (found["oracle_l2"], found["oracle_l2_all"], row["protocol"]["oracle_l2"]) == (own, oracle.l2, oracle.l2)
    # What was measured before stays, by an earlier version too, whose oracle's L2 was over all factors.
    old = {k: v for k, v in found.items() if k not in ("oracle_l2_all", "protocols")} | {"oracle_l2": oracle.l2}
    (run.path / "metrics.json").write_text(json.dumps(old), encoding="utf-8")
    again = evaluate_module.evaluate(run.path, ["l2"], images=100, device="cpu")
    assert (again["edit_error"], again["oracle_l2"]) == (found["edit_error"], found["oracle_l2"])
    # Only images that were held out are edited.
    data = Dataset.open(made_zip)
    held_out = np.setdiff1d(np.arange(64), training_rows(run.config, data))
    oracle = quick(data, torch.device("cpu"))
    subject = of_run(run, data, run.checkpoint(), load_model(run.checkpoint()))
    readings = subject.readings(oracle, 100, 0)
    assert len(held_out) == 32
    assert np.isin(readings.edited, held_out).all()
