"""What the pages have in common: who may ask, how much, how errors read, how the server starts and ends.

A page is a FastAPI application from :func:`create`, with its own routes added, run by :func:`serve`. It listens on
127.0.0.1 alone. Other sites that are open in the same browser can reach that address too, so each request must name
this host (against DNS rebinding) and, where it names an origin, this one (against forged requests).
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import socket
import sys
import threading
import webbrowser
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, TypeVar

import uvicorn
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semistylegan.data.pictures import ImageArray, decode_image, read_header
from semistylegan.errors import UserError

HOST = "127.0.0.1"
NAMES = (HOST, "localhost", "[::1]")
"""Names by which a browser may call this server, with any port: `ssh -L` gives it another one."""
PORT = 8765
"""Tried first where no port was asked for."""
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
}
"""Files of `static/` that are served, by their ending."""
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cache-control": "no-store",
}
"""Sent with every answer, where the answer does not say otherwise."""
LONGEST = 300
"""Characters of an error's sentence."""

T = TypeVar("T")


class Refused(Exception):
    """A request that is not served: becomes an answer of this status with this sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


class Busy(Refused):
    """Too much is going on: the client is told to wait and to come again."""

    def __init__(self) -> None:
        super().__init__(503, "busy with other requests; try again in a moment")


@dataclass(frozen=True)
class Limits:
    """How much is taken at once. What goes beyond is refused, so that memory stays bounded."""

    json_bytes: int = 256 * 1024
    """Of one JSON body."""
    body_bytes: int = 20 * 1024 * 1024
    """Of one other body: an image file."""
    bodies_bytes: int = 64 * 1024 * 1024
    """Of all bodies that are held at the same time."""
    requests: int = 64
    """That are answered or wait at the same time."""
    body_seconds: float = 30.0
    """Until a body must have arrived."""


MAX_PIXELS = 40_000_000
"""Pixels of an image that a page takes; a file of a few kilobytes can claim more."""


def create(page: str, limits: Limits | None = None) -> FastAPI:
    """An application that serves `static/<page>.html` at `/`, the other static files, and no routes yet.

    Routes raise UserError (400), :class:`Refused`, or FastAPI's own exceptions; each becomes `{"error": sentence}`.
    `app.state.ending`, an Event, is set when the server ends: long work should stop then.
    """
    app = FastAPI(title="semistylegan", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    app.state.ending = threading.Event()
    static = {
        entry.name: entry.read_bytes()
        for entry in (files("semistylegan.app") / "static").iterdir()
        if os.path.splitext(entry.name)[1] in TYPES
    }

    @app.get("/")
    def index() -> Response:
        return Response(static[f"{page}.html"], media_type=TYPES[".html"])

    @app.get("/static/{name}")
    def file(name: str) -> Response:
        # Names are looked up, never joined to a path.
        if name not in static:
            raise Refused(404, "no such file")
        return Response(static[name], media_type=TYPES[os.path.splitext(name)[1]])

    app.add_exception_handler(Refused, _refused)
    app.add_exception_handler(UserError, _user_error)
    app.add_exception_handler(RequestValidationError, _malformed)
    app.add_exception_handler(HTTPException, _http)
    app.add_middleware(Guard, limits=limits or Limits())
    return app


class Guard:
    """Stands before every route: host, origin, number of requests, size of bodies, headers of the answer."""

    def __init__(self, app: ASGIApp, limits: Limits) -> None:
        self.app, self.limits = app, limits
        # Of the server's start: a page that an earlier one gave out is of another model, or of other data.
        self.headers = HEADERS | {"x-sitting": secrets.token_hex(8)}
        self.requests = self.held = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            return await self.app(scope, receive, send)
        if scope["type"] != "http":
            return await send({"type": "websocket.close", "code": 1008})

        started = False

        async def answer(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                said = {name for name, _ in message["headers"]}
                more = [(k.encode(), v.encode()) for k, v in self.headers.items() if k.encode() not in said]
                message = {**message, "headers": [*message["headers"], *more]}
            await send(message)

        size, read = 0, False
        self.requests += 1
        try:
            headers = Headers(scope=scope)
            _known(scope, headers)
            if self.requests > self.limits.requests:
                raise Busy
            size = self._expected(headers)
            if self.held + size > self.limits.bodies_bytes:
                size = 0
                raise Busy
            self.held += size
            body = await self._body(receive, size)
            read = True
            await self.app(scope, _replay(body, receive), answer)
        except Refused as error:
            await error_response(error)(scope, receive, answer if read else self._draining(receive, answer))
        except asyncio.CancelledError:
            # The server ends, and does not wait for what takes long. That is no mistake, and has no traceback.
            if not started:
                await error_response(Refused(503, "the server has ended"))(scope, receive, answer)
        except Exception:
            # Our own mistake: the traceback goes to the terminal, the client gets a sentence.
            if not started:
                bug = Refused(500, "something went wrong in the server; the terminal says what")
                await error_response(bug)(scope, receive, answer)
            raise
        finally:
            self.requests -= 1
            self.held -= size

    def _draining(self, receive: Receive, send: Send) -> Send:
        """A `send` that takes in, and throws away, what the client still sends, before it ends the answer.

        A connection closed in the middle of a body would be lost to most clients together with the answer.
        """

        async def ending(message: Message) -> None:
            if message["type"] != "http.response.body":
                return await send(message)
            await send({**message, "more_body": True})
            left = self.limits.body_bytes
            with suppress(TimeoutError):
                async with asyncio.timeout(self.limits.body_seconds):
                    while left > 0 and (more := await receive()).get("more_body"):
                        left -= len(more.get("body", b""))
            await send({"type": "http.response.body"})

        return ending

    def _expected(self, headers: Headers) -> int:
        """Bytes to make room for: what the client announces, or as many as it may send."""
        is_json = headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json"
        most = self.limits.json_bytes if is_json else self.limits.body_bytes
        said = headers.get("content-length")
        if said is None:
            return most if "transfer-encoding" in headers else 0
        if not said.isdigit():
            raise Refused(400, "the length of the body is not a number")
        if int(said) > most:
            raise Refused(413, f"the body has {int(said):,} bytes; at most {most:,} are taken")
        return int(said)

    async def _body(self, receive: Receive, most: int) -> bytes:
        """The whole body, no more than `most` bytes."""
        parts, size = [], 0
        try:
            async with asyncio.timeout(self.limits.body_seconds):
                while True:
                    message = await receive()
                    if message["type"] == "http.disconnect":
                        raise Refused(400, "the client went away before all of the body had come")
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    if size > most:
                        raise Refused(413, f"the body has more than {most:,} bytes")
                    if not message.get("more_body"):
                        return b"".join(parts)
        except TimeoutError:
            raise Refused(408, f"the body did not come within {self.limits.body_seconds:g} seconds") from None


def _known(scope: Scope, headers: Headers) -> None:
    """Refuses requests for another host, and those that another site sends."""
    host = headers.get("host", "")
    if len(headers.getlist("host")) != 1 or re.sub(r":\d{1,5}$", "", host.lower()) not in NAMES:
        raise Refused(403, f"this server answers as {HOST} and localhost alone")
    origin = headers.get("origin")
    if origin is not None and origin.lower() != f"http://{host.lower()}":
        raise Refused(403, "requests from other sites are refused")
    # A link from elsewhere may open the page; nothing else may be asked for from elsewhere.
    opens = scope["path"] == "/" and scope["method"] == "GET" and headers.get("sec-fetch-mode") == "navigate"
    if headers.get("sec-fetch-site", "none") not in ("none", "same-origin") and not opens:
        raise Refused(403, "requests from other sites are refused")


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body which was read already, then what else comes."""
    left = [body]

    async def again() -> Message:
        return {"type": "http.request", "body": left.pop()} if left else await receive()

    return again


# -- answers ---------------------------------------------------------------------------------------------------------


def error_response(error: Refused) -> Response:
    """`{"error": sentence}`. ASCII, so that no character of what a client sent can be in the way."""
    sentence = error.sentence if len(error.sentence) <= LONGEST else error.sentence[: LONGEST - 1] + "…"
    headers = {"retry-after": "1"} if error.status == 503 else {}
    return Response(json.dumps({"error": sentence}), error.status, headers, "application/json")


def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    return error_response(error)


def _user_error(request: Request, error: Exception) -> Response:
    return error_response(Refused(400, " ".join(str(error).split("\n"))))


def _malformed(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0] if error.errors() else {"loc": (), "msg": "not understood"}
    place = ".".join(str(part) for part in first["loc"] if part != "body")
    return error_response(Refused(422, f"{place or 'the request'}: {first['msg']}"))


def _http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    sentence = {404: "no such page", 405: "this address does not take that method"}.get(error.status_code)
    return error_response(Refused(error.status_code, sentence or str(error.detail)))


# -- work ------------------------------------------------------------------------------------------------------------


class Worker:
    """One thread that does what takes long, one thing after the other, and a queue of bounded length before it."""

    def __init__(self, waiting: int = 32, begin: Callable[[], object] | None = None) -> None:
        """`waiting` jobs may wait or be done at once; `begin` is called in the thread before the first."""
        self.waiting = waiting
        self.jobs = 0
        self._pool = ThreadPoolExecutor(1, initializer=begin)

    def start(self, work: Callable[..., T], *args: Any) -> Future[T]:
        """Begins `work(*args)` in the thread, or lines it up. To be called from a coroutine.

        Raises:
            Busy: too many jobs wait already.
        """
        if self.jobs >= self.waiting:
            raise Busy
        future = self._pool.submit(work, *args)
        self.jobs += 1
        # Counted until it is done, also where nobody waits for it any more.
        loop = asyncio.get_running_loop()
        future.add_done_callback(lambda _: loop.is_closed() or loop.call_soon_threadsafe(self._done))
        return future

    async def run(self, work: Callable[..., T], *args: Any) -> T:
        """`work(*args)` in the thread, awaited.

        Raises:
            Busy: too many jobs wait already.
        """
        return await asyncio.wrap_future(self.start(work, *args))

    def _done(self) -> None:
        self.jobs -= 1


def read_image(data: bytes, name: str = "the image") -> ImageArray:
    """A sent image file -> uint8 H x W x C.

    Raises:
        UserError: no image, a damaged one, or more than MAX_PIXELS.
    """
    if not data:
        raise UserError(f"{name}: empty; send the bytes of a PNG, JPEG, WebP or BMP file")
    header = read_header(data, name)
    if header.width * header.height > MAX_PIXELS:
        raise UserError(f"{name}: {header.words} is more than {MAX_PIXELS:,} pixels; make it smaller")
    return decode_image(data, name)


# -- from start to end -----------------------------------------------------------------------------------------------


def listen(port: int | None) -> socket.socket:
    """A socket on 127.0.0.1.

    Args:
        port: 0 takes any free one; None takes PORT, or any free one where that is taken.

    Raises:
        UserError: the port asked for is taken or not to be had.
    """
    if port is not None and not 0 <= port <= 65535:
        raise UserError(f"--port {port}: ports run from 1 to 65535; 0 takes any free one")
    last: OSError | None = None
    for tried in (PORT, 0) if port is None else (port,):
        # With the protocol named asyncio sets TCP_NODELAY; without it, each answer waits 40 ms for the client's ACK.
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        try:
            if os.name == "posix":  # elsewhere it would let two servers share a port
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind((HOST, tried))
            sock.listen(128)
            return sock
        except OSError as error:
            sock.close()
            last = error
    raise UserError(f"--port {port}: {last.strerror if last else 'not free'}; choose another, or 0 for any free one")


def address(sock: socket.socket) -> str:
    """http://127.0.0.1:PORT/"""
    return f"http://{HOST}:{sock.getsockname()[1]}/"


def _server(app: FastAPI) -> uvicorn.Server:
    return uvicorn.Server(
        uvicorn.Config(
            app,
            log_level="error",
            access_log=False,
            ws="none",
            lifespan="off",
            proxy_headers=False,
            server_header=False,
            limit_concurrency=512,
            timeout_graceful_shutdown=2,
        )
    )


def serve(app: FastAPI, what: str, port: int | None = None, browser: bool = True) -> None:
    """Serves until Ctrl-C.

    Args:
        what: what the page is, for the line on the terminal.
        port: as in :func:`listen`.
        browser: open the page, where there is a screen.

    Raises:
        UserError: the port is taken.
    """
    with listen(port) as sock:
        here = address(sock)
        print(f"{what}: {here}  (Ctrl-C ends it)", flush=True)
        if browser and _screen():
            # The socket listens already: the page waits until the server has started.
            threading.Thread(target=webbrowser.open, args=(here,), daemon=True).start()
        with suppress(KeyboardInterrupt):  # uvicorn has ended by then, and hands the signal on
            _server(app).run([sock])
        app.state.ending.set()
        print("\nended", file=sys.stderr)


@contextmanager
def running(app: FastAPI, port: int = 0) -> Iterator[str]:
    """Serves from a thread while the block runs; yields the address. For tests and measurements."""
    with listen(port) as sock:
        server = _server(app)
        thread = threading.Thread(target=server.run, args=([sock],), daemon=True)
        thread.start()
        try:
            yield address(sock)
        finally:
            app.state.ending.set()
            server.should_exit = True
            thread.join(10)


def _screen() -> bool:
    """Whether a browser window can be opened here."""
    return sys.platform in ("darwin", "win32") or bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"))
