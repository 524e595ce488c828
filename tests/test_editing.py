"""What `ssg.load` returns: generating, encoding, editing, and the traversals that are written to files."""

from __future__ import annotations

import copy
import dataclasses
import json
import shutil
import warnings
from collections import OrderedDict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageFont

import semistylegan as ssg
from semistylegan import editing, inversion
from semistylegan.data import fonts
from semistylegan.data.fonts import font_for
from semistylegan.editing import Model
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace, Value
from semistylegan.inversion import edited, invert
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import Networks, save_model
from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Encoder, Trunk
from semistylegan.models.fine import FineGenerator
from semistylegan.models.stylegan2 import StyleGAN2
from semistylegan.report import grids
from semistylegan.report.grids import save_traversal, show_value
from semistylegan.scenes import sprites

SPACE = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "cross", "triangle")),
        Factor.circular("hue", 12),
        Factor.scalar("scale", 5, 0.13, 0.29),
        Factor.scalar("depth", None, -2.0, 2.0, "m"),
    )
)


def write_model(folder: Path, space: FactorSpace = SPACE, channels: int = 3, resolution: int = 16) -> Path:
    """A checkpoint of random weights."""
    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", resolution, channels, space.code_width)
    save_model(folder, config, space, StyleGAN2(config), Encoder(config, Trunk(config)))
    return folder


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_model(tmp_path_factory.mktemp("run") / "checkpoint-000002")


@pytest.fixture(scope="module")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint whose encoder has learnt to read what its (random) generator draws."""
    torch.manual_seed(0)
    config = dataclasses.replace(ModelConfig.of_size("tiny", 16, 3, SPACE.code_width), z_dim=4)
    G, E = StyleGAN2(config).requires_grad_(False), Encoder(config, Trunk(config))
    for name, weight in G.named_parameters():
        if "to_image.weight" in name:
            weight.mul_(0.4)  # so that few pixels leave the range of an image
    adam = torch.optim.Adam(E.parameters(), 0.01, (0.9, 0.99))
    chance = torch.Generator().manual_seed(0)
    for _ in range(90):
        code = SPACE.encode(SPACE.sample(32, chance))
        adam.zero_grad()
        (E(G(torch.randn(32, 4, generator=chance), code)) - code).square().mean().backward()
        adam.step()
    folder = tmp_path_factory.mktemp("taught")
    save_model(folder, config, SPACE, G, E)
    return folder


@pytest.fixture
def model(checkpoint: Path) -> Model:
    loaded = ssg.load(checkpoint)
    assert isinstance(loaded, Model)
    return loaded


def test_load_takes_a_run_and_a_checkpoint(checkpoint: Path) -> None:
    write_model(checkpoint.parent / "checkpoint-000001")
    assert ssg.load(checkpoint.parent).checkpoint == checkpoint
    assert ssg.load(str(checkpoint)).factors == SPACE


def test_load_takes_the_folder_in_which_one_stands(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the run around it, whose prior and images an editor are read from."""
    asked = []
    monkeypatch.setattr("semistylegan.training.prior._labelled_prior", lambda run, space: asked.append(run))
    monkeypatch.chdir(checkpoint)
    ssg.load(".")
    assert asked == [checkpoint.parent.resolve()]


def test_load_says_what_would_work(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^sprouts: no such model; give the folder of a run or of a checkpoint"):
        ssg.load("sprouts")
    with pytest.raises(UserError, match="no finished checkpoint"):
        ssg.load(tmp_path)


def test_a_device_that_is_not_here(checkpoint: Path) -> None:
    with pytest.raises(UserError, match=r"device cuda:99: not available here \(.*\); use cpu$"):
        ssg.load(checkpoint, device="cuda:99")
    with pytest.raises(UserError, match=r"device gpu: no device is called so; give auto, cpu, cuda, cuda:1 or mps$"):
        ssg.load(checkpoint, device="gpu")
    assert ssg.load(checkpoint, device="auto").generate().shape == (1, 16, 16, 3)


def test_the_model_that_ships(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ssg.load("sprites")
    assert model.factors == sprites.FACTORS and model.resolution == 32
    rows = np.random.default_rng(0).integers(sprites.FACTORS.total, size=60)
    level_NF = sprites.FACTORS.levels_of_indices(sprites.FACTORS.values_of(rows))
    read_NF = model.read_levels(np.stack([sprites.render(int(i), 32) for i in rows]))
    assert model.factors.error(read_NF, level_NF).mean(axis=0).max() < 0.1
    drawn = model.images(*model.draw(0, 60))
    assert model.factors.error(model.read_levels(drawn), model.draw(0, 60)[1].numpy()).mean(axis=0).max() < 0.1
    assert sum(p.stat().st_size for p in model.checkpoint.iterdir()) < 2_000_000
    # A path that exists wins over the name.
    write_model(tmp_path / "sprites" / "checkpoint-000001")
    monkeypatch.chdir(tmp_path)
    assert ssg.load("sprites").factors == SPACE


def test_generate(model: Model) -> None:
    images = model.generate({"hue": 90}, seed=7, count=3)
    assert images.shape == (3, 16, 16, 3)
    assert images.dtype == np.uint8
    assert np.array_equal(images, model.generate({"hue": 90}, seed=7, count=3))
    assert not np.array_equal(images, model.generate({"hue": 90}, seed=8, count=3))
    # The first images of a seed do not depend on how many are asked for (beyond rounding of another batch).
    assert np.abs(images[:1].astype(int) - model.generate({"hue": 90}, seed=7)).max() <= 1


def test_generate_sets_what_is_named_and_keeps_the_rest(model: Model) -> None:
    z, level = model.draw(3, 2)
    level[:, SPACE.position("hue")] = 0.25
    level[:, SPACE.position("shape")] = 1
    assert np.array_equal(model.generate({"hue": 90.0, "shape": "cross"}, seed=3, count=2), model.images(z, level))
    by_index = model.generate({"hue": "#3", "shape": "#1"}, seed=3, count=2)
    assert np.array_equal(by_index, model.generate({"hue": "90", "shape": "cross"}, seed=3, count=2))
    assert not np.array_equal(by_index, model.generate({"hue": 270, "shape": "cross"}, seed=3, count=2))


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"colour": 1}, "unknown factor 'colour': known are shape, hue, scale, depth"),
        ({"scale": 3}, "scale=3: out of range"),
        ({"shape": "star"}, "not a category; known are ring, cross, triangle"),
        ({"depth": "#0"}, "has no value indices"),
    ],
)
def test_settings_that_do_not_fit(model: Model, settings: dict[str, float | str], message: str) -> None:
    for use in (lambda: model.generate(settings), lambda: model.edit(model.generate()[0], settings, steps=0)):
        with pytest.raises(UserError, match=message) as raised:
            use()
        assert "\n" not in str(raised.value)


def test_codes_are_drawn_from_the_prior_of_the_run(checkpoint: Path, tmp_path: Path) -> None:
    shutil.copytree(checkpoint, tmp_path / "checkpoint-000002")
    (tmp_path / "labels.csv").write_text(
        "file_name,shape,hue,scale,depth\na.png,cross,30,0.13,\nb.png,ring,60,0.29,1\n"
    )
    for prior, drawn in (("grid", 20), ("labelled", 2)):
        (tmp_path / "config.json").write_text(json.dumps({"train": {"prior": prior}}))
        level_NF = ssg.load(tmp_path).draw(0, 200)[1]
        assert (len(level_NF[:, :3].unique(dim=0)) == 2) == (prior == "labelled")
        assert len(level_NF[:, 3].unique()) > drawn  # a blank is drawn from the factor's range


def test_count_under_one(model: Model) -> None:
    with pytest.raises(UserError, match="count 0"):
        model.generate(count=0)
    with pytest.raises(UserError, match="columns 0"):
        model.traverse(columns=0)


def test_seeds_are_whole_numbers(model: Model) -> None:
    for seed in (2**64, -1, 1.5, None):
        for use in (model.generate, model.traverse):
            with pytest.raises(UserError, match=rf"^seed {seed}: give a whole number from 0 to 2\^64 - 1$"):
                use(seed=seed)
    assert np.array_equal(model.generate(seed=np.arange(8)[7]), model.generate(seed=7))
    assert model.generate(seed=2**64 - 1).shape == (1, 16, 16, 3)


def test_values_that_are_read_are_those_of_the_grid(tmp_path: Path) -> None:
    space = FactorSpace.grid({"colour": 4}).with_classes(["colour"])
    model = ssg.load(write_model(tmp_path / "checkpoint-000001", space))
    assert set(model.encode(model.generate(count=20))["colour"]) <= {0.0, 1.0, 2.0, 3.0}
    ((_, values, _),) = model.traverse()
    assert values == [0.0, 1.0, 2.0, 3.0]


def test_images_may_be_pillow_s_and_lists_of_many_sizes(model: Model) -> None:
    images = model.generate(seed=4, count=3)
    read = model.encode(images)
    palette = Image.fromarray(images[0]).quantize(256)
    for one, other in zip(
        *(model.encode(i).values() for i in (palette, np.asarray(palette.convert("RGB")))), strict=True
    ):
        assert (one == other).all()
    for one, other in zip(model.encode([Image.fromarray(i) for i in images]).values(), read.values(), strict=True):
        assert (one == other).all()
    large = np.repeat(np.repeat(images[1], 2, axis=0), 3, axis=1)
    with pytest.warns(UserWarning, match="resized") as caught:
        fitted = model.encode([images[0], large])
    assert caught[0].filename == __file__
    assert all(len(v) == 2 and v[0] == read[k][0] for k, v in fitted.items())
    for nothing in ([], images[:0]):
        assert {k: (len(v), v.dtype.kind) for k, v in model.encode(nothing).items()} == {
            k: (0, v.dtype.kind) for k, v in read.items()
        }
    with pytest.raises(UserError, match="give uint8"):
        model.encode([images[0], images[1].astype(float)])


@pytest.mark.parametrize("inside", [torch.no_grad, torch.inference_mode])
def test_an_image_is_searched_for_where_gradients_are_off(model: Model, inside: Any) -> None:
    image = model.generate(seed=6)[0]
    expected = Model.edit(copy.deepcopy(model), image, {"hue": 90.0}, steps=4)
    with inside():
        assert (model.edit(image, {"hue": 90.0}, steps=4) == expected).all()


def test_encode_gives_values_in_own_units(model: Model) -> None:
    images = model.generate(seed=1, count=40)
    read = model.encode(images)
    assert list(read) == list(SPACE.names)
    assert set(read["shape"]) <= set(SPACE["shape"].categories)
    assert read["hue"].shape == (40,)
    assert ((read["hue"] >= 0) & (read["hue"] < 360)).all()
    assert ((read["scale"] >= 0.13) & (read["scale"] <= 0.29)).all()
    one = model.encode(images[5])
    assert one["hue"][0] == pytest.approx(read["hue"][5], abs=1e-2)


def test_images_of_other_sizes_and_channels(model: Model) -> None:
    image = model.generate(seed=1)[0]
    large = np.repeat(np.repeat(image, 2, axis=0), 2, axis=1)
    with pytest.warns(UserWarning, match="32 x 32 pixels resized to 16 x 16"):
        model.encode(large)
    assert model.fit(large[:, :30]).shape == (1, 16, 16, 3)
    assert model.fit(image[..., :1]).shape == (1, 16, 16, 3)
    assert model.fit(image[..., 0]).shape == (1, 16, 16, 3)
    nothing = np.zeros((0, 20, 20, 1), np.uint8)
    assert model.fit(nothing).shape == (0, 16, 16, 3) and model.encode(nothing)["hue"].shape == (0,)
    for wrong in (image.astype(np.float32), image[..., :2], image[0, 0], image[:0]):
        with pytest.raises(UserError, match="give uint8"):
            model.encode(wrong)
    with pytest.raises(UserError, match="give one image"):
        model.edit(np.stack([image, image]), {"hue": 0})


def test_of_the_first_and_the_second_size_a_warning_says_so(model: Model) -> None:
    said = []
    for side in (32, 32, 20, 32, 24, 20, 40):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            model.encode(np.zeros((side, side, 3), np.uint8))
        said.append([str(warning.message)[:24] for warning in caught])
    assert said == [["images of 32 x 32 pixels"], [], ["images of other sizes re"], [], [], [], []]


def test_a_circle_is_shown_in_even_steps_where_they_are_half_of_the_columns() -> None:
    shown = {size: len(editing._spread(Factor.circular("hue", size), 8)) for size in (6, 8, 12, 44, 45, 22, 13)}
    assert shown == {6: 6, 8: 8, 12: 6, 44: 4, 45: 5, 22: 8, 13: 8}
    assert editing._spread(Factor.circular("hue", 44), 8).tolist() == [0, 0.25, 0.5, 0.75]


def test_inversion_finds_an_image_of_its_own(taught: Path) -> None:
    model = ssg.load(taught)
    image = model.generate(seed=11)[0]
    steps: list[tuple[int, int]] = []
    found = model.invert(image, steps=120, on_progress=lambda done, total: steps.append((done, total)))
    assert steps == [(i + 1, 120) for i in range(120)]
    assert found.error < 0.02
    # What is still missing is carried over where nothing changes: no change gives the image itself.
    same = edited(model.networks, found, found.level_1F)
    assert torch.allclose(same, _float(image), atol=1e-4)


def test_what_another_device_found_is_kept_apart(taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = ssg.load(taught)
    image, model.kept = model.generate(seed=11)[0], tmp_path
    found = model.invert(image, steps=1)
    elsewhere = dataclasses.replace(model, device=torch.device("meta"), _found=OrderedDict())
    monkeypatch.setattr(editing, "invert", lambda *_, **__: found)
    elsewhere.invert(image, steps=1)
    here, there = sorted(p.stem for p in tmp_path.iterdir())
    assert there == f"{here}-meta"


def test_networks_that_are_being_trained_are_searched_too() -> None:
    """Their weights ask for gradients; those of `load` do not."""
    space = FactorSpace.grid({"a": 3, "b": 4})
    config = ModelConfig.of_size("tiny", 16, 3, space.code_width)
    G, _, E = build_networks(config)
    found = invert(Networks(config, space, G, E), torch.zeros(1, 3, 16, 16), steps=2)
    assert 0 < found.error < 1


def test_edit_changes_what_was_asked(taught: Path) -> None:
    model = ssg.load(taught)
    z, level = model.draw(11, 1)
    level[0, 0] = 0
    image = model.images(z, level)[0]
    changed = level.clone()
    changed[0, 0] = 2
    wanted = model.images(z, changed)[0].astype(int)
    edit = model.edit(image, {"shape": "triangle"}, steps=120).astype(int)
    asked = np.abs(wanted - image).mean()
    assert asked > 4, "the fixture's code must show in the image"
    assert np.abs(edit - wanted).mean() < 0.5 * asked
    untouched = model.edit(image, {"shape": "triangle"}, strength=0.0, steps=120).astype(int)
    assert np.abs(untouched - image).max() <= 1


def test_an_editor_has_nothing_to_search(tmp_path: Path) -> None:
    config = ModelConfig.of_size("tiny", 16, 3, SPACE.code_width, coarse=4, seen=16)
    save_model(tmp_path, config, SPACE, FineGenerator(config), Encoder(config, Trunk(config)))
    with pytest.raises(UserError, match="starts from the image itself"):
        ssg.load(tmp_path).invert(np.zeros((16, 16, 3), np.uint8))


def test_no_search_has_fewer_steps_than_none(model: Model) -> None:
    with pytest.raises(UserError, match="steps -1: give 0 or more"):
        model.edit(model.generate()[0], {"hue": 10}, steps=-1)


def test_the_second_edit_of_an_image_needs_no_search(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editing, "REMEMBERED", 3)
    image = model.generate(seed=2)[0]
    calls: list[int] = []
    first = model.edit(image, {"hue": 0}, steps=4, on_progress=lambda done, total: calls.append(done))
    again = model.edit(image, {"hue": 0}, steps=4, on_progress=lambda done, total: calls.append(done))
    assert calls == [1, 2, 3, 4]
    assert np.array_equal(first, again)
    for i in range(4):
        model.invert(np.full((16, 16, 3), i, np.uint8), steps=0)
    assert len(model._found) == 3


def test_an_edit_leaves_what_was_found_as_it_is(model: Model) -> None:
    """Each edit of an image starts from the image, not from the edit before."""
    image = model.generate(seed=2)[0]
    alone = copy.deepcopy(model).edit(image, {"shape": "cross"}, steps=2)
    for value in (0, 180):
        model.edit(image, {"hue": value, "scale": 0.29}, steps=2)
    assert np.array_equal(model.edit(image, {"shape": "cross"}, steps=2), alone)


def test_an_edit_needs_no_place_to_keep_what_was_found(model: Model, tmp_path: Path) -> None:
    image, model.kept = model.generate(seed=2)[0], tmp_path / "a file" / "kept"
    (tmp_path / "a file").touch()
    assert model.edit(image, {"hue": 0}, steps=1).shape == image.shape
    found = model.invert(image, steps=1)
    (tmp_path / "damaged").write_bytes(b"half of a file")
    found.save(tmp_path / "whole")
    there = [inversion.Found.load(tmp_path / name, model.device) for name in ("whole", "damaged", "missing")]
    assert there[0] is not None and torch.equal(there[0].z_1Z, found.z_1Z) and there[1:] == [None, None]


def test_strength_is_a_finite_number(model: Model) -> None:
    for strength in (np.inf, -np.inf, np.nan):
        with pytest.raises(UserError, match=f"strength {strength}: give a number"):
            model.edit(model.generate()[0], {"hue": 0}, strength=strength, steps=0)


def test_strength_goes_on_beyond_the_value() -> None:
    """Of a generator whose styles are its code, and whose pixels are its styles."""
    G = SimpleNamespace(mapping=lambda z, code: code, synthesis=lambda w: w[:, 0, :, None, None].expand(-1, -1, 4, 4))
    networks: Any = SimpleNamespace(G=G, space=FactorSpace((Factor.scalar("a"),)))
    nothing = torch.zeros(1, 1)
    found = inversion.Found(nothing, torch.tensor([[0.2]]), torch.zeros(1, 1, 1), torch.zeros(1, 1, 4, 4))
    drawn = [edited(networks, found, torch.tensor([[0.6]]), strength).mean().item() for strength in (0, 0.5, 1, 2, -1)]
    assert drawn == pytest.approx([0.2, 0.4, 0.6, 1.0, -0.2])


def test_distance_is_of_pixels_and_of_features_by_their_size_in_the_target() -> None:
    networks: Any = SimpleNamespace(E=SimpleNamespace(trunk=lambda img: [10 * img, img[..., :2, :2] ** 2]))
    distance = inversion._Distance(networks, torch.full((1, 3, 4, 4), 0.5))
    far = distance(torch.stack([torch.full((3, 4, 4), value) for value in (0.5, 0.6)]))
    assert far.tolist() == pytest.approx([0, 0.1 + 0.3 * (0.2 + 0.44) / 2], abs=1e-4)


def test_another_seed_searches_from_other_starts(model: Model) -> None:
    img = _float(model.generate(seed=3)[0])
    one, two = (invert(model.networks, img, steps=0, seed=seed) for seed in (0, 1))
    assert not torch.equal(one.z_1Z, two.z_1Z)
    with pytest.raises(UserError, match="seed -1: give a whole number"):
        invert(model.networks, img, steps=0, seed=-1)


def test_the_inversion_that_was_used_last_is_forgotten_last(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(editing, "REMEMBERED", 2)
    one, two, three = (np.full((16, 16, 3), i, np.uint8) for i in range(3))
    found = model.invert(one, steps=0)
    for image in (two, one, three):
        model.invert(image, steps=0)
    assert model.invert(one, steps=0) is found


def test_an_inversion_of_more_steps_is_another(model: Model) -> None:
    image = model.generate(seed=2)[0]
    counted: list[int] = []
    for steps in (1, 2, 1):
        model.invert(image, steps=steps, on_progress=lambda done, total: counted.append(total))
    assert counted == [1, 2, 2]


def test_what_was_found_of_other_weights_or_in_other_steps_is_kept_apart(checkpoint: Path, tmp_path: Path) -> None:
    image = np.full((16, 16, 3), 100, np.uint8)
    two = (write_model(tmp_path / "two", FactorSpace(())), 0)
    for folder, steps in ((checkpoint, 0), (checkpoint, 1), two, (checkpoint, 0)):
        model = ssg.load(folder)
        model.kept = tmp_path / "kept"
        model.invert(image, steps=steps)
    assert len(list(model.kept.iterdir())) == 3


def test_starts_with_codes_as_classes_are_other_classes_and_nothing_between(tmp_path: Path) -> None:
    space = FactorSpace((Factor.scalar("colour", 4), Factor.scalar("size"))).with_classes(["colour"])
    networks = ssg.load(write_model(tmp_path / "model", space)).networks
    classes = set()
    for seed in range(12):
        img = torch.rand(1, 3, 16, 16, generator=torch.Generator().manual_seed(seed)) * 2 - 1
        code_KC = inversion._starts(networks, img, inversion._Distance(networks, img), seed)[1]
        own = int(networks.E(img)[0, :4].argmax())
        assert (code_KC[:, :4].amax(dim=1) == 1).all()
        classes |= {int(k) == own for k in code_KC[:, :4].argmax(dim=1)}
    assert classes == {True, False}


def test_codes_in_a_search_stay_codes_of_levels() -> None:
    code = torch.tensor([[0.2, 3.0, 1.0, 3.0, 4.0, -0.5, 1.5]])
    start = torch.tensor([[0.0, 1.0, 0.0, 0.5, 0.0, 0.0, 0.0]])
    assert inversion._onto(SPACE, code, start)[0].tolist() == pytest.approx([0, 1, 0, 0.3, 0.4, 0, 1])


def test_the_first_quarter_of_the_starts_takes_the_encoder_at_its_word(
    model: Model, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inversion, "KEPT", inversion.CANDIDATES)
    img, calls = _float(model.generate(seed=3)[0]), iter(range(100))

    def as_they_come(img_BCHW: torch.Tensor) -> torch.Tensor:
        return 100 * next(calls) + torch.arange(len(img_BCHW))

    code_KC = inversion._starts(model.networks, img, as_they_come, 0)[1]  # type: ignore[arg-type]
    read = SPACE.encode(SPACE.decode(model.networks.E(img)))
    own = torch.isclose(code_KC, read, atol=1e-6).all(dim=1)
    assert own[:24].all() and not own[24:48].all() and not own[48:].all()
    scalars = code_KC[:, SPACE.slices[SPACE.position("scale")].start :]
    assert scalars.min() >= 0 and scalars.max() <= 1 and len(scalars.unique()) > 20


def test_a_search_ends_with_its_best_start(model: Model) -> None:
    img = _float(model.generate(seed=3)[0])
    distance = inversion._Distance(model.networks, img)
    z_KZ, code_KC = inversion._starts(model.networks, img, distance, 0)
    for order in (slice(None), [3, 2, 1, 0]):
        z_1Z, level_1F = inversion._search(model.networks, distance, z_KZ[order], code_KC[order], 0, lambda done: None)
        assert torch.equal(z_1Z, z_KZ[:1]) and torch.allclose(level_1F, SPACE.decode(code_KC[:1]))


@pytest.mark.parametrize(("growth", "kept"), [(1.0, False), (-1.0, True)])
def test_styles_are_refined_to_the_best_that_was_seen(model: Model, growth: float, kept: bool) -> None:
    """Distances that rise with every step leave the styles as they were."""
    calls = iter(range(100))
    z, level = model.draw(0, 1)
    offset = inversion._refine(
        model.networks,
        lambda img: img.mean(dim=(1, 2, 3)) + 1000 * growth * next(calls),  # type: ignore[arg-type]
        z,
        level,
        5,
        lambda done: None,
    )
    assert bool(offset.any()) == kept


def test_styles_are_held_small(model: Model, monkeypatch: pytest.MonkeyPatch) -> None:
    img, (z, level) = _float(model.generate(seed=3)[0]), model.draw(0, 1)
    sizes = []
    for weight in (0.0, inversion.OFFSET_WEIGHT, 1e4):
        monkeypatch.setattr(inversion, "OFFSET_WEIGHT", weight)
        distance = inversion._Distance(model.networks, img)
        sizes.append(float(inversion._refine(model.networks, distance, z, level, 20, lambda done: None).norm()))
    assert sizes[0] > sizes[1] > sizes[2]


def test_what_could_not_be_reproduced_is_kept_away_from_what_an_edit_moves() -> None:
    before, after = torch.zeros(1, 3, 64, 64), torch.zeros(1, 3, 64, 64)
    after[0, 1, 32, 32] = 0.5
    free = inversion._untouched(before, after)[0, 0]
    assert (free[30:35, 30:35] == 0).all() and free[32, 40] == free[0, 0] == 1
    assert 0 < free[32, 36] < 1, "a soft border"


def test_the_error_of_an_inversion_is_in_parts_of_the_range_of_pixels() -> None:
    rest = torch.tensor([2.0, -1.0, 0.0, 1.0]).reshape(1, 1, 2, 2)
    assert inversion.Found(rest, rest, rest, rest).error == 0.5


def test_inversion_repeats_itself(model: Model) -> None:
    image = _float(model.generate(seed=4)[0])
    a, b = (invert(model.networks, image, steps=5) for _ in range(2))
    assert torch.equal(a.z_1Z, b.z_1Z)
    assert torch.equal(a.offset_1LW, b.offset_1LW)


def test_traverse(model: Model) -> None:
    rows = model.traverse(seed=5, columns=8)
    assert [factor.name for factor, _, _ in rows] == list(SPACE.names)
    assert rows[0][1] == ["ring", "cross", "triangle"]
    assert rows[1][1] == pytest.approx([0, 60, 120, 180, 240, 300])
    assert [len(images) for _, _, images in rows] == [3, 6, 5, 8]
    start = {f.name: f.value_of(float(u)) for f, u in zip(SPACE, model.draw(5, 1)[1][0], strict=True)}
    for factor, values, images in rows:
        alone = model.generate(start | {factor.name: values[1]}, seed=5)[0]
        assert np.abs(alone.astype(int) - images[1]).max() <= 1


def test_traverse_of_one_factor_of_an_image_as_set(model: Model) -> None:
    settings: dict[str, float | str] = {"shape": "cross", "scale": 0.2}
    ((factor, values, images),) = model.traverse(seed=5, columns=4, settings=settings, only=["hue"])
    assert (factor.name, values) == ("hue", [0, 90, 180, 270])
    for value, image in zip(values, images, strict=True):
        apart = model.generate(settings | {"hue": value}, seed=5)[0]
        assert np.abs(image.astype(int) - apart.astype(int)).max() <= 1  # a batch rounds otherwise than one image
    # A traversed factor runs through its values whatever it was set to.
    assert model.traverse(columns=4, settings={"hue": 7}, only=["hue"])[0][1] == values
    assert model.traverse(columns=4, settings={"hue": 7}, only="hue")[0][1] == values
    assert model.traverse(only=[]) == []
    with pytest.raises(UserError, match="unknown factor 'hu'"):
        model.traverse(only=["hu"])


def test_a_model_without_factors(tmp_path: Path) -> None:
    model = ssg.load(write_model(tmp_path / "c", FactorSpace(()), channels=1))
    image = model.generate(seed=1)[0]
    assert image.shape == (16, 16, 1)
    assert model.encode(image) == {}
    assert model.traverse() == []
    assert model.edit(image, {}, steps=2).shape == (16, 16, 1)
    with pytest.raises(UserError, match="no factors to traverse"):
        save_traversal(model.traverse(), tmp_path / "x.png")


def test_traversal_files(model: Model, tmp_path: Path) -> None:
    rows = model.traverse()
    save_traversal(rows, tmp_path / "new" / "t.png")
    with Image.open(tmp_path / "new" / "t.png") as sheet:
        assert sheet.height > 4 * 96
        assert sheet.width > 8 * 96
    save_traversal(rows, tmp_path / "t.gif")
    with Image.open(tmp_path / "t.gif") as moving:
        assert getattr(moving, "n_frames", 1) > 8
    for name in ("t.jpg", "t"):
        with pytest.raises(UserError, match=r"take \.png, \.gif or \.mp4"):
            save_traversal(rows, tmp_path / name)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["new", "t.gif"]


def rows_of_colours() -> list[tuple[Factor, list[Value], np.ndarray]]:
    """A line, a circle and classes; image `column` of row `row` is of the colour (250, row, column) alone."""
    rows: list[tuple[Factor, list[Value]]] = [
        (Factor.scalar("size", 4, 0.0, 30.0), [0.0, 10.0, 20.0, 30.0]),
        (Factor.circular("hue", 3), [0.0, 120.0, 240.0]),
        (Factor.categorical("shape", ("ring", "oval")), ["ring", "oval"]),
    ]
    return [
        (factor, values, np.array([(250, row, column) for column in range(len(values))], np.uint8)[:, None, None])
        for row, (factor, values) in enumerate(rows)
    ]


def places(picture: Image.Image, colour: tuple[int, int, int]) -> np.ndarray:
    """The middle of what has a colour: y, x; nothing where nothing has it."""
    found = np.argwhere((np.asarray(picture) == colour).all(2))
    return (found.min(0) + found.max(0)) / 2 if len(found) else found


def test_a_sheet_has_a_row_for_each_factor_and_its_values_from_left_to_right() -> None:
    rows = rows_of_colours()
    sheet = grids.draw_sheet(rows)
    at = [[places(sheet, (250, row, column)) for column in range(len(rows[row][1]))] for row in range(3)]
    step = grids.MIN_SIDE + grids.GAP
    assert [[x - at[0][0][1] for _, x in line] for line in at] == [[i * step for i in range(len(line))] for line in at]
    heights = [{y for y, _ in line} for line in at]
    assert all(len(ys) == 1 for ys in heights) and min(heights[0]) < min(heights[1]) < min(heights[2])
    assert [grids._side(np.zeros((1, n, n, 3))) for n in (16, 64, 96, 128)] == [96, 128, 96, 128]


def test_a_moving_sheet_shows_each_value_under_its_image(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines run to and fro and rest at their ends, circles go round, classes come one after the other."""
    written: list[str] = []
    plain = grids._shortened
    monkeypatch.setattr(grids, "_shortened", lambda text, *more: written.append(text) or plain(text, *more))
    rows = rows_of_colours()
    frames = grids.draw_frames(rows)
    orders = [[0, 0, 1, 2, 3, 3, 2, 1], [0, 1, 2], [0, 0, 0, 0, 1, 1, 1, 1]]
    assert len(frames) == 16 and len(written) == 16 * 3 * 2
    for time, frame in enumerate(frames):
        for row, ((factor, values, _), order) in enumerate(zip(rows, orders, strict=True)):
            now = order[time % len(order)]
            seen = [column for column in range(len(values)) if len(places(frame, (250, row, column)))]
            assert seen == [now]
            assert written[(time * 3 + row) * 2 :][:2] == [factor.name, show_value(factor, values[now])]


def test_letters_that_pillow_s_font_lacks_are_drawn() -> None:
    font = font_for(["grün", "Жук"], 13)
    assert len({bytes(font.getmask(letter)) for letter in "üoЖß−"}) == 5


@pytest.fixture
def a_font(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one font of this machine: it has 形, a full square, 色, half of one, and nothing else."""
    from fontTools.fontBuilder import FontBuilder
    from fontTools.pens.ttGlyphPen import TTGlyphPen
    from matplotlib import get_data_path
    from matplotlib.font_manager import FontEntry, fontManager

    glyphs = {}
    for name, right in ((".notdef", 100), ("form", 1000), ("hue", 500)):
        pen = TTGlyphPen(None)
        for i, point in enumerate(((0, 0), (0, 1000), (right, 1000), (right, 0))):
            (pen.lineTo if i else pen.moveTo)(point)
        pen.closePath()
        glyphs[name] = pen.glyph()
    made = FontBuilder(1000)
    made.setupGlyphOrder(list(glyphs))
    made.setupCharacterMap({ord("形"): "form", ord("色"): "hue"})
    made.setupGlyf(glyphs)
    made.setupHorizontalMetrics(dict.fromkeys(glyphs, (1000, 0)))
    made.setupHorizontalHeader(ascent=1000, descent=0)
    made.setupNameTable({"familyName": "Squares", "styleName": "Regular"})
    made.setupOS2()
    made.setupPost()
    made.save(tmp_path / "squares.ttf")
    (tmp_path / "pixels.ttf").write_bytes(b"no font")
    boxes = FontEntry(fname=str(Path(get_data_path(), "fonts", "ttf", "LastResortHE-Regular.ttf")))
    others = [FontEntry(fname=str(tmp_path / name), weight=400) for name in ("pixels.ttf", "squares.ttf")]
    monkeypatch.setattr(fontManager, "ttflist", [boxes, *others])
    fonts._font_with.cache_clear()
    return tmp_path / "squares.ttf"


def test_letters_are_drawn_with_a_font_of_the_machine_that_has_them(a_font: Path) -> None:
    font = font_for(["形色"], 20)
    assert isinstance(font, ImageFont.FreeTypeFont) and Path(str(font.path)) == a_font
    ink = [np.asarray(font.getmask(letter, mode="L")).astype(bool).sum() for letter in "形色"]
    assert ink[0] == pytest.approx(2 * ink[1], rel=0.1)
    assert font_for(["grün"], 20) != font, "what the usual one has is drawn with it"


@pytest.mark.usefixtures("a_font")
def test_letters_that_no_font_has_are_told_once() -> None:
    with pytest.warns(UserWarning, match="no font on this machine has all of '形文': boxes stand for them"):
        font = font_for(["Жук 形文"], 20)
    assert isinstance(font, ImageFont.FreeTypeFont) and "DejaVuSans" in str(font.path), "the one that lacks fewest"
    font_for(["Жук 形文"], 13)


def test_mp4_without_ffmpeg(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(grids, "_ffmpeg", lambda: None)
    with pytest.raises(UserError, match=r"MP4 needs ffmpeg; install it .* or take \.gif"):
        save_traversal(model.traverse(), tmp_path / "t.mp4")
    monkeypatch.setattr(grids, "_ffmpeg", lambda: "/bin/false")
    with pytest.raises(UserError, match="ffmpeg failed"):
        save_traversal(model.traverse(), tmp_path / "t.mp4")
    assert not list(tmp_path.iterdir())


def test_values_as_people_read_them() -> None:
    assert show_value(SPACE["shape"], "ring") == "ring"
    assert show_value(SPACE["hue"], 210.0) == "210°" and show_value(SPACE["hue"], 359.4) == "359°"
    assert show_value(SPACE["hue"], 359.96) == "0°"
    assert show_value(SPACE["scale"], 0.2900001) == "0.29"
    assert show_value(Factor.scalar("size", 5, 0.0, 0.5), 0.125) == "0.125"
    assert show_value(SPACE["depth"], -1.5) == "−1.5 m"
    assert show_value(SPACE["depth"], -0.001) == "0.0 m"
    assert show_value(FactorSpace.grid({"pose": 4})["pose"], 2.0) == "2"
    assert show_value(FactorSpace.grid({"pose": 4})["pose"], 2.4) == "2.4"
    assert show_value(FactorSpace.grid({"pose": 6})["pose"], float(np.float32(0.2)) * 5) == "1"
    wave = Factor.scalar("wave", 5, 4e-7, 7e-7, "m")
    assert [show_value(wave, v) for v in (4e-7, 4.75e-7, -4e-7)] == ["4e−07 m", "4.75e−07 m", "−4e−07 m"]


def _float(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image.astype(np.float32)).permute(2, 0, 1)[None] / 127.5 - 1
