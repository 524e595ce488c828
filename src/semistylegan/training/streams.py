"""What lets a GPU's work overlap: copies to it that the host does not wait for, and a second stream.

On other devices everything runs in the order in which it is written.
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import Any

import torch
from torch import Tensor


def to_device(x: Tensor, device: torch.device) -> Tensor:
    """`x` there. From pinned memory: with any other the host first waits for all that a GPU has to do already."""
    if device.type != "cuda" or x.device.type != "cpu":
        return x.to(device)
    return x.pin_memory().to(device, non_blocking=True)


def finish(device: torch.device) -> None:
    """Waits for all that a GPU has to do already."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


class Aside:
    """`with Aside(device) as aside`: what stands inside may run beside what follows it, until `aside.join()`.

    The kernels of small networks leave most of a GPU free. What is read inside must not be changed or freed before the
    join, nor what is made inside used. Backward passes overlap as their forward passes did: autograd sees to that.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self.stream = second_stream(device) if device.type == "cuda" else None
        self.inside: AbstractContextManager[Any] = torch.cuda.stream(self.stream) if self.stream else nullcontext()

    def __enter__(self) -> Aside:
        if self.stream:
            self.stream.wait_stream(torch.cuda.current_stream(self.device))
        self.inside.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.inside.__exit__(kind, error, traceback)

    def join(self) -> None:
        if self.stream:
            torch.cuda.current_stream(self.device).wait_stream(self.stream)


@functools.cache
def second_stream(device: torch.device) -> torch.cuda.Stream:
    """The one beside the current one: always the same, whose memory is used again."""
    return torch.cuda.Stream(device)


@functools.cache
def recording_stream(device: torch.device) -> torch.cuda.Stream:
    """The one on which graphs are recorded: each stream keeps memory of its own for matrix products."""
    return torch.cuda.Stream(device)
