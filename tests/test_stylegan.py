"""The paper's backbone: AdaIN, growing without a jump, and a growing run that resumes anywhere."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional as F

import semistylegan as ssg
from semistylegan.data.dataset import Dataset
from semistylegan.factors import FactorSpace
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import Networks
from semistylegan.models.config import ModelConfig
from semistylegan.models.stylegan import AdaIN, Block, Growing, GrowingTrunk, StyleGAN, as_grown, blur, grow
from semistylegan.training import TrainConfig, growing, train
from semistylegan.training.feed import Feed, labels_and_space
from semistylegan.training.growing import advance, notes_on_growing, phase
from semistylegan.training.state import TrainState


def networks(resolution: int = 32, encoder: Any = "separate") -> Any:
    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", resolution, 3, 4, backbone="stylegan", encoder=encoder)
    return build_networks(config)


def test_adain_sets_mean_and_variance_of_each_map() -> None:
    layer = AdaIN(3, 5)
    w = torch.randn(2, 5)
    out = layer(7 + 4 * torch.randn(2, 3, 8, 8), w)
    scale, shift = layer.style(w).chunk(2, dim=1)
    assert torch.allclose(out.mean(dim=(2, 3)), shift, atol=1e-5)
    assert torch.allclose(out.std(dim=(2, 3), unbiased=False), (1 + scale).abs(), atol=1e-4)


def test_blur_keeps_the_mean_and_spreads_a_point() -> None:
    point = torch.zeros(1, 2, 5, 5)
    point[:, :, 2, 2] = 16
    out = blur(point)
    assert torch.allclose(out[0, 0, 1:4, 1:4], torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]))
    assert torch.allclose(out.sum(dim=(2, 3)), point.sum(dim=(2, 3)))


def test_what_is_doubled_or_halved_is_blurred() -> None:
    torch.manual_seed(0)
    block, x, w = Block(3, 5, 6, first=False), torch.randn(2, 3, 4, 4), torch.randn(2, 2, 6)
    up = block.up(F.interpolate(x, scale_factor=2.0))  # type: ignore[misc]
    out = block.adain[0](F.leaky_relu(blur(up), 0.2), w[:, 0])
    out = block.adain[1](F.leaky_relu(block.conv(out), 0.2), w[:, 1])
    assert torch.allclose(block(x, w), out, atol=1e-5)

    trunk = GrowingTrunk(ModelConfig.of_size("tiny", 16, 3, 4, backbone="stylegan"))
    maps = trunk(torch.randn(2, 3, 16, 16))
    for i, (before, after) in enumerate(zip(maps, maps[1:], strict=False)):
        x = blur(F.leaky_relu(trunk.conv[1 - i](before), 0.2))
        x = F.avg_pool2d(F.leaky_relu(trunk.down[1 - i](x), 0.2), 2)
        assert torch.allclose(after, x, atol=1e-5)


@pytest.mark.parametrize("encoder", ["separate", "shared"])
def test_scenes_grow_too(encoder: str) -> None:
    """From 64 px on, E's head looks at the 16x16 maps, which are not there at first and then begin with nothing."""
    G, D, E = networks(64, encoder)
    img = torch.randn(2, 3, 64, 64)
    read = {}
    for doublings in (3.0, 3.0001, 4.0, 4.5, 5.0, 6.0):
        grow([G, D, E], doublings)
        shown = as_grown(img, *G.stage)
        read[doublings] = E(shown)
        assert read[doublings].shape == (2, 4) and D(shown).shape == (2,)
        assert [tuple(m.shape[2:]) for m in E.trunk(shown)[-3:]] == [(16, 16), (8, 8), (4, 4)]
    torch.testing.assert_close(read[3.0], read[3.0001], atol=5e-3, rtol=0)
    assert not torch.allclose(read[3.0], read[4.0], atol=1e-2)


@pytest.mark.parametrize("doublings", [3.0, 3.25, 4.0, 4.9, 5.0])
def test_images_are_as_fine_as_the_networks_have_grown(doublings: float) -> None:
    G, D, E = networks()
    grow([G, D, E], doublings)
    img = G(torch.randn(2, G.z_dim), torch.rand(2, 4))
    assert img.shape == (2, 3, 32, 32)
    side = G.stage[0]
    blocky = F.interpolate(F.avg_pool2d(img, 32 // side), scale_factor=32 / side)
    assert torch.allclose(img, blocky, atol=1e-5)
    # D and E see what has grown, and nothing finer.
    noise = torch.randn(2, 3, 32, 32)
    finer = noise - F.interpolate(F.avg_pool2d(noise, 32 // side), scale_factor=32 / side)
    assert torch.allclose(D(img), D(img + finer), atol=1e-4)
    assert torch.allclose(E(img), E(img + finer), atol=1e-4)
    if side < 32:
        assert finer.abs().max() > 0.1


def test_growing_does_not_jump() -> None:
    """A new resolution that has just begun to fade in changes next to nothing; a finished fade changes nothing."""
    G, D, E = networks()
    z, code = torch.randn(2, G.z_dim), torch.rand(2, 4)

    def at(doublings: float) -> list[torch.Tensor]:
        grow([G, D, E], doublings)
        img = as_grown(torch.linspace(-1, 1, 2 * 3 * 32 * 32).reshape(2, 3, 32, 32).sin(), *G.stage)
        return [G(z, code), D(img), E(img)]

    for before, after in zip(at(4.0), at(4.0001), strict=True):
        assert torch.allclose(before, after, atol=5e-3)
    for before, after in zip(at(4.9999), at(5.0), strict=True):
        assert torch.allclose(before, after, atol=5e-3)
    assert not torch.allclose(at(4.0)[0], at(4.5)[0], atol=1e-2)


def test_real_images_fade_as_the_networks_do() -> None:
    img = torch.randn(1, 3, 16, 16)
    assert torch.equal(as_grown(img, 16, 1.0), img)
    begun = as_grown(img, 16, 0.25)
    coarse = F.interpolate(F.avg_pool2d(img, 2), scale_factor=2.0)
    assert torch.allclose(begun, 0.25 * img + 0.75 * coarse, atol=1e-6)


def paper(data: Path | str, out: Path | str, **fields: Any) -> TrainConfig:
    return TrainConfig.preset("paper", str(data), str(out), **fields)


def test_the_paper_s_schedule() -> None:
    config = paper("d", "o", grow_kimg=1200.0)
    at = [phase(config, 1024, images) for images in (0, 599_999, 600_000, 1_199_999, 1_200_000, 1_800_000)]
    assert [(p.resolution, round(p.share, 3)) for p in at] == [
        (8, 1.0),
        (8, 1.0),
        (16, 0.0),
        (16, 1.0),
        (16, 1.0),
        (32, 0.0),
    ]
    assert 0 < at[2].share < 1e-5
    after = [phase(config, 1024, 1000 * kimg) for kimg in (0, 700, 1900, 3100, 4300, 5500, 6700, 7900, 99_000)]
    assert [p.resolution for p in after] == [8, 16, 32, 64, 128, 256, 512, 1024, 1024]
    assert [p.batch for p in after] == [256, 128, 64, 32, 32, 32, 32, 32, 32]
    assert [p.rate for p in after] == [1, 1, 1, 1, 1.5, 2, 3, 3, 3]
    assert config.lr_g == 0.001


def test_a_new_resolution_has_its_own_rates_and_optimisers_that_begin_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growing, "FASTER", {16: 1.5})
    config = paper("d", "o", size="tiny", grow_kimg=0.04, lr_e=0.002).resolved(16)
    model, space = config.networks(16, 3, 1), FactorSpace.grid({"a": 3})
    state = TrainState.create(config, model, space, torch.device("cpu"))
    seen = []
    for state.images in (0, 19, 20, 30):
        advance(state)
        seen.append((state.opt_D.lr, state.opt_E.lr, len(state.opt_G.adam.state)))
        state.opt_G.step()
    assert seen == [(0.001, 0.002, 0), (0.001, 0.002, 1), (0.0015, 0.003, 0), (0.0015, 0.003, 1)]
    networks = Networks(model, space, state.G, state.E)
    assert networks.grown_to == 16
    state.images = 0
    advance(state)
    assert networks.grown_to == 8


def test_all_real_images_are_as_fine_as_the_networks(sprites_zip: Path) -> None:
    data = Dataset.open(sprites_zip)
    config = paper(sprites_zip, "run", size="tiny", grow_batch=4, batch=4, labelled_batch=4).resolved(32)
    labels, space = labels_and_space(config, data)
    model = config.networks(32, 3, space.code_width)
    state = TrainState.create(config, model, space, torch.device("cpu"))
    batch = Feed(config, data, labels, space, torch.device("cpu")).batch(state)
    assert batch.labelled is not None
    for img in (batch.real_BCHW, batch.labelled.img_LCHW):
        assert torch.allclose(img, F.interpolate(F.avg_pool2d(img, 4), scale_factor=4.0), atol=1e-6)


@pytest.mark.parametrize("grow_kimg", [0.04, 1280.0, 1480.0, 5000.0])
def test_networks_are_where_the_schedule_is_from_the_first_image_of_a_fade(grow_kimg: float) -> None:
    """They keep it in single precision; where they lagged behind, Adam was made to forget twice."""
    config, kept = paper("d", "o", grow_kimg=grow_kimg), Growing(1024)
    for fade in range(7):
        first = round(500 * grow_kimg) * (1 + 2 * fade)
        for images in range(first - 2, first + 300):
            now = phase(config, 1024, images)
            kept.grow_to(now.doublings)
            assert kept.stage == (now.resolution, pytest.approx(now.share, abs=1e-6))
    assert phase(paper("d", "o"), 1024, 640_000).share == 1 / 640_000


@pytest.mark.parametrize(
    ("kimg", "note"),
    [
        (100.0, "--kimg 100: ends at 8 of 64 pixels a side, with --grow-kimg 1280; 4480 trains all of them"),
        (3500.0, "--kimg 3500: ends at 64 of 64 pixels a side, faded in by 0.47, with --grow-kimg 1280; 4480 trains "),
        (3840.0, None),
        (25_600.0, None),
    ],
)
def test_a_training_too_short_to_grow_says_so(kimg: float, note: str | None) -> None:
    (said,) = notes_on_growing(paper("d", "o", kimg=kimg), 64) or (None,)
    assert said is None if note is None else str(said).startswith(note)


@pytest.mark.parametrize(("resolution", "millions"), [(128, 25.8), (512, 26.2), (1024, 26.2)])
def test_the_paper_s_networks(resolution: int, millions: float) -> None:
    """StyleGAN's generator has 26.2 million parameters at 1024 px (Karras et al. 2019, appendix C)."""
    config = ModelConfig.of_size("paper", resolution, 3, 9, backbone="stylegan", encoder="shared")
    with torch.device("meta"):
        G = StyleGAN(config)
    own = sum(p.numel() for name, p in G.named_parameters() if not name.startswith("mapping.embed"))
    # z and the code stand side by side at the mapping's first layer: 512 x 512 weights more.
    assert (own - 512 * 512) / 1e6 == pytest.approx(millions, abs=0.15)


def test_a_growing_run_resumes_anywhere(sprites_zip: Path, tmp_path: Path) -> None:
    fields: dict[str, Any] = {
        "size": "tiny",
        "kimg": 0.12,
        "grow_kimg": 0.04,
        "batch": 4,
        "grow_batch": 8,
        "labelled_batch": 4,
        "snap_kimg": 0.03,
        "tick_kimg": 0.03,
        "device": "cpu",
    }
    whole = train(paper(sprites_zip, tmp_path / "a", **fields))
    names = sorted(p.name for p in whole.path.glob("checkpoint-*"))
    assert len(names) >= 3
    config = paper(sprites_zip, tmp_path / "b", **fields)
    with pytest.raises(Stop):
        train(config, on_snapshot=stop)
    train(config)
    last = "model.safetensors"
    assert (whole.checkpoint() / last).read_bytes() == (tmp_path / "b" / whole.checkpoint().name / last).read_bytes()
    # A checkpoint from the middle draws what had grown by then.
    early = ssg.load(whole.path / names[0])
    assert early.networks.G.stage[0] < 32  # type: ignore[attr-defined]
    assert ssg.load(whole.path).networks.G.stage == (32, 1.0)  # type: ignore[attr-defined]


class Stop(Exception):
    pass


def stop(checkpoint: Path, kimg: float) -> None:
    if kimg > 0.05:
        raise Stop


def test_paper_needs_no_growing_options(sprites_zip: Path, tmp_path: Path) -> None:
    config = paper(sprites_zip, tmp_path)
    assert (config.backbone, config.encoder, config.size) == ("stylegan", "shared", "paper")
    assert dataclasses.replace(config, backbone="stylegan2", grow_kimg=None, grow_batch=None).validated()
    with pytest.raises(ssg.errors.UserError, match="--grow-kimg"):
        dataclasses.replace(config, backbone="stylegan2").validated()
    with pytest.raises(ssg.errors.UserError, match="--grow-batch: belongs to a growing run"):
        dataclasses.replace(config, grow_kimg=None).validated()
