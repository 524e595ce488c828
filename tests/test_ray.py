"""A study on Ray itself: what its cluster trains is what one process trains. (`test_study` has a stand-in.)"""

from __future__ import annotations

import dataclasses
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from semistylegan.metrics import oracle as oracle_module
from semistylegan.metrics.oracle_network import Plan, plan_for
from semistylegan.study import Result, sweep

pytest.importorskip("ray", reason="Ray is not installed: pip install 'semistylegan[cluster]'")


@pytest.mark.filterwarnings("default")  # Ray's own, and the sockets that it leaves open
def test_ray_trains_what_one_process_trains(sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def short(resolution: int, images: int) -> Plan:
        return dataclasses.replace(plan_for(resolution, images), steps=3)

    monkeypatch.setattr(oracle_module, "plan_for", short)  # trained here, found in the cache by the workers
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
    monkeypatch.setenv("RAY_ENABLE_UV_RUN_RUNTIME_ENV", "0")

    def study(folder: str, **more: Any) -> list[Result]:
        fields = {"kimg": 0.016, "device": "cpu"}
        over = {"label_fraction": (0.1,)}
        return sweep(
            sprites_zip, tmp_path / folder, over, fields=fields, images=100, metrics=("mig", "mig_gen"), **more
        )

    (here,) = study("here", workers=1)
    try:
        (there,) = study("there", cluster="ray")
    except Exception as error:
        if "timed out during startup" in str(error):
            pytest.skip("Ray did not start in time: this machine is too busy")
        raise
    assert there.scores == here.scores and not there.failed
    one, two = ((tmp_path / name).glob("runs/*/seed-0/checkpoint-*/model.safetensors") for name in ("here", "there"))
    assert [file.read_bytes() for file in one] == [file.read_bytes() for file in two] != []
