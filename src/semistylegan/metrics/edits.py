"""Edits of images, held-out ones where there are any: how far the set factors obey, the others stay, the pixels are
right.

Images of a scene, and of a data set that is a whole grid, have a true edited picture: the one at the edited place of
the grid, looked up or rendered. Beside the model stand two floors, `copy` (the input as it is) and `nearest` (of the
training images that show the value asked for, the one nearest to the input in its pixels), and `truth` itself, which
shows what the oracle makes of perfect edits.

Suffixes: N edits, I images, F factors of the data, H x W pixels, C channels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from scipy.ndimage import gaussian_filter

from semistylegan import progress
from semistylegan.data.dataset import Dataset
from semistylegan.data.pictures import load_image, save_png, tile, to_tensor, to_uint8
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace, FloatArray
from semistylegan.files import cache_folder
from semistylegan.inversion import edited, edited_in_one_pass, invert
from semistylegan.metrics.controllability import constant_errors, edit_drift, edit_error, left_alone, mean_errors
from semistylegan.metrics.information import Floats, Ints
from semistylegan.metrics.intervals import Interval, of_parts
from semistylegan.metrics.oracle import BATCH, Oracle
from semistylegan.models.checkpoint import Networks
from semistylegan.scenes.render import SCENES

ImageArray = npt.NDArray[np.uint8]

EDITED = 64
"""Images that are edited in one pass."""
INVERTED = 6
"""Images that are edited by inversion, which takes seconds each."""
INVERSION_STEPS = 200
VALUES = 8
"""Most values to which a factor is set."""
COMPARED = 2000
"""Training images among which the nearest one is looked for, at most."""
SHOWN = 16
"""Edits in the sheet."""
ENDS = {"error": (0.0, 1.0), "drift": (0.0, 1.0), "psnr": (-np.inf, 99.0), "ssim": (-1.0, 1.0)}
"""What each score can reach: its interval is cut there."""


@dataclass(frozen=True)
class Asked:
    """What is to be edited, and how."""

    space: FactorSpace
    image_I: ImageArray
    """I x H x W x C."""
    level_IF: Floats
    """Their true levels."""
    image_N: Ints
    """Which image each edit changes, 0 to I - 1."""
    factor_N: Ints
    """Which factor it sets."""
    level_NF: Floats
    """The levels after it: those of the image but for the factor."""

    @property
    def set_NF(self) -> npt.NDArray[np.bool_]:
        return np.arange(len(self.space)) == self.factor_N[:, None]

    @classmethod
    def all_values(cls, data: Dataset, rows: Ints, factors: tuple[str, ...]) -> Asked:
        """Every named factor of these images set to each other value of its grid (to VALUES of them where it has more).

        Raises:
            UserError: a factor without a grid: there is no true picture to compare with.
        """
        space = data.space
        level_IF = data.labels.level_NF[rows].astype(np.float64)
        edits: list[tuple[int, int, float]] = []
        for i, level_F in enumerate(level_IF):
            for name in factors:
                k = space.position(name)
                edits += [(i, k, level) for level in other_values(space[k], float(level_F[k]))]
        image, factor = np.array([e[0] for e in edits]), np.array([e[1] for e in edits])
        after = level_IF[image]
        after[np.arange(len(edits)), factor] = [e[2] for e in edits]
        pictures = data.images(rows).permute(0, 2, 3, 1).numpy()
        return cls(space, pictures, level_IF, image, factor, after)


def other_values(factor: Factor, level: float) -> list[float]:
    """The levels of a factor's grid but for this one, VALUES of them at most, evenly spread.

    Raises:
        UserError: no grid.
    """
    if factor.size is None:
        raise UserError(
            f"edit: the factor {factor.name} has no grid of values, so no true picture; leave the metric out"
        )
    here = int(factor.index_of_level(level))
    others = [i for i in range(factor.size) if i != here]
    kept = others if len(others) <= VALUES else [others[i * len(others) // VALUES] for i in range(VALUES)]
    return [float(factor.level_of_index(i)) for i in kept]


# -- the pictures that are compared ---------------------------------------------------------------------------------


def in_one_pass(networks: Networks, asked: Asked) -> ImageArray:
    """The edits of a model that starts from images."""
    device = next(networks.G.parameters()).device
    level_NK, set_NK = in_space(networks.space, asked)
    out = []
    with progress.bar("editing images", len(asked.image_N)) as advance:
        for i in range(0, len(asked.image_N), BATCH):
            part = slice(i, i + BATCH)
            img = to_tensor(asked.image_I[asked.image_N[part]]).to(device)
            out.append(to_uint8(edited_in_one_pass(networks, img, level_NK[part], set_NK[part])))
            advance(len(img))
    return np.concatenate(out)


def by_inversion(networks: Networks, asked: Asked, seed: int) -> ImageArray:
    """The edits of a model that starts from z: each image is searched for once."""
    device = next(networks.G.parameters()).device
    level_NK, set_NK = in_space(networks.space, asked)
    out: list[ImageArray] = []
    with progress.bar("inverting images", len(asked.image_I)) as advance:
        for i, image in enumerate(asked.image_I):
            found = invert(networks, to_tensor(image[None]).to(device), INVERSION_STEPS, seed)
            for n in np.flatnonzero(asked.image_N == i):
                level = torch.where(set_NK[n], level_NK[n], found.level_1F.cpu()).to(device)
                out.append(to_uint8(edited(networks, found, level)))
            advance(1)
    return np.concatenate(out)


def in_space(codes: FactorSpace, asked: Asked) -> tuple[torch.Tensor, torch.Tensor]:
    """Levels asked for and which are set, both N x K: the columns, and the kinds, of the model's factors."""
    columns = [asked.space.position(name) for name in codes.names]
    level_NF: FloatArray = asked.level_NF
    set_NF = asked.set_NF
    if codes.kinds != asked.space.only(codes.names).kinds:
        level_NF = asked.space.scalar_levels(level_NF)
    return torch.from_numpy(level_NF[:, columns]).float(), torch.from_numpy(set_NF[:, columns])


def true_pictures(data: Dataset, level_NF: Floats) -> ImageArray | None:
    """The images at these places of the grid: from the data set where it has them, else rendered and kept in the cache.

    Returns:
        None where the data set is neither of a scene that can be rendered nor a whole grid, one image at each place:
        its factors do not tell what else is in an image.
    """
    space, whole = data.space, np.flatnonzero(data.labels.known_NF.all(axis=1))
    made = (data.store.document("dataset.json") or {}).get("made", {})
    scene = SCENES.get(made.get("scene", ""))
    if scene is not None and (scene.version != made.get("scene_version") or scene.space != space):
        scene = None
    if scene is None and space.total != len(whole):
        return None
    places = np.asarray(space.index_of(space.indices_of_levels(data.labels.level_NF[whole])))
    place = dict(zip(places.tolist(), whole.tolist(), strict=True))
    if scene is None and len(place) < space.total:
        return None
    index_N = np.asarray(space.index_of(space.indices_of_levels(level_NF)))
    pictures: dict[int, ImageArray] = {}
    if there := [int(i) for i in np.unique(index_N) if int(i) in place]:
        images = data.images(np.array([place[i] for i in there])).permute(0, 2, 3, 1).numpy()
        pictures.update(zip(there, images, strict=True))
    missing = np.array([i for i in np.unique(index_N) if int(i) not in place], dtype=np.int64)
    if scene is not None and len(missing):
        kept = cache_folder() / "edits" / f"{scene.name}-v{scene.version}-{data.resolution}"
        with progress.bar("rendering the true pictures", len(missing)) as advance:
            for i in scene.order(missing):
                file = kept / f"{i:06d}.png"
                if not file.is_file():
                    save_png(file, scene.render(int(i), data.resolution))
                pictures[int(i)] = load_image(file)
                advance(1)
    return np.stack([pictures[int(i)] for i in index_N])


def nearest_pictures(data: Dataset, training: Ints, asked: Asked) -> ImageArray | None:
    """For each edit the training image, among those with the value asked for, whose pixels are nearest to the input.

    Returns:
        None where there is no such image for one of them.
    """
    rows = training[data.labels.known_NF[training].all(axis=1)]
    rows = np.sort(np.random.default_rng(0).permutation(rows)[:COMPARED])
    index_RF = asked.space.indices_of_levels(data.labels.level_NF[rows])
    index_NF = asked.space.indices_of_levels(asked.level_NF)
    fits_NR = np.stack([index_RF[:, f] == index_NF[n, f] for n, f in enumerate(asked.factor_N)])
    if not fits_NR.any(axis=1).all():
        return None
    pictures = data.images(rows).permute(0, 2, 3, 1).numpy()
    flat = pictures.reshape(len(rows), -1).astype(np.float32)
    start = asked.image_I.reshape(len(asked.image_I), -1).astype(np.float32)
    far_IR = (flat**2).sum(axis=1)[None] - 2 * start @ flat.T
    return pictures[np.where(fits_NR, far_IR[asked.image_N], np.inf).argmin(axis=1)]


# -- how alike pictures are -----------------------------------------------------------------------------------------


def psnr(a_NHWC: ImageArray, b_NHWC: ImageArray) -> Floats:
    """Peak signal-to-noise ratio of each pair in dB, high is good; 99 for equal pictures."""
    square_N = ((a_NHWC.astype(np.float64) - b_NHWC) ** 2).mean(axis=(1, 2, 3))
    return np.minimum(10 * np.log10(255**2 / np.maximum(square_N, 1e-12)), 99.0)


def ssim(a_NHWC: ImageArray, b_NHWC: ImageArray) -> Floats:
    """Structural similarity of each pair (Wang et al. 2004), up to 1, high is good: Gaussian window of 1.5 pixels."""

    def smooth(x: Floats) -> Floats:
        out: Floats = gaussian_filter(x, sigma=(0, 1.5, 1.5, 0), truncate=3.5, mode="mirror")
        return out

    a, b = a_NHWC / 255.0, b_NHWC / 255.0
    mean_a, mean_b = smooth(a), smooth(b)
    var_a, var_b = smooth(a * a) - mean_a**2, smooth(b * b) - mean_b**2
    both = smooth(a * b) - mean_a * mean_b
    c1, c2 = 0.01**2, 0.03**2
    like = (2 * mean_a * mean_b + c1) * (2 * both + c2) / ((mean_a**2 + mean_b**2 + c1) * (var_a + var_b + c2))
    return like.mean(axis=(1, 2, 3))


# -- the scores -----------------------------------------------------------------------------------------------------


def measure(
    networks: Networks, data: Dataset, oracle: Oracle, rows: Ints, training: Ints, seed: int
) -> tuple[dict[str, Any], dict[str, Interval], ImageArray]:
    """The scores of edits of the images `rows`, whose every label is known.

    Args:
        networks: the model; its factors are among those of the data.
        data: with all labels.
        oracle: of `data`.
        rows: the images to edit; what training saw of them, `Readings.for_edits` tells.
        training: images that it saw, other than these.
        seed: of inversions.

    Returns:
        fields of `metrics.json`, `per_factor` has those of the factors; 95% intervals of the fields; :func:`sheet`.
    """
    asked = Asked.all_values(data, rows, networks.space.names)
    fine = networks.G.starts_from_image
    made = in_one_pass(networks, asked) if fine else by_inversion(networks, asked, seed)
    truth = true_pictures(data, asked.level_NF)
    systems: dict[str, ImageArray | None] = {
        "model": made,
        "copy": asked.image_I[asked.image_N],
        "nearest": nearest_pictures(data, training, asked),
        "truth": truth,
    }
    before_NF = read(oracle, asked.image_I)[asked.image_N]
    scores: dict[str, dict[str, Any]] = {}
    spans: dict[str, Interval] = {}
    per_factor: dict[str, dict[str, float]] = {name: {} for name in data.space.names}

    def tell(field: str, names: tuple[str, ...], error_F: Floats) -> None:
        for name, error in zip(names, error_F.tolist(), strict=True):
            per_factor[name] |= {} if np.isnan(error) else {field: error}

    for system, pictures in systems.items():
        if pictures is None:
            continue
        after_NF = read(oracle, pictures)
        scores[system] = {"error": edit_error(after_NF, asked.level_NF, asked.set_NF, asked.space)}
        if left_alone(asked.set_NF, asked.space).any():
            scores[system]["drift"] = edit_drift(before_NF, after_NF, asked.set_NF, asked.space)
        if truth is not None and system != "truth":
            scores[system] |= {"psnr": float(psnr(pictures, truth).mean()), "ssim": float(ssim(pictures, truth).mean())}
        if system == "model":
            spans = intervals(scores[system], asked, pictures, truth, before_NF, after_NF)
            space, names, set_NF = asked.space, asked.space.names, asked.set_NF
            tell("edit_error", names, mean_errors(after_NF, asked.level_NF, space, set_NF))
            tell("edit_error_constant", names, constant_errors(asked.level_NF, space, set_NF))
            tell("edit_drift", names, mean_errors(after_NF, before_NF, space, left_alone(set_NF, space)))
        if truth is not None and system in ("model", "copy"):
            for f in np.unique(asked.factor_N):
                here = asked.factor_N == f
                key = "edit_psnr" if system == "model" else "copy_psnr"
                per_factor[asked.space.names[f]][key] = float(psnr(pictures[here], truth[here]).mean())
    level_NK, set_NK = (x.numpy() for x in in_space(networks.space, asked))
    said_NK = said(networks, made)
    tell("edit_error_said", networks.space.names, mean_errors(said_NK, level_NK, networks.space, set_NK))
    model = scores.pop("model")
    fields = {f"edit_{key}": value for key, value in model.items()}
    return fields | {"edit_beside": scores, "per_factor": per_factor}, spans, sheet(asked, made, truth)


def sheet(asked: Asked, made: ImageArray, truth: ImageArray | None) -> ImageArray:
    """Two edits a row, each as the input, the edit and (where it is known) the true picture; as many of each factor.

    Nobody chooses: each edit is of the next image, and of a factor each goes to the next of the values that are not
    the image's own; both from the start again at their end.
    """
    factors, images = np.unique(asked.factor_N), len(asked.image_I)
    chosen: list[int] = []
    for f in factors:
        for k in range(max(SHOWN // len(factors), 1)):
            values = np.flatnonzero((asked.factor_N == f) & (asked.image_N == (len(chosen) % images)))
            chosen.append(int(values[k % len(values)]))
    columns = [asked.image_I[asked.image_N[chosen]], made[chosen], *([] if truth is None else [truth[chosen]])]
    return tile(np.stack(columns, axis=1).reshape(-1, *made.shape[1:]), columns=2 * len(columns), gap=2)


def intervals(
    scores: dict[str, float],
    asked: Asked,
    made: ImageArray,
    truth: ImageArray | None,
    before_NF: Floats,
    after_NF: Floats,
) -> dict[str, Interval]:
    """95% intervals of the model's scores, from the means of the edited images; none where there is one image.

    Every image has as many edits, so that a score is the mean of the images' means.
    """
    each_N = {"error": asked.space.error(after_NF, asked.level_NF)[asked.set_NF]}
    left_NF = left_alone(asked.set_NF, asked.space)
    if left_NF.any():
        moved_NF = asked.space.error(after_NF, before_NF)
        each_N["drift"] = moved_NF[left_NF].reshape(len(moved_NF), -1).mean(axis=1)
    if truth is not None:
        each_N |= {"psnr": psnr(made, truth), "ssim": ssim(made, truth)}
    images = np.unique(asked.image_N)
    if len(images) < 2:
        return {}
    mean_IS = [[value[asked.image_N == i].mean() for value in each_N.values()] for i in images]
    told_SI = np.transpose(mean_IS)
    return {
        f"edit_{key}": of_parts([scores[key]], told_I[:, None], ENDS[key])[0]
        for key, told_I in zip(each_N, told_SI, strict=True)
    }


@torch.no_grad()
def said(networks: Networks, picture_NHWC: ImageArray) -> Floats:
    """Levels N x K that the model's own E reads off pictures: where G cheats, E believes what the oracle does not."""
    device = next(networks.E.parameters()).device
    parts = [picture_NHWC[i : i + BATCH] for i in range(0, len(picture_NHWC), BATCH)]
    said_NC = torch.cat([networks.E(to_tensor(part).to(device)).cpu() for part in parts])
    return networks.space.decode(said_NC).numpy().astype(np.float64)


def read(oracle: Oracle, picture_NHWC: ImageArray) -> Floats:
    """Levels N x F that the oracle reads off pictures."""
    starts = range(0, len(picture_NHWC), BATCH)
    return np.concatenate([oracle.read(to_tensor(picture_NHWC[i : i + BATCH]))[0] for i in starts])
