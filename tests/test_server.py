"""What the pages' server lets in, what it refuses, and how it says so."""

from __future__ import annotations

import dataclasses
import http.client
import io
import json
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import numpy as np
import pytest
from fastapi import FastAPI, Request
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import BaseModel

from semistylegan.app import server
from semistylegan.app.server import HEADERS, Limits, Refused, Worker, address, create, listen, read_image, running
from semistylegan.data.pictures import encode_png
from semistylegan.errors import UserError

if TYPE_CHECKING:
    from playwright.sync_api import BrowserContext, Page

LIMITS = Limits(json_bytes=2000, body_bytes=50_000, bodies_bytes=120_000, requests=16, body_seconds=0.5)


class Sum(BaseModel):
    a: float
    b: float


def make_app(limits: Limits = LIMITS) -> FastAPI:
    """A page with one route of each sort."""
    app = create("nothing", limits)
    worker = Worker(waiting=3)

    @app.post("/sum")
    def total(both: Sum) -> dict[str, float]:
        return {"sum": both.a + both.b}

    @app.post("/size")
    async def size(request: Request) -> dict[str, int]:
        return {"size": len(await request.body())}

    @app.get("/user")
    def user() -> None:
        raise UserError("photo.png: not an image;\ntake another")

    @app.get("/refused")
    def refused() -> None:
        raise Refused(409, "x" * 1000)

    @app.get("/slow")
    async def slow() -> dict[str, str]:
        return {"thread": await worker.run(lambda: (time.sleep(0.1), threading.current_thread().name)[1])}

    return app


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    with running(make_app()) as here:
        yield int(here.rstrip("/").rpartition(":")[2])


def ask(
    port: int, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, dict[str, str], bytes]:
    """One request with exactly these headers (underscores for dashes); Host is 127.0.0.1 unless given."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    given_headers = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        connection.putrequest(method, path, skip_host="Host" in given_headers, skip_accept_encoding=True)
        if body is not None and "Content-Length" not in given_headers:
            given_headers["Content-Length"] = str(len(body))
        for name, value in given_headers.items():
            connection.putheader(name, value)
        connection.endheaders(body)
        answer = connection.getresponse()
        return answer.status, {k.lower(): v for k, v in answer.getheaders()}, answer.read()
    finally:
        connection.close()


def sentence(answer: tuple[int, dict[str, str], bytes]) -> str:
    """The sentence of an error, which is all that an error holds."""
    document = json.loads(answer[2])
    assert set(document) == {"error"}
    assert "Traceback" not in document["error"] and ".py" not in document["error"] and "\n" not in document["error"]
    return str(document["error"])


JSON = {"Content_Type": "application/json"}


def test_what_is_right_is_served_with_the_headers_that_lock_the_page(port: int) -> None:
    status, headers, body = ask(port, "POST", "/sum", b'{"a": 1, "b": 2}', **JSON)
    assert (status, json.loads(body)) == (200, {"sum": 3.0})
    assert {name: headers[name] for name in HEADERS} == HEADERS
    assert "server" not in headers
    status, headers, body = ask(port, "GET", "/static/base.css")
    assert (status, headers["content-type"]) == (200, "text/css; charset=utf-8") and b"--paper" in body
    # No rule of the policy lets anything in from elsewhere, or run what stands in the page itself.
    assert not re.search(r"https?:|\*|unsafe", HEADERS["content-security-policy"])


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1234", "127.0.0.1:9", "[::1]:8765"])
def test_this_machine_is_known_by_its_names(port: int, host: str) -> None:
    assert ask(port, "GET", "/static/base.css", Host=host)[0] == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "evil.example"},
        {"Host": "127.0.0.1.evil.example"},
        {"Host": "localhost:80:80"},
        {"Host": ""},
        {"Host": "localhost@evil.example"},
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:3000"},
        {"Origin": "https://127.0.0.1"},
        {"Sec_Fetch_Site": "cross-site"},
        {"Sec_Fetch_Site": "same-site", "Sec_Fetch_Mode": "no-cors"},
    ],
)
@pytest.mark.parametrize(("method", "path"), [("GET", "/static/base.css"), ("POST", "/sum")])
def test_other_hosts_and_sites_are_refused(port: int, headers: dict[str, str], method: str, path: str) -> None:
    body = b'{"a": 1, "b": 2}' if method == "POST" else None
    answer = ask(port, method, path, body, **JSON, **headers)
    assert answer[0] == 403
    assert "refused" in sentence(answer) or "localhost" in sentence(answer)
    assert "content-security-policy" in answer[1]


def test_its_own_origin_and_a_link_from_elsewhere_are_let_in(port: int) -> None:
    own = {"Host": "localhost:99", "Origin": "http://localhost:99", "Sec_Fetch_Site": "same-origin"}
    assert ask(port, "POST", "/sum", b'{"a": 1, "b": 2}', **JSON, **own)[0] == 200
    elsewhere = {"Sec_Fetch_Site": "cross-site", "Sec_Fetch_Mode": "navigate"}
    assert ask(port, "GET", "/static/base.css", **elsewhere)[0] == 403
    with running(create("sliders")) as here:
        assert ask(int(here[:-1].rpartition(":")[2]), "GET", "/", **elsewhere)[0] != 403


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server.py",
        "/static/..%2fserver.py",
        "/static/%2e%2e%2fserver.py",
        "/static/..%5cserver.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/static/server.py",
        "/static/",
        "/static/base.css/",
        "/static/base.css%00",
        "/docs",
        "/openapi.json",
        "/nothing",
    ],
)
def test_nothing_outside_is_served(port: int, path: str) -> None:
    answer = ask(port, "GET", path)
    assert answer[0] == 404 and "no such" in sentence(answer)


def test_bodies_have_a_limit_whether_announced_or_not(port: int) -> None:
    assert ask(port, "POST", "/size", b"x" * 50_000)[0] == 200
    answer = ask(port, "POST", "/size", b"x", Content_Length="50001")  # answered before it has come
    assert answer[0] == 413 and sentence(answer) == "the body has 50,001 bytes; at most 50,000 are taken"
    assert ask(port, "POST", "/sum", b" " * 2001, **JSON)[0] == 413
    assert ask(port, "POST", "/sum", b" " * 1980 + b'{"a": 1, "b": 2}', **JSON)[0] == 200
    chunk = b"c350\r\n" + b"x" * 50_000 + b"\r\n"
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"POST /size HTTP/1.1\r\nHost: 127.0.0.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk + chunk)
        assert raw.recv(100).startswith(b"HTTP/1.1 413 ")


def test_a_refused_upload_may_end_in_peace(port: int) -> None:
    with socket.create_connection(("127.0.0.1", port), 10) as raw:
        raw.sendall(b"POST /size HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: 50001\r\n\r\nx")
        said = raw.recv(10_000)
        assert said.startswith(b"HTTP/1.1 413 ")
        for _ in range(5):  # a client that still sends is not cut off
            time.sleep(0.02)
            raw.sendall(b"x" * 10_000)
        while more := raw.recv(10_000):
            said += more
        assert said.endswith(b'at most 50,000 are taken"}')


def test_a_body_that_does_not_come_is_not_waited_for(port: int) -> None:
    start = time.monotonic()
    answer = ask(port, "POST", "/size", b"x", Content_Length="1000")
    assert answer[0] == 408 and "0.5 seconds" in sentence(answer)
    assert time.monotonic() - start < 5


def test_announced_bodies_together_have_a_limit() -> None:
    with running(make_app(dataclasses.replace(LIMITS, body_seconds=60.0))) as here, ExitStack() as held:
        port = int(here[:-1].rpartition(":")[2])
        for _ in range(2):
            raw = held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            raw.sendall(b"POST /size HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 50000\r\n\r\n")
        time.sleep(0.2)
        answer = ask(port, "POST", "/size", b"x" * 50_000)
        assert answer[0] == 503 and "again" in sentence(answer) and answer[1]["retry-after"] == "1"
        assert ask(port, "POST", "/size", b"x" * 20_000)[0] == 200
        held.close()
        time.sleep(0.2)
        assert ask(port, "POST", "/size", b"x" * 50_000)[0] == 200


def test_requests_together_have_a_limit_and_what_is_refused_takes_no_room() -> None:
    limits = dataclasses.replace(LIMITS, requests=2, bodies_bytes=50_000, body_seconds=60.0)
    with running(make_app(limits)) as here, ExitStack() as held:
        port = int(here[:-1].rpartition(":")[2])

        def announce(size: int) -> None:
            raw = held.enter_context(socket.create_connection(("127.0.0.1", port), 10))
            raw.sendall(f"POST /size HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: {size}\r\n\r\n".encode())
            time.sleep(0.2)

        announce(1000)
        for _ in range(3):
            assert ask(port, "POST", "/size", b"x" * 49_500)[0] == 503
        announce(1000)
        answer = ask(port, "POST", "/sum", b'{"a": 1, "b": 2}', **JSON)
        assert answer[0] == 503 and "again" in sentence(answer)
        held.close()
        time.sleep(0.2)
        assert ask(port, "POST", "/size", b"x" * 50_000)[0] == 200


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        (b"", 422, "Field required"),
        (b"{", 422, "JSON decode error"),
        (b'{"a": 1}', 422, "b: Field required"),
        (b'{"a": "\\ud800", "b": 2}', 422, "a: "),
        (b'{"a": ' + b"[" * 900 + b"]" * 900 + b', "b": 1}', 422, "a: "),
        (b"\xff\xfe\x00", 400, ""),
        (b'{"a": 1' + b"0" * 400 + b', "b": 1}', 422, "a: "),
        (b"[1, 2]", 422, "valid dictionary"),
    ],
)
def test_malformed_json_gets_a_sentence(port: int, body: bytes, status: int, said: str) -> None:
    answer = ask(port, "POST", "/sum", body, **JSON)
    assert answer[0] == status and said in sentence(answer)


def test_json_must_say_that_it_is(port: int) -> None:
    # A form on another site could send text/plain without asking first.
    assert ask(port, "POST", "/sum", b'{"a": 1, "b": 2}', Content_Type="text/plain")[0] == 422


def test_errors_of_the_routes_are_one_short_line(port: int) -> None:
    assert (answer := ask(port, "GET", "/user"))[0] == 400
    assert sentence(answer) == "photo.png: not an image; take another"
    assert (answer := ask(port, "GET", "/refused"))[0] == 409 and len(sentence(answer)) == 300
    assert (answer := ask(port, "PUT", "/sum", b""))[0] == 405 and "method" in sentence(answer)


def test_our_own_mistake_shows_the_client_no_trace(capfd: pytest.CaptureFixture[str]) -> None:
    app = create("nothing")

    @app.get("/bug")
    def bug() -> None:
        raise RuntimeError("secret")

    with running(app) as here:
        answer = ask(int(here[:-1].rpartition(":")[2]), "GET", "/bug")
    assert answer[0] == 500 and b"secret" not in answer[2] and "terminal" in sentence(answer)
    assert "RuntimeError: secret" in capfd.readouterr().err


def test_a_worker_takes_no_more_than_it_is_told(port: int) -> None:
    with ThreadPoolExecutor(8) as many:
        statuses = [answer[0] for answer in many.map(lambda _: ask(port, "GET", "/slow"), range(8))]
    assert set(statuses) == {200, 503}


def test_fifty_at_once_are_served_or_told_to_wait(port: int) -> None:
    with ThreadPoolExecutor(50) as many:
        answers = list(many.map(lambda _: ask(port, "GET", "/slow"), range(50)))
    statuses = [answer[0] for answer in answers]
    assert set(statuses) == {200, 503} and statuses.count(200) >= 3
    assert all(
        answer[1]["retry-after"] == "1" and "again" in sentence(answer) for answer in answers if answer[0] == 503
    )
    # One thread does all the work, and there is room again.
    assert len({answer[2] for answer in answers if answer[0] == 200}) == 1
    assert ask(port, "GET", "/slow")[0] == 200


@settings(max_examples=150, deadline=None)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "DELETE", "HEAD", "OPTIONS", "BREW"]),
    path=st.one_of(
        st.sampled_from(["/", "/sum", "/size", "/static/base.css", "/static/..", "/%", "/%00", "//", "/?%ff=%"]),
        st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=40).map("/{}".format),
    ),
    body=st.one_of(st.none(), st.binary(max_size=100), st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    ).map(lambda value: json.dumps(value).encode())),
    kind=st.sampled_from(["application/json", "text/plain", "application/json; charset=utf-16", "a/b/c", ";"]),
)  # fmt: skip
def test_no_request_breaks_the_server(port: int, method: str, path: str, body: bytes | None, kind: str) -> None:
    answer = ask(port, method, path, body, Content_Type=kind)
    # `GET /` of this application has no page to give.
    assert answer[0] < 500 or path.partition("?")[0] in ("/", "//"), answer
    if answer[0] >= 400 and method != "HEAD":
        sentence(answer)


def test_image_bombs_and_rubbish_are_refused() -> None:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def png(width: int, height: int) -> bytes:
        header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
        return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")

    image = np.arange(48, dtype=np.uint8).reshape(4, 4, 3)
    assert (read_image(encode_png(image)) == image).all()
    buffer = io.BytesIO()
    Image.new("L", (8000, 6000)).save(buffer, "JPEG")
    for bad, said in [
        (png(30_000, 30_000), "pixels"),
        (png(8000, 5001), "pixels"),
        (png(2**31 - 1, 2**31 - 1), "pixels"),
        (buffer.getvalue(), "pixels"),
        (png(100, 100), "damaged"),
        (encode_png(image)[:-20], "cut off"),
        (b"", "empty"),
        (b"<svg/>", "not a PNG"),
        (b"GIF89a" + b"\0" * 100, "not a PNG"),
    ]:
        with pytest.raises(UserError, match=said):
            read_image(bad)


def test_ports() -> None:
    with listen(0) as taken:
        assert taken.getsockname()[0] == "127.0.0.1"
        assert taken.proto == socket.IPPROTO_TCP  # else asyncio leaves Nagle's algorithm on: 40 ms an answer
        port = taken.getsockname()[1]
        assert address(taken) == f"http://127.0.0.1:{port}/"
        with pytest.raises(UserError, match=rf"--port {port}: .* choose another, or 0 for any free one"):
            listen(port)
    for beyond in (70000, -1):
        with pytest.raises(UserError, match=f"--port {beyond}"):
            listen(beyond)
    with listen(None) as first, listen(None) as second:
        assert first.getsockname()[1] != second.getsockname()[1]


def test_what_takes_long_is_told_that_the_server_has_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    app, ended = create("nothing"), []

    class Ended:
        def run(self, sockets: list[socket.socket]) -> None:
            ended.append(app.state.ending.is_set())

    monkeypatch.setattr(server, "_server", lambda _: Ended())
    server.serve(app, "A page", 0, browser=False)
    assert ended == [False] and app.state.ending.is_set()


def test_ctrl_c_ends_it_gracefully() -> None:
    code = "from semistylegan.app.server import create, serve; serve(create('nothing'), 'A page', 0, browser=False)"
    with subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        found = re.fullmatch(r"A page: http://127\.0\.0\.1:(\d+)/  \(Ctrl-C ends it\)\n", line)
        assert found, line
        # A connection that stays open does not keep it.
        with socket.create_connection(("127.0.0.1", int(found[1])), 10):
            assert ask(int(found[1]), "GET", "/static/base.css")[0] == 200
            process.send_signal(signal.SIGINT)
            _, errors = process.communicate(timeout=20)
    assert (process.returncode, errors) == (0, "\nended\n")


SLOW = """
import time
from semistylegan.app.server import Worker, create, serve
app, worker = create("nothing"), Worker()
@app.get("/slow")
async def slow(): return await worker.run(time.sleep, 5)
serve(app, "A page", 0, browser=False)
"""


def test_ctrl_c_while_a_request_takes_long_is_no_mistake() -> None:
    with (
        subprocess.Popen(
            [sys.executable, "-c", SLOW], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        ) as process,
        ThreadPoolExecutor(1) as pool,
    ):
        assert process.stdout is not None
        port = int(process.stdout.readline().rpartition(":")[2].partition("/")[0])
        answer = pool.submit(ask, port, "GET", "/slow")
        time.sleep(1)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=30)
        assert (answer.result()[0], sentence(answer.result())) == (503, "the server has ended")
    assert process.returncode == 0 and "Traceback" not in errors, errors


MODULE = """
async () => {
  const { Latest, ask, keyName } = await import("/static/base.js");
  const shown = [], sent = [];
  const latest = new Latest(
    async (n) => { sent.push(n); await new Promise((go) => setTimeout(go, n === 1 ? 60 : 10)); return n; },
    (n) => shown.push(n), (error) => shown.push(String(error)));
  for (const n of [1, 2, 3, 4]) latest.want(n);
  await new Promise((go) => setTimeout(go, 150));
  const thrown = [], after = [];
  addEventListener("unhandledrejection", (event) => { event.preventDefault(); thrown.push(event.reason.message); });
  const broken = new Latest(
    async (n) => { if (n % 2) throw new Error(`no ${n}`); return n; },
    (n) => after.push(n), (error) => { throw error; });
  for (const n of [1, 2]) broken.want(n);
  await new Promise((go) => setTimeout(go, 50));
  for (const n of [3, 4]) {
    broken.want(n);
    await new Promise((go) => setTimeout(go, 50));
  }
  const refused = await ask("/refused").catch((error) => [error.status, error.message.length]);
  const keys = [{ key: "Z", ctrlKey: true, shiftKey: true }, { key: "?", shiftKey: true }, { key: "ArrowLeft" },
    { key: "Я", code: "KeyZ", shiftKey: true }, { key: "é", code: "Digit2" },
    { key: "@", code: "Digit2", shiftKey: true }];
  return { sent, shown, thrown, after, refused, keys: keys.map((key) => keyName(key)) };
}
"""


def test_the_shared_module_in_a_browser(port: int, page: Page) -> None:
    page.goto(f"http://127.0.0.1:{port}/static/base.css")
    found = page.evaluate(MODULE)
    # Of what was asked for while one request was under way, the newest alone is sent. An error stops nothing that comes
    # after it.
    assert found == {
        "sent": [1, 4],
        "shown": [1, 4],
        "thrown": ["no 1", "no 3"],
        "after": [2, 4],
        "refused": [409, 300],
        "keys": ["mod+shift+z", "?", "arrowleft", "shift+z", "2", "@"],
    }


BREACHES = """
async () => {
  const seen = [];
  document.addEventListener("securitypolicyviolation", (event) => seen.push(event.effectiveDirective));
  document.body.append(Object.assign(document.createElement("script"), { textContent: "window.ran = true" }));
  document.body.append(Object.assign(document.createElement("img"), { src: "http://localhost:1/x.png" }));
  document.body.append(Object.assign(document.createElement("iframe"), { src: "/static/base.css" }));
  await fetch("http://localhost:1/").catch(() => null);
  for (let i = 0; i < 100 && seen.length < 4; i++) await new Promise((go) => setTimeout(go, 100));
  return { seen: seen.sort(), ran: window.ran ?? false };
}
"""


def test_the_policy_stops_scripts_in_the_page_and_requests_to_elsewhere(port: int, browser: BrowserContext) -> None:
    tab = browser.new_page()
    tab.goto(f"http://127.0.0.1:{port}/static/base.css")
    found = tab.evaluate(BREACHES)
    tab.close()
    assert found == {"seen": ["connect-src", "frame-src", "img-src", "script-src-elem"], "ran": False}
