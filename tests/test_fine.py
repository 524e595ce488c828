"""Semi-StyleGAN-fine: an editor starts from images, keeps what its code does not name, never sees what is held out."""

from __future__ import annotations

import dataclasses
import functools
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import semistylegan as ssg
from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import held_out_rows
from semistylegan.data.pictures import load_image, save_png, to_uint8
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.files import write_json
from semistylegan.inversion import edited_in_one_pass
from semistylegan.losses import unsupervised
from semistylegan.metrics.evaluate import evaluate
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import Networks
from semistylegan.models.config import ModelConfig
from semistylegan.report import write_report
from semistylegan.scenes.sprites import FACTORS, render
from semistylegan.study import sweep
from semistylegan.training import Run, TrainConfig, train
from semistylegan.training.feed import Feed, labels_and_space
from semistylegan.training.objective import Log, generate, keeping_loss, loss_of_D_and_E, read_once, reading
from semistylegan.training.parts import Batch, split
from semistylegan.training.scope import (
    ISAAC3D_FINE,
    class_factors,
    completed,
    guess_fine,
    kept_factors,
    notes_on_choices,
    stays_when_moved,
    stays_when_tinted,
    training_rows,
)
from semistylegan.training.state import TrainState
from semistylegan.training.step import Passes, train_step

SPACE = FACTORS.only(["hue", "scale"])


def networks(coarse: int = 4, seen: int = 16, blend: bool = False, knows_source: bool = False) -> Networks:
    torch.manual_seed(0)
    shape: dict[str, Any] = {"coarse": coarse, "seen": seen, "blend": blend, "knows_source": knows_source}
    config = ModelConfig.of_size("tiny", 16, 3, SPACE.code_width, **shape)
    G, _, E = build_networks(config)
    return Networks(config, SPACE, G.eval().requires_grad_(False), E.eval().requires_grad_(False))


def config(data: Path, out: Path, **fields: Any) -> TrainConfig:
    settings = {"kimg": 0.032, "batch": 4, "labelled_batch": 4, "snap_kimg": 0.016, "tick_kimg": 0.016, "device": "cpu"}
    return TrainConfig.preset("fine", str(data), str(out), **{**settings, **fields})


def begun(chosen: TrainConfig, coarse: int = 4, knows_source: bool = True) -> tuple[TrainState, Batch]:
    """A training on sprites before its first step, and what that step sees."""
    data = Dataset.open(chosen.data)
    labels, space = labels_and_space(chosen, data)
    chosen = dataclasses.replace(chosen, coarse=coarse, knows_source=knows_source).resolved(32)
    model = chosen.networks(32, 3, space.code_width)
    state = TrainState.create(chosen, model, space, torch.device("cpu"))
    return state, Feed(chosen, data, labels, space, torch.device("cpu")).batch(state)


# -- the network ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("blend", [False, True])
@pytest.mark.parametrize(("coarse", "seen"), [(4, 4), (4, 16), (8, 8), (16, 16)])
def test_the_editor_draws_images_from_images_and_codes(coarse: int, seen: int, blend: bool) -> None:
    model = networks(coarse, seen, blend)
    img, code = torch.rand(2, 3, 16, 16) * 2 - 1, SPACE.encode(torch.tensor([[0.1, 0.2], [0.6, 1.0]]))
    made = model.G(img, code)
    assert made.shape == img.shape
    assert not torch.allclose(made, model.G(img.flip(0), code))
    assert not torch.allclose(made, model.G(img, code.flip(0)))
    # Each image by itself.
    assert torch.allclose(made[:1], model.G(img[:1], code[:1]), atol=1e-5)


def test_an_editor_with_a_coarse_look_sees_no_more_than_that() -> None:
    """Two images that agree once averaged down to `seen` are the same to it."""
    model = networks(coarse=4, seen=4)
    img = torch.rand(1, 3, 4, 4).repeat_interleave(4, dim=2).repeat_interleave(4, dim=3)
    checks = 0.3 * torch.tensor([[1.0, -1.0], [-1.0, 1.0]]).repeat(8, 8)
    code = SPACE.encode(torch.tensor([[0.3, 0.5]]))
    assert torch.allclose(model.G(img, code), model.G(img + checks, code), atol=1e-5)
    finer = networks(coarse=4, seen=16)
    assert not torch.allclose(finer.G(img, code), finer.G(img + checks, code), atol=1e-3)


def test_an_editor_has_the_maps_of_its_way_down_beside_those_of_its_way_up() -> None:
    """They alone tell two images apart where nothing comes through the way down."""
    model = networks(coarse=4, seen=16)
    for conv in model.G.down:
        conv.weight.zero_()
    img, code = torch.rand(2, 3, 16, 16) * 2 - 1, SPACE.encode(torch.tensor([[0.1, 0.2]] * 2))
    first, second = model.G(img, code)
    assert not torch.allclose(first, second, atol=1e-2)


def test_an_editor_is_told_probabilities_of_classes() -> None:
    space = SPACE.with_classes(["scale"])
    config = ModelConfig.of_size("tiny", 16, 3, space.code_width, coarse=4, seen=16, knows_source=True)
    G, _, E = build_networks(config)
    told = list[torch.Tensor]()
    G.register_forward_pre_hook(lambda _, given: told.append(given[1]))
    with torch.no_grad():
        Networks(config, space, G, E).draw(torch.randn(2, 3, 16, 16), torch.rand(2, space.code_width))
    own = told[0][:, space.code_width :][:, space.slices[1]]
    assert (own > 0).all() and torch.allclose(own.sum(dim=1), torch.ones(2))


def test_an_editor_that_blends_draws_a_factor_and_an_offset() -> None:
    """With nothing but biases in its last layers, 1 on the factor's, the input comes out; otherwise as they say."""
    model = networks(blend=True)
    for block in model.G.blocks:
        block.to_image.weight.data.zero_()
        block.to_image.bias.data.zero_()
    img, code = torch.rand(1, 3, 16, 16) * 2 - 1, SPACE.encode(torch.tensor([[0.3, 0.5]]))
    assert torch.equal(model.G(img, code), torch.zeros_like(img))
    block.to_image.bias.data[-1] = 1.0
    assert torch.equal(model.G(img, code), img)
    block.to_image.bias.data[:] = torch.tensor([0.1, 0.2, 0.3, 0.5])
    expected = 0.5 * img + torch.tensor([0.1, 0.2, 0.3])[:, None, None]
    assert torch.allclose(model.G(img, code), expected, atol=1e-6)


def test_an_editor_is_told_what_E_reads_of_its_input() -> None:
    model, plain = networks(knows_source=True), networks()
    img, code = torch.rand(2, 3, 16, 16) * 2 - 1, SPACE.encode(torch.tensor([[0.1, 0.2], [0.6, 1.0]]))
    source = SPACE.soften(model.E(img))
    assert torch.equal(model.draw(img, code), model.G(img, torch.cat([code, source], dim=1)))
    assert not torch.allclose(model.draw(img, code), model.G(img, model.G.asking(code, source.flip(0))))
    assert torch.equal(plain.draw(img, code), plain.G(img, code))


@pytest.mark.parametrize("knows_source", [False, True])
def test_strength_goes_from_the_code_that_is_read_to_the_one_asked_for(knows_source: bool) -> None:
    model = networks(knows_source=knows_source)
    img = torch.rand(1, 3, 16, 16) * 2 - 1
    asked, set_hue = torch.tensor([[0.7, 0.0]]), torch.tensor([[True, False]])
    other = torch.tensor([[0.7, 1.0]])
    at = [edited_in_one_pass(model, img, asked, set_hue, strength) for strength in (0.0, 0.5, 1.0)]
    kept = edited_in_one_pass(model, img, asked, torch.tensor([[False, False]]))
    assert torch.allclose(kept, model.draw(img, SPACE.soften(model.E(img))), atol=1e-5)
    assert torch.allclose(at[0], kept, atol=1e-5)
    assert not torch.allclose(at[1], at[0], atol=1e-4)
    assert not torch.allclose(at[1], at[2], atol=1e-4)
    hue, own = SPACE.slices[0], SPACE.soften(model.E(img))
    wanted = own.clone()
    wanted[:, hue] = SPACE.encode(asked)[:, hue]
    assert torch.allclose(at[2], model.draw(img, wanted), atol=1e-5)  # from the source as E reads it
    # A factor that is not set may hold anything.
    assert torch.equal(at[2], edited_in_one_pass(model, img, other, set_hue))
    assert not torch.allclose(at[2], edited_in_one_pass(model, img, other, torch.tensor([[True, True]])), atol=1e-4)


def test_a_class_that_is_kept_goes_in_as_a_chance_not_as_a_logit() -> None:
    space = FactorSpace((Factor.categorical("shape", ("a", "b")), Factor.scalar("size")))  # as wide as SPACE
    model = dataclasses.replace(networks(), space=space)
    img = torch.rand(1, 3, 16, 16) * 2 - 1
    kept = edited_in_one_pass(model, img, torch.zeros(1, 2), torch.tensor([[False, False]]))
    assert torch.allclose(kept, model.draw(img, space.soften(model.E(img))), atol=1e-5)
    assert not torch.allclose(kept, model.draw(img, model.E(img)), atol=1e-4)


# -- training -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [(1.0, 0.0), (0.0, 1.0), (1.0, 1.0), (0.0, 0.0)])
def test_a_step_logs_the_terms_that_are_asked_for(sprites_zip: Path, weights: tuple[float, float]) -> None:
    data = Dataset.open(sprites_zip)
    chosen = config(sprites_zip, sprites_zip, fine_factors="hue,scale", gamma_rec=weights[0], gamma_cycle=weights[1])
    chosen = chosen.resolved(32)
    labels, space = labels_and_space(chosen, data)
    assert space.names == ("hue", "scale")
    model = chosen.networks(32, 3, space.code_width)
    state = TrainState.create(chosen, model, space, torch.device("cpu"))
    feed = Feed(chosen, data, labels, space, torch.device("cpu"))
    log = train_step(state, feed.batch(state))
    assert ("loss_rec" in log, "loss_cycle" in log) == (weights[0] > 0, weights[1] > 0)
    assert all(torch.isfinite(value) for value in log.values())


def test_doubt_teaches_E_to_see_what_an_edit_was_made_of(sprites_zip: Path) -> None:
    """E's own pass moves its reading of generated images towards that of the images that they were made of."""
    chosen = config(sprites_zip, sprites_zip, fine_factors="hue,scale", alpha=0.0, gamma_doubt=1.0).resolved(32)
    state, batch = begun(chosen)
    with torch.no_grad():
        own = reading(state, batch.real_BCHW)
        fakes = state.G(batch.real_BCHW, state.G.asking(batch.code_BC, own))

    def away() -> float:
        with torch.no_grad():
            said_BC = state.E.codes(state.E.trunk(fakes))[-1]
            return float(unsupervised(said_BC, own, state.space, chosen.ce_weight))

    before = away()
    passes = Passes(state, split(state, batch))
    for _ in range(20):
        passes.of_D_and_E()
        state.opt_E.step()
    assert passes.losses()["loss_doubt"] > 0
    assert away() < 0.8 * before


def test_doubt_falls_where_it_is_told_to(sprites_zip: Path) -> None:
    chosen = config(sprites_zip, sprites_zip, fine_factors="hue,scale", gamma_doubt=0.4, kimg=1.0).resolved(32)
    chosen = dataclasses.replace(chosen, doubt_decay_from=1.0)
    state, batch = begun(chosen)

    def weights() -> list[float]:
        out = []
        for state.images in (0, 400, 750, 1000):
            out.append(float(split(state, batch)[0].doubt))
        return out

    assert weights() == pytest.approx([0.4, 0.4, 0.4, 0.4])
    state.config = dataclasses.replace(chosen, doubt_decay_from=0.5)
    assert weights() == pytest.approx([0.4, 0.4, 0.2, 0.0])
    # The loss weighs L_doubt by it.
    state.images = 750
    part = read_once(state, split(state, batch)[0])
    logs = [Log(1), Log(1)]
    given = [part, dataclasses.replace(part, doubt=torch.tensor(0.0))]
    with torch.no_grad():
        fakes = generate(state, part)
        with_doubt, without = (loss_of_D_and_E(state, p, fakes, log) for p, log in zip(given, logs, strict=True))
    assert float(with_doubt - without) == pytest.approx(0.2 * float(logs[0].means["loss_doubt"]), rel=1e-3)


def test_factors_that_keep_what_is_read(sprites_zip: Path) -> None:
    fields: dict[str, Any] = {"fine_factors": "hue,scale", "as_classes": "scale", "batch": 64}
    chosen = config(sprites_zip, sprites_zip, keep=0.25, **fields).resolved(32)
    state, batch = begun(chosen)
    part = read_once(state, split(state, batch)[0])
    own, drawn = reading(state, batch.real_BCHW), batch.code_BC
    kept = torch.stack([(part.code_BC[:, s] == own[:, s]).all(dim=1) for s in state.space.slices], dim=1)
    fresh = torch.stack([(part.code_BC[:, s] == drawn[:, s]).all(dim=1) for s in state.space.slices], dim=1)
    assert (kept ^ fresh).all()
    assert 0.1 < kept.float().mean() < 0.4
    state.config = dataclasses.replace(chosen, keep=0.0)
    assert torch.equal(read_once(state, split(state, batch)[0]).code_BC, drawn)


def test_E_reads_the_real_images_once_a_step(sprites_zip: Path) -> None:
    fields: dict[str, Any] = {"keep": 0.5, "gamma_doubt": 0.1, "gamma_rec": 10.0, "gamma_cycle": 10.0}
    state, batch = begun(config(sprites_zip, sprites_zip, fine_factors="hue,scale", **fields).resolved(32))
    seen: list[torch.Tensor] = []
    state.E_ema.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
    log = train_step(state, batch)
    assert {"loss_sr", "loss_doubt", "loss_rec", "loss_cycle"} <= set(log)
    assert len(seen) == 1 and torch.equal(seen[0], batch.real_BCHW)


@pytest.mark.parametrize("knows_source", [False, True])
def test_G_is_told_the_source_of_what_it_starts_from(sprites_zip: Path, knows_source: bool) -> None:
    """Of a real image what E reads, of an edit what was asked for."""
    fields: dict[str, Any] = {
        "fine_factors": "hue,scale",
        "gamma_cycle": 10.0,
        "keep": 0.0,
        "knows_source": knows_source,
    }
    state, batch = begun(config(sprites_zip, sprites_zip, **fields).resolved(32), knows_source=knows_source)
    own, told = reading(state, batch.real_BCHW), list[torch.Tensor]()
    state.G.register_forward_pre_hook(lambda _, given: told.append(given[1]))
    train_step(state, batch)
    edit, back = told  # rows of L_rec (0, 2), then of L_cycle (1, 3)
    rows = torch.tensor([0, 2, 1, 3])
    if not knows_source:
        assert torch.equal(edit, batch.code_BC) and torch.equal(back, own[rows])
        return
    assert torch.equal(edit, torch.cat([batch.code_BC, own], dim=1))
    source = torch.where(torch.tensor([[True], [True], [False], [False]]), own[rows], batch.code_BC[rows])
    assert torch.equal(back, torch.cat([own[rows], source], dim=1))


def test_what_keeps_an_image_counts_by_its_weights(sprites_zip: Path) -> None:
    chosen = config(sprites_zip, sprites_zip, fine_factors="hue,scale", gamma_rec=3.0, gamma_cycle=2.0).resolved(32)
    state, batch = begun(chosen)
    part, log = read_once(state, split(state, batch)[0]), Log(1)
    with torch.no_grad():
        loss = keeping_loss(state, part, generate(state, part), log)
    expected = 3 * log.means["loss_rec"] + 2 * log.means["loss_cycle"]
    assert float(loss) == pytest.approx(float(expected), rel=1e-5)


def test_colours_are_as_classes_unless_someone_says_otherwise(sprites_zip: Path) -> None:
    space = Dataset.open(sprites_zip).space

    def chosen(**fields: Any) -> tuple[str, ...]:
        return class_factors(config(sprites_zip, sprites_zip, **fields), space)

    assert chosen() == chosen(as_classes="none") == ()
    assert chosen(as_classes="shape, scale") == ("shape", "scale")
    kitchen = FactorSpace.isaac3d().only(ISAAC3D_FINE)
    assert class_factors(config(sprites_zip, sprites_zip), kitchen) == ("object_color", "wall_color")
    assert class_factors(config(sprites_zip, sprites_zip, factor_kinds="scalar"), kitchen) == ()
    assert class_factors(TrainConfig.preset("semi", "data", "run"), kitchen) == ("object_color", "wall_color")
    assert class_factors(TrainConfig.preset("paper", "data", "run"), kitchen) == ()
    many = FactorSpace((Factor.scalar("color", 9), Factor.scalar("hue"), Factor.scalar("style", 8)))
    assert class_factors(config(sprites_zip, sprites_zip), many) == ("style",)
    assert class_factors(TrainConfig.preset("semi", "data", "run"), FactorSpace.dsprites()) == ("shape",)
    asked = config(sprites_zip, sprites_zip, fine_factors="hue,scale", as_classes="scale")
    _, own = labels_and_space(asked, Dataset.open(sprites_zip))
    assert own.code_width == 2 + 5


def test_what_is_no_place_stays_in_moved_pictures(sprites_zip: Path) -> None:
    def kept(space: FactorSpace, shift_keeps: str | None = None) -> tuple[str, ...]:
        return kept_factors(shift_keeps, space, stays_when_moved)

    sprites = Dataset.open(sprites_zip).space
    assert kept(sprites) == ("shape", "hue", "scale")
    assert kept(sprites, shift_keeps="x, hue") == ("hue", "x")
    assert kept(sprites, shift_keeps="none") == ()
    with pytest.raises(UserError, match="unknown factor 'form'"):
        kept(sprites, shift_keeps="form")
    kitchen = FactorSpace.isaac3d().with_classes(("object_color",))
    assert kept(kitchen) == ("object_scale", "lighting_intensity", "object_color", "wall_color")
    places = (Factor.categorical("half", ("left", "right")), Factor.categorical("Place-of-thing", ("near", "far")))
    shown = Factor.categorical("beside", ("cup", "leftover"))
    assert kept(FactorSpace((*places, shown, Factor.circular("angle"), Factor.scalar("light", 3)))) == (
        "beside",
        "angle",
    )
    # Numbers as classes are places all the same, and so is what a name says in capitals.
    mpi = FactorSpace.mpi3d()
    assert kept(mpi.with_classes(mpi.names)) == tuple(n for n in mpi.names if not n.endswith("_axis"))
    turned = (Factor.circular("x_rotation"), Factor.categorical("letter", ("w", "x", "y")))
    shelf = Factor.categorical("shelf", ("Upper", "LOWER"))
    axes = (Factor.scalar("camX", 3), Factor.scalar("y", 3), Factor.scalar("digit", 3))
    found = FactorSpace((*turned, shelf, Factor.categorical("leftEye", ("open", "shut")), *axes))
    assert kept(found.with_classes([factor.name for factor in axes])) == ("x_rotation", "letter", "digit")


def test_what_is_named_like_a_form_stays_in_tinted_pictures() -> None:
    def kept(*factors: Factor) -> str:
        return " ".join(kept_factors(None, FactorSpace(factors), stays_when_tinted))

    assert " ".join(kept_factors(None, FactorSpace.isaac3d(), stays_when_tinted)) == (
        "object_shape robot_x-move robot_y-move camera_height object_scale lighting_y-dir"
    )
    assert kept(*FactorSpace.shapes3d()) == "scale shape orientation"
    assert kept(Factor.scalar("pos_x"), Factor.circular("Yaw"), Factor.scalar("light_angle")) == "pos_x Yaw light_angle"
    assert kept(*map(Factor.scalar, ("headPose", "PosX", "orient_a"))) == "headPose PosX orient_a"
    # What may be of colour or light, by its own name or by those of its values, and what could be anything.
    shades = ("x_brightness", "grayscale", "wavelength", "y_exposure", "fitzpatrick_scale", "color_temperature_scale")
    shades += ("contrast_scale", "flux_x", "SkinToneScale")
    valued = (Factor.categorical("shape", ("red box", "ball")), Factor.categorical("pose", ("day-lit", "lamp-lit")))
    valued += (Factor.categorical("top", ("navy", "Beige")),)
    anything = ("skin", "camera", "xylophone", "purpose", "adipose_share", "decomposed", "oriental")
    circles = (Factor.circular("hue"), Factor.circular("season"))
    assert kept(*circles, *valued, *map(Factor.scalar, (*shades, *anything))) == ""


def test_images_are_tinted_where_something_is_no_colour(sprites_zip: Path, tmp_path: Path) -> None:
    def tint(data: Path, preset: str = "fine", **fields: Any) -> tuple[float | None, str | None]:
        config = completed(TrainConfig.preset(preset, data, "run", **fields), Dataset.open(data))
        return config.tint, config.tint_keeps

    assert tint(sprites_zip, "semi") == (1.0, "shape,scale,x,y")
    assert tint(sprites_zip) == (1.0, "scale")  # an editor of hue and scale
    assert tint(sprites_zip, fine_factors="hue") == (0.0, "none")
    assert tint(sprites_zip, "semi", tint=0.2, tint_keeps="x") == (0.2, "x")
    assert tint(sprites_zip, "semi", tint=0.0, tint_keeps="x") == (0.0, "none")
    assert tint(sprites_zip, "paper") == (0.0, "none") and tint(sprites_zip, "info") == (0.0, None)
    for name, channels in (("colours", slice(None)), ("grey", slice(1))):
        for i in range(4):
            save_png(tmp_path / name / f"{i}.png", render(i, 32)[..., channels])
        table = "file_name,skin,x\n0.png,0,1\n1.png,1,2\n2.png,2,1\n3.png,0,2\n"
        (tmp_path / name / "metadata.csv").write_text(table, encoding="utf-8")
    assert tint(tmp_path / "colours", "semi") == (1.0, "x")
    words = table.replace(",0,", ",short,").replace("skin", "shape").replace(",1,", ",red,").replace(",2,", ",long,")
    (tmp_path / "colours" / "metadata.csv").write_text(words, encoding="utf-8")
    assert tint(tmp_path / "colours", "semi", factor_kinds="scalar") == (1.0, "x")  # a shape that is red
    assert tint(tmp_path / "grey", "semi") == (0.0, "none")
    assert tint(tmp_path / "grey", "semi", tint_keeps="x,skin") == (1.0, "skin,x")  # asked for
    for name, given, note in (
        ("colours", {"tint": 0.1}, "--tint 0.1: no factor seems to stay in tinted images"),
        ("colours", {}, "no tinted images: no factor is named like a shape"),
        ("colours", {"tint": 0.0}, None),
        ("colours", {"tint_keeps": "hair"}, None),
        ("grey", {}, None),
    ):
        (tmp_path / name / "metadata.csv").write_text(table.replace(",x", ",hair"), encoding="utf-8")
        asked, data = TrainConfig.preset("semi", tmp_path / name, "run", **given), Dataset.open(tmp_path / name)
        said = notes_on_choices(asked, completed(asked, data), data)
        assert len(said) == (note is not None) and all(line.startswith(str(note)) for line in said)
    (tmp_path / "grey" / "metadata.csv").write_text(
        "file_name,kind\n0.png,ring\n1.png,square\n2.png,ring\n3.png,ring\n"
    )
    for shift in (None, 0.0):
        asked = TrainConfig.preset("semi", tmp_path / "grey", "run", shift=shift)
        said = notes_on_choices(asked, completed(asked, data := Dataset.open(tmp_path / "grey")), data)
        assert [line[:16] for line in said] == ([] if shift == 0.0 else ["no moved images:"])


@pytest.mark.parametrize(
    ("preset", "fields", "found", "said"),
    [
        ("semi", {"alpha": 0.0, "beta": 1.0}, (0.0, 0.0), ()),
        ("semi", {"alpha": 0.0, "shift": 0.1}, (0.1, 0.0), ("--shift 0.1: no images are moved with --alpha 0",)),
        (
            "semi",
            {"alpha": 0.0, "tint_keeps": "x"},
            (0.0, 0.0),
            ("--tint-keeps x: no images are tinted with --alpha 0",),
        ),
        ("paper", {"tint_keeps": "x", "shift_keeps": "none"}, (0.0, 0.0), ("--tint-keeps x: .* add --tint 1.0",)),
        (
            "paper",
            {"shift_keeps": "hue,x"},
            (0.0, 0.0),
            ("--shift-keeps hue,x: no images are moved; add --shift 0.25",),
        ),
    ],
)
def test_changed_images_that_teach_nothing_are_told(
    sprites_zip: Path, preset: str, fields: dict[str, Any], found: tuple[float, float], said: tuple[str, ...]
) -> None:
    given, data = TrainConfig.preset(preset, sprites_zip, "run", **fields), Dataset.open(sprites_zip)
    config = completed(given, data)
    assert (config.shift, config.tint, config.shift_keeps, config.tint_keeps) == (*found, "none", "none")
    notes = notes_on_choices(given, config, data)
    assert len(notes) == len(said) and all(map(re.match, said, notes))


def test_a_shift_of_less_than_a_pixel_is_told(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    given = TrainConfig.preset("semi", sprites_zip, "run", shift=0.4 / data.resolution, tint=0.0)
    *_, said = notes_on_choices(given, completed(given, data), data)
    assert f"less than a pixel of {data.resolution}, so no image is moved" in said


def test_images_are_moved_where_things_move(sprites_zip: Path, tmp_path: Path) -> None:
    def shift(data: Path, preset: str = "fine", **fields: Any) -> float | None:
        return completed(TrainConfig.preset(preset, data, "run", **fields), Dataset.open(data)).shift

    assert shift(sprites_zip) == shift(sprites_zip, "semi") == 0.25  # x and y are no fine factors, but say it
    assert shift(sprites_zip, shift=0.1) == 0.1
    assert shift(sprites_zip, "semi", as_classes="x,y") == 0.25
    assert shift(sprites_zip, "paper") == shift(sprites_zip, "info") == 0.0
    for i in range(4):
        save_png(tmp_path / f"{i}.png", render(i, 32))
    table = "file_name,hair,hair_color\n0.png,short,0\n1.png,long,1\n2.png,long,2\n3.png,short,0\n"
    (tmp_path / "metadata.csv").write_text(table, encoding="utf-8")
    assert shift(tmp_path, "semi") == shift(tmp_path, "semi", factor_kinds="scalar") == 0.0
    assert shift(tmp_path, "semi", shift_keeps="hair") == 0.25  # asked for
    (tmp_path / "metadata.csv").write_text(re.sub("hair,hair_color", "left,x", table), encoding="utf-8")
    given, data = TrainConfig.preset("semi", tmp_path, "run", shift=0.1), Dataset.open(tmp_path)
    *_, said = notes_on_choices(given, completed(given, data), data)
    assert said.startswith("--shift 0.1: no factor seems to stay")


def test_own_code_reconstruction_teaches_to_copy(sprites_zip: Path) -> None:
    """With L_rec alone to speak of, the editor learns to give an image back."""
    data = Dataset.open(sprites_zip)
    chosen = config(
        sprites_zip, sprites_zip, fine_factors="hue", gamma_rec=100.0, gamma_cycle=0.0, gamma_g=0.0, kimg=1.0
    ).resolved(32)
    labels, space = labels_and_space(chosen, data)
    model = chosen.networks(32, 3, space.code_width)
    state = TrainState.create(chosen, model, space, torch.device("cpu"))
    feed = Feed(chosen, data, labels, space, torch.device("cpu"))
    losses = [float(train_step(state, feed.batch(state))["loss_rec"]) for _ in range(40)]
    assert np.mean(losses[-5:]) < 0.5 * losses[0]


def test_a_run_of_the_preset_fine_can_be_used(sprites_zip: Path, tmp_path: Path, capsys: Any) -> None:
    slow = {"lr_g": 0.0005}  # so that few pixels leave the range of an image
    whole = train(config(sprites_zip, tmp_path / "a", **slow))
    assert "fine factors, chosen by their names: hue, scale" in capsys.readouterr().err
    assert whole.config.fine_factors == "hue,scale"
    assert (whole.config.coarse, whole.config.seen, whole.config.blend) == (4, 32, True)
    assert not dataclasses.replace(whole.config, seen=8, blend=None).resolved(32).blend
    assert "shape" not in (whole.path / "labels.csv").read_text()
    # A run in two parts ends with the same bytes.
    train(config(sprites_zip, tmp_path / "b", **slow))
    last = tmp_path / "b" / "checkpoint-000000.032"
    for file in last.iterdir():
        file.unlink()
    last.rmdir()
    train(config(sprites_zip, tmp_path / "b", **slow))
    name = "checkpoint-000000.032/model.safetensors"
    assert (whole.path / name).read_bytes() == (tmp_path / "b" / name).read_bytes()

    scores = evaluate(whole.path, ("edit",), images=100)
    assert scores["edit_error"] > 0
    assert load_image(whole.path / "edits.png").shape[1] == 4 * 34 - 2  # no true pictures: two columns twice

    model = ssg.load(whole.path)
    image = render(77, 32)
    edited = model.edit(image, {"hue": 120})
    assert edited.shape == image.shape
    assert not np.array_equal(edited, model.edit(image, {"hue": 300}))
    with pytest.raises(UserError, match=r"'shape': this model can edit hue, scale and keeps all else; .* semi"):
        model.edit(image, {"shape": "ring"})
    with pytest.raises(UserError, match="hue"):
        model.edit(image, {"hue": "blueish"})
    # It has images of its run to start from; a checkpoint by itself has none.
    assert model.generate({"hue": 30}, count=2).shape == (2, 32, 32, 3)
    assert [len(images) for _, _, images in model.traverse(columns=3)] == [3, 3]
    # A traversal begins with what it reads off its image.
    start, level = model.begin(0)
    assert torch.equal(level, torch.from_numpy(model.read_levels(to_uint8(start))))
    level[:, 1] = 0.25
    own = model.images(start, level)[0]
    ((_, values, images),) = model.traverse(0, columns=5, only=["scale"])
    assert np.abs(images[values.index(pytest.approx(0.17))].astype(int) - own).max() <= 1  # in a batch of another size
    # Its page speaks of edits.
    scores = {"edit_error": 0.25, "edit_psnr": 21.5, "per_factor": {"hue": {"mae": 0.1, "edit_error": 0.375}}}
    write_json(whole.path / "metrics.json", scores)
    page = write_report(whole.path).read_text(encoding="utf-8")
    assert "Edit error" in page and "21.5" in page and "generator off by 38%" in page
    assert "Codes and images that they were made of" in page
    (whole.path / "checkpoint-000000.032").rename(tmp_path / "alone")
    with pytest.raises(UserError, match="edits images and draws none"):
        ssg.load(tmp_path / "alone").generate()


def test_what_is_held_out_is_never_seen(sprites_zip: Path, tmp_path: Path) -> None:
    data = Dataset.open(sprites_zip)
    chosen = config(sprites_zip, tmp_path, fine_factors="hue", hold_out="shape=ring, 0.25", batch=32).resolved(32)
    out = np.setdiff1d(np.arange(len(data)), training_rows(chosen, data))
    ring = np.flatnonzero(data.labels.level_NF[:, 0] == 0)
    assert set(ring) < set(out)
    rest = len(data) - len(ring)
    assert abs((len(out) - len(ring)) / rest - 0.25) < 0.1
    labels, space = labels_and_space(chosen, data)
    assert not labels.known_NF[out].any()
    assert labels.known_NF[training_rows(chosen, data)].all()
    feed = Feed(chosen, data, labels, space, torch.device("cpu"))
    model = chosen.networks(32, 3, space.code_width)
    state = TrainState.create(chosen, model, space, torch.device("cpu"))
    secret = {data.images([i]).numpy().tobytes() for i in out} - {
        data.images([i]).numpy().tobytes() for i in training_rows(chosen, data)
    }
    for _ in range(8):
        seen = ((feed.batch(state).real_BCHW + 1) * 127.5).round().to(torch.uint8)
        assert not secret & {image[None].numpy().tobytes() for image in seen}
        state.step, state.images = state.step + 1, state.images + 32


@pytest.mark.parametrize(
    ("spec", "words"),
    [
        ("1.5", "--hold-out 1.5: write factor=value, or a share"),
        ("shape", "--hold-out shape: write"),
        ("form=ring", "unknown factor 'form'"),
        ("shape=ring,shape=square,shape=triangle", "no image is left to train on"),
    ],
)
def test_a_hold_out_that_cannot_be(sprites_zip: Path, spec: str, words: str) -> None:
    data = Dataset.open(sprites_zip)
    with pytest.raises(UserError, match=words):
        held_out_rows(data.labels, data.space, spec, 0)


def test_a_hold_out_is_a_function_of_the_seed(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    rows = [held_out_rows(data.labels, data.space, "0.1", seed) for seed in (0, 0, 1)]
    assert np.array_equal(rows[0], rows[1])
    assert not np.array_equal(rows[0], rows[2])
    assert len(rows[0]) == round(0.1 * len(data))


# -- settings -------------------------------------------------------------------------------------------------------


KITCHEN = ("object_shape", "object_scale", "lighting_intensity", "lighting_y-dir", "object_color", "wall_color")


@pytest.mark.parametrize(
    ("names", "fine"),
    [
        (KITCHEN[:-1], KITCHEN[1:-1]),
        (KITCHEN, ("object_scale", "lighting_intensity", "object_color", "wall_color")),
        (("lighting_x-dir", "camera_x-pos"), ("lighting_x-dir",)),
        (("Hue", "x", "y"), ("Hue",)),
        (("x", "y"), ()),
    ],
)
def test_fine_factors_are_guessed_by_name(names: tuple[str, ...], fine: tuple[str, ...]) -> None:
    assert guess_fine(names) == fine


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"fine_factors": "hue,form"}, "unknown factor 'form'"),
        ({"coarse": 5}, "--coarse 5: choose one of 4, 8, 16, 32"),
        ({"coarse": 0}, "--coarse 0: choose one of 4, 8, 16, 32"),
        ({"seen": 64}, "--seen 64: choose one of"),
        ({"coarse": 16, "seen": 8}, "--seen 8: must be at least --coarse 16"),
        ({"keep": 1.5}, "--keep 1.5: must lie between 0 and 1"),
        ({"gamma_rec": -1.0}, "--gamma-rec -1.0: must be at least 0"),
        ({"gamma_doubt": -1.0}, "--gamma-doubt -1.0: must be at least 0"),
        ({"as_classes": "scale,form"}, "unknown factor 'form'"),
        ({"as_classes": "hue"}, "--as-classes hue: not a number with a grid of values"),
        ({"label_fraction": 0.0}, "the preset fine needs labels"),
    ],
)
def test_bad_settings_are_one_line(sprites_zip: Path, tmp_path: Path, fields: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        train(config(sprites_zip, tmp_path / "run", **fields))
    assert not Run(tmp_path / "run").path.exists()


def test_options_of_the_editor_belong_to_it(sprites_zip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--fine-factors: belongs to the preset fine"):
        TrainConfig.preset("semi", str(sprites_zip), str(tmp_path), fine_factors="hue")


def test_parts_of_a_single_image_keep_both_terms(sprites_zip: Path) -> None:
    chosen = config(sprites_zip, sprites_zip, fine_factors="hue", gamma_cycle=1.0, micro_batch=1).resolved(32)
    log = train_step(*begun(chosen, coarse=8))
    assert torch.isfinite(log["loss_rec"])
    assert torch.isfinite(log["loss_cycle"])


def test_a_study_of_editors_goes_on(sprites_zip: Path, tmp_path: Path) -> None:
    """What the data decides (fine factors, classes) is no other setting the second time."""
    fields = {"kimg": 0.016, "batch": 4, "labelled_batch": 4, "device": "cpu", "as_classes": "scale"}
    study = functools.partial(sweep, sprites_zip, tmp_path / "s", {"system": ("fine",)}, fields=fields, workers=1)
    first, more = study(metrics=("l2",), images=100), study(metrics=("l2",), images=100, seeds=(0, 1))
    assert first[0].scores == more[0].scores and len(more) == 2


def test_configurations_of_earlier_versions_mean_what_they_meant() -> None:
    for preset in ("semi", "info"):
        document = TrainConfig.preset(preset, "data", "run").to_json()
        new = ("gamma_doubt", "doubt_decay_from", "keep", "shift", "tint")
        for field in (*new, "as_classes", "shift_keeps", "tint_keeps"):
            del document[field]
        read = TrainConfig.from_json(document)
        assert [getattr(read, field) for field in new] == [0.0, 1.0, 0.0, 0.0, 0.0]
        assert read.as_classes == read.shift_keeps == read.tint_keeps == (None if preset == "info" else "none")


def test_what_is_chosen_by_name_is_said_and_recorded(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    given = config(sprites_zip, sprites_zip)
    chosen = completed(given, data)
    assert (chosen.fine_factors, chosen.as_classes, chosen.shift_keeps) == ("hue,scale", "none", "hue,scale")
    assert notes_on_choices(given, chosen, data) == [
        "fine factors, chosen by their names: hue, scale (--fine-factors says otherwise)",
        "factors that moved images keep, chosen by their kinds and names: hue, scale (--shift-keeps says otherwise)",
        "factors that tinted images keep, chosen by their names: scale (--tint-keeps says otherwise)",
    ]
    assert completed(chosen, data) == chosen and notes_on_choices(chosen, chosen, data) == []
    assert completed(TrainConfig.preset("info", str(sprites_zip), "run"), data).as_classes is None
