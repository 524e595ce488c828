"""Codes of anyone's model: what the file says, every metric of it, and one line for what is wrong."""

from __future__ import annotations

import io
import json
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semistylegan import metrics
from semistylegan.cli.program import main
from semistylegan.errors import UserError
from semistylegan.metrics.codes import CODE_METRICS, grid_order, read_codes

GRID = np.stack(np.unravel_index(np.arange(3 * 4 * 5), (3, 4, 5)), axis=1)
MANY = np.tile(GRID, (8, 1))
CODES = MANY + 0.1 * np.random.default_rng(0).normal(size=MANY.shape)


def test_every_metric_of_good_codes() -> None:
    scores = metrics.evaluate_codes(CODES, MANY, [name for name in CODE_METRICS if name != "dci"])
    assert scores["mig"] > 0.9 and scores["modularity"] > 0.95 and scores["irs"] > 0.8
    assert scores["sap"] > 0.2 and scores["explicitness"] > 0.9 and scores["info_m"] > 0.9
    assert "factor_vae is left out: it needs one image of every combination" in scores["note"]
    assert (scores["images"], scores["codes"], scores["factors"]) == (480, 3, 3)
    assert set(scores["ci95"]) == {"mig", "modularity", "irs"}, "480 images are too few to be measured in ten parts"
    low, high = scores["ci95"]["mig"]
    assert low < scores["mig"] <= high or high == 1
    assert scores["mig"] == metrics.mig(CODES, MANY)


def test_the_votes_take_a_whole_grid_in_any_order() -> None:
    order = np.random.default_rng(0).permutation(60)
    assert (GRID[order][grid_order(GRID[order])] == GRID).all()  # type: ignore[index]
    assert grid_order(MANY) is None
    twice = GRID.copy()
    twice[1] = twice[0]
    assert grid_order(twice) is None
    names = ["factor_vae", "beta_vae"]
    assert metrics.evaluate_codes(GRID[order] * 2.0, GRID[order], names)["factor_vae"] == 1
    scores = metrics.evaluate_codes(GRID[order][:, :1] * 2.0, GRID[order], names)
    assert scores["factor_vae"] < 0.5, "one code cannot tell three factors"


def test_enough_images_have_intervals_for_all_but_shares_of_information() -> None:
    codes = np.tile(CODES, (3, 1)) + 0.3 * np.random.default_rng(1).normal(size=(3 * len(CODES), 3))
    names = ["sap", "explicitness", "info_mec"]
    scores = metrics.evaluate_codes(codes, np.tile(MANY, (3, 1)), names)
    assert set(scores["ci95"]) == {"sap", "explicitness", "info_e"}
    for field, (low, high) in scores["ci95"].items():
        assert low < scores[field] < high < low + 0.2, field
    assert metrics.evaluate_codes(codes, np.tile(MANY, (3, 1)), ["sap"], intervals=False)["ci95"] == {}


def test_votes_have_intervals() -> None:
    codes = GRID + np.random.default_rng(0).normal(size=GRID.shape) * [0.5, 2, 2]
    scores = metrics.evaluate_codes(codes, GRID, ["factor_vae", "beta_vae"])
    for field in ("factor_vae", "beta_vae"):
        low, high = scores["ci95"][field]
        assert low < scores[field] < high < low + 0.1, field


def test_kinds_change_what_is_measured() -> None:
    random = np.random.default_rng(0)
    factors = np.stack([random.integers(0, 3, 3000), random.integers(0, 12, 3000)], axis=1)
    turn = (factors[:, 1] / 12 + random.normal(0, 0.01, 3000)) % 1
    codes = np.stack([np.array([2, 0, 1])[factors[:, 0]], turn], axis=1)
    names = ["mig", "sap", "explicitness", "irs", "info_mec"]
    plain = metrics.evaluate_codes(codes, factors, names, intervals=False)
    kinds = metrics.evaluate_codes(codes, factors, names, kinds=("categorical", "circular"), intervals=False)
    for field in ("sap", "explicitness", "info_e"):
        assert kinds[field] > plain[field] + 0.005, field
    assert kinds["info_e"] > 0.9 and kinds["mig"] > 0.9 and kinds["explicitness"] > 0.99


def test_a_subset_is_drawn_by_the_seed() -> None:
    one, two, other = (metrics.evaluate_codes(CODES, MANY, ["mig"], s, images=200) for s in (0, 0, 1))
    assert one == two and one["images"] == 200 and one["mig"] != other["mig"]


@pytest.mark.parametrize(
    ("codes", "factors", "more", "says"),
    [
        (np.full((30, 2), np.nan), MANY[:30], {}, "NaN"),
        (CODES[:1], MANY[:1], {}, "1 rows"),
        (CODES[:30], MANY[:29], {}, "30 codes"),
        (CODES[:30], np.zeros((30, 3)), {}, "none of them varies"),
        (CODES[:30, 0], MANY[:30], {}, "two dimensions"),
        (CODES[:10], MANY[:10], {"metrics": ["mig"]}, "more bins than the 10 images"),
        (CODES, MANY, {"metrics": ["best"]}, "--metrics best"),
        (CODES, MANY, {"metrics": []}, "--metrics: none is named; known are all, mig"),
        (CODES, MANY, {"kinds": ["scalar"]}, "1 are given"),
        (CODES, MANY, {"kinds": ["scalar", "scalar", "round"]}, "--kinds round"),
        (CODES, MANY, {"kinds": ["scalar", "scalar", "categorical"]}, "is to be categorical"),
        (np.arange(30)[:, None] * 1000.0, MANY[:30], {"kinds": ["categorical"]}, "is to be categorical"),
        (CODES, MANY, {"kinds": ["scalar", "scalar", "circular"]}, "leaves 0 to 1"),
        (CODES, MANY, {"images": 1}, "--images 1"),
        (CODES, MANY, {"seed": -1}, "seed=-1: a whole number of at least 0"),
    ],
)
def test_arrays_that_cannot_be_measured(codes: Any, factors: Any, more: dict[str, Any], says: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(UserError, match=says) as raised:
            metrics.evaluate_codes(codes, factors, **more)
    assert "\n" not in str(raised.value)


def test_one_image_a_value_leaves_out_what_cannot_be_and_says_so() -> None:
    scores = metrics.evaluate_codes(CODES[:12], MANY[:12], intervals=False)
    assert "mig is left out: bins=20: more bins than the 12 images" in scores["note"]
    assert "sap" in scores and all(np.isfinite(v) for v in scores.values() if isinstance(v, float))


def test_a_factor_that_hardly_varies_is_measured_without_an_interval() -> None:
    rare = np.zeros((300, 1), dtype=np.int64)
    rare[7] = 1
    scores = metrics.evaluate_codes(np.random.default_rng(0).normal(size=(300, 3)), rare, ["mig", "irs"])
    assert {"mig", "irs"} <= set(scores) and scores["ci95"] == {} and "left out" not in scores["note"]


def test_a_factor_that_never_varies_is_told_of() -> None:
    scores = metrics.evaluate_codes(CODES, np.insert(MANY, 1, 4, axis=1), ["irs"], intervals=False)
    assert scores["factors"] == 3 and scores["note"] == "Column 1 of the factors never varies and is left out."


def test_a_factor_that_does_not_vary_in_what_is_drawn_is_told_of() -> None:
    factors = MANY.copy()
    factors[:, 1] = np.arange(480) == 7
    assert 7 not in np.random.default_rng(0).permutation(480)[:100]
    scores = metrics.evaluate_codes(CODES, factors, ["irs"], images=100, intervals=False)
    assert scores["factors"] == 2
    said = "Column 1 of the factors has one value in the 100 images drawn and is left out of all but the votes."
    assert scores["note"] == said
    drawn = GRID[np.random.default_rng(2).permutation(60)[:2]]
    assert (drawn[0] != drawn[1]).sum() < 3
    votes = metrics.evaluate_codes(GRID * 2.0, GRID, ["factor_vae"], 2, images=2, intervals=False)
    assert votes["factor_vae"] == 1, "the votes take all images"


def test_mig_of_few_images_is_told_to_be_too_low() -> None:
    assert metrics.evaluate_codes(CODES, MANY, ["irs"], images=300, intervals=False)["note"] == ""
    note = metrics.evaluate_codes(CODES, MANY, ["mig"], images=300, intervals=False)["note"]
    assert note == "On so few images (300) MIG is too low: that of an encoder that reads well by 0.05."
    many = metrics.evaluate_codes(np.tile(CODES, (9, 1)), np.tile(MANY, (9, 1)), ["mig"], intervals=False)
    assert many["images"] == 4320 and many["note"] == ""
    kinds = metrics.evaluate_codes(MANY, MANY, ["mig"], kinds=("categorical",) * 3, images=300, intervals=False)
    assert kinds["note"] == "", "classes fall into few bins"


def test_every_image_with_another_value_is_no_crash() -> None:
    scores = metrics.evaluate_codes(CODES[:60], np.arange(60)[:, None] * [1, 7] % 61, ["mig", "info_mec"])
    assert "info_mec is left out: info_mec: every image has another value" in scores["note"] and "info_m" not in scores


def test_metrics_are_named_by_field_too() -> None:
    fields = metrics.evaluate_codes(CODES, MANY, ["info_e"], intervals=False)
    assert fields == metrics.evaluate_codes(CODES, MANY, ["info_mec"], intervals=False)
    assert fields == metrics.evaluate_codes(CODES, MANY, "info_mec", intervals=False)


def test_the_unit_of_a_number_does_not_silence_classes_and_angles() -> None:
    random = np.random.default_rng(0)
    factors = np.stack([random.integers(0, n, 600) for n in (5, 6, 3)], axis=1)
    codes = np.stack([factors[:, 0] / 4, (factors[:, 1] / 6 + random.normal(0, 0.01, 600)) % 1, factors[:, 2]], axis=1)
    kinds: Any = ("scalar", "circular", "categorical")
    wide, narrow = (
        metrics.evaluate_codes(codes * [unit, 1, 1], factors, ["info_mec"], kinds=kinds, intervals=False)
        for unit in (240, 0.01)
    )
    assert wide["info_e"] > 0.9 and narrow["info_e"] > 0.9


# -- files -------------------------------------------------------------------------------------------------------------


def test_npz_and_csv_hold_the_same(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", codes=CODES, factors=MANY / 7)
    head = "file_name,code_a,code_b,shape,code_c,size,hue"
    words = np.array(["ring", "box", "star"])
    lines = [
        f"{i}.png,{c[0]!r},{c[1]!r},{words[f[0]]},{c[2]!r},{f[1] / 10},{f[2]}"
        for i, (c, f) in enumerate(zip(CODES.tolist(), MANY, strict=True))
    ]
    (tmp_path / "a.csv").write_text("\n".join([head, *lines]) + "\n", encoding="utf-8")
    npz, table = read_codes(tmp_path / "a.npz"), read_codes(tmp_path / "a.csv")
    assert (npz.code_NL == table.code_NL).all() and (npz.index_NF == MANY).all()
    assert table.factor_names == ("shape", "size", "hue") and (table.index_NF[:, 1:] == MANY[:, 1:]).all()
    assert (table.index_NF[:, 0] == np.array([1, 0, 2])[MANY[:, 0]]).all()  # words in the order of the alphabet
    chosen = read_codes(tmp_path / "a.csv", ["shape", "hue"])
    assert chosen.code_NL.shape == (480, 4) and chosen.factor_names == ("shape", "hue")


def test_a_file_may_hold_negative_values(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", codes=CODES, factors=2 * (MANY > 0) - 1)  # attributes as CelebA has them
    codes = read_codes(tmp_path / "a.npz")
    assert (codes.index_NF == (MANY > 0)).all()
    assert codes.notes == ("factor 0, factor 1, factor 2: -1 and 1 are two values; no image is unknown.",)
    assert metrics.evaluate_codes(codes.code_NL, codes.index_NF, "mig")["mig"] > 0


def test_what_is_unknown_in_an_npz_is_no_value(tmp_path: Path) -> None:
    file = tmp_path / "a.npz"
    np.savez(file, codes=CODES, factors=np.where(MANY == 2, -1, MANY))
    with pytest.raises(UserError, match=r"a\.npz: factors: hold -1, which means unknown; leave those images out"):
        read_codes(file)
    np.savez(file, codes=CODES, factors=np.insert(MANY, 1, 2 * (MANY[:, 0] > 0) - 1, axis=1).astype(np.float32))
    assert read_codes(file).notes == ("factor 1: -1 and 1 are two values; no image is unknown.",)
    np.savez(file, codes=CODES, factors=MANY / 2 - 1)
    assert (read_codes(file).index_NF == MANY).all()  # metres, not value indices


def test_a_factor_of_very_many_numbers_is_binned_and_told(tmp_path: Path) -> None:
    light = np.linspace(0, 1, 480)
    np.savez(tmp_path / "a.npz", codes=CODES, factors=light[:, None])
    codes = read_codes(tmp_path / "a.npz")
    assert np.bincount(codes.index_NF[:, 0]).tolist() == [24] * 20
    assert codes.notes == ("factor 0 has 480 values and is measured in 20 even bins.",)


def npz_of(array: bytes) -> bytes:
    """An .npz whose arrays are these bytes."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as out:
        for name in ("codes.npy", "factors.npy"):
            out.writestr(name, array)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "says"),
    [
        ("a.txt", b"", "give an .npz"),
        ("a.npz", b"nothing", "not readable as .npz"),
        ("b.npz", {"codes": CODES}, "no array `factors`"),
        ("c.npz", {"codes": CODES[:, 0], "factors": MANY}, "one row an image"),
        ("d.npz", {"codes": np.array([["a"]]), "factors": np.array([[1]])}, "not numbers"),
        ("e.npz", {"codes": np.array([[{}]], dtype=object), "factors": np.array([[1]])}, "not readable as .npz"),
        ("f.npz", {"codes": CODES[:2], "factors": np.array([[np.nan], [1.0]])}, "holds blanks, NaN"),
        ("g.npz", {"codes": CODES[:2], "factors": np.array([["ring"], [""]])}, "holds blanks, NaN"),
        ("h.npz", {"codes": CODES[:2], "factors": np.zeros((2, 0))}, "at least one column"),
        ("i.npz", {"codes": CODES[:2], "factors": np.array([[1j], [2j]])}, "factor 0 holds complex numbers"),
        ("j.npz", {"codes": CODES[:2], "factors": np.zeros((2, 1), [("a", int), ("b", float)])}, "0 holds records"),
        ("k.npz", npz_of(b"\x93NUMPY\1\0\x29\x23" + b"-" * 9000 + b"1"), r"not readable as .npz \(MemoryError\)"),
        ("a.csv", b"code,shape\n", "holds no row"),
        ("b.csv", b"code,shape\n1,2,3\n", "line 2: 3 cells"),
        ("semicolons.csv", b"code;shape\n1,5;a\n", "columns are parted by ';'; save it with commas"),
        ("points.csv", b"code0;a\n1.5;2\n", "columns are parted by ';'; save it with commas"),
        ("tabs.csv", b"code0\ta\n1.5\t2\n", r"columns are parted by '\\t'; save it with commas"),
        ("decimal.csv", b"code,shape\n1,5,a\n", "line 2: 3 cells.*; commas stand between columns"),
        ("c.csv", b"code,shape\n1,a\nx,b\n", "line 3: code is 'x', not a number"),
        ("d.csv", b"z1,shape\n1,a\n", "no codes"),
        ("e.csv", b"code,code\n1,2\n", "the same name"),
        ("f.csv", b"code,size\n1,0.5\n2, \n", "line 3: size is blank; leave those images out"),
        ("g.csv", b"code,shape\n1,ring\n2,\n", "line 3: shape is blank"),
        ("h.csv", b",code,shape\n0,1,ring\n1,2,box\n", "column 1 has no name; name it, or leave it out"),
    ],
)
def test_files_that_cannot_be_read(tmp_path: Path, name: str, content: Any, says: str) -> None:
    if isinstance(content, dict):
        np.savez(tmp_path / name, **content)
    else:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(UserError, match=says) as raised:
        read_codes(tmp_path / name)
    assert str(tmp_path / name) in str(raised.value) and "\n" not in str(raised.value)


@pytest.mark.parametrize("name", ["nowhere.npz", "nowhere.csv"])
def test_a_file_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=rf"{name}: no such file; check the name$"):
        read_codes(tmp_path / name)


def test_blank_lines_at_the_end_of_a_csv_are_no_images(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,shape\n1,ring\n2,box\n\n\n", encoding="utf-8")
    assert len(read_codes(tmp_path / "a.csv").code_NL) == 2


def test_a_blank_column_without_a_name_is_none(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("code,shape,\n1,ring,\n2,box,\n", encoding="utf-8")
    assert read_codes(tmp_path / "a.csv").factor_names == ("shape",)


@pytest.mark.parametrize("name_of", [str, lambda i: f"img-{i}"])
def test_a_column_that_names_the_images_is_no_factor_and_no_code(tmp_path: Path, name_of: Callable[[int], str]) -> None:
    lines = [
        f"{name_of(i)},{c[0]!r},{c[1]!r},{f[1]}" for i, (c, f) in enumerate(zip(CODES.tolist(), MANY, strict=True))
    ]
    file = tmp_path / "a.csv"
    file.write_text("\n".join(["id,code_0,z1,size", *lines]) + "\n", encoding="utf-8")
    chosen = read_codes(file, ["size"])
    assert chosen.code_NL.shape == (480, 2) and chosen.factor_names == ("size",)
    assert chosen.notes == ("id differs in every row: it names the images and is left out, unless --factors has it.",)
    file.write_text("\n".join(["id,code_0,code_1,size", *lines]) + "\n", encoding="utf-8")
    assert read_codes(file).factor_names == ("size",)
    assert read_codes(file, ["id", "size"]).factor_names == ("id", "size")
    file.write_text("\n".join(["id,code_0,code_1,size", *lines[:100]]) + "\n", encoding="utf-8")
    assert read_codes(file).factor_names == ("id", "size")  # so few may be values


def test_the_command(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    np.savez(tmp_path / "codes.npz", codes=CODES, factors=MANY)
    assert main(["eval-codes", str(tmp_path / "codes.npz"), "--metrics", "mig,sap", "--seed", "2"]) == 0
    out = capsys.readouterr().out
    assert out.splitlines()[-1] == str(tmp_path / "codes.metrics.json") and "MIG" in out and "SAP" in out
    written = json.loads((tmp_path / "codes.metrics.json").read_text(encoding="utf-8"))
    assert written["mig"] == metrics.mig(CODES, MANY) and written["sap"] == metrics.sap(CODES, MANY, 2)
    assert len(written["file_sha256"]) == 64 and written["seed"] == 2
    words = ["--metrics", "mig", "--images", "100", "--out", str(tmp_path / "few.json")]
    assert main(["eval-codes", str(tmp_path / "codes.npz"), *words]) == 0
    assert json.loads((tmp_path / "few.json").read_text(encoding="utf-8"))["images"] == 100
    assert main(["eval-codes", str(tmp_path / "none.npz")]) == 2
    assert "none.npz: no such file" in capsys.readouterr().err
    np.savez(tmp_path / "nan.npz", codes=CODES * np.nan, factors=MANY)
    assert main(["eval-codes", str(tmp_path / "nan.npz")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "nan.metrics.json").exists()
