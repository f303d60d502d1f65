"""What a run was made from: a fingerprint of every image and label, versions, and the state of the code around it."""

import hashlib
import json
import platform
import subprocess
from collections.abc import Iterable
from importlib.metadata import version
from typing import Any, TypeGuard

import numpy as np
from numpy.typing import NDArray

import keras_unet
from keras_unet.datasets import Sample
from keras_unet.datasets.shard_reader import ShardedImages
from keras_unet.utils.atomic_files import write_text

from .config import ConfigError
from .data_split import Split
from .run_folder import RunFolder

Record = dict[str, Any]

_SHOWN = 3


def versions() -> dict[str, str]:
    """Versions of what decides the figures."""
    return {
        "keras_unet": keras_unet.__version__,
        **{name: version(name) for name in ("tensorflow", "keras", "numpy")},
        "python": platform.python_version(),
    }


def fingerprint(samples: Iterable[Sample]) -> list[Record]:
    """Name, shape, dtype and SHA-256 of the pixels and the labels of each sample, in order.

    Of shards the index holds them, and nothing else is read.
    """
    if isinstance(samples, ShardedImages):
        return samples.fingerprints()
    return [
        {
            "name": sample.name,
            "shape": list(sample.image.shape),
            "dtype": sample.image.dtype.name,
            "image": _digest(sample.image),
            "labels": _digest(sample.labels),
        }
        for sample in samples
    ]


def provenance(parts: Split) -> Record:
    """The fingerprints of training and validation set, versions, and the git state of the working directory."""
    return {
        "train": fingerprint(parts.train),
        "validate": [] if parts.validate is None else fingerprint(parts.validate),
        "versions": versions(),
        "git": git_state(),
    }


def git_state() -> Record | None:
    """Commit of the working directory and whether files differ from it; None without git or a repository."""
    try:
        commit = _git("rev-parse", "HEAD")
        return {"commit": commit, "changed": bool(_git("status", "--porcelain"))}
    except (OSError, subprocess.SubprocessError):
        return None


def check_data(folder: RunFolder, record: Record, allow_changed: bool = False) -> list[str]:
    """Refuse to go on with other data than the run began with; nothing is changed.

    Args:
        folder: Of the run; one without a record, such as a new one, takes any data.
        record: The `provenance` of the data at hand.
        allow_changed: Whether to go on all the same.

    Returns:
        What differs, a few words for each sample.

    Raises:
        ConfigError: If the stored record is none; if something differs and `allow_changed` does not hold.
    """
    stored = folder.read_provenance()
    if stored is None:
        return []
    if not all(_is_fingerprint(stored.get(part)) for part in ("train", "validate")):
        raise ConfigError(f"{folder.provenance}: Expected the provenance of a run. Received no list of its samples.")
    differing = _differences(stored, record)
    if differing and not allow_changed:
        listed = "; ".join([*differing[:_SHOWN], *(["…"] if len(differing) > _SHOWN else [])])
        raise ConfigError(
            f"Expected the images and labels that the run in {str(folder.path)!r} began with. {len(differing)} samples "
            f"differ: {listed}. Choose another folder, --overwrite, or --set training.allow_changed_data=true to go on."
        )
    return differing


def trained_on(folder: RunFolder, samples: Iterable[Sample]) -> list[str]:
    """Names of the samples whose pixels the run in a folder was trained on; none where there is no run.

    Raises:
        ConfigError: If the stored record is damaged.
    """
    stored = (folder.read_provenance() or {}).get("train")
    known = {sample.get("image") for sample in stored} if _is_fingerprint(stored) else set()
    return [sample["name"] for sample in fingerprint(samples) if sample["image"] in known] if known else []


def store(folder: RunFolder, record: Record) -> None:
    """Write the record of a run."""
    write_text(folder.provenance, json.dumps(record, indent=1, ensure_ascii=False) + "\n")


def _is_fingerprint(samples: Any) -> TypeGuard[list[Record]]:
    return isinstance(samples, list) and all(isinstance(sample, dict) and "name" in sample for sample in samples)


def _differences(stored: Record, record: Record) -> list[str]:
    differing = []
    for part, what in (("train", "training"), ("validate", "validation")):
        before, now = stored[part], record[part]
        differing += [
            f"{old['name']} ({', '.join(keys)})"
            for old, new in zip(before, now, strict=False)
            if (keys := [key for key in old if old[key] != new.get(key)])
        ]
        shared = min(len(before), len(now))
        differing += [f"{sample['name']} (no longer in the {what} set)" for sample in before[shared:]]
        differing += [f"{sample['name']} (new in the {what} set)" for sample in now[shared:]]
    return differing


def _digest(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def _git(*arguments: str) -> str:
    done = subprocess.run(
        ["git", "--no-optional-locks", *arguments], capture_output=True, text=True, timeout=10, check=True
    )
    return done.stdout.strip()
