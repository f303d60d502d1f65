"""The folder of a run: what it holds, and when it may be begun, resumed or replaced."""

import json
import shutil
import tomllib
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from keras_unet.utils.atomic_files import PARTIAL, remove_partial, write_text

from .config import Config, ConfigError, config_from_dict, dump
from .locking import LOCK

FOLD = "fold-"  # and a number from 1: the folders of cross-validation

_MARK = "keras-unet run: the whole configuration; `keras-unet train` with this file repeats it."
_FREE = ("training.allow_changed_data", "training.data_service")  # may change between two starts of one run


@dataclass(frozen=True)
class RunFolder:
    """Files of a run.

    Args:
        path: The folder.
    """

    path: Path

    @property
    def config(self) -> Path:
        """The resolved configuration."""
        return self.path / "config.toml"

    @property
    def notes(self) -> Path:
        """How the data were understood and split."""
        return self.path / "data.txt"

    @property
    def provenance(self) -> Path:
        """Fingerprint of the data, versions, state of the code."""
        return self.path / "provenance.json"

    @property
    def log(self) -> Path:
        """Loss and figures, a line each time they were taken."""
        return self.path / "log.csv"

    @property
    def tensorboard(self) -> Path:
        """Event files for TensorBoard."""
        return self.path / "tensorboard"

    @property
    def checkpoints(self) -> Path:
        """What an unfinished run is resumed from."""
        return self.path / "checkpoints"

    @property
    def model(self) -> Path:
        """The best weights on validation so far, or the last where there is no validation set."""
        return self.path / "model.keras"

    @property
    def report(self) -> Path:
        """Figures of the finished run."""
        return self.path / "report.json"

    def read_config(self) -> Config:
        """The run's configuration.

        Raises:
            ConfigError: If this is no run folder, or its configuration cannot be used.
        """
        if not self.is_ours():
            missing = "" if self.path.exists() else ", which does not exist"
            fold = self.path / f"{FOLD}1"
            hint = f" Did you mean {str(fold)!r}?" if RunFolder(fold).is_ours() else ""
            raise ConfigError(
                f"Expected a run folder with its config.toml. Received {str(self.path)!r}{missing}.{hint}"
            )
        try:
            return config_from_dict(tomllib.loads(self.config.read_text(encoding="utf-8")))
        except tomllib.TOMLDecodeError as error:
            raise ConfigError(
                f"{self.config}: Expected the configuration of a run. Received damaged TOML: {error}."
            ) from None

    def read_report(self) -> dict[str, Any] | None:
        """Figures of the run, or None while it is unfinished."""
        return _read_json(self.report, "the report of a run")

    def read_provenance(self) -> dict[str, Any] | None:
        """What the run was made from, or None where no run has begun.

        Raises:
            ConfigError: If the file is damaged.
        """
        return _read_json(self.provenance, "the provenance of a run") if self.is_ours() else None

    def is_ours(self) -> bool:
        """Whether this folder was made by a training run."""
        try:
            return self.config.read_text(encoding="utf-8").startswith(f"# {_MARK}")
        except (OSError, UnicodeDecodeError):
            return False

    def check(self, config: Config, overwrite: bool = False) -> None:
        """Whether a run of this configuration may begin or go on here; nothing is changed.

        Raises:
            ConfigError: If the folder holds something else than an unfinished run of the same configuration; with
                `overwrite`, than a run.
        """
        if self.path.exists() and not self.path.is_dir():
            raise ConfigError(f"Expected a folder for the run. Received {str(self.path)!r}, which is a file.")
        if self.entries():
            self._check_entries(config, overwrite)

    def open(self, config: Config, overwrite: bool = False) -> None:
        """Begin a run here, or go on with the unfinished run of the same configuration.

        Raises:
            ConfigError: As `check`.
            OSError: If the folder cannot be made or written.
        """
        self.check(config, overwrite)
        if self.is_ours():
            remove_partial(self.path)
        if self.entries() and not overwrite:
            return
        self.clear()
        self.path.mkdir(parents=True, exist_ok=True)
        write_text(self.config, dump(config.to_dict(), _MARK))

    def entries(self) -> list[Path]:
        """What the folder holds, leftovers of a write that was cut short and the lock aside."""
        if not self.path.is_dir():
            return []
        entries = (entry for entry in self.path.iterdir() if entry.name != LOCK)
        return [entry for entry in entries if not entry.name.startswith(PARTIAL)]

    def _check_entries(self, config: Config, overwrite: bool) -> None:
        folder = str(self.path)
        if not self.is_ours():
            if self.checkpoints.is_dir() and self.provenance.exists():
                raise ConfigError(
                    f"{self.config}: Expected the configuration that the run in this folder began with. Received none, "
                    "or a damaged one: choose another folder."
                )
            raise ConfigError(
                f"Expected an empty folder or a run of ours. {folder!r} holds other files; choose another."
            )
        if overwrite:
            return
        if self.read_report() is not None and is_whole(self.model):
            raise ConfigError(
                f"Expected an empty folder or an unfinished run. The run in {folder!r} is finished; choose another "
                "folder, or --overwrite."
            )
        differing = self.differences(config)
        if differing:
            raise ConfigError(
                f"Expected an empty folder or an unfinished run of the same configuration. The run in {folder!r} "
                f"differs in {', '.join(differing)}; choose another folder, or --overwrite."
            )

    def differences(self, config: Config) -> list[str]:
        """Keys in which a configuration differs from that of the run, but for those that may."""
        return _differences(self.read_config(), config)

    def clear(self) -> None:
        """Remove what a run writes, and nothing else. The configuration goes last: it is what marks the folder."""
        if not self.is_ours():
            return
        files = (self.report, self.notes, self.provenance, self.log, self.model)
        batches = self.path.glob("diverged-batch-*.npz")
        for path in (*files, *batches, self.tensorboard, self.checkpoints, self.config):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink(missing_ok=True)


def fold_folders(path: Path) -> list[RunFolder]:
    """The run folders of cross-validation in a folder, in order; none if it is something else.

    Raises:
        ConfigError: If not all of them are finished.
    """
    root = RunFolder(path)
    if root.is_ours() or not RunFolder(path / f"{FOLD}1").is_ours():
        return []
    report = root.read_report()
    if report is None:
        raise ConfigError(
            f"Expected finished folds. Those in {str(path)!r} are not: the command that began them continues."
        )
    return [RunFolder(path / fold["folder"]) for fold in report["folds"]]


def is_whole(model: Path) -> bool:
    """Whether a model's file is there, and the check sums of its archive are right."""
    try:
        with zipfile.ZipFile(model) as archive:
            return archive.testzip() is None
    except (OSError, ValueError, EOFError, zlib.error, zipfile.BadZipFile):
        return False


def _read_json(path: Path, what: str) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        values: Any = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ConfigError(
            f"{path}: Expected {what}. Received damaged JSON: {error}. Without this file, the command that began the "
            "run makes it anew."
        ) from None
    if not isinstance(values, dict):
        raise ConfigError(f"{path}: Expected {what}. Received {str(values)[:80]!r}.")
    return values


def _differences(stored: Config, wanted: Config) -> list[str]:
    one, other = stored.to_dict(), wanted.to_dict()
    keys = [f"{section}.{key}" for section in one for key in {**one[section], **other[section]}]
    return [key for key in keys if key not in _FREE and _value(one, key) != _value(other, key)]


def _value(sections: dict[str, dict[str, Any]], key: str) -> Any:
    section, name = key.split(".")
    return sections[section].get(name)
