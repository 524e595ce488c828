"""The page on which a person labels images: from nothing to the few percent that training needs.

The server alone writes, one label at a time: all that touches the desk runs in one thread, one request after the other.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Annotated, Any

from fastapi import APIRouter, Depends, FastAPI
from pydantic import BaseModel, Field
from starlette.responses import Response

from semistylegan.app.desk import Desk
from semistylegan.app.server import Refused, Worker, create
from semistylegan.files import held

Window = Annotated[str, Field(min_length=1, max_length=64)]
Number = Annotated[int, Field(ge=0, le=2**40)]


class Asked(BaseModel):
    """A window that wants an image."""

    window: Window


class Said(Asked):
    """What a person says of an image."""

    image: Number
    saw: dict[str, str] = {}
    values: dict[str, float | str | None]


class Skipped(Asked):
    """An image that a person does not want to label."""

    image: Number


class Undone(Asked):
    """What is to be undone: the number that came with its answer."""

    undo: Number


class Class(BaseModel):
    """A class that comes up."""

    name: str
    category: str = Field(max_length=200)


def make_app(desk: Desk) -> FastAPI:
    """The page for a desk."""
    app = create("labelling")
    worker = Worker()

    async def still(of: str | None = None) -> None:
        """Refuses a page that an earlier server gave out: its numbers may mean other images here."""
        if of not in (None, desk.sitting):
            raise Refused(410, "the server was started anew since: reload this page")

    routes = APIRouter(dependencies=[Depends(still)])

    @app.get("/api/desk")
    async def describe() -> dict[str, Any]:
        return await worker.run(desk.describe)

    @routes.post("/api/next")
    async def following(asked: Asked) -> dict[str, Any]:
        return await worker.run(desk.next, asked.window)

    @routes.get("/api/images/{image}")
    async def look(image: Number) -> dict[str, Any]:
        return await worker.run(desk.look, image)

    @routes.get("/api/images/{image}/picture")
    async def picture(image: Number) -> Response:
        headers = {"cache-control": "private, max-age=3600"}
        return Response(await worker.run(desk.picture, image), headers=headers, media_type="image/png")

    @routes.post("/api/labels")
    async def save(said: Said) -> dict[str, Any]:
        return await worker.run(desk.save, said.window, said.image, said.saw, said.values)

    @routes.post("/api/skip")
    async def skip(skipped: Skipped) -> dict[str, Any]:
        return await worker.run(desk.skip, skipped.window, skipped.image)

    @routes.post("/api/undo")
    async def undo(undone: Undone) -> dict[str, Any]:
        return await worker.run(desk.undo, undone.window, undone.undo)

    @routes.post("/api/classes")
    async def grow(new: Class) -> dict[str, Any]:
        return await worker.run(desk.grow, new.name, new.category)

    app.include_router(routes)
    return app


def alone(desk: Desk) -> AbstractContextManager[None]:
    """Holds the data while the block runs: a second server would write over the labels of the first.

    Raises:
        UserError: another one holds it.
    """
    return held(
        desk.store.path,
        f"{desk.store.path}: is being labelled by another `semistylegan label`; use its page, in as many "
        "windows as you like, or end it",
    )
