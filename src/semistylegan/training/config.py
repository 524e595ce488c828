"""Everything that decides how a training goes, in one frozen dataclass; presets name the three systems of the paper."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args, get_type_hints

import numpy as np

from semistylegan.errors import UserError
from semistylegan.models.config import Backbone, EncoderKind, ModelConfig, Size, of_type

System = Literal["semi", "info", "fine", "paper"]


@dataclass(frozen=True)
class TrainConfig:
    """One training. Make it with :meth:`preset`; every field is an option of `semistylegan train`."""

    data: str
    """Folder of images, StyleGAN zip, or what `render` and `import` write."""
    out: str
    """Folder of the run. The same command again goes on where it stopped."""
    system: System = "semi"
    """semi: a few labels. info: no labels, mutual information alone (its codes have no names). fine: an editor, image
    in and image out. paper: as semi, with the paper's networks and schedules (GPUs, days). Set by --preset."""
    label_fraction: float | None = None
    """Share of the images whose labels are used, drawn once from the seed. Not given: every label there is."""
    hold_out: str | None = None
    """Images that the training never sees, to measure on: a share (0.05), or every image labelled with a value
    (shape=mug), or several of these with commas between."""
    kimg: float = 100.0
    """Thousands of real images that D sees before the training ends."""
    batch: int = 8
    """Images in a step. At small scale the number of updates counts, not the batch."""
    micro_batch: int = 0
    """Images that pass the networks at once, for small memories: a batch is cut into parts of so many, whose gradients
    are summed. The same weights, to rounding, a little slower. 0: the whole batch."""
    labelled_batch: int = 8
    """Labelled images in a step, drawn anew from the labelled rows."""
    size: Size = "tiny"
    """Width and depth of the networks: tiny (demo, two cores), small, base, paper (512 maps)."""
    width: int | None = None
    """Feature maps of every layer, at least 8. Not given: by size, fewer at high resolutions."""
    backbone: Backbone = "stylegan2"
    """Synthesis network."""
    grow_kimg: float | None = None
    """stylegan: thousands of images in which each resolution is faded in and trained, from 8x8 on (8x8: half of it).
    Not given: the networks do not grow."""
    grow_batch: int | None = None
    """stylegan: images in a step at 8x8; half as many at each further resolution, at least --batch. Not given: it."""
    encoder: EncoderKind = "separate"
    """E as a network of its own, or a second head on D's trunk as in the paper."""
    gamma_g: float = 10.0
    """Weight of L_unsup for G: how strictly G obeys the code."""
    gamma_e: float = 0.0
    """Weight of L_unsup for E: E learns from generated images too. From the start it costs what G obeys; 1 in the last
    quarter (gamma_e_from 0.75) makes E read better where labels are very few."""
    gamma_e_from: float = 0.0
    """Part of the training, 0 to 1, after which gamma_e begins; until then it is 0."""
    gamma_doubt: float = 0.2
    """Weight of E's doubt in G: a second head of E, which G is read by, learns to read a generated image as the real
    one beside it (fine: that it was made of), so that only what it cannot tell from a real image counts as obeying."""
    doubt_decay_from: float = 0.4
    """Part of the training, 0 to 1, after which gamma_doubt falls linearly to zero. 1: it does not."""
    alpha: float = 1.0
    """Weight of L_sr, the smoothness term on mixed images, and of L_aug, which is on moved and tinted ones."""
    beta: float = 0.0
    """Weight of L_sup, the plain distance on labelled images."""
    xi: float = 0.75
    """Beta(xi, xi) of the mixing share in L_sr."""
    mix_with: Literal["fakes", "unlabelled", "labelled"] = "unlabelled"
    """Partner in L_sr: generated pairs (the paper), real images with the averaged E's own reading, or other labelled
    images alone (with E apart, gamma_e and gamma_doubt 0, E then learns from the labelled images and nothing else)."""
    ce_weight: float = 0.3
    """Weight of a categorical factor's cross-entropy beside the distance of the others."""
    label_noise: float = 0.03
    """Standard deviation of the noise on labelled images (images span [-1, 1]), against learning them by heart."""
    shift: float | None = None
    """How far labelled images are moved, up, down and sideways, when E is shown them once more: at most this part of
    their side, 0 to 0.5. So E need not learn each class anew for each place. 0: not at all. Not given: 0.25 where a
    factor may be a place, so that things move in these pictures, else 0."""
    shift_keeps: str | None = None
    """Factors whose value stays what it is when the picture is moved; with commas between, or none. E learns these
    alone from moved images. Not given: classes, angles, and numbers named like colours, light or sizes; none named
    like a place."""
    tint: float | None = None
    """How far the colours of labelled images are changed (hue, saturation, contrast, brightness) when E is shown them
    once more: 0 to 1. So E need not learn each shape anew for each colour. 0: not at all. Not given: 1 where images
    have colours and a factor is named like a shape, a size, a place or an angle, else 0."""
    tint_keeps: str | None = None
    """Factors whose value stays what it is when the picture's colours change; with commas between, or none. E learns
    these alone from tinted images. Not given: those named like a shape, a size, a place or an angle."""
    gan: Literal["logistic", "relativistic"] = "logistic"
    """L_GAN: non-saturating logistic with R1 (the paper), or relativistic pairs with R1 and R2 (R3GAN)."""
    r1_gamma: float | None = None
    """Weight of R1. Not given: 0.1 at 32 px to the paper's 10 at 512 px, geometrically between; info: 1 at least."""
    r1_interval: int = 16
    """R1 is computed in every so many steps, so many times as strong."""
    lr_g: float | None = None
    """Adam's learning rate of G. Not given: by size, 0.006 for tiny."""
    lr_d: float | None = None
    """Adam's learning rate of D. Not given: by size, 0.004 for tiny."""
    lr_e: float | None = None
    """Adam's learning rate of E. Not given: by size, 0.015 for tiny."""
    lr_decay_from: float = 0.5
    """Part of the training after which learning rates fall linearly: E's to zero, G's to a tenth."""
    ema_kimg: float = 2.0
    """Half-life of the averaged weights, in thousands of images; shorter in the first part of the training."""
    fine_factors: str | None = None
    """fine: the factors that can be edited, with commas between; all others are kept. Not given: chosen by name."""
    coarse: int | None = None
    """fine: pixels a side of the maps from which the synthesis starts. Not given: by the images' size."""
    seen: int | None = None
    """fine: pixels a side of the input image as G sees it. Not given: all of them. The paper: as --coarse."""
    blend: bool | None = None
    """fine: G draws a factor on the input's pixels and what is added to them, not a picture from nothing. Not given:
    where it sees the whole input."""
    knows_source: bool | None = None
    """fine: G is told what E reads of its input beside what is asked for, so that it knows what to change. Not given:
    it is. The paper's is not."""
    keep: float = 0.0
    """fine: chance that a factor of an edit keeps what E reads of the image, as most factors do in use. 0: all factors
    of all edits are drawn anew."""
    gamma_rec: float = 0.0
    """fine: weight of L_rec, the distance of G(x, E(x)) from x: an image with its own code is itself."""
    gamma_cycle: float = 0.0
    """fine: weight of L_cycle, the distance from x of its edit edited back."""
    factor_kinds: Literal["own", "scalar"] = "own"
    """own: as the data set says. scalar: every factor is one number, as in the paper."""
    as_classes: str | None = None
    """Factors with a grid whose codes have an entry for each value, as classes have, not one number; with commas
    between, or none. Not given: chosen by name (colours, shapes)."""
    prior: Literal["auto", "grid", "labelled"] = "auto"
    """Codes of generated images: uniform over each factor's values (grid), the labelled rows' joint distribution, or
    (auto) the one that fits what these rows look like, which is said."""
    seed: int = 0
    """Fixes the labelled rows, the initial weights and every draw of the training."""
    device: str = "auto"
    """cpu, cuda, cuda:1, mps, or auto."""
    precision: Literal["float32", "tf32", "bfloat16"] = "tf32"
    """Arithmetic of the networks. tf32: a GPU rounds what it multiplies to 10 bits; a CPU computes in float32.
    bfloat16: 7 bits, half the memory (losses, R1, weights and what is small stay in float32); on a CPU with matrix
    units for it half the time, too, for networks over tiny."""
    cuda_graphs: bool = True
    """On a GPU a step's kernels are recorded once and replayed, since small networks wait for their launches otherwise;
    with --no-cuda-graphs each is launched by itself."""
    threads: int = 0
    """CPU threads; 0 takes one for tiny networks (a second gains a quarter), else what torch chooses."""
    tick_kimg: float = 1.0
    """How often the tick line and `stats.jsonl` are written."""
    snap_kimg: float = 5.0
    """How often a checkpoint and `fakes*.png` are written."""

    def __post_init__(self) -> None:
        for option, value in list(vars(self).items()):
            if isinstance(value, np.generic):  # NumPy's number: JSON takes Python's own alone
                object.__setattr__(self, option, value.item())

    @classmethod
    def preset(cls, name: str, data: str | Path, out: str | Path, **fields: Any) -> TrainConfig:
        """The configuration of a named system, with any field set otherwise.

        Raises:
            UserError: an unknown preset or field, or a value that cannot be.
        """
        if name not in PRESETS:
            raise UserError(f"preset {name!r}: known are {', '.join(PRESETS)}")
        if (system := fields.pop("system", name)) != name:
            raise UserError(f"preset {name!r}: its system is not {system!r}; ask for the preset of that name")
        try:
            of_preset = preset_fields(name, fields.get("backbone"))
            return cls(**{"data": str(data), "out": str(out), "system": name, **of_preset, **fields}).validated()
        except TypeError as error:
            raise UserError(f"training configuration: {error}") from None

    def validated(self) -> TrainConfig:
        """This configuration, or UserError naming the first option that cannot be."""
        for option, hint in get_type_hints(TrainConfig).items():
            allowed, value = get_args(hint), getattr(self, option)
            if isinstance(value, float) and not math.isfinite(value):
                raise UserError(f"--{option.replace('_', '-')} {value}: not a finite number")
            if not of_type(value, hint):
                wanted = TYPES.get(allowed[0] if allowed else hint) or f"known are {', '.join(allowed)}"
                raise UserError(f"--{option.replace('_', '-')} {value}: {wanted}")
        over_zero = ("kimg", "batch", "labelled_batch", "xi", "r1_interval", "grow_kimg", "grow_batch")
        gammas = ("gamma_g", "gamma_e", "gamma_rec", "gamma_cycle", "gamma_doubt", "r1_gamma")
        weights = (*gammas, "alpha", "beta", "ce_weight")
        parts = ("label_fraction", "gamma_e_from", "lr_decay_from", "doubt_decay_from", "keep", "tint")
        limits: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
            ((*over_zero, "tick_kimg", "snap_kimg"), lambda x: x > 0, "must be over 0"),
            ((*weights, "label_noise", "ema_kimg", "micro_batch", "threads"), lambda x: x >= 0, "must be at least 0"),
            (("seed",), lambda x: 0 <= x < 2**31, f"give a number from 0 to {2**31 - 1}"),
            (("width",), lambda x: x >= 8, "must be at least 8"),
            (("lr_g", "lr_d", "lr_e"), lambda x: 0 < x < 1, "must lie between 0 and 1"),
            (parts, lambda x: 0 <= x <= 1, "must lie between 0 and 1"),
            (("shift",), lambda x: 0 <= x <= 0.5, "must lie between 0 and 0.5"),
        )
        for options, fits, word in limits:
            for option in options:
                if (value := getattr(self, option)) is not None and not fits(value):
                    raise UserError(f"--{option.replace('_', '-')} {value}: {word}")
        if self.system != "info" and self.label_fraction == 0:
            raise UserError(
                f"--label-fraction 0: the preset {self.system} needs labels; use --preset info to train without"
            )
        if self.grow_kimg is not None and self.backbone != "stylegan":
            raise UserError(f"--grow-kimg: the backbone {self.backbone} does not grow; add --backbone stylegan")
        if self.grow_kimg is None and self.grow_batch is not None:
            raise UserError("--grow-batch: belongs to a growing run; add --grow-kimg")
        if self.backbone == "stylegan" and self.system == "fine":
            raise UserError("--backbone stylegan: the preset fine has a network of its own; leave it out")
        of_fine = ("fine_factors", "coarse", "seen", "blend", "knows_source")
        for option in (*of_fine, "keep", "gamma_rec", "gamma_cycle"):
            if self.system != "fine" and getattr(self, option):
                raise UserError(f"--{option.replace('_', '-')}: belongs to the preset fine; add --preset fine")
        for option in ("gamma_doubt", "shift", "shift_keeps", "tint", "tint_keeps", "as_classes"):
            if self.system == "info" and getattr(self, option):
                raise UserError(f"--{option.replace('_', '-')}: needs labels; leave it out with --preset info")
        if self.system == "info" and (self.label_fraction or self.alpha or self.beta):
            raise UserError("--preset info: it trains without labels; leave out --label-fraction, --alpha and --beta")
        return self

    def resolved(self, resolution: int) -> TrainConfig:
        """This configuration with every open field filled in for images of `resolution` pixels."""
        lr_g, lr_d, lr_e = LEARNING_RATES[self.size]
        coarse, seen, blend, knows_source = self.coarse, self.seen, self.blend, self.knows_source
        if self.system == "fine":
            coarse = coarse_resolution(resolution) if coarse is None else coarse
            seen = resolution if seen is None else seen
            sizes = [2**k for k in range(2, resolution.bit_length())]
            for option, size in (("coarse", coarse), ("seen", seen)):
                if size not in sizes:
                    raise UserError(f"--{option} {size}: choose one of {', '.join(map(str, sizes))}")
            if seen < coarse:
                raise UserError(f"--seen {seen}: must be at least --coarse {coarse}")
            blend = seen == resolution if blend is None else blend
            knows_source = knows_source is None or knows_source
        r1 = 0.1 * (resolution / 32) ** (math.log(100) / math.log(16))
        if self.system == "info":  # where no label leads G, D wins at once with less (docs/results/studies.md)
            r1 = max(r1, 1.0)
        return dataclasses.replace(
            self,
            r1_gamma=self.r1_gamma if self.r1_gamma is not None else float(f"{r1:.3g}"),
            coarse=coarse,
            seen=seen,
            blend=blend,
            knows_source=knows_source,
            lr_g=self.lr_g or lr_g,
            lr_d=self.lr_d or lr_d,
            lr_e=self.lr_e or lr_e,
        )

    def networks(self, resolution: int, channels: int, code_width: int) -> ModelConfig:
        """What a :meth:`resolved` configuration trains."""
        return ModelConfig.of_size(
            self.size,
            resolution,
            channels,
            code_width,
            self.backbone,
            self.encoder,
            self.coarse or 0,
            self.seen or 0,
            bool(self.blend),
            bool(self.knows_source),
            self.width,
            second_head=bool(self.gamma_doubt),
        )

    def batch_at(self, resolution: int) -> int:
        """Images a step: `batch`, or more while the networks have only grown to `resolution` pixels a side."""
        return self.batch if self.grow_batch is None else max(self.grow_batch * 8 // resolution, self.batch)

    def batches(self, resolution: int) -> list[int]:
        """Every :meth:`batch_at` of a training at `resolution`, the largest first."""
        grown = [2**k for k in range(3, resolution.bit_length())] or [resolution]
        return sorted({self.batch_at(r) for r in grown}, reverse=True)

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> TrainConfig:
        """Reads what :meth:`to_json` wrote.

        Raises:
            UserError: a field that this version does not know, one that is missing, or a value that cannot be.
        """
        if not isinstance(document, Mapping):
            raise UserError("the training configuration is no object of fields and values")
        known = {f.name for f in dataclasses.fields(cls)}
        if missing := sorted({"data", "out"} - set(document)):
            raise UserError(f"field {missing[0]!r} is missing; was it written by another version?")
        if unknown := sorted(set(document) - known):
            raise UserError(f"unknown field {unknown[0]!r}; was it written by another version?")
        meant = {**EARLIER, **document}
        if meant.get("system") != "info":
            meant.setdefault("shift_keeps", "none")
            meant.setdefault("tint_keeps", "none")
            meant["as_classes"] = meant.get("as_classes") or "none"
        return cls(**meant).validated()


def coarse_resolution(resolution: int) -> int:
    """Where the synthesis of an editor starts: 32 pixels a side from 512 on (the paper); else 4, where it sees all of
    the image at once (docs/results/editing.md)."""
    return 32 if resolution >= 512 else 4


TYPES: dict[Any, str] = {
    bool: "must be true or false",
    int: "must be a whole number",
    float: "must be a number",
    str: "must be text",
}
"""What is said of a value of another type than its field's."""

PRESETS: dict[str, dict[str, Any]] = {
    "semi": {},
    "info": {
        "label_fraction": 0.0,
        "gamma_g": 5.0,
        "gamma_e": 1.0,
        "gamma_doubt": 0.0,
        "alpha": 0.0,
        "beta": 0.0,
        "shift": 0.0,
        "tint": 0.0,
    },
    # Little mixing: G would paint the faint second images that E learns to read in mixtures (docs/results/editing.md).
    "fine": {"gamma_g": 30.0, "gamma_doubt": 0.4, "keep": 0.5, "xi": 0.1, "gamma_rec": 10.0, "ce_weight": 0.15},
    "paper": {
        "backbone": "stylegan",
        "size": "paper",
        "encoder": "shared",
        "factor_kinds": "scalar",
        "prior": "grid",
        "kimg": 25_600.0,
        "batch": 32,
        "labelled_batch": 32,
        "grow_kimg": 1280.0,
        "grow_batch": 256,
        "lr_g": 0.001,
        "lr_d": 0.001,
        "lr_e": 0.001,
        "lr_decay_from": 1.0,
        "r1_gamma": 10.0,
        "r1_interval": 1,
        "gamma_g": 1.0,
        "gamma_e": 1.0,
        "gamma_doubt": 0.0,
        "alpha": 1.0,
        "beta": 1.0,
        "mix_with": "fakes",
        "label_noise": 0.0,
        "shift": 0.0,
        "tint": 0.0,
        "ema_kimg": 10.0,
        "snap_kimg": 100.0,
        "tick_kimg": 10.0,
    },
}
"""The fields in which a preset differs from the defaults."""

EARLIER: dict[str, Any] = {"gamma_doubt": 0.0, "doubt_decay_from": 1.0, "keep": 0.0, "shift": 0.0, "tint": 0.0}
"""What a `config.json` means that was written before these fields were, and before names and kinds chose factors."""

LEARNING_RATES: dict[str, tuple[float, float, float]] = {
    "tiny": (0.006, 0.004, 0.015),
    "small": (0.004, 0.003, 0.008),
    "base": (0.0025, 0.0025, 0.004),
    "paper": (0.002, 0.002, 0.002),
}
"""G, D, E. Only those of `tiny` are tuned; the others follow the usual rule of less for wider networks."""

FREE_TO_CHANGE = ("out", "device", "cuda_graphs", "threads", "micro_batch", "tick_kimg", "snap_kimg", "data")
"""Fields that a resumed run may set otherwise: they do not decide what is learned (data is compared by content)."""


def preset_fields(name: str, backbone: str | None = None) -> dict[str, Any]:
    """What a preset sets; not its growing, where another backbone than its own is chosen."""
    fields = PRESETS[name]
    if backbone in (None, fields.get("backbone")):
        return dict(fields)
    return {field: value for field, value in fields.items() if field not in ("grow_kimg", "grow_batch")}
