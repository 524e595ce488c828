"""What a study trains: every combination of the values of its axes, the baselines beside them, each with every seed."""

from __future__ import annotations

import dataclasses
import difflib
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args, get_type_hints

import numpy as np
import numpy.typing as npt

from semistylegan.errors import UserError
from semistylegan.training.config import PRESETS, TrainConfig

Values = Sequence[Any] | npt.NDArray[Any]
"""Of an axis, or seeds."""
LABELS_ONLY: dict[str, Any] = {"mix_with": "labelled", "encoder": "separate", "gamma_e": 0.0, "gamma_doubt": 0.0}
"""E on its own trunk sees the labelled images, mixed with each other, and nothing else; G learns from that E."""
BASELINES = ("labels-only", "info", "all-labels")
"""labels-only: no unlabelled and no generated image teaches E, at every label fraction of the study. info: no labels.
all-labels: every label there is. Each for every preset of the study."""
NOT_SWEPT = ("data", "out", "seed", "device", "threads", "tick_kimg", "snap_kimg")
"""Fields that are no axis: they belong to the whole study, or (`seed`) have an option of their own."""
ABOUT_LABELS = (
    *("label_fraction", "alpha", "beta", "gamma_doubt", "as_classes"),
    *("shift", "shift_keeps", "tint", "tint_keeps"),
)
"""Fields that mean nothing to the preset info, and that it refuses."""
WRITTEN = {"system": "preset"}
"""Fields whose option has another name."""
FIELD = {name: field for field, name in WRITTEN.items()}
"""The same, the other way round."""


@dataclass(frozen=True)
class Setting:
    """One place in a study: what is trained with each of the seeds."""

    values: dict[str, Any]
    """Its value on each axis: field of TrainConfig -> value. A baseline has those that it shares with the axes."""
    baseline: str = ""
    """One of BASELINES, or nothing."""

    @property
    def name(self) -> str:
        """`label-fraction 0.01, gamma-g 5`, as it stands in tables."""
        parts = [f"{option(field)} {shown(value)}" for field, value in self.values.items()]
        return ", ".join([self.baseline, *parts] if self.baseline else parts) or "as given"

    @property
    def folder(self) -> str:
        """The same as a name of a folder."""
        return re.sub(r"[^\w.,+-]+", "-", self.name).replace(",-", "_")


@dataclass(frozen=True)
class Job:
    """One training of a study."""

    setting: Setting
    seed: int
    config: TrainConfig


@dataclass(frozen=True)
class Study:
    """Settings times seeds. Make it with :meth:`of`."""

    out: Path
    """Its folder."""
    axes: dict[str, tuple[Any, ...]]
    """Field of TrainConfig -> its values."""
    settings: tuple[Setting, ...]
    seeds: tuple[int, ...]
    jobs: tuple[Job, ...]
    """The first seed of every setting, then the second: whatever is done by some time compares all settings."""

    @classmethod
    def of(
        cls,
        data: Path | str,
        out: Path | str,
        over: Mapping[str, Values],
        seeds: Values = (0,),
        baselines: Sequence[str] = (),
        fields: Mapping[str, Any] | None = None,
    ) -> Study:
        """Plans a study.

        Args:
            data: the data set.
            out: folder of the study.
            over: field of TrainConfig, or its option's name -> values; `label_fraction` 0 is training without labels,
                as by the preset info. May be empty where there are baselines.
            seeds: each setting is trained with each of them.
            baselines: names of BASELINES.
            fields: what differs from the preset in every run; names as in `over`.

        Raises:
            UserError: an unknown field or baseline, a value that cannot be, or nothing to train.
        """
        common = {field_of(name): value for name, value in (fields or {}).items()}
        axes = {checked_axis(field): unique(values, option(field)) for field, values in over.items()}
        if twice := [field for field in axes if field in common]:
            raise UserError(f"--over {option(twice[0])}: is given as an option too; leave out one of them")
        settings = combinations(axes) if axes else []
        for name in unique(baselines, "baselines") if baselines else ():
            settings += baseline_settings(name, axes, common)
        if not settings:
            raise UserError("--over: nothing is varied; give e.g. --over label-fraction=0.01,0.1")
        folders = [setting.folder for setting in settings]
        if twice := [folder for folder in folders if folders.count(folder) > 1]:
            raise UserError(f"--over: two settings would be called {twice[0]}; leave out one of them")
        seeds = unique(seeds, "seeds")
        jobs = []
        for seed in seeds:
            for setting in settings:
                run = Path(out).absolute() / "runs" / setting.folder / f"seed-{seed}"
                jobs.append(Job(setting, seed, config_of(setting, common, str(Path(data).absolute()), str(run), seed)))
        return cls(Path(out), axes, tuple(settings), seeds, tuple(jobs))


def config_of(setting: Setting, common: Mapping[str, Any], data: str, out: str, seed: int) -> TrainConfig:
    """The training of a setting with a seed.

    Raises:
        UserError: values that do not go together; names the setting.
    """
    fields = {**common, **setting.values}
    preset = str(fields.pop("system", "semi"))
    if setting.baseline == "labels-only":
        fields |= LABELS_ONLY
    elif setting.baseline:
        fields["label_fraction"] = 0.0 if setting.baseline == "info" else None
    if preset in PRESETS and preset != "fine" and fields.get("label_fraction") == 0:  # fine is refused below
        # What info does not set is as beside it (networks, lengths, rates), so that only the labels differ.
        fields = {field: value for field, value in PRESETS[preset].items() if field not in PRESETS["info"]} | fields
        preset = "info"
    if preset == "info":
        fields = {field: value for field, value in fields.items() if field not in ABOUT_LABELS}
    try:
        return TrainConfig.preset(preset, data, out, **{**fields, "seed": seed})
    except UserError as error:
        raise UserError(f"{setting.name}: {error}") from None


def combinations(axes: Mapping[str, tuple[Any, ...]], baseline: str = "") -> list[Setting]:
    """A setting for every combination of the axes' values."""
    return [Setting(dict(zip(axes, values, strict=True)), baseline) for values in itertools.product(*axes.values())]


def baseline_settings(name: str, axes: Mapping[str, tuple[Any, ...]], common: Mapping[str, Any]) -> list[Setting]:
    """The settings that a baseline adds: one for each preset that has labels; labels-only for each label fraction, too.

    Where nothing else than the preset info is trained, `info` is that preset as it is.

    Raises:
        UserError: an unknown baseline, or one that needs labels in a study without.
    """
    if name not in BASELINES:
        raise UserError(f"--baselines {name}: known are {', '.join(BASELINES)}")
    shared = ("system", "label_fraction") if name == "labels-only" else ("system",)
    settings = []
    for setting in combinations({field: values for field, values in axes.items() if field in shared}, name):
        fields = {**common, **setting.values}
        labelled = fields.get("system") != "info" and (name != "labels-only" or fields.get("label_fraction") != 0)
        if labelled or (name == "info" and "system" not in axes):
            settings.append(setting)
    if not settings:
        raise UserError(f"--baselines {name}: no setting of the study has labels; leave it out")
    return settings


# -- words -> values ------------------------------------------------------------------------------------------------


def parse_axis(text: str) -> tuple[str, tuple[Any, ...]]:
    """`label-fraction=0,0.01` -> ("label_fraction", (0.0, 0.01)).

    Raises:
        UserError: not of this form, an unknown field, or a value of another type.
    """
    name, found, values = text.partition("=")
    if not found or not values.strip():
        raise UserError(f"--over {text}: write FIELD=VALUE,VALUE, e.g. label-fraction=0,0.01,1")
    field = checked_axis(name)
    return field, tuple(parsed(field, value.strip()) for value in values.split(","))


def checked_axis(name: str) -> str:
    """A field that can be varied, by its own or its option's name.

    Raises:
        UserError: there is none of this name, or it is not for varying.
    """
    field = field_of(name)
    known = [f.name for f in dataclasses.fields(TrainConfig) if f.name not in NOT_SWEPT]
    if field == "seed":
        raise UserError("--over seed: seeds have an option of their own, --seeds 0,1,2")
    if field not in known:
        near = difflib.get_close_matches(field, known, n=1)
        meant = f"perhaps you meant {option(near[0])}; " if near else ""
        raise UserError(f"--over {option(field)}: no such field; {meant}known are {', '.join(map(option, known))}")
    return field


def parsed(field: str, text: str) -> Any:
    """A value of a field of TrainConfig, of the field's type; `none` leaves it open where it may be (for as-classes,
    shift-keeps and tint-keeps it is a value: no factor).

    Raises:
        UserError: another type.
    """
    hint = get_type_hints(TrainConfig)[field]
    kinds = get_args(hint) or (hint,)
    if type(None) in kinds and text.lower() == "none":
        return "none" if field in ("as_classes", "shift_keeps", "tint_keeps") else None
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise UserError(f"--over {option(field)}={text}: expected true or false")
        return text.lower() == "true"
    for kind, words in ((int, "a whole number"), (float, "a number")):
        if kind in kinds:
            try:
                return kind(text)
            except ValueError:
                raise UserError(f"--over {option(field)}={text}: expected {words}") from None
    return text


def unique(values: Values, name: str) -> tuple[Any, ...]:
    """The values, as they are; those of an array as plain numbers.

    Raises:
        UserError: none, or one twice.
    """
    values = values.tolist() if isinstance(values, np.ndarray) else values
    if not len(values):
        raise UserError(f"--{name}: no value is given")
    if twice := [value for i, value in enumerate(values) if value in values[:i]]:
        raise UserError(f"--{name}: {shown(twice[0])} is given twice")
    return tuple(values)


def option(field: str) -> str:
    """label_fraction -> label-fraction; system -> preset."""
    return WRITTEN.get(field, field).replace("_", "-")


def field_of(name: str) -> str:
    """label-fraction -> label_fraction; preset -> system; a field -> itself."""
    return FIELD.get(name, name.replace("-", "_"))


def shown(value: Any) -> str:
    """0.0025 -> "0.0025", 1.0 -> "1", True -> "true"."""
    if isinstance(value, float):
        return f"{value:g}"
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
