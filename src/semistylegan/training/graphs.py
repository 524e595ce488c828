"""A step's backward passes as CUDA graphs: recorded once, replayed with one call each.

Launching the thousand kernels of a step of small networks takes a GPU's host several times as long as computing them
takes the GPU. A graph launches them all at once. It repeats the same kernels on the same addresses, so a recording owns
copies of what a step sees and each step copies its own into them. Updates of weights, whose rates change, stay outside.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from semistylegan.training import distributed
from semistylegan.training.objective import gamma_e_now
from semistylegan.training.parts import LabelledBatch, Part
from semistylegan.training.state import TrainState
from semistylegan.training.step import Passes, PassesOf
from semistylegan.training.streams import recording_stream

WARM_UP = 3
"""Times that the passes run before they are recorded: libraries choose their kernels meanwhile."""


def passes_for(state: TrainState, device: torch.device) -> PassesOf:
    """How a training on `device` computes its passes."""
    config = state.config
    recorded = device.type == "cuda" and config.cuda_graphs
    counts = config.mix_with == "labelled" and distributed.count() > 1  # all processes count within a pass
    plain = config.backbone != "stylegan2" or config.micro_batch or counts
    return Recorder() if recorded and not plain else Passes


class Recorder:
    """Gives each step the recorded passes, and records anew where shapes or weights of losses have changed."""

    def __init__(self) -> None:
        self.key: Any = None
        self.recorded: Recorded | None = None

    def __call__(self, state: TrainState, parts: list[Part]) -> Passes:
        (part,) = parts
        key = ([tensor.shape for tensor in tensors_of(part)], gamma_e_now(state))
        if self.recorded is None or key != self.key:
            self.recorded = None  # its memory goes first
            self.recorded, self.key = Recorded(state, part), key
        self.recorded.show(part)
        return self.recorded


class Recorded(Passes):
    """The passes of one state, recorded."""

    def __init__(self, state: TrainState, part: Part) -> None:
        self.own = copy_of(part)
        super().__init__(state, [self.own])
        device = part.real_BCHW.device
        stream = recording_stream(device)
        stream.wait_stream(torch.cuda.current_stream(device))
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP):
                for run in self._passes():
                    run()
        torch.cuda.current_stream(device).wait_stream(stream)
        super().__init__(state, [self.own])  # a fresh log, and no graph of the warm-up
        self.forget_gradients()
        self.graphs: list[torch.cuda.CUDAGraph] = []
        # One pool, always recorded and replayed in one order: a pass reads what the ones before it have left there.
        pool = torch.cuda.graph_pool_handle()
        for run in self._passes():
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph, pool=pool, stream=stream, capture_error_mode="thread_local"):
                run()
            self.graphs.append(graph)
        self.fakes = []
        self.penalised = False
        self.forget_gradients()

    def _passes(self) -> list[Any]:
        penalty = [super().of_penalty] if self.state.config.r1_gamma else []
        return [super().of_D_and_E, *penalty, super().of_G]

    def forget_gradients(self) -> None:
        """The optimisers hold them in vectors of their own."""
        for optimiser in (self.state.opt_G, self.state.opt_D, self.state.opt_E):
            optimiser.zero_grad()

    def show(self, part: Part) -> None:
        """Makes the next replay compute this part."""
        for own, given in zip(tensors_of(self.own), tensors_of(part), strict=True):
            own.copy_(given)

    def of_D_and_E(self) -> None:
        self.penalised = False
        self.graphs[0].replay()

    def of_penalty(self) -> None:
        self.penalised = True
        self.graphs[1].replay()

    def of_G(self) -> None:
        self.graphs[-1].replay()

    def losses(self) -> dict[str, Tensor]:
        """Copies: the next replay overwrites what the log holds."""
        names = [name for name in self.log.means if self.penalised or name != "r1"]
        return dict(zip(names, torch.stack([self.log.means[name] for name in names]).unbind(), strict=True))


def named_tensors(of: Part | LabelledBatch) -> dict[str, Any]:
    """Field -> its tensor."""
    fields = {field.name: getattr(of, field.name) for field in dataclasses.fields(of)}
    return {name: value for name, value in fields.items() if isinstance(value, Tensor)}


def tensors_of(part: Part) -> list[Tensor]:
    """What a part is made of, its labelled images too."""
    labelled = {} if part.labelled is None else named_tensors(part.labelled)
    return [*named_tensors(part).values(), *labelled.values()]


def copy_of(part: Part) -> Part:
    """The same numbers at addresses of their own."""
    labelled = part.labelled
    if labelled is not None:
        labelled = LabelledBatch(**{name: x.clone() for name, x in named_tensors(labelled).items()})
    return Part(labelled=labelled, **{name: x.clone() for name, x in named_tensors(part).items()})
