"""What leaves the house: a clean checkpoint with its card, ONNX that gives what torch gives, a page of its own."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import http.server
import json
import math
import shlex
import shutil
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
import pytest
import torch

from semistylegan.cli.exporting import MOST_EXAMPLES
from semistylegan.cli.program import main
from semistylegan.data.labels import Labels
from semistylegan.data.pictures import save_png
from semistylegan.editing import ImageArray, Model, load
from semistylegan.errors import UserError
from semistylegan.export import card, forms, runtime, web
from semistylegan.export.web import export_web
from semistylegan.factors import Factor, FactorSpace
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import save_model
from semistylegan.models.config import EncoderKind, ModelConfig
from semistylegan.models.stylegan import Growing, grow
from semistylegan.scenes import sprites
from semistylegan.training import TrainConfig, train

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SPACE = FactorSpace(
    (Factor.categorical("shape", ("ring", "cross")), Factor.circular("hue", 12), Factor.scalar("size", None, 1, 3))
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return untrained(tmp_path_factory.mktemp("model") / "checkpoint-000001")


def untrained(
    folder: Path, coarse: int = 0, space: FactorSpace = SPACE, knows_source: bool = False, channels: int = 3
) -> Path:
    """A model of 16 px; an editor where `coarse` is given."""
    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", 16, channels, space.code_width)
    if coarse:
        config = dataclasses.replace(config, z_dim=0, coarse=coarse, seen=8, knows_source=knows_source)
    G, _, E = build_networks(config)
    save_model(folder, config, space, G, E)
    return folder


def growing(folder: Path, doublings: float, encoder: EncoderKind) -> Path:
    """A model of 32 px with the paper's backbone, grown so far."""
    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", 32, 3, SPACE.code_width, backbone="stylegan", encoder=encoder)
    G, D, E = build_networks(config)
    grow([G, D, E], doublings)
    save_model(folder, config, SPACE, G, E)
    return folder


@pytest.fixture
def model(checkpoint: Path) -> Model:
    return load(checkpoint)


@pytest.mark.parametrize("half", [False, True])
def test_a_clean_checkpoint(model: Model, half: bool, tmp_path: Path) -> None:
    out = forms.export_safetensors(model, tmp_path / "out", half)
    names = {"MODEL_CARD.md", "config.json", "factors.json", "model.safetensors"}
    assert {p.name for p in out.iterdir()} == names
    assert all(p.stat().st_mode & 0o044 for p in out.iterdir()), "others may read it"
    again = load(out)
    assert again.factors == model.factors
    a, b = (m.generate(seed=3, count=4).astype(int) for m in (model, again))
    assert np.abs(a - b).max() <= (2 if half else 0)
    assert next(again.networks.G.parameters()).dtype == torch.float32
    size = (out / "model.safetensors").stat().st_size
    assert size == pytest.approx((model.checkpoint / "model.safetensors").stat().st_size / (2 if half else 1), rel=0.2)


@pytest.mark.parametrize("half", [False, True])
def test_a_clean_checkpoint_of_a_run_that_still_grows(sprites_zip: Path, tmp_path: Path, half: bool) -> None:
    config = TrainConfig.preset(
        "paper",
        str(sprites_zip),
        str(tmp_path / "run"),
        size="tiny",
        kimg=0.032,
        grow_kimg=0.04,
        batch=4,
        grow_batch=4,
        labelled_batch=4,
        device="cpu",
    )
    model = load(train(config).path)
    resolution, share = model.networks.G.stage  # type: ignore[attr-defined]
    assert resolution == 16 and 0 < share < 1, "of 32 px, in the middle of a fade"
    again = load(forms.export_safetensors(model, tmp_path / "out", half))
    assert again.networks.G.stage == (resolution, share)  # type: ignore[attr-defined]
    a, b = (m.generate(seed=3, count=4).astype(int) for m in (model, again))
    assert np.abs(a - b).max() <= (2 if half else 0)
    image = torch.rand(4, 3, 32, 32)
    assert again.networks.E(image).numpy() == pytest.approx(model.networks.E(image).numpy(), abs=1e-2 if half else 0)
    text = (again.checkpoint / "MODEL_CARD.md").read_text()
    assert "no detail finer than 16 x 16 pixels show" in text
    assert "images of 32 x 32 pixels" in text and "--preset paper --kimg 0.032" in text and "--grow-kimg 0.04" in text


def test_an_editor_is_handed_on_with_images_to_begin_with(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = untrained(tmp_path / "model", coarse=4)
    images = np.random.default_rng(0).integers(1, 256, (5, 16, 16, 3), dtype=np.uint8)
    for i, image in enumerate(images):
        save_png(tmp_path / "photos" / f"{i}.png", image)
    args = ["export", str(model), "--format", "safetensors", "--out", str(tmp_path / "out")]
    assert main(args) == 0
    assert load(tmp_path / "out").starts is None
    assert main([*args, "--examples", str(tmp_path / "photos")]) == 0
    found = load(tmp_path / "out")
    assert found.starts is not None and np.array_equal(found.starts, images)
    assert found.generate(seed=1, count=2).shape == (2, 16, 16, 3), "with them the editor has what to draw from"
    again = load(forms.export_safetensors(found, tmp_path / "again"))
    assert again.examples is not None and np.array_equal(again.examples, images), "what came with it goes on with it"
    assert main(args) == 0
    assert load(tmp_path / "out").starts is None, "none asked for: those of the earlier export go"
    for i in range(MOST_EXAMPLES - 4):
        save_png(tmp_path / "photos" / f"more-{i}.png", images[0])
    capsys.readouterr()
    assert main([*args, "--examples", str(tmp_path / "photos")]) == 2
    assert "photos: holds 25 images; choose 24 at most" in capsys.readouterr().err
    (tmp_path / "photos" / "more-0.png").unlink()
    assert main([*args, "--examples", str(tmp_path / "photos")]) == 0
    assert main([*args[:3], "onnx", "--out", str(tmp_path / "o"), "--examples", str(tmp_path / "photos")]) == 2
    assert "--examples: not with --format onnx" in capsys.readouterr().err


def test_images_to_begin_with_are_for_editors(model: Model, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"--examples: for editors \(preset fine\); this model starts from z"):
        forms.export_safetensors(model, tmp_path / "out", examples=np.ones((1, 16, 16, 3), np.uint8))
    assert list(tmp_path.iterdir()) == []


def test_images_of_a_run_are_not_handed_on_unasked(tmp_path: Path) -> None:
    model = untrained(tmp_path / "run" / "checkpoint-000001", coarse=4)
    save_png(tmp_path / "run" / "reals.png", np.full((16, 32, 3), 200, np.uint8))
    found = load(model)
    assert found.starts is not None and found.examples is None
    out = forms.export_safetensors(found, tmp_path / "out")
    assert not (out / "examples.png").exists()


def test_the_head_that_doubts_is_for_training_alone(tmp_path: Path) -> None:
    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", 16, 3, SPACE.code_width, second_head=True)
    G, _, E = build_networks(config)
    save_model(tmp_path / "model", config, SPACE, G, E)
    model = load(tmp_path / "model")
    again = load(forms.export_safetensors(model, tmp_path / "out"))
    image = torch.rand(2, 3, 16, 16)
    assert torch.equal(again.networks.E(image), model.networks.E(image))
    weights = sum(p.numel() for p in again.networks.E.parameters())
    assert weights < sum(p.numel() for p in model.networks.E.parameters())
    assert f"and {weights:,} parameters" in (tmp_path / "out" / "MODEL_CARD.md").read_text()


def test_the_card_says_where_it_comes_from(sprites_zip: Path, tmp_path: Path) -> None:
    config = TrainConfig.preset(
        "semi", str(sprites_zip), str(tmp_path / "run"), label_fraction=0.5, kimg=0.016, lr_g=0.001, device="cpu"
    )
    run = train(config)
    text = card.write(load(run.path), half=True, size=1_234_567)
    assert f"semistylegan train --data {sprites_zip.name} --out run --preset semi" in text
    assert "--label-fraction 0.5" in text and "--kimg 0.016" in text and "--lr-g 0.001" in text
    assert "--device" not in text, "what decides nothing that is learned"
    assert "--lr-d" not in text and "--r1-gamma" not in text, "what the size decides is no choice of the user's"
    assert str(tmp_path) not in text, "no path of this machine"
    assert "1.23 MB in half precision" in text and "| hue | circular | a number from 0 to 360° |" in text
    assert "## Scores" not in text and "--reschedule" not in text
    digest = __import__("hashlib").sha256((run.checkpoint() / "model.safetensors").read_bytes()).hexdigest()
    scores = {
        "mig": 0.5,
        "l2": None,
        "weights_sha256": digest,
        "images": 1000,
        "per_factor": {"hue": {"mae": 0.1, "mae_gen": 0.2}},
    }
    (run.path / "metrics.json").write_text(json.dumps(scores))
    text = card.write(load(run.path), half=False, size=1)
    assert "| MIG | 0.500 | higher |" in text and "| hue | 0.100 | 0.200 |" in text
    odd = {"mig": {}, "l2": "x", "images": [], "per_factor": {"hue": 1, "x": {"mae": {}, "mae_gen": 1}}}
    for other in (json.dumps(scores | odd), "[1]", "[" * 100_000, "null"):
        (run.path / "metrics.json").write_text(other)
        text = card.write(load(run.path), half=False, size=1)
        assert "MIG" not in text and "error of E" not in text
    (run.path / "metrics.json").write_text(json.dumps(scores | {"weights_sha256": "other"}))
    text = card.write(load(run.path), half=False, size=1)
    assert "## Scores" not in text
    train(dataclasses.replace(config, kimg=0.032), reschedule=True)
    text = card.write(load(run.path), half=False, size=1)
    assert "--kimg 0.032" in text and "(--reschedule): until kimg 0.016 it was planned for 0.016." in text


def test_the_card_s_command_is_as_a_shell_reads_it() -> None:
    data, out = "my photos' 1.zip", "a b"
    config = TrainConfig.preset(
        "semi", f"x/{data}", f"y/{out}", label_fraction=1 / 3, hold_out="a b=c", kimg=20.0, size="small"
    )
    words = shlex.split(card.command(config, 32))
    assert words[:8] == ["semistylegan", "train", "--data", data, "--out", out, "--preset", "semi"]
    given = dict(zip(words[8::2], words[9::2], strict=True))
    assert float(given["--label-fraction"]) == 1 / 3, "as many labels as the run had"
    assert given["--hold-out"] == "a b=c" and given["--kimg"] == "20" and given["--size"] == "small"


@pytest.mark.parametrize(
    ("coarse", "channels", "words"),
    [
        (0, 3, "G draws colour images of 16 x 16 pixels whose factors are as asked, E"),
        (0, 1, "G draws grey images of 16 x 16 pixels whose factors are as asked, E"),
        (4, 3, "G changes the factors of given colour images of 16 x 16 pixels as asked, E"),
    ],
)
def test_the_card_says_what_the_model_does(coarse: int, channels: int, words: str, tmp_path: Path) -> None:
    model = load(untrained(tmp_path / "model", coarse=coarse, channels=channels))
    text = card.write(model, half=False, size=1)
    in_G, in_E = (sum(p.numel() for p in net.parameters()) for net in (model.networks.G, model.networks.E))
    assert words in text and f"{in_G:,} and {in_E:,} parameters, 0.00 MB in single precision" in text
    assert "Not yet fully grown" not in text and "## Training" not in text


def test_the_card_s_table_holds_any_name(tmp_path: Path) -> None:
    space = FactorSpace((Factor.categorical("a|b", ("x|y", "<i>z & w</i>")),))
    text = card.write(load(untrained(tmp_path / "model", space=space)), half=False, size=1)
    assert r"| a\|b | categorical | one of x\|y, &lt;i&gt;z &amp; w&lt;/i&gt; |" in text


def test_the_labels_that_codes_are_drawn_from_go_along(model: Model, tmp_path: Path) -> None:
    levels = np.array([[1, 0, 0], [0, 0.25, 1 / 3]], np.float32)  # a cross of which no more is known, and a ring
    model.prior = Labels(levels, np.array([[True, False, False], [True, True, True]]))
    out = forms.export_safetensors(model, tmp_path / "out")
    again = load(out)
    assert np.array_equal(again.generate(seed=1, count=20), model.generate(seed=1, count=20))
    assert not np.array_equal(load(model.checkpoint).generate(seed=1, count=20), model.generate(seed=1, count=20))
    assert "0,cross,," in (out / "prior.csv").read_text() and len(again.draw(0, 50)[1][:, 1].unique()) > 8
    forms.export_safetensors(load(model.checkpoint), out)
    assert not (out / "prior.csv").exists()
    forms.export_onnx(model, tmp_path / "onnx")
    prior = json.loads((tmp_path / "onnx" / "model.json").read_text())["prior"]
    assert prior == [[1, None, None], [0, 0.25, pytest.approx(1 / 3, abs=1e-6)]]


def test_the_card_says_how_precise_the_weights_are(checkpoint: Path, tmp_path: Path) -> None:
    half = forms.export_safetensors(load(checkpoint), tmp_path / "half", half=True)
    again = forms.export_safetensors(load(half), tmp_path / "again")
    for out in (half, again):
        assert "MB in half precision" in (out / "MODEL_CARD.md").read_text()


def test_an_option_of_another_form_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words, form in (("--title A", "onnx"), ("--runtime a.tgz", "safetensors"), ("--half", "web")):
        assert main(["export", "sprites", "--format", form, "--out", str(tmp_path / "out"), *words.split()]) == 2
        assert f"{words.split()[0]}: not with --format {form}; leave it out" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("words", "title"), [("", "Living room"), ("--title my-room", "my-room")])
def test_a_page_is_called_as_its_model_is_or_as_the_user_says(
    words: str, title: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    titles = list[str]()
    monkeypatch.setattr(web, "export_web", lambda model, out, title, *rest: titles.append(title) or out)
    assert main(["export", "living-room", "--format", "web", "--out", str(tmp_path / "out"), *words.split()]) == 0
    assert titles == [title]


def test_onnx_gives_what_torch_gives(model: Model, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("onnxruntime")
    with warnings.catch_warnings(record=True) as heard:
        out = forms.export_onnx(model, tmp_path / "out")
    assert heard == [] and capfd.readouterr() == ("", "")
    assert sorted(p.name for p in out.iterdir()) == ["encoder.onnx", "generator.onnx", "model.json"]
    about = json.loads((out / "model.json").read_text())
    assert (about["start"], about["z"], about["code"], about["resolution"], about["channels"]) == ("z", 16, 5, 16, 3)
    assert [f["code"] for f in about["factors"]] == [[0, 2], [2, 4], [4, 5]]
    assert about["sha256"] == {
        name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in ("generator.onnx", "encoder.onnx")
    }
    check_networks(out, model)


def test_onnx_keeps_what_keeps_a_norm_finite(model: Model, tmp_path: Path) -> None:
    """A number small enough for the exporter to take it for zero; it counts where what a code maps to is small, too."""
    pytest.importorskip("onnxruntime")
    embed = model.networks.G.mapping.embed
    assert embed is not None
    with torch.no_grad():
        embed.weight *= 1e-4
    check_networks(forms.export_onnx(model, tmp_path / "out"), model)


def check_networks(out: Path, model: Model) -> None:
    """The ONNX files give the model's pictures and what it reads of them, of any number."""
    onnxruntime = pytest.importorskip("onnxruntime")
    G, E = (onnxruntime.InferenceSession(out / f"{n}.onnx") for n in ("generator", "encoder"))
    for count in (1, 5):
        z, code = torch.randn(count, 16), SPACE.encode(SPACE.sample(count, torch.Generator().manual_seed(0)))
        (image,) = G.run(None, {"z": z.numpy(), "code": code.numpy()})
        with torch.no_grad():
            assert image == pytest.approx(model.networks.G(z, code).numpy(), abs=1e-4)
            (said,) = E.run(None, {"image": image})
            assert said == pytest.approx(model.networks.E(torch.from_numpy(image)).numpy(), abs=1e-4)


@pytest.mark.parametrize(
    ("doublings", "encoder"), [(3.0, "shared"), (3.4, "separate"), (3.4, "shared"), (5.0, "separate"), (5.0, "shared")]
)
def test_onnx_of_networks_that_grow(tmp_path: Path, doublings: float, encoder: EncoderKind) -> None:
    """At 8 px, while 16 px is faded in, and fully grown: the files draw and read as far as that."""
    pytest.importorskip("onnxruntime")
    model = load(growing(tmp_path / "model", doublings, encoder))
    out = forms.export_onnx(model, tmp_path / "out")
    assert json.loads((out / "model.json").read_text())["resolution"] == 32
    check_networks(out, model)
    parts = [*model.networks.G.modules(), *model.networks.E.modules()]
    kept = [torch.is_tensor(part.grown) for part in parts if isinstance(part, Growing)]
    assert kept == [True, True], "the model itself can still grow"


@pytest.mark.parametrize("knows_source", [False, True])
def test_onnx_of_an_editor(tmp_path: Path, knows_source: bool) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    model = load(untrained(tmp_path / "model", coarse=4, knows_source=knows_source))
    out = forms.export_onnx(model, tmp_path / "out")
    about = json.loads((out / "model.json").read_text())
    assert (about["start"], about["code"], about["knows_source"]) == ("image", 5, knows_source)
    G = onnxruntime.InferenceSession(out / "generator.onnx")
    image, code = torch.rand(2, 3, 16, 16), torch.rand(2, 5)
    inputs = {"image": image.numpy(), "code": code.numpy()}
    if knows_source:
        E = onnxruntime.InferenceSession(out / "encoder.onnx")
        (inputs["said"],) = E.run(None, {"image": image.numpy()})
    (drawn,) = G.run(None, inputs)
    with torch.no_grad():
        assert drawn == pytest.approx(model.networks.draw(image, code).numpy(), abs=1e-4)


def contents(folder: Path) -> dict[str, bytes]:
    """Every file below the folder."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_an_export_replaces_the_files_of_its_like_and_nothing_else(model: Model, tmp_path: Path) -> None:
    out = forms.export_safetensors(model, tmp_path / "a" / "out")
    size = (out / "model.safetensors").stat().st_size
    others = {".git/HEAD": b"ref", "README.md": b"mine", "model.safetensors.bak": b"old"}
    for name, data in others.items():
        (out / name).parent.mkdir(exist_ok=True)
        (out / name).write_bytes(data)
    forms.export_safetensors(model, out, half=True)
    found = contents(out)
    assert others.items() <= found.items()
    assert found.keys() - others.keys() == {*forms.CHECKPOINT} - {"examples.png", "prior.csv"}
    assert len(found["model.safetensors"]) < 0.6 * size and b"half precision" in found["MODEL_CARD.md"]
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "config.json").write_text("{}")
    (tmp_path / "mine" / "letter.txt").write_text("dear")
    for path, said in ((tmp_path / "mine", "holds letter.txt and is no"), (tmp_path / "mine/letter.txt", "a file")):
        with pytest.raises(UserError, match=said):
            forms.export_safetensors(model, path)
    assert contents(tmp_path / "mine") == {"config.json": b"{}", "letter.txt": b"dear"}


@pytest.mark.parametrize("where", ["while it is written", "while it is put in place"])
def test_what_fails_on_the_way_leaves_the_earlier_export(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    out = forms.export_safetensors(model, tmp_path / "out")
    before = contents(tmp_path)
    copied: list[Path] = []

    def copy(source: Path, target: Path) -> None:
        if len(copied) == 2:
            raise OSError(28, "No space left on device")
        copied.append(source)
        shutil.copyfile(source, target)

    if where == "while it is written":
        monkeypatch.setattr(card, "write", lambda *a: 1 / 0)
    else:
        monkeypatch.setattr(forms.shutil, "copyfile", copy)
    with pytest.raises((ZeroDivisionError, OSError)):
        forms.export_safetensors(model, out, half=True)
    assert contents(tmp_path) == before


def test_no_checkpoint_of_a_run_is_replaced(model: Model, checkpoint: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    out = run / "checkpoint-000001"
    shutil.copytree(checkpoint, out)
    with pytest.raises(UserError, match=r"holds config\.json and is no earlier export"):
        forms.export_safetensors(model, out)
    (out / "MODEL_CARD.md").write_text("a card")
    (out / "train-state.json").write_text("{}")
    before = contents(run)
    with pytest.raises(UserError, match="is a checkpoint of a run"):
        forms.export_safetensors(model, out)
    assert contents(run) == before
    (out / "train-state.json").unlink()
    (run / "config.json").write_text('{"train": {}}')
    with pytest.raises(UserError, match="is a checkpoint of a run"):
        forms.export_safetensors(model, out)
    # Another folder within the run is like any other, and so is a checkpoint's name where no run is.
    for other in (run / "export", tmp_path / "checkpoint-000001"):
        for half in (False, True):
            forms.export_safetensors(model, other, half)


def test_a_site_and_networks_do_not_replace_each_other(model: Model, tmp_path: Path) -> None:
    networks = dict.fromkeys(("generator.onnx", "encoder.onnx", "model.json"), b"")
    site = networks | {"page.js": b"", "CNAME": b"example.org"}
    for name, files in (("networks", networks), ("site", site), ("page", {"page.js": b"mine"})):
        for file, data in files.items():
            (tmp_path / name).mkdir(exist_ok=True)
            (tmp_path / name / file).write_bytes(data)
    before = contents(tmp_path)
    with pytest.raises(UserError, match="site: holds CNAME and is no earlier export in this format"):
        forms.export_onnx(model, tmp_path / "site")
    with pytest.raises(UserError, match=r"networks: holds encoder\.onnx and is no"):
        export_web(model, tmp_path / "networks", "A site")
    with pytest.raises(UserError, match=r"page: holds page\.js and is no"):
        export_web(model, tmp_path / "page", "A site")
    assert contents(tmp_path) == before


def test_an_export_takes_away_what_it_does_without(model: Model, tmp_path: Path) -> None:
    pytest.importorskip("onnxscript")
    out = tmp_path / "out"
    out.mkdir()
    for name in ("generator.onnx", "generator.onnx.data", "encoder.onnx", "model.json", "mine.data"):
        (out / name).touch()
    forms.export_onnx(model, out)
    assert sorted(p.name for p in out.iterdir()) == ["encoder.onnx", "generator.onnx", "mine.data", "model.json"]
    assert all((out / name).stat().st_size for name in ("encoder.onnx", "generator.onnx", "model.json"))


def test_a_published_site_is_brought_up_to_date(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ort, out = tmp_path / "ort", tmp_path / "site"
    ort.mkdir()
    for name in runtime.FILES.values():
        (ort / name).touch()
    monkeypatch.setattr(web, "runtime", lambda package: ort)
    monkeypatch.setattr(
        web, "write_networks", lambda model, folder: [(folder / n).touch() for n in ("generator.onnx", "model.json")]
    )
    out.mkdir()
    export_web(model, out, "Before")
    (out / "CNAME").write_text("example.org")
    (out / "extra").mkdir()
    (out / "extra" / "index.html").write_text("mine")
    export_web(model, out, "After & <b>")
    page = (out / "index.html").read_text()
    assert "<h1>After &amp; &lt;b&gt;</h1>" in page and "<title>After &amp; &lt;b&gt;</title>" in page
    assert 'data-examples="0"' in page
    assert "MIT License" in (out / "LICENCE-onnxruntime-web.txt").read_text()
    texts = [p.read_text() for p in out.iterdir() if p.suffix in (".html", ".css", ".js")]
    assert len(texts) == 10 and not any("/static/" in text or "{{" in text for text in texts), "at whatever address"
    assert (out / "CNAME").read_text() == "example.org" and (out / "extra" / "index.html").read_text() == "mine"
    absent = {"examples.png", "generator.onnx.data", "encoder.onnx", "encoder.onnx.data"}
    assert {p.name for p in out.iterdir()} - {"CNAME", "extra"} == set(web.NAMES) - absent


@pytest.mark.parametrize("off", [0.002, math.nan])
def test_a_file_that_gives_something_else_than_torch_is_our_bug(
    off: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    pytest.importorskip("onnxscript")

    class Session:
        def __init__(self, *_: Any, **__: Any) -> None: ...

        def run(self, _: None, fed: dict[str, np.ndarray]) -> list[np.ndarray]:
            return [fed["x"] + np.float32(off)]

    monkeypatch.setattr(torch.onnx, "export", lambda *_, **__: None)
    monkeypatch.setattr(onnxruntime, "InferenceSession", Session)
    with pytest.raises(RuntimeError, match=f"y.onnx: differs from torch by {off:.0g}"):
        forms._network(torch.nn.Identity(), {"x": torch.zeros(2, 3)}, "y", tmp_path / "y.onnx")


def test_onnx_without_its_extra(model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "onnxscript", None)
    with pytest.raises(UserError, match=r"onnxscript, which is not installed: pip install 'semistylegan\[onnx\]'"):
        forms.export_onnx(model, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_another_package_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "ort.tgz").write_bytes(b"not it")
    with pytest.raises(UserError, match=rf"ort.tgz: is not onnxruntime-web {runtime.VERSION} as it was published"):
        runtime.runtime(tmp_path / "ort.tgz")
    with pytest.raises(UserError, match="cannot be read"):
        runtime.runtime(tmp_path / "nothing.tgz")
    monkeypatch.setattr(runtime.shutil, "which", lambda name: None)
    with pytest.raises(UserError, match=r"needs npm once.*or give --runtime onnxruntime-web-[\d.]+tgz"):
        runtime.runtime()
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_lacks_a_file_of_the_package_is_filled_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEMISTYLEGAN_CACHE", str(tmp_path))
    folder = tmp_path / f"{runtime.PACKAGE}-{runtime.VERSION}"
    folder.mkdir()
    first, *others = runtime.FILES.values()
    for name in others:
        (folder / name).touch()
    with pytest.raises(UserError, match=r"nothing.tgz: cannot be read"):
        runtime.runtime(tmp_path / "nothing.tgz")
    (folder / first).touch()
    assert runtime.runtime(tmp_path / "nothing.tgz") == folder


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page of the model that ships."""
    pytest.importorskip("onnxscript")
    try:
        runtime.runtime()
    except UserError as error:
        pytest.skip(f"the published page is not tested: {error}")
    return export_web(load("sprites"), tmp_path_factory.mktemp("web") / "site", "Sprites & <co>")


class Static(http.server.SimpleHTTPRequestHandler):
    """Any static server; what it was asked for is kept."""

    asked: ClassVar[list[str]] = []

    def log_message(self, *args: object) -> None:
        self.asked.append(self.path)


def drawn(page: Page, side: int = 32) -> Any:
    canvas = "document.querySelector('#picture').getContext('2d')"
    return page.evaluate(f"[...{canvas}.getImageData(0, 0, {side}, {side}).data]")


@pytest.mark.timeout(240)
def test_the_published_page_needs_nothing_but_its_files(page: Page, site: Path, tmp_path: Path) -> None:
    """Nothing of ours runs: the page comes from a static server, and that one ends before the sliders move."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Static, directory=str(site)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    page.goto(f"http://127.0.0.1:{server.server_port}/?backend=wasm")
    page.wait_for_selector("body[data-ready]", timeout=60_000)
    assert page.title() == "Sprites & <co>"
    # An image is read in the browser, before the server ends since the encoder is fetched when it is first needed.
    picture = sprites.render(sprites.FACTORS.index_of([1, 4, 4, 2, 6]), 32)
    save_png(tmp_path / "square.png", picture)
    page.locator("#file").set_input_files(tmp_path / "square.png")
    page.wait_for_selector(".reads:not([hidden])")
    expected = load("sprites").encode(picture)
    shown = page.locator("[data-factor=shape] button[aria-checked=true]").text_content()
    assert shown == expected["shape"][0] == "square"
    assert float(page.locator("[data-factor=scale] .value").input_value()) == pytest.approx(
        expected["scale"][0], abs=2e-3
    )
    assert page.locator("#resetall").is_disabled(), "what was read is what Reset all goes back to"
    server.shutdown()
    thread.join()
    server.server_close()
    asked = len(Static.asked)
    before = drawn(page)
    count = int(page.locator("#picture").get_attribute("data-drawn") or 0)
    page.locator("[data-factor=shape] .classes button").nth(2).click()
    page.wait_for_function("n => document.querySelector('#picture').dataset.drawn > n", arg=count)
    after = drawn(page)
    assert np.abs(np.subtract(before, after)).max() > 50 and np.std(after) > 10
    page.keyboard.press("n")
    assert page.locator(".reads:not([hidden])").count() == 0, "a new sample"
    assert len(Static.asked) == asked
    # What a cache keeps under these addresses are these networks, not those of an earlier export.
    for name, sha256 in json.loads((site / "model.json").read_text())["sha256"].items():
        assert f"/{name}?v={sha256[:16]}" in Static.asked
    assert all(path.startswith("/") for path in Static.asked)


def normal(seed: int, count: int) -> list[float]:
    """The page's normal numbers: mulberry32, and Box and Muller's transform."""
    state = seed

    def multiply(a: int, b: int) -> int:
        return a * b & 0xFFFFFFFF

    def uniform() -> float:
        nonlocal state
        state = state + 0x6D2B79F5 & 0xFFFFFFFF
        x = multiply(state ^ state >> 15, state | 1)
        x ^= x + multiply(x ^ x >> 7, x | 61) & 0xFFFFFFFF
        return (x ^ x >> 14) / 2**32

    return [math.sqrt(-2 * math.log(1 - uniform())) * math.cos(2 * math.pi * uniform()) for _ in range(count)]


@contextmanager
def opened(page: Page, site: Path, backend: str = "wasm") -> Iterator[None]:
    """The page, come from a static server and ready."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Static, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            page.goto(f"http://127.0.0.1:{server.server_port}/?backend={backend}")
            page.wait_for_selector("body[data-ready]", timeout=60_000)
            yield
        finally:
            server.shutdown()


def put(page: Page, model: Model, settings: dict[str, str | float]) -> None:
    """Sets factors by hand."""
    for name, value in settings.items():
        if isinstance(value, str):
            place = model.factors[name].categories.index(value)
            page.locator(f"[data-factor={name}] .classes button").nth(place).click()
            continue
        page.locator(f"[data-factor={name}] .value").click()
        page.keyboard.type(f"{value:g}")
        page.keyboard.press("Enter")


def check_drawn(page: Page, expected: ImageArray) -> None:
    """The page comes to show this picture."""
    side, away = len(expected), 256
    for _ in range(200):  # the last of the changes may not be drawn yet
        found = np.array(drawn(page, side)).reshape(side, side, 4)[..., :3]
        if (away := int(np.abs(found - expected.astype(int)).max())) <= 1:
            break
        page.wait_for_timeout(100)
    assert away <= 1


def check_picture(page: Page, site: Path, model: Model, settings: dict[str, str | float]) -> None:
    """The page shows what the model draws with these values, of the seed that the page begins with."""
    level = torch.tensor([[model.factors[n].level_of(v) for n, v in settings.items()]])
    with opened(page, site):
        put(page, model, settings)
        check_drawn(page, model.images(torch.tensor(normal(7, 16))[None], level)[0])


@pytest.mark.timeout(240)
def test_the_published_page_draws_what_the_model_draws(page: Page, site: Path) -> None:
    settings: dict[str, str | float] = {"shape": "triangle", "hue": 240.0, "scale": 0.21, "x": 0.41, "y": 0.36}
    check_picture(page, site, load("sprites"), settings)


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("site")
def test_the_published_page_draws_from_the_labels_that_came_along(page: Page, tmp_path: Path) -> None:
    model = load("sprites")
    level_2F = np.array([[1, 0.25, 0, 0, 0], [0, 0.5, 0, 0, 0]], np.float32)
    model.prior = Labels(level_2F, np.array([[True] * 2 + [False] * 3] * 2))
    shown = set()
    with opened(page, export_web(model, tmp_path / "site", "Sprites")):
        for _ in range(20):
            page.keyboard.press("n")
            hue, x = (page.locator(f"[data-factor={name}] .value").input_value() for name in ("hue", "x"))
            shown.add((page.locator("[data-factor=shape] button[aria-checked=true]").text_content(), hue, x))
    shapes = model.factors["shape"].categories
    assert {pair[:2] for pair in shown} == {(shapes[1], "90°"), (shapes[0], "180°")}
    assert len(shown) > 4, "what no label says is drawn from its range"


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("site")
def test_the_published_page_mixes_the_values_of_a_scalar_as_classes(page: Page, tmp_path: Path) -> None:
    space = FactorSpace((Factor.scalar("size", 4, 0, 3), Factor.scalar("tone"))).with_classes(["size"])
    model = load(untrained(tmp_path / "model", space=space))
    site = export_web(model, tmp_path / "site", "As classes")
    for size in (1.0, 2.25):
        check_picture(page, site, model, {"size": size, "tone": 0.7})


@pytest.mark.timeout(240)
def test_the_published_page_takes_an_image_again_and_the_last_of_two(page: Page, site: Path, tmp_path: Path) -> None:
    shapes = [load("sprites").factors["shape"].categories.index(name) for name in ("ring", "square")]
    files = [tmp_path / "slow.png", tmp_path / "quick.png"]
    for shape, file in zip(shapes, files, strict=True):
        save_png(file, sprites.render(sprites.FACTORS.index_of([shape, 4, 4, 2, 6]), 32))
    chosen = page.locator("[data-factor=shape] button[aria-checked=true]")
    with opened(page, site):
        for _ in range(2):
            page.locator("#file").set_input_files(files[1])
            page.wait_for_selector(".reads:not([hidden])")
            page.keyboard.press("n")
            page.wait_for_selector(".reads:not([hidden])", state="detached")
        page.evaluate(
            """() => {
              const read = createImageBitmap;
              window.createImageBitmap = async (file) => {
                if (file.name === "slow.png") await new Promise((go) => setTimeout(go, 500));
                return read(file);
              };
            }"""
        )
        for file in files:
            page.locator("#file").set_input_files(file)
        page.wait_for_selector(".reads:not([hidden])")
        page.wait_for_timeout(1000)
        assert chosen.text_content() == "square"
        chosen.focus()
        page.keyboard.press("ArrowDown")
        assert chosen.text_content() == "triangle" and page.locator(":focus").text_content() == "triangle"


SPY = """async () => {
  const draw = CanvasRenderingContext2D.prototype.drawImage;
  CanvasRenderingContext2D.prototype.drawImage = function (...all) {
    this.imageSmoothingEnabled = false;
    return draw.apply(this, all);
  };
  const { InferenceSession } = await import("./ort.wasm.js");
  const create = InferenceSession.create;
  InferenceSession.create = async (...all) => {
    const session = await create.apply(InferenceSession, all);
    const run = session.run.bind(session);
    return { outputNames: session.outputNames, run: (feeds) => {
      window.taken = [...feeds.image.data];
      return run(feeds);
    } };
  };
}"""
"""A browser that skips pixels where it makes images smaller; what the encoder is given is kept."""


@pytest.mark.timeout(240)
def test_the_published_page_makes_large_photos_smaller_as_python_does(page: Page, site: Path, tmp_path: Path) -> None:
    row, column = np.mgrid[:1000, :1400]
    photo = np.stack([column % 9 * 28, row // 4 % 256, (row + column) % 2 * 255], axis=-1).astype(np.uint8)
    save_png(tmp_path / "photo.png", photo)
    with opened(page, site):
        page.evaluate(SPY)
        page.locator("#file").set_input_files(tmp_path / "photo.png")
        page.wait_for_function("() => window.taken")
        taken = (np.reshape(page.evaluate("window.taken"), (3, 32, 32)).transpose(1, 2, 0) + 1) * 127.5
    away = np.abs(taken - load("sprites").fit(photo)[0].astype(int))
    assert away[2:-2, 2:-2].max() <= 12


LOST = """
const zero = () => new Float32Array(3 * 32 * 32);
let runs = 0;
const run = async () => (runs++ < 3 ? { drawn: { data: zero() } } : Promise.reject(new Error("device is lost")));
export const env = { wasm: {} };
export const InferenceSession = { create: async () => ({ outputNames: ["drawn"], run }) };
export class Tensor {}
"""


@pytest.mark.timeout(240)
def test_the_published_page_goes_on_where_webgpu_is_lost(page: Page, site: Path) -> None:
    page.add_init_script("Object.defineProperty(navigator, 'gpu', { value: { requestAdapter: async () => ({}) } })")
    page.route("**/ort.webgpu.js", lambda route: route.fulfill(content_type="text/javascript", body=LOST))
    with opened(page, site, "webgpu"):
        assert page.locator("body").get_attribute("data-backend") == "webgpu"
        put(page, load("sprites"), {"shape": "triangle", "hue": 240.0, "scale": 0.21})
        page.wait_for_selector("body[data-backend=wasm]")
        assert "WebAssembly" in str(page.locator("#backend").text_content())
        put(page, load("sprites"), {"x": 0.41, "y": 0.36})
        level = load("sprites").factors.parse_settings(["shape=triangle", "hue=240", "scale=.21", "x=.41", "y=.36"])
        check_drawn(
            page, load("sprites").images(torch.tensor(normal(7, 16))[None], torch.tensor([[*level.values()]]))[0]
        )
        assert page.locator(".note.bad").count() == 0


@pytest.mark.timeout(240)
def test_the_published_page_says_why_it_does_not_start(browser: BrowserContext, site: Path) -> None:
    tab = browser.new_page()
    tab.goto((site / "index.html").as_uri())
    assert tab.locator(".late").is_hidden()
    tab.evaluate("document.getAnimations().forEach((animation) => animation.finish())")
    assert "has to come from a server" in tab.locator(".late").inner_text()
    tab.route("**/model.json", lambda route: route.fulfill(status=404))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Static, directory=str(site))) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        tab.goto(f"http://127.0.0.1:{server.server_port}/")
        tab.get_by_text("the server answered 404 for model.json").wait_for()
        server.shutdown()
    tab.close()


def test_the_command(checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    args = ["export", str(checkpoint), "--format", "safetensors", "--half", "--out", str(tmp_path / "out")]
    assert main(args) == 0
    assert capsys.readouterr().out == f"{tmp_path / 'out'}\n"
    assert main(["export", str(checkpoint), "--format", "onnx", "--half", "--out", str(tmp_path / "o")]) == 2
    assert "--half: not with --format onnx" in capsys.readouterr().err


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("site")
def test_the_published_page_edits_as_the_model_does(page: Page, tmp_path: Path) -> None:
    """What nobody sets stays as E says it, and Reset all goes back to it. The way in needs no drag and drop."""
    space = FactorSpace((*SPACE, Factor.scalar("count", 4, 0, 3), Factor.scalar("tone"))).with_classes(["count"])
    model = load(untrained(tmp_path / "model", coarse=4, space=space, knows_source=True))
    image = np.random.default_rng(0).integers(0, 256, (16, 16, 3), dtype=np.uint8)
    save_png(tmp_path / "given.png", image)
    values = "() => [...document.querySelectorAll('input.value, .classes button')].map(e => e.value || e.ariaChecked)"
    with opened(page, export_web(model, tmp_path / "site", "An editor")):
        assert page.locator("#new").is_hidden()
        assert page.locator("#invite").inner_text() == (
            "Drop an image anywhere, or open one, to change it. It does not leave this browser."
        )
        put(page, model, {"tone": 0.1})  # of no image: the next one begins anew
        with page.expect_file_chooser() as chosen:
            page.locator("#open").click()
        chosen.value.set_files(tmp_path / "given.png")
        page.wait_for_selector(".reads:not([hidden])")
        check_drawn(page, model.edit(image, {}))
        read = page.evaluate(values)
        for name, (value,) in model.encode(image).items():
            if name == "shape":
                assert page.locator("[data-factor=shape] button[aria-checked=true]").text_content() == value
                continue
            shown = page.locator(f"[data-factor={name}] .value").input_value()
            assert float(shown.rstrip("°")) == pytest.approx(value, abs=0.6 if name == "hue" else 0.02)
        for settings in ({"tone": 0.7}, {"count": 2.5, "hue": 200.0}, {"shape": "cross", "size": 2.0}):
            put(page, model, settings)
            check_drawn(page, model.edit(image, settings))
            page.locator("#resetall").click()
            check_drawn(page, model.edit(image, {}))
            assert page.evaluate(values) == read
        page.keyboard.press("n")
        assert page.evaluate(values) == read
        put(page, model, everything := {"shape": "ring", "hue": 90.0, "size": 1.5, "count": 3.0, "tone": 0.2})
        check_drawn(page, model.edit(image, everything))


@pytest.mark.timeout(240)
@pytest.mark.usefixtures("site")
def test_the_published_page_of_an_editor_begins_with_an_image(page: Page, tmp_path: Path) -> None:
    model = load(untrained(tmp_path / "model", coarse=4, knows_source=True))
    images = np.random.default_rng(0).integers(0, 256, (3, 16, 16, 3), dtype=np.uint8)
    with opened(page, export_web(model, tmp_path / "site", "An editor", examples=images)):
        chosen = page.locator("#examples button[aria-current]")
        check_drawn(page, model.edit(images[0], {}))
        assert (page.locator("#examples button").count(), chosen.get_attribute("aria-label")) == (3, "Image 1")
        put(page, model, {"size": 2.0})
        check_drawn(page, model.edit(images[0], {"size": 2.0}))
        page.locator("#examples button").nth(2).click()
        check_drawn(page, model.edit(images[2], {}))
        page.keyboard.press("n")
        check_drawn(page, model.edit(images[0], {}))
        save_png(tmp_path / "mine.png", images[1])
        page.locator("#file").set_input_files(tmp_path / "mine.png")
        check_drawn(page, model.edit(images[1], {}))
        assert chosen.count() == 0
        page.locator("#new").click()
        check_drawn(page, model.edit(images[0], {}))
