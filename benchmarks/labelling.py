"""What choosing the next image to label is worth: a scripted user on a data set whose labels are all known.

The user labels in rounds; after each, an encoder learns from what is labelled (as a run trains its E: mixtures with
unlabelled images, without G and D) and is measured on images that nobody labels. Ways to choose:

random        any image
spread        the image that looks least like those labelled, of 2,000 at hand (k-centre greedy on thumbnails)
doubt         the images that the last round's encoder is least sure of; the first round is random
doubt+spread  among the most doubtful fifth, those that it reads least like those labelled; the first round is random
balance       images whose values, as it reads them, have the fewest labels so far; the first round is random

--skew leaves out, among the images that can be labelled, most of the later values of the categorical factors (each
value is 0.3 times as frequent as the one before), and none among those that are measured.

    semistylegan render sprites --out sprites.zip --resolution 32
    python benchmarks/labelling.py --data sprites.zip --out labelling.jsonl
    python benchmarks/labelling.py --data sprites.zip --out labelling.jsonl --skew
    python benchmarks/labelling.py --out labelling.jsonl --plot labelling.png
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from semistylegan import active, losses
from semistylegan.data.dataset import Dataset, epoch_order
from semistylegan.data.pictures import to_float
from semistylegan.factors import FactorSpace
from semistylegan.models.encoder import Encoder
from semistylegan.training.config import TrainConfig
from semistylegan.training.state import TrainState
from semistylegan.training.step import decay, update_averages

WAYS = ("random", "spread", "doubt", "doubt+spread", "balance")
HELD_OUT, AT_HAND = 1500, 2000
Rows = npt.NDArray[np.int64]


def train_encoder(
    images: Tensor, rows: Rows, code_NC: Tensor, space: FactorSpace, pool: Rows, steps: int, seed: int
) -> Encoder:
    """E as a run trains it, on the labelled `rows` and the unlabelled `pool`; returns its average."""
    _, channels, _, resolution = images.shape
    fields = {"kimg": steps * 8 / 1000, "seed": seed, "gamma_doubt": 0.0}
    config = TrainConfig.preset("semi", "-", "-", **fields).resolved(resolution)
    model = config.networks(resolution, channels, space.code_width)
    state = TrainState.create(config, model, space, torch.device("cpu"))
    for step in range(steps):
        random = np.random.default_rng([seed, 1, step])
        generator = torch.Generator().manual_seed(int(random.integers(2**63)))
        real = to_float(images[pool[epoch_order(len(pool), seed, state.images, config.batch)]])
        drawn = rows[random.integers(len(rows), size=config.labelled_batch)]
        labelled = to_float(images[drawn])
        labelled = labelled + config.label_noise * torch.randn(labelled.shape, generator=generator)
        share = losses.mix_share(len(drawn), config.xi, random)
        with torch.no_grad():
            partner = space.soften(state.E_ema(real))
        code = losses.mix(code_NC[drawn], partner, share)
        known = torch.ones(len(drawn), len(space), dtype=torch.bool)
        state.opt_E.zero_grad()
        said = state.E(losses.mix(labelled, real, share))
        losses.supervised(said, code, known, space, config.ce_weight).backward()
        state.opt_E.collect()
        state.opt_E.step(decay(state, floor=0.0))
        state.images += config.batch
        update_averages(state, config.batch)
    return state.E_ema


@torch.no_grad()
def read(E: Encoder, images: Tensor) -> active.Floats:
    """What E says of uint8 images."""
    return torch.cat([E(to_float(part)) for part in images.split(256)]).numpy()


def choose(
    way: str, labelled: Rows, count: int, free: Rows, looks: active.Floats, images: Tensor, E: Encoder | None,
    level_NF: active.Floats, space: FactorSpace, random: np.random.Generator,
) -> Rows:  # fmt: skip
    """The next `count` images of `free`."""
    some = random.choice(free, min(AT_HAND, len(free)), replace=False)
    if way == "spread":
        return some[active.spread(looks[some], active.nearest(looks[some], looks[labelled]), count)]
    if way == "random" or E is None:
        return some[:count]
    said = read(E, images[some])
    if way == "balance":
        read_NF = space.indices_of_levels(space.decode(torch.from_numpy(said)).numpy(), bins=5)
        own = space.indices_of_levels(level_NF[labelled], bins=5)
        return some[balance(read_NF, own, count, random)]
    most = active.doubtful(active.doubt(said, space), count)
    if way == "doubt":
        return some[most[:count]]
    code, of_labelled = active.reading(said, space)[most], active.reading(read(E, images[labelled]), space)
    return some[most[active.spread(code, active.nearest(code, of_labelled), count)]]


def balance(read_NF: Rows, labelled_MF: Rows, count: int, random: np.random.Generator) -> list[int]:
    """Places of `count` images that even out how often each value of each factor is labelled.

    One after the other, the image whose values, as an encoder reads them, have the fewest labels: the largest sum over
    factors of 1 / (1 + labels of that value); ties are drawn.

    Args:
        read_NF: value indices as read (factors without a grid: bins).
        labelled_MF: value indices of the labels so far.
    """
    values = int(max(read_NF.max(initial=0), labelled_MF.max(initial=0))) + 1
    have_FV = np.stack([np.bincount(column, minlength=values) for column in labelled_MF.T]).astype(np.float64)
    factors = np.arange(read_NF.shape[1])
    chosen: list[int] = []
    for _ in range(min(count, len(read_NF))):
        need_N = (1 / (1 + have_FV[factors, read_NF])).sum(axis=1) + 1e-6 * random.random(len(read_NF))
        need_N[chosen] = -1
        chosen.append(int(need_N.argmax()))
        have_FV[factors, read_NF[chosen[-1]]] += 1
    return chosen


def rarer(level_NF: npt.NDArray[np.float32], space: FactorSpace, seed: int) -> npt.NDArray[np.bool_]:
    """Which images stay where values of categorical factors are ever rarer."""
    share = np.ones(len(level_NF))
    for f, factor in enumerate(space):
        if factor.kind == "categorical":
            share *= 0.3 ** level_NF[:, f]
    return np.random.default_rng([seed, 10]).random(len(level_NF)) < share


def measure(args: argparse.Namespace) -> None:
    """Every way, seed and count that `args.out` does not hold yet, a line each."""
    torch.set_num_threads(1)
    data = Dataset.open(args.data)
    space, level_NF = data.space, data.labels.level_NF
    images = data.images(np.arange(len(data)))
    code_NC = space.encode(torch.from_numpy(level_NF))
    looks = np.stack([active.look(image) for image in images.permute(0, 2, 3, 1).numpy()])
    done = {(row["way"], row["seed"], row["count"], row["skew"]) for row in lines(args.out)}
    trained: dict[bytes, Encoder] = {}
    for seed in args.seeds:
        order = np.random.default_rng([seed, 9]).permutation(len(data))
        test, pool = order[:HELD_OUT], order[HELD_OUT:]
        if args.skew:
            pool = pool[rarer(level_NF, space, seed)[pool]]
        for way in args.ways:
            if all((way, seed, count, args.skew) in done for count in args.counts):
                continue
            random = np.random.default_rng([seed, 11])
            labelled, E = np.zeros(0, np.int64), None
            for count in args.counts:
                free = np.setdiff1d(pool, labelled)
                more = choose(way, labelled, count - len(labelled), free, looks, images, E, level_NF, space, random)
                labelled = np.concatenate([labelled, more])
                key, began = np.array([seed, *labelled]).tobytes(), time.process_time()
                if key not in trained:  # the first rounds of some ways are the same
                    trained[key] = train_encoder(images, labelled, code_NC, space, pool, args.steps, seed)
                E = trained[key]
                said_NF = space.decode(torch.from_numpy(read(E, images[test]))).numpy()
                error_F = space.error(said_NF, level_NF[test]).mean(axis=0)
                row = {"way": way, "seed": seed, "count": count, "skew": args.skew, "error": float(error_F.mean())}
                row["per_factor"] = dict(zip(space.names, map(float, error_F), strict=True))
                row["cpu_seconds"] = round(time.process_time() - began, 1)
                if (way, seed, count, args.skew) not in done:
                    print(json.dumps(row), flush=True)
                    with args.out.open("a", encoding="utf-8") as file:
                        file.write(json.dumps(row) + "\n")


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []


def plot(rows: list[dict[str, Any]], out: Path) -> None:
    """Error against the number of labels, a line a way, its spread over seeds; prints the same as a table."""
    import matplotlib.pyplot as plt

    panels = sorted({row["skew"] for row in rows})
    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 3.6), squeeze=False, sharey=True)
    for ax, skew in zip(axes[0], panels, strict=True):
        here = [row for row in rows if row["skew"] == skew]
        counts = sorted({row["count"] for row in here})
        for way in (w for w in WAYS if any(row["way"] == w for row in here)):
            of_way = {c: [row["error"] for row in here if row["way"] == way and row["count"] == c] for c in counts}
            mean = [float(np.mean(of_way[c])) for c in counts]
            low, high = [min(of_way[c]) for c in counts], [max(of_way[c]) for c in counts]
            (line,) = ax.plot(counts, mean, marker="o", markersize=4, label=way)
            ax.fill_between(counts, low, high, color=line.get_color(), alpha=0.12, linewidth=0)
            cells = [
                f"{m:.3f} ({min(of_way[c]):.3f} to {max(of_way[c]):.3f})" for c, m in zip(counts, mean, strict=True)
            ]
            print(f"| {'rare classes' if skew else 'even'} | {way} | " + " | ".join(cells) + " |")
        ax.set(xscale="log", xticks=counts, xlabel="labelled images", title="rare classes" if skew else "even classes")
        ax.set_xticks(counts, [str(c) for c in counts])
        ax.minorticks_off()
        ax.grid(alpha=0.25)
    axes[0][0].set_ylabel("mean error of the encoder")
    axes[0][-1].legend(frameon=False)
    figure.tight_layout()
    figure.savefig(out, dpi=130)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", help="a data set with all labels")
    parser.add_argument("--out", type=Path, required=True, help="a line a measurement; what is there is not done again")
    parser.add_argument("--counts", type=int, nargs="+", default=[48, 96, 192])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=800, help="of each training")
    parser.add_argument("--skew", action="store_true", help="some classes are rare")
    parser.add_argument("--plot", type=Path, help="draw what --out holds into this PNG, measure nothing")
    args = parser.parse_args()
    if args.plot:
        plot(lines(args.out), args.plot)
    else:
        measure(args)


if __name__ == "__main__":
    main()
