"""How soon the labelling page of a large data set is there, and how long a label takes.

Makes a folder and a zip of --images copies of a small sprite, each under its own name, the first --labelled of them
with labels; starts `semistylegan label` on each and waits for the first image, as a browser does; then labels 20.

    python benchmarks/label_start.py --out large
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
import zipfile
from pathlib import Path
from typing import Any

from semistylegan.data.pictures import encode_png
from semistylegan.scenes.sprites import render

ASKED = "shape=ring|square|triangle,hue:angle,scale:0.13..0.29/5"


def name(i: int) -> str:
    return f"{i // 1000:05d}/img{i:08d}.png"


def make(out: Path, images: int, labelled: int) -> tuple[Path, Path]:
    """The folder and the zip, unless they are there; the labels are written anew."""
    png = bytes(encode_png(render(4711, 32)))
    folder, packed = out / "folder", out / "packed.zip"
    if not (folder / name(images - 1)).exists():
        for i in range(images):
            (folder / name(i)).parent.mkdir(parents=True, exist_ok=True)
            (folder / name(i)).write_bytes(png)
    if not packed.exists():
        with zipfile.ZipFile(packed, "w") as file:
            for i in range(images):
                file.writestr(name(i), png)
    rows = [f"{name(i)},{('ring', 'square', 'triangle')[i % 3]},{i % 360},0.21\n" for i in range(labelled)]
    for table in (folder / "metadata.csv", out / "packed.metadata.csv"):
        table.write_text("file_name,shape,hue,scale\n" + "".join(rows))
    return folder, packed


def ask(address: str, path: str, body: dict[str, Any] | None = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    with urllib.request.urlopen(
        urllib.request.Request(address + path, data, {"content-type": "application/json"})
    ) as answer:
        found = answer.read()
    return json.loads(found) if path.startswith("api/") and not path.endswith("picture") else found


def start(data: Path) -> dict[str, float]:
    """Seconds until the first image is there, of the clock and of the processor, and milliseconds a label."""
    command = [sys.executable, "-m", "semistylegan", "label", str(data), "--factors", ASKED, "--no-open", "--port", "0"]
    began = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    address = process.stdout.readline().split()[2]
    ask(address, "")
    ask(address, "api/desk")
    item = ask(address, "api/next", {"window": "w"})["item"]
    ask(address, f"api/images/{item['image']}/picture")
    seconds = time.perf_counter() - began
    ticks = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    cpu = (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")
    took = []
    for _ in range(20):
        body = {"window": "w", "image": item["image"], "values": {"shape": "ring", "hue": 30, "scale": 0.21}}
        before = time.perf_counter()
        item = ask(address, "api/labels", body)["item"]
        took.append(1000 * (time.perf_counter() - before))
    process.send_signal(signal.SIGINT)
    process.wait()
    return {"seconds": seconds, "cpu_seconds": cpu, "ms_a_label": statistics.median(took)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True, help="folder for the data sets, made once")
    parser.add_argument("--images", type=int, default=100_000)
    parser.add_argument("--labelled", type=int, nargs="+", default=[0, 300, 100_000])
    parser.add_argument("--times", type=int, default=3)
    args = parser.parse_args()
    print(
        "| data | labelled | first image, seconds | of the processor | a label, ms |\n| --- | --- | --- | --- | --- |"
    )
    for labelled in args.labelled:
        for data in make(args.out, args.images, min(labelled, args.images - 1000)):
            start(data)  # what the disk holds is in memory from here on
            runs = [start(data) for _ in range(args.times)]
            middle = {key: statistics.median(run[key] for run in runs) for key in runs[0]}
            print(
                f"| {data.name} | {labelled:,} | {middle['seconds']:.2f} | {middle['cpu_seconds']:.2f} "
                f"| {middle['ms_a_label']:.1f} |", flush=True
            )  # fmt: skip


if __name__ == "__main__":
    main()
