"""Where a training computes, and how: the device, its threads, its precision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

import torch

from semistylegan.errors import UserError
from semistylegan.training.config import TrainConfig


def pick_device(name: str) -> torch.device:
    """The device of that name; `auto` takes a GPU where there is one.

    Raises:
        UserError: not a device, or not here.
    """
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise UserError(f"--device {name}: no device is called so; give auto, cpu, cuda, cuda:1 or mps") from None
    try:
        torch.zeros(1, device=device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"--device {name}: not available here ({str(error).splitlines()[0]}); use cpu") from None
    return device


def current(device: torch.device) -> AbstractContextManager[Any]:
    """Inside, a GPU that has a number is the current one, whose streams, recordings and memory are meant."""
    return torch.cuda.device(device) if device.type == "cuda" and device.index is not None else nullcontext()


@contextmanager
def with_threads(count: int) -> Iterator[None]:
    """Inside, torch computes with so many threads; afterwards with as many as before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def arithmetic(precision: str, device: torch.device) -> Iterator[None]:
    """Inside, a GPU multiplies as `--precision` says (TF32 but with float32) and looks for its fastest convolutions;
    afterwards as before, so that what a process measures does not depend on what it trained."""
    cudnn, products = torch.backends.cudnn, torch.backends.cuda.matmul
    before = cudnn.allow_tf32, products.allow_tf32, cudnn.benchmark
    cudnn.allow_tf32 = products.allow_tf32 = precision != "float32"
    cudnn.benchmark = device.type == "cuda"
    try:
        yield
    finally:
        cudnn.allow_tf32, products.allow_tf32, cudnn.benchmark = before


def about_precision(config: TrainConfig, device: torch.device) -> str | None:
    """What to know of `--precision` on this CPU, where torch knows it: one with matrix units for bfloat16 is twice as
    fast with it, one with its vector instructions alone was slower (docs/results/speed.md)."""
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    if device.type != "cpu" or capabilities.get("architecture") != "x86_64":
        return None
    if config.precision == "bfloat16":
        slow = not capabilities.get("amx_bf16")
        return "--precision bfloat16: this CPU has no matrix units for it, and may well be slower" if slow else None
    if capabilities.get("amx_bf16") and config.size != "tiny":
        return "this CPU has matrix units for bfloat16: --precision bfloat16 takes about half the time"
    return None
