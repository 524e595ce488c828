"""When a step's passes are recorded anew. What a recording computes needs a GPU: tests/test_gpu.py."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from semistylegan.factors import FactorSpace
from semistylegan.training import TrainConfig, graphs
from semistylegan.training.graphs import Recorder, passes_for, tensors_of
from semistylegan.training.parts import Part
from semistylegan.training.state import TrainState
from semistylegan.training.step import Passes

SPACE = FactorSpace.grid({"a": 3})


def state_at(progress: float, **fields: Any) -> TrainState:
    config = TrainConfig.preset("semi", "none", "none", **{"kimg": 1.0, "gamma_e": 1.0, "gamma_e_from": 0.5, **fields})
    config = config.resolved(16)
    state = TrainState.create(config, config.networks(16, 3, SPACE.code_width), SPACE, torch.device("cpu"))
    state.images = round(1000 * progress)
    return state


def part_of(rows: int, value: float) -> Part:
    img, code = torch.full((rows, 3, 16, 16), value), torch.zeros(rows, 1)
    return Part(
        img,
        code,
        torch.zeros(rows, 16),
        None,
        torch.ones(2, 0),
        torch.zeros(()),
        torch.zeros(rows, 1, dtype=torch.bool),
        torch.zeros(2, 0, dtype=torch.int64),
        torch.ones(0, 3, 4),
        torch.ones(0, 1, dtype=torch.bool),
    )


def test_passes_are_recorded_once_and_anew_where_they_change(monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[Any] = []

    class Stub(graphs.Recorded):
        def __init__(self, state: TrainState, part: Part) -> None:
            self.own = graphs.copy_of(part)
            made.append(self)

    monkeypatch.setattr(graphs, "Recorded", Stub)
    recorder, early, late = Recorder(), state_at(0.1), state_at(0.9)
    first = recorder(early, [part_of(4, 1.0)])
    again = part_of(4, 2.0)
    assert recorder(early, [again]) is first and len(made) == 1
    # Each step's own numbers are at the recording's addresses.
    for own, given in zip(tensors_of(made[0].own), tensors_of(again), strict=True):
        assert torch.equal(own, given) and own is not given
    assert recorder(early, [part_of(2, 1.0)]) is not first  # another shape
    assert recorder(late, [part_of(2, 1.0)]) is made[2]  # gamma_e has begun
    assert len(made) == 3


def test_a_cpu_records_nothing_and_a_gpu_not_what_changes_its_shape() -> None:
    cpu, gpu = torch.device("cpu"), torch.device("cuda")
    state = state_at(0.0)
    assert passes_for(state, cpu) is Passes
    assert isinstance(passes_for(state, gpu), Recorder)
    for fields in ({"cuda_graphs": False}, {"micro_batch": 4}, {"backbone": "stylegan"}):
        assert passes_for(state_at(0.0, **fields), gpu) is Passes
