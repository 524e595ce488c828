"""GPUs that stand in where there are none (stand_in/): how strict they are, and all of test_gpu.py on them."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F

sys.path.append(str(Path(__file__).parent / "stand_in"))
import gpu_stand_in

there = pytest.mark.skipif(gpu_stand_in.library is None, reason="runs where test_all_that_needs_a_gpu starts it")
ONE, TWO = "cuda:0", "cuda:1"


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """For the tests of test_gpu.py, which may come next and allow no fault."""
    yield
    if gpu_stand_in.library is not None:
        torch.cuda.synchronize()
        gpu_stand_in.faults()


@pytest.mark.skipif(torch.cuda.is_available(), reason="a GPU is here, or what stands in for it")
@pytest.mark.skipif(
    bool(torch.version.cuda) or sys.platform != "linux", reason="it takes the place of CUDA in Linux's torch for CPUs"
)
@pytest.mark.timeout(1200)
def test_all_that_needs_a_gpu(pytestconfig: pytest.Config) -> None:
    try:
        made = gpu_stand_in.build(pytestconfig.cache.mkdir("gpu_stand_in"))
    except FileNotFoundError:
        pytest.skip("no C++ compiler: nothing stands in for GPUs")
    tests = [str(Path(__file__).with_name(name)) for name in ("test_gpu.py", "test_stand_in.py")]
    command = [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *tests]
    done = subprocess.run(command, env=gpu_stand_in.environment(made), capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-2_000:]


@there
@pytest.mark.parametrize(
    ("mix", "said"),
    [
        (lambda: torch.ones(2, device=ONE) + torch.ones(2), "same device"),
        (lambda: torch.ones(2, device=ONE) + torch.ones(2, device=TWO), "same device"),
        (lambda: torch.cat([torch.ones(2, device=ONE), torch.ones(2)]), "same device"),
        (lambda: F.conv2d(torch.ones(1, 1, 4, 4, device=ONE), torch.ones(1, 1, 3, 3)), "same device"),
        (lambda: torch.ones(2, device=ONE).numpy(), "host memory"),
        (lambda: torch.ones(2, device="cuda:2"), "invalid device"),
        (lambda: torch.randn(2, device=ONE, generator=torch.Generator()), "generator"),
    ],
)
def test_devices_do_not_mix(mix: Callable[[], Any], said: str) -> None:
    with pytest.raises((RuntimeError, TypeError), match=said):
        mix()


@there
def test_it_computes_what_the_cpu_does() -> None:
    def gradients(device: str) -> list[torch.Tensor]:
        generator = torch.Generator().manual_seed(0)
        x, w = (torch.randn(2, 4, 6, 6, generator=generator), torch.randn(4, 1, 3, 3, generator=generator))
        x, w = x.to(device).requires_grad_(), w.to(device).requires_grad_()
        y = F.leaky_relu(F.conv2d(x, w, padding=1, groups=4))[:, 1:].sum(dim=(2, 3))
        (slope,) = torch.autograd.grad(y.square().sum(), x, create_graph=True)
        slope.square().sum().backward()
        assert x.grad is not None and w.grad is not None and x.grad.device == torch.device(device)
        return [y, x.grad, w.grad]

    for here, other in zip(gradients("cpu"), gradients(TWO), strict=True):
        torch.testing.assert_close(here, other.cpu())


@there
def test_generators_are_its_own() -> None:
    def drawn(device: str, seed: int) -> list[float]:
        return torch.randn(3, device=device, generator=torch.Generator(device).manual_seed(seed)).tolist()

    assert drawn(ONE, 3) == drawn(ONE, 3) != drawn(ONE, 4)
    assert drawn(ONE, 3) != drawn("cpu", 3)  # as on a GPU, whose generator is another one
    state = torch.get_rng_state()
    torch.randn(3, device=ONE)
    assert torch.equal(torch.get_rng_state(), state)


@there
def test_streams_wait_or_race() -> None:
    one, other = torch.cuda.current_stream(), torch.cuda.Stream(ONE)

    def through_both(first: bool, last: bool) -> list[str]:
        x = torch.ones(4, device=ONE)
        if first:
            other.wait_stream(one)
        with torch.cuda.stream(other):
            x.mul_(2)
        if last:
            one.wait_stream(other)
        x.add_(1)
        torch.cuda.synchronize()
        return gpu_stand_in.faults()

    assert through_both(True, True) == []
    assert any("mul" in found and "fill_" in found for found in through_both(False, True))
    assert any("add" in found and "mul" in found for found in through_both(True, False))

    x = torch.ones(4, device=ONE)  # both halves of one vector at once
    other.wait_stream(one)
    x[:2].mul_(2)
    with torch.cuda.stream(other):
        x[2:].mul_(2)
    assert gpu_stand_in.faults() == []
    assert x.tolist() == [2, 2, 2, 2] and gpu_stand_in.faults() != []  # asked by a stream that has not waited


@there
def test_memory_is_not_used_again_too_early() -> None:
    one, other = torch.cuda.current_stream(), torch.cuda.Stream(ONE)

    def freed_while_in_use(waits: bool) -> list[str]:
        with torch.cuda.stream(other):
            x = torch.ones(4, device=ONE)
        one.wait_stream(other)
        y = x + 1  # in the first stream, and then the memory goes back to the other one
        del x
        if waits:
            other.wait_stream(one)
        with torch.cuda.stream(other):
            torch.zeros(4, device=ONE)
        torch.cuda.synchronize()
        assert y.tolist() == [2, 2, 2, 2]
        return gpu_stand_in.faults()

    assert freed_while_in_use(True) == []
    assert any("may still use" in found for found in freed_while_in_use(False))


@there
def test_a_graph_computes_nothing_until_it_is_replayed() -> None:
    x, stream, graph = torch.zeros(3, device=ONE), torch.cuda.Stream(ONE), torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        y = 2 * x + 1
        x.add_(1)
    assert y.isnan().all() and x.tolist() == [0, 0, 0]
    for i in range(3):
        graph.replay()
        assert y.tolist() == [2 * i + 1] * 3 and x.tolist() == [i + 1] * 3
    x.fill_(10)  # what is at its addresses
    graph.replay()
    assert y.tolist() == [21, 21, 21]
    assert gpu_stand_in.faults() == []


@there
def test_what_no_graph_records() -> None:
    x, mask, stream = torch.zeros(3, device=ONE), torch.ones(3, device=ONE) > 0, torch.cuda.Stream(ONE)

    def record(what: Callable[[], Any]) -> None:
        with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=stream):
            what()

    record(lambda: mask[torch.zeros(2, dtype=torch.long, device=ONE)])  # by numbers: its size is known
    copied, chosen = lambda: x.copy_(torch.ones(3)), lambda: x[mask]
    for asks in (x.sum().item, x.nonzero, x.cpu, torch.cuda.synchronize, copied, chosen):
        with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
            record(asks)

    def leaves_a_stream() -> None:
        apart = torch.cuda.Stream(ONE)
        apart.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(apart):
            x.clone()

    with pytest.raises(RuntimeError, match="unjoined work"):
        record(leaves_a_stream)
    gpu_stand_in.faults()
    with torch.cuda.stream(torch.cuda.Stream(ONE)), pytest.raises(RuntimeError, match="not permitted"):
        with torch.cuda.graph(torch.cuda.CUDAGraph(), stream=torch.cuda.Stream(ONE)):
            record(lambda: None)
