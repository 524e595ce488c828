"""In which order a step waits for what runs beside it. What overlaps needs a GPU: tests/test_gpu.py."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest
import torch

from semistylegan import losses
from semistylegan.factors import FactorSpace
from semistylegan.training import TrainConfig, objective, step
from semistylegan.training.parts import Batch, LabelledBatch
from semistylegan.training.state import TrainState
from semistylegan.training.step import train_step
from semistylegan.training.streams import Aside, to_device

SPACE = FactorSpace.grid({"a": 3, "b": 4})
LOOK = ["aside", "look", "look", "join", "loss"]
"""E beside D, then what both say is used."""


def begun(preset: str) -> tuple[TrainState, Batch]:
    fields = {"batch": 4, "labelled_batch": 4, "r1_gamma": 0.0, "gamma_rec": 0.0, "gamma_doubt": 0.0}
    config = TrainConfig.preset(preset, "none", "none", **fields).resolved(16)
    img, code, known = torch.zeros(4, 3, 16, 16), torch.zeros(4, 2), torch.ones(4, 2, dtype=torch.bool)
    state = TrainState.create(config, config.networks(16, 3, SPACE.code_width), SPACE, torch.device("cpu"))
    return state, Batch(img, code, LabelledBatch(img, code, known))


@pytest.mark.parametrize(
    ("preset", "first"),
    [
        ("semi", ["aside", "read", "generate", "join"]),  # E's reading beside G
        ("fine", ["aside", "read", "join", "generate", "join"]),  # G is told what is read
    ],
)
def test_nothing_that_is_computed_beside_is_used_before_the_join(
    preset: str, first: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    class Seen(Aside):
        def __enter__(self) -> Aside:
            events.append("aside")
            return super().__enter__()

        def join(self) -> None:
            events.append("join")
            super().join()

    def tell(module: ModuleType | type, name: str, event: str) -> None:
        whole = getattr(module, name)

        def told(*given: Any) -> Any:
            events.append(event)
            return whole(*given)

        monkeypatch.setattr(module, name, told)

    state, batch = begun(preset)
    for module in (step, objective):
        monkeypatch.setattr(module, "Aside", Seen)
    tell(step, "read_once", "read")
    tell(step, "generate", "generate")
    for network in (state.D, state.E):
        network.trunk.register_forward_pre_hook(lambda *_: events.append("look"))
    tell(losses, "supervised", "loss")
    tell(losses, "unsupervised", "loss")
    train_step(state, batch)
    assert events == [*first, *LOOK, *LOOK]


def test_a_tensor_that_is_there_is_not_copied() -> None:
    x = torch.arange(6.0)
    assert to_device(x, torch.device("cpu")) is x
    assert to_device(x, torch.device("meta")).device.type == "meta"
