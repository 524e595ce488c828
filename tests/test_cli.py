"""The command line: help, parsing, exit statuses, and a walk through every command on a tiny set."""

from __future__ import annotations

import csv
import dataclasses
import errno
import inspect
import io
import json
import os
import pkgutil
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import numpy as np
import pytest
import tyro
from PIL import Image

from semistylegan import __version__
from semistylegan.cli import edit, exporting, making, parsing, program, train_options, using
from semistylegan.cli.program import COMMANDS, main
from semistylegan.cli.tables import print_metrics
from semistylegan.data.importing import Recipe
from semistylegan.demo import finished_metrics
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.files import atomic_path, write_json
from semistylegan.metrics.disentanglement import BINS
from semistylegan.training.config import PRESETS, TrainConfig
from semistylegan.training.run import Run


@pytest.fixture(autouse=True)
def cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Oracles of tests are not kept among the user's."""
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path_factory.mktemp("cache")))


def run(*args: object) -> int:
    return main([str(a) for a in args])


# -- help ---------------------------------------------------------------------------------------------------------


def test_overview_names_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--help") == 0
    said = capsys.readouterr()
    assert all(f"\n  {name} " in said.out for name in COMMANDS)
    assert said.err == ""
    lines = [line for line in said.out.splitlines() if line.split()[:1] and line.split()[0] in COMMANDS]
    assert len({line.index(line.split()[1], 3) for line in lines}) == 1, "what they do stands in one column"


@pytest.mark.parametrize("name", COMMANDS)
def test_help_has_an_example_that_parses(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    said = capsys.readouterr()
    assert said.err == ""
    examples = [line for line in said.out.splitlines() if line.startswith(f"  semistylegan {name} ")]
    assert len(examples) == 1
    assert COMMANDS[name].parse(name, shlex.split(examples[0])[2:]) is not None


def test_an_explanation_is_one_paragraph(capsys: pytest.CaptureFixture[str]) -> None:
    @dataclasses.dataclass(frozen=True)
    class Base:
        width: int | None = None
        """How wide,
        in one paragraph."""
        loud: bool = False
        """Whether."""

    @dataclasses.dataclass(frozen=True)
    class Kind(Base):
        """What it is for."""

        height: Annotated[float | None, tyro.conf.arg(metavar="CM", name="tall")] = 2.0
        """How high."""

    with pytest.raises(SystemExit, match="0"):
        parsing.options(Kind, "x", ["--help"])
    said = capsys.readouterr().out
    lines = [re.sub(r"[│\s]+", " ", line).strip() for line in said.splitlines()]
    told = ["--width INT How wide, in one paragraph.", "--loud Whether.", "--tall CM How high. (default: 2.0)"]
    assert "What it is for." in lines
    assert lines[-4:-1] == told
    assert parsing.options(Kind, "x", ["--tall", "3", "--loud"]) == Kind(loud=True, height=3.0)
    assert parsing.options(Kind, "x", ["--width", "None"], default=Kind(width=3)) == Kind()


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_explained(name: str) -> None:
    kind: type = TrainConfig if name == "train" else COMMANDS[name]
    text = Path(sys.modules[kind.__module__].__file__ or "").read_text(encoding="utf-8")
    for field in dataclasses.fields(kind):
        declared = [i for i, line in enumerate(text.splitlines()) if line.startswith(f"    {field.name}: ")]
        assert any(text.splitlines()[i + 1].startswith('    """') for i in declared), field.name


@pytest.mark.parametrize("name", COMMANDS)
def test_no_option_offers_none(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(name, "--help") == 0
    assert re.findall(r"\{[^}]*None[^}]*\}", capsys.readouterr().out) == []


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--version") == 0
    assert capsys.readouterr().out == f"{__version__}\n"


def test_help_is_quick_because_it_leaves_torch_alone() -> None:
    code = "import sys; from semistylegan.cli import main; main(['generate', '--help']); print('torch' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert said.stdout.endswith("\nFalse\n")


def test_python_dash_m() -> None:
    command = [sys.executable, "-m", "semistylegan", "rendr"]
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    assert said.returncode == 2
    assert said.stdout == ""
    assert said.stderr == "semistylegan: 'rendr': no such command; perhaps you meant render; see --help\n"


# -- options ------------------------------------------------------------------------------------------------------


def test_settings_may_be_given_several_times() -> None:
    args = ["run", "a.png", "b.png", "--set", "hue=0.3", "--set", "shape=ring", "--out", "x"]
    command = edit.Edit.parse("edit", args)
    assert command.settings == ("hue=0.3", "shape=ring")
    assert command.image == (Path("a.png"), Path("b.png"))
    assert edit.Edit.parse("edit", ["run", "a.png", "--set=x=-1", "--out", "x"]).settings == ("x=-1",)


@pytest.mark.parametrize(
    ("words", "called", "told"),
    [
        (
            "demo --out o --seed 3 --kimg 2 --count 80 --images 50 --device cuda:1",
            "demo.run_demo",
            {"seed": 3, "kimg": 2.0, "count": 80, "images": 50, "device": "cuda:1"},
        ),
        (
            "render sprites --out o.zip --resolution 32 --count 9 --seed 3 --shard 1/4 --workers 2 --cluster ray",
            "data.rendering.render_dataset",
            {"resolution": 32, "count": 9, "seed": 3, "shard": (1, 4), "workers": 2, "cluster": "ray"},
        ),
        (
            (
                "eval r --metrics 'mig, fid' --images 9 --seed 4 --device mps --inception i.onnx --inception-sha256 ab "
                "--kimg 2 --data d.zip --out o"
            ),
            "metrics.evaluate.evaluate",
            {"metrics": ["mig", "fid"], "images": 9, "seed": 4, "device": "mps", "inception": Path("i.onnx")}
            | {"inception_sha256": "ab", "kimg": 2.0, "data_path": Path("d.zip"), "out": Path("o")},
        ),
        (
            (
                "sweep --data d --out o --over gamma-g=1 --seeds 1,2 --baselines info,all-labels --images 50 "
                "--workers 2 --cluster ray --metrics mig,sap"
            ),
            "study.sweep",
            {"over": {"gamma_g": (1.0,)}, "seeds": [1, 2], "baselines": ["info", "all-labels"], "images": 50}
            | {"workers": 2, "cluster": "ray", "metrics": ["mig", "sap"]},
        ),
        (
            (
                "import folder --source PHOTOS --out o.zip --resolution 32 --fit pad --crop 20 --filter box "
                "--count 9 --seed 3 --factors a,b --workers 2"
            ),
            "data.importing.import_dataset",
            {"name": "folder", "workers": 2}
            | {"recipe": Recipe(32, "pad", crop=20, filter="box", count=9, seed=3, factors=("a", "b"))},
        ),
        (
            "export m --format safetensors --half --out o --examples PHOTOS",
            "export.forms.export_safetensors",
            {"half": True, "examples": "the examples"},
        ),
        (
            "export m --format web --out o --examples PHOTOS --runtime r.tgz",
            "export.web.export_web",
            {"package": Path("r.tgz"), "examples": "the examples"},
        ),
        ("label d --factors a --choose spread --seed 3", "app.desk.Desk", {"choice": "spread", "seed": 3}),
        ("app m --steps 7", "app.sliders.make_app", {"model": "the model", "given": "m", "steps": 7}),
        ("app m --device mps", "editing.load", {"device": "mps"}),
        (
            "traverse m --out o.png --columns 3 --seed 4 --factor hue",
            "editing.Model.traverse",
            {"seed": 4, "columns": 3, "settings": {}, "only": ("hue",)},
        ),
    ],
    ids=lambda value: value.partition(" ")[0] if isinstance(value, str) else "",
)
def test_options_reach_what_is_called(
    sprites_folder: Path,
    words: str,
    called: str,
    told: dict[str, object],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    place, _, name = f"semistylegan.{called}".rpartition(".")
    owner = pkgutil.resolve_name(place)
    signature, heard = inspect.signature(getattr(owner, name)), list[dict[str, object]]()

    def hear(*args: object, **more: object) -> None:
        heard.append(signature.bind(*args, **more).arguments)
        raise UserError("heard")

    if called != "editing.load":
        model = type("Model", (), {"factors": FactorSpace(()), "traverse": hear}) if "Model" in called else None
        monkeypatch.setattr("semistylegan.editing.load", lambda *_: model() if model else "the model")
    monkeypatch.setattr(owner, name, hear)
    monkeypatch.setattr(exporting.Export, "example_images", lambda *_: "the examples")
    assert main(shlex.split(words.replace("PHOTOS", shlex.quote(str(sprites_folder))))) == 2
    assert capsys.readouterr().err == "semistylegan: heard\n"
    assert {key: heard[0].get(key) for key in told} == told


def test_what_is_measured_of_a_snapshot_reaches_the_training(monkeypatch: pytest.MonkeyPatch) -> None:
    heard: list[object] = []

    def train(config: TrainConfig, *more: object) -> Run:
        heard.extend(more)
        return Run(Path(config.out))

    monkeypatch.setattr("semistylegan.metrics.evaluate.on_snapshot", lambda images, device: (images, device))
    monkeypatch.setattr("semistylegan.training.train", train)
    assert run("train", "--data", "d", "--out", "o", "--snap-images", 50, "--device", "mps", "--reschedule") == 0
    assert run("train", "--data", "d", "--out", "o") == 0
    assert heard == [(50, "mps"), True, None, False]


def test_processes_that_do_not_fit_are_told_before_any_starts() -> None:
    with pytest.raises(UserError, match="--processes 0: must be over 0"):
        parse_train("--processes", "0")
    with pytest.raises(UserError, match=r"--processes 64: .* divisor of 8"):
        parse_train("--processes", "64")
    parse_train("--preset", "info", "--labelled-batch", "3", "--processes", "4")  # it takes no labelled ones


def parse_train(*args: str) -> TrainConfig:
    return making.Train.parse("train", ["--data", "d", "--out", "o", *args]).config


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_sets_the_defaults(preset: str) -> None:
    for args in (["--preset", preset], [f"--preset={preset}"]):
        assert parse_train(*args) == TrainConfig.preset(preset, data="d", out="o")


def test_options_override_the_preset() -> None:
    config = parse_train("--gamma-g", "5.5", "--preset", "info", "--gamma-e", "0.25")
    assert config == TrainConfig.preset("info", data="d", out="o", gamma_g=5.5, gamma_e=0.25)
    assert parse_train() == TrainConfig.preset("semi", data="d", out="o")
    assert parse_train("--label-fraction", "0.025").label_fraction == 0.025
    assert parse_train("--label-fraction", "None").label_fraction is None


def test_the_paper_preset_grows_with_its_own_backbone_alone() -> None:
    assert parse_train("--preset", "paper").grow_kimg == 1280
    config = parse_train("--preset", "paper", "--backbone", "stylegan2")
    assert (config.grow_kimg, config.grow_batch, config.mix_with) == (None, None, "fakes")
    assert config == TrainConfig.preset("paper", data="d", out="o", backbone="stylegan2")
    with pytest.raises(UserError, match="--grow-kimg: the backbone stylegan2 does not grow"):
        parse_train("--preset=paper", "--backbone=stylegan2", "--grow-kimg", "2")


def test_train_has_an_option_for_every_field(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--help") == 0
    words = capsys.readouterr().out.replace(",", " ").split()
    fields = dataclasses.fields(TrainConfig)
    options = {f"--{'no-' if f.default is True else ''}{f.name.replace('_', '-')}" for f in fields}
    assert options - {"--system"} | {"--preset"} <= set(words)
    assert "--system" not in words


def test_the_options_of_train_stand_under_headings(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("train", "--help") == 0
    under: dict[str, list[str]] = {}
    for line in capsys.readouterr().out.splitlines():
        if found := re.fullmatch(r"(?:(\w+) )?options", line.strip("╭─╮ ")):
            options = under.setdefault(found[1] or "", [])
        elif found := re.match(r"..(--[a-z][a-z\d-]+)", line):
            options.append(found[1])
    assert list(under) == ["", *train_options.GROUPS]
    assert under[""] == [
        f"--{name}" for name in ("data", "out", "preset", "label-fraction", "hold-out", "kimg", "seed", "reschedule")
    ]
    assert "--coarse" in under["editor"] and "--no-cuda-graphs" in under["machine"]
    options = [option for listed in under.values() for option in listed]
    assert len(options) == len(set(options)) == len(dataclasses.fields(train_options.TrainOptions))


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ("", ["no command"]),
        ("edit run a.png --set x=1", ["missing: --out"]),
        ("edit run --set x=1 --out y", ["IMAGE"]),
        ("edit run a.png --out y", ["--set", "hue=210"]),
        ("eval", ["missing: RUN"]),
        ("generate run --out x --cuont 3", ["--cuont", "see semistylegan generate --help"]),
        ("traverse run --out x --colums 3", ["--colums", "perhaps you meant --columns"]),
        ("render sprites --out x.zip --resolution big", ["--resolution big", "whole number"]),
        ("render sprites --out x.zip --resolution 32 --count many", ["--count many", "whole number"]),
        ("render sprites --out x.zip --resolution 32 --count 3 --all", ["--count 3", "--all"]),
        ("render castle --out x.zip --resolution 32", ["castle", "sprites"]),
        ("render sprites --out x.zip --resolution 32 --shard 4/4", ["--shard 4/4", "0/4"]),
        ("render sprites --out x.zip --resolution 32 --shard ²/3", ["--shard ²/3", "0/4"]),
        ("render sprites --out x.zip --resolution 32 --workers 0", ["workers 0"]),
        ("render sprites --out x --resolution 32", ["x: ", ".zip"]),
        ("render sprites --out x.zip --resolution 33", ["resolution 33"]),
        ("demo --out x --kimg long", ["--kimg long", "a number"]),
        ("demo --out x --kimg 0", ["--kimg 0", "over 0"]),
        ("check nowhere", ["nowhere"]),
        ("train --data nowhere --out x", ["nowhere"]),
        ("train --data d --out x --preset good", ["good", "semi", "info"]),
        ("train --data d --out x --label-fraction half", ["--label-fraction half", "a number"]),
        ("train --data d --out x --label-fraction 2", ["--label-fraction 2", "between 0 and 1"]),
        ("train --data d --out x --encoder both", ["both", "--encoder", "shared"]),
        ("train --data d --out x --gamma-g nan", ["--gamma-g", "finite"]),
        ("train --data d --out x --width 4", ["--width 4", "at least 8"]),
        ("train --data d", ["missing: --out"]),
        ("train", ["missing: --data STR, --out STR"]),
        ("sweep", ["missing: --data STR, --out STR"]),
        ("demo --out x --images 99", ["--images 99", "at least 100"]),
        ("eval nowhere", ["nowhere"]),
        ("eval-codes .", ["an .npz"]),
        ("generate nowhere --out x.png", ["nowhere"]),
        ("traverse nowhere --out x.png", ["nowhere"]),
        ("encode nowhere a.png", ["nowhere"]),
        ("generate sprites --out x.png --device gpu", ["--device gpu", "cuda"]),
        ("traverse sprites --out x.png --device gpu", ["--device gpu", "cuda"]),
        ("encode sprites x.png --device gpu", ["--device gpu", "cuda"]),
        ("edit sprites x.png --set hue=9 --out y.png --device gpu", ["--device gpu", "cuda"]),
        ("app sprites --no-open --device gpu", ["--device gpu", "cuda"]),
        ("report nowhere", ["nowhere"]),
    ],
)
def test_a_users_error_is_one_line_and_status_2(
    args: str, told: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*shlex.split(args)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("semistylegan: ")
    assert said.err.count("\n") == 1
    assert [part for part in told if part not in said.err] == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("known", ["'None', 'True'", "'True', 'None'"])
def test_none_is_no_value_to_be_given(known: str) -> None:
    said = f"╭─ Odd ──╮\n│ invalid choice 'x' for argument '--blend'. Expected one of ({known}). │\n╰────────╯\n"
    assert "Expected one of ('True'); see" in parsing.one_line(said, "train")


def test_one_line_keeps_what_it_does_not_know() -> None:
    wanted = "A new thing; see semistylegan x --help"
    assert parsing.one_line("╭─ Odd ──╮\n│ A new  │\n│ thing. │\n╰────────╯\n", "x") == wanted
    assert parsing.one_line(" Odd \n--------\n  A new  \n  thing. \n        \n", "x") == wanted
    assert "could not be read" in parsing.one_line("", "x")


# -- exit statuses ------------------------------------------------------------------------------------------------


def failing(error: BaseException) -> Callable[..., None]:
    def fail(*_: object, **__: object) -> None:
        raise error

    return fail


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "runs/a/model"), "runs/a/model: no space left on the disk"),
        (OSError(errno.ENOSPC, "No space left on device"), "pictures.png: no space left on the disk"),
        (PermissionError(errno.EACCES, "Permission denied", "x"), "x: permission denied"),
        (OSError(errno.EROFS, "Read-only file system", "x"), "x: the disk is read-only"),
        (UserError("a.png: no image;\ntake another"), "a.png: no image; take another"),
    ],
)
def test_what_a_user_can_mend_is_status_2(
    error: BaseException, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(using.Generate, "run", failing(error))
    assert run("generate", "run", "--out", "pictures.png") == 2
    assert capsys.readouterr().err.startswith(f"semistylegan: {told}")


@pytest.mark.parametrize("error", [OSError(errno.EIO, "I/O error"), ZeroDivisionError(), ValueError("bug")])
def test_our_bug_keeps_its_traceback(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(using.Generate, "run", failing(error))
    with pytest.raises(type(error)):
        run("generate", "run", "--out", "x")


def test_a_folder_that_is_gone_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (gone := tmp_path / "gone").mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    assert run("check", ".") == 2
    assert capsys.readouterr().err.endswith("has been removed; change to another one\n")
    assert run("--version") == 0


@pytest.mark.parametrize(("args", "told"), [("train --data d --out o", "goes on"), ("eval run", "starts over")])
def test_an_interruption_is_status_130(
    args: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(COMMANDS[args.split()[0]], "run", failing(KeyboardInterrupt()))
    assert run(*args.split()) == 130
    assert told in capsys.readouterr().err


def test_a_request_to_end_is_an_interruption(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """What `kill` and job queues send: whatever is half written is removed."""

    def half(_: object) -> None:
        with atomic_path(tmp_path / "x.zip") as part:
            part.write_bytes(b"half")
            os.kill(os.getpid(), signal.SIGTERM)

    monkeypatch.setattr(COMMANDS["check"], "run", half)
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)  # a failure of this test must not end all tests
    try:
        assert run("check", "x") == 130
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert list(tmp_path.iterdir()) == []


def test_every_command_that_goes_on_exists() -> None:
    assert set(program.GOES_ON) <= set(COMMANDS)


@pytest.mark.parametrize("words", [["--help"], ["check", "{data}"], ["encode", "sprites", "{data}"]])
def test_a_reader_that_leaves_is_no_bug(words: list[str], sprites_zip: Path) -> None:
    words = [word.format(data=sprites_zip) for word in words]
    code = f"import sys; from semistylegan.cli import main; sys.exit(main({words!r}))"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        said = process.stderr.read()
    assert process.returncode == 141
    assert b"Error" not in said and b"Traceback" not in said


# -- every command, on a tiny set ----------------------------------------------------------------------------------


def test_the_walk_from_render_to_report(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data, runs = tmp_path / "sprites.zip", tmp_path / "run"

    def done(*args: object) -> str:
        status = run(*args)
        said = capsys.readouterr()
        assert status == 0, said.err
        return said.out

    def last(*args: object) -> Path:
        path = Path(done(*args).splitlines()[-1])
        assert path.exists()
        return path

    assert last("render", "sprites", "--out", data, "--resolution", 16, "--count", 60, "--workers", 1) == data
    assert "hue" in done("check", data)
    assert json.loads(done("check", data, "--json"))["images"] == 60

    tiny = ("--label-fraction", 0.5, "--kimg", 0.064, "--batch", 8, "--labelled-batch", 8, "--device", "cpu")
    assert last("train", "--data", data, "--out", runs, *tiny) == runs
    before = (runs / "stats.jsonl").read_bytes()
    assert last("train", "--data", data, "--out", runs, *tiny) == runs
    assert (runs / "stats.jsonl").read_bytes() == before
    assert run("train", "--data", data, "--out", runs, *tiny, "--gamma-g", 7) == 2
    assert "--gamma-g" in capsys.readouterr().err
    longer = (*tiny[:3], 0.072, *tiny[4:])
    assert run("train", "--data", data, "--out", runs, *longer) == 2
    assert "--reschedule" in capsys.readouterr().err
    assert last("train", "--data", data, "--out", runs, *longer, "--reschedule") == runs

    assert last("eval", runs, "--metrics", "mig,l2", "--images", 100) == runs / "metrics.json"
    assert run("eval", runs, "--metrics", "beauty") == 2
    assert "beauty" in capsys.readouterr().err

    assert last("generate", runs, "--count", 4, "--out", tmp_path / "grid.png") == tmp_path / "grid.png"
    for seed in (1, 1, 2):
        folder = last(
            "generate", runs, "--set", "shape=#1", "--count", 3, "--seed", seed, "--out", tmp_path / f"g{seed}"
        )
        assert [p.name for p in sorted(folder.iterdir())] == ["000000.png", "000001.png", "000002.png"]
    assert read(tmp_path / "g1" / "000000.png").shape == (16, 16, 3)
    assert (read(tmp_path / "g1" / "000000.png") != read(tmp_path / "g2" / "000000.png")).any()
    for name in ("all.png", "all.gif"):
        last("traverse", runs, "--columns", 3, "--out", tmp_path / name)

    image = tmp_path / "g1" / "000000.png"
    assert "hue" in done("encode", runs, image)
    as_json = json.loads(done("encode", runs, image, image, "--json"))
    assert as_json[0] == as_json[1]
    assert as_json[0]["shape"] in ("ring", "square", "triangle")
    table = last("encode", runs, image, "--csv", tmp_path / "read.csv")
    (row,) = csv.DictReader(io.StringIO(table.read_text(encoding="utf-8")))
    assert row == {name: str(value) for name, value in as_json[0].items()}

    edited = last("edit", runs, image, "--set", "hue=90", "--steps", 2, "--out", tmp_path / "edited.png")
    assert read(edited).shape == (16, 16, 3)
    folder = last("edit", runs, image, folder / "000001.png", "--set", "hue=90", "--steps", 2, "--out", tmp_path / "e")
    assert [p.name for p in sorted(folder.iterdir())] == ["000000.png", "000001.png"]
    assert run("edit", runs, image, "--set", "hat=1", "--out", tmp_path / "n.png") == 2
    assert "hat" in capsys.readouterr().err

    assert last("report", runs) == runs / "report.html"


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def test_check_refuses_what_cannot_be_trained_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken.png").write_bytes(b"no image")
    assert run("check", tmp_path) == 2
    said = capsys.readouterr()
    assert "broken.png" in said.out
    assert "cannot be trained on" in said.err.splitlines()[-1]


def test_scores_are_printed_under_their_heads(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "120")
    errors = {"mae": 0.1, "mae_constant": 0.2, "mae_gen": 0.3, "mae_gen_constant": 0.4}
    print_metrics({"mig": 0.5, "ci95": {"mig": [0.25, 0.75]}, "per_factor": {"hue": errors}})
    lines = [re.findall(r"[\w.]+", line) for line in capsys.readouterr().out.splitlines()]
    assert ["MIG", "0.500", "0.250", "to", "0.750", "higher"] in lines
    assert lines.index(["hue", "0.100", "0.200", "0.300", "0.400"]) == 2 + lines.index(
        ["factor", "encoder", "constant", "generator", "constant"]
    )
    editor = {"mae": 0.1, "mae_constant": 0.2, "mae_gen": None, "edit_error": 0.3, "edit_error_constant": 0.4}
    print_metrics({"per_factor": {"hue": editor}})
    lines = [re.findall(r"[\w.]+", line) for line in capsys.readouterr().out.splitlines()]
    assert ["hue", "0.100", "0.200", "0.300", "0.400"] in lines
    print_metrics({"kimg": None, "model": "m", "data": "d.zip", "labelled_images": None, "mig": 0.5})
    assert capsys.readouterr().out.splitlines()[0].strip() == "m on d.zip"


@pytest.mark.parametrize("seed", ["-1", str(2**31)])
@pytest.mark.parametrize(
    "words",
    [
        "demo --out x",
        "render sprites --out x --resolution 32",
        "train --data x --out y",
        "eval x",
        "eval-codes x",
        "label x --factors a=b|c",
        "generate x --out y",
        "traverse x --out y",
        "import folder --source x --out y",
    ],
)
def test_a_seed_that_no_generator_takes(words: str, seed: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*words.split(), "--seed", seed]) == 2
    assert f"--seed {seed}: give a number from 0 to 2147483647" in capsys.readouterr().err


def test_a_demo_takes_no_one_s_folder(sprites_folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    before = sorted(sprites_folder.rglob("*"))
    assert main(["demo", "--out", str(sprites_folder)]) == 2
    assert "sprites: holds other files (00.png)" in capsys.readouterr().err
    assert sorted(sprites_folder.rglob("*")) == before


def test_a_value_that_begins_with_a_dash_is_told_how_to_be_given(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["generate", "sprites", "--out", "x.png", "--set", "-dash=1"]) == 2
    said = "--set: a value is missing; one that begins with - is given as --set=VALUE; see"
    assert capsys.readouterr().err.startswith(f"semistylegan: {said}")


def test_the_demo_is_done_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ("demo", "--out", tmp_path, "--kimg", 0.032, "--count", 80, "--images", 100, "--device", "cpu")
    assert run(*args) == 0
    said = capsys.readouterr()
    assert said.out.splitlines()[-1] == str(tmp_path / "report.html")
    assert (tmp_path / "report.html").read_text(encoding="utf-8").lower().startswith("<!doctype html>")
    assert [f"Step {i} of 4" in said.err for i in range(1, 5)] == [True] * 4
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["labelled_images"] == 2
    names = ("sprites.zip", "run/stats.jsonl", "run/metrics.json", "report.html")
    written = {tmp_path / name: (tmp_path / name).read_bytes() for name in names}
    assert run(*args) == 0
    assert {path: path.read_bytes() for path in written} == written
    assert finished_metrics(Run(tmp_path / "run"), 100) == metrics
    write_json(tmp_path / "run" / "metrics.json", metrics | {"seed": 5})
    assert finished_metrics(Run(tmp_path / "run"), 100) is None, "of other images than the demo's"


def test_a_snapshot_is_measured_on_as_many_images_as_mig_has_bins() -> None:
    words = ["--data", "d.zip", "--out", "o", "--snap-images"]
    assert [making.Train.parse("train", [*words, n]).snap_images for n in ("0", str(BINS))] == [0, BINS]
    for few in ("-1", "1", str(BINS - 1)):
        with pytest.raises(UserError, match=rf"^--snap-images {few}: must be at least 20, or 0 to measure nothing$"):
            making.Train.parse("train", [*words, few])
