"""Commands over many runs, and over anyone's codes: sweep, eval-codes."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Self

from tyro.conf import Positional, arg

from semistylegan.cli import parsing
from semistylegan.cli.command import Command
from semistylegan.errors import UserError

if TYPE_CHECKING:
    from semistylegan.cli.sweep_options import SweepOptions
    from semistylegan.study import Result, Study


@dataclass(frozen=True)
class Sweep(Command):
    """Trains and measures many runs: over label fractions, seeds, any option of train. One table, plot and page.

    The same command again goes on where it stopped; more values or seeds add to what is there.

    Example:
      semistylegan sweep --data sprites.zip --out studies/labels --over label-fraction=0,0.0025,0.01,1 --seeds 0,1,2
    """

    options: SweepOptions
    """Every option, as in `sweep_options`."""
    fields: dict[str, Any]
    """What the user said of the training."""

    @classmethod
    def parse(cls, name: str, args: Sequence[str]) -> Self:
        from semistylegan.cli.sweep_options import SweepOptions, TrainOptions, defaults

        start = SweepOptions(**dataclasses.asdict(defaults(args)))
        options = parsing.options(SweepOptions, name, args, inspect.getdoc(cls), start)
        said = {f.name for f in dataclasses.fields(TrainOptions)} & given(args) - {"data", "out"}
        return cls(options, {field: getattr(options, field) for field in said})

    def run(self) -> Path:
        from semistylegan.cli.tables import print_study
        from semistylegan.report.study import FILE, write_study
        from semistylegan.study import sweep
        from semistylegan.study.plan import parse_axis

        o, out = self.options, Path(self.options.out)
        axes: dict[str, tuple[Any, ...]] = {}
        for text in o.over:
            field, values = parse_axis(text)
            if field in axes:
                raise UserError(f"--over {text}: this option is varied twice; give all its values at once")
            axes[field] = values
        planned: list[Study] = []

        def on_result(study: Study, results: list[Result]) -> None:
            planned[:] = [study]
            write_study(study, results)

        results = sweep(
            o.data,
            out,
            axes,
            seeds=whole_numbers("--seeds", o.seeds),
            baselines=words(o.baselines),
            fields=self.fields,
            metrics=words(o.metrics),
            images=o.images,
            workers=o.workers,
            cluster=o.cluster,
            on_result=on_result,
        )
        print_study(planned[0], results)
        return out / FILE


def given(args: Sequence[str]) -> set[str]:
    """The fields whose options stand in the arguments: of `--gamma-g 3`, `--gamma_e=1`, `--no-cuda-graphs` and so on.

    Whether a value is the default does not tell: it may be another preset's. No value begins with `--` but after `=`.
    """
    names = {word.partition("=")[0].replace("-", "_") for word in args if word.startswith("--")}
    fields = {name.removeprefix("__").removeprefix("no_") for name in names}
    return fields | {"system"} if "preset" in fields else fields


def words(text: str) -> list[str]:
    """`a, b` -> ["a", "b"]."""
    return [word.strip() for word in text.split(",") if word.strip()]


def whole_numbers(name: str, text: str) -> list[int]:
    """`0,1,2` -> [0, 1, 2].

    Raises:
        UserError: names the option and what is no whole number.
    """
    for word in words(text):
        if not (word.isascii() and word.isdigit()):
            raise UserError(f"{name} {text}: {word} is no whole number of at least 0; write e.g. {name} 0,1,2")
    return [int(word) for word in words(text)]


@dataclass(frozen=True)
class EvalCodes(Command):
    """Measures codes that come from anyone's model: MIG, DCI, SAP, FactorVAE, InfoMEC and the others.

    An .npz holds arrays `codes` (one row an image) and `factors` (value indices); a .csv has columns named code..., and
    a column for each factor. Writes the scores, with how they were measured, as JSON.

    Example:
      semistylegan eval-codes codes.npz --metrics mig,dci
    """

    file: Annotated[Positional[Path], arg(metavar="FILE")]
    """An .npz or a .csv."""
    metrics: Annotated[str, arg(metavar="A,B,C")] = "all"
    """Names with commas between, or `all`."""
    factors: Annotated[str, arg(metavar="A,B,C")] = ""
    """Columns of a CSV that are factors; all others are then codes."""
    kinds: Annotated[str, arg(metavar="A,B,C")] = ""
    """Of each code: scalar, circular (parts of a turn) or categorical (class numbers). Not given: all are numbers."""
    images: Annotated[int, arg(metavar="N")] = 15_000
    """Measure on this many rows, at most, drawn with the seed."""
    seed: int = 0
    """Fixes which, and how they are split into those to learn from and those to test on."""
    out: Path | None = None
    """File to write. Not given: FILE with the ending .metrics.json."""

    def run(self) -> Path:
        from semistylegan import files
        from semistylegan.cli.tables import print_metrics
        from semistylegan.metrics.codes import evaluate_codes, read_codes

        codes = read_codes(self.file, words(self.factors))
        out = self.out or self.file.with_suffix(".metrics.json")
        kinds: Any = words(self.kinds) or None
        try:
            scores = evaluate_codes(
                codes.code_NL,
                codes.index_NF,
                words(self.metrics) or ["all"],
                self.seed,
                kinds=kinds,
                images=self.images,
            )
        except UserError as error:
            raise UserError(f"{self.file}: {error}") from None
        scores["note"] = " ".join([*codes.notes, *([scores["note"]] if scores["note"] else [])])
        scores |= {"file_sha256": files.sha256_of(self.file), "factor_names": list(codes.factor_names)}
        files.write_json(out, scores)
        print_metrics(scores)
        return out
