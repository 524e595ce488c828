"""The page of a run: whole, self-contained, safe, and complete with whatever the run holds."""

from __future__ import annotations

import dataclasses
import json
import re
import shlex
import shutil
from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from semistylegan import files
from semistylegan.cli.making import Train
from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import choose_rows, labels_csv
from semistylegan.data.pictures import save_png, tile
from semistylegan.data.writing import ZipWriter
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.metrics.controllability import constant_errors
from semistylegan.models.checkpoint import save_model
from semistylegan.models.config import ModelConfig
from semistylegan.models.encoder import Encoder, Trunk
from semistylegan.models.stylegan2 import StyleGAN2
from semistylegan.report import page as page_module
from semistylegan.report import walks, write_report
from semistylegan.report.curves import MOST_POINTS, Chart, Line, _thinned, bars, charts, counts, nice_ticks
from semistylegan.report.facts import constant_level, gather, scores_of
from semistylegan.report.html import heading, percent, share_of
from semistylegan.report.scores import leakage
from semistylegan.report.words import command, key_facts, options
from semistylegan.training.config import TrainConfig
from semistylegan.training.run import Run

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext

SPACE = FactorSpace(
    (
        Factor.categorical("<script>alert(1)</script>", ("<b>ring</b>", 'cro"ss', "tri & angle")),
        Factor.circular("hue", 12),
        Factor.scalar("scale", 5, 0.13, 0.29),
        Factor.scalar("depth", None, -2.0, 2.0, "m"),
    )
)
EVIL = SPACE[0].name
VOID = {"meta", "link", "img", "input", "br", "line", "circle", "rect", "polyline"}
SECTIONS = ["factors", "samples", "numbers", "errors", "readings", "edits", "labels", "training", "again", "limits"]


class Page(HTMLParser):
    """Checks that tags nest, and keeps what tests ask for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.sections: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), f"<{tag}> has an attribute twice"
        if tag == "section":
            self.sections.append(str(dict(attrs)["id"]))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self.open and self.open[-1] != "style":
            self.text += data


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `data.zip` (60 grey images of 16 px) and `run`, a run with everything; weights are random."""
    folder = tmp_path_factory.mktemp("report")
    return make(folder, SPACE, channels=1)


def make(folder: Path, space: FactorSpace, channels: int, system: str = "semi") -> Path:
    random = np.random.default_rng(0)
    level = space.sample(60, torch.Generator().manual_seed(0)).numpy()
    with ZipWriter(folder / "data.zip", space if len(space) else None) as out:
        for i in range(60):
            image = random.integers(0, 255, (16, 16, channels), dtype=np.uint8)
            out.add(f"{i:06d}.png", image, level[i] if len(space) else None)
    run = folder / "run"
    data = Dataset.open(folder / "data.zip")
    codes = space if system == "semi" else FactorSpace(tuple(Factor.scalar(f"code{i}") for i in range(4)))
    config = dataclasses.replace(ModelConfig.of_size("tiny", 16, channels, codes.code_width), z_dim=4)
    save_model(run / "checkpoint-000004", config, codes, StyleGAN2(config), Encoder(config, Trunk(config)))
    share = {"label_fraction": 0.2} if system == "semi" else {}
    train = TrainConfig.preset(system, str(folder / "data.zip"), str(run), kimg=4.0, gamma_g=3.5, **share).resolved(16)
    document = {"semistylegan": "0.1.0", "train": train.to_json(), "model": config.to_json()}
    files.write_json(run / "config.json", document | {"data_fingerprint": data.fingerprint()})
    save_png(run / "reals.png", tile(data.images(range(20)).permute(0, 2, 3, 1).numpy(), columns=10))
    if system == "semi":
        rows = choose_rows(data.labels, 0.2, 0)
        files.write_text(run / "labels.csv", labels_csv(data.names, rows, data.labels, space))
    return folder


def measure(run: Path) -> None:
    """Adds statistics and scores as a training and an evaluation write them."""
    for kimg in range(1, 5):
        row = {"kimg": float(kimg), "seconds": 9.0 * kimg, "loss_gan_d": 1.0, "loss_gan_g": 2.0 - 0.1 * kimg}
        row |= {"loss_unsup": 1 / kimg, "loss_sr": 0.5, "real_score": 0.4, "fake_score": -0.4}
        files.append_jsonl(run / "stats.jsonl", row)
        for name in ("mig", "mig_gen", "l2", "l2_gen"):
            protocol = {"bins": 20, "images": 10000, "split": "held-out", "weights_sha256": "ab" * 32}
            files.append_jsonl(run / f"metric-{name}.jsonl", {"kimg": kimg, name: 0.1 * kimg, "protocol": protocol})
    with (run / "stats.jsonl").open("a") as file:
        file.write('{"kimg": 5.0, "seco')  # cut short by a kill
    names = list(SPACE.names)
    scores = {"mig": 0.412345, "l2": 0.3, "mig_gen": 0.4, "l2_gen": 0.35, "fd_oracle": 12.5, "oracle_l2": 0.03}
    scores |= {"kimg": 4.0, "seconds": 36.0, "sap": 0.21, "images": 10000, "note": "A < B."}
    per_factor = {name: {"mae": 0.04, "mae_gen": 0.3} for name in names} | {"depth": {"mae": 0.1, "mae_gen": None}}
    leakage = {a: {b: 0.4 if a == b else 0.02 for b in names} for a in names}
    files.write_json(run / "metrics.json", scores | {"per_factor": per_factor, "leakage": leakage})


@pytest.fixture
def folder(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy that a test may change; its inversions are short."""
    monkeypatch.setattr(walks, "STEPS", 2)
    monkeypatch.setattr(walks, "EDITED", 1)
    return Path(shutil.copytree(made, tmp_path / "copy"))


def read(run: Path) -> tuple[str, Page]:
    path = write_report(run)
    assert path == run / "report.html"
    text = path.read_text(encoding="utf-8")
    return text, Page(text)


def test_a_run_with_everything(folder: Path) -> None:
    measure(folder / "run")
    text, page = read(folder / "run")
    assert page.sections == SECTIONS
    for words in (
        "Data, learned from 12 labelled images",
        "12 of 60",
        "4 kimg in 0m 36s",
        "0.412",
        "The oracle’s own L2 on held-out images is 0.030",
        "bins: 20; images: 10,000; split: held-out; weights sha256: abababababab…",
        "SAP",
        "Leakage.",
        "A < B.",
        "encoder off by 4.0%",
        "generator wrong in 30%",
    ):
        assert words in page.text, words
    assert text.count('class="own"') == 4
    assert text.count('class="other"') == 12


def test_the_page_stands_alone(folder: Path) -> None:
    measure(folder / "run")
    text, page = read(folder / "run")
    assert re.findall(r"https?://[^\"'<\s]*", text) == ["https://arxiv.org/abs/2003.03461"]
    assert "url(" not in text
    assert "@import" not in text
    assert not [tag for tag, _ in page.tags if tag in ("script", "iframe", "object")]
    assert all(str(attrs["src"]).startswith("data:image/") for tag, attrs in page.tags if tag == "img")
    assert all("alt" in attrs for tag, attrs in page.tags if tag == "img")
    assert [attrs["href"] for tag, attrs in page.tags if tag == "link"] == ["data:,"]
    ids = [attrs["id"] for _, attrs in page.tags if "id" in attrs]
    assert len(ids) == len(set(ids))
    assert not [attrs for _, attrs in page.tags if any(name.startswith("on") for name in attrs)]


def test_names_are_escaped(folder: Path) -> None:
    measure(folder / "run")
    text, page = read(folder / "run")
    assert EVIL not in text
    assert "<b>ring</b>" not in text
    assert EVIL in page.text
    assert "tri & angle" in page.text


def test_the_same_run_gives_the_same_page(folder: Path) -> None:
    assert read(folder / "run")[0] == read(folder / "run")[0]


def test_what_the_starting_image_has_is_framed(folder: Path) -> None:
    facts = gather(folder / "run")
    text = walks.traversals(facts)
    for seed, panel in enumerate(text.split('<div class="walk walk')[1:]):
        rows = panel.split('<div class="factor">')[1:]
        level_F = facts.model.begin(seed)[1][0].tolist()
        for row, factor, level, (_, values, _) in zip(rows, SPACE, level_F, facts.model.traverse(seed, 8), strict=True):
            marks = ["here" in tag for tag in re.findall(r"<li.*?>", row)]
            away = [abs(factor.level_of(value) - level) for value in values]
            away = [min(a, 1 - a) for a in away] if factor.kind == "circular" else away
            assert marks == [a == min(away) for a in away]
    assert walks._nearest(SPACE["hue"], [0.0, 120.0, 240.0], 0.9) == 0


def test_edits_go_far_from_what_is_there(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shape, hue, scale, _ = SPACE
    assert [walks._other(shape, level) for level in (0.0, 2.0)] == [shape.categories[1], shape.categories[0]]
    assert [walks._other(hue, level) for level in (0.25, 0.75)] == [270, 90]
    assert [walks._other(scale, level) for level in (0.2, 0.9)] == pytest.approx([0.29, 0.13])


def test_before_any_measurement(folder: Path) -> None:
    _, page = read(folder / "run")
    assert page.sections == [s for s in SECTIONS if s not in ("numbers", "errors", "training")]
    assert "Nothing has been measured yet: run semistylegan eval" in page.text


def test_a_training_that_has_not_ended_says_how_far_it_is(folder: Path) -> None:
    document = json.loads((folder / "run" / "config.json").read_text())
    files.write_json(folder / "run" / "config.json", document | {"train": document["train"] | {"kimg": 9.0}})
    assert ("Training", "4 of 9 kimg") in key_facts(gather(folder / "run"))


def test_each_line_of_a_chart_is_its_own(folder: Path) -> None:
    measure(folder / "run")
    told = {str(a["aria-label"]) for tag, a in read(folder / "run")[1].tags if tag == "svg"}
    assert "What the discriminator says: real from 0.4 to 0.4; generated from -0.4 to -0.4" in told
    assert "The game: generator from 1.9 to 1.6; discriminator from 1 to 1" in told
    assert "Learning from labels: L_sr, mixed from 0.5 to 0.5" in told


def test_scores_of_an_earlier_checkpoint_say_so(folder: Path) -> None:
    measure(folder / "run")
    (folder / "run/checkpoint-000004").rename(folder / "run/checkpoint-000004.500")
    assert "The pictures are of a later checkpoint, at 4.5 kimg." in read(folder / "run")[1].text


def test_without_the_data(folder: Path) -> None:
    config = json.loads((folder / "run/config.json").read_text())
    config["train"]["data"] = str(folder / "gone.zip")
    files.write_json(folder / "run/config.json", config)
    _, page = read(folder / "run")
    assert "readings" not in page.sections
    assert "20 real images" in [attrs.get("aria-label") for _, attrs in page.tags]  # from reals.png
    assert "gone.zip" in page.text.partition("Limits")[2]
    (folder / "run/reals.png").unlink()
    assert "samples" in read(folder / "run")[1].sections


def test_without_the_data_no_blank_of_the_sheet_is_a_real_image(folder: Path) -> None:
    images = Dataset.open(folder / "data.zip").images(range(13)).permute(0, 2, 3, 1).numpy()
    save_png(folder / "run" / "reals.png", tile(images, columns=10))
    config = json.loads((folder / "run" / "config.json").read_text())
    config["train"]["data"] = "gone.zip"
    files.write_json(folder / "run" / "config.json", config)
    reals = gather(folder / "run").reals
    assert reals is not None and (reals == images).all()


def test_data_that_has_changed_is_not_at_hand(folder: Path) -> None:
    config = json.loads((folder / "run" / "config.json").read_text())
    config["train"]["data"] = str(folder / "data.zip")
    files.write_json(folder / "run" / "config.json", config)
    assert "<small>is " in read(folder / "run")[0]
    with ZipWriter(folder / "data.zip", SPACE) as out:
        for i in range(60):
            out.add(f"{i:06d}.png", np.full((16, 16, 1), i, np.uint8), np.zeros(4))
    text, page = read(folder / "run")
    assert "<small>is " not in text and "readings" not in page.sections
    assert "data.zip has changed since this run was trained on it" in page.text.partition("Limits")[2]


def test_without_labels(tmp_path: Path) -> None:
    make(tmp_path, SPACE, channels=3, system="info")
    _, page = read(tmp_path / "run")
    assert "Data, learned without labels" in page.text
    assert "One code at a time" in page.text
    assert "Nothing: this run saw images alone." in page.text
    assert "edits" not in page.sections
    assert "is <b>" not in page.text
    files.write_json(tmp_path / "run/metrics.json", {"mig": 0.1, "per_factor": {"hue": {"mae": 0.3, "mae_gen": 0.4}}})
    said = "Each factor is read from the code that follows it best, chosen by labels that the training never saw."
    assert said in read(tmp_path / "run")[1].text


def test_data_without_factors(tmp_path: Path) -> None:
    make(tmp_path, FactorSpace(()), channels=3, system="info")
    assert "factors" in read(tmp_path / "run")[1].sections


def test_scores_that_are_no_numbers_are_left_out(folder: Path) -> None:
    (folder / "run/metrics.json").write_text(
        '{"mig": NaN, "l2": null, "mig_gen": "x", "per_factor": null, "leakage": {}}'
    )
    _, page = read(folder / "run")
    assert "numbers" not in page.sections
    assert "errors" not in page.sections


DEEP = "[" * 100_000


@pytest.mark.parametrize("file", ["config.json", "metrics.json", "factors.json"])
def test_brackets_without_end_are_named(file: str, folder: Path) -> None:
    (folder / "run" / file).write_text(DEEP)
    with pytest.raises(UserError, match=f"{file}: "):
        write_report(folder / "run")


@pytest.mark.parametrize("errors", [1e999, [1], {"hue": True, "scale": {"mae": {}, "mae_gen": 10**400}}])
def test_errors_and_statistics_of_other_types_are_left_out(errors: object, folder: Path) -> None:
    (folder / "run/metrics.json").write_text(json.dumps({"mig": 10**400, "per_factor": errors}))
    (folder / "run/stats.jsonl").write_text(f"{DEEP}\n")
    _, page = read(folder / "run")
    assert {"numbers", "errors", "training"}.isdisjoint(page.sections)


@pytest.mark.parametrize("train", [{"data": None}, {"data": 5}, {"system": ["semi"]}])
def test_settings_of_other_types_are_told_as_they_are(train: dict[str, object], folder: Path) -> None:
    config = folder / "run/config.json"
    document = json.loads(config.read_text())
    config.write_text(json.dumps({**document, "train": {**document["train"], **train}}))
    read(folder / "run")
    config.write_text(json.dumps({**document, "train": [train]}))
    with pytest.raises(UserError, match="not the configuration of a run"):
        write_report(folder / "run")


def test_misread_images_are_marked(folder: Path) -> None:
    facts = gather(folder / "run")
    text, _ = read(folder / "run")
    wrong = sum(
        int(((facts.space.error(r.read_F[None], r.true_F[None])[0] > 0.1) & r.known_F).sum()) for r in facts.readings
    )
    assert wrong > 5  # random weights misread nearly everything
    assert text.count('<td class="off">') == wrong


def test_a_misread_image_is_told_with_its_truth_where_a_label_tells_it(folder: Path) -> None:
    """A tenth of the range is not off yet; of what no label tells nothing is."""
    facts = gather(folder / "run")
    read, true = np.array([0, 0.5, 0, 0.52]), np.array([2, 0.5, 1, 0.45])
    reading = dataclasses.replace(facts.readings[0], read_F=read, true_F=true, known_F=np.ones(4, dtype=bool))
    cells = re.findall(r"</th>(<td.*?</td>)", page_module._card(facts, reading))
    assert cells == [
        '<td class="off"><b>&lt;b&gt;ring&lt;/b&gt;</b><small>is tri &amp; angle</small></td>',
        "<td>180°</td>",
        '<td class="off"><b>0.13</b><small>is 0.29</small></td>',
        "<td>0.1 m</td>",
    ]
    known = np.array([False, True, True, True])
    assert page_module._card(facts, dataclasses.replace(reading, known_F=known)).count('class="off"') == 1


def test_readings_are_of_the_images_they_stand_beside(tmp_path: Path) -> None:
    """With `--factor-kinds scalar`, too: the truth is then told as the codes are."""
    run = make(tmp_path, SPACE, channels=1) / "run"
    data, model = Dataset.open(tmp_path / "data.zip"), gather(run).model
    images = data.images(range(60)).permute(0, 2, 3, 1).numpy()
    for reading in gather(run).readings:
        row = data.names.index(reading.name)
        assert (reading.image == images[row]).all() and (reading.true_F == data.labels.level_NF[row]).all()
        assert reading.read_F == pytest.approx(model.read_levels(images[row : row + 1])[0], abs=1e-5)
    codes = SPACE.with_kinds("scalar")
    config = dataclasses.replace(ModelConfig.of_size("tiny", 16, 1, codes.code_width), z_dim=4)
    save_model(run / "checkpoint-000004", config, codes, StyleGAN2(config), Encoder(config, Trunk(config)))
    files.write_json(run / "factors.json", codes.to_json() | {"labels": SPACE.to_json()["factors"]})
    document = json.loads((run / "config.json").read_text())
    files.write_json(run / "config.json", document | {"train": document["train"] | {"factor_kinds": "scalar"}})
    for reading in gather(run).readings:
        level_F = data.labels.level_NF[data.names.index(reading.name)]
        assert reading.true_F == pytest.approx([level_F[0] / 2, level_F[1] * 12 / 11, *level_F[2:]])


def test_no_page_is_written_through_a_link_that_leads_out_of_the_run(folder: Path, tmp_path: Path) -> None:
    """A run that somebody handed on may hold one to a file of the user's."""
    own, page = tmp_path / ".bashrc", folder / "run" / "report.html"
    own.write_text("precious")
    page.unlink(missing_ok=True)
    page.symlink_to(own)
    with pytest.raises(UserError, match=r"report.html: is a link that leads out of this folder, to .*; remove it"):
        write_report(folder / "run")
    assert own.read_text() == "precious"


def test_errors_take_one_line(tmp_path: Path, folder: Path) -> None:
    shutil.rmtree(folder / "run/checkpoint-000004")
    (tmp_path / "empty").mkdir()
    file = tmp_path / "file"
    file.touch()
    for run, message in (
        (folder / "run", "no finished checkpoint"),
        (tmp_path / "empty", "not a run"),
        (file, "not a run"),
    ):
        with pytest.raises(UserError, match=message) as raised:
            write_report(run)
        assert "\n" not in str(raised.value)
    assert not list(tmp_path.rglob("report.html"))


def test_the_command_says_what_differs_from_the_preset(folder: Path) -> None:
    data, run = folder.parent.parent, folder / "run"
    facts = gather(run)
    facts = dataclasses.replace(facts, train=facts.train | {"data": "my data.zip", "out": "runs/a", "lr_g": 0.01})
    first, *rest = command(facts).splitlines()
    assert first == (
        "semistylegan train --data 'my data.zip' --out runs/a --preset semi --label-fraction 0.2 --kimg 4 "
        "--gamma-g 3.5 --lr-g 0.01"
    )
    assert rest == ["semistylegan eval runs/a", "semistylegan report runs/a"]
    before = {name: value for name, value in facts.train.items() if name not in ("keep", "gamma_doubt")}
    first = command(dataclasses.replace(facts, train=before)).splitlines()[0]  # of an earlier version
    assert " --gamma-doubt 0" in first and " --lr-g 0.01" in first and "--keep" not in first
    assert data.is_dir()


def test_the_command_of_a_preset_that_is_not_known_has_what_is_written_alone() -> None:
    assert options({"system": "of tomorrow", "lr_g": 0.01}, 32) == ["--lr-g", "0.01"]


def test_the_command_is_one_that_train_takes(folder: Path) -> None:
    facts = gather(folder / "run")
    facts = dataclasses.replace(facts, train=facts.train | {"cuda_graphs": False, "lr_g": 0.0012345678})
    first = command(facts).splitlines()[0]
    options = Train.parse("train", shlex.split(first)[2:]).config
    assert options.cuda_graphs is False and options.lr_g == 0.0012345678


def test_labels_are_those_of_the_data_whatever_kinds_the_codes_have(tmp_path: Path) -> None:
    """`--factor-kinds scalar`, and so the preset paper: `labels.csv` holds names of classes all the same."""
    run = make(tmp_path, SPACE, channels=1) / "run"
    before = page_module.labels(gather(run))
    codes = SPACE.with_kinds("scalar")
    config = dataclasses.replace(ModelConfig.of_size("tiny", 16, 1, codes.code_width), z_dim=4)
    save_model(run / "checkpoint-000004", config, codes, StyleGAN2(config), Encoder(config, Trunk(config)))
    files.write_json(run / "factors.json", codes.to_json() | {"labels": SPACE.to_json()["factors"]})
    assert page_module.labels(gather(run)) == before and "tri &amp; angle" in before


def test_blank_cells_are_no_labels(folder: Path) -> None:
    rows = (folder / "run" / "labels.csv").read_text(encoding="utf-8").splitlines()
    cells = rows[-1].rsplit(",", 2)
    (folder / "run" / "labels.csv").write_text("\n".join([*rows[:-1], f"{cells[0]},{cells[1]},"]), encoding="utf-8")
    labelled = gather(folder / "run").labelled
    assert (labelled.count, len(labelled.levels["scale"]), len(labelled.levels["depth"])) == (12, 12, 11)


def test_a_run_whose_end_was_moved_says_so_beside_its_command(folder: Path) -> None:
    assert "--reschedule" not in read(folder / "run")[0]
    Run(folder / "run").rescheduled(3.0, 1.5)
    Run(folder / "run").rescheduled(4.0, 2.0)
    said = "until kimg 1.5 it was planned for 4, until kimg 2 it was planned for 3."
    assert f"Its end was moved (--reschedule): {said}" in read(folder / "run")[0]
    other = Path(shutil.copytree(folder / "run", folder / "other"))
    Run(other).rescheduled(6.0, 0.0)
    text = write_report(other, [folder / "run"]).read_text(encoding="utf-8")
    assert text.count("Its end was moved") == 1 and f"run: Its end was moved (--reschedule): {said}" in text


def test_a_factor_of_one_value_is_not_edited_and_has_no_errors(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(walks, "STEPS", 1)
    monkeypatch.setattr(walks, "EDITED", 1)
    run = make(tmp_path, FactorSpace((Factor.scalar("still", 1),)), channels=1) / "run"
    files.write_json(run / "metrics.json", {"kimg": 4.0, "per_factor": {"still": {"mae": 0.0, "mae_gen": 0.0}}})
    text, _ = read(run)
    assert "encoder 0%, constant 0%" in text and "the same with still" not in text


def test_how_it_was_measured_is_that_of_the_score_shown(folder: Path) -> None:
    """A training that went on with --snap-images has added a line."""
    run = folder / "run"
    measure(run)
    files.write_json(run / "metrics.json", scores_of(run) | {"weights_sha256": "ab" * 32})
    later = {"images": 1234, "seed": 0, "weights_sha256": "cd" * 32}
    files.append_jsonl(run / "metric-mig.jsonl", {"kimg": 5.0, "mig": 0.5, "protocol": later})
    text, _ = read(run)
    assert "images: 10,000" in text and "images: 1,234" not in text


def test_a_run_beside_others(folder: Path, tmp_path: Path) -> None:
    measure(folder / "run")
    other, elsewhere, new = (Path(shutil.copytree(folder / "run", tmp_path / n / "run")) for n in ("b<i>", "c", "d"))
    scores = json.loads((other / "metrics.json").read_text())
    edits = {"per_factor": {"hue": {"mae": 0.04, "mae_gen": None, "edit_error": 0.07}}}  # as an editor's
    files.write_json(other / "metrics.json", scores | {"mig": 0.9, "l2": 0.2, "fd_oracle": 99.0} | edits)
    files.append_jsonl(other / "metric-l2.jsonl", {"kimg": 4, "l2": 0.2, "protocol": {"bins": 20, "images": 50}})
    for run, changes in ((other, {"gamma_g": 7.25}), (elsewhere, {"micro_batch": 4, "threads": 7}), (new, {})):
        document = json.loads((run / "config.json").read_text())
        document["data_fingerprint"] = "other" if run is elsewhere else document["data_fingerprint"]
        files.write_json(run / "config.json", document | {"train": document["train"] | changes})
    (new / "metrics.json").unlink()

    path = write_report(folder / "run", [other, elsewhere, new])
    text = path.read_text(encoding="utf-8")
    page = Page(text)
    assert page.sections == [*SECTIONS[:6], "beside", *SECTIONS[6:]]
    part = text.split('<section id="beside"')[1].split("</section>")[0]
    assert "b&lt;i&gt;/run" in part and "<i>" not in part
    rows = {
        re.sub(r"<.*?>", "", name).strip(): re.findall(r"<td(.*?)>(.*?)</td>", cells)
        for name, cells in re.findall(r'<tr><th scope="row">(.*?)</th>(.*?)</tr>', part)
    }
    assert [cell for _, cell in rows["gamma-g"]] == ["3.5", "7.25", "3.5", "3.5"]
    assert "gamma-e" not in rows  # the same in all
    assert rows["hue"][0] == ("", '<span class="e">4.0%</span> / <span class="g">30%</span>')
    assert rows["hue"][1] == ("", '<span class="e">4.0%</span> / <span class="g">7.0%</span>')
    assert rows["hue"][3] == ("", "–")
    assert "micro-batch" not in rows and "threads" not in rows  # says nothing about what was learned
    # The best is marked, in the direction of the score, among those measured alike and on the same data.
    assert rows["MIG ↑"] == [("", "0.412"), (" class=best", "0.900"), ("", "0.412<sup>‡</sup>"), ("", "–")]
    assert rows["FD-oracle ↓"][:2] == [(" class=best", "12.500"), ("", "99.000")]
    assert rows["L2 ↓"][:2] == [("", "0.300"), ("", "0.200<sup>†</sup>")]
    assert "another protocol" in part and "on other data" in part and "not measured" in part
    assert part.count('class="sheet"') == 4


def test_a_phone(browser: BrowserContext, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Tables are scrolled, not the page; long names break."""
    monkeypatch.setattr(walks, "STEPS", 2)
    monkeypatch.setattr(walks, "EDITED", 1)
    long = Factor.categorical("a_column_of_a_spreadsheet", ("a_class_of_forty_letters_without_a_space", "b" * 40))
    folder = make(tmp_path, FactorSpace((long, Factor.scalar("depth", None, -2.0, 2.0, "m"))), channels=1)
    files.write_json(folder / "run" / "metrics.json", {"kimg": 4, "mig": 0.4, "fd_oracle": 12.5})
    others = [Path(shutil.copytree(folder / "run", tmp_path / f"another_run_{i}")) for i in range(3)]
    for other in others:
        document = json.loads((other / "config.json").read_text())
        files.write_json(other / "config.json", document | {"data_fingerprint": "other"})
    path = write_report(folder / "run", others)
    tab = browser.new_page()
    tab.set_viewport_size({"width": 360, "height": 740})
    tab.goto(path.as_uri())
    assert tab.locator("#beside sup").count() and tab.locator(".card td").count()
    assert tab.evaluate("document.documentElement.scrollWidth") == 360
    assert tab.evaluate(
        "[...document.querySelectorAll('.card :is(th, td)')].every((cell) => cell.scrollWidth <= cell.clientWidth)"
    )
    tab.close()


def test_scores_of_one_metric_have_its_protocol(folder: Path, tmp_path: Path) -> None:
    """DCI's three scores, InfoMEC's, and so on: no line bears their own names."""
    measure(folder / "run")
    fields = ("dci_completeness", "info_e", "precision", "edit_error", "sap")
    other = Path(shutil.copytree(folder / "run", tmp_path / "other"))
    for run, score, images in ((folder / "run", 0.5, 9000), (other, 0.6, 200)):
        scores = json.loads((run / "metrics.json").read_text())
        files.write_json(run / "metrics.json", scores | dict.fromkeys(fields, score))
        for name in ("dci", "info_mec", "precision_recall", "edit"):
            files.append_jsonl(run / f"metric-{name}.jsonl", {"kimg": 4, "protocol": {"images": images}})
        protocol = {"images": 9000} | ({"ci95": "ten parts"} if run == other else {})
        files.append_jsonl(run / "metric-sap.jsonl", {"kimg": 4, "protocol": protocol})
    text = write_report(folder / "run", [other]).read_text(encoding="utf-8")
    part = text.split('<section id="beside"')[1].split("</section>")[0]
    assert part.count("<td>0.500</td><td>0.600<sup>†</sup></td>") == 4 and "another protocol" in part
    assert part.count("<td>0.500</td><td class=best>0.600</td>") == 1, "SAP: how its interval is made is no matter"


def test_scores_beside_others_are_of_the_same_factors(folder: Path, tmp_path: Path) -> None:
    """Entries that earlier versions did not write say nothing."""
    measure(folder / "run")
    other, old = (Path(shutil.copytree(folder / "run", tmp_path / name)) for name in ("other", "old"))
    for run, told in ((folder / "run", {"factors": ["a", "b"]}), (other, {"factors": ["a"]}), (old, {})):
        files.append_jsonl(run / "metric-l2.jsonl", {"kimg": 4, "protocol": {"images": 50, **told}})
    text = write_report(folder / "run", [other, old]).read_text(encoding="utf-8")
    assert "<td class=best>0.300</td><td>0.300<sup>†</sup></td><td class=best>0.300</td>" in text


def test_a_protocol_without_a_version_is_of_the_first_one(folder: Path, tmp_path: Path) -> None:
    measure(folder / "run")
    one, two = (Path(shutil.copytree(folder / "run", tmp_path / name)) for name in ("one", "two"))
    for run, told in ((folder / "run", {}), (one, {"metrics_version": 1}), (two, {"metrics_version": 2})):
        files.append_jsonl(run / "metric-l2.jsonl", {"kimg": 4, "protocol": {"images": 50, **told}})
    text = write_report(folder / "run", [one, two]).read_text(encoding="utf-8")
    assert "<td class=best>0.300</td><td class=best>0.300</td><td>0.300<sup>†</sup></td>" in text


def test_scores_are_compared_with_the_first_that_there_is(folder: Path, tmp_path: Path) -> None:
    """The first run has neither SAP nor KID; of SAP two others have one, of KID one has."""
    measure(folder / "run")
    files.write_json(folder / "run" / "metrics.json", {"kimg": 4.0, "mig": 0.4})
    more = {"lone": ({"kid": 0.2, "sap": 0.5}, 9000), "same": ({"sap": 0.6}, 9000), "fewer": ({"sap": 0.7}, 200)}
    for name, (scores, images) in more.items():
        run = Path(shutil.copytree(folder / "run", tmp_path / name))
        files.write_json(run / "metrics.json", scores)
        for metric in ("kid", "sap"):
            files.append_jsonl(run / f"metric-{metric}.jsonl", {"kimg": 4, "protocol": {"images": images}})
    text = write_report(folder / "run", [tmp_path / name for name in more]).read_text(encoding="utf-8")
    assert "<td>–</td><td>0.200</td><td>–</td><td>–</td>" in text
    assert "<td>–</td><td>0.500</td><td class=best>0.600</td><td>0.700<sup>†</sup></td>" in text
    assert "than the first score of its row" in text


def test_scores_say_what_training_saw_of_their_images(folder: Path) -> None:
    run = folder / "run"
    measure(run)
    files.write_json(run / "metrics.json", scores_of(run) | {"edit_error": 0.25})
    assert "a factor that was set in an image, read" in read(run)[1].text, "earlier versions did not say"
    for split, words in (("held-out", "a held-out image"), ("labels unread", "an image that training saw without")):
        files.append_jsonl(run / "metric-edit.jsonl", {"kimg": 4, "edit_error": 0.25, "protocol": {"split": split}})
        assert f"a factor that was set in {words}" in read(run)[1].text
    assert "reading of a held-out image lies" in read(run)[1].text
    files.append_jsonl(run / "metric-l2.jsonl", {"kimg": 4, "l2": 0.3, "protocol": {"split": "all labelled"}})
    assert "reading of an image whose label training may have read lies" in read(run)[1].text


def test_of_several_measurements_at_one_kimg_the_best_one_is_drawn(folder: Path) -> None:
    """The one on most images, and of several the newest: not the largest score."""
    run = folder / "run"
    rows = [(3, 0.9, 2000), (6, 0.5, 9000), (6, 0.4, 9000), (6, 0.7, 2000), (6, 0.8, None)]
    for kimg, score, images in rows:
        protocol = {} if images is None else {"protocol": {"images": images}}
        files.append_jsonl(run / "metric-l2_gen.jsonl", {"kimg": kimg, "l2_gen": score, **protocol})
    chart = next(a["aria-label"] for _, a in read(run)[1].tags if "Distance" in str(a.get("aria-label")))
    assert "generator from 0.9 to 0.4" in str(chart)


def test_a_run_beside_what_is_none(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Told before what takes long."""
    monkeypatch.setattr(page_module, "gather", lambda run: pytest.fail("the page is begun"))
    damaged, new = (Path(shutil.copytree(folder / "run", tmp_path / name)) for name in ("damaged", "new"))
    (damaged / "metrics.json").write_text("{")
    shutil.rmtree(new / "checkpoint-000004")
    for other, says in ((damaged, "damaged.metrics.json: not readable"), (new, "new: holds no finished checkpoint")):
        with pytest.raises(UserError, match=says):
            write_report(folder / "run", [other])
    with pytest.raises(UserError, match="this is the run of the report"):
        write_report(folder / "run", [folder / "run"])
    with pytest.raises(UserError, match="not a run"):
        write_report(folder / "run", [tmp_path])
    assert not (folder / "run" / "report.html").exists()


def test_the_best_constant_of_even_values() -> None:
    for factor in (*SPACE, *(Factor.scalar("n", n) for n in (2, 3, 4, 5)), Factor.circular("odd", 5)):
        level = factor.levels(factor.size or 2000)
        found = constant_errors(level[:, None], FactorSpace((factor,)))[0]
        assert constant_level(factor) == pytest.approx(found, abs=0.001), factor.name
    assert constant_level(Factor.scalar("still", 1)) == 0


def test_the_tick_is_the_best_constant_of_the_images_that_were_measured(folder: Path) -> None:
    run = folder / "run"
    measure(run)
    text = read(run)[0]
    assert "encoder 10%, constant 25%" in text and "encoder 4.0%, constant 30%" in text, "earlier: of even values"
    scores = scores_of(run)
    scores["per_factor"]["hue"] |= {"mae_constant": 0.02, "mae_gen_constant": 0.5}
    files.write_json(run / "metrics.json", scores)
    text = read(run)[0]
    assert (
        "encoder 4.0%, constant 2.0%" in text and "generator 30%, constant 50%" in text and "the best constant" in text
    )


def test_charts() -> None:
    assert charts([]) == charts([Chart("a", "b", [Line("x", "g", [1.0], [2.0])])]) == ""
    flat = charts([Chart("<a>", "b", [Line("x", "g", [1.0, 2.0], [3.0, 3.0]), Line("y", "e", [], [])], low=0)])
    assert "&lt;a&gt;" in flat
    assert "<a>" not in flat
    long = charts([Chart("a", "b", [Line("x", "g", list(range(1, 9001)), [0.5] * 9000)])])
    assert len(long) < 8000
    assert len(counts(SPACE["depth"], np.array([0.0, 0.5, 1.0]))) > 100
    assert nice_ticks(0, 0.97) == pytest.approx([0, 0.2, 0.4, 0.6, 0.8, 1.0])
    assert nice_ticks(-0.7, 1.2) == pytest.approx([-1, -0.5, 0, 0.5, 1, 1.5])
    assert nice_ticks(3, 3)[0] < 3 < nice_ticks(3, 3)[-1]


def test_lines_stand_where_their_values_are() -> None:
    def points(y: list[float]) -> str:
        return re.findall(r'points="(.*?)"', charts([Chart("a", "b", [Line("x", "g", [1.0, 2.0], y)], low=0)]))[0]

    assert points([0.0, 1.0]) == "240.0,166.0 446.0,8.0"
    assert points([-1.0, 1.0]) == "240.0,166.0 446.0,8.0", "what lies below the lower end is on the chart, too"
    many = _thinned(Line("x", "g", list(range(2 * MOST_POINTS)), [0.0, 1.0] * MOST_POINTS))
    assert list(many.x[:2]) == [0, 2.5] and many.x[-1] == 2 * MOST_POINTS - 1, "it ends where the run does"
    assert set(many.y) == {0.5}


def test_bars_and_ticks_are_as_long_as_their_numbers() -> None:
    text = bars([(SPACE["scale"], (0.104, 0.26), (0.208, 0.5)), (SPACE["hue"], (None, 0.13), (0.5, 0.25))])
    assert re.findall(r"(?:width|left):(.*?)%", text) == ["20.00", "40.00", "50.00", "96.15", "25.00", "48.08"]


def test_leakage_has_a_row_for_what_was_moved(folder: Path) -> None:
    facts = gather(folder / "run")
    found = {"hue": {"hue": 0.4, "scale": 0.1}, "scale": {"hue": 0.2, "scale": 0.3}}
    text = leakage(dataclasses.replace(facts, metrics={"leakage": found}))
    cells = re.findall(r'<td class="(own|other)" style="--v:(.*?)">(.*?)</td>', text)
    assert re.findall(r'scope="row".*?>(\w+)<', text) == ["hue", "scale"]
    assert cells == [
        *(("own", "1.00", ".40"), ("other", "0.25", ".10")),
        *(("other", "0.50", ".20"), ("own", "0.75", ".30")),
    ]


def test_counts_of_labels_stand_at_their_values() -> None:
    def heights(factor: Factor, levels: list[float]) -> list[float]:
        return [float(h) for h in re.findall(r'<rect.*? height="(.*?)"', counts(factor, np.array(levels)))]

    assert heights(SPACE["scale"], [0.25, 1.0, 1.0]) == [0, 26, 0, 0, 52]
    assert heights(SPACE["depth"], [0.52, 0.52, 0.99]) == [0] * 10 + [52] + [0] * 8 + [26]


def test_an_angle_is_headed_with_both_ends() -> None:
    assert walks._kind(Factor.circular("hue")) == walks._kind(SPACE["hue"]) == "angle, 0° to 360°"
    assert re.findall(r"<text.*?>(.*?)</text>", counts(Factor.circular("hue"), np.array([0.5]))) == ["0°", "360°"]


def test_many_classes_are_counted() -> None:
    text = counts(Factor.categorical("kind", [f"k{i}" for i in range(41)]), np.array([0.0, 3.0, 40.0]))
    assert text.count("<rect") == 41 and re.findall(r"<text.*?>(.*?)</text>", text) == ["k0", "k40"]


def test_names_as_headings() -> None:
    names = {"living-room": "Living room", "my_kitchen-editor": "My kitchen editor", "été-64": "Été-64", "": "Images"}
    assert {name: heading(name) for name in names} == names


def test_words_for_numbers() -> None:
    assert [percent(p) for p in (0, 0.0004, 0.04, 0.0996, 0.254)] == ["0%", "0.04%", "4.0%", "10%", "25%"]
    assert [share_of(p) for p in (0.025, 0.01, 1.0, 0.0025)] == ["2.5%", "1%", "100%", "0.25%"]
