"""The sentences of a report."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from semistylegan.errors import UserError
from semistylegan.progress import clock
from semistylegan.report.facts import Facts
from semistylegan.report.html import heading, share_of, whole
from semistylegan.training.config import EARLIER, PRESETS, TrainConfig
from semistylegan.training.run import number


def headline(facts: Facts) -> str:
    """ "Sprites, learned from 288 labels"."""
    name = heading(facts.name)
    count = facts.labelled.count
    if not count:
        return f"{name}, learned without labels"
    if facts.images is not None and count >= facts.images:
        return f"{name}, learned with every label"
    return f"{name}, learned from {whole(count)} labelled images" if count > 1 else f"{name}, learned from one label"


def lede(facts: Facts) -> str:
    """What the model does and what it was given."""
    side = facts.model.resolution
    seen = f"{whole(facts.images)} images" if facts.images else "images"
    if facts.named:
        told = f"for {whole(facts.labelled.count)} of them"
        told += f" ({share_of(facts.share)})" if facts.share else ""
        many = len(facts.space)
        return (
            f"A generator whose images have the factors that you ask for, and an encoder that reads those factors off "
            f"any image. Both saw {seen} of {side} × {side} pixels; {told} they were told "
            f"{f'the {many} factors' if many > 1 else 'the factor'}."
        )
    return (
        f"A generator steered by {len(facts.space)} codes and an encoder that reads them off any image. They saw "
        f"{seen} of {side} × {side} pixels and no label, so that every code found a meaning of its own, or none."
    )


def key_facts(facts: Facts) -> list[tuple[str, str]]:
    """The line under the headline: name and value."""
    train = facts.train
    colour = "grey" if facts.model.channels == 1 else "colour"
    seconds = number(facts.stats[-1].get("seconds")) if facts.stats else number(facts.metrics.get("seconds"))
    labelled = whole(facts.labelled.count) if facts.labelled.count else "none"
    if facts.labelled.count and facts.images:
        labelled += f" of {whole(facts.images)}"
    kimg = f"{round(facts.kimg, 1):g}"
    goal = number(train.get("kimg"))
    if goal is not None and facts.kimg < goal - 0.05:
        kimg += f" of {goal:g}"
    images = f"{facts.model.resolution} × {facts.model.resolution}, {colour}"
    if (grown := facts.model.networks.grown_to) < facts.model.resolution:
        images += f", grown to {grown} × {grown}"
    return [
        ("Preset", facts.system),
        ("Images", images),
        ("Labelled", labelled),
        ("Training", f"{kimg} kimg" + (f" in {clock(seconds)}" if seconds else "")),
        ("Networks", f"{train.get('size', '')}, {train.get('encoder', '')} encoder"),
        ("Seed", str(train.get("seed", ""))),
    ]


def command(facts: Facts) -> str:
    """The commands that train, measure and show such a run; settings that are the preset's own are left out."""
    out = str(facts.train.get("out", facts.run))
    words = ["semistylegan", "train", "--data", str(facts.train.get("data", "")), "--out", out]
    words += ["--preset", facts.system] if facts.system else []
    run = shlex.quote(out)
    train = shlex.join([*words, *options(facts.train, facts.model.resolution)])
    return f"{train}\nsemistylegan eval {run}\nsemistylegan report {run}"


def options(train: Mapping[str, Any], resolution: int) -> list[str]:
    """The options of `train` in which a configuration, as `config.json` has it, differs from its preset; the size
    decides the learning rates."""
    try:
        system = str(train.get("system", ""))
        config = TrainConfig.preset(system, data="-", out="-", size=train.get("size", "tiny")).resolved(resolution)
        usual = config.to_json() | {"size": PRESETS[system].get("size", TrainConfig.size)}
    except (UserError, KeyError):
        usual = {}
    words = []
    for name, value in ({**EARLIER, **train} if usual else train).items():
        if name in ("data", "out", "system") or value is None or (name in usual and usual[name] == value):
            continue
        option = name.replace("_", "-")
        if isinstance(getattr(TrainConfig, name, None), bool):  # a switch
            words.append(f"--{option}" if value else f"--no-{option}")
        else:
            short = isinstance(value, float) and float(f"{value:g}") == value
            words += [f"--{option}", f"{value:g}" if short else str(value)]
    return words


def limits(facts: Facts) -> list[str]:
    """What the pictures and numbers do not say."""
    out = []
    oracle = number(facts.metrics.get("oracle_l2"))
    if oracle is not None:
        out.append(
            "The generator is judged by an oracle: an encoder trained on all labels of the data set, for evaluation "
            f"alone. Its own L2 on held-out images{facts.oracle_over} is {oracle:.3f}, and no score of the generator "
            "is finer than that."
        )
    elif facts.metrics:
        out.append("The generator’s scores rest on an oracle whose own error was not written down.")
    else:
        out.append("Nothing has been measured yet: run semistylegan eval, then semistylegan report.")
    out.append("This is one training with one seed. Another seed gives other scores; a sweep shows by how much.")
    if not facts.named:
        out.append(
            "The codes have no names. Where a score must know which code means which factor, labels that the training "
            "never saw decide it."
        )
    if facts.train.get("prior", "grid") == "grid":
        out.append(
            "Generated images draw every factor on its own. Where factors go together in the data, some combinations "
            "were never seen, and the generator had to make them up."
        )
    out.append(
        "Edits and readings hold for images like those of the data set. Of others the encoder says something too, "
        "and does not say that it is guessing."
    )
    if facts.missing:
        out.append(
            f"The data set was not at hand when this page was written ({facts.missing}); what needs it is left out."
        )
    return out
