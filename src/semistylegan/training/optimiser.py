"""Adam on one flat vector a network: one call for all layers, one vector to average over processes."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from semistylegan.training import distributed


class FlatAdam:
    """Adam (Kingma and Ba 2015) on all weights of a network at once, with the layers' own rates.

    The network's weights become views of one vector. What Adam moves is that vector divided by the rates, which is how
    "equalised learning rate" stores weights (`models/layers.py`): every entry has about unit variance, and one rate and
    one epsilon fit all. A weight that got no gradient counts as one with gradient zero.
    """

    def __init__(
        self, network: nn.Module, lr: float, betas: tuple[float, float], leave_out: nn.Module | None = None
    ) -> None:
        """Args: `leave_out`: a module whose weights are not this optimiser's, though the network may share them."""
        others = {id(p) for p in leave_out.parameters()} if leave_out else set()
        self.parameters: list[nn.Parameter] = []
        rates = []
        for module in network.modules():
            own: dict[str, float] = getattr(module, "rates", {})
            for name, parameter in module.named_parameters(recurse=False):
                if id(parameter) not in others:
                    self.parameters.append(parameter)
                    rates.append(own.get(name, 1.0))
        device, sizes = self.parameters[0].device, [p.numel() for p in self.parameters]
        self.lr, self.used = lr, torch.empty(sum(sizes), device=device)
        self.rate = torch.repeat_interleave(torch.tensor(rates), torch.tensor(sizes)).to(device)
        for parameter, view in zip(self.parameters, self._views(self.used), strict=True):
            parameter.data = view.copy_(parameter.data)
        self.unit = nn.Parameter(self.used / self.rate)
        self.unit.grad = torch.zeros_like(self.used)
        self.gradients = self._views(self.unit.grad)
        self.adam = torch.optim.Adam([self.unit], lr, betas, fused=True)

    def _views(self, flat: Tensor) -> list[Tensor]:
        """One view of `flat` a parameter, of its shape and memory layout."""
        views, start = [], 0
        for parameter in self.parameters:
            views.append(flat.as_strided(parameter.shape, parameter.stride(), start))
            start += parameter.numel()
        return views

    def zero_grad(self) -> None:
        for parameter in self.parameters:
            parameter.grad = None

    @torch.no_grad()
    def step(self, factor: float = 1.0) -> None:
        """One update from the collected gradients, summed over all processes. `factor`: on the learning rate."""
        assert self.unit.grad is not None
        distributed.sum_(self.unit.grad).mul_(self.rate)
        self.adam.param_groups[0]["lr"] = self.lr * factor
        self.adam.step()
        torch.mul(self.unit, self.rate, out=self.used)

    def forget(self) -> None:
        """Drops what Adam has seen of the gradients."""
        self.adam.state.clear()

    @torch.no_grad()
    def collect(self, add: bool = False) -> None:
        """Gathers the gradients of all parameters in the flat vector, for :meth:`step`; with `add` on top of those that
        are there."""
        pairs = [(view, p.grad) for view, p in zip(self.gradients, self.parameters, strict=True) if p.grad is not None]
        assert self.unit.grad is not None
        if len(pairs) < len(self.parameters) and not add:
            self.unit.grad.zero_()
        if pairs:
            gather = torch._foreach_add_ if add else torch._foreach_copy_
            gather([view for view, _ in pairs], [gradient for _, gradient in pairs])

    def tensors(self) -> dict[str, Tensor]:
        """What a checkpoint keeps: the vector and Adam's state."""
        return {"unit": self.unit, **self.adam.state[self.unit]}

    @torch.no_grad()
    def load(self, tensors: dict[str, Tensor]) -> None:
        """Takes over what :meth:`tensors` gave, bit for bit. KeyError or RuntimeError where it does not fit."""
        self.unit.copy_(tensors["unit"])
        for key, value in tensors.items():
            if key == "step":
                self.adam.state[self.unit][key] = value.to(self.unit.device)
            elif key != "unit":
                self.adam.state[self.unit][key] = torch.empty_like(self.unit).copy_(value)
        torch.mul(self.unit, self.rate, out=self.used)
