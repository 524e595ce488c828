"""What the metrics of a model look at: E's readings of real images, the oracle's readings of generated ones.

Each is computed once, when a metric first asks for it, in a fixed order from fixed seeds: the same model gives the same
figures.

Suffixes: N images, C entries of a code, D features, F factors of the data, K codes of the model, Z latent.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from semistylegan import progress
from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import Labels
from semistylegan.data.pictures import to_float
from semistylegan.factors import Factor, FactorSpace, FloatArray
from semistylegan.metrics import edits
from semistylegan.metrics.alignment import Meaning
from semistylegan.metrics.edits import ImageArray
from semistylegan.metrics.inception import Inception
from semistylegan.metrics.information import Floats, Ints, Mask
from semistylegan.metrics.intervals import Interval
from semistylegan.metrics.oracle import BATCH, MIN_LABELLED, Oracle, read_dataset
from semistylegan.models.checkpoint import Networks

SILENT = 1001
"""Reading fewer images than this shows no progress."""
LEAKAGE_IMAGES = 300
"""Images of which each factor is changed for the leakage matrix."""


@dataclass(frozen=True)
class Generated:
    """Images of G, as the oracle sees them."""

    asked_NK: Floats
    """Levels that were asked for, in the model's space."""
    read_NF: Floats
    """Levels that the oracle reads, in the data's space."""
    feature_ND: Floats
    """The oracle's features."""


class Readings:
    """Everything that is read, for one model on one data set.

    Args:
        networks: the model.
        data: the data set with all its labels.
        oracle: None where there are too few labels for one.
        own: the labels that training read; their images are not held out.
        prior: labels whose rows codes of generated images are drawn from; None: uniform over each factor's values.
        images: how many images to read and to generate.
        seed: fixes which.
        held_out: numbers of the images of which training saw nothing.
        hold_out: how these were named, `--hold-out`; None: there are none.
    """

    def __init__(
        self,
        networks: Networks,
        data: Dataset,
        oracle: Oracle | None,
        own: Labels,
        prior: Labels | None = None,
        images: int = 10_000,
        seed: int = 0,
        held_out: Ints | None = None,
        hold_out: str | None = None,
    ) -> None:
        # An editor names some of the data's factors: its scores are of these, those of its edits are of all.
        self.all_data, self.all_oracle = data, oracle
        if networks.G.starts_from_image:
            data = data.only(networks.space.names)
            oracle = oracle.only(networks.space.names) if oracle is not None else None
        self.networks, self.data, self.oracle = networks, data, oracle
        self.own, self.prior, self.count, self.seed = own, prior, images, seed
        self.held_out = np.zeros(0, np.int64) if held_out is None else held_out
        self.hold_out = hold_out
        self.codes, self.factors = networks.space, data.space
        self.inception: Inception | None = None
        """The network of FID, where the user gave one."""
        self.device = next(networks.G.parameters()).device

    @property
    def named(self) -> bool:
        """Whether the model's codes are the data's factors. Those of a model that saw no labels are not."""
        return self.codes.names == self.factors.names

    @cached_property
    def told(self) -> list[int]:
        """Places of the factors that the oracle tells: not of those of which no label taught it."""
        assert self.oracle is not None
        untaught = {f.name for f, e in zip(self.oracle.space, self.oracle.error, strict=True) if e is None}
        return [i for i, name in enumerate(self.factors.names) if name not in untaught]

    @property
    def oracle_l2(self) -> float | None:
        """The oracle's own L2 over the factors that the scores are of."""
        if self.oracle is None or self.all_oracle is None or self.oracle.columns is None:
            return None if self.oracle is None else self.oracle.l2
        return self.all_oracle.l2_over(self.all_data, self.factors.names)

    # -- E on real images -------------------------------------------------------------------------------------

    @cached_property
    def rows(self) -> Ints:
        """Labelled images that training read no label of, or saw nothing of where it held out enough of them.

        All labelled ones where there are fewer than MIN_LABELLED.
        """
        labelled = self.data.labels.labelled_rows
        held_out = np.intersect1d(labelled, self.held_out)
        if len(held_out) < MIN_LABELLED:
            held_out = np.setdiff1d(labelled, self.own.labelled_rows)
        rows = held_out if len(held_out) >= MIN_LABELLED else labelled
        return self.drawn(rows)

    @property
    def split(self) -> str:
        """`held-out`, or `all labelled` where too few labels were kept from training."""
        return "all labelled" if np.isin(self.rows, self.own.labelled_rows).any() else "held-out"

    @property
    def enough(self) -> bool:
        """Whether there are labelled images to measure E on."""
        return len(self.rows) >= MIN_LABELLED

    @cached_property
    def truth(self) -> tuple[Floats, Mask]:
        """Levels N x F of the images `rows`, and where they are known."""
        return self.data.labels.level_NF[self.rows].astype(np.float64), self.data.labels.known_NF[self.rows]

    @cached_property
    def true_indices(self) -> Ints:
        """Value indices N x F of the same; factors without a grid in 20 even bins."""
        return self.factors.indices_of_levels(self.truth[0]).astype(np.int64)

    @cached_property
    def read(self) -> Floats:
        """E's readings N x K of the images `rows`: levels in the model's space."""
        return self.encode(self.rows)

    @cached_property
    def meaning(self) -> Meaning:
        """What codes without names say of the factors, fitted to half of the images `rows`."""
        (level, known), half = self.truth, self.halves[0]
        return Meaning.fit(self.read[half], self.codes, level[half], self.factors, known[half])

    @cached_property
    def halves(self) -> tuple[Ints, Ints]:
        """Places in `rows` on which meanings are fitted, and those of which an encoder's errors are told.

        At random: `rows` ascend, and every other point of a grid may have half of a factor's values alone.
        """
        fitted, tested = np.array_split(np.random.default_rng([self.seed, 7]).permutation(len(self.rows)), 2)
        return np.sort(fitted), np.sort(tested)

    @property
    def tested(self) -> tuple[Floats, Floats, Mask]:
        """Of the second half: levels that codes without names are taken for, true levels, and where these are known."""
        (level, known), half = self.truth, self.halves[1]
        return self.meaning.levels(self.read[half]), level[half], known[half]

    @cached_property
    def read_all(self) -> Floats:
        """E's readings of every image of the data set, N x K."""
        return self.encode(np.arange(len(self.data)))

    @torch.inference_mode()
    def encode(self, rows: npt.NDArray[np.integer[Any]]) -> Floats:
        """E's readings N x K of images of the data set: levels in the model's space."""
        parts = []
        with progress.quiet_bar("encoding images", len(rows), SILENT) as advance:
            for i in range(0, len(rows), BATCH):
                img_BCHW = to_float(self.data.images(rows[i : i + BATCH]).to(self.device))
                parts.append(self.networks.E(img_BCHW).cpu().double())
                advance(len(img_BCHW))
        return self.codes.decode(torch.cat(parts)).numpy()

    # -- G, read by the oracle ----------------------------------------------------------------------------------

    @cached_property
    def generated_levels(self) -> Tensor:
        """`count` codes from the prior: levels in the model's space."""
        return self.draw_codes(self.count, 1)

    @cached_property
    def generated(self) -> Generated:
        """The images of these codes, as the oracle sees them."""
        read, feature = self.generate(self.generated_levels, 2, "generating images")
        return Generated(self.generated_levels.double().numpy(), read, feature)

    @cached_property
    def changed(self) -> tuple[Floats, Floats]:
        """Readings before, N x F, and after code k alone was set to another value, K x N x F."""
        count = min(self.count, LEAKAGE_IMAGES)
        level_NK = self.draw_codes(count, 3)
        random = np.random.default_rng([self.seed, 5])
        sets = [level_NK]
        for k, factor in enumerate(self.codes):
            changed = level_NK.clone()
            changed[:, k] = torch.from_numpy(other_levels(level_NK[:, k].numpy(), factor, random)).float()
            sets.append(changed)
        read, _ = self.generate(torch.cat(sets), 4, "changing one factor at a time", repeat=len(sets))
        read_KNF = read.reshape(len(sets), count, -1)
        return read_KNF[0], read_KNF[1:]

    @torch.inference_mode()
    def generate(self, level_NK: Tensor, stream: int, title: str, repeat: int = 1) -> tuple[Floats, Floats]:
        """Levels and features that the oracle reads off images of these codes.

        Args:
            level_NK: levels in the model's space.
            stream: numbers the draw of z.
            title: of the progress bar.
            repeat: the rows are so many sets of the same length, all with the same z.
        """
        assert self.oracle is not None
        levels, features = [], []
        for img_BCHW in self.drawn_images(level_NK, stream, title, repeat):
            level, feature = self.oracle.read(as_saved(img_BCHW))
            levels.append(level)
            features.append(feature)
        return np.concatenate(levels), np.concatenate(features)

    def drawn_images(self, level_NK: Tensor, stream: int, title: str, repeat: int = 1) -> Iterator[Tensor]:
        """Images of G, batch by batch; arguments as of :meth:`generate`."""
        start_N = self.starts(len(level_NK) // repeat, stream)
        start_N = torch.cat([start_N] * repeat)
        code_NC = self.codes.encode(level_NK)
        with progress.bar(title, len(level_NK)) as advance:
            for i in range(0, len(level_NK), BATCH):
                part = slice(i, i + BATCH)
                start_B = start_N[part].to(self.device)
                start_B = to_float(start_B) if self.starts_from_image else start_B
                yield self.networks.draw(start_B, code_NC[part].to(self.device))
                advance(len(start_B))

    @property
    def starts_from_image(self) -> bool:
        """Whether G starts from images."""
        return self.networks.G.starts_from_image

    @property
    def start_split(self) -> str:
        """The images that an editor's G starts from: `held-out`, or `all` where none were."""
        return "held-out" if len(self.held_out) else "all"

    def starts(self, count: int, stream: int) -> Tensor:
        """What G starts from: z, or images (uint8) drawn from those that were held out, if any, else from all."""
        if not self.starts_from_image:
            return torch.randn(count, self.networks.G.z_dim, generator=self.generator(stream))
        rows = self.held_out if self.start_split == "held-out" else np.arange(len(self.data))
        chosen = np.random.default_rng([self.seed, stream]).integers(len(rows), size=count)
        return self.data.images(rows[chosen])

    @cached_property
    def real_features(self) -> Floats:
        """The oracle's features of images of the data set, of as many as are generated where there are so many."""
        assert self.oracle is not None
        return read_dataset(self.oracle, self.data, self.real_rows)[1]

    @cached_property
    def real_rows(self) -> Ints:
        """Images of the data set, as many as are generated where there are so many."""
        return self.drawn(np.arange(len(self.data)))

    @cached_property
    @torch.inference_mode()
    def inception_features(self) -> tuple[Floats, Floats]:
        """Inception's features of real images and of those of `generated`."""
        assert self.inception is not None
        real, fake = [], []
        with progress.bar("real images through Inception", len(self.real_rows)) as advance:
            for i in range(0, len(self.real_rows), BATCH):
                rows = self.real_rows[i : i + BATCH]
                real.append(self.inception.features(self.data.images(rows)))
                advance(len(rows))
        for img_BCHW in self.drawn_images(self.generated_levels, 2, "generated images through Inception"):
            fake.append(self.inception.features(to_bytes(img_BCHW)))
        return np.concatenate(real), np.concatenate(fake)

    # -- edits ------------------------------------------------------------------------------------------------

    @cached_property
    def edited(self) -> Ints:
        """Images to be edited, fixed by the seed."""
        count = edits.EDITED if self.starts_from_image else edits.INVERTED
        rows = self.for_edits[1]
        return np.sort(np.random.default_rng([self.seed, 6]).permutation(rows)[:count]).astype(np.int64)

    @cached_property
    def for_edits(self) -> tuple[str, Ints]:
        """Images whose every label is known, and what training saw of them: the first of these that there are.

        `held-out`: nothing. `labels unread`: the images alone. `all labelled`: perhaps their labels too.
        """
        whole = np.flatnonzero(self.all_data.labels.known_NF.all(axis=1))
        unread = np.setdiff1d(np.arange(len(self.data)), self.own.labelled_rows)
        for split, pool in (("held-out", self.held_out), ("labels unread", unread)):
            if len(kept := np.intersect1d(pool, whole)):
                return split, kept
        return "all labelled", whole

    @cached_property
    def edits(self) -> tuple[dict[str, Any], dict[str, Interval], ImageArray]:
        """The scores of :func:`edits.measure`, their intervals, and the sheet of edits."""
        assert self.all_oracle is not None
        training = np.setdiff1d(np.arange(len(self.data)), np.union1d(self.held_out, self.edited))
        return edits.measure(self.networks, self.all_data, self.all_oracle, self.edited, training, self.seed)

    # -- draws --------------------------------------------------------------------------------------------------

    def draw_codes(self, count: int, stream: int) -> Tensor:
        """Levels count x K from the prior of the training."""
        level_NK = self.codes.sample(count, self.generator(stream))
        if self.prior is not None and len(rows := self.prior.labelled_rows):
            chosen = rows[np.random.default_rng([self.seed, stream]).integers(len(rows), size=count)]
            known = torch.from_numpy(self.prior.known_NF[chosen])
            level_NK = torch.where(known, torch.from_numpy(self.prior.level_NF[chosen]), level_NK)
        return level_NK

    def drawn(self, rows: npt.NDArray[np.integer[Any]]) -> Ints:
        """At most `count` of these image numbers, ascending, fixed by the seed."""
        chosen = np.random.default_rng([self.seed, 0]).permutation(rows)[: self.count]
        return np.sort(chosen).astype(np.int64)

    def generator(self, stream: int) -> torch.Generator:
        """Random numbers for one purpose, the same on every device."""
        return torch.Generator().manual_seed(1000 * self.seed + stream)


def other_levels(level_N: FloatArray, factor: Factor, random: np.random.Generator) -> FloatArray:
    """For each level another one of the factor's values, uniformly drawn (the same, where it has but one)."""
    if factor.size is None:
        return random.random(len(level_N))
    step = random.integers(1, max(factor.size, 2), size=len(level_N))
    return factor.level_of_index((factor.index_of_level(level_N) + step) % factor.size)


def to_bytes(img_BCHW: Tensor) -> Tensor:
    """Images in [-1, 1] as a file has them, uint8."""
    return (img_BCHW.float() * 127.5 + 127.5).round().clamp(0, 255).byte().cpu()


def as_saved(img_BCHW: Tensor) -> Tensor:
    """Images rounded to the 256 values that a file has, in [-1, 1]: what a user gets is what is measured."""
    return to_float(to_bytes(img_BCHW))


def own_kinds(level_NK: Floats, codes: FactorSpace, factors: FactorSpace) -> Floats:
    """Levels of a space with scalar kinds -> levels of the data's kinds (`FactorSpace.scalar_levels` backwards)."""
    out = np.array(level_NK, dtype=np.float64)
    for k, (code, factor) in enumerate(zip(codes, factors, strict=True)):
        if code.kind == factor.kind or factor.size is None:
            continue
        if factor.kind == "categorical":
            out[:, k] = np.rint(out[:, k] * (factor.size - 1))
        elif factor.kind == "circular" and factor.size > 1:
            out[:, k] = out[:, k] * (factor.size - 1) / factor.size
    return out
