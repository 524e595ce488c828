"""The page with sliders: what the model draws as its factors are moved, and what becomes of an image dropped on it.

The page holds the state (seed, values that are set, image) and sends all of it with every request; the server keeps
nothing but the last images that were dropped. So a request always gives the same answer, and two windows cannot be
in each other's way.
"""

from __future__ import annotations

import json
import secrets
import shlex
import tempfile
import traceback
from collections import OrderedDict
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event
from typing import Annotated, Any

import numpy as np
import torch
from fastapi import FastAPI, Request
from pydantic import BaseModel, Field
from starlette.responses import Response

from semistylegan import __version__
from semistylegan.app.server import Refused, Worker, create, read_image
from semistylegan.data.pictures import ImageArray, encode_png, tile
from semistylegan.editing import REMEMBERED, Model
from semistylegan.errors import UserError
from semistylegan.factors import Factor, Value
from semistylegan.report.grids import save_traversal
from semistylegan.report.html import heading
from semistylegan.training.run import Run

MOST = 100
"""Pictures in one answer."""
KEPT = REMEMBERED - 4
"""Dropped images that are kept: fewer than the inversions that the model remembers."""
LARGEST_SEED = 2**31 - 1
"""The largest whole number that JavaScript keeps exactly."""
SMALL = 64
"""Pixels a side up to which one core draws a picture in a few milliseconds."""
STEPS = 200
"""Updates of an inversion, as `Model.edit` and `edit` have it."""
GIF_COLUMNS = 16
"""Most values of a factor in a GIF."""

Seed = Annotated[int, Field(ge=0, le=LARGEST_SEED)]
Name = Annotated[str, Field(max_length=64)]


class Picture(BaseModel):
    """One picture: what `generate(values, seed)` draws, or what `edit(image, values)` makes of an image."""

    seed: Seed = 0
    values: dict[str, float | str] = {}


class Pictures(BaseModel):
    """Pictures on one sheet."""

    pictures: list[Picture] = Field(min_length=1, max_length=MOST)
    columns: int = Field(1, ge=1, le=MOST)
    image: Name | None = None
    """Of a dropped image; None draws."""
    read: bool = False
    """Say what the encoder reads off the first one."""


class Walk(BaseModel):
    """A factor running through its values."""

    seed: Seed = 0
    values: dict[str, float | str] = {}
    factor: str
    image: Name | None = None


@dataclass
class Dropped:
    """An image that somebody dropped."""

    picture: ImageArray
    """As the model sees it: H x W x C of its size."""
    read: dict[str, Value]
    """What E reads off it."""
    done: int = 0
    """Steps of its inversion that are done."""
    searching: bool = False
    found: dict[str, Value] | None = None
    """The code that was found, once it was; an editor (preset fine) searches for none and takes what E reads."""
    error: str = ""


@dataclass
class Sliders:
    """What the page asks for, done with one model. Its methods are called in the threads of workers."""

    model: Model
    steps: int = STEPS
    """Updates of an inversion."""
    ending: Event = field(default_factory=Event)
    """Set where the program ends: an inversion stops."""
    dropped: OrderedDict[str, Dropped] = field(default_factory=OrderedDict)

    def draw(self, seed: int) -> dict[str, Value]:
        """The values of the factors that `generate` draws for a seed where none is set."""
        return self._values(self.model.draw(seed, 1)[1][0].numpy())

    def sheet(self, wanted: Pictures) -> tuple[bytes, dict[str, Value] | None]:
        """The PNG of a sheet, and what E reads off the first picture if that was asked for."""
        images = self.images(wanted.pictures, wanted.image)
        read = self.read(images[0]) if wanted.read else None
        return encode_png(images[0] if len(images) == 1 else tile(images, wanted.columns)), read

    def images(self, pictures: list[Picture], image: str | None) -> ImageArray:
        """N x H x W x C. One alone is bit for bit what `generate` and `edit` give."""
        if image is not None:
            dropped = self.image(image)
            if dropped.found is None:
                raise Refused(409, "this image has not been found in the model yet")
            return np.stack([self.model.edit(dropped.picture, p.values, steps=self.steps) for p in pictures])
        drawn = {seed: self.model.draw(seed, 1) for seed in {p.seed for p in pictures}}
        z, level = (torch.cat([drawn[p.seed][part] for p in pictures]) for part in (0, 1))
        for row, picture in enumerate(pictures):
            for name, u in self.model.levels(picture.values).items():
                level[row, self.model.factors.position(name)] = u
        return self.model.images(z, level)

    def gif(self, wanted: Walk) -> bytes:
        """A factor running to and fro, as an animated GIF."""
        factor = self.model.factors[wanted.factor]
        if wanted.image is None and not self.model.edits_in_one_pass:
            walk = self.model.traverse(wanted.seed, GIF_COLUMNS, wanted.values, [wanted.factor])
        else:  # an editor's `traverse` starts from what it reads off an image, the page from what is drawn for the seed
            values = [factor.value_of(float(u)) for u in factor.levels(GIF_COLUMNS)]
            pictures = [Picture(seed=wanted.seed, values={**wanted.values, factor.name: value}) for value in values]
            walk = [(factor, values, self.images(pictures, wanted.image))]
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "walk.gif"
            save_traversal(walk, path)
            return path.read_bytes()

    # -- dropped images ------------------------------------------------------------------------------------------

    def drop(self, data: bytes) -> str:
        """Takes an image file, and gives it a name."""
        picture = self.model.fit(read_image(data))[0]
        read = self.read(picture)
        name = secrets.token_hex(8)
        self.dropped[name] = Dropped(picture, read, found=read if self.model.edits_in_one_pass else None)
        while len(self.dropped) > KEPT:
            self.dropped.popitem(last=False)
        return name

    def image(self, name: str) -> Dropped:
        """A dropped image.

        Raises:
            Refused: there is none of that name (any more).
        """
        if (dropped := self.dropped.get(name)) is None:
            raise Refused(404, "this image is no longer here: drop it again")
        return dropped

    def find(self, dropped: Dropped) -> None:
        """Searches for a dropped image in the model."""

        def tell(done: int, _: int) -> None:
            dropped.done = done
            if self.ending.is_set():
                raise InterruptedError

        try:
            self.model.edit(dropped.picture, {}, steps=self.steps, on_progress=tell)
            dropped.found = self._values(self.model.invert(dropped.picture, self.steps).level_1F[0].cpu().numpy())
        except InterruptedError:
            pass
        except UserError as error:
            dropped.error = str(error)
        except Exception:
            # Nobody awaits this thread: our own mistake, or a full memory, would be lost.
            traceback.print_exc()
            dropped.error = "something went wrong in the server; the terminal says what"
        finally:
            dropped.searching = False

    def read(self, picture: ImageArray) -> dict[str, Value]:
        """What E reads off one picture of the model's size."""
        return self._values(self.model.read_levels(picture[None])[0])

    def _values(self, level_F: np.ndarray[Any, np.dtype[np.floating[Any]]]) -> dict[str, Value]:
        return {f.name: f.value_of(float(u)) for f, u in zip(self.model.factors, level_F, strict=True)}


def make_app(model: Model, given: str, steps: int = STEPS) -> FastAPI:
    """The application of the page.

    Args:
        model: what draws.
        given: how the user named the model: stands in the lines that are copied.
        steps: updates of the search for a dropped image.
    """
    app = create("sliders")
    sliders = Sliders(model, steps, app.state.ending)
    # torch keeps a number of cores for each thread. Small pictures are drawn on one: two gain little where the browser
    # needs the other, and lose much where the machine is busy.
    cores = torch.get_num_threads()
    drawing = Worker(32, lambda: torch.set_num_threads(1 if model.resolution <= SMALL else cores))
    searching = Worker(4, lambda: torch.set_num_threads(cores))

    @app.get("/api/model")
    def about() -> dict[str, Any]:
        return describe(model, given) | {"steps": steps}

    @app.get("/api/draw")
    async def draw(seed: Seed) -> dict[str, Value]:
        return await drawing.run(sliders.draw, seed)

    @app.post("/api/pictures")
    async def pictures(wanted: Pictures) -> Response:
        png, read = await drawing.run(sliders.sheet, wanted)
        headers = {} if read is None else {"x-read": json.dumps(read)}
        return Response(png, media_type="image/png", headers=headers)

    @app.post("/api/gif")
    async def gif(wanted: Walk) -> Response:
        return Response(await drawing.run(sliders.gif, wanted), media_type="image/gif")

    @app.post("/api/images")
    async def drop(request: Request) -> dict[str, Any]:
        name = await drawing.run(sliders.drop, await request.body())
        return {"image": name, "read": sliders.image(name).read}

    @app.get("/api/images/{name}")
    def progress(name: str) -> dict[str, Any]:
        d = sliders.image(name)
        return {"done": d.done, "total": steps, "searching": d.searching, "found": d.found, "error": d.error}

    @app.get("/api/images/{name}/picture")
    def picture(name: str) -> Response:
        return Response(encode_png(sliders.image(name).picture), media_type="image/png")

    @app.post("/api/images/{name}/search")
    async def search(name: str) -> dict[str, Any]:
        dropped = sliders.image(name)
        if not dropped.searching and dropped.found is None:
            dropped.searching, dropped.error = True, ""
            try:
                searching.start(sliders.find, dropped)
            except Refused:
                dropped.searching = False
                raise
        return progress(name)

    return app


def describe(model: Model, given: str) -> dict[str, Any]:
    """What the page must know of the model."""
    name = _name(model, given)
    return {
        "name": name,
        "title": heading(name),
        "given": given,
        "quoted": shlex.quote(given),
        "device": "" if model.device.type == "cpu" else str(model.device),
        "version": __version__,
        "resolution": model.resolution,
        "draws": model.starts is not None or not model.edits_in_one_pass,
        "channels": model.channels,
        "factors": [_describe(factor) for factor in model.factors],
    }


def _describe(factor: Factor) -> dict[str, Any]:
    return factor.to_json() | {"low": factor.low, "high": factor.high}


def _name(model: Model, given: str) -> str:
    """The name of the data that the model has learnt, where its run tells; else the model's own."""
    try:
        return Path(str(Run(model.checkpoint.parent).document()["train"]["data"])).stem
    except (UserError, KeyError, TypeError):
        return Path(given).name or given
