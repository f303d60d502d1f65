"""What a run folder tells of its run from beginning to end, for people: what is missing is told, not refused."""

import csv
import io
import math
import os
import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .checkpoints import Checkpoints, Progress
from .config import Config, ConfigError, config_from_dict
from .config_sections import SMALLER_IS_BETTER
from .run_folder import RunFolder

Point = tuple[int, float]
Sections = dict[str, dict[str, Any]]

_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)\.")


@dataclass(frozen=True)
class History:
    """A run as its folder tells it, finished or not.

    Args:
        folder: Where it lies.
        config: The configuration; None if it is of another version.
        sections: Sections of its plain values, with this version's defaults where `config` is known.
        provenance: What the run was made from; empty if it was not recorded.
        report: Figures of a finished run; empty for others.
        progress: Of the latest whole checkpoint.
        log: Lines of log.csv by step, in order; a figure that was not taken is not among them.
        starts: Times at which the run was started, seconds since 1970, in order; empty if unknown.
        notes: What could not be read, a sentence each.
    """

    folder: RunFolder
    config: Config | None
    sections: Sections
    provenance: Mapping[str, Any]
    report: Mapping[str, Any]
    progress: Progress | None
    log: Mapping[int, Mapping[str, float]]
    starts: tuple[float, ...]
    notes: tuple[str, ...]

    @property
    def finished(self) -> str:
        """Why the run ended, or an empty text while it goes on."""
        ended = self.progress.finished if self.progress else ""
        return str(self.report.get("finished") or ended)

    @property
    def steps(self) -> int:
        """Updates of the weights of which anything is known."""
        last = max(self.log, default=0)
        counted = self.report.get("steps", last)
        stored = self.progress.step if self.progress else 0
        return max(last, stored, counted if isinstance(counted, int) else 0)

    @property
    def monitor(self) -> str:
        """Validation figure that says which weights are best."""
        return str(self.value("training", "monitor") or "mean_iou")

    @property
    def best_step(self) -> int | None:
        """Step whose weights were kept, or None without a validation."""
        for told in (self.report.get("best_step"), self.progress.best_step if self.progress else None):
            if isinstance(told, int):
                return told
        best = self.best(f"val_{self.monitor}")
        return best and best[0]

    def value(self, section: str, key: str) -> Any:
        """A value of the configuration, or None."""
        return self.sections.get(section, {}).get(key)

    @property
    def columns(self) -> list[str]:
        """Columns of the log of which any figure was taken."""
        return list(dict.fromkeys(column for line in self.log.values() for column in line))

    def curve(self, column: str) -> list[Point]:
        """Steps and figures of a column of the log, finite ones alone."""
        return [(step, line[column]) for step, line in self.log.items() if math.isfinite(line.get(column, math.nan))]

    def best(self, column: str) -> Point | None:
        """The first best of a column of the log: the smallest loss or error, else the largest figure."""
        choose = min if column.removeprefix("val_") in SMALLER_IS_BETTER else max
        return choose(self.curve(column), key=lambda point: point[1], default=None)

    def last(self, column: str) -> Point | None:
        """The last figure of a column of the log."""
        return next(reversed(self.curve(column)), None)


def read_history(path: str | os.PathLike[str]) -> History:
    """Read a run folder.

    Args:
        path: The folder of a run, of whatever state.

    Raises:
        ConfigError: If this is no run folder, or its configuration is no TOML.
        OSError: If a file cannot be read.
    """
    folder = RunFolder(Path(path))
    if not folder.is_ours() and RunFolder(folder.path / "run").is_ours():
        inner = str(folder.path / "run")
        raise ConfigError(
            f"Expected a run folder with its config.toml. Received {str(folder.path)!r}. Did you mean {inner!r}?"
        )
    notes: list[str] = []
    config, sections = _read_config(folder, notes)
    provenance = _told(folder.read_provenance, notes) or {}
    report = _told(folder.read_report, notes) or {}
    progress = Checkpoints(folder.checkpoints).latest_progress()
    log = _read_log(folder.log, notes)
    return History(folder, config, sections, provenance, report, progress, log, _starts(folder), tuple(notes))


def _read_config(folder: RunFolder, notes: list[str]) -> tuple[Config | None, Sections]:
    text = folder.config.read_text(encoding="utf-8") if folder.is_ours() else ""
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        values = {}
    if not values:
        config = folder.read_config()  # which refuses what is no run or no TOML
        return config, config.to_dict()
    try:
        config = config_from_dict(values)
    except ConfigError as error:
        notes.append(f"The configuration is of another version: {' '.join(str(error).split())}")
        return None, {section: keys for section, keys in values.items() if isinstance(keys, dict)}
    return config, config.to_dict()


def _told(read: Callable[[], dict[str, Any] | None], notes: list[str]) -> dict[str, Any] | None:
    try:
        return read()
    except ConfigError as error:
        notes.append(str(error))
        return None


def _read_log(path: Path, notes: list[str]) -> dict[int, dict[str, float]]:
    """Lines that are whole; how many are not is told. Of two lines of one step the later counts."""
    if not path.is_file():
        notes.append("No line of log.csv has been written yet.")
        return {}
    text = path.read_text(encoding="utf-8", errors="replace")
    whole, _, torn = text.rpartition("\n")
    # A field without its closing quote, which we never write, must not swallow the lines below it.
    reader = csv.DictReader(io.StringIO(whole), quoting=csv.QUOTE_NONE)
    lines = [_numbers(line) for line in reader]
    damaged = sum(line is None for line in lines) + bool(torn)
    if damaged:
        counted = "1 line of log.csv is" if damaged == 1 else f"{damaged} lines of log.csv are"
        notes.append(f"{counted} damaged and left out.")
    read = {int(line.pop("step")): line for line in lines if line is not None}
    return dict(sorted(read.items()))


def _numbers(line: Mapping[Any, Any]) -> dict[str, float] | None:
    """The figures of a line with its step, or None if it is damaged."""
    if None in line or None in line.values() or not str(line.get("step", "")).isdecimal():
        return None
    try:
        return {name: float(text) for name, text in line.items() if text}
    except ValueError:
        return None


def _starts(folder: RunFolder) -> tuple[float, ...]:
    """Event files are named after the time at which they were begun, one at each start."""
    if not folder.tensorboard.is_dir():
        return ()
    matches = (_EVENTS.match(entry.name) for entry in folder.tensorboard.iterdir())
    return tuple(sorted(float(match[1]) for match in matches if match))
