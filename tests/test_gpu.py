"""What runs on a GPU alone. Skipped where there is none; test_stand_in.py runs it on what stands in for two."""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from semistylegan.cli import main
from semistylegan.editing import load
from semistylegan.factors import FactorSpace
from semistylegan.metrics.evaluate import evaluate
from semistylegan.metrics.inception import Inception
from semistylegan.metrics.inception_network import InceptionNetwork
from semistylegan.training import TrainConfig, streams, train
from semistylegan.training.device import arithmetic
from semistylegan.training.distributed import launch
from semistylegan.training.graphs import Recorder, passes_for
from semistylegan.training.parts import Batch, LabelledBatch
from semistylegan.training.run import read_jsonl
from semistylegan.training.state import TrainState
from semistylegan.training.step import Passes, train_step

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="no GPU")
SPACE = FactorSpace.grid({"a": 3, "b": 4})
LAST = f"cuda:{torch.cuda.device_count() - 1}"
stand_in: Any = sys.modules.get("gpu_stand_in")


@pytest.fixture(autouse=True)
def nothing_races() -> Iterator[None]:
    """What stands in for a GPU sees what a GPU would compute wrongly now and then."""
    yield
    assert not stand_in or not stand_in.faults()


def state_on(device: str, preset: str = "semi", **fields: Any) -> TrainState:
    own = {"kimg": 0.08, "batch": 4, "labelled_batch": 4, "r1_interval": 4, "precision": "float32", **fields}
    config = TrainConfig.preset(preset, "none", "none", **own).resolved(16)
    return TrainState.create(config, config.networks(16, 3, SPACE.code_width), SPACE, torch.device(device))


def batch_on(device: str, seed: int, labels: bool = True) -> Batch:
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator).to(device)

    known = torch.rand(4, 2, generator=generator).to(device) < 0.7
    real, code, labelled = normal(4, 3, 16, 16), normal(4, 2), LabelledBatch(normal(4, 3, 16, 16), normal(4, 2), known)
    return Batch(real, code, labelled if labels else None)


def vector(state: TrainState) -> torch.Tensor:
    return torch.cat([p.detach().flatten() for net in (state.G, state.D, state.E) for p in net.parameters()])


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"gan": "relativistic"},
        {"cuda_graphs": False},
        {"shift": 0.25, "shift_keeps": "a", "tint": 1.0, "tint_keeps": "b"},
        {"r1_interval": 1},
        {"encoder": "shared"},
        {"preset": "info", "gamma_e_from": 0.0},
        {"preset": "fine", "gamma_rec": 10.0, "gamma_cycle": 1.0},
    ],
    ids=str,
)
def test_passes_have_the_gradients_of_plain_ones(fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Recorded or not, in two streams: as kernel after kernel. Each step from the same weights: rounding apart, Adam
    follows the sign of gradients near zero."""
    fields = {"gamma_e": 1.0, "gamma_e_from": 0.3, **fields}
    ours, plain = state_on("cuda", **fields), state_on("cuda", **fields)
    passes_of = passes_for(ours, torch.device("cuda"))
    assert isinstance(passes_of, Recorder) == ours.config.cuda_graphs
    kept: list[tuple[torch.Tensor, float]] = []
    for step in range(12):
        for own, other in (("G", "opt_G"), ("D", "opt_D"), ("E", "opt_E")):
            getattr(plain, own).load_state_dict(getattr(ours, own).state_dict())
            tensors = {k: v.detach().clone() for k, v in getattr(ours, other).tensors().items()}
            if step:
                getattr(plain, other).load(tensors)
        plain.step, plain.images = ours.step, ours.images
        batch = batch_on("cuda", step, labels=ours.config.system != "info")
        with arithmetic("float32", torch.device("cuda")), monkeypatch.context() as patch:
            logs = [train_step(ours, batch, passes_of)]
            patch.setattr(streams, "second_stream", torch.cuda.current_stream)
            logs.append(train_step(plain, batch, Passes))
        assert logs[0].keys() == logs[1].keys()
        assert ("r1" in logs[0]) == (step % ours.config.r1_interval == 0)
        for name, value in logs[0].items():
            torch.testing.assert_close(value, logs[1][name], rtol=1e-3, atol=1e-4)
            kept.append((value, float(value)))
        for key in ("opt_G", "opt_D", "opt_E"):
            one, two = (getattr(s, key).unit.grad for s in (ours, plain))
            assert (one - two).norm() < 2e-3 * two.norm(), (step, key)
    assert all(float(value) == then for value, then in kept)  # no later step writes into what an earlier one gave


def test_a_gpu_computes_what_a_cpu_does() -> None:
    states = [state_on("cpu", label_noise=0.0), state_on("cuda", label_noise=0.0)]
    logs = []
    for state, device in zip(states, ("cpu", "cuda"), strict=True):
        with arithmetic("float32", torch.device(device)):
            logs.append(train_step(state, batch_on(device, 0)))
    for name, value in logs[0].items():
        torch.testing.assert_close(value, logs[1][name].cpu(), rtol=1e-3, atol=1e-4)


@pytest.mark.skipif(not stand_in, reason="only what stands in for a GPU counts")
@pytest.mark.parametrize("graphs", [True, False])
def test_no_step_waits_for_the_gpu(graphs: bool) -> None:
    state = state_on("cuda", cuda_graphs=graphs, shift=0.25, shift_keeps="a", tint=1.0, tint_keeps="b")
    passes_of = passes_for(state, torch.device("cuda"))
    batches = [batch_on("cuda", i) for i in range(6)]
    train_step(state, batches[0], passes_of)  # which records
    before = stand_in.host_waits()
    for batch in batches[1:]:
        train_step(state, batch, passes_of)
    assert stand_in.host_waits() == before


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"precision": "bfloat16"},
        {"cuda_graphs": False},
        {"device": LAST},
        {"micro_batch": 4},
        {"backbone": "stylegan", "grow_kimg": 0.008},
    ],
    ids=str,
)
def test_a_run_trains_stops_goes_on_and_is_measured(tmp_path: Path, sprites_zip: Path, fields: dict[str, Any]) -> None:
    own = {"kimg": 0.064, "label_fraction": 0.1, "tick_kimg": 0.016, "snap_kimg": 0.032, **fields}
    config = TrainConfig.preset("semi", str(sprites_zip), str(tmp_path / "run"), **own)

    def stop(folder: Path, kimg: float) -> None:
        if kimg < 0.05:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train(config, stop)
    run = train(dataclasses.replace(config, cuda_graphs=not config.cuda_graphs))
    assert torch.cuda.current_device() == 0  # as before
    rows = read_jsonl(run.path / "stats.jsonl")
    assert rows[-1]["kimg"] == 0.064
    assert all(np.isfinite(v) for row in rows for v in row.values())
    found = evaluate(run.path, metrics=("mig", "l2"), images=200, device=fields.get("device", "cuda"))
    assert 0 <= found["mig"] <= 1


def test_features_of_inception_are_those_of_the_cpu(tmp_path: Path) -> None:
    torch.manual_seed(0)
    save_file(InceptionNetwork().state_dict(), file := tmp_path / "inception.safetensors")
    images = torch.randint(0, 256, (4, 3, 16, 16), dtype=torch.uint8)
    with arithmetic("float32", torch.device("cuda")):
        features = Inception(file, device=torch.device("cuda")).features(images)
    np.testing.assert_allclose(features, Inception(file).features(images), rtol=1e-2, atol=1e-3)


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason="one GPU")
def test_two_gpus_make_the_model_of_one(tmp_path: Path, sprites_zip: Path) -> None:
    def trained(name: str, processes: int) -> dict[str, torch.Tensor]:
        options = ["--kimg", "0.016", "--label-fraction", "0.1", "--snap-kimg", "0.008", "--precision", "float32"]
        command = ["semistylegan", "train", "--data", str(sprites_zip), "--out", name, "--device", "cuda", *options]
        assert launch([sys.executable, "-m", *command], processes) == 0
        return load_file(Path(name) / "checkpoint-000000.008" / "train-state.safetensors")

    one, two = trained(str(tmp_path / "one"), 1), trained(str(tmp_path / "two"), 2)
    for name in ("opt_G.exp_avg", "opt_D.exp_avg", "opt_E.exp_avg"):  # with beta1 0 these are gradients
        torch.testing.assert_close(one[name], two[name], rtol=1e-3, atol=1e-4 * float(one[name].abs().max()))


def test_commands_draw_read_and_edit_there(tmp_path: Path) -> None:
    drawn, rooms, read, edited, rows = (str(tmp_path / n) for n in ("drawn", "rooms", "read.csv", "edited", "rows.png"))
    commands = [
        ["generate", "sprites", "--set", "hue=90", "--count", "2", "--out", drawn],
        ["traverse", "sprites", "--out", rows],
        ["encode", "sprites", drawn, "--csv", read],
        ["edit", "sprites", drawn, "--set", "shape=ring", "--steps", "2", "--out", edited],
        ["generate", "kitchen", "--count", "2", "--out", rooms],
        ["edit", "kitchen-editor", rooms, "--set", "wall_color=1", "--out", edited],
    ]
    for command in commands:
        assert main([*command, "--device", LAST]) == 0, command
    assert len(list(Path(edited).glob("*.png"))) == 2 and len(Path(read).read_text().splitlines()) == 3


@pytest.mark.parametrize("device", ["cuda", LAST])
def test_a_model_draws_reads_and_edits_there_as_on_the_cpu(device: str) -> None:
    here, there = load("sprites"), load("sprites", device)
    images = here.generate({"shape": "ring"}, seed=3, count=40)

    def far(a: Any, b: Any) -> int:
        return int(np.abs(a.astype(int) - b.astype(int)).max())

    assert far(there.generate({"shape": "ring"}, seed=3, count=40), images) <= 8
    readings = there.encode(images)
    for name, values in here.encode(images).items():
        same = values == readings[name] if values.dtype.kind == "U" else np.isclose(values, readings[name], atol=0.02)
        assert np.mean(same) > 0.9, name
    for (_, _, a), (_, _, b) in zip(here.traverse(seed=1), there.traverse(seed=1), strict=True):
        assert far(a, b) <= 8
    assert there.edit(images[0], {"hue": 90.0}, steps=3).shape == images[0].shape
