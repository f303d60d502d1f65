"""The trained net whose weights a run starts from: found, checked against the configuration, and remembered.

A run keeps the file's SHA-256 and what the net makes of pixels in its provenance. With these and a checkpoint it is
resumed without the file.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_unet.models.unet import UNet, load_model

from .checkpoints import Checkpoints
from .config import Config, ConfigError
from .data_split import Split
from .distribution import Workers
from .provenance import trained_on
from .run_folder import RunFolder

_OF_PIXELS = ("value_range", "pixel_normalization")  # what a pixel's value means to the weights: kept with them
_FREE = (
    "input_shape",
    "num_classes",
    "training_tile",
    "dropout",
    "batch_momentum",
    "dtype",
)  # the weights fit whatever these are


@dataclass(frozen=True)
class StartingNet:
    """What a run starts from.

    Args:
        model: The trained net; None where its weights come from a checkpoint of the run or from the chief.
        record: `path` and `sha256` of the file, and `pixels`, arguments of `UNet` that are the trained net's.
    """

    model: UNet | None
    record: dict[str, Any]

    @property
    def pixels(self) -> dict[str, Any]:
        """Arguments of `UNet` that say how raw pixels are mapped."""
        return dict(self.record["pixels"])


def find_start(
    config: Config, workers: Workers, folder: RunFolder | None = None, overwrite: bool = False
) -> StartingNet | None:
    """The net that `training.start_from` names, or what an unfinished run remembers of it; None without the key.

    Args:
        config: The configuration.
        workers: Of which the chief alone reads the file and sends its weights to the others, as of a checkpoint.
        folder: Of the run, if it has one.
        overwrite: Whether the run in it is replaced.

    Raises:
        ConfigError: If there is no U-Net; if it is the run's own; if the run began with another file and has no
            checkpoint yet.
    """
    if config.training.start_from is None:
        return None
    if not workers.is_chief:
        return StartingNet(None, workers.chiefs(None))
    before = None if folder is None or overwrite else _remembered(folder)
    if folder is not None and before is not None and Checkpoints(folder.checkpoints).load_latest() is not None:
        return StartingNet(None, workers.chiefs(before))
    file = _file(Path(config.training.start_from))
    if folder is not None and file.resolve() == folder.model.resolve():
        raise ConfigError(
            f"training.start_from: Expected a net outside of the run's folder. Received {str(file)!r}: choose another "
            "folder for the run."
        )
    model, record = _read(file, config)
    if before is not None and before["sha256"] != record["sha256"]:
        raise ConfigError(
            f"training.start_from: Expected the file that the run began with, as it has no checkpoint yet. Received "
            f"{str(file)!r}, which has changed: choose another folder, or --overwrite."
        )
    return StartingNet(model, workers.chiefs(record))


def check_fits(start: StartingNet, arguments: Mapping[str, Any]) -> None:
    """Refuse a net of another architecture than a run would train.

    Args:
        start: The net.
        arguments: Of the `UNet` to train.

    Raises:
        ConfigError: Naming the arguments that differ, and the settings with which they would not.
    """
    if start.model is None:
        return
    theirs, path = start.model.get_config(), start.record["path"]
    channels, expected = theirs["input_shape"][2], arguments["input_shape"][2]
    if channels != expected:
        raise ConfigError(
            f"training.start_from: Expected a net for images of {_channels(expected)}, as these are. Received one for "
            f"{_channels(channels)}, {path}: choose another net, or images of {_channels(channels)}."
        )
    differing = [
        name
        for name, value in arguments.items()
        if name not in (*_OF_PIXELS, *_FREE) and name in theirs and theirs[name] != value
    ]
    if differing:
        wanted = ", ".join(f"{name} {_word(arguments[name])}" for name in differing)
        received = ", ".join(f"{name} {_word(theirs[name])}" for name in differing)
        remedy = " ".join(f"--set model.{name}={_word(theirs[name])}" for name in differing)
        raise ConfigError(
            f"training.start_from: Expected a net with {wanted}. Received one with {received}, {path}: choose another "
            f"net, or {remedy}."
        )


def remarks(start: StartingNet | None, parts: Split) -> list[str]:
    """Sentences on the net that a run begins with; none where it is resumed or begins with random weights."""
    if start is None or start.model is None:
        return []
    path, classes = Path(start.record["path"]), start.model.num_classes
    sentences = [f"Starting from the weights of {path}, a net of {classes} classes."]
    if start.model.pixel_normalization == "range":
        sentences += _on_ranges(start.pixels["value_range"], parts.train.value_range)
    known = [] if parts.validate is None else trained_on(RunFolder(path.parent), parts.validate)
    if known:
        sentences.append(
            f"That net was trained on {len(known)} of these validation images: expect less on others. They are "
            f"{', '.join(known[:3])}{', …' if len(known) > 3 else ''}."
        )
    return sentences


def _on_ranges(kept: Sequence[float], of_data: tuple[float, float]) -> list[str]:
    (low, high), (lowest, highest) = kept, of_data
    sentences = [
        f"Pixels of {low:g} … {high:g} are mapped to -1 … 1, as its weights expect; these data have {lowest:g} … "
        f"{highest:g}."
    ]
    if not 0.5 <= (highest - lowest) / (high - low) <= 2:
        sentences.append(
            f"Ranges that differ so much may need --set model.value_range=[{lowest:g},{highest:g}], which maps the "
            "range of these data instead."
        )
    return sentences


def _remembered(folder: RunFolder) -> dict[str, Any] | None:
    """The record of a run that has begun, or None."""
    record = (folder.read_provenance() or {}).get("start")
    return record if isinstance(record, dict) and {"path", "sha256", "pixels"} <= record.keys() else None


def _file(given: Path) -> Path:
    return RunFolder(given).model if RunFolder(given).model.exists() else given


def _read(file: Path, config: Config) -> tuple[UNet, dict[str, Any]]:
    try:
        model = load_model(file)
    except (FileNotFoundError, ValueError) as error:
        raise ConfigError(f"training.start_from: {error}") from None
    normalization = model.pixel_normalization
    theirs = normalization if isinstance(normalization, str) else "data"
    if theirs != config.model.pixel_normalization:
        raise ConfigError(
            f'training.start_from: Expected a net with pixel_normalization "{config.model.pixel_normalization}". '
            f'Received one with "{theirs}", {file}: choose another net, or --set model.pixel_normalization={theirs}.'
        )
    arguments = model.get_config()
    pixels = {name: arguments[name] for name in _OF_PIXELS}
    if config.model.value_range is not None:
        pixels["value_range"] = config.model.value_range
    with open(file, "rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    record = {"path": str(file), "sha256": digest, "pixels": pixels}
    return model, json.loads(json.dumps(record))  # tuples as lists, as they are read again


def _channels(count: int) -> str:
    return "1 channel" if count == 1 else f"{count} channels"


def _word(value: Any) -> str:
    """A value as the configuration has it."""
    return "none" if value is None else str(value).lower() if isinstance(value, bool) else str(value)
