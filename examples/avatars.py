"""Faces from python-avatars as a folder of PNGs with a metadata.csv of words: labelled pictures that we did not draw.

    pip install 'semistylegan[examples]'
    python examples/avatars.py avatars/ --count 8000
    semistylegan import folder --source avatars/ --out avatars.zip --resolution 64
    semistylegan train --data avatars.zip --out runs/avatars --label-fraction 0.025

Six parts of a face are named in the table. Eyes, eyebrows, clothes and their colours vary too, but nobody labels them:
they are what z is for. The same command again draws what is missing; the same seed gives the same faces. A folder with
faces of another seed or size is refused: the table would not be theirs.
"""

from __future__ import annotations

import argparse
import csv
import re
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import python_avatars as pa
import resvg_py
from PIL import Image

FACTORS: dict[str, dict[str, object]] = {
    "hair": {
        "short": pa.HairType.SHORT_FLAT,
        "quiff": pa.HairType.QUIFF,
        "bun": pa.HairType.BUN,
        "bob": pa.HairType.BOB,
        "long": pa.HairType.STRAIGHT_STRAND,
        "afro": pa.HairType.FRO,
    },
    "hair_color": {
        "black": pa.HairColor.BLACK,
        "brown": pa.HairColor.BROWN,
        "blonde": pa.HairColor.BLONDE_GOLDEN,
        "red": pa.HairColor.RED,
        "pink": pa.HairColor.PASTEL_PINK,
        "silver": pa.HairColor.SILVER_GRAY,
    },
    "skin": {
        "pale": pa.SkinColor.PALE,
        "tan": pa.SkinColor.BROWN,
        "brown": pa.SkinColor.DARK_BROWN,
        "dark": pa.SkinColor.BLACK,
    },
    "beard": {
        "none": pa.FacialHairType.NONE,
        "moustache": pa.FacialHairType.MOUSTACHE_MAGNUM,
        "full": pa.FacialHairType.BEARD_MEDIUM,
    },
    "glasses": {
        "none": pa.AccessoryType.NONE,
        "clear": pa.AccessoryType.PRESCRIPTION_2,
        "white": pa.AccessoryType.KURT,
        "dark": pa.AccessoryType.WAYFARERS,
    },
    "mouth": {
        "smile": pa.MouthType.BIG_SMILE,
        "serious": pa.MouthType.SERIOUS,
        "teeth": pa.MouthType.GRIMACE,
        "tongue": pa.MouthType.TONGUE,
    },
}
"""Factor -> word -> part of python-avatars."""

UNLABELLED: dict[str, list[object]] = {
    "eyes": [pa.EyeType.DEFAULT, pa.EyeType.HAPPY, pa.EyeType.SIDE, pa.EyeType.SURPRISED, pa.EyeType.CLOSED],
    "eyebrows": [pa.EyebrowType.DEFAULT, pa.EyebrowType.RAISED_EXCITED, pa.EyebrowType.ANGRY],
    "clothing": [pa.ClothingType.SHIRT_CREW_NECK, pa.ClothingType.HOODIE, pa.ClothingType.BLAZER_SHIRT],
    "clothing_color": [pa.ClothingColor.BLUE_01, pa.ClothingColor.RED, pa.ClothingColor.HEATHER],
}
FRAME = "22 4 220 220"
"""Left, top, width and height of what is shown: the head, not the chest (the drawing is 264 x 280)."""
BACKGROUND = "#cfe3f2"


def words_of(index: int, seed: int) -> dict[str, str]:
    """The labels of face `index`: each factor drawn evenly."""
    random = np.random.default_rng([seed, index])
    return {factor: list(parts)[random.integers(len(parts))] for factor, parts in FACTORS.items()}


def draw(index: int, seed: int, side: int) -> bytes:
    """Face `index` as a PNG of side x side pixels."""
    word = words_of(index, seed)
    part = {factor: FACTORS[factor][w] for factor, w in word.items()}
    random = np.random.default_rng([seed, index, 1])
    rest = {name: options[random.integers(len(options))] for name, options in UNLABELLED.items()}
    avatar = pa.Avatar(
        style=pa.AvatarStyle.TRANSPARENT,
        top=part["hair"],
        hair_color=part["hair_color"],
        facial_hair_color=part["hair_color"],
        skin_color=part["skin"],
        facial_hair=part["beard"],
        accessory=part["glasses"],
        mouth=part["mouth"],
        **rest,
    )
    head = f'width="{side}px" height="{side}px" viewBox="{FRAME}"'
    svg = re.sub(r'width="264px" height="280px" viewBox="0 0 264 280"', head, avatar.render(), count=1)
    assert head in svg, "python-avatars draws in another frame"
    return bytes(resvg_py.svg_to_bytes(svg_string=svg, background=BACKGROUND, skip_system_fonts=True))


def write(index: int, folder: Path, seed: int, side: int) -> None:
    """Draws a face into the folder, whole or not at all."""
    path = folder / f"{index:06d}.png"
    if not path.exists():
        half = path.with_suffix(".half")
        half.write_bytes(draw(index, seed, side))
        half.replace(path)


def not_of(folder: Path, rows: list[dict[str, str]], side: int) -> str:
    """What in the folder is not of these rows or this size, in words; nothing where all is."""
    table = folder / "metadata.csv"
    if table.exists():
        with table.open(newline="", encoding="utf-8") as file:
            if any(there != row for there, row in zip(csv.DictReader(file), rows, strict=False)):
                return "metadata.csv is that of other faces"
    if rows and (face := folder / rows[0]["file_name"]).exists():
        with Image.open(face) as image:
            if image.size != (side, side):
                return f"its faces have {image.width} pixels a side"
    return ""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to draw")
    parser.add_argument("--count", type=int, default=8_000, help="how many faces")
    parser.add_argument("--seed", type=int, default=0, help="which faces")
    parser.add_argument("--side", type=int, default=128, help="pixels a side")
    parser.add_argument("--workers", type=int, default=None, help="processes; one a core where not given")
    args = parser.parse_args()
    args.folder.mkdir(parents=True, exist_ok=True)
    rows = [{"file_name": f"{i:06d}.png", **words_of(i, args.seed)} for i in range(args.count)]
    if other := not_of(args.folder, rows, args.side):
        parser.error(f"{args.folder}: {other}; give a new folder, or the --seed and --side that it was drawn with")
    with (args.folder / "metadata.csv").open("w", newline="", encoding="utf-8") as file:
        table = csv.DictWriter(file, ["file_name", *FACTORS])
        table.writeheader()
        table.writerows(rows)
    task = partial(write, folder=args.folder, seed=args.seed, side=args.side)
    with ProcessPoolExecutor(args.workers) as pool:
        for done, _ in enumerate(pool.map(task, range(args.count), chunksize=50), 1):
            if done % 500 == 0 or done == args.count:
                print(f"{done:,} of {args.count:,} faces")
    print(args.folder)


if __name__ == "__main__":
    main()
