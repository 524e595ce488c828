"""The oracle E*: an encoder trained on ALL labels of a data set, for evaluation alone.

It is trained once a data set and kept, with its own error on held-out images, in a cache folder. A score that rests on
it can be no better than it is. Nothing that trains may import this file.

Suffixes: B or N images, D features, F factors.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from safetensors.torch import save as as_bytes
from torch import Tensor

from semistylegan import progress
from semistylegan.data.labels import Labels
from semistylegan.data.pictures import to_float
from semistylegan.data.storage import cores
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.files import atomic_path, cache_folder, sha256_of, write_json
from semistylegan.metrics.controllability import l2_levels, mean_errors
from semistylegan.metrics.information import Floats, Ints
from semistylegan.metrics.oracle_network import SEED, OracleNetwork, Plan, fit, plan_for

VERSION = 3
"""Counts up whenever another network or training would give another oracle: old ones are then not used any more."""
MIN_LABELLED = 20
"""Fewer labelled images than this make no oracle."""
BATCH = 250
"""Images that are read at a time."""
FILES = ("model.safetensors", "oracle.json")


class LabelledImages(Protocol):
    """What an oracle needs of a data set: `data.dataset.Dataset`, or a stand-in."""

    @property
    def resolution(self) -> int: ...
    @property
    def channels(self) -> int: ...
    @property
    def space(self) -> FactorSpace: ...
    @property
    def labels(self) -> Labels: ...
    def __len__(self) -> int: ...
    def images(self, indices: npt.NDArray[np.integer[Any]], /) -> Tensor: ...
    def fingerprint(self) -> str: ...


@dataclass(frozen=True)
class Oracle:
    """A trained oracle and how good it is."""

    space: FactorSpace
    """Its factors: those of the data set."""
    network: OracleNetwork
    """Image -> features -> code."""
    plan: Plan
    """What it is and how it was trained."""
    error: tuple[float | None, ...]
    """Mean error of each factor on held-out images (see `FactorSpace.error`); None where no label is known."""
    l2: float
    """Mean norm of the errors on held-out images, `controllability.l2_levels`."""
    labelled: int
    """Labelled images there are."""
    held_out: int
    """How many of them it did not learn from."""

    columns: tuple[int, ...] | None = None
    """Which of the factors it tells; None: all (see :meth:`only`)."""
    parts: dict[tuple[str, ...], float] = dataclasses.field(default_factory=dict, init=False, compare=False, repr=False)
    """Some of the factors -> its L2 over these, as far as that was asked for (see :meth:`l2_over`)."""

    def only(self, names: Sequence[str]) -> Oracle:
        """The same oracle that tells these factors alone, in the data's order."""
        columns = tuple(i for i, name in enumerate(self.space.names) if name in names)
        return dataclasses.replace(self, columns=columns)

    def l2_over(self, data: LabelledImages, names: Sequence[str]) -> float | None:
        """`l2` over some of the factors: the images that it did not learn from are read again, once.

        Args:
            data: whose oracle it is, with all labels.
            names: the factors.

        Returns:
            None where none of these images knows any of the factors.
        """
        told, key = [i for i, name in enumerate(self.space.names) if name in names], tuple(names)
        if len(told) == len(self.space):
            return self.l2
        test, _ = split(data.labels)
        level_NF, known_NF = data.labels.level_NF[test][:, told], data.labels.known_NF[test][:, told]
        if not known_NF.any():
            return None
        if key not in self.parts:
            read_NF, _ = read_dataset(dataclasses.replace(self, columns=tuple(told)), data, test)
            self.parts[key] = l2_levels(read_NF, level_NF, self.space.only(names), known_NF)
        return self.parts[key]

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    @property
    def weights(self) -> bytes:
        """The network's weights as a safetensors file."""
        return as_bytes({k: v.detach().cpu().contiguous() for k, v in self.network.state_dict().items()})

    @property
    def sha256(self) -> str:
        """Hash of the weights."""
        return hashlib.sha256(self.weights).hexdigest()

    @torch.inference_mode()
    def read(self, img_BCHW: Tensor) -> tuple[Floats, Floats]:
        """Levels B x F and features B x D of images in [-1, 1], B x channels x H x W."""
        feature = self.network.features(img_BCHW.to(self.device))
        level = self.space.decode(self.network.code(feature))
        if self.columns is not None:
            level = level[:, self.columns]
        return level.cpu().numpy().astype(np.float64), feature.cpu().numpy().astype(np.float64)


def oracle_for(data: LabelledImages, device: torch.device | str = "cpu", cache: Path | None = None) -> Oracle | None:
    """The oracle of a data set: from the cache, else trained (progress is shown) and kept there.

    Args:
        data: with all its labels.
        device: where to compute.
        cache: folder to keep it in; None: :func:`cache_folder`.

    Returns:
        None where fewer than MIN_LABELLED images have a label.
    """
    if len(data.labels.labelled_rows) < MIN_LABELLED:
        return None
    folder = (cache or cache_folder()) / "oracles" / f"{data.fingerprint()}-v{VERSION}"
    if (kept := load(folder, data, torch.device(device))) is not None:
        return kept
    oracle = train(data, torch.device(device))
    try:
        save(folder, oracle, data)
    except (OSError, UserError) as error:  # the scores do not need the cache
        progress.console().print(f"the oracle cannot be kept in {folder}: {error}", markup=False)
    return oracle


@contextlib.contextmanager
def own_threads() -> Iterator[None]:
    """Inside, torch has the threads that a new process has: sums depend on their number, and a training before may have
    set another one."""
    before, told = torch.get_num_threads(), os.environ.get("OMP_NUM_THREADS", "")
    torch.set_num_threads((int(told) if told.isdigit() else 0) or cores())
    try:
        yield
    finally:
        torch.set_num_threads(before)


@own_threads()
def train(data: LabelledImages, device: torch.device, plan: Plan | None = None) -> Oracle:
    """Trains an oracle on nine tenths of the labelled images and measures it on the rest.

    With fewer than 500 labelled images up to 50, but no more than a fifth, are held out, so that its error means
    something. The same data give the same oracle, whatever this process did before.

    Args:
        data: at least 2 labelled images.
        device: where to compute.
        plan: None: `plan_for` the resolution and the number of images.
    """
    test, rows = split(data.labels)
    plan = plan or plan_for(data.resolution, len(rows))
    network = fit(
        data.images,
        rows,
        torch.from_numpy(data.labels.level_NF[rows]),
        torch.from_numpy(data.labels.known_NF[rows]),
        data.space,
        data.channels,
        plan,
        device,
    )
    untested = Oracle(data.space, network, plan, (), 0.0, len(test) + len(rows), len(test))
    level_NF, _ = read_dataset(untested, data, test)
    truth, known = data.labels.level_NF[test], data.labels.known_NF[test]
    error = mean_errors(level_NF, truth, data.space, known)
    return dataclasses.replace(
        untested,
        error=tuple(None if np.isnan(e) else float(e) for e in error),
        l2=l2_levels(level_NF, truth, data.space, known),
    )


def split(labels: Labels) -> tuple[Ints, Ints]:
    """Labelled images that an oracle is measured on, and those that it learns from."""
    labelled = labels.labelled_rows
    shuffled = np.random.default_rng(SEED).permutation(labelled)
    held = min(max(round(0.1 * len(labelled)), min(50, len(labelled) // 5), 1), 5000)
    return shuffled[:held], np.sort(shuffled[held:])


def read_dataset(oracle: Oracle, data: LabelledImages, rows: npt.NDArray[np.integer[Any]]) -> tuple[Floats, Floats]:
    """Levels N x F and features N x D that the oracle reads off images of a data set."""
    parts = [
        oracle.read(to_float(data.images(rows[i : i + BATCH]).to(oracle.device))) for i in range(0, len(rows), BATCH)
    ]
    return np.concatenate([level for level, _ in parts]), np.concatenate([feature for _, feature in parts])


# -- the cache ------------------------------------------------------------------------------------------------------


def save(folder: Path, oracle: Oracle, data: LabelledImages) -> None:
    """Writes the weights, then `oracle.json`, which makes the folder valid: it holds the weights' hash."""
    weights, document = (folder / name for name in FILES)
    with atomic_path(weights) as temporary:
        temporary.write_bytes(oracle.weights)
    write_json(
        document,
        {
            "version": VERSION,
            "data_fingerprint": data.fingerprint(),
            "weights_sha256": oracle.sha256,
            "labelled": oracle.labelled,
            "held_out": oracle.held_out,
            "l2": oracle.l2,
            "error": dict(zip(oracle.space.names, oracle.error, strict=True)),
            "plan": dataclasses.asdict(oracle.plan),
        },
    )


def load(folder: Path, data: LabelledImages, device: torch.device) -> Oracle | None:
    """What :func:`save` wrote for this data set, or None where it is missing, damaged or of something else."""
    weights, document = (folder / name for name in FILES)
    try:
        kept = json.loads(document.read_text(encoding="utf-8"))
        if kept["version"] != VERSION or kept["data_fingerprint"] != data.fingerprint():
            return None
        if kept["weights_sha256"] != sha256_of(weights):
            return None
        lists = {key: tuple(kept["plan"][key]) for key in ("widths", "pooled")}
        plan = Plan(**{**kept["plan"], **lists})
        network = OracleNetwork(data.channels, data.space.code_width, plan)
        network.load_state_dict(load_file(weights))
        error = tuple(kept["error"][name] for name in data.space.names)
        l2, labelled, held_out = float(kept["l2"]), int(kept["labelled"]), int(kept["held_out"])
    except (OSError, ValueError, KeyError, TypeError, RuntimeError, SafetensorError):
        return None
    network.to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    return Oracle(data.space, network.eval().requires_grad_(False), plan, error, l2, labelled, held_out)
