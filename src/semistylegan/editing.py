"""The stateful use of a model: generate, encode, edit, traverse. What `ssg.load` returns.

Outside, images are uint8 ndarrays (N x) H x W x C and factors have values in their own units; inside, levels and codes
(see `semistylegan.factors`).
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import warnings
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from PIL.Image import Image
from torch import Tensor

from semistylegan.data.labels import Labels
from semistylegan.data.pictures import from_pillow, load_image, resize, to_channels, to_tensor, to_uint8, untile
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace, FloatArray, Value
from semistylegan.inversion import Found, OnProgress, edited, edited_in_one_pass, invert, seeded
from semistylegan.models.checkpoint import WEIGHTS_FILE, Networks, find_model, load_model
from semistylegan.training.device import pick_device
from semistylegan.training.prior import prior_of

ImageArray = npt.NDArray[np.uint8]
Images = ImageArray | Image | Sequence[ImageArray | Image]
Settings = Mapping[str, Value]
BATCH = 32
"""Images that pass the networks at once."""
EXAMPLES = "examples.png"
"""In the folder of an editor that was handed on: images to begin with."""
REMEMBERED = 16
"""Inversions that a model keeps, so that the next edit of the same image is instant."""


def load(path_or_name: str | Path, device: str | torch.device = "cpu") -> Model:
    """Loads a model for use: a run folder (its newest checkpoint), a checkpoint folder, or a shipped model's name.

    A path that exists wins over a name. Nothing is unpickled or executed.

    Args:
        path_or_name: which model.
        device: where it computes; `auto` takes a GPU where there is one.

    Raises:
        UserError: neither; lists what would work. The model's files are damaged; names the file. No such device.
    """
    checkpoint = find_model(path_or_name)
    where = pick_device(str(device))
    networks = load_model(checkpoint, where)
    model = Model(networks, checkpoint, where, prior_of(checkpoint, networks.space))
    if model.edits_in_one_pass:
        model.examples = _cut(checkpoint / EXAMPLES, model, 0)
        of_the_run = checkpoint.resolve().parent / "reals.png"
        model.starts = _cut(of_the_run, model, 255) if model.examples is None else model.examples
    return model


@dataclass
class Model:
    """A trained generator and encoder. Make it with :func:`load`."""

    networks: Networks
    checkpoint: Path
    """The folder it was read from."""
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    prior: Labels | None = None
    """Labelled rows from which codes are drawn (`--prior labelled`); None draws from each factor's values."""
    starts: ImageArray | None = None
    """Images N x H x W x C from which :meth:`generate` and :meth:`traverse` of an editor start; None where there are
    none. Other models start from z."""
    examples: ImageArray | None = None
    """The same as `starts` where the model was handed on with them: nobody minds who sees these."""
    kept: Path | None = None
    """Folder in which inversions are kept for later programs; None: in memory alone."""
    _found: OrderedDict[str, Found] = field(default_factory=OrderedDict, repr=False)
    _resized: set[tuple[int, ...]] = field(default_factory=set, repr=False)
    """Sizes of images that were resized: of the first and of the second a warning says so."""

    @property
    def factors(self) -> FactorSpace:
        """The factors that the model was trained on."""
        return self.networks.space

    @property
    def edits_in_one_pass(self) -> bool:
        """Whether the model is an editor (preset fine), which starts from an image instead of z."""
        return self.networks.G.starts_from_image

    @property
    def resolution(self) -> int:
        """Pixels a side."""
        return self.networks.config.resolution

    @property
    def channels(self) -> int:
        """1 (grey) or 3 (RGB)."""
        return self.networks.config.channels

    def generate(self, settings: Settings | None = None, seed: int = 0, count: int = 1) -> ImageArray:
        """Draws images whose factors are as `settings` says.

        Factors not named are drawn from the prior that the model was trained with, anew for each image. The same seed
        gives the same images: setting a factor changes no other one, and the first of four is the one of count 1 (but
        for a grey level in a few pixels: sums in batches of another size are rounded in another way).

        Args:
            settings: factor -> value in its own units, a category's name, or a value index as "#3".
            count: number of images.

        Returns:
            uint8, count x H x W x C.

        Raises:
            UserError: an unknown factor, a value that does not fit, or a seed that is none.
        """
        return np.concatenate([image_BHWC for image_BHWC, _ in self.generate_labelled(settings, seed, count)])

    def generate_labelled(
        self, settings: Settings | None = None, seed: int = 0, count: int = 1
    ) -> Iterator[tuple[ImageArray, npt.NDArray[np.float32]]]:
        """What :meth:`generate` draws, a few at a time, with the levels that each was drawn with.

        Args:
            settings: as in :meth:`generate`.
            count: number of images in all.

        Yields:
            uint8 B x H x W x C; levels B x F, every factor of every image (`factors` turns them into values).

        Raises:
            UserError: as :meth:`generate`.
        """
        if count < 1:
            raise UserError(f"count {count}: ask for at least one image")
        levels = self.levels(settings or {})
        drawn = self._draws(seed)
        for begin in range(0, count, BATCH):
            starts, rows = zip(*itertools.islice(drawn, min(BATCH, count - begin)), strict=True)
            level_BF = torch.cat(rows)
            for name, level in levels.items():
                level_BF[:, self.factors.position(name)] = level
            yield self.images(torch.cat(starts), level_BF), level_BF.numpy()

    def encode(self, images: Images) -> dict[str, npt.NDArray[Any]]:
        """Reads the factors off images.

        Args:
            images: uint8, one image H x W x C or a batch N x H x W x C; an image of PIL; or a list of these, which may
                differ in size. Of another size than the model's: the centre square is resized, with a warning; grey
                and colour are turned into what the model knows.

        Returns:
            factor -> array of N values in own units (names of categories are strings).
        """
        readings = self.read_levels(self.fit(images, warn=True))
        values = {f.name: [f.value_of(u) for u in readings[:, i]] for i, f in enumerate(self.factors)}
        return {f.name: np.array(values[f.name], dtype=str if f.kind == "categorical" else None) for f in self.factors}

    def edit(
        self,
        image: ImageArray,
        settings: Settings,
        strength: float = 1.0,
        steps: int = 200,
        on_progress: OnProgress | None = None,
    ) -> ImageArray:
        """Changes factors of a given image and keeps the rest: in one pass (preset fine) or by inversion.

        The last inversions are remembered (see `inversion.py`): the next edit of the same image takes no time.

        Args:
            image: uint8 H x W x C; of another size it is fitted as in :meth:`encode`.
            settings: factor -> value, as in :meth:`generate`.
            strength: 0 leaves the image (an editor redraws it with what E reads of it), 1 sets the value, between and
                beyond is interpolated in the styles.
            steps: updates of the inversion.
            on_progress: on_progress(steps done, steps in all).

        Returns:
            uint8 H x W x C, of the model's size.

        Raises:
            UserError: an unknown factor, one that an editor keeps, a value that does not fit, or no single image.
        """
        levels = self.levels(settings)
        if not np.isfinite(strength):
            raise UserError(f"strength {strength}: give a number, 0 to leave the image and 1 to set the value")
        if self.edits_in_one_pass:
            level_1F, set_1F = torch.zeros(1, len(self.factors)), torch.zeros(1, len(self.factors), dtype=torch.bool)
            for name, level in levels.items():
                level_1F[:, self.factors.position(name)] = level
                set_1F[:, self.factors.position(name)] = True
            img = to_tensor(self.single(image)).to(self.device)
            return to_uint8(edited_in_one_pass(self.networks, img, level_1F, set_1F, strength))[0]
        found = self.invert(image, steps, on_progress)
        level_1F = found.level_1F.clone()
        for name, level in levels.items():
            level_1F[:, self.factors.position(name)] = level
        return to_uint8(edited(self.networks, found, level_1F, strength))[0]

    def invert(self, image: ImageArray, steps: int = 200, on_progress: OnProgress | None = None) -> Found:
        """The z, code and styles that reproduce an image (uint8 H x W x C), from memory or `kept` where it was seen.

        Raises:
            UserError: the array is not one image; steps below 0; or the model is an editor, which starts from the image
                itself and searches nothing.
        """
        if self.edits_in_one_pass:
            raise UserError(f"{self.checkpoint}: this model starts from the image itself: nothing to search, use edit")
        if steps < 0:
            raise UserError(f"steps {steps}: give 0 or more")
        fitted = self.single(image)
        key = f"{steps} {hashlib.sha256(fitted.tobytes()).hexdigest()}"
        if key not in self._found:
            self._found[key] = self._kept_or_new(fitted, steps, on_progress)
            if len(self._found) > REMEMBERED:
                self._found.popitem(last=False)
        self._found.move_to_end(key)
        return self._found[key]

    def _kept_or_new(self, image_1HWC: ImageArray, steps: int, on_progress: OnProgress | None) -> Found:
        img = to_tensor(image_1HWC).to(self.device)
        if self.kept is None:
            return invert(self.networks, img, steps, on_progress=on_progress)
        what = hashlib.sha256((self.checkpoint / WEIGHTS_FILE).read_bytes() + image_1HWC.tobytes()).hexdigest()
        where = "" if self.device.type == "cpu" else f"-{self.device.type}"
        file = self.kept / f"{what[:32]}-{steps}{where}.safetensors"
        if (found := Found.load(file, self.device)) is None:
            found = invert(self.networks, img, steps, on_progress=on_progress)
            with contextlib.suppress(OSError, UserError):  # the edit does not need the file
                found.save(file)
        return found

    def single(self, image: ImageArray) -> ImageArray:
        """One image -> 1 x H x W x C of the model's size, with a warning where it has to be resized.

        Raises:
            UserError: not one single image.
        """
        if np.ndim(image) not in (2, 3):
            raise UserError(f"an array of shape {np.shape(image)}: give one image, height x width x channels")
        return self.fit(image, warn=True)

    def traverse(
        self, seed: int = 0, columns: int = 8, settings: Settings | None = None, only: Sequence[str] | None = None
    ) -> list[tuple[Factor, list[Value], ImageArray]]:
        """One image of the seed, and what becomes of it when each factor alone runs through its values.

        Args:
            seed: z and the factors that are not set, as in :meth:`generate`.
            columns: most values of a factor.
            settings: factor -> value, as in :meth:`generate`: what the image starts from.
            only: names (or the name) of the factors that are traversed; None is all.

        Returns:
            for each factor: the factor, its values in own units (no more than `columns`), and as many images N x H x W
            x C. z and the other factors are those of `generate(settings, seed)`; an editor's are those that it reads
            off the image that it starts from.

        Raises:
            UserError: an unknown factor, a value that does not fit, or a seed that is none.
        """
        if columns < 1:
            raise UserError(f"columns {columns}: ask for at least one")
        start_1, level_1F = self.begin(seed)
        for name, level in self.levels(settings or {}).items():
            level_1F[:, self.factors.position(name)] = level
        only = [only] if isinstance(only, str) else only
        shown = list(range(len(self.factors))) if only is None else [self.factors.position(name) for name in only]
        levels = [torch.from_numpy(_spread(self.factors[i], columns)).float() for i in shown]
        rows = [level_1F.repeat(len(u), 1) for u in levels]
        for i, row, u in zip(shown, rows, levels, strict=True):
            row[:, i] = u
        if not rows:
            return []
        images = self.images(torch.cat([start_1] * sum(map(len, rows))), torch.cat(rows))
        cuts = np.cumsum([len(u) for u in levels])[:-1]
        return [
            (self.factors[i], [self.factors[i].value_of(float(u)) for u in row], part)
            for i, row, part in zip(shown, levels, np.split(images, cuts), strict=True)
        ]

    # -- the steps of which the above is made -----------------------------------------------------------------

    def levels(self, settings: Settings) -> dict[str, float]:
        """Values as users write them -> levels.

        Raises:
            UserError: an unknown factor, or a value that does not fit.
        """
        for name in settings:
            self.check_editable(name)
        return {name: self.factors[name].level_of(value) for name, value in settings.items()}

    def check_editable(self, name: str) -> None:
        """Says which factors there are where this is none.

        Raises:
            UserError: an unknown factor, or one that an editor keeps; names those that can be edited.
        """
        if self.edits_in_one_pass and name not in self.factors.names:
            raise UserError(
                f"factor {name!r}: this model can edit {', '.join(self.factors.names)} and keeps all else; "
                f"for other factors use a model of the preset semi"
            )
        self.factors.position(name)

    def draw(self, seed: int, count: int) -> tuple[Tensor, Tensor]:
        """What G starts from (z count x Z, or images) and levels count x F; the first ones do not depend on `count`.

        Raises:
            UserError: an editor without images to start from, or a seed that is none.
        """
        starts, rows = zip(*itertools.islice(self._draws(seed), count), strict=True)
        return torch.cat(starts), torch.cat(rows)

    def _draws(self, seed: int) -> Iterator[tuple[Tensor, Tensor]]:
        """:meth:`draw`, one after the other, without end."""
        if self.edits_in_one_pass and self.starts is None:
            raise UserError(f"{self.checkpoint}: this model edits images and draws none; use edit, or name its run")
        chance = seeded(seed)
        while True:
            if self.starts is None:
                start_1 = torch.randn(1, self.networks.G.z_dim, generator=chance)
            else:
                place = int(torch.randint(len(self.starts), (1,), generator=chance))
                start_1 = to_tensor(self.starts[place : place + 1])
            level_1F = self.factors.sample(1, chance)
            if self.prior is not None:
                row = int(torch.randint(len(self.prior), (1,), generator=chance))
                known_F = torch.from_numpy(self.prior.known_NF[row])
                level_1F = torch.where(known_F, torch.from_numpy(self.prior.level_NF[row]), level_1F)
            yield start_1, level_1F

    def begin(self, seed: int) -> tuple[Tensor, Tensor]:
        """What :meth:`traverse` starts from, as :meth:`draw` has it; an editor's levels are those of its image."""
        start_1, level_1F = self.draw(seed, 1)
        if self.edits_in_one_pass:
            level_1F = torch.from_numpy(self.read_levels(to_uint8(start_1)))
        return start_1, level_1F

    @torch.no_grad()
    def images(self, start_N: Tensor, level_NF: Tensor) -> ImageArray:
        """G's images from z (or from images) and levels, uint8 N x H x W x C."""
        out: list[ImageArray] = []
        for start, level in zip(start_N.split(BATCH), level_NF.split(BATCH), strict=True):
            out.append(to_uint8(self.networks.draw(start.to(self.device), self.factors.encode(level).to(self.device))))
        return np.concatenate(out)

    def read_levels(self, image_NHWC: ImageArray) -> npt.NDArray[np.float32]:
        """What E reads off images of the model's size, as levels N x F."""
        return self.factors.decode(torch.from_numpy(self.read_codes(image_NHWC))).numpy()

    @torch.no_grad()
    def read_codes(self, image_NHWC: ImageArray) -> npt.NDArray[np.float32]:
        """What E says of images of the model's size, N x C: logits where a factor is categorical."""
        out = [np.zeros((0, self.factors.code_width), np.float32)]
        for start in range(0, len(image_NHWC), BATCH):
            img_BCHW = to_tensor(image_NHWC[start : start + BATCH]).to(self.device)
            out.append(self.networks.E(img_BCHW).cpu().numpy())
        return np.concatenate(out)

    def fit(self, images: Images, warn: bool = False) -> ImageArray:
        """One image or a batch -> N x H x W x C of the model's size and channels.

        Args:
            images: as in :meth:`encode`.
            warn: say so (`warnings.warn`) where an image has to be resized.

        Raises:
            UserError: no uint8 images of one or three channels.
        """
        side = self.resolution
        fitted = [np.zeros((0, side, side, self.channels), np.uint8)]
        for batch in map(_batch, images if isinstance(images, list | tuple) else [images]):
            if not len(batch):
                continue
            if batch.shape[1:3] != (side, side):
                if warn:
                    self._warn_of_size(*batch.shape[1:3])
                batch = np.stack([resize(image, side) for image in batch])
            if batch.shape[-1] != self.channels:
                batch = np.stack([to_channels(image, self.channels) for image in batch])
            fitted.append(batch)
        return np.concatenate(fitted)

    def _warn_of_size(self, height: int, width: int) -> None:
        part = "" if height == width else ", their centre square alone"
        to = f"resized to {self.resolution} x {self.resolution}"
        if not self._resized:
            warnings.warn(f"images of {width} x {height} pixels {to}{part}", stacklevel=4)
        elif len(self._resized) == 1 and (height, width) not in self._resized:
            warnings.warn(f"images of other sizes {to}, too, their centre squares alone", stacklevel=4)
        self._resized.add((height, width))


def _batch(images: Any) -> ImageArray:
    """One image or a batch -> N x H x W x C.

    Raises:
        UserError: no uint8 images of one or three channels.
    """
    given = from_pillow(images) if isinstance(images, Image) else np.asarray(images)
    batch = given[..., None] if given.ndim == 2 else given
    batch = batch[None] if batch.ndim == 3 else batch
    if batch.dtype != np.uint8 or batch.ndim != 4 or batch.shape[-1] not in (1, 3) or 0 in batch.shape[1:]:
        raise UserError(
            f"images of shape {given.shape}, {given.dtype}: give uint8, "
            "(N x) height x width x channels, with 1 or 3 channels"
        )
    return batch


def _spread(factor: Factor, columns: int) -> FloatArray:
    """Levels that show a factor: around a circle in even steps where its grid allows it (12 values in 8 columns: 6)."""
    if factor.kind == "circular" and factor.size is not None and factor.size > columns:
        count = max(d for d in range(1, columns + 1) if factor.size % d == 0)
        if 2 * count >= columns:
            return np.arange(count) / count
    return factor.levels(columns)


def _cut(sheet_file: Path, model: Model, background: int) -> ImageArray | None:
    """The images of a sheet without gaps, N x H x W x C of the model's size; None where there is none."""
    if not sheet_file.is_file():
        return None
    images = untile(to_channels(load_image(sheet_file), model.channels), model.resolution, background)
    return images if len(images) else None
