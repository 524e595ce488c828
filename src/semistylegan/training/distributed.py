"""Several processes that train one model: who this one is, sums over all of them, and starting them here.

Each process computes its rows of every batch, the gradients are summed before each update (`optimiser.py`), and so all
hold the same weights at all times. The first one writes; nothing is sent but sums.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from types import FrameType

import torch
import torch.distributed as dist
from torch import Tensor

from semistylegan import progress
from semistylegan.errors import UserError
from semistylegan.signals import heard_by

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: the first may be measuring a snapshot. A death is noticed at once."""
GRACE = 20.0
"""Seconds that the others get to end by themselves when one process has died."""

LAUNCHER = "SEMISTYLEGAN_LAUNCHER"
"""Variable of the environment: the number of the process that started this one."""


class Lost(UserError):
    """Another process of this training has ended."""


def launched() -> bool:
    """Whether torchrun, or :func:`launch`, started this process as one of several."""
    return int(os.environ.get("WORLD_SIZE", "1")) > 1


def count() -> int:
    """Processes of this training; 1 without torchrun."""
    return dist.get_world_size() if dist.is_initialized() else 1


def rank() -> int:
    """Which of them this is, from 0. Process 0 writes."""
    return dist.get_rank() if dist.is_initialized() else 0


def orphaned() -> bool:
    """Whether :func:`launch` started this process and has died since: nobody is left to end it."""
    return os.environ.get(LAUNCHER, str(os.getppid())) != str(os.getppid())


def local_device(name: str) -> str:
    """`cuda` for the GPU of this process: torchrun starts one process a GPU."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{os.environ.get('LOCAL_RANK', '0')}" if name == "cuda" and launched() else name


@contextmanager
def joined(device: torch.device) -> Iterator[None]:
    """Inside, the processes that torchrun started know each other. NCCL sums what lies on GPUs, gloo the rest: in gloo
    a process notices that another one has ended, and no GPU is waited for."""
    if not launched() or dist.is_initialized():
        yield
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if device.type == "cuda" else "gloo", timeout=PATIENCE)
    try:
        wait()  # or one that ends at once ends the others while they still connect
        yield
    finally:
        dist.destroy_process_group()


def sum_(x: Tensor) -> Tensor:
    """Sums `x` over all processes, in place.

    Raises:
        Lost: another process has ended.
    """
    if count() > 1:
        try:
            dist.all_reduce(x)
        except RuntimeError as error:
            raise Lost(f"process {rank()} of {count()}: another one has ended ({str(error).splitlines()[0]})") from None
    return x


def any_(flag: bool) -> bool:
    """Whether `flag` holds in any process."""
    return flag if count() == 1 else bool(sum_(torch.tensor(float(flag))) > 0)


def wait() -> None:
    """Until all processes are here."""
    any_(False)


# -- starting them --------------------------------------------------------------------------------------------------


def launch(command: Sequence[str], processes: int, stdout: int | None = None) -> int:
    """Runs `command` in so many processes on this machine, as torchrun does; returns the exit status.

    They share the cores: unless OMP_NUM_THREADS is set, each computes with its part of this process's threads. Their
    output goes to the file descriptor `stdout` where it is given. What all say of the same error is printed once.

    Where one of them fails, the others are ended too, and the status is the failed one's. Where this process is killed,
    they end as after Ctrl-C.
    """
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(processes)}
    place[LAUNCHER] = str(os.getpid())
    place["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS") or str(max(torch.get_num_threads() // processes, 1))
    said = tempfile.TemporaryDirectory()
    place[progress.SAID] = said.name
    started = [
        subprocess.Popen(command, env={**os.environ, **place, "RANK": str(i), "LOCAL_RANK": str(i)}, stdout=stdout)
        for i in range(processes)
    ]

    def hand_on(number: int, frame: FrameType | None) -> None:
        for process in started:
            if process.poll() is None:
                process.send_signal(number)

    # Ctrl-C reaches the children by itself: each finishes its step and writes, and we wait for that.
    with said, heard_by({signal.SIGTERM: hand_on, signal.SIGINT: lambda number, frame: None}):
        return _watch(started)


def _watch(started: list[subprocess.Popen[bytes]]) -> int:
    """Waits for all; the status of the first that failed, else 0."""
    status, since = 0, 0.0
    while any(process.poll() is None for process in started):
        if not status and (failed := [p.returncode for p in started if p.returncode]):
            status, since = failed[0], time.monotonic()
        if status and time.monotonic() - since > GRACE:
            for process in started:
                process.kill()
        time.sleep(0.1)
    status = status or next((p.returncode for p in started if p.returncode), 0)
    return status if status >= 0 else 128 - status
