"""The measured numbers of a run: tiles, protocol, leakage matrix."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import numpy as np

from semistylegan.metrics.scores import METRIC_OF
from semistylegan.report.curves import heat_map
from semistylegan.report.facts import Facts, protocol_of
from semistylegan.report.html import escape, section, whole
from semistylegan.training.run import number

Better = Literal["higher", "lower"]

TILES: tuple[tuple[str, str, Better, str, str], ...] = (
    (
        "mig",
        "MIG",
        "higher",
        "e",
        "Each factor should be told by one code of the encoder and no other: how far it stands above the next, 0 to 1.",
    ),
    (
        "l2",
        "L2",
        "lower",
        "e",
        "How far the encoder’s reading of {image} lies from the truth, all factors together.",
    ),
    (
        "mig_gen",
        "MIG-gen",
        "higher",
        "g",
        "Each code should rule one factor of the generated image and no other: the same gap, seen by the oracle.",
    ),
    (
        "l2_gen",
        "L2-gen",
        "lower",
        "g",
        "How far the factors of a generated image, read by the oracle, lie from those asked for.",
    ),
    (
        "fd_oracle",
        "FD-oracle",
        "lower",
        "g",
        "Fréchet distance of generated from real images in the oracle’s features; 0 is no difference that it can see.",
    ),
    ("fid", "FID", "lower", "g", "Fréchet distance of generated from real images in Inception features."),
    (
        "edit_error",
        "Edit error",
        "lower",
        "g",
        "How far a factor that was set in {image}, read by the oracle, lies from the value asked for.",
    ),
    ("edit_psnr", "Edit PSNR", "higher", "g", "How like its true picture an edit of {image} is, in decibels."),
)
"""Key in metrics.json, name, which way is better, whose score (e encoder, g generator), what it means (of which images,
by :func:`_image`)."""
IMAGES = {
    "held-out": "a held-out image",
    "labels unread": "an image that training saw without its label",
    "all labelled": "an image whose label training may have read",
}
"""By the `split` of a protocol."""

MORE: tuple[tuple[str, str, Better, str], ...] = (
    ("factor_vae", "FactorVAE score", "higher", "a fixed factor is found as the code that varies least"),
    ("beta_vae", "BetaVAE score", "higher", "a line tells the fixed factor from how much each code differs"),
    ("dci_disentanglement", "DCI disentanglement", "higher", "each code tells one factor alone"),
    ("dci_completeness", "DCI completeness", "higher", "each factor is told by one code alone"),
    ("dci_informativeness", "DCI informativeness", "higher", "the codes tell the factors at all"),
    ("sap", "SAP", "higher", "gap between the two codes that predict a factor best"),
    ("modularity", "Modularity", "higher", "each code depends on one factor"),
    ("explicitness", "Explicitness", "higher", "a line tells each value of a factor from the others; 0.5 is chance"),
    ("irs", "IRS", "higher", "a code stays where it is while its factor does"),
    ("info_m", "InfoM", "higher", "modularity by conditional information"),
    ("info_c", "InfoC", "higher", "compactness: few codes for each factor"),
    ("info_e", "InfoE", "higher", "explicitness: a factor is linear in the codes"),
    ("kid", "KID", "lower", "kernel distance of generated from real images"),
    ("precision", "Precision", "higher", "generated images that look like real ones"),
    ("recall", "Recall", "higher", "real images that the generator can make"),
    ("edit_drift", "Edit drift", "lower", "how far the factors not asked for move in an edit"),
    ("edit_ssim", "Edit SSIM", "higher", "likeness of an edited image and its true picture, 1 at most"),
)


def error_made(entry: Mapping[str, Any]) -> str:
    """Which error of `per_factor` says how G obeys a factor: an editor has that of its edits, often that alone."""
    return "mae_gen" if entry.get("mae_gen") is not None else "edit_error"


def numbers(facts: Facts) -> str:
    """Tiles with what each number means, then the rest as a table, then how it was measured."""
    tiles = "".join(
        _tile(name, value, better, whose, meaning.format(image=_image(facts, key)))
        for key, name, better, whose, meaning in TILES
        if (value := number(facts.metrics.get(key))) is not None
    )
    rest = [(name, value, better, meaning) for key, name, better, meaning in MORE
            if (value := number(facts.metrics.get(key))) is not None]  # fmt: skip
    if not tiles and not rest:
        return ""
    table = ""
    if rest:
        rows = "".join(
            f'<tr><th scope="row">{name}</th><td>{value:.3f}</td>'
            f'<td class="soft">{meaning}; {better} is better</td></tr>'
            for name, value, better, meaning in rest
        )
        table = (
            f'<details class="more"><summary>{len(rest)} more score{"s" if len(rest) > 1 else ""}</summary>'
            f'<table class="plain"><tbody>{rows}</tbody></table></details>'
        )
    count = tiles.count('class="tile')
    columns = count if count <= 5 else 3
    intro = (
        '<strong class="e">Encoder</strong> scores are about reading real images, <strong class="g">generator</strong> '
        "scores about making images to order."
    )
    body = f'<div class="tiles" style="--columns:{columns}">{tiles}</div>{_protocol(facts)}{table}'
    return section("numbers", "In numbers", intro, body)


def leakage(facts: Facts) -> str:
    """The leakage matrix as a heat map, where one was measured."""
    found = facts.metrics.get("leakage")
    if not isinstance(found, dict) or not found or not all(isinstance(row, dict) for row in found.values()):
        return ""
    moved, seen = list(found), list(next(iter(found.values())))
    cells = [[number(row.get(name)) for name in seen] for row in found.values()]
    matrix = np.array([[np.nan if cell is None else cell for cell in row] for row in cells])
    if not matrix.size or np.isnan(matrix).any():
        return ""
    what = "factor of the code" if facts.named else "entry of the code"
    caption = (
        f"<strong>Leakage.</strong> When the row’s {what} alone changes, how far does the oracle see each factor "
        "move, in parts of its range?"
    )
    caption += " The diagonal is wanted; the rest should be 0." if facts.named else ""
    return heat_map(moved, seen, matrix, caption)


def _image(facts: Facts, key: str) -> str:
    """The images that a score is of. Earlier versions did not say what training saw of those that were edited."""
    split = (protocol_of(facts.metrics, facts.history.get(METRIC_OF[key], [])) or {}).get("split")
    if split not in IMAGES:
        return IMAGES["held-out"] if key == "l2" or facts.train.get("hold_out") else "an image"
    return IMAGES[split]


def _tile(name: str, value: float, better: Better, whose: str, meaning: str) -> str:
    digits = 3 if abs(value) < 1 else 2 if abs(value) < 10 else 1
    arrow = "↑" if better == "higher" else "↓"
    return (
        f'<div class="tile by-{whose}"><h3>{name}<span>{better} is better {arrow}</span></h3>'
        f'<div class="number">{value:.{digits}f}</div><p>{meaning}</p></div>'
    )


def _protocol(facts: Facts) -> str:
    """How the numbers were measured, as their files say: the main points, and all of it to unfold."""
    metrics = facts.metrics
    parts = []
    if (kimg := number(metrics.get("kimg"))) is not None:
        images = number(metrics.get("images"))
        on = f", on {whole(int(images))} images at most" if images else ""
        parts.append(f"Measured at {round(kimg, 1):g} kimg{on}.")
        if abs(kimg - facts.kimg) > 0.05:
            parts.append(f"<strong>The pictures are of a later checkpoint, at {round(facts.kimg, 1):g} kimg.</strong>")
    if (oracle := number(metrics.get("oracle_l2"))) is not None:
        parts.append(f"The oracle’s own L2 on held-out images{facts.oracle_over} is {oracle:.3f}.")
    if note := str(metrics.get("note") or ""):
        parts.append(escape(note))
    rows = []
    for name, lines in facts.history.items():
        if (protocol := protocol_of(metrics, lines)) is not None:
            told = "; ".join(f"{word.replace('_', ' ')}: {_told(word, value)}" for word, value in protocol.items())
            rows.append(f'<tr><th scope="row">{escape(name)}</th><td class="soft">{escape(told)}</td></tr>')
    out = f'<p class="small soft">{" ".join(parts)}</p>' if parts else ""
    if rows:
        table = f'<table class="plain protocol"><tbody>{"".join(rows)}</tbody></table>'
        out += f'<details class="more"><summary>How each was measured</summary>{table}</details>'
    return out


def _told(word: str, value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return whole(value)
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, list):
        return ", ".join(_told(word, v) for v in value)
    return f"{str(value)[:12]}…" if word.endswith("sha256") else str(value)
