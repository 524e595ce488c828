"""Studies: what is planned, how it is summed up, and that a study stops, goes on and fails as it should."""

from __future__ import annotations

import csv
import dataclasses
import hashlib
import json
import math
import os
import re
import signal
import subprocess
import sys
import time
import types
from collections.abc import Sequence
from concurrent.futures import Future
from importlib.resources import files as resources
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semistylegan import files
from semistylegan.cli.program import main
from semistylegan.cli.studying import Sweep
from semistylegan.cli.tables import print_study
from semistylegan.data.dataset import Dataset
from semistylegan.data.writing import ZipWriter
from semistylegan.errors import UserError
from semistylegan.metrics import oracle as oracle_module
from semistylegan.metrics.oracle import oracle_for
from semistylegan.metrics.oracle_network import Plan, plan_for
from semistylegan.metrics.protocol import NAMELESS, SEEN
from semistylegan.metrics.scores import METRICS
from semistylegan.report import study as report_study
from semistylegan.report.study import page
from semistylegan.study import Result, Study, running, sweep
from semistylegan.study.plan import parse_axis
from semistylegan.study.plots import DASHED, DOTTED, PAIRS, PAPER, SERIES, VARIABLES, draw, lines_of, svg
from semistylegan.study.table import FEWER, LEARNED, NAMED_LATER, OTHER, Spread, spread, to_csv, to_markdown
from semistylegan.training.config import PRESETS, TrainConfig
from semistylegan.training.run import Run

SHORT: dict[str, Any] = {"kimg": 0.016, "device": "cpu", "snap_kimg": 1.0}


@pytest.fixture(autouse=True)
def quick_oracle(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def short(resolution: int, images: int) -> Plan:
        return dataclasses.replace(plan_for(resolution, images), steps=3)

    monkeypatch.setattr(oracle_module, "plan_for", short)
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))


def plan(over: dict[str, Any], **more: Any) -> Study:
    return Study.of("data.zip", "out", over, **more)


# -- what is planned ---------------------------------------------------------------------------------------------------


def test_every_combination_with_the_first_seed_first() -> None:
    study = plan({"label_fraction": (0.01, 1.0), "gamma_g": (1.0, 10.0)}, seeds=(3, 4), fields={"kimg": 7.0})
    told = [(j.seed, j.config.label_fraction, j.config.gamma_g) for j in study.jobs]
    assert told == [(s, f, g) for s in (3, 4) for f in (0.01, 1.0) for g in (1.0, 10.0)]
    assert {j.config.kimg for j in study.jobs} == {7.0}
    assert len({j.config.out for j in study.jobs}) == 8
    assert study.settings[0].name == "label-fraction 0.01, gamma-g 1"


def test_no_labels_are_the_preset_info_with_its_own_weights() -> None:
    fields = {"alpha": 2.0, "gamma_doubt": 0.3, "as_classes": "none"}
    none, some = (j.config for j in plan({"label_fraction": (0.0, 0.5)}, fields=fields).jobs)
    assert (none.system, none.alpha, none.gamma_e, none.gamma_doubt, none.as_classes) == ("info", 0.0, 1.0, 0.0, None)
    assert (some.system, some.alpha, some.gamma_e, some.gamma_doubt, some.as_classes) == ("semi", 2.0, 0.0, 0.3, "none")


def test_presets_bring_their_fields_and_axes_win() -> None:
    semi, info = (j.config for j in plan({"system": ("semi", "info")}).jobs)
    assert (semi.gamma_e, info.gamma_e) == (0.0, 1.0)
    (config,) = (j.config for j in plan({"label_fraction": (0.0,), "gamma_e": (0.3,)}).jobs)
    assert (config.system, config.gamma_e) == ("info", 0.3)


def test_baselines() -> None:
    study = plan({"label_fraction": (0.0, 0.01, 1.0)}, baselines=("labels-only", "info", "all-labels"))
    by_name = {j.setting.name: j.config for j in study.jobs}
    assert list(by_name)[3:] == [
        "labels-only, label-fraction 0.01",
        "labels-only, label-fraction 1",
        "info",
        "all-labels",
    ]
    alone = by_name["labels-only, label-fraction 0.01"]
    assert (alone.mix_with, alone.encoder, alone.label_fraction) == ("labelled", "separate", 0.01)
    assert (alone.gamma_e, alone.gamma_doubt) == (0.0, 0.0)  # E looks at nothing that G drew
    assert by_name["all-labels"].label_fraction is None and by_name["info"].system == "info"


def test_a_baseline_has_the_last_word_on_what_makes_it_one() -> None:
    fields = {"gamma_e": 2.0, "mix_with": "fakes", "label_fraction": 0.1, "beta": 3.0}
    names = ("labels-only", "info", "all-labels")
    jobs = plan({"gamma_g": (1.0,)}, baselines=names, fields=fields).jobs
    _, alone, none, every = (j.config for j in jobs)
    assert (alone.gamma_e, alone.mix_with, alone.label_fraction, alone.beta) == (0.0, "labelled", 0.1, 3.0)
    assert (none.system, none.gamma_e) == ("info", 2.0)
    assert (every.gamma_e, every.mix_with, every.label_fraction) == (2.0, "fakes", None)


def test_info_beside_info_is_that_preset_as_it_is() -> None:
    study = plan({"gamma_e": (3.0,)}, baselines=("info",), fields={"preset": "info", "size": "small"})
    assert [(j.setting.name, j.config.system) for j in study.jobs] == [("gamma-e 3", "info"), ("info", "info")]
    assert study.jobs[1].config == dataclasses.replace(study.jobs[0].config, gamma_e=1.0, out=study.jobs[1].config.out)
    with pytest.raises(UserError, match="nothing is varied"):
        plan({}, fields={"preset": "info"})


def test_python_may_say_what_the_command_says() -> None:
    fields = {"preset": "fine", "gamma-e": 2.0}
    study = plan({"gamma-g": np.array([1.0, 10.0])}, seeds=np.arange(2), fields=fields)
    same = plan({"gamma_g": (1.0, 10.0)}, seeds=(0, 1), fields={"system": "fine", "gamma_e": 2.0})
    assert study == same and {type(job.seed) for job in study.jobs} == {int}


def test_no_labels_beside_another_preset_differ_in_the_labels_alone() -> None:
    of_losses = {"system", "label_fraction", "gamma_g", "gamma_e", "gamma_doubt", "shift", "tint", "alpha", "beta"}
    fields = {"system": "paper", "beta": 3.0, "batch": 16}
    jobs = plan({"label_fraction": (0.0, 0.1)}, baselines=("info",), fields=fields).jobs
    none, some, baseline = (job.config.to_json() for job in jobs)
    assert {k for k in some if none[k] != some[k]} <= of_losses | {"out"}
    assert {k: v for k, v in none.items() if k in of_losses} == {"system": "info", **PRESETS["info"]}
    assert (none["size"], none["kimg"], none["batch"], some["beta"]) == ("paper", 25_600.0, 16, 3.0)
    assert {**baseline, "out": none["out"]} == none
    (own,) = (j.config for j in plan({"gamma_g": (7.0,)}, fields={"system": "paper", "label_fraction": 0.0}).jobs)
    assert (own.system, own.gamma_g, own.lr_g) == ("info", 7.0, 0.001)


def test_labels_only_stands_beside_every_label_fraction_and_preset() -> None:
    def names(over: dict[str, Any], *baselines: str, **fields: Any) -> list[str]:
        study = plan(over, baselines=baselines, fields=fields)
        return [s.name for s in study.settings if s.baseline]

    alone = ["labels-only, label-fraction 0.1", "labels-only, label-fraction none"]
    assert names({"label_fraction": (0.0, 0.1, None)}, "labels-only") == alone
    assert names({"gamma_g": (1.0, 5.0), "label_fraction": (0.0, 0.1, None)}, "labels-only") == alone
    both = {"system": ("semi", "info", "paper"), "label_fraction": (0.0, 0.1)}
    assert names(both, "labels-only", "all-labels") == [
        "labels-only, preset semi, label-fraction 0.1",
        "labels-only, preset paper, label-fraction 0.1",
        "all-labels, preset semi",
        "all-labels, preset paper",
    ]
    sizes = {j.setting.name: j.config.size for j in plan(both, baselines=("labels-only", "info")).jobs}
    assert sizes["labels-only, preset paper, label-fraction 0.1"] == sizes["info, preset paper"] == "paper"


def test_data_is_found_from_any_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert {j.config.data for j in plan({"gamma_g": (1.0, 2.0)}).jobs} == {str(tmp_path / "data.zip")}


@pytest.mark.parametrize(
    ("text", "field", "values"),
    [
        ("label-fraction=0,0.01", "label_fraction", (0.0, 0.01)),
        ("batch=8, 16", "batch", (8, 16)),
        ("preset=semi,info", "system", ("semi", "info")),
        ("r1-gamma=none,1", "r1_gamma", (None, 1.0)),
        ("mix_with=fakes", "mix_with", ("fakes",)),
        ("as-classes=none,shape", "as_classes", ("none", "shape")),
        ("tint-keeps=none,shape", "tint_keeps", ("none", "shape")),
        ("shift-keeps=none", "shift_keeps", ("none",)),
        ("tint=none,0.5", "tint", (None, 0.5)),
        ("hold-out=None,0.05", "hold_out", (None, "0.05")),
        ("blend=true,False,none", "blend", (True, False, None)),
        ("cuda-graphs=TRUE, false", "cuda_graphs", (True, False)),
    ],
)
def test_axes_are_read(text: str, field: str, values: tuple[Any, ...]) -> None:
    assert parse_axis(text) == (field, values)
    assert [type(v) for v in parse_axis(text)[1]] == [type(v) for v in values]


@pytest.mark.parametrize(
    ("over", "says"),
    [
        ("gamma-g", "FIELD=VALUE"),
        ("gamma-g=", "FIELD=VALUE"),
        ("gama-g=1", "no such field; perhaps you meant gamma-g; known are"),
        ("out=a,b", "no such field"),
        ("seed=1,2", "--seeds"),
        ("batch=1.5", "a whole number"),
        ("gamma-g=x", "a number"),
        ("knows-source=true,yes", "--over knows-source=yes: expected true or false"),
        ("cuda-graphs=none", "true or false"),
    ],
)
def test_axes_that_cannot_be_are_one_line(over: str, says: str) -> None:
    with pytest.raises(UserError, match=says):
        parse_axis(over)


@pytest.mark.parametrize(
    ("over", "more", "says"),
    [
        ({}, {}, "nothing is varied"),
        ({"gamma_g": (1.0, 1.0)}, {}, "1 is given twice"),
        ({"gamma_g": ()}, {}, "no value"),
        ({"lr_g": (0.001, 0.0010000001)}, {}, "two settings would be called lr-g-0.001"),
        ({"gamma_g": (-1.0,)}, {}, "gamma-g -1: --gamma-g -1.0: must be at least 0"),
        ({"gamma_g": (1.0,)}, {"seeds": ()}, "no value"),
        ({"gamma_g": (1.0,)}, {"seeds": (0, 1, 0)}, "--seeds: 0 is given twice"),
        ({"gamma_g": (1.0,)}, {"fields": {"gamma-g": 2.0}}, "option too"),
        ({"gamma_g": (1.0,)}, {"baselines": ("best",)}, "known are labels-only"),
        ({"mix_with": ("nobody",)}, {}, "known are fakes"),
        ({"label_fraction": (0.0,)}, {"baselines": ("labels-only",)}, "--baselines labels-only: no setting .* labels"),
        ({"gamma_g": (1.0,)}, {"baselines": ("all-labels",), "fields": {"system": "info"}}, "no setting .* labels"),
        ({"label_fraction": (0.0, 0.1)}, {"fields": {"system": "fine"}}, "fraction 0: the preset fine needs labels"),
        ({}, {"baselines": ("info",), "fields": {"system": "fine"}}, "info: .* the preset fine needs labels"),
        ({"system": ("best",), "label_fraction": (0.0,)}, {}, "known are semi"),
    ],
)
def test_plans_that_cannot_be_are_one_line(over: dict[str, Any], more: dict[str, Any], says: str) -> None:
    with pytest.raises(UserError, match=says):
        plan(over, **more)


# -- how it is summed up -----------------------------------------------------------------------------------------------


class Counted(dict[str, Any]):
    """Counts how often it is asked."""

    asked = 0

    def get(self, *key: Any) -> Any:
        self.asked += 1
        return super().get(*key)


def test_scores_of_a_run_are_read_once(tmp_path: Path) -> None:
    """Each cell of a study's tables asks every run for its own."""
    job = plan({"gamma_g": (1.0,)}).jobs[0]
    result = Result(job, Counted(mig=0.5))
    assert result.scores == {"mig": 0.5}
    asked = result.metrics.asked  # type: ignore[attr-defined]
    assert result.scores == {"mig": 0.5} and result.metrics.asked == asked  # type: ignore[attr-defined]


def made_up(study: Study) -> list[Result]:
    """MIG 0.1, 0.2, ... in the order of the plan; the last run failed."""
    results = [
        Result(j, {"mig": (i + 1) / 10, "mig_gen": 0.5, "l2": 0.1, "l2_gen": 0.2, "kimg": 1.0, "note": "", "sap": 0.3})
        for i, j in enumerate(study.jobs)
    ]
    return [*results[:-1], Result(study.jobs[-1], {}, "diverged, at kimg 1")]


def test_mean_and_deviation_over_seeds_by_hand() -> None:
    study = plan({"gamma_g": (1.0, 2.0)}, seeds=(0, 1, 2))
    results = made_up(study)
    one, two = (spread(results, s, "mig") for s in study.settings)
    assert one is not None and two is not None
    assert one.each == pytest.approx((0.1, 0.3, 0.5)) and one.mean == pytest.approx(0.3)
    assert one.deviation == pytest.approx(0.2)
    assert two.each == pytest.approx((0.2, 0.4)) and str(two) == "0.300 ± 0.141"
    assert spread(results, study.settings[0], "fid") is None
    alone = Spread(0.25, math.nan, (0.25,))
    assert str(alone) == "0.250"


def test_tables_tell_every_run_and_every_setting(capsys: pytest.CaptureFixture[str]) -> None:
    study = plan({"label_fraction": (0.0, 0.01)}, seeds=(0, 1), baselines=("all-labels",))
    results = made_up(study)
    rows = list(csv.DictReader(to_csv(study, results).splitlines()))
    assert [row["mig"] for row in rows[:3]] == ["0.1", "0.2", "0.3"]
    assert [row["label-fraction"] for row in rows[:3]] == ["0.0", "0.01", ""]
    assert [row["seed"] for row in rows] == ["0", "0", "0", "1", "1", "1"]
    errors = {"per_factor": {"x": {"mae": 0.1, "mae_constant": 0.25}}}
    (told,) = csv.DictReader(to_csv(study, [Result(study.jobs[0], errors)]).splitlines())
    assert told["mae.x"] == "0.1" and "mae_constant.x" not in told
    assert rows[-1]["failed"] == "diverged, at kimg 1" and rows[-1]["mig"] == ""
    lines = to_markdown(study, results).splitlines()
    assert lines[0] == "| baseline | label-fraction | runs | MIG | L2 | MIG-gen | L2-gen | SAP |"
    assert lines[2].startswith("|  | 0 | 2 | 0.250 ± 0.212 |") and lines[4].startswith(
        "| all-labels |  | 1 of 2 | 0.300 |"
    )
    assert '<th scope="row">all-labels</th><td>1 of 2</td>' in page(study, results)
    print_study(study, results)
    assert re.search(r"all-labels\W+1 of 2 ", capsys.readouterr().out)


def test_scores_on_images_whose_labels_were_learned_are_marked_and_never_the_best() -> None:
    study = plan({"label_fraction": (0.01, 0.1, 1.0)}, seeds=(0, 1))
    scores = {"mig_gen": 0.3, "factor_vae": 0.9, "kimg": 1.0}
    results = [
        Result(j, {**scores, "mig": mig, "l2": l2, "note": f"Before. {SEEN}" if j.config.label_fraction == 1 else ""})
        for j, mig, l2 in zip(study.jobs, (0.4, 0.5, 0.6) * 2, (0.2, 0.1, 0.1) * 2, strict=True)
    ]
    table = to_markdown(study, results)
    assert "| 0.1 | 2 | 0.500 ± 0.000 | 0.100 ± 0.000 | 0.300 ± 0.000 | 0.900 ± 0.000 |" in table
    assert "| 1 | 2 | 0.600† ± 0.000 | 0.100† ± 0.000 | 0.300 ± 0.000 | 0.900 ± 0.000 |" in table
    assert table.endswith(f" |\n\n{LEARNED}\n")
    assert "†" not in to_markdown(study, results[:2])
    rows = list(csv.DictReader(to_csv(study, [*results[:5], Result(study.jobs[5], {}, "diverged")]).splitlines()))
    assert [row["split"] for row in rows] == ["held-out", "held-out", "all labelled"] + ["held-out"] * 2 + [""]
    text = page(study, results)
    assert '<span class="best">0.500</span>' in text and '<span class="best">0.100</span>' in text
    assert "<td>0.600†<small>" in text and "<td>0.100†<small>" in text and LEARNED in text


def of_images(metric: str, images: int, **more: Any) -> dict[str, Any]:
    """What `metrics.json` says of how a score was measured."""
    return {"protocols": {metric: {"images": images, **more}}, "encoder_images": images, "images": 1000}


def test_scores_on_fewer_images_are_marked_and_never_the_best() -> None:
    study = plan({"label_fraction": (0.01, 0.1, 1.0)}, seeds=(0, 1))
    told = ((0.4, 990, ""), (0.6, 800, ""), (0.7, 1000, SEEN)) * 2
    results = [
        Result(j, {"mig": mig, "mig_gen": 0.3, "note": note, **of_images("mig", images)})
        for j, (mig, images, note) in zip(study.jobs, told, strict=True)
    ]
    table = to_markdown(study, results)
    assert "| 0.400 ± 0.000 | 0.300" in table and "| 0.600‡ ± 0.000 | 0.300" in table and "| 0.700† ± 0.000" in table
    assert table.endswith(f" |\n\n{LEARNED}\n\n{FEWER}\n")
    text = page(study, results)
    assert '<span class="best">' not in text.replace('<span class="best">0.400', "").replace(
        '<span class="best">0.300', ""
    )
    assert "<dd>800 to 1,000 real images, 1,000 generated</dd>" in text and FEWER in text
    rows = list(csv.DictReader(to_csv(study, results).splitlines()))
    assert [row["encoder_images"] for row in rows[:3]] == ["990", "800", "1000"] and "images" not in rows[0]
    # A few less are no matter.
    nearly = [
        dataclasses.replace(r, metrics={**r.metrics, **of_images("mig", max(r.metrics["encoder_images"], 900))})
        for r in results
    ]
    assert "‡" not in to_markdown(study, nearly) and "‡" in to_markdown(study, results)
    # Earlier versions did not say.
    old = [Result(r.job, {k: v for k, v in r.metrics.items() if "oco" not in k and "enc" not in k}) for r in results]
    assert "‡" not in to_markdown(study, old)
    assert "<dd>up to 1,000 real images, 1,000 generated</dd>" in page(study, old)


def test_numbers_from_ten_on_have_two_digits() -> None:
    for mean, said in ((-3.14159, "-3.142"), (9.9, "9.900"), (10.0, "10.00"), (123.456, "123.46")):
        assert str(Spread(mean, math.nan, (mean,))) == said
    assert str(Spread(12.3456, 0.0789, (12.3, 12.4), "†")) == "12.35† ± 0.08"


def test_an_error_of_fewer_images_is_the_same_in_the_mean() -> None:
    study = plan({"gamma_g": (1.0, 2.0)})
    results = [Result(j, {"l2": 0.3, **of_images("l2", n)}) for j, n in zip(study.jobs, (1000, 100), strict=True)]
    assert [str(spread(results, s, "l2")) for s in study.settings] == ["0.300", "0.300"]


def test_names_with_a_point_keep_their_errors() -> None:
    (job,) = plan({"gamma_g": (1.0,)}).jobs
    result = Result(job, {"per_factor": {"x.y": {"mae": 0.1, "mae_gen": 0.2}, "x": {"mae": 0.3, "mae_gen": None}}})
    (row,) = csv.DictReader(to_csv(plan({"gamma_g": (1.0,)}), [result]).splitlines())
    told = {name: cell for name, cell in row.items() if name.startswith("mae")}
    assert told == {"mae.x": "0.3", "mae.x.y": "0.1", "mae_gen.x.y": "0.2"}


def test_a_tenth_fewer_images_are_fewer() -> None:
    study = plan({"gamma_g": (1.0, 2.0, 3.0)})
    results = [
        Result(j, {"mig": 0.5, **of_images("mig", n)}) for j, n in zip(study.jobs, (1000, 901, 900), strict=True)
    ]
    assert [str(spread(results, s, "mig")) for s in study.settings] == ["0.500", "0.500", "0.500‡"]


def test_what_is_no_finite_number_is_no_score() -> None:
    (job,) = plan({"gamma_g": (1.0,)}).jobs
    assert Result(job, {"mig": 0.5, "l2": math.inf, "sap": None, "told": True, "note": "1"}).scores == {"mig": 0.5}


def test_scores_over_other_factors_are_marked_and_never_the_best() -> None:
    study = plan({"system": ("fine", "semi")})
    results = [
        Result(j, {"l2": l2, **of_images("l2", 1000, factors=names)})
        for j, l2, names in zip(study.jobs, (0.1, 0.3), (["hue"], ["hue", "x"]), strict=True)
    ]
    table = to_markdown(study, results)
    assert "| fine | 1 | 0.100¶ |" in table and "| semi | 1 | 0.300 |" in table and table.endswith(f"\n{OTHER}\n")
    assert 'class="best"' not in page(study, results)
    del results[1].metrics["protocols"]  # an earlier version does not say
    assert "¶" not in to_markdown(study, results)


def test_votes_over_the_grid_count_labels_that_were_learned() -> None:
    study = plan({"label_fraction": (0.0, 0.1)})
    for said in ({"labelled_images": 25}, {"protocols": {"factor_vae": {"labels_read": True}}}):
        none, some = (Result(j, {"factor_vae": 0.9, "mig": 0.3, **m}) for j, m in zip(study.jobs, ({}, said)))  # noqa: B905
        table = to_markdown(study, [none, some])
        assert "| 0 | 1 | 0.300 | 0.900 |" in table and "| 0.1 | 1 | 0.300 | 0.900† |" in table


def test_errors_of_codes_named_afterwards_are_marked_and_never_the_best() -> None:
    study = plan({"label_fraction": (0.0, 0.1, 0.2)})
    protocols = {name: {"alignment": "by a table", "images": 500} for name in ("l2", "l2_gen")}
    named = {"l2": 0.3, "l2_gen": 0.3, **of_images("l2", 1000)}
    for said in ({"protocols": protocols}, {"note": f"Before. {NAMELESS}; for L2 ..."}):
        scores = ({"l2": 0.1, "l2_gen": 0.1, "mig": 0.2, **said}, named, named | {"l2": 0.4, "l2_gen": 0.4})
        results = [Result(j, m) for j, m in zip(study.jobs, scores, strict=True)]
        table = to_markdown(study, results)
        assert "| 0 | 1 | 0.200 | 0.100§ | 0.100§ |" in table and table.endswith(f"\n\n{NAMED_LATER}\n")
        text = page(study, results)
        assert text.count('<span class="best">') == text.count('<span class="best">0.300') == 2
        assert "What is marked in the table is hollow" in text


def test_marked_points_are_hollow() -> None:
    study = plan({"label_fraction": (0.01, 0.1, 1.0)}, baselines=("all-labels",))
    results = [
        Result(
            j, {"mig": 0.1 * (i + 1), "mig_gen": 0.5, "note": SEEN if j.config.label_fraction in (1.0, None) else ""}
        )
        for i, j in enumerate(study.jobs)
    ]
    figures = draw(study, results)
    whole, marked, level = figures["plot"].axes[0].lines
    assert list(whole.get_xdata()) == [0, 1, 2] and whole.get_markevery() == [0, 1]
    assert (list(marked.get_xdata()), list(marked.get_ydata())) == ([2], [pytest.approx(0.3)])
    assert marked.get_markerfacecolor() == PAPER and marked.get_zorder() > whole.get_zorder()
    assert level.get_label() == "all-labels" and "dasharray: 1.2,2.4" in svg(figures["plot"], "a plot"), "a dotted line"
    hollow = [line for line in figures["trade-off"].axes[0].lines if line.get_markerfacecolor() == PAPER]
    assert [list(line.get_xdata()) for line in hollow] == [[pytest.approx(0.3)], [pytest.approx(0.4)]]
    assert "var(--paper)" in svg(figures["plot"], "a plot")
    unmarked = draw(study, [dataclasses.replace(r, metrics={"mig": 0.1, "mig_gen": 0.5}) for r in results])
    assert "dasharray: 4.8,3.6" in svg(unmarked["plot"], "a plot")
    assert not [line for f in unmarked.values() for axes in f.axes for line in axes.lines if line.get_markevery()]


@pytest.mark.parametrize(
    "over",
    [
        {},
        {"label_fraction": (0.0, 0.01, 1.0)},
        {"gamma_e": (0.0, 1.0), "gamma_g": (1.0, 5.0)},
        {"system": ("semi", "info")},
        {"system": ("semi", "paper"), "label_fraction": (0.01, 0.1)},
        {"label_fraction": (0.01, None), "system": ("semi", "paper")},
    ],
)
def test_plots_and_page_of_any_study(over: dict[str, Any]) -> None:
    study = plan(over, seeds=(0, 1), baselines=("labels-only", "all-labels"))
    results = made_up(study)
    figures = draw(study, results)
    assert len(figures["plot"].axes) == 4 and len(figures["trade-off"].axes) == len(PAIRS)
    text = page(study, results)
    assert text.startswith("<!DOCTYPE html>") and "http" not in re.sub(r"https://arxiv|http://www.w3", "", text)
    assert "diverged, at kimg 1" in text


def test_of_many_values_the_plots_name_a_few() -> None:
    study = plan({"gamma_g": tuple(float(i) for i in range(100))})
    figures = draw(study, [Result(j, {"mig": i / 100, "mig_gen": i / 100}) for i, j in enumerate(study.jobs)])
    axes = figures["plot"].axes[0]
    assert [text.get_text() for text in axes.get_xticklabels()] == [str(i) for i in range(0, 100, 7)]
    assert axes.get_xticks().tolist() == list(range(0, 100, 7))
    named = [text.get_text() for text in figures["trade-off"].axes[0].texts]
    assert named == [str(i) for i in range(0, 100, 7)]


def test_no_name_of_a_point_lies_over_another() -> None:
    study = plan({"gamma_g": (1.0, 2.0, 3.0)})
    results = [Result(j, {"mig": x, "mig_gen": 0.5}) for j, x in zip(study.jobs, (0.5, 0.501, 0.9), strict=True)]
    assert [text.get_text() for text in draw(study, results)["trade-off"].axes[0].texts] == ["1", "3"]


def test_the_page_of_a_study_names_every_length_and_size() -> None:
    study = plan({"kimg": (1.0, 2.5), "size": ("tiny", "small")})
    text = page(study, [])
    assert "<dd>1 or 2.5 kimg each</dd>" in text and "<dd>tiny or small</dd>" in text
    text = page(plan({"gamma_g": (1.0, 5.0)}, fields={"kimg": 3.0}), [])
    assert "<dd>3 kimg each</dd>" in text and "<dd>tiny</dd>" in text


def test_the_page_of_a_study_says_what_all_runs_share() -> None:
    text = page(plan({"gamma_g": (1.0, 5.0)}, fields={"system": "fine", "label_fraction": 0.1}), [])
    assert "<dt>preset</dt><dd>fine</dd>" in text and "<dt>label-fraction</dt><dd>0.1</dd>" in text
    text = page(plan({"label_fraction": (0.0, 0.1)}), [])
    assert "<dt>label-fraction</dt>" not in text and "<dt>preset</dt>" not in text


def test_the_page_shows_the_last_sheet_of_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    study = plan({"gamma_g": (1.0,)})
    (job,) = study.jobs
    job = dataclasses.replace(job, config=dataclasses.replace(job.config, out=str(tmp_path)))
    shown: list[str] = []

    def load(path: Path) -> Any:
        shown.append(path.name)
        return np.zeros((8, 8, 3), dtype=np.uint8)

    monkeypatch.setattr(report_study, "load_image", load)
    sheets = ["fakes000000.png", "fakes000000.512.png", "fakes000001.png", "fakes000001.200.png", "fakes000010.png"]
    for name in sheets:
        (tmp_path / name).touch()
        report_study.grids(study, [Result(job, {})])
    assert shown == sheets


def test_sheets_of_the_first_seed_are_shown_and_others_unfold(monkeypatch: pytest.MonkeyPatch) -> None:
    study = plan({"gamma_g": (1.0, 5.0)}, seeds=(3, 1))
    monkeypatch.setattr(report_study, "_card", lambda r: f"<i>{r.job.setting.name} {r.job.seed}</i>")
    text = report_study.grids(study, [Result(j, {}) for j in reversed(study.jobs)])
    shown = re.findall(r"Seed \d|gamma-g \d \d", text)
    assert shown == ["Seed 1", "gamma-g 1 1", "gamma-g 5 1", "Seed 3", "gamma-g 1 3", "gamma-g 5 3"]


def test_a_figure_takes_its_colours_from_the_page() -> None:
    study = plan({"gamma_g": (1.0, 5.0)})
    assert draw(study, []) == {} and "<table" not in page(study, [])
    one, two = (svg(draw(study, made_up(study))["trade-off"], "E & G") for _ in range(2))
    assert (
        one == two
        and one.startswith("<svg")
        and 'aria-label="E &amp; G"' in one
        and "var(--e)" in one
        and "var(--sans)" in one
    )


def test_names_with_signs_of_mathematics_and_of_tables(tmp_path: Path) -> None:
    study = plan({"as_classes": ("a|b", "$x^$"), "shift_keeps": ("$_$", "x")})
    results = made_up(study)
    for name, figure in draw(study, results).items():
        figure.savefig(tmp_path / f"{name}.png")
        assert "$x^$" in svg(figure, name)
    assert "$_$" in page(study, results)
    assert "| a\\|b | $_$ | 1 |" in to_markdown(study, results)


def test_figures_of_the_page_have_names_and_no_id_is_there_twice() -> None:
    study = plan({"gamma_g": (1.0, 5.0)}, seeds=(0, 1))
    text = page(study, made_up(study))
    ids = re.findall(r' id="(.*?)"', text)
    assert len(ids) == len(set(ids))
    assert len(re.findall(r'<svg [^>]*role="img" aria-label="\w', text)) == text.count("<svg") == 2


def test_lines_show_on_light_and_dark_paper() -> None:
    def luminance(colour: str) -> float:
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        return float(
            np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4) @ (0.2126, 0.7152, 0.0722)
        )

    style = (resources("semistylegan.report") / "page.css").read_text(encoding="utf-8")
    light, dark = (
        dict(re.findall(r"(--\w+): (#\w{6});", block)) for block in re.findall(r":root {(.*?)}", style, re.S)[:2]
    )
    for colours in (light, dark):
        paper = luminance(colours["--paper"])
        for colour in SERIES:
            low, high = sorted((luminance(colours[VARIABLES[colour]]), paper))
            assert (high + 0.05) / (low + 0.05) >= 3, colour
    assert [light[VARIABLES[colour]] for colour in SERIES] == list(SERIES), (
        "a picture's colours are those of the light page"
    )


def test_points_stand_where_the_scores_are() -> None:
    study = plan({"label_fraction": (0.0, 0.01, 1.0)})
    results = [
        Result(j, {"mig": m, "mig_gen": g})
        for j, m, g in zip(study.jobs, (0.1, 0.4, 0.3), (0.5, 0.6, 0.2), strict=True)
    ]
    figures = draw(study, results)
    (line,) = [found for found in figures["plot"].axes[0].lines if len(found.get_xdata()) == 3]
    assert list(line.get_xdata()) == [0, 1, 2] and list(line.get_ydata()) == [0.1, 0.4, 0.3]
    assert [t.get_text() for t in figures["plot"].axes[0].get_xticklabels()] == ["0", "0.01", "1"]
    (points,) = [found for found in figures["trade-off"].axes[0].lines if len(found.get_xdata()) == 3]
    assert list(points.get_xdata()) == [0.1, 0.4, 0.3] and list(points.get_ydata()) == [0.5, 0.6, 0.2]


def test_the_cross_of_a_point_has_each_score_s_own_deviation() -> None:
    study = plan({"gamma_g": (1.0,)}, seeds=(0, 1))
    scores = [{"mig": 0.5, "mig_gen": g, "l2": e, "l2_gen": 0.3} for g, e in ((0.2, 0.1), (0.4, 0.3))]
    figure = draw(study, [Result(j, m) for j, m in zip(study.jobs, scores, strict=True)])["trade-off"]
    found = []
    for axes in figure.axes:
        across, up = (bar.get_segments()[0] for bar in axes.containers[0].lines[2])
        found.append((np.ptp(across[:, 0]) / 2, np.ptp(up[:, 1]) / 2))
    assert found == [pytest.approx((0, math.sqrt(0.02))), pytest.approx((math.sqrt(0.02), 0))]
    titles = [axes.get_title("left") for axes in figure.axes]
    assert [title.partition(" is")[0] for title in titles] == ["upper right", "lower left"]


def test_a_point_is_hollow_where_either_score_bears_a_mark() -> None:
    study = plan({"label_fraction": (0.0, 0.1)})
    later = {"protocols": {"l2_gen": {"alignment": "by a table"}}}
    scores = ({"l2": 0.1, "l2_gen": 0.2, **later}, {"l2": 0.3, "l2_gen": 0.4})
    figure = draw(study, [Result(j, m) for j, m in zip(study.jobs, scores, strict=True)])["trade-off"]
    hollow = [line for line in figure.axes[0].lines if line.get_markerfacecolor() == PAPER]
    assert [list(line.get_xdata()) for line in hollow] == [[0.1]]


def test_a_point_stands_at_its_value_where_others_failed() -> None:
    study = plan({"gamma_g": (1.0, 2.0, 3.0)})
    results = [Result(study.jobs[0], {}, "diverged"), *(Result(j, {"mig": -0.1}) for j in study.jobs[1:])]
    (axes,) = draw(study, results)["plot"].axes
    assert list(axes.lines[0].get_xdata()) == [1, 2] and axes.get_ylim()[0] < -0.1
    (axes,) = draw(study, [Result(j, {"mig": 0.5}) for j in study.jobs])["plot"].axes
    assert axes.get_ylim()[0] == 0


def test_a_single_baseline_is_a_level_line_in_the_range_of_its_seeds() -> None:
    study = plan({"gamma_g": (1.0, 5.0)}, seeds=(0, 1), baselines=("all-labels",))
    scores = {("", 0): 0.1, ("", 1): 0.2, ("all-labels", 0): 0.6, ("all-labels", 1): 0.8}
    results = [Result(j, {"mig": scores[j.setting.baseline, j.seed]}) for j in study.jobs]
    (axes,) = draw(study, results)["plot"].axes
    (level,) = [line for line in axes.lines if line.get_label() == "all-labels"]
    assert list(level.get_ydata()) == pytest.approx([0.7, 0.7])
    (band,) = axes.patches
    box = band.get_path().get_extents(band.get_patch_transform())
    assert (box.y0, box.y1) == pytest.approx((0.6, 0.8))


def test_the_legend_has_each_line_of_any_panel_and_level_lines_alike() -> None:
    """MIG of `all-labels` bears a mark, and so is dotted; each baseline has one score alone."""
    study = plan({"gamma_g": (1.0, 5.0)}, baselines=("all-labels", "info"))
    told = {"": {"mig": 0.4, "mig_gen": 0.5}, "all-labels": {"mig": 0.6, "note": SEEN}, "info": {"mig_gen": 0.5}}
    results = [Result(j, told[j.setting.baseline]) for j in study.jobs]
    figure = draw(study, results)["plot"]

    def dashes(lines: Sequence[Any]) -> list[Any]:
        return [line._unscaled_dash_pattern for line in lines]

    assert dashes(figure.axes[0].lines)[1] == DOTTED
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["semi", "all-labels", "info"]
    assert dashes(legend.get_lines())[1:] == [DASHED, DASHED]


def test_a_baseline_of_each_label_fraction_is_drawn_beside_any_first_axis() -> None:
    study = plan({"gamma_g": (1.0, 5.0), "label_fraction": (0.01, 0.1)}, baselines=("labels-only",))
    levels = ["labels-only, label-fraction 0.01", "labels-only, label-fraction 0.1"]
    assert [(name, len(settings)) for name, settings in lines_of(study)] == [
        ("label-fraction 0.01", 2),
        ("label-fraction 0.1", 2),
        *((name, 1) for name in levels),
    ]
    results = [Result(j, {"mig": i / 10}) for i, j in enumerate(study.jobs)]
    level = {line.get_label(): list(line.get_ydata()) for line in draw(study, results)["plot"].axes[0].lines[2:]}
    assert level == {levels[0]: [0.4, 0.4], levels[1]: [0.5, 0.5]}
    along = plan({"label_fraction": (0.01, 0.1)}, baselines=("labels-only",), fields={"system": "paper"})
    assert [(name, len(settings)) for name, settings in lines_of(along)] == [("paper", 2), ("labels-only", 2)]


# -- runs --------------------------------------------------------------------------------------------------------------


def go(sprites_zip: Path, out: Path, **more: Any) -> list[Result]:
    usual: dict[str, Any] = {"fields": SHORT, "images": 100, "metrics": ("mig", "mig_gen"), "workers": 1}
    return sweep(sprites_zip, out, {"label_fraction": (0.0, 0.1)}, **{**usual, **more})


def test_a_study_stops_goes_on_and_is_not_done_twice(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[str] = []

    def train(config: Any) -> Any:
        trained.append(f"{config.system} {config.seed}")
        if len(trained) == 2:
            raise KeyboardInterrupt
        return real(config)

    real = running.train
    monkeypatch.setattr(running, "train", train)
    with pytest.raises(KeyboardInterrupt):
        go(sprites_zip, tmp_path / "s", seeds=(0, 1))
    table = (tmp_path / "s" / "table.csv").read_text(encoding="utf-8")
    assert len(table.splitlines()) == 2, "what was done is told: a head and one run"
    results = go(sprites_zip, tmp_path / "s", seeds=(0, 1))
    assert trained == ["info 0", "semi 0", "semi 0", "info 1", "semi 1"]
    assert [r.job.setting.name for r in results] == ["label-fraction 0", "label-fraction 0.1"] * 2
    assert all(set(r.scores) >= {"mig", "mig_gen"} for r in results)
    assert go(sprites_zip, tmp_path / "s", seeds=(0, 1)) == results and len(trained) == 5
    go(sprites_zip, tmp_path / "s", seeds=(0, 1), metrics=("mig", "mig_gen", "l2"))
    assert len(trained) == 9, "another metric is measured; the training itself is found done"
    assert {p.name for p in (tmp_path / "s").iterdir()} == {
        "plot.png",
        "runs",
        "table.csv",
        "table.md",
        "trade-off.png",
    }


def test_what_is_not_measured_is_told_before_and_after(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    with ZipWriter(tmp_path / "bare.zip", None) as out:
        for i, image in enumerate(Dataset.open(sprites_zip).images(range(64)).permute(0, 2, 3, 1).numpy()):
            out.add(f"{i}.png", image)
    real, before = running.train, list[str]()
    monkeypatch.setattr(running, "train", lambda config: before.append(capsys.readouterr().err) or real(config))
    fields, metrics = {**SHORT, "preset": "info"}, ("mig", "mig_gen")
    axes = {"gamma_g": (1.0, 2.0)}
    results = sweep(tmp_path / "bare.zip", tmp_path / "s", axes, fields=fields, metrics=metrics, images=100, workers=1)
    assert "bare.zip: 0 images have a label, and scores need 20: most will be left out" in before[0]
    study = Study.of(tmp_path / "bare.zip", tmp_path / "s", axes, fields=fields)
    print_study(study, results)
    table = (tmp_path / "s" / "table.md").read_text(encoding="utf-8")
    for told in (table, page(study, results), capsys.readouterr().out):
        assert told.count("mig is left out: fewer than 20 images have a label.") == 1
        assert told.count("mig_gen is left out: fewer than 20 images have a label, too few for an oracle.") == 1


def test_what_another_seed_or_oracle_measured_is_measured_again(sprites_zip: Path, tmp_path: Path) -> None:
    results = go(sprites_zip, tmp_path / "s", seeds=(0,))
    for r, change in zip(results, ({"seed": 3}, {"oracle_l2": 9.9}), strict=True):
        files.write_json(Path(r.job.config.out) / "metrics.json", {**r.metrics, "mig": 0.99, **change})
    assert [r.metrics for r in go(sprites_zip, tmp_path / "s", seeds=(0,))] == [r.metrics for r in results]


def test_what_was_trained_less_or_measured_otherwise_is_not_finished(tmp_path: Path) -> None:
    (job,) = Study.of("data.zip", tmp_path, {"gamma_g": (1.0,)}, fields={"kimg": 2.0}).jobs
    run, oracle = Path(job.config.out), types.SimpleNamespace(l2=0.1005)
    (run / "checkpoint-000002").mkdir(parents=True)
    (run / "checkpoint-000002" / "model.safetensors").write_bytes(b"weights")
    files.write_json(run / "config.json", {"train": job.config.to_json()})
    told = {"kimg": 2.0, "mig": 0.5, "images": 100, "seed": 0, "oracle_l2": 0.1, "metrics_version": 1}
    told["weights_sha256"] = hashlib.sha256(b"weights").hexdigest()

    def found(**other: Any) -> Result | None:
        files.write_json(run / "metrics.json", {**told, **other})
        return running.finished(job, running.Measure(("mig",), 100), oracle)  # type: ignore[arg-type]

    assert found() == Result(job, told), "an oracle of another machine differs a little"
    for field, value in (("kimg", 1.0), ("images", 101), ("seed", 1), ("oracle_l2", 0.11), ("mig", None)):
        assert found(**{field: value}) is None, field
    assert found(weights_sha256="other") is None and found(oracle_l2=None) is None
    both = running.Measure(("mig", "sap"), 100)
    for note, kept in (("", False), ("sap is left out: too few.", True), ("dci is left out: too few.", False)):
        files.write_json(run / "metrics.json", {**told, "note": note})
        assert bool(running.finished(job, both, oracle)) == kept  # type: ignore[arg-type]


def test_what_other_measures_measured_is_measured_again_and_other_trainings_are_told(
    sprites_zip: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    results = go(sprites_zip, tmp_path / "s", seeds=(0,))
    none, other = (Path(r.job.config.out) for r in results)
    files.write_json(none / "metrics.json", {k: v for k, v in results[0].metrics.items() if k != "metrics_version"})
    files.write_json(other / "metrics.json", {**results[1].metrics, "mig": 0.99, "metrics_version": 0})
    measured = []
    real = running.evaluate
    monkeypatch.setattr(running, "evaluate", lambda run, *a, **k: measured.append(run) or real(run, *a, **k))
    document = json.loads((none / "config.json").read_text(encoding="utf-8"))
    assert document.pop("training_version") == 1
    files.write_json(none / "config.json", document)
    capsys.readouterr()
    again = go(sprites_zip, tmp_path / "s", seeds=(0,))
    assert measured == [other] and again[1].metrics == results[1].metrics, "a missing number is 1"
    assert "of the training" not in capsys.readouterr().err
    files.write_json(none / "config.json", {**document, "training_version": 0})
    assert go(sprites_zip, tmp_path / "s", seeds=(0,))[0].scores == again[0].scores
    said = [line for line in capsys.readouterr().err.splitlines() if "begun by version 0 of the training" in line]
    assert len(said) == 1 and said[0].startswith(f"{none}: ") and measured == [other]


def test_a_run_whose_end_was_moved_is_none_of_a_study(sprites_zip: Path, tmp_path: Path) -> None:
    run = Run(Path(go(sprites_zip, tmp_path / "s", seeds=(0,))[1].job.config.out))
    planned = run.config.kimg
    run.rescheduled(9.0, 0.01)
    run.rescheduled(planned, 0.02)
    with pytest.raises(UserError, match=r"seed-0: Its end was moved .* A study compares runs of one plan"):
        go(sprites_zip, tmp_path / "s", seeds=(0,))


def test_all_is_all_but_fid(sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, ...]] = []

    def measure(run: Path, metrics: tuple[str, ...], images: int, **more: Any) -> dict[str, Any]:
        asked.append(metrics)
        return real(run, [name for name in metrics if name in ("mig", "fid")], images, **more)  # the others take long

    real = running.evaluate
    monkeypatch.setattr(running, "evaluate", measure)
    assert not any(r.failed for r in go(sprites_zip, tmp_path / "s", metrics=("all",)))
    assert asked == [tuple(name for name in METRICS if name != "fid")] * 2


def test_one_run_that_fails_does_not_stop_the_others(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = running.train

    def train(config: Any) -> Any:
        if config.system == "info":
            raise UserError("diverged")
        return real(config)

    monkeypatch.setattr(running, "train", train)
    failed, good = go(sprites_zip, tmp_path / "s")
    assert failed.failed == "diverged" and not failed.scores and good.scores
    monkeypatch.setattr(running, "train", lambda config: train(dataclasses.replace(config, system="info")))
    with pytest.raises(UserError, match="every run failed; the first: diverged"):
        go(sprites_zip, tmp_path / "t")


def test_what_would_fail_is_told_before_anything_is_trained(sprites_zip: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"label-fraction 0.0001: .* no image at all"):
        sweep(sprites_zip, tmp_path / "s", {"label_fraction": (0.1, 0.0001)}, fields=SHORT, workers=1)
    with pytest.raises(UserError, match="--metrics nothing"):
        go(sprites_zip, tmp_path / "s", metrics=("nothing",))
    with pytest.raises(UserError, match=r"--metrics fid: .*--inception FILE"):
        go(sprites_zip, tmp_path / "s", metrics=("mig", "fid"))
    with pytest.raises(UserError, match="--images 10: at least 100"):
        go(sprites_zip, tmp_path / "s", images=10)
    with pytest.raises(UserError, match="--workers 0"):
        go(sprites_zip, tmp_path / "s", workers=0)
    with pytest.raises(UserError, match="known is ray"):
        go(sprites_zip, tmp_path / "s", cluster="slurm")
    with pytest.raises(UserError, match="no such"):
        sweep(tmp_path / "none.zip", tmp_path / "s", {"gamma_g": (1.0,)})
    assert not (tmp_path / "s").exists()


def test_another_study_in_the_same_folder_is_refused(sprites_zip: Path, tmp_path: Path) -> None:
    go(sprites_zip, tmp_path / "s")
    with pytest.raises(UserError, match="--batch 8, not 4"):
        go(sprites_zip, tmp_path / "s", fields={**SHORT, "batch": 4})


def test_a_pool_trains_the_same_and_ends_with_checkpoints(sprites_zip: Path, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "semistylegan", "sweep", "--data", str(sprites_zip), "--out", str(tmp_path / "s")]
    command += ["--over", "label-fraction=0.1,0.2,0.3,0.4,0.5", "--kimg", "400", "--workers", "2", "--device", "cpu"]
    oracle_for(Dataset.open(sprites_zip))  # a short one, kept
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as process:
        runs = tmp_path / "s" / "runs"
        deadline = time.monotonic() + 220
        while len(list(runs.glob("*/seed-0/fakes000000.png"))) < 2 and time.monotonic() < deadline:
            time.sleep(0.2)
            assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=60)
    assert process.returncode == 130, said
    assert len(list(runs.glob("*/seed-0/checkpoint-*/train-state.safetensors"))) == 2
    assert len(list(runs.glob("*/seed-0/config.json"))) == 2, "no further run is begun"
    assert "Traceback" not in said and "goes on where it stopped" in said


def test_a_worker_that_is_killed_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the system kills one that takes too much memory: here it becomes another program, which ends."""
    monkeypatch.setattr(running, "done_aside", os.execv)
    jobs: Any = [sys.executable]
    measure: Any = [sys.executable, "-c", ""]
    with pytest.raises(UserError, match=r"--workers 1: a run's process died.* fewer --workers goes on"):
        list(running.in_pool(jobs, measure, 1, []))


def test_a_pool_is_given_one_run_a_process_until_all_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for the processes; GPUs are given out in turn, cores in parts."""
    begun: list[Any] = []

    class Pool:
        def __init__(self, count: int, context: Any, start: Any, given: tuple[Any, int]) -> None:
            devices, threads = given
            begun.append((count, [devices.get(timeout=5) for _ in range(count)], threads))

        def __enter__(self) -> Pool:
            return self

        def __exit__(self, *_: object) -> None:
            pass

        def submit(self, function: Any, job: Any, measure: Any) -> Future[Any]:
            begun.append(job)
            done: Future[Any] = Future()
            done.set_result(f"{job} {measure}")
            return done

    monkeypatch.setattr(running, "ProcessPoolExecutor", Pool)
    monkeypatch.setattr(running, "cores", lambda: 7)
    jobs, measure = list("abcde"), "as asked"
    results = running.in_pool(jobs, measure, 3, ["cuda:0", "cuda:1"])  # type: ignore[arg-type]
    assert sorted(filter(None, results)) == [f"{job} {measure}" for job in jobs]
    assert begun == [(3, ["cuda:0", "cuda:1", "cuda:0"], 2), *jobs]
    list(running.in_pool(jobs, measure, 8, []))  # type: ignore[arg-type]
    assert begun[6] == (8, [""] * 8, 1)


def test_a_worker_s_gpu_is_none_of_the_study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    job = Study.of("data.zip", tmp_path, {"gamma_g": (1.0,)}, fields={"device": "cuda"}).jobs[0]
    seen = []
    monkeypatch.setattr(running, "done", lambda job, measure: seen.append(job.config.device) or Result(job, {}))
    for device in ("cuda:3", ""):
        monkeypatch.setattr(running, "DEVICE", device)
        assert running.done_aside(job, running.Measure((), 100)).job is job
    assert seen == ["cuda:3", "cuda"]


def test_a_run_is_never_further_than_its_end(tmp_path: Path) -> None:
    job = Study.of("data.zip", tmp_path, {"gamma_g": (1.0,)}, fields={"kimg": 2.0}).jobs[0]
    run = Path(job.config.out)
    assert running.kimg_of(job) == 0
    for told, kimg in ((1.5, 1.5), (2.016, 2.0)):
        files.append_jsonl(run / "stats.jsonl", {"kimg": told})
        assert running.kimg_of(job) == kimg


def test_ray_is_asked_for_each_run(sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in: starting the real one takes as long as all of these tests."""
    asked: list[Any] = []

    def remote(**resources: Any) -> Any:
        def decorate(function: Any) -> Any:
            return types.SimpleNamespace(
                remote=lambda job, measure: asked.append((resources, job)) or (function, job, measure)
            )

        return decorate

    ray = types.ModuleType("ray")
    ray.__dict__.update(
        is_initialized=lambda: False,
        init=lambda **_: asked.append("init"),
        cluster_resources=dict,
        remote=remote,
        wait=lambda tasks, timeout: (tasks[:1], tasks[1:]),
        get=lambda tasks: [function(*rest) for function, *rest in tasks],
        shutdown=lambda: asked.append("shutdown"),
    )
    monkeypatch.setitem(sys.modules, "ray", ray)
    results = go(sprites_zip, tmp_path / "s", cluster="ray")
    assert asked[0] == "init" and asked[-1] == "shutdown" and len(asked) == 4
    assert [job for _, job in asked[1:3]] == [r.job for r in results]
    assert asked[1][0] == {"num_cpus": 1, "num_gpus": 0}
    assert (tmp_path / "s" / "runs" / "label-fraction-0.1" / "seed-0.log").read_text(encoding="utf-8")

    class Died(Exception):
        pass

    def die(tasks: list[Any]) -> list[Any]:
        raise Died("Worker killed: memory.\nMore.")

    other = type("Other", (Exception,), {})
    ray.__dict__["exceptions"] = types.SimpleNamespace(
        RayTaskError=other, WorkerCrashedError=other, NodeDiedError=other, OutOfMemoryError=Died
    )
    ray.__dict__["get"] = die
    with pytest.raises(UserError, match=r"--cluster ray: workers died .*\(Worker killed: memory\.\); .* goes on"):
        go(sprites_zip, tmp_path / "t", cluster="ray")
    assert asked[-1] == "shutdown"
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"semistylegan\[cluster\]"):
        go(sprites_zip, tmp_path / "t", cluster="ray")


def test_a_cluster_that_does_not_start_is_told_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def init(**_: Any) -> None:
        raise Exception("The current node timed out.\nMore.")

    ray = types.ModuleType("ray")
    ray.__dict__.update(is_initialized=lambda: False, init=init)
    monkeypatch.setitem(sys.modules, "ray", ray)
    with pytest.raises(UserError, match=r"^--cluster ray: The current node timed out\.; set RAY_ADDRESS"):
        list(running.on_ray([], running.Measure((), 100)))


def test_one_run_a_core_is_one_a_core_that_this_process_may_use(monkeypatch: pytest.MonkeyPatch) -> None:
    used = []
    monkeypatch.setattr(running, "in_pool", lambda jobs, measure, count, gpus: used.append(count) or iter(()))
    monkeypatch.setattr(running, "kimg_of", lambda job: 0.0)
    monkeypatch.setattr(running, "cores", lambda: 3)
    jobs = plan({"gamma_g": (1.0, 2.0)}, seeds=(0, 1), fields={"device": "cpu"}).jobs
    assert list(running.ended(jobs, running.Measure((), 100), None, None)) == [] and used == [3]


@pytest.mark.parametrize(
    ("device", "given"),
    [("auto", ["cuda:0", "cuda:1"]), ("cuda", ["cuda:0", "cuda:1"]), ("cuda:1", ["cuda:1"]), ("cpu", []), ("mps", [])],
)
def test_runs_share_the_gpus_and_one_that_is_named_trains_one_at_a_time(
    device: str, given: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    jobs = plan({"gamma_g": (1.0, 2.0)}, seeds=(0, 1), fields={"device": device}).jobs
    assert running.gpus_of(jobs) == []  # where there is none
    monkeypatch.setattr(running.torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(running.torch.cuda, "device_count", lambda: 2)
    assert running.gpus_of(jobs) == given


def test_a_study_begun_with_a_relative_path_goes_on(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(sprites_zip.parent)
    data = Path(sprites_zip.name)
    before = go(data, tmp_path / "s")
    for r in before:
        config = Path(r.job.config.out) / "config.json"
        document = json.loads(config.read_text(encoding="utf-8"))
        files.write_json(config, {**document, "train": {**document["train"], "data": str(data)}})  # as it was written
        (config.parent / "metrics.json").unlink()
    assert [r.scores for r in go(data, tmp_path / "s")] == [r.scores for r in before]


# -- the command -------------------------------------------------------------------------------------------------------


def test_a_study_of_which_every_run_failed_can_be_mended(sprites_zip: Path, tmp_path: Path) -> None:
    words = ["sweep", "--data", str(sprites_zip), "--out", str(tmp_path / "s"), "--over", "gamma-g=1", "--workers", "1"]
    words += ["--kimg", "0.016", "--label-fraction", "0.2", "--device", "cpu", "--images", "100"]
    assert main([*words, "--micro-batch", "3"]) == 2
    assert main([*words, "--micro-batch", "4"]) == 0


def test_a_study_takes_no_one_s_folder(sprites_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(sprites_folder.rglob("*"))
    assert main(["sweep", "--data", str(sprites_folder), "--out", str(sprites_folder), "--over", "gamma-g=1"]) == 2
    assert "sprites: holds other files (00.png)" in capsys.readouterr().err
    assert sorted(sprites_folder.rglob("*")) == before


@pytest.mark.parametrize(("columns", "scores"), [(200, 5), (80, 5), (80, 20), (30, 20)])
def test_numbers_on_the_screen_are_whole(
    columns: int, scores: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", str(columns))
    study = plan({"label_fraction": (0.0, 0.1), "gamma_g": (1.0, 10.0)}, seeds=(0, 1))
    names = ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle", *(f"more_{i}" for i in range(15)))[:scores]
    print_study(study, [Result(j, {name: 1.0 + j.seed + i for i, name in enumerate(names)}) for j in study.jobs])
    said = capsys.readouterr().out
    assert "…" not in said and all(f"{1.5 + i:.{3 if i < 9 else 2}f}" in said for i in range(scores))
    assert said.count("± 0.707") + said.count("± 0.71 ") == 4 * scores
    assert max(map(len, said.splitlines())) <= columns or scores > 5


def test_the_command(
    sprites_zip: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    out = tmp_path / "s"
    words = ["sweep", "--data", str(sprites_zip), "--out", str(out), "--over", "label-fraction=0.1", "--seeds", "0,1"]
    words += ["--kimg", "0.016", "--device", "cpu", "--images", "100", "--workers", "1", "--gamma-g", "2"]
    assert main(words) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[-1] == str(out / "report.html") and "label-fraction 0.1" in said
    config = json.loads((out / "runs" / "label-fraction-0.1" / "seed-1" / "config.json").read_text())["train"]
    assert (config["gamma_g"], config["seed"], config["kimg"]) == (2.0, 1, 0.016)
    text = (out / "report.html").read_text(encoding="utf-8")
    assert text.count('<figure class="grid">') == 2 and "gamma-g" in text


SWEEP = ("--data", "d.zip", "--out", "o")
OPTIONS = [field for field in dataclasses.fields(TrainConfig) if field.name not in ("data", "out", "seed")]


@pytest.mark.parametrize("field", OPTIONS, ids=lambda field: field.name)
def test_what_is_given_counts_also_where_it_is_the_default(field: dataclasses.Field[Any]) -> None:
    name, value = {"system": "preset"}.get(field.name, field.name), field.default
    words = ["--no-cuda-graphs"] if name == "cuda_graphs" else [f"--{name}", str(value)]
    told = {field.name: False if name == "cuda_graphs" else value}
    assert Sweep.parse("sweep", [*SWEEP, *words]).fields == told
    assert Sweep.parse("sweep", [*SWEEP, "=".join(words).replace("_", "-")]).fields == told
    assert Sweep.parse("sweep", [*SWEEP, "--over", f"{name}=1"]).fields == {}


def test_what_is_given_holds_for_every_preset_of_the_study() -> None:
    def configs(*words: str, **over: Any) -> list[TrainConfig]:
        return [j.config for j in plan(over, fields=Sweep.parse("sweep", [*SWEEP, *words]).fields).jobs]

    assert [c.kimg for c in configs("--kimg", "100", system=("semi", "paper"))] == [100.0, 100.0]
    assert [c.gamma_g for c in configs("--gamma-g", "10", label_fraction=(0.0, 0.1))] == [10.0, 10.0]
    assert [c.gamma_g for c in configs("--out=--gamma-g", label_fraction=(0.0, 0.1))] == [5.0, 10.0]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--over", "gamma-g=1", "--gamma-g", "10"], "given as an option too"),
        (["--over", "preset=semi,paper", "--preset", "semi"], "given as an option too"),
        (["--over", "gamma-g=1", "--over", "gamma-g=2"], "varied twice"),
        (["--over", "gamma-g=1", "--seeds", "a"], "--seeds a: a is no whole number"),
        (["--over", "gamma-g=1", "--gamma-g", "3"], "given as an option too"),
        (["--over", "gamma-g=1", "--seed", "3"], "seed"),
        (["--over", "gamma-g=1", "--processes", "2"], "--processes"),
        ([], "nothing is varied"),
    ],
)
def test_the_command_refuses_in_one_line(
    tmp_path: Path, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["sweep", "--data", "none.zip", "--out", str(tmp_path / "s"), *words]) == 2
    error = capsys.readouterr().err
    assert says in error and error.count("\n") == 1
    assert not (tmp_path / "s").exists()
