"""The demonstration: what it asks of each step, what it does again, and how it ends."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest

from semistylegan import demo
from semistylegan.files import write_json
from semistylegan.metrics.scores import VERSION
from semistylegan.training import Run, TrainConfig

CONFIG = TrainConfig.preset("semi", "d.zip", "o/run", label_fraction=0.025, kimg=2.0, seed=3, device="cpu")


@pytest.mark.parametrize(("device", "processes"), [("cpu", 2), ("cuda", 1)])
def test_the_training_is_told_all_that_was_asked(device: str, processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr("semistylegan.training.device.pick_device", lambda name: type("Device", (), {"type": name}))
    monkeypatch.setattr(
        "semistylegan.training.distributed.launch",
        lambda command, count, stdout: told.append((" ".join(command[1:]), count, stdout)) or 0,
    )
    demo.train_together(dataclasses.replace(CONFIG, device=device), 200)
    words = f"--data d.zip --out o/run --label-fraction 0.025 --kimg 2.0 --seed 3 --device {device} --snap-images 200"
    assert told == [(f"-m semistylegan train {words}", processes, 2)]


@pytest.mark.parametrize(("status", "raised"), [(130, KeyboardInterrupt), (2, SystemExit), (1, SystemExit)])
def test_how_the_training_ends_is_how_the_demo_ends(
    status: int, raised: type[BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semistylegan.training.distributed.launch", lambda *_, **__: status)
    with pytest.raises(raised) as caught:
        demo.train_together(CONFIG, 200)
    assert getattr(caught.value, "code", status) == status


def test_each_step_gets_what_was_asked_and_the_page_is_written_anew_after_other_scores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    run, scores = tmp_path / "run", {"mig": 0.5}

    def evaluate(path: Path, images: int, device: str) -> dict[str, float]:
        told.append(("measure", path, images, device))
        write_json(run / "metrics.json", scores)
        os.utime(run / "metrics.json", ns=(len(told) * 10**9,) * 2)
        return scores

    def write_report(path: Path) -> Path:
        told.append("page")
        (path / "report.html").write_text(f"page {len(told)}")
        return path / "report.html"

    def render_dataset(scene: Any, out: Path, side: int, count: int, seed: int) -> None:
        told.append(("draw", scene.name, out, side, count, seed))
        out.touch()

    monkeypatch.setattr("semistylegan.data.rendering.render_dataset", render_dataset)
    monkeypatch.setattr(demo, "finished_metrics", lambda *_: None)
    monkeypatch.setattr(demo, "train_together", lambda config, images: told.append((config, images)))
    monkeypatch.setattr("semistylegan.metrics.evaluate.evaluate", evaluate)
    monkeypatch.setattr("semistylegan.report.page.write_report", write_report)
    for images in (300, 5000):
        told.clear()
        outcome = demo.run_demo(tmp_path, seed=3, kimg=2.0, count=80, images=images, device="cpu")
        config = dataclasses.replace(CONFIG, data=str(tmp_path / "sprites.zip"), out=str(run))
        draw = ("draw", "sprites", tmp_path / "sprites.zip", 32, 80, 3)
        measure = ("measure", run, images, "cpu")
        assert told[:3] == [draw, (config, min(images, 2000)), measure]
        assert outcome == demo.Outcome(run, scores, tmp_path / "report.html")
        assert told[3:] == (["page"] if images == 300 else []), "the page of the first time is newer"
    os.utime(tmp_path / "report.html", ns=(0, 0))
    demo.run_demo(tmp_path, seed=3, kimg=2.0, count=80, images=images, device="cpu")
    assert told[-1] == "page" and outcome.report.read_text() == f"page {len(told)}"


def test_scores_of_the_same_weights_images_and_measures_are_taken_as_they_are(tmp_path: Path) -> None:
    weights = tmp_path / "checkpoint-000002" / "model.safetensors"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    every = dict.fromkeys(("mig", "l2", "mig_gen", "l2_gen", "fd_oracle", "oracle_l2"), 0.5)
    told = {**every, "images": 100, "seed": 0, "metrics_version": VERSION}
    told["weights_sha256"] = hashlib.sha256(b"weights").hexdigest()

    def found(**other: Any) -> dict[str, Any] | None:
        write_json(tmp_path / "metrics.json", {**told, **other})
        return demo.finished_metrics(Run(tmp_path), 100)

    assert demo.finished_metrics(Run(tmp_path), 100) is None
    assert found() == told
    for field, value in (("images", 101), ("seed", 1), ("weights_sha256", "0"), ("metrics_version", 0), ("l2", None)):
        assert found(**{field: value}) is None, field


def test_a_duration_as_one_says_it() -> None:
    said = [demo.about(seconds) for seconds in (0, 44, 45, 89, 91, 360)]
    assert said == ["some seconds"] * 2 + ["about a minute"] * 2 + ["about 2 minutes", "about 6 minutes"]
