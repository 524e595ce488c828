"""How quickly the picture follows the slider, in a real browser, and what fifty clients at once do to the server.

    python benchmarks/app.py [MODEL] [--resolution 64] [--seconds 5]

Without MODEL a tiny model of random weights is made: speed does not depend on what it has learnt. The server runs in a
process of its own, as `semistylegan app` starts it; Chromium is the system's, headless.

- latency: from the slider's event to the picture drawn on the canvas, and to the frame after it; one move at a time.
- dragging: a slider that moves at every frame of the screen; new pictures that appear in a second.
- clients: fifty of them ask for pictures and send large images for some seconds; what they get, and the most memory
  that the server held.
"""

from __future__ import annotations

import argparse
import io
import json
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from PIL import Image

MOVES = """async (count) => {
  const slider = document.querySelector("input[type=range]"), draw = CanvasRenderingContext2D.prototype.drawImage;
  let drawn = null;
  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    draw.apply(this, given);
    if (this.canvas.id === "picture") drawn?.(performance.now());
  };
  const frame = () => new Promise((go) => requestAnimationFrame(go));
  const out = [];
  for (let i = 0; i < count; i++) {
    const picture = new Promise((go) => (drawn = go));
    slider.value = ((i * 37) % 101) / 100;
    const start = performance.now();
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    const there = await picture;
    await frame();
    out.push([there - start, performance.now() - start]);
    await new Promise((go) => setTimeout(go, 20 + (i * 7) % 17));
  }
  CanvasRenderingContext2D.prototype.drawImage = draw;
  return out;
}"""
DRAG = """async (seconds) => {
  const slider = document.querySelector("input[type=range]"), draw = CanvasRenderingContext2D.prototype.drawImage;
  let pictures = 0, moves = 0;
  CanvasRenderingContext2D.prototype.drawImage = function (...given) {
    draw.apply(this, given);
    pictures += this.canvas.id === "picture";
  };
  const start = performance.now();
  while (performance.now() - start < 1000 * seconds) {
    slider.value = (1 + Math.sin(++moves / 20)) / 2;
    slider.dispatchEvent(new Event("input", { bubbles: true }));
    await new Promise((go) => requestAnimationFrame(go));
  }
  CanvasRenderingContext2D.prototype.drawImage = draw;
  return [moves / seconds, pictures / seconds];
}"""


def make_model(folder: Path, resolution: int) -> Path:
    import torch

    from semistylegan.models.build import build_networks
    from semistylegan.models.checkpoint import save_model
    from semistylegan.models.config import ModelConfig
    from semistylegan.scenes.sprites import FACTORS

    torch.manual_seed(0)
    config = ModelConfig.of_size("tiny", resolution, 3, FACTORS.code_width)
    G, _, E = build_networks(config)
    save_model(folder, config, FACTORS, G, E)
    return folder


@contextmanager
def server(model: str) -> Iterator[tuple[str, int]]:
    """`semistylegan app`: its address and process number."""
    command = [sys.executable, "-m", "semistylegan", "app", model, "--port", "0", "--no-open"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        try:
            yield line.split(": ")[1].split()[0], process.pid
        finally:
            process.terminate()


def memory(pid: int, key: str) -> float:
    """MB of a process, from /proc: VmRSS now, VmHWM at most so far."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split(f"{key}:")[1].split()[0]) / 1024


def in_browser(address: str, moves: int, seconds: float) -> dict[str, float]:
    from playwright.sync_api import sync_playwright

    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if program is None:
        sys.exit("no Chromium on the path (Debian: apt-get install chromium)")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=program, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.goto(f"{address}#seed=1")
        page.wait_for_selector("body[data-ready]")
        page.evaluate(MOVES, 20)  # warm
        times = np.array(page.evaluate(MOVES, moves))
        moved, shown = page.evaluate(DRAG, seconds)
        browser.close()
    out = {}
    for name, column in (("drawn", times[:, 0]), ("frame", times[:, 1])):
        for q in (50, 95, 99):
            out[f"{name}_ms_p{q}"] = round(float(np.percentile(column, q)), 1)
    return out | {"moves_a_second": round(moved, 1), "pictures_a_second": round(shown, 1)}


def crowd(address: str, pid: int, clients: int, seconds: float) -> dict[str, object]:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (2200, 2200, 3), dtype=np.uint8)).save(buffer, "PNG")
    large, counts, took = buffer.getvalue(), Counter[str](), []
    before, end = memory(pid, "VmRSS"), time.monotonic() + seconds

    def client(number: int) -> None:
        turn = 0
        while time.monotonic() < end:
            turn += 1
            path, data, kind = "api/images", large, "application/octet-stream"
            if (number + turn) % 5:
                pictures = [{"seed": number, "values": {"hue": turn % 360}}] * (1 if turn % 2 else 25)
                path, kind = "api/pictures", "application/json"
                data = json.dumps({"pictures": pictures, "columns": 5}).encode()
            start = time.monotonic()
            try:
                request = urllib.request.Request(address + path, data, {"Content-Type": kind})
                with urllib.request.urlopen(request, timeout=60) as answer:
                    answer.read()
                counts["served"] += 1
                took.append(time.monotonic() - start)
            except urllib.error.HTTPError as error:
                with error:
                    counts["told to wait" if error.code == 503 else f"status {error.code}"] += 1
                time.sleep(0.2)
            except OSError as error:
                counts[type(error).__name__] += 1

    threads = [threading.Thread(target=client, args=(i,)) for i in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {
        "clients": clients,
        "image_mb": round(len(large) / 2**20, 1),
        **counts,
        "slowest_s": round(max(took), 2),
        "memory_before_mb": round(before),
        "memory_most_mb": round(memory(pid, "VmHWM")),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", nargs="?")
    parser.add_argument("--resolution", type=int, default=64)
    parser.add_argument("--moves", type=int, default=200)
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--clients", type=int, default=50)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        model = options.model or str(make_model(Path(folder) / "model", options.resolution))
        with server(model) as (address, pid):
            print(json.dumps(in_browser(address, options.moves, options.seconds)), flush=True)
            if options.clients:
                print(json.dumps(crowd(address, pid, options.clients, options.seconds)))


if __name__ == "__main__":
    main()
