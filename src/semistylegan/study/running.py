"""Training and measuring the runs of a study: one after the other, in a pool of processes, or on a Ray cluster."""

from __future__ import annotations

import contextlib
import json
import math
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass, replace
from itertools import islice
from multiprocessing import active_children, get_context
from multiprocessing.queues import Queue
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import torch

from semistylegan import files, progress
from semistylegan.data.cluster import joined
from semistylegan.data.dataset import Dataset
from semistylegan.data.storage import cores
from semistylegan.errors import UserError
from semistylegan.metrics.evaluate import (
    DEFAULT,
    METRICS,
    evaluate,
    metric_names,
    oracle_of,
    require_images,
    version_of,
)
from semistylegan.metrics.oracle import MIN_LABELLED, Oracle, oracle_for
from semistylegan.metrics.scores import VERSION
from semistylegan.models.checkpoint import WEIGHTS_FILE
from semistylegan.signals import end_with_parent, heard_by
from semistylegan.study.plan import Job, Study, Values
from semistylegan.study.plots import draw
from semistylegan.study.table import Result, to_csv, to_markdown
from semistylegan.training import Run, train
from semistylegan.training.device import pick_device
from semistylegan.training.feed import labels_and_space
from semistylegan.training.folder import other_step
from semistylegan.training.run import CONFIG
from semistylegan.training.scope import completed

WRITTEN = ("table.csv", "table.md", "plot.png", "trade-off.png", "report.html")
"""What stands in a study's folder beside its runs."""
SECONDS = 5.0
"""How often progress is looked for while runs go on elsewhere."""

OnResult = Callable[[Study, list[Result]], None]
"""Called after each run that ends, with all that have ended, in the order of the plan."""


@dataclass(frozen=True)
class Measure:
    """How every run of a study is measured."""

    metrics: tuple[str, ...]
    images: int


def sweep(
    data: Path | str,
    out: Path | str,
    over: Mapping[str, Values],
    seeds: Values = (0,),
    baselines: Sequence[str] = (),
    fields: Mapping[str, Any] | None = None,
    *,
    metrics: Sequence[str] = DEFAULT,
    images: int = 10_000,
    workers: int | None = None,
    cluster: Literal["ray"] | None = None,
    on_result: OnResult | None = None,
) -> list[Result]:
    """Trains and measures every setting of a study with every seed; what is done already is not done again.

    Writes `table.csv`, `table.md`, `plot.png` and `trade-off.png` into `out` whenever a run ends. A run that fails
    for a user's reason (a loss that is no longer finite, say) is told in the table and does not stop the others.

    Args:
        data, out, over, seeds, baselines, fields: see :meth:`Study.of`.
        metrics: what to measure, see `metrics.evaluate`; not `fid`, whose network a study does not take.
        images: on how many images, at most.
        workers: processes; None: one a core, or one a GPU where there is one.
        cluster: `ray` sends the runs to the cluster that RAY_ADDRESS names (else to this machine's cores); `data` and
            `out` must lie on a disk that all its machines share.
        on_result: called after each run.

    Returns:
        one result a run, in the order of the plan.

    Raises:
        UserError: a plan that cannot be, data that cannot be trained on, or every run failed.
        KeyboardInterrupt: after Ctrl-C; the runs have written their checkpoints, and the same call goes on.
    """
    study = Study.of(data, out, over, seeds, baselines, fields)
    if not (study.out / "runs").is_dir():
        files.require_own(study.out, WRITTEN)
    names = metric_names(metrics, fid=False)
    require_images(images)
    if workers is not None and workers < 1:
        raise UserError(f"--workers {workers}: at least 1 is needed")
    if cluster not in (None, "ray"):
        raise UserError(f"--cluster {cluster}: known is ray")
    oracle = prepare(study)
    measure = Measure(tuple(names), images)
    results = {job.config.out: kept for job in study.jobs if (kept := finished(job, measure, oracle)) is not None}
    todo = [job for job in study.jobs if job.config.out not in results]

    def told() -> list[Result]:
        ordered = [results[job.config.out] for job in study.jobs if job.config.out in results]
        write_tables(study, ordered)
        if on_result is not None:
            on_result(study, ordered)
        return ordered

    for result in ended(todo, measure, workers, cluster):
        results[result.job.config.out] = result
        told()
    ordered = told()
    if all(result.failed for result in ordered):
        raise UserError(f"{study.out}: every run failed; the first: {ordered[0].failed}")
    return ordered


def prepare(study: Study) -> Oracle | None:
    """Finds what would fail, before hours are spent, and trains the oracle that all runs share; says if there is none.

    Returns:
        the oracle; None where too few images have a label for one.

    Raises:
        UserError: data or settings that cannot be trained with, or runs of other settings in the same folder.
    """
    data = Dataset.open(study.jobs[0].config.data)
    data.require_trainable()
    for job in study.jobs:
        try:
            config = completed(job.config, data)
            labels_and_space(config, data)
        except UserError as error:
            raise UserError(f"{job.setting.name}: {error}") from None
        run = Run(Path(job.config.out))
        if (run.path / CONFIG).exists():
            if config.prior == "auto" or config.system == "info":  # what training decides from the labels
                config = replace(config, prior=run.config.prior)
            run.check_same(config, data.fingerprint())
            if moved := run.moved_end():
                fix = "A study compares runs of one plan: remove it, or give another --out"
                raise UserError(f"{run.path}: {moved} {fix}")
    oracle = oracle_for(data, pick_device(study.jobs[0].config.device))
    if oracle is None:
        few = f"{data.path}: {len(data.labels.labelled_rows)} images have a label, and scores need {MIN_LABELLED}"
        progress.console().print(f"{few}: most will be left out; label more images first", markup=False)
    return oracle


def write_tables(study: Study, results: Sequence[Result]) -> None:
    """The tables and pictures of what has ended so far."""
    files.write_text(study.out / "table.csv", to_csv(study, results))
    files.write_text(study.out / "table.md", to_markdown(study, results))
    for name, figure in draw(study, results).items():
        with files.atomic_path(study.out / f"{name}.png") as temporary:
            figure.savefig(temporary, dpi=160, metadata={"Software": None})


# -- one run --------------------------------------------------------------------------------------------------------


def finished(job: Job, measure: Measure, oracle: Oracle | None) -> Result | None:
    """The result of a run that is trained to its end and measured this way, by this oracle, if there is one, and this
    version of the measures."""
    try:
        run = Run(Path(job.config.out))
        metrics: dict[str, Any] = json.loads((run.path / "metrics.json").read_text(encoding="utf-8"))
        weights = files.sha256_of(run.checkpoint() / WEIGHTS_FILE)
        trained = metrics["kimg"] >= job.config.kimg
    except (OSError, ValueError, KeyError, TypeError, UserError):
        return None
    identity = {"weights_sha256": weights, "images": measure.images, "seed": 0}
    by = oracle_of(metrics)
    # Another machine's oracle of the same data differs by the rounding of its training.
    near = by is None if oracle is None else isinstance(by, float) and math.isclose(by, oracle.l2, rel_tol=0.01)
    same = near and all(metrics.get(key) == value for key, value in identity.items())
    asked = all(
        any(metrics.get(field) is not None for field in METRICS[name].fields)
        or f"{name} is left out" in metrics.get("note", "")
        for name in measure.metrics
    )
    if not (trained and same and asked and version_of(metrics) == VERSION):
        return None
    if note := other_step(run):
        progress.console().print(note, markup=False)
    return Result(job, metrics)


def done(job: Job, measure: Measure) -> Result:
    """Trains a run to its end and measures it."""
    try:
        run = train(job.config)
        data = Path(job.config.data)
        return Result(
            job, evaluate(run.path, measure.metrics, measure.images, device=job.config.device, data_path=data)
        )
    except UserError as error:
        return Result(job, {}, str(error))


def done_aside(job: Job, measure: Measure) -> Result:
    """:func:`done` in a worker: on a GPU of its own where there are some, with what it says in `seed-<n>.log`."""
    run = Path(job.config.out)
    files.make_folder(run.parent)
    here = replace(job, config=replace(job.config, device=DEVICE)) if DEVICE else job
    with (run.parent / f"{run.name}.log").open("a", encoding="utf-8") as log, contextlib.redirect_stderr(log):
        return replace(done(here, measure), job=job)


def kimg_of(job: Job) -> float:
    """How far a run is, by the last line of its `stats.jsonl`."""
    stats = Run(Path(job.config.out)).stats()
    return min(float(stats[-1]["kimg"]), job.config.kimg) if stats else 0.0


# -- many runs ------------------------------------------------------------------------------------------------------


def ended(
    jobs: Sequence[Job], measure: Measure, workers: int | None, cluster: Literal["ray"] | None
) -> Iterator[Result]:
    """Results as runs end, with progress: of each run where there is one process, else of all of them together."""
    gpus = gpus_of(jobs)
    count = min(workers or len(gpus) or cores(), len(jobs))
    if cluster is None and count <= 1:
        for i, job in enumerate(jobs, start=1):
            progress.console().print(
                f"Run {i} of {len(jobs)}: {job.setting.name}, seed {job.seed}", markup=False, style="bold"
            )
            ran = done(job, measure)
            yield ran
            if ran.failed:
                progress.console().print(outcome(ran), markup=False)
        return
    results = on_ray(jobs, measure) if cluster == "ray" else in_pool(jobs, measure, count, gpus)
    begun = sum(map(kimg_of, jobs))
    with progress.bar("training and measuring (kimg)", sum(job.config.kimg for job in jobs), begun) as advance:
        for result in results:
            if result is not None:
                advance.log(outcome(result))
                yield result
            now = sum(map(kimg_of, jobs))
            advance(now - begun)
            begun = now


def outcome(result: Result) -> str:
    """One line for the log."""
    what = f"failed: {result.failed}" if result.failed else "done"
    return f"{result.job.setting.name}, seed {result.job.seed}: {what}"


def in_pool(jobs: Sequence[Job], measure: Measure, count: int, gpus: Sequence[str]) -> Iterator[Result | None]:
    """Results as they come from `count` processes of this machine, which share its cores; None now and then.

    Raises:
        UserError: one of them was killed, by the system most likely.
    """
    context = get_context("spawn")
    devices: Queue[str] = context.Queue()
    for i in range(count):
        devices.put(gpus[i % len(gpus)] if gpus else "")
    threads = max(cores() // count, 1)
    with ProcessPoolExecutor(count, context, start_worker, (devices, threads)) as pool, forwarding():
        todo = iter(jobs)  # one job a process at a time: those that a pool has taken cannot be called off

        def submit(most: int) -> set[Future[Result]]:
            return {pool.submit(done_aside, job, measure) for job in islice(todo, most)}

        waiting = submit(count)
        try:
            while waiting:
                ready, waiting = wait(waiting, SECONDS, FIRST_COMPLETED)
                results = [future.result() for future in ready]
                waiting |= submit(len(ready))
                yield from results
                yield None
        except BrokenProcessPool:
            raise UserError(
                f"--workers {count}: a run's process died, perhaps for want of memory; "
                "the same command with fewer --workers goes on"
            ) from None
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def gpus_of(jobs: Sequence[Job]) -> list[str]:
    """The GPUs to share among the runs: all of them for the devices `auto` and `cuda`, one that was named, or none."""
    device = jobs[0].config.device if jobs else "cpu"
    if not torch.cuda.is_available() or not (device in ANY_GPU or device.startswith("cuda:")):
        return []
    return [device] if device not in ANY_GPU else [f"cuda:{i}" for i in range(torch.cuda.device_count())]


ANY_GPU = ("auto", "cuda")
"""Devices that leave open which GPU a run is given."""
GRACE = 60.0
"""Seconds that a worker gets to write its checkpoint when the study was killed."""
DEVICE = ""
"""In a worker of the pool: the GPU that it has for itself; nothing on a CPU."""


def start_worker(devices: Queue[str], threads: int) -> None:
    """Gives a worker its GPU, and its share of the cores; it ends with the parent, even where that is killed."""
    global DEVICE
    end_with_parent(GRACE)
    DEVICE = devices.get()
    torch.set_num_threads(threads)


@contextlib.contextmanager
def forwarding() -> Iterator[None]:
    """Inside, SIGTERM is handed on to the workers, which then write checkpoints, as they do after Ctrl-C."""

    def forward(number: int, frame: FrameType | None) -> None:
        for child in active_children():
            if child.pid is not None:
                os.kill(child.pid, number)
        raise KeyboardInterrupt

    with heard_by({signal.SIGTERM: forward}):
        yield


def on_ray(jobs: Sequence[Job], measure: Measure) -> Iterator[Result | None]:
    """Results as they come from a Ray cluster, a core (and a GPU where it has some) for each run; None now and then.

    Raises:
        UserError: Ray is not installed, the cluster cannot be reached, or its workers die again and again.
    """
    with joined() as ray:
        gpus = 1 if jobs and jobs[0].config.device in ANY_GPU and ray.cluster_resources().get("GPU") else 0
        remote = ray.remote(num_cpus=1, num_gpus=gpus)(done_aside)
        waiting = [remote.remote(job, measure) for job in jobs]
        while waiting:
            ready, waiting = ray.wait(waiting, timeout=SECONDS)
            yield from ray.get(ready)
            yield None
