"""Several processes: the same weights as one, one writer, a resume with another number, a death that is told."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from semistylegan.data.dataset import Dataset
from semistylegan.data.pictures import save_png
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.models.checkpoint import kimg_of
from semistylegan.training import TrainConfig, memory, train
from semistylegan.training.distributed import launch
from semistylegan.training.memory import check_parts, estimate, notes_on_batches, parts_possible, require_memory
from semistylegan.training.objective import Log, generate, loss_of_D_and_E, partners, read_once
from semistylegan.training.parts import Batch, LabelledBatch, split
from semistylegan.training.state import TrainState

SPACE = FactorSpace.grid({"a": 3, "b": 4})


def command(data: Path, out: Path, *options: str) -> list[str]:
    fixed = "--kimg 0.016 --label-fraction 0.1 --tick-kimg 0.008 --snap-kimg 0.008 --seed 3".split()  # noqa: SIM905
    return [sys.executable, "-m", "semistylegan", "train", "--data", str(data), "--out", str(out), *fixed, *options]


def alone(data: Path, out: Path, **other: object) -> None:
    """The same training in this process."""
    fields = {"kimg": 0.016, "label_fraction": 0.1, "tick_kimg": 0.008, "snap_kimg": 0.008, "seed": 3, **other}
    train(TrainConfig.preset("semi", str(data), str(out), **fields))


def saved(out: Path, kimg: str) -> dict[str, torch.Tensor]:
    return load_file(out / f"checkpoint-000000.{kimg}" / "train-state.safetensors")


def assert_same_training(one: Path, two: Path) -> None:
    """Gradients of the first step to rounding, and what two steps make of them.

    With beta1 = 0 the first moment is the gradient. Weights are held to less: Adam's first steps have the size of the
    learning rate (0.004 to 0.015) whatever that of the gradient, so a gradient near zero turns rounding into a step.
    """
    assert_same_gradients(one, two)
    a, b = saved(one, "016"), saved(two, "016")
    assert a.keys() == b.keys()
    for key in (key for key in a if not key.startswith("opt_")):
        torch.testing.assert_close(a[key], b[key], rtol=1e-3, atol=2e-4, msg=lambda m, key=key: f"{key}: {m}")


def assert_same_gradients(one: Path, two: Path) -> None:
    a, b = saved(one, "008"), saved(two, "008")
    for opt in ("opt_G", "opt_D", "opt_E"):
        largest = float(a[f"{opt}.exp_avg"].abs().max())
        torch.testing.assert_close(a[f"{opt}.exp_avg"], b[f"{opt}.exp_avg"], rtol=1e-3, atol=1e-5 * largest)


def stats(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "stats.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.mark.timeout(180)
def test_two_processes_make_the_model_of_one_and_go_on_as_one(
    sprites_zip: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Two steps as one process, as two, and one as two followed by one as one."""
    one, two = tmp_path / "one", tmp_path / "two"
    alone(sprites_zip, one)
    assert launch(command(sprites_zip, two), 2) == 0
    assert capfd.readouterr().out.splitlines() == [str(two)]
    assert_same_training(one, two)
    # One writer: every tick once, with the means over all rows, and no file that a single process does not leave.
    assert [row["kimg"] for row in stats(two)] == [0.008, 0.016]
    for name in ("loss_gan_d", "loss_gan_g", "loss_unsup", "loss_sr"):
        assert stats(one)[1][name] == pytest.approx(stats(two)[1][name], rel=1e-3)
    assert {p.name for p in two.iterdir()} == {p.name for p in one.iterdir()}

    shutil.rmtree(two / "checkpoint-000000.016")
    alone(sprites_zip, two)
    assert_same_training(one, two)


@pytest.mark.timeout(180)
def test_two_processes_make_the_weights_of_one_that_takes_the_batch_in_two_parts(
    sprites_zip: Path, tmp_path: Path
) -> None:
    """Over 50 steps, bit for bit: the same sums in the same order, whoever computes them."""
    one, two = tmp_path / "one", tmp_path / "two"
    alone(sprites_zip, one, micro_batch=4, kimg=0.4, tick_kimg=0.4, snap_kimg=0.4)
    assert launch(command(sprites_zip, two, "--kimg", "0.4", "--tick-kimg", "0.4", "--snap-kimg", "0.4"), 2) == 0
    a, b = saved(one, "400"), saved(two, "400")
    assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.timeout(180)
@pytest.mark.parametrize("mix_with", ["labelled", "unlabelled"])
def test_two_processes_make_the_model_of_one_where_labels_are_missing(
    sprites_zip: Path, tmp_path: Path, mix_with: str
) -> None:
    """Images that are mixed with each other may have no label in common, and one that is moved none that it keeps: one
    mean, over all processes' rows."""
    data, whole = tmp_path / "data", Dataset.open(sprites_zip)
    lines = ["file_name,scale,x"]
    for i, image in enumerate(whole.images(np.arange(32)).permute(0, 2, 3, 1).numpy()):
        save_png(data / f"{i:02d}.png", image)
        scale, x = (f"{value:.3f}" for value in whole.labels.level_NF[i, 2:4])
        lines.append(f"{i:02d}.png,{'' if i % 3 == 0 else scale},{'' if i % 3 == 1 else x}")
    (data / "metadata.csv").write_text("\n".join(lines) + "\n", encoding="utf-8")
    one, two = tmp_path / "one", tmp_path / "two"
    alone(data, one, label_fraction=1.0, mix_with=mix_with)
    assert launch(command(data, two, "--label-fraction", "1.0", "--mix-with", mix_with), 2) == 0
    assert_same_gradients(one, two)
    for first, second in zip(stats(one), stats(two), strict=True):
        for name in ("loss_sr", "loss_aug"):
            assert first[name] == pytest.approx(second[name], rel=1e-3)


@pytest.mark.parametrize(("given", "each"), [(None, "3"), ("5", "5")])
def test_processes_share_the_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str | None, each: str
) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    if given:
        monkeypatch.setenv("OMP_NUM_THREADS", given)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 7)
    with (tmp_path / "said").open("w") as said:
        # In one piece: both write into one file.
        tell = [sys.executable, "-c", "import os; os.write(1, os.environ['OMP_NUM_THREADS'].encode() + b' ')"]
        assert launch(tell, 2, said.fileno()) == 0
    assert (tmp_path / "said").read_text().split() == [each, each]


def test_what_all_processes_say_is_said_once(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-m", "semistylegan", "train", "--data", str(tmp_path / "nope.zip"), "--out", "x"]
    assert launch(command, 2) == 2
    assert capfd.readouterr().err.count("nope.zip") == 1


def test_none_goes_on_before_all_have_connected(tmp_path: Path) -> None:
    slow = """
import os, pathlib, sys, time, torch
import torch.distributed as dist
from semistylegan.training.distributed import joined
connect, there = dist.init_process_group, pathlib.Path(sys.argv[1])
def connects(*args, **options):
    connect(*args, **options)
    if os.environ["RANK"] == "1":
        time.sleep(1)
        there.touch()
dist.init_process_group = connects
with joined(torch.device("cpu")):
    sys.exit(not there.exists())
"""
    assert launch([sys.executable, "-c", slow, str(tmp_path / "there")], 2) == 0


def test_a_process_that_was_killed_has_the_status_that_shells_give_it() -> None:
    assert launch([sys.executable, "-c", "import os; os.kill(os.getpid(), 9)"], 1) == 128 + 9


@pytest.mark.timeout(120)
def test_a_process_that_dies_ends_the_others_and_leaves_a_good_checkpoint(sprites_zip: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    args = command(sprites_zip, out, "--kimg", "100")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        place = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free.getsockname()[1]), "WORLD_SIZE": "2"}
    log = (tmp_path / "log").open("w+", encoding="utf-8")
    ranks = [{**os.environ, **place, "RANK": str(i), "LOCAL_RANK": str(i)} for i in range(2)]
    started = [subprocess.Popen(args, env=ranks[i], stderr=log if i == 0 else subprocess.DEVNULL) for i in range(2)]
    try:
        until = time.monotonic() + 90
        while not list(out.glob("checkpoint-*")):
            assert time.monotonic() < until and all(p.poll() is None for p in started)
            time.sleep(0.1)
        started[1].send_signal(signal.SIGKILL)
        started[0].wait(timeout=30)
    finally:
        for process in started:
            process.kill()
            process.wait()
    log.seek(0)
    said = log.read()
    log.close()
    assert started[0].returncode == 2
    last = said.splitlines()[-1]
    assert "another one has ended" in last and "the same command goes on from" in last, said
    newest = sorted(out.glob("checkpoint-*"))[-1]
    assert newest.name in last and load_file(newest / "model.safetensors")


@pytest.mark.timeout(120)
def test_processes_whose_launcher_is_killed_end_with_a_checkpoint(sprites_zip: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    log = out / "stats.jsonl"
    args = command(sprites_zip, out, "--kimg", "100", "--snap-kimg", "100", "--processes", "2")
    launcher = subprocess.Popen(args, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        until = time.monotonic() + 90
        while not (log.exists() and log.read_text(encoding="utf-8").endswith("\n")):
            assert time.monotonic() < until and launcher.poll() is None
            time.sleep(0.1)
        assert not list(out.glob("checkpoint-*"))
        launcher.kill()
        _, said = launcher.communicate(timeout=30)  # which waits for all that hold its stderr
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(launcher.pid, signal.SIGKILL)
    (newest,) = out.glob("checkpoint-*")
    assert load_file(newest / "train-state.safetensors") and "Traceback" not in said
    assert stats(out)[-1]["kimg"] == pytest.approx(kimg_of(newest))


def config(**fields: object) -> TrainConfig:
    return TrainConfig.preset("semi", "none", "none", **fields).resolved(64)


@pytest.mark.parametrize(
    ("processes", "fields", "says"),
    [
        (1, {"batch": 8, "micro_batch": 3}, "--micro-batch 3: choose one of 8, 4"),
        (1, {"batch": 8, "micro_batch": 2}, "choose one of 8, 4"),
        (3, {"batch": 8}, "multiple of the 3 processes"),
        (4, {"batch": 8}, "give a multiple of 16"),
        (2, {"batch": 16, "labelled_batch": 2, "micro_batch": 4}, "choose one of 8"),
        (
            1,
            {"batch": 8, "labelled_batch": 5, "micro_batch": 4},
            "--micro-batch 4: --labelled-batch 5 cannot be cut along; choose one of 8$",
        ),
    ],
)
def test_a_batch_that_cannot_be_cut_is_refused(
    processes: int, fields: dict[str, int], says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.distributed, "count", lambda: processes)
    with pytest.raises(UserError, match=says):
        check_parts(config(**fields), 64)


@pytest.mark.parametrize(
    ("processes", "size", "fields"),
    [(2, 2, {}), (2, 10, {}), (3, 7 * 3, {}), (2, 6, {"gamma_cycle": 1.0}), (3, 9, {"gamma_cycle": 1.0})],
)
def test_a_batch_that_is_proposed_can_be_cut(
    processes: int, size: int, fields: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory.distributed, "count", lambda: processes)
    fields = {"labelled_batch": 6 * processes, **fields}

    def check(batch: int) -> None:
        check_parts(TrainConfig.preset("fine", "none", "none", batch=batch, **fields).resolved(64), 64)

    with pytest.raises(UserError, match=rf"--batch {size}: .* give a multiple of \d+$") as caught:
        check(size)
    multiple = int(str(caught.value).split()[-1])
    for times in range(1, 8):
        check(times * multiple)


def test_a_batch_of_a_growing_run_that_cannot_be_cut_is_called_by_its_option(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory.distributed, "count", lambda: 2)
    with pytest.raises(UserError, match=r"^--grow-batch 72: its batch of 36 cannot .* give a multiple of 64$"):
        check_parts(growing(grow_batch=72), 64)
    check_parts(growing(grow_batch=3 * 64), 64)


def test_what_can_be_cut_passes() -> None:
    check_parts(config(batch=16, micro_batch=4), 64)
    check_parts(config(batch=7), 64)
    assert parts_possible(config(batch=16, labelled_batch=8), 64) == [16, 8, 4]
    info = TrainConfig.preset("info", "none", "none", batch=16, labelled_batch=1, micro_batch=4)
    check_parts(info, 64)  # which has no labelled images to cut


@pytest.mark.parametrize(("batch", "groups"), [(1, False), (7, False), (25, False), (6, True), (8, True)])
def test_a_batch_that_D_cannot_divide_into_groups_is_told(batch: int, groups: bool) -> None:
    said = f"--batch {batch}: D compares no images with each other; a multiple of 4 lets it"
    assert notes_on_batches(config(batch=batch), 64) == ([] if groups else [said])


def test_a_training_tells_it(sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    alone(sprites_zip, tmp_path / "run", batch=7, kimg=0.007, width=8)
    assert "--batch 7: D compares no images with each other;" in capsys.readouterr().err


def test_a_batch_of_a_growing_run_that_D_cannot_divide_is_told() -> None:
    said = "--grow-batch 200: D compares no images with each other in batches of 25; a multiple of 32 lets it"
    assert notes_on_batches(growing(grow_batch=200, batch=16), 64) == [said]
    assert notes_on_batches(growing(grow_batch=200), 64) == notes_on_batches(growing(), 64) == []


def growing(**fields: object) -> TrainConfig:
    return TrainConfig.preset("paper", "none", "none", **fields).resolved(64)


def test_every_batch_of_a_growing_run_must_be_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    """256 images at 8x8 in parts of 4 are 64 parts, more than there are labelled images."""
    assert growing().batches(64) == [256, 128, 64, 32] and growing().batches(16) == [256, 128]
    assert config().batches(64) == [8]
    with pytest.raises(UserError, match=r"--labelled-batch 32 cannot be cut along; choose one of 32, 16, 8$"):
        check_parts(growing(micro_batch=4), 64)
    check_parts(growing(micro_batch=8), 64)
    with pytest.raises(UserError, match="--micro-batch 16: none fits every batch of this training; leave it out"):
        check_parts(growing(labelled_batch=6, micro_batch=16), 64)
    check_parts(growing(micro_batch=128), 16)
    monkeypatch.setattr(memory.distributed, "count", lambda: 8)
    check_parts(growing(), 64)
    with pytest.raises(UserError, match="--grow-batch 100 --labelled-batch 32: every batch must be a multiple"):
        check_parts(growing(grow_batch=100), 64)


def test_labelled_images_that_are_mixed_in_pairs_are_cut_in_pairs() -> None:
    check_parts(config(batch=16, labelled_batch=8, micro_batch=4, mix_with="labelled"), 64)
    with pytest.raises(UserError, match="--labelled-batch 4 cannot be cut along; choose one of 16, 8"):
        check_parts(config(batch=16, labelled_batch=4, micro_batch=4, mix_with="labelled"), 64)


def test_images_that_take_turns_are_cut_in_twos(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every other image belongs to L_rec, the others to L_cycle: in parts of three, other ones than in the batch."""

    def check(size: int, micro: int = 0, gamma_cycle: float = 10.0) -> None:
        fields = {"batch": size, "labelled_batch": size, "micro_batch": micro, "gamma_cycle": gamma_cycle}
        check_parts(TrainConfig.preset("fine", "none", "none", **fields).resolved(64), 64)

    for size in (6, 9):
        check(size)
        check(size, 3, gamma_cycle=0.0)
        with pytest.raises(UserError, match=f"--micro-batch 3: choose one of {size}$"):
            check(size, 3)
    check(16, 4)
    monkeypatch.setattr(memory.distributed, "count", lambda: 3)
    with pytest.raises(UserError, match=r"--batch 9: .* every other image; give a multiple of 12$"):
        check(9)
    check(9, gamma_cycle=0.0)
    check(24)


@pytest.mark.parametrize(("labelled", "images"), [(8, 8), (4, 8), (16, 8)])
def test_partners_are_the_same_whole_and_in_parts(labelled: int, images: int) -> None:
    whole = partners(labelled, images)
    halves = [partners(labelled // 2, images // 2) + start for start in (0, images // 2)]
    assert torch.equal(whole, torch.cat(halves)) and whole.max() < images


def test_the_memory_needed_is_told_and_a_part_proposed(monkeypatch: pytest.MonkeyPatch) -> None:
    settings, cpu = config(batch=16), torch.device("cpu")
    model = settings.networks(64, 3, SPACE.code_width)
    whole, part = (estimate(settings, model, SPACE, rows) for rows in (16, 4))
    assert 0.25 < part / whole < 0.5
    monkeypatch.setattr(memory, "free_memory", lambda device: whole * 1.01)
    assert require_memory(settings, model, SPACE, cpu) == whole
    cut = dataclasses.replace(settings, micro_batch=4)
    assert require_memory(cut, model, SPACE, cpu) == part
    with monkeypatch.context() as patched, pytest.raises(UserError, match="--batch 16: needs about"):
        patched.setenv("LOCAL_WORLD_SIZE", "2")  # of torchrun: they share this machine's memory
        require_memory(settings, model, SPACE, cpu)
    monkeypatch.setattr(memory, "free_memory", lambda device: part * 1.01)
    with pytest.raises(UserError, match=r"--batch 16: needs about .* GB .*--micro-batch 4 needs about"):
        require_memory(settings, model, SPACE, cpu)
    monkeypatch.setattr(memory, "free_memory", lambda device: 1e6)
    with pytest.raises(UserError, match="smaller --size"):
        require_memory(settings, model, SPACE, cpu)


def test_a_trunk_that_D_and_E_share_is_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "SPARE", 0.0)  # weights and what belongs to them alone
    settings = config(batch=8, encoder="shared")
    model = settings.networks(32, 3, SPACE.code_width)
    state = TrainState.create(settings, model, SPACE, torch.device("meta"))
    trained = {*state.G.parameters(), *state.D.parameters(), *state.E.parameters()}
    averages = [*state.G_ema.parameters(), *state.E_ema.parameters()]
    assert estimate(settings, model, SPACE, 8) == 4 * sum(6 * p.numel() for p in trained) + 4 * sum(
        p.numel() for p in averages
    )


def test_what_begins_later_needs_its_memory_from_the_start() -> None:
    def needed(**fields: float) -> float:
        settings = config(batch=8, gamma_doubt=0.0, **fields)
        return estimate(settings, settings.networks(64, 3, SPACE.code_width), SPACE, 8)

    assert needed(gamma_e=1.0, gamma_e_from=0.5) == needed(gamma_e=1.0) > needed()


def test_maps_in_bfloat16_count_as_what_they_take(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside what a step on this CPU keeps."""
    settings = config(batch=8, width=64, precision="bfloat16", r1_gamma=0.0)
    model = settings.networks(64, 3, SPACE.code_width)
    full = dataclasses.replace(settings, precision="float32")
    assert 0.6 < estimate(settings, model, SPACE, 8) / estimate(full, model, SPACE, 8) < 0.9
    monkeypatch.setattr(memory, "SPARE_BFLOAT16", 1.0)
    monkeypatch.setattr(memory, "KERNELS_BFLOAT16", 0.0)
    counted = estimate(settings, model, SPACE, 8)
    monkeypatch.setattr(memory, "SPARE_BFLOAT16", 0.0)
    counted -= estimate(settings, model, SPACE, 8)

    state = TrainState.create(settings, model, SPACE, torch.device("cpu"))
    img, code, known = torch.zeros(8, 3, 64, 64), torch.zeros(8, SPACE.code_width), torch.ones(8, 2, dtype=torch.bool)
    (part,) = split(state, Batch(img, code, LabelledBatch(img, code, known)))
    part, kept = read_once(state, part), dict[int, torch.UntypedStorage]()

    def keep(x: torch.Tensor) -> torch.Tensor:
        kept[x.untyped_storage()._cdata] = x.untyped_storage()
        return x

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda x: x):
        loss = loss_of_D_and_E(state, part, generate(state, part).detach(), Log(1))
    assert 0.95 < counted / sum(storage.nbytes() for storage in kept.values()) < 1.2
    del loss


def test_penalties_count_in_full_precision() -> None:
    """R1 is never in bfloat16: without labels it is what keeps the most."""
    settings = TrainConfig.preset("info", "none", "none", precision="bfloat16", width=64, batch=8).resolved(64)
    model = settings.networks(64, 3, SPACE.code_width)
    without = dataclasses.replace(settings, r1_gamma=0.0)
    assert estimate(settings, model, SPACE, 8) > estimate(without, model, SPACE, 8)


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="only Linux says what is free")
def test_files_that_were_read_are_not_memory_in_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A container's share counts the pages of every file that was read in it."""
    monkeypatch.setattr(memory, "CGROUP", tmp_path)
    (tmp_path / "memory.max").write_text("20000000\n", encoding="ascii")
    (tmp_path / "memory.current").write_text("19000000\n", encoding="ascii")
    rows = "anon 1000000\nfile 18000000\nactive_anon 1000000\ninactive_file 12000000\nactive_file 6000000\n"
    (tmp_path / "memory.stat").write_text(rows, encoding="ascii")
    assert memory.free_memory(torch.device("cpu")) == 19e6
    (tmp_path / "memory.max").write_text("max\n", encoding="ascii")
    assert (memory.free_memory(torch.device("cpu")) or 0) > 19e6


def test_what_earlier_runs_left_in_the_cache_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (10, 100))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 70)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert memory.free_memory(torch.device("cuda")) == 60
