"""Labelling: what is asked, which image comes next, what is written, and the page in a browser."""

from __future__ import annotations

import csv
import errno
import json
import threading
import time
import urllib.error
import urllib.request
import weakref
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semistylegan import active
from semistylegan.app import desk as desk_module
from semistylegan.app import queue as queue_module
from semistylegan.app.desk import SHOWN, Desk, sentence
from semistylegan.app.labelling import alone, make_app
from semistylegan.app.questions import Question, ask, whole_space
from semistylegan.app.queue import FIRST, LEASE_SECONDS, Queue
from semistylegan.app.server import Refused, running
from semistylegan.cli.program import main
from semistylegan.data.check import check
from semistylegan.data.dataset import Dataset
from semistylegan.data.pictures import decode_image, read_header, save_png
from semistylegan.data.storage import open_store
from semistylegan.data.table import MAX_CATEGORIES, Table
from semistylegan.data.writing import ZipWriter
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.scenes.sprites import render

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

ASKED = "shape=ring|square|triangle,hue:angle,scale:0.13..0.29/5"


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """40 sprites without a single label."""
    for i in range(40):
        save_png(tmp_path / "photos" / f"{i:03d}.png", render(i * 283, 32))
    return tmp_path / "photos"


def rows_of(path: Path) -> dict[str, dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return {row.pop("file_name"): row for row in csv.DictReader(file)}


# -- what is asked ---------------------------------------------------------------------------------------------------


def test_the_words_behind_factors() -> None:
    found = ask(" shape , kind=a|b c ,size:-1..1e1, step:0..1/5,hue:angle,turn:angle/12", None, None)
    assert found == (
        Question("shape", None, grows=True),
        Question("kind", Factor.categorical("kind", ("a", "b c"))),
        Question("size", Factor.scalar("size", None, -1, 10)),
        Question("step", Factor.scalar("step", 5, 0, 1)),
        Question("hue", Factor.circular("hue")),
        Question("turn", Factor.circular("turn", 12)),
    )


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "name at least one"),
        ("a,b,a", "'a' stands there twice"),
        ("file_name", "write name"),
        ("a=", "two classes"),
        ("a=one", "two classes"),
        ("a=x||y", "two classes"),
        ("a=x|x", "different names"),
        ("a:3..1", "3 is not under 1"),
        ("a:0..1/1", "2 to 360"),
        ("a:0-1", "low..high"),
        ("a:1e999..2e999", "not under"),
        (",".join(f"f{i}" for i in range(25)), "more than 24"),
    ],
)
def test_words_that_are_not_understood(words: str, said: str) -> None:
    with pytest.raises(UserError, match=said) as error:
        ask(words, None, None)
    assert "\n" not in str(error.value)


def test_what_the_data_says_already_counts() -> None:
    table = Table.parse(b"file_name,shape,size,note\na,ring,1,x\nb,square,3,\n", "t", ["a", "b"])
    space = FactorSpace((Factor.categorical("shape", ("ring", "square", "oval")), Factor.scalar("old")))
    # factors.json: as it says, and no class comes to those listed there.
    assert ask("shape", space, table) == (Question("shape", space[0]),)
    with pytest.raises(UserError, match=r"factors\.json says that shape is one of ring, square, oval"):
        ask("shape=ring|square", space, table)
    # The labels so far: their classes, and more may come.
    (shape,) = ask("shape", None, table)
    assert shape == Question("shape", Factor.categorical("shape", ("ring", "square")), grows=True)
    assert ask("size:0..10", None, table)[0].factor == Factor.scalar("size", None, 0, 10)
    with pytest.raises(UserError, match="does not fit the labels so far: t line 3: size=3"):
        ask("size:0..2", None, table)
    # What factors.json will say: all that is known, in the order in which it stands, the new last.
    new = ask("size:0..10,hue:angle", None, table)
    assert whole_space(new, None, table).names == ("shape", "size", "note", "hue")
    assert whole_space(new, None, table)["size"].high == 10
    assert whole_space(new, space, table).names == ("shape", "old", "size", "hue")


def test_classes_come_up_on_the_way() -> None:
    question = Question("shape", None, grows=True).grown(" ring ").grown("square")
    assert question.factor == Factor.categorical("shape", ("ring", "square"))
    for name in ("ring", "", "#1", "x" * 61, "a\nb"):
        with pytest.raises(UserError, match="shape"):
            question.grown(name)
    with pytest.raises(UserError, match="no new classes"):
        Question("shape", question.factor).grown("oval")


def test_a_question_grows_to_as_many_classes_as_a_table_may_have() -> None:
    question = Question("n", Factor.categorical("n", [str(i) for i in range(MAX_CATEGORIES - 1)]), grows=True)
    with pytest.raises(UserError, match="no more are taken"):
        question.grown("a").grown("b")


# -- which image comes next --------------------------------------------------------------------------------------------


def test_no_image_is_offered_twice(sprites_folder: Path) -> None:
    store = open_store(sprites_folder)
    queue = Queue(store, done=[3], seed=1)
    a, b = queue.next("a"), queue.next("b")
    assert a is not None and b is not None and a != b and 3 not in (a, b)
    assert queue.next("a") == a  # a reload shows the same
    seen = []
    for _ in range(10):
        image = queue.next("a")
        assert image is not None
        seen.append(image)
        queue.label(image, True)
    assert sorted([*seen, b, 3]) == list(range(12))
    assert queue.next("a") is None
    # A window that was closed does not keep its image for ever.
    assert queue.next("c", now=0.0) is None
    assert queue.next("c", now=1e9 + LEASE_SECONDS) == b


def test_what_was_skipped_comes_last_and_what_is_undone_comes_again(sprites_folder: Path) -> None:
    queue = Queue(open_store(sprites_folder), done=range(9))
    first = queue.next("a")
    assert first is not None
    queue.skip(first)
    others = []
    while (image := queue.next("a")) != first:
        assert image is not None
        others.append(image)
        queue.label(image, True)
    assert sorted([first, *others]) == [9, 10, 11]
    queue.label(first, True)
    assert queue.next("a") is None
    queue.skip(first)  # looked at once more
    assert queue.next("a") is None
    queue.label(others[0], False)
    assert queue.next("a") == others[0]


def test_what_is_skipped_once_more_goes_behind_the_others_that_were_skipped(sprites_folder: Path) -> None:
    queue = Queue(open_store(sprites_folder), done=range(10))
    images = []
    for _ in range(4):
        image = queue.next("a")
        assert image is not None
        images.append(image)
        queue.skip(image)
    assert images[:2] == images[2:] and set(images) == {10, 11}


def test_one_window_keeps_its_skipped_image_and_no_other_gets_it(sprites_folder: Path) -> None:
    queue = Queue(open_store(sprites_folder), done=range(11))
    assert queue.next("a") == 11
    queue.skip(11)
    assert queue.next("a") == 11, "there is no other one"
    assert queue.next("b") is None
    queue.label(11, True)
    queue.label(11, False)  # undone: it was answered, and is no skipped one
    assert not queue.skipped


def test_the_seed_decides_the_order(sprites_folder: Path, photos: Path) -> None:
    store = open_store(sprites_folder)
    assert len({Queue(store, [], seed=seed).next("a") for seed in range(9)}) > 2
    shown = [Desk(photos, "n", seed=seed).next("a")["item"]["image"] for seed in (1, 1, 2, 3)]
    assert shown[0] == shown[1] and len(set(shown)) > 1


def test_what_was_left_open_comes_again_in_the_next_sitting_alone_and_last(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square,size:0..10")
    images = [desk.next("w")["item"]["image"]]
    for size in (1, None):
        images.append(desk.save("w", images[-1], {}, {"shape": "ring", "size": size})["item"]["image"])
    with (photos / "metadata.csv").open("a") as file:  # another program saves the table, with a label more
        file.write(f"{images[-1]:03d}.png,square,\n")
    desk.next("other")
    assert set(images[:2]) <= desk.queue.done and images[2] not in desk.queue.done
    text = (photos / "metadata.csv").read_text()
    (photos / "metadata.csv").write_text(text.replace("ring,1", "ring,"))
    desk.next("other")
    assert images[0] not in desk.queue.done and images[1] in desk.queue.done
    again = Desk(photos, "shape,size")
    offered = [again.skip("w", again.next("w")["item"]["image"])["item"]["image"] for _ in range(37)]
    assert not set(offered[:36]) & set(images)
    assert offered[36] in images


@pytest.mark.parametrize("name", ["comma, inside", "k=v", "a=b=c", "=formula", "a:b", "a|b"])
def test_a_column_of_any_name_is_asked_for(photos: Path, name: str) -> None:
    (photos / "metadata.csv").write_text(f'file_name,"{name}"\n000.png,ring\n001.png,square\n')
    desk = Desk(photos, f"{name},size:0..1")
    assert [question.name for question in desk.questions] == [name, "size"]
    assert desk.questions[0].factor is not None and desk.questions[0].factor.categories == ("ring", "square")


def test_a_start_with_many_labels_looks_through_them_once(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With 12,000 labels, looking through them for each took 6 seconds."""
    names = [f"{i:03d}.png" for i in range(40)]
    (photos / "metadata.csv").write_text("file_name,shape\n" + "".join(f"{name},ring\n" for name in names))
    looked = 0

    class Whole(list[int]):
        def __iter__(self) -> Iterator[int]:
            nonlocal looked
            looked += 1
            return super().__iter__()

    plain = Desk._whole
    monkeypatch.setattr(Desk, "_whole", lambda self: Whole(plain(self)))
    assert Desk(photos, "shape").next("a")["item"] is None
    assert looked < 5


def test_a_look_at_a_large_photo_is_exact() -> None:
    """Sums of a million pixels in float32 would end above white."""
    assert active.look(np.full((8000, 4000, 1), 255, np.uint8)).tolist() == [1] * 64


def test_spread_is_k_centre_greedy() -> None:
    feature = np.array([[0], [1], [5], [9], [10]], np.float32)
    near = active.nearest(feature, feature[[1]])
    assert near.tolist() == [1, 0, 16, 64, 81]
    assert active.spread(feature, near, 3) == [4, 2, 0]
    assert np.isinf(active.nearest(feature, feature[:0])).all()


def test_images_that_look_alike_are_chosen_once_each() -> None:
    feature = np.zeros((3, 2), np.float32)
    near = active.nearest(feature, feature[:0])
    assert sorted(active.spread(feature, near, 9)) == [0, 1, 2]


def test_nothing_is_doubted_of_a_point_outside_its_circle_or_of_a_single_class() -> None:
    space = FactorSpace((Factor.circular("a"), Factor.categorical("b", ("x",)), Factor.categorical("c", ("y", "z"))))
    said = np.array([[0.9, 0, 3, 1000, 0]], np.float32)
    assert active.doubt(said, space).tolist() == [0]
    assert active.reading(said, space)[0, 2:].tolist() == [1, 1, 0]


def test_doubt_is_where_classes_are_close_and_angles_are_short() -> None:
    space = FactorSpace((Factor.categorical("a", ("x", "y", "z")), Factor.circular("b"), Factor.scalar("c")))
    said = np.array([[9, 0, 0, 0.5, 0, 3], [1, 1, -9, 0.5, 0, 3], [9, 0, 0, 0.1, 0, 3]], np.float32)
    assert active.doubt(said, space) == pytest.approx([0, 1, 0.4], abs=1e-3)
    assert active.reading(said, space)[1, :3] == pytest.approx([0.5, 0.5, 0], abs=1e-3)
    assert active.doubtful(np.array([0.1, 0.9, 0.5, 0, 0], np.float32), 1).tolist() == [1]
    assert active.doubtful(np.array([0.1, 0.9, 0.5, 0, 0], np.float32), 2).tolist() == [1, 2]


def test_a_look_is_the_mean_of_its_cells() -> None:
    image = np.zeros((17, 16, 3), np.uint8)
    image[:2, 2:4] = 255
    looks = active.look(image).reshape(8, 8, 3)
    assert looks[0, 1].tolist() == [1, 1, 1] and looks.sum() == 3
    wide = np.zeros((16, 32, 1), np.uint8)
    wide[2:4, :4] = 255
    looks = active.look(wide).reshape(8, 8)
    assert looks[1, 0] == 1 and looks.sum() == 1


def test_the_doubtful_are_a_fifth_rounded_and_in_their_order_where_they_are_alike() -> None:
    assert active.doubtful(np.arange(8, dtype=np.float32), 1).tolist() == [7, 6]
    assert active.doubtful(np.zeros(5, np.float32), 3).tolist() == [0, 1, 2]


def test_a_window_keeps_what_it_is_offered(sprites_folder: Path) -> None:
    queue = Queue(open_store(sprites_folder), [])
    first = queue.next("a")
    assert first is not None
    queue.label(first, True)
    second = queue.next("a")
    assert second == queue.next("a") and queue.next("b") != second
    queue.offer("a", first)
    queue.label(first, False)
    assert queue.next("a") == first
    assert first not in {queue.next(window) for window in "cdefgh"}


def test_a_window_that_was_told_that_none_is_left_holds_none(sprites_folder: Path) -> None:
    queue = Queue(open_store(sprites_folder), done=range(11))
    assert queue.next("a") == 11
    queue.label(11, True)
    assert queue.next("a") is None
    queue.label(11, False)
    assert queue.next("b") == 11


def test_of_the_doubtful_comes_what_is_read_unlike_those_labelled(
    sprites_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unlike in what is read, not in how large the numbers are; before any label, what is doubted most."""
    monkeypatch.setattr(queue_module, "FIRST", 1)
    space = FactorSpace((Factor.categorical("a", ("x", "y")),))
    store = open_store(sprites_folder)

    def queue(done: list[int]) -> Queue:
        out = Queue(store, done, "doubt", space, lambda images: [])
        out._rows = list(range(11))
        said = {0: (0, 0), 3: (0.1, 0), 5: (20, 20)}
        out._features = [np.array(said.get(i, (9, 0)), np.float32) for i in out._rows]
        return out

    assert queue([0]).next("a") == 3
    assert queue([]).next("a") == 0
    skipped = queue([0])
    skipped.skip(3)
    assert skipped.next("a") != 3


def test_labelled_images_are_looked_at_after_the_first_ones_and_before_the_rest(
    sprites_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "FIRST", 2)
    monkeypatch.setattr(queue_module, "POOL", 3)
    store = open_store(sprites_folder)
    drawn = Queue(store, [])._order.tolist()
    queue = Queue(store, drawn[8:], "spread")
    queue._look()
    assert queue._rows == [*drawn[:2], *sorted(drawn[8:])[:3], drawn[2]]


def test_what_is_closed_looks_at_no_more(sprites_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    queue, begun, looked = Queue(open_store(sprites_folder), [], "spread"), threading.Event(), []
    plain = queue.store.decode

    def decode(i: int) -> Any:
        looked.append(i)
        begun.set()
        until = time.monotonic() + 5
        while not queue._closed and time.monotonic() < until:
            time.sleep(0.01)
        return plain(i)

    monkeypatch.setattr(queue.store, "decode", decode)
    queue.start()
    assert begun.wait(20)
    queue.close()
    assert queue._thread is not None and not queue._thread.is_alive()
    assert len(looked) == 1


@pytest.mark.parametrize("choice", ["spread", "doubt"])
def test_a_pool_is_looked_at_in_the_background(choice: Any, tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "a.zip") as out:
        for i in range(FIRST + 20):
            out.add(f"{i:03d}.png", np.full((16, 16, 1), 255 if i == 7 else i % 40, np.uint8))
    store = open_store(tmp_path / "a.zip")
    space = FactorSpace((Factor.categorical("a", ("x", "y")),))

    def says(images: Any) -> Any:  # unsure of the bright one alone
        return np.array([[0, 0] if image.mean() > 200 else [9, 0] for image in images], np.float32)

    queue = Queue(store, [0], choice, space, says if choice == "doubt" else None)
    queue.start()
    assert queue._thread is not None
    queue._thread.join(20)
    assert queue.next("a") == 7
    queue.close()


def test_what_is_labelled_is_looked_at_wherever_it_stands(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a large set the pool is a part; until enough of it is read, images are drawn."""
    for i in range(12):
        save_png(tmp_path / f"{i:03d}.png", np.full((16, 16, 3), 20 * i, np.uint8))
    monkeypatch.setattr(queue_module, "POOL", 4)
    monkeypatch.setattr(queue_module, "FIRST", 4)
    store = open_store(tmp_path)
    drawn = Queue(store, [])._order.tolist()
    queue = Queue(store, drawn[8:], "spread")
    queue._look()
    assert queue._rows == [*drawn[:4], *sorted(drawn[8:])]
    away = {i: min(abs(i - j) for j in drawn[8:]) for i in drawn[:4]}
    assert away[queue.next("a") or 0] == max(away.values())
    few = Queue(store, [], "spread")
    few._rows, few._features = drawn[1:4], [active.look(store.decode(i)) for i in drawn[1:4]]
    assert few.next("a") == drawn[0]


def test_only_what_is_asked_for_is_doubted(tmp_path: Path) -> None:
    """Of the dark images the model is unsure of the hue, of the bright ones of the shape, which is asked for."""
    with ZipWriter(tmp_path / "a.zip") as out:
        for i in range(FIRST):
            out.add(f"{i:03d}.png", np.full((16, 16, 3), i, np.uint8))

    class Model:
        factors = FactorSpace((Factor.circular("hue"), Factor.categorical("shape", ("a", "b")), Factor.scalar("x")))

        def fit(self, image: Any) -> Any:
            return image[None]

        def read_codes(self, images: Any) -> Any:
            dark, bright = np.array([0, 0, 9, 0, 0.5]), np.array([0.5, 0, 2, 0, 0.5])
            return np.stack([dark if image.mean() < FIRST / 2 else bright for image in images])

        def read_levels(self, images: Any) -> Any:
            return np.zeros((1, 3))

    model: Any = Model()
    desk = Desk(tmp_path / "a.zip", "shape=a|b,size:0..1", model, "doubt")
    desk.queue._look()
    for _ in range(5):
        shown = desk.next("one")["item"]["image"]
        assert shown >= FIRST / 2
        desk.save("one", shown, {}, {"shape": "a"})
    with pytest.raises(UserError, match="--choose doubt: the model knows none of size, y; it knows hue, shape, x"):
        Desk(tmp_path / "a.zip", "size:0..1,y:0..1", model, "doubt")


@pytest.mark.parametrize("choice", ["spread", "doubt"])
def test_one_photograph_at_a_time_is_held(choice: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """25 of 24 megapixels are 1.8 GB."""
    with ZipWriter(tmp_path / "a.zip") as out:
        for i in range(FIRST):
            out.add(f"{i:03d}.png", np.full((16, 16, 3), i, np.uint8))
    store, held, most = open_store(tmp_path / "a.zip"), 0, 0

    def gone() -> None:
        nonlocal held
        held -= 1

    def decode(i: int) -> Any:
        nonlocal held, most
        image = np.full((16, 16, 3), i, np.uint8)
        weakref.finalize(image, gone)
        held += 1
        most = max(most, held)
        return image

    monkeypatch.setattr(store, "decode", decode)
    space = FactorSpace((Factor.categorical("a", ("x", "y")),))
    queue = Queue(store, [0], choice, space, lambda images: [image.mean((0, 1))[:2] for image in images])
    queue.start()
    assert queue._thread is not None
    queue._thread.join(20)
    assert len(queue._rows) == FIRST and most <= 2
    queue.close()


def test_images_of_any_size_and_colour_are_looked_at(tmp_path: Path) -> None:
    for i in range(FIRST + 10):
        shape = (16, 16, 3) if i % 2 else (4, 16, 3) if i == 0 else (24, 40, 1)
        save_png(tmp_path / f"{i:03d}.png", np.full(shape, 255 if i == 8 else i % 40, np.uint8))
    queue = Queue(open_store(tmp_path), [1], "spread")
    queue.start()
    assert queue._thread is not None
    queue._thread.join(20)
    assert queue.next("a") == 8
    assert 0 not in queue._rows, "too small to be looked at"


# -- what is written ---------------------------------------------------------------------------------------------------


def test_from_nothing_to_a_data_set(photos: Path) -> None:
    desk = Desk(photos, ASKED)
    item = desk.next("w")["item"]
    assert not (photos / "metadata.csv").exists() and not (photos / "factors.json").exists()
    answer = desk.save("w", item["image"], {}, {"shape": "ring", "hue": 210.0, "scale": 0.21})
    assert answer["labelled"] == 1 and answer["item"]["image"] != item["image"]
    second = answer["item"]
    desk.save("w", second["image"], {}, {"shape": "square", "hue": None, "scale": None})
    assert rows_of(photos / "metadata.csv") == {
        item["name"]: {"shape": "ring", "hue": "210", "scale": "0.21"},
        second["name"]: {"shape": "square", "hue": "", "scale": ""},
    }
    data = Dataset.open(photos)
    assert data.space == FactorSpace(
        (
            Factor.categorical("shape", ("ring", "square", "triangle")),
            Factor.circular("hue"),
            Factor.scalar("scale", 5, 0.13, 0.29),
        )
    )
    assert data.labels.known_NF.sum() == 4
    # The next sitting goes on where this one ended: the half-labelled image is asked for again.
    again = Desk(photos, "shape,hue,scale")
    assert again.progress()["labelled"] == 2 and again.questions[1].factor == data.space[1]
    assert item["image"] in again.queue.done and second["image"] not in again.queue.done
    assert again.look(second["image"])["values"] == {"shape": "square"}


def test_other_columns_stay_and_stay_factors(photos: Path) -> None:
    before = "file_name,note,size\r\n000.png, see me ,3\r\n001.png,,5\r\n002.png,see me,\r\n"
    (photos / "metadata.csv").write_bytes(before.encode())
    desk = Desk(photos, "shape=ring|square")
    desk.save("w", 1, {}, {"shape": "ring"})
    written = (photos / "metadata.csv").read_bytes().decode()
    assert written == ("file_name,note,size,shape\r\n000.png, see me ,3,\r\n001.png,,5,ring\r\n002.png,see me,,\r\n")
    assert Dataset.open(photos).space.names == ("note", "size", "shape")


def test_what_somebody_wrote_into_factors_json_stays(photos: Path) -> None:
    (photos / "factors.json").write_text(
        json.dumps({"about": "mine", "factors": [{"name": "size", "range": [0, 9], "why": "because"}]})
    )
    desk = Desk(photos, "size,shape")
    desk.grow("shape", "ring")
    desk.grow("shape", "oval")
    desk.save("w", 4, {}, {"size": 2.5, "shape": "oval"})
    document = json.loads((photos / "factors.json").read_text())
    assert document["about"] == "mine" and document["factors"][0]["why"] == "because"
    shape = {"name": "shape", "kind": "categorical", "categories": ["ring", "oval"], "grows": True}
    assert document["factors"][1] == shape
    desk.grow("shape", "star")
    assert json.loads((photos / "factors.json").read_text()) == document  # until a label is saved
    desk.save("w", 5, {}, {"size": None, "shape": "star"})
    assert Dataset.open(photos).space["shape"].categories == ("ring", "oval", "star")


def test_a_factor_that_nobody_labels_is_not_written(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square,size:0..1")
    desk.save("w", 0, {}, {"shape": "ring", "size": None})
    assert Dataset.open(photos).space.names == ("shape",)


def test_labels_of_a_zip_go_beside_it_with_those_inside(tmp_path: Path) -> None:
    with ZipWriter(tmp_path / "a.zip", FactorSpace((Factor.scalar("size", 3, 0, 4),))) as out:
        for i in range(6):
            out.add(f"{i}.png", np.full((16, 16, 3), i, np.uint8), [0.5] if i == 2 else None)
    inside = (tmp_path / "a.zip").read_bytes()
    desk = Desk(tmp_path / "a.zip", "size,shape=ring|square")
    assert desk.look(2)["values"] == {"size": 2.0}
    desk.save("w", 3, {}, {"shape": "square", "size": 4})
    assert (tmp_path / "a.metadata.csv").read_text() == "file_name,size,shape\n2.png,2,\n3.png,4,square\n"
    data = Dataset.open(tmp_path / "a.zip")
    assert data.space.names == ("size", "shape") and data.labels.known_NF.sum() == 3
    assert check(tmp_path / "a.zip").labelled == 2
    assert (tmp_path / "a.zip").read_bytes() == inside


def test_a_table_in_a_zip_is_copied_beside_it_with_the_first_label(tmp_path: Path) -> None:
    inside = "file_name;size;note\r\n2.png;1,5;mine\r\n4.png;0;\r\n"
    for i in range(6):
        save_png(tmp_path / "photos" / f"{i}.png", np.full((16, 16, 3), i, np.uint8))
    data, wrong = tmp_path / "a.zip", tmp_path / "b.zip"
    for path, table in ((data, inside), (wrong, inside + "9.png;1;\r\n")):
        with zipfile.ZipFile(path, "w") as out:
            for image in (tmp_path / "photos").iterdir():
                out.write(image, image.name)
            out.writestr("metadata.csv", table)
    desk = Desk(data, "size:0..4,shape=ring|square")
    assert desk.look(2)["values"] == {"size": 1.5} and not (tmp_path / "a.metadata.csv").exists()
    number = desk.save("w", 3, {}, {"shape": "square", "size": 2.5})["undo"]
    written = (tmp_path / "a.metadata.csv").read_bytes().decode()
    assert written == "file_name;size;note;shape\r\n2.png;1,5;mine;\r\n4.png;0;;\r\n3.png;2,5;;square\r\n"
    assert check(data).labelled == 3 and desk.progress()["labelled"] == 3
    desk.undo("w", number)
    assert check(data).labelled == 2
    with pytest.raises(UserError, match=r"b\.zip/metadata\.csv line 4: '9\.png'"):
        Desk(wrong, "size:0..4")


def test_undo_restores_the_bytes(photos: Path) -> None:
    (photos / "metadata.csv").write_text("file_name,shape\n000.png,ring\n")
    desk = Desk(photos, "shape=ring|square")
    first = desk.save("w", 0, {"shape": "ring"}, {"shape": "square"})["undo"]
    second = desk.save("w", 7, {}, {"shape": "ring"})["undo"]
    skipped = desk.skip("w", 9)["undo"]
    assert 9 in desk.queue.skipped
    assert desk.undo("w", skipped)["item"]["image"] == 9 and 9 not in desk.queue.skipped
    undone = desk.undo("w", second)
    assert undone["item"]["image"] == 7 and undone["said"] == {"shape": "ring"} and undone["labelled"] == 1
    assert desk.next("w")["item"]["image"] == 7
    desk.undo("w", first)
    assert (photos / "metadata.csv").read_text() == "file_name,shape\n000.png,ring\n"
    for window, number, status in (("w", first, 409), ("w", 99, 404), ("other", first, 404)):
        with pytest.raises(Refused) as refused:
            desk.undo(window, number)
        assert refused.value.status == status


def test_an_undone_label_is_whole_or_not_as_it_was_before(photos: Path) -> None:
    (photos / "metadata.csv").write_text("file_name,shape,size\n000.png,ring,1\n001.png,ring,\n")
    desk = Desk(photos, "shape=ring|square,size:0..10")
    for image, values in ((0, {"shape": "square"}), (1, {"size": 2})):
        number = desk.save("w", image, desk.look(image)["cells"], values)["undo"]
        assert image in desk.queue.done
        desk.undo("w", number)
    assert 0 in desk.queue.done and 1 not in desk.queue.done


def test_what_another_program_has_labelled_since_is_not_undone(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square")
    number = desk.save("w", 5, {}, {"shape": "ring"})["undo"]
    (photos / "metadata.csv").write_text("file_name,shape\n005.png,square\n")
    with pytest.raises(Refused, match="labelled anew"):
        desk.undo("w", number)
    assert rows_of(photos / "metadata.csv") == {"005.png": {"shape": "square"}}
    (photos / "metadata.csv").write_text("file_name,shape\n005.png,ring\n007.png,ring\n")
    assert desk.look(7)["values"] == {"shape": "ring"}


def test_an_answer_can_be_taken_back_and_changed(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square,size:0..1")
    desk.save("w", 5, {}, {"shape": "ring", "size": 1})
    answer = desk.save("w", 5, desk.look(5)["cells"], {"shape": "square", "size": None})
    shape, size = answer["questions"]
    assert (shape["categories"], shape["known"], size["known"]) == ([["ring", 0], ["square", 1]], 1, 0)
    assert rows_of(photos / "metadata.csv") == {"005.png": {"shape": "square", "size": ""}}
    answer = desk.save("w", 5, desk.look(5)["cells"], {"shape": None, "size": None})
    assert answer["labelled"] == 0 and not any(rows_of(photos / "metadata.csv").get("005.png", {}).values())


def test_a_sitting_ends_before_its_labels_can_no_longer_be_undone(
    photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "REMEMBERED", 1)
    desk = Desk(photos, "shape=ring|square")
    desk.save("w", 5, {}, {"shape": "ring"})
    with pytest.raises(Refused, match="1 labels in one sitting") as refused:
        desk.save("w", 6, {}, {"shape": "ring"})
    assert refused.value.status == 507 and list(rows_of(photos / "metadata.csv")) == ["005.png"]


def test_no_window_undoes_what_another_one_did(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square")
    number = desk.save("a", 5, {}, {"shape": "ring"})["undo"]
    with pytest.raises(Refused, match="another window"):
        desk.undo("b", number)
    assert rows_of(photos / "metadata.csv") == {"005.png": {"shape": "ring"}}
    desk.undo("a", number)
    assert rows_of(photos / "metadata.csv") == {}


def test_two_windows_lose_nothing(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square")
    desk.save("a", 5, {}, {"shape": "ring"})
    with pytest.raises(Refused, match="meanwhile") as refused:
        desk.save("b", 5, {}, {"shape": "square"})
    assert refused.value.status == 409
    assert rows_of(photos / "metadata.csv") == {"005.png": {"shape": "ring"}}
    desk.save("b", 5, desk.look(5)["cells"], {"shape": "square"})
    assert rows_of(photos / "metadata.csv") == {"005.png": {"shape": "square"}}


def test_what_another_program_writes_meanwhile_is_kept(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square")
    desk.save("a", 5, {}, {"shape": "ring"})
    with (photos / "metadata.csv").open("a") as file:
        file.write("006.png,square\n")
    with pytest.raises(Refused, match="meanwhile"):
        desk.save("a", 6, {}, {"shape": "ring"})
    desk.save("a", 7, {}, {"shape": "ring"})
    assert {k: v["shape"] for k, v in rows_of(photos / "metadata.csv").items()} == {
        "005.png": "ring",
        "006.png": "square",
        "007.png": "ring",
    }


def test_what_another_program_writes_meanwhile_has_to_fit(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square,mood")
    desk.save("a", 5, {}, {"shape": "ring"})
    before = (photos / "metadata.csv").read_text()
    (photos / "metadata.csv").write_text(before + "006.png,hexagon,\n")
    for _ in range(2):  # until somebody mends it
        with pytest.raises(UserError, match=r"metadata\.csv line 3: shape=hexagon"):
            desk.save("a", 7, {}, {"shape": "ring"})
    assert (photos / "metadata.csv").read_text() == before + "006.png,hexagon,\n"
    # A class that is new is one more, where classes may come up.
    (photos / "metadata.csv").write_text("file_name,shape,mood\n005.png,ring,calm\n006.png,,2.0\n")
    assert desk.save("a", 7, {}, {"mood": "calm"})["questions"][1]["categories"] == [["calm", 2], ["2.0", 1]]
    (photos / "metadata.csv").write_text("file_name,shape,mood\n005.png,ring,calm\n006.png,,2.0\n008.png,,wild\n")
    desk.save("a", 9, {}, {"mood": "wild"})
    assert Dataset.open(photos).space["mood"].categories == ("calm", "2.0", "wild")


def test_classes_come_up_in_the_next_sitting_too(photos: Path) -> None:
    desk = Desk(photos, "mood,shape=ring|square")
    desk.grow("mood", "calm")
    desk.save("w", 1, {}, {"mood": "calm", "shape": "ring"})
    assert not [said for said in check(photos).warnings if "grows" in said.what]
    entries = json.loads((photos / "factors.json").read_text())["factors"]
    (photos / "factors.json").write_text(json.dumps({"factors": [entries[0] | {"why": "because"}, entries[1]]}))
    again = Desk(photos, "mood,shape")
    again.grow("mood", "wild")
    again.save("w", 2, {}, {"mood": "wild"})
    assert Dataset.open(photos).space["mood"].categories == ("calm", "wild")
    assert json.loads((photos / "factors.json").read_text())["factors"][0]["why"] == "because"
    assert [question.grows for question in Desk(photos, "mood,shape").questions] == [True, False]


def test_what_somebody_else_writes_into_factors_json_meanwhile_stays(photos: Path) -> None:
    file = photos / "factors.json"

    def entries() -> list[dict[str, Any]]:
        return list(json.loads(file.read_text())["factors"])

    desk = Desk(photos, "shape,size:0..1")
    for number, mood in enumerate(("calm", "wild", "glad")):
        desk.grow("shape", mood)
        desk.save("w", number, {}, {"shape": mood, "size": 0.5})
        if number == 0:
            other = {"name": "other", "kind": "scalar", "range": [0, 1], "why": "because"}
            shape, size = entries()
            file.write_text(json.dumps({"factors": [other, size, shape | {"who": "me"}]}))
        elif number == 1:
            assert [(e["name"], e.get("why"), e.get("who")) for e in entries()] == [
                *(("other", "because", None), ("size", None, None), ("shape", None, "me")),
            ]
            file.unlink()
    assert Dataset.open(photos).space.names == ("shape", "size")
    assert entries()[0]["categories"] == ["calm", "wild", "glad"]
    desk.grow("shape", "sad")
    for broken in ('{"factors": [{"kind": "scalar"}]}', '{"factors": '):
        file.write_text(broken)
        with pytest.raises(UserError, match=r"factors\.json"):
            desk.save("w", 3, {}, {"shape": "sad", "size": 0.5})
        assert file.read_text() == broken and "003.png" not in (photos / "metadata.csv").read_text()


def test_a_class_is_counted_however_it_is_written(photos: Path) -> None:
    (photos / "metadata.csv").write_text("file_name,k\n001.png,1\n002.png,2\n003.png,1.0\n")
    (question,) = Desk(photos, "k=1|2").progress()["questions"]
    assert question["categories"] == [["1", 2], ["2", 1]] and question["known"] == 3


def test_a_full_disk_is_said_and_loses_nothing(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = Desk(photos, "shape=ring|square")
    desk.save("a", 5, {}, {"shape": "ring"})

    def full(self: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(desk_module.LabelFile, "save", full)
        with pytest.raises(Refused, match="No space left") as refused:
            desk.save("a", 6, {}, {"shape": "square"})
        assert refused.value.status == 507
    assert desk.progress()["labelled"] == 1
    desk.save("a", 7, {}, {"shape": "square"})
    assert list(rows_of(photos / "metadata.csv")) == ["005.png", "007.png"], "what was refused is not written later"
    desk.save("a", 6, {}, {"shape": "square"})
    assert len(rows_of(photos / "metadata.csv")) == 3


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"shape": "oval"}, "not a category"),
        ({"hue": 400}, "out of range"),
        ({"scale": "much"}, "not a number"),
        ({"other": 1}, "not asked for"),
        ({"shape": None}, "skip it"),
        ({}, "skip it"),
    ],
)
def test_answers_that_do_not_fit(values: dict[str, Any], said: str, photos: Path) -> None:
    desk = Desk(photos, ASKED)
    with pytest.raises(UserError, match=said):
        desk.save("w", 1, {}, values)
    assert not (photos / "metadata.csv").exists() and desk.progress()["labelled"] == 0


def test_answers_are_steps_where_there_are_some(photos: Path) -> None:
    (photos / "metadata.csv").write_text("file_name,scale,hue\n002.png,0.20,47.0\n")
    desk = Desk(photos, "scale:0.13..0.29/5,hue:angle/12,size:0..10")
    desk.save("w", 1, {}, {"scale": 0.2, "hue": 350, "size": 0.2})
    assert rows_of(photos / "metadata.csv")["001.png"] == {"scale": "0.21", "hue": "0", "size": "0.2"}
    # A label between them that is there stays as it is written until somebody answers otherwise.
    item = desk.look(2)
    assert item["values"] == {"scale": 0.2, "hue": pytest.approx(47)}
    desk.save("w", 2, item["cells"], {**item["values"], "size": 1})
    assert rows_of(photos / "metadata.csv")["002.png"] == {"scale": "0.20", "hue": "47.0", "size": "1"}
    desk.save("w", 2, desk.look(2)["cells"], {"hue": 48})
    assert rows_of(photos / "metadata.csv")["002.png"] == {"scale": "0.20", "hue": "60", "size": "1"}


def test_labels_that_do_not_fit_are_named_at_the_start(photos: Path) -> None:
    (photos / "factors.json").write_text(
        '{"factors": [{"name": "n", "kind": "categorical", "categories": ["1", "2"]}]}'
    )
    (photos / "metadata.csv").write_text("file_name,n\n000.png,2.0\n001.png,3\n")
    with pytest.raises(UserError, match=r"metadata\.csv line 3: n=3"):
        Desk(photos, "n")
    (photos / "metadata.csv").write_text("file_name,n\n000.png,2.0\n")
    assert Desk(photos, "n").look(0)["values"] == {"n": "2"}


@pytest.mark.parametrize(
    ("table", "values"),
    [
        ("file_name,n,hue,size\n000.png,#1,#3,#2\n", {"n": "2", "hue": 90.0, "size": 10.0}),
        ("file_name;n;hue;size\n000.png;2,0;90,5;2,5\n", {"n": "2", "hue": 90.5, "size": 2.5}),
        ("file_name,n,hue,size\n000.png,1.0,9e1,05\n", {"n": "1", "hue": 90.0, "size": 5.0}),
    ],
)
def test_cells_are_shown_as_the_table_reads_them(table: str, values: dict[str, Any], photos: Path) -> None:
    factors = (Factor.categorical("n", ("1", "2")), Factor.circular("hue", 12), Factor.scalar("size", 3, 0, 10))
    (photos / "factors.json").write_text(json.dumps(FactorSpace(factors).to_json()))
    (photos / "metadata.csv").write_text(table)
    desk = Desk(photos, "n,hue,size")
    cells = desk.look(0)["cells"]
    assert desk.look(0)["values"] == values
    data = Dataset.open(photos)
    assert data.labels.level_NF[0] == pytest.approx(
        [f.level_of(v) for f, v in zip(factors, values.values(), strict=True)]
    )
    desk.save("w", 0, cells, values)
    assert desk.look(0)["values"] == values


def test_what_is_written_counts_though_the_next_image_cannot_be_had(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    desk, done = Desk(photos, "shape=ring|square"), []
    errors = [UserError("metadata.csv: gone"), KeyError(1), UserError("metadata.csv: gone")]
    image = desk.next("w")["item"]["image"]

    def breaks(_: int) -> Any:
        raise errors.pop(0)

    with monkeypatch.context() as patch:
        patch.setattr(desk, "look", breaks)
        for said in ("metadata.csv: gone", "the terminal says"):
            answer = desk.save("w", image, desk.values.get(image, {}), {"shape": "ring"})
            assert said in answer["trouble"] and answer["cells"] == {"shape": "ring"} and answer["labelled"] == 1
            done.append(answer["undo"])
        assert "KeyError" in capsys.readouterr().err
        assert "trouble" in desk.skip("w", 0)
    assert rows_of(photos / "metadata.csv") == {f"{image:03d}.png": {"shape": "ring"}}
    for number in reversed(done):
        assert desk.undo("w", number)["item"]["image"] == image
    assert rows_of(photos / "metadata.csv") == {} and desk.next("w")["item"]["image"] == image


def test_images_of_any_size_are_shown_and_damaged_ones_can_be_skipped(photos: Path) -> None:
    save_png(photos / "001.png", render(0, 64))
    (photos / "002.png").write_bytes((photos / "002.png").read_bytes()[:200])
    desk = Desk(photos, "n")
    assert read_header(desk.picture(1), "it").width == 64
    with pytest.raises(UserError, match=r"002\.png: damaged"):
        desk.picture(2)
    assert desk.look(2)["name"] == "002.png"


def test_large_images_are_sent_smaller(photos: Path) -> None:
    for i, shape in enumerate([(30, 2 * SHOWN, 3), (2 * SHOWN, 30, 1)]):
        save_png(photos / f"{i:03d}.png", np.full(shape, 77, np.uint8))
        sent = decode_image(Desk(photos, "n").picture(i), "it")
        assert sent.shape == (*(min(side, SHOWN) if side > 30 else 15 for side in shape[:2]), shape[2])
        assert (sent == 77).all()


class Reader:
    """A model that reads the same of every image."""

    factors = FactorSpace((Factor.categorical("shape", ("ring", "star")), Factor.scalar("size", None, 0, 20)))
    checkpoint = Path("run/checkpoint-000001")

    def __init__(self, *levels: float) -> None:
        self.levels = levels

    def fit(self, image: Any) -> Any:
        return image[None]

    def read_levels(self, images: Any) -> Any:
        return np.array([self.levels])


def test_a_model_fills_in_what_it_reads(photos: Path) -> None:
    model: Any = Reader(0.0, 0.9)
    # A class that is known here, a number cut off at the end of the range, nothing for what the model does not know.
    assert Desk(photos, "shape=ring|square,size:0..10/3,other:0..1", model).look(0)["read"] == {
        "shape": "ring",
        "size": 10.0,
    }


def test_what_a_model_reads_is_an_answer_that_can_be_given(photos: Path) -> None:
    """The nearest step, and no class that is not one here."""
    model: Any = Reader(1.0, 0.2)
    assert Desk(photos, "shape=ring|square,size:0..10/3", model).look(0)["read"] == {"size": 5.0}
    assert Desk(photos, "size:0..10", model).look(0)["read"] == {"size": 4.0}


def test_the_sentence_above_the_page() -> None:
    assert sentence(37, 60, 1000) == "37 of 60 labelled: enough to start training at about 50"
    assert sentence(50, 60, 1000).startswith("50 of 60 labelled: enough to start training")
    assert sentence(300, 300, 1000) == "300 labelled: as many as most trainings need"
    assert sentence(20, 20, 20) == "all 20 labelled"


def test_the_goal_is_a_part_of_all_within_bounds(photos: Path) -> None:
    desk = Desk(photos, "shape=ring|square")
    desk.values = {i: {"shape": "ring"} for i in range(40)}
    assert desk.progress()["enough"], "all there are"
    desk.values.popitem()
    assert not desk.progress()["enough"]
    goals = []
    for images in (12, 1000, 4000, 100_000):
        desk.store = range(images)  # type: ignore[assignment]
        goals.append(desk.goal)
    assert goals == [12, 60, 100, 300]


def test_a_second_server_is_refused(photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("fcntl")
    with alone(Desk(photos, ASKED)):
        assert main(["label", str(photos), "--factors", ASKED, "--no-open", "--port", "0"]) == 2
    assert "is being labelled by another" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["nowhere", "--factors", "a"], "no such folder or zip"),
        (["DATA", "--factors", "a:x"], "low..high"),
        (["DATA", "--factors", "a", "--choose", "doubt"], "--model"),
        (["DATA", "--factors", "a", "--model", "nothing"], "no such model"),
    ],
)
def test_mistakes_of_the_command(args: list[str], said: str, photos: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["label", *(str(photos) if a == "DATA" else a for a in args), "--no-open"]) == 2
    err = capsys.readouterr().err
    assert said in err and err.count("\n") == 1


def test_nothing_is_looked_at_any_more_once_the_server_has_ended(
    photos: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    closed: list[str] = []
    monkeypatch.setattr(Queue, "close", lambda self: closed.append(self.choice))
    monkeypatch.setattr(Queue, "start", lambda self: None)
    monkeypatch.setattr("semistylegan.app.server.serve", lambda *_, **__: None)
    assert main(["label", str(photos), "--factors", "shape=a|b", "--choose", "spread", "--no-open"]) == 0
    assert closed == ["spread"] and capsys.readouterr().out.startswith("0 of 40 images carry labels: ")


def test_the_command_passes_on_what_it_is_told(photos: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[Any] = []

    class Told(Desk):
        def __init__(self, *told: Any) -> None:
            said.append(told)
            super().__init__(*told[:2])

    monkeypatch.setattr(desk_module, "Desk", Told)
    monkeypatch.setattr("semistylegan.editing.load", lambda name: f"the model {name}")
    monkeypatch.setattr(Queue, "start", lambda self: said.append("started"))
    monkeypatch.setattr(
        "semistylegan.app.server.serve", lambda app, title, port, browser: said.append((title, port, browser))
    )
    words = ["label", str(photos), "--factors", "shape=a|b"]
    assert main([*words, "--model", "mine", "--choose", "doubt", "--seed", "3", "--port", "99", "--no-open"]) == 0
    assert said == [(photos, "shape=a|b", "the model mine", "doubt", 3), "started", ("Labelling page", 99, False)]
    assert main(words) == 0
    assert said[3:] == [(photos, "shape=a|b", None, "random", 0), "started", ("Labelling page", None, True)]


# -- the server and the page -------------------------------------------------------------------------------------------


@pytest.fixture
def address(photos: Path) -> Iterator[str]:
    with running(make_app(Desk(photos, ASKED))) as address:
        yield address


def post(address: str, path: str, body: Any) -> tuple[int, Any]:
    request = urllib.request.Request(
        address + path, json.dumps(body).encode(), {"content-type": "application/json"}, method="POST"
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        return error.code, json.load(error)


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("api/next", {}, 422),
        ("api/next", {"window": ""}, 422),
        ("api/labels", {"window": "w", "image": -1, "values": {}}, 422),
        ("api/labels", {"window": "w", "image": 10**12, "values": {"shape": "ring"}}, 404),
        ("api/labels", {"window": "w", "image": 1, "values": {"hue": [1]}}, 422),
        ("api/labels", {"window": "w", "image": 1, "values": {"hue": "nan"}}, 400),
        ("api/labels", {"window": "w", "image": 1, "saw": {"shape": "ring"}, "values": {"shape": "ring"}}, 409),
        ("api/skip", {"window": "w", "image": 40}, 404),
        ("api/undo", {"window": "w", "undo": 0}, 404),
        ("api/classes", {"name": "shape", "category": "oval"}, 400),
        ("api/classes", {"name": "no", "category": "oval"}, 400),
    ],
)
def test_malformed_requests_get_a_sentence(path: str, body: Any, status: int, address: str, photos: Path) -> None:
    code, said = post(address, path, body)
    assert code == status and isinstance(said["error"], str) and said["error"]
    assert not (photos / "metadata.csv").exists()


@pytest.fixture(scope="module")
def fuzzed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    """Address and folder of a page that is sent anything."""
    folder = tmp_path_factory.mktemp("fuzzed")
    for i in range(12):
        save_png(folder / f"{i:03d}.png", render(i * 907, 32))
    with running(make_app(Desk(folder, ASKED + ",mood"))) as address:
        yield address, folder


anything = st.one_of(st.none(), st.booleans(), st.floats(), st.integers(), st.text(max_size=6), st.just([1]))
asked_names = st.one_of(st.sampled_from(["shape", "hue", "scale", "mood"]), st.text(max_size=5))
said_values = st.one_of(anything, st.sampled_from(["ring", "triangle", 0.21, 210, "#1"]))
bodies = st.fixed_dictionaries(
    {},
    optional={
        "window": st.one_of(st.just("w"), st.text(max_size=70), anything),
        "image": st.one_of(st.integers(-2, 14), anything),
        "saw": st.one_of(st.dictionaries(asked_names, anything, max_size=3), anything),
        "values": st.one_of(st.dictionaries(asked_names, said_values, max_size=4), anything),
        "undo": st.one_of(st.integers(-2, 14), anything),
        "name": asked_names,
        "category": st.one_of(st.text(max_size=210), anything),
    },
)


@settings(max_examples=200, deadline=None)
@given(path=st.sampled_from(["next", "labels", "labels", "skip", "undo", "classes"]), body=bodies)
def test_no_request_breaks_it(fuzzed: tuple[str, Path], path: str, body: dict[str, Any]) -> None:
    address, folder = fuzzed
    code, said = post(address, f"api/{path}", body)
    assert code == 200 or (400 <= code < 500 and set(said) == {"error"} and "\n" not in said["error"]), said
    if (folder / "metadata.csv").exists() and len(rows_of(folder / "metadata.csv")):
        assert check(folder).problems == []  # whatever was sent, what is written can be trained on


@pytest.mark.parametrize(
    "image", ["-1", "12", "1e0", "..%2f000.png", "%2fetc%2fpasswd", "99999999999999999999", "000.png"]
)
def test_images_are_numbers_of_the_data_set(fuzzed: tuple[str, Path], image: str) -> None:
    for path in (f"api/images/{image}", f"api/images/{image}/picture"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(fuzzed[0] + path)
        assert refused.value.code in (404, 422) and set(json.load(refused.value)) == {"error"}


def test_fifty_windows_at_once_lose_no_label(tmp_path: Path) -> None:
    for i in range(160):  # three for each window
        save_png(tmp_path / f"{i:03d}.png", np.full((16, 16, 3), i, np.uint8))
    with running(make_app(Desk(tmp_path, "n:0..200"))) as address:

        def patiently(path: str, body: dict[str, Any]) -> Any:
            for _ in range(200):
                code, answer = post(address, path, body)
                if code != 503:  # told to wait
                    assert code == 200, answer
                    return answer
                time.sleep(0.05)
            raise AssertionError("never served")

        def sit(window: int) -> list[str]:
            names, item = [], patiently("api/next", {"window": f"w{window}"})["item"]
            for _ in range(2):
                names.append(item["name"])
                body = {"window": f"w{window}", "image": item["image"], "values": {"n": window}}
                item = patiently("api/labels", body)["item"]
            return names

        with ThreadPoolExecutor(50) as many:
            labelled = list(many.map(sit, range(50)))
    expected = {name: {"n": str(window)} for window, names in enumerate(labelled) for name in names}
    assert len(expected) == 100 and rows_of(tmp_path / "metadata.csv") == expected


def opened(page: Page, address: str) -> Page:
    page.goto(address)
    page.wait_for_selector("body[data-ready]")
    page.wait_for_selector("#picture:not(.old)", state="attached")
    return page


def shown(page: Page) -> str:
    return str(page.locator("#name").text_content())


def press(page: Page, *keys: str) -> None:
    """Presses keys once the image is on the screen: before, most of them do nothing."""
    page.wait_for_selector("#picture:not(.old)", state="attached")
    for key in keys:
        page.keyboard.press(key)


def saved(page: Page) -> str:
    """Presses Enter, waits for the next image, returns the name of the one that was saved."""
    name = shown(page)
    press(page, "Enter")
    page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
    return name


@pytest.mark.timeout(120)
def test_twenty_images_by_keys(page: Page, address: str, photos: Path) -> None:
    opened(page, address)
    expected = {}
    for i in range(20):
        # A class, an angle by number and a step, one of five values.
        press(page, str(i % 3 + 1), "4", str(i % 5 + 1))
        expected[saved(page)] = {
            "shape": ("ring", "square", "triangle")[i % 3],
            "hue": "120",
            "scale": ("0.13", "0.17", "0.21", "0.25", "0.29")[i % 5],
        }
    assert len(expected) == 20
    assert rows_of(photos / "metadata.csv") == expected
    name = shown(page)
    page.reload()
    page.wait_for_selector("body[data-ready]")
    assert shown(page) == name
    assert page.locator("#sentence").text_content() == "20 of 40 labelled: enough to start training at about 40"
    counts = page.locator("[data-question=shape] .count").all_text_contents()
    assert counts == ["7", "7", "6"]
    # Undo, also after the reload: the image comes back with what was said of it.
    last = list(expected)[-1]
    press(page, "z")
    page.wait_for_function("name => document.querySelector('#name').textContent === name", arg=last)
    assert last not in rows_of(photos / "metadata.csv")
    assert page.locator("[data-question=shape] .answer").text_content() == "square"
    press(page, "k", "k", "k", "1")
    assert saved(page) == last
    assert rows_of(photos / "metadata.csv")[last] == {**expected[last], "shape": "ring"}


@pytest.mark.timeout(120)
def test_arrows_typing_leaving_open_and_skipping(page: Page, address: str, photos: Path) -> None:
    opened(page, address)
    skipped = shown(page)
    press(page, "s")
    page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=skipped)
    press(page, "ArrowRight", "ArrowRight", "j", ".")
    page.keyboard.type("33")
    press(page, "Enter", "3")
    assert page.locator("[data-question=scale] .answer").text_content() == "0.21"
    press(page, "u")
    assert page.locator("[data-question=scale] .answer").text_content() == "open"
    name = saved(page)
    assert rows_of(photos / "metadata.csv") == {name: {"shape": "square", "hue": "33", "scale": ""}}
    assert skipped not in rows_of(photos / "metadata.csv")


@pytest.mark.timeout(120)
def test_escape_leaves_the_answer_as_it_was(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "hue:angle,size:0..10"))) as address:
        opened(page, address)
        for typed, kept in (("33", "open"), ("21", "120")):
            press(page, ".")
            page.keyboard.type(typed)
            press(page, "Escape")
            page.locator("#panel").click(position={"x": 1, "y": 1})
            field = page.locator("[data-question=hue] input.typed")
            assert field.input_value() == ("" if kept == "open" else "120°")
            press(page, "k", "k", "4", "k")
        name = saved(page)
    assert rows_of(photos / "metadata.csv") == {name: {"hue": "120", "size": ""}}


@pytest.mark.timeout(120)
def test_what_lies_between_steps_is_the_nearest(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "hue:angle/12,turn:angle/100,size:0..1/31"))) as address:
        opened(page, address)
        for typed in ("47", "358.5", ".32"):
            press(page, ".")
            page.keyboard.type(typed)
            press(page, "Enter")
        fields = page.locator("input.typed")
        assert [fields.nth(i).input_value() for i in range(3)] == ["60°", "0°", "0.33"]
        press(page, "k", "k", "Shift+ArrowRight", "j", "Shift+ArrowLeft", "j", "Shift+ArrowRight")
        assert [fields.nth(i).input_value() for i in range(3)] == ["90°", "356°", "0.37"]
        name = saved(page)
    row = rows_of(photos / "metadata.csv")[name]
    assert row == {"hue": "90", "turn": "356.4", "size": "0.366667"}


@pytest.mark.timeout(120)
def test_two_windows(page: Page, browser: BrowserContext, address: str, photos: Path) -> None:
    opened(page, address)
    other = opened(browser.new_page(), address)
    mine, theirs = shown(page), shown(other)
    assert mine != theirs
    press(page, "1", "1", "1")
    saved(page)
    number = int(mine.removesuffix(".png"))
    press(other, "2", "2", "2")
    saved(other)
    assert set(rows_of(photos / "metadata.csv")) == {mine, theirs}
    # Both look at one image: the slower one is told, its answers stay, and saving again writes them.
    page.locator("#recent button").first.click()
    page.wait_for_function("name => document.querySelector('#name').textContent === name", arg=mine)
    now = rows_of(photos / "metadata.csv")[mine]
    saw = {k: v for k, v in now.items() if v}
    post(address, "api/labels", {"window": "third", "image": number, "saw": saw, "values": {"shape": "square"}})
    press(page, "k", "k", "k", "3", "Enter")
    page.wait_for_selector("#notice:not([hidden])")
    assert rows_of(photos / "metadata.csv")[mine]["shape"] == "square"
    assert page.locator("[data-question=shape] .other").text_content() == "there: square"
    saved(page)
    assert rows_of(photos / "metadata.csv")[mine]["shape"] == "triangle"
    other.close()


RED, BLUE = [255, 0, 0], [0, 0, 255]
COLOUR = """async () => {
  const picture = document.querySelector("#picture");
  await picture.decode();
  const pen = new OffscreenCanvas(1, 1).getContext("2d");
  pen.drawImage(picture, 0, 0);
  return [...pen.getImageData(0, 0, 1, 1).data].slice(0, 3);
}"""


def number_of(address: str) -> int:
    """The port."""
    return int(address.rstrip("/").rpartition(":")[2])


@pytest.fixture
def plain(tmp_path: Path) -> tuple[Path, Path]:
    """Two folders whose images have the same names: all red, all blue."""
    for data, colour in (("red", RED), ("blue", BLUE)):
        for i in range(5):
            save_png(tmp_path / data / f"{i}.png", np.full((16, 16, 3), colour, np.uint8))
    return tmp_path / "red", tmp_path / "blue"


@pytest.mark.timeout(120)
def test_another_data_set_at_the_same_address_shows_its_own_images(page: Page, plain: tuple[Path, Path]) -> None:
    port = 0
    for data, colour in zip(plain, (RED, BLUE), strict=True):
        with running(make_app(Desk(data, "kind=a|b")), port) as address:
            opened(page, address)
            assert page.evaluate(COLOUR) == colour
            press(page, "1")
            page.locator("#recent img").wait_for()
            port = number_of(address)


@pytest.mark.timeout(120)
def test_a_page_of_an_earlier_server_labels_nothing(page: Page, plain: tuple[Path, Path]) -> None:
    with running(make_app(Desk(plain[0], "kind=a|b"))) as address:
        opened(page, address)
    with running(make_app(Desk(plain[1], "kind=a|b")), number_of(address)):
        name = shown(page)
        press(page, "1")
        page.locator(".note.bad").wait_for()
        assert "started anew since: reload" in page.locator(".note.bad").inner_text()
        press(page, "s")
        page.wait_for_timeout(200)
        assert shown(page) == name
        assert not [folder for folder in plain if (folder / "metadata.csv").exists()]
        page.reload()
        page.wait_for_selector("body[data-ready]")
        name = shown(page)
        press(page, "1")
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
    assert rows_of(plain[1] / "metadata.csv") == {name: {"kind": "a"}}


@pytest.mark.timeout(120)
def test_a_new_server_undoes_nothing_of_an_earlier_one(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, ASKED))) as address:
        opened(page, address)
        press(page, "1", "1", "1")
        mine = saved(page)
        assert page.locator("#undo").is_enabled()
    desk = Desk(photos, ASKED)
    with running(make_app(desk), number_of(address)):
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert page.locator("#undo").is_disabled()
        theirs = post(address, "api/next", {"window": "other"})[1]["item"]
        post(address, "api/labels", {"window": "other", "image": theirs["image"], "values": {"shape": "ring"}})
        press(page, "z")
        page.get_by_text("Nothing to undo in this window").wait_for()
        assert set(rows_of(photos / "metadata.csv")) == {mine, theirs["name"]}


@pytest.mark.timeout(120)
def test_the_last_image_can_be_undone(page: Page, tmp_path: Path) -> None:
    save_png(tmp_path / "only.png", render(0, 32))
    with running(make_app(Desk(tmp_path, "kind=a|b"))) as address:
        opened(page, address)
        press(page, "1")
        page.locator("#end").wait_for()
        assert page.locator("#undo").is_enabled() and page.locator("#back").is_visible()
        press(page, "z")
        page.locator("#work").wait_for()
        assert rows_of(tmp_path / "metadata.csv") == {}
        press(page, "2")
        page.locator("#end").wait_for()
    with running(make_app(Desk(tmp_path, "kind=a|b"))) as address:  # nothing is left, and nothing to undo
        opened(page, address)
        assert page.locator("#end").is_visible() and page.locator("#undo").is_disabled()
        assert page.locator("#back").is_hidden()


@pytest.mark.timeout(120)
def test_classes_named_on_the_page(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "mood"))) as address:
        opened(page, address)
        press(page, "n")
        page.keyboard.type("calm, blue")
        name = shown(page)
        press(page, "Enter")  # one question: answered means saved
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
        second = shown(page)
        press(page, "1")
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=second)
    assert rows_of(photos / "metadata.csv") == {name: {"mood": "calm, blue"}, second: {"mood": "calm, blue"}}


@pytest.mark.timeout(120)
def test_enter_that_ends_the_composing_of_a_character_names_nothing(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind"))) as address:
        opened(page, address)
        field = page.locator('[data-question="kind"] input')
        field.fill("\u306d")
        for options in ("isComposing: true", "keyCode: 229"):
            field.evaluate(
                "(field) => field.dispatchEvent("
                f'new KeyboardEvent("keydown", {{ key: "Enter", bubbles: true, cancelable: true, {options} }}))'
            )
        assert field.input_value() == "\u306d"
        field.fill("\u306d\u3053")
        press(page, "Enter")
        page.get_by_role("radio", name="\u306d\u3053").wait_for()
        assert page.locator('[data-question="kind"] [role=radio]').count() == 1


@pytest.mark.timeout(120)
def test_a_class_is_the_same_in_whatever_form_its_accents_are(page: Page, photos: Path) -> None:
    apart = "cafe\u0301"
    (photos / "metadata.csv").write_text(f"file_name,mood\n000.png,{apart}\n")
    others = "|".join(f"c{i}" for i in range(9))
    with running(make_app(Desk(photos, f"mood,kind=x|{others}|{apart}"))) as address:
        opened(page, address)
        for typed in ("caf\u00e9", "na\u00efve", "nai\u0308ve"):
            press(page, "k", "n")
            page.keyboard.insert_text(typed)
            press(page, "Enter")
            page.locator("[data-question=kind].active").wait_for()
        assert page.locator("[data-question=mood] .choices button").count() == 2
        press(page, ".")
        page.keyboard.insert_text("caf\u00e9")
        press(page, "Enter")
        name = saved(page)
    assert rows_of(photos / "metadata.csv")[name] == {"mood": "na\u00efve", "kind": apart}


@pytest.mark.timeout(120)
def test_a_factor_may_be_called_as_what_every_object_has(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "constructor=Lotus|Matra,x:0..1/2"))) as address:
        opened(page, address)
        press(page, "2", "1")
        name = saved(page)
    assert rows_of(photos / "metadata.csv") == {name: {"constructor": "Matra", "x": "0"}}


@pytest.mark.timeout(120)
def test_steps_are_exact_and_a_dial_takes_an_angle(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "n:0..100/9,x:0..1/7,turn:angle,place:angle/12"))) as address:
        opened(page, address)
        assert page.locator("[data-question=n] .choices button").nth(1).text_content() == "212.5"
        press(page, "2", "2")
        box = page.locator("[data-question=turn] svg.dial").bounding_box()
        assert box is not None
        page.mouse.click(box["x"] + box["width"] * 0.9, box["y"] + box["height"] / 2)
        press(page, "j", "2")
        page.locator("[data-question=place] .dial").press("PageUp")
        name = saved(page)
    # A twelfth is the place of the grid that is nearest to the second of nine keys; four more are a page.
    assert rows_of(photos / "metadata.csv") == {name: {"n": "12.5", "x": "0.166667", "turn": "90", "place": "150"}}
    data = Dataset.open(photos)
    assert data.labels.level_NF[data.labels.labelled_rows[0]] == pytest.approx([1 / 8, 1 / 6, 1 / 4, 5 / 12])


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("width", "height"), [(390, 844), (844, 390)])
def test_a_phone(browser: BrowserContext, photos: Path, width: int, height: int) -> None:
    tab = browser.new_page()
    tab.set_viewport_size({"width": width, "height": height})
    with running(
        make_app(Desk(photos, "a name that is longer than most=yes|no," + ASKED + ",mood,turn:angle"))
    ) as address:
        opened(tab, address)
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        for i in range(6):  # whichever comes next is in sight, between the image and what saves
            if i % 2:
                tab.keyboard.press("ArrowDown")
            else:
                tab.locator(".question.active :is(button, input, .dial)").last.click()
            tab.wait_for_function(
                """() => {
                  const [question, image, bar] = [".question.active", "#look", "#actions"]
                    .map((name) => document.querySelector(name).getBoundingClientRect());
                  return question.top >= image.bottom - 1 && question.bottom <= bar.top + 1 && image.top >= 0;
                }"""
            )
    tab.close()


@pytest.mark.timeout(120)
@pytest.mark.parametrize("width", [640, 1280])  # a laptop's window at 200%; a low one
def test_tab_stops_where_it_can_be_seen(browser: BrowserContext, photos: Path, width: int) -> None:
    tab = browser.new_page()
    tab.set_viewport_size({"width": width, "height": 450})
    with running(make_app(Desk(photos, ASKED + ",mood,turn:angle"))) as address:
        opened(tab, address)
        for step in ["Tab"] * 24 + ["Shift+Tab"] * 24:
            tab.keyboard.press(step)
            if not tab.evaluate("document.activeElement.closest('#questions') !== null"):
                continue
            tab.wait_for_function(
                """() => {
                  const box = (element) => element.getBoundingClientRect();
                  const [image, bar] = ["#look", "#actions"].map((name) => box(document.querySelector(name)));
                  const focused = box(document.activeElement);
                  const over = focused.left < image.right ? image.bottom : 0; // beside the image, or below it
                  return focused.top >= over - 1 && focused.bottom <= bar.top + 1;
                }""",
                timeout=5000,
            )
    tab.close()


@pytest.mark.timeout(120)
def test_notes_leave_what_saves_in_reach(browser: BrowserContext, photos: Path) -> None:
    tab = browser.new_page()
    tab.set_viewport_size({"width": 360, "height": 740})
    with running(make_app(Desk(photos, "size:0..10"))) as address:
        opened(tab, address)
        tab.locator("#save").click()  # nothing is answered yet: a note
        tab.locator(".note").wait_for()
        tab.locator("#save").click(timeout=2000)
    tab.close()


@pytest.mark.timeout(120)
def test_an_undo_that_was_not_answered_can_be_tried_again(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b"))) as address:
        opened(page, address)
        names = []
        for key in "12":
            names.append(name := shown(page))
            press(page, key)
            page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
        page.evaluate("() => { window.answered = fetch; window.fetch = () => Promise.reject(new TypeError()); }")
        press(page, "z")
        page.locator(".note.bad").wait_for()
        page.evaluate("() => { window.fetch = window.answered; }")
        press(page, "z")
        page.wait_for_function("name => document.querySelector('#name').textContent === name", arg=names[1])
    assert rows_of(photos / "metadata.csv") == {names[0]: {"kind": "a"}}


@pytest.mark.timeout(120)
def test_answers_half_given_wait_for_their_image(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b,tone=c|d,size:0..1/3"))) as address:
        opened(page, address)

        def answers() -> list[str]:
            return page.locator(".question .answer").all_text_contents()

        def until(name: str) -> None:
            page.wait_for_function("name => document.querySelector('#name').textContent === name", arg=name)

        press(page, "1", "1", "1")
        first = saved(page)
        second = shown(page)
        press(page, "2", "2")
        press(page, "z")
        until(first)
        assert answers() == ["a", "c", "0"]
        saved(page)
        until(second)
        assert answers() == ["b", "d", "open"]
        press(page, "k", "k", "u")
        page.locator("#recent button").first.click()
        until(first)
        saved(page)
        until(second)
        assert answers() == ["open", "d", "open"]
        # Labelled meanwhile elsewhere: what is known counts, not what was half said here.
        saved(page)
        for name, keys in ((second, "1"), (first, "")):
            page.get_by_role("button", name=f"Change the labels of {name}").click()
            until(name)
            press(page, *keys)
        image = int(second.removesuffix(".png"))
        other = {"window": "other", "image": image, "saw": {"tone": "d"}, "values": {"kind": "b"}}
        assert post(address, "api/labels", other)[0] == 200
        page.get_by_role("button", name=f"Change the labels of {second}").click()
        until(second)
        assert answers() == ["b", "d", "open"]


@pytest.mark.timeout(120)
def test_what_another_window_named_can_be_named_again(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "mood,size:0..1/3"))) as address:
        opened(page, address)
        assert post(address, "api/classes", {"name": "mood", "category": "calm"})[0] == 200
        press(page, "n")
        page.keyboard.type("calm")
        press(page, "Enter")
        page.locator("[data-question=mood] .answer", has_text="calm").wait_for()
        assert page.locator(".note.bad").count() == 0


@pytest.mark.timeout(120)
def test_a_server_that_is_gone_when_it_is_asked_what_is_new_is_said(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b,size:0..1/3"))) as address:
        opened(page, address)
        image = int(shown(page).removesuffix(".png"))
        post(address, "api/labels", {"window": "other", "image": image, "values": {"kind": "b"}})
        page.route("**/api/images/*", lambda route: route.abort())
        press(page, "1", "Enter")
        page.locator(".note.bad").wait_for()
        page.unroute("**/api/images/*")
        press(page, "Enter")
        page.wait_for_selector("#notice:not([hidden])")


@pytest.mark.timeout(120)
def test_the_space_bar_ticks_the_box_that_has_the_focus(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b,size:0..1/3"))) as address:
        opened(page, address)
        press(page, "1")
        page.focus("#quick")
        press(page, "Space")
        assert page.is_checked("#quick") and not (photos / "metadata.csv").exists()
        for place in ("#quick", "#alone"):  # one that was clicked does not keep the space bar
            page.locator(place).click(position={"x": 8, "y": 8})
        name = shown(page)
        press(page, "Space")
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
    assert rows_of(photos / "metadata.csv") == {name: {"kind": "a", "size": ""}}


@pytest.mark.timeout(120)
def test_enter_after_arrows_keeps_what_they_chose(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b|c,size:1..5/5"))) as address:
        opened(page, address)
        for name, chosen in (("kind", "b"), ("size", "2")):
            choices = page.locator(f'[data-question="{name}"] [role=radio]')
            choices.first.focus()
            press(page, "ArrowRight", "ArrowRight", "Enter")
            answers = choices.evaluate_all("all => all.map((one) => one.ariaChecked)").index("true")
            assert answers == 1, name
            focused = page.evaluate("document.activeElement.textContent")
            assert focused == f"2{chosen}"
            assert choices.evaluate_all("all => all.filter((one) => one.tabIndex === 0).length") == 1


@pytest.mark.timeout(120)
def test_a_key_that_is_held_labels_one_image(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b"))) as address:
        opened(page, address)
        name = shown(page)
        for _ in range(4):  # a second press of a key that is down is a repeated one
            page.keyboard.down("1")
            page.wait_for_timeout(100)
        page.keyboard.up("1")
        page.locator("#save").focus()
        for _ in range(4):
            page.keyboard.down("Enter")
            page.wait_for_timeout(100)
        page.keyboard.up("Enter")
    assert rows_of(photos / "metadata.csv") == {name: {"kind": "a"}}


@pytest.mark.timeout(120)
def test_a_key_pressed_while_a_label_is_saved_is_no_answer(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b"))) as address:
        opened(page, address)
        page.evaluate(
            "() => { const ask = fetch; window.fetch = async (...to) => { await new Promise((go) => (window.go = go));"
            " window.fetch = ask; return ask(...to); }; }"
        )
        name = shown(page)
        press(page, "1", "2")
        page.evaluate("go()")
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=name)
        press(page, "z")
        page.wait_for_function("name => document.querySelector('#name').textContent === name", arg=name)
        assert page.locator("[data-question=kind] .answer").text_content() == "a"
    assert rows_of(photos / "metadata.csv") == {}


@pytest.mark.timeout(120)
def test_an_image_that_has_not_come_is_not_labelled(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b"))) as address:
        opened(page, address)
        first = shown(page)
        held: list[Any] = []
        page.route("**/picture?*", lambda route: held.append(route))
        press(page, "1")
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=first)
        second = shown(page)
        page.keyboard.press("2")
        page.locator(".choices button").first.click()
        page.locator("#save").click()
        page.wait_for_timeout(200)
        assert rows_of(photos / "metadata.csv") == {first: {"kind": "a"}} and shown(page) == second
        for route in held:
            route.abort() if route.request.url.split("?")[0].endswith(
                f"/{int(second[:3])}/picture"
            ) else route.continue_()
        page.locator(".note.bad").wait_for()  # what cannot be shown can be skipped, its name is easy to read
        assert page.locator("#picture.old").count() == 0
        press(page, "2")
        page.wait_for_function("name => document.querySelector('#name').textContent !== name", arg=second)
        assert page.locator(".note.bad").count() == 0
    assert rows_of(photos / "metadata.csv") == {first: {"kind": "a"}, second: {"kind": "b"}}


@pytest.mark.timeout(120)
def test_a_number_that_does_not_fit_is_not_saved_as_none(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b,size:0..10"))) as address:
        opened(page, address)
        field = page.locator("[data-question=size] input.typed")
        press(page, "1", ".")
        page.keyboard.type("55")
        page.locator("#save").click()
        page.locator(".note.bad").wait_for()
        for key in ("", "Enter"):  # also once it was said again
            if key:
                press(page, key, key)
            assert field.input_value() == "55" and field.get_attribute("aria-invalid") == "true"
            assert field.evaluate("field => field === document.activeElement")
        assert not (photos / "metadata.csv").exists()
        press(page, "Escape")
        assert field.input_value() == "" and field.get_attribute("aria-invalid") is None
        field.fill("x")
        field.press("Enter")
        press(page, "9")  # another answer mends it
        assert field.input_value() == "10" and field.get_attribute("aria-invalid") is None
        name = saved(page)
    assert rows_of(photos / "metadata.csv") == {name: {"kind": "a", "size": "10"}}


@pytest.mark.timeout(120)
@pytest.mark.parametrize("width", [360, 1280])
def test_names_of_any_length_fit(browser: BrowserContext, photos: Path, width: int) -> None:
    tab = browser.new_page()
    tab.set_viewport_size({"width": width, "height": 800})
    asked = f"{'long_name_' * 4}:0..1000000000,kind={'x' * 60}|b,{'n' * 60}=yes|no,place:angle"
    with running(make_app(Desk(photos, asked))) as address:
        opened(tab, address)
        press(tab, "9", "1", "1", "2")
        assert tab.evaluate("document.documentElement.scrollWidth") == width
        cut = "all => all.filter((one) => one.scrollWidth > one.clientWidth).map((one) => one.textContent)"
        assert tab.locator(".choices button > *, .question h3").evaluate_all(cut) == []
        tab.close()


@pytest.mark.timeout(120)
def test_a_duplicated_tab_is_another_window(page: Page, photos: Path) -> None:
    with running(make_app(Desk(photos, "kind=a|b"))) as address:
        opened(page, address)
        press(page, "1")
        page.locator("#recent img").wait_for()
        with page.expect_popup() as popup:
            page.evaluate("open(location.href)")  # like a duplicate, it comes with the session of this one
        popup.value.wait_for_selector("body[data-ready]")
        assert shown(popup.value) != shown(page)
        assert popup.value.locator("#undo").is_disabled() and page.locator("#undo").is_enabled()
        mine = shown(page)
        page.reload()
        page.wait_for_selector("body[data-ready]")
        assert shown(page) == mine and page.locator("#undo").is_enabled()
        popup.value.close()


# -- what comes next -----------------------------------------------------------------------------------------------


def test_photos_that_cannot_be_trained_on_are_imported_first(photos: Path) -> None:
    train = f"semistylegan train --data {photos} --out runs/{photos.name}"
    assert Desk(photos, "n").describe()["train"] == train
    (photos / "000.png").write_bytes(b"damaged")
    assert Desk(photos, "n").describe()["train"] == train
    save_png(photos / "003.png", render(0, 64))
    commands = [
        f"semistylegan import folder --source {photos} --out {photos}.zip --resolution 32",
        f"semistylegan train --data {photos}.zip --out runs/{photos.name}",
    ]
    assert Desk(photos, "n").describe()["train"].splitlines() == commands
    for path in photos.glob("*.png"):
        save_png(path, render(0, 64)[:40])
    assert Desk(photos, "n").describe()["train"].splitlines() == commands
