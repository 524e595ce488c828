"""FlatAdam is Adam with a rate a parameter."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from semistylegan.models.layers import Conv, Linear
from semistylegan.training.optimiser import FlatAdam


class Small(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.linear = Conv(3, 8, 3, gain=1.4), Linear(8, 2, lr=0.1)
        self.const = nn.Parameter(torch.randn(2))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.linear(self.conv(x).mean(dim=(2, 3))) * self.const  # type: ignore[no-any-return]


def small() -> Small:
    torch.manual_seed(0)
    return Small().to(memory_format=torch.channels_last)  # type: ignore[call-overload, no-any-return]


@pytest.mark.parametrize("beta", [0.0, 0.9])
def test_it_is_adam_on_weights_of_unit_variance(beta: float) -> None:
    """Against torch's Adam on unit weights that are scaled at run time: the usual way of equalised layers."""
    ours, mirror = small(), small()
    optimiser = FlatAdam(ours, 0.01, (beta, 0.99))
    rates = {
        "conv.weight": ours.conv.rates["weight"],
        "conv.bias": 1.4,
        "linear.weight": ours.linear.rates["weight"],
        "linear.bias": 0.1,
        "const": 1.0,
    }
    unit = {name: nn.Parameter(p.detach() / rates[name]) for name, p in mirror.named_parameters()}
    adam = torch.optim.Adam(unit.values(), 0.01, (beta, 0.99))
    generator = torch.Generator().manual_seed(1)
    for step in range(6):
        x = torch.randn(4, 3, 5, 5, generator=generator)
        optimiser.zero_grad()
        ours(x).square().sum().backward()
        optimiser.collect()
        optimiser.step(factor=0.5 if step > 3 else 1.0)
        adam.param_groups[0]["lr"] = 0.005 if step > 3 else 0.01
        adam.zero_grad()
        used = {name: p * rates[name] for name, p in unit.items()}
        torch.func.functional_call(mirror, used, (x,)).square().sum().backward()  # type: ignore[no-untyped-call]
        adam.step()
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, unit[name] * rates[name], rtol=1e-4, atol=1e-6)


def test_a_shared_module_belongs_to_one_optimiser() -> None:
    network = small()
    rest = FlatAdam(network, 0.01, (0.0, 0.99), leave_out=network.conv)
    assert sum(p.numel() for p in rest.parameters) == sum(p.numel() for p in network.linear.parameters()) + 2
    before = network.conv.weight.detach().clone()
    network(torch.randn(4, 3, 5, 5)).sum().backward()
    rest.collect()
    rest.step()
    assert torch.equal(network.conv.weight, before)


def test_what_is_saved_goes_on_bit_for_bit_and_other_shapes_are_refused() -> None:
    first, second = small(), small()
    optimisers = [FlatAdam(n, 0.01, (0.9, 0.99)) for n in (first, second)]
    x = torch.randn(4, 3, 5, 5)

    def step(network: Small, optimiser: FlatAdam) -> None:
        optimiser.zero_grad()
        network(x).square().sum().backward()
        optimiser.collect()
        optimiser.step()

    step(first, optimisers[0])
    optimisers[1].load({key: value.detach().clone() for key, value in optimisers[0].tensors().items()})
    for network, optimiser in zip((first, second), optimisers, strict=True):
        step(network, optimiser)
    assert torch.equal(optimisers[0].used, optimisers[1].used)
    assert torch.equal(first.conv.weight, second.conv.weight)
    with pytest.raises(RuntimeError):
        optimisers[1].load({**optimisers[0].tensors(), "unit": torch.zeros(3)})
    with pytest.raises(KeyError):
        optimisers[1].load({})


def test_a_weight_without_a_gradient_counts_as_one_with_gradient_zero() -> None:
    """Whatever its gradient was the time before."""
    network = small()
    optimiser = FlatAdam(network, 0.01, (0.0, 0.99))
    for loss in (network(torch.randn(4, 3, 5, 5)).square().sum(), network.linear.weight.square().sum()):
        optimiser.zero_grad()
        loss.backward()
        optimiser.collect()
    of = dict(zip(map(id, optimiser.parameters), optimiser.gradients, strict=True))
    assert not of[id(network.conv.weight)].any()
    torch.testing.assert_close(of[id(network.linear.weight)], 2 * network.linear.weight.detach())
    optimiser.zero_grad()
    optimiser.collect()
    assert not any(gradient.any() for gradient in optimiser.gradients)
