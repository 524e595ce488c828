"""What a run is about: the images that it may see; which factors an editor edits, which are as classes, which stay what
they are in moved images and in tinted ones."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from semistylegan.data.columns import between_commas
from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import held_out_rows, hold_out_parts
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace
from semistylegan.training.config import TrainConfig


def training_rows(config: TrainConfig, data: Dataset) -> npt.NDArray[np.int64]:
    """Numbers of the images that the run may see: all but those of `--hold-out`.

    Raises:
        UserError: a hold-out that cannot be read, or holds out everything.
    """
    rows = np.arange(len(data), dtype=np.int64)
    if config.hold_out is None:
        return rows
    return np.setdiff1d(rows, held_out_rows(data.labels, data.space, config.hold_out, config.seed))


def notes_on_labels(config: TrainConfig, data: Dataset) -> list[str]:
    """What to know of the labels of a run, a line each: images that a hold-out by value cannot find, since they have no
    such label, and what labels outside the labelled rows say all the same."""
    notes, rows = [], training_rows(config, data)
    settings = [part for part in hold_out_parts(data.space, config.hold_out or "") if "=" in part]
    for name in data.space.split_settings(settings):
        if unknown := int((~data.labels.known_NF[rows, data.space.position(name)]).sum()):
            what = f"{unknown} images have no label of {name}, and are trained on whatever they show"
            notes.append(f"--hold-out {config.hold_out}: {what}")
    if config.system != "info" and data.infers_factors and (config.label_fraction or 1.0) < 1:
        what = "ranges and categories of factors are those of all labels, hidden ones too"
        notes.append(f"{data.path}: without a factors.json, {what}")
    return notes


def completed(config: TrainConfig, data: Dataset) -> TrainConfig:
    """The configuration, checked, with all that the data decides: what depends on the resolution, the factors that an
    editor edits, those whose codes are as classes, those that a moved picture keeps, and a tinted one.

    Raises:
        UserError: a value that cannot be, an unknown factor, or no name that sounds fine.
    """
    config = config.validated().resolved(data.resolution)
    if config.system == "info":
        return config
    space = data.space
    if config.system == "fine":
        space = fine_factors(config.fine_factors, space)
        config = dataclasses.replace(config, fine_factors=",".join(space.names))
    as_classes = ",".join(class_factors(config, space.with_kinds(config.factor_kinds))) or "none"
    # What an image keeps does not depend on --factor-kinds: the factors as the data set has them.
    every, space = own_with_classes(config, data.space), own_with_classes(config, space)
    if config.shift is None:
        moves = config.shift_keeps is not None or not all(map(stays_when_moved, every))
        config = dataclasses.replace(config, shift=SHIFT if moves and config.alpha else 0.0)
    if config.tint is None:
        tints = config.tint_keeps is not None or (data.channels == 3 and any(map(stays_when_tinted, space)))
        config = dataclasses.replace(config, tint=TINT if tints and config.alpha else 0.0)
    of_moved = kept_factors(config.shift_keeps, space, stays_when_moved)
    of_tinted = kept_factors(config.tint_keeps, space, stays_when_tinted)
    shift_keeps = ",".join(of_moved if config.shift and config.alpha else ()) or "none"
    tint_keeps = ",".join(of_tinted if config.tint and config.alpha else ()) or "none"
    return dataclasses.replace(config, as_classes=as_classes, shift_keeps=shift_keeps, tint_keeps=tint_keeps)


def notes_on_choices(given: TrainConfig, config: TrainConfig, data: Dataset) -> list[str]:
    """What :func:`completed` chose by the factors' names and kinds, a line each, and what found nothing to choose."""
    chosen = (
        ("fine_factors", "fine factors, chosen by their names"),
        ("as_classes", "as classes, chosen by their names"),
        ("shift_keeps", "factors that moved images keep, chosen by their kinds and names"),
        ("tint_keeps", "factors that tinted images keep, chosen by their names"),
    )
    notes = [
        f"{what}: {names.replace(',', ', ')} (--{field.replace('_', '-')} says otherwise)"
        for field, what in chosen
        if getattr(given, field) is None and (names := getattr(config, field)) not in (None, "none")
    ]
    for option, images, usual in (("shift", "moved", SHIFT), ("tint", "tinted", TINT)):
        much, named = getattr(given, option), getattr(given, f"{option}_keeps")
        if named == "none" or not (much or named):
            continue
        asked = f"--{option} {much}" if much else f"--{option}-keeps {named}"
        if not config.alpha:
            notes.append(f"{asked}: no images are {images} with --alpha 0, which is their weight; give it another")
        elif not getattr(config, option):
            notes.append(f"{asked}: no images are {images}; add --{option} {usual}")
        elif getattr(config, f"{option}_keeps") == "none":
            notes.append(f"{asked}: no factor seems to stay in {images} images; --{option}-keeps names some")
        elif option == "shift" and much and round(much * data.resolution) == 0:
            notes.append(
                f"{asked}: less than a pixel of {data.resolution}, so no image is moved; --shift 0 leaves it out"
            )
    if given.shift is None and not config.shift and len(data.space) and config.alpha:
        what = "no factor may be a place, nor change when images are moved"
        notes.append(f"no moved images: {what}; --shift {SHIFT} where things lie anywhere")
    if given.tint is None and not config.tint and data.channels == 3 and config.alpha:
        what = "no factor is named like a shape, a size, a place or an angle"
        notes.append(f"no tinted images: {what}; --tint-keeps names those that other colours leave as they are")
    return notes


def fine_factors(chosen: str | None, space: FactorSpace) -> FactorSpace:
    """The factors that an editor edits: those of `--fine-factors`, else :func:`guess_fine`.

    Raises:
        UserError: an unknown factor, or no name that sounds fine.
    """
    names = guess_fine(space.names) if chosen is None else listed(chosen, space)
    if not names:
        raise UserError(
            f"--fine-factors: not given, and no factor's name says that it is fine; "
            f"name those to be edited of {', '.join(space.names)}"
        )
    return space.only(names)


def class_factors(config: TrainConfig, space: FactorSpace) -> tuple[str, ...]:
    """The factors whose codes are as classes: those of `--as-classes`. Where it is left out, those of a few values
    whose names speak of classes (none with `--factor-kinds scalar`, which wants one number of each).

    Values without an order, such as colours, are far better as classes: as one number they lead G from the first to
    the last over all the others. Sizes and intensities gained nothing clear from it (docs/results/editing.md).

    Raises:
        UserError: an unknown factor, or one without a grid.
    """
    chosen = config.as_classes
    if chosen == "none" or (chosen is None and config.factor_kinds == "scalar"):
        return ()
    if chosen is not None:
        names = space.only(listed(chosen, space)).names
        for factor in space.only(names):
            if factor.kind == "circular" or (factor.size or 0) < 2:
                raise UserError(f"--as-classes {factor.name}: not a number with a grid of values; leave it out")
        return names
    few = [f.name for f in space if f.kind == "scalar" and 2 <= (f.size or 0) <= MOST_CLASSES]
    return tuple(name for name in few if any(word in name.lower() for word in CLASS_WORDS))


def own_with_classes(config: TrainConfig, space: FactorSpace) -> FactorSpace:
    """The factors as the data set has them, and those numbers as classes whose codes will be."""
    chosen = class_factors(config, space.with_kinds(config.factor_kinds))
    return space.with_classes([factor.name for factor in space if factor.kind == "scalar" and factor.name in chosen])


def listed(names: str, space: FactorSpace) -> list[str]:
    """`"a, b"` -> ["a", "b"]; a factor's name may hold commas itself."""
    return between_commas(names, lambda text: text in space.names)


def kept_factors(chosen: str | None, space: FactorSpace, stays: Callable[[Factor], bool]) -> tuple[str, ...]:
    """The factors whose value stays when the picture is changed: those named (`--shift-keeps`, `--tint-keeps`); where
    this is left out, those that seem to.

    Raises:
        UserError: an unknown factor.
    """
    if chosen is not None:
        return space.only(listed(chosen, space)).names if chosen != "none" else ()
    return tuple(factor.name for factor in space if stays(factor))


def stays_when_moved(factor: Factor) -> bool:
    """Whether a factor seems to stay what it is when the picture is moved: classes, angles, and numbers whose names
    speak of colour, light or size; but none that is named like a place, or has values that are, and nothing along an
    axis of the picture but an angle."""
    along = words_in(factor.name) & AXIS_WORDS and factor.kind != "circular"
    if along or words_of(factor) & PLACE_WORDS:
        return False
    named = any(word in factor.name.lower() for word in KEPT_WORDS)
    return named or factor.has_classes or factor.kind == "circular"


def stays_when_tinted(factor: Factor) -> bool:
    """Whether a factor seems to stay what it is when the picture's colours change: its name speaks of a shape, a size,
    a place or an angle, and neither it nor a value's name of colour or light. Others (skin, season) may be colours."""
    words = words_of(factor)
    if any(part in word for word in words for part in COLOR_PARTS) or words & COLOR_WORDS:
        return False
    named = words_in(factor.name)
    return bool(named & (FORM_WORDS | PLACE_WORDS | AXIS_WORDS)) or any(
        part in word for word in named for part in FORM_PARTS
    )


def words_of(factor: Factor) -> set[str]:
    """Of its name and of the names of its values."""
    return words_in(" ".join((factor.name, *factor.categories)))


def words_in(text: str) -> set[str]:
    """`"cameraPos X, left_eye"` -> camera, pos, x, left, eye."""
    return {word.lower() for word in re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)}


SHIFT = 0.25
"""What --shift is where it is left out and things move in the pictures (docs/results/studies.md)."""
KEPT_WORDS = ("colo", "hue", "satur", "bright", "intensity", "scale", "size")
"""Of names of numbers that stay what they are when the picture is moved."""
PLACE_WORDS = {
    *("place", "position", "pos", "location", "where", "corner", "quadrant", "row", "column"),
    *("left", "right", "top", "bottom", "upper", "lower"),
}
"""Of names of factors and of their values that tell where in the picture something is."""
AXIS_WORDS = {"x", "y", "axis", "horizontal", "vertical"}
"""Of names of factors, angles aside, that tell the same."""
TINT = 1.0
"""What --tint is where it is left out and some factor is not of colour (docs/results/studies.md)."""
FORM_PARTS = (
    *("shape", "size", "scale", "angle", "rotat", "orientation", "direction", "azimuth", "elevation", "movement"),
    *("height", "width", "length", "distance", "axis"),
)
"""In names of factors that stay what they are when colours change."""
FORM_WORDS = {
    *("form", "z", "dir", "rot", "yaw", "pitch", "roll", "tilt", "zoom", "depth"),
    *("pose", "poses", "orient", "oriented"),
}
COLOR_PARTS = (
    *("colo", "hue", "satur", "bright", "intensity", "tint", "shade", "tone", "gray", "grey", "wave", "expos"),
    *("contrast", "lumin", "flux", "chrom", "albedo", "temperature", "skin", "fitzpatrick", "pigment"),
)
"""In names of factors, and of their values, that tell of colour or light."""
COLOR_WORDS = {
    *("red", "orange", "yellow", "green", "blue", "purple", "violet", "pink", "brown", "beige", "cyan", "magenta"),
    *("turquoise", "teal", "navy", "gold", "golden", "silver", "blond", "blonde"),
    *("black", "white", "dark", "day", "night"),
}
ISAAC3D_FINE = ("object_scale", "lighting_intensity", "object_color", "wall_color")
"""What the paper edits in the kitchen; in Falcor3D it is the four factors of the light."""
MOST_CLASSES = 8
"""Values that a factor may have to be as classes by its name: each needs labels of its own."""
CLASS_WORDS = ("colo", "hue", "shape", "style", "texture", "material", "type", "kind")
"""Of the names of factors whose values have no order, though a data set may number them."""
FINE_WORDS = ("colo", "hue", "light", "intensity", "bright", "satur", "scale", "size", "style", "texture", "material")


def guess_fine(names: Sequence[str]) -> tuple[str, ...]:
    """Fine factors by their names: the paper's where all are there, else what sounds like colour, light or size."""
    if set(ISAAC3D_FINE) <= set(names):
        return tuple(name for name in names if name in ISAAC3D_FINE)
    return tuple(name for name in names if any(word in name.lower() for word in FINE_WORDS))
