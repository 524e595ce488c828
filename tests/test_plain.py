"""`train_step` is the step that plain code in double precision makes, over 20 steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from semistylegan.factors import Factor, FactorSpace
from semistylegan.models.config import ModelConfig
from semistylegan.training import TrainConfig
from semistylegan.training.state import TrainState
from semistylegan.training.step import Batch, LabelledBatch

SPACE = FactorSpace((Factor.scalar("a"), Factor.categorical("b", ("x", "y", "z")), Factor.circular("c")))


def plain_module() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "plain.py"
    spec = importlib.util.spec_from_file_location("plain", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state_and_batch(dtype: torch.dtype) -> tuple[TrainState, Batch]:
    config = TrainConfig.preset("semi", "none", "none", kimg=100.0, batch=4, labelled_batch=4).resolved(16)
    model = ModelConfig.of_size("tiny", 16, 3, SPACE.code_width)
    with plain_module().default_dtype(dtype):
        state = TrainState.create(config, model, SPACE, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)

    def images() -> torch.Tensor:
        return torch.randn(4, 3, 16, 16, generator=generator).to(dtype)

    codes = [SPACE.encode(SPACE.sample(4, generator)).to(dtype) for _ in range(2)]
    labelled = LabelledBatch(images(), codes[0], torch.ones(4, len(SPACE), dtype=torch.bool))
    return state, Batch(images(), codes[1], labelled)


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-10), (torch.float32, 1e-4)])
def test_the_step_is_the_plain_step_in_double_precision(dtype: torch.dtype, bound: float) -> None:
    for step, found in enumerate(plain_module().differences(*state_and_batch(dtype), steps=20)):
        assert found["images"] < bound, step
        second = step % 16 == 0 and dtype == torch.float32  # D's are second derivatives, with fewer digits
        for key in ("G", "E") if second else ("G", "D", "E"):
            assert found[key] < bound * (10 if dtype == torch.float32 else 1), (step, key)


def test_the_plain_encoder_reads_what_ours_reads_at_64_pixels() -> None:
    """From there on the head sees more maps."""
    config = TrainConfig.preset("semi", "none", "none").resolved(64)
    state = TrainState.create(config, ModelConfig.of_size("tiny", 64, 3, SPACE.code_width), SPACE, torch.device("cpu"))
    img = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert plain_module().relative(state.E(img), plain_module().Plain(state, torch.float32).read(img)) < 1e-5
