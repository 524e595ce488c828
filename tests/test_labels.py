"""Labels: a blank is unknown, kinds are inferred as documented, tables survive every spelling and a round trip."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semistylegan.data.columns import in_words, infer
from semistylegan.data.documents import read_document
from semistylegan.data.labels import (
    Labels,
    choose_rows,
    held_out_rows,
    labels_csv,
    parse_csv,
    read_csv,
)
from semistylegan.data.table import MAX_CATEGORIES, Numbers
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.files import write_text

NAMES = ["a.png", "b.png", "c.png", "sub/d.png"]
EVERY_KIND = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "cross, bold", 'a "b"')),
        Factor.circular("hue", 12),
        Factor.scalar("scale", 5, 0.13, 0.29),
        Factor.scalar_grid("light", (1, 2, 4, 9)),
        Factor.scalar("weight", None, 1e6, 1e6 + 3),
        Factor.circular("yaw", None, -180, 180),
    )
)


def parsed(text: str | bytes, space: FactorSpace | None = None) -> tuple[FactorSpace, Labels]:
    data = text.encode() if isinstance(text, str) else text
    return parse_csv(data, "metadata.csv", NAMES, space)


def test_blank_is_unknown_and_order_does_not_matter() -> None:
    space, labels = parsed("file_name,size,colour\nsub/d.png,3,red\na.png,,blue\nc.png,1,\n")
    assert space.names == ("size", "colour")
    assert labels.known_NF.tolist() == [[False, True], [False, False], [True, False], [True, True]]
    assert labels.level_NF.tolist() == [[0, 0], [0, 0], [0, 0], [1, 1]]
    assert labels.labelled_rows.tolist() == [0, 2, 3]
    assert space["colour"].categories == ("blue", "red")


@pytest.mark.parametrize(
    "text",
    [
        "file_name,size,colour\na.png,0.5,red\nb.png,1.5,blue\n",
        "\ufefffile_name,size,colour\r\na.png,0.5,red\r\nb.png,1.5,blue\r\n",
        "file_name;size;colour\na.png;0,5;red\nb.png;1,5;blue\n",
        "file_name\tsize\tcolour\na.png\t0.5\tred\nb.png\t1.5\tblue",
        '"file_name","size","colour"\r"a.png","0.5","red"\r"b.png","1.5","blue"\r',
        "colour , size , file_name,\nred, .5 , a.png,\n\n,,,\nblue,15e-1,./b.png,\n",
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-16"])
def test_every_spelling_of_one_table(text: str, encoding: str) -> None:
    space, labels = parsed(text.encode(encoding))
    size, colour = space.position("size"), space.position("colour")
    assert labels.level_NF[:2, size].tolist() == [0, 1]
    assert labels.level_NF[:2, colour].tolist() == [1, 0]
    assert labels.known_NF.all(axis=1).tolist() == [True, True, False, False]
    assert (space["size"].low, space["size"].high) == (0.5, 1.5)


def test_other_spellings_of_file_names() -> None:
    names = ["caf\u00e9.png", "x/y.png"]
    _, labels = parse_csv("file_name,a\ncafe\u0301.png,1\nx\\y.png,2\n".encode(), "m", names)
    assert labels.known_NF.all()


def test_names_that_differ_in_their_accents_form_alone() -> None:
    names = ["caf\u00e9.png", "cafe\u0301.png"]
    labels = parse_csv("file_name,a\ncafe\u0301.png,1\ncaf\u00e9.png,2\n".encode(), "m", names)[1]
    assert labels.level_NF[:, 0].tolist() == [1, 0]


def test_other_spellings_of_names_and_classes() -> None:
    """Of programs that take accents apart, as file systems of a Mac do."""
    names = ["cafe\u0301.png", "x/y.png"]
    _, labels = read_document({"labels": [["caf\u00e9.png", 1], [".\\x\\Y.png", 0]]}, "dataset.json", names)
    assert labels.level_NF[:, 0].tolist() == [1, 0] and labels.known_NF.all()
    space = FactorSpace((Factor.categorical("shape", ("cr\u00f4ss", "ring", "cro\u0302ss")),))
    assert [parsed(f"file_name,shape\na.png,cr{o}ss\n", space)[1].level_NF[0, 0] for o in ("\u00f4", "o\u0302")] == [
        0,
        2,
    ]
    space = FactorSpace((Factor.categorical("shape", ("ring", "cr\u00f4ss")),))
    assert parsed("file_name,shape\na.png,cro\u0302ss\n", space)[1].level_NF[0, 0] == 1


@pytest.mark.parametrize(
    ("values", "count", "factor"),
    [
        ([0, 1, 2, 3], 4, Factor.scalar("f", 4, 0, 3)),
        ([10, 20, 30], 3, Factor.scalar("f", 3, 10, 30)),
        ([0.13, 0.17, 0.21, 0.25, 0.29], 5, Factor.scalar("f", 5, 0.13, 0.29)),
        ([0.33, 0.667, 1.0], 9, Factor.scalar("f", 3, 0.33, 1.0)),
        ([1, 2, 4, 8], 8, Factor.scalar_grid("f", [1, 2, 4, 8])),
        ([1, 2, 4, 8], 7, Factor.scalar("f", None, 1, 8)),  # too few labels to call it a grid
        ([1, 2.05, 3], 6, Factor.scalar_grid("f", [1, 2.05, 3])),  # a twentieth of a step is no rounding
        ([5], 3, Factor.scalar("f", 1, 5, 10)),
        (list(range(64)), 64, Factor.scalar("f", 64, 0, 63)),
        (list(range(65)), 65, Factor.scalar("f", None, 0, 64)),
        ([0.1, 0.2, 0.3, 0.1 + 0.2, 0.4], 5, Factor.scalar("f", 4, 0.1, 0.4)),  # roundings are no values
        ([-1, -0.5, -1e-17, 0, 1e-17, 0.5, 1], 7, Factor.scalar("f", 5, -1, 1)),
        ([1, 2.2, float(np.float32(2.2)), 4.9, 9], 9, Factor.scalar_grid("f", [1, 2.2, 4.9, 9])),
        ([0.3, 0.1 + 0.2], 9, Factor.scalar("f", 1, 0.3, 1.3)),
        ([1e-9, 1e-8, 1e-4, 1], 9, Factor.scalar_grid("f", [1e-9, 1e-8, 1e-4, 1])),  # but small ones are
        ([1, 2, 4, 8, 1e20], 10, Factor.scalar_grid("f", [1, 2, 4, 8, 1e20])),
        ([1.7e9, 1.7e9 + 0.25, 1.7e9 + 0.5], 9, Factor.scalar("f", 3, 1.7e9, 1.7e9 + 0.5)),
    ],
)
def test_inferred_numbers(values: list[float], count: int, factor: Factor) -> None:
    assert infer("f", np.array(values[::-1], dtype=float), count) == factor


def test_a_number_and_its_rounding_have_one_level() -> None:
    space, labels = parsed(f"file_name,a,b\na.png,0.3,4\nb.png,{0.1 + 0.2},1\nc.png,0.1,{4 + 1e-15}\nsub/d.png,0.2,\n")
    assert [(f.size, f.low, f.high) for f in space] == [(3, 0.1, 0.3), (2, 1, 4)]
    assert labels.level_NF.tolist() == [[1, 1], [1, 0], [0, 1], [0.5, 0]]


def test_a_cell_near_a_value_of_the_grid_is_that_value() -> None:
    """Within a hundredth of a step; around a circle, the end of a turn is near its begin."""
    space = FactorSpace((Factor.scalar("size", 3, 0.33, 1), Factor.circular("hue", 12)))
    labels = parsed("file_name,size,hue\na.png,0.667,359.9\nb.png,0.7,359\n", space)[1]
    assert labels.level_NF[0].tolist() == [0.5, 0]
    assert labels.level_NF[1].tolist() == np.float32([0.37 / 0.67, 359 / 360]).tolist()
    assert in_words(space["size"], 0.501) == in_words(space["size"], 0.5) == "0.665"


def test_a_cell_may_say_which_value_of_the_grid_it_is() -> None:
    space = FactorSpace((Factor.circular("hue", 12), Factor.scalar("size", 5, 1, 2)))
    assert parsed("file_name,hue,size\na.png,#3,#1\n", space)[1].level_NF[0].tolist() == [0.25, 0.25]


def test_between_commas_a_number_has_a_point() -> None:
    space = FactorSpace((Factor.scalar("size", None, 0, 20),))
    with pytest.raises(UserError, match="line 2: size=1,5: not a number"):
        parsed('file_name,size\na.png,"1,5"\n', space)
    assert parsed("file_name;size\na.png;1,5\n", space)[1].level_NF[0, 0] == np.float32(1.5 / 20)


def test_a_class_that_is_named_as_a_number_is_that_class() -> None:
    space, labels = parsed("file_name,kind\na.png,1.0\nb.png,x\nc.png,1\nsub/d.png,y\n")
    assert space["kind"].categories == ("1", "1.0", "x", "y") and labels.level_NF[:, 0].tolist() == [1, 2, 0, 3]


@pytest.mark.parametrize("count", [MAX_CATEGORIES, MAX_CATEGORIES + 1])
def test_the_most_words_of_a_factor(count: int) -> None:
    names = [f"{i}.png" for i in range(count)]
    text = "file_name,word\n" + "".join(f"{name},w{i:03d}\n" for i, name in enumerate(names))
    if count == MAX_CATEGORIES:
        assert parse_csv(text.encode(), "m", names)[1].level_NF[:, 0].tolist() == list(range(count))
    else:
        with pytest.raises(UserError, match="'word' holds 257 different words, too many"):
            parse_csv(text.encode(), "m", names)


def test_words_and_some_numbers_are_words() -> None:
    space, _ = parsed("file_name,size\na.png,S\nb.png,10\nc.png,XL\n")
    assert space["size"].categories == ("10", "S", "XL")


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_a_heading_of_two_lines_is_one_name(end: str) -> None:
    text = 'file_name,"size \n(cm)",shape\na.png,1,ring\nb.png,2,cross\nc.png,x,ring\n'
    with pytest.raises(UserError, match=r"metadata\.csv line 5: size \(cm\)=x: a word in a column of numbers"):
        parsed(text.replace("\n", end))
    space, labels = parsed(text.replace("x", "3").replace("\n", end))
    assert space.names == ("size (cm)", "shape") and labels.level_NF[:3, 0].tolist() == [0, 0.5, 1]


def test_blank_cells_above_the_heading_are_passed_over() -> None:
    assert parsed(",,\nfile_name,size,\na.png,1,\n")[0].names == ("size",)


def test_a_file_whose_name_begins_with_a_blank(tmp_path: Path) -> None:
    """Cells lose their outer blanks, so that a file of ours would not be understood."""
    names, space = [" a.png", "b.png"], FactorSpace((Factor.scalar("size"),))
    labels = Labels(np.array([[0.25], [0.5]], np.float32), np.ones((2, 1), np.bool_))
    text = labels_csv(names, [0, 1], labels, space)
    assert (parse_csv(text.encode(), "m", names, space)[1].level_NF == labels.level_NF).all()
    both = parse_csv(b"file_name,size\na.png,0.5\n", "m", [" a.png", "a.png"], space)[1]
    assert both.known_NF[:, 0].tolist() == [False, True]


def test_a_column_without_a_name_is_named_or_left_out() -> None:
    with pytest.raises(UserError, match=r"line 2: '0' stands in a column without a name; .*pandas: index=False"):
        parse_csv(b",file_name,shape\n0,a.png,ring\n1,b.png,box\n", "metadata.csv", ["a.png", "b.png"])
    with pytest.raises(UserError, match=r"line 3: '1' stands in a column without a name"):
        parse_csv(b",file_name,shape,\n,a.png,ring,\n1,b.png,box,\n", "metadata.csv", ["a.png", "b.png"])


def test_half_words_are_words() -> None:
    space, labels = parsed("file_name,kind\na.png,1\nb.png,2\nc.png,one\nsub/d.png,two\n")
    assert space["kind"].categories == ("1", "2", "one", "two") and labels.known_NF.all()


def test_digits_with_a_line_between_are_no_number() -> None:
    """Python would read 1_0 as ten."""
    space, _ = parsed("file_name,code\na.png,1_0\nb.png,2_0\n")
    assert space["code"].categories == ("1_0", "2_0")


def test_names_that_differ_in_case_alone_are_not_taken_for_each_other() -> None:
    assert Numbers(["c\\d.png", "c/d.png"]).of("c\\d.png") == 0, "a name of its own, where it may hold one"
    number = Numbers(["a.png", "A.png", "b.png"])
    assert [number.of(cell) for cell in ("a.png", "A.png", "A.PNG", "B.PNG")] == [0, 1, None, 2]


def test_a_blank_column_is_no_factor() -> None:
    space, labels = parsed("file_name,a,b\na.png,,1\n")
    assert space.names == ("b",) and labels.level_NF.shape == (4, 1)


def test_factors_json_fixes_kinds_and_columns() -> None:
    space = FactorSpace((Factor.circular("hue"), Factor.categorical("class", ("0", "1", "2")), Factor.scalar("absent")))
    found, labels = parsed("file_name,note,class,hue\na.png,hello,2.0,90\nb.png,x,#1,#0\n".replace("#0", ""), space)
    assert found == space
    assert labels.level_NF[:2].tolist() == [[0.25, 2, 0], [0, 1, 0]]
    assert labels.known_NF[:2].tolist() == [[True, True, False], [False, True, False]]


def random_labels(space: FactorSpace, n: int) -> Labels:
    rng = np.random.default_rng(5)
    columns = [
        f.level_of_index(rng.integers(0, f.size, n)) if f.size is not None else rng.random(n) * 0.999 for f in space
    ]
    known = rng.random((n, len(space))) < 0.7
    return Labels(np.where(known, np.stack(columns, 1), 0).astype(np.float32), known)


def test_columns_in_another_order_keep_their_blanks() -> None:
    _, labels = parsed("file_name,a,b,c\na.png,,0,5\nb.png,3,1,\n")
    found = labels.columns([2, 0])
    assert found.known_NF[:2].tolist() == [[True, False], [False, True]]
    assert (found.level_NF == labels.level_NF[:, [2, 0]]).all()


def test_labels_survive_their_file(tmp_path: Path) -> None:
    names = [f"{i}, {'x' * (i % 3)}.png" for i in range(200)]
    labels = random_labels(EVERY_KIND, 200)
    rows = choose_rows(labels, 0.25, seed=1)
    write_text(tmp_path / "labels.csv", labels_csv(names, rows, labels, EVERY_KIND))
    space, back = read_csv(tmp_path / "labels.csv", names, EVERY_KIND)
    kept = labels.keep(rows)
    assert (back.known_NF == kept.known_NF).all()
    assert (back.level_NF == kept.level_NF).all()
    assert space == EVERY_KIND


@pytest.mark.parametrize(("spec", "words"), [("size=0.4", "no image has this label"), ("0.01", "none; give 0.25 or")])
def test_a_hold_out_of_no_image(spec: str, words: str) -> None:
    space, labels = parsed("file_name,size\na.png,0\nb.png,0.5\nc.png,1\n", FactorSpace((Factor.scalar("size"),)))
    with pytest.raises(UserError, match=f"--hold-out {spec}: .*{words}"):
        held_out_rows(labels, space, f"size=0.5,{spec}", 0)
    assert held_out_rows(labels, space, "size=0.5,0.25", 0).tolist()


def test_an_image_of_unknown_value_is_not_held_out_by_value() -> None:
    """An unknown level is stored as 0."""
    space, labels = parsed("file_name,size\na.png,0\nb.png,\nc.png,1\n", FactorSpace((Factor.scalar("size"),)))
    assert held_out_rows(labels, space, "size=0", 0).tolist() == [0]


def test_a_hold_out_of_a_value_leaves_those_beside_it() -> None:
    names = [f"{i}.png" for i in range(4)]
    text = "file_name,frame\n" + "".join(f"{name},{500 + i}\n" for i, name in enumerate(names))
    space, labels = parse_csv(text.encode(), "m", names, FactorSpace((Factor.scalar("frame", 1001, 0, 1000),)))
    assert held_out_rows(labels, space, "frame=501", 0).tolist() == [1]


def test_a_quotation_mark_that_is_never_closed_is_told() -> None:
    names = [f"{i}.png" for i in range(4)]
    for text in ('0.png,ring\n1.png,"cross\n2.png,ring\n3.png,cross\n', '0.png,ring\n1.png,"cross', '0.png,a\n1.png,"'):
        with pytest.raises(UserError, match=r"^metadata\.csv line 3: a quotation mark is never closed; close it or"):
            parse_csv(f"file_name,kind\n{text}".encode(), "metadata.csv", names)
    _, labels = parse_csv(b'file_name,kind\n0.png,"a\nb"\n1.png,c', "metadata.csv", names)
    assert labels.known_NF[:, 0].tolist() == [True, True, False, False]


def test_a_hold_out_takes_one_value_of_a_long_grid() -> None:
    names = [f"{i:03d}.png" for i in range(200)]
    space = FactorSpace((Factor.scalar("frame", 100_001, 0, 100_000),))
    text = "file_name,frame\n" + "".join(f"{name},{i}\n" for i, name in enumerate(names))
    labels = parse_csv(text.encode(), "m", names, space)[1]
    assert held_out_rows(labels, space, "frame=50", 0).tolist() == [50]


def test_a_hold_out_of_all_images_is_refused() -> None:
    space, labels = parsed("file_name,kind\na.png,x\nb.png,x\nc.png,y\nsub/d.png,y\n")
    with pytest.raises(UserError, match="--hold-out kind=x,kind=y: no image is left to train on"):
        held_out_rows(labels, space, "kind=x,kind=y", 0)


def test_a_hold_out_of_values_with_commas() -> None:
    values = ("red, round", "red", "a,b,c", "a")
    space, labels = parsed(
        'file_name,kind,size\na.png,"a,b,c",0\nb.png,"red, round",0\nc.png,red,1\nsub/d.png,a,1\n',
        FactorSpace((Factor.categorical("kind", values), Factor.scalar("size"))),
    )
    for spec, rows in (
        ("kind=red, round", [1]),
        ("kind=red", [2]),
        ("kind=a,b,c, kind=red, round", [0, 1]),
        ("kind=a,size=1", [2, 3]),
        ("size=0,kind=red", [0, 1, 2]),
    ):
        assert held_out_rows(labels, space, spec, 0).tolist() == rows, spec
    with pytest.raises(UserError, match="--hold-out round: write factor=value"):
        held_out_rows(labels, space, "kind=a,round", 0)


# -- which rows --------------------------------------------------------------------------------------------


def test_rows_are_drawn_uniformly_once_and_nested() -> None:
    labels = Labels(np.zeros((1000, 2), np.float32), np.zeros((1000, 2), np.bool_))
    labels.known_NF[::2, 0] = True
    few, many = choose_rows(labels, 0.02, seed=7), choose_rows(labels, 0.2, seed=7)
    assert (len(few), len(many)) == (20, 200)
    assert (few == choose_rows(labels, 0.02, seed=7)).all() and set(few) <= set(many)
    assert (np.diff(many) > 0).all() and (many % 2 == 0).all()
    assert set(few) != set(choose_rows(labels, 0.02, seed=8))
    often = np.bincount(np.concatenate([choose_rows(labels, 0.05, seed=s) for s in range(400)]), minlength=1000)[::2]
    assert abs(often.mean() - 40) < 1e-9 and often.min() > 20 and often.max() < 65  # 40 +- 6 of a fair draw


def test_rows_do_not_depend_on_the_labels_values() -> None:
    one, two = random_labels(EVERY_KIND, 300), random_labels(EVERY_KIND, 300)
    two.level_NF[:] = 0
    assert (choose_rows(one, 0.1, 3) == choose_rows(two, 0.1, 3)).all()


def test_the_fraction_counts_all_images() -> None:
    labels = Labels.none(400, 1)
    labels.known_NF[:100] = True
    assert len(choose_rows(labels, 0.25, 0)) == 100


@pytest.mark.parametrize(
    ("fraction", "words"),
    [
        (0.001, ["0.001", "400 images", "0.0025"]),
        (0.5, ["is 200", "only 100", "at most 0.25"]),
        (0, ["over 0", "info"]),
        (1.5, ["1.5"]),
        (float("nan"), ["nan"]),
    ],
)
def test_a_fraction_that_cannot_be(fraction: float, words: list[str]) -> None:
    labels = Labels.none(400, 1)
    labels.known_NF[:100] = True
    with pytest.raises(UserError) as error:
        choose_rows(labels, fraction, 0)
    assert all(word in str(error.value) for word in words), str(error.value)


@pytest.mark.parametrize(("n", "labelled"), [(100_000, 5), (3, 2), (737_280, 18_433), (1_036_800, 1_036_799)])
def test_the_largest_fraction_that_is_named_works(n: int, labelled: int) -> None:
    labels = Labels.none(n, 1)
    labels.known_NF[:labelled] = True
    with pytest.raises(UserError) as error:
        choose_rows(labels, 1.0, 0)
    named = float(str(error.value).split("at most ")[1].split(",")[0])
    assert len(choose_rows(labels, named, 0)) == labelled


@pytest.mark.parametrize("n", [3, 7, 16, 999, 11520])
def test_the_fraction_that_is_named_works(n: int) -> None:
    labels = Labels(np.zeros((n, 1), np.float32), np.ones((n, 1), np.bool_))
    with pytest.raises(UserError) as error:
        choose_rows(labels, 0.1 / n, 0)
    assert len(choose_rows(labels, float(str(error.value).split("give ")[1].split()[0]), 0)) == 1


def test_no_labels_at_all() -> None:
    with pytest.raises(UserError, match="no labels"):
        choose_rows(Labels.none(10, 2), 0.5, 0)


# -- dataset.json --------------------------------------------------------------------------------------------


def from_json(labels: Any, space: FactorSpace | None = None) -> tuple[FactorSpace, Labels]:
    return read_document({"labels": labels}, "dataset.json", NAMES, space)


def entries(labels: Sequence[Any]) -> list[list[Any]]:
    return [[name, label] for name, label in zip(NAMES, labels, strict=False)]


def test_no_labels_are_no_factors() -> None:
    for document in (None, {}, {"labels": None}):
        space, labels = read_document(document, "dataset.json", NAMES)
        assert len(space) == 0 and labels.level_NF.shape == (4, 0)


def test_integers_are_one_class() -> None:
    space, labels = from_json(entries([2, 0, None]))
    assert space == FactorSpace((Factor.categorical("class", ("0", "1", "2")),))
    assert labels.level_NF[:, 0].tolist() == [2, 0, 0, 0]
    assert labels.known_NF[:, 0].tolist() == [True, True, False, False]


def test_one_hot_vectors_are_one_class() -> None:
    space, labels = from_json(entries([[0, 0, 1.0], [1.0, 0, 0], None, [0.0, 1, 0]]))
    assert space["class"].categories == ("0", "1", "2")
    assert labels.level_NF[:, 0].tolist() == [2, 0, 0, 1]
    assert labels.known_NF[:, 0].tolist() == [True, True, False, True]


@pytest.mark.parametrize("vectors", [[[0.5, 0.5], [0.0, 1.0]], [[1, 1], [0, 1]], [[0, 0], [0, 1]], [[1], [1]]])
def test_vectors_that_are_not_one_hot_throughout_are_no_class(vectors: list[Any]) -> None:
    assert from_json(entries(vectors))[0].names == ("label0", "label1")[: len(vectors[0])]


def test_a_class_of_a_dataset_json_has_five_digits_at_most() -> None:
    assert from_json(entries([99_999, 0]))[0]["class"].size == 100_000
    with pytest.raises(UserError, match="class 100000 is not in 0 to 99999"):
        from_json(entries([100_000, 0]))


def test_numbers_of_vectors_that_recur_are_a_grid() -> None:
    labels = [[f"{i}.png", [value]] for i, value in enumerate([1, 2, 4, 4, 2, 1])]
    space, _ = read_document({"labels": labels}, "dataset.json", [name for name, _ in labels])
    assert space["label0"] == Factor.scalar_grid("label0", [1, 2, 4])


def test_a_vector_s_number_near_a_value_of_the_grid_is_that_value() -> None:
    assert from_json(entries([[0.33], [0.667], [1.0], [0.33]]))[1].level_NF[:, 0].tolist() == [0, 0.5, 1, 0]


@pytest.mark.parametrize("label", [True, [True, False], [0.5, False], "1", {"a": 1}])
def test_labels_are_numbers(label: object) -> None:
    with pytest.raises(UserError, match=r"dataset\.json: label of '.*': .* is not a finite number"):
        from_json(entries([label, [0.5, 1.5]]))


def test_other_vectors_are_scalars() -> None:
    space, labels = from_json(entries([[0.5, 10], [1.5, 20], [None, 10]]))
    assert [(f.kind, f.low, f.high) for f in space] == [("scalar", 0.5, 1.5), ("scalar", 10, 20)]
    assert labels.level_NF[:3].tolist() == [[0, 0], [1, 1], [0, 0]]
    assert labels.known_NF[:3].tolist() == [[True, True], [True, True], [False, True]]


def test_vectors_of_which_a_part_is_unknown_are_no_class() -> None:
    space, labels = from_json(entries([[1, 0], [None, 1]]))
    assert space.names == ("label0", "label1")
    assert labels.known_NF[:2].tolist() == [[True, True], [False, True]]


def test_a_level_that_rounding_put_over_the_end_is_the_end() -> None:
    space = FactorSpace((Factor.scalar("size"),))
    _, labels = from_json(entries([[1.0000005], [-0.0000005]]), space)
    assert labels.level_NF[:2, 0].tolist() == [1, 0]


def test_with_factors_json_they_are_levels() -> None:
    space = FactorSpace((Factor.circular("hue", 12), Factor.categorical("shape", ("ring", "cross"))))
    _, labels = from_json(entries([[0.25, 1], [None, 0], [0.5, None]]), space)
    assert labels.level_NF[:3].tolist() == [[0.25, 1], [0, 0], [0.5, 0]]
    assert labels.known_NF[:3].tolist() == [[True, True], [False, True], [True, False]]


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        (entries([[0.5, 1], [0.5]]), ["b.png", "1 numbers", "2 factors"]),
        (entries([[1.5, 1]]), ["a.png", "hue=1.5", "0 to 1"]),
        (entries([[0.5, 0.5]]), ["a.png", "shape=0.5", "whole number"]),
        (entries([[0.5, 2]]), ["shape=2", "0 to 1"]),
        (entries([["x", 1]]), ["a.png", "x", "null"]),
        (entries([[float("nan"), 1]]), ["a.png", "nan", "null"]),
        ([["z.png", [0, 0]]], ["z.png", "no such image"]),
        ([["a.png", [0, 0]], ["a.png", [0, 0]]], ["a.png", "two labels"]),
        ([["a.png"]], ["name.png"]),
        ({"a.png": 1}, ["list"]),
    ],
)
def test_a_wrong_entry_is_named(labels: Any, words: list[str]) -> None:
    space = FactorSpace((Factor.circular("hue", 12), Factor.categorical("shape", ("ring", "cross"))))
    with pytest.raises(UserError) as error:
        from_json(labels, space)
    assert all(word in str(error.value) for word in ["dataset.json", *words]), str(error.value)


def test_vectors_of_different_length_without_factors_json() -> None:
    with pytest.raises(UserError, match=r"b\.png.* has 3 numbers, others have 2"):
        from_json(entries([[0.5, 1], [0.5, 1, 2]]))
