"""Evaluating a run: scores with their protocol into `metric-<name>.jsonl`, all together into `metrics.json`."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from semistylegan import files, progress
from semistylegan.data.dataset import Dataset
from semistylegan.data.labels import Labels
from semistylegan.data.pictures import save_png
from semistylegan.errors import UserError
from semistylegan.metrics.code_intervals import Found
from semistylegan.metrics.inception import Inception
from semistylegan.metrics.information import TooFew, checked_count
from semistylegan.metrics.oracle import Oracle, oracle_for
from semistylegan.metrics.protocol import note, protocol_of
from semistylegan.metrics.readings import Readings
from semistylegan.metrics.score_intervals import intervals_of, protocol_of_intervals
from semistylegan.metrics.scores import DEFAULT, METRIC_OF, METRICS, QUICK, VERSION, Fields, unmeasurable
from semistylegan.metrics.subject import UNSEEN, Subject, full_data, of_run, subject_of
from semistylegan.models.checkpoint import WEIGHTS_FILE, Networks, load_model
from semistylegan.training.device import pick_device
from semistylegan.training.loop import OnSnapshot
from semistylegan.training.run import Run

__all__ = ["DEFAULT", "METRICS", "evaluate", "on_snapshot", "quick"]

ALWAYS = ("mig", "l2", "mig_gen", "l2_gen", "fd_oracle", "oracle_l2")
"""Fields that `metrics.json` always has; null where one was not or could not be measured."""
SAME = ("seed", "weights_sha256", "data_fingerprint", "metrics_version")
"""Entries that all protocols in `metrics.json` share: they stand there once."""


def evaluate(
    run_path: Path | str,
    metrics: str | Sequence[str] = DEFAULT,
    images: int = 10_000,
    seed: int = 0,
    device: str = "auto",
    inception: Path | None = None,
    inception_sha256: str | None = None,
    kimg: float | None = None,
    data_path: Path | None = None,
    out: Path | None = None,
) -> dict[str, Any]:
    """Measures the newest checkpoint of a run, or an earlier one; or any model on other data.

    E is measured on labelled images whose labels training did not read, G by the data set's oracle. What was measured
    before, of the same weights and by the same protocol, stays in `metrics.json`.

    Args:
        run_path: folder of the run; with `out` also of a checkpoint, or the name of a model that ships.
        metrics: a name or names of METRICS, fields of `metrics.json`, `default` or `all`.
        images: how many images to read and to generate, at most.
        seed: fixes which.
        device: where to compute; the figures of one device are the same every time.
        inception: file of the network whose features FID compares; see `metrics.inception`.
        inception_sha256: the hash that it must have, or its beginning.
        kimg: of the checkpoint to measure; None is the newest.
        data_path: where the run's data are now; None is where they were when it was trained.
        out: a folder for the scores: the data at `data_path` are others, of which training saw nothing.

    Returns:
        What `metrics.json` now holds.

    Raises:
        UserError: an unknown metric, not a run, no checkpoint, or data that is not there or no longer the same; with
            `out` no data, or data that do not fit the model.
    """
    names = metric_names(metrics, fid=inception is not None)
    where = pick_device(device)
    network = None if inception is None else Inception(inception, inception_sha256, where)
    require_images(images)
    seed = checked_count("seed", seed, 0)
    subject = subject_of(run_path, kimg, data_path, out, where)
    folder = out or Path(run_path)
    files.require_inside(folder, "metrics.json", "metric-*.jsonl", "edits.png")
    oracle = oracle_for(subject.data, where)
    readings = subject.readings(oracle, images, seed)
    readings.inception = network
    identity = {"weights_sha256": files.sha256_of(subject.checkpoint / WEIGHTS_FILE), "images": images, "seed": seed}
    if subject.other is not None:
        identity["data_fingerprint"] = subject.other
    fields, notes = measured(names, readings)
    intervals = {name: intervals_of(name, found, readings) for name, found in fields.items()}
    # Only now: another `eval` may have written its scores while these were measured.
    folder.mkdir(parents=True, exist_ok=True)
    result = earlier(folder, identity, None if oracle is None else oracle.l2)
    if "edit" in fields:
        save_png(folder / "edits.png", readings.edits[2])
    for name, found in fields.items():
        write_row(folder, result, name, found, intervals[name], protocol_of(name, readings, identity), subject.kimg)
    document = document_of(subject, result, readings, oracle) | identity
    if subject.other is not None:
        document |= {"model": str(run_path), "data": str(data_path)}
        notes = [UNSEEN, *notes]
    document["note"] = note(document, readings, notes)
    files.write_json(folder / "metrics.json", document)
    return document


def write_row(
    folder: Path,
    result: dict[str, Any],
    name: str,
    found: Fields,
    intervals: Found,
    protocol: dict[str, Any],
    kimg: float | None,
) -> None:
    """A metric's fields as a row of `metric-<name>.jsonl`, and into `result`, beside those of the others."""
    per_factor = found.pop("per_factor", {})
    row = {"kimg": kimg, **found, **({"per_factor": per_factor} if per_factor else {})}
    if spans := {key: [i.low, i.high] for key, i in intervals.items()}:
        row["ci95"], protocol["ci95"] = spans, protocol_of_intervals(name)
        result["ci95"] = {**result.get("ci95", {}), **spans}
    files.append_jsonl(folder / f"metric-{name}.jsonl", {**row, "protocol": protocol})
    result.update(found)
    result.setdefault("protocols", {})[name] = {k: v for k, v in protocol.items() if k not in SAME}
    for factor, values in per_factor.items():
        result.setdefault("per_factor", {}).setdefault(factor, {}).update(values)


def document_of(subject: Subject, result: dict[str, Any], readings: Readings, oracle: Oracle | None) -> dict[str, Any]:
    """`metrics.json` of these results, but for what identifies them and the note."""
    data = subject.data
    labelled = len(subject.own.labelled_rows) if subject.other is None else None
    per_factor = result.get("per_factor", {name: {} for name in data.space.names})
    document = {
        **{field: result.get(field) for field in ALWAYS},
        "label_fraction": None if labelled is None else labelled / len(data),
        "labelled_images": labelled,
        "kimg": subject.kimg,
        "seconds": subject.seconds,
        "per_factor": {name: {"mae": None, "mae_gen": None, **values} for name, values in per_factor.items()},
        **{key: value for key, value in result.items() if key not in (*ALWAYS, "per_factor")},
        "metrics_version": VERSION,
        "encoder_images": len(readings.rows) if readings.enough else None,
        "oracle_l2": readings.oracle_l2,
    }
    if oracle is not None:
        if len(readings.factors) < len(data.space):  # those of an editor
            document["oracle_l2_all"] = oracle.l2
        document["oracle_error"] = dict(zip(data.space.names, oracle.error, strict=True))
    return document


def quick(
    networks: Networks,
    data: Dataset,
    oracle: Oracle | None,
    images: int = 2000,
    own: Labels | None = None,
    seed: int = 0,
) -> dict[str, float]:
    """MIG, L2, MIG-gen, L2-gen and FD-oracle on few images: seconds, for curves during a training.

    Args:
        networks: the model.
        data: the data set with all its labels.
        oracle: of the data set; None leaves out what needs it.
        images: how many are read and generated. The figures of other numbers differ a little: FD above all.
        own: labels that training reads: their images are left out.
        seed: fixes which images.
    """
    own = Labels.none(len(data), len(data.space)) if own is None else own
    fields, _ = measured(QUICK, Readings(networks, data, oracle, own, images=images, seed=seed))
    return {key: float(row[key]) for key, row in fields.items()}


def on_snapshot(images: int = 2000, device: str = "auto") -> OnSnapshot:
    """A callback for `training.train` that writes the scores of :func:`quick` into `metric-<name>.jsonl`, and says once
    which cannot be measured.

    Training itself reads nothing of them. The data set and its oracle are read once, at the first call.
    """
    held: list[tuple[Dataset, Oracle | None]] = []
    told: set[str] = set()

    def measure(checkpoint: Path, kimg: float) -> None:
        run = Run(checkpoint.parent)
        where = pick_device(device)
        if not held:
            data = full_data(run)
            held.append((data, oracle_for(data, where)))
        data, oracle = held[0]
        readings = of_run(run, data, checkpoint, load_model(checkpoint, where)).readings(oracle, images, 0)
        identity = {"weights_sha256": files.sha256_of(checkpoint / WEIGHTS_FILE), "images": images, "seed": 0}
        fields, notes = measured(QUICK, readings)
        for why in notes:
            if why not in told:
                progress.console().print(f"--snap-images {images}: {why}", markup=False)
        told.update(notes)
        for name, found in fields.items():
            row = {"kimg": kimg, name: found[name], "protocol": protocol_of(name, readings, identity)}
            files.append_jsonl(run.path / f"metric-{name}.jsonl", row)

    return measure


def measured(names: Sequence[str], readings: Readings) -> tuple[dict[str, Fields], list[str]]:
    """Fields of each metric that can be measured, and a sentence for each that cannot."""
    fields, notes = {}, []
    for name in names:
        if (why := unmeasurable(name, readings)) is not None:
            notes.append(why)
            continue
        try:
            fields[name] = METRICS[name].measure(readings)
        except TooFew as error:
            notes.append(f"{name} is left out: {error}.")
    return fields, notes


def metric_names(asked: str | Sequence[str], fid: bool = True) -> list[str]:
    """Names of metrics, in the order of METRICS, from names, fields of `metrics.json`, `default` and `all`.

    Args:
        asked: these.
        fid: whether its network is given; `all` goes without it where it is not.

    Raises:
        UserError: an unknown name (lists the known ones), or `fid` without its network.
    """
    chosen: set[str] = set()
    asked = [asked] if isinstance(asked, str) else asked
    for name in asked:
        if name in ("default", "all"):
            chosen |= set(DEFAULT if name == "default" else METRICS)
        elif name in METRICS or name in METRIC_OF:
            chosen.add(name if name in METRICS else METRIC_OF[name])
        else:
            raise UserError(f"--metrics {name}: unknown; known are default, all, {', '.join(METRICS)}")
    if not chosen:
        raise UserError(f"--metrics: none is named; known are default, all, {', '.join(METRICS)}")
    if "fid" in chosen and not fid:
        chosen.remove("fid")
        if "all" not in asked:
            raise UserError("--metrics fid: give the network as eval RUN --inception FILE; nothing is downloaded")
    return [name for name in METRICS if name in chosen]


def require_images(images: int) -> None:
    """Raises UserError where so few images are asked for that no metric means anything."""
    if images < 100:
        raise UserError(f"--images {images}: at least 100 are needed")


def earlier(run: Path, identity: dict[str, Any], oracle: float | None) -> dict[str, Any]:
    """What `metrics.json` holds of the same weights, number of images, seed, oracle and version of the measures;
    nothing where they differ. That scores of these weights make room for those of other images is said."""
    try:
        document = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    if not isinstance(document, dict) or oracle_of(document) != oracle or version_of(document) != VERSION:
        return {}
    differ = {key: document.get(key) for key, value in identity.items() if document.get(key) != value}
    if differ and differ.keys() <= {"images", "seed"}:
        was = " and ".join(f"--{key} {value}" for key, value in differ.items())
        where = f"{run / 'metrics.json'}: scores of {was} make room for these"
        progress.console().print(f"{where}; they stay in metric-NAME.jsonl", markup=False)
    if differ:
        return {}
    kept = {field for metric in METRICS.values() for field in metric.fields} | {"per_factor", "ci95", "protocols"}
    return {key: value for key, value in document.items() if key in kept and value is not None}


def oracle_of(document: dict[str, Any]) -> Any:
    """L2, over all factors, of the oracle that `metrics.json` rests on: which one it was. An editor's scores, and
    `oracle_l2` beside them, are of some factors (of all in earlier versions)."""
    return document.get("oracle_l2_all", document.get("oracle_l2"))


def version_of(document: dict[str, Any]) -> Any:
    """The `scores.VERSION` by which `metrics.json` was measured."""
    return document.get("metrics_version", 1)
