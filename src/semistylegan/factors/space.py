"""Several factors together: tables of their values, the grid they span, and the codes that networks see."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from semistylegan.errors import UserError
from semistylegan.factors.factor import Factor, FloatArray, IntArray, Kind, whole_number

if TYPE_CHECKING:
    import torch  # at run time where codes are made: whoever looks at labels alone need not wait for it


@dataclass(frozen=True)
class FactorSpace:
    """An ordered tuple of factors. Iterates over them; `space["hue"]` and `space[1]` pick one.

    Raises:
        UserError: two factors of one name.
    """

    factors: tuple[Factor, ...]

    def __post_init__(self) -> None:
        names = [f.name for f in self.factors]
        if twice := {n for n in names if names.count(n) > 1}:
            raise UserError(f"two factors are named {sorted(twice)[0]!r}: names must differ")

    # -- which factors -------------------------------------------------------------------------------------

    @classmethod
    def grid(cls, sizes: Mapping[str, int]) -> FactorSpace:
        """Scalar factors by number of values, in own units 0 .. n-1."""
        whole = {name: whole_number(f"factor {name!r}: size", n) for name, n in sizes.items()}
        return cls(tuple(Factor.scalar(name, n, 0, max(n - 1, 1)) for name, n in whole.items()))

    @classmethod
    def isaac3d(cls) -> FactorSpace:
        """Isaac3D: 737,280 images, nine factors, in the order of its file numbers."""
        return cls.grid(
            {
                "object_shape": 3,
                "robot_x-move": 8,
                "robot_y-move": 5,
                "camera_height": 4,
                "object_scale": 4,
                "lighting_intensity": 4,
                "lighting_y-dir": 6,
                "object_color": 4,
                "wall_color": 4,
            }
        )

    @classmethod
    def falcor3d(cls) -> FactorSpace:
        """Falcor3D: 233,280 images, seven factors."""
        names = ("lighting_x-dir", "lighting_y-dir", "lighting_z-dir", "camera_x-pos", "camera_y-pos", "camera_z-pos")
        return cls.grid({"lighting_intensity": 5} | dict.fromkeys(names, 6))

    @classmethod
    def dsprites(cls) -> FactorSpace:
        """dSprites: 737,280 images, six factors, of which `color` is constant."""
        return cls.grid({"color": 1, "shape": 3, "scale": 6, "orientation": 40, "position_x": 32, "position_y": 32})

    @classmethod
    def shapes3d(cls) -> FactorSpace:
        """Shapes3D: 480,000 images, six factors."""
        return cls.grid({"floor_hue": 10, "wall_hue": 10, "object_hue": 10, "scale": 8, "shape": 4, "orientation": 15})

    @classmethod
    def mpi3d(cls, variant: Literal["toy", "realistic", "real", "complex"] = "toy") -> FactorSpace:
        """MPI3D: 1,036,800 images, seven factors; the real-complex set (`complex`) has 460,800."""
        if variant not in ("toy", "realistic", "real", "complex"):
            raise UserError(f"mpi3d variant {variant!r}: known are toy, realistic, real, complex")
        colors, shapes = (4, 4) if variant == "complex" else (6, 6)
        return cls.grid(
            {
                "object_color": colors,
                "object_shape": shapes,
                "object_size": 2,
                "camera_height": 3,
                "background_color": 3,
                "horizontal_axis": 40,
                "vertical_axis": 40,
            }
        )

    def with_kinds(self, kinds: Literal["own", "scalar"]) -> FactorSpace:
        """This space as it is (`own`), or with every factor scalar, as the paper has it."""
        if kinds == "own":
            return self
        if kinds != "scalar":
            raise UserError(f"factor kinds {kinds!r}: known are own, scalar")
        return FactorSpace(tuple(f.as_scalar() for f in self.factors))

    def with_classes(self, names: Sequence[str]) -> FactorSpace:
        """This space with these factors' codes `as_classes`.

        Raises:
            UserError: an unknown factor, or one without a grid; a categorical one stays as it is.
        """
        chosen = set(self.only(names).names)
        return FactorSpace(
            tuple(
                dataclasses.replace(f, as_classes=True) if f.name in chosen and f.kind != "categorical" else f
                for f in self.factors
            )
        )

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(f.kind for f in self.factors)

    def scalar_levels(self, level_NF: FloatArray) -> FloatArray:
        """Levels here -> levels in `with_kinds("scalar")`: class numbers and angles become places on a line."""
        out = np.array(level_NF, dtype=np.float64)
        for i, f in enumerate(self.factors):
            if f.kind != "scalar" and f.size is not None and f.size > 1:
                out[..., i] = f.index_of_level(out[..., i]) / (f.size - 1)
            elif f.kind == "categorical":
                out[..., i] = 0.0
        return out

    def __len__(self) -> int:
        return len(self.factors)

    def __iter__(self) -> Iterator[Factor]:
        return iter(self.factors)

    def __getitem__(self, key: int | str) -> Factor:
        return self.factors[key if isinstance(key, int) else self.position(key)]

    def position(self, name: str) -> int:
        """Column of a factor.

        Raises:
            UserError: an unknown name; lists the known ones.
        """
        if name not in self.names:
            known = f"known are {', '.join(self.names)}" if self.names else "there are no labels, so no factor is known"
            raise UserError(f"unknown factor {name!r}: {known}")
        return self.names.index(name)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(f.name for f in self.factors)

    def only(self, names: Sequence[str]) -> FactorSpace:
        """These factors alone, in the order that they have here.

        Raises:
            UserError: an unknown name; lists the known ones.
        """
        kept = {self.position(name) for name in names}
        return FactorSpace(tuple(f for i, f in enumerate(self.factors) if i in kept))

    # -- the grid: index of an image <-> value indices ------------------------------------------------------

    @property
    def sizes(self) -> tuple[int, ...]:
        """Number of values of each factor.

        Raises:
            UserError: where a factor has no grid.
        """
        if without := [f.name for f in self.factors if f.size is None]:
            raise UserError(f"factor {without[0]!r} is continuous: it has no number of values")
        return tuple(f.size for f in self.factors if f.size is not None)

    @property
    def total(self) -> int:
        """Number of points of the grid."""
        return math.prod(self.sizes)

    def index_of(self, values: Sequence[int] | IntArray) -> Any:
        """Value indices (F, or N x F) -> index of the image: row-major in the order of the factors.

        Returns an int for one row, an int64 array for a table.

        Raises:
            UserError: a wrong number of columns, or a value index out of its range.
        """
        v = np.asarray(values)
        if v.shape[-1] != len(self) or v.ndim not in (1, 2):
            raise UserError(f"value indices of shape {v.shape}: expected {len(self)} columns, one a factor")
        for column, factor in zip(np.moveaxis(v, -1, 0), self.factors, strict=True):
            if factor.size is not None and ((column < 0) | (column >= factor.size)).any():
                raise UserError(f"factor {factor.name!r}: value indices run from 0 to {factor.size - 1}")
        flat = np.ravel_multi_index(tuple(np.moveaxis(v, -1, 0)), self.sizes)
        return int(flat) if v.ndim == 1 else flat

    def values_of(self, index: Any) -> IntArray:
        """Index of an image (int, or N) -> value indices, F or N x F int64.

        Raises:
            UserError: an index outside the grid.
        """
        i = np.asarray(index)
        if ((i < 0) | (i >= self.total)).any():
            raise UserError(f"index {index}: images are numbered 0 to {self.total - 1}")
        return np.stack(np.unravel_index(i, self.sizes), axis=-1).astype(np.int64)

    def levels_of_indices(self, values_NF: IntArray) -> FloatArray:
        """Value indices N x F -> levels N x F."""
        v = np.asarray(values_NF)
        if not self.factors:
            return np.zeros(v.shape)
        return np.stack([f.level_of_index(v[..., i]) for i, f in enumerate(self.factors)], axis=-1)

    def indices_of_levels(self, level_NF: FloatArray, bins: int = 20) -> IntArray:
        """Levels N x F -> value indices N x F; factors without a grid fall into `bins` even bins."""
        u = np.asarray(level_NF)
        if not self.factors:
            return np.zeros(u.shape, dtype=np.int64)
        return np.stack([f.index_of_level(u[..., i], bins) for i, f in enumerate(self.factors)], axis=-1)

    def error(self, a_NF: FloatArray, b_NF: FloatArray) -> FloatArray:
        """How far levels `a` lie from levels `b`, each factor in [0, 1] of its own range.

        scalar: |difference| / range; circular: angle / half a turn; categorical: 1 where the classes differ.
        """
        a, b = np.asarray(a_NF, dtype=np.float64), np.asarray(b_NF, dtype=np.float64)
        out = np.abs(a - b)
        for i, f in enumerate(self.factors):
            if f.kind == "categorical":
                out[..., i] = np.rint(a[..., i]) != np.rint(b[..., i])
            elif f.kind == "circular":
                turn = out[..., i] % 1.0
                out[..., i] = 2.0 * np.minimum(turn, 1.0 - turn)
        return out

    # -- codes ------------------------------------------------------------------------------------------------

    @property
    def code_width(self) -> int:
        return sum(f.width for f in self.factors)

    @property
    def widths(self) -> tuple[int, ...]:
        """Entries of each factor in a code."""
        return tuple(f.width for f in self.factors)

    @property
    def slices(self) -> tuple[slice, ...]:
        """Where each factor lies in a code."""
        starts = np.cumsum([0, *self.widths])
        return tuple(slice(int(a), int(b)) for a, b in zip(starts, starts[1:], strict=False))

    def encode(self, level_NF: torch.Tensor) -> torch.Tensor:
        """Levels N x F -> codes N x C, float32 on the same device. Unknown entries may hold anything finite."""
        import torch

        columns = []
        for i, f in enumerate(self.factors):
            u = level_NF[:, i].float()
            if f.as_classes:
                places = torch.arange(f.width, device=u.device)
                columns.append((1 - (u[:, None] * (f.width - 1) - places).abs()).clamp_min(0))
            elif f.kind == "scalar":
                columns.append(u[:, None])
            elif f.kind == "circular":
                angle = 2 * math.pi * u
                columns.append(0.5 * torch.stack([angle.cos(), angle.sin()], dim=1))
            else:
                classes = u.round().long().clamp(0, f.width - 1)
                columns.append(torch.nn.functional.one_hot(classes, f.width).float())
        return torch.cat(columns, dim=1) if columns else level_NF.new_zeros(len(level_NF), 0)

    def soften(self, said_NC: torch.Tensor) -> torch.Tensor:
        """What an encoder says, as a code, N x C: softmax over the entries of classes, the rest as it is."""
        import torch

        parts = [
            said_NC[:, where].softmax(dim=1) if factor.has_classes else said_NC[:, where]
            for factor, where in zip(self.factors, self.slices, strict=True)
        ]
        return torch.cat(parts, dim=1)

    def decode(self, code_NC: torch.Tensor) -> torch.Tensor:
        """Codes, or what an encoder says, N x C -> levels N x F: clamp, largest class, angle."""
        import torch

        columns = []
        for f, where in zip(self.factors, self.slices, strict=True):
            part = code_NC[:, where]
            if f.as_classes:
                columns.append(part.argmax(dim=1).to(code_NC.dtype) / (f.width - 1))
            elif f.kind == "scalar":
                columns.append(part[:, 0].clamp(0, 1))
            elif f.kind == "circular":
                columns.append((torch.atan2(part[:, 1], part[:, 0]) / (2 * math.pi)) % 1.0)
            else:
                columns.append(part.argmax(dim=1).to(code_NC.dtype))
        return torch.stack(columns, dim=1) if columns else code_NC.new_zeros(len(code_NC), 0)

    def sample(self, count: int, generator: torch.Generator) -> torch.Tensor:
        """Draws levels count x F: uniform over each factor's values (over its range without a grid)."""
        import torch

        columns = []
        for f in self.factors:
            if f.size is None:
                columns.append(torch.rand(count, generator=generator, device=generator.device))
            else:
                index = torch.randint(f.size, (count,), generator=generator, device=generator.device).float()
                steps = {"scalar": max(f.size - 1, 1), "circular": f.size, "categorical": 1}[f.kind]
                columns.append(index / steps)
        return torch.stack(columns, dim=1) if columns else torch.zeros(count, 0, device=generator.device)

    # -- words and files -----------------------------------------------------------------------------------------

    def parse_settings(self, settings: Sequence[str]) -> dict[str, float]:
        """`["hue=210", "shape=#2"]` -> {"hue": level, "shape": level}.

        Raises:
            UserError: not of the form factor=value, an unknown factor, or a value that does not fit.
        """
        return {name: self[name].level_of(value) for name, value in self.split_settings(settings).items()}

    def split_settings(self, settings: Sequence[str]) -> dict[str, str]:
        """`["hue=210", "shape=#2"]` -> {"hue": "210", "shape": "#2"}; a factor's name may hold a "=" itself.

        Raises:
            UserError: not of the form factor=value.
        """
        out: dict[str, str] = {}
        for setting in settings:
            parts = setting.split("=")
            names = ["=".join(parts[:i]).strip() for i in range(len(parts) - 1, 0, -1)]
            if not names:
                raise UserError(f"--set {setting}: write factor=value, e.g. {(*self.names, 'hue')[0]}=#0")
            name = next((name for name in names if name in self.names), names[-1])
            out[name] = "=".join(parts[len(names) - names.index(name) :]).strip()
        return out

    def to_json(self) -> dict[str, Any]:
        """What `factors.json` holds."""
        return {"factors": [f.to_json() for f in self.factors]}

    @classmethod
    def from_json(cls, document: Any) -> FactorSpace:
        """Reads what :meth:`to_json` wrote.

        Raises:
            UserError: a document of another shape; names what is wrong.
        """
        entries = document.get("factors") if isinstance(document, Mapping) else None
        if not isinstance(entries, list):
            raise UserError('no list "factors": expected {"factors": [{"name": ..., "kind": ...}, ...]}')
        return cls(tuple(Factor.from_json(e) for e in entries))

    @classmethod
    def load(cls, path: Path) -> FactorSpace:
        """Reads a `factors.json`.

        Raises:
            UserError: names the file and what is wrong in it.
        """
        try:
            return cls.from_json(json.loads(path.read_text(encoding="utf-8-sig")))
        except (ValueError, OSError, OverflowError, RecursionError) as error:
            raise UserError(f"{path}: {error}") from None

    def anonymous(self) -> FactorSpace:
        """Factors of the same kinds and sizes that have no names: the codes of a model that saw no labels."""
        return FactorSpace(
            tuple(
                Factor.categorical(f"code{i}", [str(k) for k in range(len(f.categories))])
                if f.kind == "categorical"
                else Factor.circular(f"code{i}", f.size)
                if f.kind == "circular"
                else Factor.scalar(f"code{i}", f.size)
                for i, f in enumerate(self.factors)
            )
        )
