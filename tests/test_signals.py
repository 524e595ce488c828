"""Workers of a pool end with the process that started them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

PARENT = """
import multiprocessing, pathlib, queue, signal, sys, time
from semistylegan.data import rendering
from semistylegan.study import running

def told(*_):
    pathlib.Path(sys.argv[1], "told").touch()

def work():
    signal.signal(signal.SIGTERM, told)  # as a training does, which then writes its checkpoint
    START
    pathlib.Path(sys.argv[1], "ready").touch()
    time.sleep(100)

worker = multiprocessing.get_context("fork").Process(target=work)
worker.start()
print(worker.pid, flush=True)
time.sleep(100)
"""
DEVICES = "devices = queue.SimpleQueue(); devices.put(''); running.GRACE = 0.2; running.start_worker(devices, 1)"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="for systems that fork")
@pytest.mark.parametrize(("start", "signalled"), [("rendering._start_worker(None)", False), (DEVICES, True)])
def test_a_worker_ends_with_a_parent_that_is_killed(tmp_path: Path, start: str, signalled: bool) -> None:
    command = [sys.executable, "-c", PARENT.replace("START", start), str(tmp_path)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        worker, deadline = int(process.stdout.readline()), time.monotonic() + 60
        while not (tmp_path / "ready").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        process.send_signal(signal.SIGKILL)
    try:
        while alive(worker) and time.monotonic() < deadline:
            time.sleep(0.01)
        assert not alive(worker)
    finally:
        if alive(worker):
            os.kill(worker, signal.SIGKILL)
    assert (tmp_path / "told").exists() == signalled


def alive(pid: int) -> bool:
    """Whether that process runs still; one that has ended and that nobody has waited for does not."""
    said = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
    return bool(said) and not said.startswith("Z")
