"""`train_step` is the step that plain code in double precision makes, over 20 steps."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
import torch

from semistylegan import losses
from semistylegan.factors import Factor, FactorSpace
from semistylegan.models.config import ModelConfig
from semistylegan.training import TrainConfig
from semistylegan.training.state import TrainState
from semistylegan.training.step import Batch, LabelledBatch, split, train_step

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
    torch.set_default_dtype(dtype)
    try:
        state = TrainState.create(config, model, SPACE, torch.device("cpu"))
    finally:
        torch.set_default_dtype(torch.float32)
    generator = torch.Generator().manual_seed(0)

    def images() -> torch.Tensor:
        return torch.randn(4, 3, 16, 16, generator=generator).to(dtype)

    codes = [SPACE.encode(SPACE.sample(4, generator)).to(dtype) for _ in range(2)]
    labelled = LabelledBatch(images(), codes[0], torch.ones(4, len(SPACE), dtype=torch.bool))
    return state, Batch(images(), codes[1], labelled)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return float((a.double() - b.double()).norm() / b.double().norm().clamp_min(1e-12))


@pytest.mark.parametrize(("dtype", "bound"), [(torch.float64, 1e-6), (torch.float32, 1e-4)])
def test_the_step_is_the_plain_step_in_double_precision(dtype: torch.dtype, bound: float) -> None:
    """In double precision both run on by themselves. In single precision the plain one starts each step from the
    weights that ours has reached: rounding apart, Adam follows the sign of gradients near zero."""
    module = plain_module()
    state, batch = state_and_batch(dtype)
    plain = module.Plain(state)
    seen: dict[str, torch.Tensor] = {}
    for name, optimiser in (("G", state.opt_G), ("D", state.opt_D), ("E", state.opt_E)):
        inner = optimiser.collect

        def collect(name: str = name, inner=inner, optimiser=optimiser) -> None:  # type: ignore[no-untyped-def]
            inner()
            assert optimiser.unit.grad is not None
            seen[name] = optimiser.unit.grad.clone()

        optimiser.collect = collect  # type: ignore[method-assign]

    def supervised(said: torch.Tensor, aim: torch.Tensor) -> torch.Tensor:
        assert batch.labelled is not None
        return losses.supervised(said, aim, batch.labelled.known_LF, SPACE, state.config.ce_weight)

    def unsupervised(said: torch.Tensor, code: torch.Tensor) -> torch.Tensor:
        return losses.unsupervised(said, code, SPACE, state.config.ce_weight)

    for step in range(20):
        if dtype == torch.float32:
            for key in ("G", "D", "E"):
                for name, value in getattr(state, key).named_parameters():
                    full = f"{key}.{name}"
                    plain.weights[full].data.copy_(value.detach() / plain.rates[full])
            for key, network in (("G", state.G_ema), ("E", state.E_ema)):
                for name, value in network.named_parameters():
                    plain.average[f"{key}.{name}"].copy_(value / plain.rates[f"{key}.{name}"])
        (part,) = split(state, batch)
        with torch.no_grad():
            fake = state.G(part.z_BZ, part.code_BC)
        slopes: dict[str, torch.Tensor] = {}
        update = plain.update

        def noting(key: str, loss, update=update, slopes=slopes) -> None:  # type: ignore[no-untyped-def]
            update(key, loss)
            names = [n for n in plain.weights if n.startswith(key)]
            slopes[key] = torch.cat([(plain.weights[n].grad / plain.rates[n]).flatten() for n in names])

        plain.update = noting
        fake_plain = plain.step(part, supervised, unsupervised)
        plain.update = update
        train_step(state, batch)
        assert relative(fake, fake_plain) < bound, step
        for key in ("G", "E") if step % 16 == 0 and dtype == torch.float32 else ("G", "D", "E"):
            optimiser = getattr(state, f"opt_{key}")
            own = [view.clone() for view in optimiser._views(seen[key])]
            ours = torch.cat([view.contiguous().flatten() for view in own])
            assert relative(ours, slopes[key]) < bound * (10 if dtype == torch.float32 else 1), (step, key)


def test_the_plain_encoder_reads_what_ours_reads_at_64_pixels() -> None:
    """From there on the head sees more maps."""
    config = TrainConfig.preset("semi", "none", "none").resolved(64)
    state = TrainState.create(config, ModelConfig.of_size("tiny", 64, 3, SPACE.code_width), SPACE, torch.device("cpu"))
    img = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        assert relative(state.E(img), plain_module().Plain(state, torch.float32).read(img)) < 1e-5
