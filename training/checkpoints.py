"""Checkpoints: everything a run needs to go on as if it had never stopped, one file each.

A checkpoint is a NumPy archive: weights, optimizer (moments, step count, loss scale), the state of dropout's seed
generators, which no Keras checkpoint holds, and the progress of the run. Averages of the weights are part of the
optimizer. Batches are a function of seed and batch number, so the step is also the position in the data. The
archive's check sums tell a torn file from a whole one.
"""

import json
import logging
import re
import zipfile
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

import keras
import numpy as np
from numpy.typing import NDArray

from keras_unet.utils.atomic_files import remove_partial, written_aside

from .trainer import DivergedError, Trainer

Arrays = dict[str, NDArray[Any]]
T = TypeVar("T")

_PROGRESS = "progress"
_NAME = re.compile(r"step-(\d+)\.npz")

UNREADABLE = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile)

_log = logging.getLogger(__name__)


class CheckpointError(ValueError):
    """A checkpoint that belongs to another model or optimizer."""


@dataclass
class Progress:
    """How far a run has come.

    Args:
        step: Updates of the weights so far; times `training.accumulate`, the number of the next batch.
        best_step: Step of the best validation so far, None before the first.
        best: Its figure.
        stale: Validations since then.
        loss_sum: Losses since the last line of the log, added up.
        seconds: Time spent, over all starts of the run.
        finished: Why the run ended, or an empty text while it goes on.
        due: Whether this step's line of the log and validation are yet to be made, as the run was told to end.
    """

    step: int = 0
    best_step: int | None = None
    best: float | None = None
    stale: int = 0
    loss_sum: float = 0.0
    seconds: float = 0.0
    finished: str = ""
    due: bool = False


def snapshot(trainer: Trainer) -> Arrays:
    """The state of model and optimizer as arrays."""
    return {name: np.asarray(variable.numpy()) for name, variable in _variables(trainer).items()}


def restore(trainer: Trainer, arrays: Arrays) -> None:
    """Put a snapshot back.

    Raises:
        CheckpointError: If it belongs to another model or optimizer; the first differences are named.
    """
    variables = _variables(trainer)
    expected = {name: tuple(variable.shape) for name, variable in variables.items()}
    received = {name: array.shape for name, array in arrays.items()}
    differences = [
        f"{name} is {received.get(name, 'missing')} instead of {expected.get(name, 'absent')}"
        for name in sorted(expected.keys() | received.keys())
        if expected.get(name) != received.get(name)
    ]
    if differences:
        raise CheckpointError(
            f"Expected a checkpoint of this model and optimizer. {len(differences)} arrays differ: "
            f"{'; '.join(differences[:3])}."
        )
    with trainer.strategy.scope():
        for name, variable in variables.items():
            variable.assign(arrays[name])


def _variables(trainer: Trainer) -> dict[str, keras.Variable]:
    """By names that do not change from process to process: Keras counts seed generators and optimizers up."""
    weights = trainer.model.weights
    known = {id(variable) for variable in weights}
    others = [variable for variable in trainer.model.variables if id(variable) not in known]
    return {
        **{f"model/{variable.path}": variable for variable in weights},
        **{f"random/{index}": variable for index, variable in enumerate(others)},
        **{f"optimizer/{index}": variable for index, variable in enumerate(trainer.optimizer.variables)},
    }


class Checkpoints:
    """The checkpoints of a run in one folder.

    Args:
        folder: Made when the first checkpoint is written.
        keep: How many of the latest are kept; the best on validation is kept besides.
    """

    def __init__(self, folder: Path, keep: int = 2) -> None:
        self.folder = folder
        self.keep = keep

    def path(self, step: int) -> Path:
        """Where the checkpoint of a step lies."""
        return self.folder / f"step-{step:08d}.npz"

    def save(self, trainer: Trainer, progress: Progress) -> Path:
        """Write a checkpoint, then remove those no longer needed.

        Raises:
            DivergedError: If a weight is NaN or infinite; nothing is written.
            OSError: If the disk is full or the folder cannot be written; earlier checkpoints stay.
        """
        arrays = snapshot(trainer)
        if not all(np.isfinite(array).all() for name, array in arrays.items() if name.startswith("model/")):
            raise DivergedError(f"Expected finite weights. Received NaN or infinite ones at step {progress.step}.")
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.path(progress.step)
        named: dict[str, Any] = {**arrays, _PROGRESS: np.asarray(json.dumps(asdict(progress)))}
        with written_aside(path) as aside, open(aside, "wb") as file:
            np.savez(file, **named)
        self._prune(progress)
        return path

    def load_latest(self) -> tuple[Arrays, Progress] | None:
        """The latest whole checkpoint, or None. Torn ones are passed over with a warning."""
        return self._latest(read)

    def latest_progress(self) -> Progress | None:
        """How far the latest whole checkpoint says the run has come, or None; weights are not read."""
        return self._latest(read_progress)

    def _latest(self, reader: Callable[[Path], T]) -> T | None:
        for step in reversed(self.steps()):
            path = self.path(step)
            try:
                return reader(path)
            except UNREADABLE as error:
                _log.warning("Skipping checkpoint %s, which cannot be read: %s", path, error)
        return None

    def steps(self) -> list[int]:
        """Steps of the checkpoints in the folder, in order."""
        if not self.folder.is_dir():
            return []
        matches = (_NAME.fullmatch(entry.name) for entry in self.folder.iterdir())
        return sorted(int(match[1]) for match in matches if match)

    def _prune(self, progress: Progress) -> None:
        steps = self.steps()
        kept = {*[step for step in steps if step <= progress.step][-self.keep :], progress.best_step}
        for step in steps:
            if step not in kept:
                self.path(step).unlink(missing_ok=True)
        remove_partial(self.folder)


def read_progress(path: Path) -> Progress:
    """Progress alone of a checkpoint file; raises as `read`."""
    with np.load(path, allow_pickle=False) as archive:
        return _progress(str(archive[_PROGRESS]))


def read(path: Path) -> tuple[Arrays, Progress]:
    """Arrays and progress of a checkpoint file.

    Raises:
        OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile: If the file is torn, or no checkpoint.
    """
    with np.load(path, allow_pickle=False) as archive:
        arrays = {name: archive[name] for name in archive.files}
    return arrays, _progress(str(arrays.pop(_PROGRESS)))


def _progress(text: str) -> Progress:
    """What `save` wrote as JSON, or a ValueError: a file may be whole and yet not ours."""
    values, types = json.loads(text), get_type_hints(Progress)
    if not isinstance(values, dict):
        raise ValueError(f"Expected the progress of a run. Received {values!r}.")
    for name, value in values.items():
        if name not in types or not _has_type(value, types[name]):
            raise ValueError(f"Expected the progress of a run. Received {name} {value!r}.")
    return Progress(**values)


def _has_type(value: Any, expected: Any) -> bool:
    return isinstance(value, expected) or (type(value) is int and isinstance(0.0, expected))
