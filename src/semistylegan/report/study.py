"""The page of a study: its table, its plots, and what the runs draw, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from PIL import Image

from semistylegan.data.pictures import load_image
from semistylegan.files import write_text
from semistylegan.report.html import document, escape, header, heading, pairs, picture, section, whole
from semistylegan.study import Result, Study
from semistylegan.study.plan import option, shown
from semistylegan.study.plots import draw, svg
from semistylegan.study.table import SCORES, fields_of, left_out, legend, name_of, runs_of, spread
from semistylegan.training.config import TrainConfig

FILE = "report.html"
LARGEST = 320
"""Pixels a side of a run's grid on the page; larger grids are shrunk."""


def write_study(study: Study, results: Sequence[Result]) -> Path:
    """Writes `report.html` into the folder of a study, from the results that there are by then.

    Returns:
        the file's path.
    """
    write_text(study.out / FILE, page(study, results))
    return study.out / FILE


def page(study: Study, results: Sequence[Result]) -> str:
    """The whole page."""
    figures = draw(study, results)
    parts = [
        table(study, results),
        plots(study, results, figures["plot"]) if "plot" in figures else "",
        trade_off(figures["trade-off"]) if "trade-off" in figures else "",
        grids(study, results),
        failures(results),
        settings(study),
    ]
    body = "\n\n".join(part for part in parts if part)
    return document(f"{headline(study)}: a study", f"{head(study, results)}\n<main>\n{body}\n</main>")


def headline(study: Study) -> str:
    """ "Sprites over label fraction"."""
    name = heading(Path(study.jobs[0].config.data).stem)
    over = " and ".join(option(axis).replace("-", " ") for axis in study.axes)
    return f"{name} over {over}" if over else f"{name}, baselines"


def head(study: Study, results: Sequence[Result]) -> str:
    """What was studied, in one look."""
    kimg, sizes = (dict.fromkeys(shown(getattr(j.config, field)) for j in study.jobs) for field in ("kimg", "size"))
    done = sum(not r.failed for r in results)
    entries = [
        ("Settings", str(len(study.settings))),
        ("Seeds", ", ".join(map(str, study.seeds))),
        ("Runs", f"{done} of {len(study.jobs)}" if done < len(study.jobs) else str(done)),
        ("Training", f"{' or '.join(kimg)} kimg each"),
        ("Networks", " or ".join(sizes)),
        ("Measured on", measured_on(results)),
    ]
    lede = (
        "The same training with other settings, each measured in the same way. What differs by less than the seeds of "
        "one setting do says nothing."
    )
    return header("a study", headline(study), lede, entries)


def measured_on(results: Sequence[Result]) -> str:
    """How many images the encoders read and the generators made; of earlier versions the most that it can have been."""
    asked = next((n for r in results if isinstance(n := r.metrics.get("images"), int)), None)
    read = {n for r in results if isinstance(n := r.metrics.get("encoder_images"), int)}
    if asked is None:
        return "-"
    if read == {asked}:
        return f"{whole(asked)} images"
    real = " to ".join(whole(n) for n in sorted({min(read), max(read)})) if read else f"up to {whole(asked)}"
    return f"{real} real images, {whole(asked)} generated"


def table(study: Study, results: Sequence[Result]) -> str:
    """Every score of every setting: mean and standard deviation over the seeds, the best of the usual ones marked."""
    fields = fields_of(results)
    if not fields and not left_out(results):
        return ""
    told = {(s.name, f): spread(results, s, f) for s in study.settings for f in fields}
    best = {}
    for field in fields:
        means = [t.mean for s in study.settings if (t := told[s.name, field]) is not None and not t.marks]
        if field in SCORES and len(means) > 1:
            best[field] = max(means) if SCORES[field][1] == "high" else min(means)
    head_cells = "".join(f'<th scope="col">{escape(name_of(field))}</th>' for field in fields)
    rows = []
    for setting in study.settings:
        cells = []
        for field in fields:
            t = told[setting.name, field]
            mean, _, more = str(t).partition(" ± ") if t is not None else ("", "", "")
            marked = t is not None and not t.marks and best.get(field) == t.mean
            mean = f'<span class="best">{mean}</span>' if marked else mean
            cells.append(f"<td>{mean}{f'<small>± {more}</small>' if more else ''}</td>")
        rows.append(
            f'<tr><th scope="row">{escape(setting.name)}</th><td>{runs_of(results, setting)}</td>{"".join(cells)}</tr>'
        )
    intro = "Mean over the seeds, and their standard deviation; the best mean of each usual score is underlined."
    intro = intro if fields else ""
    body = (
        f'<div class="wide-table"><table class="study"><thead><tr><td></td><th scope="col">runs</th>{head_cells}</tr>'
        f"</thead><tbody>{''.join(rows)}</tbody></table></div>"
    )
    below = (*legend(told.values()), *left_out(results))
    body += "".join(f'<p class="small soft">{escape(sentence)}</p>' for sentence in below)
    return section("table", "In numbers", intro, body)


def plots(study: Study, results: Sequence[Result], figure: Figure) -> str:
    """Every score over the first axis."""
    intro = "Lines join means; dots are runs, the shade spans the seeds." if len(study.seeds) > 1 else ""
    if legend(spread(results, s, field) for s in study.settings for field in SCORES):
        intro += " What is marked in the table is hollow, a marked baseline dotted."
    return section("plot", "Score by score", intro.strip(), _drawn(figure, "Each score over the first axis"))


def trade_off(figure: Figure) -> str:
    """The encoder's score against the generator's."""
    intro = "What reads well does not always draw well: the encoder’s score to the right, the generator’s upwards."
    label = "The encoder’s scores against the generator’s"
    return section("trade-off", "Encoder against generator", intro, _drawn(figure, label))


def _drawn(figure: Figure, label: str) -> str:
    return f'<div class="wide-table"><figure class="chart studied">{svg(figure, label)}</figure></div>'


def grids(study: Study, results: Sequence[Result]) -> str:
    """The last sheet of generated images of the runs, side by side: settings in order, further seeds to unfold."""
    cards: dict[int, list[str]] = {}
    for setting in study.settings:
        for r in results:
            if r.job.setting == setting and (card := _card(r)):
                cards.setdefault(r.job.seed, []).append(card)
    if not cards:
        return ""
    first, *others = sorted(cards)
    more = "".join(
        f'<details class="more"><summary>Seed {seed}</summary><div class="grids">{"".join(cards[seed])}</div></details>'
        for seed in others
    )
    intro = (
        f"Seed {first}. In each sheet a row has one z; from left to right one factor goes through its values, two rows "
        "a factor. Runs of one seed start from the same z and codes."
    )
    return section("grids", "What they draw", intro, f'<div class="grids">{"".join(cards[first])}</div>{more}')


def _card(result: Result) -> str:
    run = Path(result.job.config.out)
    found = sorted(run.glob("fakes*.png"), key=lambda path: path.stem)  # fakes000000 before fakes000000.512
    if not found:
        return ""
    image = load_image(found[-1])
    if max(image.shape[:2]) > LARGEST:
        small = Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image)
        small.thumbnail((LARGEST, LARGEST), Image.Resampling.LANCZOS)
        image = np.asarray(small).reshape(small.height, small.width, -1)
    told = [f"{name_of(f)} {result.scores[f]:.3f}" for f in ("mig", "mig_gen", "fd_oracle") if f in result.scores]
    return (
        f'<figure class="grid">{picture(image, f"sheet of {result.job.setting.name}", LARGEST)}<figcaption><strong>'
        f"{escape(result.job.setting.name)}</strong><br>{escape(', '.join(told))}</figcaption></figure>"
    )


def failures(results: Sequence[Result]) -> str:
    """Runs that did not end."""
    items = "".join(
        f"<li><strong>{escape(r.job.setting.name)}, seed {r.job.seed}.</strong> {escape(r.failed)}</li>"
        for r in results
        if r.failed
    )
    return section("failed", "What failed", "", f'<ul class="limits">{items}</ul>') if items else ""


def settings(study: Study) -> str:
    """What all runs share, and what each baseline is."""
    usual = TrainConfig.preset("semi", "", "").to_json()
    varied = {*study.axes, "data", "out", "seed"}
    plain = next((j.config for j in study.jobs if not j.setting.baseline and j.config.system == "semi"), None)
    config = (plain or study.jobs[0].config).to_json()
    rows = pairs(
        (option(field), shown(value))
        for field, value in config.items()
        if field not in varied and value is not None and value != usual.get(field)
    )
    said = {
        "labels-only": "an encoder that learns from the labelled images, mixed with each other, and from nothing "
        "else; its generator obeys that encoder.",
        "info": "no labels: mutual information alone. Its codes have no names; for L2 they are matched with the "
        "factors by labels that training did not see.",
        "all-labels": "every label that there is. The encoder is then measured on images whose labels it learned.",
    }
    seen = {s.baseline for s in study.settings}
    if any(j.config.system == "info" for j in study.jobs):
        seen.add("info")
    items = "".join(f"<li><strong>{name}</strong>: {text}</li>" for name, text in said.items() if name in seen)
    body = f'<dl class="fields">{rows}</dl>' if rows else "<p>The defaults of the preset.</p>"
    return section(
        "settings", "What is the same in all", "", body + (f'<ul class="limits">{items}</ul>' if items else "")
    )
