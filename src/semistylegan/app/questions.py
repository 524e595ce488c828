"""What a person is asked of each image: the words behind `--factors`, and what the data says already.

=========================  =====================================================================================
written                    asks for
=========================  =====================================================================================
shape                      what `factors.json` or a column of `metadata.csv` says of it; where neither does, a
                           class: names are added on the page as they come up
shape=ring|square          one of these classes
size:0..10                 a number
size:0..10/5               one of five numbers, evenly spaced: 0, 2.5, 5, 7.5, 10
hue:angle                  an angle in degrees, 0 to 360; hue:angle/12 in twelve steps
=========================  =====================================================================================
"""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from semistylegan.data.columns import between_commas
from semistylegan.data.table import MAX_CATEGORIES, Table
from semistylegan.errors import UserError
from semistylegan.factors import Factor, FactorSpace

MOST = 24
"""Factors that one person can be asked for on one page."""
_NUMBER = r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?"
_RANGE = re.compile(rf"(?P<low>{_NUMBER})\.\.(?P<high>{_NUMBER})(?:/(?P<size>\d+))?")
_ANGLE = re.compile(r"angle(?:/(?P<size>\d+))?")


@dataclass(frozen=True)
class Question:
    """One factor that a person is asked for."""

    name: str
    factor: Factor | None
    """None as long as it is a class without a name."""
    grows: bool = False
    """Whether the page may add classes."""

    def grown(self, category: str) -> Question:
        """The same question with one more class.

        Raises:
            UserError: not a class that grows, a blank or a known name, or too many.
        """
        known = self.factor.categories if self.factor else ()
        category = category.strip()
        if not self.grows:
            raise UserError(f"{self.name}: takes no new classes")
        if not category or category.startswith("#") or len(category) > 60 or any(ord(c) < 32 for c in category):
            raise UserError(
                f"{self.name}={category[:60]}: no name for a class; give 1 to 60 characters, the first not #"
            )
        if category in known:
            raise UserError(f"{self.name}={category}: is there already")
        if len(known) >= MAX_CATEGORIES:
            raise UserError(f"{self.name}: has {len(known)} classes, no more are taken")
        return replace(self, factor=Factor.categorical(self.name, (*known, category)))

    def with_labels(self, table: Table) -> Question:
        """The same question, with the classes that the labels name by now where classes may be added.

        Raises:
            UserError: a label that is no value of the factor; the table names it and its line.
        """
        question = self
        for cell in dict.fromkeys(table.columns.get(self.name, ())) if self.grows else ():
            known = question.factor.categories if question.factor else ()
            number = table.number(cell)
            whole = str(int(number)) if number is not None and number.is_integer() else cell  # 2.0 is class 2
            if cell and not {cell, whole} & set(known):
                question = question.grown(cell)
        if question.factor is not None:
            table.levels(question.factor)
        return question


def ask(
    words: str, space: FactorSpace | None, table: Table | None, growing: Collection[str] = ()
) -> tuple[Question, ...]:
    """Reads `--factors`.

    Args:
        words: factors with commas between, each as the table above has it.
        space: what `factors.json` says; None where there is none.
        table: the labels so far; None where there are none.
        growing: factors of `space` whose classes came up on the page: more may come.

    Raises:
        UserError: a factor that is not understood, or contradicts what the data says; names both.
    """
    known = _names(space, table)
    parts = [part for part in between_commas(words, lambda text: text in known) if part]
    if not parts:
        raise UserError("--factors: name at least one, e.g. --factors 'shape=ring|square,size:0..10'")
    if len(parts) > MOST:
        raise UserError(f"--factors: {len(parts)} are more than {MOST}; label some of them at a time")
    questions = tuple(_question(part, space, table, growing) for part in parts)
    names = [question.name for question in questions]
    if twice := [name for name in names if names.count(name) > 1]:
        raise UserError(f"--factors: {twice[0]!r} stands there twice; name it once")
    return questions


def _question(part: str, space: FactorSpace | None, table: Table | None, growing: Collection[str]) -> Question:
    found = re.match(r"([^:=|]+)(?:(=|:)(.*))?$", part)
    name, sign, rest = (found[1].strip(), found[2], (found[3] or "").strip()) if found else ("", None, "")
    if part in _names(space, table):  # whatever it holds
        name, sign = part, None
    if not name or name == "file_name":
        raise UserError(f"--factors {part}: write name, name=word|word, name:low..high or name:angle")
    known = _known(name, space, table)
    said = _said(part, name, sign, rest)
    in_file = space is not None and name in space.names
    if said is None:
        # Classes that only the labels so far name may be incomplete; those that somebody listed are not.
        may_grow = known is None or known.kind == "categorical"
        return Question(name, known, grows=may_grow and (not in_file or name in growing))
    if known is not None and in_file and said != known:
        raise UserError(
            f"--factors {part}: factors.json says that {name} is {known.describe_range()} ({known.kind}); "
            f"leave it at --factors {name}, or change factors.json"
        )
    if known is not None and table is not None and not in_file:
        try:
            table.levels(said)
        except UserError as error:
            raise UserError(f"--factors {part}: does not fit the labels so far: {error}") from None
    return Question(name, said)


def _names(space: FactorSpace | None, table: Table | None) -> Collection[str]:
    """The factors that the data has so far."""
    return space.names if space is not None else table.columns if table is not None else ()


def _known(name: str, space: FactorSpace | None, table: Table | None) -> Factor | None:
    if space is not None and name in space.names:
        return space[name]
    if space is None and table is not None and name in table.columns:
        return table.infer(name)
    return None


def _said(part: str, name: str, sign: str | None, rest: str) -> Factor | None:
    if sign is None:
        return None
    if sign == "=":
        classes = [word.strip() for word in rest.split("|")]
        if len(classes) < 2 or not all(classes):
            raise UserError(f"--factors {part}: name two classes or more with | between, e.g. '{name}=ring|square'")
        return Factor.categorical(name, classes)
    if angle := _ANGLE.fullmatch(rest):
        return Factor.circular(name, _size(part, angle["size"]))
    if found := _RANGE.fullmatch(rest):
        low, high = float(found["low"]), float(found["high"])
        if not (math.isfinite(low) and math.isfinite(high) and low < high):
            raise UserError(f"--factors {part}: {found['low']} is not under {found['high']}; write the lower one first")
        return Factor.scalar(name, _size(part, found["size"]), low, high)
    raise UserError(f"--factors {part}: write {name}:low..high, {name}:low..high/steps or {name}:angle")


def _size(part: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not 2 <= int(text) <= 360:
        raise UserError(f"--factors {part}: {text} steps; give 2 to 360")
    return int(text)


def whole_space(questions: Sequence[Question], space: FactorSpace | None, table: Table | None) -> FactorSpace:
    """All factors of the data set once these are asked for: what `factors.json` will say.

    Factors of a `factors.json` stay as they are and first; without one, the other columns of the table count as what
    they are read as now.
    """
    asked = {question.name: question.factor for question in questions if question.factor is not None}
    if space is not None:
        before = [asked.pop(factor.name, factor) for factor in space]
    elif table is not None:
        found = [asked.pop(name) if name in asked else _inferred(table, name) for name in table.columns]
        before = [factor for factor in found if factor is not None]
    else:
        before = []
    return FactorSpace((*before, *asked.values()))


def _inferred(table: Table, name: str) -> Factor | None:
    """What a column is; None where it cannot be read as a factor: then it is none of the data set's."""
    try:
        return table.infer(name)
    except UserError:
        return None
