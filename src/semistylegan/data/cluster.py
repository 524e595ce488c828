"""A Ray cluster, and chunks of a data set over it.

The same bytes as here: what is rendered comes back and is written here. So the machines need no common disk. A worker
that dies costs the chunks in its hands: Ray gives them to another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from semistylegan.errors import UserError

Result = TypeVar("Result")
RETRIES = 5
"""How often a chunk is given to another worker when one dies with it."""


@contextmanager
def joined() -> Iterator[Any]:
    """Ray, joined to the cluster that RAY_ADDRESS names; without it, to one on this machine, stopped at the end.

    Raises:
        UserError: Ray is not installed, the cluster cannot be reached, or workers die again and again; also what a
            task raised as one.
    """
    try:
        import ray
    except ImportError:
        raise UserError("--cluster ray: Ray is not installed; pip install 'semistylegan[cluster]'") from None
    ours = not ray.is_initialized()
    try:
        ray.init(ignore_reinit_error=True, log_to_driver=False, include_dashboard=False)
    except Exception as error:  # Ray raises plain ones, too: where its own processes do not start
        raise UserError(f"--cluster ray: {str(error).splitlines()[0]}; set RAY_ADDRESS to a running cluster") from None
    try:
        yield ray
    except ray.exceptions.RayTaskError as error:
        cause = error.cause
        raise (cause if isinstance(cause, UserError) else error) from None
    except (ray.exceptions.WorkerCrashedError, ray.exceptions.NodeDiedError, ray.exceptions.OutOfMemoryError) as error:
        raise UserError(
            "--cluster ray: workers died again and again over the same task, perhaps for want of memory "
            f"({str(error).splitlines()[0]}); the same command goes on"
        ) from None
    finally:
        if ours:
            ray.shutdown()


def over_ray(work: Callable[..., Result], tasks: Sequence[tuple[Any, ...]], workers: int | None) -> Iterator[Result]:
    """Runs `work(*task)` for each task on a Ray cluster, one core each; yields results as they come.

    Args:
        work: a function that every machine can import, or that stands in no module.
        tasks: its arguments.
        workers: tasks at a time; None means as many as the cluster has cores.

    Raises:
        UserError: see :func:`joined`.
    """
    with joined() as ray:
        cores = int(ray.cluster_resources().get("CPU", 1))
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(work)
        todo = list(reversed(tasks))
        # Two for each core: one in hand, one waiting. Not all at once: what comes back should be written meanwhile.
        at_a_time = workers or 2 * cores
        running = [remote.remote(*todo.pop()) for _ in range(min(at_a_time, len(todo)))]
        while running:
            ready, running = ray.wait(running)
            if todo:
                running.append(remote.remote(*todo.pop()))
            yield ray.get(ready[0])
