"""The page with sliders: what the server answers, and what a person does with it in a real browser."""

from __future__ import annotations

import dataclasses
import io
import json
import re
import shlex
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

import semistylegan as ssg
from semistylegan.app.server import Busy, Worker, running
from semistylegan.app.sliders import GIF_COLUMNS, KEPT, Picture, Pictures, Sliders, Walk, describe, make_app
from semistylegan.cli.program import main
from semistylegan.data.pictures import decode_image, encode_png, save_png, tile
from semistylegan.editing import Model
from semistylegan.factors import Factor, FactorSpace
from semistylegan.files import write_json
from semistylegan.models.build import build_networks
from semistylegan.models.checkpoint import save_model
from semistylegan.models.config import ModelConfig
from semistylegan.report.grids import save_traversal, show_value

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

SPACE = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "<b>cross</b>", 'it\'s "three"')),
        Factor.circular("hue", 12),
        Factor.circular("azimuth", None, 0.0, 360.0),
        Factor.scalar("scale", 5, 0.13, 0.29),
        Factor.scalar_grid("light", [0.5, 1.0, 2.0, 8.0], "lx"),
        Factor.scalar("depth", None, -2.0, 2.0, "m"),
    )
)
STEPS = 12
"""Updates of an inversion: enough to test what is done with it."""
Served = tuple[str, Model]


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model of random weights whose name needs quotes."""
    folder = tmp_path_factory.mktemp("a run") / "checkpoint-000001"
    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", 16, 3, SPACE.code_width)
    G, _, E = build_networks(config)
    save_model(folder, config, SPACE, G, E)
    return folder


@pytest.fixture(scope="module")
def served(checkpoint: Path) -> Iterator[Served]:
    """Address and model."""
    model = ssg.load(checkpoint)
    with running(make_app(model, str(checkpoint), STEPS)) as address:
        yield address, model


def ask(address: str, path: str, json_: Any = None, data: bytes | None = None) -> tuple[int, bytes, dict[str, str]]:
    headers = {"Content-Type": "application/octet-stream"}
    if json_ is not None:
        data, headers = json.dumps(json_).encode(), {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(address + path, data, headers), timeout=60) as answer:
            return answer.status, answer.read(), dict(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read(), dict(error.headers)


def picture(address: str, **wanted: Any) -> np.ndarray:
    status, png, _ = ask(address, "api/pictures", wanted)
    assert status == 200, png
    return decode_image(png, "answer")


def searched(address: str, data: bytes) -> tuple[str, dict[str, Any]]:
    """Drops an image and waits until it is found: its name and what the page is told."""
    name = json.loads(ask(address, "api/images", data=data)[1])["image"]
    at = json.loads(ask(address, f"api/images/{name}/search", data=b"")[1])
    for _ in range(600):
        if at["found"]:
            return name, at
        assert at["searching"] and not at["error"]
        time.sleep(0.05)
        at = json.loads(ask(address, f"api/images/{name}")[1])
    raise AssertionError(at)


# -- the server ------------------------------------------------------------------------------------------------------


def test_the_page_is_told_of_every_factor(served: Served, checkpoint: Path) -> None:
    told = json.loads(ask(served[0], "api/model")[1])
    assert [f["name"] for f in told["factors"]] == list(SPACE.names)
    assert told["factors"][4] == SPACE[4].to_json() | {"low": 0.5, "high": 8.0}
    assert (told["name"], told["title"]) == (checkpoint.name, "Checkpoint-000001")
    assert (told["resolution"], told["given"]) == (16, str(checkpoint))
    assert shlex.split(told["quoted"]) == [str(checkpoint)]


def test_a_picture_is_the_one_that_generate_draws(served: Served) -> None:
    address, model = served
    values = {"hue": 33.5, "shape": "ring", "light": "#2"}
    assert (picture(address, pictures=[{"seed": 7, "values": values}]) == model.generate(values, seed=7)[0]).all()
    drawn = json.loads(ask(address, "api/draw?seed=7")[1])
    assert (picture(address, pictures=[{"seed": 7, "values": drawn}]) == model.generate(seed=7)[0]).all()
    sheet = picture(address, columns=2, pictures=[{"seed": s, "values": {"hue": 90 * s}} for s in range(3)])
    apart = tile([model.generate({"hue": 90 * s}, seed=s)[0] for s in range(3)], 2)
    assert np.abs(sheet.astype(int) - apart).max() <= 1  # a batch rounds otherwise than one image


def test_the_reading_comes_with_the_picture(served: Served) -> None:
    address, model = served
    wanted = {"pictures": [{"seed": 3}], "read": True}
    _, png, headers = ask(address, "api/pictures", wanted)
    read = model.encode(decode_image(png, "answer"))
    assert json.loads(headers["x-read"]) == {name: value[0] for name, value in read.items()}
    assert "x-read" not in ask(address, "api/pictures", {**wanted, "read": False})[2]


def test_a_gif_is_the_one_that_traverse_writes(served: Served, checkpoint: Path, tmp_path: Path) -> None:
    wanted = {"seed": 5, "values": {"shape": "ring"}, "factor": "scale"}
    status, gif, _ = ask(served[0], "api/gif", wanted)
    assert status == 200
    words = f"--seed 5 --set shape=ring --factor scale --columns {GIF_COLUMNS}".split()
    assert main(["traverse", str(checkpoint), *words, "--out", str(tmp_path / "x.gif")]) == 0
    assert gif == (tmp_path / "x.gif").read_bytes()
    with Image.open(io.BytesIO(gif)) as image:
        assert getattr(image, "n_frames", 0) > 5


def save_editor(folder: Path) -> Model:
    """An editor (preset fine) of random weights."""
    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", 16, 3, SPACE.code_width, coarse=4, seen=16)
    G, _, E = build_networks(config)
    save_model(folder, config, SPACE, G, E)
    return ssg.load(folder)


def test_a_gif_of_an_editor_starts_from_the_picture_on_the_page(tmp_path: Path) -> None:
    model = save_editor(tmp_path / "editor")
    model.starts = np.random.default_rng(1).integers(0, 255, (3, 16, 16, 3), dtype=np.uint8)
    sliders, factor = Sliders(model), SPACE["light"]
    values = [factor.value_of(float(u)) for u in factor.levels(GIF_COLUMNS)]
    pictures = [Picture(seed=5, values={"shape": "ring", "light": value}) for value in values]
    save_traversal([(factor, values, sliders.images(pictures, None))], tmp_path / "x.gif")
    for own in ({}, {"light": 8.0}):  # it runs through its values whatever it is set to
        gif = sliders.gif(Walk(seed=5, values={"shape": "ring", **own}, factor="light"))
        assert gif == (tmp_path / "x.gif").read_bytes()


def test_a_dropped_image_is_read_found_and_edited(served: Served, tmp_path: Path) -> None:
    address, model = served
    photo = np.random.default_rng(0).integers(0, 255, (20, 30, 3), dtype=np.uint8)
    save_png(tmp_path / "photo.png", photo)
    data = (tmp_path / "photo.png").read_bytes()
    status, answer, _ = ask(address, "api/images", data=data)
    assert status == 200
    fitted = model.fit(photo)
    assert json.loads(answer)["read"] == {name: value[0] for name, value in model.encode(fitted).items()}
    name = json.loads(answer)["image"]
    assert (decode_image(ask(address, f"api/images/{name}/picture")[1], "answer") == fitted[0]).all()
    early = ask(address, "api/pictures", {"image": name, "pictures": [{}]})
    assert early[0] == 409 and b"not been found" in early[1]

    name, at = searched(address, data)
    assert (at["done"], at["total"], set(at["found"])) == (STEPS, STEPS, set(SPACE.names))
    own = ssg.load(model.checkpoint)
    edited = picture(address, image=name, pictures=[{"values": {"hue": 210}}])
    assert (edited == own.edit(fitted[0], {"hue": 210}, steps=STEPS)).all()
    assert (picture(address, image=name, pictures=[{}]) == own.edit(fitted[0], {}, steps=STEPS)).all()
    status, gif, _ = ask(address, "api/gif", {"image": name, "factor": "shape", "values": {}})
    assert status == 200 and gif[:4] == b"GIF8"


def test_what_does_not_fit_gets_a_sentence(served: Served) -> None:
    address = served[0]
    for path, wanted, status, said in [
        ("api/pictures", {"pictures": []}, 422, "pictures"),
        ("api/pictures", {"pictures": [{}] * 101}, 422, "pictures"),
        ("api/pictures", {"pictures": [{"values": {"hu": 1}}]}, 400, "unknown factor 'hu'"),
        ("api/pictures", {"pictures": [{"values": {"hue": 361}}]}, 400, "hue=361.0: out of range"),
        ("api/pictures", {"pictures": [{"values": {"hue": float("nan")}}]}, 400, "hue=nan"),
        ("api/pictures", {"pictures": [{"values": {"hue": float("inf")}}]}, 400, "hue=inf"),
        ("api/pictures", {"pictures": [{"seed": -1}]}, 422, "seed"),
        ("api/pictures", {"pictures": [{"seed": 2**31}]}, 422, "seed"),
        ("api/pictures", {"pictures": [{}], "image": "gone"}, 404, "drop it again"),
        ("api/pictures", {"pictures": [{}], "image": "../../etc"}, 404, "drop it again"),
        ("api/gif", {"factor": "nothing"}, 400, "unknown factor"),
        ("api/images/x/search", {}, 404, "drop it again"),
    ]:
        code, answer, _ = ask(address, path, wanted)
        assert code == status and said in json.loads(answer)["error"], (path, wanted, answer)
    for bad, said in [(b"", "empty"), (b"<svg/>", "not a PNG"), (b"\x89PNG\r\n\x1a\n" + b"\0" * 50, "damaged")]:
        code, answer, _ = ask(address, "api/images", data=bad)
        assert code == 400 and said in json.loads(answer)["error"]
    assert ask(address, "api/draw?seed=x")[0] == 422
    assert ask(address, "api/images/gone/picture")[0] == 404


values = st.one_of(st.floats(), st.integers(), st.text(max_size=8), st.none(), st.booleans(), st.just("#1"))
names = st.one_of(st.sampled_from(SPACE.names), st.text(max_size=5))
pictures = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.one_of(st.integers(-5, 2**64), st.none(), st.floats()),
        "values": st.one_of(st.dictionaries(names, values, max_size=4), st.none(), st.lists(values, max_size=2)),
    },
)
requests = st.fixed_dictionaries(
    {"pictures": st.lists(pictures, max_size=3)},
    optional={
        "columns": st.integers(-2, 200),
        "image": st.one_of(st.none(), st.text(max_size=70)),
        "read": st.one_of(st.booleans(), st.text(max_size=3)),
        "factor": names,
        "more": values,
    },
)


@settings(max_examples=120, deadline=None)
@given(path=st.sampled_from(["api/pictures", "api/gif", "api/images", "api/images/x"]), wanted=requests)
def test_no_request_breaks_it(served: Served, path: str, wanted: dict[str, Any]) -> None:
    for body in (wanted, {**wanted, **(wanted["pictures"][0] if wanted["pictures"] else {})}):
        status, answer, _ = ask(served[0], path, body)
        assert status == 200 or (400 <= status < 500 and set(json.loads(answer)) == {"error"}), answer


@settings(max_examples=60, deadline=None)
@given(start=st.sampled_from(["png", "jpeg", "webp", "bmp", ""]), junk=st.binary(max_size=200), cut=st.integers(0, 400))
def test_no_image_breaks_it(served: Served, start: str, junk: bytes, cut: int) -> None:
    buffer = io.BytesIO()
    if start:
        Image.new("RGB", (9, 7), (200, 30, 90)).save(buffer, start)
    data = buffer.getvalue()[:cut] + junk
    status, answer, _ = ask(served[0], "api/images", data=data)
    assert status == 200 or (status == 400 and set(json.loads(answer)) == {"error"}), answer


def test_fifty_clients_at_once(served: Served) -> None:
    def one(i: int) -> tuple[int, bytes, dict[str, str]]:
        return ask(served[0], "api/pictures", {"pictures": [{"seed": i, "values": {"hue": i}}]})

    with ThreadPoolExecutor(50) as many:
        answers = list(many.map(one, range(50)))
    served_ones = [i for i, (status, _, _) in enumerate(answers) if status == 200]
    assert len(served_ones) >= 20
    assert all(status in (200, 503) for status, _, _ in answers)
    assert all(h["retry-after"] == "1" for status, _, h in answers if status == 503)
    for i in served_ones[::10]:  # each got its own
        assert (decode_image(answers[i][1], "") == served[1].generate({"hue": i}, seed=i)[0]).all()


def test_the_page_knows_another_device_than_the_cpu(checkpoint: Path) -> None:
    model = ssg.load(checkpoint)
    assert describe(model, "m")["device"] == ""
    assert describe(dataclasses.replace(model, device=torch.device("cuda:1")), "m")["device"] == "cuda:1"


def test_only_the_last_dropped_images_are_kept(checkpoint: Path) -> None:
    sliders = Sliders(ssg.load(checkpoint))
    dropped = [sliders.drop(encode_png(np.full((16, 16, 3), i, np.uint8))) for i in range(KEPT + 3)]
    assert list(sliders.dropped) == dropped[3:]
    assert len(set(dropped)) == KEPT + 3


def test_an_inversion_stops_when_the_server_ends(checkpoint: Path) -> None:
    sliders = Sliders(ssg.load(checkpoint))
    name = sliders.drop(encode_png(np.zeros((16, 16, 3), np.uint8)))
    sliders.ending.set()
    sliders.find(sliders.image(name))
    assert sliders.image(name).found is None and sliders.image(name).done == 1


def test_what_was_found_is_the_code_of_the_inversion(checkpoint: Path) -> None:
    model = ssg.load(checkpoint)
    sliders = Sliders(model, steps=2)
    name = sliders.drop(encode_png(np.random.default_rng(2).integers(0, 255, (16, 16, 3), dtype=np.uint8)))
    dropped = sliders.image(name)
    sliders.find(dropped)
    level_F = model.invert(dropped.picture, 2).level_1F[0].tolist()
    assert dropped.found == {f.name: f.value_of(u) for f, u in zip(SPACE, level_F, strict=True)} != dropped.read


def test_a_search_that_finds_no_place_can_be_asked_for_again(checkpoint: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: Any) -> None:
        raise Busy

    with running(make_app(ssg.load(checkpoint), "m", 2)) as address:
        data = encode_png(np.zeros((16, 16, 3), np.uint8))
        name = json.loads(ask(address, "api/images", data=data)[1])["image"]
        with monkeypatch.context() as patch:
            patch.setattr(Worker, "start", full)
            assert ask(address, f"api/images/{name}/search", data=b"")[0] == 503
        assert not json.loads(ask(address, f"api/images/{name}")[1])["searching"]


def test_a_page_is_headed_with_the_data_that_its_model_learned(checkpoint: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(checkpoint, tmp_path / "run" / checkpoint.name))
    write_json(tmp_path / "run" / "config.json", {"train": {"data": "data/living-room.zip", "out": "runs/a"}})
    told = describe(ssg.load(folder), "runs/a")
    assert (told["name"], told["title"], told["given"]) == ("living-room", "Living room", "runs/a")


def test_what_breaks_an_inversion_is_said(
    checkpoint: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    sliders = Sliders(ssg.load(checkpoint))
    dropped = sliders.image(sliders.drop(encode_png(np.zeros((16, 16, 3), np.uint8))))

    def broken(*args: Any, **more: Any) -> None:
        raise MemoryError("no room for it")

    monkeypatch.setattr(sliders.model, "edit", broken)
    sliders.find(dropped)
    assert "the terminal says what" in dropped.error and not dropped.searching
    assert "no room for it" in capsys.readouterr().err


def test_a_batch_is_drawn_whatever_its_order(checkpoint: Path) -> None:
    sliders = Sliders(ssg.load(checkpoint))
    wanted = Pictures.model_validate({"pictures": [{"seed": s} for s in (4, 2, 4)]})
    images = sliders.images(wanted.pictures, None)
    assert (images[0] == images[2]).all() and (images[0] != images[1]).any()


# -- the page in a browser ------------------------------------------------------------------------------------------

SHOWN = "document.querySelector('#picture').dataset.shown"
PIXELS = """() => {
  const canvas = document.querySelector("#picture");
  return [...canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data];
}"""


EMPTY = """() => [...document.querySelectorAll("#strip canvas")].map((canvas) =>
  canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height).data.every((x) => x === 0))"""


def many(route: Any) -> bool:
    """Whether a request asks for the small pictures."""
    return '"columns"' in (route.request.post_data or "")


def until(true: Callable[[], bool], what: str = "") -> None:
    """Waits until something is so."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        if true():
            return
        time.sleep(0.025)
    raise AssertionError(f"never so: {what}")


def pixels(page: Page) -> np.ndarray:
    return np.array(page.evaluate(PIXELS), np.uint8).reshape(16, 16, 4)[..., :3]


def state(page: Page) -> dict[str, Any]:
    """The picture that is shown: seed and values."""
    return json.loads(page.evaluate(SHOWN) or "{}")


def shows(page: Page, model: Model, values: dict[str, float | str], seed: int = 7) -> None:
    """Waits for a picture and compares it with the one that the model draws."""
    until(lambda: state(page) == {"seed": seed, "values": values}, f"{values} of {seed}, but {state(page)}")
    assert (pixels(page) == model.generate(values, seed=seed)[0]).all()


def opened(page: Page, address: str, place: str = "#seed=7") -> None:
    page.goto("about:blank")
    page.goto(address + place)
    page.wait_for_selector("body[data-ready]")


def slide(page: Page, name: str, level: float) -> None:
    """Drags a slider to a level, as a mouse does."""
    box = page.locator(f'[data-factor="{name}"] input[type=range]').bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    page.mouse.move(box["x"] + box["width"] / 2, y)
    page.mouse.down()
    page.mouse.move(box["x"] + 11 + level * (box["width"] - 22), y, steps=6)
    page.mouse.up()


UNITS = """async (levels) => {
  const { Factor } = await import("/static/units.js");
  const { factors } = await (await fetch("/api/model")).json();
  return factors.map((entry) => new Factor(entry)).map((factor) => ({
    step: factor.step ?? 0,
    values: levels.map((u) => factor.valueOf(factor.isClass ? Math.min(2, Math.floor(3 * u)) : u)),
    back: levels.map((u) => factor.levelOf(factor.valueOf(factor.isClass ? Math.min(2, Math.floor(3 * u)) : u))),
  }));
}"""


def test_the_page_counts_in_the_same_units(page: Page, served: Served) -> None:
    opened(page, served[0])
    levels = [*np.linspace(0, 1, 41), 0.9999]
    for factor, told in zip(SPACE, page.evaluate(UNITS, levels), strict=True):
        for u, value, back in zip(levels, told["values"], told["back"], strict=True):
            u = min(2, int(3 * u)) if factor.kind == "categorical" else u
            own = factor.value_of(u)
            if isinstance(own, str):
                assert value == own
                continue
            # Rounded to the finest step; a whole turn is none.
            away = abs(value - own)
            assert min(away, abs(away - 360) if factor.kind == "circular" else away) <= told["step"] / 2 + 1e-9
            assert factor.low <= value <= factor.high and not (factor.kind == "circular" and value == factor.high)
            assert back == pytest.approx(factor.level_of(value), abs=1e-9)


def test_many_classes_are_shown_around_the_one_that_is_set(page: Page, tmp_path: Path) -> None:
    space = FactorSpace((Factor.categorical("kind", [f"k{i:02d}" for i in range(30)]), Factor.scalar("size")))
    config = ModelConfig.of_size("tiny", 16, 3, space.code_width)
    G, _, E = build_networks(config)
    save_model(tmp_path / "checkpoint-000001", config, space, G, E)
    with running(make_app(ssg.load(tmp_path / "checkpoint-000001"), "it")) as address:
        opened(page, address, "#seed=7&set.kind=k20")
        here = page.locator("#strip [aria-current]")
        until(lambda: here.count() == 1 and here.get_attribute("aria-label") == "kind k20", "in the filmstrip")
        assert page.locator("#strip .label").all_text_contents() == [f"k{i}" for i in range(15, 27)]
        page.get_by_role("button", name="kind k25", exact=True).click()
        until(lambda: here.count() == 1 and here.get_attribute("aria-label") == "kind k25", "the one that is pressed")
        until(lambda: page.locator("#strip .label").last.text_content() == "k29", "the last ones")
        page.keyboard.press("Home")
        until(lambda: here.count() == 1 and here.get_attribute("aria-label") == "kind k00", "the first one")
        page.get_by_role("tab", name="Two factors").click()
        page.get_by_label("Down").select_option("kind")
        page.keyboard.press("End")
        until(lambda: page.locator("#grid [aria-current][aria-label^='kind k29']").count() == 1, "in the grid")


PARSED = """async ([entry, texts]) => {
  const { Factor } = await import("/static/units.js");
  const factor = new Factor(entry);
  return { span: factor.span, values: texts.map((text) => factor.parse(text)) };
}"""


def test_the_ends_of_a_range_can_be_typed_as_they_are_shown(page: Page, served: Served) -> None:
    opened(page, served[0])
    factor = Factor.scalar("size", None, 0.1234567, 0.98765)
    entry = {**factor.to_json(), "low": factor.low, "high": factor.high}
    told = page.evaluate(PARSED, [entry, ["0.123", "0.988", "0.5", "0.1230", "0.9881", "", "Infinity", "x"]])
    assert told["span"] == "0.123 to 0.988"
    assert told["values"] == [0.1234567, 0.98765, 0.5, 0.1234567, 0.98765, None, None, None]
    assert [factor.level_of(value) for value in told["values"][:2]] == [0, 1]
    assert page.evaluate(PARSED, [entry, ["0.122", "0.989"]])["values"] == [None, None]
    hue = {"name": "hue", "kind": "circular", "low": 0, "high": 360}
    assert page.evaluate(PARSED, [hue, ["360", "-0.4", "361", "-1"]])["values"] == [0, 0, None, None]
    for high, thousand in ((1e9, None), (10, 1)):
        size = {"name": "size", "kind": "scalar", "low": 0, "high": high}
        assert page.evaluate(PARSED, [size, ["1,000", "2,5"]])["values"] == [thousand, 2.5]


ANGLES = """async ([entries, values]) => {
  const { Factor } = await import("/static/units.js");
  const factors = entries.map((entry) => new Factor(entry));
  return factors.map((factor, i) => ({ span: factor.span, shown: values[i].map((v) => factor.show(v)) }));
}"""


def test_the_page_shows_angles_as_the_report_does(page: Page, served: Served) -> None:
    opened(page, served[0])
    turns = [Factor.circular("a"), Factor.circular("b", 12), Factor.circular("c", None, -180.0, 180.0)]
    values = [[f.low + away for away in (0.0, 0.3, 90.0, 359.4, 359.64, 359.97, 360 - 1e-9)] for f in turns]
    entries = [{**f.to_json(), "low": f.low, "high": f.high} for f in turns]
    told = page.evaluate(ANGLES, [entries, values])
    assert [one["shown"] for one in told] == [
        [show_value(f, v) for v in of] for f, of in zip(turns, values, strict=True)
    ]
    assert told[0]["shown"][-3:] == ["0°", "0°", "0°"]
    assert [one["span"] for one in told] == ["0° to 360°", "0° to 360°", "−180° to 180°"]


def test_a_moved_slider_changes_the_picture(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    shows(page, model, {})
    slide(page, "scale", 1.0)
    shows(page, model, {"scale": 0.29})
    slide(page, "depth", 0.0)
    shows(page, model, {"scale": 0.29, "depth": -2})
    page.get_by_role("radio", name="<b>cross</b>").click()
    shows(page, model, {"scale": 0.29, "depth": -2, "shape": "<b>cross</b>"})
    # Near a place of the grid the slider takes it; an uneven grid keeps its own values.
    slide(page, "light", 2 / 3 + 0.01)
    until(lambda: state(page)["values"].get("light") == 2)
    # The dial: a quarter of a turn to the right is 90 degrees.
    box = page.locator('[data-factor="azimuth"] svg.dial').bounding_box()
    assert box is not None
    page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
    until(lambda: state(page)["values"].get("azimuth") == 90)
    for keys, value in (("PageUp", 126), ("Home", 0), ("ArrowLeft", 351), ("End", 359), ("PageDown", 324)):
        page.keyboard.press(keys)
        until(lambda value=value: state(page)["values"].get("azimuth") == value, keys)


def test_keys_do_everything(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    page.keyboard.press("2")
    start = float(model.draw(7, 1)[1][0, 1] * 360)
    page.keyboard.press("ArrowRight")
    hue = (start + 30) % 360
    shows(page, model, {"hue": round(hue)})
    page.keyboard.press("Shift+ArrowLeft")
    shows(page, model, {"hue": round(hue - 1) % 360})
    page.keyboard.press("Home")
    shows(page, model, {"hue": 0})
    page.keyboard.press("ArrowLeft")  # around the circle
    shows(page, model, {"hue": 330})
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("End")
    shows(page, model, {"hue": 330, "scale": 0.29})
    page.keyboard.press("l")
    page.keyboard.press("n")
    until(lambda: state(page)["seed"] != 7 and state(page)["values"] == {"scale": 0.29}, "the locked one alone is kept")
    page.keyboard.press("z")
    shows(page, model, {"hue": 330, "scale": 0.29})
    page.keyboard.press("Control+z")
    page.keyboard.press("Control+z")
    shows(page, model, {"hue": 330})
    page.keyboard.press("Shift+Z")
    shows(page, model, {"hue": 330, "scale": 0.29})
    page.keyboard.press("r")
    shows(page, model, {"hue": 330})
    page.keyboard.press("Shift+R")
    shows(page, model, {})
    page.keyboard.press("?")
    assert page.locator("dialog[open]").count() == 1
    page.keyboard.press("n")  # not while the dialog is open
    page.keyboard.press("Escape")
    assert page.locator("dialog[open]").count() == 0
    shows(page, model, {})


@pytest.mark.parametrize(
    ("pressed", "does"),
    [
        ({"key": "т", "code": "KeyN"}, "location.hash !== before"),  # Cyrillic
        ({"key": "т", "code": "KeyN", "shiftKey": True}, None),
        ({"key": "é", "code": "Digit2"}, "document.querySelector('.factor.active').dataset.factor === 'hue'"),  # French
        ({"key": "n", "code": "KeyB"}, "location.hash !== before"),  # Dvorak: what is printed on the key counts
        ({"key": "2", "code": "Digit2"}, "document.querySelector('.factor.active').dataset.factor === 'hue'"),
    ],
)
def test_keys_of_any_layout(page: Page, served: Served, pressed: dict[str, Any], does: str | None) -> None:
    opened(page, served[0])
    page.keyboard.press("1")
    page.evaluate("window.before = location.hash")
    page.evaluate(
        "key => document.body.dispatchEvent(new KeyboardEvent('keydown', { ...key, bubbles: true }))", pressed
    )
    if does is not None:
        page.wait_for_function(f"() => {does}")
    else:
        page.wait_for_timeout(300)
        assert page.evaluate("location.hash === before")


def test_the_focus_is_handed_on_by_what_can_be_pressed_no_more(page: Page, served: Served) -> None:
    opened(page, served[0])
    has_it = "place => document.activeElement.closest(place) !== null"

    def press(button: str, then: str) -> None:
        page.locator(button).focus()
        page.keyboard.press("Enter")
        page.wait_for_function(has_it, arg=then)
        page.wait_for_timeout(100)
        assert page.evaluate(has_it, then), button

    slide(page, "scale", 0.5)
    press("[data-factor=scale] [aria-label='Reset scale']", "[data-factor=scale]")
    press("#undo", "#undo")
    press("#undo", "#redo")
    press("#redo", "#redo")
    press("#redo", "#undo")
    press("#undo", "#undo")
    press("#resetall", "#shown")
    page.keyboard.press("g")
    press("#grid .tile:last-child", "#shown")
    assert page.evaluate("document.activeElement.checkVisibility()")


def test_a_typed_value_and_one_that_does_not_fit(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    field = page.locator('[data-factor="depth"] .value')
    field.fill("−1,25")
    field.press("Enter")
    shows(page, model, {"depth": -1.25})
    field.fill("3")
    field.press("Enter")
    page.wait_for_selector(".note.bad")
    assert "depth: 3 does not fit; it takes −2 m to 2 m" in page.locator(".note.bad").inner_text()
    shows(page, model, {"depth": -1.25})
    seed = page.locator("#seed")
    seed.fill("123")
    seed.press("Enter")
    shows(page, model, {}, seed=123)
    seed.fill("abc")
    seed.press("Enter")
    assert seed.get_attribute("aria-invalid") == "true"
    page.keyboard.press("n")
    until(lambda: seed.input_value() not in ("abc", "123"))
    assert seed.get_attribute("aria-invalid") is None


def test_the_address_holds_the_state(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address, "#seed=9&set.hue=33&set.shape=%3Cb%3Ecross%3C%2Fb%3E&lock=hue")
    shows(page, model, {"hue": 33, "shape": "<b>cross</b>"}, seed=9)
    page.keyboard.press("2")
    page.keyboard.press("Shift+ArrowRight")
    until(lambda: "set.hue=34" in page.evaluate("location.hash"))
    page.reload()
    page.wait_for_selector("body[data-ready]")
    shows(page, model, {"hue": 34, "shape": "<b>cross</b>"}, seed=9)
    page.keyboard.press("n")
    until(lambda: state(page)["seed"] != 9)
    assert state(page)["values"] == {"hue": 34}
    # What does not fit is said and left out.
    opened(page, address, "#seed=9&set.hue=999&set.nothing=1&lock=hue")
    shows(page, model, {}, seed=9)
    assert page.locator(".note.bad").count() == 2


def test_stale_answers_never_show(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    shows(page, model, {})
    asked = []

    def slow(route: Any) -> None:
        asked.append(json.loads(route.request.post_data))
        time.sleep(0.15)
        route.continue_()

    page.route("**/api/pictures", slow)
    page.keyboard.press("6")
    for _ in range(12):
        page.keyboard.press("Shift+ArrowRight")
    page.keyboard.press("End")
    shows(page, model, {"depth": 2})
    drags = [a["pictures"][0]["values"].get("depth") for a in asked if len(a["pictures"]) == 1]
    assert drags[-1] == 2 and len(drags) < 13, "those between are not asked for"
    time.sleep(0.3)
    assert state(page)["values"] == {"depth": 2}
    page.unroute("**/api/pictures")


def test_what_is_saved_and_copied_gives_the_same_picture(
    page: Page, served: Served, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    address, _ = served
    opened(page, address, "#seed=11&set.depth=-1.37&set.shape=it%27s+%22three%22")
    page.keyboard.press("3")
    page.keyboard.press("Shift+ArrowRight")
    until(lambda: "azimuth" in state(page).get("values", {}))
    shown = pixels(page)
    with page.expect_download() as saved:
        page.keyboard.press("p")
    assert re.fullmatch(r"[\w-]+-11\.png", saved.value.suggested_filename)
    saved.value.save_as(tmp_path / "saved.png")
    assert (decode_image((tmp_path / "saved.png").read_bytes(), "saved") == shown).all()

    page.get_by_role("button", name="Copy Python").click()
    page.wait_for_selector(".note")
    names: dict[str, Any] = {}
    exec(page.evaluate("navigator.clipboard.readText()"), names)  # noqa: S102  (the page's own words)
    assert (names["image"] == shown).all()

    page.get_by_role("button", name="Copy command").click()
    page.get_by_text("Command copied").wait_for()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    assert words[0] == "semistylegan" and words[-2:] == ["--out", "picture.png"]
    assert main([*words[1:-1], str(tmp_path / "picture.png")]) == 0, capsys.readouterr().err
    assert (decode_image((tmp_path / "picture.png").read_bytes(), "picture") == shown).all()

    with page.expect_download() as saved:
        page.get_by_role("button", name="GIF of azimuth").click()
    assert saved.value.suggested_filename.endswith("-11-azimuth.gif")


DROP = """([bytes, name]) => {
  const files = new DataTransfer();
  files.items.add(new File([new Uint8Array(bytes)], name));
  for (const kind of ["dragenter", "dragover", "drop"])
    document.body.dispatchEvent(new DragEvent(kind, { dataTransfer: files, bubbles: true, cancelable: true }));
}"""


def test_a_dropped_image_in_the_page(page: Page, served: Served, tmp_path: Path) -> None:
    address, model = served
    opened(page, address)
    photo = model.generate(seed=77)[0]
    page.evaluate(DROP, [list(encode_png(photo)), "my photo.png"])
    until(lambda: page.locator("#filename").inner_text() == "my photo.png")
    page.locator('[data-factor="scale"] .reads', has_text=".").wait_for()
    read = model.encode(photo[None])["scale"][0]
    assert float(page.locator('[data-factor="scale"] .reads').inner_text().split()[1]) == pytest.approx(read, abs=6e-4)
    until(lambda: page.locator("#compare").is_enabled(), "found")
    slide(page, "scale", 0.0)
    until(lambda: state(page).get("values") == {"scale": 0.13} and "image" in state(page))
    own = ssg.load(model.checkpoint)
    assert (pixels(page) == own.edit(photo, {"scale": 0.13}, steps=STEPS)).all()
    page.keyboard.down("c")
    until(lambda: bool((pixels(page) == photo).all()), "the image itself while C is held")
    page.keyboard.up("c")
    until(lambda: bool((pixels(page) == own.edit(photo, {"scale": 0.13}, steps=STEPS)).all()))
    # What is copied does the same to the file.
    page.get_by_role("button", name="Copy command").click()
    page.get_by_text("Command copied").wait_for()
    words = shlex.split(page.evaluate("navigator.clipboard.readText()"))
    save_png(tmp_path / "my photo.png", photo)
    words[words.index("my photo.png")] = str(tmp_path / "my photo.png")
    assert main([*words[1:-1], str(tmp_path / "edited.png")]) == 0
    assert (decode_image((tmp_path / "edited.png").read_bytes(), "edited") == pixels(page)).all()
    page.keyboard.press("z")  # undo the edit, then the drop
    until(lambda: state(page)["values"] == {} and "image" in state(page))
    page.keyboard.press("z")
    shows(page, model, {})
    assert page.locator("#given").is_hidden()
    page.evaluate(DROP, [list(b"no image"), "notes.txt"])
    page.locator(".note.bad").wait_for()
    assert "not a PNG" in page.locator(".note.bad").inner_text()
    shows(page, model, {})


def drop(page: Page, photo: np.ndarray, name: str) -> None:
    """Drops an image, of a name that was not dropped before, and waits until it is found and drawn."""
    page.evaluate(DROP, [list(encode_png(photo)), name])
    until(lambda: page.locator("#filename").inner_text() == name and page.locator("#compare").is_enabled(), "found")
    of = page.locator("#thumb").get_attribute("data-of")
    until(lambda: state(page).get("image") == of, "drawn")


def test_comparing_ends_with_the_image(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    compare = page.locator("#compare")
    for name, leave in (
        ("a.png", lambda: page.locator("#leave").click()),
        ("b.png", lambda: page.keyboard.press("z")),
    ):
        drop(page, model.generate(seed=77)[0], name)
        compare.click()
        assert compare.get_attribute("aria-pressed") == "true"
        leave()
        shows(page, model, {})
        assert compare.get_attribute("aria-pressed") == "false"
    # A key that is held lets go with the window; what was clicked stays.
    drop(page, model.generate(seed=77)[0], "c.png")
    for start, kept in ((lambda: page.keyboard.down("c"), "false"), (compare.click, "true")):
        start()
        assert compare.get_attribute("aria-pressed") == "true"
        page.evaluate("dispatchEvent(new Event('blur'))")
        assert compare.get_attribute("aria-pressed") == kept
        page.keyboard.up("c")
    page.locator("#leave").click()
    shows(page, model, {})
    page.keyboard.press("4")
    page.keyboard.press("End")
    shows(page, model, {"scale": 0.29})


THUMB = """() => {
  const pen = new OffscreenCanvas(16, 16).getContext("2d");
  pen.drawImage(document.querySelector("#thumb"), 0, 0);
  return [...pen.getImageData(0, 0, 16, 16).data];
}"""


def test_undo_from_one_dropped_image_to_another(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    photos = {"a.png": model.generate(seed=77)[0], "b.png": model.generate(seed=78)[0]}
    for name, photo in photos.items():
        drop(page, photo, name)
    for key, name in (("z", "a.png"), ("Shift+Z", "b.png")):
        page.keyboard.press(key)
        until(lambda name=name: page.locator("#filename").inner_text() == name, name)
        of = page.locator("#thumb").get_attribute("data-of")
        until(lambda of=of: state(page).get("image") == of, "drawn")
        until(
            lambda name=name: bool(
                (np.array(page.evaluate(THUMB), np.uint8).reshape(16, 16, 4)[..., :3] == photos[name]).all()
            ),
            f"the thumbnail of {name}",
        )
        assert page.locator("#progress").is_hidden() and page.locator("#compare").is_enabled()


def test_a_broken_answer_stops_nothing(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    shows(page, model, {})
    page.route("**/api/pictures", lambda route: route.fulfill(content_type="image/png", body=b"\x89PNG\r\n"))
    with page.expect_request(lambda request: '"columns"' in (request.post_data or "")):  # of the filmstrip
        page.keyboard.press("4")
        page.keyboard.press("End")
    page.locator(".note.bad").first.wait_for()
    until(lambda: page.locator("#strip").get_attribute("aria-busy") == "false", "the filmstrip is answered")
    until(lambda: page.locator("#picture.old").count() == 1, "a picture that is not of these values is dimmed")
    page.unroute("**/api/pictures")
    page.keyboard.press("Home")
    shows(page, model, {"scale": 0.13})
    assert page.locator("#picture.old").count() == 0
    strip = "JSON.parse(document.querySelector('#strip').dataset.shown ?? 'null')?.[1].at(-1).values"
    until(lambda: page.evaluate(strip) == {"scale": 0.29}, "the filmstrip as well")


def test_no_small_picture_stays_beside_another_label(page: Page, served: Served) -> None:
    opened(page, served[0])
    page.keyboard.press("4")
    cells, busy = page.locator("#strip .tile"), page.locator("#strip")
    until(lambda: cells.count() == 5 and busy.get_attribute("aria-busy") == "false", "the filmstrip")
    held, old = list[Any](), page.locator("#strip canvas.old")
    page.route("**/api/pictures", lambda route: held.append(route) if many(route) else route.continue_())
    page.keyboard.press("n")
    until(lambda: old.count() == 5 and bool(held), "pictures of other values are dimmed")
    held.pop().continue_()
    until(lambda: old.count() == 0, "until they are there")
    assert not any(page.evaluate(EMPTY))
    page.keyboard.press("n")
    until(lambda: old.count() == 5 and bool(held), "and again")
    held.pop().fulfill(content_type="image/png", body=b"\x89PNG\r\n")
    until(lambda: page.evaluate(EMPTY) == [True] * 5, "where there are none, nothing is shown")
    assert old.count() == 0


def test_the_image_that_was_dropped_last_is_shown(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    held: list[Any] = []
    page.route("**/api/images", lambda route: route.continue_() if held else held.append(route))
    page.evaluate(DROP, [list(encode_png(model.generate(seed=77)[0])), "a.png"])
    until(lambda: page.wait_for_timeout(20) or bool(held), "on its way")
    drop(page, model.generate(seed=78)[0], "b.png")
    with page.expect_response("**/api/images/*/picture"):
        held[0].continue_()
    page.wait_for_timeout(300)
    assert page.locator("#filename").inner_text() == "b.png"
    page.unroute("**/api/images")


def test_a_search_goes_on_when_the_server_is_back(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    photo = model.generate(seed=79)[0]
    page.route("**/api/images/*/search", lambda route: route.abort())
    page.evaluate(DROP, [list(encode_png(photo)), "a.png"])
    page.locator(".note.bad").wait_for()
    page.unroute("**/api/images/*/search")
    until(lambda: page.locator("#compare").is_enabled(), "found")


def test_a_search_that_ends_without_a_find_says_so(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    bad = {"done": 3, "total": STEPS, "searching": False, "found": None, "error": "nothing like it"}
    page.route("**/api/images/*/search", lambda route: route.fulfill(json=bad))
    page.evaluate(DROP, [list(encode_png(model.generate(seed=79)[0])), "a.png"])
    page.locator(".note.bad").wait_for()
    assert "nothing like it" in page.locator("#status").inner_text() and page.locator("#progress").is_hidden()
    page.unroute("**/api/images/*/search")
    page.keyboard.press("Escape")
    page.locator("#sample").wait_for()
    page.keyboard.press("z")  # back to it: it is searched for again
    until(lambda: page.locator("#compare").is_enabled(), "found")


def test_what_cannot_be_read_is_not_the_servers_fault(page: Page, served: Served, tmp_path: Path) -> None:
    opened(page, served[0])
    (tmp_path / "photos").mkdir()
    tool = page.context.new_cdp_session(page)
    for kind in ("dragEnter", "dragOver", "drop"):
        data = {"items": [], "files": [str(tmp_path / "photos")], "dragOperationsMask": 1}
        tool.send("Input.dispatchDragEvent", {"type": kind, "x": 300, "y": 300, "data": data})
    page.locator(".note.bad").wait_for()
    assert "photos cannot be read" in page.locator(".note.bad").inner_text()


HOLD = """() => {
  const ask = window.fetch;
  window.fetch = async (path, options) => {
    if (path.startsWith("/api/draw") && !window.held) await new Promise((go) => (window.held = { go }));
    return ask(path, options);
  };
}"""
"""Holds the next sample until `held.go()`: in the page, since the browser lets requests slip past a route on a busy
machine."""


def test_what_is_set_while_a_sample_is_on_its_way_stays(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    shows(page, model, {})
    page.keyboard.press("6")
    page.evaluate(HOLD)
    page.keyboard.press("n")
    page.wait_for_function("Boolean(window.held)")
    page.keyboard.press("End")
    shows(page, model, {"depth": 2})
    page.evaluate("held.go()")
    until(lambda: state(page)["seed"] != 7 and state(page)["values"] == {"depth": 2}, "the new sample, as it was set")
    page.keyboard.press("z")
    shows(page, model, {"depth": 2})


@pytest.mark.parametrize("key", ["l", "r", "z"])
def test_what_is_pressed_while_a_sample_is_on_its_way_is_done_to_it(page: Page, served: Served, key: str) -> None:
    address, model = served
    opened(page, address)
    page.keyboard.press("4")
    page.keyboard.press("End")
    shows(page, model, {"scale": 0.29})
    page.keyboard.press("6")
    page.evaluate(HOLD)
    page.keyboard.press("n")
    page.wait_for_function("Boolean(window.held)")
    page.keyboard.press(key)
    page.wait_for_timeout(100)
    assert page.evaluate("location.hash") == "#seed=7&set.scale=0.29"
    page.evaluate("held.go()")
    if key == "z":  # the new sample is what is undone
        page.locator("#redo:enabled").wait_for()
        assert page.evaluate("location.hash") == "#seed=7&set.scale=0.29"
    else:
        until(lambda: state(page)["seed"] != 7, "the new sample")
        values = {"depth": round(model.draw(state(page)["seed"], 1)[1][0, 5].item() * 4 - 2, 2)} if key == "l" else {}
        until(lambda: state(page)["values"] == pytest.approx(values), f"{values} of the new sample")


def test_the_focus_follows_the_class_that_is_chosen(page: Page, served: Served) -> None:
    opened(page, served[0])
    page.keyboard.press("1")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    focused = page.locator(":focus")
    assert (focused.text_content(), focused.get_attribute("aria-checked")) == ("<b>cross</b>", "true")
    page.get_by_role("button", name="New sample").focus()
    page.keyboard.press("ArrowRight")  # changes the class, and leaves the focus where it is
    assert focused.get_attribute("id") == "new"


def test_down_is_the_next_class_and_the_number_below(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    page.keyboard.press("1")
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    shows(page, model, {"shape": "<b>cross</b>"})
    page.keyboard.press("ArrowUp")
    page.keyboard.press("4")
    page.keyboard.press("End")
    page.keyboard.press("ArrowDown")
    shows(page, model, {"shape": "ring", "scale": 0.25})


def test_an_editor_without_images_waits_for_one(page: Page, tmp_path: Path) -> None:
    model = save_editor(tmp_path / "editor")
    with running(make_app(model, "editor")) as address:
        opened(page, address)
        assert page.locator("#drophere").is_visible() and page.locator("#new").is_hidden()
        page.keyboard.press("2")
        page.keyboard.press("ArrowRight")
        photo = np.random.default_rng(3).integers(0, 255, (16, 16, 3), dtype=np.uint8)
        page.evaluate(DROP, [list(encode_png(photo)), "x.png"])
        until(lambda: page.locator("#compare").is_enabled(), "nothing to search for")
        assert page.locator("#drophere").is_hidden()
        slide(page, "scale", 1.0)
        until(lambda: state(page).get("values") == {"scale": 0.29})
        assert (pixels(page) == model.edit(photo, {"scale": 0.29})).all()
        page.keyboard.press("Escape")
        page.locator("#drophere").wait_for()
        page.goto("about:blank")


def test_a_factor_may_be_called_as_what_every_object_has(page: Page, tmp_path: Path) -> None:
    space = FactorSpace((Factor.scalar("constructor", None), Factor.circular("hue", 12)))
    config = ModelConfig.of_size("tiny", 16, 3, space.code_width)
    G, _, E = build_networks(config)
    save_model(tmp_path / "model", config, space, G, E)
    with running(make_app(ssg.load(tmp_path / "model"), "model")) as address:
        opened(page, address)
        until(lambda: state(page).get("values") == {})
        page.keyboard.press("1")
        page.keyboard.press("l")
        until(lambda: set(state(page)["values"]) == {"constructor"}, "locked as it is drawn")
        kept = state(page)["values"]
        page.keyboard.press("n")
        until(lambda: state(page)["seed"] != 7)
        assert state(page)["values"] == kept
        page.goto("about:blank")


def test_the_grids(page: Page, served: Served) -> None:
    address, model = served
    opened(page, address)
    page.get_by_role("tab", name="Other samples").click()
    page.wait_for_selector("#grid[data-shown]")
    cells = page.locator("#grid .tile")
    assert cells.count() == 25
    cells.nth(3).click()
    drawn = {f.name: f.value_of(float(u)) for f, u in zip(SPACE, model.draw(7, 1)[1][0], strict=True)}
    shows(page, model, drawn, seed=10)  # the same code, another z
    page.keyboard.press("z")
    shows(page, model, {})
    page.get_by_role("tab", name="Two factors").click()
    page.get_by_label("Down").select_option("scale")
    page.get_by_label("Across").select_option("light")
    until(lambda: cells.count() == 20)
    page.get_by_role("button", name="scale 0.21, light 8 lx").click()
    shows(page, model, {"scale": 0.21, "light": 8})
    page.keyboard.press("5")
    page.get_by_role("button", name="light 0.5 lx").click()  # of the filmstrip
    shows(page, model, {"scale": 0.21, "light": 0.5})


@pytest.mark.parametrize("width", [320, 360])
def test_a_phone(browser: BrowserContext, served: Served, width: int) -> None:
    tab = browser.new_page()
    tab.set_viewport_size({"width": width, "height": 844})
    opened(tab, served[0])
    for view in ("Picture", "Other samples", "Two factors"):
        tab.get_by_role("tab", name=view).click()
        assert tab.evaluate("document.documentElement.scrollWidth") == width, view
    rows = tab.evaluate("new Set([...document.querySelectorAll('.heading button')].map((one) => one.offsetTop)).size")
    assert rows == (2 if width == 320 else 1)
    # The picture stays in sight while the controls scroll.
    tab.get_by_role("tab", name="Picture").click()
    tab.evaluate("window.scrollTo(0, 900)")
    box = tab.locator("#picture").bounding_box()
    assert box is not None and 0 <= box["y"] < 200
    tab.close()


def test_what_has_the_focus_is_not_under_the_picture(browser: BrowserContext, served: Served) -> None:
    tab = browser.new_page()
    tab.set_viewport_size({"width": 360, "height": 740})
    opened(tab, served[0])
    tab.locator("#line").focus()
    hidden = """() => {
      const { left, top, width, height } = document.activeElement.getBoundingClientRect();
      return document.querySelector("#stage").contains(document.elementFromPoint(left + width / 2, top + height / 2));
    }"""
    for _ in range(60):
        tab.keyboard.press("Shift+Tab")
        focused = tab.evaluate("document.activeElement.outerHTML.slice(0, 80)")
        if tab.evaluate("document.activeElement.closest('#stage, .top') !== null"):
            break
        assert not tab.evaluate(hidden), focused
    tab.close()


@pytest.mark.parametrize("width", [360, 1400])
def test_names_of_any_length_fit(browser: BrowserContext, width: int, tmp_path: Path) -> None:
    long = "what_somebody_exported_from_a_spreadsheet_" * 3
    space = FactorSpace(
        (
            Factor.scalar(long),
            Factor.scalar("huge", None, -1e9, 1e9),
            Factor.scalar("\u05d2\u05d5\u05d3\u05dc"),
            Factor.categorical("shape", ("ring", "a whole sentence, as in the questionnaire, " * 3 + "?", long)),
            Factor.categorical("kind", [f"{i} {long}" for i in range(30)]),
        )
    )
    config = ModelConfig.of_size("tiny", 16, 3, space.code_width)
    G, _, E = build_networks(config)
    save_model(tmp_path / "model", config, space, G, E)
    tab = browser.new_page()
    tab.set_viewport_size({"width": width, "height": 800})
    with running(make_app(ssg.load(tmp_path / "model"), "model")) as address:
        opened(tab, address, "#seed=7&set.huge=-853896141")
        assert tab.locator('[data-factor="huge"] .value').evaluate("field => field.scrollWidth <= field.clientWidth")
        for name in space.names:
            tab.locator(f'[data-factor="{name}"] .lock').focus()
            until(lambda name=name: tab.locator("#filmname").text_content() == name)
            assert tab.evaluate("document.documentElement.scrollWidth") == width, name
        ways = tab.locator("#factors .name").evaluate_all("all => all.map((one) => getComputedStyle(one).direction)")
        assert ways == ["ltr", "ltr", "rtl", "ltr", "ltr"]
        tab.locator("#reading").click()
        cut = "all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
        assert tab.locator("#factors .name").evaluate_all(cut) == []
        lock = tab.locator(f'[data-factor="{long}"] .lock').bounding_box()
        assert lock is not None and lock["width"] >= 36
        tab.close()


def test_what_is_chosen_shows_in_the_colours_of_the_system(page: Page, served: Served) -> None:
    page.emulate_media(forced_colors="active")
    opened(page, served[0])
    page.locator("#reading").click()

    def colours(selector: str, property: str) -> set[str]:
        looks = "(all, name) => all.map((one) => getComputedStyle(one)[name])"
        return set(page.locator(selector).evaluate_all(looks, property))

    for chosen, other in (
        ('[role=radio][aria-checked="true"]', '[role=radio][aria-checked="false"]'),
        ('[role=tab][aria-selected="true"]', '[role=tab][aria-selected="false"]'),
        ('#reading[aria-pressed="true"]', '#lockall[aria-pressed="false"]'),
    ):
        until(lambda a=chosen, b=other: not colours(a, "backgroundColor") & colours(b, "backgroundColor"), chosen)
    assert not colours(".factor.active", "borderLeftColor") & colours(".factor:not(.active)", "borderLeftColor")


def test_everything_has_a_name_and_can_be_reached(page: Page, served: Served) -> None:
    opened(page, served[0])
    nameless = page.evaluate(
        """() => [...document.querySelectorAll("button, input, select, [role=slider]")]
        .filter((e) => e.checkVisibility()).filter((e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length
          || document.getElementById(e.getAttribute("aria-labelledby")))).map((e) => e.outerHTML)"""
    )
    assert nameless == []
    assert page.locator("#notes[role=status]").count() == 1  # before any note
    seen = []
    for _ in range(60):
        page.keyboard.press("Tab")
        seen.append(page.evaluate("document.activeElement.closest('[data-factor]')?.dataset.factor ?? ''"))
    order = [name for i, name in enumerate(seen) if name and name not in seen[:i]]
    assert order == list(SPACE.names)


def test_the_page_says_when_the_server_is_gone(page: Page, checkpoint: Path) -> None:
    with running(make_app(ssg.load(checkpoint), "x")) as address:
        opened(page, address)
    page.keyboard.press("4")
    page.keyboard.press("ArrowRight")
    page.locator(".note.bad").first.wait_for()
    assert "server does not answer" in page.locator(".note.bad").first.inner_text()


def test_a_page_of_an_earlier_server_shows_no_other_model(page: Page, checkpoint: Path, tmp_path: Path) -> None:
    config = ModelConfig.of_size("tiny", 16, 3, SPACE.code_width)
    G, _, E = build_networks(config)
    save_model(tmp_path / "other", config, SPACE, G, E)
    with running(make_app(ssg.load(checkpoint), "x")) as address:
        opened(page, address)
        until(lambda: bool(state(page)))
        before = pixels(page)
    with running(make_app(ssg.load(tmp_path / "other"), "other"), int(address.strip("/").rpartition(":")[2])):
        page.keyboard.press("4")
        page.keyboard.press("ArrowRight")
        page.locator(".note.bad").first.wait_for()
        assert "started anew since: reload" in page.locator(".note.bad").first.inner_text()
        assert (pixels(page) == before).all()
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert page.locator("#title").text_content() == "Other"
        until(lambda: bool(state(page)))
