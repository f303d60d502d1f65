"""What a run is and how far it came: its state, where it came from, its sizes."""

import hashlib
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from keras_unet.commands.report.markup import Html, facts, joined, tag
from keras_unet.training.config import load_config
from keras_unet.training.config_file import presets
from keras_unet.training.dead_filters import advice
from keras_unet.training.history import History, Sections
from keras_unet.training.hyperparameters import Value, flattened

_FINGERPRINT = 16  # hexadecimal digits that are shown
_CHANGES = 12
_MEGABYTE = 1e6


def head(history: History, parameters: int | None) -> Html:
    """State of a run in a sentence, what could not be read, and the facts."""
    last = {column: point[1] for column in history.columns if (point := history.last(column))}
    notes = [note for note in (*history.notes, advice(last)) if note]
    warnings = [tag("p", note, class_="warn") for note in notes]
    return joined(tag("p", state(history), class_="state"), warnings, facts(_facts(history, parameters)))


def state(history: History) -> str:
    """How far a run is, in a sentence."""
    asked = history.value("training", "steps")
    steps = f"{history.steps:,} of {asked:,} steps" if isinstance(asked, int) else f"{history.steps:,} steps"
    if history.finished:
        return f"Finished after {steps}: {history.finished}."
    return f"Unfinished: {steps} done." if history.steps else f"Begun: no step of {asked} is recorded yet."


def data_fingerprint(history: History) -> str | None:
    """SHA-256 over the digests of all images and labels, in order, wherever they lie; None if they are not recorded."""
    samples = [history.provenance.get(part) for part in ("train", "validate")]
    try:
        digests = [[(one["image"], one["labels"]) for one in part] for part in samples]  # type: ignore[union-attr]
    except (TypeError, KeyError):
        return None
    return hashlib.sha256(json.dumps(digests).encode()).hexdigest()


def settings(history: History) -> dict[str, Value]:
    """All settings of a run as `section.key`."""
    return flattened(history.sections)


def _facts(history: History, parameters: int | None) -> Iterator[tuple[str, object]]:
    yield "run folder", history.folder.path
    yield from _times(history)
    yield "data", _data(history)
    yield "fingerprint of the data", _shortened(data_fingerprint(history))
    yield "nearest preset", _nearest_preset(history.sections)
    yield "seed", history.value("training", "seed")
    yield "parameters of the net", None if parameters is None else f"{parameters:,}"
    yield "tiles", _tiles(history)
    yield "model file", _megabytes(history.folder.model)
    yield "versions", _versions(history.provenance.get("versions") or history.report.get("versions"))
    yield "code", _code(history.provenance)


def _times(history: History) -> Iterator[tuple[str, object]]:
    if history.starts:
        again = f", started {len(history.starts)} times" if len(history.starts) > 1 else ""
        yield "begun", f"{_utc(history.starts[0])}{again}"
    if history.folder.log.is_file():
        yield "log last written", _utc(history.folder.log.stat().st_mtime)
    seconds = history.report.get("seconds", history.progress and history.progress.seconds)
    if isinstance(seconds, int | float):
        minutes, rest = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        yield "time of training", f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M UTC")


def _data(history: History) -> str:
    source = " ".join(str(part) for key in ("name", "path") if (part := history.value("data", key)) is not None)
    counts = [
        f"{len(samples)} to {verb} on"
        for part, verb in (("train", "train"), ("validate", "validate"))
        if isinstance(samples := history.provenance.get(part), list)
    ]
    return "; ".join([source, ", ".join(counts)] if counts else [source])


def _shortened(digest: str | None) -> Html | None:
    return None if digest is None else tag("code", f"SHA-256 {digest[:_FINGERPRINT]}…", title=digest)


def _nearest_preset(sections: Sections) -> str | None:
    """The preset that fewest settings differ from, which is not recorded, and what differs; where data lie aside."""
    ours = {key: value for key, value in flattened(sections).items() if key != "data.path"}
    theirs = {name: flattened(load_config(name).to_dict()) for name in presets()}
    changes = {
        name: [f"{key} = {value}" for key, value in ours.items() if values.get(key) != value]
        for name, values in theirs.items()
        if values["data.name"] == ours.get("data.name")
    }
    if not changes:
        return None
    name = min(changes, key=lambda name: len(changes[name]))
    listed = changes[name][:_CHANGES]
    more = f" and {len(changes[name]) - _CHANGES} more" if len(changes[name]) > _CHANGES else ""
    return f"{name}, but {', '.join(listed)}{more}" if listed else name


def _tiles(history: History) -> str | None:
    config = history.config
    if config is None:
        return None
    training, geometry = config.training, config.model.geometry
    size, output = training.input_size, geometry.output_size(training.input_size)
    batch = f"{training.batch_size} a batch"
    batches = f", {training.accumulate} batches a step" if training.accumulate > 1 else ""
    return f"{size} x {size} to {output} x {output} pixels, {batch}{batches}"


def _megabytes(path: Path) -> str | None:
    return f"{path.stat().st_size / _MEGABYTE:.2f} MB" if path.is_file() else None


def _versions(versions: Any) -> str | None:
    if not isinstance(versions, dict):
        return None
    return ", ".join(f"{name} {number}" for name, number in versions.items())


def _code(provenance: Any) -> Html | None:
    git = provenance.get("git")
    if not isinstance(git, dict):
        return None
    return joined("commit ", tag("code", git.get("commit")), ", with changed files" if git.get("changed") else "")
