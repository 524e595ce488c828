"""Networks: shapes, what depends on what, agreement with a plain reference, saving and loading."""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.models.build import build_generator
from semistylegan.models.checkpoint import checkpoint_name, checkpoints, find_checkpoint, load_model, save_model
from semistylegan.models.config import Backbone, ModelConfig
from semistylegan.models.encoder import Discriminator, Down, Encoder, Trunk
from semistylegan.models.layers import (
    Conv,
    FromImage,
    Linear,
    ModulatedConv,
    ToImage,
    expected_position,
    minibatch_deviation,
    pixel_norm,
    upsample,
)
from semistylegan.models.mapping import Mapping
from semistylegan.models.pooling import activate_and_pool, also_pooled
from semistylegan.models.stylegan2 import StyleGAN2

SPACE = FactorSpace.grid({"a": 3, "b": 4})


def tiny(resolution: int = 16, channels: int = 3) -> ModelConfig:
    return ModelConfig.of_size("tiny", resolution, channels, SPACE.code_width)


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(0)


@pytest.mark.parametrize(("resolution", "channels"), [(16, 3), (32, 1), (64, 3)])
def test_shapes(resolution: int, channels: int) -> None:
    config = tiny(resolution, channels)
    G, D, E = StyleGAN2(config), Discriminator(config, Trunk(config)), Encoder(config, Trunk(config))
    image = G(torch.randn(4, G.z_dim), torch.rand(4, 2))
    assert image.shape == (4, channels, resolution, resolution)
    assert D(image).shape == (4,)
    assert E(image).shape == (4, 2)


def test_the_paper_size_is_the_paper_s() -> None:
    config = ModelConfig.of_size("paper", 1024, 3, 9)
    assert [config.width(r) for r in (4, 64, 128, 256, 512, 1024)] == [512, 512, 256, 128, 64, 32]
    assert (config.z_dim, config.mapping_layers, config.mapping_lr) == (512, 8, 0.01)


def test_a_width_in_place_of_a_size_s() -> None:
    config = ModelConfig.of_size("tiny", 64, 3, 9, width=32)
    assert {config.width(r) for r in config.resolutions} == {32}
    assert Trunk(config).from_image.weight.shape == (32, 3, 1, 1) and config.z_dim == tiny().z_dim


def test_modulated_conv_equals_modulating_the_weights_of_each_image() -> None:
    """StyleGAN2, equations 1 to 3, written the slow way: one convolution an image, in double precision."""
    conv = ModulatedConv(5, 7, w_dim=6, gain=1.5).double()
    nn.init.normal_(conv.bias)
    x, w = torch.randn(3, 5, 8, 8, dtype=torch.float64), torch.randn(3, 6, dtype=torch.float64)
    ours = conv(x, w)
    for image, style, out in zip(x, conv.style(w), ours, strict=True):
        weight = conv.weight * style[None, :, None, None]
        weight = weight / (weight.square().sum(dim=(1, 2, 3), keepdim=True) + 1e-8).sqrt()
        slow = 1.5 * F.conv2d(image[None], weight, padding=1)[0] + conv.bias[:, None, None]
        torch.testing.assert_close(out, slow)


def test_to_image_equals_modulating_the_weights_of_each_image() -> None:
    layer = ToImage(5, 3, w_dim=6).double()
    nn.init.normal_(layer.bias)
    x, w = torch.randn(2, 5, 8, 8, dtype=torch.float64), torch.randn(2, 6, dtype=torch.float64)
    for image, style, out in zip(x, layer.style(w), layer(x, w), strict=True):
        weight = (layer.weight * style[:, None]).t()[:, :, None, None]
        torch.testing.assert_close(out, F.conv2d(image[None], weight, layer.bias)[0])


@pytest.mark.parametrize("memory_format", [torch.contiguous_format, torch.channels_last])
def test_a_1x1_convolution_is_one_in_either_memory_layout(memory_format: torch.memory_format) -> None:
    layer, x = Conv(5, 3, 1).double(), torch.randn(2, 5, 8, 8, dtype=torch.float64)
    expected = F.conv2d(x, layer.weight, layer.bias)
    torch.testing.assert_close(layer(x.contiguous(memory_format=memory_format)), expected)


def test_the_layer_from_an_image_is_a_1x1_convolution_activated() -> None:
    layer, x = FromImage(3, 5).double(), torch.randn(2, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    with torch.no_grad():
        layer.bias.normal_()
    torch.testing.assert_close(layer(x), F.leaky_relu(F.conv2d(x, layer.weight, layer.bias), 0.2))
    assert torch.autograd.gradcheck(layer, x)
    assert torch.autograd.gradcheck(lambda bias: torch.func.functional_call(layer, {"bias": bias}, x), layer.bias)


def test_small_things_keep_their_digits_in_bfloat16() -> None:
    """Fully connected layers and a position among pixels, under autocast as without; maps do take bfloat16."""
    layer, conv, x = Linear(6, 5), Conv(4, 5, 3), torch.randn(3, 6)
    maps = torch.randn(2, 4, 8, 8).to(torch.bfloat16)
    with torch.autocast("cpu", torch.bfloat16):
        said, position, out = layer(x), expected_position(maps), conv(maps)
    torch.testing.assert_close(said, layer(x), rtol=0, atol=0)
    torch.testing.assert_close(position, expected_position(maps.float()), rtol=0, atol=0)
    assert out.dtype == torch.bfloat16


@pytest.mark.parametrize("network", ["trunk", "stylegan2"])
@pytest.mark.parametrize("precision", [torch.float32, torch.bfloat16])
def test_maps_keep_their_memory_layout_and_precision(network: str, precision: torch.dtype) -> None:
    """Forward and backward: a single gradient in another layout costs copies of the largest maps."""
    config = tiny()
    model = (Trunk(config) if network == "trunk" else StyleGAN2(config)).to(memory_format=torch.channels_last)
    seen: list[str] = []

    class Watch(TorchDispatchMode):
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            out = func(*args, **(kwargs or {}))
            for x in out if isinstance(out, tuple) else (out,):
                if isinstance(x, torch.Tensor) and x.dim() == 4 and x.shape[1] > 3 and x.shape[2] == 16:
                    right = x.is_contiguous(memory_format=torch.channels_last) and x.dtype == precision
                    seen.append("as it should be" if right else str(func))
            return out

    with Watch(), torch.autocast("cpu", torch.bfloat16, enabled=precision == torch.bfloat16):
        if network == "trunk":
            model(torch.randn(4, 3, 16, 16))[-1].float().sum().backward()
        else:
            model(torch.randn(4, config.z_dim), torch.rand(4, 2)).sum().backward()
    views = ("aten.permute", "aten.view", "aten.expand", "aten.detach", "aten.t")
    wrong = {name for name in seen if name != "as it should be" and not name.startswith(views)}
    assert len(seen) > 10 and not wrong, wrong


def fresh(x: torch.Tensor) -> torch.Tensor:
    """What may be changed in place, as a layer's output may."""
    return x * 1.5


@pytest.mark.parametrize(
    ("ours", "plain"),
    [
        (lambda x: activate_and_pool(fresh(x)), lambda x: F.avg_pool2d(F.leaky_relu(fresh(x), 0.2), 2)),
        (lambda x: sum_of_both(*also_pooled(x)), lambda x: sum_of_both(x, F.avg_pool2d(x, 2))),
        (lambda x: also_pooled(x)[0], lambda x: x),
        (lambda x: also_pooled(x)[1], lambda x: F.avg_pool2d(x, 2)),
    ],
)
@pytest.mark.parametrize("memory_format", [torch.channels_last, torch.contiguous_format])
def test_pooling_beside_plain_layers_to_the_second_derivative(
    ours: Any, plain: Any, memory_format: torch.memory_format
) -> None:
    """R1 differentiates D's gradient once more."""
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64).contiguous(memory_format=memory_format).requires_grad_()
    torch.testing.assert_close(ours(x), plain(x))
    weight = torch.randn_like(plain(x))
    found = []
    for function in (ours, plain):
        (gradient,) = torch.autograd.grad((function(x) * weight).square().sum(), x, create_graph=True)
        found.append([gradient, *torch.autograd.grad(gradient.square().sum(), x)])
    torch.testing.assert_close(*found)
    assert torch.autograd.gradcheck(ours, x) and torch.autograd.gradgradcheck(ours, x)


def sum_of_both(x: torch.Tensor, pooled: torch.Tensor) -> torch.Tensor:
    return (x.square().flatten(1).sum(dim=1) * pooled.square().flatten(1).sum(dim=1)).tanh()


@pytest.mark.parametrize("lr", [1.0, 0.01])
def test_equalised_layers_keep_unit_variance(lr: float) -> None:
    layer = Linear(400, 300, lr=lr)
    with torch.no_grad():
        out = layer(torch.randn(500, 400))
    assert out.std().item() == pytest.approx(1.0, rel=0.05)
    assert layer.rates["weight"] == pytest.approx(lr / 20)


@pytest.mark.parametrize(
    ("make", "weight", "bias"),
    [
        (lambda: Linear(300, 200, gain=1.5, lr=0.1), 0.1, 0.15),
        (lambda: Conv(60, 50, 3, gain=1.5), 1.0, 1.5),
        (lambda: FromImage(3, 9000), 1.0, 2**0.5),
        (lambda: ModulatedConv(60, 50, 8, gain=1.5), 1.0, 1.5),
        (lambda: ToImage(9000, 3, 8), 1.0, 1.0),
    ],
)
def test_weights_over_their_rates_have_unit_variance(make: Callable[[], Any], weight: float, bias: float) -> None:
    """So that one learning rate fits all; where a layer's own is a tenth, they have ten times as far to go."""
    layer = make()
    assert (layer.weight / layer.rates["weight"]).std().item() == pytest.approx(1 / weight, rel=0.03)
    assert layer.rates.get("bias", 1.0) == pytest.approx(bias)


def test_the_mapping_learns_at_its_own_rate() -> None:
    slow, fast = (Mapping(dataclasses.replace(tiny(), mapping_lr=lr)) for lr in (0.01, 1.0))
    assert len(slow.layers) == 2 and slow.embed is not None and fast.embed is not None
    for a, b in zip(slow.layers, fast.layers, strict=True):
        assert a.rates == pytest.approx({name: 0.01 * rate for name, rate in b.rates.items()})
    assert slow.embed.rates == fast.embed.rates


def test_the_mapping_looks_at_directions() -> None:
    """Of z, and, while the bias of the code's map is 0, of the code."""
    mapping, z, code = Mapping(tiny()), torch.randn(4, 16), torch.rand(4, 2)
    w = mapping(z, code)
    torch.testing.assert_close(mapping(3 * z, code), w, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(mapping(z, 3 * code), w, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(mapping(-z, -code), -w, atol=1e-2)  # it is not linear
    torch.testing.assert_close(pixel_norm(3 * z).square().mean(dim=1), torch.ones(4))


def test_upsampling_is_the_1_3_3_1_filter() -> None:
    x = torch.zeros(1, 1, 4, 4)
    x[0, 0, 1, 1] = 16
    row = torch.tensor([0.0, 1, 3, 3, 1, 0, 0, 0])
    torch.testing.assert_close(upsample(x)[0, 0], row[:, None] * row)


def test_half_the_resolution_keeps_the_variance() -> None:
    """Away from the border, of maps that pooling leaves as they are."""
    with torch.no_grad():
        out = Down(128, 128)(torch.randn(16, 128, 1, 1).expand(-1, -1, 8, 8).contiguous())
    assert out[:, :, 1:-1, 1:-1].square().mean().item() == pytest.approx(1.04, rel=0.2)


@pytest.mark.parametrize(("resolution", "sees"), [(32, False), (64, True)])
def test_a_head_sees_small_things_from_64_px_on(resolution: int, sees: bool) -> None:
    config = tiny(resolution)
    E = Encoder(config, Trunk(config))
    maps = E.trunk(torch.randn(2, 3, resolution, resolution))
    code = E.code(maps)
    maps[-3] = maps[-3].detach().clone()
    maps[-3][:, 0, 5, 5] += 100
    assert torch.equal(E.code(maps), code) != sees


def test_a_head_sees_means_maxima_and_places() -> None:
    E = Encoder(tiny(), Trunk(tiny()))
    nn.init.dirac_(E.conv.weight)
    flat, peak, half = torch.ones(1, 64, 4, 4), torch.zeros(1, 64, 4, 4), torch.ones(1, 64, 4, 4)
    peak[:, :, 1, 2], half[:, :, :2] = 16.0, 0.0
    left, right = torch.zeros(2, 1, 64, 8, 8)
    left[:, :, 3, 0] = right[:, :, 3, 7] = 50.0
    code = E.code([left, flat])
    for maps in ([left, peak], [left, half], [right, flat]):
        assert not torch.allclose(E.code(maps), code, atol=1e-3)


def test_an_image_s_code_does_not_depend_on_its_batch() -> None:
    config = tiny()
    E = Encoder(config, Trunk(config))
    images = torch.randn(6, 3, 16, 16)
    torch.testing.assert_close(E(images)[:1], E(images[:1]), rtol=1e-4, atol=1e-5)


def test_the_logit_does_depend_on_its_batch() -> None:
    config = tiny()
    D = Discriminator(config, Trunk(config))
    images = torch.randn(4, 3, 16, 16)
    same = images[:1].expand(4, -1, -1, -1)
    assert (D(images)[0] - D(same)[0]).abs() > 1e-4


@pytest.mark.parametrize("batch", [1, 7, 8, 12, 16])
def test_minibatch_deviation_fits_every_batch(batch: int) -> None:
    x = torch.randn(batch, 3, 4, 4)
    out = minibatch_deviation(x)
    assert out.shape == (batch, 4, 4, 4)
    torch.testing.assert_close(out[:, :3], x)
    if batch == 8:  # two groups of four neighbours
        assert out[0, 3, 0, 0].item() == pytest.approx(x[:4].std(dim=0, unbiased=False).mean().item(), rel=1e-4)


def test_expected_position_finds_a_peak() -> None:
    x = torch.zeros(1, 2, 8, 8)
    x[0, 0, 0, 7] = x[0, 1, 7, 3] = 50.0
    rows, columns = expected_position(x).reshape(2, 2)
    torch.testing.assert_close(rows, torch.tensor([-1.0, 1.0]), atol=1e-4, rtol=0)
    torch.testing.assert_close(columns, torch.tensor([1.0, -1 / 7]), atol=1e-4, rtol=0)


def test_synthesis_takes_one_w_or_one_a_layer() -> None:
    G = StyleGAN2(tiny())
    w = G.mapping(torch.randn(2, G.z_dim), torch.rand(2, 2))
    torch.testing.assert_close(G.synthesis(w), G.synthesis(w[:, None].repeat(1, G.layers, 1)))


@pytest.mark.parametrize("backbone", ["stylegan2", "stylegan"])
def test_every_layer_has_a_style_of_its_own(backbone: Backbone) -> None:
    """Also those that draw the picture at a smaller resolution, which is added up."""
    G = build_generator(ModelConfig.of_size("tiny", 16, 3, 2, backbone))
    w = G.mapping(torch.randn(2, G.z_dim), torch.rand(2, 2))
    img = G.synthesis(w)
    for layer in range(G.layers):
        other = w[:, None].repeat(1, G.layers, 1)
        other[:, layer] = torch.randn_like(w)
        assert not torch.allclose(G.synthesis(other), img, atol=1e-4)


def save(folder: Path, config: ModelConfig | None = None) -> tuple[StyleGAN2, Encoder]:
    config = config or tiny()
    G, E = StyleGAN2(config), Encoder(config, Trunk(config))
    networks: list[nn.Module] = [G, E]
    for network in networks:
        network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    save_model(folder, config, SPACE, G, E)
    return G, E


def test_saving_and_loading_brings_back_the_same_network(tmp_path: Path) -> None:
    G, E = save(tmp_path)
    loaded = load_model(tmp_path)
    z, c, x = torch.randn(2, G.z_dim), torch.rand(2, 2), torch.randn(2, 3, 16, 16)
    assert torch.equal(loaded.G(z, c), G(z, c)) and torch.equal(loaded.E(x), E(x))
    assert loaded.space == SPACE
    assert not any(p.requires_grad for p in loaded.G.parameters())


@pytest.mark.parametrize("file", ["config.json", "factors.json", "model.safetensors"])
@pytest.mark.parametrize("damage", ["missing", "cut", "foreign"])
def test_a_damaged_model_is_one_line(tmp_path: Path, file: str, damage: str) -> None:
    save(tmp_path)
    if damage == "missing":
        (tmp_path / file).unlink()
    elif damage == "cut":
        (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:40])
    else:
        (tmp_path / file).write_text(json.dumps({"resolution": 32}))
    with pytest.raises(UserError) as caught:
        load_model(tmp_path)
    assert str(tmp_path) in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *[("resolution", value) for value in (0, 8, 24, 2048, "16", None)],
        *[("channels", 2), ("max_width", 0), ("w_dim", -1), ("code_dim", 64.0), ("mapping_layers", "2")],
        *[("mapping_lr", None), ("backbone", "stylegan3"), ("encoder", [1]), ("second_head", 1)],
        *[("coarse", 4), ("z_dim", 0)],
        *[("mapping_layers", 2**40), ("code_dim", 10**30), ("z_dim", 2**40), ("mapping_lr", 0.0)],
    ],
)
def test_values_that_no_network_has_are_one_line(tmp_path: Path, field: str, value: object) -> None:
    save(tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**document, field: value}))
    with pytest.raises(UserError, match=f"config.json: .*no network has {re.escape(f'{field} {value!r}')};") as caught:
        load_model(tmp_path)
    assert "\n" not in str(caught.value)


def test_factors_of_another_model_are_refused(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "factors.json").write_text(json.dumps(FactorSpace.grid({"a": 3}).to_json()))
    with pytest.raises(UserError, match=r"factors\.json does not belong to this config\.json"):
        load_model(tmp_path)


@pytest.mark.parametrize(("coarse", "seen"), [(16, 8), (4, 32), (8, 0)])
def test_an_editor_sees_at_least_what_it_starts_from(coarse: int, seen: int) -> None:
    document = ModelConfig.of_size("tiny", 16, 3, 2, coarse=coarse, seen=seen).to_json()
    with pytest.raises(UserError, match=f"no network has coarse {coarse}"):
        ModelConfig.from_json(document)


def test_weights_of_another_size_are_refused(tmp_path: Path) -> None:
    save(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(tiny(32).to_json()))
    with pytest.raises(UserError, match="do not fit"):
        load_model(tmp_path)


def test_networks_that_the_file_has_no_weights_of_are_not_built(tmp_path: Path) -> None:
    """This one would take terabytes."""
    save(tmp_path)
    document = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").write_text(json.dumps({**document, "z_dim": 2**20, "code_dim": 2**20, "w_dim": 2**20}))
    with pytest.raises(UserError, match=r"model.safetensors: weights of G do not fit config.json"):
        load_model(tmp_path)


@pytest.mark.parametrize("weight", [float("nan"), float("inf")])
def test_weights_that_are_no_numbers_are_refused(tmp_path: Path, weight: float) -> None:
    save(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    next(tensor for name, tensor in tensors.items() if name.startswith("E."))[...] = weight
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(UserError, match="weights of E are NaN or infinite; take another checkpoint"):
        load_model(tmp_path)


def test_checkpoints_are_found_in_order(tmp_path: Path) -> None:
    assert checkpoint_name(40) == "checkpoint-000040"
    with pytest.raises(UserError, match="no finished checkpoint"):
        find_checkpoint(tmp_path)
    for kimg in (5.0, 40.0, 0.512):
        save(tmp_path / checkpoint_name(kimg))
    (tmp_path / checkpoint_name(90)).mkdir()  # nothing in it: not complete
    assert [p.name for p in checkpoints(tmp_path)] == [
        "checkpoint-000000.512",
        "checkpoint-000005",
        "checkpoint-000040",
    ]
    assert find_checkpoint(tmp_path).name == "checkpoint-000040"
    with pytest.raises(UserError, match="no such folder"):
        find_checkpoint(tmp_path / "nowhere")
