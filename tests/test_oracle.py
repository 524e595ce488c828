"""The oracle on small sets of sprites: what it learns, what it says of itself, and its cache."""

from __future__ import annotations

import ast
import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import semistylegan
from semistylegan import files
from semistylegan.data.labels import Labels
from semistylegan.data.storage import cores
from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics import oracle as oracle_module
from semistylegan.metrics import oracle_network
from semistylegan.metrics.oracle import Oracle, cache_folder, oracle_for, read_dataset, train
from semistylegan.metrics.oracle_network import OracleNetwork, Plan, disturbed, one_cycle, oracle_loss, plan_for
from semistylegan.scenes import sprites

CPU = torch.device("cpu")


class Sprites:
    """A data set in memory: some of the sprites, or any other images and labels."""

    def __init__(self, count: int, resolution: int = 16, seed: int = 0) -> None:
        self.space = sprites.FACTORS
        self.resolution, self.channels = resolution, 3
        self.chosen = np.sort(np.random.default_rng(seed).permutation(self.space.total)[:count])
        pictures = np.stack([sprites.render(int(i), resolution) for i in self.chosen])
        self.pictures = torch.from_numpy(pictures).permute(0, 3, 1, 2).contiguous()
        level = self.space.levels_of_indices(self.space.values_of(self.chosen)).astype(np.float32)
        self.labels = Labels(level, np.ones(level.shape, dtype=bool))
        self.mark = "sprites"

    def __len__(self) -> int:
        return len(self.pictures)

    def images(self, indices: Any, /) -> torch.Tensor:
        return self.pictures[torch.from_numpy(np.asarray(indices, dtype=np.int64))]

    def fingerprint(self) -> str:
        return f"{self.mark}-{len(self)}-{int(self.labels.known_NF.sum())}"


SHORT = dataclasses.replace(plan_for(16, 600), steps=30)


@pytest.fixture(scope="module")
def few() -> Sprites:
    return Sprites(400)


@pytest.fixture(scope="module")
def trained() -> tuple[Sprites, Oracle]:
    data = Sprites(3000)
    return data, train(data, CPU, dataclasses.replace(plan_for(16, 3000), steps=250))


# -- what it learns ----------------------------------------------------------------------------------------------------


def test_it_reads_the_sprites(trained: tuple[Sprites, Oracle]) -> None:
    _, oracle = trained
    assert oracle.labelled == 3000 and oracle.held_out == 300
    hue, scale, x, y = (oracle.error[i] for i in (1, 2, 3, 4))
    assert hue is not None and hue < 0.08
    assert x is not None and x < 0.08
    assert y is not None and y < 0.08
    assert scale is not None and scale < 0.2  # a radius of two to five pixels


def test_its_error_is_that_of_images_it_did_not_see(trained: tuple[Sprites, Oracle]) -> None:
    data, oracle = trained
    held = np.random.default_rng(oracle_network.SEED).permutation(len(data))[:300]
    level, feature = read_dataset(oracle, data, held)
    error = data.space.error(level, data.labels.level_NF[held])
    assert oracle.error == pytest.approx(error.mean(axis=0))
    assert oracle.l2 == pytest.approx(np.linalg.norm(error, axis=1).mean())
    assert feature.shape == (300, 128)
    assert level.dtype == feature.dtype == np.float64


def test_its_error_over_some_factors_is_that_of_the_same_images(
    trained: tuple[Sprites, Oracle], monkeypatch: pytest.MonkeyPatch
) -> None:
    data, oracle = trained
    held = np.random.default_rng(oracle_network.SEED).permutation(len(data))[:300]
    error = data.space.error(read_dataset(oracle, data, held)[0], data.labels.level_NF[held])
    two = oracle.l2_over(data, ("hue", "x"))
    assert two == pytest.approx(np.linalg.norm(error[:, [1, 3]], axis=1).mean()) and two < oracle.l2
    monkeypatch.setattr(oracle_module, "read_dataset", None)
    assert oracle.l2_over(data, ("hue", "x")) == two, "read again only once"
    assert oracle.l2_over(data, data.space.names) == oracle.l2
    blank = Sprites(10)
    blank.labels = Labels.none(10, len(blank.space))
    assert oracle.l2_over(blank, ("hue",)) is None


def test_what_it_says_of_an_image_depends_on_no_other(trained: tuple[Sprites, Oracle]) -> None:
    data, oracle = trained
    together, feature = read_dataset(oracle, data, np.arange(7))
    alone = np.concatenate([read_dataset(oracle, data, np.array([i]))[0] for i in range(7)])
    assert together == pytest.approx(alone, abs=1e-4)
    assert np.isfinite(feature).all()


def test_training_learns_nothing_of_held_out_or_unlabelled_images(few: Sprites) -> None:
    """Spoil their pictures: the weights must be the same."""
    partly = Sprites(400)
    partly.labels = few.labels.keep(np.arange(300))
    before = train(partly, CPU, SHORT)
    held = np.random.default_rng(oracle_network.SEED).permutation(300)[: before.held_out]
    spoilt = Sprites(400)
    spoilt.labels = partly.labels
    spoilt.pictures[torch.from_numpy(held)] = 255
    spoilt.pictures[300:] = 0
    after = train(spoilt, CPU, SHORT)
    assert all(torch.equal(a, b) for a, b in zip(before.network.parameters(), after.network.parameters(), strict=True))
    assert before.l2 != after.l2


def test_the_same_data_give_the_same_oracle_whatever_was_drawn_before(few: Sprites) -> None:
    torch.manual_seed(1)
    one = train(few, CPU, SHORT)
    state = torch.get_rng_state()
    torch.manual_seed(2)
    two = train(few, CPU, SHORT)
    assert one.error == two.error and one.l2 == two.l2
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state()), "training an oracle must not touch the global random numbers"


@pytest.mark.parametrize(("told", "own"), [("3", 3), ("", cores()), ("0", cores())])
def test_threads_that_a_training_has_set_make_no_other_oracle(
    few: Sprites, monkeypatch: pytest.MonkeyPatch, told: str, own: int
) -> None:
    monkeypatch.setenv("OMP_NUM_THREADS", told)
    seen: list[int] = []
    monkeypatch.setattr(oracle_module, "fit", lambda *args: seen.append(torch.get_num_threads()) or real(*args))
    real, before = oracle_network.fit, torch.get_num_threads()
    try:
        oracles = []
        for threads in (1, 2):
            torch.set_num_threads(threads)
            oracles.append(train(few, CPU, dataclasses.replace(SHORT, steps=3)))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert seen == [own, own] and oracles[0].sha256 == oracles[1].sha256 and oracles[0].l2 == oracles[1].l2


def test_a_factor_that_is_known_nowhere_has_no_error(few: Sprites) -> None:
    partly = Sprites(400)
    known = few.labels.known_NF.copy()
    known[:, 1] = False
    known[::2, 2] = False
    partly.labels = Labels(np.where(known, few.labels.level_NF, 0).astype(np.float32), known)
    oracle = train(partly, CPU, SHORT)
    assert oracle.error[1] is None
    assert all(e is not None and np.isfinite(e) for i, e in enumerate(oracle.error) if i != 1)


def test_a_continuous_factor_and_one_grey_channel() -> None:
    """The brightness of a grey picture, which takes any value."""
    data = Sprites(200)
    data.space, data.channels = FactorSpace((Factor.scalar("light"),)), 1
    light = np.random.default_rng(0).random(200).astype(np.float32)
    data.labels = Labels(light[:, None], np.ones((200, 1), dtype=bool))
    data.pictures = torch.from_numpy((light[:, None, None, None] * 255).astype(np.uint8)).expand(-1, 1, 16, 16)
    oracle = train(data, CPU, dataclasses.replace(SHORT, steps=80))
    assert oracle.l2 < 0.1


def test_few_labels_hold_out_enough_to_mean_something() -> None:
    data = Sprites(60)
    held = {}
    for count in (20, 60):
        data.labels = Labels(data.labels.level_NF, np.arange(60)[:, None] < np.full((1, 5), count))
        oracle = train(data, CPU, dataclasses.replace(SHORT, steps=2, batch=8))
        held[oracle.labelled] = oracle.held_out
    assert held == {20: 4, 60: 12}


def test_no_more_than_five_thousand_are_held_out() -> None:
    test, rows = oracle_module.split(Labels(np.zeros((60_000, 1), np.float32), np.ones((60_000, 1), np.bool_)))
    assert (len(test), len(rows)) == (5000, 55_000) and len(set(test) | set(rows)) == 60_000


# -- parts -------------------------------------------------------------------------------------------------------------


def test_the_loss_by_hand() -> None:
    space = FactorSpace((Factor.categorical("s", ("a", "b")), Factor.circular("h", 4), Factor.scalar("x", 5)))
    level = torch.tensor([[0.0, 0.0, 0.5], [1.0, 0.25, 1.0]])
    known = torch.tensor([[True, True, True], [False, False, True]])
    said = torch.tensor([[0.0, 0.0, 0.5, 0.3, 0.0], [9.0, 9.0, 9.0, 9.0, 1.0]])
    expected = 0.5 * np.log(2) + 0.3 + (0.5 + 0.0) / 2
    assert float(oracle_loss(said, level, known, space)) == pytest.approx(expected, abs=1e-4)
    assert float(oracle_loss(said, level, torch.zeros_like(known), space)) == 0


def test_the_loss_has_a_slope_where_everything_is_right() -> None:
    space = FactorSpace((Factor.circular("h", 4),))
    level, known = torch.tensor([[0.25]]), torch.ones(1, 1, dtype=torch.bool)
    said = space.encode(level).requires_grad_()
    oracle_loss(said, level, known, space).backward()
    assert said.grad is not None and torch.isfinite(said.grad).all()


@pytest.mark.parametrize("resolution", [16, 32, 64, 128, 256, 1024])
def test_every_resolution_has_a_network(resolution: int) -> None:
    plan = plan_for(resolution, 10_000)
    network = OracleNetwork(3, 7, plan)
    image = torch.zeros(1, 3, resolution, resolution)
    assert network.features(image).shape == (1, plan.features)
    assert network(image).shape == (1, 7)
    assert plan.steps * plan.batch <= 500_000


def test_little_data_is_not_read_for_ever() -> None:
    assert plan_for(32, 20).steps * plan_for(32, 20).batch <= 100 * 20
    assert plan_for(32, 10_368).steps * 64 < 70_000


def test_the_learning_rate_rises_and_falls_to_nothing() -> None:
    rates = [one_cycle(part) for part in np.linspace(0, 1, 101)]
    assert 0 < rates[0] < 0.1 and max(rates) == pytest.approx(1, abs=0.01) and rates[-1] == pytest.approx(0, abs=1e-9)
    assert int(np.argmax(rates)) == 15


def test_disturbed_images_are_a_little_off_and_no_more() -> None:
    plan = plan_for(32, 1000)
    image = torch.from_numpy(np.stack([sprites.render(i, 32) for i in range(0, 11520, 360)])).permute(0, 3, 1, 2)
    image = image.float() / 127.5 - 1
    off = disturbed(image, plan, torch.Generator().manual_seed(0))
    away = (off - image).abs().mean(dim=(1, 2, 3))
    assert off.shape == image.shape
    assert (away > 0.005).all() and away.mean() < 0.2
    again = disturbed(image, plan, torch.Generator().manual_seed(0))
    assert torch.equal(off, again)
    still = dataclasses.replace(plan, noise=0.0, shading=0.0, blurred=0.0, patched=0.0)
    assert torch.equal(disturbed(image, still, torch.Generator()), image)


# -- the cache ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def counted(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Counts trainings, and makes them short."""
    trainings: list[int] = []

    def short(resolution: int, images: int) -> Plan:
        trainings.append(images)
        return dataclasses.replace(plan_for(resolution, images), steps=3)

    monkeypatch.setattr(oracle_module, "plan_for", short)
    return trainings


def test_it_is_trained_once(few: Sprites, tmp_path: Path, counted: list[int]) -> None:
    first = oracle_for(few, CPU, tmp_path)
    second = oracle_for(few, CPU, tmp_path)
    assert first is not None and second is not None and len(counted) == 1
    assert dataclasses.replace(first, network=second.network) == second
    one, two = read_dataset(first, few, np.arange(9)), read_dataset(second, few, np.arange(9))
    assert (one[0] == two[0]).all() and (one[1] == two[1]).all()
    kept = json.loads(next(tmp_path.rglob("oracle.json")).read_text(encoding="utf-8"))
    assert set(kept["error"]) == set(few.space.names) and kept["l2"] == first.l2
    assert kept["weights_sha256"] == first.sha256 == second.sha256
    assert not [p for p in tmp_path.rglob("*") if p.name.startswith(".")], "a temporary file was left"


def test_other_data_get_another_oracle(few: Sprites, tmp_path: Path, counted: list[int]) -> None:
    oracle_for(few, CPU, tmp_path)
    other = Sprites(400)
    other.mark = "others"
    oracle_for(other, CPU, tmp_path)
    assert len(counted) == 2


@pytest.mark.parametrize("damage", ["weights", "half weights", "document", "no document", "version", "other data"])
def test_a_damaged_cache_is_made_again(few: Sprites, tmp_path: Path, counted: list[int], damage: str) -> None:
    whole = oracle_for(few, CPU, tmp_path)
    document, weights = next(tmp_path.rglob("oracle.json")), next(tmp_path.rglob("model.safetensors"))
    if damage == "weights":
        weights.write_bytes(b"\x00" * 100)
    elif damage == "half weights":
        weights.write_bytes(weights.read_bytes()[:-100])
    elif damage == "document":
        document.write_text('{"version": 1, ', encoding="utf-8")
    elif damage == "no document":
        document.unlink()
    else:
        kept = json.loads(document.read_text(encoding="utf-8"))
        kept.update({"version": 0} if damage == "version" else {"data_fingerprint": "another"})
        document.write_text(json.dumps(kept), encoding="utf-8")
    again = oracle_for(few, CPU, tmp_path)
    assert len(counted) == 2
    assert whole is not None and again is not None and whole.l2 == again.l2
    assert oracle_for(few, CPU, tmp_path) is not None and len(counted) == 2


def test_a_cache_that_cannot_be_written_is_no_reason_to_fail(
    few: Sprites, tmp_path: Path, counted: list[int], capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "oracles").write_text("a file where the folder should be", encoding="utf-8")
    assert oracle_for(few, CPU, tmp_path) is not None
    assert "cannot be kept" in capsys.readouterr().err


def test_too_few_labels_make_no_oracle(tmp_path: Path, counted: list[int]) -> None:
    data = Sprites(30)
    data.labels = data.labels.keep(np.arange(19))
    assert oracle_for(data, CPU, tmp_path) is None
    assert not counted and not list(tmp_path.iterdir())


def test_where_the_cache_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "mine"))
    assert cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("SEMISTYLEGAN_CACHE")
    assert cache_folder().is_relative_to(Path.home()) or cache_folder().is_absolute()
    assert cache_folder().name == "semistylegan"
    monkeypatch.setattr(files.sys, "platform", "linux")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache_folder() == tmp_path / "semistylegan"


# -- honesty -----------------------------------------------------------------------------------------------------------


def test_nothing_that_trains_imports_the_oracle() -> None:
    source = Path(semistylegan.__file__).parent
    for file in [*(source / "training").glob("*.py"), *(source / "models").glob("*.py"), source / "losses.py"]:
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom):
                assert "metrics" not in (node.module or ""), file
            elif isinstance(node, ast.Import):
                assert not any("metrics" in alias.name for alias in node.names), file
