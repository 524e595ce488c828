"""Where images are labelled: what is asked, what is known, what a person says, and how it is undone.

A window says what it saw of an image together with what it wants to write; where another window, or another program,
has written meanwhile, it is told so instead of overwriting.
"""

from __future__ import annotations

import secrets
import shlex
import traceback
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from semistylegan.app.questions import Question, ask, whole_space
from semistylegan.app.queue import Choice, Queue
from semistylegan.app.server import Refused
from semistylegan.data.columns import in_words
from semistylegan.data.dataset import proposed_resolution, read_labels, read_space, untrainable
from semistylegan.data.label_file import LabelFile
from semistylegan.data.labels import labels_csv
from semistylegan.data.pictures import Header, ImageArray, encode_png
from semistylegan.data.storage import ImageStore, open_store
from semistylegan.errors import UserError
from semistylegan.factors import FactorSpace
from semistylegan.files import write_json

if TYPE_CHECKING:
    from semistylegan.editing import Model

ENOUGH = 50
"""Labelled images with which a first training is worth its time."""
GOAL = (60, 0.025, 300)
"""Labelled images to aim for: this part of all, at least and at most so many."""
LOOKED = 256
"""Images whose sizes say whether training would take them; `train` itself looks at all."""
REMEMBERED = 100_000
"""Labels that can be undone."""
GROWS = "grows"
"""What `factors.json` says, beside the factor itself, of one whose classes came up on the page: more may come."""
SHOWN = 1600
"""Pixels of the longer side of an image as the page gets it: all of a photo takes seconds to send."""

Cells = dict[str, str]


@dataclass(frozen=True)
class Done:
    """One thing that a person did, to be undone."""

    window: str
    image: int
    before: Cells
    after: Cells
    skip: bool = False


class Desk:
    """The data set, its labels as they stand, and what is asked. Not for several threads at once."""

    def __init__(
        self, data: str | Path, factors: str, model: Model | None = None, choice: Choice = "random", seed: int = 0
    ) -> None:
        """
        Args:
            data: folder of images or zip.
            factors: what to ask for, see `questions`.
            model: prefills the controls, and with `choice` "doubt" says which image comes next.
            choice: see `queue`.

        Raises:
            UserError: the data, its labels or `factors` cannot be; nothing is written.
        """
        self.store: ImageStore = open_store(data)
        self.space = read_space(self.store)
        self.path = self.store.beside("metadata.csv")
        self.file = self._open()
        growing = [name for name, entry in self._entries().items() if entry.get(GROWS)]
        self.questions = self._fitting(self.file, ask(factors, self.space, self.file.table, growing))
        self.model = model
        self.values = self._values()
        self.counts = self._counts()
        self.history: list[Done] = []
        self.sitting = secrets.token_hex(8)  # numbers of images, and of what can be undone, are those of one sitting
        space, says = None, None
        if choice == "doubt" and model is not None:
            names = [question.name for question in self.questions]
            space = FactorSpace(tuple(factor for factor in model.factors if factor.name in names))
            says = self._says
            if not len(space):
                known = ", ".join(model.factors.names)
                raise UserError(f"--choose doubt: the model knows none of {', '.join(names)}; it knows {known}")
        whole = set(self._whole())
        begun = [image for image in self.values if image not in whole]
        self.queue = Queue(self.store, whole, choice, space, says, seed, begun)

    # -- what is there -----------------------------------------------------------------------------------------------

    def _open(self) -> LabelFile:
        """`metadata.csv`; where there is none yet, it begins with the labels inside a zip, or of a `dataset.json`."""
        start = self.store.other_file("metadata.csv")
        if start is None:
            space, labels = read_labels(self.store)
            if len(labels.labelled_rows):
                start = labels_csv(self.store.names, labels.labelled_rows, labels, space).encode()
            return LabelFile(self.path, self.store.names, start or b"")
        return LabelFile(self.path, self.store.names, start, self.store.place("metadata.csv"))

    def _fitting(self, file: LabelFile, questions: Sequence[Question]) -> tuple[Question, ...]:
        """The questions with the classes that the file names by now; a label that does not fit is named."""
        return tuple(question.with_labels(file.table) if file.table else question for question in questions)

    def _entries(self) -> dict[str, dict[str, Any]]:
        """What `factors.json` says of each factor, with whatever else somebody wrote into it.

        Raises:
            UserError: it was changed into what is none.
        """
        read_space(self.store)
        document = self.store.document("factors.json") or {}
        return {entry["name"]: entry for entry in document.get("factors", ())}

    def _values(self) -> dict[int, Cells]:
        """What is known of the asked factors, by image."""
        out: dict[int, Cells] = {}
        if (table := self.file.table) is not None:
            for question in self.questions:
                for row, cell in zip(table.rows.tolist(), table.columns.get(question.name, ()), strict=False):
                    if cell:
                        out.setdefault(row, {})[question.name] = cell
        return out

    def _counts(self) -> dict[str, Counter[str]]:
        """How often each cell occurs, by asked factor."""
        said = self.values.values()
        return {q.name: Counter(cells[q.name] for cells in said if q.name in cells) for q in self.questions}

    def _whole(self) -> list[int]:
        return [image for image, cells in self.values.items() if len(cells) == len(self.questions)]

    def _fresh(self) -> None:
        """Reads the file again where somebody else has written it."""
        if self.file.stale():
            file = self._open()
            self.questions, self.file = self._fitting(file, self.questions), file
            before, self.values = self.values, self._values()
            self.counts = self._counts()
            whole = set(self._whole())
            for image in before.keys() | self.values.keys():
                if before.get(image) != self.values.get(image):  # others stay as this sitting left them
                    self.queue.label(image, image in whole)

    def describe(self) -> dict[str, Any]:
        """What the page needs to begin."""
        return {
            "sitting": self.sitting,
            "data": self.store.path.resolve().name,
            "file": str(self.path),
            "images": len(self.store),
            "train": train_commands(self.store),
            **self.progress(),
        }

    def progress(self) -> dict[str, Any]:
        """The questions as they stand, with how often each class is labelled, and the sentence above them."""
        return {
            "questions": [self._question(question) for question in self.questions],
            "labelled": len(self.values),
            "goal": self.goal,
            "enough": len(self.values) >= min(ENOUGH, self.goal),
            "sentence": sentence(len(self.values), self.goal, len(self.store)),
        }

    @property
    def goal(self) -> int:
        least, part, most = GOAL
        return min(max(round(part * len(self.store)), least), most, len(self.store))

    def _question(self, question: Question) -> dict[str, Any]:
        factor = question.factor
        out: dict[str, Any] = {"name": question.name, "grows": question.grows}
        counts = self.counts[question.name]
        out["known"] = sum(counts.values())
        if factor is None:
            return out | {"kind": "categorical", "categories": []}
        if factor.kind == "categorical":
            shown = Counter[str]()  # 2 and 2.0 are one class
            for cell, count in counts.items():
                shown[str(factor.value_of(self.file.level(factor, cell)))] += count
            return out | {"kind": "categorical", "categories": [[c, shown[c]] for c in factor.categories]}
        return out | {
            "kind": factor.kind,
            "low": factor.low,
            "high": factor.high,
            "size": factor.size,
            "grid": None if factor.grid is None else list(factor.grid),
            "unit": factor.unit,
        }

    def look(self, image: int) -> dict[str, Any]:
        """One image: what is known of it, and what the model reads where nothing is."""
        self._number(image)
        self._fresh()
        cells = self.values.get(image, {})
        item: dict[str, Any] = {"image": image, "name": self.store.names[image], "cells": cells}
        return item | {"values": self._shown(cells), "read": self._read(image)}

    def _shown(self, cells: Cells) -> dict[str, float | str]:
        """Cells that the table took, as values for the page."""
        asked = {question.name: question.factor for question in self.questions}
        shown = ((name, asked.get(name), cell) for name, cell in cells.items())
        return {n: factor.value_of(self.file.level(factor, cell)) for n, factor, cell in shown if factor is not None}

    def _read(self, image: int) -> dict[str, float | str]:
        """What the model reads, of the asked factors that it knows by the same name."""
        if self.model is None:
            return {}
        try:
            (level_F,) = self.model.read_levels(self.model.fit(self.store.decode(image)))
        except UserError:
            return {}  # damaged: the page says so where it is shown
        found = {f.name: f.value_of(float(u)) for f, u in zip(self.model.factors, level_F, strict=True)}
        out: dict[str, float | str] = {}
        for question in self.questions:
            factor = question.factor
            if factor is None or question.name not in found:
                continue
            value = found[question.name]
            if factor.kind == "categorical":
                if value in factor.categories:
                    out[question.name] = str(value)
            elif not isinstance(value, str):
                level = factor.level_of(float(np.clip(value, factor.low, factor.high)))
                if factor.size is not None:
                    level = float(factor.level_of_index(factor.index_of_level(level)))
                out[question.name] = factor.value_of(level)
        return out

    def _says(self, images: Iterable[ImageArray]) -> Any:
        """What the model's encoder says of the factors that are doubted: those that are asked for."""
        assert self.model is not None and self.queue.space is not None
        fitted = [self.model.fit(image) for image in images]
        doubted_C = np.repeat([f in self.queue.space.factors for f in self.model.factors], self.model.factors.widths)
        return self.model.read_codes(np.concatenate(fitted))[:, doubted_C] if fitted else []

    def picture(self, image: int) -> bytes:
        """The image as PNG, made smaller where it is larger than SHOWN."""
        self._number(image)
        shown = self.store.decode(image)
        if max(shown.shape) > SHOWN:
            small = Image.fromarray(shown.squeeze(2) if shown.shape[2] == 1 else shown)
            small.thumbnail((SHOWN, SHOWN))
            shown = np.asarray(small).reshape(small.height, small.width, -1)
        return encode_png(shown)

    def _number(self, image: int) -> None:
        if not 0 <= image < len(self.store):
            raise Refused(404, f"there is no image {image}: they are numbered 0 to {len(self.store) - 1}")

    # -- what a person does --------------------------------------------------------------------------------------------

    def next(self, window: str) -> dict[str, Any]:
        """The image that this window shows, or None where none is left."""
        image = self.queue.next(window)
        return {"item": None if image is None else self.look(image), **self.progress()}

    def _then(self, window: str, image: int) -> dict[str, Any]:
        """The next image, after `image`. Where it cannot be had, why: what was done stays done."""
        try:
            return self.next(window)
        except UserError as error:
            trouble = " ".join(str(error).split("\n"))
        except Exception:
            traceback.print_exc()  # our own mistake
            trouble = "something went wrong in the server; the terminal says what"
        return {"trouble": trouble, "cells": self.values.get(image, {}), **self.progress()}

    def save(self, window: str, image: int, saw: Cells, values: dict[str, float | str | None]) -> dict[str, Any]:
        """Writes what a person says of an image; then the next one, or under `trouble` why it cannot be had.

        Args:
            saw: the cells that the window showed; another window may have changed them since.
            values: of the asked factors, in own units; None where it is not known.

        Raises:
            Refused: 409 where the image's labels are not what the window saw.
            UserError: a value that does not fit; nothing is written.
        """
        self._number(image)
        self._fresh()
        before = self.values.get(image, {})
        if before != saw:
            raise Refused(409, "this image was labelled meanwhile, in another window or in the file")
        asked = {question.name: question for question in self.questions}
        after, shown = dict(before), self._shown(before)
        for name, value in values.items():
            if name not in asked:
                raise UserError(f"{name}: is not asked for here")
            if value is not None and value == shown.get(name):
                continue  # nobody has changed it: the cell stays as it is written
            after[name] = "" if value is None else self._cell(asked[name], value)
        after = {name: cell for name, cell in after.items() if cell}
        if not after and not before:
            raise UserError("nothing is known of this image: skip it instead")
        undo = self._remember(Done(window, image, before, after))
        self._write(image, after)
        self.queue.label(image, True)
        return {"undo": undo, **self._then(window, image)}

    def skip(self, window: str, image: int) -> dict[str, Any]:
        """Puts an image behind all others; then the next one."""
        self._number(image)
        self.queue.skip(image)
        cells = self.values.get(image, {})
        return {"undo": self._remember(Done(window, image, cells, cells, skip=True)), **self._then(window, image)}

    def undo(self, window: str, number: int) -> dict[str, Any]:
        """Takes back one thing that was done and shows its image again, with what had been said of it.

        Raises:
            Refused: it is not known any more, another window did it, or the image was labelled anew since.
        """
        if not 0 <= number < len(self.history):
            raise Refused(404, "that is too long ago to be undone")
        done = self.history[number]
        if done.window != window:
            raise Refused(404, "another window did that; undo it there")
        self._fresh()
        if done.skip:
            self.queue.skip(done.image, False)
        else:
            if self.values.get(done.image, {}) != done.after:
                raise Refused(409, "this image was labelled anew since; it stays as it is")
            self._write(done.image, done.before)
            self.queue.label(done.image, len(done.before) == len(self.questions))
        self.queue.offer(window, done.image)
        return {"said": self._shown(done.after), "item": self.look(done.image), **self.progress()}

    def grow(self, name: str, category: str) -> dict[str, Any]:
        """Adds a class to a question, unless another window has. It is written with the next label."""
        for place, question in enumerate(self.questions):
            if question.name == name:
                if question.factor is not None and category.strip() in question.factor.categories:
                    return self.progress()
                grown = question.grown(category)
                self.questions = (*self.questions[:place], grown, *self.questions[place + 1 :])
                return self.progress()
        raise UserError(f"{name}: is not asked for here")

    def _remember(self, done: Done) -> int:
        if len(self.history) >= REMEMBERED:
            raise Refused(507, f"{REMEMBERED:,} labels in one sitting; start the page again to go on")
        self.history.append(done)
        return len(self.history) - 1

    def _cell(self, question: Question, value: float | str) -> str:
        if question.factor is None:
            raise UserError(f"{question.name}={value}: has no classes yet; add one first")
        factor = question.factor
        level = factor.level_of(value)
        if factor.size is not None:
            level = float(factor.level_of_index(factor.index_of_level(level)))
        text = in_words(factor, level)
        return text if factor.kind == "categorical" else self.file.number(text)

    def _write(self, image: int, after: Cells) -> None:
        """`factors.json` where it has to say more, then `metadata.csv`; both whole, or as they were."""
        asked = {question.name: after.get(question.name, "") for question in self.questions}
        try:
            self._write_factors(after)
            self.file.set(image, asked)
            self.file.save()
        except OSError as error:
            self.file = self._open()
            where, why = error.filename or self.path, error.strerror
            raise Refused(507, f"{where}: was not written ({why}); nothing is lost: mend it and save again") from None
        for name, cell in self.values.pop(image, {}).items():
            self.counts[name][cell] -= 1
        for name, cell in after.items():
            self.counts[name][cell] += 1
        if after:
            self.values[image] = after

    def _write_factors(self, after: Cells) -> None:
        """Factors that nobody has labelled yet are none of the data's."""
        used = {name for name, counts in self.counts.items() if counts.total()} | after.keys()
        space = whole_space([q for q in self.questions if q.name in used], self.space, self.file.table)
        if space == self.space:
            return
        document = self.store.document("factors.json") or {}
        # Entries keep what else somebody wrote into them, and their order; those whose classes came up on the page say
        # so.
        own, kept = self._entries(), set(self.space or ())
        grows = {question.name: {GROWS: True} for question in self.questions if question.grows}
        for f in space:
            if f not in kept or f.name not in own:
                own[f.name] = {**own.get(f.name, {}), **f.to_json(), **grows.get(f.name, {})}
        document["factors"] = list(own.values())
        write_json(self.store.beside("factors.json"), document)
        self.space = space


def train_commands(store: ImageStore) -> str:
    """What comes after labelling, a command a line: `train`, and before it `import` where `train` needs other sizes."""
    sizes: set[Header] = set()
    for i in range(min(len(store), LOOKED)):
        try:
            sizes.add(store.header(i))
        except UserError:
            continue  # damaged: the page says so where it is shown
        if len(sizes) > 1 or untrainable(store, next(iter(sizes))):
            break
    needs_import = len(sizes) > 1 or any(untrainable(store, size) for size in sizes)
    data = store.imported if needs_import else store.path
    train = f"semistylegan train --data {shlex.quote(str(data))} --out runs/{shlex.quote(store.path.resolve().stem)}"
    return f"{store.import_command} --resolution {proposed_resolution(sizes)}\n{train}" if needs_import else train


def sentence(labelled: int, goal: int, images: int) -> str:
    """How far it is: "37 of 60 labelled: enough to start training at about 50"."""
    enough = min(ENOUGH, goal)
    if labelled < enough:
        return f"{labelled:,} of {goal:,} labelled: enough to start training at about {enough}"
    if labelled < goal:
        return f"{labelled:,} of {goal:,} labelled: enough to start training; each further one makes the encoder surer"
    if labelled < images:
        return f"{labelled:,} labelled: as many as most trainings need"
    return f"all {labelled:,} labelled"
