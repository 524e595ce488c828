"""Who hears Ctrl-C and SIGTERM, and who ends with whom."""

from __future__ import annotations

import contextlib
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]


@contextlib.contextmanager
def heard_by(handlers: Mapping[signal.Signals, Handler]) -> Iterator[None]:
    """Inside, these signals go to these handlers. Not in other threads than the main one: there nothing changes."""
    before = {}
    with contextlib.suppress(ValueError):  # not the main thread
        before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def end_with_parent(grace: float = 0.0) -> None:
    """Ends this process, one of a pool, when the one that started it has ended, even killed: else it waits for ever.

    Args:
        grace: seconds that it gets after a SIGTERM, at which a training writes its checkpoint; 0 for no such signal.
    """
    parent = multiprocessing.parent_process()
    assert parent is not None

    def follow() -> None:
        multiprocessing.connection.wait([parent.sentinel])
        if grace:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(grace)
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()
