"""Factors: index, level, code and value are forms of one thing; the grids are those of the published data sets."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

EVERY_KIND = FactorSpace(
    (
        Factor.categorical("shape", ("ring", "square", "triangle")),
        Factor.circular("hue", 12),
        Factor.scalar("scale", 5, 0.13, 0.29),
        Factor.scalar_grid("light", (1, 2, 4, 9), unit="lx"),
        Factor.scalar("weight", None, -2, 3, unit="kg"),
        Factor.circular("yaw", None, -180, 180),
        Factor.scalar("constant", 1, 4, 5),
    )
)


@st.composite
def factors(draw: st.DrawFn) -> Factor:
    kind = draw(st.sampled_from(["scalar", "grid", "circular", "categorical"]))
    size = draw(st.integers(1, 40))
    low = draw(st.floats(-1e3, 1e3))
    span = draw(st.floats(0.01, 1e3))
    if kind == "categorical":
        return Factor.categorical("f", [f"name {i}" for i in range(size)])
    if kind == "grid":
        steps = draw(st.lists(st.floats(0.1, 10), min_size=1, max_size=20))
        return Factor.scalar_grid("f", list(low + np.cumsum([0, *steps])))
    return (Factor.scalar if kind == "scalar" else Factor.circular)("f", size, low, low + span)


@settings(max_examples=60, deadline=None)
@given(factors(), st.data())
def test_an_index_survives_every_form(factor: Factor, data: st.DataObject) -> None:
    assert factor.size is not None
    index = data.draw(st.integers(0, factor.size - 1))
    level = float(factor.level_of_index(index))
    assert factor.index_of_level(level) == index
    assert factor.index_of_level(factor.level_of(factor.value_of(level))) == index
    assert factor.index_of_level(factor.level_of(f"#{index}")) == index
    space = FactorSpace((factor,))
    code = space.encode(torch.tensor([[level]]))
    assert code.shape == (1, factor.width)
    assert space.indices_of_levels(space.decode(code).numpy())[0, 0] == index
    assert Factor.from_json(json.loads(json.dumps(factor.to_json()))) == factor


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), st.data())
def test_the_number_of_an_image_survives_its_values(sizes: list[int], data: st.DataObject) -> None:
    space = FactorSpace.grid({f"f{i}": n for i, n in enumerate(sizes)})
    index = data.draw(st.integers(0, math.prod(sizes) - 1))
    values = space.values_of(index)
    assert space.index_of(values) == index
    assert ((values >= 0) & (values < sizes)).all()


@settings(max_examples=40, deadline=None)
@given(st.floats(0, 0.999), st.floats(0, 0.999))
def test_continuous_levels_survive_a_code(weight: float, yaw: float) -> None:
    space = FactorSpace((EVERY_KIND["weight"], EVERY_KIND["yaw"]))
    level = torch.tensor([[weight, yaw]])
    np.testing.assert_allclose(space.error(space.decode(space.encode(level)).numpy(), level.numpy()), 0, atol=1e-5)


def test_codes_differ_by_at_most_about_one_within_a_factor() -> None:
    levels = torch.cartesian_prod(*[torch.tensor(f.levels(5), dtype=torch.float32) for f in EVERY_KIND.factors[:4]])
    space = FactorSpace(EVERY_KIND.factors[:4])
    code = space.encode(levels)
    for part in space.slices:
        assert torch.cdist(code[:, part], code[:, part]).max() <= math.sqrt(2) + 1e-5


# -- the published grids ---------------------------------------------------------------------------------------


def test_isaac3d_numbers_its_images_in_the_order_of_the_demo_not_of_the_readme() -> None:
    space = FactorSpace.isaac3d()
    assert space.total == 737_280
    strides = [space.index_of(np.eye(9, dtype=int)[i]) for i in range(9)]
    assert strides == [245760, 30720, 6144, 1536, 384, 96, 16, 4, 1]
    assert space.values_of(245760).tolist() == [1, 0, 0, 0, 0, 0, 0, 0, 0]
    assert space.index_of([2, 7, 4, 3, 3, 3, 5, 3, 3]) == 737_279


def test_a_level_becomes_an_index_by_rounding() -> None:
    x_move = FactorSpace.isaac3d()["robot_x-move"]
    assert x_move.size == 8
    stored = 1 / 7 * 5 - 1e-12  # as a table of float64 may hold level 5 of 8: truncated it would be 4
    assert int(stored * 7) == 4
    assert x_move.index_of_level(stored) == 5
    assert [int(x_move.index_of_level(i / 7)) for i in range(8)] == list(range(8))


@pytest.mark.parametrize(
    ("space", "total", "first", "last"),
    [
        (FactorSpace.falcor3d(), 233_280, "lighting_intensity", "camera_z-pos"),
        (FactorSpace.dsprites(), 737_280, "color", "position_y"),
        (FactorSpace.shapes3d(), 480_000, "floor_hue", "orientation"),
        (FactorSpace.mpi3d(), 1_036_800, "object_color", "vertical_axis"),
        (FactorSpace.mpi3d("complex"), 460_800, "object_color", "vertical_axis"),
    ],
)
def test_sizes_of_the_published_grids(space: FactorSpace, total: int, first: str, last: str) -> None:
    assert space.total == total
    assert (space.names[0], space.names[-1]) == (first, last)


PUBLISHED = {
    "isaac3d": "object_shape 3, robot_x-move 8, robot_y-move 5, camera_height 4, object_scale 4, lighting_intensity 4, "
    "lighting_y-dir 6, object_color 4, wall_color 4",
    "falcor3d": "lighting_intensity 5, lighting_x-dir 6, lighting_y-dir 6, lighting_z-dir 6, camera_x-pos 6, "
    "camera_y-pos 6, camera_z-pos 6",
    "dsprites": "color 1, shape 3, scale 6, orientation 40, position_x 32, position_y 32",
    "shapes3d": "floor_hue 10, wall_hue 10, object_hue 10, scale 8, shape 4, orientation 15",
    "mpi3d": "object_color 6, object_shape 6, object_size 2, camera_height 3, background_color 3, horizontal_axis 40, "
    "vertical_axis 40",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_factors_of_the_published_grids_in_their_order(name: str) -> None:
    space = getattr(FactorSpace, name)()
    assert ", ".join(f"{f.name} {f.size}" for f in space) == PUBLISHED[name]


# -- values, in words ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "value", "level"),
    [
        ("shape", "square", 1.0),
        ("shape", " square ", 1.0),
        ("hue", 90, 0.25),
        ("hue", "360", 0.0),
        ("scale", 0.21, 0.5),
        ("light", 4, 2 / 3),
        ("light", 3, 0.5),
        ("light", "#3", 1.0),
        ("weight", "-2", 0.0),
        ("yaw", -90, 0.25),
    ],
)
def test_values_in_own_units(name: str, value: float | str, level: float) -> None:
    assert EVERY_KIND[name].level_of(value) == pytest.approx(level, abs=1e-9)


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("shape", "heart", ["shape=heart", "ring, square, triangle"]),
        ("hue", "red", ["hue=red", "not a number", "0 to 360°"]),
        ("scale", 0.5, ["scale=0.5", "0.13 to 0.29"]),
        ("scale", "nan", ["scale=nan"]),
        ("light", "#4", ["light", "#0 to #3"]),
        ("light", "#", ["light=#", "#0 to #3"]),
        ("light", "#²", ["light=#²", "#0 to #3"]),
        ("light", "#٣", ["light=#٣", "#0 to #3"]),
        ("light", "#" + "9" * 5000, ["light", "#0 to #3"]),
        ("weight", "#1", ["weight", "no value indices"]),
        ("weight", None, ["weight=None", "not a number"]),
        ("hue", [1], ["hue=[1]", "not a number"]),
        ("hue", 10**400, ["hue=10", "not a number"]),
    ],
)
def test_a_wrong_value_is_named_with_what_fits(name: str, value: Any, words: list[str]) -> None:
    with pytest.raises(UserError) as error:
        EVERY_KIND[name].level_of(value)
    assert all(word in str(error.value) for word in words)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("value", [7, 7.0, np.int64(7), np.float32(7), "7", " 7 "])
def test_a_whole_number_names_a_category(value: Any) -> None:
    assert Factor.categorical("digit", ["3", "7", "5"]).level_of(value) == 1.0


def test_other_numbers_name_no_category() -> None:
    digit = Factor.categorical("digit", ["0", "1", "2"])
    for number in (3, 1.5, -1, math.nan, math.inf, np.float64(0.5), 10**400):
        with pytest.raises(UserError, match='not a category; known are 0, 1, 2, or a value index such as "#1"'):
            digit.level_of(number)
    for other in (True, np.bool_(True), None, "one", [1]):
        with pytest.raises(UserError, match=r"not a category; known are 0, 1, 2$"):
            digit.level_of(other)  # type: ignore[arg-type]


def test_errors_between_levels() -> None:
    a = np.array([[0, 0.95, 0.25, 0, 0, 0, 0]])
    b = np.array([[2, 0.05, 1.00, 0, 0, 0.5, 0]])
    np.testing.assert_allclose(EVERY_KIND.error(a, b), [[1, 0.2, 0.75, 0, 0, 1, 0]])


def test_the_file_holds_all(tmp_path: Path) -> None:
    path = tmp_path / "factors.json"
    path.write_text(json.dumps(EVERY_KIND.to_json()), encoding="utf-8")
    assert FactorSpace.load(path) == EVERY_KIND
    path.write_text(json.dumps(EVERY_KIND.to_json()), encoding="utf-8-sig")  # as some editors save it
    assert FactorSpace.load(path) == EVERY_KIND


@pytest.mark.parametrize("document", [[], {}, {"factors": [{}]}, {"factors": [{"name": "a", "kind": "round"}]}])
def test_a_wrong_file_is_a_users_error(document: object, tmp_path: Path) -> None:
    path = tmp_path / "factors.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    with pytest.raises(UserError, match=r"factors\.json"):
        FactorSpace.load(path)


@pytest.mark.parametrize("text", ["{", "[" * 100_000, '{"factors": [{"name": "a", "size": 1e999}]}', "9" * 5000])
def test_what_no_json_can_be_is_a_users_error(text: str, tmp_path: Path) -> None:
    (tmp_path / "factors.json").write_text(text)
    with pytest.raises(UserError, match=r"factors\.json: .*$"):
        FactorSpace.load(tmp_path / "factors.json")


@pytest.mark.parametrize("size", [2.5, "3", True, np.bool_(True), np.array([2, 3])])
def test_a_size_is_a_whole_number(size: Any) -> None:
    for make in (lambda: Factor.scalar("a", size), lambda: FactorSpace.grid({"a": size})):
        with pytest.raises(UserError, match=r"factor 'a': size .*: must be a whole number"):
            make()


@pytest.mark.parametrize(
    ("low", "high"), [(-1.7e308, 1.7e308), (0, math.inf), (math.nan, 1), (1, 1), (math.inf, math.inf)]
)
def test_a_range_has_a_width(low: float, high: float) -> None:
    with pytest.raises(UserError, match=r"factor 'x': range \[.*\] is empty or not finite"):
        Factor.scalar("x", None, low, high)


@pytest.mark.parametrize(
    "entry", [{"name": "\ud800"}, {"name": "x", "unit": "\ud800"}, {"categories": ["a", "\ud800"]}]
)
def test_what_cannot_be_written_down_is_no_name(entry: dict[str, Any]) -> None:
    kind = "categorical" if "categories" in entry else "scalar"
    with pytest.raises(UserError, match=r"factor '.*': '\\ud800' is not UTF-8") as error:
        Factor.from_json({"name": "x", "kind": kind, **entry})
    str(error.value).encode()


def test_numpys_whole_numbers_are_sizes() -> None:
    space = FactorSpace.grid({"a": np.int64(3)})  # type: ignore[dict-item]
    assert space == FactorSpace.grid({"a": 3}) and json.loads(json.dumps(space.to_json())) == space.to_json()
    assert json.dumps(Factor.circular("b", np.uint8(4)).to_json())  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [0, 1_000_001, 1e30])
def test_a_size_is_neither_nothing_nor_endless(size: float) -> None:
    with pytest.raises(UserError, match=r"factor 'light': size \d+ is not between 1 and 1000000"):
        Factor.from_json({"name": "light", "size": size})


@pytest.mark.parametrize(
    ("field", "value", "wanted"),
    [
        ("size", 3.7, "a whole number"),
        ("size", "4", "a whole number"),
        ("size", True, "a whole number"),
        ("size", math.nan, "a whole number"),
        ("size", [4], "a whole number"),
        ("range", ["0", 3], "a list of numbers"),
        ("range", [0, True], "a list of numbers"),
        ("range", "03", "a list of numbers"),
        ("range", 5, "a list of numbers"),
        ("range", [0, 10**400], "a list of numbers"),
        ("grid", "0123", "a list of numbers"),
        ("grid", [0, 1, "2"], "a list of numbers"),
        ("grid", 3, "a list of numbers"),
        ("as_classes", "false", "true or false"),
        ("as_classes", 1, "true or false"),
        ("grows", "no", "true or false"),
        ("unit", 5, "words"),
        ("categories", "abc", "a list of names"),
        ("categories", ["a", None], "a list of names"),
        ("categories", ["a", True], "a list of names"),
        ("categories", ["a", ["b"]], "a list of names"),
    ],
)
def test_a_field_of_another_type_is_named_with_its_value(field: str, value: object, wanted: str) -> None:
    entry = {"name": "light", "kind": "categorical" if field == "categories" else "scalar", "size": 4}
    with pytest.raises(UserError) as error:
        Factor.from_json(entry | {field: value})
    assert str(error.value) == f"factor 'light': {field} {json.dumps(value)[:40]}: must be {wanted}"


def test_fields_that_are_null_or_whole_are_read() -> None:
    empty = dict.fromkeys(("size", "range", "grid", "unit", "as_classes", "grows"))
    assert Factor.from_json({"name": "light", **empty}) == Factor.scalar("light")
    assert Factor.from_json({"name": "light", "size": 4.0, "as_classes": True}).size == 4
    assert Factor.from_json({"name": "light", "kind": "categorical", "categories": [1, 2.5]}).categories == ("1", "2.5")


@pytest.mark.parametrize("factor", EVERY_KIND.factors, ids=lambda f: f.name)
def test_values_of_a_grid_survive_single_precision(factor: Factor) -> None:
    for index in range(factor.size or 0):
        level = factor.level_of_index(index)
        assert factor.value_of(float(np.float32(level))) == factor.value_of(float(level))
    between = float(np.float32(0.123456))
    assert factor.kind == "categorical" or factor.value_of(between) != factor.value_of(round(between, 3))


def test_names_have_one_line_and_a_unit_may_be_null() -> None:
    with pytest.raises(UserError, match=r"factor name 'size\\n\(cm\)': write it on one line"):
        Factor.scalar("size\n(cm)")
    for end in ("\n", "\r"):
        with pytest.raises(UserError, match=r"factor 'shape': category 'a\\[nr]b': write it on one line"):
            Factor.categorical("shape", ["ring", f"a{end}b"])
    assert Factor.from_json({"name": "size", "unit": None}).unit == ""


def test_where_nothing_is_known_the_message_says_so() -> None:
    with pytest.raises(UserError, match="unknown factor 'light': there are no labels"):
        FactorSpace(()).position("light")
    with pytest.raises(UserError, match="--set light: write factor=value"):
        FactorSpace(()).parse_settings(["light"])


def test_a_factor_s_name_may_hold_the_sign_that_ends_it() -> None:
    space = FactorSpace(tuple(Factor.scalar(name) for name in ("a", "a=b", "c")))
    assert space.split_settings(["a=b=0.5", "c = =1"]) == {"a=b": "0.5", "c": "=1"}
    assert space.split_settings(["a=0.5", "d=e=f"]) == {"a": "0.5", "d": "e=f"}
    assert space.parse_settings(["a=b=0.5"]) == {"a=b": 0.5}


def test_without_a_grid_a_level_falls_into_even_bins() -> None:
    weight = Factor.scalar("weight")
    levels = np.array([0, 0.04, 0.06, 0.5, 0.97, 1.0, 1.2, -0.1])
    assert weight.index_of_level(levels).tolist() == [0, 0, 1, 10, 19, 19, 19, 0]
    assert weight.index_of_level(levels, 4).tolist() == [0, 0, 0, 2, 3, 3, 3, 0]
    assert Factor.circular("yaw").index_of_level(levels[:6], 4).tolist() == [0, 0, 0, 2, 0, 0]
    space = FactorSpace((weight, Factor.scalar("size", 3), Factor.circular("yaw")))
    assert space.indices_of_levels(np.array([[0.6, 1.0, 0.5]]), 4).tolist() == [[2, 2, 2]]
    assert space.indices_of_levels(np.array([[0.6, 1.0, 0.5]])).tolist() == [[12, 2, 10]]


def test_a_value_that_rounding_put_beyond_its_range_is_its_end() -> None:
    weight = Factor.scalar("weight", None, 0, 10)
    assert [weight.level_of(value) for value in (10 + 9e-6, -9e-6)] == [1.0, 0.0]
    for value in (10 + 1.1e-5, -1.1e-5):
        with pytest.raises(UserError, match="out of range"):
            weight.level_of(value)


def test_names_are_told_apart() -> None:
    for names in (("ring", "ring"), ("ring", " oval"), ("ring", "")):
        with pytest.raises(UserError, match="factor 'shape': "):
            Factor.categorical("shape", names)
    with pytest.raises(UserError, match="two factors are named 'x'"):
        FactorSpace((Factor.scalar("x"), Factor.circular("x")))


def test_some_factors_keep_the_order_that_they_had() -> None:
    assert EVERY_KIND.only(["yaw", "shape"]).names == ("shape", "yaw")


def test_a_grid_says_size_and_range() -> None:
    grid = Factor.scalar_grid("light", (1, 2, 4, 8))
    short: dict[str, object] = {"name": "light", "grid": [1, 2, 4, 8]}
    for more in ({}, {"range": [1, 8]}, {"size": 4}, {"range": [1, 8], "size": 4, "kind": "scalar"}):
        assert Factor.from_json(short | more) == grid
    for more, words in (
        ({"size": 3}, "grid must list its 3 values in ascending order"),
        ({"grid": [4, 2, 1]}, "grid must list its 3 values in ascending order"),
        ({"range": [0, 8]}, "grid must start at 0.0 and end at 8.0"),
        ({"grid": [3]}, "a grid needs at least two values"),
        ({"kind": "circular"}, "only a scalar factor has a grid"),
    ):
        with pytest.raises(UserError, match=f"factor 'light': {words}"):
            Factor.from_json(short | more)


@pytest.mark.parametrize("field", ["Kind", "units", "ranges", "catagories", "SIZE"])
def test_a_mistyped_field_is_named_with_the_known_ones(field: str) -> None:
    with pytest.raises(UserError, match=f"factor 'hue': unknown field '{field}'; known are name, kind, range") as error:
        Factor.from_json({"name": "hue", field: 3})
    assert "\n" not in str(error.value)
    assert Factor.from_json({"name": "hue", "why": "a note of the user's own"}) == Factor.scalar("hue")


def test_every_factor_on_a_line() -> None:
    space = EVERY_KIND.with_kinds("scalar")
    assert all(f.kind == "scalar" for f in space)
    assert space.code_width == len(space)
    levels = np.array([[2, 11 / 12, 1, 1, 0.3, 0.4, 0]])
    np.testing.assert_allclose(EVERY_KIND.scalar_levels(levels), [[1, 1, 1, 1, 0.3, 0.4, 0]], atol=1e-6)


def test_samples_are_values_of_the_grid() -> None:
    levels = EVERY_KIND.sample(500, torch.Generator().manual_seed(1)).numpy()
    for f, factor in enumerate(EVERY_KIND):
        if factor.size is not None:
            near = factor.level_of_index(factor.index_of_level(levels[:, f]))
            np.testing.assert_allclose(levels[:, f], near, atol=1e-6)
            assert len(np.unique(levels[:, f].round(4))) == factor.size
        else:
            assert 0 <= levels[:, f].min() < 0.05 and 0.95 < levels[:, f].max() <= 1


def test_a_scalar_as_classes_has_an_entry_for_each_value() -> None:
    space = FactorSpace((Factor.scalar("size", 3), Factor.scalar("place"))).with_classes(["size"])
    levels = torch.tensor([[0.0, 0.2], [0.5, 0.0], [0.25, 1.0], [1.0, 0.7]])
    code = space.encode(levels)
    expected = [[1, 0, 0, 0.2], [0, 1, 0, 0], [0.5, 0.5, 0, 1], [0, 0, 1, 0.7]]
    torch.testing.assert_close(code, torch.tensor(expected))
    said = torch.tensor([[3.0, -1, 2, 0.4], [-9, -8, -7, 2]])  # logits need not be a code
    torch.testing.assert_close(space.decode(said), torch.tensor([[0.0, 0.4], [1.0, 1.0]]))
    assert space.kinds == ("scalar", "scalar")
    assert FactorSpace.from_json(json.loads(json.dumps(space.to_json()))) == space


def test_what_is_said_of_classes_becomes_probabilities() -> None:
    space = FactorSpace((Factor.scalar("size", 2), Factor.categorical("shape", ("a", "b")), Factor.circular("yaw")))
    said = torch.tensor([[0.0, math.log(3), math.log(4), 0.0, 2.0, -1.0]])
    expected = torch.tensor([[0.25, 0.75, 0.8, 0.2, 2.0, -1.0]])
    torch.testing.assert_close(space.with_classes(["size"]).soften(said), expected)


def test_as_classes_needs_a_grid_and_leaves_classes_alone() -> None:
    assert EVERY_KIND.with_classes([f.name for f in EVERY_KIND if f.kind == "categorical"]) == EVERY_KIND
    with pytest.raises(UserError, match="as_classes needs a scalar factor with a grid"):
        FactorSpace((Factor.scalar("place"),)).with_classes(["place"])
    with pytest.raises(UserError, match="as_classes needs a scalar"):
        FactorSpace((Factor.circular("hue", 12),)).with_classes(["hue"])


def test_a_class_number_is_rounded_and_one_that_is_unknown_may_be_any() -> None:
    space = FactorSpace((Factor.categorical("shape", ("a", "b", "c")),))
    code = space.encode(torch.tensor([[1.9999998], [0.4], [-3.0], [1e6]]))
    assert code.tolist() == [[0, 0, 1], [1, 0, 0], [1, 0, 0], [0, 0, 1]]


def test_levels_span_a_factor_and_go_round_a_circle_once() -> None:
    assert Factor.circular("yaw").levels(4).tolist() == [0, 0.25, 0.5, 0.75]
    assert Factor.scalar("weight").levels(3).tolist() == [0, 0.5, 1]
    assert Factor.scalar("size", 9).levels(3).tolist() == [0, 0.5, 1]


def test_a_whole_turn_is_the_place_where_it_began() -> None:
    """An angle just under zero is decoded as 1 in single precision."""
    yaw = Factor.circular("yaw")
    level = FactorSpace((yaw,)).decode(torch.tensor([[0.5, -1e-9]])).item()
    assert level == 1.0 and yaw.value_of(level) == 0.0


def test_on_a_line_values_stay_what_they_are_and_classes_are_their_numbers() -> None:
    for factor in EVERY_KIND:
        line = factor.as_scalar()
        for index in range(factor.size or 0):
            value = index if factor.kind == "categorical" else factor.value_of(float(factor.level_of_index(index)))
            assert line.value_of(float(line.level_of_index(index))) == pytest.approx(value)
        assert line.unit == factor.unit


def test_factors_without_names_keep_their_kinds_and_sizes() -> None:
    space = EVERY_KIND.anonymous()
    assert [(f.kind, f.size, f.width) for f in space] == [(f.kind, f.size, f.width) for f in EVERY_KIND]
    assert space.names == tuple(f"code{i}" for i in range(len(EVERY_KIND)))


def test_a_category_may_be_named_like_a_value_index() -> None:
    tag = Factor.categorical("tag", ("#1", "#2", "x"))
    assert [tag.level_of(value) for value in ("#1", "#2", "#0")] == [0, 1, 0]


def test_numbers_beyond_the_grid_are_a_users_error() -> None:
    space = FactorSpace.grid({"a": 3, "b": 4})
    for values in ([0, 4], [3, 0], [-1, 0], [[0, 0], [0, 4]]):
        with pytest.raises(UserError, match=r"factor '[ab]': value indices run from 0 to [23]"):
            space.index_of(values)  # type: ignore[arg-type]
    for index in (-1, 12, np.array([0, 12])):
        with pytest.raises(UserError, match="images are numbered 0 to 11"):
            space.values_of(index)
    assert type(space.index_of([2, 3])) is int


def test_of_many_categories_a_message_names_a_few() -> None:
    factor = Factor.categorical("species", [f"species-{i:04d}" for i in range(5000)])
    assert len(factor.describe_range()) < 400 and "(5,000 in all)" in factor.describe_range()
    with pytest.raises(UserError, match=r"^species=specis-4321: not a category; known are .*; such as .*species-4321"):
        factor.level_of("specis-4321")
