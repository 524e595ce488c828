"""One page that shows what a run can do: a single HTML file without scripts, fonts or network.

The sections stand in the order in which a reader meets them; each is one function from the facts to HTML.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semistylegan.files import require_inside, write_text
from semistylegan.report.beside import beside
from semistylegan.report.curves import Chart, Line, bars, charts, counts
from semistylegan.report.facts import SAMPLES, Facts, Reading, gather
from semistylegan.report.grids import show_value
from semistylegan.report.html import document, escape, header, pairs, picture, section, share_of, sheet, whole
from semistylegan.report.scores import leakage, numbers
from semistylegan.report.walks import edits, traversals
from semistylegan.report.words import command, headline, key_facts, lede, limits
from semistylegan.training.run import number

FILE = "report.html"
OFF = 0.1
"""A reading that misses the truth by more than this part of the range is marked."""


def write_report(run_path: str | Path, others: Sequence[Path] = ()) -> Path:
    """Writes `report.html` into the folder of a run, from whatever the run holds by then.

    Args:
        others: runs that it is compared with.

    Returns:
        the file's path.

    Raises:
        UserError: not a run, or one without a finished checkpoint; the others likewise. A link to elsewhere stands
            where the page is written.
    """
    run = Path(run_path)
    require_inside(run, FILE)
    compared = beside(run, others)  # before what takes long: it finds what is wrong with the others
    write_text(run / FILE, page(gather(run), compared))
    return run / FILE


def page(facts: Facts, compared: str = "") -> str:
    """The whole page; `compared` is the section that :func:`beside` made."""
    parts = [
        traversals(facts),
        samples(facts),
        numbers(facts),
        factor_by_factor(facts),
        readings(facts),
        edits(facts),
        compared,
        labels(facts),
        training(facts),
        again(facts),
        caveats(facts),
    ]
    body = "\n\n".join(part for part in parts if part)
    head = header("a run", headline(facts), lede(facts), key_facts(facts))
    return document(f"{headline(facts)}: Semi-StyleGAN", f"{head}\n<main>\n{body}\n</main>", facts.version)


def samples(facts: Facts) -> str:
    """Real images beside generated ones."""
    fakes = facts.model.generate(seed=100, count=SAMPLES)
    start = "images that they were made of" if facts.model.edits_in_one_pass else "z"
    made = (
        f'<figure class="of-g">{sheet(fakes, 6, f"{SAMPLES} generated images")}<figcaption><strong>Generated.</strong> '
        f"Codes and {start} drawn at random, none left out.</figcaption></figure>"
    )
    taken = ""
    if facts.reals is not None:
        taken = (
            f'<figure class="of-real">{sheet(facts.reals, 6, f"{len(facts.reals)} real images")}<figcaption>'
            "<strong>Real.</strong> Drawn at random from the data set.</figcaption></figure>"
        )
    return section("samples", "Real and generated", "", f'<div class="pair">{taken}{made}</div>')


def factor_by_factor(facts: Facts) -> str:
    """Errors of both networks for each factor, and how far factors leak into each other."""
    rows = [(f, facts.errors_of(f), facts.constants_of(f)) for f in facts.factors]
    measured = [row for row in rows if row[1] != (None, None)]
    map_of_leaks = leakage(facts)
    if not measured and not map_of_leaks:
        return ""
    intro = (
        "Mean error in parts of the factor’s range (an angle: of half a turn; classes: how often wrong). The tick is "
        "where whoever says the same of every image would land."
    )
    if not facts.named:
        intro += (
            " Each factor is read from the code that follows it best, chosen by labels that the training never saw."
        )
    left = f"<div>{bars(measured)}</div>" if measured else ""
    even = " even" if len(facts.factors) > 5 else ""
    both = (
        f'<div class="two{even}">{left}<div>{map_of_leaks}</div></div>'
        if left and map_of_leaks
        else left + map_of_leaks
    )
    return section("errors", "Factor by factor", intro if measured else "", both)


def readings(facts: Facts) -> str:
    """What E says of real images, and the truth where it is known."""
    if not facts.readings:
        return ""
    cards = "".join(_card(facts, reading) for reading in facts.readings)
    if any(reading.known_F.any() for reading in facts.readings):
        intro = (
            "Real images drawn at random and what the encoder reads off them. Underlined: off by more than a tenth of "
            "the range, or the wrong class, with the truth below."
        )
    elif facts.named:
        intro = "Real images drawn at random and what the encoder reads off them. No label tells the truth here."
    else:
        intro = "Real images drawn at random and the codes that the encoder gives them. The codes have no names."
    return section("readings", "What the encoder reads", intro, f'<div class="cards">{cards}</div>')


def _card(facts: Facts, reading: Reading) -> str:
    away = facts.space.error(reading.read_F[None], reading.true_F[None])[0]
    rows = []
    for i, factor in enumerate(facts.space):
        said = escape(show_value(factor, factor.value_of(float(reading.read_F[i]))))
        if reading.known_F[i] and away[i] > OFF:
            truth = escape(show_value(factor, factor.value_of(float(reading.true_F[i]))))
            cell = f'<td class="off"><b>{said}</b><small>is {truth}</small></td>'
        else:
            cell = f"<td>{said}</td>"
        rows.append(f'<tr><th scope="row">{escape(factor.name)}</th>{cell}</tr>')
    return (
        f'<div class="card">{picture(reading.image, reading.name)}<table><tbody>{"".join(rows)}</tbody></table></div>'
    )


def labels(facts: Facts) -> str:
    """Which labels the run saw."""
    labelled = facts.labelled
    if not labelled.count:
        return section("labels", "What was labelled", "Nothing: this run saw images alone.", "")
    share = f", {share_of(facts.share)} of the data set" if facts.share is not None else ""
    intro = (
        f"<strong>{whole(labelled.count)} images</strong>{share}. Training read no label but these; they are listed in "
        "<code>labels.csv</code>."
    )
    strip = ""
    if labelled.images is not None:
        alt = f"{len(labelled.images)} of the labelled images"
        strip = sheet(labelled.images, 0, alt).replace('class="sheet"', 'class="strip"', 1)
    shown = "".join(counts(f, labelled.levels[f.name]) for f in labelled.space if len(labelled.levels.get(f.name, ())))
    return section("labels", "What was labelled", intro, f'{strip}<div class="counts">{shown}</div>')


def training(facts: Facts) -> str:
    """Losses and scores over kimg."""

    def line(name: str, key: str, colour: str) -> Line:
        points = [(number(row.get("kimg")), number(row.get(key))) for row in facts.stats]
        kept = [(x, y) for x, y in points if x is not None and y is not None]
        return Line(name, colour, [x for x, _ in kept], [y for _, y in kept])

    def score(name: str, key: str, colour: str) -> Line:
        rows = sorted(facts.history.get(key, []), key=_images)  # the newest of the same number stay last
        points = [(number(row.get("kimg")), number(row.get(key))) for row in rows]
        kept = {x: y for x, y in points if x is not None and y is not None}
        return Line(name, colour, sorted(kept), [kept[x] for x in sorted(kept)])

    body = charts(
        [
            Chart(
                "Mutual information gap",
                "MIG and MIG-gen; higher is better",
                [score("generator", "mig_gen", "g"), score("encoder", "mig", "e")],
                low=0,
            ),
            Chart(
                "Distance from the truth",
                "L2 and L2-gen; lower is better",
                [score("generator", "l2_gen", "g"), score("encoder", "l2", "e")],
                low=0,
            ),
            Chart(
                "Obeying the code",
                "The encoder’s reading of a generated image against its code",
                [line("L_unsup", "loss_unsup", "g")],
                low=0,
            ),
            Chart(
                "Learning from labels",
                "Distance on labelled images: plain, mixed with others, changed (moved or tinted)",
                [
                    line("L_sup", "loss_sup", "i"),
                    line("L_sr, mixed", "loss_sr", "e"),
                    line("L_aug, changed", "loss_aug", "g"),
                ],
                low=0,
            ),
            Chart(
                "The game",
                "Logistic loss of generator and discriminator",
                [line("generator", "loss_gan_g", "g"), line("discriminator", "loss_gan_d", "i")],
                low=0,
            ),
            Chart(
                "What the discriminator says",
                "Mean logit; the nearer the two, the harder to tell apart",
                [line("real", "real_score", "r"), line("generated", "fake_score", "g")],
            ),
        ]
    )
    return section("training", "How the training went", "", body) if body else ""


def _images(row: dict[str, Any]) -> float:
    """On how many images a score was measured, by its protocol."""
    protocol = row.get("protocol")
    return number(protocol.get("images")) or 0.0 if isinstance(protocol, dict) else 0.0


def again(facts: Facts) -> str:
    """The commands that made this run, and every setting."""
    fields = pairs((name.replace("_", "-"), "not set" if v is None else v) for name, v in facts.train.items())
    intro = f"With semistylegan {escape(facts.version)}:" if facts.version else ""
    intro = " ".join(filter(None, [escape(facts.moved_end), intro]))
    body = (
        f"<pre>{escape(command(facts))}</pre>"
        f'<details><summary>Every setting of the training</summary><dl class="fields">{fields}</dl></details>'
    )
    return section("again", "Make it again", intro, body)


def caveats(facts: Facts) -> str:
    """What the numbers do not say."""
    items = "".join(f"<li>{escape(sentence)}</li>" for sentence in limits(facts))
    return section("limits", "Limits", "", f'<ul class="limits">{items}</ul>')
