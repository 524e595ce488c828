"""FID from a feature network that the user gives, with a tiny ONNX file in the place of Inception."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from semistylegan.errors import UserError
from semistylegan.metrics.inception import Inception

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
