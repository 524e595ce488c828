"""From words on the command line to dataclasses: tyro reads the options off the fields, `explained` their docstrings.

tyro explains a mistake in a box of several lines; here it becomes the one line of a UserError.
"""

from __future__ import annotations

import contextlib
import dataclasses
import inspect
import io
import re
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar, get_args, get_origin, get_type_hints

import docstring_parser
import tyro

from semistylegan.errors import UserError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

Options = TypeVar("Options", bound="DataclassInstance")
PROGRAM = "semistylegan"


def options(
    kind: type[Options],
    name: str,
    args: Sequence[str],
    description: str | None = None,
    default: Options | None = None,
    groups: Mapping[str, Sequence[str]] = types.MappingProxyType({}),
) -> Options:
    """Parses `args` into the dataclass `kind`.

    Args:
        description: what `--help` prints, example included; None is the docstring of `kind`.
        default: values of the options that are not given; None are those of `kind`.
        groups: heading -> fields of which `--help` has a list of their own, below all others; needs `default`.

    Raises:
        UserError: an unknown option, a missing or a bad value.
        SystemExit: status 0, after `--help`.
    """
    said, shown = io.StringIO(), explained(kind)
    if groups:
        assert default is not None
        shown, default = grouped(shown, default, groups)
    try:
        with contextlib.redirect_stderr(said):
            parsed = tyro.cli(
                shown,
                prog=f"{PROGRAM} {name}",
                description=description or inspect.getdoc(kind),
                args=list(args),
                default=tyro.MISSING_NONPROP if default is None else default,
                config=(tyro.conf.FlagCreatePairsOff, tyro.conf.OmitArgPrefixes),
            )
    except SystemExit as stop:
        if not stop.code:
            raise
        raise UserError(one_line(said.getvalue(), name)) from None
    found = {}
    for part in (parsed, *(getattr(parsed, heading) for heading in groups)):
        found.update({field.name: getattr(part, field.name) for field in dataclasses.fields(part)})
    return kind(**{field.name: found[field.name] for field in dataclasses.fields(kind)})


def grouped(kind: type[Any], default: Any, groups: Mapping[str, Sequence[str]]) -> tuple[type[Any], Any]:
    """A dataclass with a dataclass of its own for each group of fields of `kind`, and its default.

    tyro makes a list of options of each.
    """
    hints = dict(kind.__annotations__)
    values = {name: getattr(default, name) for name in hints}
    for heading, names in groups.items():
        hints[heading] = _dataclass(heading, {name: hints.pop(name) for name in names})
        values[heading] = hints[heading](**{name: values.pop(name) for name in names})
    whole = _dataclass(kind.__name__, hints)
    return whole, whole(**values)


def _dataclass(name: str, hints: Mapping[str, Any]) -> type[Any]:
    return dataclasses.make_dataclass(name, hints.items(), namespace={"__doc__": None})


def explained(kind: type[Options]) -> type[Options]:
    """`kind` with each field's docstring as its help, in one paragraph: tyro would break it where the source does.

    Where the default is None, false, true or empty the docstring or the name says what that means: no
    `(default: None)` stands behind it, and no None among its values.
    """
    described = {
        field.arg_name: " ".join((field.description or "").split())
        for base in reversed(kind.__mro__)
        if dataclasses.is_dataclass(base)
        for field in docstring_parser.parse_from_object(base).params
    }
    hints = get_type_hints(kind, include_extras=True)
    fields: dict[str, Any] = {}
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        bare, *extras = get_args(hint) if get_origin(hint) is Annotated else (hint,)
        parts = get_args(bare)
        said = tyro.conf.arg(
            help=described.get(field.name),
            help_behavior_hint=lambda default: f"(default: {default})" if default not in UNSAID else "",
            metavar=METAVARS.get(parts[0]) if parts[1:] == (types.NoneType,) else None,
        )
        fields[field.name] = Annotated[bare, said, *extras]
    return type(kind.__name__, (kind,), {"__annotations__": fields, "__doc__": kind.__doc__})


def last(args: Sequence[str], option: str) -> str | None:
    """What an option is set to, the last time that it is; None where it is not."""
    value = None
    for word, following in zip(args, [*args, ""][1:], strict=True):
        if word == option:
            value = following
        elif word.startswith(f"{option}="):
            value = word.removeprefix(f"{option}=")
    return value


UNSAID = ("None", "False", "True", "")
"""Defaults that are left to the docstrings."""

METAVARS = {bool: "{True,False}", float: "FLOAT", int: "INT", str: "STR", Path: "PATH"}
"""How the values of a type are named where None is one more of them."""

BAD_VALUES = (
    (r"invalid literal for int\(\) with base 10: '(.*?)'", "a whole number"),
    (r"could not convert string to float: '(.*?)'", "a number"),
    (r"no type matching INT could be instantiated from \['(.*?)'\]", "a whole number"),
    (r"no type matching FLOAT could be instantiated from \['(.*?)'\]", "a number"),
    (r"no type matching [NK] could be instantiated from \['(.*?)'\]", "a number"),
)
"""How tyro says that a value is of another type, and what was wanted."""


def one_line(box: str, name: str) -> str:
    """What tyro says in a box of several lines, as one line that ends with where to read more."""
    parts: list[list[str]] = [[]]
    # The first line is the title. Every line begins with a frame of two characters: lines, or blanks where the
    # terminal has none.
    for line in re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()[1:]:
        inside = line[2:].removesuffix("│").rstrip()
        if inside and not inside.strip("─-╯ "):
            parts.append([])
        elif inside:
            parts[-1].append(inside)
    parts = [part for part in parts if part] or [[]]
    problem = " ".join(line.strip() for line in parts[0])
    problem = re.sub(r"\{None\}\||'None', |, 'None'", "", problem)
    if problem.startswith("Missing from"):
        # Names stand at an indent of four, their help deeper.
        problem = "missing: " + ", ".join(line.strip() for line in parts[0] if re.match(r" {4}\S", line))
    if found := re.match(r"Missing value for argument '(\S+)'", problem):
        problem = f"{found[1]}: a value is missing; one that begins with - is given as {found[1]}=VALUE"
    for pattern, wanted in BAD_VALUES:
        if found := re.match(rf"Error parsing (\S+): {pattern}", problem):
            problem = f"{found[1]} {found[2]}: expected {wanted}"
    problem = re.sub(r"^Error parsing (\w+: )?|\.$", "", problem)
    for part in parts[1:]:
        if part[:1] == ["Perhaps you meant:"] and len(part) > 1:
            problem += f"; perhaps you meant {part[1].split()[0].rstrip(',')}"
    return f"{problem or 'the options could not be read'}; see {PROGRAM} {name} --help"
