"""FID from a feature network that the user gives: a tiny ONNX file, and Inception itself with random weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file

from semistylegan.errors import UserError
from semistylegan.metrics.inception import Inception, providers
from semistylegan.metrics.inception_network import BlockA, BlockE, Conv, InceptionNetwork, average

onnx = pytest.importorskip("onnx")


def network(path: Path, shape: list[int | str], kind: str = "FLOAT", pools: bool = True) -> Path:
    """Colour means, N x 3: a network that Inception's place can be taken by."""
    from onnx import TensorProto, helper

    nodes, name = [], "x"
    if kind == "UINT8":
        nodes.append(helper.make_node("Cast", ["x"], ["f"], to=TensorProto.FLOAT))
        name = "f"
    if pools:
        nodes += [helper.make_node("GlobalAveragePool", [name], ["p"]), helper.make_node("Flatten", ["p"], ["y"])]
    else:
        nodes.append(helper.make_node("ReduceMean", [name], ["y"], keepdims=0))
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, None)
    inputs = [helper.make_tensor_value_info("x", getattr(TensorProto, kind), shape)]
    model = helper.make_model(helper.make_graph(nodes, "g", inputs, [out]), opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.save(model, path)
    return path


IMG = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (5, 3, 8, 8)).astype(np.uint8))


def test_colours_are_scaled_and_images_resized(tmp_path: Path) -> None:
    flat = IMG[:, :, :1, :1].expand(-1, -1, 8, 8)
    for shape in (["n", 3, 16, 16], ["n", 3, "h", "w"], [2, 3, 8, 8]):
        features = Inception(network(tmp_path / "a.onnx", shape)).features(flat)
        assert features == pytest.approx(flat[:, :, 0, 0].numpy() / 127.5 - 1, abs=5e-4)
        assert features.dtype == np.float64 and features.shape == (5, 3)


@pytest.mark.parametrize(
    ("device", "there", "first"), [("cuda:1", True, "CUDA"), ("cuda", False, "CPU"), ("cpu", True, "CPU")]
)
def test_an_onnx_file_computes_on_a_gpu_where_it_can(
    device: str, there: bool, first: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = [f"{name}ExecutionProvider" for name in (("CUDA", "CPU") if there else ("CPU",))]
    monkeypatch.setattr("onnxruntime.get_available_providers", lambda: found)
    given = providers(torch.device(device))
    assert given[-1] == "CPUExecutionProvider" and len(given) == (2 if first == "CUDA" else 1)
    if first == "CUDA":
        assert given[0] == ("CUDAExecutionProvider", {"device_id": 1})


def test_bytes_go_in_as_they_are_and_grey_is_three_channels(tmp_path: Path) -> None:
    raw = Inception(network(tmp_path / "a.onnx", ["n", 3, "h", "w"], "UINT8"))
    assert raw.features(IMG) == pytest.approx(IMG.double().mean(dim=(2, 3)).numpy(), abs=1e-4)
    assert (np.ptp(raw.features(IMG[:, :1]), axis=1) == 0).all()


def test_the_hash_is_checked(tmp_path: Path) -> None:
    path = network(tmp_path / "a.onnx", ["n", 3, "h", "w"])
    whole = Inception(path).sha256
    assert Inception(path, whole.upper()[:12]).sha256 == whole
    for wrong in ("0" * 64, whole[:5]):
        with pytest.raises(UserError, match="not the file that was meant"):
            Inception(path, wrong)


def test_what_is_no_feature_network_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "b.onnx").write_bytes(b"\x80\x04pickle")
    for path, says in (
        (tmp_path / "none.onnx", "cannot be read"),
        (tmp_path / "b.onnx", "not a network"),
        (network(tmp_path / "c.onnx", ["n", 4, 8, 8]), "not images"),
        (network(tmp_path / "d.onnx", ["n", 3]), "not images|not a network"),
    ):
        with pytest.raises(UserError, match=says) as raised:
            Inception(path)
        assert "\n" not in str(raised.value)
    with pytest.raises(UserError, match="not a row of features each"):
        Inception(network(tmp_path / "e.onnx", ["n", 3, 8, 8], pools=False)).features(IMG)


# -- our own network, from safetensors ---------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def weights() -> dict[str, torch.Tensor]:
    """Random ones, in the names of the packages' file; the statistics are such that signals neither die nor explode."""
    torch.manual_seed(0)
    made = InceptionNetwork().state_dict()
    made |= {name: torch.rand_like(w) + 0.5 for name, w in made.items() if name.endswith("bn.bias")}
    made |= {name: torch.full_like(w, 0.3) for name, w in made.items() if name.endswith("running_var")}
    return made | {"fc.weight": torch.zeros(1008, 2048), "fc.bias": torch.zeros(1008)}


@pytest.fixture(scope="module")
def file(weights: dict[str, torch.Tensor], tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("inception") / "inception.safetensors"
    save_file(weights, path)
    return path


def test_the_network_is_as_large_as_it_should_be(weights: dict[str, torch.Tensor]) -> None:
    """Inception-v3 has 23,834,568 parameters with a last layer of 2,048 x 1,000 + 1,000, and 94 convolutions."""
    network = InceptionNetwork()
    assert sum(p.numel() for p in network.parameters()) == 23_834_568 - 2_049_000
    assert sum(isinstance(m, Conv) for m in network.modules()) == 94
    assert len([k for k in network.state_dict() if not k.endswith("num_batches_tracked")]) == 5 * 94
    assert weights["Mixed_7c.branch_pool.conv.weight"].shape == (192, 2048, 1, 1)


def test_features_of_safetensors(file: Path, weights: dict[str, torch.Tensor]) -> None:
    network = Inception(file)
    features = network.features(IMG[:3])
    assert features.shape == (3, 2048) and features.dtype == np.float64 and (np.ptp(features, axis=0) > 0).any()
    assert (network.features(IMG[:3]) == features).all(), "the same images, the same features"
    assert network.features(IMG[1:2]) == pytest.approx(features[1:2], abs=1e-4), "of one image, whatever is beside it"
    own = InceptionNetwork().eval()
    own.load_state_dict({k: v for k, v in weights.items() if not k.startswith("fc.")})
    large = F.interpolate(IMG[:1].float() / 127.5 - 1, size=(299, 299), mode="bilinear", align_corners=False)
    with torch.inference_mode():
        assert own(large).numpy() == pytest.approx(features[:1], abs=1e-3)


def test_pools_are_those_of_tensorflow() -> None:
    ones = torch.ones(1, 1, 4, 4)
    assert torch.equal(average(ones), ones), "padding is not in the mean"
    torch.manual_seed(0)
    for block, pooled in (
        (BlockA(8, 5), average),
        (BlockE(8, last=False), average),
        (BlockE(8, last=True), lambda x: F.max_pool2d(x, 3, stride=1, padding=1)),
    ):
        x = torch.randn(1, 8, 6, 6)
        block.eval()
        expected = block.branch_pool(pooled(x))
        assert torch.equal(block(x)[:, -expected.shape[1] :], expected)


def test_the_ending_of_safetensors_may_be_capital(file: Path, tmp_path: Path) -> None:
    capital = tmp_path / "INCEPTION.SAFETENSORS"
    capital.symlink_to(file)
    assert Inception(capital).sha256 == Inception(file).sha256


def test_the_hash_of_safetensors_is_checked(file: Path) -> None:
    whole = Inception(file).sha256
    assert Inception(file, whole[:12]).sha256 == whole
    with pytest.raises(UserError, match="not the file that was meant"):
        Inception(file, "0" * 64)


def test_other_weights_are_one_line(tmp_path: Path, weights: dict[str, torch.Tensor]) -> None:
    first = "Conv2d_1a_3x3.conv.weight"
    cases: list[tuple[bytes | dict[str, torch.Tensor], str]] = [
        (b"\x80\x04pickle", "not a safetensors file"),
        ({}, rf"no weights named {first} \(470 are missing\)"),
        ({k: v for k, v in weights.items() if k != "Mixed_6e.branch_pool.bn.running_mean"}, r"\(1 are missing\)"),
        (weights | {first: torch.zeros(32, 1, 3, 3)}, r"has shape \(32, 1, 3, 3\), not \(32, 3, 3, 3\)"),
        (weights | {first: torch.full((32, 3, 3, 3), torch.nan)}, "holds NaN"),
    ]
    for content, says in cases:
        path = tmp_path / "a.safetensors"
        path.write_bytes(content) if isinstance(content, bytes) else save_file(content, path)
        with pytest.raises(UserError, match=says) as raised:
            Inception(path)
        assert "\n" not in str(raised.value) and str(path) in str(raised.value)
