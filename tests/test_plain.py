"""`train_step` is the step that plain code in double precision makes, over 20 steps."""

from __future__ import annotations

import importlib.util
import json
import statistics
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from semistylegan.factors import Factor, FactorSpace
from semistylegan.training import TrainConfig
from semistylegan.training.parts import Batch, LabelledBatch
from semistylegan.training.state import TrainState

SPACE = FactorSpace((Factor.scalar("a"), Factor.categorical("b", ("x", "y", "z")), Factor.circular("c")))


def plain_module() -> ModuleType:
    path = Path(__file__).parents[1] / "benchmarks" / "plain.py"
    spec = importlib.util.spec_from_file_location("plain", path)
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def state_and_batch(dtype: torch.dtype, gamma_doubt: float, keeps: str) -> tuple[TrainState, Batch]:
    fields = {"kimg": 100.0, "batch": 4, "labelled_batch": 4, "gamma_doubt": gamma_doubt}
    fields |= {"shift": 0.25, "shift_keeps": keeps, "tint": 1.0, "tint_keeps": keeps}
    config = TrainConfig.preset("semi", "none", "none", **fields).resolved(16)
    with plain_module().default_dtype(dtype):
        state = TrainState.create(config, config.networks(16, 3, SPACE.code_width), SPACE, torch.device("cpu"))
    generator = torch.Generator().manual_seed(0)

    def images() -> torch.Tensor:
        return torch.randn(4, 3, 16, 16, generator=generator).to(dtype)

    codes = [SPACE.encode(SPACE.sample(4, generator)).to(dtype) for _ in range(2)]
    labelled = LabelledBatch(images(), codes[0], torch.ones(4, len(SPACE), dtype=torch.bool))
    return state, Batch(images(), codes[1], labelled)


@pytest.mark.parametrize(("gamma_doubt", "keeps"), [(0.0, "none"), (0.2, "b,c")])
@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_the_step_is_the_plain_step_in_double_precision(dtype: torch.dtype, gamma_doubt: float, keeps: str) -> None:
    found = list(plain_module().differences(*state_and_batch(dtype, gamma_doubt, keeps), steps=20))
    for key in ("images", "G", "D", "E"):
        steps = [step[key] for step in found]
        if dtype == torch.float64:
            assert max(steps) < 1e-10, key
        else:  # now and then rounding turns a leaky ReLU to its other side, in the plain step as in ours
            assert statistics.median(steps) < 1e-5 and max(steps) < 1e-2, key
    assert max(step["images"] for step in found) < 1e-5


def test_the_plain_encoder_reads_what_ours_reads_at_64_pixels() -> None:
    """From there on the head sees more maps."""
    config = TrainConfig.preset("semi", "none", "none").resolved(64)
    state = TrainState.create(config, config.networks(64, 3, SPACE.code_width), SPACE, torch.device("cpu"))
    img = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        said = plain_module().Plain(state, torch.float32).read(img)
        for ours, plain in zip(state.E.codes(state.E.trunk(img)), said, strict=True):
            assert plain_module().relative(ours, plain) < 1e-5


def test_the_benchmark_times_what_it_says(tmp_path: Path) -> None:
    script, out = Path(__file__).parents[1] / "benchmarks" / "train_step.py", tmp_path / "step.json"
    methods = ["ours", "bfloat16", "eager", "plain", "public", "public_bfloat16"]
    words = ["--resolutions", "16", "--width", "8", "--batch", "4", "--rounds", "1", "--methods", ",".join(methods)]
    words += ["--shift-keeps", "shape", "--tint-keeps", "scale", "--gamma-doubt", "0.2", "--json", str(out)]
    done = subprocess.run([sys.executable, str(script), *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    rows = json.loads(out.read_text(encoding="utf-8"))["rows"]
    assert [row["method"] for row in rows] == methods
    assert all(row["seconds_per_kimg"] > 0 and row["of_public"] > 0 for row in rows)
